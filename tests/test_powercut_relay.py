# SPDX-License-Identifier: ISC
"""
Power cuts under mail to other hosts: messages that are taken at once, put off, taken by some recipients' host and not by
another's, refused, that wait in down/ for a host that comes back, or never does, and expire. The run is recorded; then the
queue and the sender's mailbox are built as a cut would have left them. Whatever got 250 is at the other side, in
the queue, whole, or its sender has been told, or is going to be by a notification in the queue. On some of them the suite is
started again, and ends in the same.
"""
import os
import random
import re
import smtplib
import threading
import time

import pytest

from hermodtest import powercut, powercut_suite
from hermodtest.proc import wait_for
from hermodtest.servers import Server, refusing_port
from hermodtest.suite import DOMAIN, Suite, patience

pytestmark = pytest.mark.faults

SENDER = f"anna@{DOMAIN}"
MAILBOX = f"mail/{DOMAIN}/anna/Maildir"
SETTINGS = {"trusted_networks": ["127.0.0.0/8"], "smtp_allow_loopback": True, "smtpd_client_rate": 1000000,
            "minimal_backoff": "1s", "maximal_backoff": "2s", "uncertain_backoff": "200ms", "early_delivery_time": "0s",
            "destination_active_limit": 3, "smtp_destination_concurrency": 2, "delay_warning_time": "3s", "max_queue_lifetime": "9s",
            "deliver_idle": "500ms"}
# Of each message one of these, with its number before the @.
KINDS = [["yes{}@far.test"], ["later{}@far.test"], ["no{}@far.test"], ["yes{}@far.test", "later{}@far.test", "no{}@far.test"],
         ["yes{}@back.test"], ["back{}@back.test", "yes{}@far.test"], ["gone{}@gone.test"], ["gone{}@gone.test", "yes{}@far.test"],
         ["later{}@back.test"]]


class Mails(list):
    """When each was taken, which is before that was said."""
    def append(self, mail):
        mail.at = time.monotonic_ns()
        super().append(mail)


class Far(Server):
    """Takes yes*, puts off later* at first, refuses no*."""
    def __init__(self, **how):
        self.tried = {}
        super().__init__(rcpt=self.answer, **how)
        self.mails = Mails()

    def answer(self, session):
        address = re.search("<(.*?)>", session.commands[-1])[1]
        self.tried[address] = self.tried.get(address, 0) + 1
        if address.startswith("later") and self.tried[address] <= 2:
            return "451 4.3.0 not now"
        return "550 5.1.1 nobody of that name" if address.startswith("no") else "250 2.1.5 ok"


class Sent:
    def __init__(self, to, at):
        self.to, self.at = to, at


def subject(octets):
    m = re.search(rb"^Subject: (.*?)\r?$", octets, re.M)
    return m[1].decode("utf-8", "replace") if m else ""


def told_of(octets):
    """(subject, recipient) of those that this notification says have failed."""
    octets = octets.replace(b"\r\n", b"\n")
    about = re.findall(rb"^Subject: (id-\d+)$", octets, re.M)
    groups = re.findall(rb"^Final-Recipient: rfc822; (\S+)\nAction: failed$", octets, re.M)
    return {(about[-1].decode(), g.decode()) for g in groups} if about else set()


class Run(powercut_suite.Run):
    def __init__(self, names, messages, seed, **settings):
        super().__init__(names)
        self.sent, self.taken, self.messages, self.chance = {}, [], messages, random.Random(seed)
        self.back_port, gone_port = refusing_port(), refusing_port()
        self.far = Far()
        self.suite = Suite({**SETTINGS, **settings, "routes": [f"far.test smtp:[127.0.0.1]:{self.far.port}",
                            f"back.test smtp:[127.0.0.1]:{self.back_port}", f"gone.test smtp:[127.0.0.1]:{gone_port}"]},
                           start=False, users=["anna"], directory=self.dir)
        self.record()

    def send(self, number, to):
        c = self.suite.smtp()
        try:
            c.sendmail(SENDER, to, f"From: <{SENDER}>\r\nSubject: id-{number}\r\n\r\n" + f"text {number}\r\n" * (1 + number * 37 % 200) + "the end\r\n")
            self.sent[f"id-{number}"] = Sent(to, time.monotonic_ns())
            c.quit()
        except (OSError, smtplib.SMTPException):
            pass

    def work(self):
        todo = [(n, [a.format(n) for a in KINDS[n % len(KINDS)]]) for n in range(self.messages)]
        self.chance.shuffle(todo)
        half = len(todo) // 2
        for number, to in todo[:half]:
            self.send(number, to)
        wait_for(lambda: len(self.suite.queue_files("down")) >= 3, 20 * patience(), why=lambda: self.suite.queue_files())
        late = threading.Thread(target=lambda: [self.send(*t) for t in todo[half:]])
        late.start()
        self.suite.hermod("queue", "hold", "--recipient", "gone*", check=False)     # some may be being worked on
        self.suite.hermod("queue", "release", "--all", check=False)
        with Far(port=self.back_port) as back:
            late.join()
            try:
                self.suite.wait_queue_empty(90)
            except AssertionError as e:
                raise AssertionError(f"{e}\n{self.suite.log()[-6000:]}") from None
            self.taken = list(self.far.mails) + list(back.mails)

    def check(self):
        assert len(self.sent) == self.messages
        seen = {c.name.split("/")[0] for c in self.changes if c.program == "qmgr" and c.op == powercut.MKDIR}
        assert seen, "nothing was in later/ or down/"
        lost = self.missing(self.until[-1], self.there(self.until[-1]) | self.told(os.path.join(self.dir, MAILBOX)))
        assert not lost, lost

    # ---- where what got 250 is ----

    def there(self, until):
        """(subject, recipient) of what the other side had by then."""
        return {(subject(m.data), a) for m in self.taken if m.at <= until for a, _ in m.rcpts}

    def told(self, maildir):
        out = set()
        for sub in ("new", "cur"):
            folder = os.path.join(maildir, sub)
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                out |= told_of(open(os.path.join(folder, name), "rb").read())
        return out

    def queued(self, folder, lines):
        out = set()
        for place, name, state, *rcpts in lines:
            if state != "sound":
                continue
            octets = open(os.path.join(folder, "queue", place, name), "rb").read()
            about = subject(octets)
            if re.fullmatch(r"id-\d+", about):
                out |= {(about, r) for r in rcpts}
            elif rcpts:
                out |= told_of(octets)
        return out

    def missing(self, until, found):
        return sorted((name, r) for name, s in self.sent.items() if s.at <= until for r in s.to if (name, r) not in found)

    def judge(self, some):
        left = left_in([folder for folder, _, _ in some])
        for folder, _, n in some:
            found = self.there(self.until[n]) | self.told(os.path.join(folder, MAILBOX)) | self.queued(folder, left[folder])
            lost = self.missing(self.until[n], found)
            assert not lost, (os.path.basename(folder), lost, left[folder])

    def end(self):
        self.far.end()
        super().end()


def left_in(folders):
    """folder -> [(place, name, state, recipient...)]"""
    return {f: [word[1:] for word in lines if word[0] == "queue"]
            for f, lines in powercut_suite.mail_left(folders, MAILBOX).items()}


def try_suite(run, tree, n):
    """The suite itself on what is left: it starts, and nothing stays behind."""
    suite = run.suite
    run.rebuild(tree)
    before = run.there(run.until[n])
    run.far.mails.clear()
    with Far(port=run.back_port) as back:
        suite.start()

        def through():                  # a hold may have been cut in two, and be carried out now
            suite.hermod("queue", "release", "--all", check=False)
            # a message that nobody was told is taken may be in pieces, and is set aside: what was taken is looked for below
            left = [f for f in suite.queue_files() if f.split("/")[-2] != "corrupt"]
            return suite.hermod("queue", "flush", check=False).returncode == 0 and not left
        wait_for(through, 180 * patience(),
                 why=lambda: f"{n}: {suite.queue_files()}\n{suite.log()[:4000]}\n...\n{suite.log()[-4000:]}", step=1)
        suite.stop()
        found = before | {(subject(m.data), a) for m in list(run.far.mails) + list(back.mails) for a, _ in m.rcpts}
    lost = run.missing(run.until[n], found | run.told(os.path.join(run.dir, MAILBOX)))
    assert not lost, (n, lost)


@pytest.fixture(scope="module", params=powercut_suite.PLACES)
def recorded(request):
    run = Run(request.param, 54, 7, queue_sync_directory="no" if request.param == "ext4" else "yes")
    yield run
    run.end()


def test_prefixes(recorded, request):
    recorded.try_prefixes(request, 150)


def test_cuts(recorded, request):
    recorded.try_cuts(request)


def test_suite_starts_on_what_is_left(recorded, request):
    for tree, n in recorded.some_cuts(request):
        try_suite(recorded, tree, n)
