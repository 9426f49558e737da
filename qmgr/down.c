/* SPDX-License-Identifier: ISC */
/*
 * qmgr/down.c - next hops that are down, and what waits for them on disk, in down/HASH/.
 *
 * A next hop that does not take one delivery is tried again after a time that doubles, by one message out of its
 * directory (the probe), whatever number waits there. The others are neither opened nor changed: who comes for it is moved
 * there at once. When it answers, they are taken into memory again, so many at a time.
 *
 * The same place serves a next hop for which more waits than memory holds: then it is busy, and is filled from there as
 * deliveries come back.
 *
 * After an attempt in vain the directory is looked through for messages whose age has become of importance since the last
 * look (too old; the sender is to be told): their ids tell it.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/queue_down.h"
#include "qmgr/qmgr.h"

#define BUCKETS		4096
#define HOPS_MAX	50000	/* beyond it, each message waits on its own */
#define LOOK_NAMES	2000	/* names that are looked at in one go */
#define FILL_MESSAGES	50	/* messages that are taken in one go */
#define SOON_MS		1000	/* look again: memory is full, or somebody works on it */
#define STUCK_MS	60000	/* a message that neither tries its next hop nor leaves */

enum task {
	TASK_WAIT,		/* for the next attempt, or for room in memory */
	TASK_PROBE,		/* one message tries it */
	TASK_LOOK,		/* through the directory, for messages of a certain age */
	TASK_FILL,		/* messages are taken into memory */
};

struct hop {
	struct hop	*next;		/* of its bucket */
	struct hop	*work_next;	/* of those with something to do at once */
	bool		 in_work;
	struct downs	*all;
	char		 hash[QUEUE_HASH + 1];
	struct buf	 text;		/* owned: the note, encoded; its texts borrow from it */
	struct queue_down note;
	bool		 down;		/* else: busy */
	enum task	 task;
	uint64_t	 due_ms;	/* monotonic; of TASK_WAIT; of TASK_FILL: when it is to be looked at again */
	char		 probe[QUEUE_ID_MAX + 1];	/* TASK_PROBE: its message */
	uint64_t	 probed_ms;	/* monotonic: when the last one began that has tried */
	DIR		*walk;		/* owned; of TASK_LOOK and TASK_FILL */
	int64_t		 looked_s;	/* as the note's, which follows once what the look took has left memory */
	int64_t		 walk_s;	/* of TASK_LOOK: when the walk began */
	bool		 missed;	/* likewise: something of age could not be taken */
	size_t		 held;		/* messages in memory that were taken from its directory */
	size_t		 met;		/* names that this walk has met */
};

struct downs {
	struct qmgr	*qmgr;		/* borrowed */
	struct hop	*bucket[BUCKETS];	/* owned */
	size_t		 n;
	struct hop	*working;
	bool		 stopped;
	struct timer	 due, work;
	uint64_t	 due_ms;	/* of the timer */
};

/* ---- the table ---- */

static struct hop **
bucket_of(const struct downs *d, const char *hash)
{
	return (struct hop **)&d->bucket[hash_bytes(text(hash)) % BUCKETS];
}

static struct hop *
find(const struct downs *d, const char *hash)
{
	for (struct hop *h = *bucket_of(d, hash); h; h = h->next)
		if (strcmp(h->hash, hash) == 0)
			return h;
	return NULL;
}

static struct hop *
find_nexthop(const struct downs *d, struct bytes nexthop)
{
	char hash[QUEUE_HASH + 1];

	queue_hop_hash(nexthop, hash);
	return find(d, hash);
}

static struct hop *
hop_new(struct downs *d, const char *hash)
{
	struct hop *h = mem_alloc(sizeof *h), **at = bucket_of(d, hash);

	memcpy(h->hash, hash, sizeof h->hash);
	h->all = d;
	h->next = *at;
	*at = h;
	d->n++;
	buf_init(&h->text, QUEUE_DOWN_MAX);
	return h;
}

static void
stop_walk(struct hop *h)
{
	if (h->walk)
		closedir(h->walk);
	h->walk = NULL;
}

static void
hop_free(struct hop *h)
{
	struct hop **at = bucket_of(h->all, h->hash);

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	h->all->n--;
	for (at = &h->all->working; h->in_work && *at; at = &(*at)->work_next)
		if (*at == h) {
			*at = h->work_next;
			break;
		}
	stop_walk(h);
	buf_fini(&h->text);
	mem_free(h);
}

/* The note's texts are copied: note may borrow from anywhere. */
static void
set_note(struct hop *h, const struct queue_down *note)
{
	struct buf old = h->text;

	buf_init(&h->text, QUEUE_DOWN_MAX);
	queue_down_encode(note, &h->text);
	must(!h->text.full && queue_down_decode(buf_bytes(&h->text), &h->note));
	buf_fini(&old);
}

/* ---- when ---- */

static void
look_at(struct hop *h, uint64_t due_ms)
{
	struct downs *d = h->all;
	uint64_t now = clock_mono_ms();

	h->due_ms = due_ms;
	if (d->stopped || (d->due.set && due_ms >= d->due_ms))
		return;
	d->due_ms = due_ms;
	timer_set(&d->due, due_ms > now ? due_ms - now : 0);
}

static void
wait_until(struct hop *h, uint64_t due_ms)
{
	stop_walk(h);
	h->task = TASK_WAIT;
	look_at(h, due_ms);
}

static void
wait_ms(struct hop *h, uint64_t ms)
{
	wait_until(h, clock_mono_ms() + ms);
}

/* Others have their turn before it goes on. */
static void
work_soon(struct hop *h)
{
	struct downs *d = h->all;

	if (!h->in_work) {
		h->in_work = true;
		h->work_next = d->working;
		d->working = h;
	}
	if (!d->stopped && !d->work.set)
		timer_set(&d->work, 1);
}

/* ---- names of a certain age ---- */

struct ages { char from[3][QUEUE_ID_TIME + 1], to[3][QUEUE_ID_TIME + 1]; };

/* What became so old since the last look: too old, or of a sender who is to be told. */
static void
ages_of(const struct qmgr_settings *s, int64_t looked_s, int64_t now_s, struct ages *a)
{
	const uint64_t age_ms[3] = { s->lifetime_ms, s->bounce_lifetime_ms, s->delay_warning_ms };

	for (int i = 0; i < 3; i++) {
		int64_t age_s = (int64_t)(age_ms[i] / 1000);

		queue_id_time((looked_s - age_s) * 1000000, a->from[i]);
		queue_id_time(age_ms[i] == 0 ? 0 : (now_s - age_s) * 1000000, a->to[i]);
	}
}

static bool
is_of_age(const struct ages *a, const char *id)
{
	for (int i = 0; i < 3; i++)
		if (strncmp(id, a->from[i], QUEUE_ID_TIME) >= 0 && strncmp(id, a->to[i], QUEUE_ID_TIME) < 0)
			return true;
	return false;
}

/* ---- taking messages out of its directory ---- */

static const char *
id_in(const char *name)
{
	return name + QUEUE_HASH + 1;
}

static enum take
take(struct hop *h, const char *name)
{
	return active_take(h->all->qmgr, QUEUE_DOWN, name, true);
}

/* At the end of a walk that met nothing, and nothing of it is in memory: it is done with. */
static bool
remove_empty(struct hop *h)
{
	if (h->held > 0 || !queue_down_remove(&h->all->qmgr->queue, h->hash))
		return false;
	hop_free(h);
	return true;
}

/* TASK_PROBE, or what else comes of it. May free h. */
static void
probe(struct hop *h)
{
	struct qmgr *m = h->all->qmgr;
	enum take took = TAKE_DONE;
	bool busy = false;
	char name[64];

	h->task = TASK_PROBE;
	h->walk = queue_down_open(&m->queue, h->hash);
	while (h->walk && took != TAKE_FULL && queue_down_next(h->walk, h->hash, name)) {
		snprintf(h->probe, sizeof h->probe, "%.*s", QUEUE_ID_MAX, id_in(name));
		if (active_find(m, text(h->probe))) {
			/* Kept by another next hop, or taken by the other of two names that a power cut left: it would not try this one. */
			busy = true;
			continue;
		}
		took = take(h, name);
		busy = busy || took == TAKE_LATER;
		if (took == TAKE_DONE && active_find(m, text(h->probe))) {
			h->probed_ms = clock_mono_ms();
			stop_walk(h);
			return;
		}
	}
	h->probe[0] = '\0';
	stop_walk(h);
	if (took == TAKE_FULL || busy || !remove_empty(h))
		wait_ms(h, SOON_MS);
}

/* Takes those of a certain age: they are not tried, but told of, or given up. */
static void
look(struct hop *h)
{
	struct qmgr *m = h->all->qmgr;
	struct ages ages;
	char name[64];
	const char *got = NULL;

	if (!h->walk) {
		h->walk = queue_down_open(&m->queue, h->hash);
		h->walk_s = clock_wall_s();
		h->missed = !h->walk;
		if (h->looked_s > h->walk_s + CLOCK_JUMP_S)
			h->looked_s = 1;	/* the clock was wrong then: nobody knows */
	}
	ages_of(m->settings, h->looked_s, h->walk_s, &ages);
	for (unsigned i = 0; h->walk && i < LOOK_NAMES && (got = queue_down_next(h->walk, h->hash, name)); i++)
		if (is_of_age(&ages, id_in(name)) && take(h, name) != TAKE_DONE)
			h->missed = true;
	if (h->walk && got) {
		work_soon(h);
		return;
	}
	stop_walk(h);
	if (!h->missed)			/* else the next look begins where this one did */
		h->looked_s = h->walk_s;
	wait_until(h, h->due_ms);
}

/* Room for more of it, in memory and among what waits for deliveries? */
static bool
has_room(const struct hop *h)
{
	const struct qmgr *m = h->all->qmgr;

	return h->held < (m->settings->destination_limit + 1) / 2
	    && !schedule_is_crowded(m->schedule, h->note.transport, h->note.nexthop);
}

/* May free h. */
static void
fill_end(struct hop *h)
{
	bool met = h->met > 0;

	stop_walk(h);
	h->met = 0;
	if (h->held == 0 && !met && remove_empty(h))
		return;
	wait_ms(h, SOON_MS);		/* others may have come since; those in memory may come back */
}

static void
fill(struct hop *h)
{
	struct qmgr *m = h->all->qmgr;
	char name[64];

	if (!h->walk) {
		h->met = 0;
		h->walk = queue_down_open(&m->queue, h->hash);
	}
	for (unsigned i = 0; i < FILL_MESSAGES && h->walk && has_room(h); i++) {
		if (!queue_down_next(h->walk, h->hash, name)) {
			fill_end(h);
			return;
		}
		h->met++;
		if (take(h, name) == TAKE_FULL) {
			wait_ms(h, SOON_MS);
			return;
		}
		if (h->task != TASK_FILL)	/* it was found to be down meanwhile */
			return;
	}
	if (!h->walk)
		fill_end(h);
	else if (has_room(h))
		work_soon(h);
	else				/* who makes room need not have come out of its directory: then nobody tells us */
		look_at(h, clock_mono_ms() + SOON_MS);
}

/* ---- what is due ---- */

static void
begin(struct hop *h)
{
	if (h->down) {
		probe(h);
	} else {
		h->task = TASK_FILL;
		fill(h);
	}
}

static void
due(void *arg)
{
	struct downs *d = arg;
	uint64_t now = clock_mono_ms(), first = UINT64_MAX;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct hop *h = d->bucket[i], *next; h; h = next) {
			next = h->next;
			if (h->task == TASK_FILL && !h->in_work && h->due_ms <= now) {
				h->due_ms = now + SOON_MS;
				work_soon(h);
			}
			if (h->task != TASK_WAIT && h->task != TASK_FILL)
				continue;
			if (h->due_ms <= now && h->task == TASK_WAIT)
				begin(h);
			else if (h->due_ms > now && h->due_ms < first)
				first = h->due_ms;
		}
	if (first != UINT64_MAX && (!d->due.set || first < d->due_ms)) {
		d->due_ms = first;
		timer_set(&d->due, first - now);
	}
	schedule_run(d->qmgr->schedule);
}

static void
work_due(void *arg)
{
	struct downs *d = arg;
	struct hop *all = d->working, *h;

	d->working = NULL;
	while ((h = all)) {
		all = h->work_next;
		h->in_work = false;
		if (h->task == TASK_LOOK)
			look(h);
		else if (h->task == TASK_FILL)
			fill(h);
	}
	schedule_run(d->qmgr->schedule);
}

/* ---- what deliveries say ---- */

bool
down_may(const struct downs *d, struct bytes nexthop)
{
	const struct setting_list *l = &d->qmgr->settings->never_down;

	for (size_t i = 0; i < l->n; i++)
		if (bytes_eq(nexthop, text(l->item[i])))
			return false;
	return true;
}

static void
is_up(struct hop *h)
{
	struct queue_down note = h->note;

	log_info("next hop %s: it answers again, after %u attempts in vain", note.nexthop.n > 0 ? log_text(note.nexthop) : h->hash,
	    (unsigned)note.attempts);		/* without a note it is known by its hash alone */
	note.next_s = note.since_s = 0;
	note.attempts = 0;
	set_note(h, &note);
	queue_down_write(&h->all->qmgr->queue, h->hash, &h->note);
	h->down = false;
	h->probe[0] = '\0';
	stop_walk(h);
	h->task = TASK_FILL;
	work_soon(h);
}

static uint64_t
backoff(const struct qmgr *m, uint32_t attempts)
{
	uint32_t chance;

	random_fill(&chance, sizeof chance);
	return retry_backoff_ms(attempts, m->settings->minimal_backoff_ms, m->settings->maximal_backoff_ms, chance);
}

static void
note_failure(struct hop *h, struct bytes transport, struct bytes nexthop, const struct result *r, uint64_t wait)
{
	int64_t now_s = clock_wall_s();
	struct queue_down note = h->note;
	struct buf reply;

	buf_init(&reply, 1024);
	buf_fmt(&reply, "%.*s %.*s", BYTES_FMT(r->status), BYTES_FMT(bytes_head(r->reply, 900)));
	note.since_s = h->down && note.since_s > 0 ? note.since_s : now_s;
	if (h->looked_s == 0)
		h->looked_s = now_s;
	if (h->held <= 1)		/* the probe: all that the look before took has been seen to */
		note.looked_s = h->looked_s;
	note.next_s = now_s + (int64_t)((wait + 999) / 1000);
	note.transport = transport;
	note.nexthop = nexthop;
	note.reply = buf_bytes(&reply);
	note.remote = r->remote;
	note.command = r->command;
	note.said = r->said;
	set_note(h, &note);
	buf_fini(&reply);
	log_info("next hop %s: down, next attempt in %llu s: %s", log_text(nexthop), (unsigned long long)((wait + 999) / 1000),
	    log_text(h->note.reply));
}

static void
is_down(struct hop *h, struct bytes transport, struct bytes nexthop, const struct result *r)
{
	struct qmgr *m = h->all->qmgr;
	uint64_t wait;

	h->note.attempts = h->down ? h->note.attempts + 1 : 1;
	wait = backoff(m, h->note.attempts);
	note_failure(h, transport, nexthop, r, wait);
	queue_down_write(&m->queue, h->hash, &h->note);
	h->down = true;
	h->probe[0] = '\0';
	wait_ms(h, wait);
	if (clock_guard_sure(&m->clock, clock_wall_s(), clock_mono_ms())) {
		h->task = TASK_LOOK;
		work_soon(h);
	}
}

void
down_contact(struct downs *d, struct bytes transport, struct bytes nexthop, enum relay_contact contact, const struct result *r)
{
	char hash[QUEUE_HASH + 1];
	struct hop *h;

	queue_hop_hash(nexthop, hash);
	h = find(d, hash);
	if (contact == CONTACT_GOOD) {
		if (h && h->down)
			is_up(h);
		return;
	}
	/* Those that were on their way when it was found to be down have nothing to add. */
	if (!down_may(d, nexthop) || (h && h->down && h->task != TASK_PROBE) || (!h && d->n >= HOPS_MAX))
		return;
	is_down(h ? h : hop_new(d, hash), transport, nexthop, r);
	schedule_suspend(d->qmgr->schedule, transport, nexthop);
}

/* ---- what qmgr asks ---- */

/* More of it is in memory than may be. */
static bool
is_crowded(struct downs *d, const struct job *j, struct hop *h)
{
	const struct recipient *r = job_recipient(j);
	char hash[QUEUE_HASH + 1];
	struct queue_down note;

	if (h && strcmp(j->work->hop, h->hash) == 0)
		return false;		/* there was room when it was taken; its route was asked for since */
	if (!schedule_is_crowded(d->qmgr->schedule, r->transport, r->nexthop)
	    || !queue_hop(&j->work->message->envelope, hash) || (!h && d->n >= HOPS_MAX))
		return false;
	if (!h) {
		h = hop_new(d, hash);
		h->looked_s = clock_wall_s();
		note = (struct queue_down){ .looked_s = h->looked_s, .transport = r->transport, .nexthop = r->nexthop };
		set_note(h, &note);
		wait_ms(h, SOON_MS);
	}
	return true;
}

/* RFC 8689: "TLS-Required: No" may go where no other mail goes, when all that is wrong with the next hop is what its TLS does not show. */
static bool
is_exempt(const struct hop *h, const struct work *w)
{
	return h->down && w->message->envelope.requiretls == TLS_NOT_REQUIRED && bytes_starts(h->note.reply, text("4.7."));
}

bool
down_exempts(struct downs *d, const struct job *j)
{
	const struct hop *h = find_nexthop(d, job_recipient(j)->nexthop);

	return h && is_exempt(h, j->work);
}

bool
down_keeps(struct downs *d, const struct job *j)
{
	const struct recipient *r = job_recipient(j);
	struct hop *h;

	if (bytes_eq(r->transport, text("local")))
		return false;
	h = find_nexthop(d, r->nexthop);
	if (h && h->down)
		return strcmp(h->probe, j->work->message->id) != 0 && !is_exempt(h, j->work);
	return is_crowded(d, j, h);
}

/* A probe that was tried, and whose next hop has not been spoken with, has a trouble of its own: there it would be the next probe, too. */
bool
down_has(const struct downs *d, const char *hash, const struct work *w)
{
	const struct hop *h = find(d, hash);

	return h && !is_exempt(h, w) && (!w->tried || (h->down && strcmp(h->probe, w->message->id) != 0));
}

bool
down_holds(const struct downs *d, const struct work *w)
{
	const struct envelope *e = &w->message->envelope;

	for (size_t i = 0; i < e->nrcpts; i++) {
		const struct recipient *r = &e->rcpts[i];
		const struct hop *h = r->state == RCPT_WAITING && !bytes_eq(r->transport, text("local")) ? find_nexthop(d, r->nexthop) : NULL;

		if (h && h->down && strcmp(h->probe, w->message->id) != 0 && !is_exempt(h, w))
			return true;
	}
	return false;
}

const struct queue_down *
down_note(const struct downs *d, struct bytes nexthop)
{
	const struct hop *h = find_nexthop(d, nexthop);

	return h && h->down ? &h->note : NULL;
}

void
down_took(struct downs *d, const struct work *w)
{
	struct hop *h = w->hop[0] != '\0' ? find(d, w->hop) : NULL;

	if (h)
		h->held++;
}

/* Where has it gone? If many have a trouble of their own, not all at once. */
static uint64_t
after_probe(const struct hop *h, const struct queue_message *q)
{
	if (q->place == QUEUE_DOWN && strncmp(q->name, h->hash, QUEUE_HASH) == 0)
		return STUCK_MS;
	return q->place == QUEUE_LATER ? SOON_MS : 0;
}

void
down_forgot(struct downs *d, const struct work *w)
{
	struct hop *h = w->hop[0] != '\0' ? find(d, w->hop) : NULL;

	if (!h)
		return;
	h->held--;
	if (h->task == TASK_PROBE && strcmp(h->probe, w->message->id) == 0) {
		h->probe[0] = '\0';	/* it went without having tried its next hop */
		h->probed_ms = 0;
		wait_ms(h, after_probe(h, w->message));
	} else if (h->task == TASK_FILL && has_room(h)) {
		work_soon(h);
	}
}

bool
down_flush(struct downs *d, const char *hash, uint64_t since_ms)
{
	bool any = false;

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct hop *h = d->bucket[i]; h; h = h->next) {
			if (hash && strcmp(h->hash, hash) != 0)
				continue;
			any = true;
			if (h->probed_ms > since_ms)
				continue;
			if (h->task == TASK_WAIT)
				wait_ms(h, 0);
			else if (h->task == TASK_LOOK)	/* it waits after that */
				h->due_ms = clock_mono_ms();
		}
	return any;
}

/* ---- life ---- */

/* Without a note nobody knows whether it is down: one message finds out. */
static bool
found(void *arg, const char *hash)
{
	struct downs *d = arg;
	struct arena *a = arena_new(2 * QUEUE_DOWN_MAX);
	int64_t now_s = clock_wall_s(), wait_s = 0, most_s = (int64_t)(d->qmgr->settings->maximal_backoff_ms / 1000);
	struct queue_down note;
	struct hop *h = find(d, hash) ? NULL : hop_new(d, hash);

	if (h) {
		if (!queue_down_read(&d->qmgr->queue, hash, a, &note))
			note = (struct queue_down){ .next_s = now_s, .looked_s = 1 };	/* nobody knows: all that is old is */
		h->looked_s = note.looked_s;
		set_note(h, &note);
		h->down = note.next_s > 0 && down_may(d, note.nexthop);
		if (h->down && note.next_s > now_s)
			wait_s = note.next_s - now_s < most_s ? note.next_s - now_s : most_s;
		wait_ms(h, (uint64_t)wait_s * 1000);
	}
	arena_free(&a);
	return true;
}

void
down_start(struct downs *d)
{
	if (!queue_down_walk(&d->qmgr->queue, found, d))
		log_errno("queue: down/ cannot be read to its end");
}

struct downs *
down_new(struct qmgr *m)
{
	struct downs *d = mem_alloc(sizeof *d);

	d->qmgr = m;
	timer_init(&d->due, &m->daemon->loop, due, d);
	timer_init(&d->work, &m->daemon->loop, work_due, d);
	return d;
}

void
down_drain(struct downs *d)
{
	d->stopped = true;
	timer_clear(&d->due);
	timer_clear(&d->work);
}

void
down_free(struct downs **taken)
{
	struct downs *d = *taken;

	*taken = NULL;
	down_drain(d);
	for (size_t i = 0; i < BUCKETS; i++)
		while (d->bucket[i])
			hop_free(d->bucket[i]);
	mem_free(d);
}
