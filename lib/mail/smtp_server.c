/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_server.c - the server's side of an SMTP conversation.
 * RFC 5321; RFC 1870 SIZE, 2034 enhanced codes, 2920 PIPELINING, 3030 BDAT,
 * 3461 DSN, 6152 8BITMIME, 6531 SMTPUTF8, 9422 LIMITS.
 */
#include "mail/smtp_server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/routes.h"
#include "proto/rfc5322_write.h"
#include "proto/smtp_address.h"
#include "proto/smtp_params.h"
#include "proto/smtp_reply.h"

/* RFC 5321 section 4.1.4. */
enum { NEW = 1, GREETED = 2, MAIL = 4, RCPT = 8, ANY = 15 };

enum { COMMANDS, DATA, CHUNK, WAIT_RCPT, WAIT_OPEN, WAIT_COMMIT };

#define TRANSACTION_MAX	(16u << 20)	/* octets of one transaction's arena */
#define FIELDS_MAX	1000		/* of a message's header */
#define CONTENT_MAX	(512u << 10)	/* decoded and not yet written away */

static const unsigned offered_mail = SMTP_PARAM_SIZE | SMTP_PARAM_BODY | SMTP_PARAM_BINARYMIME
    | SMTP_PARAM_SMTPUTF8 | SMTP_PARAM_DSN;
static const unsigned offered_rcpt = SMTP_PARAM_DSN;

/* Fields whose places the envelope or the journal wants. */
static const struct bytes no_names[1];

/* ---- small parts ---- */

static void
reply(struct smtp_server *s, unsigned code, const char *words)
{
	smtp_reply_text(s->out, code, words);
}

/* A command that was refused or not understood. */
static void __attribute__((format(printf, 3, 4)))
fail(struct smtp_server *s, unsigned code, const char *fmt, ...)
{
	char words[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	reply(s, code, words);
	if (code >= 500)
		s->errors++;
}

/* Forgets the message in progress; the first reason stays. */
static void
refuse(struct smtp_server *s, unsigned code, const char *words)
{
	if (s->refuse_code != 0)
		return;
	s->refuse_code = code;
	snprintf(s->refuse_text, sizeof s->refuse_text, "%s", words);
	buf_clear(&s->content);
}

static void
end_transaction(struct smtp_server *s)
{
	arena_free(&s->mail);
	mem_free(s->head);
	s->head = NULL;
	buf_release(&s->content);
	memset(&s->envelope, 0, sizeof s->envelope);
	memset(&s->asked, 0, sizeof s->asked);
	s->rcpts_cap = s->rcpts_given = 0;
	s->octets = s->size_octets = s->chunk_octets = 0;
	s->refuse_code = 0;
	s->bdat = s->chunk_last = s->cr = false;
	if (s->opened) {			/* queue_id stays: the driver needs it to say what it drops */
		s->opened = false;
		s->abandon = true;
	}
	if (s->state & (MAIL | RCPT))
		s->state = GREETED;
}

void
smtp_server_init(struct smtp_server *s, const struct smtp_rules *rules, struct buf *out,
    struct bytes client, const char *session_id)
{
	memset(s, 0, sizeof *s);
	s->rules = rules;
	s->out = out;
	s->client = client;
	s->session_id = session_id;
	s->state = NEW;
	s->mode = COMMANDS;
	line_init(&s->lines, rules->line_octets);
	buf_init(&s->content, CONTENT_MAX);
	buf_init(&s->helo, SMTP_LINE_MAX);
}

void
smtp_server_fini(struct smtp_server *s)
{
	end_transaction(s);
	buf_fini(&s->content);
	buf_fini(&s->helo);
}

void
smtp_server_greet(struct smtp_server *s)
{
	smtp_reply_fmt(s->out, 220, "%s ESMTP Hermod", s->rules->hostname);
}

void
smtp_server_end(struct smtp_server *s, const char *why, unsigned code, const char *words)
{
	if (s->closing)
		return;
	smtp_reply_fmt(s->out, code, "%s", words);
	s->ended_by = why;
	s->closing = true;
}

bool
smtp_server_busy(const struct smtp_server *s)
{
	return s->mode != COMMANDS || (s->state & (MAIL | RCPT)) != 0;
}

/* ---- commands ---- */

static bool
helo_name(struct smtp_server *s, struct bytes name)
{
	if (smtp_helo_name(name) == SMTP_NAME_BAD) {
		fail(s, 501, "5.5.4 say who you are: a host name or [address]");
		return false;
	}
	if (s->state & (MAIL | RCPT))		/* RFC 5321 section 4.1.4: EHLO is RSET too */
		end_transaction(s);
	buf_clear(&s->helo);
	buf_add(&s->helo, name);
	s->state = GREETED;
	return true;
}

static void
do_helo(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	if (!helo_name(s, cmd->rest))
		return;
	s->esmtp = false;
	reply(s, 250, s->rules->hostname);
}

static void
do_ehlo(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	static const char *const words[] = {
		"PIPELINING", "8BITMIME", "BINARYMIME", "CHUNKING", "ENHANCEDSTATUSCODES",
		"SMTPUTF8", "DSN",
	};
	char line[64];

	if (!helo_name(s, cmd->rest))
		return;
	s->esmtp = true;
	smtp_reply_line(s->out, 250, false, text(s->rules->hostname));
	for (size_t i = 0; i < LEN(words); i++)
		smtp_reply_line(s->out, 250, false, text(words[i]));
	snprintf(line, sizeof line, "SIZE %llu", (unsigned long long)s->rules->message_octets);
	smtp_reply_line(s->out, 250, false, text(line));
	snprintf(line, sizeof line, "LIMITS RCPTMAX=%llu",
	    (unsigned long long)s->rules->recipients);		/* RFC 9422 section 3 */
	smtp_reply_line(s->out, 250, true, text(line));
}

/* The replies to addresses that are not addresses. what: "sender" or "recipient". */
static void
fail_address(struct smtp_server *s, enum smtp_address_result why, bool sender)
{
	const char *bad = sender ? "5.1.7" : "5.1.3", *what = sender ? "sender" : "recipient";

	switch (why) {
	case SMTP_ADDRESS_NOT_ASCII:
		fail(s, 553, "5.6.7 this %s address needs SMTPUTF8 on MAIL", what);
		return;
	case SMTP_ADDRESS_NOT_UTF8:
		fail(s, 501, "%s %s address is not UTF-8", bad, what);
		return;
	case SMTP_ADDRESS_NO_DOMAIN:
		fail(s, 501, "%s %s address has no domain; write user@domain", bad, what);
		return;
	case SMTP_ADDRESS_LOCAL_LONG:
		fail(s, 501, "%s %s address: more than 64 octets before the @", bad, what);
		return;
	case SMTP_ADDRESS_DOMAIN_LONG:
		fail(s, 501, "%s %s address: domain or a part of it is too long",
		    sender ? "5.1.8" : "5.1.2", what);
		return;
	case SMTP_ADDRESS_PATH_LONG:
		fail(s, 501, "%s %s address is longer than 254 octets", bad, what);
		return;
	default:
		fail(s, 501, "%s %s address is not well-formed; write <user@domain>", bad, what);
	}
}

static void
fail_params(struct smtp_server *s, enum smtp_params_result why, struct bytes bad)
{
	struct buf name;

	buf_init(&name, 128);
	smtp_safe_text(bad, 60, false, &name);
	buf_char(&name, '\0');
	switch (why) {
	case SMTP_PARAMS_UNKNOWN:
		fail(s, 555, "5.5.4 parameter not known here: %s", (char *)name.p);
		break;
	case SMTP_PARAMS_TWICE:
		fail(s, 501, "5.5.4 parameter given twice: %s", (char *)name.p);
		break;
	default:
		fail(s, 501, "5.5.4 parameter not understood: %s", (char *)name.p);
	}
	buf_fini(&name);
}

static void
do_mail(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	struct smtp_mail_params p;
	struct smtp_address from;
	struct bytes bad = { 0 };
	enum smtp_params_result pr;
	enum smtp_address_result ar;

	s->mail = arena_new(TRANSACTION_MAX);
	pr = smtp_mail_params(cmd->rest, offered_mail, s->mail, &p, &bad);
	if (pr != SMTP_PARAMS_OK) {
		fail_params(s, pr, bad);
		arena_free(&s->mail);
		return;
	}
	ar = smtp_reverse_path(cmd->path, (p.smtputf8 ? SMTP_TAKE_UTF8 : 0) | SMTP_TAKE_LONG_LOCAL,
	    s->mail, &from);
	if (ar != SMTP_ADDRESS_OK) {
		fail_address(s, ar, true);
		arena_free(&s->mail);
		return;
	}
	if ((p.given & SMTP_PARAM_SIZE) && s->rules->message_octets != 0
	    && p.size_octets > s->rules->message_octets) {		/* RFC 1870 section 6.1 */
		fail(s, 552, "5.3.4 message too big: %llu octets are the most here",
		    (unsigned long long)s->rules->message_octets);
		arena_free(&s->mail);
		return;
	}
	s->size_octets = p.given & SMTP_PARAM_SIZE ? p.size_octets : 0;
	s->envelope.sender = arena_copy(s->mail, smtp_address_text(&from, s->mail));
	s->envelope.body = p.body == SMTP_BODY_BINARYMIME ? BODY_BINARYMIME
	    : p.body == SMTP_BODY_8BITMIME ? BODY_8BITMIME : BODY_7BIT;
	s->envelope.smtputf8 = p.smtputf8;
	s->envelope.ret = p.ret == SMTP_RET_FULL ? RET_FULL
	    : p.ret == SMTP_RET_HDRS ? RET_HDRS : RET_UNSAID;
	s->envelope.envid = arena_copy(s->mail, p.envid);
	s->state = MAIL;
	reply(s, 250, "2.1.0 sender ok");
}

static void
do_rcpt(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	struct smtp_rcpt_params p;
	struct smtp_address to;
	struct bytes bad = { 0 };
	enum smtp_params_result pr;
	enum smtp_address_result ar;

	if (s->rcpts_given >= s->rules->recipients || arena_used(s->mail) > ROUTES_MAX) {
		fail(s, 452, "4.5.3 too many recipients; send the others in another message");
		return;
	}
	pr = smtp_rcpt_params(cmd->rest, offered_rcpt, s->envelope.smtputf8, s->mail, &p, &bad);
	if (pr != SMTP_PARAMS_OK) {
		fail_params(s, pr, bad);
		return;
	}
	ar = smtp_forward_path(cmd->path, (s->envelope.smtputf8 ? SMTP_TAKE_UTF8 : 0)
	    | SMTP_TAKE_LONG_LOCAL, s->mail, &to);
	if (ar != SMTP_ADDRESS_OK) {
		fail_address(s, ar, false);
		return;
	}
	memset(&s->asked, 0, sizeof s->asked);
	s->asked.original = arena_copy(s->mail, smtp_address_text(&to, s->mail));
	s->asked.notify = p.notify;		/* the same bits, RFC 3461 section 4.1 */
	if (p.given & SMTP_PARAM_ORCPT)
		s->asked.orcpt = arena_fmt(s->mail, "%.*s;%.*s", BYTES_FMT(p.orcpt_type),
		    BYTES_FMT(p.orcpt));
	s->mode = WAIT_RCPT;
}

void
smtp_server_checked(struct smtp_server *s, enum verdict verdict, unsigned code,
    struct bytes words, struct bytes routes)
{
	must(s->mode == WAIT_RCPT);
	s->mode = COMMANDS;
	switch (verdict) {
	case YES:
		if (arena_used(s->mail) + routes.n > ROUTES_MAX) {
			fail(s, 452, "4.5.3 too many recipients; send the others in another message");
		} else if (!routes_add(&s->envelope, &s->rcpts_cap, s->mail,
		    &s->asked, routes)) {
			fail(s, 451, "4.3.0 cannot look up this recipient now; try again later");
		} else {
			s->rcpts_given++;
			s->state = RCPT;
			reply(s, 250, "2.1.5 recipient ok");
		}
		break;
	case NO:
		must(code >= 400 && code < 600);
		fail(s, code, "%.*s", BYTES_FMT(words));
		break;
	case NOT_SURE:
		if (words.n > 0)
			fail(s, 451, "%.*s", BYTES_FMT(words));
		else
			fail(s, 451, "4.3.0 cannot look up this recipient now; try again later");
	}
}

static void
do_data(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	(void)cmd;
	if (s->bdat) {				/* RFC 3030 section 3 */
		fail(s, 503, "5.5.1 this message was begun with BDAT");
		return;
	}
	if (s->envelope.body == BODY_BINARYMIME) {	/* RFC 3030 section 3 */
		fail(s, 503, "5.5.1 BODY=BINARYMIME wants BDAT, not DATA");
		return;
	}
	s->mode = WAIT_OPEN;
}

static void
do_bdat(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	s->chunk_octets = cmd->size_octets;
	s->chunk_last = cmd->last;
	s->mode = CHUNK;		/* whatever is wrong, its octets come: RFC 3030 section 2 */
	if (s->state != RCPT) {
		refuse(s, 503, "5.5.1 BDAT wants MAIL and an accepted RCPT before it");
		return;
	}
	if (!s->bdat) {
		s->bdat = true;
		s->mode = WAIT_OPEN;
	}
}

static void
do_rset(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	(void)cmd;
	end_transaction(s);
	s->junk++;
	reply(s, 250, "2.0.0 ok");
}

static void
do_noop(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	(void)cmd;
	s->junk++;
	reply(s, 250, "2.0.0 ok");
}

static void
do_quit(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	(void)cmd;
	smtp_reply_fmt(s->out, 221, "2.0.0 %s closes the connection", s->rules->hostname);
	s->closing = true;
}

/* The same for known and unknown, RFC 5321 section 7.3. */
static void
do_vrfy(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	s->junk++;
	if (cmd->rest.n == 0)
		fail(s, 501, "5.5.4 VRFY wants an address");
	else
		reply(s, 252, "2.1.5 cannot say; send mail and see");
}

static void
do_expn(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	(void)cmd;
	s->junk++;
	fail(s, 502, "5.5.1 lists are not shown here");
}

static void
do_help(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	(void)cmd;
	s->junk++;
	reply(s, 214, "2.0.0 HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT\n"
	    "see RFC 5321; postmaster answers mail from people");
}

static void
do_unserved(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	fail(s, 502, "5.5.1 %s is not served here", smtp_verb_text(cmd->verb));
}

static const struct {
	unsigned	when;			/* the states that allow it */
	void		(*run)(struct smtp_server *, const struct smtp_cmd *);
	const char	*wants;
} commands[SMTP_VERBS] = {
	[SMTP_HELO]	= { ANY,	do_helo,	"HELO hostname" },
	[SMTP_EHLO]	= { ANY,	do_ehlo,	"EHLO hostname" },
	[SMTP_MAIL]	= { GREETED,	do_mail,	"MAIL FROM:<user@domain>" },
	[SMTP_RCPT]	= { MAIL | RCPT, do_rcpt,	"RCPT TO:<user@domain>" },
	[SMTP_DATA]	= { RCPT,	do_data,	"DATA without argument" },
	[SMTP_BDAT]	= { ANY,	do_bdat,	"BDAT octets [LAST]" },
	[SMTP_RSET]	= { ANY,	do_rset,	"RSET without argument" },
	[SMTP_NOOP]	= { ANY,	do_noop,	"NOOP" },
	[SMTP_QUIT]	= { ANY,	do_quit,	"QUIT without argument" },
	[SMTP_VRFY]	= { ANY,	do_vrfy,	"VRFY address" },
	[SMTP_EXPN]	= { ANY,	do_expn,	"EXPN list" },
	[SMTP_HELP]	= { ANY,	do_help,	"HELP" },
	[SMTP_STARTTLS]	= { ANY,	do_unserved,	"STARTTLS" },
	[SMTP_AUTH]	= { ANY,	do_unserved,	"AUTH mechanism" },
};

static void
not_now(struct smtp_server *s, enum smtp_verb verb)
{
	if (s->state == NEW)
		fail(s, 503, "5.5.1 say EHLO first");
	else if (verb == SMTP_MAIL)
		fail(s, 503, "5.5.1 there is a message in progress; RSET drops it");
	else if (s->state == GREETED)
		fail(s, 503, "5.5.1 say MAIL FROM first");
	else
		fail(s, 503, "5.5.1 no recipient was accepted yet");
}

static void
command(struct smtp_server *s, struct bytes line)
{
	struct smtp_cmd cmd;

	switch (smtp_cmd_parse(line, &cmd)) {
	case SMTP_BAD_VERB:
		s->junk++;
		fail(s, 500, "5.5.2 command not known; HELP lists them");
		return;
	case SMTP_BAD_ARG:
		fail(s, 501, "5.5.4 not understood; write %s", commands[cmd.verb].wants);
		if (cmd.verb == SMTP_BDAT)	/* nobody knows where commands begin again */
			smtp_server_end(s, "bad BDAT", 421, "4.7.0 cannot follow; closing");
		return;
	case SMTP_PARSED:
		break;
	}
	if (commands[cmd.verb].when & s->state)
		commands[cmd.verb].run(s, &cmd);
	else
		not_now(s, cmd.verb);
}

static void
bad_line(struct smtp_server *s, enum line_status status)
{
	switch (status) {
	case LINE_LONG:
		fail(s, 500, "5.5.2 line too long: %llu octets are the most",
		    (unsigned long long)s->rules->line_octets);
		break;
	case LINE_BARE:
		fail(s, 500, "5.5.2 CR or LF alone; end lines with both");
		break;
	default:
		fail(s, 500, "5.5.2 NUL in a command");
	}
}

/* After each command: has it been enough? */
static void
count(struct smtp_server *s)
{
	if (s->errors > s->rules->errors)
		smtp_server_end(s, "too many errors", 421, "4.7.0 too many errors; closing");
	else if (s->junk > s->rules->junk)
		smtp_server_end(s, "too many commands without mail", 421,
		    "4.7.0 too many commands without mail; closing");
}

/* ---- content ---- */

/* What one look at the message found that it must not have. */
static void
judge_head(struct smtp_server *s)
{
	const struct head *h = s->head;

	if (h->over & HEAD_OVER_HOPS)
		refuse(s, 554, "5.4.6 too many Received fields: a mail loop");
	else if (h->over & HEAD_OVER_OCTETS)
		refuse(s, 552, "5.3.4 message header too big");
	else if (h->over & (HEAD_OVER_FIELDS | HEAD_OVER_RANGES))
		refuse(s, 554, "5.6.0 too many header fields");
	else if (h->over & (HEAD_OVER_DEPTH | HEAD_OVER_PARTS))
		refuse(s, 554, "5.6.0 MIME parts are nested too deep or too many");
	else if (s->rules->header_line_octets != 0
	    && h->longest_header_line > s->rules->header_line_octets)
		refuse(s, 554, "5.6.0 a header line is too long");
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
		refuse(s, 552, words);
		return;
	}
	head_feed(s->head, run);
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
		refuse(s, 550, "5.5.2 CR or LF alone in the message; end lines with both "
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
	if (s->refuse_code != 0) {
		fail(s, s->refuse_code, "%s", s->refuse_text);
		end_transaction(s);
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
	head_init(s->head, &limits, text(r->authserv_id), no_names, 0);
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
			reply(s, 354, "go ahead; end with a line of a single dot");
		return;
	}
	if (s->bdat) {				/* its octets still come */
		s->mode = CHUNK;
		refuse(s, status == OPEN_NO_SPACE ? 452 : 451, status == OPEN_NO_SPACE
		    ? "4.3.1 no room for mail now; try again later"
		    : "4.3.0 the queue cannot take mail now; try again later");
		return;
	}
	s->mode = COMMANDS;
	if (status == OPEN_NO_SPACE)
		fail(s, 452, "4.3.1 no room for mail now; try again later");
	else
		fail(s, 451, "4.3.0 the queue cannot take mail now; try again later");
}

void
smtp_server_write_failed(struct smtp_server *s, bool no_space)
{
	refuse(s, no_space ? 452 : 451, no_space
	    ? "4.3.1 no room for this message now; try again later"
	    : "4.3.0 cannot store this message now; try again later");
	if (s->mode == WAIT_COMMIT)
		content_end(s);
}

void
smtp_server_committed(struct smtp_server *s, enum commit_status status, struct bytes words)
{
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
		fail(s, 452, "4.3.1 no room for this message now; try again later");
		break;
	case COMMIT_REFUSED:
		fail(s, 554, "%.*s", BYTES_FMT(words));
		break;
	default:
		fail(s, 451, "4.3.0 cannot store this message now; try again later");
	}
	end_transaction(s);
}

static void
take_data(struct smtp_server *s, struct bytes *in)
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

static void
take_chunk(struct smtp_server *s, struct bytes *in)
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

/* ---- the loop ---- */

static enum smtp_wants
take_command(struct smtp_server *s, struct bytes *in)
{
	struct bytes line;
	enum line_status st = line_next(&s->lines, in, &line);

	if (st == LINE_MORE)
		return SMTP_WANTS_INPUT;
	if (st == LINE_OK)
		command(s, line);
	else
		bad_line(s, st);
	if (s->mode == COMMANDS)
		count(s);
	/* RFC 2920 section 3.1: DATA is the last of a group; who does not wait does not listen */
	if (s->mode == WAIT_OPEN && !s->bdat && in->n > 0)
		smtp_server_end(s, "content before 354", 554,
		    "5.5.1 you sent content before 354; wait for the answer to DATA");
	return SMTP_WANTS_INPUT;
}

enum smtp_wants
smtp_server_input(struct smtp_server *s, struct bytes *in)
{
	for (;;) {
		if (s->closing)
			return SMTP_WANTS_CLOSE;
		switch (s->mode) {
		case WAIT_RCPT:
			return SMTP_WANTS_RCPT;
		case WAIT_OPEN:
			return SMTP_WANTS_OPEN;
		case WAIT_COMMIT:
			return SMTP_WANTS_COMMIT;
		case DATA:
			if (in->n == 0)
				return SMTP_WANTS_INPUT;
			take_data(s, in);
			break;
		case CHUNK:
			if (in->n == 0 && s->chunk_octets > 0)
				return SMTP_WANTS_INPUT;
			take_chunk(s, in);
			break;
		default: {
			size_t before = in->n;

			if (s->out->n > s->out->max / 2)
				return SMTP_WANTS_INPUT;	/* the client is to read first */
			take_command(s, in);
			if (in->n == before && s->mode == COMMANDS && !s->closing)
				return SMTP_WANTS_INPUT;
		}
		}
	}
}

/* ---- the envelope ---- */

const struct envelope *
smtp_server_envelope(struct smtp_server *s, int64_t now_s)
{
	struct envelope *e = &s->envelope;
	const struct head *h = s->head;
	char date[CLOCK_DATE_MAX];
	struct received r = {
		.helo = buf_bytes(&s->helo), .client_ip = s->client, .by = text(s->rules->hostname),
		.id = text(s->queue_id), .date = clock_date(now_s, date), .esmtp = s->esmtp,
		.smtputf8 = e->smtputf8,
		.recipient = s->rcpts_given == 1 ? e->rcpts[0].original : text(NULL),
	};
	struct buf received;
	size_t n = 0;

	e->arrival_s = now_s;
	e->client = s->client;
	e->helo = buf_bytes(&s->helo);
	e->protocol = text(received_protocol(&r));
	e->session = text(s->session_id);
	e->edits = arena_array(s->mail, 1 + h->ranges_n, sizeof *e->edits);
	buf_init(&received, 4096);
	received_put(&r, &received);
	e->edits[n++] = (struct header_edit){ .op = EDIT_INSERT, .name = text("Received"),
	    .text = arena_copy(s->mail, buf_bytes(&received)) };
	buf_fini(&received);
	for (unsigned i = 0; i < h->ranges_n; i++)
		if (h->ranges[i].what == HEAD_OURS)
			e->edits[n++] = (struct header_edit){ .op = EDIT_DELETE,
			    .name = text("Authentication-Results"), .nth = 0,	/* told by its place */
			    .offset = h->ranges[i].at, .octets = h->ranges[i].n };
	e->nedits = n;
	return e;
}
