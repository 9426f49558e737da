# SPDX-License-Identifier: ISC
"""
Random commands of ten sessions on two accounts: messages and mailboxes. Other programs are at work in the Maildirs,
between the commands and while one is under way; files are damaged; sessions, become and the whole suite are killed. A model
says whether what each session sees is possible, and at quiet points the disk has to agree.

A run is told by its seed and how many commands it had: `pytest tests/test_imap_model.py --imap-seed N --imap-commands M` has
the same commands again. When they meet is up to the machine only where a session idles, is killed within a command, or
something else happens while a command is under way.
"""
import collections
import itertools
import os
import random
import re
import time

import pytest

from hermodtest.imap import Broken, Literal, digest, expand, ranges, set_text
from hermodtest.imap_account import SYSTEM, Account, below
from hermodtest.imap_hand import Hand
from hermodtest.proc import wait_for
from hermodtest.suite import Suite, patience, sanitized

KEYWORDS = ["$Forwarded", "$Work", "Junk", "NonJunk", "$MDNSent"] + [f"k{i}" for i in range(8)]
LEVELS = ("a", "b", "Work", "v1.0", "&AOk-t&AOk-", "cur", "Sent", "INBOX")
DEPTH = 5                       # levels of a name that RENAME may make
SESSIONS = 10
SEEDS = {False: 3155429325, True: 3274720834}   # of make check, which says the same to everybody: one for each layout
CROWD = 30                      # messages from which on a mailbox loses more than it gets
MAILBOXES = 14                  # of an account, from which on more are deleted than made
QUIET = 40                      # commands from one quiet point to the next
LOST = (EOFError, ConnectionError, BrokenPipeError)


class Said:
    """An answer, for one of the messages that it was about."""

    def __init__(self, name, **codes):
        self.done, self.codes = self, codes
        self.name = name

    def code(self, name):
        return self.codes.get(name)


class Session:
    def __init__(self, n, account):
        self.n, self.account = n, account
        self.client = self.view = None
        self.idling = False
        self.saved = None
        self.left_out = set()           # of a COPY or MOVE at once with others: what they must have taken
        self.validity = None            # of the mailbox, when it was selected

    @property
    def name(self):
        """What the mailbox that is selected is called now."""
        return self.account.model.name_of(self.view.folder) if self.view else None

    @property
    def fate(self):
        """What has become of it: None, "deleted", "changed" (its UIDVALIDITY). doc/architecture.md has what follows."""
        if not self.view:
            return None
        if not self.view.folder.exists:
            return "deleted"
        return "changed" if self.view.folder.uidvalidity != self.validity else None

    @property
    def box(self):
        return self.client.box

    def known(self):
        """Whether the UID and flags of every message are."""
        return self.view and all(s.uid is not None and s.flags is not None for s in self.box.slots)


class Run(Hand):
    def __init__(self, suite, seed, commands, seconds):
        self.suite, self.seed, self.commands = suite, seed, commands
        self.until = time.monotonic() + seconds if commands is None else None
        self.rng = random.Random(seed)
        self.accounts = [Account(u, suite.maildir(u).path, suite.settings["folder_layout"]) for u in ("anna", "bert")]
        self.history = collections.deque(maxlen=60)
        self.serial = self.done = 0
        self.tally = collections.Counter()      # what came to pass besides commands
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

    def mailbox(self, a, missing=0.0):
        """One that is there; else, so often, a name that none may have."""
        if self.rng.random() < missing:
            return self.name(a)
        return self.rng.choice(("INBOX", *sorted(a.model.folders)))

    def name(self, a):
        return "/".join(self.rng.choices(LEVELS, k=self.rng.choice((1, 1, 1, 2, 2, 3))))

    # ---- connections ----

    def connect(self, s):
        end = time.monotonic() + 60 * patience()
        while True:
            try:
                s.client = self.suite.imap(s.account.user, uid_state=s.account.uid_state)
                break
            except (*LOST, Broken, OSError):
                if time.monotonic() > end:      # becomes that were killed are replaced soon
                    raise
                time.sleep(0.1)
        s.view = s.saved = None
        s.idling = False
        self.say(s.n, "connected")

    def lose(self, s):
        if s.view:
            s.account.model.leave(s.view)
        if s.client:
            s.client.close()
        s.client = s.view = s.saved = None
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
        if seen and not s.view.readonly:
            after.maybe = [("flags", s.name, uids, lambda v: v | {"\\Seen"})]
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
        name = self.mailbox(s.account, missing=0.05)
        move = self.rng.random() < 0.4
        full = name in s.account.model.folders and len(s.account.model.folders[name].alive()) > CROWD
        if full and not (move and name == s.name):
            uids = uids[:1] or [s.box.uids()[0]]
            text, uid = set_text(uids), "UID "

        def after(c, raced=False):
            nonlocal uids
            if not c.ok and c.done.name != "NO":
                raise Broken(f"COPY: {c.done}")
            said = c.code("COPYUID")
            if raced and c.ok and (move or said):       # each message is moved by one of them; it says which it has got
                got = expand(said[1]) if said else []
                s.left_out, uids = set(uids) - set(got), got
            if name in s.account.model.folders and not (s.view.readonly and move):
                self.ok_or_gone(s, c, uids)
            s.account.model.copy(s.view, uids, name, c, move=move)
        after.maybe = [("new", name, uids, s.name)] + ([("gone", s.name, uids)] if move else [])
        return (f"{uid}{'MOVE' if move else 'COPY'} {text} {name}",), after

    def op_append(self, s):
        name, messages, parts = self.mailbox(s.account, missing=0.05), [], []
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

    STATUS = ("MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY", "RECENT", "SIZE", "HIGHESTMODSEQ")

    def op_status(self, s):
        name = self.mailbox(s.account, missing=0.1)
        items = self.some(self.STATUS, 1)
        if s.view and name == s.name and s.view.folder in s.account.model.damaged:
            items = [i for i in items if i != "HIGHESTMODSEQ"] or ["UIDNEXT"]       # as in Store.check_slot

        def after(c):
            if name not in s.account.model.folders:
                return self.must_no(c, "NONEXISTENT")
            self.must_ok(c)
            s.account.model.check_status(name, c.of("STATUS")[0].data[1])
        return (f"STATUS {name} ({' '.join(items)})",), after

    # ---- mailboxes ----

    def tree_op(self, a):
        tree = a.model.tree
        verbs = ("CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE")
        verb = self.rng.choices(verbs, (2, 8, 3, 1, 1) if len(tree.names) > MAILBOXES else (6, 3, 4, 2, 2))[0]
        names = sorted(tree.entries())
        if verb == "CREATE":
            return verb, self.name(a) if self.rng.random() < 0.9 else self.rng.choice(names)
        name = self.rng.choice(names) if self.rng.random() < 0.9 else self.name(a)
        if verb != "RENAME":
            return verb, name
        if name == "INBOX":                     # what moves before anybody has looked never gets a UID there
            self.identify(a, name)
        to = self.name(a)
        deepest = max((n.count("/") for n in tree.renames(name, to)), default=0)
        return (verb, name, to) if deepest + to.count("/") < DEPTH else ("UNSUBSCRIBE", name)

    def op_tree(self, s):
        op = self.tree_op(s.account)

        def after(c):
            self.tree_changed(s.account, op, c)
            if s.view and not s.view.folder.exists:
                if s.client.box:
                    raise Broken("DELETE of what was selected, and not told CLOSED (doc/architecture.md)")
                self.unselected(s)
        after.maybe = [("tree", op)]
        return (" ".join(op),), after

    def tree_changed(self, a, op, answer):
        if a.model.change_tree(op, answer):
            self.learn_validities(a, op)

    def learn_validities(self, a, op):
        """Of what has a new name. RENAME of INBOX gives its messages new UIDs, too."""
        model = a.model
        if op[0] == "RENAME" and op[1] == "INBOX":
            self.identify(a, op[2])
        if op[0] in ("CREATE", "RENAME"):
            for name in sorted(n for n in model.folders if below(n, op[-1])):
                model.valid(name, self.ask(a, f"STATUS {name} (UIDVALIDITY)").of("STATUS")[0].data[1]["UIDVALIDITY"])

    def ask(self, a, command):
        """By the account's clerk."""
        end = time.monotonic() + 60 * patience()
        while True:
            try:
                if a.clerk is None:
                    a.clerk = self.suite.imap(a.user, uid_state=a.uid_state)
                return a.clerk.ok(command)
            except (*LOST, OSError):
                self.dismiss(a)
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def dismiss(self, a):
        if a.clerk:
            a.clerk.close()
        a.clerk = None

    def identify(self, a, name):
        """UIDs that were guessed, by what the messages are."""
        folder = a.model.folders[name]
        self.ask(a, f"EXAMINE {name}")
        if a.clerk.box.count:
            self.ask(a, "UID FETCH 1:* (UID FLAGS BODY.PEEK[])")
        self.bind(folder, {x.uid: x for x in a.clerk.box.slots})
        folder.fresh = False
        self.ask(a, "UNSELECT")

    PATTERNS = ("*", "*", "%", "%/%", "*b*", "INBOX", "INBOX*", "a/%", "%o%", "*/a")

    def op_list(self, s):
        tree, pattern = s.account.model.tree, self.rng.choice(self.PATTERNS)
        subscribed, uses = self.rng.random() < 0.2, self.rng.random() < 0.1
        returns = self.some(("SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS"))
        status = "STATUS" in returns
        selects = ["SUBSCRIBED"] * subscribed + ["SPECIAL-USE"] * uses
        text = " ".join(returns).replace("STATUS", "STATUS (" + " ".join(self.some(self.STATUS[:6], 1)) + ")")
        parts = "LIST " + (f"({' '.join(selects)}) " if selects else "") + f'"" {pattern}' \
            + (f" RETURN ({text})" if returns or self.rng.random() < 0.3 else "")
        extended = bool(selects) or "RETURN" in parts

        def after(c):
            self.must_ok(c)
            want = {n: tree.attributes(n, extended, subscribed or "SUBSCRIBED" in returns)
                    for n in tree.listed(pattern, subscribed=subscribed, uses=uses)}
            self.listings(c, "LIST", want)
            told = {r.data[0]: r.data[1] for r in c.of("STATUS")} if status else {}
            due = {n for n, meets in tree.listed(pattern, subscribed=subscribed, uses=uses).items()
                   if meets and n in tree.names} if status else set()
            if set(told) != due or len(c.of("STATUS")) != len(due):
                raise Broken(f"STATUS of {sorted(told)}, not of {sorted(due)} (RFC 5819 section 2)")
            for name, items in told.items():
                s.account.model.check_status(name, items)
        return (parts,), after

    def op_lsub(self, s):
        tree, pattern = s.account.model.tree, self.rng.choice(self.PATTERNS)

        def after(c):
            self.must_ok(c)
            self.listings(c, "LSUB", {n: set() if meets else {"\\Noselect"} for n, meets in
                                      tree.listed(pattern, subscribed=True, recursive=True).items()})
        return (f'LSUB "" {pattern}',), after

    def listings(self, c, name, want):
        got = {r.data.mailbox: set(r.data.attributes) for r in c.of(name)}
        if got != want or len(c.of(name)) != len(want):
            raise Broken(f"{c}: {sorted(got.items())}, should be {sorted(want.items())} (RFC 3501 sections 6.3.8, 6.3.9, "
                         "RFC 5258)")

    def op_enable(self, s):
        return ("ENABLE CONDSTORE",), self.must_ok

    def must_ok(self, c):
        if not c.ok:
            raise Broken(f"{c}: {c.done}")

    def must_no(self, c, code=None):
        if c.done.name != "NO" or (code and not c.code(code)):
            raise Broken(f"{c}: {c.done}")

    def ok_or_gone(self, s, c, uids):
        """Only for messages that are gone there is a NO."""
        there = {m.uid for m in s.view.folder.certain()}
        if not c.ok and set(uids) <= there:
            raise Broken(f"{c}: {c.done}")

    # ---- sessions do ----

    def select(self, s, joined=lambda: None):
        name, readonly = self.mailbox(s.account, missing=0.05), self.rng.random() < 0.2
        model, command = s.account.model, "EXAMINE" if readonly else "SELECT"
        self.say(s.n, f"{command} {name}")
        if s.view:
            model.leave(s.view)
        s.view = s.saved = None
        c = s.client.cmd(f"{command} {name}" + (" (CONDSTORE)" if self.rng.random() < 0.2 else ""))
        joined()
        if name not in model.folders:
            return self.must_no(c, "NONEXISTENT")
        self.must_ok(c)
        s.saved = set()
        s.view = model.select(name, s.box, readonly)
        s.validity = s.view.folder.uidvalidity
        return None

    def unselected(self, s):
        s.account.model.leave(s.view)
        s.view = s.saved = None

    def close(self, s):
        word = self.rng.choice(("CLOSE", "UNSELECT"))
        self.say(s.n, word)
        if s.fate == "changed" and word == "CLOSE":
            return self.fated(s, (word,), lambda c: None)
        s.client.ok(word)
        if word == "CLOSE" and not s.fate:
            s.account.model.expunge(s.view, "OK")
            # Whether it took what nobody had told the session of is seen by who looks next.
        return self.unselected(s)

    OPS = ((op_fetch, 20), (op_store, 22), (op_search, 12), (op_copy, 12), (op_append, 8), (op_expunge, 7),
           (op_noop, 6), (op_status, 4), (op_enable, 1), (op_tree, 5), (op_list, 2), (op_lsub, 1))
    ALWAYS = (op_append, op_noop, op_status, op_tree, op_list, op_lsub)

    def choose(self, s):
        ops = [(o, w) for o, w in self.OPS if s.view or o in self.ALWAYS]
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
        if s.fate:
            return self.fated(s, parts, after)
        c = s.client.cmd(*parts)
        self.say(s.n, f"    {c.done}"[:200])
        after(c)
        return self.check(s, c)

    def check(self, s, c):
        if s.view and not s.fate:
            s.account.model.check(s.box, s.view, after=c)

    def unsynced(self, parts):
        return tuple(Literal(x.octets, sync=False) if isinstance(x, Literal) else x for x in parts)

    def attempt(self, s, parts):
        """A command that the server may end the session in."""
        try:
            return s.client.finish(s.client.start(*self.unsynced(parts)))
        except LOST:
            c = next(reversed(s.client.pending.values()))
            s.client.at_end()
            if not s.client.bye:
                raise
            return c

    def fated(self, s, parts, after):
        """The mailbox was deleted: BYE, and nothing was done. Its UIDVALIDITY is another: BYE, behind what was done."""
        fate = s.fate
        c = self.attempt(s, parts)
        self.say(s.n, f"    {fate}: {c.done}"[:200])
        refused = c.done and c.done.name == "NO" and not s.client.bye
        if refused and (parts[0].startswith("APPEND")
                        or (fate == "changed" and s.view.readonly and "EXPUNGE" in parts[0])):
            return after(c)                     # before anything was done or looked at
        s.client.at_end()
        if not s.client.bye:
            raise Broken(f"{c}: what was selected is {fate}, and no BYE (doc/architecture.md)")
        if fate == "deleted" and (c.done or [r for r in c.untagged if r.name != "BYE"]):
            raise Broken(f"{c}: what was selected is deleted, and yet {c.untagged} {c.done} (doc/architecture.md)")
        return self.ended(s, c, after, getattr(after, "maybe", []) if fate == "changed" else [])

    def ended(self, s, c, after, maybe):
        """The session is over, within that command."""
        if c.done:
            after(c)
            return self.lose(s)
        self.lose(s)
        return self.settle(s.account, maybe)

    def pipeline(self, s):
        """Without removals before the last: the numbers of the others were chosen before."""
        few = (Run.op_fetch, Run.op_store, Run.op_append, Run.op_search) if s.known() and s.box.count \
            else (Run.op_append,)
        ops = [op(self, s) for op in self.rng.choices(few, k=3)]
        # $ and UIDs of a later one are those of an earlier one's results and must not depend on it.
        # Numbers are those of before a UID command, which may tell of removals.
        ops = [o for i, o in enumerate(ops) if i == 0 or o[0][0].startswith(("UID ", "APPEND"))]
        ops = [o for o in ops if "$" not in o[0][0] and "SAVE" not in o[0][0]
               and not ("APPEND" in o[0][0] and s.view)] + [self.op_noop(s)]
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
        if s.fate:
            return self.fated(s, ("IDLE",), lambda c: None)
        s.client.idle()
        s.idling = True

    def end_idle(self, s):
        self.say(s.n, "DONE")
        s.idling = False
        if s.fate:
            try:
                s.client.done()
            except LOST:
                pass
            if not s.client.bye:
                raise Broken(f"IDLE: what was selected is {s.fate}, and no BYE (doc/architecture.md)")
            return self.lose(s)
        return self.check(s, s.client.done())

    # ---- several at once: only what comes to the same in any order, or tells its order ----

    KINDS = ((op_append, op_copy, op_copy), (op_store, op_store, op_append), (op_expunge, op_fetch, op_search))

    def at_once(self):
        a, kind = self.rng.choice(self.accounts), self.rng.choice(self.KINDS)
        able = [s for s in self.sessions if s.account is a and s.view and not s.idling and not s.fate and s.known()
                and s.box.count]
        if len(able) < 2:
            return
        ops = []
        for s in self.rng.sample(able, min(len(able), self.rng.choice((2, 2, 3, 4)))):
            parts, after = self.rng.choice(kind)(self, s)
            text = parts[0]
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
            after(c, True) if c.name in ("COPY", "UID COPY", "MOVE", "UID MOVE") else after(c)
        for s, c, _ in started:
            late = s.left_out & {m.uid for m in s.view.folder.certain()}
            s.left_out = set()
            if late:
                raise Broken(f"{c} left out {sorted(late)}, which are there (RFC 3501 section 6.4.7)")
            self.check(s, s.client.ok("NOOP"))

    def trees_at_once(self):
        """Commands on mailboxes: there is an order in which they come to what was answered, and to what there is."""
        a = self.rng.choice(self.accounts)
        ops = [self.tree_op(a) for _ in range(self.rng.choice((2, 3, 4)))]
        if self.rng.random() < 0.7:             # of one name, or close to it
            ops = [(op[0], ops[0][1], *op[2:]) for op in ops]
        if any(op[:2] == ("RENAME", "INBOX") for op in ops):
            self.identify(a, "INBOX")
        touched = {n for op in ops for n in op[1:]}
        able = [s for s in self.sessions if s.account is a and s.client and not s.idling and not s.fate
                and not (s.view and any(below(s.name, n) for n in touched))]
        if len(able) < len(ops) or any(n.count("/") >= DEPTH for op in ops if op[0] == "RENAME"
                                       for n in a.model.tree.renames(*op[1:]).values()):
            return
        self.tally["mailboxes changed at once"] += 1
        started = []
        for s, op in zip(self.rng.sample(able, len(ops)), ops):
            self.say(s.n, "= " + " ".join(op))
            started.append((s, op, s.client.start(" ".join(op))))
        for s, op, c in started:
            s.client.finish(c)
            self.say(s.n, f"=    {c.done}"[:200])
        names = {r.data.mailbox for r in self.ask(a, 'LIST "" *').of("LIST")}
        subscribed = {r.data.mailbox for r in self.ask(a, 'LSUB "" *').of("LSUB")}
        seen = {n: self.ask(a, f"STATUS {n} (UIDVALIDITY MESSAGES)").of("STATUS")[0].data[1]
                for n in sorted(names) if any(below(n, t) for t in touched)}
        for order in itertools.permutations(started):
            tree, which, through = a.model.tree.copy(), dict(a.model.folders), {}
            if all(self.follow(tree, which, through, op) == (c.done.code or (c.done.name,))[0] for _, op, c in order) \
                    and (tree.names, tree.subscribed) == (names, subscribed) \
                    and all(self.may_be(a, {n, *through.get(n, ())}, n, which[n], items) for n, items in seen.items()):
                break
        else:
            raise Broken(f"no order of {ops} comes from {sorted(a.model.tree.names)} to {[c.done for _, _, c in started]} and {sorted(names)}, {seen}")
        for s, op, c in order:
            a.model.murky |= {*op[1:], *(n for pair in (a.model.tree.renames(*op[1:]) if op[0] == "RENAME" else {}).items()
                                         for n in pair)}
            a.model.change_tree(op, c)
        for name in sorted(names):
            if any(below(name, n) for n in touched):
                self.learn_validities(a, ("CREATE", name))
        for _, op, c in order:
            if op[:2] == ("RENAME", "INBOX") and c.ok:
                for n in [n for n in sorted(names) if a.model.folders[n].fresh]:
                    self.identify(a, n)
        for s, _, c in started:
            self.check(s, c)

    def follow(self, tree, which, through, op):
        """Does it; through: {name: names that it had on its way there}; which: {name: Folder}, None for one that is new, "INBOX" for
        one that has INBOX's messages, "later" for one to which INBOX was renamed after that."""
        moved = tree.renames(*op[1:]) if op[0] == "RENAME" else {}
        said = tree.do(*op)
        if said == "OK" and op[0] == "CREATE":
            which[op[1]] = None
        elif said == "OK" and op[0] == "DELETE":
            del which[op[1]]
        elif said == "OK" and op[:2] == ("RENAME", "INBOX"):
            which[op[2]] = "INBOX" if "INBOX" not in which.values() else "later"    # the first has all there was
        elif said == "OK":
            for old, new in moved.items():
                which[new] = which.pop(old)
                through[new] = [*through.pop(old, ()), old, new]
        return said

    def may_be(self, a, names, name, folder, items):
        """Whether that is what has the name now: one that was there before, or one that was made meanwhile. names: all that it has had."""
        if folder == "INBOX":
            return items["MESSAGES"] >= len(a.model.folders["INBOX"].certain())
        if folder == "later" or name == "INBOX":
            return True
        if folder is None:
            return items["MESSAGES"] == 0 and items["UIDVALIDITY"] not in {f.uidvalidity for f in a.model.folders.values()}
        return len(folder.certain()) <= items["MESSAGES"] <= len(folder.alive()) and (
            items["UIDVALIDITY"] == folder.uidvalidity
            or any(a.model.folders.get(n) is not folder and a.model.may_change(folder, n) for n in names))

    BENEATH = (op_fetch, op_store, op_search, op_expunge, op_noop)

    def beneath(self):
        """What a session has selected is deleted or renamed while its command is under way."""
        able = [s for s in self.sessions if s.view and not s.idling and not s.fate and s.known() and s.box.count
                and s.name != "INBOX"]
        if not able:
            return None
        s = self.rng.choice(able)
        a, name = s.account, s.name
        others = [o for o in self.sessions if o.account is a and o.client and not o.idling and not o.fate
                  and not (o.view and below(o.name, name))]
        op = ("DELETE", name) if self.rng.random() < 0.5 else ("RENAME", name, self.name(a))
        moved = a.model.tree.renames(*op[1:]) if op[0] == "RENAME" else {}
        if not others or a.model.tree.answer(*op) != "OK" \
                or any(n.count("/") >= DEPTH or a.model.may_change(a.model.folders[old], n) for old, n in moved.items()):
            return None
        other, (parts, after) = self.rng.choice(others), self.rng.choice(self.BENEATH)(self, s)
        self.tally["deleted or renamed beneath a command"] += 1
        both = [(s, parts), (other, (" ".join(op),))]
        self.rng.shuffle(both)
        started = {}
        for who, what in both:
            self.say(who.n, "= " + self.show(what))
            started[who] = who.client.start(*what)
        c, d = started[s], other.client.finish(started[other])
        try:
            s.client.finish(c)
        except LOST:
            if op[0] != "DELETE" or not s.client.bye:
                raise
        self.say(s.n, f"=    {c.done} {d.done}"[:300])
        if op[0] == "RENAME":
            after(c)
            self.tree_changed(a, op, d)
            return self.check(s, c)
        self.tree_changed(a, op, d)
        return self.lose(s) if s.client.bye else self.fated(s, ("NOOP",), lambda c: None)

    def place(self, c):
        uids = c.code("COPYUID") or c.code("APPENDUID")
        return (not c.ok, c.name not in ("EXPUNGE", "UID EXPUNGE"), not uids, uids[-1][0][0] if uids else 0)

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
            return None
        self.tally["sessions killed"] += 1
        if self.rng.random() < 0.3 or s.idling or s.fate:
            self.say(s.n, "kill -9")
            p.kill()
            wait_for(lambda: not p.alive(), 20 * patience())
            return self.lose(s)
        parts, after = self.choose(s)
        self.say(s.n, f"kill -9 within {self.show(parts)}")
        c = None
        try:
            c = s.client.start(*self.unsynced(parts))
            time.sleep(self.rng.random() ** 3 * 0.02)
            s.client.killed = True
            p.kill()
            wait_for(lambda: not p.alive(), 20 * patience())
            s.client.finish(c)
        except LOST:
            pass
        if c.done:
            self.say(s.n, f"    {c.done}"[:200])
        maybe = [("flags", s.name, None, lambda v: v | {"\\Seen"})] if s.view else []
        return self.ended(s, c, after, getattr(after, "maybe", maybe))

    def settle(self, a, maybe):
        """What an interrupted command may have done is looked at, and becomes certain."""
        for m in maybe:
            if m[0] == "tree":
                self.settle_tree(a, m[1])
        for name in sorted({m[1] for m in maybe if m[0] != "tree" and m[1] in a.model.folders}):
            self.ask(a, f"EXAMINE {name}")
            if a.clerk.box.count:
                self.ask(a, "UID FETCH 1:* (UID FLAGS BODY.PEEK[])")
            self.adopt(a, name, a.clerk, [m for m in maybe if m[1] == name])
            self.ask(a, "UNSELECT")

    def settle_tree(self, a, op):
        """All or nothing: who looks next completes what was begun."""
        self.dismiss(a)                         # who opens the account removes what is left of a DELETE
        tree, done = a.model.tree, a.model.tree.copy()
        done.do(*op)
        names = {r.data.mailbox for r in self.ask(a, 'LIST "" *').of("LIST")}
        subscribed = {r.data.mailbox for r in self.ask(a, 'LSUB "" *').of("LSUB")}
        self.say("-", f"{' '.join(op)} came to {sorted(names)}")
        if op[0] == "RENAME":                   # it may have come to a new UIDVALIDITY, and no further
            for old, new in tree.renames(*op[1:]).items():
                folder = a.model.folders[old]
                folder.may_change = a.model.may_change(folder, new)
        if (names, subscribed) == (done.names, done.subscribed):
            return self.tree_changed(a, op, tree.answer(*op))
        if (names, subscribed) != (tree.names, tree.subscribed):
            raise Broken(f"{' '.join(op)} was interrupted: {sorted(names)} {sorted(subscribed)}, which is neither nor")
        for name in sorted(tree.renames(*op[1:]) if op[0] == "RENAME" else ()):
            self.learn_validities(a, ("CREATE", name))
        return None

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
            fits = sorted((u for u, x in seen.items() if u not in folder.messages
                           and x.static["BODY[]"] in (digest(m.octets), m.octets)),
                          key=lambda u: (seen[u].flags - {"\\Recent"} not in m.now(), u))
            if not fits and m.limbo:
                m.died = folder.event
                continue
            if not fits:
                raise Broken(f"a message that came as UID {m.uid} or so is lost by a kill")
            m.uid, m.guess, m.limbo = fits[0], False, False
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
        self.tally["become killed"] += 1
        self.say("-", f"kill -9 of {self.suite.kill('become')} become")
        wait_for(lambda: not [p for p in sessions if p.alive()], 20 * patience(), why="sessions end with become")
        for s in self.sessions:
            self.lose(s)
        for a in self.accounts:
            self.dismiss(a)
        self.connect(self.sessions[0])          # until it is back a delivery would be put off

    def kill_all(self):
        self.say("-", "kill -9 of all, and start")
        self.tally["all killed"] += 1
        for s in self.sessions:
            self.lose(s)
        for a in self.accounts:
            self.dismiss(a)
        for p in self.suite.processes():
            p.kill()
        wait_for(lambda: not self.suite.left(), 20 * patience())
        self.suite.start()

    # ---- quiet points ----

    def quiet(self):
        self.say("-", "quiet")
        for s in self.sessions:
            if s.idling:
                self.end_idle(s)
        self.mend()
        for s in [s for s in self.sessions if s.view]:
            if s.fate:
                self.fated(s, ("NOOP",), lambda c: None)
                continue
            self.check(s, s.client.ok("NOOP"))
            if s.box.count:
                self.check(s, s.client.ok("UID FETCH 1:* (UID FLAGS MODSEQ)"))
                self.changed_since(s)
            self.same(s)
        for a in self.accounts:
            a.model.damaged.clear()
            tree = a.model.tree
            self.listings(self.ask(a, 'LIST "" *'), "LIST", {n: tree.attributes(n, False, False) for n in tree.names})
            self.listings(self.ask(a, 'LSUB "" *'), "LSUB", {n: set() for n in tree.subscribed})
            for name in sorted(tree.names):
                self.disk(a, name)

    def mend(self):
        """A session that has all to learn finds the damage; then something happens that the others see."""
        for a in self.accounts:
            for name in sorted(a.model.folders):
                if a.model.folders[name] in a.model.damaged:
                    self.dismiss(a)
                    self.ask(a, f"EXAMINE {name}")
                    self.ask(a, "UNSELECT")
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
        if x < 0.06:
            return self.hand()
        if x < 0.062:
            return self.hand_makes()
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
        if x < 0.21 and not s.fate:
            return self.pipeline(s)
        if x < 0.24:
            return self.at_once()
        if x < 0.25:
            return self.trees_at_once()
        if x < 0.265:
            return self.beneath()
        if x < 0.35 and not s.fate:
            return self.overlap(s)
        return self.command(s)

    def begin(self):
        """INBOX comes into being with the first session, the others with the account."""
        for s in self.sessions:
            self.connect(s)
        for a in self.accounts:
            for name in sorted(a.model.folders):
                self.learn_validities(a, ("CREATE", name))

    def due(self):
        return time.monotonic() < self.until if self.commands is None else self.done < self.commands

    def go(self):
        self.begin()
        while self.due():
            self.done += 1
            self.step()
            if self.done % QUIET == 0:
                self.quiet()
        self.quiet()


def run(request, commands=None, seconds=None):
    seed = request.config.getoption("--imap-seed")
    if seed == "random" or (seed is None and commands):
        seed = random.randrange(2 ** 32)
    seed = (SEEDS[sanitized()] if seed is None else int(seed))
    commands = request.config.getoption("--imap-commands") or commands
    suite = Suite(settings={"login_client_rate": 0, "login_client_sessions": 0, "imap_idle_poll": "100ms",
                            "folder_layout": random.Random(seed).choice(("maildir", "fs"))})
    r = Run(suite, seed, commands, seconds)
    try:
        r.go()
        print(f"--imap-seed {seed} --imap-commands {r.done}: {suite.settings['folder_layout']}, all as it should be; "
              + ", ".join(f"{what} {n}" for what, n in sorted(r.tally.items())))
    except BaseException as e:
        print(f"--imap-seed {seed} --imap-commands {r.done}\n" + "\n".join(r.history))
        if isinstance(e, Broken):
            print("(transcript above is of the session that broke)")
        print(suite.log()[-3000:])
        raise
    finally:
        suite.end()


def test_random_commands(request):
    """For so many seconds (--imap-seconds); or so many commands, as a failure has told."""
    run(request, seconds=request.config.getoption("--imap-seconds"))


@pytest.mark.long
def test_very_many(request):
    run(request, commands=100000)
