# SPDX-License-Identifier: ISC
"""./bootstrap run and stop, as a newcomer types them, in a folder and on ports of their own."""
import imaplib
import os
import poplib
import pwd
import random
import re
import shutil
import smtplib
import socket
import ssl
import stat
import subprocess
import tempfile
import time

import pytest

from hermodtest import proc
from hermodtest.suite import patience

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# It makes a build of its own, which is the same whatever build is being tested.
pytestmark = pytest.mark.plain


def free_base():
    """A port base whose ports are free."""
    return proc.wait_for(lambda: next((b for b in (random.randrange(10000, 31000) for _ in range(100))
                                       if all(proc.is_free(b + p) and proc.reserve(b + p) for p in (25, 110, 143))), None))


class Trial:
    def __init__(self, folder):
        self.dir = folder
        self.base = free_base()

    def bootstrap(self, verb, check=True, **env):
        full = {k: v for k, v in os.environ.items() if not k.startswith(("HERMOD_", "MAKE", "MFLAGS"))}
        full.update({"HERMOD_RUN": self.dir, "HERMOD_PORT_BASE": str(self.base), **env})
        out = tempfile.TemporaryFile("w+")
        # Not a pipe: daemons that kept our stdio would go unnoticed no longer than this.
        p = subprocess.run([os.path.join(SOURCE, "bootstrap"), verb], env=full, stdin=subprocess.DEVNULL,
                           stdout=out, stderr=subprocess.STDOUT, timeout=1800)
        out.seek(0)
        text = out.read()
        if check:
            assert p.returncode == 0, text
        return p.returncode, text

    def env(self):
        out = {}
        for line in open(os.path.join(self.dir, "instance.env")):
            assert re.fullmatch(r"[A-Z0-9_]+=[A-Za-z0-9_./:@+-]*\n", line), line
            name, _, value = line.strip().partition("=")
            out[name] = value
        return out

    def master(self):
        return proc.Proc(int(open(self.env()["HERMOD_PIDFILE"]).read()))


@pytest.fixture(scope="module")
def trial():
    # /tmp itself may not be reachable for other users; bootstrap would say so.
    folder = tempfile.mkdtemp(prefix="hermod-bootstrap-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    t = Trial(folder)
    try:
        t.first = t.bootstrap("run")[1]
        yield t
    finally:
        t.bootstrap("stop", check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_shows_the_message_it_sent(trial):
    assert "Subject: a first message" in trial.first
    assert "Received: " in trial.first
    assert "finding it by IMAP" in trial.first
    assert "./bootstrap stop" in trial.first


def test_the_message_between_the_users_is_whole(trial):
    env = trial.env()

    def there():
        host, port = env["HERMOD_POP3"].split(":")
        p = poplib.POP3(host, int(port), timeout=30)
        try:
            p.user(env["HERMOD_USER2"])
            p.pass_(env["HERMOD_PASSWORD2"])
            return p.stat()[0] and p.retr(1)[1]
        finally:
            p.quit()
    lines = proc.wait_for(there, 30)
    assert b"Subject: from one user to another" in lines
    assert b"Hello %s." % env["HERMOD_USER2"].encode() in lines


def test_instance_env(trial):
    env = trial.env()
    assert stat.S_IMODE(os.stat(os.path.join(trial.dir, "instance.env")).st_mode) == 0o600
    assert env["HERMOD_SMTP"] == f"127.0.0.1:{trial.base + 25}"
    assert env["HERMOD_POP3"] == f"127.0.0.1:{trial.base + 110}"
    assert env["HERMOD_IMAP"] == f"127.0.0.1:{trial.base + 143}"
    assert env["HERMOD_POP3S"] == f"127.0.0.1:{trial.base + 995}"
    assert env["HERMOD_IMAPS"] == f"127.0.0.1:{trial.base + 993}"
    assert env["HERMOD_SUBMISSION"] == f"127.0.0.1:{trial.base + 587}"
    assert env["HERMOD_SUBMISSIONS"] == f"127.0.0.1:{trial.base + 465}"
    assert env["HERMOD_USER1"].endswith("@" + env["HERMOD_DOMAIN"])
    assert env["HERMOD_USER2"].endswith("@" + env["HERMOD_DOMAIN"])
    for name in ("HERMOD_CONF", "HERMOD_LOG", "HERMOD_PIDFILE"):
        assert os.path.isfile(env[name]), name
    for name in ("HERMOD_QUEUE", "HERMOD_BIN", "HERMOD_MAILDIR1"):
        assert os.path.isdir(env[name]), name
    shown = subprocess.run(["sh", "-c", ". ./instance.env && echo $HERMOD_USER1"], cwd=trial.dir,
                           stdout=subprocess.PIPE, text=True, check=True)
    assert shown.stdout.strip() == env["HERMOD_USER1"]


def test_passwords_are_in_no_other_file(trial):
    password = trial.env()["HERMOD_PASSWORD1"].encode()
    for folder in ("etc", "etc/tls", "log"):
        for name in os.listdir(os.path.join(trial.dir, folder)):
            path = os.path.join(trial.dir, folder, name)
            assert os.path.isdir(path) or password not in open(path, "rb").read(), name


def test_mailbox_over_tls(trial):
    env = trial.env()
    context = ssl.create_default_context(cafile=env["HERMOD_CA"])
    host, port = env["HERMOD_IMAPS"].split(":")
    c = imaplib.IMAP4_SSL(host, int(port), ssl_context=context)
    c.login(env["HERMOD_USER1"], env["HERMOD_PASSWORD1"])
    assert int(c.select("INBOX")[1][0]) >= 1
    c.logout()
    host, port = env["HERMOD_POP3S"].split(":")
    c = poplib.POP3_SSL(host, int(port), context=context)
    c.user(env["HERMOD_USER1"])
    c.pass_(env["HERMOD_PASSWORD1"])
    assert c.stat()[0] >= 1
    c.quit()


def test_submission(trial):
    """With TLS, by the instance's CA, for each name its certificate has; to the other user."""
    env = trial.env()
    context = ssl.create_default_context(cafile=env["HERMOD_CA"])
    for name in ("localhost", "127.0.0.1", env["HERMOD_DOMAIN"], "mx." + env["HERMOD_DOMAIN"]):
        for variable in ("HERMOD_SUBMISSION", "HERMOD_SUBMISSIONS", "HERMOD_SMTP"):
            host, port = env[variable].split(":")
            c = smtplib.SMTP() if variable != "HERMOD_SUBMISSIONS" else smtplib.SMTP_SSL(context=context)
            c._host = name
            with socket.create_connection((host, int(port)), timeout=60 * patience()) as s:
                c.sock = context.wrap_socket(s, server_hostname=name) if variable == "HERMOD_SUBMISSIONS" else s
                assert c.getreply()[0] == 220
                c.ehlo("client.test")
                if variable != "HERMOD_SUBMISSIONS":
                    assert c.starttls(context=context)[0] == 220
                    c.ehlo("client.test")
                if variable != "HERMOD_SMTP":
                    c.login(env["HERMOD_USER1"], env["HERMOD_PASSWORD1"])
                    assert c.mail(env["HERMOD_USER2"])[0] == 553
                    assert c.mail(env["HERMOD_USER1"])[0] == 250
                c.quit()
    keys = os.path.join(trial.dir, "etc", "tls")
    assert {f: stat.S_IMODE(os.stat(os.path.join(keys, f)).st_mode) for f in os.listdir(keys) if f.endswith(".key")} == {
        "ca.key": 0o600, "server.key": 0o600}


def test_both_accounts(trial):
    env = trial.env()
    host, port = env["HERMOD_SMTP"].split(":")
    for n in "12":
        with smtplib.SMTP(host, int(port), "client.test", timeout=30) as c:
            c.sendmail("x@client.test", [env["HERMOD_USER" + n]], f"Subject: for {n}\r\n\r\nHello {n}.\r\n")

        def newest():
            p = poplib.POP3(host, int(env["HERMOD_POP3"].split(":")[1]), timeout=30)
            try:
                p.user(env["HERMOD_USER" + n])
                p.pass_(env["HERMOD_PASSWORD" + n])
                count = p.stat()[0]
                return count and b"Hello %s." % n.encode() in p.retr(count)[1]
            finally:
                p.quit()
        proc.wait_for(newest, 30)


def test_postmaster_is_the_first_account(trial):
    env = trial.env()
    host, port = env["HERMOD_SMTP"].split(":")
    with smtplib.SMTP(host, int(port), "client.test", timeout=30) as c:
        c.sendmail("x@client.test", ["postmaster@" + env["HERMOD_DOMAIN"]], "Subject: to the postmaster\r\n\r\n.\r\n")

    def there():
        new = os.path.join(env["HERMOD_MAILDIR1"], "new")
        return any(b"to the postmaster" in open(os.path.join(new, f), "rb").read() for f in os.listdir(new))
    proc.wait_for(there, 30)


def test_relays_for_nobody_without_login(trial):
    host, port = trial.env()["HERMOD_SMTP"].split(":")
    with smtplib.SMTP(host, int(port), "client.test", timeout=30) as c:
        c.ehlo()
        c.mail("x@client.test")
        code, text = c.rcpt("someone@elsewhere.example")
        assert code == 554 and text.startswith(b"5.7.1"), (code, text)


def test_takes_200_sessions_from_one_address(trial):
    host, port = trial.env()["HERMOD_SMTP"].split(":")
    socks = []
    try:
        for _ in range(200):
            socks.append(socket.create_connection((host, int(port)), timeout=30))
        for s in socks:
            assert s.recv(512).startswith(b"220")
    finally:
        for s in socks:
            s.close()


def test_programs_know_their_instance(trial):
    env = trial.env()
    for argv in (["hermod", "status"], ["hermod", "queue", "list"], ["hermod", "check"], ["mailq"]):
        r = subprocess.run([os.path.join(env["HERMOD_BIN"], argv[0]), *argv[1:]], cwd="/", env={"PATH": "/usr/bin:/bin"},
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        assert r.returncode == 0, (argv, r.stdout)


def test_nothing_keeps_our_stdio(trial):
    master = trial.master()
    for p in [master] + proc.descendants(master.pid):
        fds = p.fds() if os.geteuid() == 0 or os.access(f"/proc/{p.pid}/fd", os.R_OK) else {}
        for fd in (0, 1, 2):
            assert fds.get(fd, "/dev/null").startswith(("/dev/null", trial.dir)), (p, fd, fds[fd])


@pytest.mark.root
def test_numeric_ids_of_its_own(trial):
    master = trial.master()
    uids = {p.comm: int(p.status("Uid").split()[0]) for p in proc.descendants(master.pid)}
    assert len({u for u in uids.values() if u}) > 4, uids
    assert [c for c, u in uids.items() if u == 0] == ["become"], uids
    taken = {e.pw_uid for e in pwd.getpwall()}
    for comm, uid in uids.items():
        assert uid == 0 or uid not in taken, (comm, uid)


def test_run_again_is_quick_and_does_no_harm(trial):
    before, env = trial.master(), trial.env()
    start = time.monotonic()
    text = trial.bootstrap("run")[1]
    assert time.monotonic() - start < 60, text
    assert trial.env() == env
    assert trial.master().start == before.start, "the instance was restarted for nothing"


def test_settings_changed_by_hand_stay(trial):
    conf = trial.env()["HERMOD_CONF"]
    was = open(conf).read()
    with open(conf, "a") as out:
        out.write("# by hand\n")
    try:
        assert "left as it is" in trial.bootstrap("run")[1]
        assert open(conf).read().endswith("# by hand\n")
    finally:
        open(conf, "w").write(was)


def test_stop(trial):
    master = trial.master()
    everything = [master] + proc.descendants(master.pid)
    trial.bootstrap("stop")
    proc.wait_for(lambda: not [p for p in everything if p.alive()], 30, why=everything)
    assert "no instance is running" in trial.bootstrap("stop")[1]
    trial.bootstrap("run")			# and it comes back, mail and all


def test_refuses_what_it_cannot_use(trial):
    status, text = trial.bootstrap("run", check=False, HERMOD_PORT_BASE="many")
    assert status != 0 and "HERMOD_PORT_BASE" in text
    status, text = trial.bootstrap("jump", check=False)
    assert status == 2 and "usage" in text


@pytest.mark.root
def test_refuses_a_folder_that_is_out_of_reach():
    folder = tempfile.mkdtemp(prefix="hermod-closed-", dir="/var/tmp")	# 0700
    try:
        t = Trial(os.path.join(folder, "run"))
        status, text = t.bootstrap("run", check=False)
        assert status != 0 and "cannot reach" in text
    finally:
        shutil.rmtree(folder)
