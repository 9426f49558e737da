# SPDX-License-Identifier: ISC
"""What a session is told of the mailbox it has selected, and when: RFC 3501 sections 5.2 and 7."""
import pytest

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
