# SPDX-License-Identifier: ISC
"""
What other programs do in the Maildirs of test_imap_model, between the commands or while one is under way.

An Act is chosen first, then done, maybe by a thread, and only then told to the model. While a command was under way an
act may have been seen by it or not: between `begun` and `over` the model takes both, and nothing else.
"""
import collections
import os
import re
import threading
import time
import zlib

from hermodtest.imap_account import SYSTEM
from hermodtest.proc import wait_for

TOKEN = re.compile(rb"<[0-9]+\.[0-9]+@")


class Act:
    """Something another program does. do() -> whether it came to it: a session may have been faster."""

    def __init__(self, account, name, text, do):
        self.account, self.name, self.text, self.do = account, name, text, do
        self.model, self.folder = account.model, account.model.folders[name]
        self.done = None

    def begun(self):
        """The command that was under way may have seen it, or not."""

    def over(self, how=None, certain=True):
        """All that look from now on see it. how: what the command made of the flags that it found;
        certain: it was OK."""


class Arrival(Act):
    def __init__(self, account, name, text, do, octets, flags):
        super().__init__(account, name, text, do)
        self.octets, self.flags, self.m = octets, flags, None

    def begun(self):
        self.m = self.model.append(self.name, self.octets, self.flags, None, "OK")
        self.m.limbo = True

    def over(self, how=None, certain=True):
        self.folder.event += 1
        self.m.born, self.m.limbo, self.m.died = self.folder.event, False, None


class Removal(Act):
    def __init__(self, account, name, text, do, m):
        super().__init__(account, name, text, do)
        self.m = m

    def begun(self):
        self.m.limbo = True

    def over(self, how=None, certain=True):
        if self.m.died is None:
            self.model.remove(self.folder, self.m)


class Flags(Act):
    """The file was renamed from the flags it had: so a command that changed them did that later, unless it found nothing
    to change."""

    def __init__(self, account, name, text, do, m, flags):
        super().__init__(account, name, text, do)
        self.m, self.old, self.new = m, next(iter(m.now())), frozenset(flags)

    def begun(self):
        self.folder.event += 1
        self.m.values.append((self.folder.event, frozenset([self.old, self.new])))

    def over(self, how=None, certain=True):
        how = how or (lambda v: v)
        values = {frozenset(how(self.new))}
        if not certain or frozenset(how(self.old)) == self.old:
            values.add(self.new)
        if self.m.died is None:
            self.folder.event += 1
            self.m.values.append((self.folder.event, frozenset(values)))
            self.m.by_hand = True


class Hand:
    """Of Run: it has suite, rng, accounts, sessions, say(), some(), few(), message(), mailbox(), name()."""

    def owned(self, a, path, mode=0o600):
        st = os.stat(a.path)
        if os.geteuid() == 0:
            os.chown(path, st.st_uid, st.st_gid)
        os.chmod(path, mode)

    def holding(self, a, name, token):
        """[(path, octets)] of the messages with that."""
        out = []
        for path, _, _ in a.files(name):
            try:
                octets = open(path, "rb").read()
            except FileNotFoundError:
                continue                        # a session moved it to cur/
            if token in octets:
                out.append((path, octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")))
        return out

    def alone(self, a, name):
        """(message, path) of one whose file can be told: it has no copy in the mailbox."""
        folder = a.model.folders[name]
        alive = folder.certain()
        counts = collections.Counter(m.octets for m in alive)
        for m in self.some(m for m in alive if counts[m.octets] == 1 and len(m.now()) == 1):
            found = self.holding(a, name, TOKEN.search(m.octets).group())
            if len(found) == 1:
                return m, found[0][0]
        return None, None

    # ---- acts ----

    def act_delivers(self, a, name):
        """By SMTP, local and a delivery worker: into INBOX."""
        octets = self.message()
        token = TOKEN.search(octets).group()
        act = Arrival(a, "INBOX", f"to {a.user}, number {self.serial}, by SMTP", None, octets, ())

        def do():
            self.suite.send(a.user, octets)
            found = wait_for(lambda: self.holding(a, "INBOX", token), 60, why="a message that was sent arrives")
            act.octets = found[0][1]            # with the fields of its delivery
            return True
        act.do = do
        return act

    def act_adds(self, a, name):
        octets, sub, serial = self.message(), self.rng.choice(("new", "cur")), self.serial
        # One that is \\Deleted may go before anybody is told its UID.
        flags = self.few(f for f in list(SYSTEM)[:5] if f != "\\Deleted") if sub == "cur" else []
        suffix = ":2," + "".join(sorted(SYSTEM[f] for f in flags)) if sub == "cur" else ""
        tmp = os.path.join(a.directory(name), "tmp", f"hand.{serial}")
        with open(tmp, "wb") as out:
            out.write(octets.replace(b"\r\n", b"\n"))
        self.owned(a, tmp)

        def do():
            now = time.time_ns() // 1000
            base = f"{now // 1000000}.M{now % 1000000}P{os.getpid()}Q{serial}.hand"
            os.rename(tmp, os.path.join(a.directory(name), sub, base + suffix))
            return True
        return Arrival(a, name, f"adds number {serial} to {a.user} {name}/{sub} {flags}", do, octets, flags)

    def renames(self, path, new):
        try:
            os.rename(path, new)
        except FileNotFoundError:
            return False                        # a session was faster
        return True

    def act_flags(self, a, name):
        m, path = self.alone(a, name)
        if not m:
            return None
        base, _, letters = os.path.basename(path).partition(":2,")
        flag = self.rng.choice(list(SYSTEM)[:5])
        if m.guess and flag == "\\Deleted":
            return None
        flags = set(next(iter(m.now()))) ^ {flag}
        new = os.path.join(a.directory(name), "cur", base + ":2," + "".join(sorted(set(letters) ^ {SYSTEM[flag]})))
        return Flags(a, name, f"{'+' if flag in flags else '-'}{flag} {a.user} {name} UID {m.uid}",
                     lambda: self.renames(path, new), m, flags)

    def act_removes(self, a, name):
        m, path = self.alone(a, name)
        if not m or m.guess:                    # that one might never get a UID
            return None

        def do():
            try:
                os.unlink(path)
            except FileNotFoundError:
                return False
            return True
        return Removal(a, name, f"removes {a.user} {name} UID {m.uid}", do, m)

    def act_moves(self, a, name):
        """As a client does that reads the Maildir itself: from new/ to cur/."""
        new = [(path, base) for path, base, _ in a.files(name) if f"{os.sep}new{os.sep}" in path]
        if not new:
            return None
        path, base = self.rng.choice(new)
        return Act(a, name, f"moves {base} of {a.user} {name} to cur/",
                   lambda: self.renames(path, os.path.join(a.directory(name), "cur", base + ":2,")))

    def damage(self, path, how):
        try:
            if how == "remove":
                os.unlink(path)
                return True
            size = os.path.getsize(path)
            if how == "cut":
                os.truncate(path, self.rng.randint(0, size))
                return True
            with open(path, "r+b") as f:
                at = self.rng.randrange(max(1, size))
                f.seek(at)
                octet = f.read(1)
                f.seek(at)
                if octet and how == "flip":
                    f.write(bytes([octet[0] ^ 1 << self.rng.randrange(8)]))
                elif octet:
                    f.write(self.rng.randbytes(min(self.rng.choice((1, 8, 64)), size - at)))
        except FileNotFoundError:
            return False
        return True

    def act_index(self, a, name, overlapped=False):
        """The index and the cache can be made again; mod-sequences do not go back."""
        folder = a.model.folders[name]
        path = os.path.join(a.directory(name), self.rng.choice(("hermod.index", "hermod.data", "hermod.cache")))
        how = self.rng.choice(("remove", "remove", "overwrite", "cut", "flip"))
        # Who has it mapped believes what it has checked, and dies of a file that is cut: doc/index-format.md.
        if overlapped or any(s.view and s.view.folder is folder for s in self.sessions):
            how = "remove"
        act = Act(a, name, f"{how}s {a.user} {name} {os.path.basename(path)}", lambda: self.damage(path, how))
        act.begun = lambda: a.model.damaged.add(folder)
        return act

    def act_ledger(self, a, name):
        """One of the two, when both are whole: doc/ledger-format.md."""
        both = [os.path.join(a.directory(name), f) for f in ("hermod.ledger", "hermod.ledger2")]
        path, how = self.rng.choice(both), self.rng.choice(("remove", "remove", "cut", "flip"))
        dice = self.rng.random()

        def do():
            try:
                first, second = (open(p, "rb").read() for p in both)
            except FileNotFoundError:
                return False
            whole = first[64:] == second[64:] and first[:24] == second[:24] and all(
                zlib.crc32(x[:60]) == int.from_bytes(x[60:64], "little") for x in (first, second))
            if not whole:                       # what was done last is not mended yet
                return False
            if how == "remove":
                os.unlink(path)
            elif how == "cut":
                os.truncate(path, int(dice * len(first)))
            else:
                at = int(dice * len(first))
                with open(path, "r+b") as f:
                    f.seek(at)
                    f.write(bytes([(first if path == both[0] else second)[at] ^ 4]))
            return True
        return Act(a, name, f"{how}s {a.user} {name} {os.path.basename(path)}", do)

    def act_lock(self, a, name):
        """Nobody may be within: only between commands, and where nobody idles."""
        if any(s.idling and s.view and s.view.folder is a.model.folders[name] for s in self.sessions):
            return None
        path = os.path.join(a.directory(name), "hermod.lock")
        return Act(a, name, f"removes {a.user} {name} hermod.lock", lambda: self.damage(path, "remove"))

    OVERLAPPED = ((act_delivers, 3), (act_adds, 3), (act_flags, 5), (act_removes, 2), (act_moves, 2), (act_index, 1),
                  (act_ledger, 1))
    BETWEEN = OVERLAPPED + ((act_lock, 1),)

    def act(self, acts, a=None, **how):
        """One that is possible; None."""
        a = a or self.rng.choice(self.accounts)
        name = self.mailbox(a)
        kind = self.rng.choices([k for k, _ in acts], [w for _, w in acts])[0]
        if not os.path.isdir(os.path.join(a.directory(name), "cur")):
            return None                         # INBOX, and nobody has been there yet
        return kind(self, a, name, **(how if kind is Hand.act_index else {}))

    # ---- when ----

    def hand(self):
        act = self.act(self.BETWEEN)
        if not act:
            return
        self.say("hand", act.text)
        if act.do():
            self.tally["acts between commands"] += 1
            act.begun()
            act.over()

    def hand_makes(self):
        """A mailbox, as other programs make them: without a ledger."""
        a = self.rng.choice(self.accounts)
        name = self.name(a)
        if name in a.model.folders or name in a.model.tree.uses or len(a.model.folders) > 20:
            return
        self.say("hand", f"makes {a.user} {name}")
        top = a.directory(name)
        above = [top[:i] for i in range(len(a.path) + 1, len(top)) if top[i] == "/"] if a.layout == "fs" else []
        for path in (*above, top, *(os.path.join(top, sub) for sub in ("tmp", "new", "cur"))):
            if not os.path.isdir(path):
                os.mkdir(path)
                self.owned(a, path, 0o700)
        self.tree_changed(a, ("CREATE", name), "OK")

    def overlap(self, s):
        """A command, and an act while it is under way."""
        act = self.act(self.OVERLAPPED, s.account, overlapped=True)
        if not act:
            return self.command(s)
        if not s.view or self.rng.random() < 0.15:
            parts, after = None, None
        else:
            parts, after = self.choose(s)
            if re.search(r":\*|UNCHANGEDSINCE|^(CREATE|DELETE|RENAME) ", parts[0]):
                return self.command(s)
            parts = self.unsynced(parts)
        delay, failed = self.rng.random() ** 2 * 0.005, []

        def run():
            time.sleep(delay)
            try:
                act.done = act.do()
            except BaseException as e:          # said where the test runs
                failed.append(e)
        t = threading.Thread(target=run)
        t.start()
        try:
            if parts is None:
                self.select(s, lambda: self.joined(t, failed, act))
            else:
                self.say(s.n, "& " + self.show(parts))
                c = s.client.cmd(*parts)
        finally:
            t.join()
        if parts is not None:
            self.joined(t, failed, act)
            self.say(s.n, f"&    {c.done}"[:200])
            self.reconcile(s, act, c, after)
        elif act.done:
            act.over()
        return None

    def joined(self, t, failed, act):
        t.join()
        if failed:
            raise failed[0]
        self.say("hand", f"& {act.text}" + ("" if act.done else ": too late"))
        if act.done:
            self.tally["acts during commands"] += 1
            act.begun()

    def reconcile(self, s, act, c, after):
        model = s.account.model
        after(c)
        how = None
        for kind, _, uids, change in (m for m in getattr(after, "maybe", ()) if m[0] == "flags"):
            m = getattr(act, "m", None)
            if kind and m and s.view.folder is act.folder and not s.view.readonly and m.uid in uids:
                how = change
        mine = s.view and s.view.folder is act.folder
        if mine and act.done:
            s.view.told(model.level(c))
        if act.done:
            act.over(how, c.ok)
        if mine and act.done:
            model.check(s.box, s.view)
        else:
            self.check(s, c)
