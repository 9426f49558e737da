/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "base/encode.h"
#include "base/mem.h"
#include "mail/smtp_client_impl.h"

#define COMMAND_MAX	512u	/* octets of the command line, RFC 5321 section 4.5.3.1.4, which RFC 4954 section 4 leaves as it is */

/* ---- what is sent ---- */

static void
put_line(struct smtp_client *c, struct bytes response)
{
	base64_encode(response, c->out);
	buf_text(c->out, "\r\n");
	must(!c->out->full);
}

/* RFC 4954 section 4: an initial response that is empty is "=", one that does not fit waits for an empty challenge. */
enum smtp_client_wants
smtp_client_auth(struct smtp_client *c, const char *mechanism, const struct bytes *initial, bool enough)
{
	must(c->state == AT_LOGIN && (!initial || initial->n <= SMTP_CLIENT_RESPONSE_MAX));
	c->enough = enough;
	c->state = AT_AUTH;
	buf_fmt(c->out, "AUTH %s", mechanism);
	if (initial && strlen("AUTH ") + strlen(mechanism) + 1 + (initial->n + 2) / 3 * 4 + 2 > COMMAND_MAX) {
		buf_add(&c->initial, *initial);
		c->held = true;
	} else if (initial) {
		buf_char(c->out, ' ');
		if (initial->n == 0)
			buf_char(c->out, '=');
		else
			base64_encode(*initial, c->out);
	}
	buf_text(c->out, "\r\n");
	return smtp_client_wants(c);
}

enum smtp_client_wants
smtp_client_respond(struct smtp_client *c, struct bytes response, bool enough)
{
	must(c->state == AT_CHALLENGE && response.n <= SMTP_CLIENT_RESPONSE_MAX);
	c->enough = enough;
	c->state = AT_AUTH;
	put_line(c, response);
	buf_wipe(&c->challenge);
	return smtp_client_wants(c);
}

enum smtp_client_wants
smtp_client_cancel(struct smtp_client *c, const char *why)
{
	must(c->state == AT_CHALLENGE || c->state == AT_AUTH);
	snprintf(c->cancelled, sizeof c->cancelled, "%s", why);
	buf_text(c->out, "*\r\n");
	buf_wipe(&c->challenge);
	c->state = AT_CANCEL;
	return smtp_client_wants(c);
}

enum smtp_client_wants
smtp_client_refuse_login(struct smtp_client *c, const char *why)
{
	must(c->state == AT_LOGIN);
	smtp_client_close(c, smtp_client_say(c, "4.7.8", text(why)), CONTACT_FAILED, true);
	return smtp_client_wants(c);
}

struct bytes
smtp_client_challenge(const struct smtp_client *c)
{
	must(c->state == AT_CHALLENGE);
	return buf_bytes(&c->challenge);
}

/* ---- what the server says ---- */

/* A line that was cut, or is no base64, cannot be answered; nor can one behind too many others. */
static bool
take_challenge(struct smtp_client *c)
{
	const struct smtp_reply *r = &c->reply;

	buf_clear(&c->challenge);
	return c->challenges++ < SMTP_CLIENT_CHALLENGES && r->lines == 1 && !r->cut
	    && strlen("334") + r->text.n < SMTP_CLIENT_SAID_MAX
	    && base64_decode(bytes_trim(buf_bytes(&r->text)), &c->challenge);
}

static void
on_challenge(struct smtp_client *c)
{
	if (!take_challenge(c)) {
		smtp_client_cancel(c, c->challenges > SMTP_CLIENT_CHALLENGES ? "the login does not come to an end"
		    : "the server's challenge is none");
	} else if (c->held) {
		c->held = false;
		put_line(c, buf_bytes(&c->initial));
		buf_wipe(&c->initial);
	} else {
		c->state = AT_CHALLENGE;
	}
}

/*
 * RFC 4954 section 6. What is wrong with the credentials, or the mechanism, is for the administrator to put right: mail
 * waits. 4yz is the server's own trouble, and may be over soon.
 */
static void
refused(struct smtp_client *c)
{
	static const struct { unsigned code; const char *status; } codes[] = {
		{ 534, "4.7.9" },	/* the mechanism is too weak */
		{ 538, "4.7.11" },	/* it wants TLS */
	};
	const char *status = "4.7.8";

	for (size_t i = 0; i < LEN(codes); i++)
		if (codes[i].code == c->reply.code)
			status = codes[i].status;
	if (c->reply.code / 100 == 4)
		smtp_client_close(c, smtp_client_say_reply(c, NULL), CONTACT_BUSY, true);
	else
		smtp_client_close(c, smtp_client_say_reply(c, status), CONTACT_FAILED, true);
}

void
smtp_client_on_auth(struct smtp_client *c)
{
	if (c->reply.code == 334) {
		on_challenge(c);
	} else if (c->reply.code / 100 == 3) {
		smtp_client_broken(c, "the server wants more where there is none");
	} else if (c->reply.code / 100 != 2) {
		refused(c);
	} else if (!c->enough || c->held) {	/* RFC 5802 section 3: without its signature it may be anybody */
		smtp_client_close(c, smtp_client_say(c, "4.7.8",
		    text("the server says that the login has succeeded, and has not proved that it knows the password")),
		    CONTACT_FAILED, true);
	} else {
		c->state = AT_READY;
		c->contact = CONTACT_GOOD;
	}
}

/* 501 by the book; whatever it is, this is over. */
void
smtp_client_on_cancel(struct smtp_client *c)
{
	smtp_client_close(c, smtp_client_say(c, "4.7.8", text(c->cancelled)), CONTACT_FAILED, true);
}
