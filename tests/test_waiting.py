# SPDX-License-Identifier: ISC
"""
What waits is waked: no message and no next hop waits for something that nobody will ever do.
"""
import os
import signal
import struct
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.servers import Server, refusing_port
from hermodtest.suite import patience
from test_hermod_queue import known, order
from test_schedule import SETTINGS, Counting, arrive, route, send_many, subjects

SLOW = {"minimal_backoff": "1h", "maximal_backoff": "1h"}


@pytest.fixture
def relaying(make_suite):
    """A suite, by its routes and settings."""
    return lambda *routes, **settings: make_suite(**{**SETTINGS, **settings, "routes": list(routes)})


@pytest.fixture
def sink():
    with Server() as server:
        yield server


@pytest.fixture
def gate():
    """A server where each message waits until gate.gate is set."""
    with Counting() as server:
        yield server
        server.gate.set()


def wait_in(suite, place, n):
    return wait_for(lambda: len(suite.queue_files(place)) == n and suite.queue_files(place), 30 * patience(),
                    why=lambda: suite.queue_files())


# ---- an order, and what becomes of the message otherwise ----

@pytest.mark.parametrize("verb", ["delete", "hold", "requeue"])
def test_order_while_the_sender_is_told(relaying, verb):
    """The message stays until bounce has answered; then there is nothing left to obey for."""
    with Server(rcpt="550 5.1.1 no") as server:
        suite = relaying(route("no.test", server), early_delivery_time="0s")
        suite.kill("bounce", signal.SIGSTOP)
        try:
            suite.send("a@no.test", sender="anna@hermod.test")
            suite.wait_log("status=failed")
            file, = suite.queue_files()
            results, _ = order(suite, verb, os.path.basename(file), check=False)
            assert list(results.values()) == ["busy"]
        finally:
            suite.kill("bounce", signal.SIGCONT)
        suite.maildir("anna").wait(1)
        suite.wait_queue_empty()
        assert not suite.crashes()


def test_flush_of_what_waits_for_one_of_two(relaying, gate):
    """In memory for one next hop; for the other, which is down, it is not being tried: it is, once it has gone to wait there."""
    port = refusing_port()
    suite = relaying(route("dead.test", port), route("slow.test", gate), **SLOW)
    suite.send(["a@dead.test", "b@slow.test"])
    suite.wait_log("down, next attempt")
    wait_for(lambda: gate.now == 1, 20 * patience())
    file, = suite.queue_files()
    results, _ = order(suite, "flush", os.path.basename(file))
    assert list(results.values()) == ["done"]
    with Server(port=port) as back:
        gate.gate.set()
        arrive(back, 1)
        suite.wait_queue_empty()


def test_flush_of_what_waits_for_two(relaying):
    """Both are down, and nothing else waits for them: a flush of all has them tried."""
    ports = refusing_port(), refusing_port()
    suite = relaying(route("one.test", ports[0]), route("two.test", ports[1]), **SLOW)
    suite.send(["a@one.test", "b@two.test"])
    wait_for(lambda: suite.log().count("down, next attempt") == 2, 20 * patience())
    wait_in(suite, "later", 1)
    with Server(port=ports[0]) as one, Server(port=ports[1]) as two:
        order(suite, "flush", "--all")
        arrive(one, 1)
        arrive(two, 1)
        suite.wait_queue_empty()


def test_order_that_cannot_be_obeyed(relaying, gate):
    """It leaves the message on its way."""
    suite = relaying(route("slow.test", gate), smtp_destination_concurrency=1, **SLOW)
    send_many(suite, 3, "a@slow.test")
    wait_for(lambda: gate.now == 1, 20 * patience())
    known(suite)
    _, numbers = order(suite, "edit", "--all", "--remove", "nobody@slow.test", check=False)
    assert numbers["failed"] >= 2
    gate.gate.set()
    arrive(gate, 3)
    suite.wait_queue_empty()


def test_file_that_somebody_removes(relaying, gate):
    """What is in memory, and has no name any more, is done with when its deliveries are over, whatever their end."""
    port = refusing_port()
    suite = relaying(route("slow.test", gate), route("dead.test", port), early_delivery_time="0s", **SLOW)
    suite.send("a@slow.test")
    wait_for(lambda: gate.now == 1, 20 * patience())
    suite.send(["b@slow.test", "b@dead.test"])
    suite.wait_log("down, next attempt")
    for f in suite.queue_files():
        os.unlink(f)
    gate.gate.set()
    arrive(gate, 2)
    wait_for(lambda: suite.log().count("status=delivered") == 2, 10 * patience())
    known(suite)
    assert order(suite, "flush", "--all", "--dry-run")[1]["looked"] == 0


# ---- scans ----

def test_more_in_memory_than_a_scan_takes_at_once(relaying, gate):
    """What is in memory already does not keep a scan from coming to what follows."""
    suite = relaying(route("slow.test", gate), smtp_destination_concurrency=1, **SLOW)
    suite.block("anna")
    suite.send("anna")
    wait_in(suite, "later", 1)
    send_many(suite, 520, "a@slow.test")
    known(suite)
    suite.kill("qmgr")
    suite.unblock("anna")
    suite.wait_log("qmgr", after=0)
    wait_for(lambda: suite.processes("qmgr"), 20 * patience())
    known(suite)
    order(suite, "flush", "--recipient", "anna*")
    suite.maildir("anna").wait(1)


def test_two_names_for_one_message(relaying):
    """As a power cut may leave it: it is delivered once."""
    said = ["451 4.3.0 not now"]
    with Server(rcpt=lambda s: said[0]) as server:
        suite = relaying(route("sink.test", server), **SLOW)
        suite.send("a@sink.test")
        file, = wait_in(suite, "later", 1)
        os.link(file, os.path.join(suite.queue, "active", os.path.basename(file).split("-")[0]))
        said[0] = "250 2.1.5 ok"
        order(suite, "flush", "--place", "later", "--all")
        suite.wait_queue_empty(150)
        assert len(server.mails) == 1


def test_put_into_down_by_hand(relaying, sink):
    """A directory of down/ that nobody made who would know of it: it is found within a minute."""
    suite = relaying(route("sink.test", sink), **SLOW)
    suite.block("anna")
    suite.send(["anna", "a@sink.test"])
    arrive(sink, 1)
    file, = wait_in(suite, "later", 1)
    suite.unblock("anna")
    folder = os.path.join(suite.queue, "down", "01234567")
    os.mkdir(folder, 0o700)
    os.chown(folder, os.stat(suite.queue).st_uid, os.stat(suite.queue).st_gid)
    os.rename(file, os.path.join(folder, os.path.basename(file).split("-")[0]))
    suite.maildir("anna").wait(1, 90 * patience())
    suite.wait_queue_empty()


# ---- next hops that are down ----

def test_one_that_has_no_route(relaying):
    """Its own trouble does not keep the others, who wait for the same next hop, from trying it."""
    port = refusing_port()
    suite = relaying(*[route(f"d{i}.test", port) for i in range(4)], **SLOW)
    for i in range(4):
        suite.send(f"a@d{i}.test", f"Subject: {i}\r\n\r\nx\r\n")
    file = wait_in(suite, "down", 4)[0]
    folder = os.path.dirname(file)
    by_id = {e["id"]: e["recipients"][0]["address"] for e in suite.hermod_json("queue", "list")}
    first = next(n for n in os.listdir(folder) if not n.startswith("."))
    domain = by_id[first].split("@")[1]
    suite.stop()
    suite.write_conf(routes=[f"{domain} error:4.7.1 not now"] + [route(f"d{i}.test", port) for i in range(4) if f"d{i}.test" != domain])
    with Server(port=port) as back:
        suite.start()
        order(suite, "flush", "--all")
        arrive(back, 3)
        wait_in(suite, "later", 1)


def test_route_that_changes(relaying, sink):
    """What waits for a next hop that it does not go to any more goes where it goes now, one after the other."""
    port = refusing_port()
    suite = relaying(route("dead.test", port), **SLOW)
    send_many(suite, 5, "a@dead.test")
    wait_in(suite, "down", 5)
    suite.stop()
    suite.write_conf(routes=[route("dead.test", sink)])
    suite.start()
    order(suite, "flush", "--all")
    arrive(sink, 5)
    suite.wait_queue_empty()
    assert subjects(sink.mails) == list(range(5))


def test_destination_limit_of_one(relaying, gate):
    """At its least."""
    suite = relaying(route("slow.test", gate), destination_active_limit=1, smtp_destination_concurrency=1)
    send_many(suite, 10, "a@slow.test")
    wait_for(lambda: suite.queue_files("down"), 20 * patience())
    gate.gate.set()
    arrive(gate, 10)
    suite.wait_queue_empty()


def test_never_down_from_now_on(relaying):
    """What waits for a next hop that was down is tried, each message, when it may not be called down any more."""
    port = refusing_port()
    suite = relaying(route("dead.test", port), **SLOW)
    send_many(suite, 5, "a@dead.test")
    wait_in(suite, "down", 5)
    suite.stop()
    suite.write_conf(never_down=[f"[127.0.0.1]:{port}"])
    suite.start()
    wait_in(suite, "later", 5)


def test_looks_after_the_clock_was_wrong(relaying, public_path):
    """A look that was made in a future that is none does not keep those that come before it from being given up."""
    clock = public_path / "clock"
    clock.write_bytes(bytes(8))
    port = refusing_port()
    suite = relaying(route("dead.test", port), minimal_backoff="1s", maximal_backoff="1s", clock_confirm_time="1s",
                     max_queue_lifetime="1d", delay_warning_time="0s", early_delivery_time="0s",
                     env={"HERMOD_CLOCK_FILE": str(clock)})

    def go_to(day):
        suite.stop()                            # ids are made later than those before, in one life
        clock.write_bytes(struct.pack("<q", day * 86400))
        suite.start()

    def expires(who):
        """One of the two by a look: one alone can be what tries the next hop."""
        suite.maildir(who).wait(2, 60 * patience())
        wait_in(suite, "down", 1)
        attempts = suite.log().count("down, next attempt")
        wait_for(lambda: suite.log().count("down, next attempt") > attempts + 1, 60 * patience())

    def arrive_two(who, waiting):
        for _ in range(2):
            suite.send("a@dead.test", sender=f"{who}@hermod.test")
        wait_in(suite, "down", waiting)

    arrive_two("anna", 2)
    go_to(20)
    suite.send("a@dead.test", sender="nobody@client.test")      # it stays
    expires("anna")
    go_to(0)
    arrive_two("bert", 3)
    go_to(2)
    expires("bert")
