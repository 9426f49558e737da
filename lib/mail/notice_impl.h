/* SPDX-License-Identifier: ISC */
/*
 * mail/notice_impl.h - what the parts of mail/notice know of each other.
 */
#ifndef MAIL_NOTICE_IMPL_H
#define MAIL_NOTICE_IMPL_H

#include "mail/notice.h"

#define ADDRESS_MAX	1024	/* octets of an address, and of the name of a host; a frame has no longer ones */

/* ---- notice.c ---- */

static inline const struct recipient *
told_recipient(const struct notice *n, size_t i)
{
	return &n->envelope->rcpts[n->told[i].rcpt];
}

/* As the sender knows the recipient: what was given to RCPT, RFC 3464 section 2.3.2. Of one of several behind an
 * alias, the address that it stands for (RFC 3461 section 5.2.7.3); unless it is the alias that is spoken of. */
struct bytes	notice_address(const struct notice *n, size_t i);
/* The enhanced status code, of the class that the action has. */
void		notice_status(const struct notice *n, size_t i, unsigned status[3]);
int64_t		notice_until_s(const struct notice *n);

/* ---- notice_human.c ---- */

/* Can there be anything but ASCII in it? */
bool		human_has_8bit(const struct notice *n);
void		human_begin(struct notice *n);
/* The next line, or recipient. False: there is no more. */
bool		human_next(struct notice *n, struct buf *out);

/* ---- notice_status.c ---- */

void		status_message(const struct notice *n, struct buf *out);
void		status_recipient(const struct notice *n, size_t i, struct buf *out);	/* with the empty line before it */

#endif
