/* SPDX-License-Identifier: ISC */
/*
 * proto/mime_tree.h - the structure of a message that is at hand whole: its parts,
 * where they are in the stored text, how big they are as IMAP sends them.
 * RFC 2045, RFC 2046 sections 5.1 (multipart) and 5.2.1 (message/rfc822), RFC 6532
 * section 3.7 (message/global), RFC 3501 section 6.4.5 (part numbers).
 *
 * Pure; iterative; one pass, linear. Memory from the caller's arena, at most
 * MIME_TREE_ARENA. A line ends with LF, with or without CR before it: a Maildir has the
 * one, IMAP sends the other; each place is kept with the number of bare LFs before it.
 *
 * Every run of octets has a structure, and the same parts that rfc5322_head counted
 * while the message came in:
 *   - only an empty line ends a header; a line that is no field does not;
 *   - a boundary of any open multipart ends what is inside of it; where one begins with
 *     another the longest counts, of equal ones the innermost; the text behind it on its
 *     line says nothing. The line end before it is part of it;
 *   - the first of several fields of one name counts;
 *   - what has no closing boundary ends with the outer one, or with the message. A last
 *     line without an end closes a multipart but begins no part.
 * What is not looked into, for a limit or since it is encoded, is one part.
 */
#ifndef PROTO_MIME_TREE_H
#define PROTO_MIME_TREE_H

#include "base/arena.h"

#define MIME_DEPTH_MAX	100	/* levels: a multipart in a multipart is 2; a message counts as one */
#define MIME_PARTS_MAX	10000	/* parts, all counted; what follows is one part more */
#define MIME_HEADER_MAX	(16 << 20)	/* octets of one header in which fields are looked for */
#define MIME_BOUNDARIES	8192	/* octets of all open boundaries together */
#define MIME_TREE_ARENA	((MIME_PARTS_MAX + 1) * (sizeof(struct mime_part) + 32))

/* A place in the stored text. Between two of them is so much, and so many CRs are added in sending. */
struct mime_mark {
	size_t		at;		/* octets before it */
	size_t		bare;		/* LFs before it that have no CR */
	size_t		lines;		/* LFs before it */
};

enum mime_kind {
	MIME_SINGLE,		/* a body of any other type */
	MIME_MULTIPART,		/* one child or more */
	MIME_MESSAGE,		/* message/rfc822 or message/global; one child: the message */
	MIME_NO_PARTS,		/* a multipart without boundary, or whose boundary does not occur:
				 * text/plain by RFC 2045 section 5.2 */
	MIME_CLOSED,		/* not looked into: an encoded message, one without a body, a limit. To
				 * be shown as application/octet-stream (RFC 2049 section 2) */
};

enum mime_field {
	MIME_TYPE, MIME_ENCODING, MIME_DISPOSITION, MIME_LANGUAGE, MIME_ID, MIME_DESCRIPTION,
	MIME_MD5, MIME_LOCATION, MIME_FIELDS
};

struct mime_part {		/* in the arena */
	struct mime_part *parent, *first, *last, *next;
	enum mime_kind	kind;
	bool		in_digest;	/* without a Content-Type it is message/rfc822, RFC 2046 section 5.1.5 */
	bool		rest;		/* all that follows the last part there was room for */
	struct mime_mark header, body, end;	/* the header has its empty line */
	struct bytes	fields[MIME_FIELDS];	/* what follows the colon, in the text; p NULL: none */
};

struct mime_tree {
	struct bytes	text;		/* borrowed as long as the tree is used */
	struct mime_part *root;		/* the message; never NULL */
	size_t		parts;		/* all of them, the root too */
	unsigned	depth;		/* deepest nesting */
	bool		over_depth, over_parts;	/* a limit was met */
};

/* A piece of the text: octets there, and as sent with CRLF. */
struct mime_range { size_t at, n, sent, lines; };

void	mime_tree_parse(struct bytes message, struct arena *a, struct mime_tree *out);

struct mime_range	mime_part_header(const struct mime_part *p);
struct mime_range	mime_part_body(const struct mime_part *p);

/*
 * What an IMAP section names: "", "HEADER", "TEXT", "1.2", "1.2.MIME", and for a part
 * that is a message "1.2.HEADER", "1.2.TEXT"; in any case. False: there is no such part,
 * or it is no section. (HEADER.FIELDS is the caller's: a choice of HEADER's fields.)
 */
bool	mime_tree_section(const struct mime_tree *t, struct bytes section, struct mime_range *out);
/* The part of that number, "1.2"; NULL: there is none. */
const struct mime_part *mime_tree_part(const struct mime_tree *t, struct bytes number);
/* The same by its numbers, { 1, 2 }; NULL for none, too. */
const struct mime_part *mime_tree_numbered(const struct mime_tree *t, const uint32_t *number, size_t n);

#endif
