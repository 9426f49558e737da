/* SPDX-License-Identifier: ISC */
/*
 * qmgr/order.c - an administrator's order goes through the queue, a few milliseconds at a time.
 *
 * First what is in memory, then what is on disk alone; a message that is taken into memory, or
 * gets its name there, meanwhile is met then. So every message is met once, wherever it moves.
 * What is in memory and being delivered keeps the order until its deliveries are over.
 */
#include "qmgr/order.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define BUDGET_MS	4	/* of one go: then deliveries have their turn */
#define PAUSE_MS	2
#define TELL_MS		500	/* at least so often somebody hears how far it is */
#define RESULTS_FULL	32000	/* of 32768: one more may come */
#define WAIT_MS		100	/* another qmgr has the queue */

enum stage { STAGE_OWN, STAGE_ROUTES, STAGE_MEMORY, STAGE_DISK, STAGE_END };

struct run {
	struct qmgr	*qmgr;		/* borrowed */
	struct command	*command;	/* owned */
	run_tell	 tell;
	void		*arg;
	struct queue_task task;
	enum stage	 stage;
	bool		 paused;
	struct timer	 next;
	size_t		 at;		/* of the stage: a change, a bucket of memory */
	uint64_t	 asking;	/* a question to the router; 0: none */
	struct buf	 results;	/* owned */
	struct run_counts n;
	uint64_t	 began_ms;	/* monotonic */
	uint64_t	 told_ms;
	char		 fault[512];
};

/* ---- what was asked ---- */

static struct bytes
keep(struct command *c, struct bytes s)
{
	return s.n > 0 ? arena_copy(c->arena, s) : (struct bytes){ 0 };
}

static bool
take_changes(struct command *c, struct bytes run)
{
	struct queue_order *o = &c->order;
	bool bad = false;

	o->changes = arena_array(c->arena, QUEUE_CHANGES_MAX, sizeof *o->changes);
	while (run.n > 0) {
		struct bytes body = ipc_cut_text(&run, &bad);
		struct ipc_queue_change m;
		struct ipc_in in;

		if (bad || o->nchanges == QUEUE_CHANGES_MAX)
			return false;
		ipc_in_bytes(&in, body);
		if (!ipc_get_queue_change(&in, &m) || m.kind >= CHANGE_KINDS)
			return false;
		o->changes[o->nchanges++] = (struct queue_change){ .kind = m.kind, .what = keep(c, m.what),
		    .to = keep(c, m.to) };
	}
	return true;
}

struct command *
command_new(const struct ipc_queue_order *m, uint32_t uid, const char **fault)
{
	struct command *c;

	*fault = NULL;
	if (m->verb >= ORDER_VERBS || m->places >= 1u << QUEUE_PLACES)
		*fault = "this qmgr does not know the order";
	else if ((m->verb == ORDER_EDIT) != (m->changes.n > 0))
		*fault = "changes go with edit, and edit with changes";
	if (*fault)
		return NULL;
	c = mem_alloc(sizeof *c);
	*c = (struct command){ .refs = 1, .arena = arena_new(64u << 20), .uid = uid };
	c->order = (struct queue_order){ .verb = m->verb, .reason = keep(c, m->reason) };
	c->filter = (struct queue_filter){ .sender = keep(c, m->sender), .recipient = keep(c, m->recipient),
	    .domain = keep(c, m->domain), .nexthop = keep(c, m->nexthop), .reason = keep(c, m->cause),
	    .older_s = m->older, .younger_s = m->younger, .places = m->places };
	if (take_changes(c, m->changes))
		return c;
	*fault = "a change makes no sense";
	command_unref(&c);
	return NULL;
}

struct command *
command_ref(struct command *c)
{
	c->refs++;
	return c;
}

void
command_unref(struct command **taken)
{
	struct command *c = *taken;

	*taken = NULL;
	if (!c || --c->refs > 0)
		return;
	arena_free(&c->arena);
	mem_free(c);
}

/* ---- results ---- */

static void
report(struct run *r, const char *fault)
{
	r->told_ms = clock_mono_ms();
	r->n.looked = r->task.looked;
	if (r->tell)
		r->tell(r->arg, &r->n, buf_bytes(&r->results), fault);
	buf_clear(&r->results);
}

static void
add_result(struct run *r, const char *id, enum queue_obeyed result, const char *words)
{
	struct ipc_out *out = &r->qmgr->out;

	if (result == OBEYED)
		r->n.done++;
	else if (result == OBEYED_BUSY)
		r->n.busy++;
	else
		r->n.failed++;
	ipc_put_queue_result(out, 0, &(struct ipc_queue_result){ .queue_id = text(id), .result = result,
	    .words = bytes_head(text(words), 256) });
	ipc_add_text(&r->results, ipc_out_body(out));
	if (r->results.n >= RESULTS_FULL)
		report(r, NULL);
}

static void
log_order(const struct command *c, const char *id, const struct envelope *e, enum queue_obeyed result, const char *why)
{
	char line[LOG_RECORD_MAX + 1];

	if (!queue_order_line(&c->order, id, e, result, why, c->uid, line, sizeof line))
		return;
	if (result == OBEYED_FAILED)
		log_warn("%s", line);
	else
		log_info("%s", line);
}

static void
log_flushed(const struct run *r)
{
	char line[LOG_RECORD_MAX + 1];

	if (r->command->order.verb != ORDER_FLUSH || r->task.dry || r->task.looked == 0)
		return;
	queue_order_line_flushed(r->n.done + r->n.busy, r->command->filter.nexthop, r->command->uid, line, sizeof line);
	log_info("%s", line);
}

/* ---- in memory ---- */

void
order_forget(struct work *w)
{
	while (w->asked) {
		struct asked *a = w->asked;

		w->asked = a->next;
		command_unref(&a->command);
		mem_free(a);
	}
}

static bool
is_served(const struct envelope *e)
{
	for (size_t i = 0; i < e->nrcpts; i++)
		if (e->rcpts[i].state == RCPT_WAITING || e->rcpts[i].state == RCPT_FAILED)
			return false;
	return true;
}

/* All that was asked of it, in order. task NULL: the order itself is over by now. True: w is gone, what it holds
 * stands elsewhere. */
static bool
obey_asked(struct qmgr *m, struct queue_task *task, struct work *w, enum queue_obeyed *result, char *why, size_t cap)
{
	bool obeyed = false, deleted = false;
	struct queue_task alone = { .queue = &m->queue, .now_s = clock_wall_s() };

	*result = OBEYED_NEEDLESS;
	snprintf(why, cap, "it has been delivered");
	for (struct asked *a = w->asked; a && !deleted && !is_served(&w->message->envelope); a = a->next) {
		struct queue_task *t = task && task->order == &a->command->order ? task : &alone;

		alone.order = &a->command->order;
		*result = queue_task_obey(t, w->message, why, cap);
		log_order(a->command, w->message->id, &w->message->envelope, *result, why);
		obeyed = obeyed || *result == OBEYED;
		deleted = *result == OBEYED && a->command->order.verb == ORDER_DELETE;
	}
	while (queue_task_sync(&alone))
		;
	order_forget(w);
	w->left = m->daemon->draining;
	if (!obeyed)
		return false;
	if (!deleted)
		scan_due(m->scan, clock_wall_s() - 60);
	active_forget(m, w);
	return true;
}

bool
order_conclude(struct qmgr *m, struct work *w)
{
	enum queue_obeyed result;
	char why[256];

	return w->asked && obey_asked(m, NULL, w, &result, why, sizeof why);
}

/* By this very order: it came to have its name before it was met. */
static bool
is_asked(const struct run *r, const struct work *w)
{
	const struct asked *a = w->asked;

	while (a && a->command != r->command)
		a = a->next;
	return a != NULL;
}

/* Its jobs that have not begun are taken back; what runs cannot be. */
static void
ask_work(struct run *r, struct work *w)
{
	struct asked *a = mem_alloc(sizeof *a), **at = &w->asked;

	*a = (struct asked){ .command = command_ref(r->command) };
	while (*at)
		at = &(*at)->next;
	*at = a;
	if (w->early)
		return;			/* it has no name yet: cleanup decides first */
	w->left = w->withdrawn = true;
	if (w->jobs > 0)
		schedule_withdraw(r->qmgr->schedule, w);
}

/* In memory it is being tried already, but where its next hop is down. */
static void
flush_work(struct run *r, struct work *w)
{
	if (down_holds(r->qmgr->downs, w))
		w->flushed_ms = r->began_ms;
}

static void
meet_work(struct run *r, struct work *w)
{
	enum queue_verb verb = r->command->order.verb;
	char id[QUEUE_ID_MAX + 1], why[256];
	enum queue_obeyed result = queue_order_fits(w->message->place, verb, why, sizeof why);

	memcpy(id, w->message->id, sizeof id);
	queue_task_see(&r->task, id);
	if (result != OBEYED || verb == ORDER_FLUSH || r->task.dry) {
		if (result == OBEYED && !r->task.dry)
			flush_work(r, w);
		if (result == OBEYED || r->task.named)
			add_result(r, id, result, why);
		return;
	}
	ask_work(r, w);
	if (w->jobs > 0 || w->early || w->filling || w->telling) {
		add_result(r, id, OBEYED_BUSY, "it is being delivered: once that is over");
		return;
	}
	if (obey_asked(r->qmgr, &r->task, w, &result, why, sizeof why))
		w = NULL;
	add_result(r, id, result, result == OBEYED ? "" : why);
	if (w)
		settle(r->qmgr, w);
}

/* One that has no name yet must be asked for by it. */
static bool
is_meant(struct run *r, const struct work *w)
{
	return (r->task.named || !w->early) && queue_task_meant(&r->task, w->message);
}

/* One bucket. False: there is none left. */
static bool
step_memory(struct run *r)
{
	struct work *w, *after;

	if (r->at == r->qmgr->nbuckets)
		return false;
	for (w = r->qmgr->table[r->at++]; w; w = after) {
		after = w->next;
		r->task.looked++;
		if (!is_asked(r, w) && is_meant(r, w))
			meet_work(r, w);
	}
	return true;
}

void
run_taken(struct run *r, struct work *w)
{
	bool harmless = r->task.dry || r->command->order.verb == ORDER_FLUSH;

	if ((r->stage != STAGE_MEMORY && r->stage != STAGE_DISK) || w->early || is_asked(r, w)
	    || (!r->task.named && w->message->envelope.arrival_s > r->task.now_s) || !is_meant(r, w))
		return;
	queue_task_see(&r->task, w->message->id);
	if (!harmless)
		ask_work(r, w);		/* who took it sees that, and lets it obey */
	else if (!r->task.dry)
		flush_work(r, w);
	add_result(r, w->message->id, harmless ? OBEYED : OBEYED_BUSY, harmless ? "" : "it has just been taken up: at once");
}

/* ---- on disk ---- */

static void
on_met(void *arg, const char *id, const struct envelope *e, enum queue_obeyed result, const char *why)
{
	struct run *r = arg;

	if (!r->task.dry)
		log_order(r->command, id, e, result, why);
	add_result(r, id, result, why);
}

/* It was met in memory; unless it got its name since. */
static bool
is_in_memory(void *arg, const char *id)
{
	struct run *r = arg;
	struct work *w = active_find(r->qmgr, text(id));

	if (w && r->task.named && queue_task_names(&r->task, id))
		meet_work(r, w);
	return w != NULL;
}

static void
hurry_hop(void *arg, const char *hash)
{
	struct run *r = arg;

	down_flush(r->qmgr->downs, hash, r->began_ms);
}

/* ---- new recipients ---- */

static void	go(void *run);

static void
on_routes(void *arg, struct ipc_in *in)
{
	struct run *r = arg;
	struct queue_change *c = &r->command->order.changes[r->at++];
	struct ipc_rcpt_answer a;

	r->asking = 0;
	if (!in || in->type != IPC_rcpt_answer || !ipc_get_rcpt_answer(in, &a))
		snprintf(r->fault, sizeof r->fault, "the router does not answer");
	else if (a.verdict != YES)
		snprintf(r->fault, sizeof r->fault, "%.*s: %u %.*s", BYTES_FMT(bytes_head(text(log_text(c->to)), 255)),
		    (unsigned)a.code, BYTES_FMT(bytes_head(a.reply, 200)));
	else
		c->routes = keep(r->command, a.routes);
	timer_set(&r->next, 0);
}

/* A recipient that is put in is taken as one of a local user's would be. False: there is none left. */
static bool
step_routes(struct run *r)
{
	struct queue_order *o = &r->command->order;
	struct qmgr *m = r->qmgr;

	while (r->at < o->nchanges && o->changes[r->at].kind != CHANGE_ADD && o->changes[r->at].kind != CHANGE_REPLACE)
		r->at++;
	if (r->at == o->nchanges)
		return false;
	ipc_put_rcpt_check(&m->out, 0, &(struct ipc_rcpt_check){ .client_class = CLIENT_LOCAL_USER,
	    .client = text("127.0.0.1"), .recipient = o->changes[r->at].to, .smtputf8 = 1 });
	r->asking = peers_call(m->router, &m->out, (unsigned)m->settings->route_timeout_ms, on_routes, r);
	return true;
}

/* ---- the whole ---- */

static bool
step(struct run *r)
{
	switch (r->stage) {
	case STAGE_OWN:		return !scan_owns(r->qmgr->scan);
	case STAGE_ROUTES:	return step_routes(r);
	case STAGE_MEMORY:	return step_memory(r);
	case STAGE_DISK:	return queue_task_step(&r->task);
	case STAGE_END:		break;
	}
	return false;
}

/* With what waits for several next hops, in whose directories it is not. */
static bool
flushes_all(const struct run *r)
{
	const struct queue_filter *f = &r->command->filter;

	return r->command->order.verb == ORDER_FLUSH && !r->task.dry && !r->task.named && r->fault[0] == '\0' && f->places == 0
	    && f->sender.n + f->recipient.n + f->domain.n + f->nexthop.n + f->reason.n == 0 && f->older_s == 0 && f->younger_s == 0;
}

static void
end(struct run *r)
{
	log_flushed(r);
	if (flushes_all(r))
		(void)down_flush(r->qmgr->downs, NULL, r->began_ms);
	if (r->task.due)
		scan_due(r->qmgr->scan, clock_wall_s() - 60);
	report(r, r->fault[0] != '\0' ? r->fault : r->task.fault);
	run_free(&r);
}

/* A fault before anything was done ends it. */
static bool
is_over(const struct run *r)
{
	return r->stage == STAGE_END || (r->stage < STAGE_MEMORY && r->fault[0] != '\0');
}

/* What r has begun is done at once, if it rests now: nobody knows for how long. */
static void
leave_work(struct run *r, bool rests)
{
	struct run **at_work = &r->qmgr->at_work;

	while (rests && queue_task_rest(&r->task))
		;
	if (queue_task_at_work(&r->task))
		*at_work = r;
	else if (*at_work == r)
		*at_work = NULL;
}

/* Lest this order finds messages in the hands of another. */
static void
take_over(struct run *r)
{
	struct run *other = r->qmgr->at_work;

	if (other && other != r)
		leave_work(other, true);
}

/* As far as the time goes. */
static void
go(void *arg)
{
	struct run *r = arg;
	uint64_t until = clock_mono_ms() + BUDGET_MS;

	while (!is_over(r) && !r->asking && clock_mono_ms() < until) {
		if (r->stage == STAGE_DISK)
			take_over(r);
		if (!step(r)) {
			r->stage++;
			r->at = 0;
		} else if (r->stage == STAGE_OWN) {
			timer_set(&r->next, WAIT_MS);
			return;
		}
	}
	if (is_over(r)) {
		end(r);
		return;
	}
	if (r->asking)
		return;
	if (clock_mono_ms() - r->told_ms >= TELL_MS)
		report(r, NULL);
	leave_work(r, r->paused);
	if (!r->paused)
		timer_set(&r->next, PAUSE_MS);
}

void
run_pause(struct run *r, bool on)
{
	r->paused = on;
	if (on)
		timer_clear(&r->next);
	else if (!r->asking && !r->next.set)
		timer_set(&r->next, 0);
}

void
run_drain(struct run *r)
{
	snprintf(r->fault, sizeof r->fault, "qmgr makes room for another; give the order again");
	peers_cancel(r->qmgr->router, r->asking);
	r->asking = 0;
	queue_task_stop(&r->task);
	if (r->stage == STAGE_MEMORY)
		r->stage = STAGE_DISK;
	run_pause(r, false);
}

struct run *
run_new(struct qmgr *m, struct command *c, bool dry, bool named, struct bytes ids, run_tell tell, void *arg)
{
	struct run *r = mem_alloc(sizeof *r);

	*r = (struct run){ .qmgr = m, .command = c, .tell = tell, .arg = arg, .began_ms = clock_mono_ms(),
	    .told_ms = clock_mono_ms() };
	r->task = (struct queue_task){ .queue = &m->queue, .order = &c->order, .filter = &c->filter, .dry = dry,
	    .named = named, .now_s = clock_wall_s(), .tell = on_met, .elsewhere = is_in_memory, .hurry = hurry_hop,
	    .arg = r };
	buf_init(&r->results, 32768);
	timer_init(&r->next, &m->daemon->loop, go, r);
	if (!queue_task_begin(&r->task, ids)) {
		run_free(&r);
		return NULL;
	}
	timer_set(&r->next, 0);
	return r;
}

void
run_free(struct run **taken)
{
	struct run *r = *taken;

	*taken = NULL;
	if (!r)
		return;
	r->tell = NULL;			/* whoever asked has heard the end, or does not listen any more */
	timer_clear(&r->next);
	peers_cancel(r->qmgr->router, r->asking);
	leave_work(r, true);
	queue_task_end(&r->task);
	buf_fini(&r->results);
	command_unref(&r->command);
	mem_free(r);
}
