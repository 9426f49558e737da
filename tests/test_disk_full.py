# SPDX-License-Identifier: ISC
"""A full disk, below the queue or below the mailboxes: 452 or the mail waits; with room again, all of it arrives."""
import os
import signal
import smtplib
import subprocess
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.servers import Server, refusing_port
from hermodtest.suite import MAIL_UID, patience

pytestmark = pytest.mark.root
FAST = {"minimal_backoff": "1s", "maximal_backoff": "1s", "uncertain_backoff": "200ms", "smtpd_client_rate": 100000}


@pytest.fixture
def small():
    """small(folder, octets): a tmpfs of that size there."""
    mounted = []

    def mount(folder, octets):
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={octets},mode=755", "tmpfs", folder], stderr=subprocess.PIPE)
        if r.returncode != 0:
            pytest.skip(f"tmpfs cannot be mounted here: {r.stderr.decode().strip()}")
        mounted.append(folder)
    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder, leave=0):
    """A file that leaves that many octets."""
    path = os.path.join(folder, "ballast")
    st = os.statvfs(folder)
    with open(path, "wb") as f:
        try:
            f.write(bytes(max(0, st.f_bavail * st.f_frsize - leave)))
        except OSError:
            pass
    return path


def room(folder):
    return os.statvfs(folder).f_bavail


def text(name, octets):
    return f"Subject: {name}\r\n\r\n" + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * (octets // 72)


def test_queue(make_suite, small):
    suite = make_suite(users=(), start=False, queue_minfree=0, queue_minfree_files=0, message_size_limit="4M", **FAST)
    small(suite.queue, 1 << 20)
    suite.add_account("anna")
    suite.start()
    empty = room(suite.queue)
    suite.send("anna", text("first", 1000))
    with pytest.raises(smtplib.SMTPDataError) as e:     # in the middle of the content
        suite.send("anna", text("large", 3 << 20))
    assert 451 <= e.value.smtp_code <= 452, e.value
    wait_for(lambda: room(suite.queue) == empty, 30 * patience(), why=lambda: (room(suite.queue), empty, suite.queue_files()))
    ballast = fill(suite.queue)
    with pytest.raises(smtplib.SMTPException) as e:     # before it, or at its end
        suite.send("anna", text("none", 1000))
    assert "45" in str(e.value)
    os.unlink(ballast)
    time.sleep(0.3)                             # free space is believed for a moment
    suite.send("anna", text("last", 1000))
    suite.wait_queue_empty()
    assert len(suite.maildir("anna").wait(2)) == 2
    assert not suite.queue_files()


def sendmail(suite):
    """What a user's command ends with."""
    return subprocess.run([os.path.join(suite.build, "bin", "sendmail"), "-C", suite.conf, f"anna@{suite.domain}"],
                          input=b"Subject: s\n\nx\n", env=suite.environment()).returncode


def test_room_is_kept(make_suite, small):
    """queue_minfree: new mail is refused while what was taken can still be worked on; that of users a little later."""
    suite = make_suite(users=(), start=False, queue_minfree="512K", queue_minfree_submission="128K", queue_minfree_files=0, **FAST)
    small(suite.queue, 1 << 20)
    suite.add_account("anna")
    suite.start()
    suite.send("anna")
    ballast = fill(suite.queue, 300 << 10)
    time.sleep(0.3)
    with pytest.raises(smtplib.SMTPException) as e:
        suite.send("anna")
    assert "452" in str(e.value)
    assert sendmail(suite) == 0
    suite.maildir("anna").wait(2)
    os.unlink(ballast)
    ballast = fill(suite.queue, 64 << 10)
    time.sleep(0.3)
    assert sendmail(suite) == os.EX_TEMPFAIL
    os.unlink(ballast)
    wait_for(lambda: os.statvfs(suite.queue).f_bavail > 128, 5)

    def taken():
        try:
            return suite.send("anna")
        except smtplib.SMTPException:
            return None
    wait_for(taken, 10 * patience(), step=0.2)
    suite.maildir("anna").wait(3)


def test_mailbox(make_suite, small):
    suite = make_suite(users=(), start=False, **FAST)
    small(suite.mail, 1 << 20)
    os.chown(suite.mail, MAIL_UID, MAIL_UID)
    suite.add_account("anna")
    suite.start()
    suite.send("anna", text("early", 1000))
    suite.maildir("anna").wait(1)
    ballast = fill(suite.mail)
    for i in range(3):
        suite.send("anna", text(f"late-{i}", 20000))
    suite.wait_log(r"status=deferred .*4\.3\.1")
    wait_for(lambda: not suite.maildir("anna").tmp(), 10 * patience())         # another attempt may be under way
    assert len(suite.maildir("anna").files()) == 1
    try:
        c = suite.pop3("anna", timeout=5)       # the ledger cannot be written: no UID is told that is not on disk
        assert len(c.list()[1]) <= 1
        c.close()
    except Exception as e:
        assert "-ERR" in str(e) or isinstance(e, OSError), e
    os.unlink(ballast)
    suite.wait_queue_empty(100)
    assert len(suite.maildir("anna").files()) == 4 and not suite.maildir("anna").tmp()
    c = suite.pop3("anna")
    first = c.uidl()[1]
    c.quit()
    c = suite.pop3("anna")
    assert len(first) == 4 and c.uidl()[1] == first
    c.quit()


def test_next_hop_is_down(make_suite, small):
    """No room for what it said, nor for a note of when to try it again: its mail stays, is tried as it can be, and goes."""
    port = refusing_port()
    busy = [True]
    with Server(rcpt=lambda s: "451 4.3.0 not now, " + "x" * 300 if busy[0] else "250 ok") as other:
        suite = make_suite(users=(), start=False, queue_minfree="64K", queue_minfree_submission="32K", queue_minfree_files=0,
                           queue_minfree_notice="8K", trusted_networks=["127.0.0.0/8"], smtp_allow_loopback=True,
                           early_delivery_time="0s",
                           routes=[f"down.test smtp:[127.0.0.1]:{port}", f"busy.test smtp:[127.0.0.1]:{other.port}"], **FAST)
        small(suite.queue, 1 << 20)
        suite.start()
        held = suite.processes("qmgr")
        for p in held:
            p.kill(signal.SIGSTOP)
        for i in range(4):
            suite.send(f"u{i}@{('down', 'busy')[i % 2]}.test", text(str(i), 1000))
        ballast = fill(suite.queue)
        for p in held:
            p.kill(signal.SIGCONT)
        wait_for(lambda: suite.log().count("status=deferred") >= 4, 30 * patience(), why=suite.log)
        time.sleep(3)
        assert len(suite.queue_files()) == 4, suite.queue_files()
        for what in (r"down/\w+ cannot be written: No space", r"its state cannot be written: No space"):
            suite.wait_log(what)
        os.unlink(ballast)
        busy[0] = False
        with Server(port=port) as server:
            wait_for(lambda: len(server.mails) >= 2 and len(other.mails) >= 2, 90 * patience(), why=suite.log)
            suite.wait_queue_empty()
            assert len(server.mails) == 2 and len(other.mails) == 2 and not suite.queue_files()
