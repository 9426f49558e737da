# SPDX-License-Identifier: ISC
"""A process that stands still for a while (SIGSTOP), of each kind: nothing is lost, nothing is delivered twice."""
import signal
import time

import pytest

from hermodtest.load import Load
from hermodtest.proc import wait_for
from hermodtest.suite import patience

USERS = ["anna", "bert"]
KINDS = ["smtpd", "cleanup", "qmgr", "router", "local", "become", "deliver", "journal", "auth", "pickup", "pop3-login",
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
