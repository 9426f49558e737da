/* SPDX-License-Identifier: ISC */
/*
 * proto/tls_required.h - does a message that passes by say that its delivery matters more than TLS does? The header
 * field "TLS-Required: No", RFC 8689 section 3.
 *
 * Pure; any pieces. A message that has the field more than once, or with another word, says nothing.
 */
#ifndef PROTO_TLS_REQUIRED_H
#define PROTO_TLS_REQUIRED_H

#include "base/bytes.h"

#define TLS_REQUIRED_FIELD 80	/* octets of the field, unfolded; a longer one is another */

struct tls_required {		/* its own; zero: at the beginning */
	unsigned char	field[TLS_REQUIRED_FIELD];	/* the one that is read, without CR and LF */
	size_t		n;		/* its octets, also those for which there is no room */
	bool		in_line, over;	/* something stands in this line; the header section has ended */
	bool		seen, no, odd;	/* it was there; it said No; it was there again */
};

void		tls_required_feed(struct tls_required *t, struct bytes content);
/* Good at any time; of a message that ends in its header section at its end, too. */
bool		tls_required_is_no(const struct tls_required *t);

#endif
