# SPDX-License-Identifier: ISC
"""
router and auth learn of accounts from another process, and wait for nobody: each is alone here (hermodtest/alone.py), and the
test is the directory, which answers late, out of order, nonsense, or not at all.
"""
import hashlib
import hmac
import json
import os
import re
import struct
import subprocess
import threading
import time

import pytest

from hermodtest.alone import Alone, split_run
from hermodtest.proc import wait_for
from hermodtest.scram import Scram, b64
from hermodtest.suite import build_dir, patience

NOT_SURE, YES, NO = 0, 1, 2
UNAVAILABLE, CONTINUE, OK, FAILED = range(4)
ANNA, BERT = "anna@hermod.test", "bert@hermod.test"
SILENT = "directory does not answer"


class Directory:
    """rows: {name: row, or (verdict, row)}; who is not in it is nobody. checks: it judges passwords itself, by `passwords`."""

    def __init__(self, rows=(), checks=0, passwords=()):
        self.rows, self.checks, self.passwords = dict(rows), checks, dict(passwords)
        self.asked, self.judged, self.held, self.holding = [], [], [], False
        self.holding_checks = False
        self.lock = threading.Lock()

    def take(self, channel, name, id, values):
        with self.lock:
            (self.asked if name == "directory_ask" else self.judged).append(
                values["name"].decode() if name == "directory_ask" else tuple(v.decode() for v in values.values()))
            if self.holding or (self.holding_checks and name == "directory_check"):
                self.held.append((channel, name, id, values))
                return
        self.answer(channel, name, id, values)

    def answer(self, channel, name, id, values):
        of = values["name"].decode()
        try:
            if name == "directory_check":
                verdict = self.passwords.get(of)
                good = verdict if isinstance(verdict, int) else YES if values["password"] == (verdict or "").encode() else NO
                channel.send("directory_checked", id, verdict=good)
                return
            row = self.rows.get(of, (NO, ""))
            verdict, row = row if isinstance(row, tuple) else (YES, row)
            channel.send("directory_answer", id, verdict=verdict, row=row, checks=self.checks)
        except OSError:
            pass            # the process has hung up on it

    def wait(self, n):
        """Until so many questions are held."""
        wait_for(lambda: len(self.held) >= n, 20 * patience(), why=lambda: f"{len(self.held)} of {n}: {self.asked}")

    def release_one(self):
        with self.lock:
            one = self.held.pop(0)
        self.answer(*one)

    def release_until(self, done):
        """One after the other, each as another takes its place."""
        while not done():
            before = len(self.judged)
            self.release_one()
            wait_for(lambda: len(self.judged) > before, 20 * patience())

    def release(self, backwards=False):
        with self.lock:
            held, self.held, self.holding, self.holding_checks = self.held, [], False, False
        for one in reversed(held) if backwards else held:
            self.answer(*one)


class House(Alone):
    """One process, and that directory."""

    def __init__(self, program, folder, directory, accounts="", asks=(), **how):
        self.directory, self.folder = directory, folder
        with open(os.path.join(folder, "accounts"), "w") as f:
            f.write(accounts)
        settings = {"hostname": "mx.hermod.test", "account_map": f"text:{folder}/accounts", "account_directory": "ldap", "directory_timeout": "36s",
                    "mail_directory": "/m", "system_accounts": False, "mail_uid": 5000, "mail_gid": 5000, **how.pop("settings", {})}
        super().__init__(program, settings, asks={"directory": directory, **dict(asks)}, **how)

    def serve(self, channel, handler):
        if not isinstance(handler, Directory):
            super().serve(channel, handler)
            return
        while (got := channel.receive()) is not None:
            handler.take(channel, *got)

    def lose_directory(self):
        self.channels["directory"].close()

    def find_directory(self):
        """There is one again, as the process learns soon."""
        self.channels["directory"] = self.join("directory", True, self.directory)


@pytest.fixture
def house(tmp_path):
    """house(program, directory, ...)"""
    made = []

    def make(program, directory, **how):
        made.append(House(program, str(tmp_path), directory, **how))
        return made[-1]
    yield make
    for h in made:
        if h.control.sock.fileno() != -1:
            h.end()


# ---- router ----

@pytest.fixture
def router(house, tmp_path):
    """router(directory, aliases=..., accounts=..., settings)"""
    def make(directory, aliases="", accounts=f"{BERT} uid=1001\n", **settings):
        (tmp_path / "aliases").write_text(aliases)
        return house("router", directory, accounts=accounts, asked_by=["smtpd", "qmgr", "submission"],
                     listens={"explain_socket": f"{tmp_path}/explain.sock"},
                     settings={"local_domains": ["hermod.test"], "alias_map": f"text:{tmp_path}/aliases", **settings})
    return make


def begin(r, recipient, **values):
    return r.ask("smtpd", "rcpt_check", client_class=0, client="192.0.2.1", recipient=recipient, **values)


def said(answer):
    return f"{answer['code']} {answer['reply'].decode()}"


def end(r, call):
    return r.answer(call, service="smtpd")


def rcpt(r, recipient):
    return end(r, begin(r, recipient))


def routes(answer):
    return {(a["final"].decode(), a["mailbox"].decode(), a["uid"], a["gid"]) for a in split_run("route", answer["routes"])}


@pytest.mark.parametrize("row, want", [
    ("", "250"), ("uid=77\ngid=78\nmailbox=mbox:/x/anna", "250"), ("state=disabled", "550 5.2.1"), ((NO, ""), "550 5.1.1"),
    ((NOT_SURE, ""), "451 4.3.0"), ("uid=0", "451 4.3.0"), ("nonsense", "451 4.3.0"), ((NO, "uid=7"), "451 4.3.0"),
    ((NOT_SURE, "uid=7"), "451 4.3.0"), ((3, ""), "451 4.3.0"), ("password=" + "x" * 8183, "250"), ("mailbox=maildir:/../x", "451 4.3.0")])
def test_answers(router, row, want):
    d = Directory({ANNA: row})
    r = router(d)
    got = rcpt(r, ANNA)
    assert said(got).startswith(want) and got["verdict"] == {"2": YES, "4": NOT_SURE, "5": NO}[want[0]]
    assert d.asked == [ANNA]
    nonsense = want[0] == "4" and row != (NOT_SURE, "")
    assert ("directory's answer makes no sense" in r.log()) == nonsense
    if want == "250":
        assert routes(got) == {(ANNA, "mbox:/x/anna", 77, 78) if row.startswith("uid") else
                               (ANNA, "maildir:/m/hermod.test/anna/Maildir", 5000, 5000)}


def test_row_too_long(router):
    """The frame is none: the channel is at its end, and not the process."""
    d = Directory({ANNA: "password=" + "x" * 8184})
    r = router(d)
    assert said(rcpt(r, ANNA)).startswith("451 4.3.0")
    d.rows[ANNA] = ""
    assert said(rcpt(r, ANNA)).startswith("250")


@pytest.mark.parametrize("recipient, asked, code", [
    (BERT, [], 250), ("Bert@HERMOD.Test", [], 250), ("anna@elsewhere.test", [], 554), ("<>", [], 501),
    ("Anna@Hermod.test", [ANNA], 250), ("anna+x@hermod.test", ["anna+x@hermod.test", ANNA], 250),
    ("nobody+x@hermod.test", ["nobody+x@hermod.test", "nobody@hermod.test"], 550), ('"a b"@hermod.test', [], 550)])
def test_who_is_asked(router, recipient, asked, code):
    d = Directory({ANNA: ""})
    r = router(d)
    assert rcpt(r, recipient)["code"] == code
    assert d.asked == asked


NAMED = {ANNA: f"name={ANNA}", "a.smith@hermod.test": "name=Anna@HERMOD.test", "\uff41nna@hermod.test": f"name={ANNA}", "\u00e9mile@hermod.test": "",
         "ren\u00e9@hermod.test": "name=ren\u00e9@hermod.test", "Ren\u00c9@hermod.test": "name=ren\u00e9@hermod.test", "long@hermod.test": "name=" + "a" * 320,
         "longer@hermod.test": "name=" + "a" * 321, "spaced@hermod.test": "name=a b", "bare@hermod.test": "name=anna"}


@pytest.mark.parametrize("recipient, want", [
    (ANNA, ANNA), ("a.smith@hermod.test", ANNA), ("\uff41nna@hermod.test", 550), ("\u00e9mile@hermod.test", 451),
    ("ren\u00e9@hermod.test", "ren\u00e9@hermod.test"), ("Ren\u00c9@hermod.test", 550), ("long@hermod.test", 451), ("longer@hermod.test", 451),
    ("spaced@hermod.test", 451), ("bare@hermod.test", 451)])
def test_whose_it_is(router, recipient, want):
    """The name that the directory gives back is the account's: of several names of one account, and of one that is in its eyes spelled as
    another is (RFC 4518). One that is not ASCII has to be the account's own."""
    r = router(Directory(NAMED))
    got = end(r, begin(r, recipient, smtputf8=1))
    if isinstance(want, int):
        assert got["code"] == want
        assert ("whose that is the directory has to say" in r.log()) == (recipient == "\u00e9mile@hermod.test")
        return
    [route] = split_run("route", got["routes"])
    local = want.split("@")[0]
    assert route["nexthop"].decode() == want and route["mailbox"].decode() == f"maildir:/m/hermod.test/{local}/Maildir"


def test_system_users(router, tmp_path):
    """A bare name is a user of this host first."""
    (tmp_path / "passwd").write_text("carl:x:2000:2000::/home/carl:/bin/sh\nlow:x:10:10::/home/low:/bin/sh\n")
    d = Directory({"dora": "uid=3000\ngid=3000\nmailbox=maildir:/home/dora/Maildir", "carl": "uid=3001\ngid=3001\nmailbox=maildir:/x/y"})
    r = router(d, system_accounts=True, passwd_file=str(tmp_path / "passwd"))
    assert routes(rcpt(r, "carl@hermod.test")) == {("carl@hermod.test", "maildir:/home/carl/Maildir", 2000, 2000)}
    assert d.asked == ["carl@hermod.test"]
    assert routes(rcpt(r, "dora@hermod.test")) == {("dora@hermod.test", "maildir:/home/dora/Maildir", 3000, 3000)}
    assert rcpt(r, "low@hermod.test")["code"] == 550
    assert d.asked[1:] == ["dora@hermod.test", "dora", "low@hermod.test", "low"]


def test_no_owner(router):
    d = Directory({ANNA: "gid=5"})
    r = router(d, mail_uid=0)
    assert said(rcpt(r, ANNA)).startswith("451 4.3.0")
    assert "does not say its uid and gid" in r.log()


def test_late(router):
    """Nobody waits for it but who needs it, and answers may come in any order."""
    d = Directory({f"u{i}@hermod.test": f"uid={2000 + i}" for i in range(3)})
    r = router(d)
    d.holding = True
    calls = [begin(r, f"u{i}@hermod.test") for i in range(3)]
    d.wait(3)
    assert rcpt(r, BERT)["code"] == 250 and not set(calls) & set(r.answers)
    d.release(backwards=True)
    for i, call in enumerate(calls):
        assert routes(end(r, call)) == {(f"u{i}@hermod.test", f"maildir:/m/hermod.test/u{i}/Maildir", 2000 + i, 5000)}


def test_silent(router):
    """All that wait are put off when their time is over, of which there is one line; and one when it is over."""
    d = Directory({ANNA: ""})
    r = router(d, directory_timeout="1s")
    d.holding = True
    for call in [begin(r, ANNA), begin(r, "nobody@hermod.test")]:
        assert said(end(r, call)).startswith("451 4.3.0")
    assert r.log().count(SILENT) == 1
    d.release()             # too late
    assert rcpt(r, ANNA)["code"] == 250
    assert r.log().count(SILENT) == 1 and r.log().count("directory answers again") == 1


def test_gone(router):
    d = Directory({ANNA: ""})
    r = router(d)
    d.holding = True
    calls = [begin(r, ANNA) for _ in range(5)]
    d.wait(5)
    r.lose_directory()
    for call in calls:
        assert said(end(r, call)).startswith("451 4.3.0")
    assert said(rcpt(r, ANNA)).startswith("451 4.3.0") and rcpt(r, BERT)["code"] == 250
    assert r.log().count(SILENT) == 1
    d.holding = False
    r.find_directory()
    wait_for(lambda: rcpt(r, ANNA)["code"] == 250, 20 * patience())


def test_asker_gone(router):
    """Whoever asked has gone; the answers come all the same."""
    d = Directory({ANNA: ""})
    r = router(d)
    d.holding = True
    for _ in range(20):
        begin(r, ANNA)
    d.wait(20)
    r.channels["smtpd"].close()
    r.report()
    d.release()
    call = r.ask("qmgr", "rcpt_check", recipient=ANNA)
    assert r.answer(call, service="qmgr")["code"] == 250


def test_garbage(router):
    """What is no message costs the channel, and what is a wrong one only this answer."""
    d = Directory({ANNA: ""})
    r = router(d)
    d.holding = True
    calls = [begin(r, ANNA), begin(r, ANNA)]
    d.wait(2)
    channel, _, id, _ = d.held[0]
    channel.send("sts_answer", id, why="what?")
    assert said(end(r, calls[0])).startswith("451 4.3.0")
    channel.sock.send(b"\xff" * 20)
    assert said(end(r, calls[1])).startswith("451 4.3.0")
    d.holding = False
    d.held.clear()
    r.find_directory()
    wait_for(lambda: rcpt(r, ANNA)["code"] == 250, 20 * patience())


def test_a_thousand(router):
    """Each is answered by what was said of it."""
    d = Directory({f"u{i}@hermod.test": f"uid={2000 + i}" if i % 3 else (NO, "") for i in range(1000)})
    r = router(d)
    calls = [begin(r, f"u{i}@hermod.test") for i in range(1000)]
    for i, call in enumerate(calls):
        got = end(r, call)
        assert got["code"] == (250 if i % 3 else 550), got
        assert not i % 3 or [x[2] for x in routes(got)] == [2000 + i]
    assert len(d.asked) == 1000


def test_too_many(router):
    """LATER_MAX wait; the next is put off at once, and nobody who needs no directory."""
    d = Directory()
    r = router(d)
    d.holding = True
    calls = [begin(r, f"u{i}@hermod.test") for i in range(2000)]
    further = begin(r, ANNA)
    assert said(end(r, further)).startswith("451 4.3.0")
    wait_for(lambda: "2000 questions wait for the directory" in r.log(), 10 * patience())
    assert b"questions wait for the directory" in r.report()["note"]
    assert rcpt(r, BERT)["code"] == 250
    r.lose_directory()
    assert {end(r, call)["code"] for call in calls} == {451}
    assert b"wait" not in r.report()["note"]
    d.holding = False
    r.find_directory()
    wait_for(lambda: rcpt(r, ANNA)["code"] == 550, 20 * patience())


def test_aliases(router):
    """All names that an alias leads to are asked for at once, each once; and what is wrong with it is said once."""
    d = Directory({ANNA: "", "carl@hermod.test": "", "dora@hermod.test": "state=disabled"})
    r = router(d, aliases="team: anna, Carl, bert, more\nmore: anna, dora, nobody, carl\n")
    d.holding = True
    call = begin(r, "team@hermod.test")
    d.wait(4)
    assert sorted(d.asked) == [ANNA, "carl@hermod.test", "dora@hermod.test", "nobody@hermod.test"]
    d.release()
    got = end(r, call)
    assert got["code"] == 250 and {x[0] for x in routes(got)} == {ANNA, "Carl@hermod.test", BERT, "carl@hermod.test"}
    log = r.log()
    assert log.count("nobody has no mailbox here") == 1 and log.count("dora has no mailbox here that takes mail") == 1
    assert len(d.asked) == 4


def test_alias_of_which_one_is_not_known(router):
    """Not a part of it is taken: the mail is put off."""
    d = Directory({ANNA: "", "carl@hermod.test": (NOT_SURE, "")})
    r = router(d, aliases="team: anna, carl, bert\n")
    assert said(rcpt(r, "team@hermod.test")).startswith("451 4.3.0")


def test_long_alias(router):
    """ACCOUNT_MEMO_NAMES of one question, and one more."""
    d = Directory()
    names = [f"n{i}" for i in range(1001)]
    r = router(d, aliases=f"most: {', '.join(names[:1000])}\nmore: {', '.join(names)}\n")
    assert rcpt(r, "most@hermod.test")["code"] == 550 and len(d.asked) == 1000
    d.asked.clear()
    assert said(rcpt(r, "more@hermod.test")).startswith("451 4.3.0") and len(d.asked) == 1000


def test_others_who_ask(router):
    """qmgr, where mail goes now; submission, whose an address is."""
    d = Directory({ANNA: "uid=77"})
    r = router(d, aliases="team: anna\nbad: |/bin/x\n", system_accounts=False)

    def route(address):
        a = r.answer(r.ask("qmgr", "route_ask", address=address), service="qmgr")
        return a["verdict"], {x[:1] + x[2:3] for x in routes(a)}

    def may(account, address):
        return r.answer(r.ask("submission", "sender_check", account=account, address=address), service="submission")["verdict"]
    assert route(ANNA) == (YES, {(ANNA, 77)}) and route("nobody@hermod.test") == (NO, set())
    assert may(ANNA, "team@hermod.test") == YES and may(BERT, "team@hermod.test") == NO and may(ANNA, "nobody@hermod.test") == NO
    d.rows[ANNA] = NOT_SURE, ""
    assert route(ANNA) == (NOT_SURE, set()) and may(ANNA, "team@hermod.test") == NOT_SURE and may(ANNA, BERT) == NO


def test_postmaster(router):
    """The directory may have it, too; and is asked at the start, a while behind it."""
    d = Directory({ANNA: ""})
    r = router(d, postmaster_address=ANNA)
    assert {x[0] for x in routes(rcpt(r, "postmaster"))} == {ANNA}
    assert d.asked == ["postmaster@hermod.test", ANNA]
    wait_for(lambda: len(d.asked) == 4, 30 * patience())
    r.report()
    assert "postmaster" not in r.log()


def test_no_postmaster(router):
    d = Directory()
    r = router(d, postmaster_address=ANNA)
    wait_for(lambda: "nobody reads mail to postmaster: set an alias" in r.log(), 30 * patience())
    assert said(rcpt(r, "postmaster")).startswith("451 4.3.5")


# ---- the commands that ask it ----

def hermod(r, *words):
    conf = os.path.join(r.folder, "hermod.conf")
    with open(conf, "w") as f:
        f.write(f'run_directory = "{r.folder}"\nhostname = "mx.hermod.test"\nlocal_domains = {{"hermod.test"}}\nsystem_accounts = no\n'
                f'account_map = "text:{r.folder}/accounts"\naccount_directory = ldap\nfirst_uid = 1\nalias_map = ""\n')
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("HERMOD")}, "ASAN_OPTIONS": "detect_leaks=0"}
    p = subprocess.run([os.path.join(build_dir(), "bin", "hermod"), "-c", conf, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=60 * patience(), env=env)
    return p.returncode, p.stdout


def test_explain(router):
    """The last look alone is told."""
    d = Directory({ANNA: ""})
    r = router(d, aliases="team: anna, carl\n")
    status, out = hermod(r, "explain", "--client", "192.0.2.1", "--to", "team@hermod.test")
    assert status == 0 and re.search(r"anna@hermod\.test has the mailbox maildir:/m/hermod\.test/anna/Maildir, of uid 5000 and gid 5000, "
                                     "says the directory", out), out
    assert len(re.findall(r"carl@hermod\.test is not in account_map text:\S+, nor in the directory", out)) == 1, out
    assert out.count("anna@hermod.test has") == 1 and sorted(d.asked) == [ANNA, "carl@hermod.test"]
    d.rows[ANNA] = NOT_SURE, ""
    status, out = hermod(r, "explain", "--client", "192.0.2.1", "--to", ANNA)
    assert "cannot be looked up just now" in out and "451 4.3.0" in out, out


def test_mailbox(router, public_path):
    """`hermod mailbox` of a directory's account: by way of the router, while it runs."""
    folder = public_path / "anna" / "Maildir"
    for part in ("cur", "new", "tmp"):
        os.makedirs(folder / part)
    (folder / "new" / "1.a.b").write_text("Subject: x\n\n")
    own = f"uid={os.geteuid() or 1000}\ngid={os.getegid() or 1000}"
    if os.geteuid() == 0:
        for at, folders, files in os.walk(public_path / "anna"):
            for name in ["", *folders, *files]:
                os.chown(os.path.join(at, name), 1000, 1000)
    d = Directory({ANNA: f"mailbox=maildir:{folder}\n{own}", "x@hermod.test": (NOT_SURE, "")})
    r = router(d)
    status, out = hermod(r, "mailbox", "list", "Anna@hermod.test")
    assert status == 0 and re.search(r"^INBOX\s+1\b", out, re.M), out
    status, out = hermod(r, "mailbox", "list", "nobody@hermod.test")
    assert status == 1 and "no such account" in out, out
    status, out = hermod(r, "mailbox", "list", "x@hermod.test")
    assert status == 1 and "the directory does not say" in out, out
    r.end()
    status, out = hermod(r, "mailbox", "list", ANNA)
    assert status == 69 and "anna@hermod.test: is in no table here; whether the directory (account_directory = ldap)" in out, out
    asked = len(d.asked)
    status, out = hermod(r, "mailbox", "list", BERT)           # for which nobody has to be asked
    assert status == 1 and "there is no mailbox yet" in out or status == 77, out
    assert len(d.asked) == asked


# ---- auth ----

@pytest.fixture
def auth(house, tmp_path):
    """auth(directory, become=..., settings); tickets: what become was told."""
    def make(directory, accounts=f"{BERT} password={{PLAIN}}bert-secret\n", fetch=lambda name, values: None, files=(), **settings):
        tickets = []

        def become(_, values):
            tickets.append(values)
            return "ticket_kept", {}
        (tmp_path / "auth").mkdir(exist_ok=True)
        h = house("auth", directory, accounts=accounts, asks={"become": become, "fetch": fetch}, asked_by=["imap-login", "submission"],
                  files={"auth_directory": tmp_path / "auth", **dict(files)},
                  settings={"first_uid": 1, "allow_plain_passwords": True,
                            "auth_mechanisms": ["PLAIN", "SCRAM-SHA-256", "CRAM-MD5", "EXTERNAL", "OAUTHBEARER"],
                            "oauth_introspection_url": "https://id.test/", **settings})
        h.tickets = tickets
        return h
    return make


def log_in_from(a, client, user, password, service="imap-login"):
    return a.ask(service, "auth_start", protocol="smtp" if service == "submission" else "imap", mechanism="PLAIN", client=client,
                 session_id="s", secure=1, has_initial=1, initial=f"\0{user}\0{password}")


def log_in(a, user, password, service="imap-login"):
    return log_in_from(a, "192.0.2.1", user, password, service)


def plain(a, user, password, service="imap-login"):
    return a.answer(log_in(a, user, password, service), service=service)


def scram_row(password="secret", salt=b"sixteen octets..", iterations=4096):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return f"scram-sha-256={iterations}:{b64(salt)}${b64(stored)}:{b64(hmac.digest(salted, b'Server Key', 'sha256'))}"


def hashed(password="secret"):
    r = subprocess.run(["openssl", "passwd", "-6", "-salt", "grains", password], stdout=subprocess.PIPE, text=True, check=True)
    return r.stdout.strip()


def test_passwords(auth):
    d = Directory({ANNA: f"password={hashed()}\nuid=77\ngid=78", "off@hermod.test": f"password={hashed()}\nstate=disabled",
                   "none@hermod.test": "", "lost@hermod.test": (NOT_SURE, ""), "bad@hermod.test": "nonsense", "anna": f"password={hashed()}\n"
                   "mailbox=maildir:/x/y"})
    a = auth(d)
    got = plain(a, ANNA, "secret")
    assert (got["result"], got["account"], len(got["ticket"])) == (OK, ANNA.encode(), 32)
    assert [(t["account"], t["uid"], t["gid"], t["mailbox"]) for t in a.tickets] == \
        [(ANNA.encode(), 77, 78, b"maildir:/m/hermod.test/anna/Maildir")]
    got = plain(a, "Anna@HERMOD.test", "secret", "submission")
    assert (got["result"], got["account"]) == (OK, ANNA.encode())
    assert plain(a, "anna", "secret")["result"] == OK and a.tickets[-1]["mailbox"] == b"maildir:/x/y"
    asked = len(d.asked)
    assert plain(a, BERT, "bert-secret")["result"] == OK and len(d.asked) == asked
    for user, password, want in ((ANNA, "wrong", FAILED), (ANNA, "", FAILED), ("off@hermod.test", "secret", FAILED), ("none@hermod.test", "", FAILED),
                                 ("nobody@hermod.test", "secret", FAILED), ("lost@hermod.test", "secret", UNAVAILABLE),
                                 ("bad@hermod.test", "secret", UNAVAILABLE), ("an na@hermod.test", "secret", FAILED)):
        got = plain(a, user, password)
        assert got["result"] == want, user
        assert got["text"] == {FAILED: b"wrong user name or password", UNAVAILABLE: b"logins cannot be checked just now, try again later"}[want]
    assert d.judged == [] and "secret" not in a.log()


def test_name_that_the_directory_gives(auth):
    """Whoever logs in as one of an account's names is that account; and may say another of them beside it."""
    d = Directory({name: row + f"\npassword={hashed()}" if row else f"password={hashed()}" for name, row in NAMED.items()})
    a = auth(d)
    for name in (ANNA, "a.smith@hermod.test", "A.Smith@Hermod.test"):
        said = plain(a, name, "secret")
        assert said["result"] == OK and said["account"] == ANNA.encode() and a.tickets[-1]["account"] == ANNA.encode()
    assert plain(a, "\uff41nna@hermod.test", "secret")["result"] == FAILED and plain(a, "\u00e9mile@hermod.test", "secret")["result"] == UNAVAILABLE
    assert plain(a, "ren\u00e9@hermod.test", "secret")["result"] == OK
    for who, want in ((ANNA, OK), ("a.smith@hermod.test", OK), ("\uff41nna@hermod.test", FAILED), (BERT, FAILED), ("nobody@hermod.test", FAILED)):
        call = a.ask("imap-login", "auth_start", protocol="imap", mechanism="PLAIN", client="192.0.2.1", session_id="s", secure=1, has_initial=1,
                     initial=f"{who}\0a.smith@hermod.test\0secret")
        assert a.answer(call)["result"] == want, who


def test_passwords_that_the_directory_judges(auth):
    """Of a name that nobody has, too; and never an empty one, which LDAP takes for no login at all."""
    d = Directory({ANNA: f"password={hashed('other')}", "off@hermod.test": "state=disabled", "lost@hermod.test": "", "odd@hermod.test": ""},
                  checks=1, passwords={ANNA: "secret", "off@hermod.test": "secret", "lost@hermod.test": NOT_SURE, "odd@hermod.test": 3,
                                       "nobody@hermod.test": "secret"})
    a = auth(d)
    for user, password, want in (("Anna@hermod.test", "secret", OK), (ANNA, "other", FAILED), (ANNA, "Secret", FAILED),
                                 ("off@hermod.test", "secret", FAILED), ("lost@hermod.test", "secret", UNAVAILABLE),
                                 ("odd@hermod.test", "secret", UNAVAILABLE), ("nobody@hermod.test", "secret", FAILED), ("No@hermod.test", "x", FAILED)):
        d.judged.clear()
        assert plain(a, user, password)["result"] == want, user
        assert d.judged == [(user.lower(), password, "192.0.2.1")]
    d.judged.clear()
    for user in (ANNA, "nobody@hermod.test"):
        assert plain(a, user, "")["result"] == FAILED
    assert plain(a, BERT, "bert-secret")["result"] == OK and d.judged == []
    assert "secret" not in a.log()


def test_a_flood_of_passwords_that_the_directory_judges(auth):
    """A server may take long for each, and takes them in order: so it gets two at a time, and an honest login comes before those that were there
    first, of an address that has failed."""
    d = Directory({ANNA: ""}, checks=1, passwords={ANNA: "secret"})
    a = auth(d)
    for i in range(3):
        assert a.answer(log_in_from(a, "10.0.0.1", f"user{i}@hermod.test", "x"))["result"] == FAILED
    d.holding_checks = True
    flood = [log_in_from(a, "10.0.0.1", f"user{i}@hermod.test", "x") for i in range(50)]
    d.wait(2)
    honest = log_in(a, ANNA, "secret")
    wait_for(lambda: ANNA in d.asked, 20 * patience())
    assert plain(a, BERT, "bert-secret")["result"] == OK	# what was asked meanwhile is answered
    assert len(d.judged) == 3 + 2
    d.release_until(lambda: ANNA in [name for name, _, _ in d.judged])
    assert len(d.judged) <= 3 + 2 + 2, d.judged
    d.release()
    assert a.answer(honest)["result"] == OK
    assert {a.answer(call)["result"] for call in flood} == {FAILED} and len(d.judged) == 3 + 50 + 1


def test_more_from_new_addresses_than_there_is_room_for(auth):
    """Each of them is like somebody who comes for the first time. Who has been let in before from where he is is let in all the same, and next;
    the latest of the others makes room."""
    d = Directory({ANNA: ""}, checks=1, passwords={ANNA: "secret"})
    a = auth(d)
    assert plain(a, ANNA, "secret")["result"] == OK
    d.holding_checks = True
    flood = [log_in_from(a, f"10.0.{i >> 8}.{i & 255}", f"user{i}@hermod.test", "x") for i in range(2000)]
    wait_for(lambda: len(d.asked) == 2001, 60 * patience())
    honest = log_in(a, ANNA, "secret")
    assert a.answer(flood[-1])["result"] == UNAVAILABLE
    wait_for(lambda: d.asked.count(ANNA) == 2, 20 * patience())
    d.release_until(lambda: ANNA in [name for name, _, _ in d.judged[1:]])
    assert len(d.judged) <= 1 + 2 + 2, d.judged
    d.release()
    assert a.answer(honest)["result"] == OK


class Pam(Directory):
    """In its place; it knows carl alone."""

    def take(self, channel, name, id, values):
        super().take(channel, "directory_check", id, {"name": values["user"], "password": values["password"]})

    def answer(self, channel, name, id, values):
        channel.send("pam_answer", id, verdict=YES if values["password"] == b"secret" else NO)


def test_a_flood_of_passwords_that_pam_judges(tmp_path):
    """It takes so many at once and no more, and two seconds for each that is wrong: an honest login comes before the rest of them."""
    (tmp_path / "passwd").write_text("carl:x:2000:2000::/home/carl:/bin/sh\n")
    pam = Pam()
    a = House("auth", str(tmp_path), Directory(), asks={"become": lambda *_: ("ticket_kept", {}), "fetch": lambda *_: None, "pam": pam},
              asked_by=["imap-login"], settings={"system_accounts": True, "passwd_file": str(tmp_path / "passwd"), "first_uid": 1,
                                                 "auth_mechanisms": ["PLAIN"], "auth_workers": 2, "pam_processes": 7, "account_directory": ""})
    try:
        assert a.answer(log_in_from(a, "10.0.0.1", "user", "x"))["result"] == FAILED
        pam.holding_checks = True
        flood = [log_in_from(a, "10.0.0.1", f"user{i}", "x") for i in range(50)]
        pam.wait(3)
        honest = log_in(a, "carl", "secret")
        assert a.answer(log_in_from(a, "192.0.2.9", "carl", "x\0"))["result"] == FAILED		# at once: it has come behind the honest one
        assert len(pam.judged) == 1 + 3
        pam.release_until(lambda: ("carl", "secret") in pam.judged)
        assert len(pam.judged) <= 1 + 3 + 2, pam.judged
        pam.release()
        assert a.answer(honest)["result"] == OK
        assert {a.answer(call)["result"] for call in flood} == {FAILED} and len(pam.judged) == 1 + 50 + 1
    finally:
        a.end()


def test_system_user(auth, tmp_path):
    """PAM is asked for users of this host and for bare names that nobody has; what the directory has is the directory's."""
    (tmp_path / "passwd").write_text("carl:x:2000:2000::/home/carl:/bin/sh\n")
    d = Directory({"dora": f"password={hashed()}\nmailbox=maildir:/x/y"})
    asked = []

    def pam(_, values):
        asked.append(values["user"])
        return "pam_answer", {"verdict": YES if values["user"] == b"carl" else NO}
    a = House("auth", str(tmp_path), d, asks={"become": lambda *_: ("ticket_kept", {}), "fetch": lambda *_: None, "pam": pam},
              asked_by=["imap-login"], settings={"system_accounts": True, "passwd_file": str(tmp_path / "passwd"), "first_uid": 1,
                                                 "auth_mechanisms": ["PLAIN"]})
    try:
        assert plain(a, "carl", "x")["result"] == OK and d.asked == []
        assert plain(a, "dora", "secret")["result"] == OK and plain(a, "emil", "x")["result"] == FAILED
        assert asked == [b"carl", b"emil"] and d.asked == ["dora", "emil"]
    finally:
        a.end()


def first_of(a, user, client):
    call = a.ask("imap-login", "auth_start", protocol="imap", mechanism="SCRAM-SHA-256", client="192.0.2.1", session_id="s", secure=1,
                 has_initial=1, initial=client.first())
    return a.answer(call)


def test_scram(auth):
    d = Directory({ANNA: scram_row(), "off@hermod.test": scram_row() + "\nstate=disabled", "none@hermod.test": "", "odd@hermod.test": "scram-sha-256=x",
                   "lost@hermod.test": (NOT_SURE, "")}, checks=1)
    a = auth(d, scram_iterations=4096)

    def scram(user, password):
        client = Scram("SCRAM-SHA-256", user, password)
        said = first_of(a, user, client)
        if said["result"] != CONTINUE:
            return said["result"], client
        said = a.answer(a.ask("imap-login", "auth_more", exchange=said["exchange"], response=client.last(said["challenge"])))
        if said["result"] == CONTINUE:
            assert client.proven(said["challenge"])
            said = a.answer(a.ask("imap-login", "auth_more", exchange=said["exchange"]))
        return said["result"], client
    result, client = scram(ANNA, "secret")
    assert result == OK and client.iterations == 4096 and a.tickets[-1]["account"] == ANNA.encode()
    assert scram(ANNA, "wrong")[0] == FAILED and scram("lost@hermod.test", "secret")[0] == UNAVAILABLE
    assert scram("off@hermod.test", "secret")[0] == FAILED
    assert scram("odd@hermod.test", "secret")[0] == UNAVAILABLE and "they are the directory's" in a.log()
    for name in ("nobody@hermod.test", "none@hermod.test"):         # like anybody's, and always the same
        tries = [scram(name, "secret") for _ in range(2)]
        assert [t[0] for t in tries] == [FAILED, FAILED] and tries[0][1].salt == tries[1][1].salt and tries[0][1].iterations == 4096
    assert d.judged == []


def test_cram(auth):
    """It needs the password itself, which is the row's to have, and never that of an account whose password the directory judges."""
    d = Directory({ANNA: "password={PLAIN}secret"})
    a = auth(d)

    def cram():
        call = a.ask("imap-login", "auth_start", protocol="imap", mechanism="CRAM-MD5", client="192.0.2.1", session_id="s", secure=1)
        said = a.answer(call)
        proof = hmac.new(b"secret", said["challenge"], "md5").hexdigest()
        return a.answer(a.ask("imap-login", "auth_more", exchange=said["exchange"], response=f"{ANNA} {proof}"))["result"]
    assert cram() == OK
    d.checks = 1
    assert cram() == FAILED


def certificate(*addresses):
    run = b"".join(struct.pack("<I", len(x)) + x.encode() for x in addresses)
    when = struct.pack("<Q", int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1000))
    return {"addresses": run, "voucher": when + hmac.digest(b"k" * 32, when + run, hashlib.sha256)}


def test_certificates(auth, tmp_path):
    """All addresses of a certificate are asked for at once."""
    (tmp_path / "key").write_bytes(b"k" * 32)
    d = Directory({ANNA: "", "carl@hermod.test": "", "off@hermod.test": "state=disabled", "lost@hermod.test": (NOT_SURE, "")})
    a = auth(d, files={"voucher": tmp_path / "key"})

    def external(addresses, wanted=""):
        d.asked.clear()
        return a.ask("imap-login", "auth_start", protocol="imap", mechanism="EXTERNAL", client="192.0.2.1", session_id="s", secure=1,
                     has_initial=1, initial=wanted, **certificate(*addresses))
    for addresses, wanted, want, account in (
            ([ANNA.upper()], "", OK, ANNA), (["alias@hermod.test", ANNA], "", OK, ANNA), ([ANNA, "carl@hermod.test"], "", FAILED, None),
            ([ANNA, "carl@hermod.test"], "Carl@hermod.test", OK, "carl@hermod.test"), ([BERT, ANNA], BERT, OK, BERT),
            ([ANNA], "nobody@hermod.test", FAILED, None), (["off@hermod.test"], "", FAILED, None), (["lost@hermod.test"], "", UNAVAILABLE, None),
            ([ANNA], "lost@hermod.test", UNAVAILABLE, None)):
        got = a.answer(external(addresses, wanted))
        assert got["result"] == want and (want != OK or got["account"] == account.encode()), (addresses, wanted)
    d.holding = True
    names = [f"x{i}@hermod.test" for i in range(100)] + [ANNA]
    call = external(names)
    d.wait(101)
    assert sorted(d.asked) == sorted(names)
    d.release()
    assert a.answer(call)["account"] == ANNA.encode() and len(d.asked) == 101


def test_tokens(auth):
    d = Directory({ANNA: "", "carl@hermod.test": "", "off@hermod.test": "state=disabled", "lost@hermod.test": (NOT_SURE, "")}, checks=1)

    def fetch(_, values):
        return "token_answer", {"body": json.dumps({"active": True, "email": values["token"].decode()})}
    a = auth(d, fetch=fetch)

    def bearer(owner, user=""):
        call = a.ask("imap-login", "auth_start", protocol="imap", mechanism="OAUTHBEARER", client="192.0.2.1", session_id="s", secure=1,
                     has_initial=1, initial=f"n,{'a=' + user if user else ''},\x01auth=Bearer {owner}\x01\x01")
        return a.answer(call)
    for owner, user, want in ((ANNA, "", OK), (ANNA, "Anna@hermod.test", OK), (ANNA, "carl@hermod.test", CONTINUE),
                              ("nobody@hermod.test", "", CONTINUE), ("off@hermod.test", "", CONTINUE), ("lost@hermod.test", "", UNAVAILABLE),
                              (ANNA, "lost@hermod.test", UNAVAILABLE), ("nobody@hermod.test", ANNA, CONTINUE)):
        assert bearer(owner, user)["result"] == want, (owner, user)
    assert d.judged == []


def test_auth_waits_for_nobody(auth):
    """Answers in any order; whoever needs no directory is let in meanwhile; one of whom is asked no more is forgotten."""
    d = Directory({f"u{i}@hermod.test": "password={PLAIN}" + f"p{i}" for i in range(1000)})
    a = auth(d)
    d.holding = True
    dropped = log_in(a, "u0@hermod.test", "p0", "submission")
    calls = [log_in(a, f"u{i}@hermod.test", f"p{i}") for i in range(1000)]
    d.wait(256)
    assert plain(a, BERT, "bert-secret")["result"] == OK
    assert len(a.answers) == 0
    a.channels["submission"].close()
    a.report()
    d.release(backwards=True)
    for i, call in enumerate(calls):
        got = a.answer(call)
        assert (got["result"], got["account"]) == (OK, f"u{i}@hermod.test".encode())
    assert dropped not in a.answers and a.report()["sessions"] == 0


@pytest.mark.parametrize("checks", [0, 1])
def test_auth_directory_gone(auth, checks):
    """In the middle: names or passwords that it was asked about."""
    d = Directory({ANNA: "password={PLAIN}secret"}, checks, {ANNA: "secret"})
    a = auth(d)
    assert plain(a, ANNA, "secret")["result"] == OK
    hold = threading.Event()
    take = d.take

    def only_names(channel, name, id, values):
        if name == ("directory_check" if checks else "directory_ask"):
            hold.set()
            d.judged.append(())
        else:
            take(channel, name, id, values)
    d.take = only_names
    call = log_in(a, ANNA, "secret")
    assert hold.wait(20 * patience())
    a.lose_directory()
    assert a.answer(call)["result"] == UNAVAILABLE and plain(a, ANNA, "secret")["result"] == UNAVAILABLE
    assert plain(a, BERT, "bert-secret")["result"] == OK and a.log().count(SILENT) == 1
    d.take = take
    a.find_directory()
    wait_for(lambda: plain(a, ANNA, "secret")["result"] == OK, 20 * patience())


def test_auth_directory_silent(auth):
    """The client is told to try again before login gives auth up."""
    d = Directory({ANNA: ""})
    a = auth(d, directory_timeout="1s")
    d.holding = True
    calls = [log_in(a, ANNA, "secret"), log_in(a, "nobody@hermod.test", "secret")]
    for call in calls:
        assert a.answer(call, 40)["result"] == UNAVAILABLE
    assert a.log().count(SILENT) == 1 and a.report()["sessions"] == 0


def test_auth_penalty(auth):
    """What cannot be found out costs nothing; what is wrong does."""
    d = Directory({"lost@hermod.test": (NOT_SURE, "")}, checks=1)
    a = auth(d)
    for _ in range(3):
        assert plain(a, "lost@hermod.test", "x")["result"] == UNAVAILABLE
    assert plain(a, "nobody@hermod.test", "x")["result"] == FAILED
    a.end()
    kept = open(os.path.join(a.folder, "auth", "penalties")).read()
    assert "nobody@hermod.test" in kept and "lost@hermod.test" not in kept
