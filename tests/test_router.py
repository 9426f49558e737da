# SPDX-License-Identifier: ISC
"""What is said at RCPT: domains, aliases, accounts, and tables that do not answer."""
import os
import subprocess
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import patience


def aliases(s, text):
    """Replaces the alias file, by rename as editors and newaliases do."""
    path = os.path.join(s.dir, "etc", "aliases")
    with open(path + ".new", "w") as out:
        out.write(text)
    os.rename(path + ".new", path)


def rcpt(s, address, sender="x@client.test"):
    c = s.smtp()
    try:
        c.ehlo()
        assert c.mail(sender)[0] == 250
        code, text = c.rcpt(address)
        return f"{code} {text.decode()}"
    finally:
        c.close()


def until(s, address, start):
    wait_for(lambda: rcpt(s, address).startswith(start), 8 * patience(), step=0.3,
             why=lambda: f"{address}: {rcpt(s, address)}")


@pytest.mark.parametrize("address, want", [
    ("anna@hermod.test", "250"),
    ("anna@HERMOD.Test", "250"),
    ("ANNA@hermod.test", "250"),
    ('"anna"@hermod.test', "250"),
    ("anna+lists@hermod.test", "250"),
    ("anna@[127.0.0.1]", "250"),
    ("postmaster@hermod.test", "250"),
    ("postmaster@mx.hermod.test", "250"),
    ("nobody@hermod.test", "550 5.1.1"),
    ("nobody+anna@hermod.test", "550 5.1.1"),
    ("anna@mx.hermod.test", "550 5.1.1"),
    ("anna@elsewhere.test", "554 5.7.1"),
    ("anna@sub.hermod.test", "554 5.7.1"),
    ("anna@[192.0.2.1]", "554 5.7.1"),
    ("anna%elsewhere.test@hermod.test", "550 5.1.1"),
    ('"anna@elsewhere.test"@hermod.test', "550 5.1.1"),
    ("@hermod.test:anna@elsewhere.test", "554 5.7.1"),
    ('"../../etc/passwd"@hermod.test', "550 5.1.1"),
])
def test_recipients(shared_suite, address, want):
    assert rcpt(shared_suite, address).startswith(want)


def test_bare_postmaster(shared_suite):
    assert rcpt(shared_suite, "postmaster").startswith("250")
    assert rcpt(shared_suite, "PostMaster").startswith("250")


@pytest.mark.settings(trusted_networks=["127.0.0.0/8"],
                      routes=["closed.test error:5.1.2 it has closed", "busy.test error:4.3.2 not today"])
def test_trusted_client_may_send_elsewhere(suite):
    assert rcpt(suite, "anna@elsewhere.test").startswith("250")
    assert rcpt(suite, "anna@closed.test") == "550 5.1.2 it has closed"
    assert rcpt(suite, "anna@busy.test") == "451 4.3.2 not today"


@pytest.mark.settings(relay_domains=["backup.test"])
def test_a_domain_that_is_taken_for_another_host(suite):
    assert rcpt(suite, "anna@backup.test").startswith("250")
    assert rcpt(suite, "anna@sub.backup.test").startswith("554 5.7.1")


def test_aliases(make_suite):
    s = make_suite(start=False)
    aliases(s, "postmaster: anna\n# a comment\nteam: anna,\n  bert@hermod.test, postmaster\n"
               "run: |/bin/cat\nfile: /tmp/x\nlist: :include:/tmp/x\naway: x@elsewhere.test\n"
               "ring: ring2\nring2: ring\n")
    s.start()
    s.send("team")
    s.maildir("anna").wait(1)
    s.maildir("bert").wait(1)
    s.wait_queue_empty()
    assert len(s.maildir("anna").files()) == 1		# by two ways, once
    for later in ("run", "file", "list"):
        assert rcpt(s, f"{later}@hermod.test").startswith("451 4.3.5")
        s.wait_log(rf"alias {later}@hermod\.test: ")
    assert rcpt(s, "ring@hermod.test").startswith("550 5.1.1")
    assert rcpt(s, "away@hermod.test").startswith("250")	# by this host's own wish, no relaying

    aliases(s, "postmaster: anna\nteam: bert\nfresh: anna\n")
    until(s, "fresh@hermod.test", "250")
    assert rcpt(s, "ring@hermod.test").startswith("550 5.1.1")


def test_broken_alias_file_keeps_the_old(make_suite):
    s = make_suite(start=False)
    aliases(s, "postmaster: anna\nteam: bert\n")
    s.start()
    assert rcpt(s, "team@hermod.test").startswith("250")
    aliases(s, "team: bert\nthis is no alias\n")
    wait_for(lambda: rcpt(s, "team@hermod.test").startswith("250")
             and "line 2: not understood; right would be: name: address, ...; what was there before still counts"
             in s.log(), 8 * patience(), step=0.3)
    assert rcpt(s, "team@hermod.test").startswith("250")
    aliases(s, "other: bert\n")
    until(s, "other@hermod.test", "250")
    assert rcpt(s, "team@hermod.test").startswith("550")


@pytest.mark.parametrize("which", ["accounts.lmdb", "aliases"])
def test_missing_table_is_never_550(make_suite, which):
    s = make_suite()
    path = os.path.join(s.dir, "etc", which)
    os.rename(path, path + ".away")
    until(s, "anna@hermod.test", "451 4.3.0")
    assert rcpt(s, "nobody@hermod.test").startswith("451 4.3.0")
    os.rename(path + ".away", path)
    until(s, "anna@hermod.test", "250")
    assert rcpt(s, "nobody@hermod.test").startswith("550")


def test_half_written_text_table(make_suite):
    """A table that an editor is writing is not taken: half of it would look whole."""
    s = make_suite(start=False, users=())
    table = os.path.join(s.dir, "etc", "table")
    s.write_conf(account_map="text:" + table)
    s.add_account("anna")
    s.add_account("bert")
    whole = open(table).read()
    s.start()
    end = time.monotonic() + 3
    while time.monotonic() < end:			# written again and again, never at rest
        with open(table, "w") as out:
            out.write(whole[:40])
            out.flush()
            time.sleep(0.1)
            out.write(whole[40:])
        assert rcpt(s, "bert@hermod.test").startswith("250")


def test_router_killed(suite):
    suite.kill("router")
    answers = []

    def fine():
        answers.append(rcpt(suite, "anna@hermod.test")[:3])
        return answers[-1] == "250"
    wait_for(fine, 10 * patience(), step=0.05)
    assert set(answers) <= {"250", "451"}


def test_nobody_is_postmaster(make_suite):
    s = make_suite(start=False)
    aliases(s, "nothing: anna\n")
    s.start()
    s.wait_log(r"nobody reads mail to postmaster")
    assert rcpt(s, "postmaster").startswith("451 4.3.5")
    s.stop()
    s.write_conf(postmaster_address="bert@hermod.test")
    s.start()
    assert rcpt(s, "postmaster").startswith("250")


def test_subaddress_is_kept_for_the_reader(suite):
    suite.send("anna+lists")
    assert b"Delivered-To: anna+lists@hermod.test" in suite.maildir("anna").wait(1)[0]


@pytest.mark.settings(recipient_delimiter="")
def test_no_subaddresses(suite):
    assert rcpt(suite, "anna+lists@hermod.test").startswith("550 5.1.1")


def test_passwd_users_have_mailboxes(make_suite):
    """System accounts come from passwd_file alone: a confined process cannot ask NSS."""
    s = make_suite(start=False)
    passwd = os.path.join(s.dir, "etc", "passwd")
    uid = 60950 if os.geteuid() == 0 else os.getuid()
    home = os.path.join(s.dir, "home", "carl")
    os.makedirs(home)
    os.chown(home, uid, -1)
    with open(passwd, "w") as out:
        out.write(f"root:x:0:0::/root:/bin/sh\ncarl:x:{uid}:{uid if os.geteuid() == 0 else os.getgid()}::{home}:/bin/sh\n")
    s.write_conf(system_accounts=True, passwd_file=passwd)
    s.start()
    assert rcpt(s, "root@hermod.test").startswith("550 5.1.1")
    s.send("carl")
    wait_for(lambda: os.path.isdir(os.path.join(home, "Maildir", "new"))
             and os.listdir(os.path.join(home, "Maildir", "new")), 20 * patience())


@pytest.mark.parametrize("kind", ["lmdb", "hash", "btree"])
def test_newaliases(make_suite, kind):
    """An indexed alias table is made of the text of that name, while a confined router reads it."""
    s = make_suite(start=False)
    s.write_conf(alias_map=f"{kind}:{s.dir}/etc/aliases")

    def newaliases():
        return subprocess.run([os.path.join(s.build, "bin", "newaliases"), "-C", s.conf], env=s.environment(),
                              capture_output=True, text=True)
    aliases(s, "postmaster: anna\nTeam: anna,\n\tbert\n")
    r = newaliases()
    assert r.returncode == 0 and "2 aliases" in r.stdout, r.stderr
    s.start()
    s.send("TEAM")
    s.maildir("bert").wait(1)
    aliases(s, "postmaster: anna\nother: bert\n")
    assert newaliases().returncode == 0
    until(s, "other@hermod.test", "250")
    until(s, "team@hermod.test", "550 5.1.1")
    aliases(s, "this is no alias\n")
    r = newaliases()
    assert r.returncode == 65 and "line 1" in r.stderr
    assert rcpt(s, "other@hermod.test").startswith("250")
