/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/smtp_client_impl.h"

#define ARENA_MAX	(1u << 20)	/* and for each of ENVELOPE_RCPTS: */
#define ARENA_RCPT	1536u		/* what is said of it, an index, shortened words */
#define SCRATCH_MAX	65536u
#define DOMAINS_MAX	65536u		/* octets of domains, where their number is limited */
#define SHOWN		100u		/* octets of what is no reply, for people */

/* ---- how it ends ---- */

/*
 * What waits in `out` is not sent any more: it could be content, and what follows content must not be taken for more of it.
 * QUIT is polite where the server has refused in order (RFC 5321 section 4.1.1.10).
 */
void
smtp_client_close(struct smtp_client *c, size_t said, enum relay_contact contact, bool polite)
{
	bool uncertain = c->state == AT_END;

	for (size_t i = 0; c->mail && i < c->mail->nrcpts; i++)
		if (!c->mail->rcpts[i].settled) {
			smtp_client_settle(c, i, TRY_LATER, said);
			c->mail->rcpts[i].uncertain = uncertain;
		}
	buf_clear(c->out);
	if (polite)
		buf_text(c->out, "QUIT\r\n");
	c->mail = NULL;
	c->fault = said;
	c->contact = contact;
	c->state = AT_CLOSED;
}

void
smtp_client_broken(struct smtp_client *c, const char *words)
{
	smtp_client_close(c, smtp_client_say(c, "4.5.0", text(words)), CONTACT_FAILED, false);
}

static void
no_reply(struct smtp_client *c)
{
	struct buf words;

	buf_init(&words, 4 * SHOWN + 100);
	if (c->line.of_reply > SMTP_CLIENT_REPLY_MAX) {
		buf_text(&words, "the server's reply does not end");
	} else {
		buf_text(&words, "what the server says is no reply: ");
		smtp_safe_text(bytes_of(c->line.kept, c->line.n), SHOWN, false, &words);
	}
	smtp_client_close(c, smtp_client_say(c, "4.5.0", buf_bytes(&words)), CONTACT_FAILED, false);
	buf_fini(&words);
}

/* Refused before any mail: 4yz may be otherwise soon. */
static void
refused(struct smtp_client *c, const char *status)
{
	smtp_client_close(c, smtp_client_say_reply(c, status), c->reply.code / 100 == 4 ? CONTACT_BUSY : CONTACT_GOOD, true);
}

/* ---- greeting, EHLO, STARTTLS ---- */

void
smtp_client_command(struct smtp_client *c, const char *verb, const char *argument)
{
	buf_text(c->out, verb);
	if (argument) {
		buf_char(c->out, ' ');
		buf_text(c->out, argument);
	}
	buf_text(c->out, "\r\n");
}

bool
smtp_client_has(const struct smtp_client *c, unsigned extension)
{
	return (smtp_client_extensions(c) & extension) == extension;
}

static void
send_ehlo(struct smtp_client *c)
{
	smtp_ehlo_init(&c->ehlo);
	smtp_client_command(c, c->rules->lmtp ? "LHLO" : "EHLO", c->rules->hostname);
	c->state = AT_EHLO;
}

static void
after_ehlo(struct smtp_client *c)
{
	if (c->secured || c->rules->tls == SMTP_TLS_NEVER) {
		c->state = AT_LOGIN;
	} else if (smtp_client_has(c, SMTP_EXT_STARTTLS)) {
		smtp_client_command(c, "STARTTLS", NULL);
		c->state = AT_STARTTLS;
	} else if (c->rules->tls == SMTP_TLS_MAY) {
		c->state = AT_LOGIN;
	} else {
		smtp_client_close(c, smtp_client_say(c, "4.7.4",
		    text("TLS is required, and the server does not offer STARTTLS")), CONTACT_GOOD, true);
	}
}

static void
on_greeting(struct smtp_client *c)
{
	if (c->reply.code / 100 == 2)
		send_ehlo(c);
	else
		refused(c, NULL);
}

/* RFC 5321 section 3.2: a server may know HELO only. LMTP has nothing to fall back to (RFC 2033 section 4.1). */
static void
on_ehlo(struct smtp_client *c)
{
	if (c->reply.code / 100 == 2) {
		after_ehlo(c);
	} else if (c->reply.code / 100 == 5 && !c->rules->lmtp) {
		smtp_ehlo_init(&c->ehlo);
		smtp_client_command(c, "HELO", c->rules->hostname);
		c->state = AT_HELO;
	} else {
		refused(c, NULL);
	}
}

static void
on_helo(struct smtp_client *c)
{
	if (c->reply.code / 100 == 2)
		after_ehlo(c);
	else
		refused(c, NULL);
}

/* RFC 3207 section 4: refused, and TLS is not required: on in clear, as without it. */
static void
on_starttls(struct smtp_client *c)
{
	if (c->reply.code / 100 == 2)
		c->state = AT_HANDSHAKE;
	else if (c->rules->tls == SMTP_TLS_MAY)
		c->state = AT_LOGIN;
	else
		refused(c, "4.7.4");	/* whatever it was: the mail waits, RFC 7672 section 2.2, RFC 8461 section 5 */
}

static void
unasked(struct smtp_client *c)
{
	smtp_client_broken(c, "the server has sent a reply that nobody asked for");
}

static void
on_quit(struct smtp_client *c)
{
	c->state = AT_CLOSED;
}

static void (*const on_reply[AT_STATES])(struct smtp_client *) = {
	[AT_GREETING] = on_greeting,	[AT_EHLO] = on_ehlo,	[AT_HELO] = on_helo,	[AT_STARTTLS] = on_starttls,
	[AT_HANDSHAKE] = unasked,	[AT_LOGIN] = unasked,	[AT_CHALLENGE] = unasked,	[AT_READY] = unasked,
	[AT_AUTH] = smtp_client_on_auth,			[AT_CANCEL] = smtp_client_on_cancel,
	[AT_ENVELOPE] = smtp_client_on_envelope,		[AT_CONTENT] = smtp_client_on_content,
	[AT_END] = smtp_client_on_end,	[AT_DOT] = smtp_client_on_dot,	[AT_DISCARD] = smtp_client_on_discard,
	[AT_QUIT] = on_quit,
};

/* 421 may be the reply to anything, or to nothing: the server closes (RFC 5321 section 3.8). Only DATA and AUTH have 3yz to
 * say something: elsewhere it is a question that nobody can answer. */
static void
dispatch(struct smtp_client *c)
{
	bool more = c->state == AT_AUTH || c->state == AT_CANCEL
	    || (c->state == AT_ENVELOPE && c->answered == STEP_RCPT + c->nask);

	if (c->state == AT_QUIT)
		on_quit(c);
	else if (c->reply.code / 100 == 3 && !more)
		smtp_client_broken(c, "the server wants more where there is none");
	else if (c->reply.code == 421 && c->state != AT_END)
		smtp_client_close(c, smtp_client_say_reply(c, NULL), CONTACT_BUSY, false);
	else
		on_reply[c->state](c);
	smtp_reply_reset(&c->reply);
}

enum smtp_client_wants
smtp_client_input(struct smtp_client *c, struct bytes *in)
{
	enum smtp_reply_status st = SMTP_REPLY_DONE;

	while (c->state != AT_CLOSED && in->n > 0 && st == SMTP_REPLY_DONE) {
		if (c->state == AT_HANDSHAKE) {		/* CVE-2021-38371: would be taken as if it had come under TLS */
			smtp_client_broken(c, "there was something behind the reply to STARTTLS");
			break;
		}
		st = smtp_client_take(c, in);
		if (st == SMTP_REPLY_DONE)
			dispatch(c);
		else if (st == SMTP_REPLY_BAD)
			no_reply(c);
	}
	if (c->state == AT_CLOSED)
		*in = bytes_skip(*in, in->n);
	return smtp_client_wants(c);
}

/* ---- what the driver says ---- */

struct smtp_client *
smtp_client_new(const struct smtp_client_rules *rules, struct buf *out)
{
	struct smtp_client *c = mem_alloc(sizeof *c);

	must(rules->hostname && out->max >= SMTP_CLIENT_OUT);
	c->rules = rules;
	c->out = out;
	c->arena = arena_new(ARENA_MAX + (size_t)ENVELOPE_RCPTS * ARENA_RCPT);
	c->scratch = arena_new(SCRATCH_MAX);
	smtp_reply_init(&c->reply);
	smtp_ehlo_init(&c->ehlo);
	buf_init(&c->chunk, SMTP_CLIENT_OUT);
	buf_init(&c->challenge, SMTP_CLIENT_SAID_MAX);
	buf_init(&c->initial, SMTP_CLIENT_RESPONSE_MAX);
	buf_init(&c->domains, DOMAINS_MAX);
	smtp_client_said_begin(c, 0);
	c->contact = CONTACT_FAILED;	/* until it has said a word */
	return c;
}

void
smtp_client_free(struct smtp_client **c)
{
	if (!*c)
		return;
	smtp_reply_fini(&(*c)->reply);
	buf_fini(&(*c)->chunk);
	buf_fini(&(*c)->domains);
	buf_wipe(&(*c)->challenge);
	buf_wipe(&(*c)->initial);
	arena_free(&(*c)->arena);
	arena_free(&(*c)->scratch);
	mem_free(*c);
	*c = NULL;
}

enum smtp_client_wants
smtp_client_secured(struct smtp_client *c)
{
	bool implicit = c->state == AT_GREETING && c->line.of_reply == 0;

	must(c->state == AT_HANDSHAKE || implicit);
	c->secured = true;
	c->line = (struct smtp_client_line){ 0 };
	if (!implicit)
		send_ehlo(c);
	return smtp_client_wants(c);
}

enum smtp_client_wants
smtp_client_no_login(struct smtp_client *c)
{
	must(c->state == AT_LOGIN);
	c->state = AT_READY;
	c->contact = CONTACT_GOOD;
	return smtp_client_wants(c);
}

void
smtp_client_lost(struct smtp_client *c, const char *why)
{
	const char *status = c->state == AT_HANDSHAKE ? "4.7.5" : "4.4.2";

	if (c->state == AT_QUIT)
		c->state = AT_CLOSED;		/* it had nothing more to say */
	if (c->state != AT_CLOSED)
		smtp_client_close(c, smtp_client_say(c, status, text(why)), CONTACT_FAILED, false);
}

enum smtp_client_wants
smtp_client_quit(struct smtp_client *c)
{
	if (c->state == AT_LOGIN || c->state == AT_READY) {
		smtp_client_command(c, "QUIT", NULL);
		c->state = AT_QUIT;
	}
	return smtp_client_wants(c);
}

enum smtp_client_wants
smtp_client_wants(const struct smtp_client *c)
{
	switch (c->state) {
	case AT_HANDSHAKE:	return SMTP_CLIENT_WANTS_TLS;
	case AT_LOGIN:		return SMTP_CLIENT_WANTS_LOGIN;
	case AT_CHALLENGE:	return SMTP_CLIENT_WANTS_RESPONSE;
	case AT_READY:		return SMTP_CLIENT_WANTS_MAIL;
	case AT_CLOSED:		return SMTP_CLIENT_WANTS_CLOSE;
	case AT_CONTENT:	return smtp_client_wants_content(c) ? SMTP_CLIENT_WANTS_CONTENT : SMTP_CLIENT_WANTS_INPUT;
	default:		return SMTP_CLIENT_WANTS_INPUT;
	}
}

/* ---- what it knows ---- */

unsigned
smtp_client_extensions(const struct smtp_client *c)
{
	return c->ehlo.extensions & ~c->rules->ignore;
}

uint64_t
smtp_client_size_max(const struct smtp_client *c)
{
	return smtp_client_has(c, SMTP_EXT_SIZE) ? c->ehlo.size_octets : 0;
}

size_t
smtp_client_rcpt_max(const struct smtp_client *c)
{
	size_t max = SIZE_MAX;

	if (smtp_client_has(c, SMTP_EXT_LIMITS) && c->ehlo.rcpt_max > 0)
		max = c->ehlo.rcpt_max;
	if (c->rcpt_learnt > 0 && c->rcpt_learnt < max)
		max = c->rcpt_learnt;
	return max;
}

size_t
smtp_client_mails_left(const struct smtp_client *c)
{
	if (!smtp_client_has(c, SMTP_EXT_LIMITS) || c->ehlo.mail_max == 0)
		return SIZE_MAX;
	return c->mails < c->ehlo.mail_max ? c->ehlo.mail_max - c->mails : 0;
}

struct bytes
smtp_client_auth_mechanisms(const struct smtp_client *c)
{
	return smtp_client_has(c, SMTP_EXT_AUTH) ? smtp_ehlo_mechanisms(&c->ehlo) : bytes_of(NULL, 0);
}

bool
smtp_client_mended(const struct smtp_client *c)
{
	return c->content.mended;
}

const char *
smtp_client_stage(const struct smtp_client *c)
{
	if (c->state == AT_END || c->state == AT_DOT || c->state == AT_DISCARD)
		return "end of content";
	return smtp_client_command_name(c);
}

const struct smtp_client_said *
smtp_client_said(const struct smtp_client *c, size_t i)
{
	must(i < c->nsaid);
	return &c->said[i];
}

const struct smtp_client_said *
smtp_client_fault(const struct smtp_client *c)
{
	return c->fault == SIZE_MAX ? NULL : &c->said[c->fault];
}

enum relay_contact
smtp_client_contact(const struct smtp_client *c)
{
	return c->contact;
}
