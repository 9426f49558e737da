/* SPDX-License-Identifier: ISC */
/*
 * daemon/dns.h - questions to the DNS, for a process on the event loop: it asks the suite's resolver, whose row of
 * master/services.c the asker's names. The resolver has the cache and DNSSEC (RFC 4035), and asks once what several
 * ask at once; nothing is kept here.
 *
 * There is always an answer, from the loop and never from within dns_ask: a resolver that is not there, is busy or
 * says nothing in time is DNS_FAILED. Only DNS_NO_DATA and DNS_NO_NAME mean "no"; DNS_FAILED and DNS_BOGUS are no reason
 * to refuse anything for good.
 */
#ifndef DAEMON_DNS_H
#define DAEMON_DNS_H

#include "daemon/channel.h"
#include "proto/dns_rdata.h"

struct dns;

struct dns_answer {
	enum dns_result	 result;
	bool		 secure;	/* DNSSEC says so, of every name on the way; also of "no" (RFC 4035 section 5.4) */
	uint32_t	 ttl_s;
	struct bytes	 name;		/* behind the CNAMEs, lower-case, no last dot; empty: not known */
	struct bytes	 why;		/* DNS_FAILED, DNS_BOGUS: in words, printable */
	const struct dns_record *records; /* DNS_FOUND: at least one, in no order that means anything */
	size_t		 n;
	size_t		 unfit;		/* records that were left out since they make no sense */
};

/* The answer lives until this returns. */
typedef void (*dns_done)(void *arg, const struct dns_answer *answer);

struct dns	*dns_new(struct loop *l, struct peers *resolver /* both borrowed */);
void		 dns_free(struct dns **d);		/* what is still open is not answered */

/* name: absolute, with or without the last dot, A-labels; any other text is DNS_NO_NAME. timeout_ms: longer than the
 * resolver's own dns_timeout, which is answered with better words. Returns a ticket, never 0. */
uint64_t	 dns_ask(struct dns *d, struct bytes name, enum dns_type type, unsigned timeout_ms, dns_done done, void *arg);
void		 dns_cancel(struct dns *d, uint64_t question);	/* no answer will be given; 0 is fine */

/* Pure: what a message says to a question of that type. What makes no sense is DNS_FAILED. Texts are in the arena or
 * borrowed from the message. */
#define DNS_ANSWER_ARENA (4u << 20)
void		 dns_answer_decode(const struct ipc_dns_answer *m, enum dns_type type, struct arena *a, struct dns_answer *out);

#endif
