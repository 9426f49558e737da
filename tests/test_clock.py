# SPDX-License-Identifier: ISC
"""The wall clock jumps between two lives of the suite: nothing spins, nothing expires at once, mail goes on."""
import calendar
import os
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import patience

pytestmark = pytest.mark.faults
DAY = 86400
FAST = {"minimal_backoff": "2s", "maximal_backoff": "4s", "uncertain_backoff": "200ms", "login_client_rate": 100000}
JUMPS = {"a day on": lambda: DAY, "a day back": lambda: -DAY,
         "into 2038": lambda: calendar.timegm((2038, 1, 19, 3, 14, 6)) - int(time.time()),
         "into 2106": lambda: calendar.timegm((2106, 2, 7, 6, 28, 10)) - int(time.time())}


def cpu(suite):
    return {(p.pid, p.comm): p.cpu_s() for p in suite.processes()}


def no_busy_loop(suite, seconds=2):
    before = cpu(suite)
    time.sleep(seconds)
    for key, used in cpu(suite).items():
        assert used - before.get(key, 0) < seconds / 4, f"{key} used {used - before.get(key, 0)} s of {seconds}"


@pytest.mark.parametrize("jump", JUMPS)
def test_jump(make_suite, jump):
    suite = make_suite(**FAST)
    path = suite.maildir("anna").path
    os.rename(path, path + ".kept")
    open(path, "w").close()
    for _ in range(3):
        suite.send("anna")
    wait_for(lambda: len(suite.queue_files("later")) == 3, 20 * patience(), why="three messages that wait")
    suite.send("bert")
    suite.maildir("bert").wait(1)
    suite.stop()
    suite.env = {"HERMOD_CLOCK_OFFSET": str(JUMPS[jump]())}
    suite.start()
    for _ in range(5):
        suite.send("bert")
    names = [os.path.basename(f).split(":")[0] for f in suite.maildir("bert").wait(6) and suite.maildir("bert").files()]
    assert len(set(names)) == 6
    times = sorted(abs(int(n.split(".")[0]) - time.time()) for n in names)
    assert times[-1] > DAY - 600                # the clock has jumped indeed
    no_busy_loop(suite)
    assert "status=expired" not in suite.log() and not suite.queue_files("hold")
    assert len(suite.queue_files()) == 3
    ids = suite.pop3("bert").uidl()[1]
    os.unlink(path)
    os.rename(path + ".kept", path)
    wait_for(lambda: len(suite.maildir("anna").files()) == 3, 100 * patience(), step=0.2,
             why=lambda: f"{suite.queue_files()} wait")
    suite.stop()
    suite.env = {}                              # and back again
    suite.start()
    assert suite.pop3("bert").uidl()[1] == ids
    suite.send("anna")
    suite.maildir("anna").wait(4)
    no_busy_loop(suite, 1)
