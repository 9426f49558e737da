/* SPDX-License-Identifier: ISC */
/*
 * qmgr/active.c - one message: its recipients, what became of them, what comes next.
 *
 * Results are in memory first. A message that is done is removed; one that is
 * not is written before anything else happens to it. While other recipients
 * are still being served, results are written after a second: a crash within it
 * delivers those twice, and loses none.
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
#define REPLY_MAX	256	/* octets of a reply that are kept with a recipient */
#define SAVE_MS		1000	/* results are on disk by then */
#define SAVE_AGAIN_MS	10000	/* when they could not be written */
#define TROUBLE_MS	10000	/* a file that cannot be read: look again */
#define RETRY_EXACT_MS	120000	/* waits up to this are not rounded to a minute */

static void	fill(struct qmgr *m, struct work *w);
static void	mark_saved(struct work *w);
static void	save_due(void *qmgr);

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
	timer_init(&m->save_timer, &m->daemon->loop, save_due, m);
}

/* Nothing is in memory. At the end the next qmgr has waited for that. */
static void
settled(struct qmgr *m)
{
	if (m->daemon->draining)
		scan_release(m->scan);
	daemon_settled(m->daemon);
}

void
active_forget(struct qmgr *m, struct work *w)
{
	struct work **at = bucket_of(m, w->message->id);

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	m->count--;
	mark_saved(w);
	early_free(m, w);
	buf_fini(&w->segments);
	queue_message_free(&w->message);	/* and with it our hold of the lock */
	mem_free(w);
	if (m->count == m->settings->active_limit * 3 / 4)
		scan_room(m->scan);
	if (m->count == 0)
		settled(m);
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

/* ---- results to disk ---- */

static void
mark_unsaved(struct qmgr *m, struct work *w, uint64_t after_ms)
{
	if (w->unsaved_ms == 0) {
		w->next_unsaved = m->unsaved;
		w->unsaved_at = &m->unsaved;
		if (w->next_unsaved)
			w->next_unsaved->unsaved_at = &w->next_unsaved;
		m->unsaved = w;
	}
	w->unsaved_ms = clock_mono_ms() + after_ms;
	if (!m->save_timer.set)
		timer_set(&m->save_timer, after_ms);
}

static void
mark_saved(struct work *w)
{
	if (w->unsaved_ms == 0)
		return;
	*w->unsaved_at = w->next_unsaved;
	if (w->next_unsaved)
		w->next_unsaved->unsaved_at = w->unsaved_at;
	w->unsaved_ms = 0;
}

/* False: later again. What is known must not be lost, or it is done twice. */
static bool
save(struct qmgr *m, struct work *w)
{
	if (queue_update(&m->queue, w->message)) {
		mark_saved(w);
		return true;
	}
	mark_unsaved(m, w, SAVE_AGAIN_MS);
	return false;
}

/* ---- what comes next ---- */

struct tally { uint32_t waiting, failed; };

static struct tally
tally(const struct envelope *e)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < e->nrcpts; i++) {
		t.waiting += e->rcpts[i].state == RCPT_WAITING;
		t.failed += e->rcpts[i].state == RCPT_FAILED;
	}
	return t;
}

static bool
is_expired(const struct qmgr *m, const struct envelope *e)
{
	int64_t until = e->expiry_s > 0 ? e->expiry_s
	    : e->arrival_s + (int64_t)(m->settings->lifetime_ms / 1000);

	return clock_wall_s() >= until && clock_guard_sure(&m->clock, clock_mono_ms());
}

static void
expire(struct work *w)
{
	struct envelope *e = &w->message->envelope;

	for (size_t i = 0; i < e->nrcpts; i++) {
		struct recipient *r = &e->rcpts[i];

		if (r->state != RCPT_WAITING)
			continue;
		r->state = RCPT_FAILED;
		if (r->changed == RCPT_SAME)
			r->changed = RCPT_STATE_CHANGED;
		log_info("%s: to=<%s> status=expired reply=\"%s\"", w->message->id, log_text(r->final),
		    log_text(r->last_reply));
	}
}

static const struct recipient *
first_failed(const struct envelope *e)
{
	for (size_t i = 0; i < e->nrcpts; i++)
		if (e->rcpts[i].state == RCPT_FAILED)
			return &e->rcpts[i];
	return NULL;
}

/* Nobody is left to be served, but somebody was not: until the sender can be told, a person has to look. */
static void
hold(struct qmgr *m, struct work *w)
{
	struct queue_message *q = w->message;
	const struct recipient *r = first_failed(&q->envelope);

	must(r != NULL);
	q->envelope.hold_reason = arena_fmt(q->arena, "not delivered to <%.*s>: %.*s",
	    BYTES_FMT(r->final), BYTES_FMT(r->last_reply));
	if (!save(m, w))
		return;
	log_warn("%s: status=held reason=\"%s\"", q->id, log_text(q->envelope.hold_reason));
	queue_move(&m->queue, q, QUEUE_HOLD);
	active_forget(m, w);
}

/* It comes back when its bucket is due, or exactly, when that is soon. */
static void
wait_until(struct qmgr *m, const struct queue_message *q, uint64_t wait_ms)
{
	if (q->place == QUEUE_LATER)
		scan_due(m->scan, q->envelope.next_s);
	if (wait_ms <= RETRY_EXACT_MS)
		scan_again(m->scan, q->place, q->name, wait_ms);
}

/* Milliseconds from now. */
static uint64_t
next_attempt(struct qmgr *m, const struct work *w)
{
	const struct qmgr_settings *s = m->settings;
	uint32_t chance;

	random_fill(&chance, sizeof chance);
	return retry_backoff_ms(w->message->envelope.attempts, w->uncertain ? s->uncertain_backoff_ms
	    : s->minimal_backoff_ms, s->maximal_backoff_ms, chance);
}

static void
wait_for_retry(struct qmgr *m, struct work *w)
{
	struct queue_message *q = w->message;

	if (w->wait_ms == 0) {
		w->wait_ms = next_attempt(m, w);
		q->envelope.next_s = clock_wall_s() + (int64_t)((w->wait_ms + 999) / 1000);
	}
	if (!save(m, w))
		return;
	queue_move(&m->queue, q, QUEUE_LATER);
	wait_until(m, q, w->wait_ms);
	active_forget(m, w);
}

/* Every recipient was looked at, and no delivery is on its way. May free w. */
static void
conclude(struct qmgr *m, struct work *w)
{
	struct envelope *e = &w->message->envelope;
	struct tally t = tally(e);

	if (w->early) {
		early_conclude(m, w);
		return;
	}
	if (w->left) {			/* the next qmgr finds it where it is */
		if (w->unsaved_ms == 0 || save(m, w))
			active_forget(m, w);
		return;
	}
	if (!w->concluded) {
		w->concluded = true;
		e->attempts++;
		if (t.waiting > 0 && is_expired(m, e)) {
			expire(w);
			t = tally(e);
		}
	}
	if (t.waiting > 0) {
		wait_for_retry(m, w);
	} else if (t.failed > 0) {
		hold(m, w);
	} else if (queue_remove(&m->queue, w->message)) {
		mark_saved(w);
		active_forget(m, w);
	} else {			/* at least nobody gets it twice */
		mark_unsaved(m, w, SAVE_AGAIN_MS);
	}
}

/*
 * Its state could not be written, perhaps because the disk is full: then nothing makes
 * room but to deliver. So it is tried again out of memory when its time has come; not
 * where somebody else may still be at it, for our own lock would not show that.
 */
static void
conclude_again(struct qmgr *m, struct work *w)
{
	struct envelope *e = &w->message->envelope;

	if (w->left || w->uncertain || tally(e).waiting == 0 || clock_wall_s() < e->next_s) {
		conclude(m, w);
		return;
	}
	w->concluded = false;
	w->wait_ms = 0;
	w->next_rcpt = 0;
	fill(m, w);
	schedule_run(m->schedule);
}

static void
save_due(void *arg)
{
	struct qmgr *m = arg;
	uint64_t now = clock_mono_ms(), next = UINT64_MAX;
	struct work *w, *after;

	for (w = m->unsaved; w; w = after) {
		after = w->next_unsaved;
		if (w->unsaved_ms > now)
			next = w->unsaved_ms < next ? w->unsaved_ms : next;
		else if (w->concluded || (w->left && w->jobs == 0))
			conclude_again(m, w);
		else
			save(m, w);
	}
	if (next != UINT64_MAX && !m->save_timer.set)
		timer_set(&m->save_timer, next - now);
}

/* ---- results ---- */

static void
keep_reply(struct work *w, struct recipient *r, struct bytes status, struct bytes reply)
{
	struct bytes old = r->last_reply;

	reply = bytes_head(reply, REPLY_MAX);
	if (old.n == status.n + 1 + reply.n && bytes_starts(old, status) && bytes_ends(old, reply))
		return;
	r->last_reply = arena_fmt(w->message->arena, "%.*s %.*s", BYTES_FMT(status), BYTES_FMT(reply));
}

static void
log_result(const struct job *j, const char *what, bool last)
{
	const struct recipient *r = job_recipient(j);
	const struct envelope *e = &j->work->message->envelope;
	bool same = bytes_eq(r->original, r->final);

	log_info("%s: to=<%s>%s%s%s status=%s delay=%lld reply=\"%s\"%s", j->work->message->id, log_text(r->final),
	    same ? "" : " orig_to=<", same ? "" : log_text(r->original), same ? "" : ">", what,
	    (long long)(clock_wall_s() - e->arrival_s), log_text(r->last_reply), last ? " removed" : "");
}

void
active_result(struct job *j, enum outcome outcome, bool certain, struct bytes status, struct bytes reply)
{
	static const char *const what[] = { [TRY_LATER] = "deferred", [DELIVERED] = "delivered", [BOUNCE] = "failed" };
	struct qmgr *m = j->qmgr;
	struct work *w = j->work;
	struct recipient *r = job_recipient(j);
	bool settled;

	r->attempts++;
	r->last_s = clock_wall_s();
	r->uncertain += !certain;
	w->uncertain = w->uncertain || !certain;
	r->state = outcome == DELIVERED ? RCPT_DELIVERED : outcome == BOUNCE ? RCPT_FAILED : RCPT_WAITING;
	if (r->changed == RCPT_SAME)
		r->changed = RCPT_STATE_CHANGED;
	keep_reply(w, r, status, reply);
	settled = w->jobs == 1 && w->next_rcpt == w->message->envelope.nrcpts && !w->left;
	log_result(j, certain ? what[outcome] : "uncertain", settled && outcome == DELIVERED
	    && tally(&w->message->envelope).waiting == 0 && !first_failed(&w->message->envelope));
	mem_free(j);
	w->jobs--;
	if (!settled && w->unsaved_ms == 0 && !w->early)
		mark_unsaved(m, w, SAVE_MS);
	fill(m, w);
}

/* ---- routing ---- */

static void
defer_unrouted(struct job *j, const char *status, struct bytes reply)
{
	active_result(j, TRY_LATER, true, text(status), reply);
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
	new.final = arena_copy(q->arena, r.final);
	new.transport = arena_copy(q->arena, r.transport);
	new.nexthop = arena_copy(q->arena, r.nexthop);
	new.mailbox = arena_copy(q->arena, r.mailbox);
	new.uid = r.uid;
	new.gid = r.gid;
	new.changed = RCPT_CHANGED;
	*job_recipient(j) = new;
	return rest.n == 0 || routes_add(e, &cap, q->arena, &new, routes);
}

static void
submit(struct job *j)
{
	if (bytes_eq(job_recipient(j)->transport, text("local")))
		schedule_add(j->qmgr->schedule, j);
	else
		defer_unrouted(j, "4.3.5", text("there is no way yet to deliver by this transport"));
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

/* The route that was found at RCPT serves the first attempt; afterwards it may be stale. */
static void
route(struct job *j)
{
	const struct recipient *r = job_recipient(j);
	struct qmgr *m = j->qmgr;

	if (r->attempts == 0 && j->work->message->envelope.attempts == 0 && r->transport.n > 0) {
		submit(j);
		return;
	}
	ipc_put_route_ask(&m->out, 0, &(struct ipc_route_ask){ .address = r->final });
	peers_call(m->router, &m->out, (unsigned)m->settings->route_timeout_ms, on_route, j);
}

/* Puts as many recipients on their way as the window holds. May free w. */
static void
fill(struct qmgr *m, struct work *w)
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
		conclude(m, w);
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
				conclude(m, w);
		}
	}
	if (m->count == 0)
		settled(m);
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
	if (q->place == QUEUE_LATER)
		return queue_move(&m->queue, q, QUEUE_ACTIVE);
	if (e->hold_reason.n > 0) {	/* a power cut undid the move */
		queue_move(&m->queue, q, QUEUE_HOLD);
		return false;
	}
	if (e->next_s > now && e->next_s <= latest) {
		if (queue_move(&m->queue, q, QUEUE_LATER))
			wait_until(m, q, (uint64_t)(e->next_s - now) * 1000);
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
	fill(m, w);
	schedule_run(m->schedule);
	return true;
}

void
active_placed(struct qmgr *m, struct work *w)
{
	const struct envelope *e = &w->message->envelope;

	for (size_t i = 0; i < e->nrcpts && w->unsaved_ms == 0; i++)
		if (e->rcpts[i].changed != RCPT_SAME)
			mark_unsaved(m, w, SAVE_MS);
	if (w->jobs == 0)
		conclude(m, w);
}

static enum take
begin(struct qmgr *m, struct queue_message *q, bool found)
{
	struct work *w;
	enum take take;

	if (!queue_lock(q)) {
		queue_message_free(&q);
		return TAKE_LATER;
	}
	if (!fit(m, q, found, &take)) {
		queue_message_free(&q);
		return take;
	}
	w = mem_alloc(sizeof *w);
	w->message = q;
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

enum take
active_take(struct qmgr *m, enum queue_place place, const char *name, bool found)
{
	struct queue_message *q;

	if (active_find(m, id_of(name)))
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
	return TAKE_DONE;
}
