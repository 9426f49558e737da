# SPDX-License-Identifier: ISC
"""The suite's own messages: frames as lib/mail/ipc.h has them."""
import os
import re
import socket
import struct

from hermodtest.suite import patience

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FRAME_MAX = 65536
TYPES = {name: n + 1 for n, name in enumerate(re.findall(
    r"^MSG\((\w+)\)", open(os.path.join(ROOT, "lib", "mail", "messages.def")).read(), re.M))}


def text(s):
    return struct.pack("<I", len(s)) + s


def cut_text(s):
    """The first text of a run, and what follows it."""
    n = struct.unpack_from("<I", s)[0]
    assert len(s) >= 4 + n
    return s[4:4 + n], s[4 + n:]


def frame(name, body=b"", id=1):
    return struct.pack("<II", TYPES[name], id) + body


def connect(path):
    """A connection on which both have said hello."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20 * patience())
    s.connect(path)
    hello = s.recv(FRAME_MAX)		# its hash is ours
    if not hello:
        raise EOFError(path)
    assert struct.unpack_from("<I", hello)[0] == TYPES["hello"]
    s.send(hello)
    return s
