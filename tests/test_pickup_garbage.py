# SPDX-License-Identifier: ISC
"""pickup's socket, which every user of the host may open: frames that are random, short, over-long or out of order, with and
without descriptors, and a peer that never reads. That one connection ends; nobody else notices."""
import array
import os
import random
import re
import select
import socket
import struct
import subprocess
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import patience

SETTINGS = {"pickup_clients": 60}
SEED = int(os.environ.get("HERMOD_SEED", "20261124"))
DEF = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "mail", "messages.def")).read()
TYPES = {name: n + 1 for n, name in enumerate(re.findall(r"^MSG\((\w+)\)", DEF, re.M))}


def text(s):
    return struct.pack("<I", len(s)) + s


def frame(name, body=b"", id=1):
    return struct.pack("<II", TYPES[name], id) + body


BEGIN = frame("submit", text(b"a@b.test") + struct.pack("<I", 0) + text(b"") + struct.pack("<I", 0))
RCPT = frame("submit_rcpt", text(b"anna@hermod.test") + struct.pack("<I", 0))
DATA = frame("submit_data", text(b"Subject: s\n\nx\n"))
END = frame("submit_end")


class Peer:
    def __init__(self, suite, greet=True):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.settimeout(20 * patience())
        self.s.connect(os.path.join(suite.dir, "run", "public", "pickup"))
        if greet:
            hello = self.recv()
            assert struct.unpack("<I", hello[:4])[0] == TYPES["hello"]
            self.s.send(hello)

    def send(self, octets, fds=()):
        self.s.sendmsg([octets], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])

    def recv(self):
        return self.s.recv(1 << 17)

    def ask(self, octets):
        """The code of the answer, or 0: closed."""
        self.send(octets)
        answer = self.recv()
        return struct.unpack("<I", answer[8:12])[0] if answer else 0

    def closed(self, seconds=10):
        """The other end has closed, whatever it said before."""
        end = time.monotonic() + seconds * patience()
        while time.monotonic() < end:
            ready, _, _ = select.select([self.s], [], [], 0.5)
            try:
                if ready and self.s.recv(1 << 17) == b"":
                    return True
            except ConnectionError:
                return True
        return False

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.s.close()


@pytest.fixture(autouse=True)
def same_pickup(shared_suite):
    """The process that was there before is there after, with no descriptor more, and takes mail."""
    before = shared_suite.pids("pickup")
    fds = len(os.listdir(f"/proc/{before[0]}/fd"))
    yield
    assert shared_suite.pids("pickup") == before
    n = len(shared_suite.maildir("anna").files())
    r = subprocess.run([os.path.join(shared_suite.build, "bin", "sendmail"), "-C", shared_suite.conf, "anna@hermod.test"],
                       input=b"Subject: still here\n\nx\n", env=shared_suite.environment(), timeout=60 * patience())
    assert r.returncode == 0
    shared_suite.maildir("anna").wait(n + 1)
    wait_for(lambda: len(os.listdir(f"/proc/{before[0]}/fd")) <= fds, 20 * patience(), why="descriptors leak")
    shared_suite.wait_queue_empty()


def test_the_right_order(shared_suite):
    with Peer(shared_suite) as p:
        for _ in range(2):
            assert [p.ask(BEGIN), p.ask(RCPT)] == [250, 250]
            p.send(DATA)
            assert p.ask(END) == 250


@pytest.mark.parametrize("frames", [
    [RCPT], [DATA], [END], [BEGIN, BEGIN], [BEGIN, RCPT, BEGIN], [BEGIN, RCPT, DATA, RCPT], [BEGIN, DATA, RCPT],
    [BEGIN, RCPT, DATA, BEGIN], [frame("queue_end", struct.pack("<II", 0, 0))], [frame("submitted", struct.pack("<I", 250) + text(b"")
                                                                                * 2)],
    [frame("commit", text(b"x") + struct.pack("<Q", 1) + text(b""))], [frame("go", struct.pack("<II", 0, 0))],
    [frame("drain")], [frame("setting", text(b"hostname") + text(b"evil"))], [struct.pack("<II", 0, 1)],
    [struct.pack("<II", len(TYPES) + 1, 1)], [struct.pack("<II", 0xffffffff, 0xffffffff)],
], ids=lambda f: "-".join(str(struct.unpack("<I", x[:4])[0]) for x in f))
def test_out_of_order(shared_suite, frames):
    with Peer(shared_suite) as p:
        for f in frames[:-1]:
            p.send(f)
            if f in (BEGIN, RCPT):
                p.recv()
        p.send(frames[-1])
        assert p.closed()


def test_who_does_not_wait(shared_suite):
    with Peer(shared_suite) as p:
        for f in (BEGIN, RCPT, DATA, END) * 50:
            try:
                p.send(f)
            except OSError:
                break
        assert p.closed()


@pytest.mark.parametrize("octets", [
    b"", b"x", struct.pack("<I", 1), BEGIN[:-1], BEGIN + b"x", BEGIN[:12], frame("submit", struct.pack("<I", 0xffffffff) + b"x" * 50),
    frame("submit", text(b"x" * 1025) + struct.pack("<I", 0) + text(b"") + struct.pack("<I", 0)),
    frame("submit_data", text(b"x" * 57345)), b"\xff" * 65536, b"\0" * 65537, b"x" * 100000,
], ids=range(12))
def test_short_and_over_long(shared_suite, octets):
    for greet in (True, False):
        with Peer(shared_suite, greet) as p:
            p.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            try:
                p.send(octets)
            except OSError as e:
                assert e.errno == 90	# EMSGSIZE: the kernel does not carry it
                continue
            assert p.closed(), "a frame that is none was taken"


def test_another_hello(shared_suite):
    with Peer(shared_suite, False) as p:
        p.send(frame("hello", struct.pack("<Q", 0x1122334455667788), 0))
        assert p.closed()
    with Peer(shared_suite) as p:
        p.send(frame("hello", struct.pack("<Q", 1), 0))
        assert p.closed()


@pytest.mark.parametrize("n", [1, 2, 3, 253])
@pytest.mark.parametrize("what", [BEGIN, DATA, b"x"], ids=["begin", "data", "x"])
def test_descriptors(shared_suite, n, what):
    """Nobody asked for them: closed, all of them, with the connection."""
    r, w = os.pipe()
    with Peer(shared_suite) as p:
        p.send(what, [w] * n)
        os.close(w)
        assert p.closed()
    ready, _, _ = select.select([r], [], [], 10 * patience())
    assert ready and os.read(r, 1) == b"", "the other end still has it"
    os.close(r)


def test_random_frames(shared_suite):
    """Well-formed and damaged frames in any order, with a few descriptors; the seed is printed."""
    rng = random.Random(SEED)
    print(f"HERMOD_SEED={SEED}")
    known = [BEGIN, RCPT, DATA, END, frame("queue_list"), frame("hello", os.urandom(8))]
    null = os.open("/dev/null", os.O_RDONLY)
    for _ in range(600):
        with Peer(shared_suite, rng.random() < 0.9) as p:
            p.s.setblocking(False)
            for _ in range(rng.randrange(1, 8)):
                f = bytearray(rng.choice(known))
                kind = rng.randrange(4)
                if kind == 1:
                    f[rng.randrange(len(f))] ^= 1 << rng.randrange(8)
                elif kind == 2:
                    f = f[:rng.randrange(len(f) + 1)]
                elif kind == 3:
                    f = bytearray(rng.randbytes(rng.randrange(200)))
                    if len(f) > 4 and rng.random() < 0.7:
                        f[:4] = struct.pack("<I", rng.randrange(len(TYPES) + 2))
                try:
                    p.send(bytes(f), [null] * rng.choice([0, 0, 0, 1, 5]))
                    p.recv()
                except OSError:
                    pass
    os.close(null)


def test_a_peer_that_never_reads(shared_suite):
    """It asks for the list for ever, and takes no answer: given up; others are served meanwhile."""
    with Peer(shared_suite) as p:
        p.s.setblocking(False)
        end = time.monotonic() + 60 * patience()
        gone = False
        while not gone and time.monotonic() < end:
            try:
                p.send(frame("queue_list"))
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                gone = True
        with Peer(shared_suite) as other:
            assert other.ask(BEGIN) == 250
        assert gone


def test_more_peers_than_there_is_room(shared_suite):
    peers = [Peer(shared_suite, greet=False) for _ in range(100)]
    turned_away = [p for p in peers if select.select([p.s], [], [], 5 * patience())[0] and p.recv() == b""]
    assert len(turned_away) == 40
    for p in peers:
        p.s.close()
