/* SPDX-License-Identifier: ISC */
/*
 * mail/queue_filter.h - which messages of the queue are meant. Pure.
 *
 * Texts are patterns: * stands for any octets, ? for one, all else for itself
 * without regard to ASCII case. What is asked of a recipient counts for those that are not
 * done; each condition may be met by another of them.
 */
#ifndef MAIL_QUEUE_FILTER_H
#define MAIL_QUEUE_FILTER_H

#include "mail/queue.h"

#define QUEUE_PATTERN_MAX 1024	/* octets */

struct queue_filter {			/* all of it borrowed; no octets: anything will do */
	struct bytes	sender;		/* reverse-path; "<>" is the null one */
	struct bytes	recipient;	/* address: final, or as the client gave it */
	struct bytes	domain;		/* of one of these two */
	struct bytes	nexthop;	/* where a recipient waits to go */
	struct bytes	reason;		/* why it is held, or a recipient's last reply; without * and ?: a part of it */
	uint64_t	older_s, younger_s;	/* since it came; 0: any */
	unsigned	places;		/* 1 << enum queue_place; 0: any */
};

/* In time that is bounded by the product of the lengths. */
bool	queue_pattern(struct bytes pattern, struct bytes s);
bool	queue_pattern_plain(struct bytes pattern);	/* it has no * and no ? */

/* What place and name tell. FILTER_YES rests on a hash of 32 bits where a next hop is asked for: enough to try a delivery. */
enum filter_name { FILTER_NO, FILTER_MAYBE /* the envelope tells */, FILTER_YES };
enum filter_name queue_filter_name(const struct queue_filter *f, enum queue_place place, const char *name);
/* What the envelope tells. */
bool	queue_filter_envelope(const struct queue_filter *f, const struct envelope *e, int64_t now_s);

/*
 * Names of places, with commas between: new, active, later, down, hold, corrupt, and what Postfix calls them: incoming,
 * deferred. Those are added to *places. False: there is no such place.
 */
bool	queue_filter_places(struct bytes words, unsigned *places);

#endif
