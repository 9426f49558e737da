/* SPDX-License-Identifier: ISC */
/*
 * mail/notice.h - the octets of a delivery status notification. RFC 3461 section 6, RFC 3464, RFC 6522
 * (multipart/report), RFC 6533 (UTF-8), RFC 3834 section 3.1 (header of an automatic response).
 *
 *	multipart/report
 *		text/plain				words for people: notice_human.c, and a template
 *		message/delivery-status			the same for programs: notice_status.c
 *		message/rfc822 or text/rfc822-headers	the message, or its header
 *
 * Pure: no I/O, no clock. What is written is legal whatever remote hosts, clients and content were: no line is
 * longer than 998 octets, nothing is 8-bit that is not labelled so, and no part can end another.
 */
#ifndef MAIL_NOTICE_H
#define MAIL_NOTICE_H

#include "mail/envelope.h"
#include "mail/notice_policy.h"
#include "mail/notice_template.h"
#include "proto/mime_encode.h"

#define NOTICE_BOUNDARY_MAX	48	/* octets with the NUL */
#define NOTICE_PIECE_MAX	(256u << 10)	/* octets that one call of notice_next adds, at most */
#define NOTICE_CHUNK		16384u	/* octets of content that notice_content takes at once, at most */

/* ---- a look at what is returned ---- */

struct notice_look {
	bool		eight_bit;	/* RFC 2045 section 2.8 */
	bool		odd;		/* NUL, a CR or LF that is no line end, a line of more than 998 octets: section 2.9 */
	bool		has_boundary;
	/* Its own. */
	const char	*boundary;	/* borrowed */
	size_t		matched, column;
	bool		cr;
};

/* "=_..." of 16 random octets: no quoted-printable or base64 has it (RFC 2045 section 6.7). */
void	notice_boundary(const unsigned char chance[16], char out[NOTICE_BOUNDARY_MAX]);
void	notice_look_init(struct notice_look *l, const char *boundary);
void	notice_look(struct notice_look *l, struct bytes octets);
void	notice_look_end(struct notice_look *l);

/* ---- the notification ---- */

struct notice_rules {			/* of the configuration; all borrowed */
	const char	*hostname;
	bool		 full;		/* where RET says nothing: the whole message */
	uint64_t	 full_octets;	/* the most that is returned whole */
	uint64_t	 lifetime_s;	/* of a message whose envelope says no other expiry */
	const struct notice_templates *templates;
};

enum notice_return { RETURN_NOTHING, RETURN_HEADER, RETURN_MESSAGE };

struct notice {
	/* Given; all borrowed while it is used. */
	const struct notice_rules *rules;
	const struct envelope *envelope;	/* of the message that it is about */
	const struct notice_told *told;		/* at least one */
	size_t		ntold, failed;
	const char	*about, *id;		/* queue ids: the message's, its own */
	struct bytes	to;			/* where it goes, without <> */
	bool		to_postmaster;		/* not to the sender */
	bool		takes_8bit;		/* as far as is known; it is to stay on this host */
	int64_t		now_s;
	const char	*boundary;
	struct bytes	header;			/* of the message as it goes out: whole lines, without the empty one */
	uint64_t	octets;			/* of all of it */
	const struct notice_look *header_look;	/* of those lines */
	const struct notice_look *look;		/* of all; only where notice_wants_message said so */

	/* Found by notice_begin. */
	enum body_type	body;			/* of the notification */
	bool		smtputf8;		/* it needs that */
	enum notice_return returned;
	bool		global;			/* RFC 6533: what is returned is of UTF-8 */
	bool		status_utf8;		/* and so are the fields for programs */
	bool		human_8bit;
	const struct notice_template *text;

	/* Its own. */
	struct arena	*arena;			/* borrowed */
	unsigned	stage;
	size_t		at;			/* told, or octets of the header */
	struct bytes	body_left;		/* of the template */
	bool		in_recipients;
	struct mime_encoder encoder;
};

/* Is the content to be looked at? Else the header is all that is returned. failed: as of notice_recipients. */
bool	notice_wants_message(const struct notice_rules *rules, const struct envelope *e, size_t failed, uint64_t octets);

void	notice_begin(struct notice *n, struct arena *a);

enum notice_next { NOTICE_MORE /* something was added; again */, NOTICE_CONTENT /* here goes the message */, NOTICE_DONE };
/* Adds the next piece to out, which has room for NOTICE_PIECE_MAX more. After CONTENT: notice_content until all of it is
 * written, then again. */
enum notice_next notice_next(struct notice *n, struct buf *out);
void	notice_content(struct notice *n, struct bytes octets, struct buf *out);

#endif
