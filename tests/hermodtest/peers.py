# SPDX-License-Identifier: ISC
"""
Servers that others wrote, as the other side: Postfix, Exim, Dovecot's LMTP, smtp-sink. They are run from where tests/peers has
unpacked them (HERMOD_PEERS names that folder), or from where they are installed, with a configuration and users of their own:
nss_wrapper tells them of users that the host does not have. `find` skips the test where a program is not there.
"""
import glob
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading

import pytest

from hermodtest import proc
from hermodtest.proc import free_ports, wait_for
from hermodtest.suite import Maildir, patience

PLACES = ("usr/sbin", "usr/bin", "usr/lib/dovecot", "usr/lib/postfix/sbin", "usr/lib/exim4", "usr/lib/thunderbird")
LIBRARIES = ("usr/lib/postfix", "usr/lib/dovecot", "usr/lib/*-linux-*", "lib/*-linux-*")
USERS = {"postfix": 61201, "postdrop": 61202, "Debian-exim": 61203, "dovecot": 61204, "dovenull": 61205, "reader": 61206}
READER = USERS["reader"]                        # owner of the mailboxes there
KEPT = "LD_LIBRARY_PATH LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP"      # they clean their environment otherwise
# What is written above a message on its way; what stands below the first other field is the sender's.
TRACE = (b"return-path", b"received", b"delivered-to", b"x-original-to", b"envelope-to", b"delivery-date")


def roots():
    folder = os.environ.get("HERMOD_PEERS")
    return ([os.path.join(os.path.abspath(folder), "root")] if folder else []) + ["/"]


def why_not():
    folder = os.environ.get("HERMOD_PEERS")
    if not folder:
        return "HERMOD_PEERS names no folder of tests/peers, which unpacks it there"
    try:
        return "tests/peers could not fetch it: " + " ".join(open(os.path.join(folder, "log")).read().split("\n")[-3:])
    except FileNotFoundError:
        return f"{folder} has not got it; tests/peers fetches it"


def find(name, package):
    for root in roots():
        for place in PLACES:
            path = os.path.join(root, place, name)
            if os.access(path, os.X_OK):
                return path
    pytest.skip(f"{name} is not installed (Debian package {package}), and {why_not()}")


def library_path():
    return ":".join(p for pattern in LIBRARIES for p in glob.glob(os.path.join(roots()[0], pattern))) if roots()[0] != "/" else ""


def environment():
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    if library_path():
        env["LD_LIBRARY_PATH"] = library_path()
    return env


def in_place(program, *args):
    """Dovecot finds its modules where Debian has them, and nowhere else: for it alone what was unpacked lies over /usr."""
    unpacked = os.path.join(roots()[0], "usr")
    if roots()[0] == "/" or not program.startswith(unpacked):
        return [program, *args]
    mount = ["unshare", "--mount", "sh", "-c", 'mount -t overlay -o "lowerdir=$1:/usr" overlay /usr && shift && exec "$@"', "sh",
             unpacked]
    tried = subprocess.run([*mount, "true"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if tried.returncode:
        pytest.skip(f"an overlay for {program} cannot be mounted here: {tried.stdout.strip()}")
    return [*mount, "/usr" + program[len(unpacked):], *args]


def beyond_trace(octets):
    """A message without what was put above it on its way; line ends of the network."""
    text = re.sub(rb"\r?\n", b"\r\n", octets)
    while (m := re.match(rb"([!-9;-~]+):.*\r\n(?:[ \t].*\r\n)*", text)) and m[1].lower() in TRACE:
        text = text[m.end():]
    return text


def listens(address, port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((address, port)) == 0


class Peer:
    """A folder of its own, a program in the foreground, and what that leaves behind."""

    def __init__(self, name):
        self.dir = tempfile.mkdtemp(prefix=f"hermod-{name}-")
        os.chmod(self.dir, 0o755)
        self.process, self.address = None, "127.0.0.1"
        self.log_file = self.path("log", "log")
        self.mail = self.folder("mail", READER)
        self.users()

    def path(self, *names):
        os.makedirs(os.path.join(self.dir, *names[:-1]), exist_ok=True)
        return os.path.join(self.dir, *names)

    def folder(self, name, owner=0, group=None, mode=0o755):
        path = os.path.join(self.dir, name)
        os.makedirs(path, exist_ok=True)
        os.chown(path, owner, owner if group is None else group)
        os.chmod(path, mode)
        return path

    def write(self, name, text):
        path = self.path(*name.split("/"))
        with open(path, "w") as f:
            f.write(text)
        return path

    def users(self):
        """Those that the program looks for by name."""
        wrapper = next((p for r in roots() for p in glob.glob(os.path.join(r, "usr/lib/*-linux-*/libnss_wrapper.so"))), None)
        if not wrapper:
            pytest.skip(f"libnss_wrapper.so is not installed (Debian package libnss-wrapper), and {why_not()}")
        people = {"root": 0, "nobody": 65534, **USERS}
        self.environment = {**environment(), "LD_PRELOAD": wrapper,
                            "NSS_WRAPPER_PASSWD": self.write("users/passwd", "".join(
                                f"{u}:x:{n}:{n}::/nonexistent:/bin/false\n" for u, n in people.items())),
                            "NSS_WRAPPER_GROUP": self.write("users/group", "".join(
                                f"{u}:x:{n}:\n" for u, n in [*people.items(), ("mail", 8)]))}

    def run(self, *args, input=None):
        return subprocess.run(args, env=self.environment, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=True, timeout=60).stdout

    def launch(self, ready, *args):
        self.output = open(self.path("log", "output"), "w")
        self.process = subprocess.Popen(args, env=self.environment, cwd="/", stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        wait_for(lambda: ready() or self.process.poll() is not None, 30 * patience(), why=self.log)
        assert self.process.poll() is None, self.log()

    def log(self):
        """What it said, and the lines of its log that are whole."""
        out = ""
        for name in (self.path("log", "output"), self.log_file):
            if os.path.exists(name):
                said = open(name, errors="replace").read()
                out += said[:said.rfind("\n") + 1] if name == self.log_file else said
        return out

    def wait_log(self, pattern, seconds=30, after=0):
        return wait_for(lambda: re.search(pattern, self.log()[after:], re.M), seconds * patience(),
                        why=lambda: f"{pattern!r} in the log:\n{self.log()[-4000:]}")

    def maildir(self, user):
        return Maildir(os.path.join(self.mail, user))

    def end(self):
        if self.process:
            left = proc.descendants(self.process.pid)
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            for p in left:
                p.kill(signal.SIGKILL)
            wait_for(lambda: not [p for p in left if p.alive()], 20, why=f"{left} go on")
            self.output.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Postfix(Peer):
    """
    listeners: {name: {setting: value}}, an SMTP server each, with what is special about it. It takes mail for these users of
    NAME.peer.test, each into the Maildir of the whole address. places: {name: (address, port)} where a listener shall not
    be on a port of its own; settings: of main.cf, for all.
    """

    def __init__(self, listeners=None, users=("anna", "bert"), places=None, **settings):
        self.master = find("master", "postfix")
        self.postconf = find("postconf", "postfix")
        super().__init__("postfix")
        self.listeners = listeners or {"plain": {}}
        self.places = {name: ("127.0.0.1", port) for name, port in zip(self.listeners, free_ports(len(self.listeners)))}
        self.places.update(places or {})
        self.boxes, self.settings = users, settings

    def conf(self, queue, data):
        boxes = self.write("etc/boxes", "".join(f"{u}@{n}.peer.test {u}@{n}.peer.test/\n"
                                                for n in self.listeners for u in self.boxes))
        return {"compatibility_level": "3.6", "queue_directory": queue, "data_directory": data,
                "daemon_directory": os.path.dirname(self.master), "command_directory": os.path.dirname(self.postconf),
                "meta_directory": os.path.join(self.dir, "etc"), "mail_owner": "postfix", "setgid_group": "postdrop",
                "maillog_file": self.log_file, "maillog_file_prefixes": self.dir, "import_environment": "MAIL_CONFIG " + KEPT,
                "myhostname": "mx.peer.test", "mydestination": "", "mynetworks": "127.0.0.0/8", "inet_protocols": "ipv4",
                "inet_interfaces": "127.0.0.1", "smtpd_peername_lookup": "no", "smtp_dns_support_level": "disabled",
                "alias_maps": "", "alias_database": "",
                "local_header_rewrite_clients": "", "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
                "smtputf8_enable": "yes", "minimal_backoff_time": "1s", "queue_run_delay": "1s",
                "smtpd_client_connection_count_limit": "0", "virtual_mailbox_base": self.mail,
                "virtual_mailbox_domains": ", ".join(f"{n}.peer.test" for n in self.listeners),
                "virtual_mailbox_maps": "texthash:" + boxes, "virtual_uid_maps": f"static:{READER}",
                "virtual_gid_maps": f"static:{READER}", **self.settings}

    def start(self):
        uid, group = USERS["postfix"], USERS["postdrop"]
        queue, data = self.folder("queue"), self.folder("data", uid)
        for name in "active bounce corrupt defer deferred flush hold incoming private saved trace".split():
            self.folder(f"queue/{name}", uid, uid, 0o700)
        self.folder("queue/maildrop", uid, group, 0o730)
        self.folder("queue/public", uid, group, 0o710)
        self.folder("queue/pid")
        self.write("etc/main.cf", "".join(f"{k} = {v}\n" for k, v in self.conf(queue, data).items()))
        servers = "".join("%s:%d inet n - n - - smtpd\n" % self.places[name] +
                          "".join(f"  -o {{ {k} = {v} }}\n" for k, v in own.items()) for name, own in self.listeners.items())
        self.write("etc/master.cf", servers + "".join(f"{line}\n" for line in (
            "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "tlsmgr unix - - n 1000? 1 tlsmgr",
            "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
            "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
            "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp", "relay unix - - n - - smtp",
            "showq unix n - n - - showq", "error unix - - n - - error", "retry unix - - n - - error",
            "virtual unix - n n - - virtual", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache",
            "postlog unix-dgram n - n - 1 postlogd")))
        self.environment["MAIL_CONFIG"] = os.path.join(self.dir, "etc")
        self.launch(lambda: all(listens(*place) for place in self.places.values()), self.master, "-d",
                    "-c", os.path.join(self.dir, "etc"))
        return self

    def nexthop(self, name="plain"):
        return "[%s]:%d" % self.places[name]


class Exim(Peer):
    """Takes mail for these users of exim.test, each into the Maildir of the whole address, and mail for other_domains, by
    these routers of its configuration."""

    def __init__(self, users=("anna", "bert"), other_domains=(), routers=""):
        self.program = find("exim4", "exim4-daemon-light")
        super().__init__("exim")
        self.boxes, self.other_domains, self.routers, self.port = users, other_domains, routers, free_ports(1)[0]
        self.log_file = self.path("log", "mainlog")

    def start(self):
        uid = USERS["Debian-exim"]
        spool = self.folder("spool", uid)
        for name in ("log", "mail"):            # it does everything as one user: it is not set-user-id here
            self.folder(name, uid)
        conf = self.write("etc/exim.conf", f"""
primary_hostname = mx.exim.test
exim_path = {self.program}
keep_environment = {KEPT.replace(' ', ' : ')}
spool_directory = {spool}
log_file_path = {self.dir}/log/%slog
pid_file_path = {spool}/pid
deliver_drop_privilege
never_users =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
host_lookup =
rfc1413_hosts =
recipient_unqualified_hosts =
acl_smtp_rcpt = acl_rcpt
dsn_advertise_hosts = *
begin acl
acl_rcpt:
  accept domains = {" : ".join(["hermod.test", *self.other_domains])}
  accept domains = exim.test
    local_parts = {" : ".join(self.boxes)}
  deny message = 5.1.1 nobody of that name
begin routers
{self.routers}
here:
  driver = accept
  domains = exim.test
  local_parts = {" : ".join(self.boxes)}
  transport = maildir
begin transports
out:
  driver = smtp
  port = 25
  allow_localhost
  hosts_try_fastopen =
maildir:
  driver = appendfile
  directory = {self.mail}/${{local_part_data}}@exim.test
  maildir_format
  envelope_to_add
  return_path_add
begin retry
* * F,1h,1s
""")
        self.launch(lambda: listens("127.0.0.1", self.port), self.program, "-C", conf, "-bdf", "-q1s")
        return self

    def nexthop(self):
        return f"[127.0.0.1]:{self.port}"


class Lmtp(Peer):
    """Dovecot's LMTP on a port and on a UNIX socket. boxes: {address: quota rule, or None}; settings: more lines."""

    def __init__(self, boxes, settings=""):
        self.program = find("dovecot", "dovecot-core")
        super().__init__("dovecot")
        self.boxes, self.settings, self.port = boxes, settings, free_ports(1)[0]
        self.socket = os.path.join(self.dir, "run", "lmtp")

    def know(self, boxes):
        """From the next delivery on. Dovecot sees that by the file's size, or its time in whole seconds."""
        return self.write("etc/people", "".join(
            f"{a}:::::::" + (f"userdb_quota_rule={rule}" if rule else "") + "\n" for a, rule in boxes.items()))

    def start(self):
        run, command = self.folder("run"), in_place(self.program, "-F", "-c", os.path.join(self.dir, "etc", "dovecot.conf"))
        people = self.know(self.boxes)
        self.write("etc/dovecot.conf", f"""
base_dir = {run}
state_dir = {run}
instance_name = {os.path.basename(self.dir)}
log_path = {self.log_file}
default_internal_user = daemon
default_internal_group = daemon
default_login_user = nobody
protocols = lmtp
listen = 127.0.0.1
ssl = no
mail_location = maildir:{self.mail}/%u
mail_uid = {READER}
mail_gid = {READER}
mail_plugins = quota
first_valid_uid = 1
postmaster_address = postmaster@box.test
hostname = mx.box.test
recipient_delimiter =
{self.settings}
plugin {{
  quota = maildir:of the test
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {people}
  default_fields = home={self.mail}/%u
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {people}
}}
namespace inbox {{
  inbox = yes
}}
service lmtp {{
  inet_listener lmtp {{
    port = {self.port}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
""")
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
        self.launch(lambda: listens("127.0.0.1", self.port) and os.path.exists(self.socket), *command)
        return self

    def nexthop(self):
        return f"[127.0.0.1]:{self.port}"


class Greylist:
    """Postfix's policy service: refuses each sender and recipient once (Postfix's SMTPD_POLICY_README)."""

    def __init__(self):
        self.seen, self.refused = set(), []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                attributes = {}
                for line in self.rfile:
                    name, _, value = line.decode().rstrip("\n").partition("=")
                    attributes[name] = value
                    if name:
                        continue
                    key = attributes["sender"], attributes["recipient"]
                    again = key in outer.seen
                    outer.seen.add(key)
                    if not again:
                        outer.refused.append(key)
                    self.wfile.write(b"action=%s\n\n" % (b"dunno" if again else b"450 4.2.0 greylisted, try again in a second"))
                    attributes = {}

        class Listener(socketserver.ThreadingTCPServer):
            request_queue_size = 100

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()
