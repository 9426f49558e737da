# SPDX-License-Identifier: ISC
"""
Logging in at other hosts: what smtp-client says to servers of each kind, honest and not, and what becomes of the mail where it
is not let in. The process is alone here, but for the last tests, where the whole suite has a table of credentials.
"""
import os
import socket
import ssl

import pytest

from hermodtest.alone import Alone
from hermodtest.proc import Proc, free_ports, wait_for
from hermodtest.relay import BUSY, DELIVERED, FAILED, GOOD, NO, NONE, NOT_SURE, Relay, TRY_LATER, YES
from hermodtest.servers import CLOSE, HANG, Server
from hermodtest.suite import patience, put

PASSWORD = "correct horse, =battery="
USERS = {"anna,a=b@x.test": PASSWORD, "off@x.test": "ya29.token-" + "x" * 1500}
ANNA = {"verdict": YES, "key": "THE-KEY", "user": "anna,a=b@x.test", "secret": PASSWORD}
TOKEN = {"verdict": YES, "key": "THE-KEY", "user": "off@x.test", "oauth": 1, "secret": USERS["off@x.test"]}
TABLE = "text:/etc/hermod/credentials"
PASSWORDS = ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"]
SCRAMS = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
TOKENS = ["OAUTHBEARER", "XOAUTH2"]


def login_of(mechanism):
    return TOKEN if mechanism in TOKENS else ANNA


@pytest.fixture
def alone():
    made = []

    def make(*args, **settings):
        made.append(Relay(*args, **{"smtp_credentials": TABLE, "smtp_connection_cache_time": "0s", **settings}))
        return made[-1]
    yield make
    for r in made:
        log = r.log() + r.stderr()
        r.end()
        assert PASSWORD not in log and "ya29" not in log


@pytest.fixture(scope="module")
def relay():
    r = Relay(smtp_credentials=TABLE, smtp_connection_cache_time="0s")
    yield r
    r.end()
    assert PASSWORD not in r.log() and "ya29" not in r.log()


def send(relay, server, login, **how):
    relay.logins = {"*": login}
    return relay.relay(server.nexthop(), **how)


def auths(server, session=-1):
    return [c for c in server.commands(session) if c.upper().startswith("AUTH")]


def is_put_off(r, server, contact=FAILED, status="4.7.8"):
    assert r.outcome == TRY_LATER and r.contact == contact and r.status == status, r
    assert "THE-KEY" in r.reply and TABLE in r.reply and PASSWORD not in r.reply, r
    assert not server.mails and "MAIL" not in server.verbs()


# ---- what goes well

@pytest.mark.parametrize("mechanism", PASSWORDS + TOKENS)
def test_mechanism(relay, mechanism):
    with Server(users=USERS, mechanisms=[mechanism]) as server:
        r = send(relay, server, login_of(mechanism))
        assert r.outcome == DELIVERED and r.contact == GOOD, r
        s = server.sessions[0]
        assert s.user == login_of(mechanism)["user"] and s.mechanism == mechanism
        wait_for(lambda: f"logged in at [127.0.0.1]:{server.port} by {mechanism}" in relay.log(), 5 * patience())
        if mechanism == "OAUTHBEARER":
            assert s.oauth_port == server.port
        assert all(len(c) <= 510 for c in auths(server))


def test_strongest(relay):
    """Of what is offered, here from the weakest to the strongest; and never those that are none of ours."""
    offered = ["ANONYMOUS", "NTLM", "DIGEST-MD5", "CRAM-MD5", "GSSAPI", "LOGIN", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"]
    while offered[-1] != "GSSAPI":
        with Server(users=USERS, mechanisms=offered) as server:
            assert send(relay, server, ANNA).outcome == DELIVERED
            assert server.sessions[0].mechanism == offered[-1]
        offered = offered[:-1]
    with Server(users=USERS, mechanisms=offered) as server:
        r = send(relay, server, ANNA)
        is_put_off(r, server)
        assert "no mechanism" in r.reply and not auths(server)


def test_list(relay):
    with Server(users=USERS, mechanisms=PASSWORDS) as server:
        assert send(relay, server, {**ANNA, "mechanisms": "LOGIN,PLAIN"}).outcome == DELIVERED
        assert server.sessions[0].mechanism == "PLAIN"
    with Server(users=USERS, mechanisms=["PLAIN", "LOGIN"]) as server:
        is_put_off(send(relay, server, {**ANNA, "mechanisms": "SCRAM-SHA-256"}), server)
        assert not auths(server)


def test_nonces(relay):
    """Each exchange has its own, and 24 characters of it at least."""
    with Server(users=USERS, mechanisms=["SCRAM-SHA-256"]) as server:
        for _ in range(5):
            assert send(relay, server, ANNA).outcome == DELIVERED
        nonces = {s.client_nonce for s in server.sessions}
        assert len(nonces) == 5 and all(len(n) >= 24 for n in nonces)


def test_kept_connection(alone):
    """It is logged in once; what comes next to the same next hop does not ask again."""
    relay = alone(smtp_connection_cache_time="5m")
    with Server(users=USERS, mechanisms=["PLAIN"]) as server:
        for _ in range(3):
            assert send(relay, server, ANNA).outcome == DELIVERED
        assert len(server.sessions) == 1 and len(auths(server)) == 1 and len(relay.logins_asked) == 1


def test_stale_connection(alone):
    """It was closed meanwhile: the new one is logged in, too."""
    relay = alone(smtp_connection_cache_time="5m")
    with Server(users=USERS, mechanisms=["PLAIN"], mail=["250 2.1.0 ok", "421 4.4.2 too late", "250 2.1.0 ok"]) as server:
        for _ in range(2):
            assert send(relay, server, ANNA).outcome == DELIVERED
        assert len(server.sessions) == 2 and auths(server, 0) and auths(server, 1)


def test_nobody_logs_in_there(relay):
    with Server() as server:
        assert send(relay, server, {"verdict": NO}).outcome == DELIVERED
        assert not auths(server)


def test_no_credentials(alone):
    """Without the setting the router is not even asked."""
    relay = alone(smtp_credentials="")
    with Server() as server:
        assert send(relay, server, ANNA).outcome == DELIVERED
        assert not relay.logins_asked


def test_lmtp(relay):
    with Server(users=USERS, mechanisms=["SCRAM-SHA-256"], lmtp=True) as server:
        assert send(relay, server, ANNA, transport="lmtp").outcome == DELIVERED


# ---- what does not

@pytest.mark.parametrize("mechanism", PASSWORDS + TOKENS)
def test_wrong_password(relay, mechanism):
    """One try, by one mechanism, though the server has others."""
    with Server(users=USERS, mechanisms=["LOGIN", "PLAIN", mechanism] if mechanism in SCRAMS else [mechanism]) as server:
        r = send(relay, server, {**login_of(mechanism), "secret": "wrong"})
        is_put_off(r, server)
        assert r.command == "AUTH" and r.said == "535 5.7.8 wrong credentials"
        assert len(server.sessions) == 1 and len(auths(server)) == 1 and server.sessions[0].mechanism == mechanism
        if mechanism in TOKENS:
            assert server.sessions[0].oauth_response == (b"\1" if mechanism == "OAUTHBEARER" else b"")
            assert ("invalid_token" if mechanism == "OAUTHBEARER" else "400") in r.reply


@pytest.mark.parametrize("reply,status,contact", [
    ("535 5.7.8 no", "4.7.8", FAILED), ("534 5.7.9 too weak", "4.7.9", FAILED), ("538 5.7.11 TLS", "4.7.11", FAILED),
    ("504 5.5.4 what?", "4.7.8", FAILED), ("500 5.5.2 what?", "4.7.8", FAILED), ("550 5.7.1 spam", "4.7.8", FAILED)])
def test_refused(relay, reply, status, contact):
    with Server(users=USERS, mechanisms=["LOGIN", "PLAIN"], auth=reply) as server:
        is_put_off(send(relay, server, ANNA), server, contact, status)
        assert len(auths(server)) == 1


@pytest.mark.parametrize("reply,status", [("454 4.7.0 later", "4.7.0"), ("432 4.7.12 change it", "4.7.12"), ("421 4.3.2 bye", "4.3.2")])
def test_not_now(relay, reply, status):
    with Server(users=USERS, mechanisms=["PLAIN"], auth=reply) as server:
        r = send(relay, server, ANNA)
        assert r.outcome == TRY_LATER and r.contact == BUSY and r.status == status and r.said == reply, r
        assert not server.mails


@pytest.mark.parametrize("action", [CLOSE, HANG], ids=str)
def test_broken(relay, alone, action):
    if action is HANG:
        relay = alone(smtp_mail_timeout="1s")
    with Server(users=USERS, mechanisms=["PLAIN"], auth=action) as server:
        r = send(relay, server, ANNA)
        assert r.outcome == TRY_LATER and r.contact == FAILED and r.command == "AUTH", r


@pytest.mark.parametrize("challenge", ["334 %%%", "334 " + "QUFB" * 600, "334-QQ==\n334 QQ=="])
def test_challenges(relay, challenge):
    """What is none is cancelled."""
    with Server(users=USERS, mechanisms=["SCRAM-SHA-256"], auth=lambda s: s.send(challenge) or s.commands.append(s.line().decode())
                or "501 5.7.0 cancelled") as server:
        is_put_off(send(relay, server, ANNA), server)
        assert server.commands()[-2:] == ["*", "QUIT"] or "*" in server.commands()


def test_challenges_without_end(relay):
    def for_ever(session):
        while (line := session.line()) != b"*":
            session.commands.append(line.decode())
            session.send("334 ")
        return "501 5.7.0 at last"

    with Server(users=USERS, mechanisms=["LOGIN"], auth=lambda s: s.send("334 ") or for_ever(s)) as server:
        is_put_off(send(relay, server, ANNA), server)


@pytest.mark.parametrize("mechanism", SCRAMS)
@pytest.mark.parametrize("lie", ["signature", "early", "nonce", "iterations"])
def test_false_server(relay, mechanism, lie):
    """Who does not know the password is not given the mail, and does not keep this process busy."""
    with Server(users=USERS, mechanisms=[mechanism], lies=[lie]) as server:
        process = Proc(relay.process.pid)
        before = process.cpu_s()
        r = send(relay, server, ANNA)
        is_put_off(r, server)
        assert process.cpu_s() - before < 2 * patience()
        assert lie not in ("signature", "early") or "proved" in r.reply
        assert ("*" in server.commands()) == (lie != "early")


def test_no_auth_offered(relay):
    with Server(users=USERS, no_auth=True) as server:
        r = send(relay, server, ANNA)
        is_put_off(r, server)
        assert "offers no login" in r.reply


def test_not_sure(relay):
    with Server() as server:
        r = send(relay, server, {"verdict": NOT_SURE, "key": "k", "reply": "the token is not there"})
        assert r.outcome == TRY_LATER and r.contact == NONE and r.status == "4.3.0", r
        assert "the token is not there" in r.reply and TABLE in r.reply and not server.sessions


def test_router_is_gone(relay):
    with Server() as server:
        relay.logins = {"*": None}
        call = relay.begin(server.nexthop())
        r = relay.result(call, timeout=30)
        assert r.outcome == TRY_LATER and r.contact == NONE and "router does not answer" in r.reply, r
        assert not server.sessions


def test_next_host(alone):
    """454 is that host's own trouble; 535 is not, and an account is locked sooner than one thinks."""
    zone = {("d.test", "MX"): ["10 mx1.test", "20 mx2.test"], ("mx1.test", "A"): ["127.0.1.1"], ("mx2.test", "A"): ["127.0.1.2"]}
    relay = alone(zone)
    for reply, outcome in (("454 4.7.0 later", DELIVERED), ("535 5.7.8 no", TRY_LATER)):
        with Server(address="127.0.1.1", users=USERS, mechanisms=["PLAIN"], auth=reply) as first, \
                Server(address="127.0.1.2", port=first.port, users=USERS, mechanisms=["PLAIN"]) as second:
            relay.logins = {"*": ANNA}
            r = relay.relay(f"d.test:{first.port}")
            assert r.outcome == outcome, r
            assert len(second.sessions) == (outcome == DELIVERED)


# ---- TLS

def outside():
    """An address of this host's that is not loopback; the tests that need one are skipped without."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            return s.getsockname()[0]
        except OSError:
            pytest.skip("this host has no address but loopback")


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("policy", ["may", "never"])
def test_no_password_in_clear(alone, policy, clear):
    relay = alone(smtp_tls=policy, smtp_auth_plaintext=clear)
    with Server(address=outside(), users=USERS, mechanisms=["PLAIN"]) as server:
        r = send(relay, server, ANNA)
        if clear:
            assert r.outcome == DELIVERED, r
        else:
            assert r.outcome == TRY_LATER and r.status in ("4.7.4", "4.7.8") and not auths(server), r


def test_no_clear_text_after_a_handshake_that_failed(alone, ca):
    relay = alone()
    with Server(address=outside(), users=USERS, mechanisms=["PLAIN"], tls=ca.context("x.test"), handshake=CLOSE) as server:
        r = send(relay, server, ANNA)
        assert r.outcome == TRY_LATER and r.contact == FAILED and not any(auths(server, i) for i in range(len(server.sessions))), r
        assert len(server.sessions) == 1


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("mechanism", PASSWORDS + TOKENS)
def test_tls(relay, ca, mechanism, early):
    """AUTH goes behind STARTTLS, wherever it was announced."""
    with Server(users=USERS, mechanisms=[mechanism], tls=ca.context("x.test"), early_auth=early) as server:
        r = send(relay, server, login_of(mechanism))
        assert r.outcome == DELIVERED and r.tls.startswith("TLSv1.3"), r
        assert server.verbs()[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
        if mechanism in SCRAMS:
            assert server.sessions[0].gs2_flag == "y"


def test_auth_before_tls_only(relay, ca):
    with Server(users=USERS, mechanisms=["PLAIN"], tls=ca.context("x.test"), ehlo=["250-x\n250-STARTTLS\n250 AUTH PLAIN", "250 x"]) as server:
        r = send(relay, server, ANNA)
        is_put_off(r, server)
        assert not auths(server)


@pytest.mark.parametrize("mechanism", SCRAMS)
def test_channel_binding(relay, ca, mechanism):
    context = ca.context("x.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Server(users=USERS, mechanisms=[mechanism, mechanism + "-PLUS"], tls=context) as server:
        r = send(relay, server, ANNA)
        assert r.outcome == DELIVERED and server.sessions[0].mechanism == mechanism + "-PLUS", r
        r = send(relay, server, ANNA)           # the session is resumed, and bound by the server's Finished
        assert r.outcome == DELIVERED, r
        r = send(relay, server, {**ANNA, "mechanisms": mechanism})
        assert r.outcome == DELIVERED and server.sessions[-1].gs2_flag == "n", r


def test_binding_taken_off_the_list(relay, ca):
    """Somebody between has changed what the server offers: it notices."""
    context = ca.context("x.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Server(users=USERS, mechanisms=["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"], tls=context,
                ehlo=["250-x\n250 STARTTLS", "250-x\n250 AUTH SCRAM-SHA-256"]) as server:
        is_put_off(send(relay, server, ANNA), server)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("secret,outcome", [(PASSWORD, DELIVERED), ("wrong", TRY_LATER)])
def test_aiosmtpd(relay, ca, mechanism, secret, outcome):
    """A server that somebody else wrote."""
    controller = pytest.importorskip("aiosmtpd.controller", reason="aiosmtpd is not installed (Debian package python3-aiosmtpd)")
    from aiosmtpd.smtp import AuthResult

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            return "250 2.0.0 taken"

    class Controller(controller.Controller):
        def factory(self):
            return controller.SMTP(self.handler, tls_context=ca.context("x.test"), require_starttls=True, auth_required=True,
                                   authenticator=self.check, auth_exclude_mechanism=["PLAIN" if mechanism == "LOGIN" else "LOGIN"])

        def check(self, server, session, envelope, name, data):
            good = name == mechanism and data.login.decode() == ANNA["user"] and data.password.decode() == PASSWORD
            return AuthResult(success=good, handled=False)

    server = Controller(Handler(), hostname="127.0.0.1", port=free_ports(1)[0])
    server.start()
    try:
        relay.logins = {"*": {**ANNA, "secret": secret}}
        r = relay.relay(f"[127.0.0.1]:{server.port}")
        assert r.outcome == outcome and (outcome == DELIVERED or r.status == "4.7.8" and r.contact == FAILED), r
    finally:
        server.stop()


# ---- TLS to whom?

RIGHT = ["right"]
WRONG = ["self-signed", "name", "expired", "authority"]         # what is wrong with the certificate


class Outside:
    """relay.test, at an address of this host's that is not loopback, with a certificate; and the process that sends there."""

    def __init__(self, alone, ca, which, zone=None, offered=None, **settings):
        where = outside()
        self.relay = alone({("relay.test", "A"): [where], **(zone or {})}, tls_ca_file="" if which == "authority" else ca.file, **settings)
        certificate = ca.issue("x.test" if which == "name" else "relay.test", expired=which == "expired", self_signed=which == "self-signed")
        self.server = Server(address=where, users=USERS, mechanisms=offered or PASSWORDS + TOKENS, tls=certificate.context())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.end()

    def send(self, mechanism, nexthop="[relay.test]", **how):
        self.relay.logins = {"*": {**login_of(mechanism), "mechanisms": mechanism}}
        return self.relay.relay(f"{nexthop}:{self.server.port}", **how)

    def refuses(self, r, status, *words):
        assert r.outcome == TRY_LATER and r.status == status, r
        for word in ("smtp_auth_unproven", "tls_ca_file", "THE-KEY", TABLE, *words):
            assert word in r.reply, r
        wait_for(lambda: r.reply in self.relay.log(), 5 * patience(), why=lambda: self.relay.log())
        assert not self.server.mails and not auths(self.server) and "MAIL" not in self.server.verbs()


@pytest.mark.parametrize("which", RIGHT + WRONG)
@pytest.mark.parametrize("policy", ["may", "auto", "must", "secure"])
def test_who_is_logged_in_at(alone, ca, policy, which):
    """Whatever smtp_tls says of other mail: where there is a login the server proves who it is, or gets nothing."""
    with Outside(alone, ca, which, smtp_tls=policy) as o:
        for mechanism in PASSWORDS + TOKENS:
            r = o.send(mechanism)
            if which == "right":
                assert r.outcome == DELIVERED and r.tls.endswith(" ca") and o.server.sessions[-1].mechanism == mechanism, r
            else:
                o.refuses(r, "4.7.5", "it does not prove that it is this host, as is wanted by "
                          + ("smtp_tls" if policy == "secure" else "smtp_credentials"))


def test_who_is_not_logged_in_at(alone, ca):
    """The same server, where nobody logs in."""
    with Outside(alone, ca, "self-signed") as o:
        o.server.users, o.relay.logins = None, {"*": {"verdict": NO}}
        r = o.relay.relay(f"[relay.test]:{o.server.port}")
        assert r.outcome == DELIVERED and r.tls.endswith(" untrusted"), r


@pytest.mark.parametrize("which", RIGHT + WRONG)
@pytest.mark.parametrize("policy", ["may", "auto", "must"])
def test_listed(alone, ca, policy, which):
    """tls_policies has its way; but what would show the password to whomever is still not said."""
    with Outside(alone, ca, which, tls_policies=[f"relay.test {policy}"]) as o:
        for mechanism in PASSWORDS + TOKENS:
            r = o.send(mechanism)
            if which == "right" or mechanism in SCRAMS:
                assert r.outcome == DELIVERED and r.tls.endswith(" ca" if which == "right" else " untrusted"), r
                assert o.server.sessions[-1].mechanism == mechanism
                o.server.mails.clear()
            else:
                o.refuses(r, "4.7.8", "it does not prove that it is this host (", f"by {mechanism} it would be shown the")


def test_listed_and_strong_ones_are_there(alone, ca):
    """The best that may be used, not the first that may not."""
    with Outside(alone, ca, "self-signed", offered=["PLAIN", "LOGIN", "SCRAM-SHA-1"], tls_policies=["relay.test must"]) as o:
        o.relay.logins = {"*": ANNA}
        assert o.relay.relay(f"[relay.test]:{o.server.port}").outcome == DELIVERED
        assert o.server.sessions[0].mechanism == "SCRAM-SHA-1"
        o.relay.logins = {"*": {**ANNA, "mechanisms": "DIGEST-MD5"}}
        r = o.relay.relay(f"[relay.test]:{o.server.port}")
        assert r.outcome == TRY_LATER and "no mechanism that may be used" in r.reply, r


@pytest.mark.parametrize("setting", ["smtp_auth_unproven", "smtp_auth_plaintext"])
@pytest.mark.parametrize("which", WRONG)
def test_who_wants_it_so(alone, ca, which, setting):
    with Outside(alone, ca, which, **{setting: True}) as o:
        for mechanism in PASSWORDS + TOKENS:
            r = o.send(mechanism)
            assert r.outcome == DELIVERED and r.tls.endswith(" untrusted"), r


def test_unproven_is_not_in_clear(alone):
    relay = alone(smtp_auth_unproven=True)
    with Server(address=outside(), users=USERS, mechanisms=["PLAIN"]) as server:
        r = send(relay, server, ANNA)
        assert r.outcome == TRY_LATER and not auths(server) and "smtp_auth_plaintext" in r.reply, r


def test_no_tls_at_all(alone):
    relay = alone()
    with Server(address=outside(), users=USERS, mechanisms=["SCRAM-SHA-256"]) as server:
        r = send(relay, server, ANNA)
        assert r.outcome == TRY_LATER and r.status == "4.7.4" and not auths(server), r
        assert "THE-KEY" in r.reply and "does not offer STARTTLS" in r.reply, r


@pytest.mark.parametrize("listed", [[], ["d.test may"]], ids=["", "listed"])
@pytest.mark.parametrize("signed,names,good", [(False, "relay.test", False), (False, "d.test", True), (False, "mx.d.test", True),
                                               (True, "relay.test", True)])
def test_whose_name(alone, ca, signed, names, good, listed):
    """By a forged MX record a server could be called what its certificate says: that proves it no more than none would."""
    where = outside()
    relay = alone({("d.test", "MX"): ["10 relay.test"], ("relay.test", "A"): [where]}, tls_ca_file=ca.file, tls_policies=listed)
    relay.insecure = set() if signed else {"d.test"}
    with Server(address=where, users=USERS, mechanisms=["PLAIN"], tls=ca.context(names)) as server:
        server.users, relay.logins = None, {"*": {"verdict": NO}}
        for _ in range(2):              # from here on a session could be resumed, which was proven for other mail
            assert relay.relay(f"d.test:{server.port}").outcome == DELIVERED
        server.mails.clear()
        server.users, relay.logins = USERS, {"*": ANNA}
        r = relay.relay(f"d.test:{server.port}")
        if good:
            assert r.outcome == DELIVERED and r.tls.endswith(" ca"), r
        else:
            assert r.outcome == TRY_LATER and r.status == ("4.7.8" if listed else "4.7.5") and not server.mails and not auths(server), r


def test_below_the_domain(alone, ca):
    where = outside()
    relay = alone({("d.test", "MX"): ["10 mx.d.test"], ("mx.d.test", "A"): [where]}, tls_ca_file=ca.file)
    relay.insecure = {"d.test"}
    with Server(address=where, users=USERS, mechanisms=["PLAIN"], tls=ca.context("mx.d.test")) as server:
        relay.logins = {"*": ANNA}
        r = relay.relay(f"d.test:{server.port}")
        assert r.outcome == DELIVERED and r.tls.endswith(" ca"), r


@pytest.mark.parametrize("match", [True, False])
def test_by_dane(alone, ca, match):
    cert = ca.issue("x.test", self_signed=True)
    where = outside()
    with Server(address=where, users=USERS, mechanisms=["PLAIN"], tls=cert.context()) as server:
        relay = alone({("relay.test", "A"): [where], (f"_{server.port}._tcp.relay.test", "TLSA"):
                       [(cert if match else ca.issue("x.test")).tlsa(3, 1, 1)]}, smtp_tls="may")
        relay.logins = {"*": ANNA}
        r = relay.relay(f"[relay.test]:{server.port}")
        assert (r.outcome == DELIVERED and r.tls.endswith(" dane-ee")) if match else (r.status == "4.7.5" and not auths(server)), r


@pytest.mark.parametrize("named", [True, False])
def test_by_a_policy(alone, ca, named):
    where = outside()
    relay = alone({("d.test", "MX"): ["10 relay.test"], ("relay.test", "A"): [where]}, tls_ca_file=ca.file)
    relay.insecure = {"d.test"}
    relay.policies = {"d.test": ("enforce", "relay.test" if named else "other.test")}
    with Server(address=where, users=USERS, mechanisms=["PLAIN"], tls=ca.context("relay.test")) as server:
        relay.logins = {"*": ANNA}
        r = relay.relay(f"d.test:{server.port}")
        if named:
            assert r.outcome == DELIVERED and r.tls.endswith(" sts"), r
        else:
            assert r.outcome == TRY_LATER and not server.sessions, r


def test_by_its_address(alone, ca):
    """A certificate may have an address; else there is no name that could be right."""
    where = outside()
    relay = alone(tls_ca_file=ca.file)
    for names, good in ((["relay.test"], False), ([where], True)):
        with Server(address=where, users=USERS, mechanisms=["PLAIN"], tls=ca.context(*names)) as server:
            assert (send(relay, server, ANNA).outcome == DELIVERED) == good == bool(auths(server))


# ---- the router

def test_whom_it_tells(tmp_path):
    """Passwords go to smtp-client; anybody else who asks for them loses the channel."""
    (tmp_path / "credentials").write_text("x.test anna Zebra9\n")
    (tmp_path / "accounts").write_text("")
    (tmp_path / "aliases").write_text("")
    os.chmod(tmp_path / "credentials", 0o600)
    router = Alone("router", {"smtp_credentials": f"text:{tmp_path}/credentials", "account_map": f"text:{tmp_path}/accounts",
                              "alias_map": f"text:{tmp_path}/aliases"}, asked_by=["smtp-client", "smtpd", "qmgr"])
    answer = router.answer(router.ask("smtp-client", "credentials_ask", nexthop="x.test:587"), service="smtp-client")
    assert (answer["verdict"], answer["user"], answer["secret"]) == (YES, b"anna", b"Zebra9")
    assert router.answer(router.ask("smtp-client", "credentials_ask", nexthop="y.test"), service="smtp-client")["verdict"] == NO
    for other in ("smtpd", "qmgr"):
        call = router.ask(other, "credentials_ask", nexthop="x.test")
        wait_for(lambda: router.channels[other] in router.gone, 10 * patience())
        assert call not in router.answers
    log = router.log()
    router.end(crash_allowed=True)      # it says that what they asked makes no sense here
    assert "Zebra9" not in log


# ---- the whole suite

@pytest.fixture
def house(make_suite):
    """house(server, value of the server's next hop) -> suite"""
    def make(server, value, token=None, **settings):
        suite = make_suite(start=False, **{"trusted_networks": ["127.0.0.0/8"], "relay_host": server.nexthop(),
                                           "minimal_backoff": "1s", "maximal_backoff": "2s", **settings})
        etc = os.path.join(suite.dir, "etc")
        suite.table = os.path.join(etc, "credentials")
        suite.token = os.path.join(etc, "token")
        put(suite.table, f"{server.nexthop()} {value}\n")
        if token:
            put(suite.token, token)
        suite.settings["smtp_credentials"] = "text:" + suite.table
        suite.write_conf()
        suite.start()
        return suite
    return make


def arrives(server, n=1):
    wait_for(lambda: len(server.mails) >= n, 30 * patience(), why=lambda: f"{len(server.mails)} of {n}; {[s.commands for s in server.sessions]}")


def test_suite(house):
    with Server(users=USERS, mechanisms=PASSWORDS) as server:
        suite = house(server, f"anna,a=b@x.test {PASSWORD}")
        suite.send("you@elsewhere.test")
        arrives(server)
        assert server.sessions[-1].mechanism == "SCRAM-SHA-256"
        suite.wait_log("logged in at .* by SCRAM-SHA-256")
        assert PASSWORD not in suite.log()


def test_suite_wrong_then_right(house):
    """The mail waits, the queue says why and where to look, and it goes when the table is right."""
    with Server(users=USERS, mechanisms=["PLAIN"]) as server:
        suite = house(server, "anna,a=b@x.test Wrong-Secret")
        suite.send("you@elsewhere.test")
        suite.wait_log("4.7.8")
        wait_for(lambda: "smtp_credentials" in suite.hermod("queue", "list").stdout, 20 * patience(),
                 why=lambda: suite.hermod("queue", "list").stdout)
        assert not server.mails and "Wrong-Secret" not in suite.log() + suite.hermod("queue", "list").stdout
        put(suite.table, f"{server.address} anna,a=b@x.test {PASSWORD}\n")
        arrives(server)


def test_suite_token(house):
    """It is read anew at each login."""
    with Server(users={"off@x.test": "token-1"}, mechanisms=["XOAUTH2"]) as server:
        suite = house(server, "off@x.test oauth:token", token="token-1\n", smtp_connection_cache_time="0s")
        suite.send("you@elsewhere.test")
        arrives(server)
        server.users["off@x.test"] = "token-2"
        put(suite.token, "token-2\n")
        suite.send("you@elsewhere.test")
        arrives(server, 2)
        assert "token-" not in suite.log()


def test_suite_loose_token(house):
    with Server(users={"off@x.test": "token-1"}, mechanisms=["XOAUTH2"]) as server:
        suite = house(server, "off@x.test oauth:token", token="token-1\n")
        os.chmod(suite.token, 0o644)
        suite.send("you@elsewhere.test")
        suite.wait_log("chmod 640")
        assert not server.sessions
        os.chmod(suite.token, 0o640)
        arrives(server)


def test_suite_loose_table(house):
    with Server(users=USERS, mechanisms=["PLAIN"]) as server:
        suite = house(server, f"anna,a=b@x.test {PASSWORD}")
        os.chmod(suite.table, 0o644)
        suite.restart()
        suite.wait_log("everybody can read it")
