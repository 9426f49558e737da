# SPDX-License-Identifier: ISC
"""
DANE and MTA-STS through the whole suite: zones that are signed, and one that is not, by NSD; servers on loopback with
certificates of the test's own CA; policies by HTTPS. What goes where, how, and that nothing goes in clear that must not.
"""
import os
import re
import subprocess
import time

import pytest

from hermodtest.certificates import Authority
from hermodtest.dns import Zones
from hermodtest.policy_host import PolicyHost, policy
from hermodtest.proc import same_day, wait_for
from hermodtest.servers import Server
from hermodtest.suite import Suite, patience

SETTINGS = {"trusted_networks": ["127.0.0.0/8"], "smtp_allow_loopback": True, "early_delivery_time": "0s", "dns_timeout": "20s",
            "smtp_connection_cache_time": "0s", "minimal_backoff": "1h", "maximal_backoff": "1h", "mta_sts_timeout": "5s",
            "smtp_tls_timeout": "5s", "mta_sts_retry": "1s", "tls_report_interval": "200ms"}


class World:
    """A port, on which each mail exchanger has an address of its own; and the DNS that knows them."""

    def __init__(self):
        self.ca, self.zones, self.policies = Authority(), Zones(), PolicyHost()
        self.servers, self.records, self.port, self.suite = {}, {"signed.": "", "plain.": "", "forged.": ""}, 0, None

    def host(self, zone, name, certificate, tlsa=(), **how):
        """A domain NAME.ZONE with one exchanger, mx-NAME.ZONE."""
        address = f"127.0.1.{len(self.servers) + 1}"
        server = Server(address=address, port=self.port, tls=certificate.context() if certificate else None, **how)
        self.port, self.servers[f"{name}.{zone}"] = server.port, server
        self.records[zone + "."] += f"{name} MX 10 mx-{name}\nmx-{name} A {address}\n"
        for t in tlsa:
            self.records[zone + "."] += f"_{self.port}._tcp.mx-{name} TLSA {t}\n"

    def announce(self, domain, id="1"):
        """In the zone that is not signed."""
        self.records["plain."] += f'_mta-sts.{domain} TXT "v=STSv1; id={id}"\nmta-sts.{domain} A 127.0.0.1\n'

    def publish(self, domain, body):
        self.policies.certs[domain + ".plain"] = self.ca.issue(f"mta-sts.{domain}.plain")
        self.policies.bodies[domain + ".plain"] = body

    def start(self, forge):
        root, anchor = self.zones.keys(".")
        signed, signed_ds = self.zones.keys("signed.")
        forged, forged_ds = self.zones.keys("forged.")
        self.zones.add("signed.", self.records["signed."], signed)
        self.zones.add("forged.", self.records["forged."], forged, change=forge)
        self.zones.add("plain.", self.records["plain."])
        self.zones.add(".", "signed. NS ns.test.\nforged. NS ns.test.\nplain. NS ns.test.\n" + signed_ds + "\n" + forged_ds, root)
        path = os.path.join(self.zones.dir, "anchor")
        with open(path, "w") as f:
            f.write(anchor + "\n")
        self.zones.start()
        self.suite = Suite({**SETTINGS, "dns_zones": [f". {self.zones.address}"], "trust_anchor_file": path,
                            "smtp_port": self.port, "tls_ca_file": self.ca.file, "mta_sts_port": self.policies.port}, users=["anna"])

    def close(self):
        if self.suite:
            self.suite.end()
        for s in self.servers.values():
            s.end()
        for x in (self.policies, self.zones, self.ca):
            x.close()


@pytest.fixture(scope="module")
def world():
    same_day(100 * patience())
    w = World()
    ca = w.ca
    good = ca.issue("mx-ee.signed")
    w.host("signed", "ee", good, [good.tlsa(3, 1, 1)])
    w.host("signed", "ta", ca.issue("mx-ta.signed"), [ca.certificate.tlsa(2, 0, 1)])
    old = ca.issue("old.elsewhere", expired=True, self_signed=True)
    w.host("signed", "old", old, [old.tlsa(3, 1, 1)])
    w.host("signed", "mismatch", ca.issue("mx-mismatch.signed"), [good.tlsa(3, 1, 1)])
    w.host("signed", "waived", ca.issue("mx-waived.signed"), [good.tlsa(3, 1, 1)])
    w.host("signed", "noname", ca.issue("other.signed"), [ca.certificate.tlsa(2, 0, 1)])
    w.host("signed", "notls", None, [good.tlsa(3, 1, 1)])
    w.host("signed", "nodane", ca.issue("other.signed"))
    w.host("signed", "unusable", ca.issue("other.signed"), ["0 0 1 " + "00" * 32])
    w.records["signed."] += "alias MX 10 mx-alias\nmx-alias CNAME mx-ee\n"
    # MX records that are signed lead out of the zone: DANE is asked about where it can be
    w.records["signed."] += "out MX 10 mx-nodane.plain.\nlent MX 10 mx-lent\nmx-lent CNAME mx-lent.plain.\n"
    w.records["signed."] += f"_{w.port}._tcp.mx-lent TLSA {good.tlsa(3, 1, 1)}\n"
    w.host("plain", "lent", good)
    w.host("plain", "nodane", ca.issue("other.plain"), [good.tlsa(3, 1, 1)])
    w.records["plain."] += "hosted MX 10 mx-mismatch.signed.\n"		# not signed: its hosts' TLSA records prove nothing
    forged = ca.issue("mx-www.forged")
    w.host("forged", "www", forged, ["3 1 1 " + "ab" * 32])
    for name, certificate in (("enforce", "mx-enforce.plain"), ("wild", "mx-wild.plain"), ("bad", "other.plain"),
                              ("stranger", "mx-stranger.plain"), ("testing", "other.plain"), ("none", "other.plain"),
                              ("down", "other.plain"), ("short", "mx-short.plain")):
        w.host("plain", name, ca.issue(certificate))
        w.announce(name)
    w.publish("enforce", policy("enforce", "mx-enforce.plain"))
    w.publish("wild", policy("enforce", "*.plain"))
    w.publish("bad", policy("enforce", "mx-bad.plain"))
    w.publish("stranger", policy("enforce", "mx-enforce.plain"))
    w.publish("testing", policy("testing", "mx-enforce.plain"))
    w.publish("none", policy("none"))
    w.publish("short", policy("enforce", "mx-enforce.plain", max_age=3))
    w.start({"ab" * 32: "cd" * 32})
    yield w
    w.close()


def relay(world, domain, name="u"):
    """The line of the log that says what became of a message to it."""
    address = f"{name}{time.monotonic_ns()}@{domain}"
    world.suite.send(address)
    return world.suite.wait_log(rf"to=<{address}>.*", 60)[0]


DELIVERED = [
    ("ee.signed", "dane-ee"), ("ta.signed", "dane-ta"), ("old.signed", "dane-ee"), ("alias.signed", "dane-ee"),
    ("nodane.signed", "untrusted"), ("unusable.signed", "untrusted"), ("out.signed", "untrusted"), ("lent.signed", "dane-ee"),
    ("nodane.plain", "untrusted"), ("hosted.plain", "ca"), ("enforce.plain", "sts"), ("wild.plain", "sts"),
    ("testing.plain", "untrusted"), ("none.plain", "untrusted"), ("down.plain", "untrusted"),
]


@pytest.mark.parametrize("domain,proof", DELIVERED)
def test_delivered(world, domain, proof):
    line = relay(world, domain)
    assert "status=delivered" in line and re.search(rf"tls=TLSv1\.3 \S+ {proof} ", line), line


DEFERRED = [
    ("mismatch.signed", r"4\.7\.5 .*as is wanted by TLSA records of mx-mismatch\.signed: no matching DANE TLSA records"),
    ("noname.signed", r"4\.7\.5 .*as is wanted by TLSA records of mx-noname\.signed: hostname mismatch"),
    ("notls.signed", r"4\.7\.4 .*does not offer STARTTLS"),
    ("www.forged", r"4\.7\.5 .*the TLSA records of mx-www\.forged cannot be looked up"),
    ("bad.plain", r"4\.7\.5 .*as is wanted by the MTA-STS policy of bad\.plain: hostname mismatch"),
    ("stranger.plain", r"4\.7\.5 .*the MTA-STS policy of stranger\.plain does not name mx-stranger\.plain"),
]


@pytest.mark.parametrize("domain,words", DEFERRED)
def test_deferred(world, domain, words):
    """It waits, and nothing of it was said to whoever is there."""
    server = world.servers[domain]
    before, mails = len(server.sessions), len(server.mails)
    line = relay(world, domain)
    assert "status=deferred" in line and re.search(words, line), line
    assert len(server.mails) == mails
    for i in range(before, len(server.sessions)):
        assert not {"MAIL", "RCPT", "DATA", "BDAT"} & set(server.verbs(i))


def test_not_required(world):
    """TLS-Required: No, RFC 8689: by SMTP and from a user of this host; also while all other mail for that next hop waits."""
    server = world.servers["waived.signed"]

    def sent(word, sendmail=False):
        text = f"Subject: {word}\r\nTLS-Required: No\r\n\r\nx\r\n"
        if sendmail:
            subprocess.run([os.path.join(world.suite.build, "bin", "sendmail"), "-C", world.suite.conf, "u@waived.signed"],
                           input=text.replace("\r\n", "\n").encode(), env=world.suite.environment(), check=True)
        else:
            world.suite.send("u@waived.signed", text)
        wait_for(lambda: any(b"Subject: " + word.encode() in m.data for m in server.mails), 60 * patience(), why=world.suite.log)
    sent("first")
    sent("second", sendmail=True)
    world.suite.wait_log(r"to=<u@waived\.signed> .*tls=TLSv1\.3 \S+ ca ")
    line = relay(world, "waived.signed")
    assert "status=deferred" in line and "4.7.5" in line, line
    world.suite.wait_log(r"next hop waived\.signed: down")
    sent("third")
    world.suite.send("other@waived.signed")
    sent("fourth")
    assert len(server.mails) == 4 and "next hop waived.signed: it answers again" not in world.suite.log()
    assert len([f for f in world.suite.queue_files("down")]) >= 2


def test_counts(world):
    relay(world, "ee.signed")
    status = {s["service"]: s for s in world.suite.hermod_json("status")}
    assert re.search(r", tls clear=0 untrusted=\d+ ca=\d+ sts=\d+ dane-ta=\d+ dane-ee=[1-9]\d* refused=\d+ testing=\d+",
                     status["smtp-client"]["confined"]), status["smtp-client"]


def counted(world, domain, *options):
    """{type: (good, failed, {result type: how often})} of what hermod tls says of a policy domain."""
    out = {}
    for line in world.suite.hermod_json("tls", *options, domain):
        p, s = line["policy"], line["summary"]
        assert p["policy-domain"] == domain and line["day"] == time.strftime("%Y-%m-%d", time.gmtime())
        failures = {}
        for f in line["failure-details"]:
            failures[f["result-type"]] = failures.get(f["result-type"], 0) + f["failed-session-count"]
        out[p["policy-type"]] = (s["total-successful-session-count"], s["total-failure-session-count"], failures)
    return out


REPORTED = [
    # next hop, policy domain, type, what was wrong
    ("ee.signed", "mx-ee.signed", "tlsa", None), ("mismatch.signed", "mx-mismatch.signed", "tlsa", "certificate-not-trusted"),
    ("noname.signed", "mx-noname.signed", "tlsa", "certificate-host-mismatch"), ("notls.signed", "mx-notls.signed", "tlsa", "starttls-not-supported"),
    ("unusable.signed", "mx-unusable.signed", "tlsa", "tlsa-invalid"), ("www.forged", "mx-www.forged", "tlsa", "dnssec-invalid"),
    ("nodane.signed", "nodane.signed", "no-policy-found", None), ("enforce.plain", "enforce.plain", "sts", None),
    ("bad.plain", "bad.plain", "sts", "certificate-host-mismatch"), ("stranger.plain", "stranger.plain", "sts", "validation-failure"),
    ("testing.plain", "testing.plain", "sts", "validation-failure"), ("none.plain", "none.plain", "no-policy-found", None),
    ("down.plain", "down.plain", "sts", "sts-webpki-invalid"),
]


@pytest.mark.parametrize("domain,policy_domain,kind,result", REPORTED)
def test_reported(world, domain, policy_domain, kind, result):
    """RFC 8460: of the day, by policy domain, what became of the session. A next hop that is down is not tried again."""
    if kind not in counted(world, policy_domain):
        relay(world, domain)
    wait_for(lambda: kind in counted(world, policy_domain), 10 * patience(), step=0.2, why=lambda: counted(world, policy_domain))
    good, failed, failures = counted(world, policy_domain)[kind]
    assert (good > 0) == (result is None) and failed == sum(failures.values()) and set(failures) == ({result} if result else set())


def test_reports_hold_over_a_restart(world):
    def good():
        return counted(world, "mx-ee.signed").get("tlsa", (0,))[0]
    time.sleep(0.5)                             # tls_report_interval: what other tests did is counted
    before = good() + 1
    relay(world, "ee.signed")
    wait_for(lambda: good() == before, 10 * patience(), step=0.2, why=lambda: f"{good()}, not {before}")
    world.suite.restart()
    assert counted(world, "mx-ee.signed")["tlsa"][0] == before
    relay(world, "ee.signed")
    wait_for(lambda: counted(world, "mx-ee.signed")["tlsa"][0] == before + 1, 10 * patience(), step=0.2)
    world.suite.reload()
    relay(world, "ee.signed")
    wait_for(lambda: counted(world, "mx-ee.signed")["tlsa"][0] == before + 2, 10 * patience(), step=0.2)


def test_hermod_tls(world):
    """As RFC 8460 section 4.4 has it; for people; and what is no day, or was never one."""
    relay(world, "enforce.plain")
    wait_for(lambda: counted(world, "enforce.plain"), 10 * patience(), step=0.2)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    line, = [x for x in world.suite.hermod_json("tls", "--day", today, "enforce.plain") if x["policy"]["policy-type"] == "sts"]
    assert line["policy"]["policy-string"] == ["version: STSv1", "mode: enforce", "mx: mx-enforce.plain", "max_age: 86400"]
    assert line["policy"]["mx-host"] == ["mx-enforce.plain"] and line["failure-details"] == []
    text = world.suite.hermod("tls").stdout
    assert re.search(rf"^{today}\s+enforce\.plain\s+sts\s+\d+\s+0", text, re.M), text
    assert world.suite.hermod("tls", "--day", "2001-01-01", check=False).returncode == 1
    for wrong in (["--day", "today"], ["--day"], ["a", "b"], ["--what"]):
        assert world.suite.hermod("tls", *wrong, check=False).returncode == 64
    assert world.suite.hermod("tls", "nosuch.test").stdout.count("\n") == 1


def test_policy_expires(world):
    """A policy that was not fetched again ends with its time; and then mail goes again."""
    assert "status=deferred" in relay(world, "short.plain")
    world.publish("short", "gone")
    fetched = world.suite.wait_log(r"the MTA-STS policy of short\.plain was fetched")
    assert fetched
    time.sleep(4.5)
    # The next hop is down for an hour; its time is now.
    world.suite.hermod("queue", "flush")
    world.suite.wait_log(r"the MTA-STS policy of short\.plain has expired", 30)
    world.suite.wait_log(r"to=<u\d+@short\.plain>.*status=delivered", 30)


def test_policies_hold_over_a_restart(world):
    """With its host gone, and fetch begun anew, a policy that was fetched once is still in force."""
    assert "status=delivered" in relay(world, "enforce.plain")
    asked = world.policies.asked.count("enforce.plain")
    before = world.suite.pids("fetch")
    assert world.suite.kill("fetch") == 1
    wait_for(lambda: world.suite.pids("fetch") and world.suite.pids("fetch") != before, 20 * patience())
    line = relay(world, "enforce.plain")
    assert re.search(r"tls=TLSv1\.3 \S+ sts ", line) and world.policies.asked.count("enforce.plain") == asked, line


def test_fetch_hangs(world):
    """Mail waits for it no longer than it may take."""
    import signal
    world.suite.kill("fetch", signal.SIGSTOP)
    try:
        started = time.monotonic()
        line = relay(world, "nodane.plain")
        assert "status=delivered" in line and time.monotonic() - started < 30 * patience(), line
    finally:
        world.suite.kill("fetch", signal.SIGCONT)
