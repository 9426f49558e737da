# SPDX-License-Identifier: ISC
"""
A system call fails in each process at work, the Nth of its kind, once or from then on: clients get a temporary reply or
their mail is kept; no process crashes; nothing half-written stays; without the fault all mail arrives.
"""
import os
import random
import re

import pytest

from hermodtest.imap import Literal
from hermodtest.load import Load
from hermodtest.proc import wait_for
from hermodtest.suite import patience

pytestmark = pytest.mark.faults

USERS = ["anna", "bert"]
SETTINGS = {"minimal_backoff": "1s", "uncertain_backoff": "200ms", "smtpd_client_rate": 100000, "deliver_idle": "500ms", "start_timeout": "4s",
            "login_client_rate": 100000}
PROGRAMS = ["smtpd", "cleanup", "qmgr", "router", "local", "become", "deliver", "auth", "pop3-login", "pop3d",
            "imap-login", "imapd"]
FILES = ["ENOSPC", "EIO", "EDQUOT"]
# Each call and what it may say. Memory is asked for by calloc and realloc (lib/base/mem.c).
CALLS = {"calloc": ["ENOMEM"], "realloc": ["ENOMEM"], "open": ["EMFILE", "EIO"], "openat": ["EMFILE", "ENOSPC", "EIO"],
         "write": FILES + ["short"], "pwrite": FILES + ["short"], "writev": FILES, "fsync": ["EIO", "ENOSPC"],
         "fdatasync": ["EIO"], "linkat": ["EXDEV", "ENOSPC", "EIO"], "renameat": ["EXDEV", "EIO"],
         "unlinkat": ["EIO", "EROFS"], "close": ["EIO", "EINTR"], "fork": ["EAGAIN", "ENOMEM"], "mmap": ["ENOMEM"],
         "sync_file_range": ["EIO"]}


def look_by_imap(suite, user):
    """An IMAP session that may fail at any point."""
    try:
        c = suite.imap(user, timeout=5)
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


def work(suite, seed, messages):
    load = Load(suite, USERS, seed=seed, sizes=(200, 20000), timeout=5)
    load.start(senders=3, messages=messages, seconds=0.6)
    load.join()
    for user in USERS:
        read_mail(suite, user)
        look_by_imap(suite, user)
    return load


def due(suite):
    """What waits in later/ would be looked at when a minute is over."""
    for path in suite.queue_files("later"):
        os.rename(path, os.path.join(suite.queue, "active", os.path.basename(path).split("-")[0]))


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


def try_rules(make_suite, rules, seed, early):
    suite = make_suite(users=USERS, start=False, early_delivery_time="2s" if early else "0s", **SETTINGS)
    suite.env = {"HERMOD_FAULT": ",".join(rules)}
    print(suite.env["HERMOD_FAULT"])
    if suite.hermod("start", check=False).returncode != 0:      # one died again and again: then it says so, and all end
        suite.note_processes()
        wait_for(lambda: not suite.left(), 20 * patience(), why=lambda: f"left by a failed start: {suite.left()}")
        assert "is given up" in suite.log() or "fault: " in suite.log()
        return re.findall(r"fault: (\w+) \d+ of ([\w-]+)", suite.log())
    load = work(suite, seed, 14)
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
        forever = "+" if chance.random() < 0.15 and call not in ("calloc", "realloc") else ""
        out.append(f"{program}:{call}:~{nth}{forever}:{chance.choice(CALLS[call])}")
    return out


def test_some_calls(make_suite):
    seed = int(os.environ.get("HERMOD_SEED", random.randrange(1000000)))
    chance = random.Random(seed)
    print("seed", seed)
    hit = []
    for call in CALLS:                  # most calls of cleanup and qmgr are those of mail that takes its way through the queue
        hit += try_rules(make_suite, some_rules(chance, call), seed, chance.random() < 0.4)
    assert len(set(hit)) > 10, hit      # else nothing was tried


@pytest.mark.long
@pytest.mark.parametrize("call", CALLS)
def test_all_calls(make_suite, call):
    nth, misses = 1, 0
    while misses < 2:
        hit = []
        for error in CALLS[call]:
            hit += try_rules(make_suite, [f"{p}:{call}:~{nth}:{error}" for p in PROGRAMS], nth, nth % 2 == 0)
        misses = 0 if hit else misses + 1
        nth += 1 if nth < 12 else nth // 4


@pytest.mark.parametrize("rule", ["deliver:linkat:1:EXDEV,deliver:renameat:1:EXDEV", "deliver:linkat:1+:EPERM,deliver:renameat:1:EXDEV",
                                  "deliver:fsync:1:EIO", "deliver:write:~1:short", "deliver:close:~1:EIO"])
def test_a_delivery_that_fails_leaves_nothing(make_suite, rule):
    suite = make_suite(start=False, **SETTINGS)
    suite.env = {"HERMOD_FAULT": rule}
    suite.start()
    suite.send("anna")
    suite.wait_log("status=(delivered|deferred)")
    assert not suite.maildir("anna").tmp()
    suite.stop()
    due(suite)
    suite.env = {}                      # else each new worker fails in the same way
    suite.start()
    suite.wait_queue_empty()
    assert len(suite.maildir("anna").files()) == 1


def test_no_descriptor_is_left_open(make_suite):
    suite = make_suite(users=USERS, **SETTINGS)
    work(suite, 1, 6)                   # what is opened once is open from here on
    suite.wait_queue_empty()
    wait_for(lambda: not suite.processes("deliver"), 10 * patience(), why="deliver workers end")

    def counts():
        return {(p.pid, p.comm): len(p.fds()) for p in suite.processes()}
    before = counts()
    work(suite, 2, 40)
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
