# SPDX-License-Identifier: ISC
"""Notifications through the whole suite: who hears what of a message's fate, and that it always comes to an end."""
import email
import email.policy
import os
import pathlib
import re
import shutil
import signal
import smtplib
import subprocess
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.servers import Server
from hermodtest.suite import DOMAIN, HOSTNAME, patience

FAST = {"trusted_networks": ["127.0.0.0/8"], "smtp_allow_loopback": True, "smtpd_client_rate": 1000000,
        "login_client_rate": 1000000, "minimal_backoff": "1s", "maximal_backoff": "2s", "uncertain_backoff": "200ms"}
NO = {"bert@far.test": "550-5.1.1 nobody of that name\n550 5.1.1 see https://far.test/"}
# Whoever delivered it said so already: local takes it for a loop, for good.
LOOP = "Delivered-To: {}@hermod.test\r\n"


@pytest.fixture
def far():
    with Server(rcpt=NO) as s:
        yield s


@pytest.fixture
def house(make_suite, far):
    """A suite that sends mail for far.test to that server."""
    return lambda **settings: make_suite(**{**FAST, "routes": [f"far.test smtp:[127.0.0.1]:{far.port}"], **settings})


def mail(to, sender=f"anna@{DOMAIN}", header="", body="Hello.\r\n", **more):
    return f"From: {sender}\r\nTo: {to}\r\nSubject: test\r\nMessage-ID: <{time.monotonic_ns()}@test>\r\n{header}\r\n{body}"


def send(suite, to, text, sender=f"anna@{DOMAIN}", options=(), rcpt_options=()):
    c = suite.smtp()
    c.ehlo("client.test")
    code, said = c.mail(sender, list(options))
    assert code == 250, said
    for r in [to] if isinstance(to, str) else to:
        code, said = c.rcpt(r, list(rcpt_options))
        assert code == 250, said
    code, said = c.data(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
    c.close()
    return code, said


class Notice:
    def __init__(self, raw):
        self.raw = raw.replace(b"\r\n", b"\n")
        self.m = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert self.m.get_content_type() == "multipart/report" and self.m["Auto-Submitted"] == "auto-replied"
        assert self.raw.startswith(b"Return-Path: <>\n")
        parts = self.m.get_payload()
        self.text = parts[0].get_payload(decode=True).decode()
        self.words = " ".join(self.text.split())
        self.type = parts[1].get_content_type()
        status = re.search(rb"Content-Type: message/(?:global-)?delivery-status\n.*?\n\n(.*?)\n--=_", self.raw, re.S).group(1)
        groups = [email.message_from_bytes(g) for g in status.strip(b"\n").split(b"\n\n")]
        self.message, self.rcpts = groups[0], groups[1:]
        self.returned = parts[2]

    def flat(self, name, i=0):
        return " ".join(self.rcpts[i][name].split())


def notices(suite, user="anna", n=1):
    """What is there and nothing else, once the queue is empty."""
    suite.maildir(user).wait(n)
    suite.wait_queue_empty()
    out = suite.maildir(user).messages()
    assert len(out) == n
    return [Notice(raw) for raw in out]


# ---- what it says ---------------------------------------------------------------------

def test_another_host_refuses(house):
    suite = house()
    send(suite, "bert@far.test", mail("bert@far.test"), options=["ENVID=E+2B1", "RET=FULL"],
         rcpt_options=["ORCPT=rfc822;Bert@far.test"])
    n, = notices(suite)
    assert n.m["From"].addresses[0].addr_spec == f"postmaster@{HOSTNAME}"
    assert n.m["To"].addresses[0].addr_spec == f"anna@{DOMAIN}"
    assert n.m["References"] == n.returned.get_payload(0)["Message-ID"]
    assert n.message["Original-Envelope-Id"] == "E+1"
    assert n.message["Reporting-MTA"] == f"dns; {HOSTNAME}"
    assert n.message["Received-From-MTA"] == "dns; client.test (127.0.0.1)"
    assert len(n.rcpts) == 1
    assert n.flat("Original-Recipient") == "rfc822; Bert@far.test"
    assert n.flat("Final-Recipient") == "rfc822; bert@far.test"
    assert n.flat("Action") == "failed" and n.flat("Status") == "5.1.1"
    assert "127.0.0.1" in n.flat("Remote-MTA")
    assert n.flat("Diagnostic-Code") == "smtp; 550-5.1.1 nobody of that name 550 5.1.1 see https://far.test/"
    assert "550 5.1.1 see https://far.test/" in n.text and "There is no mailbox of that name" in n.words
    assert n.returned.get_content_type() == "message/rfc822" and "Hello." in str(n.returned)
    assert suite.wait_log(r"notice=\w+ kind=failure to=<anna@hermod.test> nrcpt=1")


def test_a_mailbox_here_refuses(house):
    suite = house(early_delivery_time="0s")
    send(suite, f"bert@{DOMAIN}", mail("bert", header=LOOP.format("bert")))
    n, = notices(suite)
    assert n.flat("Final-Recipient") == "rfc822; bert@hermod.test" and n.flat("Status") == "5.4.6"
    assert n.flat("Diagnostic-Code").startswith("x-hermod; 5.4.6 ") and n.rcpts[0]["Remote-MTA"] is None
    assert f"This host, {HOSTNAME}, said" in n.words


def test_from_the_sendmail_command(house):
    suite = house(early_delivery_time="0s")
    r = subprocess.run([os.path.join(suite.build, "bin", "sendmail"), "-C", suite.conf, "-f", f"anna@{DOMAIN}", "bert@far.test"],
                       input="Subject: by hand\n\nHello.\n", text=True, stderr=subprocess.PIPE, env=suite.environment())
    assert r.returncode == 0, r.stderr
    n, = notices(suite)
    assert n.message["Received-From-MTA"] is None
    assert n.flat("Final-Recipient") == "rfc822; bert@far.test"


@pytest.mark.parametrize("ret, default, limit, size, whole", [
    ("RET=HDRS", "full", "1M", 100, False), ("RET=FULL", "headers", "1M", 100, True), (None, "full", "1M", 100, True),
    (None, "headers", "1M", 100, False), ("RET=FULL", "full", "10K", 20000, False), ("RET=FULL", "full", "4M", 3000000, True)])
def test_what_comes_back(house, ret, default, limit, size, whole):
    suite = house(bounce_return=default, bounce_size_limit=limit)
    body = "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * (size // 72)
    send(suite, "bert@far.test", mail("bert", body=body), options=[ret] if ret else [])
    n, = notices(suite)
    assert n.returned.get_content_type() == ("message/rfc822" if whole else "text/rfc822-headers")
    assert b"\nSubject: test\n" in n.raw
    assert n.raw.count(b"y" * 70) == (size // 72 if whole else 0)


@pytest.mark.parametrize("notify, state, n", [
    ("NEVER", "fails", 0), ("SUCCESS", "fails", 0), ("FAILURE", "fails", 1), (None, "fails", 1),
    ("NEVER", "arrives", 0), ("SUCCESS", "arrives", 1), ("FAILURE,DELAY", "arrives", 0), (None, "arrives", 0)])
def test_notify(house, notify, state, n):
    suite = house(early_delivery_time="0s")
    send(suite, f"bert@{DOMAIN}", mail("bert", header=LOOP.format("bert") if state == "fails" else ""),
         rcpt_options=[f"NOTIFY={notify}"] if notify else [])
    if n == 0:
        suite.wait_log(r"status=(failed|delivered)")
        suite.wait_queue_empty()
        assert not suite.maildir("anna").files()
        return
    m, = notices(suite)
    assert m.flat("Action") == ("failed" if state == "fails" else "delivered")
    assert (m.returned.get_content_type() == "text/rfc822-headers") == (state == "arrives")


def test_relayed_to_one_that_does_not_tell(make_suite):
    with Server(extensions=["8BITMIME"]) as s:
        suite = make_suite(**FAST, routes=[f"far.test smtp:[127.0.0.1]:{s.port}"])
        send(suite, "carl@far.test", mail("carl"), rcpt_options=["NOTIFY=SUCCESS"])
        n, = notices(suite)
    assert n.flat("Action") == "relayed" and n.flat("Status").startswith("2.")
    assert "does not tell what becomes of it" in n.words


def test_a_delay_is_told_once(make_suite):
    with Server(rcpt={"carl@far.test": "451 4.3.0 not now"}) as s:
        suite = make_suite(**FAST, routes=[f"far.test smtp:[127.0.0.1]:{s.port}"], delay_warning_time="1s")
        send(suite, "carl@far.test", mail("carl"))
        suite.maildir("anna").wait(1)
        time.sleep(3 * patience())
        messages = suite.maildir("anna").messages()
        assert len(messages) == 1
        n = Notice(messages[0])
        assert n.m["Subject"] == "Your message is delayed"
        assert n.flat("Action") == "delayed" and n.flat("Status") == "4.3.0"
        assert n.rcpts[0]["Will-Retry-Until"]
    assert suite.queue_files()


def test_letters_beyond_ascii(house):
    suite = house(early_delivery_time="0s")
    suite.add_account("jörg")
    text = mail("jörg@hermod.test", header=LOOP.format("jörg") + "X-Gruß: ä\r\n", body="grüße\r\n")
    send(suite, "jörg@hermod.test".encode().decode(), text, options=["SMTPUTF8", "BODY=8BITMIME"])
    n, = notices(suite)
    assert n.type == "message/global-delivery-status"
    assert b"\nFinal-Recipient: utf-8; j\xc3\xb6rg@hermod.test\n" in n.raw
    assert n.returned.get_content_type() == "message/global"
    assert "grüße".encode() in n.raw


def test_8bit_content_comes_back_here(house):
    suite = house()
    send(suite, "bert@far.test", mail("bert", body="grüße\r\n").encode("latin-1"), options=["BODY=8BITMIME"])
    n, = notices(suite)
    assert n.returned.get_content_type() == "message/rfc822" and b"gr\xfc\xdfe" in n.raw
    assert n.m["Content-Transfer-Encoding"] == "8bit"


def test_and_not_elsewhere(make_suite):
    """The sender is at another host: of its 8-bit content nobody knows whether that takes it back."""
    with Server(rcpt=NO) as s:
        suite = make_suite(**FAST, routes=[f"far.test smtp:[127.0.0.1]:{s.port}"])
        send(suite, "bert@far.test", mail("bert", body="grüße\r\n"), sender="dora@far.test", options=["BODY=8BITMIME"])
        wait_for(lambda: s.mails, 20 * patience())
        suite.wait_queue_empty()
        raw = s.mails[0].data
    assert s.mails[0].sender == "" and [r for r, _ in s.mails[0].rcpts] == ["dora@far.test"]
    assert raw.isascii() and b"text/rfc822-headers" in raw and b"octets that may not be sent" in raw.replace(b"\r\n", b" ")


def test_own_words(house):
    suite = house(start=False)
    folder = pathlib.Path(suite.dir, "texts")
    folder.mkdir()
    (folder / "failure.txt").write_text("Subject: Unzustellbar\n\nAn $sender, $$5:\n$recipients\n")
    suite.write_conf(bounce_template_directory=str(folder))
    suite.start()
    send(suite, "bert@far.test", mail("bert"))
    n, = notices(suite)
    assert n.m["Subject"] == "Unzustellbar" and f"An anna@{DOMAIN}, $5:\n<bert@far.test>" in n.text
    (folder / "failure.txt").write_text("Subject: x\n\n$nobody\n")
    r = suite.hermod("check", check=False)
    assert r.returncode != 0 and "failure.txt: line 3: $nobody is no name" in r.stdout + r.stderr
    suite.reload()
    suite.wait_log(r"template \S*failure.txt: line 3")
    send(suite, "bert@far.test", mail("bert"))
    assert notices(suite, n=2)


HOSTILE = [
    b"550-5.1.1 first\r\n550 5.1.1 \x1b[31mred\x07\x08 \x7f\xc2\x9b tab\there\r\n",                 # terminals
    b"550-5.1.1 \xff\xfe \xc3\xa4 \xc3\r\n550 5.1.1 truncated \xe2\x82\r\n",                           # what is no UTF-8
    b"550-5.1.1 x\r\n550-\r\n550-Subject: forged\r\n550-\r\n550 --=_hermod_\r\n",                       # fields, a boundary
    b'550 5.1.1 " status=delivered reply=" \\" to=<x@y>\r\n',                                           # a line of the log
    b"550 5.1.1 " + b"word " * 90 + b"\r\n",
    b"550-5.1.1 " + b"a" * 480 + b"\r\n" + b"550-5.1.1 more\r\n" * 60 + b"550 5.1.1 end\r\n",
]


@pytest.mark.parametrize("reply", HOSTILE, ids=range(len(HOSTILE)))
def test_replies_that_would_be_more(make_suite, reply):
    """CVE-2020-8794 and its like: another host's words are words, in the log, in the queue and in a notification."""
    with Server(rcpt=lambda s: s.send_octets(reply)) as s:
        suite = make_suite(**FAST, routes=[f"far.test smtp:[127.0.0.1]:{s.port}"])
        send(suite, "bert@far.test", mail("bert"))
        n, = notices(suite)
    assert len(n.rcpts) == 1 and n.flat("Action") == "failed"
    assert n.flat("Final-Recipient") == "rfc822; bert@far.test"
    assert len(n.m.get_payload()) == 3 and n.m["Subject"] == "Your message could not be delivered"
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", n.raw.replace(b"\r\n", b"\n")), n.raw
    assert not re.search("[\x80-\x9f]", n.raw.decode()), n.raw       # and it is text
    for line in open(suite.log_file, "rb").read().decode().split("\n"):
        assert re.match(r"\d{4}-\d\d-\d\dT\S+ hermod/[\w-]+\[\d+\]: |$", line), line
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", line), line
    line, = [x for x in suite.log().splitlines() if "to=<bert@far.test>" in x]
    assert len(re.findall(r'(?<!\\)"', line)) == 2 and re.search(r'" ?(removed)?$', line), line


@pytest.mark.parametrize("reply", [r.replace(b"550", b"451").replace(b"5.1.1", b"4.3.0") for r in HOSTILE], ids=range(len(HOSTILE)))
def test_replies_that_would_be_more_in_the_queue(make_suite, reply):
    """The message is what it was when it is read again by another qmgr."""
    with Server(rcpt=lambda s: s.send_octets(reply)) as s:
        suite = make_suite(**{**FAST, "minimal_backoff": "1h", "maximal_backoff": "1h"},
                           routes=[f"far.test smtp:[127.0.0.1]:{s.port}"])
        send(suite, ["bert@far.test", "carl@far.test"], mail("bert"))
        wait_for(lambda: suite.log().count("status=deferred") == 2, 20 * patience(), why=suite.log)
        suite.restart()
        shown, = suite.hermod_json("queue", "list")
    assert shown["sender"] == f"anna@{DOMAIN}", shown
    assert sorted(r["address"] for r in shown["recipients"]) == ["bert@far.test", "carl@far.test"], shown
    assert not suite.queue_files("corrupt") and not suite.queue_files("hold")
    text = suite.hermod("queue", "show", shown["id"]).stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text), text


# ---- who hears it -----------------------------------------------------------------------

def test_null_sender(house):
    suite = house(early_delivery_time="0s")         # anna reads postmaster's mail
    send(suite, f"bert@{DOMAIN}", mail("bert", header=LOOP.format("bert")), sender="")
    n, = notices(suite)
    assert n.m["To"].addresses[0].addr_spec == f"postmaster@{HOSTNAME}"
    assert n.m["Subject"] == "Undeliverable, and its sender cannot be told"


def test_null_sender_may_be_discarded(house):
    suite = house(early_delivery_time="0s", double_bounce="discard")
    send(suite, f"bert@{DOMAIN}", mail("bert", header=LOOP.format("bert")), sender="")
    suite.wait_log("nobody is to be told")
    suite.wait_queue_empty()
    assert not suite.maildir("anna").files()


def test_a_sender_that_does_not_exist(house):
    suite = house()
    send(suite, "bert@far.test", mail("bert"), sender=f"nobody@{DOMAIN}")
    n, = notices(suite)
    assert n.m["To"].addresses[0].addr_spec == f"postmaster@{HOSTNAME}"
    suite.wait_log(r"notice to=<nobody@hermod.test> refused reply=\"5.1.1")


def break_mailbox(suite, user):
    """Deliveries to it fail until the queue's patience is over."""
    path = suite.maildir(user).path
    shutil.rmtree(path, ignore_errors=True)
    open(path, "w").close()


def noted(suite, n):
    """So many notifications were made, and no more; once the journal has them."""
    def made():
        return len(re.findall(r"notice=\w{16}", suite.log()))
    wait_for(lambda: made() >= n, 10 * patience(), why=made)
    assert made() == n



def test_no_notification_is_the_reason_for_a_third(make_suite):
    """Anna's mail to bert fails, so does the notice to anna, so does that to postmaster, who is anna: a person has to look."""
    suite = make_suite(**FAST, early_delivery_time="0s", max_queue_lifetime="2s", bounce_queue_lifetime="2s")
    break_mailbox(suite, "anna")
    send(suite, f"bert@{DOMAIN}", mail("bert", header=LOOP.format("bert")))
    suite.wait_log(r"status=held reason=.*a notification to postmaster could not be delivered", seconds=60)
    wait_for(lambda: not suite.queue_files("new") + suite.queue_files("active") + suite.queue_files("later"), 20 * patience())
    assert len(suite.queue_files("hold")) == 1
    noted(suite, 2)
    time.sleep(2)
    assert len(suite.queue_files()) == 1


def test_two_that_both_fail(make_suite):
    suite = make_suite(users=("carl", "anna", "bert"), **FAST, early_delivery_time="0s", max_queue_lifetime="2s",
                       bounce_queue_lifetime="2s")
    for user in ("anna", "bert"):
        break_mailbox(suite, user)
    send(suite, f"bert@{DOMAIN}", mail("bert"), sender=f"anna@{DOMAIN}")
    send(suite, f"anna@{DOMAIN}", mail("anna"), sender=f"bert@{DOMAIN}")
    found = notices(suite, "carl", 2)               # postmaster hears of both, of each once
    assert {n.flat("Final-Recipient") for n in found} == {f"rfc822; anna@{DOMAIN}", f"rfc822; bert@{DOMAIN}"}
    noted(suite, 4)


# ---- when things go wrong ------------------------------------------------------------------

def failing(suite, n):
    for i in range(n):
        send(suite, f"bert@{DOMAIN}", mail("bert", header=LOOP.format("bert") + f"X-Number: {i}\r\n"))


def numbers(suite, user="anna"):
    return [int(x) for m in suite.maildir(user).messages() for x in re.findall(rb"^X-Number: (\d+)", m, re.M)]


def test_bounce_is_killed_again_and_again(house):
    suite = house(early_delivery_time="0s")
    for i in range(8):
        failing(suite, 5)
        for _ in range(3):
            suite.kill("bounce")
            time.sleep(0.03 * (i % 4))
    wait_for(lambda: suite.processes("bounce"), 20 * patience())
    suite.wait_queue_empty(seconds=90)
    found = numbers(suite)
    for k in range(5):
        assert found.count(k) >= 8, f"number {k} of the five was told {found.count(k)} times for 8"
    assert not suite.queue_files("corrupt")


@pytest.mark.faults
@pytest.mark.parametrize("rule", ["write:~2:kill", "write:~1:ENOSPC", "write:~1:short", "write:~1:EIO", "close:~1:EIO",
                                  "calloc:~60:ENOMEM", "realloc:~400:ENOMEM"])
def test_a_call_fails(make_suite, rule):
    suite = make_suite(start=False, **FAST, early_delivery_time="0s")
    suite.env = {"HERMOD_FAULT": f"bounce:{rule}"}
    suite.start()
    for i in range(3):                              # one by one: who dies at each second takes none with it else
        failing(suite, 1)
        suite.maildir("anna").wait(i + 1, seconds=150)      # what waits in later/ is looked at when a minute is over
    suite.wait_queue_empty(seconds=150)
    assert len(numbers(suite)) >= 3
    assert not suite.queue_files("hold") + suite.queue_files("corrupt")


@pytest.mark.faults
def test_what_is_to_be_held_cannot_be_written(make_suite, far):
    """Nobody can be told, and that cannot be written at first: it is held as soon as it can be, without asking anew."""
    suite = make_suite(start=False, **FAST, routes=[f"far.test smtp:[127.0.0.1]:{far.port}"])
    with open(os.path.join(suite.dir, "etc", "aliases"), "w") as f:
        f.write("postmaster: bert@far.test\n")
    suite.env = {"HERMOD_FAULT": "qmgr:fdatasync:~3:EIO"}   # of the message, of the notice, of its being held
    suite.start()
    send(suite, "bert@far.test", mail("bert"), sender="")
    suite.wait_log("its state cannot be written")
    for p in suite.processes("bounce"):
        p.kill(signal.SIGSTOP)
    assert not suite.queue_files("hold") and "status=held" not in suite.log()
    try:
        suite.wait_log(r"status=held reason=.*a notification to postmaster could not be delivered", seconds=30)
    finally:
        for p in suite.processes("bounce"):
            p.kill(signal.SIGCONT)
    wait_for(lambda: [os.path.relpath(f, suite.queue).split("/")[0] for f in suite.queue_files()] == ["hold"], 10 * patience())


def test_qmgr_is_killed_while_it_asks(house):
    suite = house(early_delivery_time="0s")
    for i in range(5):
        failing(suite, 4)
        suite.kill("qmgr")
        time.sleep(0.05 * i)
    suite.wait_queue_empty(seconds=90)
    found = numbers(suite)
    assert all(found.count(k) >= 5 for k in range(4)), found


def test_bounce_stands_still(house):
    suite = house(early_delivery_time="0s", notify_timeout="2s")
    for p in suite.processes("bounce"):
        p.kill(signal.SIGSTOP)
    failing(suite, 1)
    suite.wait_log("the sender cannot be told yet: bounce does not answer", seconds=20)
    send(suite, f"bert@{DOMAIN}", mail("bert"))     # others go on
    suite.maildir("bert").wait(1)
    for p in suite.processes("bounce"):
        p.kill(signal.SIGCONT)
    suite.wait_queue_empty(seconds=60)
    assert set(numbers(suite)) == {0}


@pytest.mark.root
def test_a_full_disk(make_suite):
    """No mail is taken any more; notifications are, until that room is used up, too; then they wait for more."""
    suite = make_suite(start=False, **FAST, early_delivery_time="0s", queue_minfree="600K", queue_minfree_submission="600K",
                       queue_minfree_notice="100K", queue_minfree_files=0)
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M,mode=755", "tmpfs", suite.queue], stderr=subprocess.PIPE)
    if r.returncode != 0:
        pytest.skip(f"tmpfs cannot be mounted here: {r.stderr.decode().strip()}")
    try:
        suite.start()
        pids = suite.processes("bounce")
        for p in pids:
            p.kill(signal.SIGSTOP)
        failing(suite, 2)
        suite.wait_log("status=failed")

        def leave(octets):
            st = os.statvfs(suite.queue)
            with open(os.path.join(suite.queue, "ballast"), "ab") as f:
                f.write(bytes(max(0, st.f_bavail * st.f_frsize - octets)))
        leave(50000)
        time.sleep(0.3)                             # cleanup looks at the disk ten times a second
        for p in pids:
            p.kill(signal.SIGCONT)
        suite.wait_log("the sender cannot be told yet: there is no room in the queue", seconds=30)
        assert not suite.maildir("anna").files()
        os.truncate(os.path.join(suite.queue, "ballast"), 0)
        leave(300000)
        with pytest.raises(smtplib.SMTPException):
            suite.send("bert")
        suite.maildir("anna").wait(2, seconds=60)
        suite.wait_queue_empty()
        assert set(numbers(suite)) == {0, 1}
    finally:
        suite.stop()
        subprocess.run(["umount", "-l", suite.queue], check=True)
