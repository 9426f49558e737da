# SPDX-License-Identifier: ISC
"""
The examples of RFC 3501 and of the extensions that a session names, given to the server as far as an example says what
must be answered: the same command, to a mailbox prepared for it. The responses of the RFCs are those of
vectors/imap/examples. hermodtest.imap takes apart what is said, and knows the rules between responses.
"""
import email
import os
import re

import pytest

from hermodtest.imap import Literal, expand, parse_response
from test_imap_fetch import boxes, fetch, parts, stock, torture, wire

SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000, "imap_append_limit": "257890",
            "imap_idle_poll": "100ms"}
HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = open(os.path.join(HERE, "vectors", "imap", "examples")).read().splitlines()


def example(start):
    """The response of an RFC that begins so."""
    line = next(x for x in EXAMPLES if x.startswith(start))
    return parse_response(line.replace("\\n", "\r\n").encode() + b"\r\n")


def small(n, prefix=""):
    return [b"Subject: %s%d\nFrom: Smith <s%d@example.org>\n\nbody %d\n" % (prefix.encode(), i, i, i)
            for i in range(1, n + 1)]


@pytest.fixture
def box(shared_suite, request):
    with boxes(shared_suite, re.sub(r"\W", "", request.node.name)[:40].lower(), "") as box:
        yield box


def numbers(r, name):
    return [x.number for x in r.of(name)]


def flags(c, what="1:*"):
    return {n: d["FLAGS"] - {"\\Recent"} for n, d in fetch(c, what, "FLAGS").items()}


def found(r):
    return list(r.of("SEARCH")[0].data.numbers)


def esearch(r):
    e, = r.of("ESEARCH")
    assert e.data.tag == r.tag.encode()
    return {k: expand(v) if k == "ALL" else v for k, v in e.data.items.items()}


# ---- RFC 3501 section 8 -------------------------------------------------------------

MEMO_HEADER = example("* 12 FETCH (BODY[HEADER]").data["BODY[HEADER]"]


def memo():
    """The message of section 8: 3028 octets in 92 lines."""
    body = b"".join(b"l" * 30 + b"\r\n" for _ in range(91))
    return MEMO_HEADER + body + b"l" * (3028 - len(body) - 2) + b"\r\n"


def test_session_of_section_8(shared_suite):
    """LOGIN, SELECT, FETCH FULL, FETCH BODY[HEADER], STORE, LOGOUT."""
    address = stock(shared_suite, "mrc", small(18), flags="S")
    cur = os.path.join(shared_suite.maildir(address).path, "cur")
    c = shared_suite.imap(address)
    c.ok("EXAMINE INBOX")
    c.ok("FETCH 1:* UID")
    for f in sorted(os.listdir(cur))[16:]:              # the last two are new
        os.rename(os.path.join(cur, f), os.path.join(cur, f[:-1]))
    path = os.path.join(cur, sorted(os.listdir(cur))[11])
    with open(path, "wb") as f:
        f.write(memo().replace(b"\r\n", b"\n"))
    os.utime(path, (837596665, 837596665))
    c.logout()
    os.unlink(os.path.join(shared_suite.maildir(address).path, "hermod.index"))
    c = shared_suite.imap()
    assert c.greeting.name == "OK"
    c.login(address, shared_suite.password)
    r = c.ok("select inbox")
    assert (c.box.count, c.box.unseen) == (18, 17) and r.done.code == ("READ-WRITE", None)
    assert example("* FLAGS (\\Answered").data <= c.box.flags
    want = example("* 12 FETCH (FLAGS (\\Seen) INTERNALDATE").data
    got = fetch(c, 12, "full")[12]
    for item in ("FLAGS", "ENVELOPE", "BODY", "INTERNALDATE"):
        assert got[item] == want[item], item
    assert got["RFC822.SIZE"] == 342 + 3028
    assert fetch(c, 12, "body[header]")[12]["BODY[HEADER]"] == MEMO_HEADER
    r = c.ok("store 12 +flags \\deleted")
    assert [(x.number, x.data["FLAGS"]) for x in r.of("FETCH")] == [(12, {"\\Seen", "\\Deleted"})]
    c.logout()


# ---- RFC 3501 section 6 -------------------------------------------------------------

def test_any_state(box, shared_suite):
    """Section 6.1; 7.1: BAD for what is no command."""
    c, address = box(small(23), flags="S")
    d = shared_suite.imap(address)
    d.ok("SELECT INBOX")
    r = c.ok("CAPABILITY")
    assert set(r.of("CAPABILITY")[0].data) >= {"IMAP4REV1", "LITERAL+", "UIDPLUS", "CONDSTORE"}
    assert c.ok("NOOP").untagged == []
    d.ok("STORE 22 +FLAGS.SILENT (\\Deleted)")
    d.ok("EXPUNGE")
    d.ok("STORE 14 FLAGS (\\Seen \\Deleted)")
    shared_suite.send(address)
    shared_suite.maildir(address).wait(23)
    r = c.ok("NOOP")
    assert [(x.number, x.name) for x in r.of("EXPUNGE", "EXISTS")] == [(22, "EXPUNGE"), (23, "EXISTS")]
    assert r.of("RECENT")
    assert [x.data["FLAGS"] for x in r.of("FETCH") if x.number == 14] == [{"\\Seen", "\\Deleted"}]
    c.no("BLURDYBLOOP", state="BAD")
    c.no("LOGIN a b", state="BAD")
    c.no("STARTTLS", state="BAD")
    c.no("AUTHENTICATE PLAIN", state="BAD")
    assert c.ok('ID ("name" "sodr" "version" "19.34" "vendor" NIL)').of("ID")
    assert c.ok("ID NIL").of("ID")
    c.logout()
    d.logout()


def test_select_and_examine(box):
    """Sections 6.3.1, 6.3.2."""
    c, _ = box(small(17))
    r = c.ok("EXAMINE INBOX")
    assert r.done.code == ("READ-ONLY", None) and c.box.unseen == 1 and c.box.permanent == frozenset()
    r = c.ok("select INBOX")
    assert r.done.code == ("READ-WRITE", None) and "\\*" in c.box.permanent
    c.ok("STORE 1:11 +FLAGS.SILENT (\\Seen)")
    c.ok("SELECT ", Literal(b"inBox"))
    assert c.box.unseen == 12
    c.ok("STORE 1:* +FLAGS.SILENT (\\Seen)")
    c.ok('SELECT "INBOX"')
    assert c.box.unseen is None
    assert c.no("SELECT no-such-box").done.code == ("NONEXISTENT", None)
    c.no("FETCH 1 FLAGS", state="BAD")                  # none is selected now
    c.ok("SELECT INBOX")
    c.no("SELECT", state="BAD")
    c.ok("FETCH 1 FLAGS")
    c.ok("SELECT INBOX (CONDSTORE)")
    c.no("SELECT INBOX (FROBNICATE)", state="BAD")


def test_status(box):
    """Section 6.3.10."""
    c, address = box(small(5))
    for i in range(4):
        c.ok("APPEND Sent (\\Seen) ", Literal(b"Subject: x\r\n\r\ny\r\n"))
    r = c.ok("STATUS Sent (MESSAGES UIDNEXT)")
    assert r.of("STATUS")[0].data == ("Sent", {"MESSAGES": 4, "UIDNEXT": 5})
    r = c.ok("STATUS Sent (UNSEEN MESSAGES SIZE RECENT UIDVALIDITY APPENDLIMIT HIGHESTMODSEQ)")
    data = r.of("STATUS")[0].data[1]
    assert (data["UNSEEN"], data["MESSAGES"], data["SIZE"], data["APPENDLIMIT"]) == (0, 4, 4 * 17, 257890)
    assert c.ok("STATUS INBOX (MESSAGES UNSEEN)").of("STATUS")[0].data == ("INBOX", {"MESSAGES": 5, "UNSEEN": 5})
    assert c.no("STATUS nope (MESSAGES)").done.code == ("NONEXISTENT", None)
    c.no("STATUS INBOX ()", state="BAD")
    c.no("STATUS INBOX (FROBS)", state="BAD")


LUNCH = (b"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nFrom: Fred Foobar <foobar@Blurdybloop.COM>\r\n"
         b"Subject: afternoon meeting\r\nTo: mooch@owatagu.siam.edu\r\n"
         b"Message-Id: <B27397-0100000@Blurdybloop.COM>\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"
         b"Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n\r\n")


def test_append(box):
    """Section 6.3.11."""
    c, _ = box([])
    assert len(LUNCH) == 310 + 2                        # the RFC's count is without the empty line at its end
    c.ok("APPEND INBOX (\\Seen) ", Literal(LUNCH[:310]))
    got = fetch(c, 1, "(FLAGS BODY.PEEK[] RFC822.SIZE ENVELOPE)")[1]
    assert got["BODY[]"] == LUNCH[:310] and got["RFC822.SIZE"] == 310 and got["FLAGS"] - {"\\Recent"} == {"\\Seen"}
    assert got["ENVELOPE"].from_[0].host == b"Blurdybloop.COM"
    c.ok('APPEND "INBOX" "17-Jul-1996 02:44:25 -0700" ', Literal(LUNCH, sync=False))
    c.ok('APPEND INBOX (\\Flagged $Note \\Draft) " 1-Jan-1970 00:00:00 +0000" ', Literal(LUNCH))
    got = fetch(c, "2:3", "(FLAGS INTERNALDATE)")
    assert [got[n]["INTERNALDATE"].timestamp() for n in (2, 3)] == [837596665, 0]
    assert got[3]["FLAGS"] - {"\\Recent"} == {"\\Flagged", "\\Draft", "$Note"}
    assert c.no("APPEND nope ", Literal(LUNCH)).done.code == ("TRYCREATE", None)
    c.no("APPEND INBOX (\\Seen", state="BAD")
    c.no("APPEND INBOX hello", state="BAD")
    c.no('APPEND INBOX "32-Jul-1996 02:44:25 -0700" ', Literal(LUNCH, sync=False), state="BAD")
    assert c.box.count == 3


def test_expunge_and_close(box, shared_suite):
    """Sections 6.4.2, 6.4.3."""
    c, address = box(small(12), flags="S")
    c.ok("STORE 3,4,7,11 +FLAGS (\\Deleted)")
    assert numbers(c.ok("EXPUNGE"), "EXPUNGE") == [3, 3, 5, 8]
    c.ok("STORE 1:2 +FLAGS (\\Deleted)")
    assert c.ok("CLOSE").untagged == []
    c.no("FETCH 1 FLAGS", state="BAD")
    c.ok("EXAMINE INBOX")
    assert c.box.count == 6
    c.ok("SELECT INBOX")
    c.ok("STORE 1:2 +FLAGS (\\Deleted)")
    c.ok("EXAMINE INBOX")                               # no CLOSE: nothing is removed
    assert c.box.count == 6
    assert c.no("EXPUNGE").done.code == ("READ-ONLY", None)
    c.ok("CLOSE")
    c.ok("SELECT INBOX")
    assert c.box.count == 6
    c.ok("UNSELECT")                                    # RFC 3691
    c.ok("SELECT INBOX")
    assert c.box.count == 6 and len(shared_suite.maildir(address).files()) == 6


def test_search(box):
    """Section 6.4.4."""
    messages = small(8)
    messages[1] = b"From: Jones <j@x>\n\nx\n"
    messages[4] = messages[1]
    messages[6] = "Subject: x\n\n\u041f\u0440\u0438\u0432\u0435\u0442\n".encode()
    c, _ = box(messages)
    c.ok("STORE 1:5 +FLAGS.SILENT (\\Flagged)")
    assert found(c.ok('SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"')) == [2, 5]
    assert found(c.ok('SEARCH TEXT "string not in mailbox"')) == []
    assert found(c.ok("SEARCH CHARSET UTF-8 TEXT ", Literal("\u041f\u0440\u0438\u0432\u0435\u0442".encode()))) == [7]


def test_fetch(box):
    """Section 6.4.5: FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])."""
    c, _ = box([b"Date: d%d\nSubject: s\nfrom: f%d\n\nb\n" % (i, i) for i in range(5)])
    got = fetch(c, "2:4", "(FLAGS BODY[HEADER.FIELDS (DATE FROM)])")
    assert sorted(got) == [2, 3, 4]
    for n, d in got.items():
        assert d["BODY[HEADER.FIELDS (DATE FROM)]"] == b"Date: d%d\r\nfrom: f%d\r\n\r\n" % (n - 1, n - 1)
        assert "\\Seen" in d["FLAGS"]
    assert fetch(c, 1, "BODY.PEEK[]<0.2048>")[1]["BODY[]<0>"] == b"Date: d0\r\nSubject: s\r\nfrom: f0\r\n\r\nb\r\n"


INNER = "Content-Type: {}\nX-Part: {}\n\n{}\n"
TREE = """Subject: tree
Content-Type: multipart/mixed; boundary=a

--a
{1}--a
{2}--a
Content-Type: message/rfc822

Subject: inner3
Content-Type: multipart/mixed; boundary=b

--b
{31}--b
{32}--b--
--a
Content-Type: multipart/mixed; boundary=c

--c
{41}--c
Content-Type: message/rfc822

Subject: inner42
Content-Type: multipart/mixed; boundary=d

--d
{421}--d
Content-Type: multipart/alternative; boundary=e

--e
{4221}--e
{4222}--e--
--d--
--c--
--a--
"""
LEAVES = {"1": "text/plain", "2": "application/octet-stream", "3.1": "text/plain", "3.2": "application/octet-stream",
          "4.1": "image/gif", "4.2.1": "text/plain", "4.2.2.1": "text/plain", "4.2.2.2": "text/richtext"}


def tree():
    out = TREE
    for number, kind in LEAVES.items():
        out = out.replace("{" + number.replace(".", "") + "}", INNER.format(kind, number, "content of " + number))
    return out.encode()


def test_part_specifiers(box):
    """Section 6.4.5: the message of the table there. (Its part 4.2.2 has no name of its own.)"""
    c, _ = box([tree()])
    got = fetch(c, 1, "(BODY " + " ".join(f"BODY.PEEK[{n}]" for n in LEAVES) + " BODY.PEEK[HEADER] BODY.PEEK[TEXT] "
                "BODY.PEEK[3] BODY.PEEK[3.HEADER] BODY.PEEK[3.TEXT] BODY.PEEK[4] BODY.PEEK[4.1.MIME] BODY.PEEK[4.2] "
                "BODY.PEEK[4.2.HEADER] BODY.PEEK[4.2.TEXT] BODY.PEEK[4.2.2] BODY.PEEK[5])")[1]
    for n in LEAVES:
        assert got[f"BODY[{n}]"] == b"content of " + n.encode(), n
    assert got["BODY[HEADER]"] == b"Subject: tree\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n"
    assert got["BODY[3.HEADER]"] == b"Subject: inner3\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    assert got["BODY[3]"] == got["BODY[3.HEADER]"] + got["BODY[3.TEXT]"]
    assert got["BODY[4.1.MIME]"] == b"Content-Type: image/gif\r\nX-Part: 4.1\r\n\r\n"
    assert got["BODY[4.2.HEADER]"] == b"Subject: inner42\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n"
    assert got["BODY[4]"].startswith(b"--c\r\n") and got["BODY[4.2.2]"].startswith(b"--e\r\n")
    assert got["BODY[5]"] is None
    kinds = {".".join(map(str, n)): f"{p.type.decode()}/{p.subtype.decode()}".lower() for n, p in parts(got["BODY"]).items()
             if p.body is None}
    assert kinds == LEAVES


def test_structures(box):
    """Section 7.4.2, the examples of BODY."""
    one = (b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n" + b"x" * 40 + b"\r\n") + b"a\r\n" * 46
    body = one.split(b"\r\n\r\n", 1)[1]
    one += b"z" * (2279 - len(body) - 2) + b"\r\n"
    text1 = b"a" * 20 + b"\r\n"
    text1 = text1 * 22 + b"b" * (1152 - 22 * 22 - 2) + b"\r\n"
    text2 = b"YWJj" * 15 + b"\r\n"
    text2 = text2 * 72 + b"c" * (4554 - 72 * 62 - 2) + b"\r\n"
    two = (b"Content-Type: MULTIPART/MIXED; BOUNDARY=xx\r\n\r\n--xx\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"
           + text1 + b"\r\n--xx\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=\"cc.diff\"\r\n"
           b"Content-ID: <960723163407.20117h@cac.washington.edu>\r\nContent-Description: Compiler diff\r\n"
           b"Content-Transfer-Encoding: BASE64\r\n\r\n" + text2 + b"\r\n--xx--\r\n")
    c, _ = box([m.replace(b"\r\n", b"\n") for m in (one, two)])
    got = fetch(c, "1:2", "(BODY BODYSTRUCTURE)")
    for n, start in ((1, '* 1 FETCH (BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279'),
                     (2, "* 1 FETCH (BODY ((")):
        assert got[n]["BODY"] == example(start).data["BODY"]


def test_store(box):
    """Section 6.4.6."""
    c, _ = box(small(5))
    c.ok("STORE 2,4 FLAGS.SILENT (\\Seen)")
    c.ok("STORE 4 +FLAGS.SILENT (\\Flagged)")
    r = c.ok("STORE 2:4 +FLAGS (\\Deleted)")
    assert {x.number: x.data["FLAGS"] - {"\\Recent"} for x in r.of("FETCH")} == \
        {2: {"\\Deleted", "\\Seen"}, 3: {"\\Deleted"}, 4: {"\\Deleted", "\\Flagged", "\\Seen"}}
    assert c.ok("STORE 2:4 -FLAGS.SILENT (\\Seen)").of("FETCH") == []
    assert flags(c, "2:4") == {2: {"\\Deleted"}, 3: {"\\Deleted"}, 4: {"\\Deleted", "\\Flagged"}}
    c.ok("STORE 2:4 FLAGS ()")
    assert flags(c) == {n: set() for n in range(1, 6)}
    c.ok("STORE 1 FLAGS \\Seen \\Answered")
    assert flags(c, 1) == {1: {"\\Seen", "\\Answered"}}
    c.no("STORE 9 FLAGS (\\Seen)", state="BAD")
    c.no("STORE 1 FLAG (\\Seen)", state="BAD")
    c.no("STORE 1 FLAGS (\\Recent)", state="BAD")


def test_copy(box):
    """Section 6.4.7; RFC 4315 section 3: COPYUID, and a set of UIDs that has none."""
    c, _ = box(small(6), flags="F")
    c.ok("STORE 3 +FLAGS.SILENT (\\Seen $Work)")
    validity, source, target = c.ok("COPY 2:4 Sent").done.code[1]
    assert expand(source) == [2, 3, 4] and expand(target) == [1, 2, 3]
    r = c.ok("UID COPY 300:400 Sent")
    assert r.done.code is None
    assert c.no("COPY 2:4 MEETING").done.code == ("TRYCREATE", None)
    c.no("COPY 5:9 Sent", state="BAD")
    before = fetch(c, "2:4", "(FLAGS INTERNALDATE BODY.PEEK[])")
    c.ok("SELECT Sent")
    assert c.box.uidvalidity == validity and c.box.count == 3
    after = fetch(c, "1:3", "(FLAGS INTERNALDATE BODY.PEEK[])")
    for n in (1, 2, 3):
        assert {k: v - {"\\Recent"} if k == "FLAGS" else v for k, v in after[n].items()} == \
            {k: v - {"\\Recent"} if k == "FLAGS" else v for k, v in before[n + 1].items()}


def test_uid(box):
    """Section 6.4.8."""
    c, _ = box(small(9))
    c.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")
    r = c.ok("UID FETCH 5:7 FLAGS")
    assert [(x.number, x.data["UID"]) for x in r.of("FETCH")] == [(2, 5), (3, 6), (4, 7)]
    assert c.ok("UID FETCH 4827313:4828442 FLAGS").of("FETCH") == []
    assert numbers(c.ok("UID FETCH 559:* FLAGS"), "FETCH") == [6]   # * is always among them
    assert found(c.ok("UID SEARCH 2:3")) == [5, 6]
    assert found(c.ok("SEARCH UID 5:6")) == [2, 3]
    r = c.ok("UID STORE 5 +FLAGS (\\Seen)")
    assert all("UID" in x.data for x in r.of("FETCH"))
    assert c.ok("UID STORE 1:3 +FLAGS (\\Seen)").of("FETCH") == []


# ---- mailboxes ---------------------------------------------------------------------------

CHILDREN = {"\\HasChildren", "\\HasNoChildren"}


def listed(c, command, keep=()):
    """{name: attributes}, without those of children unless they are kept; CHILDINFO is one."""
    out = {}
    for r in c.ok(command).of("LIST", "LSUB"):
        assert r.data.separator == "/" and r.data.mailbox not in out
        out[r.data.mailbox] = set(r.data.attributes - (CHILDREN - set(keep)))
        if r.data.extended:
            assert set(r.data.extended) == {"CHILDINFO"}
            out[r.data.mailbox] |= {"CHILDINFO"}
    return out


def bare(c, names="", subscribed=""):
    """An account with INBOX and these alone."""
    for name in listed(c, 'LIST "" *'):
        c.ok(f"UNSUBSCRIBE {name}")
        if name != "INBOX":
            c.ok(f"DELETE {name}")
    for name in names.split():
        c.ok(f"CREATE {name}")
    for name in subscribed.split():                     # also such as are not there, or not any more
        gone = c.cmd(f"SUBSCRIBE {name}").done.name == "NO"
        if gone:
            c.ok(f"CREATE {name}")
            c.ok(f"SUBSCRIBE {name}")
            c.ok(f"DELETE {name}")


def test_create_and_delete(box):
    """Sections 6.3.3, 6.3.4."""
    c, _ = box([])
    bare(c)
    c.ok("CREATE owatagu/")
    c.ok("CREATE owatagu/blurdybloop")
    assert c.no("CREATE owatagu/blurdybloop").done.code == ("ALREADYEXISTS", None)
    assert c.no("CREATE INBOX").done.code == ("ALREADYEXISTS", None)
    c.no("DELETE inbox")
    c.no("DELETE nope")
    c.ok("DELETE owatagu/blurdybloop")
    c.ok("DELETE owatagu")
    bare(c, "blurdybloop foo foo/bar")
    c.ok("DELETE blurdybloop")
    c.ok("DELETE foo")                                  # it has one below: its name stays
    assert listed(c, "LIST \"\" *") == {"INBOX": set(), "foo": {"\\Noselect"}, "foo/bar": set()} \
        or listed(c, "LIST \"\" *") == {"INBOX": set(), "foo/bar": set()}
    c.no("SELECT foo")
    c.no("DELETE foo")
    c.ok("DELETE foo/bar")
    # The same name again is another mailbox: its UIDs are told apart by UIDVALIDITY.
    for i in range(3):
        c.ok("CREATE again")
        c.ok("APPEND again ", Literal(LUNCH))
        c.ok("SELECT again")
        c.ok("UNSELECT")
        c.ok("DELETE again")


def test_rename(box):
    """Section 6.3.5."""
    c, _ = box(small(3))
    bare(c, "blurdybloop foo/bar")
    c.ok("APPEND blurdybloop ", Literal(LUNCH))
    c.ok("RENAME blurdybloop sarasoop")
    c.ok("RENAME foo zowie")
    names = listed(c, 'LIST "" *')
    assert set(names) - {"zowie"} == {"INBOX", "sarasoop", "zowie/bar"}
    c.ok("EXAMINE sarasoop")
    assert c.box.count == 1
    c.no("RENAME nope other")
    c.no("RENAME sarasoop zowie/bar")
    c.ok("CREATE INBOX/bar")
    c.ok("RENAME INBOX old-mail")
    assert set(listed(c, 'LIST "" *')) - {"zowie"} == {"INBOX", "INBOX/bar", "old-mail", "sarasoop", "zowie/bar"}
    c.ok("SELECT INBOX")
    assert c.box.count == 0
    c.ok("SELECT old-mail")
    assert c.box.count == 3
    c.no("RENAME zowie zowie/below")


def test_names_that_change_hands(box, shared_suite):
    """APPEND, STATUS and COPY mean the mailbox that has the name now, whatever this session had open by it."""
    c, address = box(small(2))
    d = shared_suite.imap(address)
    c.ok("CREATE one")
    c.ok("APPEND one ", Literal(LUNCH))
    d.ok("RENAME one two")
    assert c.no("APPEND one ", Literal(LUNCH)).done.code == ("TRYCREATE", None)
    d.ok("CREATE one")
    c.ok("APPEND one ", Literal(LUNCH))
    c.ok("COPY 1:2 one")
    c.ok("SELECT one")
    assert c.box.count == 3
    d.ok("RENAME one three")
    d.ok("CREATE one")
    d.ok("APPEND one (\\Seen) ", Literal(LUNCH))
    assert c.ok("STATUS one (MESSAGES)").of("STATUS")[0].data[1] == {"MESSAGES": 1}
    assert c.ok("STATUS three (MESSAGES)").of("STATUS")[0].data[1] == {"MESSAGES": 3}
    assert c.ok("STATUS two (MESSAGES)").of("STATUS")[0].data[1] == {"MESSAGES": 1}
    d.ok("DELETE three")                                # which c has selected
    for command in ("NOOP", "FETCH 1:* (FLAGS)", "STORE 1 +FLAGS (\\Seen)", "SEARCH ALL", "COPY 1 one", "EXPUNGE", "CHECK"):
        try:
            c.cmd(command)
        except EOFError:
            break
    d.logout()


def test_list_and_lsub(box):
    """Sections 6.3.6 to 6.3.9."""
    c, _ = box([])
    bare(c, "#news/comp/mail/mime #news/comp/mail/misc Mail/foo Mail/meetings")
    c.ok("SUBSCRIBE #news/comp/mail/mime")
    c.ok("SUBSCRIBE #news/comp/mail/misc")
    sep, = c.ok('LIST "" ""').of("LIST")
    assert sep.data[:3] == (frozenset({"\\Noselect"}), "/", "")
    assert set(listed(c, 'LIST Mail/ %')) == {"Mail/foo", "Mail/meetings"}
    assert set(listed(c, 'LIST "" inbox')) == {"INBOX"}
    assert set(listed(c, 'LIST "" "%/meetings"')) == {"Mail/meetings"}
    assert listed(c, 'LSUB "#news/" "comp/mail/*"') == {"#news/comp/mail/mime": set(), "#news/comp/mail/misc": set()}
    assert listed(c, 'LSUB "#news/" "comp/%"') == {"#news/comp/mail": {"\\Noselect"}}
    c.ok("UNSUBSCRIBE #news/comp/mail/mime")
    assert set(listed(c, 'LSUB "" *')) == {"#news/comp/mail/misc"}
    c.ok("DELETE #news/comp/mail/misc")                 # the subscription stays
    assert set(listed(c, 'LSUB "" *')) == {"#news/comp/mail/misc"}
    for name, wire_name in (("\u53f0\u5317", "&U,BTFw-"), ("a&b", "a&-b")):
        c.ok(f"CREATE {wire_name}")
        assert set(listed(c, f'LIST "" {wire_name}')) == {wire_name}
    for bad in ("&U,BTFw", "&Jjo!", "a&b", "&U,BTFw-&ZeVnLIqe-", "/a", "a//b", "&AGE-"):
        assert c.cmd("CREATE ", Literal(bad.encode())).done.name in ("NO", "BAD"), bad
    c.no("CREATE ", Literal(b"a\xffb"))


def test_namespace(box):
    """RFC 2342."""
    c, _ = box([])
    assert c.ok("NAMESPACE").of("NAMESPACE")[0].data == ((("", "/", {}),), None, None)


FRUIT = "Fruit Fruit/Apple Fruit/Banana Tofu Vegetable Vegetable/Broccoli Vegetable/Corn"
SUB = {"\\Subscribed"}


def test_list_extended(box):
    """RFC 5258 section 5: examples 1 to 3, 7, 9, 10."""
    c, _ = box([])
    bare(c, FRUIT, "INBOX Fruit/Banana Fruit/Peach Vegetable Vegetable/Broccoli")
    assert set(listed(c, 'LIST "" "*"')) == {"INBOX"} | set(FRUIT.split())
    assert listed(c, 'LIST (SUBSCRIBED) "" "*"') == {
        "INBOX": SUB, "Fruit/Banana": SUB, "Fruit/Peach": SUB | {"\\NonExistent"}, "Vegetable": SUB, "Vegetable/Broccoli": SUB}
    assert listed(c, 'LIST () "" "%" RETURN (CHILDREN)', CHILDREN) == {
        "INBOX": {"\\HasNoChildren"}, "Fruit": {"\\HasChildren"}, "Tofu": {"\\HasNoChildren"}, "Vegetable": {"\\HasChildren"}}
    names = listed(c, 'LIST (REMOTE) "" "*" RETURN (SUBSCRIBED)')
    assert names == {n: SUB if n in ("INBOX", "Fruit/Banana", "Vegetable", "Vegetable/Broccoli") else set()
                     for n in ["INBOX"] + FRUIT.split()}
    assert set(listed(c, 'LIST "" ("INBOX" "Tofu" "Fruit/%")')) == {"INBOX", "Tofu", "Fruit/Apple", "Fruit/Banana"}
    assert listed(c, 'LIST "" ()') == {} if c.cmd('LIST "" ()').ok else True
    c.no('LIST (RECURSIVEMATCH) "" "*"', state="BAD")
    c.no('LIST (RECURSIVEMATCH REMOTE) "" "*"', state="BAD")
    c.no('LIST (FROB) "" "*"', state="BAD")
    c.no('LIST "" "*" RETURN (FROB)', state="BAD")


def test_list_recursivematch(box):
    """RFC 5258 section 5, examples 8 to 10."""
    c, _ = box([])
    command = 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'
    bare(c, "Foo Foo/Bar Foo/Baz Moo", "Foo/Baz")
    assert listed(c, 'LIST "" "%" RETURN (CHILDREN)', CHILDREN) == {
        "INBOX": {"\\HasNoChildren"}, "Foo": {"\\HasChildren"}, "Moo": {"\\HasNoChildren"}}
    assert listed(c, 'LIST (SUBSCRIBED) "" "*"') == {"Foo/Baz": SUB}
    assert listed(c, 'LIST (SUBSCRIBED) "" "%"') == {}
    assert listed(c, command) == {"Foo": {"CHILDINFO"}}
    c.ok("SUBSCRIBE Foo")
    assert listed(c, command) == {"Foo": SUB | {"CHILDINFO"}}
    c.ok("UNSUBSCRIBE Foo/Baz")
    c.ok("SUBSCRIBE Moo")
    assert listed(c, command + " RETURN (CHILDREN)", CHILDREN) == {
        "Foo": SUB | {"\\HasChildren"}, "Moo": SUB | {"\\HasNoChildren"}}
    c.ok("UNSUBSCRIBE Foo")
    c.ok("UNSUBSCRIBE Moo")
    assert listed(c, command) == {}
    bare(c, "foo2 foo2/bar1 foo2/bar2 baz2 baz2/bar2 baz2/bar22 baz2/bar222 eps2 eps2/mamba qux2/bar2",
         "foo2/bar1 foo2/bar2 baz2/bar2 baz2/bar22 baz2/bar222 eps2 eps2/mamba qux2/bar2")
    got = listed(c, 'LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"')
    want = {"foo2": {"CHILDINFO"}, "foo2/bar2": SUB, "baz2/bar2": SUB, "baz2/bar22": SUB, "baz2/bar222": SUB,
            "eps2": SUB | {"CHILDINFO"}, "qux2/bar2": SUB}
    may = {"baz2": {"CHILDINFO"}, "qux2": {"CHILDINFO", "\\NonExistent"}}     # a SHOULD NOT of section 3.5
    assert {k: v for k, v in got.items() if k not in may} == want
    assert all(got[k] == v for k, v in may.items() if k in got)
    bare(c, "foo", "foo/bar")
    assert listed(c, 'LIST (SUBSCRIBED) "" "foo/*"') == {"foo/bar": SUB | {"\\NonExistent"}}
    assert listed(c, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" foo RETURN (CHILDREN)', CHILDREN) == {
        "foo": {"\\HasNoChildren", "CHILDINFO"}}


def test_list_status(box):
    """RFC 5819 section 3; RFC 8438, RFC 7889 section 3.2."""
    c, _ = box(small(17))
    c.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    bare(c, "foo bar/below")
    for i in range(30):
        c.ok("APPEND foo (\\Seen) " if i == 3 else "APPEND foo ", Literal(b"Subject: x\r\n\r\n"))
    r = c.ok('LIST "" % RETURN (STATUS (MESSAGES UNSEEN SIZE APPENDLIMIT))')
    status = {x.data[0]: x.data[1] for x in r.of("STATUS")}
    assert {k: (v["MESSAGES"], v["UNSEEN"]) for k, v in status.items()} == {"INBOX": (17, 16), "foo": (30, 29)}
    assert status["foo"]["SIZE"] == 30 * 14 and status["foo"]["APPENDLIMIT"] == 257890
    assert {x.data.mailbox for x in r.of("LIST")} == {"INBOX", "foo", "bar"}
    r = c.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (STATUS (MESSAGES))')
    assert r.of("STATUS") == []
    c.ok("SUBSCRIBE bar/below")
    r = c.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (STATUS (MESSAGES))')
    assert [x.data.mailbox for x in r.of("LIST")] == ["bar"] and r.of("STATUS") == []


def test_special_use(box):
    """RFC 6154 section 5."""
    c, _ = box([])
    assert listed(c, 'LIST (SPECIAL-USE) "" "*"').keys() >= {"Drafts", "Sent", "Trash"}
    got = listed(c, 'LIST "" "%" RETURN (SPECIAL-USE)')
    assert got["INBOX"] == set() and "\\Sent" in got["Sent"] and "\\Trash" in got["Trash"]
    bare(c)
    c.ok("CREATE MySpecial (USE (\\Drafts \\Sent))")
    assert listed(c, 'LIST (SPECIAL-USE) "" "*"') == {"MySpecial": {"\\Drafts", "\\Sent"}}
    assert c.no("CREATE Everything (USE (\\All))").done.code == ("USEATTR", None) or True
    assert c.no("CREATE Other (USE (\\Frob))").done.code == ("USEATTR", None)
    assert c.no("CREATE Other (USE (\\Sent))").done.code == ("USEATTR", None)
    assert "Other" not in listed(c, 'LIST "" "*"')
    c.ok("RENAME MySpecial Mine")
    assert listed(c, 'LIST "" "M*" RETURN (SPECIAL-USE)') == {"Mine": {"\\Drafts", "\\Sent"}}


# ---- extensions -----------------------------------------------------------------------

def test_idle(box, shared_suite):
    """RFC 2177 section 3."""
    c, address = box(small(3), flags="S")
    d = shared_suite.imap(address)
    d.ok("SELECT INBOX")
    c.idle()
    shared_suite.send(address)
    c.wait("EXISTS", number=4)
    c.done()
    c.ok("FETCH 4 (FLAGS)")
    c.idle()
    d.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    d.ok("EXPUNGE")
    c.wait("EXPUNGE", number=2)
    assert c.done().ok and c.box.count == 3
    r = c.start("IDLE")
    assert c.go_ahead(r)
    c.raw(b"NOOP\r\n")
    assert c.finish(r).done.name == "BAD"
    c.ok("NOOP")
    c.ok("UNSELECT")
    c.idle()                                            # with nothing selected, too
    c.done()


def test_multiappend(box, shared_suite):
    """RFC 3502: all or none."""
    c, address = box([])
    one, two = LUNCH, LUNCH.replace(b"meeting", b"tea")
    r = c.ok("APPEND INBOX (\\Seen) ", Literal(one), ' (\\Flagged) "17-Jul-1996 02:44:25 -0700" ', Literal(two),
             " ", Literal(one, sync=False))
    assert expand(r.done.code[1][-1]) == [1, 2, 3]
    got = fetch(c, "1:3", "(FLAGS BODY.PEEK[])")
    assert [got[n]["BODY[]"] for n in (1, 2, 3)] == [one, two, one]
    assert [got[n]["FLAGS"] - {"\\Recent"} for n in (1, 2, 3)] == [{"\\Seen"}, {"\\Flagged"}, set()]
    for bad in ((" ", Literal(b"")), (" ", Literal(b"x" * 257891)), (" (\\Seen ", ), (" rubbish",), ):
        assert c.cmd("APPEND INBOX ", Literal(one), " ", Literal(two), *bad).done.name in ("NO", "BAD")
        assert len(shared_suite.maildir(address).files()) == 3
    assert not shared_suite.maildir(address).tmp()
    c.ok("NOOP")
    assert c.box.count == 3


def test_appendlimit(box):
    """RFC 7889: at the limit, and one past it; and of all that one command brings."""
    c, _ = box([])
    head = b"Subject: x\r\n\r\n"
    full = head + b"x" * (257890 - len(head))
    assert c.ok("STATUS INBOX (APPENDLIMIT)").of("STATUS")[0].data == ("INBOX", {"APPENDLIMIT": 257890})
    c.ok("APPEND INBOX ", Literal(full))
    c.ok("APPEND INBOX ", Literal(full, sync=False))
    for sync in (True, False):
        assert c.no("APPEND INBOX ", Literal(full + b"x", sync)).done.code == ("TOOBIG", None)
    assert fetch(c, "1:*", "BODY.PEEK[]") == {1: {"BODY[]": full}, 2: {"BODY[]": full}}


def test_literal_plus(box):
    """RFC 7888: pipelined with what follows."""
    c, _ = box([])
    rs = c.pipeline(("APPEND ", Literal(b"INBOX"), " ", Literal(LUNCH)), "NOOP", ("SEARCH SUBJECT ", Literal(b"meet")),
                    ("SELECT ", Literal(b"Sent")), ("STATUS ", Literal(b"inbox"), " (MESSAGES)"))
    assert all(r.ok for r in rs)
    assert rs[4].of("STATUS")[0].data[1] == {"MESSAGES": 1}


def test_uidplus(box):
    """RFC 4315: UID EXPUNGE removes what is named and \\Deleted; APPENDUID."""
    c, address = box(small(8))
    c.ok("STORE 2,3,5 +FLAGS.SILENT (\\Deleted)")
    assert numbers(c.ok("UID EXPUNGE 3:4,6"), "EXPUNGE") == [3]
    assert numbers(c.ok("UID EXPUNGE 3000:3002"), "EXPUNGE") == []
    assert flags(c)[2] == {"\\Deleted"}
    validity, uids = c.ok("APPEND INBOX ", Literal(LUNCH)).done.code[1]
    assert validity == c.box.uidvalidity and expand(uids) == [9]
    validity, uids = c.ok("APPEND Trash ", Literal(LUNCH)).done.code[1]
    c.ok("SELECT Trash")
    assert (validity, expand(uids)) == (c.box.uidvalidity, [1])
    c.no("UID EXPUNGE", state="BAD")
    c.no("EXPUNGE 1", state="BAD")


def test_move(box):
    """RFC 6851 section 4.3: COPYUID in an untagged OK, then the expunges."""
    c, _ = box(small(30))
    r = c.ok("UID MOVE 22:25 Trash")
    codes = [x for x in r.untagged if x.code and x.code[0] == "COPYUID"]
    assert len(codes) == 1 and expand(codes[0].code[1][1]) == [22, 23, 24, 25]
    assert r.untagged.index(codes[0]) < r.untagged.index(r.of("EXPUNGE")[0])
    assert numbers(r, "EXPUNGE") == [22] * 4
    assert numbers(c.ok("MOVE 1,3 Trash"), "EXPUNGE") == [1, 2]
    assert c.no("MOVE 1 nope").done.code == ("TRYCREATE", None)
    assert c.ok("UID MOVE 22:25 Trash").of("EXPUNGE") == []
    assert c.box.count == 24
    c.ok("EXAMINE INBOX")
    assert c.no("MOVE 1 Trash").done.code == ("READ-ONLY", None)
    assert c.ok("STATUS Trash (MESSAGES)").of("STATUS")[0].data[1] == {"MESSAGES": 6}


def test_move_to_itself(box):
    c, _ = box(small(3))
    c.ok("MOVE 2 INBOX")
    assert c.box.count == 3
    c.ok("COPY 1:3 INBOX")
    assert c.box.count == 6 or c.ok("NOOP") and c.box.count == 6
    assert [d["BODY[]"][9:10] for _, d in sorted(fetch(c, "1:*", "BODY.PEEK[]").items())] == \
        [b"1", b"3", b"2", b"1", b"3", b"2"]


def test_enable(box):
    """RFC 5161 section 3.1."""
    c, _ = box([])
    assert c.ok("ENABLE X-GOOD-IDEA").of("ENABLED")[0].data == ()
    assert c.ok("ENABLE CONDSTORE X-GOOD-IDEA").of("ENABLED")[0].data == ("CONDSTORE",)
    c.no("ENABLE", state="BAD")


def test_esearch(box):
    """RFC 4731 section 3.1."""
    c, _ = box(small(12))
    c.ok("STORE 2,10,11 +FLAGS.SILENT (\\Flagged)")
    assert esearch(c.ok('SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM "nobody"')) == {"MIN": 2, "COUNT": 3}
    assert esearch(c.ok("SEARCH RETURN () FLAGGED")) == {"ALL": [2, 10, 11]}
    assert esearch(c.ok("SEARCH RETURN (MIN) FLAGGED")) == {"MIN": 2}
    r = c.ok("UID SEARCH RETURN (MIN MAX) FLAGGED")
    assert esearch(r) == {"MIN": 2, "MAX": 11} and r.of("ESEARCH")[0].data.uid
    assert esearch(c.ok("SEARCH RETURN (MIN MAX ALL) DRAFT")) == {}
    assert esearch(c.ok("SEARCH RETURN (MIN COUNT ALL) DRAFT")) == {"COUNT": 0}
    c.no("SEARCH RETURN (FROB) ALL", state="BAD")


def test_searchres(box):
    """RFC 5182 section 2."""
    messages = small(10)
    messages[2] = messages[5] = b"From: Jones <j@x>\nTo: Pat <p@x>\n\nx\n"
    c, _ = box(messages)
    c.ok("UID FETCH $ (UID)")                           # nothing was saved: nothing is meant
    c.ok('SEARCH RETURN (SAVE) SINCE 1-Jan-2006 NOT FROM "Smith"')
    assert numbers(c.ok("FETCH $ (UID INTERNALDATE FLAGS)"), "FETCH") == [3, 6]
    assert found(c.ok("UID SEARCH UID $ TO Pat")) == [3, 6]
    one, two = c.pipeline("SEARCH RETURN (SAVE) FROM Jones", "STORE $ +FLAGS ($Junk)")
    assert one.ok and two.ok and flags(c)[6] == {"$Junk"}
    assert esearch(c.ok("SEARCH RETURN (SAVE ALL MIN) KEYWORD $Junk")) == {"ALL": [3, 6], "MIN": 3}
    c.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")                                     # it is taken out of what was saved
    assert numbers(c.ok("FETCH $ (UID)"), "FETCH") == [5]
    c.ok("SEARCH RETURN (SAVE) DRAFT")
    r = c.ok("COPY $ Sent")
    assert r.done.code is None
    c.ok("SEARCH RETURN (SAVE) 1:4")
    assert numbers(c.ok("MOVE $ Trash"), "EXPUNGE") == [1] * 4
    assert c.ok("FETCH $ FLAGS").of("FETCH") == []


def test_within(box, shared_suite):
    """RFC 5032: OLDER and YOUNGER, also with others."""
    c, address = box(small(3), flags="S")
    c.ok("APPEND INBOX ", Literal(LUNCH))
    assert found(c.ok("SEARCH UNSEEN YOUNGER 259200")) == [4]
    assert found(c.ok("SEARCH OLDER 259200")) == [1, 2, 3]


def modseqs(c, what="1:*"):
    return {n: d["MODSEQ"] for n, d in fetch(c, what, "(MODSEQ)").items()}


def test_condstore(box, shared_suite):
    """RFC 7162 section 3.1.3: examples 5 to 11; 3.1.4.1; 3.1.2.1; 3.1.7."""
    c, address = box(small(9))
    d = shared_suite.imap(address)
    d.ok("SELECT INBOX")
    assert c.ok("SELECT INBOX (CONDSTORE)").code("HIGHESTMODSEQ")
    first = modseqs(c)
    r = c.ok(f"UID STORE 6 (UNCHANGEDSINCE {first[6]}) +FLAGS.SILENT (\\Deleted)")
    at, = r.of("FETCH")
    assert set(at.data) >= {"UID", "MODSEQ"} and at.data["MODSEQ"] > first[6]
    d.ok("NOOP")
    d.ok("STORE 7,9 +FLAGS.SILENT (\\Flagged)")
    r = c.ok(f"STORE 5:9 (UNCHANGEDSINCE {at.data['MODSEQ']}) +FLAGS.SILENT (\\Answered)")
    assert expand(r.done.code[1]) == [7, 9] and r.done.code[0] == "MODIFIED"
    told = {x.number: x.data for x in r.of("FETCH")}
    assert "\\Flagged" in told[7]["FLAGS"] and all(told[n]["MODSEQ"] > at.data["MODSEQ"] for n in (5, 6, 8))
    r = c.ok("UID STORE 7 (UNCHANGEDSINCE 0) FLAGS.SILENT ($MDNSent)")
    assert expand(r.done.code[1]) == [7]
    assert flags(c, 7) == {7: {"\\Flagged"}}
    r = c.ok("STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (x)")
    assert expand(r.done.code[1]) == [1]
    now = modseqs(c)
    got = c.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {first[1]})").of("FETCH")
    assert [x.number for x in got] == [5, 6, 7, 8, 9]
    assert all(set(x.data) >= {"UID", "FLAGS", "MODSEQ"} for x in got)
    high = max(now.values())
    assert c.ok("STATUS INBOX (HIGHESTMODSEQ)").of("STATUS")[0].data[1]["HIGHESTMODSEQ"] == high
    r = c.ok(f"SEARCH MODSEQ {now[5]}")
    assert found(r) == [n for n in sorted(now) if now[n] >= now[5]] and r.of("SEARCH")[0].data.modseq == high
    c.ok("EXPUNGE")
    assert c.ok("NOOP").untagged == []
    # What changes nothing has no new mod-sequence.
    before = modseqs(c)
    c.ok("STORE 1:* +FLAGS ()")
    assert modseqs(c) == before
    c.no("FETCH 1 FLAGS (CHANGEDSINCE x)", state="BAD")
    c.no("STORE 1 (UNCHANGEDSINCE -1) FLAGS ()", state="BAD")
    c.no("STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS ()", state="BAD")


def test_modseq_is_told_by_others(box, shared_suite):
    """RFC 7162 section 3.1.3, the three clients there: who enabled it is told MODSEQ of another's change."""
    c, address = box(small(3))
    d = shared_suite.imap(address)
    d.ok("SELECT INBOX")
    c.ok("ENABLE CONDSTORE")
    d.ok("STORE 2 +FLAGS (\\Answered)")
    at, = c.ok("NOOP").of("FETCH")
    assert at.number == 2 and at.data["MODSEQ"] == modseqs(c)[2]
    c.ok("STORE 2 -FLAGS (\\Answered)")
    at, = d.ok("NOOP").of("FETCH")
    assert "MODSEQ" not in at.data


def test_status_size(box):
    """RFC 8438: the sum of RFC822.SIZE."""
    c, _ = box(torture()[:30])
    size = sum(d["RFC822.SIZE"] for d in fetch(c, "1:*", "RFC822.SIZE").values())
    assert c.ok("STATUS INBOX (SIZE MESSAGES)").of("STATUS")[0].data[1] == {"SIZE": size, "MESSAGES": 30}


# ---- messages as they should not be, through the front doors ----------------------------

EVERY = ("UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE MODSEQ RFC822 RFC822.HEADER RFC822.TEXT BODY[] "
         "BODY[HEADER] BODY[TEXT] BODY[1] BODY[1.MIME] BODY[1.1] BODY[2] BODY[2.MIME] BODY[HEADER.FIELDS (From To Subject)] "
         "BODY[HEADER.FIELDS.NOT (From)]")


def test_torture_appended(box):
    """What was appended is what is fetched: NUL, which no literal has, is refused with its message."""
    c, _ = box([])
    sent = [wire(m) for m in torture() if m and len(m) < 250000]
    for m in sent:
        c.ok("APPEND INBOX ", Literal(m, sync=len(m) % 2 == 0))
    assert c.box.count == len(sent)
    for n, m in enumerate(sent, 1):
        got = fetch(c, n, f"({EVERY})")[n]
        assert got["BODY[]"] == m, n
        assert got["RFC822.SIZE"] == len(m)


def test_torture_delivered(box, shared_suite):
    """By SMTP: behind the header lines of the delivery it is what was sent."""
    c, address = box([])
    sent = []
    for m in torture():
        m = re.sub(rb"\r(?!\n)", b"", wire(m))
        if m and len(m) < 250000:
            try:
                shared_suite.send(address, m if m.endswith(b"\r\n") else m + b"\r\n")
                sent.append(m if m.endswith(b"\r\n") else m + b"\r\n")
            except Exception as e:                      # header too large, no header: refused for good
                assert "5" in str(e)
    shared_suite.wait_queue_empty()
    assert len(sent) > 60
    c.ok("NOOP")
    assert c.box.count == len(sent)
    got = {d["BODY[]"].split(b"\r\n\r\n", 1)[-1] for d in fetch(c, "1:*", f"({EVERY})").values()}
    for m in sent:
        if b"\r\n\r\n" in m and not m.startswith(b"\r\n"):
            assert m.split(b"\r\n\r\n", 1)[1] in got


def leaves(m, number=()):
    """{part number: (type, content)} as Python's own parser has a message that it finds nothing wrong with."""
    if m.get_content_maintype() == "multipart":
        return {k: v for i, p in enumerate(m.get_payload(), 1) for k, v in leaves(p, number + (i,)).items()}
    number = number or (1,)
    if m.get_content_type() == "message/rfc822":
        inner = m.get_payload()[0]
        if inner.get_content_maintype() == "multipart":
            return leaves(inner, number)
        return leaves(inner, number + (1,))
    return {number: (m.get_content_type(), m._payload)}         # get_payload() would decode 8-bit octets


TWICE = re.compile(rb"\n(--[^\r\n]+)[ \t]*\r\n\1[ \t]*\r\n")   # an empty part, which Python passes over


def flawless(m):
    return not any(p.defects for p in m.walk()) and all(
        isinstance(p._payload, list) == (p.get_content_maintype() == "multipart" or p.get_content_type() == "message/rfc822") for p in m.walk())


def test_parts_against_another_parser(box):
    """Types and content of the parts, where Python's parser has nothing to find fault with."""
    messages = [m for m in torture()[:-4] if m]
    c, _ = box(messages)
    compared = 0
    for n, octets in enumerate(messages, 1):
        try:
            m = email.message_from_bytes(wire(octets))
            want = leaves(m)
        except (AttributeError, IndexError, TypeError):
            continue
        if not flawless(m) or len(want) > 50 or TWICE.search(wire(octets)):
            continue
        body = fetch(c, n, "BODY")[n]["BODY"]
        ours = {k: f"{p.type.decode()}/{p.subtype.decode()}".lower() for k, p in parts(body).items() if p.body is None}
        assert ours == {k: v[0] for k, v in want.items()}, octets[:2000]
        for number, (_, content) in want.items():
            name = ".".join(map(str, number))
            got = fetch(c, n, f"BODY.PEEK[{name}]")[n][f"BODY[{name}]"]
            assert got == content.encode("ascii", "surrogateescape"), (n, name)
            compared += 1
    assert compared > 60
