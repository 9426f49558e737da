# SPDX-License-Identifier: ISC
"""
directory, which asks LDAP, SQLite and PostgreSQL about accounts: what it makes of what real servers say, and what it does when they
say nothing. The process is alone here (hermodtest/alone.py): the test is router, auth and the resolver.
"""
import os
import re
import shutil
import signal
import socket
import sqlite3
import threading
import time

import pytest

from hermodtest import proc
from hermodtest.directories import FAILED, NO, NOT_SURE, YES, Directory, Postgres, Slapd, ldif
from hermodtest.proc import free_ports, wait_for
from hermodtest.suite import build_dir, patience

CONFIG = open(os.path.join(build_dir(), "config.h")).read()
HASH = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
SCRAM = "8192:c2FsdA==$c3RvcmVk:c2VydmVy"
ANNA = "anna@hermod.test"


def needs(name):
    return pytest.mark.skipif(f"#define HAVE_{name} 1" not in CONFIG, reason=f"this build has no {name}")


@pytest.fixture
def directory():
    made = []

    def make(settings, **more):
        made.append(Directory(settings, **more))
        return made[-1]
    yield make
    for d in made:
        if d.control.sock.fileno() != -1:
            d.end()


# ---- SQLite ----

TABLE = """CREATE TABLE accounts (name TEXT PRIMARY KEY, password TEXT, scram_sha_1 TEXT, scram_sha_256 TEXT, mailbox TEXT,
uid INTEGER, gid INTEGER, state TEXT, other TEXT)"""


class File:
    def __init__(self, folder, wal=False):
        self.path = os.path.join(folder, "accounts.db")
        self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.db.execute(f"PRAGMA journal_mode = {'wal' if wal else 'delete'}")
        self.db.execute(TABLE)

    def add(self, name, **columns):
        columns = {"name": name, **columns}
        self.db.execute(f"INSERT OR REPLACE INTO accounts ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                        list(columns.values()))

    @property
    def settings(self):
        return {"account_directory": "sqlite", "sql_database": self.path, "directory_cache_time": "0s",
                "sql_query": "SELECT password, scram_sha_1, scram_sha_256, mailbox, uid, gid, state FROM accounts WHERE name = $1"}


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "db"
    folder.mkdir()
    f = File(str(folder))
    yield f
    f.db.close()


@needs("SQLITE")
def test_sqlite(file, directory):
    file.add(ANNA, password=HASH, scram_sha_1=SCRAM, scram_sha_256=SCRAM, mailbox="maildir:/var/mail/anna", uid=1000, gid=1001,
             state="active")
    file.add("bert@hermod.test")
    file.add("carl@hermod.test", password=HASH, state="disabled")
    d = directory(file.settings)
    assert d.get(ANNA) == {"password": HASH, "scram-sha-1": SCRAM, "scram-sha-256": SCRAM, "mailbox": "maildir:/var/mail/anna",
                           "uid": "1000", "gid": "1001", "state": "active"}
    assert d.get("bert@hermod.test") == {"state": "active"}
    assert d.get("carl@hermod.test") == {"password": HASH, "state": "disabled"}
    assert d.get("nobody@hermod.test") == NO
    assert d.get(ANNA, "router") == {"mailbox": "maildir:/var/mail/anna", "uid": "1000", "gid": "1001", "state": "active"}
    assert d.check(ANNA, "x") == NOT_SURE and HASH not in d.log()


@needs("SQLITE")
def test_names_that_nobody_has(tmp_path, directory):
    """No server is asked: this one has no file."""
    d = directory({"account_directory": "sqlite", "sql_database": str(tmp_path / "none.db"),
                   "sql_query": "SELECT mailbox FROM accounts WHERE name = $1"})
    for name in (b"a\0b@x.test", b"a\nb@x.test", b"\xff@x.test", b"a\x7f@x.test", b"\xc0\x80@x.test"):
        assert d.get(name) == NO, name
    assert "cannot be asked" not in d.log()
    assert d.get("a" * 309 + "@hermod.tst") == NOT_SURE
    assert re.search(r"the directory cannot be asked: .*none.db: No such file or directory", d.log())


@needs("SQLITE")
@pytest.mark.parametrize("columns, words", [
    ({"mailbox": "maildir:/a/../b"}, "its mailbox is not like"), ({"mailbox": "/var/mail"}, "its mailbox is not like"),
    ({"mailbox": "maildir:/a\nuid=0"}, "its mailbox holds a control"), ({"mailbox": "maildir:/a\0b"}, "its mailbox holds a control"),
    ({"password": "a\nuid=0"}, "its password holds a control"), ({"mailbox": "maildir:/" + "a" * 8200}, "its mailbox is too long"),
    ({"password": "a" * 8000, "scram_sha_1": "b" * 190}, "it is too long"),
    ({"uid": 0}, "its uid is no number"), ({"uid": -5}, "its uid is no number"), ({"uid": 2 ** 32 - 1}, "its uid is no number"),
    ({"gid": "x"}, "its gid is no number"), ({"state": "Active"}, "its state is neither"), ({"state": "no"}, "its state is neither")])
def test_values(file, directory, columns, words):
    """What would not be an account by the rules of the account table is not guessed at."""
    file.add(ANNA, **columns)
    d = directory(file.settings)
    for service in ("auth", "router"):
        assert d.get(ANNA, service) == NOT_SURE
    assert re.search(f"account {ANNA}: .*{words}", d.log())
    file.add(ANNA)
    assert d.get(ANNA) == {"state": "active"}


@needs("SQLITE")
def test_passwords(file, directory):
    d = directory(file.settings, allow_plain_passwords=True)
    for stored, row in (("{CRYPT}" + HASH, HASH), ("{crypt}$6$a$b", "$6$a$b"), ("$6$a$b", "$6$a$b"), ("{PLAIN}a b", "{PLAIN}a b"),
                        ("{CLEARTEXT}a}b", "{PLAIN}a}b"), ("", None), ("{SSHA}abcd", None), ("{crypt", None),
                        ("{crypt}$6$rounds=999999999$a$b", None)):      # minutes of CPU, which somebody may have wished for
        file.add(ANNA, password=stored)
        assert d.get(ANNA).get("password") == row, stored
    said = [line for line in d.log().split("\n") if "of a scheme that is not known here" in line]
    assert len(said) == 1 and "SSHA" not in said[0] and "abcd" not in d.log()


@needs("SQLITE")
@pytest.mark.parametrize("query, words", [
    ("SELECT mailbox, other FROM accounts WHERE name = $1", "gives a column other, which means nothing"),
    ("SELECT mailbox AS x FROM accounts WHERE name = $1", "gives a column x, which means nothing"),
    ("SELECT mailbox FROM nowhere WHERE name = $1", "no such table: nowhere"),
    ("SELECT mailbox FROM accounts WHERE $1 = $1", "there is more than one row"),
    ("SELECT mailbox, mailbox FROM accounts WHERE name = $1", "there is more than one mailbox"),
    ("SELECT mailbox FROM accounts WHERE name = $1 AND uid = ?5", "has other parameters than"),
    ("SELECT mailbox FROM accounts WHERE name = '$1'", "has other parameters than"),
    ("SELECT mailbox FROM accounts WHERE name = $1; SELECT 1", "not one statement that reads"),
    ("DELETE FROM accounts WHERE name = $1", "not authorized|not one statement|readonly"),
    ("PRAGMA user_version = 3; SELECT $1", "not authorized|not one statement"),
    ("ATTACH $1 AS other", "not authorized|not one statement"),
    ("SELECT load_extension($1) AS mailbox", "not authorized|no such function")])
def test_queries(file, directory, query, words):
    """What cannot be right is never a no."""
    for name in (ANNA, "bert@hermod.test"):
        file.add(name, mailbox="maildir:/a")
    d = directory(file.settings, sql_query=query)
    assert d.get(ANNA) == NOT_SURE
    assert re.search(words, d.log()), d.log()
    assert len(file.db.execute("SELECT * FROM accounts").fetchall()) == 2


@needs("SQLITE")
def test_one_column_may_have_any_case(file, directory):
    file.add(ANNA, mailbox="maildir:/a")
    d = directory(file.settings, sql_query="SELECT mailbox AS \"MailBox\" FROM accounts WHERE name = $1 LIMIT 1 ; ")
    assert d.get(ANNA) == {"mailbox": "maildir:/a", "state": "active"}


INJECTIONS = ["' OR '1'='1", "x'; DROP TABLE accounts; --", "\" OR \"\"=\"", "$1", "%", "_%", "\\'", "*)(uid=*))(|(uid=*", "*", "(", ")", "a)(b",
              "\\2a", "uid=anna,ou=people", "{}", "é@hermod.test", "anna@hermod.test ", " anna@hermod.test", "anna@hermod.test)",
              "x" * 320]


@needs("SQLITE")
def test_injection(file, directory):
    file.add(ANNA, mailbox="maildir:/a")
    d = directory(file.settings)
    for name in INJECTIONS:
        assert d.get(name) == NO, name
    for name in INJECTIONS:
        file.add(name, mailbox="maildir:/b")
        assert d.get(name)["mailbox"] == "maildir:/b", name
    assert d.get(ANNA)["mailbox"] == "maildir:/a"


@needs("SQLITE")
def test_file_that_is_replaced(file, directory):
    file.add(ANNA, mailbox="maildir:/a")
    d = directory(file.settings)
    assert d.get(ANNA)["mailbox"] == "maildir:/a"
    file.add(ANNA, mailbox="maildir:/b")
    assert d.get(ANNA)["mailbox"] == "maildir:/b"
    os.unlink(file.path)
    assert d.get(ANNA) == NOT_SURE and "No such file" in d.log()
    again = File(os.path.dirname(file.path))
    again.add(ANNA, mailbox="maildir:/c")
    wait_for(lambda: d.get(ANNA) != NOT_SURE, 20 * patience())
    assert d.get(ANNA)["mailbox"] == "maildir:/c" and "the directory answers again" in d.log()
    again.db.close()


@needs("SQLITE")
@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be looked at " * 100])
def test_file_that_is_none(file, directory, content):
    d = directory(file.settings)
    with open(file.path + ".new", "wb") as f:
        f.write(content)
    os.rename(file.path + ".new", file.path)
    assert d.get(ANNA) == NOT_SURE
    assert re.search("not a database|no such table", d.log())


@needs("SQLITE")
def test_wal(tmp_path, directory):
    """Another program writes, then ends, then begins anew."""
    f = File(str(tmp_path), wal=True)
    f.add(ANNA, mailbox="maildir:/a")
    d = directory(f.settings)
    assert os.path.exists(f.path + "-wal")
    for i in range(20):
        f.add(ANNA, mailbox=f"maildir:/{i}")
        assert d.get(ANNA)["mailbox"] == f"maildir:/{i}"
    f.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert d.get(ANNA)["mailbox"] == "maildir:/19"
    f.db.close()
    assert not os.path.exists(f.path + "-wal") and not os.path.exists(f.path + "-shm")
    assert d.get(ANNA)["mailbox"] == "maildir:/19" and d.get("nobody@hermod.test") == NO
    assert sorted(os.listdir(tmp_path)) == ["accounts.db"]
    db = sqlite3.connect(f.path, isolation_level=None)
    db.execute("UPDATE accounts SET mailbox = 'maildir:/last'")
    assert d.get(ANNA)["mailbox"] == "maildir:/last"
    db.close()
    assert d.get(ANNA)["mailbox"] == "maildir:/last"


@needs("SQLITE")
def test_wal_of_a_program_that_died(tmp_path, directory):
    f = File(str(tmp_path), wal=True)
    f.add(ANNA, mailbox="maildir:/a")
    folder = tmp_path / "died"
    folder.mkdir()
    for end in ("", "-wal", "-shm"):
        shutil.copy(f.path + end, folder)
    f.db.close()
    settings = {**f.settings, "sql_database": str(folder / "accounts.db")}
    d = directory(settings)
    assert d.get(ANNA)["mailbox"] == "maildir:/a" and d.get("nobody@hermod.test") == NO
    os.unlink(folder / "accounts.db-shm")
    assert d.get(ANNA) == NOT_SURE                  # it is for a program that may write


@needs("SQLITE")
def test_wal_of_a_busy_writer(tmp_path, directory):
    """It writes, checkpoints, closes and opens all the time: each answer is one that was true."""
    f = File(str(tmp_path), wal=True)
    f.add(ANNA, mailbox="maildir:/a")
    f.add("bert@hermod.test", mailbox="maildir:/a")
    f.db.close()
    d, over = directory(f.settings), threading.Event()

    def write():
        while not over.is_set():
            db = sqlite3.connect(f.path, isolation_level=None, timeout=60)
            for i in range(20):
                db.execute("UPDATE accounts SET mailbox = ?", [f"maildir:/{'b' * (i % 7 * 500 + 1)}"])
            db.close()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        good = 0
        for _ in range(200):
            said = d.get(ANNA)
            assert said == NOT_SURE or re.fullmatch("maildir:/(a|b+)", said["mailbox"])
            good += said != NOT_SURE
            if said == NOT_SURE:
                time.sleep(1.1)         # it is left alone for a second
            if good >= 50:
                break
        assert good >= 5
    finally:
        over.set()
        writer.join()


@needs("SQLITE")
def test_locked(file, directory):
    """No answer for directory_timeout, then not sure; and who asks next does not wait."""
    file.add(ANNA, mailbox="maildir:/a")
    d = directory(file.settings, directory_timeout="1s")
    file.db.execute("BEGIN EXCLUSIVE")
    calls = [d.begin(ANNA) for _ in range(50)]
    began = time.monotonic()
    assert all(d.got(c) == NOT_SURE for c in calls)
    assert time.monotonic() - began < 30 * patience()           # and not fifty times one
    assert re.search("database is locked: no answer within directory_timeout", d.log())
    file.db.execute("COMMIT")
    wait_for(lambda: d.get(ANNA) != NOT_SURE, 20 * patience())


@needs("SQLITE")
def test_query_without_end(file, directory):
    d = directory(file.settings, directory_timeout="1s",
                  sql_query="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT $1 AS mailbox FROM n WHERE i = -1")
    assert d.get(ANNA) == NOT_SURE and "interrupted: no answer within directory_timeout" in d.log()


@needs("SQLITE")
def test_cache(file, directory):
    """A name that was found is found for directory_cache_time, one that was not for less; neither hashes nor what is not sure. auth
    asks each time, for a name that nobody has as for others: what comes at once would tell which it is."""
    file.add(ANNA, password=HASH, mailbox="maildir:/a")
    d = directory(file.settings, directory_cache_time="1h")
    assert d.get(ANNA, "router")["mailbox"] == "maildir:/a" and d.get("bert@hermod.test", "router") == NO
    file.add(ANNA, password="$6$new", mailbox="maildir:/b")
    file.add("bert@hermod.test", mailbox="maildir:/b")
    assert d.get(ANNA, "router") == {"mailbox": "maildir:/a", "state": "active"}
    assert d.get("bert@hermod.test", "router") == NO
    assert d.get("carl@hermod.test") == NO
    file.add("carl@hermod.test", mailbox="maildir:/c")
    assert d.get("carl@hermod.test", "router") == NO and d.get("carl@hermod.test")["mailbox"] == "maildir:/c"
    assert d.get(ANNA) == {"password": "$6$new", "mailbox": "maildir:/b", "state": "active"}
    assert d.get(ANNA, "router")["mailbox"] == "maildir:/b"             # what auth has heard counts for all
    assert b"3 names in the cache" in d.report()["note"]
    wait_for(lambda: d.get("bert@hermod.test", "router") != NO, 40 * patience())
    os.unlink(file.path)
    assert d.get(ANNA, "router")["mailbox"] == "maildir:/b" and d.get("dora@hermod.test", "router") == NOT_SURE
    assert d.get(ANNA) == NOT_SURE and d.get("nobody@hermod.test") == NOT_SURE


@needs("SQLITE")
def test_end_of_the_cache(file, directory):
    file.add(ANNA, mailbox="maildir:/a")
    d = directory(file.settings, directory_cache_time="1s")
    assert d.get(ANNA, "router")["mailbox"] == "maildir:/a"
    file.add(ANNA, mailbox="maildir:/b")
    wait_for(lambda: d.get(ANNA, "router")["mailbox"] == "maildir:/b", 20 * patience())


@needs("SQLITE")
def test_full_cache(file, directory):
    """4,096 names; one more takes the place of the first."""
    d = directory(file.settings, directory_cache_time="1h")
    for first in range(0, 4097, 512):
        for c in [d.begin(f"u{i}@hermod.test", "router") for i in range(first, min(first + 512, 4097))]:
            assert d.got(c, "router") == NO
    assert b"4096 names in the cache" in d.report()["note"]
    file.add("u0@hermod.test")
    file.add("u1@hermod.test")
    assert d.get("u1@hermod.test", "router") == NO and d.get("u0@hermod.test", "router") == {"state": "active"}


@needs("SQLITE")
def test_a_thousand_at_once(file, directory):
    for i in range(0, 1000, 2):
        file.add(f"u{i}@hermod.test", mailbox=f"maildir:/{i}")
    d = directory(file.settings, directory_timeout="40s")
    calls = [d.begin(f"u{i}@hermod.test", ("auth", "router")[i % 3 == 0]) for i in range(1000)]
    for i, c in enumerate(calls):
        said = d.got(c, ("auth", "router")[i % 3 == 0], 60)
        assert said == NO if i % 2 else said["mailbox"] == f"maildir:/{i}"


@needs("SQLITE")
@pytest.mark.parametrize("service, message, values", [
    ("auth", "directory_ask", {}), ("router", "directory_check", {"name": ANNA, "password": "x"}),
    ("auth", "directory_check", {"password": "x"}), ("auth", "pam_check", {"user": "anna"})])
def test_questions_that_make_no_sense(file, directory, service, message, values):
    """Who asks them loses the channel; others do not."""
    file.add(ANNA)
    d = directory(file.settings)
    d.ask(service, message, **values)
    wait_for(lambda: d.channels[service] in d.gone, 20 * patience())
    assert d.get(ANNA, {"auth": "router", "router": "auth"}[service]) == {"state": "active"}
    d.end(crash_allowed=True)           # of the line that says so


@needs("SQLITE")
def test_empty_password(file, directory):
    d = directory(file.settings)
    assert d.check(ANNA, "") == NO


def test_settings_that_make_no_sense(tmp_path, directory):
    """The process says so, and is never sure; hermod check would have said it before."""
    d = directory({"account_directory": "sqlite", "sql_database": str(tmp_path / "x.db"), "sql_query": "SELECT 1"})
    assert d.get(ANNA) == NOT_SURE and d.check(ANNA, "x") == NOT_SURE
    assert re.search("sql_query: has no [$]1|this build knows no SQLite", d.log())


# Memory: not so soon that the process is not ready yet.
NTH = {call: ("1", "1+", "2", "3", "5") for call in ("socket", "connect", "openat", "close", "send", "recv", "write", "pread")}
NTH.update(calloc=("60", "80", "120"), realloc=("30", "40", "60"))


@needs("SQLITE")
@pytest.mark.faults
@pytest.mark.parametrize("call, error", [("openat", "EMFILE"), ("calloc", "ENOMEM"), ("realloc", "ENOMEM")])
def test_nth_failure_sqlite(file, call, error):
    """A call fails, once or from then on: each answer is true, or not sure; without memory the process ends."""
    file.add(ANNA, mailbox="maildir:/a")
    seen = False
    for nth in NTH[call]:
        d = Directory(file.settings, env={"HERMOD_FAULT": f"directory:{call}:~{nth}:{error}"})
        died = False
        try:
            for _ in range(40):
                said = d.get(ANNA, "router")
                assert said == NOT_SURE or said["mailbox"] == "maildir:/a"
        except (AssertionError, OSError):
            died = call in ("calloc", "realloc") and d.process.wait(10) == 1
            if not died:
                raise
        seen = seen or "fault: " in d.log()
        d.end(crash_allowed=died)
    assert seen


# ---- LDAP ----

@pytest.fixture(scope="module")
def slapd_certificate(authority):
    return authority.issue("ldap.test", "127.0.0.1")


@pytest.fixture(scope="module")
def authority():
    from hermodtest.certificates import Authority
    a = Authority()
    yield a
    a.close()


@pytest.fixture(scope="module")
def tree(slapd_certificate):
    """A server for the file: each test has names of its own."""
    s = Slapd(slapd_certificate)
    try:
        s.start()
        s.add_tree()
        s.person("anna", userPassword="anna's secret", description="maildir:/var/mail/anna", employeeNumber="1000",
                 departmentNumber="1001", employeeType="active")
        s.person("carl", userPassword="carl's secret", employeeType="disabled")
        yield s
    finally:
        s.end()


def ldap(s, **more):
    return {"account_directory": "ldap", "ldap_uri": f"ldap://127.0.0.1:{s.port}", "ldap_base": "ou=people,dc=test",
            "ldap_filter": "(&(objectClass=inetOrgPerson)(mail=%s))", "directory_cache_time": "0s", "ldap_attributes": [
                "mailbox=description", "uid=employeeNumber", "gid=departmentNumber", "state=employeeType"], **more}


def with_attribute(s, folder, **more):
    secret = os.path.join(folder, "secret")
    with open(secret, "w") as f:
        f.write("hermod's secret\n")
    os.chmod(secret, 0o600)
    return ldap(s, ldap_bind_dn="cn=hermod,dc=test", ldap_password_file=secret, ldap_password="attribute",
                ldap_attributes=["password=userPassword", "scram_sha_256=title"], **more)


ROW = {"mailbox": "maildir:/var/mail/anna", "uid": "1000", "gid": "1001", "state": "active", "checks": True}


@needs("LDAP")
def test_ldap(tree, directory):
    d = directory(ldap(tree))
    assert d.get(ANNA) == ROW and d.get(ANNA, "router") == ROW
    assert d.get("ANNA@hermod.test") == ROW                         # mail is caseIgnoreIA5Match
    assert d.get("carl@hermod.test") == {"state": "disabled", "checks": True}
    assert d.get("nobody@hermod.test") == NO
    assert d.check(ANNA, "anna's secret") == YES and d.check(ANNA, "anna's secre") == NO
    assert d.check(ANNA, "") == NO and d.check("nobody@hermod.test", "anna's secret") == NO
    assert d.check("carl@hermod.test", "carl's secret") == NO       # the password is right
    assert d.check(ANNA, "anna's secret") == YES and d.get(ANNA) == ROW
    assert d.questions == [] and "secret" not in d.log()


@needs("LDAP")
def test_ldap_name(tree, directory):
    """One entry, found by names that are one to this server (RFC 4518 section 2.3): it says which of them is the account's."""
    tree.person("named")
    d = directory(ldap(tree, ldap_filter="(|(uid=%s)(mail=%s))", ldap_attributes=["name=mail"]))
    for name in ("named", "NAMED", "\uff4e\uff41med", "named@hermod.test"):
        for service in ("auth", "router"):
            assert d.get(name, service) == {"name": "named@hermod.test", "state": "active", "checks": True}


@needs("LDAP")
def test_ldap_attribute(tree, directory, tmp_path):
    """The stored password is read by who may; the server is not asked to judge it."""
    for uid, stored in (("crypt", "{CRYPT}" + HASH), ("clear", "{CLEARTEXT}x"), ("ssha", "{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3")):
        tree.person(uid, userPassword=stored, title=SCRAM)
    tree.person("twice", userPassword=["{CRYPT}" + HASH, "{CRYPT}$6$a$b"])
    d = directory(with_attribute(tree, str(tmp_path)))
    assert d.get("crypt@hermod.test") == {"password": HASH, "scram-sha-256": SCRAM, "state": "active"}
    assert d.get("crypt@hermod.test", "router") == {"state": "active"}
    assert d.get("clear@hermod.test")["password"] == "{PLAIN}x"
    assert d.get("ssha@hermod.test") == {"scram-sha-256": SCRAM, "state": "active"}
    assert 'ldap_password = "bind" has the server judge it' in d.log()
    assert d.get("twice@hermod.test") == NOT_SURE and "there is more than one password" in d.log()
    assert d.check("crypt@hermod.test", "x") == NOT_SURE


@needs("LDAP")
def test_ldap_entries(tree, directory):
    tree.person("two1", mail="two@hermod.test")
    tree.person("two2", mail="two@hermod.test")
    tree.person("two3", mail="two@hermod.test")
    tree.person("control", description="maildir:/a\nuid=0")
    tree.person("nul", description=b"maildir:/a\0b")
    tree.person("values", description=["maildir:/a", "maildir:/b"])
    tree.person("odd, name=\"x\"\\ü".replace(",", "\\,").replace('"', '\\"').replace("\\ü", "ü"), mail="odd@hermod.test",
                userPassword="odd's secret")
    d = directory(ldap(tree))
    assert d.get("two@hermod.test") == NOT_SURE and "there is more than one entry for it" in d.log()
    assert d.check("two@hermod.test", "x") == NOT_SURE
    assert d.get("control@hermod.test") == NOT_SURE and "its mailbox holds a control character" in d.log()
    assert d.get("nul@hermod.test") == NOT_SURE
    assert d.get("values@hermod.test") == NOT_SURE and "there is more than one mailbox" in d.log()
    assert d.check("odd@hermod.test", "odd's secret") == YES and d.check("odd@hermod.test", "odd's secre") == NO


@needs("LDAP")
def test_ldap_scope(tree, directory):
    tree.person("far", below="ou=others,dc=test")
    assert directory(ldap(tree)).get("far@hermod.test") == NO
    assert directory(ldap(tree, ldap_base="dc=test")).get("far@hermod.test") != NO
    assert directory(ldap(tree, ldap_base="dc=test", ldap_scope="one")).get("far@hermod.test") == NO
    assert directory(ldap(tree, ldap_base="uid=far,ou=others,dc=test", ldap_scope="base")).get("far@hermod.test") != NO
    d = directory(ldap(tree, ldap_base="ou=nowhere,dc=test"))
    assert d.get(ANNA) == NOT_SURE and "No such object" in d.log()


@needs("LDAP")
def test_ldap_injection(tree, directory):
    d = directory(ldap(tree))
    for name in [*INJECTIONS, "a*", "*@hermod.test", "anna@hermod.test)(objectClass=*", "\\61nna@hermod.test"]:
        if name != "anna@hermod.test " and name != " anna@hermod.test":         # insignificant spaces, RFC 4518 section 2.6.1
            assert d.get(name) == NO, name
            assert d.check(name, "anna's secret") == NO, name
    assert d.get(ANNA) == ROW


@needs("LDAP")
def test_ldap_passwords(tree, directory):
    """Any octets, up to the most that there may be."""
    tree.person("long", userPassword=b"\x01" + b"x" * 1022 + b"\xff")
    d = directory(ldap(tree))
    assert d.check("long@hermod.test", b"\x01" + b"x" * 1022 + b"\xff") == YES
    assert d.check("long@hermod.test", b"\x01" + b"x" * 1022) == NO
    assert d.check(ANNA, b"anna's secret\0") == NO and d.check(ANNA, b"\0") == NO


@needs("LDAP")
def test_ldap_bind_dn(tree, directory, tmp_path):
    settings = with_attribute(tree, str(tmp_path))
    with open(settings["ldap_password_file"], "w") as f:
        f.write("wrong\n")
    d = directory(settings)
    assert d.get(ANNA) == NOT_SURE and "ldap_bind_dn cannot bind: Invalid credentials" in d.log() and "wrong" not in d.log()
    os.chmod(settings["ldap_password_file"], 0o644)
    d = directory(settings)
    assert d.get(ANNA) == NOT_SURE and "everybody read it: chmod 640; until it is right" in d.log()


@needs("LDAP")
def test_ldapi(tree, directory):
    d = directory(ldap(tree, ldap_uri="ldapi://" + tree.socket.replace("/", "%2F")))
    assert d.get(ANNA) == ROW and d.check(ANNA, "anna's secret") == YES and d.check(ANNA, "x") == NO


@needs("LDAP")
@pytest.mark.parametrize("starttls", [False, True])
def test_ldap_tls(tree, directory, authority, starttls):
    port, scheme = (tree.port, "ldap") if starttls else (tree.tls_port, "ldaps")
    settings = ldap(tree, ldap_uri=f"{scheme}://LDAP.test:{port}", ldap_starttls=starttls, ldap_ca_file=authority.file)
    d = directory(settings, zone={"ldap.test": ["127.0.0.2", "127.0.0.1"]})
    assert d.get(ANNA) == ROW and d.check(ANNA, "anna's secret") == YES and d.check(ANNA, "x") == NO
    assert set(d.questions) == {"ldap.test"}
    settings["ldap_uri"] = f"{scheme}://127.0.0.1:{port}"
    d = directory(settings)
    assert d.get(ANNA) == ROW and d.questions == []


@needs("LDAP")
@pytest.mark.parametrize("starttls", [False, True])
def test_ldap_certificates(tree, directory, authority, starttls):
    """Another name, another CA: nothing is said to such a server."""
    from hermodtest.certificates import Authority
    port, scheme = (tree.port, "ldap") if starttls else (tree.tls_port, "ldaps")
    other = Authority()
    zone = {"other.test": ["127.0.0.1"], "ldap.test": ["127.0.0.1"]}
    try:
        for host, ca, words in (("other.test", authority.file, "[Hh]ostname mismatch"), ("ldap.test", other.file, "unable to get|self.signed"),
                                ("ldap.test", "/nonexistent", "unable to get|self.signed")):
            d = directory(ldap(tree, ldap_uri=f"{scheme}://{host}:{port}", ldap_starttls=starttls, ldap_ca_file=ca), zone=zone)
            assert d.get(ANNA) == NOT_SURE and d.check(ANNA, "anna's secret") == NOT_SURE
            assert re.search(f"its certificate does not prove it: .*{words}", d.log()), d.log()
    finally:
        other.close()


@needs("LDAP")
def test_ldap_expired(directory, authority):
    s = Slapd(authority.issue("ldap.test", expired=True))
    try:
        s.start()
        d = directory(ldap(s, ldap_uri=f"ldaps://ldap.test:{s.tls_port}", ldap_ca_file=authority.file), zone={"ldap.test": ["127.0.0.1"]})
        assert d.get(ANNA) == NOT_SURE and "its certificate does not prove it: certificate has expired" in d.log()
    finally:
        s.end()


@needs("LDAP")
def test_ldap_no_starttls(tree, directory, authority):
    """A server that does not offer it is not asked without."""
    s = Slapd()
    try:
        s.start()
        d = directory(ldap(s, ldap_uri=f"ldap://ldap.test:{s.port}", ldap_starttls=True, ldap_ca_file=authority.file),
                      zone={"ldap.test": ["127.0.0.1"]})
        assert d.get(ANNA) == NOT_SURE and "StartTLS: " in d.log()
    finally:
        s.end()


@needs("LDAP")
@pytest.mark.parametrize("zone, words", [({"ldap.test": FAILED}, "its address cannot be looked up"), ({}, "it has no address"),
                                         ({"ldap.test": None}, "no answer within directory_timeout|cannot be looked up")])
def test_ldap_addresses(tree, directory, authority, zone, words):
    d = directory(ldap(tree, ldap_uri="ldaps://ldap.test", ldap_ca_file=authority.file, directory_timeout="1s"), zone=zone)
    assert d.get(ANNA) == NOT_SURE
    wait_for(lambda: re.search(words, d.log()), 20 * patience())


class Between:
    """A server that the test plays, by octets; or nobody who ever answers."""

    def __init__(self, say=None):
        self.socket, self.say, self.conns = socket.create_server(("127.0.0.1", 0)), say, []
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            self.conns.append(c)
            if self.say:
                threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            while asked := c.recv(65536):
                c.sendall(self.say(asked) if callable(self.say) else self.say)
        except OSError:
            pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for c in self.conns:
            c.close()


def tlv(tag, content):
    n = len(content)
    return bytes([tag]) + (bytes([n]) if n < 128 else b"\x84" + n.to_bytes(4, "big")) + content


def ber_message(id, op):
    return tlv(0x30, tlv(2, bytes([id])) + op)


RESULT = b"\x0a\x01\0\x04\0\x04\0"
ENTRY = tlv(0x64, tlv(4, b"uid=a,dc=test") + tlv(0x30, b""))
STARTTLS_DONE = ber_message(1, tlv(0x78, RESULT))


@needs("LDAP")
@pytest.mark.parametrize("say, words", [
    (b"\0\0\0\0", "what it says makes no sense|no answer"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "makes no sense|no answer"),
    (ber_message(1, tlv(0x61, RESULT)), "nobody has asked|makes no sense|no answer"),
    (ber_message(7, ENTRY), "no answer|makes no sense"), (ber_message(1, ENTRY) * 500, "nobody has asked"),
    (ber_message(1, tlv(0x64, tlv(4, b"a" * 70000 + b"=b") + tlv(0x30, b""))) + ber_message(1, tlv(0x65, RESULT)), "a name that cannot be used|Decoding"),
    (ber_message(1, tlv(0x64, tlv(4, b"") + tlv(0x30, b""))) + ber_message(1, tlv(0x65, RESULT)), "a name that cannot be used"),
    (b"\x30\x84\x7f\xff\xff\xff", "makes no sense|no answer|closed"), (tlv(0x30, b"\x02\x01\x01" + b"\x64" * 300000), "makes no sense|no answer"),
    (ber_message(1, tlv(0x65, b"\x0a\x01\x0a\x04\0\x04\0" + tlv(0xa3, tlv(4, b"ldap://evil.test/")))), "Referral"),
    (ber_message(1, tlv(0x65, b"\x0a\x01\x33\x04\0" + tlv(4, b"go\r\naway\xff"))), "Server is busy: go  away")], ids=range(11))
def test_ldap_nonsense(tree, directory, say, words):
    """Whatever a server says, the answer is no guess; and nobody is kept waiting."""
    b = Between(say)
    d = directory(ldap(tree, ldap_uri=f"ldap://127.0.0.1:{b.port}", directory_timeout="2s"))
    for _ in range(2):
        assert d.get(ANNA) == NOT_SURE
    assert re.search(words, d.log()), d.log()
    b.close()


@needs("LDAP")
def test_bind_that_is_neither_taken_nor_refused(tree, directory):
    """A server that wants something else than a password first: a search, then a bind, each over its connection."""
    search = ber_message(1, ENTRY) + ber_message(1, tlv(0x65, RESULT))
    for code, verdict in ((0x31, NO), (0x30, NO), (0x20, NO), (0x13, NO), (0x00, YES), (0x0d, NOT_SURE), (0x35, NOT_SURE), (0x0a, NOT_SURE)):
        bind = ber_message(1, tlv(0x61, bytes([10, 1, code, 4, 0]) + tlv(4, b"so it is")))
        b = Between(lambda asked: bind if b"secret" in asked else search)
        d = directory(ldap(tree, ldap_uri=f"ldap://127.0.0.1:{b.port}"))
        assert d.check(ANNA, "secret") == verdict, code
        assert (verdict == NOT_SURE) == bool(re.search("from client=192.0.2.1, cannot be checked by the directory: .*so it is", d.log()))
        b.close()


@needs("LDAP")
def test_ldap_references_are_not_followed(tree, directory):
    """RFC 4511 section 4.5.3: what is found here counts, and what may be elsewhere does not."""
    reference = ber_message(1, tlv(0x73, tlv(4, b"ldap://evil.test/")))
    b = Between(reference + ber_message(1, ENTRY) + ber_message(1, tlv(0x65, RESULT)))
    assert directory(ldap(tree, ldap_uri=f"ldap://127.0.0.1:{b.port}")).get(ANNA) == {"state": "active", "checks": True}
    b.close()
    b = Between(reference + ber_message(1, tlv(0x65, RESULT)))
    d = directory(ldap(tree, ldap_uri=f"ldap://127.0.0.1:{b.port}"))
    assert d.get(ANNA) == NO and d.questions == []
    b.close()


@needs("LDAP")
def test_starttls_injection(tree, directory, authority):
    """CVE-2021-38371: what came in plain text is not taken for the answer to what is asked after the handshake."""
    b = Between(STARTTLS_DONE + ber_message(2, ENTRY) + ber_message(2, tlv(0x65, RESULT)))
    d = directory(ldap(tree, ldap_uri=f"ldap://ldap.test:{b.port}", ldap_starttls=True, ldap_ca_file=authority.file, directory_timeout="2s"),
                  zone={"ldap.test": ["127.0.0.1"]})
    assert d.get(ANNA) == NOT_SURE
    assert re.search("something came behind the answer to StartTLS", d.log()), d.log()
    b.close()


@needs("LDAP")
def test_ldap_silence(tree, directory):
    """Nobody waits longer than directory_timeout; and for a second nobody waits at all."""
    b = Between()
    d = directory(ldap(tree, ldap_uri=f"ldap://127.0.0.1:{b.port}", directory_timeout="1s"))
    calls = [d.begin(f"u{i}@hermod.test") for i in range(500)]
    calls += [d.begin(f"u{i}@hermod.test", "router") for i in range(500)]
    assert d.check(ANNA, "x") == NOT_SURE
    for i, c in enumerate(calls):
        assert d.got(c, "auth" if i < 500 else "router") == NOT_SURE
    wait_for(lambda: "the directory cannot be asked" in d.log(), 20 * patience())
    assert len(b.conns) < 4
    assert d.report()["sessions"] == 0
    b.close()


@needs("LDAP")
def test_ldap_too_many(tree, directory):
    """2,000 wait; one more is told at once."""
    b = Between()
    d = directory(ldap(tree, ldap_uri=f"ldap://127.0.0.1:{b.port}", directory_timeout="20s"))
    for service in ("auth", "router"):
        for i in range(1000):
            d.begin(f"u{i}@hermod.test", service)
    wait_for(lambda: d.report()["sessions"] == 2000, 20 * patience())
    assert d.get(ANNA) == NOT_SURE and "too many questions wait" in d.log()
    d.channels["router"].close()
    wait_for(lambda: d.report()["sessions"] == 1000, 20 * patience())
    b.close()
    d.channels["auth"].close()
    wait_for(lambda: d.report()["sessions"] == 0, 20 * patience())


@needs("LDAP")
def test_slapd_comes_and_goes(directory, slapd_certificate):
    s = Slapd(slapd_certificate)
    try:
        d = directory(ldap(s, directory_timeout="2s"))
        assert d.get(ANNA) == NOT_SURE and re.search(r"cannot be asked: 127.0.0.1\[127.0.0.1\]:\d+: Connection refused", d.log())
        s.start()
        s.add_tree()
        s.person("anna", userPassword="anna's secret")
        found = {"state": "active", "checks": True}
        wait_for(lambda: d.get(ANNA) == found, 30 * patience())
        assert d.check(ANNA, "anna's secret") == YES and "the directory answers again" in d.log()
        s.signal(signal.SIGSTOP)                # hung
        calls = [d.begin(ANNA) for _ in range(100)] + [d.ask("auth", "directory_check", name=ANNA, password="anna's secret")]
        said = [d.answer(c, 20, "auth") for c in calls]
        assert {a["verdict"] for a in said} == {NOT_SURE}, [(i, a) for i, a in enumerate(said) if a["verdict"] != NOT_SURE]
        s.signal(signal.SIGCONT)
        wait_for(lambda: d.get(ANNA) == found and d.check(ANNA, "anna's secret") == YES, 30 * patience())
        s.kill()                                # and back, before anybody has asked: nothing is lost
        s.start()
        assert d.get(ANNA) == found and d.check(ANNA, "anna's secret") == YES and d.check(ANNA, "x") == NO
    finally:
        s.end()


@needs("LDAP")
def test_slapd_killed_in_the_middle(directory, slapd_certificate):
    """While a thousand wait."""
    s = Slapd(slapd_certificate)
    try:
        s.start()
        s.add_tree()
        s.person("anna")
        d = directory(ldap(s, directory_timeout="10s"))
        assert d.get(ANNA) != NO
        calls = [d.begin(ANNA) for _ in range(1000)]
        s.kill()
        s.start()
        said = [d.got(c) for c in calls]
        assert NO not in said and all(a == NOT_SURE or a["state"] == "active" for a in said)
        wait_for(lambda: d.get(ANNA) != NOT_SURE, 30 * patience())
    finally:
        s.end()


@needs("LDAP")
def test_ldap_cache(tree, directory):
    """What was found is kept; a password is judged by the server each time."""
    tree.person("cached", userPassword="first")
    d = directory(ldap(tree, directory_cache_time="1h"))
    name = "cached@hermod.test"
    assert d.check(name, "first") == YES
    tree.change(f"dn: uid=cached,ou=people,dc=test\nchangetype: modify\nreplace: userPassword\nuserPassword: second\n-\n"
                f"replace: description\ndescription: maildir:/x\n")
    assert d.check(name, "first") == NO and d.check(name, "second") == YES and "mailbox" not in d.get(name)
    tree.change("dn: uid=cached,ou=people,dc=test\nchangetype: delete\n")
    assert d.get(name) == {"state": "active", "checks": True} and d.check(name, "second") == NO
    assert b"1 names in the cache" in d.report()["note"]


@needs("LDAP")
def test_ldap_keys_beside_bind(tree, directory):
    """SCRAM by keys, other logins by a bind: auth gets the keys each time, the cache has none. A password is judged without another search."""
    tree.person("keys", title=SCRAM, userPassword="key's secret")
    d = directory(ldap(tree, directory_cache_time="1h", ldap_attributes=["scram_sha_256=title"]))
    name = "keys@hermod.test"
    for _ in range(2):
        assert d.get(name, "router") == {"state": "active", "checks": True}
        assert d.get(name) == {"scram-sha-256": SCRAM, "state": "active", "checks": True}
    assert d.check(name, "key's secret") == YES
    tree.change(f"dn: uid=keys,ou=people,dc=test\nchangetype: modify\nreplace: mail\nmail: other@hermod.test\n")
    assert d.check(name, "key's secret") == YES and d.get(name) == NO and d.check(name, "key's secret") == NO


@needs("LDAP")
def test_ldap_a_thousand_at_once(tree, directory):
    d = directory(ldap(tree, directory_timeout="40s"))
    calls = [d.begin(ANNA if i % 2 else f"u{i}@hermod.test", ("auth", "router")[i % 3 == 0]) for i in range(1000)]
    checks = [d.ask("auth", "directory_check", name=ANNA, password=("anna's secret", "x")[i % 2]) for i in range(50)]
    for i, c in enumerate(calls):
        assert d.got(c, ("auth", "router")[i % 3 == 0], 60) == (ROW if i % 2 else NO)
    assert [d.answer(c, 60, "auth")["verdict"] for c in checks] == [YES, NO] * 25


@needs("LDAP")
@pytest.mark.faults
@pytest.mark.parametrize("call, error", [("socket", "EMFILE"), ("connect", "ECONNREFUSED"), ("send", "EPIPE"),
                                         ("recv", "ECONNRESET"), ("calloc", "ENOMEM"), ("realloc", "ENOMEM")])
def test_nth_failure_ldap(tree, call, error):
    seen = False
    for nth in NTH[call]:
        d = Directory(ldap(tree, directory_timeout="3s"), env={"HERMOD_FAULT": f"directory:{call}:~{nth}:{error}"})
        died = False
        try:
            for _ in range(12):
                assert d.get(ANNA) in (ROW, NOT_SURE)
                assert d.check(ANNA, "anna's secret") in (YES, NOT_SURE) and d.check(ANNA, "x") in (NO, NOT_SURE)
        except (AssertionError, OSError):
            died = call in ("calloc", "realloc") and d.process.wait(10) == 1
            if not died:
                raise
        seen = seen or "fault: " in d.log()
        d.end(crash_allowed=died)
    assert seen


@needs("LDAP")
def test_stop(tree, directory):
    """Who waits is told that nobody knows, and the process ends."""
    b = Between()
    d = directory(ldap(tree, ldap_uri=f"ldap://127.0.0.1:{b.port}", directory_timeout="30s"))
    calls = [d.begin(ANNA), d.ask("auth", "directory_check", name=ANNA, password="x")]
    wait_for(lambda: d.report()["sessions"] == 2, 20 * patience())
    d.control.send("drain", stop=1)
    assert [d.answer(c, 20, "auth")["verdict"] for c in calls] == [NOT_SURE] * 2
    b.close()


# ---- PostgreSQL ----

@pytest.fixture(scope="module")
def database(authority):
    s = Postgres(authority.issue("db.test", "127.0.0.1"))
    try:
        s.start()
        s.sql(TABLE.replace("INTEGER", "bigint") + "; CREATE ROLE mail LOGIN PASSWORD E'" + s.PASSWORD.replace("\\", "\\\\").replace("'", "\\'") + "';"
              "GRANT SELECT ON accounts TO mail;")
        s.sql(f"INSERT INTO accounts VALUES ('{ANNA}', '{HASH}', '{SCRAM}', '{SCRAM}', 'maildir:/var/mail/anna', 1000, 1001, 'active');"
              "INSERT INTO accounts (name) VALUES ('bert@hermod.test'); INSERT INTO accounts (name, password, state) VALUES "
              f"('carl@hermod.test', '{HASH}', 'disabled')")
        yield s
    finally:
        s.end()


def postgresql(s, folder, conninfo=None, **more):
    secret = os.path.join(str(folder), "secret")
    with open(secret, "w") as f:
        f.write(s.PASSWORD + "\n")
    os.chmod(secret, 0o600)
    return {"account_directory": "postgresql", "directory_cache_time": "0s", "sql_password_file": secret,
            "sql_database": conninfo or f"host=127.0.0.1 port={s.port} user=mail dbname=postgres",
            "sql_query": "SELECT password, scram_sha_1, scram_sha_256, mailbox, uid, gid, state FROM accounts WHERE name = $1", **more}


@needs("POSTGRESQL")
@pytest.mark.parametrize("how", ["plain", "tls", "socket", "localhost"])
def test_postgresql(database, directory, authority, tmp_path, how):
    conninfo = {"plain": None, "tls": f"host=DB.test port={database.port} user=mail dbname=postgres sslmode=verify-full sslrootcert={authority.file}",
                "socket": f"host={database.sockets} port={database.port} user=mail dbname=postgres",
                "localhost": f"host=localhost port={database.port} user=mail dbname=postgres"}[how]
    d = directory(postgresql(database, tmp_path, conninfo), zone={"db.test": ["127.0.0.2", "127.0.0.1"]})
    assert d.get(ANNA) == {"password": HASH, "scram-sha-1": SCRAM, "scram-sha-256": SCRAM, "mailbox": "maildir:/var/mail/anna",
                           "uid": "1000", "gid": "1001", "state": "active"}, d.log()
    assert d.get("bert@hermod.test") == {"state": "active"}
    assert d.get("carl@hermod.test") == {"password": HASH, "state": "disabled"}
    assert d.get("nobody@hermod.test") == NO
    assert d.get(ANNA, "router") == {"mailbox": "maildir:/var/mail/anna", "uid": "1000", "gid": "1001", "state": "active"}
    assert d.check(ANNA, "x") == NOT_SURE and "secret" not in d.log() and HASH not in d.log()
    if how == "tls":
        assert set(d.questions) == {"db.test"}
        assert database.sql("SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND usename = 'mail'").strip() != "0"


@needs("POSTGRESQL")
def test_postgresql_certificates(database, directory, authority, tmp_path):
    from hermodtest.certificates import Authority
    other = Authority()
    try:
        for host, ca, words in (("other.test", authority.file, "does not match host name"), ("db.test", other.file, "certificate verify failed"),
                                ("db.test", None, "certificate verify failed")):
            d = directory(postgresql(database, tmp_path, f"host={host} port={database.port} user=mail dbname=postgres sslmode=verify-full"
                                     + (f" sslrootcert={ca}" if ca else "")), zone={"other.test": ["127.0.0.1"], "db.test": ["127.0.0.1"]})
            assert d.get(ANNA) == NOT_SURE and re.search(words, d.log()), d.log()
    finally:
        other.close()


@needs("POSTGRESQL")
def test_postgresql_expired(directory, authority, tmp_path):
    s = Postgres(authority.issue("db.test", expired=True))
    try:
        s.start()
        d = directory(postgresql(s, tmp_path, f"host=db.test port={s.port} user=mail dbname=postgres sslmode=verify-full "
                                 f"sslrootcert={authority.file}"), zone={"db.test": ["127.0.0.1"]})
        assert d.get(ANNA) == NOT_SURE and "certificate verify failed" in d.log()
        s.kill()                                # without TLS it is not asked
        s.certificate = None
        s.start()
        d = directory(postgresql(s, tmp_path, f"host=db.test port={s.port} user=mail dbname=postgres sslmode=verify-full "
                                 f"sslrootcert={authority.file}"), zone={"db.test": ["127.0.0.1"]})
        assert d.get(ANNA) == NOT_SURE and "server does not support SSL" in d.log()
    finally:
        s.end()


@needs("POSTGRESQL")
@pytest.mark.parametrize("query, words", [
    ("SELECT mailbox, other FROM accounts WHERE name = $1", "gives a column other, which means nothing"),
    ("SELECT mailbox FROM nowhere WHERE name = $1", r"relation 'nowhere' does not exist \(SQLSTATE 42P01\)"),
    ("SELECT mailbox FROM accounts WHERE $1 = $1", "there is more than one row"),
    ("SELECT 'maildir:/a' AS mailbox FROM generate_series(1, 1000000) WHERE $1 <> ''", "there is more than one row"),
    ("SELECT mailbox, mailbox FROM accounts WHERE name = $1", "there is more than one mailbox"),
    ("SELECT mailbox FROM accounts WHERE name = $1 AND mailbox = $2", "bind message supplies 1 parameters|could not determine"),
    ("SELECT mailbox FROM accounts WHERE name = $1; SELECT 1", "cannot insert multiple commands"),
    ("DELETE FROM accounts WHERE name = $1", "permission denied"),
    ("SELECT password AS mailbox FROM accounts WHERE name = $1", "its mailbox is not like"),
    ("SELECT 'maildir:/a' || chr(10) || 'uid=0' AS mailbox FROM accounts WHERE name = $1", "its mailbox holds a control"),
    ("SELECT repeat('x', 300000) AS password FROM accounts WHERE name = $1", "its password is too long"),
    ("SELECT 1 / (length($1) - length($1)) AS uid", "division by zero"),
    ("SET application_name = '$1'", "bind message supplies 1 parameters|not one statement")], ids=range(13))
def test_postgresql_queries(database, directory, tmp_path, query, words):
    d = directory(postgresql(database, tmp_path, sql_query=query))
    assert d.get(ANNA) == NOT_SURE
    assert re.search(words, d.log()), d.log()
    assert d.get(ANNA) == NOT_SURE


@needs("POSTGRESQL")
def test_postgresql_injection(database, directory, tmp_path):
    d = directory(postgresql(database, tmp_path))
    for name in INJECTIONS:
        assert d.get(name) == NO, name
    assert d.get(ANNA)["uid"] == "1000"


@needs("POSTGRESQL")
def test_postgresql_encoding(database, directory, tmp_path):
    """A name that the database has no octets for is nobody's there."""
    database.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    d = directory(postgresql(database, tmp_path, f"host=127.0.0.1 port={database.port} user=mail dbname=latin",
                             sql_query="SELECT 'maildir:/' || $1 AS mailbox WHERE $1 <> 'x'"))
    assert d.get("é")["mailbox"] == "maildir:/é" and d.get("x") == NO and d.get("č") == NO and d.get("y")["mailbox"] == "maildir:/y"


@needs("POSTGRESQL")
def test_postgresql_password(database, directory, tmp_path):
    settings = postgresql(database, tmp_path)
    with open(settings["sql_password_file"], "w") as f:
        f.write("wrong\n")
    d = directory(settings)
    assert d.get(ANNA) == NOT_SURE and "password authentication failed for user 'mail'" in d.log()
    assert d.log().count("cannot be asked") == 1 and d.get(ANNA) == NOT_SURE and d.log().count("cannot be asked") == 1
    d = directory({**settings, "sql_password_file": ""})
    assert d.get(ANNA) == NOT_SURE and "no password supplied" in d.log()
    d = directory({**settings, "sql_password_file": str(tmp_path / "none")})
    assert d.get(ANNA) == NOT_SURE and "none: No such file or directory; until it is right" in d.log()


@needs("POSTGRESQL")
@pytest.mark.parametrize("say", [b"\0", b"E" * 1000, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I",
                                 b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IT\x7f\xff\xff\xff", b"N" * 70000], ids=range(6))
def test_postgresql_nonsense(database, directory, tmp_path, say):
    b = Between(say)
    d = directory(postgresql(database, tmp_path, f"host=127.0.0.1 port={b.port} user=mail", directory_timeout="2s"))
    for _ in range(2):
        assert d.get(ANNA) == NOT_SURE
    assert "the directory cannot be asked: " in d.log()
    b.close()


@needs("POSTGRESQL")
def test_postgresql_silence(database, directory, tmp_path):
    b = Between()
    d = directory(postgresql(database, tmp_path, f"host=127.0.0.1 port={b.port} user=mail", directory_timeout="1s"))
    calls = [d.begin(f"u{i}@hermod.test") for i in range(500)]
    assert all(d.got(c) == NOT_SURE for c in calls)
    wait_for(lambda: re.search("no answer within directory_timeout|it does not answer", d.log()), 20 * patience())
    assert len(b.conns) < 4
    b.close()


@needs("POSTGRESQL")
def test_slow_query(database, directory, tmp_path):
    d = directory(postgresql(database, tmp_path, directory_timeout="1s",
                             sql_query="SELECT mailbox FROM accounts WHERE name = $1 AND pg_sleep(length(name)) IS NOT NULL"))
    assert d.get(ANNA) == NOT_SURE
    wait_for(lambda: "no answer within directory_timeout" in d.log(), 20 * patience())


@needs("POSTGRESQL")
def test_postgresql_comes_and_goes(directory, tmp_path):
    s = Postgres()
    try:
        d = directory(postgresql(s, tmp_path, f"host=127.0.0.1 port={s.port} user=mail dbname=postgres", directory_timeout="2s"))
        assert d.get(ANNA) == NOT_SURE and "Connection refused" in d.log()
        s.start()
        s.sql(TABLE + "; CREATE ROLE mail LOGIN PASSWORD E'" + s.PASSWORD.replace("\\", "\\\\").replace("'", "\\'") + "';"
              f"GRANT SELECT ON accounts TO mail; INSERT INTO accounts (name) VALUES ('{ANNA}')")
        found = {"state": "active"}
        wait_for(lambda: d.get(ANNA) == found, 30 * patience())
        assert "the directory answers again" in d.log()
        backends = [p for p in proc.descendants(s.process.pid)]
        for p in backends:
            p.kill(signal.SIGSTOP)
        s.process.send_signal(signal.SIGSTOP)
        calls = [d.begin(ANNA) for _ in range(100)]
        assert all(d.got(c) == NOT_SURE for c in calls)
        s.process.send_signal(signal.SIGCONT)
        for p in backends:
            p.kill(signal.SIGCONT)
        wait_for(lambda: d.get(ANNA) == found, 30 * patience())
        s.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mail'")
        assert d.get(ANNA) == found             # made anew, and nobody has noticed
        s.kill()
        s.start()
        assert d.get(ANNA) == found
        calls = [d.begin(ANNA) for _ in range(900)]
        s.kill()
        said = [d.got(c) for c in calls]
        assert all(a in (found, NOT_SURE) for a in said)
        s.start()
        wait_for(lambda: d.get(ANNA) == found, 30 * patience())
    finally:
        s.end()


@needs("POSTGRESQL")
def test_postgresql_a_thousand_at_once(database, directory, tmp_path):
    d = directory(postgresql(database, tmp_path, directory_timeout="40s"))
    calls = [d.begin(ANNA if i % 2 else f"u{i}@hermod.test", ("auth", "router")[i % 3 == 0]) for i in range(1000)]
    for i, c in enumerate(calls):
        said = d.got(c, ("auth", "router")[i % 3 == 0], 60)
        assert said["uid"] == "1000" if i % 2 else said == NO


@needs("POSTGRESQL")
@pytest.mark.faults
@pytest.mark.parametrize("call, error", [("calloc", "ENOMEM"), ("realloc", "ENOMEM")])
def test_nth_failure_postgresql(database, tmp_path, call, error):
    """Its sockets are libpq's, whose calls nobody counts."""
    seen = False
    for nth in NTH[call]:
        d = Directory(postgresql(database, tmp_path, directory_timeout="3s"), env={"HERMOD_FAULT": f"directory:{call}:~{nth}:{error}"})
        died = False
        try:
            for _ in range(40):
                said = d.get(ANNA)
                assert said == NOT_SURE or said["uid"] == "1000"
        except (AssertionError, OSError):
            died = d.process.wait(10) == 1
            if not died:
                raise
        seen = seen or "fault: " in d.log()
        d.end(crash_allowed=died)
    assert seen
