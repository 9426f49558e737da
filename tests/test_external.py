# SPDX-License-Identifier: ISC
"""Logins by the client's certificate (SASL EXTERNAL, RFC 4422 appendix A) over each protocol: which certificates count, for whom,
and what becomes of them when a session is resumed."""
import contextlib
import hashlib
import hmac
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import time

import pytest

from hermodtest.alone import Alone
from hermodtest.certificates import Authority
from hermodtest.proc import wait_for
from hermodtest.scram import Line
from hermodtest.suite import HOSTNAME, PASSWORD, TLS_FACTS, Suite, patience
from hermodtest.wire import greeted, rest

ANNA, BERT = "anna@hermod.test", "bert@hermod.test"
PROTOCOLS = ("smtp", "imap", "pop3")
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def clients():
    """The authority of clients' certificates."""
    authority = Authority(name="Clients")
    yield authority
    authority.close()


def settings(ca, clients, **more):
    return {"tls_certificates": [ca.of_suite()], "tls_client_ca_file": clients.file, "auth_mechanisms": ["EXTERNAL", "PLAIN"],
            "login_failures": "50", **more}


@pytest.fixture(scope="module")
def suite(ca, clients):
    s = Suite(settings(ca, clients))
    yield s
    s.end()


@pytest.fixture(scope="module")
def of_anna(clients):
    return clients.client(ANNA)


def port_of(suite, protocol, tls=True):
    return {"smtp": (suite.submission_port, suite.submissions_port), "imap": (suite.imap_port, suite.imaps_port),
            "pop3": (suite.pop3_port, suite.pop3s_port)}[protocol][tls]


def context_of(ca, certificate=None, version=None):
    context = ssl.create_default_context(cafile=ca.file)
    if version:
        context.maximum_version = version
    if certificate:
        context.load_cert_chain(certificate.chain, certificate.key)
    return context


@contextlib.contextmanager
def line(suite, context, protocol="imap", session=None):
    s = socket.create_connection((suite.host, port_of(suite, protocol)), timeout=30 * patience())
    c = Line(protocol, context.wrap_socket(s, server_hostname=HOSTNAME, session=session))
    try:
        yield c
    finally:
        c.close()


def logged_in(suite, ca, certificate, identity=b"", protocol="imap"):
    """True, or the words of a refusal."""
    with line(suite, context_of(ca, certificate), protocol) as c:
        return c.begin("EXTERNAL", identity)


# ---- who is offered it, and gets in ----

@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_offered(suite, ca, of_anna, protocol):
    with line(suite, context_of(ca, of_anna), protocol) as c:
        assert c.offered() == ["EXTERNAL", "PLAIN"]
    with line(suite, context_of(ca), protocol) as c:
        assert c.offered() == ["PLAIN"]
        said = c.begin("EXTERNAL", b"")
        assert isinstance(said, str) and re.search("not (offered|served)", said), said
    s = socket.create_connection((suite.host, port_of(suite, protocol, tls=False)), timeout=30 * patience())
    c = Line(protocol, s)
    assert c.offered() == ["PLAIN"]
    c.close()


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
@pytest.mark.parametrize("later", [False, True], ids=["initial", "later"])
@pytest.mark.parametrize("identity", ["", ANNA, "Anna@HERMOD.test"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_login(suite, ca, of_anna, protocol, identity, later, version):
    with line(suite, context_of(ca, of_anna, version), protocol) as c:
        said = c.begin("EXTERNAL", None if later else identity.encode())
        if later:
            assert said == b"", said
            said = c.respond(identity.encode()) if identity else empty_response(c)
        assert said is True
        if protocol == "imap":
            c.write("b STATUS INBOX (MESSAGES)")
            assert c.read().startswith(b'* STATUS "INBOX"')
    suite.wait_log(rf"user={ANNA} client=127.0.0.1 mechanism=EXTERNAL {TLS_FACTS} result=ok")


def empty_response(c):
    c.write("")
    return c.said()


def test_starttls(suite, ca, of_anna):
    """Behind STARTTLS, too; and a mail that is sent then is anna's."""
    s = greeted(suite.submission_port)
    c = Line("smtp", s, greets=False)
    c.write("STARTTLS")
    assert c.read().startswith(b"220 ")
    c = Line("smtp", context_of(ca, of_anna).wrap_socket(s, server_hostname=HOSTNAME), greets=False)
    assert c.begin("EXTERNAL", b"") is True
    for command, code in ((f"MAIL FROM:<{BERT}>", b"553"), (f"MAIL FROM:<{ANNA}>", b"250"), (f"RCPT TO:<{BERT}>", b"250"), ("DATA", b"354"),
                          ("Subject: x\r\n\r\nHello.\r\n.", b"250")):
        c.write(command)
        assert c.read().startswith(code), command
    c.close()
    suite.wait_log(rf"from=<{ANNA}> .* account={ANNA}")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_not_his(suite, ca, of_anna, protocol):
    """The same words for all; the next try goes on; and a password still lets him in."""
    words = set()
    with line(suite, context_of(ca, of_anna), protocol) as c:
        for identity in (BERT, "nobody@hermod.test", "anna", f"{ANNA}\0", f"{ANNA} ", f"{ANNA}\0{BERT}", "a" * 150, ANNA + ".example"):
            said = c.begin("EXTERNAL", identity.encode())
            assert isinstance(said, str), identity
            words.add(said)
        assert len(words) == 1 and "wrong user name or password" in words.pop()
        assert c.begin("EXTERNAL", ANNA.encode()) is True
    with line(suite, context_of(ca, of_anna), protocol) as c:
        assert c.begin("PLAIN", f"\0{BERT}\0{PASSWORD}".encode()) is True
    suite.wait_log(rf"user={BERT} client=127.0.0.1 mechanism=EXTERNAL {TLS_FACTS} result=failed")


def test_several_addresses(suite, ca, clients):
    both, one = clients.client(ANNA, BERT), clients.client("alias@hermod.test", "DNS:x.example", BERT)
    assert isinstance(logged_in(suite, ca, both), str)
    assert logged_in(suite, ca, both, BERT.encode()) is True
    assert logged_in(suite, ca, one) is True
    suite.wait_log(rf"user={BERT} client=127.0.0.1 mechanism=EXTERNAL {TLS_FACTS} result=ok")
    assert isinstance(logged_in(suite, ca, one, b"alias@hermod.test"), str)
    assert logged_in(suite, ca, clients.client(*[f"x{i}@hermod.test" for i in range(7)], ANNA)) is True


def test_account(make_suite, ca, clients):
    """One that is disabled, or gone; failures count as wrong passwords do, and so many end the session."""
    suite = make_suite(**settings(ca, clients, login_failures="3"))
    suite.hermod("account", "disable", ANNA)
    time.sleep(1.2)
    gone = clients.client("gone@hermod.test")
    with line(suite, context_of(ca, clients.client(ANNA))) as c:
        for _ in range(3):
            assert isinstance(c.begin("EXTERNAL", b""), str)
        assert b"too many wrong passwords" in rest(c.socket) or c.read() is not None
    assert isinstance(logged_in(suite, ca, gone), str)
    seen = {row["name"]: row["failures"] for row in suite.hermod_json("auth", "list")}
    assert seen == {ANNA: 3, "gone@hermod.test": 1, "127.0.0.1": 4}
    suite.hermod("account", "enable", ANNA)
    wait_for(lambda: logged_in(suite, ca, clients.client(ANNA)) is True, 20 * patience(), step=0.3)


def test_no_password_at_all(make_suite, ca, clients, of_anna):
    """EXTERNAL alone: who shows no certificate is offered nothing, in a reply that is well formed."""
    suite = make_suite(**settings(ca, clients, auth_mechanisms=["EXTERNAL"]))
    for protocol in PROTOCOLS:
        with line(suite, context_of(ca), protocol) as c:
            assert c.offered() == []
            assert protocol == "imap" or not any(re.match(r"(SASL|AUTH|USER)( |$)", x.removeprefix("250-")) for x in c.capabilities), c.capabilities
        assert logged_in(suite, ca, of_anna, b"", protocol) is True


# ---- which certificates count ----

def bad(name, clients):
    if name == "of another CA":
        other = Authority(os.path.join(clients.folder, "other"), name="Clients")
        return other.client(ANNA)
    if name == "below a CA that is limited":
        below = clients.client(authority=True, extensions=["basicConstraints=critical,CA:TRUE", "nameConstraints=critical,permitted;email:other.test"])
        return below.client(ANNA)
    if name == "below no CA":
        below = clients.client("leaf@hermod.test", authority=True, extensions=["basicConstraints=critical,CA:FALSE"])
        return below.client(ANNA)
    return {"expired": lambda: clients.client(ANNA, expired=True), "signed by itself": lambda: clients.client(ANNA, self_signed=True),
            "of a server": lambda: clients.client(ANNA, extensions=["extendedKeyUsage=serverAuth"]),
            "without an address": lambda: clients.client(), "of a host": lambda: clients.client("DNS:hermod.test"),
            "with nine": lambda: clients.client(*[f"{x}@hermod.test" for x in "abcdefgh"], ANNA)}[name]()


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
@pytest.mark.parametrize("name, why", [
    ("expired", "has expired"), ("signed by itself", "self-signed certificate|unable to get|certificate signature|unable to verify"),
    ("of another CA", "unable to get local issuer|signature failure|self-signed certificate"),
    ("of a server", "purpose"), ("without an address", "names no address"), ("of a host", "names no address"),
    ("with nine", "more than 8"), ("below a CA that is limited", "permitted subtree violation"), ("below no CA", "invalid CA|no CA|issuer")])
def test_does_not_count(suite, ca, clients, name, why, version):
    """It is as none: nothing is offered, the journal says why, and a password lets its user in."""
    certificate = bad(name, clients)
    for protocol in PROTOCOLS:
        with line(suite, context_of(ca, certificate, version), protocol) as c:
            assert c.offered() == ["PLAIN"]
            assert isinstance(c.begin("EXTERNAL", b""), str)
            assert c.begin("PLAIN", f"\0{ANNA}\0{PASSWORD}".encode()) is True
        subject = "/CN=" if name == "of another CA" else f"/CN=client {certificate.pem.split('-')[-1][:-4]}"
        suite.wait_log(rf'client=127.0.0.1 certificate="{subject}.*" does not count: .*({why})')


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_kinds_of_key(suite, ca, clients, kind):
    assert logged_in(suite, ca, clients.client(ANNA, kind=kind)) is True


def test_below_another_ca(make_suite, ca, clients):
    """A chain to the CA of the file; and a CA of the file that is below another, which is where trust begins then."""
    below = clients.client(authority=True, extensions=["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"])
    certificate = below.client(ANNA)
    suite = make_suite(**settings(ca, clients))
    assert logged_in(suite, ca, certificate) is True
    suite.settings["tls_client_ca_file"] = below.file
    suite.write_conf()
    suite.reload()
    assert logged_in(suite, ca, certificate) is True
    assert isinstance(logged_in(suite, ca, clients.client(ANNA)), str)


def test_key_that_is_not_its(suite, ca, of_anna, clients):
    """Who has a certificate, which is no secret, and not its key, gets no session at all."""
    other = clients.client(BERT)
    r = subprocess.run(["openssl", "s_client", "-connect", f"localhost:{suite.imaps_port}", "-CAfile", ca.file, "-cert", of_anna.pem, "-key", other.key],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60 * patience())
    assert r.returncode != 0 and b"* OK" not in r.stdout


def test_who_is_asked(suite, ca):
    """Where clients log in; not on port 25, where other hosts would show certificates that are of no use."""
    def acceptable(*args):
        out = subprocess.run(["openssl", "s_client", "-CAfile", ca.file, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=60 * patience()).stdout
        return b"Acceptable client certificate CA names\nCN = Clients" in out
    for protocol in PROTOCOLS:
        assert acceptable("-connect", f"localhost:{port_of(suite, protocol)}")
        assert acceptable("-connect", f"localhost:{port_of(suite, protocol, tls=False)}", "-starttls", protocol)
    assert not acceptable("-connect", f"localhost:{suite.smtp_port}", "-starttls", "smtp")


# ---- sessions that are resumed ----

def resumed(suite, context, protocol, session, want=True):
    """The mechanisms that are offered, and the session for the next time."""
    with line(suite, context, protocol, session) as c:
        assert c.socket.session_reused == want
        offered = c.offered()
        return offered, c.socket.session


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_resumed(suite, ca, of_anna, clients, protocol, version):
    """It has the certificate of its first handshake; one that was made without, or with one that does not count, has none."""
    context = context_of(ca, of_anna, version)
    _, session = resumed(suite, context, protocol, None, want=False)
    with line(suite, context, protocol, session) as c:
        assert c.socket.session_reused and c.offered() == ["EXTERNAL", "PLAIN"]
        session = c.socket.session
        assert isinstance(c.begin("EXTERNAL", BERT.encode()), str)
        assert c.begin("EXTERNAL", b"") is True
    assert resumed(suite, context, protocol, session)[0] == ["EXTERNAL", "PLAIN"]      # of a session that was resumed itself
    for certificate in (None, clients.client(ANNA, expired=True)):
        context = context_of(ca, certificate, version)
        _, session = resumed(suite, context, protocol, None, want=False)
        if not certificate:
            context.load_cert_chain(of_anna.chain, of_anna.key)     # which a resumed session does not show
        with line(suite, context, protocol, session) as c:
            assert c.socket.session_reused and c.offered() == ["PLAIN"]
            assert isinstance(c.begin("EXTERNAL", ANNA.encode()), str)


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_ca_file_changes(make_suite, ca, clients, tmp_path, version):
    """Reload takes it; what was verified by the old one is no longer worth anything, also in sessions that are resumed."""
    path = os.path.join(ca.folder, "live-clients.pem")
    shutil.copy(clients.file, path)
    suite = make_suite(**settings(ca, clients, tls_client_ca_file=path))
    other = Authority(os.path.join(clients.folder, f"new-{version}"), name="New Clients")
    old, new = context_of(ca, clients.client(ANNA), version), context_of(ca, other.client(ANNA), version)
    _, session = resumed(suite, old, "imap", None, want=False)
    suite.reload()
    offered, session = resumed(suite, old, "imap", session)
    assert offered == ["EXTERNAL", "PLAIN"]
    shutil.copy(other.file, path)
    assert resumed(suite, old, "imap", session)[0] == ["EXTERNAL", "PLAIN"]      # until it is told
    suite.reload()
    assert resumed(suite, old, "imap", session, want=False)[0] == ["PLAIN"]
    assert resumed(suite, new, "imap", None, want=False)[0] == ["EXTERNAL", "PLAIN"]
    suite.settings["tls_client_ca_file"] = ""
    suite.settings["auth_mechanisms"] = ["PLAIN"]
    suite.write_conf()
    suite.reload()
    assert resumed(suite, new, "imap", None, want=False)[0] == ["PLAIN"]


def test_ends_meanwhile(suite, ca, clients):
    """A certificate that ends while its session can still be resumed."""
    if not shutil.which("faketime"):
        pytest.skip("faketime is not installed (Debian package faketime)")
    left = 6 * patience()
    context = context_of(ca, clients.client(ANNA, prefix=["faketime", "-f", f"-{86400 - int(left)}s"]))
    _, session = resumed(suite, context, "imap", None, want=False)
    offered, session = resumed(suite, context, "imap", session)
    assert offered == ["EXTERNAL", "PLAIN"]
    time.sleep(left + 1)
    assert resumed(suite, context, "imap", session)[0] == ["PLAIN"]
    suite.wait_log("does not count: certificate has expired")


def test_stolen_ticket(suite, ca, of_anna, tmp_path):
    """Who has a ticket, which in TLS 1.2 goes over the wire in clear, and not the secret that belongs to it, gets no session."""
    for version in ("-tls1_2", "-tls1_3"):
        path, stolen = str(tmp_path / f"session{version}"), str(tmp_path / f"stolen{version}")
        common = ["openssl", "s_client", "-connect", f"localhost:{suite.imaps_port}", "-CAfile", ca.file, "-servername", HOSTNAME, version]

        def run(*args):
            return subprocess.run(common + list(args), input=b"a LOGOUT\r\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=60 * patience()).stdout
        p = subprocess.Popen([*common, "-cert", of_anna.pem, "-key", of_anna.key, "-sess_out", path, "-quiet"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert b"* OK" in p.stdout.readline()
        p.communicate(b"a LOGOUT\r\n", timeout=60 * patience())
        text = subprocess.run(["openssl", "sess_id", "-in", path, "-text", "-noout"], check=True, stdout=subprocess.PIPE).stdout.decode()
        secret = bytes.fromhex(re.search(r"(?:Master-Key|Resumption PSK): ([0-9A-F]+)", text)[1])
        der = ssl.PEM_cert_to_DER_cert(open(path).read().replace("SSL SESSION PARAMETERS", "CERTIFICATE"))
        assert der.count(secret) == 1
        pem = ssl.DER_cert_to_PEM_cert(der.replace(secret, bytes(len(secret)))).replace("CERTIFICATE", "SSL SESSION PARAMETERS")
        with open(stolen, "w") as f:
            f.write(pem)
        assert b"Reused, " in run("-sess_in", path)
        out = run("-sess_in", stolen)
        assert b"* OK" not in out and b"* BYE" not in out, out
        suite.wait_log("TLS handshake failed: ")


# ---- who is believed ----

KEY = b"thirty-two octets that are a key"


def test_login_process_that_lies(tmp_path):
    """auth believes addresses that are vouched for by who has the key, for some minutes, and no others."""
    with open(tmp_path / "accounts", "w") as f:
        f.write(f"{ANNA} uid=1000\n")
    (tmp_path / "key").write_bytes(KEY)
    (tmp_path / "auth").mkdir()
    auth = Alone("auth", {"hostname": HOSTNAME, "account_map": f"text:{tmp_path}/accounts", "mail_directory": tmp_path, "system_accounts": False,
                          "auth_mechanisms": ["EXTERNAL"], "mail_uid": 1000, "mail_gid": 1000, "first_uid": 1},
                 asks={"become": lambda name, values: ("ticket_kept", {}), "fetch": None}, asked_by=["imap-login"],
                 files={"auth_directory": tmp_path / "auth", "voucher": tmp_path / "key"})

    def voucher(addresses, key=KEY, ago_s=0):
        when = struct.pack("<Q", int((time.clock_gettime(time.CLOCK_MONOTONIC) - ago_s) * 1000))
        return when + hmac.digest(key, when + addresses, hashlib.sha256)

    def ask(addresses, voucher):
        return auth.answer(auth.ask("imap-login", "auth_start", protocol="imap", mechanism="EXTERNAL", client="192.0.2.1", session_id="s", secure=1,
                                    addresses=addresses, voucher=voucher, has_initial=1, initial=""))
    anna, other = (struct.pack("<I", len(a)) + a.encode() for a in (ANNA, "other@hermod.test"))
    try:
        assert ask(anna, voucher(anna))["result"] == 2
        assert ask(anna, voucher(anna, ago_s=600))["result"] == 2
        for addresses, words in ((anna, b""), (anna, bytes(40)), (anna, voucher(other)), (anna, voucher(anna, key=KEY[::-1])), (anna, voucher(anna, ago_s=700)),
                                 (anna, voucher(anna, ago_s=-10)), (anna + anna, voucher(anna)), (b"", voucher(b""))):
            got = ask(addresses, words)
            assert got["result"] == 3 and b"not offered" in got["text"], (addresses, words)
        assert "a certificate that nobody vouches for" in auth.log()
        assert ask(b"\xff" * 8, voucher(b"\xff" * 8))["result"] not in (1, 2)      # and a run that is none is no crash
    finally:
        auth.end()


# ---- what `hermod check` says ----

def test_faults(make_suite, ca, clients, of_anna):
    suite = make_suite(start=False)

    def faults(path, **more):
        suite.settings.update(settings(ca, clients, tls_client_ca_file=path, **more))
        suite.write_conf()
        r = suite.hermod("check", check=False)
        return r.stdout + r.stderr if r.returncode else ""

    def made(name, *parts):
        path = os.path.join(clients.folder, name)
        with open(path, "w") as f:
            f.write("".join(open(p).read() for p in parts))
        return path
    assert faults(clients.file) == ""
    assert faults(made("many.pem", *[clients.file] * 64)) == ""
    assert "holds 65 certificates" in faults(made("many.pem", *[clients.file] * 65))
    assert "tls_client_ca_file: /nonexistent: No such file" in faults("/nonexistent")
    assert "not an absolute path" in faults("clients.pem")
    assert "is no CA's" in faults(made("no-ca.pem", clients.file, of_anna.pem))
    assert "holds a private key" in faults(made("both.pem", clients.file, clients.key))
    assert "holds 0 certificates" in faults(made("none.pem", of_anna.pem.replace(".pem", ".ext")))
    assert "is no file of" in faults(made("empty.pem"))
    assert "EXTERNAL would let nobody in; right would be tls_client_ca_file" in faults("")
    assert faults("", auth_mechanisms=["PLAIN"]) == ""
    assert faults(clients.file, auth_mechanisms=["PLAIN"]) == ""


def test_file_of_root(make_suite, ca, clients, of_anna):
    """master opens it: the daemons need not be able to."""
    path = os.path.join(clients.folder, "secret.pem")
    shutil.copy(clients.file, path)
    os.chmod(path, 0o600)
    suite = make_suite(**settings(ca, clients, tls_client_ca_file=path))
    assert logged_in(suite, ca, of_anna) is True
    suite.kill("tls")
    suite.crash_allowed = True
    os.unlink(path)         # a process that is started again has what its siblings have
    wait_for(lambda: tries(lambda: logged_in(suite, ca, of_anna)) is True, 20 * patience(), step=0.3)


def tries(what):
    try:
        return what()
    except (OSError, AssertionError):
        return None


# ---- failures on order ----

@pytest.mark.faults
@pytest.mark.parametrize("program, reads", [("tls", 3), ("submission", 3), ("auth", 1)])
def test_what_cannot_be_read(make_suite, ca, clients, program, reads):
    """The chain, the CAs, the key of vouchers: without one of them nothing starts, and it says why."""
    for nth in range(1, reads + 1):
        suite = make_suite(start=False, start_timeout=f"{4 * patience()}s", **settings(ca, clients))
        suite.crash_allowed = True
        suite.env = {"HERMOD_FAULT": f"{program}:pread:{nth}:EIO"}
        assert suite.hermod("start", check=False).returncode != 0
        suite.wait_log(rf"hermod/{program}\[\d+\]: fatal: .*cannot be read")
        suite.end()


# ---- real clients ----

def run(*args, **how):
    if not shutil.which(args[0]):
        pytest.skip(f"{args[0]} is not installed")
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * patience(), **how)


@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
def test_curl(suite, ca, clients, of_anna, protocol):
    for certificate, good in ((of_anna, True), (clients.client(BERT), False)):
        how = {"imap": [f"imaps://localhost:{suite.imaps_port}", "-X", "NOOP"], "pop3": [f"pop3s://localhost:{suite.pop3s_port}", "-l"],
               "smtp": [f"smtps://localhost:{suite.submissions_port}", "--mail-from", ANNA, "--mail-rcpt", BERT, "-T", "-"]}[protocol]
        r = run("curl", "-sS", "--cacert", ca.file, "--cert", certificate.pem, "--key", certificate.key, "--user", f"{ANNA}:",
                "--login-options", "AUTH=EXTERNAL", *how, input="Subject: curl\r\n\r\nHello.\r\n")
        assert (r.returncode == 0) == good, r.stdout


def test_msmtp(suite, ca, clients, of_anna):
    for certificate, good in ((of_anna, True), (clients.client(BERT), False)):
        r = run("msmtp", "--host=localhost", f"--port={suite.submissions_port}", "--tls=on", "--tls-starttls=off", f"--tls-trust-file={ca.file}",
                f"--tls-cert-file={certificate.pem}", f"--tls-key-file={certificate.key}", "--auth=external", f"--user={ANNA}", f"--from={ANNA}", BERT,
                input="Subject: msmtp\n\nHello.\n")
        assert (r.returncode == 0) == good, r.stdout


def test_mpop(suite, ca, clients, of_anna, tmp_path):
    for certificate, good in ((of_anna, True), (clients.client(BERT), False)):
        r = run("mpop", "--host=localhost", f"--port={suite.pop3s_port}", "--tls=on", "--tls-starttls=off", f"--tls-trust-file={ca.file}",
                f"--tls-cert-file={certificate.pem}", f"--tls-key-file={certificate.key}", "--auth=external", f"--user={ANNA}",
                f"--uidls-file={tmp_path}/uidls", f"--delivery=mbox,{tmp_path}/mbox", "--auth-only")
        assert (r.returncode == 0) == good, r.stdout


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_gsasl(suite, ca, clients, of_anna, protocol):
    for certificate, good in ((of_anna, True), (clients.client(BERT), False)):
        r = run("gsasl", f"--{protocol}", "--mechanism", "EXTERNAL", f"--authorization-id={ANNA}", f"--x509-ca-file={ca.file}",
                f"--x509-cert-file={certificate.pem}", f"--x509-key-file={certificate.key}",
                "--connect", f"localhost:{port_of(suite, protocol, False)}", "--verbose", input="")
        assert (r.returncode == 0) == good, r.stdout
