# SPDX-License-Identifier: ISC
"""The sendmail command as scripts have called it for decades, mailq, newaliases; and what it does while the suite is down."""
import ctypes
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import termios
import time

import pytest

from hermodtest.proc import Proc, wait_for
from hermodtest.suite import patience, sanitized

SETTINGS = {"message_size_limit": "300K", "pickup_recipient_limit": 20, "header_size_limit": "20K"}

EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_CONFIG = 0, 64, 65, 67, 69, 75, 78


def sendmail(suite, *args, input=b"", name="sendmail", uid=None, env=None):
    """CompletedProcess in octets."""
    def demote():
        if uid is not None:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
    if isinstance(input, str):
        input = input.encode()
    return subprocess.run([os.path.join(suite.build, "bin", name), "-C", suite.conf, *args], input=input,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**suite.environment(), **(env or {})},
                          timeout=60 * patience(), preexec_fn=demote)


def sent(suite, *args, to="anna", **kw):
    """Sends; the message as it arrived."""
    before = set(suite.maildir(to).files())
    r = sendmail(suite, *args, **kw)
    assert r.returncode == 0, r.stderr
    new = wait_for(lambda: set(suite.maildir(to).files()) - before, 20 * patience(), why=lambda: suite.log()[-3000:])
    assert len(new) == 1
    return open(new.pop(), "rb").read()


def split(message):
    head, _, body = message.partition(b"\n\n")
    return re.sub(rb"\n[ \t]+", b" ", head).decode("latin-1").split("\n"), body


def fields(message, name):
    return [x.split(":", 1)[1].strip() for x in split(message)[0] if x.lower().startswith(name.lower() + ":")]


def test_an_unknown_option_is_named_whole(shared_suite):
    r = sendmail(shared_suite, "--dry-run", "anna", input="x\n")
    assert r.returncode == EX_USAGE and r.stderr.startswith(b"sendmail: option not known: --dry-run\n")


@pytest.mark.parametrize("name,args,code", [("mailq", [], 74), ("sendmail", ["-bi"], 74), ("sendmail", ["-bv", "anna@hermod.test"], 74),
                                            ("sendmail", ["-v", "anna@hermod.test"], 0)])
def test_what_cannot_be_shown(shared_suite, name, args, code):
    """A failure where it was asked for; but a message that is queued must not be sent again because its id could not be shown."""
    with open("/dev/full", "w") as full:
        r = subprocess.run([os.path.join(shared_suite.build, "bin", name), "-C", shared_suite.conf, *args], input=b"x\n", stdout=full,
                           stderr=subprocess.PIPE, env=shared_suite.environment(), timeout=60 * patience())
    assert r.returncode == code and (code == 0 or b"No space left on device" in r.stderr), r


def test_a_header_is_completed(shared_suite):
    m = sent(shared_suite, "anna@hermod.test", input="Subject: bare\n\nHello.\n")
    assert split(m)[1] == b"Hello.\n"
    assert fields(m, "subject") == ["bare"]
    assert len(fields(m, "date")) == len(fields(m, "message-id")) == len(fields(m, "from")) == 1
    assert re.fullmatch(r"<[^<>@ ]+@mx\.hermod\.test>", fields(m, "message-id")[0])
    assert re.fullmatch(r"<.+@mx\.hermod\.test>", fields(m, "from")[0])
    uid = os.getuid()
    assert f"from uid {uid}" in fields(m, "received")[0]


def test_what_is_there_stays(shared_suite):
    head = "From: A <a@b.test>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <x@b.test>\nTo: x@y.test\n"
    m = sent(shared_suite, "-f", "a@b.test", "anna@hermod.test", input=head + "\nx\n")
    assert m.endswith(head.encode() + b"\nx\n")
    assert fields(m, "return-path") == ["<a@b.test>"]


@pytest.mark.parametrize("args,path", [
    (["-f", "a@b.test"], "<a@b.test>"), (["-fa@b.test"], "<a@b.test>"), (["-r", "a@b.test"], "<a@b.test>"),
    (["-f", "<a@b.test>"], "<a@b.test>"), (["-f", "<>"], "<>"), (["-f", ""], "<>"), (["-f", "joe"], "<joe@mx.hermod.test>"),
    (["-oi", "-odb", "-oem", "-om", "-i", "-G", "-U", "-n", "-L", "tag", "-h", "3", "-O", "x=y", "-X", "/x", "-R", "hdrs",
      "-B", "8BITMIME", "-V", "envid", "-N", "never", "-Ac", "-fa@b.test"], "<a@b.test>"),
    (["-tif", "a@b.test"], "<a@b.test>"),
])
def test_senders_and_options(shared_suite, args, path):
    to = [] if "-tif" in args else ["anna@hermod.test"]
    m = sent(shared_suite, *args, *to, input="To: anna@hermod.test\nSubject: s\n\nx\n")
    assert fields(m, "return-path") == [path]


def test_a_full_name(shared_suite):
    m = sent(shared_suite, "-F", 'Joe "X" \\ Doe', "-f", "joe@b.test", "anna@hermod.test", input="Subject: s\n\nx\n")
    assert fields(m, "from") == ['"Joe \\"X\\" \\\\ Doe" <joe@b.test>']
    m = sent(shared_suite, "-FJoe", "anna@hermod.test", input="From: other@b.test\n\nx\n")
    assert fields(m, "from") == ["other@b.test"]


def test_recipients_of_the_header(shared_suite):
    bert = len(shared_suite.maildir("bert").files())
    m = sent(shared_suite, "-t", input="To: Anna <anna@hermod.test>\nBcc: bert@hermod.test\nSubject: s\n\nx\n")
    assert not fields(m, "bcc") and fields(m, "to") == ["Anna <anna@hermod.test>"]
    got = shared_suite.maildir("bert").wait(bert + 1)[-1]
    assert b"ert@" not in re.sub(rb"(?m)^(X-Original-To|Delivered-To): .*\n", b"", got)
    m = sent(shared_suite, "-t", input="To: friends: anna@hermod.test, \"B\" <postmaster@hermod.test>;\n\nx\n")
    m = sent(shared_suite, "-t", input="Cc: (comment) anna@\n hermod.test\n\nx\n")
    # Resent- fields say who gets it when there are some: RFC 5322 section 3.6.6
    m = sent(shared_suite, "-t", input="To: nobody@elsewhere.test\nResent-To: anna@hermod.test\n"
             "Resent-From: r@b.test\nFrom: a@b.test\n\nx\n")
    assert fields(m, "resent-to") == ["anna@hermod.test"]


def test_bcc_goes_without_t_too(shared_suite):
    m = sent(shared_suite, "anna@hermod.test", input="To: anna@hermod.test\nBcc: secret@b.test,\n other@b.test\n\nx\n")
    assert b"secret" not in m and b"other" not in m


def test_several_in_one_argument(shared_suite):
    bert = len(shared_suite.maildir("bert").files())
    sent(shared_suite, "anna@hermod.test,bert@hermod.test", input="Subject: s\n\nx\n")
    shared_suite.maildir("bert").wait(bert + 1)


@pytest.mark.parametrize("text,body", [
    ("Subject: s\n\none\ntwo\n", b"one\ntwo\n"), ("Subject: s\r\n\r\none\r\ntwo\r\n", b"one\ntwo\n"),
    ("Subject: s\r\rone\rtwo\r", b"one\ntwo\n"), ("Subject: s\n\none\n\n\n", b"one\n\n\n"),
    ("Subject: s\n\nno newline", b"no newline\n"), ("Subject: s\n\nFrom here\n>From there\n", b"From here\n>From there\n"),
    ("no header at all\nsecond\n", b"no header at all\nsecond\n"), ("\nbody after an empty line\n", b"body after an empty line\n"),
    ("From joe Mon Jan 1 00:00:00 2024\nSubject: s\n\nx\n", b"x\n"), ("", b""), ("Subject: only\n", b""),
    ("Subject: s\n\n..\n.x\n", b"..\n.x\n"), ("Subject: s\n\nbefore\n.\nafter\n", b"before\n"),
    ("Subject: s\r\n\r\nbefore\r\n.\r\nafter\r\n", b"before\n"), ("Subject: s\n\nlast.\n.", b"last.\n"),
    (".\n", b""),
])
def test_lines(shared_suite, text, body):
    assert split(sent(shared_suite, "anna@hermod.test", input=text))[1] == body


@pytest.mark.parametrize("i", ["-i", "-oi"])
def test_dots_end_nothing(shared_suite, i):
    assert split(sent(shared_suite, i, "anna@hermod.test", input="Subject: s\n\nx\n.\nafter\n"))[1] == b"x\n.\nafter\n"


def test_all_octets(shared_suite):
    octets = bytes(c for c in range(256) if c not in (10, 13))
    m = sent(shared_suite, "-i", "anna@hermod.test", input=b"Subject: s\n\n" + octets + b"\n")
    assert split(m)[1] == octets + b"\n"


def test_big_and_too_big(shared_suite):
    lines = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\n" * 4000		# 252000 octets
    assert split(sent(shared_suite, "anna@hermod.test", input=b"Subject: s\n\n" + lines))[1] == lines
    r = sendmail(shared_suite, "anna@hermod.test", input=b"Subject: s\n\n" + lines * 2)
    assert r.returncode == EX_UNAVAILABLE and b"too big" in r.stderr
    r = sendmail(shared_suite, "anna@hermod.test", input=b"X: " + b"y" * 30000 + b"\n\nx\n")
    assert r.returncode == EX_UNAVAILABLE and b"header" in r.stderr
    r = sendmail(shared_suite, "-t", input=b"To: anna@hermod.test\n" + b"X: y\n" * 400000)
    assert r.returncode in (EX_UNAVAILABLE, EX_DATAERR)


def test_an_input_that_takes_its_time(shared_suite):
    """cron opens sendmail at a job's first line, and the job may run for hours: nothing is held meanwhile."""
    before = shared_suite.maildir("anna").files()
    p = subprocess.Popen([os.path.join(shared_suite.build, "bin", "sendmail"), "-C", shared_suite.conf, "-i",
                          "anna@hermod.test"], stdin=subprocess.PIPE, env=shared_suite.environment())
    p.stdin.write(b"Subject: slow\n\none\n")
    p.stdin.flush()
    wait_for(lambda: fcntl.ioctl(p.stdin, termios.FIONREAD, bytes(4)) == bytes(4), 20 * patience())      # it has read that
    assert not [x for x in Proc(p.pid).fds().values() if x.startswith("socket:")]
    p.stdin.write(b"two\n")
    p.stdin.close()
    assert p.wait(20 * patience()) == 0
    wait_for(lambda: len(shared_suite.maildir("anna").files()) > len(before), 20 * patience())


@pytest.mark.parametrize("down", [False, True])
def test_half_a_message_is_none(suite, down):
    """Its input ends for another reason than its end: the command is killed. Nothing is sent, nothing is kept."""
    if down:
        suite.stop()
    ended = []
    for said in (b"Subject: half\n", b"Subject: half\n\n" + b"a line\n" * 20000, b"To: anna@hermod.test\n\nx\n"):
        p = subprocess.Popen([os.path.join(suite.build, "bin", "sendmail"), "-C", suite.conf, "-i", "anna@hermod.test"], stdin=subprocess.PIPE,
                             env=suite.environment())
        p.stdin.write(said)
        p.stdin.flush()
        wait_for(lambda: int(open(f"/proc/{p.pid}/io").read().split()[1]) > len(said), 20 * patience(), why="it has read")
        p.kill()
        ended.append(p.wait(20 * patience()))
        p.stdin.close()
    assert ended == [-signal.SIGKILL] * 3
    assert sendmail(suite, "anna@hermod.test", input="Subject: whole\n\nx\n").returncode == 0
    if down:
        suite.start()
    assert fields(suite.maildir("anna").wait(1)[0], "subject") == ["whole"]
    suite.wait_queue_empty()
    wait_for(lambda: not drops(suite), 20 * patience(), why=lambda: drops(suite))       # pickup hears that it was taken, then removes it
    assert len(suite.maildir("anna").files()) == 1 and not drops(suite, "drop-refused")


@pytest.mark.parametrize("args,text,code,words", [
    ([], "Subject: s\n\nx\n", EX_USAGE, b"no recipients"),
    (["-t"], "Subject: s\n\nx\n", EX_USAGE, b"no recipients"),
    (["-t"], "no header\n", EX_DATAERR, b"no header"),
    (["-t"], "To: a b c <<>>\n\nx\n", EX_DATAERR, b"not a list of addresses"),
    (["-z"], "x\n", EX_USAGE, b"not known"),
    (["-bq"], "x\n", EX_USAGE, b"not known"),
    (["-bd"], "x\n", EX_USAGE, b"hermod start"),
    (["-f"], "x\n", EX_USAGE, b"missing"),
    (["-N", "now", "anna@hermod.test"], "x\n", EX_USAGE, b"never"),
    (["-N", "never,delay", "anna@hermod.test"], "x\n", EX_USAGE, b"never"),
    (["nobody@hermod.test"], "x\n", EX_NOUSER, b"5.1.1"),
    (["anna@hermod.test", "nobody@hermod.test"], "x\n", EX_NOUSER, b"5.1.1"),
    (["a b@hermod.test"], "x\n", EX_DATAERR, b"5.1.3"),
    (["x" * 2000 + "@hermod.test"], "x\n", EX_DATAERR, b"5.1.3"),
    (["-f", "a b", "anna@hermod.test"], "x\n", EX_DATAERR, b"5.1.7"),
    (["-f", "x" * 2000, "anna@hermod.test"], "x\n", EX_DATAERR, b"5.1.7"),
    (["-V", "e" * 2000, "anna@hermod.test"], "x\n", EX_USAGE, b"-V"),
])
def test_faults(shared_suite, args, text, code, words):
    before = len(shared_suite.maildir("anna").files())
    r = sendmail(shared_suite, *args, input=text)
    assert (r.returncode, words in r.stderr) == (code, True), (r.returncode, r.stderr)
    shared_suite.wait_queue_empty()
    assert len(shared_suite.maildir("anna").files()) == before, "a part of it was sent"


def test_too_many_recipients(shared_suite):
    r = sendmail(shared_suite, *[f"anna+{i}@hermod.test" for i in range(21)], input="x\n")
    assert r.returncode == EX_TEMPFAIL and b"4.5.3" in r.stderr


def test_a_wrong_configuration(shared_suite, tmp_path):
    conf = tmp_path / "hermod.conf"
    conf.write_text("hostname = \n frobnicate = 3\n")
    r = subprocess.run([os.path.join(shared_suite.build, "bin", "sendmail"), "-C", str(conf), "anna@hermod.test"], input=b"x\n",
                       stderr=subprocess.PIPE)
    assert r.returncode == EX_CONFIG and b"hermod.conf:" in r.stderr


def test_verbose_and_verify(shared_suite):
    r = sendmail(shared_suite, "-v", "anna@hermod.test", input="Subject: s\n\nx\n")
    assert r.returncode == 0 and re.fullmatch(rb"queued as \w+\n", r.stdout)
    r = sendmail(shared_suite, "-bv", "anna@hermod.test", "postmaster")
    assert r.returncode == 0 and b"deliverable" in r.stdout
    r = sendmail(shared_suite, "-bv", "nobody@hermod.test")
    assert r.returncode == EX_NOUSER and b"5.1.1" in r.stderr


def test_smtp_on_standard_input(shared_suite):
    before = set(shared_suite.maildir("anna").files())
    r = sendmail(shared_suite, "-bs", input="EHLO me.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<nobody@hermod.test>\r\n"
                 "RCPT TO:<anna@hermod.test>\r\nDATA\r\n" )
    assert [x[:3] for x in r.stdout.decode().split("\r\n") if x[3:4] == " "] == ["220", "250", "250", "550", "250", "354"]
    time.sleep(0.2)
    assert set(shared_suite.maildir("anna").files()) == before
    p = subprocess.Popen([os.path.join(shared_suite.build, "bin", "sendmail"), "-C", shared_suite.conf, "-bs"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=shared_suite.environment())

    def say(line):
        p.stdin.write(line.encode() + b"\r\n")
        p.stdin.flush()
        return reply()

    def reply():
        while True:
            line = p.stdout.readline().decode()
            if line[3:4] != "-":
                return int(line[:3])
    assert reply() == 220
    assert say("HELO me.test") == 250
    for n in range(2):
        assert say("MAIL FROM:<a@b.test>") == 250
        assert say("RCPT TO:<anna@hermod.test>") == 250
        assert say("DATA") == 354
        assert say(f"Subject: bs {n}\r\n\r\n..dot\r\n.") == 250
    assert say("MAIL FROM:<a@b.test>") == 250
    assert say("RCPT TO:<anna@hermod.test>") == 250
    assert say("DATA") == 354
    assert say("X: " + "y" * 900 + ("\r\nX: " + "y" * 900) * 30 + "\r\n\r\nx\r\n.") == 552
    assert say("RSET") == 250
    assert say("QUIT") == 221
    p.stdin.close()
    assert p.wait(20) == 0
    p.stdout.close()
    new = wait_for(lambda: len(n := set(shared_suite.maildir("anna").files()) - before) == 2 and n, 20 * patience())
    texts = [open(f, "rb").read() for f in new]
    assert all(t.endswith(b"\n\n.dot\n") for t in texts) and sorted(fields(t, "subject")[0] for t in texts) == ["bs 0", "bs 1"]


@pytest.mark.root
def test_whom_the_kernel_names(shared_suite):
    """Another user's message carries his uid, whatever he says."""
    os.chmod(shared_suite.dir, 0o755)
    m = sent(shared_suite, "-f", "root@hermod.test", "anna@hermod.test", input="Subject: s\n\nx\n", uid=54321)
    assert "from uid 54321" in fields(m, "received")[0]
    m = sent(shared_suite, "anna@hermod.test", input="Subject: s\n\nx\n", uid=54321)
    assert fields(m, "return-path") == ["<uid-54321@mx.hermod.test>"]


def test_mailq_shows_what_waits(suite):
    r = sendmail(suite, name="mailq")
    assert r.returncode == 0 and b"empty" in r.stdout
    suite.kill("local", 19)		# stopped: deliveries wait
    for i in range(3):
        assert sendmail(suite, "-f", f"a{i}@b.test", "anna@hermod.test", "bert@hermod.test",
                        input=f"Subject: \x1b]0;x\x07{i}\n\nx\n").returncode == 0
    for r in (sendmail(suite, name="mailq"), sendmail(suite, "-bp")):
        assert r.returncode == 0
        out = r.stdout.decode()
        assert all(f"a{i}@b.test" in out for i in range(3)) and out.count("anna@hermod.test") == 3
        assert "3 Requests" in out
    r = sendmail(suite, "--json", name="mailq")
    rows = [json.loads(x) for x in r.stdout.decode().splitlines()]
    assert {x["sender"] for x in rows} == {f"a{i}@b.test" for i in range(3)}
    assert all([y["address"] for y in x["recipients"]] == ["anna@hermod.test", "bert@hermod.test"] for x in rows)
    assert all(x["size"] > 10 and abs(x["arrival"] - time.time()) < 60 for x in rows)
    suite.kill("local", 18)
    suite.maildir("anna").wait(3)
    suite.wait_queue_empty()
    assert b"empty" in sendmail(suite, name="mailq").stdout


@pytest.mark.root
def test_mailq_shows_a_user_his_own(suite):
    suite.kill("local", signal.SIGSTOP)
    try:
        for uid, to in ((None, "anna@hermod.test"), (54321, "bert@hermod.test")):
            assert sendmail(suite, to, input="Subject: s\n\nx\n", uid=uid).returncode == 0
        every, own = (sendmail(suite, name="mailq", uid=uid).stdout for uid in (None, 54321))
        assert b"anna@hermod.test" in every and b"bert@hermod.test" in every
        assert b"anna@hermod.test" not in own and b"bert@hermod.test" in own
        assert b"empty" in sendmail(suite, name="mailq", uid=54322).stdout
    finally:
        suite.kill("local", signal.SIGCONT)


def test_mailq_while_down(suite):
    suite.stop()
    r = sendmail(suite, name="mailq")
    assert r.returncode == EX_UNAVAILABLE and b"hermod start" in r.stderr
    r = sendmail(suite, "-bv", "anna@hermod.test")
    assert r.returncode == EX_TEMPFAIL and b"hermod start" in r.stderr


def test_newaliases(shared_suite):
    for r in (sendmail(shared_suite, name="newaliases"), sendmail(shared_suite, "-bi"), sendmail(shared_suite, "-I")):
        assert r.returncode == 0, r.stderr


# ---- while the suite is down ----------------------------------------------------------------


def drops(suite, folder="drop"):
    try:
        return sorted(os.listdir(os.path.join(suite.queue, folder)))
    except FileNotFoundError:
        return []


def test_kept_while_down_delivered_when_up(suite):
    suite.stop()
    body = bytes(c for c in range(256) if c not in (10, 13)) + b"\n" + b"line\n" * 60000
    r = sendmail(suite, "-v", "-i", "-f", "a@b.test", "anna@hermod.test", "bert@hermod.test",
                 input=b"Subject: kept\nBcc: x@y.test\n\n" + body)
    assert r.returncode == 0 and r.stdout == b"the mail system is down; the message is kept until it is up\n", r
    r = sendmail(suite, "-t", input="To: anna@hermod.test\nSubject: kept, too\n\nx\n.\nnot this\n")
    assert r.returncode == 0, r.stderr
    assert len(drops(suite)) == 2 and not [n for n in drops(suite) if n.startswith(".")]
    for n in drops(suite):
        st = os.stat(os.path.join(suite.queue, "drop", n))
        assert st.st_uid == os.getuid() and st.st_nlink == 1 and not st.st_mode & 0o7022
    suite.start()
    got = suite.maildir("anna").wait(2)
    one = [m for m in got if fields(m, "subject") == ["kept"]][0]
    two = [m for m in got if fields(m, "subject") == ["kept, too"]][0]
    assert split(one)[1] == body and split(two)[1] == b"x\n"
    assert not fields(one, "bcc") and fields(one, "return-path") == ["<a@b.test>"]
    assert f"from uid {os.getuid()}" in fields(one, "received")[0]
    suite.maildir("bert").wait(1)
    wait_for(lambda: not drops(suite), 20 * patience())
    assert not drops(suite, "drop-refused")
    suite.restart()
    time.sleep(0.5)
    assert len(suite.maildir("anna").files()) == 2


@pytest.mark.settings(queue_minfree_submission="1T")
def test_no_room_while_down_says_so(suite):
    suite.stop()
    r = sendmail(suite, "anna@hermod.test", input="Subject: s\n\nx\n")
    assert r.returncode == EX_TEMPFAIL and r.stderr == b"sendmail: 452 4.3.1 no room for mail now; try again later\n", r
    assert drops(suite) == []


def test_refused_when_up_is_set_aside(suite):
    suite.stop()
    for to in (["nobody@hermod.test"], ["anna@hermod.test", "nobody@hermod.test"]):
        assert sendmail(suite, *to, input="Subject: s\n\nx\n").returncode == 0
    suite.start()
    suite.maildir("anna").wait(1)
    wait_for(lambda: len(drops(suite, "drop-refused")) == 2 and not drops(suite), 20 * patience(), why=lambda: suite.log()[-3000:])
    wait_for(lambda: len(re.findall(r"drop \w+: moved to drop-refused", suite.log())) == 2, 10 * patience())
    suite.wait_log("there is no mailbox")


def test_smtp_on_standard_input_while_down(suite):
    suite.stop()
    p = subprocess.Popen([os.path.join(suite.build, "bin", "sendmail"), "-C", suite.conf, "-bs"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=suite.environment())
    for line, code in ((None, b"220"), (b"HELO x.test", b"250"), (b"MAIL FROM:<a@b.test>", b"250"),
                       (b"RCPT TO:<anna@hermod.test>", b"250"), (b"DATA", b"354"), (b"Subject: s\r\n\r\nx\r\n.", b"250"),
                       (b"QUIT", b"221")):
        if line:
            p.stdin.write(line + b"\r\n")
            p.stdin.flush()
        assert p.stdout.readline().startswith(code), line
    p.stdin.close()
    p.stdout.close()
    assert p.wait(20) == 0
    suite.start()
    suite.maildir("anna").wait(1)


def test_odd_things_in_the_drop_folder(suite):
    """Damaged, cut, linked, no files at all: set aside, and what is good is delivered."""
    suite.stop()
    drop = os.path.join(suite.queue, "drop")
    assert sendmail(suite, "anna@hermod.test", input="Subject: good\n\nx\n").returncode == 0
    good = os.path.join(drop, drops(suite)[0])
    whole = open(good, "rb").read()
    secret = os.path.join(suite.dir, "secret")
    open(secret, "wb").write(whole)

    def make(name, octets):
        path = os.path.join(drop, name)
        open(path, "wb").write(octets)
        os.chmod(path, 0o644)
    make("cut", whole[:-1])
    make("cut2", whole[:30])
    make("empty", b"")
    make("longer", whole + b"x")
    make("flipped", whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    make("garbage", os.urandom(100000))
    make(".half", whole)
    os.symlink(secret, os.path.join(drop, "symlink"))
    os.link(secret, os.path.join(drop, "hardlink"))
    os.mkfifo(os.path.join(drop, "fifo"))
    os.mkdir(os.path.join(drop, "folder"))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.path.join(drop, "socket"))
    suite.start()
    suite.maildir("anna").wait(1)
    odd = ["cut", "cut2", "empty", "flipped", "garbage", "hardlink", "longer"]
    # What is no file hermod-drop cannot have made: it stays for a person, as the confinement has it.
    wait_for(lambda: drops(suite) == [".half", "fifo", "folder", "socket", "symlink"], 20 * patience(), why=lambda: (drops(suite), suite.log()[-3000:]))
    assert drops(suite, "drop-refused") == odd
    assert len(suite.maildir("anna").files()) == 1
    assert open(secret, "rb").read() == whole


def drop_program(suite):
    return os.path.join(suite.build, "libexec", "hermod", "hermod-drop")


def test_hermod_drop_by_hand(suite):
    """It talks to sendmail alone, over a socket; garbage there leaves nothing behind."""
    suite.stop()
    r = subprocess.run([drop_program(suite), "-C", suite.conf], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert r.returncode == EX_USAGE and b"sendmail" in r.stderr
    for octets in (b"", b"x", b"\0" * 8, b"\xff" * 60000, os.urandom(5000)):
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        p = subprocess.Popen([drop_program(suite), "-C", suite.conf], stdin=b.fileno())
        b.close()
        try:
            a.send(octets)
        except OSError:
            pass
        a.close()
        assert p.wait(20 * patience()) == 0
    assert drops(suite) == []


def test_hermod_drop_takes_nothing_from_its_caller(suite):
    """An odd environment, umask, current folder, closed descriptors: the file is as it must be."""
    suite.stop()
    there = os.path.join(suite.dir, "cwd")
    os.mkdir(there)
    open(os.path.join(there, "DB_CONFIG"), "w").write("set_data_dir /\n")
    r = subprocess.run([os.path.join(suite.build, "bin", "sendmail"), "-C", suite.conf, "anna@hermod.test"],
                       input=b"Subject: s\n\nx\n", cwd=there, umask=0, stderr=subprocess.PIPE,
                       env={**suite.environment(), "TZ": "/etc/passwd", "HOME": "/nonexistent", "TMPDIR": "/nonexistent"})
    assert r.returncode == 0, r.stderr
    st = os.stat(os.path.join(suite.queue, "drop", drops(suite)[0]))
    assert stat.S_IMODE(st.st_mode) == 0o644
    suite.start()
    suite.maildir("anna").wait(1)


@pytest.mark.parametrize("down", [False, True])
def test_options_and_names_are_no_program(suite, down):
    """CVE-2016-10033, CVE-2010-4345, CVE-1999-0163 and their like: no option names a file to write, a queue or a configuration to
    be trusted, or an expression; and a name is an address or refused, never a command, a file or a list of others."""
    if down:
        suite.stop()
    there = os.path.join(suite.dir, "there")
    os.mkdir(there, 0o777)
    os.chmod(there, 0o777)
    shot = os.path.join(there, "shot")
    for args in (["-X", shot], [f"-X{shot}"], ["-O", f"QueueDirectory={there}"], [f"-OQueueDirectory={there}"], [f"-oQ{there}"],
                 ["-oem", f"-OLogFile={shot}"], ["-D", shot], [f"-oA{shot}"], ["-O", f"DeadLetterDrop={shot}"],
                 [f"-d0-99.100={shot}"], ["-p", "UUCP:evil.test"], ["-M", shot], ["-qf"], ["-oMsx"], ["-oMrevil"]):
        r = sendmail(suite, *args, "-f", "a@b.test", "anna@hermod.test", input="Subject: s\n\n<?php ?>\n")
        assert r.returncode in (EX_OK, EX_USAGE, EX_UNAVAILABLE, EX_TEMPFAIL), (args, r)
    for args in (["-be", f"${{run{{/usr/bin/touch {shot}}}}}"], ["-bt"], ["-bP"], ["-bI"], ["-bH"], ["-bz", shot], ["-be"]):
        assert sendmail(suite, *args, input=f"${{run{{/usr/bin/touch {shot}}}}}\n").returncode == EX_USAGE, args
    for name in (f"|touch {shot}", f"|/usr/bin/touch {shot}", f'"|touch {shot}"', shot, f":include:{shot}", f";touch${{IFS}}{shot};",
                 f"`touch {shot}`@hermod.test", f"$(touch {shot})@hermod.test", "anna@hermod.test\nRCPT TO:<bert@hermod.test>",
                 "anna@hermod.test\r\nBcc: bert@hermod.test", "anna@hermod.test\x1b[2J", "\u202eanna@hermod.test\x00"[:-1]):
        for args in ([name], ["-f", name, "anna@hermod.test"], ["-t"]):
            text = f"To: {name}\nSubject: s\n\nx\n" if args == ["-t"] and "\n" not in name else "Subject: s\n\nx\n"
            r = sendmail(suite, *args, input=text)
            assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", r.stdout + r.stderr), (args, r)
    for name in ("-F", "-V", "-N", "-R"):
        sendmail(suite, name, "x\nBcc: bert@hermod.test\n\nbody", "-f", "a@b.test", "anna@hermod.test", input="Subject: s\n\nx\n")
    if down:
        suite.start()
        wait_for(lambda: not drops(suite), 30 * patience(), why=lambda: drops(suite))
    wait_for(lambda: not suite.queue_files("new") and not suite.queue_files("active"), 30 * patience())
    assert os.listdir(there) == [] and not suite.maildir("bert").files()
    for m in suite.maildir("anna").messages():
        assert not fields(m, "bcc") and split(m)[1] in (b"x\n", b"<?php ?>\n"), m


CALLERS = {
    "nothing is open": {"shut": (0, 1, 2)}, "only input": {"shut": (1, 2)}, "no error output": {"shut": (2,)},
    "signals are ignored": {"signals": signal.SIG_IGN}, "signals are blocked": {"block": True}, "no umask": {"mask": 0}, "all umask": {"mask": 0o777},
    "few descriptors": {"limit": (resource.RLIMIT_NOFILE, 8)}, "fewer descriptors": {"limit": (resource.RLIMIT_NOFILE, 4)},
    "no large files": {"limit": (resource.RLIMIT_FSIZE, 1000)}, "no core": {"limit": (resource.RLIMIT_CORE, 0)},
    "no processes": {"limit": (resource.RLIMIT_NPROC, 0)}, "a folder that is gone": {"gone": True},
    "an odd environment": {"env": {"TZ": ":/etc/shadow", "IFS": "/", "LOCPATH": "/tmp", "GCONV_PATH": "/tmp", "LC_ALL": "../../tmp/x",
                                   "OPENSSL_CONF": "/tmp/x.cnf", "MALLOC_PERTURB_": "7", "HOSTALIASES": "/etc/shadow", "PATH": "",
                                   "MAIL_CONFIG": "/tmp", "HERMOD_CONF": "/tmp/x", "X" * 1000: "y" * 100000}},
    "no environment": {"env": None},
}


def sent_by(suite, caller, subject, body, cwd):
    """What became of the command, called so."""
    os.mkdir(cwd)

    def prepare():
        if caller.get("gone"):
            os.rmdir(cwd)
        os.umask(caller.get("mask", 0o022))
        for s in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGALRM):
            if "signals" in caller:
                signal.signal(s, caller["signals"])
        if caller.get("block"):
            signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        if "limit" in caller:
            resource.setrlimit(caller["limit"][0], (caller["limit"][1],) * 2)
        for fd in caller.get("shut", ()):
            os.close(fd)
    env = {**suite.environment(), **(caller.get("env", {}) or {})}
    if caller.get("env", 0) is None:
        env = {k: v for k, v in env.items() if k.endswith("SAN_OPTIONS") and sanitized()}
    return subprocess.run([os.path.join(suite.build, "bin", "sendmail"), "-C", suite.conf, "-f", "a@b.test", "anna@hermod.test"],
                          input=None if 0 in caller.get("shut", ()) else f"Subject: {subject}\n\n".encode() + body, cwd=cwd, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=prepare, timeout=60 * patience())


@pytest.mark.parametrize("down", [False, True])
def test_whatever_its_caller_left_it(suite, down):
    """Descriptors, signals, limits, folder, environment: the message is sent or kept whole, or the command says that it is not,
    and then nothing of it is anywhere."""
    if down:
        suite.stop()
    body, sure = b"a line of it\n" * 1000, set()
    for i, (how, caller) in enumerate(CALLERS.items()):
        r = sent_by(suite, caller, how, body, os.path.join(suite.dir, f"cwd{i}"))
        assert 0 <= r.returncode < 128, (how, r)
        if r.returncode == 0:
            sure.add(how)
        if how == "nothing is open":
            assert r.returncode != 0, "no input is no empty message"
        elif how not in ("few descriptors", "fewer descriptors", "no large files", "no processes"):
            assert r.returncode == 0, (how, r)
    if down:
        suite.start()
        wait_for(lambda: not drops(suite), 30 * patience(), why=lambda: drops(suite))
    suite.maildir("anna").wait(len(sure))
    suite.wait_queue_empty()
    got = suite.maildir("anna").messages()
    assert sorted(fields(m, "subject")[0] for m in got) == sorted(sure) and all(split(m)[1] == body for m in got)
    assert not drops(suite, "drop-refused")


def test_hermod_drop_keeps_no_descriptor_of_its_caller(suite):
    """What a caller has open, a file of root's or a socket, does not stay open in a program of another group."""
    suite.stop()
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with open(suite.conf, "r+b") as held, open("/dev/null", "r+b") as null:
        os.dup2(held.fileno(), 200)
        p = subprocess.Popen([drop_program(suite), "-C", suite.conf], stdin=b.fileno(), stdout=null, stderr=null, pass_fds=[200, held.fileno(), a.fileno()])
        b.close()
        os.close(200)

        def links():
            assert p.poll() is None, "it ended"
            found = []
            for fd in os.listdir(f"/proc/{p.pid}/fd"):
                try:
                    found.append(os.readlink(f"/proc/{p.pid}/fd/{fd}"))
                except FileNotFoundError:       # closed since
                    pass
            return sorted(found)
        try:
            wait_for(lambda: suite.conf not in links() and sum(x.startswith("socket:") for x in links()) == 1, 20 * patience(), why=links)
        finally:
            a.close()
            assert p.wait(20 * patience()) == 0


@pytest.mark.parametrize("name", ["sendmail", "mailq", "newaliases", "hermod"])
def test_no_argument_at_all(shared_suite, name):
    """Not even its own name: what stands behind the arguments is the environment (CVE-2021-4034)."""
    program = os.path.join(shared_suite.build, "bin", name)
    pid = os.fork()
    if pid == 0:
        fd = os.open("/dev/null", os.O_RDWR)
        for n in range(3):
            os.dup2(fd, n)
        nothing = (ctypes.c_char_p * 1)(None)
        words = (ctypes.c_char_p * 3)(b"-C", b"/nonexistent/hermod.conf", None)
        ctypes.CDLL(None).execve(program.encode(), nothing, words)
        os._exit(127)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert 0 <= status < 127, status


def sysconfdir(suite):
    return re.search(r'#define HERMOD_SYSCONFDIR "(.*)"', open(os.path.join(suite.build, "config.h")).read()).group(1)


@pytest.mark.root
@pytest.mark.plain
def test_set_gid(suite):
    """Installed as it should be: a user without rights drops a message, and can neither list nor read what is there, nor
    name a configuration."""
    gid, uid = 54400, 54321
    there = sysconfdir(suite)
    programs = os.path.join(suite.dir, "programs")
    mounted = ["unshare", "-m", "sh", "-c", f'mount --bind {suite.dir}/etc {there} && exec "$@"', "sh", "setpriv", f"--reuid={uid}",
               f"--regid={uid}", "--clear-groups"]
    if not os.path.isdir(there) or subprocess.run(mounted + ["true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip(f"no bind mount over {there}, where hermod-drop looks for its configuration, can be had here")
    os.chmod(suite.dir, 0o755)
    os.mkdir(programs)
    for name in os.listdir(os.path.join(suite.build, "libexec", "hermod")):
        os.symlink(os.path.join(suite.build, "libexec", "hermod", name), os.path.join(programs, name))
    drop_copy = os.path.join(programs, "hermod-drop")
    os.unlink(drop_copy)
    shutil.copy(drop_program(suite), drop_copy)
    os.chown(drop_copy, 0, gid)
    os.chmod(drop_copy, 0o2755)
    suite.stop()
    suite.write_conf(program_directory=programs)
    for folder, mode in ((suite.queue, 0o710), (os.path.join(suite.queue, "drop"), 0o1730)):
        os.chown(folder, os.stat(folder).st_uid, gid)
        os.chmod(folder, mode)
    evil = os.path.join(suite.dir, "evil.conf")
    os.makedirs(os.path.join(suite.dir, "evil", "drop"), mode=0o777)
    os.chmod(os.path.join(suite.dir, "evil", "drop"), 0o777)
    open(evil, "w").write(open(suite.conf).read().replace(suite.queue, os.path.join(suite.dir, "evil")))

    def run(*args, **kw):
        return subprocess.run(mounted + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
    for n, conf in enumerate((suite.conf, evil)):
        r = run(os.path.join(suite.build, "bin", "sendmail"), "-C", conf, "anna@hermod.test", input=b"Subject: %d\n\nx\n" % n)
        assert r.returncode == 0, r.stderr
    assert len(drops(suite)) == 2 and os.listdir(os.path.join(suite.dir, "evil", "drop")) == []
    for name in drops(suite):
        st = os.stat(os.path.join(suite.queue, "drop", name))
        assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (uid, gid, 0o644)
        assert run("cat", os.path.join(suite.queue, "drop", name)).returncode != 0
    assert run("ls", os.path.join(suite.queue, "drop")).returncode != 0
    os.chown(suite.conf, uid, uid)		# then it says what he wants
    r = run(os.path.join(suite.build, "bin", "sendmail"), "-C", suite.conf, "anna@hermod.test", input=b"x\n")
    assert r.returncode == EX_TEMPFAIL and b"must belong to root" in r.stderr, r.stderr
    os.chown(suite.conf, 0, 0)
    suite.start()
    got = suite.maildir("anna").wait(2)
    assert all(f"from uid {uid}" in fields(m, "received")[0] for m in got)
