/* SPDX-License-Identifier: ISC */
/*
 * qmgr/active.c - one message: it is taken into memory, and its recipients are put on their way, so many at a
 * time. What becomes of them is in qmgr/settle.c.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/routes.h"
#include "mail/segments.h"
#include "qmgr/qmgr.h"

#define WINDOW		100	/* recipients of one message that are on their way */
#define SEGMENTS_MAX	49152	/* as in `deliver` */
#define TROUBLE_MS	10000	/* a file that cannot be read: look again */

/* ---- the table ---- */

static struct work **
bucket_of(struct qmgr *m, const char *id)
{
	return &m->table[hash_bytes(text(id)) % m->nbuckets];
}

struct work *
active_find(struct qmgr *m, struct bytes id)
{
	for (struct work *w = m->table[hash_bytes(id) % m->nbuckets]; w; w = w->next)
		if (bytes_eq(text(w->message->id), id))
			return w;
	return NULL;
}

struct work *
active_walk(struct qmgr *m, bool (*each)(struct work *, const void *), const void *arg)
{
	for (size_t i = 0; i < m->nbuckets; i++)
		for (struct work *w = m->table[i]; w; w = w->next)
			if (each(w, arg))
				return w;
	return NULL;
}

void
active_init(struct qmgr *m)
{
	m->nbuckets = m->settings->active_limit;
	m->table = mem_array(m->nbuckets, sizeof *m->table);
	settle_init(m);
}

void
active_forget(struct qmgr *m, struct work *w)
{
	struct work **at = bucket_of(m, w->message->id);

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	m->count--;
	settle_forget(w);
	early_free(m, w);
	down_forgot(m->downs, w);
	order_forget(w);
	buf_fini(&w->segments);
	queue_message_free(&w->message);	/* and with it our hold of the lock */
	mem_free(w);
	if (m->count == m->settings->active_limit * 3 / 4)
		scan_room(m->scan);
	if (m->count == 0)
		daemon_settled(m->daemon);
}

void
active_fini(struct qmgr *m)
{
	timer_clear(&m->save_timer);
	mem_free(m->table);		/* only at the end of the process */
}

uint32_t
active_jobs(void *qmgr)
{
	return (uint32_t)((struct qmgr *)qmgr)->count;
}

/* ---- routing ---- */

static void
defer_unrouted(struct job *j, const char *status, struct bytes reply)
{
	settle_result(j, &(struct result){ .outcome = TRY_LATER, .certain = true, .status = text(status), .reply = reply });
}

static bool
same_route(const struct recipient *old, const struct ipc_route *r)
{
	return bytes_eq(old->final, r->final) && bytes_eq(old->transport, r->transport) && bytes_eq(old->nexthop, r->nexthop)
	    && bytes_eq(old->mailbox, r->mailbox) && old->uid == r->uid && old->gid == r->gid;
}

/* The address goes elsewhere now, or to several: the first route is this recipient's, further ones
 * become recipients of their own. */
static bool
reroute(struct job *j, struct bytes routes)
{
	struct work *w = j->work;
	struct queue_message *q = w->message;
	struct envelope *e = &q->envelope;
	struct bytes rest = routes;
	struct recipient new = *job_recipient(j);
	struct ipc_in in;
	struct ipc_route r;
	size_t before = e->nrcpts, cap = before;
	bool bad = false;

	ipc_in_bytes(&in, ipc_cut_text(&rest, &bad));
	if (bad || !ipc_get_route(&in, &r))
		return false;
	if (!same_route(&new, &r)) {
		new.final = arena_copy(q->arena, r.final);
		new.transport = arena_copy(q->arena, r.transport);
		new.nexthop = arena_copy(q->arena, r.nexthop);
		new.mailbox = arena_copy(q->arena, r.mailbox);
		new.uid = r.uid;
		new.gid = r.gid;
		new.changed = RCPT_CHANGED;
		*job_recipient(j) = new;
	}
	return rest.n == 0 || routes_add(e, &cap, q->arena, &new, routes);
}

static void
submit(struct job *j)
{
	struct qmgr *m = j->qmgr;
	struct work *w = j->work;

	if (w->asked && w->left) {		/* while its route was looked for */
		active_leave(j);
		active_fill(m, w);
		return;
	}
	if (!schedule_knows(m->schedule, job_recipient(j)->transport))
		defer_unrouted(j, "4.3.5", text("there is no such transport here"));
	else if (down_keeps(m->downs, j))
		active_suspend(j);
	else
		schedule_add(m->schedule, j);
}

static void
on_route(void *arg, struct ipc_in *in)
{
	struct job *j = arg;
	struct schedule *s = j->qmgr->schedule;
	struct ipc_route_answer a;

	if (!in || in->type != IPC_route_answer || !ipc_get_route_answer(in, &a))
		defer_unrouted(j, "4.3.0", text("the router does not answer"));
	else if (a.verdict != YES)	/* it was taken with 250: what has changed since may change again */
		defer_unrouted(j, a.verdict == NO ? "4.1.1" : "4.3.0", a.reply);
	else if (!reroute(j, a.routes))
		defer_unrouted(j, "4.3.5", text("the router's answer cannot be used"));
	else
		submit(j);
	schedule_run(s);
}

/* The route that was found at RCPT serves the first attempt; afterwards, or when it has waited in down/, it may be stale. */
static void
route(struct job *j)
{
	const struct recipient *r = job_recipient(j);
	struct qmgr *m = j->qmgr;

	if (r->attempts == 0 && j->work->message->envelope.attempts == 0 && r->transport.n > 0 && j->work->hop[0] == '\0') {
		submit(j);
		return;
	}
	ipc_put_route_ask(&m->out, 0, &(struct ipc_route_ask){ .address = r->final });
	peers_call(m->router, &m->out, (unsigned)m->settings->route_timeout_ms, on_route, j);
}

void
active_fill(struct qmgr *m, struct work *w)
{
	if (w->filling)
		return;			/* a job that failed at once: the loop below goes on */
	w->filling = true;
	while (w->jobs < WINDOW && w->next_rcpt < w->message->envelope.nrcpts && !w->left) {
		uint32_t i = w->next_rcpt++;
		struct job *j;

		if (w->message->envelope.rcpts[i].state != RCPT_WAITING)
			continue;
		j = mem_alloc(sizeof *j);
		*j = (struct job){ .qmgr = m, .work = w, .rcpt = i };
		w->jobs++;
		route(j);
	}
	w->filling = false;
	if (w->jobs == 0)
		settle(m, w);
}

void
active_again(struct qmgr *m, struct work *w)
{
	w->concluded = w->tried = w->untold = w->withdrawn = false;
	w->wait_ms = 0;
	w->next_rcpt = 0;
	active_fill(m, w);
	schedule_run(m->schedule);
}

void
active_suspend(struct job *j)
{
	struct qmgr *m = j->qmgr;
	struct work *w = j->work;

	mem_free(j);
	w->jobs--;
	active_fill(m, w);
}

/* ---- the end of this qmgr ---- */

void
active_leave(struct job *j)
{
	j->work->left = true;
	j->work->jobs--;
	mem_free(j);
}

/* Deliveries on their way go on; what is not begun stays in the queue. */
void
active_drain(struct qmgr *m)
{
	for (size_t i = 0; i < m->nbuckets; i++) {
		struct work *w, *next;

		for (w = m->table[i]; w; w = next) {
			next = w->next;
			w->left = w->left || w->next_rcpt < w->message->envelope.nrcpts;
			if (w->jobs == 0 && w->left)
				settle(m, w);
		}
	}
	if (m->count == 0)
		daemon_settled(m->daemon);
}

/* ---- taking a message ---- */

/* True: it can be delivered. Else it is moved to where it belongs, and take says what the caller gets. */
static bool
fit(struct qmgr *m, struct queue_message *q, bool found, enum take *take)
{
	struct envelope *e = &q->envelope;
	int64_t now = clock_wall_s(), latest = now + (int64_t)(m->settings->maximal_backoff_ms / 1000) + CLOCK_JUMP_S;

	*take = TAKE_DONE;
	if (!found)
		return true;
	switch (queue_message_verify(q)) {
	case QUEUE_READ:	break;
	case QUEUE_GONE:	return false;
	case QUEUE_TROUBLE:	log_errno("%s: its content cannot be read", q->id);
				*take = TAKE_LATER;
				return false;
	default:		queue_set_aside(&m->queue, q->place, q->name);
				return false;
	}
	if (e->hold_reason.n > 0) {	/* a power cut undid the move */
		if (!queue_move(&m->queue, q, QUEUE_HOLD))
			*take = TAKE_LATER;
		return false;
	}
	if (q->place == QUEUE_LATER) {
		if (queue_move(&m->queue, q, QUEUE_ACTIVE))
			return true;
		*take = TAKE_LATER;
		return false;
	}
	if (q->place == QUEUE_DOWN)
		return true;
	if (e->next_s > now && e->next_s <= latest) {
		if (queue_move(&m->queue, q, QUEUE_LATER))
			scan_wait(m->scan, q, (uint64_t)(e->next_s - now) * 1000);
		else
			*take = TAKE_LATER;
		return false;
	}
	return true;
}

bool
active_begin(struct qmgr *m, struct work *w)
{
	struct work **at = bucket_of(m, w->message->id);

	buf_init(&w->segments, SEGMENTS_MAX);
	if (!envelope_segments(&w->message->envelope, &w->segments)
	    || !segments_size(buf_bytes(&w->segments), &w->octets)) {
		buf_fini(&w->segments);
		return false;
	}
	w->next = *at;
	*at = w;
	m->count++;
	down_took(m->downs, w);
	w->qmgr = m;
	control_taken(m->control, w);
	active_fill(m, w);
	schedule_run(m->schedule);
	return true;
}

static enum take
begin(struct qmgr *m, struct queue_message *q, bool found)
{
	struct work *w;
	enum take take;

	if (!queue_lock(q) || (found && !queue_message_is_current(&m->queue, q))) {
		queue_message_free(&q);
		return TAKE_LATER;
	}
	if (!fit(m, q, found, &take)) {
		queue_message_free(&q);
		return take;
	}
	w = mem_alloc(sizeof *w);
	w->message = q;
	if (q->place == QUEUE_DOWN)
		memcpy(w->hop, q->name, QUEUE_HASH);
	if (!active_begin(m, w)) {
		queue_set_aside(&m->queue, q->place, q->name);
		queue_message_free(&w->message);
		mem_free(w);
	}
	return TAKE_DONE;
}

static struct bytes
id_of(const char *name)
{
	struct bytes s = text(name);
	size_t slash = bytes_rfind(s, '/');

	if (slash < s.n)
		s = bytes_skip(s, slash + 1);
	return bytes_head(s, bytes_find(s, '-'));
}

bool
active_has(struct qmgr *m, const char *name)
{
	return active_find(m, id_of(name)) != NULL;
}

enum take
active_take(struct qmgr *m, enum queue_place place, const char *name, bool found)
{
	struct queue_message *q;

	if (active_has(m, name))
		return TAKE_DONE;
	if (m->count >= m->settings->active_limit)
		return TAKE_FULL;
	switch (queue_message_open(&m->queue, place, name, &q)) {
	case QUEUE_READ:
		return begin(m, q, found);
	case QUEUE_FOREIGN:
		log_warn("%s: status=held reason=\"it was written by a later version\"", q->id);
		queue_move(&m->queue, q, QUEUE_HOLD);
		queue_message_free(&q);
		return TAKE_DONE;
	case QUEUE_DAMAGED:
		queue_set_aside(&m->queue, place, name);
		return TAKE_DONE;
	case QUEUE_GONE:
		return TAKE_DONE;
	case QUEUE_TROUBLE:
		break;
	}
	log_errno("queue: %s/%s cannot be read", queue_place_name[place], log_text(text(name)));
	scan_again(m->scan, place, name, TROUBLE_MS);
	return TAKE_LATER;
}
