# SPDX-License-Identifier: ISC
"""
Random commands of several sessions on two accounts, with a hand at work in the Maildirs, damage and kills in between;
a model says whether what each session sees is possible, and at quiet points the disk has to agree.

A run is told by its seed. `pytest tests/test_imap_model.py --imap-seed N --imap-commands M` has the same commands
again; when they meet is up to the machine only where a session idles or is killed within a command.
"""
import collections
import os
import random
import re
import time

import pytest

from hermodtest import proc
from hermodtest.imap import Broken, Folder, Literal, Model, digest, expand, ranges, set_text
from hermodtest.suite import Suite, sanitized
from hermodtest.proc import wait_for

MAILBOXES = ("INBOX", "Sent", "Trash", "Drafts")
SYSTEM = {"\\Answered": "R", "\\Flagged": "F", "\\Deleted": "T", "\\Seen": "S", "\\Draft": "D", "$Forwarded": "P"}
KEYWORDS = ["$Forwarded", "$Work", "Junk", "NonJunk", "$MDNSent"] + [f"k{i}" for i in range(8)]
SESSIONS = 10
CROWD = 30                      # messages from which on a mailbox loses more than it gets
QUIET = 40                      # commands from one quiet point to the next
LOST = (EOFError, ConnectionError, BrokenPipeError)


class Said:
    """An answer, for one of the messages that it was about."""

    def __init__(self, name, **codes):
        self.done, self.codes = self, codes
        self.name = name

    def code(self, name):
        return self.codes.get(name)


class Store(Model):
    """The model, with what others do in the Maildir: it has no UIDs to tell, they are given by who looks first."""

    def __init__(self):
        super().__init__()
        self.folders = {name: Folder() for name in MAILBOXES}
        self.damaged = set()            # folders whose index was, and not all sessions have looked again

    def add(self, folder, uid, flags, date, octets):
        if uid is None:
            return super().add(folder, None, flags, date, octets)
        # Guessed UIDs at or above one that was told: nobody had looked at those yet.
        later = sorted((m for m in folder.messages.values() if m.guess and m.uid >= uid), key=lambda m: m.uid)
        if later:
            for m in later:
                del folder.messages[m.uid]
            folder.uidnext = min(folder.uidnext, later[0].uid)
        m = super().add(folder, uid, flags, date, octets)
        for g in later:
            g.uid = folder.uidnext
            folder.messages[g.uid] = g
            folder.uidnext += 1
        return m

    def check_slot(self, folder, session, s, m, level):
        if folder in self.damaged:              # who sees nothing happen does not look: Mirror knows what it was told
            m.modseq = (0, 0)
        if not m.limbo:                         # else it may be gone, and not to be told of
            super().check_slot(folder, session, s, m, level)

    def change(self, folder, m, flags):
        folder.event += 1
        m.values.append((folder.event, frozenset([frozenset(flags)])))

    def remove(self, folder, m):
        folder.event += 1
        m.died, m.limbo = folder.event, False


class Account:
    def __init__(self, user, maildir):
        self.user, self.path = user, maildir
        self.model = Store()
        self.uid_state = {}

    def directory(self, name):
        return self.path if name == "INBOX" else os.path.join(self.path, "." + name)

    def files(self, name):
        """[(path, base name, letters)]"""
        out = []
        for sub in ("new", "cur"):
            folder = os.path.join(self.directory(name), sub)
            for f in os.listdir(folder):
                if not f.startswith("."):
                    base, _, letters = f.partition(":2,")
                    out.append((os.path.join(folder, f), base, letters))
        return sorted(out)

    def letters(self, name):
        """Which keyword a letter stands for in the mailbox: doc/ledger-format.md."""
        out = {v: k for k, v in SYSTEM.items()}
        try:
            for line in open(os.path.join(self.directory(name), "hermod.keywords")):
                if re.match("[a-z] ", line):
                    out[line[0]] = line[2:].rstrip("\n")
        except FileNotFoundError:
            pass
        return out


class Session:
    def __init__(self, n, account):
        self.n, self.account = n, account
        self.client = self.view = self.name = None
        self.idling = False
        self.saved = None

    @property
    def box(self):
        return self.client.box

    def known(self):
        """Whether the UID and flags of every message are."""
        return self.view and all(s.uid is not None and s.flags is not None for s in self.box.slots)


class Run:
    def __init__(self, suite, seed, commands):
        self.suite, self.seed, self.commands = suite, seed, commands
        self.rng = random.Random(seed)
        self.accounts = [Account(u, suite.maildir(u).path) for u in ("anna", "bert")]
        self.history = collections.deque(maxlen=60)
        self.serial = self.done = 0
        self.sessions = [Session(i, self.accounts[i % 2]) for i in range(SESSIONS)]

    # ---- words ----

    def say(self, who, what):
        self.history.append(f"{self.done:6} {who}: {what}")

    def some(self, things, least=0):
        things = list(things)
        return self.rng.sample(things, self.rng.randint(min(least, len(things)), len(things)))

    def few(self, things):
        things = list(things)
        return self.rng.sample(things, min(len(things), self.rng.choice((1, 1, 1, 2, 3))))

    def flags(self):
        return self.few(list(SYSTEM)[:5] + self.few(KEYWORDS))

    def message(self):
        """A message that no other is like."""
        self.serial += 1
        body = "\r\n".join("." * self.rng.randint(0, 70) + str(self.rng.random())
                           for _ in range(self.rng.choice((0, 1, 3, 20, 300))))
        return (f"From: a{self.serial}@client.test\r\nSubject: number {self.serial}\r\n"
                f"Message-ID: <{self.seed}.{self.serial}@client.test>\r\n\r\n{body}\r\n").encode()

    def mailbox(self):
        return self.rng.choice(MAILBOXES + ("INBOX",))

    # ---- connections ----

    def connect(self, s):
        end = time.monotonic() + 60
        while True:
            try:
                s.client = self.suite.imap(s.account.user, uid_state=s.account.uid_state)
                break
            except (*LOST, Broken, OSError):
                if time.monotonic() > end:      # becomes that were killed are replaced soon
                    raise
                time.sleep(0.1)
        s.view = s.name = s.saved = None
        s.idling = False
        self.say(s.n, "connected")

    def lose(self, s):
        if s.view:
            s.account.model.leave(s.view)
        if s.client:
            s.client.close()
        s.client = s.view = s.name = s.saved = None
        s.idling = False

    # ---- sets of messages ----

    def target(self, s):
        """(text, uids, "UID " or "")"""
        slots = s.box.slots
        chosen = sorted(self.few(range(len(slots))) if self.rng.random() < 0.6 else self.some(range(len(slots)), 1))
        uids = [slots[i].uid for i in chosen]
        by_uid = self.rng.random() < 0.6
        if s.saved is not None and self.rng.random() < 0.3:
            return "$", [u for u in s.box.uids() if u in s.saved], "UID " if by_uid else ""
        # What * is, the server knows better than a session that lags behind.
        if self.rng.random() < 0.3 and \
                {None if m.guess else m.uid for m in s.view.folder.alive()} == set(s.box.uids()):
            first = self.rng.randrange(len(slots))
            return (f"{slots[first].uid if by_uid else first + 1}:*", [x.uid for x in slots[first:]],
                    "UID " if by_uid else "")
        if by_uid:
            return set_text(uids), uids, "UID "
        return set_text(i + 1 for i in chosen), uids, ""

    # ---- commands: each is (parts, what it does to the model) ----

    def op_noop(self, s):
        return (self.rng.choice(("NOOP", "NOOP", "CHECK")) if s.view else "NOOP",), lambda c: self.must_ok(c)

    def op_fetch(self, s):
        text, uids, uid = self.target(s)
        section = self.rng.choice(("", "HEADER", "TEXT", "HEADER.FIELDS (SUBJECT)", "HEADER.FIELDS.NOT (FROM)", "1"))
        partial = self.rng.choice(("", "", f"<{self.rng.randint(0, 300)}.{self.rng.randint(1, 400)}>"))
        peek = f"BODY.PEEK[{section}]{partial}"
        items = self.some(("FLAGS", "UID", "RFC822.SIZE", "INTERNALDATE", "ENVELOPE", "BODYSTRUCTURE", "BODY",
                           "RFC822.HEADER", "MODSEQ", peek), 1)
        seen = self.rng.random() < 0.15
        if seen:
            items = [i for i in items if i != peek]
            items.append(self.rng.choice(("RFC822", "RFC822.TEXT", f"BODY[{section}]{partial}")))
        how = f" (CHANGEDSINCE {self.modseq(s)})" if self.rng.random() < 0.1 else ""
        if how:
            seen, items = False, ["UID", "FLAGS", "MODSEQ"]

        def after(c):
            self.ok_or_gone(s, c, uids)
            if seen:
                s.account.model.store(s.view, uids, "+", ["\\Seen"], c)
        return (f"{uid}FETCH {text} ({' '.join(items)}){how}",), after

    def modseq(self, s):
        known = [x.modseq for x in s.box.slots if x.modseq]
        return max(1, self.rng.choice(known or [1]) + self.rng.choice((-1, 0, 0, 1)))

    def op_store(self, s):
        text, uids, uid = self.target(s)
        sign, silent = self.rng.choice("+- "), self.rng.choice(("", ".SILENT"))
        flags = self.flags()
        if sign == " ":
            sign = ""
            flags = self.some(flags)
        since = self.modseq(s) if self.rng.random() < 0.15 else None
        condition = "" if since is None else f" (UNCHANGEDSINCE {since})"
        before = {x.uid: x.modseq for x in s.box.slots}
        numbers = s.box.uids()

        def after(c):
            modified = c.code("MODIFIED") or ()
            modified = [n if uid else numbers[n - 1] for n in expand(modified)] if modified else []
            if s.view.readonly:
                return self.must_no(c)
            if not set(modified) <= set(uids):
                raise Broken(f"MODIFIED of {modified}, where {uids} were to change (RFC 7162 section 3.1.3)")
            there = {m.uid for m in s.view.folder.certain()}
            late = [u for u in uids if since is not None and u in there and (before[u] or 0) > since]
            if c.ok and not set(late) <= set(modified):
                raise Broken(f"{late} have changed, MODIFIED is {modified} (RFC 7162 section 3.1.3)")
            self.ok_or_gone(s, c, uids)
            s.account.model.store(s.view, uids, sign, flags, c, modified)
        after.maybe = [("flags", s.name, uids, {"+": lambda v: v | set(flags), "-": lambda v: v - set(flags),
                                                "": lambda v: frozenset(flags)}[sign])]
        return (f"{uid}STORE {text}{condition} {sign}FLAGS{silent} ({' '.join(flags)})",), after

    KEYS = [("ALL", lambda f: True)] + [
        (word, lambda f, flag=flag: flag in f) for word, flag in
        (("ANSWERED", "\\Answered"), ("DELETED", "\\Deleted"), ("DRAFT", "\\Draft"), ("FLAGGED", "\\Flagged"),
         ("SEEN", "\\Seen"), ("KEYWORD $Work", "$Work"), ("KEYWORD k3", "k3"))] + [
        (word, lambda f, flag=flag: flag not in f) for word, flag in
        (("UNANSWERED", "\\Answered"), ("UNDELETED", "\\Deleted"), ("UNDRAFT", "\\Draft"), ("UNFLAGGED", "\\Flagged"),
         ("UNSEEN", "\\Seen"), ("UNKEYWORD junk", "Junk"))]

    def key(self, depth=0):
        """(text, predicate over flags)"""
        x = self.rng.random()
        if depth < 2 and x < 0.1:
            text, one = self.key(depth + 1)
            return f"NOT {text}", lambda f: not one(f)
        if depth < 2 and x < 0.25:
            (a, one), (b, two) = self.key(depth + 1), self.key(depth + 1)
            return (f"OR {a} {b}", lambda f: one(f) or two(f)) if x < 0.18 else \
                (f"({a} {b})", lambda f: one(f) and two(f))
        return self.rng.choice(self.KEYS)

    def op_search(self, s):
        key, matches = self.key()
        within = None
        if self.rng.random() < 0.4:
            text, within, by_uid = self.target(s)
            key = (f"{text} " if text == "$" or not by_uid else f"UID {text} ") + key
        uid = self.rng.choice(("", "UID "))
        if within is not None and text != "$" and not by_uid:
            uid = ""                            # with UID SEARCH the numbers might be others by then
        wants = self.some(("MIN", "MAX", "ALL", "COUNT", "SAVE")) if self.rng.random() < 0.6 else None
        text = f"{uid}SEARCH " + (f"RETURN ({' '.join(wants)}) " if wants is not None else "") + key

        def after(c):
            self.ok_or_gone(s, c, within or ())
            if wants is not None and "SAVE" in wants and not c.ok:
                s.saved = set() if c.done.name == "NO" else s.saved     # RFC 5182 section 2.1
            if not c.ok or not s.known():
                if wants is not None and "SAVE" in wants:
                    s.saved = None
                return
            self.found(s, c, uid, wants, [x for x in s.box.slots if matches(x.flags)
                                          and (within is None or x.uid in within)])
        return (text,), after

    def found(self, s, c, uid, wants, slots):
        """Messages that are gone, but not yet told of, may be found or not."""
        sure = {m.uid for m in s.view.folder.certain()}
        exact = all(x.uid in sure for x in s.box.slots)
        uids = [x.uid for x in slots]
        name = (lambda u: u) if uid else s.box.number
        numbers = [name(u) for u in uids]
        if wants is not None and "SAVE" in wants:
            only = set(wants) & {"MIN", "MAX"} if not set(wants) & {"ALL", "COUNT"} else ()
            kept = uids if not only else [u for k, u in (("MIN", uids[:1]), ("MAX", uids[-1:])) if k in only for u in u]
            s.saved = set(kept) if exact else None
        if not exact:
            return
        if wants is None:
            want, got = numbers, sorted(n for r in c.of("SEARCH") for n in r.data.numbers)
        else:
            full = {"MIN": numbers[:1] and numbers[0], "MAX": numbers[:1] and numbers[-1], "ALL": ranges(numbers),
                    "COUNT": len(numbers)}
            asked = set(wants) - {"SAVE"} or ({"ALL"} if not wants else set())
            want = {k: full[k] for k in asked if numbers or k == "COUNT"}
            answers = c.of("ESEARCH")
            got = {k: v for k, v in (answers[0].data.items if answers else {}).items() if k != "MODSEQ"}
            if "ALL" in got:
                got["ALL"] = ranges(expand(got["ALL"]))
        if want != got:
            raise Broken(f"SEARCH found {got}, should have {want} (RFC 3501 section 6.4.4, RFC 4731)")

    def op_copy(self, s):
        text, uids, uid = self.target(s)
        name = self.mailbox()
        move = self.rng.random() < 0.4
        if len(s.account.model.folders[name].alive()) > CROWD and not (move and name == s.name):
            uids = uids[:1] or [s.box.uids()[0]]
            text, uid = set_text(uids), "UID "

        def after(c, raced=False):
            nonlocal uids
            if not c.ok and c.done.name != "NO":
                raise Broken(f"COPY: {c.done}")
            if raced and move and c.ok:         # each message is moved by one of them; it says which it has got
                said = c.code("COPYUID")
                uids = expand(said[1]) if said else []
            if not s.view.readonly or not move:
                self.ok_or_gone(s, c, uids)
            s.account.model.copy(s.view, uids, name, c, move=move)
        after.maybe = [("new", name, uids, s.name)] + ([("gone", s.name, uids)] if move else [])
        return (f"{uid}{'MOVE' if move else 'COPY'} {text} {name}",), after

    def op_append(self, s):
        name, messages, parts = self.mailbox(), [], []
        for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
            flags = self.flags() if self.rng.random() < 0.5 else []
            date = None
            text = f" ({' '.join(flags)})" if flags or self.rng.random() < 0.2 else ""
            if self.rng.random() < 0.3:
                text += f' "{self.rng.randint(1, 28):2}-Feb-20{self.rng.randint(10, 26)} 10:11:12 +0100"'
            octets = self.message()
            parts += [text + " ", Literal(octets, sync=self.rng.random() < 0.5)]
            messages.append((octets, flags, date))

        def after(c):
            said = c.code("APPENDUID")
            uids = expand(said[1]) if said else [None] * len(messages)
            if len(uids) != len(messages):
                raise Broken(f"APPENDUID {said} of {len(messages)} messages (RFC 3502)")
            for (octets, flags, date), uid in zip(messages, uids):
                answer = c if said is None else Said(c.done.name, APPENDUID=(said[0], ((uid, uid),)))
                s.account.model.append(name, octets, flags, date, answer)
        after.maybe = [("appended", name, messages)]
        return (f"APPEND {name}", *parts), after

    def op_expunge(self, s):
        if self.rng.random() < 0.5:
            text, uids, uid = self.target(s)
            if uid and text:
                after = lambda c: self.expunged(s, c, uids)      # noqa: E731
                after.maybe = [("gone", s.name, uids)]
                return (f"UID EXPUNGE {text}",), after
        after = lambda c: self.expunged(s, c, None)              # noqa: E731
        after.maybe = [("gone", s.name, None)]
        return ("EXPUNGE",), after

    def expunged(self, s, c, uids):
        if s.view.readonly:
            return self.must_no(c)
        return s.account.model.expunge(s.view, c, uids)

    def op_status(self, s):
        name = self.mailbox()
        items = self.some(("MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY", "RECENT", "SIZE", "HIGHESTMODSEQ"), 1)
        if name == s.name and s.account.model.folders[name] in s.account.model.damaged:
            items = [i for i in items if i != "HIGHESTMODSEQ"] or ["UIDNEXT"]       # as in Store.check_slot

        def after(c):
            self.must_ok(c)
            s.account.model.check_status(name, c.of("STATUS")[0].data[1])
        return (f"STATUS {name} ({' '.join(items)})",), after

    def op_enable(self, s):
        return ("ENABLE CONDSTORE",), self.must_ok

    def must_ok(self, c):
        if not c.ok:
            raise Broken(f"{c}: {c.done}")

    def must_no(self, c):
        if c.done.name != "NO":
            raise Broken(f"{c}: {c.done}")

    def ok_or_gone(self, s, c, uids):
        """Only for messages that are gone there is a NO."""
        there = {m.uid for m in s.view.folder.certain()}
        if not c.ok and set(uids) <= there:
            raise Broken(f"{c}: {c.done}")

    # ---- sessions do ----

    def select(self, s):
        name, readonly = self.mailbox(), self.rng.random() < 0.2
        self.say(s.n, f"{'EXAMINE' if readonly else 'SELECT'} {name}")
        if s.view:
            s.account.model.leave(s.view)
        s.view = s.saved = None
        s.client.ok(f"{'EXAMINE' if readonly else 'SELECT'} {name}"
                    + (" (CONDSTORE)" if self.rng.random() < 0.2 else ""))
        s.saved = set()
        s.view, s.name = s.account.model.select(name, s.box, readonly), name

    def close(self, s):
        word = self.rng.choice(("CLOSE", "UNSELECT"))
        self.say(s.n, word)
        s.client.ok(word)
        if word == "CLOSE":
            s.account.model.expunge(s.view, "OK")
            # Whether it took what nobody had told the session of is seen by who looks next.
        s.account.model.leave(s.view)
        s.view = s.name = s.saved = None

    OPS = ((op_fetch, 20), (op_store, 22), (op_search, 12), (op_copy, 12), (op_append, 8), (op_expunge, 7),
           (op_noop, 6), (op_status, 4), (op_enable, 1))

    def choose(self, s):
        ops = [(o, w) for o, w in self.OPS if s.view or o in (Run.op_append, Run.op_noop, Run.op_status)]
        full = len(s.view.folder.alive()) > CROWD if s.view else False
        ops = [(o, w * 4 if full and o is Run.op_expunge else w) for o, w in ops]
        op = self.rng.choices([o for o, _ in ops], [w for _, w in ops])[0]
        if op in (Run.op_fetch, Run.op_store, Run.op_search, Run.op_copy, Run.op_expunge):
            if not s.box.count:
                op = self.rng.choice((Run.op_append, Run.op_noop))
            elif not all(x.uid is not None for x in s.box.slots):
                return ("UID FETCH 1:* (UID FLAGS)",), self.must_ok
        return op(self, s)

    def show(self, parts):
        return "".join(p if isinstance(p, str) else f"{{{len(p.octets)}}}" for p in parts)[:300]

    def command(self, s):
        parts, after = self.choose(s)
        self.say(s.n, self.show(parts))
        c = s.client.cmd(*parts)
        self.say(s.n, f"    {c.done}"[:200])
        after(c)
        self.check(s, c)

    def check(self, s, c):
        if s.view:
            s.account.model.check(s.box, s.view, after=c)

    def pipeline(self, s):
        """Without removals before the last: the numbers of the others were chosen before."""
        few = (Run.op_fetch, Run.op_store, Run.op_append, Run.op_search) if s.known() and s.box.count \
            else (Run.op_append,)
        ops = [op(self, s) for op in self.rng.choices(few, k=3)]
        # $ and UIDs of a later one are those of an earlier one's results and must not depend on it.
        # Numbers are those of before a UID command, which may tell of removals.
        ops = [o for i, o in enumerate(ops) if i == 0 or o[0][0].startswith(("UID ", "APPEND"))]
        ops = [o for o in ops if "$" not in self.show(o[0][:1]) and "SAVE" not in self.show(o[0][:1])
               and not ("APPEND" in self.show(o[0][:1]) and s.view)] + [self.op_noop(s)]
        for parts, _ in ops:
            self.say(s.n, "| " + self.show(parts))
        done = s.client.pipeline(*[parts for parts, _ in ops])
        searches = [c for c in done if "SEARCH" in c.name]
        for (_, after), c in zip(ops, done):
            if c not in searches:               # flags of its time are not known any more
                after(c)
        self.check(s, done[-1])

    def idle(self, s):
        self.say(s.n, "IDLE")
        s.client.idle()
        s.idling = True

    def end_idle(self, s):
        self.say(s.n, "DONE")
        c = s.client.done()
        s.idling = False
        self.check(s, c)

    # ---- several at once: only what comes to the same in any order, or tells its order ----

    KINDS = ((op_append, op_copy, op_copy), (op_store, op_store, op_append), (op_expunge, op_fetch, op_search))

    def at_once(self):
        a, kind = self.rng.choice(self.accounts), self.rng.choice(self.KINDS)
        able = [s for s in self.sessions if s.account is a and s.view and not s.idling and s.known() and s.box.count]
        if len(able) < 2:
            return
        ops = []
        for s in self.rng.sample(able, min(len(able), self.rng.choice((2, 2, 3, 4)))):
            parts, after = self.rng.choice(kind)(self, s)
            text = self.show(parts[:1])
            # What * is, is up to the others. Adding flags comes to the same in any order; "-" and "=" do not.
            if re.search(r"STORE .*( FLAGS|-FLAGS|UNCHANGEDSINCE)|:\*|BODY\[|RFC822([ )]|\.TEXT)", text):
                continue
            ops.append((s, tuple(Literal(p.octets, sync=False) if isinstance(p, Literal) else p for p in parts), after))
        started = []
        for s, parts, after in ops:
            self.say(s.n, "= " + self.show(parts))
            s.client.uid_state = {}             # what is read late is no step back
            started.append((s, s.client.start(*parts), after))
        for s, c, _ in started:
            s.client.finish(c)
            self.say(s.n, f"=    {c.done}"[:200])
            for name, known in s.client.uid_state.items():
                for what, value in known.items():
                    mine = a.uid_state.setdefault(name, {})
                    mine[what] = max(value, mine.get(what, 0))
            s.client.uid_state = a.uid_state
        # In the order of their UIDs; who found something gone comes behind who took it.
        for _, c, after in sorted(started, key=lambda x: self.place(x[1])):
            after(c, True) if "MOVE" in c.name else after(c)
        for s, _, _ in started:
            self.check(s, s.client.ok("NOOP"))

    def place(self, c):
        uids = c.code("COPYUID") or c.code("APPENDUID")
        return (not c.ok, c.name not in ("EXPUNGE", "UID EXPUNGE"), not uids, uids[-1][0][0] if uids else 0)

    # ---- a hand in the Maildir ----

    def deliver(self):
        a = self.rng.choice(self.accounts)
        octets = self.message()
        self.say("smtp", f"to {a.user}, number {self.serial}")
        self.suite.send(a.user, octets)
        token = f"<{self.seed}.{self.serial}@".encode()
        path = wait_for(lambda: self.holding(a, "INBOX", token), 60, why="a message that was sent arrives")
        a.model.append("INBOX", path[0][1], (), None, "OK")

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
            token = re.search(rb"<[0-9]+\.[0-9]+@", m.octets).group()
            found = self.holding(a, name, token)
            if len(found) == 1:
                return m, found[0][0]
        return None, None

    def hand_adds(self, a, name):
        octets, sub = self.message(), self.rng.choice(("new", "cur"))
        # One that is \\Deleted may go before anybody is told its UID.
        flags = self.few(f for f in list(SYSTEM)[:5] if f != "\\Deleted") if sub == "cur" else []
        now = time.time_ns() // 1000
        base = f"{now // 1000000}.M{now % 1000000}P{os.getpid()}Q{self.serial}.hand"
        suffix = ":2," + "".join(sorted(SYSTEM[f] for f in flags)) if sub == "cur" else ""
        self.say("hand", f"adds number {self.serial} to {a.user} {name}/{sub} {flags}")
        tmp = os.path.join(a.directory(name), "tmp", base)
        with open(tmp, "wb") as out:
            out.write(octets.replace(b"\r\n", b"\n"))
        self.owned(a, tmp)
        os.rename(tmp, os.path.join(a.directory(name), sub, base + suffix))
        a.model.append(name, octets, flags, None, "OK")

    def owned(self, a, path):
        st = os.stat(a.path)
        if os.geteuid() == 0:
            os.chown(path, st.st_uid, st.st_gid)
        os.chmod(path, 0o600)

    def hand_flags(self, a, name):
        m, path = self.alone(a, name)
        if not m:
            return
        base, _, letters = os.path.basename(path).partition(":2,")
        flag = self.rng.choice(list(SYSTEM)[:5])
        if m.guess and flag == "\\Deleted":
            return
        flags = set(next(iter(m.now()))) ^ {flag}
        changed = set(letters) ^ {SYSTEM[flag]}
        self.say("hand", f"{'+' if flag in flags else '-'}{flag} {a.user} {name} UID {m.uid}")
        try:
            os.rename(path, os.path.join(a.directory(name), "cur", base + ":2," + "".join(sorted(changed))))
        except FileNotFoundError:
            return                              # a session that idles was faster
        a.model.change(a.model.folders[name], m, flags)

    def hand_removes(self, a, name):
        m, path = self.alone(a, name)
        if not m or m.guess:                    # that one might never get a UID
            return
        self.say("hand", f"removes {a.user} {name} UID {m.uid}")
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        a.model.remove(a.model.folders[name], m)

    def hand(self):
        a, name = self.rng.choice(self.accounts), self.mailbox()
        try:
            os.listdir(os.path.join(a.directory(name), "cur"))
        except FileNotFoundError:
            return                              # nobody has been there yet
        self.rng.choice((self.hand_adds, self.hand_flags, self.hand_flags, self.hand_removes))(a, name)

    def damage(self):
        """The index and the cache can be made again; mod-sequences do not go back."""
        a, name = self.rng.choice(self.accounts), self.mailbox()
        path = os.path.join(a.directory(name), self.rng.choice(("hermod.index", "hermod.data")))
        how = self.rng.choice(("remove", "remove", "overwrite", "truncate"))
        # Who has it mapped believes what it has checked, and dies of a file that is cut: doc/index-format.md.
        if any(s.view and s.view.folder is a.model.folders[name] for s in self.sessions):
            how = "remove"
        self.say("hand", f"{how}s {a.user} {name} {os.path.basename(path)}")
        a.model.damaged.add(a.model.folders[name])
        try:
            if how == "remove":
                return os.unlink(path)
            size = os.path.getsize(path)
            if how == "truncate":
                return os.truncate(path, self.rng.randint(0, size))
            with open(path, "r+b") as f:
                f.seek(self.rng.randint(0, max(0, size - 8)))
                f.write(self.rng.randbytes(self.rng.choice((1, 8, 64))))
        except FileNotFoundError:
            return

    # ---- kills ----

    def process_of(self, s):
        """The imapd that has this session: its socket is the other end of the client's."""
        port = s.client.s.getsockname()[1]
        inodes = []
        for line in open("/proc/net/tcp").read().splitlines()[1:]:
            f = line.split()
            if int(f[1].split(":")[1], 16) == self.suite.imap_port and int(f[2].split(":")[1], 16) == port:
                inodes.append(f"socket:[{f[9]}]")
        for p in self.suite.processes("imapd"):
            if set(inodes) & set(p.fds().values()):
                return p
        return None

    def kill_session(self, s):
        """Mostly within a command."""
        p = self.process_of(s)
        if not p:
            return
        if self.rng.random() < 0.3 or s.idling:
            self.say(s.n, "kill -9")
            p.kill()
            wait_for(lambda: not p.alive(), 20)
            return self.lose(s)
        parts, after = self.choose(s)
        parts = tuple(Literal(x.octets, sync=False) if isinstance(x, Literal) else x for x in parts)
        self.say(s.n, f"kill -9 within {self.show(parts)}")
        try:
            c = s.client.start(*parts)
            time.sleep(self.rng.random() ** 3 * 0.02)
            p.kill()
            wait_for(lambda: not p.alive(), 20)
            s.client.finish(c)
        except LOST:
            pass
        if c.done:
            self.say(s.n, f"    {c.done}"[:200])
            after(c)
            self.lose(s)
        else:
            a, view, name = s.account, s.view, s.name
            self.lose(s)
            self.settle(a, getattr(after, "maybe", [("flags", name, None, lambda v: v | {"\\Seen"})] if view else []))

    def settle(self, a, maybe):
        """What an interrupted command may have done is looked at, and becomes certain."""
        for name in {m[1] for m in maybe}:
            with self.suite.imap(a.user, uid_state=a.uid_state) as c:
                c.ok(f"EXAMINE {name}")
                if c.box.count:
                    c.ok("UID FETCH 1:* (UID FLAGS BODY.PEEK[])")
                self.adopt(a, name, c, [m for m in maybe if m[1] == name])

    def adopt(self, a, name, c, maybe):
        folder = a.model.folders[name]
        seen = {x.uid: x for x in c.box.slots}
        candidates = self.arrivals(maybe, a)
        folder.event += 1
        told = min([m.uid for m in folder.alive() if m.guess] + [folder.uidnext])
        self.bind(folder, seen)
        for m in list(folder.certain()):
            x = seen.get(m.uid)
            gone_fine = any(k[0] == "gone" and (k[2] is None or m.uid in k[2]) for k in maybe)
            if x is None:
                if not gone_fine:
                    raise Broken(f"UID {m.uid} of {name} is lost by a kill")
                m.died = folder.event
                continue
            flags = x.flags - {"\\Recent"}
            fine = set(m.now())
            for k in maybe:
                if k[0] == "flags" and (k[2] is None or m.uid in k[2]):
                    fine |= {frozenset(k[3](set(v))) for v in m.now()}
            if flags not in fine:
                raise Broken(f"UID {m.uid} of {name} has {sorted(flags)} after a kill")
            if m.now() != frozenset([flags]):
                m.values.append((folder.event, frozenset([flags])))
                m.modseq = (0, 0)               # of which of them it was is not known
        for uid in sorted(seen):
            if uid in folder.messages:
                continue
            body = seen[uid].static["BODY[]"]
            octets = candidates.get(body if isinstance(body, tuple) else digest(body))
            if octets is None:
                raise Broken(f"UID {uid} of {name} is of nobody")
            above = folder.uidnext
            if uid >= told:                     # what came besides, and was not told of, may have the next ones
                folder.uidnext = min(above, uid)
            a.model.add(folder, uid, seen[uid].flags - {"\\Recent"}, None, octets)
            folder.uidnext = max(above, uid + 1)
        folder.messages = dict(sorted(folder.messages.items()))

    def bind(self, folder, seen):
        """UIDs that were guessed, by what the messages are."""
        guesses = [m for m in folder.alive() if m.guess]
        for m in guesses:
            del folder.messages[m.uid]
        folder.uidnext = max(list(folder.messages) + [0]) + 1 if guesses else folder.uidnext
        for m in guesses:
            fits = [u for u, x in seen.items() if u not in folder.messages
                    and x.static["BODY[]"] in (digest(m.octets), m.octets)]
            if not fits:
                raise Broken(f"a message that came as UID {m.uid} or so is lost by a kill")
            m.uid, m.guess = fits[0], False
            folder.messages[m.uid] = m
        folder.messages = dict(sorted(folder.messages.items()))
        folder.uidnext = max([folder.uidnext] + [u + 1 for u in folder.messages])

    def arrivals(self, maybe, a=None):
        """{digest: octets} of messages that may have come."""
        out = {}
        for k in maybe:
            if k[0] == "appended":
                out.update((digest(o), o) for o, _, _ in k[2])
            elif k[0] == "new":
                source = (a or self.accounts[0]).model.folders[k[3]]
                out.update((digest(m.octets), m.octets) for m in source.messages.values() if m.uid in k[2])
        return out

    def kill_become(self):
        """Its sessions end with it."""
        sessions = self.suite.processes("imapd")
        self.say("-", f"kill -9 of {self.suite.kill('become')} become")
        wait_for(lambda: not [p for p in sessions if p.alive()], 20, why="sessions end with become")
        for s in self.sessions:
            self.lose(s)
        self.connect(self.sessions[0])          # until it is back a delivery would be put off

    def kill_all(self):
        self.say("-", "kill -9 of all, and start")
        for s in self.sessions:
            self.lose(s)
        for p in self.suite.processes():
            p.kill()
        wait_for(lambda: not self.suite.left(), 20)
        self.suite.start()

    # ---- quiet points ----

    def quiet(self):
        self.say("-", "quiet")
        for s in self.sessions:
            if s.idling:
                self.end_idle(s)
        self.mend()
        for s in [s for s in self.sessions if s.view]:
            self.check(s, s.client.ok("NOOP"))
            if s.box.count:
                self.check(s, s.client.ok("UID FETCH 1:* (UID FLAGS MODSEQ)"))
                self.changed_since(s)
            self.same(s)
        for a in self.accounts:
            a.model.damaged.clear()
            for name in MAILBOXES:
                self.disk(a, name)

    def mend(self):
        """A session that has all to learn finds the damage; then something happens that the others see."""
        for a in self.accounts:
            for name in MAILBOXES:
                if a.model.folders[name] in a.model.damaged:
                    with self.suite.imap(a.user, uid_state=a.uid_state) as c:
                        c.ok(f"EXAMINE {name}")
                    os.utime(os.path.join(a.directory(name), "cur"))

    def changed_since(self, s):
        since = self.modseq(s)
        want = [x.uid for x in s.box.slots if x.modseq > since]
        c = s.client.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since})")
        got = sorted(r.data["UID"] for r in c.of("FETCH"))
        if got != want:
            raise Broken(f"CHANGEDSINCE {since}: {got}, should be {want} (RFC 7162 section 3.1.4.1)")
        self.check(s, c)

    def same(self, s):
        """Mirror and model are equal."""
        folder = s.view.folder
        limbo = [m.uid for m in folder.alive() if m.limbo or len(m.now()) > 1]
        want = {m.uid: set(next(iter(m.now()))) for m in folder.alive()}
        got = {x.uid: set(x.flags - {"\\Recent"}) for x in s.box.slots}
        if limbo or want != got:
            raise Broken(f"{s.account.user} {s.name}: seen is {got}, should be {want}; uncertain {limbo}")

    def disk(self, a, name):
        """Files, with their flags, against the model."""
        folder = a.model.folders[name]
        if not os.path.isdir(os.path.join(a.directory(name), "cur")):
            assert not folder.alive(), f"{a.user} {name} is not there"
            return
        letters = a.letters(name)
        got, want = collections.Counter(), collections.Counter()
        for path, _, have in a.files(name):
            octets = open(path, "rb").read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            got[(re.search(rb"<[0-9]+\.[0-9]+@", octets).group(), hash(octets),
                 frozenset(letters.get(x, x) for x in have))] += 1
        if any(m.limbo or len(m.now()) > 1 for m in folder.alive()):
            return                              # nobody has looked since
        for m in folder.alive():
            want[(re.search(rb"<[0-9]+\.[0-9]+@", m.octets).group(), hash(m.octets), next(iter(m.now())))] += 1
        if got != want:
            raise Broken(f"{a.user} {name}: on disk is {got - want}, should be {want - got}")

    # ---- the whole ----

    def step(self):
        x = self.rng.random()
        s = self.rng.choice(self.sessions)
        if x < 0.04:
            return self.hand()
        if x < 0.06:
            return self.deliver()
        if x < 0.07:
            return self.damage()
        if not s.client:
            return self.connect(s)
        if x < 0.08:
            return self.kill_session(s)
        if x < 0.081:
            return self.kill_become()
        if x < 0.082:
            return self.kill_all()
        if s.idling:
            return self.end_idle(s) if self.rng.random() < 0.5 else None
        if not s.view or x < 0.14:
            return self.select(s) if self.rng.random() < 0.85 else self.command(s)
        if x < 0.16:
            return self.close(s)
        if x < 0.18:
            return self.idle(s)
        if x < 0.21:
            return self.pipeline(s)
        if x < 0.24:
            return self.at_once()
        return self.command(s)

    def go(self):
        # INBOX comes into being with the first session, the others with the account.
        for s in self.sessions:
            self.connect(s)
        while self.done < self.commands:
            self.done += 1
            self.step()
            if self.done % QUIET == 0:
                self.quiet()
        self.quiet()


def run(seed, commands):
    suite = Suite(settings={"login_client_rate": 0, "login_client_sessions": 0, "imap_idle_poll": "100ms"})
    r = Run(suite, seed, commands)
    try:
        r.go()
    except BaseException as e:
        print(f"--imap-seed {seed} --imap-commands {commands}: at {r.done}\n" + "\n".join(r.history))
        if isinstance(e, Broken):
            print("(transcript above is of the session that broke)")
        print(suite.log()[-3000:])
        raise
    finally:
        suite.end()


def test_random_commands(request):
    """A minute or less on two cores."""
    seed = request.config.getoption("--imap-seed")
    run(random.randrange(2 ** 32) if seed is None else seed,
        request.config.getoption("--imap-commands") or (3500 if sanitized() else 5000))


@pytest.mark.long
def test_very_many(request):
    seed = request.config.getoption("--imap-seed")
    run(random.randrange(2 ** 32) if seed is None else seed, request.config.getoption("--imap-commands") or 100000)
