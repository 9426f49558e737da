# SPDX-License-Identifier: ISC
"""
fetch and the authorization server (RFC 7662): to whom a token goes, and for whom. The process is alone here
(hermodtest/alone.py): the test is auth, smtp-client and the resolver.
"""
import json
import os
import re
import socket
import struct
import threading
import time

import pytest

from hermodtest.alone import Alone
from hermodtest.oauth import CLIENT, Introspector, http
from hermodtest.proc import wait_for
from hermodtest.suite import patience

NO_DATA, FOUND, FAILED = 2, 1, 0
KINDS = {1: socket.AF_INET, 28: socket.AF_INET6}
HOST = "id.test"


class Fetch(Alone):
    """zone: {family: addresses, or a DNS_ result, or None for no answer}"""

    def __init__(self, ca, server, directory, zone=None, env=None, **settings):
        self.zone, self.questions = {socket.AF_INET: ["127.0.0.1"]} if zone is None else zone, []
        client = os.path.join(directory, "client")
        with open(client, "w") as f:
            f.write(" ".join(CLIENT) + "\n")
        os.chmod(client, 0o600)
        super().__init__("fetch", {"tls_ca_file": ca.file, "oauth_introspection_url": f"https://ID.test:{server.port}/introspect?realm=x",
                                   "oauth_client_file": client, "oauth_timeout": f"{5 * patience()}s", **settings},
                         asks={"resolver": self.resolve}, asked_by=["smtp-client", "auth"], env=env)

    def resolve(self, _, m):
        family = KINDS[m["type"]]
        self.questions.append(m["name"].decode())
        known = self.zone.get(family, NO_DATA)
        if known is None:
            return None
        answer = {"result": known if isinstance(known, int) else FOUND, "ttl": 60, "name": m["name"]}
        if isinstance(known, list):
            data = [socket.inet_pton(family, a) for a in known]
            answer["records"] = b"".join(struct.pack("<I", len(d)) + d for d in data)
        return "dns_answer", answer

    def begin(self, token, service="auth"):
        return self.ask(service, "token_ask", token=token)

    def get(self, token, timeout=20):
        a = self.answer(self.begin(token), timeout, "auth")
        return json.loads(a["body"]) if a["body"] else a["why"].decode()


@pytest.fixture
def server(ca):
    s = Introspector(ca.context(HOST))
    yield s
    s.close()


@pytest.fixture
def fetch(ca, server, tmp_path):
    made = []

    def make(**settings):
        made.append(Fetch(ca, server, str(tmp_path), **settings))
        return made[-1]
    yield make
    for f in made:
        if f.control.sock.fileno() != -1:
            f.end()


def test_said(fetch, server):
    f = fetch()
    server.issue("t+/=&%", "anna@hermod.test")
    assert f.get("t+/=&%")["email"] == "anna@hermod.test" and f.get("x") == {"active": False}
    assert set(f.questions) == {HOST} and server.asked == ["t+/=&%", "x"]
    assert f.report()["sessions"] == 0
    assert "t+/=&%" not in f.log() and CLIENT[1] not in f.log()


def test_only_auth(fetch, server):
    """Whoever else has a channel loses it."""
    f = fetch()
    f.begin("t", "smtp-client")
    wait_for(lambda: f.channels["smtp-client"] in f.gone, 10 * patience())
    assert f.get("x") == {"active": False} and server.asked == ["x"]
    f.end(crash_allowed=True)				# of the line that says so


@pytest.mark.parametrize("zone, words", [
    ({socket.AF_INET: FAILED}, "its address cannot be looked up"), ({}, "it has no address"),
    ({socket.AF_INET: None, socket.AF_INET6: NO_DATA}, "no answer within oauth_timeout|its address cannot be looked up"),
    ({socket.AF_INET: ["127.0.0.2"]}, "connect|refused")])
def test_addresses(fetch, server, zone, words):
    """None but those that the resolver gives."""
    f = fetch(zone=zone, oauth_timeout="2s")
    said = f.get("t")
    assert isinstance(said, str) and said.startswith(f"https://{HOST}:{server.port}: ") and re.search(words, said), said
    assert not server.requests


def test_second_address(fetch, server):
    f = fetch(zone={socket.AF_INET: ["127.0.0.2", "127.0.0.1"]})
    assert f.get("x") == {"active": False}


def test_networks(fetch, server):
    """The host is the administrator's choice: what is for mail does not count."""
    f = fetch(smtp_networks=["192.0.2.0/24"], smtp_allow_loopback=False)
    assert f.get("x") == {"active": False}


def test_largest_answer(fetch, server):
    """32 KiB, and one octet more."""
    f = fetch()
    for more in (0, 1):
        body = b'{"active":false,"x":"' + b"y" * (32768 - 23 + more) + b'"}'
        assert len(body) == 32768 + more
        server.tokens["t"] = http(body)
        said = f.get("t")
        assert (said["active"] is False) if not more else said.endswith("it is too large"), said


def test_many(fetch, server):
    """64 at once; others wait for their turn, within the time that all have."""
    f = fetch(oauth_timeout="40s")
    held = threading.Event()
    server.tokens["t"] = lambda s: held.wait(300) and s.sendall(http(b'{"active":false}'))
    calls = [f.begin("t") for _ in range(200)]
    wait_for(lambda: server.now == 64, 20 * patience())
    time.sleep(0.5)
    assert server.now == 64 and f.report()["sessions"] == 200
    held.set()
    assert all(json.loads(f.answer(c, 30, "auth")["body"]) == {"active": False} for c in calls)
    assert server.most == 64 and len(server.asked) == 200


def test_too_many(fetch, server):
    f = fetch(oauth_timeout=f"{5 * patience()}s")           # all have asked by then
    server.tokens["t"] = lambda s: time.sleep(300)
    calls = [f.begin("t") for _ in range(900)]		# what a channel takes
    for i in range(2):
        calls += [f.begin("t") for _ in range(600)]
    whys = [f.answer(c, 30, "auth")["why"].decode() for c in calls]
    assert sum(w == "too many tokens to be checked at once" for w in whys) == 100
    assert sum("too many tokens" in w for w in whys) > 1000 and sum("oauth_timeout" in w or "timed out" in w for w in whys) >= 60
    assert f.report()["sessions"] == 0


def test_asker_goes(fetch, server):
    f = fetch(oauth_timeout="40s")
    server.tokens["t"] = lambda s: time.sleep(300)
    for _ in range(100):
        f.begin("t")
    wait_for(lambda: f.report()["sessions"] == 100, 10 * patience())
    f.channels["auth"].close()
    wait_for(lambda: f.report()["sessions"] == 0, 8 * patience())


def test_file_that_cannot_be_read(fetch, server):
    f = fetch(oauth_client_file="/nonexistent")
    assert f.get("t") == "oauth_client_file: /nonexistent: No such file or directory"
    assert "until it is right and the suite has been reloaded no token is introspected" in f.log() and not server.requests


def test_not_set(fetch, server):
    f = fetch(oauth_introspection_url="")
    assert f.get("t") == "oauth_introspection_url is not set" and not server.requests


@pytest.mark.faults
@pytest.mark.parametrize("call, error", [("socket", "EMFILE"), ("connect", "ECONNREFUSED"), ("openat", "EMFILE"), ("close", "EIO"),
                                         ("calloc", "ENOMEM")])
def test_nth_failure(ca, server, tmp_path, call, error):
    """A call fails, once or from then on: each answer is what the server says, or that it is not known; without memory the
    process ends."""
    server.issue("t", "anna@hermod.test")
    for nth in ("140", "180", "250") if call == "calloc" else ("1", "1+", "2", "3", "5"):
        f = Fetch(ca, server, str(tmp_path), env={"HERMOD_FAULT": f"fetch:{call}:~{nth}:{error}"}, oauth_timeout="3s")
        died = False
        try:
            for _ in range(2):
                said = f.get("t")
                assert isinstance(said, str) and said or said["email"] == "anna@hermod.test", said
        except (AssertionError, OSError):
            died = call == "calloc" and f.process.wait(10 * patience()) == 1
            if not died:
                raise
        f.end(crash_allowed=died)
