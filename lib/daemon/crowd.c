/* SPDX-License-Identifier: ISC */
/*
 * daemon/crowd.c - who is served, in the order of who makes progress.
 */
#include "daemon/crowd.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"

#define SWEEP_MS	1000
#define DRAIN_IDLE_MS	60000

static bool
stressed(const struct crowd *c)
{
	return c->count >= c->limits->sessions / 4 * 3;
}

/* Once a second, only while there is a reason. */
static void
sweep_on(struct crowd *c)
{
	if (!c->sweep.set && (c->draining || stressed(c)))
		timer_set(&c->sweep, SWEEP_MS);
}

static void
on_sweep(void *arg)
{
	struct crowd *c = arg;
	uint64_t now = clock_mono_ms();
	uint64_t limit = c->draining ? DRAIN_IDLE_MS : c->limits->stress_timeout_ms;
	struct guest *g, *next;

	if (!c->draining && !stressed(c))
		return;
	for (g = TAILQ_FIRST(&c->guests); g != NULL; g = next) {
		next = TAILQ_NEXT(g, link);
		if (now - g->progress_ms < limit)
			break;
		if (!g->waiting && !g->ending)
			c->end(g->session, c->draining);
	}
	sweep_on(c);
}

/* The one with the least progress goes. */
static void
make_room(struct crowd *c)
{
	struct guest *g;

	TAILQ_FOREACH(g, &c->guests, link)
		if (!g->waiting)
			break;
	if (g == NULL)
		return;
	if (!g->ending)
		log_info("%s: client=%s session ended: room is short", g->id, g->client);
	c->drop(g->session);
}

/* Unique over workers and restarts; sorts by time. */
static void
make_id(struct crowd *c, char id[CROWD_ID_MAX])
{
	struct buf b;

	buf_init(&b, 32);
	base32_u64((uint64_t)clock_wall_us() * 64 + c->daemon->slot % 64, 12, &b);
	base32_u64(c->serial++ % 32, 1, &b);
	snprintf(id, CROWD_ID_MAX, "%.*s", (int)b.n, (char *)b.p);
	buf_fini(&b);
}

/* g has its address. */
static enum crowd_verdict
enter(struct crowd *c, struct guest *g, void *session)
{
	switch (clients_enter(c->clients, g->key, clock_mono_ms())) {
	case CLIENT_TOO_MANY:
		log_info("client=%s refused: too many connections at once", g->client);
		return CROWD_TOO_MANY;
	case CLIENT_TOO_FAST:
		log_info("client=%s refused: too many connections a minute", g->client);
		return CROWD_TOO_FAST;
	case CLIENT_WELCOME:
		break;
	}
	if (c->count >= c->limits->sessions)
		make_room(c);
	g->crowd = c;
	g->session = session;
	g->progress_ms = clock_mono_ms();
	make_id(c, g->id);
	TAILQ_INSERT_TAIL(&c->guests, g, link);
	c->count++;
	sweep_on(c);
	return CROWD_WELCOME;
}

enum crowd_verdict
crowd_enter(struct crowd *c, struct guest *g, int fd, void *session)
{
	const int one = 1;

	if (c->draining || !client_of(fd, g->client, g->key))
		return CROWD_CLOSED;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1)
		log_debug("TCP_NODELAY refused");
	return enter(c, g, session);
}

enum crowd_verdict
crowd_enter_named(struct crowd *c, struct guest *g, struct bytes client, void *session)
{
	return c->draining || !client_named(client, g->client, g->key) ? CROWD_CLOSED : enter(c, g, session);
}

void
crowd_refuse(int fd, const char *line)
{
	if (send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		log_debug("a refusal could not be sent");
	close(fd);
}

void
crowd_leave(struct guest *g)
{
	struct crowd *c = g->crowd;

	clients_leave(c->clients, g->key);
	TAILQ_REMOVE(&c->guests, g, link);
	c->count--;
	c->daemon->served++;
	if (c->draining)
		daemon_settled(c->daemon);
}

void
crowd_progress(struct guest *g)
{
	struct crowd *c = g->crowd;

	g->progress_ms = clock_mono_ms();
	TAILQ_REMOVE(&c->guests, g, link);
	TAILQ_INSERT_TAIL(&c->guests, g, link);
}

void
crowd_drain(struct crowd *c)
{
	c->draining = true;
	sweep_on(c);
}

void
crowd_stop(struct crowd *c)
{
	struct guest *g, *next;

	c->stopping = true;
	for (g = TAILQ_FIRST(&c->guests); g != NULL; g = next) {
		next = TAILQ_NEXT(g, link);
		if (!g->waiting && !g->ending)
			c->end(g->session, true);
	}
}

bool
crowd_is_loopback(const struct guest *g)
{
	/* An IPv6 key is a /64 only, but ::/64 holds no other host's address. */
	return (g->key[10] == 0xff && g->key[11] == 0xff && g->key[12] == 127)
	    || strcmp(g->client, "::1") == 0;
}

void
crowd_init(struct crowd *c, struct daemon *d, const struct crowd_limits *limits,
    void (*end)(void *, bool), void (*drop)(void *))
{
	memset(c, 0, sizeof *c);
	c->daemon = d;
	c->limits = limits;
	c->end = end;
	c->drop = drop;
	c->clients = clients_new(limits->client_sessions, limits->client_rate, daemon_file(d, "clients"), d->slot);
	TAILQ_INIT(&c->guests);
	timer_init(&c->sweep, &d->loop, on_sweep, c);
}

void
crowd_fini(struct crowd *c)
{
	while (!TAILQ_EMPTY(&c->guests))
		c->drop(TAILQ_FIRST(&c->guests)->session);
	timer_clear(&c->sweep);
	clients_free(&c->clients);
}
