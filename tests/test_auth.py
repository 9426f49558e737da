# SPDX-License-Identifier: ISC
"""Logins: what may be said, how long it takes, who is let in."""
import base64
import os
import poplib
import re
import threading
import time

import pytest

from hermodtest.alone import Alone
from hermodtest.proc import wait_for
from hermodtest.scram import Scram
from hermodtest.suite import patience

OK, FAILED = 2, 3


def refusal(s, user, password):
    """What the server says to a wrong login, and how long that takes."""
    c = s.pop3()
    begin = time.monotonic()
    try:
        c.user(user)
        c.pass_(password)
    except poplib.error_proto as e:
        return e.args[0], time.monotonic() - begin
    finally:
        c.close()
    raise AssertionError(f"{user} was let in")


def say(c, line):
    c.sock.sendall(line.encode() + b"\r\n")
    return c.file.readline().decode().rstrip()


def b64(octets):
    return base64.b64encode(octets).decode()


def test_same_words_for_all_that_is_wrong(suite):
    suite.add_account("carl")
    suite.hermod("account", "disable", "carl@hermod.test")
    time.sleep(1.2)
    said = {refusal(suite, user, password)[0] for user, password in [
        ("anna@hermod.test", "wrong"), ("nobody@hermod.test", "wrong"), ("anna", "wrong"),
        ("carl@hermod.test", suite.password), ("anna@hermod.test", "x" * 200), ("../anna@hermod.test", "x")]}
    assert len(said) == 1
    assert b"[AUTH]" in said.pop()


def test_log_for_fail2ban(suite):
    refusal(suite, "anna@hermod.test", "wrong")
    suite.wait_log(r"hermod/auth\[\d+\]: \w+: protocol=pop3 user=anna@hermod\.test client=127\.0\.0\.1 "
                   r"mechanism=PLAIN result=failed$")
    suite.pop3("anna").quit()
    suite.wait_log(r"user=anna@hermod\.test client=127\.0\.0\.1 mechanism=PLAIN result=ok$")
    assert "wrong" not in suite.log() and suite.password not in suite.log()


def test_log_is_one_line(suite):
    """A name with a line end or an escape in it makes no second line and no colour."""
    c = suite.pop3()
    say(c, "AUTH PLAIN " + b64(b"\0x\nresult=ok \x1b[31m\0y"))
    c.close()
    suite.wait_log(r"mechanism=PLAIN result=failed$")
    assert "\x1b" not in suite.log()
    assert not [line for line in suite.log().splitlines() if line.startswith("result=ok")]


def test_wrong_answers_wait_right_ones_do_not(suite):
    waits = [refusal(suite, "anna@hermod.test", f"wrong{i}")[1] for i in range(6)]
    assert max(waits) < 4 * patience()
    assert waits[-1] > 0.2
    rights = []
    for _ in range(3):                  # who had to wait would have to each time; a machine under load is slow now and then
        begin = time.monotonic()
        suite.pop3("anna").quit()
        rights.append(time.monotonic() - begin)
    assert min(rights) < 1.5 * patience()


def test_right_password_among_wrong_ones(suite):
    """An attack from the same address locks nobody out."""
    stop = threading.Event()

    def attack():
        while not stop.is_set():
            try:
                refusal(suite, "anna@hermod.test", "guess")
            except OSError:
                pass
    attackers = [threading.Thread(target=attack) for _ in range(4)]
    for a in attackers:
        a.start()
    try:
        for _ in range(5):
            suite.pop3("anna").quit()
    finally:
        stop.set()
        for a in attackers:
            a.join()


@pytest.mark.parametrize("message, good", [
    (b"\0anna@hermod.test\0correct horse", True),
    (b"anna@hermod.test\0anna@hermod.test\0correct horse", True),
    (b"bert@hermod.test\0anna@hermod.test\0correct horse", False),	# for another
    (b"anna@HERMOD.test\0anna@hermod.test\0correct horse", True),
    (b"Anna@hermod.test\0ANNA@hermod.test\0correct horse", True),
    (b"anna\0anna@hermod.test\0correct horse", False),
    (b"nobody@hermod.test\0anna@hermod.test\0correct horse", False),
    (b"a" * 400 + b"\0anna@hermod.test\0correct horse", False),
    (b"\0anna@hermod.test\0correct horse\0", False),
    (b"\0anna@hermod.test\0correct horse\0x", False),
    (b"\0anna@hermod.test\0correct horse\tuser=bert", False),	# CVE-2008-1218
    (b"\0anna@hermod.test\0", False),
    (b"\0\0correct horse", False),
    (b"", False),
    (b"anna@hermod.test", False),
    (b"\0" + b"a" * 400 + b"\0x", False),
    (b"\0anna@hermod.test\0" + b"x" * 2000, False),
])
def test_plain_messages(shared_suite, message, good):
    c = shared_suite.pop3()
    said = say(c, "AUTH PLAIN " + (b64(message) or "="))
    assert said.startswith("+OK") == good, said
    assert good or said.startswith("-ERR")
    c.close()


def test_login_mechanism(shared_suite):
    c = shared_suite.pop3()
    assert say(c, "AUTH LOGIN") == "+ " + b64(b"Username:")
    assert say(c, b64(b"anna@hermod.test")) == "+ " + b64(b"Password:")
    assert say(c, b64(b"correct horse")).startswith("+OK")
    c.close()
    c = shared_suite.pop3()
    assert say(c, "AUTH LOGIN").startswith("+ ")
    assert say(c, "*").startswith("-ERR")
    assert say(c, "AUTH NOSUCH").startswith("-ERR")
    assert say(c, "CAPA").startswith("+OK")
    c.close()


def test_exchanges_do_not_mix(make_suite):
    """Two clients, step by step in turn: each gets his own mailbox (CVE-2025-59028)."""
    s = make_suite(auth_workers=1)
    s.send("anna", "Subject: for anna\r\n\r\nx\r\n")
    s.maildir("anna").wait(1)
    clients = {u: s.pop3() for u in ("anna", "bert")}
    for c in clients.values():
        assert say(c, "AUTH LOGIN").startswith("+ ")
    for u, c in clients.items():
        assert say(c, b64(f"{u}@hermod.test".encode())).startswith("+ ")
    for u, c in reversed(clients.items()):
        assert say(c, b64(s.password.encode())).startswith("+OK")
    assert say(clients["anna"], "STAT").startswith("+OK 1 ")
    assert say(clients["bert"], "STAT").startswith("+OK 0 ")
    for c in clients.values():
        c.close()


def plain_table(s, allowed):
    s.add_account("anna")		# for its mailbox
    s.use_accounts({"anna@hermod.test": "password={PLAIN}in clear"}, allow_plain_passwords=allowed)
    s.start()


def test_plain_passwords_need_the_setting(make_suite):
    s = make_suite(start=False, users=())
    plain_table(s, False)
    refusal(s, "anna@hermod.test", "in clear")
    s.wait_log(r"allow_plain_passwords = yes")


def test_plain_passwords_where_allowed(make_suite):
    s = make_suite(start=False, users=())
    plain_table(s, True)
    s.pop3("anna", "in clear").quit()
    refusal(s, "anna@hermod.test", "in Clear")
    refusal(s, "anna@hermod.test", "{PLAIN}in clear")


def test_table_that_does_not_answer(suite):
    """Not sure is no wrong password: the client is told to try again, and is not counted."""
    path = os.path.join(suite.dir, "etc", "accounts.lmdb")
    os.rename(path, path + ".away")
    time.sleep(1.5)
    said, _ = refusal(suite, "anna@hermod.test", suite.password)
    assert b"[SYS/TEMP]" in said
    suite.wait_log(r"user=anna@hermod\.test .*result=unavailable")
    os.rename(path + ".away", path)
    time.sleep(1.5)
    suite.pop3("anna").quit()


@pytest.mark.parametrize("service", ["auth", "become"])
def test_killed(suite, service):
    suite.kill(service)

    def logs_in():
        try:
            suite.pop3("anna").quit()
            return True
        except (poplib.error_proto, OSError) as e:
            assert b"[AUTH]" not in repr(e).encode()	# nobody is told that his password is wrong
            return False
    wait_for(logs_in, 15 * patience(), step=0.1)


# ---- PAM: a service file of our own, whose module asks a script ----

SCRIPT = """#!/bin/sh
IFS= read -r password
case "$PAM_USER $password" in
"carl "*slow*)	sleep 5; exit 1 ;;
"CARL of CARL" | "carl open sesame" | "daemon open sesame" | "stranger open sesame") exit 0 ;;
esac
exit 1
"""


def pam_suite(make_suite, **more):
    if not os.path.exists("/usr/lib/x86_64-linux-gnu/security/pam_exec.so"):
        pytest.skip("PAM's module pam_exec is not where this test looks for it")
    s = make_suite(start=False, **more)
    etc = os.path.join(s.dir, "etc")
    script = os.path.join(s.dir, "check")
    with open(script, "w") as out:
        out.write(SCRIPT)
    os.chmod(script, 0o755)
    os.makedirs(os.path.join(etc, "pam.d"))
    with open(os.path.join(etc, "pam.d", "hermod"), "w") as out:
        out.write(f"auth [success=1 default=ignore] pam_exec.so expose_authtok quiet {script}\n"
                  "auth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_permit.so\n")
    root = os.geteuid() == 0
    uid, gid = (60950, 60950) if root else (os.getuid(), os.getgid())
    home = os.path.join(s.dir, "home", "carl")
    os.makedirs(home)
    os.chown(home, uid, gid)
    with open(os.path.join(etc, "passwd"), "w") as out:
        out.write(f"daemon:x:1:1::/:/bin/sh\ncarl:x:{uid}:{gid}::{home}:/bin/sh\n")
    s.write_conf(system_accounts=True, passwd_file=os.path.join(etc, "passwd"),
                 pam_directory=os.path.join(etc, "pam.d"))
    s.start()
    return s


def pop3_plain(s, user, password):
    c = s.pop3()
    said = say(c, "AUTH PLAIN " + b64(f"\0{user}\0{password}".encode()))
    c.close()
    return said


def test_system_user_by_pam(make_suite):
    s = pam_suite(make_suite)
    assert pop3_plain(s, "carl", "open sesame").startswith("+OK")
    assert pop3_plain(s, "carl", "wrong").startswith("-ERR [AUTH]")
    # PAM knows them, but they have no account here.
    assert pop3_plain(s, "daemon", "open sesame").startswith("-ERR [AUTH]")
    assert pop3_plain(s, "stranger", "open sesame").startswith("-ERR [AUTH]")
    assert pop3_plain(s, "../carl", "open sesame").startswith("-ERR [AUTH]")
    assert pop3_plain(s, "Carl", "open sesame").startswith("+OK")	# the account is carl's: so is the password
    assert pop3_plain(s, "CARL", "of CARL").startswith("-ERR [AUTH]")	# whom PAM knows as well, and who has no account here
    s.pop3("anna").quit()			# virtual accounts as ever


def test_slow_pam_stops_nobody(make_suite):
    s = pam_suite(make_suite, auth_workers=1)
    slow = threading.Thread(target=pop3_plain, args=(s, "carl", "slow"))
    slow.start()
    time.sleep(0.5)
    begin = time.monotonic()
    s.pop3("anna").quit()
    assert pop3_plain(s, "carl", "open sesame").startswith("+OK")
    assert time.monotonic() - begin < 3 * patience()
    slow.join()


def test_pam_that_fails(make_suite):
    s = pam_suite(make_suite)
    os.unlink(os.path.join(s.dir, "etc", "pam.d", "hermod"))
    said = pop3_plain(s, "carl", "open sesame")
    assert not said.startswith("+OK")
    s.pop3("anna").quit()


def test_no_pam_without_system_accounts(suite):
    assert suite.pids("pam") == []


# ---- one name in several spellings

def spellings(user):
    return [f"{user}@xn--bcher-kva.example", f"{user.title()}@XN--BCHER-KVA.Example", f"{user}@bücher.example", f"{user}@BÜCHER.example"]


SPELLINGS = spellings("anna")


def with_umlauts(folder):
    """auth alone, with accounts of a domain that people write in letters of its own (RFC 5890)."""
    os.makedirs(folder / "auth")
    (folder / "accounts").write_text("".join(f"{user}@xn--bcher-kva.example password={{PLAIN}}secret\n" for user in ("anna", "bert")))
    return Alone("auth", {"hostname": "mx.hermod.test", "account_map": f"text:{folder}/accounts", "mail_directory": folder, "system_accounts": False,
                          "mail_uid": 1000, "mail_gid": 1000, "first_uid": 1, "allow_plain_passwords": True,
                          "auth_mechanisms": ["PLAIN", "SCRAM-SHA-256"]},
                 asks={"become": lambda name, values: ("ticket_kept", {}), "fetch": lambda name, values: None},
                 asked_by=["imap-login"], files={"auth_directory": folder / "auth"})


@pytest.fixture(scope="module")
def umlauts(tmp_path_factory):
    auth = with_umlauts(tmp_path_factory.mktemp("umlauts"))
    yield auth
    auth.end()


def begin(auth, mechanism, initial):
    return auth.answer(auth.ask("imap-login", "auth_start", protocol="imap", mechanism=mechanism, client="192.0.2.1", session_id="s", secure=1,
                                has_initial=1, initial=initial))


def by_plain(auth, user, who="", password="secret"):
    return begin(auth, "PLAIN", f"{who}\0{user}\0{password}")


def by_scram(auth, user, who=""):
    client = Scram("SCRAM-SHA-256", user, "secret", authzid=who)
    said = begin(auth, "SCRAM-SHA-256", client.first())
    said = auth.answer(auth.ask("imap-login", "auth_more", exchange=said["exchange"], response=client.last(said["challenge"])))
    return said if said["result"] == FAILED else auth.answer(auth.ask("imap-login", "auth_more", exchange=said["exchange"])), client.salt


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_domain_in_letters_of_its_own(umlauts, spelling):
    """hermod account, router and tables have A-labels; a person has what stands in his address."""
    for said in (by_plain(umlauts, spelling), by_scram(umlauts, spelling)[0]):
        assert said["result"] == OK and said["account"].decode() == SPELLINGS[0]
    assert by_plain(umlauts, spelling.lower().replace("cher", "char"))["result"] == FAILED


@pytest.mark.parametrize("how", [by_plain, lambda *a: by_scram(*a)[0]], ids=["PLAIN", "SCRAM"])
def test_to_be_himself_in_another_spelling(umlauts, how):
    """RFC 4616 section 2: the two are the same identity where the account is."""
    for who in SPELLINGS:
        for user in SPELLINGS:
            said = how(umlauts, user, who)
            assert said["result"] == OK and said["account"].decode() == SPELLINGS[0]
    for who in ("bert@xn--bcher-kva.example", "nobody@bücher.example", "anna", "anna@hermod.test", "@bücher.example"):
        assert how(umlauts, SPELLINGS[0], who)["result"] == FAILED, who


def test_nobody_in_several_spellings(tmp_path):
    """As of who is somebody: one salt, and one count of failures."""
    auth = with_umlauts(tmp_path)
    try:
        for name in ("anna", "nobody"):
            assert len({by_scram(auth, s, "bert@hermod.test")[1] for s in spellings(name)}) == 1
        assert by_scram(auth, "nobody@hermod.test")[1] != by_scram(auth, "nobody@bücher.example")[1]
    finally:
        auth.end()
    kept = (tmp_path / "auth" / "penalties").read_text()
    assert set(re.findall(r"^account (\d+) \S+ (\S+)$", kept, re.M)) == {("1", "nobody@hermod.test"), ("4", SPELLINGS[0]),
                                                                         ("5", spellings("nobody")[0])}
