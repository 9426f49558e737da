/* SPDX-License-Identifier: ISC */
/*
 * proto/smtp_data.h - what comes after DATA, decoded as it comes.
 * RFC 5321 sections 4.1.1.4 (end of data), 4.5.2 (dot-unstuffing), 2.3.8 (CR
 * and LF only together). Only CRLF.CRLF ends it. A bare CR or LF is flagged; it
 * never ends a message, whatever the mode (SMTP smuggling).
 * Pure: input in any pieces; content is handed on as runs of the caller's own
 * octets, nothing is copied.
 */
#ifndef PROTO_SMTP_DATA_H
#define PROTO_SMTP_DATA_H

#include "base/buf.h"

enum smtp_data_mode {
	SMTP_DATA_REJECT,	/* after a bare CR or LF no content is handed on any more; the end is
				 * still looked for. The session refuses the message, then or at once */
	SMTP_DATA_NORMALIZE,	/* bare LF and bare CR become CRLF in the content */
};

enum smtp_data_status {
	SMTP_DATA_MORE,		/* all input was taken, the end is not yet there */
	SMTP_DATA_END,		/* taken through CRLF.CRLF; what is left in *in is the next command */
};

struct smtp_data {
	enum smtp_data_mode mode;
	unsigned char	state;
	bool		bare_cr, bare_lf;	/* seen; look after each feed */
	bool		nul;			/* seen; content has it as it came */
	uint64_t	octets;			/* of content handed on so far */
};

void	smtp_data_init(struct smtp_data *d, enum smtp_data_mode mode);

/*
 * Takes what it understood off the front of *in (all of it unless the end came)
 * and calls run for each piece of content, in order; pieces are never empty and
 * are valid during the call only. The content ends with CRLF unless it is empty.
 * After SMTP_DATA_END a feed takes nothing and says SMTP_DATA_END again.
 */
enum smtp_data_status smtp_data_feed(struct smtp_data *d, struct bytes *in,
    void (*run)(void *arg, struct bytes content), void *arg);
/* The same, appending to out (test out->full). */
enum smtp_data_status smtp_data_feed_buf(struct smtp_data *d, struct bytes *in, struct buf *out);

/*
 * The other direction: dot-stuffed text with its end of data, RFC 5321 section
 * 4.5.2, for POP3's multi-line responses too (RFC 1939 section 3). Any pieces of
 * content, then the end. LF alone (files of this host) and CR alone become CRLF:
 * a bare one is never sent, whatever was stored.
 */
struct smtp_stuff { bool at_line_start, cr; };
void	smtp_stuff_init(struct smtp_stuff *s);
void	smtp_stuff_feed(struct smtp_stuff *s, struct bytes content, struct buf *out);
void	smtp_stuff_end(struct smtp_stuff *s, struct buf *out);	/* adds CRLF if it lacks, then ".CRLF" */

#endif
