# SPDX-License-Identifier: ISC
"""
kill -9 of every kind of process while mail comes in: what got 250 is in its mailbox, byte for byte; what did not
is there once at most; a second copy is only of what was on its way when something died.
"""
import os
import random
import time

import pytest

from hermodtest.load import Load
from hermodtest.proc import wait_for
from hermodtest.suite import patience

USERS = ["anna", "bert", "carl", "dora"]
KINDS = ["smtpd", "cleanup", "bounce", "qmgr", "router", "local", "become", "deliver", "journal", "auth", "pickup", "pop3-login",
         "imap-login", "pop3d", "imapd", "master"]
DOUBLE = {"qmgr", "local", "become", "deliver", "master"}       # whose death leaves a delivery unanswered
SETTINGS = {"minimal_backoff": "1s", "uncertain_backoff": "200ms", "smtpd_client_sessions": 1000,
            "smtpd_client_rate": 1000000, "login_client_rate": 1000000, "deliver_idle": "3s"}


class Killer:
    def __init__(self, suite, load, chance):
        self.suite, self.load, self.chance = suite, load, chance
        self.deaths = []                # (time, kind)
        self.session = None             # keeps a pop3d or imapd there to be killed

    def hold_session(self, kind):
        try:
            self.session = (self.suite.pop3 if kind == "pop3d" else self.suite.imap)("anna", timeout=5)
        except Exception:               # whatever it asks may just have been killed
            self.session = None

    def kill(self, kind):
        if kind in ("pop3d", "imapd"):
            self.hold_session(kind)
        victims = self.suite.processes(kind)
        if not victims:
            if kind == "deliver" and not self.load.busy():      # all mail has come, and it has been idle
                self.load.one_more(self.chance)
            return False
        self.chance.choice(victims).kill()
        self.deaths.append((time.time(), kind))
        if kind == "master":
            self.start_again()
        if self.session:
            self.session.close()
            self.session = None
        return True

    def start_again(self):
        """Nothing outlives master; then it starts as it did the first time."""
        wait_for(lambda: not self.suite.left(), 15 * patience(), why=lambda: f"outlive master: {self.suite.left()}")
        self.suite.start()

    def run(self, rounds, pause):
        for _ in range(rounds):
            kinds = list(KINDS)
            self.chance.shuffle(kinds)
            for kind in kinds:
                end = time.monotonic() + 10 * patience()
                while not self.kill(kind) and time.monotonic() < end:
                    time.sleep(0.02)    # a worker that comes and goes
                time.sleep(self.chance.uniform(*pause))


def explained(arrivals, deaths):
    """Was something dying between this copy's arrival and the next one's?"""
    return all(any(kind in DOUBLE and first - 1 <= at <= second + 1 for at, kind in deaths)
               for first, second in zip(arrivals, arrivals[1:]))


def settle(suite):
    """What was not announced is found by a qmgr that starts."""
    suite.stop()
    suite.start()
    suite.wait_queue_empty(60)


def kill_while_mail_comes(make_suite, seed, messages, rounds, seconds, pause, early="2s"):
    print(f"seed {seed}")
    suite = make_suite(users=USERS, early_delivery_time=early, **SETTINGS)
    load = Load(suite, USERS, seed=seed)
    killer = Killer(suite, load, random.Random(seed))
    load.start(senders=8, messages=messages, seconds=seconds)
    killer.run(rounds, pause)
    load.join()
    settle(suite)
    counts = load.check()
    print(counts, f"after {len(killer.deaths)} deaths")
    assert {kind for _, kind in killer.deaths} == set(KINDS)
    assert counts.accepted > messages // 3
    odd = {k: v for k, v in load.twice().items() if not explained(v, killer.deaths)}
    assert not odd, f"twice without a reason: {odd}; deaths {killer.deaths}"
    assert not suite.queue_files("corrupt") and not suite.queue_files("hold") and not suite.queue_files("tmp")
    left = [f for u in USERS for f in suite.maildir(u).tmp()]
    assert len(left) <= len(killer.deaths) * 16     # a batch each; the clean-up takes them when they are old


def seed_of_today():
    return int(os.environ.get("HERMOD_SEED", random.randrange(1000000)))


def test_kill(make_suite):
    seed = seed_of_today()
    kill_while_mail_comes(make_suite, seed, 300, rounds=1, seconds=12, pause=(0.2, 0.9), early="2s" if seed % 2 else "0s")


@pytest.mark.long
@pytest.mark.parametrize("early", ["2s", "0s"])         # delivered at once, or all through the queue
def test_kill_long(make_suite, early):
    kill_while_mail_comes(make_suite, seed_of_today(), 2000, rounds=12, seconds=100, pause=(0.2, 1), early=early)
