/* SPDX-License-Identifier: ISC */
/*
 * qmgr/schedule.c - deliveries: each destination has a queue of its own and a limit,
 * all together have one; destinations with something to do take turns. A slow
 * one holds up nobody but those who want to go there.
 */
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "qmgr/qmgr.h"

#define BUCKETS		1024
#define NOBODY_MS	200	/* nobody is there who delivers: look again */

struct destination {
	struct destination *next;	/* of its bucket */
	struct destination *turn_next;	/* of those that have their turn to come */
	struct bytes	 name;		/* owned: next hop */
	struct job	*first, **last;	/* waiting */
	unsigned	 running;
	bool		 in_turn;
	bool		 slow;		/* see schedule_slow */
};

struct schedule {
	struct qmgr	*qmgr;		/* borrowed */
	struct peers	*locals;
	struct destination *bucket[BUCKETS];	/* owned */
	struct destination *turn, **turn_last;
	unsigned	 running;
	struct timer	 nobody;
};

/* NULL: it has nothing to do. */
static struct destination *
find(struct schedule *s, struct bytes name)
{
	for (struct destination *d = s->bucket[hash_bytes(name) % BUCKETS]; d; d = d->next)
		if (bytes_eq(d->name, name))
			return d;
	return NULL;
}

static struct destination *
destination_of(struct schedule *s, struct bytes name)
{
	struct destination **at, *d = find(s, name);
	unsigned char *copy;

	if (d)
		return d;
	at = &s->bucket[hash_bytes(name) % BUCKETS];
	d = mem_alloc(sizeof *d);
	copy = mem_alloc(name.n);
	if (name.n > 0)
		memcpy(copy, name.p, name.n);
	*d = (struct destination){ .next = *at, .name = bytes_of(copy, name.n), .last = &d->first };
	*at = d;
	return d;
}

/* When it has nothing to do any more. */
static void
destination_settle(struct schedule *s, struct destination *d)
{
	struct destination **at = &s->bucket[hash_bytes(d->name) % BUCKETS];

	if (d->first || d->running > 0 || d->in_turn)
		return;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	mem_free((void *)(uintptr_t)d->name.p);
	mem_free(d);
}

/* At the end of the turns, if it may start one more. */
static void
give_turn(struct schedule *s, struct destination *d)
{
	if (d->in_turn || !d->first || d->running >= s->qmgr->settings->local_destination_concurrency)
		return;
	d->in_turn = true;
	d->turn_next = NULL;
	*s->turn_last = d;
	s->turn_last = &d->turn_next;
}

static struct destination *
take_turn(struct schedule *s)
{
	struct destination *d = s->turn;

	s->turn = d->turn_next;
	if (!s->turn)
		s->turn_last = &s->turn;
	d->in_turn = false;
	return d;
}

static void
on_delivered(void *arg, struct ipc_in *in)
{
	struct job *j = arg;
	struct schedule *s = j->qmgr->schedule;
	struct destination *d = j->destination;
	struct ipc_delivered a;
	bool good = in && in->type == IPC_delivered && ipc_get_delivered(in, &a) && a.outcome <= BOUNCE;

	s->running--;
	d->running--;
	d->slow = d->slow && !good;
	give_turn(s, d);
	destination_settle(s, d);
	if (good)
		active_result(j, a.outcome, true, a.status, a.reply);
	else
		active_result(j, TRY_LATER, false, text("4.3.0"), text("the delivery was interrupted"));
	schedule_run(s);
}

static void
start(struct schedule *s, struct destination *d, struct job *j)
{
	const struct work *w = j->work;
	const struct recipient *r = job_recipient(j);
	const struct envelope *e = &w->message->envelope;
	struct qmgr *m = s->qmgr;

	ipc_put_deliver(&m->out, 0, &(struct ipc_deliver){
		.queue_id = text(w->message->id), .file = w->message->fd,
		.sender = e->sender, .recipient = r->final, .original = r->original,
		.nexthop = r->nexthop, .uid = r->uid, .gid = r->gid, .mailbox = r->mailbox,
		.arrival = (uint64_t)e->arrival_s, .size = w->octets, .segments = buf_bytes(&w->segments) });
	d->running++;
	s->running++;
	peers_call(s->locals, &m->out, (unsigned)m->settings->delivery_timeout_ms, on_delivered, j);
}

void
schedule_run(struct schedule *s)
{
	while (s->turn && s->running < s->qmgr->settings->local_concurrency) {
		struct destination *d;
		struct job *j;

		if (peers_count(s->locals) == 0) {	/* being restarted: none of this is uncertain */
			if (!s->nobody.set)
				timer_set(&s->nobody, NOBODY_MS);
			return;
		}
		d = take_turn(s);
		j = d->first;
		if (!j) {			/* withdrawn since */
			destination_settle(s, d);
			continue;
		}
		d->first = j->next;
		if (!d->first)
			d->last = &d->first;
		start(s, d, j);
		give_turn(s, d);
	}
}

void
schedule_add(struct schedule *s, struct job *j)
{
	struct destination *d = destination_of(s, job_recipient(j)->nexthop);

	j->destination = d;
	j->next = NULL;
	*d->last = j;
	d->last = &j->next;
	give_turn(s, d);
}

/* Its jobs go; the destination stays while one of them is running, or has its turn to come. */
static void
leave_all(struct destination *d)
{
	while (d->first) {
		struct job *j = d->first;

		d->first = j->next;
		active_leave(j);
	}
	d->last = &d->first;
}

void
schedule_drain(struct schedule *s)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct destination *d = s->bucket[i]; d; d = d->next)
			leave_all(d);
	while (s->turn)
		destination_settle(s, take_turn(s));
}

void
schedule_withdraw(struct schedule *s, struct work *w)
{
	const struct envelope *e = &w->message->envelope;

	for (size_t i = 0; i < e->nrcpts; i++) {
		struct destination *d = find(s, e->rcpts[i].nexthop);

		if (!d)
			continue;
		d->last = &d->first;
		for (struct job **at = &d->first; *at; ) {
			struct job *j = *at;

			if (j->work == w) {
				*at = j->next;
				active_leave(j);
			} else {
				at = &j->next;
				d->last = at;
			}
		}
		destination_settle(s, d);
	}
}

void
schedule_slow(struct schedule *s, struct bytes nexthop)
{
	struct destination *d = find(s, nexthop);

	if (d)
		d->slow = true;
}

bool
schedule_is_slow(struct schedule *s, struct bytes nexthop)
{
	struct destination *d = find(s, nexthop);

	return peers_count(s->locals) == 0 || (d && (d->slow || d->first));
}

static void
look_again(void *arg)
{
	schedule_run(arg);
}

struct schedule *
schedule_new(struct qmgr *m)
{
	struct schedule *s = mem_alloc(sizeof *s);

	s->qmgr = m;
	s->locals = daemon_peers(m->daemon, "local");
	s->turn_last = &s->turn;
	timer_init(&s->nobody, &m->daemon->loop, look_again, s);
	return s;
}

/* Only at the end of the process: what is still queued goes with it. */
void
schedule_free(struct schedule **taken)
{
	timer_clear(&(*taken)->nobody);
	mem_free(*taken);
	*taken = NULL;
}
