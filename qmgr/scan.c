/* SPDX-License-Identifier: ISC */
/*
 * qmgr/scan.c - which messages: those that cleanup announces need no search. All
 * others are found: at the start, when their bucket is due, and once a minute
 * what stands in new/ without having been announced.
 *
 * One qmgr owns the queue, by a lock on its file `lock`, in which it notes the wall
 * clock every minute: the next one sees how long nobody looked. One that is to end gives it away at once: what is
 * still on its way there has a lock of its own, and is left alone until it has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "qmgr/qmgr.h"

#define LOCK_MS		100	/* another qmgr still has the queue: look again */
#define MINUTE_MS	60000
#define LEAST_MS	1000	/* between two looks into later/ */
#define BUDGET		500	/* messages that are taken in one go: then others have their turn */
#define BUDGET_MS	1
#define AGAIN_MAX	10000
#define FULL_MS		1000
#define RETRY_EXACT_MS	120000	/* waits up to this are not rounded to a minute */

struct again {				/* a file to be looked at once more */
	struct again	*next;
	enum queue_place place;
	char		 name[64];
	uint64_t	 at_ms;
};

struct scan {
	struct qmgr	*qmgr;		/* borrowed */
	int		 lock_fd;	/* owned; -1 when the queue is not ours */
	bool		 owns;
	struct timer	 locking, tick, more, again_timer;
	uint64_t	 minute_ms;	/* when the last one began; 0: never */
	uint64_t	 owned_ms;	/* monotonic: when the queue became ours */
	int64_t		 due_s;		/* wall clock: the first bucket */
	enum queue_place walking;
	unsigned	 budget;
	bool		 wants_more;	/* a walk was left before its end */
	struct again	*again;		/* owned */
	uint64_t	 again_ms;	/* when the first of them is due */
	size_t		 nagain;
};

/* ---- walks ---- */

static bool
found(void *arg, const char *name)
{
	struct scan *s = arg;
	enum take take;

	if (active_has(s->qmgr, name))
		return true;
	take = active_take(s->qmgr, s->walking, name, true);
	if (take == TAKE_LATER)
		scan_again(s, s->walking, name, s->qmgr->settings->uncertain_backoff_ms);
	/* What stays where it is is no part of the budget: the next walk comes to it again. */
	if (take == TAKE_FULL || (take == TAKE_DONE && s->budget-- == 0))
		s->wants_more = true;
	return !s->wants_more;
}

static void
walk(struct scan *s, enum queue_place place)
{
	int64_t now = clock_wall_s();
	int64_t latest = now + (int64_t)(s->qmgr->settings->maximal_backoff_ms / 1000) + 2 * CLOCK_JUMP_S;
	struct queue *q = &s->qmgr->queue;
	bool whole;

	if (s->wants_more)
		return;
	s->walking = place;
	whole = place == QUEUE_LATER ? queue_walk_due(q, now, latest, found, s) : queue_walk(q, place, found, s);
	if (!whole && !s->wants_more)
		log_errno("queue: %s/ cannot be read to its end", queue_place_name[place]);
	if (place == QUEUE_LATER)
		s->due_s = queue_next_due(q);
}

/* At first some are announced to the qmgr before us, which takes nothing any more. */
static bool
is_new_here(const struct scan *s, uint64_t now)
{
	return now - s->owned_ms < MINUTE_MS;
}

static void
set_tick(struct scan *s)
{
	uint64_t mono = clock_mono_ms(), gone = mono - s->minute_ms;
	uint64_t wait = gone < MINUTE_MS ? MINUTE_MS - gone : 0;
	int64_t now = clock_wall_s();
	uint64_t due = wait;

	if (s->qmgr->daemon->draining)
		return;
	if (s->due_s <= now || is_new_here(s, mono))
		due = LEAST_MS;
	else if (s->due_s - now < MINUTE_MS / 1000)
		due = (uint64_t)(s->due_s - now) * 1000;
	timer_set(&s->tick, due < wait ? due : wait);
}

/* What was left: from the start of the directories, whose known messages are passed over. */
static void
walk_all(struct scan *s)
{
	s->wants_more = false;
	s->budget = BUDGET;
	walk(s, QUEUE_NEW);
	walk(s, QUEUE_ACTIVE);
	walk(s, QUEUE_LATER);
	if (s->wants_more && s->qmgr->count < s->qmgr->settings->active_limit)
		timer_set(&s->more, BUDGET_MS);
	set_tick(s);
}

static void
more_due(void *arg)
{
	walk_all(arg);
}

void
scan_left_some(struct scan *s)
{
	s->wants_more = true;
}

void
scan_room(struct scan *s)
{
	if (s->owns && s->wants_more && !s->qmgr->daemon->draining && !s->more.set)
		timer_set(&s->more, 0);
}

/* ---- once a minute ---- */

static void
write_stamp(struct scan *s)
{
	char line[32];
	int n = snprintf(line, sizeof line, "%020lld\n", (long long)clock_wall_s());

	if (!file_pwrite(s->lock_fd, bytes_of(line, (size_t)n), 0))
		log_errno("queue: its lock file cannot be written");
}

static int64_t
read_stamp(struct scan *s)
{
	char line[20];
	uint64_t v;

	if (!file_pread(s->lock_fd, line, sizeof line, 0) || !bytes_u64(bytes_of(line, sizeof line), INT64_MAX, &v))
		return 0;
	return (int64_t)v;
}

static void
say_jump(struct scan *s, int64_t jump)
{
	log_warn("the clock has jumped by %lld s: for %llu s no message expires", (long long)jump,
	    (unsigned long long)(s->qmgr->settings->clock_confirm_ms / 1000));
}

static void
tick_due(void *arg)
{
	struct scan *s = arg;
	uint64_t now = clock_mono_ms();
	int64_t jump;

	if (now - s->minute_ms < MINUTE_MS) {
		s->wants_more = false;
		s->budget = BUDGET;
		if (is_new_here(s, now))
			walk(s, QUEUE_NEW);
		walk(s, QUEUE_LATER);
		if (s->wants_more)
			scan_room(s);
		set_tick(s);
		return;
	}
	s->minute_ms = now;
	jump = clock_guard_look(&s->qmgr->clock, clock_wall_s(), now);
	if (jump != 0)
		say_jump(s, jump);
	write_stamp(s);
	down_start(s->qmgr->downs);	/* what could not be read before, or was put there by hand */
	walk_all(s);
}

/* ---- files to look at again ---- */

static void
set_again(struct scan *s)
{
	uint64_t first = UINT64_MAX, now = clock_mono_ms();

	for (const struct again *a = s->again; a; a = a->next)
		if (a->at_ms < first)
			first = a->at_ms;
	s->again_ms = first;
	if (first != UINT64_MAX)
		timer_set(&s->again_timer, first > now ? first - now : 0);
}

void
scan_again(struct scan *s, enum queue_place place, const char *name, uint64_t after_ms)
{
	struct again *a;
	uint64_t at = clock_mono_ms() + after_ms;

	for (a = s->again; a; a = a->next)
		if (strcmp(a->name, name) == 0)
			return;
	if (s->nagain >= AGAIN_MAX || strlen(name) >= sizeof a->name || s->qmgr->daemon->draining)
		return;			/* it is found when its bucket is due, or a minute has gone */
	a = mem_alloc(sizeof *a);
	*a = (struct again){ .next = s->again, .place = place, .at_ms = at };
	memcpy(a->name, name, strlen(name) + 1);
	s->again = a;
	s->nagain++;
	if (!s->again_timer.set || at < s->again_ms) {
		s->again_ms = at;
		timer_set(&s->again_timer, after_ms);
	}
}

void
scan_due(struct scan *s, int64_t next_s)
{
	int64_t bucket_s = next_s / 60 * 60 + 60;	/* or before */

	if (bucket_s >= s->due_s)
		return;
	s->due_s = bucket_s;
	set_tick(s);
}

void
scan_wait(struct scan *s, const struct queue_message *q, uint64_t wait_ms)
{
	if (q->place == QUEUE_LATER)
		scan_due(s, q->envelope.next_s);
	if (wait_ms <= RETRY_EXACT_MS)
		scan_again(s, q->place, q->name, wait_ms);
}

/* Takes the first that is due out of the list. */
static struct again *
take_again(struct scan *s, uint64_t now)
{
	for (struct again **at = &s->again; *at; at = &(*at)->next) {
		struct again *a = *at;

		if (a->at_ms <= now) {
			*at = a->next;
			s->nagain--;
			return a;
		}
	}
	return NULL;
}

static void
again_due(void *arg)
{
	struct scan *s = arg;
	uint64_t now = clock_mono_ms();
	struct again *a;

	while ((a = take_again(s, now))) {
		enum take take = active_take(s->qmgr, a->place, a->name, true);

		if (take != TAKE_DONE)
			scan_again(s, a->place, a->name, take == TAKE_FULL ? FULL_MS
			    : s->qmgr->settings->uncertain_backoff_ms);
		mem_free(a);
	}
	set_again(s);
}

/* ---- who owns the queue ---- */

static void
own(struct scan *s)
{
	struct qmgr *m = s->qmgr;
	int64_t last_s = read_stamp(s), now_s = clock_wall_s();
	uint64_t now = clock_mono_ms();

	s->owns = true;
	clock_guard_start(&m->clock, last_s, now_s, now, m->settings->clock_confirm_ms);
	if (!clock_guard_sure(&m->clock, now_s, now))
		say_jump(s, now_s - last_s);
	s->minute_ms = s->owned_ms = now;
	write_stamp(s);
	down_start(m->downs);
	walk_all(s);
}

static void
try_lock(void *arg)
{
	struct scan *s = arg;

	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0) {
		own(s);
		return;
	}
	if (errno != EWOULDBLOCK && errno != EINTR)
		log_fatal("the queue cannot be locked: %s", strerror(errno));
	timer_set(&s->locking, LOCK_MS);
}

void
scan_start(struct scan *s)
{
	s->lock_fd = openat(s->qmgr->queue.dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->lock_fd == -1)
		log_fatal("the queue's lock file cannot be opened: %s", strerror(errno));
	try_lock(s);
}

bool
scan_owns(const struct scan *s)
{
	return s->owns;
}

void
scan_release(struct scan *s)
{
	s->owns = false;
	fd_close(&s->lock_fd);
}

void
scan_drain(struct scan *s)
{
	timer_clear(&s->locking);
	timer_clear(&s->tick);
	timer_clear(&s->more);
	timer_clear(&s->again_timer);
}

struct scan *
scan_new(struct qmgr *m)
{
	struct scan *s = mem_alloc(sizeof *s);
	struct loop *l = &m->daemon->loop;

	s->qmgr = m;
	s->lock_fd = -1;
	s->due_s = INT64_MAX;
	timer_init(&s->locking, l, try_lock, s);
	timer_init(&s->tick, l, tick_due, s);
	timer_init(&s->more, l, more_due, s);
	timer_init(&s->again_timer, l, again_due, s);
	return s;
}

void
scan_free(struct scan **taken)
{
	struct scan *s = *taken;

	*taken = NULL;
	scan_drain(s);
	while (s->again) {
		struct again *a = s->again;

		s->again = a->next;
		mem_free(a);
	}
	fd_close(&s->lock_fd);
	mem_free(s);
}
