# SPDX-License-Identifier: ISC
"""Who may do what: what the kernel says of each process, and what each process tries from inside.

The tables below say it once more, by hand: a change of master/services.c that gives a process
another right has to be made here, too.
"""
import atexit
import os
import re
import signal
import sqlite3
import stat

import pytest

from hermodtest.certificates import Authority
from hermodtest.proc import wait_for
from hermodtest.suite import MAIL_UID, SERVICE_UIDS, build_dir, patience, sanitized

# As whom each runs; those of one user share it.
USERS = {
    "journal": "log", "router": "map", "become": "root", "local": "local", "qmgr": "queue",
    "cleanup": "queue", "bounce": "queue", "pam": "pam", "auth": "auth", "pickup": "queue", "smtpd": "in",
    "pop3-login": "login", "imap-login": "login", "resolver": "dns", "smtp-client": "out",
    "fetch": "fetch", "keys": "keys", "submission": "submit", "tls": "tls",
    "directory": "directory",
}
WORKERS = ("deliver", "pop3d", "imapd")		# forks of become's, as the mailbox's owner
HOST_NET = {"pam", "resolver", "smtp-client", "fetch", "directory"}
HOST_ROOT = {"become", "pam"} | set(WORKERS)
NO_FILES = {"smtpd", "submission", "tls", "keys", "smtp-client", "bounce", "local", "pop3-login", "imap-login"}
# become changes ids and ends its forks: CAP_KILL, CAP_SETGID, CAP_SETUID.
CAPS = {"become": 1 << 5 | 1 << 6 | 1 << 7}

# What is not refused when it is tried from inside (daemon/attempt.c).
ALLOWED = {
    "become": {"open", "create", "fork", "setuid", "setuid-other", "setgid"},
    "pam": {"open", "create", "inet", "inet6", "unix", "connect", "exec", "code", "fork"},
    "resolver": {"inet", "inet6", "unix", "connect"},
    "smtp-client": {"inet", "inet6", "unix", "connect"},
    "fetch": {"inet", "inet6", "unix", "connect"},
    "directory": {"inet", "inet6", "unix", "connect"},
}
ATTEMPTS = {"open", "create", "proc", "inet", "inet6", "unix", "connect", "exec", "code", "fork", "trace",
            "signal", "setuid", "setuid-other", "setgid", "chroot", "unshare", "mount", "keys"}

CA = Authority()
CERTIFICATE = CA.issue("mx.hermod.test")
SETTINGS = {"system_accounts": True, "tls_certificates": [CERTIFICATE.item]}	# so that pam and keys are there
atexit.register(CA.close)
if "#define HAVE_SQLITE 1" in open(os.path.join(build_dir(), "config.h")).read():
    DATABASE = os.path.join(CA.folder, "accounts.db")
    with sqlite3.connect(DATABASE) as db:
        db.execute("CREATE TABLE accounts (name TEXT, mailbox TEXT)")
    db.close()
    SETTINGS.update(account_directory="sqlite", sql_database=DATABASE, sql_query="SELECT mailbox FROM accounts WHERE name = $1")
else:
    del USERS["directory"]

root = pytest.mark.root


@pytest.fixture(scope="module")
def opened(shared_suite):
    """The suite with a session of POP3 and one of IMAP open."""
    shared_suite.session, shared_suite.imap_session = shared_suite.pop3("anna"), shared_suite.imap("anna")
    yield shared_suite
    shared_suite.session.close()
    shared_suite.imap_session.close()


@pytest.fixture
def house(opened):
    """And with a delivery just made, as its worker soon ends: every kind of process is there."""
    n = len(opened.maildir("anna").files())
    opened.send("anna")
    opened.maildir("anna").wait(n + 1)
    names = {p.comm for p in opened.processes()}
    missing = (set(USERS) | set(WORKERS)) - names
    assert not missing, f"not there: {missing}; there are {names}"
    return opened


def daemons(suite, names=None):
    for name in names or list(USERS) + list(WORKERS):
        for p in suite.processes(name):
            yield name, p


def link(p, name):
    return os.readlink(f"/proc/{p.pid}/{name}")


# ---- from outside ------------------------------------------------------------------------

def test_seccomp_and_no_new_privileges(house):
    for name, p in daemons(house):
        assert p.status("Seccomp") == "2", name
        assert p.status("NoNewPrivs") == "1", name


def test_capabilities(house):
    for name, p in daemons(house):
        want = CAPS.get(name, 0) if os.geteuid() == 0 else 0
        for kind in ("CapEff", "CapPrm"):
            assert int(p.status(kind), 16) == want, f"{name} {kind} {p.status(kind)}"
        for kind in ("CapInh", "CapAmb"):
            assert int(p.status(kind), 16) & ~want == 0, f"{name} {kind} {p.status(kind)}"


@root
def test_users(house):
    uids = {}
    for name, p in daemons(house):
        ids = set(p.status("Uid").split()), set(p.status("Gid").split())
        assert len(ids[0]) == 1 and len(ids[1]) == 1, f"{name}: {ids}"
        uid = int(ids[0].pop())
        if name in WORKERS:
            assert uid == MAIL_UID, name
        elif name == "become":
            assert uid == 0
        else:
            assert uid >= SERVICE_UIDS, name
            assert uids.setdefault(USERS[name], uid) == uid, name
        groups = p.status("Groups").split()
        assert (len(groups) > 0) == (name in ("pam", "auth")), f"{name}: groups {groups}"
    assert len(set(uids.values())) == len(uids), f"users share an id: {uids}"


@root
def test_root_directory(house):
    empty = os.path.join(house.dir, "run", "empty")
    assert os.listdir(empty) == []
    assert os.stat(empty).st_uid == 0 and stat.S_IMODE(os.stat(empty).st_mode) & 0o222 == 0
    for name, p in daemons(house):
        assert link(p, "root") == ("/" if name in HOST_ROOT else empty), name
        if name == "resolver":			# where libunbound keeps the root's keys
            assert link(p, "cwd") == os.path.join(house.dir, "dns")
        else:
            assert link(p, "cwd") == link(p, "root") or name in WORKERS, name


@root
def test_network_namespace(house):
    host = os.readlink("/proc/self/ns/net")
    seen = set()
    for name, p in daemons(house):
        net = link(p, "ns/net")
        if name in HOST_NET:
            assert net == host, name
        else:
            assert net != host, name
            seen.add(net)
    assert len(seen) == 1, "one empty namespace for all"
    smtpd = house.processes("smtpd")[0]
    lines = open(f"/proc/{smtpd.pid}/net/dev").read().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in lines] in ([], ["lo"])


@root
def test_not_dumpable(house):
    """Then /proc/PID is root's and nobody of the same uid can trace it."""
    for name, p in daemons(house):
        if not sanitized() or name not in WORKERS:
            assert os.stat(f"/proc/{p.pid}/mem").st_uid == 0, name


@root
def test_descriptors(house):
    """Who has no files holds sockets and the loop; all are closed on exec, but 0 to 2."""
    fine = re.compile(r"(socket:|anon_inode:|pipe:|/dev/null$|/memfd:(clients|tallies) " + (r"|/memfd:|.*/reports$" if sanitized() else "") + ")")
    for name, p in daemons(house):
        if name in NO_FILES:			# but for a moment smtpd the file of the next message, which it cannot name
            wait_for(lambda: all(fine.match(what) for what in p.fds().values()), 5 * patience(),
                     why=lambda: f"{name} holds {p.fds()}")
        for fd, what in p.fds().items():
            if what.endswith(".lmdb"):	# the library leaves it open on exec; who has it cannot exec
                continue
            if fd > 2:
                try:
                    info = open(f"/proc/{p.pid}/fdinfo/{fd}").read()
                except FileNotFoundError:	# closed since: the file of a message, which comes and goes
                    continue
                flags = re.search(r"^flags:\s*(\d+)", info, re.M).group(1)
                assert int(flags, 8) & os.O_CLOEXEC, f"{name}: {fd} ({what}) would be left open by exec"
            else:
                assert what == "/dev/null", f"{name}: {fd} is {what}"


@root
def test_a_worker_holds_no_other_mailbox(house):
    inside = os.path.join(house.mail, house.domain, "anna")
    for name, p in daemons(house, WORKERS):
        for what in p.fds().values():
            assert not what.startswith(house.mail) or what.startswith(inside), f"{name} holds {what}"


# ---- from inside -------------------------------------------------------------------------

def attempts(suite, p):
    """{attempt: "refused (ERRNO)" or "ALLOWED"} of one process."""
    suite.denials_allowed = True
    before = len(suite.log())
    os.kill(p.pid, signal.SIGUSR2)
    tag = rf"\[{p.pid}\]: (?:warning: )?"
    suite.wait_log(tag + r"attempts: all made", after=before)
    lines = suite.log()[before:]
    return dict(re.findall(tag + r"attempt ([a-z0-9-]+): (.*)$", lines, re.M)), lines


@pytest.mark.faults
@pytest.mark.parametrize("name", list(USERS) + list(WORKERS))
def test_attempts(house, name):
    assert house.processes(name)
    for p in house.processes(name):
        made, lines = attempts(house, p)
        assert set(made) == ATTEMPTS
        allowed = {a for a, how in made.items() if how == "ALLOWED"}
        want = ALLOWED.get(name, set())
        if os.geteuid() != 0:
            want = want - {"setuid", "setgid", "setuid-other"}	# seccomp leaves them, the kernel does not
            if name in ("router", "auth"):	# /etc/passwd is their table; without root there is no empty root
                allowed.discard("open")
        assert allowed == want, f"{name}: {made}"
        if name not in ALLOWED:		# with none of these left, a denial is a call that was trapped
            for call in ("socket", "execve", "ptrace", "kill", "setuid"):
                assert re.search(rf"\[{p.pid}\]: warning: denied system call {call}$", lines, re.M), f"{name}: {call}"
        assert p.alive(), f"{name} did not outlive it"


@pytest.mark.faults
def test_it_all_goes_on(house):
    """After all that was tried nothing was started again, and mail flows."""
    pids = {name: house.pids(name) for name in USERS}
    assert house.session.stat()[0] == 0
    house.imap_session.ok("NOOP")
    n = len(house.maildir("anna").files())
    for p in house.processes():
        if p.comm in USERS:
            attempts(house, p)
    house.send("anna")
    house.maildir("anna").wait(n + 1)
    assert {name: house.pids(name) for name in USERS} == pids


# ---- who starts what ------------------------------------------------------------------------

def test_all_end_with_master(make_suite):
    """Killed, it takes all with it: each sees its channel close."""
    suite = make_suite()
    sessions = suite.pop3("anna"), suite.imap("anna")
    suite.send("anna")
    suite.maildir("anna").wait(1)
    assert suite.pids("pop3d") and suite.pids("imapd")
    suite.kill("master")
    wait_for(lambda: not suite.left(), 10 * patience(), why=lambda: f"still there: {suite.left()}")
    for s in sessions:
        s.close()
    suite.start()
    suite.send("anna")
    suite.maildir("anna").wait(2)


def test_started_by_hand(shared_suite):
    """A daemon that master did not start says so, and does nothing."""
    import subprocess
    for name in USERS:
        r = subprocess.run([os.path.join(shared_suite.build, "libexec", "hermod", name)], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, close_fds=True,
                           env=shared_suite.environment(), timeout=20 * patience())
        assert r.returncode == 1, name
        assert "started by master" in r.stderr, f"{name}: {r.stderr}"
