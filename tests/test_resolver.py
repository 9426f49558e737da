# SPDX-License-Identifier: ISC
"""The resolver: what is secure, insecure and forged; servers that lie, or say nothing; the cache, limits, and the end of a process."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from hermodtest.dns import NXDOMAIN, REFUSED, SERVFAIL, Asker, Reply, Server, Zones, rdata
from hermodtest.proc import wait_for
from hermodtest.suite import patience

TIMEOUT = 3				# dns_timeout, seconds
LATE = TIMEOUT + 5 * patience()		# by then there is an answer, on a machine under load, too
PLAIN = {"dns_insecure": ["."], "dns_timeout": f"{TIMEOUT}s"}


# ---- DNSSEC, by zones of a real server ---------------------------------------------------------------

SECURE = """
@     MX 10 mx
@     TXT "v=spf1 " "-all"
mx    A 192.0.2.1
mx    AAAA 2001:db8::1
_25._tcp.mx TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
null  MX 0 .
alias CNAME mx
out   CNAME www.insecure.
*.wild A 192.0.2.7
"""


@pytest.fixture(scope="module")
def zones():
    """A root of our own that is signed, and below it secure., insecure., and what is spoilt."""
    z = Zones()
    root, anchor = z.keys(".")
    secure, secure_ds = z.keys("secure.")
    forged, forged_ds = z.keys("forged.")
    expired, expired_ds = z.keys("expired.")
    stripped_ds = z.keys("stripped.")[1]
    z.add("secure.", SECURE + "".join(f'large TXT "{i:03d}{"x" * 200}"\n' for i in range(20))
          + "".join(f'huge TXT "{i:03d}{"x" * 250}"\n' for i in range(220)), secure)
    z.add("forged.", "www A 192.0.2.1\nother A 192.0.2.9\n", forged, change={"192.0.2.1": "192.0.2.66"})
    z.add("expired.", "www A 192.0.2.1\n", expired, expired=True)
    z.add("insecure.", "www A 192.0.2.2\n@ MX 5 www\nalias CNAME mx.secure.\n")
    z.add("stripped.", "www A 192.0.2.3\n")
    z.add(".", "\n".join(f"{n}. NS ns.test." for n in ("secure", "forged", "expired", "insecure", "stripped"))
          + "\n" + "\n".join((secure_ds, forged_ds, expired_ds, stripped_ds)), root)
    z.anchor = os.path.join(z.dir, "anchor")
    with open(z.anchor, "w") as f:
        f.write(anchor + "\n")
    z.start()
    yield z
    z.close()


@pytest.fixture(scope="module")
def signed(zones):
    from hermodtest.suite import Suite
    s = Suite({"dns_zones": [f". {zones.address}"], "trust_anchor_file": zones.anchor, "dns_timeout": "20s"})
    yield s
    s.end()


@pytest.fixture
def asker(signed):
    a = Asker(signed)
    yield a
    a.close()


FOUND = [
    ("mx.secure", "A", True, "192.0.2.1"),
    ("MX.Secure.", "A", True, "192.0.2.1"),
    ("mx.secure", "AAAA", True, "2001:db8::1"),
    ("secure", "MX", True, "10 mx.secure"),
    ("null.secure", "MX", True, "0 ."),
    ("secure", "TXT", True, b"\x07v=spf1 \x04-all"),
    ("_25._tcp.mx.secure", "TLSA", True, bytes([3, 1, 1]) + bytes.fromhex("0123456789abcdef" * 4)),
    ("a.wild.secure", "A", True, "192.0.2.7"),
    ("alias.secure", "A", True, "192.0.2.1"),
    ("alias.secure", "CNAME", True, "mx.secure"),
    ("www.insecure", "A", False, "192.0.2.2"),
    ("insecure", "MX", False, "5 www.insecure"),
    ("out.secure", "A", False, "192.0.2.2"),		# secure, then out of it
    ("alias.insecure", "A", False, "192.0.2.1"),	# and the other way round
]


@pytest.mark.parametrize("name,kind,secure,data", FOUND, ids=[f"{n} {k}" for n, k, _, _ in FOUND])
def test_found(asker, name, kind, secure, data):
    a = asker.ask(name, kind)
    assert (a.result, bool(a.secure), a.records) == ("found", secure, [rdata(kind, data)]), a
    assert 0 < a.ttl <= 300 and not a.why


NOT_THERE = [
    ("nosuch.secure", "A", "no such name", True),
    ("a.b.nosuch.secure", "MX", "no such name", True),
    ("mx.secure", "TXT", "no data", True),
    ("_25._tcp.mx.secure", "A", "no data", True),
    ("_tcp.mx.secure", "TLSA", "no data", True),	# a name between: RFC 8020
    ("nosuch.insecure", "A", "no such name", False),
    ("www.insecure", "MX", "no data", False),
    ("nosuch", "A", "no such name", True),
]


@pytest.mark.parametrize("name,kind,result,secure", NOT_THERE, ids=[f"{n} {k}" for n, k, _, _ in NOT_THERE])
def test_not_there(asker, name, kind, result, secure):
    a = asker.ask(name, kind)
    assert (a.result, bool(a.secure), a.records) == (result, secure, []), a
    assert 0 < a.ttl <= 300


@pytest.mark.parametrize("name", ["www.forged", "www.expired", "www.stripped"])
def test_forged(asker, name):
    """Whatever is wrong with it: bogus, with a reason, and nothing of it is shown."""
    for _ in range(2):			# the second time out of the cache
        a = asker.ask(name, "A")
        assert (a.result, a.secure, a.records) == ("bogus", 0, []), a
        assert len(a.why) > 10
    assert asker.ask("other.forged", "A").result == "found"


def test_where_an_alias_leads(asker):
    assert asker.ask("alias.secure", "A").name == "mx.secure"
    assert asker.ask("out.secure", "MX").name == "www.insecure"


def test_large(asker):
    """More than a datagram holds comes by TCP; more than a message of ours holds is said."""
    a = asker.ask("large.secure", "TXT")
    assert a.result == "found" and a.secure and len(a.records) == 20
    a = asker.ask("huge.secure", "TXT")
    assert a.result == "failed" and "more than a message holds" in a.why


def test_the_roots_keys_are_kept_current(signed, zones):
    """RFC 5011: libunbound has written its file since, from within confinement."""
    folder = os.path.join(signed.dir, "dns")
    a = Asker(signed)
    assert a.ask("mx.secure", "A").secure
    a.close()
    wait_for(lambda: "last_success" in open(os.path.join(folder, "root.key")).read(), 10 * patience(),
             why=lambda: open(os.path.join(folder, "root.key")).read())
    assert sorted(os.listdir(folder)) == ["initial.key", "root.key"]
    assert open(os.path.join(folder, "initial.key")).read() == open(zones.anchor).read()


def test_the_command(signed):
    r = signed.hermod("dns", "lookup", "mx.secure", "A")
    assert re.search(r"^mx\.secure +A +secure +\d+ +192\.0\.2\.1$", r.stdout, re.M), r.stdout
    r = signed.hermod("dns", "lookup", "secure")
    assert re.search(r"^secure +MX +secure +\d+ +10 mx\.secure$", r.stdout, re.M), r.stdout
    assert re.search(r"^secure +A +secure +\d+ +\(no data\)$", r.stdout, re.M), r.stdout
    r = signed.hermod("dns", "lookup", "www.forged", "A", check=False)
    assert r.returncode == 1 and re.search(r"^www\.forged +A +bogus +- +\(bogus: .*\)$", r.stdout, re.M), r.stdout
    one, = signed.hermod_json("dns", "lookup", "alias.secure", "a")
    ttl = one.pop("ttl")
    assert 0 < ttl <= 300 and one == {"name": "alias.secure", "type": "A", "result": "found", "dnssec": "secure",
                                      "canonical": "mx.secure", "why": "", "records": ["192.0.2.1"]}
    one, = signed.hermod_json("dns", "lookup", "secure", "TXT")
    assert one["records"] == ['"v=spf1 -all"']
    one, = signed.hermod_json("dns", "lookup", "null.secure", "MX")
    assert one["records"] == ["0 ."]
    one, = signed.hermod_json("dns", "lookup", "_25._tcp.mx.secure", "TLSA")
    assert one["records"] == ["3 1 1 " + "0123456789abcdef" * 4]
    one, = signed.hermod_json("dns", "lookup", "secure", "SOA")
    assert one["records"] == ["ns.test h.test 1 3600 600 86400 60"]
    assert signed.hermod("dns", "lookup", "secure", "ANY", check=False).returncode == 64
    assert signed.hermod("dns", "lookup", check=False).returncode == 64
    one, = signed.hermod_json("dns", "lookup", "127.0.0.1")
    assert one["name"] == "1.0.0.127.in-addr.arpa" and one["records"] == ["localhost"]
    one, = signed.hermod_json("dns", "lookup", "2001:db8::1")
    assert one["name"] == "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa"


def test_who_waits_is_told_for_what(make_suite):
    """Servers that say nothing: at a terminal the command does not say nothing, too. All types wait together."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        suite = make_suite(dns_forwarders=[f"127.0.0.1:{silent.getsockname()[1]}"], dns_timeout="6s")
        master, slave = os.openpty()
        r = subprocess.run([os.path.join(suite.build, "bin", "hermod"), "-c", suite.conf, "dns", "lookup", "anna.test"], text=True,
                           stdout=subprocess.PIPE, stderr=slave, env=suite.environment(), timeout=60 * patience())
        os.close(slave)
        said = os.read(master, 10000)
        os.close(master)
    assert r.returncode == 1 and r.stdout.count("(failed: no answer came in time (dns_timeout))") == 3, r.stdout
    assert said == b"hermod: the DNS has not answered yet; each question may take dns_timeout, 6 s\r\n"


@pytest.mark.root
def test_who_may_ask(signed):
    """A cache tells whom a host has mail with: so the socket is root's."""
    r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", os.path.join(signed.build, "bin", "hermod"),
                        "-c", signed.conf, "dns", "lookup", "secure"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       env=signed.environment())
    assert r.returncode == 77 and "root" in r.stderr


def test_one_thread_one_directory(signed):
    p, = signed.processes("resolver")
    assert os.listdir(f"/proc/{p.pid}/task") == [str(p.pid)]
    if os.geteuid() == 0:
        assert os.readlink(f"/proc/{p.pid}/cwd") == os.path.join(signed.dir, "dns")


def test_keys_that_changed(make_suite, zones):
    """Other initial keys count from the next start on; a file that was damaged is begun again."""
    suite = make_suite(start=False, dns_zones=[f". {zones.address}"], dns_timeout="20s")
    anchor = os.path.join(suite.dir, "etc", "anchor")
    with open(anchor, "w") as f:
        f.write(zones.keys(".")[1] + "\n")
    suite.write_conf(trust_anchor_file=anchor)
    suite.start()
    asker = Asker(suite)
    assert asker.ask("mx.secure", "A").result == "bogus"
    asker.close()
    suite.stop()
    with open(anchor, "w") as f:
        f.write(open(zones.anchor).read())
    suite.start()
    asker = Asker(suite)
    assert asker.ask("mx.secure", "A").secure
    asker.close()
    suite.stop()
    for damage in (b"", b"\0" * 300, b"; autotrust trust anchor file\n;;id: . 1\n"):
        with open(os.path.join(suite.dir, "dns", "root.key"), "wb") as f:
            f.write(damage)
        suite.start()
        asker = Asker(suite)
        assert asker.ask("mx.secure", "A").secure, suite.log()[-2000:]
        asker.close()
        suite.stop()


def test_an_anchor_of_ones_own(make_suite, zones):
    """An internal zone with keys of its own, below a root that is not looked at."""
    ds = next(line for line in open(os.path.join(zones.dir, "root")).read().splitlines() if line.startswith("secure.") and "DS" in line)
    suite = make_suite(dns_zones=[f"secure {zones.address}", f"forged. {zones.address}"], dns_insecure=["."],
                       dns_trust_anchors=[re.sub(r"\s+", " ", ds.split(";")[0]).strip()], dns_timeout="20s")
    asker = Asker(suite)
    a = asker.ask("mx.secure", "A")
    assert a.result == "found" and a.secure, a
    a = asker.ask("www.forged", "A")
    assert a.result == "found" and not a.secure, a
    asker.close()


# ---- servers that lie, or say nothing ---------------------------------------------------------------------

@pytest.fixture(scope="module")
def server():
    s = Server()
    yield s
    s.close()


@pytest.fixture(scope="module")
def plain(server):
    from hermodtest.suite import Suite
    s = Suite({**PLAIN, "dns_forwarders": [server.address]})
    yield s
    s.end()


@pytest.fixture
def ask(plain):
    a = Asker(plain)
    yield a.ask
    a.close()


def timed(ask, *args):
    began = time.monotonic()
    return ask(*args), time.monotonic() - began


def test_a_forwarder_is_asked_and_nobody_else(server, ask):
    server.add("a.test", "A", "192.0.2.1", "192.0.2.2")
    a = ask("a.test", "A")
    assert a.result == "found" and not a.secure and sorted(a.records) == [rdata("A", "192.0.2.1"), rdata("A", "192.0.2.2")]
    import socket
    server.add(socket.gethostname().lower().split(".")[0], "A", "192.0.2.3")		# /etc/hosts has it, most likely
    assert ask(socket.gethostname().split(".")[0], "A").records == [rdata("A", "192.0.2.3")]
    server.add("9.8.7.10.in-addr.arpa", "PTR", "host.test")
    assert ask("9.8.7.10.in-addr.arpa", "PTR").records == [rdata("PTR", "host.test")]


def test_what_was_found_is_kept(server, ask):
    server.add("kept.test", "MX", "10 mx.test")
    for _ in range(3):
        assert ask("kept.test", "MX").records == [rdata("MX", "10 mx.test")]
    assert server.count("kept.test") == 1
    server.add("brief.test", "A", "192.0.2.1", ttl=0)
    for _ in range(3):
        assert ask("brief.test", "A").result == "found"
    assert server.count("brief.test") == 3


def test_what_is_not_there_is_kept(server, ask):
    for _ in range(3):
        assert ask("gone.test", "A").result == "no such name"
    assert server.count("gone.test") == 1
    server.add("there.test", "A", "192.0.2.1")
    for _ in range(3):
        a = ask("there.test", "MX")
        assert a.result == "no data" and a.ttl <= 60
    assert server.count("there.test", "MX") == 1
    server.answers[("soon.test", "A")] = Reply(rcode=NXDOMAIN, soa=1)
    assert ask("soon.test", "A").result == "no such name"
    server.add("soon.test", "A", "192.0.2.1")
    wait_for(lambda: ask("soon.test", "A").result == "found", 20 * patience(), step=0.5)


def test_a_no_is_believed_no_longer_than_that(make_suite):
    server = Server()
    server.answers[("soon.test", "A")] = Reply(rcode=NXDOMAIN, soa=3600)
    suite = make_suite(dns_forwarders=[server.address], dns_negative_ttl="1s", **PLAIN)
    asker = Asker(suite)
    a = asker.ask("soon.test", "A")
    assert a.result == "no such name" and a.ttl <= 1
    server.add("soon.test", "A", "192.0.2.1")
    wait_for(lambda: asker.ask("soon.test", "A").result == "found", 20 * patience(), step=0.5)
    asker.close()
    server.close()


@pytest.mark.parametrize("rcode", [SERVFAIL, REFUSED, 4, 11])
def test_errors(server, ask, rcode):
    server.answers[(f"e{rcode}.test", "A")] = Reply(rcode=rcode)
    a, seconds = timed(ask, f"e{rcode}.test", "A")
    assert a.result == "failed" and a.why and seconds < LATE


WRONG = {
    "silent": Reply(silent=True),
    "wrong-id": Reply((None, "A", 60, "192.0.2.66"), wrong_id=True),
    "wrong-name": Reply((None, "A", 60, "192.0.2.66"), wrong_name="other.test"),
    "garbage": Reply(raw=b"\x81\x80" + b"\xff" * 500),
    "short": Reply(raw=b"\x81"),
    "counts": Reply(raw=b"\x81\x80\0\1\xff\xff\xff\xff\xff\xff"),
    "pointer-loop": Reply(raw=b"\x81\x80\0\1\0\1\0\0\0\0\1a\4test\0\0\1\0\1\xc0\x19\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4"),
    "alias-of-itself": Reply((None, "CNAME", 60, "alias-of-itself.test")),
    "huge-rdata": Reply((None, "A", 60, b"x" * 60000)),
    "cut-for-ever": Reply(raw=b"\x83\x80\0\1\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("how", WRONG)
def test_wrong(server, plain, ask, how):
    """Nothing of it is believed; the answer comes in time, and the next question is served at once."""
    server.answers[(f"{how}.test", "A")] = WRONG[how]
    a, seconds = timed(ask, f"{how}.test", "A")
    assert (a.result, a.records) == ("failed", []), a
    assert seconds < LATE
    server.add(f"after-{how}.test", "A", "192.0.2.1")
    assert ask(f"after-{how}.test", "A").result in ("found", "failed")
    assert plain.processes("resolver")


def test_aliases_in_a_circle(server, ask):
    server.answers[("x.test", "A")] = Reply((None, "CNAME", 60, "y.test"), ("y.test", "CNAME", 60, "x.test"))
    server.answers[("y.test", "A")] = Reply((None, "CNAME", 60, "x.test"))
    assert ask("x.test", "A").result == "failed"
    for i in range(40):
        server.answers[(f"c{i}.test", "A")] = Reply((None, "CNAME", 60, f"c{i + 1}.test"))
    server.add("c40.test", "A", "192.0.2.1")
    assert ask("c0.test", "A").result == "failed"
    assert ask("c36.test", "A").records == [rdata("A", "192.0.2.1")]


def test_by_tcp_when_cut(server, ask):
    server.add("cut.test", "TXT", *[f"{i}" + "x" * 200 for i in range(40)], cut=True)
    a = ask("cut.test", "TXT")
    assert a.result == "found" and len(a.records) == 40
    assert ("cut.test", "TXT", "tcp") in server.asked


def test_as_much_as_a_message_holds(server, ask):
    """192 records of 252 octets, each with its length before it, are 49152 octets, which fit; one more does not."""
    for n, result in ((192, "found"), (193, "failed")):
        server.add(f"full{n}.test", "TXT", *[b"\xfb%03d" % i + b"x" * 248 for i in range(n)], cut=True)
        a = ask(f"full{n}.test", "TXT")
        assert (a.result, len(a.records)) == (result, n if result == "found" else 0), a.why


def test_names_that_no_host_has(server, ask):
    """They come as they are: whoever reads the record leaves it out (proto/dns_rdata.h)."""
    server.add("1.2.0.192.in-addr.arpa", "PTR", b"\x07a\r\nb\"\\c\x07example\x00")
    a = ask("1.2.0.192.in-addr.arpa", "PTR")
    assert a.result == "found" and len(a.records) == 1
    server.answers[("odd.test", "A")] = Reply((None, "CNAME", 60, b"\x05a\nb c\x04test\x00"), (None, "CNAME", 60, b"\x05a\nb c\x04test\x00"))
    assert "\n" not in ask("odd.test", "A").name


def test_the_command_leaves_them_out(server, plain, ask):
    server.add("3.2.0.192.in-addr.arpa", "PTR", b"\x07a\r\nb\"\\c\x07example\x00")
    one, = plain.hermod("--json", "dns", "lookup", "192.0.2.3", check=False).stdout.splitlines()
    assert '"failed"' in one and "make no sense" in one
    server.add("4.2.0.192.in-addr.arpa", "PTR", b"\x07a\r\nb\"\\c\x07example\x00", "host.example")
    one, = plain.hermod_json("dns", "lookup", "192.0.2.4")
    assert one["records"] == ["host.example"]


@pytest.mark.parametrize("name", [b"a b.test", b"a..test", b"", b"a" * 64 + b".test", b"\xff.test", b"a\0b.test", b"a\n.test"])
def test_what_is_no_name(ask, name):
    assert ask(name, "A").result == "no such name"


def test_what_is_no_question(plain):
    """A type we do not know, or another message: that connection ends, and no other."""
    other = Asker(plain)
    for kind in (0, 255, 99, 1 << 20):
        a = Asker(plain)
        a.send("a.test", kind)
        with pytest.raises((EOFError, ConnectionResetError)):
            a.next()
        a.close()
    assert other.ask("localhost", "A").result == "found"
    other.close()


# ---- many at once ----------------------------------------------------------------------------------------

def test_equal_questions_are_asked_once(server, plain):
    server.add("many.test", "A", "192.0.2.1", delay=0.7)
    askers = [Asker(plain) for _ in range(5)]
    for a in askers:
        for i in range(20):
            a.send("many.test" if i % 2 else "MANY.test.", "A")
    for a in askers:
        seen = {a.next()[0] for _ in range(20)}
        assert len(seen) == 20
        a.close()
    assert server.count("many.test") == 1


def test_a_late_answer_serves_the_next(server, ask):
    """The question goes on when nobody waits any more."""
    server.add("late.test", "A", "192.0.2.1", delay=TIMEOUT + 1.5)
    a, seconds = timed(ask, "late.test", "A")
    assert a.result == "failed" and "dns_timeout" in a.why
    assert TIMEOUT - 0.5 < seconds < LATE
    wait_for(lambda: ask("late.test", "A").result == "found", 30 * patience())


def test_the_bound(make_suite):
    server = Server()
    suite = make_suite(dns_forwarders=[server.address], dns_questions=5, **PLAIN)
    for i in range(6):
        server.add(f"s{i}.test", "A", "192.0.2.1", silent=True)
    server.add("fine.test", "A", "192.0.2.1")
    asker, began = Asker(suite), time.monotonic()
    numbers = [asker.send(f"s{i}.test", "A") for i in range(6)]
    number, answer = asker.next()
    assert number == numbers[5] and answer.result == "failed" and "dns_questions" in answer.why
    assert time.monotonic() - began < TIMEOUT
    for _ in range(15):				# those who wait for the same: four times as many, all together
        numbers.append(asker.send("s0.test", "A"))
    asker.send("s0.test", "A")
    number, answer = asker.next()
    assert number == numbers[-1] + 1 and "dns_questions" in answer.why
    for _ in range(20):
        number, answer = asker.next()
        assert answer.result == "failed" and "dns_timeout" in answer.why
    suite.wait_log("under way.*dns_questions")
    # What libunbound still tries counts on, until it has its answers, or gives up, too.
    assert asker.ask("fine.test", "A").result == "failed"
    for i in range(6):
        server.add(f"s{i}.test", "A", "192.0.2.1")
    wait_for(lambda: asker.ask("fine.test", "A").result == "found", 120, step=0.2)
    asker.close()
    server.close()


def test_many(server, plain):
    """Hundreds at once, each with its own answer."""
    for i in range(300):
        server.add(f"m{i}.test", "A", f"10.0.{i // 256}.{i % 256}")
    with contextlib.closing(Asker(plain)) as asker:
        numbers = {asker.send(f"m{i}.test", "A"): i for i in range(300)}
        for _ in range(300):
            number, answer = asker.next()
            i = numbers.pop(number)
            assert answer.records == [rdata("A", f"10.0.{i // 256}.{i % 256}")], answer


def test_commands_at_once(plain):
    """32 are served; the next is sent away, until one has gone."""
    def served():
        try:
            a = Asker(plain)
            a.ask("localhost", "A")
            return a
        except (EOFError, OSError):
            return None
    askers = [wait_for(served, 10 * patience()) for _ in range(32)]        # those of other tests may not have gone yet
    with pytest.raises((EOFError, OSError)):
        Asker(plain).ask("localhost", "A")
    assert all(a.ask("localhost", "A").result == "found" for a in askers)
    askers.pop().close()
    askers.append(wait_for(served, 10 * patience()))
    for a in askers:
        a.close()


def test_who_goes_away(server, plain, ask):
    """Questions of one that is gone are forgotten."""
    server.add("slow.test", "A", "192.0.2.1", delay=0.9)
    a = Asker(plain)
    for _ in range(50):
        a.send("slow.test", "A")
    a.close()
    assert ask("slow.test", "A").result == "found"


@pytest.mark.root
def test_no_descriptor_is_left_open(server, plain, ask):
    """Sockets come and go with the questions; what silent servers were asked by other tests is still tried for a while."""
    p, = plain.processes("resolver")
    server.add("warm.test", "A", "192.0.2.1", ttl=0)
    server.add("tcp.test", "A", *[f"10.1.{i // 256}.{i % 256}" for i in range(300)], ttl=0, cut=True)
    for name in ("warm.test", "tcp.test"):
        ask(name, "A")
    time.sleep(0.5)
    before = len(p.fds())
    for i in range(200):
        a = Asker(plain)
        assert a.ask(("warm.test", "tcp.test", f"gone{i}.test")[i % 3], "A").result in ("found", "no such name")
        a.close()
    wait_for(lambda: len(p.fds()) <= before, 90 * patience(), why=lambda: f"{before} before, now {p.fds()}")


# ---- the end of a process ----------------------------------------------------------------------------------

def test_killed(make_suite):
    """kill -9 while questions are open: they end, and the next process answers."""
    server = Server()
    suite = make_suite(dns_forwarders=[server.address], **PLAIN)
    server.add("slow.test", "A", "192.0.2.1", delay=0.9)
    server.add("fine.test", "A", "192.0.2.1")
    for _ in range(3):
        asker = Asker(suite)
        for _ in range(10):
            asker.send("slow.test", "A")
        assert suite.kill("resolver") == 1
        with pytest.raises((EOFError, ConnectionResetError)):
            asker.next()
        asker.close()
        wait_for(lambda: suite.processes("resolver"), 20 * patience())
        asker = Asker(suite)
        assert asker.ask("fine.test", "A").result == "found"
        asker.close()
    server.close()


def test_reload_while_questions_are_open(make_suite):
    server = Server()
    suite = make_suite(dns_forwarders=[server.address], **PLAIN)
    server.add("slow.test", "A", "192.0.2.1", delay=0.9)
    asker, old = Asker(suite), suite.pids("resolver")
    asker.send("slow.test", "A")
    suite.reload()
    assert asker.next()[1].result == "found"
    asker.close()
    wait_for(lambda: suite.pids("resolver") and not set(suite.pids("resolver")) & set(old), 20 * patience())
    server.close()


def test_it_does_not_run(make_suite):
    suite = make_suite(start=False)
    r = suite.hermod("dns", "lookup", "a.test", check=False)
    assert r.returncode == 69 and "does not run" in r.stderr


def test_nobody_there(make_suite):
    """No forwarder answers: that is said in time, and the suite starts and takes mail all the same."""
    suite = make_suite(dns_forwarders=["127.0.0.1:9"], **PLAIN)
    asker = Asker(suite)
    a, seconds = timed(asker.ask, "a.test", "A")
    assert a.result == "failed" and seconds < LATE
    asker.close()
    suite.send("anna")
    suite.maildir("anna").wait(1)


def test_system_forwarders(make_suite):
    if not os.path.exists("/etc/resolv.conf"):
        pytest.skip("this host has no /etc/resolv.conf")
    suite = make_suite(**{**PLAIN, "dns_forwarders": ["system"]})
    asker = Asker(suite)
    assert asker.ask("localhost", "A").result == "found"
    asker.close()


def test_no_keys_in_the_file_that_is_named(make_suite):
    suite = make_suite(trust_anchor_file="/nosuch/root.key", dns_forwarders=["127.0.0.1:9"], dns_timeout="1s")
    suite.wait_log("trust_anchor_file: /nosuch/root.key: cannot be read")
    assert "20326" in open(os.path.join(suite.dir, "dns", "root.key")).read()


@pytest.mark.root
def test_a_directory_that_cannot_be_written(make_suite, zones):
    """Then the first keys are used as they are."""
    suite = make_suite(start=False, dns_zones=[f". {zones.address}"], trust_anchor_file=zones.anchor, dns_timeout="20s")
    suite.env = {"HERMOD_FAULT": "resolver:openat:1+:ENOSPC"}
    suite.start()
    asker = Asker(suite)
    assert asker.ask("mx.secure", "A").secure, suite.log()[-2000:]
    assert asker.ask("www.forged", "A").result == "bogus"
    asker.close()


# ---- failures on order ---------------------------------------------------------------------------------------

CALLS = {"calloc": "ENOMEM", "realloc": "ENOMEM", "openat": "EMFILE", "open": "EIO", "write": "ENOSPC", "fsync": "EIO",
         "renameat": "EIO", "close": "EIO", "mmap": "ENOMEM"}


@pytest.mark.faults
@pytest.mark.parametrize("call", CALLS)
def test_nth_failure(make_suite, call):
    """Whatever fails once: an answer, a failure that is said, or a new process; and all works again."""
    server = Server()
    server.add("fine.test", "A", "192.0.2.1", ttl=0)
    for nth in (3, 40) if call in ("calloc", "realloc") else (1,):
        suite = make_suite(start=False, dns_forwarders=[server.address], start_timeout=f"{4 * patience()}s", **PLAIN)
        suite.env = {"HERMOD_FAULT": f"resolver:{call}:{'~' if call in ('calloc', 'realloc') else ''}{nth}:{CALLS[call]}"}
        if suite.hermod("start", check=False).returncode != 0:
            suite.note_processes()
            wait_for(lambda: not suite.left(), 20 * patience())
            assert "is given up" in suite.log() and "fault: " in suite.log()
            continue
        suite.note_processes()
        for _ in range(8):
            try:
                asker = Asker(suite)
                assert asker.ask("fine.test", "A").result in ("found", "failed")
                asker.close()
            except (OSError, EOFError, AssertionError):
                time.sleep(0.2)
        suite.stop()
        suite.env = {}
        suite.start()
        asker = Asker(suite)
        assert asker.ask("fine.test", "A").result == "found"
        asker.close()
    server.close()


def test_stopped_while_asked(make_suite):
    server = Server()
    server.add("silent.test", "A", "192.0.2.1", silent=True)
    suite = make_suite(dns_forwarders=[server.address], stop_timeout="1s", **PLAIN)
    asker = Asker(suite)
    asker.send("silent.test", "A")
    time.sleep(0.2)
    suite.stop()
    asker.close()
    server.close()


@pytest.mark.root
def test_stopped_process(make_suite):
    """A resolver that hangs is a resolver that does not answer, and no more."""
    suite = make_suite(**PLAIN)
    suite.kill("resolver", signal.SIGSTOP)
    suite.send("anna")
    suite.maildir("anna").wait(1)
    suite.kill("resolver", signal.SIGCONT)
