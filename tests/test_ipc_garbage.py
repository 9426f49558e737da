# SPDX-License-Identifier: ISC
"""Garbage on every socket inside the suite: that one connection is dropped, no process exits.

First what every local user can open (pickup), then master's own, then the channels between the
processes: as root a test takes a descriptor out of a process (pidfd_getfd) and writes to it, so that
the process at the other end sees what a process gone wild would send.
"""
import array
import ctypes
import os
import random
import re
import socket
import struct
import subprocess
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import Suite, patience

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FRAME_MAX = 65536
SERVICES = ["journal", "router", "become", "local", "qmgr", "cleanup", "bounce", "auth", "pickup", "smtpd", "pop3-login",
            "imap-login", "resolver", "smtp-client", "fetch"]
SYS_pidfd_getfd = 438


@pytest.fixture(scope="module")
def shared_suite(ca):
    """With submission, which is asked by a socket, too."""
    s = Suite({"tls_certificates": [ca.of_suite()]})
    yield s
    s.end()


def message_types():
    """{name: type}, in the order of messages.def."""
    text = open(os.path.join(ROOT, "lib", "mail", "messages.def")).read()
    return {name: i + 1 for i, name in enumerate(re.findall(r"^MSG\((\w+)\)", text, re.M))}


TYPES = message_types()


def frame(name, body=b"", id=1):
    return struct.pack("<II", TYPES[name], id) + body


def text_field(s):
    return struct.pack("<I", len(s)) + s


def rubbish():
    """(name, octets, descriptors) that no receiver can make sense of."""
    r = random.Random(20261123)
    yield "empty head", b"\x01", 0
    yield "half a head", b"\x01\x00\x00\x00\x01", 0
    yield "type 0", struct.pack("<II", 0, 1), 0
    yield "unknown type", struct.pack("<II", len(TYPES) + 1, 1), 0
    yield "type of all ones", b"\xff" * 8, 0
    yield "too long", frame("submit_data", bytes(FRAME_MAX)), 0
    yield "the longest", frame("envelope", b"\xff" * (FRAME_MAX - 8)), 0
    yield "a text past the end", frame("rcpt_check", struct.pack("<II", 1, 1000)), 0
    yield "a text of 4 GiB", frame("abandon", struct.pack("<I", 0xffffffff) + b"x" * 32), 0
    yield "left over", frame("hello", struct.pack("<Q", 1) + b"x"), 0
    yield "another version", frame("hello", struct.pack("<Q", 0x1122334455667788)), 0
    yield "descriptors for no field", frame("report"), 1
    yield "3 descriptors", frame("report"), 3
    yield "253 descriptors", frame("report"), 253
    for i in range(12):
        yield f"random {i}", r.randbytes(r.randrange(1, 400)), r.choice([0, 0, 1, 2])
    for name in r.sample(sorted(TYPES), 12):
        yield f"random {name}", frame(name, r.randbytes(r.randrange(0, 200))), r.choice([0, 1])


def out_of_state():
    """Well-formed messages that do not belong on a client's connection, or not in this order."""
    yield "commit", frame("commit", text_field(b"A1") + struct.pack("<Q", 1) + text_field(b""))
    yield "open", frame("open", struct.pack("<Q", 1))
    yield "go", frame("go", struct.pack("<II", 0, 0))
    yield "drain", frame("drain")
    yield "ready", frame("ready")
    yield "report", frame("report")
    yield "an answer to nobody", frame("committed", struct.pack("<I", 0) + text_field(b"A1"), id=0x80000001)
    yield "submit_end", frame("submit_end")
    yield "submit_data", frame("submit_data", text_field(b"x"))
    yield "submit_rcpt", frame("submit_rcpt", text_field(b"a@b") + struct.pack("<I", 0))
    yield "hello again", None


def send(sock, octets, fds=0):
    """False: the socket does not take it (closed, full, or longer than it may be)."""
    ancillary = []
    if fds:
        null = os.open("/dev/null", os.O_RDONLY)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * fds))]
    try:
        sock.sendmsg([octets], ancillary, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return True
    except OSError:
        return False
    finally:
        if fds:
            os.close(null)


def connect(path):
    """A connection on which both have said hello."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10 * patience())
    s.connect(path)
    hello = s.recv(FRAME_MAX)		# its hash is ours
    assert struct.unpack_from("<I", hello)[0] == TYPES["hello"]
    assert send(s, hello)
    return s, hello


def closed(s, seconds=10):
    """What it still says is read; true when it then closes."""
    end = time.monotonic() + seconds * patience()
    s.settimeout(0.2)
    while time.monotonic() < end:
        try:
            if s.recv(FRAME_MAX) == b"":
                return True
        except ConnectionResetError:
            continue
        except TimeoutError:
            pass
    return False


def pids(suite):
    return {p.pid for p in suite.processes() if p.comm in SERVICES + ["submission"] or p.pid == suite.master_pid()}


def pickup(suite):
    return os.path.join(suite.dir, "run", "public", "pickup")


def master_socket(suite):
    return os.path.join(suite.dir, "run", "master.sock")


def queue_socket(suite):
    return os.path.join(suite.dir, "run", "queue.sock")


def auth_socket(suite):
    return os.path.join(suite.dir, "run", "auth.sock")


def submission_socket(suite):
    return os.path.join(suite.dir, "run", "submission.sock")


def explain_socket(suite):
    return os.path.join(suite.dir, "run", "explain.sock")


def mailq(suite):
    r = subprocess.run([os.path.join(suite.build, "bin", "mailq"), "-C", suite.conf], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * patience(),
                       env=dict(suite.environment(), HERMOD_CONF=suite.conf))
    assert r.returncode == 0, r.stdout


def rss_kb(p):
    return int(p.status("VmRSS").split()[0])


def open_fds(suite):
    if os.geteuid() != 0:		# nobody but root sees them
        return {}
    return {p.comm + str(p.pid): len(p.fds()) for p in suite.processes() if p.comm in SERVICES}


def open_at_rest(suite):
    """The least of some time: what clients have closed is still being closed there."""
    least, end = open_fds(suite), time.monotonic() + 0.5 * patience()
    while time.monotonic() < end:
        now = open_fds(suite)
        least = {k: min(n, now.get(k, n)) for k, n in least.items()}
        time.sleep(0.05)
    return least


# ---- what can be opened by name ------------------------------------------------------------

@pytest.mark.parametrize("where", [pickup, master_socket, queue_socket, explain_socket, auth_socket, submission_socket])
def test_rubbish(shared_suite, where):
    before, fds = pids(shared_suite), open_at_rest(shared_suite)
    for name, octets, passed in rubbish():
        for greeted in (False, True):
            if greeted:
                s, _ = connect(where(shared_suite))
            else:
                s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                s.connect(where(shared_suite))
            if send(s, octets, passed):		# the longest of all the kernel refuses by itself
                assert closed(s), f"{name}: the connection lives on"
            s.close()
    assert pids(shared_suite) == before
    wait_for(lambda: open_fds(shared_suite) == fds, 10 * patience(),
             why=lambda: f"descriptors were left open: {fds} {open_fds(shared_suite)}")
    shared_suite.hermod("status")


@pytest.mark.parametrize("where", [pickup, master_socket, queue_socket, explain_socket, auth_socket, submission_socket])
def test_out_of_state(shared_suite, where):
    """Answered or closed, as it may be; but nobody dies of it, and nothing is queued."""
    before = pids(shared_suite)
    for name, octets in out_of_state():
        s, hello = connect(where(shared_suite))
        send(s, hello if octets is None else octets)
        send(s, frame("report"))
        assert closed(s), name
        s.close()
    assert pids(shared_suite) == before
    assert shared_suite.queue_files() == []


def test_silent_and_cut_off(shared_suite):
    """Connections that say nothing, or end in the midst of a message."""
    before = pids(shared_suite)
    held = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(30)]
    for s in held:
        s.connect(pickup(shared_suite))
    s, _ = connect(pickup(shared_suite))
    send(s, frame("submit", text_field(b"x@y.test") + struct.pack("<I", 0) + text_field(b"") + struct.pack("<I", 0)))
    s.close()
    mailq(shared_suite)
    for s in held:
        s.close()
    assert pids(shared_suite) == before
    wait_for(lambda: shared_suite.queue_files() == [], 10 * patience())


def test_never_reads(shared_suite):
    """It asks and asks and takes no answer: it is given up before it costs much, and others are served."""
    p = shared_suite.processes("pickup")[0]
    before, rss = pids(shared_suite), rss_kb(p)
    s, _ = connect(pickup(shared_suite))
    s.setblocking(False)
    sent, end = 0, time.monotonic() + 20 * patience()
    while time.monotonic() < end and sent < 20000:
        if send(s, frame("queue_list", id=sent + 1)):
            sent += 1
            continue
        try:
            s.send(b"", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BrokenPipeError:
            break			# given up
        except OSError:
            time.sleep(0.01)
    mailq(shared_suite)
    assert sent > 100
    assert rss_kb(p) - rss < 32 * 1024, "what waits for it grows without bound"
    s.close()
    assert pids(shared_suite) == before


# ---- the channels inside ---------------------------------------------------------------------

def take_descriptor(pid, fd):
    """A duplicate of another process's descriptor, or -1."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        return libc.syscall(SYS_pidfd_getfd, pidfd, fd, 0)
    finally:
        os.close(pidfd)


def channels(p, control=False):
    """Duplicates of the sockets on which a process talks to others of the suite."""
    for fd, what in sorted(p.fds().items()):
        if not what.startswith("socket:") or (fd == 3) != control:
            continue
        own = take_descriptor(p.pid, fd)
        if own == -1:
            continue
        s = socket.socket(fileno=own)
        if s.family == socket.AF_UNIX and s.type == socket.SOCK_SEQPACKET \
                and not s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            yield fd, s
        else:
            s.close()


@pytest.mark.root
@pytest.mark.parametrize("service", [s for s in SERVICES])
def test_channels(make_suite, service):
    """Whatever one process sends to those it has channels with: they close it, and go on."""
    suite = make_suite()
    suite.send("anna")
    suite.maildir("anna").wait(1)
    before = pids(suite)
    all_rubbish = list(rubbish())
    n = 0
    for p in suite.processes(service):
        for fd, s in channels(p):
            for k in range(4):		# on an open channel one is enough; a journal's takes all
                name, octets, passed = all_rubbish[(4 * n + k) % len(all_rubbish)]
                send(s, octets, passed)
            n += 1
            s.close()
    assert n > 0
    if service != "journal":		# nobody listens to it
        suite.wait_log(r"warning: (channel: (what came is no message|message `\w+` makes no sense)"
                       r"|journal: \S+ sent what is no record)")
    time.sleep(0.5 * patience())
    assert pids(suite) == before, suite.log()[-3000:]
    suite.restart()			# whoever lost all its channels would be, by itself, after half a minute
    suite.send("anna")
    suite.maildir("anna").wait(2)


@pytest.mark.root
def test_control_channels(make_suite):
    """What a process sends to master costs the process its life, and master nothing."""
    suite = make_suite()
    before = suite.master_pid()
    for service in SERVICES:
        for i, (name, octets, passed) in enumerate(rubbish()):
            if i % 9 != SERVICES.index(service) % 9:
                continue
            p = wait_for(lambda: suite.processes(service), 20 * patience())[0]
            for fd, s in channels(p, control=True):
                send(s, octets, passed)
                s.close()
            wait_for(lambda: not p.alive(), 20 * patience(), why=f"{service} lives on: {name}")
            break
    assert suite.master_pid() == before

    def all_there():
        return {p.name() for p in suite.processes()} >= set(SERVICES)
    wait_for(all_there, 30 * patience(), why=lambda: suite.processes())

    def mail_flows():
        try:
            suite.send("anna")
            return True
        except Exception:
            time.sleep(0.2)
    wait_for(mail_flows, 30 * patience())
    suite.maildir("anna").wait(1)


@pytest.mark.root
def test_records(make_suite):
    """Whatever a process sends to the journal: each is one line under the sender's own name, or none."""
    suite = make_suite()
    p = suite.processes("smtpd")[0]
    stamp = struct.pack("<IQ", 1, 1700000000 * 10**6)
    forged = [b"\x01\x04" + stamp + b"qmgr" + b"A1: delivered\nhermod/master[1]: warning: second line",
              b"\x01\x05" + stamp + b"smtpd" + b"\x1b]0;title\x07 \xff\xc2\x9b",
              b"\x01\xff" + stamp + b"smtpd", b"\x09\x05" + stamp + b"smtpd", b"x",
              b"\x01\x05" + stamp + b"smtpd" + b"y" * 100000]
    for fd, s in channels(p):
        for record in forged:
            send(s, record)
        s.close()
    suite.wait_log(r"hermod/smtpd as qmgr\[1\]: A1: delivered\\x0Ahermod/master")
    suite.wait_log(r"hermod/smtpd\[1\]: \\x1B\]0;title\\x07 \\xFF\\xC2\\x9B$")
    assert not re.search(r"^hermod/master", suite.log(), re.M)
    assert max(len(line) for line in suite.log().splitlines()) < 20000
    assert b"\x1b" not in suite.log().encode()
    assert suite.processes("journal")
