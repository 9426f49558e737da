# SPDX-License-Identifier: ISC
"""The model of a power cut itself: what it must keep, what it may lose, and that it can lose it."""
import io
import os
import struct

import pytest

from hermodtest import powercut as pc

DEV = 7


class Recorder:
    """Makes records as a test build does."""

    def __init__(self, root):
        self.octets, self.root, self.stamp = b"", root.key, 0

    def _add(self, op, file=0, dir=(0, 0), to_dir=(0, 0), at=0, name=b"", to=b"", data=b"", flags=0, mode=0o100600):
        self.stamp += 1000
        size = pc.HEADER.size + len(name) + len(to) + len(data)
        key = file if isinstance(file, tuple) else (DEV, file)
        self.octets += pc.HEADER.pack(pc.MAGIC, size, op, len(name), len(to), 0, 42, flags, mode, os.getuid(), os.getgid(), 0,
                                      self.stamp, *key, *dir, *to_dir, at, b"cleanup") + name + to + data
        return self

    def create(self, file, name, dir=None, flags=os.O_CREAT | os.O_EXCL):
        return self._add(pc.OPEN, file, dir or self.root, name=name.encode(), flags=flags)

    def tmpfile(self, file):
        return self._add(pc.OPEN, file, self.root, flags=os.O_TMPFILE | os.O_WRONLY)

    def write(self, file, at, data):
        return self._add(pc.WRITE, file, at=at, data=data)

    def truncate(self, file, length):
        return self._add(pc.TRUNCATE, file, at=length)

    def times(self, file, seconds):
        return self._add(pc.TIMES, file, at=seconds % (1 << 64))

    def fsync(self, file):
        return self._add(pc.FSYNC, file)

    def sync_range(self, file):
        return self._add(pc.SYNC_RANGE, file)

    def fdatasync(self, file):
        return self._add(pc.FDATASYNC, file)

    def link(self, file, name, dir=None):
        return self._add(pc.LINK, file, dir or self.root, name=name.encode())

    def rename(self, file, name, to, dir=None, to_dir=None):
        return self._add(pc.RENAME, file, dir or self.root, to_dir or self.root, name=name.encode(), to=to.encode())

    def unlink(self, name, dir=None):
        return self._add(pc.UNLINK, (0, 0), dir or self.root, name=name.encode())

    def mkdir(self, file, name, dir=None):
        return self._add(pc.MKDIR, file, dir or self.root, name=name.encode(), mode=0o040700)

    def disk(self, root):
        return pc.Disk(root, pc.parse(self.octets))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "start"
    folder.mkdir()
    (folder / "old").write_bytes(b"before")
    return pc.snapshot(folder)


def outcomes(disk, n=None, names="directory", seeds=300):
    n = len(disk.changes) if n is None else n
    return [disk.cut(n, seed, names).files() for seed in range(seeds)]


def test_prefixes(root, tmp_path):
    r = Recorder(root).create(1, "a").write(1, 0, b"hello").write(1, 5, b" world").rename(1, "a", "b").mkdir(2, "d")
    r.create(3, "x", (DEV, 2)).link(1, "c", (DEV, 2)).truncate(1, 4).unlink("b").unlink("old")
    disk = r.disk(root)
    assert not disk.unknown
    want = [{"old": b"before"}, {"a": b""}, {"a": b"hello"}, {"a": b"hello world"}, {"b": b"hello world"}, {}, {"d/x": b""},
            {"d/c": b"hello world"}, {"d/c": b"hell", "b": b"hell"}, {}, {}]
    files = [disk.prefix(n).files() for n in range(11)]
    assert files == [tree.files() for _, tree in disk.prefixes()]
    for now, some in zip(files, want):
        assert some.items() <= now.items()
    assert files[-1] == {"d/x": b"", "d/c": b"hell"}

    tree = disk.prefix(8)
    tree.build(tmp_path / "built")
    assert (tmp_path / "built/b").read_bytes() == b"hell"
    assert (tmp_path / "built/b").samefile(tmp_path / "built/d/c")
    assert pc.Tree(pc.snapshot(tmp_path / "built")).files() == tree.files()
    with pytest.raises(FileExistsError):
        tree.build(tmp_path / "built")


def test_unsynced_content_is_lost_in_some_cut(root):
    r = Recorder(root).create(1, "a").fsync(root.key)
    r.write(1, 0, b"x" * 2000)
    got = {files["a"] for files in outcomes(r.disk(root))}
    assert b"" in got and b"x" * 2000 in got
    assert any(b"\0" * 512 in octets and b"x" in octets for octets in got), "torn, sector by sector"
    assert all(octets[at:at + 512].strip(b"\0") in (b"", octets[at:at + 512]) for octets in got
               for at in range(0, 2000, 512)), "no sector is torn inside"
    assert all(len(octets) in (0, 2000) for octets in got)


@pytest.mark.parametrize("sync", ("fsync", "fdatasync"))
def test_synced_content_stays(root, sync):
    r = Recorder(root).create(1, "a").fsync(root.key).write(1, 0, b"safe" * 500)
    getattr(r, sync)(1)
    r.write(1, 2000, b"unsafe")
    got = {files["a"] for files in outcomes(r.disk(root))}
    assert all(octets[:2000] == b"safe" * 500 for octets in got)
    assert {b"", b"unsafe"} <= {octets[2000:] for octets in got}


def test_sync_file_range(root):
    """What it has put on disk is there if the name is, where the journal says so; else it promises nothing."""
    r = Recorder(root).tmpfile(1).write(1, 0, b"x" * 2000).sync_range(1).link(1, "a")
    assert {files.get("a") for files in outcomes(r.disk(root), names="ordered")} == {None, b"x" * 2000}
    assert b"" in {files.get("a") for files in outcomes(r.disk(root), names="ext4")}
    assert b"" in {files.get("a") for files in outcomes(r.disk(root))}


def test_a_write_after_the_sync_is_not_covered(root):
    r = Recorder(root).create(1, "a").write(1, 0, b"one").fsync(1).fsync(root.key).write(1, 0, b"two")
    assert {files["a"] for files in outcomes(r.disk(root))} == {b"one", b"two"}


def test_a_sector_is_as_it_was_at_some_moment(root):
    """Never the later of two writes into one sector without the earlier."""
    r = Recorder(root).create(1, "a").write(1, 0, b"." * 100).fsync(1).fsync(root.key).write(1, 0, b"A").write(1, 50, b"B")
    got = {(files["a"][:1], files["a"][50:51]) for files in outcomes(r.disk(root))}
    assert got == {(b".", b"."), (b"A", b"."), (b"A", b"B")}


def test_names(root):
    r = Recorder(root).tmpfile(1).write(1, 0, b"mail").link(1, "new").fsync(1)
    disk = r.disk(root)
    assert {"new" in files for files in outcomes(disk)} == {True, False}, "POSIX: the folder was not synced"
    assert all(files["new"] == b"mail" for files in outcomes(disk, names="ext4"))
    assert {"new" in files for files in outcomes(disk, 3, "ext4")} == {True, False}, "before the fsync"
    r.fsync(root.key)
    assert all(files["new"] == b"mail" for files in outcomes(r.disk(root)))


def test_the_fsync_before_the_link_does_not_keep_the_name(root):
    r = Recorder(root).tmpfile(1).write(1, 0, b"mail").fsync(1).link(1, "new")
    assert {"new" in files for files in outcomes(r.disk(root), names="ext4")} == {True, False}


def test_rename_is_one(root):
    r = Recorder(root).mkdir(2, "tmp").mkdir(3, "cur").fsync(root.key)
    r.create(1, "m", (DEV, 2)).write(1, 0, b"mail").fsync(1).fsync(2).rename(1, "m", "m", (DEV, 2), (DEV, 3))
    for names in ("directory", "ext4"):
        got = {tuple(sorted(set(files) - {"old"})) for files in outcomes(r.disk(root), names=names)}
        assert got == {("tmp/m",), ("cur/m",)}
    r.fsync(3)
    assert {tuple(sorted(set(files) - {"old"})) for files in outcomes(r.disk(root))} == {("cur/m",)}


def test_renames_of_one_file(root):
    """A journal keeps their order; without one a file may have two names."""
    r = Recorder(root).create(1, "a").fsync(1).rename(1, "a", "b").rename(1, "b", "c")
    assert {tuple(sorted(set(files) - {"old"})) for files in outcomes(r.disk(root), names="ext4")} == {("a",), ("b",), ("c",)}
    assert ("a", "c") in {tuple(sorted(set(files) - {"old"})) for files in outcomes(r.disk(root))}
    r.fsync(1)
    assert {tuple(sorted(set(files) - {"old"})) for files in outcomes(r.disk(root), names="ext4")} == {("c",)}


def test_new_folders_above(root):
    """ext4 keeps them with the file; POSIX wants each folder's parent synced."""
    r = Recorder(root).mkdir(2, "d").mkdir(3, "e", (DEV, 2)).create(1, "m", (DEV, 3)).write(1, 0, b"mail").fsync(1)
    disk = r.disk(root)
    assert all(files["d/e/m"] == b"mail" for files in outcomes(disk, names="ext4"))
    r.fsync(3)
    assert {"d/e/m" in files for files in outcomes(r.disk(root))} == {True, False}
    r.fsync(2).fsync(root.key)
    assert all(files["d/e/m"] == b"mail" for files in outcomes(r.disk(root)))


def test_removal(root):
    r = Recorder(root).unlink("old")
    assert {"old" in files for files in outcomes(r.disk(root))} == {True, False}
    r.fsync(root.key)
    assert not any("old" in files for files in outcomes(r.disk(root)))


def test_truncation(root):
    r = Recorder(root).create(1, "a").write(1, 0, b"x" * 1500).fsync(1).fsync(root.key).truncate(1, 10)
    assert {len(files["a"]) for files in outcomes(r.disk(root))} == {10, 1500}
    r.fsync(1)
    assert {files["a"] for files in outcomes(r.disk(root))} == {b"x" * 10}


def test_times(root, tmp_path):
    r = Recorder(root).create(1, "a").fsync(root.key).times(1, -86400)
    disk = r.disk(root)
    assert {tree.times.get(tree.entries[tree.root]["a"]) for tree in (disk.cut(3, s) for s in range(100))} == {None, -86400}
    r.fdatasync(1)                              # is of the content
    disk = r.disk(root)
    assert {tree.times.get(tree.entries[tree.root]["a"]) for tree in (disk.cut(4, s) for s in range(100))} == {None, -86400}
    r.fsync(1)
    disk = r.disk(root)
    assert {tree.times.get(tree.entries[tree.root]["a"]) for tree in (disk.cut(5, s) for s in range(100))} == {-86400}
    disk.cut(5, 1).build(tmp_path / "built")
    assert os.stat(tmp_path / "built/a").st_mtime == -86400


def test_an_inode_used_again_is_another_file(root):
    r = Recorder(root).create(1, "a").write(1, 0, b"first").fsync(1).unlink("a").create(1, "b").write(1, 0, b"2nd")
    disk = r.disk(root)
    assert disk.prefix(6).files() == {"old": b"before", "b": b"2nd"}
    assert {files.get("a") for files in outcomes(disk)} <= {None, b"first"}
    r = Recorder(root).create(1, "a").unlink("a").create(1, "elsewhere", (DEV, 99)).write(1, 0, b"not ours")
    assert r.disk(root).prefix(4).files() == {"old": b"before"}


def test_open_for_an_old_file(root):
    key = root.entries["old"].key
    r = Recorder(root).create(key, "old", flags=os.O_CREAT)
    assert r.disk(root).prefix(1).files() == {"old": b"before"}
    r.create(key, "old", flags=os.O_CREAT | os.O_TRUNC)
    assert r.disk(root).prefix(2).files() == {"old": b""}


def test_a_seed_says_it_all(root):
    r = Recorder(root).create(1, "a").write(1, 0, b"x" * 9000).create(2, "b").write(2, 0, b"y" * 9000)
    disk = r.disk(root)
    assert outcomes(disk, seeds=20) == outcomes(disk, seeds=20)
    with pytest.raises(ValueError):
        disk.cut(1, 1, "ext9")


def test_what_cannot_be_understood_is_told(root):
    r = Recorder(root).link(77, "who").unlink("never").rename(78, "gone", "there", (DEV, 99))
    assert len(r.disk(root).unknown) == 3


def test_bad_recordings(root):
    good = Recorder(root).create(1, "a").write(1, 0, b"data").octets
    for bad in (good[:-1], good[:50], b"x" + good, good + b"HREC", good[:4] + struct.pack("<I", 0) + good[8:]):
        with pytest.raises(pc.BadRecording):
            pc.parse(bad)
    out = io.StringIO()
    pc.show(pc.parse(good), out)
    assert "cleanup[42] write" in out.getvalue()
