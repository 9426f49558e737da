# SPDX-License-Identifier: ISC
"""Delivery to mailboxes: what is written, as whom, and that nothing is lost or half written."""
import collections
import mailbox
import os
import re
import smtplib
import stat
import subprocess
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import MAIL_UID, patience

QUICK = dict(minimal_backoff="1s", maximal_backoff="2s", uncertain_backoff="1s")
SETTINGS = QUICK


def body(message):
    return message.split(b"\n\n", 1)[1]


def text_of(number, lines=20):
    return (f"From: sender@client.test\r\nTo: someone\r\nSubject: {number}\r\n\r\n"
            + "".join(f"{number} line {i}\r\n" for i in range(lines)))


def subjects(messages):
    return collections.Counter(re.search(rb"^Subject: (.*)$", m, re.M).group(1).decode() for m in messages)


def as_delivered(text):
    return text.replace("\r\n", "\n").encode()


def new_account(suite, user):
    """Once every process knows of it."""
    suite.add_account(user)

    def known():
        with suite.smtp() as c:
            c.ehlo()
            c.mail("sender@client.test")
            return c.rcpt(f"{user}@{suite.domain}")[0] == 250
    wait_for(known, 20 * patience(), step=0.2)


def mbox_messages(path):
    box = mailbox.mbox(path)
    try:
        return [box.get_bytes(key) for key in box.keys()]
    finally:
        box.close()


# ---- Maildir ----

def test_head(shared_suite):
    new_account(shared_suite, "head")
    text = shared_suite.send("head+tag", sender="who@client.test")
    message, = shared_suite.maildir("head").wait(1)
    lines = message.decode().split("\n")
    assert lines[:3] == ["Return-Path: <who@client.test>", "X-Original-To: head+tag@hermod.test",
                         "Delivered-To: head+tag@hermod.test"]
    assert lines[3].startswith("Received: ")
    assert message.endswith(as_delivered(text))
    assert b"\r" not in message


def test_null_sender(shared_suite):
    new_account(shared_suite, "null")
    shared_suite.send("null", sender="")
    assert shared_suite.maildir("null").wait(1)[0].startswith(b"Return-Path: <>\n")


def test_file(shared_suite):
    """Mode, owner, name; in new/; nothing left in tmp/."""
    new_account(shared_suite, "file")
    for _ in range(5):
        shared_suite.send("file")
    box = shared_suite.maildir("file")
    box.wait(5)
    names = set()
    for path in box.files():
        st = os.stat(path)
        assert stat.S_IMODE(st.st_mode) == 0o600
        assert st.st_uid == (MAIL_UID if os.geteuid() == 0 else os.getuid())
        assert st.st_nlink == 1
        folder, name = os.path.split(path)
        assert folder.endswith("/new")
        assert re.fullmatch(r"\d+\.M\d{6}P\d+Q\d+R[0-9a-f]{8}\.[A-Za-z0-9._-]+,S=%d" % st.st_size, name)
        names.add(name)
    assert len(names) == 5
    wait_for(lambda: not box.tmp(), 5 * patience())


@pytest.mark.parametrize("size", (0, 1, 65535, 65536, 262143, 262144, 262145, 1_500_000))
def test_sizes(shared_suite, size):
    """Line ends on the edge of every buffer."""
    user = f"size{size}"
    new_account(shared_suite, user)
    line = "x" * 61 + "\r\n"
    text = "Subject: s\r\n\r\n" + (line * (size // len(line) + 1))[:size].rstrip("\r\n") + "\r\n"
    shared_suite.send(user, text)
    message, = shared_suite.maildir(user).wait(1)
    assert message.endswith(as_delivered(text)[len("Subject"):])


def test_one_worker_a_mailbox(shared_suite):
    """It acts as the mailbox's owner, serves what follows, and ends when it has been idle."""
    new_account(shared_suite, "worker")
    before = set(shared_suite.pids("deliver"))
    shared_suite.send("worker")
    shared_suite.maildir("worker").wait(1)
    mine = set(shared_suite.pids("deliver")) - before
    assert len(mine) == 1
    shared_suite.send("worker")
    shared_suite.maildir("worker").wait(2)
    assert mine <= set(shared_suite.pids("deliver"))
    pid, = mine
    status = open(f"/proc/{pid}/status").read()
    if os.geteuid() == 0:
        assert f"Uid:\t{MAIL_UID}\t{MAIL_UID}\t{MAIL_UID}\t{MAIL_UID}\n" in status
    assert "Seccomp:\t2\n" in status and "NoNewPrivs:\t1\n" in status
    assert re.search(r"^CapEff:\t0+$", status, re.M)
    wait_for(lambda: pid not in shared_suite.pids("deliver"), 20 * patience())


def test_loop(shared_suite):
    new_account(shared_suite, "loop")
    with pytest.raises(smtplib.SMTPDataError) as e:
        shared_suite.send("loop", "delivered-to: Loop@hermod.test\r\nSubject: again\r\n\r\nx\r\n")
    assert e.value.smtp_code == 554
    shared_suite.wait_log(r"to=<loop@hermod.test>.*5\.4\.6|5\.4\.6.*loop@hermod.test|reply=\"5\.4\.6")
    assert not shared_suite.maildir("loop").files()


def refused(suite, user, why):
    """It is not delivered; the reason is in the log; the message stays."""
    suite.send(user, text_of(user))
    suite.wait_log(rf"to=<{user}@hermod.test>.*4\.3\.0 .*")
    suite.wait_log(why)


def maildir_path(suite, user):
    return suite.maildir(user).path


def clear_away(path):
    """A new account's mailbox may be there already."""
    if os.path.isdir(path):
        os.rename(path, path + ".away")


def own(path):
    if os.geteuid() == 0:
        os.chown(path, MAIL_UID, MAIL_UID, follow_symlinks=False)


def test_symbolic_link_is_refused(shared_suite, tmp_path):
    new_account(shared_suite, "linked")
    path = maildir_path(shared_suite, "linked")
    clear_away(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    target = os.path.join(shared_suite.dir, "elsewhere")
    os.makedirs(target)
    own(target)
    os.symlink(target, path)
    refused(shared_suite, "linked", "symbolic link")
    assert not os.listdir(target)
    os.unlink(path)
    shared_suite.maildir("linked").wait(1)


@pytest.mark.root
def test_another_owner_is_refused(shared_suite):
    new_account(shared_suite, "owned")
    path = maildir_path(shared_suite, "owned")
    clear_away(path)
    os.makedirs(path)
    os.chmod(path, 0o777)
    refused(shared_suite, "owned", "belongs to another user")
    os.chmod(path, 0o700)
    own(path)
    shared_suite.maildir("owned").wait(1)


def test_odd_files_harm_nothing(shared_suite):
    new_account(shared_suite, "odd")
    shared_suite.send("odd", text_of(1))
    box = shared_suite.maildir("odd")
    box.wait(1)
    os.mkfifo(os.path.join(box.path, "cur", "fifo"))
    os.mkfifo(os.path.join(box.path, "tmp", "fifo"))
    os.mkdir(os.path.join(box.path, "new", "folder"))
    os.symlink("/etc/passwd", os.path.join(box.path, "cur", "link"))
    shared_suite.send("odd", text_of(2))
    wait_for(lambda: len(box.files()) == 5, 20 * patience())
    c = shared_suite.pop3("odd")
    assert c.stat()[0] == 2
    c.quit()


# ---- trouble ----

@pytest.mark.settings(**QUICK)
def test_killed_workers(suite):
    """Whatever is killed, each message arrives; twice only if its answer was lost."""
    suite.crash_allowed = True
    for i in range(40):
        suite.send(["anna", "bert"], text_of(i))
        if i % 4 == 0:
            suite.kill("deliver")
        if i % 13 == 12:
            suite.kill("local")
    want = {str(i) for i in range(40)}
    for user in ("anna", "bert"):
        box = suite.maildir(user)
        wait_for(lambda: set(subjects(box.messages())) >= want, 60 * patience(),
                 why=lambda: sorted(want - set(subjects(box.messages()))))
        suite.wait_queue_empty()
        for message in box.messages():
            number = re.search(rb"Subject: (\d+)", message).group(1).decode()
            assert message.endswith(as_delivered(text_of(number))[5:])


# Each worker counts anew: some calls succeed before the one that fails, or no message would ever get through.
FAULTS = ["write:2:ENOSPC", "write:3:EDQUOT", "write:2:EIO", "fsync:3:EIO", "fsync:4:EIO", "fsync:5:ENOSPC", "linkat:2:ENOSPC",
          "linkat:2:EDQUOT", "close:25:EIO", "unlinkat:1:EIO", "unlinkat:2:EIO", "sync_file_range:2:EIO", "fsync:3:kill",
          "fsync:4:kill", "linkat:2:kill", "write:2:kill", "renameat:1:EIO", "openat:30:EMFILE", "malloc:70:ENOMEM"]


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS)
def test_failing_calls(make_suite, fault):
    """The Nth call of a worker fails: nothing half written, nothing lost."""
    suite = make_suite(env={"HERMOD_FAULT": "deliver:" + fault}, **QUICK, deliver_idle="1s")
    suite.crash_allowed = True
    for i in range(3):
        suite.send("anna", text_of(i))
    box = suite.maildir("anna")
    wait_for(lambda: set(subjects(box.messages())) == {"0", "1", "2"}, 60 * patience(), why=lambda: suite.log()[-3000:])
    suite.wait_queue_empty()
    for message in box.messages():
        number = re.search(rb"Subject: (\d+)", message).group(1).decode()
        assert message.endswith(as_delivered(text_of(number))[5:])


@pytest.mark.faults
@pytest.mark.settings(**QUICK)
@pytest.mark.environment(HERMOD_FAULT="deliver:write:1+:EDQUOT")
def test_over_quota(suite):
    suite.send("anna")
    suite.wait_log(r'to=<anna@hermod.test> status=deferred.*reply="4\.2\.2 ')
    wait_for(lambda: not suite.maildir("anna").tmp(), 10 * patience())         # another attempt may be under way
    assert not suite.maildir("anna").files()
    assert suite.queue_files()


@pytest.mark.root
def test_full_disk(make_suite):
    """The mailboxes' file system is full: deferred; with space again all is delivered."""
    suite = make_suite(start=False, users=(), **QUICK)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=1m,mode=755,uid={MAIL_UID},gid={MAIL_UID}", "tmpfs",
                       suite.mail]).returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        suite.add_account("anna")
        suite.start()
        filler = os.path.join(suite.mail, "filler")
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while True:
                os.write(fd, b"x" * 4096)
        except OSError:
            os.close(fd)
        suite.send("anna", text_of("full", 2000))
        suite.wait_log(r'to=<anna@hermod.test> status=deferred.*reply="4\.3\.[01] ')
        wait_for(lambda: not suite.maildir("anna").tmp(), 10 * patience())     # another attempt may be under way
        assert not suite.maildir("anna").files()
        os.unlink(filler)
        message, = suite.maildir("anna").wait(1, 60)
        assert message.endswith(as_delivered(text_of("full", 2000))[5:])
        suite.stop()
    finally:
        subprocess.run(["umount", suite.mail], check=True)


# ---- mbox ----

def mbox_path(suite, user):
    """As the configuration has virtual accounts' mailboxes."""
    found = []
    for folder, _, files in os.walk(os.path.join(suite.mail, suite.domain, user)):
        found += [os.path.join(folder, f) for f in files
                  if not f.startswith(".") and not f.endswith(".lock") and os.path.basename(folder) == user]
    return found[0] if found else None


@pytest.fixture
def mbox_suite(make_suite):
    return make_suite(mailbox_format="mbox", **QUICK)


def test_mbox(mbox_suite):
    suite = mbox_suite
    text = "Subject: m\r\n\r\nFrom the start\r\n>From quoted\r\n\r\nlast\r\n"
    suite.send("anna", text)
    path = wait_for(lambda: mbox_path(suite, "anna"), 20 * patience())
    wait_for(lambda: open(path, "rb").read().endswith(b"last\n\n"), 20 * patience())
    suite.send("anna", text)
    wait_for(lambda: len(re.findall(rb"^Subject: m$", open(path, "rb").read(), re.M)) == 2, 20 * patience())
    suite.wait_queue_empty()
    octets = open(path, "rb").read()
    assert re.match(rb"From sender@client\.test [A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\nReturn-Path: <", octets)
    assert octets.count(b"\n>From the start\n>>From quoted\n\nlast\n\n") == 2
    assert len(mbox_messages(path)) == 2
    assert not os.path.exists(path + ".lock")
    c = suite.pop3("anna")
    assert c.stat()[0] == 2
    assert b"\r\n".join(c.retr(1)[1]).endswith(b"\r\nFrom the start\r\n>From quoted\r\n\r\nlast")
    uids = c.uidl()[1]
    c.dele(1)
    c.quit()
    assert len(mbox_messages(path)) == 1
    c = suite.pop3("anna")
    assert [u.split()[1] for u in c.uidl()[1]] == [uids[1].split()[1]]
    c.quit()


def test_mbox_locked_by_others(mbox_suite):
    """FILE.lock of another program: deferred or waited for, never written under it."""
    suite = mbox_suite
    suite.send("anna", text_of(0))
    path = wait_for(lambda: mbox_path(suite, "anna"), 20 * patience())
    suite.wait_queue_empty()
    size = os.path.getsize(path)
    open(path + ".lock", "w").write("1\n")
    suite.send("anna", text_of(1))
    time.sleep(2)
    assert os.path.getsize(path) == size
    os.unlink(path + ".lock")
    wait_for(lambda: len(mbox_messages(path)) == 2, 30 * patience())


def test_mbox_many_at_once(mbox_suite):
    suite = mbox_suite
    suite.crash_allowed = True
    for i in range(30):
        suite.send("anna", text_of(i))
        if i % 10 == 5:
            suite.kill("deliver")
    path = wait_for(lambda: mbox_path(suite, "anna"), 20 * patience())
    suite.wait_queue_empty()
    messages = mbox_messages(path)
    assert set(subjects(messages)) == {str(i) for i in range(30)}
    for message in messages:
        number = re.search(rb"Subject: (\d+)", message).group(1).decode()
        assert message.rstrip(b"\n").endswith(as_delivered(text_of(number))[5:].rstrip(b"\n"))
