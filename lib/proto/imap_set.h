/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_set.h - sets of message numbers: sequence-set of RFC 3501 section 9
 * (with "$", RFC 5182 section 3), uid-set of RFC 4315 section 4.
 * Pure. Numbers are nz-number: 1 to 4294967295, no leading zero. Time is n log n
 * in the ranges; a number in a range costs nothing, so "1:4294967295" is cheap.
 */
#ifndef PROTO_IMAP_SET_H
#define PROTO_IMAP_SET_H

#include "base/arena.h"
#include "base/buf.h"

/* Of one set: what a line of 64 KiB holds of numbers with three digits. */
#define IMAP_SET_RANGES_MAX	16384

/* Octets that n ranges take in an arena, parsed and resolved. A text of l octets has at
 * most (l + 1) / 2 ranges. */
#define IMAP_SET_ARENA(n)	(2 * (n) * sizeof(struct imap_range))

enum imap_set_syntax {
	IMAP_SEQUENCE_SET,	/* what a client names: numbers, ranges, "*", "$" alone */
	IMAP_UID_SET,		/* numbers and ranges only */
};

enum imap_set_parse {
	IMAP_SET_BAD,
	IMAP_SET_MANY,		/* more than IMAP_SET_RANGES_MAX; the rest was not looked at */
	IMAP_SET_PARSED,
	IMAP_SET_SAVED,		/* "$": the result that was saved by SEARCH; *out is empty */
};

struct imap_range { uint32_t first, last; };

/* As it was written: any order, overlaps, first > last; 0 stands for "*". */
struct imap_set_text {
	const struct imap_range	*ranges;	/* in the arena */
	size_t		n;
	bool		star;	/* there is a "*": BAD for sequence numbers in an empty mailbox */
};

/*
 * What it means: first <= last in each, in rising order, with a gap of one number at
 * least between two. To go through it: ranges[0] to ranges[n - 1].
 */
struct imap_set {
	const struct imap_range	*ranges;	/* in the arena */
	size_t		n;
};

/* Takes the set alone, no spaces. *out is set on PARSED and SAVED. */
enum imap_set_parse	imap_set_parse(struct bytes s, enum imap_set_syntax syntax, struct arena *a,
    struct imap_set_text *out);

/*
 * largest: what "*" is, the largest number in use. The set may go beyond it: a
 * session answers BAD to sequence numbers that do (imap_set_last), and has no message
 * for such UIDs. In an empty mailbox it is UIDNEXT for UIDs; with 0, "*" and each range
 * to it are nothing.
 */
struct imap_set	imap_set_resolve(const struct imap_set_text *s, uint32_t largest, struct arena *a);

/* Index of the first range that has n or something larger; s->n when there is none. */
size_t		imap_set_find(const struct imap_set *s, uint32_t n);
bool		imap_set_has(const struct imap_set *s, uint32_t n);
uint32_t	imap_set_last(const struct imap_set *s);	/* the largest number; 0: empty */
uint32_t	imap_set_count(const struct imap_set *s);	/* of numbers; they always fit */

/*
 * Writes a set, for COPYUID, ESEARCH (RFC 4731 section 3.1), VANISHED (RFC 7162
 * section 3.2.10): numbers come in rising order, ranges come out. Nothing is kept but
 * the last range. In pieces, for lines of a limited length:
 *
 *	imap_set_begin(&w, out, 1000);
 *	while (next(&uid))
 *		if (!imap_set_add(&w, uid, uid)) {
 *			imap_set_end(&w);
 *			buf_text(out, "\r\n* VANISHED ");
 *			imap_set_begin(&w, out, 1000);
 *			imap_set_add(&w, uid, uid);
 *		}
 *	imap_set_end(&w);
 */
struct imap_set_writer {
	struct buf	*out;		/* borrowed, until imap_set_end */
	size_t		 max, n;	/* octets: of a piece (0: no limit), of it written */
	struct imap_range last;		/* not yet written; 0, 0: none */
};

#define IMAP_SET_PIECE_MIN	21	/* so that any range fits: 4294967294:4294967295 */

/* max: octets, 0 for no limit, else IMAP_SET_PIECE_MIN or more (must). */
void	imap_set_begin(struct imap_set_writer *w, struct buf *out, size_t max);
/*
 * All of first to last, first <= last and above all that were added to this piece
 * (must). False: this would make the piece longer than max; it was not taken. The
 * first of a piece always is.
 */
bool	imap_set_add(struct imap_set_writer *w, uint32_t first, uint32_t last);
/* Writes what waits. No number was added: nothing is written, and the RFCs have no
 * empty set: leave out the response. The buf's own max makes it full, as ever. */
void	imap_set_end(struct imap_set_writer *w);

#endif
