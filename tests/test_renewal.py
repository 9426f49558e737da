# SPDX-License-Identifier: ISC
"""Certificates that end: who says so, how long before; and those that are signed by themselves made anew, with the key they had."""
import os
import re
import shutil
import ssl
import subprocess

import pytest

from hermodtest.certificates import Certificate, openssl
from hermodtest.client import NOBODY
from hermodtest.suite import HOSTNAME

DAY = 86400


def check(s):
    r = s.hermod("check")
    return [line for line in r.stdout.splitlines() if "the certificate of" in line]


def own(folder, days, name="own", host=HOSTNAME, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """Signed by itself, good for so many days."""
    path = os.path.join(str(folder), name)
    openssl("req", "-x509", "-newkey", *kind, "-nodes", "-keyout", path + ".key", "-out", path + ".pem", "-days", str(days), "-subj", f"/CN={host}",
            "-addext", f"subjectAltName=DNS:{host},DNS:other.hermod.test")
    os.chmod(path + ".key", 0o600)
    return Certificate(path + ".pem", path + ".key")


def end_of(pem):
    return openssl("x509", "-in", pem, "-noout", "-enddate").decode().strip().removeprefix("notAfter=")


def text_of(pem):
    """All of it but number, dates and signature."""
    shown = openssl("x509", "-in", pem, "-noout", "-text", "-certopt", "no_serial,no_validity,no_sigdump,no_signame").decode()
    return re.sub(r"Serial Number:.*\n\s+\S+\n", "", shown)


def serial(pem):
    return openssl("x509", "-in", pem, "-noout", "-serial").decode()


@pytest.mark.parametrize("days, words", [(31, None), (30, "in 30 days"), (1, "in 1 day")])
def test_before_it_ends(make_suite, tmp_path, days, words):
    """Thirty days is soon, a day more is not."""
    s = make_suite(start=False)
    s.write_conf(tls_certificates=[own(tmp_path, days).item])
    said = check(s)
    assert len(said) == (words is not None)
    if words:
        month, day, _, year, _ = end_of(tmp_path / "own.pem").split()
        assert re.search(rf"^{tmp_path}/own\.pem: the certificate of /CN={HOSTNAME} expires on {year}-\d\d-{int(day):02d}, {words}; "
                         r"right would be: `hermod setup --renew`, then `hermod reload`$", said[0])
        assert s.hermod_json("check") == [{"warning": said[0]}]


def test_who_can_renew_it(make_suite, ca, tmp_path):
    expired = ca.issue(HOSTNAME, expired=True)
    s = make_suite(start=False)
    s.write_conf(tls_certificates=[expired.item], tls_client_ca_file=ca.file, auth_mechanisms=["EXTERNAL", "PLAIN"])
    said = check(s)
    assert len(said) == 3 and f"{expired.chain}: the certificate of /CN={HOSTNAME} has expired on 20" in said[0]
    assert all("right would be: a new one from whoever has signed it, then `hermod reload`" in line for line in said[:2])
    assert said[2].startswith(f"{ca.file}: the certificate of /CN=Test expires on") and "another CA there" in said[2]
    r = s.hermod("setup", "--renew", check=False)
    assert r.returncode == 1 and "no certificate of tls_certificates is signed by itself: nothing was changed" in r.stderr
    assert f"{expired.chain}: is signed by /CN=Test, which alone can renew it" in r.stdout


@pytest.mark.parametrize("kind", [("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ("rsa:2048",), ("ed25519",)], ids=["ec", "rsa", "ed25519"])
def test_renewed(make_suite, ca, public_path, kind):
    """The key and all that it says are as before; who is signed by a CA is left; a reload takes it."""
    c, other = own(public_path, 2, kind=kind), ca.issue("other.test")
    s = make_suite(tls_certificates=[c.item, other.item])
    before = {what: open(path, "rb").read() for what, path in (("pem", c.pem), ("key", c.key), ("other", other.chain))}
    tlsa, said, number = c.tlsa(3, 1, 1), text_of(c.pem), serial(c.pem)
    r = s.hermod("setup", "--renew", "--dry-run")
    assert f"{c.pem}: would be made anew" in r.stdout and "hermod reload" not in r.stdout and open(c.pem, "rb").read() == before["pem"]
    assert s.hermod("setup", "--dry-run", "--renew").stdout == r.stdout
    mode = os.stat(c.pem).st_mode
    r = s.hermod("setup", "--renew")
    assert re.search(rf"^{c.pem}: made anew, good until 20\d\d-\d\d-\d\d; the key is the same, and a TLSA record 3 1 1 stays right$", r.stdout, re.M)
    assert f"{other.chain}: is signed by /CN=Test, which alone can renew it\n" in r.stdout
    assert c.tlsa(3, 1, 1) == tlsa and text_of(c.pem) == said and serial(c.pem) != number
    assert open(c.key, "rb").read() == before["key"] and open(other.chain, "rb").read() == before["other"]
    assert os.stat(c.pem).st_mode == mode and sorted(os.listdir(public_path)) == ["own.key", "own.pem"]
    openssl("verify", "-CAfile", c.pem, "-verify_hostname", HOSTNAME, c.pem)
    openssl("x509", "-in", c.pem, "-noout", "-checkend", str(3649 * DAY))
    assert not [line for line in check(s) if c.pem in line]
    assert served(s) == openssl("x509", "-outform", "DER", "-in", write(public_path / "was.pem", before["pem"]))
    s.reload()
    assert served(s) == openssl("x509", "-outform", "DER", "-in", c.pem)


def write(path, octets):
    path.write_bytes(octets)
    return str(path)


def served(s):
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((s.host, s.imaps_port)))


def test_as_setup_made_it(public_path):
    """By its own configuration; what should be in the DNS stays."""
    from hermodtest.suite import build_dir
    hermod = os.path.join(build_dir(), "bin", "hermod")
    trial = public_path / "t"
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR")}

    def run(*args, **more):
        return subprocess.run([hermod, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, env={**env, **more}).stdout
    uid = ["--uid-base", "61000"] if os.geteuid() == 0 else []
    run("setup", "example.org", "--hostname", "mail.example.org", "--directory", str(trial), "--yes", "--address", "192.0.2.1", *uid)
    conf = str(trial / "etc" / "hermod.conf")
    records = run("-c", conf, "dns", "records")
    was = text_of(trial / "etc/tls/mail.example.org.pem")
    assert "TLSA 3 1 1" in records and "the certificate of" not in run("-c", conf, "check")
    run("-c", conf, "setup", "--renew")
    assert run("-c", conf, "dns", "records") == records and text_of(trial / "etc/tls/mail.example.org.pem") == was


@pytest.mark.faults
def test_on_the_day(make_suite, tmp_path):
    """The clock decides; and who renews on that day has another ten years from then."""
    s = make_suite(start=False)
    c = own(tmp_path, 3650)
    s.write_conf(tls_certificates=[c.item])
    for days, words in ((3618, None), (3621, "in 29 days"), (3651, "has expired on")):
        s.env["HERMOD_CLOCK_OFFSET"] = str(days * DAY)
        said = check(s)
        assert (words is None and not said) or words in said[0], (days, said)
    s.hermod("setup", "--renew")
    assert check(s) == []
    openssl("x509", "-in", c.pem, "-noout", "-checkend", str(7300 * DAY))


@pytest.mark.parametrize("how", ["key", "gone", "link", "open", "garbage"])
def test_what_cannot_be_renewed(make_suite, tmp_path, how):
    """Nothing is changed, and why is said."""
    s = make_suite(start=False)
    c, other = own(tmp_path, 2), own(tmp_path, 2, "other")
    s.write_conf(tls_certificates=[c.item])
    if how == "key":
        shutil.copy(other.key, c.key)
    elif how == "gone":
        os.unlink(c.key)
    elif how == "link":
        os.rename(c.pem, c.pem + ".real")
        os.symlink(c.pem + ".real", c.pem)
    elif how == "open":
        os.mkdir(os.path.join(str(tmp_path), ".hermod-renew"))           # what it would write first
    else:
        open(c.pem, "w").write("no certificate\n")
    before = open(c.pem, "rb").read()
    r = s.hermod("setup", "--renew", check=False)
    assert r.returncode in (1, 77) and r.stderr.startswith("hermod: ") and open(c.pem, "rb").read() == before
    assert os.path.islink(c.pem) == (how == "link")


@pytest.mark.root
def test_as_somebody_else(make_suite, public_path):
    s = make_suite(start=False)
    c = own(public_path, 2)
    s.write_conf(tls_certificates=[c.item])
    before = open(c.pem, "rb").read()
    r = subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", os.path.join(s.build, "bin", "hermod"), "-c", s.conf,
                        "setup", "--renew"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 77 and "Permission denied" in r.stderr and open(c.pem, "rb").read() == before


@pytest.mark.faults
@pytest.mark.parametrize("call, error", [("openat", "EIO"), ("write", "ENOSPC"), ("write", "short"), ("fsync", "EIO"), ("renameat", "EIO"), ("close", "EIO")])
def test_calls_that_fail(make_suite, tmp_path, call, error):
    """The nth: the old one, or a new one that is whole."""
    s = make_suite(start=False)
    c = own(tmp_path, 2)
    s.write_conf(tls_certificates=[c.item])
    key, hits = c.tlsa(3, 1, 1), 0
    for nth in range(1, 17):
        s.env["HERMOD_FAULT"] = f"hermod:{call}:{nth}:{error}"
        r = s.hermod("setup", "--renew", check=False)
        hits += r.returncode != 0
        assert c.tlsa(3, 1, 1) == key
        openssl("verify", "-CAfile", c.pem, c.pem)
    assert hits or call == "close" or error == "short", "no call failed"


@pytest.mark.parametrize("args", [["--renew", "example.org"], ["--renew", "--yes"], ["--renew", "--renew"], ["--renew", "--dry-run", "--dry-run"]])
def test_wrong_use(make_suite, args):
    s = make_suite(start=False)
    assert s.hermod("setup", *args, check=False).returncode == 64
