# SPDX-License-Identifier: ISC
"""FETCH as RFC 3501 sections 6.4.5 and 7.4.2 have it, of messages as they should not be. hermodtest.imap takes every
response apart, and holds what is said of a message against what was said of it before."""
import contextlib
import itertools
import os
import random
import re

import pytest

from hermodtest.imap import Multipart

SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000}
HERE = os.path.dirname(os.path.abspath(__file__))
NUMBERS = itertools.count()
FOLDERS = ("vectors/mime/mime4j", "vectors/mime/mimetools", "corpus/mime_tree", "corpus/imap_structure", "corpus/digest")

# What no collection has.
ODD = (
    b"", b"\n", b"\r\n", b"Subject: x", b"Subject: a\0b\n\n\0\0body\0\n", b"\nno header\rat all",
    b"Subject: " + b"s" * 200000 + b"\n\nlong\n",
    b"To: " + b", ".join(b"u%d <u%d@example.org>" % (i, i) for i in range(3000)) + b"\n\nmany\n",
    b"Content-Type: multipart/mixed; boundary=b\n\n" +
    b"".join(b"--b\nContent-Type: text/x-%d\n\npart %d\n" % (i, i) for i in range(1000)) + b"--b--\n",
    b"Subject: big\n\n" + b"a line of text\n" * 150000,
)


def torture():
    out = []
    for folder in FOLDERS:
        for name in sorted(os.listdir(os.path.join(HERE, folder))):
            out.append(open(os.path.join(HERE, folder, name), "rb").read())
    return out + list(ODD)


def wire(octets):
    """As it is sent: line ends are CRLF, and NUL is none."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", octets).replace(b"\0", b"?")


def stock(suite, name, messages, flags="S"):
    """A fresh account whose INBOX has these, in this order, put there by another program."""
    address = suite.add_account(name)
    box = suite.maildir(address)
    suite.send(address)
    box.wait(1)
    os.unlink(box.files()[0])
    owner = os.stat(box.path)
    for i, octets in enumerate(messages):
        path = os.path.join(box.path, "cur", f"{1600000000 + i}.M{i:06}P1.torture:2,{flags}")
        with open(path, "wb") as f:
            f.write(octets)
        os.chown(path, owner.st_uid, owner.st_gid)
        os.utime(path, (1600000000 + i, 1600000000 + i))
    return address


@contextlib.contextmanager
def boxes(suite, prefix, usual_flags):
    """box(messages, flags=..., command=...) -> a client with these in its INBOX, and its address."""
    made = []

    def box(messages=(), flags=usual_flags, command="SELECT INBOX"):
        address = stock(suite, f"{prefix}{next(NUMBERS)}", messages, flags)
        made.append(suite.imap(address))
        made[-1].ok(command)
        return made[-1], address
    yield box
    for c in made:
        c.close()


def selected(suite, address, command="SELECT INBOX"):
    c = suite.imap(address)
    c.ok(command)
    return c


def fetch(c, what, items):
    """{number: {item: value}}"""
    out = {}
    for r in c.ok(f"FETCH {what} {items}").of("FETCH"):
        out.setdefault(r.number, {}).update(r.data)
    return out


SECTIONS = ("BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] RFC822.HEADER BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2] "
            "BODY.PEEK[1.1] BODY.PEEK[1.2] BODY.PEEK[2.1] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[2.MIME] "
            "BODY.PEEK[2.HEADER.FIELDS (To)] BODY.PEEK[HEADER.FIELDS (To from SUBJECT)] "
            "BODY.PEEK[HEADER.FIELDS.NOT (To from SUBJECT)] BODY.PEEK[HEADER.FIELDS (Received)]")
STRUCTURES = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE MODSEQ"


def parts(body):
    """{part number: Part}, RFC 3501 section 6.4.5."""
    out = {}

    def inside(b, number):                      # of a message, or of a multipart
        for i, p in enumerate(b.parts if isinstance(b, Multipart) else (b,), 1):
            part(p, number + (i,))

    def part(b, number):
        if isinstance(b, Multipart):
            return inside(b, number)
        out[number] = b
        return b.body is not None and inside(b.body, number)
    inside(body, ())
    return out


def test_torture(shared_suite):
    """All is legal; sections fit together; the index says what the message says, to other sessions, too."""
    messages = torture()
    c = selected(shared_suite, stock(shared_suite, "torture", messages))
    n = len(messages)
    assert c.box.count == n
    first = fetch(c, "1:*", f"({STRUCTURES})")
    sections = fetch(c, "1:*", f"({SECTIONS})")
    assert set(first) == set(sections) == set(range(1, n + 1))
    for i, octets in enumerate(messages, 1):
        s, whole = sections[i], wire(octets)
        assert (s["BODY[]"] or b"") == whole
        assert first[i]["RFC822.SIZE"] == len(whole)
        assert s["BODY[HEADER]"] + s["BODY[TEXT]"] == whole
        assert s["RFC822.HEADER"] == s["BODY[HEADER]"]
        header = s["BODY[HEADER]"]
        empty = 2 if header.endswith(b"\r\n\r\n") or header == b"\r\n" else 0
        assert len(s["BODY[HEADER.FIELDS (TO FROM SUBJECT)]"]) \
            + len(s["BODY[HEADER.FIELDS.NOT (TO FROM SUBJECT)]"]) == len(header) + empty
    d = shared_suite.imap("torture")
    d.ok("EXAMINE INBOX")
    again = fetch(d, "1:*", f"({STRUCTURES})")
    for i in first:
        assert {k: v for k, v in first[i].items() if k != "FLAGS"} \
            == {k: v for k, v in again[i].items() if k != "FLAGS"}
    c.logout()
    d.logout()


def test_sizes_of_parts(shared_suite):
    """What BODYSTRUCTURE says of a part's octets and lines is so."""
    messages = torture()[:-3]
    c = selected(shared_suite, stock(shared_suite, "sizes", messages))
    seen = 0
    for i, data in fetch(c, "1:*", "(BODYSTRUCTURE)").items():
        for number, part in list(parts(data["BODYSTRUCTURE"]).items())[:20]:
            name = ".".join(map(str, number))
            octets = fetch(c, i, f"(BODY.PEEK[{name}])")[i][f"BODY[{name}]"]
            if part.body is None:
                assert len(octets or b"") == part.octets, (i, name)
                assert part.lines is None or (octets or b"").count(b"\n") == part.lines, (i, name)
                seen += 1
    assert seen > 100
    c.logout()


def test_partial(shared_suite):
    messages = [b"Subject: a\nTo: b\nX: c\n\none\ntwo\r\n\nthree"]
    c = selected(shared_suite, stock(shared_suite, "partial", messages))
    whole = wire(messages[0])
    for section in ("", "TEXT", "HEADER", "1", "HEADER.FIELDS (SUBJECT TO)", "HEADER.FIELDS (X)", "HEADER.FIELDS.NOT (X)"):
        full = fetch(c, 1, f"BODY.PEEK[{section}]")[1][f"BODY[{section}]"]
        assert section or full == whole
        for first in list(range(len(full) + 2)) + [2 ** 32 - 1]:
            for length in (1, 2, 5, len(full), 2 ** 63 - 1):
                got = fetch(c, 1, f"BODY.PEEK[{section}]<{first}.{length}>")[1]
                assert got[f"BODY[{section}]<{first}>"] == full[first:first + length]
    c.no("FETCH 1 BODY.PEEK[]<0.0>", state="BAD")
    c.no("FETCH 1 BODY.PEEK[]<1.9223372036854775808>", state="BAD")
    c.logout()


def test_bit_by_bit(shared_suite):
    """Big messages in pieces, one behind the other and not, by two clients at once."""
    body = b"".join(b"line %d of it\n" % i for i in range(150000))
    messages = [b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + body + b"\n--b--\n", b"Subject: x\n\nother\n"]
    address = stock(shared_suite, "bits", messages)
    a, b = selected(shared_suite, address), selected(shared_suite, address)
    wholes = {"": wire(messages[0]), "1": wire(body), "TEXT": wire(messages[0]).split(b"\r\n\r\n", 1)[1]}
    rnd = random.Random(7)
    for section, whole in wholes.items():
        at = 0
        while at <= len(whole):
            n = rnd.choice((1, 2, 3, 40000, 65536, 200000))
            for c in (a, b):
                got = fetch(c, 1, f"(BODY.PEEK[{section}]<{at}.{n}>)")[1]
                assert got[f"BODY[{section}]<{at}>"] == whole[at:at + n]
            if rnd.random() < .2:
                assert fetch(a, 2, "BODY.PEEK[TEXT]<0.5>")[2]["BODY[TEXT]<0>"] == b"other"
            at += n - rnd.choice((0, 0, 0, 1, 2))
            at = max(at, 0)
    assert fetch(a, 1, "BODY.PEEK[]")[1]["BODY[]"] == wholes[""]
    a.logout()
    b.logout()


def test_no_such_part(shared_suite):
    c = selected(shared_suite, stock(shared_suite, "parts", [b"Subject: a\n\nb\n"]))
    names = ("2", "1.1", "1.HEADER", "1.TEXT", "1.HEADER.FIELDS (TO)", "4294967295", ".".join("1" * 64))
    got = fetch(c, 1, "(" + " ".join(f"BODY.PEEK[{n}]" for n in names) + ")")[1]
    assert [got[f"BODY[{n}]"] for n in names] == [None] * len(names)
    for bad in ("0", "1.0", "MIME", "1..2", "1.", "01", "HEADER.FIELDS ()", "4294967296", ".".join("1" * 65)):
        c.no(f"FETCH 1 BODY.PEEK[{bad}]", state="BAD")
    c.logout()


def test_names_of_fields_are_as_they_were_sent(shared_suite):
    c = selected(shared_suite, stock(shared_suite, "names", [b"Subject: a\nx-y: z\n\nb\n"]))
    seen = []
    read = c.more

    def note(deadline):
        read(deadline)
        seen.append(bytes(c.buffer))
    c.more = note
    assert fetch(c, 1, 'BODY.PEEK[HEADER.FIELDS (sUBJECT "X-y" "a b")]')
    assert any(b'BODY[HEADER.FIELDS (sUBJECT X-y "a b")]' in s for s in seen)
    c.logout()


def test_seen(shared_suite):
    """RFC 3501 section 6.4.5: sections that are looked at are seen, and the change is told with them."""
    messages = [b"Subject: %d\n\nbody\n" % i for i in range(8)]
    c = selected(shared_suite, stock(shared_suite, "seen", messages, flags=""))
    for n, (items, seen) in enumerate((
            ("BODY.PEEK[]", False), ("RFC822.HEADER", False), ("(ENVELOPE BODYSTRUCTURE RFC822.SIZE)", False),
            ("BODY[]<0.1>", True), ("RFC822", True), ("RFC822.TEXT", True), ("BODY[HEADER.FIELDS (SUBJECT)]", True),
            ("(UID BODY[9])", True)), 1):
        got = fetch(c, n, items)[n]
        assert ("FLAGS" in got) == seen
        assert not seen or "\\Seen" in got["FLAGS"]
        assert ("\\Seen" in fetch(c, n, "FLAGS")[n]["FLAGS"]) == seen
    assert "FLAGS" not in fetch(c, 5, "BODY[]")[5]
    d = selected(shared_suite, "seen@hermod.test", "EXAMINE INBOX")
    assert "FLAGS" not in fetch(d, 1, "BODY[]")[1]
    assert "\\Seen" not in fetch(d, 1, "FLAGS")[1]["FLAGS"]
    c.logout()
    d.logout()


def test_uid_and_macros(shared_suite):
    c = selected(shared_suite, stock(shared_suite, "macros", [b"Subject: a\n\nb\n"] * 3))
    assert set(fetch(c, 2, "FAST")[2]) == {"FLAGS", "INTERNALDATE", "RFC822.SIZE"}
    assert set(fetch(c, 2, "ALL")[2]) == {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"}
    assert set(fetch(c, 2, "FULL")[2]) == {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"}
    uid = fetch(c, 2, "UID")[2]["UID"]
    r = c.ok(f"UID FETCH {uid} FLAGS").of("FETCH")
    assert [(x.number, set(x.data)) for x in r] == [(2, {"UID", "FLAGS"})]
    assert c.ok(f"UID FETCH {uid + 100} FLAGS").of("FETCH") == []
    assert fetch(c, 2, "INTERNALDATE")[2]["INTERNALDATE"].timestamp() == 1600000001
    c.no("FETCH 4 FLAGS", state="BAD")
    c.logout()


def test_modseq(shared_suite):
    """RFC 7162 section 3.1.4."""
    c = selected(shared_suite, stock(shared_suite, "modseq", [b"Subject: a\n\nb\n"] * 4))
    r = c.ok("FETCH 1:* MODSEQ")
    assert r.code("HIGHESTMODSEQ")
    before = max(x.data["MODSEQ"] for x in r.of("FETCH"))
    assert c.ok("FETCH 1:* FLAGS").code("HIGHESTMODSEQ") is None
    c.ok("STORE 2 +FLAGS (\\Flagged)")
    got = c.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before})").of("FETCH")
    assert [x.number for x in got] == [2]
    assert set(got[0].data) == {"UID", "FLAGS", "MODSEQ"} and got[0].data["MODSEQ"] > before
    assert c.ok(f"FETCH 1:* FLAGS (CHANGEDSINCE {got[0].data['MODSEQ']})").of("FETCH") == []
    c.logout()


def test_gone(shared_suite):
    """RFC 2180 section 4.1.2: what is gone has no answer, and the client is told that something is."""
    address = stock(shared_suite, "gone", [b"Subject: %d\n\nbody\n" % i for i in range(4)])
    c = selected(shared_suite, address)
    fetch(c, "1:*", "(UID FLAGS)")
    os.unlink(shared_suite.maildir(address).files()[1])
    for items in ("BODY.PEEK[]", "BODY.PEEK[HEADER.FIELDS (RECEIVED)]", "(UID BODY)"):
        r = c.cmd(f"FETCH 1:* {items}")
        assert r.done.name == "NO" and r.done.code[0] == "EXPUNGEISSUED"
        assert [x.number for x in r.of("FETCH")] == [1, 3, 4]
    c.ok("NOOP")
    assert c.box.count == 3
    assert len(fetch(c, "1:*", "BODY.PEEK[]")) == 3
    c.logout()


@pytest.mark.parametrize("name", ["hermod.index", "hermod.data"])
def test_the_index_is_only_a_cache(shared_suite, name):
    """Without it, or with nonsense in its place, the same is said."""
    address = stock(shared_suite, "cache" + name[-4:].strip("."), torture()[:40])
    c = selected(shared_suite, address)
    said = fetch(c, "1:*", "(UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (TO FROM SUBJECT DATE)])")
    c.logout()
    path = os.path.join(shared_suite.maildir(address).path, name)
    for damage in (lambda b: b"", lambda b: b[:len(b) // 2], lambda b: bytes(x ^ 0x55 for x in b), lambda b: b + b"x" * 999):
        octets = open(path, "rb").read() if os.path.exists(path) else b""
        with open(path, "wb") as f:
            f.write(damage(octets))
        c = selected(shared_suite, address)
        assert said == fetch(c, "1:*", "(UID RFC822.SIZE ENVELOPE BODYSTRUCTURE "
                                       "BODY.PEEK[HEADER.FIELDS (TO FROM SUBJECT DATE)])")
        c.logout()
