/* SPDX-License-Identifier: ISC */
/*
 * proto/smtp_reply.h - SMTP replies: written by servers, read by clients.
 * RFC 5321 section 4.2, RFC 2034 (enhanced status codes), RFC 3463.
 * Pure. What is written is always whole, legal lines, whatever the text was.
 */
#ifndef PROTO_SMTP_REPLY_H
#define PROTO_SMTP_REPLY_H

#include "base/buf.h"

#define SMTP_REPLY_LINE_MAX	512	/* octets with CRLF, section 4.5.3.1.5 */
#define SMTP_REPLY_TEXT_MAX	4096	/* octets of formatted text of one reply; the rest is cut */

/*
 * Appends a whole reply. text may begin with an enhanced status code ("5.5.2
 * command not known"), which each line then gets (RFC 2034 section 4).
 * '\n' in text makes a new line, as does a line that would be too long. Other
 * controls and what is not ASCII become '?'. A text without words is fine.
 */
void	smtp_reply_put(struct buf *out, unsigned code, struct bytes text);
void	smtp_reply_text(struct buf *out, unsigned code, const char *text);
void	smtp_reply_fmt(struct buf *out, unsigned code, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* One line of a reply that is made line by line (EHLO): "250-" or, when last, "250 ". */
void	smtp_reply_line(struct buf *out, unsigned code, bool last, struct bytes text);

/* Outside octets for use in a reply's text: printable ASCII as it is, all else '?', at most
 * max octets, then "...". Also fit for a header's comment when `comment`: no ( ) \ . */
void	smtp_safe_text(struct bytes s, size_t max, bool comment, struct buf *out);

/* ---- the client's side ---- */

enum smtp_reply_status {
	SMTP_REPLY_MORE,	/* a continuation line: give the next */
	SMTP_REPLY_DONE,
	SMTP_REPLY_BAD,		/* no reply at all, codes differ between lines, or too many lines */
};

#define SMTP_REPLY_LINES_MAX	128	/* lines of one reply; section 4.2.1 names none */
#define SMTP_REPLY_KEEP		4096	/* octets of text kept; what follows is read and dropped */

struct smtp_reply {
	unsigned	code;		/* 200 to 599 */
	unsigned	status[3];	/* enhanced code of the last line that has one; 0 0 0: none */
	unsigned	lines;
	bool		cut;		/* text was dropped */
	struct buf	text;		/* owned; the lines from behind their three digits, joined by
					 * '\n'; controls and what is not UTF-8 as '?': nothing else in
					 * it ends a line (CVE-2020-8794) */
};

void	smtp_reply_init(struct smtp_reply *r);
void	smtp_reply_fini(struct smtp_reply *r);
void	smtp_reply_reset(struct smtp_reply *r);		/* before the next reply */

/* One line, without its line end. */
enum smtp_reply_status smtp_reply_read(struct smtp_reply *r, struct bytes line);

/* "5.7.2" or "5.7.2 text" at the front of s (RFC 3463 section 2): octets taken, or 0. */
size_t	smtp_status_take(struct bytes s, unsigned status[3]);

#endif
