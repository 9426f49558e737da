# SPDX-License-Identifier: ISC
"""postqueue, postsuper, postcat: the names by which scripts know the queue of Postfix, its options and its words."""
import json
import os
import re
import subprocess
import time

import pytest

from hermodtest.client import NOBODY
from hermodtest.proc import wait_for
from hermodtest.suite import patience

SETTINGS = dict(minimal_backoff="1h", maximal_backoff="1h")


def run(suite, *args, input=None, user=None):
    before = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    argv = [os.path.join(suite.build, "bin", args[0]), "-c", suite.conf, *args[1:]]
    return subprocess.run(before + argv, text=True, input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=suite.environment(), timeout=60 * patience())


def entries(suite):
    r = run(suite, "postqueue", "-j")
    assert r.returncode == 0, r.stderr
    return [json.loads(line) for line in r.stdout.splitlines()]


@pytest.fixture
def two(suite):
    """(suite, id of one that waits for anna, of one from the null sender for anna and bert)"""
    for user in ("anna", "bert"):
        suite.block(user)
    suite.send("anna", sender="one@client.test")
    suite.send(["anna", "bert"], sender="")
    wait_for(lambda: len(suite.queue_files("later")) == 2, 20 * patience())
    by_sender = {e["sender"]: e["queue_id"] for e in entries(suite)}
    return suite, by_sender["one@client.test"], by_sender["MAILER-DAEMON"]


pytestmark = pytest.mark.settings(**SETTINGS)


def test_json(two):
    suite, one, other = two
    by_id = {e["queue_id"]: e for e in entries(suite)}
    e = by_id[one]
    assert set(e) == {"queue_name", "queue_id", "arrival_time", "message_size", "forced_expire", "sender", "recipients"}
    assert e["queue_name"] == "deferred" and e["forced_expire"] is False and e["sender"] == "one@client.test"
    assert abs(e["arrival_time"] - time.time()) < 300 and 50 < e["message_size"] < 1000
    (r,) = e["recipients"]
    assert set(r) == {"address", "delay_reason"} and r["address"] == "anna@hermod.test" and "4." in r["delay_reason"]
    assert [r["address"] for r in by_id[other]["recipients"]] == ["anna@hermod.test", "bert@hermod.test"]
    run(suite, "postsuper", "-h", one)
    assert {e["queue_id"]: e["queue_name"] for e in entries(suite)} == {one: "hold", other: "deferred"}


def test_list(two):
    suite, one, other = two
    out = run(suite, "postqueue", "-p").stdout
    assert re.search(rf"^{one}  +\d+ \w+ \w+ +\d+ [\d:]+  one@client\.test$", out, re.M)
    assert re.search(rf"^{other}  .*MAILER-DAEMON$", out, re.M) and re.search(r"^-- \d+ Kbytes in 2 Requests\.$", out, re.M)


def test_flush(two):
    suite, one, other = two
    for user in ("anna", "bert"):
        suite.unblock(user)
    assert run(suite, "postqueue", "-s", "other.example").returncode == 0
    time.sleep(2)
    assert len(suite.queue_files("later")) == 2
    r = run(suite, "postqueue", "-i", one)
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    suite.maildir("anna").wait(1)
    assert run(suite, "postqueue", "-s", "hermod.test").returncode == 0
    suite.maildir("bert").wait(1)
    suite.wait_queue_empty()
    assert run(suite, "postqueue", "-f").returncode == 0
    assert run(suite, "postqueue", "-p").stdout == "Mail queue is empty\n" and entries(suite) == []


def test_what_others_may(two):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    suite, one, other = two
    r = run(suite, "postqueue", "-p", user=NOBODY)
    assert (r.returncode, r.stdout) == (0, "Mail queue is empty\n")
    assert run(suite, "postqueue", "-j", user=NOBODY).stdout == ""
    for args in (["postqueue", "-f"], ["postsuper", "-d", "ALL"], ["postcat", "-q", one]):
        assert run(suite, *args, user=NOBODY).returncode != 0, args
    assert len(entries(suite)) == 2


def test_wrong_use(suite):
    for args in ([], ["-x"], ["-f", "-p"], ["-i", ""], ["-s"], ["-p", "more"]):
        r = run(suite, "postqueue", *args)
        assert r.returncode == 64 and r.stderr.startswith(("usage: postqueue", "postqueue: ")), args
    for program, args in (("postsuper", ["-x"]), ("postsuper", ["-d", "ALL", "nowhere"]), ("postcat", []), ("postcat", ["-q", "no/id"])):
        assert run(suite, program, *args).returncode == 1, (program, args)


def test_down(two):
    suite, one, other = two
    suite.stop()
    assert run(suite, "postqueue", "-p").returncode == 69
    assert run(suite, "postqueue", "-j").returncode == 69
    assert run(suite, "postsuper", "-d", one).stderr == f"postsuper: {one}: removed\npostsuper: Deleted: 1 message\n"
    assert "Subject: test" in run(suite, "postcat", "-q", other).stdout


# ---- postsuper ----------------------------------------------------------------------------------------

def test_delete(two):
    suite, one, other = two
    r = run(suite, "postsuper", "-d", "2222222222222222")
    assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
    r = run(suite, "postsuper", "-d", one, "hold")		# it is not in that queue
    assert r.stderr == "" and len(entries(suite)) == 2
    r = run(suite, "postsuper", "-d", one, "deferred")
    assert (r.returncode, r.stderr) == (0, f"postsuper: {one}: removed\npostsuper: Deleted: 1 message\n")
    r = run(suite, "postsuper", "-d", "-", input=f"{other}\n2222222222222222\n")
    assert r.stderr == f"postsuper: {other}: removed\npostsuper: Deleted: 1 message\n"
    assert suite.queue_files() == []


def test_all(two):
    suite, one, other = two
    r = run(suite, "postsuper", "-h", one)
    assert r.stderr == f"postsuper: {one}: placed on hold\npostsuper: Placed on hold: 1 message\n"
    r = run(suite, "postsuper", "-d", "ALL", "deferred")
    assert r.stderr.endswith("postsuper: Deleted: 1 message\n") and [e["queue_id"] for e in entries(suite)] == [one]
    r = run(suite, "postsuper", "-H", "ALL")
    assert r.stderr == f"postsuper: {one}: released from hold\npostsuper: Released from hold: 1 message\n"
    wait_for(lambda: [e["queue_name"] for e in entries(suite)] == ["deferred"], 20 * patience())
    r = run(suite, "postsuper", "-h", "ALL", "-H", "ALL", "-r", "ALL")
    assert re.findall(r"^postsuper: ([A-Z][a-z ]+): 1 message$", r.stderr, re.M) == \
        ["Placed on hold", "Released from hold", "Requeued"]
    assert run(suite, "postsuper", "-d", "ALL").stderr.endswith("postsuper: Deleted: 1 message\n")
    assert run(suite, "postsuper", "-d", "ALL").stderr == ""
    assert run(suite, "postsuper", "-s").returncode == run(suite, "postsuper").returncode == 0


# ---- postcat --------------------------------------------------------------------------------------------

def test_show(two):
    suite, one, other = two
    whole = run(suite, "postcat", "-q", one)
    assert whole.returncode == 0
    lines = whole.stdout.splitlines()
    assert lines[0] == f"*** ENVELOPE RECORDS deferred/{one} ***"
    assert lines[-2:] == [f"*** HEADER EXTRACTED deferred/{one} ***", f"*** MESSAGE FILE END deferred/{one} ***"]
    contents = lines.index(f"*** MESSAGE CONTENTS deferred/{one} ***")
    assert {"sender: one@client.test", "recipient: anna@hermod.test"} <= set(lines[:contents])
    assert "Hello." in lines[contents:]
    header = run(suite, "postcat", "-hq", one).stdout
    assert re.search(r"^Received: ", header, re.M) and "Subject: test\n" in header and "***" not in header
    assert not header.endswith("\n\n") and "Hello" not in header
    assert run(suite, "postcat", "-q", "-b", one).stdout == "\nHello.\n"
    assert run(suite, "postcat", "-bh", "-q", one).stdout == header + "\nHello.\n"
    envelope = run(suite, "postcat", "-e", "-q", other).stdout
    assert "sender: \n" in envelope and "recipient: bert@hermod.test\n" in envelope and "Hello" not in envelope
    path = [f for f in suite.queue_files("later") if one in f][0]
    assert run(suite, "postcat", "-v", path).stdout == whole.stdout
    assert "MESSAGE FILE END" in run(suite, "postcat", "-q", one, other).stdout.splitlines()[-1]
    r = run(suite, "postcat", "-q", "2222222222222222")
    assert r.returncode == 1 and "no such message" in r.stderr
