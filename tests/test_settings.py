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
