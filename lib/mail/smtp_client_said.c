/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "base/mem.h"
#include "mail/smtp_client_impl.h"

#define SAID_SPARE	8u		/* beside those of the recipients */
#define SAID_PLENTY	65536u		/* octets of all that is kept; what follows is kept shortened */
#define SAID_SHORT	200u

/* ---- lines and replies ---- */

static void
keep_octet(struct smtp_client_line *l, unsigned char c)
{
	if (l->n < sizeof l->kept)
		l->kept[l->n++] = c;
}

/*
 * Up to a line end. DONE: there is a line in l->kept. Both CRLF and LF alone as the end of a line, side by side, would let
 * a server's text that holds one (an address it repeats) look like another reply; so the first line decides which of them
 * this server uses. A CR within a line is text. What is too long for one reply is BAD.
 */
static enum smtp_reply_status
take_line(struct smtp_client_line *l, struct bytes *in)
{
	while (in->n > 0) {
		unsigned char c = in->p[0];

		*in = bytes_skip(*in, 1);
		if (++l->of_reply > SMTP_CLIENT_REPLY_MAX)
			return SMTP_REPLY_BAD;
		if (c == '\n') {
			if (l->ends == ENDS_UNKNOWN)
				l->ends = l->cr ? ENDS_CRLF : ENDS_LF;
			if (l->ends == ENDS_CRLF && !l->cr)
				return SMTP_REPLY_BAD;
			l->cr = false;
			return SMTP_REPLY_DONE;
		}
		if (l->cr)
			keep_octet(l, '\r');
		l->cr = c == '\r';
		if (!l->cr)
			keep_octet(l, c);
	}
	return SMTP_REPLY_MORE;
}

/* A line of several to EHLO; whether it announces anything is known by the reply's code, the same in each line. */
static void
take_ehlo_line(struct smtp_client *c, struct bytes line)
{
	if (c->state == AT_EHLO && c->reply.lines > 1 && c->reply.code / 100 == 2)
		smtp_ehlo_line(&c->ehlo, bytes_skip(line, 4));
}

enum smtp_reply_status
smtp_client_take(struct smtp_client *c, struct bytes *in)
{
	enum smtp_reply_status st;

	while ((st = take_line(&c->line, in)) == SMTP_REPLY_DONE) {
		struct bytes line = bytes_of(c->line.kept, c->line.n);

		st = smtp_reply_read(&c->reply, line);
		if (st == SMTP_REPLY_BAD)
			return st;		/* the line stays, to be shown */
		take_ehlo_line(c, line);
		c->line.n = 0;
		if (st == SMTP_REPLY_DONE) {
			c->line.of_reply = 0;
			return st;
		}
	}
	return st;
}

/* ---- what is remembered ---- */

const char *
smtp_client_command_name(const struct smtp_client *c)
{
	static const char *const names[AT_STATES] = {
		[AT_GREETING] = "greeting", [AT_EHLO] = "EHLO", [AT_HELO] = "HELO", [AT_STARTTLS] = "STARTTLS",
		[AT_HANDSHAKE] = "STARTTLS", [AT_LOGIN] = "AUTH", [AT_CHALLENGE] = "AUTH",
		[AT_AUTH] = "AUTH", [AT_CANCEL] = "AUTH", [AT_READY] = "idle", [AT_CONTENT] = "content",
		[AT_END] = "content", [AT_DOT] = "content", [AT_DISCARD] = "content", [AT_QUIT] = "QUIT",
		[AT_CLOSED] = "QUIT",
	};

	if (c->state == AT_EHLO && c->rules->lmtp)
		return "LHLO";
	if (c->state != AT_ENVELOPE)
		return names[c->state];
	if (c->answered >= STEP_RCPT)
		return c->answered - STEP_RCPT < c->nask ? "RCPT" : "DATA";
	return c->answered == STEP_MAIL ? "MAIL" : "RSET";
}

void
smtp_client_said_begin(struct smtp_client *c, size_t rcpts)
{
	arena_reset(c->arena);
	c->said_cap = rcpts + SAID_SPARE;
	c->said = arena_array(c->arena, c->said_cap, sizeof *c->said);
	c->nsaid = c->said_octets = 0;
	c->fault = SIZE_MAX;
}

/* At most max octets, no character cut. */
static struct bytes
shortened(struct bytes s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && (s.p[max] & 0xc0) == 0x80)
		max--;
	return bytes_head(s, max);
}

/* The same again for the next recipient is not kept twice. */
static size_t
remember(struct smtp_client *c, struct bytes status, struct bytes words, struct bytes said)
{
	const char *command = smtp_client_command_name(c);
	size_t max = c->said_octets > SAID_PLENTY ? SAID_SHORT : SMTP_CLIENT_SAID_MAX;
	struct smtp_client_said *s = c->nsaid > 0 ? &c->said[c->nsaid - 1] : NULL;

	said = shortened(said, max);
	words = shortened(words, max < SMTP_CLIENT_WORDS_MAX ? max : SMTP_CLIENT_WORDS_MAX);
	if (s && strcmp(s->command, command) == 0 && bytes_eq(s->status, status) && bytes_eq(s->reply, words)
	    && bytes_eq(s->said, said))
		return c->nsaid - 1;
	must(c->nsaid < c->said_cap);
	s = &c->said[c->nsaid++];
	s->command = command;
	s->status = arena_copy(c->arena, status);
	s->reply = arena_copy(c->arena, words);
	s->said = arena_copy(c->arena, said);
	c->said_octets += words.n + said.n;
	return c->nsaid - 1;
}

size_t
smtp_client_say(struct smtp_client *c, const char *status, struct bytes words)
{
	return remember(c, text(status), words, bytes_of(NULL, 0));
}

/*
 * Subject and detail for a reply without an enhanced status code (RFC 3463; which go with which code is in the registry
 * of RFC 5248, and RFC 7504 for 521 and 556). What a code can mean more than one thing of stays at 0.0: a 550 to RCPT
 * is as often a matter of policy as an unknown user, and list managers act on 5.1.1.
 */
static const struct { unsigned code; const char *command, *detail; } made[] = {
	{ 421, NULL, "3.2" },
	{ 450, "RCPT", "2.0" },
	{ 451, NULL, "3.0" },
	{ 452, "RCPT", "5.3" },		{ 452, NULL, "3.1" },
	{ 454, NULL, "7.0" },
	{ 455, NULL, "5.4" },
	{ 500, NULL, "5.2" },
	{ 501, "MAIL", "1.7" },		{ 501, "RCPT", "1.3" },		{ 501, NULL, "5.4" },
	{ 502, NULL, "5.1" },		{ 503, NULL, "5.1" },
	{ 504, NULL, "5.4" },
	{ 521, NULL, "3.2" },
	{ 530, NULL, "7.0" },
	{ 535, NULL, "7.8" },
	{ 551, "RCPT", "1.6" },
	{ 552, "RCPT", "2.2" },		{ 552, NULL, "3.4" },
	{ 553, "MAIL", "1.7" },		{ 553, "RCPT", "1.3" },
	{ 554, "greeting", "3.2" },
	{ 555, NULL, "5.4" },
	{ 556, "RCPT", "1.10" },
};

static const char *
detail(unsigned code, const char *command)
{
	for (size_t i = 0; i < LEN(made); i++)
		if (made[i].code == code && (!made[i].command || strcmp(made[i].command, command) == 0))
			return made[i].detail;
	return "0.0";
}

/* The words of all lines in one, without the status that each may begin with. */
static void
put_words(struct bytes lines, struct buf *out)
{
	unsigned ignored[3];

	while (lines.n > 0) {
		struct bytes line = bytes_cut(&lines, '\n');

		line = bytes_trim(bytes_skip(line, smtp_status_take(line, ignored)));
		if (out->n > 0 && line.n > 0)
			buf_char(out, ' ');
		buf_add(out, line);
	}
}

static void
put_said(const struct smtp_reply *r, struct buf *out)
{
	struct bytes lines = buf_bytes(&r->text);
	unsigned n = 1;

	do {
		struct bytes line = bytes_cut(&lines, '\n');

		if (n > 1)
			buf_char(out, '\n');
		buf_fmt(out, "%u%s", r->code, lines.n > 0 ? "-" : line.n > 0 ? " " : "");
		buf_add(out, line);
		n++;
	} while (lines.n > 0);
}

size_t
smtp_client_say_reply(struct smtp_client *c, const char *instead)
{
	const struct smtp_reply *r = &c->reply;
	struct buf words, said;
	char status[32];
	size_t i;

	if (instead)
		snprintf(status, sizeof status, "%s", instead);
	else if (r->status[0] == r->code / 100)
		snprintf(status, sizeof status, "%u.%u.%u", r->status[0], r->status[1], r->status[2]);
	else
		snprintf(status, sizeof status, "%u.%s", r->code / 100, detail(r->code, smtp_client_command_name(c)));
	buf_init(&words, 2 * SMTP_REPLY_KEEP);
	buf_init(&said, 2 * SMTP_REPLY_KEEP + 4 * SMTP_REPLY_LINES_MAX);
	put_words(buf_bytes(&r->text), &words);
	put_said(r, &said);
	i = remember(c, text(status), buf_bytes(&words), buf_bytes(&said));
	buf_fini(&words);
	buf_fini(&said);
	return i;
}
