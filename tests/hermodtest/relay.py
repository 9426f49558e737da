# SPDX-License-Identifier: ISC
"""smtp-client alone: the test is qmgr, the resolver and the router."""
import os
import socket
import struct

from hermodtest.alone import Alone, run_of, split_run

TRY_LATER, DELIVERED, BOUNCE = range(3)
NOT_SURE, YES, NO = range(3)                                           # enum verdict
NONE, GOOD, BUSY, FAILED = range(4)                                    # enum relay_contact
DNS_FAILED, DNS_FOUND, DNS_NO_DATA, DNS_NO_NAME, DNS_BOGUS = range(5)
TYPES = {"A": 1, "CNAME": 5, "MX": 15, "AAAA": 28, "TLSA": 52}
STS_UNKNOWN, STS_NO_POLICY, STS_POLICY = range(3)                      # enum sts_result
STS_MODES = {"none": 0, "testing": 1, "enforce": 2}
MESSAGE = b"From: a@here.test\r\nSubject: test\r\n\r\nHello.\r\n..two dots\r\n.\r\nend\r\n"

SETTINGS = {"hostname": "client.test", "listen_smtp": ["127.0.0.1:9"], "smtp_connect_timeout": "2s", "smtp_dns_timeout": "3s",
            "smtp_quit_timeout": "1s", "smtp_allow_loopback": True}


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def rdata(kind, value):
    if kind == "MX":
        preference, name = value.split(" ")
        return struct.pack(">H", int(preference)) + wire(name)
    if kind == "TLSA":
        *numbers, data = value.split(" ")
        return bytes(int(n) for n in numbers) + bytes.fromhex(data)
    if kind == "CNAME":
        return wire(value)
    return socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, value)


class Result:
    """What became of one recipient."""

    def __init__(self, result, reply):
        self.outcome, self.uncertain, self.dsn = result["outcome"], result["uncertain"], result["dsn"]
        self.status, self.reply, self.remote, self.command, self.said = (
            reply[f].decode() for f in ("status", "reply", "remote", "command", "said"))

    def __repr__(self):
        return f"{self.outcome} {self.status} {self.reply!r} remote={self.remote} command={self.command} said={self.said!r}"


class Relayed:
    def __init__(self, m):
        replies = split_run("relay_reply", m["replies"])
        self.contact, self.tls = m["contact"], m["tls"].decode()
        self.results = [Result(r, replies[r["reply"]]) for r in split_run("relay_result", m["results"])]
        self.replies = len(replies)

    def outcomes(self):
        return [r.outcome for r in self.results]

    def __getattr__(self, name):            # of the only recipient
        results = self.__dict__.get("results", [])
        if len(results) != 1:
            raise AttributeError(name)
        return getattr(results[0], name)

    def __repr__(self):
        return f"contact={self.contact} tls={self.tls!r} {self.results}"


class Relay(Alone):
    def __init__(self, zone=None, env=None, logins=None, **settings):
        """zone: {(name, type): [values], or a DNS_ result, or None for no answer}; logins: {next hop: credentials_answer, or
        None for no answer}; "*" for all others"""
        self.zone, self.questions, self.logins, self.logins_asked = zone or {}, [], logins or {}, []
        self.sockets = settings.get("lmtp_sockets", [])
        # insecure: names that are not signed. policies: {domain: (mode, mx, ...), or None for no answer}
        self.insecure, self.policies, self.policies_asked = set(), {}, []
        self.seen = []                      # tls_seen
        super().__init__("smtp-client", {**SETTINGS, **settings}, asks={"resolver": self.resolve, "fetch": self.policy,
                                                                         "router": self.find_login},
                         asked_by=["qmgr"], env=env)

    def policy(self, name, values):
        if name == "tls_seen":
            self.seen.append(values)
            return None
        domain = values["domain"].decode()
        self.policies_asked.append(domain)
        if domain not in self.policies:
            return "sts_answer", {"result": STS_NO_POLICY}
        if self.policies[domain] is None:
            return None
        mode, *mx = self.policies[domain]
        return "sts_answer", {"result": STS_POLICY, "mode": STS_MODES[mode], "id": "1", "max_age": 86400,
                              "mx": b"".join(struct.pack("<I", len(p)) + p.encode() for p in mx)}

    def asked(self, name, values):
        """Master connects to a UNIX socket; self.sockets: paths, or an errno instead of one."""
        assert name == "dial", name
        path = self.sockets[values["which"]]
        if isinstance(path, int):
            return "dialled", {"status": path}
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
        except OSError as e:
            return "dialled", {"status": e.errno}
        return "dialled", {"fd": s.detach()}

    def find_login(self, name, m):
        nexthop = m["nexthop"].decode()
        self.logins_asked.append(nexthop)
        answer = self.logins.get(nexthop, self.logins.get("*", {"verdict": NO}))
        return answer and ("credentials_answer", answer)

    def resolve(self, name, m):
        kind = {v: k for k, v in TYPES.items()}.get(m["type"], "?")
        asked = m["name"].decode()
        self.questions.append((asked, kind))
        known = self.zone.get((asked, kind), DNS_NO_DATA)
        if known is None:
            return None
        answer = {"result": known if isinstance(known, int) else DNS_FOUND, "ttl": 60, "secure": int(asked not in self.insecure), "name": asked}
        if answer["result"] in (DNS_FAILED, DNS_BOGUS):
            answer["why"] = "the test says so"
        if isinstance(known, list):
            records = [rdata(kind, v) for v in known]
            answer["records"] = b"".join(struct.pack("<I", len(r)) + r for r in records)
        return "dns_answer", answer

    def begin(self, nexthop, rcpts=("a@x.test",), message=MESSAGE, transport="smtp", file=None, segments=None, **how):
        """A job; the number of the call. rcpts: addresses, or dicts of relay_rcpt."""
        own = file is None
        if own:
            file = os.memfd_create("message")
            os.write(file, message)
        size = len(message)
        if segments is None:
            segments = struct.pack("<BQQ", 1, 0, size) if size else b""
        items = [r if isinstance(r, dict) else {"address": r} for r in rcpts]
        values = {"queue_id": "TEST", "file": file, "transport": transport, "nexthop": nexthop, "sender": "s@here.test",
                  "mt_priority": 9, "arrival": 1, "size": size, "segments": segments,
                  "recipients": run_of("relay_rcpt", items)}
        values.update(how)
        call = self.ask("qmgr", "relay", **values)
        if own:
            os.close(file)
        return call

    def result(self, call, timeout=20):
        return Relayed(self.answer(call, timeout, "qmgr"))

    def relay(self, nexthop, *args, timeout=20, **how):
        return self.result(self.begin(nexthop, *args, **how), timeout)
