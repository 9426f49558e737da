# SPDX-License-Identifier: ISC
"""
Real clients over TLS: each with every mechanism that it knows and that is offered, over TLS from the start and over STARTTLS. It logs in by
that mechanism, as the journal tells, then reads the mail that is there, or sends one that arrives; and it turns away when the certificate
is of an authority that it does not know.

Elsewhere: gsasl(1), and SCRAM bound to its TLS session: test_mechanisms. OAUTHBEARER and XOAUTH2: test_oauth. EXTERNAL: test_external.
GSSAPI: test_gssapi. Thunderbird: test_thunderbird. The same programs at more of their work, in clear: test_clients, test_imap_clients.
What they choose when they are not told: test_submission, test_tls_sessions.
"""
import glob
import imaplib
import os
import poplib
import re
import shutil
import smtplib
import ssl
import subprocess
import threading

import pytest

from hermodtest.client import NOBODY, Screen, clean_environment, need, run, write
from hermodtest.proc import wait_for
from hermodtest.scram import keys
from hermodtest.suite import PASSWORD, TLS_FACTS, Suite, patience

SCRAMS = ["SCRAM-SHA-256", "SCRAM-SHA-1"]
OFFERED = SCRAMS + ["CRAM-MD5", "PLAIN", "LOGIN"]
OF_ALPINE = ["CRAM-MD5", "PLAIN", "LOGIN", "GSSAPI", "EXTERNAL", "XOAUTH2", "OAUTHBEARER"]
COMMAND = "COMMAND"			# LOGIN of IMAP; USER and PASS of POP3: in the journal, that is PLAIN
HOST = "localhost"


class Visit:
    """One client comes: whose mailbox it is for, where it goes, whom it believes. text: what is to be read, or sent."""

    def __init__(self, suite, home, become, ca, address, protocol, tls, mechanism):
        self.suite, self.home, self.become, self.ca, self.address = suite, home, become, ca.file, address
        self.protocol, self.tls, self.mechanism = protocol, tls, mechanism
        self.implicit = tls == "implicit"
        self.port = {"smtp": (suite.submission_port, suite.submissions_port), "imap": (suite.imap_port, suite.imaps_port),
                     "pop3": (suite.pop3_port, suite.pop3s_port)}[protocol][self.implicit]
        self.text = f"This is of {address} alone."
        self.message = f"From: {address}\nTo: {address}\nSubject: over TLS\n\n{self.text}\n".encode()
        self.context = ssl.create_default_context(cafile=ca.file)

    def run(self, *args, **how):
        return run(self.home, *args, **how)

    def url(self, scheme=None, user=""):
        return f"{scheme or self.protocol}{'s' if self.implicit else ''}://{user}{HOST}:{self.port}"

    def mbox(self):
        return (self.home / "mbox").read_bytes()


# ---- the clients: each returns what it has read, and raises what goes wrong --------------------------


def curl(v):
    need(("curl", "curl"))
    if v.mechanism in SCRAMS and b"gsasl" not in v.run("curl", "--version"):
        pytest.skip("curl is built without gsasl")
    how = ["curl", "-sS", "--ssl-reqd", "--cacert", v.ca, "--user", f"{v.address}:{PASSWORD}",
           "--login-options", f"AUTH={v.mechanism}"]
    if v.protocol == "smtp":
        return v.run(*how, "--crlf", v.url(), "--mail-from", v.address, "--mail-rcpt", v.address, "-T", "-", input=v.message)
    return v.run(*how, v.url() + {"imap": "/INBOX;UID=1", "pop3": "/1"}[v.protocol])


def swaks(v):
    need(("swaks", "swaks"))
    v.run("swaks", "--server", HOST, "--port", v.port, "--tls-on-connect" if v.implicit else "--tls", "--tls-verify", "--tls-ca-path", v.ca,
          "--auth", v.mechanism, "--auth-user", v.address, "--auth-password", PASSWORD, "--from", v.address, "--to", v.address,
          "--data", "-", input=v.message)


def of_mpop_and_msmtp(v, more):
    return write(v.home / "rc", f"account default\nhost {HOST}\nport {v.port}\ntls on\ntls_starttls {'off' if v.implicit else 'on'}\n"
                 f"tls_trust_file {v.ca}\nauth {'user' if v.mechanism == COMMAND else v.mechanism.lower()}\nuser {v.address}\n"
                 f"passwordeval echo '{PASSWORD}'\n{more}")


def msmtp(v):
    need(("msmtp", "msmtp"))
    v.run("msmtp", "-C", of_mpop_and_msmtp(v, f"from {v.address}\n"), v.address, input=v.message)


def mpop(v):
    need(("mpop", "mpop"))
    v.run("mpop", "-Q", "-C", of_mpop_and_msmtp(v, f"keep on\nuidls_file {v.home}/uidls\ndelivery mbox {v.home}/mbox\n"))
    return v.mbox()


MUTTRC = """
set ssl_force_tls=yes ssl_starttls=yes ssl_verify_host=yes
set folder="~" charset=utf-8 send_charset=utf-8 hostname=client.test copy=no header_cache="" record=""
set sleep_time=0 move=no delete=no quit=yes wait_key=no confirmappend=no confirmcreate=no mbox_type=mbox
"""


def mutt(v):
    need(("mutt", "mutt"), ("tmux", "tmux"))
    if v.mechanism in SCRAMS and not re.search(rb"\+USE_G?SASL", v.run("mutt", "-v")):
        pytest.skip("mutt is built without a library of SASL")
    kind = v.protocol.removesuffix("3")
    word = {"imap": "login", "pop3": "user"}[v.protocol] if v.mechanism == COMMAND else v.mechanism.lower()
    rc = MUTTRC + f'set ssl_ca_certificates_file="{v.ca}" from="{v.address}" {kind}_authenticators="{word}" {kind}_pass="{PASSWORD}"\n'
    if v.protocol == "smtp":
        url = v.url(user=v.address.replace("@", "%40") + "@")
        v.run("mutt", "-n", "-F", write(v.home / "muttrc", rc + f'set smtp_url="{url}"\n'), "-s", "over TLS", "--", v.address,
              input=v.text.encode() + b"\n")
        return None
    rc += f'set {kind}_user="{v.address}" spoolfile="{v.url(kind)}"\n'
    with Screen(v.home, f"mutt -n -F {write(v.home / 'muttrc', rc)}") as s:
        screen = s.shows(r"over TLS|\(r\)eject")
        assert "(r)eject" not in screen, screen
        s.keys("C")
        s.shows("Copy to mailbox")
        s.keys("C-u")
        s.keys("-l", f"{v.home}/mbox")
        s.keys("Enter")
        wait_for(lambda: (v.home / "mbox").exists() and v.text.encode() in v.mbox(), 20 * patience(), why=lambda: s("capture-pane", "-p"))
        s.keys("q")
        wait_for(lambda: s("list-sessions") == "", 20 * patience(), why=lambda: s("capture-pane", "-p"))
    return v.mbox()


def mbsync(v):
    need(("mbsync", "isync"))
    if v.mechanism != COMMAND and not glob.glob("/usr/lib*/sasl2/libscram.so*") + glob.glob("/usr/lib/*/sasl2/libscram.so*"):
        pytest.skip("mbsync knows LOGIN alone without modules of Cyrus SASL (Debian package libsasl2-modules)")
    rc = write(v.home / "mbsyncrc", f"""
IMAPAccount far
Host {HOST}
Port {v.port}
User {v.address}
Pass "{PASSWORD}"
SSLType {'IMAPS' if v.implicit else 'STARTTLS'}
CertificateFile {v.ca}
SystemCertificates no
AuthMechs {'LOGIN' if v.mechanism == COMMAND else v.mechanism}

IMAPStore far
Account far

MaildirStore near
Inbox {v.home}/near

Channel all
Far :far:INBOX
Near :near:INBOX
Create Near
SyncState *
""")
    v.run("mbsync", "-c", rc, "all")
    return b"".join(f.read_bytes() for f in (v.home / "near" / "new").iterdir())


def fetchmail(v):
    need(("fetchmail", "fetchmail"))
    rc = write(v.home / "fetchmailrc", f'set no bouncemail\npoll {HOST} protocol {v.protocol} port {v.port} '
               f'auth {"password" if v.mechanism == COMMAND else v.mechanism.lower()} user "{v.address}" password "{PASSWORD}" '
               f'{"ssl" if v.implicit else ""} sslproto "tls1.2+" sslcertck sslcertfile "{v.ca}" sslcertpath "{v.home}" '
               f'keep mda "cat >>{v.home}/mbox"\n')
    v.run("fetchmail", "-f", rc, "-i", v.home / "ids", "--pidfile", v.home / "pid", "--nosyslog")
    return v.mbox()


def getmail(v):
    need(("getmail", "getmail6"))
    folder = v.home / "getmail"
    folder.mkdir(exist_ok=True)
    write(v.home / "mbox", "")
    retriever = "SimpleIMAPSSLRetriever" if v.protocol == "imap" else "SimplePOP3SSLRetriever"
    rc = write(folder / "getmailrc", f"[retriever]\ntype = {retriever}\nserver = {HOST}\nport = {v.port}\nusername = {v.address}\n"
               f"password = {PASSWORD}\nca_certs = {v.ca}\n" + ("use_cram_md5 = true\n" if v.mechanism == "CRAM-MD5" else "")
               + f"[destination]\ntype = Mboxrd\npath = {v.home}/mbox\n[options]\ndelete = false\n")
    if v.become:			# it delivers nothing as root
        for path in (v.home, folder, rc, v.home / "mbox"):
            os.chown(path, NOBODY, NOBODY)
    v.run(*v.become, "getmail", "--getmaildir", folder, "--rcfile", rc, "-q")
    return v.mbox()


def offlineimap(v):
    need(("offlineimap", "offlineimap3"))
    rc = write(v.home / "offlineimaprc", f"""
[general]
accounts = a
metadata = {v.home}/meta
ui = basic
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {v.home}/near
[Repository far]
type = IMAP
remotehost = {HOST}
remoteport = {v.port}
remoteuser = {v.address}
remotepass = {PASSWORD}
ssl = {v.implicit}
starttls = {not v.implicit}
sslcacertfile = {v.ca}
auth_mechanisms = {'LOGIN' if v.mechanism == COMMAND else v.mechanism}
folderfilter = lambda name: name == "INBOX"
""")
    v.run("offlineimap", "-o", "-c", rc)
    return b"".join(f.read_bytes() for f in (v.home / "near" / "INBOX" / "new").iterdir())


def s_nail(v):
    need(("s-nail", "s-nail"))
    kind = v.protocol
    who = f"{v.address.replace('@', '%40')}:{PASSWORD.replace(' ', '%20')}@"
    word = {"imap": "login", "pop3": "plain"}[kind] if v.mechanism == COMMAND else v.mechanism.lower()
    how = ["s-nail", "-:/", "-Sv15-compat", f"-Stls-ca-file={v.ca}", "-Stls-ca-no-defaults", "-Stls-verify=strict", f"-S{kind}-auth={word}",
           "-Snosave", "-Shostname=client.test", "-Sttycharset=utf-8", *([] if v.implicit else [f"-S{kind}-use-starttls"])]
    if kind == "smtp":
        return v.run(*how, f"-Smta={v.url(user=who)}", "-r", v.address, "-s", "over TLS", v.address, input=v.text.encode() + b"\n")
    said = v.run("sh", "-c", '"$@" 2>&1', "sh", *how, "-#", "-Y", f"copy * {v.home}/mbox", "-Y", "exit", "-f",
                 v.url(user=who) + ("/INBOX" if kind == "imap" else ""), check=None)
    assert (v.home / "mbox").exists(), said
    return v.mbox()


def aerc(v):
    need(("aerc", "aerc"), ("less", "less"), ("tmux", "tmux"))
    conf = v.home / ".config" / "aerc"
    conf.mkdir(parents=True, exist_ok=True)
    for file in ("aerc.conf", "binds.conf"):
        shutil.copy(f"/usr/share/aerc/{file}", conf)
    who = f"{v.address.replace('@', '%40')}:{PASSWORD.replace(' ', '%20')}@"
    write(conf / "accounts.conf", f"[far]\nsource = {v.url(user=who)}\ndefault = INBOX\nfrom = {v.address}\n")
    with Screen(v.home, f"env SSL_CERT_FILE={v.ca} aerc") as s:
        screen = s.shows("over TLS|x509")
        assert "x509" not in screen, screen
        s.keys("Enter")
        screen = s.shows(re.escape(v.text))
        for command in (":close", ":quit"):
            s.keys("-l", command)
            s.keys("Enter")
        wait_for(lambda: s("list-sessions") == "", 20 * patience(), why=lambda: s("capture-pane", "-p"))
    return screen.encode()


def alpine(v):
    need(("alpine", "alpine"), ("tmux", "tmux"))
    at = f"{{{HOST}:{v.port}/{'pop3/' if v.protocol == 'pop3' else ''}{'ssl' if v.implicit else 'tls'}/user={v.address}}}INBOX"
    (v.home / "mail").mkdir(exist_ok=True)		# else it makes it, and stops for seconds to say so
    others = ",".join(m for m in OF_ALPINE if m != v.mechanism)
    rc = write(v.home / "pinerc", f"inbox-path={at}\nuser-domain=client.test\nfeature-list=quit-without-confirm\n"
               f"last-version-used=9.99\nsort-key=arrival\ndisable-these-authenticators={others}\n")
    with Screen(v.home, f"env SSL_CERT_FILE={v.ca} alpine -p {rc} -i") as s:
        screen = s.shows("(?i)password|certificate")
        assert "certificate" not in screen.lower(), screen
        s.keys("-l", PASSWORD)
        s.keys("Enter")
        s.shows("(?i)preserve password")
        s.keys("n")
        s.redraw = "C-l"
        s.shows("over TLS")
        s.keys("Enter")
        screen = s.shows(re.escape(v.text))
        s.keys("q")
        wait_for(lambda: s("list-sessions") == "", 20 * patience(), why=lambda: s("capture-pane", "-p"))
    return screen.encode()


def python(v):
    """Its smtplib, imaplib and poplib."""
    how = {"timeout": 30 * patience()}
    if v.protocol == "smtp":
        c = smtplib.SMTP_SSL(HOST, v.port, "client.test", context=v.context, **how) if v.implicit \
            else smtplib.SMTP(HOST, v.port, "client.test", **how)
        with c:
            if not v.implicit:
                assert c.starttls(context=v.context)[0] == 220
            c.ehlo()
            c.user, c.password = v.address, PASSWORD
            assert c.auth(v.mechanism, getattr(c, "auth_" + v.mechanism.lower().replace("-", "_")))[0] == 235
            assert c.sendmail(v.address, [v.address], v.message.replace(b"\n", b"\r\n")) == {}
        return None
    if v.protocol == "pop3":
        c = poplib.POP3_SSL(HOST, v.port, context=v.context, **how) if v.implicit else poplib.POP3(HOST, v.port, **how)
        if not v.implicit:
            c.stls(v.context)
        with pytest.raises(poplib.error_proto, match="APOP not supported by server"):
            c.apop(v.address, PASSWORD)
        c.user(v.address)
        c.pass_(PASSWORD)
        got = b"\n".join(c.retr(1)[1])
        c.quit()
        return got
    c = imaplib.IMAP4_SSL(HOST, v.port, ssl_context=v.context, **how) if v.implicit else imaplib.IMAP4(HOST, v.port, **how)
    if not v.implicit:
        c.starttls(v.context)
    answers = iter([v.address.encode(), PASSWORD.encode()])
    {COMMAND: lambda: c.login(v.address, PASSWORD),
     "CRAM-MD5": lambda: c.login_cram_md5(v.address, PASSWORD),
     "PLAIN": lambda: c.authenticate("PLAIN", lambda _: f"\0{v.address}\0{PASSWORD}".encode()),
     "LOGIN": lambda: c.authenticate("LOGIN", lambda _: next(answers))}[v.mechanism]()
    assert c.select("INBOX") == ("OK", [b"1"])
    got = c.fetch("1", "(RFC822)")[1][0][1]
    c.logout()
    return got


def shell(v, command):
    """One line of octets that go into a login by hand."""
    return v.run("sh", "-c", command).decode().strip()


def by_hand(v):
    """(what is typed, what is waited for) of one login, and of the work behind it."""
    plain = shell(v, rf"printf '\0%s\0%s' '{v.address}' '{PASSWORD}' | base64 -w 0")
    user, password = (shell(v, f"printf %s '{word}' | base64 -w 0") for word in (v.address, PASSWORD))

    def digest(challenge):
        key = shell(v, f"printf %s '{challenge}' | base64 -d | openssl dgst -md5 -hmac '{PASSWORD}' | sed 's/.*= //'")
        return shell(v, f"printf '%s %s' '{v.address}' {key} | base64 -w 0")
    if v.protocol == "smtp":
        login = {"PLAIN": [(f"AUTH PLAIN {plain}", "^235 ")], "LOGIN": [("AUTH LOGIN", "^334 "), (user, "^334 "), (password, "^235 ")],
                 "CRAM-MD5": [("AUTH CRAM-MD5", "^334 (.*)"), (digest, "^235 ")]}
        return [("EHLO client.test", "^250 ")] + login[v.mechanism] + [
            (f"MAIL FROM:<{v.address}>", "^250 "), (f"RCPT TO:<{v.address}>", "^250 "), ("DATA", "^354 "),
            *((line, None) for line in v.message.decode().splitlines()), (".", "^250 "), ("QUIT", "^221 ")]
    if v.protocol == "imap":
        login = {COMMAND: [(f'a LOGIN {v.address} "{PASSWORD}"', "^a OK")],
                 "PLAIN": [("a AUTHENTICATE PLAIN", r"^\+"), (plain, "^a OK")],
                 "LOGIN": [("a AUTHENTICATE LOGIN", r"^\+"), (user, r"^\+"), (password, "^a OK")],
                 "CRAM-MD5": [("a AUTHENTICATE CRAM-MD5", r"^\+ (.*)"), (digest, "^a OK")]}
        return login[v.mechanism] + [("b SELECT INBOX", "^b OK"), ("c FETCH 1 BODY[]", "^c OK"), ("d LOGOUT", "^d OK")]
    login = {COMMAND: [(f"USER {v.address}", r"^\+OK"), (f"PASS {PASSWORD}", r"^\+OK")],
             "PLAIN": [("AUTH PLAIN", r"^\+"), (plain, r"^\+OK")],
             "LOGIN": [("AUTH LOGIN", r"^\+"), (user, r"^\+ "), (password, r"^\+OK")],
             # behind STLS it shows the first octets of the greeting again, without a line's end
             "CRAM-MD5": [("AUTH CRAM-MD5", r"\+ (\S+)$"), (digest, r"^\+OK")]}
    return login[v.mechanism] + [("RETR 1", r"^\.$"), ("QUIT", r"^\+OK")]


def s_client(v):
    """openssl s_client, as somebody types into it."""
    need(("openssl", "openssl"))
    p = subprocess.Popen(["openssl", "s_client", "-quiet", "-crlf", "-connect", f"{HOST}:{v.port}", "-CAfile", v.ca, "-verify_return_error",
                          "-verify_hostname", HOST, *([] if v.implicit else ["-starttls", v.protocol])], cwd=v.home,
                         env=clean_environment(v.home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    deadline = threading.Timer(60 * patience(), p.kill)
    deadline.start()
    said = ""

    def until(pattern):
        nonlocal said
        while True:
            line = p.stdout.readline().decode()
            assert line, said
            said += line
            if m := re.search(pattern, line.rstrip("\r\n")):
                return m
    try:
        m = until({"smtp": "^220 ", "imap": r"^\* OK", "pop3": r"^\+OK"}[v.protocol]) if v.implicit else None
        for line, answer in by_hand(v):
            line = line(m[1]) if callable(line) else line
            try:
                p.stdin.write(line.encode() + b"\n")
            except BrokenPipeError:
                pass				# what it said tells why
            m = until(answer) if answer else None
        p.stdin.close()
        assert p.wait(60 * patience()) == 0, said
    finally:
        deadline.cancel()
        p.kill()
        p.wait()
        p.stdout.close()
    return said.encode()


# ---- which of them can what ------------------------------------------------------------------------

OLD = ["CRAM-MD5", "PLAIN", "LOGIN"]
BOTH = ("implicit", "starttls")
CLIENTS = [
    (curl,		BOTH,		{"imap": OLD + SCRAMS, "pop3": OLD + SCRAMS, "smtp": OLD + SCRAMS}),
    (swaks,		BOTH,		{"smtp": OLD}),
    (msmtp,		BOTH,		{"smtp": OLD + SCRAMS}),
    (mpop,		BOTH,		{"pop3": OLD + [COMMAND] + SCRAMS}),
    (mutt,		BOTH,		{"imap": OFFERED, "pop3": OFFERED + [COMMAND], "smtp": OFFERED}),
    (mbsync,		BOTH,		{"imap": ["CRAM-MD5", "PLAIN", COMMAND] + SCRAMS}),
    (fetchmail,		BOTH,		{"imap": ["CRAM-MD5", COMMAND], "pop3": ["CRAM-MD5", COMMAND]}),
    (getmail,		["implicit"],	{"imap": ["CRAM-MD5", COMMAND], "pop3": [COMMAND]}),
    (offlineimap,	BOTH,		{"imap": ["CRAM-MD5", "PLAIN", COMMAND]}),
    (s_nail,		BOTH,		{"imap": ["CRAM-MD5", COMMAND], "pop3": [COMMAND], "smtp": OLD}),
    (aerc,		BOTH,		{"imap": [COMMAND]}),
    (alpine,		BOTH,		{"imap": OLD + [COMMAND], "pop3": OLD + [COMMAND]}),
    (python,		BOTH,		{"imap": OLD + [COMMAND], "pop3": [COMMAND], "smtp": OLD}),
    (s_client,		BOTH,		{"imap": OLD + [COMMAND], "pop3": OLD + [COMMAND], "smtp": OLD}),
]
CASES = [(client, protocol, tls, mechanism) for client, kinds, protocols in CLIENTS for protocol, mechanisms in protocols.items()
         for tls in kinds for mechanism in mechanisms]
OF_STRANGERS = [(client, protocol, tls, mechanisms[0]) for client, kinds, protocols in CLIENTS for protocol, mechanisms in protocols.items()
                for tls in kinds
                if (client, tls) != (offlineimap, "starttls")]		# it verifies nothing there: its sslcacertfile is for ssl alone


def name(case):
    client, *rest = case
    return "-".join([client.__name__, *rest])


def address(case, *more):
    return "-".join([name(case), *more]).lower() + "@hermod.test"


@pytest.fixture(scope="module")
def suite(ca):
    """With an account for each test, that the journal tells whose login it was."""
    s = Suite({"tls_certificates": [ca.of_suite()], "auth_mechanisms": OFFERED, "allow_plain_passwords": True, "login_failures": "50"},
              start=False, users=())
    row = f"password={{PLAIN}}{PASSWORD}" + "".join(f"\n {m.lower()}={keys(m, PASSWORD)}" for m in SCRAMS)
    s.use_accounts({who: row for who in [address(case) for case in CASES] + [address(case, "stranger") for case in OF_STRANGERS]})
    s.start()
    yield s
    s.end()


def logins(v):
    """How its logins went, in the journal."""
    return re.findall(rf"^.* protocol={v.protocol} user={re.escape(v.address)} .* result=\w+$", v.suite.log(), re.M)


def works(client, v):
    """It does its work, and has logged in for that as it should."""
    box = v.suite.maildir(v.address)
    if v.protocol != "smtp":
        v.suite.send(v.address, v.message.replace(b"\n", b"\r\n"))
        box.wait()
    got = client(v)
    if v.protocol == "smtp":
        got = box.wait()[0]
        assert b"with ESMTPSA" in got
    assert v.text.encode() in got
    v.suite.wait_log(rf" protocol={v.protocol} user={re.escape(v.address)} client=127\.0\.0\.1 "
                     rf"mechanism={'PLAIN' if v.mechanism == COMMAND else v.mechanism} {TLS_FACTS} result=ok$")
    assert all("result=ok" in line for line in logins(v)), logins(v)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_login(suite, ca, anyones_home, case):
    client, *how = case
    works(client, Visit(suite, *anyones_home, ca, address(case), *how))


@pytest.mark.parametrize("case", OF_STRANGERS, ids=lambda case: name(case[:3]))
def test_certificate_of_a_stranger(suite, ca, other_ca, anyones_home, case):
    """It says so, and does not log in; with the right authority, it does."""
    client, *how = case
    with pytest.raises((AssertionError, OSError)) as e:
        client(Visit(suite, *anyones_home, other_ca, address(case, "stranger"), *how))
    assert re.search("(?i)certificate|issuer|trust", str(e.value)) and "not so after" not in str(e.value)
    v = Visit(suite, *anyones_home, ca, address(case, "stranger"), *how)
    works(client, v)
    assert len(logins(v)) == 1, logins(v)
