# SPDX-License-Identifier: ISC
"""
The octets of a notification, judged by somebody else: Python's email reads what notice_writer writes, of envelopes, replies
and content as nobody should send them.
"""
import base64
import email
import email.policy
import os
import random
import re
import subprocess

import pytest

from hermodtest.suite import build_dir

FAILED, PASSED, WAITING = 2, 4, 0
HDRS, FULL = 2, 1
MESSAGE = (b"From: anna@hermod.test\r\nTo: bert@example.org\r\nSubject: hello\r\nMessage-ID: <1@hermod.test>\r\n"
           b"\r\nHello.\r\n")


def octets(v):
    return v if isinstance(v, bytes) else str(v).encode()


def rcpt(**values):
    return {"original": "bert@example.org", "final": "bert@example.org", "state": FAILED, "reply": "5.1.1 no such user",
            "remote": "mx.example.org [192.0.2.1]:25", "command": "RCPT", "said": "550 5.1.1 no such user",
            "attempts": 1, "last": 1699999000, "transport": "smtp", **values}


def write(tmp_path, message=MESSAGE, rcpts=None, templates=None, **envelope):
    """-> (octets, what notice_writer says of them), or None when nobody is told."""
    path = tmp_path / "message"
    path.write_bytes(message)
    values = {"sender": "anna@hermod.test", "client": "192.0.2.9", "helo": "client.test", "arrival": 1699900000, **envelope}
    lines = list(values.items())
    for r in rcpts or [rcpt()]:
        lines += [("rcpt", 1), *r.items()]
    r = subprocess.run([os.path.join(build_dir(), "test", "programs", "notice_writer"), path, *([templates] if templates else [])],
                       input="".join(f"{k} {octets(v).hex()}\n" for k, v in lines).encode(), stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert r.returncode in (0, 3), r.stderr.decode(errors="replace")
    return None if r.returncode == 3 else (r.stdout, r.stderr.decode())


def read(raw, strict=True):
    """(message, text, fields of the message, [fields of a recipient], returned part or None); strictly."""
    for line in raw.split(b"\r\n"):
        assert len(line) <= 998 and b"\r" not in line and b"\n" not in line and b"\0" not in line
    m = email.message_from_bytes(raw, policy=email.policy.default.clone(utf8=True, raise_on_defect=strict))
    assert m.get_content_type() == "multipart/report"
    parts = m.get_payload()
    assert 2 <= len(parts) <= 3
    assert parts[0].get_content_type() == "text/plain"
    assert m.get_param("report-type") == parts[1].get_content_subtype()
    text = parts[0].get_payload(decode=True).decode("utf-8")
    status = parts[1].get_payload()
    if isinstance(status, str):         # Python does not know message/global-delivery-status
        groups = [email.message_from_string(g + "\r\n\r\n") for g in re.split(r"\r?\n\r?\n", status.strip("\r\n"))]
    else:
        groups = status
    groups = [g for g in groups if len(g)]
    assert [k for k in groups[0] if k not in ("Original-Envelope-Id", "Reporting-MTA", "Received-From-MTA", "Arrival-Date")] == []
    return m, text, groups[0], groups[1:], parts[2] if len(parts) > 2 else None


def check_recipient(g):
    order = ["Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date",
             "Final-Log-ID", "Will-Retry-Until"]
    assert [order.index(k) for k in g] == sorted({order.index(k) for k in g}), g.keys()
    assert g["Action"] in ("failed", "delayed", "delivered", "relayed", "expanded")
    assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", g["Status"])
    assert re.match(r"(rfc822|utf-8); ", g["Final-Recipient"], re.I)


def test_a_failure(tmp_path):
    raw, said = write(tmp_path, envid="E-1", rcpts=[rcpt(orcpt="rfc822;Bert@example.org", said="550-no\n550 never")])
    m, text, message, rcpts, returned = read(raw)
    assert said == "body 0 smtputf8 0 returned 2\n"
    assert m["From"].addresses[0].addr_spec == "postmaster@mx.example.org"
    assert m["To"].addresses[0].addr_spec == "anna@hermod.test"
    assert m["Auto-Submitted"] == "auto-replied"
    assert m["References"] == m["In-Reply-To"] == "<1@hermod.test>"
    assert message["Original-Envelope-Id"] == "E-1"
    assert len(rcpts) == 1
    check_recipient(rcpts[0])
    assert rcpts[0]["Original-Recipient"] == "rfc822; Bert@example.org"
    assert "".join(rcpts[0]["Diagnostic-Code"].splitlines()) == "smtp; 550-no 550 never"
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_payload(0)["Subject"] == "hello"
    assert "<bert@example.org>" in text and "550-no" in text


def test_nobody_is_told(tmp_path):
    assert write(tmp_path, rcpts=[rcpt(notify=1)]) is None


@pytest.mark.parametrize("message", [
    b"Subject: x\r\n\r\n" + b"a" * 5000 + b"\r\n",
    b"Subject: x\r\n\r\n\0\r\n",
    b"Subject: x\r\n\r\na\rb\nc\r\n",
    b"X: " + b"a" * 5000 + b"\r\n\0\x80\xff: \r\n \r\n\r\n",
    b"\r\n", b"", b"no header"])
def test_content_that_nobody_should_send(tmp_path, message):
    for ret in (HDRS, FULL):
        for takes in (0, 1):
            raw, _ = write(tmp_path, message, ret=ret, takes_8bit=takes)
            _, _, _, rcpts, _ = read(raw, strict=message != b"no header")     # which is returned as it is
            assert len(rcpts) == 1


def test_a_large_message_comes_back_whole(tmp_path):
    body = b"".join(b"%078d\r\n" % i for i in range(200000))
    raw, _ = write(tmp_path, b"Subject: x\r\n\r\n" + body, ret=FULL, full_octets=1 << 30)
    assert b"Content-Type: message/rfc822" in raw and body in raw
    raw, _ = write(tmp_path, b"Subject: x\r\n\r\n" + body, ret=FULL, full_octets=1 << 20)
    assert len(raw) < 8000


def test_utf8_that_must_be_encoded_is_the_same_behind_it(tmp_path):
    message = "Subject: grüße\r\n\r\nhällo\r\n".encode() * 1000
    for takes in (0, 1):
        raw, said = write(tmp_path, message, smtputf8=1, takes_8bit=takes,
                          rcpts=[rcpt(original="jörg@example.org", final="jörg@example.org")])
        assert raw.isascii() == (not takes)
        assert said == f"body {takes} smtputf8 {takes} returned 2\n"
        m = email.message_from_bytes(raw)
        part = m.get_payload()[2]
        assert part.get_content_type() == "message/global"
        if not takes:
            encoded = raw.split(b"base64\r\n\r\n")[1].split(b"\r\n\r\n--")[0]
            assert base64.b64decode(encoded) == message
            assert b"Final-Recipient: utf-8; j\\x{F6}rg@example.org\r\n" in raw
        else:
            assert message in raw
            assert "Final-Recipient: utf-8; jörg@example.org\r\n".encode() in raw


def test_a_template(tmp_path):
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "failure.txt").write_text("Subject: Größe\n\nGrüß $sender: $$5, " + "lang " * 40 + "\n$recipients\n")
    raw, _ = write(tmp_path, templates=folder, takes_8bit=1)
    m, text, *_ = read(raw)
    assert m["Subject"] == "Größe"
    assert "Grüß anna@hermod.test: $5, lang lang" in text
    assert max(len(line) for line in text.splitlines()) <= 78
    (folder / "failure.txt").write_text("Subject: x\n\n$bert\n")
    raw, said = write(tmp_path, templates=folder)
    assert "line 3: $bert is no name" in said
    assert read(raw)[0]["Subject"] == "Your message could not be delivered"


# ---- anything ------------------------------------------------------------------------------------------

BITS = [b"a", b"b@c.example", b" ", b"  ", b"\t", b"\r\n", b"\n", b"\r", b"\0", b"\x1b[2J", b"\xff", "ü".encode(), "\u202e".encode(),
        b"550-", b"550 ", b"5.1.1 ", b";", b":", b"<", b">", b"(", b")", b'"',
        b"\r\n\r\n", b"\nFinal-Recipient: rfc822; x@y", b"\r\nBcc: x@y\r\n", b"x" * 1000, b"=?utf-8?B?Cgo=?=", b"$sender", b"\\"]


WITH_BOUNDARY = BITS + [b"--=_hermod_30313233343536373839616263646566"]


def anything(chance, bits, most=12):
    return b"".join(chance.choice(bits) for _ in range(chance.randrange(most)))


def some_rcpt(chance, bits):
    out = rcpt(state=chance.choice([FAILED, PASSED, WAITING]), notify=chance.choice([0, 2, 4, 6, 14]), attempts=chance.randrange(40))
    for name in ("original", "final", "orcpt", "reply", "remote", "command", "said"):
        if chance.random() < 0.5:
            out[name] = anything(chance, bits)
    return out


def some_message(chance, bits):
    head = b"".join(chance.choice([b"Subject: ", b"Message-ID: ", b"X: ", b""]) + anything(chance, bits) + b"\r\n" for _ in range(5))
    return head.replace(b"\r\n\r\n", b"\r\n") + b"\r\n" + anything(chance, bits, 40)


@pytest.mark.parametrize("part", range(8))
def test_anything(tmp_path, part):
    seed = int(os.environ.get("HERMOD_SEED", random.randrange(1000000)))
    print("seed", seed)
    chance = random.Random(seed * 8 + part)
    seen = 0
    for _ in range(25):
        kind, bits = chance.choice([0, 0, 0, 1]), chance.choice([BITS, BITS, WITH_BOUNDARY])
        rcpts = [some_rcpt(chance, bits) for _ in range(chance.randrange(1, 5))]
        made = write(tmp_path, some_message(chance, bits), rcpts, sender=chance.choice([b"anna@hermod.test", anything(chance, bits, 4)]),
                     envid=anything(chance, bits, 4), helo=anything(chance, bits, 4), smtputf8=chance.randrange(2),
                     ret=chance.randrange(3), takes_8bit=chance.randrange(2), to_postmaster=chance.randrange(2), kind=kind)
        if made is None or bits is WITH_BOUNDARY:       # bounce chooses one that nobody can know before
            continue
        seen += 1
        raw, said = made
        assert raw.isascii() or "body 1" in said or "smtputf8 1" in said
        assert raw.count(b"\n--=_hermod_30313233343536373839616263646566\r\n") in (2, 3)
        assert raw.endswith(b"\r\n--=_hermod_30313233343536373839616263646566--\r\n")
        head = raw.split(b"\r\n\r\n")[0]
        assert head.count(b"\r\nTo: ") == 1 and b"\r\nBcc:" not in head
        status = raw.split(b"delivery-status\r\n", 1)[1].split(b"\r\n\r\n", 1)[1].split(b"\r\n--=_hermod")[0]
        groups = status.strip(b"\r\n").split(b"\r\n\r\n")
        assert all(g.count(b"\r\nFinal-Recipient: ") + g.startswith(b"Final-Recipient: ") == 1 for g in groups[1:])
        assert 1 <= len(groups) - 1 <= len(rcpts)
    assert seen > 0
