/* SPDX-License-Identifier: ISC */
/*
 * proto/rfc5322_head.h - one look at a message as it passes by: its header
 * section and its MIME structure. RFC 5322 sections 2.2, 3.6; RFC 8601 section
 * 2.2 (authserv-id); RFC 2045, 2046 section 5.1 (boundaries).
 *
 * Pure; any pieces; linear time; struct head is all the memory there is. A line
 * ends at LF, with or without CR before it, for so do the readers that come
 * later; whether bare ones are taken at all is the caller's question (flags).
 * Lines that are no header field do not end the header section: only an empty
 * line does. Nothing can hide behind a malformed line from the search for
 * fields which claim to be ours. The parts are those that mime_tree finds in the
 * same message later.
 */
#ifndef PROTO_RFC5322_HEAD_H
#define PROTO_RFC5322_HEAD_H

#include "base/bytes.h"

#define HEAD_NAMES	16	/* names a caller can ask for */
#define HEAD_RANGES	128	/* fields noted; adjacent ones of one kind are one range */
#define HEAD_NAME_MAX	76	/* octets of a field name that are told apart */
#define HEAD_ID_MAX	255	/* octets of an authserv-id */
#define HEAD_TYPE_MAX	1024	/* octets of a Content-Type that are looked at, unfolded */
#define HEAD_DEPTH_MAX	100	/* nesting levels it can follow; limits may be lower */
#define HEAD_BOUNDARY_MAX 996	/* octets of a boundary: a line has 998 with its "--" */
#define HEAD_POOL	8192	/* octets of all open boundaries together */

/* Zero: the greatest it can do, or no limit. */
struct head_limits {
	uint64_t header_octets;	/* of the header section, its empty line included */
	unsigned fields;	/* of the message's own header */
	unsigned hops;		/* Received fields */
	unsigned depth;		/* a multipart in a multipart is 2; a message/rfc822 counts as one */
	unsigned parts;		/* of all multiparts together */
};

/* head.over: which limits were passed. Each has its own reply. */
enum {
	HEAD_OVER_OCTETS = 1, HEAD_OVER_FIELDS = 2, HEAD_OVER_HOPS = 4, HEAD_OVER_DEPTH = 8,
	HEAD_OVER_PARTS = 16,
	HEAD_OVER_RANGES = 32,	/* more fields to note than HEAD_RANGES: do not accept the message */
};

enum { HEAD_OURS = 255 };	/* head_range.what: an Authentication-Results that claims to be ours,
				 * or whose authserv-id cannot be told: delete it */
struct head_range {
	uint64_t	at, n;	/* octets in the content; whole field, folded lines and line end with it */
	unsigned char	what;	/* index of the caller's name, or HEAD_OURS */
};

struct head_level { unsigned short at, n; bool digest, message; };	/* boundary in the pool */

struct head {
	/* Results; good at any time, final after head_end. */
	uint64_t	octets;		/* fed */
	uint64_t	header_octets;	/* header section with its empty line; all, if there is none */
	bool		header_done;	/* the empty line was seen */
	unsigned	fields, hops;	/* of the message's own header */
	unsigned	malformed;	/* lines of the header that are no field ("From " of mbox is one) */
	unsigned	count[HEAD_NAMES];	/* how often each of the caller's names occurs */
	struct head_range ranges[HEAD_RANGES];	/* in order */
	unsigned	ranges_n;
	unsigned	ours;		/* fields in ranges that are HEAD_OURS */
	uint64_t	longest_line;	/* octets without its line end; over 998 is against section 2.1.1 */
	uint64_t	longest_header_line;
	unsigned	depth, parts;	/* deepest nesting, number of parts */
	unsigned	over;		/* HEAD_OVER_* */
	bool		header_8bit, body_8bit, bare_cr, bare_lf, nul;
	bool		mime_odd;	/* two Content-Types, two boundaries, one too long, RFC 2231 pieces:
					 * readers will not agree on the structure */

	/* Its own. */
	struct head_limits limits;
	struct bytes	our_id;			/* borrowed until head_end */
	const struct bytes *names;		/* borrowed until head_end */
	size_t		names_n;
	uint64_t	line_at, field_at;	/* where the present line and field begin */
	uint64_t	line_n;			/* octets of this line so far */
	unsigned char	where, line_state, kind, id_state;
	unsigned char	what;			/* index of a name, or names_n */
	unsigned	comment;		/* depth, in an authserv-id */
	bool		cr;			/* the last octet was CR */
	bool		own;			/* the message's own header, not one inside it */
	bool		in_field, escaped, id_bad, typed, coded, encoded, digest_part, candidate;
	size_t		name_n, id_n, type_n, line_kept, levels_n, pool_n;
	unsigned char	name[HEAD_NAME_MAX];
	unsigned char	id[HEAD_ID_MAX];	/* an authserv-id, or a Content-Transfer-Encoding */
	unsigned char	type[HEAD_TYPE_MAX];
	unsigned char	line[HEAD_BOUNDARY_MAX + 32];	/* one that may be a boundary, in pieces */
	unsigned char	pool[HEAD_POOL];
	struct head_level levels[HEAD_DEPTH_MAX];
};

/*
 * About 16 KB: take it when content begins, not for each session. our_id: the
 * hostname that our Authentication-Results carry; empty: none are looked for.
 * names (at most HEAD_NAMES) are field names without colon, in any case.
 */
void	head_init(struct head *h, const struct head_limits *limits, struct bytes our_id,
	    const struct bytes *names, size_t names_n);
void	head_feed(struct head *h, struct bytes content);
void	head_end(struct head *h);

#endif
