# SPDX-License-Identifier: ISC
"""
Thunderbird over TLS, as a person uses it: its account hub finds out what is offered, it reads, files, marks, sends and is told of new mail at
once; by each mechanism that it knows, and not at all where the certificate is of an authority that it does not know.
"""
import imaplib
import os
import re
import ssl

import pytest

from hermodtest.certificates import Authority, openssl
from hermodtest.proc import wait_for
from hermodtest.suite import PASSWORD, TLS_FACTS, Suite, patience
from hermodtest.thunderbird import Failed, Thunderbird

CASES = [(protocol, tls, mechanism) for protocol in ("imap", "pop3") for tls in ("implicit", "starttls") for mechanism in ("PLAIN", "CRAM-MD5")]
OTHERS = ["worker", "hub", "wrong", "stranger", "external", "away", "copy"]
HOST = "localhost"
OF_ITS_OWN = {b"NonJunk", b"$MDNSent"}		# keywords that it may add, asked or not
FOLDER = "Gr\u00fc\u00dfe & \u4f60\u597d"


def address(*case):
    return "-".join(case).lower() + "@hermod.test"


@pytest.fixture(scope="module")
def clients():
    authority = Authority(name="Clients")
    yield authority
    authority.close()


@pytest.fixture(scope="module")
def suite(ca, clients):
    s = Suite({"tls_certificates": [ca.of_suite()], "tls_client_ca_file": clients.file, "auth_mechanisms": ["CRAM-MD5", "PLAIN", "EXTERNAL"],
               "allow_plain_passwords": True, "login_failures": "50"}, start=False, users=())
    s.use_accounts({who: f"password={{PLAIN}}{PASSWORD}" for who in [address(*case) for case in CASES] + [address(o) for o in OTHERS]})
    s.start()
    yield s
    s.end()


@pytest.fixture
def thunderbird(anyones_home, ca):
    home, become = anyones_home
    os.chmod(home, 0o755)
    started = []

    def start(ca=ca, **preferences):
        started.append(Thunderbird(home / str(len(started)), become, ca, **preferences))
        return started[-1]
    yield start
    for t in started:
        t.end()


def ports(suite, protocol, tls):
    i = tls == "implicit"
    return ({"imap": (suite.imap_port, suite.imaps_port), "pop3": (suite.pop3_port, suite.pop3s_port)}[protocol][i],
            (suite.submission_port, suite.submissions_port)[i])


def mail(to, subject, text="This is for you."):
    return f"From: bert@client.test\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@client.test>\r\n\r\n{text}\r\n".encode()


def logged_in(suite, who, protocol, mechanism):
    suite.wait_log(rf" protocol={protocol} user={re.escape(who)} client=127\.0\.0\.1 mechanism={mechanism} {TLS_FACTS} result=ok$")
    assert not re.search(rf" user={re.escape(who)} .*result=failed", suite.log())


def arrived(suite, subject):
    """What the account copy got by that subject."""
    def look():
        found = [m.replace(b"\r\n", b"\n") for m in suite.maildir(address("copy")).messages()]
        return [m for m in found if f"\nSubject: {subject}\n".encode() in m]
    got, = wait_for(look, 20 * patience(), why=suite.log)
    return got


def other(suite, ca, who):
    """Another program of that person's."""
    c = imaplib.IMAP4_SSL(HOST, suite.imaps_port, ssl_context=ssl.create_default_context(cafile=ca.file))
    c.login(who, PASSWORD)
    return c


def seen_by_other(suite, ca, who, folder):
    """Subject and flags of each message."""
    c = other(suite, ca, who)
    assert c.select(folder, readonly=True)[0] == "OK"
    _, rows = c.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    c.logout()
    return {re.search(rb"Subject: (.*)\r", text)[1].decode(): set(imaplib.ParseFlags(row)) for row, text in
            [r for r in rows if isinstance(r, tuple)]}


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_reads_and_sends(suite, thunderbird, case):
    protocol, tls, mechanism = case
    who = address(*case)
    t = thunderbird()
    key = t.account(who, PASSWORD, protocol, HOST, *ports(suite, protocol, tls), tls, mechanism)
    suite.send(who, mail(who, "first"))
    suite.maildir(who).wait()
    assert t.open(key) == ["first"]
    assert re.search(r"\r?\n\r?\nThis is for you\.\r?\n$", t.text(key, "INBOX", "first"))
    logged_in(suite, who, protocol, mechanism)
    t.send(key, address("copy"), f"by {who}", "Dots:\r\n.\r\n..\r\nFrom here\r\n")
    logged_in(suite, who, "smtp", mechanism)
    got = arrived(suite, f"by {who}")
    assert b"with ESMTPSA" in got and got.endswith(b"\n\nDots:\n.\n..\nFrom here\n")


def test_by_client_certificate(suite, thunderbird, clients):
    """EXTERNAL, which it knows for IMAP: with no password at all."""
    who = address("external")
    certificate = clients.client(who)
    bag = os.path.join(clients.folder, "external.p12")
    openssl("pkcs12", "-export", "-in", certificate.chain, "-inkey", certificate.key, "-passout", "pass:secret", "-out", bag)
    os.chmod(bag, 0o644)
    suite.send(who, mail(who, "first"))
    suite.maildir(who).wait()
    for tls in ("implicit", "starttls"):
        t = thunderbird()
        t("""
            const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
            file.initWithPath(args[0]);
            const code = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).importPKCS12File(file, "secret");
            if (code != Ci.nsIX509CertDB.Success)
              throw new Error("importPKCS12File: " + code);
            """, bag)
        key = t.account(who, "", "imap", HOST, *ports(suite, "imap", tls), tls, "EXTERNAL")
        assert t.open(key) == ["first"]
        t.end()
    logged_in(suite, who, "imap", "EXTERNAL")


def test_works_in_its_mailbox(suite, thunderbird, ca):
    who, bodies = address("worker"), ["one", "two", "three", "four", "five"]
    t = thunderbird()
    key = t.account(who, PASSWORD, "imap", HOST, *ports(suite, "imap", "implicit"), "implicit", "PLAIN")
    for subject in bodies:
        suite.send(who, mail(who, subject))
    suite.maildir(who).wait(len(bodies))
    assert sorted(t.open(key)) == sorted(bodies)

    t("""                                       // read, starred, a label of its own, junk
        const f = folder(args[0], "INBOX");
        f.markMessagesRead([message(f, "one")], true);
        f.markMessagesFlagged([message(f, "two")], true);
        f.addKeywordsToMessages([message(f, "three")], "$label1 to-do");
        f.setJunkScoreForMessages([message(f, "four")], "100", "user", -1);
        await update(f);
        """, key)
    inbox = {"one": {b"\\Seen"}, "two": {b"\\Flagged"}, "three": {b"$label1", b"to-do"}, "four": {b"Junk"}, "five": set()}
    wait_for(lambda: {k: v - OF_ITS_OWN for k, v in seen_by_other(suite, ca, who, "INBOX").items()} == inbox, 20 * patience(),
             why=lambda: seen_by_other(suite, ca, who, "INBOX"))

    t("""                                       // a folder of its own, and one in it
        server(args[0]).rootFolder.createSubfolder(args[1], null);
        await until(() => folder(args[0], args[1]));
        folder(args[0], args[1]).createSubfolder("below", null);
        await until(() => folder(args[0], "below"));
        """, key, FOLDER)
    t("""                                       // moved there, copied there
        const f = folder(args[0], "INBOX"), to = folder(args[0], args[1]), below = folder(args[0], "below");
        await finished(l => MailServices.copy.copyMessages(f, [message(f, "one"), message(f, "two")], to, true, l, null, false));
        await finished(l => MailServices.copy.copyMessages(f, [message(f, "three")], below, false, l, null, false));
        await until(() => same(f, "three", "four", "five") && same(to, "one", "two") && same(below, "three"));
        """, key, FOLDER)
    t("""                                       // deleted, and the folder compacted
        const f = folder(args[0], "INBOX"), trash = server(args[0]).rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Trash);
        await finished(l => f.deleteMessages([message(f, "five")], null, false, true, l, false));
        await finished(l => f.compact(l, null));
        trash.updateFolder(null);
        await until(() => same(f, "three", "four") && same(trash, "five"));
        """, key)
    assert sorted(seen_by_other(suite, ca, who, "INBOX")) == ["four", "three"]
    assert seen_by_other(suite, ca, who, f'"{folder_name(suite, ca, who)}"') == {"one": {b"\\Seen"}, "two": {b"\\Flagged"}}

    t.send(key, who, "to myself", "Gr\u00fc\u00dfe\r\n", bcc=address("copy"))
    assert list(seen_by_other(suite, ca, who, "Sent")) == ["to myself"]
    assert b"Bcc" not in arrived(suite, "to myself")

    suite.send(who, mail(who, "news"))          # it idles
    t("""
        await until(() => same(folder(args[0], "INBOX"), "three", "four", "to myself", "news"));
        """, key)
    c = other(suite, ca, who)                   # and sees what others do
    c.select("INBOX")
    c.store(c.search(None, "SUBJECT", "news")[1][0], "+FLAGS", r"(\Flagged)")
    c.store(c.search(None, "SUBJECT", "four")[1][0], "+FLAGS", r"(\Deleted)")
    c.expunge()
    c.logout()
    t("""
        await until(() => same(folder(args[0], "INBOX"), "three", "to myself", "news") && message(folder(args[0], "INBOX"), "news").isFlagged);
        """, key)

    assert t("""                                // a search that the server makes
        const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession), found = [];
        session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(args[0], "INBOX"));
        const term = session.createTerm(), value = term.value;
        value.attrib = term.attrib = Ci.nsMsgSearchAttrib.Body;
        value.str = args[1];
        Object.assign(term, { value, op: Ci.nsMsgSearchOp.Contains, booleanAnd: false });
        session.appendTerm(term);
        return await new Promise((good, bad) => {
          session.registerListener({
            QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]),
            onSearchHit(m) { found.push(m.mime2DecodedSubject); }, onNewSearch() {},
            onSearchDone(status) { ended(status, () => good(found), bad); },
          });
          session.search(null);
        });
        """, key, "Gr\u00fc\u00dfe") == ["to myself"]


def folder_name(suite, ca, who):
    """Of FOLDER, as it is on the wire."""
    c = other(suite, ca, who)
    _, lines = c.list()
    c.logout()
    name, = [m[1].decode() for line in lines if (m := re.search(rb'"([^"]*&[^"]*)"$', line)) and b"below" not in line]
    return name


def test_comes_back(suite, thunderbird, ca):
    """What was done elsewhere while it was away; and what it did while it was offline."""
    who = address("away")
    t = thunderbird()
    key = t.account(who, PASSWORD, "imap", HOST, *ports(suite, "imap", "starttls"), "starttls", "PLAIN")
    for subject in ("one", "two", "three", "four"):
        suite.send(who, mail(who, subject))
    suite.maildir(who).wait(4)
    assert sorted(t.open(key)) == ["four", "one", "three", "two"]
    t("""
        Services.io.offline = true;
        const f = folder(args[0], "INBOX");
        f.markMessagesRead([message(f, "three")], true);
        """, key)
    c = other(suite, ca, who)
    c.select("INBOX")
    c.store(c.search(None, "SUBJECT", "one")[1][0], "+FLAGS", r"(\Flagged)")
    c.store(c.search(None, "SUBJECT", "two")[1][0], "+FLAGS", r"(\Deleted)")
    c.expunge()
    c.logout()
    suite.send(who, mail(who, "five"))
    suite.maildir(who).wait(4)
    assert t("""
        Services.io.offline = false;
        const window = Services.wm.getMostRecentWindow("mail:3pane").msgWindow;
        Cc["@mozilla.org/messenger/offline-manager;1"].getService(Ci.nsIMsgOfflineManager).goOnline(true, true, window);
        const f = folder(args[0], "INBOX");
        f.updateFolder(null);
        await until(() => same(f, "one", "three", "four", "five"));
        return [...f.messages].filter(m => m.isFlagged).map(m => m.mime2DecodedSubject).concat(messages(f).sort());
        """, key) == ["one", "five", "four", "one", "three"]
    wait_for(lambda: {k: v - OF_ITS_OWN for k, v in seen_by_other(suite, ca, who, "INBOX").items()} ==
             {"one": {b"\\Flagged"}, "three": {b"\\Seen"}, "four": set(), "five": set()}, 20 * patience(),
             why=lambda: seen_by_other(suite, ca, who, "INBOX"))


HUB = """
const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");
const config = new AccountConfig();
config.identity.emailAddress = config.incoming.username = config.outgoing.username = args[0];
config.incoming.password = config.outgoing.password = args[1];
"""


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_account_hub_finds_out(suite, thunderbird, protocol, tls):
    """With the names of the servers and their ports alone: how to encrypt, how to log in; and that the password is right."""
    t = thunderbird()
    found = t(HUB + """
        const { GuessConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/GuessConfig.sys.mjs");
        Object.assign(config.incoming, { type: args[2], hostname: args[3], port: args[4], auth: 0 });
        Object.assign(config.outgoing, { hostname: args[3], port: args[5], auth: 0 });
        const { incoming: i, outgoing: o } = await GuessConfig.guessConfig("hermod.test", () => {}, config, "both", new AbortController().signal);
        const name = n => Object.keys(Ci.nsMsgSocketType).find(k => Ci.nsMsgSocketType[k] === n);
        const method = n => Object.keys(Ci.nsMsgAuthMethod).find(k => Ci.nsMsgAuthMethod[k] === n);
        return [i, o].map(s => [s.type, s.port, name(s.socketType), method(s.auth), s.badCert, s.targetSite]);
        """, address("hub"), PASSWORD, protocol, HOST, *ports(suite, protocol, tls))
    want = "SSL" if tls == "implicit" else "alwaysSTARTTLS"
    assert found == [[kind, port, want, "passwordEncrypted", False, None] for kind, port in zip((protocol, "smtp"), ports(suite, protocol, tls))]


def test_account_hub_says_that_the_password_is_wrong(suite, thunderbird):
    t = thunderbird()
    verify = HUB + """
        const { ConfigVerifier } = ChromeUtils.importESModule("resource:///modules/accountcreation/ConfigVerifier.sys.mjs");
        Object.assign(config.incoming, { type: args[2], hostname: args[3], port: args[4], socketType: Ci.nsMsgSocketType.SSL,
                                         auth: Ci.nsMsgAuthMethod.passwordCleartext, authAlternatives: [] });
        const window = Services.wm.getMostRecentWindow("mail:3pane").msgWindow;
        await new ConfigVerifier(window, new AbortController().signal).verifyConfig(config, false);
        return "verified";
        """
    for protocol in ("imap", "pop3"):
        assert t(verify, address("hub"), PASSWORD, protocol, HOST, ports(suite, protocol, "implicit")[0]) == "verified"
        with pytest.raises(Failed, match="(?i)username or password|log in"):
            t(verify, address("wrong"), "not " + PASSWORD, protocol, HOST, ports(suite, protocol, "implicit")[0])
        suite.wait_log(rf" protocol={protocol} user={re.escape(address('wrong'))} .*result=failed$")


def refuses(suite, daemon, what):
    """what fails, and the journal says why."""
    def handshakes():
        return len(re.findall(rf"hermod/{daemon}\[.* client=127\.0\.0\.1 TLS handshake failed: .*unknown ca$", suite.log(), re.M))
    before = handshakes()
    with pytest.raises(Failed):
        what()
    wait_for(lambda: handshakes() > before, 20 * patience(), why=suite.log)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_certificate_of_a_stranger(suite, thunderbird, other_ca, tls):
    """It does not log in, to read or to send."""
    who = address("stranger")
    t = thunderbird(ca=other_ca)
    imap, pop3 = (t.account(who, PASSWORD, protocol, HOST, *ports(suite, protocol, tls), tls, "PLAIN") for protocol in ("imap", "pop3"))
    refuses(suite, "tls", lambda: t.open(imap))
    refuses(suite, "tls", lambda: t.open(pop3))
    refuses(suite, "submission", lambda: t.send(imap, who, "never", "text"))      # the last: a dialog stays
    assert who not in suite.log()
