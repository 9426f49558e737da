/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/smtp_client_impl.h"

/* Octets of commands that may be without a reply. While we wait to send, we read (RFC 2920 section 3.1), but not a driver
 * that is choked: what is in flight has to fit the buffers of both hosts, and the replies to it as well. */
#define WINDOW		8192u
#define CHUNK		65536u		/* BDAT: octets from which it is sent */
#define CHUNKS_MAX	128u		/* that may be without a reply */

/* ---- the end of it ---- */

static enum outcome
outcome_of(unsigned code)
{
	return code / 100 == 2 ? DELIVERED : code / 100 == 5 ? BOUNCE : TRY_LATER;
}

void
smtp_client_settle(struct smtp_client *c, size_t i, enum outcome outcome, size_t said)
{
	struct smtp_client_rcpt *r = &c->mail->rcpts[i];

	must(!r->settled);
	r->settled = true;
	r->outcome = outcome;
	r->said = said;
	r->uncertain = r->again = false;
	r->dsn = outcome == DELIVERED && smtp_client_has(c, SMTP_EXT_DSN);
}

void
smtp_client_settle_open(struct smtp_client *c, enum outcome outcome, size_t said)
{
	for (size_t i = 0; i < c->mail->nrcpts; i++)
		if (!c->mail->rcpts[i].settled)
			smtp_client_settle(c, i, outcome, said);
}

static void
ended(struct smtp_client *c, bool dirty)
{
	for (size_t i = 0; i < c->mail->nrcpts; i++)
		must(c->mail->rcpts[i].settled);
	c->mail = NULL;
	c->dirty = dirty;
	c->contact = CONTACT_GOOD;
	c->state = AT_READY;
	buf_release(&c->chunk);
}

/* ---- commands and their replies ---- */

bool
smtp_client_bdat(const struct smtp_client *c)
{
	return smtp_client_has(c, SMTP_EXT_CHUNKING);
}

static size_t
step_data(const struct smtp_client *c)
{
	return STEP_RCPT + c->nask;
}

static bool
may_send(const struct smtp_client *c)
{
	size_t steps = step_data(c) + !smtp_client_bdat(c);

	if (c->refused || c->sent >= steps)
		return false;
	if (c->sent == c->answered)
		return c->sent < step_data(c) || c->accepted > 0;
	return smtp_client_has(c, SMTP_EXT_PIPELINING) && c->window < WINDOW;
}

static void
send_commands(struct smtp_client *c)
{
	if (c->sent == c->answered)
		c->window = 0;
	while (may_send(c)) {
		size_t before = c->out->n;

		if (c->sent == STEP_RSET)
			smtp_client_command(c, "RSET", NULL);
		else if (c->sent == STEP_MAIL)
			smtp_client_put_mail(c);
		else if (c->sent < step_data(c))
			smtp_client_put_rcpt(c, &c->mail->rcpts[c->ask[c->sent - STEP_RCPT]]);
		else
			smtp_client_command(c, "DATA", NULL);
		c->window += c->out->n - before;
		c->sent++;
	}
}

static void
begin_content(struct smtp_client *c)
{
	smtp_content_init(&c->content, !smtp_client_bdat(c) ? SMTP_CONTENT_DATA
	    : c->mail->body == BODY_BINARYMIME ? SMTP_CONTENT_BINARY : SMTP_CONTENT_BDAT);
	c->state = AT_CONTENT;
}

static void
on_mail(struct smtp_client *c)
{
	if (c->reply.code / 100 == 2)
		return;
	c->refused = true;
	smtp_client_settle_open(c, outcome_of(c->reply.code), smtp_client_say_reply(c, NULL));
}

/*
 * RFC 5321 section 4.5.3.1.10: the transaction is full; the others come in the next one. RFC 821 had 552 for it. But 452 and
 * 552 are said of full disks and mailboxes, too: a status code tells, and where no recipient was taken it was not one too many.
 */
static bool
one_too_many(const struct smtp_client *c)
{
	const unsigned *status = c->reply.status;

	return (c->reply.code == 452 || c->reply.code == 552) && c->accepted > 0
	    && (status[0] == 0 || (status[1] == 5 && status[2] == 3));
}

/* Who was asked for, and who was not yet. */
static void
full(struct smtp_client *c, size_t i)
{
	size_t said = smtp_client_say_reply(c, "4.5.3"), asked = c->sent - STEP_RCPT;

	if (c->rcpt_learnt == 0 || c->accepted < c->rcpt_learnt)
		c->rcpt_learnt = c->accepted;
	smtp_client_settle(c, i, TRY_LATER, said);
	c->mail->rcpts[i].again = true;
	for (size_t k = asked; k < c->nask; k++) {
		smtp_client_settle(c, c->ask[k], TRY_LATER, said);
		c->mail->rcpts[c->ask[k]].again = true;
	}
	if (asked < c->nask)
		c->nask = asked;
}

static void
on_rcpt(struct smtp_client *c, size_t i)
{
	bool good = c->reply.code / 100 == 2, old_552 = c->reply.code == 552 && c->reply.status[1] == 5
	    && c->reply.status[2] == 3;

	if (c->refused)			/* it has its reply already */
		c->odd = c->odd || good;
	else if (good)
		c->accepted++;
	else if (one_too_many(c))
		full(c, i);
	else
		smtp_client_settle(c, i, old_552 ? TRY_LATER : outcome_of(c->reply.code),
		    smtp_client_say_reply(c, old_552 ? "4.5.3" : NULL));
}

/*
 * DATA was pipelined, and is accepted although nobody is to get this: a single dot ends it (RFC 2920 section 3.1). Not so
 * where some recipient was taken of a sender that was not, who would get an empty message; nor in LMTP, where so many
 * replies follow as recipients were taken: none, if the server can count.
 */
static void
data_for_nobody(struct smtp_client *c)
{
	if (c->odd || c->rules->lmtp) {
		smtp_client_broken(c, "the server wants content for recipients that it has refused");
		return;
	}
	buf_text(c->out, ".\r\n");
	c->state = AT_DOT;
}

static void
on_data(struct smtp_client *c)
{
	bool nobody = c->refused || c->accepted == 0;

	if (c->reply.code / 100 == 2)
		smtp_client_broken(c, "the server takes DATA for a whole message");
	else if (c->reply.code / 100 == 3 && nobody)
		data_for_nobody(c);
	else if (c->reply.code / 100 == 3)
		begin_content(c);
	else if (!nobody)
		smtp_client_settle_open(c, outcome_of(c->reply.code), smtp_client_say_reply(c, NULL));
}

void
smtp_client_on_envelope(struct smtp_client *c)
{
	size_t step = c->answered;

	must(step < c->sent);
	if (step == STEP_RSET && c->reply.code / 100 != 2) {
		smtp_client_close(c, smtp_client_say_reply(c, "4.5.0"), CONTACT_FAILED, false);
		return;
	}
	if (step == STEP_MAIL)
		on_mail(c);
	else if (step >= STEP_RCPT && step < step_data(c))
		on_rcpt(c, c->ask[step - STEP_RCPT]);
	else if (step == step_data(c))
		on_data(c);
	if (c->state != AT_ENVELOPE)
		return;
	c->answered++;
	send_commands(c);
	if (c->answered < c->sent)
		return;
	if (c->refused || c->accepted == 0 || step == step_data(c))
		ended(c, c->answered > STEP_RCPT || !c->refused);
	else
		begin_content(c);
}

/* RFC 9422, MAILMAX: they are for another connection. */
static void
no_more(struct smtp_client *c)
{
	size_t said = smtp_client_say(c, "4.5.0", text("the server takes no more messages in this connection"));

	for (size_t i = 0; i < c->mail->nrcpts; i++)
		if (!c->mail->rcpts[i].settled) {
			smtp_client_settle(c, i, TRY_LATER, said);
			c->mail->rcpts[i].again = true;
		}
	smtp_client_close(c, said, CONTACT_GOOD, true);
}

enum smtp_client_wants
smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m)
{
	must(c->state == AT_READY && m->nrcpts <= ENVELOPE_RCPTS && m->body <= BODY_BINARYMIME);
	smtp_client_said_begin(c, m->nrcpts);
	c->mail = m;
	c->ask = arena_array(c->arena, m->nrcpts + 1, sizeof *c->ask);
	c->nask = c->accepted = c->chunks = c->window = c->final = 0;
	c->crowded = SIZE_MAX;
	c->refused = c->odd = c->last = c->content.mended = false;
	buf_clear(&c->chunk);
	c->state = AT_ENVELOPE;
	c->sent = c->answered = STEP_MAIL;
	if (smtp_client_mails_left(c) == 0) {
		no_more(c);
		return smtp_client_wants(c);
	}
	smtp_client_choose(c);
	if (c->nask == 0 && c->crowded != SIZE_MAX) {	/* RFC 9422, RCPTDOMAINMAX: nor can they be in the next transaction */
		smtp_client_close(c, c->crowded, CONTACT_GOOD, true);
		return smtp_client_wants(c);
	}
	if (c->nask == 0) {
		ended(c, c->dirty);
		return smtp_client_wants(c);
	}
	c->mails++;
	if (c->dirty)
		c->sent = c->answered = STEP_RSET;
	send_commands(c);
	return smtp_client_wants(c);
}

/* ---- content ---- */

bool
smtp_client_wants_content(const struct smtp_client *c)
{
	if (c->last)
		return false;
	return !smtp_client_bdat(c) || (c->chunks < CHUNKS_MAX && c->chunk.n < CHUNK);
}

static void
content_ends(struct smtp_client *c)
{
	c->early = c->chunks == 0 && c->line.of_reply > 0;
	c->state = AT_END;
}

/* RFC 3030 section 2. Without pipelining each chunk waits for the reply to the one before. */
static void
send_chunk(struct smtp_client *c)
{
	if ((c->chunk.n < CHUNK && !c->last) || (c->chunks > 0 && !smtp_client_has(c, SMTP_EXT_PIPELINING)))
		return;
	smtp_bdat_put(c->out, c->chunk.n, c->last);
	buf_add(c->out, buf_bytes(&c->chunk));
	buf_clear(&c->chunk);
	if (c->last)
		content_ends(c);
	else
		c->chunks++;
}

enum smtp_client_wants
smtp_client_content(struct smtp_client *c, struct bytes octets, bool last)
{
	struct buf *to = smtp_client_bdat(c) ? &c->chunk : c->out;

	if (c->state != AT_CONTENT || c->last)
		return smtp_client_wants(c);	/* the server was quicker: nobody wants it any more */
	must(octets.n <= SMTP_CLIENT_PIECE);
	smtp_content_feed(&c->content, octets, to);
	if (last) {
		smtp_content_end(&c->content, to);
		c->last = true;
	}
	if (smtp_client_bdat(c))
		send_chunk(c);
	else if (last)
		content_ends(c);
	return smtp_client_wants(c);
}

void
smtp_client_content_lost(struct smtp_client *c, const char *why)
{
	if (c->state == AT_CONTENT)
		smtp_client_close(c, smtp_client_say(c, "4.3.0", text(why)), CONTACT_NONE, false);
}

/* One failed: the transaction has, and what is in flight of it is thrown away. How many replies there are in LMTP when the
 * last chunk is among it, nobody can say. */
static void
chunk_failed(struct smtp_client *c)
{
	size_t said = smtp_client_say_reply(c, NULL);

	smtp_client_settle_open(c, outcome_of(c->reply.code), said);
	if (c->state == AT_END && c->rules->lmtp) {
		smtp_client_close(c, said, CONTACT_GOOD, false);
		return;
	}
	c->chunks += c->state == AT_END;
	c->state = AT_DISCARD;
	if (c->chunks == 0)
		ended(c, true);
}

static void
on_chunk(struct smtp_client *c)
{
	c->chunks--;
	if (c->reply.code / 100 != 2)
		chunk_failed(c);
	else if (c->state == AT_CONTENT)
		send_chunk(c);
}

/* Some servers do not wait for the end of what they do not want. They cannot be told that it is over: content that
 * followed would be commands to one that has stopped reading it, a command be content to one that has not. */
static void
too_early(struct smtp_client *c)
{
	size_t said;

	if (c->reply.code / 100 == 2) {
		smtp_client_broken(c, "the server has taken the message before it was sent");
	} else {
		said = smtp_client_say_reply(c, NULL);
		smtp_client_settle_open(c, outcome_of(c->reply.code), said);
		smtp_client_close(c, said, c->reply.code == 421 ? CONTACT_BUSY : CONTACT_GOOD, false);
	}
}

void
smtp_client_on_content(struct smtp_client *c)
{
	if (c->chunks > 0)
		on_chunk(c);
	else
		too_early(c);
}

/* LMTP, RFC 2033 sections 4.2 and 4.3: a reply for each recipient that was taken, in their order. */
static size_t
next_final(struct smtp_client *c)
{
	while (c->final < c->nask && c->mail->rcpts[c->ask[c->final]].settled)
		c->final++;
	return c->final;
}

void
smtp_client_on_end(struct smtp_client *c)
{
	enum outcome outcome = outcome_of(c->reply.code);
	bool closes = c->reply.code == 421, failed = outcome != DELIVERED;
	size_t said;

	if (c->early || (c->chunks > 0 && !closes)) {
		(c->early ? too_early : on_chunk)(c);
		return;
	}
	said = smtp_client_say_reply(c, NULL);
	if (c->rules->lmtp && c->chunks == 0)
		smtp_client_settle(c, c->ask[next_final(c)], outcome, said);
	else
		smtp_client_settle_open(c, outcome, said);
	if (closes)
		smtp_client_close(c, said, CONTACT_BUSY, false);	/* LMTP: of the others nobody knows */
	else if (next_final(c) == c->nask)
		ended(c, failed && smtp_client_bdat(c));
}

void
smtp_client_on_dot(struct smtp_client *c)
{
	ended(c, true);
}

void
smtp_client_on_discard(struct smtp_client *c)
{
	if (--c->chunks == 0)
		ended(c, true);
}
