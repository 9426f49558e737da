/* SPDX-License-Identifier: ISC */
/*
 * qmgr/deliver.c - one delivery: what local and smtp-client are asked, and what they answer.
 */
#include "base/log.h"
#include "base/mem.h"
#include "qmgr/qmgr.h"

#define RCPT_HEAD	16		/* octets of a relay_rcpt besides its texts: three lengths, a number */
#define REPLIES_MAX	400		/* of one answer: as many as it may have recipients */

static const struct result interrupted = {
	.outcome = TRY_LATER,
	.interrupted = true,
	.status = { (const unsigned char *)"4.3.0", 5 },
	.reply = { (const unsigned char *)"the delivery was interrupted; it may have arrived", 49 },
};

/* Takes the next job off it. NULL: there is none. */
static struct job *
take_job(struct delivery *d)
{
	struct job *j = d->first;

	if (j)
		d->first = j->next;
	return j;
}

/* All have the same result. */
static void
finish(struct delivery *d, enum relay_contact contact, const struct result *r)
{
	struct schedule *s = d->qmgr->schedule;
	struct job *j;

	schedule_done(d, contact, r);
	while ((j = take_job(d)))
		settle_result(j, r);
	mem_free(d);
	schedule_run(s);
}

/* ---- into a mailbox here ---- */

static void
on_delivered(void *arg, struct ipc_in *in)
{
	struct delivery *d = arg;
	struct ipc_delivered a;

	if (in && in->type == IPC_delivered && ipc_get_delivered(in, &a) && a.outcome <= BOUNCE)
		finish(d, CONTACT_GOOD, &(struct result){ .outcome = a.outcome, .certain = true, .status = a.status,
		    .reply = a.reply });
	else
		finish(d, CONTACT_NONE, &interrupted);
}

void
deliver_local(struct delivery *d, struct peers *peers, unsigned timeout_ms)
{
	const struct work *w = d->work;
	const struct recipient *r = job_recipient(d->first);
	const struct envelope *e = &w->message->envelope;

	ipc_put_deliver(&d->qmgr->out, 0, &(struct ipc_deliver){
		.queue_id = text(w->message->id), .file = w->message->fd,
		.sender = e->sender, .recipient = r->final, .original = r->original,
		.nexthop = r->nexthop, .uid = r->uid, .gid = r->gid, .mailbox = r->mailbox,
		.arrival = (uint64_t)e->arrival_s, .size = w->octets, .segments = buf_bytes(&w->segments) });
	peers_call(peers, &d->qmgr->out, timeout_ms, on_delivered, d);
}

/* ---- to another host, or by LMTP ---- */

size_t
deliver_rcpt_octets(const struct recipient *r)
{
	return RCPT_HEAD + r->final.n + r->orcpt.n;
}

/* What smtp-client has said, taken apart; borrowed from the answer. */
struct said { struct ipc_relay_reply reply[REPLIES_MAX]; size_t n; };

static bool
take_replies(struct bytes run, struct said *s)
{
	bool bad = false;

	for (s->n = 0; run.n > 0; s->n++) {
		struct bytes body = ipc_cut_text(&run, &bad);
		struct ipc_in in;

		ipc_in_bytes(&in, body);
		if (bad || s->n == REPLIES_MAX || !ipc_get_relay_reply(&in, &s->reply[s->n]))
			return false;
	}
	return true;
}

/* The next recipient's. */
static bool
take_result(struct bytes *run, const struct said *s, struct result *r)
{
	struct ipc_relay_result x;
	const struct ipc_relay_reply *said;
	bool bad = false;
	struct ipc_in in;

	ipc_in_bytes(&in, ipc_cut_text(run, &bad));
	if (bad || !ipc_get_relay_result(&in, &x) || x.outcome > BOUNCE || x.reply >= s->n)
		return false;
	said = &s->reply[x.reply];
	*r = (struct result){ .outcome = x.outcome, .certain = !x.uncertain, .dsn = x.dsn, .status = said->status,
	    .reply = said->reply, .remote = said->remote, .command = said->command, .said = said->said };
	return true;
}

/* There is a result for each recipient, and nothing else; *worst is one that was not delivered, if any. */
static bool
check_results(struct bytes run, const struct said *s, size_t n, struct result *worst)
{
	struct result r;

	for (size_t i = 0; i < n; i++) {
		if (!take_result(&run, s, &r))
			return false;
		if (i == 0 || worst->outcome == DELIVERED)
			*worst = r;
	}
	return run.n == 0;
}

static void
on_relayed(void *arg, struct ipc_in *in)
{
	static struct said said;
	struct delivery *d = arg;
	struct schedule *s = d->qmgr->schedule;
	struct ipc_relayed a;
	struct result r;
	struct job *j;

	if (!in || in->type != IPC_relayed || !ipc_get_relayed(in, &a) || a.contact > CONTACT_FAILED
	    || !take_replies(a.replies, &said) || !check_results(a.results, &said, d->n, &r)) {
		finish(d, CONTACT_NONE, &interrupted);
		return;
	}
	schedule_done(d, a.contact, &r);
	while ((j = take_job(d))) {
		must(take_result(&a.results, &said, &r));
		r.tls = a.tls;
		settle_result(j, &r);
	}
	mem_free(d);
	schedule_run(s);
}

static void
put_recipients(const struct delivery *d, struct buf *out)
{
	struct ipc_out body;

	ipc_out_init(&body);
	for (struct job *j = d->first; j; j = j->next) {
		const struct recipient *r = job_recipient(j);

		ipc_put_relay_rcpt(&body, 0, &(struct ipc_relay_rcpt){ .address = r->final, .orcpt = r->orcpt,
		    .notify = r->notify });
		ipc_add_text(out, ipc_out_body(&body));
	}
	ipc_out_fini(&body);
}

void
deliver_relay(struct delivery *d, struct peers *peers, unsigned timeout_ms, struct bytes transport, bool more)
{
	const struct work *w = d->work;
	const struct envelope *e = &w->message->envelope;
	struct buf recipients;

	buf_init(&recipients, DELIVER_RCPT_OCTETS + 4096);
	put_recipients(d, &recipients);
	must(!recipients.full);
	ipc_put_relay(&d->qmgr->out, 0, &(struct ipc_relay){
		.queue_id = text(w->message->id), .file = w->message->fd, .transport = transport,
		.nexthop = job_recipient(d->first)->nexthop, .sender = e->sender, .envid = e->envid,
		.ret = e->ret, .body = e->body, .smtputf8 = e->smtputf8, .requiretls = e->requiretls,
		.mt_priority = (uint32_t)(e->mt_priority + 9), .more = more, .arrival = (uint64_t)e->arrival_s,
		.size = w->octets, .segments = buf_bytes(&w->segments), .recipients = buf_bytes(&recipients) });
	buf_fini(&recipients);
	peers_call(peers, &d->qmgr->out, timeout_ms, on_relayed, d);
}
