# SPDX-License-Identifier: ISC
"""
What a power cut would have left: a recording of a test build (HERMOD_RECORD; its format is in lib/base/fault.h) is
replayed, whole or in part, over the folder as it was before.

    start = powercut.snapshot(folder)           before the suite runs
    ...                                         it runs with HERMOD_RECORD=FILE
    disk = powercut.Disk(start, powercut.read(FILE))
    assert not disk.unknown                     all records below the folder were understood
    disk.prefix(n).build(fresh)                 the first n changes, all of them on disk
    disk.cut(n, seed, names="ext4").build(fresh)

cut() takes the first n changes and leaves on disk what was synced by then, and of the rest a random part:

- Contents: each sector of 512 octets as it was at some moment since the file's last fsync or fdatasync, each sector at
  its own; the file's length as it was at another. A sector that is not there reads as zeros.
  With names="ext4" and "ordered" what sync_file_range has waited for is there after the next fsync of any file, which flushes the
  disk. A syncfs is an fsync of all files and folders of the file system.
- Times that were set (futimens): there or not; once the file was fsynced after it, there.
- Names: each link, rename, removal is there or not, a rename as one. With names="directory" it must be there once the
  folder that has the (new) name was fsynced, as POSIX has it at its strictest; with names="ext4" also once the file
  itself was fsynced after it, and with it the folders above that are new; and a journal has no later name of a file
  without its earlier ones, so none has two after a rename, and no removal of a folder without those of what was in it. names="ordered" is an ext4 where in addition
  no name is on disk before what sync_file_range has put there (its journal, data=ordered): base/file.h, file_ext4_ordered.

What is not seen: stores to mappings, and the work of processes and libraries that do not record.
"""
import collections
import os
import random
import stat
import struct
import sys

OPEN, WRITE, TRUNCATE, LINK, RENAME, UNLINK, MKDIR, FSYNC, FDATASYNC, SYNC_RANGE, TIMES, SYNCFS = range(1, 13)
OP_NAMES = dict(enumerate("open write truncate link rename unlink mkdir fsync fdatasync sync_range times syncfs".split(), 1))
HEADER = struct.Struct("<IIHHHHIIIIIIQQQQQQQQ16s")
MAGIC = 0x43455248
SECTOR = 512

# file, dir, to_dir: (device, inode), (0, 0) where there is none. stamp: as time.monotonic_ns().
Change = collections.namedtuple("Change", "op pid program flags mode uid gid stamp file dir to_dir at name to data")


class BadRecording(Exception):
    pass


def parse(octets):
    changes, at = [], 0
    while at < len(octets):
        if len(octets) - at < HEADER.size:
            raise BadRecording(f"a record cut off at {at}")
        (magic, size, op, name_n, to_n, _, pid, flags, mode, uid, gid, _, stamp, dev, ino, dir_dev, dir_ino, to_dev, to_ino,
         where, program) = HEADER.unpack_from(octets, at)
        if magic != MAGIC or op not in OP_NAMES or size < HEADER.size + name_n + to_n or size > len(octets) - at:
            raise BadRecording(f"no record at {at}")
        body = octets[at + HEADER.size:at + size]
        changes.append(Change(op, pid, program.rstrip(b"\0").decode(), flags, mode, uid, gid, stamp, (dev, ino),
                              (dir_dev, dir_ino), (to_dev, to_ino), where, os.fsdecode(body[:name_n]),
                              os.fsdecode(body[name_n:name_n + to_n]), body[name_n + to_n:]))
        at += size
    return changes


def read(path):
    with open(path, "rb") as f:
        return parse(f.read())


class Node:
    """A file, folder or symbolic link, by whatever names."""

    def __init__(self, key, mode, uid, gid, content=b""):
        self.key, self.mode, self.uid, self.gid = key, mode, uid, gid
        self.content = content              # file: octets before the recording; symbolic link: where it leads
        self.entries = {}                   # folder: name -> Node before the recording

    is_dir = property(lambda self: stat.S_ISDIR(self.mode))
    is_file = property(lambda self: stat.S_ISREG(self.mode))


def snapshot(folder):
    """The folder as it is now: its root Node. Sockets and FIFOs are left out."""
    seen = {}

    def take(path):
        st = os.lstat(path)
        key = (st.st_dev, st.st_ino)
        if key in seen:
            return seen[key]
        node = seen[key] = Node(key, st.st_mode, st.st_uid, st.st_gid)
        if node.is_dir:
            for name in os.listdir(path):
                child = take(os.path.join(path, name))
                if child:
                    node.entries[name] = child
        elif node.is_file:
            with open(path, "rb") as f:
                node.content = f.read()
        elif stat.S_ISLNK(node.mode):
            node.content = os.readlink(path)
        else:
            del seen[key]
            return None
        return node
    return take(os.fspath(folder))


def nodes_of(root):
    """It and all below it, each once."""
    out, todo = {}, [root]
    while todo:
        node = todo.pop()
        if node not in out:
            out[node] = True
            todo.extend(node.entries.values())
    return list(out)


class Tree:
    """A state of the disk: what each file holds, and each folder."""

    def __init__(self, root):
        self.root = root
        self.content = {node: bytearray(node.content) for node in nodes_of(root) if node.is_file}
        self.entries = {node: dict(node.entries) for node in nodes_of(root) if node.is_dir}
        self.times = {}                     # node -> seconds, where they were set

    def apply(self, effect):
        if isinstance(effect, Content):
            effect.apply(self.content.setdefault(effect.node, bytearray(effect.node.content)))
        elif isinstance(effect, Times):
            self.times[effect.node] = effect.at
        elif isinstance(effect, Name):
            if effect.old_dir:
                old = self.entries.setdefault(effect.old_dir, {})
                if effect.node is None or old.get(effect.old_name) is effect.node:
                    old.pop(effect.old_name, None)
            if effect.dir:
                self.entries.setdefault(effect.dir, {})[effect.name] = effect.node

    def files(self):
        """path below the root -> octets."""
        out = {}

        def walk(node, path):
            for name, child in self.entries.get(node, {}).items():
                if child.is_dir:
                    walk(child, path + name + "/")
                elif child.is_file:
                    out[path + name] = bytes(self.content.get(child, b""))
        walk(self.root, "")
        return out

    def folders(self):
        out = set()

        def walk(node, path):
            for name, child in self.entries.get(node, {}).items():
                if child.is_dir:
                    out.add(path + name)
                    walk(child, path + name + "/")
        walk(self.root, "")
        return out

    def build(self, folder):
        """Makes it all below the folder, which is made when it is not there, and else must be empty."""
        done = {}

        def own(path, node):
            if os.geteuid() == 0:
                os.chown(path, node.uid, node.gid, follow_symlinks=False)
            if not stat.S_ISLNK(node.mode):
                os.chmod(path, stat.S_IMODE(node.mode))

        def make(node, path):
            if node.is_dir:
                if node is not self.root:
                    os.mkdir(path)
                for name, child in self.entries.get(node, {}).items():
                    make(child, os.path.join(path, name))
            elif node in done:
                os.link(done[node], path, follow_symlinks=False)
                return
            elif node.is_file:
                with open(path, "xb") as f:
                    f.write(self.content.get(node, b""))
            else:
                os.symlink(node.content, path)
            done[node] = path
            own(path, node)
            if node in self.times:
                os.utime(path, (self.times[node],) * 2)
        os.makedirs(folder, exist_ok=True)
        if os.listdir(folder):
            raise FileExistsError(folder)
        make(self.root, os.fspath(folder))


# ---- a change, understood: whose it is -------------------------------------------------------------------------

class Content:
    """Octets of a file: data at an offset, or (data None) a new length."""

    def __init__(self, index, node, at, data):
        self.index, self.node, self.at, self.data = index, node, at, data

    def apply(self, octets):
        if self.data is None:
            if self.at < len(octets):
                del octets[self.at:]
            else:
                octets.extend(bytes(self.at - len(octets)))
        else:
            if self.at > len(octets):
                octets.extend(bytes(self.at - len(octets)))
            octets[self.at:self.at + len(self.data)] = self.data

    def sectors(self, length):
        """Numbers of those that it changes in a file that is so long before."""
        first, last = self.at, self.at + len(self.data or b"")
        if self.data is None or first > length:
            first, last = min(first, length), max(last, length)
        return range(first // SECTOR, (last + SECTOR - 1) // SECTOR)


class Times:
    """The time of modification that a file was given."""

    def __init__(self, index, node, at):
        self.index, self.node, self.at = index, node, at


class Name:
    """A name given (dir), taken away (old_dir), or both: a rename."""

    def __init__(self, index, node, dir=None, name="", old_dir=None, old_name=""):
        self.index, self.node, self.dir, self.name = index, node, dir, name
        self.old_dir, self.old_name = old_dir, old_name
        self.home = dir or old_dir          # whose fsync makes it last


class Sync:
    """whole: of content and all else; None: what sync_file_range does."""

    def __init__(self, index, node, whole):
        self.index, self.node, self.whole = index, node, whole


class Disk:
    def __init__(self, root, changes):
        self.root, self.changes = root, changes
        self.effects = []                   # in order; index: of its change
        self.unknown = []                   # changes below the root that could not be understood
        self.live = {node.key: node for node in nodes_of(root)}     # (device, inode) -> who has it now
        self.now = Tree(root)
        for index, change in enumerate(changes):
            self._understand(index, change)
        del self.now

    def _add(self, effect):
        self.effects.append(effect)
        self.now.apply(effect)

    def _linked(self, node):
        return any(node is child for names in self.now.entries.values() for child in names.values())

    def _open(self, index, c):
        folder = self.live.get(c.dir)
        if folder is None:                  # elsewhere; but the inode may have been one of ours
            old = self.live.get(c.file)
            if old is not None and not self._linked(old):
                del self.live[c.file]
            return
        names = self.now.entries.setdefault(folder, {})
        if c.flags & os.O_TMPFILE == os.O_TMPFILE:
            self.live[c.file] = Node(c.file, c.mode, c.uid, c.gid)
        elif c.name not in names or names[c.name].key != c.file:
            node = self.live[c.file] = Node(c.file, c.mode, c.uid, c.gid)
            self._add(Name(index, node, folder, c.name))
        elif c.flags & os.O_TRUNC:
            self._add(Content(index, names[c.name], 0, None))

    def _name(self, index, c):
        folder, to = self.live.get(c.dir), self.live.get(c.to_dir)
        node = self.live.get(c.file)
        if c.op == RENAME:
            if folder is not None:
                node = self.now.entries.get(folder, {}).get(c.name, node)
            if folder is None and to is None:
                return
            if node is None:
                self.unknown.append(c)
                return
            self._add(Name(index, node, to, c.to, folder, c.name))
        elif folder is None:
            return
        elif c.op == UNLINK:
            node = self.now.entries.get(folder, {}).get(c.name)
            if node is None:
                self.unknown.append(c)
            else:
                self._add(Name(index, node, old_dir=folder, old_name=c.name))
        elif c.op == MKDIR:
            node = self.live[c.file] = Node(c.file, c.mode, c.uid, c.gid)
            self._add(Name(index, node, folder, c.name))
        elif node is None:                  # LINK of what we do not know
            self.unknown.append(c)
        else:
            self._add(Name(index, node, folder, c.name))

    def _understand(self, index, c):
        if c.op == OPEN:
            self._open(index, c)
        elif c.op in (LINK, RENAME, UNLINK, MKDIR):
            self._name(index, c)
        elif c.op == SYNCFS:
            for node in [self.root, *self.live.values()] if c.file[0] == self.root.key[0] else ():
                self._add(Sync(index, node, True))
        else:
            node = self.live.get(c.file)
            if node is None:
                return                      # a file elsewhere
            if c.op == WRITE:
                self._add(Content(index, node, c.at, c.data))
            elif c.op == TRUNCATE:
                self._add(Content(index, node, c.at, None))
            elif c.op in (FSYNC, FDATASYNC):
                self._add(Sync(index, node, c.op == FSYNC))
            elif c.op == TIMES:
                self._add(Times(index, node, c.at - (c.at >> 63 << 64)))
            elif c.op == SYNC_RANGE:
                self._add(Sync(index, node, None))

    def prefix(self, n):
        """All of the first n changes."""
        tree = Tree(self.root)
        for effect in self.effects:
            if effect.index < n:
                tree.apply(effect)
        return tree

    def prefixes(self):
        """(n, Tree) for n from 0 to all; the Tree is good until the next is asked for."""
        tree, at = Tree(self.root), 0
        for n in range(len(self.changes) + 1):
            while at < len(self.effects) and self.effects[at].index < n:
                tree.apply(self.effects[at])
                at += 1
            yield n, tree

    def _synced(self, effects, names):
        """Up to which index each node's content is on disk, its times, and each name for which it is home or node."""
        content, times, home, named, waited = {}, {}, {}, {}, {}
        for e in effects:
            if isinstance(e, Sync):
                if e.whole is not None or names == "ordered":
                    content[e.node] = e.index
                if e.whole is None:
                    waited[e.node] = e.index
                elif names != "directory":
                    content.update({node: max(index, content.get(node, -1)) for node, index in waited.items()})
                    waited = {}
                if e.whole:
                    times[e.node] = e.index
                    (home if e.node.is_dir else named)[e.node] = e.index
        if names != "directory":            # and the folders above a file that was synced
            todo = list(named.items())
            while todo:
                node, until = todo.pop()
                for e in effects:
                    if isinstance(e, Name) and e.node is node and e.dir and e.index < until \
                            and named.get(e.dir, -1) < until:
                        named[e.dir] = until
                        todo.append((e.dir, until))
        else:
            named = {}
        return content, times, home, named

    def cut(self, n, seed, names="directory"):
        """What is on disk when the power goes after n changes."""
        if names not in ("directory", "ext4", "ordered"):
            raise ValueError(names)
        chance = random.Random(f"{seed}/{n}")
        keep = chance.choice((0, 0.2, 0.5, 0.8, 1))
        effects = [e for e in self.effects if e.index < n]
        content, times, home, named = self._synced(effects, names)
        tree, loose, lost, never = Tree(self.root), {}, set(), set()
        sure = {e.index: e.node for e in effects if isinstance(e, Name)
                and (e.index < home.get(e.home, -1) or e.index < named.get(e.node, -1))}
        removed = [e for e in effects if isinstance(e, Name) and e.node and e.node.is_dir and not e.dir]
        for e in removed if names != "directory" else ():       # and with a folder's removal all that has left it before
            if e.index in sure or chance.random() < keep:
                sure.update({f.index: f.node for f in effects if isinstance(f, Name) and f.index <= e.index
                             and (f is e or f.old_dir is e.node or f.dir is e.node)})
            else:
                never.add(e.index)
        if names != "directory":            # and what the node was called before
            latest = {node: index for index, node in sorted(sure.items())}
            sure.update({e.index: e.node for e in effects if isinstance(e, Name) and e.index < latest.get(e.node, -1)})
        for e in effects:
            if isinstance(e, Content):
                if e.index < content.get(e.node, -1):
                    tree.apply(e)
                else:
                    loose.setdefault(e.node, []).append(e)
            elif isinstance(e, Times):
                if e.index < times.get(e.node, -1) or chance.random() < keep:
                    tree.apply(e)
            elif isinstance(e, Name):
                if e.index in never:
                    continue
                if e.index in sure or (e.node not in lost and chance.random() < keep):
                    tree.apply(e)
                elif names != "directory":
                    lost.add(e.node)
        for node, writes in loose.items():
            base = tree.content.get(node, bytearray(node.content))
            tree.content[node] = torn(base, writes, chance, keep)
        return tree


def torn(base, writes, chance, keep):
    """The file after a part of the writes: each sector as at a moment of its own, the length as at another."""
    def moment():
        if chance.random() < keep:
            return len(writes)
        return chance.choice((0, chance.randint(0, len(writes))))

    touched, state = set(), bytearray(base)
    for w in writes:
        touched.update(w.sectors(len(state)))
        w.apply(state)
    due = collections.defaultdict(list)
    for sector in sorted(touched):
        due[moment()].append(sector)
    length_at, state, length, sectors = moment(), bytearray(base), 0, {}
    for t in range(len(writes) + 1):
        if t > 0:
            writes[t - 1].apply(state)
        if t == length_at:
            length = len(state)
        for sector in due[t]:
            sectors[sector] = bytes(state[sector * SECTOR:(sector + 1) * SECTOR]).ljust(SECTOR, b"\0")
    out = bytearray(base)
    out.extend(bytes(max(0, length - len(out))))
    for sector, octets in sectors.items():
        if sector * SECTOR < length:
            if len(out) < (sector + 1) * SECTOR:
                out.extend(bytes((sector + 1) * SECTOR - len(out)))
            out[sector * SECTOR:(sector + 1) * SECTOR] = octets
    del out[length:]
    return out


def show(changes, out=sys.stdout):
    """A line for each, for people."""
    for n, c in enumerate(changes):
        data = f" {len(c.data)} octets at {c.at}" if c.op == WRITE else f" to {c.at}" if c.op == TRUNCATE else ""
        names = " ".join(repr(name) for name in (c.name, c.to) if name)
        out.write(f"{n:6} {c.stamp / 1e9:14.6f} {c.program}[{c.pid}] {OP_NAMES[c.op]} inode {c.file[1]} {names}{data}\n")


if __name__ == "__main__":
    show(read(sys.argv[1]))
