/* SPDX-License-Identifier: ISC */
/*
 * cleanup/drafts.c - messages on their way in. A process that asks owns its drafts:
 * no other can name them, and they go when it goes. Commits are collected for
 * one round of the event loop and made durable together: the disk is waited
 * for once.
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

struct draft {
	struct draft	*next;		/* of its bucket */
	struct queue_draft file;
	struct buf	 records;	/* owned; envelope parts so far */
	bool		 committing;
};

struct client {				/* a process that asks */
	struct channel	*channel;	/* borrowed */
	struct draft	*bucket[BUCKETS]; /* owned */
	size_t		 n;
};

struct pending {			/* a commit that waits for the end of the round */
	struct client	*client;	/* borrowed; cancelled when it goes */
	struct draft	*draft;
	uint32_t	 id;		/* of its question */
	uint64_t	 octets;
	struct arena	*arena;		/* owned */
	struct envelope	 envelope;
	bool		 sound;
	enum commit_status status;
};

struct drafts {
	struct daemon	*daemon;	/* these three borrowed */
	struct queue	*queue;
	const struct cleanup_settings *settings;
	struct peers	*qmgr;
	struct ipc_out	 out;
	struct timer	 round;		/* fires when the round has no more frames */
	struct pending	 pending[BATCH];
	size_t		 npending;
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
	ds->open--;
	buf_fini(&d->records);
	mem_free(d);
}

static void
abandon(struct drafts *ds, struct client *cl, struct draft *d)
{
	queue_draft_abandon(ds->queue, &d->file);
	forget(ds, cl, d);
}

static struct client *
client_of(struct channel *c)
{
	struct client *cl = channel_data(c);

	if (!cl) {
		cl = mem_alloc(sizeof *cl);
		cl->channel = c;
		channel_set_data(c, cl);
	}
	return cl;
}

/* ---- open ---- */

/* The disk guard: new mail is refused while there is still room for all that was taken. */
static bool
has_space(struct drafts *ds, uint64_t size_hint)
{
	const struct cleanup_settings *s = ds->settings;
	uint64_t now = clock_mono_ms();

	if (ds->space_ms == 0 || now - ds->space_ms >= SPACE_MS) {
		ds->space_ms = now;
		if (!queue_space(ds->queue, &ds->octets, &ds->inodes)) {
			log_errno("queue: its free space cannot be told");
			ds->octets = ds->inodes = 0;
		}
	}
	if (ds->octets >= s->minfree_octets && ds->octets - s->minfree_octets >= size_hint
	    && ds->inodes >= s->minfree_inodes) {
		ds->octets -= size_hint;	/* until the next look */
		return true;
	}
	if (ds->space_log_ms == 0 || now - ds->space_log_ms >= SPACE_LOG_MS) {
		ds->space_log_ms = now;
		log_warn("queue: no mail is taken: free octets=%llu files=%llu, queue_minfree=%llu"
		    " queue_minfree_files=%llu: make room", (unsigned long long)ds->octets,
		    (unsigned long long)ds->inodes, (unsigned long long)s->minfree_octets,
		    (unsigned long long)s->minfree_inodes);
	}
	return false;
}

static enum open_status
open_draft(struct drafts *ds, struct client *cl, uint64_t size_hint, struct draft **out, int *writer)
{
	struct draft *d, **at;

	if (!has_space(ds, size_hint))
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
	a.status = open_draft(ds, cl, m.size_hint, &d, &a.file);
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
		abandon(ds, cl, d);
	daemon_settled(ds->daemon);
	return true;
}

/* ---- commit ---- */

static void
answer(struct drafts *ds, struct channel *c, uint32_t id, enum commit_status status, struct bytes queue_id)
{
	ipc_put_committed(&ds->out, id, &(struct ipc_committed){ .status = status, .queue_id = queue_id });
	channel_reply(c, id, &ds->out);
}

/* False: not fit for the queue. */
static bool
check(struct pending *p)
{
	struct draft *d = p->draft;
	const char *wrong = d->records.full ? "too many records"
	    : check_envelope(buf_bytes(&d->records), p->octets, clock_wall_s(), p->arena, &p->envelope);

	if (wrong)
		log_warn("queue %s: refused: its envelope is not as it must be: %s", d->file.id, wrong);
	return wrong == NULL;
}

static enum commit_status
status_of(const struct queue_commit *c)
{
	if (c->ok)
		return COMMIT_OK;
	return c->fault == ENOSPC || c->fault == EDQUOT ? COMMIT_NO_SPACE : COMMIT_FAILED;
}

static void
tell_qmgr(struct drafts *ds, const struct draft *d)
{
	struct channel *c = peers_pick(ds->qmgr);

	if (!c)
		return;			/* it looks into new/ by itself */
	ipc_put_arrived(&ds->out, 0, &(struct ipc_arrived){ .queue_id = text(d->file.id) });
	channel_send(c, &ds->out);
}

static void
write_sound(struct drafts *ds)
{
	struct queue_commit commit[BATCH];
	size_t n = 0;

	for (size_t i = 0; i < ds->npending; i++) {
		struct pending *p = &ds->pending[i];

		if (p->sound)
			commit[n++] = (struct queue_commit){ .draft = &p->draft->file, .octets = p->octets,
			    .envelope = &p->envelope };
		else
			queue_draft_abandon(ds->queue, &p->draft->file);
	}
	queue_commit(ds->queue, commit, n);
	n = 0;
	for (size_t i = 0; i < ds->npending; i++)
		if (ds->pending[i].sound)
			ds->pending[i].status = status_of(&commit[n++]);
}

/* The round is over: all of it becomes durable, then everyone is told. */
static void
commit_all(void *arg)
{
	struct drafts *ds = arg;

	timer_clear(&ds->round);
	for (size_t i = 0; i < ds->npending; i++) {
		struct pending *p = &ds->pending[i];

		p->arena = arena_new(ENVELOPE_ARENA);
		p->status = COMMIT_FAILED;
		p->sound = check(p);
	}
	write_sound(ds);
	for (size_t i = 0; i < ds->npending; i++) {
		struct pending *p = &ds->pending[i];

		if (p->status == COMMIT_OK)
			tell_qmgr(ds, p->draft);
		answer(ds, p->client->channel, p->id, p->status, text(p->draft->file.id));
		arena_free(&p->arena);
		forget(ds, p->client, p->draft);
		ds->daemon->served++;
	}
	ds->npending = 0;
	daemon_settled(ds->daemon);
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
		answer(ds, cl->channel, in->id, COMMIT_FAILED, m.queue_id);
		return true;
	}
	buf_add(&d->records, m.records);
	d->committing = true;
	if (ds->npending == 0)
		timer_set(&ds->round, 0);
	ds->pending[ds->npending++] = (struct pending){ .client = cl, .draft = d, .id = in->id, .octets = m.octets };
	if (ds->npending == BATCH)
		commit_all(ds);
	return true;
}

/* ---- what the daemon calls ---- */

bool
drafts_frame(void *drafts, struct channel *c, struct ipc_in *in)
{
	struct drafts *ds = drafts;
	struct client *cl = client_of(c);

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
		if (ds->pending[i].client != cl)
			ds->pending[kept++] = ds->pending[i];
	ds->npending = kept;
	for (size_t i = 0; i < BUCKETS; i++)
		while (cl->bucket[i])
			abandon(ds, cl, cl->bucket[i]);
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
	mem_free(ds);
}
