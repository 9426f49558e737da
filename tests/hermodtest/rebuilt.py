# SPDX-License-Identifier: ISC
"""
A mailbox that powercut.Tree.build has made, as a host finds its own after a power cut. Some files name inodes, to know
a copy from the file itself; what was built is to be the file itself. An index names the life of the host, which is
another one afterwards.
"""
import os
import struct
import time
import zlib

from hermodtest import powercut

LEDGER_HEADER, LEDGER_CHECKED, LEDGER_INODE = 64, 60, 24        # doc/ledger-format.md
INDEX_HEADER, INDEX_CHECKED, INDEX_INODE, INDEX_LIFE = 256, 248, 16, 24     # doc/index-format.md
INDEX, REDO = "hermod.index", "hermod.folders.redo"


def paths(tree):
    """path -> Node of all there is below the root."""
    out, todo = {}, [(tree.root, "")]
    while todo:
        node, at = todo.pop()
        for name, child in tree.entries.get(node, {}).items():
            out[at + name] = child
            if child.is_dir:
                todo.append((child, at + name + "/"))
    return out


def head(path, octets):
    """So many of the first octets; None when there are fewer."""
    with open(path, "rb") as f:
        got = bytearray(f.read(octets))
    return got if len(got) == octets else None


def put(path, octets):
    with open(path, "r+b") as f:
        f.write(octets)


def ledger(path, node):
    h = head(path, LEDGER_HEADER)
    if h is None or struct.unpack_from("<I", h, LEDGER_CHECKED)[0] != zlib.crc32(h[:LEDGER_CHECKED]) \
            or struct.unpack_from("<Q", h, LEDGER_INODE)[0] != node.key[1]:
        return
    struct.pack_into("<Q", h, LEDGER_INODE, os.stat(path).st_ino)
    struct.pack_into("<I", h, LEDGER_CHECKED, zlib.crc32(h[:LEDGER_CHECKED]))
    put(path, h)


def index(path, node):
    h = head(path, INDEX_HEADER)
    if h is None or struct.unpack_from("<I", h, INDEX_CHECKED + 4)[0] != zlib.crc32(h[:INDEX_CHECKED]) \
            or struct.unpack_from("<Q", h, INDEX_INODE)[0] != node.key[1]:
        return
    struct.pack_into("<Q", h, INDEX_INODE, os.stat(path).st_ino)
    h[INDEX_LIFE:INDEX_LIFE + 16] = b"another life    "
    struct.pack_into("<I", h, INDEX_CHECKED + 4, zlib.crc32(h[:INDEX_CHECKED]))
    put(path, h)


def redo(path, inodes):
    """Its fourth line is an inode; and whatever is there was there before it."""
    with open(path, "rb") as f:
        octets = f.read()
    lines = octets.split(b"\n")
    whole = len(lines) == 8 and lines[6] == b"%08x" % zlib.crc32(octets[:-9]) and lines[7] == b""
    if whole and int(lines[3]) in inodes:
        lines[3] = b"%d" % inodes[int(lines[3])]
        body = b"\n".join(lines[:6]) + b"\n"
        with open(path, "wb") as f:
            f.write(body + b"%08x\n" % zlib.crc32(body))
    os.utime(path, (time.time() + 1,) * 2)


def move_in(tree, folder):
    there = paths(tree)
    for path, node in there.items():
        full = os.path.join(folder, path)
        if path.endswith((".ledger", ".ledger2", ".ledger.new")):
            ledger(full, node)
        elif node.is_file and os.path.basename(path) == INDEX:
            index(full, node)
        elif path == REDO:
            redo(full, {n.key[1]: os.stat(os.path.join(folder, p)).st_ino for p, n in there.items()})


class Mapped:
    """What was stored into mappings, of which no recording tells: copies of the indexes of a folder, now and then."""

    def __init__(self, folder):
        self.folder, self.copies = folder, {}       # (device, inode) -> [(time, octets)]

    def look(self):
        now = time.monotonic_ns()
        for at, _, names in os.walk(self.folder):
            if INDEX in names:
                with open(os.path.join(at, INDEX), "rb") as f:
                    st, octets = os.fstat(f.fileno()), f.read()
                these = self.copies.setdefault((st.st_dev, st.st_ino), [])
                if not these or these[-1][1] != octets:
                    these.append((now, octets))

    def tear(self, tree, born, until, chance):
        """
        Each index in the tree as it may be on disk at that time: each sector as it was at some moment. born: since
        when an inode is this file's.
        """
        for path, node in paths(tree).items():
            if os.path.basename(path) != INDEX or not node.is_file:
                continue
            states = [bytes(tree.content.get(node, b""))] + [
                octets for at, octets in self.copies.get(node.key, ()) if born(node) <= at <= until]
            how = chance.choice(("one", "last", "mixed", "mixed"))
            if how == "last":
                tree.content[node] = bytearray(states[-1])
            elif how == "one":
                tree.content[node] = bytearray(chance.choice(states))
            else:
                tree.content[node] = mixed(states, chance)


def mixed(states, chance):
    """Mostly two of them."""
    states = chance.sample(states, min(len(states), chance.choice((2, 2, 4))))
    length = max(map(len, states))
    out = bytearray()
    for at in range(0, length, powercut.SECTOR):
        out += chance.choice(states)[at:at + powercut.SECTOR].ljust(min(powercut.SECTOR, length - at), b"\0")
    return out
