/* SPDX-License-Identifier: ISC */
/*
 * pickup/submission.c - one message from a local command: any user of the host may
 * be at the other end, and sends what it likes. It waits for the answer to all but
 * content; who does not is closed. What was dropped while the suite was down
 * (pickup/drops.c) comes this way, too.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/completion.h"
#include "mail/envelope.h"
#include "mail/router.h"
#include "mail/routes.h"
#include "pickup/pickup.h"
#include "proto/smtp_address.h"
#include "proto/tls_required.h"

#define ANSWER_MS	60000
#define COMMIT_MS	300000
#define WRITE_AT	32768
#define MAIL_MAX	(16u << 20)

enum { IDLE, OPENING, ADDRESSES, ASKING, CONTENT, COMMITTING };

struct opening;

struct submission {
	struct pickup	*pickup;		/* borrowed */
	submission_answer answer;
	void		*arg;			/* of answer; borrowed: whoever frees it frees this first */
	uint32_t	 uid;
	unsigned	 state;
	struct arena	*mail;			/* owned */
	struct envelope	 envelope;
	struct recipient asked;
	size_t		 cap, given;
	struct head	*head;			/* owned */
	struct message_id message_id;
	struct tls_required tls_required;
	struct buf	 content;		/* owned */
	uint64_t	 octets;
	int		 file;			/* owned */
	char		 queue_id[QUEUE_ID_MAX + 1];
	uint64_t	 cleanup, call;
	struct peers	*call_peers;
	struct opening	*opening;
	bool		 cr, line_open;
	unsigned	 refuse_code;
	const char	*refuse_words;
};

/* The answer to `open` brings a file, whether or not the client is still there. */
struct opening { struct pickup *pickup; struct submission *s; uint64_t cleanup; };

static void
answer(struct submission *s, unsigned code, struct bytes words)
{
	s->answer(s->arg, code, bytes_head(words, 512), s->queue_id);
}

static void
refuse(struct submission *s, unsigned code, const char *words)
{
	if (s->refuse_code != 0)
		return;
	s->refuse_code = code;
	s->refuse_words = words;
	buf_clear(&s->content);
}

static void
abandon(struct pickup *p, uint64_t serial, struct bytes queue_id)
{
	struct channel *c = peers_by_serial(p->cleanup, serial);

	if (c == NULL)
		return;
	ipc_put_abandon(&p->out, 0, &(struct ipc_abandon){ .queue_id = queue_id });
	channel_send(c, &p->out);
}

static void
reset(struct submission *s)
{
	if (s->file != -1) {
		fd_close(&s->file);
		abandon(s->pickup, s->cleanup, text(s->queue_id));
	}
	arena_free(&s->mail);
	mem_free(s->head);
	s->head = NULL;
	buf_release(&s->content);
	memset(&s->envelope, 0, sizeof s->envelope);
	s->cap = s->given = 0;
	s->octets = 0;
	s->cr = s->line_open = false;
	s->refuse_code = 0;
	s->queue_id[0] = '\0';
	s->state = IDLE;
}

struct submission *
submission_new(struct pickup *p, uint32_t uid, submission_answer on_answer, void *arg)
{
	struct submission *s = mem_alloc(sizeof *s);

	s->pickup = p;
	s->uid = uid;
	s->answer = on_answer;
	s->arg = arg;
	s->file = -1;
	buf_init(&s->content, 8 * WRITE_AT);
	return s;
}

void
submission_free(struct submission **submission)
{
	struct submission *s = *submission;

	if (s == NULL)
		return;
	if (s->opening != NULL)
		s->opening->s = NULL;
	peers_cancel(s->call_peers != NULL ? s->call_peers : s->pickup->cleanup, s->call);
	reset(s);
	buf_fini(&s->content);
	mem_free(s);
	*submission = NULL;
}

bool
submission_waits(const struct submission *s)
{
	return s->state == OPENING || s->state == ASKING || s->state == COMMITTING;
}

/* ---- it begins ---- */

static void
content_begin(struct submission *s)
{
	const struct pickup_settings *set = s->pickup->settings;
	const struct head_limits limits = { .header_octets = set->header_octets,
	    .hops = (unsigned)set->hops, .depth = (unsigned)set->mime_depth,
	    .parts = (unsigned)set->mime_parts };

	s->head = mem_alloc(sizeof *s->head);
	head_init(s->head, &limits, text(set->hostname), completion_names, COMPLETION_FIELDS);
	message_id_init(&s->message_id);
	s->tls_required = (struct tls_required){ 0 };
}

static void
on_opened(void *arg, struct ipc_in *in)
{
	struct opening *o = arg;
	struct submission *s = o->s;
	struct ipc_opened a = { .file = -1 };
	bool good = in != NULL && in->type == IPC_opened && ipc_get_opened(in, &a)
	    && a.status == OPEN_OK && a.file != -1 && a.queue_id.n <= QUEUE_ID_MAX;

	if (s == NULL || !good) {
		fd_close(&a.file);
		if (s == NULL && good)
			abandon(o->pickup, o->cleanup, a.queue_id);
	}
	if (s != NULL) {
		s->opening = NULL;
		if (good) {
			s->cleanup = o->cleanup;
			s->file = a.file;
			bytes_to_text(a.queue_id, s->queue_id, sizeof s->queue_id);
			s->state = ADDRESSES;
			content_begin(s);
			answer(s, 250, text("2.1.0 sender ok"));
		} else {
			reset(s);
			if (a.status == OPEN_NO_SPACE)
				answer(s, 452, text("4.3.1 no room for mail now; try again later"));
			else
				answer(s, 451, text("4.3.0 the queue cannot take mail now; try again later"));
		}
	}
	mem_free(o);
}

bool
submission_begin(struct submission *s, const struct ipc_submit *m)
{
	struct pickup *p = s->pickup;
	struct channel *c = peers_pick(p->cleanup);
	struct smtp_address from;
	struct opening *o;

	if (s->state != IDLE)
		return false;
	s->mail = arena_new(MAIL_MAX);
	if (!m->null_sender) {
		if (smtp_mailbox_parse(m->sender, SMTP_TAKE_UTF8, s->mail, &from) != SMTP_ADDRESS_OK) {
			reset(s);
			answer(s, 501, text("5.1.7 the sender address is not user@domain"));
			return true;
		}
		s->envelope.sender = arena_copy(s->mail, smtp_address_text(&from, s->mail));
		s->envelope.smtputf8 = from.utf8;
	}
	s->envelope.envid = arena_copy(s->mail, m->envid);
	s->envelope.body = m->body_8bit ? BODY_8BITMIME : BODY_7BIT;
	if (c == NULL) {
		reset(s);
		answer(s, 451, text("4.3.0 the queue cannot take mail now; try again later"));
		return true;
	}
	o = mem_alloc(sizeof *o);
	*o = (struct opening){ .pickup = p, .s = s, .cleanup = channel_serial(c) };
	s->opening = o;
	s->state = OPENING;
	ipc_put_open(&p->out, 0, &(struct ipc_open){ .submission = 1 });
	channel_call(c, &p->out, ANSWER_MS, on_opened, o);
	return true;
}

/* ---- recipients ---- */

static void
on_checked(void *arg, struct ipc_in *in)
{
	struct submission *s = arg;
	struct ipc_rcpt_answer a;

	s->call = 0;
	s->state = ADDRESSES;
	if (in == NULL || in->type != IPC_rcpt_answer || !ipc_get_rcpt_answer(in, &a))
		memset(&a, 0, sizeof a);
	if (a.verdict == NO && a.code >= 400 && a.code < 600) {
		answer(s, a.code, a.reply);
	} else if (a.verdict == YES && arena_used(s->mail) + a.routes.n <= ROUTES_MAX
	    && routes_add(&s->envelope, &s->cap, s->mail, &s->asked, a.routes)) {
		s->given++;
		answer(s, 250, text("2.1.5 recipient ok"));
	} else {
		answer(s, 451, a.verdict == NOT_SURE && a.reply.n > 0 ? a.reply
		    : text("4.3.0 cannot look up this recipient now; try again later"));
	}
}

bool
submission_rcpt(struct submission *s, const struct ipc_submit_rcpt *m)
{
	struct pickup *p = s->pickup;
	struct smtp_address to;

	if (s->state != ADDRESSES)
		return false;
	if (s->given >= p->settings->recipients || arena_used(s->mail) > ROUTES_MAX) {
		answer(s, 452, text("4.5.3 too many recipients; send the others in another message"));
		return true;
	}
	if (smtp_forward_path(m->recipient, SMTP_TAKE_UTF8, s->mail, &to) != SMTP_ADDRESS_OK) {
		answer(s, 501, text("5.1.3 the recipient address is not user@domain"));
		return true;
	}
	memset(&s->asked, 0, sizeof s->asked);
	s->asked.original = arena_copy(s->mail, smtp_address_text(&to, s->mail));
	s->asked.notify = m->notify & (NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY);
	s->envelope.smtputf8 |= to.utf8;
	ipc_put_rcpt_check(&p->out, 0, &(struct ipc_rcpt_check){
	    .client_class = CLIENT_LOCAL_USER, .client = text("local"),
	    .sender = s->envelope.sender, .recipient = s->asked.original,
	    .smtputf8 = to.utf8 });
	s->state = ASKING;
	s->call_peers = p->router;
	s->call = peers_call(p->router, &p->out, ANSWER_MS, on_checked, s);
	return true;
}

/* ---- content ---- */

static void
write_content(struct submission *s)
{
	if (s->content.n == 0)
		return;
	if (file_write(s->file, buf_bytes(&s->content))) {
		buf_clear(&s->content);
		return;
	}
	log_errno("%s: cannot write content", s->queue_id);
	if (errno == ENOSPC || errno == EDQUOT)
		refuse(s, 452, "4.3.1 no room for this message now; try again later");
	else
		refuse(s, 451, "4.3.0 cannot store this message now; try again later");
}

static void
content(struct submission *s, const char *p, size_t n)
{
	struct bytes run = bytes_of(p, n);

	if (s->refuse_code != 0 || n == 0)
		return;
	s->octets += n;
	if (s->pickup->settings->message_octets != 0
	    && s->octets > s->pickup->settings->message_octets) {
		refuse(s, 552, "5.3.4 message too big: message_size_limit");
		return;
	}
	head_feed(s->head, run);
	message_id_feed(&s->message_id, run);
	tls_required_feed(&s->tls_required, run);
	buf_add(&s->content, run);
	if (s->content.n >= WRITE_AT)
		write_content(s);
}

/* Every CR, LF or CRLF of the user's ends a line; ours end in CRLF. */
bool
submission_content(struct submission *s, struct bytes in)
{
	const char *p = (const char *)in.p;
	size_t from = 0;

	if (s->state != ADDRESSES && s->state != CONTENT)
		return false;
	s->state = CONTENT;
	for (size_t i = 0; i < in.n; i++) {
		bool after_cr = s->cr;

		if (p[i] != '\r' && p[i] != '\n') {
			s->cr = false;
			s->line_open = true;
			continue;
		}
		content(s, p + from, i - from);
		from = i + 1;
		s->cr = p[i] == '\r';
		if (p[i] == '\n' && after_cr)
			continue;		/* its CR has ended the line */
		content(s, "\r\n", 2);
		s->line_open = false;
	}
	content(s, p + from, in.n - from);
	return true;
}

static void
judge(struct submission *s)
{
	unsigned over = s->head->over;

	if (over & HEAD_OVER_HOPS)
		refuse(s, 554, "5.4.6 too many Received fields: a mail loop");
	else if (over & HEAD_OVER_OCTETS)
		refuse(s, 552, "5.3.4 message header too big: header_size_limit");
	else if (over & (HEAD_OVER_FIELDS | HEAD_OVER_RANGES))
		refuse(s, 554, "5.6.0 too many header fields");
	else if (over != 0)
		refuse(s, 554, "5.6.0 MIME parts are nested too deep or too many");
}

static void
finish_envelope(struct submission *s)
{
	struct envelope *e = &s->envelope;
	const struct head *h = s->head;
	int64_t now_s = clock_wall_s();
	char date[CLOCK_DATE_MAX];

	e->arrival_s = now_s;
	e->protocol = text("local");
	e->client = text("local");
	e->account = arena_fmt(s->mail, SUBMISSION_ACCOUNT, (unsigned)s->uid);
	if (tls_required_is_no(&s->tls_required))	/* RFC 8689 section 4.1 */
		e->requiretls = TLS_NOT_REQUIRED;
	e->edits = arena_array(s->mail, 1 + COMPLETION_EDITS + h->ranges_n, sizeof *e->edits);
	e->edits[e->nedits++] = (struct header_edit){ .op = EDIT_INSERT, .name = text("Received"),
	    .text = arena_fmt(s->mail, "Received: by %s (Hermod, from uid %u)\r\n\tid %s; %s\r\n",
	    s->pickup->settings->hostname, (unsigned)s->uid, s->queue_id, clock_date(now_s, date)) };	/* RFC 5321 section 4.4 */
	complete_message(&(struct completion){ .head = h, .message_id = &s->message_id, .from = e->sender,
	    .hostname = s->pickup->settings->hostname, .queue_id = s->queue_id, .now_s = now_s }, s->mail, e);
}

static void
on_committed(void *arg, struct ipc_in *in)
{
	struct submission *s = arg;
	struct ipc_committed a = { 0 };

	s->call = 0;
	if (in == NULL || in->type != IPC_committed || !ipc_get_committed(in, &a))
		a.status = COMMIT_FAILED;
	if (a.status == COMMIT_OK) {
		log_info("%s: from=<%s> size=%llu nrcpt=%zu client=local uid=%u message-id=<%s>", s->queue_id,
		    log_value(s->envelope.sender), (unsigned long long)s->octets,
		    s->envelope.nrcpts, (unsigned)s->uid, log_value(message_id_text(&s->message_id)));
		answer(s, 250, text("2.0.0 queued"));
	} else if (a.status == COMMIT_REFUSED) {
		log_info("%s: uid=%u refused after its content: %s", s->queue_id, (unsigned)s->uid,
		    log_text(a.reply));
		answer(s, 554, a.reply);
	} else if (a.status == COMMIT_NO_SPACE) {
		answer(s, 452, text("4.3.1 no room for this message now; try again later"));
	} else {
		answer(s, 451, text("4.3.0 cannot store this message now; try again later"));
	}
	reset(s);
}

static void
commit(struct submission *s, struct channel *c)
{
	struct pickup *p = s->pickup;
	struct bytes rest;
	const size_t part = 57344;		/* of `envelope` and `commit` in messages.def */

	buf_clear(&p->records);
	envelope_encode(&s->envelope, &p->records);
	for (rest = buf_bytes(&p->records); rest.n > part; rest = bytes_skip(rest, part)) {
		ipc_put_envelope(&p->out, 0, &(struct ipc_envelope){ .queue_id = text(s->queue_id),
		    .records = bytes_head(rest, part) });
		channel_send(c, &p->out);
	}
	ipc_put_commit(&p->out, 0, &(struct ipc_commit){ .queue_id = text(s->queue_id),
	    .octets = s->octets, .records = rest });
	s->state = COMMITTING;
	s->call_peers = NULL;
	s->call = channel_call(c, &p->out, COMMIT_MS, on_committed, s);
}

bool
submission_end(struct submission *s)
{
	struct channel *c = peers_by_serial(s->pickup->cleanup, s->cleanup);

	if (s->state != ADDRESSES && s->state != CONTENT)
		return false;
	if (s->line_open)
		content(s, "\r\n", 2);
	head_end(s->head);
	judge(s);
	if (s->given == 0)
		refuse(s, 554, "5.5.1 no recipient was accepted");
	if (s->refuse_code == 0)
		write_content(s);
	if (s->refuse_code == 0 && c == NULL)
		refuse(s, 451, "4.3.0 the queue cannot take mail now; try again later");
	if (s->refuse_code != 0) {
		unsigned code = s->refuse_code;
		const char *words = s->refuse_words;

		reset(s);
		answer(s, code, text(words));
		return true;
	}
	finish_envelope(s);
	fd_close(&s->file);			/* a writer that is left is a refusal */
	commit(s, c);
	return true;
}

/* ---- frames ---- */

bool
submission_frame(struct submission *s, struct ipc_in *in)
{
	struct ipc_submit begins;
	struct ipc_submit_rcpt rcpt;
	struct ipc_submit_data data;
	struct ipc_submit_end ends;

	switch (in->type) {
	case IPC_submit:
		return ipc_get_submit(in, &begins) && submission_begin(s, &begins);
	case IPC_submit_rcpt:
		return ipc_get_submit_rcpt(in, &rcpt) && submission_rcpt(s, &rcpt);
	case IPC_submit_data:
		return ipc_get_submit_data(in, &data) && submission_content(s, data.octets);
	case IPC_submit_end:
		return ipc_get_submit_end(in, &ends) && submission_end(s);
	default:
		return false;
	}
}
