# SPDX-License-Identifier: ISC
"""The wall clock jumps, between two lives of the suite and during IMAP sessions: UIDs rise, sessions stay, mail goes on."""
import os
import re
import struct
import time

import pytest

from hermodtest.imap import Literal
from hermodtest.proc import wait_for
from hermodtest.suite import PASSWORD, patience
from test_clock import DAY, JUMPS, no_busy_loop

pytestmark = pytest.mark.faults
FAST = {"login_client_rate": 100000, "imap_idle_poll": "200ms"}


def mail(name):
    return f"From: a@client.test\r\nSubject: {name}\r\n\r\n{name}\r\n".encode()


def look(c, name):
    """(UIDVALIDITY, {UID: subject})"""
    c.ok(f"SELECT {name}")
    answers = c.ok("UID FETCH 1:* (ENVELOPE)").of("FETCH") if c.box.count else ()
    return c.box.uidvalidity, {r.data["UID"]: r.data["ENVELOPE"].subject.decode() for r in answers}


def change(suite, c, round):
    """Adds r-1 to INBOX and r-2 to Box, moves one of an earlier round."""
    c.ok("APPEND INBOX (\\Seen) ", Literal(mail(f"{round}-1")))
    suite.send("anna", mail(f"{round}-2").decode())
    c.ok("SELECT INBOX")
    wait_for(lambda: c.ok("NOOP") and c.box.count >= 2, 20 * patience(), why="what was delivered")
    c.ok("COPY * Box")
    c.ok("MOVE 1 Box")


def names_are_unique(suite):
    names = [os.path.basename(f).split(":")[0] for at, _, files in os.walk(suite.maildir("anna").path) for f in files
             if os.path.basename(at) in ("cur", "new")]
    assert len(set(names)) == len(names)
    return names


@pytest.mark.parametrize("jump", JUMPS)
def test_between_two_lives(make_suite, jump):
    suite = make_suite(**FAST)
    told = {}                           # as a client has it, over all of them
    c = suite.imap("anna", uid_state=told)
    for name in ("Box", "Old"):
        c.ok(f"CREATE {name}")
        c.ok(f"STATUS {name} (UIDVALIDITY)")
    change(suite, c, "a")
    c.logout()
    suite.stop()
    for round, offset in (("b", JUMPS[jump]()), ("c", 0)):
        suite.env = {"HERMOD_CLOCK_OFFSET": str(offset)} if offset else {}
        suite.start()
        c = suite.imap("anna", uid_state=told)
        before = look(c, "INBOX"), look(c, "Box")
        c.ok("UNSELECT")
        change(suite, c, round)
        c.ok("DELETE Old")
        c.ok("CREATE Old")              # the client sees to it that UIDVALIDITY has grown
        old = told["Old"]["validity"]
        c.ok("STATUS Old (UIDVALIDITY)")
        assert told["Old"]["validity"] > old
        after = look(c, "INBOX"), look(c, "Box")
        for (v, uids), (v2, uids2) in zip(before, after):
            assert v == v2
            assert all(uids2[u] == uids[u] for u in set(uids) & set(uids2))
            assert min(set(uids2) - set(uids), default=1 << 32) > max(uids, default=0)
        no_busy_loop(suite, 1)
        c.logout()
        suite.stop()
    names = names_are_unique(suite)
    if jump != "a day back":
        assert max(int(n.split(".")[0]) for n in names) > time.time() + DAY - 600       # it has jumped indeed
    suite.start()
    c = suite.imap("anna", uid_state=told)
    assert sorted([*look(c, "INBOX")[1].values(), *look(c, "Box")[1].values()]) == sorted(
        f"{r}-{n}" for r in "abc" for n in (1, 2, 2))
    c.logout()


class Clock:
    def __init__(self, suite):
        self.path = os.path.join(suite.dir, "clock")
        self.jump(0)
        os.chmod(self.path, 0o644)

    def jump(self, seconds):
        """Since the start."""
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as f:
            f.write(struct.pack("=q", seconds))


@pytest.fixture
def jumping(make_suite):
    suite = make_suite(start=False, expunge_keep="1h", **FAST)
    clock = Clock(suite)
    suite.env = {"HERMOD_CLOCK_FILE": clock.path}
    suite.start()
    return suite, clock


def test_during_sessions(jumping):
    suite, clock = jumping
    told = {}
    c, idle, login = suite.imap("anna", uid_state=told), suite.imap("anna"), suite.imap()
    c.ok("CREATE Box")
    c.ok("APPEND INBOX ", Literal(mail("first")))
    idle.ok("SELECT INBOX")
    idle.idle()
    count = 1
    for round, seconds in enumerate([DAY, -DAY, *(JUMPS[j]() for j in ("into 2038", "into 2106")), 0]):
        half = c.command([f"APPEND Box {{{len(mail('half'))}}}"])
        c.pending[half.tag] = half                      # a message that is on its way while the clock jumps
        half.complete = True
        c.raw(half.tag.encode() + b" " + half.octets + b"\r\n")
        assert c.go_ahead(half)
        c.raw(mail("half")[:10])
        clock.jump(seconds)
        time.sleep(0.1)                                 # more than the grain of a directory's time
        c.raw(mail("half")[10:] + b"\r\n")
        assert c.finish(half).ok
        begun = time.monotonic()
        suite.send("anna", mail(f"jump {round}").decode())
        count += 1
        idle.wait("EXISTS", 10, number=count)           # nobody was logged out, and polls go on
        assert time.monotonic() - begun < 8 * patience()
        c.ok("SELECT INBOX")
        assert c.box.count == count
        c.ok("COPY * Box")
        c.ok("UNSELECT")
        no_busy_loop(suite, 1)
    idle.done()
    idle.logout()
    login.login("anna@hermod.test", PASSWORD)           # neither has who is not logged in yet
    login.logout()
    c.ok("SELECT INBOX")
    assert c.box.count == count
    assert sorted(look(c, "Box")[1].values()) == ["half"] * 5 + [f"jump {i}" for i in range(5)]
    c.logout()
    names_are_unique(suite)
    stamps = re.findall(r"^(\d{4})-", suite.log(), re.M)
    assert "2106" in stamps and "2038" in stamps        # it has jumped indeed


def test_what_was_expunged_stays_when_it_goes_back(jumping):
    suite, clock = jumping
    c = suite.imap("anna")
    for i in range(3):
        c.ok("APPEND INBOX ", Literal(mail(f"m{i}")))
    for i, seconds in enumerate((0, -DAY, -2 * DAY)):
        clock.jump(seconds)
        c.ok("SELECT INBOX")
        c.ok("STORE 1 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        c.ok("UNSELECT")
        kept = os.path.join(suite.maildir("anna").path, "hermod.expunged")
        assert len([f for f in os.listdir(kept) if f[0] != "."]) == i + 1
    suite.hermod("mailbox", "undelete", "anna@hermod.test", "INBOX")
    assert sorted(look(c, "INBOX")[1].values()) == ["m0", "m1", "m2"]
    c.logout()
