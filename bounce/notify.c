/* SPDX-License-Identifier: ISC */
/*
 * bounce/notify.c - one notification: qmgr names a message, and gets an answer.
 *
 *	envelope ── whom? ──rcpt_check──▶ router	where does that address lead?
 *	            │      ◀── refused: postmaster, or a person
 *	            ├──open──▶ cleanup			a queue file, written by bounce/write.c
 *	            └──commit▶ cleanup ──▶ notified
 *
 * qmgr marks the message when it was told that the notification is durable: a crash between sends it twice, never
 * not at all. Nothing is remembered here.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "bounce/bounce.h"
#include "mail/routes.h"

#define ANSWER_MS	10000	/* with a commit less than notify_timeout, which is qmgr's patience */
#define COMMIT_MS	30000
#define COUNT_MAX	100	/* in work: qmgr asks again for those that are too many */
#define REPLY_MAX	512	/* as in `notified` of mail/messages.def; the next two likewise */
#define RECORDS_PART	57344
#define NAME_MAX_	1024

struct notification {
	struct notification *next;	/* of bounce's */
	struct bounce	*bounce;	/* borrowed */
	struct channel	*asker;		/* borrowed; NULL: gone, nobody wants to know */
	uint32_t	 id;		/* of the question */
	enum notice_kind kind;
	struct queue_message *about;	/* owned; its arena holds all that follows */
	struct notice_told *told;
	size_t		 ntold, failed;
	enum notice_to	 whom;
	struct bytes	 to;		/* address */
	struct envelope	 envelope;
	struct returned	 returned;	/* owned */
	uint64_t	 cleanup;	/* channel_serial */
	uint64_t	 octets;
	int		 file;		/* owned; -1: none */
	char		 queue_id[QUEUE_ID_MAX + 1];	/* ""; cleanup has no file of it */
};

/* ---- the end ----------------------------------------------------------------------------------- */

static void
abandon(struct notification *n)
{
	struct bounce *b = n->bounce;
	struct channel *c = peers_by_serial(b->cleanup, n->cleanup);

	fd_close(&n->file);
	if (c != NULL && n->queue_id[0] != '\0') {
		ipc_put_abandon(&b->out, 0, &(struct ipc_abandon){ .queue_id = text(n->queue_id) });
		channel_send(c, &b->out);
	}
	n->queue_id[0] = '\0';
}

static void
notification_free(struct notification *n)
{
	struct bounce *b = n->bounce;
	struct notification **at = &b->open;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	b->count--;
	fd_close(&n->file);
	returned_free(&n->returned);
	queue_message_free(&n->about);
	mem_free(n);
}

/* Frees n. why: NOTICE_LATER, NOTICE_HOLD; it is for qmgr to log, which acts on it. */
static void
answer(struct notification *n, enum notice_result result, struct bytes why)
{
	struct bounce *b = n->bounce;

	if (n->asker != NULL) {
		ipc_put_notified(&b->out, 0, &(struct ipc_notified){ .result = result, .notice = text(n->queue_id),
		    .reply = bytes_head(why, REPLY_MAX) });
		channel_reply(n->asker, n->id, &b->out);
	}
	notification_free(n);
	b->daemon->served++;
	daemon_settled(b->daemon);
}

static void
later(struct notification *n, const char *why)
{
	abandon(n);
	answer(n, NOTICE_LATER, text(why));
}

static void
hold(struct notification *n, const char *why)
{
	abandon(n);
	answer(n, NOTICE_HOLD, text(why));
}

static void
needless(struct notification *n)
{
	abandon(n);
	log_info("%s: notice=none reason=\"nobody is to be told\"", n->about->id);
	answer(n, NOTICE_NEEDLESS, text(NULL));
}

/* Nobody waits for it: whoever asks next begins anew. */
static bool
is_orphan(struct notification *n)
{
	if (n->asker != NULL)
		return false;
	abandon(n);
	answer(n, NOTICE_LATER, text(NULL));
	return true;
}

/* ---- into the queue ----------------------------------------------------------------------------------- */

static const char *
kind_word(const struct notification *n)
{
	if (n->kind == NOTICE_DELAY)
		return "delay";
	return n->failed > 0 ? "failure" : "success";
}

static void	ask_else(struct notification *n, struct bytes words);

static void
on_committed(void *arg, struct ipc_in *in)
{
	struct notification *n = arg;
	struct ipc_committed a = { .next = -1 };

	if (in == NULL || in->type != IPC_committed || !ipc_get_committed(in, &a))
		a = (struct ipc_committed){ .status = COMMIT_FAILED, .next = -1 };
	fd_close(&a.next);
	if (a.status == COMMIT_OK) {
		log_info("%s: notice=%s kind=%s to=<%s> nrcpt=%zu size=%llu", n->about->id, n->queue_id, kind_word(n),
		    log_value(n->to), n->ntold, (unsigned long long)n->octets);
		answer(n, NOTICE_SENT, text(NULL));
		return;
	}
	n->queue_id[0] = '\0';			/* nothing is left of it */
	if (a.status == COMMIT_REFUSED)
		ask_else(n, a.reply);
	else
		later(n, a.status == COMMIT_NO_SPACE ? "there is no room in the queue for the notification"
		    : "the queue does not take the notification");
}

static void
commit(struct notification *n, struct channel *c)
{
	struct bounce *b = n->bounce;
	struct buf records;
	struct bytes rest;

	buf_init(&records, ENVELOPE_MAX);
	envelope_encode(&n->envelope, &records);
	for (rest = buf_bytes(&records); rest.n > RECORDS_PART; rest = bytes_skip(rest, RECORDS_PART)) {
		ipc_put_envelope(&b->out, 0, &(struct ipc_envelope){ .queue_id = text(n->queue_id),
		    .records = bytes_head(rest, RECORDS_PART) });
		channel_send(c, &b->out);
	}
	ipc_put_commit(&b->out, 0, &(struct ipc_commit){ .queue_id = text(n->queue_id), .octets = n->octets,
	    .records = rest });
	buf_fini(&records);
	channel_call(c, &b->out, COMMIT_MS, on_committed, n);
}

static bool
is_local(const struct envelope *e)
{
	for (size_t i = 0; i < e->nrcpts; i++)
		if (!bytes_eq(e->rcpts[i].transport, text("local")))
			return false;
	return true;
}

/* False: errno. */
static bool
write_notice(struct notification *n)
{
	const struct returned *r = &n->returned;
	struct notice notice = { .rules = &n->bounce->rules, .envelope = &n->about->envelope, .told = n->told, .ntold = n->ntold,
	    .failed = n->failed, .about = n->about->id, .id = n->queue_id, .to = n->to,
	    .to_postmaster = n->whom == NOTICE_TO_POSTMASTER, .takes_8bit = is_local(&n->envelope), .now_s = clock_wall_s(),
	    .boundary = r->boundary, .header = buf_bytes(&r->header), .octets = r->octets, .header_look = &r->header_look,
	    .look = r->looked ? &r->look : NULL };
	struct envelope *e = &n->envelope;

	notice_begin(&notice, n->about->arena);
	e->arrival_s = notice.now_s;
	e->body = notice.body;
	e->smtputf8 = notice.smtputf8;
	e->requiretls = n->about->envelope.requiretls;	/* RFC 8689 section 5 */
	e->mt_priority = n->about->envelope.mt_priority;	/* RFC 6710 section 4.6 */
	e->origin = n->whom == NOTICE_TO_POSTMASTER ? ORIGIN_NOTICE_POSTMASTER : ORIGIN_NOTICE;
	e->client = e->protocol = text("local");
	e->session = text(n->about->id);
	return returned_write(r, n->about, &notice, n->file, &n->octets);
}

static void
on_opened(void *arg, struct ipc_in *in)
{
	struct notification *n = arg;
	struct ipc_opened a = { .file = -1 };
	struct channel *c = peers_by_serial(n->bounce->cleanup, n->cleanup);
	bool good = in != NULL && in->type == IPC_opened && ipc_get_opened(in, &a) && a.status == OPEN_OK
	    && bytes_to_text(a.queue_id, n->queue_id, sizeof n->queue_id) && a.file != -1;

	n->file = a.file;
	if (is_orphan(n))
		return;
	if (!good || c == NULL) {
		later(n, a.status == OPEN_NO_SPACE ? "there is no room in the queue for a notification"
		    : "the queue takes nothing now");
		return;
	}
	if (!write_notice(n)) {
		log_errno("%s: its notification cannot be written", n->about->id);
		later(n, "the notification cannot be written");
		return;
	}
	fd_close(&n->file);			/* a writer that is left is a refusal */
	commit(n, c);
}

static void
ask_open(struct notification *n)
{
	struct bounce *b = n->bounce;
	struct channel *c = peers_pick(b->cleanup);

	if (c == NULL) {
		later(n, "the queue takes nothing now");
		return;
	}
	n->cleanup = channel_serial(c);
	ipc_put_open(&b->out, 0, &(struct ipc_open){ .size_hint = returned_room(&n->returned, n->ntold) });
	channel_call(c, &b->out, ANSWER_MS, on_opened, n);
}

/* ---- where the address leads ----------------------------------------------------------------------------- */

static void
on_checked(void *arg, struct ipc_in *in)
{
	struct notification *n = arg;
	struct recipient asked = { .original = n->to };
	struct ipc_rcpt_answer a = { 0 };
	size_t cap = 0;

	if (in == NULL || in->type != IPC_rcpt_answer || !ipc_get_rcpt_answer(in, &a))
		a = (struct ipc_rcpt_answer){ .verdict = NOT_SURE };
	if (is_orphan(n))
		return;
	n->envelope = (struct envelope){ 0 };
	if (a.verdict == NO)
		ask_else(n, a.reply);
	else if (a.verdict == YES && routes_add(&n->envelope, &cap, n->about->arena, &asked, a.routes))
		ask_open(n);
	else
		later(n, "it cannot be looked up just now where the notification would go");
}

/* A stranger's mail would be taken for what is ours to deliver, and for nothing else: that is how it is asked. */
static void
ask_router(struct notification *n)
{
	struct bounce *b = n->bounce;
	bool ours = n->whom == NOTICE_TO_SENDER_OF_OURS;

	ipc_put_rcpt_check(&b->out, 0, &(struct ipc_rcpt_check){
	    .client_class = ours ? CLIENT_STRANGER : CLIENT_LOCAL_USER, .client = text(ours ? "" : "local"),
	    .recipient = bytes_head(n->to, NAME_MAX_), .smtputf8 = 1 });
	peers_call(b->router, &b->out, ANSWER_MS, on_checked, n);
}

/* Whom this is for is known. why: NOTICE_TO_HOLD. */
static void
proceed(struct notification *n, enum notice_to whom, const char *why)
{
	n->whom = whom;
	switch (whom) {
	case NOTICE_TO_NOBODY:
		needless(n);
		break;
	case NOTICE_TO_HOLD:
		hold(n, why);
		break;
	case NOTICE_TO_SENDER:
	case NOTICE_TO_SENDER_OF_OURS:
		n->to = n->about->envelope.sender;
		ask_router(n);
		break;
	case NOTICE_TO_POSTMASTER:
		n->to = arena_fmt(n->about->arena, "postmaster@%s", n->bounce->settings->hostname);
		ask_router(n);
		break;
	}
}

/* The address is refused, here or when it was to be delivered to. */
static void
ask_else(struct notification *n, struct bytes words)
{
	enum notice_to whom;
	const char *why;

	log_info("%s: notice to=<%s> refused reply=\"%s\"", n->about->id, log_value(n->to), log_text(words));
	if (n->whom == NOTICE_TO_POSTMASTER) {
		hold(n, "neither its sender nor postmaster can be told");
		return;
	}
	whom = notice_to_else(&n->bounce->policy, &n->about->envelope, n->failed, n->whom, &why);
	proceed(n, whom, why);
}

/* ---- the question -------------------------------------------------------------------------------------------- */

static void
begin(struct notification *n)
{
	struct bounce *b = n->bounce;
	struct envelope *e = &n->about->envelope;
	enum notice_to whom;
	const char *why;

	n->ntold = notice_recipients(e, n->kind, n->about->arena, &n->told, &n->failed);
	whom = n->ntold > 0 ? notice_to(&b->policy, e, n->failed, &why) : NOTICE_TO_NOBODY;
	if (whom == NOTICE_TO_SENDER || whom == NOTICE_TO_SENDER_OF_OURS || whom == NOTICE_TO_POSTMASTER)
		returned_read(&n->returned, n->about, &b->rules, n->failed, b->settings->header_octets);
	proceed(n, whom, n->ntold > 0 ? why : NULL);
}

static void
refuse(struct bounce *b, struct channel *c, uint32_t id, enum notice_result result, const char *why)
{
	ipc_put_notified(&b->out, 0, &(struct ipc_notified){ .result = result, .reply = text(why) });
	channel_reply(c, id, &b->out);
}

bool
bounce_frame(void *bounce, struct channel *c, struct ipc_in *in)
{
	struct bounce *b = bounce;
	struct notification *n;
	struct queue_message *about;
	struct ipc_notify m;
	uint32_t id = in->id;
	enum queue_read r;

	if (in->type != IPC_notify || !ipc_get_notify(in, &m))
		return false;
	if (m.kind > NOTICE_DELAY || m.file == -1) {
		fd_close(&m.file);
		refuse(b, c, id, NOTICE_LATER, "no file came with the question");
		return m.kind <= NOTICE_DELAY;
	}
	if (b->count >= COUNT_MAX) {
		fd_close(&m.file);
		refuse(b, c, id, NOTICE_LATER, "too many notifications are in work");
		return true;
	}
	r = queue_message_take(m.queue_id, m.file, &about);
	if (r != QUEUE_READ) {
		refuse(b, c, id, r == QUEUE_TROUBLE ? NOTICE_LATER : NOTICE_HOLD, "its envelope cannot be read");
		return true;
	}
	n = mem_alloc(sizeof *n);
	*n = (struct notification){ .next = b->open, .bounce = b, .asker = c, .id = id, .kind = (enum notice_kind)m.kind,
	    .about = about, .file = -1 };
	b->open = n;
	b->count++;
	begin(n);
	return true;
}

/* ---- what the daemon calls --------------------------------------------------------------------------------------- */

/* Who asked is gone: what is not durable yet ends at its next step. */
void
bounce_gone(void *bounce, struct channel *c)
{
	struct bounce *b = bounce;

	for (struct notification *n = b->open; n != NULL; n = n->next)
		if (n->asker == c)
			n->asker = NULL;
}

uint32_t
bounce_count(void *bounce)
{
	return ((struct bounce *)bounce)->count;
}

void
bounce_init(struct bounce *b, struct daemon *d, const struct bounce_settings *s)
{
	*b = (struct bounce){ .daemon = d, .settings = s };
	ipc_out_init(&b->out);
	relay_rule_init(&b->relay, &s->trusted_networks);
	b->rules = (struct notice_rules){ .hostname = s->hostname, .full = s->returned == BOUNCE_FULL,
	    .full_octets = s->size_octets, .lifetime_s = s->lifetime_ms / 1000, .templates = &b->templates };
	b->policy = (struct notice_policy){ .relay = &b->relay, .to_strangers = s->to_strangers,
	    .to_postmaster = s->double_bounce == DOUBLE_POSTMASTER };
}

void
bounce_templates(struct bounce *b)
{
	struct buf faults;
	struct bytes rest;

	buf_init(&faults, 65536);
	notice_templates_load(&b->templates, b->settings->template_directory, &faults);
	for (rest = buf_bytes(&faults); rest.n > 0; )
		log_warn("template %s", log_text(bytes_cut(&rest, '\n')));
	buf_fini(&faults);
}

/* Channels that are still open are the daemon's; what is in work ends with the process. */
void
bounce_fini(struct bounce *b)
{
	while (b->open != NULL)
		notification_free(b->open);
	relay_rule_fini(&b->relay);
	notice_templates_free(&b->templates);
	ipc_out_fini(&b->out);
}
