/* SPDX-License-Identifier: ISC */
#include "base/hash_set.h"

#include "base/encode.h"
#include "base/mem.h"

#define LEAST	256		/* slots; at most half of them are in use */

/* The slot of the hash, or the empty one where it would be. */
static size_t
find(const struct hash_set *s, uint64_t hash)
{
	size_t i = (size_t)hash & (s->cap - 1);

	while (s->slot[i] != 0 && s->slot[i] != hash)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static void
grow(struct hash_set *s)
{
	struct hash_set old = *s;

	s->cap = old.cap ? old.cap * 2 : LEAST;
	s->slot = mem_array(s->cap, sizeof *s->slot);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slot[i] != 0)
			s->slot[find(s, old.slot[i])] = old.slot[i];
	mem_free(old.slot);
}

static uint64_t
hash_of(struct bytes text)
{
	return hash_bytes(text) | 1;	/* 0 is an empty slot */
}

bool
hash_set_add(struct hash_set *s, struct bytes text)
{
	uint64_t hash = hash_of(text);
	size_t i;

	if (s->n >= s->cap / 2)
		grow(s);
	i = find(s, hash);
	if (s->slot[i] != 0)
		return false;
	s->slot[i] = hash;
	s->n++;
	return true;
}

bool
hash_set_has(const struct hash_set *s, struct bytes text)
{
	return s->n > 0 && s->slot[find(s, hash_of(text))] != 0;
}

void
hash_set_free(struct hash_set *s)
{
	mem_free(s->slot);
	*s = (struct hash_set){ 0 };
}
