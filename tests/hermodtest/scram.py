# SPDX-License-Identifier: ISC
"""The client's side of SCRAM (RFC 5802, 7677), and exchanges of SASL over each protocol, step by step."""
import base64
import hashlib
import hmac
import os


def b64(octets):
    return base64.b64encode(octets).decode()


def keys(name, password, iterations=4096):
    """As the account table has them: RFC 5803."""
    digest, salt = "sha256" if "256" in name else "sha1", os.urandom(16)
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
    return f"{iterations}:{b64(salt)}${b64(stored)}:{b64(hmac.digest(salted, b'Server Key', digest))}"


class Scram:
    """first(), then last(what the server said); proven(what it said then): it knows the password, too."""

    def __init__(self, name, user, password, binds="n", binding=b"", authzid=""):
        self.hash = "sha256" if "256" in name else "sha1"
        self.gs2 = f"{binds},{'a=' + authzid if authzid else ''},"
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={b64(os.urandom(12))}"
        self.password, self.binding = password.encode(), binding

    def mac(self, key, octets):
        return hmac.new(key, octets, self.hash).digest()

    def first(self):
        return (self.gs2 + self.bare).encode()

    def last(self, challenge):
        said = dict(part.split("=", 1) for part in challenge.decode().split(","))
        self.salt, self.iterations = said["s"], int(said["i"])
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, base64.b64decode(said["s"]), self.iterations)
        bare = f"c={b64(self.gs2.encode() + self.binding)},r={said['r']}"
        whole = ",".join([self.bare, challenge.decode(), bare]).encode()
        key = self.mac(salted, b"Client Key")
        stored = hashlib.new(self.hash, key).digest()
        self.signature = self.mac(self.mac(salted, b"Server Key"), whole)
        return (bare + ",p=" + b64(bytes(a ^ b for a, b in zip(key, self.mac(stored, whole))))).encode()

    def proven(self, challenge):
        return challenge == b"v=" + b64(self.signature).encode()


class Line:
    """A connection on which one protocol's logins are spoken. socket: connected, TLS or not; greets: a greeting is due."""

    def __init__(self, protocol, socket, greets=True):
        self.protocol, self.socket = protocol, socket
        self.file = socket.makefile("rb")
        if greets:
            self.read()
        if protocol == "smtp":
            self.offered()

    def read(self):
        return self.file.readline().rstrip(b"\r\n")

    def write(self, line):
        self.socket.sendall(line.encode() + b"\r\n")

    def offered(self):
        """Mechanisms, as they are announced now."""
        self.write({"smtp": "EHLO client.test", "imap": "c CAPABILITY", "pop3": "CAPA"}[self.protocol])
        if self.protocol == "imap":
            words = self.read().decode().split()
            assert self.read().startswith(b"c OK")
            self.capabilities = words
            return [w[5:] for w in words if w.startswith("AUTH=")]
        lines = [self.read().decode()]
        while not (lines[-1] == "." or lines[-1].startswith("250 ")):
            lines.append(self.read().decode())
        self.capabilities = lines
        return next((line.split()[1:] for line in (x.removeprefix("250-") for x in lines) if line.split()[0] in ("SASL", "AUTH")), [])

    def begin(self, mechanism, initial=None):
        verb = {"smtp": "AUTH", "imap": "a AUTHENTICATE", "pop3": "AUTH"}[self.protocol]
        self.write(f"{verb} {mechanism}" + ("" if initial is None else " " + (b64(initial) or "=")))
        return self.said()

    def respond(self, octets):
        self.write(b64(octets))
        return self.said()

    def said(self):
        """A challenge's octets, or True: logged in, or the words of a refusal."""
        line = self.read()
        while self.protocol == "imap" and line.startswith(b"* "):
            line = self.read()
        mark = {"smtp": b"334 ", "imap": b"+ ", "pop3": b"+ "}[self.protocol]
        if line.startswith(mark):
            return base64.b64decode(line[len(mark):])
        if line.startswith({"smtp": b"235 ", "imap": b"a OK", "pop3": b"+OK"}[self.protocol]):
            return True
        return line.decode()

    def scram(self, mechanism, client, later=False):
        """Logs in: True, or what the server refused with."""
        said = self.begin(mechanism, None if later else client.first())
        if later:
            assert said == b"", said
            said = self.respond(client.first())
        if not isinstance(said, bytes):
            return said
        said = self.respond(client.last(said))
        if isinstance(said, bytes):
            assert client.proven(said)
            said = self.respond(b"")
        return said

    def close(self):
        self.file.close()
        self.socket.close()
