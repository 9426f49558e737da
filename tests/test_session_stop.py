# SPDX-License-Identifier: ISC
"""`hermod stop` while sessions are open: they hear of it, say so where the protocol lets them, and nothing waits for
stop_timeout. A reload leaves them alone."""
import re
import socket
import threading
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import DOMAIN, PASSWORD, patience

STOP_TIMEOUT = 30
SETTINGS = {"stop_timeout": f"{STOP_TIMEOUT}s", "login_client_rate": 100000, "login_client_sessions": 1000}
USER = f"anna@{DOMAIN}".encode()
BYE = b"* BYE [UNAVAILABLE] shutting down; come back soon\r\n"


class Wire:
    """A client that says and hears octets."""

    def __init__(self, suite, port, room=None):
        self.s = socket.socket()
        self.s.settimeout(20 * patience())
        if room:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.s.connect((suite.host, port))
        self.f = self.s.makefile("rb")
        self.greeting = self.f.readline()

    def say(self, line):
        self.s.sendall(line + b"\r\n")

    def until(self, pattern):
        """Lines up to one that matches, and that one."""
        lines = []
        while not lines or not re.match(pattern, lines[-1]):
            lines.append(self.f.readline())
            assert lines[-1] and not re.match(rb"\w+ (NO|BAD) |-ERR", lines[-1]), (pattern, lines)
        return lines

    def rest(self):
        """All that comes until the end; a reset would be an exception."""
        return self.f.read()

    def close(self):
        self.f.close()
        self.s.close()


def imap(suite, *commands, room=None):
    c = Wire(suite, suite.imap_port, room)
    for i, line in enumerate([b'LOGIN %s "%s"' % (USER, PASSWORD.encode()), *commands]):
        c.say(b"t%d %s" % (i, line))
        c.until(rb"t%d OK" % i)
    return c


def pop3(suite):
    c = Wire(suite, suite.pop3_port)
    for line in (b"USER " + USER, b"PASS " + PASSWORD.encode()):
        c.say(line)
        c.until(rb"\+OK")
    return c


def stop(suite):
    """Seconds that it took."""
    suite.note_processes()
    began = time.monotonic()
    assert "has stopped" in suite.hermod("stop").stdout
    took = time.monotonic() - began
    wait_for(lambda: not suite.left(), 5 * patience(), why=suite.left)
    return took


@pytest.fixture
def suite(make_suite):
    s = make_suite(users=["anna"], **SETTINGS)
    return s


def test_imap_idle_between_commands(suite):
    clients = [imap(suite), imap(suite, b"SELECT INBOX")]
    assert stop(suite) < 4 * patience()
    assert [c.rest() for c in clients] == [BYE, BYE]
    assert len(re.findall("session ended: shutting down", suite.log())) == 2


def test_imap_in_idle(suite):
    c = imap(suite, b"SELECT INBOX")
    c.say(b"i IDLE")
    c.until(rb"\+ ")
    assert stop(suite) < 4 * patience()
    assert c.rest() == BYE


def test_imap_with_half_a_command(suite):
    """Its client has so much time to say the other half."""
    c = imap(suite)
    c.say(b"a APPEND INBOX {100}")
    c.until(rb"\+ ")
    c.s.sendall(b"Subject: half")
    assert stop(suite) < 6 * patience()
    assert c.rest() == BYE
    assert suite.maildir("anna").messages() == []


def big_mailbox(suite, n=4):
    text = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 100000
    c = imap(suite)
    for i in range(n):
        c.say(b"a%d APPEND INBOX {%d}" % (i, len(text)))
        c.until(rb"\+ ")
        c.s.sendall(text + b"\r\n")
        c.until(rb"a%d OK" % i)
    c.close()
    return len(text)


def fetching(suite):
    """A session in the middle of a long FETCH, whose client has ceased to read."""
    c = imap(suite, b"SELECT INBOX", room=4096)
    c.say(b"f FETCH 1:4 BODY.PEEK[]")
    assert c.f.readline().startswith(b"* 1 FETCH")
    time.sleep(0.5)
    return c


def test_imap_behind_a_command(suite):
    octets = big_mailbox(suite)
    slow, idle = fetching(suite), imap(suite)
    stopping = threading.Thread(target=suite.hermod, args=("stop",))
    stopping.start()
    assert idle.rest() == BYE
    answer = slow.rest()
    assert len(answer) > 4 * octets and answer.endswith(BYE)
    assert re.search(rb"\r\nf OK [^\r]*\r\n$", answer[:-len(BYE)])
    stopping.join()


def test_imap_client_that_does_not_read(suite):
    big_mailbox(suite)
    slow, idle = fetching(suite), imap(suite)
    assert stop(suite) < 6 * patience() < STOP_TIMEOUT
    assert idle.rest() == BYE
    slow.close()


def test_pop3_is_no_quit(suite):
    suite.send("anna")
    suite.maildir("anna").wait(1)
    c = pop3(suite)
    c.say(b"DELE 1")
    c.until(rb"\+OK")
    assert stop(suite) < 4 * patience()
    assert c.rest() == b""					# nothing that would answer no command
    assert len(suite.maildir("anna").messages()) == 1


def test_before_the_login(suite):
    i, p = Wire(suite, suite.imap_port), Wire(suite, suite.pop3_port)
    i.say(b"a AUTHENTICATE PLAIN")
    i.until(rb"\+ ")
    p.say(b"AUTH PLAIN")
    p.until(rb"\+ ")
    j = Wire(suite, suite.imap_port)
    suite.note_processes()
    t = threading.Thread(target=suite.hermod, args=("stop",))
    began = time.monotonic()
    t.start()
    for c, words in ((i, BYE), (j, BYE), (p, b"-ERR [SYS/TEMP] shutting down; come back soon\r\n")):
        assert c.rest() == words
        c.close()
    t.join()
    assert time.monotonic() - began < 4 * patience()
    wait_for(lambda: not suite.left(), 5 * patience(), why=suite.left)


def test_reload_leaves_them_alone_and_a_stop_reaches_them(suite):
    old_imap, old_pop3 = imap(suite, b"SELECT INBOX"), pop3(suite)
    idle = imap(suite, b"SELECT INBOX")
    idle.say(b"i IDLE")
    idle.until(rb"\+ ")
    suite.reload()
    new = imap(suite)
    time.sleep(1)
    old_imap.say(b"n NOOP")
    assert old_imap.until(rb"n OK")[0].startswith(b"n OK")
    old_pop3.say(b"NOOP")
    old_pop3.until(rb"\+OK")
    idle.say(b"DONE")
    idle.until(rb"i OK")
    assert stop(suite) < 4 * patience()
    assert old_imap.rest() == idle.rest() == new.rest() == BYE
    assert old_pop3.rest() == b""
