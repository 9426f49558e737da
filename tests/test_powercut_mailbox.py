# SPDX-License-Identifier: ISC
"""
Power cuts under an IMAP session: APPEND, COPY, MOVE, STORE, EXPUNGE, CREATE, DELETE, RENAME, SUBSCRIBE and deliveries
are recorded; then the account is built as a cut would have left it, and opened by another suite. What got OK is there,
whole, once; a UID that was told means its message or none; each folder is as before or as after what was under way.
Flags of a STORE may be lost, and those of an older one be there: doc/architecture.md. So nothing that a client knows
by a mod-sequence may be wrong. What is left over is cleaned up.

A failure says seed and cut: pytest --cut-seed N --cut-at N tries that one again. (What is recorded may differ by a few
changes from run to run, since it depends on when the daemons looked.)
"""
import collections
import copy
import datetime
import os
import random
import re
import shutil
import tempfile
import time

import pytest

from hermodtest import imap, powercut, rebuilt
from hermodtest.imap import Literal, expand
from hermodtest.powercut_suite import shared_memory
from hermodtest.suite import DOMAIN, Suite

pytestmark = pytest.mark.faults

USER = "anna"
SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000, "smtpd_client_rate": 100000}
NAMES = ["Work", "Work/2026", "Work/2026/a", "Box", "Arch/x", "Play"]
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "Urgent", "$Label1", "$Forwarded"]
DATES = ["07-Feb-1994 21:52:25 -0800", "17-Jul-2026 02:44:25 +0200", "31-Dec-1969 22:00:00 +0000"]
DATE_FORM = "%d-%b-%Y %H:%M:%S %z"
# How often: all of it in the short form, too.
KINDS = {"append": 9, "append_many": 4, "copy": 6, "move": 6, "store": 10, "expunge": 6, "read": 2, "deliver": 3, "look": 4,
         "create": 7, "delete": 3, "rename": 5, "rename_inbox": 2, "subscribe": 3}
Told = collections.namedtuple("Told", "validity modseq flags")          # flags: UID -> frozenset, all there were


def account(suite):
    return os.path.join(suite.mail, DOMAIN, USER, "Maildir")


# ---- what there must be ----

class Mail:
    def __init__(self, name, flags=()):
        self.name = name
        self.flags = [frozenset(flags)]             # what it may have


class Folder:
    def __init__(self):
        self.validity, self.next = None, 1          # as they were told
        self.mails = {}                             # UID -> Mail; -1, -2 ... of those whose UIDs nobody knows
        self.told = set()                           # UIDs
        self.kept = []                              # names of what was expunged, and is kept

    def in_order(self):
        """UIDs as the mailbox has its messages: those that nobody was told yet come last."""
        return sorted(self.mails, key=lambda u: (u < 0, abs(u)))

    def add(self, uid, mail):
        self.mails[uid or min(0, *self.mails, 0) - 1] = mail
        if uid:
            self.told.add(uid)
            self.next = max(self.next, uid + 1)


class State:
    def __init__(self):
        self.folders, self.subscribed = {}, set()
        self.given_up = set()                       # names that were folders'
        self.spent = {}                             # name -> the greatest UIDVALIDITY that was told of it
        self.told = {}                              # name -> Told
        self.uid_state = {}                         # as imap.Client has it

    def names_below(self, name):
        return [n for n in self.folders if n == name or n.startswith(name + "/")]


class Step:
    def __init__(self, kind, before, about):
        self.kind, self.before, self.about = kind, before, about
        self.after = self.done = None               # done: time.monotonic_ns() when OK was there


# ---- the run that is recorded ----

class Script:
    """A session that does a bit of everything, and knows what it was told."""

    def __init__(self, suite, seed, keep, mapped):
        self.suite, self.chance, self.keep, self.mapped = suite, random.Random(seed), keep, mapped
        self.text, self.date = {}, {}               # of a message by name; the date where it was given one
        self.steps, self.state = [], State()
        self.selected = None
        self.c = suite.imap(USER)
        for r in self.c.ok('LIST "" *').of("LIST"):
            if "\\Noselect" not in r.data.attributes and "\\NonExistent" not in r.data.attributes:
                self.state.folders[r.data.mailbox] = Folder()
        self.state.subscribed = self.subscriptions(self.c)

    @staticmethod
    def subscriptions(c):
        return {r.data.mailbox for r in c.ok('LSUB "" *').of("LSUB") if "\\Noselect" not in r.data.attributes}

    def message(self):
        name = f"m{len(self.text)}"
        size = int(10 ** self.chance.uniform(0, 4.3))
        lines = [f"line {i} of {name}" + "." * self.chance.randrange(50) for i in range(size // 40)]
        self.text[name] = (f"From: s@client.test\r\nTo: a@client.test\r\nSubject: {name}\r\n\r\n"
                           + "\r\n".join(lines + [f"end of {name}"]) + "\r\n").encode()
        return name

    def step(self, kind, run, **about):
        """run(state): does it, and changes the state once it is done. What it is told counts from then on."""
        s = Step(kind, self.state, about)
        self.state = copy.deepcopy(self.state)
        run(self.state)
        self.state.uid_state = copy.deepcopy(self.c.uid_state)
        s.done, s.after = time.monotonic_ns(), self.state
        self.steps.append(s)
        self.mapped.look()

    # ---- what a step is made of ----

    def pick(self, mails=0):
        """A folder that has so many messages; None."""
        fine = sorted(n for n, f in self.state.folders.items() if len(f.mails) >= mails)
        return self.chance.choice(fine) if fine else None

    def other(self, name):
        fine = sorted(set(self.state.folders) - {name})
        return self.chance.choice(fine) if fine else None

    def unused(self):
        fine = sorted(set(NAMES) - set(self.state.folders))
        return self.chance.choice(fine) if fine else None

    def some(self, name, many=4):
        uids = sorted(self.state.folders[name].mails)
        return sorted(self.chance.sample(uids, self.chance.randint(1, min(many, len(uids)))))

    def select(self, name):
        """And looks; so UIDs of all are known."""
        def run(state):
            self.c.ok(f'SELECT "{name}" (CONDSTORE)')
            self.learn(state, name)
        if self.selected != name or any(u < 0 for u in self.state.folders[name].mails):
            self.step("look", run, folder=name)
            self.selected = name

    def leave(self):
        if self.selected is not None:
            self.c.ok("UNSELECT")
        self.selected = None

    def learn(self, state, name):
        c, f = self.c, state.folders[name]
        if c.box.count:
            c.ok("UID FETCH 1:* (FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (SUBJECT)] ENVELOPE)")
        assert f.validity in (None, c.box.uidvalidity), (name, f.validity, c.box.uidvalidity)
        f.validity, f.next = c.box.uidvalidity, max(f.next, c.box.uidnext)
        state.spent[name] = max(state.spent.get(name, 0), f.validity)
        there = {s.uid: s.static["ENVELOPE"].subject.decode() for s in c.box.slots}
        unknown = [f.mails.pop(u) for u in f.in_order() if u < 0]
        for uid, subject in there.items():
            if uid not in f.mails:
                m = next(m for m in unknown if m.name == subject)
                unknown.remove(m)
                f.add(uid, m)
            assert f.mails[uid].name == subject
        assert not unknown and set(f.mails) == set(there)
        for s in c.box.slots:
            assert s.flags - {"\\Recent"} == f.mails[s.uid].flags[-1], (name, s, f.mails[s.uid].flags)
        state.told[name] = Told(f.validity, c.box.highestmodseq, {s.uid: s.flags - {"\\Recent"} for s in c.box.slots})

    # ---- the kinds ----

    def look(self):
        name = self.pick()
        self.leave()
        self.select(name)

    def append(self, many=1):
        name = self.pick()
        mails, parts = [], [f'APPEND "{name}"']
        for _ in range(many):
            flags = self.chance.sample(FLAGS, self.chance.choice((0, 0, 1, 3)))
            m, date = Mail(self.message(), flags), self.chance.choice((None, *DATES))
            mails.append(m)
            if date:
                self.date[m.name] = datetime.datetime.strptime(date, DATE_FORM)
            parts += [(f" ({' '.join(flags)})" if flags else "") + (f' "{date}"' if date else "") + " ",
                      Literal(self.text[m.name])]

        def run(state):
            validity, uids = self.c.ok(*parts).code("APPENDUID")
            for uid, m in zip(expand(uids), mails):
                state.folders[name].add(uid, m)
            state.folders[name].validity = validity
            state.spent[name] = validity
        self.step("append", run, folder=name, mails=mails)

    def append_many(self):
        self.append(self.chance.randint(2, 5))

    def copy_to(self, move):
        source = self.pick(1)
        if source is None:
            return
        target = self.other(source)
        if target is None:
            return
        self.select(source)
        uids = self.some(source)

        def run(state):
            c = self.c.ok(f"UID {'MOVE' if move else 'COPY'} {imap.set_text(uids)} \"{target}\"")
            validity, old, new = c.code("COPYUID")
            assert sorted(expand(old)) == uids
            for a, b in zip(expand(old), expand(new)):
                m = state.folders[source].mails[a]
                state.folders[target].add(b, Mail(m.name, m.flags[-1]))
                if move:
                    del state.folders[source].mails[a]
            state.folders[target].validity = state.spent[target] = validity
        self.step("move" if move else "copy", run, folder=source, target=target, uids=uids)

    def copy(self):
        self.copy_to(False)

    def move(self):
        self.copy_to(True)

    def change(self, name, uids, how, flags):
        def run(state):
            self.c.ok(f"UID STORE {imap.set_text(uids)} {how}FLAGS ({' '.join(flags)})")
            for u in uids:
                old = state.folders[name].mails[u].flags
                old.append({"+": old[-1].union, "-": old[-1].difference, "": lambda f: frozenset(f)}[how](flags))
        self.step("store", run, folder=name, uids=uids)

    def store(self):
        name = self.pick(1)
        if name is not None:
            self.select(name)
            self.change(name, self.some(name), self.chance.choice(("+", "+", "-", "")), self.chance.sample(FLAGS, 2))

    def read(self):
        name = self.pick(1)
        if name is None:
            return
        self.select(name)
        uids = self.some(name, 2)

        def run(state):
            self.c.ok(f"UID FETCH {imap.set_text(uids)} BODY[]")
            for u in uids:
                old = state.folders[name].mails[u].flags
                old.append(old[-1] | {"\\Seen"})
        self.step("store", run, folder=name, uids=uids)

    def expunge(self):
        name = self.pick(1)
        if name is None:
            return
        self.select(name)
        self.change(name, self.some(name, 3), "+", ["\\Deleted"])
        uids = [u for u, m in self.state.folders[name].mails.items() if "\\Deleted" in m.flags[-1]]
        how = self.chance.choice(("EXPUNGE", "CLOSE", f"UID EXPUNGE {imap.set_text(uids)}"))

        def run(state):
            self.c.ok(how)
            f = state.folders[name]
            for u in uids:
                f.kept += [f.mails[u].name] if self.keep else []
                del f.mails[u]
        self.step("expunge", run, folder=name, uids=uids)
        if how == "CLOSE":
            self.selected = None

    def deliver(self):
        m = Mail(self.message())

        def run(state):
            self.suite.send(USER, self.text[m.name].decode())
            self.suite.wait_queue_empty()
            state.folders["INBOX"].add(None, m)
        self.step("append", run, folder="INBOX", mails=[m])
        if self.selected == "INBOX":
            self.leave()

    def create(self):
        name = self.unused()
        if name is None:
            return

        def run(state):
            self.c.ok(f'CREATE "{name}"')
            state.folders[name] = Folder()
        self.step("folders", run, create=name)
        if self.chance.random() < 0.7:
            self.select(name)

    def mine_all(self):
        return sorted(set(self.state.folders) & set(NAMES))

    def mine(self):
        fine = self.mine_all()
        return self.chance.choice(fine) if fine else None

    def delete(self):
        name = self.mine()
        if name is None:
            return
        self.leave()

        def run(state):
            self.c.ok(f'DELETE "{name}"')
            del state.folders[name]
            state.told.pop(name, None)
            state.given_up.add(name)
        self.step("folders", run, delete=name)

    def rename(self):
        below = sorted(n for n in self.mine_all() if len(self.state.names_below(n)) > 1)
        old, new = self.chance.choice(below) if below else self.mine(), self.unused()
        if old is None or new is None or new.startswith(old + "/"):
            return
        below = self.state.names_below(old)
        become = {n: new + n[len(old):] for n in below}
        if set(become.values()) & set(self.state.folders):
            return
        self.leave()

        def run(state):
            if not self.c.cmd(f'RENAME "{old}" "{new}"').ok:
                return                              # the new name is one of a level
            moved = {become[n]: state.folders.pop(n) for n in below}
            for n in below:
                state.told.pop(n, None)
            for n, f in moved.items():
                if n in state.given_up:
                    f.validity = None               # it may have got another: that of the old one may be no less
            state.folders.update(moved)
            state.given_up.update(below)
        self.step("folders", run, rename=old, to=new)
        for n in become.values():
            if n in self.state.folders and self.chance.random() < 0.5:
                self.select(n)

    def rename_inbox(self):
        new = self.unused()
        if new is None:
            return
        self.leave()

        def run(state):
            if not self.c.cmd(f'RENAME INBOX "{new}"').ok:
                return
            f = state.folders[new] = Folder()
            inbox = state.folders["INBOX"]
            for u in inbox.in_order():              # a message may be there twice, with other flags
                f.add(None, inbox.mails[u])
            state.folders["INBOX"].mails = {}
        self.step("rename_inbox", run, folder=new)
        self.append()

    def subscribe(self):
        name = self.pick()
        on = self.chance.random() < 0.6

        def run(state):
            self.c.ok(f'{"" if on else "UN"}SUBSCRIBE "{name}"')
            (state.subscribed.add if on else state.subscribed.discard)(name)
        self.step("subscribe", run)

    def run(self, times):
        todo = [kind for kind, n in KINDS.items() for _ in range(n * times)]
        self.chance.shuffle(todo)
        for _ in range(3):
            self.append()
        for kind in todo:
            getattr(self, kind)()
        self.c.logout()


class Run:
    """One recorded run, and a suite that opens what is left of it."""

    def __init__(self, parent, names, layout, keep, seed, times=1):
        self.names, self.seed, self.keep = names, seed, keep
        settings = {**SETTINGS, "folder_layout": layout, "expunge_keep": "1d" if keep else "0"}
        self.dir = tempfile.mkdtemp(prefix="hermod-test-", dir=parent)
        self.recording = tempfile.mktemp(prefix="hermod-recording-")
        open(self.recording, "w").close()
        os.chmod(self.recording, 0o666)
        self.judge = None
        self.suite = Suite(settings, {"HERMOD_RECORD": self.recording}, start=False, users=[USER], directory=self.dir)
        try:
            self.record(times)
            self.judge = Suite(settings, users=[USER], directory=tempfile.mkdtemp(prefix="hermod-test-", dir=shared_memory()))
            self.judge.tries = 0
        except BaseException:
            self.end()
            raise

    def record(self, times):
        start = powercut.snapshot(account(self.suite))
        self.suite.start()
        self.mapped = rebuilt.Mapped(account(self.suite))
        self.script = Script(self.suite, self.seed, self.keep, self.mapped)
        self.script.run(times)
        self.suite.stop()
        self.steps = self.script.steps
        changes = powercut.read(self.recording)
        self.disk = powercut.Disk(start, changes)
        assert not [c for c in self.disk.unknown if c.program in ("imapd", "deliver")], self.disk.unknown
        if any(c.op == powercut.SYNC_RANGE and c.program == "imapd" for c in changes):
            self.names = {"ext4": "ordered"}.get(self.names, self.names)
        ours = sorted({e.index for e in self.disk.effects})
        self.points = [0] + [i + 1 for i in ours]
        # A cut is before all that was said before a change that it does without was over.
        self.until, latest = {}, float("inf")
        for i, at in zip(reversed([None] + ours), reversed(self.points)):
            self.until[at] = latest
            latest = min(latest, changes[i].stamp) if i is not None else latest
        self.born = collections.defaultdict(list)
        for c in changes:
            if c.op == powercut.OPEN:
                self.born[c.file].append(c.stamp)

    def said(self, n):
        """How many steps were over."""
        return sum(s.done <= self.until[n] for s in self.steps)

    def spread(self, many):
        """
        So many points; of them a third, as far as there are such, right after something was said to be done, and a third
        around a rename of a directory.
        """
        if many >= len(self.points):
            return self.points
        chance = random.Random(self.seed)
        fresh = [n for last, n in zip(self.points, self.points[1:]) if self.said(n) > self.said(last)]
        moved = sorted({e.index + 1 for e in self.disk.effects
                        if isinstance(e, powercut.Name) and e.node.is_dir and e.old_dir and e.dir})
        some = set(chance.sample(fresh, min(len(fresh), many // 3)) + chance.sample(moved, min(len(moved), many // 3)))
        some.update(chance.sample(sorted(set(self.points) - some), many - len(some)))
        return sorted(some)

    def left(self, n, seed):
        """The tree of a cut; without a seed all of the first n changes are there."""
        tree = self.disk.prefix(n) if seed is None else self.disk.cut(n, seed, names=self.names)
        until, chance = self.until[n], random.Random(f"{seed}/{n}/index")

        def born(node):
            return max((t for t in self.born[node.key] if t <= until), default=0)
        self.mapped.tear(tree, born, until, chance)
        return tree

    def end(self):
        wrong = []
        for s in (self.suite, self.judge):
            try:
                if s:
                    s.end()
            except AssertionError as e:
                wrong.append(str(e))
            if s and not (wrong and os.environ.get("HERMOD_KEEP")):
                shutil.rmtree(s.dir, ignore_errors=True)
        os.unlink(self.recording)
        assert not wrong, "\n".join(wrong)


# ---- what is left ----

class Seen:
    """A folder as a session sees it."""

    def __init__(self, c, name):
        c.ok(f'SELECT "{name}" (CONDSTORE)')
        self.validity, self.next = c.box.uidvalidity, c.box.uidnext
        items = "FLAGS MODSEQ INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[]"
        answers = c.ok(f"UID FETCH 1:* ({items})").of("FETCH") if c.box.count else ()
        fetched = {r.data["UID"]: r.data for r in answers}
        self.modseq = c.box.highestmodseq
        self.flags = {s.uid: s.flags - {"\\Recent"} for s in c.box.slots}
        self.octets = {u: d["BODY[]"] for u, d in fetched.items()}
        self.subject = {u: (d["ENVELOPE"].subject or b"").decode() for u, d in fetched.items()}
        self.date = {u: d["INTERNALDATE"] for u, d in fetched.items()}


def kept_files(path, layout, name):
    at = path if name == "INBOX" else os.path.join(path, name if layout == "fs" else "." + name.replace("/", "."))
    at = os.path.join(at, "hermod.expunged")
    return [os.path.join(at, f) for f in os.listdir(at) if not f.startswith(".")] if os.path.isdir(at) else []


def subject_of(path):
    m = re.search(rb"^Subject: (\S+)$", open(path, "rb").read(), re.M)
    return m.group(1).decode() if m else path


class Judge:
    """Opens what a cut at n has left, and says what is wrong with it."""

    def __init__(self, run, n, seed):
        self.run, self.suite, self.n = run, run.judge, n
        self.where = f"--cut-seed {run.seed} --cut-at {n} ({'all of it there' if seed is None else f'cut {seed}'}, {run.names})"
        k = run.said(n)
        self.before = run.steps[k - 1].after if k else run.steps[0].before
        self.step = run.steps[k] if k < len(run.steps) else Step("nothing", self.before, {})
        self.after = self.step.after or self.before
        self.chance = random.Random(f"{seed}/{n}/judge")
        self.path = account(self.suite)
        self.build(run.left(n, seed))

    def fail(self, text):
        raise AssertionError(f"{self.where}, step {self.run.steps.index(self.step) if self.step.after else 'none'} "
                             f"({self.step.kind} {self.step.about}): {text}\n{self.suite.log()[-2000:]}")

    def build(self, tree):
        self.suite.tries += 1
        os.makedirs(os.path.join(self.suite.dir, "old"), exist_ok=True)
        os.rename(self.path, os.path.join(self.suite.dir, "old", str(self.suite.tries)))
        if self.suite.tries % 20 == 0:
            shutil.rmtree(os.path.join(self.suite.dir, "old"))
        tree.build(self.path)
        rebuilt.move_in(tree, self.path)
        for name in os.listdir(self.path):
            if name.startswith(".tmp."):            # as if it were long ago
                os.utime(os.path.join(self.path, name), (time.time() - 10 * 86400,) * 2)

    # ---- looking ----

    def listed(self, c):
        return [r.data.mailbox for r in c.ok('LIST "" *').of("LIST")
                if not r.data.attributes & {"\\Noselect", "\\NonExistent"}]

    def look(self):
        c = self.suite.imap(USER, uid_state=self.told_uids())
        self.seen = {name: Seen(c, name) for name in self.listed(c)}
        self.subscribed = Script.subscriptions(c)
        c.ok("UNSELECT")
        self.fresh(c)
        c.logout()
        layout = self.suite.settings["folder_layout"]
        self.kept = {name: [subject_of(f) for f in kept_files(self.path, layout, name)] for name in self.seen}

    def told_uids(self):
        """While a folder is renamed its UIDVALIDITY may become a new one; else a client may hold all against us."""
        return copy.deepcopy(self.before.uid_state)

    def fresh(self, c):
        """What comes now has a UID that nobody was ever told of."""
        for name in self.chance.sample(sorted(self.seen), min(2, len(self.seen))):
            validity, uids = c.ok(f'APPEND "{name}" (Fresh) ', Literal(b"Subject: fresh\r\n\r\n")).code("APPENDUID")
            s, f = self.seen[name], self.before.folders.get(name)
            if validity != s.validity or uids[0][0] < s.next or (f and f.validity == validity and uids[0][0] < f.next):
                self.fail(f"{name}: a new message has UID {uids} of {validity}; UIDNEXT was {s.next}, {f and f.next}")

    # ---- what must be so ----

    def whole(self):
        for name, s in self.seen.items():
            for uid, subject in s.subject.items():
                text = self.run.script.text.get(subject)
                if text is None or not s.octets[uid].endswith(text) or s.octets[uid].count(b"Subject: ") != 1:
                    self.fail(f"{name}: UID {uid} ({subject}) is half a message: {s.octets[uid][-80:]}")

    def one_of(self, *states):
        """The one of them that has these folders."""
        fine = [s for s in states if set(s.folders) == set(self.seen)]
        if not fine:
            self.fail(f"folders are {sorted(self.seen)}, must be one of {[sorted(s.folders) for s in states]}")
        return fine

    def folder(self, name, must, may_go=(), may_come=()):
        """
        What there is against what must be there. may_go: UIDs that may be missing; may_come: names of messages that may
        be there besides.
        """
        s = self.seen[name]
        rest = dict(s.subject)
        wanted, free = [], list(may_come)
        for uid, m in must.mails.items():
            if uid < 0:
                (free if uid in may_go else wanted).append(m.name)
            elif uid in rest:
                if rest.pop(uid) != m.name:
                    self.fail(f"{name}: UID {uid} was told to be {m.name}, is {s.subject[uid]}")
            elif uid not in may_go:
                self.fail(f"{name}: {m.name}, UID {uid}, is lost; there are {s.subject}")
        for uid, subject in rest.items():
            if s.validity == must.validity and uid in must.told:
                self.fail(f"{name}: UID {uid} is {subject}, and was another message's")
            if subject in wanted:
                wanted.remove(subject)
            elif subject in free and s.validity == must.validity and uid < must.next and subject in may_come:
                self.fail(f"{name}: UID {uid} is {subject}, which came when UIDNEXT was {must.next}")
            elif subject in free:
                free.remove(subject)
            else:
                self.fail(f"{name}: {subject}, UID {uid}, must not be there (twice): {s.subject}")
        if wanted:
            self.fail(f"{name}: {wanted} are lost; there are {s.subject}")

    def flags(self, name, *states):
        """As they were at some time; the dates as they were given."""
        s = self.seen[name]
        for uid, subject in s.subject.items():
            these = [m for state in states if name in state.folders
                     for u, m in state.folders[name].mails.items() if m.name == subject and (u == uid or u < 0)]
            if not these:       # it came with what was under way, and has another UID than it would have got
                these = [m for state in states for f in state.folders.values() for m in f.mails.values()
                         if m.name == subject]
            if s.flags[uid] not in [f for m in these for f in m.flags]:
                self.fail(f"{name}: UID {uid} ({subject}) has flags {sorted(s.flags[uid])}, was never but "
                          f"{[[sorted(f) for f in m.flags] for m in these]}")
            date = self.run.script.date.get(subject)
            if date and s.date[uid] != date:
                self.fail(f"{name}: UID {uid} ({subject}) is of {s.date[uid]}, was given {date}")

    def validity(self, name, *states):
        """As it was told. One that was given up is not used again."""
        fine = {state.folders[name].validity for state in states if name in state.folders}
        if name not in self.after.folders and any(f.validity is None for f in self.after.folders.values()):
            fine.add(None)      # it has got a new one, to be renamed with
        v, spent = self.seen[name].validity, self.before.spent.get(name, 0)
        if v not in fine and None not in fine:
            self.fail(f"UIDVALIDITY of {name} is {v}, was told to be {fine}")
        if v not in fine and v <= spent:
            self.fail(f"UIDVALIDITY of {name} is {v}, which was told of another of that name: {spent}")

    def kept_is(self, name, must, may_come=()):
        got, need = collections.Counter(self.kept[name]), collections.Counter(must.kept)
        if need - got or got - need - collections.Counter(may_come):
            self.fail(f"{name}: kept is {got}, must be {need}, perhaps {may_come}")

    def same(self, state, others=()):
        """All folders but the others are as they were."""
        for name, f in state.folders.items():
            if name not in others:
                self.folder(name, f)
                self.kept_is(name, f)

    # ---- by what was under way ----

    def folders(self):
        wrong = []
        for state in self.one_of(self.before, self.after):
            try:
                self.same(state)
                return
            except AssertionError as e:
                wrong.append(str(e))
        raise AssertionError("\n".join(wrong))

    def nothing(self):
        self.one_of(self.before)
        self.same(self.before)

    look_step = store = subscribe = nothing

    def append(self):
        self.one_of(self.before)
        name = self.step.about["folder"]
        self.same(self.before, [name])
        self.folder(name, self.before.folders[name], may_come=[m.name for m in self.step.about["mails"]])
        self.kept_is(name, self.before.folders[name])

    def copy(self, move=False):
        self.one_of(self.before)
        source, target, uids = (self.step.about[x] for x in ("folder", "target", "uids"))
        names = [self.before.folders[source].mails[u].name for u in uids]
        self.same(self.before, [source, target])
        self.folder(source, self.before.folders[source], may_go=uids if move else ())
        self.folder(target, self.before.folders[target], may_come=names)
        for name in (source, target):
            self.kept_is(name, self.before.folders[name])
        there = list(self.seen[target].subject.values())
        for u, name in zip(uids, names):
            before = sum(m.name == name for m in self.before.folders[target].mails.values())
            if u not in self.seen[source].subject and there.count(name) <= before:
                self.fail(f"{name} is neither in {source} nor in {target}")

    def move(self):
        self.copy(move=True)

    def expunge(self):
        self.one_of(self.before)
        name, uids = self.step.about["folder"], self.step.about["uids"]
        self.same(self.before, [name])
        self.folder(name, self.before.folders[name], may_go=uids)
        names = [self.before.folders[name].mails[u].name for u in uids]
        self.kept_is(name, self.before.folders[name], names)
        kept = collections.Counter(self.kept[name]) - collections.Counter(self.before.folders[name].kept)
        for u, subject in zip(uids, names):
            if self.run.keep and u not in self.seen[name].subject and kept[subject] == 0:
                self.fail(f"{subject} of {name} is expunged, and not kept")

    def rename_inbox(self):
        new = self.step.about["folder"]
        self.one_of(self.before, self.after)
        self.same(self.before, ["INBOX"])
        inbox = self.before.folders["INBOX"]
        self.folder("INBOX", inbox, may_go=list(inbox.mails))
        self.kept_is("INBOX", inbox)
        names = collections.Counter(m.name for m in inbox.mails.values())
        if new in self.seen:
            self.folder(new, Folder(), may_come=list(names.elements()))
        there = collections.Counter(self.seen["INBOX"].subject.values())
        there.update(self.seen[new].subject.values() if new in self.seen else ())
        if names - there:
            self.fail(f"{names - there} are neither in INBOX nor in {new}")
        # A file may have two names after a rename was half lost; it is one message for each.
        if there - names and not any(self.twin(subject) for subject in there - names):
            self.fail(f"{there - names} are there twice")

    def twin(self, subject):
        """Are the copies one file?"""
        inodes = collections.Counter()
        for at, _, names in os.walk(self.path):
            for n in names:
                p = os.path.join(at, n)
                if os.path.basename(at) in ("new", "cur") and subject_of(p) == subject:
                    inodes[os.stat(p).st_ino] += 1
        return max(inodes.values(), default=0) > 1

    # ---- what a client can hold against us ----

    def modseqs(self):
        """A client that comes back with what it was told, and fetches the changes, knows all (RFC 7162 section 3.1.4.1)."""
        c = self.suite.imap(USER)
        for name, told in self.before.told.items():
            s = self.seen.get(name)
            if s is None or s.validity != told.validity:
                continue
            if s.modseq < told.modseq:
                self.fail(f"{name}: HIGHESTMODSEQ was {told.modseq}, is {s.modseq}")
            c.ok(f'SELECT "{name}" (CONDSTORE)')
            known, now = dict(told.flags), {}
            if c.box.count:
                for r in c.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {told.modseq})").of("FETCH"):
                    known[r.data["UID"]] = r.data["FLAGS"] - {"\\Recent"}
                now = {r.data["UID"]: r.data["FLAGS"] - {"\\Recent"} for r in c.ok("UID FETCH 1:* FLAGS").of("FETCH")}
            if {u: f for u, f in known.items() if u in now} != now:
                self.fail(f"{name}: after CHANGEDSINCE with {told} a client believes {known}, there is {now}")
        c.logout()

    def tidy(self):
        for at, dirs, names in os.walk(self.path):
            for n in dirs + names:
                if n.startswith(("hermod.new.", "hermod.removed.", ".tmp.")) or n == "hermod.folders.redo":
                    self.fail(f"{n} is left over")
            # In fs a directory without cur is the name of a level, or what is left of a folder. One that was to be made
            # where there is such a directory may leave parts of it there, for the next one.
            if self.step.kind == "rename_inbox" or "create" in self.step.about:
                continue
            rest = [n for n in dirs + names if n in ("new", "tmp") or n.startswith("hermod.")]
            if rest and "cur" not in dirs and os.path.basename(at) != "hermod.expunged":
                self.fail(f"{at}: {rest} are left over of a folder that is gone")

    def checked(self):
        """A write to the data of the index that was cut short costs what was in it, and stays: doc/index-format.md."""
        r = self.suite.hermod("mailbox", "check", USER + "@" + DOMAIN, check=False)
        fine = r"hermod\.data: has \d+ damaged octets"
        if self.run.names == "directory":           # a file with two names
            fine += "|has the name of another message up to the colon"
        wrong = [line for line in r.stdout.splitlines() if line.startswith("fault ") and not re.search(fine, line)]
        if wrong or r.returncode not in (0, 1):
            self.fail(f"hermod mailbox check: {r.stdout}{r.stderr}")

    def undelete(self):
        for name in sorted(n for n, kept in self.kept.items() if kept):
            self.suite.hermod("mailbox", "undelete", USER + "@" + DOMAIN, name)
            c = self.suite.imap(USER)
            back = collections.Counter(Seen(c, name).subject.values())
            c.logout()
            want = collections.Counter(self.kept[name]) + collections.Counter(self.seen[name].subject.values())
            if want - back:
                self.fail(f"{name}: {want - back} cannot be undeleted")

    def all(self):
        try:
            self.look()
        except (AssertionError, OSError, EOFError) as e:
            self.fail(f"{type(e).__name__}: {e}")
        self.whole()
        getattr(self, {"look": "look_step"}.get(self.step.kind, self.step.kind))()
        for name in self.seen:
            self.validity(name, self.before, self.after)
            self.flags(name, self.before, self.after)
        if self.subscribed not in (self.before.subscribed, self.after.subscribed):
            self.fail(f"subscriptions are {self.subscribed}")
        self.modseqs()
        self.tidy()
        self.checked()
        if self.chance.random() < 0.1:
            self.undelete()


# ---- the tests ----

# Disk and Maildir++, memory and fs; in the long form the other two as well.
RUNS = {"maildir": (False, "ext4", "maildir", False), "fs": (True, "directory", "fs", True),
        "maildir-kept": (True, "directory", "maildir", True), "fs-gone": (False, "ext4", "fs", False)}


@pytest.fixture(scope="module", params=RUNS)
def recorded(request):
    memory, names, layout, keep = RUNS[request.param]
    is_long = request.config.getoption("--long")
    if not is_long and request.param not in ("maildir", "fs"):
        pytest.skip("a long test: runs with --long")
    if memory and shared_memory() is None:
        pytest.skip("there is no /dev/shm")
    seed = request.config.getoption("--cut-seed") or random.randrange(1 << 30)
    print(f"--cut-seed {seed}")
    run = Run(shared_memory() if memory else None, names, layout, keep, seed)
    yield run
    run.end()


def try_cuts(run, request, many, seeds):
    at = request.config.getoption("--cut-at")
    points = run.spread(many) if at is None else [at]
    for seed in seeds:
        for n in points:
            Judge(run, n, seed).all()
    print(f"{len(points) * len(seeds)} of {len(run.points)} cuts, {len(run.steps)} steps")


def test_prefixes(recorded, request):
    try_cuts(recorded, request, 10 ** 9 if request.config.getoption("--long") else 40, [None])


def test_cuts(recorded, request):
    is_long = request.config.getoption("--long")
    try_cuts(recorded, request, 10 ** 9 if is_long else 60, [recorded.seed + i for i in range(2 if is_long else 1)])
