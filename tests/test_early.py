# SPDX-License-Identifier: ISC
"""Delivery before a message has a name in the queue: what 250 means then, and whoever stands still or dies meanwhile."""
import os
import signal
import smtplib
import subprocess
import threading
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import patience

SETTINGS = dict(deliver_idle="60s", minimal_backoff="1s", uncertain_backoff="200ms")


def stop(suite, kind):
    these = suite.processes(kind)
    assert these, kind
    for p in these:
        p.kill(signal.SIGSTOP)
    return these


def go_on(these):
    for p in these:
        p.kill(signal.SIGCONT)


class Sending(threading.Thread):
    """Sends one message; .code is what came after its content, or None for a lost connection."""

    def __init__(self, suite, user="anna"):
        super().__init__(daemon=True)
        self.suite, self.user, self.code = suite, user, 0
        self.start()

    def run(self):
        try:
            with smtplib.SMTP("127.0.0.1", self.suite.smtp_port, timeout=60 * patience()) as c:
                c.sendmail("a@client.test", f"{self.user}@{self.suite.domain}", "Subject: it\r\n\r\nHello.\r\n")
                self.code = 250
        except smtplib.SMTPDataError as e:
            self.code = e.smtp_code
        except (smtplib.SMTPException, OSError):
            self.code = None

    def result(self, seconds=60):
        self.join(seconds * patience())
        assert not self.is_alive(), "no answer"
        return self.code


def given(suite, to="local", n=1):
    """So many jobs are with that process, or were given on by it to whom it gives them."""
    wait_for(lambda: sum(s["sessions"] for s in suite.hermod_json("status") if s["service"] == to) == n, 20 * patience(),
             why=lambda: suite.hermod("status").stdout)


def begun(suite):
    """One message is through, so that its deliver process is there."""
    suite.send("anna")
    suite.maildir("anna").wait(1)
    suite.wait_queue_empty()


def only(suite, n, user="anna"):
    """The mailbox has n messages and gets no more."""
    suite.wait_queue_empty()
    suite.maildir(user).wait(n)
    time.sleep(0.5)
    assert len(suite.maildir(user).messages()) == n


@pytest.mark.settings(early_delivery_time="20s", **SETTINGS)
def test_250_means_in_the_mailbox(suite):
    for i in range(20):
        suite.send(["anna", "bert"])
        assert len(suite.maildir("anna").messages()) == len(suite.maildir("bert").messages()) == i + 1
        assert not suite.queue_files()
    wait_for(lambda: suite.log().count(" removed") == 20, 10 * patience())


LOOP = "Delivered-To: anna@hermod.test\r\nSubject: again\r\n\r\nHello.\r\n"


@pytest.mark.settings(early_delivery_time="20s", **SETTINGS)
def test_who_refuses_all_tells_the_client(suite):
    with pytest.raises(smtplib.SMTPDataError) as e:
        suite.send("anna", LOOP)
    assert e.value.smtp_code == 554 and b"5.4.6 mail loop" in e.value.smtp_error
    suite.wait_log(r"refused after its content: 5\.4\.6")
    r = subprocess.run([os.path.join(suite.build, "bin", "sendmail"), "-C", suite.conf, "anna@hermod.test"],
                       input=LOOP.encode(), stderr=subprocess.PIPE, env=suite.environment())
    assert r.returncode == os.EX_UNAVAILABLE and b"mail loop" in r.stderr
    assert not suite.queue_files()
    suite.send(["anna", "bert"], LOOP, sender="bert@hermod.test")	# one has it: then it is ours, and the sender is told
    suite.maildir("bert").wait(2)
    suite.wait_queue_empty()
    assert not suite.maildir("anna").messages()


@pytest.mark.settings(early_delivery_time="0s", **SETTINGS)
def test_switched_off(suite):
    begun(suite)
    deliver = stop(suite, "deliver")
    suite.send("anna")
    assert len(suite.queue_files("new")) == 1
    go_on(deliver)
    only(suite, 2)


@pytest.mark.settings(early_delivery_time="3s", **SETTINGS)
def test_a_mailbox_that_takes_too_long(suite):
    begun(suite)
    deliver = stop(suite, "deliver")
    suite.send("anna")
    assert len(suite.queue_files("new")) == 1	# made durable when the time was over
    before = time.monotonic()
    for _ in range(5):				# nobody waits for that mailbox again
        suite.send("anna")
    assert time.monotonic() - before < 12
    suite.send("bert")				# and nobody for another because of it
    assert len(suite.maildir("bert").messages()) == 1
    go_on(deliver)
    only(suite, 7)
    suite.send("anna")
    assert len(suite.maildir("anna").messages()) == 8


@pytest.mark.settings(early_delivery_time="3s", **SETTINGS)
@pytest.mark.parametrize("kind", ["qmgr", "cleanup", "local"])
def test_somebody_stands_still(suite, kind):
    """The mailbox has it, but whoever is to say so does not know: the message may be given its name, and then
    is not delivered again."""
    begun(suite)
    deliver = stop(suite, "deliver")
    sending = Sending(suite)
    given(suite)				# the job is with the stopped worker
    still = stop(suite, kind)
    go_on(deliver)
    suite.maildir("anna").wait(2)
    if kind == "cleanup":
        time.sleep(6)				# past all of its deadlines
        go_on(still)
    assert sending.result() == 250
    go_on(still)
    only(suite, 2)


@pytest.mark.settings(early_delivery_time="20s", **SETTINGS)
def test_qmgr_is_killed(suite):
    begun(suite)
    deliver = stop(suite, "deliver")
    sending = Sending(suite)
    given(suite)
    suite.kill("qmgr")
    assert sending.result(10) == 250		# at once, not when the time is over
    go_on(deliver)
    suite.wait_queue_empty()
    assert len(suite.maildir("anna").messages()) in (2, 3)	# the first worker's answer was lost


@pytest.mark.settings(early_delivery_time="20s", cleanup_workers=1, local_concurrency=1, **SETTINGS)
def test_cleanup_is_killed(suite):
    begun(suite)
    deliver = stop(suite, "deliver")
    running = Sending(suite, "anna")
    given(suite)
    waiting = Sending(suite, "bert")		# its delivery has not begun
    given(suite, "qmgr", 2)
    suite.kill("cleanup")
    assert running.result(10) == waiting.result(10) == 451
    go_on(deliver)
    suite.maildir("anna").wait(2)		# it was on its way: once, and without an answer
    suite.wait_queue_empty()
    wait_for(lambda: Sending(suite, "bert").result() == 250, 20 * patience(), step=0.2)	# cleanup is there again
    only(suite, 1, "bert")			# what had not begun was withdrawn
    only(suite, 2, "anna")


@pytest.mark.settings(early_delivery_time="20s", **SETTINGS)
def test_smtpd_is_killed(suite):
    begun(suite)
    deliver = stop(suite, "deliver")
    sending = Sending(suite)
    given(suite)
    suite.kill("smtpd")
    assert sending.result(10) is None
    go_on(deliver)
    only(suite, 2)				# it was on its way: once
    wait_for(lambda: suite.processes("smtpd"), 10 * patience())


@pytest.mark.settings(early_delivery_time="3s", **SETTINGS)
def test_a_silent_qmgr_is_not_asked_again_and_again(suite):
    begun(suite)
    still = stop(suite, "qmgr")
    suite.send("anna")				# made durable when it did not even say no
    before = time.monotonic()
    for _ in range(4):
        suite.send("anna")
    assert time.monotonic() - before < 12
    assert len(suite.queue_files("new")) == 5
    go_on(still)
    only(suite, 6)


@pytest.mark.settings(early_delivery_time="3s", cleanup_workers=1, open_files=256, **SETTINGS)
def test_more_than_there_are_descriptors_for(suite):
    """qmgr takes fewer into memory then, and gets what is offered without its file: nothing is given up for that."""
    begun(suite)
    qmgr, cleanup = suite.pids("qmgr"), suite.pids("cleanup")
    deliver = stop(suite, "deliver")
    waiting = Sending(suite, "anna")
    given(suite)
    with smtplib.SMTP("127.0.0.1", suite.smtp_port, timeout=60 * patience()) as c:
        for i in range(400):
            c.sendmail("a@client.test", f"anna@{suite.domain}", f"Subject: m{i}\r\n\r\nHello.\r\n")
    go_on(deliver)
    assert waiting.result() == 250
    suite.wait_queue_empty(200)
    only(suite, 402)
    assert suite.pids("qmgr") == qmgr and suite.pids("cleanup") == cleanup


@pytest.mark.settings(early_delivery_time="20s", cleanup_workers=1, smtpd_client_sessions=1000, **SETTINGS)
@pytest.mark.parametrize("n", [1, 70])
def test_master_is_killed(suite, n):
    """All end by themselves, with messages that nobody has answered for, and none of them crashes."""
    begun(suite)
    stop(suite, "deliver")
    waiting = [Sending(suite) for _ in range(n)]
    time.sleep(0.5)
    names = {p.pid: p.name() for p in suite.processes() if p.name() not in ("master", "deliver")}
    suite.kill("master")
    codes = {}
    end = time.monotonic() + 20 * patience()
    while set(codes) != set(names) and time.monotonic() < end:
        for pid in set(names) - set(codes):
            try:
                done, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                done, status = 0, 0
            if done == pid:
                codes[pid] = status
        time.sleep(0.02)
    assert set(codes) == set(names) and not any(codes.values()), {names[pid]: codes[pid] for pid in codes}
    results = [s.result() for s in waiting]
    assert set(results) <= {250, 421, 451, None}
    assert results.count(250) <= len(suite.queue_files())	# those that were not waited for


@pytest.mark.settings(cleanup_workers=1, **SETTINGS)
def test_reload_while_cleanup_waits_for_the_disk(suite):
    """It offers to the qmgr that is about to end; the next one hears of the message, too."""
    begun(suite)
    c = smtplib.SMTP("127.0.0.1", suite.smtp_port, timeout=60 * patience())
    c.ehlo()
    c.mail("a@client.test")
    c.rcpt(f"anna@{suite.domain}")
    c.putcmd("data")
    assert c.getreply()[0] == 354
    still = stop(suite, "cleanup")
    c.send(b"Subject: it\r\n\r\nHello.\r\n.\r\n")
    time.sleep(0.3)
    suite.reload()
    time.sleep(0.3)
    go_on(still)
    assert c.getreply()[0] == 250
    c.close()
    suite.maildir("anna").wait(2, 20)		# not when a minute is over
    only(suite, 2)


@pytest.mark.settings(early_delivery_time="20s", **SETTINGS)
def test_reload(suite):
    begun(suite)
    deliver = stop(suite, "deliver")
    sending = Sending(suite)
    given(suite)
    suite.reload()
    go_on(deliver)
    assert sending.result() == 250
    only(suite, 2)
