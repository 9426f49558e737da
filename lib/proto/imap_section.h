/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_section.h - the octets of a message that BODY[...] names, and how an answer names them.
 * RFC 3501 sections 6.4.5, 7.4.2.
 * Pure, linear, no memory: a section is given out piece by piece.
 */
#ifndef PROTO_IMAP_SECTION_H
#define PROTO_IMAP_SECTION_H

#include "base/buf.h"
#include "proto/imap_fetch.h"
#include "proto/mime_tree.h"

struct imap_pieces {
	struct bytes	rest;			/* borrowed: of the stored text, not given out yet */
	const struct imap_section *fields;	/* borrowed; NULL: all of rest is one piece */
	uint64_t	octets;			/* of that one piece, as sent */
};

/* The text of the section; partial is the caller's. False: there is no such part. */
bool	imap_section_find(const struct mime_tree *t, const struct imap_section *section, struct imap_pieces *out);
/* FIELDS and FIELDS_NOT of a header that is at hand: with the empty line at its end, if it has one. */
void	imap_section_fields(struct bytes header, const struct imap_section *section, struct imap_pieces *out);
/* The next piece, never empty: whole lines, but that the last of a message may have no end. False: no more. */
bool	imap_section_next(struct imap_pieces *p, struct bytes *piece);
/* Octets of all that is left, as sent: with CRLF. */
uint64_t imap_section_octets(struct imap_pieces p);

/* "BODY[1.2.HEADER.FIELDS (From To)]<0>", "RFC822.TEXT": names of fields as they were sent. */
void	imap_section_name(const struct imap_section *section, struct buf *out);

#endif
