/* SPDX-License-Identifier: ISC */
/*
 * pickup/list.c - what is queued, for mailq: names first, then each message as
 * the client asks for more, so that a long queue holds up nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "pickup/pickup.h"

#define NAMES_MAX	(64u << 20)	/* octets of names: a million messages */
#define RCPTS_MAX	30000		/* octets of recipients in one entry */

struct queue_lister {
	struct pickup	*pickup;	/* borrowed */
	char		 whose[24];	/* the account of messages that are shown; "": all */
	struct buf	 names;		/* owned: u8 place, name, NUL; one after the other */
	size_t		 at;
	enum queue_place place;		/* while names are gathered */
};

static bool
add_name(void *arg, const char *name)
{
	struct queue_lister *l = arg;

	buf_u8(&l->names, (uint8_t)l->place);
	buf_add(&l->names, bytes_of(name, strlen(name) + 1));
	return !l->names.full;
}

struct queue_lister *
queue_lister_new(struct pickup *p, uint32_t uid)
{
	struct queue_lister *l = mem_alloc(sizeof *l);

	if (uid != 0 && uid != geteuid())
		snprintf(l->whose, sizeof l->whose, SUBMISSION_ACCOUNT, (unsigned)uid);
	l->pickup = p;
	buf_init(&l->names, NAMES_MAX);
	for (int place = 0; place < QUEUE_PLACES; place++) {
		l->place = (enum queue_place)place;
		if (!queue_walk(&p->queue, l->place, add_name, l))
			log_errno("cannot list %s", queue_place_name[place]);
	}
	return l;
}

void
queue_lister_free(struct queue_lister **lister)
{
	struct queue_lister *l = *lister;

	if (l == NULL)
		return;
	buf_fini(&l->names);
	mem_free(l);
	*lister = NULL;
}

static void
add_recipients(const struct envelope *e, struct buf *out, uint32_t *more, struct bytes *reason)
{
	for (size_t i = 0; i < e->nrcpts; i++) {
		const struct recipient *r = &e->rcpts[i];

		if (r->state == RCPT_DELIVERED || r->state == RCPT_TOLD || r->state == RCPT_PASSED)
			continue;
		if (reason->n == 0)
			*reason = r->last_reply;
		if (out->n + r->final.n + r->last_reply.n + 12 > RCPTS_MAX) {
			(*more)++;
			continue;
		}
		ipc_add_text(out, r->final);
		buf_u32(out, r->state);
		ipc_add_text(out, r->last_reply);
	}
}

static void
send_message(struct queue_lister *l, struct channel *c, uint32_t id, const struct queue_message *m)
{
	const struct envelope *e = &m->envelope;
	struct ipc_queue_entry entry = { .queue_id = text(m->id),
	    .place = text(queue_place_name[m->place]), .arrival = (uint64_t)e->arrival_s,
	    .next = (uint64_t)e->next_s, .sender = e->sender, .reason = e->hold_reason };
	struct buf rcpts;

	for (size_t i = 0; i < e->nextents; i++)
		entry.size += e->extents[i].octets;
	buf_init(&rcpts, RCPTS_MAX + 4096);
	add_recipients(e, &rcpts, &entry.more, &entry.reason);
	entry.reason = bytes_head(entry.reason, 1024);
	entry.recipients = buf_bytes(&rcpts);
	ipc_put_queue_entry(&l->pickup->out, id, &entry);
	channel_send(c, &l->pickup->out);
	buf_fini(&rcpts);
}

static void
send_unread(struct queue_lister *l, struct channel *c, uint32_t id, enum queue_place place,
    const char *name)
{
	ipc_put_queue_entry(&l->pickup->out, id, &(struct ipc_queue_entry){
	    .queue_id = bytes_head(text(name), 32), .place = text(queue_place_name[place]),
	    .reason = text("this file cannot be read: its checksums do not match") });
	channel_send(c, &l->pickup->out);
}

/* The envelope has the recipients that nobody else is to know: a user sees what is the user's own. */
static bool
may_see(const struct queue_lister *l, enum queue_read r, const struct queue_message *m)
{
	if (r == QUEUE_GONE)
		return false;
	if (l->whose[0] == '\0')
		return true;
	return r == QUEUE_READ && bytes_eq(m->envelope.account, text(l->whose));
}

void
queue_lister_batch(struct queue_lister *l, struct channel *c, uint32_t id)
{
	uint32_t looked = 0;

	while (looked < LIST_BATCH && l->at < l->names.n) {
		enum queue_place place = (enum queue_place)l->names.p[l->at];
		const char *name = (const char *)l->names.p + l->at + 1;
		struct queue_message *m = NULL;
		enum queue_read r = queue_message_open(&l->pickup->queue, place, name, &m);

		l->at += 1 + strlen(name) + 1;
		if (may_see(l, r, m)) {
			if (r == QUEUE_READ)
				send_message(l, c, id, m);
			else
				send_unread(l, c, id, place, name);
		}
		looked++;
		queue_message_free(&m);
	}
	ipc_put_queue_end(&l->pickup->out, id, &(struct ipc_queue_end){ .status = 0, .entries = looked });
	channel_reply(c, id, &l->pickup->out);
}
