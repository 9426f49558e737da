# SPDX-License-Identifier: ISC
"""hermod queue: what waits, for people and as JSON; nothing in it is changed by looking."""
import os
import re
import signal

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import patience


@pytest.fixture
def held(suite):
    """One message that waits: local stands still."""
    for pid in suite.pids("local"):
        os.kill(pid, signal.SIGSTOP)
    suite.send(["anna", "bert"])
    wait_for(lambda: suite.queue_files(), 10 * patience())
    yield suite
    for pid in suite.pids("local"):
        os.kill(pid, signal.SIGCONT)


def test_list_and_show(held):
    owner = os.stat(held.queue_files()[0])
    (entry,) = held.hermod_json("queue", "list")
    assert entry["sender"] == "sender@client.test" and entry["place"] in ("new", "active")
    assert sorted(r["address"] for r in entry["recipients"]) == ["anna@hermod.test", "bert@hermod.test"]
    table = held.hermod("queue", "list").stdout
    assert re.search(rf"^ID .*\n{entry['id']} .*anna@hermod\.test and 1 more", table, re.M) and "1 message\n" in table
    shown = held.hermod("queue", "show", entry["id"]).stdout
    assert "anna@hermod.test" in shown and "waiting" in shown
    content = held.hermod("queue", "show", entry["id"], "--content").stdout
    assert "Subject: test" in content and content.endswith("Hello.\n")
    assert held.hermod_json("queue", "show", entry["id"]) == [entry]
    now = os.stat(held.queue_files()[0])
    assert (now.st_uid, now.st_mode, now.st_size) == (owner.st_uid, owner.st_mode, owner.st_size)


def test_an_empty_queue(shared_suite):
    assert shared_suite.hermod("queue", "list").stdout == "0 messages\n"
    assert shared_suite.hermod_json("queue", "list") == []
    r = shared_suite.hermod("queue", "show", "nosuch", check=False)
    assert r.returncode == 1 and "no such message" in r.stderr


def test_a_damaged_file_is_shown(shared_suite):
    shared_suite.stop()
    path = os.path.join(shared_suite.queue, "corrupt", "3X2xGv6XhXmcf8WQ")
    with open(path, "wb") as f:
        f.write(b"\0" * 5000)
    owner = os.stat(shared_suite.queue)
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)
    (entry,) = shared_suite.hermod_json("queue", "list")
    assert entry["id"] == "3X2xGv6XhXmcf8WQ" and entry["place"] == "corrupt" and "damaged" in entry["reason"]
    assert "damaged" in shared_suite.hermod("queue", "list").stdout
    os.unlink(path)
