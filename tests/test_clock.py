# SPDX-License-Identifier: ISC
"""The wall clock jumps between two lives of the suite: nothing spins, nothing expires at once, mail goes on."""
import calendar
import email.utils
import os
import re
import struct
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.servers import Server, refusing_port
from hermodtest.suite import patience

pytestmark = pytest.mark.faults
DAY = 86400
FAST = {"delay_warning_time": "0s", "minimal_backoff": "2s", "maximal_backoff": "4s", "uncertain_backoff": "200ms", "login_client_rate": 100000}
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


@pytest.mark.parametrize("when", ["between two lives", "while it runs"])
@pytest.mark.parametrize("jump", JUMPS)
def test_jump_while_other_hosts_are_down(make_suite, jump, when, public_path):
    """What waits for a host that is down, with a note of when to try, and what a host has put off: neither expires nor is told
    of at once, and both go when they are taken. A notification has the date of that time."""
    said = ["451 4.3.0 not now"]
    clock = public_path / "clock"               # other users' processes read it
    clock.write_bytes(bytes(8))
    with Server(rcpt=lambda s: said[0]) as server:
        port = refusing_port()
        suite = make_suite(**{**FAST, "delay_warning_time": "4h"}, trusted_networks=["127.0.0.0/8"], smtp_allow_loopback=True,
                           routes=[f"busy.test smtp:[127.0.0.1]:{server.port}", f"down.test smtp:[127.0.0.1]:{port}"],
                           early_delivery_time="0s", env={"HERMOD_CLOCK_FILE": str(clock)})
        for i in range(3):
            for domain in ("busy.test", "down.test"):
                suite.send(f"u{i}@{domain}", sender="anna@hermod.test")
        wait_for(lambda: len(suite.queue_files("down")) == 3 and len(suite.queue_files("later") + suite.queue_files("active")) == 3,
                 30 * patience(), why=lambda: suite.queue_files())
        offset = JUMPS[jump]()
        if when == "while it runs":
            clock.write_bytes(struct.pack("<q", offset))
        else:
            suite.stop()
            suite.env["HERMOD_CLOCK_OFFSET"] = str(offset)
            suite.start()
        attempts = suite.log().count("status=deferred")
        time.sleep(5)
        # Each is tried once in its time (2 to 4 s), not again and again.
        assert suite.log().count("status=deferred") - attempts <= 20, suite.log()[-3000:]
        no_busy_loop(suite)
        assert "status=expired" not in suite.log() and not suite.queue_files("hold") and len(suite.queue_files()) == 6
        # A day from one life to the next may be a day that the host was off: then it is time to tell that mail is delayed.
        told = len(suite.maildir("anna").files())
        assert told == 0 or (jump == "a day on" and when == "between two lives")
        said[0] = "250 ok"
        with Server(port=port) as other:
            wait_for(lambda: len(server.mails) == 3 and len(other.mails) == 3, 120 * patience(), step=0.2,
                     why=lambda: f"{len(server.mails)}, {len(other.mails)}: {suite.queue_files()}")
        said[0] = "550 5.1.1 no"
        suite.send("u@busy.test", sender="anna@hermod.test")
        suite.maildir("anna").wait(told + 1)
        notice, = [m for m in suite.maildir("anna").messages() if b"could not be delivered" in m]
        date = email.utils.parsedate_to_datetime(re.search(rb"^Date: (.*)$", notice, re.M)[1].decode().strip())
        assert abs(date.timestamp() - time.time() - offset) < 600, date
        suite.wait_queue_empty()
