# SPDX-License-Identifier: ISC
"""What a session is told of the mailbox it has selected, and when: RFC 3501 sections 5.2 and 7."""
import collections
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from hermodtest.imap import Literal

SETTINGS = {"imap_idle_poll": "10m", "login_client_rate": 0}
TEXT = "From: a@client.test\r\nSubject: told\r\n\r\nHello.\r\n"


@pytest.fixture
def two(shared_suite):
    """Two sessions in an INBOX that has three messages."""
    user = shared_suite.add_account(f"user{len(shared_suite.accounts)}")
    for _ in range(3):
        shared_suite.send(user, TEXT)
    shared_suite.maildir(user).wait(3)
    sessions = [shared_suite.imap(user) for _ in range(2)]
    for c in sessions:
        c.ok("SELECT INBOX")
    yield sessions
    for c in sessions:
        c.close()


def test_done_tells_what_came_during_idle(two):
    a, b = two
    a.idle()
    b.ok("STORE 2 +FLAGS.SILENT (\\Flagged \\Deleted)")
    b.ok("EXPUNGE")
    assert [r.number for r in a.done().of("EXPUNGE")] == [2]


def test_copies_in_the_same_mailbox(two):
    a, b = two
    b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    b.ok("EXPUNGE")
    a.ok("NOOP")
    b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    b.ok("EXPUNGE")                             # a has not been told
    c = a.ok("COPY 2 INBOX")
    # COPYUID is of the message that was number 2 when it was named.
    assert c.code("COPYUID")[1:] == (((3, 3),), ((4, 4),))
    assert [r.number for r in c.of("EXISTS")] == [2]


def test_uid_of_others_changes(two):
    a, b = two
    a.ok("UID FETCH 1:* (FLAGS)")
    b.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    assert all("UID" in r.data for r in a.ok("UID FETCH 3 (RFC822.SIZE)").of("FETCH"))
    b.ok("STORE 1 -FLAGS.SILENT (\\Flagged)")
    assert ["UID" in r.data for r in a.ok("NOOP").of("FETCH")] == [True]


def test_recent_goes_with_the_expunge(two):
    a, b = two
    a.ok("FETCH 1:* (UID FLAGS)")
    assert a.box.recent == 3                    # a was first to look
    b.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    b.ok("EXPUNGE")
    assert not a.ok("FETCH 1 (RFC822.SIZE)").of("RECENT", "EXPUNGE")
    c = a.ok("NOOP")
    assert [r.number for r in c.of("RECENT")] == [2]


# ---- a mailbox that is deleted or renamed while somebody has it selected: RFC 2180 section 3 ----

@pytest.fixture(params=["maildir", "fs"])
def pair(request, make_suite):
    """Two sessions; the first has made the mailbox "x" with one below it, the second has selected it."""
    s = make_suite(folder_layout=request.param, imap_idle_poll="100ms", login_client_rate=0)
    a, b = s.imap("anna"), s.imap("anna")
    for name in ("x", "x/y"):
        a.ok(f"CREATE {name}")
    for _ in range(3):
        a.ok("APPEND x ", Literal(TEXT.encode()))
    b.ok("SELECT x")
    b.ok("UID FETCH 1:* (FLAGS)")
    yield s, a, b
    a.close()
    b.close()


def level_is_clean(s):
    """Nothing of a mailbox is left in, or was put into, the directory of a name that is only a level."""
    path = os.path.join(s.maildir("anna").path, "x")
    return not os.path.isdir(path) or os.listdir(path) == ["y"]


@pytest.mark.parametrize("command", ["NOOP", "CHECK", "FETCH 1:* (FLAGS)", "STORE 1 +FLAGS (\\Seen)", "UID SEARCH ALL",
                                     "EXPUNGE", "COPY 1 INBOX", 'LIST "" *'])
def test_deleted_under_a_session(pair, command):
    s, a, b = pair
    a.ok("DELETE x")
    b.start(command)
    assert b.at_end() and b.bye
    assert level_is_clean(s)
    a.ok("RENAME x z")
    a.ok("CREATE x")
    a.ok("SELECT x")


@pytest.mark.parametrize("command", ["CLOSE", "UNSELECT", "SELECT INBOX", "EXAMINE x/y", "LOGOUT"])
def test_who_leaves_need_not_know(pair, command):
    s, a, b = pair
    b.ok("CLOSE")
    b.ok("SELECT x")                            # has been looked at, but not changed by this session
    a.ok("DELETE x")
    b.ok(command)
    assert level_is_clean(s)


def test_deleted_in_the_same_moment(pair):
    """It is there or it is not: what was never selected is no reason to send anybody away."""
    s, a, b = pair
    b.ok("COPY 1 INBOX")
    b.ok("SELECT INBOX")
    a.ok("DELETE x")
    told = collections.defaultdict(set)
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(a.pipeline, *("CREATE x", "DELETE x") * 300)
        while not again.done():
            for command in (("SELECT x",), ("SELECT INBOX",), ("STATUS x (MESSAGES)",), ("APPEND x ", Literal(TEXT.encode())), ("COPY 1 x",)):
                r = b.cmd(*command)
                told[command[0]].add("OK" if r.ok else r.done.code[0])
    assert all(c.done.name == "OK" for c in again.result())
    assert told.pop("SELECT INBOX") == {"OK"}
    assert told["SELECT x"] | told["STATUS x (MESSAGES)"] <= {"OK", "NONEXISTENT"}, told
    assert told["APPEND x "] | told["COPY 1 x"] <= {"OK", "TRYCREATE"}, told


def test_deleted_while_idle(pair):
    s, a, b = pair
    b.idle()
    a.ok("DELETE x")
    assert b.at_end() and b.bye
    assert level_is_clean(s)
    s.wait_log("mailbox x was deleted")
    assert s.log().count("mailbox x was deleted") == s.log().count("mailbox x") == 1


def test_deleted_and_made_again(pair):
    s, a, b = pair
    a.ok("DELETE x")
    a.ok("CREATE x")
    for _ in range(3):
        a.ok("APPEND x ", Literal(TEXT.encode()))
    a.ok("SELECT x")
    a.ok("FETCH 1:* (UID FLAGS MODSEQ)")
    before = [(m.uid, m.modseq) for m in a.box.slots]
    b.start("UID STORE 1:* +FLAGS (\\Deleted)")
    assert b.at_end() and b.bye
    a.ok("NOOP")
    a.ok("FETCH 1:* (UID FLAGS MODSEQ)")
    assert [(m.uid, m.modseq) for m in a.box.slots] == before


def test_who_deletes_what_it_has_selected(pair):
    _, a, b = pair
    b.ok("DELETE x")
    assert b.box is None
    b.no("FETCH 1 FLAGS", state="BAD")
    b.ok("NOOP")
    b.ok("SELECT INBOX")


def test_renamed_under_a_session(pair):
    """Section 3.4: it goes on."""
    _, a, b = pair
    a.ok("RENAME x z/w")
    b.ok("UID STORE 2 +FLAGS (\\Deleted)")
    b.ok("EXPUNGE")
    assert b.box.count == 2
    b.no("SELECT x")
    b.ok("SELECT z/w")
    assert b.box.count == 2
    b.ok("SELECT z/w/y")


def test_inbox_renamed_under_a_session(pair):
    _, a, b = pair
    a.ok("APPEND INBOX ", Literal(TEXT.encode()))
    b.ok("SELECT INBOX")
    a.ok("RENAME INBOX old")
    assert [r.number for r in b.ok("NOOP").of("EXPUNGE")] == [1]
    a.ok("APPEND INBOX ", Literal(TEXT.encode()))
    assert [r.number for r in b.ok("NOOP").of("EXISTS")] == [1]


def test_who_renames_the_inbox_it_has_selected(pair):
    _, _, b = pair
    b.ok("APPEND INBOX ", Literal(TEXT.encode()))
    b.ok("SELECT INBOX")
    assert [r.number for r in b.ok("RENAME INBOX old").of("EXPUNGE")] == [1]
