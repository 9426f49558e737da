/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_server.c - the server's side of an SMTP conversation.
 * RFC 5321; RFC 1870 SIZE, 2034 enhanced codes, 2920 PIPELINING, 3030 BDAT,
 * 3207 STARTTLS, 4954 AUTH, 3461 DSN, 6152 8BITMIME, 6531 SMTPUTF8, 6710 MT-PRIORITY, 8689 REQUIRETLS, 9422 LIMITS.
 */
#include "mail/smtp_server_impl.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "mail/routes.h"
#include "proto/smtp_address.h"
#include "proto/smtp_params.h"
#include "proto/smtp_reply.h"

#define TRANSACTION_MAX	(16u << 20)	/* octets of one transaction's arena */
#define HEADER_KEPT_MAX	(32u << 20)	/* a header section: rules->header_octets is the limit */
#define CONTENT_MAX	(512u << 10)	/* decoded and not yet written away */

static const unsigned offered_mail = SMTP_PARAM_SIZE | SMTP_PARAM_BODY | SMTP_PARAM_BINARYMIME
    | SMTP_PARAM_SMTPUTF8 | SMTP_PARAM_DSN | SMTP_PARAM_MT_PRIORITY;
static const unsigned offered_rcpt = SMTP_PARAM_DSN;

/* ---- small parts ---- */

void
smtp_server_reply(struct smtp_server *s, unsigned code, const char *words)
{
	smtp_reply_text(s->out, code, words);
}

static void
reply(struct smtp_server *s, unsigned code, const char *words)
{
	smtp_server_reply(s, code, words);
}

void
smtp_server_fail(struct smtp_server *s, unsigned code, const char *words)
{
	reply(s, code, words);
	if (code >= 500)
		s->errors++;
	if (s->refused && code != 500 && code != 502 && code != 503)
		s->refused(s->refused_arg, code, words);
}

static void __attribute__((format(printf, 3, 4)))
fail(struct smtp_server *s, unsigned code, const char *fmt, ...)
{
	char words[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	smtp_server_fail(s, code, words);
}

void
smtp_server_end_transaction(struct smtp_server *s)
{
	smtp_sender_forget(s);
	arena_free(&s->mail);
	mem_free(s->head);
	mem_free(s->message_id);
	s->head = NULL;
	s->message_id = NULL;
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

/* RFC 4954 section 4: a response may be longer than any command. */
static size_t
line_max(const struct smtp_rules *r)
{
	return r->mechanisms[0] && r->line_octets < SMTP_LINE_AUTH_MAX ? SMTP_LINE_AUTH_MAX : (size_t)r->line_octets;
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
	line_init(&s->lines, line_max(rules));
	buf_init(&s->content, CONTENT_MAX);
	buf_init(&s->helo, SMTP_LINE_MAX);
	buf_init(&s->from.header, HEADER_KEPT_MAX);
	smtp_auth_init(s);
}

void
smtp_server_fini(struct smtp_server *s)
{
	smtp_server_end_transaction(s);
	smtp_auth_fini(s);
	buf_fini(&s->content);
	buf_fini(&s->helo);
	buf_fini(&s->from.header);
}

void
smtp_server_expect_tls(struct smtp_server *s)
{
	s->mode = WAIT_TLS;
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
		smtp_server_end_transaction(s);
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
		"SMTPUTF8", "DSN", "MT-PRIORITY",
	};
	char line[300];

	if (!helo_name(s, cmd->rest))
		return;
	s->esmtp = true;
	smtp_reply_line(s->out, 250, false, text(s->rules->hostname));
	for (size_t i = 0; i < LEN(words); i++)
		smtp_reply_line(s->out, 250, false, text(words[i]));
	if (s->tls.n > 0)
		smtp_reply_line(s->out, 250, false, text("REQUIRETLS"));	/* RFC 8689 section 2: under TLS alone */
	else if (s->rules->starttls)
		smtp_reply_line(s->out, 250, false, text("STARTTLS"));
	if (smtp_auth_offered(s)) {
		snprintf(line, sizeof line, "AUTH %s", s->rules->mechanisms[s->channel]);
		smtp_reply_line(s->out, 250, false, text(line));
	}
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
	bool raised;

	if (s->rules->tls_required && s->tls.n == 0) {		/* RFC 3207 section 4 */
		fail(s, 530, "5.7.0 say STARTTLS first: no mail is taken here in clear");
		return;
	}
	if (s->rules->submission && s->account.n == 0) {	/* RFC 4954 section 6 */
		fail(s, 530, "5.7.0 log in first: this port is for people who send%s",
		    s->secure ? "" : "; say STARTTLS, then AUTH");
		return;
	}
	s->mail = arena_new(TRANSACTION_MAX);
	/* AUTH= says who has logged in elsewhere: RFC 4954 section 5. Nobody is believed. */
	pr = smtp_mail_params(cmd->rest, offered_mail | (s->tls.n > 0 ? SMTP_PARAM_REQUIRETLS : 0)
	    | (s->rules->mechanisms[0] ? SMTP_PARAM_AUTH : 0), s->mail, &p, &bad);
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
	s->envelope.requiretls = p.given & SMTP_PARAM_REQUIRETLS ? TLS_REQUIRED : TLS_UNSAID;
	raised = p.mt_priority > 0 && s->account.n == 0;	/* RFC 6710 section 4.1: not by who is not known */
	s->envelope.mt_priority = raised ? 0 : p.mt_priority;
	s->envelope.ret = p.ret == SMTP_RET_FULL ? RET_FULL
	    : p.ret == SMTP_RET_HDRS ? RET_HDRS : RET_UNSAID;
	s->envelope.envid = arena_copy(s->mail, p.envid);
	if (smtp_sender_ask(s))
		return;
	s->state = MAIL;
	reply(s, 250, raised ? "2.3.6 0 is its priority: who wants more logs in first" : "2.1.0 sender ok");
}

static void
do_rcpt(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	struct smtp_rcpt_params p;
	struct smtp_address to;
	struct bytes bad = { 0 };
	enum smtp_params_result pr;
	enum smtp_address_result ar;

	memset(&s->asked, 0, sizeof s->asked);
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
do_rset(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	(void)cmd;
	smtp_server_end_transaction(s);
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
	reply(s, 214, "2.0.0 HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT\n"
	    "see RFC 5321; postmaster answers mail from people");
}

static void
do_starttls(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	(void)cmd;
	if (s->tls.n > 0) {
		fail(s, 503, "5.5.1 TLS is on already");
		return;
	}
	if (!s->rules->starttls) {
		fail(s, 502, "5.5.1 STARTTLS is not served here");
		return;
	}
	s->junk++;
	reply(s, 220, "2.0.0 go ahead");
	s->mode = WAIT_TLS;
}

void
smtp_server_secured(struct smtp_server *s, struct bytes tls)
{
	must(s->mode == WAIT_TLS && s->mail == NULL && tls.n > 0);
	s->tls = tls;
	s->esmtp = false;
	s->state = NEW;
	s->mode = COMMANDS;
	buf_clear(&s->helo);
	line_init(&s->lines, line_max(s->rules));
	smtp_auth_forget(s);
	s->secure = true;
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
	[SMTP_DATA]	= { RCPT,	smtp_server_data,	"DATA without argument" },
	[SMTP_BDAT]	= { ANY,	smtp_server_bdat,	"BDAT octets [LAST]" },
	[SMTP_RSET]	= { ANY,	do_rset,	"RSET without argument" },
	[SMTP_NOOP]	= { ANY,	do_noop,	"NOOP" },
	[SMTP_QUIT]	= { ANY,	do_quit,	"QUIT without argument" },
	[SMTP_VRFY]	= { ANY,	do_vrfy,	"VRFY address" },
	[SMTP_EXPN]	= { ANY,	do_expn,	"EXPN list" },
	[SMTP_HELP]	= { ANY,	do_help,	"HELP" },
	[SMTP_STARTTLS]	= { GREETED,	do_starttls,	"STARTTLS without argument" },
	[SMTP_AUTH]	= { GREETED | MAIL | RCPT, smtp_auth_command, "AUTH mechanism" },
};

static void
not_now(struct smtp_server *s, enum smtp_verb verb)
{
	if (s->state == NEW)
		fail(s, 503, "5.5.1 say EHLO first");
	else if (verb == SMTP_MAIL || verb == SMTP_STARTTLS)
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

/* ---- the loop ---- */

static enum smtp_wants
take_command(struct smtp_server *s, struct bytes *in)
{
	struct bytes line;
	enum line_status st = line_next(&s->lines, in, &line);

	if (st == LINE_MORE)
		return SMTP_WANTS_INPUT;
	if (s->mode == AUTH_LINE)
		smtp_auth_line(s, st == LINE_OK ? line : text("\""));	/* what is no line is no base64, either */
	else if (st == LINE_OK)
		command(s, line);
	else
		bad_line(s, st);
	if (s->mode == COMMANDS)
		count(s);
	/* They would look protected (CVE-2011-0411): nothing is read that came before the handshake. */
	if (s->mode == WAIT_TLS && in->n > 0) {
		s->mode = COMMANDS;
		smtp_server_end(s, "octets behind STARTTLS", 554,
		    "5.5.1 you sent more behind STARTTLS; wait for the answer to it (RFC 3207 section 4)");
	}
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
		case WAIT_TLS:
			return SMTP_WANTS_TLS;
		case WAIT_AUTH:
			return SMTP_WANTS_AUTH;
		case WAIT_SENDER:
			return SMTP_WANTS_SENDER;
		case DATA:
			if (in->n == 0)
				return SMTP_WANTS_INPUT;
			smtp_server_take_data(s, in);
			break;
		case CHUNK:
			if (in->n == 0 && s->chunk_octets > 0)
				return SMTP_WANTS_INPUT;
			smtp_server_take_chunk(s, in);
			break;
		default: {
			size_t before = in->n;

			if (s->out->n > s->out->max / 2)
				return SMTP_WANTS_INPUT;	/* the client is to read first */
			take_command(s, in);
			if (in->n == before && (s->mode == COMMANDS || s->mode == AUTH_LINE) && !s->closing)
				return SMTP_WANTS_INPUT;
		}
		}
	}
}
