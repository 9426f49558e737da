# SPDX-License-Identifier: ISC
"""One running instance of the suite in a scratch folder."""
import json
import os
import poplib
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time

from hermodtest import proc
from hermodtest.proc import wait_for

DOMAIN = "hermod.test"
HOSTNAME = "mx.hermod.test"
PASSWORD = "correct horse"
SERVICE_UIDS = 61000		# numeric ids of the daemons; no entry in /etc/passwd
MAIL_UID = 60900		# owner of the virtual mailboxes
TLS_FACTS = r'tls="TLSv1\.[23] [A-Z0-9_-]+"'	# in a line of the log


def build_dir():
    path = os.environ.get("HERMOD_BUILD")
    if not path:
        raise RuntimeError("HERMOD_BUILD must name the folder of a build (make check sets it)")
    return os.path.abspath(path)


def sanitized():
    makefile = open(os.path.join(build_dir(), "Makefile")).read()
    return re.search(r"^sanitize = yes$", makefile, re.M) is not None


def with_faults():
    return "#define HERMOD_FAULTS" in open(os.path.join(build_dir(), "config.h")).read()


def patience():
    """Factor for time limits: sanitizers make everything slower."""
    return 4 if sanitized() else 1


def conf_value(value):
    """A Python value as it stands in hermod.conf."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(conf_value(str(v)) for v in value) + "}"
    if isinstance(value, int):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class Maildir:
    def __init__(self, path):
        self.path = path

    def files(self):
        out = []
        for sub in ("new", "cur"):
            try:
                out += [os.path.join(self.path, sub, f)
                        for f in os.listdir(os.path.join(self.path, sub)) if not f.startswith(".")]
            except FileNotFoundError:
                pass
        return sorted(out)

    def tmp(self):
        try:
            return os.listdir(os.path.join(self.path, "tmp"))
        except FileNotFoundError:
            return []

    def messages(self):
        out = []
        for f in self.files():
            try:
                out.append(open(f, "rb").read())
            except FileNotFoundError:		# moved from new/ to cur/ meanwhile
                pass
        return out

    def wait(self, n=1, seconds=None):
        """The messages, once there are n."""
        seconds = (seconds or 20) * patience()
        wait_for(lambda: len(self.files()) >= n, seconds,
                 why=lambda: f"{len(self.files())} of {n} messages in {self.path}")
        return self.messages()



def put(path, content):
    """A secret, as an administrator would put it there: by rename, for the group of those who read tables alone."""
    with open(path + ".new", "w") as f:
        f.write(content)
    os.chmod(path + ".new", 0o640)
    os.chown(path + ".new", -1, SERVICE_UIDS + 1 if os.geteuid() == 0 else os.getegid())
    os.rename(path + ".new", path)


class Suite:
    """See tests/README.md for what tests may use."""

    def __init__(self, settings=None, env=None, start=True, users=("anna", "bert"), directory=None):
        self.build = build_dir()
        self.owns_dir = directory is None
        self.dir = directory or tempfile.mkdtemp(prefix="hermod-test-")
        os.chmod(self.dir, 0o755)
        self.domain, self.hostname, self.password = DOMAIN, HOSTNAME, PASSWORD
        self.host = "127.0.0.1"
        self.env = dict(env or {})
        self.crash_allowed = False	# a test that makes processes crash says so
        self.denials_allowed = False	# or that makes them try what they may not
        self.seen = []			# processes that were ours at some time
        self.conf = os.path.join(self.dir, "etc", "hermod.conf")
        self.log_file = os.path.join(self.dir, "log", "hermod.log")
        self.pid_file = os.path.join(self.dir, "run", "master.pid")
        self.queue = os.path.join(self.dir, "queue")
        self.mail = os.path.join(self.dir, "mail")
        for sub in ("etc", "log", "run", "queue", "mail"):
            os.makedirs(os.path.join(self.dir, sub), exist_ok=True)
        os.makedirs(os.path.join(self.dir, "reports"), exist_ok=True)
        os.chmod(os.path.join(self.dir, "reports"), 0o1777)
        open(os.path.join(self.dir, "etc", "aliases"), "w").write(f"postmaster: {users[0] if users else 'root'}@{DOMAIN}\n")
        self.smtp_port, self.pop3_port, self.imap_port, self.submission_port, self.submissions_port, self.pop3s_port, self.imaps_port = \
            proc.free_ports(7)
        self.settings = self.standard_settings()
        self.settings.update(settings or {})
        self.write_conf()
        if os.geteuid() == 0:
            self.own_directories()
        self.accounts = {}
        for user in users:
            self.add_account(f"{user}@{DOMAIN}")
        if start:
            self.start()

    # ---- before it runs ----

    def standard_settings(self):
        s = {
            "hostname": HOSTNAME,
            "local_domains": [DOMAIN],
            "listen_smtp": [f"127.0.0.1:{self.smtp_port}"],
            "listen_submission": [f"127.0.0.1:{self.submission_port}"],	# served where there are tls_certificates
            "listen_submissions": [f"127.0.0.1:{self.submissions_port}"],
            "listen_pop3s": [f"127.0.0.1:{self.pop3s_port}"],
            "listen_imaps": [f"127.0.0.1:{self.imaps_port}"],
            "listen_pop3": [f"127.0.0.1:{self.pop3_port}"],
            "listen_imap": [f"127.0.0.1:{self.imap_port}"],
            "queue_directory": self.queue,
            "auth_directory": os.path.join(self.dir, "auth"),
            "dns_directory": os.path.join(self.dir, "dns"),
            "mta_sts_directory": os.path.join(self.dir, "mta-sts"),
            "tls_report_directory": os.path.join(self.dir, "tls-report"),
            "run_directory": os.path.join(self.dir, "run"),
            "mail_directory": self.mail,
            "log_file": self.log_file,
            "pid_file": self.pid_file,
            "start_timeout": f"{30 * patience()}s",
            "program_directory": os.path.join(self.build, "libexec", "hermod"),
            "alias_map": "text:" + os.path.join(self.dir, "etc", "aliases"),
            "account_map": "lmdb:" + os.path.join(self.dir, "etc", "accounts"),
            "system_accounts": False,
            "trusted_networks": [],
        }
        if os.geteuid() == 0:
            s.update(uid_base=SERVICE_UIDS, first_uid=1000, mail_uid=MAIL_UID, mail_gid=MAIL_UID)
        else:
            s.update(first_uid=min(os.getuid(), 1000), mail_uid=os.getuid(), mail_gid=os.getgid())
        return s

    def own_directories(self):
        """As an installation has them: the mail directory is the mailboxes' owner's."""
        os.chown(self.mail, MAIL_UID, MAIL_UID)

    def use_accounts(self, rows, **changes):
        """A text table of these accounts, {address: row}, in place of the standard one; changes as in write_conf."""
        table = os.path.join(self.dir, "etc", "table")
        with open(table, "w") as f:
            f.writelines(f"{address} {row}\n" for address, row in rows.items())
        os.chmod(table, 0o644)
        self.write_conf(account_map="text:" + table, **changes)

    def write_conf(self, **changes):
        """Writes hermod.conf; a change to None takes the setting out."""
        self.settings.update(changes)
        with open(self.conf, "w") as out:
            for name, value in self.settings.items():
                if value is not None:
                    out.write(f"{name} = {conf_value(value)}\n")

    # ---- running ----

    def environment(self):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "TERM")}
        reports = os.path.join(self.dir, "reports", "asan")
        env["ASAN_OPTIONS"] = f"log_path={reports}:exitcode=99:detect_leaks=0:abort_on_error=0"
        env["UBSAN_OPTIONS"] = f"log_path={reports}:print_stacktrace=1:exitcode=99"
        env.update(self.env)
        return env

    def hermod(self, *args, input=None, check=True, timeout=60):
        """The hermod command on this instance; CompletedProcess with text."""
        r = subprocess.run([os.path.join(self.build, "bin", "hermod"), "-c", self.conf, *map(str, args)],
                           input=input, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           env=self.environment(), timeout=timeout * patience())
        if check and r.returncode != 0:
            raise AssertionError(f"hermod {' '.join(map(str, args))}: status {r.returncode}\n"
                                 f"{r.stdout}{r.stderr}{self.log()[-3000:]}")
        return r

    def hermod_json(self, *args):
        """Its --json output: a list, one object a line."""
        return [json.loads(line) for line in self.hermod("--json", *args).stdout.splitlines()]

    def add_account(self, address, password=PASSWORD):
        if "@" not in address:
            address += "@" + DOMAIN
        self.hermod("account", "add", address, "--password-stdin", input=password + "\n")
        self.accounts[address] = password
        return address

    def start(self):
        r = self.hermod("start")
        self.note_processes()
        return r

    def stop(self):
        """hermod stop; all processes must be gone soon."""
        self.note_processes()
        if self.master_pid():
            self.hermod("stop", timeout=120)
        wait_for(lambda: not self.left(), 20 * patience(), why=lambda: f"still there: {self.left()}")

    def restart(self):
        self.stop()
        return self.start()

    def reload(self, check=True):
        return self.hermod("reload", check=check)

    def master_pid(self):
        """None when it does not run."""
        try:
            pid = int(open(self.pid_file).read().split()[0])
            p = proc.Proc(pid)
            # A stale pid file may name a process of somebody else by now.
            if p.state == "Z" or p.comm != "master":
                return None
            # Not to be read of another user's; then the name has to do.
            if os.access(f"/proc/{pid}/exe", os.R_OK) and not os.readlink(f"/proc/{pid}/exe").startswith(self.build):
                return None
            return pid
        except (OSError, ValueError, IndexError):
            return None

    def note_processes(self):
        """Remembers what is ours, to find it also when master is gone."""
        known = {(p.pid, p.start) for p in self.seen}
        master = self.master_pid()
        roots = {p.pid for p in self.seen if p.alive()} | ({master} if master else set())
        now = proc.descendants(*roots)
        for root in roots:
            try:
                now.append(proc.Proc(root))
            except (OSError, ValueError):
                pass
        for p in now:
            if (p.pid, p.start) not in known:
                known.add((p.pid, p.start))
                self.seen.append(p)
        return now

    def left(self):
        self.note_processes()
        return [p for p in self.seen if p.alive()]

    def processes(self, service=None):
        """[proc.Proc]; service: a name as in the table of processes, or deliver, pop3d, imapd."""
        live = self.left()
        if service == "master":
            return [p for p in live if p.pid == self.master_pid()]
        return [p for p in live if service is None or p.name() == service[:15]]

    def pids(self, service=None):
        return [p.pid for p in self.processes(service)]

    def kill(self, service, sig=signal.SIGKILL):
        """A signal to every process of that service; how many there were."""
        all_of_it = self.processes(service)
        for p in all_of_it:
            p.kill(sig)
        return len(all_of_it)

    # ---- what it says and has ----

    def log(self):
        """Its lines that are whole: another is being written, perhaps."""
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as f:
                said = f.read()
        except FileNotFoundError:
            return ""
        return said[:said.rfind("\n") + 1]

    def wait_log(self, pattern, seconds=20, after=0):
        """The match of a regular expression, once the log (from offset after) has it."""
        return wait_for(lambda: re.search(pattern, self.log()[after:], re.M), seconds * patience(),
                        why=lambda: f"{pattern!r} in the log:\n{self.log()[-4000:]}")

    def queue_files(self, place=None):
        """Paths below queue/: messages only; place is new, active, later, down, hold, corrupt."""
        def look():
            out = []
            for top in ([place] if place else ["new", "active", "later", "down", "hold", "corrupt", "tmp"]):
                for folder, _, files in os.walk(os.path.join(self.queue, top)):
                    out += [os.path.join(folder, f) for f in files if not f.startswith(".note")]
            return sorted(out)
        before = look()
        for _ in range(20):			# what moves meanwhile may be seen twice, or nowhere
            now = look()
            if now == before:
                break
            before = now
        return before

    def wait_queue_empty(self, seconds=60):
        """Twice in a row: a notification appears in new/, and its message goes, between a look there and one where that was."""
        def look():
            return [f for f in self.queue_files()
                    if not os.path.relpath(f, self.queue).startswith("corrupt/")]

        def busy():
            return look() or look()
        wait_for(lambda: not busy(), seconds * patience(), why=lambda: f"still queued: {busy()[:5]}")

    def maildir(self, user):
        local, _, domain = user.partition("@")
        return Maildir(os.path.join(self.mail, domain or DOMAIN, local, "Maildir"))

    def block(self, user):
        """Its mailbox takes no mail until unblock."""
        path = self.maildir(user).path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.isdir(path):
            os.rename(path, path + ".kept")
        open(path, "w").close()			# not a folder

    def unblock(self, user):
        path = self.maildir(user).path
        os.unlink(path)
        if os.path.isdir(path + ".kept"):
            os.rename(path + ".kept", path)

    # ---- clients ----

    def smtp(self, timeout=30):
        """A greeted smtplib.SMTP."""
        return smtplib.SMTP(self.host, self.smtp_port, "client.test", timeout=timeout * patience())

    def send(self, to, text=None, sender="sender@client.test"):
        """One message by smtplib; the recipients may be one or a list. Returns the text sent."""
        to = [to] if isinstance(to, str) else list(to)
        to = [t if "@" in t else f"{t}@{DOMAIN}" for t in to]
        if text is None:
            text = (f"From: {sender}\r\nTo: {to[0]}\r\nSubject: test\r\n"
                    f"Message-ID: <{time.monotonic_ns()}@client.test>\r\n\r\nHello.\r\n")
        c = self.smtp()
        try:
            c.sendmail(sender, to, text, mail_options=["BODY=8BITMIME"] if isinstance(text, bytes) else [])
        finally:
            c.close()
        return text

    def pop3(self, user=None, password=None, timeout=30):
        """A poplib.POP3; logged in when a user is given."""
        c = poplib.POP3(self.host, self.pop3_port, timeout=timeout * patience())
        if user:
            user = user if "@" in user else f"{user}@{DOMAIN}"
            c.user(user)
            c.pass_(password or self.accounts.get(user, PASSWORD))
        return c

    def imap(self, user=None, password=None, timeout=20, **how):
        """A hermodtest.imap.Client; logged in when a user is given."""
        from hermodtest import imap             # which needs this module
        c = imap.Client(self.host, self.imap_port, timeout=timeout, **how)
        if user:
            user = user if "@" in user else f"{user}@{DOMAIN}"
            c.login(user, password or self.accounts.get(user, PASSWORD))
        return c

    # ---- the end ----

    def reports(self):
        """Sanitizer reports: texts."""
        folder = os.path.join(self.dir, "reports")
        return [open(os.path.join(folder, f), errors="replace").read() for f in sorted(os.listdir(folder))]

    def crashes(self):
        """Log lines of processes that died as no process should. (Being killed by a test is not such.)"""
        out = []
        for line in self.log().splitlines():
            if not re.search(r"\bdied\b|\bended\b|Sanitizer|runtime error:|must\(", line):
                continue
            if re.search(r"signal (4|5|6|7|8|11|31)\b|SIG(ILL|TRAP|ABRT|BUS|FPE|SEGV|SYS)|status 99\b"
                         r"|Sanitizer|runtime error:|must\(", line):
                out.append(line)
        return out

    def end(self):
        """Stops everything, by pid; then says (AssertionError) what was wrong."""
        wrong = []
        try:
            self.stop()
        except (AssertionError, subprocess.TimeoutExpired) as e:
            wrong.append(f"stop: {e}")
        left = self.left()
        for p in left:
            p.kill(signal.SIGCONT)
            p.kill(signal.SIGKILL)
        if left:
            wrong.append(f"had to be killed: {left}")
            wait_for(lambda: not [p for p in left if p.alive()], 10, why=f"{left} after SIGKILL")
        if not self.crash_allowed:
            wrong += self.crashes()
            wrong += self.reports()
        if not self.denials_allowed:		# tgkill: an abort, or an end that a fault has ordered; crashes() tells them
            denied = re.findall(r"hermod/\S+: warning: denied system call (?!tgkill)\w+", self.log())
            wrong += sorted(set(denied))
        keep = os.environ.get("HERMOD_KEEP") and wrong
        if wrong and not keep:
            wrong.append("the end of its log:\n" + self.log()[-4000:])
        if keep:
            wrong.append(f"kept: {self.dir}")
        elif self.owns_dir:
            shutil.rmtree(self.dir, ignore_errors=True)
        if wrong:
            raise AssertionError("\n".join(wrong))
