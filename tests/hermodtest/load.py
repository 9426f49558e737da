# SPDX-License-Identifier: ISC
"""
Mail with ids, sent by several clients at once while the suite is harmed, and counted at the end:

    load = Load(suite, ["anna", "bert"], seed=7)
    load.start(senders=8, messages=300, seconds=12)
    ...                                 whatever is to be survived
    load.join()
    counts = load.check()               asserts that nothing is lost, changed or half there

A message is sent once: a client that loses its connection goes on with the next one. `state` says what a client
knows of each id: ACCEPTED (250), REFUSED (another reply), LOST (all was sent, no reply came), UNSENT.
"""
import collections
import os
import random
import re
import socket
import threading
import time

from hermodtest.suite import DOMAIN, patience

ACCEPTED, REFUSED, LOST, UNSENT = "accepted", "refused", "lost", "unsent"
Counts = collections.namedtuple("Counts", "accepted refused lost unsent delivered twice")


class Client:
    """One SMTP connection. Whatever goes wrong with it is an OSError."""

    def __init__(self, suite, timeout):
        self.s = socket.create_connection((suite.host, suite.smtp_port), timeout=timeout)
        self.f = self.s.makefile("rb")
        if self.reply() != 220 or self.cmd("EHLO client.test") != 250:
            raise ConnectionError("not greeted")

    def reply(self):
        while True:
            line = self.f.readline()
            if not line.endswith(b"\r\n"):
                raise ConnectionError("the connection ended")
            if line[3:4] == b" ":
                return int(line[:3])

    def cmd(self, line):
        self.s.sendall(line.encode() + b"\r\n")
        return self.reply()

    def close(self):
        self.f.close()
        self.s.close()


class Load:
    def __init__(self, suite, users, seed=1, sizes=(200, 60000), timeout=15):
        self.suite, self.users, self.seed = suite, users, seed
        self.sizes, self.timeout = sizes, timeout * patience()
        self.lock = threading.Lock()
        self.text = {}                  # id -> octets that were sent, CRLF
        self.to = {}                    # id -> users
        self.state = {}
        self.at = {}                    # id -> time.monotonic_ns() when its state was known
        self.threads = []
        self.todo = collections.deque()
        self.stopped = threading.Event()

    # ---- sending ----

    def make(self, number, chance):
        name = f"{self.seed}-{number}"
        size = int(self.sizes[0] * (self.sizes[1] / self.sizes[0]) ** chance.random())
        lines = [f"line {i} of {name}, " + chance.choice(("", ".", "..", "From here on")) + "x" * chance.randrange(60)
                 for i in range(size // 50 + 1)]
        lines[-1] = f"end of {name}"
        self.to[name] = chance.sample(self.users, chance.choice((1, 1, 1, min(2, len(self.users)))))
        self.text[name] = (f"From: s@client.test\r\nTo: {self.to[name][0]}@{DOMAIN}\r\nSubject: {name}\r\n"
                           f"Date: Mon, 23 Nov 2026 09:08:07 +0100\r\nMessage-ID: <{name}@client.test>\r\n\r\n"
                           + "\r\n".join(lines) + "\r\n").encode()
        return name

    def send(self, client, name):
        """What became of it. An OSError before all was sent leaves it UNSENT."""
        if client.cmd("MAIL FROM:<s@client.test>") != 250:
            return REFUSED
        taken = [client.cmd(f"RCPT TO:<{u if '@' in u else u + '@' + DOMAIN}>") for u in self.to[name]]
        if taken != [250] * len(taken):         # a part of them would make counting hard
            client.cmd("RSET")
            return REFUSED
        if client.cmd("DATA") != 354:
            return REFUSED
        client.s.sendall(self.text[name].replace(b"\r\n.", b"\r\n..") + b".")
        try:
            client.s.sendall(b"\r\n")
            return ACCEPTED if client.reply() == 250 else REFUSED
        except (OSError, ValueError):
            return LOST

    def one(self, client, name):
        try:
            if client is None:
                client = Client(self.suite, self.timeout)
            became = self.send(client, name)
        except (OSError, ValueError):
            became = UNSENT
        with self.lock:
            self.state[name], self.at[name] = became, time.monotonic_ns()
        if became in (LOST, UNSENT):
            if client:
                client.close()
            return None
        return client

    def run(self, pause):
        client, chance = None, random.Random(f"{self.seed}/{threading.current_thread().name}")
        while not self.stopped.is_set():
            try:
                name = self.todo.popleft()
            except IndexError:
                break
            client = self.one(client, name)
            if client is None:
                self.stopped.wait(0.1)          # whoever answers nothing is being started again
            self.stopped.wait(pause * 2 * chance.random())
        if client:
            client.close()

    def start(self, senders=8, messages=300, seconds=10):
        """Spreads them over about that time."""
        chance = random.Random(self.seed)
        self.todo.extend(self.make(len(self.text), chance) for _ in range(messages))
        for i in range(senders):
            t = threading.Thread(target=self.run, args=(seconds * senders / messages,), name=f"sender{i}", daemon=True)
            self.threads.append(t)
            t.start()

    def one_more(self, chance):
        client = self.one(None, self.make(len(self.text), chance))
        if client:
            client.close()

    def busy(self):
        return any(t.is_alive() for t in self.threads)

    def join(self, seconds=120):
        end = time.monotonic() + seconds * patience()
        for t in self.threads:
            t.join(max(0.1, end - time.monotonic()))
        assert not self.busy(), "the senders do not come to an end"

    def stop(self):
        self.stopped.set()
        self.join()

    # ---- counting ----

    def accepted(self):
        return [n for n, s in self.state.items() if s == ACCEPTED]

    def copies(self):
        """(id, user) -> [(path, octets)], of all that is in the mailboxes."""
        out = collections.defaultdict(list)
        for user in self.users:
            for path in self.suite.maildir(user).files():
                octets = open(path, "rb").read()
                m = re.search(rb"^Subject: (\S+)$", octets, re.M)
                assert m, f"{path}: no message of ours: {octets[:200]}"
                out[m.group(1).decode(), user].append((path, octets))
        return out

    def wrong(self, copies):
        """Lines that say what is missing or not what was sent."""
        out = []
        for name in self.accepted():
            out += [f"{name} to {u} got 250 and is lost" for u in self.to[name] if not copies.get((name, u))]
        for (name, user), these in copies.items():
            if name not in self.text or user not in self.to[name]:
                out.append(f"{name} is in the mailbox of {user}, for whom it was not sent")
                continue
            if self.state[name] == UNSENT:
                out.append(f"{name} was never sent to its end, but is delivered")
            want = self.text[name].replace(b"\r\n", b"\n")
            for path, octets in these:
                if not octets.endswith(want) or octets.count(b"Subject: ") != 1:
                    out.append(f"{path} is not {name} as it was sent: {len(octets)} octets, {octets[-80:]}")
        return out

    def wrong_but_for(self, gone):
        """The same, when a client has deleted these (id, user)."""
        copies = self.copies()
        copies.update((k, []) for k in gone if k not in copies)
        return [w for w in self.wrong(copies) if not any(w.startswith(f"{n} to {u} ") for n, u in gone)]

    def check(self):
        """The Counts. How many copies are too many is for the caller to judge: self.twice()."""
        copies = self.copies()
        wrong = self.wrong(copies)
        assert not wrong, "\n".join(wrong[:20])
        of = collections.Counter(self.state.values())
        return Counts(of[ACCEPTED], of[REFUSED], of[LOST], of[UNSENT], len(copies), len(self.twice(copies)))

    def twice(self, copies=None):
        """(id, user) -> times of its copies' arrival, where there are several."""
        copies = self.copies() if copies is None else copies
        return {k: sorted(os.stat(p).st_mtime for p, _ in v) for k, v in copies.items() if len(v) > 1}
