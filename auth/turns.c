/* SPDX-License-Identifier: ISC */
/*
 * auth/turns.c - whose password is hashed next. A hash takes some 50 ms of CPU, which is what it is for; but a flood of
 * wrong passwords would make everybody wait for its own.
 *
 * So a process computes one at a time, and between two takes what has come meanwhile: nobody waits for more than the one
 * under way, but for his turn. That is of who has been let in before from where he is now; then of the address with the fewest failures
 * (penalty.c), and where those are as many, of the name with the fewest. They are looked up when a turn is given, not when it is asked for: who asks for fifty at once has
 * failures when the second of them comes. Among equals who came first goes first. Each fourth turn is that of
 * whoever waits longest, whatever was tried from his address: it may be a webmail server's.
 *
 * Where others judge passwords, PAM or the directory, that is the same: each takes some at a time, and may be slow. A turn is
 * over then when they have answered, and so many have one at once as there are places.
 *
 * Threads, or processes for hashes alone, would add nothing: auth_workers, as many as there are CPUs, keep all of them busy.
 */
#include "auth/auth.h"
#include "base/clock.h"
#include "base/mem.h"

#define LONGEST		4		/* each so many-th turn */

struct turns {
	struct penalties *penalties;	/* borrowed */
	struct timer	 timer;		/* set while somebody waits */
	TAILQ_HEAD(, turn) list;	/* in the order in which they came */
	uint32_t	 given;
	uint32_t	 places, taken;
};

static struct turn *
fewest(struct turns *t)
{
	uint64_t least = UINT64_MAX;
	struct turn *best = NULL, *k;

	TAILQ_FOREACH(k, &t->list, link) {
		uint64_t rank = penalty_rank(t->penalties, k->client, k->user, clock_mono_ms());

		if (rank < least) {
			least = rank;
			best = k;
		}
	}
	return best;
}

/* Somebody has his turn in the next round, if there is a place. */
static void
wake(struct turns *t)
{
	if (!TAILQ_EMPTY(&t->list) && !t->timer.set && (t->places == 0 || t->taken < t->places))
		timer_set(&t->timer, 0);
}

static void
leave(struct turns *t, struct turn *k)
{
	TAILQ_REMOVE(&t->list, k, link);
	k->waits = false;
	if (TAILQ_EMPTY(&t->list))
		timer_clear(&t->timer);
}

/* One, then the loop has its round. */
static void
on_timer(void *arg)
{
	struct turns *t = arg;
	struct turn *k = ++t->given % LONGEST == 0 ? TAILQ_FIRST(&t->list) : fewest(t);

	leave(t, k);
	if (t->places > 0) {
		k->holds = true;
		t->taken++;
	}
	wake(t);
	k->run(k->arg);
}

void
turn_ask(struct turns *t, struct turn *k, struct bytes client, struct bytes user, void (*run)(void *arg), void *arg)
{
	must(!k->waits && !k->holds);
	*k = (struct turn){ .waits = true, .client = client, .user = user, .run = run, .arg = arg };
	TAILQ_INSERT_TAIL(&t->list, k, link);
	wake(t);
}

void
turn_leave(struct turns *t, struct turn *k)
{
	if (k->waits) {
		leave(t, k);
	} else if (k->holds) {
		k->holds = false;
		t->taken--;
		wake(t);
	}
}

void *
turns_worst(struct turns *t, struct bytes client)
{
	uint64_t now_ms = clock_mono_ms(), most = penalty_rank(t->penalties, client, text(NULL), now_ms);
	struct turn *worst = NULL, *k;

	TAILQ_FOREACH(k, &t->list, link) {
		uint64_t rank = penalty_rank(t->penalties, k->client, text(NULL), now_ms);

		if (rank >= most && penalty_rank(t->penalties, k->client, k->user, now_ms) >= PENALTY_STRANGER) {
			most = rank;
			worst = k;
		}
	}
	return worst ? worst->arg : NULL;
}

struct turns *
turns_new(struct loop *l, struct penalties *p, uint32_t places)
{
	struct turns *t = mem_alloc(sizeof *t);

	t->penalties = p;
	t->places = places;
	TAILQ_INIT(&t->list);
	timer_init(&t->timer, l, on_timer, t);
	return t;
}

void
turns_free(struct turns **t)
{
	must(TAILQ_EMPTY(&(*t)->list));
	timer_clear(&(*t)->timer);
	mem_free(*t);
	*t = NULL;
}
