/* SPDX-License-Identifier: ISC */
/*
 * proto/rfc5322_field.h - the header section of a message that is at hand whole,
 * field by field. RFC 5322 section 2.2. (A message that passes by is looked at by
 * rfc5322_head.) Pure. Results point into the caller's octets.
 */
#ifndef PROTO_RFC5322_FIELD_H
#define PROTO_RFC5322_FIELD_H

#include "base/arena.h"

struct field {
	struct bytes	whole;	/* with folded lines and its line end */
	struct bytes	name;	/* without white space and colon; empty: the line is no field */
	struct bytes	value;	/* after the colon, trimmed; folds still in it */
};

/*
 * The next field off the front of *content; a line ends with CRLF or LF (files of
 * this host). False: the header section has ended; *content is the body then
 * (the empty line is taken). What is no field is given too, with an empty name.
 */
bool		field_next(struct bytes *content, struct field *out);
bool		field_is(const struct field *f, const char *name);	/* in any case */
/* The first field of that name in the header section of content; false: none. */
bool		field_find(struct bytes content, const char *name, struct field *out);
/* The value in one line: line ends taken out, the white space of a fold kept (section
 * 2.2.3). In the arena. */
struct bytes	field_unfold(struct bytes value, struct arena *a);
/* White space, folds and comments (section 3.2.2) off the front of *value. */
void		field_skip_cfws(struct bytes *value);

#endif
