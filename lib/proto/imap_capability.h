/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_capability.h - what a client is told that it may use: RFC 3501 sections
 * 6.1.1 and 7.2.1. Each without "CAPABILITY " before it. imap-login says those before the
 * login, and those of the session in its OK; imapd says the same when it is asked.
 */
#ifndef PROTO_IMAP_CAPABILITY_H
#define PROTO_IMAP_CAPABILITY_H

extern const char imap_capability_login[];	/* and " AUTH=" with each mechanism */
extern const char imap_capability_closed[];	/* none may: RFC 3501 section 6.2.3, LOGINDISABLED */
extern const char imap_capability_session[];

/* The answer to ID (RFC 2971 section 3.2), untagged, with CRLF. No version: section 7. */
#define IMAP_ID_RESPONSE	"* ID (\"name\" \"Hermod\")\r\n"

#endif
