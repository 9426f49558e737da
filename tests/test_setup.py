# SPDX-License-Identifier: ISC
"""hermod setup: from an empty folder to a mail system that works; what it refuses, and what it leaves when it fails."""
import json
import os
import re
import resource
import select
import shutil
import signal
import smtplib
import ssl
import stat
import subprocess
import tempfile
import time

import pytest

from hermodtest import imap, proc
from hermodtest.certificates import EC, Authority, openssl
from hermodtest.proc import wait_for
from hermodtest.suite import SERVICE_UIDS, Suite, build_dir, patience

DOMAIN, HOST, ADDRESS = "setup.test", "mail.setup.test", "192.0.2.25"
PORTS = (25, 587, 465, 110, 143, 995, 993)
HERMOD = os.path.join(build_dir(), "bin", "hermod")


def port_base():
    """Numbers of a run's own: all of its ports are free."""
    def look():
        base, = proc.free_ports(1)
        return all(proc.is_free(base + p) and proc.reserve(base + p) for p in PORTS) and base
    return wait_for(look)


class Place:
    """A folder to set up in."""

    def __init__(self, folder):
        self.dir, self.base = str(folder), port_base()
        self.etc = os.path.join(self.dir, "etc")
        self.conf = os.path.join(self.etc, "hermod.conf")
        self.tls = os.path.join(self.etc, "tls")

    def standard(self):
        users = ["--uid-base", str(SERVICE_UIDS)] if os.geteuid() == 0 else []
        return ["--directory", self.dir, "--port-base", str(self.base), "--listen", "127.0.0.1", "--address", ADDRESS, *users]

    def command(self, *args, domain=DOMAIN, standard=True):
        return [HERMOD, "setup", *([domain] if domain is not None else []), *(self.standard() if standard else []), *map(str, args)]

    def setup(self, *args, status=0, env=None, **how):
        """With --yes, and no terminal. The texts it says."""
        r = subprocess.run(self.command("--yes", *args, **how), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, timeout=60 * patience())
        assert r.returncode == status, (r.returncode, r.stdout, r.stderr)
        return r

    def json(self, *args, **how):
        return [json.loads(line) for line in self.setup("--json", *args, **how).stdout.splitlines()]

    def files(self):
        """What is there, but for mailboxes: {path below: octets}."""
        out = {}
        for folder, _, files in os.walk(self.dir):
            for name in files:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not path.startswith(os.path.join(self.dir, "mail", "")):
                    out[os.path.relpath(path, self.dir)] = open(path, "rb").read()
        return out


@pytest.fixture
def place():
    """Not pytest's folder, which only its owner may enter."""
    top = tempfile.mkdtemp(prefix="hermod-setup-")
    os.chmod(top, 0o755)
    yield Place(os.path.join(top, "mail"))
    shutil.rmtree(top, ignore_errors=True)


class Installed(Suite):
    """The suite that a setup configured."""

    def __init__(self, place, domain=DOMAIN, host=HOST):
        self.build, self.owns_dir, self.dir, self.conf = build_dir(), False, place.dir, place.conf
        self.domain, self.hostname, self.host = domain, host, "127.0.0.1"
        self.env, self.crash_allowed, self.denials_allowed, self.seen, self.accounts = {}, False, False, [], {}
        self.log_file = os.path.join(self.dir, "log", "hermod.log")
        self.pid_file = os.path.join(self.dir, "run", "master.pid")
        self.queue, self.mail = os.path.join(self.dir, "queue"), os.path.join(self.dir, "mail")
        self.smtp_port, self.submission_port, self.submissions_port, self.pop3_port, self.imap_port, self.pop3s_port, \
            self.imaps_port = (place.base + p for p in PORTS)
        os.makedirs(os.path.join(self.dir, "reports"), exist_ok=True)
        os.chmod(os.path.join(self.dir, "reports"), 0o1777)


@pytest.fixture
def installed():
    running = []

    def start(place, **how):
        running.append(Installed(place, **how))
        running[-1].start()
        return running[-1]
    yield start
    for s in running:
        s.end()


def secret(place, password="Zebra crossing 9", mode=0o600):
    path = os.path.join(os.path.dirname(place.dir), "password")
    with open(path, "w") as f:
        f.write(password + "\n")
    os.chmod(path, mode)
    return path


def log_in(suite, account, password, cafile, host=HOST):
    """By IMAP over TLS, with the certificate checked."""
    c = imap.Client(suite.host, suite.imap_port)
    c.starttls(ssl.create_default_context(cafile=cafile), host)
    c.login(account, password)
    return c


# ---- it works ---------------------------------------------------------------------------------------------

def test_a_mail_system_that_works(place, installed):
    r = place.setup("--account", "anna", "--password-file", secret(place))
    assert "Zebra" not in r.stdout + r.stderr and not r.stderr
    assert f"TLSA 3 1 1 {tlsa(place)}" in r.stdout
    suite = installed(place)
    assert "nothing was found wrong" in suite.hermod("check").stdout
    for to in (f"anna@{DOMAIN}", f"postmaster@{DOMAIN}", f"abuse@{DOMAIN}", "postmaster"):
        suite.send(to, f"Subject: to {to}\r\n\r\nHello.\r\n")
    suite.maildir(f"anna@{DOMAIN}").wait(4)
    c = log_in(suite, f"anna@{DOMAIN}", "Zebra crossing 9", f"{place.tls}/{HOST}.pem")
    c.ok("SELECT inbox")
    assert c.box.count == 4
    assert b"Hello." in c.ok("FETCH 1 BODY.PEEK[]").of("FETCH")[0].data["BODY[]"]
    c.logout()
    with suite.smtp() as s:
        s.ehlo()
        assert s.rcpt(f"nobody@{DOMAIN}")[0] != 250


def tlsa(place, host=HOST):
    from hermodtest.certificates import Certificate
    return Certificate(f"{place.tls}/{host}.pem", None).tlsa(3, 1, 1).split()[-1]


def test_password_that_was_made_up(place, installed):
    shown = place.json()
    password, = [o for o in shown if o.get("what") == "password"]
    assert password["account"] == f"postmaster@{DOMAIN}" and re.fullmatch(r"(\w{4}-){3}\w{4}", password["password"])
    assert {o["what"]: o["state"] for o in shown if "state" in o} == dict.fromkeys(
        ("key", "certificate", "aliases", "account", "configuration"), "made")
    suite = installed(place)
    log_in(suite, password["account"], password["password"], f"{place.tls}/{HOST}.pem").logout()
    assert password["password"] not in "".join(c.decode("latin-1") for c in place.files().values())


def test_rights(place):
    place.setup()

    def mode(path):
        return stat.S_IMODE(os.stat(path).st_mode)
    assert mode(f"{place.tls}/{HOST}.key") == 0o600
    assert mode(f"{place.tls}/{HOST}.pem") == 0o644
    assert mode(place.conf) == mode(f"{place.etc}/aliases") == 0o644
    assert mode(place.etc) == mode(place.tls) == mode(place.dir) == 0o755
    table, = [f for f in os.listdir(place.etc) if f.startswith("accounts.")]
    assert mode(f"{place.etc}/{table}") == 0o640


def test_rights_whatever_the_umask(place):
    for mask in (0o077, 0):
        before = os.umask(mask)
        try:
            place.setup()
        finally:
            os.umask(before)
        test = [stat.S_IMODE(os.stat(p).st_mode) for p in (place.conf, place.etc, f"{place.tls}/{HOST}.key", f"{place.etc}/aliases")]
        assert test == [0o644, 0o755, 0o600, 0o644]
        shutil.rmtree(place.dir)


def test_certificate(place):
    place.setup()
    c = subprocess.run(["openssl", "x509", "-in", f"{place.tls}/{HOST}.pem", "-noout", "-text", "-checkend", str(86400 * 3000)],
                       text=True, stdout=subprocess.PIPE, check=True).stdout
    assert f"DNS:{HOST}, DNS:{DOMAIN}" in c and "prime256v1" in c and "CA:FALSE" in c


# ---- twice, and with what is there ------------------------------------------------------------------------

def test_twice(place):
    first = place.setup("--account", "anna", "--password-file", secret(place)).stdout
    files = place.files()
    again = place.setup("--account", "anna")
    assert place.files() == files and again.stderr == ""
    assert "made" not in again.stdout and again.stdout.count("is there ") == 5
    assert records(again.stdout) == records(first)
    assert place.setup("--account", "anna", "--force").stdout == again.stdout and place.files() == files


def records(out):
    return [line for line in out.splitlines() if re.match(r"(; )?\S+\. \d+ IN ", line)]


def test_another_configuration_is_kept(place):
    place.setup("--account", "anna")
    files = place.files()
    r = place.setup("--account", "bert", status=1)
    assert "is there already, and is not what would be written: nothing was changed" in r.stderr and "--force" in r.stderr and not r.stdout
    assert place.files() == files
    shown = place.json("--account", "bert", "--force")
    states = {o["what"]: o["state"] for o in shown if "state" in o}
    assert states == {"key": "is there", "certificate": "is there", "aliases": "is there", "account": "made", "configuration": "is new"}
    now = place.files()
    assert now.pop("etc/hermod.conf.old") == files["etc/hermod.conf"] != now["etc/hermod.conf"]
    place.setup("--account", "carl", "--force")
    assert {"etc/hermod.conf.old", "etc/hermod.conf.old.2"} < set(place.files())
    assert place.files()["etc/hermod.conf.old"] == files["etc/hermod.conf"]
    for name in (f"etc/tls/{HOST}.key", f"etc/tls/{HOST}.pem", "etc/aliases"):
        assert place.files()[name] == files[name]
    accounts = subprocess.run([HERMOD, "-c", place.conf, "account", "list"], text=True, stdout=subprocess.PIPE, check=True).stdout
    assert sorted(re.findall(r"^(\w+)@", accounts, re.M)) == ["anna", "bert", "carl"]


def test_nothing_is_asked_in_vain(place):
    place.setup()
    t = Terminal(place.command(domain=None))
    assert "is there already" in t.end() and t.status == 1


def test_dry_run_changes_nothing(place):
    r = place.setup("--dry-run")
    assert r.stdout.count("would be made") == 5 and "TLSA 3 1 1" not in r.stdout and "once there is a key" in r.stdout
    assert not os.path.exists(place.dir)
    place.setup("--account", "anna")
    files = place.files()
    r = place.setup("--dry-run", "--force", "--account", "bert")
    assert "would be new" in r.stdout and f"TLSA 3 1 1 {tlsa(place)}" in r.stdout and place.files() == files


def test_what_an_earlier_run_left_is_used(place):
    """As after a power cut: the key is there, and the certificate is made of it; an account stays."""
    place.setup("--account", "anna")
    files = place.files()
    os.unlink(place.conf)
    os.unlink(f"{place.tls}/{HOST}.pem")
    with open(place.conf + ".new", "w") as f:
        f.write("half of it")
    before = files[f"etc/tls/{HOST}.key"]
    assert "keeps its password" in place.setup("--dry-run", "--account", "anna", "--password-file", secret(place)).stderr
    states = {o["what"]: o["state"] for o in place.json("--account", "anna") if "state" in o}
    assert states == {"key": "is there", "certificate": "made", "aliases": "is there", "account": "is there", "configuration": "made"}
    now = place.files()
    assert now[f"etc/tls/{HOST}.key"] == before and now["etc/hermod.conf"] == files["etc/hermod.conf"]
    assert now.keys() == files.keys()


def test_certificate_without_its_key(place):
    place.setup()
    os.unlink(place.conf)
    os.unlink(f"{place.tls}/{HOST}.key")
    files = place.files()
    assert "is there without its key" in place.setup(status=1).stderr
    assert place.files() == files


@pytest.mark.parametrize("key, says", [("", "is no file of 1 octet"), ("garbage\n", "holds no private key")])
def test_key_that_is_none(place, key, says):
    place.setup()
    os.unlink(place.conf)
    with open(f"{place.tls}/{HOST}.key", "w") as f:
        f.write(key)
    assert says in place.setup(status=1).stderr
    assert not os.path.exists(place.conf)


def test_aliases_that_are_there(place):
    os.makedirs(place.etc)
    with open(f"{place.etc}/aliases", "w") as f:
        f.write("root: somebody@elsewhere.test\n")
    place.setup()
    assert open(f"{place.etc}/aliases").read() == "root: somebody@elsewhere.test\n"


# ---- as root, in its own place, with the system users of an installation ---------------------------------------

AS_INSTALLED = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /usr/local
mount -t tmpfs tmpfs /var/mail
mkdir -p /usr/local/etc /usr/local/var
mount --bind "$DIR/passwd" /etc/passwd
mount --bind "$DIR/group" /etc/group
ip link set lo up
hermod=$1
"$hermod" setup setup.test --hostname mail.setup.test --yes --account anna --password-file "$DIR/password" --address 192.0.2.25
"$hermod" check
"$hermod" start
trap '"$hermod" stop' EXIT
printf 'Subject: by SMTP\\r\\n\\r\\nHello.\\r\\n' |
    curl -sS --max-time 20 --mail-from x@client.test --mail-rcpt anna@setup.test --upload-file - smtp://127.0.0.1/client.test
n=0
while [ -z "$(ls /var/mail/hermod/setup.test/anna/Maildir/new)" ] && [ $n -lt 100 ]; do sleep 0.2; n=$((n + 1)); done
curl -sS --max-time 20 --cacert /usr/local/etc/tls/mail.setup.test.pem --resolve mail.setup.test:993:127.0.0.1 \
    --user "anna@setup.test:$(cat "$DIR/password")" 'imaps://mail.setup.test/INBOX;MAILINDEX=1'
"$hermod" setup setup.test --hostname mail.setup.test --yes --account anna --address 192.0.2.25 | grep -c 'is there '
stat -c '%U %a %n' /var/mail/hermod /usr/local/etc/tls/mail.setup.test.key /usr/local/etc/accounts.* /usr/local/etc/hermod.conf
"$hermod" status
"""


def stamp(directory):
    """Of what is in it, which may be an installation's."""
    return sorted((e.name, e.inode(), e.stat(follow_symlinks=False).st_mtime_ns) for e in os.scandir(directory))


@pytest.mark.root
def test_as_an_installation_has_it(tmp_path):
    """In a mount and network namespace of its own: nothing is left on this host."""
    with open(os.path.join(build_dir(), "config.h")) as f:
        if 'HERMOD_SYSCONFDIR "/usr/local/etc"' not in f.read():
            pytest.skip("this build has another place")
    before = stamp("/usr/local/etc")
    for name in ("passwd", "group"):
        shutil.copy(f"/etc/{name}", tmp_path / name)
    with open(os.path.join(os.path.dirname(__file__), "..", "packaging", "hermod.sysusers")) as f:
        users = re.findall(r"^[ug] (\S+) +(\S+)", f.read(), re.M)
    for i, (name, uid) in enumerate(users):
        number = uid if uid.isdigit() else 61200 + i
        with open(tmp_path / "passwd", "a") as p, open(tmp_path / "group", "a") as g:
            p.write(f"{name}:x:{number}:{number}::/:/usr/sbin/nologin\n")
            g.write(f"{name}:x:{number}:\n")
    (tmp_path / "password").write_text("Zebra crossing 9\n")
    os.chmod(tmp_path / "password", 0o600)
    r = subprocess.run(["unshare", "-m", "-n", "sh", "-c", AS_INSTALLED, "sh", HERMOD], text=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "DIR": str(tmp_path)}, timeout=120 * patience())
    if r.returncode != 0 and re.search("unshare|mount:|ip: not found", r.stdout):
        pytest.skip(f"no namespaces can be had here: {r.stdout}")
    assert r.returncode == 0, r.stdout
    assert "Hello." in r.stdout and "\n5\n" in r.stdout, r.stdout
    assert re.search(r"^hermod-mail 755 /var/mail/hermod$", r.stdout, re.M), r.stdout
    assert re.search(r"^root 600 /usr/local/etc/tls/mail.setup.test.key$", r.stdout, re.M), r.stdout
    assert re.search(r"^root 640 /usr/local/etc/accounts", r.stdout, re.M), r.stdout
    assert stamp("/usr/local/etc") == before


# ---- certificates that are given ------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def ca():
    a = Authority()
    yield a
    a.close()


def pairs(*certificates):
    return [word for c in certificates for word in ("--certificate", c.chain, "--key", c.key)]


def test_given_certificates(place, installed, ca):
    ec, rsa, other = ca.issue(HOST), ca.issue(HOST, kind="rsa"), ca.issue("other.test")
    r = place.setup("--account", "anna", "--password-file", secret(place), *pairs(other, ec, rsa))
    assert f"{other.chain}: the certificate does not name {HOST}" in r.stderr and r.stderr.count("does not name") == 1
    assert not os.path.exists(place.tls)
    named = re.findall(r"TLSA (3 1 1 \w+)", r.stdout)
    assert named == [ec.tlsa(3, 1, 1), rsa.tlsa(3, 1, 1)]		# who names the host is not shown the other
    suite = installed(place)
    log_in(suite, f"anna@{DOMAIN}", "Zebra crossing 9", ca.file).logout()
    assert re.findall(r"TLSA (3 1 1 \w+)", suite.hermod("dns", "records").stdout) == named


def test_certificates_that_cannot_be(place, ca):
    one, two = ca.issue(HOST), ca.issue(HOST)
    loose = os.path.join(ca.folder, "loose.key")
    shutil.copy(one.key, loose)
    os.chmod(loose, 0o644)
    bare = os.path.join(ca.folder, "bare")
    openssl("req", "-x509", *EC, "-keyout", bare + ".key", "-out", bare + ".pem", "-subj", f"/CN={HOST}")	# no subjectAltName
    for status, says, args in [
            (1, "is not the key of the certificate", ["--certificate", one.chain, "--key", two.key]),
            (1, "holds no private key", ["--certificate", one.chain, "--key", one.chain]),
            (1, "everybody on this host can read this key", ["--certificate", one.chain, "--key", loose]),
            (1, "No such file", ["--certificate", one.chain + ".none", "--key", one.key]),
            (1, f"no certificate names {HOST}", pairs(ca.issue("other.test"))),
            (1, f"no certificate names {HOST}", ["--certificate", bare + ".pem", "--key", bare + ".key"]),
            (64, "2 certificates and 1 keys", ["--certificate", one.chain, "--certificate", two.chain, "--key", one.key]),
            (64, "a path here has", ["--certificate", one.chain + ":x", "--key", one.key])]:
        if args[-1] == one.chain:
            os.chmod(one.chain, 0o600)
        assert says in place.setup(*args, status=status).stderr
        assert not os.path.exists(place.dir)


def test_as_many_certificates_as_there_may_be(place, ca):
    one = ca.issue(HOST)
    assert "more than 64 certificates are too many" in place.setup(*pairs(*[one] * 65), status=64).stderr
    place.setup(*pairs(*[one] * 64))


def test_expired_certificate(place, ca):
    assert "has expired" in place.setup(*pairs(ca.issue(HOST, expired=True))).stderr


# ---- names ------------------------------------------------------------------------------------------------------

L63 = "x" * 63
LONG = ".".join([L63, L63, L63, "y" * 38, "test"])		# 235 octets: all that the DNS needs has room
FOLDER = ".".join([L63, L63, L63, "yyy", "test"])		# 200 octets: all that a folder's name has room for

WRONG = ["", ".", "test", "localhost", "a..test", ".a.test", "a.test..", "-a.test", "a-.test", "a_b.test", "a b.test", "a.test\n",
         "192.0.2.1", "[192.0.2.1]", "2001:db8::1", "1.2", "*.a.test", "a/b.test", "anna@a.test", "a.test:25", "ü" * 70 + ".test",
         "a\u202eb.test", "\u2603\u0000.test".replace("\0", ""), L63 + "x.test", "x" + LONG, "a.test;b", 'a".test', "$(id).test"]


@pytest.mark.parametrize("name", WRONG, ids=range(len(WRONG)))
def test_names_that_are_none(place, name):
    if not name.startswith("-"):
        assert "right would be like example.org" in place.setup(domain=name, status=64).stderr
    assert "right would be like example.org" in place.setup("--hostname", name, status=64).stderr
    assert not os.path.exists(place.dir)


@pytest.mark.parametrize("given, name", [("Setup.TEST", DOMAIN), ("setup.test.", DOMAIN), ("bücher.test", "xn--bcher-kva.test"),
                                         ("Bücher.test", "xn--bcher-kva.test"), ("straße.test", "xn--strae-oqa.test"),
                                         ("xn--bcher-kva.test", "xn--bcher-kva.test"), ("1.a.test", "1.a.test"), (FOLDER, FOLDER)])
def test_names(place, given, name):
    host = f"mail.{name}"
    out = place.setup(domain=given).stdout
    assert f"{name}. 3600 IN MX 10 {host}.\n" in out and f"mailto:postmaster@{name}" in out.replace('" "', "")
    text = open(place.conf).read()
    assert f'local_domains = {{"{name}"}}' in text and f'postmaster_address = "postmaster@{name}"' in text


def test_longest_names(place):
    assert f"MX 10 {LONG}." in place.setup("--hostname", LONG).stdout
    shutil.rmtree(place.dir)
    assert "no folder could have this name" in place.setup("--hostname", HOST, domain=FOLDER.replace("yyy", "yyyy"), status=64).stderr
    assert place.files() == {}


def test_an_international_domain(place, installed):
    """Its account is found whichever way its name is written."""
    place.setup("--account", "anna@bücher.test", "--password-file", secret(place), domain="bücher.test")
    suite = installed(place, domain="xn--bcher-kva.test", host="mail.xn--bcher-kva.test")
    suite.send("anna@xn--bcher-kva.test")
    suite.maildir("anna@xn--bcher-kva.test").wait(1)
    with smtplib.SMTP(suite.host, suite.smtp_port, local_hostname="client.test") as c:
        c.sendmail("s@client.test", ["anna@BÜCHER.test"], "Subject: to umlauts\r\n\r\nHello.\r\n", mail_options=["SMTPUTF8"])
    suite.maildir("anna@xn--bcher-kva.test").wait(2)
    r = suite.hermod("account", "add", "bert@bücher.test", "--password-stdin", input="Zebra crossing 8\n")
    assert r.stdout.startswith("bert@xn--bcher-kva.test: added") and not r.stderr
    with smtplib.SMTP(suite.host, suite.submission_port, local_hostname="client.test") as c:
        c.ehlo()
        c.login("bert@xn--bcher-kva.test", "Zebra crossing 8")
        c.sendmail("bert@bücher.test", ["anna@bücher.test"], "From: bert@bücher.test\r\n\r\nHello.\r\n".encode(), mail_options=["SMTPUTF8"])
    suite.maildir("anna@xn--bcher-kva.test").wait(3)


@pytest.mark.parametrize("account", ["", "@", "anna@", "anna@elsewhere.test", "a b", "an\"na", ".anna", "anna.", "an..na", "a" * 65, "ännä", "../x",
                                     "anna@setup.test@setup.test"])
def test_accounts_that_are_none(place, account):
    if account == "anna@":			# the domain may be left out
        place.setup("--account", account)
        return
    assert "the first account is" in place.setup("--account", account, status=64).stderr
    assert not os.path.exists(place.dir)


@pytest.mark.parametrize("account", ["Anna", "a" * 64, "anna+x", "anna@SETUP.test", "root", "a-b_c=d.e"])
def test_accounts(place, account):
    place.setup("--account", account)
    assert f'postmaster_address = "{account.split("@")[0].lower()}@{DOMAIN}"' in open(place.conf).read()


# ---- options --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("args, says", [
    (["--port-base", "64541"], "a number from 0 to 64540"), (["--port-base", "-1"], "a number from"), (["--port-base", "x"], "a number from"),
    (["--listen", "localhost"], "not an address"), (["--address", "300.1.1.1"], "not an address"), (["--uid-base", "999"], "a number from 1000"),
    (["--certificate"], "usage: hermod setup"), (["--nonsense", "x"], "usage: hermod setup"), (["other.test"], "usage: hermod setup"),
    (["--directory", "/tmp/a b"], "a path here has"), (["--directory", "/tmp/../x"], ".."), (["--directory", "/" + "x" * 76], "at most 76"),
    (["--config", "/hermod.conf"], "a folder of its own"), (["--config", "/tmp/" + "x" * 800], "a path here has"),
    (["--address=1.2.3.4"], "usage: hermod setup"),
    (sum([["--address", f"198.51.100.{i}"] for i in range(16)], []), "more than 16 addresses"),
    (sum([["--listen", f"127.0.0.{i}"] for i in range(2, 10)], []), "more than 8 addresses"),
])
def test_wrong_use(place, args, says):
    r = place.setup(*args, status=64)
    assert says in r.stderr and r.stdout == ""
    assert not os.path.exists(place.dir)


def test_options_at_their_limits(place):
    args = sum([["--address", f"198.51.100.{i}"] for i in range(15)], []) + sum([["--listen", f"127.0.0.{i}"] for i in range(2, 9)], [])
    out = place.setup(*args, "--port-base", "64540").stdout
    assert out.count(" IN A ") == 16 and "127.0.0.8:65535" in open(place.conf).read()


def test_without_a_terminal_nothing_is_guessed(place):
    for args in ([], [DOMAIN]):
        r = subprocess.run([HERMOD, "setup", *args, *place.standard()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
        assert r.returncode == 64 and "--yes" in r.stderr
    assert "usage:" in place.setup(domain=None, status=64).stderr
    assert not os.path.exists(place.dir)


def test_another_place_for_the_configuration(place):
    conf = os.path.join(os.path.dirname(place.dir), "elsewhere", "h.conf")
    r = subprocess.run(place.command("--yes", "--config", "elsewhere/h.conf"), cwd=os.path.dirname(place.dir), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, text=True, check=True)
    assert conf in r.stdout and sorted(f.split(".")[0] for f in os.listdir(os.path.dirname(conf))) == ["accounts", "aliases", "h", "tls"]


# ---- passwords --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_password_file_with_loose_modes(place, mode):
    r = place.setup("--password-file", secret(place, mode=mode), status=1)
    assert "others can read the password" in r.stderr and "chmod 600" in r.stderr and "Zebra" not in r.stderr
    assert not os.path.exists(place.dir)


@pytest.mark.parametrize("password, says", [("", "its first line is empty"), ("\r", "its first line is empty"), ("a\tb", "cannot be used"),
                                            ("x" * 512, "cannot be used"), ("x" * 2000, "cannot be used")])
def test_passwords_that_cannot_be_used(place, password, says):
    assert says in place.setup("--password-file", secret(place, password), status=1).stderr
    assert place.files() == {}


def test_password_files_that_are_none(place):
    top = os.path.dirname(place.dir)
    os.mkfifo(os.path.join(top, "fifo"), 0o600)
    os.symlink(secret(place), os.path.join(top, "link"))
    open(os.path.join(top, "empty"), "w").close()
    os.chmod(os.path.join(top, "empty"), 0o600)
    for name, says in (("fifo", "no regular file"), ("link", "no regular file"), (".", "no regular file"), ("none", "No such file"),
                       ("empty", "holds no password")):
        assert says in place.setup("--password-file", os.path.join(top, name), status=1).stderr
    place.setup("--password-file", secret(place, "x" * 511))


# ---- on a terminal --------------------------------------------------------------------------------------------------------

class Terminal:
    """hermod setup on a terminal of its own."""

    def __init__(self, command):
        self.said, self.status = "", None
        self.pid, self.fd = proc.on_terminal(*command)

    def expect(self, words, answer=None):
        end = time.monotonic() + 20 * patience()
        while words not in self.said:
            assert time.monotonic() < end, (words, self.said)
            self.read(1)
        self.said = self.said.split(words, 1)[1]
        if answer is not None:
            time.sleep(0.1)
            os.write(self.fd, answer.encode() + b"\n")

    def read(self, seconds):
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                octets = os.read(self.fd, 65536)
            except OSError:			# it has ended
                octets = b""
            self.said += octets.decode()
            return bool(octets)
        return True

    def end(self):
        end = time.monotonic() + 60 * patience()
        while self.read(1):
            assert time.monotonic() < end, self.said
        rest, self.said = self.said, ""
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return rest


def test_questions(place, installed):
    t = Terminal(place.command(domain=None))
    t.expect("Domain whose mail comes here", DOMAIN)
    t.expect(f"Name of this host [{HOST}]: ", "")
    t.expect(f"First account, which reads postmaster's mail, too [postmaster@{DOMAIN}]: ", "anna")
    t.expect("Its password (empty: one is made up): ", "correct horse 7")
    t.expect("Again: ", "correct horse 7")
    t.expect("Go on [yes]: ", "")
    out = t.end()
    assert t.status == 0 and "correct" not in out and "shown this once" not in out, out
    suite = installed(place)
    log_in(suite, f"anna@{DOMAIN}", "correct horse 7", f"{place.tls}/{HOST}.pem").logout()


def test_a_password_may_be_made_up_on_a_terminal_too(place):
    t = Terminal(place.command("--hostname", "mx.setup.test", "--account", "anna"))
    t.expect("one is made up): ", "")
    t.expect("Go on [yes]: ", "yes")
    assert re.search(r"shown this once: (\w{4}-){3}\w{4}", t.end()) and t.status == 0


@pytest.mark.parametrize("answer", ["no", "x"])
def test_no(place, answer):
    t = Terminal(place.command("--hostname", HOST, "--account", "anna", "--password-file", secret(place)))
    t.expect("Go on [yes]: ", answer)
    assert "nothing was changed" in t.end() and t.status == 1 and not os.path.exists(place.dir)


def test_passwords_that_differ(place):
    t = Terminal(place.command("--hostname", HOST, "--account", "anna"))
    t.expect("one is made up): ", "one")
    t.expect("Again: ", "two")
    assert "not the same" in t.end() and t.status == 1 and not os.path.exists(place.dir)


def test_interrupted_while_it_asks(place):
    t = Terminal(place.command(domain=None))
    t.expect("Domain whose mail comes here")
    os.write(t.fd, b"\x03")
    t.end()
    assert t.status == -signal.SIGINT and not os.path.exists(place.dir)


# ---- what fails on the way ------------------------------------------------------------------------------------------------

@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder_of_a_user(place):
    os.mkdir(place.dir, 0o555)
    assert "cannot be written" in place.setup(status=77).stderr
    assert os.listdir(place.dir) == []


def test_unwritable_folder(place):
    r = place.setup("--config", "/proc/hermod/hermod.conf", status=1)
    assert "cannot be written" in r.stderr and "Nothing was changed" in r.stderr
    assert not os.path.exists(place.dir)


def test_a_file_where_a_folder_should_be(place):
    open(place.dir, "w").close()
    assert place.setup(status=1).stderr
    assert os.path.getsize(place.dir) == 0


def test_a_folder_that_others_can_write_to(place):
    os.makedirs(place.etc)
    os.chmod(place.etc, 0o777)
    assert "right would be a folder of uid" in place.setup(status=1).stderr
    os.chmod(place.etc, 0o755)
    os.mkdir(place.tls)
    os.chmod(place.tls, 0o775)
    assert "right would be a folder of uid" in place.setup(status=1).stderr
    assert place.files() == {}


@pytest.mark.root
def test_a_folder_of_somebody_else(place):
    """Who would have root write where he likes."""
    top = os.path.dirname(place.dir)
    os.symlink(os.path.join(top, "own"), place.dir)
    os.mkdir(os.path.join(top, "own"))
    os.chown(place.dir, 60001, 60001, follow_symlinks=False)
    assert "belongs to uid 60001" in place.setup(status=1).stderr
    os.unlink(place.dir)
    os.mkdir(place.dir)
    os.symlink(os.path.join(top, "own"), place.etc)
    os.chown(place.dir, 60001, 60001)
    assert "belongs to uid 60001" in place.setup(status=1).stderr
    os.chown(place.dir, 0, 0)
    os.chown(place.etc, 60001, 60001, follow_symlinks=False)
    assert "belongs to uid 60001" in place.setup(status=1).stderr
    assert os.listdir(os.path.join(top, "own")) == []


@pytest.mark.root
def test_a_folder_that_daemons_cannot_enter(place):
    os.mkdir(place.dir, 0o700)
    assert "chmod o+x" in place.setup(status=1).stderr and os.listdir(place.dir) == []


@pytest.mark.root
def test_full_disk(place):
    """Of each size on the way: nothing is left, or all of it is there."""
    os.mkdir(place.dir)
    done = []
    for pages in range(1, 60, 3):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={pages * 4096},mode=755", "tmpfs", place.dir]).returncode != 0:
            pytest.skip("tmpfs cannot be mounted here")
        try:
            r = subprocess.run(place.command("--yes"), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert r.returncode in (0, 1), r
            done.append(r.returncode == 0)
            if r.returncode == 0:
                assert subprocess.run([HERMOD, "-c", place.conf, "check"], stdout=subprocess.PIPE).returncode == 0
                break
            assert "No space left" in r.stderr and place.files() == {}, (r.stderr, place.files().keys())
        finally:
            subprocess.run(["umount", "-l", place.dir], check=True)
    assert done[-1] and done.count(False) > 3


def test_files_may_not_be_large(place):
    """EFBIG, wherever there is no room that a test may fill."""
    r = subprocess.run(place.command("--yes"), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       preexec_fn=lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))))
    assert r.returncode == 1 and "Nothing was changed" in r.stderr, r
    assert place.files() == {}


def test_a_configuration_that_would_not_work(place):
    """What master finds wrong is said, and all that was made is taken back."""
    r = place.setup("--listen", "127.0.0.1", status=78)			# twice
    assert "is listened at twice" in r.stderr and "Nothing was changed" in r.stderr
    assert place.files() == {} and not os.path.exists(place.etc)
    place.setup("--account", "anna")
    files = place.files()
    place.setup("--account", "bert", "--force", "--listen", "127.0.0.1", status=78)
    now = place.files()
    table, = [f for f in files if "accounts" in f]
    accounts = subprocess.run([HERMOD, "-c", place.conf, "account", "list"], text=True, stdout=subprocess.PIPE, check=True).stdout
    assert "bert" not in accounts and "anna" in accounts
    assert {k: v for k, v in now.items() if k != table} == {k: v for k, v in files.items() if k != table}


def test_two_at_once(place):
    """One of them writes; the other says why not, or finds what the first has made."""
    both = [subprocess.Popen(place.command("--yes", "--account", "anna"), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE) for _ in range(2)]
    said = [(*p.communicate(timeout=60 * patience()), p.returncode) for p in both]
    assert sorted(s[2] for s in said) in ([0, 0], [0, 1]), said
    assert "nothing was found wrong" in subprocess.run([HERMOD, "-c", place.conf, "check"], text=True, stdout=subprocess.PIPE).stdout
    assert place.setup("--account", "anna").stdout.count("is there ") == 5


CALLS = {"openat": "ENOSPC", "open": "EMFILE", "write": "ENOSPC", "fsync": "EIO", "renameat": "EIO", "rename": "EIO", "fork": "EAGAIN",
         "ftruncate": "EIO"}


def steps():
    """Each of the first calls; of the others, most of which are those that make a mailbox, some."""
    nth = 1
    while nth < 2000:
        yield nth
        nth += max(1, nth // 5)


@pytest.mark.faults
@pytest.mark.parametrize("call", CALLS)
def test_each_call_fails(place, call):
    """Nothing half-written: it worked, or there is no configuration, and the next run makes all of it."""
    for nth in steps():
        r = subprocess.run(place.command("--yes", "--account", "anna"), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env={**os.environ, "HERMOD_FAULT": f"hermod:{call}:{nth}:{CALLS[call]}"})
        if f"fault: {call}" not in r.stderr:
            assert r.returncode == 0 and nth > 1, (nth, r)
            return
        assert r.returncode >= 0, r
        assert (r.returncode == 0) == os.path.exists(place.conf), r
        if r.returncode != 0:
            assert len(r.stderr.splitlines()) > 1 and place.files() == {}, (nth, r.stderr, place.files().keys())
            place.setup("--account", "anna")
        shutil.rmtree(place.dir)
    pytest.fail("it never ends")


@pytest.mark.faults
@pytest.mark.parametrize("call", ["openat", "write", "fsync", "renameat", "rename", "fork"])
def test_killed_at_each_call(place, call):
    """As by a power cut: there is no configuration, or all of it; the next run makes the rest."""
    for nth in steps():
        r = subprocess.run(place.command("--yes", "--account", "anna"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env={**os.environ, "HERMOD_FAULT": f"hermod:{call}:{nth}:kill"})
        if b"fault: " not in r.stderr:
            assert r.returncode == 0 and nth > 1, (nth, r)
            return
        place.setup("--account", "anna")
        assert subprocess.run([HERMOD, "-c", place.conf, "check"], stdout=subprocess.PIPE).returncode == 0
        left = [f for f in place.files() if f.endswith(".new") or ".hermod-setup" in f]
        assert not left, (nth, left)
        shutil.rmtree(place.dir)
    pytest.fail("it never ends")


def test_ended_by_a_signal(place):
    """At any moment: all or nothing."""
    ended = 0
    for delay in (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3):
        p = subprocess.Popen(place.command("--yes", "--account", "anna"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(delay * patience())
        p.send_signal(signal.SIGTERM)
        p.wait(60)
        ended += p.returncode != 0
        assert (p.returncode == 0) == os.path.exists(place.conf), (delay, p.returncode)
        if p.returncode != 0:
            assert place.files() == {}, (delay, place.files().keys())
        shutil.rmtree(place.dir, ignore_errors=True)
    assert ended


