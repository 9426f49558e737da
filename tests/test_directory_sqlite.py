# SPDX-License-Identifier: ISC
"""The whole suite with accounts in a database: mail comes to them, they log in, and nobody is lost while it cannot be asked."""
import os
import poplib
import sqlite3
import subprocess

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import build_dir, patience

pytestmark = pytest.mark.skipif("HAVE_SQLITE" not in open(os.path.join(build_dir(), "config.h")).read(), reason="configured without SQLite")

DORA = "dora@hermod.test"


def hashed(password):
    return subprocess.run(["openssl", "passwd", "-6", "-salt", "grains", password], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class House:
    def __init__(self, suite):
        self.suite = suite
        folder = os.path.join(suite.dir, "db")
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        self.path = os.path.join(folder, "accounts.db")
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.execute("CREATE TABLE accounts (name TEXT PRIMARY KEY, password TEXT, state TEXT)")
        self.add(DORA, "dora-secret")
        os.chmod(self.path, 0o644)
        suite.write_conf(account_directory="sqlite", sql_database=self.path, directory_cache_time="0s", directory_timeout="2s",
                         sql_query="SELECT password, state FROM accounts WHERE name = $1")
        suite.start()

    def add(self, name, password, state="active"):
        self.db.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)", [name, hashed(password), state])

    def rcpt(self, address):
        c = self.suite.smtp()
        try:
            c.ehlo()
            assert c.mail("x@client.test")[0] == 250
            return c.rcpt(address)[0]
        finally:
            c.close()


@pytest.fixture
def house(make_suite):
    h = House(make_suite(start=False))
    yield h
    h.db.close()


def test_mail_and_logins(house):
    s = house.suite
    s.send(["Dora@hermod.test", "anna"])
    s.maildir("dora").wait(1)
    s.maildir("anna").wait(1)
    for user, password in ((DORA, "dora-secret"), ("Dora@hermod.test", "dora-secret"), ("anna", None)):
        assert s.pop3(user, password).stat()[0] == 1
    with pytest.raises(poplib.error_proto, match="AUTH.*wrong user name or password"):
        s.pop3(DORA, "wrong")
    assert house.rcpt("nobody@hermod.test") == 550
    assert "INBOX" in s.hermod("mailbox", "list", DORA).stdout
    assert "says the directory" in s.hermod("explain", "--client", "192.0.2.1", "--to", DORA).stdout
    r = s.hermod("account", "list")
    assert "anna@hermod.test" in r.stdout and "they are not listed here" in r.stderr
    house.add(DORA, "dora-secret", "disabled")
    assert house.rcpt(DORA) == 550
    assert "dora-secret" not in s.log()


def test_while_it_cannot_be_asked(house):
    """What the tables know goes on; mail to the others is put off, here and at the peer, and comes when it is back."""
    s = house.suite
    s.send(DORA)
    s.maildir("dora").wait(1)
    os.rename(house.path, house.path + ".away")
    assert house.rcpt(DORA) == 451 and house.rcpt("nobody@hermod.test") == 451 and house.rcpt("anna@hermod.test") == 250
    with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
        s.pop3(DORA, "dora-secret")
    s.pop3("anna").quit()
    os.rename(house.path + ".away", house.path)
    wait_for(lambda: house.rcpt(DORA) == 250, 20 * patience(), step=0.3)
    assert house.rcpt("nobody@hermod.test") == 550


def test_killed(house):
    """The process is started again; nobody was told that he does not exist."""
    s = house.suite
    s.crash_allowed = True
    for _ in range(3):
        assert s.kill("directory") >= 1
        codes = []
        wait_for(lambda: codes.append(house.rcpt(DORA)) or codes[-1] == 250, 30 * patience(), step=0.1)
        assert set(codes) <= {250, 451}
    s.send(DORA)
    s.maildir("dora").wait(1)


def test_reload(house):
    """With and without: the row of services.c runs where the setting says so."""
    s = house.suite
    assert s.processes("directory")
    s.write_conf(account_directory="")
    s.reload()
    wait_for(lambda: not s.processes("directory"), 30 * patience())
    assert house.rcpt(DORA) == 550
    s.write_conf(account_directory="sqlite")
    s.reload()
    wait_for(lambda: house.rcpt(DORA) == 250, 30 * patience(), step=0.3)
