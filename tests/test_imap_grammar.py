# SPDX-License-Identifier: ISC
"""hermodtest.imap, which judges servers, judged itself: responses that are legal and that are not, conversations with a
server that reads from a script, and views that a model must hold for possible or not. No daemon runs here."""
import datetime
import re
import socket
import threading
import time

import pytest

from hermodtest import imap
from hermodtest.imap import (Address, Broken, Client, Envelope, Esearch, Illegal, Listing, Literal, Mirror, Model, Multipart,
                             Part, Response, Search, Vanished, expand, parse_response, ranges, set_text, utf7_decode,
                             utf7_encode)

PDT = datetime.timezone(datetime.timedelta(hours=-7))

# ---- legal: the examples of the RFCs, by section; in long ones the line breaks of the page are gone --------------------

LEGAL = {
    "RFC 3501 6.1": r"""
        * CAPABILITY IMAP4rev1 STARTTLS AUTH=GSSAPI
        abcd OK CAPABILITY completed
        efgh OK STARTLS completed
        * CAPABILITY IMAP4rev1 AUTH=GSSAPI AUTH=PLAIN
        ijkl OK CAPABILITY completed
        a002 OK NOOP completed
        * 22 EXPUNGE
        * 23 EXISTS
        * 3 RECENT
        * 14 FETCH (FLAGS (\Seen \Deleted))
        a047 OK NOOP completed
        * BYE IMAP4rev1 Server logging out
        A023 OK LOGOUT completed""",
    "RFC 3501 6.2": r"""
        * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
        a001 OK CAPABILITY completed
        a002 OK Begin TLS negotiation now
        * OK IMAP4rev1 Server
        + YGgGCSqGSIb3EgECAgIAb1kwV6ADAgEFoQMCAQ+iSzBJoAMCAQGiQgRAtHTEuOP2BXb9sBYFR4SJlDZxmg39IxmRBOhXRKdDA0uHTCOT9Bq3OsUTXUlk0CsFLoa8j+gvGDlgHuqzWHPSQg==
        + YDMGCSqGSIb3EgECAgIBAAD/////6jcyG4GE3KkTzBeBiVHeceP2CWY0SR0fAQAgAAQEBAQ=
        A001 OK GSSAPI authentication successful
        a001 OK LOGIN completed""",
    "RFC 3501 6.3": r"""
        * 172 EXISTS
        * 1 RECENT
        * OK [UNSEEN 12] Message 12 is first unseen
        * OK [UIDVALIDITY 3857529045] UIDs valid
        * OK [UIDNEXT 4392] Predicted next UID
        * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        * OK [PERMANENTFLAGS (\Deleted \Seen \*)] Limited
        A142 OK [READ-WRITE] SELECT completed
        * 17 EXISTS
        * 2 RECENT
        * OK [UNSEEN 8] Message 8 is first unseen
        * OK [PERMANENTFLAGS ()] No permanent flags permitted
        A932 OK [READ-ONLY] EXAMINE completed
        A003 OK CREATE completed
        A004 OK CREATE completed
        * LIST () "/" blurdybloop
        * LIST (\Noselect) "/" foo
        * LIST () "/" foo/bar
        A682 OK LIST completed
        A683 OK DELETE completed
        A684 NO Name "foo" has inferior hierarchical names
        A685 OK DELETE Completed
        * LIST () "." blurdybloop
        * LIST () "." foo
        * LIST () "." foo.bar
        A82 OK LIST completed
        * LIST (\Noselect) "." foo
        A683 OK RENAME completed
        * LIST () "/" sarasoop
        * LIST (\Noselect) "/" zowie
        * LIST () "/" zowie/bar
        * LIST () "." INBOX
        * LIST () "." INBOX.bar
        * LIST () "." old-mail
        Z434 OK LIST completed
        A002 OK SUBSCRIBE completed
        A002 OK UNSUBSCRIBE completed
        * LIST (\Noselect) "/" ""
        A101 OK LIST Completed
        * LIST (\Noselect) "." #news.
        A102 OK LIST Completed
        * LIST (\Noselect) "/" /
        * LIST (\Noselect) "/" ~/Mail/foo
        * LIST () "/" ~/Mail/meetings
        * LSUB () "." #news.comp.mail.mime
        * LSUB () "." #news.comp.mail.misc
        A002 OK LSUB completed
        * LSUB (\NoSelect) "." #news.comp.mail
        A003 OK LSUB completed
        * STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)
        A042 OK STATUS completed
        + Ready for literal data
        A003 OK APPEND completed""",
    "RFC 3501 6.4": r"""
        FXXZ OK CHECK Completed
        A341 OK CLOSE completed
        * 3 EXPUNGE
        * 5 EXPUNGE
        * 8 EXPUNGE
        A202 OK EXPUNGE completed
        * SEARCH 2 84 882
        A282 OK SEARCH completed
        * SEARCH
        A283 OK SEARCH completed
        * SEARCH 43
        A284 OK SEARCH completed
        A654 OK FETCH completed
        * 2 FETCH (FLAGS (\Deleted \Seen))
        * 3 FETCH (FLAGS (\Deleted))
        * 4 FETCH (FLAGS (\Deleted \Flagged \Seen))
        A003 OK STORE completed
        A003 OK COPY completed
        * 23 FETCH (FLAGS (\Seen) UID 4827313)
        * 24 FETCH (FLAGS (\Seen) UID 4827943)
        * 25 FETCH (FLAGS (\Seen) UID 4828442)
        A999 OK UID FETCH completed""",
    "RFC 3501 6.5": r"""
        * CAPABILITY IMAP4rev1 XPIG-LATIN
        a441 OK CAPABILITY completed
        A442 OK XPIG-LATIN ompleted-cay""",
    "RFC 3501 7.1": r"""
        * OK IMAP4rev1 server ready
        * OK [ALERT] System shutdown in 10 minutes
        A001 OK LOGIN Completed
        * NO Disk is 98% full, please delete unnecessary data
        A222 OK COPY completed
        * NO Disk is 99% full, please delete unnecessary data
        A223 NO COPY failed: disk is full
        * BAD Command line too long
        * BAD Empty command line
        * BAD Disk crash, attempting salvage to a new disk!
        * OK Salvage successful, no data lost
        A443 OK Expunge completed
        * PREAUTH IMAP4rev1 server logged in as Smith
        * BYE Autologout; idle for too long""",
    "RFC 3501 7.2": r"""
        * CAPABILITY IMAP4rev1 STARTTLS AUTH=GSSAPI XPIG-LATIN
        * LIST (\Noselect) "/" ~/Mail/foo
        * LSUB () "." #news.comp.mail.misc
        * STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)
        * SEARCH 2 3 6
        * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)""",
    "RFC 3501 7.3, 7.4, 7.5": r"""
        * 23 EXISTS
        * 5 RECENT
        * 44 EXPUNGE
        * 23 FETCH (FLAGS (\Seen) RFC822.SIZE 44827)
        + Ready for additional command text
        A001 OK LOGIN completed
        A044 BAD No such command as "BLURDYBLOOP" """,
    "RFC 3501 7.4.2": r"""
        * 1 FETCH (BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279 48))
        * 1 FETCH (BODY (("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73) "MIXED"))""",
    "RFC 3501 8": r"""
        * OK IMAP4rev1 Service Ready
        a001 OK LOGIN completed
        * 18 EXISTS
        * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        * 2 RECENT
        * OK [UNSEEN 17] Message 17 is the first unseen message
        * OK [UIDVALIDITY 3857529045] UIDs valid
        a002 OK [READ-WRITE] SELECT completed
        * 12 FETCH (FLAGS (\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286 ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>") BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92))
        a003 OK FETCH completed
        * 12 FETCH (FLAGS (\Seen \Deleted))
        a005 OK +FLAGS completed
        * BYE IMAP4rev1 server terminating connection
        a006 OK LOGOUT completed""",
    "RFC 2177 3": r"""
        * FLAGS (Deleted Seen)
        * 3 EXISTS
        * 0 RECENT
        A001 OK SELECT completed
        + idling
        A002 OK IDLE terminated""",
    "RFC 2342 5": r"""
        * NAMESPACE (("" "/")) NIL NIL
        A001 OK NAMESPACE command completed
        * NAMESPACE NIL NIL (("" "."))
        * NAMESPACE (("" "/")) NIL (("Public Folders/" "/"))
        * NAMESPACE (("" "/")) (("~" "/")) (("#shared/" "/")("#public/" "/")("#ftp/" "/")("#news." "."))
        * NAMESPACE (("INBOX." ".")) NIL NIL
        * NAMESPACE (("" "/")("#mh/" "/" "X-PARAM" ("FLAG1" "FLAG2"))) NIL NIL
        * NAMESPACE (("" "/")) (("Other Users/" "/")) NIL
        * LIST () "/" "Other Users/Mike"
        A002 NO The requested item could not be found.
        * LIST () "/" "~mark/INBOX" """,
    "RFC 2971 3": r"""
        * ID NIL
        a023 OK ID completed
        * ID ("name" "Cyrus" "version" "1.5" "os" "sunos" "os-version" "5.5" "support-url" "mailto:cyrus-bugs+@andrew.cmu.edu")
        a042 OK ID command completed""",
    "RFC 2180 4.1.3": r"""
        * 1 FETCH (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))
        * 1 FETCH (FLAGS ())
        * 1 FETCH (RFC822 "")
        * 1 FETCH (RFC822.HEADER "")
        * 1 FETCH (RFC822.TEXT "")
        * 1 FETCH (RFC822.SIZE 0)
        * 1 FETCH (BODY ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0))
        * 1 FETCH (BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0))""",
    "RFC 4315 2, 3": r"""
        * 3 EXPUNGE
        A003 OK UID EXPUNGE completed
        A003 OK [APPENDUID 38505 3955] APPEND completed
        A004 OK [COPYUID 38505 304,319:320 3956:3958] Done
        A005 OK No matching messages, so nothing copied
        A006 OK Done
        * OK [UNSEEN 1] Message 1 is first unseen
        * OK [UIDVALIDITY 3857529045] Validity session-only
        * OK [UIDNEXT 2] Predicted next UID
        * NO [UIDNOTSTICKY] Non-persistent UIDs
        * OK [PERMANENTFLAGS (\Deleted \Seen)] Limited
        A007 OK [READ-WRITE] SELECT completed""",
    "RFC 4466 2.6.2": r"""
        * ESEARCH UID COUNT 5 ALL 4:19,21,28
        * ESEARCH (TAG "a567") UID COUNT 5 ALL 4:19,21,28
        * ESEARCH COUNT 5 ALL 1:17,21""",
    "RFC 4731 3": r"""
        * ESEARCH (TAG "A282") MIN 2 COUNT 3
        * ESEARCH (TAG "A283") ALL 2,10:11
        * ESEARCH (TAG "A284") MIN 4
        * ESEARCH (TAG "A285") UID MIN 7 MAX 3800
        * ESEARCH (TAG "A286") COUNT 15
        * ESEARCH (TAG "a1") MIN 2 MODSEQ 917162488
        * ESEARCH (TAG "a2") MAX 23 MODSEQ 907162321
        * ESEARCH (TAG "a3") MIN 2 MAX 23 MODSEQ 917162488
        * ESEARCH (TAG "a4") MIN 2 COUNT 10 MODSEQ 917162500""",
    "RFC 5161 3": r"""
        * CAPABILITY IMAP4rev1 ID LITERAL+ ENABLE X-GOOD-IDEA
        * ENABLED X-GOOD-IDEA
        * ENABLED CONDSTORE
        a1 OK Conditional Store enabled""",
    "RFC 5182 2": r"""
        A282 OK SEARCH completed, result saved
        * SEARCH 17 900 901
        * SEARCH 882 1102 3003 3005 3006
        B283 NO [BADCHARSET UTF-8] KOI8-R is not supported
        E283 OK COPY completed, nothing copied
        * ESEARCH (TAG "G283") ALL 3:15,27,29:103
        * ESEARCH (TAG "C283") ALL 2,10:15,21
        * ESEARCH (TAG "C284") MIN 2
        * ESEARCH (TAG "C285") MIN 2 MAX 21
        * ESEARCH (TAG "C286") MIN 2 MAX 21 COUNT 8
        * ESEARCH (TAG "C286") MIN 2 ALL 2,10:15,21""",
    "RFC 5258 5": r"""
        * LIST (\Marked \NoInferiors) "/" "inbox"
        * LIST () "/" "Fruit/Apple"
        * LIST (\Marked \NoInferiors \Subscribed) "/" "inbox"
        * LIST (\Subscribed \NonExistent) "/" "Fruit/Peach"
        * LIST (\HasChildren) "/" "Fruit"
        * LIST (\HasNoChildren) "/" "Tofu"
        * LIST (\Remote) "/" "Bread"
        * LIST (\HasChildren \Remote) "/" "Meat"
        * LIST (\Remote \Subscribed) "/" "Bread"
        * LIST (\NoInferiors) "/" "Drafts"
        * LIST (\Marked) "/" "Sent/December2003"
        * LIST () "/" "Foo" ("CHILDINFO" ("SUBSCRIBED"))
        * LIST (\Subscribed \HasChildren) "/" "Foo" ("CHILDINFO" ("SUBSCRIBED"))
        * LIST (\NonExistent) "/" "Foo" ("CHILDINFO" ("SUBSCRIBED"))
        * LIST (\HasNoChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
        * LIST (\NonExistent \HasChildren) "/" also
        a3.1 OK done""",
    "RFC 5530 3": r"""
        a NO [UNAVAILABLE] User's backend down for maintenance
        b NO [AUTHENTICATIONFAILED] Authentication failed
        c1 NO [AUTHORIZATIONFAILED] No such authorization-ID
        d NO [EXPIRED] That password isn't valid any more
        d NO [PRIVACYREQUIRED] Connection offers no privacy
        f NO [NOPERM] Access denied
        g NO [INUSE] Mailbox in use
        * SEARCH 1 2 3 5 8 13 21 42
        h OK [EXPUNGEISSUED] Search completed
        i NO [CORRUPTION] Cannot open mailbox
        j NO [SERVERBUG] This should not happen
        k1 OK [READ-ONLY] Done
        k2 OK [CLIENTBUG] Done
        l NO [CANNOT] Adjacent slashes are not supported
        m NO [LIMIT] At most 32 flags in one mailbox supported
        n1 NO [OVERQUOTA] Sorry
        o NO [ALREADYEXISTS] Mailbox "that" already exists
        p NO [NONEXISTENT] No such mailbox""",
    "RFC 5819 3": r"""
        * STATUS "INBOX" (MESSAGES 17 UNSEEN 16)
        * LIST () "." "foo"
        * STATUS "foo" (MESSAGES 30 UNSEEN 29)
        * LIST (\NoSelect) "." "bar"
        * LIST () "." "foo" (CHILDINFO ("SUBSCRIBED"))
        A02 OK List completed.""",
    "RFC 6154 5": r"""
        * LIST (\Marked \HasNoChildren) "/" Inbox
        * LIST (\Sent \HasNoChildren) "/" SentMail
        * LIST (\Marked \Drafts \HasNoChildren) "/" MyDrafts
        * LIST (\Trash \HasNoChildren) "/" Trash
        * CAPABILITY IMAP4rev1 CREATE-SPECIAL-USE
        t3 NO [USEATTR] \All not supported""",
    "RFC 6851 4.3": r"""
        * OK [COPYUID 432432 42:69 1202:1229]
        * 22 EXPUNGE
        a OK Done""",
    "RFC 7162 3": r"""
        * OK [HIGHESTMODSEQ 20010715194045007] Highest mailbox mod-sequence
        * OK [NOMODSEQ] Sorry, this mailbox format doesn't support modsequences
        * 1 FETCH (UID 4 MODSEQ (12121231000))
        * 50 FETCH (MODSEQ (12111230047))
        d105 OK [MODIFIED 7,9] Conditional STORE failed
        * 7 FETCH (MODSEQ (320162342) FLAGS (\Seen \Deleted))
        B001 NO [MODIFIED 2] Some of the messages no longer exist.
        * 4 FETCH (UID 8 MODSEQ (29738) FLAGS ($NoJunk $AutoJunk $MDNSent))
        * 2 FETCH (MODSEQ (320180050) FLAGS (\SEEN \Flagged))
        * SEARCH 2 5 6 7 11 12 18 19 20 23 (MODSEQ 917162500)
        * SEARCH
        * STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292 HIGHESTMODSEQ 7011231777)
        * ESEARCH (TAG "a") ALL 1:3,5 MODSEQ 1236
        * ESEARCH (TAG "a") ALL 5,3,2,1 MODSEQ 1236
        A142 OK [READ-WRITE] SELECT completed, CONDSTORE is now enabled
        * VANISHED (EARLIER) 41,43:116,118,120:211,214:540
        * 49 FETCH (UID 117 FLAGS (\Seen \Answered) MODSEQ (90060115194045001))
        * VANISHED 405,407,410,425
        A202 OK [HIGHESTMODSEQ 20010715194045319] expunged
        . OK [HIGHESTMODSEQ 20010715194045319] Ok
        * OK [HIGHESTMODSEQ 99] VANISHED reply with MODSEQ 100 is delayed
        A150 OK [MODIFIED 3] done""",
    "RFC 7889 4, 5": r"""
        * CAPABILITY IMAP4rev1 ID APPENDLIMIT=257890
        * CAPABILITY IMAP4rev1 ID APPENDLIMIT
        * STATUS INBOX (APPENDLIMIT 257890)
        * STATUS INBOX (APPENDLIMIT NIL)
        t NO [TOOBIG] Too much""",
    "RFC 8438 3": r"""
        * STATUS frop (MESSAGES 8 SIZE 44421 UIDNEXT 242344)
        * OK [HIGHESTMODSEQ 3914] Highest
        * 7 FETCH (RFC822.SIZE 31126)""",
    "the rest of the grammar": r"""
        * ok [capability imap4REV1 auth=plain] hello
        ]tag]-= OK a tag is any ASTRING-CHAR but +
        * OK [BADCHARSET (US-ASCII "UTF-8")] with a list
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
        * ENABLED""",
}

LINES = [(where, line) for where, text in LEGAL.items() for line in text.strip().splitlines()]
BROKEN_EXAMPLES = {
    # An "atom" may not have these; RFC 5182 has no list around the charset.
    "B283 NO [BADCHARSET UTF-8] KOI8-R is not supported",
    # No text: RFC 6851 means RFC 5530's habit of leaving it out.
    "* OK [COPYUID 432432 42:69 1202:1229]",
}


def octets(line):
    """A line of a table: \\n is CRLF, \\xHH an octet; with CRLF at its end."""
    line = line.lstrip(" ")
    return line.encode("latin-1").replace(b"\n", b"\r\n") + b"\r\n"


def test_examples_of_the_rfcs():
    assert len(LINES) > 250
    for where, line in LINES:
        line = line.strip()
        if line in BROKEN_EXAMPLES:
            with pytest.raises(Illegal):
                parse_response(octets(line))
            continue
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
    ("date-time: a day that is (RFC 2180 section 4.1.3 has none)", '* 1 FETCH (INTERNALDATE "00-Jan-0000 00:00:00 +0000")'),
    ("date-time: a day that is", '* 1 FETCH (INTERNALDATE "30-Feb-2024 02:44:25 -0700")'),
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
    whole = (b'* 1 FETCH (BODY[HEADER.FIELDS ("To")] {3}\r\na\r\n FLAGS (\\Seen) ENVELOPE ({0}\r\n "x" NIL NIL NIL NIL NIL NIL '
             b'NIL {2}\r\nhi))\r\n')
    assert parse_response(whole).data["ENVELOPE"].message_id == b"hi"
    for n in range(len(whole)):
        with pytest.raises(Illegal):
            parse_response(whole[:n])


def test_no_octet_changed_crashes_the_parser():
    """Whatever comes, the answer is a Response or Illegal."""
    for line in [octets(x.strip()) for _, x in LINES if len(x) < 200]:
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
    ("a OK [COPYUID 7 3,5:4 9:11] x", Response("a", "OK", text="x", code=("COPYUID", (7, ((3, 3), (4, 5)), ((9, 11),))))),
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
         b"d", b'"', (TERRY,), None, None, (Address(None, None, b"g", None), Address(None, None, None, None)), None, None,
         b"", None)})),
    ("* 2 FETCH (BODYSTRUCTURE ((" + BODY + ')("message" "rfc822" ("a" "b") "i" "d" "x-enc" 9 (' + ENVELOPE + ") (" + BODY
     + ' "md5") 3 NIL ("inline" ("f" "g"))) "MIXED" ("boundary" "x") NIL ("en" "de") "loc"))',
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
    ("INBOX", "INBOX"), ("a&b", "a&-b"), ("&&", "&-&-"), ("\u00e4", "&AOQ-"), ("~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e",
                                                        "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("\U0001f600", "&2D3eAA-"), ("a\tb", "a&AAk-b"), ("\u00e4 \u00f6", "&AOQ- &APY-"), ("\u00e4&", "&AOQ-&-"), ("", "")])
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


def connect(*steps, greeting=b"* PREAUTH hello\r\n", **more):
    s = Script(greeting, *steps)
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
                   "FETCH 1:\\* \\(UID FLAGS\\)", b"* 1 FETCH (UID 4 FLAGS ())\r\n* 2 FETCH (UID 9 FLAGS (\\Seen))\r\n$ OK x\r\n",
                   "NOOP", b"* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 1 RECENT\r\n$ OK x\r\n",
                   "LOGOUT", b"* BYE x\r\n$ OK x\r\n", greeting=b"* OK hello\r\n")
    assert c.greeting.text == "hello" and c.state == "not authenticated"
    c.login('a"b', "c")
    assert c.capabilities == {"IMAP4REV1", "IDLE"} and c.state == "authenticated"
    r = c.ok("SELECT inbox")
    assert c.state == "selected" and r.code("UIDNEXT") == 100 and r.code("READ-WRITE") is True and r.code("UNSEEN") is None
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
    said = b"* 1 FETCH (BODY[] {9}\r\nab\r\n{3}\r\n BODY[1] {0}\r\n BODY[TEXT] {2}\r\n\r\n UID 3)\r\n$ OK {4}\r\n".replace(b"$", b"t2")
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
                    b"* 1 FETCH (FLAGS (\\Seen))\r\n$2 OK x\r\n* 1 FETCH (FLAGS ())\r\n$1 OK x\r\n* 2 EXISTS\r\n$ OK x\r\n",
                    "NOOP", b"* 2 EXPUNGE\r\n$ OK x\r\n")
    a, b, d = c.pipeline("FETCH 1 FLAGS", "STORE 1 FLAGS ()", "NOOP")
    assert len(a.of("FETCH")) == len(b.of("FETCH")) == len(d.of("EXISTS")) == 1
    c.chunks, c.pause = (1, 3), 0.001
    c.ok("NOOP")
    assert c.box.count == 1 and s.wrong is None


def test_idle():
    s, c = selected(1, "IDLE", b"+ idling\r\n", 0.05, b"* 2 EXISTS\r\n", 0.05, b"* 1 EXPUNGE\r\n", "DONE", b"$ OK x\r\n",
                    b"* 3 EXISTS\r\n")
    c.idle()
    assert c.wait("EXISTS").number == 2
    assert c.wait("EXPUNGE").number == 1
    assert c.done().ok and c.box.count == 1
    assert c.wait("EXISTS", 5).number == 3 and len(c.unsolicited) == 1 and s.wrong is None


def test_authenticate():
    s, c = connect("AUTHENTICATE LOGIN", b"+ VXNlcjo=\r\n", "YQ==", b"+ \r\n", "Yg==", b"$ OK x\r\n",
                   greeting=b"* OK hello\r\n")
    r = c.authenticate("LOGIN", b"a", b"b")
    assert r.ok and [x.text for x in r.continuations] == ["VXNlcjo=", ""] and c.state == "authenticated" and s.wrong is None


def test_no_answer_in_time():
    s, c = connect("NOOP", b"* OK half of it", 0.5)
    c.timeout = 0.1
    with pytest.raises(TimeoutError, match="half of it"):
        c.cmd("NOOP")


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
    s, c = connect("ENABLE QRESYNC", b"* ENABLED QRESYNC\r\n$ OK x\r\n", *select(5, extra=b"* OK [HIGHESTMODSEQ 5] x\r\n"),
                   "FETCH 1:4 UID", b"".join(b"* %d FETCH (UID %d)\r\n" % (i, i * 2) for i in range(1, 5)) + b"$ OK x\r\n",
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
    s, c = connect(*first, second[0], b"* 3 EXPUNGE\r\n* OK [CLOSED] x\r\n" + second[1], "SELECT no", b"* OK [CLOSED] x\r\n$ NO x\r\n",
                   greeting=b"* PREAUTH [CAPABILITY IMAP4rev1 QRESYNC] hello\r\n")
    c.ok("SELECT inbox")
    c.ok("SELECT inbox")
    assert c.box.count == 2
    c.no("SELECT no")
    assert c.box is None and c.state == "authenticated" and s.wrong is None


def test_silent_store_leaves_flags_unknown():
    s, c = selected(3, "FETCH 1:3 FLAGS", b"* 1 FETCH (FLAGS ())\r\n* 2 FETCH (FLAGS ())\r\n* 3 FETCH (FLAGS ())\r\n$ OK x\r\n",
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
    ("SELECT without UIDNEXT", "SELECT y", b"* FLAGS ()\r\n* 1 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] x\r\n$ OK x\r\n"),
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
