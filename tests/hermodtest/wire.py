# SPDX-License-Identifier: ISC
"""Connections that say what no library would: octets and lines, as the test has them. Text and octets are both taken."""
import contextlib
import socket
import ssl
import threading

from hermodtest.suite import patience


def octets_of(said):
    return said if isinstance(said, bytes) else said.encode()


def greeted(port, host="127.0.0.1", **how):
    """A socket, behind the greeting."""
    s = socket.create_connection((host, port), timeout=10 * patience(), **how)
    assert s.recv(1000).startswith((b"220 ", b"+OK", b"* OK"))
    return s


def say(s, line):
    """What comes back at once, of the same kind as the line."""
    s.sendall(octets_of(line) + b"\r\n")
    got = s.recv(16384)
    return got if isinstance(line, bytes) else got.decode()


def rest(s):
    """All that comes until the other side closes."""
    got = b""
    while chunk := s.recv(1000):
        got += chunk
    return got


def say_all(s, context, name, said, shut=True):
    """What comes over TLS until the other side says in order that there is no more, to one who says all at once while he listens, and
    with it that it was all: by close_notify, and for TCP too where `shut`. The ssl module's own sockets read nothing behind that."""
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF        # an end without close_notify is an SSLEOFError
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = context.wrap_bio(into, out, server_hostname=name)

    def done(what):
        while True:
            try:
                return what()
            except ssl.SSLWantReadError:
                if out.pending:
                    s.sendall(out.read())
                octets = s.recv(16384)
                into.write(octets) if octets else into.write_eof()

    done(t.do_handshake)
    t.write(octets_of(said))
    with contextlib.suppress(ssl.SSLWantReadError):
        t.unwrap()

    def send(octets):
        with contextlib.suppress(OSError):
            s.sendall(octets)
            if shut:
                s.shutdown(socket.SHUT_WR)

    sender, got = threading.Thread(target=send, args=(out.read(),)), b""
    sender.start()
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while chunk := done(lambda: t.read(16384)):
            got += chunk
    sender.join()
    return got


class Connection:
    """With lines to be read one by one; what an answer is, and the greeting, is the protocol's."""

    def __init__(self, host, port, timeout=20):
        self.s = socket.create_connection((host, port), timeout=timeout * patience())
        self.f = self.s.makefile("rb")

    def send(self, said):
        self.s.sendall(octets_of(said))

    def line(self):
        """Without its CRLF; "" when the connection ended."""
        octets = self.f.readline()
        assert octets == b"" or octets.endswith(b"\r\n"), octets
        return octets[:-2].decode("latin-1")

    def answer(self):
        return self.line()

    def cmd(self, line):
        self.send(octets_of(line) + b"\r\n")
        return self.answer()

    def close(self):
        self.f.close()
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.close()
