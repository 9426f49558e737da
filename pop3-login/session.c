/* SPDX-License-Identifier: ISC */
/*
 * pop3-login/session.c - POP3 until the client is known: RFC 1939 section 4,
 * CAPA of RFC 2449, AUTH of RFC 5034, AUTH and SYS/ codes of RFC 3206.
 */
#include <string.h>

#include "base/encode.h"
#include "base/line.h"
#include "base/mem.h"
#include "pop3-login/pop3_login.h"
#include "proto/pop3_cmd.h"

#define NAME_MAX_	255		/* octets of USER: a line has no more */
#define RESPONSE_MAX	9216		/* octets of a SASL response, decoded: RFC 5034 section 4 */
#define ERRORS_MAX	20

struct state {
	struct line_reader lines;
	unsigned char	user[NAME_MAX_];
	size_t		user_n;
	bool		named;		/* USER was given */
	bool		exchange;	/* the next line is a SASL response */
	unsigned	errors;
};

static void
say(struct login_session *s, const char *line)
{
	buf_text(&s->conn.out, line);
	buf_text(&s->conn.out, "\r\n");
}

static bool
may_log_in(struct login_session *s)
{
	if (s->may_log_in)
		return true;
	say(s, "-ERR [AUTH] a password must not travel in clear; connect with TLS");
	return false;
}

/* USER and PASS are PLAIN by another name. */
static bool
shows_passwords(const struct login_session *s)
{
	return mechanism_in(s->mechanisms, text("PLAIN"));
}

/* RFC 5034 section 3: SASL names one mechanism at least. */
static void
put_logins(const struct login_session *s, struct buf *out)
{
	if (shows_passwords(s))
		buf_text(out, "USER\r\n");
	if (s->mechanisms[0] != '\0')
		buf_fmt(out, "SASL %s\r\n", s->mechanisms);
}

static bool
may_show(struct login_session *s)
{
	if (!may_log_in(s))
		return false;
	if (shows_passwords(s))
		return true;
	say(s, "-ERR [AUTH] USER is not served here; use AUTH, CAPA lists with what");
	return false;
}

static void
greet(struct login_session *s)
{
	struct state *st = s->state;

	line_init(&st->lines, POP3_LINE_AUTH_MAX);
	say(s, "+OK Hermod POP3 ready");
}

/* RFC 2595 section 4: no greeting behind the handshake. */
static void
go_on(struct login_session *s)
{
	struct state *st = s->state;

	line_init(&st->lines, POP3_LINE_AUTH_MAX);
}

static void
do_capa(struct login_session *s)
{
	buf_text(&s->conn.out, "+OK capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\n"
	    "AUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n");
	if (s->may_start_tls)
		buf_text(&s->conn.out, "STLS\r\n");
	if (s->may_log_in)
		put_logins(s, &s->conn.out);
	buf_text(&s->conn.out, "IMPLEMENTATION Hermod\r\n.\r\n");
}

static bool
do_user(struct login_session *s, struct bytes name)
{
	struct state *st = s->state;

	if (!may_show(s))
		return true;
	if (name.n == 0 || name.n > sizeof st->user) {
		say(s, "-ERR USER wants a name");
		return true;
	}
	memcpy(st->user, name.p, name.n);
	st->user_n = name.n;
	st->named = true;
	say(s, "+OK and the password?");	/* the same for every name */
	return true;
}

/* As SASL PLAIN, RFC 4616: NUL name NUL password. */
static bool
do_pass(struct login_session *s, struct bytes password)
{
	struct state *st = s->state;
	struct buf plain;
	struct bytes initial;

	if (!may_show(s))
		return true;
	if (!st->named) {
		say(s, "-ERR say USER first");
		return true;
	}
	buf_init(&plain, 1024);
	buf_char(&plain, '\0');
	buf_add(&plain, bytes_of(st->user, st->user_n));
	buf_char(&plain, '\0');
	buf_add(&plain, password);
	initial = buf_bytes(&plain);
	st->named = false;
	login_auth(s, text("PLAIN"), &initial);
	buf_wipe(&plain);
	return false;
}

static void
put_list(struct login_session *s)
{
	struct bytes names = text(s->may_log_in ? s->mechanisms : "");

	buf_text(&s->conn.out, s->may_log_in ? "+OK mechanisms follow\r\n" : "+OK none without TLS\r\n");
	while (names.n > 0) {
		buf_add(&s->conn.out, bytes_cut(&names, ' '));
		buf_text(&s->conn.out, "\r\n");
	}
	buf_text(&s->conn.out, ".\r\n");
}

static bool
do_auth(struct login_session *s, const struct pop3_cmd *cmd)
{
	struct buf response;
	struct bytes initial;
	bool good;

	if (cmd->arg.n == 0) {			/* RFC 1734: which are there? */
		put_list(s);
		return true;
	}
	if (!may_log_in(s))
		return true;
	if (!mechanism_in(s->mechanisms, cmd->arg)) {
		say(s, "-ERR mechanism not served; CAPA lists them");
		return true;
	}
	if (!cmd->initial) {
		login_auth(s, cmd->arg, NULL);
		return false;
	}
	buf_init(&response, RESPONSE_MAX);
	good = bytes_eq(cmd->more, text("=")) || base64_decode(cmd->more, &response);
	initial = buf_bytes(&response);
	if (good)
		login_auth(s, cmd->arg, &initial);
	else
		say(s, "-ERR the initial response is not base64");
	buf_wipe(&response);
	return !good;
}

static bool
do_stls(struct login_session *s, struct bytes rest)
{
	if (!s->may_start_tls) {
		say(s, s->tls ? "-ERR TLS is on already" : "-ERR TLS is not served here");
		return true;
	}
	login_start_tls(s, rest, "+OK go ahead\r\n");
	return false;
}

static bool
command(struct login_session *s, const struct pop3_cmd *cmd, struct bytes rest)
{
	switch (cmd->verb) {
	case POP3_USER:	return do_user(s, cmd->arg);
	case POP3_PASS:	return do_pass(s, cmd->arg);
	case POP3_AUTH:	return do_auth(s, cmd);
	case POP3_CAPA:	do_capa(s); return true;
	case POP3_NOOP:	say(s, "+OK"); return true;
	case POP3_QUIT:
		say(s, "+OK bye");
		login_end(s, NULL);
		return false;
	case POP3_STLS:	return do_stls(s, rest);
	case POP3_APOP:	say(s, "-ERR APOP is not served here; use USER or AUTH"); return true;
	default:
		say(s, "-ERR log in first");
		return true;
	}
}

/* A line that answers a challenge. */
static bool
respond(struct login_session *s, enum line_status status, struct bytes line)
{
	struct state *st = s->state;
	struct buf response;
	bool good;

	st->exchange = false;
	if (status == LINE_OK && bytes_eq(line, text("*"))) {
		login_cancel(s);
		return false;
	}
	buf_init(&response, RESPONSE_MAX);
	good = status == LINE_OK && base64_decode(line, &response);
	if (good)
		login_respond(s, buf_bytes(&response));
	else
		login_cancel(s);
	buf_wipe(&response);
	return false;
}

static bool
misunderstood(struct login_session *s, enum line_status status, const char *words)
{
	struct state *st = s->state;

	say(s, status == LINE_OK ? words : status == LINE_LONG ? "-ERR line too long"
	    : "-ERR lines end with CR and LF together");
	if (++st->errors > ERRORS_MAX) {
		login_end(s, "too many errors");
		return false;
	}
	return true;
}

/* RFC 5034 section 4 wants a long initial response to wait for a challenge; who has a token sends it with AUTH, as Gmail has it. */
static bool
is_long(struct bytes line)
{
	return line.n + 2 > POP3_LINE_MAX && !bytes_case_starts(line, text("AUTH "));
}

static bool
input(struct login_session *s, struct bytes *in)
{
	struct state *st = s->state;
	struct pop3_cmd cmd;
	struct bytes line;
	enum line_status status = line_next(&st->lines, in, &line);

	if (status == LINE_MORE)
		return false;
	if (st->exchange)
		return respond(s, status, line);
	if (status == LINE_OK && is_long(line))
		status = LINE_LONG;
	if (status != LINE_OK)
		return misunderstood(s, status, "");
	switch (pop3_cmd_parse(line, &cmd)) {
	case POP3_PARSED:	return command(s, &cmd, *in);
	case POP3_BAD_ARG:	return misunderstood(s, status, "-ERR argument not understood");
	default:		return misunderstood(s, status, "-ERR command not known");
	}
}

static void
challenge(struct login_session *s, struct bytes octets)
{
	struct state *st = s->state;

	st->exchange = true;
	buf_text(&s->conn.out, "+ ");
	base64_encode(octets, &s->conn.out);
	buf_text(&s->conn.out, "\r\n");
}

static void
failed(struct login_session *s, bool unavailable, struct bytes words)
{
	struct state *st = s->state;

	st->named = st->exchange = false;
	buf_text(&s->conn.out, unavailable ? "-ERR [SYS/TEMP] " : "-ERR [AUTH] ");
	buf_add(&s->conn.out, words.n > 0 ? words : text("name or password is wrong"));
	buf_text(&s->conn.out, "\r\n");
}

static void
welcome(struct login_session *s, struct buf *reply)
{
	(void)s;
	buf_text(reply, "+OK logged in\r\n");
}

static void
fini(struct login_session *s)
{
	explicit_bzero(s->state, sizeof(struct state));
}

const struct login_protocol pop3_login_protocol = {
	.name = "pop3", .state_octets = sizeof(struct state),
	.greet = greet, .go_on = go_on, .input = input, .challenge = challenge, .failed = failed,
	.welcome = welcome, .offered = put_logins, .fini = fini,
	.busy = "-ERR [SYS/TEMP] too many connections from you\r\n",
	.slow = "-ERR [SYS/TEMP] too busy for slow clients now; come back later\r\n",
	.timeout = "-ERR waited too long for you; closing\r\n",
	.enough = "",			/* RFC 1939 has no line that answers no command */
	.bye = "-ERR [SYS/TEMP] shutting down; come back soon\r\n",
};
