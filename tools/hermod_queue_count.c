/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_queue_count.c - how many messages wait, by what they have in common.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/mem.h"
#include "tools/hermod.h"
#include "tools/hermod_queue.h"

#define BUCKETS 4096

const char *const queue_count_word[COUNT_BYS + 1] = {
	[COUNT_DESTINATION] = "destination", [COUNT_REASON] = "reason", [COUNT_SENDER] = "sender", [COUNT_AGE] = "age",
};

struct entry {
	struct entry	*next;		/* of its bucket */
	struct bytes	 key;		/* in the arena */
	uint64_t	 messages, recipients, octets;
	uint64_t	 last;		/* the last message that was counted */
	int64_t		 oldest_s;
};

struct queue_counts {
	enum queue_count_by by;
	int64_t		 now_s;
	uint64_t	 message;	/* a number for the one that is being counted */
	struct arena	*arena;		/* owned */
	struct entry	*bucket[BUCKETS];
	size_t		 n;
};

struct queue_counts *
queue_counts_new(enum queue_count_by by, int64_t now_s)
{
	struct queue_counts *c = mem_alloc(sizeof *c);

	c->by = by;
	c->now_s = now_s;
	c->arena = arena_new((size_t)4 << 30);
	return c;
}

static struct entry *
entry_of(struct queue_counts *c, struct bytes key)
{
	struct entry **at = &c->bucket[hash_bytes(key) % BUCKETS], *e;

	for (e = *at; e; e = e->next)
		if (bytes_eq(e->key, key))
			return e;
	e = arena_alloc(c->arena, sizeof *e);
	*e = (struct entry){ .next = *at, .key = arena_copy(c->arena, key), .oldest_s = INT64_MAX };
	*at = e;
	c->n++;
	return e;
}

static void
count(struct queue_counts *c, struct bytes key, const struct envelope *m, uint64_t recipients)
{
	struct entry *e = entry_of(c, key);

	e->recipients += recipients;
	if (e->last == c->message)
		return;
	e->last = c->message;
	e->messages++;
	e->octets += queue_octets(m);
	if (m->arrival_s < e->oldest_s)
		e->oldest_s = m->arrival_s;
}

/* Where it goes next; where that is not known yet, its domain. */
static struct bytes
destination(const struct recipient *r)
{
	return r->nexthop.n > 0 ? r->nexthop : bytes_skip(r->final, bytes_rfind(r->final, '@') + 1);
}

static const char *
age(int64_t s)
{
	static const struct { int64_t under_s; const char *word; } ages[] = {
		{ 300, "under 5m" }, { 3600, "5m to 1h" }, { 21600, "1h to 6h" }, { 86400, "6h to 1d" },
		{ 259200, "1d to 3d" }, { 604800, "3d to 7d" },
	};

	for (size_t i = 0; i < LEN(ages); i++)
		if (s < ages[i].under_s)
			return ages[i].word;
	return "over 7d";
}

static uint64_t
count_open(const struct envelope *e)
{
	uint64_t n = 0;

	for (size_t i = 0; i < e->nrcpts; i++)
		n += queue_rcpt_open(&e->rcpts[i]);
	return n;
}

void
queue_counts_add(struct queue_counts *c, const struct envelope *e)
{
	c->message++;
	switch (c->by) {
	case COUNT_SENDER:
		count(c, e->sender.n > 0 ? e->sender : text("<>"), e, count_open(e));
		break;
	case COUNT_AGE:
		count(c, text(age(c->now_s - e->arrival_s)), e, count_open(e));
		break;
	case COUNT_REASON:
		if (e->hold_reason.n > 0) {
			count(c, e->hold_reason, e, count_open(e));
			break;
		}
		for (size_t i = 0; i < e->nrcpts; i++)
			if (queue_rcpt_open(&e->rcpts[i]))
				count(c, e->rcpts[i].last_reply, e, 1);
		break;
	default:
		for (size_t i = 0; i < e->nrcpts; i++)
			if (queue_rcpt_open(&e->rcpts[i]))
				count(c, destination(&e->rcpts[i]), e, 1);
	}
}

static int
by_number(const void *x, const void *y)
{
	const struct entry *a = *(const struct entry *const *)x, *b = *(const struct entry *const *)y;

	if (a->messages != b->messages)
		return a->messages < b->messages ? 1 : -1;
	return bytes_cmp(a->key, b->key);
}

static void
print_json(const struct queue_counts *c, const struct entry *e)
{
	struct buf o;

	buf_init(&o, 1 << 20);
	buf_char(&o, '{');
	json_text(&o, queue_count_word[c->by], e->key);
	json_number(&o, "messages", e->messages);
	json_number(&o, "recipients", e->recipients);
	json_number(&o, "size", e->octets);
	json_number(&o, "oldest", (uint64_t)e->oldest_s);
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

static void
add_row(struct rows *r, const struct queue_counts *c, const struct entry *e)
{
	rows_number(r, e->messages);
	rows_number(r, e->recipients);
	rows_size(r, e->octets);
	rows_time(r, c->now_s > e->oldest_s ? (uint64_t)(c->now_s - e->oldest_s) * 1000 : 0);
	rows_add(r, e->key.n > 0 ? e->key : text("(not tried yet)"));
}

static struct entry **
sorted(const struct queue_counts *c)
{
	struct entry **all = mem_array(c->n + 1, sizeof *all);
	size_t n = 0;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct entry *e = c->bucket[i]; e; e = e->next)
			all[n++] = e;
	qsort(all, n, sizeof *all, by_number);
	return all;
}

void
queue_counts_print(struct queue_counts **taken)
{
	static const char *const title[COUNT_BYS] = { "DESTINATION", "REASON", "SENDER", "AGE" };
	struct queue_counts *c = *taken;
	const char *const titles[] = { "<MESSAGES", "<RECIPIENTS", "<SIZE", "<OLDEST", title[c->by], NULL };
	struct entry **all = sorted(c);
	struct rows rows;

	rows_init(&rows, titles);
	for (size_t i = 0; i < c->n; i++) {
		if (hermod_options.json)
			print_json(c, all[i]);
		else
			add_row(&rows, c, all[i]);
	}
	if (!hermod_options.json)
		rows_print(&rows);
	mem_free(all);
	arena_free(&c->arena);
	mem_free(c);
	*taken = NULL;
}
