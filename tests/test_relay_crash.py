# SPDX-License-Identifier: ISC
"""
kill -9 of those who send mail on, and calls that fail in them: whatever got 250 is at the other side at least once, or its sender
has a notification. A second copy is only of what was on its way when something died. Where it goes is found in the DNS.
"""
import email
import os
import random
import re
import smtplib
import threading
import time

import pytest

from hermodtest import dns
from hermodtest.dns import Reply
from hermodtest.proc import wait_for
from hermodtest.servers import Server
from hermodtest.suite import patience

KINDS = ["qmgr", "smtp-client", "resolver", "bounce", "fetch"]
SETTINGS = {"trusted_networks": ["127.0.0.0/8"], "smtp_allow_loopback": True, "smtpd_client_rate": 1000000,
            "smtpd_client_sessions": 1000, "minimal_backoff": "1s", "maximal_backoff": "2s", "uncertain_backoff": "200ms",
            "early_delivery_time": "0s"}


class Sender(threading.Thread):
    """Messages by SMTP, each with an id; what of it got 250."""
    def __init__(self, suite, first, n, chance):
        super().__init__()
        self.suite, self.first, self.n, self.chance = suite, first, n, chance
        self.accepted = set()

    def run(self):
        for i in range(self.first, self.first + self.n):
            domain = self.chance.choice([DOMAINS[0]] * 4 + [*DOMAINS[1:]])
            try:
                c = self.suite.smtp(timeout=20)
                c.sendmail("anna@hermod.test", [f"u{i}@{domain}"], f"Subject: id-{i}-{domain}\r\n\r\ntext\r\n")
                self.accepted.add(i)
                c.quit()
            except (OSError, smtplib.SMTPException):
                pass                    # it may have been taken all the same: then it may arrive


DOMAINS = ("sink.test", "refused.test", "busy.test")


class World:
    """Where the mail goes: a server that takes it, refuses refused.test, and puts off each of busy.test once or twice; and a
    DNS server that knows the way, for a moment only, so that it is asked again and again."""

    def __init__(self):
        self.busy, self.sink, self.dns, self.sent = {}, Server(rcpt=self.reply), dns.Server(), 0
        for d in DOMAINS:
            self.dns.answers[d, "MX"] = Reply((None, "MX", 0, f"10 mx.{d}"))
            self.dns.answers[f"mx.{d}", "A"] = Reply((None, "A", 0, "127.0.0.1"))

    def reply(self, session):
        address = session.commands[-1]
        if "@busy.test" in address:
            self.busy[address] = self.busy.get(address, 0) + 1
            if self.busy[address] <= 2:
                return "451 4.3.0 not now"
        return "550 5.1.1 no such user" if "@refused.test" in address else "250 2.1.5 ok"

    def settings(self):
        return {**SETTINGS, "dns_forwarders": [self.dns.address], "dns_insecure": ["."], "smtp_port": self.sink.port}

    def close(self):
        self.sink.end()
        self.dns.close()


@pytest.fixture
def world():
    w = World()
    yield w
    w.close()


def ids(octets):
    return [int(n) for n in re.findall(rb"Subject: id-(\d+)-", octets)]


def notified(suite):
    """Ids of what anna was told of."""
    told = []
    for path in suite.maildir("anna").files():
        m = email.message_from_bytes(open(path, "rb").read())
        if m.get_content_type() == "multipart/report":
            told += ids(m.as_bytes())[:1]
    return told


def send_all(suite, world, seed, messages):
    """By four at a time; no id is used twice."""
    senders = [Sender(suite, world.sent + k * messages // 4, messages // 4, random.Random(seed + k)) for k in range(4)]
    world.sent += messages
    for s in senders:
        s.start()
    return senders


def account(suite, world, senders):
    """What got 250; how many copies there are too many, and how many notifications. Nothing is lost, nor told wrongly."""
    accepted = set().union(*(s.accepted for s in senders))
    suite.wait_queue_empty(120)
    ours = {i for s in senders for i in range(s.first, s.first + s.n)}
    arrived = [i for m in list(world.sink.mails) for i in ids(m.data) if i in ours]
    told = [i for i in notified(suite) if i in ours]
    lost = accepted - set(arrived) - set(told)
    assert not lost, f"lost: {sorted(lost)[:20]} of {len(accepted)}"
    assert not set(arrived) & set(told), "told of what has arrived"
    assert not suite.queue_files("corrupt") and not suite.queue_files("hold")
    twice = len(arrived) - len(set(arrived)), len(told) - len(set(told))
    print(f"{len(accepted)} accepted, {len(set(arrived))} arrived, {len(set(told))} refused and told, {twice} twice")
    return accepted, twice


def relay_while_dying(make_suite, world, seed, messages, pause):
    chance = random.Random(seed)
    print(f"seed {seed}")
    suite = make_suite(users=["anna"], **world.settings())
    senders = send_all(suite, world, seed, messages)
    deaths = 0
    while any(s.is_alive() for s in senders) or deaths < len(KINDS) * 2:
        victims = suite.processes(KINDS[deaths % len(KINDS)])
        if victims:
            chance.choice(victims).kill()
            deaths += 1
        time.sleep(chance.uniform(*pause))
    for s in senders:
        s.join()
    suite.hermod("stop")
    suite.start()
    accepted, twice = account(suite, world, senders)
    assert len(accepted) > messages // 2
    print(f"{deaths} deaths")
    assert twice[0] <= deaths * 60 and twice[1] <= deaths * 20     # what was on its way


def test_relay_while_dying(make_suite, world):
    relay_while_dying(make_suite, world, int(os.environ.get("HERMOD_SEED", random.randrange(1000000))), 240, (0.1, 0.6))


@pytest.mark.long
def test_relay_while_dying_long(make_suite, world):
    relay_while_dying(make_suite, world, int(os.environ.get("HERMOD_SEED", random.randrange(1000000))), 5000, (0.1, 0.6))


# ---- calls that fail

# Each call, and what it may say in a process on the way out.
CALLS = {"calloc": ["ENOMEM"], "realloc": ["ENOMEM"], "open": ["EMFILE", "EIO"], "openat": ["EMFILE", "ENOSPC", "EIO"],
         "write": ["ENOSPC", "EIO", "short"], "pwrite": ["ENOSPC", "EIO", "short"], "pread": ["EIO", "EINTR"], "fsync": ["EIO", "ENOSPC"],
         "fdatasync": ["EIO"], "linkat": ["ENOSPC", "EIO"], "renameat": ["ENOSPC", "EIO"], "unlinkat": ["EIO", "EROFS"],
         "close": ["EIO", "EINTR"], "socket": ["EMFILE", "ENOBUFS"], "connect": ["EADDRNOTAVAIL", "ETIMEDOUT"],
         "send": ["ECONNRESET", "ENOBUFS"], "recv": ["ECONNRESET", "EAGAIN"], "mmap": ["ENOMEM"]}


def relay_while_failing(make_suite, world, call, nth):
    """In each of the processes at once: the call of that number, counted from when they serve (~)."""
    rules = ",".join(f"{k}:{call}:~{nth}:{CALLS[call][(nth + i) % len(CALLS[call])]}" for i, k in enumerate(KINDS))
    print(rules)
    suite = make_suite(users=["anna"], start=False, start_timeout=f"{4 * patience()}s", env={"HERMOD_FAULT": rules}, **world.settings())
    if suite.hermod("start", check=False).returncode != 0:      # one died again and again: then all end, and say so
        suite.note_processes()
        wait_for(lambda: not suite.left(), 20 * patience(), why=lambda: f"left by a failed start: {suite.left()}")
        assert "is given up" in suite.log() or "fault: " in suite.log()
        return set()
    senders = send_all(suite, world, nth, 24)
    for s in senders:
        s.join()
    time.sleep(1)
    suite.stop()
    suite.env = {}
    suite.start()
    # What is being tried just now is not flushed, and said to be so.
    wait_for(lambda: suite.hermod("queue", "flush", check=False).returncode == 0, 30 * patience(), step=0.2)
    account(suite, world, senders)
    suite.stop()
    return set(re.findall(rf"fault: ({call}) \d+ of ([\w-]+)", suite.log()))


@pytest.mark.faults
@pytest.mark.parametrize("call", CALLS)
def test_relay_while_calls_fail(make_suite, world, call):
    often = call in ("calloc", "realloc", "close", "recv", "send")
    nth = int(os.environ.get("HERMOD_NTH", 2 ** random.uniform(4, 8) if often else 2 ** random.uniform(0, 3)))
    print(relay_while_failing(make_suite, world, call, nth))


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.parametrize("call", CALLS)
def test_relay_while_calls_fail_long(make_suite, world, call):
    nth, misses = 1, 0
    while misses < 2:
        misses = 0 if relay_while_failing(make_suite, world, call, nth) else misses + 1
        nth += 1 if nth < 12 else nth // 3


def test_no_descriptor_is_left_open(make_suite, world):
    """Of what was delivered, refused, put off and told."""
    suite = make_suite(users=["anna"], **world.settings(), smtp_connection_cache_time="100ms")

    def some(seed):
        senders = send_all(suite, world, seed, 40)
        for s in senders:
            s.join()
        account(suite, world, senders)

    def counts():
        return {(p.pid, p.comm): len(p.fds()) for p in suite.processes() if p.comm in KINDS}
    def at_rest():
        """The least of some time: a connection may be kept for 100 ms."""
        least, end = counts(), time.monotonic() + 2
        while time.monotonic() < end:
            now = counts()
            least = {k: min(n, now.get(k, n)) for k, n in least.items()}
            time.sleep(0.02)
        return least
    some(1)                             # what is opened once is open from here on
    before = at_rest()
    some(2)
    wait_for(lambda: counts() == before, 20 * patience(), why=lambda: f"before {before}, now {counts()}")
