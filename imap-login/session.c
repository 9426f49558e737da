/* SPDX-License-Identifier: ISC */
/*
 * imap-login/session.c - IMAP until the client is known: RFC 3501 sections 6.1 and
 * 6.2, with ID (RFC 2971), SASL-IR (RFC 4959), LITERAL+ (RFC 7888) and the response
 * codes of RFC 5530. TLS is in tls, which has the socket from STARTTLS on.
 */
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "imap-login/imap_login.h"
#include "proto/imap_capability.h"
#include "proto/imap_cmd.h"

#define RESPONSE_MAX	(IMAP_LINE_LOGIN_MAX / 4 * 3)	/* octets of a SASL response, decoded */
#define NO_PASSWORD	"NO [PRIVACYREQUIRED] a password must not travel in clear; connect with TLS"
#define DID_NOT_WAIT	"you did not wait for the answer to your literal"
#define NO_LOGIN	"NO [CANNOT] LOGIN is not served here; use AUTHENTICATE, CAPABILITY lists with what"

struct state {
	struct imap_reader reader;	/* owned */
	unsigned char	tag[IMAP_TAG_MAX];	/* of the command that is being answered */
	size_t		tag_n;
	bool		exchange;	/* the next line is a SASL response */
	struct bytes	rest;		/* borrowed: what came behind the command */
	const char	*wrong;		/* why the exchange is being cancelled; NULL: it is not */
	unsigned	errors, commands;
};

/* ---- replies ------------------------------------------------------------------------------- */

static void
set_tag(struct state *st, struct bytes tag)
{
	must(tag.n <= sizeof st->tag);
	memcpy(st->tag, tag.p, tag.n);
	st->tag_n = tag.n;
}

/* Tagged; untagged when the command had no tag that may be repeated. */
static void
reply_bytes(struct login_session *s, const char *what, struct bytes words)
{
	const struct state *st = s->state;
	struct buf *out = &s->conn.out;

	buf_add(out, st->tag_n > 0 ? bytes_of(st->tag, st->tag_n) : text("*"));
	buf_char(out, ' ');
	buf_text(out, what);
	buf_add(out, words);
	buf_text(out, "\r\n");
}

static void
reply(struct login_session *s, const char *what, const char *words)
{
	reply_bytes(s, what, text(words));
}

/* RFC 3501 section 7.1.5. Says false. */
static bool
bye(struct login_session *s, const char *why)
{
	buf_text(&s->conn.out, "* BYE ");
	buf_text(&s->conn.out, why);
	buf_text(&s->conn.out, "\r\n");
	login_end(s, why);
	return false;
}

/* An answer to what was wrong, not served, or not for now. */
static bool
refuse(struct login_session *s, const char *what, const char *words)
{
	struct state *st = s->state;

	reply(s, what, words);
	return ++st->errors <= IMAP_LOGIN_ERRORS_MAX || bye(s, "too many errors");
}

/* LOGIN is PLAIN by another name. NULL: it may be said. */
static const char *
why_no_login(const struct login_session *s)
{
	if (!s->may_log_in)
		return NO_PASSWORD;
	return mechanism_in(s->mechanisms, text("PLAIN")) ? NULL : NO_LOGIN;
}

static void
put_capability(struct login_session *s)
{
	struct bytes names = text(s->mechanisms);
	struct buf *out = &s->conn.out;

	buf_fmt(out, "CAPABILITY %s", s->may_log_in ? imap_capability_login : imap_capability_closed);
	while (s->may_log_in && names.n > 0) {
		buf_text(out, " AUTH=");
		buf_add(out, bytes_cut(&names, ' '));
	}
	if (s->may_log_in && why_no_login(s))
		buf_text(out, " LOGINDISABLED");
	if (s->may_start_tls)
		buf_text(out, " STARTTLS");
}

/* RFC 3501 section 6.2.1: nothing is said behind the handshake. */
static void
go_on(struct login_session *s)
{
	struct state *st = s->state;

	imap_reader_init(&st->reader, &imap_limits_login);
}

static void
greet(struct login_session *s)
{
	go_on(s);
	buf_text(&s->conn.out, "* OK [");
	put_capability(s);
	buf_text(&s->conn.out, "] Hermod IMAP ready\r\n");
}

/* ---- commands, RFC 3501 sections 6.1 and 6.2: true to go on with the next one ---------------- */

static bool
do_capability(struct login_session *s, const struct imap_cmd *cmd)
{
	(void)cmd;
	buf_text(&s->conn.out, "* ");
	put_capability(s);
	buf_text(&s->conn.out, "\r\n");
	reply(s, "OK ", "that is all");
	return true;
}

static bool
do_noop(struct login_session *s, const struct imap_cmd *cmd)
{
	(void)cmd;
	reply(s, "OK ", "nothing done");
	return true;
}

static bool
do_logout(struct login_session *s, const struct imap_cmd *cmd)
{
	(void)cmd;
	buf_text(&s->conn.out, "* BYE see you\r\n");
	reply(s, "OK ", "bye");
	login_end(s, NULL);
	return false;
}

static bool
do_id(struct login_session *s, const struct imap_cmd *cmd)
{
	(void)cmd;
	buf_text(&s->conn.out, IMAP_ID_RESPONSE);
	reply(s, "OK ", "nice to meet you");
	return true;
}

static bool
do_starttls(struct login_session *s, const struct imap_cmd *cmd)
{
	struct state *st = s->state;
	struct buf ready;

	(void)cmd;
	if (!s->may_start_tls)
		return refuse(s, "BAD ", s->tls ? "TLS is on already" : "TLS is not served here");
	buf_init(&ready, IMAP_TAG_MAX + 64);
	buf_add(&ready, bytes_of(st->tag, st->tag_n));
	buf_text(&ready, " OK go ahead\r\n");
	buf_char(&ready, '\0');
	login_start_tls(s, st->rest, (const char *)ready.p);
	buf_fini(&ready);
	return false;
}

/* As SASL PLAIN, RFC 4616: NUL name NUL password. */
static bool
do_login(struct login_session *s, const struct imap_cmd *cmd)
{
	struct buf plain;
	struct bytes initial;
	bool fits;

	if (why_no_login(s))
		return refuse(s, why_no_login(s), "");
	buf_init(&plain, RESPONSE_MAX);
	buf_char(&plain, '\0');
	buf_add(&plain, cmd->user);
	buf_char(&plain, '\0');
	buf_add(&plain, cmd->password);
	fits = !plain.full;
	initial = buf_bytes(&plain);
	if (fits)
		login_auth(s, text("PLAIN"), &initial);
	buf_wipe(&plain);
	return !fits && refuse(s, "NO [LIMIT] ", "name or password too long");
}

static bool
do_authenticate(struct login_session *s, const struct imap_cmd *cmd)
{
	struct buf response;
	struct bytes initial;
	bool good;

	if (!s->may_log_in)
		return refuse(s, NO_PASSWORD, "");
	if (!mechanism_in(s->mechanisms, cmd->mechanism))
		return refuse(s, "NO ", "mechanism not served; CAPABILITY lists them");
	if (!cmd->initial) {
		login_auth(s, cmd->mechanism, NULL);
		return false;
	}
	buf_init(&response, RESPONSE_MAX);
	good = bytes_eq(cmd->response, text("=")) || base64_decode(cmd->response, &response);
	initial = buf_bytes(&response);
	if (good)
		login_auth(s, cmd->mechanism, &initial);
	buf_wipe(&response);
	return !good && refuse(s, "BAD ", "the initial response is not base64");
}

/* Others are for after the login. */
static bool (*const commands[IMAP_VERBS])(struct login_session *, const struct imap_cmd *) = {
	[IMAP_CAPABILITY] = do_capability, [IMAP_NOOP] = do_noop, [IMAP_LOGOUT] = do_logout, [IMAP_ID] = do_id,
	[IMAP_STARTTLS] = do_starttls, [IMAP_AUTHENTICATE] = do_authenticate, [IMAP_LOGIN] = do_login,
};

static bool
run_command(struct login_session *s, enum imap_parse said, const struct imap_cmd *cmd)
{
	struct state *st = s->state;

	set_tag(st, cmd->tag);
	if (++st->commands > IMAP_LOGIN_COMMANDS_MAX)
		return bye(s, "too many commands before the login");
	if (said == IMAP_BAD_TAG || said == IMAP_BAD_VERB)
		return refuse(s, "BAD ", cmd->wrong);
	if (commands[cmd->verb] == NULL)		/* whatever its arguments are */
		return refuse(s, "BAD ", "log in first");
	if (said != IMAP_PARSED)
		return refuse(s, said == IMAP_TOO_COMPLEX ? "NO [LIMIT] " : "BAD ", cmd->wrong);
	return commands[cmd->verb](s, cmd);
}

static bool
command(struct login_session *s)
{
	struct state *st = s->state;
	struct arena *a = arena_new(IMAP_CMD_ARENA_LOGIN_MAX);
	struct imap_cmd cmd;
	enum imap_parse said = imap_cmd_parse(buf_bytes(&st->reader.text), a, &cmd);
	bool on = run_command(s, said, &cmd);

	arena_wipe(a);			/* a password is there, and in the text */
	arena_free(&a);
	imap_reader_idle(&st->reader);
	return on;
}

/* ---- SASL exchanges, RFC 3501 section 6.2.2 -------------------------------------------------- */

static void
challenge(struct login_session *s, struct bytes octets)
{
	struct state *st = s->state;

	st->exchange = true;
	imap_reader_raw(&st->reader);
	buf_text(&s->conn.out, "+ ");
	base64_encode(octets, &s->conn.out);
	buf_text(&s->conn.out, "\r\n");
}

/* Cancels the exchange, which answers the command with BAD. */
static bool
cancel(struct login_session *s, const char *wrong)
{
	struct state *st = s->state;

	st->exchange = false;
	st->wrong = wrong;
	login_cancel(s);
	return false;
}

/* The line that answers a challenge. */
static bool
respond(struct login_session *s)
{
	struct state *st = s->state;
	struct bytes line = buf_bytes(&st->reader.text);
	struct buf response;
	bool good;

	if (bytes_eq(line, text("*")))
		return cancel(s, "cancelled, as you wish");
	buf_init(&response, RESPONSE_MAX);
	good = base64_decode(line, &response);
	st->exchange = false;
	if (good)
		login_respond(s, buf_bytes(&response));
	buf_wipe(&response);
	imap_reader_idle(&st->reader);
	return !good && cancel(s, "the response is not base64");
}

static void
failed(struct login_session *s, bool unavailable, struct bytes words)
{
	struct state *st = s->state;

	if (st->wrong != NULL)
		reply(s, "BAD ", st->wrong);
	else
		reply_bytes(s, unavailable ? "NO [UNAVAILABLE] " : "NO [AUTHENTICATIONFAILED] ",
		    words.n > 0 ? words : text("name or password is wrong"));
	st->wrong = NULL;
}

static void
welcome(struct login_session *s, struct buf *out)
{
	const struct state *st = s->state;

	buf_add(out, bytes_of(st->tag, st->tag_n));
	buf_fmt(out, " OK [CAPABILITY %s] logged in\r\n", imap_capability_session);
}

/* ---- what comes ---------------------------------------------------------------------------------- */

/* Why the literal that was announced may not come; NULL: it may. Before the login strings are in LOGIN and ID
 * alone, and whoever may not log in shall not send a password. */
static const char *
refusal(struct login_session *s, struct arena *a)
{
	struct state *st = s->state;
	struct imap_cmd cmd;
	enum imap_parse said = imap_cmd_parse(buf_bytes(&st->reader.text), a, &cmd);

	set_tag(st, cmd.tag);
	if (said == IMAP_BAD_TAG || said == IMAP_BAD_VERB)
		return "BAD command not known";
	if (cmd.verb == IMAP_LOGIN)
		return why_no_login(s);
	if (cmd.verb == IMAP_ID)
		return NULL;
	return commands[cmd.verb] == NULL ? "BAD log in first" : "BAD no literal is wanted here";
}

static bool
literal(struct login_session *s, struct bytes rest)
{
	struct state *st = s->state;
	struct imap_reader *r = &st->reader;
	struct arena *a = arena_new(IMAP_CMD_ARENA_LOGIN_MAX);
	const char *no = refusal(s, a);
	bool waits = !r->literal.nonsync;

	arena_wipe(a);
	arena_free(&a);
	if (no == NULL && r->fits) {
		imap_reader_accept(r);
		if (waits)
			buf_text(&s->conn.out, "+ go ahead\r\n");
		return true;
	}
	if (waits ? rest.n > 0 : r->literal.octets > IMAP_LOGIN_DROPPED_MAX)
		return bye(s, waits ? DID_NOT_WAIT : "literal too large");
	if (no == NULL) {
		imap_reader_accept(r);		/* the reader says what is wrong with its size */
		return true;
	}
	imap_reader_refuse(r);
	return refuse(s, no, "");
}

/* The reader dropped a command, or a line of an exchange. */
static bool
misread(struct login_session *s, enum imap_read read)
{
	struct state *st = s->state;

	if (st->exchange)
		return cancel(s, st->reader.wrong);
	set_tag(st, imap_reader_tag(&st->reader));
	return refuse(s, read == IMAP_READ_TOO_BIG ? "NO [LIMIT] " : "BAD ", st->reader.wrong);
}

static bool
input(struct login_session *s, struct bytes *in)
{
	struct state *st = s->state;
	struct bytes run;
	enum imap_read read = imap_reader_next(&st->reader, in, &run);

	st->rest = *in;
	if (st->reader.dropped > IMAP_LOGIN_DROPPED_MAX)
		return bye(s, "command too long");
	if (st->reader.awaited && in->n > 0)	/* the octets of a literal that was refused are no commands */
		return bye(s, DID_NOT_WAIT);
	switch (read) {
	case IMAP_READ_MORE:	return false;
	case IMAP_READ_COMMAND:	return st->exchange ? respond(s) : command(s);
	case IMAP_READ_LITERAL:	return literal(s, *in);
	case IMAP_READ_BAD:
	case IMAP_READ_TOO_BIG:	return misread(s, read);
	case IMAP_READ_ENDED:	return true;
	case IMAP_READ_LOST:	return bye(s, st->reader.wrong);
	case IMAP_READ_RUN:	break;		/* no literal is streamed here */
	}
	must(!"what an imap_reader says");
	return false;
}

static void
fini(struct login_session *s)
{
	struct state *st = s->state;

	imap_reader_fini(&st->reader);
	explicit_bzero(st, sizeof *st);
}

const struct login_protocol imap_login_protocol = {
	.name = "imap", .state_octets = sizeof(struct state),
	.greet = greet, .go_on = go_on, .input = input, .challenge = challenge, .failed = failed,
	.welcome = welcome, .fini = fini,
	.busy = "* BYE [LIMIT] too many connections from you\r\n",
	.slow = "* BYE [UNAVAILABLE] too busy for slow clients now; come back later\r\n",
	.timeout = "* BYE waited too long for you\r\n",
	.enough = "* BYE too many wrong passwords\r\n",
	.bye = "* BYE [UNAVAILABLE] shutting down; come back soon\r\n",
};
