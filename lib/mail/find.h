/* SPDX-License-Identifier: ISC */
/*
 * mail/find.h - does a message contain a text? RFC 3501 section 6.4.4.
 *
 * Both are made comparable: transfer encodings and encoded words (RFC 2047) are taken off, any charset becomes
 * UTF-8, letters lose their case, line ends are LF, folded fields are one line. Pure but for the converters of
 * mail/charset.h; piece by piece, in the finder's memory alone; linear.
 */
#ifndef MAIL_FIND_H
#define MAIL_FIND_H

#include "base/arena.h"
#include "mail/charset.h"
#include "proto/mime_tree.h"

#define NEEDLE_MAX	1024	/* octets of a text that is looked for, made comparable */

struct needle {
	struct bytes	text;		/* in the arena, comparable */
	bool		ascii;		/* all of it */
	bool		lines;		/* it has a CR or LF */
};

/* False: it is longer than NEEDLE_MAX. */
bool	needle_init(struct needle *n, struct bytes text, const struct charset *c, struct arena *a);

struct finder;		/* working memory, about 100 KiB */

struct finder	*finder_new(void);
void		 finder_free(struct finder **f);

/* In what stands behind the colon of a field of that name; the empty text: is there one? header: a header section,
 * or some lines of one. */
bool	find_in_field(struct finder *f, const struct needle *n, struct bytes header, struct bytes name);
/* In any field, "Name: value". */
bool	find_in_header(struct finder *f, const struct needle *n, struct bytes header);
/* In the text below the message's header: all parts that are text, the headers of all parts and of messages inside. */
bool	find_in_body(struct finder *f, const struct needle *n, const struct mime_tree *t);

#endif
