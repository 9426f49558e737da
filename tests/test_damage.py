# SPDX-License-Identifier: ISC
"""
Files with flipped bits, cut, zeroed or made longer: of the queue they are set aside and shown, and stop nobody; of a
mailbox's ledger and cache they are made again, with the same UIDs for the same messages.
"""
import os
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.servers import Server, refusing_port
from hermodtest.suite import patience

STEP = 64
KINDS = ["flip", "cut", "zero", "extend"]


def harm(octets, kind, at):
    if kind == "flip":
        return octets[:at] + bytes([octets[at] ^ 0x10]) + octets[at + 1:]
    if kind == "cut":
        return octets[:at]
    if kind == "zero":
        return octets[:at] + bytes(min(STEP, len(octets) - at)) + octets[at + STEP:]
    return octets + b"\xa5" * (at + 1)


def rewrite(path, octets):
    """In place: a ledger knows its inode."""
    with open(path, "r+b") as f:
        f.write(octets)
        f.truncate()


def offsets(n, request, short):
    every = range(0, n, STEP)
    if request.config.getoption("--long") or len(every) <= short:
        return list(every)
    return list(every)[::len(every) // short + 1]


def test_queue_files(make_suite, request):
    suite = make_suite(minimal_backoff="1s", uncertain_backoff="200ms")
    blocked = suite.maildir("anna").path
    os.rename(blocked, blocked + ".kept")
    open(blocked, "w").close()
    suite.send("anna", "Subject: original\r\n\r\n" + "A line of the content.\r\n" * 20)
    suite.wait_log("status=deferred")
    wait_for(lambda: suite.queue_files("later"), 10 * patience(), why="a file in later/")
    suite.stop()
    first = suite.queue_files("later")[0]
    whole, st = open(first, "rb").read(), os.stat(first)
    os.unlink(first)
    os.unlink(blocked)
    os.rename(blocked + ".kept", blocked)
    folder = os.path.join(suite.queue, "active")
    made = 0
    for kind in KINDS:
        for at in offsets(len(whole), request, 12):
            made += 1
            path = os.path.join(folder, f"3X2x{kind}{at:08d}")
            with open(path, "wb") as f:
                f.write(harm(whole, kind, at))
            os.chown(path, st.st_uid, st.st_gid)
            os.chmod(path, 0o600)
    suite.start()
    suite.send("bert")
    suite.maildir("bert").wait(1)               # nobody is held up
    wait_for(lambda: not suite.queue_files("active") and not suite.queue_files("new"), 60 * patience(),
             why=lambda: suite.queue_files("active")[:5])
    corrupt = [os.path.basename(f) for f in suite.queue_files("corrupt")]
    delivered = suite.maildir("anna").messages()
    held = suite.queue_files("hold") + suite.queue_files("later")
    assert corrupt and len(corrupt) + len(delivered) + len(held) == made, (len(corrupt), len(delivered), held, made)
    for m in delivered:                         # what was harmed where nothing is read is the message itself
        assert m.endswith(b"Subject: original\n\n" + b"A line of the content.\n" * 20)
    for name in corrupt:
        suite.wait_log(rf"{name} is damaged: set aside")
    shown = suite.hermod("queue", "list").stdout
    assert all(name in shown for name in corrupt[:5]), shown[:2000]
    assert sum("extend" in n for n in corrupt) == 0     # what is behind the end is nobody's


def ids(suite):
    c = suite.pop3("anna")
    out = [line.split()[1] for line in c.uidl()[1]], [line.split()[1] for line in c.list()[1]]
    c.quit()
    return out


@pytest.mark.parametrize("names", [["hermod.ledger"], ["hermod.ledger2"], ["hermod.cache"]])
def test_one_file_of_a_mailbox(make_suite, request, names):
    suite = make_suite(login_client_rate=100000)
    for i in range(5):
        suite.send("anna")
        suite.maildir("anna").wait(i + 1)
    before = ids(suite)
    for name in names:
        path = os.path.join(suite.maildir("anna").path, name)
        for kind in KINDS:
            for at in offsets(os.path.getsize(path), request, 4):
                rewrite(path, harm(open(path, "rb").read(), kind, min(at, os.path.getsize(path) - 1)))
                assert ids(suite) == before, (name, kind, at)


def test_both_ledgers(make_suite):
    """Then nobody knows: UIDVALIDITY changes, the journal says so, and mail is there as ever."""
    suite = make_suite()
    suite.send("anna")
    suite.maildir("anna").wait(1)
    before = ids(suite)
    time.sleep(1.1)                             # a new UIDVALIDITY is the time in seconds
    for name in ("hermod.ledger", "hermod.ledger2"):
        rewrite(os.path.join(suite.maildir("anna").path, name), b"nothing of the kind")
    after = ids(suite)
    assert after != before and len(after[0]) == 1
    suite.wait_log("both copies of the ledger are lost")
    assert ids(suite) == after


def test_note_of_a_next_hop(make_suite, request):
    """It is a cache: whatever becomes of it, the messages beside it are tried, and told of by nobody."""
    port = refusing_port()
    suite = make_suite(trusted_networks=["127.0.0.0/8"], smtp_allow_loopback=True, routes=[f"down.test smtp:[127.0.0.1]:{port}"],
                       minimal_backoff="1h", maximal_backoff="1h", early_delivery_time="0s")
    for i in range(3):
        suite.send(f"u{i}@down.test")
    wait_for(lambda: len(suite.queue_files("down")) == 3, 30 * patience(), why=suite.queue_files)
    suite.stop()
    note, = [os.path.join(d, ".note") for d, _, files in os.walk(os.path.join(suite.queue, "down")) if ".note" in files]
    whole, st = open(note, "rb").read(), os.stat(note)
    tried = 0
    for kind in KINDS:
        for at in offsets(len(whole), request, 3):
            before = suite.log().count("status=deferred")
            with open(note, "wb") as f:
                f.write(harm(whole, kind, at))
            os.chown(note, st.st_uid, st.st_gid)
            suite.start()
            time.sleep(0.3)
            suite.stop()
            # By its time, or at once by one of them; never by all.
            assert suite.log().count("status=deferred") - before <= 1
            tried += suite.log().count("status=deferred") - before
            assert len(suite.queue_files("down")) == 3 and not suite.queue_files("corrupt"), (kind, at)
    print(f"{tried} attempts")
    with Server(port=port) as server:
        suite.start()
        suite.hermod("queue", "flush")
        wait_for(lambda: len(server.mails) == 3, 30 * patience(), why=suite.log)
        suite.wait_queue_empty()
