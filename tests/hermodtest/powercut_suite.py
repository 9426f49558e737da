# SPDX-License-Identifier: ISC
"""
Power cuts under a whole suite: one run of it is recorded; then its folder is built as cuts would have left it, and looked at.
What is done meanwhile, and what must be left, is the test's to say: tests/test_powercut.py, tests/test_powercut_relay.py.
"""
import os
import random
import shutil
import subprocess
import tempfile

import pytest

from hermodtest import powercut, rebuilt
from hermodtest.suite import MAIL_UID, build_dir, patience

# On disk, with a file system's own order of names, and in memory, with the strictest.
PLACES = {"ext4": "disk", "directory": "memory"}


def shared_memory():
    """Building trees there costs a tenth."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None


def parent_of(names):
    """The folder for runs of which a cut leaves names so; None: the usual one."""
    if PLACES[names] == "disk":
        return None
    if shared_memory() is None:
        pytest.skip("there is no /dev/shm")
    return shared_memory()


def is_long(request):
    return request.config.getoption("--long")


def mail_left(folders, *mailboxes):
    """folder -> what mail_left says of it, lines of words."""
    uid = MAIL_UID if os.geteuid() == 0 else os.getuid()
    r = subprocess.run([os.path.join(build_dir(), "test", "programs", "mail_left"), str(uid), str(uid), ",".join(mailboxes),
                        *folders], stdout=subprocess.PIPE, text=True, timeout=300 * patience())
    assert r.returncode == 0, r.stdout[-2000:]
    out, now = {f: [] for f in folders}, None
    for line in r.stdout.splitlines():
        if line.startswith("/"):
            now = out[line]
        else:
            now.append(line.split())
    return out


class Run:
    """
    One recorded run, in a folder of its own. Another class has the rest: `suite`, which uses that folder and is not started
    yet; work(), which is recorded; check(), whether all went well without a cut; judge([(folder, Tree, how many changes)]).
    """

    def __init__(self, names):
        self.names = names
        self.recording = tempfile.mktemp(prefix="hermod-recording-")
        self.dir = tempfile.mkdtemp(prefix="hermod-test-", dir=parent_of(names))

    def check(self):
        pass

    def record(self, **env):
        try:
            self.suite.start()          # whose the folders are is not recorded: a first start has made them
            self.suite.stop()
            self.start = powercut.snapshot(self.dir)
            open(self.recording, "w").close()
            os.chmod(self.recording, 0o666)
            self.suite.env = {"HERMOD_RECORD": self.recording, **env}
            self.suite.start()
            self.work()
            self.suite.stop()
            self.understand()
            self.check()
        except BaseException:
            self.end()
            raise

    def understand(self):
        self.changes = powercut.read(self.recording)
        self.disk = powercut.Disk(self.start, self.changes)
        assert not [c for c in self.disk.unknown if c.program != "master"]      # its are sockets
        # The number of changes from which on there is a queue.
        self.first = next(n for n, c in enumerate(self.changes) if c.program == "smtpd")
        self.until, latest = [], 0      # until[n]: what was said before it, was said before the n changes were over
        for c in self.changes:
            self.until.append(latest)
            latest = max(latest, c.stamp)
        self.until.append(latest)

    def spread(self, many, seed):
        every = range(self.first, len(self.changes) + 1)
        return sorted(random.Random(seed).sample(every, min(many, len(every))))

    def try_states(self, states):
        """states: (name, Tree, how many changes)."""
        for at in range(0, len(states), 25):
            base = tempfile.mkdtemp(prefix="hermod-cut-", dir=shared_memory())
            os.chmod(base, 0o755)
            try:
                some = [(os.path.join(base, name), tree, n) for name, tree, n in states[at:at + 25]]
                for folder, tree, _ in some:
                    tree.build(folder)
                    rebuilt.move_in(tree, folder)
                self.judge(some)
            finally:
                shutil.rmtree(base)

    def try_prefixes(self, request, many):
        which = range(self.first, len(self.changes) + 1) if is_long(request) else self.spread(many, 1)
        self.try_states([(f"p{n}", self.disk.prefix(n), n) for n in which])

    def try_cuts(self, request):
        for seed in range(40 if is_long(request) else 1):
            which = self.spread(400 if is_long(request) else 250, 100 + seed)
            for at in range(0, len(which), 100):
                self.try_states([(f"c{n}-{seed}", self.disk.cut(n, seed, names=self.names), n) for n in which[at:at + 100]])

    def some_cuts(self, request):
        """(Tree, how many changes) of those on which the suite itself is started."""
        for n in self.spread(25 if is_long(request) else 3, 3):
            yield self.disk.cut(n, n, names=self.names), n

    def rebuild(self, tree):
        """The suite's own folder, for a start that is not recorded."""
        shutil.rmtree(self.dir)
        tree.build(self.dir)
        rebuilt.move_in(tree, self.dir)
        for name in ("run", "log"):     # made anew at each start of a machine; and writable again
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
        self.suite.env = {}

    def end(self):
        self.suite.end()
        shutil.rmtree(self.dir, ignore_errors=True)
        os.unlink(self.recording)
