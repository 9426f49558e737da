/* SPDX-License-Identifier: ISC */
/*
 * qmgr/settle.c - what became of a message's recipients, and what comes next.
 *
 * Results are in memory first. A message that is done is removed; one that is
 * not is written before anything else happens to it. While other recipients
 * are still being served, results are written after a second: a crash within it
 * delivers those twice, and loses none.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/queue_down.h"
#include "qmgr/qmgr.h"

#define REPLY_MAX	256	/* octets of a reply that are kept with a recipient */
#define REMOTE_MAX	320
#define SAID_MAX	1024
#define SAVE_MS		1000	/* results are on disk by then */
#define SAVE_AGAIN_MS	10000	/* when they could not be written */
#define TELL_AGAIN_MS	60000	/* when the sender could not be told: at most so long */

static void	save_due(void *qmgr);

void
settle_init(struct qmgr *m)
{
	timer_init(&m->save_timer, &m->daemon->loop, save_due, m);
}

/* ---- results to disk ---- */

static void
set_save(struct qmgr *m, uint64_t due_ms)
{
	uint64_t now = clock_mono_ms();

	if (m->save_timer.set && m->save_ms <= due_ms)
		return;
	m->save_ms = due_ms;
	timer_set(&m->save_timer, due_ms > now ? due_ms - now : 0);
}

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
	set_save(m, w->unsaved_ms);
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

void
settle_forget(struct work *w)
{
	mark_saved(w);
}

bool
settle_save(struct qmgr *m, struct work *w)
{
	if (queue_update(&m->queue, w->message)) {
		mark_saved(w);
		w->dirty = false;
		return true;
	}
	mark_unsaved(m, w, SAVE_AGAIN_MS);
	return false;
}

/* Does the file say what is known? */
static bool
is_saved(const struct work *w)
{
	const struct envelope *e = &w->message->envelope;

	if (w->unsaved_ms != 0 || w->dirty || w->message->rewrite)
		return false;
	for (size_t i = 0; i < e->nrcpts; i++)
		if (e->rcpts[i].changed != RCPT_SAME)
			return false;
	return true;
}

/* ---- what there is ---- */

struct tally { uint32_t waiting, failed, passed; };

static struct tally
tally(const struct envelope *e)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < e->nrcpts; i++) {
		t.waiting += e->rcpts[i].state == RCPT_WAITING;
		t.failed += e->rcpts[i].state == RCPT_FAILED;
		t.passed += e->rcpts[i].state == RCPT_PASSED;
	}
	return t;
}

static void
set_state(struct recipient *r, enum rcpt_state state)
{
	r->state = state;
	if (r->changed == RCPT_SAME)
		r->changed = RCPT_STATE_CHANGED;
}

/* ---- a message that is too old ---- */

static bool
is_sure(const struct qmgr *m)
{
	return clock_guard_sure(&m->clock, clock_wall_s(), clock_mono_ms());
}

static bool
is_expired(const struct qmgr *m, const struct envelope *e)
{
	uint64_t lifetime_ms = e->sender.n > 0 ? m->settings->lifetime_ms : m->settings->bounce_lifetime_ms;
	int64_t until = e->expiry_s > 0 ? e->expiry_s : e->arrival_s + (int64_t)(lifetime_ms / 1000);

	return clock_wall_s() >= until && is_sure(m);
}

/* Of a recipient that waited in down/, the next hop's note has the last words. */
static void
take_note(const struct qmgr *m, struct work *w, struct recipient *r)
{
	const struct queue_down *d = down_note(m->downs, r->nexthop);
	struct arena *a = w->message->arena;

	if (!d || !bytes_eq(d->transport, r->transport) || d->reply.n == 0)
		return;
	r->last_reply = arena_copy(a, bytes_head(d->reply, REPLY_MAX));
	r->remote = arena_copy(a, d->remote);
	r->command = arena_copy(a, d->command);
	r->said = arena_copy(a, d->said);
}

static void
expire(const struct qmgr *m, struct work *w)
{
	struct envelope *e = &w->message->envelope;

	for (size_t i = 0; i < e->nrcpts; i++) {
		struct recipient *r = &e->rcpts[i];

		if (r->state != RCPT_WAITING)
			continue;
		take_note(m, w, r);
		set_state(r, RCPT_FAILED);
		log_info("%s: to=<%s> status=expired reply=\"%s\"", w->message->id, log_value(r->final),
		    log_text(r->last_reply));
	}
}

/* Is the sender to be told now that it takes long? Bounce knows who wants that. */
static bool
is_delayed(const struct qmgr *m, const struct envelope *e)
{
	return m->settings->delay_warning_ms > 0 && !e->delay_told && e->sender.n > 0
	    && clock_wall_s() >= e->arrival_s + (int64_t)(m->settings->delay_warning_ms / 1000) && is_sure(m);
}

/* ---- where it goes ---- */

/* A person has to look; its envelope says why. */
static void
hold(struct qmgr *m, struct work *w)
{
	struct queue_message *q = w->message;

	if (!settle_save(m, w))
		return;			/* save_due comes back to it */
	log_warn("%s: status=held reason=\"%s\"", q->id, log_text(q->envelope.hold_reason));
	queue_move(&m->queue, q, QUEUE_HOLD);
	active_forget(m, w);
}

/* Milliseconds from now. */
static uint64_t
next_attempt(struct qmgr *m, const struct work *w)
{
	const struct qmgr_settings *s = m->settings;
	const struct envelope *e = &w->message->envelope;
	uint32_t chance, attempts = e->attempts > 0 ? e->attempts : 1;

	if (tally(e).waiting == 0)
		return s->minimal_backoff_ms < TELL_AGAIN_MS ? s->minimal_backoff_ms : TELL_AGAIN_MS;
	random_fill(&chance, sizeof chance);
	if (w->interrupted)
		return retry_backoff_ms(attempts, s->uncertain_backoff_ms, s->maximal_backoff_ms, chance);
	/* What another host may have taken is tried half as often: each attempt may be another copy. */
	return retry_backoff_ms(w->uncertain ? attempts + 1 : attempts, s->minimal_backoff_ms, s->maximal_backoff_ms, chance);
}

static void
wait_for_retry(struct qmgr *m, struct work *w)
{
	struct queue_message *q = w->message;

	if (w->wait_ms == 0) {
		w->wait_ms = next_attempt(m, w);
		q->envelope.next_s = clock_wall_s() + (int64_t)((w->wait_ms + 999) / 1000);
	}
	if (!settle_save(m, w))
		return;
	queue_move(&m->queue, q, QUEUE_LATER);
	scan_wait(m->scan, q, w->wait_ms);
	active_forget(m, w);
}

/* All who wait have one next hop, which is down: it waits with the others, and nothing has to be written. */
static bool
wait_for_hop(struct qmgr *m, struct work *w)
{
	struct queue_message *q = w->message;
	uint64_t flushed_ms = w->flushed_ms;
	char hash[QUEUE_HASH + 1];

	if (!queue_hop(&q->envelope, hash) || !down_has(m->downs, hash, w) || w->uncertain || w->untold)
		return false;
	if (!is_saved(w) && !settle_save(m, w))
		return true;			/* save_due comes back to it */
	if (!queue_move(&m->queue, q, QUEUE_DOWN) && queue_message_is_placed(&m->queue, q)) {
		mark_unsaved(m, w, SAVE_AGAIN_MS);
		return true;
	}
	active_forget(m, w);
	if (flushed_ms > 0)
		(void)down_flush(m->downs, hash, flushed_ms);
	return true;
}

static void
wait(struct qmgr *m, struct work *w)
{
	if (!wait_for_hop(m, w))
		wait_for_retry(m, w);
}

static void
done(struct qmgr *m, struct work *w)
{
	if (queue_message_names(w->message) > 1 && !is_saved(w) && !settle_save(m, w))
		return;			/* by its other name it would be delivered again */
	if (queue_remove(&m->queue, w->message)) {
		mark_saved(w);
		active_forget(m, w);
	} else {			/* at least nobody gets it twice */
		mark_unsaved(m, w, SAVE_AGAIN_MS);
	}
}

/* ---- telling the sender ---- */

static void
mark_told(struct envelope *e, enum notice_kind kind)
{
	for (size_t i = 0; i < e->nrcpts && kind == NOTICE_FINAL; i++) {
		if (e->rcpts[i].state == RCPT_FAILED)
			set_state(&e->rcpts[i], RCPT_TOLD);
		else if (e->rcpts[i].state == RCPT_PASSED)
			set_state(&e->rcpts[i], RCPT_DELIVERED);
	}
	if (kind == NOTICE_DELAY)
		e->delay_told = 1;
}

void
settle_told(struct qmgr *m, struct work *w, enum notice_kind kind, enum notice_result result, struct bytes reply)
{
	w->telling = false;
	switch (result) {
	case NOTICE_SENT:
	case NOTICE_NEEDLESS:
		mark_told(&w->message->envelope, kind);
		w->dirty = true;
		break;
	case NOTICE_HOLD:
		w->message->envelope.hold_reason = arena_copy(w->message->arena, reply);
		w->dirty = true;
		break;
	case NOTICE_LATER:
		log_warn("%s: the sender cannot be told yet: %s", w->message->id, log_text(reply));
		w->untold = true;
		break;
	}
	settle(m, w);
}

/* Bounce reads in the file what has become of the recipients. */
static void
ask_bounce(struct qmgr *m, struct work *w, enum notice_kind kind)
{
	if (!is_saved(w) && !settle_save(m, w))
		return;
	w->telling = true;
	tell_sender(m, w, kind);
}

/* ---- conclusion ---- */

/* The next qmgr finds it where it is. */
static void
leave(struct qmgr *m, struct work *w)
{
	if (is_saved(w) || settle_save(m, w))
		active_forget(m, w);
}

/* Once, when the last delivery has come back. */
static void
conclude(struct qmgr *m, struct work *w)
{
	struct envelope *e = &w->message->envelope;

	w->concluded = true;
	if (w->tried) {
		e->attempts++;
		w->dirty = true;
	}
	if (tally(e).waiting > 0 && is_expired(m, e))
		expire(m, w);
}

void
settle(struct qmgr *m, struct work *w)
{
	struct envelope *e = &w->message->envelope;
	struct tally t;

	if (w->telling)
		return;
	if (w->early) {
		early_conclude(m, w);
		return;
	}
	if (order_conclude(m, w))
		return;
	if (w->left) {
		leave(m, w);
		return;
	}
	if (w->withdrawn && !w->tried && !w->concluded) {	/* the order could not be obeyed: it goes on its way */
		active_again(m, w);
		return;
	}
	if (e->hold_reason.n > 0) {	/* it was to be held, and that could not be written */
		hold(m, w);
		return;
	}
	if (!w->concluded)
		conclude(m, w);
	t = tally(e);
	if (t.failed + t.passed > 0 && m->daemon->draining)
		leave(m, w);		/* the next qmgr's bounce tells it: ours may be gone */
	else if (t.failed + t.passed > 0 && !w->untold)
		ask_bounce(m, w, NOTICE_FINAL);
	else if (t.waiting > 0 && is_delayed(m, e) && !w->untold && !m->daemon->draining)
		ask_bounce(m, w, NOTICE_DELAY);
	else if (t.waiting + t.failed + t.passed > 0)
		wait(m, w);
	else
		done(m, w);
}

void
settle_placed(struct qmgr *m, struct work *w)
{
	const struct envelope *e = &w->message->envelope;

	for (size_t i = 0; i < e->nrcpts && w->unsaved_ms == 0; i++)
		if (e->rcpts[i].changed != RCPT_SAME)
			mark_unsaved(m, w, SAVE_MS);
	if (w->jobs == 0)
		settle(m, w);
}

/*
 * Its state could not be written, perhaps because the disk is full: then nothing makes
 * room but to deliver. So it is tried again out of memory when its time has come; not
 * where somebody else may still be at it, for our own lock would not show that.
 */
static void
settle_again(struct qmgr *m, struct work *w)
{
	struct envelope *e = &w->message->envelope;

	if (w->left || w->uncertain || e->hold_reason.n > 0 || tally(e).waiting == 0 || clock_wall_s() < e->next_s)
		settle(m, w);
	else
		active_again(m, w);
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
		else if (w->telling)
			settle_save(m, w);
		else if (w->concluded || (w->left && w->jobs == 0))
			settle_again(m, w);
		else
			settle_save(m, w);
	}
	if (next != UINT64_MAX)
		set_save(m, next);
}

/* ---- results ---- */

/* Only what differs: recipients are many, and share what was said. */
static void
keep(struct arena *a, struct bytes *where, struct bytes what, size_t max)
{
	what = bytes_head(what, max);
	if (!bytes_eq(*where, what))
		*where = what.n > 0 ? arena_copy(a, what) : (struct bytes){ 0 };
}

static void
keep_reply(struct work *w, struct recipient *r, const struct result *x)
{
	struct bytes old = r->last_reply, reply = bytes_head(x->reply, REPLY_MAX);
	struct arena *a = w->message->arena;

	if (old.n != x->status.n + 1 + reply.n || !bytes_starts(old, x->status) || !bytes_ends(old, reply))
		r->last_reply = arena_fmt(a, "%.*s %.*s", BYTES_FMT(x->status), BYTES_FMT(reply));
	keep(a, &r->remote, x->remote, REMOTE_MAX);
	keep(a, &r->command, x->command, REMOTE_MAX);
	keep(a, &r->said, x->said, SAID_MAX);
}

/* " name=text", or nothing. */
static const char *
log_fact(const char *name, struct bytes s, char *room, size_t cap)
{
	room[0] = '\0';
	if (s.n > 0)
		snprintf(room, cap, " %s=%s", name, log_text(s));
	return room;
}

static void
log_result(const struct job *j, const struct result *x, const char *what, bool last)
{
	const struct recipient *r = job_recipient(j);
	const struct envelope *e = &j->work->message->envelope;
	bool same = bytes_eq(r->original, r->final);
	char relay[REMOTE_MAX + 40], tls[200];

	log_info("%s: to=<%s>%s%s%s%s%s status=%s delay=%lld reply=\"%s\"%s", j->work->message->id, log_value(r->final),
	    same ? "" : " orig_to=<", same ? "" : log_value(r->original), same ? "" : ">",
	    log_fact("relay", r->remote, relay, sizeof relay), log_fact("tls", x->tls, tls, sizeof tls), what,
	    (long long)(clock_wall_s() - e->arrival_s), log_text(r->last_reply), last ? " removed" : "");
}

static enum rcpt_state
state_of(const struct recipient *r, const struct result *x)
{
	switch (x->outcome) {
	case DELIVERED:	return (r->notify & NOTIFY_SUCCESS) && !x->dsn ? RCPT_PASSED : RCPT_DELIVERED;
	case BOUNCE:	return RCPT_FAILED;
	case TRY_LATER:	break;
	}
	return RCPT_WAITING;
}

/* Is this the last word on the message, and are all served? */
static bool
is_last(const struct work *w)
{
	struct tally t;

	if (w->jobs > 1 || w->next_rcpt < w->message->envelope.nrcpts || w->left)
		return false;
	t = tally(&w->message->envelope);
	return t.waiting + t.failed + t.passed == 0;
}

void
settle_result(struct job *j, const struct result *x)
{
	static const char *const what[] = { [TRY_LATER] = "deferred", [DELIVERED] = "delivered", [BOUNCE] = "failed" };
	struct qmgr *m = j->qmgr;
	struct work *w = j->work;
	struct recipient *r = job_recipient(j);
	bool last = w->jobs == 1 && w->next_rcpt == w->message->envelope.nrcpts && !w->left;

	r->attempts++;
	r->last_s = clock_wall_s();
	r->uncertain += !x->certain;
	w->uncertain = w->uncertain || !x->certain;
	w->interrupted = w->interrupted || x->interrupted;
	w->tried = true;
	set_state(r, state_of(r, x));
	keep_reply(w, r, x);
	log_result(j, x, x->certain ? what[x->outcome] : "uncertain", x->outcome == DELIVERED && is_last(w));
	mem_free(j);
	w->jobs--;
	if (!last && w->unsaved_ms == 0 && !w->early)
		mark_unsaved(m, w, SAVE_MS);
	active_fill(m, w);
}
