# SPDX-License-Identifier: ISC
"""Messages for servers without 8BITMIME or BINARYMIME (lib/mail/downgrade.h), as another reader sees them: Python's email
package finds the same parts in what goes out, and decodes the same octets."""
import email
import email.policy
import os
import random
import re
import subprocess

import pytest

from hermodtest.suite import build_dir

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDERS = ("vectors/mime/mime4j", "vectors/mime/mimetools", "corpus/mime_tree", "corpus/imap_structure", "corpus/digest")
READER = email.policy.compat32


def downgrade(what, message):
    """(message, None) or (None, why)"""
    r = subprocess.run([os.path.join(build_dir(), "test", "programs", "downgrade"), what], input=message,
                       stdout=subprocess.PIPE, timeout=60)
    assert r.returncode in (0, 1)
    return (r.stdout, None) if r.returncode == 0 else (None, r.stdout.decode())


def parts(octets):
    """Of each part: type, boundary, and the octets that a reader gets, or how many parts there are in it."""
    out = []
    for p in email.message_from_bytes(octets, policy=READER).walk():
        if p.is_multipart():
            out.append((p.get_content_type(), len(p.get_payload())))
        else:
            out.append((p.get_content_type(), p.get_payload(decode=True)))
    return out


def check(what, message):
    converted, why = downgrade(what, message)
    if converted is None:
        assert re.match(r"5\.6\.[39] \w", why)
        return None
    if what != "lines":
        assert max(converted, default=0) < 128
    if what != "8bit":
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0|[^\r\n]{999}", converted)
    assert parts(converted) == parts(message)
    return converted


def leaf(rng, binary):
    kind = rng.choice(["text/plain; charset=utf-8", "text/html; charset=iso-8859-1", "image/png", "application/x-y", None])
    text = kind is None or kind.startswith("text")
    if text and not binary:
        lines = ["".join(rng.choice("abc =.-\t \u00e4\u20ac") for _ in range(rng.randrange(120))) for _ in range(rng.randrange(9))]
        body = "\r\n".join(lines).encode()
    else:
        body = bytes(rng.choice((rng.randrange(256), 10, 13, 61, 32)) for _ in range(rng.randrange(3000)))
        if not binary:
            body = re.sub(rb"[\r\n\0]", b"\xff", body)
            body = b"\r\n".join(body[i:i + 900] for i in range(0, len(body), 900))
    # Another reader is not asked what a body is that looks like a boundary.
    body = body.replace(b"--b", b"-.b")
    label = rng.choice(["", "", "Content-Transfer-Encoding: %s\r\n" % ("binary" if binary else "8bit")])
    return (("Content-Type: %s\r\n" % kind if kind else "") + label + "Content-Description: a part\r\n\r\n").encode() + body


def entity(rng, binary, depth=0):
    what = rng.randrange(4) if depth < 4 else 0
    if what == 0 or (what == 1 and depth == 0):
        return leaf(rng, binary)
    if what == 1:
        return b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nMIME-Version: 1.0\r\n" + entity(rng, binary, depth + 1)
    name = b"b%d-%d" % (depth, rng.randrange(1000))
    out = b"Content-Type: multipart/mixed; boundary=\"" + name + b"\"\r\n\r\npreamble\r\n"
    for _ in range(rng.randrange(1, 4)):
        out += b"--" + name + b"\r\n" + entity(rng, binary, depth + 1) + b"\r\n"
    return out + b"--" + name + b"--\r\n"


@pytest.mark.parametrize("what", ["8bit", "both", "lines"])
def test_by_chance(what):
    rng = random.Random(6152)
    for _ in range(150):
        message = b"Subject: x\r\nMIME-Version: 1.0\r\n" + entity(rng, what != "8bit") + b"\r\n"
        assert check(what, message) is not None


def test_collections():
    """Messages as they should not be: converted or refused, but never changed in what they say."""
    done = 0
    for folder in FOLDERS:
        for name in sorted(os.listdir(os.path.join(HERE, folder))):
            octets = open(os.path.join(HERE, folder, name), "rb").read()
            octets = re.sub(rb"\r(?!\n)", b"?", re.sub(rb"(?<!\r)\n", b"\r\n", octets))
            converted, why = downgrade("8bit", octets)
            assert why is None or why.startswith("5.6.")
            assert converted is None or max(converted, default=0) < 128
            done += converted is not None and converted != octets
    assert done >= 5


def test_signed_stays():
    inner = b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nasis \r\n--b\r\n\r\nsignature\r\n--b--\r\n"
    head = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n"
    converted, _ = downgrade("8bit", head + inner)
    assert converted == head.replace(b"8bit", b"7bit") + inner
    assert downgrade("8bit", head + inner.replace(b"asis", b"\xe4"))[1].startswith("5.6.3 ")
