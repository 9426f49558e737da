# SPDX-License-Identifier: ISC
"""STARTTLS for clients that bring mail: which certificate they get, what is refused, and where the private keys are not."""
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from hermodtest.alone import Alone
from hermodtest.certificates import Authority, openssl
from hermodtest.proc import wait_for
from hermodtest.suite import HOSTNAME, Suite, patience
from hermodtest.wire import greeted, rest, say, say_all

MESSAGE = "From: a@client.test\r\nSubject: {}\r\n\r\nHello.\r\n"
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
OTHER = "mail.other.test"


@pytest.fixture(scope="module")
def tls_suite(ca):
    """Three certificates: two kinds of key for its own name, one for another."""
    certificates = [ca.issue(HOSTNAME, kind="rsa"), ca.issue(HOSTNAME, kind="ec"), ca.issue(OTHER, kind="ec")]
    s = Suite({"tls_certificates": [c.item for c in certificates]})
    s.certificates = certificates
    yield s
    s.end()


def context_of(ca, version=None, ciphers=None):
    context = ssl.create_default_context(cafile=ca.file)
    if version:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def connected(suite, context, name=HOSTNAME):
    """An smtplib session behind STARTTLS; the certificate is verified for the name."""
    c = smtplib.SMTP(suite.host, suite.smtp_port, local_hostname="client.test", timeout=20 * patience())
    c._host = name
    assert c.starttls(context=context)[0] == 220
    return c


# ---- mail over TLS

@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519"])
def test_mail(make_suite, ca, kind, version):
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME, kind=kind).item])
    c = connected(suite, context_of(ca, version))
    cipher = c.sock.cipher()[0]
    assert c.sock.version() == version
    c.sendmail("s@client.test", [f"anna@{suite.domain}"], MESSAGE.format(kind))
    c.quit()
    mail, = suite.maildir("anna").wait()
    received = re.search(rb"^Received: .*?\n(?=\S)", mail, re.S | re.M)[0]
    assert b"with ESMTPS" in received and cipher.encode() in received, received
    suite.wait_log(rf'proto=ESMTPS tls="{version} {cipher}"')


def test_kind_by_what_the_client_verifies(tls_suite, ca):
    """Of the two certificates of one name each client gets that which it can verify."""
    for ciphers, type_of_key in (("ECDHE-RSA-AES128-GCM-SHA256", "RSA"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA")):
        c = connected(tls_suite, context_of(ca, "TLSv1.2", ciphers))
        assert type_of_key in c.sock.cipher()[0]
        c.quit()


def test_server_name(tls_suite, ca):
    names = {}
    for name in (HOSTNAME, OTHER):
        c = connected(tls_suite, context_of(ca), name)      # it is verified
        names[name] = c.sock.getpeercert()["subjectAltName"]
        c.quit()
    assert names == {HOSTNAME: (("DNS", HOSTNAME),), OTHER: (("DNS", OTHER),)}
    context = context_of(ca)
    context.check_hostname = False
    for name in ("unknown.test", None):                     # the first one
        c = smtplib.SMTP(tls_suite.host, tls_suite.smtp_port, local_hostname="client.test")
        c.docmd("EHLO", "client.test")
        assert c.docmd("STARTTLS")[0] == 220
        s = context.wrap_socket(c.sock, server_hostname=name)
        assert s.getpeercert()["subjectAltName"] == (("DNS", HOSTNAME),)
        s.close()


def test_many_at_once(tls_suite, ca):
    """One that waits for its signature stalls nobody: all handshakes are begun before one is ended."""
    context, out = context_of(ca), []
    for _ in range(40):
        s = greeted(tls_suite.smtp_port)
        say(s, b"EHLO client.test")
        assert say(s, b"STARTTLS").startswith(b"220 ")
        s.setblocking(False)
        t = context.wrap_socket(s, server_hostname=HOSTNAME, do_handshake_on_connect=False)
        try:
            t.do_handshake()
        except ssl.SSLWantReadError:
            pass
        out.append(t)
    for t in out:
        t.settimeout(20 * patience())
        t.do_handshake()
        assert say(t, b"NOOP").startswith(b"250 ")
        t.close()


def test_clients_that_leave(tls_suite, ca):
    """In the middle of a handshake, many of them: the service goes on, and none of their descriptors stays."""
    def descriptors():
        return sum(len(os.listdir(f"/proc/{p}/fd")) for p in tls_suite.pids("smtpd"))

    connected(tls_suite, context_of(ca)).quit()
    time.sleep(0.3)
    before = descriptors()
    hello = ssl.MemoryBIO()
    client = context_of(ca).wrap_bio(ssl.MemoryBIO(), hello, server_hostname=HOSTNAME)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = hello.read()
    for i in range(100):
        s = greeted(tls_suite.smtp_port)
        say(s, b"EHLO client.test")
        say(s, b"STARTTLS")
        s.sendall(hello[:len(hello) if i % 2 else i])
        if i % 3 == 0:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    wait_for(lambda: descriptors() <= before, 20 * patience(), why=lambda: f"{descriptors()} descriptors, {before} before")
    connected(tls_suite, context_of(ca)).quit()


def test_the_end_of_tls_within_a_chunk(tls_suite, ca):
    """CVE-2026-45185: close_notify in the middle of BDAT, and octets in clear behind it. They are no part of the chunk and no
    command; nothing is queued, the process serves others, and what the message had is given back."""
    def descriptors():
        return sum(len(p.fds()) for p in tls_suite.processes("smtpd"))

    connected(tls_suite, context_of(ca)).quit()
    pids, before = tls_suite.pids("smtpd"), None
    for said in (b"x", b"0123456789" * 9 + b"\r\nMAIL FROM:<evil@evil.test>\r\n", b"", b"\x17\x03\x03\x00\x10" + b"y" * 16):
        for at in (0, 10, 99):
            c = connected(tls_suite, context_of(ca))
            c.ehlo()
            c.mail("s@client.test")
            c.rcpt(f"anna@{tls_suite.domain}")
            c.putcmd("BDAT 100")
            c.sock.sendall(b"z" * at)
            with socket.socket(fileno=os.dup(c.sock.fileno())) as plain:
                plain.settimeout(20 * patience())
                try:
                    c.sock.unwrap()
                except (OSError, ssl.SSLError):
                    pass
                got = b""
                try:
                    plain.sendall(said)
                    got = rest(plain)
                except OSError:
                    pass
                assert b"250" not in got
            c.close()
        if before is None:
            wait_for(lambda: not tls_suite.queue_files(), 20 * patience())
            before = descriptors()
    wait_for(lambda: descriptors() <= before + 1, 20 * patience(), why=lambda: f"{descriptors()} descriptors, {before} before")
    assert tls_suite.pids("smtpd") == pids and not tls_suite.queue_files()
    connected(tls_suite, context_of(ca)).quit()


@pytest.mark.parametrize("shut", [True, False])
def test_answered_behind_close_notify(tls_suite, ca, shut):
    """RFC 8446 section 6.1: it closes one direction; what was said before is done and answered, and then the other is closed by it."""
    said = f"EHLO client.test\r\nMAIL FROM:<s@client.test>\r\nRCPT TO:<anna@{tls_suite.domain}>\r\n"
    mail = MESSAGE.format(f"all at once {shut}")
    for end, codes in (("", [250]), ("NOOP\r\n", [250, 250]), ("QUIT\r\n", [250, 221]), ("NOOP", [250])):
        s = greeted(tls_suite.smtp_port)
        say(s, b"EHLO client.test")
        assert say(s, b"STARTTLS").startswith(b"220 ")
        got = say_all(s, context_of(ca), HOSTNAME, f"{said}BDAT {len(mail)} LAST\r\n{mail}{end}", shut)
        assert [int(c) for c in re.findall(rb"^(\d+) ", got, re.M)] == [250] * 3 + codes, got
    wait_for(lambda: len([m for m in tls_suite.maildir("anna").messages() if f"all at once {shut}".encode() in m]) == 4, 20 * patience())


# ---- what is refused

def test_octets_behind_starttls(tls_suite):
    """CVE-2011-0411: they are not kept for after the handshake; the session ends."""
    s = greeted(tls_suite.smtp_port)
    say(s, b"EHLO client.test")
    s.sendall(b"STARTTLS\r\nMAIL FROM:<a@evil.test>\r\n")
    got = rest(s)
    assert got.startswith(b"220 ") and b"\r\n554 5.5.1 " in got and got.count(b"\r\n") == 2, got
    tls_suite.wait_log("session ended: octets behind STARTTLS")


def test_commands_instead_of_a_handshake(tls_suite):
    s = greeted(tls_suite.smtp_port)
    say(s, b"EHLO client.test")
    assert say(s, b"STARTTLS").startswith(b"220 ")
    got = say(s, b"MAIL FROM:<a@evil.test>")
    assert b"250" not in got
    tls_suite.wait_log("TLS handshake failed: ")


def test_nothing_is_known_from_before(tls_suite, ca):
    """RFC 3207 section 4.2."""
    s = greeted(tls_suite.smtp_port)
    assert b"STARTTLS" in say(s, b"EHLO before.test")
    assert say(s, b"MAIL FROM:<a@client.test>").startswith(b"250 ")
    assert say(s, b"STARTTLS").startswith(b"503 5.5.1 there is a message in progress")
    assert say(s, b"RSET").startswith(b"250 ")
    assert say(s, b"STARTTLS now").startswith(b"501 ")
    assert say(s, b"STARTTLS").startswith(b"220 ")
    t = context_of(ca).wrap_socket(s, server_hostname=HOSTNAME)
    assert say(t, b"MAIL FROM:<a@client.test>").startswith(b"503 5.5.1 say EHLO first")
    offered = say(t, b"EHLO after.test")
    assert b"STARTTLS" not in offered and b"REQUIRETLS" in offered
    assert say(t, b"STARTTLS").startswith(b"503 5.5.1 TLS is on already")
    assert say(t, b"MAIL FROM:<a@client.test> REQUIRETLS").startswith(b"250 ")
    assert say(t, b"RCPT TO:<bert@hermod.test>").startswith(b"250 ")
    assert say(t, b"DATA").startswith(b"354 ")
    assert say(t, MESSAGE.format("state").encode() + b".").startswith(b"250 ")
    mail, = tls_suite.maildir("bert").wait()
    assert b"after.test" in mail and b"before.test" not in mail


def test_before_ehlo(tls_suite):
    assert say(greeted(tls_suite.smtp_port), b"STARTTLS").startswith(b"503 5.5.1 say EHLO first")


def test_requiretls_in_clear(tls_suite):
    """RFC 8689 section 2: offered under TLS alone."""
    s = greeted(tls_suite.smtp_port)
    assert b"REQUIRETLS" not in say(s, b"EHLO client.test")
    assert say(s, b"MAIL FROM:<a@client.test> REQUIRETLS").startswith(b"555 ")


def handshake(suite, *args):
    """openssl s_client's own words."""
    r = subprocess.run(["openssl", "s_client", "-connect", f"{suite.host}:{suite.smtp_port}", "-starttls", "smtp", *args],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=30 * patience())
    return r.stdout


@pytest.mark.parametrize("args", [("-tls1",), ("-tls1_1",), ("-tls1_2", "-cipher", "AES128-SHA"), ("-tls1_2", "-cipher", "AES128-GCM-SHA256"),
                                  ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"), ("-alpn", "h2"), ("-alpn", "imap"),
                                  ("-tls1_2", "-sigalgs", "RSA+SHA1:ECDSA+SHA1")])
def test_not_spoken(tls_suite, args):
    """Old protocols, no forward secrecy, no AEAD, SHA-1; another service was meant (ALPACA)."""
    out = handshake(tls_suite, *args, *([] if "-sigalgs" in args else ["-cipher", "ALL:@SECLEVEL=0"] if "-cipher" not in args else []))
    assert re.search(r"Cipher is \(NONE\)|handshake failure|alert|no protocols available", out), out
    assert "250 " not in out.split("---")[-1]


def test_alpn(tls_suite):
    assert "ALPN protocol: smtp" in handshake(tls_suite, "-alpn", "imap,smtp")


def test_no_renegotiation(tls_suite, ca):
    p = subprocess.Popen(["openssl", "s_client", "-connect", f"{tls_suite.host}:{tls_suite.smtp_port}", "-starttls", "smtp", "-tls1_2"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out, _ = p.communicate("R\n", timeout=30 * patience())
    assert "no renegotiation" in out, out


def test_profile_modern(make_suite, ca):
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME).item], tls_profile="modern")
    connected(suite, context_of(ca, "TLSv1.3")).quit()
    with pytest.raises(ssl.SSLError):
        connected(suite, context_of(ca, "TLSv1.2"))


def test_required(make_suite, ca):
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME).item], smtpd_tls="must")
    s = greeted(suite.smtp_port)
    say(s, b"EHLO client.test")
    assert say(s, b"MAIL FROM:<a@client.test>").startswith(b"530 5.7.0 say STARTTLS first")
    assert say(s, b"NOOP").startswith(b"250 ")
    c = connected(suite, context_of(ca))
    c.sendmail("s@client.test", [f"anna@{suite.domain}"], MESSAGE.format("must"))
    c.quit()
    suite.maildir("anna").wait()


@pytest.mark.parametrize("settings", ["none", "never"])
def test_not_offered(make_suite, ca, settings):
    suite = make_suite(**({"tls_certificates": [ca.issue(HOSTNAME).item], "smtpd_tls": "never"} if settings == "never" else {}))
    s = greeted(suite.smtp_port)
    assert b"STARTTLS" not in say(s, b"EHLO client.test")
    assert say(s, b"STARTTLS").startswith(b"502 5.5.1 STARTTLS is not served here")
    assert bool(suite.pids("keys")) == (settings == "never")


# ---- tickets

def session_of(suite, context, port=None, session=None, starttls=True):
    """(the session to resume, whether it was one that was resumed)"""
    s = socket.create_connection((suite.host, port or suite.smtp_port), timeout=20 * patience())
    if starttls:
        s.recv(1000)
        say(s, b"EHLO client.test")
        assert say(s, b"STARTTLS").startswith(b"220 ")
    t = context.wrap_socket(s, server_hostname=HOSTNAME, session=session)
    assert b"250" in say(t, b"EHLO client.test") or not starttls    # behind it the ticket of TLS 1.3 was read, too
    out = t.session, t.session_reused
    t.close()
    return out


@pytest.mark.parametrize("version", VERSIONS)
def test_resumed(tls_suite, ca, version):
    """At whatever worker the client comes to, again and again; and no signature is asked for."""
    context = context_of(ca, version)
    session, reused = session_of(tls_suite, context)
    assert not reused and session.has_ticket
    tls_suite.kill("keys", signal.SIGSTOP)
    try:
        for _ in range(8):
            session, reused = session_of(tls_suite, context, session=session)
            assert reused
    finally:
        tls_suite.kill("keys", signal.SIGCONT)


@pytest.mark.parametrize("version", VERSIONS)
def test_ticket_of_another_service(tls_suite, ca, version):
    """Is none: there is a whole handshake, or none at all."""
    context = context_of(ca, version)
    session, _ = session_of(tls_suite, context)
    try:
        assert not session_of(tls_suite, context, tls_suite.submission_port, session)[1]
    except ssl.SSLError:
        pass


@pytest.mark.parametrize("version", VERSIONS)
def test_ticket_of_another_name(tls_suite, ca, version):
    """RFC 6066 section 3: a session is resumed only for the name it was made for."""
    context = context_of(ca, version)
    session, _ = session_of(tls_suite, context)
    s = greeted(tls_suite.smtp_port)
    say(s, b"EHLO client.test")
    say(s, b"STARTTLS")
    t = context.wrap_socket(s, server_hostname=OTHER, session=session)
    assert not t.session_reused and t.getpeercert()["subjectAltName"] == (("DNS", OTHER),)


def test_ticket_keys_change(make_suite, ca):
    """A ticket is good for its time, over a reload too, and is not when the keys have changed twice or the suite was started again."""
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME).item], tls_ticket_time="1h")
    context = context_of(ca)
    session, _ = session_of(suite, context)
    suite.reload()
    session, reused = session_of(suite, context, session=session)
    assert reused
    suite.restart()
    assert not session_of(suite, context, session=session)[1]
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME).item], tls_ticket_time="1s")
    session, _ = session_of(suite, context)
    wait_for(lambda: not session_of(suite, context, session=session)[1], 20 * patience(), step=0.3)


def test_no_tickets(make_suite, ca):
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME).item], tls_ticket_time="0")
    context = context_of(ca)
    session, _ = session_of(suite, context)
    assert not session_of(suite, context, session=session)[1]


# ---- where the keys are

def key_octets(path):
    """The secret of an EC key, as OpenSSL has it in memory and in its file."""
    text = openssl("pkey", "-in", path, "-text", "-noout").decode()
    secret = bytes.fromhex(re.sub(r"[\s:]", "", re.search(r"priv:\n((?:\s+[0-9a-f:]+\n)+)", text)[1]))[-32:]
    return [secret, secret[::-1], b"PRIVATE KEY"]


def memory(pid):
    out = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            place, rights, *_ = line.split()
            begin, end = (int(x, 16) for x in place.split("-"))
            if rights.startswith("rw") and end - begin < 1 << 30:
                try:
                    mem.seek(begin)
                    out += mem.read(end - begin)
                except (OSError, ValueError):
                    pass
    return out


@pytest.mark.root
@pytest.mark.plain
def test_no_process_has_a_key_but_keys(make_suite, ca):
    """Nor a file of it, but master, which has a copy that it has not read."""
    certificate = ca.issue(HOSTNAME)
    suite = make_suite(tls_certificates=[certificate.item])
    connected(suite, context_of(ca)).quit()
    secrets, found = key_octets(certificate.key), {}
    for pid, name in [(p.pid, p.name()) for p in suite.processes()]:
        there = memory(pid)
        found[name] = [i for i, s in enumerate(secrets) if s in there]
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert certificate.key not in links and certificate.chain not in links, (name, links)
        assert bool([link for link in links if "memfd:tls-" in link]) == (name == "master"), (name, links)
    of_keys = found.pop("keys")
    assert 1 in of_keys and 2 not in of_keys, of_keys       # as a number, little-endian; its PEM was wiped
    assert not [n for n, places in found.items() if [i for i in places if i < 2]], found


PSS, ECDSA = 0x0804, 0x0403
TRANSCRIPT = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + b"h" * 32


def test_what_keys_signs(ca):
    """A server's transcript, with the key that is asked for; nothing else."""
    certificate = ca.issue(HOSTNAME)
    k = Alone("keys", {"tls_certificates": [certificate.item]}, asked_by=["smtpd"], files={"key.0": certificate.key})
    try:
        def sign(octets, scheme=ECDSA, key=0):
            return k.answer(k.ask("smtpd", "sign", key=key, scheme=scheme, octets=octets), service="smtpd")["octets"]

        signature = sign(TRANSCRIPT)
        folder = ca.folder
        for name, content in (("signed", TRANSCRIPT), ("signature", signature)):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content)
        with open(os.path.join(folder, "public.pem"), "wb") as f:
            f.write(openssl("x509", "-in", certificate.pem, "-noout", "-pubkey"))
        assert b"Verified OK" in openssl("dgst", "-sha256", "-verify", os.path.join(folder, "public.pem"), "-signature",
                                         os.path.join(folder, "signature"), os.path.join(folder, "signed"))
        assert sign(TRANSCRIPT, scheme=PSS) == b""          # not of this kind of key
        assert sign(TRANSCRIPT, scheme=0x0203) == b""       # SHA-1
        for octets in (TRANSCRIPT.replace(b"server", b"client"), b"from:a@b.test\r\ndkim-signature:v=1", b"", TRANSCRIPT + b"x"):
            assert sign(octets) == b"", octets
        assert sign(TRANSCRIPT, key=1) == b""
        assert sign(TRANSCRIPT)
    finally:
        k.end()


def test_keys_dies(make_suite, ca):
    """Sessions that are open go on; the next handshake is possible when it is back."""
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME).item])
    suite.crash_allowed = True
    c = connected(suite, context_of(ca))
    old = suite.pids("keys")
    suite.kill("keys")
    assert c.noop()[0] == 250
    wait_for(lambda: suite.pids("keys") not in ([], old), 20 * patience())

    def works():
        try:
            connected(suite, context_of(ca)).quit()
            return True
        except (OSError, smtplib.SMTPException):
            return False
    wait_for(works, 20 * patience())
    c.sendmail("s@client.test", [f"anna@{suite.domain}"], MESSAGE.format("still"))
    c.quit()


def test_keys_stands_still(make_suite, ca):
    """A handshake waits for its signature; everybody else is served."""
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME).item])
    open_before = connected(suite, context_of(ca))
    suite.kill("keys", signal.SIGSTOP)
    try:
        s = greeted(suite.smtp_port)
        say(s, b"EHLO client.test")
        say(s, b"STARTTLS")
        s.setblocking(False)
        t = context_of(ca).wrap_socket(s, server_hostname=HOSTNAME, do_handshake_on_connect=False)
        with pytest.raises(ssl.SSLWantReadError):
            t.do_handshake()
        assert open_before.noop()[0] == 250
        suite.send("bert")
        suite.maildir("bert").wait()
    finally:
        suite.kill("keys", signal.SIGCONT)
    t.settimeout(20 * patience())
    t.do_handshake()
    open_before.quit()
    assert say(t, b"QUIT").startswith(b"221 ")


# ---- certificates that change

def serial(suite, ca):
    """Once there is a handshake: keys may be starting again."""
    def served():
        try:
            return connected(suite, context_of(ca))
        except (OSError, smtplib.SMTPException):
            return None
    c = wait_for(served, 20 * patience(), step=0.2)
    number = c.sock.getpeercert()["serialNumber"]
    c.quit()
    return number


def put(certificate, chain, key):
    for source, target in ((certificate.chain, chain), (certificate.key, key)):
        shutil.copy(source, target + ".new")
        os.chmod(target + ".new", 0o600)
        os.rename(target + ".new", target)


def test_renewed(make_suite, ca):
    """A reload takes the new one; sessions that are open go on; a process that is started again has what its siblings have."""
    chain, key = os.path.join(ca.folder, "live.pem"), os.path.join(ca.folder, "live.key")
    first, second = ca.issue(HOSTNAME), ca.issue(HOSTNAME)
    put(first, chain, key)
    suite = make_suite(tls_certificates=[f"{chain}:{key}"])
    suite.crash_allowed = True
    c = connected(suite, context_of(ca))
    was = serial(suite, ca)
    put(second, chain, key)
    old = suite.pids("keys")
    suite.kill("keys")                          # the files are others now: it gets those that its generation began with
    wait_for(lambda: suite.pids("keys") not in ([], old), 20 * patience())
    assert serial(suite, ca) == was
    suite.reload()
    assert serial(suite, ca) != was
    c.sendmail("s@client.test", [f"anna@{suite.domain}"], MESSAGE.format("goes on"))
    c.quit()


def test_broken_while_it_runs(make_suite, ca):
    """A certificate that does not fit is a fault of the reload, and what runs goes on."""
    chain, key = os.path.join(ca.folder, "live2.pem"), os.path.join(ca.folder, "live2.key")
    put(ca.issue(HOSTNAME), chain, key)
    suite = make_suite(tls_certificates=[f"{chain}:{key}"])
    was = serial(suite, ca)
    shutil.copy(ca.issue(HOSTNAME).chain, chain)            # and its key is forgotten
    r = suite.reload(check=False)
    assert r.returncode != 0 and "is not the key of the certificate beside it" in r.stdout + r.stderr, r
    suite.crash_allowed = True
    old = suite.pids("smtpd")
    suite.kill("smtpd")
    wait_for(lambda: len(suite.pids("smtpd")) == len(old) and not set(old) & set(suite.pids("smtpd")), 20 * patience())
    time.sleep(0.5)
    assert serial(suite, ca) == was


def faults_of(suite, *items):
    suite.settings["tls_certificates"] = list(items)
    suite.write_conf()
    r = suite.hermod("check", check=False)
    return r.stdout + r.stderr if r.returncode else ""


def test_faults(make_suite, ca):
    suite = make_suite(start=False)
    good, other = ca.issue(HOSTNAME), ca.issue(HOSTNAME)
    folder = ca.folder

    def made(name, *parts):
        path = os.path.join(folder, name)
        with open(path, "w") as f:
            f.write("".join(open(p).read() for p in parts))
        os.chmod(path, 0o600)
        return path
    assert faults_of(suite, good.item) == ""
    assert "right would be two files" in faults_of(suite, good.chain)
    assert "not an absolute path" in faults_of(suite, f"a.pem:{good.key}")
    assert "No such file" in faults_of(suite, f"{folder}/nothing.pem:{good.key}")
    assert "is not the key of the certificate beside it" in faults_of(suite, f"{good.chain}:{other.key}")
    assert "holds a private key, too" in faults_of(suite, f"{made('both.pem', good.chain, good.key)}:{good.key}")
    assert "has not signed the one before it" in faults_of(suite, f"{made('order.pem', ca.file, good.pem)}:{good.key}")
    damaged = made("damaged.pem", good.pem, ca.file)
    with open(damaged, "r+") as f:                          # its CA's breaks off, as if somebody were writing it
        f.truncate(os.path.getsize(good.pem) + 200)
    assert "certificate 2 cannot be read" in faults_of(suite, f"{damaged}:{good.key}")
    assert "holds 0 certificates" in faults_of(suite, f"{good.key.replace('.key', '.ext')}:{good.key}")
    assert "holds no private key" in faults_of(suite, f"{good.chain}:{made('no.key', good.pem)}")
    encrypted = os.path.join(folder, "encrypted.key")
    openssl("pkey", "-in", good.key, "-aes256", "-passout", "pass:secret", "-out", encrypted)
    os.chmod(encrypted, 0o600)
    assert "is encrypted" in faults_of(suite, f"{good.chain}:{encrypted}")
    public = made("public.key", good.key)
    os.chmod(public, 0o644)
    assert "everybody on this host can read this key" in faults_of(suite, f"{good.chain}:{public}")
    assert "is no file of" in faults_of(suite, f"{good.chain}:{made('empty.key')}")
    os.mkfifo(os.path.join(folder, "fifo.pem"))
    assert "is no file of" in faults_of(suite, f"{folder}/fifo.pem:{good.key}")
    assert "are too many" in faults_of(suite, *[good.item] * 65)
    assert faults_of(suite, *[good.item] * 64) == ""
    suite.settings["smtpd_tls"] = "must"
    assert "without a certificate would take no mail" in faults_of(suite)
    weak = os.path.join(folder, "weak")
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", weak + ".key", "-out", weak + ".pem", "-subj", "/CN=w")
    assert "cannot be used for TLS" in faults_of(suite, f"{weak}.pem:{weak}.key")
    for kind in (["ed448"], ["rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"]):
        odd = os.path.join(folder, "odd-" + kind[0])
        openssl("req", "-x509", "-newkey", *kind, "-nodes", "-keyout", odd + ".key", "-out", odd + ".pem", "-subj", "/CN=odd")
        assert "its kind of key is not served" in faults_of(suite, f"{odd}.pem:{odd}.key"), kind


def test_weak_authority(make_suite, ca, tmp_path):
    """What OpenSSL does not take for a chain is a fault of the reload, not the end of whoever speaks TLS."""
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME).item])
    was = serial(suite, ca)
    weak = Authority(tmp_path / "weak")
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", weak.key, "-out", weak.file, "-subj", "/CN=weak")
    suite.settings["tls_certificates"] = [weak.issue(HOSTNAME).item]
    suite.write_conf()
    r = suite.reload(check=False)
    assert r.returncode != 0 and "cannot be used for TLS" in r.stdout + r.stderr, r
    assert serial(suite, ca) == was


def test_expired(make_suite, ca):
    """It is served, since mail goes on without; the journal says so."""
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME, expired=True).item])
    suite.wait_log("this certificate is no longer valid")
    assert b"STARTTLS" in say(greeted(suite.smtp_port), b"EHLO client.test")


@pytest.mark.parametrize("kinds", [("ec", "ec"), ("ec", "rsa"), ("rsa", "ec"), ("rsa", "rsa")])
def test_valid_before_expired(make_suite, ca, kinds):
    """Whatever stands first; who names no server gets one that stands for the first."""
    items = [ca.issue(HOSTNAME, OTHER, expired=True, kind=kinds[0]).item, ca.issue(HOSTNAME, expired=True, kind=kinds[1]).item,
             ca.issue(OTHER, HOSTNAME, kind=kinds[1]).item]
    suite = make_suite(tls_certificates=items)
    for name in (HOSTNAME, OTHER, "unknown.test", None):
        context = context_of(ca)
        context.check_hostname = name in (HOSTNAME, OTHER)
        s = greeted(suite.smtp_port)
        say(s, b"EHLO client.test")
        say(s, b"STARTTLS")
        t = context.wrap_socket(s, server_hostname=name)
        assert t.getpeercert()["subjectAltName"] == (("DNS", OTHER), ("DNS", HOSTNAME)), name
        t.close()


def test_valid_for_another_name(make_suite, ca):
    """A name that only an expired one has is served with that, as ever; its other names are not."""
    suite = make_suite(tls_certificates=[ca.issue(HOSTNAME, OTHER, expired=True).item, ca.issue(OTHER).item])
    connected(suite, context_of(ca), OTHER).quit()
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        connected(suite, context_of(ca))


# ---- real clients

def test_swaks(tls_suite, ca):
    if not shutil.which("swaks"):
        pytest.skip("swaks is not installed (Debian package swaks)")
    r = subprocess.run(["swaks", "--server", tls_suite.host, "--port", str(tls_suite.smtp_port), "--to", "anna@hermod.test", "--from",
                        "s@client.test", "--tls", "--tls-verify", "--tls-ca-path", ca.file, "--tls-sni", HOSTNAME,
                        "--header", "Subject: by swaks"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * patience())
    assert r.returncode == 0 and "TLS started" in r.stdout, r.stdout
    wait_for(lambda: [m for m in tls_suite.maildir("anna").messages() if b"by swaks" in m and b"with ESMTPS" in m], 20 * patience())


def test_curl(tls_suite, ca, tmp_path):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed (Debian package curl)")
    (tmp_path / "mail").write_text(MESSAGE.format("by curl"))
    r = subprocess.run(["curl", "-sS", "--ssl-reqd", "--cacert", ca.file, "--resolve", f"{HOSTNAME}:{tls_suite.smtp_port}:{tls_suite.host}",
                        f"smtp://{HOSTNAME}:{tls_suite.smtp_port}/client.test", "--mail-from", "s@client.test", "--mail-rcpt",
                        "anna@hermod.test", "-T", str(tmp_path / "mail")],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * patience())
    assert r.returncode == 0, r.stdout
    wait_for(lambda: [m for m in tls_suite.maildir("anna").messages() if b"by curl" in m and b"with ESMTPS" in m], 20 * patience())


def test_s_client(tls_suite, ca):
    out = handshake(tls_suite, "-CAfile", ca.file, "-servername", OTHER, "-verify_return_error", "-verify_hostname", OTHER)
    assert "Verify return code: 0 (ok)" in out, out
