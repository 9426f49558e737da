# SPDX-License-Identifier: ISC
"""
IMAP clients that are hostile or confused, and mailboxes that are not as they should be: each is answered within bounds
of time and memory, loses nothing, and leaves other sessions as they were.
"""
import hashlib
import os
import random
import re
import socket
import stat
import time

import pytest

from hermodtest.imap import Literal
from hermodtest.proc import wait_for
from hermodtest.suite import PASSWORD, patience, sanitized
from hermodtest.wire import Connection
from test_disk_full import fill, small  # noqa: F401  (a fixture)
from test_imap_fetch import boxes, fetch

SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000, "imap_append_limit": "1M", "imap_idle_poll": "100ms"}
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=1:exitcode=99"} if sanitized() else {}
TEXT = b"Subject: x\r\n\r\nbody\r\n"
MIB = 1 << 20
ROOM = (200 if sanitized() else 40) * MIB           # of memory, that a session may come to have


def numbered(n):
    return [b"Subject: m%d\n\nbody %d\n" % (i, i) for i in range(1, n + 1)]


@pytest.fixture
def box(shared_suite):
    with boxes(shared_suite, "user", "S") as box:
        yield box


def resident(suite):
    """The most that a session has now, octets."""
    most = 0
    for p in suite.processes("imapd"):
        try:
            most = max([most] + [int(x.split()[1]) * 1024 for x in open(f"/proc/{p.pid}/status") if x.startswith("VmRSS")])
        except OSError:
            pass
    return most


class Raw(Connection):
    """A session without a client's manners."""

    def __init__(self, suite, address, timeout=20):
        super().__init__(suite.host, suite.imap_port, timeout)
        self.f.readline()
        assert b" OK" in self.cmd(f'a LOGIN {address} "{PASSWORD}"'.encode())

    def cmd(self, line):
        """Up to its tagged answer."""
        self.send(line + b"\r\n")
        return self.until(line.split(b" ")[0] + b" ")

    def until(self, start):
        out = b""
        for line in self.f:
            out += line
            if line.startswith(start):
                return out
        return out + b"(end)"


# ---- commands ----------------------------------------------------------------------------

@pytest.mark.parametrize("command", [
    "SEARCH {}ALL", "SEARCH {}", "FETCH 1 {}FLAGS", "FETCH 1 {}", "STATUS INBOX {}", "LIST {} *", 'LIST "" {}', "STORE 1 FLAGS {}",
    "FETCH 1 BODY[HEADER.FIELDS {}", "ID {}", "SELECT INBOX {}", "APPEND INBOX {}", "SEARCH RETURN {}", "ENABLE {}"])
def test_nested(box, shared_suite, command):
    """Brackets and parentheses without end, as many as a line may have."""
    c, _ = box(numbered(2))
    before = resident(shared_suite)
    for inner in ("(" * 60000, "(NOT " * 12000, "[" * 60000, "()" * 30000, "((((" * 20 + ")" * 60000):
        r = c.cmd(command.format(inner))
        assert r.done.name in ("NO", "BAD", "OK")
    c.ok("NOOP")
    assert resident(shared_suite) < before + ROOM


def test_literals(box, shared_suite):
    c, address = box(numbered(2))
    for n in (262145, 4294967295, 4294967296, 2 ** 63 - 1):
        assert c.no(f"SEARCH SUBJECT {{{n}}}", state="BAD")         # answered, and not with "+"
        assert c.no(f"APPEND INBOX {{{n}}}", state="NO" if n > MIB else "BAD") if n > MIB else True
    for bad in ("SEARCH SUBJECT {1", "SEARCH SUBJECT {}", "SEARCH SUBJECT {-1}", "SEARCH SUBJECT {1++}", "SEARCH SUBJECT {+}"):
        c.no(bad, state="BAD")
    d = Raw(shared_suite, address)
    before = resident(shared_suite)
    for i in range(40):                                             # what is not waited for is dropped, and counted
        d.send(b"x SEARCH SUBJECT {1000000+}\r\n" + b"y" * 1000000 + b"\r\n")
        assert d.until(b"x ").startswith(b"x BAD")
    assert resident(shared_suite) < before + ROOM
    d.send(b"x SEARCH" + b" SUBJECT {1+}\r\ny" * 300 + b"\r\n")
    assert d.until(b"x ").startswith(b"x BAD")
    assert b"x OK" in d.cmd(b"x NOOP")
    d.send(b"x SEARCH SUBJECT {9223372036854775808+}\r\n")
    assert b"* BYE" in d.until(b"nothing")
    d.close()


@pytest.mark.parametrize("command", [
    b"SUBSCRIBE {300000}", b"APPEND INBOX {2000000}", b"APPEND INBOX x {5}", b"APPEND nope {3+}\r\nabc {14}",
    b"SEARCH" + b" SUBJECT {1}\r\ny" * 256 + b" {14}", b"SEARCH TEXT " + b"x" * 66000 + b" {14}", b"SEARCH \0 {14}",
    b"SEARCH TEXT {9223372036854775808}"], ids=[
        "too long", "too large", "no message", "behind one that was refused",
        "too many", "long line", "bad line", "beyond count"])
def test_who_does_not_wait(box, shared_suite, command):
    """The octets of a literal that was refused are no commands."""
    _, address = box()
    d = Raw(shared_suite, address)
    d.send(b"x " + command[:-20])
    d.send(command[-20:] + b"\r\ny CREATE z\r\n")            # they come together
    got = d.until(b"y ")
    assert got.endswith(b"(end)") and b"* BYE" in got
    d.close()
    with shared_suite.imap(address) as c:
        c.no("SELECT z")


def test_sets(box, shared_suite):
    c, _ = box(numbered(300))
    before, start = resident(shared_suite), time.monotonic()
    for command in ("FETCH {} (FLAGS)", "UID FETCH {} (FLAGS)", "SEARCH {}", "SEARCH UID {}", "STORE {} +FLAGS.SILENT (\\Seen)",
                    "UID SEARCH NOT UID {}", "UID STORE {} +FLAGS.SILENT (\\Seen)"):
        for s in (",".join(["1:300"] * 9000), ",".join(["300:1,*"] * 6000), ",".join(str(2 * i + 1) for i in range(10000))):
            r = c.cmd(command.format(s))
            assert r.ok or not command.startswith("UID")
            assert len(r.of("FETCH")) <= 300
    for s in ("1:4294967295", "4294967295:1", "*:*", "4294967295:*"):
        assert c.ok(f"UID FETCH {s} (FLAGS)").of("FETCH")
    for s in ("0", "0:*", "1,,2", ",1", "1:", ":1", "1:2:3", "4294967296", "1:4294967296", "-1", "*,", "$,1", "1,$", "00", "01"):
        c.no(f"UID FETCH {s} (FLAGS)", state="BAD")
        c.no(f"FETCH {s} (FLAGS)", state="BAD")
    assert resident(shared_suite) < before + ROOM
    assert time.monotonic() - start < 60 * patience()


def test_keys(box):
    c, _ = box(numbered(3))
    assert c.ok("SEARCH " + " ".join(["ALL"] * 1000)).of("SEARCH")[0].data.numbers == (1, 2, 3)
    c.no("SEARCH " + " ".join(["ALL"] * 1001), state="BAD")
    start = time.monotonic()
    c.ok("SEARCH " + "OR BODY aaa " * 90 + "ALL")
    c.ok("SEARCH " + "NOT " * 90 + "TEXT body")
    assert time.monotonic() - start < 10 * patience()


def test_junk(box, shared_suite):
    """What is no command is answered; after many in a row the session ends."""
    _, address = box()
    rnd = random.Random(5)
    for _ in range(12):
        d = Raw(shared_suite, address)
        try:
            for _ in range(60):
                d.send(bytes(rnd.randrange(256) for _ in range(rnd.randrange(400))) + rnd.choice((b"\r\n", b"\n", b"\r", b"")))
            d.send(b"\r\n")
            d.s.shutdown(socket.SHUT_WR)
            assert b"BYE" in (out := d.f.read()) or out
        except OSError:
            pass
        d.close()
    d = Raw(shared_suite, address)
    for _ in range(51):
        d.send(b"x FROB\r\n")
    out = d.until(b"nothing")
    assert out.count(b"x BAD") == 51 and out.count(b"* BYE") == 1
    d.close()
    d = Raw(shared_suite, address)
    before = resident(shared_suite)
    try:
        for _ in range(60):                                         # a line without end
            d.send(b"a" * MIB)
    except OSError:
        pass
    assert resident(shared_suite) < before + ROOM
    d.close()


def test_list_wildcards(box):
    c, _ = box()
    start = time.monotonic()
    for pattern in ("%*" * 2000 + "a", "*" * 4000, "*a" * 1000 + "b", "%/" * 1000, "*%*%*%INBOX*%*"):
        assert c.cmd(f'LIST "" "{pattern}"').done.name in ("OK", "NO", "BAD")
        assert c.cmd(f'LSUB "" "{pattern}"').done.name in ("OK", "NO", "BAD")
    assert time.monotonic() - start < 10 * patience()


def test_cut(box, shared_suite):
    """The connection ends in the middle of a command, at each place: nothing is done, nothing is left."""
    c, address = box(numbered(2))
    command = (b"x APPEND {5+}\r\nINBOX (\\Seen kept) {28+}\r\nSubject: a\r\n\r\n0123456789abcd {28+}\r\n"
               b"Subject: b\r\n\r\n0123456789abcd\r\n")
    for at in range(0, len(command), 3):
        d = Raw(shared_suite, address)
        d.send(command[:at])
        if at % 2:
            d.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")    # RST
        d.close()
    maildir = shared_suite.maildir(address)
    wait_for(lambda: len(shared_suite.processes("imapd")) <= 1, 20 * patience(), why="sessions end")
    assert len(maildir.files()) == 2 and not maildir.tmp()
    d = Raw(shared_suite, address)
    d.send(command)
    assert d.until(b"x ").startswith(b"x OK")
    d.close()
    c.ok("NOOP")
    assert c.box.count == 4


def test_never_reads(box, shared_suite):
    """Sessions that ask for much and read nothing: their memory is bounded, others are served."""
    big = [b"Subject: big\n\n" + b"0123456789\n" * 300000]
    c, address = box(big * 3)
    idle = resident(shared_suite)
    held = []
    for _ in range(4):
        d = Raw(shared_suite, address)
        assert b"x OK" in d.cmd(b"x SELECT INBOX")
        d.s.settimeout(0.5)
        try:
            d.send(b"y FETCH 1:* BODY.PEEK[]\r\n" * 2000)
            d.send(b"y FETCH 1:* (BODY.PEEK[1] BODY.PEEK[TEXT])\r\n" * 20000)
        except OSError:
            pass
        held.append(d)
    time.sleep(1)
    assert resident(shared_suite) < idle + ROOM
    assert len(fetch(c, 1, "BODY.PEEK[]")[1]["BODY[]"]) == len(big[0]) + 300002
    for d in held:
        d.close()


# ---- octets that end strings elsewhere ----------------------------------------------------

ODD_OCTETS = (
    b"x NOOP\0", b"x\0 NOOP", b"\0x NOOP", b"x \xffNOOP", b"\xffx NOOP", b"x NOOP\xff", b'x SELECT "IN\0BOX"', b'x SELECT "INBOX\0"',
    b"x SELECT IN\0BOX", b"x SELECT {7+}\r\nINBOX\0x", b"x SELECT ~{7+}\r\nINBOX\0x", b"x SELECT INBOX\xff", b'x SELECT "INBOX\\', b'x SELECT "\\\0"',
    b'x CREATE "Kept\0x"', b"x CREATE {6+}\r\nKept\0x", b"x CREATE Kept\0x", b"x CREATE {7+}\r\nKept\r\nx", b'x CREATE "Kept\xff"',
    b"x CREATE Kept\xff", b"x CREATE {5+}\r\nKept\xc3", b'x CREATE "Kept\x1b[2J"', b"x CREATE {8+}\r\nKept\x1b[2J", b'x CREATE "Kept&AAA-"',
    b'x RENAME Sent "Kept\0"', b"x RENAME Sent {5+}\r\nKept\0", b'x DELETE "Sent\0x"', b"x DELETE {6+}\r\nSent\0x", b'x SUBSCRIBE "Sent\0"',
    b"x SUBSCRIBE {11+}\r\nSent\r\nTrash", b'x LIST "" "Sent\0"', b"x LIST {1+}\r\n\0 *", b"x STATUS {5+}\r\nSent\0 (MESSAGES)",
    b"x COPY 1 {5+}\r\nSent\0", b'x COPY 1 "Sent\xff"', b"x APPEND {5+}\r\nSent\0 {4+}\r\nabcd", b"x APPEND Sent (a\0b) {4+}\r\nabcd",
    b"x APPEND Sent (\xff) {4+}\r\nabcd", b"x STORE 1 +FLAGS (a\0b)", b"x STORE 1 +FLAGS (\xff\xfe)",
    b"x STORE 1\0 +FLAGS (a)", b'x FETCH 1 BODY[HEADER.FIELDS ("T\0o")]', b"x FETCH 1 BODY[HEADER.FIELDS ({3+}\r\nT\0o)]",
    b"x FETCH 1 BODY[HEADER.FIELDS (\xff)]", b'x SEARCH SUBJECT "a\0b"', b"x SEARCH SUBJECT {3+}\r\na\0b", b"x SEARCH HEADER {3+}\r\na\0b x",
    b"x SEARCH CHARSET UTF-8 SUBJECT {2+}\r\n\xc3(", b"x SEARCH CHARSET UTF-8 SUBJECT {1+}\r\n\xc3", b"x SEARCH CHARSET UTF-8 SUBJECT {3+}\r\n\xed\xa0\x80",
    b"x SEARCH CHARSET {6+}\r\nUTF-8\0 ALL", b'x ID ("a\0b" "c")', b"x ID ({3+}\r\na\0b NIL)", b"x ENABLE CONDSTORE\0")


def test_odd_octets(box, shared_suite):
    """NUL, 8-bit octets, cut UTF-8 and controls in each kind of string: refused or searched for in vain, and never the
    string that ends before them."""
    c, address = box(numbered(1), flags="")
    before = {x.data.mailbox for x in c.ok('LIST "" *').of("LIST")}
    d = Raw(shared_suite, address)
    assert b"x OK" in d.cmd(b"x SELECT INBOX")
    for odd in ODD_OCTETS:
        d.send(odd + b"\r\nz NOOP\r\n")
        told = d.until(b"z ")
        assert b"z OK" in told and b"(end)" not in told, odd
        assert not re.search(rb"[\0-\x09\x0b\x0c\x0e-\x1f\x7f-\xff]", told), (odd, told)
        answers = [line for line in told.split(b"\r\n") if line and not line.startswith(b"z ")]
        assert answers, odd
        if b"SEARCH" in odd:
            assert not any(re.match(rb"\* SEARCH \d", a) for a in answers), (odd, answers)
        elif not odd.startswith(b'x LIST "" "Sent'):
            assert any(a.startswith((b"x BAD", b"x NO", b"* BAD")) for a in answers), (odd, answers)
    d.close()
    assert {x.data.mailbox for x in c.ok('LIST "" *').of("LIST")} == before
    assert b"Kept" not in open(os.path.join(shared_suite.maildir(address).path, "subscriptions"), "rb").read()
    for name in ("Sent", "Trash"):
        assert c.ok(f"STATUS {name} (MESSAGES)").of("STATUS")[0].data[1]["MESSAGES"] == 0
    assert fetch(c, 1, "FLAGS")[1]["FLAGS"] - {"\\Recent"} == set()


def test_nul_appended(box, shared_suite):
    """RFC 3501 section 9, CHAR8: what has NUL could not be given back as it came; nothing of that command is added."""
    c, address = box()
    before = c.ok("STATUS INBOX (MESSAGES UIDNEXT)").of("STATUS")[0].data[1]
    for sync in (True, False):
        for odd in (b"Subject: a\0b\r\n\r\nx\r\n", b"Subject: a\r\n\r\n" + b"x" * 200000 + b"\0", b"\0"):
            c.no("APPEND INBOX ", Literal(odd, sync))
            c.no("APPEND INBOX ", Literal(TEXT, sync), " ", Literal(odd, sync), " ", Literal(TEXT, sync))
    d = Raw(shared_suite, address)
    assert d.cmd(b"x APPEND INBOX ~{16+}\r\nSubject: a\0b\r\n\r\n").startswith(b"x NO")       # literal8: BINARY is not served
    d.close()
    assert c.ok("STATUS INBOX (MESSAGES UIDNEXT)").of("STATUS")[0].data[1] == before
    c.ok("APPEND INBOX ", Literal(TEXT))


# ---- messages of very much ------------------------------------------------------------------

def parts_of(n):
    return (b"Content-Type: multipart/mixed; boundary=b\n\n"
            + b"".join(b"--b\nContent-Type: text/x-%d; a=b\nContent-ID: <%d@x>\n\nbody\n" % (i, i) for i in range(n)) + b"--b--\n")


MUCH = {
    "addresses in one field": (50000, lambda n: b"To: " + b",\n ".join(b"u%d <u%d@example.org>" % (i, i) for i in range(n)) + b"\n\nx\n"),
    "fields of addresses": (50000, lambda n: b"".join(b"To: u%d@example.org\n" % i for i in range(n)) + b"\nx\n"),
    "groups": (50000, lambda n: b"Cc: " + b",".join(b"g%d: a@b;" % i for i in range(n)) + b"\n\nx\n"),
    "comments": (50000, lambda n: b"From: " + b"(" * n + b"a@b" + b")" * n + b"\n\nx\n"),
    "fields": (50000, lambda n: b"".join(b"X-%d: v\n" % i for i in range(n)) + b"\nx\n"),
    "folded lines": (50000, lambda n: b"Subject: a\n" + b" b\n" * n + b"\nx\n"),
    "message-ids": (50000, lambda n: b"References: " + b"\n ".join(b"<%d@x>" % i for i in range(n)) + b"\n\nx\n"),
    "parameters": (20000, lambda n: b"Content-Type: a/b" + b"".join(b";\n p%d*0*=u'';p%d*1=v" % (i, i) for i in range(n)) + b"\n\nx\n"),
    "encoded words": (50000, lambda n: b"Subject: " + b"\n ".join(b"=?utf-8?Q?a?=" for i in range(n)) + b"\n\nx\n"),
    "parts": (10000, parts_of),
    "multiparts within each other": (1000, lambda n: b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(n)) + b"\nx\n"),
    "messages within each other": (1000, lambda n: b"Content-Type: message/rfc822\nTo: a@b\n\n" * n + b"x\n"),
    "lines like boundaries": (100000, lambda n: b"Content-Type: multipart/mixed; boundary=" + b"a" * 60 + b"\n\n" + (b"--" + b"a" * 59 + b"\n") * n),
    "bare CR": (200000, lambda n: b"Subject: x\n\n" + b"\r" * n),
}


def cpu(pid):
    """Seconds that it has computed."""
    return int(open(f"/proc/{pid}/schedstat").read().split()[0]) / 1e9


@pytest.mark.parametrize("much", MUCH)
def test_twice_as_much_costs_twice(shared_suite, much):
    """Whatever a message has very many of: all that can be asked of it is computed in time that grows as it does."""
    n, make = MUCH[much]
    took = []
    for k in (n, 2 * n):
        with boxes(shared_suite, f"much{n}", "") as box:
            others = set(shared_suite.pids("imapd"))
            c, _ = box([make(k)])
            mine, = set(shared_suite.pids("imapd")) - others
            before = cpu(mine)
            for items in ("(ENVELOPE)", "(BODYSTRUCTURE BODY)", "(BODY.PEEK[HEADER] RFC822.SIZE)", "(BODY.PEEK[HEADER.FIELDS (To References X-7)])",
                          "(BODY.PEEK[HEADER.FIELDS.NOT (To References)])", "(BODY.PEEK[1] BODY.PEEK[1.1.1] BODY.PEEK[2.MIME])"):
                c.ok(f"FETCH 1 {items}")
            for keys in ("TO nowhere", "SUBJECT nowhere", "HEADER References nowhere", "BODY nowhere", "TEXT nowhere"):
                c.ok(f"SEARCH {keys}")
            took.append(cpu(mine) - before)
    assert took[1] < 3 * took[0] + 0.3 * patience(), took


def test_twice_as_many_in_an_mbox(make_suite):
    """Each look at an mbox takes it apart: in time that grows as it does. Half of the messages are as another is."""
    suite = make_suite(users=("anna",), mailbox_format="mbox", login_client_rate=100000)
    suite.send("anna")
    suite.wait_queue_empty()
    path, = (os.path.join(top, f) for top, _, files in os.walk(suite.mail) for f in files if f == "mbox")
    took = []
    for n in (80000, 160000):
        with open(path, "wb") as f:
            f.write(b"".join(b"From a@b Thu Jan  1 00:00:00 2026\nSubject: %d\n\nx\n\n" % (i // 2) for i in range(n)))
        for _ in range(2):
            c = suite.imap("anna")
            mine, = suite.pids("imapd")
            c.ok("SELECT INBOX")
            took.append(cpu(mine))
            assert c.box.count == n
            got = fetch(c, f"1:4,{n}", "UID")
            c.logout()
            wait_for(lambda: not suite.pids("imapd"))
        assert {k: v["UID"] - got[1]["UID"] for k, v in got.items()} == {1: 0, 2: 1, 3: 2, 4: 3, n: n - 1}
    assert took[3] < 3 * took[1] + 0.3 * patience(), took


@pytest.mark.long
@pytest.mark.plain
def test_very_many_messages(make_suite):
    """Commands that mean each of 1,300,000 messages: what has to be held for them, and said of them, has room."""
    suite = make_suite(users=("anna",), mailbox_format="mbox", login_client_rate=100000)
    suite.send("anna")
    suite.wait_queue_empty()
    path, = (os.path.join(top, f) for top, _, files in os.walk(suite.mail) for f in files if f == "mbox")
    n = 1300000
    with open(path, "wb") as f:
        f.write(b"".join(b"From a@b Thu Jan  1 00:00:00 2026\nS: %07d%s\n\n\n" % (i, b"long" * (i % 2)) for i in range(n)))
    c = suite.imap("anna")

    def run(command):
        r = c.finish(c.start(command), 300)
        assert r.ok, r.done
        return r
    run("SELECT INBOX")
    assert c.box.count == n
    run("STORE 1:* +FLAGS.SILENT (\\Seen)")
    run("SEARCH RETURN (SAVE) LARGER 15")
    words = run("STORE $ (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Flagged)").done.code
    assert words[0] == "MODIFIED" and str(words[1]).count(",") >= n // 2 - 1
    c.logout()


# ---- names of flags -------------------------------------------------------------------------

def test_odd_flags(box, shared_suite):
    c, address = box(numbered(2), flags="")
    longest = "k" * 255
    c.ok(f"STORE 1 +FLAGS ({longest} $a'b a~b ~ 2 NIL)")
    c.ok("STORE 1 +FLAGS (NonJunk)")
    c.ok("STORE 2 +FLAGS (nonjunk $FORWARDED)")
    got = fetch(c, "1:2", "FLAGS")
    assert got[1]["FLAGS"] - {"\\Recent"} == {longest, "$a'b", "a~b", "~", "2", "NIL", "NonJunk"}
    assert got[2]["FLAGS"] - {"\\Recent"} == {"NonJunk", "$Forwarded"}
    assert c.no(f"STORE 1 +FLAGS ({longest}k)").done.code == ("CANNOT", None)
    for bad in ('a"b', "a]b", "a[b]", "a{b", "a*", "a%", "a\\b", "\\", "\\*", "a(b", "\\Recent", "\u00e9", "", "a\tb"):
        c.no(f"STORE 1 +FLAGS ({bad} x)", state="BAD")
        c.no(f"APPEND INBOX ({bad} x) ", Literal(TEXT), state="BAD")
    c.ok("STORE 1 FLAGS (\\Frob \\Seen)")                            # what cannot be kept is let go
    assert fetch(c, 1, "FLAGS")[1]["FLAGS"] - {"\\Recent"} == {"\\Seen"}
    assert not shared_suite.maildir(address).tmp()


def test_keywords_at_the_limit(box, shared_suite):
    """26 keywords, and one more; those that no message has give room."""
    c, _ = box(numbered(3), flags="")
    c.ok("STORE 1 +FLAGS (" + " ".join(f"k{i}" for i in range(26)) + ")")
    assert len(fetch(c, 1, "FLAGS")[1]["FLAGS"] - {"\\Recent"}) == 26
    assert c.no("STORE 2 +FLAGS (k26)").done.code == ("LIMIT", None)
    assert c.no("APPEND INBOX (k26) ", Literal(TEXT)).done.code == ("LIMIT", None)
    assert c.no("STORE 2 FLAGS (\\Seen k1 k26)").done.code == ("LIMIT", None)
    assert fetch(c, 2, "FLAGS")[2]["FLAGS"] - {"\\Recent"} == set()
    c.ok("STORE 2 -FLAGS (k26)")
    assert c.ok("SEARCH KEYWORD k26").of("SEARCH")[0].data.numbers == ()
    c.ok("STORE 1 -FLAGS (k3 k4 k5)")
    c.ok("STORE 2 +FLAGS (n1 n2 n3)")                                # each a letter of its own
    assert fetch(c, 2, "FLAGS")[2]["FLAGS"] - {"\\Recent"} == {"n1", "n2", "n3"}
    c.ok("APPEND INBOX (k7 n2) ", Literal(TEXT), " (n1 k9) ", Literal(TEXT))
    assert fetch(c, 5, "FLAGS")[5]["FLAGS"] - {"\\Recent"} == {"n1", "k9"}
    c.ok("STORE 1,4:5 FLAGS ()")
    c.ok("APPEND INBOX (p1) ", Literal(TEXT), " (p2) ", Literal(TEXT), " (p3 n1) ", Literal(TEXT))
    assert [d["FLAGS"] - {"\\Recent"} for _, d in sorted(fetch(c, "6:8", "FLAGS").items())] == [{"p1"}, {"p2"}, {"p3", "n1"}]
    c.ok("COPY 2,6:8 Sent")
    c.ok("SELECT Sent")
    assert [d["FLAGS"] - {"\\Recent"} for _, d in sorted(fetch(c, "1:4", "FLAGS").items())] == \
        [{"n1", "n2", "n3"}, {"p1"}, {"p2"}, {"p3", "n1"}]


def test_keyword_with_the_letter_of_another(box, shared_suite):
    """FLAGS says which there are (RFC 3501 section 7.2.6), also when as many are as were."""
    c, address = box(numbered(2), flags="")
    c.ok("STORE 1 +FLAGS (" + " ".join(f"k{i}" for i in range(26)) + ")")
    d = shared_suite.imap(address)
    d.ok("SELECT INBOX")
    c.ok("STORE 1 -FLAGS (k3)")
    for r in (c.ok("STORE 2 +FLAGS (n1)"), d.ok("NOOP")):
        told, = r.of("FLAGS")
        assert "n1" in told.data and "k3" not in told.data
    assert not c.ok("STORE 1 +FLAGS (n1)").of("FLAGS")
    d.logout()


def test_keywords_of_a_full_target(box):
    """COPY into a mailbox that has no room for another keyword: the messages are there, without it, and nobody has another's."""
    c, _ = box(numbered(2), flags="")
    for i in range(26):
        c.ok(f"APPEND Sent (s{i}) ", Literal(TEXT))
    c.ok("STORE 1 +FLAGS (mine \\Flagged)")
    assert [r.code for r in c.ok("COPY 1:2 Sent").of("NO")] == [("LIMIT", None)]
    assert not c.ok("COPY 2 Sent").of("NO")
    c.ok("SELECT Sent")
    got = [d["FLAGS"] - {"\\Recent"} for _, d in sorted(fetch(c, "1:*", "FLAGS").items())]
    assert got == [{f"s{i}"} for i in range(26)] + [{"\\Flagged"}, set(), set()]


def test_keyword_of_a_message_that_is_coming(box, shared_suite):
    """No message has a letter before it is there; meanwhile another keyword may get that letter, but not the message."""
    c, address = box(numbered(2), flags="")
    c.ok("STORE 1 +FLAGS (" + " ".join(f"k{i}" for i in range(25)) + ")")
    d = Raw(shared_suite, address)
    for command, want in ((b"2 -FLAGS (thief)", {"late"}), (b"2 FLAGS (\\Seen)", {"late"}), (b"1 -FLAGS (k3)", {"late"}), (b"2 -FLAGS (x)", None)):
        d.send(b"x APPEND INBOX (late) {%d}\r\n" % len(TEXT))
        d.until(b"+ ")
        c.ok("STORE 2 +FLAGS (thief)")
        c.ok(b"STORE " + command)
        d.send(TEXT + b"\r\n")
        told = d.until(b"x ")
        c.ok("NOOP")
        last = fetch(c, c.box.count, "FLAGS")[c.box.count]["FLAGS"] - {"\\Recent"}
        if want:
            assert b"x OK" in told and last == want
            c.ok(f"STORE {c.box.count} +FLAGS (\\Deleted)")
            c.ok("EXPUNGE")
            c.ok("STORE 2 FLAGS ()")
            c.ok("STORE 1 +FLAGS (k3)")
        else:
            assert b"x NO [LIMIT]" in told and c.box.count == 2
    d.close()


# ---- what is in a Maildir ---------------------------------------------------------------------

def test_keywords_that_cannot_be_read(box, shared_suite):
    """Nothing is written over names that are there and cannot be read now, and no message goes elsewhere without them."""
    c, address = box(numbered(3), flags="")
    c.ok("STORE 1 +FLAGS (one two)")
    c.logout()
    path = os.path.join(shared_suite.maildir(address).path, "hermod.keywords")
    os.chmod(path, 0)
    before = os.stat(path)
    c = shared_suite.imap(address)
    c.ok("SELECT INBOX")
    for command in ("STORE 2 +FLAGS (three)", "COPY 1 Sent", "MOVE 1:2 Sent", "RENAME INBOX Old"):
        assert c.no(command).done.code == ("UNAVAILABLE", None), command
    assert c.no("APPEND INBOX (three) ", Literal(TEXT)).done.code == ("UNAVAILABLE", None)
    c.ok("COPY 2:3 Sent")
    c.ok("STORE 2 +FLAGS (\\Seen)")
    assert os.stat(path).st_ino == before.st_ino
    os.chmod(path, 0o600)
    c.ok("NOOP")
    assert fetch(c, 1, "FLAGS")[1]["FLAGS"] - {"\\Recent"} == {"one", "two"}
    c.ok("STORE 3 +FLAGS (three)")
    c.ok("COPY 1:3 Sent")
    c.ok("SELECT Sent")
    assert [d["FLAGS"] - {"\\Recent"} for _, d in sorted(fetch(c, "1:*", "FLAGS").items())] == \
        [set(), set(), {"one", "two"}, {"\\Seen"}, {"three"}]


def test_odd_files(box, shared_suite):
    """FIFO, device, symbolic link, directory, socket: no messages, and nothing waits for them."""
    c, address = box(numbered(2))
    path = shared_suite.maildir(address).path
    secret = os.path.join(shared_suite.dir, "secret")
    with open(secret, "w") as f:
        f.write("Subject: secret\n\nsecret\n")
    os.chmod(secret, 0o644)
    for folder in ("cur", "new"):
        at = os.path.join(path, folder)
        os.mkfifo(os.path.join(at, "1700000000.fifo:2,S"), 0o666)
        os.symlink(secret, os.path.join(at, "1700000001.link:2,S"))
        os.symlink("/dev/zero", os.path.join(at, "1700000002.zero:2,S"))
        os.mkdir(os.path.join(at, "1700000003.dir:2,S"), 0o777)
        socket.socket(socket.AF_UNIX).bind(os.path.join(at, "1700000004.sock"))
        if os.geteuid() == 0:
            os.mknod(os.path.join(at, "1700000005.null:2,S"), 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    start = time.monotonic()
    for _ in range(2):
        c.cmd("NOOP")
        r = c.cmd("FETCH 1:* (FLAGS UID RFC822.SIZE INTERNALDATE BODY.PEEK[])")
        assert {x.number for x in r.of("FETCH")} >= {1, 2}
        assert all(b"secret" not in (x.data["BODY[]"] or b"") for x in r.of("FETCH"))
        assert c.ok("SEARCH BODY secret").of("SEARCH")[0].data.numbers == ()
        c.cmd("COPY 1:* Sent")
        c.cmd("STORE 1:* +FLAGS (\\Flagged)")
        c.ok("STATUS INBOX (SIZE MESSAGES)")
        c.ok("SELECT INBOX")
    assert os.path.exists(secret) and time.monotonic() - start < 10 * patience()
    assert c.ok("STATUS Sent (MESSAGES)").of("STATUS")[0].data[1]["MESSAGES"] in (0, 2, 4)


def test_false_sizes_in_names(box, shared_suite):
    c, address = box()
    path = shared_suite.maildir(address).path
    owner = os.stat(path)
    names = ("1600000000.a,S=1", "1600000001.b,S=99999999999999999999", "1600000002.c,S=-1,W=0", "1600000003.d,S=4,W=99999999",
             "1600000004.e,S=", "1600000005.f,S=4294967296:2,S,S=7", "1600000006.g:2,STRRFF!?z", "1600000007.h:1,junk",
             "1600000008.i:2", "1600000009.j:", "n\u00e4me\x01\n", "1600000010." + "k" * 230)
    for n in names:
        with open(os.path.join(path, "cur", n), "w") as f:
            f.write("Subject: s\n\nbody\n")
        os.chown(os.path.join(path, "cur", n), owner.st_uid, owner.st_gid)
    c.ok("NOOP")
    assert c.box.count == len(names)
    for d in fetch(c, "1:*", "(RFC822.SIZE BODY.PEEK[] FLAGS)").values():
        assert d["BODY[]"] == b"Subject: s\r\n\r\nbody\r\n" and d["RFC822.SIZE"] == 20
    c.cmd("STORE 1:* +FLAGS (\\Answered)")
    c.cmd("STORE 1:* +FLAGS (" + " ".join(f"k{i}" for i in range(26)) + ")")
    c.ok("SELECT INBOX")
    assert c.box.count == len(names)
    c.ok("COPY 1:* Sent")
    c.ok("STORE 1:* FLAGS (\\Deleted)")
    c.ok("EXPUNGE")
    assert c.box.count == 0 and not shared_suite.maildir(address).files()


def test_removed_while_fetched(box, shared_suite):
    """Another program takes messages while a client reads them: legal, and the session goes on."""
    c, address = box([b"Subject: %d\n\n" % i + b"0123456789\n" * 20000 for i in range(40)])
    rnd = random.Random(1)
    for _ in range(6):
        r = c.start("FETCH 1:* (UID BODY.PEEK[] RFC822.SIZE)")
        for f in rnd.sample(shared_suite.maildir(address).files(), 4):
            os.unlink(f)
        c.finish(r)
        assert r.done.name in ("OK", "NO")
        r = c.start("STORE 1:* +FLAGS (\\Flagged)")
        while True:
            try:
                os.unlink(rnd.choice(shared_suite.maildir(address).files()))
                break
            except FileNotFoundError:                               # STORE has just given it another name
                pass
        c.finish(r)
        c.ok("NOOP")
    assert c.box.count == len(shared_suite.maildir(address).files()) == 10
    for n in (0, 1):                                                # cut while it is sent
        r = c.start(f"FETCH {1 + n} (BODY.PEEK[])")
        with open(shared_suite.maildir(address).files()[n], "r+b") as f:
            f.truncate(100)
        try:
            c.finish(r)
        except (EOFError, AssertionError, ConnectionError):
            break


def snapshot(path):
    out = {}
    for folder, _, files in os.walk(path):
        for f in files:
            if not f.startswith("hermod."):
                p = os.path.join(folder, f)
                st = os.stat(p)
                out[os.path.relpath(p, path)] = (st.st_mtime_ns, st.st_ino, st.st_size)
    return out


def test_examine_changes_nothing(box, shared_suite):
    c, address = box(numbered(3), flags="", command="EXAMINE INBOX")
    path = shared_suite.maildir(address).path
    shared_suite.send(address)
    shared_suite.maildir(address).wait(4)
    before = snapshot(path)
    c.ok("NOOP")
    assert c.box.count == 4 and c.box.recent >= 1
    for command in ("FETCH 1:* (BODY[] RFC822 FLAGS UID RFC822.TEXT)", "SEARCH BODY x", "SEARCH RETURN (SAVE) ALL", "NOOP", "CHECK",
                    "STATUS INBOX (MESSAGES RECENT)"):
        c.ok(command)
    for command in ("STORE 1 +FLAGS (\\Seen)", "STORE 1 +FLAGS.SILENT (newkeyword)", "UID STORE 1:* FLAGS ()", "EXPUNGE", "UID EXPUNGE 1:*",
                    "MOVE 1 Trash", "UID MOVE 1:* Trash"):
        assert c.no(command).done.code == ("READ-ONLY", None)
    assert snapshot(path) == before
    c.ok("CLOSE")
    c.ok("EXAMINE INBOX")
    assert c.box.recent >= 1
    c.ok("UNSELECT")
    assert snapshot(path) == before
    c.ok("SELECT INBOX")
    assert c.box.recent >= 1                                        # still so for who may change it


# ---- two sessions --------------------------------------------------------------------------

def test_expunge_is_not_told_early(box, shared_suite):
    """RFC 3501 section 7.4.1: numbers hold while a client uses them. The client ends the test if one does not."""
    c, address = box(numbered(20))
    d = shared_suite.imap(address)
    d.ok("SELECT INBOX")
    d.ok("STORE 3,5 +FLAGS.SILENT (\\Deleted)")
    d.ok("EXPUNGE")
    for command in ("FETCH 1:* FLAGS", "STORE 20 +FLAGS (\\Flagged)", "SEARCH ALL", "SEARCH 20", "FETCH 20 (UID)", "STORE 1:* -FLAGS (x)"):
        r = c.cmd(command)
        assert not r.of("EXPUNGE")
        assert r.done.name == "OK" or r.done.code[0] == "EXPUNGEISSUED"
    assert c.box.count == 20
    assert c.ok("SEARCH ALL").of("SEARCH")[0].data.numbers == tuple(n for n in range(1, 21) if n not in (3, 5))
    assert c.no("COPY 1:5 Sent").done.code == ("EXPUNGEISSUED", None)
    assert c.ok("UID FETCH 20 (FLAGS)").of("EXPUNGE")               # here it may be
    assert c.box.count == 18
    # What comes is told with them.
    shared_suite.send(address)
    shared_suite.maildir(address).wait(19)
    c.ok("FETCH 1 FLAGS")
    assert c.box.count == 19
    d.logout()


def test_gone_and_back_while_idle(box, shared_suite):
    """What somebody takes away and puts back under its name is a new message for who was told that it had gone."""
    c, address = box(numbered(3))
    path = shared_suite.maildir(address).path
    name = sorted(os.listdir(os.path.join(path, "cur")))[1]
    c.idle()
    for number in (2, 3):
        os.rename(os.path.join(path, "cur", name), os.path.join(path, name))
        c.wait("EXPUNGE", number=number)
        os.rename(os.path.join(path, name), os.path.join(path, "cur", name))
        c.wait("EXISTS", number=3)
    c.done()
    assert [d["UID"] for _, d in sorted(fetch(c, "1:*", "UID").items())] == [1, 3, 5]


def test_expunge_that_fails(box, shared_suite):
    """What is told with it is told before its answer, behind which no command is in progress. The client minds."""
    c, address = box(numbered(4))
    maildir = shared_suite.maildir(address)
    cur = os.path.join(maildir.path, "cur")
    for command in ("EXPUNGE", "UID EXPUNGE 1:*"):
        c.ok("STORE 2 +FLAGS (\\Deleted)")
        os.unlink(sorted(maildir.files())[0])
        os.chmod(cur, 0o500)
        r = c.no(command)
        os.chmod(cur, 0o700)
        assert r.done.code == ("UNAVAILABLE", None)
        assert [x.number for x in r.of("EXPUNGE")] == [1]
    c.ok("EXPUNGE")
    assert c.box.count == 1
    c.ok("STORE 1 +FLAGS (\\Deleted)")
    for mode in (0o500, 0):
        os.chmod(cur, mode)
        r = c.no("CLOSE")
        os.chmod(cur, 0o700)
        assert r.done.code == ("UNAVAILABLE", None)
    c.ok("CLOSE")
    c.ok("SELECT INBOX")
    assert c.box.count == 0


def test_search_that_fails_saves_nothing(box, shared_suite):
    """RFC 5182 section 2.1: what was saved before is not what a command behind it means."""
    c, address = box(numbered(3))
    cur = os.path.join(shared_suite.maildir(address).path, "cur")
    c.ok("SEARCH RETURN (SAVE) 1:2")
    os.chmod(cur, 0)
    c.no("UID SEARCH RETURN (SAVE) 3")
    c.no("UID SEARCH 3")
    os.chmod(cur, 0o700)
    assert c.ok("STORE $ +FLAGS (\\Deleted)").of("FETCH") == []
    c.ok("EXPUNGE")
    assert c.box.count == 3
    c.ok("SEARCH RETURN (SAVE) 1:2")
    os.chmod(cur, 0)
    c.no("SEARCH ALL")                                              # this one was not to be saved
    os.chmod(cur, 0o700)
    assert len(c.ok("FETCH $ (UID)").of("FETCH")) == 2


def test_sessions_at_random(box, shared_suite):
    """Three sessions and another program at work on one mailbox; at the end all see the same."""
    c, address = box(numbered(15), flags="")
    rnd = random.Random(int(os.environ.get("HERMOD_SEED", 4)))
    clients = [c, shared_suite.imap(address), shared_suite.imap(address)]
    maildir = shared_suite.maildir(address)
    for k in clients[1:]:
        k.ok("SELECT INBOX")
    clients[2].ok("ENABLE CONDSTORE")
    for step in range(400):
        k, n = rnd.choice(clients), rnd.randrange(1, 30)
        uid = rnd.choice(("", "UID "))
        a, b = sorted(rnd.randrange(1, 60) for _ in range(2))
        s = f"{a}:{b}" if uid else f"{rnd.randrange(1, k.box.count + 1)}:*" if k.box.count else "1"
        act = rnd.choice((
            f"{uid}FETCH {s} (FLAGS UID)", f"{uid}FETCH {s} (BODY[TEXT] FLAGS)", f"{uid}STORE {s} +FLAGS (\\Seen k{n % 7})",
            f"{uid}STORE {s} FLAGS.SILENT (\\Deleted)", f"{uid}STORE {s} -FLAGS (\\Deleted)", "EXPUNGE", f"UID EXPUNGE {a}:{b}",
            f"{uid}SEARCH UNDELETED", "SEARCH RETURN (SAVE MIN) 1:*", "FETCH $ (UID FLAGS)", "NOOP", "append", "append", "append",
            f"{uid}COPY {s} INBOX" if k.box.count < 25 else "NOOP", f"{uid}MOVE {s} INBOX" if n < 8 else "CHECK", "rename", "remove"))
        if act == "append":
            k.ok("APPEND INBOX ", Literal(TEXT))
        elif act in ("rename", "remove"):
            files = [f for f in maildir.files() if "/cur/" in f]
            if not files:
                continue
            f = rnd.choice(files)
            try:
                os.rename(f, f.split(":2,")[0] + ":2," + rnd.choice(("S", "F", "FS", ""))) if act == "rename" else os.unlink(f)
            except FileNotFoundError:
                pass
        else:
            r = k.cmd(act)
            assert r.done.name in ("OK", "NO") or not k.box.count or "FETCH $" not in act, (act, r.done)
    seen = []
    for k in clients:
        k.ok("NOOP")
        k.look("UID FLAGS BODY.PEEK[]")
        seen.append([(x.uid, x.flags - {"\\Recent"}) for x in k.box.slots])
    for k in clients[1:]:
        k.logout()
    assert seen[0] == seen[1] == seen[2] and len(seen[0]) == len(maildir.files())


# ---- damage -----------------------------------------------------------------------------------

def damages(octets, rnd):
    yield b""
    yield octets[:len(octets) // 2]
    yield octets + b"\xa5" * 999
    yield bytes(len(octets))
    yield bytes(x ^ 0x55 for x in octets)
    for _ in range(12):
        at = rnd.randrange(max(1, len(octets)))
        yield octets[:at] + bytes([octets[at] ^ (1 << rnd.randrange(8))]) + octets[at + 1:]
    yield None                                                      # a directory in its place


@pytest.mark.parametrize("name", ["hermod.index", "hermod.data", "hermod.ledger", "hermod.keywords"])
def test_damage(box, shared_suite, name):
    """The same messages with the same octets under the same UIDs, or under another UIDVALIDITY."""
    c, address = box([b"Subject: %d\n\n" % i + b"line %d\n" % i * i for i in range(30)], flags="F")
    c.ok("STORE 3:5 +FLAGS (odd)")
    fetch(c, "1:*", "(ENVELOPE BODYSTRUCTURE)")
    c.ok("NOOP")
    c.logout()
    rnd = random.Random(2)
    path = os.path.join(shared_suite.maildir(address).path, name)
    owner = os.stat(os.path.dirname(path))
    assert os.path.exists(path), os.listdir(os.path.dirname(path))
    known = {}
    for octets in damages(open(path, "rb").read(), rnd):
        if octets is None:
            os.unlink(path)
            os.mkdir(path)
            os.chown(path, owner.st_uid, owner.st_gid)
        else:
            with open(path, "r+b") as f:
                f.write(octets)
                f.truncate()
        c = shared_suite.imap(address)
        r = c.cmd("SELECT INBOX")
        if octets is None and r.done.name == "NO":
            os.rmdir(path)
            r = c.ok("SELECT INBOX")
        assert r.ok and c.box.count == 30
        for n, d in fetch(c, "1:*", "(UID ENVELOPE RFC822.SIZE BODY.PEEK[] FLAGS)").items():
            assert d["RFC822.SIZE"] == len(d["BODY[]"]) and d["BODY[]"].startswith(b"Subject: " + d["ENVELOPE"].subject)
            assert "\\Flagged" in d["FLAGS"]
            what = hashlib.sha256(d["BODY[]"]).digest()
            assert known.setdefault((c.box.uidvalidity, d["UID"]), what) == what
        if name in ("hermod.index", "hermod.data"):
            assert len(known) == 30
        c.ok("STORE 7 +FLAGS (\\Answered)")
        c.ok("STORE 7 -FLAGS (\\Answered)")
        c.logout()


# ---- a full disk ---------------------------------------------------------------------------------

def everything(suite, user):
    """{mailbox: {octets: how many}}, and the flags by octets."""
    out, flags = {}, {}
    with suite.imap(user) as c:
        for name in ("INBOX", "Sent", "Trash"):
            c.ok(f"SELECT {name}")
            messages = fetch(c, "1:*", "(BODY.PEEK[] FLAGS UID)").values() if c.box.count else ()
            out[name] = sorted(d["BODY[]"] for d in messages)
            flags[name] = {d["UID"]: d["FLAGS"] - {"\\Recent"} for d in messages}
        c.logout()
    return out, flags


@pytest.mark.root
@pytest.mark.parametrize("leave", (0, 4096, 8192, 16384, 65536))
def test_full_disk(make_suite, small, leave):  # noqa: F811
    """NO, nothing is lost, nothing half-done is left; what was OK holds; with room again all goes on."""
    suite = make_suite(users=(), start=False, login_client_rate=100000)
    small(suite.mail, 2 << 20)
    if os.geteuid() == 0:
        suite.own_directories()
    suite.add_account("anna")
    suite.start()
    suite.send("anna", "Subject: first\r\n\r\none\r\n")
    suite.maildir("anna").wait(1)
    c = suite.imap("anna")
    c.ok("SELECT INBOX")
    for i in range(10):
        c.ok("APPEND INBOX ", Literal(b"Subject: m%d\r\n\r\n" % i + b"text\r\n" * 1000))
    fetch(c, "1:*", "(ENVELOPE BODYSTRUCTURE)")
    c.ok("STORE 1:3 +FLAGS (\\Answered old)")
    before, flags_before = everything(suite, "anna")
    ballast = fill(suite.mail, leave)
    flags = dict(flags_before["INBOX"])
    done = {"INBOX": [], "Sent": [], "Trash": []}
    answers = []
    for i in range(6):
        text = b"Subject: late%d\r\n\r\n" % i + b"more\r\n" * 3000
        r = c.cmd("APPEND INBOX (\\Flagged) ", Literal(text))
        if r.ok:
            done["INBOX"].append(text)
            flags[r.done.code[1][1][0][0]] = {"\\Flagged"}
        answers.append(r)
        r = c.cmd(f"UID COPY {i + 1} Sent")
        if r.ok:
            done["Sent"] += fetch(c, i + 1, "BODY.PEEK[]")[i + 1]["BODY[]"],
        answers.append(r)
        uid = i + 2
        r = c.cmd(f"UID STORE {uid} +FLAGS (\\Draft late{i})")
        if r.ok:
            flags[uid] = flags[uid] | {"\\Draft", f"late{i}"}
        answers.append(r)
        answers.append(c.cmd("NOOP"))
        answers.append(c.cmd("STATUS Sent (MESSAGES SIZE)"))
        answers.append(c.cmd("SEARCH BODY more"))
    assert any(r.done.name == "NO" for r in answers) or leave > 8192
    for r in answers:
        assert r.done.name == "OK" or r.done.code and r.done.code[0] in ("UNAVAILABLE", "OVERQUOTA", "LIMIT"), r.done
    c.ok("FETCH 1:* (FLAGS BODY.PEEK[])")
    os.unlink(ballast)
    now, flags_now = everything(suite, "anna")
    for name, texts in done.items():
        assert now[name] == sorted(before[name] + texts), name
    changed = {u for u in flags if flags_now["INBOX"].get(u) != flags[u]}
    assert not changed, [(u, flags[u], flags_now["INBOX"].get(u)) for u in changed]
    assert not suite.maildir("anna").tmp()
    c.ok("STORE 1:* +FLAGS (again)")
    c.ok("APPEND INBOX ", Literal(TEXT))
    c.ok("COPY 1:* Trash")
    c.ok("MOVE 1 Trash")
    c.logout()
