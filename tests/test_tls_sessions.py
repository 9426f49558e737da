# SPDX-License-Identifier: ISC
"""IMAP and POP3 over TLS: from the start, and by STARTTLS; what is refused; how long it lasts."""
import imaplib
import os
import poplib
import re
import socket
import ssl
import subprocess
import time

import pytest

from hermodtest import imap
from hermodtest.proc import wait_for
from hermodtest.suite import HOSTNAME, PASSWORD, TLS_FACTS, Suite, patience
from hermodtest.wire import greeted, rest, say, say_all

ANNA = "anna@hermod.test"


@pytest.fixture(scope="module")
def suite(ca):
    s = Suite({"tls_certificates": [ca.of_suite()]})
    for i in range(3):
        s.send("anna", f"Subject: mail {i}\r\n\r\n" + f"line of mail {i}\r\n" * (10 ** i * 10))
    s.maildir("anna").wait(3)
    yield s
    s.end()


def imaps(suite, context):
    s = socket.create_connection((suite.host, suite.imaps_port), timeout=30 * patience())
    return imap.Client(sock=context.wrap_socket(s, server_hostname=HOSTNAME))


def starttls(suite, context):
    c = suite.imap()
    assert "STARTTLS" in c.capabilities
    c.starttls(context, HOSTNAME)
    return c


# ---- sessions

@pytest.mark.parametrize("how", [imaps, starttls])
def test_imap(suite, context, how):
    c = how(suite, context)
    said = c.ok("CAPABILITY").of("CAPABILITY")[0].data
    assert "STARTTLS" not in said and "LOGINDISABLED" not in said and "AUTH=PLAIN" in said
    c.no("STARTTLS", state="BAD")
    c.login(ANNA, PASSWORD)
    c.ok("SELECT INBOX")
    assert c.box.count == 3
    bodies = [r.data["BODY[]"] for r in c.ok("FETCH 1:3 BODY.PEEK[]").of("FETCH")]
    assert sorted(len(b) for b in bodies)[-1] > 16000
    c.no("STARTTLS", state="BAD")
    c.logout()


@pytest.mark.parametrize("implicit", [True, False])
def test_pop3(suite, context, implicit):
    if implicit:
        c = poplib.POP3_SSL("localhost", suite.pop3s_port, context=context, timeout=30 * patience())
    else:
        c = poplib.POP3("localhost", suite.pop3_port, timeout=30 * patience())
        assert "STLS" in c.capa()
        c.stls(context=context)
    assert "STLS" not in c.capa() and "USER" in c.capa()
    with pytest.raises(poplib.error_proto, match="already|not"):
        c._shortcmd("STLS")
    c.user(ANNA)
    c.pass_(PASSWORD)
    assert c.stat()[0] == 3
    sizes = [len(b"\r\n".join(c.retr(n)[1])) for n in (1, 2, 3)]
    assert max(sizes) > 16000
    c.quit()


def test_large_both_ways(suite, context):
    """More than all buffers hold, in both directions, octet by octet the same."""
    c = imaps(suite, context)
    c.login(ANNA, PASSWORD)
    text = os.urandom(3_000_000).hex().encode()
    text = b"Subject: large\r\n\r\n" + b"\r\n".join(text[i:i + 70] for i in range(0, len(text), 70)) + b"\r\n"
    c.ok("CREATE Large")
    c.ok("APPEND Large ", imap.Literal(text))
    c.ok("SELECT Large")
    got, = c.ok("FETCH 1 BODY.PEEK[]").of("FETCH")
    assert got.data["BODY[]"] == text
    # and at once: the session answers while it is sent more
    commands = c.pipeline(*["FETCH 1 BODY.PEEK[]"] * 5)
    assert all(x.of("FETCH")[0].data["BODY[]"] == text for x in commands)
    c.logout()


def test_idle(suite, context):
    """What the session says by itself goes out at once."""
    c = starttls(suite, context)
    c.login("bert@hermod.test", PASSWORD)
    c.ok("SELECT INBOX")
    c.idle()
    suite.send("bert", "Subject: idle\r\n\r\nHello.\r\n")
    c.wait("EXISTS")
    c.done()
    c.logout()


def test_client_is_logged(suite, context):
    c = imaps(suite, context)
    c.login(ANNA, PASSWORD)
    c.logout()
    starttls(suite, context).login("bert@hermod.test", PASSWORD)
    for user in (ANNA, "bert@hermod.test"):
        id = suite.wait_log(rf" (\w+): protocol=imap user={user} client=127\.0\.0\.1 mechanism=PLAIN {TLS_FACTS} result=ok$").group(1)
        assert re.search(rf" mechanism=PLAIN {TLS_FACTS} result=ok$", suite.hermod("trace", id).stdout, re.M)


def test_last_words(suite, context):
    """A session that ends says so first, and the client sees an end in order."""
    c = imaps(suite, context)
    for _ in range(3):
        assert not c.cmd(f"LOGIN {ANNA} wrong").ok
    c.s.settimeout(20 * patience())
    last = rest(c.s)                        # an end without close_notify would be an SSLError
    assert b"too many wrong passwords" in bytes(c.buffer) + last or c.bye


def test_what_a_client_said_last(suite, context, ca):
    """Is taken by the session, though the client closes at once."""
    c = imaps(suite, context)
    c.login(ANNA, PASSWORD)
    c.ok("CREATE Last")
    text = b"Subject: last\r\n\r\n" + b"x" * 200_000 + b"\r\n"
    c.s.sendall(b"z APPEND Last {%d+}\r\n" % len(text) + text + b"\r\n")
    c.s.close()

    def there():
        d = imaps(suite, context)
        d.login(ANNA, PASSWORD)
        n = d.ok("STATUS Last (MESSAGES)").of("STATUS")[0].data
        d.logout()
        return "1" in str(n)
    wait_for(there, 20 * patience(), step=0.3)


def connect(suite, port):
    return socket.create_connection((suite.host, getattr(suite, port)), timeout=20 * patience())


@pytest.mark.parametrize("shut", [True, False])
@pytest.mark.parametrize("port", ["imaps_port", "imap_port"])
def test_imap_is_answered_behind_close_notify(suite, context, port, shut):
    """RFC 8446 section 6.1: it closes one direction, and what was said before is answered: before the login and behind it."""
    s = connect(suite, port)
    if port == "imap_port":
        s.recv(1000)
        assert b"go ahead" in say(s, b"x STARTTLS")
    login = f"a NOOP\r\nb LOGIN {ANNA} \"{PASSWORD}\"\r\n"
    got = say_all(s, context, HOSTNAME, login + "c SELECT INBOX\r\nd FETCH 1:3 BODY.PEEK[]\r\ne LOGOUT\r\n", shut)
    assert got.count(b"line of mail") == 1110 and all(b"%c OK" % tag in got for tag in b"abcde"), got[-300:]


@pytest.mark.parametrize("said,last", [("", b"* OK"), ("a NOOP\r\n", b"a OK"), (f"a LOGIN {ANNA} wrong\r\n", b"a NO"),
                                       (f"a LOGIN {ANNA} \"{PASSWORD}\"\r\nb SELECT INBOX\r\n", b"b OK"),
                                       (f"a LOGIN {ANNA} \"{PASSWORD}\"\r\nb SELECT INBOX\r\nc IDLE\r\n", b"+ ")])
def test_imap_without_logout_behind_close_notify(suite, context, said, last):
    got = say_all(connect(suite, "imaps_port"), context, HOSTNAME, said)
    assert last in got.split(b"\r\n")[-2][:4], got


@pytest.mark.parametrize("port,login,get,nothing,end", [
    ("imaps_port", f"a LOGIN {ANNA} \"{PASSWORD}\"\r\nb SELECT INBOX\r\n", "c FETCH 1:3 BODY.PEEK[]\r\n", "d NOOP\r\n", "z LOGOUT\r\n"),
    ("pop3s_port", f"USER {ANNA}\r\nPASS {PASSWORD}\r\n", "RETR 1\r\nRETR 2\r\nRETR 3\r\n", "NOOP\r\n", "QUIT\r\n")])
def test_much_both_ways_at_once(suite, context, port, login, get, nothing, end):
    """A session that is heard out takes the next command: more of those, and of its answers, than all that is on the way holds."""
    got = say_all(connect(suite, port), context, HOSTNAME, login + get * 50 + nothing * 60_000 + end)
    assert got.count(b"line of mail") == 1110 * 50


def test_more_than_a_session_takes(suite, context):
    """What it said when it went is heard, though it took no more of what was sent to it."""
    for _ in range(10):
        got = say_all(connect(suite, "imaps_port"), context, HOSTNAME,
                      f"a LOGIN {ANNA} \"{PASSWORD}\"\r\nb LOGOUT\r\n" + "c NOOP\r\n" * 110_000)
        assert got.count(b"\r\nb OK") == 1, got


@pytest.mark.parametrize("port", ["pop3s_port", "pop3_port"])
def test_pop3_is_answered_behind_close_notify(suite, context, port):
    s = connect(suite, port)
    if port == "pop3_port":
        s.recv(1000)
        assert say(s, b"STLS").startswith(b"+OK")
    got = say_all(s, context, HOSTNAME, f"USER {ANNA}\r\nPASS {PASSWORD}\r\nRETR 1\r\nRETR 2\r\nRETR 3\r\nQUIT\r\n")
    assert got.count(b"line of mail") == 1110 and got.endswith(b"\r\n") and got.split(b"\r\n")[-2].startswith(b"+OK"), got[-300:]


# ---- what is refused

@pytest.mark.parametrize("port,lines", [("imap_port", b"a STARTTLS\r\nb LOGIN anna@hermod.test \"correct horse\"\r\n"),
                                        ("pop3_port", b"STLS\r\nUSER anna@hermod.test\r\n")])
def test_octets_behind_starttls(suite, port, lines):
    """CVE-2011-0411: neither answered in clear nor kept for after the handshake."""
    s = greeted(getattr(suite, port))
    s.sendall(lines)
    got = rest(s)
    assert b"go ahead" not in got and b"b OK" not in got and b"password" not in got, got
    suite.wait_log("session ended: octets behind STARTTLS")


@pytest.mark.parametrize("port,line", [("imap_port", b"a STARTTLS"), ("pop3_port", b"STLS")])
def test_commands_instead_of_a_handshake(suite, port, line):
    s = greeted(getattr(suite, port))
    assert b"go ahead" in say(s, line)
    got = say(s, b"b CAPABILITY" if port == "imap_port" else b"CAPA")
    assert b"CAPA" not in got
    suite.wait_log("TLS handshake failed: ")


def test_login_is_forgotten(suite, context):
    """A name that was given before STLS is not known behind it: RFC 2595 section 4."""
    s = greeted(suite.pop3_port)
    assert say(s, b"USER " + ANNA.encode()).startswith(b"+OK")
    assert say(s, b"STLS").startswith(b"+OK")
    t = context.wrap_socket(s, server_hostname=HOSTNAME)
    assert say(t, b"PASS " + PASSWORD.encode()).startswith(b"-ERR say USER first")


@pytest.mark.parametrize("port,alpn,good", [("imaps_port", "imap", True), ("imaps_port", "pop3", False), ("imaps_port", "h2", False),
                                            ("pop3s_port", "pop3", True), ("pop3s_port", "imap", False), ("imaps_port", None, True)])
def test_alpn(suite, ca, port, alpn, good):
    context = ssl.create_default_context(cafile=ca.file)
    if alpn:
        context.set_alpn_protocols([alpn])
    s = socket.create_connection((suite.host, getattr(suite, port)), timeout=10 * patience())
    if not good:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(s, server_hostname=HOSTNAME)
        return
    t = context.wrap_socket(s, server_hostname=HOSTNAME)
    assert t.selected_alpn_protocol() == alpn and b"OK" in t.recv(1000)
    t.close()


def test_no_tls_without_certificates(make_suite):
    suite = make_suite()
    c = suite.imap()
    assert "STARTTLS" not in c.capabilities
    c.no("STARTTLS", state="BAD")
    assert b"STLS" not in say(greeted(suite.pop3_port), b"CAPA")
    with pytest.raises(OSError):
        greeted(suite.imaps_port)


def test_slow_handshake(make_suite, ca):
    suite = make_suite(tls_certificates=[ca.of_suite()], tls_handshake_timeout="1s")
    s = socket.create_connection((suite.host, suite.imaps_port), timeout=20 * patience())
    assert s.recv(100) == b""
    suite.wait_log("TLS handshake failed: it took too long")


def test_limits(make_suite, ca, context):
    """Of one address; and all places taken by sessions, which stay."""
    suite = make_suite(tls_certificates=[ca.of_suite()], tls_client_sessions=3)
    held = [imaps(suite, context) for _ in range(3)]
    s = socket.create_connection((suite.host, suite.imaps_port), timeout=10 * patience())
    assert s.recv(100) == b""
    held[0].logout()
    wait_for(lambda: tries(lambda: imaps(suite, context)), 20 * patience())
    suite = make_suite(tls_certificates=[ca.of_suite()], tls_sessions=4, tls_client_sessions=0)
    held = [imaps(suite, context) for _ in range(4)]
    s = socket.create_connection((suite.host, suite.imaps_port), timeout=10 * patience())
    assert s.recv(100) == b""
    for c in held:
        c.ok("NOOP")


def tries(what):
    try:
        return what()
    except (OSError, EOFError, imap.Broken, AssertionError):
        return None


# ---- what happens meanwhile

def test_reload(make_suite, ca, context):
    """Sessions over TLS outlive it, in the old tls and the old become; new ones are with the new."""
    suite = make_suite(tls_certificates=[ca.of_suite()])
    c = imaps(suite, context)
    c.login(ANNA, PASSWORD)
    c.ok("SELECT INBOX")
    before = suite.pids("tls")
    suite.reload()
    c.ok("NOOP")
    assert len(suite.pids("tls")) == 2
    d = starttls(suite, context)
    d.login(ANNA, PASSWORD)
    d.logout()
    c.logout()
    wait_for(lambda: not set(before) & set(suite.pids("tls")), 20 * patience(), why=lambda: f"{before} and {suite.pids('tls')}")


def test_stop(make_suite, ca, context):
    """Each hears of it, before and behind its login, and sees an end in order."""
    suite = make_suite(tls_certificates=[ca.of_suite()])
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    both = []
    for user in (None, ANNA):
        s = context.wrap_socket(connect(suite, "imaps_port"), server_hostname=HOSTNAME, suppress_ragged_eofs=False)
        both.append(imap.Client(sock=s))
        if user:
            both[-1].login(user, PASSWORD)
            both[-1].ok("SELECT INBOX")
    suite.stop()
    for c in both:
        assert b"* BYE" in bytes(c.buffer) + rest(c.s)


@pytest.mark.parametrize("service", ["tls", "imap-login"])
def test_dies(make_suite, ca, context, service):
    suite = make_suite(tls_certificates=[ca.of_suite()])
    suite.crash_allowed = True
    open_before = imaps(suite, context)
    open_before.login(ANNA, PASSWORD)
    open_before.ok("SELECT INBOX")
    waiting = imaps(suite, context)
    suite.kill(service)
    if service == "imap-login":
        open_before.ok("NOOP")
    else:
        with pytest.raises((OSError, EOFError, imap.Broken, AssertionError)):
            open_before.ok("NOOP")
    with pytest.raises((OSError, EOFError, imap.Broken, AssertionError)):
        waiting.ok("NOOP")
    wait_for(lambda: tries(lambda: imaps(suite, context).login(ANNA, PASSWORD) or True), 20 * patience(), step=0.2)
    wait_for(lambda: len(suite.pids("imapd")) <= 2, 20 * patience())


def test_session_dies(make_suite, ca, context):
    """The client sees the end; nothing stays in tls."""
    suite = make_suite(tls_certificates=[ca.of_suite()])
    suite.crash_allowed = True

    def descriptors():
        return sum(len(os.listdir(f"/proc/{p}/fd")) for p in suite.pids("tls"))
    before = descriptors()
    c = imaps(suite, context)
    c.login(ANNA, PASSWORD)
    wait_for(lambda: suite.pids("imapd"), 5 * patience())
    suite.kill("imapd")
    c.s.settimeout(20 * patience())
    while c.s.recv(1000):
        pass
    c.s.close()
    wait_for(lambda: descriptors() <= before, 20 * patience(), why=lambda: f"{descriptors()}, {before} before")


def test_clients_vanish(make_suite, ca, context):
    """At any time, many of them: no session stays, no descriptor, and the service goes on."""
    suite = make_suite(tls_certificates=[ca.of_suite()])

    def descriptors():
        return sum(len(os.listdir(f"/proc/{p}/fd")) for s in ("tls", "imap-login") for p in suite.pids(s))
    imaps(suite, context).logout()
    time.sleep(0.5)
    before = descriptors()
    for i in range(60):
        c = imaps(suite, context) if i % 2 else starttls(suite, context)
        if i % 3:
            c.login(ANNA, PASSWORD)
        if i % 5 == 0:
            c.s.sendall(b"x APPEND INBOX {100000}\r\n")
        if i % 4 < 2:
            c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        os.close(c.s.detach())
    wait_for(lambda: descriptors() <= before and not suite.pids("imapd"), 30 * patience(),
             why=lambda: f"{descriptors()} descriptors, {before} before; sessions {suite.pids('imapd')}")


@pytest.mark.plain
def test_memory(make_suite, ca, context):
    """An idle connection over TLS before its login costs less than 60 KB in tls and login together."""
    suite = make_suite(tls_certificates=[ca.of_suite()], tls_client_sessions=0, login_client_sessions=0, tls_client_rate=0,
                       login_client_rate=0)

    def memory():
        out = 0
        for service in ("tls", "imap-login"):
            for pid in suite.pids(service):
                out += int(re.search(r"^Private_Dirty:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1])
        return out
    first = [imaps(suite, context) for _ in range(20)]
    before = memory()
    n = 300
    held = [imaps(suite, context) for _ in range(n)]
    each = (memory() - before) / n
    assert each < 60, f"{each:.1f} KB"
    for c in first + held:
        c.s.close()


# ---- real clients

def run(*args, **how):
    r = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * patience(), **how)
    assert r.returncode == 0, r.stdout
    return r.stdout


def test_curl(suite, ca):
    for url in (f"imaps://localhost:{suite.imaps_port}/INBOX;MAILINDEX=1", f"imap://localhost:{suite.imap_port}/INBOX;MAILINDEX=1",
                f"pop3s://localhost:{suite.pop3s_port}/1", f"pop3://localhost:{suite.pop3_port}/1"):
        assert "line of mail" in run("curl", "-sS", "--ssl-reqd", "--cacert", ca.file, "--user", f"{ANNA}:{PASSWORD}", url)


def test_python(suite, context):
    for c in (imaplib.IMAP4_SSL("localhost", suite.imaps_port, ssl_context=context), imaplib.IMAP4("localhost", suite.imap_port)):
        if not isinstance(c, imaplib.IMAP4_SSL):
            c.starttls(context)
        c.login(ANNA, PASSWORD)
        assert c.select("INBOX")[1] == [b"3"]
        c.logout()


@pytest.mark.parametrize("protocol,port", [("imap", "imap_port"), ("pop3", "pop3_port")])
def test_s_client(suite, ca, protocol, port):
    out = run("openssl", "s_client", "-connect", f"127.0.0.1:{getattr(suite, port)}", "-starttls", protocol, "-CAfile", ca.file,
              "-verify_return_error", "-verify_hostname", HOSTNAME, stdin=subprocess.DEVNULL)
    assert "Verify return code: 0 (ok)" in out


def test_isync(suite, ca, tmp_path):
    for name, how, port in (("a", "SSLType IMAPS", suite.imaps_port), ("b", "SSLType STARTTLS", suite.imap_port)):
        box = tmp_path / name
        box.mkdir()
        rc = tmp_path / f"rc-{name}"
        rc.write_text(f"IMAPAccount x\nHost localhost\nPort {port}\nUser {ANNA}\nPass \"{PASSWORD}\"\n{how}\nCertificateFile {ca.file}\n"
                      f"SystemCertificates no\n\nIMAPStore far\nAccount x\n\nMaildirStore near\nInbox {box}/INBOX\n\n"
                      "Channel c\nFar :far:INBOX\nNear :near:INBOX\nCreate Near\nSyncState *\n")
        run("mbsync", "-c", str(rc), "c")
        assert len(os.listdir(box / "INBOX" / "new")) + len(os.listdir(box / "INBOX" / "cur")) == 3


def test_fetchmail(suite, ca, tmp_path):
    for protocol, port, how in (("imap", suite.imaps_port, "ssl"), ("pop3", suite.pop3s_port, "ssl"), ("imap", suite.imap_port, "sslproto 'tls1.2+'"),
                                ("pop3", suite.pop3_port, "sslproto 'tls1.2+'")):
        rc = tmp_path / "fetchmailrc"
        rc.write_text(f"poll localhost proto {protocol} port {port} user '{ANNA}' password '{PASSWORD}' {how} sslcertck sslcertfile {ca.file} "
                      f"keep fetchall mda 'cat >> {tmp_path}/got'\n")
        rc.chmod(0o600)
        run("fetchmail", "-f", str(rc), "--nosyslog", "-i", str(tmp_path / "ids"), "--pidfile", str(tmp_path / "pid"),
            env={**os.environ, "HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)})
    assert (tmp_path / "got").read_text().count("Subject: mail 1") == 4


# ---- failures on order

CALLS = {"calloc": ["ENOMEM"], "realloc": ["ENOMEM"], "send": ["ECONNRESET", "EAGAIN", "ENOBUFS"], "recv": ["ECONNRESET", "EAGAIN", "EINTR"],
         "close": ["EIO"], "pread": ["EIO"]}
NTH = {"calloc": [20, 60, 150, 400, 1000], "realloc": [5, 20, 60, 150, 400], "pread": [1]}


@pytest.mark.faults
@pytest.mark.parametrize("call", CALLS)
def test_nth_failure(make_suite, ca, context, call):
    """The Nth call of a kind fails in each process on the way: a session may end, none stays, none hears what is another's, and then it
    works again."""
    for i, nth in enumerate(NTH.get(call, [1, 2, 4, 7, 12, 30])):
        error = CALLS[call][i % len(CALLS[call])]
        suite = make_suite(tls_certificates=[ca.of_suite()], start=False, start_timeout=f"{4 * patience()}s")
        suite.crash_allowed = True
        suite.env = {"HERMOD_FAULT": ",".join(f"{p}:{call}:~{nth}:{error}" for p in ("tls", "keys", "imap-login", "submission"))}
        if suite.hermod("start", check=False).returncode != 0:
            # a certificate that cannot be read, or no memory before it serves: nothing starts, and it says why
            assert call in ("pread", "calloc", "realloc"), suite.log()
            suite.wait_log("cannot be read" if call == "pread" else "is given up")
            continue
        for how in (imaps, starttls) * 4:
            c = tries(lambda: how(suite, context))
            if c:
                tries(lambda: c.login(ANNA, PASSWORD))
                tries(lambda: c.ok("SELECT INBOX"))
                tries(lambda: c.ok("NOOP"))
                tries(c.logout)
                c.s.close()

        def works():
            c = imaps(suite, context)
            c.login(ANNA, PASSWORD)
            c.ok("SELECT INBOX")
            c.logout()
            return True
        wait_for(lambda: not suite.pids("imapd"), 20 * patience(), why=lambda: f"sessions {suite.pids('imapd')}")
        if call in ("calloc", "realloc"):       # the next process of that kind comes no further
            suite.stop()
            suite.env = {}
            suite.start()
        wait_for(lambda: tries(works), 20 * patience(), step=0.2)
        suite.end()
