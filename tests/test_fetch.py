# SPDX-License-Identifier: ISC
"""
fetch against HTTPS servers that are good, bad and strange: which policy is told, what is kept, for how long. The process is
alone here (hermodtest/alone.py): the test is smtp-client and the resolver.
"""
import os
import shutil
import socket
import struct
import tempfile
import time

import pytest

from hermodtest.alone import Alone
from hermodtest.policy_host import PolicyHost, policy
from hermodtest.proc import same_day, wait_for
from hermodtest.suite import patience

UNKNOWN, NO_POLICY, POLICY = range(3)
NONE, TESTING, ENFORCE = range(3)
FAILED, FOUND, NO_DATA, NO_NAME, BOGUS = range(5)
TYPES = {1: "A", 16: "TXT", 28: "AAAA"}
NO_POLICY_FOUND, TLSA, STS = range(3)
GOOD, STARTTLS_NOT_SUPPORTED, DANE_REQUIRED = 0, 1, 8


class Answer:
    def __init__(self, m):
        self.result, self.mode, self.id, self.why = m["result"], m["mode"], m["id"].decode(), m["why"].decode()
        self.mx, run = [], m["mx"]
        while run:
            n = struct.unpack_from("<I", run)[0]
            self.mx.append(run[4:4 + n].decode())
            run = run[4 + n:]

    def __repr__(self):
        return f"{self.result} mode={self.mode} id={self.id} mx={self.mx} {self.why!r}"


class Fetch(Alone):
    def __init__(self, ca, host, directory, env=None, reports=None, **settings):
        """zone: {(name, type): [values] or a DNS_ result, or None for no answer}"""
        self.zone, self.questions = {}, []
        super().__init__("fetch", {"tls_ca_file": ca, "mta_sts_port": host.port, "smtp_allow_loopback": True,
                                   "mta_sts_timeout": f"{5 * patience()}s", **settings},
                         asks={"resolver": self.resolve}, asked_by=["smtp-client"],
                         files={name: d for name, d in (("mta_sts_directory", directory), ("tls_report_directory", reports)) if d},
                         env=env)

    def resolve(self, _, m):
        asked, kind = m["name"].decode(), TYPES.get(m["type"])
        self.questions.append((asked, kind))
        known = self.zone.get((asked, kind), NO_DATA)
        if known is None:
            return None
        answer = {"result": known if isinstance(known, int) else FOUND, "ttl": 60, "name": asked}
        if answer["result"] in (FAILED, BOGUS):
            answer["why"] = "the test says so"
        if isinstance(known, list):
            data = [socket.inet_pton(socket.AF_INET, v) if kind == "A" else socket.inet_pton(socket.AF_INET6, v)
                    if kind == "AAAA" else bytes([len(v)]) + v.encode() for v in known]
            answer["records"] = b"".join(struct.pack("<I", len(d)) + d for d in data)
        return "dns_answer", answer

    def publish(self, domain, id="1", address="127.0.0.1"):
        self.zone["_mta-sts." + domain, "TXT"] = [f"v=STSv1; id={id};"]
        self.zone["mta-sts." + domain, "A"] = [address]

    def see(self, domain="d.test", type=NO_POLICY_FOUND, result=GOOD, **how):
        self.channels["smtp-client"].send("tls_seen", domain=domain, type=type, result=result, **how)

    def begin(self, domain):
        return self.ask("smtp-client", "sts_ask", domain=domain)

    def get(self, domain, timeout=20):
        return Answer(self.answer(self.begin(domain), timeout))


@pytest.fixture
def directory():
    d = tempfile.mkdtemp(prefix="hermod-sts-")
    yield d
    shutil.rmtree(d)


@pytest.fixture
def host():
    h = PolicyHost()
    yield h
    h.close()


@pytest.fixture
def fetch(ca, host, directory):
    made = []

    def make(**settings):
        made.append(Fetch(ca.file, host, settings.pop("directory", directory), **settings))
        return made[-1]
    yield make
    for f in made:
        if f.control.sock.fileno() != -1:
            f.end()


def serve(ca, host, f, domain, body, **how):
    host.certs[domain] = ca.issue(f"mta-sts.{domain}")
    host.bodies[domain] = body
    f.publish(domain, **how)


def kept(directory):
    return sorted(n for n in os.listdir(directory) if len(n) == 64)


# ---- what goes well

def test_policy(ca, host, fetch, directory):
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test", "*.B.test"), id="20261126")
    a = f.get("A.test")
    assert (a.result, a.mode, a.id, a.mx) == (POLICY, ENFORCE, "20261126", ["mx.a.test", "*.b.test"]), a
    assert host.requests[0].startswith("GET /.well-known/mta-sts.txt HTTP/1.1\r\n") and host.hellos == ["mta-sts.a.test"]
    for _ in range(3):
        assert f.get("a.test").result == POLICY
    assert host.asked == ["a.test"], "it is kept"
    assert len(kept(directory)) == 1


@pytest.mark.parametrize("mode,number", [("testing", TESTING), ("none", NONE), ("enforce", ENFORCE)])
def test_modes(ca, host, fetch, mode, number):
    f = fetch()
    serve(ca, host, f, "a.test", policy(mode, "mx.a.test"))
    assert (f.get("a.test").mode, f.get("a.test").result) == (number, POLICY)


def test_no_record(ca, host, fetch):
    f = fetch()
    for record in ([], ["v=STSv1; id=1", "v=STSv1; id=2"], ["v=STSv2; id=1"], ["v=STSv1; broken"]):
        f.zone["_mta-sts.a.test", "TXT"] = record or NO_NAME
        assert f.get("a.test").result == NO_POLICY
    for result in (FAILED, BOGUS):
        f.zone["_mta-sts.a.test", "TXT"] = result
        a = f.get("a.test")
        assert a.result == UNKNOWN and "TXT record cannot be looked up" in a.why
    assert not host.asked


def test_one_fetch_for_many(ca, host, fetch):
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    calls = [f.begin("a.test") for _ in range(50)]
    assert all(Answer(f.answer(c)).result == POLICY for c in calls)
    assert host.asked == ["a.test"]


def test_many_domains(ca, host, fetch):
    """More than may be fetched at one time."""
    f = fetch(mta_sts_timeout="60s")
    cert = ca.issue("mta-sts.d0.test", *[f"mta-sts.d{i}.test" for i in range(1, 80)])
    for i in range(80):
        host.certs[f"d{i}.test"] = cert
        host.bodies[f"d{i}.test"] = policy("enforce", f"mx{i}.test")
        f.publish(f"d{i}.test")
    calls = [f.begin(f"d{i}.test") for i in range(80)]
    for i, c in enumerate(calls):
        a = Answer(f.answer(c, 60))
        assert a.result == POLICY and a.mx == [f"mx{i}.test"], a


def test_second_address(ca, host, fetch):
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    f.zone["mta-sts.a.test", "A"] = ["127.0.0.2", "127.0.0.1"]
    assert f.get("a.test").result == POLICY


def test_ipv6(ca, fetch, directory):
    host = PolicyHost("::1")
    f = Fetch(ca.file, host, directory)
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    f.zone["mta-sts.a.test", "A"] = NO_DATA
    f.zone["mta-sts.a.test", "AAAA"] = ["::1"]
    assert f.get("a.test").result == POLICY
    f.end()
    host.close()


# ---- what cannot be had: as if there were none

def plain(octets):
    return lambda s: s.sendall(octets)


def endless(s):
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nversion: STSv1\r\n")
    for _ in range(100000):
        s.sendall(b"x: " + b"y" * 1000 + b"\r\n")


def endless_header(s):
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
    for i in range(100000):
        s.sendall(b"X-%d: " % i + b"y" * 1000 + b"\r\n")


REDIRECT = b"HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.b.test/.well-known/mta-sts.txt\r\nContent-Length: 0\r\n\r\n"

FAULTS = {
    "redirect": (plain(REDIRECT), "HTTP status 301"),
    "not found": (plain(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"), "HTTP status 404"),
    "html": (plain(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"), "not of type text/plain"),
    "no type": (plain(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "not of type text/plain"),
    "too large": (endless, "it is too large"),
    "too large a header": (endless_header, "header"),
    "cut": (plain(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 200\r\n\r\nversion: STSv1\r\n"), "remaining"),
    "garbage": (plain(b"\x00\xff" * 100), ""),
    "closed": (plain(b""), ""),
    "no policy": (policy("perhaps", "mx.a.test"), "its mode is none of"),
    "slow": (lambda s: time.sleep(300), "tim"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(ca, host, fetch, fault):
    body, words = FAULTS[fault]
    f = fetch(mta_sts_timeout="2s")
    serve(ca, host, f, "a.test", body)
    started = time.monotonic()
    a = f.get("a.test")
    assert a.result == UNKNOWN and time.monotonic() - started < 6 * patience()
    wait_for(lambda: words in f.get("a.test").why, 10 * patience(), why=lambda: f.get("a.test"))
    assert host.asked.count("a.test") == 1, "and it is not asked again at once (RFC 8461 section 3.3)"


def test_size(ca, host, fetch):
    f = fetch()
    body = policy("enforce", "mx.a.test", extra="filler: ")
    serve(ca, host, f, "a.test", body + "x" * (65536 - len(body)))
    assert f.get("a.test").result == POLICY
    serve(ca, host, f, "b.test", body + "x" * (65537 - len(body)))
    assert f.get("b.test").result == UNKNOWN


def test_certificates(ca, other_ca, host, fetch):
    f = fetch()
    certs = {"name": ca.issue("mta-sts.elsewhere.test"), "domain": ca.issue("domain.test"),
             "expired": ca.issue("mta-sts.expired.test", expired=True), "self": ca.issue("mta-sts.self.test", self_signed=True),
             "other": other_ca.issue("mta-sts.other.test"), "deep": ca.issue("*.test"), "wild": ca.issue("*.wild.test")}
    for name, cert in certs.items():
        serve(ca, host, f, f"{name}.test", policy("enforce", "mx.a.test"))
        host.certs[f"{name}.test"] = cert
        assert f.get(f"{name}.test").result == (POLICY if name == "wild" else UNKNOWN), name
    assert host.asked == ["wild.test"], "nothing is asked of whoever is not proven"


def test_cn_only(ca, host, fetch):
    """Matching is performed only against the DNS-ID identifiers (RFC 8461 section 3.3)."""
    f = fetch()
    serve(ca, host, f, "cn.test", policy("enforce", "mx.a.test"))
    host.certs["cn.test"] = ca.issue("mta-sts.cn.test", "other.test")
    assert f.get("cn.test").result == POLICY
    serve(ca, host, f, "cn2.test", policy("enforce", "mx.a.test"))
    host.certs["cn2.test"] = ca.issue("192.0.2.1")
    assert f.get("cn2.test").result == UNKNOWN


@pytest.mark.parametrize("address,allowed", [("127.0.0.1", False), ("169.254.169.254", True), ("0.0.0.0", True)])
def test_addresses(ca, host, fetch, address, allowed):
    """No name leads to this host, or where only this host can mean."""
    f = fetch(smtp_allow_loopback=allowed)
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"), address=address)
    a = f.get("a.test")
    assert a.result == UNKNOWN and "has no address" in a.why
    assert not host.asked


def test_addresses_lame(ca, host, fetch):
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    f.zone["mta-sts.a.test", "A"] = FAILED
    a = f.get("a.test")
    assert a.result == UNKNOWN and a.why == "mta-sts.a.test cannot be looked up"


def test_nobody_there(ca, host, fetch):
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"), address="127.0.0.2")
    assert f.get("a.test").result == UNKNOWN


def test_dns_silent(ca, host, fetch):
    f = fetch(mta_sts_timeout="1s")
    f.zone["_mta-sts.a.test", "TXT"] = None
    started = time.monotonic()
    assert f.get("a.test").result == UNKNOWN
    assert time.monotonic() - started < 5 * patience()


def test_no_ca_file(host, fetch, ca, directory):
    f = Fetch("/nonexistent", host, directory)
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    assert f.get("a.test").result == UNKNOWN and "ca-certificates" in f.log()
    f.end()


@pytest.mark.parametrize("name", ["", "*.a.test", "a..test", "a.test.", "a/b.test", "a test", "a\0b", "a" * 64 + ".test", "@"])
def test_no_domain(ca, host, fetch, name):
    f = fetch()
    a = f.get(name)
    assert a.result == UNKNOWN and a.why == "this is no domain"
    assert not f.questions


# ---- time

def test_retry(ca, host, fetch):
    f = fetch(mta_sts_retry="1h")
    serve(ca, host, f, "a.test", "nothing")
    assert f.get("a.test").result == UNKNOWN
    host.bodies["a.test"] = policy("enforce", "mx.a.test")
    assert f.get("a.test").result == UNKNOWN
    f.publish("a.test", id="2")			# a new version is worth a fetch
    assert f.get("a.test").result == POLICY
    f.end()
    f = fetch(mta_sts_retry="2s")
    serve(ca, host, f, "b.test", "nothing")
    assert f.get("b.test").result == UNKNOWN
    host.bodies["b.test"] = policy("enforce", "mx.a.test")
    wait_for(lambda: f.get("b.test").result == POLICY, 10 * patience())


def test_new_version(ca, host, fetch):
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx1.a.test"))
    assert f.get("a.test").mx == ["mx1.a.test"]
    host.bodies["a.test"] = policy("testing", "mx2.a.test")
    assert f.get("a.test").mx == ["mx1.a.test"]
    f.publish("a.test", id="2")
    a = f.get("a.test")
    assert (a.mx, a.mode, a.id) == (["mx2.a.test"], TESTING, "2")


@pytest.mark.parametrize("how", ["no record", "dns fails", "new, broken", "new, host gone"])
def test_kept_in_force(ca, host, fetch, how):
    """What cannot be had changes nothing of a policy that is kept (RFC 8461 section 3.3)."""
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    assert f.get("a.test").result == POLICY
    if how.startswith("new"):
        f.publish("a.test", id="2")
        host.bodies["a.test"] = "broken"
        if how == "new, host gone":
            f.zone["mta-sts.a.test", "A"] = NO_NAME
    else:
        f.zone["_mta-sts.a.test", "TXT"] = NO_NAME if how == "no record" else FAILED
    for _ in range(2):
        a = f.get("a.test")
        assert a.result == POLICY and a.mx == ["mx.a.test"] and a.id == "1"
        assert (a.why != "") == (how != "no record")


def test_expired(ca, host, fetch, directory):
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test", max_age=3 * patience()))
    assert f.get("a.test").result == POLICY
    f.zone["_mta-sts.a.test", "TXT"] = NO_NAME
    assert f.get("a.test").result == POLICY
    wait_for(lambda: f.get("a.test").result == NO_POLICY, 10 * patience())
    assert kept(directory) == []


def test_max_age_0(ca, host, fetch):
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test", max_age=0))
    assert f.get("a.test").result == POLICY


def test_refresh(ca, host, fetch):
    """Without being asked, whatever the record says (RFC 8461 section 10.2)."""
    f = fetch(mta_sts_refresh="1s")
    serve(ca, host, f, "a.test", policy("enforce", "mx1.a.test"))
    assert f.get("a.test").mx == ["mx1.a.test"]
    f.zone["_mta-sts.a.test", "TXT"] = NO_NAME
    host.bodies["a.test"] = policy("enforce", "mx2.a.test")
    wait_for(lambda: host.asked.count("a.test") > 1, 10 * patience())
    wait_for(lambda: f.get("a.test").mx == ["mx2.a.test"], 10 * patience())


def test_refresh_fails(ca, host, fetch):
    f = fetch(mta_sts_refresh="1s", mta_sts_retry="1s")
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    assert f.get("a.test").result == POLICY
    host.bodies["a.test"] = "broken"
    wait_for(lambda: "warning: the MTA-STS policy of a.test cannot be fetched again" in f.log(), 10 * patience())
    assert f.get("a.test").result == POLICY


def test_refresh_of_none(ca, host, fetch):
    """Nobody is alarmed by the end of a policy that says there is none (section 8.3)."""
    f = fetch(mta_sts_refresh="1s", mta_sts_retry="1s")
    serve(ca, host, f, "a.test", policy("none"))
    assert f.get("a.test").result == POLICY
    host.bodies["a.test"] = "broken"
    wait_for(lambda: host.asked.count("a.test") > 2, 20 * patience())      # what came of the second is known
    assert "warning" not in f.log()


# ---- over a restart

def test_restart(ca, host, fetch, directory):
    f = fetch()
    for domain in ("a.test", "b.test"):
        serve(ca, host, f, domain, policy("enforce", f"mx.{domain}", max_age=3 if domain == "b.test" else 86400))
        assert f.get(domain).result == POLICY
    f.end()
    time.sleep(4.2)                     # seconds are whole
    asked = len(host.asked)
    f = fetch()
    f.zone["_mta-sts.a.test", "TXT"] = FAILED
    a = f.get("a.test")
    assert a.result == POLICY and a.mx == ["mx.a.test"] and a.id == "1"
    assert f.get("b.test").result == NO_POLICY
    assert len(host.asked) == asked and len(kept(directory)) == 1


@pytest.mark.faults
@pytest.mark.parametrize("days", [1, -1])
def test_clock_jumps(ca, host, fetch, directory, days):
    """A policy for a week is in force a day before it was fetched, too: a clock that was set back makes nobody forget it."""
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test", max_age=604800))
    assert f.get("a.test").result == POLICY
    f.end()
    host.bodies["a.test"] = "gone"
    f = fetch(env={"HERMOD_CLOCK_OFFSET": str(days * 86400)})
    f.publish("a.test")
    for _ in range(3):
        a = f.get("a.test")
        assert a.result == POLICY and a.mode == ENFORCE and a.mx == ["mx.a.test"], a
    time.sleep(1)
    assert len(host.asked) <= 3, host.asked          # it is fetched anew, and not again and again


def test_damaged_files(ca, host, fetch, directory):
    f = fetch()
    for i in range(4):
        serve(ca, host, f, f"d{i}.test", policy("enforce", "mx.a.test"))
        assert f.get(f"d{i}.test").result == POLICY
    f.end()
    names = kept(directory)
    paths = [os.path.join(directory, n) for n in names]
    with open(paths[0], "r+b") as file:
        file.seek(120)
        file.write(b"\xff")
    os.truncate(paths[1], 90)
    os.rename(paths[2], os.path.join(directory, "0" * 64))
    open(os.path.join(directory, ".tmp.0123456789abcdef"), "w").close()
    open(os.path.join(directory, "a file of somebody's"), "w").close()
    f = fetch()
    assert f.get("x.test").result == NO_POLICY
    wait_for(lambda: sorted(os.listdir(directory)) == sorted([names[3], "a file of somebody's"]), 5 * patience())
    wait_for(lambda: f.log().count("is damaged; it is removed") == 3, 5 * patience(), why=f.log)


def test_limit(ca, host, fetch, directory):
    f = fetch(mta_sts_cache_limit=3)
    for i in range(4):
        serve(ca, host, f, f"d{i}.test", policy("enforce", "mx.a.test"))
        assert f.get(f"d{i}.test").result == POLICY
        assert f.get("d0.test").result == POLICY		# asked for all the time
    assert len(kept(directory)) == 3
    for i in range(4):
        f.zone[f"_mta-sts.d{i}.test", "TXT"] = NO_NAME
    assert [f.get(f"d{i}.test").result for i in range(4)] == [POLICY, NO_POLICY, POLICY, POLICY]
    f.end()
    f = fetch(mta_sts_cache_limit=2)
    assert f.get("x.test").result == NO_POLICY
    assert len(kept(directory)) == 2


def test_no_directory(ca, host, fetch):
    f = fetch(directory=None)
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    assert f.get("a.test").result == POLICY


def test_directory_full(ca, host, fetch, directory):
    """A policy that cannot be written holds all the same."""
    f = fetch()
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    os.rmdir(directory)
    os.mkdir(directory)				# another one: that of the process is gone
    assert f.get("a.test").result == POLICY
    wait_for(lambda: "cannot be kept" in f.log(), 5 * patience())


def test_stop(ca, host, fetch):
    """Who waits is answered when the suite stops."""
    f = fetch(mta_sts_timeout="60s")
    serve(ca, host, f, "a.test", lambda s: time.sleep(300))
    call = f.begin("a.test")
    wait_for(lambda: host.asked, 10 * patience())
    f.control.send("drain", stop=1)
    assert Answer(f.answer(call)).result == UNKNOWN


# ---- what fails inside

CALLS = {"calloc": "ENOMEM", "realloc": "ENOMEM", "malloc": "ENOMEM", "openat": "EMFILE", "write": "ENOSPC", "fsync": "EIO",
         "renameat": "EIO", "unlinkat": "EIO", "close": "EIO", "socket": "EMFILE"}
MEMORY = ("calloc", "realloc", "malloc")
NTH = {call: ("100", "140", "180", "250", "400") if call in MEMORY else ("1", "1+", "2", "3", "5", "8+", "13", "30", "60")
       for call in CALLS}			# of memory less is needed to start at all


@pytest.mark.faults
@pytest.mark.parametrize("call", CALLS)
def test_nth_failure(ca, host, directory, call):
    """The Nth call of a kind fails, once or from then on: each answer is true, or the process ends (no memory); what is on
    disk is whole."""
    for i in range(3):
        host.certs[f"d{i}.test"] = ca.issue(f"mta-sts.d{i}.test")
        host.bodies[f"d{i}.test"] = policy("enforce", f"mx.d{i}.test", max_age=1 if i == 2 else 86400)
    for nth in NTH[call]:
        f = Fetch(ca.file, host, directory, env={"HERMOD_FAULT": f"fetch:{call}:~{nth}:{CALLS[call]}"})
        died = False
        try:
            for i in range(3):
                f.publish(f"d{i}.test", id=f"{i}x{nth.strip('+')}")
                a = f.get(f"d{i}.test")
                assert a.result == UNKNOWN and a.why or a.mx == [f"mx.d{i}.test"], a
        except (AssertionError, OSError):
            died = call in MEMORY and f.process.wait(10 * patience()) == 1
            if not died:
                raise
        f.end(crash_allowed=died or call in MEMORY)
    f = Fetch(ca.file, host, directory)
    assert f.get("x.test").result == NO_POLICY
    f.end()
    assert "damaged" not in f.log()


# ---- TLS reporting (RFC 8460): what smtp-client has seen

def today(offset=0):
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + offset))


class Reports:
    """The files of tls_report_directory, as lines behind the checksum; read again and again, until they are as they should be."""

    def __init__(self, path):
        self.path = path

    def days(self):
        return sorted(n for n in os.listdir(self.path) if not n.startswith("."))

    def lines(self, day=None):
        try:
            with open(os.path.join(self.path, day or today())) as f:
                return f.read().split("\n")[2:-1]
        except FileNotFoundError:
            return []

    def wait(self, *lines, day=None, further=0):
        want = [f"day {day or today()}", f"further {further}", *lines]
        wait_for(lambda: self.lines(day) == want, 10 * patience(), why=lambda: (self.lines(day), want))


@pytest.fixture
def reports():
    same_day(60 * patience())
    d = tempfile.mkdtemp(prefix="hermod-tls-report-")
    yield Reports(d)
    shutil.rmtree(d)


STS_LINES = "string version: STSv1\nstring mode: enforce\nmx *.d.test\n"
AT_ONCE = {"tls_report_interval": "100ms"}


def test_counted(fetch, reports):
    f = fetch(reports=reports.path, **AT_ONCE)
    for _ in range(3):
        f.see()
    f.see(type=STS, lines=STS_LINES)
    for _ in range(2):
        f.see(type=STS, lines=STS_LINES, result=3, sending="192.0.2.2", receiving="192.0.2.1", mx="mx.d.test", reason="it has expired")
    f.see("c.test", TLSA, GOOD, lines="string 3 1 1 00\n")
    reports.wait("policy tlsa 1 c.test", "string 3 1 1 00", "policy no-policy-found 3 d.test", "policy sts 1 d.test", *STS_LINES.split("\n")[:-1],
                 "failure 2 certificate-expired 192.0.2.2 192.0.2.1 mx.d.test it has expired")
    assert os.stat(os.path.join(reports.path, today())).st_mode & 0o777 == 0o600


def test_reports_survive(fetch, reports):
    """An end, at which all is written; a kill, which costs what was not written yet; and two at a time, as after a reload."""
    f = fetch(reports=reports.path, tls_report_interval="1h")
    f.see()
    f.get("x.test")                     # it has taken what came before
    assert not reports.lines()
    f.end()
    reports.wait("policy no-policy-found 1 d.test")
    f = fetch(reports=reports.path, **AT_ONCE)
    f.see()
    reports.wait("policy no-policy-found 2 d.test")
    f.process.kill()
    f.process.wait()
    f.control.sock.close()
    old, new = fetch(reports=reports.path, **AT_ONCE), fetch(reports=reports.path, **AT_ONCE)
    for n in range(20):
        (old, new)[n % 2].see()
    reports.wait("policy no-policy-found 22 d.test")


def test_reports_of_nonsense(fetch, reports):
    """Whoever sends what is none loses nothing but that."""
    f = fetch(reports=reports.path, **AT_ONCE)
    for how in ({"domain": ""}, {"domain": "a b"}, {"domain": "a\nfurther 7"}, {"type": 3}, {"result": 12}, {"lines": "policy sts 1 x\n"},
                {"lines": "string x"}, {"result": 1, "reason": "a\nb"}, {"result": 1, "mx": "\x1b"}, {"result": 1, "sending": "a b"}):
        f.see(**how)
    f.see()
    reports.wait("policy no-policy-found 1 d.test")


def test_reports_are_bounded(fetch, reports):
    f = fetch(reports=reports.path, tls_report_limit=3, **AT_ONCE)
    for n in range(5):
        f.see(f"d{n}.test")
    for n in range(40):
        f.see("d0.test", result=1, reason=f"reason {n:02d}")
    wait_for(lambda: "further 8" in reports.lines(), 10 * patience())
    lines = reports.lines()
    assert lines[1] == "further 2" and [line for line in lines if line.startswith("policy")] == [
        f"policy no-policy-found 1 d{n}.test" for n in range(3)]
    assert len([line for line in lines if line.startswith("failure")]) == 32
    f.see("d4.test")                    # the limit is the day's, not that of what comes at a time
    f.see("d1.test")
    wait_for(lambda: "policy no-policy-found 2 d1.test" in reports.lines(), 10 * patience())
    assert reports.lines()[1] == "further 3"


def test_reports_of_days_before(fetch, reports):
    """They stay for tls_report_days; a file of another name is nobody's here."""
    for name in (today(-86400 * 20), today(-86400 * 3), today(-86400 * 2), "notes", "2026-13"):
        with open(os.path.join(reports.path, name), "w") as out:
            out.write("x")
    f = fetch(reports=reports.path, tls_report_days=2, **AT_ONCE)
    f.see()
    reports.wait("policy no-policy-found 1 d.test")
    wait_for(lambda: reports.days() == sorted([today(-86400 * 2), today(), "notes", "2026-13"]), 10 * patience(), why=reports.days)


@pytest.mark.faults
def test_a_day_ends(fetch, reports, tmp_path):
    """What was seen before midnight (UTC) is of that day, and no clock that goes back takes a day's counts away."""
    clock = tmp_path / "clock"
    clock.write_bytes(struct.pack("<q", 0))
    f = fetch(reports=reports.path, env={"HERMOD_CLOCK_FILE": str(clock)}, tls_report_interval="1h")
    f.see()
    f.get("x.test")
    clock.write_bytes(struct.pack("<q", 86400))
    f.see()
    f.see()
    reports.wait("policy no-policy-found 1 d.test")
    f.get("x.test")
    clock.write_bytes(struct.pack("<q", 0))
    f.see()
    reports.wait("policy no-policy-found 2 d.test", day=today(86400))
    f.end()
    reports.wait("policy no-policy-found 2 d.test")


@pytest.mark.parametrize("content", [b"", b"x", b"hermod tls-report 1\ncrc32 00000000\nday x\n", b"\0" * 17000000], ids=["empty", "x", "crc", "large"])
def test_damaged_report(fetch, reports, content):
    with open(os.path.join(reports.path, today()), "wb") as out:
        out.write(content)
    f = fetch(reports=reports.path, **AT_ONCE)
    f.see()
    reports.wait("policy no-policy-found 1 d.test")
    assert ("is damaged" in f.log()) == (content != b"")


@pytest.mark.faults
@pytest.mark.parametrize("call,error", [("write", "ENOSPC"), ("fsync", "EIO"), ("renameat", "EIO"), ("openat", "EMFILE")])
def test_report_cannot_be_written(fetch, reports, call, error):
    """It is tried again; nothing is counted twice, and nothing is left beside it."""
    f = fetch(reports=reports.path, env={"HERMOD_FAULT": f"fetch:{call}:~1:{error}"}, **AT_ONCE)
    f.see()
    f.see()
    reports.wait("policy no-policy-found 2 d.test")
    f.see()
    reports.wait("policy no-policy-found 3 d.test")
    assert os.listdir(reports.path) == [today()]


def test_no_directory_for_reports(fetch):
    f = fetch(**AT_ONCE)
    f.see()
    assert f.get("x.test").result == NO_POLICY


@pytest.mark.parametrize("what,result", [("status", "sts-policy-fetch-error"), ("syntax", "sts-policy-invalid"), ("name", "sts-webpki-invalid"),
                                         ("no host", "sts-policy-fetch-error")])
def test_policy_that_cannot_be_had(ca, host, fetch, reports, what, result):
    """Section 4.3.2.2; once for each who would have used it."""
    f = fetch(reports=reports.path, **AT_ONCE)
    serve(ca, host, f, "a.test", "version: STSv2\n" if what == "syntax" else policy("enforce", "mx.a.test"))
    if what == "status":
        host.status["a.test"] = "404 Not Found"
    if what == "name":
        host.certs["a.test"] = ca.issue("mta-sts.b.test")
    if what == "no host":
        f.zone["mta-sts.a.test", "A"] = NO_DATA
    for _ in range(2):
        a = f.get("a.test")
        assert a.result == UNKNOWN, a
    wait_for(lambda: "failure 2 " in "\n".join(reports.lines()), 10 * patience(), why=reports.lines)
    assert len(reports.lines()) == 4 and reports.lines()[2] == "policy sts 0 a.test"
    assert reports.lines()[3].startswith(f"failure 2 {result} - - - ") and "mta-sts.a.test" in reports.lines()[3]


def test_policy_that_is_kept_is_no_failure(ca, host, fetch, reports):
    f = fetch(reports=reports.path, **AT_ONCE)
    serve(ca, host, f, "a.test", policy("enforce", "mx.a.test"))
    assert f.get("a.test").result == POLICY
    host.bodies["a.test"] = "junk"
    f.publish("a.test", id="2")
    assert f.get("a.test").result == POLICY
    f.see()
    reports.wait("policy no-policy-found 1 d.test")
