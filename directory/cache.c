/* SPDX-License-Identifier: ISC */
/*
 * directory/cache.c - what was found, for a while: at most CACHE_ENTRIES, those go first that were found first. Neither what is
 * not sure nor a secret is ever in it. A "no" is kept for less: who is given an account shall not be refused for long.
 */
#include <sys/queue.h>

#include "base/mem.h"
#include "directory/directory.h"

#define NO_MS		10000u
#define BUCKETS		1024u

struct entry {
	TAILQ_ENTRY(entry) age;
	LIST_ENTRY(entry) link;		/* of its bucket */
	uint64_t	 until_ms;
	struct bytes	 name;		/* borrowed from `octets`, as all that is in `what` */
	struct cached	 what;
	unsigned char	 octets[];
};

struct cache {
	uint64_t	 keep_ms;
	size_t		 n;
	TAILQ_HEAD(, entry) ages;	/* the oldest first */
	LIST_HEAD(, entry) buckets[BUCKETS];
};

struct cache *
cache_new(uint64_t keep_ms)
{
	struct cache *c = mem_alloc(sizeof *c);

	c->keep_ms = keep_ms;
	TAILQ_INIT(&c->ages);
	return c;
}

static void
entry_free(struct cache *c, struct entry *e)
{
	TAILQ_REMOVE(&c->ages, e, age);
	LIST_REMOVE(e, link);
	c->n--;
	mem_free(e);
}

void
cache_free(struct cache **taken)
{
	struct cache *c = *taken;

	*taken = NULL;
	if (!c)
		return;
	while (!TAILQ_EMPTY(&c->ages))
		entry_free(c, TAILQ_FIRST(&c->ages));
	mem_free(c);
}

/* FNV-1a. Whoever makes names collide makes a search one of 4,096 comparisons. */
static size_t
bucket_of(struct bytes s)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ s.p[i]) * 16777619u;
	return (h ^ h >> 16) % BUCKETS;
}

static struct entry *
find(struct cache *c, struct bytes name)
{
	struct entry *e;

	LIST_FOREACH(e, &c->buckets[bucket_of(name)], link)
		if (bytes_eq(e->name, name))
			return e;
	return NULL;
}

bool
cache_get(struct cache *c, struct bytes name, uint64_t now_ms, struct cached *out)
{
	struct entry *e = find(c, name);

	if (e && now_ms >= e->until_ms) {
		entry_free(c, e);
		e = NULL;
	}
	if (e)
		*out = e->what;
	return e != NULL;
}

static struct bytes
place(unsigned char **at, struct bytes s)
{
	struct bytes there = bytes_of(*at, s.n);

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return there;
}

void
cache_put(struct cache *c, struct bytes name, uint64_t now_ms, const struct cached *what)
{
	struct entry *e = find(c, name);
	unsigned char *at;

	must(what->verdict != NOT_SURE);
	if (e)
		entry_free(c, e);
	if (c->keep_ms == 0)
		return;
	if (c->n == CACHE_ENTRIES)
		entry_free(c, TAILQ_FIRST(&c->ages));
	e = mem_alloc(sizeof *e + name.n + what->row.n + what->dn.n);
	at = e->octets;
	e->name = place(&at, name);
	e->what = *what;
	e->what.row = place(&at, what->row);
	e->what.dn = place(&at, what->dn);
	e->until_ms = now_ms + (what->verdict == NO && c->keep_ms > NO_MS ? NO_MS : c->keep_ms);
	TAILQ_INSERT_TAIL(&c->ages, e, age);
	LIST_INSERT_HEAD(&c->buckets[bucket_of(name)], e, link);
	c->n++;
}

size_t
cache_count(const struct cache *c)
{
	return c->n;
}
