/* SPDX-License-Identifier: ISC */
/*
 * auth/penalty.c - wrong passwords cost their address time: 250 ms, then double, to
 * 2 s. The right password is never made to wait. A fixed table: an attacker with
 * very many addresses pushes out others' counts, and gains what he had with one.
 */
#include "auth/auth.h"

#include "base/encode.h"
#include "base/mem.h"
#include "mail/network.h"

#define FIRST_MS	250
#define FORGET_MS	600000	/* without a failure */
#define SETS		1024
#define WAYS		4

struct penalty { uint64_t key, last_ms; unsigned failures; };
struct penalties { struct penalty of[SETS][WAYS]; };

struct penalties *
penalties_new(void)
{
	return mem_alloc(sizeof(struct penalties));
}

void
penalties_free(struct penalties **p)
{
	mem_free(*p);
	*p = NULL;
}

/* An IPv6 client has a /64 to choose from. Never 0. */
static uint64_t
key_of(struct bytes client)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct address a = { { 0 } };
	uint64_t key;

	if (!address_parse(client, &a))
		key = hash_bytes(client);
	else
		key = hash_bytes(bytes_of(a.octet, memcmp(a.octet, mapped, sizeof mapped) == 0 ? 16 : 8));
	return key ? key : 1;
}

/* The client's place, or the one that has been quiet longest. */
static struct penalty *
place_of(struct penalties *p, uint64_t key)
{
	struct penalty *set = p->of[key % SETS], *oldest = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].last_ms < oldest->last_ms)
			oldest = &set[i];
	}
	*oldest = (struct penalty){ .key = key };
	return oldest;
}

uint64_t
penalty_failed(struct penalties *p, struct bytes client, uint64_t now_ms)
{
	struct penalty *place = place_of(p, key_of(client));
	uint64_t wait = FIRST_MS;

	if (now_ms - place->last_ms > FORGET_MS)
		place->failures = 0;
	place->last_ms = now_ms;
	for (unsigned i = 0; i < place->failures && wait < PENALTY_MAX_MS; i++)
		wait *= 2;
	if (place->failures < 100)
		place->failures++;
	return wait;
}

void
penalty_passed(struct penalties *p, struct bytes client)
{
	*place_of(p, key_of(client)) = (struct penalty){ 0 };
}
