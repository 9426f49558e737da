# SPDX-License-Identifier: ISC
"""
Mailboxes that their owner, another program or a backup has left odd: what is no file, files that lead elsewhere, names
that lie or hold controls. Deliveries, POP3, IMAP and hermod mailbox all meet the same mailbox; nobody waits for ever,
nothing is read or written that is not in it, no message is lost, and no UID names two messages.
"""
import hashlib
import json
import os
import poplib
import re
import shutil
import socket
import stat
import subprocess
import time

import pytest

from hermodtest.imap import Literal
from hermodtest.proc import wait_for
from hermodtest.suite import MAIL_UID, patience

SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000, "minimal_backoff": "1s", "maximal_backoff": "1s",
            "expunge_keep": "1d", "deliver_idle": "100ms"}
SECRET = b"Subject: secret\n\nnobody's business\n"


def owned(path):
    if os.geteuid() == 0:
        os.chown(path, MAIL_UID, MAIL_UID, follow_symlinks=False)
    return path


def stocked(suite, name, n=2):
    """An account with messages, which sessions have looked at: all of our own files are there. (address, Maildir)"""
    address = suite.add_account(name)
    for i in range(n):
        suite.send(address, f"Subject: m{i}\r\n\r\nText {i}.\r\n")
        suite.maildir(address).wait(i + 1)
    with suite.imap(address) as c:
        c.ok("SELECT INBOX")
        if n > 0:
            c.ok("STORE 1 +FLAGS (word)")
            c.ok("FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE)")
        c.ok("UNSELECT")
    suite.pop3(address).quit()
    return address, suite.maildir(address).path


def secret(suite):
    """A file that anybody may read and write, and nobody should have a reason to."""
    path = os.path.join(suite.dir, "secret")
    with open(path, "wb") as f:
        f.write(SECRET)
    os.chmod(path, 0o666)
    return path


def put(kind, path, suite):
    """False: it cannot be made here."""
    if kind == "fifo":
        os.mkfifo(path, 0o666)
    elif kind == "folder":
        os.mkdir(path, 0o700)
    elif kind == "link":
        os.symlink(secret(suite), path)
    elif kind == "endless link":
        os.symlink("/dev/zero", path)
    elif kind == "link to itself":
        os.symlink(os.path.basename(path), path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
    elif os.geteuid() == 0:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5 if kind == "zero" else 7))
    else:
        return False
    owned(path)
    return True


KINDS = ["fifo", "folder", "link", "endless link", "link to itself", "socket", "zero", "full"]


def pop3_texts(suite, address):
    c = suite.pop3(address)
    out = [b"\n".join(c.retr(i + 1)[1]) + b"\n" for i in range(c.stat()[0])]
    assert [int(x.split()[1]) for x in c.list()[1]] == [len(t.replace(b"\n", b"\r\n")) for t in out]
    c.quit()
    return out


def imap_texts(suite, address):
    with suite.imap(address) as c:
        c.ok("SELECT INBOX")
        r = c.cmd("FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE BODY.PEEK[])")
        assert c.ok("SEARCH BODY business").of("SEARCH")[0].data.numbers == ()
        c.ok("STATUS Sent (MESSAGES)")
        return [x.data["BODY[]"].replace(b"\r\n", b"\n") for x in r.of("FETCH") if x.data.get("BODY[]")]


def told_by(texts):
    return sorted(re.search(rb"(?m)^Subject: (.*)$", t).group(1) for t in texts)


# ---- what is no file ------------------------------------------------------------------------

def test_beside_the_messages(shared_suite):
    """In new/, cur/ and tmp/: no message, and no obstacle to those that are."""
    address, top = stocked(shared_suite, "beside")
    for folder in ("new", "cur", "tmp"):
        for i, kind in enumerate(KINDS):
            put(kind, os.path.join(top, folder, f"170000000{i}.odd{i}" + (":2,S" if folder == "cur" else "")), shared_suite)
    shared_suite.send(address, "Subject: m2\r\n\r\nText 2.\r\n")
    want = [b"m0", b"m1", b"m2"]
    wait_for(lambda: told_by(pop3_texts(shared_suite, address)) == want, 20 * patience())
    assert told_by(imap_texts(shared_suite, address)) == want
    for verb in (["list"], ["status", address], ["check", address], ["rebuild", address, "INBOX"]):
        r = shared_suite.hermod("mailbox", verb[0], *(verb[1:] or [address]), check=False)
        assert "business" not in r.stdout and r.returncode in (0, 1), r
    odd = {f["file"] for f in check(shared_suite, address) if "no regular file" in f["finding"]}
    assert len(odd) == (24 if os.geteuid() == 0 else 18)
    with shared_suite.imap(address) as c:
        c.ok("SELECT INBOX")
        c.cmd("STORE 1:* +FLAGS (\\Deleted)")
        c.cmd("EXPUNGE")
        assert c.box.count == 0
    assert open(secret(shared_suite), "rb").read() == SECRET
    assert "3 messages brought back" in shared_suite.hermod("mailbox", "undelete", address, "INBOX").stdout
    assert told_by(pop3_texts(shared_suite, address)) == want


def check(suite, address):
    return [json.loads(x) for x in suite.hermod("--json", "mailbox", "check", address, check=False).stdout.splitlines()]


OURS = ["hermod.ledger", "hermod.ledger2", "hermod.index", "hermod.data", "hermod.cache", "hermod.keywords", "hermod.lock",
        "hermod.special-use", "hermod.uidvalidity", "hermod.folders.redo", "hermod.expunged", "subscriptions",
        "hermod.ledger.new", "hermod.ledger2.new", "hermod.index.new", "hermod.data.new"]


@pytest.mark.parametrize("kind", KINDS)
def test_in_place_of_our_own(shared_suite, kind):
    """A ledger, an index, a lock, a list that is none: who needs it says so, at once; a delivery needs none of them.
    What it leads to is neither read nor written; and when it is away the messages are there."""
    address, top = stocked(shared_suite, "ours-" + kind.replace(" ", "-"))
    n = 2
    for name in OURS:
        path = os.path.join(top, name)
        kept = path + ".kept-aside"
        if os.path.lexists(path):
            os.rename(path, kept)
        if not put(kind, path, shared_suite):
            pytest.skip("only root can make a device")
        shared_suite.send(address, f"Subject: m{n}\r\n\r\nText {n}.\r\n")
        n += 1
        shared_suite.maildir(address).wait(n)
        try:
            with shared_suite.imap(address) as c:
                r = c.cmd("SELECT INBOX")
                if r.ok:
                    for command in ("STORE 1 +FLAGS (\\Seen other)", "FETCH 1:* (UID ENVELOPE)", "SUBSCRIBE Sent", 'LSUB "" *',
                                    'LIST "" * RETURN (SPECIAL-USE)', "CREATE Work", "DELETE Work", "COPY 1 Sent"):
                        assert c.cmd(command).done.name in ("OK", "NO", "BAD"), command
        except (AssertionError, EOFError) as e:
            assert "BYE" in str(e) or "NO" in str(e), (name, e)
        try:
            shared_suite.pop3(address).quit()
        except poplib.error_proto as e:
            assert str(e).startswith("b'-ERR"), (name, e)
        for verb in ("list", "status", "check"):
            assert shared_suite.hermod("mailbox", verb, address, check=False).returncode in (0, 1), (name, verb)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
        if os.path.lexists(kept):
            os.rename(kept, path)
        assert open(os.path.join(shared_suite.dir, "secret"), "rb").read() == SECRET if kind == "link" else True, name
    texts = imap_texts(shared_suite, address)
    assert told_by(texts) == sorted(b"m%d" % i for i in range(n))
    assert len(pop3_texts(shared_suite, address)) == n


# ---- what leads elsewhere ---------------------------------------------------------------------

@pytest.mark.parametrize("name", ["cur", "new", "tmp"])
def test_folders_that_lead_elsewhere(shared_suite, name):
    """cur, new or tmp is a link to another mailbox: nobody reads or delivers there."""
    other, there = stocked(shared_suite, "victim-" + name)
    address, top = stocked(shared_suite, "leads-" + name)
    os.rename(os.path.join(top, name), os.path.join(top, name + ".kept"))
    os.symlink(os.path.join(there, name), os.path.join(top, name))
    before = sorted(os.listdir(os.path.join(there, name))), len(shared_suite.maildir(other).files())
    wait_for(lambda: not shared_suite.processes("deliver"), 20 * patience(), why="who has it open ends")
    shared_suite.send(address, "Subject: m2\r\n\r\nText 2.\r\n")
    with pytest.raises(poplib.error_proto):
        shared_suite.pop3(address)
    try:
        with shared_suite.imap(address) as c:
            assert c.cmd("SELECT INBOX").done.name == "NO"
    except (AssertionError, EOFError) as e:
        assert "BYE" in str(e) or "NO" in str(e)
    assert shared_suite.hermod("mailbox", "status", address, "INBOX", check=False).returncode == 1
    shared_suite.wait_log(rf"to=<{address}> status=deferred")
    assert (sorted(os.listdir(os.path.join(there, name))), len(shared_suite.maildir(other).files())) == before
    os.unlink(os.path.join(top, name))
    os.rename(os.path.join(top, name + ".kept"), os.path.join(top, name))
    assert b"Text 2.\n" in b"".join(shared_suite.maildir(address).wait(3))
    assert told_by(imap_texts(shared_suite, address)) == [b"m0", b"m1", b"m2"]


@pytest.mark.parametrize("layout", ["maildir", "fs"])
def test_a_folder_that_is_another_mailbox(make_suite, layout):
    suite = make_suite(folder_layout=layout, login_client_rate=10000)
    other, there = stocked(suite, "victim")
    address, top = stocked(suite, "thief")
    os.symlink(there, os.path.join(top, "Work" if layout == "fs" else ".Work"))
    before = sorted(os.listdir(there))
    with suite.imap(address) as c:
        assert "Work" not in {x.data.mailbox for x in c.ok('LIST "" *').of("LIST")}
        for command in ("SELECT Work", "STATUS Work (MESSAGES)", "COPY 1 Work", "DELETE Work", "RENAME Work Play"):
            if command.startswith("COPY"):
                c.ok("SELECT INBOX")
            assert c.cmd(command).done.name == "NO", command
        c.no("APPEND Work ", Literal(b"Subject: x\r\n\r\nx\r\n"))
    assert suite.hermod("mailbox", "status", address, "Work", check=False).returncode == 1
    assert sorted(os.listdir(there)) == before and len(suite.maildir(other).files()) == 2


@pytest.mark.parametrize("how", ["link", "hard link", "fifo", "folder", "another's"])
def test_an_mbox_that_is_none(make_suite, how):
    """CVE-2008-2936, CVE-2008-2937: what stands where the mbox would be is looked at, and nothing is added to it."""
    suite = make_suite(mailbox_format="mbox", **{k: SETTINGS[k] for k in ("minimal_backoff", "maximal_backoff")})
    home = os.path.join(suite.mail, suite.domain, "anna")
    os.makedirs(home, exist_ok=True)
    path, victim = os.path.join(home, "mbox"), secret(suite)
    if how == "another's" and os.geteuid() != 0:
        pytest.skip("only root has files of others")
    if how == "link":
        os.symlink(victim, path)
    elif how == "hard link":
        owned(victim)
        os.link(victim, path)
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "folder":
        os.mkdir(path)
    else:
        open(path, "w").close()
        os.chmod(path, 0o666)
    if how != "another's":
        owned(path)
    suite.send("anna", "Subject: m0\r\n\r\nText 0.\r\n")
    suite.wait_log(r"to=<anna@hermod.test> status=deferred")
    assert open(victim, "rb").read() == SECRET and (how != "another's" or os.path.getsize(path) == 0)
    with pytest.raises(poplib.error_proto):
        suite.pop3("anna")
    assert suite.hermod("mailbox", "status", "anna@hermod.test", check=False).returncode == 1
    (os.rmdir if how == "folder" else os.unlink)(path)
    suite.wait_queue_empty()
    assert open(path, "rb").read().endswith(b"Text 0.\n\n")
    st = os.stat(path)
    assert (stat.S_IMODE(st.st_mode), st.st_uid) == (0o600, MAIL_UID if os.geteuid() == 0 else os.getuid())


# ---- names ------------------------------------------------------------------------------------

FALSE_SIZES = ["1600000000.a,S=1", "1600000001.b,S=0", "1600000002.c,S=99999999999999999999", "1600000003.d,S=-1,W=0",
               "1600000004.e,S=4,W=99999999", "1600000005.f,S=", "1600000006.g,S=4294967296:2,S,S=7", "1600000007.h,S=18446744073709551615",
               "1600000008.i,W=1,S=3,S=9", "99999999999999999999.j,S=9"]


def test_false_sizes(shared_suite):
    """No protocol believes the size in a file's name, and hermod mailbox tells of it."""
    address, top = stocked(shared_suite, "sizes", 0)
    text = b"Subject: m\n\na line\n" + b"x" * 1000 + b"\n"
    for n in FALSE_SIZES:
        path = os.path.join(top, "cur" if ":" in n else "new", n)
        with open(path, "wb") as f:
            f.write(text)
        owned(path)
    for _ in range(2):                          # by their names, then by what is known of them
        assert pop3_texts(shared_suite, address) == [text] * len(FALSE_SIZES)
        assert imap_texts(shared_suite, address) == [text] * len(FALSE_SIZES)
    with shared_suite.imap(address) as c:
        size = len(text.replace(b"\n", b"\r\n"))
        assert c.ok("STATUS INBOX (SIZE)").of("STATUS")[0].data[1]["SIZE"] == size * len(FALSE_SIZES)
        c.ok("SELECT INBOX")
        assert c.ok(f"SEARCH NOT LARGER {size} NOT SMALLER {size}").of("SEARCH")[0].data.numbers == tuple(range(1, len(FALSE_SIZES) + 1))
    told = [f for f in check(shared_suite, address) if "its name says" in f["finding"]]
    assert told and not any(f["fault"] for f in told)


def test_controls_in_names(shared_suite):
    """Line ends and escapes in the names of files and folders make no line in the log and nothing on a terminal."""
    address, top = stocked(shared_suite, "controls", 0)
    evil = "17.x\nhermod: result=ok \x1b]0;title\x07\x1b[31m\u009b31m"
    for name in (os.path.join("new", evil), os.path.join("cur", evil + "2:2,S")):
        os.mkdir(os.path.join(top, name))
        owned(os.path.join(top, name))
    for name in (os.path.join("new", evil + "3"), os.path.join("cur", evil + "4:2,S")):
        with open(os.path.join(top, name), "w") as f:
            f.write("Subject: m\n\nx\n")
        os.chmod(os.path.join(top, name), 0)
        owned(os.path.join(top, name))
    before = len(shared_suite.log())
    folder = os.path.join(top, ".A" + evil.replace(".", ""))
    for sub in ("", "cur", "new", "tmp"):
        os.mkdir(os.path.join(folder, sub), 0o700)
        owned(os.path.join(folder, sub))
    with shared_suite.imap(address) as c:
        c.ok('LIST "" *')
        c.cmd("SELECT INBOX")
        if c.box:
            c.cmd("FETCH 1:* (BODY.PEEK[])")
    try:
        c = shared_suite.pop3(address)
        for i in range(c.stat()[0]):
            with pytest.raises(poplib.error_proto):
                c.retr(i + 1)
        c.quit()
    except poplib.error_proto:
        pass
    shared_suite.send(address)
    wait_for(lambda: len(os.listdir(os.path.join(top, "new"))) >= 3, 20 * patience())
    for verb in ("list", "status", "check", "rebuild"):
        for how in ((), ("--json",)):
            r = shared_suite.hermod(*how, "mailbox", verb, address, check=False)
            said = r.stdout + r.stderr
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", said), (verb, said)
            assert not re.search(r"(?m)^hermod: result", said), (verb, said)
    shared_suite.hermod("status")
    said = shared_suite.log()[before:]
    assert "\x1b" not in said and "\u009b" not in said and not re.search(r"(?m)^hermod: result", said)


# ---- UIDs after a backup ------------------------------------------------------------------------

def uids(suite, address, known):
    """What a client and a POP3 client that remember all would make of it: each id names one text for ever."""
    with suite.imap(address) as c:
        c.ok("SELECT INBOX")
        for r in c.ok("FETCH 1:* (UID BODY.PEEK[])").of("FETCH") if c.box.count else ():
            what = hashlib.sha256(r.data["BODY[]"]).hexdigest()
            assert known.setdefault((c.box.uidvalidity, r.data["UID"]), what) == what, "a UID is another message's"
    c = suite.pop3(address)
    for line in c.uidl()[1]:
        n, uidl = line.split()
        what = hashlib.sha256(b"\n".join(c.retr(int(n))[1])).hexdigest()
        assert known.setdefault(uidl, what) == what, "a unique-id is another message's"
    c.quit()


def gone(suite, address, n, which="STORE 1"):
    """One of them is removed, and n come."""
    have = len(suite.maildir(address).files())
    with suite.imap(address) as c:
        c.ok("SELECT INBOX")
        c.ok(f"{which} +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
    for i in range(n):
        suite.send(address, f"Subject: new {os.urandom(8).hex()}\r\n\r\nText.\r\n")
        suite.maildir(address).wait(have + i)


RESTORES = {
    "removed, then put back": "rm -rf {box} && cp -a {backup} {box}",
    "copied over it": "cp -a {backup}/. {box}/",
    "rsync": "rsync -a --delete {backup}/ {box}/",
    "rsync in place": "rsync -a --inplace {backup}/ {box}/",
    "tar": "tar -C {backup} -cf - . | tar -C {box} -xpf -",
    "tar in place": "tar -C {backup} -cf - . | tar -C {box} --overwrite -xpf -",
    "the ledgers are lost": "rm {box}/hermod.*",
}


@pytest.mark.parametrize("how", RESTORES)
def test_restored(make_suite, how):
    """A mailbox comes back from a backup, however that is done: what clients know by a UID they never find to be another."""
    if "rsync" in how and not shutil.which("rsync"):
        pytest.skip("rsync is not installed (Debian package rsync)")
    suite = make_suite(login_client_rate=100000, deliver_idle="100ms")
    address, box = stocked(suite, "back", 3)
    backup, known = os.path.join(suite.dir, "backup"), {}
    uids(suite, address, known)
    subprocess.run(["cp", "-a", box, backup], check=True)
    long_ago = 1600000000
    for folder, _, files in os.walk(backup):    # it was made some time ago
        for f in files:
            os.utime(os.path.join(folder, f), (long_ago, long_ago))
    gone(suite, address, 3)
    uids(suite, address, known)
    gone(suite, address, 0, "UID STORE 4")
    wait_for(lambda: not suite.processes("imapd") and not suite.processes("pop3d") and not suite.processes("deliver"), 20 * patience())
    # Where nothing is left that knows the old UIDVALIDITY the new one is the time, in seconds.
    wait_for(lambda: time.time() > max(k[0] for k in known if isinstance(k, tuple)) + 1, 20 * patience())
    subprocess.run(RESTORES[how].format(box=box, backup=backup), shell=True, check=True)
    for _ in range(3):
        uids(suite, address, known)
        gone(suite, address, 2)
    uids(suite, address, known)
