/* SPDX-License-Identifier: ISC */
/*
 * daemon/sts.h - a domain's MTA-STS policy (RFC 8461), for a process on the event loop: it asks the suite's fetch, whose
 * row of master/services.c the asker's names. fetch has the cache; nothing is kept here.
 *
 * There is always an answer, from the loop and never from within sts_ask. Where nothing is known, no policy is what a
 * sender goes on with (section 3.3): a fetch that is not there holds up no mail.
 */
#ifndef DAEMON_STS_H
#define DAEMON_STS_H

#include "daemon/channel.h"
#include "mail/tls_policy.h"

enum sts_result {
	STS_UNKNOWN,		/* nobody answered, or the policy that the domain announces cannot be had */
	STS_NO_POLICY,		/* the domain announces none */
	STS_POLICY,
};

struct sts;

struct sts_answer {
	enum sts_result	 result;
	struct tls_sts	 sts;		/* STS_POLICY; else zero */
	struct bytes	 why;		/* why there is none, or no newer one: in words, printable; may be empty */
};

/* The answer lives until this returns. */
typedef void (*sts_done)(void *arg, const struct sts_answer *answer);

struct sts	*sts_new(struct peers *fetch /* borrowed */);
void		 sts_free(struct sts **s);		/* what is still open is not answered */
/* timeout_ms: longer than mta_sts_timeout, which is answered with better words. Returns a ticket, never 0. */
uint64_t	 sts_ask(struct sts *s, struct bytes domain, unsigned timeout_ms, sts_done done, void *arg);
void		 sts_cancel(struct sts *s, uint64_t question);	/* no answer will be given; 0 is fine */

/* Pure: what a message says. What makes no sense is STS_UNKNOWN. Borrows from the message, and the arena. */
void		 sts_answer_decode(const struct ipc_sts_answer *m, struct arena *a, struct sts_answer *out);

#endif
