# SPDX-License-Identifier: ISC
"""hermod trace: one message's whole story from the log and its rotated neighbours, whatever it is asked for by."""
import gzip
import json
import os
import re
import smtplib
import subprocess
import time

import pytest

from hermodtest.client import NOBODY
from hermodtest.suite import patience


def trace(suite, what, check=True):
    r = suite.hermod("trace", what, check=check)
    return r.stdout.splitlines()


def message(mid, subject="story"):
    return f"From: a@client.test\r\nSubject: {subject}\r\nMessage-ID: <{mid}>\r\n\r\nHello.\r\n"


def rotate(suite, to, compress=False):
    os.rename(suite.log_file, suite.log_file + to)
    suite.hermod("reopen")
    suite.wait_log("log_file opened anew|.")
    if compress:
        owner = os.stat(suite.log_file + to)
        with open(suite.log_file + to, "rb") as f, gzip.open(suite.log_file + to + ".gz", "wb") as g:
            g.write(f.read())
        os.chown(suite.log_file + to + ".gz", owner.st_uid, owner.st_gid)
        os.unlink(suite.log_file + to)


def test_by_everything_it_can_be_known_by(suite):
    suite.send("anna", message("one@client.test"), sender="one@client.test")
    suite.send("bert", message("two@client.test"), sender="two@client.test")
    for user in ("anna", "bert"):
        suite.maildir(user).wait(1)
    suite.wait_queue_empty()
    queue_id, session = suite.wait_log(
        r"(\w+): from=<one@client\.test> .* session=(\w+) message-id=<one@client\.test>").groups()
    suite.wait_log(rf"{queue_id}: to=<anna@hermod\.test> status=delivered")
    suite.wait_log(r"from=<two@client\.test>")
    suite.wait_log(r"to=<bert@hermod\.test> status=delivered")
    story = trace(suite, queue_id)
    assert len(story) == 2 and all(f": {queue_id}: " in line for line in story)
    assert story == sorted(story), "not in the order of the journal's clock"
    for what in ("one@client.test", "<one@client.test>", "ONE@client.test", "anna@hermod.test", "o?e@*", session, f" {queue_id} "):
        assert trace(suite, what) == story, what
    assert trace(suite, "*@client.test") == sorted(trace(suite, "*@client.test")) and len(trace(suite, "*@client.test")) == 4
    lines = suite.hermod_json("trace", queue_id)
    assert {tuple(sorted(o)) for o in lines} == {("id", "level", "pid", "process", "text", "time")}
    assert {o["process"] for o in lines} == {"smtpd", "qmgr"} and {o["id"] for o in lines} == {queue_id}
    assert [o["time"] for o in lines] == [line[:27] for line in story]


def test_what_was_refused_before_there_was_an_id(suite):
    c = suite.smtp()
    c.ehlo("client.test")
    c.mail("one@client.test")
    assert c.rcpt("nobody@hermod.test")[0] == 550
    assert c.rcpt("someone@other.example")[0] == 554
    assert c.rcpt("anna@hermod.test")[0] == 250
    c.data(message("mixed@client.test"))
    c.quit()
    suite.maildir("anna").wait(1)
    suite.wait_queue_empty()
    suite.wait_log("status=delivered")
    story = trace(suite, "mixed@client.test")
    patterns = [r"client=127\.0\.0\.1 from=<one@client\.test> to=<nobody@hermod\.test> refused: 550 5\.1\.1 ",
                r"to=<someone@other\.example> refused: 554 5\.7\.1 ", r": from=<one@client\.test> size=", r"status=delivered"]
    # It is delivered before its client is told, and logged as taken only then.
    assert sorted(next(i for i, p in enumerate(patterns) if re.search(p, line)) for line in story) == [0, 1, 2, 3]
    assert story[:2] == trace(suite, "nobody@hermod.test")
    assert "to=<someone@other.example>" in "".join(trace(suite, "someone@other.example"))


@pytest.mark.settings(message_size_limit="100K")
def test_what_was_refused_after_its_content(suite):
    c = suite.smtp()
    c.ehlo("client.test")
    del c.esmtp_features["size"]		# or it is told at MAIL
    with pytest.raises(smtplib.SMTPDataError):
        c.sendmail("big@client.test", "anna@hermod.test", message("big@client.test") + 2000 * ("x" * 70 + "\r\n"))
    suite.wait_log(r"from=<big@client\.test> refused: 552 ")
    assert re.search(r"refused: 552 5\.3\.4 message too big", "".join(trace(suite, "big@client.test")))


def test_the_sendmail_command_and_orders(suite):
    suite.block("anna")
    subprocess.run([os.path.join(suite.build, "bin", "sendmail"), "-C", suite.conf, "-f", "cron@hermod.test", "anna@hermod.test"],
                   input="Subject: x\n\nHello.\n", text=True, check=True, env=suite.environment())
    suite.wait_log("status=deferred")
    mid = suite.wait_log(r"client=local .* message-id=<([^>]+)>").group(1)
    (entry,) = suite.hermod_json("queue", "list")
    suite.hermod("queue", "delete", entry["id"])
    story = "\n".join(trace(suite, mid))
    assert "client=local" in story and "status=deferred" in story and re.search(r"status=deleted uid=\d+$", story)


def test_rotated_logs(suite):
    for i in range(4):
        suite.send("anna", message(f"{i}@client.test"), sender="same@client.test")
        suite.maildir("anna").wait(i + 1)
        suite.wait_log(rf"message-id=<{i}@client\.test>")
        suite.wait_queue_empty()
        suite.wait_log("status=delivered")
        if i < 3:
            rotate(suite, (".3", ".2", "-20200101")[i], compress=i < 2)
    for i in range(4):
        assert len(trace(suite, f"{i}@client.test")) == 2
    story = trace(suite, "same@client.test")
    assert len(story) == 8 and story == sorted(story)
    # One that is damaged does not keep the others from being read.
    gz = suite.log_file + ".3.gz"
    with open(gz, "rb") as f:
        octets = f.read()
    with open(gz, "wb") as f:
        f.write(octets[:len(octets) // 2])
    r = suite.hermod("trace", "3@client.test")
    assert len(r.stdout.splitlines()) == 2 and "cannot be read to its end" in r.stderr


def test_nothing_is_found(suite):
    r = suite.hermod("trace", "nobody@nowhere.example", check=False)
    assert r.returncode == 1 and r.stdout == "" and "nothing about it in the log: 1 file, from 20" in r.stderr
    for args in ((), ("a", "b"), ("",), ("-x",), ("<>",)):
        assert suite.hermod("trace", *args, check=False).returncode == 64, args


@pytest.mark.root
def test_others_may_not(suite):
    r = subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                        os.path.join(suite.build, "bin", "hermod"), "-c", suite.conf, "trace", "x@y.example"],
                       text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=suite.environment())
    assert r.returncode == 77 and r.stdout == ""


@pytest.fixture
def written(make_suite):
    """A suite that is not started, whose log a test writes."""
    suite = make_suite(start=False)

    def write(lines, name=""):
        with open(suite.log_file + name, "w") as f:
            for i, text in lines:
                f.write(f"2026-11-26T02:{i // 60000000 % 60:02}:{i // 1000000 % 60:02}.{i % 1000000:06}Z hermod/{text}\n")
    return suite, write


def test_order_and_what_is_no_line(written):
    suite, write = written
    write([(5, "qmgr[1]: AAAAAAAAAAAA: third"), (2, "smtpd[1]: AAAAAAAAAAAA: first"), (9, "qmgr[1]: BBBBBBBBBBBB: other"),
           (4, "smtpd[1]: AAAAAAAAAAAA: second"), (10, "qmgr[1]: warning: queue AAAAAAAAAAAA: fourth")])
    with open(suite.log_file, "ab") as f:
        f.write(b"no line\n" + b"x" * 200000 + b"\n2026-11-26T02:00:01.000000Z hermod/qmgr[1]: AAAAAAAAAAAA: \0\n")
        f.write(b"2026-11-26T02:00:02.000000Z hermod/qmgr[1]: AAAAAAAAAAAA: fifth\n2026-11-26T02:00:03.000000Z hermod/qmgr[1]: AAAAA")
    assert [line.split(": ")[-1] for line in trace(suite, "AAAAAAAAAAAA")] == ["first", "second", "third", "fourth", "fifth"]


@pytest.mark.plain
def test_memory_is_bounded(written):
    """A log of a hundred megabytes, of which every line is meant."""
    suite, write = written
    write((i * 37, f"qmgr[1]: {i // 4:016}: to=<anna@hermod.test> status=delivered delay=0 reply=\"2.1.5 {'x' * 60}\"") for i in range(600000))
    began = time.monotonic()
    with open(os.devnull, "w") as null:
        p = subprocess.Popen([os.path.join(suite.build, "bin", "hermod"), "-c", suite.conf, "trace", "anna@*"], stdout=null,
                             env=suite.environment())
        _, status, usage = os.wait4(p.pid, 0)
    assert status == 0 and usage.ru_maxrss < 64 * 1024, usage
    assert time.monotonic() - began < 60 * patience()


def test_thousands_of_ids(written):
    suite, write = written
    write((i, f"smtpd[1]: {i:016}: from=<a@client.test> session={i // 2:012} message-id=<{i}@x>") for i in range(20000))
    assert len(trace(suite, "a@client.test")) == 20000
    assert len(trace(suite, "19999@x")) == 1
    assert len(suite.hermod("--json", "trace", f"{5:012}").stdout.splitlines()) == 2
    assert json.loads(suite.hermod("--json", "trace", f"{7:016}").stdout)["id"] == f"{7:016}"
