# SPDX-License-Identifier: ISC
"""SMTP from outside: RFC 5321 as a client sees it, and as an attacker tries it."""
import re
import socket
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import patience
from hermodtest.wire import Connection

SETTINGS = {
    "message_size_limit": "200K", "smtpd_recipient_limit": 100, "smtpd_error_limit": 20, "hop_limit": 30,
    "header_size_limit": "20K", "header_line_limit": 2000, "mime_depth_limit": 10, "smtpd_junk_limit": 30,
    "smtpd_workers": 1, "smtpd_client_sessions": 100, "smtpd_client_rate": 100000,
}


class Wire(Connection):
    def __init__(self, suite, greet=True):
        super().__init__(suite.host, suite.smtp_port)
        if greet:
            assert self.reply()[0] == 220

    def reply(self):
        """(code, text of all lines); code 0: the connection ended."""
        lines = []
        while True:
            line = self.f.readline()
            if not line:
                return 0, "\n".join(lines)
            assert line.endswith(b"\r\n"), line
            assert len(line) <= 512
            lines.append(line[4:-2].decode())
            if line[3:4] == b" ":
                return int(line[:3]), "\n".join(lines)
            assert line[3:4] == b"-", line

    answer = reply

    def code(self, line):
        return self.cmd(line)[0]

    def ehlo(self):
        code, text = self.cmd("EHLO client.test")
        assert code == 250
        return text

    def begin(self, to="anna@hermod.test", sender="s@client.test", params=""):
        self.ehlo()
        assert self.code(f"MAIL FROM:<{sender}>{params}") == 250
        assert self.code(f"RCPT TO:<{to}>") == 250

    def data(self, content):
        assert self.code("DATA") == 354
        self.send(content + (b"" if content.endswith(b"\r\n.\r\n") else b"\r\n.\r\n"))
        return self.reply()


@pytest.fixture
def wire(shared_suite):
    with Wire(shared_suite) as w:
        yield w


def body(text=b"Hello.", head=b""):
    return b"From: s@client.test\r\nSubject: wire\r\n" + head + b"\r\n" + text + b"\r\n.\r\n"


def arrived(suite, user, marker, seconds=20):
    end = time.monotonic() + seconds * patience()
    while time.monotonic() < end:
        for m in suite.maildir(user).messages():
            if marker in m:
                return m
        time.sleep(0.02)
    raise AssertionError(f"{marker!r} did not arrive for {user}\n{suite.log()[-3000:]}")


def test_ehlo_says_what_is_built(wire):
    words = wire.ehlo().split("\n")
    names = {w.split()[0] for w in words[1:]}
    assert words[0].startswith("mx.hermod.test")
    assert names == {"PIPELINING", "8BITMIME", "BINARYMIME", "CHUNKING", "ENHANCEDSTATUSCODES", "SMTPUTF8", "DSN", "SIZE",
                     "LIMITS", "MT-PRIORITY"}
    assert "SIZE 204800" in words and "LIMITS RCPTMAX=100" in words


@pytest.mark.parametrize("asked, code, kept", [("-5", "250 2.1.0", "PRIORITY -5;"), ("0", "250 2.1.0", None), ("4", "250 2.3.6 0 ", None),
                                               ("10", "501 ", None), ("+1", "501 ", None)])
def test_priority(shared_suite, wire, asked, code, kept):
    """RFC 6710 section 4.1: a stranger may ask for less, not for more."""
    wire.ehlo()
    got, words = wire.cmd(f"MAIL FROM:<s@client.test> MT-PRIORITY={asked}")
    assert f"{got} {words}".startswith(code)
    if got != 250:
        return
    assert wire.code("RCPT TO:<anna@hermod.test>") == 250
    code, words = wire.data(body(b"priority%s." % asked.encode()))
    assert code == 250
    line = shared_suite.wait_log(rf"{re.search('as ([0-9A-Za-z]+)', words)[1]}: from=<s@client.test> .*")[0]
    assert f" priority={asked} session=" in line if kept else "priority=" not in line
    header = b" ".join(arrived(shared_suite, "anna", b"priority%s." % asked.encode()).split(b"\n\n")[0].split())
    assert kept.encode() in header if kept else b"PRIORITY" not in header


def test_order_of_commands(wire):
    assert wire.code("MAIL FROM:<a@b.test>") == 503
    assert wire.code("NOOP") == 250
    assert wire.code("HELO x") == 250
    assert wire.code("RCPT TO:<anna@hermod.test>") == 503
    assert wire.code("DATA") == 503
    assert wire.code("MAIL FROM:<a@b.test>") == 250
    assert wire.code("MAIL FROM:<a@b.test>") == 503
    assert wire.code("DATA") == 503
    assert wire.code("RCPT TO:<anna@hermod.test>") == 250
    assert wire.code("RSET") == 250
    assert wire.code("DATA") == 503
    assert wire.code("QUIT") == 221
    assert wire.reply()[0] == 0


@pytest.mark.parametrize("line,code", [
    ("WIZ", 500), ("MAIL", 501), ("MAIL FROM:", 501), ("MAIL FROM:a@b", 501), ("EHLO", 501),
    ("VRFY anna", 252), ("VRFY nobody", 252), ("EXPN staff", 502), ("HELP", 214), ("NOOP any words", 250), ("STARTTLS", 502),
    ("AUTH PLAIN", 502),
    ("MAIL FROM:<a@b.test> SIZE=999999999", 552), ("MAIL FROM:<a@b.test> BODY=9BIT", 501),
    ("MAIL FROM:<a@b.test> FROB=1", 555), ("MAIL FROM:<a@b.test> SIZE=1 SIZE=2", 501),
    ("MAIL FROM:<;id;>", 501), ("MAIL FROM:<\"a b\"@b.test>", 250), ("MAIL FROM:<>", 250),
    ("MAIL FROM:<a@[192.0.2.1]>", 250), ("MAIL FROM:<a@[IPv6:2001:db8::1]>", 250),
    ("MAIL FROM:<a@b.test> RET=HDRS ENVID=abc", 250),
    ("MAIL FROM:<" + "x" * 3000 + "@b.test>", 501), ("NOOP " + "x" * 5000, 500),
])
def test_one_command(wire, line, code):
    wire.ehlo()
    assert wire.code(line) == code


def test_utf8_needs_smtputf8(wire):
    wire.ehlo()
    assert wire.code("MAIL FROM:<jürgen@b.test>") == 553
    assert wire.code("MAIL FROM:<jürgen@b.test> SMTPUTF8") == 250


@pytest.mark.parametrize("to,code", [
    ("anna@hermod.test", 250), ("ANNA@HERMOD.TEST", 250), ("anna+news@hermod.test", 250), ("\"anna\"@hermod.test", 250),
    ("postmaster", 250), ("Postmaster", 250), ("POSTMASTER@hermod.test", 250),
    ("nobody@hermod.test", 550), ("anna@elsewhere.test", 554), ("anna%elsewhere.test@hermod.test", 550),
    ("@hermod.test:anna@elsewhere.test", 554), ("\"x@elsewhere.test\"@hermod.test", 550), ("anna", 501),
    ("anna@[203.0.113.9]", 554), ("elsewhere.test!anna@hermod.test", 550),
])
def test_recipients_are_judged_at_rcpt(wire, to, code):
    wire.ehlo()
    assert wire.code("MAIL FROM:<s@client.test>") == 250
    got = wire.cmd(f"RCPT TO:<{to}>")
    assert got[0] == code, got
    assert re.match(r"\d\.\d\.\d+ ", got[1]), "no enhanced status code"


def test_content_comes_through_byte_for_byte(shared_suite, wire):
    wire.begin()
    text = b"".join(bytes([c]) for c in range(1, 256) if c not in (10, 13)) + b"\r\n..dots\r\n. \r\n\r\nend"
    assert wire.data(body(text.replace(b"\r\n.", b"\r\n.."), b"X-Mark: bytes\r\n"))[0] == 250
    m = arrived(shared_suite, "anna", b"X-Mark: bytes")
    assert m.split(b"\n\n", 1)[1] == text.replace(b"\r\n", b"\n") + b"\n"
    assert m.startswith(b"Return-Path: <s@client.test>\n")
    assert b"\nDelivered-To: anna@hermod.test\n" in m and b"\nX-Original-To: anna@hermod.test\n" in m
    received = re.search(rb"^Received: (?:.*\n[ \t])*.*\n", m, re.M).group().decode()
    assert re.fullmatch(r"Received: from client\.test \(\[127\.0\.0\.1\]\) by mx\.hermod\.test with ESMTP id \w+ "
                        r"for <anna@hermod\.test>; \w{3}, .* [+-]\d{4}", " ".join(received.split())), received


def test_pipelining(shared_suite, wire):
    wire.send("EHLO c.test\r\nMAIL FROM:<s@client.test>\r\nRCPT TO:<anna@hermod.test>\r\nRCPT TO:<nobody@hermod.test>\r\n"
              "RCPT TO:<bert@hermod.test>\r\nDATA\r\n")
    assert [wire.reply()[0] for _ in range(6)] == [250, 250, 250, 550, 250, 354]
    wire.send(body(head=b"X-Mark: pipelined\r\n") + b"MAIL FROM:<>\r\nRSET\r\nQUIT\r\n")
    assert [wire.reply()[0] for _ in range(4)] == [250, 250, 250, 221]
    for user in ("anna", "bert"):
        m = arrived(shared_suite, user, b"X-Mark: pipelined")
        assert b" for <" not in m, "a recipient is shown to another"


def test_one_octet_at_a_time(shared_suite, wire):
    for octet in b"EHLO c.test\r\nMAIL FROM:<s@client.test>\r\nRCPT TO:<anna@hermod.test>\r\n":
        wire.send(bytes([octet]))
    assert [wire.reply()[0] for _ in range(3)] == [250, 250, 250]
    assert wire.code("DATA") == 354
    for octet in body(head=b"X-Mark: slowly\r\n"):
        wire.send(bytes([octet]))
    assert wire.reply()[0] == 250
    arrived(shared_suite, "anna", b"X-Mark: slowly")


def test_content_before_354_is_refused(wire):
    wire.begin()
    wire.send(b"DATA\r\n" + body())
    assert wire.reply()[0] == 554
    assert wire.reply()[0] == 0


def test_talking_before_the_greeting(shared_suite):
    refused = 0
    for _ in range(5):
        with Wire(shared_suite, greet=False) as w:
            w.send("EHLO x\r\n")
            refused += w.reply()[0] == 554
    # without a delay the greeting may win the race
    assert shared_suite.smtp().noop()[0] == 250


@pytest.mark.settings(smtpd_greet_delay="3s")
def test_talking_within_the_greeting_delay(suite):
    with Wire(suite, greet=False) as w:
        w.send("EHLO x\r\n")
        assert w.reply()[0] == 554
        assert w.reply()[0] == 0
    with Wire(suite) as w:
        w.ehlo()


BARE = [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r", b"\n.\r", b"x\ny", b"x\ry", b"\r\r\n.\r\n"]


@pytest.mark.parametrize("odd", BARE, ids=repr)
def test_only_crlf_dot_crlf_ends_data(shared_suite, wire, odd):
    """What others take for the end of the message is refused, and what follows it is no command (SMTP smuggling)."""
    before = len(shared_suite.maildir("anna").files())
    wire.begin()
    assert wire.code("DATA") == 354
    wire.send(b"Subject: a\r\n\r\nfirst" + odd + b"MAIL FROM:<forged@evil.test>\r\nRCPT TO:<anna@hermod.test>\r\nDATA\r\n"
              b"Subject: forged\r\n\r\nforged\r\n.\r\n")
    assert wire.reply()[0] == 550
    assert wire.code("NOOP") == 250
    assert len(shared_suite.maildir("anna").files()) == before


@pytest.mark.settings(bare_newline="normalize")
def test_bare_newlines_made_whole(suite):
    with Wire(suite) as w:
        w.begin()
        assert w.data(b"Subject: a\r\n\r\none\ntwo\rthree\n.\nfour\r\n.\r\n")[0] == 250
    m = suite.maildir("anna").wait(1)[0]
    assert m.endswith(b"\n\none\ntwo\nthree\n.\nfour\n"), m


def test_bare_newline_in_a_command(wire):
    wire.send("NOOP\nNOOP\r\n")
    assert wire.reply()[0] == 500
    assert wire.code("NOOP") == 250


def test_size_at_the_limit_and_beyond(shared_suite, wire):
    limit = 200 * 1024
    head = b"Subject: size\r\nX-Mark: full\r\n\r\n"
    lines = (b"x" * 78 + b"\r\n") * (limit // 80 + 1)

    def whole(n):
        """A message that has n octets with the CRLF which ends its last line (data() adds it)."""
        return (head + lines)[:n - 2]

    wire.begin()
    assert wire.data(whole(limit))[0] == 250
    wire.begin()
    assert wire.data(whole(limit + 2))[0] == 552
    assert wire.code("NOOP") == 250


def test_limits_of_the_header(wire):
    for head, code in [
            (b"X: " + b"y" * 1990 + b"\r\n", 250), (b"X: " + b"y" * 2100 + b"\r\n", 554),
            ((b"X: " + b"y" * 90 + b"\r\n") * 300, 552),
            (b"Received: from a by b\r\n" * 30, 250), (b"Received: from a by b\r\n" * 31, 554)]:
        wire.begin()
        assert wire.data(body(head=head))[0] == code, head[:40]


def test_mime_depth(wire):
    def nested(n):
        head, inner = b"", b"Content-Type: text/plain\r\n\r\nx\r\n"
        for i in range(n):
            b = b"b%d" % i
            inner = b"Content-Type: multipart/mixed; boundary=" + b + b"\r\n\r\n--" + b + b"\r\n" + inner + b"--" + b + b"--\r\n"
        return b"MIME-Version: 1.0\r\n" + inner + b"\r\n.\r\n"
    wire.begin()
    assert wire.data(nested(10))[0] == 250
    wire.begin()
    assert wire.data(nested(11))[0] == 554


def test_recipient_limit(wire):
    wire.ehlo()
    assert wire.code("MAIL FROM:<s@client.test>") == 250
    for i in range(100):
        assert wire.code(f"RCPT TO:<anna+{i}@hermod.test>") == 250
    code, text = wire.cmd("RCPT TO:<bert@hermod.test>")
    assert (code, text[:5]) == (452, "4.5.3")


HELOS = [b"x\x1b[31m", b"x(y", b"x)", b"x;y", b"x y", b"x\xff", b"x\0y", b"x\ty", b"x\rX-Forged: y", b"<x>", b"${run{id}}", b"x`id`", b"x'y",
         b"x%n%s", b"%", b"a@b", b"x\\", b"x\"", b"x" * 300]


@pytest.mark.parametrize("verb", [b"HELO", b"EHLO"])
def test_names_of_clients_that_would_be_more(shared_suite, wire, verb):
    """What a client calls itself goes into Received and the log: nothing that ends a line, a comment or a word of either is
    taken; what is odd and harmless is."""
    for helo in HELOS:
        assert wire.code(verb + b" " + helo) in (500, 501), helo
    odd = {b"MY_PC": b"MY_PC", b"mail.example.": b"mail.example.", b"[192.0.2.1": b"-192.0.2.1", b"-_-": b"-_-",
           b"mail.example": b"mail.example", b"[IPv6:::1]": b"[IPv6:::1]"}
    for i, (helo, told) in enumerate(odd.items()):
        assert wire.code(verb + b" " + helo) == 250, helo
        assert wire.code("MAIL FROM:<\"a\\\"<b>\\\\;%s\"@client.test>") == 250
        assert wire.code("RCPT TO:<anna@hermod.test>") == 250
        assert wire.data(body(head=b"X-Mark: helo%d%s\r\n" % (i, verb)))[0] == 250
        m = arrived(shared_suite, "anna", b"X-Mark: helo%d%s" % (i, verb))
        head = m.split(b"\n\n", 1)[0]
        fields = re.sub(rb"\n[ \t]+", b" ", head).split(b"\n")
        assert [f.split(b":")[0] for f in fields] == [b"Return-Path", b"X-Original-To", b"Delivered-To", b"Received", b"From", b"Subject", b"X-Mark"]
        assert fields[0] == b"Return-Path: <\"a\\\"<b>\\\\;%s\"@client.test>" and fields[3].startswith(b"Received: from " + told + b" "), fields
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shared_suite.log())


def test_addresses_that_would_be_fields(shared_suite, wire):
    """Of the log: a quoted local-part may hold spaces and >, which end a value there."""
    odd = '"x> client=203.0.113.7 status=delivered to=<y"'
    wire.ehlo()
    assert wire.code(f"MAIL FROM:<{odd}@client.test>") == 250
    assert wire.code(f"RCPT TO:<{odd}@hermod.test>") == 550
    assert wire.code("RCPT TO:<anna@hermod.test>") == 250
    assert wire.data(body(head=b"X-Mark: fields\r\nMessage-ID: <z client=203.0.113.7@client.test>\r\n"))[0] == 250
    arrived(shared_suite, "anna", b"X-Mark: fields")
    shared_suite.wait_log(r"from=<.*203\.0\.113\.7.*message-id=<")
    assert not re.search(r" (client=203\.0\.113\.7|to=<y|status=delivered to)", shared_suite.log())
    assert shared_suite.hermod("trace", odd + "@client.test").stdout.count("203.0.113.7") >= 2


def test_too_many_errors(wire):
    wire.ehlo()
    codes = [wire.code("FROB") for _ in range(20)]
    assert set(codes) == {500}
    wire.send("FROB\r\n")
    assert wire.reply()[0] == 500 and wire.reply()[0] == 421 and wire.reply()[0] == 0


def test_too_much_junk(wire):
    wire.ehlo()
    for _ in range(30):
        assert wire.code("NOOP") == 250
    wire.send("NOOP\r\n")
    assert wire.reply()[0] == 250 and wire.reply()[0] == 421 and wire.reply()[0] == 0


def test_bdat(shared_suite, wire):
    wire.begin()
    one, two = b"Subject: chunks\r\nX-Mark: bdat\r\n\r\n", b".\r\n..\r\nno stuffing\r\n"
    wire.send(b"BDAT %d\r\n" % len(one) + one + b"BDAT %d LAST\r\n" % len(two) + two + b"NOOP\r\n")
    assert [wire.reply()[0] for _ in range(3)] == [250, 250, 250]
    assert arrived(shared_suite, "anna", b"X-Mark: bdat").endswith(b"\n\n.\n..\nno stuffing\n")
    wire.begin()
    wire.send(b"BDAT 4\r\nab\r\n")
    assert wire.reply()[0] == 250
    assert wire.code("DATA") == 503
    wire.send(b"BDAT 0 LAST\r\n")
    assert wire.reply()[0] == 250


def test_bdat_without_a_transaction_takes_its_octets(wire):
    wire.ehlo()
    wire.send(b"BDAT 11\r\nMAIL FROM:<NOOP\r\n")
    assert [wire.reply()[0] for _ in range(2)] == [503, 250]


def test_bdat_of_more_than_the_limit(wire):
    wire.begin()
    wire.send(b"BDAT 300000 LAST\r\n" + b"x" * 300000)
    assert wire.reply()[0] == 552
    assert wire.code("NOOP") == 250


def test_bdat_that_is_no_number_ends_the_session(wire):
    wire.begin()
    wire.send(b"BDAT -1\r\n")
    assert wire.reply()[0] == 501 and wire.reply()[0] == 421 and wire.reply()[0] == 0


def test_binarymime(shared_suite, wire):
    wire.begin(params=" BODY=BINARYMIME")
    assert wire.code("DATA") == 503
    content = b"Subject: b\r\nX-Mark: binary\r\n\r\na\nb\rc\x00d\r\n"
    wire.send(b"BDAT %d LAST\r\n" % len(content) + content)
    assert wire.reply()[0] == 250
    assert b"c\x00d" in arrived(shared_suite, "anna", b"X-Mark: binary")


def test_forged_results_are_taken_out(shared_suite, wire):
    forged = [b"Authentication-Results: mx.hermod.test; dkim=pass\r\n", b"authentication-results: MX.Hermod.Test 1; spf=pass\r\n",
              b"Authentication-Results:\r\n (x) \"mx.hermod.test\"; dmarc=pass\r\n",
              b"Authentication-Results : mx.hermod.test; none\r\n"]
    wire.begin()
    assert wire.data(body(head=b"".join(forged) + b"X-Mark: forged\r\nAuthentication-Results: mx.other.test; spf=fail\r\n"))[0] == 250
    m = arrived(shared_suite, "anna", b"X-Mark: forged")
    assert len(re.findall(rb"(?im)^authentication-results", m)) == 1 and b"mx.other.test; spf=fail" in m
    assert b"=pass" not in m


def test_a_client_that_goes_away_leaves_nothing(shared_suite):
    for cut in (b"Subject: x\r\n", b"Subject: x\r\n\r\n" + b"y" * 100000):
        w = Wire(shared_suite)
        w.begin()
        assert w.code("DATA") == 354
        w.send(cut)
        w.close()
    shared_suite.wait_queue_empty()


def test_null_sender(shared_suite, wire):
    wire.begin(sender="")
    assert wire.data(body(head=b"X-Mark: null\r\n"))[0] == 250
    assert arrived(shared_suite, "anna", b"X-Mark: null").startswith(b"Return-Path: <>\n")


@pytest.mark.settings(smtpd_client_sessions=3, smtpd_client_rate=6, smtpd_workers=4)	# they count together
def test_limits_of_one_client(suite):
    open_ones = [Wire(suite) for _ in range(3)]
    w = Wire(suite, greet=False)
    assert w.reply()[0] == 421
    for o in open_ones:
        o.cmd("QUIT")
        o.close()
    wait_for(lambda: not sum(s["sessions"] for s in suite.hermod_json("status") if s["service"] == "smtpd"), 20 * patience())
    codes = []
    for _ in range(5):
        with Wire(suite, greet=False) as w:
            codes.append(w.reply()[0])
    assert codes == [220, 220, 220, 421, 421]


@pytest.mark.settings(smtpd_command_timeout="3s", smtpd_content_timeout="3s")
def test_silence_ends_the_session(suite):
    with Wire(suite) as w:
        assert w.reply()[0] == 421
        assert w.reply()[0] == 0
    with Wire(suite) as w:
        w.begin()
        assert w.code("DATA") == 354
        assert w.reply()[0] == 421


@pytest.mark.settings(smtpd_sessions=40, smtpd_workers=1, smtpd_client_sessions=0, smtpd_client_rate=0,
                      smtpd_stress_timeout="3s")
def test_slow_clients_take_nobody_elses_room(suite):
    """All sessions and 20 more are taken by clients that send an octet now and then."""
    slow = []
    for _ in range(60):
        s = socket.create_connection((suite.host, suite.smtp_port), timeout=20)
        s.sendall(b"E")
        slow.append(s)
    began = time.monotonic()
    with Wire(suite) as w:
        assert time.monotonic() - began < 2 * patience()
        w.begin()
        assert w.data(body())[0] == 250
        assert time.monotonic() - began < 15 * patience()
    suite.maildir("anna").wait(1)
    for s in slow:
        s.close()


@pytest.mark.settings(smtpd_sessions=8, smtpd_workers=1, smtpd_client_sessions=0, smtpd_client_rate=0, smtpd_stress_timeout="5m")
def test_idle_sessions_up_to_the_limit_and_one_more(suite):
    """At it all are served. One more takes the place of the one that has done nothing for the longest time, and of no other;
    descriptors stay as few."""
    held = [Wire(suite) for _ in range(8)]
    for w in held:
        assert w.code("NOOP") == 250
    p = suite.processes("smtpd")[0]
    fds = len(p.fds())
    for i in range(8):
        held.append(Wire(suite))
        assert held[-1].code("NOOP") == 250
        assert held[i].reply()[0] in (0, 421)
        for w in held[i + 1:]:
            assert w.code("NOOP") == 250
        assert len(p.fds()) <= fds + 1
    held[-1].begin()
    assert held[-1].data(body())[0] == 250
    suite.maildir("anna").wait(1)
    for w in held:
        w.close()


@pytest.mark.plain
@pytest.mark.settings(smtpd_sessions=2500, smtpd_workers=1, smtpd_client_sessions=0, smtpd_client_rate=0)
def test_idle_sessions_are_small(suite):
    def pss():
        return sum(int(line.split()[1]) for p in suite.pids("smtpd") for line in open(f"/proc/{p}/smaps_rollup")
                   if line.startswith("Pss:"))
    Wire(suite).close()
    before = pss()
    idle = []
    for _ in range(2000):
        w = Wire(suite)
        w.ehlo()
        idle.append(w)
    each = (pss() - before) / 2000
    assert each < 16, f"{each:.1f} KiB a session"
    for w in idle:
        w.close()
