# SPDX-License-Identifier: ISC
"""The sessions of README.md, typed as they stand there; and what it says is there, is there."""
import os
import re
import socket

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEXT = open(os.path.join(SOURCE, "README.md")).read()


def session(first_line):
    """The indented block that starts with this line: [(what is typed), (code expected)]."""
    lines = TEXT[TEXT.index("    " + first_line):].split("\n")
    out = []
    for line in lines:
        if line.startswith("    "):
            out.append(line[4:])
        elif line == "":
            out.append("")
        else:
            break
    while out and not out[-1]:
        out.pop()
    return out


def expects(line):
    """The first octets of a reply line, or None for what is typed."""
    m = re.match(r"\d\d\d(?= )|\+OK", line)
    if m:
        return m.group()
    return "" if re.match(r"\d\d\d-", line) else None		# "": one of several lines


def play(port, lines, until, words=()):
    """Types the lines one by one; before each, the replies shown above it must have come."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        stream = s.makefile("rwb")
        shown = []
        for line in lines:
            want = expects(line)
            if want == "":
                continue
            if want is None:
                for a, b in words:
                    line = line.replace(a, b)
                stream.write(line.encode() + b"\r\n")
                stream.flush()
                continue
            while True:
                got = stream.readline().decode()
                assert got, f"closed before {want}: {shown}"
                shown.append(got)
                if re.match(r"\d\d\d-", got):
                    continue
                assert got.startswith(want), (line, got)
                break
        shown.append(stream.read().decode())
        assert until in "".join(shown), shown


def test_the_sessions_by_hand(shared_suite):
    s = shared_suite
    play(s.smtp_port, session("220 mx.hermod.test"), "221")
    s.maildir("anna").wait(1)
    play(s.pop3_port, session("+OK ..."), "Hello.", [("PASS ...", f"PASS {s.password}")])


def test_the_house_as_it_is():
    block = TEXT[TEXT.index("## The house"):]
    for line in block.splitlines():
        m = re.match(r"    ((?:[a-z0-9-]+/(?:, )?)+)", line)
        if m:
            for folder in m.group(1).split(", "):
                assert os.path.isdir(os.path.join(SOURCE, folder)), f"README.md names {folder}"


def test_the_list_of_faults():
    """doc/faults.md names tests that are there."""
    text = open(os.path.join(SOURCE, "doc", "faults.md")).read()
    names = re.findall(r"`([\w./-]+_test\.c|[\w./-]+_fuzz\.c|tests/test_\w+\.py)(?:::(\w+))?`", text)
    assert len(names) > 100
    for file, test in names:
        path = os.path.join(SOURCE, file)
        assert os.path.isfile(path), f"doc/faults.md names {file}"
        define = rf"^def {test}\(" if file.endswith(".py") else rf"^{test}\("
        assert file.endswith("_fuzz.c") or re.search(define, open(path).read(), re.M), f"doc/faults.md names {file}::{test}"
