/* SPDX-License-Identifier: ISC */
/*
 * qmgr/schedule.c - deliveries: how many at once, to whom next.
 *
 * Each next hop has a queue of its own, of messages; those with something to do take turns. A slow one holds up
 * nobody but those who want to go there, and a message with many recipients goes to the end of the queue after each
 * delivery, behind those that came since.
 *
 * How many deliveries go to one next hop at once is its window: it begins with one, grows by one for each that finds the
 * other side willing, and is halved when one does not. A next hop that does not even take one is down (qmgr/down.c).
 */
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "qmgr/qmgr.h"

#define BUCKETS		4096
#define NOBODY_MS	200	/* nobody is there who delivers: look again */
#define IDLE_MAX	2000	/* next hops whose window is remembered while nothing goes there */
#define IDLE_MS		300000
#define KEY_MAX		(32 + 1 + 320)	/* transport, NUL, next hop */

enum class { URGENT, NORMAL, BULK, CLASSES };
#define LAST_TURN	8	/* each so manieth turn is of the lower classes that wait, lest they starve */

/* Jobs of one message that wait for one next hop. */
struct batch {
	struct batch	*next;		/* of the destination's queue */
	struct batch	*next_of_work;
	struct destination *destination;
	struct work	*work;
	enum class	 class;
	struct job	*first, **last;	/* owned */
};

struct batches { struct batch *first, **last; };

struct destination {
	struct destination *next;	/* of its bucket */
	struct destination *turn_next;	/* of those that have their turn to come */
	struct via	*via;
	struct bytes	 key;		/* owned: transport, NUL, next hop */
	struct bytes	 nexthop;	/* in it */
	struct batches	 waiting[CLASSES];
	size_t		 nwaiting;	/* batches */
	unsigned	 running;
	unsigned	 window;
	unsigned	 picks;
	uint64_t	 shrunk_ms;	/* when the window was halved */
	uint64_t	 idle_ms;	/* since when nothing goes there */
	bool		 in_turn;
	bool		 slow;		/* see schedule_slow */
};

struct turns { struct destination *first, **last; };

struct via {
	const char	*transport;
	struct peers	*peers;		/* borrowed; NULL: nobody delivers so */
	bool		 relays;	/* by smtp-client */
	unsigned	 running, most;
	uint64_t	 window_max;
	unsigned	 timeout_ms;
	unsigned	 picks;
	struct turns	 turns[CLASSES];
};

enum { VIA_LOCAL, VIA_SMTP, VIA_LMTP, VIAS };

struct schedule {
	struct qmgr	*qmgr;		/* borrowed */
	struct via	 via[VIAS];
	struct destination *bucket[BUCKETS];	/* owned */
	size_t		 n, idle;	/* of n: with nothing to do */
	struct timer	 nobody, forget;
};

/* ---- destinations ---- */

static struct via *
via_of(const struct schedule *s, struct bytes transport)
{
	for (size_t i = 0; i < VIAS; i++)
		if (s->via[i].peers && bytes_eq(transport, text(s->via[i].transport)))
			return (struct via *)&s->via[i];
	return NULL;
}

bool
schedule_knows(const struct schedule *s, struct bytes transport)
{
	return via_of(s, transport) != NULL;
}

static struct bytes
key_of(struct bytes transport, struct bytes nexthop, unsigned char room[KEY_MAX])
{
	must(transport.n + 1 + nexthop.n <= KEY_MAX);
	if (transport.n > 0)
		memcpy(room, transport.p, transport.n);
	room[transport.n] = '\0';
	if (nexthop.n > 0)
		memcpy(room + transport.n + 1, nexthop.p, nexthop.n);
	return bytes_of(room, transport.n + 1 + nexthop.n);
}

/* NULL: nothing has gone there lately. */
static struct destination *
find(const struct schedule *s, struct bytes transport, struct bytes nexthop)
{
	unsigned char room[KEY_MAX];
	struct bytes key = key_of(transport, nexthop, room);

	for (struct destination *d = s->bucket[hash_bytes(key) % BUCKETS]; d; d = d->next)
		if (bytes_eq(d->key, key))
			return d;
	return NULL;
}

static bool
is_idle(const struct destination *d)
{
	return d->nwaiting == 0 && d->running == 0 && !d->in_turn;
}

static struct destination *
destination_of(struct schedule *s, struct via *via, struct bytes nexthop)
{
	struct destination **at, *d = find(s, text(via->transport), nexthop);
	unsigned char room[KEY_MAX], *copy;
	struct bytes key;

	if (d) {
		s->idle -= is_idle(d);
		return d;
	}
	key = key_of(text(via->transport), nexthop, room);
	at = &s->bucket[hash_bytes(key) % BUCKETS];
	copy = mem_alloc(key.n);
	memcpy(copy, key.p, key.n);
	d = mem_alloc(sizeof *d);
	*d = (struct destination){ .next = *at, .via = via, .key = bytes_of(copy, key.n),
	    .window = via->relays ? 1 : (unsigned)via->window_max };
	d->nexthop = bytes_skip(d->key, strlen(via->transport) + 1);
	for (int c = 0; c < CLASSES; c++)
		d->waiting[c].last = &d->waiting[c].first;
	*at = d;
	s->n++;
	return d;
}

static void
destination_free(struct schedule *s, struct destination *d)
{
	struct destination **at = &s->bucket[hash_bytes(d->key) % BUCKETS];

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	s->n--;
	mem_free((void *)(uintptr_t)d->key.p);
	mem_free(d);
}

/* When it has nothing to do any more. What its window has come to is worth to be remembered for a while. */
static void
destination_settle(struct schedule *s, struct destination *d)
{
	if (!is_idle(d))
		return;
	if (!d->via->relays || d->window == 1 || s->idle >= IDLE_MAX) {
		destination_free(s, d);
		return;
	}
	d->idle_ms = clock_mono_ms();
	s->idle++;
	if (!s->forget.set)
		timer_set(&s->forget, IDLE_MS);
}

static void
forget_due(void *arg)
{
	struct schedule *s = arg;
	uint64_t now = clock_mono_ms();

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct destination *d = s->bucket[i], *next; d; d = next) {
			next = d->next;
			if (is_idle(d) && now - d->idle_ms >= IDLE_MS) {
				destination_free(s, d);
				s->idle--;
			}
		}
	if (s->idle > 0)
		timer_set(&s->forget, IDLE_MS);
}

/* ---- turns ---- */

static enum class
class_of(const struct qmgr *m, const struct work *w)
{
	const struct envelope *e = &w->message->envelope;

	if (e->mt_priority != 0)
		return e->mt_priority > 0 ? URGENT : BULK;
	return e->nrcpts >= m->settings->bulk_recipients ? BULK : NORMAL;
}

/* The highest that waits; now and then the lowest. */
static enum class
pick(const bool waits[CLASSES], unsigned *picks)
{
	int c = URGENT;

	if (++*picks % LAST_TURN == 0)
		for (c = waits[URGENT] && waits[NORMAL] && *picks % (2 * LAST_TURN) != 0 ? NORMAL : BULK; c > URGENT && !waits[c]; c--)
			;
	else
		while (c < BULK && !waits[c])
			c++;
	return (enum class)c;
}

/* At the end of the turns of its best message, if it may start one more. */
static void
give_turn(struct destination *d)
{
	enum class c = URGENT;
	struct turns *t;

	if (d->in_turn || d->nwaiting == 0 || d->running >= d->window)
		return;
	while (!d->waiting[c].first)
		c++;
	t = &d->via->turns[c];
	d->in_turn = true;
	d->turn_next = NULL;
	*t->last = d;
	t->last = &d->turn_next;
}

/* NULL: nobody has a turn to come. */
static struct destination *
take_turn(struct via *v)
{
	bool waits[CLASSES], any = false;
	struct destination *d;
	struct turns *t;

	for (int c = 0; c < CLASSES; c++) {
		waits[c] = v->turns[c].first != NULL;
		any = any || waits[c];
	}
	if (!any)
		return NULL;
	t = &v->turns[pick(waits, &v->picks)];
	d = t->first;
	t->first = d->turn_next;
	if (!t->first)
		t->last = &t->first;
	d->in_turn = false;
	return d;
}

/* ---- what waits ---- */

static void
put_last(struct destination *d, struct batch *b)
{
	struct batches *l = &d->waiting[b->class];

	b->next = NULL;
	*l->last = b;
	l->last = &b->next;
	d->nwaiting++;
}

static struct batch *
take_first(struct destination *d, struct batches *l)
{
	struct batch *b = l->first;

	l->first = b->next;
	if (!l->first)
		l->last = &l->first;
	d->nwaiting--;
	return b;
}

/* It holds no job any more. */
static void
batch_free(struct batch *b)
{
	struct batch **at = &b->work->batches;

	while (*at != b)
		at = &(*at)->next_of_work;
	*at = b->next_of_work;
	mem_free(b);
}

void
schedule_add(struct schedule *s, struct job *j)
{
	const struct recipient *r = job_recipient(j);
	struct destination *d = destination_of(s, via_of(s, r->transport), r->nexthop);
	struct batch *b = j->work->batches;

	while (b && b->destination != d)
		b = b->next_of_work;
	if (!b) {
		b = mem_alloc(sizeof *b);
		*b = (struct batch){ .destination = d, .work = j->work, .class = class_of(s->qmgr, j->work),
		    .next_of_work = j->work->batches };
		b->last = &b->first;
		j->work->batches = b;
		put_last(d, b);
	}
	j->next = NULL;
	*b->last = j;
	b->last = &j->next;
	give_turn(d);
}

bool
schedule_is_crowded(struct schedule *s, struct bytes transport, struct bytes nexthop)
{
	const struct destination *d = find(s, transport, nexthop);

	return d && d->via->relays && d->nwaiting >= s->qmgr->settings->destination_limit;
}

/* ---- one delivery ---- */

/* As many jobs as go into one, in order. */
static void
take_jobs(struct delivery *x, struct batch *b, const struct qmgr_settings *s)
{
	struct job **last = &x->first;
	size_t octets = 0;

	while (b->first) {
		struct job *j = b->first;

		octets += deliver_rcpt_octets(job_recipient(j));
		if (x->n > 0 && (!x->via->relays || x->n == s->smtp_recipient_limit || octets > DELIVER_RCPT_OCTETS))
			break;
		b->first = j->next;
		j->next = NULL;
		*last = j;
		last = &j->next;
		x->n++;
	}
	if (!b->first)
		b->last = &b->first;
}

static void
start(struct schedule *s, struct destination *d)
{
	struct delivery *x = mem_alloc(sizeof *x);
	bool waits[CLASSES];
	struct batch *b;

	for (int c = 0; c < CLASSES; c++)
		waits[c] = d->waiting[c].first != NULL;
	b = take_first(d, &d->waiting[pick(waits, &d->picks)]);
	*x = (struct delivery){ .qmgr = s->qmgr, .destination = d, .via = d->via, .work = b->work,
	    .began_ms = clock_mono_ms() };
	take_jobs(x, b, s->qmgr->settings);
	if (b->first)
		put_last(d, b);
	else
		batch_free(b);
	d->running++;
	d->via->running++;
	if (d->via->relays)
		deliver_relay(x, d->via->peers, d->via->timeout_ms, text(d->via->transport), d->nwaiting > 0);
	else
		deliver_local(x, d->via->peers, d->via->timeout_ms);
}

static void
run(struct schedule *s, struct via *v)
{
	struct destination *d;

	while (v->running < v->most && peers_count(v->peers) > 0 && (d = take_turn(v))) {
		if (d->nwaiting > 0 && d->running < d->window)
			start(s, d);
		give_turn(d);
		destination_settle(s, d);	/* what waited may have been withdrawn */
	}
	/* Being restarted: none of what waits is uncertain. */
	if (peers_count(v->peers) == 0 && !s->nobody.set)
		for (int c = 0; c < CLASSES; c++)
			if (v->turns[c].first)
				timer_set(&s->nobody, NOBODY_MS);
}

void
schedule_run(struct schedule *s)
{
	for (size_t i = 0; i < VIAS; i++)
		if (s->via[i].peers)
			run(s, &s->via[i]);
}

/* ---- what it says of the next hop ---- */

/* True: it does not even take one. */
static bool
window_change(struct destination *d, const struct delivery *x, enum relay_contact contact)
{
	if (contact == CONTACT_GOOD && d->window < d->via->window_max)
		d->window++;
	if (contact != CONTACT_BUSY && contact != CONTACT_FAILED)
		return false;
	if (d->window == 1)
		return true;
	if (x->began_ms >= d->shrunk_ms) {	/* those that began before have the same news */
		d->window /= 2;
		d->shrunk_ms = clock_mono_ms();
	}
	return false;
}

void
schedule_done(struct delivery *x, enum relay_contact contact, const struct result *r)
{
	struct schedule *s = x->qmgr->schedule;
	struct destination *d = x->destination;
	struct via *v = d->via;
	bool down;

	d->slow = d->slow && contact == CONTACT_NONE;
	down = v->relays && window_change(d, x, contact);
	if (v->relays && (down || contact == CONTACT_GOOD))
		down_contact(x->qmgr->downs, text(v->transport), d->nexthop, contact, r);
	v->running--;
	d->running--;
	give_turn(d);
	destination_settle(s, d);
}

/* ---- what is taken back ---- */

static void
take_back(struct destination *d, void (*each)(struct job *, void *), void *arg)
{
	for (int c = 0; c < CLASSES; c++)
		while (d->waiting[c].first) {
			struct batch *b = take_first(d, &d->waiting[c]);
			struct job *j = b->first, *next;

			batch_free(b);
			for (; j; j = next) {
				next = j->next;
				each(j, arg);
			}
		}
}

static void
leave(struct job *j, void *arg)
{
	(void)arg;
	active_leave(j);
}

/* Those that need not wait for it. They come into the queues again when these are empty. */
struct exempt { struct job *first, **last; };

static void
suspend(struct job *j, void *exempt)
{
	struct exempt *e = exempt;

	if (!down_exempts(j->qmgr->downs, j)) {
		active_suspend(j);
		return;
	}
	j->next = NULL;
	*e->last = j;
	e->last = &j->next;
}

void
schedule_drain(struct schedule *s)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct destination *d = s->bucket[i]; d; d = d->next)
			take_back(d, leave, NULL);
	timer_clear(&s->forget);
}

void
schedule_suspend(struct schedule *s, struct bytes transport, struct bytes nexthop)
{
	struct destination *d = find(s, transport, nexthop);
	struct exempt exempt = { .last = &exempt.first };
	struct job *j, *next;

	if (!d)
		return;
	d->running++;			/* it stays while messages leave it */
	take_back(d, suspend, &exempt);
	for (j = exempt.first; j; j = next) {
		next = j->next;
		schedule_add(s, j);
	}
	d->running--;
	destination_settle(s, d);
}

/* The batch is anywhere in one of the destination's queues. */
static void
cut_out(struct destination *d, struct batch *b)
{
	struct batches *l = &d->waiting[b->class];
	struct batch **at = &l->first;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	if (!*at)
		l->last = at;
	d->nwaiting--;
}

void
schedule_withdraw(struct schedule *s, struct work *w)
{
	while (w->batches) {
		struct batch *b = w->batches;
		struct destination *d = b->destination;
		struct job *j = b->first, *next;

		cut_out(d, b);
		batch_free(b);
		for (; j; j = next) {
			next = j->next;
			active_leave(j);
		}
		destination_settle(s, d);
	}
}

/* ---- early deliveries are to mailboxes here ---- */

void
schedule_slow(struct schedule *s, struct bytes nexthop)
{
	struct destination *d = find(s, text(s->via[VIA_LOCAL].transport), nexthop);

	if (d)
		d->slow = true;
}

bool
schedule_is_slow(struct schedule *s, struct bytes nexthop)
{
	struct destination *d = find(s, text(s->via[VIA_LOCAL].transport), nexthop);

	return peers_count(s->via[VIA_LOCAL].peers) == 0 || (d && (d->slow || d->nwaiting > 0));
}

/* ---- life ---- */

static void
look_again(void *arg)
{
	schedule_run(arg);
}

static void
via_init(struct via *v, const char *transport, struct peers *peers, uint64_t most, uint64_t window_max, uint64_t timeout_ms)
{
	*v = (struct via){ .transport = transport, .peers = peers, .most = (unsigned)most, .window_max = window_max,
	    .timeout_ms = (unsigned)timeout_ms };
	for (int c = 0; c < CLASSES; c++)
		v->turns[c].last = &v->turns[c].first;
}

struct schedule *
schedule_new(struct qmgr *m)
{
	const struct qmgr_settings *set = m->settings;
	struct peers *client = daemon_peers(m->daemon, "smtp-client");
	struct schedule *s = mem_alloc(sizeof *s);

	s->qmgr = m;
	via_init(&s->via[VIA_LOCAL], "local", daemon_peers(m->daemon, "local"), set->local_concurrency,
	    set->local_destination_concurrency, set->local_timeout_ms);
	via_init(&s->via[VIA_SMTP], "smtp", client, set->smtp_concurrency, set->smtp_destination_concurrency,
	    set->smtp_timeout_ms);
	via_init(&s->via[VIA_LMTP], "lmtp", client, set->smtp_concurrency, set->smtp_destination_concurrency,
	    set->smtp_timeout_ms);
	s->via[VIA_SMTP].relays = s->via[VIA_LMTP].relays = true;
	timer_init(&s->nobody, &m->daemon->loop, look_again, s);
	timer_init(&s->forget, &m->daemon->loop, forget_due, s);
	return s;
}

/* Only at the end of the process: what is still queued goes with it. */
void
schedule_free(struct schedule **taken)
{
	timer_clear(&(*taken)->nobody);
	timer_clear(&(*taken)->forget);
	mem_free(*taken);
	*taken = NULL;
}
