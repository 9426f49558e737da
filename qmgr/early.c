/* SPDX-License-Identifier: ISC */
/*
 * qmgr/early.c - a message that is delivered before it has a name in the queue:
 * cleanup offers it, holds the client's 250 back, and asks one thing: has every recipient
 * got it? Said is "delivered" at once when that is so; "refused" when none ever will;
 * "make it durable" in all other cases: it cannot be begun now, some recipient could not be
 * served, the time is over. Then the deliveries go on, and it becomes a message like any other
 * when cleanup has given it its name.
 *
 * It stays in memory until cleanup has said what became of it, whatever was answered. So there is
 * no moment in which a name may appear that nobody knows to have been delivered.
 */
#include "base/log.h"
#include "base/mem.h"
#include "qmgr/qmgr.h"

#define CROWD		2	/* early messages for each delivery that may run: more would only wait */

struct early {
	struct qmgr	*qmgr;		/* these three borrowed */
	struct work	*work;
	struct channel	*from;		/* NULL: that cleanup is gone */
	uint32_t	 id;		/* of its question */
	bool		 answered;
	bool		 withdrawn;	/* it gets no name */
	struct timer	 wait;
};

static void
reply(struct qmgr *m, struct channel *c, uint32_t id, enum early_result result, struct bytes words)
{
	ipc_put_early_done(&m->out, id, &(struct ipc_early_done){ .result = result, .reply = words });
	channel_reply(c, id, &m->out);
}

static void
answer(struct early *e, enum early_result result, struct bytes words)
{
	if (!e->answered && e->from)
		reply(e->qmgr, e->from, e->id, result, words);
	e->answered = true;
	timer_clear(&e->wait);
}

void
early_free(struct qmgr *m, struct work *w)
{
	if (!w->early)
		return;
	timer_clear(&w->early->wait);
	mem_free(w->early);
	w->early = NULL;
	m->nearly--;
}

/* ---- what became of the deliveries ---- */

static bool
all_are(const struct envelope *e, enum rcpt_state state)
{
	for (size_t i = 0; i < e->nrcpts; i++)
		if (e->rcpts[i].state != state)
			return false;
	return true;
}

static void
placed(struct qmgr *m, struct work *w)
{
	early_free(m, w);
	if (!queue_message_placed(w->message))
		w->message->rewrite = true;	/* what is written next says it all */
	control_taken(m->control, w);
	settle_placed(m, w);
}

/* A channel can end without its cleanup, which then has given the message its name by now. */
static void
forget(struct qmgr *m, struct work *w)
{
	if (!w->early->from && queue_message_is_placed(&m->queue, w->message))
		placed(m, w);
	else
		active_forget(m, w);
}

void
early_conclude(struct qmgr *m, struct work *w)
{
	const struct envelope *e = &w->message->envelope;

	if (w->early->withdrawn)
		forget(m, w);
	else if (all_are(e, RCPT_DELIVERED))
		answer(w->early, EARLY_DELIVERED, text(NULL));
	else if (all_are(e, RCPT_FAILED))	/* the client is still there to be told */
		answer(w->early, EARLY_REFUSED, e->rcpts[0].last_reply);
	else
		answer(w->early, EARLY_KEEP, text(NULL));
}

static void
time_is_over(void *arg)
{
	struct early *e = arg;
	const struct envelope *envelope = &e->work->message->envelope;

	for (size_t i = 0; i < envelope->nrcpts; i++)
		if (envelope->rcpts[i].state == RCPT_WAITING)
			schedule_slow(e->qmgr->schedule, envelope->rcpts[i].nexthop);
	answer(e, EARLY_KEEP, text(NULL));
}

/* ---- what became of the message ---- */

/* What runs cannot be called back; what has not begun will not. */
static void
withdraw(struct qmgr *m, struct work *w)
{
	w->early->withdrawn = w->early->answered = true;
	w->left = true;
	if (w->jobs > 0)
		schedule_withdraw(m->schedule, w);
	if (w->jobs == 0)
		active_forget(m, w);
}

bool
early_arrived(struct qmgr *m, struct bytes id)
{
	struct work *w = active_find(m, id);

	if (w && w->early)
		placed(m, w);
	return w != NULL;
}

bool
early_withdrawn(struct qmgr *m, struct bytes ids)
{
	bool bad = false;

	while (ids.n > 0 && !bad) {
		struct work *w = active_find(m, ipc_cut_text(&ids, &bad));

		if (w && w->early && !w->early->withdrawn)
			withdraw(m, w);
	}
	return !bad;
}

static bool
is_from(struct work *w, const void *channel)
{
	return w->early && w->early->from == channel;
}

void
early_gone(struct qmgr *m, struct channel *from)
{
	struct work *w;

	while (m->nearly > 0 && (w = active_walk(m, is_from, from))) {
		w->early->from = NULL;
		if (queue_message_is_placed(&m->queue, w->message))
			placed(m, w);
		else if (!w->early->withdrawn)
			withdraw(m, w);
	}
}

/* ---- taking one ---- */

/* Could all of its deliveries begin soon? */
static bool
is_welcome(struct qmgr *m, const struct envelope *e)
{
	if (m->daemon->draining || !scan_owns(m->scan) || m->count >= m->settings->active_limit
	    || m->nearly >= CROWD * m->settings->local_concurrency)
		return false;
	for (size_t i = 0; i < e->nrcpts; i++)
		if (!bytes_eq(e->rcpts[i].transport, text("local"))
		    || schedule_is_slow(m->schedule, e->rcpts[i].nexthop))
			return false;
	return true;
}

static void
begin(struct qmgr *m, struct work *w, unsigned wait_ms)
{
	struct early *e = w->early;

	m->nearly++;
	timer_init(&e->wait, &m->daemon->loop, time_is_over, e);
	timer_set(&e->wait, wait_ms);
	if (active_begin(m, w))
		return;
	reply(m, e->from, e->id, EARLY_KEEP, text(NULL));	/* too long to be joined: the queue has its ways */
	early_free(m, w);
	queue_message_free(&w->message);
	mem_free(w);
}

bool
early_take(struct qmgr *m, struct channel *from, struct ipc_in *in)
{
	struct ipc_early a;
	struct queue_message *q;
	struct work *w;
	uint32_t id = in->id;

	if (!ipc_get_early(in, &a))
		return false;
	if (a.file == -1) {			/* no descriptor was free for it */
		reply(m, from, id, EARLY_KEEP, text(NULL));
		return early_withdrawn(m, a.withdrawn);
	}
	q = queue_message_adopt(a.queue_id, a.file, a.octets, a.records);
	if (!q || !early_withdrawn(m, a.withdrawn)) {
		queue_message_free(&q);
		return false;
	}
	if (active_find(m, a.queue_id) || !is_welcome(m, &q->envelope)) {
		reply(m, from, id, EARLY_KEEP, text(NULL));
		queue_message_free(&q);
		return true;
	}
	w = mem_alloc(sizeof *w);
	w->message = q;
	w->early = mem_alloc(sizeof *w->early);
	*w->early = (struct early){ .qmgr = m, .work = w, .from = from, .id = id };
	begin(m, w, a.wait_ms);
	return true;
}
