/* SPDX-License-Identifier: ISC */
#include "daemon/quota.h"

#include <stdio.h>

#include "base/mem.h"
#include "daemon/tally.h"

enum { MESSAGES, RECIPIENTS };

struct quota {
	const struct quota_limits *limits;	/* borrowed */
	struct tallies	*tallies;		/* owned; a count's time is when its hour began */
};

struct one { uint32_t now_s; uint64_t limit; };

_Static_assert(QUOTA_TALLIES == RECIPIENTS + 1, "as master makes them");

struct quota *
quota_new(const struct quota_limits *limits, int shared)
{
	struct quota *q = mem_alloc(sizeof *q);

	q->limits = limits;
	q->tallies = tallies_new(shared, QUOTA_TALLIES);
	return q;
}

void
quota_free(struct quota **q)
{
	if (*q == NULL)
		return;
	tallies_free(&(*q)->tallies);
	mem_free(*q);
	*q = NULL;
}

static bool
is_over(struct tally_count c, uint32_t now_s)
{
	return c.n == 0 || now_s - c.time_s >= QUOTA_HOUR_S;
}

/* One past the limit is where a refusal has been said. */
static struct tally_count
one_more(struct tally_count was, const void *arg)
{
	const struct one *o = arg;

	if (is_over(was, o->now_s))
		return (struct tally_count){ .time_s = o->now_s, .n = 1 };
	if (was.n <= o->limit)
		was.n++;
	return was;
}

static struct tally_count
one_less(struct tally_count was, const void *arg)
{
	(void)arg;
	if (was.n > 0)
		was.n--;
	return was.n > 0 ? was : (struct tally_count){ 0 };
}

/* A count's time is never 0. */
static uint32_t
seconds(uint64_t now_ms)
{
	return (uint32_t)(now_ms / 1000) + 1;
}

static struct quota_answer
judge(unsigned which, struct tally_count was, uint64_t limit, uint32_t now_s)
{
	if (limit == 0 || is_over(was, now_s) || was.n < limit)
		return (struct quota_answer){ .verdict = QUOTA_FINE };
	return (struct quota_answer){ .verdict = which == MESSAGES ? QUOTA_MESSAGES : QUOTA_RECIPIENTS,
	    .left_s = QUOTA_HOUR_S - (now_s - was.time_s), .first = was.n == limit };
}

static struct quota_answer
take(struct quota *q, unsigned which, struct bytes account, uint64_t limit, uint64_t now_ms)
{
	struct one o = { .now_s = seconds(now_ms), .limit = limit };

	if (limit == 0)
		return (struct quota_answer){ .verdict = QUOTA_FINE };
	return judge(which, tally_change(q->tallies, which, account, one_more, &o), limit, o.now_s);
}

struct quota_answer
quota_take(struct quota *q, struct bytes account, bool first_of_message, uint64_t now_ms)
{
	struct quota_answer a = take(q, RECIPIENTS, account, q->limits->recipients, now_ms);

	if (a.verdict == QUOTA_FINE && first_of_message) {
		a = take(q, MESSAGES, account, q->limits->messages, now_ms);
		if (a.verdict != QUOTA_FINE && q->limits->recipients != 0)
			tally_change(q->tallies, RECIPIENTS, account, one_less, NULL);
	}
	return a;
}

struct quota_answer
quota_look(struct quota *q, struct bytes account, bool first_of_message, uint64_t now_ms)
{
	uint32_t now_s = seconds(now_ms);
	struct quota_answer a = judge(RECIPIENTS, tally_get(q->tallies, RECIPIENTS, account), q->limits->recipients, now_s);

	if (a.verdict == QUOTA_FINE && first_of_message)
		a = judge(MESSAGES, tally_get(q->tallies, MESSAGES, account), q->limits->messages, now_s);
	return a;
}

static void
count(struct quota *q, unsigned which, struct bytes account, uint64_t limit, uint32_t now_s, struct quota_count *out)
{
	struct tally_count c = tally_get(q->tallies, which, account);

	*out = (struct quota_count){ .limit = limit };
	if (limit == 0 || is_over(c, now_s))
		return;
	out->n = c.n < limit ? c.n : limit;
	out->left_s = QUOTA_HOUR_S - (now_s - c.time_s);
}

void
quota_counts(struct quota *q, struct bytes account, uint64_t now_ms, struct quota_count *messages, struct quota_count *recipients)
{
	count(q, MESSAGES, account, q->limits->messages, seconds(now_ms), messages);
	count(q, RECIPIENTS, account, q->limits->recipients, seconds(now_ms), recipients);
}

void
quota_words(const struct quota *q, const struct quota_answer *a, char words[QUOTA_WORDS])
{
	bool messages = a->verdict == QUOTA_MESSAGES;

	snprintf(words, QUOTA_WORDS, "4.7.1 you have sent %s%llu %s within an hour, and no account may send more; try again in %u min",
	    messages ? "" : "to ", (unsigned long long)(messages ? q->limits->messages : q->limits->recipients),
	    messages ? "messages" : "recipients", (unsigned)(a->left_s + 59) / 60);
}

void
quota_give_back(struct quota *q, struct bytes account, bool first_of_message)
{
	if (q->limits->recipients != 0)
		tally_change(q->tallies, RECIPIENTS, account, one_less, NULL);
	if (first_of_message && q->limits->messages != 0)
		tally_change(q->tallies, MESSAGES, account, one_less, NULL);
}
