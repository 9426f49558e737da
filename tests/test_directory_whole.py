# SPDX-License-Identifier: ISC
"""Accounts of an LDAP server, SQLite and PostgreSQL in the whole suite: who logs in, who gets mail, and what a server that is gone does."""
import imaplib
import os
import poplib
import re
import signal
import smtplib
import sqlite3

import pytest

from hermodtest.certificates import openssl
from hermodtest.directories import Postgres, Slapd
from hermodtest.proc import wait_for
from hermodtest.suite import PASSWORD, build_dir, patience

CONFIG = open(os.path.join(build_dir(), "config.h")).read()
DORA, DISABLED = "dora@hermod.test", "gone@hermod.test"
QUERY = "SELECT password, mailbox, state FROM accounts WHERE name = $1"
TABLE = "CREATE TABLE accounts (name text PRIMARY KEY, password text, mailbox text, state text)"
CRYPTED = openssl("passwd", "-6", PASSWORD).decode().strip()
ROWS = f"INSERT INTO accounts VALUES ('{DORA}', '{CRYPTED}', NULL, NULL), ('{DISABLED}', '{CRYPTED}', NULL, 'disabled')"
AT_ONCE = {"directory_cache_time": "0s", "directory_timeout": "2s"}


class Ldap(Slapd):
    def __init__(self):
        super().__init__()
        self.settings = {"account_directory": "ldap", "ldap_uri": f"ldap://127.0.0.1:{self.port}", "ldap_base": "ou=people,dc=test",
                         "ldap_attributes": ["state=employeeType"], **AT_ONCE}

    def begin(self):
        self.start()
        self.add_tree()
        self.person("dora", userPassword=PASSWORD)
        self.person("gone", userPassword=PASSWORD, employeeType="disabled")


class Sql(Postgres):
    def __init__(self):
        super().__init__()
        self.settings = {"account_directory": "postgresql", "sql_query": QUERY,
                         "sql_database": f"host={self.sockets} port={self.port} user=owner dbname=postgres", **AT_ONCE}

    def begin(self):
        self.start()
        self.sql(f"{TABLE}; {ROWS}")


class Lite:
    def __init__(self, folder):
        self.path = os.path.join(folder, "accounts.db")
        self.settings = {"account_directory": "sqlite", "sql_query": QUERY, "sql_database": self.path, **AT_ONCE}

    def begin(self):
        with sqlite3.connect(self.path) as db:
            db.execute(TABLE)
            db.execute(ROWS)
        db.close()

    def kill(self):
        os.rename(self.path, self.path + ".away")

    def start(self):
        os.rename(self.path + ".away", self.path)

    def end(self):
        pass


@pytest.fixture(params=["LDAP", "SQLITE", "POSTGRESQL"])
def server(request, public_path):
    if f"#define HAVE_{request.param} 1" not in CONFIG:
        pytest.skip(f"this build has no {request.param}")
    if request.param == "SQLITE":
        s = Lite(public_path)                   # hermod-directory is another user
    else:
        s = {"LDAP": Ldap, "POSTGRESQL": Sql}[request.param]()
    try:
        s.begin()
        yield s
    finally:
        s.end()


def imap(suite, user, password):
    """What is said to a login."""
    c = imaplib.IMAP4("127.0.0.1", suite.imap_port)
    try:
        c.login(user, password)
        return "OK " + str(len(c.select()[1][0]) and int(c.select()[1][0]))
    except imaplib.IMAP4.error as e:
        return str(e)
    finally:
        c.shutdown()


def rcpt(suite, address):
    with suite.smtp() as c:
        c.ehlo()
        c.mail("a@elsewhere.test")
        return c.rcpt(address)


def test_accounts(make_suite, server):
    suite = make_suite(**server.settings)
    assert imap(suite, DORA, PASSWORD) == "OK 0"
    for user, password in ((DORA, "wrong"), (DORA, PASSWORD.upper()), ("nobody@hermod.test", PASSWORD), (DISABLED, PASSWORD)):
        assert "AUTHENTICATIONFAILED" in imap(suite, user, password), user
    suite.send(DORA)
    assert b"Hello." in suite.maildir("dora").wait(1)[0]
    assert imap(suite, "Dora@HERMOD.test", PASSWORD) == "OK 1"
    pop = poplib.POP3("127.0.0.1", suite.pop3_port)
    pop.user(DORA), pop.pass_(PASSWORD)
    assert pop.stat()[0] == 1
    pop.quit()
    assert rcpt(suite, "nobody@hermod.test")[0] == 550
    suite.send("anna")                          # of the table: the directory is not asked
    suite.maildir("anna").wait(1)
    suite.kill("directory")                     # and started again
    wait_for(lambda: rcpt(suite, DORA)[0] == 250, 30 * patience())
    wait_for(lambda: imap(suite, DORA, PASSWORD) == "OK 1", 30 * patience())


def test_server_that_is_gone(make_suite, server):
    """Nobody becomes unknown by that; who is in the table does not notice."""
    suite = make_suite(**server.settings)
    assert rcpt(suite, DORA)[0] == 250
    server.kill()
    assert rcpt(suite, DORA)[0] == 451 and rcpt(suite, "nobody@hermod.test")[0] == 451
    assert "UNAVAILABLE" in imap(suite, DORA, PASSWORD)
    suite.wait_log("directory.*: the directory cannot be asked: ")
    suite.send("anna")
    suite.maildir("anna").wait(1)
    assert imap(suite, "anna@hermod.test", suite.password) == "OK 1"
    server.start()
    wait_for(lambda: rcpt(suite, DORA)[0] == 250, 30 * patience())
    # Each connection to the server finds out by itself, a second after its last attempt in vain at the soonest.
    wait_for(lambda: rcpt(suite, "nobody@hermod.test")[0] == 550, 30 * patience())
    suite.wait_log("the directory answers again")
    wait_for(lambda: imap(suite, DORA, PASSWORD) == "OK 0", 30 * patience())


# ---- hermod check ----

LDAP = {"account_directory": "ldap", "ldap_uri": "ldaps://ldap.test", "ldap_base": "dc=test"}
SQLITE = {"account_directory": "sqlite", "sql_database": "/nonexistent/accounts.db", "sql_query": QUERY}
POSTGRESQL = {"account_directory": "postgresql", "sql_database": "host=127.0.0.1 user=mail", "sql_query": QUERY}


@pytest.mark.parametrize("settings, words", [
    ({"account_directory": "mysql"}, 'right would be one of: "", ldap, sqlite, postgresql'),
    ({**LDAP, "ldap_ca_file": "/nonexistent"}, "ldap_ca_file: /nonexistent: No such file"),
    ({**LDAP, "ldap_filter": "(mail=anna)"}, "ldap_filter: not one filter"),
    ({**LDAP, "ldap_uri": "ldap://ldap.test"}, "right would be ldaps:// in it, or ldap_starttls = yes"),
    ({**LDAP, "ldap_attributes": ["a=b"]}, "ldap_attributes: .*right would be FIELD=ATTRIBUTE"),
    ({**LDAP, "ldap_bind_dn": "cn=a", "ldap_password_file": "/nonexistent"}, "ldap_password_file: /nonexistent: No such file"),
    (SQLITE, "sql_database: /nonexistent/accounts.db: No such file"),
    ({**SQLITE, "sql_query": "SELECT 1"}, "sql_query: has no [$]1"),
    ({**POSTGRESQL, "sql_database": "host=db.test user=mail"}, "right would be sslmode=verify-full"),
    ({**POSTGRESQL, "sql_database": "host=db.test user=mail password=x"}, "a password does not stand there but in sql_password_file"),
    ({**POSTGRESQL, "sql_password_file": "/nonexistent"}, "sql_password_file: /nonexistent: No such file"),
    ({**POSTGRESQL, "sql_database": "host=127.0.0.1 user=mail sslrootcert=/nonexistent"}, "sslrootcert: /nonexistent: No such file"),
    (POSTGRESQL, None)], ids=range(13))
def test_check(make_suite, settings, words):
    suite = make_suite(start=False)
    suite.write_conf(**settings)
    r = suite.hermod("check", check=False)
    kind = settings["account_directory"].upper()
    if kind != "MYSQL" and f"#define HAVE_{kind} 1" not in CONFIG and "ldap_attributes" not in settings:   # that is wrong by itself
        words = "account_directory: this build knows no .*; right would be one that was configured where lib.*-dev is installed"
    if words is None:
        assert r.returncode == 0, r.stdout + r.stderr
    else:
        assert r.returncode == 78 and re.search(words, r.stdout + r.stderr), r.stdout + r.stderr


@pytest.mark.root
def test_check_reads_as_the_process_would(make_suite, tmp_path):
    """A file that root can read, and hermod-directory cannot."""
    if "#define HAVE_POSTGRESQL 1" not in CONFIG:
        pytest.skip("this build has no PostgreSQL")
    suite = make_suite(start=False, users=())
    secret = os.path.join(suite.dir, "etc", "secret")
    with open(secret, "w") as f:
        f.write("secret\n")
    os.chmod(secret, 0o600)
    suite.write_conf(**POSTGRESQL, sql_password_file=secret)
    r = suite.hermod("check", check=False)
    assert r.returncode == 78 and f"sql_password_file: {secret}: Permission denied" in r.stdout
    os.chmod(secret, 0o644)
    r = suite.hermod("check", check=False)
    assert r.returncode == 78 and "chmod 640" in r.stdout
