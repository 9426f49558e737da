# SPDX-License-Identifier: ISC
"""Real clients: how they are run, what they send, and a screen for those that want one."""
import os
import re
import shutil
import subprocess
import time

import pytest

from hermodtest.proc import wait_for
from hermodtest.suite import patience

NOBODY = 65534		# for clients that do nothing as root

# Lines that trip over dots, From, 8 bits and length.
BODY = ("Hello.\n.\n..\n.two\nFrom here\n>From there\n\n" + "x" * 900 + "\nGr\u00fc\u00dfe\n").encode()


def need(*programs):
    for name, package in programs:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed (Debian package {package})")


def clean_environment(home):
    """A client sees a home of its own and nothing of ours."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm", "USER": "tester",
            "LOGNAME": "tester", "ASAN_OPTIONS": "detect_leaks=0"}


def run(home, *args, input=None, check=0, **env):
    """stdout in octets. check: the status it must end with; None: any."""
    r = subprocess.run([str(a) for a in args], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=home,
                       env={**clean_environment(home), **env}, timeout=60 * patience())
    assert check in (None, r.returncode), (r.returncode, r.stdout[-2000:], r.stderr[-2000:])
    return r.stdout


def write(path, text, mode=0o600):
    path.write_text(text)
    os.chmod(path, mode)
    return path


def mail(mark, body=BODY):
    return f"From: s@client.test\nTo: t@hermod.test\nSubject: {mark}\nX-Mark: {mark}\n\n".encode() + body


def body_of(message):
    return message.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


class Screen:
    """A terminal, 100 wide, in a tmux server of its own. redraw: the key by which the program draws the screen anew, as somebody
    presses it who sees one that is garbled; None: there is none, at present."""

    def __init__(self, home, command, lines=30):
        self.tmux = ["tmux", "-S", str(home / "tmux"), "-f", "/dev/null"]
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm"}
        self.redraw = None
        self("new-session", "-d", "-x", "100", "-y", str(lines), command)

    def __call__(self, *args):
        return subprocess.run(self.tmux + list(args), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=30).stdout

    def keys(self, *keys):
        self("send-keys", *keys)

    def shows(self, pattern):
        """The screen, once it shows that."""
        last, garbled = "", time.monotonic() + 3 * patience()

        def look():
            nonlocal last, garbled
            last = self("capture-pane", "-p")
            if self.redraw and time.monotonic() > garbled:
                self.keys(self.redraw)
                garbled = time.monotonic() + 3 * patience()
            return re.search(pattern, last, re.M)
        wait_for(look, 20 * patience(), why=lambda: f"{pattern!r} on the screen:\n{last}")
        return last

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self("kill-server")
