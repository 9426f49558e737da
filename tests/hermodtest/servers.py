# SPDX-License-Identifier: ISC
"""
SMTP and LMTP servers for tests of a client: as good, or as bad, as the test says.

    Server()                                    takes everything
    Server(mail="451 4.3.0 not now")            answers MAIL so
    Server(rcpt={"a@x.test": "550 5.1.1 no"})   answers RCPT of that address so
    Server(data=RESET)                          resets the connection at DATA
    Server(greeting=lambda s: s.send_octets(b"\\xff" * 9999))

Steps: connect (before the greeting), greeting, ehlo, helo, lhlo, starttls, handshake, auth (the reply to AUTH, instead of
an exchange), authenticated (the last reply to it), mail, rcpt, data, chunk (a BDAT),
content (a part of it is read), end (the reply to all content), rset, quit. With users={name: password or token} there is AUTH,
of the mechanisms given, and no mail without it (hermodtest/sasl.py). What is said at a step: a reply as text (its lines
joined by LF), an action below, or a function of the session that says what it likes, and returns the same, or None: nothing more.
A list is for one after the other; its last stays.
"""
import re
import socket
import ssl
import struct
import threading
import time

from hermodtest import sasl
from hermodtest.proc import free_ports


class Action:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


RESET, CLOSE, HANG, GARBAGE, ENDLESS, LONG = map(Action, ("RESET", "CLOSE", "HANG", "GARBAGE", "ENDLESS", "LONG"))

EXTENSIONS = ["PIPELINING", "SIZE 10000000", "8BITMIME", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8"]


class Ended(Exception):
    """The connection is over."""


class Mail:
    def __init__(self, session):
        self.session, self.sender, self.rcpts, self.data, self.parameters = session.number, None, [], b"", ""
        self.tls, self.whole = session.tls, False

    def text(self):
        return self.data


def peer_of(sock):
    try:
        return sock.getpeername()[0] if sock.family != socket.AF_UNIX else ""
    except OSError:
        return ""                               # it is gone already


class Session:
    def __init__(self, server, sock, number):
        self.server, self.sock, self.number = server, sock, number
        self.client = peer_of(sock)             # its address; "": a UNIX socket
        self.rest, self.tls, self.commands, self.mail = b"", False, [], None
        self.user, self.mechanism = None, None

    # ---- the socket ----

    def send_octets(self, octets):
        try:
            self.sock.sendall(octets)
        except OSError:
            raise Ended

    def send(self, reply):
        lines = reply.split("\n")
        code = lines[0][:3]
        out = [line if re.match(r"\d{3}[ -]", line) else f"{code} {line}" for line in lines]
        out = [line[:3] + ("-" if i + 1 < len(out) else " ") + line[4:] for i, line in enumerate(out)]
        self.send_octets(("\r\n".join(out) + "\r\n").encode("utf-8", "surrogateescape"))

    def read_more(self):
        try:
            got = self.sock.recv(65536)
        except OSError:
            raise Ended
        if not got:
            raise Ended
        self.rest += got

    def line(self):
        while b"\r\n" not in self.rest:
            self.read_more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def octets(self, n):
        while len(self.rest) < n:
            self.read_more()
        out, self.rest = self.rest[:n], self.rest[n:]
        return out

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Ended

    def hang(self):
        self.server.over.wait()
        raise Ended

    def act(self, action):
        if action is RESET:
            self.reset()
        elif action is CLOSE:
            raise Ended
        elif action is HANG:
            self.hang()
        elif action is GARBAGE:
            self.send_octets(b"\x00\xff\x80 garbage \x07\r\n" * 3)
        elif action is LONG:
            self.send_octets(b"250 " + b"x" * (1 << 20) + b"\r\n")
        elif action is ENDLESS:
            while not self.server.over.is_set():
                self.send_octets(b"250-there is more\r\n" * 100)

    def say(self, step, standard, key=None, taken=None):
        """What the test wants at this step, else the standard. The reply's code, 0 when none was said. taken: called before
        a 250 is said, when the client cannot know yet."""
        what = self.server.at(step, key)
        if what is None:
            what = standard
        while callable(what):
            what = what(self)
        if isinstance(what, Action):
            self.act(what)
            return 0
        if what is None:
            return 0
        if taken and what.startswith("250"):
            taken()
        self.send(what)
        return int(what[:3])

    # ---- the protocol ----

    def run(self):
        try:
            if self.server.implicit_tls:
                self.handshake()
            self.server.note(self)
            if self.server.look("connect"):
                self.say("connect", None)
            self.say("greeting", f"220 {self.server.name} ESMTP")
            while True:
                self.command(self.line())
        except (Ended, OSError, ssl.SSLError):
            pass
        finally:
            try:
                self.sock.close()
            except OSError:
                pass

    def command(self, line):
        text = line.decode("utf-8", "surrogateescape")
        self.commands.append(text)
        verb = text.split(" ")[0].upper()
        step = getattr(self, "do_" + verb.lower(), None)
        if step is None:
            self.send("500 5.5.2 what?")
        else:
            step(text)

    def hello(self, step):
        self.mail = None
        extensions = list(self.server.extensions)
        if self.server.tls and not self.tls:
            extensions.append("STARTTLS")
        if self.server.users and (self.tls or not self.server.tls or self.server.early_auth) and not self.server.no_auth:
            extensions.append("AUTH " + " ".join(self.server.mechanisms))
        self.say(step, "\n".join(["250-" + self.server.name] + ["250-" + e for e in extensions]))

    def do_ehlo(self, text):
        self.hello("ehlo")

    def do_lhlo(self, text):
        self.hello("lhlo")

    def do_helo(self, text):
        self.mail = None
        self.say("helo", "250 " + self.server.name)

    def handshake(self):
        if self.server.look("handshake"):
            self.say("handshake", None)
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
        self.tls, self.rest = True, b""

    def do_starttls(self, text):
        if self.say("starttls", "220 2.0.0 go ahead") == 220:
            self.handshake()

    def do_auth(self, text):
        words = text.split(" ")
        if self.server.look("auth"):
            self.say("auth", None)
            return
        self.mechanism = words[1]
        assert self.mechanism in self.server.mechanisms, text
        self.user = sasl.serve(self, self.mechanism, words[2] if len(words) > 2 else None)
        self.say("authenticated", "235 2.7.0 welcome" if self.user else "535 5.7.8 wrong credentials")

    def do_mail(self, text):
        m = re.match(r"MAIL FROM:<(.*?)>(.*)", text, re.I)
        self.mail = None
        if self.server.users and not self.user:
            self.send("530 5.7.0 authentication required")
            return
        if self.say("mail", "250 2.1.0 sender ok") == 250:
            self.mail = Mail(self)
            self.mail.sender, self.mail.parameters = m[1], m[2].strip()

    def do_rcpt(self, text):
        m = re.match(r"RCPT TO:<(.*?)>(.*)", text, re.I)
        if self.mail is None:
            self.send("503 5.5.1 MAIL first")
        elif self.say("rcpt", "250 2.1.5 recipient ok", m[1]) in (250, 251):
            self.mail.rcpts.append((m[1], m[2].strip()))

    def end(self):
        """The reply to all content; LMTP has one a recipient."""
        mail, self.mail = self.mail, None
        mail.whole = True
        mails = self.server.mails
        for address, _ in mail.rcpts if self.server.lmtp else [(None, None)]:
            self.say("end", f"250 2.0.0 taken as {len(mails)}", address, lambda: mail in mails or mails.append(mail))

    def do_data(self, text):
        if self.mail is None or not self.mail.rcpts:
            self.send("503 5.5.1 RCPT first")
            return
        if self.say("data", "354 end with a dot") != 354:
            return
        if self.server.look("content"):
            while len(self.rest) < 100:
                self.read_more()
            self.say("content", None)
        lines = []
        while (line := self.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        self.mail.data = b"".join(line + b"\r\n" for line in lines)
        self.end()

    def do_bdat(self, text):
        words = text.split(" ")
        last = words[-1].upper() == "LAST"
        if self.server.look("content"):
            while len(self.rest) < min(100, int(words[1])):
                self.read_more()
            self.say("content", None)
        chunk = self.octets(int(words[1]))
        if self.mail is None or not self.mail.rcpts:
            self.send("503 5.5.1 RCPT first")
            return
        self.mail.data += chunk
        if last:
            self.end()
        else:
            self.say("chunk", "250 2.0.0 go on")

    def do_rset(self, text):
        self.mail = None
        self.say("rset", "250 2.0.0 ok")

    def do_noop(self, text):
        self.send("250 2.0.0 ok")

    def do_quit(self, text):
        self.say("quit", "221 2.0.0 bye")
        raise Ended


class Server:
    def __init__(self, address="127.0.0.1", port=0, name="server.test", extensions=None, tls=None, implicit_tls=False,
                 lmtp=False, unix=None, backlog=128, users=None, mechanisms=(), early_auth=False, no_auth=False, lies=(), **steps):
        self.users, self.mechanisms, self.early_auth, self.no_auth, self.lies = users, mechanisms, early_auth, no_auth, lies
        self.name, self.tls, self.implicit_tls, self.lmtp, self.steps = name, tls, implicit_tls, lmtp, steps
        self.extensions = EXTENSIONS if extensions is None else extensions
        self.mails, self.sessions, self.over, self.counts = [], [], threading.Event(), {}
        self.lock = threading.Lock()
        if unix:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(unix)
            self.address, self.port = unix, 0
        else:
            self.sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind((address, port or free_ports(1)[0]))      # one at which nobody else comes to be, when it is ended and returns
            self.address, self.port = address, self.sock.getsockname()[1]
        self.sock.listen(backlog)
        threading.Thread(target=self.accept, daemon=True).start()

    def nexthop(self):
        return f"[{self.address}]:{self.port}"

    def accept(self):
        while not self.over.is_set():
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            with self.lock:
                session = Session(self, sock, len(self.sessions))
                self.sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def note(self, session):
        """A subclass may look at who comes."""

    def at(self, step, key, passed=True):
        """What the test wants there; None: what is usual. passed: of a list, the next one is for the next time."""
        with self.lock:
            what = self.steps.get(step)
            if isinstance(what, dict):
                what = what.get(key)
            if isinstance(what, list):
                n = self.counts.get((step, key), 0)
                if passed:
                    self.counts[step, key] = n + 1
                what = what[min(n, len(what) - 1)]
            return what

    def look(self, step):
        """Does the test want anything there, this time? If not, that was it."""
        wanted = self.at(step, None, passed=False) is not None
        if not wanted:
            self.at(step, None)
        return wanted

    def commands(self, session=-1):
        return self.sessions[session].commands

    def verbs(self, session=-1):
        return [c.split(" ")[0].upper() for c in self.sessions[session].commands]

    def end(self):
        self.over.set()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        for s in self.sessions:
            try:
                s.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def refusing_port():
    """A port at which nobody listens, until the test does."""
    return free_ports(1)[0]


class Silent:
    """Listens, and answers no connection: its queue is full."""

    def __init__(self, address="127.0.0.1"):
        self.sock = socket.socket()
        self.sock.bind((address, free_ports(1)[0]))
        self.sock.listen(0)
        self.address, self.port = address, self.sock.getsockname()[1]
        self.fill = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((address, self.port))
            self.fill.append(s)
        time.sleep(0.05)

    def nexthop(self):
        return f"[{self.address}]:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in self.fill + [self.sock]:
            s.close()
