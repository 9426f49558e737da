# SPDX-License-Identifier: ISC
"""IMAP before the login, and the way into a session: RFC 3501 sections 6.1 and 6.2, and what may not be done there."""
import base64
import imaplib
import os
import random
import re
import socket
import subprocess
import threading
import time

import pytest

from hermodtest.imap import Literal
from hermodtest.proc import wait_for
from hermodtest.suite import PASSWORD, patience
from hermodtest.wire import Connection

SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000}
OPEN = "IMAP4rev1 LITERAL+ ID SASL-IR AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN AUTH=LOGIN"
CLOSED = "IMAP4rev1 LITERAL+ ID LOGINDISABLED"
SESSION = ("IMAP4rev1 LITERAL+ ID SASL-IR ENABLE IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE SPECIAL-USE CREATE-SPECIAL-USE "
           "LIST-EXTENDED LIST-STATUS STATUS=SIZE APPENDLIMIT ESEARCH SEARCHRES MULTIAPPEND WITHIN CONDSTORE")
ANNA = "anna@hermod.test"
STRANGE = 'q"\\ {3} (%\u00e4'             # a password with all that must be quoted


class Wire(Connection):
    def __init__(self, suite, host=None, greeting="* OK "):
        super().__init__(host or suite.host, suite.imap_port)
        assert self.line().startswith(greeting)

    def ended(self):
        """What it still says; then it must have closed."""
        return self.f.read().decode("latin-1").splitlines()


def plain(user=ANNA, password=PASSWORD):
    return f"\0{user}\0{password}".encode()


def b64(octets):
    return base64.b64encode(octets).decode()


# ---- what it can -------------------------------------------------------------------------------

def test_capabilities_before_and_after(shared_suite):
    with Wire(shared_suite, greeting=f"* OK [CAPABILITY {OPEN}] ") as w:
        assert w.cmd("a CAPABILITY") == f"* CAPABILITY {OPEN}"
        assert w.line().startswith("a OK ")
        assert w.cmd(f'b LOGIN {ANNA} "{PASSWORD}"').startswith(f"b OK [CAPABILITY {SESSION}] ")
        assert w.cmd("c CAPABILITY") == f"* CAPABILITY {SESSION}"
        assert w.line().startswith("c OK ")


def test_commands_for_everybody(shared_suite):
    c = shared_suite.imap()
    assert c.ok("NOOP").untagged == []
    assert c.ok('ID ("name" "test" "version" NIL)').of("ID")[0].data == {b"name": b"Hermod"}
    assert c.ok("ID NIL").of("ID")
    c.logout()


def own_address():
    """An address of this host that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this host has no address but loopback")
        return s.getsockname()[0]


@pytest.mark.parametrize("insecure", [False, True])
def test_no_password_in_clear_from_elsewhere(make_suite, insecure):
    """RFC 3501 section 6.2.3, RFC 8314: LOGINDISABLED, and nothing of a password is asked for."""
    host = own_address()
    suite = make_suite(start=False, allow_insecure_auth=insecure)
    suite.write_conf(listen_imap=[f"0.0.0.0:{suite.imap_port}"])
    suite.start()
    with Wire(suite, host=host, greeting=f"* OK [CAPABILITY {OPEN if insecure else CLOSED}] ") as w:
        if insecure:
            assert w.cmd(f'a LOGIN {ANNA} "{PASSWORD}"').startswith("a OK ")
            return
        assert w.cmd(f'a LOGIN {ANNA} "{PASSWORD}"').startswith("a NO [PRIVACYREQUIRED] ")
        assert w.cmd("b LOGIN {%d}" % len(ANNA)).startswith("b NO [PRIVACYREQUIRED] ")
        assert w.cmd("c AUTHENTICATE PLAIN " + b64(plain())).startswith("c NO [PRIVACYREQUIRED] ")
        assert w.cmd("d AUTHENTICATE LOGIN").startswith("d NO [PRIVACYREQUIRED] ")
    with Wire(suite, greeting=f"* OK [CAPABILITY {OPEN}] ") as w:
        assert w.cmd(f'a LOGIN {ANNA} "{PASSWORD}"').startswith("a OK ")


# ---- the login ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def strange(shared_suite):
    return shared_suite.add_account("strange", STRANGE)


def quoted(s):
    return '"' + re.sub(r'(["\\])', r"\\\1", s) + '"'


WAYS = {
    "quoted": lambda c, u, p: c.login(u, p),
    "atom": lambda c, u, p: c.ok(f"LOGIN {u} ", quoted(p)),
    "literals": lambda c, u, p: c.ok("LOGIN ", Literal(u.encode()), " ", Literal(p.encode())),
    "LITERAL+": lambda c, u, p: c.ok("LOGIN ", Literal(u.encode(), sync=False), " ", Literal(p.encode(), sync=False)),
    "PLAIN": lambda c, u, p: c.authenticate("PLAIN", plain(u, p)),
    "plain, whole": lambda c, u, p: c.ok("authenticate plain " + b64(plain(u, p))),
    "LOGIN": lambda c, u, p: c.authenticate("LOGIN", u.encode(), p.encode()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("chunks", [None, (1,)])
def test_ways_to_log_in(shared_suite, strange, way, chunks):
    for user, password in ((ANNA, PASSWORD), (strange, STRANGE)):
        c = shared_suite.imap()
        c.chunks = chunks
        r = WAYS[way](c, user, password)
        assert r.ok and c.capabilities == set(SESSION.upper().split())
        c.ok("NOOP")
        c.logout()


def test_wrong_passwords(suite):
    with Wire(suite) as w:
        answers = [w.cmd("a LOGIN " + words) for words in (f"{ANNA} Zebra9", "nobody@hermod.test Zebra9", f"{ANNA} {'Zebra9' * 50}")]
        assert len(set(answers)) == 1, "the answer tells whether the account exists"
        assert answers[0].startswith("a NO [AUTHENTICATIONFAILED] ")
        assert [x.split()[1] for x in w.ended()] == ["BYE"]
    suite.wait_log(r"protocol=imap client=127\.0\.0\.1 session ended: too many wrong passwords$")
    suite.imap("anna").logout()                 # the right one is never refused
    suite.wait_log(r"protocol=imap user=anna@hermod\.test client=127\.0\.0\.1 mechanism=PLAIN result=ok$")
    assert PASSWORD not in suite.log() and "Zebra9" not in suite.log()


def test_right_after_wrong(shared_suite):
    c = shared_suite.imap()
    assert c.no(f"LOGIN {ANNA} wrong").done.code == ("AUTHENTICATIONFAILED", None)
    assert c.authenticate("PLAIN", plain(password="wrong")).done.name == "NO"
    assert c.authenticate("PLAIN", plain()).ok
    c.logout()


def test_exchanges(shared_suite):
    """RFC 3501 section 6.2.2: cancelled or not base64 is BAD; the challenge has no text of ours."""
    with Wire(shared_suite) as w:
        assert w.cmd("a AUTHENTICATE PLAIN") == "+ "
        assert w.cmd("*").startswith("a BAD ")
        assert w.cmd("b AUTHENTICATE PLAIN") == "+ "
        assert w.cmd("!").startswith("b BAD ")
        assert w.cmd("c AUTHENTICATE NTLM").startswith("c NO ")
        assert w.cmd("d AUTHENTICATE PLAIN !").startswith("d BAD ")
        assert w.cmd("e AUTHENTICATE LOGIN") == "+ " + b64(b"Username:")
        assert w.cmd(b64(ANNA.encode())) == "+ " + b64(b"Password:")
        assert w.cmd(b64(PASSWORD.encode())).startswith("e OK [CAPABILITY ")


@pytest.mark.parametrize("message, good", [
    (b"\0anna@hermod.test\0correct horse", True),
    (b"anna@hermod.test\0anna@hermod.test\0correct horse", True),
    (b"bert@hermod.test\0anna@hermod.test\0correct horse", False),      # for another
    (b"\0anna@hermod.test\0correct horse\0x", False),
    (b"\0anna@hermod.test\0correct horse\tuser=bert", False),           # CVE-2008-1218
    (b"", False),
    (b"\0" + b"a" * 400 + b"\0x", False),
    (b"\0anna@hermod.test\0" + b"x" * 10000, False),
], ids=range(8))
def test_initial_responses(shared_suite, message, good):
    with Wire(shared_suite) as w:
        assert w.cmd("a AUTHENTICATE PLAIN " + (b64(message) or "=")).startswith("a OK " if good else "a NO [AUTHENTICATIONFAILED] ")


def test_nobody_can_say_now(suite):
    """Not sure is no wrong password, and is not counted as one."""
    path = os.path.join(suite.dir, "etc", "accounts.lmdb")
    os.rename(path, path + ".away")
    time.sleep(1.5)
    with Wire(suite) as w:
        for _ in range(5):
            assert w.cmd(f'a LOGIN {ANNA} "{PASSWORD}"').startswith("a NO [UNAVAILABLE] ")
        os.rename(path + ".away", path)
        time.sleep(1.5)
        assert w.cmd(f'a LOGIN {ANNA} "{PASSWORD}"').startswith("a OK ")


@pytest.mark.parametrize("service", ["auth", "become"])
def test_killed(suite, service):
    """In the midst of an exchange: told to try again, on the same connection."""
    with Wire(suite) as w:
        assert w.cmd("a AUTHENTICATE PLAIN") == "+ "
        suite.kill(service)
        assert w.cmd(b64(plain())).startswith(("a NO [UNAVAILABLE] ", "a OK "))
        if service == "auth":
            wait_for(lambda: w.cmd(f'b LOGIN {ANNA} "{PASSWORD}"').startswith("b OK "), 20 * patience())


# ---- into the session --------------------------------------------------------------------------------

@pytest.mark.parametrize("login", [f'a LOGIN {ANNA} "{PASSWORD}"\r\n', "a AUTHENTICATE PLAIN " + b64(plain()) + "\r\n",
                                   "a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (len(ANNA), ANNA, len(PASSWORD), PASSWORD)])
def test_what_comes_behind_the_login_reaches_the_session(shared_suite, login):
    whole = login.encode() + b"b NOOP\r\nc CAPABILITY\r\nd LOGOUT\r\n"
    for cut in (0, len(login) - 1, len(login), len(login) + 3):
        with Wire(shared_suite) as w:
            w.send(whole[:cut])
            time.sleep(0.02 if cut else 0)
            w.send(whole[cut:])
            told = w.ended()
            assert [x.split(" ")[0] for x in told] == ["a", "b", "*", "c", "*", "d"]
            assert told[2] == f"* CAPABILITY {SESSION}"


def test_much_behind_the_login(shared_suite):
    """All that the login process had read goes on with the session, and what it had not."""
    for n in (1000, 4000):
        with Wire(shared_suite) as w:
            w.send(f'a LOGIN {ANNA} "{PASSWORD}"\r\n' + "".join(f"x{i} NOOP\r\n" for i in range(n)) + "z LOGOUT\r\n")
            told = w.ended()
            assert [x.split(" ")[0] for x in told] == ["a"] + [f"x{i}" for i in range(n)] + ["*", "z"]


def test_a_client_that_closes_its_side(shared_suite):
    with Wire(shared_suite) as w:
        w.send(f'a LOGIN {ANNA} "{PASSWORD}"\r\nb NOOP\r\n')
        w.s.shutdown(socket.SHUT_WR)
        assert [x.split(" ")[0] for x in w.ended()] == ["a", "b"]


def test_the_session_is_the_owners(suite):
    c = suite.imap("anna")
    workers = wait_for(lambda: suite.processes("imapd"), 10 * patience())
    assert len(workers) == 1 and not suite.pids("pop3d")
    c.logout()
    wait_for(lambda: not workers[0].alive(), 10 * patience())


# ---- what may not be done -----------------------------------------------------------------------------

def test_log_in_first(shared_suite):
    """Every command of later states, with right and wrong arguments."""
    for line in ("SELECT inbox", "EXAMINE", "CREATE x", "LIST \"\" *", "STATUS inbox (MESSAGES)", "IDLE", "FETCH 1 FLAGS",
                 "UID FETCH 1:* (((", "STORE 1 FLAGS ()", "SEARCH ALL", "ENABLE CONDSTORE", "NAMESPACE", "EXPUNGE", "CLOSE"):
        with Wire(shared_suite) as w:
            assert w.cmd("a " + line) == "a BAD log in first"
            assert w.cmd("b NOOP").startswith("b OK ")


@pytest.mark.parametrize("line,told", [
    ("a FROB", "a BAD "), ("a", "a BAD "), ("", "* BAD "), ("a+b NOOP", "* BAD "), ("* NOOP", "* BAD "), ("a NOOP x", "a BAD "),
    ("a LOGIN x", "a BAD "), ("a LOGIN x y z", "a BAD "), ("a LOGIN (x) y", "a BAD "), ("a LOGIN x \"y", "a BAD "), ("a  NOOP", "a BAD "),
    ("a UID NOOP", "a BAD "), ("x" * 129 + " NOOP", "* BAD "), ("a STARTTLS", "a BAD "),
    ("a LOGIN x\0 y", "a BAD "), ("a NOOP\rb NOOP", "a BAD "), ("a NOOP\nb NOOP", "a BAD "),
])
def test_misunderstood(shared_suite, line, told):
    with Wire(shared_suite) as w:
        assert w.cmd(line).startswith(told)
        assert w.cmd("z NOOP").startswith("z OK ")


def test_starttls_hides_nothing(shared_suite):
    """There is no TLS: what comes behind STARTTLS is a command in the clear as any other, and is answered as one
    (CVE-2011-0411, CVE-2021-33515)."""
    with Wire(shared_suite) as w:
        w.send(f'a STARTTLS\r\nb NOOP\r\nc LOGIN {ANNA} wrong\r\n')
        assert w.line().startswith("a BAD ")
        assert w.line().startswith("b OK ")
        assert w.line().startswith("c NO [AUTHENTICATIONFAILED] ")


def test_literals_are_for_strings_of_the_login(shared_suite):
    with Wire(shared_suite) as w:
        assert w.cmd("a APPEND inbox {310}").startswith("a BAD log in first")
        assert w.cmd("b FROB {10}").startswith("b BAD ")
        w.send("c APPEND inbox {11+}\r\nc1 LOGOUT\r\n\r\nd NOOP\r\n")      # the octets are none of a command
        assert w.line().startswith("c BAD log in first")
        assert w.line().startswith("d OK ")
        assert w.cmd("e LOGIN {20000}").startswith("e NO [LIMIT] ")
        assert w.cmd("f LOGIN x {16384}").startswith("f NO [LIMIT] ")
        assert w.cmd("g LOGIN {5}").startswith("+ ")


def limit(shared_suite, command, told):
    with Wire(shared_suite) as w:
        w.send(command)
        w.send("z NOOP\r\n")
        assert w.line().startswith(told)
        assert w.line().startswith("z OK ")


def test_limits(shared_suite):
    """At each, and one past (lib/proto/imap_reader.h)."""
    limit(shared_suite, "a NOOP".ljust(14334) + "\r\n", "a OK ")
    limit(shared_suite, "a NOOP".ljust(14335) + "\r\n", "a NO [LIMIT] ")
    limit(shared_suite, "a LOGIN x " + "(" * 32 + "\r\n", "a BAD ")
    limit(shared_suite, "a LOGIN x " + "(" * 33 + "\r\n", "a NO [LIMIT] ")
    limit(shared_suite, "a LOGIN x " + "[" * 33 + "\r\n", "a NO [LIMIT] ")
    for n, told in ((4, "* ID "), (5, "a NO [LIMIT] ")):        # 8 literals and 10, two of each pair
        with Wire(shared_suite) as w:
            w.send("a ID (" + " ".join(["{1+}\r\nx {1+}\r\ny"] * n) + ")\r\n")
            assert w.line().startswith(told)
    with Wire(shared_suite) as w:
        for _ in range(20):
            assert w.cmd("a FROB").startswith("a BAD ")
        assert w.cmd("a NOOP").startswith("a OK ")
        assert w.cmd("a FROB").startswith("a BAD ")
        assert [x.split()[1] for x in w.ended()] == ["BYE"]
    with Wire(shared_suite) as w:
        for _ in range(100):
            assert w.cmd("a NOOP").startswith("a OK ")
        assert w.cmd("a NOOP").startswith("* BYE ")
        assert w.ended() == []


FLOODS = {
    "a literal without end": (b"a LOGIN x {9223372036854775807+}\r\n", b"x" * 4096),
    "a larger one": (b"a LOGIN x {18446744073709551616+}\r\n", b"x" * 4096),
    "a literal for nothing": (b"a APPEND inbox {4294967296+}\r\n", b"x" * 4096),
    "a line without end": (b"a LOGIN x ", b"y" * 4096),
    "brackets": (b"a LOGIN x ", b"([" * 2048),
    "many literals": (b"a ID (", b"{1+}\r\nx " * 512),
    "many commands": (b"", b"a FROB\r\n" * 512),
    "many NOOPs": (b"", b"a NOOP\r\n" * 512),
    "NUL": (b"", b"\0" * 4096),
}


def test_names_make_no_lines(suite):
    """Of the log: what somebody calls himself, in each string that a name can be in, and by each way to log in."""
    evil = b"x\r\n2026-01-01T00:00:00.000000Z hermod/auth[1]: user=bert result=ok\x1b]0;t\x07\x1b[31m \xc2\x9b31m \" user=bert"
    with Wire(suite) as w:
        w.send(b"a LOGIN {%d+}\r\n%s {1+}\r\nx\r\n" % (len(evil), evil))
        assert w.line().startswith(("a NO", "a BAD"))
        assert w.cmd(b"b AUTHENTICATE PLAIN " + base64.b64encode(b"\0" + evil + b"\0x")).startswith("b NO")
    with Wire(suite) as w:
        assert w.cmd("c AUTHENTICATE LOGIN").startswith("+ ")
        assert w.cmd(base64.b64encode(evil)).startswith(("+ ", "c NO", "c BAD"))
        w.send(b"eA==\r\n")
        w.line()
        w.send(b"d ID (\"name\" {%d+}\r\n%s)\r\n" % (len(evil), evil))
        w.line()
    with suite.imap("anna") as c:
        c.logout()
    suite.wait_log(r"user=anna@hermod\.test .*result=ok")
    log = suite.log()
    assert "result=failed" in log and not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", log) and not re.search(r"(?m)^2026-01-01", log)
    assert not re.search(r"(?m)(^| )user=bert", log), "a field of its own"


@pytest.mark.parametrize("flood", FLOODS)
def test_floods(shared_suite, flood):
    """Whatever has no end: the session has one, soon."""
    first, then = FLOODS[flood]
    s = socket.create_connection((shared_suite.host, shared_suite.imap_port), timeout=20 * patience())
    sent = 0
    try:
        s.sendall(first)
        while sent < 32 << 20:
            s.sendall(then)
            sent += len(then)
    except OSError:
        pass
    s.close()
    assert sent < 16 << 20, "it reads for ever"


@pytest.mark.parametrize("start,more", [("a UID SEARCH " + "(" * 30, "OR "), ("a FETCH 1 BODY" + "[" * 30, "[]"),
                                        ("a LIST (" + "([" * 15, "%* "), ("a ID (", '"x" '), ("a LOGIN x ", "{1+}\r\nx"),
                                        ('a LOGIN "', "y"), ("a LOGIN {16000+}\r\n", "z")])
@pytest.mark.settings(login_client_sessions=0)
def test_held_commands_cost_little(suite, start, more):
    """CVE-2026-27857, CVE-2026-42006: a megabyte was held for each connection that opened brackets, of one kind and then
    of the other. A command that never ends may have some kilobytes, however it is begun."""
    p = wait_for(lambda: suite.processes("imap-login"), 10 * patience())[0]
    held = []

    def rss():
        return int(p.status("VmRSS").split()[0])
    for i in range(400):
        w = Wire(suite)
        w.send(start + more * (12000 // len(more) if "{1+}" not in more else 7))
        held.append(w)
        if i == 40:
            before = rss()
    with Wire(suite) as w:
        assert w.cmd("z NOOP").startswith("z OK ")
    assert rss() - before < 360 * 64 * patience()
    for w in held:
        w.s.close()


def test_junk(shared_suite):
    """Other protocols, and none at all: it goes on serving."""
    pids = shared_suite.pids("imap-login")
    chance = random.Random(20261125)
    hello = bytes.fromhex("16030100f8010000f40303") + chance.randbytes(237)
    junk = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"EHLO x\r\nMAIL FROM:<>\r\n", b"USER anna\r\nPASS x\r\n", hello, b"\r\n" * 30,
            b"\n" * 30, b"{", b"a {", b"a LOGIN {", b"+ \r\n", b"* OK\r\n", b"a LOGIN \"\\", b"DONE\r\n", b"=\r\n"]
    junk += [chance.randbytes(chance.randrange(1, 3000)) for _ in range(40)]
    junk += [b"a AUTHENTICATE PLAIN\r\n" + chance.randbytes(300) + b"\r\n" for _ in range(10)]
    for octets in junk:
        with Wire(shared_suite) as w:
            w.send(octets)
            w.s.shutdown(socket.SHUT_WR)
            try:
                w.f.read()
            except ConnectionResetError:
                pass
    shared_suite.imap("anna").logout()
    assert shared_suite.pids("imap-login") == pids


# ---- many at once ---------------------------------------------------------------------------------------

def test_exchanges_do_not_mix(make_suite):
    """Step by step in turn, with POP3 between: each gets his own (CVE-2025-59028)."""
    s = make_suite(auth_workers=1)
    clients = {u: Wire(s) for u in ("anna", "bert")}
    for w in clients.values():
        assert w.cmd("a AUTHENTICATE LOGIN").startswith("+ ")
    with Wire(s) as w:
        assert w.cmd("a AUTHENTICATE PLAIN") == "+ "
        assert w.cmd("not base64").startswith("a BAD ")
    for u, w in clients.items():
        assert w.cmd(b64(f"{u}@hermod.test".encode())).startswith("+ ")
    s.pop3("anna").quit()
    for w in reversed(clients.values()):
        assert w.cmd(b64(PASSWORD.encode())).startswith("a OK ")
    wait_for(lambda: len(s.pids("imapd")) == 2, 10 * patience())
    for w in clients.values():
        w.s.close()


def test_many_logins_at_once(shared_suite):
    users = [shared_suite.add_account(f"many{i}") for i in range(8)]
    wrong = []

    def one(user):
        try:
            for _ in range(3):
                c = shared_suite.imap(user)
                c.ok("NOOP")
                c.logout()
        except Exception as e:                  # reported by the test, not by the thread
            wrong.append(e)
    threads = [threading.Thread(target=one, args=(u,)) for u in users for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[0]


@pytest.mark.settings(login_client_sessions=3)
def test_sessions_of_one_client(suite):
    """Counted for each service by itself; those that have logged in do not count."""
    held = [Wire(suite) for _ in range(3)]
    with Wire(suite, greeting="* BYE [LIMIT] ") as w:
        assert w.ended() == []
    suite.pop3("anna").quit()
    assert held[0].cmd(f'a LOGIN {ANNA} "{PASSWORD}"').startswith("a OK ")
    held.append(wait_for(lambda: retry(suite), 10 * patience()))
    suite.wait_log(r"hermod/imap-login\[\d+\]: client=127\.0\.0\.1 refused: too many connections at once")
    for w in held:
        w.s.close()


def retry(suite):
    try:
        return Wire(suite)
    except AssertionError:
        return None


@pytest.mark.settings(login_client_rate=5)
def test_connections_a_minute(suite):
    for _ in range(5):
        Wire(suite).s.close()
    with Wire(suite, greeting="* BYE [LIMIT] ") as w:
        assert w.ended() == []


@pytest.mark.settings(login_sessions=30, login_client_sessions=0, login_client_rate=0, login_stress_timeout="2s")
def test_slow_clients_take_nobody_elses_room(suite):
    """They say an octet now and then, which is no progress: those go where three quarters of the room are taken."""
    slow = [Wire(suite) for _ in range(29)]
    began = time.monotonic()
    suite.imap("anna").logout()
    assert time.monotonic() - began < 15 * patience()

    for w in slow:
        w.s.setblocking(False)

    def gone():
        n = 0
        for w in slow:
            try:
                w.send("a")
                n += w.s.recv(1, socket.MSG_PEEK) != b"a"       # last words, or the end
            except BlockingIOError:
                pass
            except OSError:
                n += 1
        return n
    wait_for(lambda: gone() >= 29 - 21, 10 * patience(), why=lambda: f"{gone()} are gone")
    for w in slow:
        w.s.close()


@pytest.mark.settings(login_timeout="1s")
def test_silence_and_slowness_before_login(suite):
    for words in ("", "a LOGIN {5}\r\n", "a AUTHENTICATE PLAIN\r\n"):
        with Wire(suite) as w:
            w.send(words)
            assert w.ended()[-1].startswith("* BYE ")
    suite.wait_log(r"protocol=imap client=127\.0\.0\.1 session ended: no login within login_timeout")
    with Wire(suite) as w:                      # for all of it together
        began = time.monotonic()
        while w.cmd("a NOOP").startswith("a OK "):
            time.sleep(0.1)
        assert time.monotonic() - began < 5 * patience()


def test_over_a_reload(suite):
    """Greeted before it, logged in after it."""
    with Wire(suite) as w:
        suite.reload()
        assert w.cmd(f'a LOGIN {ANNA} "{PASSWORD}"').startswith("a OK ")
        assert w.cmd("b NOOP").startswith("b OK ")


# ---- clients that people have -----------------------------------------------------------------------------

def test_imaplib(shared_suite):
    user = shared_suite.add_account("imaplib", STRANGE[:-1])
    for user, password in ((ANNA, PASSWORD), (user, STRANGE[:-1])):       # it knows ASCII alone
        c = imaplib.IMAP4(shared_suite.host, shared_suite.imap_port)
        assert c.capabilities == tuple(OPEN.upper().split())
        assert c.login(user, password)[0] == "OK"
        assert c.noop()[0] == "OK"
        assert c.logout()[0] == "BYE"
    c = imaplib.IMAP4(shared_suite.host, shared_suite.imap_port)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        c.login(ANNA, "wrong")
    assert c.authenticate("PLAIN", lambda _: plain())[0] == "OK"
    c.logout()


@pytest.mark.parametrize("options", [[], ["--login-options", "AUTH=PLAIN"], ["--login-options", "AUTH=LOGIN"],
                                     ["--login-options", "AUTH=PLAIN", "--sasl-ir"]])
def test_curl(shared_suite, options):
    def curl(password):
        try:
            return subprocess.run(["curl", "-sS", *options, "--user", f"{ANNA}:{password}", "-X", "NOOP",
                                   f"imap://127.0.0.1:{shared_suite.imap_port}/"], timeout=20 * patience()).returncode
        except FileNotFoundError:
            pytest.skip("curl is not installed (Debian package curl)")
    assert curl(PASSWORD) == 0
    assert curl("wrong") == 67
