# SPDX-License-Identifier: ISC
"""become: its workers live and die with it, are the mailbox's owner and nobody else, and nobody below first_uid."""
import os
import poplib
import signal

import pytest

from hermodtest import proc
from hermodtest.proc import wait_for
from hermodtest.suite import MAIL_UID, patience, sanitized


def session(suite):
    c = suite.pop3("anna")
    return c, wait_for(lambda: suite.pids("pop3d"), 10 * patience())[0]


def test_a_session_is_its_owner(suite):
    suite.send("anna")
    suite.maildir("anna").wait(1)
    c, pid = session(suite)
    uid = str(MAIL_UID if os.geteuid() == 0 else os.getuid())
    for pid in [pid] + suite.pids("deliver"):
        p = proc.Proc(pid)
        assert p.status("Uid").split() == [uid] * 4
        assert int(p.status("CapEff"), 16) == int(p.status("CapPrm"), 16) == 0
        assert p.status("NoNewPrivs") == "1" and p.status("Seccomp") == "2"
        if os.geteuid() == 0:
            assert p.status("Groups") == ""
            held = [t for t in p.fds().values() if t.startswith("/") and t not in ("/dev/null", f"/proc/{pid}/fd")]
            if sanitized():		# its reports have a way out
                held = [t for t in held if not t.startswith(os.path.join(suite.dir, "reports"))
                        and not t.startswith("/memfd:report")]
            assert all(t.startswith(suite.mail) for t in held), held
    c.quit()


def test_sessions_and_deliveries_end_with_it(suite):
    suite.send("anna")
    suite.maildir("anna").wait(1)
    c, pid = session(suite)
    workers = [proc.Proc(p) for p in [pid] + suite.pids("deliver")]
    old = suite.pids("become")[0]
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: not [w for w in workers if w.alive()], 5 * patience(), why=lambda: f"left: {workers}")
    wait_for(lambda: suite.pids("become") and old not in suite.pids("become"), 5 * patience())
    suite.send("anna")				# which goes to a new one
    suite.maildir("anna").wait(2, 60)
    wait_for(lambda: logs_in(suite), 20 * patience())


def logs_in(suite):
    try:
        suite.pop3("anna").quit()
        return True
    except poplib.error_proto:
        return False


def test_a_session_outlives_a_reload(suite):
    suite.send("anna")
    suite.maildir("anna").wait(1)
    c, pid = session(suite)
    old = suite.pids("become")[0]
    suite.reload()
    assert c.stat()[0] == 1 and pid in suite.pids("pop3d") and old in suite.pids("become")
    assert b"Hello." in b"\n".join(c.retr(1)[1])
    c.quit()
    wait_for(lambda: old not in suite.pids("become"), 20 * patience(), why=lambda: suite.hermod("status").stdout)


@pytest.mark.settings(become_processes=4, minimal_backoff="1s", maximal_backoff="1s", deliver_idle="100ms")
def test_at_the_limit_of_processes_and_beyond(suite):
    """Sessions up to it; one more is told to come later, mail waits, and nobody who has one loses it."""
    held = [suite.imap(u) for u in ("anna", "bert", "anna", "bert")]
    with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
        suite.pop3("anna")
    with suite.imap() as c:
        assert c.no(f'LOGIN anna@{suite.domain} "{suite.password}"').done.code == ("UNAVAILABLE", None)
    suite.wait_log("refused to start imapd: become_processes = 4 are there")
    suite.send("anna")                          # accepted: it waits
    suite.wait_log("refused to start deliver: become_processes = 4 are there")
    for c in held:
        c.ok("NOOP")
    assert len(suite.pids("imapd")) == 4 and not suite.maildir("anna").files()
    held[0].logout()
    suite.maildir("anna").wait(1)
    wait_for(lambda: logs_in(suite), 20 * patience())
    for c in held[1:]:
        c.logout()


@pytest.mark.root
@pytest.mark.parametrize("uid,gid", [(0, MAIL_UID), (999, MAIL_UID), (MAIL_UID, 0), (MAIL_UID, 42), (61003, 61003)])
def test_nobody_else_is_acted_as(make_suite, uid, gid):
    s = make_suite(users=(), start=False, account_map=None, allow_plain_passwords=True)
    path = os.path.join(s.dir, "etc", "accounts.text")
    box = os.path.join(s.mail, "x", "Maildir")
    with open(path, "w") as f:
        f.write(f"x@{s.domain} password={{PLAIN}}secret\n mailbox=maildir:{box}\n uid={uid}\n gid={gid}\n")
    s.write_conf(account_map="text:" + path)
    s.start()
    with pytest.raises(poplib.error_proto):
        s.pop3("x", "secret")
    assert not s.pids("pop3d") and not s.pids("deliver")
    assert not os.path.exists(box)
