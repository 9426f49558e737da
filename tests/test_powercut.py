# SPDX-License-Identifier: ISC
"""
Power cuts under the whole suite: a run of messages, attempts that fail, POP3 sessions and deletions is recorded; then
queue and mailboxes are built as a cut would have left them, and looked at. What got 250 is in the queue, whole, or in
its mailbox; nothing in a mailbox is half there; a UID that a client was told names that message for ever; what was
deleted stays deleted. On some of them the suite is started again, and delivers what is left.
"""
import collections
import os
import poplib
import random
import re
import shutil
import threading
import time

import pytest

from hermodtest import powercut, powercut_suite
from hermodtest.load import Load
from hermodtest.suite import DOMAIN, Suite

pytestmark = pytest.mark.faults

USERS = ["anna", "bert", "carl"]
FRESH = "1999999999.fresh.client.test"          # a message that the test adds to what is left
FAULTS = "deliver:linkat:3:EIO,deliver:linkat:9:ENOSPC,deliver:linkat:10:ENOSPC"    # attempts that fail
SETTINGS = {"minimal_backoff": "1s", "uncertain_backoff": "200ms", "smtpd_client_rate": 100000, "deliver_idle": "500ms",
            "login_client_rate": 100000}
Told = collections.namedtuple("Told", "at user validity uid subject")
Gone = collections.namedtuple("Gone", "begun done user validity uid subject")      # done: None when nobody was told


def mailbox_of(user):
    return f"mail/{DOMAIN}/{user}/Maildir"


# ---- the run that is recorded ----

class Reader(threading.Thread):
    """POP3 sessions that look, and delete a third."""

    def __init__(self, suite, seed):
        super().__init__(daemon=True)
        self.suite, self.chance, self.ended = suite, random.Random(seed), threading.Event()
        self.told, self.gone = [], []

    def session(self, user):
        c = self.suite.pop3(user)
        ids = [line.decode().split() for line in c.uidl()[1]]
        at = time.monotonic_ns()
        mails = []
        for number, uid in ids:
            subject = next(x for x in c.top(int(number), 0)[1] if x.startswith(b"Subject: "))[9:].decode()
            mails.append((int(number), int(uid[:8], 16), int(uid[8:], 16), subject))
        self.told += [Told(at, user, validity, uid, subject) for _, validity, uid, subject in mails]
        leaving = [m for m in mails if self.chance.random() < 0.3]
        for m in leaving:
            c.dele(m[0])
        begun = time.monotonic_ns()
        try:
            c.quit()
            done = time.monotonic_ns()
        except poplib.error_proto:
            done = None
        self.gone += [Gone(begun, done, user, *m[1:]) for m in leaving]

    def run(self):
        while not self.ended.wait(0.2):
            self.session(self.chance.choice(USERS))


class Run(powercut_suite.Run):
    def __init__(self, names, messages, seed, **settings):
        super().__init__(names)
        self.suite = Suite({**SETTINGS, **settings}, start=False, users=USERS, directory=self.dir)
        self.load = Load(self.suite, USERS, seed=seed, sizes=(100, 6000))
        self.messages, self.seed = messages, seed
        shutil.rmtree(os.path.join(self.dir, mailbox_of("carl")))       # made by the first delivery
        self.record(HERMOD_FAULT=FAULTS)

    def work(self):
        self.reader = Reader(self.suite, self.seed)
        self.load.start(senders=3, messages=self.messages, seconds=3)
        self.reader.start()
        self.load.join()
        self.suite.wait_queue_empty()
        self.reader.ended.set()
        self.reader.join()

    def check(self):
        assert not self.load.wrong_but_for({(g.subject, g.user) for g in self.reader.gone})

    def judge(self, some):
        for folder, _, _ in some:
            add_fresh(folder)
        left = read_all([folder for folder, _, _ in some])
        for folder, tree, n in some:
            Judge(self, tree, self.until[n], left[folder], os.path.basename(folder)).all()

    def in_order_of_the_journal(self):
        """Some ext4 has Maildir deliveries rely on its journal, which the model has not."""
        synced = set()
        for c in self.changes:
            if c.program == "deliver" and c.op == powercut.OPEN:
                synced.discard(c.file)
            elif c.op == powercut.FSYNC:
                synced.add(c.file)
            elif c.program == "deliver" and c.op == powercut.LINK and c.file not in synced:
                return True
        return False


# ---- what is left ----

def add_fresh(folder):
    """Whatever UID it gets was never told."""
    for user in USERS:
        new = os.path.join(folder, mailbox_of(user), "new")
        if os.path.isdir(new):
            with open(os.path.join(new, FRESH), "wb") as f:
                f.write(b"Subject: fresh\n\n")
            st = os.stat(new)
            os.chown(f.name, st.st_uid, st.st_gid)


class Left:
    """What mail_left says of one folder."""

    def __init__(self):
        self.queue = []                 # (place, name, state, recipients)
        self.validity = {}              # user -> number, None: it could not be read
        self.uids = {u: {} for u in USERS}      # user -> {uid: base name}


def read_all(folders):
    out = {f: Left() for f in folders}
    for folder, lines in powercut_suite.mail_left(folders, *map(mailbox_of, USERS)).items():
        for word in lines:
            if word[0] == "queue":
                out[folder].queue.append((word[1], word[2], word[3], word[4:]))
            elif word[0] == "mailbox":
                out[folder].validity[word[1].split("/")[-2]] = None if word[2] == "failed" else int(word[2])
            else:
                out[folder].uids[word[1].split("/")[-2]][int(word[2])] = word[3]
    return out


class Judge:
    def __init__(self, run, tree, until, left, where):
        self.run, self.until, self.left, self.where = run, until, left, where
        files = tree.files()
        self.queue = {(p, n): files[f"queue/{p}/{n}"] for p, n, *_ in left.queue if f"queue/{p}/{n}" in files}
        self.mail = {}                  # (user, base name) -> octets
        for path, octets in files.items():
            for user in USERS:
                if path.startswith((mailbox_of(user) + "/new/", mailbox_of(user) + "/cur/")):
                    self.mail[user, os.path.basename(path).split(":")[0]] = octets

    def subject(self, octets):
        m = re.search(rb"^Subject: (\S+)\r?$", octets, re.M)
        return m.group(1).decode() if m else None

    def fail(self, text):
        raise AssertionError(f"{self.where}: {text}")

    def whole(self):
        for (user, name), octets in self.mail.items():
            text = self.run.load.text.get(self.subject(octets))
            if text is None or not octets.endswith(text.replace(b"\r\n", b"\n")):
                self.fail(f"half a message in the mailbox of {user}: {name}, {len(octets)} octets")

    def nothing_lost(self):
        there = {(self.subject(octets), user) for (user, _), octets in self.mail.items()}
        for place, name, state, recipients in self.left.queue:
            octets = self.queue.get((place, name), b"")
            subject = self.subject(octets)
            if state == "sound" and self.run.load.text.get(subject, b"none of it") in octets:
                there.update((subject, r.split("@")[0]) for r in recipients)
        taken = {(g.subject, g.user) for g in self.run.reader.gone if g.begun <= self.until}
        for name in self.run.load.accepted():
            for user in self.run.load.to[name]:
                if self.run.load.at[name] <= self.until and (name, user) not in there | taken:
                    self.fail(f"{name} to {user} got 250 and is lost; queue {self.left.queue}")

    def uids(self):
        told = [t for t in self.run.reader.told if t.at <= self.until]
        for user in USERS:
            known = {t.uid: t for t in told if t.user == user}
            if self.left.validity.get(user) is None:
                self.fail(f"the mailbox of {user} cannot be read")
            for t in known.values():
                if t.validity != self.left.validity[user]:
                    self.fail(f"UIDVALIDITY of {user} was {t.validity}, is {self.left.validity[user]}")
            for uid, name in self.left.uids[user].items():
                subject = "fresh" if name == FRESH else self.subject(self.mail.get((user, name), b""))
                if uid in known and subject != known[uid].subject:
                    self.fail(f"UID {uid} of {user} was {known[uid].subject}, is {subject}")
        for g in self.run.reader.gone:
            if g.done and g.done <= self.until and g.uid in self.left.uids[g.user]:
                self.fail(f"{g} is back")

    def all(self):
        self.whole()
        self.nothing_lost()
        self.uids()


def make_due(suite):
    """
    What waits in later/, or has two names after a rename was half lost, is looked at when a minute is over; a cut may as
    well have left it in active/.
    """
    for place in ("new", "later"):
        for path in suite.queue_files(place):
            name = os.path.join(suite.queue, "active", os.path.basename(path).split("-")[0])
            if os.path.exists(name):
                os.unlink(path)
            else:
                os.rename(path, name)


def try_suite(run, tree, n):
    """The suite itself on what is left: it starts, and nothing stays behind."""
    suite = run.suite
    run.rebuild(tree)
    make_due(suite)
    suite.start()
    suite.wait_queue_empty(100)
    assert not suite.queue_files("hold")
    suite.stop()
    until = run.until[n]
    there = set(run.load.copies())
    taken = {(g.subject, g.user) for g in run.reader.gone if g.begun <= until}
    for name in run.load.accepted():
        for user in run.load.to[name]:
            assert run.load.at[name] > until or (name, user) in there | taken, (n, name, user)


# On disk deliveries have names in tmp/ or none, as the file system allows; in memory always none.
@pytest.fixture(scope="module", params=powercut_suite.PLACES)
def recorded(request):
    on_disk = request.param == "ext4"
    # on disk what is delivered at once never comes into the queue; in memory all of it takes that way
    run = Run(request.param, 30, 5, queue_sync_directory="no" if on_disk else "yes", early_delivery_time="2s" if on_disk else "0s")
    yield run
    run.end()


def test_prefixes(recorded, request):
    recorded.try_prefixes(request, 120)


def test_cuts(recorded, request):
    if recorded.in_order_of_the_journal():
        pytest.skip("deliveries rely on the journal of this ext4")
    recorded.try_cuts(request)


def test_suite_starts_on_what_is_left(recorded, request):
    for tree, n in recorded.some_cuts(request):
        try_suite(recorded, tree, n)
