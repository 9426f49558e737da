# SPDX-License-Identifier: ISC
"""hermod explain and hermod route: what they say is what is done, and nothing of it can hurt a terminal."""
import os
import struct
import subprocess
import time

import pytest

from hermodtest import ipc
from hermodtest.dns import SERVFAIL, Reply, Server
from hermodtest.proc import wait_for
from hermodtest.servers import refusing_port
from hermodtest.servers import Server as Relay
from hermodtest.suite import Suite, patience

STEPS = 2 << 20				# EXPLAIN_OCTETS of router/explain.h
NOBODY = 65534


@pytest.fixture(scope="module")
def dns():
    d = Server()
    d.add("many.test", "MX", "20 b.many.test", "10 a.many.test")
    d.add("a.many.test", "A", "192.0.2.1", "192.0.2.2")
    d.add("a.many.test", "AAAA", "2001:db8::1", "2001:db8::2")
    d.add("b.many.test", "A", "192.0.2.9")
    d.add("null.test", "MX", "0 .")
    d.add("itself.test", "A", "192.0.2.3")
    d.add("back.test", "MX", "10 best.test", "20 mx.hermod.test", "20 equal.test", "30 worse.test")
    d.add("best.test", "A", "192.0.2.4")
    d.add("walls.test", "A", "127.0.0.1", "169.254.169.254", "192.0.2.5")
    d.add("wide.test", "A", *[f"192.0.2.{n}" for n in range(100, 107)])
    d.add("just.test", "A", *[f"192.0.2.{n}" for n in range(100, 106)])
    d.add("crowd.test", "MX", *[f"{n} h{n:02d}.crowd.test" for n in range(17, 0, -1)])
    for n in range(1, 18):
        d.add(f"h{n:02d}.crowd.test", "A", f"192.0.2.{n}")
    d.answers[("broken.test", "MX")] = Reply(rcode=SERVFAIL)
    yield d
    d.close()


@pytest.fixture(scope="module")
def explained(dns):
    s = Suite({"dns_insecure": ["."], "dns_forwarders": [dns.address], "dns_timeout": "3s", "smtp_port": 2525,
               "relay_domains": ["many.test"],
               "routes": ["sink.test lmtp:unix:/run/lmtp", "fixed.test smtp:[192.0.2.8]:26", "named.test smtp:[best.test]",
                          "closed.test error:5.1.2 it has closed",
                          "from.test smtp:[192.0.2.8]:26;from=192.0.2.5", "a.many.test smtp:[a.many.test];from=192.0.2.5"],
               "smtp_bind_ipv6": "2001:db8::77"})
    with open(os.path.join(s.dir, "etc", "aliases"), "a") as f:
        f.write("office: anna, bert, x@many.test\nloop: loop\ncommand: \"|/bin/cat\"\n")
        f.write("\u00e4: nobody\nodd: \"a\x1b[31m\u009b31m\"@hermod.test\nmany: " + ", ".join(f"nobody-of-some-length-{n}" for n in range(4900)) + "\n")
    wait_for(lambda: rules(lines(s, "route", "office@hermod.test"), "goes"), 10 * patience(), step=0.3)
    yield s
    s.end()


def lines(s, *args):
    return s.hermod_json(*args)


def rules(out, rule):
    return [line["words"] for line in out if line["rule"] == rule]


def said(s, client, recipient, sender="x@client.test"):
    """The verdict."""
    out = lines(s, "explain", "--client", client, "--from", sender, "--to", recipient)
    return rules(out, "RCPT")[0]


@pytest.mark.parametrize("recipient", [
    "anna@hermod.test", "ANNA+x@HERMOD.test", "nobody@hermod.test", "office@hermod.test", "command@hermod.test", "loop@hermod.test",
    "x@many.test", "x@elsewhere.test", "x@[127.0.0.1]", "anna", "a b@hermod.test", "@a.test:anna@hermod.test", "postmaster",
    "x@closed.test", '"a"b"@hermod.test', "x" * 300 + "@hermod.test",
])
def test_it_says_what_smtp_says(explained, recipient):
    c = explained.smtp()
    try:
        c.ehlo()
        assert c.mail("x@client.test")[0] == 250
        code, text = c.docmd(f"RCPT TO:<{recipient}>")
    finally:
        c.close()
    # Loopback is trusted nowhere here, so any stranger gets the same answer.
    assert said(explained, "127.0.0.1", recipient) == f"{code} {text.decode()}"


@pytest.mark.parametrize("sender, want", [
    ("x@client.test", "250 2.1.0"), ("<>", "250 2.1.0"), ("", "250 2.1.0"), ("x", "501 5.1.7"), ("x@y@z", "501 5.1.7"),
    ("x" * 400 + "@client.test", "501 5.1.7"), ("x" * 6000, "500 5.5.2"),
])
def test_senders(explained, sender, want):
    out = lines(explained, "explain", "--client", "192.0.2.1", "--from", sender, "--to", "anna@hermod.test")
    assert rules(out, "MAIL")[0].startswith(want)
    assert bool(rules(out, "RCPT")) == want.startswith("250")


def test_a_recipient_with_its_reasons(explained):
    out = lines(explained, "explain", "--client", "192.0.2.1", "--from", "x@client.test", "--to", "anna+x@hermod.test")
    assert [line["rule"] for line in out] == [
        "client", "limit", "limit", "limit", "MAIL", "domain", "alias", "alias", "account", "subaddress", "alias", "alias", "account",
        "recipient", "RCPT", "goes"]
    assert rules(out, "domain") == ["hermod.test is ours: it is in local_domains"]
    assert rules(out, "subaddress") == ["anna+x is anna with what recipient_delimiter + separates"]
    goes = out[-1]
    assert (goes["recipient"], goes["transport"], goes["nexthop"]) == ("anna+x@hermod.test", "local", "anna@hermod.test")
    assert goes["mailbox"] == f"maildir:{explained.mail}/hermod.test/anna/Maildir"
    assert [line["code"] for line in out if "code" in line] == [250, 250]


def test_limits(explained):
    out = lines(explained, "explain", "--client", "192.0.2.1", "--to", "anna@hermod.test")
    assert rules(out, "limit") == ["smtpd_client_sessions: 100 sessions at once of one address",
                                   "smtpd_client_rate: 1000 connections a minute of one address", "message_size_limit: 25M"]
    out = lines(explained, "explain", "--local-user", "--to", "anna@hermod.test")
    assert rules(out, "limit") == ["message_size_limit: 25M"]


def test_aliases(explained):
    out = lines(explained, "explain", "--client", "192.0.2.1", "--to", "office@hermod.test")
    assert rules(out, "item") == ["anna", "bert", "x@many.test"]
    assert [line["depth"] for line in out if line["rule"] == "recipient"] == [1, 1, 1]
    assert [line["nexthop"] for line in out if line["rule"] == "goes"] == ["anna@hermod.test", "bert@hermod.test", "many.test"]
    text = explained.hermod("explain", "--client", "192.0.2.1", "--to", "office@hermod.test").stdout
    assert "\nrecipient    anna@hermod.test, by local to anna@hermod.test\n" in text


@pytest.mark.parametrize("who, word", [
    (["--client", "192.0.2.1"], "192.0.2.1 is in none of trusted_networks, and has not logged in"),
    (["--client", "2001:db8::1"], "2001:db8::1 is in none of trusted_networks, and has not logged in"),
    (["--account", "anna@hermod.test"], "who has logged in may send to other hosts"),
    (["--account", "anna@hermod.test", "--client", "192.0.2.1"], "who has logged in may send to other hosts"),
    (["--local-user"], "users of this host may send to other hosts"),
])
def test_who_may_relay(explained, who, word):
    out = lines(explained, "explain", *who, "--to", "x@itself.test")
    assert rules(out, "relay")[0] == word
    refused = "--client" in who and "--account" not in who
    assert bool(rules(out, "goes")) != refused
    if refused:
        assert rules(out, "relay")[1] == "itself.test is not in relay_domains"
        assert rules(out, "RCPT") == ["554 5.7.1 relay access denied; log in to send mail to other hosts"]


def test_nobody_is_told_to_the_log(explained):
    before = explained.log()
    out = lines(explained, "explain", "--client", "192.0.2.1", "--to", "command@hermod.test")
    assert rules(out, "fault")[0].startswith("alias command@hermod.test: commands, files")
    assert rules(out, "RCPT")[0].startswith("451 4.3.5")
    time.sleep(0.3)
    assert "command@hermod.test" not in explained.log()[len(before):]


# ---- other hosts -----------------------------------------------------------------------------------

def tried(out, rule="try"):
    return [line.get("address") for line in out if line["rule"] == rule]


def test_exchangers_in_their_order(explained):
    out = lines(explained, "route", "x@many.test")
    assert rules(out, "goes") == ["x@many.test by smtp to many.test"] and rules(out, "tls") == ["smtp_tls is auto"]
    assert rules(out, "dns")[:2] == ["MX 10 a.many.test, insecure", "MX 20 b.many.test, insecure"]
    got = tried(out)
    assert {a.startswith("2001") for a in got[0:4:2]} == {True} and {a.startswith("192") for a in got[1:4:2]} == {True}
    assert sorted(got[:4]) == ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"] and got[4:] == ["192.0.2.9"]
    assert {line["port"] for line in out if line["rule"] == "try"} == {2525}
    assert {line["host"] for line in out if line["rule"] == "try"} == {"a.many.test", "b.many.test"}


@pytest.mark.parametrize("address, words, addresses", [
    ("x@null.test", "null.test takes no mail: its MX record says so (RFC 7505)", []),
    ("x@itself.test", "itself.test has no MX, insecure: it is its own mail exchanger", ["192.0.2.3"]),
    ("x@nosuch.test", "nosuch.test is no domain, insecure: its mail goes back", []),
    ("x@broken.test", "broken.test: failed: ", []),
    ("x@back.test", "mx.hermod.test is this host: ", ["192.0.2.4"]),
])
def test_what_the_dns_says(explained, address, words, addresses):
    out = lines(explained, "route", address)
    assert [w for w in rules(out, "dns") if w.startswith(words)], out
    assert tried(out) == addresses


def test_addresses_that_are_not_connected_to(explained):
    out = lines(explained, "route", "x@walls.test")
    assert tried(out) == ["192.0.2.5"] and sorted(tried(out, "unfit")) == ["127.0.0.1", "169.254.169.254"]


def test_more_addresses_than_are_tried(explained):
    assert rules(lines(explained, "route", "x@just.test"), "limit") == []
    out = lines(explained, "route", "x@wide.test")
    assert rules(out, "limit") == ["smtp_address_limit: 6 of 7 addresses are tried, some of each host while there is room"]
    assert len(tried(out)) == 6


def test_more_exchangers_than_are_looked_at(explained):
    """The best of them, whatever their order in the DNS; and of these as many as there is room for."""
    out = lines(explained, "route", "x@crowd.test")
    assert [w.split()[1] for w in rules(out, "dns") if w.startswith("MX ")] == [str(n) for n in range(1, 17)]
    assert tried(out) == [f"192.0.2.{n}" for n in range(1, 7)]
    assert rules(out, "limit") == ["1 further mail exchangers are not looked at",
                                   "smtp_address_limit: 6 of 16 addresses are tried, some of each host while there is room"]


def test_each_host_has_its_share(explained, dns):
    """As smtp-client shares them out: by the same code."""
    dns.add("share.test", "MX", "10 s1.share.test", "20 s2.share.test", "30 s3.share.test")
    for host in range(1, 4):
        dns.add(f"s{host}.share.test", "A", *[f"192.0.{host + 2}.{n}" for n in range(1, 6)])
    assert [a.split(".")[2] for a in tried(lines(explained, "route", "x@share.test"))] == ["3", "3", "3", "4", "4", "5"]


@pytest.mark.parametrize("address, want", [
    ("x@fixed.test", "[192.0.2.8]:26"),
    ("x@[192.0.2.77]", "[192.0.2.77]:2525"),
    ("x@named.test", "best.test [192.0.2.4]:2525, insecure"),
    ("x@sink.test", "/run/lmtp"),
    ("x@from.test", "[192.0.2.8]:26"),
])
def test_ways_that_are_set(explained, address, want):
    assert rules(lines(explained, "route", address), "try") == [want]


@pytest.mark.parametrize("address, nexthop, froms, unfit", [
    ("x@from.test", "[192.0.2.8]:26;from=192.0.2.5", ["192.0.2.5, as the route says"], []),
    ("x@a.many.test", "[a.many.test];from=192.0.2.5", ["192.0.2.5, as the route says"], ["2001:db8::1", "2001:db8::2"]),
    ("x@many.test", "many.test", ["2001:db8::77, as smtp_bind_ipv6 says"], []),
    ("x@sink.test", "unix:/run/lmtp", [], []),
])
def test_where_it_comes_from(explained, address, nexthop, froms, unfit):
    out = lines(explained, "route", address)
    assert [line["nexthop"] for line in out if line["rule"] == "goes"] == [nexthop]
    assert rules(out, "from") == froms and [line["address"] for line in out if line["rule"] == "from"] == [f.split(",")[0] for f in froms]
    assert sorted(tried(out, "unfit")) == unfit and not set(unfit) & set(tried(out))


def test_where_it_does_come_from(make_suite):
    """Through the router, the queue and smtp-client, by each way to say it; what waits is shown with it."""
    dead = refusing_port()
    with Relay(extensions=[]) as relay:
        to = f"[127.0.0.1]:{relay.port}"
        suite = make_suite(start=False, trusted_networks=["127.0.0.0/8"], relay_host=f"{to};from=127.0.3.1",
                           routes=[f"a.test smtp:{to};from=127.0.3.2", "b.test smtp:;from=127.0.3.3", f"dead.test smtp:[127.0.0.1]:{dead};from=127.0.3.4"])
        table = os.path.join(suite.dir, "etc", "transports")
        with open(table, "w") as f:
            f.write(f"c.test smtp:{to};from=127.0.3.5\nwrong.test smtp:{to};from=2001:db8::5\n")
        suite.settings["transport_map"] = "text:" + table
        suite.write_conf()
        suite.start()
        for domain, client in (("elsewhere.test", "127.0.3.1"), ("a.test", "127.0.3.2"), ("b.test", "127.0.3.3"), ("c.test", "127.0.3.5")):
            suite.send(f"x@{domain}")
            wait_for(lambda: [s for s in relay.sessions if s.client == client and "DATA" in [c.upper() for c in s.commands]], 20 * patience())
            assert rules(lines(suite, "route", f"x@{domain}"), "from") == [f"{client}, as the route says"]
        suite.send("x@dead.test")
        wait_for(lambda: f"[127.0.0.1]:{dead};from=127.0.3.4" in suite.hermod("--json", "queue", "list").stdout, 20 * patience(),
                 why=lambda: suite.hermod("--json", "queue", "list").stdout)
        wrong = lines(suite, "explain", "--local-user", "--to", "x@wrong.test")
        assert rules(wrong, "reply")[0].startswith("451 4.3.5") and "right would be" in rules(wrong, "fault")[0]


@pytest.mark.parametrize("settings, word", [
    ({}, "there is a login, so the server has to prove who it is"),
    ({"smtp_tls": "secure"}, None), ({"smtp_tls": "dane"}, None), ({"smtp_auth_unproven": True}, None), ({"smtp_auth_plaintext": True}, None),
    ({"smtp_tls": "never"}, "a server that does not prove who it is hears no password"),
    ({"tls_policies": ["relay.test must"]}, "a server that does not prove who it is hears no password"),
    ({"tls_policies": ["relay.test secure"]}, None),
])
def test_logins(dns, make_suite, settings, word):
    """Who logs in there and what the server must show for it; no password on any terminal."""
    suite = make_suite(start=False, dns_insecure=["."], dns_forwarders=[dns.address],
                       routes=["a.test smtp:[relay.test]:587", "b.test smtp:[127.0.0.1]:587", "c.test smtp:[192.0.2.1]", "d.test smtp:[broken.test]"],
                       **settings)
    table = os.path.join(suite.dir, "etc", "credentials")
    with open(table, "w") as f:
        f.write("relay.test mechanisms=PLAIN anna Zebra9\n127.0.0.1 bert oauth:Zebra9\nbroken.test Zebra9\n")
    suite.settings["smtp_credentials"] = "text:" + table
    suite.write_conf()
    suite.start()
    out = lines(suite, "route", "x@a.test")
    assert rules(out, "login") == ["smtp_credentials has relay.test: as anna, by a password and PLAIN"]
    assert [(line["key"], line["user"]) for line in out if line["rule"] == "login"] == [("relay.test", "anna")]
    assert [w for w in rules(out, "tls")[1:] if word and w.startswith(word)] == rules(out, "tls")[1:] and len(rules(out, "tls")) == 1 + bool(word)
    assert not word or "smtp_auth_unproven" in rules(out, "tls")[1]
    out += lines(suite, "explain", "--local-user", "--to", "x@b.test")
    assert rules(out, "login")[1].startswith("smtp_credentials: 127.0.0.1: the token in ") and rules(out, "login")[1].endswith(": its mail waits")
    assert len(rules(out, "tls")) == 2 + bool(word), "this host needs no proof of itself"
    assert not rules(lines(suite, "route", "x@c.test"), "login")
    out += lines(suite, "route", "x@d.test")
    assert rules(out, "login")[2].startswith("smtp_credentials: broken.test: there is no user, or no password"), out
    assert not [line for line in out if "Zebra9" in line["words"] and "/Zebra9" not in line["words"]]
    assert "Zebra9" not in suite.log().replace("/Zebra9", "")


def test_route_of_what_is_refused(explained):
    out = lines(explained, "route", "nobody@hermod.test")
    assert rules(out, "reply") == ["550 5.1.1 there is no mailbox here by that name"] and not rules(out, "goes")
    assert rules(lines(explained, "route", "x" * 65 + "@hermod.test"), "reply")[0].startswith("501 5.1.3")


@pytest.mark.parametrize("recipient", ["anna", "office", "postmaster", "anna@hermod.test", "nobody", "x" * 65, "a b@hermod.test"])
def test_it_says_what_sendmail_says(explained, recipient):
    out = lines(explained, "explain", "--local-user", "--to", recipient)
    r = subprocess.run([os.path.join(explained.build, "bin", "sendmail"), "-C", explained.conf, "-bv", recipient], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(explained.environment(), HERMOD_CONF=explained.conf))
    code, words = rules(out, "reply")[0].split(" ", 1)
    assert (code == "250") == (r.returncode == 0), r.stdout
    assert code == "250" or words in r.stdout


# ---- what it withstands ------------------------------------------------------------------------------

def test_no_controls_are_printed(explained):
    for args in (["explain", "--client", "192.0.2.1", "--to", "odd@hermod.test"], ["--json", "route", "odd@hermod.test"]):
        out = explained.hermod(*args).stdout
        assert "odd" in out or "RCPT" in out or "reply" in out
        assert not [c for c in out if c != "\n" and (ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0)], out


def test_more_steps_than_are_told(explained):
    out = lines(explained, "explain", "--client", "192.0.2.1", "--to", "many@hermod.test")
    assert rules(out, "RCPT")[0].startswith("550 5.1.1")
    steps = [line for line in out if line["rule"] in ("domain", "alias", "item", "account", "fault")]
    size = sum(len(line["words"]) + len(line["rule"]) + 16 for line in steps)	# lengths, depth
    left = rules(out, "...")
    assert STEPS - 512 < size <= STEPS and left and left[0].endswith(" further steps")
    assert lines(explained, "explain", "--client", "192.0.2.1", "--to", "anna@hermod.test")[-1]["rule"] == "goes"


@pytest.mark.parametrize("args", [
    ["explain"], ["explain", "--to", "a@b"], ["explain", "--client", "192.0.2.1"], ["explain", "--client", "mx.test", "--to", "a@b"],
    ["explain", "--client", "192.0.2.1", "--local-user", "--to", "a@b"], ["explain", "--to"], ["explain", "--what", "x"],
    ["explain", "--account", "a", "--local-user", "--to", "a@b"], ["explain", "--client", "192.0.2.1", "--to", "a\r\nQUIT@b"],
    ["explain", "--client", "192.0.2.1", "--from", "a\n", "--to", "a@b"], ["route"], ["route", "a", "b"], ["route", "a\tb"],
    ["explain", "--local-user", "--from", "x" * 2000, "--to", "anna"],
])
def test_wrong_use(explained, args):
    r = explained.hermod(*args, check=False)
    assert r.returncode == 64 and r.stderr and not r.stdout


def served(s):
    """What it says, if it has its turn."""
    return s.hermod("explain", "--client", "192.0.2.1", "--from", "x@client.test", "--to", "anna@hermod.test", check=False).stdout


def ask_frame(recipient, who=0):
    return ipc.frame("explain_ask", struct.pack("<I", who) + ipc.text(b"192.0.2.1") + ipc.text(b"") + ipc.text(recipient)
                     + struct.pack("<I", 0))


def test_frames(explained):
    """A class that is none is a stranger's; nobody reads the answers; the router serves on."""
    path = os.path.join(explained.dir, "run", "explain.sock")
    pids = explained.pids("router")
    s = ipc.connect(path)
    s.send(ask_frame(b"x@itself.test", who=77))
    while True:
        answer = s.recv(ipc.FRAME_MAX)
        if struct.unpack_from("<I", answer)[0] == ipc.TYPES["rcpt_answer"]:
            break
    assert b"5.7.1" in answer
    s.send(ask_frame(b"anna\0\x1b@hermod.test"))
    assert s.recv(ipc.FRAME_MAX)
    deaf = ipc.connect(path)
    deaf.settimeout(1)
    try:
        for _ in range(200):
            deaf.send(ask_frame(b"many@hermod.test"))
    except OSError:
        pass
    wait_for(lambda: " 250 " in served(explained), 60 * patience(), why=lambda: served(explained))       # once that one is given up
    deaf.close()
    s.close()
    assert explained.pids("router") == pids


def test_too_many_at_once(explained):
    path = os.path.join(explained.dir, "run", "explain.sock")
    held = []

    def all_held():                     # who was there before may not have gone for the router yet
        try:
            held.append(ipc.connect(path))
        except (EOFError, ConnectionError):
            pass
        return len(held) == 16
    wait_for(all_held, 10 * patience(), why=lambda: f"{len(held)} of 16")
    with pytest.raises((EOFError, ConnectionError)):
        ipc.connect(path)
    for s in held:
        s.close()
    wait_for(lambda: " 250 " in served(explained), 10 * patience(), why=lambda: served(explained))


def test_not_for_everybody(explained):
    path = os.path.join(explained.dir, "run", "explain.sock")
    st = os.stat(path)
    assert st.st_mode & 0o777 == 0o600 and st.st_uid == os.geteuid()
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    code = f"import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect({path!r})"
    r = subprocess.run(["/usr/bin/python3", "-c", code], user=NOBODY, group=NOBODY, extra_groups=[], text=True, stderr=subprocess.PIPE)
    assert "PermissionError" in r.stderr


def test_tables_and_settings_as_they_are_now(make_suite):
    """A table that was changed, and settings by a reload: explained by those who serve."""
    s = make_suite()
    assert said(s, "192.0.2.1", "new@hermod.test").startswith("550")
    with open(os.path.join(s.dir, "etc", "aliases"), "a") as f:
        f.write("new: anna\n")
    wait_for(lambda: said(s, "192.0.2.1", "new@hermod.test").startswith("250"), 10 * patience(), step=0.3)
    s.write_conf(relay_domains=["later.test"], smtpd_client_rate=0)
    assert said(s, "192.0.2.1", "x@later.test").startswith("554")
    s.reload()
    assert said(s, "192.0.2.1", "x@later.test").startswith("250")
    assert "smtpd_client_rate: none" in rules(lines(s, "explain", "--client", "192.0.2.1", "--to", "anna@hermod.test"), "limit")


def test_a_table_that_cannot_be_read(make_suite):
    s = make_suite()
    path = os.path.join(s.dir, "etc", "accounts.lmdb")
    os.rename(path, path + ".away")
    wait_for(lambda: said(s, "192.0.2.1", "anna@hermod.test").startswith("451 4.3.0"), 10 * patience(), step=0.3)
    out = lines(s, "explain", "--client", "192.0.2.1", "--to", "anna@hermod.test")
    assert rules(out, "account") == ["anna@hermod.test cannot be looked up just now: the log says why"]


def test_while_the_suite_is_down(make_suite):
    s = make_suite(start=False)
    for args in (["explain", "--client", "192.0.2.1", "--to", "a@b.test"], ["route", "a@b.test"]):
        r = s.hermod(*args, check=False)
        assert r.returncode == 69 and "Hermod does not run" in r.stderr and r.stdout == ""
