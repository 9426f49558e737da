# SPDX-License-Identifier: ISC
"""Logins with bearer tokens, OAUTHBEARER (RFC 7628) and XOAUTH2, over all protocols: introspected (RFC 7662), or signed (RFC 7519)."""
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import threading
import time

import pytest

from hermodtest.oauth import CLIENT, KINDS, MESSAGES, Introspector, Signer, b64url, curl, http, log_in
from hermodtest.proc import wait_for
from hermodtest.scram import Line
from hermodtest.suite import HOSTNAME, PASSWORD, TLS_FACTS, Suite, patience

ANNA, BERT = "anna@hermod.test", "bert@hermod.test"
PROTOCOLS = ("smtp", "imap", "pop3")
MECHANISMS = list(MESSAGES)
FAILED = "wrong user name or password"
SERVICES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "master", "services.c")


def put_client(suite, content=" ".join(CLIENT), mode=0o600):
    """oauth_client_file, for fetch to read alone."""
    path = os.path.join(suite.dir, "etc", "client")
    with open(path, "w") as f:
        f.write(content + "\n")
    os.chmod(path, mode)
    if os.geteuid() == 0:
        names = re.findall(r'\{ \.name = "([a-z0-9-]+)"', open(SERVICES).read())
        os.chown(path, suite.settings["uid_base"] + names.index("fetch"), -1)
    return path


def house(ca, server=None, **settings):
    suite = Suite(start=False)
    if server:
        settings = {"oauth_introspection_url": server.url, "oauth_client_file": put_client(suite), **settings}
    suite.write_conf(tls_certificates=[ca.of_suite()], auth_mechanisms=MECHANISMS + ["PLAIN"], login_failures="50", tls_ca_file=ca.file,
                     **settings)
    suite.start()
    return suite


@pytest.fixture(scope="module")
def server(ca):
    s = Introspector(ca.context("localhost"))
    yield s
    s.close()


@pytest.fixture(scope="module")
def suite(ca, server):
    s = house(ca, server)
    yield s
    s.end()


@pytest.fixture
def make_house(ca):
    made = []

    def make(server=None, **settings):
        made.append(house(ca, server, **settings))
        return made[-1]
    yield make
    for s in made:
        s.end()


@pytest.fixture
def own_server(ca):
    s = Introspector(ca.context("localhost"))
    yield s
    s.close()


def port_of(suite, protocol):
    return {"smtp": suite.submissions_port, "imap": suite.imaps_port, "pop3": suite.pop3s_port}[protocol]


@contextlib.contextmanager
def line(suite, ca, protocol):
    s = socket.create_connection((suite.host, port_of(suite, protocol)), timeout=30 * patience())
    c = Line(protocol, ssl.create_default_context(cafile=ca.file).wrap_socket(s, server_hostname=HOSTNAME))
    try:
        yield c
    finally:
        c.close()


def attempt(suite, ca, user, token, protocol="imap", mechanism="OAUTHBEARER", later=False):
    with line(suite, ca, protocol) as c:
        return log_in(c, mechanism, user, token, later)


def is_refused(got):
    return isinstance(got, tuple) and got[0]["status"] in ("invalid_token", "400") and FAILED in got[1]


def is_unavailable(got):
    return isinstance(got, str) and "cannot be checked just now" in got


def penalties(suite):
    return suite.hermod_json("auth", "list")


# ---- what goes well

@pytest.mark.parametrize("later", [False, True], ids=["initial", "later"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_good(suite, ca, server, protocol, mechanism, later):
    token = server.issue(f"good-{protocol}-{mechanism}-{later}", ANNA)
    with line(suite, ca, protocol) as c:
        assert c.offered() == MECHANISMS + ["PLAIN"]
        assert log_in(c, mechanism, ANNA, token, later) is True
        if protocol == "imap":
            c.write("b SELECT INBOX")
            assert any(c.read().startswith(b"b OK") for _ in range(12))
    suite.wait_log(rf"protocol={protocol} user={ANNA} client=127.0.0.1 mechanism={mechanism} {TLS_FACTS} result=ok")
    assert token not in suite.log()


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_curl(suite, ca, server, tmp_path, protocol, mechanism):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    token = server.issue(f"curl-{protocol}-{mechanism}", ANNA)
    url = {"smtp": f"smtps://localhost:{suite.submissions_port}", "imap": f"imaps://localhost:{suite.imaps_port}/",
           "pop3": f"pop3s://localhost:{suite.pop3s_port}/"}[protocol]
    mail = tmp_path / "mail"
    mail.write_text("Subject: by token\r\n\r\nHello.\r\n")
    more = ["--mail-from", ANNA, "--mail-rcpt", BERT, "--upload-file", str(mail)] if protocol == "smtp" else []
    r = curl(url, ca.file, mechanism, ANNA, token, *more)
    assert r.returncode == 0, r.stdout
    assert protocol != "imap" or "INBOX" in r.stdout
    if protocol == "smtp":
        suite.maildir("bert").wait()
    r = curl(url, ca.file, mechanism, ANNA, token + "x", *more)
    assert r.returncode == 67, r.stdout


@pytest.mark.parametrize("later", [False, True], ids=["initial", "later"])
def test_long_token(suite, ca, server, later):
    """As long as one may be, and one octet more. Also where POP3's AUTH would have no room for it (RFC 5034 section 4): clients send it."""
    token = server.issue("a-_~+/." * 1000, ANNA)[:6144]
    server.issue(token, ANNA)
    for protocol in PROTOCOLS:
        for mechanism in MECHANISMS:
            assert attempt(suite, ca, ANNA, token, protocol, mechanism, later) is True
            got = attempt(suite, ca, ANNA, token + "x", protocol, mechanism, later)
            assert got[0]["status"] in ("invalid_request", "400") and FAILED in got[1]
    assert token + "x" not in server.asked


@pytest.mark.parametrize("user", ["Anna@HERMOD.test", ""])
def test_names(suite, ca, server, user):
    """Upper and lower case as in any login; and the token alone may say whose it is (RFC 7628 section 3.1)."""
    token = server.issue(f"names-{user}", "ANNA@hermod.TEST")
    with line(suite, ca, "imap") as c:
        assert log_in(c, "OAUTHBEARER", user, token) is True
        c.write("b SELECT INBOX")
        assert any(c.read().startswith(b"b OK") for _ in range(12))


# ---- what is refused

WRONG = {
    "unknown": lambda s: "never-issued",
    "expired": lambda s: s.issue("wrong-expired", ANNA, seconds=-60),
    "not yet": lambda s: s.issue("wrong-early", ANNA, nbf=int(time.time()) + 3600),
    "another's": lambda s: s.issue("wrong-bert", BERT),
    "stranger's": lambda s: s.issue("wrong-stranger", "anna@elsewhere.test"),
    "nobody's": lambda s: s.issue("wrong-nobody", None),
    "unverified": lambda s: s.issue("wrong-unverified", ANNA, email_verified=False),
    "revoked": lambda s: s.tokens.update({"wrong-revoked": {"active": False, "email": ANNA}}) or "wrong-revoked",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_refused(suite, ca, server, wrong):
    token = WRONG[wrong](server)
    suite.hermod("auth", "clear", "--all", check=False)
    for protocol in PROTOCOLS:
        for mechanism in MECHANISMS:
            with line(suite, ca, protocol) as c:
                got = log_in(c, mechanism, ANNA, token)
                assert is_refused(got), got
                if protocol == "imap" and mechanism == "XOAUTH2":	# the session goes on
                    assert c.begin("PLAIN", f"\0{ANNA}\0{PASSWORD}".encode()) is True
    assert {r["name"]: r["failures"] for r in penalties(suite) if r["of"] == "account"}[ANNA] == 2, "since the password that was right"
    suite.wait_log("this token is refused: ")
    assert token not in suite.log()
    suite.hermod("auth", "clear", "--all")


def test_disabled(suite, ca, server):
    suite.add_account("carl")
    token = server.issue("carl", "carl@hermod.test")
    assert attempt(suite, ca, "carl@hermod.test", token) is True
    suite.hermod("account", "disable", "carl@hermod.test")
    wait_for(lambda: is_refused(attempt(suite, ca, "carl@hermod.test", token)), 10 * patience())


@pytest.mark.parametrize("answer", [b"\1", b"", b"anything", None], ids=repr)
def test_answers_to_the_error(suite, ca, answer):
    with line(suite, ca, "imap") as c:
        said = c.begin("OAUTHBEARER", MESSAGES["OAUTHBEARER"](ANNA, "bad"))
        assert json.loads(said)["status"] == "invalid_token"
        if answer is None:
            c.write("*")
            assert c.said().startswith("a BAD cancelled")
        else:
            said = c.respond(answer)
            assert FAILED in said and said.startswith("a NO [AUTHENTICATIONFAILED]")
        assert c.begin("PLAIN", f"\0{ANNA}\0{PASSWORD}".encode()) is True


@pytest.mark.parametrize("message", [b"", b"\1", b"n,a=anna,", b"n,a=anna,\1auth=Basic t\1\1", b"p=tls-exporter,,\1auth=Bearer t\1\1", b"\xff" * 5000])
def test_malformed(suite, ca, server, message):
    for protocol in PROTOCOLS:
        with line(suite, ca, protocol) as c:
            said = c.begin("OAUTHBEARER")
            assert said == b""
            said = c.respond(message)
            assert json.loads(said)["status"] == "invalid_request"
            assert FAILED in c.respond(b"\1")
    suite.hermod("auth", "clear", "--all")


def test_discovery(make_house, own_server, ca):
    """A client without a token is told where to get one (RFC 7628 section 4.3)."""
    url = "https://id.test/.well-known/openid-configuration"
    suite = make_house(own_server, oauth_scope="mail openid", oauth_openid_configuration=url)
    with line(suite, ca, "imap") as c:
        said = json.loads(c.begin("OAUTHBEARER", f"n,a={ANNA},\1auth=\1\1".encode()))
        assert said == {"status": "invalid_token", "scope": "mail openid", "openid-configuration": url}
        assert FAILED in c.respond(b"\1")
        said, _ = log_in(c, "OAUTHBEARER", ANNA, own_server.issue("narrow", ANNA, scope="openid"))
        assert said["status"] == "insufficient_scope"
        assert log_in(c, "OAUTHBEARER", ANNA, own_server.issue("wide", ANNA, scope="openid x mail")) is True
    assert own_server.asked == ["narrow", "wide"]


def test_long_error(make_house, own_server, ca):
    """A challenge is one line, however long (RFC 4954 section 4)."""
    scope, url = " ".join(["https://id.test/mail"] * 24), "https://id.test/" + "a" * 400
    suite = make_house(own_server, oauth_scope=scope, oauth_openid_configuration=url)
    for protocol in PROTOCOLS:
        with line(suite, ca, protocol) as c:
            said = json.loads(c.begin("OAUTHBEARER", f"n,a={ANNA},\1auth=\1\1".encode()))
            assert said == {"status": "invalid_token", "scope": scope, "openid-configuration": url}
            assert FAILED in c.respond(b"\1")


def test_rules(make_house, own_server, ca):
    suite = make_house(own_server, oauth_issuer="https://id.test/", oauth_audience="mail", oauth_user_claim="preferred_username")
    right = {"iss": "https://id.test/", "aud": ["web", "mail"], "preferred_username": ANNA}
    for i, (change, good) in enumerate([({}, True), ({"aud": "mail"}, True), ({"aud": "web"}, False), ({"aud": None}, False),
                                        ({"iss": "https://evil.test/"}, False), ({"preferred_username": BERT}, False)]):
        token = own_server.issue(f"rules-{i}", "ignored@hermod.test", **{**right, **change})
        got = attempt(suite, ca, ANNA, token)
        assert got is True if good else is_refused(got), (change, got)


def test_a_thousand(make_house, own_server, ca):
    """Each is answered, none gets in, each waits; and the right token does not."""
    suite = make_house(own_server, oauth_timeout="40s")
    own_server.issue("right", ANNA)
    results, lock = [], threading.Lock()

    def tries(k):
        for i in range(50):
            try:
                with line(suite, ca, "imap") as c:
                    said = c.begin("OAUTHBEARER", MESSAGES["OAUTHBEARER"](f"user{k}@hermod.test", f"bad-{k}-{i}"))
                    with lock:
                        results.append(json.loads(said)["status"] if isinstance(said, bytes) else said)
            except OSError as e:
                with lock:
                    results.append(repr(e))
    threads = [threading.Thread(target=tries, args=(k,)) for k in range(20)]
    for t in threads:
        t.start()
    assert attempt(suite, ca, ANNA, "right") is True
    assert len(results) < 1000, "it has not waited for them"
    for t in threads:
        t.join()
    assert results.count("invalid_token") == 1000, [r for r in results if r != "invalid_token"][:5]
    assert {r["name"]: r["failures"] for r in penalties(suite)}["127.0.0.1"] >= 1000
    assert len(own_server.asked) == 1001 and own_server.most <= 64


# ---- what is not the client's fault

def silent(s):
    time.sleep(300)


LAME = {
    "error": http(b"{}", status="500 Internal Server Error"),
    "garbage": http(b"<html>"),
    "type": http(b'{"active":true}', type="text/html"),
    "no active": http(b'{"email":"anna@hermod.test"}'),
    "wrong active": http(b'{"active":"yes","email":"anna@hermod.test"}'),
    "wrong exp": http(b'{"active":true,"email":"anna@hermod.test","exp":"soon"}'),
    "twice": http(b'{"active":false,"active":true,"email":"anna@hermod.test"}'),
    "deep": http(b'{"active":true,"email":"anna@hermod.test","x":' + b"[" * 15000 + b"]" * 15000 + b"}"),
    "huge": http(b'{"active":true,"email":"anna@hermod.test","x":"' + b"y" * 32768 + b'"}'),
    "no HTTP": b"\x00\xff" * 100,
    "empty": http(b""),
    "closed": b"",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n",
    "silent": silent,
}
WORDS = {"error": "HTTP status 500", "garbage": "it is no JSON object", "type": "not of type application/json", "huge": "too large",
         "silent": "oauth_timeout|timed out", "redirect": "HTTP status 302", "deep": "it is no JSON object", "empty": "its answer is empty"}


@pytest.fixture(scope="module")
def hasty(ca, server):
    s = house(ca, server, oauth_timeout="2s")
    yield s
    s.end()


@pytest.mark.parametrize("lame", LAME)
def test_lame(hasty, ca, server, lame):
    """A temporary failure, which costs the client nothing; the journal says why."""
    token = "lame-" + lame.replace(" ", "-")
    server.tokens[token] = LAME[lame]
    at, started = len(hasty.log()), time.monotonic()
    with line(hasty, ca, "smtp") as c:
        assert log_in(c, "XOAUTH2", ANNA, token).startswith("454 ")
    assert is_unavailable(attempt(hasty, ca, ANNA, token))
    assert time.monotonic() - started < 10 * patience()
    hasty.wait_log("a token cannot be checked: .*" + WORDS.get(lame, ""), after=at)
    assert not penalties(hasty) and token not in hasty.log()


def test_nobody_there(make_house, own_server, ca):
    suite = make_house(own_server)
    own_server.close()
    own_server.issue("t", ANNA)
    assert is_unavailable(attempt(suite, ca, ANNA, "t"))
    suite.wait_log(r"a token cannot be checked: https://localhost:\d+: ")
    assert not penalties(suite)


@pytest.mark.parametrize("how", ["other", "name"])
def test_certificate(make_house, ca, other_ca, how):
    """A token is not said to whoever has not proved who he is."""
    server = Introspector(other_ca.context("localhost") if how == "other" else ca.context("elsewhere.test"))
    suite = make_house(server)
    server.issue("t", ANNA)
    assert is_unavailable(attempt(suite, ca, ANNA, "t"))
    assert not server.requests
    server.close()


def test_client_is_refused(make_house, own_server, ca):
    own_server.client = ("hermod", "another")
    suite = make_house(own_server)
    own_server.issue("t", ANNA)
    assert is_unavailable(attempt(suite, ca, ANNA, "t"))
    suite.wait_log("HTTP status 401: it refuses this host, whatever the token: look at oauth_client_file")
    put_client(suite, "hermod another")
    suite.reload()
    wait_for(lambda: attempt(suite, ca, ANNA, "t") is True, 20 * patience(), step=0.2)
    assert "another" not in suite.log()


def test_without_client(make_house, own_server, ca):
    own_server.client = None
    suite = make_house(own_server, oauth_client_file="")
    assert attempt(suite, ca, ANNA, own_server.issue("t", ANNA)) is True
    assert "authorization" not in own_server.requests[0].lower()


def test_slow_holds_nobody_up(make_house, own_server, ca):
    suite = make_house(own_server, oauth_timeout="40s", auth_workers="1")
    go = threading.Event()
    own_server.tokens["slow"] = lambda s: go.wait(60) and s.sendall(http(json.dumps({"active": True, "email": ANNA}).encode()))
    own_server.issue("fast", BERT)
    with line(suite, ca, "imap") as slow:
        slow.write("a AUTHENTICATE OAUTHBEARER " + base64.b64encode(MESSAGES["OAUTHBEARER"](ANNA, "slow")).decode())
        wait_for(lambda: "slow" in own_server.asked, 10 * patience())
        assert attempt(suite, ca, BERT, "fast") is True
        with line(suite, ca, "pop3") as c:
            assert c.begin("PLAIN", f"\0{ANNA}\0{PASSWORD}".encode()) is True
        go.set()
        assert slow.said() is True


@pytest.mark.parametrize("service", ["fetch", "auth"])
def test_killed(make_house, own_server, ca, service):
    """Who waits is told to try again, and may."""
    suite = make_house(own_server, oauth_timeout="20s")
    own_server.tokens["slow"] = silent
    with line(suite, ca, "imap") as c:
        c.write("a AUTHENTICATE OAUTHBEARER " + base64.b64encode(MESSAGES["OAUTHBEARER"](ANNA, "slow")).decode())
        wait_for(lambda: "slow" in own_server.asked, 10 * patience())
        suite.kill(service, signal.SIGKILL)
        said = c.said()
        assert "UNAVAILABLE" in said, said
    own_server.issue("good", ANNA)
    wait_for(lambda: attempt(suite, ca, ANNA, "good") is True, 20 * patience(), step=0.2)


def test_client_goes(make_house, own_server, ca):
    suite = make_house(own_server)
    own_server.tokens["slow"] = silent
    for _ in range(20):
        with line(suite, ca, "imap") as c:
            c.write("a AUTHENTICATE XOAUTH2 " + base64.b64encode(MESSAGES["XOAUTH2"](ANNA, "slow")).decode())
    assert attempt(suite, ca, ANNA, own_server.issue("good", ANNA)) is True


# ---- what is remembered

def test_remembered(make_house, own_server, ca):
    suite = make_house(own_server, oauth_cache_time=f"{6 * patience()}s", auth_workers="1")
    own_server.issue("t", ANNA)
    for _ in range(3):
        assert attempt(suite, ca, ANNA, "t") is True
    assert own_server.asked == ["t"]
    assert is_refused(attempt(suite, ca, BERT, "t")) and own_server.asked == ["t"], "and whose it is, too"
    own_server.issue("short", ANNA, seconds=3 * patience())
    assert attempt(suite, ca, ANNA, "short") is True
    del own_server.tokens["t"], own_server.tokens["short"]
    wait_for(lambda: is_refused(attempt(suite, ca, ANNA, "short")), 10 * patience(), step=0.2)
    wait_for(lambda: is_refused(attempt(suite, ca, ANNA, "t")), 10 * patience(), step=0.2)


def test_not_remembered(make_house, own_server, ca):
    suite = make_house(own_server, oauth_cache_time="0s")
    own_server.issue("t", ANNA)
    assert attempt(suite, ca, ANNA, "t") is True
    del own_server.tokens["t"]
    assert is_refused(attempt(suite, ca, ANNA, "t")) and own_server.asked == ["t", "t"]
    own_server.issue("t", ANNA)
    assert attempt(suite, ca, ANNA, "t") is True, "a refusal is not remembered either"


# ---- JSON Web Tokens

@pytest.fixture(scope="module")
def signers(ca):
    return {a: Signer(ca.folder, a) for a in KINDS}


@pytest.fixture(scope="module")
def signed(ca, signers):
    s = house(ca, oauth_jwt_keys=[s.public for s in signers.values()], oauth_issuer="https://id.test/", oauth_audience="mail")
    yield s
    s.end()


RIGHT = {"iss": "https://id.test/", "aud": "mail"}


@pytest.mark.parametrize("algorithm", KINDS)
def test_signed(signed, ca, signers, algorithm):
    for protocol in PROTOCOLS:
        for mechanism in MECHANISMS:
            assert attempt(signed, ca, ANNA, signers[algorithm].token(ANNA, **RIGHT), protocol, mechanism) is True


def forged(signers):
    good = signers["ES256"].token(ANNA, **RIGHT)
    header, body, signature = good.split(".")
    none, hmac = b64url(b'{"alg":"none"}'), b64url(b'{"alg":"HS256"}')
    return {
        "none": f"{none}.{body}.{signature}", "none without": f"{none}.{body}.", "HMAC": f"{hmac}.{body}.{signature}",
        "algorithm": b64url(b'{"alg":"RS256"}') + f".{body}.{signature}",
        "body": f"{header}." + b64url(json.dumps({**RIGHT, "email": ANNA, "exp": 2 ** 33}).encode()) + f".{signature}",
        "signature": f"{header}.{body}." + b64url(b"x" * 64), "zero": f"{header}.{body}." + b64url(bytes(64)),
        "expired": signers["ES256"].token(ANNA, seconds=-60, **RIGHT), "no end": signers["ES256"].token(ANNA, **RIGHT, exp=None),
        "audience": signers["ES256"].token(ANNA, iss="https://id.test/", aud="web"), "issuer": signers["ES256"].token(ANNA, aud="mail"),
        "another's": signers["ES256"].token(BERT, **RIGHT), "no JWT": "opaque",
    }


def test_other_keys(make_house, ca, signers):
    """A reload takes new keys, and forgets the old ones."""
    suite = make_house(oauth_jwt_keys=[signers["ES256"].public])
    token = {a: signers[a].token(ANNA) for a in ("ES256", "EdDSA")}
    assert attempt(suite, ca, ANNA, token["ES256"]) is True and is_refused(attempt(suite, ca, ANNA, token["EdDSA"]))
    suite.write_conf(oauth_jwt_keys=[signers["EdDSA"].public])
    suite.reload()
    wait_for(lambda: attempt(suite, ca, ANNA, token["EdDSA"]) is True, 20 * patience(), step=0.2)
    assert is_refused(attempt(suite, ca, ANNA, token["ES256"]))


@pytest.mark.parametrize("user", ["nobody", ""])
def test_system_user(make_house, own_server, ca, user):
    """PAM decides of those, and no token does."""
    suite = make_house(own_server, system_accounts=True, first_uid=1, oauth_user_claim="sub")
    assert is_refused(attempt(suite, ca, user, own_server.issue("t", None, sub="nobody")))
    suite.wait_log("this token is refused: whose it is has no active account here")


def test_forged(signed, ca, signers):
    for what, token in forged(signers).items():
        got = attempt(signed, ca, ANNA, token)
        assert is_refused(got), (what, got)
        assert token not in signed.log()
    stranger = Signer(ca.folder, "ES256", "stranger")
    assert is_refused(attempt(signed, ca, ANNA, stranger.token(ANNA, **RIGHT)))
    got = attempt(signed, ca, ANNA, signers["ES256"].token(ANNA, **{**RIGHT, "exp": "soon"}))
    assert is_unavailable(got), got
    signed.hermod("auth", "clear", "--all")


# ---- settings

@pytest.mark.parametrize("settings, words", [
    ({"auth_mechanisms": ["OAUTHBEARER"]}, 'auth_mechanisms: "OAUTHBEARER": nothing says which tokens are good'),
    ({"oauth_introspection_url": "http://id.test/"}, "right would be like https://id.example.org/introspect"),
    ({"oauth_introspection_url": "https://127.0.0.1/"}, "right would be like https://id.example.org/introspect"),
    ({"oauth_introspection_url": "https://id.test/", "oauth_jwt_keys": ["/etc/passwd"]}, "right would be one of the two"),
    ({"oauth_jwt_keys": ["/etc/passwd"]}, "oauth_jwt_keys: /etc/passwd: there is no public key in it"),
    ({"oauth_jwt_keys": ["/nonexistent"]}, "oauth_jwt_keys: /nonexistent: No such file"),
    ({"oauth_client_file": "/nonexistent"}, "oauth_client_file: /nonexistent: No such file"),
    ({"oauth_user_claim": "phone"}, "oauth_user_claim"),
    ({"oauth_scope": 'a "b"'}, "oauth_scope"),
    ({"oauth_timeout": "41s"}, "oauth_timeout"),
    ({"oauth_cache_time": "61m"}, "oauth_cache_time"),
])
def test_wrong_settings(make_suite, settings, words):
    suite = make_suite(start=False, users=())
    suite.write_conf(**settings)
    r = suite.hermod("check", check=False)
    assert r.returncode == 78 and words in r.stdout + r.stderr, r


@pytest.mark.parametrize("content, mode, words", [("hermod secret", 0o644, "chmod 640"), ("hermod", 0o600, "right would be one line")])
def test_wrong_client_file(make_suite, content, mode, words):
    suite = make_suite(start=False, users=())
    suite.write_conf(oauth_client_file=put_client(suite, content, mode), oauth_introspection_url="https://id.test/")
    r = suite.hermod("check", check=False)
    assert r.returncode == 78 and "oauth_client_file: " in r.stdout and words in r.stdout, r


def test_not_named(make_suite, ca, server):
    """A URL alone offers nothing."""
    suite = make_suite(tls_certificates=[ca.of_suite()], oauth_introspection_url=server.url)
    for protocol in PROTOCOLS:
        with line(suite, ca, protocol) as c:
            assert not set(MECHANISMS) & set(c.offered())
            said = c.begin("OAUTHBEARER", MESSAGES["OAUTHBEARER"](ANNA, "t"))
            assert isinstance(said, str) and re.search("not (offered|served)", said)
