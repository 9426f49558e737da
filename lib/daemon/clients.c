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
#include "base/mem.h"

#define WINDOW_MS	60000
#define PROBES		16

struct client {
	unsigned char	key[16];
	uint64_t	window_ms;	/* when the present minute began */
	uint32_t	sessions, begun;
	bool		used;
};

struct clients {
	uint64_t	sessions, per_minute;	/* limits */
	size_t		slots;			/* a power of two */
	struct client	*table;			/* owned */
};

struct clients *
clients_new(uint64_t sessions, uint64_t per_minute, size_t slots)
{
	struct clients *c = mem_alloc(sizeof *c);

	c->sessions = sessions;
	c->per_minute = per_minute;
	for (c->slots = 64; c->slots < slots; c->slots *= 2)
		;
	c->table = mem_array(c->slots, sizeof *c->table);
	return c;
}

void
clients_free(struct clients **c)
{
	if (*c == NULL)
		return;
	mem_free((*c)->table);
	mem_free(*c);
	*c = NULL;
}

/* Its entry, or with `make` one that can become it; NULL: none. */
static struct client *
find(struct clients *c, const unsigned char key[16], bool make, uint64_t now_ms)
{
	size_t at = (size_t)hash_bytes(bytes_of(key, 16));
	struct client *free_one = NULL;

	for (size_t i = 0; i < PROBES; i++) {
		struct client *e = &c->table[(at + i) & (c->slots - 1)];

		if (e->used && memcmp(e->key, key, 16) == 0)
			return e;
		if (free_one == NULL && (!e->used
		    || (e->sessions == 0 && now_ms - e->window_ms >= WINDOW_MS)))
			free_one = e;
	}
	if (!make || free_one == NULL)
		return NULL;
	memset(free_one, 0, sizeof *free_one);
	memcpy(free_one->key, key, 16);
	free_one->used = true;
	free_one->window_ms = now_ms;
	return free_one;
}

enum clients_verdict
clients_enter(struct clients *c, const unsigned char key[16], uint64_t now_ms)
{
	struct client *e = find(c, key, true, now_ms);

	if (e == NULL)
		return CLIENT_WELCOME;
	if (now_ms - e->window_ms >= WINDOW_MS) {
		e->window_ms = now_ms;
		e->begun = 0;
	}
	if (c->per_minute != 0 && e->begun >= c->per_minute)
		return CLIENT_TOO_FAST;
	if (c->sessions != 0 && e->sessions >= c->sessions)
		return CLIENT_TOO_MANY;
	e->begun++;
	e->sessions++;
	return CLIENT_WELCOME;
}

void
clients_leave(struct clients *c, const unsigned char key[16])
{
	struct client *e = find(c, key, false, 0);

	if (e != NULL && e->sessions > 0)
		e->sessions--;
}

bool
client_of(int fd, char words[CLIENT_TEXT_MAX], unsigned char key[16])
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&ss;

	words[0] = '\0';
	memset(key, 0, 16);
	if (getpeername(fd, (struct sockaddr *)&ss, &len) == -1)
		return false;
	if (ss.ss_family == AF_INET) {
		const struct in_addr *four = &((const struct sockaddr_in *)&ss)->sin_addr;

		key[10] = key[11] = 0xff;
		memcpy(key + 12, four, 4);
		return inet_ntop(AF_INET, four, words, CLIENT_TEXT_MAX) != NULL;
	}
	if (ss.ss_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		memcpy(key, &six->sin6_addr, 16);
		return inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], words, CLIENT_TEXT_MAX) != NULL;
	}
	memcpy(key, &six->sin6_addr, 8);
	return inet_ntop(AF_INET6, &six->sin6_addr, words, CLIENT_TEXT_MAX) != NULL;
}
