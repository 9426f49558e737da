/* SPDX-License-Identifier: ISC */
/*
 * Conversations, each a script: what the client sends, what must come back.
 * The driver's part (router, cleanup) is played by the table's answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/ipc.h"
#include "mail/smtp_server.h"

static const struct smtp_rules rules = {
	.hostname = "mx.our.test", .authserv_id = "mx.our.test", .message_octets = 1000,
	.recipients = 3, .line_octets = 512, .header_octets = 500, .header_line_octets = 200,
	.mime_depth = 3, .mime_parts = 10, .hops = 5, .errors = 4, .junk = 5,
};

struct play {
	struct smtp_server s;
	struct buf out, wire, all;	/* all: every octet of content that was handed on */
	enum open_status open;
	enum commit_status commit;
	unsigned opened, committed, abandoned;
};

static void
one_route(struct buf *routes, struct bytes final)
{
	struct ipc_out o;

	ipc_out_init(&o);
	ipc_put_route(&o, 0, &(struct ipc_route){ .final = final, .transport = text("local"),
	    .nexthop = final, .uid = 1000, .gid = 1000, .mailbox = text("maildir:/m") });
	ipc_add_text(routes, ipc_out_body(&o));
	ipc_out_fini(&o);
}

/* "no@" is unknown, "unsure@" has no answer, all others are ours. */
static void
answer_rcpt(struct play *p)
{
	struct bytes who = p->s.asked.original;
	struct buf routes;

	buf_init(&routes, 4096);
	if (bytes_starts(who, text("no@"))) {
		smtp_server_checked(&p->s, NO, 550, text("5.1.1 no such user here"), text(NULL));
	} else if (bytes_starts(who, text("unsure@"))) {
		smtp_server_checked(&p->s, NOT_SURE, 0, text(NULL), text(NULL));
	} else {
		one_route(&routes, who);
		smtp_server_checked(&p->s, YES, 0, text(NULL), buf_bytes(&routes));
	}
	buf_fini(&routes);
}

/* Plays the driver until more input is wanted; false: the session ends. */
static bool
drive(struct play *p, struct bytes *in)
{
	for (;;) {
		enum smtp_wants w = smtp_server_input(&p->s, in);

		if (p->s.abandon) {
			p->s.abandon = false;
			p->abandoned++;
		}
		buf_add(&p->all, buf_bytes(&p->s.content));
		buf_clear(&p->s.content);
		switch (w) {
		case SMTP_WANTS_RCPT:
			answer_rcpt(p);
			break;
		case SMTP_WANTS_OPEN:
			p->opened++;
			smtp_server_opened(&p->s, p->open, text("QUEUEID"));
			break;
		case SMTP_WANTS_COMMIT:
			p->committed++;
			smtp_server_envelope(&p->s, 1);
			smtp_server_committed(&p->s, p->commit, text("5.4.6 mail loop"));
			break;
		case SMTP_WANTS_CLOSE:
			return false;
		default:
			return true;
		}
	}
}

static void
play_init(struct play *p)
{
	memset(p, 0, sizeof *p);
	p->open = OPEN_OK;
	p->commit = COMMIT_OK;
	buf_init(&p->out, 1 << 20);
	buf_init(&p->wire, 1 << 20);
	buf_init(&p->all, 1 << 20);
	smtp_server_init(&p->s, &rules, &p->out, text("192.0.2.9"), "SESSION");
}

static void
play_fini(struct play *p)
{
	smtp_server_fini(&p->s);
	buf_fini(&p->out);
	buf_fini(&p->wire);
	buf_fini(&p->all);
}

/* All of input, in pieces of at most `piece` octets. */
static void
play_run(struct play *p, struct bytes input, size_t piece)
{
	bool open = true;

	while (open && input.n > 0) {
		struct bytes rest;

		buf_add(&p->wire, bytes_head(input, piece));
		input = bytes_skip(input, piece);
		rest = buf_bytes(&p->wire);
		open = drive(p, &rest);
		buf_drop(&p->wire, p->wire.n - rest.n);
	}
}

/* "250 250 354": the codes of the replies, without those of continuation lines. */
static void
codes(struct bytes out, char *dst, size_t cap)
{
	size_t n = 0;

	dst[0] = '\0';
	while (out.n > 0) {
		struct bytes line = bytes_cut(&out, '\n');

		if (line.n >= 4 && line.p[3] == ' ' && n + 5 < cap)
			n += (size_t)snprintf(dst + n, cap - n, "%s%.3s", n ? " " : "", (const char *)line.p);
	}
}

#define HELLO	"EHLO c.test\r\n"
#define BEGIN	HELLO "MAIL FROM:<s@c.test>\r\nRCPT TO:<u@our.test>\r\n"

static const struct {
	const char *name, *input, *want;	/* want: codes; a piece of one octet gives the same */
	enum open_status open;
	enum commit_status commit;
	const char *content;			/* NULL: not looked at */
} scripts[] = {
	{ "a message", BEGIN "DATA\r\n\1S: x\r\n\r\n..a\r\n.\r\nQUIT\r\n", "250 250 250 354 250 221",
	    OPEN_OK, COMMIT_OK, "S: x\r\n\r\n.a\r\n" },
	{ "an empty message", BEGIN "DATA\r\n\1.\r\n", "250 250 250 354 250", OPEN_OK, COMMIT_OK, "" },
	{ "no room for a file", BEGIN "DATA\r\n\1NOOP\r\n", "250 250 250 452 250", OPEN_NO_SPACE, COMMIT_OK, "" },
	{ "no file", BEGIN "DATA\r\n\1NOOP\r\n", "250 250 250 451 250", OPEN_FAILED, COMMIT_OK, "" },
	{ "not durable", BEGIN "DATA\r\n\1x: y\r\n.\r\nDATA\r\n", "250 250 250 354 451 503", OPEN_OK, COMMIT_FAILED, NULL },
	{ "no room at the end", BEGIN "DATA\r\n\1x: y\r\n.\r\n", "250 250 250 354 452", OPEN_OK, COMMIT_NO_SPACE, NULL },
	{ "no recipient will have it", BEGIN "DATA\r\n\1x: y\r\n.\r\n", "250 250 250 354 554", OPEN_OK, COMMIT_REFUSED, NULL },
	{ "two messages", BEGIN "DATA\r\n\1a: b\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<u@our.test>\r\nDATA\r\n\1c: d\r\n.\r\n",
	    "250 250 250 354 250 250 250 354 250", OPEN_OK, COMMIT_OK, "a: b\r\nc: d\r\n" },
	{ "unknown recipient", HELLO "MAIL FROM:<>\r\nRCPT TO:<no@our.test>\r\nDATA\r\n", "250 250 550 503", OPEN_OK, COMMIT_OK, "" },
	{ "no answer about a recipient", HELLO "MAIL FROM:<>\r\nRCPT TO:<unsure@our.test>\r\nDATA\r\n", "250 250 451 503",
	    OPEN_OK, COMMIT_OK, "" },
	{ "too many recipients", BEGIN "RCPT TO:<v@our.test>\r\nRCPT TO:<w@our.test>\r\nRCPT TO:<x@our.test>\r\n",
	    "250 250 250 250 250 452", OPEN_OK, COMMIT_OK, NULL },
	{ "errors", "a\r\na\r\na\r\na\r\na\r\na\r\n", "500 500 500 500 500 421", OPEN_OK, COMMIT_OK, NULL },
	{ "junk", "NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n", "250 250 250 250 250 250 421",
	    OPEN_OK, COMMIT_OK, NULL },
	{ "BDAT", BEGIN "BDAT 3\r\na: BDAT 3 LAST\r\nb\r\n", "250 250 250 250 250", OPEN_OK, COMMIT_OK, "a: b\r\n" },
	{ "BDAT, no file", BEGIN "BDAT 3\r\na: BDAT 3 LAST\r\nb\r\n", "250 250 250 451 503", OPEN_FAILED, COMMIT_OK, "" },
	{ "BDAT with a bare LF", BEGIN "BDAT 4 LAST\r\na\nb\n", "250 250 250 550", OPEN_OK, COMMIT_OK, NULL },
	{ "BDAT ending in a bare CR", BEGIN "BDAT 4 LAST\r\na: \r", "250 250 250 550", OPEN_OK, COMMIT_OK, NULL },
	{ "BDAT, binary", HELLO "MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<u@our.test>\r\nBDAT 4 LAST\r\na\nb\n",
	    "250 250 250 250", OPEN_OK, COMMIT_OK, "a\nb\n" },
	{ "EHLO in a transaction", BEGIN HELLO "DATA\r\n", "250 250 250 250 503", OPEN_OK, COMMIT_OK, NULL },
	{ "a long line", "NOOP xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "\r\nNOOP\r\n", "500 250", OPEN_OK, COMMIT_OK, NULL },
};

/* Where a script has \1 the client waits for the reply: nothing further is sent before it. */
static void
play_script(struct play *p, const char *input, size_t piece)
{
	struct bytes rest = text(input);

	while (rest.n > 0)
		play_run(p, bytes_cut(&rest, '\1'), piece);
}

static void
test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(scripts); i++)
		for (size_t piece = 1; piece < 4096; piece = piece * 3 + 1) {
			struct play p;
			char got[256];

			play_init(&p);
			p.open = scripts[i].open;
			p.commit = scripts[i].commit;
			play_script(&p, scripts[i].input, piece);
			codes(buf_bytes(&p.out), got, sizeof got);
			if (strcmp(got, scripts[i].want) != 0)
				fail_msg("%s, pieces of %zu: %s, not %s", scripts[i].name, piece, got,
				    scripts[i].want);
			if (scripts[i].content != NULL
			    && !bytes_eq(buf_bytes(&p.all), text(scripts[i].content)))
				fail_msg("%s: content %.*s", scripts[i].name, BYTES_FMT(buf_bytes(&p.all)));
			play_fini(&p);
		}
}

static void
test_content_before_354(void **state)
{
	struct play p;
	char got[64];

	(void)state;
	play_init(&p);
	play_run(&p, text(BEGIN "DATA\r\nSubject: x\r\n"), 4096);
	codes(buf_bytes(&p.out), got, sizeof got);
	assert_string_equal(got, "250 250 250 554");
	assert_int_equal(p.opened, 0);
	play_fini(&p);
}

/* A message that is refused, and one whose client resets, leave no file. */
static void
test_files_are_abandoned(void **state)
{
	struct play p;

	(void)state;
	play_init(&p);
	play_script(&p, BEGIN "DATA\r\n\1a\nb\r\n.\r\n", 4096);
	assert_int_equal(p.opened, 1);
	assert_int_equal(p.abandoned, 1);
	play_script(&p, "MAIL FROM:<>\r\nRCPT TO:<u@our.test>\r\nBDAT 2\r\nabRSET\r\n", 4096);
	assert_int_equal(p.opened, 2);
	assert_int_equal(p.abandoned, 2);
	assert_int_equal(p.committed, 0);
	play_script(&p, "MAIL FROM:<>\r\nRCPT TO:<u@our.test>\r\nDATA\r\n\1a\r\n.\r\n", 4096);
	assert_int_equal(p.committed, 1);
	assert_int_equal(p.abandoned, 2);	/* it is cleanup's now */
	play_fini(&p);
}

static void
test_envelope(void **state)
{
	struct play p;
	const struct envelope *e;
	struct bytes in;

	(void)state;
	play_init(&p);
	play_script(&p, HELLO "MAIL FROM:<\"a b\"@c.test> RET=HDRS ENVID=x+2By BODY=8BITMIME\r\n"
	    "RCPT TO:<U@OUR.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;u@o.test\r\nDATA\r\n\1", 4096);
	in = text("Subject: x\r\nAuthentication-Results: mx.OUR.test; spf=pass\r\n\r\n.\r\n");
	assert_int_equal(smtp_server_input(&p.s, &in), SMTP_WANTS_COMMIT);
	e = smtp_server_envelope(&p.s, 1700000000);
	assert_true(bytes_eq(e->sender, text("\"a b\"@c.test")));
	assert_true(bytes_eq(e->envid, text("x+y")));
	assert_int_equal(e->ret, RET_HDRS);
	assert_int_equal(e->body, BODY_8BITMIME);
	assert_int_equal(e->nrcpts, 1);
	assert_true(bytes_eq(e->rcpts[0].original, text("U@our.test")));
	assert_int_equal(e->rcpts[0].notify, NOTIFY_FAILURE | NOTIFY_DELAY);
	assert_true(bytes_eq(e->rcpts[0].orcpt, text("rfc822;u@o.test")));
	assert_int_equal(e->nedits, 2);
	assert_int_equal(e->edits[0].op, EDIT_INSERT);
	assert_true(bytes_starts(e->edits[0].text, text("Received: from c.test")));
	assert_int_equal(e->edits[1].op, EDIT_DELETE);
	assert_int_equal(e->edits[1].offset, 12);
	assert_int_equal(e->edits[1].octets, 47);
	smtp_server_committed(&p.s, COMMIT_OK, text(NULL));
	play_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_content_before_354),
		cmocka_unit_test(test_files_are_abandoned),
		cmocka_unit_test(test_envelope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
