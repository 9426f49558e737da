# SPDX-License-Identifier: ISC
"""Mail from the host's own users: who logs in, how, and as whom he may send; what is added to what he sends."""
import base64
import email
import re
import shutil
import smtplib
import subprocess

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import HOSTNAME, PASSWORD, Suite, patience
from hermodtest.wire import greeted, rest, say

ANNA, BERT = "anna@hermod.test", "bert@hermod.test"


@pytest.fixture(scope="module")
def suite(ca):
    s = Suite({"tls_certificates": [ca.of_suite()]}, start=False, users=("anna", "bert"))
    with open(f"{s.dir}/etc/aliases", "a") as f:
        f.write("info: anna\nteam: anna, bert\nelsewhere: somebody@example.com\n")
    with open(f"{s.dir}/etc/senders", "w") as f:
        f.write(f"news@other.test {ANNA}\nnews@xn--bcher-kva.test {ANNA}\n@lists.test {BERT}, {ANNA}\n")
    s.settings["sender_map"] = f"text:{s.dir}/etc/senders"
    s.write_conf()
    s.start()
    yield s
    s.end()


def connected(suite, context, implicit=False):
    if implicit:
        return smtplib.SMTP_SSL("localhost", suite.submissions_port, local_hostname="client.test", context=context, timeout=30 * patience())
    c = smtplib.SMTP("localhost", suite.submission_port, local_hostname="client.test", timeout=30 * patience())
    c.ehlo()
    assert c.starttls(context=context)[0] == 220
    c.ehlo()
    return c


def logged_in(suite, context, user=ANNA, implicit=False):
    c = connected(suite, context, implicit)
    c.login(user, PASSWORD)
    return c


def plain(user, password, who=""):
    return base64.b64encode(f"{who}\0{user}\0{password}".encode()).decode()


def mails(suite, user, word):
    return [m for m in suite.maildir(user).messages() if word.encode() in m]


def the_mail(suite, user, word):
    wait_for(lambda: mails(suite, user, word), 20 * patience())
    return mails(suite, user, word)[0]


# ---- logins

@pytest.mark.parametrize("implicit", [False, True])
def test_mail(suite, context, implicit):
    c = logged_in(suite, context, implicit=implicit)
    word = f"implicit-{implicit}"
    c.sendmail(ANNA, [BERT], f"From: Anna <{ANNA}>\r\nSubject: {word}\r\n\r\nHello.\r\n")
    c.quit()
    mail = the_mail(suite, "bert", word)
    assert b"with ESMTPSA" in mail
    suite.wait_log(rf"from=<{ANNA}> .* proto=ESMTPSA tls=\"TLSv1.3 .*\" account={ANNA} ")


def test_priority(suite, context):
    """RFC 6710: who has logged in may ask for more."""
    c = logged_in(suite, context)
    assert c.has_extn("mt-priority")
    c.sendmail(ANNA, [BERT], f"From: Anna <{ANNA}>\r\nSubject: urgent\r\n\r\nHello.\r\n", mail_options=["MT-PRIORITY=7"])
    c.quit()
    assert b" PRIORITY 7;" in b" ".join(the_mail(suite, "bert", "urgent").split())
    suite.wait_log(rf"from=<{ANNA}> .* account={ANNA} priority=7 session=")


@pytest.mark.parametrize("mechanism", ["auth_plain", "auth_login"])
def test_mechanisms(suite, context, mechanism):
    c = connected(suite, context)
    assert {"PLAIN", "LOGIN"} <= set(c.esmtp_features["auth"].split())
    c.user, c.password = ANNA, PASSWORD
    name = mechanism[5:].upper()
    assert c.auth(name, getattr(c, mechanism))[0] == 235
    assert "auth" not in dict(line.decode().lower().partition(" ")[::2] for line in c.ehlo()[1].split(b"\n"))
    c.quit()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_step_by_step(suite, context, mechanism):
    """Without an initial response: RFC 4954 section 4."""
    c = connected(suite, context)
    code, words = c.docmd("AUTH", mechanism)
    assert code == 334
    if mechanism == "PLAIN":
        assert words == b""
        assert c.docmd(plain(ANNA, PASSWORD))[0] == 235
    else:
        assert c.docmd(base64.b64encode(ANNA.encode()).decode())[0] == 334
        assert c.docmd(base64.b64encode(PASSWORD.encode()).decode())[0] == 235
    c.quit()


def test_refused_logins(suite, context):
    c = connected(suite, context)
    for line, code, words in (("AUTH", 501, b""), ("AUTH NTLM", 504, b"5.5.4"), ("AUTH PLAIN !!", 501, b"5.5.2"),
                              (f"AUTH PLAIN {plain(ANNA, PASSWORD, BERT)}", 535, b"5.7.8")):
        got = c.docmd(line)
        assert got[0] == code and words in got[1], (line, got)
    c.quit()
    c = connected(suite, context)
    assert c.docmd("AUTH PLAIN")[0] == 334
    assert c.docmd("*")[0] == 501
    assert c.docmd("AUTH LOGIN")[0] == 334
    assert c.docmd("not base64!")[0] == 501
    assert c.docmd("AUTH PLAIN " + plain(ANNA, PASSWORD))[0] == 235
    assert c.docmd("AUTH PLAIN " + plain(ANNA, PASSWORD))[0] == 503
    c.quit()


def test_wrong_passwords(suite, context):
    """The same words for a user that there is and one that there isn't; the third ends the session."""
    said = []
    for user in (ANNA, "nobody@hermod.test"):
        c = connected(suite, context)
        said.append([c.docmd("AUTH PLAIN " + plain(user, "wrong")) for _ in range(2)])
        code, words = c.docmd("AUTH PLAIN " + plain(user, "wrong"))
        assert code == 535
        assert c.getreply()[0] == 421
        c.close()
    assert said[0] == said[1] and {code for code, _ in said[0]} == {535}, said


def test_long_response(suite, context):
    """A line of 12,288 octets is read, one more is not; the session goes on (RFC 4954 section 4)."""
    c = connected(suite, context)
    assert c.docmd("AUTH PLAIN")[0] == 334
    assert c.docmd("A" * (12288 - 4))[0] in (501, 535)
    assert c.docmd("AUTH PLAIN")[0] == 334
    assert c.docmd("A" * 12288)[0] == 501
    assert c.noop()[0] == 250
    c.quit()


def test_in_clear_from_elsewhere(ca, make_suite):
    """Without TLS no password is asked for, but on this host's loopback."""
    address = "10.77.0.1"
    if subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("an address cannot be added to lo")
    try:
        suite = make_suite(tls_certificates=[ca.of_suite()], start=False)
        suite.settings["listen_submission"] = [f"{address}:{suite.submission_port}"]
        suite.write_conf()
        suite.start()
        s = greeted(suite.submission_port, address, source_address=(address, 0))
        offered = say(s, "EHLO client.test")
        assert "AUTH" not in offered and "STARTTLS" in offered
        assert say(s, "AUTH PLAIN " + plain(ANNA, PASSWORD)).startswith("538 5.7.11 ")
        assert say(s, f"MAIL FROM:<{ANNA}>").startswith("530 5.7.0 log in first")
    finally:
        subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"])


def test_not_without_a_login(suite, context):
    c = connected(suite, context)
    assert c.docmd(f"MAIL FROM:<{ANNA}>")[0] == 530
    assert c.docmd(f"RCPT TO:<{BERT}>")[0] == 503
    assert c.docmd("DATA")[0] == 503
    c.quit()


def test_a_login_is_forgotten_at_starttls(suite, context):
    """RFC 3207 section 4.2."""
    s = greeted(suite.submission_port)
    say(s, "EHLO client.test")
    assert say(s, "AUTH PLAIN " + plain(ANNA, PASSWORD)).startswith("235 ")      # loopback
    assert say(s, "STARTTLS").startswith("220 ")
    t = context.wrap_socket(s, server_hostname=HOSTNAME)
    say(t, "EHLO client.test")
    assert say(t, f"MAIL FROM:<{ANNA}>").startswith("530 ")


def test_octets_behind_starttls(suite):
    s = greeted(suite.submission_port)
    say(s, "EHLO client.test")
    s.sendall(b"STARTTLS\r\nAUTH PLAIN " + plain(ANNA, PASSWORD).encode() + b"\r\n")
    got = rest(s)
    assert b"554 5.5.1" in got and b"235" not in got


# ---- as whom

def attempt(suite, context, sender, header_from=None, user=ANNA, to=BERT):
    """(code, words) of the first refusal, or of the end."""
    c = logged_in(suite, context, user)
    try:
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>"):
            got = c.docmd(line)
            if got[0] != 250:
                return got
        fields = [f"From: {f}" for f in ([header_from] if isinstance(header_from, str) else header_from or [sender])]
        return c.data("\r\n".join(fields) + "\r\nSubject: attempt\r\n\r\nHello.\r\n")
    finally:
        c.close()


MINE = [ANNA, "ANNA@hermod.test", "Anna@HERMOD.test", "anna+lists@hermod.test", "info@hermod.test", "team@hermod.test", "news@other.test",
        "anybody@lists.test", "postmaster@hermod.test", ""]
NOT_MINE = [BERT, "nobody@hermod.test", "anna@example.com", "elsewhere@hermod.test", "somebody@example.com", "x@other.test",
            "anna@hermod.test.evil.test", '"anna@hermod.test"@evil.test', "x@sub.lists.test"]


@pytest.mark.parametrize("sender", MINE)
def test_sender_is_mine(suite, context, sender):
    assert attempt(suite, context, sender, sender or ANNA)[0] == 250


@pytest.mark.parametrize("sender", NOT_MINE)
def test_sender_is_not_mine(suite, context, sender):
    code, words = attempt(suite, context, sender)
    assert code == 553 and b"is not an address of the account" in words, (code, words)


def test_sender_in_letters_of_its_own(suite, context):
    """sender_map has A-labels, a client may write U-labels (RFC 6531 section 3.2)."""
    c = logged_in(suite, context)
    for sender, want in (("news@bücher.test", 250), ("news@BÜCHER.test", 250), ("news@büro.test", 553), ("other@bücher.test", 553)):
        c.command_encoding = "utf-8"
        assert c.mail(sender, ["SMTPUTF8"])[0] == want
        c.rset()
    c.mail("news@bücher.test", ["SMTPUTF8"])
    c.rcpt(BERT)
    assert c.data("From: news@bücher.test\r\nSubject: umlauts\r\n\r\nHello.\r\n".encode())[0] == 250
    c.quit()


FROM_GOOD = [f"Anna <{ANNA}>", f'"Bert, really" <{ANNA}>', f"{ANNA} (Anna)", f"Anna <{ANNA}>, Info <info@hermod.test>", f"Us: {ANNA};",
             f"Anna\r\n <{ANNA}>"]
FROM_BAD = [f"Bert <{BERT}>", f"{BERT}, {ANNA}", f"{ANNA}, {BERT}", f'"{ANNA}" <{BERT}>', f"Anna <{ANNA}>\r\n , <{BERT}>", f"Us: {ANNA}, {BERT};",
            f"(a <{ANNA}> b) {BERT}"]
OF_242 = "a" * (254 - len("@hermod.test"))
FROM_BROKEN = ["anna", "<>", "", "Anna <anna@hermod.test", [f"<{ANNA}>", f"<{BERT}>"], [f"<{ANNA}>", f"<{ANNA}>"],
               ", ".join([ANNA] * 17), f"<{OF_242}a@hermod.test>", f"<{'a' * 1100}@hermod.test>"]


@pytest.mark.parametrize("value", FROM_GOOD)
def test_header_from_is_mine(suite, context, value):
    assert attempt(suite, context, ANNA, value)[0] == 250


@pytest.mark.parametrize("value", FROM_BAD)
def test_header_from_is_not_mine(suite, context, value):
    code, words = attempt(suite, context, ANNA, value)
    assert code == 553 and BERT.encode() in words, (code, words)


def test_header_from_is_as_long_as_can_be(suite, context):
    assert attempt(suite, context, ANNA, f"<{OF_242}@hermod.test>")[0] == 553


@pytest.mark.parametrize("value", FROM_BROKEN)
def test_header_from_is_broken(suite, context, value):
    code, words = attempt(suite, context, ANNA, value)
    assert code == 554 and b"From field" in words, (code, words)


SPOOFED = [f"From : <{BERT}>", f"From\t:<{BERT}>", f"from:{BERT}", f"garbage\r\nFrom: {BERT}", f"From:\r\n {BERT}"]
SPOOFED_ODDLY = [f" From: {BERT}", f"\tFrom: {BERT}\r\nX-A: b", f"Resent-From: {BERT}", f"From: <{ANNA}>\r\ngarbage\r\nFrom: {BERT}",
                 f"From: <{ANNA}>\r\nFrom : {BERT}", f"From: <{ANNA}>\r\nfrom\t :\t{BERT}"]


@pytest.mark.parametrize("head", SPOOFED + SPOOFED_ODDLY)
def test_from_in_disguise(suite, context, head):
    """However a From field is written that some reader would show."""
    c = logged_in(suite, context)
    c.mail(ANNA)
    c.rcpt(BERT)
    assert c.data(head + "\r\nSubject: disguised\r\n\r\nHello.\r\n")[0] == (553 if head in SPOOFED else 554)
    c.quit()


# ---- who has sent it, and who has sent it again: RFC 5322 sections 3.6.2, 3.6.6

OTHERS_GOOD = [[f"Sender: {ANNA}"], ["Sender: Anna <info@hermod.test>"], ["Sender: (on a journey)\r\n news@other.test"],
               [f"Resent-From: {ANNA}"], [f"Resent-From: {ANNA}, info@hermod.test", "Resent-Sender: team@hermod.test"],
               # sent again by somebody else before: what is below is not anna's to say, nor to leave out
               [f"Resent-From: {ANNA}", "Resent-Date: Thu, 26 Nov 2026 10:00:00 +0000", f"Resent-From: {BERT}", f"Resent-Sender: {ANNA}"],
               [f"Resent-From: {ANNA}", f"Resent-From: {BERT}"]]
OTHERS_BAD = [[f"Sender: {BERT}"], [f"sender : Anna <{BERT}>"], [f'Sender: "{ANNA}" <{BERT}>'], [f"Sender:\r\n {BERT}"], ["garbage", f"Sender: {BERT}"],
              ["Sender: nobody@hermod.test"], ["Sender: anna@example.com"], [f"Resent-From: {BERT}"], [f"Resent-From: {ANNA}, {BERT}"],
              [f"Resent-Sender: {BERT}"], [f"Resent-From: {ANNA}", f"Resent-Sender: {BERT}"], [f"Resent-From: {BERT}", f"Resent-From: {ANNA}"],
              [f"Resent-From: {BERT}", "X-A: b", f"Resent-From: {ANNA}"]]
OTHERS_BROKEN = [["Sender: anna"], ["Sender: "], [f"Sender: {ANNA}, {ANNA}"], [f"Sender: {ANNA}", f"Sender: {ANNA}"], ["Resent-From: <>"],
                 ["Resent-From: " + ", ".join([ANNA] * 17)], [f"Resent-Sender: {ANNA}, {BERT}"]]


def attempt_with(suite, context, fields):
    c = logged_in(suite, context)
    c.mail(ANNA)
    c.rcpt(BERT)
    try:
        return c.data("\r\n".join(fields + [f"From: {ANNA}", "Subject: claimed", "", "Hello.", ""]))
    finally:
        c.close()


@pytest.mark.parametrize("fields", OTHERS_GOOD)
def test_sender_field_is_mine(suite, context, fields):
    assert attempt_with(suite, context, fields)[0] == 250


@pytest.mark.parametrize("fields", OTHERS_BAD)
def test_sender_field_is_not_mine(suite, context, fields):
    code, words = attempt_with(suite, context, fields)
    assert code == 553 and (b"ender: <" in words or b"Resent-From: <" in words), (code, words)


@pytest.mark.parametrize("fields", OTHERS_BROKEN)
def test_sender_field_is_broken(suite, context, fields):
    code, words = attempt_with(suite, context, fields)
    assert code == 554 and (b"ender field" in words or b"Resent-From field" in words), (code, words)


def test_sender_field_alone(suite, context):
    """The From field that is added is the reverse-path's; what says that somebody else has sent it is refused all the same."""
    for value, want in ((BERT, 553), (ANNA, 250)):
        c = logged_in(suite, context)
        c.mail(ANNA)
        c.rcpt(BERT)
        assert c.data(f"Sender: {value}\r\nSubject: alone\r\n\r\nHello.\r\n")[0] == want
        c.close()


def test_refused_leaves_nothing(suite, context):
    before = len(suite.queue_files())
    c = logged_in(suite, context)
    for _ in range(5):
        c.mail(ANNA)
        c.rcpt(BERT)
        assert c.data(f"From: {BERT}\r\nSubject: refused-once\r\n\r\nHello.\r\n")[0] == 553
    c.mail(ANNA)
    c.rcpt(BERT)
    assert c.data(f"From: {ANNA}\r\nSubject: then-taken\r\n\r\nHello.\r\n")[0] == 250
    c.quit()
    the_mail(suite, "bert", "then-taken")
    assert not mails(suite, "bert", "refused-once") and len(suite.queue_files()) <= before


def test_by_bdat(suite, context):
    c = logged_in(suite, context)
    for address, want in ((BERT, 553), (ANNA, 250)):
        head, rest = f"From: {address}\r\nSub".encode(), b"ject: by-bdat\r\n\r\nHello.\r\n"
        c.mail(ANNA)
        c.rcpt(BERT)
        c.send(b"BDAT %d\r\n" % len(head) + head)
        assert c.getreply()[0] == 250
        c.send(b"BDAT %d LAST\r\n" % len(rest) + rest)
        assert c.getreply()[0] == want
    c.quit()


def test_to_other_hosts(suite, context):
    """Who has logged in may relay."""
    c = logged_in(suite, context)
    c.mail(ANNA)
    assert c.rcpt("somebody@example.com")[0] == 250
    c.rset()
    c.quit()


# ---- what is added, and taken out

def test_completed(suite, context):
    c = logged_in(suite, context)
    c.sendmail(ANNA, [BERT], "Subject: completed\r\nBcc: secret@example.com\r\nReturn-Path: <x@y.test>\r\n"
               f"Authentication-Results: {HOSTNAME}; auth=pass\r\n\r\nHello.\r\n")
    c.quit()
    mail = email.message_from_bytes(the_mail(suite, "bert", "completed"))
    assert mail["From"] == f"<{ANNA}>" and mail["Date"] and re.fullmatch(r"<.+@mx\.hermod\.test>", mail["Message-ID"])
    assert "Bcc" not in mail and "x@y.test" not in str(mail["Return-Path"]) and "Authentication-Results" not in mail


def test_left_as_it_is(suite, context):
    """What is there is not touched."""
    text = (f"From: Anna <{ANNA}>\r\nDate: Thu, 26 Nov 2026 10:00:00 +0100\r\nMessage-ID: <mine@client.test>\r\nX-Odd:   spaces \r\n"
            "Subject: as-it-is\r\n\r\nHello.\r\n..\r\n\r\n")
    c = logged_in(suite, context)
    c.sendmail(ANNA, [BERT], text)
    c.quit()
    assert the_mail(suite, "bert", "as-it-is").endswith(text.replace("\r\n", "\n").encode())


def test_hide_client(make_suite, ca, context):
    suite = make_suite(tls_certificates=[ca.of_suite()], submission_hide_client=True)
    c = logged_in(suite, context)
    c.sendmail(ANNA, [BERT], f"From: {ANNA}\r\nSubject: hidden\r\n\r\nHello.\r\n")
    c.quit()
    mail = the_mail(suite, "bert", "hidden")
    received = re.search(rb"^Received: .*?\n(?=\S)", mail, re.S | re.M)[0]
    assert b"127.0.0.1" not in received and b"client.test" not in received and b"ESMTPSA" in received, received


# ---- what fails behind it

@pytest.mark.parametrize("service,want", [("auth", 454), ("router", 451)])
def test_service_dies(make_suite, ca, context, service, want):
    suite = make_suite(tls_certificates=[ca.of_suite()], submission_workers=1)
    suite.crash_allowed = True
    other = connected(suite, context)
    c = connected(suite, context) if service == "auth" else logged_in(suite, context)
    old = suite.pids(service)
    import signal
    suite.kill(service, signal.SIGSTOP)
    c.putcmd("AUTH", "PLAIN " + plain(ANNA, PASSWORD)) if service == "auth" else c.putcmd("MAIL", f"FROM:<{ANNA}>")
    for _ in range(2):
        assert other.noop()[0] == 250           # the service was asked by then
    suite.kill(service)
    assert c.getreply()[0] == want
    wait_for(lambda: suite.pids(service) and not set(suite.pids(service)) & set(old), 20 * patience())

    def works():
        return (c.docmd("AUTH PLAIN " + plain(ANNA, PASSWORD)) if service == "auth" else c.docmd(f"MAIL FROM:<{ANNA}>"))[0] in (235, 250)
    wait_for(works, 20 * patience(), step=0.3)
    c.close()


def test_no_certificate_no_submission(make_suite):
    suite = make_suite()
    assert not suite.pids("submission")
    with pytest.raises(OSError):
        greeted(suite.submission_port)


# ---- real clients

def run(*args, **how):
    if not shutil.which(args[0]):
        pytest.skip(f"{args[0]} is not installed")
    r = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * patience(), **how)
    assert r.returncode == 0, r.stdout
    return r.stdout


def test_msmtp(suite, ca, tmp_path):
    for tls, port in (("on", suite.submission_port), ("off", suite.submissions_port)):
        rc = tmp_path / "msmtprc"
        rc.write_text(f"account default\nhost localhost\nport {port}\ntls on\ntls_starttls {tls}\ntls_trust_file {ca.file}\nauth on\n"
                      f"user {ANNA}\npassword {PASSWORD}\nfrom {ANNA}\n")
        rc.chmod(0o600)
        run("msmtp", "-C", str(rc), BERT, input=f"From: {ANNA}\nSubject: msmtp-{tls}\n\nHello.\n")
        the_mail(suite, "bert", f"msmtp-{tls}")


def test_curl(suite, ca, tmp_path):
    (tmp_path / "m").write_text(f"From: {ANNA}\r\nSubject: curl-sub\r\n\r\nHello.\r\n")
    run("curl", "-sS", "--cacert", ca.file, f"smtps://localhost:{suite.submissions_port}", "--user", f"{ANNA}:{PASSWORD}",
        "--mail-from", ANNA, "--mail-rcpt", BERT, "-T", str(tmp_path / "m"))
    the_mail(suite, "bert", "curl-sub")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks(suite, ca, mechanism):
    run("swaks", "--server", "localhost", "--port", str(suite.submission_port), "--tls", "--tls-verify", "--tls-ca-path", ca.file, "--auth",
        mechanism, "--auth-user", ANNA, "--auth-password", PASSWORD, "--from", ANNA, "--to", BERT, "--header", f"Subject: swaks-{mechanism}")
    the_mail(suite, "bert", f"swaks-{mechanism}")


def test_mutt(suite, ca, tmp_path):
    rc = tmp_path / "muttrc"
    rc.write_text(f"set ssl_ca_certificates_file={ca.file}\nset smtp_url=smtp://{ANNA.replace('@', '%40')}@localhost:{suite.submission_port}/\n"
                  f"set smtp_pass=\"{PASSWORD}\"\nset from={ANNA}\nset ssl_force_tls=yes\nset copy=no\nset ssl_verify_host=yes\n"
                  "set ssl_usesystemcerts=no\n")
    run("mutt", "-F", str(rc), "-s", "mutt-sub", BERT, input="Hello.\n")
    the_mail(suite, "bert", "mutt-sub")


# ---- how much

def limited(make_suite, ca, **settings):
    return make_suite(tls_certificates=[ca.of_suite()], submission_workers=3, **settings)


def send_one(c, word, to=(BERT,), sender=ANNA):
    """Replies to RCPT, and that to the message; None: no recipient was taken."""
    assert c.mail(sender)[0] == 250
    said = [c.rcpt(address) for address in to]
    if not any(code == 250 for code, _ in said):
        c.rset()
        return said, None
    return said, c.data(f"From: {sender}\r\nSubject: {word}\r\n\r\nx\r\n")[0]


def test_messages_per_hour(make_suite, ca, context):
    """Up to the limit and one past it, by whatever worker; the others are as ever; a reload forgives nothing."""
    s = limited(make_suite, ca, submission_messages_per_hour=3)
    for i in range(3):
        c = logged_in(s, context, implicit=i == 1)
        c.mail(ANNA)
        c.rcpt("nobody@hermod.test")                    # not taken, not counted
        c.rset()
        assert send_one(c, f"message-{i}") == ([(250, b"2.1.5 recipient ok")], 250)
        c.quit()
    for _ in range(4):
        c = logged_in(s, context)
        said, code = send_one(c, "too many")
        assert code is None and said[0][0] == 450
        assert re.fullmatch(rb"4\.7\.1 you have sent 3 messages within an hour, and no account may send more; try again in (59|60) min",
                            said[0][1]), said
        c.quit()
    bert = logged_in(s, context, BERT)
    assert send_one(bert, "of another", sender=BERT, to=[ANNA])[1] == 250
    bert.quit()
    s.reload()
    c = logged_in(s, context)
    assert send_one(c, "after a reload")[1] is None
    c.quit()
    told = r"warning: \S+: account=anna@hermod\.test client=127\.0\.0\.1 has sent 3 messages within an hour \(submission_messages_per_hour\)"
    s.wait_log(told)
    s.maildir("bert").wait(3)
    s.wait_queue_empty()
    assert len(re.findall(told, s.log())) == 1
    assert sorted(re.search(rb"Subject: (\S+)", m)[1] for m in s.maildir("bert").messages()) == \
        [b"message-0", b"message-1", b"message-2"]


def test_recipients_per_hour(make_suite, ca, context):
    """Those who were taken get the message."""
    s = limited(make_suite, ca, submission_recipients_per_hour=4)
    c = logged_in(s, context)
    assert send_one(c, "three", [BERT, "a@example.com", "b@example.com"])[1] == 250
    said, code = send_one(c, "one-more", [BERT, "c@example.com", "d@example.com"])
    assert [r[0] for r in said] == [250, 450, 450] and code == 250
    assert b"4.7.1 you have sent to 4 recipients within an hour" in said[1][1]
    assert send_one(c, "none", [BERT])[1] is None
    c.quit()
    the_mail(s, "bert", "one-more")
    s.wait_log(r"account=anna@hermod\.test client=\S+ has sent to 4 recipients within an hour \(submission_recipients_per_hour\)")


def test_no_limits(make_suite, ca, context):
    s = limited(make_suite, ca, submission_messages_per_hour=0, submission_recipients_per_hour=0)
    c = logged_in(s, context)
    for i in range(5):
        assert send_one(c, f"m{i}", [BERT] * 20)[1] == 250
    c.quit()
