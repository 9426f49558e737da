# SPDX-License-Identifier: ISC
"""What wrong passwords cost: whom, in all protocols together, over restarts; and what the administrator sees of it."""
import ctypes
import ctypes.util
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import zlib

import pytest

from hermodtest.alone import Alone
from hermodtest.proc import Proc, wait_for
from hermodtest.suite import patience, sanitized

ANNA, BERT, NOBODY = "anna@hermod.test", "bert@hermod.test", "nobody@hermod.test"


def log_in(s, user, password, address="127.0.0.1", protocol="pop3"):
    """(let in, how long it took), by POP3 or IMAP, from that address of loopback."""
    port = s.pop3_port if protocol == "pop3" else s.imap_port
    with socket.create_connection((s.host, port), 20 * patience(), source_address=(address, 0)) as c:
        f = c.makefile("rb")
        f.readline()
        begin = time.monotonic()
        if protocol == "pop3":
            c.sendall(f"USER {user}\r\n".encode())
            f.readline()
            c.sendall(f"PASS {password}\r\n".encode())
            said = f.readline()
        else:
            c.sendall(f'a LOGIN {user} "{password}"\r\n'.encode())
            said = f.readline()
        return said.startswith((b"+OK", b"a OK")), time.monotonic() - begin


def wrong(s, user, address, protocol="pop3"):
    let_in, seconds = log_in(s, user, "wrong", address, protocol)
    assert not let_in
    return seconds


def right(s, user, address, protocol="pop3"):
    let_in, seconds = log_in(s, user, s.password, address, protocol)
    assert let_in
    return seconds


def penalties(s, *filter):
    """{name: failures}"""
    return {row["name"]: row["failures"] for row in s.hermod_json("auth", "list", *filter)}


def crowd_of_failures(s, users, net, n=4):
    """One failure from each of so many addresses at each of these names; the longest wait."""
    waits = []
    threads = [threading.Thread(target=lambda i=i, user=user: waits.append(wrong(s, user, f"127.{net}.0.{i + 1}")))
               for user in users for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return max(waits)


def test_an_account_from_many_addresses(make_suite):
    """Whoever tries a name waits, whether there is such an account or not; the right password does not."""
    s = make_suite(auth_workers=3)
    crowd_of_failures(s, [ANNA, NOBODY], 1)
    waits = {user: wrong(s, user, address) for user, address in ((ANNA, "127.2.0.1"), (NOBODY, "127.2.0.2"), (BERT, "127.2.0.3"))}
    assert waits[ANNA] >= 2 and waits[NOBODY] >= 2
    assert 0.25 <= waits[BERT] < 2
    assert max(waits.values()) < 2 + 2 * patience()
    # Of three, for a machine under load is slow now and then.
    assert min(right(s, ANNA, f"127.3.0.{i}") for i in (1, 2, 3)) < 1 * patience()         # as everybody else's
    assert min(right(s, ANNA, f"127.1.0.{i}") for i in (1, 2, 3)) < 1 * patience()         # and from an address that has failed


def test_an_address_in_all_protocols(make_suite):
    s = make_suite(auth_workers=2)
    wrong(s, ANNA, "127.2.0.1", "pop3")
    wrong(s, BERT, "127.2.0.1", "imap")
    wrong(s, NOBODY, "127.2.0.1", "pop3")
    assert penalties(s) == {"127.2.0.1": 3, ANNA: 1, BERT: 1, NOBODY: 1}
    assert wrong(s, "other@hermod.test", "127.2.0.1", "imap") >= 2
    right(s, BERT, "127.2.0.1")                 # who has known his own password takes back his own failure
    assert penalties(s) == {"127.2.0.1": 3, ANNA: 1, NOBODY: 1, "other@hermod.test": 1}


def test_list_and_clear(make_suite):
    s = make_suite()
    assert s.hermod("auth", "list").stdout.split() == ["OF", "NAME", "FAILURES", "LATEST", "WAIT-MS"]
    assert s.hermod_json("auth", "list") == []
    for _ in range(2):
        wrong(s, ANNA, "127.2.0.1")
    wrong(s, BERT, "127.2.0.2")
    wrong(s, "a" * 120 + "@hermod.test", "127.2.0.2")
    rows = {row["name"]: row for row in s.hermod_json("auth", "list")}
    assert set(rows) == {ANNA, BERT, "127.2.0.1", "127.2.0.2", "a" * 110}
    assert rows[ANNA]["of"] == "account" and rows["127.2.0.1"]["of"] == "address"
    assert rows[ANNA]["failures"] == 2 and rows[ANNA]["wait_ms"] == 1000 and rows[ANNA]["latest"] < 60 * patience()
    assert not rows[ANNA]["cut"] and rows["a" * 110]["cut"]
    assert set(penalties(s, "*@HERMOD.test")) == {ANNA, BERT}
    assert set(penalties(s, "127.?.0.1")) == {"127.2.0.1"}
    shown = [line.split() for line in s.hermod("auth", "list").stdout.splitlines()[1:]]
    assert [line for line in shown if line[1] == ANNA][0][:3] == ["account", ANNA, "2"]
    assert "a" * 110 + "..." in [line[1] for line in shown]
    assert s.hermod("auth", "clear", ANNA).stdout == "1 cleared\n"
    assert s.hermod("auth", "clear", "127.2.0.1").stdout == "1 cleared\n"
    assert s.hermod("auth", "clear", "a" * 120 + "@hermod.test").stdout == "1 cleared\n"
    assert set(penalties(s)) == {BERT, "127.2.0.2"}
    waits = [wrong(s, ANNA, "127.2.0.1")]
    while len(waits) < 3:
        for name in (ANNA, "127.2.0.1"):
            s.hermod("auth", "clear", name)
        waits.append(wrong(s, ANNA, "127.2.0.1"))
    assert 0.25 <= min(waits) < 0.5 + 0.4 * patience(), waits       # as if it were the first
    s.wait_log(r"uid \d+ clears penalties of anna@hermod\.test: 1$")
    r = s.hermod("auth", "clear", "nobody", check=False)
    assert r.returncode == 1 and "no penalty under this name" in r.stderr
    assert json.loads(s.hermod("--json", "auth", "clear", "--all").stdout) == {"cleared": 4}
    assert penalties(s) == {}
    assert s.hermod("auth", "clear", "--all").returncode == 0


@pytest.mark.parametrize("arguments", [(), ("list", "a", "b"), ("list", "--all"), ("clear",), ("clear", ""), ("clear", "-x"), ("forget", "a")])
def test_wrong_use(shared_suite, arguments):
    r = shared_suite.hermod("auth", *arguments, check=False)
    assert r.returncode == 64 and "usage: hermod auth" in r.stderr


def test_when_nothing_runs(make_suite):
    s = make_suite(start=False)
    r = s.hermod("auth", "list", check=False)
    assert r.returncode == 69 and "does not run" in r.stderr


def kept(s):
    return os.path.join(s.dir, "auth", "penalties")


def test_kept_over_the_end_of_auth_and_a_reload(make_suite):
    s = make_suite(auth_workers=2)
    for _ in range(3):
        wrong(s, ANNA, "127.2.0.1")
    before = set(s.pids("auth"))
    assert s.kill("auth") == 2
    wait_for(lambda: len(set(s.pids("auth")) - before) == 2, 20 * patience())
    assert penalties(s) == {ANNA: 3, "127.2.0.1": 3}
    s.reload()
    assert penalties(s) == {ANNA: 3, "127.2.0.1": 3}
    assert wrong(s, ANNA, "127.2.0.9") >= 2


def test_kept_over_a_restart(make_suite):
    s = make_suite()
    s.wait_log("auth_directory: no penalties are kept there yet; they begin now")
    for _ in range(2):
        wrong(s, ANNA, "127.2.0.1")
    wrong(s, "of nobody%", "127.2.0.2")
    s.restart()
    assert os.stat(kept(s)).st_mode & 0o777 == 0o600
    assert penalties(s) == {ANNA: 2, "127.2.0.1": 2, "of nobody%": 1, "127.2.0.2": 1}
    s.hermod("auth", "clear", "127.2.0.1")
    s.stop()
    s.env["HERMOD_CLOCK_OFFSET"] = "3000"               # ages are kept, not only counts
    s.start()
    rows = {row["name"]: row for row in s.hermod_json("auth", "list")}
    assert set(rows) == {ANNA, "of nobody%", "127.2.0.2"} and rows[ANNA]["latest"] >= 3000
    s.stop()
    s.env["HERMOD_CLOCK_OFFSET"] = "8000"
    s.start()
    assert penalties(s) == {}


def test_kept_when_all_is_killed(make_suite):
    """Some seconds after a failure it is on disk, whatever happens then."""
    s = make_suite()
    wrong(s, ANNA, "127.2.0.1")
    wait_for(lambda: os.path.exists(kept(s)), 30 * patience())
    s.note_processes()
    os.kill(s.master_pid(), 9)
    wait_for(lambda: not s.left(), 20 * patience())
    s.start()
    assert penalties(s) == {ANNA: 1, "127.2.0.1": 1}


@pytest.mark.parametrize("how", ["octet", "short", "empty", "large", "missing", "unreadable"])
def test_damaged(make_suite, how):
    s = make_suite()
    wrong(s, ANNA, "127.2.0.1")
    s.stop()
    good = open(kept(s), "rb").read()
    what = {"octet": good.replace(b"anna", b"bnna"), "short": good[:-1], "empty": b"", "large": b"x" * (16384 * 384 + 1)}
    os.unlink(kept(s))
    if how == "unreadable":
        os.symlink("/etc/passwd", kept(s))
    elif how != "missing":
        with open(kept(s), "wb") as f:
            f.write(what[how])
    if how != "missing" and os.geteuid() == 0:
        owner = os.stat(os.path.join(s.dir, "auth"))
        os.chown(kept(s), owner.st_uid, owner.st_gid, follow_symlinks=False)
    at = len(s.log())
    s.start()
    s.wait_log({"missing": "no penalties are kept there yet", "unreadable": "penalties cannot be read, and begin anew"}.get(
        how, "penalties is damaged; it begins anew"), after=at)
    assert penalties(s) == {}
    wrong(s, BERT, "127.2.0.1")
    s.restart()
    assert penalties(s) == {BERT: 1, "127.2.0.1": 1}


def test_no_room_for_the_file(make_suite):
    """It is said, once, and nobody is kept from logging in."""
    s = make_suite()
    os.mkdir(kept(s))                           # a name that nothing can be renamed to
    wrong(s, ANNA, "127.2.0.1")
    s.wait_log("penalties cannot be written, and are forgotten at the next start", seconds=40)
    right(s, ANNA, "127.2.0.1")
    os.rmdir(kept(s))
    wait_for(lambda: os.path.exists(kept(s)), 40 * patience())


# ---- very many

USERS = 10000
ATTACKED = [f"login{i}" for i in range(16)]      # of each no more wait for an answer than a login worker has sessions


def one_auth(tmp_path, env=None):
    """auth alone, of ten thousand users. (Their passwords are in clear: a hash is so slow that the test would measure that.)"""
    os.makedirs(tmp_path / "auth", exist_ok=True)
    with open(tmp_path / "accounts", "w") as f:
        for i in range(USERS):
            f.write(f"user{i}@hermod.test password={{PLAIN}}secret\n")
    return Alone("auth", {"hostname": "mx.hermod.test", "account_map": f"text:{tmp_path}/accounts", "mail_directory": tmp_path,
                          "system_accounts": False, "allow_plain_passwords": True, "mail_uid": 1000, "mail_gid": 1000, "first_uid": 1},
                 asks={"become": lambda name, values: ("ticket_kept", {}), "fetch": lambda name, values: None}, asked_by=["pop3-login", "imap-login"] + ATTACKED,
                 files={"auth_directory": tmp_path / "auth"}, env=env)


def ask(auth, service, user, client, password="wrong"):
    return auth.ask(service, "auth_start", protocol="imap", mechanism="PLAIN", client=client, session_id="s", secure=1,
                    has_initial=1, initial=f"\0user{user}@hermod.test\0{password}")


def test_ten_thousand_failures(tmp_path):
    """From as many addresses, at as many names, as fast as they can be said: others are let in at once meanwhile, memory is
    bounded, and whoever mistypes once afterwards waits no longer than ever."""
    auth = one_auth(tmp_path)
    try:
        memory = Proc(auth.process.pid)
        ask_memory = int(memory.status("VmRSS").split()[0])
        flood, good = [], []
        for i in range(1, USERS):
            flood.append(ask(auth, ATTACKED[i % len(ATTACKED)], i, f"10.{i >> 8}.{i & 255}.1"))
            if i % 1000 == 0:
                begin = time.monotonic()
                got = auth.answer(ask(auth, "pop3-login", i, "192.0.2.1", "secret"))
                assert got["result"] == 2 and len(got["ticket"]) == 32, got
                good.append(time.monotonic() - begin)
        assert sorted(good)[len(good) // 2] < 2 * patience(), f"good logins took {good} s"
        assert {auth.answer(call)["result"] for call in flood} == {3}           # all were told, none for want of room
        if not sanitized():			# which keeps what is freed, to look at it
            assert int(memory.status("VmRSS").split()[0]) - ask_memory < 32768
        waits = []
        for i in range(3):
            begin = time.monotonic()
            auth.answer(ask(auth, "pop3-login", USERS + i, f"192.0.2.{i + 1}"))
            waits.append(time.monotonic() - begin)
        assert 0.25 <= min(waits) < 0.5 + 0.4 * patience(), waits
    finally:
        auth.end()
    assert 0 < os.path.getsize(tmp_path / "auth" / "penalties") < 16384 * 384


# ---- logins that are begun and left

def test_abandoned_exchanges_lock_nobody_out(tmp_path):
    """Whoever begins more logins than there is room for, and answers no challenge, is not the one that is kept: the oldest of these goes for
    each new one, and the next in order go on."""
    auth = one_auth(tmp_path)
    try:
        def begin():
            return auth.ask("imap-login", "auth_start", protocol="imap", mechanism="LOGIN", client="10.0.0.1", session_id="s", secure=1)

        left = [auth.answer(call) for call in [begin() for _ in range(2000)]]
        assert {said["result"] for said in left} == {1}
        assert auth.answer(ask(auth, "pop3-login", 1, "192.0.2.1", "secret"))["result"] == 2
        left += [auth.answer(call) for call in [begin() for _ in range(10)]]
        assert {said["result"] for said in left} == {1}
        assert auth.answer(ask(auth, "pop3-login", 2, "192.0.2.1", "wrong"))["result"] == 3

        def go_on(said):
            return auth.answer(auth.ask("imap-login", "auth_more", exchange=said["exchange"], response="user3@hermod.test"))["result"]
        assert go_on(left[0]) == 0 and go_on(left[-1]) == 1
    finally:
        auth.end()


# ---- a flood of wrong passwords, each of which costs a hash

def results(auth):
    """[(client, result)], in the order in which they were decided."""
    return re.findall(r"client=(\S+) mechanism=PLAIN result=(\w+)", auth.log())


def hashed(tmp_path, **more):
    """auth alone, with one user whose password is hashed."""
    os.makedirs(tmp_path / "auth")
    lib = ctypes.CDLL(ctypes.util.find_library("crypt"))
    lib.crypt.restype = lib.crypt_gensalt.restype = ctypes.c_char_p
    hash = lib.crypt(b"secret", lib.crypt_gensalt(b"$y$", ctypes.c_ulong(0), None, 0)).decode()
    (tmp_path / "accounts").write_text(f"user1@hermod.test password={hash}\n")
    return Alone("auth", {"hostname": "mx.hermod.test", "account_map": f"text:{tmp_path}/accounts", "mail_directory": tmp_path,
                          "system_accounts": False, "mail_uid": 1000, "mail_gid": 1000, "first_uid": 1, **more},
                 asks={"become": lambda name, values: ("ticket_kept", {}), "fetch": lambda name, values: None}, asked_by=["pop3-login", "imap-login"],
                 files={"auth_directory": tmp_path / "auth"})


def at_once(auth, questions):
    """All are there when auth looks."""
    os.kill(auth.process.pid, signal.SIGSTOP)
    calls = [ask(auth, *q) for q in questions]
    os.kill(auth.process.pid, signal.SIGCONT)
    return calls


@pytest.mark.parametrize("attackers, known", [(1, True), (50, True), (50, False)], ids=["one address", "fifty addresses", "fifty new addresses"])
@pytest.mark.parametrize("same_login", [True, False], ids=["by the same", "by another"])
def test_a_flood_beside_an_honest_login(tmp_path, attackers, known, same_login):
    """Fifty wrong passwords are there first, of addresses that have failed or at a name that has, over the same channel or another's: the
    right one is hashed before nearly all of them. Of channels a round takes 32 questions at most."""
    auth = hashed(tmp_path)
    try:
        addresses = [f"10.0.0.{1 + i % attackers}" for i in range(50)]
        for call in [ask(auth, "imap-login", 2, address) for address in (sorted(set(addresses)) if known else ["10.0.1.1"])]:
            assert auth.answer(call)["result"] == 3
        before = len(results(auth))
        calls = at_once(auth, [("imap-login", 2, address) for address in addresses]
                        + [("imap-login" if same_login else "pop3-login", 1, "192.0.2.1", "secret")])
        assert auth.answer(calls[-1])["result"] == 2
        assert {auth.answer(call)["result"] for call in calls[:-1]} == {3}
        order = results(auth)[before:]
        assert len(order) == 51 and order.index(("192.0.2.1", "ok")) <= 2, order
    finally:
        auth.end()


def test_a_flood_from_new_addresses(tmp_path):
    """Each of them is like somebody who comes for the first time, and tries a name of its own: whoever has been let in before from where he is
    is hashed before nearly all of them."""
    auth = hashed(tmp_path)
    try:
        assert auth.answer(ask(auth, "pop3-login", 1, "192.0.2.1", "secret"))["result"] == 2
        before = len(results(auth))
        calls = at_once(auth, [("imap-login", 100 + i, f"10.0.0.{i}") for i in range(50)] + [("imap-login", 1, "192.0.2.1", "secret")])
        assert auth.answer(calls[-1])["result"] == 2
        assert {auth.answer(call)["result"] for call in calls[:-1]} == {3}
        order = results(auth)[before:]
        assert len(order) == 51 and order.index(("192.0.2.1", "ok")) <= 2, order
    finally:
        auth.end()


def test_a_flood_of_keys_that_have_to_be_made(tmp_path):
    """Where passwords are known themselves SCRAM's keys are made of them, which is work, and no failure: who begins fifty logins has his turns as
    with fifty passwords."""
    auth = hashed(tmp_path, allow_plain_passwords=True, auth_mechanisms=["SCRAM-SHA-256", "PLAIN"])

    def begin(client):
        return auth.ask("imap-login", "auth_start", protocol="imap", mechanism="SCRAM-SHA-256", client=client, session_id="s", secure=1,
                        has_initial=1, initial="n,,n=user1@hermod.test,r=nonce")
    try:
        assert auth.answer(ask(auth, "imap-login", 2, "10.0.0.1"))["result"] == 3
        os.kill(auth.process.pid, signal.SIGSTOP)
        flood = [begin("10.0.0.1") for _ in range(30)]
        honest = begin("192.0.2.1")
        os.kill(auth.process.pid, signal.SIGCONT)
        wait_for(lambda: {honest, *flood} <= set(auth.answers), 20 * patience())
        assert list(auth.answers).index(honest) - list(auth.answers).index(flood[0]) <= 2
        assert {auth.answer(call)["result"] for call in [honest, *flood]} == {1}
    finally:
        auth.end()


def test_nobody_is_kept_from_his_turn(tmp_path):
    """An address with failures, be it a webmail server's, is let in while a flood comes from others that have none."""
    auth = hashed(tmp_path)
    try:
        for _ in range(2):
            auth.answer(ask(auth, "pop3-login", 1, "192.0.2.1"))
        before = len(results(auth))
        calls = at_once(auth, [("imap-login", 100 + i, f"10.0.1.{i}") for i in range(8)] + [("imap-login", 1, "192.0.2.1", "secret")]
                        + [("imap-login", 200 + i, f"10.0.2.{i}") for i in range(16)])
        assert auth.answer(calls[8])["result"] == 2
        for call in calls[:8] + calls[9:]:
            auth.answer(call)
        order = results(auth)[before:]
        assert order.index(("192.0.2.1", "ok")) <= 8 + 4, order
    finally:
        auth.end()


# Each call that the file needs, and what is left of it when that fails: what was there before, or what is new.
CALLS = [("openat", "EMFILE"), ("openat", "EIO"), ("write", "ENOSPC"), ("write", "short"), ("fsync", "EIO"), ("renameat", "EIO"),
         ("close", "EIO")]


@pytest.mark.faults
@pytest.mark.parametrize("call, error", CALLS)
def test_calls_that_fail(tmp_path, call, error):
    """The nth fails: all are answered, and the file is a good one."""
    auth = one_auth(tmp_path)
    auth.answer(ask(auth, "imap-login", 1, "192.0.2.1"))
    auth.end()
    for nth in range(1, 7):
        auth = one_auth(tmp_path, {"HERMOD_FAULT": f"auth:{call}:~{nth}:{error}"})
        try:
            assert auth.answer(ask(auth, "imap-login", 2, "192.0.2.2"))["result"] == 3
            assert auth.answer(ask(auth, "imap-login", 3, "192.0.2.3", "secret"))["result"] in (0, 2)
        finally:
            auth.end()
        lines = open(tmp_path / "auth" / "penalties", "rb").read().split(b"\n")
        assert lines[0] == b"hermod penalties 1" and lines[-1] == b""
        assert lines[1] == b"crc32 %08x" % zlib.crc32(b"\n".join(lines[2:]))
        hit = f"fault: {call}" in auth.log()
        assert hit or nth > 1, "the call is not made"
        if not hit:
            break


def test_the_administrators_socket(shared_suite):
    """The kernel says who asks: others are hung up on, or do not get there."""
    path = os.path.join(shared_suite.dir, "run", "auth.sock")
    assert os.stat(path).st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        r = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", os.path.join(shared_suite.build, "bin", "hermod"),
                            "-c", shared_suite.conf, "auth", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert r.returncode == 77 and "only root" in r.stderr
