/* SPDX-License-Identifier: ISC */
/*
 * base/line.h - the one line reader of all text protocols. A line ends with
 * CRLF and with nothing else (RFC 5321 section 2.3.8). Forward only; takes what
 * has come so far, octet by octet if need be.
 *
 *	while ((st = line_next(&r, &input, &line)) != LINE_MORE) ...
 *
 * What comes first in a line decides what is said of it. The caller's buffer must
 * have room for `max` octets; what is dropped needs none.
 */
#ifndef BASE_LINE_H
#define BASE_LINE_H

#include "base/bytes.h"

enum line_status {
	LINE_MORE,	/* no whole line yet; keep *input and come again with more */
	LINE_OK,	/* *line is set, without its CRLF; it borrows from *input */
	LINE_LONG,	/* longer than the limit: dropped up to and with its end */
	LINE_BARE,	/* held a bare CR or LF: dropped up to and with its CRLF */
	LINE_NUL,	/* held a NUL: dropped likewise */
};

struct line_reader {
	size_t	max;		/* octets of a line, CRLF included */
	size_t	seen;		/* octets of *input already searched: linear time */
	unsigned char bad;	/* enum line_status of the line being dropped, or 0 */
	bool	cr;		/* dropping, and the last octet was CR */
};

void		 line_init(struct line_reader *r, size_t max);
/* Takes what it consumed off the front of *input. */
enum line_status line_next(struct line_reader *r, struct bytes *input, struct bytes *line);

#endif
