# SPDX-License-Identifier: ISC
"""
smtp-client against servers that are good, bad and strange: what becomes of the recipients, what is said of the next hop,
and what the server has seen. The process is alone here (hermodtest/relay.py): the test is its qmgr and its resolver.
"""
import email
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from hermodtest import peers, proc
from hermodtest.certificates import Authority
from hermodtest.proc import wait_for
from hermodtest.relay import (BOUNCE, BUSY, DELIVERED, DNS_BOGUS, DNS_FAILED, DNS_NO_NAME, FAILED, GOOD, MESSAGE, NONE, Relay,
                              TRY_LATER)
from hermodtest.servers import (CLOSE, ENDLESS, EXTENSIONS, GARBAGE, HANG, LONG, RESET, Server, Silent, refusing_port)
from hermodtest.suite import patience

PLAIN = []                          # no extension at all
PIPELINED = ["PIPELINING"]
KINDS = {"plain": PLAIN, "pipelined": PIPELINED, "chunking": EXTENSIONS}
STAGES = {"ehlo": "helo", "handshake": "tls", "end": "done"}
# For calls that fail on order: of a connection that only this process takes for reset nothing is heard.
QUICK = {f"smtp_{stage}_timeout": "1s" for stage in ("greeting", "helo", "tls", "mail", "rcpt", "data", "content", "done")}
THREE = ["a@x.test", "b@x.test", "c@x.test"]


def hurry(steps):
    """Settings for a server that hangs: it is not waited for there (nor for its last reply, where all has been sent by then). All else
    has its time, for on a machine under load any server is slow."""
    hangs = [step for step, what in steps.items() if HANG in (what, *(what.values() if isinstance(what, dict) else ()))]
    return {f"smtp_{STAGES.get(step, step)}_timeout": f"{patience()}s" for step in hangs + ["end"] * len(hangs)}


@pytest.fixture(scope="module")
def relay():
    r = Relay(smtp_connection_cache_time="0s")
    yield r
    r.end()


@pytest.fixture
def alone():
    """Relays of their own settings."""
    made = []

    def make(*args, **settings):
        made.append(Relay(*args, **settings))
        return made[-1]
    yield make
    for r in made:
        r.end()


# ---- what goes well

@pytest.mark.parametrize("kind", KINDS)
def test_delivery(relay, kind):
    with Server(extensions=KINDS[kind]) as server:
        r = relay.relay(server.nexthop(), THREE)
        assert r.outcomes() == [DELIVERED] * 3 and r.contact == GOOD and r.tls == ""
        assert r.results[0].remote == f"[127.0.0.1]:{server.port}"
        assert r.results[0].reply == f"[127.0.0.1]:{server.port} said: 250 2.0.0 taken as 0 (to content)"
        mail, = server.mails
        assert mail.sender == "s@here.test" and [a for a, _ in mail.rcpts] == THREE and mail.data == MESSAGE
        wait_for(lambda: server.verbs()[-1] == "QUIT", 5 * patience())
        assert server.commands()[0] == "EHLO client.test"


# ---- where connections come from

def test_bind(alone):
    """The route's word goes before the setting's."""
    relay = alone(smtp_bind_ipv4="127.0.3.1", smtp_connection_cache_time="0s")
    with Server() as server:
        for route, client in (("", "127.0.3.1"), (";from=127.0.3.2", "127.0.3.2"), (";from=127.0.3.3,2001:db8::1", "127.0.3.3")):
            assert relay.relay(server.nexthop() + route).outcome == DELIVERED
            assert server.sessions[-1].client == client


def test_from_mx(alone):
    """Each exchanger and each of its addresses is tried from there, and none of another family."""
    relay = alone({("d.test", "MX"): ["10 mx1.test", "20 mx2.test"], ("mx1.test", "A"): ["127.0.1.1"], ("mx1.test", "AAAA"): ["::1"],
                   ("mx2.test", "A"): ["127.0.1.2"]}, smtp_allow_loopback=True, smtp_connection_cache_time="0s")
    with Server(address="127.0.1.1", greeting="421 4.3.2 later") as first, Server(address="127.0.1.2", port=first.port) as second:
        r = relay.relay(f"d.test:{first.port};from=127.0.3.4")
        assert r.outcome == DELIVERED, r
        assert [s.client for s in first.sessions + second.sessions] == ["127.0.3.4"] * 2


def test_from_is_not_shared(alone):
    """A connection that is kept is for mail that comes from the same address."""
    relay = alone(smtp_connection_cache_time="1m")
    with Server() as server:
        for client in ("127.0.3.1", "127.0.3.2", "127.0.3.1", "127.0.3.2"):
            assert relay.relay(f"{server.nexthop()};from={client}").outcome == DELIVERED
        assert [s.client for s in server.sessions] == ["127.0.3.1", "127.0.3.2"]
        assert [m.session for m in server.mails] == [0, 1, 0, 1]


def test_from_what_is_not_ours(alone):
    """That is this host's fault, and says which words are wrong."""
    relay = alone()
    with Server() as server:
        r = relay.relay(f"{server.nexthop()};from=203.0.113.77")
        assert r.outcome == TRY_LATER and r.contact == NONE and ";from= of the route" in r.reply and "Cannot assign" in r.reply, r
        assert not server.sessions


def test_from_another_family(alone):
    relay = alone({("six.test", "AAAA"): ["::1"]})
    r = relay.relay("[six.test];from=127.0.3.1")
    assert r.outcome == TRY_LATER and r.contact == NONE and r.status == "4.3.5", r
    assert r.reply == "six.test has addresses of IPv6 alone, and mail by this route goes from an address of IPv4: add another to ;from="


def test_segments(relay):
    """Content is joined of text and of runs of the file."""
    with Server() as server:
        file = os.memfd_create("message")
        os.write(file, b"0123456789hello\r\n")
        text = b"Received: x\r\n\r\n"
        segments = struct.pack("<BI", 0, len(text)) + text + struct.pack("<BQQ", 1, 10, 7) + struct.pack("<BQQ", 1, 15, 2)
        r = relay.relay(server.nexthop(), file=file, segments=segments, size=len(text) + 9)
        os.close(file)
        assert r.outcome == DELIVERED
        assert server.mails[0].data == text + b"hello\r\n\r\n"


@pytest.mark.parametrize("kind", KINDS)
def test_large(alone, kind):
    """More than any buffer holds; a server that reads slowly holds it up, and nothing else."""
    relay = alone(smtp_connection_cache_time="0s")
    message = b"Subject: large\r\n\r\n" + b"".join(b".%d line of a message\r\n" % i for i in range(120000))

    def slow(session):
        time.sleep(0.5)

    with Server(extensions=[e.replace("10000000", "0") for e in KINDS[kind]], content=[slow, None]) as server, Server() as other:
        call = relay.begin(server.nexthop(), message=message)
        assert relay.relay(other.nexthop()).outcome == DELIVERED
        assert relay.result(call).outcome == DELIVERED
        assert server.mails[0].data == message


def test_empty_message(relay):
    with Server() as server:
        assert relay.relay(server.nexthop(), message=b"").outcome == DELIVERED
        assert server.mails[0].data in (b"", b"\r\n")


def test_dsn(relay):
    rcpts = [{"address": "a@x.test", "orcpt": "rfc822;o@x.test", "notify": 6}]
    with Server() as server, Server(extensions=PIPELINED) as other:
        r = relay.relay(server.nexthop(), rcpts, ret=2, envid="id+1")
        assert r.outcome == DELIVERED and r.dsn == 1
        assert "RET=HDRS" in server.mails[0].parameters and "ENVID=id+2B1" in server.mails[0].parameters
        assert "NOTIFY=SUCCESS,FAILURE" in server.mails[0].rcpts[0][1]
        assert "ORCPT=rfc822;o@x.test" in server.mails[0].rcpts[0][1]
        assert relay.relay(other.nexthop(), rcpts, ret=2, envid="id").dsn == 0


SMUGGLED = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<a@x.test>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n"
ENDS = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r\n.\n", b"\r.\r\n", b"\r\r\n.\r\n", b"\r\n\0.\r\n"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_smuggling(relay, kind, end):
    """CVE-2023-51764: what another host might take for the end of the content never goes out, whatever a file holds."""
    with Server(extensions=KINDS[kind]) as server:
        r = relay.relay(server.nexthop(), message=b"Subject: outer\r\n\r\nouter" + end + SMUGGLED + b".\r\nend\r\n")
        assert r.outcome == DELIVERED, r
        mail, = server.mails
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", mail.data) and b"\r\nforged\r\n.\r\nend\r\n" in mail.data
        assert server.verbs().count("MAIL") == 1 and mail.sender == "s@here.test"


@pytest.mark.parametrize("reply,status", [("550", "5.0.0"), ("550 ", "5.0.0"), ("550 5.7.2", "5.7.2"), ("550 5.7.2 ", "5.7.2"),
                                          ("550 5.7.", "5.0.0"), ("550 5", "5.0.0"), ("550 4.7.1 no", "5.0.0"),
                                          ("550 5.99999999999.1 no", "5.0.0")])
def test_replies_with_few_words(relay, reply, status):
    """CVE-2026-43964: a status with nothing behind it."""
    with Server(rcpt=lambda s: s.send_octets(reply.encode() + b"\r\n")) as server:
        r = relay.relay(server.nexthop())
        assert r.outcome == BOUNCE and r.said.strip() == reply.strip(), r
        assert r.status == status or r.status.startswith("5."), r


# ---- each step, each way to fail

STEPS = {"greeting": 220, "mail": 250, "rcpt": 250, "data": 354, "end": 250}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "end"])
@pytest.mark.parametrize("reply,outcome", [("451 4.3.0 not now", TRY_LATER), ("550 5.7.1 never", BOUNCE)])
def test_refused_at(relay, kind, step, reply, outcome):
    if step == "data" and kind == "chunking":
        pytest.skip("with CHUNKING there is no DATA")
    with Server(extensions=KINDS[kind], **{step: reply}) as server:
        r = relay.relay(server.nexthop(), THREE)
        assert r.outcomes() == [outcome] * 3, r
        assert r.contact == GOOD and not server.mails and r.results[0].uncertain == 0
        assert r.results[0].status == reply.split()[1] and r.results[0].said == reply
        assert r.results[0].command == {"end": "content"}.get(step, step.upper())
        assert reply in r.results[0].reply and f"[127.0.0.1]:{server.port} said" in r.results[0].reply


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", [RESET, CLOSE, HANG, GARBAGE, ENDLESS, LONG], ids=str)
@pytest.mark.parametrize("step", ["greeting", "ehlo", "mail", "rcpt", "data", "end"])
def test_broken_at(relay, alone, kind, step, action):
    if step == "data" and kind == "chunking":
        pytest.skip("with CHUNKING there is no DATA")
    if action is HANG:
        relay = alone(**hurry({step: action}))
    with Server(extensions=KINDS[kind], **{step: action}) as server:
        r = relay.relay(server.nexthop(), THREE)
        assert r.outcomes() == [TRY_LATER] * 3, r
        assert r.results[0].uncertain == (step == "end"), r
        assert r.contact in (FAILED, BUSY), r
        assert f"[127.0.0.1]:{server.port}" in r.results[0].reply
        assert r.results[0].status.startswith("4.")
        # A reset right behind the connection may be all that is seen of it.
        assert r.results[0].remote == f"[127.0.0.1]:{server.port}" or (step, action) == ("greeting", RESET)
        assert not server.mails or step == "end"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", [RESET, CLOSE, HANG], ids=str)
def test_broken_in_content(relay, alone, kind, action):
    if action is HANG:
        relay = alone(**hurry({"content": action}))
    message = b"Subject: large\r\n\r\n" + b"line of a message\r\n" * 500000
    with Server(extensions=[e.replace("10000000", "0") for e in KINDS[kind]], content=action) as server:
        r = relay.relay(server.nexthop(), message=message)
        assert r.outcome == TRY_LATER and r.uncertain == 0, r
        assert r.command == "content"


@pytest.mark.parametrize("kind", KINDS)
def test_refused_in_content(relay, kind):
    """A server that has had enough says so, and closes without reading the rest: its words are what is told."""
    message = b"Subject: large\r\n\r\n" + b"line of a message\r\n" * 500000

    def enough(session):
        session.send("552 5.3.4 that is too large")
        time.sleep(0.2)
        return CLOSE

    with Server(extensions=[e.replace("10000000", "0") for e in KINDS[kind]], content=enough) as server:
        r = relay.relay(server.nexthop(), message=message)
        assert r.outcome == BOUNCE and r.said == "552 5.3.4 that is too large", r


@pytest.mark.parametrize("step", ["greeting", "ehlo", "mail", "rcpt", "end"])
def test_421(relay, step):
    with Server(**{step: "421 4.3.2 going down"}) as server:
        r = relay.relay(server.nexthop())
        assert r.outcome == TRY_LATER and r.uncertain == 0 and r.contact == BUSY, r
        assert r.said == "421 4.3.2 going down"


def test_mixed(relay):
    """Each recipient has its own reply; who was taken gets the mail."""
    for extensions in KINDS.values():
        with Server(extensions=extensions, rcpt={"a@x.test": "550 5.1.1 no such user\nreally", "c@x.test": "450 4.2.1 busy"}) \
                as server:
            r = relay.relay(server.nexthop(), THREE)
            assert r.outcomes() == [BOUNCE, DELIVERED, TRY_LATER], r
            assert r.results[0].said == "550-5.1.1 no such user\n550 really" or "\n" in r.results[0].said
            assert r.results[0].status == "5.1.1" and r.results[2].status == "4.2.1"
            assert r.results[1].status.startswith("2.")
            assert [a for a, _ in server.mails[0].rcpts] == ["b@x.test"]


def test_too_many_recipients(relay):
    """452 behind some that were taken: the others follow in further transactions of that connection."""
    def two(session):
        return "452 4.5.3 too many" if len(session.mail.rcpts) >= 2 else "250 2.1.5 ok"

    rcpts = [f"u{i}@x.test" for i in range(7)]
    for extensions in KINDS.values():
        with Server(extensions=extensions, rcpt=two) as server:
            r = relay.relay(server.nexthop(), rcpts)
            assert r.outcomes() == [DELIVERED] * 7, r
            assert sorted(a for m in server.mails for a, _ in m.rcpts) == rcpts
            assert len(server.sessions) == 1


def test_limits(relay):
    """RFC 9422: so many transactions a connection, so many recipients a transaction."""
    rcpts = [f"u{i}@x.test" for i in range(10)]
    with Server(extensions=EXTENSIONS + ["LIMITS MAILMAX=2 RCPTMAX=3"]) as server:
        r = relay.relay(server.nexthop(), rcpts)
        assert r.outcomes() == [DELIVERED] * 10, r
        assert all(len(m.rcpts) <= 3 for m in server.mails)
        assert len(server.sessions) == 2
    with Server(extensions=EXTENSIONS + ["LIMITS MAILMAX=0"]) as server:     # makes no sense: it may not go on for ever
        relay.relay(server.nexthop(), rcpts)


@pytest.mark.parametrize("later", ["421 4.7.0 enough for one connection", CLOSE, RESET], ids=str)
@pytest.mark.parametrize("kind", ["plain", "pipelined"])
def test_enough_for_a_connection(relay, later, kind):
    """A server may end a connection that has taken mail: for the rest it is asked by another one, at once."""
    def two(session):
        return "452 4.5.3 too many" if len(session.mail.rcpts) >= 2 else "250 2.1.5 ok"

    def once(session):
        return later if len([c for c in session.commands if c.startswith("MAIL")]) > 1 else "250 2.1.0 ok"

    rcpts = [f"u{i}@x.test" for i in range(11)]
    with Server(extensions=KINDS[kind], rcpt=two, mail=once) as server:
        r = relay.relay(server.nexthop(), rcpts)
        assert r.outcomes() == [DELIVERED] * 11, r
        assert sorted(a for m in server.mails for a, _ in m.rcpts) == sorted(rcpts) and len(server.sessions) == 6


def test_enough_for_a_connection_of_one_of_two(two):
    """It is the same server that is asked: the other is a backup."""
    relay, nexthop, (first, second) = two({"extensions": PLAIN, "mail": ["250 ok", "421 4.7.0 enough", "250 ok"],
                                           "rcpt": {"b@x.test": ["452 4.5.3 too many", "250 ok"]}}, {})
    r = relay.relay(nexthop, THREE[:2])
    assert r.outcomes() == [DELIVERED] * 2 and len(first.sessions) == 2 and not second.sessions, r


def test_goes_after_each_connection(two):
    """One that takes nothing by the new connection either is not asked for ever."""
    relay, nexthop, (first, second) = two({"extensions": PLAIN, "mail": ["250 ok", "421 4.7.0 enough"],
                                           "rcpt": {"b@x.test": "452 4.5.3 too many"}}, {})
    r = relay.relay(nexthop, THREE[:2])
    assert r.outcomes() == [DELIVERED] * 2 and len(first.sessions) == 2 and len(second.sessions) == 1, r


def test_limit_on_domains(relay):
    """RFC 9422 section 4.3: so many domains a session, not a transaction; and whoever has room left gets on, however many there are."""
    rcpts = [f"u{i}@d{i // 2}.test" for i in range(24)]
    with Server(extensions=EXTENSIONS + ["LIMITS RCPTDOMAINMAX=1"]) as server:
        r = relay.relay(server.nexthop(), rcpts)
        assert r.outcomes() == [DELIVERED] * 24, r
        for n in range(len(server.sessions)):
            assert len({a.split("@")[1] for m in server.mails if m.session == n for a, _ in m.rcpts}) == 1


def test_limit_on_domains_of_a_kept_connection(alone):
    relay = alone(smtp_connection_cache_time="5m")
    with Server(extensions=EXTENSIONS + ["LIMITS RCPTDOMAINMAX=2"]) as server:
        for domain in ("x", "y", "X", "z", "z", "x"):
            assert relay.relay(server.nexthop(), [f"a@{domain}.test"]).outcome == DELIVERED
        assert [m.session for m in server.mails] == [0, 0, 0, 1, 1, 1]


def test_size(relay):
    with Server(extensions=["SIZE 100"]) as server:
        r = relay.relay(server.nexthop(), message=b"x" * 100 + b"\r\n")
        assert r.outcome == BOUNCE and r.status == "5.3.4" and "MAIL" not in server.verbs(), r


def test_endless_silence_has_an_end(alone):
    """What is said drop by drop is no progress for ever: the whole delivery has a limit."""
    def drip(session):
        while not session.server.over.wait(0.3):
            session.send_octets(b"2")

    with Server(mail=drip) as server:
        r = alone(smtp_delivery_timeout="2s", smtp_mail_timeout="1s").relay(server.nexthop())
        assert r.outcome == TRY_LATER and r.uncertain == 0, r


def test_endless_farewell_has_an_end(alone):
    """Nor is what is said to QUIT, for which nobody waits any more."""
    def drip(session):
        while not session.server.over.wait(0.1):
            session.send_octets(b"2")

    relay = alone(smtp_connection_cache_time="0s", smtp_quit_timeout="1s")
    with Server(quit=drip) as server:
        assert relay.relay(server.nexthop()).outcome == DELIVERED
        wait_for(lambda: "session with [127.0.0.1]" in relay.log(), 20 * patience(), why=relay.log)


def test_lies_about_pipelining(relay):
    """Announces PIPELINING, takes every recipient for a refusal, and says 354 all the same: nothing of the message goes
    there."""
    with Server(extensions=PIPELINED, rcpt="550 5.1.1 no", data="354 go ahead") as server:
        r = relay.relay(server.nexthop(), THREE)
        assert r.outcomes() == [BOUNCE] * 3 and not server.mails


# ---- a server that takes less than the message needs

EIGHT = ("From: a@here.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
         "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
         "--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
         + "äöü\r\n" * 30000 + "--b--\r\n").encode()
EIGHTBIT, BINARY = 1, 2                 # enum body_type


def parts(message):
    return [p.get_payload(decode=True) for p in email.message_from_bytes(message).walk() if not p.is_multipart()]


@pytest.mark.parametrize("extensions", [["SIZE 10000000"], ["PIPELINING", "CHUNKING", "SIZE 10000000"]], ids=str)
def test_7bit_server(relay, extensions):
    """RFC 6152 section 3: 8-bit content is encoded for it, and the size is that of what is sent."""
    with Server(extensions=extensions) as server:
        for _ in range(2):
            r = relay.relay(server.nexthop(), THREE, message=EIGHT, body=EIGHTBIT)
            assert r.outcomes() == [DELIVERED] * 3, r
        for mail in server.mails:
            assert max(mail.data) < 128 and parts(mail.data) == parts(EIGHT)
            assert f"SIZE={len(mail.data)}" in mail.parameters and "BODY" not in mail.parameters


def test_8bit_server(relay):
    with Server() as server:
        assert relay.relay(server.nexthop(), message=EIGHT, body=EIGHTBIT).outcome == DELIVERED
        assert server.mails[0].data == EIGHT and "BODY=8BITMIME" in server.mails[0].parameters


def test_binary(relay):
    """RFC 3030 section 3: who does not take binary content gets lines."""
    message = (b"From: a@here.test\r\nMIME-Version: 1.0\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: binary"
               b"\r\n\r\n" + bytes(range(256)) * 50)
    with Server(extensions=EXTENSIONS + ["BINARYMIME"]) as server:
        assert relay.relay(server.nexthop(), message=message, body=BINARY).outcome == DELIVERED
        assert "BODY=BINARYMIME" in server.mails[0].parameters and server.mails[0].data == message
    with Server() as server:
        assert relay.relay(server.nexthop(), message=message, body=BINARY).outcome == DELIVERED
        assert parts(server.mails[0].data) == parts(message) and max(map(len, server.mails[0].data.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("extensions", [["8BITMIME"], ["PIPELINING"]], ids=str)
def test_server_without_smtputf8(relay, extensions):
    """RFC 6531 section 3.4: mail whose sender has asked for SMTPUTF8, and that does not need it, goes without. What needs it does not."""
    asked = {"smtputf8": 1, "body": EIGHTBIT}
    with Server(extensions=extensions) as server:
        r = relay.relay(server.nexthop(), ["a@x.test", "ä@x.test"], message=EIGHT, **asked)
        assert r.outcomes() == [DELIVERED, BOUNCE] and r.results[1].status == "5.6.7", r
        mail, = server.mails
        assert "SMTPUTF8" not in mail.parameters and parts(mail.data) == parts(EIGHT)
        assert (mail.data == EIGHT) == ("8BITMIME" in extensions) == ("BODY=8BITMIME" in mail.parameters)
        for needs in ({"message": EIGHT.replace(b"here.test", "hére.test".encode())}, {"message": EIGHT, "sender": "ä@here.test"}):
            r = relay.relay(server.nexthop(), **asked, **needs)
            assert r.outcome == BOUNCE and r.status == "5.6.7", r
        assert len(server.mails) == 1


def test_cannot_be_converted(relay):
    """A signature is over the octets: the sender is told."""
    signed = (b"From: a@here.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n"
              b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n--b--\r\n")
    with Server(extensions=PIPELINED) as server:
        r = relay.relay(server.nexthop(), message=signed, body=EIGHTBIT)
        assert r.outcome == BOUNCE and r.status == "5.6.3" and not server.mails and "MAIL" not in server.verbs(), r


def test_gone_while_converting(alone):
    """A kept connection is closed while the message is made fit for it."""
    relay = alone(smtp_connection_cache_time="5m")
    message = EIGHT.replace("äöü\r\n".encode() * 30000, "äöü\r\n".encode() * 300000)
    with Server(extensions=PIPELINED) as server:
        assert relay.relay(server.nexthop()).outcome == DELIVERED
        for _ in range(20):
            session = server.sessions[-1]
            call = relay.begin(server.nexthop(), message=message, body=EIGHTBIT)
            session.sock.shutdown(socket.SHUT_RDWR)
            assert relay.result(call).outcome == DELIVERED
            assert parts(server.mails[-1].data) == parts(message)
            if server.mails[-1].session == session.number + 1:
                return                  # else that was too late
        raise AssertionError("it was always too late to close it")


# ---- one of several hosts

def zone(**hosts):
    """MX records of d.test in this order; each host has these addresses."""
    out = {("d.test", "MX"): []}
    for i, (host, addresses) in enumerate(hosts.items()):
        out[("d.test", "MX")].append(f"{10 * (i + 1)} {host}.test")
        out[(f"{host}.test", "A")] = addresses
    return out


@pytest.fixture
def two(alone):
    """mx1 and mx2 of d.test at 127.0.1.1 and 127.0.1.2, at one port."""
    made = []

    def make(first, second, **settings):
        relay = alone(zone(mx1=["127.0.1.1"], mx2=["127.0.1.2"]), **hurry(first or {}), **settings)
        servers = []
        port = 0
        for address, how in (("127.0.1.1", first), ("127.0.1.2", second)):
            if how is None:
                servers.append(None)
            else:
                servers.append(Server(address=address, port=port, **how))
                port = servers[-1].port
                made.append(servers[-1])
        return relay, f"d.test:{port or refusing_port()}", servers
    yield make
    for s in made:
        s.end()


BAD_FIRST = [{"greeting": "421 4.3.2 not now"}, {"greeting": "450 no"}, {"greeting": "554 5.3.2 no mail here"}, {"greeting": RESET},
             {"greeting": HANG}, {"greeting": GARBAGE}, {"ehlo": CLOSE}, {"ehlo": "421 no"}, {"ehlo": "550 5.5.0 no", "helo": "550 no"},
             {"mail": "451 4.3.0 disk full"}, {"mail": RESET}, {"mail": "421 4.3.2 bye"}, {"rcpt": CLOSE}, None]


@pytest.mark.parametrize("first", BAD_FIRST, ids=str)
def test_next_host(two, first):
    """What is the matter with one host does not keep the mail from the next."""
    relay, nexthop, (_, second) = two(first, {})
    r = relay.relay(nexthop, THREE)
    assert r.outcomes() == [DELIVERED] * 3, r
    assert r.results[0].remote == f"mx2.test [127.0.1.2]:{second.port}" and r.contact == GOOD
    assert [a for a, _ in second.mails[0].rcpts] == THREE


@pytest.mark.parametrize("first,outcome", [({"rcpt": "450 4.2.0 greylisted"}, TRY_LATER), ({"rcpt": "550 5.1.1 no"}, BOUNCE),
                                           ({"mail": "550 5.7.1 no"}, BOUNCE), ({"end": "451 4.3.0 not now"}, TRY_LATER),
                                           ({"end": RESET}, TRY_LATER)])
def test_no_next_host(two, first, outcome):
    """What is said of a recipient or of the message is not asked of another host; what may have been taken is not sent there."""
    relay, nexthop, (_, second) = two(first, {})
    r = relay.relay(nexthop)
    assert r.outcome == outcome and not second.sessions, r


BY_KEPT = [({"extensions": ["SIZE 100"]}, {}), ({"extensions": PLAIN}, {"body": 2}), ({"mail": ["250 ok", "451 4.3.0 disk full"]}, {}),
           ({"rcpt": ["250 ok", CLOSE]}, {}), ({"data": ["354 go", "421 4.3.2 bye"], "extensions": PLAIN}, {})]


@pytest.mark.parametrize("first,how", BY_KEPT, ids=str)
def test_next_host_behind_a_kept_connection(two, first, how):
    """A connection from before is to one of the hosts: what that one does not take, another may."""
    message = b"Subject: x\r\n\r\n" + b"line\r\n" * 50
    relay, nexthop, (_, second) = two(first, {"extensions": EXTENSIONS + ["BINARYMIME"]}, smtp_connection_cache_time="5m")
    assert relay.relay(nexthop, message=b"Subject: x\r\n\r\n").outcome == DELIVERED and not second.sessions
    if how:                             # no server could be given it but one for binary content
        message = (b"MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: binary"
                   b"\r\n\r\na\xff\r\n--b--\r\n")
    r = relay.relay(nexthop, message=message, **how)
    assert r.outcome == DELIVERED and second.mails[0].data == message, r


NO_SERVICE = {"greeting": "554 5.3.2 no mail here"}
SMALL = {"extensions": ["SIZE 10"]}


@pytest.mark.parametrize("first,second,outcome", [
    (None, SMALL, TRY_LATER), ({"greeting": "421 4.3.2 not now"}, SMALL, TRY_LATER), ({"mail": "451 4.3.0 not now"}, SMALL, TRY_LATER),
    ({"mail": RESET}, SMALL, TRY_LATER), (NO_SERVICE, SMALL, BOUNCE), (SMALL, SMALL, BOUNCE), (SMALL, None, BOUNCE),
    (SMALL, {"greeting": "421 4.3.2 not now"}, BOUNCE)], ids=str)
def test_better_host_decides(two, first, second, outcome):
    """What a backup does not take the host that it stands in for may: while that one is only down, the message waits."""
    relay, nexthop, _ = two(first, second)
    r = relay.relay(nexthop)
    assert r.outcome == outcome, r
    if outcome == TRY_LATER:
        assert r.status.startswith("4.") and r.contact in (GOOD, BUSY), r
        assert "mx1.test [127.0.1.1]" in r.reply and "mx2.test [127.0.1.2]" in r.reply and "the server takes 10" in r.reply, r
    else:
        assert r.status == "5.3.4" and r.said == "", r


@pytest.mark.parametrize("mx,outcome", [(["10 lame.test", "20 mx.test"], TRY_LATER), (["20 lame.test", "10 mx.test"], BOUNCE)], ids=str)
def test_better_host_has_no_address_for_now(alone, mx, outcome):
    relay = alone({("d.test", "MX"): mx, ("lame.test", "A"): DNS_FAILED, ("lame.test", "AAAA"): DNS_FAILED, ("mx.test", "A"): ["127.0.1.1"]})
    with Server(address="127.0.1.1", **SMALL) as server:
        assert relay.relay(f"d.test:{server.port}").outcome == outcome


def test_other_address_of_the_same_host(alone):
    """What a host is too small for is not kept for an address at which it does not answer."""
    relay = alone(zone(mx1=["127.0.1.1", "127.0.1.2"]))
    with Server(address="127.0.1.1", **SMALL) as server:
        r = relay.relay(f"d.test:{server.port}")
        assert r.outcome == BOUNCE and r.status == "5.3.4", r


def test_kept_connection_does_not_decide(alone):
    """It is to one of the hosts: which there are, and what they say, is not known while the DNS does not answer."""
    relay = alone({("d.test", "MX"): ["10 mx1.test"], ("mx1.test", "A"): ["127.0.1.1"]}, smtp_connection_cache_time="5m")
    with Server(address="127.0.1.1", extensions=["SIZE 100"]) as server:
        nexthop = f"d.test:{server.port}"
        assert relay.relay(nexthop, message=b"Subject: x\r\n\r\n").outcome == DELIVERED
        relay.zone["d.test", "MX"] = DNS_FAILED
        r = relay.relay(nexthop, message=b"Subject: x\r\n\r\n" + b"line\r\n" * 50)
        assert r.outcome == TRY_LATER and r.status == "4.4.3", r


def test_some_recipients_elsewhere(two):
    """The first host refuses one by name and is gone before it has taken the others."""
    relay, nexthop, (_, second) = two({"extensions": PLAIN, "rcpt": {"a@x.test": "550 5.1.1 no", "b@x.test": RESET}}, {})
    r = relay.relay(nexthop, THREE)
    assert r.outcomes() == [BOUNCE, DELIVERED, DELIVERED], r
    assert [a for a, _ in second.mails[0].rcpts] == THREE[1:]


@pytest.mark.parametrize("limit,outcome", [(5, BOUNCE), (1, TRY_LATER)])
def test_all_names_of_a_host_refuse(alone, limit, outcome):
    """Two exchangers that are one host have no address that was not tried."""
    relay = alone(zone(mx1=["127.0.1.1"], mx2=["127.0.1.1", "127.0.1.2"]), smtp_address_limit=limit)
    with Server(address="127.0.1.1", **NO_SERVICE) as server, Server(address="127.0.1.2", port=server.port, **NO_SERVICE) as other:
        r = relay.relay(f"d.test:{server.port}")
        assert r.outcome == outcome and len(server.sessions) + len(other.sessions) == min(limit, 2), r


@pytest.mark.parametrize("first,second,outcome,contact", [
    (NO_SERVICE, NO_SERVICE, BOUNCE, FAILED), (NO_SERVICE, {"greeting": "421 4.3.2 no"}, TRY_LATER, BUSY),
    (NO_SERVICE, {"greeting": CLOSE}, TRY_LATER, FAILED), (NO_SERVICE, None, TRY_LATER, FAILED), (None, None, TRY_LATER, FAILED),
    ({"ehlo": "550 5.7.1 you are on a list", "helo": "550 5.7.1 you are on a list"}, NO_SERVICE, BOUNCE, FAILED)])
def test_all_hosts_refuse(two, first, second, outcome, contact):
    """A refusal to talk at all is final when every host there is says so, and not before."""
    relay, nexthop, _ = two(first, second)
    r = relay.relay(nexthop)
    assert r.outcome == outcome, r
    if outcome == TRY_LATER:
        assert r.contact == contact, r
    assert r.status.startswith("5." if outcome == BOUNCE else "4.")
    assert "[127.0.1.1]" in r.reply and "[127.0.1.2]" in r.reply
    if first is None and second is None:
        assert r.command == "connect" and r.status == "4.4.1" and r.remote == ""
        assert r.reply.count("Connection refused") == 2


def test_silent_host(alone):
    """A host of the same preference that does not answer is not waited for: the next is tried after a quarter of a second (race_test.c)."""
    with Silent(address="127.0.1.1") as silent:
        with Server(address="127.0.1.2", port=silent.port) as server:
            relay = alone({("d.test", "MX"): ["10 mx1.test", "10 mx2.test"], ("mx1.test", "A"): ["127.0.1.1"],
                           ("mx2.test", "A"): ["127.0.1.2"]}, smtp_connect_timeout="10m")
            for _ in range(3):
                assert relay.relay(f"d.test:{silent.port}").outcome == DELIVERED
            assert len(server.mails) == 3


def test_all_silent(relay):
    with Silent() as silent:
        r = relay.relay(silent.nexthop())
        assert r.outcome == TRY_LATER and r.contact == FAILED and r.status == "4.4.1", r
        assert r.reply == f"connect to [127.0.0.1]:{silent.port}: no answer within 2 s"


@pytest.mark.parametrize("mx,a,outcome,status,contact", [
    (DNS_FAILED, ["127.0.1.1"], TRY_LATER, "4.4.3", FAILED), (DNS_BOGUS, ["127.0.1.1"], TRY_LATER, "4.4.3", FAILED),
    (None, ["127.0.1.1"], TRY_LATER, "4.4.3", FAILED), (DNS_NO_NAME, DNS_NO_NAME, BOUNCE, "5.1.2", NONE),
    (["0 ."], ["127.0.1.1"], BOUNCE, "5.1.10", NONE), (["10 client.test"], ["127.0.1.1"], BOUNCE, "5.4.6", NONE)])
def test_dns(alone, mx, a, outcome, status, contact):
    relay = alone({("d.test", "MX"): mx, ("d.test", "A"): a, ("client.test", "A"): ["127.0.1.1"]})
    r = relay.relay("d.test", ["a@D.test"])
    assert (r.outcome, r.status, r.contact) == (outcome, status, contact), r


@pytest.mark.parametrize("zone", [{("d.test", "MX"): DNS_NO_NAME}, {("d.test", "MX"): ["0 ."]}, {("d.test", "MX"): ["10 mx.test"]}, {}], ids=str)
def test_route_to_nowhere(alone, zone):
    """By MX to a domain that is not the recipients': the administrator's slip, for which no mail is sent back."""
    relay = alone({**zone, ("xn--bcher-kva.test", "MX"): DNS_NO_NAME})
    for rcpts in (["a@x.test"], ["a@d.test", "a@x.test"]):
        r = relay.relay("d.test", rcpts)
        assert r.outcomes() == [TRY_LATER] * len(rcpts) and r.results[0].status == "4.3.5" and r.contact == FAILED, r
        assert "d.test, through which mail is to go, " in r.results[0].reply and "correct the route" in r.results[0].reply
    assert relay.relay("d.test", ["a@d.test"]).outcome == BOUNCE
    assert relay.relay("xn--bcher-kva.test", ["a@bücher.test"]).outcome == BOUNCE


def test_implicit_mx(alone):
    with Server(address="127.0.1.1") as server:
        relay = alone({("d.test", "A"): ["127.0.1.1"]})
        assert relay.relay(f"d.test:{server.port}").outcome == DELIVERED
        assert ("d.test", "MX") in relay.questions


def test_resolver_is_gone(alone):
    relay = alone()
    relay.channels["resolver"].sock.shutdown(socket.SHUT_RDWR)
    relay.report()                              # it has seen that by then
    r = relay.relay("d.test")
    assert r.outcome == TRY_LATER and r.status == "4.4.3" and r.contact == FAILED, r


# ---- TLS

@pytest.fixture
def tls(alone, ca):
    """tls(policy, certificate's names, ...) -> (relay, next hop, server): a server mx1.test of d.test."""
    made = []

    def make(policy, *names, authority=None, expired=False, context=None, relay=None, **how):
        context = context or (authority or ca).context(*names, expired=expired)
        server = Server(address="127.0.1.1", tls=context, **how)
        made.append(server)
        relay = alone({("d.test", "MX"): ["10 mx1.test"], ("mx1.test", "A"): ["127.0.1.1"]},
                      smtp_tls=policy, tls_ca_file=ca.file, **hurry(how))
        return relay, f"d.test:{server.port}", server
    yield make
    for s in made:
        s.end()


CERTIFICATES = {"good": ["mx1.test"], "wrong name": ["other.test"], "expired": ["mx1.test"], "unknown": ["mx1.test"]}


@pytest.mark.parametrize("policy", ["may", "must", "secure", "never"])
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_certificates(tls, tmp_path, policy, kind):
    relay, nexthop, server = tls(policy, *CERTIFICATES[kind], expired=kind == "expired",
                                 authority=Authority(tmp_path / "other", "Another") if kind == "unknown" else None)
    r = relay.relay(nexthop)
    if policy == "secure" and kind != "good":
        assert r.outcome == TRY_LATER and r.status == "4.7.5" and r.contact == FAILED, r
        assert "does not prove that it is this host, as is wanted by smtp_tls" in r.reply and not server.mails
        assert {"wrong name": "mismatch", "expired": "expired", "unknown": "self-signed"}[kind] in r.reply, r
        return
    assert r.outcome == DELIVERED, r
    assert server.mails[0].tls == (policy != "never")
    if policy == "never":
        assert r.tls == "" and "STARTTLS" not in server.verbs()
    else:
        assert r.tls == "TLSv1.3 TLS_AES_256_GCM_SHA384 " + ("ca" if kind == "good" else "untrusted")
        assert server.verbs()[:3] == ["EHLO", "STARTTLS", "EHLO"]
        wait_for(lambda: "TLSv1.3" in relay.log(), 5 * patience())


@pytest.mark.parametrize("policy,outcome", [("may", DELIVERED), ("must", TRY_LATER)])
@pytest.mark.parametrize("how", [{"handshake": CLOSE}, {"handshake": RESET}, {"handshake": GARBAGE}, {"handshake": HANG},
                                 {"starttls": "454 4.7.0 not now"}, {"starttls": "554 5.7.0 never"}, {"extensions": ["nothing"]}], ids=str)
def test_no_handshake(tls, policy, outcome, how):
    """Under may the same host is tried in clear, on a new connection; under must nothing goes."""
    relay, nexthop, server = tls(policy, "mx1.test", **how)
    if "extensions" in how:
        server.tls = None
    r = relay.relay(nexthop)
    assert r.outcome == outcome, r
    if outcome == DELIVERED:
        assert not server.mails[0].tls
        if "handshake" in how:
            assert server.mails[0].session == 1 and len(server.sessions) == 2
    else:
        assert not server.mails and r.contact in (FAILED, BUSY)
        assert r.status.startswith("4.7."), r


@pytest.mark.parametrize("policy,outcome", [("may", DELIVERED), ("must", TRY_LATER)])
@pytest.mark.parametrize("how", ["wants a certificate", "closes", "421"])
def test_broken_behind_handshake(tls, ca, policy, outcome, how):
    """In TLS 1.3 the client has shaken hands when the server refuses to: that is a handshake that fails, too. What the server says is
    said by a server that can do TLS."""
    context, second = ca.context("mx1.test"), {"closes": CLOSE, "421": "421 4.3.2 too busy"}.get(how)
    steps = {"ehlo": lambda s: second if s.tls else "250-mx1.test\nSTARTTLS"} if second else {}
    if how == "wants a certificate":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca.file)
    relay, nexthop, server = tls(policy, context=context, **steps)
    r = relay.relay(nexthop)
    if how == "421":
        assert r.outcome == TRY_LATER and r.said == "421 4.3.2 too busy" and len(server.sessions) == 1, r
        return
    assert r.outcome == outcome and bool(server.mails) == (outcome == DELIVERED), r
    assert len(server.sessions) == (2 if outcome == DELIVERED else 1)
    assert not any(m.tls for m in server.mails)


def test_injected_behind_starttls(tls):
    """CVE-2021-38371: what came in clear behind the reply never looks protected."""
    def inject(session):
        session.send_octets(b"220 2.0.0 go ahead\r\n250 2.0.0 injected\r\n")
        return CLOSE

    relay, nexthop, server = tls("must", "mx1.test", starttls=inject)
    r = relay.relay(nexthop)
    assert r.outcome == TRY_LATER and not server.mails, r


def test_extensions_in_clear_are_forgotten(tls):
    """RFC 3207 section 4.2: what the server could do before the handshake was anybody's word."""
    def offers(session):
        return "250-mx1.test\n250 8BITMIME" if session.tls else "250-mx1.test\n" + "\n".join(f"250-{e}" for e in EXTENSIONS) + "\n250 STARTTLS"

    relay, nexthop, server = tls("must", "mx1.test", ehlo=offers)
    r = relay.relay(nexthop, [{"address": "a@x.test", "notify": 2}], body=EIGHTBIT, message=EIGHT, ret=1, envid="id")
    assert r.outcome == DELIVERED and r.dsn == 0, r
    assert server.verbs()[:5] == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT"] and "DATA" in server.verbs()
    assert server.mails[0].parameters == "BODY=8BITMIME" and server.mails[0].rcpts == [("a@x.test", "")]


@pytest.mark.parametrize("name", [b"mx1.test\0.evil.test", b"mx1.test\0", b"\0mx1.test", b"mx1.test ", b"MX1.test\n"], ids=repr)
def test_odd_octets_in_a_certificates_name(tls, ca, name):
    """CVE-2009-4565: it is no name of this server, wherever somebody else would stop reading."""
    relay, nexthop, server = tls("secure", context=ca.issue("evil.test", octets=name).context())
    r = relay.relay(nexthop)
    assert r.outcome == TRY_LATER and r.status == "4.7.5" and not server.mails, r


def test_kept_connection_is_no_way_around_requiretls(alone, ca):
    """RFC 8689: a connection that was good enough for the mail before is not for this."""
    with Server(address="127.0.1.1", tls=ca.context("other.test"), extensions=EXTENSIONS + ["REQUIRETLS"]) as server:
        relay = alone({("d.test", "MX"): ["10 mx1.test"], ("mx1.test", "A"): ["127.0.1.1"]}, smtp_tls="may", tls_ca_file=ca.file,
                      smtp_connection_cache_time="5m")
        nexthop = f"d.test:{server.port}"
        assert relay.relay(nexthop).outcome == DELIVERED
        r = relay.relay(nexthop, requiretls=1)
        assert r.outcome == BOUNCE and r.status == "5.7.10" and len(server.mails) == 1, r
        assert relay.relay(nexthop).outcome == DELIVERED


def test_two_names_of_a_host(alone, ca):
    """The certificate has the second alone."""
    with Server(address="127.0.1.1", tls=ca.context("mx2.test")) as server:
        relay = alone(zone(mx1=["127.0.1.1"], mx2=["127.0.1.1"]), smtp_tls="secure", tls_ca_file=ca.file, smtp_connection_cache_time="0s")
        r = relay.relay(f"d.test:{server.port}")
        assert r.outcome == DELIVERED and r.results[0].remote.startswith("mx2.test [127.0.1.1]") and len(server.sessions) == 2, r


@pytest.mark.parametrize("step", ["greeting", "mail", None])
def test_two_names_of_a_host_that_is_busy(alone, ca, step):
    """What has nothing to do with its name is not asked for under the other."""
    with Server(address="127.0.1.1", **({step: "421 4.3.2 not now"} if step else {})) as server:
        if step is None:
            server.end()
        relay = alone(zone(mx1=["127.0.1.1"], mx2=["127.0.1.1"]))
        r = relay.relay(f"d.test:{server.port}")
        assert r.outcome == TRY_LATER and r.reply.count("127.0.1.1") == 1 and len(server.sessions) == (step is not None), r


def test_old_versions(tls, ca):
    context = ca.context("mx1.test")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    relay, nexthop, server = tls("must", context=context)
    r = relay.relay(nexthop)
    assert r.outcome == DELIVERED and r.tls.startswith("TLSv1.2 ") and r.tls.endswith(" ca"), r


def test_resumption(tls):
    """The second connection needs no certificate; but whoever must prove himself shows it each time."""
    relay, nexthop, server = tls("must", "mx1.test")
    for _ in range(3):
        r = relay.relay(nexthop)
        assert r.outcome == DELIVERED and r.tls.endswith(" ca"), r
        wait_for(lambda: server.verbs()[-1] == "QUIT", 10 * patience())
    assert server.tls.session_stats()["hits"] == 2
    relay, nexthop, server = tls("secure", "mx1.test")
    for _ in range(2):
        assert relay.relay(nexthop).outcome == DELIVERED
        wait_for(lambda: server.verbs()[-1] == "QUIT", 10 * patience())
    assert server.tls.session_stats()["hits"] == 0


def offers_session(session):
    """RFC 8446 section 4.2.11: the first record has a ClientHello with pre_shared_key."""
    hello = session.sock.recv(16384, socket.MSG_PEEK)[5 + 4 + 2 + 32:]
    hello = hello[1 + hello[0]:]
    hello = hello[2 + int.from_bytes(hello[:2]):]
    hello = hello[1 + hello[0] + 2:]
    while hello and hello[:2] != b"\0\x29":
        hello = hello[4 + int.from_bytes(hello[2:4]):]
    return bool(hello)


@pytest.mark.parametrize("end", [b"\x15\3\3\0\2\2\x28", b""], ids=["alert", "close"])
@pytest.mark.parametrize("policy", ["may", "must"])
def test_resumption_refused(tls, policy, end):
    """A server that ends a handshake because of the session from before, which it should only not know (RFC 8446 section 2.2), is
    tried without one before there is no TLS."""
    def refuse(session):
        if offers_session(session):
            session.send_octets(end)
            return CLOSE

    relay, nexthop, server = tls(policy, "mx1.test", handshake=refuse)
    for n in range(1, 4):
        r = relay.relay(nexthop)
        assert r.outcome == DELIVERED and r.tls.endswith(" ca"), r
        wait_for(lambda: server.verbs()[-1] == "QUIT", 10 * patience())
        assert len(server.sessions) == 2 * n - 1 and [m.tls for m in server.mails] == [True] * n
    assert relay.log().count("without the session of before") == 2


def test_large_over_tls(tls):
    message = b"Subject: large\r\n\r\n" + b"line of a message\r\n" * 300000
    relay, nexthop, server = tls("must", "mx1.test", extensions=["CHUNKING", "PIPELINING"])
    assert relay.relay(nexthop, message=message).outcome == DELIVERED
    assert server.mails[0].data == message


@pytest.mark.parametrize("step", ["mail", "end"])
@pytest.mark.parametrize("action", [RESET, CLOSE, HANG], ids=str)
def test_broken_over_tls(tls, step, action):
    relay, nexthop, server = tls("may", "mx1.test", **{step: action})
    r = relay.relay(nexthop)
    assert r.outcome == TRY_LATER and r.uncertain == (step == "end"), r
    assert len(server.sessions) == 1


def test_requiretls(tls, alone):
    """RFC 8689: a server that proves its name and promises the same; else the sender is told."""
    relay, nexthop, server = tls("may", "mx1.test", extensions=EXTENSIONS + ["REQUIRETLS"])
    assert relay.relay(nexthop, requiretls=1).outcome == DELIVERED
    assert "REQUIRETLS" in server.mails[0].parameters
    relay, nexthop, server = tls("may", "mx1.test")
    r = relay.relay(nexthop, requiretls=1)
    assert r.outcome == BOUNCE and r.status == "5.7.30" and not server.mails and r.contact in (NONE, GOOD), r
    relay, nexthop, server = tls("may", "other.test", extensions=EXTENSIONS + ["REQUIRETLS"])
    r = relay.relay(nexthop, requiretls=1)
    assert r.outcome == BOUNCE and r.status == "5.7.10" and not server.mails and r.contact == NONE, r
    assert relay.relay(nexthop, requiretls=1, sender="").outcome == DELIVERED   # section 5: a notification goes as it can
    assert "REQUIRETLS" in server.mails[0].parameters
    relay, nexthop, server = tls("may", "other.test")
    assert relay.relay(nexthop, requiretls=1, sender="").outcome == DELIVERED
    assert "REQUIRETLS" not in server.mails[0].parameters


# ---- LMTP

def test_lmtp(relay):
    """RFC 2033 section 4.2: a reply for each recipient."""
    with Server(lmtp=True, end={"a@x.test": "250 2.1.5 ok", "b@x.test": "552 5.2.2 full", "c@x.test": "451 4.2.0 locked"}) as server:
        r = relay.relay(server.nexthop(), THREE, transport="lmtp")
        assert r.outcomes() == [DELIVERED, BOUNCE, TRY_LATER], r
        assert server.commands()[0] == "LHLO client.test" and server.mails[0].data == MESSAGE


@pytest.mark.parametrize("action", [RESET, CLOSE, HANG], ids=str)
def test_lmtp_lost_between_replies(relay, alone, action):
    """Who has a reply has it; of the others nobody knows."""
    if action is HANG:
        relay = alone(**hurry({"end": action}))
    with Server(lmtp=True, end={"b@x.test": action}) as server:
        r = relay.relay(server.nexthop(), THREE, transport="lmtp")
        assert [(x.outcome, x.uncertain) for x in r.results] == [(DELIVERED, 0), (TRY_LATER, 1), (TRY_LATER, 1)], r


def test_lmtp_deadline_between_replies(alone):
    """Also when it is the whole delivery's time that is over."""
    with Server(lmtp=True, end={"b@x.test": HANG}) as server:
        r = alone(smtp_delivery_timeout=f"{3 * patience()}s").relay(server.nexthop(), THREE, transport="lmtp", timeout=20 * patience())
        assert [(x.outcome, x.uncertain) for x in r.results] == [(DELIVERED, 0), (TRY_LATER, 1), (TRY_LATER, 1)], r


def test_lmtp_socket(alone, tmp_path):
    path = str(tmp_path / "lmtp")
    relay = alone(lmtp_sockets=["/nowhere", path], smtp_connection_cache_time="5m")
    r = relay.relay("unix:" + path, transport="lmtp")
    assert r.outcome == TRY_LATER and r.contact == FAILED and r.status == "4.4.1", r
    assert r.reply == f"connect to {path}: No such file or directory"
    with Server(lmtp=True, unix=path) as server:
        for i in range(3):
            r = relay.relay("unix:" + path, THREE, transport="lmtp")
            assert r.outcomes() == [DELIVERED] * 3 and r.results[0].remote == path, r
        assert len(server.mails) == 3 and len(server.sessions) == 1
    r = relay.relay("unix:/another", transport="lmtp")
    assert r.outcome == TRY_LATER and r.status == "4.3.5" and "lmtp_sockets" in r.reply, r


def test_lmtp_socket_of_the_suite(make_suite, tmp_path):
    """Master connects to it, whoever may else; a server that is started later, or anew, is found by its path."""
    path = str(tmp_path / "lmtp")
    tmp_path.chmod(0o700)
    suite = make_suite(relay_domains=["lists.test"], routes=[f"lists.test lmtp:unix:{path}"], lmtp_sockets=["/nowhere", path],
                       minimal_backoff="1s", maximal_backoff="1s")
    suite.send("a@lists.test")
    suite.wait_log("4.4.1 connect to .*lmtp: No such file or directory")
    for n in range(2):
        with Server(lmtp=True, unix=path) as server:
            if n > 0:
                suite.send("b@lists.test")
            wait_for(lambda: server.mails, 60 * patience(), why=suite.log)
            assert b"Hello." in server.mails[0].data
        os.unlink(path)


# ---- connections that are kept

def test_reuse(alone):
    relay = alone(smtp_connection_cache_time=f"{3 * patience()}s")
    with Server() as server:
        for _ in range(5):
            assert relay.relay(server.nexthop()).outcome == DELIVERED
        assert len(server.sessions) == 1 and len(server.mails) == 5
        wait_for(lambda: server.verbs()[-1] == "QUIT", 10 * patience())        # smtp_connection_cache_time later


def test_reuse_limits(alone):
    relay = alone(smtp_connection_reuse_limit=2, smtp_connection_cache_time="5m")
    with Server() as server:
        for _ in range(4):
            assert relay.relay(server.nexthop()).outcome == DELIVERED
        assert [m.session for m in server.mails] == [0, 0, 1, 1]
    relay = alone(smtp_connection_reuse_time=f"{2 * patience()}s", smtp_connection_cache_time="5m")
    with Server() as server:
        relay.relay(server.nexthop())
        time.sleep(2.1 * patience())
        relay.relay(server.nexthop())
        relay.relay(server.nexthop())
        assert [m.session for m in server.mails] == [0, 0, 1]


def test_cache_limit(alone):
    relay = alone(smtp_connection_cache_limit=2, smtp_connection_cache_time="5m")
    servers = [Server() for _ in range(3)]
    for s in servers:
        assert relay.relay(s.nexthop()).outcome == DELIVERED
    wait_for(lambda: servers[0].verbs()[-1] == "QUIT", 5 * patience())
    assert servers[1].verbs()[-1] != "QUIT"
    for s in servers:
        s.end()


@pytest.mark.parametrize("second", ["421 4.4.2 idle for too long", RESET, CLOSE], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_reused_is_dead(alone, second, kind):
    """A connection that was kept too long: the mail goes by a new one at once."""
    relay = alone(smtp_connection_cache_time="5m")
    with Server(extensions=KINDS[kind], mail=["250 ok", second, "250 ok"]) as server:
        assert relay.relay(server.nexthop()).outcome == DELIVERED
        r = relay.relay(server.nexthop())
        if kind == "chunking" and second != "421 4.4.2 idle for too long" and r.outcome == TRY_LATER:
            assert r.uncertain == 1            # all content went with MAIL: nobody knows
            return
        assert r.outcome == DELIVERED, r
        assert [m.session for m in server.mails] == [0, 1]


def test_closed_while_idle(alone):
    relay = alone(smtp_connection_cache_time="5m")
    with Server() as server:
        assert relay.relay(server.nexthop()).outcome == DELIVERED
        server.sessions[0].sock.shutdown(socket.SHUT_RDWR)
        relay.report()                          # it has seen that by then
        assert relay.relay(server.nexthop()).outcome == DELIVERED
        assert len(server.sessions) == 2


def test_not_reused_after_refusal_to_go_on(alone):
    """RSET after a refusal: the next mail of the connection is not mixed up with the last."""
    relay = alone(smtp_connection_cache_time="5m")
    with Server(rcpt={"a@x.test": "550 5.1.1 no"}) as server:
        assert relay.relay(server.nexthop(), ["a@x.test"]).outcome == BOUNCE
        assert relay.relay(server.nexthop(), ["b@x.test"]).outcome == DELIVERED
        assert [a for a, _ in server.mails[0].rcpts] == ["b@x.test"]
        assert len(server.sessions) == 1


# ---- servers that others wrote

@pytest.fixture
def sink(tmp_path):
    """smtp-sink(1) with these options; its port, and how many messages it has."""
    started = []

    def start(*options):
        program = peers.find("smtp-sink", "postfix")
        port = proc.free_ports(1)[0]
        folder = tmp_path / str(port)
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        tmp_path.chmod(0o755)
        user = ["-u", "nobody", "-R", str(folder)] if os.geteuid() == 0 else []     # only root may chroot
        started.append(subprocess.Popen([program, *user, "-d", "mail.", *options, f"inet:127.0.0.1:{port}", "100"],
                                        cwd=folder, env=peers.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_for(lambda: peers.listens("127.0.0.1", port), 10 * patience())
        return f"[127.0.0.1]:{port}", lambda: [f.read_bytes() for f in folder.iterdir() if b"X-Rcpt-Args" in f.read_bytes()]
    yield start
    for p in started:
        p.terminate()
        p.wait()


@pytest.mark.parametrize("options", [[], ["-e"], ["-p"], ["-8"], ["-e", "-p", "-8"]], ids=str)
def test_sink(relay, sink, options):
    nexthop, mails = sink(*options)
    for _ in range(3):
        r = relay.relay(nexthop, THREE)
        assert r.outcomes() == [DELIVERED] * 3, r
    wait_for(lambda: sum(m.count(b"Hello.") for m in mails()) == 3, 10 * patience(), why=mails)


@pytest.mark.parametrize("option,outcome", [("-f", BOUNCE), ("-r", TRY_LATER), ("-q", TRY_LATER)])
@pytest.mark.parametrize("command", ["connect", "mail", "rcpt", "data", "."])
def test_sink_refuses(relay, sink, option, outcome, command):
    nexthop, _ = sink(option, command)
    r = relay.relay(nexthop)
    assert r.outcome == outcome, r


def test_sink_lmtp(relay, sink):
    nexthop, mails = sink("-L")
    assert relay.relay(nexthop, THREE, transport="lmtp").outcomes() == [DELIVERED] * 3


def test_aiosmtpd(tls, alone, ca):
    """With TLS, SMTPUTF8 and 8-bit content."""
    controller = pytest.importorskip("aiosmtpd.controller", reason="aiosmtpd is not installed (Debian package python3-aiosmtpd)")
    got = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, session.ssl is not None))
            return "250 2.0.0 taken"

    class Controller(controller.Controller):
        def factory(self):
            return controller.SMTP(self.handler, enable_SMTPUTF8=True, tls_context=ca.context("mx1.test"), require_starttls=True)

    server = Controller(Handler(), hostname="127.0.1.1", port=proc.free_ports(1)[0])
    server.start()
    try:
        relay = alone({("d.test", "MX"): ["10 mx1.test"], ("mx1.test", "A"): ["127.0.1.1"]}, smtp_tls="secure",
                      tls_ca_file=ca.file)
        r = relay.relay(f"d.test:{server.port}", ["jürgen@x.test"], message=EIGHT, body=EIGHTBIT, smtputf8=1)
        assert r.outcome == DELIVERED and r.tls.endswith(" ca"), r
        assert got == [("s@here.test", ["jürgen@x.test"], EIGHT, True)]
    finally:
        server.stop()


# ---- failures on order

# Each call and what it may say.
CALLS = {"calloc": ["ENOMEM"], "realloc": ["ENOMEM"], "socket": ["EMFILE", "ENOBUFS"], "connect": ["EADDRNOTAVAIL", "EPERM", "ETIMEDOUT"],
         "bind": ["EADDRNOTAVAIL"], "pread": ["EIO", "EINTR"], "send": ["ECONNRESET", "EAGAIN", "ENOBUFS"],
         "recv": ["ECONNRESET", "EAGAIN", "EINTR"], "close": ["EIO"]}


MEMORY = ("calloc", "realloc")
NTH = {call: ["30", "60", "120", "250", "500", "1000"] if call in MEMORY else ["1", "1+", "2", "4", "7+", "9", "20", "60"]
       for call in CALLS}


def deliveries(relay, server, message):
    """Three, one after the other: what is said of each is true."""
    for _ in range(3):
        r = relay.relay(f"d.test:{server.port}", THREE, message=message)
        if r.outcomes() == [DELIVERED] * 3:
            assert server.mails and server.mails[-1].data == message
        else:
            assert r.outcomes() == [TRY_LATER] * 3, r
            assert all(m.data == message for m in server.mails)


@pytest.mark.faults
@pytest.mark.parametrize("call", CALLS)
def test_nth_failure(ca, call):
    """The Nth call of a kind fails, once or from then on: each job has its answer, which is true, or the process ends (no
    memory); nothing is left open."""
    message = b"Subject: large\r\n\r\n" + b"line of a message\r\n" * 20000
    context = ca.context("mx1.test")
    for i, nth in enumerate(NTH[call]):
        error = CALLS[call][i % len(CALLS[call])]
        if nth.endswith("+") and error in ("EAGAIN", "EINTR"):
            error = CALLS[call][0]          # these are no failures but promises: it would be tried for ever
        with Server(address="127.0.1.1", tls=context) as server:
            relay = Relay({("d.test", "MX"): ["10 mx1.test"], ("mx1.test", "A"): ["127.0.1.1"]},
                          env={"HERMOD_FAULT": f"smtp-client:{call}:~{nth}:{error}"},
                          tls_ca_file=ca.file, smtp_bind_ipv4="127.0.0.1", smtp_connection_cache_time="300ms", **QUICK)
            died = False
            try:
                deliveries(relay, server, message)
                fds = f"/proc/{relay.process.pid}/fd"
                wait_for(lambda: not any(is_of_a_job(os.path.join(fds, f)) for f in os.listdir(fds)), 10 * patience(),
                         why=lambda: [os.readlink(os.path.join(fds, f)) for f in os.listdir(fds)])
            except (AssertionError, OSError):
                died = call in MEMORY and relay.process.wait(10 * patience()) == 1
                if not died:
                    raise
            relay.end(crash_allowed=died or call in MEMORY)


def is_of_a_job(path):
    """A message's file, or a connection to a server."""
    try:
        link = os.readlink(path)
        if link.startswith("socket:"):
            with open("/proc/net/tcp") as table:
                return link[8:-1] in [line.split()[9] for line in table]
        return "message" in link
    except OSError:
        return False


# ---- many

def test_a_thousand_sessions(alone):
    """In one worker, each of them waiting."""
    relay = alone(smtp_connection_cache_time="0s")
    go = threading.Event()

    def wait(session):
        go.wait(600)
        return "250 2.1.0 ok"

    n = 1000
    with Server(mail=wait, backlog=2000) as server:
        file = os.memfd_create("message")
        os.write(file, MESSAGE)
        calls = [relay.begin(server.nexthop(), file=file) for _ in range(n)]
        wait_for(lambda: sum("MAIL" in "".join(s.commands) for s in server.sessions) == n, 60 * patience(),
                 why=lambda: f"{len(server.sessions)} sessions")
        assert relay.report()["sessions"] == n
        go.set()
        assert all(relay.result(c, 60).outcome == DELIVERED for c in calls)
        os.close(file)
    assert len(os.listdir(f"/proc/{relay.process.pid}/fd")) < 40


def test_nobody_asks_any_more(alone):
    """qmgr dies: what it asked for is given up, with its files and their locks."""
    relay = alone()
    with Server(mail=HANG) as server:
        before = len(os.listdir(f"/proc/{relay.process.pid}/fd"))
        for _ in range(20):
            relay.begin(server.nexthop())
        wait_for(lambda: len(server.sessions) == 20, 10 * patience())
        relay.channels["qmgr"].sock.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: relay.report()["sessions"] == 0, 10 * patience())
        wait_for(lambda: len(os.listdir(f"/proc/{relay.process.pid}/fd")) <= before, 10 * patience())


def test_stop(alone):
    """What has not been sent is answered at once; what waits for the last reply has its time."""
    whole, go = threading.Event(), threading.Event()

    def late(session):
        whole.set()
        go.wait(60)
        return "250 2.0.0 taken"

    relay = alone()
    with Server(mail=HANG) as hanging, Server(end=late) as server:
        first = relay.begin(hanging.nexthop())
        second = relay.begin(server.nexthop())
        wait_for(lambda: whole.is_set() and hanging.sessions and "MAIL" in hanging.verbs(), 10 * patience())
        relay.control.send("drain", stop=1)
        r = relay.result(first)
        assert r.outcome == TRY_LATER and r.contact == NONE and r.status == "4.3.2", r
        go.set()
        assert relay.result(second).outcome == DELIVERED


def test_bad_relay(alone):
    """A question that makes no sense ends the channel, not the process."""
    relay = alone()
    file = os.memfd_create("message")
    os.write(file, MESSAGE)
    relay.begin("[127.0.0.1]:1", file=file, size=5)
    wait_for(lambda: relay.channels["qmgr"] in relay.gone, 10 * patience())
    os.close(file)
    assert relay.report()["sessions"] == 0
    assert "makes no sense here" in relay.log()
    relay.log_lines[:] = [line for line in relay.log_lines if "makes no sense here" not in line]


@pytest.mark.parametrize("what", ["size", "short"])
def test_damaged_file(relay, what):
    """A queue file that is shorter than it was: the message must not look whole to the server."""
    for extensions in KINDS.values():
        with Server(extensions=extensions) as server:
            file = os.memfd_create("message")
            os.write(file, MESSAGE)
            segments = struct.pack("<BQQ", 1, 0, len(MESSAGE) + 50000)
            r = relay.relay(server.nexthop(), file=file, segments=segments, size=len(MESSAGE) + 50000)
            os.close(file)
            assert r.outcome == TRY_LATER and r.uncertain == 0 and not server.mails, r
