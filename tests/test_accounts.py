# SPDX-License-Identifier: ISC
"""hermod account, and the tables it writes, with the daemons that read them confined."""
import os
import poplib
import re
import select
import signal
import stat
import subprocess
import termios
import time

import pytest

from hermodtest.proc import on_terminal, wait_for
from hermodtest.suite import MAIL_UID, build_dir, patience

TYPES = ["text", "lmdb", "hash", "btree"]


def has_bdb():
    return "#define HAVE_BDB" in open(os.path.join(build_dir(), "config.h")).read()


def table_file(s, kind):
    suffix = {"text": "", "lmdb": ".lmdb"}.get(kind, ".db" if has_bdb() else ".lmdb")
    return os.path.join(s.dir, "etc", "table" + suffix)


def with_table(make_suite, kind, **more):
    s = make_suite(start=False, users=(), **more)
    s.write_conf(account_map=f"{kind}:{s.dir}/etc/table")
    for user in ("anna", "bert"):
        s.add_account(user)
    return s


def logs_in(s, user, password):
    try:
        s.pop3(user, password).quit()
        return True
    except poplib.error_proto:
        return False


def soon(what):
    """A changed table is noticed within a second; a text table has to rest for one more."""
    wait_for(what, 8 * patience(), step=0.3)


@pytest.mark.parametrize("kind", TYPES)
def test_life_of_an_account(make_suite, kind):
    s = with_table(make_suite, kind)
    s.start()
    assert os.path.exists(table_file(s, kind))
    s.send("anna")
    s.maildir("anna").wait(1)
    assert logs_in(s, "anna", s.password)
    assert not logs_in(s, "anna", "wrong")

    s.hermod("account", "password", "anna@hermod.test", "--password-stdin", input="another one\n")
    soon(lambda: logs_in(s, "anna", "another one"))
    soon(lambda: not logs_in(s, "anna", s.password))		# in each of the workers
    soon(lambda: not logs_in(s, "anna", s.password))

    s.hermod("account", "disable", "anna@hermod.test")
    soon(lambda: not logs_in(s, "anna", "another one"))

    def code():
        c = s.smtp()
        c.ehlo()
        c.mail("x@client.test")
        answer = c.rcpt("anna@hermod.test")
        c.close()
        return answer
    soon(lambda: code()[0] == 550)
    assert b"5.2.1" in code()[1]
    s.hermod("account", "enable", "anna@hermod.test")
    soon(lambda: logs_in(s, "anna", "another one"))
    soon(lambda: code()[0] == 250)

    s.hermod("account", "remove", "anna@hermod.test")
    soon(lambda: not logs_in(s, "anna", "another one"))
    soon(lambda: code()[0] == 550)
    assert b"5.1.1" in code()[1]
    assert len(s.maildir("anna").files()) == 1		# its mail was left
    assert logs_in(s, "bert", s.password)


def test_list(make_suite):
    s = with_table(make_suite, "lmdb")
    s.hermod("account", "disable", "bert@hermod.test")
    rows = {r["account"]: r for r in s.hermod_json("account", "list")}
    assert set(rows) == {"anna@hermod.test", "bert@hermod.test"}
    assert rows["anna@hermod.test"]["state"] == "active"
    assert rows["bert@hermod.test"]["state"] == "disabled"
    assert rows["anna@hermod.test"]["password"] == "yescrypt"
    assert rows["anna@hermod.test"]["mailbox"] == f"maildir:{s.mail}/hermod.test/anna/Maildir"
    text = s.hermod("account", "list").stdout
    assert text.startswith("ACCOUNT") and "bert@hermod.test" in text
    assert "$y$" not in text and "correct" not in text


def test_list_of_nothing(make_suite):
    s = make_suite(start=False, users=())
    assert s.hermod_json("account", "list") == []


def test_mailbox_of_a_new_account(make_suite):
    s = with_table(make_suite, "lmdb")
    top = s.maildir("anna").path
    for folder in ("", ".Drafts", ".Sent", ".Trash", ".Junk", ".Archive"):
        for sub in ("cur", "new", "tmp"):
            st = os.stat(os.path.join(top, folder, sub))
            assert stat.S_IMODE(st.st_mode) == 0o700
            assert st.st_uid == (MAIL_UID if os.geteuid() == 0 else os.getuid())
    assert open(os.path.join(top, "subscriptions")).read().split() == ["Drafts", "Sent", "Trash", "Junk", "Archive"]
    assert "\\Junk Junk" in open(os.path.join(top, "hermod.special-use")).read()


def test_table_shows_no_password(make_suite):
    s = with_table(make_suite, "text")
    path = table_file(s, "text")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    text = open(path).read()
    assert s.password not in text
    assert "password=$y$" in text and "scram-sha-256=" in text and "scram-sha-1=" in text


@pytest.mark.parametrize("arguments, status", [
    (["add", "anna@hermod.test", "secret"], 64),		# a password is no argument
    (["add", "anna@hermod.test", "--password=secret"], 64),
    (["add"], 64),
    (["add", "anna", "--password-stdin"], 64),
    (["add", "../x@hermod.test", "--password-stdin"], 64),
    (["add", '"a/b"@hermod.test', "--password-stdin"], 64),
    (["add", "a@b@c", "--password-stdin"], 64),
    (["add", ".x@hermod.test", "--password-stdin"], 64),
    (["remove", "nobody@hermod.test"], 1),
    (["password", "nobody@hermod.test", "--password-stdin"], 1),
    (["nonsense", "x@hermod.test"], 64),
    (["list", "x@hermod.test"], 64),
])
def test_wrong_use(make_suite, arguments, status):
    s = make_suite(start=False, users=())
    r = s.hermod("account", *arguments, input="secret\n", check=False)
    assert r.returncode == status, r.stderr
    assert r.stderr and "secret" not in r.stderr.replace("--password=secret", "")
    assert s.hermod_json("account", "list") == []


@pytest.mark.parametrize("password", ["", "\n", "a\x01b\n", "x" * 600 + "\n"])
def test_bad_passwords(make_suite, password):
    s = make_suite(start=False, users=())
    r = s.hermod("account", "add", "anna@hermod.test", "--password-stdin", input=password, check=False)
    assert r.returncode == 1 and r.stderr
    assert s.hermod_json("account", "list") == []


def test_twice(make_suite):
    s = make_suite(start=False)
    r = s.hermod("account", "add", "Anna@HERMOD.test", "--password-stdin", input="x\n", check=False)
    assert r.returncode == 1 and "exists" in r.stderr


def test_many_writers(make_suite):
    """Writers at the same time wait for one another: no row is lost."""
    s = make_suite(start=False, users=())
    n = 12
    running = []
    for i in range(n):
        p = subprocess.Popen([os.path.join(s.build, "bin", "hermod"), "-c", s.conf, "account", "add",
                              f"user{i}@hermod.test", "--password-stdin"], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, env=s.environment())
        p.stdin.write(b"x\n")
        p.stdin.close()
        running.append(p)
    assert [p.wait(60 * patience()) for p in running] == [0] * n
    assert {r["account"] for r in s.hermod_json("account", "list")} == {f"user{i}@hermod.test" for i in range(n)}
    left = [f for f in os.listdir(os.path.join(s.dir, "etc")) if f.startswith(".tmp")]
    assert left == []


def talk(fd, pid, answers):
    """What a terminal shows; answers are typed at each prompt."""
    seen, todo = b"", list(answers)
    end = time.monotonic() + 30 * patience()
    while time.monotonic() < end:
        if todo and re.search(rb"(Password|Again): $", seen):
            os.write(fd, todo.pop(0).encode() + b"\n")
            seen += b"|"
        if select.select([fd], [], [], 0.1)[0]:
            try:
                data = os.read(fd, 1000)
            except OSError:
                break
            if not data:
                break
            seen += data
    return seen.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("again, status", [("hidden words", 0), ("other words", 1)])
def test_terminal(make_suite, again, status):
    s = make_suite(start=False, users=())
    pid, fd = on_terminal(os.path.join(s.build, "bin", "hermod"), "-c", s.conf, "account", "add", "anna@hermod.test",
                               env=s.environment())
    seen, code = talk(fd, pid, ["hidden words", again])
    assert code == status, seen
    assert "hidden" not in seen and "other words" not in seen
    assert len(s.hermod_json("account", "list")) == (1 if status == 0 else 0)


def test_the_interrupt_key(make_suite):
    """It ends the question at once, and the terminal shows again what is typed."""
    s = make_suite(start=False, users=())
    pid, fd = on_terminal(os.path.join(s.build, "bin", "hermod"), "-c", s.conf, "account", "add", "anna@hermod.test",
                               env=s.environment())
    seen = b""
    while not seen.endswith(b"Password: "):
        assert select.select([fd], [], [], 60 * patience())[0], seen
        seen += os.read(fd, 1000)
    slave = os.open(os.readlink(f"/proc/{pid}/fd/0"), os.O_RDWR | os.O_NOCTTY)     # one that nobody has open forgets its settings
    try:
        assert not termios.tcgetattr(slave)[3] & termios.ECHO
        os.write(fd, b"half a pass\x03")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGINT
        assert termios.tcgetattr(slave)[3] & termios.ECHO
    finally:
        os.close(slave)
        os.close(fd)
    assert s.hermod_json("account", "list") == []


@pytest.mark.root
def test_rights_of_the_table(make_suite):
    """The two services that look accounts up can read it, the others cannot."""
    s = with_table(make_suite, "lmdb")
    s.start()
    st = os.stat(table_file(s, "lmdb"))
    assert stat.S_IMODE(st.st_mode) == 0o640
    groups = {}
    for service in ("router", "auth", "smtpd", "pop3-login", "qmgr"):
        p = s.processes(service)[0]
        groups[service] = {int(g) for g in p.status("Groups").split()} | {int(p.status("Gid").split()[0])}
    assert st.st_gid in groups["router"] and st.st_gid in groups["auth"]
    for service in ("smtpd", "pop3-login", "qmgr"):
        assert st.st_gid not in groups[service]


def test_hash_without_berkeley_db(make_suite):
    """Where this build has no Berkeley DB, `hash` is LMDB."""
    s = with_table(make_suite, "hash")
    path = table_file(s, "hash")
    head = open(path, "rb").read(64)
    if has_bdb():
        assert path.endswith(".db") and head[12:16] in (b"\x61\x15\x06\x00", b"\x00\x06\x15\x61")
    else:
        assert path.endswith(".lmdb") and b"\xde\xc0\xef\xbe" in head


def test_db_config_is_not_read(make_suite, tmp_path):
    """CVE-2017-10140: Berkeley DB, and what it finds in the current folder."""
    s = with_table(make_suite, "hash")
    (tmp_path / "DB_CONFIG").write_text("set_data_dir /nowhere\nset_lg_dir /nowhere\n")
    r = subprocess.run([os.path.join(s.build, "bin", "hermod"), "-c", s.conf, "account", "list"], cwd=tmp_path,
                       env=s.environment(), capture_output=True, text=True)
    assert r.returncode == 0 and "anna@hermod.test" in r.stdout


@pytest.mark.root
def test_others_are_told_that_they_may_not(make_suite):
    s = make_suite(start=False)
    for args in (("list",), ("add", "bert@hermod.test", "--password-stdin"), ("disable", "anna@hermod.test")):
        r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", os.path.join(s.build, "bin", "hermod"),
                            "-c", s.conf, "account", *args], input="x\n", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           env=s.environment())
        assert r.returncode == 77 and r.stdout == "", r
        assert "Permission denied; root may see and change the accounts" in r.stderr and len(r.stderr.splitlines()) == 1, r
