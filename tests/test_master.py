# SPDX-License-Identifier: ISC
"""master: start, restart, reload, stop; what processes look like from outside is in test_confinement.py."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from hermodtest import proc
from hermodtest.proc import wait_for
from hermodtest.suite import build_dir, patience
from hermodtest.wire import greeted, say

ONCE = ["journal", "router", "become", "local", "qmgr", "cleanup", "bounce", "auth", "pickup", "smtpd", "pop3-login",
        "imap-login", "resolver", "smtp-client", "fetch"]


def master(suite, *args):
    """master itself, as hermod start runs it."""
    return subprocess.run([os.path.join(build_dir(), "libexec", "hermod", "master"), "-c", suite.conf, *args],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=suite.environment(),
                          timeout=60 * patience())


def ready(suite):
    """The suite, once every process of every service is ready."""
    def all_ready():
        return all(p["state"] == "ready" for p in suite.hermod_json("status") if p["state"] != "worker")
    wait_for(all_ready, 20 * patience(), why=lambda: suite.hermod("status").stdout)
    suite.note_processes()


# ---- start ----

def test_start_says_where_the_log_is(make_suite):
    s = make_suite(start=False)
    assert s.log_file in s.start().stdout
    again = s.hermod("start")
    assert again.returncode == 0 and "runs already" in again.stdout


def test_it_is_detached(make_suite):
    s = make_suite()
    p = proc.Proc(s.master_pid())
    fds = p.fds() if os.geteuid() == 0 else {}
    assert not [t for t in fds.values() if "tty" in t or "pts" in t]
    if fds:
        assert fds[0] == "/dev/null" and fds[1] == fds[2] == s.log_file
    assert os.getsid(s.master_pid()) == s.master_pid()


def test_every_process_of_the_table_runs(shared_suite):
    for name in ONCE:
        assert shared_suite.pids(name), name
    assert not shared_suite.pids("pam")		# system_accounts = no


def test_no_second_master(shared_suite):
    r = master(shared_suite)
    assert r.returncode == 1
    assert f"runs already, as process {shared_suite.master_pid()}" in r.stderr


@pytest.mark.parametrize("what", ["address", "program", "directory"])
def test_nothing_starts_when_something_is_wrong(make_suite, what):
    s = make_suite(start=False)
    holder = socket.socket()
    if what == "address":
        holder.bind((s.host, s.smtp_port))
        holder.listen()
        says = f"{s.host}:{s.smtp_port}: cannot listen there: Address already in use"
    elif what == "program":
        s.write_conf(program_directory=s.dir)
        says = "cannot be executed"
    else:
        s.write_conf(queue_directory=os.path.join(s.conf, "queue"))
        says = "queue_directory: "
    r = s.hermod("start", check=False, timeout=60)
    holder.close()
    if what == "program":
        assert "right would be" in r.stderr and r.returncode == 78
    else:
        assert r.returncode == 1 and says in r.stderr, r.stderr
        assert "nothing was started" in r.stderr
    assert not s.left()


def test_a_process_that_dies_at_start_is_named(make_suite, public_path):
    s = make_suite(start=False, start_timeout=f"{2 * patience()}s")
    programs = public_path / "programs"
    programs.mkdir()
    real = os.path.join(build_dir(), "libexec", "hermod")
    for name in os.listdir(real):
        os.symlink(os.path.join(real, name), programs / name)
    os.unlink(programs / "cleanup")
    os.symlink("/bin/false", programs / "cleanup")
    os.chmod(programs, 0o755)
    s.write_conf(program_directory=str(programs))
    s.crash_allowed = True
    r = s.hermod("start", check=False, timeout=60)
    assert r.returncode == 1
    assert "cleanup (it dies when started)" in r.stderr
    wait_for(lambda: not s.left(), 20 * patience(), why=lambda: f"left: {s.left()}")


def test_a_stale_pid_file_is_no_obstacle(make_suite):
    s = make_suite(start=False)
    dead = subprocess.Popen(["true"])
    dead.wait()
    with open(s.pid_file, "w") as f:
        f.write(f"{dead.pid}\n")
    s.start()
    assert s.master_pid() != dead.pid
    greeted(s.smtp_port).close()


def test_foreground(make_suite):
    s = make_suite(start=False)
    p = subprocess.Popen([os.path.join(s.build, "bin", "hermod"), "-c", s.conf, "start", "-F"], env=s.environment())
    wait_for(lambda: s.master_pid() == p.pid, 20 * patience())
    s.note_processes()
    wait_for(lambda: s.hermod("status", check=False).returncode == 0, 20 * patience())
    p.send_signal(signal.SIGTERM)
    assert p.wait(30 * patience()) == 0
    assert not s.left()


# ---- deaths ----

@pytest.mark.parametrize("name", ONCE)
def test_a_killed_process_is_back_at_once(shared_suite, name):
    took = []
    while not took or (took[-1] >= 1 * patience() and len(took) < 3):       # on a machine that stands still for a second it is late
        ready(shared_suite)
        time.sleep(1.1)				# it has served for a second
        before = shared_suite.pids(name)
        at = len(shared_suite.log())
        os.kill(before[0], signal.SIGKILL)
        began = time.monotonic()
        wait_for(lambda: len(shared_suite.pids(name)) == len(before) and before[0] not in shared_suite.pids(name),
                 5 * patience(), why=lambda: f"{before} -> {shared_suite.pids(name)}")
        took.append(time.monotonic() - began)
        shared_suite.wait_log(rf"{name}\[{before[0]}\] died by signal 9", after=at)
    assert took[-1] < 1 * patience(), took
    ready(shared_suite)
    shared_suite.send("anna")			# all of it works together again


def test_who_dies_young_is_started_more_and_more_slowly(make_suite):
    s = make_suite()
    ready(s)
    def fourth_gap():
        for _ in range(4):
            pid = wait_for(lambda: s.pids("router"), 20 * patience())[0]
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            wait_for(lambda: s.pids("router") and pid not in s.pids("router"), 20 * patience())
        return time.monotonic() - began
    # On a machine that stands still for a second one of them has served, and is rightly started at once.
    gaps = []
    while not gaps or (gaps[-1] <= 0.3 and len(gaps) < 6):
        gaps.append(fourth_gap())
    assert gaps[-1] > 0.3, gaps
    ready(s)


def test_after_kill_9_of_master_all_end_and_start_works(make_suite):
    s = make_suite()
    ready(s)
    old = s.left()
    os.kill(s.master_pid(), signal.SIGKILL)
    s.start()					# at once, while they are ending
    wait_for(lambda: not [p for p in old if p.alive()], 10 * patience(), why=lambda: f"{old}")
    s.send("anna")
    s.maildir("anna").wait(1)


def test_no_log_record_is_lost_when_the_journal_dies(make_suite):
    s = make_suite()
    ready(s)
    journal = s.pids("journal")[0]
    os.kill(journal, signal.SIGSTOP)
    for _ in range(5):
        s.send("anna")
    os.kill(journal, signal.SIGKILL)
    wait_for(lambda: len(re.findall(r"hermod/smtpd\[\d+\]: \w+: from=", s.log())) == 5, 20 * patience(),
             why=lambda: s.log()[-3000:])


# ---- reload ----

def test_reload_closes_no_session(make_suite):
    s = make_suite()
    c = greeted(s.smtp_port)
    assert say(c, b"EHLO a.test").startswith(b"250")
    old = s.pids("smtpd")
    s.reload()
    new = [p for p in s.pids("smtpd") if p not in old]
    assert len(new) == 2
    assert [p for p in old if p in s.pids("smtpd")]	# the one with the session is still there
    s.send("anna")				# new sessions are the new generation's
    for line in (b"MAIL FROM:<>", b"RCPT TO:<anna@hermod.test>", b"DATA"):
        assert say(c, line)[:1] in b"23", line
    assert say(c, b"Subject: old\r\n\r\nsession\r\n.").startswith(b"250")
    s.maildir("anna").wait(2, 10)		# the new qmgr serves the old session too
    assert say(c, b"QUIT").startswith(b"221")
    wait_for(lambda: sorted(s.pids("smtpd")) == sorted(new), 10 * patience(), why=lambda: f"{old} {s.pids('smtpd')}")
    wait_for(lambda: len(s.pids("router")) == 1, 10 * patience(), why=lambda: s.hermod("status").stdout)


def test_reload_takes_a_new_configuration(make_suite):
    s = make_suite()
    port = proc.free_ports(1)[0]
    s.write_conf(hostname="other.test", listen_smtp=[f"127.0.0.1:{s.smtp_port}", f"127.0.0.1:{port}"])
    s.reload()
    for p in (s.smtp_port, port):
        with socket.create_connection((s.host, p), timeout=10 * patience()) as c:
            assert c.recv(200).startswith(b"220 other.test ")
    s.write_conf(listen_smtp=[f"127.0.0.1:{port}"])
    s.reload()
    wait_for(lambda: refused(s.host, s.smtp_port), 10 * patience(), why="the old address is closed")


def refused(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
        return False
    except ConnectionRefusedError:
        return True


def test_a_bad_configuration_is_refused_and_the_old_goes_on(make_suite):
    s = make_suite()
    before = sorted(s.pids())
    for change, says in (({"hostname": "-"}, "hostname"), ({"nonsense": "1"}, "nonsense"),
                         ({"trusted_networks": ["0.0.0.0/0"]}, "0.0.0.0/0"),
                         ({"queue_directory": "/tmp/elsewhere"}, "queue_directory")):
        s.write_conf(**change)
        r = s.reload(check=False)
        assert r.returncode == 1 and says in r.stdout + r.stderr, r
        s.write_conf(**{k: {"hostname": s.hostname, "queue_directory": s.queue, "trusted_networks": []}.get(k)
                        for k in change})
    assert sorted(s.pids()) == before
    greeted(s.smtp_port).close()


def test_signals_do_what_they_say(make_suite):
    s = make_suite()
    old = s.pids("smtpd")
    os.kill(s.master_pid(), signal.SIGHUP)
    s.wait_log("the configuration was read again")
    wait_for(lambda: not set(old) & set(s.pids("smtpd")), 10 * patience())
    os.rename(s.log_file, s.log_file + ".1")
    os.kill(s.master_pid(), signal.SIGUSR1)
    wait_for(lambda: os.path.exists(s.log_file), 10 * patience(), why="the log file is made anew")
    s.send("anna")
    s.wait_log("from=<sender@client.test>")


# ---- stop ----

def test_stop_ends_all_of_it(make_suite):
    s = make_suite(stop_timeout="1s")
    c = greeted(s.smtp_port)			# which does not hold it up for ever
    s.note_processes()
    began = time.monotonic()
    assert "has stopped" in s.hermod("stop").stdout
    assert time.monotonic() - began < 6 * patience()
    wait_for(lambda: not s.left(), 2 * patience(), why=s.left)	# master lets go of its files, then it is gone
    assert sorted(os.listdir(os.path.join(s.dir, "run"))) == ["empty", "public"]
    assert s.hermod("status", check=False).returncode == 3
    assert s.hermod("stop").returncode == 0	# twice is fine
    c.close()


def test_stop_of_one_that_does_not_listen_yet(make_suite):
    """As when it starts, or stops just now: a moment later it listens, or is gone."""
    s = make_suite()
    path = os.path.join(s.dir, "run", "master.sock")
    os.rename(path, path + ".away")
    stop = subprocess.Popen([os.path.join(s.build, "bin", "hermod"), "-c", s.conf, "stop"], env=s.environment())
    time.sleep(0.3)
    assert stop.poll() is None
    os.rename(path + ".away", path)
    assert stop.wait(30 * patience()) == 0


# ---- the command's socket ----

def control(suite):
    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    c.settimeout(20 * patience())
    c.connect(os.path.join(suite.dir, "run", "master.sock"))
    return c


@pytest.mark.parametrize("garbage", [b"x", b"\0" * 8, b"\xff" * 60000, b"\1\0\0\0\0\0\0\0" + b"\0" * 8])
def test_garbage_costs_only_its_connection(shared_suite, garbage):
    c = control(shared_suite)
    c.recv(70000)				# its hello
    c.sendall(garbage)
    assert c.recv(70000) == b""
    assert shared_suite.hermod("status").returncode == 0


def test_silent_clients_do_not_keep_others_out(shared_suite):
    many = [control(shared_suite) for _ in range(12)]
    wait_for(lambda: shared_suite.hermod("status", check=False).returncode == 0, 30 * patience())
    for c in many:
        c.close()


@pytest.mark.root
def test_only_root_may_command(shared_suite):
    r = subprocess.run(["setpriv", "--reuid=60900", "--regid=60900", "--clear-groups",
                        os.path.join(build_dir(), "bin", "hermod"), "-c", shared_suite.conf, "status"],
                       text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 77, r
