/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/pool.c - connections that are kept open for a moment after a message: the next one for the same next hop
 * needs no address, no handshake and no greeting then. A server never sees one idle for longer than
 * smtp_connection_cache_time, nor used more often, or longer, than the settings say.
 */
#include <sys/queue.h>

#include "base/clock.h"
#include "base/mem.h"
#include "smtp-client/client.h"

struct kept {
	TAILQ_ENTRY(kept) link;
	struct pool	*pool;
	struct session	*session;	/* owned */
	struct bytes	 key;		/* owned */
	struct timer	 until;
};

struct pool {
	struct client	*client;	/* borrowed */
	TAILQ_HEAD(kept_list, kept) all;		/* who has waited longest first */
	size_t		 n;
	bool		 closed;
};

/* The session is the caller's then. */
static struct session *
release(struct kept *k)
{
	struct session *s = k->session;

	TAILQ_REMOVE(&k->pool->all, k, link);
	k->pool->n--;
	timer_clear(&k->until);
	mem_free((void *)(uintptr_t)k->key.p);
	mem_free(k);
	return s;
}

static void
drop(struct kept *k)
{
	struct session *s = release(k);

	session_quit(&s);
}

static void
on_until(void *arg)
{
	drop(arg);
}

/* The server has closed it, or has said what nobody asked. */
static void
on_failed(void *arg, const struct session_fault *f)
{
	(void)f;
	drop(arg);
}

struct session *
pool_take(struct pool *p, struct bytes key)
{
	struct kept *k;

	TAILQ_FOREACH_REVERSE(k, &p->all, kept_list, link)	/* the freshest: it is the least likely to be gone */
		if (bytes_eq(k->key, key))
			return release(k);
	return NULL;
}

static bool
worth_keeping(const struct pool *p, const struct session *s)
{
	const struct smtp_client_settings *c = p->client->settings;

	return !p->closed && c->cache_ms > 0 && c->cache_limit > 0 && session_alive(s)
	    && session_mails(s) < c->reuse_limit && session_age_ms(s) < c->reuse_ms
	    && smtp_client_mails_left(session_client(s)) > 0;
}

void
pool_put(struct pool *p, struct bytes key, struct session **taken)
{
	struct session *s = *taken;
	struct session_owner owner = { .failed = on_failed };
	struct kept *k;

	*taken = NULL;
	if (!worth_keeping(p, s)) {
		session_quit(&s);
		return;
	}
	if (p->n >= p->client->settings->cache_limit)
		drop(TAILQ_FIRST(&p->all));
	k = mem_alloc(sizeof *k);
	k->pool = p;
	k->session = s;
	k->key = bytes_of(memcpy(mem_alloc(key.n + 1), key.p, key.n), key.n);
	TAILQ_INSERT_TAIL(&p->all, k, link);
	p->n++;
	owner.arg = k;
	session_own(s, &owner);
	timer_init(&k->until, &p->client->daemon->loop, on_until, k);
	timer_set(&k->until, p->client->settings->cache_ms);
}

void
pool_close(struct pool *p)
{
	p->closed = true;
	while (!TAILQ_EMPTY(&p->all))
		drop(TAILQ_FIRST(&p->all));
}

struct pool *
pool_new(struct client *c)
{
	struct pool *p = mem_alloc(sizeof *p);

	p->client = c;
	TAILQ_INIT(&p->all);
	return p;
}

void
pool_free(struct pool **taken)
{
	struct pool *p = *taken;

	*taken = NULL;
	if (!p)
		return;
	while (!TAILQ_EMPTY(&p->all)) {
		struct session *s = release(TAILQ_FIRST(&p->all));

		session_free(&s);
	}
	mem_free(p);
}
