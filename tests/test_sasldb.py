# SPDX-License-Identifier: ISC
"""Accounts of Cyrus SASL's sasldb2, as its own program writes it: they get mail, and log in by PLAIN, SCRAM and CRAM-MD5."""
import hmac
import os
import shutil
import subprocess

import pytest

from hermodtest.alone import Alone, split_run
from hermodtest.proc import wait_for
from hermodtest.scram import Scram
from hermodtest.suite import build_dir, patience

UNAVAILABLE, CONTINUE, OK, FAILED = range(4)
HERE = "#define HAVE_BDB" in open(os.path.join(build_dir(), "config.h")).read()
needs_it = pytest.mark.skipif(not HERE or not shutil.which("saslpasswd2"), reason="no Berkeley DB, or sasl2-bin is not installed")


def put(path, user, realm, password):
    """None: takes it out."""
    subprocess.run(["saslpasswd2", "-f", path, "-u", realm, *(["-d"] if password is None else ["-p", "-c"]), user],
                   input=password or "", text=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    os.chmod(path, 0o640)


@pytest.fixture
def file(tmp_path):
    path = str(tmp_path / "sasldb2")
    put(path, "anna", "hermod.test", "anna-secret")
    put(path, "both", "hermod.test", "of sasldb")
    put(path, "eva", "hermod.test", "geh\u00e4im")
    put(path, "anna", "other.test", "another")
    (tmp_path / "accounts").write_text("both@hermod.test password={PLAIN}of-the-table\noff@hermod.test state=disabled\n")
    return path


def settings(file, **more):
    folder = os.path.dirname(file)
    return {"hostname": "mx.hermod.test", "local_domains": ["hermod.test"], "account_map": f"text:{folder}/accounts", "sasldb_file": file,
            "alias_map": "", "mail_directory": "/m", "mail_uid": 5000, "mail_gid": 5001, "system_accounts": False, "first_uid": 1, **more}


def begin(file, tmp_path):
    (tmp_path / "auth").mkdir()
    return Alone("auth", settings(file, allow_plain_passwords=True, auth_mechanisms=["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"]),
                 asks={"become": lambda name, values: ("ticket_kept", {}), "fetch": lambda name, values: None}, asked_by=["imap-login"],
                 files={"auth_directory": tmp_path / "auth"})


@pytest.fixture
def auth(file, tmp_path):
    a = begin(file, tmp_path)
    yield a
    a.end()


def start(a, mechanism, **how):
    return a.answer(a.ask("imap-login", "auth_start", protocol="imap", mechanism=mechanism, client="192.0.2.1", session_id="s", secure=1, **how))


def more(a, said, response):
    return a.answer(a.ask("imap-login", "auth_more", exchange=said["exchange"], response=response))


def plain(a, user, password):
    got = start(a, "PLAIN", has_initial=1, initial=f"\0{user}\0{password}")
    return got["result"], got["account"].decode()


@needs_it
def test_plain(auth):
    assert plain(auth, "anna@hermod.test", "anna-secret") == (OK, "anna@hermod.test")
    assert plain(auth, "Anna@HERMOD.test", "anna-secret") == (OK, "anna@hermod.test")
    assert plain(auth, "anna@other.test", "another") == (OK, "anna@other.test")
    assert plain(auth, "eva@hermod.test", "geh\u00e4im")[0] == OK
    assert plain(auth, "both@hermod.test", "of-the-table")[0] == OK		# the table comes first
    for user, password in (("anna@hermod.test", "another"), ("anna@hermod.test", ""), ("anna", "anna-secret"), ("both@hermod.test", "of sasldb"),
                           ("nobody@hermod.test", "anna-secret"), ("anna@hermod.test", "anna-secret\0")):
        assert plain(auth, user, password)[0] == FAILED, user
    assert "anna-secret" not in auth.log()


@needs_it
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_scram(auth, mechanism):
    """The keys are made as they are needed; their salt stays, as that of a name that nobody has does."""
    salts = {}
    for user, password, want in (("anna@hermod.test", "anna-secret", OK), ("anna@hermod.test", "wrong", FAILED), ("ANNA@hermod.test", "anna-secret", OK),
                                 ("anna@other.test", "anna-secret", FAILED), ("nobody@hermod.test", "nobody", FAILED), ("nobody@hermod.test", "x", FAILED),
                                 ("eva@hermod.test", "geh\u00e4im", FAILED), ("both@hermod.test", "of-the-table", OK),
                                 ("both@hermod.test", "of sasldb", FAILED)):
        client = Scram(mechanism, user, password)
        said = more(auth, first := start(auth, mechanism, has_initial=1, initial=client.first()), client.last(first["challenge"]))
        if want == OK:
            assert said["result"] == CONTINUE and client.proven(said["challenge"])
            said = more(auth, said, b"")
        assert said["result"] == want, user
        assert client.iterations == 8192 and salts.setdefault(user.lower(), client.salt) == client.salt


@needs_it
def test_cram_md5(auth):
    for user, password, want in (("anna@hermod.test", "anna-secret", OK), ("anna@hermod.test", "wrong", FAILED), ("nobody@hermod.test", "", FAILED)):
        said = start(auth, "CRAM-MD5")
        proof = hmac.new(password.encode(), said["challenge"], "md5").hexdigest()
        assert more(auth, said, f"{user} {proof}")["result"] == want


@needs_it
def test_changes(auth, file):
    """A new account is there at once, a password that was changed in a second."""
    put(file, "new", "hermod.test", "fresh")
    assert plain(auth, "new@hermod.test", "fresh")[0] == OK
    put(file, "anna", "hermod.test", "changed")
    wait_for(lambda: plain(auth, "anna@hermod.test", "changed")[0] == OK, 20 * patience(), step=0.3)
    put(file, "new", "hermod.test", None)
    wait_for(lambda: plain(auth, "new@hermod.test", "fresh")[0] == FAILED, 20 * patience(), step=0.3)
    os.rename(file, file + ".away")
    wait_for(lambda: plain(auth, "anna@hermod.test", "changed")[0] == UNAVAILABLE, 20 * patience(), step=0.3)
    assert plain(auth, "both@hermod.test", "of-the-table")[0] == OK
    os.rename(file + ".away", file)
    wait_for(lambda: plain(auth, "anna@hermod.test", "changed")[0] == OK, 20 * patience(), step=0.3)


@needs_it
def test_damaged(file, tmp_path):
    """Half a file is no answer; what the table has is none of its business."""
    with open(file, "r+b") as f:
        f.truncate(os.path.getsize(file) // 2)
    auth = begin(file, tmp_path)
    try:
        assert plain(auth, "anna@hermod.test", "anna-secret")[0] == UNAVAILABLE
        assert plain(auth, "both@hermod.test", "of-the-table")[0] == OK
        assert "nobody of it has an account until it is right" in auth.log()
    finally:
        auth.end()


@needs_it
def test_mail(file):
    r = Alone("router", settings(file), asked_by=["smtpd"])
    try:
        def rcpt(address):
            return r.answer(r.ask("smtpd", "rcpt_check", client="192.0.2.1", recipient=address), service="smtpd")
        got = rcpt("Anna+x@hermod.test")
        assert [(x["mailbox"], x["uid"], x["gid"]) for x in split_run("route", got["routes"])] == [(b"maildir:/m/hermod.test/anna/Maildir", 5000, 5001)]
        assert rcpt("nobody@hermod.test")["code"] == 550 and rcpt("off@hermod.test")["code"] == 550
    finally:
        r.end()


def test_faults(make_suite, tmp_path):
    suite = make_suite(start=False, sasldb_file=str(tmp_path / "none"))
    r = suite.hermod("check", check=False)
    assert r.returncode != 0
    assert ("sasldb_file: " + str(tmp_path / "none") + ": No such file" if HERE else "this build has no Berkeley DB") in r.stdout + r.stderr
