/* SPDX-License-Identifier: ISC */
/*
 * mail/downgrade.h - a message for a server that takes less than it needs: 8-bit content in 7 bits (RFC 6152 section 3),
 * binary content in lines (RFC 3030 section 3). The bodies that need it get a transfer encoding (RFC 2045 section 6), and
 * a field that says so; all else goes out as it is. What a reader decodes is what the sender wrote. And, where its sender
 * has asked for SMTPUTF8: whether it needs that.
 *
 * In two passes over the message, each in any pieces: the first finds what is to be done, the second writes. Bounded: the
 * memory depends on header sections and on the number of parts, not on bodies. Pure.
 *
 * Parts are those of proto/mime_tree.h; where it finds structure, it is the same before and after. Not converted, so that
 * the message cannot be sent there at all, is
 *   - a header field, of the message or a part, that is not ASCII (it would take RFC 6857);
 *   - what is inside a multipart/signed or multipart/encrypted: the signature is over the octets (RFC 1847 section 2.1);
 *   - what has a transfer encoding and yet is not 7-bit: encodings are not nested (RFC 2045 section 6.4);
 *   - a message/ part that is neither a message nor encoded: message/partial, message/delivery-status (RFC 2046
 *     section 5.2, RFC 3462 section 2);
 *   - text before the first part of a multipart, or behind the last, where nothing can say how it is encoded;
 *   - a part at a limit of mime_tree.h, or one whose header is longer than DOWNGRADE_HEADER_MAX.
 */
#ifndef MAIL_DOWNGRADE_H
#define MAIL_DOWNGRADE_H

#include "base/buf.h"

#define DOWNGRADE_HEADER_MAX	(1u << 20)	/* octets of one header section */

enum {
	DOWNGRADE_8BIT = 1,	/* no octet above 127: for a server without 8BITMIME */
	DOWNGRADE_LINES = 2,	/* no line longer than 998 octets, no NUL, no CR or LF alone: without BINARYMIME */
	DOWNGRADE_UTF8 = 4,	/* no octet above 127 in a header, where nothing is converted: without SMTPUTF8 */
};

enum downgrade_result {
	DOWNGRADE_NEEDLESS,	/* it may be sent as it is */
	DOWNGRADE_POSSIBLE,	/* the second pass makes it so */
	DOWNGRADE_IMPOSSIBLE,
};

struct downgrade;

struct downgrade *downgrade_new(unsigned what);		/* DOWNGRADE_ bits, at least one */
void		 downgrade_free(struct downgrade **d);

/* The first pass: the message in order, lines ending in CRLF. */
void		 downgrade_look(struct downgrade *d, struct bytes piece);
/* All of it was looked at. IMPOSSIBLE: *status is an enhanced status code, *why the reason in words. */
enum downgrade_result downgrade_looked(struct downgrade *d, const char **status, const char **why);

/* The second pass, after POSSIBLE: the same octets again. Appends at most five times as many and 1 KiB, and what it has
 * held back of a header. True as long as the octets are those of the first pass, as far as it can tell: a message that has
 * changed meanwhile (its file is damaged) must not be sent. */
bool		 downgrade_write(struct downgrade *d, struct bytes piece, struct buf *out);
bool		 downgrade_end(struct downgrade *d, struct buf *out);

#endif
