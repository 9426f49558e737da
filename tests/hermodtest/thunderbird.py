# SPDX-License-Identifier: ISC
"""
Thunderbird, without a screen: the whole program, in a profile of its own, told by Marionette (its protocol of remote control: JSON behind its
length, over TCP) what a person would click. What is called is what its account hub, folder pane and compose window call.
"""
import json
import os
import shutil
import signal
import socket
import subprocess

from hermodtest import peers
from hermodtest.client import NOBODY, clean_environment
from hermodtest.proc import free_ports, wait_for
from hermodtest.suite import patience

SECONDS = 60
PREFERENCES = {
    # What it would ask of the web goes to a proxy that is not there: nothing leaves this machine.
    "network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9, "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9, "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    # What it would ask of a person.
    "mail.rights.version": 1, "mail.shell.checkDefaultClient": False, "mailnews.start_page.enabled": False, "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False, "mail.inappnotifications.enabled": False,
    "security.default_personal_cert": "Select Automatically",
}
METHODS = {"CRAM-MD5": "passwordEncrypted", "PLAIN": "passwordCleartext", "EXTERNAL": "External"}
SOCKETS = {"starttls": "alwaysSTARTTLS", "implicit": "SSL"}

SCRIPT = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const until = async what => { while (!what()) await new Promise(go => setTimeout(go, 50)); };
const ended = (status, good, bad) => Components.isSuccessCode(status) ? good() : bad(new Error("status " + status.toString(16)));
const finished = begin => new Promise((good, bad) => begin({
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgCopyServiceListener"]),
  OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { ended(status, good, bad); },
  onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; }, onStopCopy(status) { ended(status, good, bad); },
}));
const server = key => MailServices.accounts.getAccount(key).incomingServer;
const folder = (key, name) => server(key).rootFolder.descendants.find(
  f => f.name == name || (name == "INBOX" && f.flags & Ci.nsMsgFolderFlags.Inbox));
const update = f => finished(l => f.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, l));
const messages = f => [...f.messages].map(m => m.mime2DecodedSubject);
const same = (f, ...subjects) => messages(f).sort().join() == subjects.sort().join();
const message = (f, subject) => [...f.messages].find(m => m.mime2DecodedSubject == subject);
const args = Array.from(arguments), done = args.pop();
(async () => { %s })().then(value => done({ value: value === undefined ? null : value }), e => done({ error: e + " " + e?.stack }));
"""


class Failed(Exception):
    """What it says that went wrong."""


class Thunderbird:
    """home: a folder that is made for it; its profile is in there. become: what goes before a command that must not be root's. ca: whose
    certificates count."""

    def __init__(self, home, become, ca=None, **preferences):
        program = peers.find("thunderbird-bin", "thunderbird")
        self.profile, self.port, self.n = os.path.join(home, "profile"), free_ports(1)[0], 0
        os.makedirs(self.profile)
        with open(os.path.join(self.profile, "user.js"), "w") as f:
            for name, value in {**PREFERENCES, "marionette.port": self.port, **preferences}.items():
                f.write(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n")
        for path in (home, self.profile) if become else ():
            shutil.chown(path, NOBODY, NOBODY)
        env = {**clean_environment(home), "LD_LIBRARY_PATH": ":".join(filter(None, [os.path.dirname(program), peers.library_path()]))}
        self.log = os.path.join(home, "log")
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen([*become, program, "--headless", "--no-remote", "--profile", self.profile, "--marionette",
                                             "--remote-allow-system-access"], env=env, cwd=home, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_for(lambda: self.ended() or b"Listening on port" in open(self.log, "rb").read(), SECONDS * patience(), why=self.said)
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=2 * SECONDS * patience())
            self.file = self.socket.makefile("rwb")
            self.read()
            self.command("WebDriver:NewSession", capabilities={})
            self.command("Marionette:SetContext", value="chrome")
            self.command("WebDriver:SetTimeouts", script=1000 * SECONDS * patience())
            self.quiet()
            if ca:
                self.trust(ca)
        except BaseException:
            self.end()
            raise

    def said(self):
        return open(self.log, errors="replace").read()[-2000:]

    def ended(self):
        if self.process.poll() is not None:
            raise AssertionError(f"thunderbird ended with {self.process.returncode}: {self.said()}")

    def read(self):
        n = b""
        while (c := self.file.read(1)) != b":":
            assert c.isdigit(), (n, c, self.said())
            n += c
        return json.loads(self.file.read(int(n)))

    def command(self, name, **args):
        self.n += 1
        text = json.dumps([0, self.n, name, args]).encode()
        self.file.write(b"%d:%s" % (len(text), text))
        self.file.flush()
        _, _, error, value = self.read()
        if error:
            raise Failed(error["message"])
        return value

    def __call__(self, script, *args):
        """What an asynchronous function of that body returns; its arguments are in args."""
        answer = self.command("WebDriver:ExecuteAsyncScript", script=SCRIPT % script, args=list(args), sandbox="system", newSandbox=True)["value"]
        if answer is None:
            raise Failed("a dialog came up")    # it may go by itself, and who asks for its words then waits for ever
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["value"]

    def quiet(self):
        """Faults that a desktop would show at its edge: here they would be dialogs in the way of what comes next."""
        self("""
            const { alertHook } = ChromeUtils.importESModule("resource:///modules/activity/alertHook.sys.mjs");
            MailServices.mailSession.removeUserFeedbackListener(alertHook);
            """)

    def trust(self, ca):
        pem = open(ca.file).read().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
        self('Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(args[0], "CTu,Cu,Cu");', "".join(pem.split()))

    def account(self, address, password, protocol, host, port, smtp_port, tls, mechanism):
        """Its key."""
        return self("""
            const [address, password, protocol, host, port, smtpPort, socket, auth] = args;
            const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");
            const { CreateInBackend } = ChromeUtils.importESModule("resource:///modules/accountcreation/CreateInBackend.sys.mjs");
            const config = new AccountConfig(), socketType = Ci.nsMsgSocketType[socket], method = Ci.nsMsgAuthMethod[auth];
            Object.assign(config.identity, { emailAddress: address, realname: "Someone" });
            config.rememberPassword = !!password;
            config.incoming.loginAtStartup = false;
            Object.assign(config.incoming, { type: protocol, hostname: host, port, username: address, password, socketType, auth: method });
            Object.assign(config.outgoing, { type: "smtp", hostname: host, port: smtpPort, username: address, password, socketType,
                                             auth: method, addThisServer: true });
            const account = await CreateInBackend.createAccountInBackend(config);
            const outgoing = MailServices.outgoingServer.servers.find(s => s.username == address && s.serverURI.port == smtpPort);
            account.defaultIdentity.smtpServerKey = outgoing.key;
            return account.key;
            """, address, password, protocol, host, port, smtp_port, SOCKETS[tls], METHODS[mechanism])

    def open(self, key):
        """As a click on the account: asks for its folders and its inbox. The subjects there."""
        return self("""
            const of = server(args[0]);
            if (of.type == "imap") {
              of.performExpand(null);
              await until(() => folder(args[0], "INBOX"));
            }
            const inbox = folder(args[0], "INBOX");
            await finished(l => of.type == "imap" ? inbox.getNewMessages(null, l) : MailServices.pop3.GetNewMail(null, l, inbox, of));
            return messages(inbox);
            """, key)

    def text(self, key, name, subject):
        """A message, whole."""
        return self("""
            const m = message(folder(args[0], args[1]), args[2]), uri = m.folder.getUriForMsg(m);
            return await new Promise((good, bad) => {
              let text = "";
              MailServices.messageServiceFromURI(uri).streamMessage(uri, {
                QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
                onStartRequest() {}, onStopRequest(request, status) { ended(status, () => good(text), bad); },
                onDataAvailable(request, stream, offset, n) {
                  const in_ = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
                  in_.init(stream);
                  text += in_.readBytes(n);
                }}, null, null, false, "", false);
            });
            """, key, name, subject)

    def send(self, key, to, subject, text, bcc=""):
        """As from its compose window, with a copy in the folder Sent."""
        self("""
            const [key, to, subject, text, bcc] = args;
            const identity = MailServices.accounts.getAccount(key).defaultIdentity;
            const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
            Object.assign(fields, { from: identity.fullAddress, to, subject, bcc });
            await new Promise((good, bad) => Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend).createAndSendMessage(
              null, identity, key, fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow, null, "text/plain", text, null, null, {
                QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener", "nsIMsgCopyServiceListener"]),
                onStartSending() {}, onProgress() {}, onSendProgress() {}, onStatus() {}, onGetDraftFolderURI() {},
                onSendNotPerformed() { bad(new Error("it was not sent")); },
                onTransportSecurityError(id, status, security, where) { bad(new Error("security " + status.toString(16) + " " + where)); },
                onStopSending(id, status, text) { ended(status, () => {}, bad); },
                onStartCopy() {}, setMessageKey() {}, getMessageId() {}, onStopCopy(status) { ended(status, good, bad); },
              }, null, null, Ci.nsIMsgCompType.New));
            """, key, to, subject, text, bcc)

    def end(self):
        if getattr(self, "socket", None):
            self.socket.close()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.end()
