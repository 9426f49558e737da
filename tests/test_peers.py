# SPDX-License-Identifier: ISC
"""
The suite and servers that others wrote: mail to Postfix, Exim and Dovecot's LMTP, and back from the two; octet by octet, by each
extension, with what they refuse, put off and tell the sender. They are real (hermodtest/peers.py), and so is the DNS (NSD).
"""
import contextlib
import email
import email.policy
import os
import re
import time

import pytest

from hermodtest.certificates import Authority
from hermodtest.dns import Zones
from hermodtest.peers import Exim, Greylist, Lmtp, Postfix, beyond_trace
from hermodtest.proc import free_ports, wait_for
from hermodtest.servers import Server
from hermodtest.suite import DOMAIN, HOSTNAME, Suite, patience

pytestmark = pytest.mark.root

SETTINGS = {"trusted_networks": ["127.0.0.0/8"], "smtp_allow_loopback": True, "early_delivery_time": "0s",
            "smtp_connection_cache_time": "0s", "minimal_backoff": "1s", "maximal_backoff": "1s", "delay_warning_time": "0s"}
NO_EXTENSIONS = "pipelining, chunking, dsn, smtputf8, 8bitmime, enhancedstatuscodes"


def send(suite, to, text, sender=f"anna@{DOMAIN}", options=(), rcpt_options=()):
    """By hand: smtplib would ask for other options than the test's."""
    c = suite.smtp()
    c.command_encoding = "utf-8"
    c.ehlo("client.test")
    code, said = c.mail(sender, list(options))
    assert code == 250, said
    for r in [to] if isinstance(to, str) else to:
        code, said = c.rcpt(r, list(rcpt_options))
        assert code == 250, said
    code, said = c.data(text if isinstance(text, bytes) else text.encode())
    assert code == 250, said
    c.close()
    return said.decode().split()[-1]


def mail(to, sender=f"anna@{DOMAIN}", body="Hello.\r\n"):
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: test\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
            f"Message-ID: <{time.monotonic_ns()}@test>\r\n\r\n{body}")


class House:
    """One Postfix with a listener for each way to be; one Exim; the suite, which knows the way to all."""

    def __init__(self):
        self.ca, self.grey = Authority(), Greylist()
        certificate = self.ca.issue("mx.peer.test")
        tls = {"smtpd_tls_chain_files": f"{certificate.key}, {certificate.chain}"}
        strict = "reject_unauth_pipelining, permit"
        self.postfix = Postfix({
            "plain": {}, "tls": {"smtpd_tls_security_level": "may", **tls},
            "encrypt": {"smtpd_tls_security_level": "encrypt", **tls},
            "bare": {"smtpd_discard_ehlo_keywords": NO_EXTENSIONS, "smtpd_helo_restrictions": strict,
                     "smtpd_sender_restrictions": strict, "smtpd_data_restrictions": strict},
            "nodsn": {"smtpd_discard_ehlo_keywords": "dsn"}, "small": {"message_size_limit": "20000"},
            "grey": {"smtpd_recipient_restrictions": f"check_policy_service inet:127.0.0.1:{self.grey.port}"}})
        self.exim = Exim(other_domains=["back.exim.test"])
        routes = [f"{n}.peer.test smtp:{self.postfix.nexthop(n)}" for n in self.postfix.listeners]
        routes += [f"{d} smtp:{self.postfix.nexthop('tls')}" for d in ("back.peer.test", "on.peer.test", "never.peer.test", "loop.test")]
        routes += [f"{d} smtp:{self.exim.nexthop()}" for d in ("exim.test", "back.exim.test")]
        self.suite = Suite({**SETTINGS, "routes": routes})
        self.onward = Server(extensions=["PIPELINING", "8BITMIME"], rcpt={"carl@never.peer.test": "550 5.2.1 closed for ever"})
        here = f"127.0.0.1:{self.suite.smtp_port}"
        self.postfix.settings = {
            "transport_maps": "inline:{ " + ", ".join(f"{d}=smtp:[127.0.0.1]:{port}" for d, port in (
                (DOMAIN, self.suite.smtp_port), ("loop.test", self.suite.smtp_port), ("on.peer.test", self.onward.port),
                ("never.peer.test", self.onward.port))) + " }",
            "virtual_alias_domains": "back.peer.test", "smtp_tls_security_level": "may",
            "virtual_alias_maps": "regexp:" + self.postfix.write("etc/aliases", f"/^(.*)@back\\.peer\\.test$/ $1@{DOMAIN}\n"),
            "relay_domains": "on.peer.test, never.peer.test, loop.test",
            "mime_header_checks": "regexp:" + self.postfix.write(
                "etc/mime", "/^content-type: (message|text)\\// WARN part\n"),
            "nested_header_checks": "regexp:" + self.postfix.write("etc/nested", "/^subject:/ WARN returned\n")}
        self.exim.routers = f"""
back:
  driver = redirect
  domains = back.exim.test
  data = $local_part@{DOMAIN}
out:
  driver = manualroute
  domains = {DOMAIN}
  route_data = {here.replace(':', '::')}
  self = send
  transport = out
"""

    def start(self):
        self.postfix.start()
        self.exim.start()

    def end(self):
        self.suite.end()
        for x in (self.postfix, self.exim, self.onward, self.grey):
            x.end()
        self.ca.close()


@pytest.fixture(scope="module")
def house():
    h = House()
    try:
        h.start()
        yield h
    finally:
        h.end()


class Boxes:
    """Dovecot's LMTP by TCP (tcp.box.test) and by its UNIX socket (unix.box.test), and a suite that sends there."""

    def __init__(self, boxes=None, settings=""):
        self.names = {f"{u}@{d}.box.test": None for u in ("anna", "bert") for d in ("tcp", "unix")}
        self.names.update(boxes or {})
        self.lmtp = Lmtp(self.names, settings)
        self.suite = Suite({**SETTINGS, "lmtp_sockets": [self.lmtp.socket],
                            "routes": [f"tcp.box.test lmtp:{self.lmtp.nexthop()}", f"unix.box.test lmtp:unix:{self.lmtp.socket}"]})

    def end(self):
        self.suite.end()
        self.lmtp.end()


@pytest.fixture
def make_boxes():
    made = []

    def make(*args, **how):
        made.append(Boxes(*args, **how))
        made[-1].lmtp.start()
        return made[-1]
    yield make
    for b in made:
        b.end()


@pytest.fixture(scope="module")
def boxes():
    b = Boxes({"full@tcp.box.test": "*:storage=1K", "full@unix.box.test": "*:storage=1K"})
    try:
        b.lmtp.start()
        yield b
    finally:
        b.end()


# ---- octet by octet

def message(kind, to):
    """Octets, and the parameters that they need."""
    head = (f"From: Anna <anna@{DOMAIN}>\r\nTo: <{to}>\r\nSubject: {kind}\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
            f"Message-ID: <{kind}.{time.monotonic_ns()}@test>\r\n").encode()
    if kind == "dots":
        return head + b"\r\n.\r\n..\r\n...\r\n.text\r\n \r\n\t\r\ntrailing  \r\n\r\nFrom here\r\n>From there\r\n\r\n\r\n", []
    if kind == "long":
        return head + b"X-Long: " + b"h" * 900 + b"\r\nX-Folded: a\r\n\tb\r\n  c\r\n\r\n" + b"." * 990 + b"\r\n", []
    if kind == "8bit":
        return (head + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n"
                b"\r\nGr\xfc\xdfe\r\n.\xff\xfe\x80\r\n" + bytes(range(160, 256)) + b"\r\n"), ["BODY=8BITMIME"]
    if kind == "utf8":
        return (head + "X-Gruss: größer\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\nΓειά\r\n".encode(), ["SMTPUTF8", "BODY=8BITMIME"])
    if kind == "empty":
        return head + b"\r\n", []
    assert kind == "large"
    return head + b"\r\n" + b"".join(b".%d line of a message that no buffer holds\r\n" % i for i in range(60000)), []


KINDS = ["dots", "long", "8bit", "utf8", "empty", "large"]


def arrives(suite, peer, to, kind):
    """The octets, as that peer has them in the mailbox."""
    octets, options = message(kind, to)
    known = set(peer.maildir(to).files())
    send(suite, to, octets, options=options)
    new = wait_for(lambda: set(peer.maildir(to).files()) - known, 60 * patience(),
                   why=lambda: suite.log()[-2000:] + peer.log()[-2000:])
    return octets, open(new.pop(), "rb").read()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["plain", "tls"])
def test_to_postfix(house, way, kind):
    to, before = f"anna@{way}.peer.test", len(house.postfix.log())
    sent, there = arrives(house.suite, house.postfix, to, kind)
    assert beyond_trace(there) == sent
    line = house.suite.wait_log(rf"to=<{to}>.*")[0]
    assert ("tls=TLSv1.3 " in line) == (way == "tls"), line
    # It was by BDAT, and what was negotiated is what was there.
    tls = r"ehlo=2 starttls=1" if way == "tls" else "ehlo=1"
    house.postfix.wait_log(rf"disconnect from .* {tls} mail=1 rcpt=1 bdat=\d+ quit=1 ", after=before)


@pytest.mark.parametrize("kind", KINDS)
def test_to_exim(house, kind):
    before = len(house.exim.log())
    sent, there = arrives(house.suite, house.exim, "anna@exim.test", kind)
    assert beyond_trace(there) == sent
    line = house.exim.wait_log(r"<= anna@hermod.test .*", after=before)[0]
    assert re.search(r" P=(utf8)?esmtps X=TLS1\.3:\S+ .*K ", line), line          # by STARTTLS and CHUNKING
    assert ("P=utf8esmtps" in line) == (kind == "utf8"), line


@pytest.mark.parametrize("way", ["tcp", "unix"])
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "utf8"])
def test_to_dovecot(boxes, way, kind):
    sent, there = arrives(boxes.suite, boxes.lmtp, f"anna@{way}.box.test", kind)
    assert beyond_trace(there) == sent


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "utf8"])
def test_to_postfix_without_extensions(house, kind):
    """Neither pipelined (Postfix would refuse that) nor with parameters; what has 8 bits comes as what it was, in 7."""
    before = len(house.postfix.log())
    sent, there = arrives(house.suite, house.postfix, "anna@bare.peer.test", kind)
    house.postfix.wait_log(r"disconnect from .* ehlo=1 mail=1 rcpt=1 data=1 quit=1 ", after=before)
    if kind != "8bit":
        assert beyond_trace(there) == sent
        return
    assert there.isascii()
    one, other = (email.message_from_bytes(m, policy=email.policy.SMTP) for m in (sent, beyond_trace(there)))
    # Line ends of text are those of the wire in the one, and of the decoder in the other.
    assert one.get_payload(decode=True).splitlines() == other.get_payload(decode=True).splitlines()
    assert other["Content-Transfer-Encoding"] in ("quoted-printable", "base64") and one["Subject"] == other["Subject"]


def test_letters_beyond_ascii_where_they_are_not_known(house):
    """5.6.7 (RFC 6531 section 3.5), and nothing of it is there."""
    octets, options = message("utf8", "anna@bare.peer.test")
    before = len(house.suite.log())
    send(house.suite, "anna@bare.peer.test", octets, options=options)
    line = house.suite.wait_log(r"to=<anna@bare.peer.test> .*status=failed.*", after=before)[0]
    assert "5.6.7" in line, line


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["peer", "exim"])
def test_there_and_back(house, way, kind):
    """Out by our client, back to our server by theirs."""
    user = house.suite.add_account(f"{way}-{kind}")
    octets, options = message(kind, user)
    send(house.suite, f"{way}-{kind}@back.{way}.test", octets, options=options)
    got, = house.suite.maildir(user).wait(1, 60)
    assert beyond_trace(got) == octets
    trace = got[:got.index(b"From: Anna")]
    assert trace.count(b"Received:") == 3 and re.search(rb"\(Postfix\)|\(Exim", trace), trace


# ---- what they refuse, and when

class Notice:
    def __init__(self, raw):
        self.raw = raw.replace(b"\r\n", b"\n")
        self.m = email.message_from_bytes(self.raw, policy=email.policy.default)
        self.parts = self.m.get_payload()
        assert self.m.get_content_type() == "multipart/report", self.raw
        groups = [email.message_from_string(str(g)) for g in self.parts[1].get_payload()]
        self.message, self.rcpts = groups[0], groups[1:]

    def flat(self, name, i=0):
        return " ".join(self.rcpts[i][name].split())

    def actions(self):
        return [(self.flat("Final-Recipient", i).split("; ")[-1], self.flat("Action", i)) for i in range(len(self.rcpts))]


def own(suite, name):
    """An account that only one test uses, and reads the notifications of."""
    return suite.add_account(name)


def notice(suite, user, seconds=60):
    got = suite.maildir(user).wait(1, seconds)
    assert len(got) == 1
    return Notice(got[0])


@pytest.mark.parametrize("peer,domain,words", [
    ("postfix", "plain.peer.test", "550 5.1.1 <nobody@plain.peer.test>: Recipient address rejected: User unknown in virtual mailbox"),
    ("exim", "exim.test", "550 5.1.1 nobody of that name")])
def test_one_of_three_is_unknown(house, peer, domain, words):
    sender, other = own(house.suite, f"three-{peer}"), getattr(house, peer)
    rcpts = [f"{u}@{domain}" for u in ("anna", "nobody", "bert")]
    known = {r: len(other.maildir(r).files()) for r in rcpts}
    send(house.suite, rcpts, mail("them", sender), sender)
    n = notice(house.suite, sender)
    assert n.actions() == [(f"nobody@{domain}", "failed")] and n.flat("Status") == "5.1.1"
    assert n.flat("Diagnostic-Code").startswith("smtp; " + words), n.flat("Diagnostic-Code")
    wait_for(lambda: [len(other.maildir(r).files()) - known[r] for r in rcpts] == [1, 0, 1], 30 * patience())


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_one_mailbox_of_three_is_full(boxes, way):
    """LMTP says behind the content what became of each."""
    sender = own(boxes.suite, f"full-{way}")
    rcpts = [f"{u}@{way}.box.test" for u in ("anna", "full", "bert")]
    known = {r: len(boxes.lmtp.maildir(r).files()) for r in rcpts}
    send(boxes.suite, rcpts, mail("them", sender, body="Hello. " * 10 + "\r\n" + ("x" * 70 + "\r\n") * 40), sender)
    n = notice(boxes.suite, sender)
    assert n.actions() == [(f"full@{way}.box.test", "failed")] and n.flat("Status") == "5.2.2"
    assert "552 5.2.2 <full@" in n.flat("Diagnostic-Code") and "Quota exceeded" in n.flat("Diagnostic-Code")
    assert [len(boxes.lmtp.maildir(r).files()) - known[r] for r in rcpts] == [1, 0, 1]


def test_one_mailbox_of_three_is_full_for_now(make_boxes):
    """It waits for that one alone, and has it when there is room; nobody has it twice."""
    boxes = make_boxes({"full@tcp.box.test": "*:storage=1K"}, settings="quota_full_tempfail = yes")
    rcpts = [f"{u}@tcp.box.test" for u in ("anna", "full", "bert")]
    send(boxes.suite, rcpts, mail("them", body=("x" * 70 + "\r\n") * 40))
    boxes.suite.wait_log(r"to=<full@tcp.box.test>.* status=deferred .*4\.2\.2 .*452 4\.2\.2 <full@tcp.box.test> Quota exceeded")
    boxes.lmtp.know({**boxes.names, "full@tcp.box.test": "*:storage=100M"})
    boxes.lmtp.maildir("full@tcp.box.test").wait(1, 60)
    boxes.suite.wait_queue_empty()
    assert [len(boxes.lmtp.maildir(r).files()) for r in rcpts] == [1, 1, 1]


def test_greylisting(house):
    """Refused once with 450, taken when it comes again: once."""
    sender, to = own(house.suite, "grey"), "bert@grey.peer.test"
    send(house.suite, to, mail(to, sender), sender)
    house.suite.wait_log(rf"to=<{to}> .*status=deferred .*450 4\.2\.0 <{to}>: Recipient address rejected: greylisted")
    house.postfix.maildir(to).wait(1, 120)
    house.suite.wait_log(rf"to=<{to}> .*status=delivered")
    assert house.grey.refused.count((sender, to)) == 1 and len(house.postfix.maildir(to).files()) == 1
    assert not house.suite.maildir(sender).files()


def test_too_large_for_it(house):
    """SIZE says so before anything is sent (RFC 1870)."""
    sender, before = own(house.suite, "size"), len(house.postfix.log())
    send(house.suite, "anna@small.peer.test", mail("anna", sender, body=("x" * 70 + "\r\n") * 1000), sender)
    n = notice(house.suite, sender)
    assert n.flat("Status") == "5.3.4" and not house.postfix.maildir("anna@small.peer.test").files()
    house.postfix.wait_log(r"disconnect from .* ehlo=1( mail=0/1)?( rcpt=0/1)?( bdat=0/1)? quit=1 ", after=before)


# ---- TLS

def test_encryption_is_wanted(house):
    to = "anna@encrypt.peer.test"
    sent, there = arrives(house.suite, house.postfix, to, "dots")
    assert beyond_trace(there) == sent
    assert "tls=TLSv1.3 " in house.suite.wait_log(rf"to=<{to}> .*status=delivered")[0]


def test_encryption_is_wanted_and_not_had(house, make_suite):
    """530 5.7.0 is the server's word for good; none of the content was said in clear."""
    suite = make_suite(**SETTINGS, smtp_tls="never", routes=[f"encrypt.peer.test smtp:{house.postfix.nexthop('encrypt')}"])
    before = len(house.postfix.maildir("bert@encrypt.peer.test").files())
    send(suite, "bert@encrypt.peer.test", mail("bert"))
    line = suite.wait_log(r"to=<bert@encrypt.peer.test> .*status=\w+ .*")[0]
    assert "status=failed" in line and "530 5.7.0 Must issue a STARTTLS command first" in line, line
    assert len(house.postfix.maildir("bert@encrypt.peer.test").files()) == before


@pytest.fixture
def ended():
    """What is to be called at the end, the last first."""
    with contextlib.ExitStack() as stack:
        yield stack.callback


def test_dane(ended):
    """A signed zone says which key Postfix has to show. It shows that, and mail goes; another, and it waits."""
    ca, zones = Authority(), Zones()
    ended(ca.close)
    ended(zones.close)
    good, bad = ca.issue("mx1.signed", self_signed=True), ca.issue("mx2.signed", self_signed=True)
    port = free_ports(1)[0]
    postfix = Postfix({name: {"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": f"{c.key}, {c.chain}"}
                       for name, c in (("one", good), ("two", bad))},
                      places={"one": ("127.0.1.1", port), "two": ("127.0.1.2", port)},
                      virtual_mailbox_domains="one.signed, two.signed",
                      virtual_mailbox_maps="inline:{ anna@one.signed=one/, anna@two.signed=two/ }")
    ended(postfix.end)
    root, anchor = zones.keys(".")
    signed, ds = zones.keys("signed.")
    zones.add("signed.", "".join(f"{name} MX 10 mx{n}\nmx{n} A 127.0.1.{n}\n_{port}._tcp.mx{n} TLSA {good.tlsa(3, 1, 1)}\n"
                                 for n, name in ((1, "one"), (2, "two"))), signed)
    zones.add(".", "signed. NS ns.test.\n" + ds + "\n", root)
    path = os.path.join(zones.dir, "anchor")
    with open(path, "w") as f:
        f.write(anchor + "\n")
    zones.start()
    postfix.start()
    suite = Suite({**SETTINGS, "dns_zones": [f". {zones.address}"], "trust_anchor_file": path, "smtp_port": port})
    ended(suite.end)
    send(suite, "anna@one.signed", mail("anna"))
    assert re.search(r"tls=TLSv1\.3 \S+ dane-ee ", suite.wait_log(r"to=<anna@one.signed> .*status=delivered")[0])
    postfix.maildir("one").wait(1)
    send(suite, "anna@two.signed", mail("anna"))
    line = suite.wait_log(r"to=<anna@two.signed> .*status=\w+ .*")[0]
    assert "status=deferred" in line and "4.7.5" in line and "TLSA records of mx2.signed" in line, line
    wait_for(lambda: suite.log().count("TLSA records of mx2.signed") > 2, 60 * patience(), why=suite.log)
    assert not postfix.maildir("two").files()
    assert "anna@two.signed" not in postfix.log()


# ---- who tells the sender what

def test_postfix_reads_our_notification(house):
    """Its parser finds the parts of a multipart/report, and the header of what is returned."""
    sender, before = "anna@plain.peer.test", len(house.postfix.log())
    known = set(house.postfix.maildir(sender).files())
    send(house.suite, "nobody@exim.test", mail("nobody", sender), sender)
    new = wait_for(lambda: set(house.postfix.maildir(sender).files()) - known, 60 * patience(), why=house.suite.log)
    raw = open(new.pop(), "rb").read()
    assert raw.startswith(b"Return-Path: <>\n")
    n = Notice(raw[raw.index(b"Date:"):])
    assert n.m["To"].addresses[0].addr_spec == sender and n.actions() == [("nobody@exim.test", "failed")]
    assert n.message["Reporting-MTA"] == f"dns; {HOSTNAME}" and n.flat("Remote-MTA") == "dns; [127.0.0.1]"
    for part in ("text/plain", "message/delivery-status", "message/rfc822"):
        house.postfix.wait_log(rf"warning: header Content-Type: {part}", after=before)
    house.postfix.wait_log(r"warning: header Subject: test", after=before)


def test_success_is_told_by_postfix(house):
    """It offers DSN, so that what was asked for is its business now: ENVID and ORCPT reach it, and come back."""
    sender = own(house.suite, "success")
    send(house.suite, "bert@plain.peer.test", mail("bert", sender), sender, options=["ENVID=E+2B1", "RET=HDRS"],
         rcpt_options=["NOTIFY=SUCCESS", "ORCPT=rfc822;B+2Bert@plain.peer.test"])
    n = notice(house.suite, sender)
    assert n.message["Reporting-MTA"] == "dns; mx.peer.test" and n.message["Original-Envelope-Id"] == "E+1"
    assert n.actions() == [("bert@plain.peer.test", "delivered")]
    assert n.flat("Original-Recipient") == "rfc822;B+ert@plain.peer.test"
    assert n.parts[2].get_content_type() == "text/rfc822-headers"
    assert "kind=success" not in "\n".join(x for x in house.suite.log().splitlines() if sender in x)


def test_success_is_told_by_us(house):
    """It offers no DSN: the last that is known is that we have handed the message on (RFC 3461 section 5.2.2)."""
    sender = own(house.suite, "handed")
    send(house.suite, "bert@nodsn.peer.test", mail("bert", sender), sender, rcpt_options=["NOTIFY=SUCCESS"])
    n = notice(house.suite, sender)
    assert n.message["Reporting-MTA"] == f"dns; {HOSTNAME}" and n.actions() == [("bert@nodsn.peer.test", "relayed")]
    house.postfix.maildir("bert@nodsn.peer.test").wait(1)
    time.sleep(2)
    assert len(house.suite.maildir(sender).files()) == 1


def test_relayed_is_told_by_postfix(house):
    """The server behind it has no DSN: Postfix says so, and we say nothing."""
    sender = own(house.suite, "onward")
    send(house.suite, "carl@on.peer.test", mail("carl", sender), sender, rcpt_options=["NOTIFY=SUCCESS"])
    n = notice(house.suite, sender)
    assert n.message["Reporting-MTA"] == "dns; mx.peer.test" and n.actions() == [("carl@on.peer.test", "relayed")]
    assert house.onward.mails[-1].rcpts[0][0] == "carl@on.peer.test"


@pytest.mark.parametrize("notify,n", [(None, 1), ("FAILURE", 1), ("SUCCESS", 0), ("NEVER", 0)])
def test_postfix_tells_of_a_failure(house, notify, n):
    """It has taken the message, and cannot deliver it."""
    sender, before = own(house.suite, f"later-{notify}".lower()), len(house.postfix.log())
    send(house.suite, "carl@never.peer.test", mail("carl", sender), sender, rcpt_options=[f"NOTIFY={notify}"] if notify else [])
    house.postfix.wait_log(r"to=<carl@never.peer.test>.* status=bounced[^\n]*\n(?:.*\n)*?.*: removed", after=before)
    if n:
        told = notice(house.suite, sender)
        assert told.actions() == [("carl@never.peer.test", "failed")] and told.flat("Status") == "5.2.1"
        return
    time.sleep(2)
    assert not house.suite.maildir(sender).files()


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "DELAY"])
def test_nobody_is_told_of_a_failure(house, notify):
    """Refused by Exim, and the sender did not want to know."""
    sender, before = own(house.suite, f"silent-{notify}".lower()), len(house.suite.log())
    send(house.suite, "nobody@exim.test", mail("nobody", sender), sender, rcpt_options=[f"NOTIFY={notify}"])
    house.suite.wait_log(r"to=<nobody@exim.test> .*status=failed", after=before)
    house.suite.wait_queue_empty()
    time.sleep(1)
    assert not house.suite.maildir(sender).files()


def test_two_hosts_that_send_to_each_other(house):
    """Whoever first counts too many Received: fields ends it (RFC 5321 section 6.3), and its sender is told once."""
    sender = own(house.suite, "circle")
    send(house.suite, "u@loop.test", mail("u", sender), sender)
    n = notice(house.suite, sender, 120)
    assert n.actions() == [("u@loop.test", "failed")] and n.flat("Status") in ("5.4.0", "5.4.6"), n.raw
    house.suite.wait_queue_empty()
    time.sleep(1)
    assert len(house.suite.maildir(sender).files()) == 1
