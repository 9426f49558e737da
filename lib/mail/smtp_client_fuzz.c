/* SPDX-License-Identifier: ISC */
/*
 * A server that says anything, to a client with three recipients at a time. The first octet chooses SMTP or LMTP, TLS and
 * the message, the second in what pieces the server's words come; the rest is what it says.
 */
#include "base/mem.h"
#include "mail/smtp_client.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define RCPTS		3
#define MAILS_MAX	50

/* No command has a '~': where one is, there is content. */
static const char content[] = "Subject: ~\r\n\r\n.~\r\n..\r\n~\n.\r~\r\n.\r\n";

struct play {
	struct smtp_client *c;
	struct buf	 out;
	struct smtp_client_mail mail;
	struct smtp_client_rcpt rcpts[RCPTS];
	bool		 open;			/* a transaction is */
	bool		 asked;			/* the content was asked for */
	bool		 ended;			/* all of it was given */
	bool		 said_2;		/* since then the server has said a 2 */
	bool		 logs_in, enough;
	unsigned	 how, mails, challenges;
};

static void
check_settled(const struct play *p)
{
	for (size_t i = 0; i < RCPTS; i++) {
		const struct smtp_client_rcpt *r = &p->rcpts[i];
		const struct smtp_client_said *s;

		must(r->settled);
		s = smtp_client_said(p->c, r->said);
		must(s->status.n >= 5 && s->command && s->said.n <= SMTP_CLIENT_SAID_MAX);
		must(s->reply.n <= SMTP_CLIENT_WORDS_MAX && bytes_find(s->reply, '\n') == s->reply.n);
		must(bytes_find(s->said, '\r') == s->said.n && bytes_find(s->said, '\0') == s->said.n);
		must(s->status.p[0] == (r->outcome == DELIVERED ? '2' : r->outcome == BOUNCE ? '5' : '4'));
		must(r->outcome != DELIVERED || (p->ended && p->said_2 && !r->uncertain));
		must(!r->uncertain || (p->ended && r->outcome == TRY_LATER));
		must(!r->again || r->outcome == TRY_LATER);
	}
}

static enum smtp_client_wants
give_content(struct play *p)
{
	struct bytes all = text(content);
	enum smtp_client_wants w = SMTP_CLIENT_WANTS_CONTENT;
	static unsigned char big[SMTP_CLIENT_PIECE];
	unsigned pieces = p->how & 0x80 ? 40 : 0;	/* 640 KiB: more than one chunk, and than out holds */

	p->asked = true;
	memset(big, '~', sizeof big);
	big[sizeof big - 1] = '\n';
	for (; pieces > 0 && w == SMTP_CLIENT_WANTS_CONTENT; pieces--) {
		if (p->out.n > p->out.max / 2)
			buf_clear(&p->out);
		w = smtp_client_content(p->c, bytes_of(big, sizeof big), false);
	}
	while (w == SMTP_CLIENT_WANTS_CONTENT) {
		struct bytes piece = bytes_head(all, 1 + p->how % 7);

		if (p->out.n > p->out.max / 2)
			buf_clear(&p->out);
		all = bytes_skip(all, piece.n);
		p->ended = all.n == 0;
		w = smtp_client_content(p->c, piece, all.n == 0);
	}
	return w;
}

static enum smtp_client_wants
begin_mail(struct play *p)
{
	static const char *const names[RCPTS] = { "a@x.test", "b@y.test", "c d@\xc3\xa4.test" };

	for (size_t i = 0; i < RCPTS; i++)
		p->rcpts[i] = (struct smtp_client_rcpt){ .address = text(names[i]), .notify = p->how % 8,
		    .orcpt = text("rfc822;o@x.test") };
	p->mail.rcpts = p->rcpts;
	p->mail.nrcpts = RCPTS;
	p->open = true;
	p->asked = p->ended = p->said_2 = false;
	p->mails++;
	buf_clear(&p->out);		/* with the content of the one before */
	return smtp_client_mail(p->c, &p->mail);
}

static enum smtp_client_wants
log_in(struct play *p)
{
	static const unsigned char long_one[400];
	struct bytes initial = p->how & 8 ? bytes_of(long_one, sizeof long_one) : text("me");

	if ((p->how & 0x40) == 0)
		return smtp_client_no_login(p->c);
	p->logs_in = true;
	return smtp_client_auth(p->c, "X", p->how & 16 ? NULL : &initial, p->how & 8);
}

static enum smtp_client_wants
respond(struct play *p)
{
	struct bytes challenge = smtp_client_challenge(p->c);

	must(challenge.n < SMTP_CLIENT_SAID_MAX && ++p->challenges <= SMTP_CLIENT_CHALLENGES);
	if (challenge.n == 3)
		return smtp_client_cancel(p->c, "no");
	p->enough = challenge.n == 0;
	return smtp_client_respond(p->c, challenge, p->enough);
}

/* False: it is over. */
static bool
drive(struct play *p, enum smtp_client_wants w)
{
	for (;;) {
		must(w == smtp_client_wants(p->c) && !p->out.full && smtp_client_stage(p->c));
		if (p->open && (w == SMTP_CLIENT_WANTS_MAIL || w == SMTP_CLIENT_WANTS_CLOSE)) {
			p->open = false;
			check_settled(p);
		}
		switch (w) {
		case SMTP_CLIENT_WANTS_INPUT:	return true;
		case SMTP_CLIENT_WANTS_TLS:	w = smtp_client_secured(p->c); break;
		case SMTP_CLIENT_WANTS_LOGIN:	w = log_in(p); break;
		case SMTP_CLIENT_WANTS_RESPONSE: w = respond(p); break;
		case SMTP_CLIENT_WANTS_CONTENT:	w = give_content(p); break;
		case SMTP_CLIENT_WANTS_CLOSE:	return false;
		case SMTP_CLIENT_WANTS_MAIL:
			must(!p->logs_in || p->enough || p->how & 8);
			w = p->mails < MAILS_MAX ? begin_mail(p) : smtp_client_quit(p->c);
			break;
		}
		if (bytes_find(buf_bytes(&p->out), '~') < p->out.n)
			must(p->asked);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct smtp_client_rules rules = { .hostname = "me.test" };
	struct play play = { 0 };
	struct bytes rest;
	size_t piece;

	if (n < 2)
		return 0;
	rules.lmtp = p[0] & 1;
	rules.tls = p[0] & 2 ? SMTP_TLS_MUST : SMTP_TLS_MAY;
	rules.ignore = p[0] & 4 ? SMTP_EXT_CHUNKING : 0;
	play.mail = (struct smtp_client_mail){ .sender = text("s@me.test"), .envid = text("id"),
	    .body = p[0] & 8 ? BODY_8BITMIME : BODY_7BIT, .octets = 1000, .smtputf8 = p[0] & 16 };
	play.how = p[0];
	piece = p[1] + 1u;
	buf_init(&play.out, SMTP_CLIENT_OUT);
	play.c = smtp_client_new(&rules, &play.out);
	for (rest = bytes_of(p + 2, n - 2); rest.n > 0;) {
		struct bytes in = bytes_head(rest, piece);

		rest = bytes_skip(rest, piece);
		if (play.ended && bytes_find(in, '2') < in.n)
			play.said_2 = true;
		if (!drive(&play, smtp_client_input(play.c, &in)))
			break;
		must(in.n == 0);
		buf_clear(&play.out);
	}
	smtp_client_lost(play.c, "lost");
	must(!drive(&play, smtp_client_wants(play.c)));
	must(!smtp_client_fault(play.c) || smtp_client_fault(play.c)->reply.n > 0
	    || smtp_client_fault(play.c)->said.n > 0);
	smtp_client_free(&play.c);
	buf_fini(&play.out);
	return 0;
}
