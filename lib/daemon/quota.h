/* SPDX-License-Identifier: ISC */
/*
 * daemon/quota.h - how much mail an account may send in an hour, which begins with its first: over all workers, and
 * over reloads (daemon/tally.h), so that who has got hold of a password cannot send without end.
 *
 * A message counts when the first of its recipients is taken, each recipient when it is.
 */
#ifndef DAEMON_QUOTA_H
#define DAEMON_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define QUOTA_HOUR_S	3600
#define QUOTA_TALLIES	2		/* in master's memory: row `submission` of services.c */

struct quota_limits { uint64_t messages, recipients; };	/* 0: no limit */

enum quota_verdict { QUOTA_FINE, QUOTA_MESSAGES, QUOTA_RECIPIENTS };

struct quota_answer {
	enum quota_verdict verdict;	/* what there are too many of */
	uint32_t	 left_s;	/* not QUOTA_FINE: until the account's hour is over */
	bool		 first;		/* likewise: nobody has said so in this hour */
};

struct quota;

struct quota	*quota_new(const struct quota_limits *limits, int shared);	/* borrowed; shared as tallies_new has it */
void		 quota_free(struct quota **q);
/* One recipient more, which is the first of its message or not. Counted when it is fine. */
struct quota_answer quota_take(struct quota *q, struct bytes account, bool first_of_message, uint64_t now_ms);
/* The same, and nothing is counted. */
struct quota_answer quota_look(struct quota *q, struct bytes account, bool first_of_message, uint64_t now_ms);
/* What is counted in the account's hour, and until when that lasts; 0: it has not begun. */
struct quota_count { uint64_t n, limit; uint32_t left_s; };
void		 quota_counts(struct quota *q, struct bytes account, uint64_t now_ms, struct quota_count *messages,
		    struct quota_count *recipients);
/* An answer that is not QUOTA_FINE, as the client is told it, behind the code QUOTA_CODE. */
#define QUOTA_CODE	450
#define QUOTA_WORDS	200
void		 quota_words(const struct quota *q, const struct quota_answer *a, char words[QUOTA_WORDS]);
/* It was counted, and is not taken after all. */
void		 quota_give_back(struct quota *q, struct bytes account, bool first_of_message);

#endif
