# SPDX-License-Identifier: ISC
"""
To other hosts, through the whole suite: what goes when, how much at once, and what waits for a host that is down.
"""
import os
import signal
import smtplib
import socket
import ssl
import struct
import threading
import time

import pytest

from hermodtest.alone import Channel
from hermodtest.proc import free_ports, wait_for
from hermodtest.servers import CLOSE, Server, refusing_port
from hermodtest.suite import PASSWORD, patience
from test_hermod_queue import VERBS, known

SETTINGS = {"trusted_networks": ["127.0.0.0/8"], "smtp_allow_loopback": True, "smtpd_client_rate": 1000000,
            "smtpd_client_sessions": 1000, "minimal_backoff": "1s"}


def route(domain, server):
    return f"{domain} smtp:[127.0.0.1]:{server if isinstance(server, int) else server.port}"


@pytest.fixture
def sink():
    with Server() as s:
        yield s


@pytest.fixture
def relaying(make_suite):
    """A suite, by its routes and settings."""
    return lambda *routes, **settings: make_suite(**{**SETTINGS, **settings, "routes": list(routes)})


def arrive(server, n, seconds=30):
    wait_for(lambda: len(server.mails) >= n, seconds * patience(), why=lambda: f"{len(server.mails)} of {n} arrived")
    return list(server.mails)


def notes(suite):
    return [os.path.join(d, f) for d, _, files in os.walk(os.path.join(suite.queue, "down")) for f in files
            if f == ".note"]


def send_many(suite, n, to, sender="sender@client.test"):
    """n messages over one connection."""
    c = suite.smtp()
    for i in range(n):
        c.sendmail(sender, [to], f"Subject: {i}\r\n\r\ntext {i}\r\n")
    c.quit()


def deferred(suite, n):
    """So many messages were put off, and no more; once the journal has it."""
    wait_for(lambda: suite.log().count("status=deferred") >= n, 10 * patience(), why=lambda: suite.log()[-2000:])
    assert suite.log().count("status=deferred") == n


def attempts(suite, ports):
    """In vain, by port; and how many messages were deferred, which is one for each."""
    said = suite.log()
    return [said.count(f"next hop [127.0.0.1]:{port}: down") for port in ports], said.count("status=deferred")


def attempts_are(suite, ports, want):
    """Once the journal has written so much; more of them is wrong for good."""
    def why():
        lines = [line for line in suite.log().splitlines() if "qmgr" in line and "status=delivered" not in line]
        return f"{attempts(suite, ports)}, not {want}; of the journal:\n" + "\n".join(lines)
    wait_for(lambda: attempts(suite, ports) == (want, sum(want)), 30 * patience(), why=why)


def subjects(mails):
    return sorted(int(m.data.split(b"Subject: ")[1].split(b"\r\n")[0]) for m in mails)


# ---- what arrives ----

def test_whole(relaying, sink):
    """Header and body byte for byte, behind what the suite adds; recipients of one next hop together."""
    suite = relaying(route("sink.test", sink), route("other.test", sink))
    text = "Subject: x\r\n\r\n.a dot\r\n..two\r\n\r\nthe end\r\n"
    suite.send(["a@sink.test", "b@sink.test", "c@other.test", "anna"], text)
    mail, = arrive(sink, 1)
    assert sorted(a for a, _ in mail.rcpts) == ["a@sink.test", "b@sink.test", "c@other.test"]
    assert mail.sender == "sender@client.test"
    head, rest = mail.data.split(b"Subject: x", 1)
    assert rest.decode() == text[len("Subject: x"):]
    assert head.startswith(b"Received: from ") and b"Bcc" not in head
    suite.maildir("anna").wait(1)
    suite.wait_queue_empty()
    assert len(sink.mails) == 1
    suite.wait_log(rf"relay=\[127\.0\.0\.1\]:{sink.port} .*status=delivered")


def test_many_recipients(relaying, sink):
    suite = relaying(route("sink.test", sink), smtp_recipient_limit=20)
    want = {f"u{i}@sink.test" for i in range(95)}
    suite.send(sorted(want))
    suite.wait_queue_empty()
    got = [a for m in sink.mails for a, _ in m.rcpts]
    assert set(got) == want and len(got) == 95
    assert all(len(m.rcpts) <= 20 for m in sink.mails) and len(sink.mails) <= 6


def test_session_is_kept_while_there_is_mail(relaying, sink):
    suite = relaying(route("sink.test", sink), smtp_destination_concurrency=1)
    send_many(suite, 30, "a@sink.test")
    arrive(sink, 30)
    assert len(sink.sessions) < 10


# ---- how many at once ----

class Counting(Server):
    """How many are in a transaction at once, and the most there were."""
    def __init__(self, **steps):
        self.now = self.most = 0
        self.gate = threading.Event()
        self.counting = threading.Lock()
        super().__init__(data=self.enter, extensions=[], **steps)      # else they would come by BDAT

    def enter(self, session):
        with self.counting:
            self.now += 1
            self.most = max(self.most, self.now)
        self.gate.wait(600)
        with self.counting:
            self.now -= 1
        return "354 go on"


def test_window(relaying):
    """One at first; more for each that was taken; never more than may be."""
    with Counting() as server:
        suite = relaying(route("sink.test", server), smtp_destination_concurrency=4)
        send_many(suite, 40, "a@sink.test")
        wait_for(lambda: server.now == 1, 10 * patience())
        time.sleep(0.5)
        assert server.now == 1
        server.gate.set()
        arrive(server, 40)
        server.gate.clear()
        send_many(suite, 40, "a@sink.test")
        wait_for(lambda: server.now == 4, 10 * patience(), why=lambda: f"{server.now} at once")
        time.sleep(0.5)
        assert server.now == 4
        server.gate.set()
        arrive(server, 80)
        assert server.most == 4


def test_window_is_halved(relaying):
    """A server that is busy (421 in the greeting) is asked for less, and everything arrives."""
    busy = {"on": False}
    with Counting(greeting=lambda s: "421 4.3.2 too many" if busy["on"] and s.number % 3 == 0 else "220 server.test") as server:
        suite = relaying(route("sink.test", server), smtp_destination_concurrency=8, smtp_connection_cache_time="0s",
                         maximal_backoff="2s")
        server.gate.set()
        send_many(suite, 30, "a@sink.test")
        arrive(server, 30)
        busy["on"] = True
        send_many(suite, 60, "a@sink.test")
        arrive(server, 90, 60)
        suite.wait_queue_empty()
    assert subjects(server.mails) == sorted(list(range(30)) * 2 + list(range(30, 60)))


def test_one_mailing_delays_nobody(relaying):
    """A message to 600 recipients of one slow host, then one to a single recipient there: that one does not wait for all."""
    def slow(session):
        time.sleep(0.1)
        return "354 go on"
    with Server(data=slow, extensions=[]) as server:
        suite = relaying(route("sink.test", server), smtp_recipient_limit=5, smtp_destination_concurrency=1,
                         smtpd_recipient_limit=1000)
        suite.send([f"u{i}@sink.test" for i in range(600)], "Subject: 1\r\n\r\nto all\r\n")
        arrive(server, 5)
        suite.send("single@sink.test", "Subject: 2\r\n\r\nto one\r\n")
        arrive(server, 120, 60)
        order = [m.rcpts[0][0] for m in server.mails]
        assert order.index("single@sink.test") < 100, order.index("single@sink.test")


def test_uncertain_is_not_hurried(relaying):
    """Who has perhaps taken a message, and does not say so, will do the same the next time: each attempt may be another copy. Only
    what this host has lost sight of itself is looked at again after uncertain_backoff."""
    def taken(session):
        server.mails.append(session.number)
        return CLOSE

    with Server(end=taken) as server:
        suite = relaying(route("far.test", server), minimal_backoff="1h", early_delivery_time="0s")
        suite.send("a@far.test")
        suite.wait_log(r'status=uncertain .* reply="4\.4\.2 ')
        entry = wait_for(lambda: [e for e in suite.hermod_json("queue", "list") if e["place"] == "later"], 20 * patience(), why=suite.log)[0]
        assert 100 * 60 < entry["next"] - time.time() < 121 * 60            # half as often as after another failure
        assert len(server.mails) == 1


# ---- a next hop that is down ----

def test_one_attempt_whatever_waits(relaying):
    """Only the first message is tried; those after it are moved away unopened, also by a qmgr that starts."""
    port = refusing_port()
    suite = relaying(route("dead.test", port), minimal_backoff="1h", maximal_backoff="1h")
    send_many(suite, 50, "a@dead.test")
    wait_for(lambda: len(suite.queue_files("down")) == 50, 30 * patience(), why=lambda: suite.queue_files())
    deferred(suite, 1)
    assert len(notes(suite)) == 1
    suite.hermod("stop")
    suite.start()
    send_many(suite, 10, "a@dead.test")
    wait_for(lambda: len(suite.queue_files("down")) == 60, 30 * patience(), why=lambda: suite.queue_files())
    deferred(suite, 1)
    for f in suite.processes("qmgr"):
        f.kill()
    send_many(suite, 5, "a@dead.test")
    wait_for(lambda: len(suite.queue_files("down")) == 65, 30 * patience(), why=lambda: suite.queue_files())
    deferred(suite, 1)


def test_it_comes_back(relaying):
    port = refusing_port()
    suite = relaying(route("dead.test", port), destination_active_limit=20)
    send_many(suite, 100, "a@dead.test")
    wait_for(lambda: len(suite.queue_files("down")) == 100, 30 * patience(), why=lambda: suite.queue_files())
    with Server(port=port) as server:
        arrive(server, 100)
        suite.wait_queue_empty()
        assert subjects(server.mails) == list(range(100))
        suite.wait_log("it answers again")
        wait_for(lambda: not os.listdir(os.path.join(suite.queue, "down")), 10 * patience(),
                 why="the directory of what is up again goes")


def test_it_is_tried_by_one(relaying):
    """A host that hangs up at once is tried by one message at a time, at longer and longer intervals."""
    with Server(greeting="421 4.3.2 not now") as server:
        suite = relaying(route("dead.test", server))
        send_many(suite, 30, "a@dead.test")
        wait_for(lambda: suite.log().count("status=deferred") >= 3, 30 * patience())
        sessions, said = len(server.sessions), suite.log()          # what is in the journal has been at the server before
        tries = said.count("next hop ")
        assert sessions <= tries + 1
        assert said.count("status=deferred") in (tries, tries - 1)


def test_others_go_on(relaying, sink):
    """However much waits for a host that is down, and for one that hangs, others get their mail at once."""
    with Server(greeting=lambda s: s.hang()) as hanging:
        suite = relaying(route("dead.test", refusing_port()), route("hang.test", hanging), route("sink.test", sink),
                         destination_active_limit=10, qmgr_active_limit=50)
        send_many(suite, 300, "a@dead.test")
        send_many(suite, 100, "a@hang.test")
        suite.send(["a@sink.test", "anna"], "Subject: 7\r\n\r\nx\r\n")
        assert subjects(arrive(sink, 1, 10)) == [7]
        suite.maildir("anna").wait(1)
        wait_for(lambda: len(suite.queue_files("down")) >= 350, 30 * patience(), why=lambda: len(suite.queue_files("down")))


def test_it_comes_back_while_mail_comes(relaying):
    """What waited is not forgotten when those that came meanwhile, and have never waited, were what filled the memory."""
    port = refusing_port()
    suite = relaying(route("back.test", port), destination_active_limit=3, smtp_destination_concurrency=2)
    send_many(suite, 20, "a@back.test")
    wait_for(lambda: len(suite.queue_files("down")) >= 18, 30 * patience(), why=lambda: len(suite.queue_files("down")))
    with Server(port=port, content=[lambda session: time.sleep(0.02)] * 1000) as back:
        threads = [threading.Thread(target=send_many, args=(suite, 30, "a@back.test")) for _ in range(4)]
        suite.hermod("queue", "flush", "--all")
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        arrive(back, 140, 60)
        suite.wait_queue_empty(30)


def test_not_required_is_tried_when_the_hop_goes_down(relaying):
    """TLS-Required: No (RFC 8689), in memory behind the message that finds out that the next hop's TLS is not what it should be."""
    found = threading.Event()

    def greet(session):
        found.wait(60 * patience())
        return "220 server.test ESMTP"

    with Server(greeting=greet) as server:
        suite = relaying(route("far.test", server), smtp_tls="must", minimal_backoff="1h", maximal_backoff="1h")
        suite.send("a@far.test")
        wait_for(lambda: len(server.sessions) == 1, 20 * patience())
        suite.send("b@far.test", "Subject: x\r\nTLS-Required: No\r\n\r\nx\r\n")
        suite.send("c@far.test")
        known(suite)
        found.set()
        wait_for(lambda: suite.log().count("status=deferred") == 2, 20 * patience(), why=suite.log)
        assert len(server.sessions) == 2 and "to=<c@far.test>" not in suite.log()


def test_flush_tries_once(relaying):
    """An order to try a next hop walks over all that waits for it; where the attempt has failed before the walk is over, that was it."""
    port = refusing_port()
    suite = relaying(route("dead.test", port), minimal_backoff="1h", maximal_backoff="1h")
    send_many(suite, 1500, "a@dead.test")
    wait_for(lambda: len(suite.queue_files("down")) == 1500, 60 * patience(), why=lambda: len(suite.queue_files("down")))
    attempts_are(suite, [port], [1])
    for n in (2, 3):
        suite.hermod("queue", "flush", "--nexthop", f"[127.0.0.1]:{port}")
        wait_for(lambda: attempts(suite, [port])[0] == [n], 30 * patience(), why=lambda: attempts(suite, [port]))
        attempts_are(suite, [port], [n])
    suite.hermod("queue", "flush", "--all")
    wait_for(lambda: attempts(suite, [port])[0] == [4], 30 * patience(), why=lambda: attempts(suite, [port]))
    attempts_are(suite, [port], [4])


def test_flush_while_it_is_looked_through(relaying):
    """Behind an attempt in vain all that waits is looked through for what is too old; an order that falls into that is not forgotten.
    Names that are one file are many enough for it, and of those that are met first the order names one."""
    found = threading.Event()

    def greet(session):
        if session.number == 1:
            found.wait(60 * patience())
        return "421 4.3.2 not now"

    with Server(greeting=greet) as server:
        suite = relaying(route("far.test", server), minimal_backoff="1h", maximal_backoff="1h")
        suite.send("a@far.test")
        attempts_are(suite, [server.port], [1])
        (path,) = wait_for(lambda: suite.queue_files("down"), 20 * patience())
        for n in range(30000):
            os.link(path, path[:-5] + f"{n:05}".translate(str.maketrans("0123456789", "FGHJMPQRVW")))
        suite.hermod("queue", "flush", "--nexthop", server.nexthop())
        wait_for(lambda: len(server.sessions) == 2, 20 * patience())
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(os.path.join(suite.dir, "run", "queue.sock"))
        order = Channel(sock)
        (qmgr,) = suite.processes("qmgr")
        qmgr.kill(signal.SIGSTOP)
        found.set()
        wait_for(lambda: suite.log().count("0 mails, no TLS") == 2, 20 * patience())
        early = [name for name in os.listdir(os.path.dirname(path)) if name != ".note"][100]
        order.send("queue_order", 1, verb=VERBS.index("flush"), named=1, queue_ids=struct.pack("<I", len(early)) + early.encode())
        qmgr.kill(signal.SIGCONT)       # it hears of the attempt and of the order in one go
        answer = order.receive(60 * patience())[2]
        assert (answer["more"], answer["done"], answer["fault"]) == (0, 1, b""), answer
        wait_for(lambda: len(server.sessions) == 3, 20 * patience(), why=suite.log)


def test_many_are_down(relaying, sink):
    """Fifty hosts that refuse, send away, or hang, with mail waiting for each of them: each costs one attempt in its period, by one of
    its messages, over a new start as well, and mail to others goes as if they were not there."""
    refusing = [refusing_port() for _ in range(20)]
    away = [Server(greeting="421 4.3.2 not now") for _ in range(20)]
    hanging = [Server(greeting=lambda s: s.hang()) for _ in range(10)]
    ports = refusing + [s.port for s in away + hanging]
    dead, answering = range(len(ports)), range(len(refusing + away))
    try:
        suite = relaying(*(route(f"dead{i}.test", port) for i, port in enumerate(ports)), route("sink.test", sink),
                         destination_active_limit=4, qmgr_active_limit=150, smtp_concurrency=20, minimal_backoff="1h",
                         maximal_backoff="1h")
        c = suite.smtp()
        for n in range(10):
            for i in dead:
                c.sendmail("sender@client.test", [f"a@dead{i}.test"], f"Subject: {n}\r\n\r\ntext\r\n")
            c.sendmail("sender@client.test", ["a@sink.test", "anna@hermod.test"], f"Subject: {n}\r\n\r\ntext\r\n")
        c.quit()

        def waiting():                  # of each host that hangs some are in memory
            return len(suite.queue_files("down"))
        most, least = 10 * len(ports), 10 * len(ports) - 5 * len(hanging)
        arrive(sink, 10)
        suite.maildir("anna").wait(10)
        wait_for(lambda: least <= waiting() <= most, 60 * patience(), why=waiting)
        attempts_are(suite, ports, [1 if i in answering else 0 for i in dead])
        wait_for(lambda: all(s.sessions for s in hanging), 30 * patience(), why=lambda: [len(s.sessions) for s in hanging])
        assert [len(s.sessions) for s in away + hanging] == [1] * 30
        send_many(suite, 100, "a@sink.test")
        arrive(sink, 110)
        suite.kill("qmgr")
        send_many(suite, 20, "a@sink.test")
        arrive(sink, 130)
        attempts_are(suite, ports, [1 if i in answering else 0 for i in dead])
        for i in answering:             # its time has come
            suite.hermod("queue", "flush", "--nexthop", f"[127.0.0.1]:{ports[i]}")
        wait_for(lambda: all(n >= 2 for n, i in zip(attempts(suite, ports)[0], dead) if i in answering), 60 * patience(),
                 why=lambda: attempts(suite, ports))
        send_many(suite, 20, "a@sink.test")
        arrive(sink, 150)
        attempts_are(suite, ports, [2 if i in answering else 0 for i in dead])
        assert [len(s.sessions) for s in away] == [2] * 20
    finally:
        for s in away + hanging:
            s.end()


def test_more_than_memory_holds(relaying):
    """What a slow host cannot take at once waits on disk; all of it arrives, once."""
    with Counting() as server:
        suite = relaying(route("sink.test", server), destination_active_limit=10, smtp_destination_concurrency=5)
        send_many(suite, 80, "a@sink.test")
        wait_for(lambda: len(suite.queue_files("down")) >= 60, 30 * patience(), why=lambda: suite.queue_files())
        server.gate.set()
        arrive(server, 80, 60)
        suite.wait_queue_empty()
        assert subjects(server.mails) == list(range(80))


def test_who_was_told_of_a_delay_had_no_attempt(relaying):
    """What waits for room in memory, and whose sender is told meanwhile, comes as soon as there is room, not after a backoff."""
    with Counting() as server:
        suite = relaying(route("sink.test", server), destination_active_limit=5, smtp_destination_concurrency=1,
                         minimal_backoff="1h", delay_warning_time="2s")
        suite.send("a@sink.test", "Subject: 100\r\n\r\nx\r\n")
        wait_for(lambda: server.now == 1, 10 * patience())
        send_many(suite, 20, "a@sink.test", "anna@hermod.test")
        suite.hermod("queue", "hold", "--sender", "anna@hermod.test")
        wait_for(lambda: len(suite.queue_files("hold")) == 20, 10 * patience(), why=lambda: suite.queue_files())
        time.sleep(3)
        suite.hermod("queue", "release", "--all")
        suite.maildir("anna").wait(15)
        wait_for(lambda: len(suite.queue_files("down")) == 15, 10 * patience(), why=lambda: suite.queue_files())
        server.gate.set()
        arrive(server, 21)
        suite.wait_queue_empty()
        assert subjects(server.mails) == [*range(20), 100]
        assert len(suite.maildir("anna").messages()) == 15


def test_several_next_hops(relaying, sink):
    """One of a message's hosts is down: the others have it, and it waits for that one alone."""
    port = refusing_port()
    suite = relaying(route("dead.test", port), route("sink.test", sink))
    suite.send(["a@sink.test", "b@dead.test", "anna"], "Subject: 1\r\n\r\nx\r\n")
    arrive(sink, 1)
    suite.maildir("anna").wait(1)
    with Server(port=port) as server:
        mail, = arrive(server, 1)
        assert [a for a, _ in mail.rcpts] == ["b@dead.test"]
        suite.wait_queue_empty()
    assert len(sink.mails) == 1 and len(suite.maildir("anna").files()) == 1


def test_never_down(relaying):
    port = refusing_port()
    suite = relaying(route("dead.test", port), never_down=[f"[127.0.0.1]:{port}"], minimal_backoff="1h",
                     maximal_backoff="1h")
    send_many(suite, 10, "a@dead.test")
    wait_for(lambda: len(suite.queue_files("later")) == 10, 30 * patience(), why=lambda: suite.queue_files())
    wait_for(lambda: suite.log().count("status=deferred") == 10, 10 * patience())
    assert not suite.queue_files("down")


def test_lost_note(relaying):
    """Without its note a next hop is tried at once, by one message."""
    port = refusing_port()
    suite = relaying(route("dead.test", port), minimal_backoff="1h", maximal_backoff="1h")
    send_many(suite, 20, "a@dead.test")
    wait_for(lambda: len(suite.queue_files("down")) == 20, 30 * patience(), why=lambda: suite.queue_files())
    suite.hermod("stop")
    note, = notes(suite)
    with open(note, "r+b") as f:
        f.write(b"\xff" * 20)
    suite.start()
    wait_for(lambda: suite.log().count("status=deferred") == 2, 20 * patience(), why=lambda: suite.log()[-2000:])
    time.sleep(1)
    deferred(suite, 2)
    assert len(suite.queue_files("down")) == 20


def test_lost_note_of_old_ones(relaying):
    """What had become too old by then is given up after one attempt, all of it, though nobody knows any more what was looked at."""
    port = refusing_port()
    suite = relaying(route("dead.test", port), minimal_backoff="1h", maximal_backoff="1h")
    send_many(suite, 5, "a@dead.test", sender="anna@hermod.test")
    wait_for(lambda: len(suite.queue_files("down")) == 5, 30 * patience(), why=lambda: suite.queue_files())
    suite.hermod("stop")
    note, = notes(suite)
    os.unlink(note)
    suite.write_conf(max_queue_lifetime="1s")
    time.sleep(2)
    suite.start()
    suite.maildir("anna").wait(5, 30 * patience())
    suite.wait_queue_empty()
    wait_for(lambda: suite.log().count("status=expired") == 5, 10 * patience(), why=suite.log)
    assert suite.log().count("status=deferred") == 2        # before, and since


@pytest.mark.parametrize("kept", [True, False])
def test_one_with_two_names(relaying, kept):
    """As a power cut may leave it: while it is in memory, by the other name or by that in down/, that keeps nobody from trying the next hop."""
    port = refusing_port()
    with socket.socket() as slow:               # takes connections, and says nothing
        slow.bind(("127.0.0.1", free_ports(1)[0]))
        slow.listen(5)
        suite = relaying(route("dead.test", port), route("slow.test", slow.getsockname()[1]), maximal_backoff="1s")
        send_many(suite, 1, "a@dead.test")
        down, = wait_for(lambda: suite.queue_files("down"), 30 * patience())
        c = suite.smtp()
        c.sendmail("sender@client.test", ["b@dead.test", "b@slow.test"], "Subject: both\r\n\r\ntext\r\n")
        c.quit()
        first, _ = slow.accept()                # it is in memory, and stays there
        if not kept:                            # or comes back there from down/, for a connection that nobody accepts
            first.close()
        both, = [f for f in suite.queue_files() if not f.startswith(os.path.dirname(down))]
        os.link(both, os.path.join(os.path.dirname(down), os.path.basename(both)))
        suite.hermod("queue", "delete", os.path.basename(down))
        time.sleep(4)                           # it is the only one there that could try
        send_many(suite, 1, "c@dead.test")
        with Server(port=port) as back:
            mails = arrive(back, 1, 60)
            wait_for(lambda: any("c@dead.test" in str(m.rcpts) for m in back.mails), 60 * patience(), why=lambda: (mails, suite.queue_files()))
        first.close()


def test_priority(relaying):
    """MT-PRIORITY, RFC 6710: what came with less goes after what came later."""
    with Counting() as server:
        suite = relaying(route("sink.test", server), smtp_destination_concurrency=1, early_delivery_time="0s")
        c = suite.smtp()
        for i, options in enumerate([[], ["MT-PRIORITY=-1"], [], []]):
            c.sendmail("sender@client.test", ["a@sink.test"], f"Subject: {i}\r\n\r\nx\r\n", mail_options=options)
            if i == 0:
                wait_for(lambda: server.now == 1, 30 * patience())
        c.quit()
        known(suite)                            # qmgr has them all
        server.gate.set()
        arrive(server, 4)
        assert [subjects([m])[0] for m in server.mails] == [0, 2, 3, 1]


def test_no_priority_starves(relaying, ca):
    """However much there is of the highest, each lower one has a turn now and then."""
    normal, bulk, urgent = [1, 2], list(range(11, 17)), list(range(100, 140))
    with Counting() as server:
        suite = relaying(route("sink.test", server), smtp_destination_concurrency=1, early_delivery_time="0s", tls_certificates=[ca.of_suite()])
        c = smtplib.SMTP("localhost", suite.submission_port, "client.test", timeout=30 * patience())
        c.starttls(context=ssl.create_default_context(cafile=ca.file))
        c.login("anna@hermod.test", PASSWORD)               # only who is known may ask for more
        for i in [0] + bulk + normal + urgent:
            priority = -1 if i in bulk else 4 if i in urgent else 0
            c.sendmail("anna@hermod.test", ["a@sink.test"], f"From: anna@hermod.test\r\nSubject: {i}\r\n\r\nx\r\n",
                       mail_options=[f"MT-PRIORITY={priority}"])
            if i == 0:
                wait_for(lambda: server.now == 1, 30 * patience())
        c.quit()
        known(suite)
        server.gate.set()
        order = [subjects([m])[0] for m in arrive(server, 1 + len(bulk + normal + urgent))]
    assert [i for i in order if i in urgent] == urgent
    assert max(map(order.index, normal + bulk[:2])) < order.index(urgent[-1])


def test_temporary_refusal_is_the_messages_own(relaying):
    """4xx to one message says nothing of the host: that message waits, the others go."""
    with Server(rcpt={"full@sink.test": ["452 4.2.2 full", "250 ok"]}) as server:
        suite = relaying(route("sink.test", server), minimal_backoff=f"{4 * patience()}s")
        suite.send("full@sink.test", "Subject: 1\r\n\r\nx\r\n")
        suite.wait_log(r"full@sink\.test.*status=deferred")
        suite.send("other@sink.test", "Subject: 2\r\n\r\nx\r\n")
        assert subjects(arrive(server, 1)) == [2]
        assert subjects(arrive(server, 2)) == [1, 2]
        assert not suite.queue_files("down")
