/* SPDX-License-Identifier: ISC */
/*
 * daemon/clients.c - counters for client addresses in a table of fixed size.
 */
#include "daemon/clients.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/shared_memory.h"

#define WINDOW_MS	60000
#define PROBES		16
#define SLOTS		4096		/* addresses of one worker; a power of two */

struct client {
	unsigned char	key[16];
	uint64_t	window_ms;	/* when the present minute began */
	uint32_t	sessions, begun;
	uint32_t	life;		/* of the table when it was written; another: free */
};

struct table {				/* one worker's */
	uint32_t	life;		/* from 1; one more for each process in this place */
	uint32_t	unused[15];
	struct client	slot[SLOTS];
};

struct shared {				/* all that is in the shared memory */
	unsigned char	hash_key[16];
	uint32_t	workers;
	uint32_t	unused[11];
	struct table	table[];
};

struct clients {
	uint64_t	sessions, per_minute;	/* limits */
	struct shared_memory memory;	/* owned */
	struct shared	*shared;	/* in it */
	struct table	*own;		/* in it */
	unsigned char	hash_key[16];	/* as it was at the start: another worker could change it there */
};

static size_t
octets_for(unsigned workers)
{
	return sizeof(struct shared) + workers * sizeof(struct table);
}

int
clients_share(unsigned workers)
{
	struct shared head = { .workers = workers };

	random_fill(head.hash_key, sizeof head.hash_key);
	return shared_memory_make("clients", octets_for(workers), bytes_of(&head, sizeof head));
}

struct clients *
clients_new(uint64_t sessions, uint64_t per_minute, int shared, unsigned slot)
{
	struct clients *c = mem_alloc(sizeof *c);

	c->sessions = sessions;
	c->per_minute = per_minute;
	if (shared == -1 || !shared_memory_map(&c->memory, shared, octets_for(slot + 1), SIZE_MAX)) {
		if (shared != -1)
			log_errno("clients are counted for this process alone");
		slot = 0;
		shared_memory_alone(&c->memory, octets_for(1));
		random_fill(c->memory.p, sizeof c->hash_key);
	}
	c->shared = c->memory.p;
	c->own = &c->shared->table[slot];
	memcpy(c->hash_key, c->shared->hash_key, sizeof c->hash_key);
	if (++c->own->life == 0)
		c->own->life = 1;
	return c;
}

void
clients_free(struct clients **c)
{
	if (*c == NULL)
		return;
	shared_memory_free(&(*c)->memory);
	mem_free(*c);
	*c = NULL;
}

static struct client *
nth(struct clients *c, struct table *t, const unsigned char key[16], size_t i)
{
	return &t->slot[((size_t)hash_keyed(c->hash_key, bytes_of(key, 16)) + i) & (SLOTS - 1)];
}

static struct client *
find(struct clients *c, struct table *t, const unsigned char key[16])
{
	for (size_t i = 0; i < PROBES; i++) {
		struct client *e = nth(c, t, key, i);

		if (e->life == t->life && memcmp(e->key, key, 16) == 0)
			return e;
	}
	return NULL;
}

/* An entry of our own table for one that has none; NULL: no room. */
static struct client *
make(struct clients *c, const unsigned char key[16], uint64_t now_ms)
{
	for (size_t i = 0; i < PROBES; i++) {
		struct client *e = nth(c, c->own, key, i);

		if (e->life == c->own->life && (e->sessions > 0 || now_ms - e->window_ms < WINDOW_MS))
			continue;
		*e = (struct client){ .window_ms = now_ms, .life = c->own->life };
		memcpy(e->key, key, 16);
		return e;
	}
	return NULL;
}

/* What the other workers have of it. They may be writing: a number may be of just now, or just before. */
static void
add_others(struct clients *c, const unsigned char key[16], uint64_t now_ms, uint64_t *sessions, uint64_t *begun)
{
	size_t tables = (c->memory.octets - sizeof *c->shared) / sizeof(struct table);	/* alone: our own, which is passed over */

	for (size_t i = 0; i < tables; i++) {
		struct table *t = &c->shared->table[i];
		const struct client *e = t == c->own || t->life == 0 ? NULL : find(c, t, key);

		if (!e)
			continue;
		*sessions += e->sessions;
		*begun += now_ms - e->window_ms < WINDOW_MS ? e->begun : 0;
	}
}

enum clients_verdict
clients_enter(struct clients *c, const unsigned char key[16], uint64_t now_ms)
{
	struct client *e = find(c, c->own, key);
	uint64_t sessions, begun;

	if (e == NULL)
		e = make(c, key, now_ms);
	if (e == NULL)
		return CLIENT_WELCOME;
	if (now_ms - e->window_ms >= WINDOW_MS) {
		e->window_ms = now_ms;
		e->begun = 0;
	}
	sessions = e->sessions;
	begun = e->begun;
	add_others(c, key, now_ms, &sessions, &begun);
	if (c->per_minute != 0 && begun >= c->per_minute)
		return CLIENT_TOO_FAST;
	if (c->sessions != 0 && sessions >= c->sessions)
		return CLIENT_TOO_MANY;
	e->begun++;
	e->sessions++;
	return CLIENT_WELCOME;
}

void
clients_leave(struct clients *c, const unsigned char key[16])
{
	struct client *e = find(c, c->own, key);

	if (e != NULL && e->sessions > 0)
		e->sessions--;
}

static bool
take_four(const struct in_addr *four, char words[CLIENT_TEXT_MAX], unsigned char key[16])
{
	key[10] = key[11] = 0xff;
	memcpy(key + 12, four, 4);
	return inet_ntop(AF_INET, four, words, CLIENT_TEXT_MAX) != NULL;
}

static bool
take_six(const struct in6_addr *six, char words[CLIENT_TEXT_MAX], unsigned char key[16])
{
	if (IN6_IS_ADDR_V4MAPPED(six)) {
		struct in_addr four;

		memcpy(&four, &six->s6_addr[12], sizeof four);
		return take_four(&four, words, key);
	}
	memcpy(key, six, 8);
	return inet_ntop(AF_INET6, six, words, CLIENT_TEXT_MAX) != NULL;
}

bool
client_of(int fd, char words[CLIENT_TEXT_MAX], unsigned char key[16])
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	words[0] = '\0';
	memset(key, 0, 16);
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == -1)
		return false;
	if (ss.ss_family == AF_INET)
		return take_four(&((const struct sockaddr_in *)&ss)->sin_addr, words, key);
	return ss.ss_family == AF_INET6 && take_six(&((const struct sockaddr_in6 *)&ss)->sin6_addr, words, key);
}

bool
client_named(struct bytes address, char words[CLIENT_TEXT_MAX], unsigned char key[16])
{
	char name[CLIENT_TEXT_MAX];
	struct in6_addr six;
	struct in_addr four;

	words[0] = '\0';
	memset(key, 0, 16);
	if (!bytes_to_text(address, name, sizeof name))
		return false;
	if (inet_pton(AF_INET, name, &four) == 1)
		return take_four(&four, words, key);
	return inet_pton(AF_INET6, name, &six) == 1 && take_six(&six, words, key);
}
