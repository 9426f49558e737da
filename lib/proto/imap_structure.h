/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_structure.h - what FETCH says of a message's header and structure.
 * RFC 3501 sections 7.4.2 (ENVELOPE, BODY, BODYSTRUCTURE) and 9 (their grammar).
 *
 * Pure; iterative; linear. Whatever the message is, what is printed is legal grammar:
 *   - a string without 8-bit octets is quoted, any other is a literal. Line ends of folds
 *     go (RFC 5322 section 2.2.3), a bare CR becomes a space, and NUL, which neither form
 *     can hold, '?'. Encoded words stay as they are;
 *   - of several fields of one name the first counts;
 *   - octets are those of the form with CRLF, lines are line ends; numbers have 32 bits, what
 *     is more is printed as 4294967295;
 *   - a type that cannot be read is text/plain (RFC 2045 section 5.2), so is a multipart
 *     without parts; what is not looked into is application/octet-stream.
 * The buffer's maximum is the caller's; it is full when the answer did not fit.
 */
#ifndef PROTO_IMAP_STRUCTURE_H
#define PROTO_IMAP_STRUCTURE_H

#include "base/buf.h"
#include "proto/mime_tree.h"
#include "proto/rfc5322_addresses.h"

#define IMAP_FIELD_MAX		102400	/* octets of one field that are shown */
#define IMAP_ADDRESSES_MAX	1000	/* entries of one address field: mailboxes, and ends of groups */
#define IMAP_LANGUAGES_MAX	16	/* tags of a Content-Language */
/* What an arena must have room for, to work in. It is emptied on the way. */
#define IMAP_SCRATCH \
	(3 * IMAP_FIELD_MAX + (IMAP_ADDRESSES_MAX + 1) * sizeof(struct mailbox_entry) + 1024)

enum {
	IMAP_EXTENDED = 1,	/* BODYSTRUCTURE; without it BODY */
	IMAP_GLOBAL = 2,	/* message/global is shown as message/rfc822 is, RFC 9051 section 9; RFC 3501
				 * knows only the latter, so without it is a part of any other type */
};

/*
 * header: a message's, as it is stored. A mailbox without a domain has the empty string for
 * host, since NIL would begin a group. An element that is no address is shown as a name, with
 * mailbox and host empty: what the checks of the sender take for no address is none here. A
 * Sender or Reply-To that is missing or empty is From.
 */
void	imap_envelope(struct bytes header, struct arena *scratch, struct buf *out);
void	imap_body(const struct mime_tree *t, unsigned how, struct arena *scratch, struct buf *out);

#endif
