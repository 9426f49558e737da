# SPDX-License-Identifier: ISC
"""SASL mechanisms over all protocols: SCRAM, with channel binding and without; CRAM-MD5; what is offered where, and to whom."""
import contextlib
import hashlib
import imaplib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.scram import Line, Scram
from hermodtest.suite import HOSTNAME, PASSWORD, TLS_FACTS, Suite, patience

ANNA = "anna@hermod.test"
PROTOCOLS = ("smtp", "imap", "pop3")
SCRAMS = ["SCRAM-SHA-256", "SCRAM-SHA-1"]
ALL = [s + "-PLUS" for s in SCRAMS] + SCRAMS + ["PLAIN", "LOGIN"]


@pytest.fixture(scope="module")
def suite(ca):
    s = Suite({"tls_certificates": [ca.of_suite()], "auth_mechanisms": ALL, "login_failures": "50"})
    yield s
    s.end()


def port_of(suite, protocol, tls):
    return {"smtp": (suite.submission_port, suite.submissions_port), "imap": (suite.imap_port, suite.imaps_port),
            "pop3": (suite.pop3_port, suite.pop3s_port)}[protocol][tls]


def context_of(ca, version=None):
    context = ssl.create_default_context(cafile=ca.file)
    if version:
        context.maximum_version = version
    return context


@contextlib.contextmanager
def line(suite, ca, protocol, tls=True, version=None, context=None, session=None):
    s = socket.create_connection((suite.host, port_of(suite, protocol, tls)), timeout=30 * patience())
    if tls:
        s = (context or context_of(ca, version)).wrap_socket(s, server_hostname=HOSTNAME, session=session)
    c = Line(protocol, s)
    try:
        yield c
    finally:
        c.close()


def end_point(c):
    """RFC 5929 section 4; the certificates of these tests are signed with SHA-256."""
    return hashlib.sha256(c.socket.getpeercert(binary_form=True)).digest()


# ---- what is offered ----

@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_offered(suite, ca, protocol):
    with line(suite, ca, protocol) as c:
        assert c.offered() == ALL
    with line(suite, ca, protocol, tls=False) as c:		# loopback
        assert c.offered() == ALL[2:]


@pytest.mark.parametrize("settings, want", [
    ({"auth_mechanisms": ["SCRAM-SHA-256"]}, ["SCRAM-SHA-256"]),
    ({"system_accounts": False}, ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"]),
    ({"auth_mechanisms": ["PLAIN"]}, ["PLAIN"]),
    ({"auth_mechanisms": ["PLAIN", "CRAM-MD5"], "allow_plain_passwords": True}, ["CRAM-MD5", "PLAIN"]),
    ({"system_accounts": True}, ["PLAIN", "LOGIN"]),
])
def test_settings(make_suite, ca, settings, want):
    suite = make_suite(tls_certificates=[ca.of_suite()], **settings)
    for protocol in PROTOCOLS:
        with line(suite, ca, protocol) as c:
            assert c.offered() == want
            for other in set(ALL) - set(want):
                with line(suite, ca, protocol) as again:
                    said = again.begin(other)
                    assert isinstance(said, str) and re.search("not (offered|served)", said), (other, said)
    if "PLAIN" in want:
        return
    with line(suite, ca, "imap") as c:
        c.offered()
        assert "LOGINDISABLED" in c.capabilities
        c.write(f'a LOGIN "{ANNA}" "{PASSWORD}"')
        assert c.read().startswith(b"a NO [CANNOT]")
        c.write(f'a LOGIN "{ANNA}" {{4}}')
        assert c.read().startswith(b"a NO [CANNOT]")
    with line(suite, ca, "pop3") as c:
        c.offered()
        assert "USER" not in c.capabilities
        for command in (f"USER {ANNA}", f"PASS {PASSWORD}"):
            c.write(command)
            assert c.read().startswith(b"-ERR [AUTH]")


def test_unknown_mechanism_in_the_settings(make_suite, tmp_path):
    suite = make_suite(start=False, users=())
    suite.write_conf(auth_mechanisms=["PLAIN", "CRAM-MD5"])
    r = suite.hermod("check", check=False)
    assert r.returncode == 78 and "CRAM-MD5 would let nobody in; right would be allow_plain_passwords" in r.stdout + r.stderr
    (tmp_path / "sasldb2").write_bytes(b"")
    suite.write_conf(auth_mechanisms=["PLAIN", "CRAM-MD5"], sasldb_file=tmp_path / "sasldb2")
    assert "would let nobody in" not in suite.hermod("check", check=False).stdout       # it holds the passwords themselves
    suite.write_conf(auth_mechanisms=["NTLM"])
    r = suite.hermod("check", check=False)
    assert r.returncode == 78 and "auth_mechanisms" in r.stdout and "right would be EXTERNAL, GSSAPI, SCRAM-SHA-256" in r.stdout


# ---- SCRAM ----

@pytest.mark.parametrize("later", [False, True], ids=["initial", "later"])
@pytest.mark.parametrize("mechanism", SCRAMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scram(suite, ca, protocol, mechanism, later):
    for tls in (True, False):
        with line(suite, ca, protocol, tls) as c:
            assert c.scram(mechanism, Scram(mechanism, ANNA, PASSWORD), later) is True
        suite.wait_log(rf"protocol={protocol} user={ANNA} client=127.0.0.1 mechanism={mechanism} {TLS_FACTS + ' ' if tls else ''}result=ok$")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("mechanism", SCRAMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bound(suite, ca, protocol, mechanism, version):
    with line(suite, ca, protocol, version=version) as c:
        client = Scram(mechanism, ANNA, PASSWORD, "p=tls-server-end-point", end_point(c))
        assert c.scram(mechanism + "-PLUS", client) is True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_bound_when_resumed(make_suite, ca, version):
    """To the certificate that the session began with, whichever the host has beside it, or by now (RFC 5929 section 4)."""
    def items():
        return [ca.issue(HOSTNAME, "localhost", "127.0.0.1", kind=kind).item for kind in ("ec", "rsa")]
    suite = make_suite(tls_certificates=items(), auth_mechanisms=ALL)
    context, sessions = context_of(ca, version), dict.fromkeys(PROTOCOLS)
    for changes in (None, None, items, lambda: items()[::-1], None):
        if changes:
            suite.write_conf(tls_certificates=changes())
            suite.reload()
        for protocol, session in sessions.items():
            with line(suite, ca, protocol, context=context, session=session) as c:
                assert c.socket.session_reused == (session is not None)
                client = Scram("SCRAM-SHA-256", ANNA, PASSWORD, "p=tls-server-end-point", end_point(c))
                assert c.scram("SCRAM-SHA-256-PLUS", client) is True, (protocol, session)
                sessions[protocol] = c.socket.session



def exported(command):
    """openssl s_client, a connection of its own, and the octets that its channel exports; what it says behind them."""
    p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    said = b""
    while b"Keying material: " not in said or not said.endswith(b"\n"):
        got = p.stdout.readline()
        assert got, said
        said += got
    return p, bytes.fromhex(re.search(rb"Keying material: ([0-9A-F]+)", said)[1].decode())


class Piped:
    """As a socket, for Line."""

    def __init__(self, process):
        self.process = process

    def makefile(self, mode):
        return self

    def sendall(self, octets):
        self.process.stdin.write(octets)

    def readline(self):
        while True:
            got = self.process.stdout.readline()
            assert got
            if re.match(rb"\* |[a-c] |\+", got):
                return got

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("right", [True, False])
def test_exporter(suite, ca, right):
    p, octets = exported(["openssl", "s_client", "-connect", f"localhost:{suite.imaps_port}", "-CAfile", ca.file, "-servername", HOSTNAME,
                          "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32", "-nocommands", "-tls1_3"])
    assert len(octets) == 32
    c = Line("imap", Piped(p), greets=False)
    try:
        client = Scram("SCRAM-SHA-256", ANNA, PASSWORD, "p=tls-exporter", octets if right else bytes(32))
        assert (c.scram("SCRAM-SHA-256-PLUS", client) is True) == right
    finally:
        c.close()


def test_could_bind_where_none_is_offered(make_suite, ca):
    """A client that could is right to say so."""
    suite = make_suite(tls_certificates=[ca.of_suite()])
    with line(suite, ca, "imap") as c:
        assert c.offered() == ALL[2:]
        assert c.scram(SCRAMS[0], Scram(SCRAMS[0], ANNA, PASSWORD, "y")) is True


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_wrong(suite, ca, protocol):
    """The same words for all of it, and the next try goes on in the same session."""
    name, plus = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
    words = set()
    with line(suite, ca, protocol) as c, line(suite, ca, protocol) as other:
        bound = end_point(c)
        for mechanism, client in [
                (name, Scram(name, ANNA, "wrong")),
                (name, Scram(name, ANNA, PASSWORD, "y")),			# somebody took -PLUS off the list
                (name, Scram(name, ANNA, PASSWORD, authzid="bert@hermod.test")),
                (name, Scram(name, "nobody@hermod.test", PASSWORD)),
                (name, Scram(name, "anna", PASSWORD)),
                (plus, Scram(name, ANNA, PASSWORD)),
                (plus, Scram(name, ANNA, PASSWORD, "p=tls-server-end-point", bytes(32))),
                (plus, Scram(name, ANNA, PASSWORD, "p=tls-exporter", bound)),
                (plus, Scram(name, ANNA, PASSWORD, "p=tls-unique", bound)),
                (name, Scram(name, ANNA, PASSWORD, "p=tls-server-end-point", bound))]:
            said = c.scram(mechanism, client)
            assert isinstance(said, str), client.gs2
            words.add(said)
        assert len(words) == 1, words
        assert c.scram(plus, Scram(name, ANNA, PASSWORD, "p=tls-server-end-point", bound)) is True
        assert other.scram(name, Scram(name, "bert@hermod.test", PASSWORD)) is True


def salt(c, mechanism, user):
    said = c.begin(mechanism, Scram(mechanism, user, "").first())
    c.write("*")
    assert isinstance(c.said(), str)
    return dict(part.split("=", 1) for part in said.decode().split(","))["s"], said.split(b",i=")[1]


def test_a_name_that_nobody_has(make_suite, ca):
    """Its salt is as anybody's: another than others', and the same again, also after a restart and from another worker."""
    suite = make_suite(tls_certificates=[ca.of_suite()], login_failures="50", auth_workers="2", scram_iterations="5000")
    suite.add_account("carl")
    suite.hermod("account", "disable", "carl@hermod.test")
    users = [ANNA, "nobody@hermod.test", "other@hermod.test", "carl@hermod.test", "root"]
    seen = []
    for again in range(2):
        for _ in range(4):
            with line(suite, ca, "imap") as c:
                seen.append([salt(c, m, u) for m in SCRAMS for u in users])
                assert salt(c, SCRAMS[0], "NoBody@HERMOD.test") == seen[0][1]
        if not again:
            suite.restart()
    assert all(s == seen[0] for s in seen)
    assert len({s for s, _ in seen[0]}) == len(seen[0]) and {i for _, i in seen[0]} == {b"5000"}
    assert len({len(s) for s, _ in seen[0]}) == 1


def test_secret_that_is_damaged(make_suite, ca):
    suite = make_suite(tls_certificates=[ca.of_suite()], start=False)
    suite.start()
    path = os.path.join(suite.dir, "auth", "scram.secret")
    wait_for(lambda: os.path.exists(path), 10 * patience())
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.stat(path).st_size == 32
    suite.stop()
    with open(path, "wb") as f:
        f.write(b"short")
    suite.start()
    suite.wait_log("auth_directory/scram.secret: cannot be read or made.*names without an account")
    with line(suite, ca, "imap") as c:
        assert c.scram(SCRAMS[0], Scram(SCRAMS[0], ANNA, PASSWORD)) is True


def test_no_keys(make_suite, ca):
    """A password that is not ASCII has none: PLAIN lets it in, SCRAM does not."""
    suite = make_suite(tls_certificates=[ca.of_suite()])
    suite.hermod("account", "password", ANNA, "--password-stdin", input="pässwörd\n")
    time.sleep(1.2)
    with line(suite, ca, "imap") as c:
        assert isinstance(c.scram(SCRAMS[0], Scram(SCRAMS[0], ANNA, "pässwörd")), str)
        assert c.begin("PLAIN", f"\0{ANNA}\0pässwörd".encode()) is True


@pytest.mark.parametrize("service, words", [("auth", "not possible|again")])
def test_killed_between_steps(make_suite, ca, service, words):
    suite = make_suite(tls_certificates=[ca.of_suite()])
    with line(suite, ca, "imap") as c:
        client = Scram(SCRAMS[0], ANNA, PASSWORD)
        challenge = c.begin(SCRAMS[0], client.first())
        suite.kill(service, signal.SIGKILL)
        said = c.respond(client.last(challenge))
        assert re.search(words, said) and "UNAVAILABLE" in said
        wait_for(lambda: c.scram(SCRAMS[0], Scram(SCRAMS[0], ANNA, PASSWORD)) is True, 20 * patience(), step=0.2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_client_leaves_between_steps(suite, ca, protocol):
    """auth does not wait for it any more."""
    with line(suite, ca, protocol) as c:
        c.offered()
        assert isinstance(c.begin("SCRAM-SHA-256", Scram(SCRAMS[0], ANNA, PASSWORD).first()), bytes)
    suite.wait_log(rf"protocol={protocol} user={ANNA} client=127.0.0.1 mechanism=SCRAM-SHA-256 {TLS_FACTS} result=cancelled$")


# ---- CRAM-MD5 ----

def test_cram_md5(make_suite, ca):
    suite = make_suite(start=False)
    suite.use_accounts({ANNA: f"password={{PLAIN}}{PASSWORD}"}, tls_certificates=[ca.of_suite()],
                       auth_mechanisms=["CRAM-MD5", "SCRAM-SHA-256"], allow_plain_passwords=True)
    suite.start()
    context = ssl.create_default_context(cafile=ca.file)
    for password, good in ((PASSWORD, True), ("wrong", False), (PASSWORD, True)):
        c = imaplib.IMAP4_SSL("localhost", suite.imaps_port, ssl_context=context)
        if good:
            c.login_cram_md5(ANNA, password)
            c.logout()
        else:
            with pytest.raises(imaplib.IMAP4.error):
                c.login_cram_md5(ANNA, password)
            c.shutdown()
        with line(suite, ca, "imap") as c:      # and the keys of SCRAM are made from it
            assert (c.scram("SCRAM-SHA-256", Scram("SCRAM-SHA-256", ANNA, password)) is True) == good


# ---- real clients ----

def run(*args, **how):
    if not shutil.which(args[0]):
        pytest.skip(f"{args[0]} is not installed")
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * patience(), **how)


@pytest.mark.parametrize("mechanism", ALL)
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_gsasl(suite, ca, protocol, mechanism):
    for password, good in ((PASSWORD, True), ("wrong", False)):
        r = run("gsasl", f"--{protocol}", "--mechanism", mechanism, f"--authentication-id={ANNA}", f"--password={password}",
                f"--x509-ca-file={ca.file}", "--connect", f"localhost:{port_of(suite, protocol, False)}", "--verbose",
                *([] if mechanism.endswith("-PLUS") else ["--no-cb"]), input="")
        assert (r.returncode == 0) == good, r.stdout


@pytest.mark.parametrize("mechanism", ["scram-sha-256", "scram-sha-1"])
def test_msmtp(suite, ca, mechanism):
    for password, good in ((PASSWORD, True), ("wrong", False)):
        r = run("msmtp", "--host=localhost", f"--port={suite.submissions_port}", "--tls=on", "--tls-starttls=off", f"--tls-trust-file={ca.file}",
                f"--auth={mechanism}", f"--user={ANNA}", f"--passwordeval=echo {password}", f"--from={ANNA}", ANNA,
                input="Subject: x\n\nHello.\n")
        assert (r.returncode == 0) == good, r.stdout


@pytest.mark.parametrize("mechanism", ["scram-sha-256", "scram-sha-1"])
def test_mpop(suite, ca, tmp_path, mechanism):
    for password, good in ((PASSWORD, True), ("wrong", False)):
        r = run("mpop", "--host=localhost", f"--port={suite.pop3s_port}", "--tls=on", "--tls-starttls=off", f"--tls-trust-file={ca.file}",
                f"--auth={mechanism}", f"--user={ANNA}", f"--passwordeval=echo {password}", f"--uidls-file={tmp_path}/uidls",
                f"--delivery=mbox,{tmp_path}/mbox", "--auth-only")
        assert (r.returncode == 0) == good, r.stdout
