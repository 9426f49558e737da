# SPDX-License-Identifier: ISC
"""
The server's side of SASL over SMTP (RFC 4954), written from the RFCs: PLAIN (4616), LOGIN, SCRAM (5802, 7677) with channel
binding of TLS 1.2 (5929), OAUTHBEARER (7628) and XOAUTH2. A server may lie, as the test says:

    "signature"     its last message is not signed with the password's key
    "early"         it says 235 without that message
    "nonce"         its nonce does not begin with the client's
    "iterations"    it asks for two thousand million
    "few"           it asks for one iteration
"""
import base64
import hashlib
import hmac
import os
import re


def b64(octets):
    return base64.b64encode(octets).decode()


def ask(session, challenge):
    """The client's response to a challenge; None: it has cancelled."""
    session.send("334 " + b64(challenge))
    line = session.line().decode()
    session.commands.append(line)
    return None if line == "*" else base64.b64decode(line, validate=True)


def initial_of(session, word):
    if word is None:
        return ask(session, b"")
    return b"" if word == "=" else base64.b64decode(word, validate=True)


def plain(session, word):
    said = initial_of(session, word)
    if said is None or said.count(b"\0") != 2:
        return None
    identity, user, password = said.decode().split("\0")
    assert identity == ""
    return user if session.server.users.get(user) == password else None


def login(session, word):
    assert word is None, "the server speaks first"
    user = ask(session, b"Username:")
    password = ask(session, b"Password:")
    if user is None or password is None:
        return None
    return user.decode() if session.server.users.get(user.decode()) == password.decode() else None


def bearer(session, user, token, refused):
    if user and session.server.users.get(user) == token:
        return user
    session.oauth_response = ask(session, refused)
    return None


def oauthbearer(session, word):
    m = re.fullmatch(rb"n,a=([^,]*),\x01(?:host=([^\x01]*)\x01)?port=(\d+)\x01auth=Bearer ([^\x01]+)\x01\x01",
                     initial_of(session, word))
    assert m, "not what RFC 7628 has"
    session.oauth_host, session.oauth_port = m[2], int(m[3])
    user = m[1].decode().replace("=2C", ",").replace("=3D", "=")
    return bearer(session, user, m[4].decode(), b'{"status":"invalid_token","scope":"mail"}')


def xoauth2(session, word):
    m = re.fullmatch(rb"user=([^\x01]*)\x01auth=Bearer ([^\x01]+)\x01\x01", initial_of(session, word))
    assert m, "not what it should be"
    return bearer(session, m[1].decode(), m[2].decode(), b'{"status":"400","schemes":"Bearer"}')


def unescape(name):
    return name.replace("=2C", ",").replace("=3D", "=")


def scram(session, word, digest, plus):
    lies, salt = session.server.lies, os.urandom(16)
    first = initial_of(session, word).decode()
    flag, identity, bare = first.split(",", 2)
    session.gs2_flag = flag
    assert identity == "" and (flag.startswith("p=") if plus else flag in ("n", "y")), first
    if flag == "y" and any(m.endswith("-PLUS") for m in session.server.mechanisms):
        return None                         # somebody has taken them off the list that the client saw
    fields = dict(f.split("=", 1) for f in bare.split(","))
    user = unescape(fields["n"])
    iterations = 2000000000 if "iterations" in lies else 1 if "few" in lies else 4096
    nonce = ("x" if "nonce" in lies else fields["r"]) + b64(os.urandom(18))
    server_first = f"r={nonce},s={b64(salt)},i={iterations}"
    session.client_nonce = fields["r"]
    final = ask(session, server_first.encode())
    if final is None:
        return None
    without_proof, proof = final.decode().rsplit(",p=", 1)
    binding, got_nonce = without_proof.split(",")
    wanted = (flag + ",,").encode()
    if plus:
        assert flag == "p=tls-unique", flag
        wanted += session.sock.get_channel_binding("tls-unique")
    if got_nonce != "r=" + nonce or binding != "c=" + b64(wanted) or user not in session.server.users:
        return None
    salted = hashlib.pbkdf2_hmac(digest, session.server.users[user].encode(), salt, iterations)
    sign = lambda key, text: hmac.new(key, text, digest).digest()  # noqa: E731
    message = f"{bare},{server_first},{without_proof}".encode()
    client_key = sign(salted, b"Client Key")
    signature = sign(hashlib.new(digest, client_key).digest(), message)
    if bytes(a ^ b for a, b in zip(client_key, signature)) != base64.b64decode(proof):
        return None
    verifier = sign(sign(salted, b"Server Key"), message)
    if "early" in lies:
        return user
    if "signature" in lies:
        verifier = os.urandom(len(verifier))
    return user if ask(session, b"v=" + b64(verifier).encode()) == b"" else None


MECHANISMS = {
    "PLAIN": plain, "LOGIN": login, "OAUTHBEARER": oauthbearer, "XOAUTH2": xoauth2,
    "SCRAM-SHA-1": lambda s, w: scram(s, w, "sha1", False), "SCRAM-SHA-256": lambda s, w: scram(s, w, "sha256", False),
    "SCRAM-SHA-1-PLUS": lambda s, w: scram(s, w, "sha1", True), "SCRAM-SHA-256-PLUS": lambda s, w: scram(s, w, "sha256", True),
}


def serve(session, mechanism, word):
    """The user's name, or None: refused, or cancelled."""
    return MECHANISMS[mechanism](session, word)
