# SPDX-License-Identifier: ISC
"""hermod mailbox: what it shows, finds, makes anew and brings back; as root it works as the mailbox's owner."""
import json
import os
import re
import shutil
import subprocess
import time

import pytest

from hermodtest.imap import Literal
from hermodtest.proc import on_terminal, wait_for
from hermodtest.suite import MAIL_UID, PASSWORD, patience

SETTINGS = {"expunge_keep": "1d"}


def folder(suite, address, name=""):
    local, domain = address.split("@")
    return os.path.join(suite.mail, domain, local, "Maildir", name)


def files(suite, address, name="", sub="cur"):
    return sorted(f for f in os.listdir(os.path.join(folder(suite, address, name), sub)) if not f.startswith("."))


def snapshot(top):
    """Everything there is below it, but when it was read."""
    out = {}
    for path, dirs, names in os.walk(top):
        for n in dirs + names:
            p = os.path.join(path, n)
            st = os.lstat(p)
            readable = os.path.isfile(p) and not os.path.islink(p) and os.access(p, os.R_OK)
            content = open(p, "rb").read() if readable else None
            out[p] = (st.st_mode, st.st_uid, st.st_nlink, st.st_mtime_ns, content)
    return out


def fill(suite, name, n):
    address = suite.add_account(name)
    for i in range(n):
        suite.send(address, f"Subject: {i}\r\nFrom: a@client.test\r\n\r\nText {i}.\r\n")
        suite.maildir(address).wait(i + 1)
    return address


def session(suite, address):
    return suite.imap(address, PASSWORD)


def look(suite, address, name="INBOX"):
    """An IMAP session that fetches all: the index is whole after it."""
    with session(suite, address) as c:
        c.ok("SELECT " + name)
        c.ok("FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE)")
        c.ok("UNSELECT")		# what was found out is on disk


def expunge(suite, address, uids, name="INBOX"):
    with session(suite, address) as c:
        c.ok("SELECT " + name)
        c.ok(f"UID STORE {uids} +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
        c.ok("UNSELECT")


def status(suite, address, name="INBOX"):
    (s,) = suite.hermod_json("mailbox", "status", address, name)
    return s


def check(suite, address, *more):
    r = suite.hermod("mailbox", "check", address, *more, check=False)
    assert r.stderr == ""
    return r.returncode, r.stdout


# ---- looking -------------------------------------------------------------------------------

def test_list(shared_suite):
    address = fill(shared_suite, "lists", 2)
    expunge(shared_suite, address, "999")
    with session(shared_suite, address) as c:
        c.ok("SELECT INBOX")
        c.ok("UID STORE 1 +FLAGS (\\Seen)")
    all_ = {f["folder"]: f for f in shared_suite.hermod_json("mailbox", "list", address)}
    assert set(all_) == {"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"}
    assert (all_["INBOX"]["messages"], all_["INBOX"]["unseen"]) == (2, 1) and all_["INBOX"]["octets"] > 100
    assert all_["Sent"]["use"] == "\\Sent" and all_["Sent"]["subscribed"] and all_["Sent"]["messages"] == 0
    table = shared_suite.hermod("mailbox", "list", address).stdout
    assert re.search(r"^FOLDER +MESSAGES +UNSEEN +SIZE +SUBSCRIBED +USE$", table, re.M)
    assert re.search(r"^Trash +0 +0 +0 +yes +\\Trash$", table, re.M)


def test_status(shared_suite):
    address = fill(shared_suite, "state", 3)
    s = status(shared_suite, address)
    assert (s["messages"], s["unseen"], s["uidnext"], s["ledger"]) == (3, 3, 4, "missing")
    look(shared_suite, address)
    s = status(shared_suite, address)
    assert (s["ledger"], s["ledger2"], s["index"], s["data"]) == ("whole", "whole", "whole", "whole")
    assert s["uidvalidity"] > 0 and s["highestmodseq"] > 1 and s["octets"] == sum(
        len(open(f, "rb").read().replace(b"\n", b"\r\n")) for f in shared_suite.maildir(address).files())
    words = shared_suite.hermod("mailbox", "status", address).stdout
    assert words.count("UIDVALIDITY") == 6 and re.search(r"^INBOX\n  UIDVALIDITY +\d+\n  UIDNEXT +4\n", words)


def test_keywords_are_named(shared_suite):
    address = fill(shared_suite, "words", 1)
    with session(shared_suite, address) as c:
        c.ok("SELECT INBOX")
        c.ok("STORE 1 +FLAGS (Urgent $Work)")
    assert sorted(status(shared_suite, address)["keywords"].split()) == ["$Work", "Urgent"]


def test_all_is_the_owners(shared_suite):
    address = fill(shared_suite, "owner", 2)
    for verb in ("list", "status", "check", "rebuild"):
        shared_suite.hermod("mailbox", verb, address)
    expunge(shared_suite, address, "1")
    shared_suite.hermod("mailbox", "undelete", address, "INBOX")
    uid = MAIL_UID if os.geteuid() == 0 else os.geteuid()
    for path, st in snapshot(folder(shared_suite, address)).items():
        assert st[1] == uid and st[0] & 0o077 == 0, path


@pytest.mark.root
def test_a_user_of_the_host_looks_at_his_own(make_suite):
    """Though the table of accounts is none that he may read."""
    s = make_suite(start=False)
    home, uid = os.path.join(s.dir, "home"), 65534
    for name in ("", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"):
        os.mkdir(os.path.join(home, name), 0o700)
        os.chown(os.path.join(home, name), uid, uid)
    passwd = os.path.join(s.dir, "etc", "passwd")
    with open(passwd, "w") as f:
        f.write(f"me:x:{uid}:{uid}::{home}:/bin/sh\nroot:x:0:0::/root:/bin/sh\n")
    s.write_conf(system_accounts=True, passwd_file=passwd)
    asked = {}
    for name in ("me", "root", "anna@hermod.test"):
        asked[name] = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                                      os.path.join(s.build, "bin", "hermod"), "-c", s.conf, "mailbox", "list", name],
                                     text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=s.environment(),
                                     timeout=60 * patience())
    assert asked["me"].returncode == 0 and "INBOX" in asked["me"].stdout and asked["me"].stderr == "", asked
    assert asked["root"].returncode == 1 and "root: no such account" in asked["root"].stderr, asked
    assert asked["anna@hermod.test"].returncode == 77 and "Permission denied; root may look" in asked["anna@hermod.test"].stderr, asked


# ---- wrong use ---------------------------------------------------------------------------------

@pytest.mark.parametrize("args", [(), ("list",), ("nosuch", "anna@hermod.test"), ("list", "anna@hermod.test", "INBOX"),
                                  ("undelete", "anna@hermod.test"), ("status", "anna@hermod.test", "--dry-run"),
                                  ("check", "anna@hermod.test", "INBOX", "more"), ("list", "--since", "anna@hermod.test"),
                                  ("undelete", "anna@hermod.test", "INBOX", "--since", "yesterday")])
def test_wrong_use(shared_suite, args):
    r = shared_suite.hermod("mailbox", *args, check=False)
    assert r.returncode == 64 and r.stderr and r.stdout == ""


def test_help(shared_suite):
    for args in (("--help",), ("check", "--help"), ("undelete", "-h")):
        r = shared_suite.hermod("mailbox", *args)
        assert "usage: hermod mailbox list ACCOUNT" in r.stdout


def test_what_is_not_there(shared_suite):
    r = shared_suite.hermod("mailbox", "list", "nobody@hermod.test", check=False)
    assert r.returncode == 1 and "no such account" in r.stderr
    for name in ("Nosuch", "a//b", "../bert", "x" * 2000, "\xff"):
        r = shared_suite.hermod("mailbox", "status", "anna@hermod.test", name, check=False)
        assert r.returncode == 1 and "no such folder; `hermod mailbox list anna@hermod.test` shows all" in r.stderr
    address = shared_suite.add_account("gone")
    shutil.rmtree(folder(shared_suite, address))
    r = shared_suite.hermod("mailbox", "check", address, check=False)
    assert r.returncode == 1 and "there is no mailbox yet" in r.stderr
    assert not os.path.exists(folder(shared_suite, address))


def test_a_link_in_place_of_the_mailbox(shared_suite):
    address = shared_suite.add_account("link")
    shutil.rmtree(folder(shared_suite, address))
    os.symlink(folder(shared_suite, "anna@hermod.test"), folder(shared_suite, address).rstrip("/"))
    r = shared_suite.hermod("mailbox", "list", address, check=False)
    assert r.returncode == 1 and "symbolic link" in r.stderr


# ---- check -----------------------------------------------------------------------------------

def test_a_sound_mailbox_has_no_faults_and_stays_as_it_is(shared_suite):
    address = fill(shared_suite, "sound", 3)
    look(shared_suite, address)
    before = snapshot(folder(shared_suite, address))
    assert check(shared_suite, address) == (0, "0 faults\n")
    assert check(shared_suite, address, "INBOX", "--dry-run") == (0, "0 faults\n")
    assert shared_suite.hermod_json("mailbox", "check", address) == []
    assert snapshot(folder(shared_suite, address)) == before


def found(suite, address, name="INBOX"):
    r = suite.hermod("--json", "mailbox", "check", address, name, check=False)
    out = [json.loads(line) for line in r.stdout.splitlines()]
    assert (r.returncode == 1) == any(f["fault"] for f in out), r
    return out


def damage(path, at=-5):
    with open(path, "r+b") as f:
        f.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        octet = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([octet[0] ^ 0x55]))


def owned(path):
    if os.geteuid() == 0:
        os.chown(path, MAIL_UID, MAIL_UID, follow_symlinks=False)


def test_faults_are_found(shared_suite):
    address = fill(shared_suite, "faulty", 4)
    top = folder(shared_suite, address)
    look(shared_suite, address)
    messages = shared_suite.maildir(address).files()
    os.symlink("/etc/passwd", os.path.join(top, "cur", "1.link:2,"))
    os.mkfifo(os.path.join(top, "new", "2.fifo"))
    owned(os.path.join(top, "new", "2.fifo"))
    os.mkdir(os.path.join(top, "cur", "3.dir"))
    open(os.path.join(top, "new", "4.empty"), "w").close()
    owned(os.path.join(top, "new", "4.empty"))
    os.chmod(messages[0], 0)
    with open(messages[1], "a") as f:
        f.write("More.\n")
    before = snapshot(top)
    out = found(shared_suite, address)
    faults = {f["file"]: f["finding"] for f in out if f["fault"]}
    assert "no regular file" in faults["cur/1.link:2,"] and "no regular file" in faults["new/2.fifo"]
    assert "no regular file" in faults["cur/3.dir"] and "empty" in faults["new/4.empty"]
    assert "cannot be read: Permission denied" in faults[os.path.relpath(messages[0], top)]
    more = os.path.relpath(messages[1], top)
    assert any(f["file"] == more and not f["fault"] and "its name says" in f["finding"] for f in out)
    assert any(f["file"] == more and f["fault"] and "another size" in f["finding"] for f in out)
    assert any("hermod mailbox rebuild" in f["advice"] for f in out)
    status_, words = check(shared_suite, address, "INBOX")
    assert status_ == 1 and re.search(r"^fault INBOX: new/2\.fifo: is no regular file", words, re.M)
    assert snapshot(top) == before


@pytest.mark.parametrize("name, finding", [("hermod.ledger", "damaged"), ("hermod.ledger2", "damaged"),
                                           ("hermod.index", "damaged"), ("hermod.data", "damaged octets")])
def test_damaged_files(shared_suite, name, finding):
    address = fill(shared_suite, "bad" + name.split(".")[1], 3)
    look(shared_suite, address)
    damage(os.path.join(folder(shared_suite, address), name), 270 if name == "hermod.index" else
           200 if name == "hermod.data" else -5)
    out = found(shared_suite, address)
    assert [f["file"] for f in out if finding in f["finding"] and f["fault"]] == [name]
    shared_suite.hermod("mailbox", "rebuild", address, "INBOX")
    assert found(shared_suite, address) == []


def test_a_ledger_from_a_backup(shared_suite):
    address = fill(shared_suite, "backup", 2)
    look(shared_suite, address)
    path = os.path.join(folder(shared_suite, address), "hermod.ledger2")
    shutil.copy(path, path + ".copy")
    os.replace(path + ".copy", path)
    owned(path)
    assert "backup" in [f for f in found(shared_suite, address) if f["fault"]][0]["finding"]


# ---- rebuild -------------------------------------------------------------------------------

def test_rebuild(shared_suite):
    address = fill(shared_suite, "anew", 5)
    look(shared_suite, address)
    top = folder(shared_suite, address)
    before = status(shared_suite, address)
    inode = os.stat(os.path.join(top, "hermod.index")).st_ino
    assert "would read 5 messages" in shared_suite.hermod("mailbox", "rebuild", address, "INBOX", "--dry-run").stdout
    assert os.stat(os.path.join(top, "hermod.index")).st_ino == inode
    for name in ("hermod.index", "hermod.data"):
        with open(os.path.join(top, name), "wb") as f:
            f.write(b"x" * 10000)
    assert shared_suite.hermod("mailbox", "rebuild", address, "INBOX").stdout == "INBOX: made anew from 5 messages\n"
    assert check(shared_suite, address) == (0, "0 faults\n")
    after = status(shared_suite, address)
    assert (after["index"], after["data"]) == ("whole", "whole") and after["data_octets"] > 500
    assert after["uidvalidity"] == before["uidvalidity"] and after["uidnext"] == before["uidnext"]
    assert after["highestmodseq"] > before["highestmodseq"] and after["octets"] == before["octets"]
    assert {r["folder"]: r["messages"] for r in shared_suite.hermod_json("mailbox", "rebuild", address)}["INBOX"] == 5


def test_rebuild_under_a_session(shared_suite):
    address = fill(shared_suite, "busy", 3)
    with session(shared_suite, address) as c:
        c.ok("SELECT INBOX")
        c.ok("FETCH 1:* (FLAGS ENVELOPE)")
        shared_suite.hermod("mailbox", "rebuild", address, "INBOX")
        c.ok("STORE 2 +FLAGS (\\Flagged)")
        c.ok("FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)")
        c.ok("UNSELECT")
    assert check(shared_suite, address) == (0, "0 faults\n")


# ---- undelete ------------------------------------------------------------------------------

def texts(suite, address):
    return sorted(re.search(rb"Text \d", open(f, "rb").read()).group() for f in suite.maildir(address).files())


def test_undelete(shared_suite):
    address = fill(shared_suite, "undo", 4)
    with session(shared_suite, address) as c:
        c.ok("SELECT INBOX")
        c.ok("UID STORE 2 +FLAGS (\\Seen \\Flagged Urgent)")
    stamp = os.stat([f for f in shared_suite.maildir(address).files() if b"Text 1" in open(f, "rb").read()][0]).st_mtime_ns
    expunge(shared_suite, address, "2:3")
    assert texts(shared_suite, address) == [b"Text 0", b"Text 3"]
    s = status(shared_suite, address)
    assert (s["messages"], s["expunged"]) == (2, 2) and s["expunged_octets"] > 0
    dry = shared_suite.hermod_json("mailbox", "undelete", address, "INBOX", "--dry-run")
    assert [m["back"] for m in dry] == [False, False] and status(shared_suite, address)["expunged"] == 2
    assert "2 messages would be brought back" in shared_suite.hermod("mailbox", "undelete", address, "INBOX", "--dry-run").stdout
    out = shared_suite.hermod("mailbox", "undelete", address, "INBOX").stdout
    assert re.search(r"^20\d\d-.*\\Flagged \\Seen Urgent$", out, re.M) and "2 messages brought back" in out
    s = status(shared_suite, address)
    assert (s["messages"], s["expunged"], s["uidnext"]) == (4, 0, 7)
    assert texts(shared_suite, address) == [b"Text 0", b"Text 1", b"Text 2", b"Text 3"]
    back = [f for f in shared_suite.maildir(address).files() if b"Text 1" in open(f, "rb").read()][0]
    assert re.search(r":2,FSa$", back) and os.stat(back).st_mtime_ns == stamp
    assert "nothing that was expunged is kept" in shared_suite.hermod("mailbox", "undelete", address, "INBOX").stdout
    assert check(shared_suite, address)[0] == 0


def test_undelete_since(shared_suite):
    address = fill(shared_suite, "since", 2)
    expunge(shared_suite, address, "1:2")
    kept = files(shared_suite, address, "", "hermod.expunged")
    old = os.path.join(folder(shared_suite, address), "hermod.expunged", kept[0])
    os.rename(old, os.path.join(os.path.dirname(old), re.sub(r"^\d+", str(int(time.time()) - 7200), kept[0])))
    for since, n in (("1h", 1), ("3h", 2), ("2020-01-01", 2), ("2019-12-31 23:59", 2), ("2099-01-01", 0)):
        assert len(shared_suite.hermod_json("mailbox", "undelete", address, "INBOX", "--dry-run", "--since", since)) == n
    assert len(shared_suite.hermod_json("mailbox", "undelete", address, "INBOX", "--since", "1h")) == 1
    assert status(shared_suite, address)["expunged"] == 1


def test_pop3_keeps_too_and_a_move_does_not(shared_suite):
    address = fill(shared_suite, "pop", 2)
    p = shared_suite.pop3(address, PASSWORD)
    p.dele(1)
    p.quit()
    assert len(files(shared_suite, address, "", "hermod.expunged")) == 1
    with session(shared_suite, address) as c:
        c.ok("SELECT INBOX")
        c.ok("MOVE 1 Archive")
    assert len(files(shared_suite, address, "", "hermod.expunged")) == 1
    names = {f["folder"] for f in shared_suite.hermod_json("mailbox", "list", address)}
    assert not any("expunged" in n for n in names)


def test_a_folder_goes_with_what_it_kept(shared_suite):
    address = shared_suite.add_account("folders")
    with session(shared_suite, address) as c:
        c.ok("CREATE Work")
        c.ok("APPEND Work ", Literal(b"Subject: x\r\n\r\nText.\r\n"))
    expunge(shared_suite, address, "1", "Work")
    (old,) = files(shared_suite, address, ".Work", "hermod.expunged")
    with session(shared_suite, address) as c:
        c.ok("RENAME Work Play")
    assert files(shared_suite, address, ".Play", "hermod.expunged") == [old]
    assert "1 message brought back" in shared_suite.hermod("mailbox", "undelete", address, "Play").stdout
    expunge(shared_suite, address, "1:*", "Play")
    assert status(shared_suite, address, "Play")["expunged"] == 1
    with session(shared_suite, address) as c:
        c.ok("DELETE Play")
    assert not any("Play" in p or "removed" in p for p in os.listdir(folder(shared_suite, address)))


def test_the_other_layout(make_suite):
    suite = make_suite(folder_layout="fs", expunge_keep="1h")
    address = suite.add_account("fs")
    with session(suite, address) as c:
        c.ok("CREATE Work/2026")
        c.ok("APPEND Work/2026 ", Literal(b"Subject: x\r\n\r\nText.\r\n"))
    expunge(suite, address, "1", "Work/2026")
    names = {f["folder"]: f["selectable"] for f in suite.hermod_json("mailbox", "list", address)}
    assert names["Work/2026"] and not any("hermod" in n for n in names)
    assert len(suite.hermod_json("mailbox", "undelete", address, "work/2026".title())) == 1
    assert status(suite, address, "Work/2026")["messages"] == 1


def test_progress_on_a_terminal(shared_suite):
    """It is seen, and gone when all is done; sessions need no terminal."""
    address = shared_suite.add_account("slow")
    new = os.path.join(folder(shared_suite, address), "new")
    for i in range(300):
        path = os.path.join(new, f"{1000 + i}.x")
        with open(path, "w") as f:
            f.write("Subject: x\n\n" + "a line of it\n" * 5000)
        owned(path)
    pid, fd = on_terminal(os.path.join(shared_suite.build, "bin", "hermod"), "-c", shared_suite.conf, "mailbox", "rebuild",
                               address, "INBOX", env=shared_suite.environment())
    out = b""
    try:
        while (piece := os.read(fd, 65536)):
            out += piece
    except OSError:
        pass
    assert os.waitpid(pid, 0)[1] == 0, out
    os.close(fd)
    assert re.search(rb"\rINBOX: \d+ of 300", out) and out.endswith(b"\r\x1b[KINBOX: made anew from 300 messages\r\n"), out


def test_what_cannot_be_kept_is_removed(shared_suite):
    address = fill(shared_suite, "odd", 1)
    os.symlink("/tmp", os.path.join(folder(shared_suite, address), "hermod.expunged"))
    mark = len(shared_suite.log())
    expunge(shared_suite, address, "1")
    assert status_messages(shared_suite, address) == 0
    shared_suite.wait_log(r"what is expunged cannot be kept in hermod\.expunged, and is removed", after=mark)
    r = shared_suite.hermod("mailbox", "undelete", address, "INBOX", check=False)
    assert r.returncode == 1


def status_messages(suite, address):
    return len(suite.maildir(address).files())


@pytest.mark.settings(expunge_keep="2s")
def test_old_ones_are_removed(suite):
    address = fill(suite, "ages", 2)
    expunge(suite, address, "1")
    assert len(files(suite, address, "", "hermod.expunged")) == 1
    time.sleep(3.2)
    expunge(suite, address, "2")
    assert len(files(suite, address, "", "hermod.expunged")) == 1
    suite.write_conf(expunge_keep="0")
    suite.reload()

    def empty():
        look_at(suite, address)
        return not os.path.exists(os.path.join(folder(suite, address), "hermod.expunged"))
    wait_for(empty, 20 * patience())


def look_at(suite, address):
    with session(suite, address) as c:
        c.ok("SELECT INBOX")
        c.ok("UNSELECT")


@pytest.mark.settings(mailbox_format="mbox")
def test_an_mbox(suite):
    address = suite.add_account("box")
    path = os.path.join(suite.mail, "hermod.test", "box", "mbox")
    for i in range(2):
        suite.send(address, f"Subject: {i}\r\n\r\nText {i}.\r\n")
    wait_for(lambda: os.path.exists(path) and open(path).read().count("Text") == 2, 20 * patience())
    assert [f["folder"] for f in suite.hermod_json("mailbox", "list", address)] == ["INBOX"]
    assert status(suite, address)["messages"] == 2
    assert suite.hermod("mailbox", "rebuild", address).stdout == "INBOX: made anew from 2 messages\n"
    before = snapshot(os.path.dirname(path))
    assert check(suite, address) == (0, "0 faults\n")
    assert snapshot(os.path.dirname(path)) == before
    with open(path, "r+b") as f:
        f.write(b"Xrom")
    assert check(suite, address)[0] == 1
    r = suite.hermod("mailbox", "undelete", address, "INBOX", check=False)
    assert r.returncode == 1 and "mbox" in r.stderr
