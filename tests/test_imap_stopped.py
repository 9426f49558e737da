# SPDX-License-Identifier: ISC
"""
A process that stands still for a while (SIGSTOP) under IMAP sessions: others go on, or are told in time what they wait
for; once it goes on, all is there, once.
"""
import collections
import os
import random
import re
import signal
import threading
import time

import pytest

from hermodtest.imap import Literal
from hermodtest.proc import wait_for
from hermodtest.suite import patience

USERS = ["anna", "bert"]
KINDS = ["imapd", "become", "imap-login", "deliver", "auth", "master", "journal"]
SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000, "imap_idle_poll": "200ms", "smtpd_client_rate": 100000}
LOCK_WAIT = 10                          # seconds that a session waits for the lock of a mailbox


def mail(name):
    return f"From: a@client.test\r\nSubject: {name}\r\n\r\n{name}\r\n".encode()


def subjects(c, folder):
    c.ok(f"SELECT {folder}")
    answers = c.ok("UID FETCH 1:* (ENVELOPE)").of("FETCH") if c.box.count else ()
    return collections.Counter(r.data["ENVELOPE"].subject.decode() for r in answers)


def stand_still(processes, seconds):
    for p in processes:
        p.kill(signal.SIGSTOP)
    time.sleep(seconds)
    for p in processes:
        p.kill(signal.SIGCONT)


class Load(threading.Thread):
    """A session that appends messages with names, copies and moves them; `must` has where they are by what was OK."""

    def __init__(self, suite, user, number):
        super().__init__(daemon=True)
        self.suite, self.user, self.number = suite, user, number
        self.chance, self.ended, self.wrong = random.Random(number), threading.Event(), None
        self.must = collections.defaultdict(collections.Counter)       # folder -> names
        self.names = iter(range(10 ** 6))
        self.slowest = 0

    def round(self, c):
        """Whoever waited for the lock too long says so, and has done nothing."""
        name = f"{self.number}-{next(self.names)}"
        r = self.tried(c, "APPEND INBOX ", Literal(mail(name)))
        if not r.ok:
            return
        self.must["INBOX"][name] += 1
        uid = r.code("APPENDUID")[1][0][0]
        if self.tried(c, f"UID COPY {uid} Box").ok:
            self.must["Box"][name] += 1
        if self.chance.random() < 0.7 and self.tried(c, f"UID MOVE {uid} Box").ok:
            self.must["Box"][name] += 1
            self.must["INBOX"][name] -= 1

    def tried(self, c, *parts):
        begun = time.monotonic()
        r = c.cmd(*parts)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        assert r.ok or r.done.code[0] == "INUSE", r.done
        return r

    def run(self):
        try:
            c = self.suite.imap(self.user, timeout=60)
            c.ok("SELECT INBOX")
            while not self.ended.is_set():
                self.round(c)
                self.ended.wait(0.02)
            c.logout()
        except BaseException as e:                          # told by the test
            self.wrong = e


def check(suite, loads):
    for user in USERS:
        c = suite.imap(user)
        for folder in ("INBOX", "Box"):
            got, need = subjects(c, folder), collections.Counter()
            for load in loads:
                if load.user == user:
                    need.update(load.must[folder])
            assert got == +need, (user, folder, got - need, need - got)
        c.logout()


def under_load(suite, seconds):
    for user in USERS:
        c = suite.imap(user)
        c.ok("CREATE Box")
        c.logout()
    loads = [Load(suite, USERS[i % 2], i) for i in range(4)]
    idle = suite.imap("anna", timeout=60)
    idle.ok("SELECT Box")
    idle.idle()
    for load in loads:
        load.start()
    wait_for(lambda: len(suite.processes("imapd")) > len(loads), 20 * patience(), why="all sessions")
    for kind in KINDS:
        if kind == "deliver":
            suite.send("carl")
        these = suite.processes(kind)
        assert these, kind
        if kind == "imapd":
            these = random.Random(seconds).sample(these, 2)
        stand_still(these, seconds)
        c = suite.imap("bert", timeout=30)                  # whoever comes now is served
        c.ok("SELECT INBOX")
        c.logout()
        assert not [load.wrong for load in loads if load.wrong]
    for load in loads:
        load.ended.set()
    for load in loads:
        load.join(60 * patience())
        assert not load.is_alive() and not load.wrong, load.wrong
        assert sum(load.must["Box"].values()) > 10
    idle.done()
    idle.ok("NOOP")
    assert idle.box.count == sum(sum(load.must["Box"].values()) for load in loads if load.user == "anna")
    idle.logout()
    check(suite, loads)
    suite.maildir("carl").wait(1)


def test_each_kind(make_suite):
    under_load(make_suite(users=[*USERS, "carl"], deliver_idle="30s", **SETTINGS), 1)


@pytest.mark.long
def test_each_kind_long(make_suite):
    under_load(make_suite(users=[*USERS, "carl"], deliver_idle="120s", **SETTINGS), 20)


# ---- one session, at a known place ----

def session(suite, user):
    """A Client, and the process that serves it."""
    before = set(suite.pids("imapd"))
    c = suite.imap(user, timeout=60)
    c.ok("NOOP")
    (p,) = [p for p in suite.processes("imapd") if p.pid not in before]
    return c, p


def test_in_the_middle_of_append(make_suite):
    suite = make_suite(**SETTINGS)
    c, p = session(suite, "anna")
    text = mail("half") + b"x" * 50000 + b"\r\n"
    a = c.command([f"APPEND INBOX {{{len(text)}}}"])
    c.pending[a.tag], a.complete = a, True
    c.raw(a.tag.encode() + b" " + a.octets + b"\r\n")
    assert c.go_ahead(a)
    c.raw(text[:30000])
    p.kill(signal.SIGSTOP)
    other = suite.imap("anna")
    begun = time.monotonic()
    other.ok("APPEND INBOX ", Literal(mail("other")))       # holds nobody up
    assert subjects(other, "INBOX") == {"other": 1}
    assert time.monotonic() - begun < 5 * patience()
    c.raw(text[30000:] + b"\r\n")
    p.kill(signal.SIGCONT)
    assert c.finish(a).ok
    assert subjects(other, "INBOX") == {"other": 1, "half": 1}
    other.logout()
    c.logout()


def holds_lock(pid, path):
    """It has the first octet of that file, and with it the ledger; others, who look each 200 ms, may have it, too."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{fd}") == path:
            if re.search(r"OFDLCK +ADVISORY +WRITE .* 0 0$", open(f"/proc/{pid}/fdinfo/{fd}").read(), re.M):
                return True
    return False


def stop_with_lock(suite, c, p, path, command):
    """Sends commands until it is stopped with the lock; the names that they were about."""
    sent = []
    for i in range(2000):
        sent.append(c.start(*command(i)))
        time.sleep(0.001 * (i % 5))
        p.kill(signal.SIGSTOP)
        wait_for(lambda: open(f"/proc/{p.pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T", 5, step=0.001)
        if holds_lock(p.pid, path):
            return sent
        p.kill(signal.SIGCONT)
        c.finish(sent[-1])
    raise AssertionError("never seen with the lock")


def commands(kind):
    """The i-th APPEND of a new message, or COPY or MOVE of one that is there."""
    return {"APPEND": lambda i: ("APPEND Box ", Literal(mail(f"new {i}"), sync=False)),
            "COPY": lambda i: (f"UID COPY {i % 100 + 1} Box",),
            "MOVE": lambda i: (f"UID MOVE {i + 1} Box",)}[kind]


@pytest.mark.parametrize("kind", ["APPEND", pytest.param("COPY", marks=pytest.mark.long), "MOVE"])
def test_with_the_lock(make_suite, kind):
    suite = make_suite(**SETTINGS)
    c, p = session(suite, "anna")
    c.ok("CREATE Box")
    for at in range(0, 400 if kind == "MOVE" else 100, 50):
        parts = []
        for i in range(at, at + 50):
            parts += [" ", Literal(mail(f"old {i}"), sync=False)]
        c.ok("APPEND INBOX", *parts)
    c.ok("SELECT INBOX")
    idle, other = suite.imap("anna", timeout=60), suite.imap("anna", timeout=60)
    idle.ok("SELECT Box")
    idle.idle()
    suite.send("anna", mail("delivered").decode())          # so that a deliver is there
    sent = stop_with_lock(suite, c, p, os.path.join(suite.maildir("anna").path, ".Box/hermod.lock"), commands(kind))
    begun = time.monotonic()
    said = other.no("APPEND Box ", Literal(mail("refused")))
    waited = time.monotonic() - begun
    assert said.done.code[0] == "INUSE" and "locked" in said.done.text
    assert LOCK_WAIT - 1 < waited < (LOCK_WAIT + 5) * patience(), waited
    begun = time.monotonic()
    other.ok("APPEND INBOX ", Literal(mail("beside")))      # other folders, accounts and deliveries are not his
    suite.send("anna", mail("delivered").decode())
    suite.imap("bert").ok("APPEND INBOX ", Literal(mail("bert")))
    assert time.monotonic() - begun < 8 * patience()
    p.kill(signal.SIGCONT)
    assert all(c.finish(a).ok for a in sent)
    other.ok("APPEND Box ", Literal(mail("then")))
    idle.done()                                             # it has waited, and is there yet
    idle.ok("NOOP")
    got, box = subjects(other, "INBOX"), subjects(other, "Box")
    assert idle.box.count == sum(box.values())
    assert box.pop("then") == got.pop("beside") == 1 and got.pop("delivered") == 2
    if kind == "APPEND":
        assert box == {f"new {i}": 1 for i in range(len(sent))}
    elif kind == "COPY":
        assert sum(box.values()) == len(sent) and set(got.values()) == {1}
        assert all(box[f"old {i}"] in (len(sent) // 100, len(sent) // 100 + 1) for i in range(100))
    else:
        assert not set(box) & set(got) and set((box + got).values()) == {1} and len(box) == len(sent)
        assert len(box + got) == 400
    for s in (c, idle, other):
        s.logout()
