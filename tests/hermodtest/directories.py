# SPDX-License-Identifier: ISC
"""
Where accounts may be, as the other side of `directory`: slapd, PostgreSQL, run from where tests/peers has unpacked them (or from where
they are installed), as an ordinary user, in a folder of their own; and the process, alone, of which the test is router,
auth and the resolver.
"""
import base64
import glob
import os
import signal
import shutil
import socket
import struct
import subprocess
import tempfile

from hermodtest import peers
from hermodtest.alone import Alone
from hermodtest.peers import environment, find, listens
from hermodtest.proc import free_ports, wait_for
from hermodtest.suite import patience

NOT_SURE, YES, NO = 0, 1, 2
NO_DATA, FOUND, FAILED = 2, 1, 0
KINDS = {1: socket.AF_INET, 28: socket.AF_INET6}
ORDINARY = 61207                        # who they run as, when we are root
# Before the others: in usr/bin psql is a script that needs an installation around it.
peers.PLACES = ("usr/lib/postgresql/15/bin", *peers.PLACES)


class Directory(Alone):
    """zone: {name: addresses, or a DNS_ result, or None for no answer}"""

    def __init__(self, settings, zone=None, env=None, **more):
        self.zone, self.questions = {} if zone is None else zone, []
        self.root = tempfile.mkdtemp(prefix="hermod-root-")
        self.binds = settings["account_directory"] == "ldap" and settings.get("ldap_password") != "attribute"
        super().__init__("directory", {**settings, **more}, asks={"resolver": self.resolve}, asked_by=["router", "auth"], env=env,
                         files={"root": self.root})

    def end(self, crash_allowed=False):
        os.rmdir(self.root)
        super().end(crash_allowed)

    def resolve(self, _, m):
        self.questions.append(m["name"].decode())
        known = self.zone.get(self.questions[-1], NO_DATA) if KINDS[m["type"]] == socket.AF_INET else NO_DATA
        if known is None:
            return None
        answer = {"result": known if isinstance(known, int) else FOUND, "ttl": 60, "name": m["name"]}
        if isinstance(known, list):
            answer["records"] = b"".join(struct.pack("<I", 4) + socket.inet_aton(a) for a in known)
        return "dns_answer", answer

    def begin(self, name, service="auth"):
        return self.ask(service, "directory_ask", name=name)

    def get(self, name, service="auth", timeout=20):
        """The row as a dictionary; NO; or NOT_SURE."""
        return self.got(self.begin(name, service), service, timeout)

    def got(self, call, service="auth", timeout=20):
        a = self.answer(call, timeout, service)
        if a["verdict"] != YES:
            assert a["row"] == b"" and a["checks"] == (a["verdict"] == NO and self.binds)
            return a["verdict"]
        row = dict(line.split("=", 1) for line in a["row"].decode().split("\n"))
        if a["checks"]:
            row["checks"] = True
        return row

    def check(self, name, password, timeout=20):
        call = self.ask("auth", "directory_check", name=name, password=password, client="192.0.2.1")
        return self.answer(call, timeout, "auth")["verdict"]


def states(group):
    """Of each thread of each process of that process group: the letter that proc(5) has for it."""
    def fields(path):
        try:
            with open(path) as f:
                return f.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):     # it has ended meanwhile
            return ["X", "0", "0"]
    return {fields(thread)[0] for path in glob.glob("/proc/[0-9]*/stat") if int(fields(path)[2]) == group
            for thread in glob.glob(os.path.dirname(path) + "/task/*/stat")}


class Server:
    """A program in the foreground, in a folder of its own, as an ordinary user."""

    def __init__(self, name):
        self.dir = tempfile.mkdtemp(prefix=f"hermod-{name}-")
        os.chmod(self.dir, 0o755)
        self.environment, self.process, self.output = environment(), None, None
        self.who = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.folder("log")

    def folder(self, *names):
        path = os.path.join(self.dir, *names)
        os.makedirs(path, exist_ok=True)
        if self.who:
            os.chown(path, ORDINARY, ORDINARY)
        return path

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        if self.who:
            os.chown(path, ORDINARY, ORDINARY)
        return path

    def run(self, *args, input=None):
        r = subprocess.run(args, env=self.environment, input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           cwd="/", timeout=120 * patience(), **self.who)
        assert r.returncode == 0, f"{args}\n{r.stdout}"
        return r.stdout

    def log(self):
        return open(os.path.join(self.dir, "log", "output"), errors="replace").read()

    def launch(self, ready, *args):
        self.output = open(os.path.join(self.dir, "log", "output"), "a")
        self.process = subprocess.Popen(args, env=self.environment, cwd="/", stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, start_new_session=True, **self.who)
        wait_for(lambda: ready() or self.process.poll() is not None, 60 * patience(), why=self.log)
        assert self.process.poll() is None, self.log()

    def signal(self, number):
        """To all of its processes: they are a session of their own. Who is to stop has: a thread that runs goes on for a moment."""
        os.killpg(self.process.pid, number)
        if number == signal.SIGSTOP:
            wait_for(lambda: states(self.process.pid) == {"T"}, 20 * patience())

    def kill(self):
        if self.process:
            if self.process.poll() is None:
                self.signal(signal.SIGKILL)
            self.process.wait()
            self.output.close()
            self.process = None

    def end(self):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def ldif(dn, **attributes):
    """An entry; a value is text, octets, or a list of such."""
    out = f"dn:: {base64.b64encode(dn.encode()).decode()}\n"
    for name, values in attributes.items():
        for v in values if isinstance(values, list) else [values]:
            octets = v.encode() if isinstance(v, str) else v
            out += f"{name}:: {base64.b64encode(octets).decode()}\n"
    return out + "\n"


class Slapd(Server):
    """OpenLDAP's server. certificate: of ldaps and StartTLS."""
    SUFFIX, ADMIN, SECRET = "dc=test", "cn=admin,dc=test", "admin's secret"

    def __init__(self, certificate=None):
        self.program, self.slapadd, self.add_program = find("slapd", "slapd"), None, find("ldapadd", "ldap-utils")
        super().__init__("slapd")
        self.prefix = self.program[:-len("/usr/sbin/slapd")]
        self.port, self.tls_port = free_ports(2)
        self.socket = os.path.join(self.dir, "run", "ldapi")
        self.folder("run")
        self.data = self.folder("data")
        self.certificate = certificate
        self.configure()

    def configure(self):
        tls = ""
        if self.certificate:
            chain, key = (self.write(n, open(p).read(), 0o600) for n, p in (("chain.pem", self.certificate.chain),
                                                                             ("key.pem", self.certificate.key)))
            tls = f"TLSCertificateFile {chain}\nTLSCertificateKeyFile {key}\nTLSCACertificateFile {chain}\n"
        self.conf = self.write("slapd.conf", f"""
modulepath {self.prefix}/usr/lib/ldap
moduleload back_mdb
{"".join(f"include {self.prefix}/etc/ldap/schema/{s}.schema" + chr(10) for s in ("core", "cosine", "inetorgperson"))}
pidfile {self.dir}/run/pid
sizelimit 100
{tls}
database mdb
suffix "{self.SUFFIX}"
rootdn "{self.ADMIN}"
rootpw "{self.SECRET}"
directory {self.data}
index objectClass,mail,uid eq
access to attrs=userPassword by dn.exact="cn=hermod,dc=test" read by anonymous auth by * none
access to * by * read
""", 0o600)

    def start(self):
        urls = [f"ldap://127.0.0.1:{self.port}", "ldapi://" + self.socket.replace("/", "%2F")]
        if self.certificate:
            urls.append(f"ldaps://127.0.0.1:{self.tls_port}")
        self.launch(lambda: listens("127.0.0.1", self.port), self.program, "-f", self.conf, "-h", " ".join(urls) + "/", "-d", "none")
        return self

    def add(self, *entries):
        self.run(self.add_program, "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", self.ADMIN, "-w", self.SECRET,
                 input="".join(entries))

    def add_tree(self):
        self.add(ldif(self.SUFFIX, objectClass=["dcObject", "organization"], dc="test", o="test"),
                 ldif("ou=people,dc=test", objectClass="organizationalUnit", ou="people"),
                 ldif("ou=others,dc=test", objectClass="organizationalUnit", ou="others"),
                 ldif("cn=hermod,dc=test", objectClass=["organizationalRole", "simpleSecurityObject"], cn="hermod",
                      userPassword="hermod's secret"))

    def person(self, uid, mail=None, below="ou=people,dc=test", **attributes):
        self.add(ldif(f"uid={uid},{below}", objectClass="inetOrgPerson", uid=uid, cn=uid, sn=uid,
                      mail=f"{uid}@hermod.test" if mail is None else mail, **attributes))

    def change(self, text):
        self.run(find("ldapmodify", "ldap-utils"), "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", self.ADMIN, "-w",
                 self.SECRET, input=text)


class Postgres(Server):
    """PostgreSQL. It takes `mail` with the password below over TCP, and anybody over the socket."""
    PASSWORD = "mail's 'secret\\"

    def __init__(self, certificate=None):
        self.initdb, self.program, self.psql = (find(n, "postgresql-15") for n in ("initdb", "postgres", "psql"))
        super().__init__("postgres")
        wrapper = next((p for r in peers.roots() for p in peers.glob.glob(os.path.join(r, "usr/lib/*-linux-*/libnss_wrapper.so"))),
                       None)
        if not wrapper:
            peers.pytest.skip(f"libnss_wrapper.so is not installed (Debian package libnss-wrapper), and {peers.why_not()}")
        uid = ORDINARY if self.who else os.geteuid()
        self.environment.update(LD_PRELOAD=wrapper, NSS_WRAPPER_PASSWD=self.write("passwd", f"owner:x:{uid}:{uid}::/:/bin/false\n"),
                                NSS_WRAPPER_GROUP=self.write("group", f"owner:x:{uid}:\n"))
        self.port, = free_ports(1)
        self.data, self.sockets = self.folder("data"), self.folder("run")
        self.certificate = certificate
        self.run(self.initdb, "-D", self.data, "-U", "owner", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self.write("data/pg_hba.conf", "local all all trust\nhostnossl all owner 127.0.0.1/32 reject\n"
                   "host all mail 127.0.0.1/32 scram-sha-256\n")

    def start(self):
        more = []
        if self.certificate:
            chain, key = (self.write(n, open(p).read(), 0o600) for n, p in (("chain.pem", self.certificate.chain),
                                                                             ("key.pem", self.certificate.key)))
            more = ["-c", "ssl=on", "-c", f"ssl_cert_file={chain}", "-c", f"ssl_key_file={key}"]
        self.launch(lambda: listens("127.0.0.1", self.port), self.program, "-D", self.data, "-p", str(self.port), "-h", "127.0.0.1",
                    "-k", self.sockets, "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=20", *more)
        wait_for(self.answers, 60 * patience(), why=self.log)
        return self

    def answers(self):
        r = subprocess.run([self.psql, "-X", "-h", self.sockets, "-p", str(self.port), "-U", "owner", "-c", "SELECT 1", "postgres"],
                           env=self.environment, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.who)
        return r.returncode == 0

    def sql(self, text):
        return self.run(self.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.sockets, "-p", str(self.port), "-U", "owner", "postgres",
                        input=text)

    def kill(self):
        """The postmaster's children end by themselves, and with them the shared memory."""
        if self.process:
            from hermodtest import proc
            left = proc.descendants(self.process.pid)
            self.signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            for p in left:
                p.kill(signal.SIGCONT)
                p.kill(signal.SIGKILL)
            wait_for(lambda: not [p for p in left if p.alive()], 30 * patience(), why=f"{left} go on")
            self.output.close()
            self.process = None
