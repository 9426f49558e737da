/* SPDX-License-Identifier: ISC */
#include "cleanup/cleanup.h"
#include "proto/testing.h"

#define CONTENT_OCTETS 100
#define NOW 1700000000

/* One fault each, put into an envelope that is fine. */
enum fault {
	NONE, NO_RCPT, SENDER_CR, SENDER_LONG, FINAL_EMPTY, FINAL_LF, ORIGINAL_NUL, TRANSPORT_EMPTY, NEXTHOP_LONG,
	MAILBOX_CONTROL, HELO_LF, ENVID_LF, EDIT_PAST, EDIT_WRAPS, EDITS_CROSS, INSERT_BARE_LF, INSERT_EMPTY_LINE,
	INSERT_NO_END, INSERT_NO_COLON, INSERT_CONTINUES, INSERT_NUL, INSERT_EMPTY, TOO_MUCH_TEXT, UNKNOWN, FAULTS
};

static char long_text[60000];

static void
put_fault(enum fault f, struct envelope *e, struct recipient *r, struct header_edit *d)
{
	switch (f) {
	case NO_RCPT:		e->nrcpts = 0; break;
	case SENDER_CR:		e->sender = text("a\r@x"); break;
	case SENDER_LONG:	e->sender = bytes_of(long_text, 1025); break;
	case FINAL_EMPTY:	r->final = text(""); break;
	case FINAL_LF:		r->final = text("a\n@x"); break;
	case ORIGINAL_NUL:	r->original = OCTETS("a\0b"); break;
	case TRANSPORT_EMPTY:	r->transport = text(""); break;
	case NEXTHOP_LONG:	r->nexthop = bytes_of(long_text, 321); break;
	case MAILBOX_CONTROL:	r->mailbox = text("maildir:/m\x7f"); break;
	case HELO_LF:		e->helo = text("x\ny"); break;
	case ENVID_LF:		e->envid = text("x\ny"); break;
	case EDIT_PAST:		d[1].octets = CONTENT_OCTETS; break;
	case EDIT_WRAPS:	d[1].octets = UINT64_MAX; break;
	case EDITS_CROSS:	d[2].offset = 11; break;
	case INSERT_BARE_LF:	d[0].text = text("A: b\nC: d\r\n"); break;
	case INSERT_EMPTY_LINE:	d[0].text = text("A: b\r\n\r\n"); break;
	case INSERT_NO_END:	d[0].text = text("A: b"); break;
	case INSERT_NO_COLON:	d[0].text = text("A b\r\n"); break;
	case INSERT_CONTINUES:	d[0].text = text(" A: b\r\n"); break;
	case INSERT_NUL:	d[0].text = OCTETS("A: \0\r\n"); break;
	case INSERT_EMPTY:	d[0].text = text(""); break;
	case TOO_MUCH_TEXT:	d[0].text = bytes_of(long_text, 50000); break;
	case UNKNOWN:		e->unknown = OCTETS("\xe7\x03\0\0\0\0\0\0"); break;
	default:		break;
	}
}

static void
test_faults(void **state)
{
	(void)state;
	memset(long_text, 'a', sizeof long_text);
	memcpy(long_text + 1, ": ", 2);
	memcpy(long_text + 49998, "\r\n", 2);
	for (enum fault f = NONE; f < FAULTS; f++) {
		struct recipient r = { .original = text("A@x.example"), .final = text("a@x.example"),
		    .transport = text("local"), .nexthop = text("a@x.example"), .mailbox = text("maildir:/m"),
		    .state = RCPT_DELIVERED, .attempts = 5, .last_reply = text("x"), .remote = text("x"),
		    .command = text("x"), .said = text("x") };
		struct header_edit d[] = {
			{ .op = EDIT_INSERT, .text = text("Received: by x\r\n\tfor y\r\nX: y\r\n") },
			{ .op = EDIT_DELETE, .offset = 10, .octets = 5 },
			{ .op = EDIT_REPLACE, .offset = 15, .octets = 85, .text = text("A: b\r\n") },
		};
		struct envelope e = { .sender = text("s@x.example"), .helo = text("h"), .rcpts = &r, .nrcpts = 1,
		    .edits = d, .nedits = 3, .attempts = 9, .next_s = 5, .delay_told = 1, .hold_reason = text("x") }, got;
		struct arena *a = arena_new(ENVELOPE_ARENA);
		struct buf b;
		const char *wrong;

		put_fault(f, &e, &r, d);
		buf_init(&b, ENVELOPE_MAX);
		envelope_encode(&e, &b);
		wrong = check_envelope("smtpd", buf_bytes(&b), CONTENT_OCTETS, NOW, a, &got);
		if ((wrong == NULL) != (f == NONE))
			fail_msg("fault %d: %s", f, wrong ? wrong : "not seen");
		if (f == NONE) {	/* what only the queue may say */
			assert_int_equal(got.arrival_s, NOW);
			assert_int_equal(got.attempts, 0);
			assert_int_equal(got.next_s, 0);
			assert_int_equal(got.delay_told, 0);
			assert_int_equal(got.hold_reason.n, 0);
			assert_int_equal(got.rcpts[0].remote.n + got.rcpts[0].command.n + got.rcpts[0].said.n, 0);
			assert_int_equal(got.rcpts[0].state, RCPT_WAITING);
			assert_int_equal(got.rcpts[0].attempts, 0);
			assert_int_equal(got.rcpts[0].last_reply.n, 0);
		}
		buf_fini(&b);
		arena_free(&a);
	}
}

static void
test_origin(void **state)
{
	static const struct { const char *peer, *sender; enum origin said; bool fine; enum origin want; } rows[] = {
		{ "smtpd", "s@x.example", ORIGIN_CLIENT, true, ORIGIN_CLIENT },
		{ "smtpd", "", ORIGIN_NOTICE_POSTMASTER, true, ORIGIN_CLIENT },
		{ "smtpd", "s@x.example", ORIGIN_LOCAL_USER, true, ORIGIN_CLIENT },
		{ "pickup", "s@x.example", ORIGIN_CLIENT, true, ORIGIN_LOCAL_USER },
		{ "pickup", "", ORIGIN_NOTICE, true, ORIGIN_LOCAL_USER },
		{ "bounce", "", ORIGIN_NOTICE, true, ORIGIN_NOTICE },
		{ "bounce", "", ORIGIN_NOTICE_POSTMASTER, true, ORIGIN_NOTICE_POSTMASTER },
		{ "bounce", "", ORIGIN_CLIENT, false, ORIGIN_CLIENT },
		{ "bounce", "s@x.example", ORIGIN_NOTICE, false, ORIGIN_CLIENT },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct recipient r = { .final = text("a@x.example"), .transport = text("local") };
		struct envelope e = { .sender = text(rows[i].sender), .origin = rows[i].said, .rcpts = &r, .nrcpts = 1 }, got;
		struct arena *a = arena_new(ENVELOPE_ARENA);
		struct buf b;
		const char *wrong;

		buf_init(&b, ENVELOPE_MAX);
		envelope_encode(&e, &b);
		wrong = check_envelope(rows[i].peer, buf_bytes(&b), CONTENT_OCTETS, NOW, a, &got);
		if ((wrong == NULL) != rows[i].fine)
			fail_msg("row %zu: %s", i, wrong ? wrong : "not seen");
		if (rows[i].fine)
			assert_int_equal(got.origin, rows[i].want);
		buf_fini(&b);
		arena_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
