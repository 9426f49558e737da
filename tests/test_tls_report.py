# SPDX-License-Identifier: ISC
"""
TLS reporting (RFC 8460): what smtp-client says of each session, and under which policy. The process is alone here
(hermodtest/relay.py); what is kept of it is in test_fetch.py, all of it together in test_tls_whole.py.
"""
import pytest

from hermodtest.proc import wait_for
from hermodtest.relay import BOUNCE, DELIVERED, DNS_BOGUS, DNS_FAILED, Relay, TRY_LATER
from hermodtest.servers import CLOSE, HANG, Server
from hermodtest.suite import patience

TYPES = ["no-policy-found", "tlsa", "sts"]                     # enum tls_report_type
RESULTS = ["", "starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted",
           "validation-failure", "tlsa-invalid", "dnssec-invalid", "dane-required", "sts-policy-fetch-error", "sts-policy-invalid",
           "sts-webpki-invalid"]                                # enum tls_result
NO_STARTTLS, NO_NAME = "starttls-not-supported", "certificate-host-mismatch"


class House:
    """d.test, with the one exchanger mx1.test, at 127.0.1.1."""

    def __init__(self, ca, certificate, settings=None, **how):
        self.server = Server(address="127.0.1.1", tls=certificate.context() if certificate else None, **how)
        self.relay = Relay({("d.test", "MX"): ["10 mx1.test"], ("mx1.test", "A"): ["127.0.1.1"]},
                           **{"tls_ca_file": ca.file, "smtp_connection_cache_time": "0s", **(settings or {})})
        self.zone = self.relay.zone

    def tlsa(self, records):
        self.zone[f"_{self.server.port}._tcp.mx1.test", "TLSA"] = records

    def send(self, nexthop=None, **how):
        return self.relay.relay(nexthop or f"d.test:{self.server.port}", **how)

    def seen(self, n=1):
        """What was said, and nothing more comes: what fetch is asked later than that would be behind it."""
        wait_for(lambda: len(self.relay.seen) >= n, 5 * patience())
        self.relay.policies_asked.clear()
        self.zone["last.test", "MX"] = ["10 last-mx.test"]
        self.zone["last-mx.test", "A"] = ["127.0.1.99"]
        self.relay.insecure.add("last.test")
        self.relay.relay("last.test:1")
        assert self.relay.policies_asked == ["last.test"]
        assert len(self.relay.seen) == n, self.relay.seen
        return [(m["domain"].decode(), TYPES[m["type"]], RESULTS[m["result"]]) for m in self.relay.seen]

    def end(self):
        self.server.end()
        self.relay.end()


@pytest.fixture
def house(ca):
    made = []

    def make(*args, **how):
        made.append(House(ca, *args, **how))
        return made[-1]
    yield make
    for h in made:
        h.end()


# ---- no policy

@pytest.mark.parametrize("names,how", [(["mx1.test"], {}), (["x.test"], {"self_signed": True}), (["x.test"], {"expired": True})])
def test_no_policy(ca, house, names, how):
    """Where nothing is asked for any TLS is good."""
    h = house(ca.issue(*names, **how))
    assert h.send().outcome == DELIVERED
    assert h.seen() == [("d.test", "no-policy-found", "")]
    m, = h.relay.seen
    assert not m["lines"] and not m["mx"] and not m["sending"] and not m["reason"]


def test_not_offered(ca, house):
    h = house(None)
    assert h.send().outcome == DELIVERED
    assert h.seen() == [("d.test", "no-policy-found", NO_STARTTLS)]
    m, = h.relay.seen
    assert (m["mx"], m["receiving"]) == (b"mx1.test", b"127.0.1.1") and m["sending"].startswith(b"127.")


def test_refused(ca, house):
    h = house(ca.issue("mx1.test"), starttls="454 4.7.0 not now")
    assert h.send().outcome == DELIVERED
    assert h.seen() == [("d.test", "no-policy-found", "validation-failure")]
    assert h.relay.seen[0]["reason"] == b"STARTTLS is refused"


def test_no_handshake(ca, house):
    """The session in clear that follows is the same failure, and is not counted again."""
    h = house(ca.issue("mx1.test"), handshake=[CLOSE, CLOSE])
    assert h.send().outcome == DELIVERED
    assert h.seen() == [("d.test", "no-policy-found", "validation-failure")]
    assert len(h.server.sessions) == 2 and h.relay.seen[0]["reason"] and h.relay.seen[0]["sending"]


def test_silent_handshake(ca, house):
    """What may be a busy network is not reported (section 4.3.4)."""
    h = house(ca.issue("mx1.test"), settings={"smtp_tls_timeout": "1s"}, handshake=HANG)
    assert h.send().outcome == DELIVERED
    assert h.relay.seen == []


def test_kept_connection(ca, house):
    h = house(ca.issue("mx1.test"), settings={"smtp_connection_cache_time": "1m"})
    for _ in range(3):
        assert h.send().outcome == DELIVERED
    assert len(h.server.sessions) == 1 and h.seen() == [("d.test", "no-policy-found", "")]


@pytest.mark.parametrize("how", [{"nexthop": "[mx1.test]"}, {"nexthop": "[127.0.1.1]"}], ids=str)
def test_routes_are_nobodys_policy(ca, house, how):
    h = house(ca.issue("mx1.test"))
    assert h.send(nexthop=f"{how['nexthop']}:{h.server.port}").outcome == DELIVERED
    assert h.relay.seen == []


def test_never(ca, house):
    """Nobody has tried."""
    h = house(ca.issue("mx1.test"), settings={"smtp_tls": "never"})
    assert h.send().outcome == DELIVERED
    assert h.relay.seen == []


def test_fetch_is_gone(ca, house):
    """Mail goes on uncounted."""
    h = house(ca.issue("mx1.test"))
    h.relay.channels["fetch"].close()
    assert h.send().outcome == DELIVERED


# ---- DANE

def test_dane(ca, house):
    cert = ca.issue("x.test", self_signed=True)
    h = house(cert)
    h.tlsa([cert.tlsa(3, 1, 1), cert.tlsa(3, 0, 2)])
    assert h.send().outcome == DELIVERED
    assert h.seen() == [("mx1.test", "tlsa", "")]
    assert h.relay.seen[0]["lines"].decode() == "".join(f"string {cert.tlsa(3, *kind)}\n" for kind in ((1, 1), (0, 2)))


@pytest.mark.parametrize("what,result", [("other key", "certificate-not-trusted"), ("name", NO_NAME), ("expired", "certificate-expired"),
                                         ("none", NO_STARTTLS), ("handshake", "validation-failure")])
def test_dane_failures(ca, house, what, result):
    cert = ca.issue("x.test" if what == "name" else "mx1.test", expired=what == "expired")
    h = house(None if what == "none" else cert, **({"handshake": CLOSE} if what == "handshake" else {}))
    h.tlsa([ca.issue("mx1.test").tlsa(3, 1, 1) if what == "other key" else ca.certificate.tlsa(2, 0, 1)])
    assert h.send().outcome == TRY_LATER
    assert h.seen() == [("mx1.test", "tlsa", result)]
    m, = h.relay.seen
    assert m["mx"] == b"mx1.test" and (what == "none" or m["reason"])


def test_tlsa_invalid(ca, house):
    h = house(ca.issue("x.test"))
    h.tlsa(["1 1 1 " + "00" * 32, "3 1 1 00"])
    assert h.send().outcome == DELIVERED
    assert h.seen() == [("mx1.test", "tlsa", "tlsa-invalid")]


@pytest.mark.parametrize("answer", [DNS_FAILED, DNS_BOGUS])
def test_dnssec_invalid(ca, house, answer):
    h = house(ca.issue("mx1.test"))
    h.tlsa(answer)
    assert h.send().outcome == TRY_LATER and not h.server.sessions
    assert h.seen() == [("mx1.test", "tlsa", "dnssec-invalid")]
    m, = h.relay.seen
    assert m["mx"] == b"mx1.test" and b"the test says so" in m["reason"] and not m["receiving"]


def test_dane_required(ca, house):
    h = house(ca.issue("mx1.test"), settings={"tls_policies": ["d.test dane"]})
    assert h.send().outcome == TRY_LATER and not h.server.sessions
    assert h.seen() == [("d.test", "no-policy-found", "dane-required")]


def test_requiretls_is_the_senders(ca, house):
    """What a message wants is no failure of its receiver's."""
    h = house(ca.issue("mx1.test"))
    h.relay.insecure = {"d.test"}
    assert h.send(requiretls=1).outcome == BOUNCE
    assert h.relay.seen == []


# ---- MTA-STS

@pytest.mark.parametrize("mode", ["enforce", "testing"])
@pytest.mark.parametrize("what,result", [("good", ""), ("name", NO_NAME), ("expired", "certificate-expired"),
                                         ("self-signed", "certificate-not-trusted"), ("authority", "certificate-not-trusted"),
                                         ("none", NO_STARTTLS), ("another host", "validation-failure")])
def test_sts(ca, other_ca, house, mode, what, result):
    """What is only being tested is counted as if it were not (section 3)."""
    cert = (other_ca if what == "authority" else ca).issue("x.test" if what == "name" else "mx1.test", expired=what == "expired",
                                                            self_signed=what == "self-signed")
    h = house(None if what == "none" else cert)
    h.relay.insecure = {"d.test"}
    h.relay.policies = {"d.test": (mode, "mx9.test" if what == "another host" else "mx1.test", "*.d.test")}
    r = h.send()
    assert (r.outcome == DELIVERED) == (what == "good" or mode == "testing"), r
    assert h.seen() == [("d.test", "sts", result)]
    mx = "mx9.test" if what == "another host" else "mx1.test"
    assert h.relay.seen[0]["lines"].decode() == (
        f"string version: STSv1\nstring mode: {mode}\nstring mx: {mx}\nstring mx: *.d.test\nstring max_age: 86400\nmx {mx}\nmx *.d.test\n")


def test_policy_of_mode_none(ca, house):
    h = house(ca.issue("mx1.test"))
    h.relay.insecure = {"d.test"}
    h.relay.policies = {"d.test": ("none",)}
    assert h.send().outcome == DELIVERED
    assert h.seen() == [("d.test", "no-policy-found", "")]


def test_large_policy(ca, house):
    """Lines that there is no room for are left out, whole."""
    h = house(ca.issue("mx1.test"))
    h.relay.insecure = {"d.test"}
    h.relay.policies = {"d.test": ("enforce", "mx1.test", *[f"mx{n}.{'x' * 50}.test" for n in range(400)])}
    assert h.send().outcome == DELIVERED
    assert h.seen() == [("d.test", "sts", "")]
    lines = h.relay.seen[0]["lines"].decode()
    assert 8000 < len(lines) <= 8192 and lines.endswith("\n") and lines.startswith("string version: STSv1\nstring mode: enforce\n")
