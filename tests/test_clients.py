# SPDX-License-Identifier: ISC
"""Real clients, each at its real job: what they send arrives whole, what they fetch is what arrived, and what they delete
is gone."""
import email
import email.message
import os
import poplib
import re
import smtplib

import pytest

from hermodtest.client import BODY, NOBODY, Screen, body_of, mail, need, run, write
from hermodtest.proc import wait_for
from hermodtest.suite import PASSWORD, patience

SETTINGS = {"login_client_rate": 100000, "login_client_sessions": 1000, "smtpd_client_rate": 100000,
            "smtpd_client_sessions": 1000}


def arrived(suite, to, mark):
    """The one message with that subject, as it is in the mailbox."""
    def find():
        found = [m for m in suite.maildir(to).messages() if re.search(rb"(?m)^Subject: %s$" % mark.encode(), m)]
        return found
    found = wait_for(find, 20 * patience(), why=lambda: suite.log()[-3000:])
    assert len(found) == 1
    return found[0]


def filled(suite, user, n=3):
    """A fresh account with n messages; what they are as its owner fetches them (CRLF)."""
    address = suite.add_account(user)
    for i in range(n):
        suite.send(address, mail(f"{user}-{i}").replace(b"\n", b"\r\n"))
        suite.maildir(address).wait(i + 1)
    by_subject = {}
    for m in suite.maildir(address).messages():
        by_subject[re.search(rb"(?m)^Subject: (.*)$", m).group(1)] = m
    return address, [by_subject[f"{user}-{i}".encode()] for i in range(n)]


def left(suite, address):
    return len(suite.maildir(address).files())


def same(fetched, stored):
    """A client may add fields of its own at the top and a From line; the rest is what was stored."""
    fetched = fetched.replace(b"\r\n", b"\n")
    return fetched.rstrip(b"\n").endswith(stored.rstrip(b"\n"))


# ---- sending ------------------------------------------------------------------------------------


def test_curl_sends(shared_suite, home):
    need(("curl", "curl"))
    run(home, "curl", "-sS", "--crlf", f"smtp://127.0.0.1:{shared_suite.smtp_port}/client.test", "--mail-from", "s@client.test",
        "--mail-rcpt", "anna@hermod.test", "--mail-rcpt", "bert@hermod.test", "-T", "-", input=mail("curl"))
    for to in ("anna", "bert"):
        assert body_of(arrived(shared_suite, to, "curl")) == BODY
    run(home, "curl", "-sS", f"smtp://127.0.0.1:{shared_suite.smtp_port}", "--mail-from", "s@client.test", "--mail-rcpt",
        "nobody@hermod.test", "-T", "-", input=mail("curl no"), check=55)


def test_swaks_sends(shared_suite, home):
    need(("swaks", "swaks"))
    where = ["swaks", "--server", "127.0.0.1", "--port", shared_suite.smtp_port, "--from", "s@client.test"]
    out = run(home, *where, "--to", "anna@hermod.test,bert@hermod.test", "--data", "-", "--pipeline", input=mail("swaks"))
    assert b"queued as" in out
    for to in ("anna", "bert"):
        assert body_of(arrived(shared_suite, to, "swaks")) == BODY + b"\n"	# it ends what it is given by a line end
    run(home, *where, "--to", "nobody@hermod.test", check=24)
    run(home, *where, "--to", "anna@hermod.test", "--quit-after", "RCPT")


def test_msmtp_sends(shared_suite, home):
    need(("msmtp", "msmtp"))
    conf = write(home / "msmtprc", f"account default\nhost 127.0.0.1\nport {shared_suite.smtp_port}\nfrom s@client.test\n"
                 "tls off\nauth off\n")
    run(home, "msmtp", "-C", conf, "anna@hermod.test", input=mail("msmtp"))
    assert body_of(arrived(shared_suite, "anna", "msmtp")) == BODY
    run(home, "msmtp", "-C", conf, "-t", input=b"To: anna@hermod.test\nBcc: bert@hermod.test\nSubject: msmtp t\n\nx\n")
    assert b"Bcc" not in arrived(shared_suite, "bert", "msmtp t")
    run(home, "msmtp", "-C", conf, "nobody@hermod.test", input=mail("msmtp no"), check=65)


def test_s_nail_sends(shared_suite, home):
    need(("s-nail", "s-nail"))
    run(home, "s-nail", "-:/", "-Sv15-compat", f"-Smta=smtp://127.0.0.1:{shared_suite.smtp_port}", "-Ssmtp-auth=none",
        "-Ssmtp-config=-all", "-Shostname=client.test", "-Sttycharset=utf-8", "-r", "s@client.test", "-s", "s-nail",
        "-c", "bert@hermod.test", "anna@hermod.test", input=b"short\n.x\n")
    for to in ("anna", "bert"):
        assert body_of(arrived(shared_suite, to, "s-nail")) == b"short\n.x\n"


def test_s_nail_sends_by_sendmail(shared_suite, home):
    need(("s-nail", "s-nail"))
    wrapper = write(home / "sendmail", f'#!/bin/sh\nexec {shared_suite.build}/bin/sendmail -C {shared_suite.conf} "$@"\n', 0o700)
    run(home, "s-nail", "-:/", "-Sv15-compat", f"-Smta=file://{wrapper}", "-r", "s@client.test", "-s", "by sendmail",
        "anna@hermod.test", input=b"short\n..\n")
    assert body_of(arrived(shared_suite, "anna", "by sendmail")) == b"short\n..\n"


def test_mutt_sends_by_sendmail_and_smtp(shared_suite, home):
    need(("mutt", "mutt"))
    sendmail = f"{shared_suite.build}/bin/sendmail -C {shared_suite.conf} -oem -oi"
    write(home / "file.bin", "attached\n")
    for n, how in enumerate((f'set sendmail="{sendmail}"', f'set smtp_url="smtp://127.0.0.1:{shared_suite.smtp_port}"')):
        rc = write(home / "muttrc", f'{how}\nset from="s@client.test"\nset copy=no\nset charset=utf-8\nset send_charset=utf-8\nset hostname=client.test\n'
                   f'set ssl_starttls=no\nset ssl_force_tls=no\n')
        run(home, "mutt", "-n", "-F", rc, "-s", f"mutt {n}", "-a", home / "file.bin", "--", "anna@hermod.test",
            input=b"Gr\xc3\xbc\xc3\x9fe\n.\nend\n")
        m = email.message_from_bytes(arrived(shared_suite, "anna", f"mutt {n}"))
        parts = [p.get_payload(decode=True) for p in m.walk() if not p.is_multipart()]
        assert parts == ["Gr\u00fc\u00dfe\n.\nend\n".encode(), b"attached\n"]


def test_smtplib_sends(shared_suite):
    with smtplib.SMTP("127.0.0.1", shared_suite.smtp_port, "client.test", timeout=30 * patience()) as c:
        assert c.ehlo()[0] == 250 and c.has_extn("smtputf8") and c.has_extn("8bitmime")
        m = email.message.EmailMessage()
        m["From"], m["To"], m["Subject"] = "s@client.test", "anna@hermod.test", "smtplib"
        m.set_content("Gr\u00fc\u00dfe\n.\n", cte="8bit")
        assert c.send_message(m) == {}
        refused = c.sendmail("s@client.test", ["anna@hermod.test", "nobody@hermod.test"], mail("smtplib two").replace(b"\n", b"\r\n"),
                             ["BODY=8BITMIME"])
        assert refused["nobody@hermod.test"][0] == 550
        assert c.verify("anna")[0] == 252
    assert body_of(arrived(shared_suite, "anna", "smtplib")) == "Gr\u00fc\u00dfe\n.\n".encode()
    assert body_of(arrived(shared_suite, "anna", "smtplib two")) == BODY


# ---- fetching -----------------------------------------------------------------------------------


def test_curl_fetches(shared_suite, home):
    need(("curl", "curl"))
    address, stored = filled(shared_suite, "curl")
    where = f"pop3://127.0.0.1:{shared_suite.pop3_port}/"
    who = ["--user", f"{address}:{PASSWORD}"]
    assert len(run(home, "curl", "-sS", *who, where).splitlines()) == 3
    for i, m in enumerate(stored):
        assert run(home, "curl", "-sS", *who, where + str(i + 1)).replace(b"\r\n", b"\n") == m
    assert run(home, "curl", "-sS", *who, "--login-options", "AUTH=PLAIN", "-X", "UIDL", where).count(b"\n") == 3
    run(home, "curl", "-sS", *who, where + "2", "-X", "DELE", "-I")
    wait_for(lambda: left(shared_suite, address) == 2, 10 * patience())
    run(home, "curl", "-sS", "--user", f"{address}:wrong", where, check=67)


def fetchmailrc(home, suite, address, more):
    return write(home / "fetchmailrc", f'set no bouncemail\npoll 127.0.0.1 protocol pop3 port {suite.pop3_port} uidl\n'
                 f'  user "{address}" password "{PASSWORD}" sslproto "" {more} mda "cat >>{home}/mbox; echo END-OF-ONE >>{home}/mbox"\n')


def test_fetchmail_keeps_and_deletes(shared_suite, home):
    need(("fetchmail", "fetchmail"))
    address, stored = filled(shared_suite, "fetchmail")

    def fetch(more, check=0):
        run(home, "fetchmail", "-f", fetchmailrc(home, shared_suite, address, more), "-i", home / "ids", "--pidfile", home / "pid",
            "--nosyslog", check=check)
        try:
            return (home / "mbox").read_bytes().split(b"END-OF-ONE\n")[:-1]
        except FileNotFoundError:
            return []
    got = fetch("keep")
    assert len(got) == 3 and all(body_of(g) == body_of(m) for g, m in zip(got, stored))
    assert left(shared_suite, address) == 3
    assert len(fetch("keep", check=1)) == 3		# by UIDL it knows them all
    shared_suite.send(address, mail("fetchmail-new").replace(b"\n", b"\r\n"))
    shared_suite.maildir(address).wait(4)
    assert len(fetch("keep")) == 4
    fetch("nokeep flush", check=1)
    wait_for(lambda: left(shared_suite, address) == 0, 10 * patience())


def test_getmail_keeps_and_deletes(shared_suite, anyones_home):
    need(("getmail", "getmail6"))
    home, become = anyones_home
    address, stored = filled(shared_suite, "getmail")
    for sub in ("new", "cur", "tmp"):
        os.makedirs(home / "Maildir" / sub)
    os.makedirs(home / "getmail")

    def give():
        for top, folders, files in os.walk(home):
            for x in [top] + [os.path.join(top, f) for f in folders + files]:
                os.chown(x, NOBODY, NOBODY)

    def fetch(delete):
        rc = write(home / "getmail" / "getmailrc", f"[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\n"
                   f"port = {shared_suite.pop3_port}\nusername = {address}\npassword = {PASSWORD}\n"
                   f"[destination]\ntype = Maildir\npath = {home}/Maildir/\n[options]\nread_all = false\ndelete = {delete}\n")
        if become:
            give()
        run(home, *become, "getmail", "--getmaildir", home / "getmail", "--rcfile", rc, "-q")
        return [(home / "Maildir" / "new" / f).read_bytes() for f in os.listdir(home / "Maildir" / "new")]
    got = fetch("false")
    assert len(got) == 3 and {body_of(g) for g in got} == {BODY} and left(shared_suite, address) == 3
    assert len(fetch("false")) == 3
    assert len(fetch("true")) == 3
    wait_for(lambda: left(shared_suite, address) == 0, 10 * patience())


def test_mpop_keeps_and_deletes(shared_suite, home):
    need(("mpop", "mpop"))
    address, stored = filled(shared_suite, "mpop")
    for sub in ("new", "cur", "tmp"):
        os.makedirs(home / "Maildir" / sub)

    def fetch(keep):
        conf = write(home / "mpoprc", f'account default\nhost 127.0.0.1\nport {shared_suite.pop3_port}\nuser {address}\n'
                     f'passwordeval "echo \'{PASSWORD}\'"\nauth plain\ntls off\nkeep {keep}\nuidls_file {home}/uidls\n'
                     f'delivery maildir {home}/Maildir\nreceived_header off\n')
        run(home, "mpop", "-C", conf, "-Q")
        return [(home / "Maildir" / "new" / f).read_bytes() for f in os.listdir(home / "Maildir" / "new")]
    got = fetch("on")
    assert sorted(g.replace(b"\r\n", b"\n") for g in got) == sorted(stored) and left(shared_suite, address) == 3
    assert len(fetch("on")) == 3
    assert len(fetch("off")) == 3
    wait_for(lambda: left(shared_suite, address) == 0, 10 * patience())


def test_s_nail_fetches(shared_suite, home):
    need(("s-nail", "s-nail"))
    address, stored = filled(shared_suite, "snail")
    url = f"pop3://{address.replace('@', '%40')}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{shared_suite.pop3_port}"
    out = run(home, "s-nail", "-:/", "-Sv15-compat", "-Spop3-auth=plain", "-#", "-Y", f"copy * {home}/copied", "-Y", "delete 2",
              "-Y", "quit", "-f", url)
    assert (home / "copied").read_bytes().count(b"X-Mark: snail-") == 3, out
    wait_for(lambda: left(shared_suite, address) == 2, 10 * patience())


def test_poplib_fetches(shared_suite):
    address, stored = filled(shared_suite, "poplib")
    c = poplib.POP3("127.0.0.1", shared_suite.pop3_port, timeout=30 * patience())
    assert "UIDL" in c.capa()
    c.user(address)
    c.pass_(PASSWORD)
    for i, m in enumerate(stored):
        assert b"\n".join(c.retr(i + 1)[1]) + b"\n" == m
    c.dele(1)
    c.quit()
    wait_for(lambda: left(shared_suite, address) == 2, 10 * patience())


# ---- mutt on a screen ------------------------------------------------------------------------------


MUTTRC = ('set folder="~"\nset charset=utf-8\nset from="s@client.test"\nset ssl_starttls=no\nset ssl_force_tls=no\n'
          'set mail_check=1\nset sort=subject\nset index_format="[%s]"\n'
          'set move=no\nset delete=yes\nset quit=yes\nset wait_key=no\nset header_cache=""\nset pop_delete=yes\n'
          'set pop_checkinterval=0\n')


def read_and_delete(home, rc, user):
    """Opens the mailbox, reads the first message, deletes the second, leaves."""
    with Screen(home, f"mutt -n -F {rc}") as s:
        screen = s.shows(re.escape(f"[{user}-2]"))
        assert [x for x in re.findall(r"\[(.*?)\]", screen) if x.startswith(user)] == [f"{user}-{i}" for i in range(3)]
        s.keys("Enter")
        screen = s.shows(r"^Hello\.$")
        assert f"Subject: {user}-0" in screen
        lines = [line.rstrip() for line in screen.splitlines()]
        at = lines.index("Hello.")
        assert lines[at:at + 7] == ["Hello.", ".", "..", ".two", "From here", ">From there", ""]
        s.keys("q")
        s.shows(re.escape(f"[{user}-2]"))
        s.keys("j")
        s.keys("d")
        s.shows(r"Del:1")
        s.keys("q")
        wait_for(lambda: s("list-sessions") == "", 20 * patience(), why=lambda: s("capture-pane", "-p"))


def test_mutt_reads_by_pop3(shared_suite, home):
    need(("mutt", "mutt"), ("tmux", "tmux"))
    address, _ = filled(shared_suite, "muttpop")
    rc = write(home / "muttrc", MUTTRC + f'set pop_user="{address}"\nset pop_pass="{PASSWORD}"\n'
               f'set spoolfile="pop://127.0.0.1:{shared_suite.pop3_port}"\nset pop_authenticators="plain:user"\n')
    read_and_delete(home, rc, "muttpop")
    wait_for(lambda: left(shared_suite, address) == 2, 10 * patience())
    assert not any(b"Subject: muttpop-1\n" in m for m in shared_suite.maildir(address).messages())


def test_mutt_reads_the_maildir(shared_suite, home):
    """The local Maildir under mutt, with a delivery in between; POP3 sees what mutt did."""
    need(("mutt", "mutt"), ("tmux", "tmux"))
    address, _ = filled(shared_suite, "muttdir")
    rc = write(home / "muttrc", MUTTRC + f'set mbox_type=Maildir\nset spoolfile="{shared_suite.maildir(address).path}"\n')
    read_and_delete(home, rc, "muttdir")
    wait_for(lambda: left(shared_suite, address) == 2, 10 * patience())
    shared_suite.send(address, mail("muttdir-3").replace(b"\n", b"\r\n"))
    shared_suite.maildir(address).wait(3)
    c = shared_suite.pop3(address)
    subjects = [[x for x in c.top(i + 1, 0)[1] if x.startswith(b"Subject:")][0] for i in range(c.stat()[0])]
    assert sorted(subjects) == [b"Subject: muttdir-0", b"Subject: muttdir-2", b"Subject: muttdir-3"]
    c.quit()


@pytest.mark.settings(mailbox_format="mbox")
def test_mutt_reads_the_mbox(suite, home):
    """The local mbox: what looks like its separator is quoted there, and is again what it was by POP3."""
    need(("mutt", "mutt"), ("tmux", "tmux"))
    address = suite.add_account("muttbox")
    for i in range(3):
        suite.send(address, mail(f"muttbox-{i}").replace(b"\n", b"\r\n"))
        suite.wait_queue_empty()
    path = mbox_path(suite, "muttbox")
    rc = write(home / "muttrc", MUTTRC + f'set mbox_type=mbox\nset spoolfile="{path}"\n')
    with Screen(home, f"mutt -n -F {rc}") as s:
        s.shows(r"\[muttbox-2\]")
        s.keys("Enter")
        assert "\n>From here\n" in s.shows(r"^Hello\.$")		# mboxrd
        s.keys("q")
        s.shows(r"\[muttbox-2\]")
        s.keys("j")
        s.keys("d")
        s.shows(r"Del:1")
        s.keys("q")
        wait_for(lambda: s("list-sessions") == "", 20 * patience(), why=lambda: s("capture-pane", "-p"))
    c = suite.pop3(address)
    assert c.stat()[0] == 2
    for i in range(2):
        lines = c.retr(i + 1)[1]
        assert b"\n".join(lines[lines.index(b"") + 1:]) + b"\n" == BODY
    c.quit()


def mbox_path(suite, user):
    for top, _, files in os.walk(os.path.join(suite.mail, "hermod.test", user)):
        for f in files:
            if open(os.path.join(top, f), "rb").read(5) == b"From ":
                return os.path.join(top, f)
    raise AssertionError("no mbox: " + str(list(os.walk(suite.mail))))
