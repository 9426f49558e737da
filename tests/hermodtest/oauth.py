# SPDX-License-Identifier: ISC
"""Bearer tokens for tests: an authorization server that introspects (RFC 7662), and signs JSON Web Tokens (RFC 7519) by openssl(1)."""
import base64
import json
import os
import socket
import subprocess
import threading
import time
import urllib.parse

from hermodtest.certificates import openssl

CLIENT = ("hermod", "a secret: with /spaces&")


class Introspector:
    """tokens: {token: dict that is said of it, or octets of a whole HTTP answer, or a function of the socket}; what is not in it
    is not active. asked: tokens, in order. status, type: of the answers. client: who may ask (id, secret), or None: anybody. now, most:
    how many are asked and not answered yet, and the most there were."""

    def __init__(self, context, client=CLIENT, address="127.0.0.1"):
        self.tokens, self.asked, self.requests, self.client = {}, [], [], client
        self.status, self.type = "200 OK", "application/json;charset=UTF-8"
        self.context, self.now, self.most = context, 0, 0
        self.lock = threading.Lock()
        self.sock = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=200)
        self.port = self.sock.getsockname()[1]
        self.url = f"https://localhost:{self.port}/introspect?realm=x"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, raw):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        answered = threading.Event()

        def count():
            """Before the answer is said: who has it asks the next at once."""
            with self.lock:
                self.now -= not answered.is_set()
                answered.set()
        try:
            raw.settimeout(60)
            with self.context.wrap_socket(raw, server_side=True) as s:
                say = s.sendall
                s.sendall = lambda octets: count() or say(octets)
                self.reply(s)
        except OSError:
            pass
        finally:
            count()
            raw.close()

    @staticmethod
    def read(s):
        """(head, form)"""
        request = b""
        while b"\r\n\r\n" not in request:
            got = s.recv(4096)
            if not got:
                raise OSError
            request += got
        head, _, body = request.partition(b"\r\n\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head.decode().split("\r\n")[1:])}
        while len(body) < int(fields["content-length"]):
            body += s.recv(4096)
        return head.decode(), fields, urllib.parse.parse_qs(body.decode(), strict_parsing=True)

    def allows(self, fields):
        if not self.client:
            return True
        scheme, _, value = fields.get("authorization", "").partition(" ")
        pair = base64.b64decode(value).decode().split(":")
        return scheme == "Basic" and len(pair) == 2 and tuple(map(urllib.parse.unquote_plus, pair)) == self.client

    def reply(self, s):
        head, fields, form = self.read(s)
        self.requests.append(head)
        assert head.startswith("POST /introspect?realm=x HTTP/1.1\r\n") and fields["accept"] == "application/json", head
        assert fields["content-type"] == "application/x-www-form-urlencoded" and form["token_type_hint"] == ["access_token"], head
        token, = form["token"]
        self.asked.append(token)
        said = self.tokens.get(token, {"active": False})
        if callable(said):
            said(s)
            return
        if not self.allows(fields):
            s.sendall(b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n')
            return
        if isinstance(said, dict):
            body = json.dumps(said).encode()
            said = (f"HTTP/1.1 {self.status}\r\nContent-Type: {self.type}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
        s.sendall(said)

    def issue(self, token, user, seconds=3600, **claims):
        self.tokens[token] = {"active": True, "email": user, "exp": int(time.time()) + seconds, **claims}
        return token

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)	# seen by the thread that accepts
        except OSError:
            pass
        self.sock.close()


def http(body, status="200 OK", type="application/json"):
    """A whole answer."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


# ---- JSON Web Tokens ----

KINDS = {"RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
         "EdDSA": ["-algorithm", "ED25519"]}
KINDS["PS256"] = KINDS["RS256"]


def b64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def raw_of_der(der):
    """r and s of ECDSA, 32 octets each (RFC 7518 section 3.4)."""
    out, at = b"", 2
    for _ in range(2):
        n = der[at + 1]
        out += int.from_bytes(der[at + 2:at + 2 + n], "big").to_bytes(32, "big")
        at += 2 + n
    return out


class Signer:
    """A key in a folder, and its public half in .public, which everybody may read."""

    def __init__(self, folder, algorithm="ES256", name=None):
        self.algorithm, self.folder = algorithm, str(folder)
        self.key = os.path.join(self.folder, (name or algorithm) + ".key")
        self.public = self.key.replace(".key", ".pem")
        openssl("genpkey", *KINDS[algorithm], "-out", self.key)
        openssl("pkey", "-in", self.key, "-pubout", "-out", self.public)
        os.chmod(self.public, 0o644)

    def sign(self, octets):
        path = self.key + ".octets"
        with open(path, "wb") as f:
            f.write(octets)
        if self.algorithm == "EdDSA":
            return openssl("pkeyutl", "-sign", "-inkey", self.key, "-rawin", "-in", path)
        more = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if self.algorithm == "PS256" else []
        signature = openssl("dgst", "-sha256", "-sign", self.key, *more, path)
        return raw_of_der(signature) if self.algorithm == "ES256" else signature

    def token(self, user=None, seconds=3600, header=None, **claims):
        body = {"exp": int(time.time()) + seconds, **({"email": user} if user else {}), **claims}
        body = {k: v for k, v in body.items() if v is not None}
        signs = b64url(json.dumps(header or {"alg": self.algorithm, "typ": "at+jwt"}).encode()) + "." + b64url(json.dumps(body).encode())
        return signs + "." + b64url(self.sign(signs.encode()))


# ---- the client's messages ----

def oauthbearer(user, token, host="mx.hermod.test", port=993):
    gs2 = f"n,{'a=' + user.replace('=', '=3D').replace(',', '=2C') if user else ''},"
    return f"{gs2}\1host={host}\1port={port}\1auth=Bearer {token}\1\1".encode()


def xoauth2(user, token):
    return f"user={user}\1auth=Bearer {token}\1\1".encode()


MESSAGES = {"OAUTHBEARER": oauthbearer, "XOAUTH2": xoauth2}
DUMMIES = {"OAUTHBEARER": b"\1", "XOAUTH2": b""}


def log_in(line, mechanism, user, token, later=False):
    """On a Line: True, or (the error that was told, the words that it ended with), or words alone."""
    message = MESSAGES[mechanism](user, token)
    said = line.begin(mechanism, None if later else message)
    if later:
        assert said == b"", said
        said = line.respond(message)
    if not isinstance(said, bytes):
        return said
    return json.loads(said), line.respond(DUMMIES[mechanism])


def curl(url, ca, mechanism, user, token, *more, timeout=60):
    return subprocess.run(["curl", "-sS", "--cacert", ca, "--user", user, "--oauth2-bearer", token, "--login-options", f"AUTH={mechanism}",
                           *more, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
