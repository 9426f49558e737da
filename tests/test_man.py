# SPDX-License-Identifier: ISC
"""man/ says what the programs do: every setting, option, program and log line has its place, and none is made up."""
import glob
import json
import os
import re
import subprocess

import pytest

from hermodtest.suite import build_dir

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = sorted(glob.glob(os.path.join(ROOT, "man", "*.[1-9]")))
OTHERS = {"crypt.5", "gzip.1", "jq.1", "logrotate.8", "mail.1", "pam.conf.5", "pam_unix.8", "saslpasswd2.8", "systemd-sysusers.8"}


def page(name):
    with open(os.path.join(ROOT, "man", name)) as f:
        return f.read()


def plain(s):
    """mdoc's escapes undone."""
    return s.replace("\\(dq", '"').replace("\\(aq", "'").replace("\\&", "").replace("\\e", "\\")


def run(program, *args):
    r = subprocess.run([os.path.join(build_dir(), program), *args], text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    return r.stdout


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    path = tmp_path_factory.mktemp("man") / "hermod.conf"

    def write(text):
        path.write_text(text)
        os.chmod(path, 0o644)
        return str(path)
    return write


# ---- all pages ----------------------------------------------------------------------

def test_there_are_pages():
    assert len(PAGES) > 20


@pytest.mark.parametrize("path", PAGES, ids=[os.path.basename(p) for p in PAGES])
def test_mandoc_finds_nothing(path):
    try:
        r = subprocess.run(["mandoc", "-Tlint", "-W", "style", path], text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL)		# stderr: the host's own pages
    except FileNotFoundError:
        pytest.skip("mandoc is not installed (Debian package mandoc)")
    wrong = [line for line in r.stdout.splitlines() if "referenced manual not found" not in line]
    assert wrong == []


def test_what_is_referred_to_is_there():
    ours = {os.path.basename(p) for p in PAGES}
    for path in PAGES:
        for name, section in re.findall(r"^\.(?:Pq )?Xr (\S+) (\d)", page(os.path.basename(path)), re.M):
            assert f"{name}.{section}" in ours | OTHERS, f"{path} refers to {name}({section})"


def test_the_overview_names_every_page():
    overview = page("hermod.7")
    for path in PAGES:
        name, section = os.path.basename(path).rsplit(".", 1)
        assert (name, section) == ("hermod", "7") or f".Xr {name} {section}" in overview, path


@pytest.mark.parametrize("path", PAGES, ids=[os.path.basename(p) for p in PAGES])
def test_titles_fit_their_files(path):
    name, section = os.path.basename(path).rsplit(".", 1)
    assert f".Dt {name.upper()} {section}\n" in page(f"{name}.{section}")


# ---- programs ------------------------------------------------------------------------

def services():
    with open(os.path.join(ROOT, "master", "services.c")) as f:
        return re.findall(r'\.name = "([^"]+)"', f.read())


def test_each_program_has_its_page():
    for name in services() + ["master", "drop", "pop3d", "imapd"]:
        assert os.path.join(ROOT, "man", f"hermod-{name}.8") in PAGES, name
    for name in os.listdir(os.path.join(build_dir(), "libexec", "hermod")):
        name = name.removeprefix("hermod-")
        assert os.path.join(ROOT, "man", f"hermod-{name}.8") in PAGES, name
    for name in os.listdir(os.path.join(build_dir(), "bin")):
        assert any(os.path.basename(p).rsplit(".", 1)[0] == name for p in PAGES), name


def test_the_table_of_processes_is_whole():
    with open(os.path.join(ROOT, "master", "services.c")) as f:
        rows = re.findall(r'\.name = "([^"]+)", \.user = (?:"([^"]+)"|NULL)(?:.*?\.workers = "(\w+)")?', f.read())
    text = page("hermod-master.8")
    assert len(rows) == len(services())
    for name, user, workers in rows:
        how_many = f"Ic {workers}" if workers else "1"
        assert f".It {name} Ta {user or 'root'} Ta {how_many} Ta Xr hermod-{name} 8" in text


def master_options():
    return re.findall(r"^\s+-(\w)", run("libexec/hermod/master", "-?"), re.M)


def test_options_of_master():
    assert master_options() == ["c", "F", "n"]
    for option in master_options():
        assert re.search(rf"^\.It Fl {option}\b", page("hermod-master.8"), re.M), option


# ---- hermod ----------------------------------------------------------------------------

def words_of_help():
    """(command, what may follow it) of `hermod help`."""
    for line in run("bin/hermod", "help").splitlines():
        m = re.match(r"  ([a-z]+)(.*)$", line)
        if m:
            yield m.groups()


def test_commands_of_hermod():
    text = page("hermod.8") + page("hermod-account.8") + page("hermod-mailbox.8") + page("hermod-queue.8") + page("hermod-trace.8") \
        + page("hermod-explain.8") + page("hermod-setup.8") + page("hermod-dns.8")
    commands = dict(words_of_help())
    assert {"start", "status", "queue", "account"} <= set(commands)
    for command, rest in commands.items():
        assert re.search(rf"^\.It Cm {command}\b", text, re.M), command
        for option in re.findall(r"--?([A-Za-z-]+)", rest):
            assert re.search(rf"\bFl -?{option}\b", text), f"{command} --{option}"
        for word in re.findall(r"\b[a-z]{3,}\b", re.sub(r"--?[A-Za-z-]+", "", rest)):
            assert re.search(rf"\bCm (\w+ \| )*(\w+ )?{word}\b|\.It Cm {word}\b", text), f"{command} {word}"
    for option in re.findall(r"^  --?([a-z]+)", run("bin/hermod", "help"), re.M):
        assert re.search(rf"^\.It Fl -?{option}\b", text, re.M), option


def test_what_the_page_of_hermod_lists_is_there():
    commands = dict(words_of_help())
    listed = re.findall(r"^\.It Cm (\w+)", page("hermod.8").split(".Ss STATUS")[0], re.M)
    assert set(listed) == set(commands)


def test_exit_statuses_of_hermod():
    with open(os.path.join(ROOT, "tools", "hermod.h")) as f:
        values = re.search(r"enum \{ (EXIT_WORKED.*?)\}", f.read(), re.S).group(1)
    said = re.findall(r"^\.It (\d+)$", page("hermod.8"), re.M)
    assert said == re.findall(r"= (\d+)", values)


# ---- sendmail ----------------------------------------------------------------------------

def sendmail_code():
    with open(os.path.join(ROOT, "tools", "sendmail.c")) as f:
        return f.read()


def sendmail_items():
    text = page("sendmail.8")
    names = []
    for line in re.findall(r"^\.It (Fl .*)$", text, re.M):
        names += [w.strip("-") for w in re.findall(r"(?:^Fl|, Fl|,) (-?\w+)", line)]
    ignored = re.search(r"change nothing:\n\.Fl (.*) \.$", text, re.M).group(1)
    return names, ignored.split(" , ")


def test_options_of_sendmail():
    code, (items, ignored) = sendmail_code(), sendmail_items()
    cases = set(re.findall(r"case '(\w)':", code[code.index("\nset(struct options"):code.index("\nparse(")]))
    said = {i[0] for i in items if i not in ("json", "help")} | set(ignored)
    assert said == cases
    modes = set(re.findall(r"case '(\w)':\s*o->mode", code[code.index("\nset_mode("):code.index("\nset_o(")]))
    assert {i[1] for i in items if len(i) == 2 and i[0] == "b"} == modes


def test_each_option_of_sendmails_help_is_described():
    items, _ = sendmail_items()
    said = re.findall(r"(?<!\S)-([a-zA-Z]{1,2})\s", run("bin/sendmail", "--help"))
    assert len(said) > 8
    for option in said:
        assert option in items, option


# ---- settings -------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def rows(conf):
    out = run("bin/hermod", "-c", conf(""), "--json", "config", "--defaults")
    return {row["name"]: row for row in map(json.loads, out.splitlines())}


def described():
    """name -> (default, kind) in hermod.conf(5)."""
    lines = re.findall(r"^\.It Ic (\w+) No = (.*) Pq (.*)$", page("hermod.conf.5"), re.M)
    names = [name for name, _, _ in lines]
    assert len(names) == len(set(names)), "a setting is described twice"
    return {name: (plain(default), kind) for name, default, kind in lines}


def test_every_setting_is_described_and_no_other(rows):
    assert set(described()) == set(rows)
    assert len(re.findall(r"^\.It Ic", page("hermod.conf.5"), re.M)) == len(rows)


def as_installed(default):
    """Pages are written for --prefix=/usr/local; this build may have other folders."""
    with open(os.path.join(build_dir(), "config.h")) as f:
        config = dict(re.findall(r'#define (\w+) "(.*?)"', f.read()))
    for page_has, name in (("/usr/local/etc", "SYSCONFDIR"), ("/usr/local/var", "LOCALSTATEDIR"),
                           ("/usr/local/libexec/hermod", "LIBEXECDIR")):
        default = default.replace(page_has, config["HERMOD_" + name])
    return default


def test_defaults(rows):
    for name, (default, _) in described().items():
        want = rows[name]["default"]
        if isinstance(want, list):
            want = "{" + ", ".join(f'"{item}"' for item in want) + "}"
        elif default.startswith('"'):
            want = f'"{want}"'
        assert as_installed(default) == want, name


def faults(conf, rows, value):
    """name -> what the programs say to this value."""
    path = conf("".join(f"{name} = {value}\n" for name in rows))
    return dict(re.findall(r"^[^:]+:\d+: (\w+): (.*)$", run("bin/hermod", "-c", path, "config"), re.M))


def test_kinds_and_ranges(conf, rows):
    """What is right is taken from the programs' own words about what is wrong."""
    wrong = faults(conf, rows, "no-number")
    large = {"number": faults(conf, rows, "9" * 18), "size": faults(conf, rows, "16000000T"),
             "time": faults(conf, rows, "999999w")}
    words = {"number": "decimal digits", "size": "with K, M, G or T", "time": "with ms, s, m"}
    for name, (_, kind) in described().items():
        why = wrong.get(name, "")
        if "right would be yes or no" in why:
            assert kind == "yes or no", name
            continue
        if "right would be one of: " in why:
            assert plain(kind) == "one of " + why.split("one of: ")[1], name
            continue
        for sort, sign in words.items():
            if sign in why:
                limits = re.search(r"from (\S+) to (\S+)$", large[sort].get(name, ""))
                assert kind == (f"{sort}, {limits[1]} to {limits[2]}" if limits else sort), name
                break
        else:
            assert kind.split(",")[0] not in ("yes or no", "number", "size", "time"), name


def test_settings_that_pages_name_exist(rows):
    for path in PAGES:
        for line in re.findall(r"^\.Ic (.*)$", page(os.path.basename(path)), re.M):
            for name in re.findall(r"\b[a-z0-9_]{3,}\b", line):
                assert name in rows, f"{path}: {name}"


def examples(name):
    section = re.search(r"(?s)^\.Sh EXAMPLES\n(.*?)^\.Sh", page(name), re.M).group(1)
    return [plain(e) for e in re.findall(r"(?s)^\.Bd -literal -offset indent\n(.*?)^\.Ed", section, re.M)]


@pytest.mark.parametrize("which", range(3))
def test_examples_of_configurations(conf, which):
    text = examples("hermod.conf.5")[which]
    out = run("bin/hermod", "-c", conf(text), "config", "--changed")
    assert re.findall(r"^\w+", out, re.M) and len(out.splitlines()) == len(text.splitlines()), out


def test_settings_that_a_reload_cannot_change():
    with open(os.path.join(ROOT, "master", "config.c")) as f:
        fixed = set(re.findall(r'"(\w+)"', re.search(r"fixed\[\] = \{(.*?)\}", f.read(), re.S).group(1)))
    with open(os.path.join(ROOT, "journal", "settings.c")) as f:
        fixed |= set(re.findall(r'SET_\w+\("(\w+)"', f.read()))
    text = page("hermod.conf.5").split("A reload cannot change")[1].split(".Ss")[0]
    assert set(re.findall(r"^\.Ic (\w+)", text, re.M)) == fixed


# ---- log lines and replies -----------------------------------------------------------------

ERRORS = sorted({re.escape(os.strerror(e)) for e in range(1, 134)}, key=len, reverse=True)


def words(s):
    """Its words; what varies in it ends a run of them."""
    s = re.sub("|".join(ERRORS) + r"|%[-+ 0-9.*]*(?:ll|z)?[a-zA-Z]|\.\.\.|\b[A-Z]+\b|\d+|/[^\s:,]+", " # ", s)
    return " ".join(re.findall(r"[A-Za-z]+|#", s))


EXAMPLES = {"hostnme", "Segmentation", "fault", "anna", "example", "org", "db", "accounts", "bd"}


def said_by_programs():
    """All that the programs can say, neighbouring string literals joined."""
    out = []
    for path in glob.glob(os.path.join(ROOT, "*", "*.c")) + glob.glob(os.path.join(ROOT, "lib", "*", "*.c")):
        if not path.endswith(("_test.c", "_fuzz.c")):
            with open(path) as f:
                text = re.sub(r'"\s*\n\s*"', "", f.read())
            out += re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)
    return " # ".join(words(s) for s in out)


def test_lines_to_diagnose_are_in_the_code():
    """Most of each line under DIAGNOSTICS is said by some program: a line that was changed there is found here."""
    said = f" {said_by_programs()} "
    seen = 0
    for path in PAGES:
        section = re.search(r"(?s)^\.Sh DIAGNOSTICS\n(.*?)(?:^\.Sh|\Z)", page(os.path.basename(path)), re.M)
        for line in re.findall(r'^\.It Sy "(.*)"$', section.group(1) if section else "", re.M):
            w = words(plain(line)).split()
            for word in w:
                assert word == "#" or f" {word} " in said or word in EXAMPLES, f"{path}: {plain(line)!r}: {word!r}"
            pairs = [" ".join(w[i:i + 2]) for i in range(len(w) - 1) if "#" not in w[i:i + 2]]
            seen += len(pairs)
            known = [t for t in pairs if f" {t} " in said]
            assert 3 * len(known) >= 2 * len(pairs) - 3, f"{os.path.basename(path)}: {plain(line)!r}: no program says it"
    assert seen > 300


# ---- installation -----------------------------------------------------------------------------

def make(*args):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", "-C", build_dir(), *args], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=env)


def test_pages_are_installed_and_removed(tmp_path):
    r = make("install-man", f"DESTDIR={tmp_path}", "mandir=/share/man", "sysconfdir=/etc/elsewhere")
    assert r.returncode == 0, r.stdout
    installed = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert installed == {f"share/man/man{p[-1]}/{os.path.basename(p)}" for p in PAGES}
    text = (tmp_path / "share/man/man5/hermod.conf.5").read_text()
    assert "/etc/elsewhere/hermod.conf" in text and "/usr/local/etc" not in text
    r = make("uninstall-man", f"DESTDIR={tmp_path}", "mandir=/share/man")
    assert r.returncode == 0, r.stdout
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
