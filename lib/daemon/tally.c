/* SPDX-License-Identifier: ISC */
#include "daemon/tally.h"

#include <stdatomic.h>
#include <string.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/shared_memory.h"

#define WAYS	8		/* places that a name can have */
#define SETS	(TALLY_NAMES / WAYS)
#define TRIES	16		/* that other workers are faster */
#define WORDS	14

/* name: octets kept, 1 when that is all of it, then these octets. */
struct place {
	_Atomic uint64_t key;
	_Atomic uint64_t value;		/* time_s, then n: the oldest is the lowest; 0: free */
	_Atomic uint64_t name[WORDS];
};

struct tally { struct place of[SETS][WAYS]; };

struct shared {				/* all that is in the shared memory */
	unsigned char	 hash_key[16];
	_Atomic uint64_t first;		/* 1: somebody was */
	_Atomic uint64_t changes, saved;
	uint64_t	 unused[3];
	struct tally	 tally[];
};

struct tallies {
	struct shared_memory memory;	/* owned */
	struct shared	*shared;	/* in it */
	unsigned	 n;
	unsigned char	 hash_key[16];	/* as it was at the start: another worker could change it there */
};

_Static_assert(2 + TALLY_NAME == WORDS * sizeof(uint64_t), "a name fills its words");

/* ---- memory ---- */

static size_t
octets_for(unsigned tallies)
{
	return sizeof(struct shared) + tallies * sizeof(struct tally);
}

int
tallies_share(unsigned tallies)
{
	unsigned char key[16];

	random_fill(key, sizeof key);
	return shared_memory_make("tallies", octets_for(tallies), bytes_of(key, sizeof key));
}

struct tallies *
tallies_new(int shared, unsigned tallies)
{
	struct tallies *t = mem_alloc(sizeof *t);
	size_t octets = octets_for(tallies);

	t->n = tallies;
	if (shared == -1 || !shared_memory_map(&t->memory, shared, octets, octets)) {
		if (shared != -1)
			log_errno("this process counts alone");
		shared_memory_alone(&t->memory, octets);
		random_fill(t->memory.p, sizeof t->hash_key);
	}
	t->shared = t->memory.p;
	memcpy(t->hash_key, t->shared->hash_key, sizeof t->hash_key);
	return t;
}

void
tallies_free(struct tallies **taken)
{
	struct tallies *t = *taken;

	*taken = NULL;
	if (t == NULL)
		return;
	shared_memory_free(&t->memory);
	mem_free(t);
}

/* ---- a place ---- */

static uint64_t
value_of(struct tally_count c)
{
	return (uint64_t)c.time_s << 32 | c.n;
}

static struct tally_count
count_of(uint64_t value)
{
	return (struct tally_count){ .time_s = (uint32_t)(value >> 32), .n = (uint32_t)value };
}

static uint64_t
key_of(const struct tallies *t, struct bytes name)
{
	return hash_keyed(t->hash_key, name);
}

static struct place *
set_of(struct tallies *t, unsigned which, uint64_t key)
{
	must(which < t->n);
	return t->shared->tally[which].of[key % SETS];
}

/* NULL: it has no place. */
static struct place *
find(struct place *set, uint64_t key)
{
	for (size_t i = 0; i < WAYS; i++)
		if (atomic_load(&set[i].key) == key && atomic_load(&set[i].value) != 0)
			return &set[i];
	return NULL;
}

static struct place *
oldest(struct place *set)
{
	struct place *p = set;

	for (size_t i = 1; i < WAYS; i++)
		if (atomic_load(&set[i].value) < atomic_load(&p->value))
			p = &set[i];
	return p;
}

static void
put_name(struct place *p, struct bytes name)
{
	unsigned char octets[WORDS * 8] = { (unsigned char)(name.n < TALLY_NAME ? name.n : TALLY_NAME), name.n <= TALLY_NAME };
	uint64_t words[WORDS];

	if (octets[0] > 0)
		memcpy(octets + 2, name.p, octets[0]);
	memcpy(words, octets, sizeof words);
	for (size_t i = 0; i < WORDS; i++)
		atomic_store_explicit(&p->name[i], words[i], memory_order_relaxed);
}

/* False: another worker is at it. */
static bool
get_name(const struct tallies *t, struct place *p, struct tally_row *row)
{
	unsigned char octets[WORDS * 8];
	uint64_t words[WORDS];

	for (size_t i = 0; i < WORDS; i++)
		words[i] = atomic_load_explicit(&p->name[i], memory_order_relaxed);
	memcpy(octets, words, sizeof octets);
	if (octets[0] > TALLY_NAME || octets[1] > 1)
		return false;
	row->name_n = octets[0];
	row->whole = octets[1] == 1;
	memcpy(row->name, octets + 2, TALLY_NAME);
	return !row->whole || key_of(t, bytes_of(row->name, row->name_n)) == atomic_load(&p->key);
}

/* ---- counts ---- */

struct tally_count
tally_get(struct tallies *t, unsigned which, struct bytes name)
{
	uint64_t key = key_of(t, name);
	struct place *p = find(set_of(t, which, key), key);

	return count_of(p ? atomic_load(&p->value) : 0);
}

/* The value first: who has exchanged that one has the place. */
struct tally_count
tally_change(struct tallies *t, unsigned which, struct bytes name, tally_step step, const void *arg)
{
	uint64_t key = key_of(t, name);
	struct place *set = set_of(t, which, key);

	for (unsigned tries = 0; tries < TRIES; tries++) {
		struct place *p = find(set, key);
		bool fresh = p == NULL;
		uint64_t is, old, new;

		if (fresh)
			p = oldest(set);
		is = atomic_load(&p->value);
		old = fresh ? 0 : is;
		new = value_of(step(count_of(old), arg));
		if (new == old)
			return count_of(old);
		if (!atomic_compare_exchange_strong(&p->value, &is, new))
			continue;
		if (fresh) {
			put_name(p, name);
			atomic_store(&p->key, key);
		}
		atomic_fetch_add(&t->shared->changes, 1);
		return count_of(old);
	}
	return (struct tally_count){ 0 };
}

/* Two workers that met it in one moment may have given it two places. */
void
tally_clear(struct tallies *t, unsigned which, struct bytes name)
{
	uint64_t key = key_of(t, name);
	struct place *p, *set = set_of(t, which, key);

	for (unsigned i = 0; i < WAYS && (p = find(set, key)) != NULL; i++) {
		atomic_store(&p->value, 0);
		atomic_fetch_add(&t->shared->changes, 1);
	}
}

uint32_t
tally_clear_all(struct tallies *t, unsigned which)
{
	uint32_t n = 0;

	must(which < t->n);
	for (uint32_t i = 0; i < TALLY_NAMES; i++)
		n += atomic_exchange(&t->shared->tally[which].of[i / WAYS][i % WAYS].value, 0) != 0;
	if (n > 0)
		atomic_fetch_add(&t->shared->changes, 1);
	return n;
}

bool
tally_next(struct tallies *t, unsigned which, uint32_t *at, struct tally_row *row)
{
	must(which < t->n);
	while (*at < TALLY_NAMES) {
		struct place *p = &t->shared->tally[which].of[*at / WAYS][*at % WAYS];

		++*at;
		row->count = count_of(atomic_load(&p->value));
		if (value_of(row->count) != 0 && get_name(t, p, row))
			return true;
	}
	return false;
}

/* ---- keeping ---- */

bool
tallies_first(struct tallies *t)
{
	return atomic_exchange(&t->shared->first, 1) == 0;
}

bool
tallies_changed(struct tallies *t)
{
	return atomic_load(&t->shared->changes) != atomic_load(&t->shared->saved);
}

void
tallies_saved(struct tallies *t)
{
	atomic_store(&t->shared->saved, atomic_load(&t->shared->changes));
}

void
tallies_unsaved(struct tallies *t)
{
	atomic_fetch_add(&t->shared->changes, 1);
}
