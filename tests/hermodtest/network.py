# SPDX-License-Identifier: ISC
"""
A network of its own: hosts that are network namespaces, with addresses of their own, on one wire (a bridge in a namespace more).
What is made within `with network["a"]:`, sockets and processes alike, is on that host. All ends with the processes that hold the
namespaces; nothing of it is seen from outside.

Every host knows the others' hardware addresses, so that to one which is unplugged packets go out and nothing comes back: neither
an answer nor "no route to host".
"""
import ctypes
import os
import subprocess
import sys

import pytest

from hermodtest.proc import wait_for

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def enter(fd):
    """For this thread, and those and the processes that it starts from now on."""
    if libc.setns(fd, CLONE_NEWNET) == -1:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    def __init__(self):
        # It ends with us: it waits for the end of its standard input.
        wait = "import sys; print('in'); sys.stdout.flush(); sys.stdin.read()"
        self.process = subprocess.Popen(["unshare", "--net", sys.executable, "-c", wait],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "in\n":
            why = self.process.stderr.read().strip()
            self.end()
            pytest.skip(f"network namespaces cannot be made here: {why}")
        self.fd = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.before = []

    def __enter__(self):
        self.before.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        enter(self.fd)
        return self

    def __exit__(self, *_):
        fd = self.before.pop()
        enter(fd)
        os.close(fd)

    def run(self, *args):
        with self:
            r = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            raise OSError(f"{' '.join(args)}: {r.stdout.strip()}")
        return r.stdout

    def ip(self, words):
        return self.run("ip", *words.split())

    def end(self):
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        self.process.wait(20)
        if hasattr(self, "fd"):
            os.close(self.fd)


class Host(Namespace):
    def __init__(self, n):
        super().__init__()
        self.address, self.address6, self.hardware = f"192.0.2.{n}", f"2001:db8::{n}", f"02:00:00:00:00:{n:02x}"

    def know(self, other, hardware=None):
        for address in (other.address, other.address6):
            self.ip(f"neigh replace {address} lladdr {hardware or other.hardware} dev eth0 nud permanent")

    def lose(self, address):
        """What goes to it from here arrives nowhere, until `know`."""
        self.ip(f"neigh replace {address} lladdr 02:00:00:00:ff:ff dev eth0 nud permanent")


class Network:
    def __init__(self, *names):
        self.hosts, self.wire = {}, None
        try:
            self.wire = Namespace()
            self.build(names)
        except OSError as e:
            self.end()
            pytest.skip(f"a network of network namespaces cannot be made here: {e}")
        except BaseException:
            self.end()
            raise

    def build(self, names):
        self.wire.ip("link add wire type bridge")
        self.wire.ip("link set wire up")
        for n, name in enumerate(names, 1):
            h = self.hosts[name] = Host(n)
            self.wire.ip(f"link add to-{name} type veth peer name eth0 address {h.hardware} netns {h.process.pid}")
            self.wire.ip(f"link set to-{name} master wire up")
            h.ip("link set lo up")
            h.ip("link set eth0 up")
            h.ip(f"addr add {h.address}/24 dev eth0")
            h.ip(f"addr add {h.address6}/64 dev eth0 nodad")
        self.heal()

    def heal(self):
        """All are plugged in, and find each other."""
        for name, h in self.hosts.items():
            self.plug(name)
            for other in self.hosts.values():
                if other is not h:
                    h.know(other)
        for h in self.hosts.values():
            wait_for(lambda: "state UP" in h.ip("link show dev eth0"), 20)

    def unplug(self, name):
        self.wire.ip(f"link set to-{name} down")

    def plug(self, name):
        self.wire.ip(f"link set to-{name} up")

    def __getitem__(self, name):
        return self.hosts[name]

    def end(self):
        for h in [*self.hosts.values(), self.wire]:
            if h:
                h.end()
