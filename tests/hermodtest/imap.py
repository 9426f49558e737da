# SPDX-License-Identifier: ISC
"""
IMAP as the RFCs have it, for tests: a strict parser of responses, a client that keeps watch over the server, and a
model of what the server must hold.

    parse_response(octets) -> Response      one response with its literals, exactly by the grammar; else Illegal
    Client(host, port)                      commands, pipelines, IDLE; a Mirror of the selected mailbox; else Broken
    Model()                                 folders and messages; check(mirror, session) knows impossible views

Octets that were strings on the wire (quoted, literal) are bytes, NIL is None, atoms are str. What is case-insensitive
has one spelling: names of responses, codes and data items and capabilities are in capitals, system flags and the
attributes of LIST as their RFC spells them, INBOX is INBOX. Sets of numbers are tuples of (first, last), first <= last;
see expand().
"""
import base64
import binascii
import collections
import datetime
import hashlib
import re
import socket
import time
from typing import NamedTuple

from hermodtest.suite import patience


class Illegal(AssertionError):
    """Octets that the grammar does not allow."""

    def __init__(self, octets, at, wanted):
        self.octets, self.at, self.wanted = bytes(octets), at, wanted
        before, after = self.octets[max(0, at - 60):at], self.octets[at:at + 60]
        super().__init__(f"at octet {at}, after {before!r}: expected {wanted}, found {after!r}")


class Incomplete(Exception):
    """The octets end within a literal or right after one; so many are missing at least."""

    def __init__(self, missing):
        super().__init__(missing)
        self.missing = missing


# ---- what a response becomes ------------------------------------------------------------

class Response(NamedTuple):
    """
    tag     "*", "+", or the tag
    name    OK NO BAD PREAUTH BYE, CAPABILITY, FETCH ...; "+" of a continuation
    number  of EXISTS, RECENT, EXPUNGE, FETCH
    data    CAPABILITY, ENABLED: tuple of str.  FLAGS: frozenset.  LIST, LSUB: Listing.  SEARCH: Search.
            ESEARCH: Esearch.  STATUS: (mailbox, {item: value}).  ID: {bytes: bytes or None} or None.
            VANISHED: Vanished.  FETCH: {item: value}.
            NAMESPACE: three of (None or ((prefix, separator, {bytes: (bytes, ...)}), ...)).
    code    (name, argument) of a status response, or None
    text    its text
    """
    tag: str
    name: str
    number: int = None
    data: object = None
    code: tuple = None
    text: str = None


class Listing(NamedTuple):
    attributes: frozenset
    separator: str
    mailbox: str
    extended: dict = {}


class Search(NamedTuple):
    numbers: tuple
    modseq: int = None


class Esearch(NamedTuple):
    tag: bytes
    uid: bool
    items: dict


class Vanished(NamedTuple):
    earlier: bool
    uids: tuple


class Address(NamedTuple):
    name: bytes
    adl: bytes
    mailbox: bytes
    host: bytes


class Envelope(NamedTuple):
    date: bytes
    subject: bytes
    from_: tuple
    sender: tuple
    reply_to: tuple
    to: tuple
    cc: tuple
    bcc: tuple
    in_reply_to: bytes
    message_id: bytes


class Part(NamedTuple):
    """A body that is no multipart. extension: as many of (MD5, disposition, language, location) as were there."""
    type: bytes
    subtype: bytes
    parameters: tuple
    id: bytes
    description: bytes
    encoding: bytes
    octets: int
    lines: int = None
    envelope: Envelope = None
    body: object = None
    extension: tuple = ()


class Multipart(NamedTuple):
    """extension: as many of (parameters, disposition, language, location) as were there."""
    parts: tuple
    subtype: bytes
    extension: tuple = ()


def expand(numbers, limit=1000000):
    """The numbers of a set, in its order."""
    assert size(numbers) <= limit, f"{numbers} is too much to list"
    return [n for first, last in numbers for n in range(first, last + 1)]


def size(numbers):
    return sum(last - first + 1 for first, last in numbers)


def ranges(numbers):
    """The set of these numbers, ascending: what expand() takes back."""
    out = []
    for n in sorted(set(numbers)):
        if out and out[-1][1] == n - 1:
            out[-1] = (out[-1][0], n)
        else:
            out.append((n, n))
    return tuple(out)


def set_text(numbers):
    """As it stands in a command: "1:3,7"."""
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in ranges(numbers))


# ---- modified UTF-7, RFC 3501 section 5.1.3 ----------------------------------------------

def utf7_encode(text):
    """A mailbox name as it stands on the wire: its one legal form."""
    out, run = [], []

    def shift_back():
        if run:
            octets = base64.b64encode("".join(run).encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
            out.append(f"&{octets.decode()}-")
            run.clear()
    for c in text:
        if " " <= c <= "~":
            shift_back()
            out.append("&-" if c == "&" else c)
        else:
            run.append(c)
    shift_back()
    return "".join(out)


def utf7_decode(name):
    """The text of a name; ValueError says why it is none."""
    out, i = [], 0
    while i < len(name):
        c = name[i]
        if not " " <= c <= "~":
            raise ValueError(f"printable US-ASCII, not {c!r} (modified UTF-7)")
        if c != "&":
            out.append(c)
            i += 1
            continue
        end = name.find("-", i)
        if end < 0:
            raise ValueError("a - to end the BASE64 (modified UTF-7)")
        run = name[i + 1:end]
        if run == "":
            out.append("&")
        else:
            if not re.fullmatch(r"[A-Za-z0-9+,]+", run):
                raise ValueError("modified BASE64 (modified UTF-7)")
            try:
                octets = base64.b64decode(run.replace(",", "/") + "=" * (-len(run) % 4))
                text = octets.decode("utf-16-be")
            except (binascii.Error, UnicodeDecodeError):
                raise ValueError("whole UTF-16 characters in BASE64 (modified UTF-7)") from None
            if any(" " <= t <= "~" for t in text):
                raise ValueError("no BASE64 of printable US-ASCII (modified UTF-7)")
            if re.match("&[^-]", name[end + 1:end + 3]):
                raise ValueError("no null shift: -& within BASE64 (modified UTF-7)")
            out.append(text)
        i = end + 1
    text = "".join(out)
    if utf7_encode(text) != name:
        raise ValueError("no other bits than those of the characters in BASE64 (modified UTF-7)")
    return text


# ---- the grammar -----------------------------------------------------------------------

ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
TEXT = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]+")
CODE_TEXT = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x5c\x5e-\x7f]+")
QUOTED = re.compile(rb'"(?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]|\\["\\])*')
QUOTED_CHAR = re.compile(rb'"(?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]|\\(?=["\\])["\\])"')
LITERAL = re.compile(rb"\{([0-9]+)\}\r\n")
NUMBER = re.compile(rb"[0-9]+")
NZ_NUMBER = re.compile(rb"[1-9][0-9]*")
NIL = re.compile(rb"(?i:NIL)(?=[ )\r]|$)")
NAME = re.compile(rb"[A-Za-z0-9.-]+")
LABEL = re.compile(rb"[A-Za-z._-][A-Za-z0-9.:_-]*")
SECTION_TEXT = re.compile(rb"(?i:HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME)(?=[ \]])")
DATE_TIME = re.compile(rb'"( [0-9]|[0-9]{2})-((?i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec))-([0-9]{4})'
                       rb' ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"')
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def spellings(*names):
    return {n.upper(): n for n in names}


SYSTEM_FLAGS = spellings("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")

# RFC 3501 section 7.2.2, RFC 5258 section 6: of these only one.
SELECTABILITY = spellings("\\Noselect", "\\Marked", "\\Unmarked", "\\NonExistent")
# RFC 3501, RFC 5258, RFC 6154, RFC 8457.
ATTRIBUTES = spellings("\\Noinferiors", "\\HasChildren", "\\HasNoChildren", "\\Subscribed", "\\Remote", "\\All",
                       "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Important")
EXCLUSIVE = (("\\HasChildren", "\\HasNoChildren"),      # RFC 3348 section 3
             ("\\HasChildren", "\\Noinferiors"))

# Response codes without an argument.
PLAIN_CODES = set("""ALERT PARSE READ-ONLY READ-WRITE TRYCREATE UIDNOTSTICKY CLOSED NOMODSEQ NOTSAVED USEATTR TOOBIG
    UNKNOWN-CTE COMPRESSIONACTIVE HASCHILDREN
    UNAVAILABLE AUTHENTICATIONFAILED AUTHORIZATIONFAILED EXPIRED PRIVACYREQUIRED CONTACTADMIN NOPERM INUSE EXPUNGEISSUED
    CORRUPTION SERVERBUG CLIENTBUG CANNOT LIMIT OVERQUOTA ALREADYEXISTS NONEXISTENT""".split())

STATES = ("OK", "NO", "BAD", "BYE", "PREAUTH")
UINT32, INT63 = 2 ** 32 - 1, 2 ** 63 - 1


class Parser:
    """
    A recursive descent over one response; each method is the production of its name.

    Where the grammar leaves room that no server has a use for, this is narrower than the grammar; each place says so:
     - a text that begins with "[" is a response code that failed, RFC 3501 section 7.1 (by the grammar it is text);
     - codes, flags, attributes and body extensions that servers MUST or SHOULD NOT make up are refused unless `future`;
     - an item, a flag or an attribute stands once in its list;
     - a date must exist; a name of a mailbox is modified UTF-7.
    """

    def __init__(self, data, future=False):
        self.data, self.pos, self.future = data, 0, future

    def wrong(self, wanted, at=None):
        raise Illegal(self.data, self.pos if at is None else at, wanted)

    def at(self, octets):
        return self.data.startswith(octets, self.pos)

    def take(self, octets, wanted=None):
        if not self.at(octets):
            self.wrong(wanted or repr(octets.decode()))
        self.pos += len(octets)

    def sp(self):
        self.take(b" ", "SP")

    def match(self, pattern, wanted):
        m = pattern.match(self.data, self.pos)
        if not m:
            self.wrong(wanted)
        self.pos = m.end()
        return m

    def listed(self, one, least=0):
        """ "(" [one *(SP one)] ")" """
        self.take(b"(")
        out = []
        if least or not self.at(b")"):
            out.append(one())
            while not self.at(b")"):
                self.take(b" ", "SP or )")
                out.append(one())
        self.take(b")")
        return out

    def once(self, out, name, at):
        if name in out:
            self.wrong(f"{name} once only", at)

    # ---- atoms, numbers, strings ----

    def atom(self, wanted="an atom"):
        return self.match(ATOM, wanted).group().decode()

    def word(self, wanted):
        return self.match(NAME, wanted).group().decode().upper()

    def integer(self, pattern, limit, wanted, group=0):
        at = self.pos
        digits = self.match(pattern, wanted).group(group).lstrip(b"0")
        # int() itself does not take thousands of digits.
        if len(digits) > 20 or int(digits or b"0") > limit:
            self.wrong(f"{wanted} <= {limit}", at)
        return int(digits or b"0")

    def number(self, limit=UINT32, wanted="number"):
        return self.integer(NUMBER, limit, wanted)

    def nz_number(self):
        return self.integer(NZ_NUMBER, UINT32, "nz-number")

    def mod_sequence_value(self):
        at = self.pos
        n = self.number(INT63, "mod-sequence-value")
        if n == 0:
            self.wrong("mod-sequence-value > 0", at)
        return n

    def quoted(self):
        m = QUOTED.match(self.data, self.pos)
        if not m:
            self.wrong("a quoted string")
        if self.data[m.end():m.end() + 1] != b'"':
            self.wrong('QUOTED-CHAR or "', m.end())
        self.pos = m.end() + 1
        return re.sub(rb'\\(["\\])', rb"\1", m.group()[1:])

    def literal(self):
        n = self.integer(LITERAL, UINT32, "literal: {number}CRLF", 1)
        if self.pos + n >= len(self.data):          # a response never ends with a literal
            raise Incomplete(self.pos + n - len(self.data))
        out = self.data[self.pos:self.pos + n]
        nul = out.find(b"\0")
        if nul >= 0:
            self.wrong("CHAR8, no NUL", self.pos + nul)
        self.pos += n
        return out

    def string(self, wanted="a string"):
        if self.at(b'"'):
            return self.quoted()
        if self.at(b"{"):
            return self.literal()
        return self.wrong(wanted)

    def nil(self):
        m = NIL.match(self.data, self.pos)
        if m:
            self.pos = m.end()
        return m is not None

    def nstring(self):
        return None if self.nil() else self.string("a string or NIL")

    def astring(self, wanted="astring"):
        if self.at(b'"') or self.at(b"{"):
            return self.string()
        return self.match(ASTRING, wanted).group()

    def sequence_set(self):
        """Without "*": that is the client's to say. RFC 3501 section 9, seq-number."""
        out = []
        while True:
            first = last = self.nz_number()
            if self.at(b":"):
                self.pos += 1
                last = self.nz_number()
            out.append((min(first, last), max(first, last)))
            if not self.at(b","):
                return tuple(out)
            self.pos += 1

    def mailbox(self):
        at = self.pos
        octets = self.astring("mailbox")
        if octets.upper() == b"INBOX":
            return "INBOX"
        name = octets.decode("latin-1")
        try:
            utf7_decode(name)
        except ValueError as e:
            self.wrong(str(e), at)
        return name

    def date_time(self):
        at = self.pos
        day, month, year, h, m, s, sign, zh, zm = self.match(DATE_TIME, "date-time").groups()
        try:
            if int(zm) > 59:
                raise ValueError
            zone = datetime.timedelta(hours=int(zh), minutes=int(zm)) * (-1 if sign == b"-" else 1)
            leap = datetime.timedelta(seconds=1 if s == b"60" else 0)
            return leap + datetime.datetime(int(year), MONTHS.index(month.decode().lower()) + 1, int(day), int(h),
                                            int(m), int(s) - leap.seconds, tzinfo=datetime.timezone(zone))
        except ValueError:
            return self.wrong("a date that exists", at)

    # ---- flags ----

    def flag(self, also=()):
        if not self.at(b"\\"):
            return self.atom("a flag")
        at = self.pos
        self.pos += 1
        if "\\*" in also and self.at(b"*"):
            self.pos += 1
            return "\\*"
        name = "\\" + self.atom("the atom of a flag")
        if name.upper() == "\\RECENT":
            if "\\Recent" in also:
                return "\\Recent"
            self.wrong("a flag other than \\Recent", at)
        if name.upper() not in SYSTEM_FLAGS and not self.future:
            self.wrong("a system flag: servers MUST NOT make up a flag-extension", at)
        return SYSTEM_FLAGS.get(name.upper(), name)

    def flags(self, also=()):
        out = set()

        def one():
            at = self.pos
            name = self.flag(also)
            self.once(out, name, at)
            out.add(name)
        self.listed(one)
        return frozenset(out)

    # ---- status responses ----

    def resp_text(self):
        code = None
        if self.at(b"["):
            self.pos += 1
            code = self.resp_text_code()
            self.take(b"]")
            self.take(b" ", "SP after a response code")
        return code, self.match(TEXT, "text: 1*TEXT-CHAR").group().decode()

    def resp_text_code(self):
        at = self.pos
        name = self.atom("a response code").upper()

        def argument(read):
            self.sp()
            return name, read()
        if name == "CAPABILITY":
            return name, self.capability_data()
        if name == "BADCHARSET":
            if not self.at(b" "):
                return name, None
            return argument(lambda: tuple(self.listed(self.astring, 1)))
        if name == "PERMANENTFLAGS":
            return argument(lambda: self.flags(("\\*",)))
        if name in ("UIDNEXT", "UIDVALIDITY", "UNSEEN"):
            return argument(self.nz_number)
        if name == "HIGHESTMODSEQ":
            return argument(self.mod_sequence_value)
        if name == "MODIFIED":
            return argument(self.sequence_set)
        if name == "APPENDUID":             # RFC 4315 section 4; a set after MULTIAPPEND
            return argument(lambda: (self.nz_number(), self.sp(), self.sequence_set())[::2])
        if name == "COPYUID":
            return argument(self.copyuid)
        if name in PLAIN_CODES:
            if not self.at(b"]"):
                self.wrong(f"]: {name} has no argument")
            return name, None
        if not name.startswith("X") and not self.future:
            self.wrong("a response code of an RFC, or one with X before it", at)
        if not self.at(b" "):
            return name, None
        self.pos += 1
        return name, self.match(CODE_TEXT, "the argument of a response code").group().decode()

    def copyuid(self):
        validity = self.nz_number()
        self.sp()
        source = self.sequence_set()
        self.sp()
        at = self.pos
        copies = self.sequence_set()
        if size(source) != size(copies):
            self.wrong("as many UIDs as were copied (RFC 4315 section 3)", at)
        return validity, source, copies

    def capability(self):
        at = self.pos
        name = self.atom("a capability").upper()
        if name == "AUTH=":
            self.wrong("auth-type after AUTH=")
        if re.match("APPENDLIMIT=", name) and not re.fullmatch("[0-9]+", name[12:]):    # RFC 7889 section 5
            self.wrong("APPENDLIMIT=number", at)
        return name

    def capabilities(self):
        out = []
        while self.at(b" "):
            self.pos += 1
            out.append(self.capability())
        return tuple(out)

    def capability_data(self):
        at = self.pos
        out = self.capabilities()
        if "IMAP4REV1" not in out:
            self.wrong("IMAP4rev1 among the capabilities", at)
        return out

    # ---- data of the server and of mailboxes ----

    def id(self):                           # RFC 2971 sections 3.3 and 4
        if self.nil():
            return None
        out, folded, at = {}, set(), self.pos

        def pair():
            at = self.pos
            field = self.string()
            if len(field) > 30:
                self.wrong("a field of 30 octets at most", at)
            self.once(folded, field.lower(), at)
            self.sp()
            at = self.pos
            value = self.nstring()
            if len(value or b"") > 1024:
                self.wrong("a value of 1024 octets at most", at)
            folded.add(field.lower())
            out[field] = value
        self.listed(pair)
        if len(out) > 30:
            self.wrong("30 pairs at most", at)
        return out

    def separator(self):
        if self.nil():
            return None
        c = self.match(QUOTED_CHAR, "a separator in quotes, or NIL").group()
        return c[-2:-1].decode()

    def namespace(self):                    # RFC 2342 section 6
        if self.nil():
            return None
        out = []
        self.take(b"(", "( or NIL")
        while not out or self.at(b"("):     # no space between them
            self.take(b"(")
            at = self.pos
            prefix = self.string().decode("latin-1")
            try:
                utf7_decode(prefix)
            except ValueError as e:
                self.wrong(str(e), at)
            self.sp()
            separator, extensions = self.separator(), {}
            while self.at(b" "):
                self.pos += 1
                at = self.pos
                name = self.string()
                self.once(extensions, name, at)
                self.sp()
                extensions[name] = tuple(self.listed(self.string, 1))
            self.take(b")")
            out.append((prefix, separator, extensions))
        self.take(b")")
        return tuple(out)

    def namespaces(self):
        out = []
        for _ in range(3):
            self.sp()
            out.append(self.namespace())
        return tuple(out)

    def attributes(self):
        out = set()

        def one():
            at = self.pos
            self.take(b"\\")
            name = "\\" + self.atom("the atom of an attribute")
            known = SELECTABILITY.get(name.upper()) or ATTRIBUTES.get(name.upper())
            if not known and not self.future:
                self.wrong("an attribute of an RFC: servers MUST NOT make up a flag-extension", at)
            self.once(out, known or name, at)
            out.add(known or name)
            if len(out & set(SELECTABILITY.values())) > 1:
                self.wrong("one of \\Noselect, \\Marked, \\Unmarked, \\NonExistent only", at)
            for pair in EXCLUSIVE:
                if out >= set(pair):
                    self.wrong("not both " + " and ".join(pair), at)
        self.listed(one)
        return frozenset(out)

    def mailbox_list(self):                 # RFC 5258 section 6
        attributes = self.attributes()
        self.sp()
        separator = self.separator()
        self.sp()
        mailbox, extended = self.mailbox(), {}

        def item():
            at = self.pos
            tag = self.astring().decode("latin-1").upper()
            if not ATOM.fullmatch(tag.encode("latin-1")):
                self.wrong("eitem-standard-tag: an atom", at)
            self.once(extended, tag, at)
            self.sp()
            extended[tag] = (self.listed(self.childinfo, 1) if tag == "CHILDINFO" else self.tagged_ext_val())
        if self.at(b" "):
            self.pos += 1
            self.listed(item)
        return Listing(attributes, separator, mailbox, extended)

    def childinfo(self):
        at = self.pos
        option = self.quoted().decode("latin-1").upper()
        if option != "SUBSCRIBED" and not self.future:
            self.wrong("list-select-base-opt-quoted", at)
        return option

    def tagged_ext_val(self):               # RFC 4466 section 3
        if self.at(b"("):
            self.pos += 1
            out = [] if self.at(b")") else self.tagged_ext_comp()
            self.take(b")")
            return out
        at = self.pos
        m = re.compile(rb"[0-9]+(?=[ )\r])").match(self.data, at)
        if m:
            return self.number(INT63)
        return self.sequence_set()

    def tagged_ext_comp(self):
        out = []
        while True:
            if self.at(b"("):
                self.pos += 1
                out.append(self.tagged_ext_comp())
                self.take(b")")
            else:
                out.append(self.astring().decode("latin-1"))
            if not self.at(b" "):
                return out
            self.pos += 1

    def status_value(self, name):
        if name in ("MESSAGES", "RECENT", "UNSEEN"):
            return self.number()
        if name in ("UIDNEXT", "UIDVALIDITY"):          # RFC 4466 section 3
            return self.nz_number()
        if name == "HIGHESTMODSEQ":
            return self.number(INT63, "mod-sequence-valzer")
        if name == "SIZE":                              # RFC 8438 section 4
            return self.number(INT63, "number64")
        if name == "APPENDLIMIT":                       # RFC 7889 section 5
            return None if self.nil() else self.number()
        return self.wrong("a status item")

    def status(self):
        mailbox, out = self.mailbox(), {}
        self.sp()

        def item():
            at = self.pos
            name = self.word("a status item")
            self.once(out, name, at)
            self.sp()
            out[name] = self.status_value(name)
        self.listed(item)
        return mailbox, out

    def search(self):
        numbers, modseq = [], None
        while self.at(b" "):
            self.pos += 1
            if numbers and self.at(b"("):               # RFC 7162 section 7
                self.take(b"(")
                if self.word("MODSEQ") != "MODSEQ":
                    self.wrong("MODSEQ")
                self.sp()
                modseq = self.mod_sequence_value()
                self.take(b")")
                break
            numbers.append(self.nz_number())
        return Search(tuple(numbers), modseq)

    def esearch(self):                      # RFC 4466 section 3, RFC 4731 section 4
        tag, uid, items = None, False, {}
        if self.at(b" ("):
            self.pos += 2
            if self.word("TAG") != "TAG":
                self.wrong("TAG")
            self.sp()
            at = self.pos
            tag = self.string()
            if not TAG.fullmatch(tag):
                self.wrong("the tag of a command", at)
            self.take(b")")
        if re.compile(rb" (?i:UID)(?=[ \r])").match(self.data, self.pos):
            self.pos += 4
            uid = True
        while self.at(b" "):
            self.pos += 1
            at = self.pos
            name = self.match(LABEL, "search-return-data").group().decode().upper()
            self.once(items, name, at)
            self.sp()
            if name in ("MIN", "MAX"):
                items[name] = self.nz_number()
            elif name == "ALL":
                items[name] = self.sequence_set()
            elif name == "COUNT":
                items[name] = self.number()
            elif name == "MODSEQ":
                items[name] = self.mod_sequence_value()
            else:
                items[name] = self.tagged_ext_val()
        return Esearch(tag, uid, items)

    def vanished(self):                     # RFC 7162 section 7
        earlier = False
        self.sp()
        if self.at(b"("):
            m = self.match(re.compile(rb"\((?i:EARLIER)\) "), "(EARLIER) SP")
            earlier = bool(m)
        return Vanished(earlier, self.sequence_set())

    # ---- messages ----

    def section(self):
        """ "BODY" + what is in the brackets, as one key: BODY[1.2.HEADER.FIELDS (FROM TO)]<0> """
        self.take(b"[")
        out, text = [], None
        while NZ_NUMBER.match(self.data, self.pos):
            out.append(str(self.nz_number()))
            if not self.at(b"."):
                break
            self.pos += 1
        else:
            if out or not self.at(b"]"):
                text = self.match(SECTION_TEXT, "a section").group().decode().upper()
                if text == "MIME" and not out:
                    self.wrong("no MIME of the message itself", self.pos - 4)
                out.append(text)
        fields = ""
        if text and text.startswith("HEADER.FIELDS"):
            self.sp()
            names = self.listed(lambda: self.astring("header-fld-name"), 1)
            fields = " (" + " ".join(n.decode("latin-1").upper() for n in names) + ")"
        self.take(b"]")
        origin = ""
        if self.at(b"<"):
            self.pos += 1
            origin = f"<{self.number()}>"
            self.take(b">")
        return "BODY[" + ".".join(out) + fields + "]" + origin

    def address(self):
        self.take(b"(")
        out = [self.nstring()]
        for _ in range(3):
            self.sp()
            out.append(self.nstring())
        self.take(b")")
        return Address(*out)

    def addresses(self):
        if self.nil():
            return None
        self.take(b"(", "( or NIL")
        out = [self.address()]
        while self.at(b"("):                # no space between them
            out.append(self.address())
        self.take(b")")
        return tuple(out)

    def envelope(self):
        self.take(b"(")
        out = []
        for read in (self.nstring,) * 2 + (self.addresses,) * 6 + (self.nstring,) * 2:
            if out:
                self.sp()
            out.append(read())
        self.take(b")")
        return Envelope(*out)

    def body_fld_param(self):
        if self.nil():
            return None

        def pair():
            name = self.string()
            self.sp()
            return name, self.string()
        return tuple(self.listed(pair, 1))

    def body_fld_dsp(self):
        if self.nil():
            return None
        self.take(b"(", "( or NIL")
        kind = self.string()
        self.sp()
        parameters = self.body_fld_param()
        self.take(b")")
        return kind, parameters

    def body_fld_lang(self):
        return tuple(self.listed(self.string, 1)) if self.at(b"(") else self.nstring()

    def body_extension(self):
        if self.at(b"("):
            return self.listed(self.body_extension, 1)
        if NUMBER.match(self.data, self.pos):
            return self.number()
        return self.nstring()

    def body_ext(self, first):
        out = []
        for read in (first, self.body_fld_dsp, self.body_fld_lang, self.nstring):
            if not self.at(b" "):
                return tuple(out)
            self.pos += 1
            out.append(read())
        while self.at(b" "):
            if not self.future:
                self.wrong("): servers MUST NOT make up a body-extension")
            self.pos += 1
            out.append(self.body_extension())
        return tuple(out)

    def body(self, extensible):
        self.take(b"(")
        if self.at(b"("):
            parts = []
            while self.at(b"("):            # no space between them
                parts.append(self.body(extensible))
            self.sp()
            subtype = self.string()
            out = Multipart(tuple(parts), subtype, self.body_ext(self.body_fld_param) if extensible else ())
        else:
            out = self.body_1part(extensible)
        if not extensible and self.at(b" "):
            self.wrong("): BODY MUST NOT have extension data")
        self.take(b")")
        return out

    def body_1part(self, extensible):
        at, start = self.pos, self.data[self.pos:self.pos + 1]
        kind = self.string("a body or a media type")
        self.sp()
        quoted = start == b'"' and self.at(b'"')
        subtype = self.string()
        text, message = kind.upper() == b"TEXT", (kind.upper(), subtype.upper()) == (b"MESSAGE", b"RFC822")
        # media-text and media-message are spelled with DQUOTE; a literal would make them media-basic.
        if (text and start != b'"') or (message and not quoted):
            self.wrong("TEXT and MESSAGE RFC822 in quotes", at)
        fields = []
        for read in (self.body_fld_param, self.nstring, self.nstring, self.string, self.number):
            self.sp()
            fields.append(read())
        lines = envelope = body = None
        if message:
            self.sp()
            envelope = self.envelope()
            self.sp()
            body = self.body(extensible)
        if text or message:
            self.sp()
            lines = self.number(wanted="body-fld-lines")
        return Part(kind, subtype, *fields, lines, envelope, body, self.body_ext(self.nstring) if extensible else ())

    def msg_att(self):
        out = {}

        def item():
            at = self.pos
            name = self.word("a data item")
            if name == "BODY" and self.at(b"["):
                name = self.section()
                read = self.nstring
            elif name in self.msg_atts:
                read = self.msg_atts[name].__get__(self)
            else:
                self.wrong("a data item", at)
            self.once(out, name, at)
            self.sp()
            out[name] = read()
        self.listed(item, 1)
        return out

    def modseq(self):
        self.take(b"(")
        n = self.mod_sequence_value()
        self.take(b")")
        return n

    msg_atts = {
        "FLAGS": lambda self: self.flags(("\\Recent",)),
        "ENVELOPE": envelope,
        "INTERNALDATE": date_time,
        "RFC822": nstring, "RFC822.HEADER": nstring, "RFC822.TEXT": nstring,
        "RFC822.SIZE": number,
        "BODY": lambda self: self.body(False),
        "BODYSTRUCTURE": lambda self: self.body(True),
        "UID": nz_number,
        "MODSEQ": modseq,
    }

    # ---- the response ----

    def response(self):
        try:
            return self.any_response()
        except RecursionError:
            return self.wrong("less nesting (a limit of this parser)")

    def any_response(self):
        if self.at(b"+"):
            out = self.continuation()
        elif self.at(b"*"):
            self.pos += 1
            self.sp()
            out = self.untagged()
        else:
            tag = self.match(TAG, "+, * or a tag").group().decode()
            self.sp()
            at = self.pos
            state = self.word("OK, NO or BAD")
            if state not in ("OK", "NO", "BAD"):
                self.wrong("OK, NO or BAD", at)
            self.sp()
            code, text = self.resp_text()
            out = Response(tag, state, code=code, text=text)
        self.take(b"\r\n", "CRLF")
        if self.pos != len(self.data):
            self.wrong("the end of the response")
        return out

    def continuation(self):
        self.pos += 1
        self.sp()
        if self.at(b"\r\n"):                # base64 may be empty
            return Response("+", "+", text="")
        code, text = self.resp_text()
        return Response("+", "+", code=code, text=text)

    def untagged(self):
        at = self.pos
        if NUMBER.match(self.data, at):
            n = self.number()
            self.sp()
            name = self.word("EXISTS, RECENT, EXPUNGE or FETCH")
            if name in ("EXPUNGE", "FETCH"):
                end, self.pos = self.pos, at
                self.nz_number()
                self.pos = end
            elif name not in ("EXISTS", "RECENT"):
                self.wrong("EXISTS, RECENT, EXPUNGE or FETCH", at)
            data = None
            if name == "FETCH":
                self.sp()
                data = self.msg_att()
            return Response("*", name, n, data)
        name = self.word("a response")
        if name in STATES:
            self.sp()
            code, text = self.resp_text()
            return Response("*", name, code=code, text=text)
        if name in ("CAPABILITY", "ENABLED", "NAMESPACE", "SEARCH", "ESEARCH", "VANISHED"):
            # These read their own SP.
            return Response("*", name, data={
                "CAPABILITY": self.capability_data, "ENABLED": self.capabilities, "NAMESPACE": self.namespaces,
                "SEARCH": self.search, "ESEARCH": self.esearch, "VANISHED": self.vanished}[name]())
        if name in ("ID", "LIST", "LSUB", "STATUS", "FLAGS"):
            self.sp()
            return Response("*", name, data={
                "ID": self.id, "LIST": self.mailbox_list, "LSUB": self.mailbox_list, "STATUS": self.status,
                "FLAGS": self.flags}[name]())
        return self.wrong("a response", at)


def parse_response(octets, future=False):
    """One whole response. `future`: also what only later RFCs could allow servers to send."""
    p = Parser(bytes(octets), future)
    try:
        return p.response()
    except Incomplete as e:
        raise Illegal(p.data, len(p.data), f"{max(1, e.missing)} octets more after a literal") from None


# ---- the client ------------------------------------------------------------------------

class Broken(AssertionError):
    """A rule of the protocol that the server did not keep."""

    def __init__(self, rule, said="", transcript=()):
        lines = "\n".join(transcript)
        super().__init__(f"{rule}{': ' if said else ''}{said}\n{lines}".rstrip())
        self.rule = rule


class Literal:
    """An argument of a command: sync waits for the "+", without is LITERAL+ (RFC 7888)."""

    def __init__(self, octets, sync=True):
        self.octets, self.sync = octets, sync


class Command:
    """A command and all that came back: untagged (list of Response), done (the tagged one, or None)."""

    def __init__(self, tag, octets):
        self.tag = tag
        self.octets = octets            # as it would be with synchronizing literals, without tag and CRLF
        words = octets.split(b"\r\n")[0].decode("latin-1").upper().split(" ")
        self.name = " ".join(words[:2]) if words[0] == "UID" else words[0]
        self.complete = False           # sent to its end: "in progress" of RFC 3501 section 7.4.1
        self.waits = False              # for a continuation request
        self.untagged, self.continuations, self.done = [], [], None
        self.opened, self.old = False, None     # of SELECT

    def __repr__(self):
        return f"{self.tag} {self.octets[:80]!r}"

    @property
    def ok(self):
        return self.done.name == "OK"

    def of(self, *names):
        """The untagged responses of these names."""
        return [r for r in self.untagged if r.name in names]

    def code(self, name):
        """The argument of this response code, wherever it stands (True without one); None when there is none."""
        for r in self.untagged + [self.done]:
            if r.code and r.code[0] == name:
                return True if r.code[1] is None else r.code[1]
        return None

    def says(self, word):
        return word in self.octets.upper()

    def arguments(self):
        """A Parser behind the name and its space."""
        p = Parser(self.octets + b"\r\n")
        p.pos = len(self.name) + 1
        return p

    def mailbox(self):
        """Its (first) mailbox argument; None when there is no legal one."""
        try:
            p = self.arguments()
            if self.name in ("COPY", "MOVE", "UID COPY", "UID MOVE"):
                p.match(re.compile(rb"[^ ]+ "), "a set")
            return p.mailbox()
        except (Illegal, Incomplete):
            return None


class Slot:
    """A message as a session knows it; None is what it was not told."""
    __slots__ = ("uid", "flags", "modseq", "static")

    def __init__(self):
        self.uid = self.flags = self.modseq = None
        self.static = {}

    def __repr__(self):
        return f"<{self.uid} {sorted(self.flags) if self.flags is not None else None}>"


class Mirror:
    """
    The selected mailbox by what the server said: slots[n - 1] is message n.

    A method is one response; it says (ValueError) what the server may not say to somebody who knows this.
    """

    def __init__(self, name, strict=True):
        self.name, self.strict = name, strict
        self.opening = True             # SELECT is not done yet
        self.slots = []
        self.known = 0                  # no UID is known of a slot from here on
        self.exists_said = self.recent_said = False
        self.recent = self.flags = self.permanent = self.readonly = self.unseen = None
        self.uidvalidity = self.uidnext = self.highestmodseq = None
        self.nomodseq = False
        self.base = self.base_uidnext = None    # messages and UIDNEXT at the end of SELECT

    @property
    def count(self):
        return len(self.slots)

    def uids(self):
        return [s.uid for s in self.slots]

    def number(self, uid):
        """The sequence number of a UID; None when it is not known."""
        for i in range(self.known):
            if self.slots[i].uid == uid:
                return i + 1
        return None

    def exists(self, n):
        if n < self.count:
            raise ValueError("EXISTS shrinks without EXPUNGE (RFC 3501 section 7.3.1)")
        self.slots += [Slot() for _ in range(n - self.count)]
        self.exists_said = True

    def expunge(self, n):
        if not 1 <= n <= self.count:
            raise ValueError(f"EXPUNGE of a message that is none of {self.count} (RFC 3501 section 7.4.1)")
        del self.slots[n - 1]
        if n <= self.known:
            self.known -= 1
        if self.base is not None and n <= self.base:
            self.base -= 1
        self.recent_said = False        # until then it may be more than there are

    def vanished(self, uids):
        for uid in uids:
            n = self.number(uid)
            if n is None:
                n = self.unknown(uid)
            self.expunge(n)

    def unknown(self, uid):
        """A slot that may have that UID. When some may, any will do: nothing of them is known afterwards."""
        low = max((i for i in range(self.known) if self.slots[i].uid and self.slots[i].uid < uid), default=-1)
        high = min((i for i in range(self.known) if self.slots[i].uid and self.slots[i].uid > uid), default=self.count)
        if high - low < 2:
            raise ValueError(f"VANISHED of UID {uid}, which is not there to be seen (RFC 7162 section 3.2.10.2)")
        if high - low > 2:
            for s in self.slots[low + 1:high]:
                s.flags = s.modseq = None
                s.static = {}
        return low + 2

    def set_uid(self, n, uid):
        s, i = self.slots[n - 1], n - 1
        if s.uid == uid:
            return
        if s.uid is not None:
            raise ValueError(f"the UID of message {n} was {s.uid} (RFC 3501 section 2.3.1.1)")
        below = next((j for j in range(i - 1, -1, -1) if self.slots[j].uid is not None), -1)
        above = next((j for j in range(i + 1, self.known) if self.slots[j].uid is not None), None)
        # Those between need UIDs too.
        if uid - (self.slots[below].uid if below >= 0 else 0) < i - below \
                or (above is not None and self.slots[above].uid - uid < above - i):
            raise ValueError("UIDs do not ascend with the sequence numbers (RFC 3501 section 2.3.1.1)")
        if self.base_uidnext is not None:
            self.check_uidnext(i, uid)
        s.uid = uid
        self.known = max(self.known, n)

    def check_uidnext(self, i, uid):
        if (i < self.base) != (uid < self.base_uidnext):
            raise ValueError(f"UIDNEXT of SELECT was {self.base_uidnext}; UID {uid} is of a message that was there "
                             f"{'then' if i < self.base else 'later'} (RFC 3501 section 2.3.1.1)")

    def fetch(self, n, data):
        if not 1 <= n <= self.count:
            raise ValueError(f"FETCH of a message that is none of {self.count} (RFC 3501 section 7.4.2)")
        s = self.slots[n - 1]
        if "UID" in data:
            self.set_uid(n, data["UID"])
        if "FLAGS" in data:
            if self.strict and s.flags is not None and ("\\Recent" in s.flags) != ("\\Recent" in data["FLAGS"]):
                raise ValueError("\\Recent changes within a session (RFC 3501 section 2.3.2)")
            if s.flags != data["FLAGS"] and "MODSEQ" not in data:
                s.modseq = None                 # of another time than these flags
            s.flags = data["FLAGS"]
        if "MODSEQ" in data:
            if s.modseq is not None and data["MODSEQ"] < s.modseq:
                raise ValueError(f"the mod-sequence was {s.modseq} (RFC 7162 section 3.1)")
            s.modseq = data["MODSEQ"]
        for name, value in data.items():
            if name not in ("UID", "FLAGS", "MODSEQ") and value is not None and not name.endswith(">"):
                self.set_static(n, s, {"RFC822": "BODY[]", "RFC822.TEXT": "BODY[TEXT]",
                                       "RFC822.HEADER": "BODY[HEADER]"}.get(name, name), value)

    def set_static(self, n, s, name, value):
        if not self.strict and value in (0, b""):       # perhaps it was expunged: RFC 2180 section 4.1.3
            return
        if name == "BODY[]":
            length = len(value)
            if s.static.setdefault("RFC822.SIZE", length) != length:
                raise ValueError(f"{length} octets of a message of RFC822.SIZE {s.static['RFC822.SIZE']}")
        if isinstance(value, bytes) and len(value) > 64:
            value = digest(value)
        if s.static.setdefault(name, value) != value:
            raise ValueError(f"{name} of message {n} is not what it was (RFC 3501 section 9, msg-att-static)")

    def selected(self):
        """SELECT is OK: is all there, does it fit?"""
        for what, there in (("FLAGS", self.flags is not None), ("EXISTS", self.exists_said),
                            ("RECENT", self.recent is not None), ("UIDVALIDITY", self.uidvalidity is not None),
                            ("UIDNEXT", self.uidnext is not None), ("PERMANENTFLAGS", self.permanent is not None)):
            if not there:
                raise ValueError(f"SELECT without {what} (RFC 3501 section 6.3.1)")
        if self.unseen is not None and self.unseen > self.count:
            raise ValueError("UNSEEN is no message (RFC 3501 section 7.1)")
        self.opening = False
        self.base, self.base_uidnext = self.count, self.uidnext
        if self.count >= self.uidnext:
            raise ValueError(f"UIDNEXT {self.uidnext} leaves no UIDs for {self.count} messages "
                             "(RFC 3501 section 2.3.1.1)")
        for i in range(self.known):
            if self.slots[i].uid is not None:
                self.check_uidnext(i, self.slots[i].uid)

    def settled(self):
        """At the end of any command."""
        seen = sum(s.flags is not None and "\\Recent" in s.flags for s in self.slots)
        if self.recent is not None and (self.recent < seen or (self.recent_said and self.recent > self.count)):
            raise ValueError(f"RECENT is {self.recent}, with {seen} known \\Recent of {self.count} "
                             "(RFC 3501 section 7.3.2)")


def digest(octets):
    return len(octets), hashlib.sha256(octets).hexdigest()


# What the server says only to those who asked.
ASKED = {
    "SEARCH": ("SEARCH", "UID SEARCH"), "ESEARCH": ("SEARCH", "UID SEARCH"), "LIST": ("LIST",), "LSUB": ("LSUB",),
    "STATUS": ("STATUS", "LIST"), "ID": ("ID",), "NAMESPACE": ("NAMESPACE",), "ENABLED": ("ENABLE",),
}
# RFC 3501 section 7.4.1; RFC 5256 section 3 for the others.
NO_EXPUNGE = ("FETCH", "STORE", "SEARCH", "SORT", "THREAD")


class Client:
    """
    c = Client(host, port)                          c.greeting, c.capabilities (once they were said)
    c.login("anna@hermod.test", "secret")
    c.ok("SELECT inbox")                            c.box is its Mirror
    r = c.cmd("FETCH 1:* (FLAGS UID)")              a Command: r.ok, r.done, r.untagged, r.of("FETCH"), r.code("ALERT")
    c.ok("APPEND inbox ", Literal(octets))          waits for "+";  Literal(octets, sync=False) does not
    a, b = c.pipeline("FETCH 1 FLAGS", "NOOP")      both sent in one piece, then read
    r = c.start("NOOP"); c.finish(r)                the same by hand
    c.idle(); c.wait("EXISTS"); c.done()            c.look(): NOOP and a FETCH of all UIDs and flags
    c.raw(b"...")                                   any octets; c.read() is the next response
    c.chunks, c.pause = (1, 7), 0.001               sends in pieces of 1, 7, 1, 7 ... octets

    Each response goes through parse_response and then through the rules of RFC 3501: sections 2.3.1.1, 5.5, 6.3.1, 7.1
    to 7.4 and 9 (msg-att-static), of RFC 7162 and RFC 4731.
    in_order    the server is one that answers commands in the order they were sent in; then nothing may expunge while
                the oldest is FETCH, STORE or SEARCH. Else only when nothing but those is in progress.
    strict      also what the RFCs do not say in so many words, but a careful server does: \\Recent of a message never
                changes within a session, one that was expunged does not become empty (RFC 2180 section 4.1.3), and
                unsolicited FETCH responses during UID FETCH and UID STORE have the UID too (RFC 9051 section 6.4.9).
    uid_state   the dict of another client, to compare UIDVALIDITY and UIDNEXT with what that one was told, if both are
                read as soon as they are answered.
    """

    def __init__(self, host="127.0.0.1", port=None, sock=None, timeout=20, in_order=True, strict=True, uid_state=None):
        self.patience = patience()
        self.timeout = timeout * self.patience
        self.in_order, self.strict = in_order, strict
        self.s = sock or socket.create_connection((host, port), timeout=self.timeout)
        if self.s.family != socket.AF_UNIX:
            self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.transcript = collections.deque(maxlen=40)
        self.chunks, self.pause = None, 0
        self.pending = {}               # tag -> Command, oldest first
        self.unsolicited = []           # untagged responses while nothing was in progress
        self.capabilities, self.enabled = None, set()
        self.box = None
        self.uid_state = {} if uid_state is None else uid_state     # mailbox -> {"validity", "next", "modseq"}
        self.bye = self.ended = False
        self.killed = False             # the caller kills the server's process: its end may come anywhere
        self.state = "greeting"
        self.tags = 0
        self.greeting = self.read()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.close()

    def close(self):
        self.s.close()

    # ---- octets ----

    def broken(self, rule, r=None):
        raise Broken(rule, "" if r is None else str(r)[:300], self.transcript)

    def raw(self, octets):
        """Sends octets as they are, in pieces if chunks says so."""
        self.transcript.append(f"C: {octets[:200]!r}")
        sizes, i = self.chunks or (max(1, len(octets)),), 0
        self.s.settimeout(self.timeout)
        while octets:
            n = sizes[i % len(sizes)]
            self.s.sendall(octets[:n])
            octets, i = octets[n:], i + 1
            if self.pause:
                time.sleep(self.pause)

    def more(self, deadline):
        self.s.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            got = self.s.recv(65536)
        except socket.timeout:
            raise TimeoutError("no response in time; so far "
                               f"{bytes(self.buffer[:200])!r}\n" + "\n".join(self.transcript)) from None
        if not got:
            self.ended = True
            if self.buffer and not self.killed:
                self.broken("the connection ended within a response", bytes(self.buffer[-200:]))
            raise EOFError("the server closed the connection\n" + "\n".join(self.transcript))
        self.buffer += got

    def response(self, deadline):
        """The next response, not yet looked at. It stays in the buffer when time is up before it is whole."""
        end = 0
        while True:
            while (lf := self.buffer.find(b"\r\n", end)) < 0:
                self.more(deadline)
            end = lf + 2
            octets = bytes(self.buffer[:end])
            try:
                r = Parser(octets).response()
            except Incomplete as e:
                end += e.missing
                while len(self.buffer) < end:
                    self.more(deadline)
                continue
            except Illegal:
                self.transcript.append(f"S: {octets[:300]!r}")
                raise
            del self.buffer[:end]
            self.transcript.append(f"S: {octets[:200]!r}")
            return r

    def read(self, seconds=None):
        """The next Response, after it was checked and has changed what we know."""
        r = self.response(time.monotonic() + (self.timeout if seconds is None else seconds * self.patience))
        try:
            self.note(r)
        except ValueError as e:
            self.broken(str(e), r)
        return r

    def at_end(self):
        """Reads what is left; the server must close the connection then."""
        try:
            while True:
                self.read()
        except (EOFError, ConnectionResetError):
            return True

    # ---- commands ----

    def next_tag(self):
        self.tags += 1
        return f"t{self.tags}"

    def command(self, parts, tag=None):
        octets = b""
        for p in parts:
            if isinstance(p, Literal):
                octets += b"{%d}\r\n" % len(p.octets) + p.octets
            else:
                octets += p.encode() if isinstance(p, str) else p
        c = Command(tag or self.next_tag(), octets)
        if c.tag in self.pending:
            raise ValueError(f"the tag {c.tag} is in use")
        return c

    def start(self, *parts, tag=None):
        """Sends a command: str, bytes and Literal, one behind the other. It may be refused at a Literal that waits."""
        c = self.command(parts, tag)
        self.pending[c.tag] = c
        out = c.tag.encode() + b" "
        for p in parts:
            if isinstance(p, Literal):
                out += b"{%d%s}\r\n" % (len(p.octets), b"" if p.sync else b"+")
                if p.sync:
                    self.raw(out)
                    out = b""
                    if not self.go_ahead(c):
                        return c
                out += p.octets
            else:
                out += p.encode() if isinstance(p, str) else p
        c.complete = True
        if c.name in ("IDLE", "AUTHENTICATE"):
            c.waits = True
        self.raw(out + b"\r\n")
        return c

    def go_ahead(self, c):
        """Waits for the continuation request; False when the command was done with instead."""
        c.waits = True
        had = len(c.continuations)
        while len(c.continuations) == had and c.done is None:
            self.read()
        c.waits = False
        return c.done is None

    def finish(self, c, seconds=None):
        while c.done is None:
            self.read(seconds)
        return c

    def cmd(self, *parts, tag=None):
        return self.finish(self.start(*parts, tag=tag))

    def ok(self, *parts):
        c = self.cmd(*parts)
        if not c.ok:
            self.broken("a command that must be OK", c.done)
        return c

    def no(self, *parts, state="NO"):
        c = self.cmd(*parts)
        if c.done.name != state:
            self.broken(f"a command that must be {state}", c.done)
        return c

    def pipeline(self, *commands):
        """Sends all in one piece (Literals without waiting); the Commands, once all are done. A command is a str, bytes
        or a tuple of parts."""
        out, sent = b"", []
        for parts in commands:
            parts = parts if isinstance(parts, tuple) else (parts,)
            c = self.command(parts)
            c.complete = True
            self.pending[c.tag] = c
            sent.append(c)
            out += c.tag.encode() + b" "
            for p in parts:
                if isinstance(p, Literal):
                    out += b"{%d+}\r\n" % len(p.octets) + p.octets
                else:
                    out += p.encode() if isinstance(p, str) else p
            out += b"\r\n"
        self.raw(out)
        return [self.finish(c) for c in sent]

    # ---- some commands ----

    def login(self, user, password):
        quoted = [b'"' + re.sub(rb'(["\\])', rb"\\\1", x.encode()) + b'"' for x in (user, password)]
        return self.ok(b"LOGIN " + b" ".join(quoted))

    def authenticate(self, mechanism, *answers):
        """SASL: each answer (bytes) to one challenge; the Command, whatever came of it."""
        c = self.start("AUTHENTICATE " + mechanism)
        for a in answers:
            if not self.go_ahead(c):
                break
            self.raw(base64.b64encode(a) + b"\r\n")
        return self.finish(c)

    def starttls(self, context, name):
        """TLS from here on; what was sent behind the OK in the clear is an injection (RFC 9051 section 11.1)."""
        c = self.ok("STARTTLS")
        if self.buffer:
            self.broken("there are octets behind the OK of STARTTLS", bytes(self.buffer))
        self.s = context.wrap_socket(self.s, server_hostname=name)
        return c

    def look(self, items="UID FLAGS"):
        """NOOP, and then all there is: the Mirror knows it afterwards."""
        c = self.ok("NOOP")
        return self.ok(f"UID FETCH 1:* ({items})") if self.box.count else c

    def idle(self):
        self.idling = self.start("IDLE")
        if not self.go_ahead(self.idling):
            self.broken("IDLE was refused", self.idling.done)
        return self.idling

    def done(self):
        self.raw(b"DONE\r\n")
        return self.finish(self.idling)

    def wait(self, name, seconds=20, number=None):
        """Reads (while IDLE, or with nothing in progress) up to an untagged response of that name."""
        deadline = time.monotonic() + seconds * self.patience
        while True:
            r = self.response(deadline)
            try:
                self.note(r)
            except ValueError as e:
                self.broken(str(e), r)
            if r.tag == "*" and r.name == name and number in (None, r.number):
                return r

    def logout(self):
        c = self.ok("LOGOUT")
        if not self.bye:
            self.broken("LOGOUT without BYE (RFC 3501 section 6.1.3)")
        self.at_end()
        self.close()
        return c

    # ---- the rules; ValueError is a broken one ----

    def head(self):
        """The oldest command in progress."""
        return next((c for c in self.pending.values() if c.complete), None)

    def note(self, r):
        if self.state == "greeting":
            return self.note_greeting(r)
        if self.bye and r.tag != "*" and not (self.head() and self.head().name == "LOGOUT"):
            raise ValueError("after BYE the server closes the connection (RFC 3501 section 7.1.5)")
        head = self.head()
        if head and head.name in ("SELECT", "EXAMINE") and not head.opened:
            self.begin_select(head)
        if r.tag == "+":
            return self.note_continuation(r)
        if r.tag == "*":
            (head.untagged if head else self.unsolicited).append(r)
            if r.name in STATES:
                self.note_status(r, head)
            else:
                self.note_data(r, head)
            return None
        return self.note_tagged(r)

    def note_greeting(self, r):
        if r.tag != "*" or r.name not in ("OK", "PREAUTH", "BYE"):
            raise ValueError("a greeting is OK, PREAUTH or BYE (RFC 3501 section 7.1)")
        self.state = {"OK": "not authenticated", "PREAUTH": "authenticated", "BYE": "logout"}[r.name]
        self.bye = r.name == "BYE"
        self.note_code(r, None)

    def note_continuation(self, r):
        c = next((c for c in self.pending.values() if c.waits), None)
        if c is None:
            raise ValueError("a continuation request that nothing waits for (RFC 3501 section 7.5)")
        if c.name != "AUTHENTICATE":
            c.waits = False
        c.continuations.append(r)

    def note_status(self, r, head):
        if r.name == "PREAUTH":
            raise ValueError("PREAUTH is a greeting only (RFC 3501 section 7.1.4)")
        if r.name == "BYE":
            self.bye = True
        self.note_code(r, head)

    def note_tagged(self, r):
        c = self.pending.get(r.tag)
        if c is None:
            raise ValueError("a tag that no command in progress has (RFC 3501 section 2.2.1)")
        if self.in_order and c is not next(iter(self.pending.values())):
            raise ValueError("commands were answered in another order than asked for (RFC 3501 section 5.5)")
        self.note_code(r, c)
        c.done = r
        del self.pending[r.tag]
        if c.name in ("SELECT", "EXAMINE"):
            self.end_select(c)
        elif c.name in ("STORE", "UID STORE") and c.says(b".SILENT"):
            self.forget_flags(c)
        if r.name == "OK":
            if c.name in ("LOGIN", "AUTHENTICATE"):
                self.state = "authenticated"
            elif c.name in ("CLOSE", "UNSELECT"):
                self.box, self.state = None, "authenticated"
            elif c.name == "STARTTLS":
                self.capabilities = None
        if self.box and not self.box.opening:
            self.box.settled()

    def note_code(self, r, c):
        name, argument = r.code or (None, None)
        if name == "CAPABILITY":
            self.capabilities = set(argument)
        elif name in ("APPENDUID", "COPYUID"):
            self.note_copies(c, argument[0], argument[-1])
        elif name == "CLOSED" and c and c.name == "DELETE":
            self.box, self.state = None, "authenticated"        # it has deleted what it had selected
        elif name == "CLOSED" and c and c.name in ("SELECT", "EXAMINE"):
            if not c.old or self.box is not c.old:
                raise ValueError("CLOSED, but no mailbox was selected (RFC 7162 section 3.2.11)")
            self.box = Mirror(c.mailbox(), self.strict)
        elif name == "UIDVALIDITY" and self.box:
            self.box.uidvalidity = argument
            self.note_uids(self.box.name, argument)
        elif name == "UIDNEXT" and self.box:
            self.box.uidnext = argument
        elif name == "UNSEEN" and self.box:
            self.box.unseen = argument
        elif name == "PERMANENTFLAGS" and self.box:
            self.box.permanent = argument
        elif name == "NOMODSEQ" and self.box:
            self.box.nomodseq = True
        elif name == "HIGHESTMODSEQ" and self.box:
            self.note_highest(self.box, argument)
        elif name in ("READ-ONLY", "READ-WRITE") and self.box:
            self.box.readonly = name == "READ-ONLY"

    def note_highest(self, box, n):
        # Within a session it may lag behind a VANISHED that is delayed, but never goes back: RFC 7162 section 3.2.12.
        if box.highestmodseq is not None and n < box.highestmodseq:
            raise ValueError(f"HIGHESTMODSEQ was {box.highestmodseq} (RFC 7162 section 3.1.2)")
        box.highestmodseq = n

    def note_uids(self, mailbox, validity=None, next_uid=None, modseq=None):
        """UIDVALIDITY only grows; UIDNEXT and HIGHESTMODSEQ do under the same UIDVALIDITY."""
        if mailbox is None:
            return
        known = self.uid_state.setdefault(mailbox, {})
        if validity is not None and validity != known.get("validity"):
            if validity < known.get("validity", 0):
                raise ValueError(f"UIDVALIDITY of {mailbox} was {known['validity']} (RFC 3501 section 2.3.1.1)")
            known.clear()
            known["validity"] = validity
        for what, value in (("next", next_uid), ("modseq", modseq)):
            if value is not None:
                if value < known.get(what, 0):
                    name = "UIDNEXT" if what == "next" else "HIGHESTMODSEQ"
                    raise ValueError(f"{name} of {mailbox} was {known[what]} "
                                     "(RFC 3501 section 2.3.1.1, RFC 7162 section 3.1.2)")
                known[what] = value

    def note_copies(self, c, validity, uids):
        mailbox = c and c.mailbox()
        if mailbox is None or c.name not in ("APPEND", "COPY", "MOVE", "UID COPY", "UID MOVE"):
            raise ValueError("APPENDUID and COPYUID belong to APPEND, COPY, MOVE (RFC 4315 section 3)")
        self.note_uids(mailbox, validity)
        low, high = min(a for a, _ in uids), max(b for _, b in uids)
        if low < self.uid_state[mailbox].get("next", 0):
            raise ValueError(f"UIDNEXT of {mailbox} was {self.uid_state[mailbox]['next']} (RFC 3501 section 2.3.1.1)")
        self.note_uids(mailbox, next_uid=high + 1)

    # ---- SELECT ----

    def begin_select(self, c):
        """Its turn has come: what is said from now on is about the new mailbox, or after CLOSED if there is such."""
        c.opened, c.old = True, self.box
        if not (self.box and self.says_closed()):
            self.box = Mirror(c.mailbox(), self.strict)

    def says_closed(self):
        return (self.capabilities or set()) & {"QRESYNC", "CONDSTORE"}

    def end_select(self, c):
        if not c.opened:
            self.begin_select(c)
        if c.done.name != "OK":
            # BAD was no SELECT; NO leaves no mailbox selected, RFC 3501 section 6.3.1.
            self.box = c.old if c.done.name == "BAD" else None
            self.state = "selected" if self.box else "authenticated"
            return
        if c.old and self.box is c.old:
            raise ValueError("SELECT closes a mailbox without CLOSED (RFC 7162 section 3.2.11)")
        self.state = "selected"
        if c.name == "EXAMINE" and not self.box.readonly:
            raise ValueError("EXAMINE without READ-ONLY (RFC 3501 section 6.3.2)")
        self.box.selected()
        self.note_uids(self.box.name, self.box.uidvalidity, self.box.uidnext, self.box.highestmodseq)

    # ---- data ----

    def note_data(self, r, head):
        asked = ASKED.get(r.name)
        if asked and not any(c.name in asked for c in self.pending.values()):
            raise ValueError(f"{r.name} that nobody asked for")
        if r.name in ("EXISTS", "RECENT", "EXPUNGE", "VANISHED", "FETCH", "FLAGS") and not self.box:
            raise ValueError(f"{r.name} with no mailbox selected (RFC 3501 section 3)")
        if r.name in ("SEARCH", "ESEARCH"):
            self.note_search(r, head)
        elif r.name == "CAPABILITY":
            self.capabilities = set(r.data)
        elif r.name == "ENABLED":
            self.enabled |= set(r.data)
        elif r.name == "STATUS":
            mailbox, items = r.data
            self.note_uids(mailbox, items.get("UIDVALIDITY"), items.get("UIDNEXT"), items.get("HIGHESTMODSEQ"))
        elif r.name == "FLAGS":
            self.box.flags = r.data
        elif r.name == "EXISTS":
            self.box.exists(r.number)
        elif r.name == "RECENT":
            self.box.recent, self.box.recent_said = r.number, True
        elif r.name == "EXPUNGE":
            self.may_expunge()
            if "QRESYNC" in self.enabled and not self.box.nomodseq:
                raise ValueError("EXPUNGE after ENABLE QRESYNC (RFC 7162 section 3.2.10)")
            self.box.expunge(r.number)
        elif r.name == "VANISHED":
            self.note_vanished(r.data, head)
        elif r.name == "FETCH":
            self.note_fetch(r, head)

    def may_expunge(self):
        """RFC 3501 sections 5.5 and 7.4.1."""
        busy = [c for c in self.pending.values() if c.complete]
        if not busy:
            raise ValueError("EXPUNGE with no command in progress (RFC 3501 section 7.4.1)")
        if all(c.name in NO_EXPUNGE for c in (busy[:1] if self.in_order else busy)):
            raise ValueError(f"EXPUNGE during {busy[0].name} (RFC 3501 section 7.4.1)")

    def note_vanished(self, v, head):
        if "QRESYNC" not in self.enabled:
            raise ValueError("VANISHED before ENABLE QRESYNC (RFC 7162 section 3.2.3)")
        if not v.earlier:
            self.may_expunge()
            return self.box.vanished(expand(v.uids))
        if not (head and (head.name == "UID FETCH" and head.says(b"VANISHED")
                          or head.name in ("SELECT", "EXAMINE") and head.says(b"QRESYNC"))):
            raise ValueError("VANISHED (EARLIER) that nobody asked for (RFC 7162 section 3.2.10.1)")
        there = [u for u in self.box.uids() if u and any(a <= u <= b for a, b in v.uids)]
        if there:
            raise ValueError(f"VANISHED (EARLIER) of {there[:5]}, which are there (RFC 7162 section 3.2.10.1)")
        return None

    def note_fetch(self, r, head):
        name = head.name if head else None
        unsolicited = not self.strict and set(r.data) <= {"FLAGS", "MODSEQ"}        # perhaps
        if name in ("UID FETCH", "UID STORE") and "UID" not in r.data and not unsolicited:
            raise ValueError(f"FETCH without UID during {name} (RFC 3501 section 6.4.8)")
        if any(k.endswith(">") for k in r.data) and not (head and head.says(b">")):
            raise ValueError("an origin octet that nobody asked for (RFC 3501 section 7.4.2)")
        if "FLAGS" in r.data and name not in ("FETCH", "UID FETCH") and not self.box.nomodseq:
            if self.enabled & {"CONDSTORE", "QRESYNC"} and "MODSEQ" not in r.data:
                raise ValueError("FETCH of changed flags without MODSEQ (RFC 7162 section 3.2)")
            if "QRESYNC" in self.enabled and "UID" not in r.data:
                raise ValueError("FETCH of changed flags without UID (RFC 7162 section 3.2.4)")
        self.box.fetch(r.number, r.data)

    def note_search(self, r, head):
        if r.name == "SEARCH":
            numbers, uid = r.data.numbers, bool(head and head.name == "UID SEARCH")
        else:
            items, uid = r.data.items, r.data.uid
            if r.data.tag is not None and r.data.tag.decode() not in self.pending:
                raise ValueError("the TAG of an ESEARCH is of no command in progress (RFC 4466 section 2.6.2)")
            if items.get("COUNT") == 0 and set(items) & {"MIN", "MAX", "ALL"}:
                raise ValueError("MIN, MAX or ALL of nothing (RFC 4731 section 3.1)")
            every = items.get("ALL")
            if every and (items.get("COUNT", size(every)) != size(every)
                          or items.get("MIN", every[0][0]) != min(a for a, _ in every) and "MIN" in items
                          or items.get("MAX", 0) != max(b for _, b in every) and "MAX" in items):
                raise ValueError("COUNT, MIN, MAX do not fit ALL (RFC 4731 section 3.1)")
            numbers = [items[k] for k in ("MIN", "MAX") if k in items] + [n for ab in every or () for n in ab]
        if not self.box:
            raise ValueError(f"{r.name} with no mailbox selected")
        if not uid and any(n > self.box.count for n in numbers):
            raise ValueError(f"a message that is none of {self.box.count}")
        uids = self.box.uids()
        if uid and None not in uids and not set(numbers) <= set(uids):
            raise ValueError("a UID that is not there")

    def forget_flags(self, c):
        """The server does not say what .SILENT made of them."""
        try:
            numbers = c.arguments().sequence_set()
        except (Illegal, Incomplete):
            numbers = ((1, UINT32),)            # "*", "$"
        for n, s in enumerate(self.box.slots if self.box else (), 1):
            k = s.uid if c.name == "UID STORE" else n
            if k is None or any(a <= k <= b for a, b in numbers):
                s.flags = s.modseq = None


# ---- the model -------------------------------------------------------------------------

ALL, NO_REMOVAL, NOTHING = "all", "no removal", "nothing"       # what a session must have been told

# What is known of other sessions' changes after a command. RFC 3501 section 6.1.2: NOOP tells all. Sections 5.2 and 7:
# what is observed during a command is told; 7.4.1: but no removal with FETCH, STORE and SEARCH. A server that tells
# less after some commands: Model(tells={"CHECK": NOTHING}).
TELLS = {None: NOTHING, "FETCH": NO_REMOVAL, "STORE": NO_REMOVAL, "SEARCH": NO_REMOVAL}

# A NO with one of these is no fault of a server that could also have said OK.
EXCUSES = ("CANNOT", "LIMIT", "OVERQUOTA", "NOPERM", "INUSE", "UNAVAILABLE", "TOOBIG", "CONTACTADMIN", "CORRUPTION")


class Message:
    def __init__(self, uid, born, flags, date, octets, guess=False):
        self.uid, self.born, self.date, self.octets, self.guess = uid, born, date, octets, guess
        self.died = None                # the event that expunged it
        self.limbo = False              # expunged or not: whoever sees next knows
        self.values = [(born, frozenset([flags]))]      # (event, what its flags may have been from then on)
        self.recent_in = set()          # sessions that could change the mailbox and saw \\Recent
        self.modseq = (0, 0)            # the last one seen, and of which event

    def now(self):
        return self.values[-1][1]

    def since(self, event):
        """All that its flags may have been at that event or later."""
        out = frozenset()
        for when, values in reversed(self.values):
            out |= values
            if when <= event:
                break
        return out

    def change(self, event, how, certain=True):
        """how: from old flags to new ones. Uncertain: or nothing changed."""
        values = frozenset(how(v) for v in self.now())
        if not certain:
            values |= self.now()
        if values != self.now():
            self.values.append((event, values))
            return True
        return False


class Folder:
    def __init__(self):
        self.event = self.pruned = 0    # counts changes; when prune() looked last
        self.messages = {}              # uid -> Message, also those expunged that a session may still see
        self.uidvalidity, self.uidnext = None, 1
        self.exists = True
        self.fresh = False              # UIDs are not known: RENAME INBOX gave it its messages

    def alive(self):
        return [m for m in self.messages.values() if m.died is None]

    def certain(self):
        return [m for m in self.alive() if not m.limbo]


class Session:
    """One selection of a mailbox. The points: events up to which it knows of arrivals, removals, flags."""

    def __init__(self, folder, readonly):
        self.folder, self.readonly = folder, readonly
        self.arrivals = self.removals = self.flags = folder.event

    def told(self, level):
        if level != NOTHING:
            self.arrivals = self.flags = self.folder.event
        if level == ALL:
            self.removals = self.folder.event


def outcome(answer):
    return answer if isinstance(answer, str) else answer.done.name


def code(answer, name):
    return None if isinstance(answer, str) else answer.code(name)


def plain(flags):
    return frozenset(SYSTEM_FLAGS.get(f.upper(), f) for f in flags if f.upper() != "\\RECENT")


class Model:
    """
    What a server must hold, for a test that sends random commands, one after the other, over several sessions:

        m = Model(separator="/")
        s = m.select("INBOX", c.box)                    after c.ok("SELECT INBOX")
        m.append("INBOX", octets, flags, date, c.cmd("APPEND INBOX ...", Literal(octets)))
        m.store(s, uids, "+", ["\\\\Seen"], c.cmd("UID STORE ..."))
        m.check(c.box, s, after=command)                for the session that sent it; m.check(box, s) for any, any time
        m.check_status("INBOX", items); m.check_list(listings); m.check_lsub(listings)

    Every method that is a command takes the server's answer (a Command, or "OK", "NO"), says Broken if the server may
    not answer so, and does what was answered. UIDs come from APPENDUID and COPYUID. uids are those a command names,
    whether or not another session has expunged them meanwhile.

    A session may lag behind. check() holds what it sees for possible when
     1. each UID was in the folder at a time since the session was last told of removals (RFC 3501 section 7.4.1,
        RFC 2180 section 4.1.1: others' expunges may be kept from it, but only until then);
     2. each message that was there when it was last told of arrivals, and still is, is seen (RFC 3501 section 5.2);
     3. no message is missing below one that is seen: numbers follow UIDs (RFC 3501 section 2.3.1.2);
     4. the flags are those of when it was last told of flags, or of any later time (RFC 3501 sections 5.2, 7.4.2);
        those of an expunged message are anything, as it may still store some there (RFC 2180 section 4.2);
     5. date, size and octets never change (RFC 3501 section 9, msg-att-static);
     6. if strict: \\Recent was shown to one session at most of those that can change the mailbox (RFC 3501 section
        2.3.2);
     7. mod-sequences grow with each change of a message (RFC 7162 section 3.1);
     8. UIDVALIDITY does not change; a name never has two mailboxes with the same one, and the later one's is greater,
        also after DELETE, CREATE and RENAME (RFC 3501 sections 2.3.1.1, 6.3.3, 6.3.4).
    When it was told of what: see TELLS.

    What RFC 2180 leaves open is uncertain in the model until somebody is shown it:
     - STORE with a NO, with some messages expunged: flags of the others changed or not (sections 4.2.3, 4.2.4);
     - EXPUNGE: whether it took what the session had not been told is there, or is \\Deleted.
    A folder that was deleted under a session is any way it ever was (RFC 2180 section 3).
    """

    def __init__(self, separator="/", tells=None, uidplus=True, strict=True):
        self.separator, self.uidplus, self.strict = separator, uidplus, strict
        self.tells = dict(TELLS, **(tells or {}))
        self.folders = {"INBOX": Folder()}
        self.subscribed = set()
        self.validities = {}            # name -> {UIDVALIDITY: Folder}, of all times
        self.sessions = []

    # ---- helpers ----

    def name(self, name):
        """INBOX in any case, also as the first level; no separator at the end."""
        name = name.rstrip(self.separator) if len(name) > 1 else name
        first, sep, rest = name.partition(self.separator)
        return ("INBOX" + sep + rest) if first.upper() == "INBOX" else name

    def inferiors(self, name):
        return [n for n in self.folders if n.startswith(name + self.separator)]

    def superior_only(self, name):
        """A name that others stand below, and that may or may not be a mailbox."""
        return name not in self.folders and bool(self.inferiors(name))

    def must(self, answer, allowed, what, section):
        if outcome(answer) not in allowed:
            raise Broken(f"{what}: {outcome(answer)}, not {' or '.join(allowed)} (RFC 3501 section {section})")

    def may_fail(self, answer):
        return outcome(answer) == "NO" and any(code(answer, e) for e in EXCUSES)

    def real(self, name):
        """The folder, which the server says is there: a superior may turn out to be one."""
        name = self.name(name)
        if name not in self.folders:
            if not self.superior_only(name):
                raise Broken(f"{name} is no mailbox (RFC 3501 section 6.3.1)")
            self.folders[name] = Folder()
        return self.folders[name]

    def validity(self, name, value):
        """Rule 8."""
        name = self.name(name)
        folder, used = self.real(name), self.validities.setdefault(name, {})
        if folder.uidvalidity is not None and value != folder.uidvalidity:
            raise Broken(f"UIDVALIDITY of {name} was {folder.uidvalidity}, is {value} (RFC 3501 section 2.3.1.1)")
        others = [v for v, f in used.items() if f is not folder]
        if others and value <= max(others):
            raise Broken(f"UIDVALIDITY {value} of {name}: a former mailbox of that name had {max(others)} "
                         "(RFC 3501 section 2.3.1.1)")
        folder.uidvalidity = used[value] = value
        used[value] = folder

    def prune(self, folder):
        """Forgets what no session can see any more."""
        live = [s for s in self.sessions if s.folder is folder]
        oldest = min((s.removals for s in live), default=folder.event)
        if folder.event >= folder.pruned + 16:
            folder.pruned = folder.event
            for m in [m for m in folder.messages.values() if m.died is not None and m.died <= oldest]:
                del folder.messages[m.uid]

    def target(self, name, answer):
        """The folder that APPEND, COPY, MOVE write to; None when there is none, which the server must have said."""
        name = self.name(name)
        if name in self.folders:
            return self.folders[name]
        if self.superior_only(name) and outcome(answer) == "OK":
            return self.real(name)
        self.must(answer, ("NO",), f"no mailbox {name}", "6.3.11")
        if not isinstance(answer, str) and not self.superior_only(name) and not code(answer, "TRYCREATE"):
            raise Broken(f"no mailbox {name}: NO without TRYCREATE (RFC 3501 sections 6.3.11, 6.4.7)")
        return None

    def add(self, folder, uid, flags, date, octets):
        guess = uid is None
        uid = folder.uidnext if guess else uid
        if uid < folder.uidnext:
            raise Broken(f"UID {uid} of a new message, after UIDNEXT {folder.uidnext} (RFC 3501 section 2.3.1.1)")
        m = Message(uid, folder.event, flags, date, octets, guess)
        folder.messages[uid] = m
        folder.uidnext = uid + 1
        return m

    # ---- folders ----

    def create(self, name, answer):
        name = self.name(name)
        if name == "INBOX" or name in self.folders:
            return self.must(answer, ("NO",), f"CREATE of {name}, which exists", "6.3.3")
        if self.superior_only(name):
            self.must(answer, ("OK", "NO"), f"CREATE of {name}", "6.3.3")
        elif not self.may_fail(answer):
            self.must(answer, ("OK",), f"CREATE of {name}", "6.3.3")
        if outcome(answer) == "OK":
            self.folders[name] = Folder()

    def delete(self, name, answer):
        name = self.name(name)
        if name == "INBOX" or (name not in self.folders and not self.superior_only(name)):
            return self.must(answer, ("NO",), f"DELETE of {name}", "6.3.4")
        if name in self.folders and not self.may_fail(answer) and not code(answer, "HASCHILDREN"):
            self.must(answer, ("OK",), f"DELETE of {name}", "6.3.4")
        if outcome(answer) == "OK" and name in self.folders:
            self.folders.pop(name).exists = False

    def rename(self, old, new, answer):
        old, new = self.name(old), self.name(new)
        if new in self.folders or new == "INBOX" or (old not in self.folders and not self.superior_only(old)) \
                or (new + self.separator).startswith(old + self.separator) and old != "INBOX":
            return self.must(answer, ("NO",), f"RENAME of {old} to {new}", "6.3.5")
        if self.superior_only(old) or self.superior_only(new):
            self.must(answer, ("OK", "NO"), f"RENAME of {old} to {new}", "6.3.5")
        elif not self.may_fail(answer):
            self.must(answer, ("OK",), f"RENAME of {old} to {new}", "6.3.5")
        if outcome(answer) != "OK":
            return
        if old == "INBOX":
            # All messages move, INBOX stays, and so do names below it: RFC 3501 section 6.3.5.
            inbox, folder = self.folders["INBOX"], Folder()
            folder.fresh = True
            inbox.event += 1
            for m in inbox.alive():
                copy = self.add(folder, None, frozenset(), m.date, m.octets)
                copy.values, copy.limbo = [(0, m.now())], m.limbo
                m.died, m.limbo = inbox.event, False
            self.folders[new] = folder
            return
        for n in [n for n in [old] + self.inferiors(old) if n in self.folders]:
            name = new + n[len(old):]
            folder = self.folders[name] = self.folders.pop(n)
            # It comes along, unless a former mailbox of that name had a greater one: then rule 8 wants another.
            if any(v >= (folder.uidvalidity or 0) for v, f in self.validities.get(name, {}).items() if f is not folder):
                folder.uidvalidity = None
            if folder.uidvalidity is not None:
                self.validity(name, folder.uidvalidity)

    def subscribe(self, name, answer):
        # Whether the name must exist is the server's choice: RFC 3501 section 6.3.6.
        if self.name(name) in self.folders and not self.may_fail(answer):
            self.must(answer, ("OK",), f"SUBSCRIBE of {name}", "6.3.6")
        if outcome(answer) == "OK":
            self.subscribed.add(self.name(name))

    def unsubscribe(self, name, answer):
        if self.name(name) in self.subscribed:
            self.must(answer, ("OK",), f"UNSUBSCRIBE of {name}", "6.3.7")
        if outcome(answer) == "OK":
            self.subscribed.discard(self.name(name))

    # ---- messages ----

    def append(self, name, octets, flags=(), date=None, answer="OK"):
        """Also for a message that was delivered (answer "OK"): its UID is then guessed, until one is seen."""
        folder = self.target(name, answer)
        if folder is None or self.may_fail(answer):
            return None
        self.must(answer, ("OK",), f"APPEND to {name}", "6.3.11")
        uid = code(answer, "APPENDUID")
        if uid is None and self.uidplus and not isinstance(answer, str):
            raise Broken("APPEND without APPENDUID (RFC 4315 section 3)")
        if uid is not None:
            self.validity(name, uid[0])
            if size(uid[1]) != 1:
                raise Broken("APPENDUID of more than one message (RFC 4315 section 3)")
        folder.event += 1
        self.prune(folder)
        return self.add(folder, uid and uid[1][0][0], plain(flags), date, octets)

    def copy(self, session, uids, name, answer, move=False):
        """COPY; with move, MOVE (RFC 6851). uids that are not there any more may have been copied or not."""
        what, source = "MOVE" if move else "COPY", session.folder
        there = [m for m in source.certain() if m.uid in set(uids)]
        gone = [u for u in uids if u not in {m.uid for m in there}]
        target = self.target(name, answer) if there or outcome(answer) == "NO" else self.folders.get(self.name(name))
        if target is None:
            return
        if move and session.readonly:
            return self.must(answer, ("NO",), "MOVE in a mailbox that is read-only", "6.3.2")
        if not gone and not self.may_fail(answer):              # RFC 2180 section 4.4.1: with some gone it may refuse
            self.must(answer, ("OK",), f"{what} to {name}", "6.4.7")
        said = code(answer, "COPYUID")
        if outcome(answer) != "OK" and not (move and said):
            return                                              # and nothing was copied: RFC 3501 section 6.4.7
        if said is None and there and self.uidplus and not isinstance(answer, str):
            raise Broken(f"{what} without COPYUID (RFC 4315 section 3)")
        pairs = [(m.uid, None) for m in there]
        if said is not None:
            self.validity(name, said[0])
            pairs = list(zip(expand(said[1]), expand(said[2])))
            copied = {u for u, _ in pairs}
            if not copied <= set(uids) or not copied <= set(source.messages):
                raise Broken(f"COPYUID of {sorted(copied)}, where {sorted(uids)} were asked for (RFC 4315 section 3)")
            # MOVE may fail partway: RFC 6851 section 3.1.
            if not {m.uid for m in there} <= copied and outcome(answer) == "OK":
                raise Broken(f"{what} of {sorted(m.uid for m in there)} left out some: {sorted(copied)} "
                             "(RFC 3501 section 6.4.7)")
        originals = [(source.messages[u], u2) for u, u2 in pairs]
        target.event += 1
        for m, uid in sorted(originals, key=lambda x: x[1] or 0):
            copy = self.add(target, uid, frozenset(), m.date, m.octets)
            copy.values = [(target.event, m.now())]             # SHOULD keep flags and date
        if move:
            source.event += 1
            for m, _ in originals:
                if m.died is None:
                    m.died, m.limbo = source.event, False
        self.prune(target)

    def move(self, session, uids, name, answer):
        self.copy(session, uids, name, answer, move=True)

    def store(self, session, uids, sign, flags, answer, modified=()):
        """sign: "+", "-" or "". modified: UIDs that MODIFIED named (RFC 7162 section 3.1.3), which stay as they are."""
        folder, flags = session.folder, plain(flags)
        there = [m for m in folder.alive() if m.uid in set(uids) - set(modified)]
        gone = set(uids) - {m.uid for m in folder.certain()}
        if session.readonly:
            return                                              # whatever is answered, nothing changes: section 6.3.2
        if not gone and not modified and not self.may_fail(answer):
            self.must(answer, ("OK",), "STORE", "6.4.6")
        certain = outcome(answer) == "OK"
        if not certain and not gone:
            return
        folder.event += 1
        how = {"+": lambda v: v | flags, "-": lambda v: v - flags, "": lambda v: flags}[sign]
        for m in there:
            m.change(folder.event, how, certain and not m.limbo)

    def seen(self, session, uids):
        """FETCH of BODY[...], RFC822 or RFC822.TEXT was OK and so has set \\Seen: RFC 3501 section 6.4.5."""
        if not session.readonly:
            self.store(session, uids, "+", ["\\Seen"], "OK")

    def expunge(self, session, answer="OK", uids=None):
        """EXPUNGE, UID EXPUNGE of uids; CLOSE is this and then leave()."""
        folder = session.folder
        if session.readonly:
            return
        if not self.may_fail(answer):
            self.must(answer, ("OK",), "EXPUNGE", "6.4.3")
        if outcome(answer) != "OK":
            return
        folder.event += 1
        for m in folder.alive():
            if (uids is not None and m.uid not in uids) or not any("\\Deleted" in v for v in m.now()):
                continue
            told = m.born <= session.arrivals and m.values[-1][0] <= session.flags
            if all("\\Deleted" in v for v in m.now()) and told and not m.limbo:
                m.died = folder.event
            else:
                m.limbo = True
        self.prune(folder)

    # ---- sessions ----

    def select(self, name, mirror, readonly=False):
        """SELECT or EXAMINE was OK: a new Session, which sees all there is."""
        folder = self.real(name)
        session = Session(folder, readonly)
        self.sessions.append(session)
        self.validity(name, mirror.uidvalidity)
        latest = max((m.uid for m in folder.certain()), default=0)
        if mirror.base_uidnext <= latest and not folder.fresh:
            raise Broken(f"UIDNEXT {mirror.base_uidnext} with UID {latest} in {name} (RFC 3501 section 2.3.1.1)")
        self.check(mirror, session, after="SELECT")
        return session

    def leave(self, session):
        """CLOSE, UNSELECT, another SELECT, or the connection has ended."""
        self.sessions.remove(session)

    def check(self, mirror, session, after=None):
        """
        Is what this session sees possible, after that command? A Command, or a name ("NOOP", "UID FETCH" ...) of one
        that was OK; None when it has sent none. One that failed tells nothing for sure.
        """
        if isinstance(after, Command):
            after = after.name if after.ok else None
        folder = session.folder
        level = self.tells.get(after, ALL)
        session.told(level)
        uids = mirror.uids()
        self.learn(folder, uids)
        if not folder.exists:
            return
        there = set(uids)
        self.check_messages(folder, session, uids, there)
        for s in mirror.slots:
            m = folder.messages.get(s.uid)
            if m:
                self.check_slot(folder, session, s, m, level)
        if level == ALL and None not in there:          # all is known to one: so it is to us
            for m in folder.alive():
                if m.limbo:
                    m.limbo = False
                    m.died = None if m.uid in there else folder.event

    def learn(self, folder, uids):
        """UIDs of messages whose UIDs were guessed."""
        if None in uids:
            return
        if folder.fresh:
            old = sorted(folder.messages)
            if len(old) != len(uids):
                return
            messages = [folder.messages[u] for u in old]
            pairs = list(zip(messages, sorted(uids)))
            folder.fresh = False
        else:
            guessed = [m for m in folder.alive() if m.guess]
            new = sorted(u for u in uids if u not in folder.messages or folder.messages[u].guess)
            pairs = [(m, u) for m, u in zip(guessed, new) if u >= m.uid]
        if pairs:
            moved = {id(m) for m, _ in pairs}
            kept = [m for m in folder.messages.values() if id(m) not in moved]
            for m, u in pairs:
                m.uid, m.guess = u, False
            folder.messages = {m.uid: m for m in sorted(kept + [m for m, _ in pairs], key=lambda m: m.uid)}
            folder.uidnext = max(folder.uidnext, max(folder.messages) + 1)

    def check_messages(self, folder, session, uids, there):
        """Rules 1 to 3."""
        for u in uids:
            m = folder.messages.get(u)
            if u is None or folder.fresh:
                continue
            if m is None:
                raise Broken(f"UID {u} is seen, which never was or has long been expunged")
            if m.died is not None and m.died <= session.removals:
                raise Broken(f"UID {u} is seen, of whose removal the session must know (RFC 3501 section 7.4.1)")
        possible = [m for m in folder.messages.values() if m.died is None or m.died > session.removals]
        required = [m for m in folder.certain() if m.born <= session.arrivals]
        if not len(required) <= len(uids) <= len(possible):
            raise Broken(f"{len(uids)} messages are seen; {len(required)} to {len(possible)} are possible "
                         "(RFC 3501 section 5.2)")
        if None in there or folder.fresh:
            return
        top = max(there, default=0)
        for m in folder.certain():
            if m.uid not in there and (m.born <= session.arrivals or m.uid < top):
                raise Broken(f"UID {m.uid} is not seen (RFC 3501 sections 5.2, 2.3.1.2)")

    def check_slot(self, folder, session, s, m, level):
        """Rules 4 to 7."""
        if s.flags is not None:
            flags = s.flags - {"\\Recent"}
            if m.died is None and flags not in m.since(session.flags):
                raise Broken(f"UID {m.uid} has flags {sorted(flags)}; possible are "
                             f"{[sorted(v) for v in m.since(session.flags)]} (RFC 3501 section 5.2)")
            if level != NOTHING and m.died is None and len(m.now()) > 1:
                m.values.append((folder.event, frozenset([flags])))
            if self.strict and "\\Recent" in s.flags and not session.readonly:
                m.recent_in.add(session)
                if len(m.recent_in) > 1:
                    raise Broken(f"UID {m.uid} is \\Recent in two sessions (RFC 3501 section 2.3.2)")
        for name, value in (("INTERNALDATE", m.date), ("RFC822.SIZE", None if m.octets is None else len(m.octets)),
                            ("BODY[]", m.octets)):
            if isinstance(value, bytes) and len(value) > 64:
                value = digest(value)
            if value is not None and s.static.get(name, value) != value:
                raise Broken(f"{name} of UID {m.uid} is {s.static[name]}, was {value} "
                             "(RFC 3501 section 9, msg-att-static)")
        if s.modseq is not None and level != NOTHING and m.died is None and s.flags is not None:
            event, modseq = m.modseq
            changed = m.values[-1][0]
            if s.modseq < modseq or (changed > event and s.modseq == modseq):
                raise Broken(f"the mod-sequence of UID {m.uid} is {s.modseq}, was {modseq} before a change "
                             "(RFC 7162 section 3.1)")
            m.modseq = (changed, s.modseq)

    # ---- what is asked for without a session ----

    def check_status(self, name, items):
        """The items of a STATUS response, about a mailbox that who asked has not selected (RFC 3501 section 6.3.10)."""
        folder = self.real(name)
        certain, alive = folder.certain(), folder.alive()

        def within(item, low, high):
            if item in items and not low <= items[item] <= high:
                raise Broken(f"STATUS {name} {item} is {items[item]}, possible is {low} to {high} "
                             "(RFC 3501 section 6.3.10)")

        def unseen(messages, which):
            return sum(which("\\Seen" not in v for v in m.now()) for m in messages)
        if "UIDVALIDITY" in items:
            self.validity(name, items["UIDVALIDITY"])
        within("MESSAGES", len(certain), len(alive))
        within("UNSEEN", unseen(certain, all), unseen(alive, any))
        if all(m.octets is not None for m in alive):
            within("SIZE", sum(len(m.octets) for m in certain), sum(len(m.octets) for m in alive))      # RFC 8438
        if not folder.fresh:
            guessed = any(m.guess for m in folder.messages.values())
            within("UIDNEXT", 1 if guessed else folder.uidnext, UINT32)
            folder.uidnext = max(folder.uidnext, items.get("UIDNEXT", 0))

    def check_list(self, listings):
        """The Listings of LIST "" "*"."""
        names = {self.name(x.mailbox): x.attributes for x in listings}
        if len(names) != len(listings):
            raise Broken("LIST says a name twice")
        for name in self.folders:
            if name not in names:
                raise Broken(f"LIST without {name} (RFC 3501 section 6.3.8)")
            if names[name] & {"\\Noselect", "\\NonExistent"}:
                raise Broken(f"{name} is a mailbox, but {sorted(names[name])} (RFC 3501 section 7.2.2)")
        for name, attributes in names.items():
            if name not in self.folders and not self.superior_only(name):
                raise Broken(f"LIST has {name}, which is none (RFC 3501 section 6.3.8)")
            if name not in self.folders and not attributes & {"\\Noselect", "\\NonExistent"}:
                self.real(name)
            below = bool(self.inferiors(name))
            if (not below and "\\HasChildren" in attributes) or (below and "\\HasNoChildren" in attributes):
                raise Broken(f"{name} is {sorted(attributes)} (RFC 5258 section 4)")

    def check_lsub(self, listings):
        """The Listings of LSUB "" "*": no DELETE or RENAME takes a subscription away (RFC 3501 section 6.3.9)."""
        names = {self.name(x.mailbox) for x in listings if "\\Noselect" not in x.attributes}
        if names != self.subscribed:
            raise Broken(f"LSUB: {sorted(names ^ self.subscribed)} (RFC 3501 section 6.3.9)")
