# SPDX-License-Identifier: ISC
"""Real IMAP clients, each at its real job, alone, two at a time, and while others work in the same Maildir: a filter that
delivers, a hand with mv and rm. Nothing is lost, nothing comes twice, and a second run has nothing to do."""
import imaplib
import os
import pathlib
import random
import re
import shutil
import subprocess
import threading
import time

from hermodtest.client import BODY, NOBODY, Screen, body_of, clean_environment, mail, need, run, write
from hermodtest.proc import wait_for
from hermodtest.suite import MAIL_UID, PASSWORD, patience

SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000, "smtpd_client_rate": 100000,
            "smtpd_client_sessions": 1000}
SECONDS = 1.5			# that others work while a client does


# ---- what is in a mailbox -------------------------------------------------------------------------


def folder(suite, address, name="INBOX"):
    path = pathlib.Path(suite.maildir(address).path)
    return path if name == "INBOX" else path / ("." + name.replace("/", "."))


def mark_of(message):
    return re.search(rb"(?m)^Subject: (.*?)\r?$", message).group(1).decode()


def files(path):
    """{mark: flags}. A file that is moved meanwhile is looked for again."""
    for _ in range(1000):
        out, there = {}, {}
        try:
            for sub in ("new", "cur"):
                for f in (path / sub).iterdir():
                    mark = mark_of(f.read_bytes())
                    if mark in out:
                        there[mark].stat()      # it has not moved since it was seen
                        raise AssertionError(f"{mark} is there twice in {path}")
                    out[mark], there[mark] = "".join(sorted(f.name.partition(":2,")[2])), f
            return out
        except FileNotFoundError:
            pass
    raise AssertionError(f"{path} does not come to rest")


def marks(path):
    return sorted(files(path))


def drop(path, mark, owner=MAIL_UID):
    """A delivery as procmail does it: into tmp/, then into new/ by rename."""
    name = f"{int(time.time())}.{os.getpid()}_{mark}.filter"
    f = path / "tmp" / name
    f.write_bytes(mail(mark))
    if os.geteuid() == 0 and owner is not None:
        os.chown(f, owner, owner)
    f.rename(path / "new" / name)


def filled(suite, user, n=3):
    """An account with the messages user-0 and on; its INBOX."""
    address = suite.add_account(user)
    for i in range(n):
        suite.send(address, mail(f"{user}-{i}").replace(b"\n", b"\r\n"))
        suite.maildir(address).wait(i + 1)		# in this order
    return address, folder(suite, address)


def becomes(path, want):
    """The mailbox has these messages soon."""
    wait_for(lambda: marks(path) == sorted(want), 10 * patience(), why=lambda: f"{files(path)} instead of {want}")


class Others(threading.Thread):
    """While it lasts, a filter delivers a message each few milliseconds, and a hand moves some of them about: every
    fifth is removed, others go from new/ to cur/ or get a flag. What a client does to a file first is what counts."""

    def __init__(self, path, prefix="by-others", pause=0.01, hand=True):
        super().__init__()
        self.path, self.prefix, self.pause, self.hand = path, prefix, pause, hand
        self.delivered, self.removed, self.failure = [], set(), None
        self.over = threading.Event()

    def run(self):
        try:
            self.work()
        except Exception as e:
            self.failure = e

    def work(self):
        hand = random.Random(1)
        while not self.over.wait(self.pause):
            n = len(self.delivered)
            self.delivered.append(f"{self.prefix}-{n}")
            drop(self.path, self.delivered[-1])
            if self.hand and hand.random() < 0.7:
                self.touch(hand.randrange(n + 1))

    def touch(self, n):
        mark = self.delivered[n]
        for f in [f for sub in ("new", "cur") for f in (self.path / sub).iterdir()]:
            if f"_{mark}.filter" not in f.name:
                continue
            base, _, flags = f.name.partition(":2,")
            try:
                if n % 5 == 0:
                    f.unlink()
                    self.removed.add(mark)
                elif n % 5 < 3:
                    os.rename(f, self.path / "cur" / f"{base}:2,{''.join(sorted(set(flags) | set('FS'[n % 5 - 1])))}")
            except FileNotFoundError:
                pass		# somebody was faster
            return

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *a):
        self.over.set()
        self.join()
        assert self.failure is None, self.failure

    def left(self):
        return [m for m in self.delivered if m not in self.removed]


def meanwhile(path, work, pause=0.01):
    """Does work() again and again while others do theirs; what they did."""
    with Others(path, pause=pause) as others:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            work()
    assert len(others.delivered) > 10
    return others


def owner_of(suite, user, n=3):
    """filled(), and a client that others' work is looked at with."""
    address, inbox = filled(suite, user, n)
    return address, inbox, imap(suite, address)


def imap(suite, address, select="INBOX"):
    c = imaplib.IMAP4("127.0.0.1", suite.imap_port, timeout=30 * patience())
    c.login(address, PASSWORD)
    if select:
        assert c.select(select)[0] == "OK"
    return c


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def test_others_are_told_of_behind_a_fetch(shared_suite):
    """What else there is to tell comes after what was asked for: curl takes the first response of a FETCH for the answer."""
    address, inbox = filled(shared_suite, "behind", 2)
    with shared_suite.imap(address) as a, shared_suite.imap(address) as b:
        for c in (a, b):
            c.cmd("SELECT INBOX")
        for n, command in enumerate(("UID FETCH 2 (FLAGS)", "FETCH 2 (FLAGS)", "UID FETCH 2 (BODY[])")):
            drop(inbox, f"behind-new-{n}")
            assert b.cmd(f"STORE 1 +FLAGS (k{n})").ok
            got = a.cmd(command)
            assert got.ok
            assert (got.untagged[0].name, got.untagged[0].number) == ("FETCH", 2), got.untagged
            assert {r.name for r in got.untagged[1:]} >= {"EXISTS", "FETCH"}, got.untagged
        a.cmd("LOGOUT")
        b.cmd("LOGOUT")


def test_what_idle_told_of_can_be_fetched(shared_suite):
    """Memory that was given back while it idled is no loss."""
    address, inbox = filled(shared_suite, "idled", 1)
    with shared_suite.imap(address) as c:
        c.cmd("SELECT INBOX")
        for n in range(2, 4):
            idle = c.start("IDLE")
            drop(inbox, f"idled-{n}")
            wait_for(lambda: c.read().name == "EXISTS" and c.box.count == n, 20 * patience())
            c.raw(b"DONE\r\n")
            assert c.finish(idle).ok
            got = c.cmd(f"FETCH {n} RFC822.SIZE")
            assert got.ok and [r.number for r in got.of("FETCH")] == [n], got.done
        c.cmd("LOGOUT")


def test_a_uid_that_is_gone_is_no_error(shared_suite):
    """RFC 3501 section 6.4.8, also when that is found out while the command runs."""
    address, inbox = filled(shared_suite, "gone", 2)
    with shared_suite.imap(address) as c:
        c.cmd("SELECT INBOX")
        next(f for sub in ("new", "cur") for f in (inbox / sub).iterdir() if mark_of(f.read_bytes()) == "gone-0").unlink()
        got = c.cmd("UID FETCH 1:2 (BODY.PEEK[])")
        assert got.ok and [r.number for r in got.of("FETCH")] == [2] and [r.number for r in got.of("EXPUNGE")] == [1]
        c.cmd("LOGOUT")


def test_two_move_the_same(shared_suite):
    """A message that two sessions move at once is in one place in the end: RFC 6851 section 3.3."""
    n = 120
    address, inbox = filled(shared_suite, "moved", 1)
    for i in range(1, n):
        drop(inbox, f"moved-{i}")
    barrier = threading.Barrier(2)

    def work(c, to):
        for uid in range(1, n + 1):
            barrier.wait(20 * patience())
            answers.append(c.uid("MOVE", str(uid), to)[0])
    answers, sessions = [], [imap(shared_suite, address) for _ in range(2)]
    threads = [threading.Thread(target=work, args=x) for x in zip(sessions, ("Archive", "Trash"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for c in sessions:
        c.logout()
    there = [m for name in ("INBOX", "Archive", "Trash") for m in marks(folder(shared_suite, address, name))]
    assert sorted(there) == sorted(f"moved-{i}" for i in range(n)) and not marks(inbox)
    assert len(answers) == 2 * n


# ---- curl ---------------------------------------------------------------------------------------


def curl(suite, home, address, where, *args, **how):
    return run(home, "curl", "-sS", "--user", f"{address}:{PASSWORD}", f"imap://127.0.0.1:{suite.imap_port}/{where}", *args, **how)


def to_send(home, mark):
    (home / "message").write_bytes(mail(mark).replace(b"\n", b"\r\n"))
    return home / "message"


def test_curl(shared_suite, home):
    need(("curl", "curl"))
    address, inbox = filled(shared_suite, "curl")
    listed = re.findall(rb'\* LIST \(.*\) "/" "?([^"\r]*)', curl(shared_suite, home, address, ""))
    assert {b"INBOX", b"Sent", b"Trash"} <= set(listed)
    for i in range(3):
        got = curl(shared_suite, home, address, f"INBOX;UID={i + 1}").replace(b"\r\n", b"\n")
        assert got in [m for m in shared_suite.maildir(address).messages()]
        assert mark_of(got) == f"curl-{i}" and body_of(got) == BODY
    assert body_of(curl(shared_suite, home, address, "INBOX;MAILINDEX=2")) == BODY
    assert curl(shared_suite, home, address, "INBOX;UID=1;SECTION=TEXT").replace(b"\r\n", b"\n") == BODY
    assert curl(shared_suite, home, address, "INBOX?SUBJECT%20curl-1") == b"* SEARCH 2\r\n"
    assert curl(shared_suite, home, address, "INBOX?TEXT%20nothing-of-that") == b"* SEARCH\r\n"
    curl(shared_suite, home, address, "INBOX;UID=9", check=78)
    curl(shared_suite, home, address, "nowhere;UID=1", check=67)
    curl(shared_suite, home, address, "Sent", "-T", to_send(home, "curl-put"))
    becomes(folder(shared_suite, address, "Sent"), ["curl-put"])
    assert body_of(curl(shared_suite, home, address, "Sent;UID=1")) == BODY
    curl(shared_suite, home, address, "INBOX", "-X", "STORE 2 +FLAGS \\Deleted")
    curl(shared_suite, home, address, "INBOX", "-X", "EXPUNGE")
    becomes(inbox, ["curl-0", "curl-2"])
    run(home, "curl", "-sS", "--user", f"{address}:wrong", f"imap://127.0.0.1:{shared_suite.imap_port}/", check=67)


def test_curl_meanwhile(shared_suite, home):
    need(("curl", "curl"))
    address, inbox = filled(shared_suite, "curlother")
    curl(shared_suite, home, address, "INBOX;UID=1")		# gives UIDs before others deliver
    n = 0

    def work():
        nonlocal n
        n += 1
        curl(shared_suite, home, address, "INBOX", "-T", to_send(home, f"put-{n}"))
        assert mark_of(curl(shared_suite, home, address, "INBOX;UID=2")) == "curlother-1"
    others = meanwhile(inbox, work)
    becomes(inbox, [f"curlother-{i}" for i in range(3)] + others.left() + [f"put-{i + 1}" for i in range(n)])


# ---- imaplib ------------------------------------------------------------------------------------


def test_imaplib(shared_suite):
    address, inbox, c = owner_of(shared_suite, "imaplib")
    assert ok(c.search(None, "SUBJECT", "imaplib-1")) == [b"2"]
    assert ok(c.search("UTF-8", "TEXT", '"Gr\u00fc\u00dfe"'.encode())) == [b"1 2 3"]
    got = ok(c.fetch("1", "(UID FLAGS BODY.PEEK[])"))[0]
    assert body_of(got[1]) == BODY and b"\\Seen" not in got[0]
    ok(c.fetch("1", "(RFC822)"))
    assert b"\\Seen" in ok(c.fetch("1", "(FLAGS)"))[0]
    ok(c.store("1", "+FLAGS", "(\\Flagged work)"))
    ok(c.uid("COPY", "1:2", "Archive"))
    assert files(folder(shared_suite, address, "Archive"))["imaplib-0"].startswith("FS")
    ok(c.uid("MOVE", "2", "Trash"))
    becomes(inbox, ["imaplib-0", "imaplib-2"])
    ok(c.append("INBOX", "(\\Draft)", imaplib.Time2Internaldate(1e9), mail("imaplib-put").replace(b"\n", b"\r\n")))
    ok(c.store("3", "+FLAGS", "\\Deleted"))
    assert ok(c.expunge())[-1] == b"3"
    assert c.status("Trash", "(MESSAGES UIDNEXT)") == ("OK", [b'"Trash" (MESSAGES 1 UIDNEXT 2)'])
    ok(c.close())
    c.logout()


def test_imaplib_meanwhile(shared_suite):
    address, inbox, c = owner_of(shared_suite, "imapother")
    moved = []

    def work():
        ok(c.noop())
        uids = ok(c.uid("SEARCH", "NOT", "SEEN"))[0].split()[:3]
        if uids:
            ok(c.uid("FETCH", b",".join(uids).decode(), "(FLAGS BODY.PEEK[HEADER])"))
            c.uid("MOVE", uids[-1].decode(), "Archive")
    others = meanwhile(inbox, work)
    ok(c.noop())
    archive = marks(folder(shared_suite, address, "Archive"))
    assert not set(archive) & set(marks(inbox))
    wanted = [f"imapother-{i}" for i in range(3)] + others.left()
    # One that is removed after it was opened to be moved is moved whole.
    assert set(wanted) <= set(archive) | set(marks(inbox)) <= set(wanted) | others.removed, moved
    by_name = {mark_of(x[1]): x[0] for x in ok(c.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER])"))
               if isinstance(x, tuple)}          # by UID: there may be none left
    assert set(by_name) == set(marks(inbox))
    for mark, flags in files(inbox).items():
        assert (b"\\Flagged" in by_name[mark]) == ("F" in flags), mark
    c.logout()


# ---- fetchmail -------------------------------------------------------------------------------------


def fetchmail(home, suite, address, more, check=0, options=()):
    """Its command, and a function that says what it has fetched."""
    rc = write(home / "fetchmailrc", f'set no bouncemail\npoll 127.0.0.1 protocol imap port {suite.imap_port}\n'
               f'  user "{address}" password "{PASSWORD}" sslproto "" {more} mda "cat >>{home}/mbox; echo END-OF-ONE >>{home}/mbox"\n')
    return ["fetchmail", "-f", rc, "-i", home / "ids", "--pidfile", home / "pid", "--nosyslog"]


def mda_got(home):
    try:
        return (home / "mbox").read_bytes().split(b"END-OF-ONE\n")[:-1]
    except FileNotFoundError:
        return []


def test_fetchmail(shared_suite, home):
    need(("fetchmail", "fetchmail"))
    address, inbox = filled(shared_suite, "fetchmail")
    run(home, *fetchmail(home, shared_suite, address, "keep"))
    assert [mark_of(g) for g in mda_got(home)] == [f"fetchmail-{i}" for i in range(3)]
    assert all(body_of(g) == BODY for g in mda_got(home))
    assert set(files(inbox).values()) == {"S"}
    run(home, *fetchmail(home, shared_suite, address, "keep"), check=1)		# seen, all of them
    drop(inbox, "fetchmail-new")
    run(home, *fetchmail(home, shared_suite, address, "keep"))
    assert len(mda_got(home)) == 4 and len(marks(inbox)) == 4
    run(home, *fetchmail(home, shared_suite, address, "nokeep fetchall"))
    becomes(inbox, [])
    assert len(mda_got(home)) == 8


def test_fetchmail_idles(shared_suite, home):
    """What a filter delivers is fetched at once, and deleted, while that goes on."""
    need(("fetchmail", "fetchmail"))
    address, inbox = filled(shared_suite, "fetchidle", 1)
    command = fetchmail(home, shared_suite, address, "nokeep fetchall idle folder INBOX")
    with subprocess.Popen([str(x) for x in command + ["--nodetach", "-v"]], env=clean_environment(home), cwd=home,
                          stdout=open(home / "out", "wb"), stderr=subprocess.STDOUT) as p:
        try:
            wait_for(lambda: len(mda_got(home)) == 1, 20 * patience(), why=lambda: (home / "out").read_text())
            wait_for(lambda: "IDLE" in (home / "out").read_text(), 20 * patience(), why=lambda: (home / "out").read_text())
            shared_suite.send(address, mail("fetchidle-1").replace(b"\n", b"\r\n"))
            wait_for(lambda: len(mda_got(home)) == 2, 20 * patience(), why=lambda: (home / "out").read_text())
            with Others(inbox, pause=0.05, hand=False) as others:	# it ends when somebody else removes a message
                time.sleep(SECONDS)
            wait_for(lambda: not marks(inbox), 20 * patience(), why=lambda: f"{files(inbox)}\n" + (home / "out").read_text())
        finally:
            p.terminate()
            p.wait(timeout=20 * patience())
    got = [mark_of(g) for g in mda_got(home)]
    assert len(got) == len(set(got)), got
    assert set(others.left()) <= set(got)


def test_fetchmail_meanwhile(shared_suite, home):
    need(("fetchmail", "fetchmail"))
    address, inbox = filled(shared_suite, "fetchother")
    others = meanwhile(inbox, lambda: run(home, *fetchmail(home, shared_suite, address, "nokeep fetchall"), check=None))
    run(home, *fetchmail(home, shared_suite, address, "nokeep fetchall"), check=None)
    becomes(inbox, [])
    got = [mark_of(g) for g in mda_got(home)]
    assert len(got) == len(set(got)), got
    assert set(others.left()) | {f"fetchother-{i}" for i in range(3)} <= set(got)
    assert all(body_of(g) == BODY for g in mda_got(home))


# ---- getmail -----------------------------------------------------------------------------------------


class Getmail:
    """It may miss the end of the child that delivers, gives up after its timeout, and gets that message again (getmail6
    6.18): failed counts the runs that did not end well."""

    def __init__(self, suite, anyones_home, address):
        self.suite, self.address, self.failed = suite, address, 0
        self.home, self.become = anyones_home
        for sub in ("Maildir/new", "Maildir/cur", "Maildir/tmp", "getmail"):
            os.makedirs(self.home / sub)

    def __call__(self, delete):
        rc = write(self.home / "getmail" / "getmailrc",
                   f"[retriever]\ntype = SimpleIMAPRetriever\nserver = 127.0.0.1\nport = {self.suite.imap_port}\n"
                   f"username = {self.address}\npassword = {PASSWORD}\nmailboxes = ('INBOX',)\ntimeout = {5 * patience()}\n"
                   f"[destination]\ntype = Maildir\npath = {self.home}/Maildir/\n[options]\nread_all = false\ndelete = {delete}\n"
                   "delivered_to = false\nreceived = false\n")
        if self.become:
            for top, folders, names in os.walk(self.home):
                for x in [top] + [os.path.join(top, f) for f in folders + names]:
                    os.chown(x, NOBODY, NOBODY)
        try:
            run(self.home, *self.become, "getmail", "--getmaildir", self.home / "getmail", "--rcfile", rc, "-q")
        except AssertionError:
            self.failed += 1
        return [f.read_bytes() for f in (self.home / "Maildir" / "new").iterdir()]


def test_getmail(shared_suite, anyones_home):
    need(("getmail", "getmail6"))
    address, inbox = filled(shared_suite, "getmail")
    fetch = Getmail(shared_suite, anyones_home, address)
    got = fetch("false")
    assert sorted(mark_of(g) for g in got) == [f"getmail-{i}" for i in range(3)] and {body_of(g) for g in got} == {BODY}
    assert len(fetch("false")) == 3 and len(marks(inbox)) == 3
    drop(inbox, "getmail-3")
    assert len(fetch("true")) == 4
    becomes(inbox, [])
    assert fetch.failed == 0


def test_getmail_meanwhile(shared_suite, anyones_home):
    need(("getmail", "getmail6"))
    address, inbox = filled(shared_suite, "getother")
    fetch = Getmail(shared_suite, anyones_home, address)
    others = meanwhile(inbox, lambda: fetch("true"), pause=0.05)
    wait_for(lambda: fetch("true") and not marks(inbox), 20 * patience())
    got = [mark_of(g) for g in fetch("true")]
    assert fetch.failed or len(got) == len(set(got)), got
    assert set(others.left()) | {f"getother-{i}" for i in range(3)} <= set(got)


# ---- imapfilter -----------------------------------------------------------------------------------------


def imapfilter(suite, home, address, rule, check=0):
    write(home / "config.lua", f"options.starttls = false\noptions.timeout = 30\n"
          f"account = IMAP {{ server = '127.0.0.1', port = {suite.imap_port}, username = '{address}', password = '{PASSWORD}' }}\n"
          + rule)
    return run(home, "imapfilter", "-c", home / "config.lua", check=check)


MOVE = "found = account.INBOX:contain_subject('by-others')\nfound:move_messages(account['Archive'])\n"


def test_imapfilter(shared_suite, home):
    need(("imapfilter", "imapfilter"))
    address, inbox = filled(shared_suite, "filter")
    drop(inbox, "by-others-1")
    out = imapfilter(shared_suite, home, address, MOVE + "boxes = account:list_all()\nfor _, b in ipairs(boxes) do print(b) end\n"
                     "account.INBOX:contain_subject('filter-1'):mark_flagged()\n"
                     "account.INBOX:contain_subject('filter-2'):delete_messages()\n")
    assert b"Trash" in out.split()
    assert marks(folder(shared_suite, address, "Archive")) == ["by-others-1"]
    assert files(inbox)["filter-1"] == "F" and marks(inbox) == ["filter-0", "filter-1"]


def test_imapfilter_meanwhile(shared_suite, home):
    need(("imapfilter", "imapfilter"))
    address, inbox = filled(shared_suite, "filterother")
    archive = folder(shared_suite, address, "Archive")
    others = meanwhile(inbox, lambda: imapfilter(shared_suite, home, address, MOVE))
    imapfilter(shared_suite, home, address, MOVE)
    becomes(inbox, [f"filterother-{i}" for i in range(3)])
    assert set(others.left()) <= set(marks(archive)) <= set(others.delivered)


# ---- isync --------------------------------------------------------------------------------------


class Maildirs:
    """The Maildirs of a client that keeps copies: name -> path."""

    def __init__(self, top):
        self.top = top

    def __call__(self, name="INBOX"):
        return self.top / name

    def state(self):
        """Names and contents of all files, to see whether a second run changes any."""
        return {str(f.relative_to(self.top)): f.read_bytes() for f in sorted(self.top.rglob("*")) if f.is_file()
                and not f.name.startswith(".")}

    def flag(self, name, mark, flags):
        f = self.find(name, mark)
        os.rename(f, self(name) / "cur" / f"{f.name.partition(':2,')[0]}:2,{flags}")

    def find(self, name, mark):
        return next(f for sub in ("new", "cur") for f in (self(name) / sub).iterdir() if mark_of(f.read_bytes()) == mark)


class Mbsync:
    def __init__(self, suite, home, address, where="near"):
        self.home, self.near = home, Maildirs(home / where)
        self.near.top.mkdir()
        self.rc = write(home / f"{where}.rc", f"""
IMAPAccount far
Host 127.0.0.1
Port {suite.imap_port}
User {address}
Pass "{PASSWORD}"
SSLType None
AuthMechs PLAIN LOGIN

IMAPStore far
Account far

MaildirStore near
Path {self.near.top}/
Inbox {self.near.top}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX Archive Own
Create Both
Expunge Both
CopyArrivalDate yes
SyncState *
""")

    def __call__(self, check=0):
        return run(self.home, "mbsync", "-V", "-c", self.rc, "all", check=check)


def same_flags(far, near):
    far, near = set(files(far).items()), set(files(near).items())
    assert far == near, f"only far: {sorted(far - near)}, only near: {sorted(near - far)}"


def test_isync(shared_suite, home):
    need(("mbsync", "isync"))
    address, inbox = filled(shared_suite, "isync")
    sync = Mbsync(shared_suite, home, address)
    sync()
    assert marks(sync.near()) == marks(inbox) and {body_of(m.read_bytes()) for m in (sync.near() / "new").iterdir()} == {BODY}
    before = sync.near.state(), files(inbox)
    sync()
    assert (sync.near.state(), files(inbox)) == before

    # Both sides change: flags, a new message, a folder made here, a removal on each side.
    sync.near.flag("INBOX", "isync-0", "FS")
    drop(sync.near(), "isync-near", None)
    sync.near.find("INBOX", "isync-1").unlink()
    for sub in ("cur", "new", "tmp"):
        (sync.near("Own") / sub).mkdir(parents=True)
    drop(sync.near("Own"), "isync-own", None)
    drop(inbox, "isync-far")
    c = imap(shared_suite, address)
    ok(c.uid("STORE", "3", "+FLAGS", "(\\Answered)"))
    c.logout()
    drop(folder(shared_suite, address, "Archive"), "isync-archive")
    sync()
    assert marks(inbox) == ["isync-0", "isync-2", "isync-far", "isync-near"]
    same_flags(inbox, sync.near())
    assert files(inbox)["isync-0"] == "FS" and files(sync.near())["isync-2"] == "R"
    assert marks(folder(shared_suite, address, "Own")) == ["isync-own"]
    assert marks(sync.near("Archive")) == ["isync-archive"]
    before = sync.near.state(), files(inbox)
    sync()
    assert (sync.near.state(), files(inbox)) == before


def test_isync_meanwhile(shared_suite, home):
    need(("mbsync", "isync"))
    address, inbox = filled(shared_suite, "isyncother")
    sync = Mbsync(shared_suite, home, address)
    n = 0

    def work():
        nonlocal n
        n += 1
        drop(sync.near(), f"near-{n}", None)
        sync(check=None)
    sync()
    others = meanwhile(inbox, work)
    sync()
    sync()
    assert marks(inbox) == sorted([f"isyncother-{i}" for i in range(3)] + others.left() + [f"near-{i + 1}" for i in range(n)])
    same_flags(inbox, sync.near())


def test_two_of_isync_at_once(shared_suite, home):
    """Two copies of one mailbox, changed and synchronized at the same time, agree in the end."""
    need(("mbsync", "isync"))
    address, inbox = filled(shared_suite, "isynctwo")
    syncs = [Mbsync(shared_suite, home, address, where) for where in ("one", "two")]
    for s in syncs:
        s()
    failures = []

    def work(s, who):
        for i in range(4):
            drop(s.near(), f"{who}-{i}", None)
            if i % 2:
                s.near.find("INBOX", f"{who}-{i - 1}").unlink()
            try:
                s()
            except AssertionError as e:
                failures.append(e)
    threads = [threading.Thread(target=work, args=x) for x in zip(syncs, ("one", "two"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    for s in syncs + syncs:
        s()
    want = sorted([f"isynctwo-{i}" for i in range(3)] + [f"{who}-{i}" for who in ("one", "two") for i in (1, 3)])
    assert marks(inbox) == want
    for s in syncs:
        assert marks(s.near()) == want
        same_flags(inbox, s.near())


# ---- offlineimap ----------------------------------------------------------------------------------


class Offlineimap:
    def __init__(self, suite, home, address):
        self.home, self.near = home, Maildirs(home / "near")
        self.rc = write(home / "offlineimaprc", f"""
[general]
accounts = a
metadata = {home}/meta
ui = basic
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {home}/near
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {suite.imap_port}
remoteuser = {address}
remotepass = {PASSWORD}
ssl = no
starttls = no
auth_mechanisms = LOGIN
folderfilter = lambda name: name in ("INBOX", "Archive")
""")

    def __call__(self, check=0):
        return run(self.home, "offlineimap", "-o", "-c", self.rc, check=check)


def test_offlineimap(shared_suite, home):
    need(("offlineimap", "offlineimap3"))
    address, inbox = filled(shared_suite, "offline")
    sync = Offlineimap(shared_suite, home, address)
    sync()
    assert marks(sync.near()) == marks(inbox)
    before = sync.near.state(), files(inbox)
    sync()
    assert (sync.near.state(), files(inbox)) == before
    sync.near.flag("INBOX", "offline-0", "FS")
    drop(sync.near(), "offline-near", None)
    sync.near.find("INBOX", "offline-1").unlink()
    drop(inbox, "offline-far")
    drop(folder(shared_suite, address, "Archive"), "offline-archive")
    sync()
    assert marks(inbox) == marks(sync.near()) == ["offline-0", "offline-2", "offline-far", "offline-near"]
    assert files(inbox)["offline-0"] == "FS" and marks(sync.near("Archive")) == ["offline-archive"]
    before = sync.near.state(), files(inbox)
    sync()
    assert (sync.near.state(), files(inbox)) == before


def test_offlineimap_meanwhile(shared_suite, home):
    need(("offlineimap", "offlineimap3"))
    address, inbox = filled(shared_suite, "offlineother")
    sync = Offlineimap(shared_suite, home, address)
    sync()
    others = meanwhile(inbox, lambda: sync(check=None))
    sync()
    sync()
    assert marks(inbox) == sorted([f"offlineother-{i}" for i in range(3)] + others.left())
    same_flags(inbox, sync.near())


# ---- on a screen: mutt, alpine ------------------------------------------------------------------------


def muttrc(suite, home, address):
    return write(home / "muttrc", f"""
set imap_user="{address}"
set imap_pass="{PASSWORD}"
set folder="imap://127.0.0.1:{suite.imap_port}/"
set spoolfile="+INBOX"
set imap_authenticators="plain:login"
set ssl_starttls=no
set ssl_force_tls=no
set from="s@client.test"
set charset=utf-8
set sort=subject
set index_format="[%s] %Z"
set mail_check=1
set timeout=1
set move=no
set delete=yes
set quit=yes
set wait_key=no
set confirmappend=no
set header_cache=""
set record=""
""")


def ended(s):
    wait_for(lambda: s("list-sessions") == "", 20 * patience(), why=lambda: s("capture-pane", "-p"))


def test_mutt(shared_suite, home):
    need(("mutt", "mutt"), ("tmux", "tmux"))
    address, inbox = filled(shared_suite, "mutt")
    with Screen(home, f"mutt -n -F {muttrc(shared_suite, home, address)}") as s:
        screen = s.shows(r"\[mutt-2\]")
        assert re.findall(r"\[(mutt-.)\]", screen) == ["mutt-0", "mutt-1", "mutt-2"]
        s.keys("Enter")
        screen = s.shows(r"^Hello\.$")
        assert "Subject: mutt-0" in screen
        lines = [line.rstrip() for line in screen.splitlines()]
        at = lines.index("Hello.")
        assert lines[at:at + 7] == ["Hello.", ".", "..", ".two", "From here", ">From there", ""]
        s.keys("q")
        s.shows(r"\[mutt-2\]")
        s.keys("F")					# flag the first, save the second, delete the third
        s.shows(r"\[mutt-0\] +!")
        s.keys("s")
        s.shows("Save to mailbox")
        s.keys("C-u")
        s.keys("-l", "=Archive")
        s.keys("Enter")
        s.shows(r"\[mutt-1\] ND")
        s.keys("d")
        s.shows(r"Del:2")
        shared_suite.send(address, mail("mutt-3").replace(b"\n", b"\r\n"))
        s.shows(r"\[mutt-3\]")			# it looks now and then
        s.keys("$")
        becomes(inbox, ["mutt-0", "mutt-3"])
        assert re.findall(r"\[(mutt-.)\]", s.shows(r"Msgs:2")) == ["mutt-0", "mutt-3"]
        s.keys("q")
        ended(s)
    assert files(inbox)["mutt-0"] == "FS"
    assert marks(folder(shared_suite, address, "Archive")) == ["mutt-1"]


def test_mutt_meanwhile(shared_suite, home):
    """What it shows at the end is what is there, and what it was told to delete is gone."""
    need(("mutt", "mutt"), ("tmux", "tmux"))
    address, inbox = filled(shared_suite, "muttother")
    with Screen(home, f"mutt -n -F {muttrc(shared_suite, home, address)}", lines=400) as s:
        s.shows(r"\[muttother-2\]")
        with Others(inbox, pause=0.05) as others:
            time.sleep(SECONDS)
            s.keys("-l", "D")
            s.shows("Delete messages matching")
            s.keys("-l", "~s muttother-[01]")
            s.keys("Enter")
            s.shows("Del:2")
            s.keys("$")
            wait_for(lambda: "muttother-0" not in files(inbox), 10 * patience())
            time.sleep(SECONDS / 2)
        want = sorted(["muttother-2"] + others.left())
        becomes(inbox, want)
        wait_for(lambda: sorted(re.findall(r"\[(.*?-[0-9]+)\]", s("capture-pane", "-p"))) == want, 10 * patience(),
                 why=lambda: f"{want}\n" + s("capture-pane", "-p"))
        s.keys("q")
        ended(s)


def test_mutt_while_fetchmail_empties_it(shared_suite, home):
    """Two at once: mutt has the mailbox open and shows less and less, until it is told of new mail."""
    need(("mutt", "mutt"), ("tmux", "tmux"), ("fetchmail", "fetchmail"))
    address, inbox = filled(shared_suite, "mutttwo")
    with Screen(home, f"mutt -n -F {muttrc(shared_suite, home, address)}") as s:
        s.shows(r"\[mutttwo-2\]")
        run(home, *fetchmail(home, shared_suite, address, "nokeep fetchall"))
        assert len(mda_got(home)) == 3
        s.shows(r"Mutt: =INBOX \[Msgs:0")
        shared_suite.send(address, mail("mutttwo-3").replace(b"\n", b"\r\n"))
        s.shows(r"\[mutttwo-3\]")
        s.keys("q")
        ended(s)
    assert marks(inbox) == ["mutttwo-3"]


def pinerc(suite, home, address):
    at = f"{{127.0.0.1:{suite.imap_port}/notls/user={address}}}"
    return write(home / "pinerc", f"inbox-path={at}INBOX\nfolder-collections=Far {at}[]\nuser-domain=client.test\n"
                 "feature-list=expunge-without-confirm-everywhere,quit-without-confirm,enable-flag-cmd\n"
                 "last-version-used=9.99\nsort-key=arrival\nindex-format=MSGNO STATUS SUBJECT\nmail-check-interval=15\n")


def open_alpine(s):
    s.shows("(?i)password")
    s.keys("-l", PASSWORD)
    s.keys("Enter")
    s.shows("(?i)preserve password")
    s.keys("n")
    s.redraw = "C-l"


def test_alpine(shared_suite, home):
    need(("alpine", "alpine"), ("tmux", "tmux"))
    address, inbox = filled(shared_suite, "alpine")
    with Screen(home, f"alpine -p {pinerc(shared_suite, home, address)} -i") as s:
        open_alpine(s)
        s.shows(r"3 .*alpine-2")
        s.keys("Enter")
        screen = s.shows(r"^Hello\.$")
        lines = [line.rstrip() for line in screen.splitlines()]
        at = lines.index("Hello.")
        assert lines[at:at + 7] == ["Hello.", ".", "..", ".two", "From here", ">From there", ""]
        s.keys("d")				# and goes on with the next
        s.shows("alpine-1")
        s.keys("s")
        s.shows("(?i)SAVE.*folder")
        s.keys("C-u")
        s.keys("-l", "Archive")
        s.keys("Enter")
        s.shows(r"(?i)copied to|saved|saving +done")
        s.keys("<")
        s.shows(r"1 +D +alpine-0")
        shared_suite.send(address, mail("alpine-3").replace(b"\n", b"\r\n"))
        s.keys("C-l")				# looks for new mail
        s.shows(r"4 .*alpine-3")
        s.keys("x")
        becomes(inbox, ["alpine-2", "alpine-3"])	# what is saved is deleted, too
        assert re.findall(r"alpine-.", s.shows(r"^ +2 .*alpine-3")) == ["alpine-2", "alpine-3"]
        s.keys("q")
        ended(s)
    assert marks(folder(shared_suite, address, "Archive")) == ["alpine-1"]


def test_alpine_meanwhile(shared_suite, home):
    """Its index at the end is what is there: c-client ends with a fault when a number does not fit what it was told."""
    need(("alpine", "alpine"), ("tmux", "tmux"))
    address, inbox = filled(shared_suite, "alpineother")
    with Screen(home, f"alpine -p {pinerc(shared_suite, home, address)} -i", lines=400) as s:
        open_alpine(s)
        s.shows(r"3 .*alpineother-2")
        s.keys("d")
        with Others(inbox, pause=0.05) as others:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                s.keys("C-l")
                time.sleep(0.1)
                s.keys("x")
        want = sorted(["alpineother-1", "alpineother-2"] + others.left())
        becomes(inbox, want)

        def index():
            s.keys("C-l")
            return sorted(re.findall(r"^ +[0-9]+ .* ([a-z-]+-[0-9]+)", s("capture-pane", "-p"), re.M)) == want
        wait_for(index, 20 * patience(), step=0.3, why=lambda: f"{want}\n" + s("capture-pane", "-p"))
        s.keys("q")
        ended(s)


def test_aerc(shared_suite, home):
    """It idles, and shows what comes at once."""
    need(("aerc", "aerc"), ("less", "less"), ("tmux", "tmux"))
    address, inbox = filled(shared_suite, "aerc")
    conf = home / ".config" / "aerc"
    conf.mkdir(parents=True)
    for name in ("aerc.conf", "binds.conf"):
        shutil.copy(f"/usr/share/aerc/{name}", conf)
    write(conf / "accounts.conf", f"[far]\nsource = imap+insecure://{address.replace('@', '%40')}:{PASSWORD.replace(' ', '%20')}"
          f"@127.0.0.1:{shared_suite.imap_port}\ndefault = INBOX\nfrom = s@client.test\n")

    def say(command):
        s.keys("-l", ":" + command)
        s.keys("Enter")
    with Screen(home, "aerc") as s:
        s.shows("aerc-0")
        say("select 0")					# the newest is the first
        say("flag")
        wait_for(lambda: files(inbox)["aerc-2"] == "F", 20 * patience(), why=lambda: s("capture-pane", "-p"))
        say("read")
        wait_for(lambda: files(inbox)["aerc-2"] == "FS", 20 * patience(), why=lambda: s("capture-pane", "-p"))
        say("select 2")
        say("move Archive")
        becomes(inbox, ["aerc-1", "aerc-2"])
        wait_for(lambda: "aerc-0" not in s("capture-pane", "-p"), 20 * patience())
        shared_suite.send(address, mail("aerc-3").replace(b"\n", b"\r\n"))
        s.shows("aerc-3")
        say("select 0")
        s.keys("Enter")
        s.shows(r">From there")
        say("close")
        s.shows("aerc-1")
        say("delete-message")
        becomes(inbox, ["aerc-1", "aerc-2"])
        say("quit")
        ended(s)
    assert marks(folder(shared_suite, address, "Archive")) == ["aerc-0"]
