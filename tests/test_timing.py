# SPDX-License-Identifier: ISC
"""
Whether the time of an answer tells if there is such an account. One auth, of which the test is the login service: what is measured
is what nobody can measure better from outside.

Answers of accounts that are there and of names that nobody has are taken in turn, in random order, each from an address and for a
name of its own. The difference of the two medians is seen where it is more than that of any of a thousand random splits of all the
answers into two halves: by chance that happens once in a thousand times. It counts when it is seen three times in a row.
"""
import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import os
import random
import statistics
import time

import pytest

from hermodtest.alone import Alone
from hermodtest.suite import patience

SPLITS, TRIES = 1000, 3
SECRET = "correct horse"
CONTINUE, OK, FAILED = 1, 2, 3


# ---- accounts

def crypt(setting, salt_count=0):
    """A hash as another program may have made it."""
    lib = ctypes.CDLL(ctypes.util.find_library("crypt"))
    lib.crypt.restype = lib.crypt_gensalt.restype = ctypes.c_char_p
    salt = lib.crypt_gensalt(setting.encode(), ctypes.c_ulong(salt_count), None, 0)
    return lib.crypt(SECRET.encode(), salt).decode()


def scram_keys(iterations=8192):
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), salt, iterations)
    client, server = (hmac.digest(salted, what, "sha256") for what in (b"Client Key", b"Server Key"))
    b64 = [base64.b64encode(octets).decode() for octets in (salt, hashlib.sha256(client).digest(), server)]
    return f"{iterations}:{b64[0]}${b64[1]}:{b64[2]}"


class Answers:
    """auth with so many accounts user0, user1, ... of this row; ask it as a login service does."""

    def __init__(self, folder, n, row, asks=None, **settings):
        os.makedirs(folder / "auth")
        with open(folder / "accounts", "w") as f:
            for i in range(n):
                f.write(f"user{i}@hermod.test " + "\n\t".join(row) + "\n")
        self.n, self.calls = 0, 0
        self.auth = Alone("auth", {"hostname": "mx.hermod.test", "account_map": f"text:{folder}/accounts", "mail_directory": folder,
                                   "system_accounts": False, "mail_uid": 1000, "mail_gid": 1000, "first_uid": 1, **settings},
                          asks={"become": lambda name, values: ("ticket_kept", {}), "fetch": asks or (lambda name, values: None)},
                          files={"auth_directory": folder / "auth"})
        self.channel = self.auth.pair("imap-login", False)

    def address(self):
        self.n += 1
        return f"10.{self.n >> 16}.{self.n >> 8 & 255}.{self.n & 255}"

    def ask(self, message, **values):
        """(the answer, how long it took)"""
        self.calls += 1
        id = 0x80000000 | self.calls
        begin = time.perf_counter()
        self.channel.send(message, id, **values)
        name, got, answer = self.channel.receive(60 * patience())
        took = time.perf_counter() - begin
        assert (name, got) == ("auth_step", id)
        return answer, took

    def start(self, mechanism, initial=None):
        return self.ask("auth_start", protocol="imap", mechanism=mechanism, client=self.address(), session_id="s", secure=1,
                        has_initial=int(initial is not None), initial=initial or b"")

    def more(self, exchange, response=b"", cancel=0):
        return self.ask("auth_more", exchange=exchange, response=response, cancel=cancel)


# ---- questions: each says how long the answer took that could tell

def plain(a, user, password="wrong"):
    answer, took = a.start("PLAIN", f"\0{user}\0{password}".encode())
    assert answer["result"] == FAILED
    return took


def scram(a, user):
    answer, took = a.start("SCRAM-SHA-256", f"n,,n={user},r=fyko+d2lbbFgONRv9qkxdawL".encode())
    assert answer["result"] == CONTINUE and b",i=8192" in answer["challenge"]
    assert a.more(answer["exchange"], cancel=1)[0]["result"] == FAILED
    return took


def cram(a, user):
    answer, _ = a.start("CRAM-MD5")
    assert answer["result"] == CONTINUE
    answer, took = a.more(answer["exchange"], f"{user} {'0' * 32}".encode())
    assert answer["result"] == FAILED
    return took


def bearer(a, user):
    """A good token, of another."""
    answer, took = a.start("OAUTHBEARER", f"n,a={user},\1host=mx.hermod.test\1port=993\1auth=Bearer good\1\1".encode())
    assert answer["result"] == CONTINUE and b"invalid_token" in answer["challenge"]
    assert a.more(answer["exchange"], b"\1")[0]["result"] == FAILED
    return took


# ---- what is seen of it

def seen(there, nobody):
    """(difference of the medians, the most that chance makes of it), seconds"""
    everything = there + nobody
    chance = 0
    for _ in range(SPLITS):
        random.shuffle(everything)
        half = statistics.median(everything[:len(there)]) - statistics.median(everything[len(there):])
        chance = max(chance, abs(half))
    return statistics.median(there) - statistics.median(nobody), chance


def tells_nothing(answers, question, samples, first=0):
    figures = []
    for attempt in range(TRIES):
        times = {"user": [], "nobody": []}
        at = first + attempt * samples
        for i in range(samples):
            for who in random.sample(sorted(times), 2):
                times[who].append(question(answers, f"{who}{at + i}@hermod.test"))
        difference, chance = seen(times["user"], times["nobody"])
        figures.append(f"medians differ by {difference * 1e6:+.1f} us, by chance up to {chance * 1e6:.1f} us; "
                       f"{statistics.median(times['user']) * 1e6:.0f} us, {samples} samples each")
        print(figures[-1])
        if abs(difference) <= chance:
            return
    raise AssertionError("accounts are told from names that nobody has:\n" + "\n".join(figures))


def test_differences_are_seen():
    """One of half a millisecond between answers that vary by far more."""
    def answers(more):
        return [random.gauss(0.02, 0.002) + more for _ in range(2000)]
    difference, chance = seen(answers(0.0005), answers(0))
    assert difference > chance
    assert any(abs(d) <= c for d, c in (seen(answers(0), answers(0)) for _ in range(TRIES)))


@pytest.mark.plain
def test_scram_first_step(tmp_path):
    samples = 1000
    a = Answers(tmp_path, TRIES * samples, ["scram-sha-256=" + scram_keys()], auth_mechanisms=["SCRAM-SHA-256"])
    try:
        tells_nothing(a, scram, samples)
    finally:
        a.auth.end()


HASHES = {"own": lambda: crypt("$y$"), "cheap": lambda: crypt("$6$", 1000)}


@pytest.mark.long
@pytest.mark.plain
@pytest.mark.parametrize("hash", HASHES)
def test_plain(tmp_path, hash):
    """Where the hash in the table is the one that unknown names are compared with, and where it costs nearly nothing beside it."""
    samples = 200
    a = Answers(tmp_path, TRIES * samples, ["password=" + HASHES[hash]()], auth_mechanisms=["PLAIN"])
    try:
        tells_nothing(a, plain, samples)
    finally:
        a.auth.end()


@pytest.mark.long
@pytest.mark.plain
def test_disabled(tmp_path):
    """With the right password, too."""
    samples = 200
    a = Answers(tmp_path, TRIES * samples, ["password=" + crypt("$y$"), "state=disabled"], auth_mechanisms=["PLAIN"])
    try:
        tells_nothing(a, lambda a, user: plain(a, user, SECRET), samples)
    finally:
        a.auth.end()


@pytest.mark.long
@pytest.mark.plain
def test_cram(tmp_path):
    samples = 200
    a = Answers(tmp_path, TRIES * samples, ["password={PLAIN}" + SECRET], auth_mechanisms=["CRAM-MD5"], allow_plain_passwords=True)
    try:
        tells_nothing(a, cram, samples)
    finally:
        a.auth.end()


@pytest.mark.long
@pytest.mark.plain
def test_bearer(tmp_path):
    """The token is user0's, who is asked for by nobody."""
    samples = 200
    claims = b'{"active":true,"email":"user0@hermod.test","exp":%d}' % (time.time() + 86400)
    a = Answers(tmp_path, 1 + TRIES * samples, ["password=" + crypt("$y$")], lambda name, values: ("token_answer", {"body": claims}),
                auth_mechanisms=["OAUTHBEARER"], oauth_introspection_url="https://localhost:1/")
    try:
        tells_nothing(a, bearer, samples, first=1)
    finally:
        a.auth.end()
