# SPDX-License-Identifier: ISC
"""hermodtest.imap, which judges servers, judged itself: responses that are legal and that are not, conversations with a
server that reads from a script, and views that a model must hold for possible or not. No daemon runs here."""
import datetime
import os
import re
import socket
import threading
import time

import pytest

from hermodtest.imap import (Address, Broken, Client, Envelope, Esearch, Illegal, Listing, Literal, Mirror, Model,
                             Multipart, Part, Response, Search, Vanished, expand, parse_response, ranges, set_text,
                             utf7_decode, utf7_encode)

PDT = datetime.timezone(datetime.timedelta(hours=-7))

# ---- legal ----------------------------------------------------------------------------

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors", "imap", "examples")

# What no example of an RFC shows.
MORE = r"""
    * ok [capability imap4REV1 auth=plain] hello
    ]tag]-= OK a tag is any ASTRING-CHAR but +
    * OK [BADCHARSET (US-ASCII "UTF-8")] with a list
    a NO [BADCHARSET] without one
    * OK [X-MINE] an experimental code
    * OK [X-MINE anything (at all)] an experimental code
    * OK text with [brackets] in it
    * 1 FETCH (FLAGS (\Recent $Forwarded NonJunk))
    * 1 FETCH (BODY[1.2.HEADER.FIELDS.NOT (From "X Y")]<0> "a \"quoted\" \\ one")
    * 1 FETCH (BODY[] nil BODY[TEXT] NIL BODY[3.MIME] "" BODY[2.TEXT] "" BODY[1]<17> "x")
    * 1 FETCH (INTERNALDATE " 7-feb-2024 23:59:60 +0530")
    * 1 FETCH (RFC822.SIZE 0044)
    * 4294967295 EXPUNGE
    * 4294967295 EXISTS
    * STATUS "" ()
    * LIST (\Noselect) NIL ""
    * LIST () "\\" a
    * LIST () "\"" b
    * LIST () "/" "&AOQA9gD8-/&ZeVnLIqe-&-" (X.Y (a (b "c") d) Z 1:3,5 OLDNAME ("old"))
    * LIST () "/" "100%* of it"
    * ID ()
    * ID ("name" NIL)
    * ESEARCH
    * ESEARCH UID
    * ENABLED
"""


def examples():
    """[(RFC and sections, line)]"""
    out, where = [], None
    for line in open(EXAMPLES).read().splitlines():
        if line.startswith("# RFC "):
            where = line[2:]
        elif line and not line.startswith("#"):
            out.append((where, line.replace("\\n", "\n")))
    return out


LINES = examples() + [("MORE", line.strip()) for line in MORE.strip().splitlines()]


def octets(line):
    """A line of a table, whose \\n are CRLF, with the CRLF at its end."""
    return line.encode("latin-1").replace(b"\n", b"\r\n") + b"\r\n"


def test_legal():
    assert len(LINES) > 550
    for where, line in LINES:
        try:
            parse_response(octets(line))
        except Illegal as e:
            pytest.fail(f"{where}: {line}: {e}")


def test_the_empty_challenge():
    assert parse_response(b"+ \r\n") == Response("+", "+", text="")         # RFC 3501 section 6.2.2


# ---- illegal --------------------------------------------------------------------------

BODY = '"TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1'
ENVELOPE = "NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL"
ILLEGAL = (
    # the rule it breaks, the response
    ("response: ends with CRLF", ("raw", b"* OK done")),
    ("response: ends with CRLF", ("raw", b"* OK done\n")),
    ("response: one only", ("raw", b"* OK one\r\n* OK two\r\n")),
    ("response: not empty", ""),
    ("response: an untagged one has SP", "*OK done"),
    ("response: one SP exactly", "*  OK done"),
    ("response: SP, no TAB", "*\tOK done"),
    ("response: a known one", "* XPIG-LATIN ow-nay eaking-spay ig-pay atin-lay"),
    ("response: a known one", "* METADATA \"MyDrafts\" (/private/specialuse NIL)"),
    ("response: nothing behind it", "* 3 EXISTS "),
    ("response: nothing behind it", "* 3 EXPUNGE 4"),
    ("continue-req: SP", "+"),
    ("continue-req: SP", "+OK"),
    ("tag: no +", "a+b OK done"),
    ("tag: ASTRING-CHAR", "a(b OK done"),
    ("tag: ASTRING-CHAR", "a\xe4 OK done"),
    ("response-tagged: OK, NO, BAD", "a1 BYE done"),
    ("response-tagged: OK, NO, BAD", "a1 PREAUTH done"),
    ("response-tagged: OK, NO, BAD", "a1 OKAY done"),
    ("response-tagged: no data", "a1 SEARCH 1"),
    ("resp-text: one TEXT-CHAR at least (RFC 7162 section 3.1.3 forgets it)", "a107 OK"),
    ("resp-text: one TEXT-CHAR at least", "a107 OK "),
    ("resp-text: text after a code (RFC 7162 section 3.1.2.1 forgets it)", "* OK [HIGHESTMODSEQ 715194045007]"),
    ("resp-text: text after a code (RFC 7162 section 3.2.11 forgets it)", "* OK [CLOSED]"),
    ("resp-text: text after a code (RFC 5530 section 3 forgets it)", "e OK [CONTACTADMIN]"),
    ("resp-text: text after a code (RFC 2177 section 3 forgets it)", "* OK [UIDVALIDITY 1]"),
    ("resp-text: SP after a code", "* OK [ALERT]now"),
    ("resp-text: text after a code and SP", "* OK [ALERT] "),
    ("TEXT-CHAR: 7 bits", "* OK gr\xfc\xdfe"),
    ("TEXT-CHAR: no NUL", "* OK a\0b"),
    ("TEXT-CHAR: no CR", "* OK a\rb"),
    ("TEXT-CHAR: no LF", ("raw", b"* OK a\nb\r\n")),
    ("resp-text-code: is closed", "* OK [ALERT text"),
    ("resp-text-code: an atom", "* OK [] text"),
    ("resp-text-code: of an RFC, or X", "* NO [TRYCREAT] text"),
    ("resp-text-code: ALERT has no argument", "* OK [ALERT now] text"),
    ("resp-text-code: READ-ONLY has no argument", "* OK [READ-ONLY 1] text"),
    ("resp-text-code: BADCHARSET has a list (RFC 5182 section 2.1 forgets it)", "B283 NO [BADCHARSET UTF-8] text"),
    ("resp-text-code: BADCHARSET has a list that is not empty", "B NO [BADCHARSET ()] text"),
    ("resp-text-code: UIDNEXT nz-number", "* OK [UIDNEXT 0] text"),
    ("resp-text-code: UIDNEXT needs its number", "* OK [UIDNEXT] text"),
    ("resp-text-code: UIDVALIDITY of 32 bits", "* OK [UIDVALIDITY 4294967296] text"),
    ("resp-text-code: UNSEEN nz-number", "* OK [UNSEEN 0] text"),
    ("nz-number: no leading zero", "* OK [UIDNEXT 017] text"),
    ("flag-perm: no \\Recent", "* OK [PERMANENTFLAGS (\\Recent)] text"),
    ("capability-data: IMAP4rev1", "* CAPABILITY IMAP4 AUTH=PLAIN"),
    ("capability-data: IMAP4rev1 in the code too", "* OK [CAPABILITY STARTTLS] text"),
    ("capability: an atom", "* CAPABILITY IMAP4rev1 \"IDLE\""),
    ("capability: one SP between two", "* CAPABILITY IMAP4rev1  IDLE"),
    ("capability: no SP at the end", "* CAPABILITY IMAP4rev1 IDLE "),
    ("capability: AUTH= and a mechanism", "* CAPABILITY IMAP4rev1 AUTH="),
    ("RFC 7889 section 5: APPENDLIMIT=number", "* CAPABILITY IMAP4rev1 APPENDLIMIT=x"),
    ("RFC 5161 section 4: ENABLED without list", "* ENABLED (CONDSTORE)"),
    ("RFC 2971 section 4: ID in pairs", '* ID ("name")'),
    ("RFC 2971 section 4: a field is no NIL", '* ID (NIL "x")'),
    ("RFC 2971 section 3.3: a field once only", '* ID ("name" "a" "NAME" "b")'),
    ("RFC 2971 section 3.3: a field of 30 octets", '* ID ("' + "x" * 31 + '" "a")'),
    ("RFC 2971 section 3.3: a value of 1024 octets", '* ID ("x" "' + "x" * 1025 + '")'),
    ("RFC 2971 section 3.3: 30 pairs", "* ID (" + " ".join(f'"x{i}" NIL' for i in range(31)) + ")"),
    ("RFC 2971 section 4: strings, no atoms", "* ID (name Hermod)"),
    ("RFC 2342 section 6: one SP (its section 5 has two)", '* NAMESPACE (("INBOX." ".")) NIL  NIL'),
    ("RFC 2342 section 6: three", '* NAMESPACE (("" "/")) NIL'),
    ("RFC 2342 section 6: no SP between two", '* NAMESPACE (("" "/") ("~" "/")) NIL NIL'),
    ("RFC 2342 section 6: one at least", "* NAMESPACE () NIL NIL"),
    ("RFC 2342 section 6: the separator is one character", '* NAMESPACE (("" "//")) NIL NIL'),
    ("RFC 2342 section 6: the prefix is modified UTF-7", '* NAMESPACE (("&x" "/")) NIL NIL'),
    ("mailbox-list: attributes in a list", '* LIST "/" foo'),
    ("mailbox-list: attributes begin with \\", '* LIST (Noselect) "/" foo'),
    ("mbx-list-sflag: one only", '* LIST (\\Noselect \\Marked) "/" foo'),
    ("mbx-list-sflag: one only", '* LIST (\\NonExistent \\Noselect) "/" foo'),
    ("mbx-list-oflag: none made up", '* LIST (\\HasNoKids) "/" foo'),
    ("RFC 3348 section 3: not both", '* LIST (\\HasChildren \\HasNoChildren) "/" foo'),
    ("RFC 3348 section 3: not both", '* LIST (\\HasChildren \\Noinferiors) "/" foo'),
    ("an attribute once only", '* LIST (\\Subscribed \\Subscribed) "/" foo'),
    ("mailbox-list: one SP (RFC 5819 section 3 has two)", '* LIST () "."  "INBOX"'),
    ("mailbox-list: the separator in quotes", "* LIST () / foo"),
    ("mailbox-list: the separator is one character", '* LIST () "" foo'),
    ("mailbox-list: the separator is quoted", '* LIST () "\\" foo'),
    ("mailbox: astring", '* LIST () "/" foo bar'),
    ("mailbox: no list-wildcards in an atom", '* LIST () "/" 100%'),
    ("mailbox: no quoted-specials in an atom", '* LIST () "\\\\" a\\b'),
    ("mailbox: 7 bits", '* LIST () "/" {1}\n\xe4'),
    ("modified UTF-7: & is &-", '* LIST () "/" "a&b"'),
    ("modified UTF-7: ends with -", '* LIST () "/" "&AOQ"'),
    ("modified UTF-7: BASE64 with , not /", '* LIST () "/" "&U,BTF2/c-"'),
    ("modified UTF-7: whole characters", '* LIST () "/" "&AOQA-"'),
    ("modified UTF-7: no spare bits", '* LIST () "/" "&AOR-"'),
    ("modified UTF-7: no = at the end", '* LIST () "/" "&AOQ=-"'),
    ("modified UTF-7: no printable US-ASCII", '* LIST () "/" "&AGE-"'),
    ("modified UTF-7: no null shift", '* LIST () "/" "&AOQ-&APY-"'),
    ("modified UTF-7: no half surrogate", '* LIST () "/" "&2D0-"'),
    ("modified UTF-7: also in STATUS", '* STATUS "&" (MESSAGES 1)'),
    ("RFC 5258 section 6: extended data in a list", '* LIST () "/" foo "CHILDINFO" ("SUBSCRIBED")'),
    ("RFC 5258 section 6: options in quotes", '* LIST () "/" foo ("CHILDINFO" (SUBSCRIBED))'),
    ("RFC 5258 section 6: options of CHILDINFO", '* LIST () "/" foo ("CHILDINFO" ())'),
    ("RFC 5258 section 6: options of CHILDINFO", '* LIST () "/" foo ("CHILDINFO" ("SUSCRIBED"))'),
    ("RFC 5258 section 6: a tag is an atom", '* LIST () "/" foo ("A B" ())'),
    ("RFC 4466 section 3: no () within", '* LIST () "/" foo (X (a ()))'),
    ("RFC 4466 section 3: no string as value", '* LIST () "/" foo (X "y")'),
    ("status-att-list: pairs", "* STATUS foo (MESSAGES)"),
    ("status-att-list: a list", "* STATUS foo MESSAGES 1"),
    ("status-att-list: no SP within", "* STATUS foo ( MESSAGES 1)"),
    ("status-att: a known one", "* STATUS foo (MESSAGE 1)"),
    ("status-att: once only", "* STATUS foo (MESSAGES 1 MESSAGES 1)"),
    ("status-att: number", "* STATUS foo (MESSAGES -1)"),
    ("RFC 4466 section 3: UIDNEXT nz-number", "* STATUS foo (UIDNEXT 0)"),
    ("RFC 8438 section 4: SIZE of 63 bits", "* STATUS foo (SIZE 9223372036854775808)"),
    ("RFC 7889 section 5: APPENDLIMIT number or NIL", '* STATUS foo (APPENDLIMIT "1")'),
    ("RFC 7162 section 7: HIGHESTMODSEQ without list", "* STATUS foo (HIGHESTMODSEQ (1))"),
    ("search: nz-number", "* SEARCH 0"),
    ("search: no SP at the end", "* SEARCH "),
    ("search: no set", "* SEARCH 1:3"),
    ("search: no list", "* SEARCH (1 2)"),
    ("RFC 7162 section 7: MODSEQ not without numbers", "* SEARCH (MODSEQ 5)"),
    ("RFC 7162 section 7: MODSEQ > 0", "* SEARCH 1 (MODSEQ 0)"),
    ("RFC 7162 section 7: MODSEQ is the last", "* SEARCH 1 (MODSEQ 5) 2"),
    ("RFC 4466 section 3: tag-string is a string", "* ESEARCH (TAG a1) COUNT 1"),
    ("RFC 4466 section 3: the correlator comes first", '* ESEARCH UID (TAG "a1") COUNT 1'),
    ("RFC 4466 section 2.6.2: an item once only", "* ESEARCH COUNT 1 COUNT 1"),
    ("RFC 4731 section 4: MIN nz-number", "* ESEARCH MIN 0"),
    ("RFC 4731 section 4: ALL is a set", "* ESEARCH ALL 1 2"),
    ("RFC 4731 section 4: ALL is not empty", "* ESEARCH ALL "),
    ("RFC 4731 section 4: COUNT needs its number", "* ESEARCH COUNT"),
    ("seq-number: * is the client's", "* ESEARCH ALL 1:*"),
    ("flag-list: no \\Recent", "* FLAGS (\\Seen \\Recent)"),
    ("flag-list: a list", "* FLAGS \\Seen"),
    ("flag-list: no \\*", "* FLAGS (\\Seen \\*)"),
    ("flag-list: once only", "* FLAGS (\\Seen \\seen)"),
    ("flag-keyword: an atom", "* FLAGS (a]b)"),
    ("flag-extension: none made up", "* 1 FETCH (FLAGS (\\Junk))"),
    ("number: digits", "* x EXISTS"),
    ("number: 32 bits", "* 4294967296 EXISTS"),
    ("number: not negative", "* -1 EXISTS"),
    ("message-data: EXPUNGE nz-number", "* 0 EXPUNGE"),
    ("message-data: FETCH nz-number", "* 0 FETCH (UID 1)"),
    ("message-data: no leading zero", "* 01 EXPUNGE"),
    ("message-data: these need a number", "* EXISTS 3"),
    ("message-data: these need a number", "* FETCH (UID 1)"),
    ("message-data: these have none", "* 3 SEARCH"),
    ("RFC 7162 section 7: VANISHED needs UIDs", "* VANISHED (EARLIER)"),
    ("RFC 7162 section 7: EARLIER in a list", "* VANISHED EARLIER 1:3"),
    ("RFC 7162 section 7: * is not allowed", "* VANISHED 1:*"),
    ("RFC 7162 section 7: no number before it", "* 3 VANISHED 3"),
    ("msg-att: not empty", "* 1 FETCH ()"),
    ("msg-att: a list (RFC 2180 section 4.1 forgets it)", "* 3 FETCH ENVELOPE (" + ENVELOPE + ")"),
    ("msg-att: a known item", "* 1 FETCH (BODY.PEEK[] \"\")"),
    ("msg-att: an item once only", "* 1 FETCH (UID 1 UID 1)"),
    ("msg-att: a space between two", "* 1 FETCH (UID 1FLAGS ())"),
    ("msg-att: closed (RFC 2180 section 4.1.3 forgets it)", '* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0)'),
    ("uniqueid: nz-number", "* 1 FETCH (UID 0)"),
    ("RFC 7162 section 7: MODSEQ in a list", "* 1 FETCH (MODSEQ 5)"),
    ("RFC 7162 section 7: MODSEQ > 0", "* 1 FETCH (MODSEQ (0))"),
    ("RFC 7162 section 7: MODSEQ of 63 bits", "* 1 FETCH (MODSEQ (9223372036854775808))"),
    ("RFC822.SIZE: number", '* 1 FETCH (RFC822.SIZE "1")'),
    ("nstring: no atom", "* 1 FETCH (BODY[] abc)"),
    ("nstring: NIL and nothing more", "* 1 FETCH (BODY[] NILS)"),
    ("section: closed", "* 1 FETCH (BODY[TEXT \"\")"),
    ("section: a part is nz-number", '* 1 FETCH (BODY[0] "")'),
    ("section: a part is nz-number", '* 1 FETCH (BODY[1.0] "")'),
    ("section: nothing after a part and .", '* 1 FETCH (BODY[1.] "")'),
    ("section: no MIME of the message", '* 1 FETCH (BODY[MIME] "")'),
    ("section: HEADER.FIELDS has fields", '* 1 FETCH (BODY[HEADER.FIELDS] "")'),
    ("section: HEADER.FIELDS has one field at least", '* 1 FETCH (BODY[HEADER.FIELDS ()] "")'),
    ("section: TEXT is the end", '* 1 FETCH (BODY[TEXT.1] "")'),
    ("section: origin octet only", '* 1 FETCH (BODY[]<0.5> "")'),
    ("quoted: closed", '* 1 FETCH (BODY[] "abc)'),
    ("quoted: 7 bits", '* 1 FETCH (BODY[] "\xe4")'),
    ("quoted: no NUL", '* 1 FETCH (BODY[] "a\0")'),
    ("quoted: no CRLF", '* 1 FETCH (BODY[] "a\nb")'),
    ("quoted: \\ only before \\ and \"", '* 1 FETCH (BODY[] "a\\b")'),
    ("literal: as long as it says", '* 1 FETCH (BODY[] {4}\nabc)'),
    ("literal: no longer than it says", '* 1 FETCH (BODY[] {2}\nabc)'),
    ("literal: all there", '* 1 FETCH (BODY[] {40}\nabc)'),
    ("literal: no NUL", '* 1 FETCH (BODY[] {3}\na\0c)'),
    ("literal: CRLF after the number", '* 1 FETCH (BODY[] {3} abc)'),
    ("literal: servers send no +", '* 1 FETCH (BODY[] {3+}\nabc)'),
    ("literal: a number", '* 1 FETCH (BODY[] {}\n)'),
    ("literal: 32 bits", '* 1 FETCH (BODY[] {4294967296}\n)'),
    ("date-time: in quotes", "* 1 FETCH (INTERNALDATE 17-Jul-1996)"),
    ("date-time: the day has two places", '* 1 FETCH (INTERNALDATE "7-Jul-1996 02:44:25 -0700")'),
    ("date-time: a month", '* 1 FETCH (INTERNALDATE "17-Jux-1996 02:44:25 -0700")'),
    ("date-time: a zone", '* 1 FETCH (INTERNALDATE "17-Jul-1996 02:44:25 GMT")'),
    ("date-time: no NIL", "* 1 FETCH (INTERNALDATE NIL)"),
    ("date-time: a day that is (RFC 2180 section 4.1.3 has none)",
     '* 1 FETCH (INTERNALDATE "00-Jan-0000 00:00:00 +0000")'),
    ("date-time: a day that is", '* 1 FETCH (INTERNALDATE "30-Feb-2024 02:44:25 -0700")'),
    ("date-time: a zone that is", '* 1 FETCH (INTERNALDATE "17-Jul-1996 02:44:25 -0760")'),
    ("date-time: an hour that is", '* 1 FETCH (INTERNALDATE "17-Jul-1996 24:44:25 -0700")'),
    ("envelope: ten fields", "* 1 FETCH (ENVELOPE (" + ENVELOPE[4:] + "))"),
    ("envelope: ten fields", "* 1 FETCH (ENVELOPE (" + ENVELOPE + " NIL))"),
    ("env-from: no empty list", "* 1 FETCH (ENVELOPE (" + ENVELOPE.replace("NIL", "()") + "))"),
    ("env-to: no SP between addresses",
     '* 1 FETCH (ENVELOPE (NIL NIL NIL NIL NIL ((NIL NIL "a" "b") (NIL NIL "c" "d")) NIL NIL NIL NIL))'),
    ("env-from: a list of addresses", '* 1 FETCH (ENVELOPE (NIL NIL (NIL NIL "a" "b") NIL NIL NIL NIL NIL NIL NIL))'),
    ("address: four fields", '* 1 FETCH (ENVELOPE (NIL NIL ((NIL NIL "a")) NIL NIL NIL NIL NIL NIL NIL))'),
    ("address: nstring", "* 1 FETCH (ENVELOPE (NIL NIL ((NIL NIL a b)) NIL NIL NIL NIL NIL NIL NIL))"),
    ("body: TEXT has lines", '* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1))'),
    ("body: only TEXT and MESSAGE RFC822 have lines", '* 1 FETCH (BODY ("IMAGE" "GIF" NIL NIL NIL "BASE64" 1 1))'),
    ("body: MESSAGE RFC822 has envelope and body", '* 1 FETCH (BODY ("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 1))'),
    ("body: media-text is quoted", '* 1 FETCH (BODY ({4}\nTEXT "PLAIN" NIL NIL NIL "7BIT" 1 1))'),
    ("body: media type is no NIL", '* 1 FETCH (BODY (NIL "PLAIN" NIL NIL NIL "7BIT" 1 1))'),
    ("body-fld-enc: a string, no NIL", '* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL NIL 1 1))'),
    ("body-fld-octets: number, no NIL", '* 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" NIL 1))'),
    ("body-fld-param: no empty list", '* 1 FETCH (BODY ("TEXT" "PLAIN" () NIL NIL "7BIT" 1 1))'),
    ("body-fld-param: pairs", '* 1 FETCH (BODY ("TEXT" "PLAIN" ("CHARSET") NIL NIL "7BIT" 1 1))'),
    ("body-fld-param: strings", '* 1 FETCH (BODY ("TEXT" "PLAIN" ("CHARSET" NIL) NIL NIL "7BIT" 1 1))'),
    ("body-ext-1part: not in BODY", "* 1 FETCH (BODY (" + BODY + " NIL))"),
    ("body-ext-mpart: not in BODY", "* 1 FETCH (BODY ((" + BODY + ') "MIXED" NIL))'),
    ("body-fld-md5: nstring", "* 1 FETCH (BODYSTRUCTURE (" + BODY + " (NIL)))"),
    ("body-fld-dsp: type and parameters", "* 1 FETCH (BODYSTRUCTURE (" + BODY + ' NIL ("inline")))'),
    ("body-fld-dsp: a list", "* 1 FETCH (BODYSTRUCTURE (" + BODY + ' NIL "inline"))'),
    ("body-fld-lang: no empty list", "* 1 FETCH (BODYSTRUCTURE (" + BODY + " NIL NIL ()))"),
    ("body-extension: none made up", "* 1 FETCH (BODYSTRUCTURE (" + BODY + " NIL NIL NIL NIL 5))"),
    ("body-type-mpart: no SP between bodies", "* 1 FETCH (BODY ((" + BODY + ") (" + BODY + ') "MIXED"))'),
    ("body-type-mpart: a subtype", "* 1 FETCH (BODY ((" + BODY + ")))"),
    ("body-type-mpart: one body at least", '* 1 FETCH (BODY ("MIXED"))'),
    ("body-ext-mpart: parameters first", "* 1 FETCH (BODYSTRUCTURE ((" + BODY + ') "MIXED" "x"))'),
    ("RFC 4315 section 4: APPENDUID has two numbers", "a OK [APPENDUID 38505] done"),
    ("RFC 4315 section 4: UIDs > 0", "a OK [APPENDUID 38505 0] done"),
    ("RFC 4315 section 4: COPYUID has three", "a OK [COPYUID 38505 1:3] done"),
    ("RFC 4315 section 3: as many copies as originals", "a OK [COPYUID 38505 304,319:320 3956:3957] done"),
    ("RFC 7162 section 7: MODIFIED has a set", "a OK [MODIFIED] done"),
    ("RFC 7162 section 7: HIGHESTMODSEQ > 0", "* OK [HIGHESTMODSEQ 0] text"),
    ("RFC 7162 section 7: NOMODSEQ has no argument", "* OK [NOMODSEQ 1] text"),
)


@pytest.mark.parametrize("rule, line", ILLEGAL, ids=[str(i) for i in range(len(ILLEGAL))])
def test_illegal(rule, line):
    text = line[1] if isinstance(line, tuple) else octets(line)
    try:
        r = parse_response(text)
    except Illegal as e:
        assert 0 <= e.at <= len(text) and e.wanted
        return
    pytest.fail(f"{rule}: {text!r} was taken: {r}")


def test_there_are_enough_of_them():
    assert len(ILLEGAL) >= 80 and all(rule for rule, _ in ILLEGAL)


@pytest.mark.parametrize("line", [
    "* 1 FETCH (BODY " + "(" * 5000, "* LIST () \"/\" x (A " + "(" * 5000, "* " + "9" * 5000 + " EXISTS",
    "* 1 FETCH (BODY[] {" + "9" * 5000 + "}\n)", "* VANISHED " + "9" * 5000])
def test_too_much_of_it(line):
    with pytest.raises(Illegal):
        parse_response(octets(line))


def test_where_it_is_illegal():
    with pytest.raises(Illegal) as e:
        parse_response(b"* 3 FETCH (FLAGS (\\Seen) UID 0)\r\n")
    assert e.value.at == len(b"* 3 FETCH (FLAGS (\\Seen) UID ") and e.value.wanted == "nz-number"


@pytest.mark.parametrize("line", [
    "* LIST (\\X-Later) \"/\" foo", "* NO [LATER code] text", "* 1 FETCH (FLAGS (\\Later))",
    "* 1 FETCH (BODYSTRUCTURE (" + BODY + " NIL NIL NIL NIL 5 (\"a\" NIL (7)) NIL))"])
def test_what_later_rfcs_may_allow(line):
    with pytest.raises(Illegal):
        parse_response(octets(line))
    parse_response(octets(line), future=True)


def test_no_prefix_of_a_response_is_one():
    """All of it must be there: else a client could not know where one ends."""
    whole = (b'* 1 FETCH (BODY[HEADER.FIELDS ("To")] {3}\r\na\r\n FLAGS (\\Seen) '
             b'ENVELOPE ({0}\r\n "x" NIL NIL NIL NIL NIL NIL NIL {2}\r\nhi))\r\n')
    assert parse_response(whole).data["ENVELOPE"].message_id == b"hi"
    for n in range(len(whole)):
        with pytest.raises(Illegal):
            parse_response(whole[:n])


def test_no_octet_changed_crashes_the_parser():
    """Whatever comes, the answer is a Response or Illegal."""
    for line in [octets(x) for _, x in LINES if len(x) < 200]:
        for i in range(0, len(line), 3):
            for c in (b"\0", b"(", b'"', b"{9}\r\n", b"\xff", b""):
                try:
                    parse_response(line[:i] + c + line[i + 1:])
                except Illegal:
                    pass


# ---- values ---------------------------------------------------------------------------

TERRY = Address(b"Terry Gray", None, b"gray", b"cac.washington.edu")
VALUES = (
    ("* 23 EXISTS", Response("*", "EXISTS", 23)),
    ("A1 no [tryCREATE] x", Response("A1", "NO", code=("TRYCREATE", None), text="x")),
    ("* OK [PERMANENTFLAGS (\\deleted \\* x)] L", Response("*", "OK", text="L", code=(
        "PERMANENTFLAGS", frozenset(["\\Deleted", "\\*", "x"])))),
    ("a OK [COPYUID 7 3,5:4 9:11] x", Response("a", "OK", text="x", code=(
        "COPYUID", (7, ((3, 3), (4, 5)), ((9, 11),))))),
    ("a OK [APPENDUID 7 3] x", Response("a", "OK", text="x", code=("APPENDUID", (7, ((3, 3),))))),
    ("* CAPABILITY imap4rev1 Auth=plain", Response("*", "CAPABILITY", data=("IMAP4REV1", "AUTH=PLAIN"))),
    ('* LIST (\\noSelect) "/" iNBoX', Response("*", "LIST", data=Listing(frozenset(["\\Noselect"]), "/", "INBOX"))),
    ('* LIST () NIL {3}\nfoo (childinfo ("subscribed"))', Response("*", "LIST", data=Listing(
        frozenset(), None, "foo", {"CHILDINFO": ["SUBSCRIBED"]}))),
    ('* LIST () "\\"" x (A 5 B 1:3 C (d (e) "f g"))', Response("*", "LIST", data=Listing(
        frozenset(), '"', "x", {"A": 5, "B": ((1, 3),), "C": ["d", ["e"], "f g"]}))),
    ("* STATUS x (UNSEEN 0 SIZE 5 APPENDLIMIT NIL)", Response("*", "STATUS", data=(
        "x", {"UNSEEN": 0, "SIZE": 5, "APPENDLIMIT": None}))),
    ("* SEARCH 5 3 (MODSEQ 9)", Response("*", "SEARCH", data=Search((5, 3), 9))),
    ('* ESEARCH (TAG "a]") UID MIN 2 ALL 2:3,9', Response("*", "ESEARCH", data=Esearch(
        b"a]", True, {"MIN": 2, "ALL": ((2, 3), (9, 9))}))),
    ('* NAMESPACE (("" "/")("x" NIL "P" ("q" "r"))) NIL (("&AOQ-." "."))', Response("*", "NAMESPACE", data=(
        (("", "/", {}), ("x", None, {b"P": (b"q", b"r")})), None, (("&AOQ-.", ".", {}),)))),
    ('* ID ("name" "Hermod" "os" NIL)', Response("*", "ID", data={b"name": b"Hermod", b"os": None})),
    ("* VANISHED (earlier) 4,9:7", Response("*", "VANISHED", data=Vanished(True, ((4, 4), (7, 9))))),
    ("* 2 FETCH (UID 7 MODSEQ (5) RFC822.SIZE 0 FLAGS (\\recent a))", Response("*", "FETCH", 2, {
        "UID": 7, "MODSEQ": 5, "RFC822.SIZE": 0, "FLAGS": frozenset(["\\Recent", "a"])})),
    ('* 2 FETCH (body[1.header.fields ({2}\nto "x y" b)]<7> {3}\n\r\n\xff BODY[] NIL)', Response("*", "FETCH", 2, {
        "BODY[1.HEADER.FIELDS (TO X Y B)]<7>": b"\r\n\xff", "BODY[]": None})),
    ('* 2 FETCH (INTERNALDATE "17-Jul-1996 02:44:25 -0700")', Response("*", "FETCH", 2, {
        "INTERNALDATE": datetime.datetime(1996, 7, 17, 2, 44, 25, tzinfo=PDT)})),
    ('* 2 FETCH (ENVELOPE ("d" {1}\n" (("Terry Gray" NIL "gray" "cac.washington.edu")) NIL NIL ((NIL NIL "g" NIL)'
     '(NIL NIL NIL NIL)) NIL NIL "" NIL))', Response("*", "FETCH", 2, {"ENVELOPE": Envelope(
         b"d", b'"', (TERRY,), None, None, (Address(None, None, b"g", None), Address(None, None, None, None)), None,
         None, b"", None)})),
    ("* 2 FETCH (BODYSTRUCTURE ((" + BODY + ')("message" "rfc822" ("a" "b") "i" "d" "x-enc" 9 (' + ENVELOPE + ") ("
     + BODY + ' "md5") 3 NIL ("inline" ("f" "g"))) "MIXED" ("boundary" "x") NIL ("en" "de") "loc"))',
     Response("*", "FETCH", 2, {"BODYSTRUCTURE": Multipart((
         Part(b"TEXT", b"PLAIN", None, None, None, b"7BIT", 1, 1),
         Part(b"message", b"rfc822", ((b"a", b"b"),), b"i", b"d", b"x-enc", 9, 3, Envelope(*[None] * 10),
              Part(b"TEXT", b"PLAIN", None, None, None, b"7BIT", 1, 1, extension=(b"md5",)),
              (None, (b"inline", ((b"f", b"g"),))))),
         b"MIXED", (((b"boundary", b"x"),), None, (b"en", b"de"), b"loc"))})),
)


@pytest.mark.parametrize("line, want", VALUES, ids=[v[0].split("\n")[0][:40] for v in VALUES])
def test_values(line, want):
    assert parse_response(octets(line.replace("\r\n", "\n"))) == want


@pytest.mark.parametrize("text, name", [
    ("~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),      # RFC 3501 section 5.1.3
    ("INBOX", "INBOX"), ("a&b", "a&-b"), ("&&", "&-&-"), ("\u00e4", "&AOQ-"), ("\U0001f600", "&2D3eAA-"),
    ("a\tb", "a&AAk-b"), ("\u00e4 \u00f6", "&AOQ- &APY-"), ("\u00e4&", "&AOQ-&-"), ("", "")])
def test_modified_utf7(text, name):
    assert utf7_encode(text) == name and utf7_decode(name) == text


def test_sets():
    assert expand(((2, 4), (9, 9))) == [2, 3, 4, 9] and ranges([9, 3, 2, 4, 3]) == ((2, 4), (9, 9))
    assert set_text([1, 2, 3, 7]) == "1:3,7"


# ---- conversations with a server that reads from a script ----------------------------------

class Script(threading.Thread):
    """
    A server: bytes are sent, a str (a regular expression) is the line that must come then, with its group 1 kept as the
    tag that $ stands for in what is sent after it; a number is a pause; ("octets", n) takes n octets of a literal.
    """

    def __init__(self, *steps, end=True):
        super().__init__(daemon=True)
        self.steps, self.end, self.wrong, self.got = steps, end, None, []
        self.client, self.s = socket.socketpair()
        self.s.settimeout(10)
        self.start()

    def line(self, f):
        line = f.readline()
        self.got.append(line)
        return line

    def run(self):
        f, tags, stack = self.s.makefile("rb"), b"", []
        try:
            for step in self.steps:
                if isinstance(step, str):
                    line = self.line(f)
                    m = re.fullmatch(rb"(\S+) " + step.encode() + rb"\r\n", line) or \
                        re.fullmatch(rb"()" + step.encode() + rb"\r\n", line)
                    if not m:
                        self.wrong = f"came {line!r}, not {step}"
                        break
                    tags = m.group(1) or tags
                    stack.append(tags)
                elif isinstance(step, tuple):
                    self.got.append(f.read(step[1]))
                elif isinstance(step, bytes):
                    # $ is the tag of the last command, $1 of the one before it ...
                    for i in range(9, 0, -1):
                        if b"$%d" % i in step:
                            step = step.replace(b"$%d" % i, stack[-1 - i])
                    self.s.sendall(step.replace(b"$", tags))
                else:
                    time.sleep(step)
            if not self.end:
                f.read()
        except OSError:                         # the client has seen enough
            pass
        self.s.close()


def connect(*steps, greeting=b"* PREAUTH hello\r\n", end=True, **more):
    s = Script(greeting, *steps, end=end)
    return s, Client(sock=s.client, timeout=5, **more)


def select(n, uidnext=100, extra=b"", recent=0):
    """The steps of a SELECT of INBOX with n messages."""
    return ("SELECT inbox", b"* %d EXISTS\r\n* %d RECENT\r\n* FLAGS (\\Deleted \\Seen)\r\n"
            b"* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] x\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT %d] x\r\n" %
            (n, recent, uidnext) + extra + b"$ OK [READ-WRITE] done\r\n")


def selected(n, *steps, uidnext=100, extra=b"", recent=0, **more):
    s, c = connect(*select(n, uidnext, extra, recent), *steps, **more)
    c.ok("SELECT inbox")
    return s, c


def test_a_conversation():
    s, c = connect("LOGIN \"a\\\\\"b\" \"c\"", b"$ OK [CAPABILITY IMAP4rev1 IDLE] in\r\n", *select(2),
                   "FETCH 1:\\* \\(UID FLAGS\\)",
                   b"* 1 FETCH (UID 4 FLAGS ())\r\n* 2 FETCH (UID 9 FLAGS (\\Seen))\r\n$ OK x\r\n",
                   "NOOP", b"* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 1 RECENT\r\n$ OK x\r\n",
                   "LOGOUT", b"* BYE x\r\n$ OK x\r\n", greeting=b"* OK hello\r\n")
    assert c.greeting.text == "hello" and c.state == "not authenticated"
    c.login('a"b', "c")
    assert c.capabilities == {"IMAP4REV1", "IDLE"} and c.state == "authenticated"
    r = c.ok("SELECT inbox")
    assert c.state == "selected"
    assert r.code("UIDNEXT") == 100 and r.code("READ-WRITE") is True and r.code("UNSEEN") is None
    assert c.box.name == "INBOX" and c.box.count == 2 and c.box.readonly is False and c.box.permanent >= {"\\*"}
    r = c.ok("FETCH 1:* (UID FLAGS)")
    assert [x.number for x in r.of("FETCH")] == [1, 2] and c.box.uids() == [4, 9]
    assert c.box.slots[1].flags == {"\\Seen"} and c.box.number(9) == 2
    c.ok("NOOP")
    assert c.box.uids() == [9, None] and c.box.recent == 1
    c.logout()
    assert s.wrong is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_literal_split_over_packets(size):
    said = (b"* 1 FETCH (BODY[] {9}\r\nab\r\n{3}\r\n BODY[1] {0}\r\n BODY[TEXT] {2}\r\n\r\n UID 3)\r\n"
            b"t2 OK {4}\r\n")
    s, c = selected(1, "FETCH 1 x", *[x for i in range(0, len(said), size) for x in (said[i:i + size], 0.0005)])
    r = c.ok("FETCH 1 x")
    assert r.of("FETCH")[0].data == {"BODY[]": b"ab\r\n{3}\r\n", "BODY[1]": b"", "BODY[TEXT]": b"\r\n", "UID": 3}
    assert r.done.text == "{4}" and s.wrong is None        # no literal: it is in a text


def test_literals_of_the_client():
    s, c = connect("APPEND x \\{5\\}", b"+ go\r\n", ("octets", 5), " \\{3\\}", b"+ on\r\n", ("octets", 3), "",
                   b"$ OK [APPENDUID 3 9] x\r\n",
                   "APPEND x \\{5\\+\\}", ("octets", 5), "", b"$ OK x\r\n",
                   "APPEND x \\{5\\}", b"$ NO [TRYCREATE] x\r\n", "NOOP", b"$ OK x\r\n")
    r = c.ok("APPEND x ", Literal(b"hel\r\n"), " ", Literal(b"abc"))
    assert [x.text for x in r.continuations] == ["go", "on"] and r.code("APPENDUID") == (3, ((9, 9),))
    assert c.uid_state["x"] == {"validity": 3, "next": 10}
    c.ok("APPEND x ", Literal(b"hello", sync=False))
    r = c.no("APPEND x ", Literal(b"hello"))
    assert r.code("TRYCREATE") and not r.complete
    c.ok("NOOP")
    assert s.wrong is None and s.got[1] == b"hel\r\n"


def test_pipelining_and_chunks():
    s, c = selected(1, "FETCH 1 FLAGS", "STORE 1 FLAGS \\(\\)", "NOOP",
                    b"* 1 FETCH (FLAGS (\\Seen))\r\n$2 OK x\r\n* 1 FETCH (FLAGS ())\r\n$1 OK x\r\n"
                    b"* 2 EXISTS\r\n$ OK x\r\n",
                    "NOOP", b"* 2 EXPUNGE\r\n$ OK x\r\n")
    a, b, d = c.pipeline("FETCH 1 FLAGS", "STORE 1 FLAGS ()", "NOOP")
    assert len(a.of("FETCH")) == len(b.of("FETCH")) == len(d.of("EXISTS")) == 1
    c.chunks, c.pause = (1, 3), 0.001
    c.ok("NOOP")
    assert c.box.count == 1 and s.wrong is None


def test_idle():
    s, c = selected(1, "IDLE", b"+ idling\r\n", 0.05, b"* 2 EXISTS\r\n", 0.05, b"* 1 EXPUNGE\r\n",
                    "DONE", b"$ OK x\r\n", b"* 3 EXISTS\r\n")
    c.idle()
    assert c.wait("EXISTS").number == 2
    assert c.wait("EXPUNGE").number == 1
    assert c.done().ok and c.box.count == 1
    assert c.wait("EXISTS", 5).number == 3 and len(c.unsolicited) == 1 and s.wrong is None


def test_look():
    s, c = selected(1, "NOOP", b"* 2 EXISTS\r\n$ OK x\r\n", "UID FETCH 1:\\* \\(UID FLAGS\\)",
                    b"* 1 FETCH (UID 9 FLAGS ())\r\n* 2 FETCH (UID 101 FLAGS ())\r\n$ OK x\r\n",
                    "NOOP", b"* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n$ OK x\r\n")
    c.look()
    assert c.box.uids() == [9, 101]
    c.look()
    assert c.box.uids() == [] and s.wrong is None


def test_octets_behind_starttls():
    s, c = connect("STARTTLS", b"$ OK go\r\n* OK injected\r\n", greeting=b"* OK hello\r\n")
    with pytest.raises(Broken, match="behind the OK"):
        c.starttls(None, "mx.hermod.test")


def test_authenticate():
    s, c = connect("AUTHENTICATE LOGIN", b"+ VXNlcjo=\r\n", "YQ==", b"+ \r\n", "Yg==", b"$ OK x\r\n",
                   greeting=b"* OK hello\r\n")
    r = c.authenticate("LOGIN", b"a", b"b")
    assert r.ok and [x.text for x in r.continuations] == ["VXNlcjo=", ""]
    assert c.state == "authenticated" and s.wrong is None


def test_no_answer_in_time():
    s, c = connect("NOOP", b"* OK half of it", end=False)
    noop = c.start("NOOP")
    c.s.recv(1, socket.MSG_PEEK)
    c.timeout = 0.05
    with pytest.raises(TimeoutError, match="half of it"):
        c.finish(noop)
    c.close()


def test_the_end_within_a_response():
    s, c = connect("NOOP", b"$ OK no crlf")
    with pytest.raises(Broken, match="ended within"):
        c.cmd("NOOP")


def test_illegal_octets_are_told_with_what_came_before():
    s, c = connect("NOOP", b"* OK fine\r\n$ OK\r\n")
    with pytest.raises(Illegal):
        c.cmd("NOOP")
    assert any("fine" in line for line in c.transcript) and "OK" in c.transcript[-1]


def test_vanished():
    uids = b"".join(b"* %d FETCH (UID %d)\r\n" % (i, i * 2) for i in range(1, 5))
    s, c = connect("ENABLE QRESYNC", b"* ENABLED QRESYNC\r\n$ OK x\r\n",
                   *select(5, extra=b"* OK [HIGHESTMODSEQ 5] x\r\n"),
                   "FETCH 1:4 UID", uids + b"$ OK x\r\n",
                   "UID EXPUNGE 1:9", b"* VANISHED 4,8\r\n$ OK [HIGHESTMODSEQ 6] x\r\n",
                   "NOOP", b"* VANISHED 50\r\n$ OK x\r\n",
                   "UID FETCH 1:9 \\(UID\\) \\(CHANGEDSINCE 3 VANISHED\\)", b"* VANISHED (EARLIER) 4,8\r\n$ OK x\r\n",
                   "NOOP", b"* VANISHED 5\r\n$ OK x\r\n")
    c.ok("ENABLE QRESYNC")
    c.ok("SELECT inbox")
    c.ok("FETCH 1:4 UID")
    c.ok("UID EXPUNGE 1:9")
    assert c.box.uids() == [2, 6, None] and c.box.highestmodseq == 6
    c.ok("NOOP")
    assert c.box.uids() == [2, 6]
    c.ok("UID FETCH 1:9 (UID) (CHANGEDSINCE 3 VANISHED)")
    with pytest.raises(Broken, match="not there"):
        c.ok("NOOP")


def test_select_again():
    """CLOSED is where the old mailbox ends: before it, news of the old one may come."""
    first, second = select(3), select(2)
    s, c = connect(*first, second[0], b"* 3 EXPUNGE\r\n* OK [CLOSED] x\r\n" + second[1],
                   "SELECT no", b"* OK [CLOSED] x\r\n$ NO x\r\n",
                   greeting=b"* PREAUTH [CAPABILITY IMAP4rev1 QRESYNC] hello\r\n")
    c.ok("SELECT inbox")
    c.ok("SELECT inbox")
    assert c.box.count == 2
    c.no("SELECT no")
    assert c.box is None and c.state == "authenticated" and s.wrong is None


def test_select_without_closed():
    s, c = connect(*select(3), *select(2), greeting=b"* PREAUTH [CAPABILITY IMAP4rev1 QRESYNC] hello\r\n")
    c.ok("SELECT inbox")
    with pytest.raises(Broken, match="shrinks|without CLOSED"):
        c.ok("SELECT inbox")


def test_vanished_earlier_of_what_is_there():
    s, c = connect("ENABLE QRESYNC", b"* ENABLED QRESYNC\r\n$ OK x\r\n", *select(2, extra=b"* OK [NOMODSEQ] x\r\n"),
                   "UID FETCH 1:9 \\(UID\\) \\(CHANGEDSINCE 3 VANISHED\\)",
                   b"* 1 FETCH (UID 4)\r\n* VANISHED (EARLIER) 1:5\r\n$ OK x\r\n")
    c.ok("ENABLE QRESYNC")
    c.ok("SELECT inbox")
    assert c.box.nomodseq
    with pytest.raises(Broken, match="which are there"):
        c.ok("UID FETCH 1:9 (UID) (CHANGEDSINCE 3 VANISHED)")


def test_vanished_where_no_uid_is_known():
    """One of two is gone: nothing is known of the one that is left."""
    s, c = connect("ENABLE QRESYNC", b"* ENABLED QRESYNC\r\n$ OK x\r\n", *select(3), "NOOP",
                   b"* 1 FETCH (UID 5)\r\n* 2 FETCH (FLAGS (\\Seen) UID 7 MODSEQ (3))\r\n$ OK x\r\n",
                   "NOOP", b"* 4 EXISTS\r\n* 3 FETCH (FLAGS () UID 9 MODSEQ (4))\r\n* VANISHED 101\r\n$ OK x\r\n",
                   "NOOP", b"* VANISHED 6\r\n$ OK x\r\n")
    c.ok("ENABLE QRESYNC")
    c.ok("SELECT inbox")
    c.ok("NOOP")
    c.ok("NOOP")
    assert c.box.uids() == [5, 7, 9]
    with pytest.raises(Broken, match="VANISHED of UID 6"):
        c.ok("NOOP")


def test_what_only_the_strict_mind():
    said = (b"* 1 FETCH (UID 5 FLAGS () RFC822.SIZE 9)\r\n* 1 RECENT\r\n* 1 FETCH (FLAGS (\\Recent))\r\n"
            b"* 1 FETCH (UID 5 RFC822.SIZE 0)\r\n$ OK x\r\n")
    for strict in (True, False):
        s, c = selected(1, "UID FETCH 1 x", said, strict=strict)
        if strict:
            with pytest.raises(Broken, match="without UID"):
                c.ok("UID FETCH 1 x")
        else:
            c.ok("UID FETCH 1 x")


def test_long_data_that_changes():
    text = b"x" * 200
    s, c = selected(1, *[x for last in (b"x", b"y") for x in (
        "FETCH 1 x", b"* 1 FETCH (BODY[1] {201}\r\n" + text + last + b")\r\n$ OK x\r\n")])
    c.ok("FETCH 1 x")
    with pytest.raises(Broken, match="is not what it was"):
        c.ok("FETCH 1 x")


def test_refused_and_left_out():
    s, c = connect("IDLE", b"$ NO x\r\n", "APPEND x \\{3\\+\\}", ("octets", 3), "", b"$ OK x\r\n",
                   "LOGOUT", b"$ OK x\r\n")
    with pytest.raises(Broken, match="IDLE was refused"):
        c.idle()
    c.pipeline(("APPEND x ", Literal(b"abc")))
    with pytest.raises(Broken, match="without BYE"):
        c.logout()
    assert s.wrong is None


def test_silent_store_leaves_flags_unknown():
    flags = b"".join(b"* %d FETCH (FLAGS ())\r\n" % n for n in (1, 2, 3))
    s, c = selected(3, "FETCH 1:3 FLAGS", flags + b"$ OK x\r\n",
                    "STORE 1:2 \\+FLAGS.SILENT \\(x\\)", b"$ OK x\r\n")
    c.ok("FETCH 1:3 FLAGS")
    c.ok("STORE 1:2 +FLAGS.SILENT (x)")
    assert [x.flags for x in c.box.slots] == [None, None, frozenset()]


FETCHED = b"* 1 FETCH (UID 5)\r\n* 2 FETCH (UID 6)\r\n"
BROKEN = (
    # the rule (a part of what Broken says), the command of 3 messages selected, what the server says
    ("EXPUNGE during FETCH", "FETCH 1 FLAGS", b"* 1 EXPUNGE\r\n$ OK x\r\n"),
    ("EXPUNGE during STORE", "STORE 1 FLAGS ()", b"* 1 EXPUNGE\r\n$ OK x\r\n"),
    ("EXPUNGE during SEARCH", "SEARCH ALL", b"* SEARCH 1\r\n* 1 EXPUNGE\r\n$ OK x\r\n"),
    ("EXISTS shrinks", "NOOP", b"* 2 EXISTS\r\n$ OK x\r\n"),
    ("EXPUNGE of a message that is none", "NOOP", b"* 4 EXPUNGE\r\n$ OK x\r\n"),
    ("EXPUNGE of a message that is none", "NOOP", b"* 1 EXPUNGE\r\n* 3 EXPUNGE\r\n$ OK x\r\n"),
    ("FETCH of a message that is none", "NOOP", b"* 4 FETCH (FLAGS ())\r\n$ OK x\r\n"),
    ("UIDs do not ascend", "NOOP", b"* 1 FETCH (UID 5)\r\n* 2 FETCH (UID 5)\r\n$ OK x\r\n"),
    ("UIDs do not ascend", "NOOP", b"* 3 FETCH (UID 5)\r\n* 1 FETCH (UID 4)\r\n$ OK x\r\n"),
    ("UIDs do not ascend", "NOOP", b"* 3 FETCH (UID 2)\r\n$ OK x\r\n"),
    ("the UID of message 1 was 5", "NOOP", b"* 1 FETCH (UID 5)\r\n* 1 FETCH (UID 6)\r\n$ OK x\r\n"),
    ("UIDNEXT of SELECT", "NOOP", b"* 3 FETCH (UID 100)\r\n$ OK x\r\n"),
    ("UIDNEXT of SELECT", "NOOP", b"* 4 EXISTS\r\n* 4 FETCH (UID 99)\r\n$ OK x\r\n"),
    ("without UID", "UID FETCH 1 FLAGS", b"* 1 FETCH (FLAGS ())\r\n$ OK x\r\n"),
    ("without UID", "UID STORE 1 FLAGS ()", b"* 1 FETCH (FLAGS ())\r\n$ OK x\r\n"),
    ("Recent changes", "NOOP", b"* 1 RECENT\r\n* 1 FETCH (FLAGS (\\Recent))\r\n* 1 FETCH (FLAGS ())\r\n$ OK x\r\n"),
    ("RECENT is 0", "NOOP", b"* 1 FETCH (FLAGS (\\Recent))\r\n$ OK x\r\n"),
    ("RECENT is 4", "NOOP", b"* 4 RECENT\r\n$ OK x\r\n"),
    ("mod-sequence was 9", "NOOP", b"* 1 FETCH (MODSEQ (9))\r\n* 1 FETCH (MODSEQ (8))\r\n$ OK x\r\n"),
    ("HIGHESTMODSEQ was 9", "NOOP", b"* OK [HIGHESTMODSEQ 9] x\r\n* OK [HIGHESTMODSEQ 8] x\r\n$ OK x\r\n"),
    ("is not what it was", "NOOP", b"* 1 FETCH (RFC822.SIZE 4)\r\n* 1 FETCH (RFC822.SIZE 5)\r\n$ OK x\r\n"),
    ("octets of a message of RFC822.SIZE 4", "FETCH 1 x", b'* 1 FETCH (RFC822.SIZE 4 BODY[] "12345")\r\n$ OK x\r\n'),
    ("is not what it was", "FETCH 1 x", b'* 1 FETCH (BODY[1] "a")\r\n* 1 FETCH (BODY[1] "b")\r\n$ OK x\r\n'),
    ("is not what it was", "FETCH 1 x", b'* 1 FETCH (RFC822 "a")\r\n* 1 FETCH (BODY[] "b")\r\n$ OK x\r\n'),
    ("an origin octet", "FETCH 1 BODY[]", b'* 1 FETCH (BODY[]<0> "a")\r\n$ OK x\r\n'),
    ("a tag that no command", "NOOP", b"$x OK x\r\n"),
    ("a continuation request", "NOOP", b"+ go\r\n$ OK x\r\n"),
    ("PREAUTH is a greeting", "NOOP", b"* PREAUTH x\r\n$ OK x\r\n"),
    ("after BYE", "NOOP", b"* BYE x\r\n$ OK x\r\n"),
    ("SEARCH that nobody asked for", "NOOP", b"* SEARCH 1\r\n$ OK x\r\n"),
    ("LIST that nobody asked for", "LSUB x y", b'* LIST () "/" x\r\n$ OK x\r\n'),
    ("STATUS that nobody asked for", "NOOP", b"* STATUS x (MESSAGES 1)\r\n$ OK x\r\n"),
    ("ENABLED that nobody asked for", "NOOP", b"* ENABLED\r\n$ OK x\r\n"),
    ("a message that is none of 3", "SEARCH ALL", b"* SEARCH 1 4\r\n$ OK x\r\n"),
    ("a message that is none of 3", "SEARCH RETURN ()", b'* ESEARCH (TAG "$") ALL 1:4\r\n$ OK x\r\n'),
    ("the TAG of an ESEARCH", "SEARCH RETURN ()", b'* ESEARCH (TAG "x") ALL 1\r\n$ OK x\r\n'),
    ("MIN, MAX or ALL of nothing", "SEARCH RETURN ()", b'* ESEARCH (TAG "$") MIN 1 COUNT 0\r\n$ OK x\r\n'),
    ("do not fit ALL", "SEARCH RETURN ()", b'* ESEARCH (TAG "$") ALL 1:3 COUNT 2\r\n$ OK x\r\n'),
    ("do not fit ALL", "SEARCH RETURN ()", b'* ESEARCH (TAG "$") ALL 2:3 MIN 1\r\n$ OK x\r\n'),
    ("do not fit ALL", "SEARCH RETURN ()", b'* ESEARCH (TAG "$") ALL 1:2 MAX 3\r\n$ OK x\r\n'),
    ("a UID that is not there", "UID SEARCH ALL", FETCHED + b"* 3 FETCH (UID 9)\r\n* SEARCH 7\r\n$ OK x\r\n"),
    ("VANISHED before ENABLE", "NOOP", b"* VANISHED 1\r\n$ OK x\r\n"),
    ("UIDVALIDITY of INBOX was 7", "NOOP", b"* OK [UIDVALIDITY 6] x\r\n$ OK x\r\n"),
    ("UIDNEXT of INBOX was 100", "APPEND INBOX x", b"$ OK [APPENDUID 7 99] x\r\n"),
    ("UIDVALIDITY of INBOX was 7", "COPY 1 inbox", b"$ OK [COPYUID 6 1 100] x\r\n"),
    ("UIDNEXT of INBOX was 100", "STATUS inbox (UIDNEXT)", b"* STATUS INBOX (UIDNEXT 99)\r\n$ OK x\r\n"),
    ("APPENDUID and COPYUID belong", "NOOP", b"$ OK [APPENDUID 7 100] x\r\n"),
    ("CLOSED, but no mailbox", "SELECT y", b"* OK [CLOSED] x\r\n$ OK x\r\n"),
    ("SELECT without FLAGS", "SELECT y", b"* 1 EXISTS\r\n* 0 RECENT\r\n$ OK x\r\n"),
    ("SELECT without UIDNEXT", "SELECT y",
     b"* FLAGS ()\r\n* 1 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] x\r\n$ OK x\r\n"),
    ("EXAMINE without READ-ONLY", "EXAMINE inbox", select(3)[1]),
    ("UNSEEN is no message", "SELECT y", select(3, extra=b"* OK [UNSEEN 4] x\r\n")[1]),
    ("leaves no UIDs", "SELECT y", select(3, uidnext=3)[1]),
    ("UIDNEXT of INBOX was 100", "SELECT inbox", select(3, uidnext=99)[1]),
    ("with no mailbox selected", "CLOSE", b"$ OK x\r\n* 4 EXISTS\r\n"),
)


@pytest.mark.parametrize("rule, command, said", BROKEN, ids=[f"{i} {b[0]}" for i, b in enumerate(BROKEN)])
def test_broken_rules(rule, command, said):
    s, c = selected(3, re.escape(command), said, "NOOP", b"$ OK x\r\n")
    with pytest.raises(Broken, match=re.escape(rule)):
        c.cmd(command)
        c.cmd("NOOP")
    assert s.wrong is None


def test_expunge_with_nothing_in_progress():
    s, c = selected(3, 0.01, b"* 1 EXPUNGE\r\n")
    with pytest.raises(Broken, match="no command in progress"):
        c.read()


def test_expunge_while_a_literal_is_negotiated():
    """A command is in progress once all of it was received: RFC 3501 section 7.4.1."""
    s, c = selected(3, "APPEND x \\{3\\}", b"* 1 EXPUNGE\r\n+ go\r\n")
    with pytest.raises(Broken, match="no command in progress"):
        c.cmd("APPEND x ", Literal(b"abc"))


def test_expunge_between_pipelined_commands():
    two = ("FETCH 1 FLAGS", "NOOP")
    for said, in_order, fine in ((b"$1 OK x\r\n* 1 EXPUNGE\r\n$ OK x\r\n", True, True),
                                 (b"* 1 EXPUNGE\r\n$1 OK x\r\n$ OK x\r\n", True, False),
                                 (b"* 1 EXPUNGE\r\n$1 OK x\r\n$ OK x\r\n", False, True),
                                 (b"$ OK x\r\n* 1 EXPUNGE\r\n$1 OK x\r\n", False, False),
                                 (b"$ OK x\r\n$1 OK x\r\n", True, False)):
        s, c = selected(3, *two, said, in_order=in_order)
        if fine:
            c.pipeline(*two)
        else:
            with pytest.raises(Broken):
                c.pipeline(*two)


def test_expunge_during_the_uid_forms():
    for command in ("UID FETCH 1 UID", "UID STORE 1 FLAGS.SILENT ()", "UID SEARCH ALL", "COPY 1 x"):
        s, c = selected(3, command.replace("(", "\\(").replace(")", "\\)"), b"* 1 EXPUNGE\r\n$ OK x\r\n")
        c.ok(command)
        assert c.box.count == 2


def test_flags_after_enable():
    for enabled, said, rule in ((b"CONDSTORE", b"* 1 FETCH (FLAGS ())\r\n", "without MODSEQ"),
                                (b"QRESYNC", b"* 1 FETCH (FLAGS () MODSEQ (5))\r\n", "without UID"),
                                (b"QRESYNC", b"* 1 EXPUNGE\r\n", "EXPUNGE after ENABLE"),
                                (b"QRESYNC", b"* VANISHED (EARLIER) 5\r\n", "nobody asked for")):
        s, c = selected(3, "ENABLE x", b"* ENABLED " + enabled + b"\r\n$ OK x\r\n", "NOOP", said)
        c.ok("ENABLE x")
        with pytest.raises(Broken, match=rule):
            c.ok("NOOP")


def test_the_greeting():
    for said in (b"* NO hello\r\n", b"* CAPABILITY IMAP4rev1\r\n", b"x OK hello\r\n"):
        with pytest.raises(Broken, match="greeting"):
            connect(greeting=said)
    assert connect(greeting=b"* BYE full\r\n")[1].at_end()


def test_ok_and_no():
    s, c = connect("NOOP", b"$ NO x\r\n", "NOOP", b"$ OK x\r\n", "NOOP", b"$ BAD x\r\n", greeting=b"* PREAUTH x\r\n")
    with pytest.raises(Broken, match="must be OK"):
        c.ok("NOOP")
    with pytest.raises(Broken, match="must be NO"):
        c.no("NOOP")
    assert c.no("NOOP", state="BAD").done.text == "x"


# ---- the model ------------------------------------------------------------------------

class Answer:
    """What a server answered, without one."""

    def __init__(self, state="OK", **codes):
        self.done, self.codes = Response("t", state, text="x"), codes

    def code(self, name):
        return self.codes.get(name)


def uid(*uids, validity=7):
    return Answer(APPENDUID=(validity, tuple((u, u) for u in uids)))


def copied(source, copies, validity=7):
    return Answer(COPYUID=(validity, ranges(source), ranges(copies)))


def view(messages, uidnext=None, validity=7):
    """The Mirror of who selected a mailbox and was told of {uid: flags}; flags may be None."""
    box = see(Mirror("x"), messages)
    box.uidvalidity, box.base, box.base_uidnext = validity, box.count, uidnext or max(messages, default=0) + 1
    return box


def see(box, messages, gone=()):
    """Tells it of news."""
    for u in gone:
        box.expunge(box.number(u))
    old = [u for u in box.uids() if u in messages]
    box.exists(box.count + len(messages) - len(old))
    new = iter([u for u in messages if u not in old])
    for n, s in enumerate(box.slots, 1):
        u = s.uid or next(new)
        if u in messages:
            box.fetch(n, {"UID": u} if messages[u] is None else {"UID": u, "FLAGS": frozenset(messages[u])})
    return box


def three():
    """A Model of an INBOX with UIDs 1, 2, 3 (2 is \\Seen), two sessions a and b that see it."""
    m = Model()
    for i in (1, 2, 3):
        m.append("INBOX", b"x" * i, ["\\Seen"] if i == 2 else [], None, uid(i))
    a, b = (view({1: [], 2: ["\\Seen"], 3: []}, 4) for _ in "ab")
    return m, a, m.select("INBOX", a), b, m.select("inbox", b)


def rejects(match, call, *args, **more):
    with pytest.raises(Broken, match=match):
        call(*args, **more)


def test_model_lags_until_it_must_be_told():
    m, a, sa, b, sb = three()
    m.append("INBOX", b"new", [], None, uid(4))
    m.store(sa, [1], "+", ["\\Flagged"], "OK")
    m.store(sa, [3], "+", ["\\Deleted"], "OK")
    for _ in "ab":
        see(a, {1: ["\\Flagged"], 2: ["\\Seen"], 3: ["\\Deleted"], 4: []})
    m.check(a, sa, after="UID STORE")
    m.expunge(sa)
    see(a, {}, gone=[3])
    m.check(a, sa, after="EXPUNGE")
    m.check(b, sb)                                      # has sent nothing
    see(b, {3: ["\\Deleted"]})
    m.check(b, sb)                                      # may hear of some
    rejects("messages are seen|is not seen", m.check, b, sb, after="FETCH")
    see(b, {4: []})
    rejects("has flags", m.check, b, sb, after="FETCH")
    see(b, {1: ["\\Flagged"]})
    m.check(b, sb, after="FETCH")                       # of the removal it must not be told yet
    rejects("of whose removal", m.check, b, sb, after="NOOP")
    see(b, {}, gone=[3])
    m.check(b, sb, after="NOOP")


def test_model_knows_what_cannot_be():
    m, a, sa, b, sb = three()
    rejects("never was", m.check, view({1: [], 2: ["\\Seen"], 3: [], 9: []}), sa)
    rejects("messages are seen", m.check, view({1: [], 2: ["\\Seen"]}), sa)
    rejects("has flags", m.check, view({1: [], 2: [], 3: []}), sa)
    m.store(sb, [2], "", ["k"], "OK")
    m.store(sb, [2], "", ["l"], "OK")
    m.check(view({1: [], 2: ["k"], 3: []}), sa)         # was so in between
    m.check(view({1: [], 2: ["\\Seen"], 3: []}), sa)
    rejects("has flags", m.check, view({1: [], 2: ["k", "l"], 3: []}), sa)
    rejects("has flags", m.check, view({1: [], 2: ["k"], 3: []}), sa, after="NOOP")
    m.check(view({1: [], 2: ["l"], 3: []}), sa, after="NOOP")


def test_model_numbers_follow_uids():
    """A message that arrived later cannot be seen without the one before it."""
    m, a, sa, b, sb = three()
    m.append("INBOX", b"4", [], None, uid(4))
    m.append("INBOX", b"5", [], None, uid(6))
    m.check(see(b, {4: None}), sb)
    c = view({1: None, 2: None, 3: None, 6: None})
    rejects("UID 4 is not seen", m.check, c, sb)


def test_model_counts_what_has_no_uid_yet():
    m, a, sa, b, sb = three()
    m.append("INBOX", b"4", [], None, uid(4))
    b.exists(4)
    m.check(b, sb, after="NOOP")
    b.exists(5)
    rejects("5 messages are seen; 4 to 4", m.check, b, sb, after="NOOP")


def test_model_static_data():
    m, a, sa, b, sb = three()
    for data, match in (({"RFC822.SIZE": 3}, "RFC822.SIZE of UID 2"), ({"BODY[]": b"yy"}, "BODY.. of UID 2")):
        c = view({1: None, 2: None, 3: None})
        c.fetch(2, data)
        rejects(match, m.check, c, sa)
    when = datetime.datetime(2026, 11, 23, 9, 8, 7, tzinfo=PDT)
    m.append("INBOX", b"abc", [], when, uid(4))
    see(a, {4: None})
    a.fetch(4, {"INTERNALDATE": when.astimezone(datetime.timezone.utc), "BODY[]": b"abc"})
    m.check(a, sa, after="NOOP")
    c = view({1: None, 2: None, 3: None, 4: None})
    c.fetch(4, {"INTERNALDATE": when + datetime.timedelta(seconds=1)})
    rejects("INTERNALDATE of UID 4", m.check, c, sa)


def test_model_recent_in_one_session():
    m, a, sa, b, sb = three()
    m.append("INBOX", b"4", [], None, uid(4))
    m.check(see(a, {4: ["\\Recent"]}), sa, after="NOOP")
    examined = view({1: [], 2: ["\\Seen"], 3: [], 4: ["\\Recent"]}, 5)
    m.select("INBOX", examined, readonly=True)
    rejects("Recent in two", m.check, see(b, {4: ["\\Recent"]}), sb, after="NOOP")


def test_model_mod_sequences():
    m, a, sa, b, sb = three()
    a.fetch(1, {"FLAGS": frozenset(), "MODSEQ": 5})
    m.check(a, sa, after="NOOP")
    m.store(sb, [1], "+", ["k"], "OK")
    a.fetch(1, {"FLAGS": frozenset(["k"]), "MODSEQ": 5})
    rejects("mod-sequence of UID 1", m.check, a, sa, after="NOOP")
    a.fetch(1, {"MODSEQ": 6})
    m.check(a, sa, after="NOOP")


def test_model_append_and_uids():
    m = Model()
    rejects("without APPENDUID", m.append, "INBOX", b"x", answer=Answer())
    m.append("INBOX", b"x", answer=uid(5))
    rejects("after UIDNEXT 6", m.append, "INBOX", b"x", answer=uid(5))
    rejects("UIDVALIDITY", m.append, "INBOX", b"x", answer=uid(6, validity=8))
    rejects("no mailbox y: OK", m.append, "y", b"x", answer=uid(6))
    rejects("TRYCREATE", m.append, "y", b"x", answer=Answer("NO"))
    m.append("y", b"x", answer=Answer("NO", TRYCREATE=True))
    m.append("INBOX", b"x", answer=Answer("NO", OVERQUOTA=True))
    rejects("APPEND to INBOX: NO", m.append, "INBOX", b"x", answer=Answer("NO"))


def test_model_learns_uids_of_deliveries():
    m, a, sa, b, sb = three()
    m.append("INBOX", b"four")
    m.append("INBOX", b"five5")
    see(a, {7: None, 9: None})
    a.fetch(4, {"BODY[]": b"four"})
    a.fetch(5, {"BODY[]": b"five5"})
    m.check(a, sa, after="NOOP")
    m.check(see(b, {7: None, 9: None}), sb, after="NOOP")
    assert m.folders["INBOX"].uidnext == 10
    rejects("never was|messages are seen", m.check, see(b, {11: None}), sb)


def test_model_copy_and_move():
    m, a, sa, b, sb = three()
    rejects("no mailbox z", m.copy, sa, [1], "z", copied([1], [1]))
    m.create("z", "OK")
    rejects("without COPYUID", m.copy, sa, [1], "z", Answer())
    rejects("left out some", m.copy, sa, [1, 2], "z", copied([1], [1], 9))
    rejects("were asked for", m.copy, sa, [1], "z", copied([1, 2], [1, 2], 9))
    m.copy(sa, [1, 2], "z", copied([1, 2], [1, 2], 9))
    c = view({1: [], 2: ["\\Seen"]}, 3, 9)
    sc = m.select("z", c)
    c.fetch(2, {"BODY[]": b"xx"})
    m.check(c, sc, after="NOOP")
    m.move(sa, [3], "z", copied([3], [3], 9))
    m.check(see(a, {}, gone=[3]), sa, after="MOVE")
    m.check(see(c, {3: []}), sc, after="NOOP")
    half = Answer("NO", COPYUID=(9, ((1, 1),), ((4, 4),)))
    m.move(sb, [1, 3], "z", half)                       # RFC 6851 section 3.1: fails partway
    m.check(see(a, {}, gone=[1]), sa, after="NOOP")
    m.check(see(c, {4: []}), sc, after="NOOP")
    m.copy(sb, [3], "z", "NO")                          # RFC 2180 section 4.4.1: gone
    m.copy(sb, [3], "z", copied([3], [5], 9))           # section 4.4.2: but still there for b
    rejects("COPY to z: NO", m.copy, sb, [2], "z", "NO")
    m.check(see(c, {5: []}), sc, after="NOOP")


def test_model_what_rfc_2180_leaves_open():
    m, a, sa, b, sb = three()
    m.store(sa, [3], "+", ["\\Deleted"], "OK")
    m.check(see(a, {3: ["\\Deleted"]}), sa, after="STORE")
    m.expunge(sa)
    m.store(sb, [1, 3], "+", ["k"], "NO")               # 1 was changed, or not: section 4.2.3, 4.2.4
    see(a, {}, gone=[3])
    m.check(see(view({1: [], 2: ["\\Seen"]}), {}), sa, after="NOOP")
    rejects("has flags", m.check, view({1: ["k"], 2: ["\\Seen"]}), sa, after="NOOP")    # now it is known
    rejects("STORE: NO", m.store, sb, [1], "+", ["k"], "NO")


def test_model_expunge_of_what_was_not_told():
    for gone in (True, False):
        m, a, sa, b, sb = three()
        m.store(sb, [1], "+", ["\\Deleted"], "OK")
        m.expunge(sa)                                   # a was not told: the server may do either
        m.check(b, sb)
        m.check(see(a, {}, gone=[1]) if gone else see(a, {1: ["\\Deleted"]}), sa, after="EXPUNGE")
        after = view({2: ["\\Seen"], 3: []} if gone else {1: ["\\Deleted"], 2: ["\\Seen"], 3: []})
        other = view({1: ["\\Deleted"], 2: ["\\Seen"], 3: []} if gone else {2: ["\\Seen"], 3: []})
        rejects("UID 1|messages are seen", m.check, other, sb, after="NOOP")
        m.check(after, sb, after="NOOP")


def test_model_folder_deleted_under_a_session():
    m, a, sa, b, sb = three()
    m.create("x", "OK")
    c = view({}, 1)
    sc = m.select("x", c)
    m.append("x", b"1", [], None, uid(1))
    m.delete("x", "OK")
    m.check(c, sc, after="NOOP")                        # anything: RFC 2180 section 3
    m.check(view({1: []}), sc, after="NOOP")
    m.leave(sc)
    m.create("x", "OK")
    rejects("a former mailbox", m.select, "x", view({}, 1))
    m.select("x", view({}, 1, 8))


def test_model_looks_at_select():
    m, a, sa, b, sb = three()
    rejects("UIDNEXT 3 with UID 3", m.select, "INBOX", view({1: [], 2: ["\\Seen"], 3: []}, 3))
    rejects("messages are seen", m.select, "INBOX", view({1: [], 2: ["\\Seen"]}, 4))
    rejects("is no mailbox", m.select, "nope", view({}))
    rejects("UIDVALIDITY of INBOX", m.select, "INBOX", view({1: [], 2: ["\\Seen"], 3: []}, 4, 8))
    m.create("sup/sub", "OK")
    m.select("sup", view({}, 1, 9))                     # it turns out to be a mailbox
    rejects("which exists", m.create, "sup", "OK")


def test_model_read_only():
    m, a, sa, b, sb = three()
    c = view({1: [], 2: ["\\Seen"], 3: []}, 4)
    sc = m.select("INBOX", c, readonly=True)
    rejects("read-only", m.move, sc, [1], "INBOX", copied([1], [4]))
    for answer in ("OK", "NO"):
        m.store(sc, [1], "+", ["k"], answer)            # nothing changes
    m.seen(sc, [1])
    m.seen(sa, [3])
    m.check(see(c, {3: ["\\Seen"]}), sc, after="NOOP")


def test_model_folders():
    m = Model()
    for name in ("INBOX", "inbox"):
        rejects("which exists", m.create, name, "OK")
    m.create("a/b/", "OK")
    rejects("which exists", m.create, "a/b", "OK")
    rejects("CREATE of c", m.create, "c", "NO")
    m.create("c", Answer("NO", CANNOT=True))
    rejects("DELETE of INBOX", m.delete, "inbox", "OK")
    rejects("DELETE of c", m.delete, "c", "OK")
    rejects("RENAME of c", m.rename, "c", "d", "OK")
    rejects("to INBOX", m.rename, "a/b", "INBOX", "OK")
    rejects("RENAME of a/b to a/b/c", m.rename, "a/b", "a/b/c", "OK")
    m.create("a", "NO")                                 # there as a superior, or not
    m.subscribe("a/b", "OK")
    m.subscribe("gone", "NO")

    def listing(*names, **attributes):
        return [Listing(frozenset(attributes.get(n, ())), "/", n) for n in names]
    m.check_list(listing("INBOX", "a", "a/b", a=["\\Noselect"]))
    m.check_list(listing("INBOX", "a/b"))
    rejects("LIST without INBOX", m.check_list, listing("a/b"))
    rejects("LIST says a name twice", m.check_list, listing("INBOX", "a/b", "a/b"))
    rejects("LIST has x", m.check_list, listing("INBOX", "a/b", "x"))
    rejects("is a mailbox, but", m.check_list, listing("INBOX", "a/b", INBOX=["\\Noselect"]))
    rejects("INBOX is", m.check_list, listing("INBOX", "a/b", INBOX=["\\HasChildren"]))
    m.rename("a", "e", "OK")
    m.check_list(listing("INBOX", "e/b"))
    m.check_lsub(listing("a/b"))                        # stays
    rejects("LSUB", m.check_lsub, listing("e/b"))
    m.unsubscribe("a/b", "OK")
    m.check_lsub([])
    m.delete("e/b", "OK")
    m.check_list(listing("INBOX"))


def test_model_uidvalidity_of_a_name():
    m = Model()
    m.create("a", "OK")
    m.append("a", b"x", answer=uid(1, validity=5))
    m.delete("a", "OK")
    m.create("a", "OK")
    rejects("a former mailbox", m.append, "a", b"x", answer=uid(1, validity=5))
    m.append("a", b"x", answer=uid(1, validity=6))
    m.create("b", "OK")
    m.append("b", b"x", answer=uid(1, validity=4))
    m.delete("a", "OK")
    m.rename("b", "a", "OK")                  # with another UIDVALIDITY than 4
    rejects("a former mailbox", m.append, "a", b"x", answer=uid(2, validity=4))
    m.append("a", b"x", answer=uid(2, validity=7))


def test_model_rename_of_inbox():
    m, a, sa, b, sb = three()
    m.create("INBOX/x", "OK")
    m.rename("INBOX", "old", "OK")
    c = view({4: [], 5: ["\\Seen"], 9: []}, 10, 8)
    sc = m.select("old", c)
    m.check(c, sc, after="NOOP")
    rejects("of whose removal", m.check, a, sa, after="NOOP")
    m.check(see(a, {}, gone=[1, 2, 3]), sa, after="NOOP")
    assert set(m.folders) == {"INBOX", "INBOX/x", "old"}


def test_model_status():
    m, a, sa, b, sb = three()
    fine = {"MESSAGES": 3, "UNSEEN": 2, "SIZE": 6, "UIDNEXT": 4, "UIDVALIDITY": 7}
    m.check_status("INBOX", fine)
    for item, value in (("MESSAGES", 2), ("UNSEEN", 3), ("SIZE", 7), ("UIDNEXT", 3), ("UIDVALIDITY", 8)):
        rejects(item, m.check_status, "INBOX", dict(fine, **{item: value}))
    m.check_status("INBOX", {"UIDNEXT": 9})
    rejects("after UIDNEXT 9", m.append, "INBOX", b"x", answer=uid(8))
    rejects("is no mailbox", m.check_status, "nope", fine)


def test_model_of_ten_sessions():
    """Each looked at after each command; what nobody can see any more is forgotten."""
    m, boxes = Model(), [view({}) for _ in range(10)]
    sessions = [m.select("INBOX", x) for x in boxes]
    for i in range(300):
        box, session = boxes[i % 10], sessions[i % 10]
        if i % 3 == 2 and box.count:
            gone = box.uids()[0]
            m.store(session, [gone], "+", ["\\Deleted"], "OK")
            m.expunge(session, uids=[gone])
        else:
            m.append("INBOX", b"x", ["\\Seen"], None, uid(m.folders["INBOX"].uidnext))
        alive = {x.uid: ["\\Seen"] for x in m.folders["INBOX"].certain()}
        see(box, {u: f for u, f in alive.items() if box.number(u) is None},
            gone=[u for u in box.uids() if u not in alive])
        m.check(box, session, after="NOOP")
        for box, session in zip(boxes, sessions):
            m.check(box, session)
    assert sum(x.died is not None for x in m.folders["INBOX"].messages.values()) < 40
