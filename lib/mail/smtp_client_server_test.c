/* SPDX-License-Identifier: ISC */
/* Our client to our server, octets in pieces by chance: what one means is what the other understands. */
#include "base/mem.h"
#include "mail/ipc.h"
#include "mail/smtp_client.h"
#include "mail/smtp_server.h"
#include "mail/testing.h"

#define RCPTS	4

static const struct smtp_rules strict = {
	.hostname = "mx.our.test", .authserv_id = "mx.our.test", .message_octets = 1000000, .recipients = 3,
	.line_octets = 2048, .header_octets = 500000, .header_line_octets = 500000, .mime_depth = 10, .mime_parts = 100, .hops = 50,
	.errors = 1000, .junk = 1000,
};

struct play {
	struct smtp_client *c;
	struct smtp_server s;
	struct buf	 to_server, to_client;	/* what the two have said, not yet heard */
	size_t		 kept;			/* octets of to_server that the server has heard, and left */
	struct buf	 content, got;		/* of this message: sent, and taken */
	size_t		 given;			/* octets of content */
	bool		 binary_ends;		/* the content has no line end at its end */
	struct smtp_client_rcpt rcpts[RCPTS];
	char		 names[RCPTS][32];
	struct smtp_client_mail mail;
	unsigned	 commits;
};

static void
answer_rcpt(struct play *p)
{
	struct bytes who = p->s.asked.original;
	struct buf routes;
	struct ipc_out o;

	buf_init(&routes, 4096);
	ipc_out_init(&o);
	ipc_put_route(&o, 0, &(struct ipc_route){ .final = who, .transport = text("local"), .nexthop = who,
	    .mailbox = text("maildir:/m") });
	ipc_add_text(&routes, ipc_out_body(&o));
	ipc_out_fini(&o);
	if (bytes_starts(who, text("no")))
		smtp_server_checked(&p->s, NO, 550, text("5.1.1 no such user here"), text(NULL));
	else if (bytes_starts(who, text("later")))
		smtp_server_checked(&p->s, NOT_SURE, 0, text(NULL), text(NULL));
	else
		smtp_server_checked(&p->s, YES, 0, text(NULL), buf_bytes(&routes));
	buf_fini(&routes);
}

static void
server_hears(struct play *p)
{
	struct bytes in = bytes_head(buf_bytes(&p->to_server), p->kept + 1 + (size_t)rand() % 3000);
	size_t n = in.n;
	enum smtp_wants w;

	while ((w = smtp_server_input(&p->s, &in)) != SMTP_WANTS_INPUT && w != SMTP_WANTS_CLOSE) {
		buf_add(&p->got, buf_bytes(&p->s.content));
		buf_clear(&p->s.content);
		if (w == SMTP_WANTS_RCPT)
			answer_rcpt(p);
		else if (w == SMTP_WANTS_OPEN)
			smtp_server_opened(&p->s, OPEN_OK, text("Q"));
		else {
			p->commits++;
			smtp_server_envelope(&p->s, 1);
			smtp_server_committed(&p->s, COMMIT_OK, text(NULL));
		}
	}
	p->s.abandon = false;
	buf_add(&p->got, buf_bytes(&p->s.content));
	buf_clear(&p->s.content);
	buf_drop(&p->to_server, n - in.n);
	p->kept = in.n;
}

static void
client_hears(struct play *p)
{
	struct bytes in = bytes_head(buf_bytes(&p->to_client), 1 + (size_t)rand() % 300);
	size_t n = in.n;

	smtp_client_input(p->c, &in);
	buf_drop(&p->to_client, n - in.n);
}

/* Until the client wants something else than to hear. */
static enum smtp_client_wants
talk(struct play *p)
{
	for (unsigned idle = 0; smtp_client_wants(p->c) == SMTP_CLIENT_WANTS_INPUT; idle++) {
		if (p->to_server.n > 0 && rand() % 2)
			server_hears(p);
		if (p->to_client.n > 0 && rand() % 2)
			client_hears(p);
		idle = p->to_server.n + p->to_client.n > 0 ? 0 : idle;
		assert_true(idle < 100);
	}
	return smtp_client_wants(p->c);
}

static void
make_mail(struct play *p)
{
	static const char *const kinds[] = { "good", "good", "no", "later" };
	size_t n = rand() % 4 ? (size_t)rand() % 3000 : (size_t)rand() % 300000;

	for (unsigned i = 0; i < RCPTS; i++) {
		snprintf(p->names[i], sizeof p->names[i], "%s%u@our.test", kinds[rand() % 4], i);
		p->rcpts[i] = (struct smtp_client_rcpt){ .address = text(p->names[i]), .notify = (uint32_t)rand() % 2 };
	}
	buf_clear(&p->content);
	buf_text(&p->content, "Subject: x\r\n\r\n");
	while (p->content.n < n)
		buf_text(&p->content, (const char *[]){ "\r\n", ".\r\n", "..", "words and words", "." }[rand() % 5]);
	p->binary_ends = !bytes_ends(buf_bytes(&p->content), text("\r\n"));
	p->mail = (struct smtp_client_mail){ .sender = text(rand() % 2 ? "" : "s@me.test"), .octets = p->content.n,
	    .body = rand() % 2 ? BODY_8BITMIME : BODY_7BIT, .rcpts = p->rcpts, .nrcpts = RCPTS };
	buf_clear(&p->got);
	p->given = p->commits = 0;
}

static void
give_content(struct play *p)
{
	struct bytes piece = bytes_head(bytes_skip(buf_bytes(&p->content), p->given), 1 + (size_t)rand() % SMTP_CLIENT_PIECE);

	while (p->to_server.n > p->to_server.max / 2)
		server_hears(p);
	p->given += piece.n;
	smtp_client_content(p->c, piece, p->given == p->content.n);
}

static void
check(struct play *p, bool data)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < RCPTS; i++) {
		const struct smtp_client_rcpt *r = &p->rcpts[i];

		assert_true(r->settled);
		assert_false(r->uncertain);
		if (r->again)
			continue;			/* a fourth one */
		taken += r->outcome == DELIVERED;
		assert_row_int(p->names[i], r->outcome, bytes_starts(r->address, text("no")) ? BOUNCE
		    : bytes_starts(r->address, text("later")) ? TRY_LATER : DELIVERED);
	}
	assert_int_equal(p->commits, taken > 0);
	if (taken == 0)
		return;
	if (data && p->binary_ends)
		buf_text(&p->content, "\r\n");
	assert_bytes_equal(buf_bytes(&p->got), buf_bytes(&p->content));
}

static void
conversation(unsigned ignore)
{
	struct smtp_client_rules rules = { .hostname = "me.test", .tls = SMTP_TLS_MAY, .ignore = ignore };
	struct smtp_rules server_rules = strict;
	struct play p = { 0 };

	buf_init(&p.to_server, SMTP_CLIENT_OUT);
	buf_init(&p.to_client, 65536);
	buf_init(&p.content, 1 << 20);
	buf_init(&p.got, 1 << 20);
	smtp_server_init(&p.s, &server_rules, &p.to_client, text("192.0.2.9"), "S");
	smtp_server_greet(&p.s);
	p.c = smtp_client_new(&rules, &p.to_server);
	assert_int_equal(talk(&p), SMTP_CLIENT_WANTS_LOGIN);
	smtp_client_no_login(p.c);
	for (unsigned i = 0; i < 10; i++) {
		make_mail(&p);
		smtp_client_mail(p.c, &p.mail);
		while (talk(&p) == SMTP_CLIENT_WANTS_CONTENT)
			give_content(&p);
		assert_int_equal(smtp_client_wants(p.c), SMTP_CLIENT_WANTS_MAIL);
		check(&p, !(smtp_client_extensions(p.c) & SMTP_EXT_CHUNKING));
	}
	smtp_client_quit(p.c);
	assert_int_equal(talk(&p), SMTP_CLIENT_WANTS_CLOSE);
	assert_null(smtp_client_fault(p.c));
	smtp_client_free(&p.c);
	smtp_server_fini(&p.s);
	buf_fini(&p.to_server);
	buf_fini(&p.to_client);
	buf_fini(&p.content);
	buf_fini(&p.got);
}

static void
test_conversations(void **state)
{
	(void)state;
	srand(5321);
	for (unsigned i = 0; i < 120; i++)
		conversation((i & 1 ? SMTP_EXT_CHUNKING : 0u) | (i & 2 ? SMTP_EXT_PIPELINING : 0u));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
