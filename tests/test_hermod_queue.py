# SPDX-License-Identifier: ISC
"""hermod queue: what waits, for people and as JSON, which nothing changes that only looks; and the orders about it, given to
qmgr while the suite runs, carried out by the command itself while it does not."""
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from hermodtest.alone import Channel, split_run
from hermodtest.proc import wait_for
from hermodtest.suite import patience

SLOW = dict(minimal_backoff="1h", maximal_backoff="1h")
SETTINGS = SLOW
VERBS = ["flush", "hold", "release", "requeue", "delete", "edit"]       # enum queue_verb
OBEYED, BUSY = 0, 1                                                     # enum queue_obeyed


def waiting(suite, *mails):
    """(recipients, sender) each become a message that waits; their ids in this order. (Ids are given when files are made,
    which may be before their messages come.)"""
    for to, sender in mails:
        suite.send(to, sender=sender)
    wait_for(lambda: len(suite.queue_files("later")) == len(mails), 20 * patience(), why="they are deferred")
    by_sender = {e["sender"]: e["id"] for e in suite.hermod_json("queue", "list")}
    return [by_sender[sender] for _, sender in mails]


def ids(suite, *args):
    return sorted(e["id"] for e in suite.hermod_json("queue", "list", *args))


def order(suite, *args, check=True, **how):
    """(what became of each message, the last line's numbers)"""
    r = suite.hermod("--json", "queue", *args, check=check, **how)
    lines = [json.loads(line) for line in r.stdout.splitlines()]
    return {m["id"]: m["result"] for m in lines[:-1]}, lines[-1]


def known(suite):
    """qmgr has heard of all mail that was taken before: it has answered an order since."""
    order(suite, "hold", "2222222222222222", check=False)


@pytest.fixture
def held(suite):
    """One message that waits: local stands still."""
    for pid in suite.pids("local"):
        os.kill(pid, signal.SIGSTOP)
    suite.send(["anna", "bert"])
    wait_for(lambda: suite.queue_files(), 10 * patience())
    known(suite)
    yield suite
    for pid in suite.pids("local"):
        os.kill(pid, signal.SIGCONT)


def test_list_and_show(held):
    owner = os.stat(held.queue_files()[0])
    (entry,) = held.hermod_json("queue", "list")
    assert entry["sender"] == "sender@client.test" and entry["place"] in ("new", "active")
    assert sorted(r["address"] for r in entry["recipients"]) == ["anna@hermod.test", "bert@hermod.test"]
    table = held.hermod("queue", "list").stdout
    assert re.search(rf"^ID .*\n{entry['id']} .*anna@hermod\.test and 1 more", table, re.M) and "1 message\n" in table
    shown = held.hermod("queue", "show", entry["id"]).stdout
    assert "anna@hermod.test" in shown and "waiting" in shown
    content = held.hermod("queue", "show", entry["id"], "--content").stdout
    assert "Subject: test" in content and content.endswith("Hello.\n")
    (json_shown,) = held.hermod_json("queue", "show", entry["id"])
    assert "Subject: test" in json_shown["header"] and "Hello" not in json_shown["header"] and "body" not in json_shown
    assert {k: json_shown[k] for k in entry} == entry
    assert held.hermod_json("queue", "show", entry["id"], "--body")[0]["body"].endswith("Hello.\r\n")
    assert "Subject: test" in shown and "Hello." not in shown
    assert held.hermod("queue", "show", entry["id"], "--body").stdout.endswith("Hello.\n")
    now = os.stat(held.queue_files()[0])
    assert (now.st_uid, now.st_mode, now.st_size) == (owner.st_uid, owner.st_mode, owner.st_size)


def test_an_empty_queue(shared_suite):
    assert shared_suite.hermod("queue", "list").stdout == "0 messages\n"
    assert shared_suite.hermod_json("queue", "list") == []
    r = shared_suite.hermod("queue", "show", "nosuch", check=False)
    assert r.returncode == 1 and "no such message" in r.stderr


def test_a_damaged_file_is_shown(shared_suite):
    shared_suite.stop()
    path = os.path.join(shared_suite.queue, "corrupt", "3X2xGv6XhXmcf8WQ")
    with open(path, "wb") as f:
        f.write(b"\0" * 5000)
    owner = os.stat(shared_suite.queue)
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)
    (entry,) = shared_suite.hermod_json("queue", "list")
    assert entry["id"] == "3X2xGv6XhXmcf8WQ" and entry["place"] == "corrupt" and "damaged" in entry["reason"]
    assert "damaged" in shared_suite.hermod("queue", "list").stdout
    os.unlink(path)
    shared_suite.start()


# ---- which ----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def three(shared_suite):
    """Three that wait: anna's from one@, bert's from two@, both's from the null sender."""
    return shared_suite, three_of(shared_suite)


def three_of(suite):
    for user in ("anna", "bert"):
        suite.block(user)
    return waiting(suite, ("anna", "one@client.test"), ("bert", "two@client.test"), (["anna", "bert"], ""))


FILTERS = [
    (["--sender", "one@client.test"], [0]),
    (["--sender", "ONE@*"], [0]),
    (["--sender", "<>"], [2]),
    (["--sender", "*@client.test"], [0, 1]),
    (["--sender=t?o@client.test"], [1]),
    (["--recipient", "anna@hermod.test"], [0, 2]),
    (["--recipient", "*"], [0, 1, 2]),
    (["--recipient", "anna*", "--sender", "<>"], [2]),
    (["--domain", "hermod.test"], [0, 1, 2]),
    (["--domain", "*.example"], []),
    (["--nexthop", "bert@hermod.test"], [1, 2]),
    (["--nexthop", "anna*"], [0, 2]),
    (["--reason", "no directory"], None),
    (["--reason", "nothing of the kind"], []),
    (["--older", "1h"], []),
    (["--younger", "1h"], [0, 1, 2]),
    (["--place", "later"], [0, 1, 2]),
    (["--status", "deferred"], [0, 1, 2]),
    (["--place", "new,active,hold,corrupt"], []),
]


@pytest.mark.parametrize("args,want", FILTERS, ids=[" ".join(f[0]) for f in FILTERS])
def test_filters(three, args, want):
    suite, all_ids = three
    if want is not None:
        want = sorted(all_ids[i] for i in want)
        assert ids(suite, *args) == want
        results, n = order(suite, "delete", "--dry-run", *args)
        assert sorted(results) == want, "qmgr means others than the list shows"
        assert n["done"] == len(want) and n["dry_run"]
    assert ids(suite) == sorted(all_ids)


def test_a_reason_is_a_part_of_it(three):
    suite, all_ids = three
    reason = suite.hermod_json("queue", "list")[0]["reason"]
    assert ids(suite, "--reason", reason[2:20].upper()) == sorted(all_ids)
    assert ids(suite, "--reason", reason[:10] + "*") == sorted(all_ids) and ids(suite, "--reason", "?" + reason) == []


def test_counts(three):
    suite, _ = three
    by = suite.hermod_json("queue", "list", "--count-by", "destination")
    assert {e["destination"]: (e["messages"], e["recipients"]) for e in by} == \
        {"anna@hermod.test": (2, 2), "bert@hermod.test": (2, 2)}
    by = suite.hermod_json("queue", "list", "--count-by", "sender")
    assert {e["sender"]: (e["messages"], e["recipients"]) for e in by} == \
        {"one@client.test": (1, 1), "two@client.test": (1, 1), "<>": (1, 2)}
    (by,) = suite.hermod_json("queue", "list", "--count-by", "age")
    assert by["age"] == "under 5m" and by["messages"] == 3 and by["oldest"] <= time.time()
    by = suite.hermod_json("queue", "list", "--count-by", "reason")
    assert sum(e["recipients"] for e in by) == 4
    table = suite.hermod("queue", "list", "--count-by", "sender", "--recipient", "bert*").stdout
    assert re.search(r"^ *1 +2 .* <>$", table, re.M) and re.search(r"^ *1 +1 .* two@client.test$", table, re.M)
    assert len(table.splitlines()) == 3


def test_wrong_use(three):
    suite, all_ids = three
    for args in (["delete"], ["hold"], ["delete", "--sender"], ["delete", "--older", "soon", "--all"], ["edit", all_ids[0]],
                 ["delete", all_ids[0], "--sender", "x"], ["delete", all_ids[0], "--all"], ["list", "--place", "nowhere"],
                 ["list", "--count-by", "size"], ["hold", "--what"], ["delete", "x" * 40], ["edit", all_ids[0], "--add", "a b@c"],
                 ["edit", all_ids[0], "--replace", "a@b.example"], ["show"], ["show", "a", "b"], ["delete", "--sender", ""]):
        assert suite.hermod("queue", *args, check=False).returncode == 64, args
    assert ids(suite) == sorted(all_ids)


def test_what_is_not_there(three):
    suite, all_ids = three
    r = suite.hermod("queue", "delete", "2222222222222222", "nosuch", check=False)
    assert r.returncode == 1 and r.stdout.count("no such message") == 2 and "0 messages deleted, 2 not" in r.stdout
    assert ids(suite) == sorted(all_ids)


# ---- orders --------------------------------------------------------------------------------------

def down(suite):
    suite.stop()


def up(suite):
    pass


@pytest.fixture(params=[up, down], ids=["up", "down"])
def able(request, make_suite):
    """(suite, ids of three that wait); the suite runs, or does not."""
    suite = make_suite(**SLOW)
    found = three_of(suite)
    request.param(suite)
    return suite, found


def places(suite):
    return {e["id"]: e["place"] for e in suite.hermod_json("queue", "list")}


def test_hold_and_release(able):
    suite, found = able
    results, n = order(suite, "hold", "--recipient", "anna@*", "--note", "a question to anna")
    assert results == {found[0]: "done", found[2]: "done"} and n["done"] == 2
    assert places(suite) == {found[0]: "hold", found[1]: "later", found[2]: "hold"}
    assert [e["reason"] for e in suite.hermod_json("queue", "list", "--place", "hold")] == 2 * ["a question to anna"]
    assert order(suite, "flush", found[0], check=False)[0] == {found[0]: "needless"}
    assert order(suite, "release", found[1], check=False)[0] == {found[1]: "needless"}
    results, n = order(suite, "release", found[0])
    assert results == {found[0]: "done"}
    assert order(suite, "release", "--all")[0] == {found[2]: "done"}
    for user in ("anna", "bert"):
        suite.unblock(user)
    suite.start() if not suite.master_pid() else None
    suite.maildir("anna").wait(2)
    order(suite, "flush")
    suite.wait_queue_empty()
    assert len(suite.maildir("anna").messages()) == len(suite.maildir("bert").messages()) == 2


@pytest.mark.faults
def test_the_sync_of_many_fails(make_suite):
    """Nobody is told that it is done; another order does it."""
    suite = make_suite(start=False, **SLOW)
    suite.env = {"HERMOD_FAULT": "qmgr:syncfs:2:EIO,qmgr:futimens:1:EIO"}       # as the file system has it
    suite.start()
    found = three_of(suite)
    results, n = order(suite, "hold", "--all", check=False)
    assert results == {i: "failed" for i in found} and n["failed"] == 3
    assert places(suite) == {i: "later" for i in found}
    results, n = order(suite, "hold", "--all")
    assert results == {i: "done" for i in found} and places(suite) == {i: "hold" for i in found}
    wait_for(lambda: suite.log().count("cannot be written: Input/output error") >= 4, 10 * patience())
    assert suite.log().count("cannot be written: Input/output error") == 4      # of one the queue says so, of each the order


def test_delete(able):
    suite, found = able
    results, n = order(suite, "delete", found[1], found[1], "2222222222222222", check=False)
    assert results == {found[1]: "done", "2222222222222222": "failed"} and (n["done"], n["failed"]) == (1, 1)
    assert ids(suite) == sorted([found[0], found[2]])
    order(suite, "hold", found[0])
    results, n = order(suite, "delete", "--all")
    assert sorted(results) == sorted([found[0], found[2]]) and ids(suite) == []
    who = "qmgr" if suite.master_pid() else "hermod"
    suite.wait_log(rf"hermod/{who}\[\d+\]: {found[1]}: from=<two@client\.test> nrcpt=1 status=deleted uid={os.getuid()}$")
    assert "status=deleted" in suite.hermod("trace", found[1]).stdout


def test_ids_from_standard_input(able):
    suite, found = able
    results, n = order(suite, "hold", "-", input="".join(f"{i}\n" for i in found[:2]) + "\n")
    assert results == {i: "done" for i in found[:2]} and places(suite) == \
        {found[0]: "hold", found[1]: "hold", found[2]: "later"}


def test_flush(able):
    suite, found = able
    for user in ("anna", "bert"):
        suite.unblock(user)
    assert order(suite, "flush", "--nexthop", "bert@hermod.test", "--sender", "two*")[0] == {found[1]: "done"}
    if not suite.master_pid():
        suite.start()
    suite.maildir("bert").wait(1)
    assert suite.maildir("anna").messages() == []
    assert order(suite, "flush", found[0])[0] == {found[0]: "done"}
    suite.maildir("anna").wait(1)
    assert re.fullmatch(r"\d messages? flushed\n", suite.hermod("queue", "flush").stdout)
    suite.wait_queue_empty()


def test_edit_the_sender(able):
    suite, found = able
    order(suite, "edit", found[0], "--set-sender", "new@client.test")
    order(suite, "edit", "--sender", "two@*", "--set-sender", "<>")
    assert {e["id"]: e["sender"] for e in suite.hermod_json("queue", "list")} == \
        {found[0]: "new@client.test", found[1]: "", found[2]: ""}


def test_requeue(able):
    suite, found = able
    order(suite, "hold", found[0])
    assert order(suite, "requeue", found[0])[0] == {found[0]: "done"}
    entry = [e for e in suite.hermod_json("queue", "list") if e["id"] == found[0]][0]
    assert entry["reason"] != "held by the administrator"
    if not suite.master_pid():
        assert entry["attempts"] == 0 and entry["recipients"][0]["nexthop"] == ""
        suite.start()
    wait_for(lambda: suite.hermod_json("queue", "show", found[0])[0]["attempts"] == 1
             and suite.hermod_json("queue", "show", found[0])[0]["place"] == "later", 20 * patience())
    assert suite.hermod_json("queue", "show", found[0])[0]["recipients"][0]["nexthop"] == "anna@hermod.test"
    suite.unblock("anna")
    order(suite, "flush", found[0])
    suite.maildir("anna").wait(1)


def test_a_damaged_file_can_be_deleted(able):
    suite, found = able
    path = os.path.join(suite.queue, "corrupt", "3X2xGv6XhXmcf8WQ.1")
    with open(path, "wb") as f:
        f.write(b"\0" * 5000)
    if os.geteuid() == 0:
        os.chown(path, os.stat(suite.queue).st_uid, os.stat(suite.queue).st_gid)
    assert order(suite, "hold", "3X2xGv6XhXmcf8WQ", check=False)[0] == {"3X2xGv6XhXmcf8WQ": "failed"}
    order(suite, "delete", "--all")
    assert os.path.exists(path) and len(ids(suite)) == 1
    assert order(suite, "delete", "3X2xGv6XhXmcf8WQ")[0] == {"3X2xGv6XhXmcf8WQ": "done"}
    assert ids(suite) == []


def test_there_is_no_log(make_suite):
    """The order is carried out, and a person is told that it is not noted; nobody makes a file that is not the journal's."""
    suite = make_suite(**SLOW)
    found = three_of(suite)
    suite.stop()
    os.rename(suite.log_file, suite.log_file + ".1")
    for verb, bad in (("hold", None), ("release", os.symlink), ("hold", os.link)):
        if bad:
            bad(suite.log_file + ".1", suite.log_file)
        r = suite.hermod("queue", verb, "--all")
        assert f"{len(found)} messages" in r.stdout and "what is done now is not noted there" in r.stderr
        assert os.path.lexists(suite.log_file) == bool(bad) and "uid=" not in open(suite.log_file + ".1").read()
        if bad:
            os.unlink(suite.log_file)
    os.rename(suite.log_file + ".1", suite.log_file)


# ---- while it runs ------------------------------------------------------------------------------------

@pytest.mark.settings(**SLOW)
def test_edit_recipients(suite):
    suite.add_account("carl")
    found = three_of(suite)
    with open(os.path.join(suite.dir, "etc", "aliases"), "a") as f:
        f.write("team: carl, bert\n")
    suite.hermod("reload")
    r = suite.hermod("queue", "edit", found[0], "--add", "nobody@hermod.test", check=False)
    assert r.returncode == 1 and "nobody@hermod.test: 550 5.1.1" in r.stderr
    r = suite.hermod("queue", "edit", found[0], "--remove", "anna@hermod.test", check=False)
    assert r.returncode == 1 and "no recipient would be left" in r.stdout
    assert order(suite, "edit", found[0], "--remove", "carl@*", check=False)[0] == {found[0]: "failed"}
    order(suite, "edit", found[0], "--replace", "anna@hermod.test", "team")
    suite.maildir("carl").wait(1)
    wait_for(lambda: suite.hermod_json("queue", "show", found[0])[0]["place"] == "later", 20 * patience())
    assert {r["address"]: r["state"] for r in suite.hermod_json("queue", "show", found[0])[0]["recipients"]} == \
        {"carl@hermod.test": "delivered", "bert@hermod.test": "waiting"}
    order(suite, "edit", found[2], "--remove", "bert@*", "--add", "carl@hermod.test")
    suite.maildir("carl").wait(2)
    for user in ("anna", "bert"):
        suite.unblock(user)
    order(suite, "flush")
    suite.wait_queue_empty()
    assert len(suite.maildir("anna").messages()) == 1 and len(suite.maildir("bert").messages()) == 2
    assert len(suite.maildir("carl").messages()) == 2


@pytest.mark.settings(early_delivery_time="0s", **SLOW)
@pytest.mark.parametrize("verb,place", [("hold", "hold"), ("delete", None)])
def test_a_message_that_is_being_delivered(held, verb, place):
    (entry,) = held.hermod_json("queue", "list")
    results, n = order(held, verb, entry["id"])
    assert results == {entry["id"]: "busy"} and n["busy"] == 1
    assert len(held.queue_files()) == 1
    for pid in held.pids("local"):
        os.kill(pid, signal.SIGCONT)
    held.maildir("anna").wait(1)
    held.maildir("bert").wait(1)
    held.wait_queue_empty()		# all was delivered: then there is nothing left to hold


@pytest.mark.settings(early_delivery_time="0s", local_concurrency=1, **SLOW)
@pytest.mark.parametrize("verb", ["hold", "delete", "requeue"])
def test_what_is_not_begun_is_taken_back(suite, verb):
    """Of three messages one can be delivered at a time, and that one stands still."""
    for pid in suite.pids("local"):
        os.kill(pid, signal.SIGSTOP)
    for _ in range(3):
        suite.send("anna")
    wait_for(lambda: len(suite.queue_files()) == 3, 10 * patience())
    known(suite)
    results, n = order(suite, verb, "--all")
    assert n["busy"] == 1 and n["done"] == 2
    wait_for(lambda: len(suite.queue_files()) == {"hold": 3, "delete": 1, "requeue": 3}[verb], 5 * patience())
    for pid in suite.pids("local"):
        os.kill(pid, signal.SIGCONT)
    if verb == "requeue":
        suite.maildir("anna").wait(3)
        suite.wait_queue_empty()
        return
    suite.maildir("anna").wait(1)
    wait_for(lambda: len(suite.queue_files()) == {"hold": 2, "delete": 0}[verb], 10 * patience())
    time.sleep(1)
    assert len(suite.maildir("anna").messages()) == 1
    if verb == "hold":
        assert order(suite, "release", "--all")[1]["done"] == 2
        suite.maildir("anna").wait(3)
        suite.wait_queue_empty()


@pytest.mark.settings(early_delivery_time="0s", **SLOW)
def test_delete_with_another_name(suite):
    """A power cut can leave a message two names: what was deleted by one is not delivered by the other."""
    suite.block("anna")
    for p in suite.processes("local"):
        p.kill(signal.SIGSTOP)
    suite.send("anna")
    (path,) = wait_for(suite.queue_files, 10 * patience())
    known(suite)
    bucket = os.path.join(suite.queue, "later", "00000001")
    os.mkdir(bucket, 0o700)
    os.chown(bucket, os.stat(path).st_uid, os.stat(path).st_gid)
    message = os.path.basename(path)
    os.link(path, os.path.join(bucket, message + "-m"))
    assert order(suite, "delete", message)[0] == {message: "busy"}
    for p in suite.processes("local"):
        p.kill(signal.SIGCONT)
    suite.wait_log(f"{message}: from=<sender@client.test> nrcpt=1 status=deleted")
    suite.unblock("anna")
    suite.wait_queue_empty()
    assert suite.maildir("anna").messages() == [] and suite.log().count("status=deferred") == 1


class Paused:
    """An order that has begun, and has come to down/, where it waits since nobody takes its answers."""
    UNREAD = 8                              # qmgr/control.c

    def __init__(self, suite, verb):
        """Names in a directory of down/, all of one message that somebody has locked, make it say so much."""
        (message,) = suite.queue_files("later")
        self.lock = open(message)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.hop = os.path.join(suite.queue, "down", "0" * 8)
        os.mkdir(self.hop, 0o700)
        owner = os.stat(message)
        os.chown(self.hop, owner.st_uid, owner.st_gid)
        for n in range(600 * self.UNREAD):
            os.link(message, os.path.join(self.hop, f"{n:016}".translate(str.maketrans("0123456789", "FGHJMPQRVW"))))
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(os.path.join(suite.dir, "run", "queue.sock"))
        self.channel, self.results = Channel(sock), {}
        self.channel.send("queue_order", 1, verb=VERBS.index(verb))
        while self.results.keys() <= {os.path.basename(message).split("-")[0]}:
            self.take()
        for _ in range(self.UNREAD - 1):
            self.take()

    def take(self):
        name, _, values = self.channel.receive(60 * patience())
        assert name == "queue_obeyed" and values["fault"] == b"", values
        self.results.update({r["queue_id"].decode(): r["result"] for r in split_run("queue_result", values["results"])})
        return values["more"]

    def go_on(self):
        """To its end."""
        for _ in range(self.UNREAD):
            self.channel.send("queue_go_on")
        while self.take():
            self.channel.send("queue_go_on")
        self.channel.close()
        self.lock.close()
        shutil.rmtree(self.hop)


@pytest.mark.settings(early_delivery_time="1m", **SLOW)
@pytest.mark.parametrize("verb,place", [("hold", "hold"), ("delete", None)])
def test_a_message_gets_its_name_while_an_order_is_under_way(suite, verb, place):
    """It is offered for delivery before it has one, and the order meets it neither in memory, where it is to be asked for by its id, nor
    in a directory that it is behind."""
    suite.block("anna")
    waiting(suite, ("anna", "one@client.test"))
    for p in suite.processes("local"):
        p.kill(signal.SIGSTOP)
    sending = threading.Thread(target=suite.send, args=("anna",), daemon=True)
    sending.start()

    def in_memory():
        return sum(s["sessions"] for s in suite.hermod_json("status") if s["service"] == "qmgr")
    wait_for(lambda: in_memory() == 1, 20 * patience())
    order = Paused(suite, verb)
    for p in suite.processes("local"):
        p.kill(signal.SIGCONT)
    sending.join(60 * patience())
    wait_for(lambda: in_memory() == 0, 20 * patience())         # not by the journal, which so many refusals are too much for
    order.go_on()
    assert [len(suite.queue_files(p)) for p in ("later", "hold")] == [1, 1 if place else 0]
    assert [result in (OBEYED, BUSY) for result in order.results.values()].count(True) == 1


@pytest.mark.settings(**SLOW)
def test_holds_outlive_a_crash(suite):
    found = three_of(suite)
    order(suite, "hold", found[0], found[2])
    suite.kill("qmgr")
    order(suite, "flush")
    assert places(suite)[found[0]] == places(suite)[found[2]] == "hold"


@pytest.mark.parametrize("state", [up, down], ids=["up", "down"])
def test_only_root_and_the_queues_user(shared_suite, state):
    if os.geteuid() != 0:
        pytest.skip("needs root")

    def as_user(uid, *args):
        return subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                               os.path.join(shared_suite.build, "bin", "hermod"), "-c", shared_suite.conf, *args],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=shared_suite.environment(),
                              timeout=60 * patience())
    state(shared_suite)
    owner = os.stat(shared_suite.queue)
    for args in (["flush"], ["hold", "--all"], ["delete", "2222222222222222"]):
        r = as_user(65534, "queue", *args)
        assert r.returncode == 77 and len(r.stdout.splitlines()) == 1, r.stdout
        assert f"{shared_suite.queue}: only root and the queue's user may give orders about it" in r.stdout
    assert as_user(owner.st_uid, "queue", "flush", "--dry-run").returncode == 0
    if state is up:
        r = as_user(65534, "explain", "--client", "192.0.2.1", "--to", "anna@hermod.test")
        assert r.returncode == 77 and "only root" in r.stdout, r.stdout
    shared_suite.start() if state is down else None
