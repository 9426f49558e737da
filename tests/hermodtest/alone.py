# SPDX-License-Identifier: ISC
"""Messages between processes, as lib/mail/messages.def has them; and one process of the suite alone, of which a test
plays all the neighbours."""
import array
import os
import re
import select
import socket
import struct
import subprocess
import threading
import time

from hermodtest.suite import build_dir, patience

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FRAME_MAX = 65536


def definitions():
    """{name: (type, [(kind, field)])}"""
    out, fields = {}, None
    for line in open(os.path.join(ROOT, "lib", "mail", "messages.def")):
        m = re.match(r"\s*(MSG|TEXT|U32|U64|FD|END)\((\w+)", line)
        if not m:
            continue
        if m[1] == "MSG":
            fields = []
            out[m[2]] = (len(out) + 1, fields)
        elif m[1] != "END":
            fields.append((m[1], m[2]))
    return out


MESSAGES = definitions()
NAMES = {number: name for name, (number, _) in MESSAGES.items()}


def octets(value):
    return value.encode() if isinstance(value, str) else value


def encode_body(name, values):
    """(octets, descriptors)"""
    out, fds = b"", []
    for kind, field in MESSAGES[name][1]:
        value = values.get(field, -1 if kind == "FD" else b"" if kind == "TEXT" else 0)
        if kind == "TEXT":
            out += struct.pack("<I", len(octets(value))) + octets(value)
        elif kind == "FD":
            out += bytes([value != -1])
            fds += [value] if value != -1 else []
        else:
            out += struct.pack("<I" if kind == "U32" else "<Q", value)
    return out, fds


def decode_body(name, body, fds=()):
    out, at, fds = {}, 0, list(fds)
    for kind, field in MESSAGES[name][1]:
        if kind == "TEXT":
            n = struct.unpack_from("<I", body, at)[0]
            out[field] = body[at + 4:at + 4 + n]
            at += 4 + n
        elif kind == "FD":
            out[field] = fds.pop(0) if body[at] else -1
            at += 1
        else:
            out[field], = struct.unpack_from("<I" if kind == "U32" else "<Q", body, at)
            at += 4 if kind == "U32" else 8
    assert at == len(body), f"{name}: {len(body) - at} octets left over"
    return out


def run_of(name, items):
    """A run of bodies, each as a TEXT."""
    bodies = [encode_body(name, i)[0] for i in items]
    return b"".join(struct.pack("<I", len(b)) + b for b in bodies)


def split_run(name, run):
    out = []
    while run:
        n = struct.unpack_from("<I", run)[0]
        out.append(decode_body(name, run[4:4 + n]))
        run = run[4 + n:]
    return out


class Channel:
    """One end. Its hello is that of the other end, whose hash of messages.def nobody here can know."""

    def __init__(self, sock, hello=None):
        self.sock, self.lock, self.hello = sock, threading.Lock(), hello
        if hello is None:
            sock.settimeout(60 * patience())
            self.hello = sock.recv(FRAME_MAX)
        if self.hello:
            sock.send(self.hello)

    def close(self):
        """Seen by the other end though a thread of ours is reading."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def send(self, name, id=0, /, **values):
        body, fds = encode_body(name, values)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        with self.lock:
            self.sock.sendmsg([struct.pack("<II", MESSAGES[name][0], id) + body], ancillary)

    def receive(self, timeout=None):
        """(name, id, values); None: it is closed."""
        try:
            self.sock.settimeout(timeout)
            data, ancillary, _, _ = self.sock.recvmsg(FRAME_MAX, 4096)
        except TimeoutError:
            raise
        except OSError:
            return None
        if not data:
            return None
        fds = []
        for level, kind, octets_of in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds += array.array("i", octets_of[:len(octets_of) // 4 * 4])
        number, id = struct.unpack_from("<II", data)
        name = NAMES[number]
        if name == "hello":
            return self.receive(timeout)
        return name, id, decode_body(name, data[8:], fds)


class Alone:
    """A program of the suite without the suite: settings, files and channels come from here, as from master."""

    def __init__(self, program, settings, asks=(), asked_by=(), env=None, files=(), listens=()):
        """asks: {service: handler(name, values) -> (name, values) or None}; asked_by: services whose channels the test has;
        files: {name: path of a directory or file that master would hand over}; listens: {setting: path of the UNIX socket}."""
        self.program, self.log_lines, self.channels, self.calls = program, [], {}, {}
        self.next_call, self.threads, self.answers, self.gone = 0, [], {}, set()
        self.changed = threading.Condition()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "TMPDIR")}
        environment["ASAN_OPTIONS"] = "detect_leaks=0:exitcode=99"
        environment["UBSAN_OPTIONS"] = "print_stacktrace=1:exitcode=99"
        environment.update(env or {})
        self.errors = os.memfd_create("stderr")
        fd = theirs.fileno()
        self.process = subprocess.Popen(
            [os.path.join(build_dir(), "libexec", "hermod", program)], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self.errors, pass_fds=(3, fd),
            preexec_fn=lambda: os.dup2(fd, 3))
        theirs.close()
        self.control = Channel(ours)
        for name, value in settings.items():
            self.control.send("setting", name=name, value=self.value(value))
        for name, path in dict(files).items():
            fd = os.open(path, os.O_RDONLY)
            self.control.send("file", name=name, fd=fd)
            os.close(fd)
        for name, path in dict(listens).items():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(path)
                listener.listen(16)
                self.control.send("listener", name=name, fd=listener.fileno())
        self.journal()
        for slot, (service, handler) in enumerate(dict(asks).items()):
            self.channels[service] = self.join(service, True, handler)
        for service in asked_by:
            self.channels[service] = self.join(service, False, None)
        self.control.send("go")
        got = self.control.receive(60 * patience())
        assert got and got[0] == "ready", f"{program} is not ready: {got}\n{self.stderr()}"
        self.thread(self.collect, self.control)

    @staticmethod
    def value(value):
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, (list, tuple)):
            return "".join(f"{v}\n" for v in value)
        return str(value)

    def journal(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.send("channel", service="journal", caller=1, fd=theirs.fileno())
        theirs.close()
        self.journal, self.journal_lock = ours, threading.Lock()
        self.thread(self.read_journal, ours)

    def thread(self, run, *args):
        t = threading.Thread(target=run, args=args, daemon=True)
        t.start()
        self.threads.append(t)

    def read_journal(self, sock):
        """A thread of its own, so that the process never finds its channel full."""
        while select.select([sock], [], [])[0] and self.take_records(sock):
            pass

    def take_records(self, sock):
        """Appends to log_lines what was sent until now; false once there will be no more."""
        with self.journal_lock:
            while True:
                try:
                    record = sock.recv(FRAME_MAX, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    return True
                except OSError:
                    return False
                if not record:
                    return False
                text = record[14 + record[1]:].decode(errors="replace")
                self.log_lines.append(("debug", "info", "warning", "fatal")[record[0]] + ": " + text)

    def pair(self, service, caller):
        """A channel whose end of ours nobody reads yet."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for s in (ours, theirs):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.control.send("channel", service=service, caller=int(caller), fd=theirs.fileno())
        theirs.close()
        return Channel(ours, self.control.hello)

    def join(self, service, caller, handler):
        channel = self.pair(service, caller)
        self.thread(self.serve if caller else self.collect, channel, handler)
        return channel

    def serve(self, channel, handler):
        while (got := channel.receive()) is not None:
            name, id, values = got
            answer = handler(name, values)
            if answer:
                try:
                    channel.send(answer[0], id, **answer[1])
                except OSError:
                    return

    def collect(self, channel, handler=None):
        """Answers are kept; a question is the handler's."""
        while (got := channel.receive()) is not None:
            if got[1] & 0x40000000 and channel is self.control:       # the asked of two that both ask
                name, values = self.asked(got[0], got[2])
                channel.send(name, got[1], **values)
                for fd in [v for k, v in values.items() if k == "fd" and v != -1]:
                    os.close(fd)
                continue
            with self.changed:
                self.answers[got[1]] = got[2]
                self.changed.notify_all()
        with self.changed:
            self.gone.add(channel)
            self.changed.notify_all()

    def asked(self, name, values):
        """What master would answer."""
        raise AssertionError(f"{self.program} asks master: {name} {values}")

    def ask(self, service, message, /, **values):
        """Asks the process; the number of the call."""
        self.next_call += 1
        self.channels[service].send(message, 0x80000000 | self.next_call, **values)
        return 0x80000000 | self.next_call

    def answer(self, call, timeout=20, service=None):
        """Of the service's channel; None: of master's."""
        channel = self.channels.get(service, self.control)
        end = time.monotonic() + timeout * patience()
        with self.changed:
            while call not in self.answers:
                left = end - time.monotonic()
                assert left > 0 and channel not in self.gone, \
                    f"no answer; status {self.process.poll()}\n{self.stderr()}\n" + "\n".join(self.log_lines[-30:])
                self.changed.wait(left)
            return self.answers.pop(call)

    def log(self):
        """All that it had logged before it did what the test has seen."""
        self.take_records(self.journal)
        return "\n".join(self.log_lines)

    def stderr(self):
        return os.pread(self.errors, 100000, 0).decode(errors="replace")

    def report(self):
        """{sessions, served, note}"""
        self.next_call += 1
        self.control.send("report", 0x80000000 | self.next_call)
        return self.answer(0x80000000 | self.next_call)

    def end(self, crash_allowed=False):
        """Closes its channels, so that it ends; says (AssertionError) what was wrong."""
        self.control.close()
        try:
            status = self.process.wait(20 * patience())
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = f"killed: it did not end; {self.process.wait()}"
        for c in self.channels.values():
            c.close()
        self.take_records(self.journal)
        wrong = [line for line in self.log_lines if "denied system call" in line or "makes no sense here" in line]
        errors = self.stderr()
        os.close(self.errors)
        if not crash_allowed:
            assert status == 0 and not wrong and "Sanitizer" not in errors, \
                f"{self.program}: {status}, {wrong}\n{errors}\n" + "\n".join(self.log_lines[-30:])
