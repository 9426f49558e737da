# SPDX-License-Identifier: ISC
"""hermod.conf: faults are all found, with file, line, name, what was wrong, what would be right; and nothing starts."""
import json
import os
import re
import subprocess

import pytest

from hermodtest.suite import Suite, build_dir


@pytest.fixture(scope="module")
def still():
    """An instance that is never started."""
    s = Suite(start=False, users=())
    yield s
    s.end()


def check(s, content):
    path = os.path.join(s.dir, "etc", "wrong.conf")
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
        f.write(f"\nprogram_directory = {build_dir()}/libexec/hermod\n".encode())
    return subprocess.run([os.path.join(build_dir(), "bin", "hermod"), "-c", path, "check"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=s.environment())


FAULTS = [
    ("hostnme = a.test", r"wrong\.conf:1: hostnme: no setting has this name; did you mean hostname\?"),
    ("\n\nhostname = \"a b\"", r":3: hostname: \"a b\": not a domain name; right would be like mail\.example\.org"),
    ("smtpd_workers = 0", r":1: smtpd_workers: \"0\": too small; right would be 1 or more"),
    ("smtpd_workers = many", r":1: smtpd_workers: \"many\": not understood; right would be a number"),
    ("message_size_limit = 10 Mb", r":1: "),
    ("bare_newline = maybe", r":1: bare_newline: .*right would be one of: reject, normalize"),
    ("stop_timeout = 5", r":1: stop_timeout: .*as 5m"),
    ("system_accounts = true", r":1: system_accounts: .*yes or no"),
    ("listen_smtp = localhost:25", r":1: listen_smtp: .*names are not looked up"),
    ("listen_smtp = {\"127.0.0.1\"}", r":1: listen_smtp: .*right would be 127\.0\.0\.1:25"),
    ("queue_directory = queue", r":1: queue_directory: .*starts with /"),
    ("alias_map = \"nosuch:/etc/aliases\"", r":1: alias_map: .*TYPE one of .*text"),
    ("hostname = a.test\nhostname = b.test", r":2: hostname: is set twice, first in line 1"),
    ("local_domains = {a.test, b..test}", r":1: local_domains: \"b\.\.test\": "),
    ("dns_forwarders = {resolver.test}", r":1: dns_forwarders: .*right would be 192\.0\.2\.53"),
    ("dns_zones = {\"internal.test\"}", r":1: dns_zones: .*right would be like internal\.example 192"),
    ("dns_insecure = {\"a b\"}", r":1: dns_insecure: .*right would be like internal\.example"),
    ("dns_trust_anchors = {\"internal.test A 1\"}", r":1: dns_trust_anchors: .*not a DS or DNSKEY"),
    ("trust_anchor_file = root.key", r":1: trust_anchor_file: .*starts with /"),
    ("hostname = \"a.test", r":1: hostname: .*not closed"),
    ("hostname", r":1: hostname: .*right would be name = value"),
    ("log_file = \"${HOME}/log\"", r":1: \$\{: the environment is not asked"),
    (b"hostname = a\0b", r":1: a NUL"),
    ("listen_smtp = {127.0.0.1:2525}\nlisten_pop3 = {127.0.0.1:2525}", r"listen_pop3: .*listened at twice"),
    ("listen_imap = {127.0.0.1:2525, 127.0.0.1:2143, 127.0.0.1:2525}", r"listen_imap: \"127\.0\.0\.1:2525\": is listened at twice"),
    ("listen_smtp = {127.0.0.1:2143}\nlisten_imap = {127.0.0.1:2143}", r"listen_imap: .*listened at twice"),
]


@pytest.mark.parametrize("content,says", FAULTS, ids=[str(i) for i in range(len(FAULTS))])
def test_each_fault_is_named(still, content, says):
    r = check(still, content)
    assert r.returncode == 78
    assert re.search(says, r.stdout + r.stderr), r.stdout + r.stderr


def test_all_faults_at_once(still):
    r = check(still, "hostname = -\nfoo = 1\nsmtpd_workers = x\nbare_newline = \"\n")
    lines = (r.stdout + r.stderr).splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "2", "3", "4"]


def test_a_table_that_is_not_there_is_named_once(still):
    r = check(still, f'uid_base = 61000\nalias_map = "hash:{still.dir}/none"\naccount_map = "hash:{still.dir}/none2"\n')
    lines = r.stdout.splitlines()
    assert r.returncode == 78
    assert [re.search(r"right would be `.*?`", line).group() for line in lines if " = \"\"" in line and "none" in line] == [
        "right would be `newaliases`", "right would be `hermod account add`"], lines


@pytest.mark.parametrize("line,says", [("listen_smtp = 127.0.0.1:2143\nlisten_imap = 127.0.0.1:2143", "listened at twice"),
                                       ("smtpd_workers = many", "smtpd_workers"), ("smtpd_tls = must", "tls_certificates")])
def test_missing_tables_beside_other_faults(still, line, says):
    """What is missing is said in the same breath."""
    os.makedirs(f"{still.dir}/texts", exist_ok=True)
    with open(f"{still.dir}/texts/failure.txt", "w") as f:
        f.write("Subject: x\n\n$nobody\n")
    r = check(still, f'alias_map = "text:{still.dir}/none"\n{line}\nbounce_template_directory = {still.dir}/texts\n')
    assert r.returncode == 78 and says in r.stdout and f"alias_map: {still.dir}/none: No such file" in r.stdout, r.stdout
    assert "failure.txt: line 3" in r.stdout


@pytest.mark.parametrize("wrong", ["alias_map = \"nosuch:/etc/none\"", ""])
def test_what_is_wrong_is_not_said_of_the_default(still, wrong):
    """Where lines are wrong only what others say is looked at further."""
    r = check(still, f"foo = 1\n{wrong}\n")
    assert [line.split(":")[1] for line in r.stdout.splitlines()] == ["1", "2"][:1 + (wrong != "")], r.stdout


def test_nothing_starts(make_suite):
    s = make_suite(start=False)
    s.write_conf(hostname="-")
    r = s.hermod("start", check=False)
    assert r.returncode == 78 and "hostname" in r.stderr
    assert not s.left()


def test_no_file_and_no_permission(still):
    r = subprocess.run([os.path.join(build_dir(), "bin", "hermod"), "-c", still.dir, "check"], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 78 and "no regular file" in r.stdout + r.stderr
    os.chmod(still.conf, 0o666)
    r = still.hermod("check", check=False)
    assert r.returncode == 78 and "everybody may write it" in r.stdout + r.stderr
    os.chmod(still.conf, 0o644)


def test_config_shows_every_setting(still):
    shown = still.hermod_json("config")
    names = [o["name"] for o in shown]
    assert len(names) == len(set(names)) > 50
    by_name = {o["name"]: o for o in shown}
    assert by_name["hostname"]["value"] == still.hostname
    assert by_name["hostname"]["changed"] and re.fullmatch(r"hermod\.conf:\d+", by_name["hostname"]["origin"])
    assert not by_name["smtpd_workers"]["changed"] and by_name["smtpd_workers"]["origin"] == "default"
    assert by_name["local_domains"]["value"] == [still.domain]
    assert [o["name"] for o in still.hermod_json("config", "--changed")] == \
        [o["name"] for o in shown if o["changed"]]


def test_config_can_be_read_back(still, tmp_path):
    """What it prints is a configuration that says the same."""
    path = tmp_path / "hermod.conf"
    path.write_text(still.hermod("config").stdout)
    r = subprocess.run([os.path.join(build_dir(), "bin", "hermod"), "-c", path, "--json", "config"], text=True,
                       stdout=subprocess.PIPE, check=True)
    again = {o["name"]: o["value"] for o in map(json.loads, r.stdout.splitlines())}
    assert again == {o["name"]: o["value"] for o in still.hermod_json("config")}


def test_config_of_one_name(still):
    assert still.hermod("config", "hostname").stdout.startswith(f'hostname = "{still.hostname}"')
    assert still.hermod("config", "nosuch", check=False).returncode == 1
    assert still.hermod("config", "--defaults", "hostname").stdout.strip() != \
        still.hermod("config", "hostname").stdout.strip()


def test_the_command_says_how_it_is_used(still):
    for args in ((), ("nosuch",), ("--nosuch",), ("queue",), ("stop", "now"), ("config", "--what")):
        assert still.hermod(*args, check=False).returncode == 64, args
    assert "usage: hermod" in still.hermod("help").stdout
    assert re.fullmatch(r"Hermod [0-9.]+\n", still.hermod("version").stdout)


COMMANDS = ("setup", "start", "stop", "reload", "reopen", "status", "check", "config", "queue", "trace", "explain", "route", "dns",
            "tls", "account", "auth", "mailbox", "version", "help")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(still, command):
    """It is shown, and nothing is done."""
    for args in ((command, "--help"), (command, "-h"), (command, "list", "--help")):
        r = still.hermod(*args)
        assert r.stdout.startswith(f"usage: hermod {command}") and r.stderr == "", args


@pytest.mark.parametrize("args,word", [
    (("stop", "now"), "now"), (("status", "--all"), "--all"), (("queue", "lst"), "lst"), (("queue", "list", "--sendr", "x"), "--sendr"),
    (("queue", "hold", "--foo"), "--foo"), (("account", "lst"), "lst"), (("account", "add", "a@b.test", "--password=c"), "--password"),
    (("mailbox", "chek", "anna"), "chek"), (("mailbox", "check", "anna", "--foo"), "--foo"), (("config", "--what"), "--what"),
    (("explain", "--to", "a@b.test", "--foo"), "--foo"), (("route", "a@b.test", "c"), "c"), (("dns", "lokup"), "lokup"),
    (("dns", "check", "--foo"), "--foo"), (("tls", "--foo"), "--foo"), (("trace", "a", "b"), "b"), (("auth", "lst"), "lst"),
    (("setup", "--foo"), "--foo"), (("reload", "x\033[2J"), "x\\x1B[2J")])
def test_wrong_use_names_the_word(still, args, word):
    r = still.hermod(*args, check=False)
    lines = r.stderr.splitlines()
    assert r.returncode == 64 and r.stdout == ""
    assert lines[0] == f"hermod: {args[0]}: not understood at {word}" and lines[1].startswith(f"usage: hermod {args[0]}"), lines


@pytest.mark.parametrize("args", [("config",), ("help",), ("--version",), ("config", "hostname"), ("queue", "list")])
def test_a_full_disk_is_no_success(still, args):
    with open("/dev/full", "w") as full:
        r = subprocess.run([os.path.join(still.build, "bin", "hermod"), "-c", still.conf, *args], stdout=full, text=True,
                           stderr=subprocess.PIPE, env=still.environment())
    assert r.returncode == 1 and "No space left on device" in r.stderr, (args, r)


def test_closed_descriptors(make_suite):
    """What a caller has closed is no place where a file of ours is opened, and written to by whoever prints."""
    s = make_suite(start=False, users=())
    for i, closed in enumerate((">&-", "2>&-", ">&- 2>&-")):
        r = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", os.path.join(s.build, "bin", "hermod"), "-c", s.conf, "account",
                            "add", f"user{i}@hermod.test", "--password-stdin"], input="x\n", text=True, env=s.environment())
        assert r.returncode == 0, closed
    assert {r["account"] for r in s.hermod_json("account", "list")} == {f"user{i}@hermod.test" for i in range(3)}
    r = subprocess.run(["sh", "-c", '"$@" <&-', "sh", os.path.join(s.build, "bin", "hermod"), "-c", s.conf, "account", "add",
                        "nobody@hermod.test", "--password-stdin"], text=True, stderr=subprocess.PIPE, env=s.environment())
    assert r.returncode == 1 and "standard input has no password" in r.stderr


def test_which_messages_is_said_one_way(still):
    r = still.hermod("queue", "hold", "--all", "3X38xXJmQ633cFQ3", check=False)
    assert r.returncode == 64 and "queue hold: queue ids, or options that choose, or --all: not both" in r.stderr


def test_faults_for_programs(still):
    path = os.path.join(still.dir, "etc", "wrong.conf")
    with open(path, "w") as f:
        f.write("hostnme = a.test\nsmtpd_workers = x\n")
    r = subprocess.run([os.path.join(still.build, "bin", "hermod"), "-c", path, "--json", "check"], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=still.environment())
    assert r.returncode == 78 and r.stderr == ""
    assert [json.loads(line)["fault"].split(": ")[1] for line in r.stdout.splitlines()] == ["hostnme", "smtpd_workers"]


def test_faults_are_said_by_what_works_anyway(still):
    """Where a name is mistyped its default counts, and that may be another instance: hear of it."""
    path = os.path.join(still.dir, "etc", "wrong.conf")
    with open(path, "w") as f:
        f.write(open(still.conf).read() + "\nhostnme = a.test\n")
    for args, status in ((("status",), 3), (("stop",), 0)):
        r = subprocess.run([os.path.join(still.build, "bin", "hermod"), "-c", path, *args], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=still.environment())
        assert r.returncode == status and "hostnme: no setting has this name" in r.stderr, r


@pytest.mark.root
def test_a_configuration_that_one_may_not_read(still):
    """Its defaults are another instance: nothing is said of that."""
    os.chmod(still.conf, 0o600)
    try:
        for verb in ("status", "stop", "queue"):
            r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                os.path.join(still.build, "bin", "hermod"), "-c", still.conf, verb, *(["list"] if verb == "queue" else [])],
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=still.environment())
            assert r.returncode == 78 and r.stdout == "" and "Permission denied" in r.stderr, (verb, r)
    finally:
        os.chmod(still.conf, 0o644)


def test_a_master_that_began_with_another_run_directory(suite):
    """It runs, and nobody is told that it does not."""
    elsewhere = os.path.join(suite.dir, "etc", "elsewhere.conf")
    with open(suite.conf) as old, open(elsewhere, "w") as new:
        new.write(re.sub(r"(?m)^run_directory.*", f'run_directory = "{suite.dir}/elsewhere"', old.read()))
    for verb, status in (("reload", 69), ("stop", 69), ("status", 3)):
        r = subprocess.run([os.path.join(suite.build, "bin", "hermod"), "-c", elsewhere, verb], text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env=suite.environment())
        assert r.returncode == status and "has begun with another run_directory" in r.stderr, (verb, r)
    assert suite.hermod("status").returncode == 0


@pytest.mark.root
def test_a_log_on_a_file_system_that_is_read_only(make_suite):
    """Nobody could say in the log that there is none."""
    s = make_suite(start=False)
    there = os.path.join(s.dir, "there")
    os.mkdir(there)
    s.write_conf(log_file=os.path.join(there, "hermod.log"))
    for verb, status in (("check", 78), ("start", 1)):
        r = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro tmpfs "$0" && exec "$@"', there,
                            os.path.join(s.build, "bin", "hermod"), "-c", s.conf, verb], text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, env=s.environment())
        assert r.returncode == status and "hermod.log: Read-only file system; right would be" in r.stdout + r.stderr, (verb, r)
