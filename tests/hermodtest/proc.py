# SPDX-License-Identifier: ISC
"""Processes as /proc shows them; waiting; free ports."""
import collections
import ctypes
import os
import pty
import random
import signal
import socket
import time


def become_subreaper():
    """Whatever our daemons leave behind becomes our child, so that we can find it."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Proc:
    """One process, named by pid and start time: a pid used again is another."""

    def __init__(self, pid):
        stat = open(f"/proc/{pid}/stat").read()
        self.comm = stat[stat.index("(") + 1:stat.rindex(")")]
        rest = stat[stat.rindex(")") + 2:].split()
        self.pid, self.state, self.ppid, self.start = pid, rest[0], int(rest[1]), rest[19]

    def __repr__(self):
        return f"{self.comm}[{self.pid}]"

    def alive(self):
        try:
            now = Proc(self.pid)
        except (OSError, ValueError):
            return False
        if now.start != self.start:
            return False
        self.comm = now.comm		# it may have been seen before it was executed, or took its name
        if now.state != "Z":
            return True
        if now.ppid == os.getpid():	# left to us: nobody else reaps it
            try:
                os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pass
        return False

    def name(self):
        """Its command name now: a fork of become gives itself one; None when it is gone."""
        try:
            return Proc(self.pid).comm
        except (OSError, ValueError):
            return None

    def kill(self, sig=signal.SIGKILL):
        if self.alive():
            try:
                os.kill(self.pid, sig)
            except ProcessLookupError:
                pass

    def status(self, field):
        """A line of /proc/PID/status: status("Uid") is "0\\t0\\t0\\t0"."""
        for line in open(f"/proc/{self.pid}/status"):
            if line.startswith(field + ":"):
                return line.split(":", 1)[1].strip()
        raise KeyError(field)

    def fds(self):
        """{number: what it points at}"""
        out = {}
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                out[int(fd)] = os.readlink(f"/proc/{self.pid}/fd/{fd}")
            except OSError:
                pass
        return out

    def pss_kb(self):
        for line in open(f"/proc/{self.pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                return int(line.split()[1])
        return 0

    def cpu_s(self):
        stat = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def processes():
    out = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                out.append(Proc(int(name)))
            except (OSError, ValueError):
                pass
    return out


def descendants(*roots):
    """All below these pids, themselves left out; one look at /proc."""
    children = {}
    for p in processes():
        children.setdefault(p.ppid, []).append(p)
    out, todo, seen = [], list(roots), set()
    while todo:
        for p in children.get(todo.pop(), []):
            if p.pid not in seen:
                seen.add(p.pid)
                out.append(p)
                todo.append(p.pid)
    return out


def wait_for(what, seconds=20, step=0.02, why=None):
    """Waits until what() is true and returns that value; else AssertionError."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            text = why() if callable(why) else why
            raise AssertionError(f"not so after {seconds} s: {text or what}")
        time.sleep(step)


def on_terminal(program, *args, env=None):
    """Its pid, and the other end of the terminal that it has."""
    pid, fd = pty.fork()
    if pid == 0:
        for n in (signal.SIGINT, signal.SIGQUIT):       # which a shell ignores for what it runs beside itself
            signal.signal(n, signal.SIG_DFL)
        os.execve(program, [program, *args], os.environ if env is None else env)
    return pid, fd


def same_day(seconds):
    """From now on it stays the day that it is (UTC) for so long: just before midnight this waits for the next."""
    left = 86400 - time.time() % 86400
    if left < seconds:
        time.sleep(left + 0.1)


def is_free(port):
    """At no address is there anybody."""
    with socket.socket() as s:
        try:
            s.bind(("", port))
            return True
        except OSError:
            return False


OF_BENCH = range(27025, 27032)          # bench/ listens there, now and then; who has SO_REUSEPORT would share them
given = collections.deque(maxlen=200)   # of ports that somebody here may be about to listen on: a socket whose name says so


def reserve(port):
    """False: another test, of whatever process, has it, or did a moment ago."""
    s = socket.socket(socket.AF_UNIX)
    try:
        s.bind(f"\0hermod-test-port-{port}")    # it goes with the socket, and that with the process
    except OSError:
        s.close()
        return False
    given.append(s)
    return True


def free_ports(n):
    """n ports that nobody has right now; below those that the kernel gives
    to clients, one of which could take it before we do."""
    ports = set()
    # Tests that run side by side choose from ranges of their own: summary numbers them,
    # so does pytest -n (gw0, gw1, ...).
    side = int(os.environ.get("HERMOD_TEST_SIDE", os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])) % 8
    while len(ports) < n:
        port = random.randrange(10000 + side * 2750, 10000 + (side + 1) * 2750)
        if port not in OF_BENCH and is_free(port) and reserve(port):
            ports.add(port)
    return sorted(ports)
