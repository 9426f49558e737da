/* SPDX-License-Identifier: ISC */
/*
 * cleanup/drafts.c - messages on their way in. A process that asks owns its drafts:
 * no other can name them, and they go when it goes.
 *
 * A commit is offered to qmgr first: when all its recipients have it in their mailboxes
 * within early_delivery_time, nothing has to be written here. Else, and where that is off,
 * it is made durable. Such commits are collected for one round of the event loop and made
 * durable together: the disk is waited for once. Only this process gives a message its name, and
 * qmgr forgets an offered one only when it was told what became of it: so whoever of the two
 * dies or stands still, it is not delivered twice.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cleanup/cleanup.h"
#include "mail/router.h"

#define BUCKETS		64	/* of drafts of one client */
#define BATCH		64	/* commits together */
#define SPACE_MS	100	/* how long free space is believed */
#define SPACE_LOG_MS	60000
#define SPARE_OCTETS	65536	/* room for a message whose size nobody knows yet */
#define OFFERED_MS	1000	/* past early_delivery_time: qmgr does not even say no */
#define SILENT_MS	5000	/* then it is offered nothing for a while: nobody waits for it in vain each time */
#define EARLY_RECORDS	57344	/* as in `early` of mail/messages.def */
#define WITHDRAWN_MAX	1024	/* these two the same */
#define WITHDRAWN_MS	50	/* by then qmgr is told, when no other offer took it along */

struct draft {
	struct draft	*next;		/* of its bucket */
	struct client	*client;	/* borrowed; it goes with it */
	struct queue_draft file;
	struct buf	 records;	/* owned; envelope parts so far */

	bool		 spare;		/* given without having been asked for; not in drafts.open */

	/* Once its commit is asked for. */
	bool		 committing, wants_next;
	uint32_t	 id;		/* of that question */
	uint64_t	 octets;
	struct arena	*arena;		/* owned; holds the envelope */
	struct envelope	 envelope;
	uint64_t	 offered;	/* channel_serial of the qmgr that may deliver it; 0: none */
	uint64_t	 offer;		/* the call; 0: answered */
};

struct client {				/* a process that asks */
	struct drafts	*all;		/* these two borrowed */
	struct channel	*channel;
	struct draft	*bucket[BUCKETS]; /* owned */
	size_t		 n;
};

struct drafts {
	struct daemon	*daemon;	/* these three borrowed */
	struct queue	*queue;
	const struct cleanup_settings *settings;
	struct peers	*qmgr;
	struct ipc_out	 out;
	struct buf	 encoded;	/* an envelope on its way to qmgr */
	struct timer	 round;		/* fires when the round has no more frames */
	struct draft	*pending[BATCH]; /* to be made durable at the end of the round; borrowed */
	size_t		 npending;
	struct buf	 withdrawn;	/* as in `withdrawn`: what qmgr is still to be told */
	uint64_t	 withdrawn_to;	/* channel_serial of that qmgr */
	struct timer	 withdrawn_due;
	uint64_t	 silent_ms;	/* when qmgr last let an offer go by; 0: never */
	uint32_t	 open;
	uint64_t	 space_ms, space_log_ms;	/* when it was looked at; 0: never */
	uint64_t	 octets, inodes;	/* free then */
};

/* ---- the table ---- */

/* Ids are ours: nobody can make them fall into one bucket. */
static struct draft **
bucket_of(struct client *cl, struct bytes id)
{
	return &cl->bucket[id.n > 0 ? id.p[id.n - 1] % BUCKETS : 0];
}

static struct draft *
find(struct client *cl, struct bytes id)
{
	for (struct draft *d = *bucket_of(cl, id); d; d = d->next)
		if (!d->committing && bytes_eq(text(d->file.id), id))
			return d;
	return NULL;
}

static void
forget(struct drafts *ds, struct client *cl, struct draft *d)
{
	struct draft **at = bucket_of(cl, text(d->file.id));

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	cl->n--;
	ds->open -= !d->spare;
	buf_fini(&d->records);
	arena_free(&d->arena);
	mem_free(d);
}

static void
send_withdrawn(void *arg)
{
	struct drafts *ds = arg;
	struct channel *c = peers_by_serial(ds->qmgr, ds->withdrawn_to);

	timer_clear(&ds->withdrawn_due);
	if (c && ds->withdrawn.n > 0) {
		ipc_put_withdrawn(&ds->out, 0, &(struct ipc_withdrawn){ .queue_ids = buf_bytes(&ds->withdrawn) });
		channel_send(c, &ds->out);
	}
	buf_clear(&ds->withdrawn);
}

/* It gets no name: qmgr may let go of what it was offered. There is no hurry: mostly the
 * next offer takes it along. */
static void
withdraw(struct drafts *ds, struct draft *d)
{
	if (d->offered == 0)
		return;
	peers_cancel(ds->qmgr, d->offer);
	if (ds->withdrawn_to != d->offered || ds->withdrawn.n + 4 + QUEUE_ID_MAX > WITHDRAWN_MAX)
		send_withdrawn(ds);
	ds->withdrawn_to = d->offered;
	ipc_add_text(&ds->withdrawn, text(d->file.id));
	if (!ds->withdrawn_due.set)
		timer_set(&ds->withdrawn_due, WITHDRAWN_MS);
}

static void
abandon(struct drafts *ds, struct draft *d)
{
	withdraw(ds, d);
	queue_draft_abandon(ds->queue, &d->file);
	forget(ds, d->client, d);
}

static struct client *
client_of(struct drafts *ds, struct channel *c)
{
	struct client *cl = channel_data(c);

	if (!cl) {
		cl = mem_alloc(sizeof *cl);
		cl->all = ds;
		cl->channel = c;
		channel_set_data(c, cl);
	}
	return cl;
}

/* ---- open ---- */

struct reserve { const char *setting; uint64_t octets, inodes; };

/*
 * What has to stay free: new mail is refused while there is still room for all that was taken; that of other
 * hosts before that of our own users. Notifications go on behind that: each takes a message out of
 * the queue, or a person's patience. The channel says who asks: smtpd may be lying.
 */
static struct reserve
reserve_of(const struct cleanup_settings *s, const char *peer, bool submission)
{
	if (strcmp(peer, "bounce") == 0)
		return (struct reserve){ "queue_minfree_notice", s->minfree_notice, 0 };
	if (submission && strcmp(peer, "pickup") == 0)
		return (struct reserve){ "queue_minfree_submission", s->minfree_submission, s->minfree_inodes };
	return (struct reserve){ "queue_minfree", s->minfree_octets, s->minfree_inodes };
}

static bool
has_space(struct drafts *ds, const struct client *cl, const struct ipc_open *asked)
{
	const struct reserve r = reserve_of(ds->settings, channel_peer(cl->channel), asked->submission);
	uint64_t now = clock_mono_ms();

	if (ds->space_ms == 0 || now - ds->space_ms >= SPACE_MS) {
		ds->space_ms = now;
		if (!queue_space(ds->queue, &ds->octets, &ds->inodes)) {
			log_errno("queue: its free space cannot be told");
			ds->octets = ds->inodes = 0;
		}
	}
	if (ds->octets >= r.octets && ds->octets - r.octets >= asked->size_hint && ds->inodes >= r.inodes) {
		ds->octets -= asked->size_hint;	/* until the next look */
		return true;
	}
	if (ds->space_log_ms == 0 || now - ds->space_log_ms >= SPACE_LOG_MS) {
		ds->space_log_ms = now;
		log_warn("queue: no mail is taken: free octets=%llu files=%llu, %s=%llu"
		    " queue_minfree_files=%llu: make room", (unsigned long long)ds->octets, (unsigned long long)ds->inodes,
		    r.setting, (unsigned long long)r.octets, (unsigned long long)r.inodes);
	}
	return false;
}

static enum open_status
open_draft(struct drafts *ds, struct client *cl, const struct ipc_open *asked, struct draft **out, int *writer)
{
	struct draft *d, **at;

	if (!has_space(ds, cl, asked))
		return OPEN_NO_SPACE;
	if (cl->n >= ds->settings->drafts) {
		log_warn("queue: a process has %zu messages open, the most cleanup_drafts allows", cl->n);
		return OPEN_FAILED;
	}
	d = mem_alloc(sizeof *d);
	if (!queue_draft_open(ds->queue, &d->file, writer)) {
		enum open_status status = errno == ENOSPC || errno == EDQUOT ? OPEN_NO_SPACE : OPEN_FAILED;

		log_errno("queue: a new file cannot be made");
		mem_free(d);
		return status;
	}
	d->client = cl;
	buf_init(&d->records, ENVELOPE_MAX);
	at = bucket_of(cl, text(d->file.id));
	d->next = *at;
	*at = d;
	cl->n++;
	ds->open++;
	*out = d;
	return OPEN_OK;
}

static bool
on_open(struct drafts *ds, struct client *cl, struct ipc_in *in)
{
	struct ipc_open m;
	struct ipc_opened a = { .file = -1, .content = QUEUE_CONTENT };
	struct draft *d = NULL;

	if (!ipc_get_open(in, &m))
		return false;
	a.status = open_draft(ds, cl, &m, &d, &a.file);
	if (d)
		a.queue_id = text(d->file.id);
	ipc_put_opened(&ds->out, in->id, &a);
	channel_reply(cl->channel, in->id, &ds->out);
	fd_close(&a.file);		/* the receiver's is the only one that can write */
	return true;
}

/* ---- envelope, abandon ---- */

static bool
on_envelope(struct client *cl, struct ipc_in *in)
{
	struct ipc_envelope m;
	struct draft *d;

	if (!ipc_get_envelope(in, &m))
		return false;
	d = find(cl, m.queue_id);
	if (d)
		buf_add(&d->records, m.records);	/* too many: full, which commit sees */
	return true;
}

static bool
on_abandon(struct drafts *ds, struct client *cl, struct ipc_in *in)
{
	struct ipc_abandon m;
	struct draft *d;

	if (!ipc_get_abandon(in, &m))
		return false;
	d = find(cl, m.queue_id);
	if (d)
		abandon(ds, d);
	daemon_settled(ds->daemon);
	return true;
}

/* ---- commit ---- */

static void
answer(struct drafts *ds, struct channel *c, uint32_t id, enum commit_status status, struct bytes reply,
    struct bytes queue_id)
{
	ipc_put_committed(&ds->out, id, &(struct ipc_committed){ .status = status, .reply = reply,
	    .queue_id = queue_id, .next = -1 });
	channel_reply(c, id, &ds->out);
}

/* Who sends much is spared one question a message. */
static void
answer_with_next(struct drafts *ds, struct draft *d)
{
	struct ipc_committed a = { .status = COMMIT_OK, .queue_id = text(d->file.id), .next = -1 };
	struct ipc_open like = { .size_hint = SPARE_OCTETS };
	struct draft *next;

	if (ds->octets > 2 * ds->settings->minfree_octets && d->client->n < ds->settings->drafts / 2
	    && open_draft(ds, d->client, &like, &next, &a.next) == OPEN_OK) {
		next->spare = true;
		ds->open--;
		a.next_id = text(next->file.id);
	}
	ipc_put_committed(&ds->out, d->id, &a);
	channel_reply(d->client->channel, d->id, &ds->out);
	fd_close(&a.next);
}

/* The end of a commit, one way or the other; d is gone after it. */
static void
conclude(struct drafts *ds, struct draft *d, enum commit_status status, struct bytes reply)
{
	if (status == COMMIT_OK && d->wants_next && !ds->daemon->draining)
		answer_with_next(ds, d);
	else
		answer(ds, d->client->channel, d->id, status, reply, text(d->file.id));
	forget(ds, d->client, d);
	ds->daemon->served++;
	daemon_settled(ds->daemon);
}

static enum commit_status
status_of(int fault)
{
	return fault == ENOSPC || fault == EDQUOT ? COMMIT_NO_SPACE : COMMIT_FAILED;
}

/* Not accepted; nothing of it is left. */
static void
refuse(struct drafts *ds, struct draft *d, int fault)
{
	withdraw(ds, d);
	queue_draft_abandon(ds->queue, &d->file);
	conclude(ds, d, status_of(fault), text(NULL));
}

/* False: not fit for the queue. */
static bool
check(struct draft *d)
{
	const char *wrong = d->records.full ? "too many records"
	    : check_envelope(channel_peer(d->client->channel), buf_bytes(&d->records), d->octets, clock_wall_s(), d->arena, &d->envelope);

	if (wrong)
		log_warn("queue %s: refused: its envelope is not as it must be: %s", d->file.id, wrong);
	return wrong == NULL;
}

static void
send_arrived(struct drafts *ds, struct channel *c, const struct draft *d)
{
	ipc_put_arrived(&ds->out, 0, &(struct ipc_arrived){ .queue_id = text(d->file.id) });
	channel_send(c, &ds->out);
}

/* There is a message in new/. The qmgr it was offered to may have it in memory; or may be about to end, and
 * takes nothing new. Nobody there: it looks into new/ by itself. */
static void
tell_qmgr(struct drafts *ds, const struct draft *d)
{
	struct channel *c = d->offered != 0 ? peers_by_serial(ds->qmgr, d->offered) : NULL;
	struct channel *now = peers_pick(ds->qmgr);

	if (c)
		send_arrived(ds, c, d);
	if (now && now != c)
		send_arrived(ds, now, d);
}

/* The round is over: all of it becomes durable, then everyone is told. */
static void
commit_all(void *arg)
{
	struct drafts *ds = arg;
	struct queue_commit commit[BATCH];
	size_t n = ds->npending;

	timer_clear(&ds->round);
	ds->npending = 0;
	for (size_t i = 0; i < n; i++)
		commit[i] = (struct queue_commit){ .draft = &ds->pending[i]->file, .octets = ds->pending[i]->octets,
		    .envelope = &ds->pending[i]->envelope };
	queue_commit(ds->queue, commit, n);
	for (size_t i = 0; i < n; i++) {
		struct draft *d = ds->pending[i];

		if (commit[i].ok) {
			tell_qmgr(ds, d);
			conclude(ds, d, COMMIT_OK, text(NULL));
		} else {
			refuse(ds, d, commit[i].fault);
		}
	}
}

static void
make_durable(struct drafts *ds, struct draft *d)
{
	if (ds->npending == 0)
		timer_set(&ds->round, 0);
	ds->pending[ds->npending++] = d;
	if (ds->npending == BATCH)
		commit_all(ds);
}

static void
on_early(void *arg, struct ipc_in *in)
{
	struct draft *d = arg;
	struct drafts *ds = d->client->all;
	struct ipc_early_done a = { 0 };

	d->offer = 0;
	if (!in)
		ds->silent_ms = clock_mono_ms();
	if (in && (!ipc_get_early_done(in, &a) || a.result > EARLY_REFUSED))
		a.result = EARLY_KEEP;
	if (a.result == EARLY_KEEP) {
		make_durable(ds, d);
		return;
	}
	withdraw(ds, d);
	queue_draft_abandon(ds->queue, &d->file);	/* every recipient has it, or none ever will: this copy can go */
	conclude(ds, d, a.result == EARLY_DELIVERED ? COMMIT_OK : COMMIT_REFUSED, a.reply);
}

/* False: there is nobody to deliver it, or it does not fit into a frame. */
static bool
offer(struct drafts *ds, struct draft *d)
{
	struct channel *c = ds->settings->early_ms > 0 ? peers_pick(ds->qmgr) : NULL;
	unsigned wait_ms = (unsigned)ds->settings->early_ms;

	if (!c || (ds->silent_ms != 0 && clock_mono_ms() - ds->silent_ms < SILENT_MS))
		return false;
	buf_clear(&ds->encoded);
	envelope_encode(&d->envelope, &ds->encoded);
	if (ds->encoded.full || ds->encoded.n > EARLY_RECORDS)
		return false;
	d->offered = channel_serial(c);
	if (ds->withdrawn_to != d->offered)
		send_withdrawn(ds);
	ipc_put_early(&ds->out, 0, &(struct ipc_early){ .queue_id = text(d->file.id), .file = d->file.fd,
	    .octets = d->octets, .wait_ms = wait_ms, .withdrawn = buf_bytes(&ds->withdrawn),
	    .records = buf_bytes(&ds->encoded) });
	buf_clear(&ds->withdrawn);
	timer_clear(&ds->withdrawn_due);
	d->offer = channel_call(c, &ds->out, wait_ms + OFFERED_MS, on_early, d);
	return true;
}

static bool
on_commit(struct drafts *ds, struct client *cl, struct ipc_in *in)
{
	struct ipc_commit m;
	struct draft *d;

	if (!ipc_get_commit(in, &m))
		return false;
	d = find(cl, m.queue_id);
	if (!d) {
		log_warn("queue %s: refused: it is not one of this process's", log_text(m.queue_id));
		answer(ds, cl->channel, in->id, COMMIT_FAILED, text(NULL), m.queue_id);
		return true;
	}
	buf_add(&d->records, m.records);
	ds->open += d->spare;
	d->spare = false;
	d->committing = true;
	d->wants_next = m.next == 1;
	d->id = in->id;
	d->octets = m.octets;
	d->arena = arena_new(ENVELOPE_ARENA);
	if (!check(d))
		refuse(ds, d, EINVAL);
	else if (!queue_draft_seal(&d->file, d->octets))
		refuse(ds, d, errno);
	else if (!offer(ds, d))
		make_durable(ds, d);
	return true;
}

/* ---- what the daemon calls ---- */

bool
drafts_frame(void *drafts, struct channel *c, struct ipc_in *in)
{
	struct drafts *ds = drafts;
	struct client *cl = client_of(ds, c);

	switch (in->type) {
	case IPC_open:		return on_open(ds, cl, in);
	case IPC_envelope:	return on_envelope(cl, in);
	case IPC_commit:	return on_commit(ds, cl, in);
	case IPC_abandon:	return on_abandon(ds, cl, in);
	}
	return false;
}

/* Nobody is left to say 250: what it had not been told of must not be delivered. */
void
drafts_gone(void *drafts, struct channel *c)
{
	struct drafts *ds = drafts;
	struct client *cl = channel_data(c);
	size_t kept = 0;

	if (!cl)
		return;
	for (size_t i = 0; i < ds->npending; i++)
		if (ds->pending[i]->client != cl)
			ds->pending[kept++] = ds->pending[i];
	ds->npending = kept;
	for (size_t i = 0; i < BUCKETS; i++)
		while (cl->bucket[i])
			abandon(ds, cl->bucket[i]);
	channel_set_data(c, NULL);
	mem_free(cl);
	daemon_settled(ds->daemon);
}

uint32_t
drafts_open(void *drafts)
{
	return ((struct drafts *)drafts)->open;
}

struct drafts *
drafts_new(struct daemon *d, struct queue *q, const struct cleanup_settings *s)
{
	struct drafts *ds = mem_alloc(sizeof *ds);

	ds->daemon = d;
	ds->queue = q;
	ds->settings = s;
	ds->qmgr = daemon_peers(d, "qmgr");
	ipc_out_init(&ds->out);
	buf_init(&ds->encoded, ENVELOPE_MAX);
	buf_init(&ds->withdrawn, WITHDRAWN_MAX);
	timer_init(&ds->withdrawn_due, &d->loop, send_withdrawn, ds);
	timer_init(&ds->round, &d->loop, commit_all, ds);
	return ds;
}

/* Channels that are still open are the daemon's; their drafts end with the process. */
void
drafts_free(struct drafts **taken)
{
	struct drafts *ds = *taken;

	*taken = NULL;
	timer_clear(&ds->round);
	ipc_out_fini(&ds->out);
	timer_clear(&ds->withdrawn_due);
	buf_fini(&ds->encoded);
	buf_fini(&ds->withdrawn);
	mem_free(ds);
}
