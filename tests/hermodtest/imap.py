# SPDX-License-Identifier: ISC
"""
IMAP as the RFCs have it, for tests: a strict parser of responses, a client that keeps watch over the server, and a model
of what the server must hold.

    parse_response(octets) -> Response      one response with its literals, exactly by the grammar; else Illegal
    Client(host, port)                      commands, pipelines, IDLE; a Mirror of the selected mailbox; else Broken
    Model()                                 folders and messages; check(mirror, session) is Broken when a view is impossible

Octets that were strings on the wire (quoted, literal) are bytes, NIL is None, atoms are str. What is case-insensitive has
one spelling: names of responses, codes and data items and capabilities are in capitals, system flags and the attributes
of LIST as their RFC spells them, INBOX is INBOX. Sets of numbers are tuples of (first, last), first <= last; see
expand().
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
    data    CAPABILITY, ENABLED: tuple of str.  FLAGS: frozenset.  LIST, LSUB: Listing.  SEARCH: Search.  ESEARCH: Esearch.
            STATUS: (mailbox, {item: value}).  ID: {bytes: bytes or None} or None.  VANISHED: Vanished.
            NAMESPACE: three of (None or ((prefix, separator, {bytes: (bytes, ...)}), ...)).  FETCH: {item: value}.
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
ATTRIBUTES = spellings("\\Noinferiors", "\\HasChildren", "\\HasNoChildren", "\\Subscribed", "\\Remote", "\\All", "\\Archive",
                       "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Important")
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

    def number(self, limit=UINT32, wanted="number"):
        at = self.pos
        n = int(self.match(NUMBER, wanted).group())
        if n > limit:
            self.wrong(f"{wanted} <= {limit}", at)
        return n

    def nz_number(self):
        at = self.pos
        n = int(self.match(NZ_NUMBER, "nz-number").group())
        if n > UINT32:
            self.wrong("nz-number < 2^32", at)
        return n

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
        at = self.pos
        n = int(self.match(LITERAL, "literal: {number}CRLF").group(1))
        if n > UINT32:
            self.wrong("number < 2^32", at)
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
            return leap + datetime.datetime(int(year), MONTHS.index(month.decode().lower()) + 1, int(day), int(h), int(m),
                                            int(s) - leap.seconds, tzinfo=datetime.timezone(zone))
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
        # media-text and media-message are spelled with DQUOTE; a literal would make them media-basic, which they are not.
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
        if name in ("CAPABILITY", "ENABLED", "NAMESPACE", "SEARCH", "ESEARCH", "VANISHED"):     # these read their own SP
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
