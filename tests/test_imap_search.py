# SPDX-License-Identifier: ISC
"""SEARCH as RFC 3501 section 6.4.4 has it, and its extensions: what is found is what a model of the messages says."""
import datetime
import email
import email.header
import email.policy
import email.utils
import os
import random
import re
import time

import pytest

from hermodtest.imap import Literal, expand
from test_imap_fetch import stock

SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000}

WORDS = ("meeting", "Project", "quarterly", "ZebraFinch", "r\u00e9sum\u00e9", "gr\u00fc\u00dfe", "\u041f\u0440\u0438\u0432\u0435\u0442", "x", "Re:",
         "test")
START = 1600000000


def text_of(rnd, n):
    return " ".join(rnd.choice(WORDS) for _ in range(n))


def message(rnd, i):
    """One of some shapes, with its words in one of some charsets and encodings."""
    m = email.message.EmailMessage(policy=email.policy.SMTP.clone(max_line_length=70, cte_type="8bit"))
    m["From"] = email.utils.formataddr((rnd.choice(WORDS).strip(), f"person{i % 7}@example{i % 3}.test"))
    m["To"] = f"someone{i % 5}@hermod.test"
    if i % 3 == 0:
        m["Cc"] = "team@hermod.test"
    m["Subject"] = text_of(rnd, rnd.randrange(1, 12))
    m["Date"] = datetime.datetime.fromtimestamp(START + i * 40000 - 86400, datetime.timezone(datetime.timedelta(hours=i % 25 - 12)))
    m["X-Odd"] = rnd.choice(("one", "two", ""))
    m.set_content(text_of(rnd, 40), charset=rnd.choice(("utf-8", "utf-16")), cte=rnd.choice(("base64", "quoted-printable")))
    if i % 2:
        m.add_alternative(f"<p>{text_of(rnd, 30)}</p>", subtype="html", cte=rnd.choice(("base64", "quoted-printable", "8bit")))
    if i % 4 == 0:
        m.add_attachment(text_of(rnd, 20).encode(), "application", "octet-stream", filename=f"file{i}.bin")
    return m.as_bytes(policy=m.policy.clone(linesep="\n"))


class Known:
    """What a message holds, by Python's own means."""

    def __init__(self, i, octets):
        m = email.message_from_bytes(octets, policy=email.policy.default)
        self.number = i + 1
        self.size = len(re.sub(rb"(?<!\r)\n", b"\r\n", octets))
        self.flags = {"\\Seen"}
        self.fields = [(k, str(v)) for k, v in m.items()]
        self.bodies = []
        for p in m.walk():
            if p is not m:
                self.bodies += [f"{k}: {v}" for k, v in p.items()]
            if p.get_content_maintype() == "text":
                self.bodies.append(p.get_content())
        self.sent = email.utils.parsedate_to_datetime(m["Date"]).date()
        self.day = datetime.datetime.fromtimestamp(START + i).date()

    def field(self, name, word):
        return any(k.lower() == name.lower() and word.lower() in v.lower() for k, v in self.fields)

    def body(self, word):
        return any(word.lower() in b.lower() for b in self.bodies)

    def text(self, word):
        return self.body(word) or any(word.lower() in f"{k}: {v}".lower() for k, v in self.fields)


def quoted(word):
    return f'"{word}"'


def date_of(day):
    return f"{day.day}-{day.strftime('%b-%Y')}"


def key(rnd, count, depth):
    """(a search key, what it means)"""
    word, n = rnd.choice(WORDS), rnd.choice((500, 1000, 1500, 2000, 3000))
    day = datetime.date(2020, 9, 12) + datetime.timedelta(days=rnd.randrange(0, 40))
    a, b = rnd.randrange(1, count + 1), rnd.randrange(1, count + 1)
    one, two = (key(rnd, count, depth - 1) for _ in "12") if depth else ((None, None),) * 2
    field = rnd.choice(("X-Odd", "Cc", "Content-Type", "Nope", "MIME-Version"))
    odd = rnd.choice(("", "o", "team", "1.0"))
    simple = [
        ("SEEN", lambda m: "\\Seen" in m.flags), ("UNSEEN", lambda m: "\\Seen" not in m.flags),
        ("FLAGGED", lambda m: "\\Flagged" in m.flags), ("UNDELETED", lambda m: True), ("DRAFT", lambda m: False),
        ("KEYWORD nope", lambda m: False), ("UNKEYWORD nope", lambda m: True), ("ALL", lambda m: True),
        ("NOT KEYWORD odd", lambda m: "odd" not in m.flags), ("KEYWORD ODD", lambda m: "odd" in m.flags),
        (f"LARGER {n}", lambda m: m.size > n), (f"SMALLER {n}", lambda m: m.size < n),
        (f"SUBJECT {quoted(word)}", lambda m: m.field("Subject", word)),
        (f"FROM {quoted(word)}", lambda m: m.field("From", word)),
        (f"HEADER {field} {quoted(odd)}", lambda m: m.field(field, odd)),
        (f"BODY {quoted(word)}", lambda m: m.body(word)), (f"TEXT {quoted(word)}", lambda m: m.text(word)),
        (f"SENTBEFORE {date_of(day)}", lambda m: m.sent < day), (f"SENTON {date_of(day)}", lambda m: m.sent == day),
        (f"SENTSINCE {date_of(day)}", lambda m: m.sent >= day), (f"BEFORE {date_of(day)}", lambda m: m.day < day),
        (f"ON {date_of(day)}", lambda m: m.day == day), (f"SINCE {date_of(day)}", lambda m: m.day >= day),
        (f"{a}:{b},1", lambda m: min(a, b) <= m.number <= max(a, b) or m.number == 1),
        (f"UID {a}:*", lambda m: m.uid >= min(a, count)), ("OLDER 10", lambda m: True), ("YOUNGER 10", lambda m: False),
    ]
    compound = [
        (f"OR {one[0]} {two[0]}", lambda m: one[1](m) or two[1](m)), (f"NOT {one[0]}", lambda m: not one[1](m)),
        (f"({one[0]} {two[0]})", lambda m: one[1](m) and two[1](m)),
    ]
    return rnd.choice(simple if not depth or rnd.random() < .5 else compound)


@pytest.fixture(scope="module")
def box(shared_suite):
    """A client, and what is known of the messages of its mailbox."""
    rnd = random.Random(3)
    messages = [message(rnd, i) for i in range(60)]
    c = shared_suite.imap(stock(shared_suite, "finder", messages))
    c.ok("SELECT INBOX")
    known = [Known(i, octets) for i, octets in enumerate(messages)]
    c.ok("FETCH 1:* (UID FLAGS)")
    c.ok("STORE 3,9,27 +FLAGS (\\Flagged odd)")
    c.ok("STORE 5:15 -FLAGS (\\Seen)")
    for m in known:
        m.uid = c.box.slots[m.number - 1].uid
        m.flags = set(c.box.slots[m.number - 1].flags)
    yield c, known
    c.logout()


def found(r):
    return list(r.of("SEARCH")[0].data.numbers)


def test_keys(box):
    """Trees of keys, with the index and without: the first asks of messages that nobody has looked at."""
    c, known = box
    rnd = random.Random(11)
    for _ in range(400):
        k, means = key(rnd, len(known), 3)
        want = [m for m in known if means(m)]
        assert found(c.ok(f"SEARCH CHARSET UTF-8 {k}")) == [m.number for m in want], k
        assert found(c.ok(f"UID SEARCH CHARSET UTF-8 {k}")) == [m.uid for m in want], k


def test_extended(box):
    """RFC 4731, RFC 5182 section 2.4."""
    c, known = box
    rnd = random.Random(12)
    for _ in range(150):
        k, means = key(rnd, len(known), 2)
        want = [m for m in known if means(m)]
        wanted = rnd.sample(("MIN", "MAX", "ALL", "COUNT", "SAVE"), rnd.randrange(0, 6))
        r = c.ok(f"SEARCH RETURN ({' '.join(wanted)}) CHARSET UTF-8 {k}")
        wanted = set(wanted) or {"ALL"}
        assert r.of("SEARCH") == []
        if wanted == {"SAVE"}:
            assert r.of("ESEARCH") == []
            items = {}
        else:
            items = r.of("ESEARCH")[0].data.items
            assert set(items) == (wanted - {"SAVE"} if want else wanted & {"COUNT"})
        if "ALL" in items:
            assert expand(items["ALL"]) == [m.number for m in want]
        assert items.get("COUNT", len(want)) == len(want)
        assert not want or items.get("MIN", want[0].number) == want[0].number
        assert not want or items.get("MAX", want[-1].number) == want[-1].number
        if "SAVE" not in wanted:
            continue
        ends = wanted & {"MIN", "MAX"} if not wanted & {"ALL", "COUNT"} else set()
        saved = {m.number for m in ((want[:1] if "MIN" in ends else []) + (want[-1:] if "MAX" in ends else [])
                                    if ends else want)}
        assert found(c.ok("SEARCH $")) == sorted(saved)
        assert found(c.ok("SEARCH NOT UID $")) == [m.number for m in known if m.number not in saved]
        assert {x.number for x in c.ok("FETCH $ FLAGS").of("FETCH")} == saved


def test_what_is_saved(box):
    """RFC 5182 section 2.1: NO saves nothing, BAD and a SEARCH without SAVE change nothing."""
    c, known = box
    c.ok("SEARCH RETURN (SAVE) 2:4")
    c.no("SEARCH RETURN (SAVE) NONSENSE", state="BAD")
    c.no(f"SEARCH RETURN (SAVE) {len(known) + 1}", state="BAD")
    c.ok("SEARCH RETURN (COUNT) ALL")
    c.no("SEARCH CHARSET KLINGON ALL")
    assert found(c.ok("SEARCH $")) == [2, 3, 4]
    assert c.no("SEARCH RETURN (SAVE) CHARSET KLINGON ALL").done.code[0] == "BADCHARSET"
    assert found(c.ok("SEARCH $")) == []
    c.ok("SEARCH RETURN (SAVE) 2:4")
    c.ok("EXAMINE INBOX")
    assert found(c.ok("SEARCH $")) == []
    c.ok("SELECT INBOX")


def test_charset(box):
    c, known = box
    want = [m.number for m in known if m.field("Subject", "gr\u00fc\u00dfe")]
    assert 5 < len(want) < 55
    for charset, octets in (("UTF-8", "GR\u00dc\u00dfE".encode()), ("iso-8859-1", "Gr\u00fc\u00dfe".encode("latin-1")),
                            ("utf-16be", "gr\u00fc\u00dfe".encode("utf-16-be")), ("windows-1252", b"gr\xfc\xdfe")):
        if charset == "utf-16be":                       # a literal8 or none: it has NUL
            continue
        assert found(c.ok(f"SEARCH CHARSET {charset} SUBJECT ", Literal(octets))) == want
    assert found(c.ok("SEARCH SUBJECT ", Literal("gr\u00fc\u00dfe".encode()))) == want
    r = c.no("SEARCH CHARSET x-nope ALL")
    assert r.done.code[0] == "BADCHARSET" and "UTF-8" in str(r.done.code[1])


def test_limits(box):
    c, _ = box
    assert found(c.ok("SEARCH SUBJECT ", Literal(b"x" * 1024))) == []
    c.no("SEARCH SUBJECT ", Literal(b"x" * 1025))
    keys = " ".join(["SEEN"] * 990)
    assert len(found(c.ok(f"SEARCH {keys}"))) > 10
    c.no("SEARCH " + "(" * 101 + "ALL" + ")" * 101, state="BAD")
    c.ok("SEARCH " + "(" * 98 + "ALL" + ")" * 98)


def test_modseq(shared_suite):
    """RFC 7162 sections 3.1.5, 3.1.10."""
    c = shared_suite.imap(stock(shared_suite, "modseq", [b"Subject: a\n\nb\n"] * 4))
    c.ok("SELECT INBOX")
    r = c.ok("SEARCH MODSEQ 1")
    assert r.code("HIGHESTMODSEQ") and found(r) == [1, 2, 3, 4]
    high = r.of("SEARCH")[0].data.modseq
    c.ok("STORE 2 +FLAGS (\\Flagged)")
    changed = [x.data["MODSEQ"] for x in c.ok("FETCH 2 MODSEQ").of("FETCH")][0]
    r = c.ok(f'SEARCH MODSEQ "/flags/\\\\flagged" all {high + 1}')
    assert found(r) == [2] and r.of("SEARCH")[0].data.modseq == changed
    r = c.ok(f"SEARCH MODSEQ {changed + 1}")
    assert found(r) == [] and r.of("SEARCH")[0].data.modseq is None
    for wanted, modseq in (("ALL", changed), ("MIN", high), ("MAX", high), ("MIN COUNT", changed)):
        items = c.ok(f"SEARCH RETURN ({wanted}) MODSEQ 1").of("ESEARCH")[0].data.items
        assert items["MODSEQ"] == modseq or wanted in ("MIN", "MAX") and items["MODSEQ"] <= high
    c.logout()


def test_within(shared_suite):
    """RFC 5032."""
    address = stock(shared_suite, "within", [b"Subject: a\n\nb\n"] * 3)
    now = time.time()
    for f, age in zip(shared_suite.maildir(address).files(), (10, 1000, 100000)):
        os.utime(f, (now - age, now - age))
    c = shared_suite.imap(address)
    c.ok("SELECT INBOX")
    for k, want in (("YOUNGER 500", [1]), ("OLDER 500", [2, 3]), ("OLDER 50000 YOUNGER 4294967295", [3]), ("YOUNGER 1", [])):
        assert found(c.ok(f"SEARCH {k}")) == want
    c.no("SEARCH OLDER 0", state="BAD")
    c.logout()


def test_gone(shared_suite):
    """What is gone matches nothing, not even NOT; numbers stay."""
    address = stock(shared_suite, "gone", [b"Subject: %d\n\nbody\n" % i for i in range(4)])
    c = shared_suite.imap(address)
    c.ok("SELECT INBOX")
    os.unlink(shared_suite.maildir(address).files()[1])
    assert found(c.ok("SEARCH NOT BODY nothing")) == [1, 3, 4]
    c.ok("NOOP")
    assert c.box.count == 3 and found(c.ok("SEARCH BODY body")) == [1, 2, 3]
    c.logout()


def test_nothing_there(shared_suite):
    c = shared_suite.imap(shared_suite.add_account("empty"))
    c.ok("SELECT INBOX")
    assert found(c.ok("SEARCH ALL")) == found(c.ok("UID SEARCH 1:*")) == found(c.ok("UID SEARCH UID 1:*")) == []
    assert c.ok("SEARCH RETURN (MIN COUNT) ALL").of("ESEARCH")[0].data.items == {"COUNT": 0}
    c.logout()


def test_header_behind_a_text(shared_suite):
    """A header is looked at, then the whole message is read, and what was kept of a larger one goes; then the header again."""
    large = b"X-A: foo\nX-B: qux\n\n" + b"a line with bar\n" * 150000
    small = b"X-A: foo\n" + b"".join(b"X-%d: %s\n" % (i, b"x" * 60) for i in range(3000)) + b"X-B: qux\n\nbar\n"
    c = shared_suite.imap(stock(shared_suite, "behind", [large, small, large, small, small]))
    c.ok("SELECT INBOX")
    c.ok("FETCH 1:* (ENVELOPE)")
    for _ in range(3):
        assert found(c.ok("SEARCH HEADER X-A foo BODY bar OR BODY zzz HEADER X-B qux")) == [1, 2, 3, 4, 5]
    c.logout()
