# SPDX-License-Identifier: ISC
"""
hermod dns check, against zones of exactly what hermod setup printed, signed, and served by NSD: all of it is right; and each
record that is missing, or another one, is found.
"""
import json
import os
import re
import shutil
import subprocess
import time

import pytest

from hermodtest.certificates import EC, Authority, openssl
from hermodtest.dns import Reply, Server, Zones
from hermodtest.suite import SERVICE_UIDS, Suite, build_dir, patience

HERMOD = os.path.join(build_dir(), "bin", "hermod")
DOMAIN, HOST = "setup.test", "mail.setup.test"
FOUR, SIX = "192.0.2.25", "2001:db8::25"


def printed(folder, *args):
    """What setup prints for the DNS: lines of a zone file."""
    users = ["--uid-base", str(SERVICE_UIDS)] if os.geteuid() == 0 else []
    r = subprocess.run([HERMOD, "setup", DOMAIN, "--directory", folder, "--port-base", "2000", "--address", FOUR, "--address", SIX,
                        *users, "--yes", *args], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 0, r.stderr
    return [line for line in r.stdout.splitlines() if line.startswith(";") or re.match(r"\S+\. \d+ IN ", line)]


# ---- a domain for each record that is wrong ---------------------------------------------------------------------

# What a record is replaced by: (name begins with, type) -> what in it, by what.
WRONG = [
    ("", "MX", "10 mail.", "10 other.", "its mail does not go to"),
    ("", "TXT", "v=spf1 mx ~all", "v=spf1 a:other.test ~all", "it does not say that this host may send"),
    ("_dmarc.", "TXT", "p=none", "p=maybe", "it has no policy"),
    ("_smtp._tls.", "TXT", "rua=mailto:", "rua=", "it names nobody to be told"),
    ("_submissions._tcp.", "SRV", "mail.", "other.", "mail programs would look elsewhere"),
    ("_submission._tcp.", "SRV", "2587", "587", "mail programs would look elsewhere"),
    ("_imaps._tcp.", "SRV", "mail.", "other.", "mail programs would look elsewhere"),
    ("_imap._tcp.", "SRV", "2143", "143", "mail programs would look elsewhere"),
    ("_pop3s._tcp.", "SRV", "mail.", "other.", "mail programs would look elsewhere"),
    ("_pop3._tcp.", "SRV", "2110", "110", "mail programs would look elsewhere"),
    ("mail.", "A", FOUR, "192.0.2.66", "192.0.2.66 is no address of this host"),
    ("mail.", "AAAA", SIX, "2001:db8::66", "2001:db8::66 is no address of this host"),
    ("mail.", "TXT", "v=spf1 a -all", "v=spf1 a +all", "it lets anybody send in its name"),
    ("_25._tcp.mail.", "TLSA", "3 1 1 ", "3 1 1 00", "no key of this host is named"),
]


def names(i, how):
    return f"{how}{i}.test"


class World:
    """A root that is signed, and the domains below it; a suite whose resolver asks it."""

    def __init__(self, zones, suite, folder):
        self.zones, self.suite, self.folder = zones, suite, folder

    def conf(self, domain, **more):
        """Another configuration of the same resolver: that of a host of this domain, with setup's certificate."""
        path = os.path.join(self.folder, f"{domain}.conf")
        own = open(os.path.join(self.folder, "mail", "etc", "hermod.conf")).read().replace(DOMAIN, domain)
        own = re.sub(r"(?m)^run_directory.*$", f'run_directory = "{self.suite.dir}/run"', own)
        own = re.sub(r"(?m)^tls_certificates.*$", f'tls_certificates = {{"{self.pem}:{self.key}"}}', own)
        for name, value in more.items():
            own = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", own)
        with open(path, "w") as f:
            f.write(own)
        return path

    def run(self, domain, *args, status=None, addresses=(FOUR, SIX), **more):
        r = subprocess.run([HERMOD, "-c", self.conf(domain, **more), *args, *sum([["--address", a] for a in addresses], [])], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        assert status is None or r.returncode == status, (r.stdout, r.stderr)
        return r

    def check(self, domain, *args, **how):
        """{(name, type): what was found}."""
        out = self.run(domain, "--json", "dns", "check", *args, **how).stdout
        found = [json.loads(line) for line in out.splitlines()]
        assert len({(f["name"], f["type"]) for f in found}) == len(found)
        return {(f["name"], f["type"]): f for f in found}


def reverse_zone(lines):
    """The names of addresses, which setup prints as comments."""
    return [line[2:] for line in lines if " PTR " in line]


@pytest.fixture(scope="module")
def world():
    folder = os.path.realpath(subprocess.run(["mktemp", "-d", "/tmp/hermod-dns-check-XXXXXX"], text=True, stdout=subprocess.PIPE,
                                             check=True).stdout.strip())
    os.chmod(folder, 0o755)
    z = Zones()
    lines = printed(os.path.join(folder, "mail"))
    zone = "\n".join(lines)
    root, anchor = z.keys(".")
    below, delegated = [], []

    def add(name, text, signed=True, **how):
        key, ds = z.keys(name + ".") if signed else (None, None)
        z.add(name + ".", text, key, **how)
        delegated.append(f"{name}. NS ns.test.")
        below.append(ds)
    add(DOMAIN, zone)
    add("plain.test", zone.replace(DOMAIN, "plain.test"), signed=False)
    add("bogus.test", zone.replace(DOMAIN, "bogus.test"), change={"10 mail.bogus.test": "10 evil.bogus.test"})
    add("empty.test", "")
    for i, (name, kind, before, after, _) in enumerate(WRONG):
        for how in ("lacks", "wrong"):
            domain = names(i, how)
            own = zone.replace(DOMAIN, domain).splitlines()
            at, = [n for n, line in enumerate(own) if line.startswith(f"{name}{domain}. ") and f" IN {kind} " in line]
            assert before in own[at].replace(domain, "", 1)
            head, data = own[at].split(f" IN {kind} ")
            changed = f"{head} IN {kind} {data.replace(before, after, 1)}"
            own[at] = "" if how == "lacks" else changed[:-2] if kind == "TLSA" else changed
            add(domain, "\n".join(own))
    add("twice.test", zone.replace(DOMAIN, "twice.test") + '\ntwice.test. TXT "v=spf1 -all"\n')
    add("alias.test", re.sub(r"(?m)^mail\.alias\.test\. .*$", "", zone.replace(DOMAIN, "alias.test"))
        + "\nmail.alias.test. CNAME mail.setup.test.\n")
    add("more.test", zone.replace(DOMAIN, "more.test")
        + '\nmore.test. MX 20 backup.more.test.\nmore.test. TXT "site-verification=1"\n_25._tcp.mail.more.test. TLSA 3 1 1 ' + "ab" * 32 + "\n")
    # Two addresses have right names; of the others one has another name, and one a name that does not lead back.
    ptr = reverse_zone(lines)
    add("2.0.192.in-addr.arpa", "\n".join(line for line in ptr if "in-addr" in line)
        + "\n26.2.0.192.in-addr.arpa. PTR host26.provider.test.\n28.2.0.192.in-addr.arpa. PTR mail.setup.test.\n")
    add("8.b.d.0.1.0.0.2.ip6.arpa", "\n".join(line for line in ptr if "ip6" in line), signed=False)
    z.add(".", "\n".join(delegated + [ds for ds in below if ds]), root)
    z.anchor = os.path.join(z.dir, "anchor")
    with open(z.anchor, "w") as f:
        f.write(anchor + "\n")
    z.start()
    suite = Suite({"dns_zones": [f". {z.address}"], "trust_anchor_file": z.anchor}, users=())
    w = World(z, suite, folder)
    etc = os.path.join(folder, "mail", "etc", "tls")
    w.pem, w.key, w.lines = f"{etc}/{HOST}.pem", f"{etc}/{HOST}.key", lines
    yield w
    suite.end()
    z.close()
    shutil.rmtree(folder)


# ---- all of it is right -------------------------------------------------------------------------------------------

ALL = {(f"{p}{DOMAIN}", t) for p, t, *_ in WRONG} | {
    ("25.2.0.192.in-addr.arpa", "PTR"),
    ("5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "PTR")}


def states(found):
    return {key: f["state"] for key, f in found.items()}


def test_what_setup_printed_is_right(world):
    found = world.check(DOMAIN, status=0)
    assert states(found) == dict.fromkeys(ALL, "right"), found
    assert all(f["published"] == f["right"] for f in found.values())
    assert {f["dnssec"] for key, f in found.items() if key[1] != "PTR"} == {"secure"}
    text = world.run(DOMAIN, "dns", "check", status=0).stdout
    assert "All 16 are right." in text and re.search(rf"^right +{DOMAIN} +MX +secure +10 {HOST}$", text, re.M), text


def test_records_prints_the_same(world):
    assert world.run(DOMAIN, "dns", "records", status=0).stdout.splitlines() == world.lines


def test_addresses_that_are_not_public_are_said(world):
    found = world.check(DOMAIN)
    assert "192.0.2.25 is not public, but for examples" in found[(HOST, "A")]["why"]
    assert "2001:db8::25 is not public, but for examples" in found[(HOST, "AAAA")]["why"]


# ---- each that is not -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("i", range(len(WRONG)), ids=[f"{w[0]}{w[1]}" for w in WRONG])
def test_missing(world, i):
    domain, (name, kind, *_) = names(i, "lacks"), WRONG[i]
    found = world.check(domain, status=1)
    one = found[(name + domain, kind)]
    assert one["state"] == "missing" and one["published"] == [] and one["right"]
    text = world.run(domain, "dns", "check", status=1).stdout
    assert re.search(rf"^missing +{re.escape(name + domain)} +{kind} +secure +should be: {re.escape(one['right'][0])}", text, re.M), text
    others = {key: f["state"] for key, f in found.items() if key != (name + domain, kind) and key[1] != "PTR"}
    assert set(others.values()) == {"right"}, others


@pytest.mark.parametrize("i", range(len(WRONG)), ids=[f"{w[0]}{w[1]}" for w in WRONG])
def test_different(world, i):
    domain, (name, kind, before, after, why) = names(i, "wrong"), WRONG[i]
    found = world.check(domain, status=1)
    one = found[(name + domain, kind)]
    assert one["state"] == "different" and one["why"].startswith(why), one
    assert len(one["published"]) == 1 and one["published"] != one["right"]
    assert f"is: {one['published'][0]}; should be: {one['right'][0]}" in world.run(domain, "dns", "check", status=1).stdout
    others = {key: f["state"] for key, f in found.items() if key != (name + domain, kind) and key[1] != "PTR"}
    assert set(others.values()) == {"right"}, others


def test_nothing_is_there(world):
    found = world.check("empty.test", status=1)
    assert set(f["state"] for key, f in found.items() if key[1] != "PTR") == {"missing"}
    assert "0 of 16 are right" in world.run("empty.test", "dns", "check", status=1).stdout


def test_without_dnssec(world):
    """All but the TLSA record, which counts for nothing."""
    found = world.check("plain.test", status=1)
    got = {key: f for key, f in found.items() if key[1] != "PTR"}
    assert {key for key, f in got.items() if f["state"] != "right"} == {("_25._tcp.mail.plain.test", "TLSA")}
    assert got["_25._tcp.mail.plain.test", "TLSA"]["state"] == "insecure" and {f["dnssec"] for f in got.values()} == {"insecure"}
    assert not [key for key in world.check("plain.test", "--unsigned") if key[1] == "TLSA"]


def test_forged(world):
    found = world.check("bogus.test", status=1)
    assert found["bogus.test", "MX"]["state"] == "not sure" and found["bogus.test", "MX"]["dnssec"] == "bogus"
    assert "evil" not in str(found["bogus.test", "MX"])
    assert found["bogus.test", "TXT"]["state"] == "right"


def test_two_policies(world):
    assert world.check("twice.test", status=1)["twice.test", "TXT"]["why"].startswith("there are several, and none of them counts")


def test_host_that_is_an_alias(world):
    found = world.check("alias.test", status=1)
    assert "an alias (CNAME) of mail.setup.test" in found["mail.alias.test", "A"]["why"]


def test_more_than_is_wanted_is_right(world):
    found = world.check("more.test")
    assert set(f["state"] for key, f in found.items() if key[1] != "PTR") == {"right"}
    assert found["more.test", "TXT"]["published"] == ['"v=spf1 mx ~all"'] and len(found["more.test", "MX"]["published"]) == 2


def test_names_of_addresses(world):
    found = world.check(DOMAIN, status=1, addresses=(FOUR, "192.0.2.26", "192.0.2.27", "192.0.2.28"))
    ptr = {int(key[0].split(".")[0]): f for key, f in found.items() if key[1] == "PTR"}
    assert {n: f["state"] for n, f in ptr.items()} == {25: "right", 26: "different", 27: "missing", 28: "different"}
    assert ptr[26]["published"] == ["host26.provider.test"] and ptr[26]["right"] == [HOST]
    assert "does not lead back" in ptr[28]["why"] and ptr[28]["published"] == [HOST]
    assert "192.0.2.26 is missing" in found[HOST, "A"]["why"]
    assert found[HOST, "AAAA"]["state"] == "different"		# an address that was not said to be this host's


def test_whose_addresses_they_are_cannot_be_known(world):
    """No interface here has them, and perhaps none has a public one."""
    found = world.check(DOMAIN, status=1, addresses=())
    assert found[HOST, "A"]["state"] in ("not sure", "different") and found[HOST, "A"]["published"] == [FOUR]
    assert "address" in found[HOST, "A"]["why"]


def test_another_key(world):
    """The certificate is a new one, and the DNS has that of the old."""
    ca = Authority()
    try:
        new = ca.issue(HOST)
        conf = f'{{"{new.chain}:{new.key}"}}'
        one = world.check(DOMAIN, status=1, tls_certificates=conf)[f"_25._tcp.{HOST}", "TLSA"]
        assert one["state"] == "different" and one["right"] == [new.tlsa(3, 1, 1)]
        both = f'{{"{world.pem}:{world.key}", "{new.chain}:{new.key}"}}'
        one = world.check(DOMAIN, status=1, tls_certificates=both)[f"_25._tcp.{HOST}", "TLSA"]
        assert one["state"] == "different" and one["why"].startswith("a key of this host is not named")
        bare = os.path.join(ca.folder, "bare")			# it has its name in its subject alone: nobody is shown it
        openssl("req", "-x509", *EC, "-keyout", bare + ".key", "-out", bare + ".pem", "-subj", f"/CN={HOST}")
        both = f'{{"{bare}.pem:{bare}.key", "{world.pem}:{world.key}"}}'
        assert world.check(DOMAIN, tls_certificates=both)[f"_25._tcp.{HOST}", "TLSA"]["state"] == "right"
    finally:
        ca.close()


def test_no_certificate(world):
    """Then there is no TLS, and who keeps to a TLSA record would send nothing."""
    found = world.check(DOMAIN, status=1, tls_certificates="{}")
    assert found[f"_25._tcp.{HOST}", "TLSA"]["state"] == "different"
    assert not [key for key in found if key[1] == "SRV"]
    assert ("_25._tcp.mail.empty.test", "TLSA") not in world.check("empty.test", status=1, tls_certificates="{}")


# ---- several domains, and wrong use ------------------------------------------------------------------------------------

def test_each_of_local_domains(world):
    found = world.check(DOMAIN, status=1, local_domains='{"setup.test", "empty.test", "xn--bcher-kva.test"}')
    assert found[DOMAIN, "MX"]["state"] == "right" and found["empty.test", "MX"]["state"] == "missing"
    assert ("xn--bcher-kva.test", "MX") in found
    assert (HOST, "TXT") in found
    found = world.check(DOMAIN, DOMAIN, status=0, local_domains='{"setup.test", "empty.test"}')
    assert ("empty.test", "MX") not in found


def test_the_host_is_a_domain_too(world):
    found = world.check(DOMAIN, local_domains='{"setup.test", "mail.setup.test"}')
    assert found[HOST, "TXT"]["right"] == ['"v=spf1 mx ~all"']
    found = world.check(DOMAIN, local_domains="{}")
    assert (HOST, "MX") in found and (DOMAIN, "MX") not in found


def test_a_domain_that_is_not_taken_mail_for(world):
    r = world.run(DOMAIN, "dns", "check", "bücher.test", status=1)
    assert "xn--bcher-kva.test is not in local_domains" in r.stderr and "xn--bcher-kva.test" in r.stdout


@pytest.mark.parametrize("args, status, says", [
    (["check", "a b"], 64, "right would be like example.org"), (["check", "a.test", "b.test"], 64, "usage: hermod dns"),
    (["check", "--address"], 64, "usage: hermod dns"), (["check", "--address", "x"], 64, "not an address"), (["check", "--nonsense"], 64, "usage"),
    (["records", "--unsigned"], 64, "usage"), (["nonsense"], 64, "usage"), ([], 64, "usage")])
def test_wrong_use(world, args, status, says):
    assert says in world.run(DOMAIN, "dns", *args, status=status, addresses=()).stderr


def test_without_a_host_name(world):
    assert "hostname is not set" in world.run(DOMAIN, "dns", "records", status=78, hostname='"localhost.localdomain"').stderr


def test_certificate_that_cannot_be_read(world):
    assert "No such file" in world.run(DOMAIN, "dns", "records", status=78, tls_certificates='{"/nonexistent/a.pem:/nonexistent/a.key"}').stderr


def test_it_does_not_run(world):
    assert "Hermod does not run" in world.run(DOMAIN, "dns", "check", status=69, run_directory='"/nonexistent"').stderr


# ---- servers that do not answer, and odd answers ---------------------------------------------------------------------------

def test_no_answer_is_not_no(make_suite):
    server = Server()
    try:
        s = make_suite(users=(), dns_forwarders=[server.address], dns_insecure=["."], dns_timeout="1s")
        server.answers[s.domain, "MX"] = Reply(silent=True)
        server.add(s.domain, "TXT", b"\x07v=spf1 \x06\x1b]0;x\x07", "v=spf1 mx ~all")
        server.add(s.hostname, "A", "127.0.0.1")
        r = s.hermod("dns", "check", check=False)
        assert r.returncode == 1 and "\x1b" not in r.stdout
        assert re.search(rf"^not sure +{s.domain} +MX +- +\(failed: ", r.stdout, re.M), r.stdout
        assert re.search(rf"^different +{s.domain} +TXT .*\\027\]0;x\\007.*several", r.stdout, re.M), r.stdout
        assert "127.0.0.1" in r.stdout
    finally:
        server.close()


def test_all_are_asked_at_once(make_suite):
    """Servers that say nothing: it ends when one question's time is over, not that of all."""
    server = Server()
    try:
        s = make_suite(users=(), dns_forwarders=[server.address], dns_insecure=["."], dns_timeout="2s")
        server.reply = lambda packet, tcp: None
        start = time.monotonic()
        r = s.hermod("dns", "check", check=False)
        assert r.returncode == 1 and time.monotonic() - start < 12 * patience()
        assert len(re.findall(r"^not sure ", r.stdout, re.M)) >= 4, r.stdout
    finally:
        server.close()
