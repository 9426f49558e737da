# SPDX-License-Identifier: ISC
"""POP3 as RFC 1939 has it: by poplib, and word by word."""
import base64
import os
import poplib
import re
import signal
import socket
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import PASSWORD, patience
from hermodtest.wire import Connection

SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000, "login_failures": 3,
            "smtpd_client_rate": 100000, "smtpd_client_sessions": 1000}


class Wire(Connection):
    def __init__(self, suite):
        super().__init__(suite.host, suite.pop3_port)
        assert self.line().startswith("+OK")

    def many(self):
        out = []
        while (line := self.line()) != ".":
            assert line or not out or self.f, "the connection ended"
            out.append(line[1:] if line.startswith(".") else line)
        return out


def user(suite, name, *texts):
    """A fresh account with these messages in it."""
    address = suite.add_account(name)
    for i, t in enumerate(texts):
        suite.send(address, t)
        suite.maildir(address).wait(i + 1)
    return address


def mail(n, body="Hello.\r\n"):
    return f"From: a@b.test\r\nSubject: number {n}\r\n\r\n{body}"


def test_a_session(shared_suite):
    u = user(shared_suite, "one", mail(1), mail(2, ("x" * 70 + "\r\n") * 100))
    c = shared_suite.pop3(u)
    n, octets = c.stat()
    assert n == 2
    sizes = [int(x.split()[1]) for x in c.list()[1]]
    assert sum(sizes) == octets
    for i in (1, 2):
        _, lines, size = c.retr(i)
        assert size == sizes[i - 1] == sum(len(x) + 2 for x in lines)
        assert b"Subject: number %d" % i in lines
    top = c.top(2, 0)[1]
    assert b"Subject: number 2" in top and not any(x.startswith(b"xxx") for x in top)
    assert len(c.top(2, 1)[1]) == len(top) + 1
    c.dele(1)
    with pytest.raises(poplib.error_proto):
        c.retr(1)
    assert c.stat()[0] == 1
    c.rset()
    assert c.stat()[0] == 2
    c.dele(2)
    c.quit()
    assert len(shared_suite.maildir(u).files()) == 1
    c = shared_suite.pop3(u)
    assert c.stat()[0] == 1
    c.close()


def none_is_open(suite):
    """A session whose client has gone has ended, too: it would keep the next one out."""
    wait_for(lambda: not suite.pids("pop3d"), 20 * patience(), why=lambda: suite.pids("pop3d"))


def test_deleted_only_by_quit(shared_suite):
    u = user(shared_suite, "two", mail(1))
    c = shared_suite.pop3(u)
    c.dele(1)
    c.close()			# no QUIT: RFC 1939 section 6
    none_is_open(shared_suite)
    c = shared_suite.pop3(u)
    assert c.stat()[0] == 1
    c.quit()


def test_ids_last(shared_suite):
    u = user(shared_suite, "three", mail(1), mail(2), mail(3))

    def ids():
        c = shared_suite.pop3(u)
        out = [x.split()[1] for x in c.uidl()[1]]
        c.quit()
        return out
    first = ids()
    assert len(set(first)) == 3 and all(re.fullmatch(rb"[!-~]{1,70}", x) for x in first)
    shared_suite.restart()
    assert ids() == first
    c = shared_suite.pop3(u)
    c.dele(2)
    c.quit()
    shared_suite.send(u, mail(4))
    shared_suite.maildir(u).wait(3)
    after = ids()
    assert after[:2] == [first[0], first[2]] and after[2] not in first
    # another program moves a message and marks it
    f = shared_suite.maildir(u).files()[0]
    cur = os.path.join(os.path.dirname(os.path.dirname(f)), "cur")
    base = os.path.basename(f).split(":")[0]
    os.rename(f, os.path.join(cur, base + ":2,RS"))
    assert ids() == after


def test_one_session_at_a_time(shared_suite):
    u = user(shared_suite, "four", mail(1))
    c = shared_suite.pop3(u)
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        shared_suite.pop3(u)
    # deliveries are not kept out
    shared_suite.send(u, mail(2))
    shared_suite.maildir(u).wait(2)
    assert c.stat()[0] == 1
    c.quit()
    c = shared_suite.pop3(u)
    assert c.stat()[0] == 2
    c.quit()


def test_capa_before_and_after(shared_suite):
    u = user(shared_suite, "five")
    with Wire(shared_suite) as w:
        assert w.cmd("CAPA").startswith("+OK")
        before = set(w.many())
        assert {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "USER", "SASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"} <= before
        assert any(x.startswith("IMPLEMENTATION") for x in before)
        assert w.cmd(f"USER {u}").startswith("+OK")
        assert w.cmd(f"PASS {PASSWORD}").startswith("+OK")
        assert w.cmd("CAPA").startswith("+OK")
        assert set(w.many()) == before - {"STLS"}     # RFC 2449 section 5


def test_order_and_arguments(shared_suite):
    u = user(shared_suite, "six", mail(1))
    with Wire(shared_suite) as w:
        assert w.cmd("STAT").startswith("-ERR")
        assert w.cmd("PASS x").startswith("-ERR")
        assert w.cmd("FROB").startswith("-ERR")
        assert w.cmd("APOP x 00112233445566778899aabbccddeeff").startswith("-ERR")
        assert w.cmd("STLS").startswith("-ERR")
        w.cmd(f"USER {u}")
        w.cmd(f"PASS {PASSWORD}")
        for bad in ("RETR", "RETR 0", "RETR 2", "RETR -1", "RETR 99999999999999999999", "RETR x", "DELE", "TOP 1", "TOP 1 x",
                    "TOP 2 1", "LIST 2", "UIDL 2", "USER x", "x" * 300):
            assert w.cmd(bad).startswith("-ERR"), bad
        assert w.cmd("LIST 1").startswith("+OK 1 ")
        assert w.cmd("NOOP") == "+OK"
        assert w.cmd("QUIT").startswith("+OK")
        assert w.line() == ""


def test_pipelining_through_the_login(shared_suite):
    u = user(shared_suite, "seven", mail(1))
    with Wire(shared_suite) as w:
        w.s.sendall(f"USER {u}\r\nPASS {PASSWORD}\r\nSTAT\r\nUIDL\r\nQUIT\r\n".encode())
        assert [w.line()[:3] for _ in range(4)] == ["+OK"] * 4
        assert len(w.many()) == 1
        assert w.line().startswith("+OK")


def test_much_behind_the_login(shared_suite):
    """All that the login process had read goes on with the session."""
    u = user(shared_suite, "seventeen", mail(1))
    for n in (1000, 3000):				# 6 octets each: less than its buffer, and more
        with Wire(shared_suite) as w:
            w.s.sendall(f"USER {u}\r\nPASS {PASSWORD}\r\n".encode() + b"NOOP\r\n" * n + b"STAT\r\nQUIT\r\n")
            assert [w.line()[:3] for _ in range(n + 2)] == ["+OK"] * (n + 2)
            assert w.line().startswith("+OK 1 ")
            assert w.line().startswith("+OK")


def plain(u, password=PASSWORD):
    return base64.b64encode(f"\0{u}\0{password}".encode()).decode()


def test_auth(shared_suite):
    u = user(shared_suite, "eight")
    with Wire(shared_suite) as w:
        assert w.cmd("AUTH").startswith("+OK")
        assert w.many() == ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"]
        assert w.cmd("AUTH PLAIN").startswith("+ ")
        assert w.cmd("*").startswith("-ERR")
        assert w.cmd("AUTH PLAIN !!!").startswith("-ERR")
        assert w.cmd("AUTH NTLM").startswith("-ERR")
        assert w.cmd("AUTH PLAIN").startswith("+ ")
        assert w.cmd(plain(u)).startswith("+OK")
        assert w.cmd("STAT") == "+OK 0 0"
    none_is_open(shared_suite)
    with Wire(shared_suite) as w:
        assert w.cmd("AUTH PLAIN " + plain(u)).startswith("+OK")
    none_is_open(shared_suite)
    with Wire(shared_suite) as w:
        assert w.cmd("AUTH LOGIN").startswith("+ ")
        assert w.cmd(base64.b64encode(u.encode()).decode()).startswith("+ ")
        assert w.cmd(base64.b64encode(PASSWORD.encode()).decode()).startswith("+OK")


def test_long_lines_before_the_login(shared_suite):
    """As long as they may be, and one octet more. AUTH may be longer: clients send long tokens with it."""
    u = user(shared_suite, "eighteen")
    with Wire(shared_suite) as w:
        assert w.cmd("USER " + "x" * (255 - 7)).startswith("+OK")
        assert w.cmd("USER " + "x" * (255 - 6)) == "-ERR line too long"
        much = "A" * 12272
        assert w.cmd("AUTH PLAIN    " + much).startswith("-ERR [AUTH]")
        assert w.cmd("AUTH PLAIN     " + much) == "-ERR line too long"
        assert w.cmd("AUTH  " + "x" * 250) == "-ERR argument not understood"
        assert w.cmd("auth plain " + " " * 300 + plain(u)).startswith("+OK")


def test_wrong_passwords(shared_suite):
    u = user(shared_suite, "nine")
    with Wire(shared_suite) as w:
        answers = []
        for name, password in ((u, "Zebra9"), ("nobody@hermod.test", "Zebra9"), (u, PASSWORD + "x")):
            w.cmd(f"USER {name}")
            answers.append(w.cmd(f"PASS {password}"))
        assert all(a.startswith("-ERR") for a in answers)
        assert answers[0] == answers[1], "the answer tells whether the account exists"
        assert "[AUTH]" in answers[0]
        assert w.line() == "", "three wrong passwords end the connection"
    log = shared_suite.wait_log(r"result=failed").string
    assert PASSWORD not in log and "Zebra9" not in log
    c = shared_suite.pop3(u)	# the right one is never refused
    c.quit()


def test_lines_of_dots_and_no_last_newline(shared_suite):
    u = user(shared_suite, "ten", mail(1, ".\r\n..\r\n.x\r\n\r\n."))
    c = shared_suite.pop3(u)
    lines = c.retr(1)[1]
    assert lines[-5:] == [b".", b"..", b".x", b"", b"."]
    c.quit()
    md = os.path.dirname(os.path.dirname(shared_suite.maildir(u).files()[0]))
    path = os.path.join(md, "new", "9999999999.M1.elsewhere")
    open(path, "wb").write(b"Subject: by hand\n\nno newline at the end")
    os.chown(path, os.stat(md).st_uid, os.stat(md).st_gid)
    c = shared_suite.pop3(u)
    assert c.retr(2)[1][-1] == b"no newline at the end"
    c.quit()


def by_hand(suite, address, name, octets):
    """Another program puts a message there."""
    md = suite.maildir(address).path
    path = os.path.join(md, "new", name)
    with open(path, "wb") as f:
        f.write(octets)
    os.chown(path, os.stat(md).st_uid, os.stat(md).st_gid)


SMUGGLED = (
    b"Subject: 1\n\n.\nDELE 1\n..\n...\n", b"Subject: 2\r\n\r\n.\r\nDELE 1\r\n", b"Subject: 3\n\n\r.\r\n.\r", b"Subject: 4\n\n.\r.\n.\r",
    b"Subject: 5\n\n\n.\n\r\n.\r\n\r\r\n", b"Subject: 6\n\nx.", b"Subject: 7\n\n.", b"Subject: 8\n\n.\r\n", b"Subject: 9\n\nNUL \0.\n\0\n", b".", b".\n", b"\n.\n",
    b"Subject: 13\n\n" + b"." * 70000 + b"\n.\n", b"Subject: 14\n\n" + b".\n" * 70000,
) + tuple(b"Subject: p\n\n" + b"x" * n + b"\n.\n.y\n" for k in (4096, 8192, 16384, 65536) for n in range(k - 18, k + 1))


def test_no_message_ends_before_its_end(shared_suite):
    """Lines of dots, bare CR and LF (which go out as CRLF), dots at the edges of buffers: whatever a client takes for the end
    of a line, the answer ends once, with the message, of the size that LIST says; what follows is the next answer."""
    u = user(shared_suite, "smuggled")
    for i, octets in enumerate(SMUGGLED):
        by_hand(shared_suite, u, f"{1600000000 + i}.M{i:06}P1.x", octets)
    with Wire(shared_suite) as w:
        assert w.cmd(f"USER {u}").startswith("+OK") and w.cmd(f"PASS {PASSWORD}").startswith("+OK")
        assert w.cmd("LIST").startswith("+OK")
        sizes = [int(x.split()[1]) for x in w.many()]
        assert len(sizes) == len(SMUGGLED)

        def answer():
            assert w.f.readline().startswith(b"+OK")
            got = b""
            while (line := w.f.readline()) != b".\r\n":
                assert line.endswith(b"\r\n") and not re.search(rb"[\r\n]", line[:-2]) and line[:1] != b"." or line[:2] == b"..", line[:99]
                got += line.removeprefix(b".")
            return got
        for i, octets in enumerate(SMUGGLED, 1):
            want = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
            for command in (f"RETR {i}", f"TOP {i} 1000000"):
                w.send(command + "\r\nNOOP\r\n")
                got = answer()
                assert w.line() == "+OK", (i, command)
                assert got == (want if want.endswith(b"\r\n") else want + b"\r\n"), (i, command, got[:200])
                assert sizes[i - 1] == len(re.sub(rb"(?<!\r)\n", b"\r\n", octets)), (i, command)
        assert w.cmd("STAT").startswith(f"+OK {len(SMUGGLED)} ")


@pytest.mark.parametrize("end", ["reset", "half closed", "killed", "another's QUIT"])
def test_what_is_no_quit_removes_nothing(shared_suite, end):
    """RFC 1939 section 6: UPDATE is entered by QUIT alone, of this session."""
    u = user(shared_suite, "noquit" + end[:3], mail(1), mail(2))
    with Wire(shared_suite) as w:
        before = set(shared_suite.pids("pop3d"))
        w.cmd(f"USER {u}")
        w.cmd(f"PASS {PASSWORD}")
        mine = wait_for(lambda: set(shared_suite.pids("pop3d")) - before, 10 * patience()).pop()
        assert w.cmd("DELE 1").startswith("+OK") and w.cmd("DELE 2").startswith("+OK")
        if end == "reset":
            w.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            w.f.close()
            w.s.close()
        elif end == "half closed":
            w.s.shutdown(socket.SHUT_WR)
            w.f.read()
        elif end == "killed":
            os.kill(mine, signal.SIGKILL)
        else:
            with Wire(shared_suite) as other:
                other.cmd("QUIT")
            w.send("QUIT")                      # not a line yet
            w.s.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: mine not in shared_suite.pids("pop3d"), 20 * patience())
    assert len(shared_suite.maildir(u).files()) == 2
    c = shared_suite.pop3(u)
    assert c.stat()[0] == 2
    c.quit()


def test_a_message_taken_by_another_program(shared_suite):
    u = user(shared_suite, "eleven", mail(1), mail(2))
    c = shared_suite.pop3(u)
    os.unlink(shared_suite.maildir(u).files()[0])
    results = []
    for i in (1, 2):
        try:
            results.append(b"Subject: number %d" % i in c.retr(i)[1])
        except poplib.error_proto:
            results.append(None)
    assert sorted(results, key=str) == [None, True]
    c.quit()


def test_odd_files_harm_nothing(shared_suite):
    u = user(shared_suite, "twelve", mail(1))
    md = os.path.dirname(os.path.dirname(shared_suite.maildir(u).files()[0]))
    os.mkfifo(os.path.join(md, "new", "1.fifo"))
    os.mkdir(os.path.join(md, "cur", "1.dir"))
    os.symlink("/etc/passwd", os.path.join(md, "new", "1.link"))
    false = os.path.join(md, "cur", "1700000000.x.y,S=1:2,S")
    open(false, "wb").write(b"Subject: false size\n\n" + b"x" * 100 + b"\n")
    os.chown(false, os.stat(md).st_uid, os.stat(md).st_gid)
    c = shared_suite.pop3(u)
    found = [b"\n".join(c.retr(i + 1)[1]) for i in range(c.stat()[0])]
    assert len(found) == 2 and not any(b"root:" in f for f in found)
    sizes = [int(x.split()[1]) for x in c.list()[1]]
    assert sizes == [sum(len(x) + 2 for x in c.retr(i + 1)[1]) for i in range(2)]
    c.quit()


@pytest.mark.settings(login_sessions=30, login_client_sessions=0, login_client_rate=0, login_stress_timeout="2s")
def test_slow_clients_take_nobody_elses_room(suite):
    slow = []
    for _ in range(50):
        s = socket.create_connection((suite.host, suite.pop3_port), timeout=20)
        s.sendall(b"U")
        slow.append(s)
    began = time.monotonic()
    c = suite.pop3("anna")
    assert time.monotonic() - began < 15 * patience()
    c.quit()
    for s in slow:
        s.close()


@pytest.mark.settings(login_timeout="1s")
def test_silence_before_login(suite):
    with Wire(suite) as w:
        assert w.line().startswith("-ERR")
        assert w.line() == ""
