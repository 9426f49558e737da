/* SPDX-License-Identifier: ISC */
/*
 * local/workers.c - a deliver process for each mailbox that has mail coming, kept
 * for a while after its last job. Jobs of one mailbox go to one worker, in
 * order. A worker that dies or takes too long is given up with all its jobs: they
 * are tried again, though some may have been delivered.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "local/local.h"
#include "mail/router.h"

#define WINDOW		32	/* jobs that a worker has at once; the others wait here */
#define START_MS	30000	/* for become to answer */
#define WAITING_MAX	10000	/* jobs without a worker; qmgr's own limits are lower */

#define GONE	"the delivery process ended before it answered; it may have delivered"

struct job {
	struct job	*next;		/* of the list it waits in; none when its worker has it */
	struct workers	*all;
	struct worker	*worker;	/* NULL: none yet */
	struct channel	*from;		/* borrowed; NULL: gone */
	struct job	*later, **earlier; /* all jobs, for workers_forget */
	uint32_t	 id;
	uint32_t	 uid, gid;
	struct buf	 mailbox;	/* owned; while it waits for a worker */
	struct ipc_out	 out;		/* owned, with its descriptor; while it waits */
};

struct jobs { struct job *first, **end; };

struct worker {
	struct worker	*next;
	struct workers	*all;
	uint32_t	 uid, gid;
	struct bytes	 mailbox;	/* owned */
	struct channel	*channel;	/* owned */
	uint64_t	 start;		/* the call to become; 0: answered */
	unsigned	 busy;		/* jobs it has, answered or not: none may outlive it */
	struct jobs	 waiting;
	bool		 ending;
	const char	*why;		/* for the jobs it leaves; static text */
	uint64_t	 idle_ms;	/* since when, monotonic */
	struct timer	 idle;
};

struct workers {
	struct daemon	*daemon;	/* borrowed */
	const struct local_settings *settings;	/* borrowed */
	struct peers	*become;	/* borrowed */
	struct worker	*first;		/* owned */
	size_t		 n;
	struct jobs	 waiting;	/* for a worker to be free */
	size_t		 nwaiting;
	struct job	*all_jobs;
	uint32_t	 jobs;
};

static void	serve_waiting(struct workers *all);

/* ---- jobs ---- */

static void
put_last(struct jobs *l, struct job *j)
{
	j->next = NULL;
	*l->end = j;
	l->end = &j->next;
}

static struct job *
take_first(struct jobs *l)
{
	struct job *j = l->first;

	if (j) {
		l->first = j->next;
		if (!l->first)
			l->end = &l->first;
	}
	return j;
}

static struct job *
job_new(struct workers *all, struct channel *from, uint32_t id, const struct ipc_deliver *m)
{
	struct job *j = mem_alloc(sizeof *j);

	*j = (struct job){ .all = all, .from = from, .id = id, .uid = m->uid, .gid = m->gid };
	buf_init(&j->mailbox, m->mailbox.n + 1);
	ipc_out_init(&j->out);
	j->later = all->all_jobs;
	j->earlier = &all->all_jobs;
	if (j->later)
		j->later->earlier = &j->later;
	all->all_jobs = j;
	all->jobs++;
	return j;
}

/* What is kept only while a job waits. */
static void
job_sent(struct job *j)
{
	for (unsigned i = 0; i < j->out.nfds; i++)
		close(j->out.fds[i]);
	ipc_out_fini(&j->out);
	ipc_out_init(&j->out);
	buf_fini(&j->mailbox);
}

static void
job_end(struct job *j, uint32_t outcome, struct bytes status, struct bytes reply)
{
	struct ipc_delivered m = { .outcome = outcome, .status = status, .reply = reply };
	struct workers *all = j->all;
	struct ipc_out out;

	if (j->from) {
		ipc_out_init(&out);
		ipc_put_delivered(&out, j->id, &m);
		channel_reply(j->from, j->id, &out);
		ipc_out_fini(&out);
	}
	job_sent(j);
	*j->earlier = j->later;
	if (j->later)
		j->later->earlier = j->earlier;
	mem_free(j);
	all->jobs--;
	daemon_settled(all->daemon);
}

static void
job_later(struct job *j, const char *why)
{
	job_end(j, TRY_LATER, text("4.3.0"), text(why));
}

/* ---- workers ---- */

/* A call on a channel whose other end has just died is answered later than those before it: so w
 * stays, out of all lists, until the last of its jobs has been answered. */
static void
worker_release(struct worker *w)
{
	if (--w->busy > 0 || !w->ending)
		return;
	mem_free((void *)(uintptr_t)w->mailbox.p);
	mem_free(w);
}

/* Its process ends when it finds its channel closed. */
static void
worker_end(struct worker *w, const char *why)
{
	struct workers *all = w->all;
	struct worker **at = &all->first;
	struct job *j;

	if (w->ending)
		return;
	w->ending = true;
	w->busy++;			/* ours: released below */
	w->why = why;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	all->n--;
	timer_clear(&w->idle);
	peers_cancel(all->become, w->start);
	channel_close(&w->channel);	/* answers what it has */
	while ((j = take_first(&w->waiting)) != NULL)
		job_later(j, why);
	worker_release(w);
	serve_waiting(all);
}

static bool
on_frame(void *arg, struct channel *c, struct ipc_in *in)
{
	(void)arg;
	(void)c;
	(void)in;
	return false;			/* a worker asks nothing */
}

static void
on_gone(void *arg, struct channel *c)
{
	struct worker *w = arg;

	(void)c;
	if (!w->ending && w->busy == 0)
		log_info("deliver process of %s ended by itself", log_text(w->mailbox));
	worker_end(w, GONE);
}

static void
on_started(void *arg, struct ipc_in *in)
{
	struct worker *w = arg;
	struct ipc_worker_started m;

	w->start = 0;
	if (!in || !ipc_get_worker_started(in, &m)) {
		log_warn("deliver process of %s: become does not answer", log_text(w->mailbox));
		worker_end(w, "no delivery process can be started now");
	} else if (m.status != 0) {
		log_warn("deliver process of %s, uid %u: not started: %s", log_text(w->mailbox),
		    (unsigned)w->uid, strerror((int)m.status));
		worker_end(w, "the delivery process of this mailbox was not started");
	}
}

static void
on_idle(void *arg)
{
	struct worker *w = arg;

	if (w->busy == 0 && !w->waiting.first)
		worker_end(w, GONE);
}

/* NULL: errno. */
static struct worker *
worker_new(struct workers *all, const struct job *j)
{
	struct ipc_worker m = { .uid = j->uid, .gid = j->gid, .mailbox = buf_bytes(&j->mailbox),
	    .name = buf_bytes(&j->mailbox) };
	struct worker *w;
	struct ipc_out out;
	int pair[2];

	if (!ipc_pair(pair))
		return NULL;
	m.name = bytes_head(m.name, 256);
	w = mem_alloc(sizeof *w);
	*w = (struct worker){ .next = all->first, .all = all, .uid = j->uid, .gid = j->gid };
	w->waiting.end = &w->waiting.first;
	w->mailbox = bytes_of(memcpy(mem_alloc(m.mailbox.n + 1), m.mailbox.p, m.mailbox.n),
	    m.mailbox.n);
	w->channel = channel_new(&all->daemon->loop, pair[0], on_frame, on_gone, w);
	timer_init(&w->idle, &all->daemon->loop, on_idle, w);
	all->first = w;
	all->n++;
	m.channel = pair[1];
	ipc_out_init(&out);
	ipc_put_worker(&out, 0, &m);
	w->start = peers_call(all->become, &out, START_MS, on_started, w);
	ipc_out_fini(&out);
	close(pair[1]);
	return w;
}

/* The worker of this mailbox; it is moved to the front, where it is found soon. */
static struct worker *
worker_of(struct workers *all, uint32_t uid, uint32_t gid, struct bytes mailbox)
{
	for (struct worker **at = &all->first; *at; at = &(*at)->next) {
		struct worker *w = *at;

		if (w->uid != uid || w->gid != gid || !bytes_eq(w->mailbox, mailbox))
			continue;
		*at = w->next;
		w->next = all->first;
		all->first = w;
		return w;
	}
	return NULL;
}

/* Room for one more: at most the one that has been idle longest ends. */
static bool
make_room(struct workers *all)
{
	struct worker *oldest = NULL;

	if (all->n < all->settings->workers)
		return true;
	for (struct worker *w = all->first; w; w = w->next)
		if (w->busy == 0 && !w->waiting.first && (!oldest || w->idle_ms < oldest->idle_ms))
			oldest = w;
	if (!oldest)
		return false;
	worker_end(oldest, GONE);
	return true;
}

/* ---- a job's way ---- */

static void send_waiting(struct worker *w);

static void
on_delivered(void *arg, struct ipc_in *in)
{
	struct job *j = arg;
	struct worker *w = j->worker;
	struct ipc_delivered m;

	if (in && ipc_get_delivered(in, &m) && m.outcome <= BOUNCE) {
		job_end(j, m.outcome, m.status, m.reply);
		w->busy--;
		send_waiting(w);
		return;
	}
	/* It is gone, or too slow, or makes no sense: then all it has is given up. */
	job_later(j, w->ending ? w->why : GONE);
	worker_end(w, GONE);
	worker_release(w);
}

static void
job_send(struct worker *w, struct job *j, struct ipc_out *out)
{
	j->worker = w;
	w->busy++;
	channel_call(w->channel, out, (unsigned)w->all->settings->timeout_ms, on_delivered, j);
}

/* What fits into its window; then, when it has nothing left, the clock of its idleness runs. */
static void
send_waiting(struct worker *w)
{
	struct workers *all = w->all;

	if (w->ending)
		return;
	while (w->busy < WINDOW && w->waiting.first) {
		struct job *j = take_first(&w->waiting);

		job_send(w, j, &j->out);
		job_sent(j);
	}
	if (w->busy > 0)
		return;
	w->idle_ms = clock_mono_ms();
	timer_set(&w->idle, all->settings->idle_ms);
	serve_waiting(all);
}

/* Keeps what is needed to send it later. */
static void
keep(struct job *j, const struct ipc_deliver *m)
{
	buf_add(&j->mailbox, m->mailbox);
	ipc_put_deliver(&j->out, 0, m);	/* the descriptor is now in j->out.fds */
}

/* Starts a worker for a job that was kept; false when there is no room for one. */
static bool
start_for(struct workers *all, struct job *j)
{
	struct worker *w = worker_of(all, j->uid, j->gid, buf_bytes(&j->mailbox));

	if (!w) {
		if (!make_room(all))
			return false;
		w = worker_new(all, j);
	}
	if (!w) {
		log_errno("deliver process of %s: no channel", log_text(buf_bytes(&j->mailbox)));
		job_later(j, "no delivery process can be started now");
		return true;
	}
	timer_clear(&w->idle);
	put_last(&w->waiting, j);
	send_waiting(w);
	return true;
}

static void
serve_waiting(struct workers *all)
{
	static bool serving;		/* ending a worker to make room comes here again */

	if (serving)
		return;
	serving = true;
	while (all->waiting.first) {
		struct job *j = take_first(&all->waiting);

		if (!start_for(all, j)) {
			j->next = all->waiting.first;	/* back to the front */
			all->waiting.first = j;
			if (!j->next)
				all->waiting.end = &j->next;
			break;
		}
		all->nwaiting--;
	}
	serving = false;
}

void
workers_deliver(struct workers *all, struct channel *from, uint32_t id, const struct ipc_deliver *m)
{
	struct job *j = job_new(all, from, id, m);
	struct worker *w = worker_of(all, m->uid, m->gid, m->mailbox);

	if (w && w->busy < WINDOW && !w->waiting.first) {
		struct ipc_out out;

		timer_clear(&w->idle);
		ipc_out_init(&out);
		ipc_put_deliver(&out, 0, m);
		job_send(w, j, &out);
		ipc_out_fini(&out);
		if (m->file != -1)
			close(m->file);
		return;
	}
	keep(j, m);
	if (w) {
		put_last(&w->waiting, j);
	} else if (all->nwaiting >= WAITING_MAX) {
		job_later(j, "too many mailboxes have mail coming at once");
	} else {
		all->nwaiting++;
		put_last(&all->waiting, j);
		serve_waiting(all);
	}
}

void
workers_forget(struct workers *all, struct channel *from)
{
	for (struct job *j = all->all_jobs; j; j = j->later)
		if (j->from == from)
			j->from = NULL;
}

uint32_t
workers_jobs(const struct workers *all)
{
	return all->jobs;
}

struct workers *
workers_new(struct daemon *d, const struct local_settings *s)
{
	struct workers *all = mem_alloc(sizeof *all);

	all->daemon = d;
	all->settings = s;
	all->become = daemon_peers(d, "become");
	all->waiting.end = &all->waiting.first;
	return all;
}

void
workers_free(struct workers **all)
{
	struct job *j;

	while ((j = take_first(&(*all)->waiting)) != NULL)
		job_later(j, "the service ends");
	while ((*all)->first)
		worker_end((*all)->first, "the service ends");
	mem_free(*all);
	*all = NULL;
}
