# SPDX-License-Identifier: ISC
"""
A system call fails in each process at work, the Nth of its kind, once or from then on: clients get a temporary reply or
their mail is kept; no process crashes; nothing half-written stays; without the fault all mail arrives.
"""
import collections
import os
import random
import re
import smtplib
import ssl
import time

import pytest

from hermodtest.imap import Literal
from hermodtest.load import ACCEPTED, LOST, REFUSED, UNSENT, Load
from hermodtest.proc import wait_for
from hermodtest.servers import Server
from hermodtest.suite import HOSTNAME, patience, put

pytestmark = pytest.mark.faults

USERS = ["anna", "bert"]
FAR = ["cleo@far.test", "dora@far.test"]        # by a relay that wants a login
LOGIN = {"relayer": "Zebra9"}
SETTINGS = {"minimal_backoff": "1s", "uncertain_backoff": "200ms", "smtpd_client_rate": 100000, "deliver_idle": "500ms", "start_timeout": f"{4 * patience()}s",
            "login_client_rate": 100000}
PROGRAMS = ["smtpd", "cleanup", "bounce", "qmgr", "smtp-client", "router", "local", "become", "deliver", "auth", "pop3-login", "pop3d",
            "imap-login", "imapd", "keys", "submission", "tls"]
FILES = ["ENOSPC", "EIO", "EDQUOT"]
# Each call and what it may say. Memory is asked for by calloc and realloc (lib/base/mem.c).
CALLS = {"calloc": ["ENOMEM"], "realloc": ["ENOMEM"], "open": ["EMFILE", "EIO"], "openat": ["EMFILE", "ENOSPC", "EIO"],
         "write": FILES + ["short"], "pwrite": FILES + ["short"], "writev": FILES, "fsync": ["EIO", "ENOSPC"],
         "fdatasync": ["EIO"], "linkat": ["EXDEV", "ENOSPC", "EIO"], "renameat": ["EXDEV", "EIO"],
         "unlinkat": ["EIO", "EROFS"], "close": ["EIO", "EINTR"], "fork": ["EAGAIN", "ENOMEM"], "mmap": ["ENOMEM"],
         "sync_file_range": ["EIO"], "pread": ["EIO", "EINTR"], "socket": ["EMFILE", "ENOBUFS"],
         "connect": ["EADDRNOTAVAIL", "EPERM", "ETIMEDOUT"], "bind": ["EADDRNOTAVAIL"], "send": ["ECONNRESET", "EAGAIN", "ENOBUFS"],
         "recv": ["ECONNRESET", "EAGAIN", "EINTR"]}
NO_FAILURES = ["EAGAIN", "EINTR"]           # but promises, when they come for ever: it would be tried for ever


class FarLoad(Load):
    """Some of its mail goes on by a relay."""

    def __init__(self, suite, relay, **how):
        super().__init__(suite, USERS + FAR, **how)
        self.relay = relay

    def copies(self):
        out, self.users = collections.defaultdict(list), USERS
        out.update(super().copies())
        self.users = USERS + FAR
        for n, mail in enumerate(list(self.relay.mails)):
            octets = mail.data.replace(b"\r\n", b"\n")
            for address, _ in mail.rcpts:
                out[re.search(rb"^Subject: (\S+)$", octets, re.M)[1].decode(), address].append((f"mail {n} at the relay", octets))
        return out


@pytest.fixture
def relay(ca):
    with Server(users=LOGIN, mechanisms=["SCRAM-SHA-256"], tls=ca.context("relay.test"), early_auth=False) as server:
        server.certificates, server.ca = [ca.issue(HOSTNAME).item], ca.file     # of our own
        yield server


def with_relay(make_suite, relay, **settings):
    """A suite, not started. Mail that goes on has an address of its own to come from, and TLS, and a login."""
    suite = make_suite(users=USERS, start=False, trusted_networks=["127.0.0.0/8"], routes=[f"far.test smtp:{relay.nexthop()};from=127.0.3.1"],
                       tls_certificates=relay.certificates, **settings)
    table = os.path.join(suite.dir, "etc", "credentials")
    put(table, f"{relay.address} relayer {LOGIN['relayer']}\n")
    suite.settings["smtp_credentials"] = "text:" + table
    suite.write_conf()
    return suite


def look_by_imap(suite, user, context=None):
    """An IMAP session that may fail at any point; over TLS, by STARTTLS."""
    try:
        c = suite.imap(None if context else user, timeout=5)
        if context:
            c.starttls(context, HOSTNAME)
            c.login(f"{user}@{suite.domain}", suite.password)
        c.ok("SELECT inbox")
        c.look()
        c.logout()
    except Exception:                   # NO, or the connection ended: both are right
        pass


def read_mail(suite, user):
    """A POP3 session that may fail at any point."""
    try:
        c = suite.pop3(user, timeout=5)
        for i in range(1, min(3, c.stat()[0]) + 1):
            c.retr(i)
        c.quit()
    except Exception:                   # -ERR, or the connection ended: both are right
        pass


def submit(suite, load, context):
    """A message of anna's to bert, by submission; its Load knows what was said of it. May fail at any point."""
    name = f"submitted-{time.monotonic_ns()}"
    load.text[name] = (f"Subject: {name}\r\nFrom: anna@{suite.domain}\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\n"
                       f"Message-ID: <{name}@client.test>\r\n\r\nHello.\r\n").encode()
    load.to[name], load.state[name] = ["bert"], UNSENT
    try:
        c = smtplib.SMTP(suite.host, suite.submission_port, local_hostname="client.test", timeout=5 * patience())
        c._host = HOSTNAME
        c.starttls(context=context)
        c.login(f"anna@{suite.domain}", suite.password)
        c.mail(f"anna@{suite.domain}")
        if c.rcpt(f"bert@{suite.domain}")[0] != 250:
            return
        load.state[name] = LOST
        load.state[name] = ACCEPTED if c.data(load.text[name])[0] == 250 else REFUSED
        c.quit()
    except (OSError, smtplib.SMTPException):
        pass


def work(suite, relay, seed, messages):
    load = FarLoad(suite, relay, seed=seed, sizes=(200, 20000), timeout=5)
    load.start(senders=3, messages=messages, seconds=0.6)
    load.join()
    context = ssl.create_default_context(cafile=relay.ca)
    for user in USERS:
        submit(suite, load, context)
        read_mail(suite, user)
        look_by_imap(suite, user)
        look_by_imap(suite, user, context)
    return load


def due(suite):
    """What waits in later/ would be looked at when a minute is over."""
    for path in suite.queue_files("later"):
        os.rename(path, os.path.join(suite.queue, "active", os.path.basename(path).split("-")[0]))


def settle(suite):
    """What was taken has been tried once, or some moments have passed."""
    end = time.monotonic() + 3
    while time.monotonic() < end and (suite.queue_files("new") or suite.queue_files("active")):
        time.sleep(0.05)


def check_after(suite, load, rules):
    suite.stop()
    due(suite)
    suite.env = {}
    suite.start()
    suite.wait_queue_empty()
    assert not suite.queue_files("corrupt") and not suite.queue_files("hold")
    wrong = load.wrong(load.copies())
    assert not wrong, "\n".join(wrong[:10])
    left = [f for u in USERS for f in suite.maildir(u).tmp()]
    may_stay = "unlinkat" in rules              # then the clean-up takes it, when it is old
    assert may_stay or not left, f"left in tmp/: {left}"
    for u in USERS:                             # whoever looks next removes what a session that died left
        read_mail(suite, u)
    assert not [f for u in USERS for f in os.listdir(suite.maildir(u).path) if ".new" in f]


def try_rules(make_suite, relay, rules, seed, early):
    relay.mails.clear()
    suite = with_relay(make_suite, relay, early_delivery_time="2s" if early else "0s", **SETTINGS)
    suite.env = {"HERMOD_FAULT": ",".join(rules)}
    print(suite.env["HERMOD_FAULT"])
    if suite.hermod("start", check=False).returncode != 0:      # one died again and again: then it says so, and all end
        suite.note_processes()
        wait_for(lambda: not suite.left(), 20 * patience(), why=lambda: f"left by a failed start: {suite.left()}")
        assert "is given up" in suite.log() or "fault: " in suite.log()
        return re.findall(r"fault: (\w+) \d+ of ([\w-]+)", suite.log())
    load = work(suite, relay, seed, 14)
    settle(suite)
    hit = re.findall(r"fault: (\w+) \d+ of ([\w-]+)", suite.log())
    check_after(suite, load, suite.env["HERMOD_FAULT"])
    suite.stop()
    return hit


def some_rules(chance, call):
    """One of each program, about which call it may be unsure: what is not reached is not tried."""
    out = []
    for program in PROGRAMS:
        often = call in ("calloc", "realloc", "close", "writev")
        nth = int(2 ** (chance.uniform(5, 8) if often else chance.uniform(0, 3.3)))     # beyond the start
        error = chance.choice(CALLS[call])
        forever = "+" if chance.random() < 0.15 and call not in ("calloc", "realloc") and error not in NO_FAILURES else ""
        out.append(f"{program}:{call}:~{nth}{forever}:{error}")
    return out


def test_some_calls(make_suite, relay):
    seed = int(os.environ.get("HERMOD_SEED", random.randrange(1000000)))
    chance = random.Random(seed)
    print("seed", seed)
    hit = []
    for call in CALLS:                  # most calls of cleanup and qmgr are those of mail that takes its way through the queue
        hit += try_rules(make_suite, relay, some_rules(chance, call), seed, chance.random() < 0.4)
    assert len(set(hit)) > 10, hit      # else nothing was tried


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS)
def test_all_calls(make_suite, relay, call):
    nth, misses = 1, 0
    while misses < 2:
        hit = []
        for error in CALLS[call]:
            hit += try_rules(make_suite, relay, [f"{p}:{call}:~{nth}:{error}" for p in PROGRAMS], nth, nth % 2 == 0)
        misses = 0 if hit else misses + 1
        nth += 1 if nth < 12 else nth // 4


# What smtp-client calls once it is confined, when it has TLS, a login and an address of its own to come from.
RELAY_CALLS = ["calloc", "realloc", "socket", "bind", "connect", "pread", "send", "recv", "close"]


@pytest.mark.long
@pytest.mark.parametrize("call", RELAY_CALLS)
def test_all_relay_calls(make_suite, relay, call):
    """One alone fails, so that what it does is reached."""
    nth, misses = 1, 0
    while misses < 2 and nth < 2000:
        hit = []
        for error in CALLS[call]:
            for forever in ("", "+") if call not in ("calloc", "realloc") and error not in NO_FAILURES else ("",):
                hit += try_rules(make_suite, relay, [f"smtp-client:{call}:~{nth}{forever}:{error}"], nth, nth % 2 == 0)
        misses = 0 if hit else misses + 1
        nth += 1 if nth < 12 else nth // 3


@pytest.mark.parametrize("rule", ["deliver:linkat:1:EXDEV,deliver:renameat:1:EXDEV", "deliver:linkat:1+:EPERM,deliver:renameat:1:EXDEV",
                                  "deliver:fsync:1:EIO", "deliver:write:~1:short", "deliver:close:~1:EIO"])
def test_a_delivery_that_fails_leaves_nothing(make_suite, rule):
    suite = make_suite(start=False, **SETTINGS)
    suite.env = {"HERMOD_FAULT": rule}
    suite.start()
    suite.send("anna")
    suite.wait_log("status=(delivered|deferred)")
    wait_for(lambda: not suite.maildir("anna").tmp(), 10 * patience())         # another attempt may be under way
    suite.stop()
    due(suite)
    suite.env = {}                      # else each new worker fails in the same way
    suite.start()
    suite.wait_queue_empty()
    assert len(suite.maildir("anna").files()) == 1


def connections_to(port):
    """That somebody of this host has open; those in TIME_WAIT are nobody's."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return [r for r in rows if int(r[2].split(":")[1], 16) == port and r[3] != "06"]


def test_no_descriptor_is_left_open(make_suite, relay):
    suite = with_relay(make_suite, relay, **SETTINGS)
    suite.start()
    work(suite, relay, 1, 6)                   # what is opened once is open from here on
    suite.wait_queue_empty()
    wait_for(lambda: not suite.processes("deliver"), 10 * patience(), why="deliver workers end")
    wait_for(lambda: not connections_to(relay.port), 10 * patience(), why="what is kept for the next message is closed")

    def counts():
        return {(p.pid, p.comm): len(p.fds()) for p in suite.processes()}

    def at_rest():
        """The least of some time: sessions may be ending."""
        least, end = counts(), time.monotonic() + 2 * patience()
        while time.monotonic() < end:
            now = counts()
            least = {k: min(n, now[k]) for k, n in least.items() if k in now}
            time.sleep(0.05)
        return least
    before = at_rest()
    work(suite, relay, 2, 40)
    suite.wait_queue_empty()
    wait_for(lambda: not suite.processes("deliver") and counts() == before, 10 * patience(),
             why=lambda: f"before {before}, now {counts()}")


# ---- what a session does to a mailbox: OK means that it is done, NO that it is not, and an end of the connection either ----

class Kept:
    """What one client was told of its messages, by number: where each may be (copies in INBOX, Sent, Trash), and flagged or not."""

    def __init__(self):
        self.where, self.flagged = {}, {}

    def add(self, i, answer):
        self.where[i] = {"OK": {(1, 0, 0)}, "NO": {(0, 0, 0)}}.get(answer, {(1, 0, 0), (0, 0, 0)})
        self.flagged[i] = {False}

    def change(self, i, answer, done, between=None):
        """done, between: of one place each; between is what is left of a MOVE whose removal failed."""
        after = {done(p) for p in self.where[i]}
        either = self.where[i] | after | ({between(p) for p in self.where[i]} if between else set())
        self.where[i] = after if answer == "OK" else self.where[i] if answer == "NO" and not between else either

    def flag(self, i, answer):
        self.flagged[i] = {True} if answer == "OK" else {True, False}

    def expunge(self, i, answer):
        gone = {(0, s, t) for _, s, t in self.where[i]}
        self.where[i] = gone if answer == "OK" else self.where[i] | gone

    def wrong(self, suite, user):
        seen, flagged, out = {}, {}, []
        with suite.imap(user) as c:
            for k, name in enumerate(("INBOX", "Sent", "Trash")):
                c.ok(f"SELECT {name}")
                for r in c.ok("FETCH 1:* (BODY.PEEK[] FLAGS)").of("FETCH") if c.box.count else ():
                    i = int(re.match(rb"Subject: (\d+)\r\n\r\n(?:all of it\r\n)+the end\r\n$", r.data["BODY[]"])[1])
                    at = seen.setdefault(i, [0, 0, 0])
                    at[k] += 1
                    if k == 0:
                        flagged[i] = "\\Flagged" in r.data["FLAGS"]
            c.logout()
        for i, may in self.where.items():
            if tuple(seen.pop(i, (0, 0, 0))) not in may:
                out.append(f"{i}: not in {may}")
            if i in flagged and flagged[i] not in self.flagged[i]:
                out.append(f"{i}: flagged is {flagged[i]}, should be {self.flagged[i]}")
        return out + [f"{i} is unknown" for i in seen]


def answer(c, *parts):
    """OK, NO, or None: nobody knows."""
    try:
        r = c.cmd(*parts)
        return r.done.name, r
    except (EOFError, OSError):
        return None, None


def change_mail(suite, user, kept, first):
    """One session: three messages, of which one is copied, one moved, one flagged, one removed. True: it went to its end."""
    try:
        c = suite.imap(user, timeout=10)
        c.ok("SELECT INBOX")
    except Exception:                   # it may fail at any point
        return False
    uids = {}
    for i in range(first, first + 4):
        name, r = answer(c, "APPEND INBOX ", Literal(b"Subject: %d\r\n\r\n" % i + b"all of it\r\n" * (500 * (i % 3) + 1) + b"the end\r\n"))
        kept.add(i, name)
        if name is None:
            return False
        if name == "OK" and r.code("APPENDUID"):
            uids[i] = r.code("APPENDUID")[1][0][0]
    for i, uid in uids.items():
        k = i - first
        if k == 0:
            name, _ = answer(c, f"UID COPY {uid} Sent")
            kept.change(i, name, lambda p: (p[0], p[1] + 1, p[2]))
        elif k == 1:
            name, _ = answer(c, f"UID MOVE {uid} Trash")
            kept.change(i, name, lambda p: (0, p[1], p[2] + 1), lambda p: (p[0], p[1], p[2] + 1))
        elif k == 2:
            name, _ = answer(c, f"UID STORE {uid} +FLAGS (\\Flagged)")
            kept.flag(i, name)
        else:
            name, _ = answer(c, f"UID STORE {uid} +FLAGS (\\Deleted)")
            kept.expunge(i, None)
            if name == "OK":
                name, _ = answer(c, "EXPUNGE")
                kept.expunge(i, name)
        if name is None:
            return False
    c.close()
    return True


def try_imap(make_suite, rules):
    suite = make_suite(users=["anna"], start=False, **SETTINGS)
    suite.env = {"HERMOD_FAULT": ",".join(rules)}
    print(suite.env["HERMOD_FAULT"])
    suite.start()
    kept = Kept()
    for n in range(3):
        change_mail(suite, "anna", kept, 10 * n)
    hit = re.findall(r"fault: (\w+) \d+ of ([\w-]+)", suite.log())
    suite.stop()
    suite.env = {}
    suite.start()
    wrong = kept.wrong(suite, "anna")
    assert not wrong, "\n".join(wrong)
    assert change_mail(suite, "anna", kept, 100), "all works again"
    wrong = kept.wrong(suite, "anna")
    assert not wrong, "\n".join(wrong)
    for folder in ("", ".Sent", ".Trash"):
        at = os.path.join(suite.maildir("anna").path, folder)
        # A process that ends for want of memory leaves what it was at; that is removed when it is old.
        left = [] if re.search(":(c|re)alloc:", ",".join(rules)) else os.listdir(os.path.join(at, "tmp"))
        assert not left or "unlinkat" in suite.log() or "unlinkat" in ",".join(rules)
        assert not [f for f in os.listdir(at) if ".new" in f]
    suite.stop()
    return hit


def test_some_imap_calls(make_suite):
    seed = int(os.environ.get("HERMOD_SEED", random.randrange(1000000)))
    chance = random.Random(seed)
    print("seed", seed)
    hit = []
    for call in CALLS:
        often = call in ("calloc", "realloc", "close", "openat", "writev")
        nth = int(2 ** (chance.uniform(3, 8) if often else chance.uniform(0, 5)))
        forever = "+" if chance.random() < 0.2 and call not in ("calloc", "realloc", "openat") else ""
        hit += try_imap(make_suite, [f"imapd:{call}:~{nth}{forever}:{chance.choice(CALLS[call])}"])
    assert hit                          # else nothing was tried


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS)
def test_all_imap_calls(make_suite, call):
    nth, misses = 1, 0
    while misses < 2 and nth < 400:
        hit = []
        for error in CALLS[call]:
            hit += try_imap(make_suite, [f"imapd:{call}:~{nth}:{error}"])
        misses = 0 if hit else misses + 1
        nth += 1 if nth < 40 else nth // 8
