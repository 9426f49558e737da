/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_server_auth.c - AUTH: RFC 4954. What it says is carried to auth and back; here only
 * its lines are understood.
 */
#include <stdio.h>

#include "base/encode.h"
#include "base/mem.h"
#include "mail/mechanisms.h"
#include "mail/smtp_server_impl.h"

void
smtp_auth_init(struct smtp_server *s)
{
	buf_init(&s->auth.octets, SMTP_LINE_AUTH_MAX);
	buf_init(&s->account, 320);
}

void
smtp_auth_fini(struct smtp_server *s)
{
	buf_wipe(&s->auth.octets);
	buf_fini(&s->auth.octets);
	buf_fini(&s->account);
}

void
smtp_auth_forget(struct smtp_server *s)
{
	buf_wipe(&s->auth.octets);
	buf_clear(&s->account);
	s->auth.exchange = false;
}

bool
smtp_auth_offered(const struct smtp_server *s)
{
	const char *names = s->rules->mechanisms[s->channel];

	return names && names[0] != '\0' && s->secure && s->account.n == 0;
}

/* RFC 4954 section 4: "=" alone is a response without octets. False: it was refused. */
static bool
take_response(struct smtp_server *s, struct bytes line)
{
	buf_wipe(&s->auth.octets);
	if (bytes_eq(line, text("=")) || line.n == 0)
		return true;
	if (base64_decode(line, &s->auth.octets) && !s->auth.octets.full)
		return true;
	buf_wipe(&s->auth.octets);
	return false;
}

static const char *
why_not(const struct smtp_server *s)
{
	if (s->account.n > 0)
		return "5.5.1 you have logged in already";
	return s->mail ? "5.5.1 there is a message in progress; RSET drops it" : NULL;
}

void
smtp_auth_command(struct smtp_server *s, const struct smtp_cmd *cmd)
{
	const char *words = why_not(s);

	if (!s->rules->mechanisms[0]) {
		smtp_server_fail(s, 502, "5.5.1 AUTH is not served here");
	} else if (words) {
		smtp_server_fail(s, 503, words);
	} else if (!s->secure) {
		smtp_server_fail(s, 538, "5.7.11 a password must not travel in clear; say STARTTLS first");
	} else if (!mechanism_in(s->rules->mechanisms[s->channel], cmd->mechanism)
	    || !bytes_to_text(cmd->mechanism, s->auth.mechanism, sizeof s->auth.mechanism)) {
		smtp_server_fail(s, 504, "5.5.4 this mechanism is not offered");	/* and no password is wrong */
	} else if (!take_response(s, cmd->rest)) {
		smtp_server_fail(s, 501, "5.5.2 the initial response is not base64");
	} else {
		s->auth.initial = cmd->initial;
		s->auth.exchange = s->auth.cancel = false;
		s->mode = WAIT_AUTH;
	}
}

/* The client's response; "*": it has thought better of it. What is not base64 ends the exchange, too: RFC 4954 section 4. */
void
smtp_auth_line(struct smtp_server *s, struct bytes line)
{
	s->auth.cancel = bytes_eq(line, text("*"));
	s->auth.broken = !s->auth.cancel && !take_response(s, line);
	s->auth.cancel |= s->auth.broken;
	s->mode = WAIT_AUTH;
}

/* All of it in one line, however long: RFC 4954 section 4. */
void
smtp_server_challenged(struct smtp_server *s, struct bytes octets)
{
	must(s->mode == WAIT_AUTH && !s->auth.cancel);
	buf_wipe(&s->auth.octets);
	buf_text(s->out, "334 ");
	base64_encode(octets, s->out);
	buf_text(s->out, "\r\n");
	s->auth.exchange = true;
	s->mode = AUTH_LINE;
}

void
smtp_server_logged_in(struct smtp_server *s, struct bytes account)
{
	must(s->mode == WAIT_AUTH);
	smtp_auth_forget(s);
	buf_add(&s->account, account);
	must(!s->account.full && account.n > 0);
	s->mode = COMMANDS;
	s->junk = 0;
	smtp_server_reply(s, 235, "2.7.0 welcome");
}

void
smtp_server_not_logged_in(struct smtp_server *s, bool unavailable, struct bytes words)
{
	bool broken = s->auth.broken, cancelled = s->auth.cancel;
	char line[300];

	must(s->mode == WAIT_AUTH);
	smtp_auth_forget(s);
	s->auth.broken = s->auth.cancel = false;
	s->mode = COMMANDS;
	if (broken) {
		smtp_server_fail(s, 501, "5.5.2 that is not base64; the login has ended");
	} else if (cancelled) {
		smtp_server_fail(s, 501, "5.7.0 the login was cancelled");
	} else if (unavailable) {
		smtp_server_fail(s, 454, "4.7.0 logins are not possible now; try again later");
	} else {
		snprintf(line, sizeof line, "5.7.8 %.*s", BYTES_FMT(words));
		smtp_server_fail(s, 535, line);
		if (++s->auth.failures >= s->rules->auth_failures)
			smtp_server_end(s, "too many wrong passwords", 421, "4.7.0 too many wrong passwords; closing");
	}
}
