/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_server_content.c - the message itself: DATA (RFC 5321 section 4.1.1.4) and BDAT (RFC 3030),
 * what is looked at while it comes, and the envelope that goes with it to cleanup.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mail/completion.h"
#include "mail/smtp_server_impl.h"
#include "proto/rfc5322_write.h"
#include "proto/smtp_reply.h"

#define FIELDS_MAX	1000		/* of a message's header */

/* Fields whose places the envelope or the journal wants. */
static const struct bytes no_names[1];

void
smtp_server_refuse(struct smtp_server *s, unsigned code, const char *words)
{
	if (s->refuse_code != 0)
		return;
	s->refuse_code = code;
	snprintf(s->refuse_text, sizeof s->refuse_text, "%s", words);
	buf_clear(&s->content);
}

/* ---- commands ---- */

void
smtp_server_data(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	(void)cmd;
	if (s->bdat) {				/* RFC 3030 section 3 */
		smtp_server_fail(s, 503, "5.5.1 this message was begun with BDAT");
		return;
	}
	if (s->envelope.body == BODY_BINARYMIME) {	/* RFC 3030 section 3 */
		smtp_server_fail(s, 503, "5.5.1 BODY=BINARYMIME wants BDAT, not DATA");
		return;
	}
	s->mode = WAIT_OPEN;
}

void
smtp_server_bdat(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	s->chunk_octets = cmd->size_octets;
	s->chunk_last = cmd->last;
	s->mode = CHUNK;		/* whatever is wrong, its octets come: RFC 3030 section 2 */
	if (s->state != RCPT) {
		smtp_server_refuse(s, 503, "5.5.1 BDAT wants MAIL and an accepted RCPT before it");
		return;
	}
	if (!s->bdat) {
		s->bdat = true;
		s->mode = WAIT_OPEN;
	}
}

/* ---- what comes ---- */

/* What one look at the message found that it must not have. */
static void
judge_head(struct smtp_server *s)
{
	const struct head *h = s->head;

	if (h->over & HEAD_OVER_HOPS)
		smtp_server_refuse(s, 554, "5.4.6 too many Received fields: a mail loop");
	else if (h->over & HEAD_OVER_OCTETS)
		smtp_server_refuse(s, 552, "5.3.4 message header too big");
	else if (h->over & (HEAD_OVER_FIELDS | HEAD_OVER_RANGES))
		smtp_server_refuse(s, 554, "5.6.0 too many header fields");
	else if (h->over & (HEAD_OVER_DEPTH | HEAD_OVER_PARTS))
		smtp_server_refuse(s, 554, "5.6.0 MIME parts are nested too deep or too many");
	else if (s->rules->header_line_octets != 0
	    && h->longest_header_line > s->rules->header_line_octets)
		smtp_server_refuse(s, 554, "5.6.0 a header line is too long");
}

static void
content_run(void *arg, struct bytes run)
{
	struct smtp_server *s = arg;

	if (s->refuse_code != 0)
		return;
	s->octets += run.n;
	if (s->rules->message_octets != 0 && s->octets > s->rules->message_octets) {
		char words[80];

		snprintf(words, sizeof words, "5.3.4 message too big: %llu octets are the most here",
		    (unsigned long long)s->rules->message_octets);
		smtp_server_refuse(s, 552, words);
		return;
	}
	head_feed(s->head, run);
	smtp_from_feed(s, run);
	message_id_feed(s->message_id, run);
	tls_required_feed(&s->tls_required, run);
	if (s->head->over != 0) {
		judge_head(s);
		return;
	}
	buf_add(&s->content, run);
	must(!s->content.full);		/* the driver empties it after each input */
}

/* In reject mode what came by BDAT is held to the same line ends, but for BINARYMIME. */
static void
judge_newlines(struct smtp_server *s)
{
	bool bare;

	if (s->envelope.body == BODY_BINARYMIME)
		return;
	bare = s->bdat ? s->head->bare_cr || s->head->bare_lf : s->data.bare_cr || s->data.bare_lf;
	if (bare && !s->rules->normalize_newlines)
		smtp_server_refuse(s, 550, "5.5.2 CR or LF alone in the message; end lines with both "
		    "(RFC 5321 section 2.3.8)");
}

/* All of it has come: accept or refuse. */
static void
content_end(struct smtp_server *s)
{
	if (s->head != NULL) {
		head_end(s->head);
		judge_newlines(s);
		judge_head(s);
	}
	if (s->refuse_code == 0 && smtp_from_ask(s))
		return;
	if (s->refuse_code != 0) {
		smtp_server_fail(s, s->refuse_code, s->refuse_text);
		smtp_server_end_transaction(s);
		s->mode = COMMANDS;
		return;
	}
	s->mode = WAIT_COMMIT;
}

static void
content_begin(struct smtp_server *s)
{
	const struct smtp_rules *r = s->rules;
	const struct head_limits limits = {
		.header_octets = r->header_octets, .fields = FIELDS_MAX, .hops = (unsigned)r->hops,
		.depth = (unsigned)r->mime_depth, .parts = (unsigned)r->mime_parts,
	};

	s->head = mem_alloc(sizeof *s->head);
	s->message_id = mem_alloc(sizeof *s->message_id);
	message_id_init(s->message_id);
	s->tls_required = (struct tls_required){ 0 };
	head_init(s->head, &limits, text(r->authserv_id), r->submission ? completion_names : no_names,
	    r->submission ? COMPLETION_FIELDS : 0);
	smtp_data_init(&s->data, r->normalize_newlines ? SMTP_DATA_NORMALIZE : SMTP_DATA_REJECT);
}

void
smtp_server_opened(struct smtp_server *s, enum open_status status, struct bytes queue_id)
{
	must(s->mode == WAIT_OPEN);
	if (status == OPEN_OK && bytes_to_text(queue_id, s->queue_id, sizeof s->queue_id)) {
		s->opened = true;
		content_begin(s);
		s->mode = s->bdat ? CHUNK : DATA;
		if (!s->bdat)
			smtp_server_reply(s, 354, "go ahead; end with a line of a single dot");
		return;
	}
	if (s->bdat) {				/* its octets still come */
		s->mode = CHUNK;
		smtp_server_refuse(s, status == OPEN_NO_SPACE ? 452 : 451, status == OPEN_NO_SPACE
		    ? "4.3.1 no room for mail now; try again later"
		    : "4.3.0 the queue cannot take mail now; try again later");
		return;
	}
	s->mode = COMMANDS;
	if (status == OPEN_NO_SPACE)
		smtp_server_fail(s, 452, "4.3.1 no room for mail now; try again later");
	else
		smtp_server_fail(s, 451, "4.3.0 the queue cannot take mail now; try again later");
}

void
smtp_server_write_failed(struct smtp_server *s, bool no_space)
{
	smtp_server_refuse(s, no_space ? 452 : 451, no_space
	    ? "4.3.1 no room for this message now; try again later"
	    : "4.3.0 cannot store this message now; try again later");
	if (s->mode == WAIT_COMMIT)
		content_end(s);
}

void
smtp_server_committed(struct smtp_server *s, enum commit_status status, struct bytes words)
{
	char refused[512];

	must(s->mode == WAIT_COMMIT);
	s->mode = COMMANDS;
	s->opened = false;			/* the file is cleanup's, or gone */
	switch (status) {
	case COMMIT_OK:
		smtp_reply_fmt(s->out, 250, "2.0.0 queued as %s", s->queue_id);
		s->mails++;
		s->junk = 0;
		break;
	case COMMIT_NO_SPACE:
		smtp_server_fail(s, 452, "4.3.1 no room for this message now; try again later");
		break;
	case COMMIT_REFUSED:
		snprintf(refused, sizeof refused, "%.*s", BYTES_FMT(words));
		smtp_server_fail(s, 554, refused);
		break;
	default:
		smtp_server_fail(s, 451, "4.3.0 cannot store this message now; try again later");
	}
	smtp_server_end_transaction(s);
}

void
smtp_server_take_data(struct smtp_server *s, struct bytes *in)
{
	if (smtp_data_feed(&s->data, in, content_run, s) != SMTP_DATA_END)
		return;
	content_end(s);
}

/* BDAT with bare newlines, where they are to be made whole: RFC 5321 section 2.3.8. */
static void
normalized_run(struct smtp_server *s, struct bytes run)
{
	static const struct bytes crlf = { (const unsigned char *)"\r\n", 2 };
	size_t from = 0;

	for (size_t i = 0; i < run.n; i++) {
		unsigned char c = run.p[i];
		bool after_cr = s->cr;

		s->cr = c == '\r';
		if ((c == '\n') == after_cr)
			continue;		/* CRLF, or no newline at all */
		/* a bare LF, or what follows a CR without LF */
		if (i > from)
			content_run(s, bytes_of(run.p + from, i - from));
		if (c == '\n') {
			content_run(s, crlf);
			from = i + 1;
		} else {
			content_run(s, bytes_of("\n", 1));
			from = i;
		}
	}
	if (run.n > from)
		content_run(s, bytes_of(run.p + from, run.n - from));
}

void
smtp_server_take_chunk(struct smtp_server *s, struct bytes *in)
{
	size_t n = in->n < s->chunk_octets ? in->n : (size_t)s->chunk_octets;
	struct bytes run = bytes_head(*in, n);

	*in = bytes_skip(*in, n);
	s->chunk_octets -= n;
	if (n > 0 && s->refuse_code == 0) {
		if (s->rules->normalize_newlines && s->envelope.body != BODY_BINARYMIME)
			normalized_run(s, run);
		else
			content_run(s, run);
	}
	if (s->chunk_octets > 0)
		return;
	if (s->chunk_last && s->refuse_code == 0 && s->cr)
		content_run(s, bytes_of("\n", 1));	/* only set where newlines are made whole */
	if (s->chunk_last || s->refuse_code != 0) {
		content_end(s);
		return;
	}
	s->mode = COMMANDS;
	smtp_reply_fmt(s->out, 250, "2.0.0 %llu octets so far", (unsigned long long)s->octets);
}

/* ---- the envelope ---- */

const struct envelope *
smtp_server_envelope(struct smtp_server *s, int64_t now_s)
{
	struct envelope *e = &s->envelope;
	const struct head *h = s->head;
	struct bytes cipher = bytes_skip(s->tls, bytes_find(s->tls, ' ') + 1);	/* behind the protocol's name */
	char date[CLOCK_DATE_MAX];
	struct received r = {
		.helo = buf_bytes(&s->helo), .client_ip = s->client, .by = text(s->rules->hostname),
		.id = text(s->queue_id), .date = clock_date(now_s, date), .esmtp = s->esmtp,
		.smtputf8 = e->smtputf8, .tls = cipher,
		.recipient = s->rcpts_given == 1 ? e->rcpts[0].original : text(NULL), .auth = s->account.n > 0,
		.mt_priority = e->mt_priority,
	};
	struct buf received;

	if (s->rules->hide_client)
		r.helo = r.client_ip = text(NULL);
	e->account = buf_bytes(&s->account);
	e->arrival_s = now_s;
	e->client = s->client;
	e->helo = buf_bytes(&s->helo);
	e->protocol = text(received_protocol(&r));
	e->session = text(s->session_id);
	e->tls = s->tls;
	if (e->requiretls == TLS_UNSAID && tls_required_is_no(&s->tls_required))	/* RFC 8689 section 4.1 */
		e->requiretls = TLS_NOT_REQUIRED;
	e->edits = arena_array(s->mail, 1 + COMPLETION_EDITS + h->ranges_n, sizeof *e->edits);
	e->nedits = 0;
	buf_init(&received, 4096);
	received_put(&r, &received);
	e->edits[e->nedits++] = (struct header_edit){ .op = EDIT_INSERT, .name = text("Received"),
	    .text = arena_copy(s->mail, buf_bytes(&received)) };
	buf_fini(&received);
	if (s->rules->submission) {
		complete_message(&(struct completion){ .head = h, .message_id = s->message_id,
		    .from = e->sender.n > 0 ? e->sender : e->account, .hostname = s->rules->hostname, .queue_id = s->queue_id,
		    .now_s = now_s }, s->mail, e);
		return e;
	}
	for (unsigned i = 0; i < h->ranges_n; i++)
		if (h->ranges[i].what == HEAD_OURS)
			e->edits[e->nedits++] = (struct header_edit){ .op = EDIT_DELETE,
			    .name = text("Authentication-Results"), .nth = 0,	/* told by its place */
			    .offset = h->ranges[i].at, .octets = h->ranges[i].n };
	return e;
}
