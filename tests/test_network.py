# SPDX-License-Identifier: ISC
"""
Several hosts on a network of their own (hermodtest/network.py), with the ports and addresses that mail has: which of several
exchangers is taken, and what becomes of mail when one does not answer, cannot be reached by IPv6, or is cut off in the middle.
"""
import contextlib
import random
import re
import smtplib
import time

import pytest

from hermodtest.certificates import Authority
from hermodtest.dns import Zones
from hermodtest.network import Network
from hermodtest.peers import Postfix
from hermodtest.proc import wait_for
from hermodtest.servers import Server
from hermodtest.suite import DOMAIN, Suite, patience

pytestmark = pytest.mark.root

SETTINGS = {"trusted_networks": ["127.0.0.0/8"], "early_delivery_time": "0s", "smtp_connection_cache_time": "0s",
            "minimal_backoff": "1s", "maximal_backoff": "1s", "uncertain_backoff": "1s", "delay_warning_time": "0s", "dns_insecure": ["."]}
# A host that is not heard from is given up soon.
SHORT = {f"smtp_{stage}_timeout": "3s" for stage in ("greeting", "helo", "mail", "rcpt", "data", "content", "done")}
BODY = "".join(f"{i} line of a message that no socket holds\r\n" for i in range(400000))


@pytest.fixture(scope="module")
def net():
    """us sends; ns answers questions; a, b and c are exchangers: of pair.test a, then b; of prefer.test a and b, then c."""
    n = Network("us", "ns", "a", "b", "c")
    zones = Zones(n["ns"].address, 53)
    try:
        records = "".join(f"{h} A {n[h].address}\n" for h in "abc")
        records += f"both A {n['b'].address}\nboth AAAA {n['b'].address6}\nus A {n['us'].address}\n"
        records += "pair MX 10 a\npair MX 20 b\nprefer MX 10 a\nprefer MX 10 b\nprefer MX 20 c\nlone MX 10 a\ndual MX 10 both\n"
        records += "circle MX 10 a\ncircle MX 20 us\ncircle MX 30 b\nourselves MX 10 us\nourselves MX 20 b\npeer MX 10 c\n"
        zones.add("test.", records)
        zones.add(".", "test. NS ns.test.\n")
        with n["ns"]:
            zones.start()
        n.zones = zones
        yield n
    finally:
        zones.close()
        n.end()


class Ours:
    """The suite on its host."""

    def __init__(self, net, host="us", **settings):
        self.host = net[host]
        with self.host:
            self.suite = Suite({**SETTINGS, "dns_zones": [f". {net.zones.address}"], **settings})

    def send(self, to, text=None):
        with self.host:
            return self.suite.send(to, text, sender=f"anna@{DOMAIN}")

    def wait(self, pattern, seconds=60):
        return self.suite.wait_log(pattern, seconds)[0]

    def __getattr__(self, name):
        return getattr(self.__dict__["suite"], name)


@pytest.fixture
def ended():
    with contextlib.ExitStack() as stack:
        yield stack.callback


@pytest.fixture
def ours(net, ended):
    def make(host="us", **settings):
        o = Ours(net, host, **settings)
        ended(o.suite.end)
        return o
    net.heal()
    yield make
    net.heal()


@pytest.fixture
def serve(net, ended):
    def start(name, address=None, **how):
        with net[name]:
            s = Server(address=address or net[name].address, port=25, name=f"{name}.test", **how)
        ended(s.end)
        return s
    return start


def text(n, body="Hello.\r\n"):
    return f"From: anna@{DOMAIN}\r\nSubject: {n}\r\nMessage-ID: <{n}.{time.monotonic_ns()}@test>\r\n\r\n{body}"


# ---- which exchanger

def test_equal_preferences_share(ours, serve):
    """RFC 5321 section 5.1: at random among those of one preference; none goes to the next while they answer."""
    o, servers = ours(), [serve(h) for h in "abc"]
    for i in range(24):
        o.send(f"u{i}@prefer.test", text(i))
    wait_for(lambda: sum(len(s.mails) for s in servers) == 24, 60 * patience())
    counts = [len(s.mails) for s in servers]
    assert counts[0] and counts[1] and not counts[2], counts


def test_one_of_two_is_silent(net, ours, serve):
    """Its packets are lost: nobody says so. The other one gets all, at the first attempt."""
    o, b, c = ours(smtp_connect_timeout="10m"), serve("b"), serve("c")
    net.unplug("a")
    for i in range(6):
        o.send(f"u{i}@prefer.test", text(i))
    wait_for(lambda: len(b.mails) == 6, 60 * patience(), why=o.log)
    o.wait_queue_empty()
    assert not c.mails and "status=deferred" not in o.log()


def test_the_better_ones_are_silent(net, ours, serve):
    """The next preference has its turn while the connections to the better ones still hang."""
    o, c = ours(smtp_connect_timeout="10m"), serve("c")
    net.unplug("a")
    net.unplug("b")
    o.send("u@prefer.test")
    assert f"relay=c.test [{net['c'].address}]:25 " in o.wait(r"to=<u@prefer.test> .*status=delivered")
    assert len(c.mails) == 1


def test_nobody_answers(net, ours, serve):
    """It hangs until the time for a connection is over, is put off with each host's name, and goes when one is back."""
    o, a = ours(smtp_connect_timeout="2s"), serve("a")
    for h in "abc":
        net.unplug(h)
    o.send("u@prefer.test")
    line = o.wait(r"to=<u@prefer.test> .*status=deferred .*")
    assert re.search(r"4\.4\.1 connect to [abc]\.test \[192\.0\.2\.\d\]:25: no answer within 2 s", line), line
    net.plug("a")
    wait_for(lambda: a.mails, 60 * patience(), why=o.log)
    o.wait_queue_empty()
    assert len(a.mails) == 1


# ---- two ways to one host

@pytest.mark.parametrize("silent", ["address6", "address"])
def test_one_way_is_silent(net, ours, serve, silent):
    """By the other protocol, while the first connection hangs (RFC 8305)."""
    b = net["b"]
    servers = {"address": serve("b"), "address6": serve("b", address=b.address6)}
    o = ours(smtp_connect_timeout="10m")
    net["us"].lose(getattr(b, silent))
    o.send("u@dual.test")
    other = "address" if silent == "address6" else "address6"
    assert f"relay=both.test [{getattr(b, other)}]:25 " in o.wait(r"to=<u@dual.test> .*status=delivered")
    assert len(servers[other].mails) == 1 and "status=deferred" not in o.log()


def test_no_way_by_ipv6(net, ours, serve):
    """A host without a route: the kernel says so at once."""
    o, b = ours(), serve("b")
    net["us"].ip(f"route replace unreachable {net['b'].address6}/128")
    try:
        o.send("u@dual.test")
        assert f"relay=both.test [{net['b'].address}]:25 " in o.wait(r"to=<u@dual.test> .*status=delivered")
        assert len(b.mails) == 1
    finally:
        net["us"].ip(f"route del unreachable {net['b'].address6}/128")


# ---- cut off

EXTENSIONS = {"data": ["PIPELINING", "8BITMIME"], "bdat": ["PIPELINING", "8BITMIME", "CHUNKING"]}


def cut(net, name):
    """For a step of its server."""
    def step(session):
        net.unplug(name)
        session.hang()
    return step


@pytest.mark.parametrize("kind", EXTENSIONS)
def test_gone_in_the_content(net, ours, serve, kind):
    """The rest of the message goes nowhere. The next exchanger has it then, whole and once."""
    serve("a", extensions=EXTENSIONS[kind], content=cut(net, "a"))
    o, b = ours(smtp_content_timeout="3s"), serve("b", extensions=EXTENSIONS[kind])
    sent = o.send("u@pair.test", text(1, BODY))
    wait_for(lambda: b.mails and b.mails[0].whole, 60 * patience(), why=o.log)
    o.wait_queue_empty()
    assert len(b.mails) == 1 and b.mails[0].data.endswith(sent.encode())


@pytest.mark.parametrize("kind", EXTENSIONS)
def test_gone_in_the_content_and_back(net, ours, serve, kind):
    """There is no other: it waits, says why, and goes when the link is up again."""
    a = serve("a", extensions=EXTENSIONS[kind], content=[cut(net, "a"), None])
    o = ours(smtp_content_timeout="3s", smtp_connect_timeout="2s")
    sent = o.send("u@lone.test", text(1, BODY))
    line = o.wait(r"to=<u@lone.test> .*status=deferred .*")
    assert "4.4.2" in line and "no answer within 3 s" in line, line
    assert not a.mails
    net.plug("a")
    wait_for(lambda: a.mails and a.mails[0].whole, 60 * patience(), why=o.log)
    o.wait_queue_empty()
    assert len(a.mails) == 1 and a.mails[0].data.endswith(sent.encode())


def test_gone_behind_the_content(net, ours, serve):
    """It has the message, and its 250 is lost: nobody knows. It is sent again, later, and shown as uncertain until then."""
    def taken(session):
        net.unplug("a")
        return "250 2.0.0 taken"

    a, b = serve("a", end=[taken, None]), serve("b")
    o = ours(smtp_done_timeout="3s", smtp_connect_timeout="2s", uncertain_backoff="5s")
    o.send("u@lone.test")
    line = o.wait(r"to=<u@lone.test> .*status=\w+ .*")
    assert "uncertain" in line, line
    assert not b.mails
    net.plug("a")
    wait_for(lambda: len(a.mails) == 2, 90 * patience(), why=o.log)
    o.wait_queue_empty()
    assert [m.data.count(b"Hello.") for m in a.mails] == [1, 1]


def test_the_dns_is_gone(net, ours, serve):
    """Put off, and never refused."""
    o, a = ours(dns_timeout="2s"), serve("a")
    net.unplug("ns")
    o.send("u@lone.test")
    assert "4.4.3" in o.wait(r"to=<u@lone.test> .*status=deferred .*")
    net.plug("ns")
    wait_for(lambda: a.mails, 90 * patience(), why=o.log)


def test_a_link_that_comes_and_goes(net, ours):
    """Two suites, and a wire that is unplugged again and again: what was taken is there, each at least once."""
    there = ours("c", listen_smtp=[f"{net['c'].address}:25"], local_domains=["peer.test"], hostname="c.test",
                 smtpd_command_timeout="5s", smtpd_content_timeout="5s")
    box = there.add_account("carl@peer.test")
    o = ours(**SHORT, smtp_connect_timeout="2s")
    body = "x" * 70 + "\r\n"
    for i in range(60):
        o.send("carl@peer.test", text(f"number-{i:02}", body * (i * 40)))
    for _ in range(5):
        net.unplug("c")
        time.sleep(random.uniform(0.5, 4))
        net.plug("c")
        time.sleep(random.uniform(0.1, 2))
    o.wait_queue_empty(120)
    there.wait_queue_empty(60)
    subjects = [re.search(rb"^Subject: (\S+)", m, re.M)[1].decode() for m in there.maildir(box).messages()]
    assert set(subjects) == {f"number-{i:02}" for i in range(60)}
    print(f"{len(subjects) - 60} of 60 were sent twice")


# ---- this host among the exchangers

@pytest.mark.parametrize("domain", ["ourselves.test", "circle.test"])
def test_ours_among_them(net, ours, serve, domain):
    """RFC 5321 section 5.1: those that are preferred no more than this host are no way on. Alone at the top it is a loop."""
    o, b = ours(smtp_connect_timeout="1s", listen_smtp=["0.0.0.0:25"]), serve("b")
    net.unplug("a")
    with net["us"]:
        o.suite.smtp_port = 25
    o.send(f"u@{domain}")
    line = o.wait(rf"to=<u@{domain}> .*status=\w+ .*")
    if domain == "ourselves.test":
        assert "status=failed" in line and "5.4.6" in line, line
    else:
        assert "status=deferred" in line and "connect to a.test" in line, line
    assert not b.sessions


# ---- who is told

def test_no_backscatter(net, ours, serve):
    """A stranger's message that cannot be delivered after all: the sender that it names, of another host, hears nothing."""
    o, b = ours(listen_smtp=["0.0.0.0:25"], bounce_to_strangers=False), serve("b")
    victim = "victim@pair.test"
    with net["c"], smtplib.SMTP(net["us"].address, 25, "c.test", timeout=30) as stranger:
        stranger.sendmail(victim, [f"bert@{DOMAIN}"], f"Delivered-To: bert@{DOMAIN}\r\nSubject: forged\r\n\r\nx\r\n")
    o.wait(r"status=held reason=.*")
    wait_for(lambda: o.queue_files("hold"), 10 * patience())
    assert len(o.queue_files()) == 1
    time.sleep(2)
    assert not b.sessions and not re.search(rf"to=<{victim}> .*status=", o.log())
    # From this host the same sender is believed: he does hear.
    with o.host:
        o.suite.smtp_port = 25
        o.suite.send("bert", f"Delivered-To: bert@{DOMAIN}\r\nSubject: ours\r\n\r\nx\r\n", sender=victim)
    wait_for(lambda: b.mails, 30 * patience(), why=o.log)
    assert b.mails[0].sender == "" and b.mails[0].rcpts[0][0] == victim


# ---- a real one

def test_postfix_over_there(net, ours, ended):
    """Found by MX, at port 25, over TLS that nobody vouches for, as most of the world is."""
    address, ca = net["c"].address, Authority()
    ended(ca.close)
    certificate = ca.issue("somebody.else", self_signed=True)
    postfix = Postfix(places={"plain": (address, 25)}, inet_interfaces=address, virtual_mailbox_domains="peer.test",
                      virtual_mailbox_maps="inline:{ anna@peer.test=anna/ }", smtpd_tls_security_level="may",
                      smtpd_tls_chain_files=f"{certificate.key}, {certificate.chain}")
    ended(postfix.end)
    with net["c"]:
        postfix.start()
    o = ours()
    sent = o.send("anna@peer.test", text(1))
    wait_for(lambda: postfix.maildir("anna").files(), 20 * patience(), why=lambda: o.log() + postfix.log())
    got, = postfix.maildir("anna").messages()
    assert got.replace(b"\n", b"\r\n").endswith(sent.encode()) and f"[{net['us'].address}]".encode() in got
    line = o.wait(r"to=<anna@peer.test> .*status=delivered")
    assert re.search(rf"relay=c.test \[{address}\]:25 tls=TLSv1\.3 \S+ untrusted ", line), line
