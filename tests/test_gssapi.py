# SPDX-License-Identifier: ISC
"""Logins with Kerberos tickets (SASL GSSAPI, RFC 4752) over each protocol, by real clients of a real KDC; and who can read the keys."""
import os
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from hermodtest.kerberos import Realm
from hermodtest.proc import free_ports, wait_for
from hermodtest.scram import Line, b64
from hermodtest.suite import HOSTNAME, PASSWORD, TLS_FACTS, Suite, build_dir, patience

if "#define HAVE_GSSAPI" not in open(os.path.join(build_dir(), "config.h")).read():
    pytest.skip("this build has no GSSAPI (Debian package libkrb5-dev)", allow_module_level=True)

ANNA, BERT = "anna@hermod.test", "bert@hermod.test"
PROTOCOLS = ("smtp", "imap", "pop3")
SERVICES = ("imap", "pop", "smtp")
HOST = "localhost"		# which the clients connect to, and so ask for a ticket of


@pytest.fixture(scope="module")
def realm():
    r = Realm(free_ports(1)[0])
    yield r
    r.close()


@pytest.fixture(scope="module")
def keytab(realm):
    return realm.keytab(*[f"{s}/{HOST}" for s in SERVICES])


def settings(ca, keytab, **more):
    return {"tls_certificates": [ca.of_suite()], "auth_mechanisms": ["GSSAPI", "PLAIN"], "hostname": HOST, "gssapi_keytab": keytab,
            "gssapi_realm": "HERMOD.TEST", "gssapi_domain": "hermod.test", "login_failures": "50", **more}


@pytest.fixture(scope="module")
def suite(ca, keytab):
    s = Suite(settings(ca, keytab))
    yield s
    s.end()


@pytest.fixture(scope="module")
def of_anna(realm):
    return realm.login("anna")


def port_of(suite, protocol, tls=True):
    return {"smtp": (suite.submission_port, suite.submissions_port), "imap": (suite.imap_port, suite.imaps_port),
            "pop3": (suite.pop3_port, suite.pop3s_port)}[protocol][tls]


def line(suite, ca, protocol="imap"):
    s = socket.create_connection((suite.host, port_of(suite, protocol)), timeout=30 * patience())
    return Line(protocol, ssl.create_default_context(cafile=ca.file).wrap_socket(s, server_hostname=HOSTNAME))


def run(*args, **how):
    if not shutil.which(args[0]):
        pytest.skip(f"{args[0]} is not installed")
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * patience(), **how)


def curl(suite, ca, protocol, env, identity=""):
    how = {"imap": [f"imaps://{HOST}:{suite.imaps_port}", "-X", "NOOP"], "pop3": [f"pop3s://{HOST}:{suite.pop3s_port}", "-l"],
           "smtp": [f"smtps://{HOST}:{suite.submissions_port}", "--mail-from", ANNA, "--mail-rcpt", BERT, "-T", "-"]}[protocol]
    return run("curl", "-sS", "--cacert", ca.file, "--user", ":", "--login-options", "AUTH=GSSAPI",
               *(["--sasl-authzid", identity] if identity else []), *how, env=env, input="Subject: curl\r\n\r\nHello.\r\n")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_curl(suite, ca, of_anna, protocol):
    r = curl(suite, ca, protocol, of_anna)
    assert r.returncode == 0, r.stdout
    suite.wait_log(rf"user={ANNA} client=127.0.0.1 mechanism=GSSAPI {TLS_FACTS} result=ok")


@pytest.mark.parametrize("identity, good", [("anna", True), (ANNA, True), ("anna@HERMOD.TEST", True), ("bert", False), (BERT, False)])
@pytest.mark.parametrize("protocol", ["imap", "smtp"])
def test_gsasl(suite, ca, of_anna, protocol, identity, good):
    service = "imap" if protocol == "imap" else "smtp"
    r = run("gsasl", f"--{protocol}", "--mechanism", "GSSAPI", f"--authentication-id={identity}", f"--authorization-id={identity}", f"--service={service}",
            f"--hostname={HOST}", "--quality-of-protection=qop-auth", f"--x509-ca-file={ca.file}", "--connect", f"{HOST}:{port_of(suite, protocol, False)}",
            "--verbose", "--no-cb", env=of_anna, input="")
    assert (r.returncode == 0) == good, r.stdout


def test_who_is_nobody(suite, ca, realm):
    """A principal without an account, and one of several components."""
    for principal in ("carl", "anna/admin"):
        r = curl(suite, ca, "imap", realm.login(principal))
        assert r.returncode != 0, r.stdout
    suite.wait_log(rf"user=carl@hermod.test client=127.0.0.1 mechanism=GSSAPI {TLS_FACTS} result=failed")
    suite.wait_log(rf"user=anna/admin@HERMOD.TEST client=127.0.0.1 mechanism=GSSAPI {TLS_FACTS} result=failed")


def test_disabled(make_suite, ca, keytab, of_anna):
    suite = make_suite(start=False, **settings(ca, keytab))
    suite.start()
    assert curl(suite, ca, "imap", of_anna).returncode == 0
    suite.hermod("account", "disable", ANNA)
    wait_for(lambda: curl(suite, ca, "imap", of_anna).returncode != 0, 20 * patience(), step=0.3)


def test_of_another_realm(suite, ca):
    """Of the same name, by a KDC of somebody else."""
    other = Realm(free_ports(1)[0])
    try:
        other.keytab(*[f"{s}/{HOST}" for s in SERVICES])
        r = curl(suite, ca, "imap", other.login("anna"))
        assert r.returncode != 0, r.stdout
    finally:
        other.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nonsense(suite, ca, protocol):
    """Ends in the same words each time, and a password still lets in."""
    words = set()
    for message in (b"", b"x", b"\x60", b"\x60\x82\xff\xff", b"\x60\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02", bytes(150), b"NTLMSSP\0" + bytes(32)):
        c = line(suite, ca, protocol)
        assert c.offered() == ["GSSAPI", "PLAIN"]
        said = c.begin("GSSAPI")
        assert said == b""
        c.write(b64(message))
        said = c.said()
        assert isinstance(said, str), (message, said)
        words.add(said)
        assert c.begin("PLAIN", f"\0{ANNA}\0{PASSWORD}".encode()) is True
        c.close()
    assert len(words) == 1, words


@pytest.mark.plain
def test_keys_in_one_process(suite, realm, keytab):
    """auth has them; no other process has, and the file may be gone."""
    text = subprocess.run(["klist", "-K", "-k", keytab], stdout=subprocess.PIPE, text=True, check=True).stdout
    secrets = [bytes.fromhex(k) for k in re.findall(r"\(0x([0-9a-f]+)\)", text)]
    assert secrets
    for p in suite.processes():
        if p.comm == "auth":
            continue
        found = [s for s in secrets if s in memory(p.pid)]
        assert not found, p.comm
    assert all(any(s in memory(pid) for s in secrets) for pid in suite.pids("auth"))


def memory(pid):
    out = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for row in maps:
            place, rights, *_ = row.split()
            begin, end = (int(x, 16) for x in place.split("-"))
            if "r" in rights and "[v" not in row:
                try:
                    mem.seek(begin)
                    out += mem.read(end - begin)
                except (OSError, ValueError):
                    pass
    return out


def test_file_is_gone(make_suite, ca, realm, keytab, of_anna):
    """A process that is started again has what its siblings have; a reload takes new keys."""
    path = os.path.join(realm.folder, "live")
    shutil.copy(keytab, path)
    os.chmod(path, 0o600)
    suite = make_suite(**settings(ca, path))
    suite.crash_allowed = True
    os.unlink(path)
    suite.kill("auth")
    wait_for(lambda: curl(suite, ca, "imap", of_anna).returncode == 0, 20 * patience(), step=0.3)
    shutil.copy(realm.keytab(f"smtp/{HOST}", name="fewer"), path)
    os.chmod(path, 0o600)
    suite.reload()
    assert curl(suite, ca, "imap", of_anna).returncode != 0
    shutil.copy(keytab, path)
    suite.reload()
    assert curl(suite, ca, "imap", of_anna).returncode == 0


def test_a_service_without_a_key(make_suite, ca, realm, of_anna):
    """Only smtp has one: the journal says so, and it works."""
    only = realm.keytab(f"smtp/{HOST}", name="only")
    suite = make_suite(**settings(ca, only))
    suite.wait_log(rf"gssapi_keytab: has no key of imap/{HOST}@HERMOD.TEST: nobody can log in by GSSAPI over imap")
    assert curl(suite, ca, "imap", of_anna).returncode != 0
    r = curl(suite, ca, "smtp", of_anna)
    assert r.returncode == 0, r.stdout


def test_faults(make_suite, ca, keytab, realm):
    suite = make_suite(start=False)

    def faults(**more):
        suite.settings.update(settings(ca, keytab, **more))
        suite.write_conf()
        r = suite.hermod("check", check=False)
        return r.stdout + r.stderr if r.returncode else ""
    assert faults() == ""
    assert "gssapi_keytab: /nonexistent: No such file" in faults(gssapi_keytab="/nonexistent")
    assert "GSSAPI would let nobody in" in faults(gssapi_keytab="")
    assert "GSSAPI would let nobody in" in faults(gssapi_realm="")
    public = os.path.join(realm.folder, "public")
    shutil.copy(keytab, public)
    os.chmod(public, 0o644)
    assert "everybody on this host can read this key" in faults(gssapi_keytab=public)
    nonsense = os.path.join(realm.folder, "nonsense")
    with open(nonsense, "w") as f:
        f.write("no keytab\n")
    os.chmod(nonsense, 0o600)
    assert "is no keytab" in faults(gssapi_keytab=nonsense)
