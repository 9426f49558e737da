# SPDX-License-Identifier: ISC
"""Reload: sessions that are open go on to their end, with what they have; new ones get the new settings."""
import os
import smtplib

import pytest

from hermodtest.load import Load
from hermodtest.proc import wait_for
from hermodtest.suite import patience
from test_hermod_queue import order
from test_schedule import SETTINGS, Counting, arrive, route, subjects


def test_open_sessions_go_on(make_suite):
    suite = make_suite(stop_timeout="100s")
    suite.send("anna")
    suite.maildir("anna").wait(1)
    smtp, pop3 = suite.smtp(), suite.pop3("anna")
    login = suite.pop3()                        # greeted, not logged in
    assert smtp.ehlo()[0] == 250
    assert smtp.mail("s@client.test")[0] == 250
    old = set(suite.pids("smtpd"))
    for size in ("300K", "400K"):               # twice: three generations at once
        suite.write_conf(message_size_limit=size)
        suite.reload()
    assert smtp.rcpt("anna@hermod.test")[0] == 250
    assert smtp.data("Subject: over reloads\r\n\r\nHello.\r\n")[0] == 250
    assert pop3.stat()[0] == 1
    assert b"Hello." in pop3.retr(1)[1]
    pop3.dele(1)
    pop3.quit()
    login.user("anna@hermod.test")
    login.pass_(suite.accounts["anna@hermod.test"])
    login.quit()
    c = suite.smtp()
    c.ehlo()
    assert c.esmtp_features["size"] == "409600"
    c.quit()
    smtp.quit()
    suite.maildir("anna").wait(1)
    wait_for(lambda: not old & set(suite.pids("smtpd")), 20 * patience(), why="the first generation ends")


def test_a_bad_configuration_changes_nothing(make_suite):
    suite = make_suite()
    before = suite.pids("smtpd")
    good = dict(suite.settings)
    suite.write_conf(message_size_limit="many")
    assert suite.reload(check=False).returncode != 0
    assert suite.pids("smtpd") == before
    suite.send("anna")
    suite.maildir("anna").wait(1)
    suite.settings = good
    suite.write_conf()
    suite.reload()


def test_reloads_under_load_lose_nothing(make_suite):
    suite = make_suite(smtpd_client_rate=100000)
    load = Load(suite, ["anna", "bert"], seed=4)
    load.start(senders=4, messages=120, seconds=5)
    for _ in range(4):
        suite.reload()
    load.join()
    suite.wait_queue_empty(90)
    counts = load.check()
    assert counts.accepted == 120 and not load.twice(), counts


@pytest.fixture
def gate():
    """A server where each message waits until gate.gate is set."""
    with Counting() as server:
        yield server
        server.gate.set()


def test_a_delivery_that_hangs_stalls_no_other(make_suite, gate):
    """What is on its way to other hosts may take hours; the next generation delivers meanwhile, to that host, too, and obeys."""
    suite = make_suite(**SETTINGS, routes=[route("slow.test", gate)], early_delivery_time="0s")
    for i in range(3):
        suite.send("a@slow.test", f"Subject: {i}\r\n\r\nx\r\n")
        wait_for(lambda: gate.now == i + 1, 30 * patience())
        suite.reload()                          # each with one on its way
        suite.send("anna")
        suite.maildir("anna").wait(i + 1)
    for file in suite.queue_files():
        results, _ = order(suite, "delete", os.path.basename(file), check=False)
        assert list(results.values()) == ["failed"]
    gate.gate.set()
    arrive(gate, 3)
    suite.wait_queue_empty(60)
    assert subjects(gate.mails) == [0, 1, 2]


def test_what_a_generation_leaves(make_suite, gate):
    """Of a mailing the first are on their way, the others are the next one's; nobody gets it twice."""
    suite = make_suite(**SETTINGS, routes=[route("slow.test", gate)], uncertain_backoff="500ms", early_delivery_time="0s")
    to = [f"a{i}@slow.test" for i in range(250)]
    suite.send(to)
    wait_for(lambda: gate.now >= 1, 30 * patience())
    suite.reload()
    suite.send("anna")
    suite.maildir("anna").wait(1)
    gate.gate.set()
    suite.wait_queue_empty(90)
    assert sorted(r for m in gate.mails for r, _ in m.rcpts) == sorted(to)


def test_restart_ends_sessions_in_order(make_suite):
    """A stop lets what is open end for stop_timeout; then 421, never a cut in the middle of a reply."""
    suite = make_suite(stop_timeout="1s")
    c = suite.smtp()
    c.ehlo()
    suite.stop()
    try:
        code = c.noop()[0]
    except (smtplib.SMTPServerDisconnected, OSError):
        code = 421
    assert code == 421
    suite.start()
    suite.send("anna")
    suite.maildir("anna").wait(1)
