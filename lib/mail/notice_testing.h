/* SPDX-License-Identifier: ISC */
/*
 * mail/notice_testing.h - what tests and the fuzz target of notifications share: what bounce has
 * looked at before it writes one.
 */
#ifndef MAIL_NOTICE_TESTING_H
#define MAIL_NOTICE_TESTING_H

#include "mail/notice.h"

static inline struct bytes
header_of(struct bytes message)
{
	struct bytes rest = message;

	while (rest.n > 0 && !bytes_starts(rest, text("\r\n")))
		rest = bytes_skip(rest, bytes_find(rest, '\n') + 1);
	return bytes_head(message, message.n - rest.n);
}

static inline void
look_at(struct notice_look *l, const char *boundary, struct bytes octets)
{
	notice_look_init(l, boundary);
	notice_look(l, octets);
	notice_look_end(l);
}

#endif
