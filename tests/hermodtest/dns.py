# SPDX-License-Identifier: ISC
"""DNS for tests: a server that answers as it is told, wrongly too; NSD with zones that are signed; and whoever asks the resolver."""
import os
import shutil
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from hermodtest import ipc
from hermodtest.proc import free_ports, wait_for
from hermodtest.suite import patience

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "DNSKEY": 48,
         "TLSA": 52}
NAMES = {number: name for name, number in TYPES.items()}
RESULTS = ["failed", "found", "no data", "no such name", "bogus"]
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5


# ---- wire format ---------------------------------------------------------------------------------

def name_wire(name):
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def read_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    return ".".join(labels).lower(), at + 1


def rdata(kind, value):
    """"192.0.2.1", "10 mx.example", a name; bytes are taken as they are."""
    if isinstance(value, bytes):
        return value
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "MX":
        preference, name = value.split()
        return struct.pack(">H", int(preference)) + name_wire(name)
    if kind == "TXT":
        return b"".join(bytes([len(piece)]) + piece for piece in
                        [value.encode()[i:i + 255] for i in range(0, max(len(value), 1), 255)])
    if kind == "SOA":
        return name_wire("ns.") + name_wire("h.") + struct.pack(">5I", 1, 2, 3, 4, int(value))
    return name_wire(value)


def rr(name, kind, ttl, value):
    data = rdata(kind, value)
    return name_wire(name) + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(data)) + data


# ---- a server that answers as it is told ------------------------------------------------------------

class Reply:
    """records: (name or None for the one asked, type, ttl, value). soa: seconds that a "no" may be kept."""

    def __init__(self, *records, rcode=0, soa=None, cut=False, delay=0, silent=False, wrong_id=False, wrong_name=None, raw=None):
        self.records, self.rcode, self.soa, self.cut, self.delay = records, rcode, soa, cut, delay
        self.silent, self.wrong_id, self.wrong_name, self.raw = silent, wrong_id, wrong_name, raw

    def packet(self, query, tcp):
        name, end = read_name(query, 12)
        cut = self.cut and not tcp
        if self.raw is not None:
            return query[:2] + self.raw
        answers = b"" if cut else b"".join(rr(n or name, *rest) for n, *rest in self.records)
        number = struct.unpack(">H", query[:2])[0] ^ (0x5555 if self.wrong_id else 0)
        question = name_wire(self.wrong_name) + query[end:end + 4] if self.wrong_name else query[12:end + 4]
        authority = b"" if self.soa is None else rr(".", "SOA", self.soa, self.soa)
        head = struct.pack(">6H", number, 0x8180 | (0x0200 if cut else 0) | self.rcode, 1, 0 if cut else len(self.records),
                           int(self.soa is not None), 0)
        return head + question + answers + authority


class Server:
    """A forwarder on loopback. answers[(name, type)] is a Reply, or what makes one of a question; all else is not there."""

    def __init__(self):
        self.answers, self.asked, self.lock = {}, [], threading.Lock()
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                packet, s = self.request
                reply = outer.reply(packet, False)
                if reply is not None:
                    s.sendto(reply, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    while True:
                        head = self.request.recv(2, socket.MSG_WAITALL)
                        if len(head) < 2:
                            return
                        packet = self.request.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
                        reply = outer.reply(packet, True)
                        if reply is not None:
                            self.request.sendall(struct.pack(">H", len(reply)) + reply)
                except OSError:
                    pass

        class Listener(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            request_queue_size = 200

        self.port = free_ports(1)[0]
        self.address = f"127.0.0.1:{self.port}"
        self.servers = [socketserver.ThreadingUDPServer(("127.0.0.1", self.port), Udp),
                        Listener(("127.0.0.1", self.port), Tcp)]
        self.servers[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)		# hundreds at once, and none lost
        for s in self.servers:
            s.daemon_threads = True
            s.handle_error = lambda *_: None		# a late answer, when the test is over
            threading.Thread(target=s.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def reply(self, packet, tcp):
        name, end = read_name(packet, 12)
        kind = NAMES.get(struct.unpack(">H", packet[end:end + 2])[0], "?")
        with self.lock:
            self.asked.append((name, kind, "tcp" if tcp else "udp"))
        r = self.answers.get((name, kind)) or (Reply(soa=60) if any(n == name for n, _ in self.answers) else Reply(rcode=NXDOMAIN, soa=60))
        if callable(r):
            r = r(name, kind)
        time.sleep(r.delay)
        return None if r.silent else r.packet(packet, tcp)

    def add(self, name, kind, *values, ttl=300, **how):
        self.answers[(name, kind)] = Reply(*[(None, kind, ttl, v) for v in values], **how)

    def count(self, name, kind=None):
        with self.lock:
            return sum(1 for n, k, _ in self.asked if n == name and kind in (None, k))

    def close(self):
        for s in self.servers:
            s.shutdown()
            s.server_close()


# ---- NSD, and zones that are signed ------------------------------------------------------------------

def need(*programs):
    for program, package in programs:
        if not shutil.which(program) and not os.path.exists(f"/usr/sbin/{program}"):
            pytest.skip(f"{program} is not installed (Debian package {package})")


def run(*args, cwd):
    return subprocess.run(args, cwd=cwd, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout


class Zones:
    """Zones in a folder of their own, signed by ldns where they shall be, served by NSD at one address."""

    def __init__(self, host="127.0.0.1", port=None):
        need(("nsd", "nsd"), ("ldns-signzone", "ldnsutils"))
        self.dir, self.zones, self.process = tempfile.mkdtemp(prefix="hermod-zones-"), {}, None
        os.chmod(self.dir, 0o755)		# the resolver's user reads its trust anchor there
        self.host, self.port = host, port or free_ports(1)[0]
        self.address = f"{self.host}:{self.port}"

    def keys(self, zone):
        """The base name of a key's files, and its DS record."""
        base = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone, cwd=self.dir).strip()
        return base, open(os.path.join(self.dir, base + ".ds")).read().strip()

    def add(self, zone, text, key=None, expired=False, change=None):
        """change: what is replaced in the zone after it was signed: {before: after}."""
        path = os.path.join(self.dir, "root" if zone == "." else zone.rstrip("."))
        with open(path, "w") as f:
            f.write(f"$ORIGIN {zone}\n$TTL 300\n@ IN SOA ns.test. h.test. 1 3600 600 86400 60\n@ IN NS ns.test.\n{text}\n")
        if key:
            when = ["-i", "20200101000000", "-e", "20200201000000"] if expired else []
            run("ldns-signzone", *when, "-o", zone, "-f", path + ".signed", path, key, cwd=self.dir)
            path += ".signed"
        if change:
            content = open(path).read()
            for before, after in change.items():
                assert before in content
                content = content.replace(before, after)
            open(path, "w").write(content)
        self.zones[zone] = path

    def start(self):
        conf = os.path.join(self.dir, "nsd.conf")
        with open(conf, "w") as f:
            f.write(f'server:\n  ip-address: {self.host}@{self.port}\n  username: ""\n  chroot: ""\n  server-count: 1\n'
                    f'  zonesdir: "{self.dir}"\n  pidfile: ""\n  xfrdfile: "{self.dir}/xfrd"\n  zonelistfile: "{self.dir}/list"\n'
                    f'  database: ""\n  xfrdir: "{self.dir}"\n  do-ip6: no\n  logfile: "{self.dir}/nsd.log"\n'
                    f'  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n')
            for zone, path in self.zones.items():
                f.write(f'zone:\n  name: "{zone}"\n  zonefile: "{path}"\n')
        nsd = shutil.which("nsd") or "/usr/sbin/nsd"
        self.process = subprocess.Popen([nsd, "-d", "-c", conf], cwd=self.dir, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers, 20 * patience(), why=lambda: open(os.path.join(self.dir, "nsd.log")).read()[-2000:])

    def answers(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.sendto(struct.pack(">6H", 1, 0, 1, 0, 0, 0) + b"\0" + struct.pack(">2H", TYPES["SOA"], 1), (self.host, self.port))
                return bool(s.recv(4096))
            except OSError:
                return False

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None
        shutil.rmtree(self.dir, ignore_errors=True)


# ---- who asks -------------------------------------------------------------------------------------------

class Answer:
    def __init__(self, body):
        self.result, self.secure, self.ttl = struct.unpack("<3I", body[:12])
        self.result = RESULTS[self.result]
        self.name, rest = ipc.cut_text(body[12:])
        self.why, rest = ipc.cut_text(rest)
        records, rest = ipc.cut_text(rest)
        assert rest == b""
        self.records = []
        while records:
            record, records = ipc.cut_text(records)
            self.records.append(record)
        self.name, self.why = self.name.decode(), self.why.decode()

    def __repr__(self):
        return f"{self.result} {self.why} {self.records}"


class Asker:
    """A connection to the resolver, on which many questions may be under way."""

    def __init__(self, suite):
        self.s = ipc.connect(os.path.join(suite.dir, "run", "dns.sock"))
        self.n = 0

    def send(self, name, kind):
        self.n += 1
        number = TYPES[kind] if isinstance(kind, str) else kind
        self.s.send(ipc.frame("dns_ask", ipc.text(name if isinstance(name, bytes) else name.encode()) + struct.pack("<I", number), self.n))
        return self.n

    def next(self, seconds=30):
        """(number of the question, Answer); EOFError: it is closed."""
        self.s.settimeout(seconds * patience())
        octets = self.s.recv(ipc.FRAME_MAX)
        if not octets:
            raise EOFError
        kind, number = struct.unpack_from("<II", octets)
        assert kind == ipc.TYPES["dns_answer"]
        return number, Answer(octets[8:])

    def ask(self, name, kind, seconds=30):
        number = self.send(name, kind)
        got, answer = self.next(seconds)
        assert got == number
        return answer

    def close(self):
        self.s.close()
