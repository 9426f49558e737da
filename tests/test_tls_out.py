# SPDX-License-Identifier: ISC
"""
What a server must show before mail goes to it: DANE (RFC 7672), MTA-STS (RFC 8461), tls_policies, REQUIRETLS. smtp-client
is alone here (hermodtest/relay.py): what is signed, and which policies there are, is the test's to say.
"""
import re

import pytest

from hermodtest.proc import wait_for
from hermodtest.relay import (BOUNCE, DELIVERED, DNS_BOGUS, DNS_FAILED, DNS_NO_NAME, FAILED, NONE, Relay, TRY_LATER)
from hermodtest.servers import CLOSE, EXTENSIONS, Server
from hermodtest.suite import patience


class House:
    """One domain, d.test, with servers mx1.test (127.0.1.1) and, if there is a second, mx2.test (127.0.1.2), on one port."""

    def __init__(self, ca, *certificates, settings=None, **how):
        port, self.servers = 0, []
        for i, c in enumerate(certificates):
            self.servers.append(Server(address=f"127.0.1.{i + 1}", port=port, tls=c.context() if c else None, **how))
            port = self.servers[0].port
        self.server, self.nexthop, self.port = self.servers[0], f"d.test:{port}", port
        zone = {("d.test", "MX"): [f"{10 * (i + 1)} mx{i + 1}.test" for i in range(len(certificates))]}
        zone.update({(f"mx{i + 1}.test", "A"): [f"127.0.1.{i + 1}"] for i in range(len(certificates))})
        self.relay = Relay(zone, tls_ca_file=ca.file, **{"smtp_connection_cache_time": "0s", **(settings or {})})

    def tlsa(self, *records, host="mx1.test"):
        self.relay.zone[f"_{self.port}._tcp.{host}", "TLSA"] = records[0] if isinstance(records[0], int) else list(records)

    def send(self, **how):
        r = self.relay.relay(self.nexthop, **how)
        for s in self.servers:
            for m in s.mails:
                assert m.tls or self.clear_is_fine, "in clear!"
        return r

    clear_is_fine = False

    def counts(self):
        note = self.relay.report()["note"].decode()
        return {k: int(v) for k, v in re.findall(r"([a-z-]+)=(\d+)", note.split(", tls ")[1]) if v != "0"}

    def end(self):
        for s in self.servers:
            s.end()
        self.relay.end()


@pytest.fixture
def house(ca):
    made = []

    def make(*certificates, **how):
        made.append(House(ca, *certificates, **how))
        return made[-1]
    yield make
    for h in made:
        h.end()


def refused(r, *words, status="4.7.5"):
    assert r.outcome == TRY_LATER and r.status == status and r.contact == FAILED, r
    for w in words:
        assert w in r.reply, r


# ---- DANE

@pytest.mark.parametrize("record", ["3 1 1", "3 0 1", "3 1 2", "3 1 0"])
def test_dane_ee(ca, house, record):
    """The certificate is right whatever it is called, whoever signed it, and however old it is (RFC 7672 section 3.1.1)."""
    cert = ca.issue("elsewhere.test", self_signed=True, expired=True)
    h = house(cert)
    h.tlsa(cert.tlsa(*map(int, record.split())))
    r = h.send()
    assert r.outcome == DELIVERED and r.tls.endswith(" dane-ee"), r
    assert h.counts() == {"dane-ee": 1}
    assert h.relay.policies_asked == [], "DANE goes before MTA-STS"


@pytest.mark.parametrize("names,expired,good", [(["mx1.test"], False, True), (["d.test"], False, True), (["*.test"], False, False),
                                                (["other.test"], False, False), (["mx1.test"], True, False)])
def test_dane_ta(ca, house, names, expired, good):
    """Names and dates count (section 3.1.2, 3.2.2)."""
    h = house(ca.issue(*names, expired=expired))
    h.tlsa(ca.certificate.tlsa(2, 0, 1))
    r = h.send()
    if good:
        assert r.outcome == DELIVERED and r.tls.endswith(" dane-ta"), r
    else:
        refused(r, "it does not prove that it is this host, as is wanted by TLSA records of mx1.test")
        assert not h.server.mails and h.counts() == {"refused": 1}


def test_dane_mismatch(ca, house):
    """Nothing is sent in clear, to a server with another key; nor by a certificate that a CA has signed."""
    h = house(ca.issue("mx1.test"))
    h.tlsa(ca.issue("mx1.test").tlsa(3, 1, 1))
    refused(h.send(), "it does not prove that it is this host, as is wanted by TLSA records of mx1.test")
    assert not h.server.mails and h.server.verbs() == ["EHLO", "STARTTLS"] and len(h.server.sessions) == 1


def test_dane_next_host(ca, house):
    """A host that does not show what it must counts as one that cannot be reached."""
    h = house(ca.issue("mx1.test"), ca.issue("mx2.test"))
    h.tlsa(ca.issue("mx1.test").tlsa(3, 1, 1))
    r = h.send()
    assert r.outcome == DELIVERED and r.remote.startswith("mx2.test ") and r.tls.endswith(" ca"), r
    assert not h.servers[0].mails


@pytest.mark.parametrize("how", [{}, {"handshake": CLOSE}, {"starttls": "454 4.7.0 not now"}, {"starttls": "502 5.5.1 no"}],
                         ids=str)
def test_dane_no_tls(ca, house, how):
    """Who has TLSA records has promised TLS (section 2.2)."""
    cert = ca.issue("mx1.test")
    h = house(cert if how else None, **how)
    h.tlsa(cert.tlsa(3, 1, 1))
    r = h.send()
    assert r.outcome == TRY_LATER and r.status.startswith("4.7."), r
    assert not h.server.mails and "MAIL" not in h.server.verbs()


@pytest.mark.parametrize("tls", [True, False])
def test_dane_unusable(ca, house, tls):
    """Encrypted, to whomever (section 2.2)."""
    cert = ca.issue("other.test", self_signed=True)
    h = house(cert if tls else None)
    h.tlsa(cert.tlsa(1, 1, 1), "3 1 9 00", "3 1 1 00")
    r = h.send()
    if tls:
        assert r.outcome == DELIVERED and r.tls.endswith(" untrusted"), r
    else:
        assert r.outcome == TRY_LATER and r.status == "4.7.4" and not h.server.mails, r


def test_dane_some_unusable(ca, house):
    cert = ca.issue("other.test", self_signed=True)
    h = house(cert)
    h.tlsa("0 0 1 " + "00" * 32, "3 1 1 " + "00" * 32, cert.tlsa(3, 1, 1))
    assert h.send().tls.endswith(" dane-ee")
    h.tlsa("0 0 1 " + "00" * 32, "3 1 1 " + "00" * 32)
    refused(h.send())


@pytest.mark.parametrize("result", [DNS_FAILED, DNS_BOGUS])
def test_dane_lookup_fails(ca, house, result):
    """Not to know is not to have none (section 2.1.2)."""
    h = house(ca.issue("mx1.test"))
    h.tlsa(result)
    refused(h.send(), "the TLSA records of mx1.test cannot be looked up: the test says so")
    assert len(h.server.sessions) == 0 and h.counts() == {"refused": 1}


def test_dane_lookup_fails_next_host(ca, house):
    h = house(ca.issue("mx1.test"), ca.issue("mx2.test"))
    h.tlsa(DNS_FAILED)
    r = h.send()
    assert r.outcome == DELIVERED and r.remote.startswith("mx2.test "), r
    assert len(h.servers[0].sessions) == 0


@pytest.mark.parametrize("unsigned", ["d.test", "mx1.test", "TLSA"])
def test_dane_not_signed(ca, house, unsigned):
    """By MX records, an address, or TLSA records that are not signed nothing is proven, and nothing is wanted."""
    h = house(ca.issue("mx1.test"))
    tlsa = f"_{h.port}._tcp.mx1.test"
    h.tlsa(ca.issue("mx1.test").tlsa(3, 1, 1))
    h.relay.insecure.add(tlsa if unsigned == "TLSA" else unsigned)
    r = h.send()
    assert r.outcome == DELIVERED and r.tls.endswith(" ca"), r
    assert ((tlsa, "TLSA") in h.relay.questions) == (unsigned == "TLSA"), "nor asked for (section 2.2.2)"


def test_dane_route(ca, house):
    """To a host that a route names, too (section 2.2.2); never to an address."""
    cert = ca.issue("mx1.test", self_signed=True)
    h = house(cert)
    h.tlsa(cert.tlsa(3, 1, 1))
    h.nexthop = f"[mx1.test]:{h.port}"
    assert h.send().tls.endswith(" dane-ee")
    h.nexthop = f"[127.0.1.1]:{h.port}"
    assert h.send().tls.endswith(" untrusted")


# ---- MTA-STS

def test_sts_enforce(ca, house):
    h = house(ca.issue("mx1.test"))
    h.relay.insecure.add("d.test")
    h.relay.policies["d.test"] = ("enforce", "*.test")
    r = h.send()
    assert r.outcome == DELIVERED and r.tls.endswith(" sts"), r
    assert h.relay.policies_asked == ["d.test"] and h.counts() == {"sts": 1}


CERTIFICATES = {"name": {"names": ["other.test"]}, "expired": {"names": ["mx1.test"], "expired": True},
                "domain": {"names": ["d.test"]}, "self": {"names": ["mx1.test"], "self_signed": True}}


@pytest.mark.parametrize("mode", ["enforce", "testing", "none"])
@pytest.mark.parametrize("kind", [*CERTIFICATES, "no TLS", "handshake", "another host"])
def test_sts_fails(ca, house, mode, kind):
    """Under enforce no mail goes there; else it goes as if there were no policy, and testing says so."""
    cert = None if kind == "no TLS" else ca.issue(*CERTIFICATES[kind]["names"], **{k: v for k, v in CERTIFICATES[kind].items()
                                                  if k != "names"}) if kind in CERTIFICATES else ca.issue("mx1.test")
    h = house(cert, **({"handshake": CLOSE} if kind == "handshake" else {}))
    h.relay.insecure.add("d.test")
    h.relay.policies["d.test"] = (mode, "mx9.test" if kind == "another host" else "mx1.test")
    h.clear_is_fine = mode != "enforce"
    r = h.send()
    if mode == "enforce":
        assert r.outcome == TRY_LATER and r.status.startswith("4.7.") and r.contact == FAILED, r
        assert (len(h.server.sessions) == 0) == (kind == "another host")
        assert not h.server.mails and (kind == "another host" or "MAIL" not in h.server.verbs())
        return
    assert r.outcome == DELIVERED, r
    assert h.counts().get("testing", 0) == (mode == "testing")
    said = "an MTA-STS policy, which is only being tested, would let no mail go there"
    if mode == "testing":
        wait_for(lambda: said in h.relay.log(), 5 * patience())
    else:
        assert said not in h.relay.log()


def test_sts_testing_passes(ca, house):
    h = house(ca.issue("mx1.test"))
    h.relay.insecure.add("d.test")
    h.relay.policies["d.test"] = ("testing", "mx1.test")
    assert h.send().tls.endswith(" ca")
    assert h.counts() == {"ca": 1}


def test_sts_next_host(ca, house):
    h = house(ca.issue("mx1.test"), ca.issue("mx2.test"))
    h.relay.insecure.add("d.test")
    h.relay.policies["d.test"] = ("enforce", "mx2.test")
    r = h.send()
    assert r.outcome == DELIVERED and r.remote.startswith("mx2.test ") and r.tls.endswith(" sts"), r
    assert len(h.servers[0].sessions) == 0


def test_sts_beside_dane(ca, house):
    """A host of which DANE says nothing is the policy's; DANE that fails is not made good by it (RFC 8461 section 2)."""
    cert = ca.issue("mx1.test")
    h = house(cert, ca.issue("mx2.test"))
    h.tlsa(ca.issue("mx1.test").tlsa(3, 1, 1))
    h.relay.policies["d.test"] = ("enforce", "mx1.test")
    refused(h.send(), "as is wanted by TLSA records of mx1.test", "the MTA-STS policy of d.test does not name mx2.test")
    assert not h.servers[0].mails and len(h.servers[1].sessions) == 0
    h.relay.policies["d.test"] = ("enforce", "mx1.test", "mx2.test")
    r = h.send()
    assert r.outcome == DELIVERED and r.remote.startswith("mx2.test ") and r.tls.endswith(" sts"), r


def test_sts_fetch_silent(ca, house):
    """Mail waits no longer than fetch may take; then it goes as if there were no policy."""
    h = house(ca.issue("other.test"), settings={"mta_sts_timeout": "1s"})
    h.relay.policies["d.test"] = None
    r = h.send(timeout=20)
    assert r.outcome == DELIVERED and r.tls.endswith(" untrusted"), r


def test_sts_fetch_gone(ca, house):
    h = house(ca.issue("other.test"))
    h.relay.insecure.add("d.test")
    h.relay.channels["fetch"].sock.shutdown(2)
    assert h.send().outcome == DELIVERED


def test_sts_not_asked(ca, house):
    """For a host that a route names, by LMTP, or where the administrator does not want it."""
    h = house(ca.issue("mx1.test"), settings={"tls_policies": ["e.test may"]})
    h.relay.insecure.update(("d.test", "e.test"))
    h.relay.zone["e.test", "MX"] = h.relay.zone["d.test", "MX"]
    for nexthop in (f"[mx1.test]:{h.port}", f"[127.0.1.1]:{h.port}", f"e.test:{h.port}"):
        h.nexthop = nexthop
        assert h.send().outcome == DELIVERED
    assert h.relay.policies_asked == []


# ---- what the administrator wants

@pytest.mark.parametrize("rule,names,outcome,tls", [
    ("d.test never", ["mx1.test"], DELIVERED, ""),
    ("d.test may", ["other.test"], DELIVERED, "untrusted"),
    ("d.test must", ["other.test"], DELIVERED, "untrusted"),
    ("d.test secure", ["mx1.test"], TRY_LATER, ""),		# whoever forges the MX has a certificate for what he wrote there
    ("d.test secure", ["d.test"], DELIVERED, "ca"),
    ("d.test secure", ["mail.d.test"], DELIVERED, "ca"),
    ("d.test secure mx1.test", ["mx1.test"], DELIVERED, "ca"),
    ("d.test secure mx2.test", ["mx1.test"], TRY_LATER, ""),
    ("d.test secure .provider.test", ["a.b.provider.test"], DELIVERED, "ca"),
    ("d.test dane", ["mx1.test"], TRY_LATER, ""),
    (".d.test dane", ["mx1.test"], DELIVERED, "ca"),
    ("e.test dane", ["mx1.test"], DELIVERED, "ca"),
])
def test_policies(ca, house, rule, names, outcome, tls):
    h = house(ca.issue(*names), settings={"tls_policies": [rule]})
    h.relay.insecure.add("d.test")
    h.clear_is_fine = rule.endswith("never")
    r = h.send()
    assert r.outcome == outcome and r.tls.endswith(tls), r
    if outcome == TRY_LATER:
        refused(r, "tls_policies")
        assert not h.server.mails


def test_dane_only(ca, house):
    cert = ca.issue("mx1.test", self_signed=True)
    h = house(cert, settings={"smtp_tls": "dane"})
    h.tlsa(cert.tlsa(3, 1, 1))
    assert h.send().tls.endswith(" dane-ee")
    h.tlsa(DNS_NO_NAME)
    refused(h.send(), "smtp_tls wants DANE for d.test, and of mx1.test: it has no TLSA records that are signed (DNSSEC)")
    h.tlsa(cert.tlsa(3, 1, 1))
    h.relay.insecure.add("d.test")
    refused(h.send(), "its MX records are not signed (DNSSEC)")


def test_secure_by_dane(ca, house):
    cert = ca.issue("mx1.test", self_signed=True)
    h = house(cert, settings={"smtp_tls": "secure"})
    h.tlsa(cert.tlsa(3, 1, 1))
    assert h.send().tls.endswith(" dane-ee")


@pytest.mark.parametrize("signed,policy,outcome,tls", [
    (True, None, DELIVERED, "ca"), (False, None, BOUNCE, ""), (False, ("enforce", "mx1.test"), DELIVERED, "sts"),
    (False, ("testing", "mx1.test"), BOUNCE, ""), (False, ("enforce", "mx9.test"), BOUNCE, "")])
def test_requiretls(ca, house, signed, policy, outcome, tls):
    """RFC 8689 section 4.2.1: DNSSEC or MTA-STS prove which host is right, and a certificate that this is the host."""
    h = house(ca.issue("mx1.test"), extensions=EXTENSIONS + ["REQUIRETLS"])
    if not signed:
        h.relay.insecure.add("d.test")
    if policy:
        h.relay.policies["d.test"] = policy
    r = h.send(requiretls=1)
    assert r.outcome == outcome and r.tls.endswith(tls), r
    if outcome == BOUNCE:
        assert r.status == "5.7.10" and r.contact == NONE and len(h.server.sessions) == 0, r


@pytest.mark.parametrize("fault", ["dane", "unknown", "sts", "none"])
def test_not_required(ca, house, fault):
    """RFC 8689 section 4.2.2: what the domain publishes is not looked at, for the message that says so alone. TLS is used where there is some."""
    h = house(ca.issue("other.test") if fault != "none" else None)
    if fault == "sts":
        h.relay.insecure.add("d.test")
        h.relay.policies["d.test"] = ("enforce", "mx1.test")
    else:
        h.tlsa(DNS_FAILED if fault == "unknown" else ca.issue("mx1.test").tlsa(3, 1, 1))
    h.clear_is_fine = fault == "none"
    for _ in range(2):
        r = h.send(requiretls=2)
        assert r.outcome == DELIVERED and r.tls.endswith("untrusted" if fault != "none" else ""), r
        assert h.send().outcome == TRY_LATER
    assert len(h.server.mails) == 2


def test_not_required_of_a_rule(ca, house):
    """What the administrator wants of a domain is not the sender's to waive."""
    h = house(ca.issue("other.test"), settings={"tls_policies": ["d.test secure"]})
    refused(h.send(requiretls=2), "tls_policies")
    assert not h.server.mails


@pytest.mark.parametrize("how", [{}, {"handshake": CLOSE}, {"starttls": "454 4.7.0 not now"}], ids=str)
def test_requiretls_no_tls(ca, house, how):
    h = house(ca.issue("mx1.test") if how else None, extensions=EXTENSIONS + ["REQUIRETLS"], **how)
    r = h.send(requiretls=1)
    assert r.outcome == BOUNCE and r.status == "5.7.10" and not h.server.mails, r


def test_requiretls_not_known(ca, house):
    """What cannot be looked up now is no reason to give up."""
    h = house(ca.issue("mx1.test"), extensions=EXTENSIONS + ["REQUIRETLS"])
    h.tlsa(DNS_FAILED)
    r = h.send(requiretls=1)
    assert r.outcome == TRY_LATER and r.status == "4.7.5", r
