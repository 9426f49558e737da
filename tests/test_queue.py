# SPDX-License-Identifier: ISC
"""The queue of a running suite: waiting, giving up, damage, locks, a full disk."""
import os
import re
import shutil
import signal
import smtplib
import subprocess
import time

import pytest

from hermodtest import powercut
from hermodtest.proc import wait_for
from hermodtest.suite import patience

FAST = dict(minimal_backoff="1s", maximal_backoff="2s", uncertain_backoff="1s")


def block(suite, user="anna"):
    """Its mailbox takes no mail until unblock. Returns its path."""
    path = suite.maildir(user).path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isdir(path):
        os.rename(path, path + ".kept")
    with open(path, "w"):			# not a folder
        pass
    return path


def unblock(path):
    os.unlink(path)
    if os.path.isdir(path + ".kept"):
        os.rename(path + ".kept", path)


def subjects(suite, user):
    return sorted(re.search(rb"^Subject: (.*)$", m, re.M).group(1).decode() for m in suite.maildir(user).messages())


def message(subject):
    return f"From: a@client.test\r\nSubject: {subject}\r\n\r\nHello.\r\n"


@pytest.mark.settings(**FAST)
def test_waits_and_is_delivered(suite):
    path = block(suite)
    suite.send("anna", message("late"))
    suite.send("bert", message("prompt"))
    suite.maildir("bert").wait(1)
    suite.wait_log(r"to=<anna@hermod\.test>.* status=deferred .*reply=\"4\.")
    unblock(path)
    suite.wait_queue_empty()
    assert subjects(suite, "anna") == ["late"]
    suite.wait_log("status=delivered")


@pytest.mark.settings(minimal_backoff="1h")
def test_a_recipient_that_waits_holds_up_no_other(suite):
    path = block(suite)
    suite.send(["anna", "bert"], message("both"))
    suite.maildir("bert").wait(1)
    wait_for(lambda: suite.queue_files("later"), 20 * patience(), why="a file in later/")
    # What was delivered is not delivered again by the next attempt, or the next qmgr.
    suite.stop()
    unblock(path)
    for f in suite.queue_files("later"):
        os.rename(f, os.path.join(suite.queue, "active", os.path.basename(f).split("-")[0]))
    suite.write_conf(minimal_backoff="1s", maximal_backoff="1s")
    suite.start()
    suite.wait_queue_empty(90)
    assert subjects(suite, "anna") == ["both"] and subjects(suite, "bert") == ["both"]


@pytest.mark.settings(max_queue_lifetime="2s", **FAST)
def test_too_old_is_told(suite):
    """Its sender gets it back; the next message is delivered."""
    path = block(suite)
    suite.send("anna", message("old"), sender="bert@hermod.test")
    suite.wait_log(r"status=expired")
    suite.maildir("bert").wait(1)
    told, = suite.maildir("bert").messages()
    assert b"old" in told and b"anna@hermod.test" in told
    suite.wait_queue_empty()
    unblock(path)
    suite.send("anna", message("new"))
    suite.maildir("anna").wait(1)
    assert subjects(suite, "anna") == ["new"]


@pytest.mark.settings(max_queue_lifetime="2s", bounce_queue_lifetime="2s", minimal_backoff="1s", double_bounce="postmaster")
def test_too_old_and_nobody_can_be_told(suite):
    """Neither its sender nor postmaster, who is the one that does not get it: a person has to look."""
    path = block(suite)
    suite.send("anna", message("old"), sender="")
    suite.wait_log(r"status=expired")
    suite.wait_log(r"status=held reason=")
    wait_for(lambda: suite.queue_files("hold"), 10 * patience(), why="a file in hold/")
    unblock(path)
    suite.restart()
    suite.send("anna", message("new"))
    suite.maildir("anna").wait(1)
    assert len(suite.queue_files("hold")) == 1 and "new" in subjects(suite, "anna")


def wait_deferred(suite, n):
    wait_for(lambda: len(suite.queue_files("later")) == n, 20 * patience(),
             why=lambda: f"{suite.queue_files()}\n{suite.log()[-2000:]}")
    return suite.queue_files("later")


@pytest.mark.settings(minimal_backoff="1h")
def test_damaged_files_are_set_aside(suite):
    path = block(suite)
    for i in range(6):
        suite.send("anna", message(f"m{i}") + "x" * 100 + "\r\n")
    files = wait_deferred(suite, 6)
    suite.stop()
    unblock(path)

    def damage(f, how):
        b = bytearray(open(f, "rb").read())
        how(b)
        with open(f, "wb") as out:
            out.write(b)
    damage(files[0], lambda b: b.__setitem__(3, b[3] ^ 1))		# preamble
    damage(files[1], lambda b: b.__setitem__(2100, b[2100] ^ 1))	# content
    damage(files[2], lambda b: b.__delitem__(slice(1000, None)))	# cut
    damage(files[3], lambda b: b.__setitem__(slice(0, 1536), bytes(1536)))
    damage(files[4], lambda b: b.clear())
    for f in files:		# all are due
        os.rename(f, os.path.join(suite.queue, "new", os.path.basename(f).split("-")[0]))
    with open(os.path.join(suite.queue, "new", "not a name of ours"), "w") as out:
        out.write("hello")
    os.mkdir(os.path.join(suite.queue, "new", "FOLDER"))
    suite.write_conf(minimal_backoff="1s")
    suite.start()
    wait_for(lambda: len(suite.queue_files("corrupt")) == 6, 20 * patience(),
             why=lambda: f"{suite.queue_files()}\n{suite.log()[-2000:]}")
    wait_for(lambda: len(re.findall(r"is damaged: set aside as corrupt/", suite.log())) == 6, 10 * patience(), why=suite.log)
    suite.send("bert", message("goes on"))
    suite.maildir("bert").wait(1)
    # The sixth was in order, and waits on as its envelope says.
    wait_for(lambda: len(suite.queue_files("later")) == 1, 20 * patience(), why=suite.queue_files)


@pytest.mark.settings(**FAST)
def test_the_lock_outlives_qmgr(suite):
    """A qmgr that was killed while a delivery runs: the next one leaves the message alone."""
    suite.send("anna", message("first"))		# so that there is a worker
    suite.maildir("anna").wait(1)
    suite.wait_queue_empty()
    worker = suite.processes("deliver")
    assert worker
    for w in worker:
        w.kill(signal.SIGSTOP)
    suite.send("anna", message("second"))
    wait_for(lambda: suite.queue_files("new"), 10 * patience(), why="it is in new/")
    time.sleep(0.5)
    old = suite.pids("qmgr")
    suite.kill("qmgr")
    wait_for(lambda: suite.pids("qmgr") not in ([], old), 20 * patience(), why="another qmgr")
    time.sleep(4 * patience())
    assert subjects(suite, "anna") == ["first"]
    assert len(suite.queue_files("new")) == 1
    for w in worker:
        w.kill(signal.SIGCONT)
    suite.wait_queue_empty()
    got = subjects(suite, "anna")
    assert got.count("first") == 1 and got.count("second") in (1, 2)	# the answer of the first was lost


@pytest.mark.settings(**FAST)
def test_local_killed_while_it_delivers(suite):
    suite.send("anna", message("first"))
    suite.maildir("anna").wait(1)
    suite.wait_queue_empty()
    for w in suite.processes("deliver"):
        w.kill(signal.SIGSTOP)
    suite.send("anna", message("second"))
    time.sleep(0.5)
    suite.kill("local")
    suite.wait_log(r"status=uncertain")
    for w in suite.processes("deliver"):
        w.kill(signal.SIGCONT)
    suite.wait_queue_empty()
    assert subjects(suite, "anna").count("second") in (1, 2)


@pytest.mark.settings(queue_minfree="100000T")
def test_disk_guard(suite):
    with suite.smtp() as c:
        c.ehlo()
        code, text = c.mail("a@client.test")
        if code == 250:
            code, text = c.rcpt("anna@hermod.test")
        if code == 250:
            code, text = c.docmd("DATA")
        assert code == 452, (code, text)
    suite.wait_log(r"no mail is taken: .*queue_minfree")
    assert not [f for f in suite.queue_files()]


def test_many_recipients(suite):
    users = [suite.add_account(f"user{i}") for i in range(20)]
    suite.reload()
    suite.send(users, message("to many"))
    for u in users:
        suite.maildir(u).wait(1)
    suite.wait_queue_empty()
    wait_for(lambda: len(re.findall(r"status=delivered", suite.log())) == 20, 10 * patience(), why=suite.log)


@pytest.mark.settings(minimal_backoff="1h")
def test_arrived_while_no_qmgr_was_there(suite):
    """What cleanup could not announce is found."""
    suite.stop()
    suite.start()
    for w in suite.processes("qmgr"):
        w.kill(signal.SIGSTOP)
    for i in range(5):
        suite.send("anna", message(f"m{i}"))
    assert len(suite.queue_files("new")) == 5
    suite.kill("qmgr")
    suite.maildir("anna").wait(5)
    suite.wait_queue_empty()


@pytest.mark.root
def test_full_disk(make_suite, tmp_path):
    s = make_suite(start=False, queue_minfree="64K", queue_minfree_files="10", **FAST)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", s.queue], check=True)
    try:
        s.start()
        path = block(s)
        accepted, refused = 0, 0
        for i in range(40):
            try:
                s.send("anna", message(f"m{i:02}") + ("x" * 70 + "\r\n") * 700)
                accepted += 1
            except smtplib.SMTPException as e:
                code = getattr(e, "smtp_code", None)
                assert code in (451, 452), e
                refused += 1
        assert accepted > 5 and refused > 5
        unblock(path)
        s.maildir("anna").wait(accepted, 60)
        s.wait_queue_empty()
        s.send("anna", message("after"))
        s.maildir("anna").wait(accepted + 1)
        assert len(set(subjects(s, "anna"))) == accepted + 1
        s.stop()
    finally:
        s.stop()
        subprocess.run(["umount", "-l", s.queue], check=True)


def test_reload_loses_nothing(suite):
    """The new qmgr waits until the old one has let go of the queue."""
    for i in range(5):
        suite.send("anna", message(f"a{i}"))
        suite.reload()
        suite.send("anna", message(f"b{i}"))
    suite.maildir("anna").wait(10, 90)
    suite.wait_queue_empty(90)
    assert len(subjects(suite, "anna")) == 10


def test_nothing_is_left_by_an_aborted_session(suite):
    c = suite.smtp()
    c.ehlo()
    c.mail("a@client.test")
    c.rcpt("anna@hermod.test")
    assert c.docmd("DATA")[0] == 354
    c.sock.sendall(b"Subject: x\r\n\r\n" + b"x" * 100000)
    c.sock.close()
    time.sleep(0.5)
    assert suite.queue_files() == []
    shutil.rmtree(suite.maildir("anna").path, ignore_errors=True)


@pytest.mark.faults
@pytest.mark.parametrize("call,error", [("fsync:2", "EIO"), ("linkat:1", "EIO"), ("linkat:1", "ENOSPC"),
                                        ("pwrite:1", "ENOSPC"), ("pwrite:2", "EIO"), ("openat:12", "EMFILE"),
                                        ("openat:13", "ENFILE"), ("openat:14", "EMFILE"), ("calloc:60", "ENOMEM"),
                                        ("linkat:2", "kill"), ("pwrite:3", "kill"),
                                        pytest.param("fsync:4", "kill", marks=pytest.mark.long)])	# a commit may have two
def test_cleanup_when_a_call_fails(make_suite, call, error):
    """451 or 452 and nothing left of it, or 250 and it is delivered."""
    s = make_suite(env={"HERMOD_FAULT": f"cleanup:{call}:{error}"}, early_delivery_time="0s", **FAST)
    s.crash_allowed = True
    accepted, refused = [], 0
    for i in range(12):
        try:
            s.send("anna", message(f"m{i:02}"))
            accepted.append(f"m{i:02}")
        except (smtplib.SMTPException, ConnectionError) as e:
            codes = [e.smtp_code] if hasattr(e, "smtp_code") else [c for c, _ in getattr(e, "recipients", {}).values()]
            assert all(400 <= c < 500 or c == -1 for c in codes), e
            refused += 1
            time.sleep(0.1)
    s.maildir("anna").wait(len(accepted), 30)
    s.wait_queue_empty()
    got = subjects(s, "anna")
    assert sorted(set(got) & set(accepted)) == accepted, (got, accepted)
    if error not in ("kill", "ENOMEM"):		# when it dies, whose answer was lost may have arrived
        assert got == accepted
    assert accepted and s.queue_files() == []
    if call.split(":")[0] in ("fsync", "linkat", "pwrite"):
        assert refused > 0, "the fault did not happen"


@pytest.mark.faults
@pytest.mark.parametrize("call,error", [("fdatasync:1", "EIO"), ("pwrite:2", "ENOSPC"), ("pwrite:3+", "ENOSPC"),
                                        ("renameat:1", "EIO"), ("unlinkat:1", "EIO"), ("openat:12", "EMFILE"),
                                        ("fdatasync:2", "kill"),
                                        pytest.param("unlinkat:2", "kill", marks=pytest.mark.long),
                                        pytest.param("renameat:2", "kill", marks=pytest.mark.long)])
def test_qmgr_when_a_call_fails(make_suite, call, error):
    """Nothing that was accepted is lost, whatever fails."""
    s = make_suite(env={"HERMOD_FAULT": f"qmgr:{call}:{error}"}, **FAST)
    s.crash_allowed = True
    path = block(s)
    names = [f"m{i:02}" for i in range(6)]
    for n in names:
        s.send(["anna", "bert"], message(n))
    s.wait_log(r"status=deferred")
    time.sleep(1)
    unblock(path)
    wait_for(lambda: set(subjects(s, "anna")) == set(names) == set(subjects(s, "bert")), 100 * patience(),
             why=lambda: f"{s.queue_files()}\n{s.log()[-3000:]}")
    if not call.endswith("+"):
        s.wait_queue_empty(100)


@pytest.mark.root
@pytest.mark.faults
def test_one_fsync_a_message(make_suite, public_path):
    """The confined cleanup knows that ext4's journal makes a name durable with its file, and asks for no more."""
    image, recording = public_path / "image", str(public_path / "recording")
    with open(image, "wb") as f:
        f.truncate(512 << 20)
    open(recording, "wb").close()
    os.chmod(recording, 0o666)
    if subprocess.run(["mkfs.ext4", "-q", "-F", image]).returncode != 0:
        pytest.skip("no mkfs.ext4 (Debian package e2fsprogs)")
    s = make_suite(env={"HERMOD_RECORD": recording}, start=False, early_delivery_time="0s")
    if subprocess.run(["mount", "-o", "loop", image, s.queue]).returncode != 0:
        pytest.skip("a file cannot be mounted here")
    try:
        os.rmdir(os.path.join(s.queue, "lost+found"))		# an empty folder is made the queue's
        s.start()
        started = len(powercut.read(recording))
        for i in range(3):
            s.send("anna", message(f"m{i}"))
        s.maildir("anna").wait(3)
        s.wait_queue_empty()
        ours = [c for c in powercut.read(recording)[started:] if c.program == "cleanup"]
        assert [c.op for c in ours].count(powercut.FSYNC) == 3
        assert [c.op for c in ours].count(powercut.LINK) == 3
        assert not [c for c in ours if c.op in (powercut.FDATASYNC, powercut.RENAME)]
        s.stop()
    finally:
        s.stop()
        subprocess.run(["umount", "-l", s.queue], check=True)
