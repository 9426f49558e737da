# SPDX-License-Identifier: ISC
"""A process that stands still for a while (SIGSTOP), of each kind: nothing is lost, nothing is delivered twice."""
import signal
import threading
import time

import pytest

from hermodtest import dns
from hermodtest.dns import Reply
from hermodtest.load import Load
from hermodtest.proc import wait_for
from hermodtest.servers import Server
from hermodtest.suite import patience

USERS = ["anna", "bert"]
KINDS = ["smtpd", "cleanup", "bounce", "qmgr", "router", "local", "become", "deliver", "journal", "auth", "pickup", "pop3-login",
         "imap-login", "master"]
SETTINGS = {"minimal_backoff": "1s", "uncertain_backoff": "200ms", "smtpd_client_rate": 100000, "deliver_idle": "30s"}


def stand_still(suite, kind, seconds):
    these = suite.processes(kind)
    assert these, kind
    for p in these:
        p.kill(signal.SIGSTOP)
    time.sleep(seconds)
    for p in these:
        p.kill(signal.SIGCONT)


def stop_each(suite, load, seconds):
    for kind in KINDS:
        stand_still(suite, kind, seconds)
        time.sleep(0.1)
    load.join()
    wait_for(lambda: not suite.queue_files(), 90 * patience(), why=lambda: suite.queue_files()[:5])
    counts = load.check()
    print(counts)
    assert counts.refused == counts.lost == counts.unsent == 0      # they waited, and went on
    assert not load.twice()


def test_stopped(make_suite):
    suite = make_suite(users=USERS, **SETTINGS)
    load = Load(suite, USERS, seed=9, timeout=60)
    load.start(senders=6, messages=100, seconds=14)
    wait_for(lambda: suite.processes("deliver"), 10 * patience(), why="a deliver process")
    stop_each(suite, load, 1)


@pytest.mark.long
def test_stopped_long(make_suite):
    suite = make_suite(users=USERS, **SETTINGS)
    load = Load(suite, USERS, seed=10, timeout=200)
    load.start(senders=6, messages=600, seconds=250)
    time.sleep(1)
    stop_each(suite, load, 20)


# ---- on the way out

RELAYING = ["qmgr", "smtp-client", "resolver", "fetch", "bounce", "router", "cleanup", "journal", "master"]


def relay_while_stopped(make_suite, seconds):
    """Messages to another host, and some that it refuses, while each kind of process on that way stands still in turn."""
    names = dns.Server()
    names.answers["far.test", "MX"] = Reply((None, "MX", 0, "10 mx.far.test"))
    names.answers["mx.far.test", "A"] = Reply((None, "A", 0, "127.0.0.1"))

    def reply(session):
        return "550 5.1.1 no" if "<no" in session.commands[-1] else "250 2.1.5 ok"

    with Server(rcpt=reply) as sink:
        suite = make_suite(trusted_networks=["127.0.0.0/8"], smtp_allow_loopback=True, smtp_port=sink.port, early_delivery_time="0s",
                           dns_forwarders=[names.address], dns_insecure=["."], **SETTINGS)
        n = 0
        for kind in RELAYING:
            these = suite.processes(kind)
            assert these, kind
            for p in these:
                p.kill(signal.SIGSTOP)
            c = suite.smtp(timeout=seconds + 60)    # who stands still may be asked here
            until = time.monotonic() + seconds
            senders = []
            for i in range(4):
                n += 1
                to = f"{'no' if i == 3 else 'u'}{n}@far.test"
                senders.append((c, to, f"Subject: id {n}\r\n\r\nx\r\n"))
            thread = threading.Thread(target=lambda: [c.sendmail(f"anna@{suite.domain}", [to], text) for c, to, text in senders])
            thread.start()
            time.sleep(max(0, until - time.monotonic()))
            for p in these:
                p.kill(signal.SIGCONT)
            thread.join()
            c.close()
        suite.wait_queue_empty(120)
        told = suite.maildir("anna").messages()
    names.close()
    arrived = sorted(m.rcpts[0][0] for m in sink.mails)
    assert arrived == sorted(f"u{i}@far.test" for i in range(1, n + 1) if i % 4), arrived
    assert len(told) == n // 4 and "status=expired" not in suite.log()


def test_relaying_stopped(make_suite):
    relay_while_stopped(make_suite, 1)


@pytest.mark.long
def test_relaying_stopped_long(make_suite):
    relay_while_stopped(make_suite, 20)
