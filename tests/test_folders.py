# SPDX-License-Identifier: ISC
"""Mailboxes of an account by IMAP, as a confined session has them: LIST and its kin, CREATE, DELETE, RENAME."""
import os
import random

import pytest

from hermodtest.imap import Literal, Model

LAYOUTS = ["maildir", "fs"]
STANDARD = {"INBOX", "Drafts", "Sent", "Trash", "Junk", "Archive"}
MAIL = b"From: a@b.example\r\nSubject: x\r\n\r\nx\r\n"


@pytest.fixture(scope="module", params=LAYOUTS)
def served(request):
    from hermodtest.suite import Suite
    s = Suite({"folder_layout": request.param, "login_client_rate": 100000, "login_client_sessions": 1000},
              users=("anna", "bert", "carl"))
    yield s
    s.end()


def names(c, *parts):
    return [r.data.mailbox for r in c.ok(*parts).untagged if r.name in ("LIST", "LSUB")]


def attributes(c, *parts):
    return {r.data.mailbox: set(r.data.attributes) for r in c.ok(*parts).untagged if r.name in ("LIST", "LSUB")}


def test_list(served):
    c = served.imap("anna")
    c.ok("CREATE a/b/c")
    c.ok("CREATE a/d/")
    assert c.no("CREATE a/d").done.code[0] == "ALREADYEXISTS"
    assert c.no("CREATE inbox").done.code[0] == "ALREADYEXISTS"
    assert set(names(c, 'LIST "" *')) == STANDARD | {"a/b/c", "a/d"}
    assert attributes(c, 'LIST "" a%') == {"a": {"\\Noselect", "\\HasChildren"}}
    assert attributes(c, 'LIST () "" a%') == {"a": {"\\NonExistent", "\\HasChildren"}}
    assert attributes(c, 'LIST a/ %') == {"a/b": {"\\Noselect", "\\HasChildren"}, "a/d": {"\\HasNoChildren"}}
    assert set(names(c, 'LIST "" (INBOX a/% a/b/%)')) == {"INBOX", "a/b/c", "a/d"}
    listing = [r for r in c.ok('LIST "" ""').untagged if r.name == "LIST"]
    assert [(r.data.separator, r.data.mailbox) for r in listing] == [("/", "")]
    assert c.ok("NAMESPACE").of("NAMESPACE")[0].data == ((("", "/", {}),), None, None)
    c.ok("SUBSCRIBE a/b/c")
    c.ok("SUBSCRIBE a/d")
    c.ok("UNSUBSCRIBE a/d")
    assert c.no("SUBSCRIBE nothing").done.code[0] == "NONEXISTENT"
    assert attributes(c, 'LSUB "" a%') == {"a": {"\\Noselect"}}
    assert "a/b/c" in names(c, 'LSUB "" *')
    found = [r.data for r in c.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" a% RETURN (CHILDREN)').untagged]
    assert [(r.mailbox, bool(r.extended)) for r in found] == [("a", True)]
    c.ok("DELETE a/b/c")
    assert attributes(c, 'LIST (SUBSCRIBED) "" a*') == {"a/b/c": {"\\NonExistent", "\\Subscribed"}}
    assert c.no("DELETE a").done.code[0] == "HASCHILDREN"
    assert c.no("DELETE INBOX").done.code[0] == "CANNOT"
    assert c.no("DELETE a/b/c").done.code[0] == "NONEXISTENT"
    c.ok("DELETE a/d")
    assert set(names(c, 'LIST "" *')) == STANDARD
    c.logout()


def test_special_uses(served):
    c = served.imap("bert")
    assert c.no("CREATE mine (USE (\\Archive))").done.code[0] == "USEATTR"       # account add gave it away
    assert c.no("CREATE x (USE (\\All))").done.code[0] == "USEATTR"
    assert c.no("CREATE x (USE (\\Strange))").done.code[0] == "USEATTR"
    found = attributes(c, 'LIST (SPECIAL-USE) "" *')
    assert {n: a - {"\\HasNoChildren"} for n, a in found.items()} == {n: {"\\" + n} for n in STANDARD - {"INBOX"}}
    assert set(names(c, 'LSUB "" *')) == STANDARD - {"INBOX"}
    c.ok("RENAME Sent old/Gone")
    assert attributes(c, 'LIST "" old/*')["old/Gone"] >= {"\\Sent"}
    c.ok("DELETE Archive")
    c.ok("CREATE mine (USE (\\Archive))")
    assert attributes(c, 'LIST "" mine')["mine"] >= {"\\Archive"}
    c.logout()


def test_list_status(served):
    c = served.imap("bert")
    c.ok("CREATE st/a")
    c.ok("APPEND st/a ", Literal(MAIL))
    answers = c.ok('LIST "" (st st/%) RETURN (STATUS (MESSAGES UIDNEXT))').untagged
    assert [r.name for r in answers if r.name in ("LIST", "STATUS")] == ["LIST", "STATUS"]
    assert [r.data for r in answers if r.name == "STATUS"] == [("st/a", {"MESSAGES": 1, "UIDNEXT": 2})]
    c.logout()


def test_strange_names(served):
    c = served.imap("bert")
    assert c.no('CREATE "&AMQ"').done.code[0] == "CANNOT"
    assert c.no('CREATE "a//b"').done.code[0] == "CANNOT"
    assert c.no('CREATE "/a"').done.code[0] == "CANNOT"
    for name in ("&AMQ-.b", "cur", "../x", "..", "a..b/.c", "hermod.ledger", "subscriptions", "&-", "a%b", "a*"):
        c.ok(f'CREATE "{name}"')
        c.ok(f'SELECT "{name}"')
        c.ok("UNSELECT")
        c.ok(f'DELETE "{name}"')
    c.logout()


def test_rename_inbox(served):
    c = served.imap("carl")
    for i in range(5):
        c.ok("APPEND INBOX (\\Seen $Label1) ", Literal(MAIL))
    c.ok("CREATE INBOX/kept")
    c.ok("RENAME INBOX old")
    assert c.ok("STATUS INBOX (MESSAGES UIDNEXT)").of("STATUS")[0].data[1] == {"MESSAGES": 0, "UIDNEXT": 6}
    assert c.ok("STATUS old (MESSAGES UNSEEN)").of("STATUS")[0].data[1] == {"MESSAGES": 5, "UNSEEN": 0}
    c.ok("SELECT old")
    c.look()
    assert c.ok("UID SEARCH KEYWORD $Label1").of("SEARCH")[0].data.numbers
    assert "INBOX/kept" in names(c, 'LIST "" *')
    c.logout()


@pytest.mark.settings(mailbox_format="mbox")
def test_mbox(suite):
    """There is an INBOX, and nothing else; it is opened again and again in a confined session."""
    suite.send("anna@hermod.test")
    suite.wait_queue_empty()
    c = suite.imap("anna")
    assert names(c, 'LIST "" *') == ["INBOX"]
    assert names(c, 'LSUB "" *') == ["INBOX"]
    assert c.no("CREATE a").done.code[0] == "CANNOT"
    assert c.no("RENAME INBOX a").done.code[0] == "CANNOT"
    assert c.no("DELETE a").done.code[0] == "NONEXISTENT"
    assert c.no("SELECT a").done.code[0] == "NONEXISTENT"
    for _ in range(2):
        c.ok("SELECT INBOX")
        assert c.ok("STATUS INBOX (MESSAGES)").of("STATUS")[0].data[1] == {"MESSAGES": 1}
        c.ok("CLOSE")
    c.logout()


@pytest.mark.faults
@pytest.mark.parametrize("layout", LAYOUTS)
def test_clock_set_back(make_suite, layout):
    """A name that was another's never has its UIDVALIDITY again: RFC 3501 section 2.3.1.1."""
    suite = make_suite(env={"HERMOD_CLOCK_OFFSET": "1000000"}, folder_layout=layout)
    used = {"a": [], "b": []}

    def note(c, name):
        used[name].append(c.ok(f"STATUS {name} (UIDVALIDITY)").of("STATUS")[0].data[1]["UIDVALIDITY"])
    for offset in (1000000, 500000, 0, -100000):
        suite.stop()
        suite.env["HERMOD_CLOCK_OFFSET"] = str(offset)
        suite.start()
        c = suite.imap("anna")
        c.ok("CREATE a")
        note(c, "a")
        c.ok("RENAME a b")
        note(c, "b")
        c.ok("DELETE b")
        c.logout()
    for values in used.values():
        assert values == sorted(set(values))


NAMES = ["INBOX", "a", "b", "a/x", "a/y", "a/x/deep", "b/x", "INBOX/in", "cur", "v.1"]


def one_command(r, m, c):
    what, name, other = r.choice("CDRSUA"), r.choice(NAMES), r.choice(NAMES)
    if what == "C":
        m.create(name, c.cmd(f'CREATE "{name}"'))
    elif what == "D":
        m.delete(name, c.cmd(f'DELETE "{name}"'))
    elif what == "R":
        m.rename(name, other, c.cmd(f'RENAME "{name}" "{other}"'))
    elif what == "S":
        m.subscribe(name, c.cmd(f'SUBSCRIBE "{name}"'))
    elif what == "U":
        m.unsubscribe(name, c.cmd(f'UNSUBSCRIBE "{name}"'))
    else:
        m.append(name, MAIL, answer=c.cmd(f'APPEND "{name}" ', Literal(MAIL)))


def check_all(m, c):
    m.check_list([r.data for r in c.ok('LIST "" *').untagged if r.name == "LIST"])
    m.check_lsub([r.data for r in c.ok('LSUB "" *').untagged if r.name == "LSUB"])
    for name in list(m.folders):
        for r in c.ok(f'STATUS "{name}" (MESSAGES UIDNEXT UIDVALIDITY)').of("STATUS"):
            m.check_status(name, r.data[1])


@pytest.mark.parametrize("seed", range(4))
def test_any_order(served, seed):
    """Commands in any order, from two sessions, against a model of what there must be."""
    user = served.add_account(f"seed{seed}") or f"seed{seed}"
    first, second = served.imap(user), served.imap(user)
    for n in names(first, 'LIST "" *'):                     # those of account add
        if n != "INBOX":
            first.ok(f'DELETE "{n}"')
    for n in names(first, 'LSUB "" *'):
        first.ok(f'UNSUBSCRIBE "{n}"')
    r, m = random.Random(seed), Model(separator="/")
    for _ in range(150):
        one_command(r, m, r.choice((first, second)))
        if r.random() < 0.1:
            check_all(m, r.choice((first, second)))
    check_all(m, first)
    first.logout()
    second.logout()


def test_deleted_under_a_session(served):
    """RFC 2180 section 3.3: the other session is told of it, and nothing breaks. test_imap_told.py has the commands."""
    one, other = served.imap("carl"), served.imap("carl")
    one.ok("CREATE under")
    one.ok("APPEND under ", Literal(MAIL))
    other.ok("SELECT under")
    one.ok("DELETE under")
    other.start("FETCH 1 BODY[]")
    assert other.at_end() and other.bye
    one.ok("CREATE under")
    assert one.ok("STATUS under (MESSAGES)").of("STATUS")[0].data[1] == {"MESSAGES": 0}
    one.logout()


def test_nothing_left(served):
    """After all of that: no folder that is half made or half gone."""
    for user in os.listdir(os.path.join(served.mail, "hermod.test")):
        top = os.path.join(served.mail, "hermod.test", user, "Maildir")
        assert not [f for f in os.listdir(top) if f.startswith(("hermod.new.", "hermod.removed.", "hermod.folders.", ".tmp."))]
