# SPDX-License-Identifier: ISC
"""
The queue and power cuts: what cleanup and qmgr do to it is recorded; then the disk is built as a cut would have left
it, and read again. What was accepted is there once, whole, in the state that was last said to be safe or a later one.
"""
import os
import random
import shutil
import subprocess

import pytest

from hermodtest import powercut
from hermodtest.suite import build_dir, patience

pytestmark = pytest.mark.faults


def program():
    return os.path.join(build_dir(), "test", "programs", "queue_writer")


def record(tmp_path, rounds, how):
    """(Disk, for each number of changes what was said by then)."""
    folder = tmp_path / "disk"
    (folder / "queue").mkdir(parents=True)
    (folder / "said").write_bytes(b"")
    start = powercut.snapshot(folder)
    recording = tmp_path / "recording"
    recording.write_bytes(b"")
    subprocess.run([program(), "write", folder, str(rounds), how], check=True,
                   env=dict(os.environ, HERMOD_RECORD=str(recording)), timeout=120 * patience())
    changes = powercut.read(recording)
    disk = powercut.Disk(start, changes)
    assert not disk.unknown
    said_file = os.stat(folder / "said")
    said, lines = [[]], []
    for c in changes:
        if c.op == powercut.WRITE and c.file == (said_file.st_dev, said_file.st_ino):
            lines = lines + [c.data.decode().split()]
        said.append(lines)
    return disk, said


def read_all(folders):
    """folder -> list of (place, name, state, id, attempts)."""
    r = subprocess.run([program(), "read", *folders], stdout=subprocess.PIPE, text=True, timeout=120 * patience())
    assert r.returncode == 0
    out, now = {}, None
    for line in r.stdout.splitlines():
        if line.startswith("/"):
            now = out[line] = []
        else:
            now.append(line.split())
    return out


def check(said, files, where):
    """The state left is one of those that may be left."""
    sound = {}
    for f in files:
        assert "WRONG" not in f, (where, f)
        if f[2] == "sound":
            # Renames are not synced: on a file system that loses one of two it may have both names.
            # That is a duplicate, and the same file.
            assert sound.get(f[3], int(f[4])) == int(f[4]), (where, "two states", f)
            sound[f[3]] = int(f[4])
        else:
            assert f[2] in ("damaged", "gone"), (where, f)
    accepted, safe, begun, leaving = set(), {}, {}, set()
    for what, i, *n in said:
        if what == "accepted":
            accepted.add(i)
        elif what == "updating":
            begun[i] = int(n[0])
        elif what == "updated":
            safe[i] = int(n[0])
        else:
            leaving.add(i)
    for i in accepted:
        if i in leaving and i not in sound:
            continue
        assert i in sound, (where, "lost", i, files)
        assert safe.get(i, 0) <= sound[i] <= begun.get(i, 0), (where, i, sound[i], safe.get(i), begun.get(i))
    damaged = [f[1].split("/")[-1].split("-")[0] for f in files if f[2] == "damaged"]
    assert not accepted.intersection(damaged) - leaving, (where, damaged)
    return len(damaged)


def try_states(tmp_path, said, states):
    """states: (name, Tree, changes applied). How many files were damaged."""
    damaged = 0
    for at in range(0, len(states), 50):
        folders = []
        for name, tree, n in states[at:at + 50]:
            folder = str(tmp_path / "cut" / name)
            tree.build(folder)
            folders.append((folder, n))
        left = read_all([f for f, _ in folders])
        for folder, n in folders:
            damaged += check(said[n], left[folder], folder)
        shutil.rmtree(tmp_path / "cut")
    return damaged


def after_start(disk, said):
    """From when the queue's folders are there."""
    return next(n for n in range(len(said)) if said[n])


def test_every_prefix(tmp_path):
    disk, said = record(tmp_path, 6, "nosync")
    first = after_start(disk, said)
    states = [(f"p{n}", disk.prefix(n), n) for n in range(first, len(said))]
    assert len(states) > 100
    try_states(tmp_path, said, states)


@pytest.mark.parametrize("how,names", [("nosync", "ext4"), ("sync", "directory"), ("whole", "directory")])
def test_random_cuts(tmp_path, request, how, names):
    disk, said = record(tmp_path, 12, how)
    first = after_start(disk, said)
    many = 20000 if request.config.getoption("--long") else 200
    seeds = random.Random(1)
    for block in range(0, many, 200):
        states = []
        for i in range(200):
            n, seed = seeds.randrange(first, len(said)), seeds.randrange(1 << 30)
            states.append((f"c{n}-{seed}", disk.cut(n, seed, names=names), n))
        try_states(tmp_path, said, states)


def test_it_finds_a_missing_sync(tmp_path):
    """Where the folder's sync is needed and left out, mail is lost: so the test can see it."""
    disk, said = record(tmp_path, 12, "nosync")
    first = after_start(disk, said)
    states = [(f"x{i}", disk.cut(n, i, names="directory"), n)
              for i, n in enumerate(range(first, len(said), 3))]
    with pytest.raises(AssertionError, match="lost"):
        try_states(tmp_path, said, states)
