/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "mail/envelope.h"
#include "mail/segments.h"
#include "mail/take.h"
#include "proto/testing.h"

#define RECORDS_MAX (64u << 20)

static struct header_edit some_edits[] = {
	{ EDIT_INSERT, { 0 }, 0, 0, 0, { (const unsigned char *)"Received: a\r\n", 13 } },
	{ EDIT_DELETE, { (const unsigned char *)"Bcc", 3 }, 1, 10, 5, { 0 } },
	{ EDIT_REPLACE, { (const unsigned char *)"Date", 4 }, 1, 20, 10, { (const unsigned char *)"Date: x\r\n", 9 } },
};
static struct extent some_extents[] = { { 2048, 12 }, { 5000, 28 } };

/* Every field is set to something of its own. */
static struct envelope
full_envelope(struct recipient *rcpts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rcpts[i] = (struct recipient){ .original = text("o@x.example"), .final = text("f@x.example"),
		    .orcpt = text("rfc822;o@x.example"), .notify = NOTIFY_FAILURE | NOTIFY_DELAY,
		    .state = RCPT_FAILED, .attempts = 3, .last_s = 1234567890123, .last_reply = text("4.2.2 full"),
		    .uncertain = 2, .transport = text("local"), .nexthop = text("f"), .mailbox = text("maildir:/m"),
		    .uid = 70000, .gid = 70001, .remote = text("mx.example [192.0.2.9]:25"), .command = text("RCPT"),
		    .said = text("550 no\nnever") };
	return (struct envelope){ .sender = text("s@x.example"), .arrival_s = 5000000000, .expiry_s = 6000000000,
	    .body = BODY_BINARYMIME, .smtputf8 = 1, .requiretls = 1, .mt_priority = -9, .ret = RET_HDRS,
	    .envid = text("env"), .account = text("acc"), .client = text("192.0.2.1"), .client_name = text("c.example"),
	    .helo = text("helo"), .protocol = text("ESMTP"), .tls = text("TLSv1.3"), .origin = ORIGIN_NOTICE, .verdicts = text("spf=pass"),
	    .session = text("ses"), .journal = text("jou"), .hold_reason = text("why"), .attempts = 7,
	    .next_s = 1 << 30, .delay_told = 1, .extents = some_extents, .nextents = LEN(some_extents), .edits = some_edits,
	    .nedits = LEN(some_edits), .rcpts = rcpts, .nrcpts = n };
}

static void
same_recipient(const struct recipient *a, const struct recipient *b)
{
	assert_bytes_equal(a->original, b->original);
	assert_bytes_equal(a->final, b->final);
	assert_bytes_equal(a->orcpt, b->orcpt);
	assert_bytes_equal(a->last_reply, b->last_reply);
	assert_bytes_equal(a->transport, b->transport);
	assert_bytes_equal(a->nexthop, b->nexthop);
	assert_bytes_equal(a->mailbox, b->mailbox);
	assert_bytes_equal(a->remote, b->remote);
	assert_bytes_equal(a->command, b->command);
	assert_bytes_equal(a->said, b->said);
	assert_int_equal(a->notify, b->notify);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->attempts, b->attempts);
	assert_int_equal(a->uncertain, b->uncertain);
	assert_int_equal(a->last_s, b->last_s);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
}

static void
same_envelope(const struct envelope *a, const struct envelope *b)
{
	assert_bytes_equal(a->sender, b->sender);
	assert_bytes_equal(a->envid, b->envid);
	assert_bytes_equal(a->account, b->account);
	assert_bytes_equal(a->client, b->client);
	assert_bytes_equal(a->client_name, b->client_name);
	assert_bytes_equal(a->helo, b->helo);
	assert_bytes_equal(a->protocol, b->protocol);
	assert_bytes_equal(a->tls, b->tls);
	assert_bytes_equal(a->verdicts, b->verdicts);
	assert_bytes_equal(a->session, b->session);
	assert_bytes_equal(a->journal, b->journal);
	assert_bytes_equal(a->hold_reason, b->hold_reason);
	assert_bytes_equal(a->unknown, b->unknown);
	assert_int_equal(a->arrival_s, b->arrival_s);
	assert_int_equal(a->expiry_s, b->expiry_s);
	assert_int_equal(a->body, b->body);
	assert_int_equal(a->smtputf8, b->smtputf8);
	assert_int_equal(a->origin, b->origin);
	assert_int_equal(a->requiretls, b->requiretls);
	assert_int_equal(a->mt_priority, b->mt_priority);
	assert_int_equal(a->ret, b->ret);
	assert_int_equal(a->attempts, b->attempts);
	assert_int_equal(a->next_s, b->next_s);
	assert_int_equal(a->delay_told, b->delay_told);
	assert_int_equal(a->nextents, b->nextents);
	for (size_t i = 0; i < a->nextents; i++) {
		assert_int_equal(a->extents[i].offset, b->extents[i].offset);
		assert_int_equal(a->extents[i].octets, b->extents[i].octets);
	}
	assert_int_equal(a->nedits, b->nedits);
	for (size_t i = 0; i < a->nedits; i++) {
		assert_int_equal(a->edits[i].op, b->edits[i].op);
		assert_int_equal(a->edits[i].nth, b->edits[i].nth);
		assert_int_equal(a->edits[i].offset, b->edits[i].offset);
		assert_int_equal(a->edits[i].octets, b->edits[i].octets);
		assert_bytes_equal(a->edits[i].name, b->edits[i].name);
		assert_bytes_equal(a->edits[i].text, b->edits[i].text);
	}
	assert_int_equal(a->nrcpts, b->nrcpts);
	for (size_t i = 0; i < a->nrcpts; i++)
		same_recipient(&a->rcpts[i], &b->rcpts[i]);
}

static void
test_round_trip(void **state)
{
	static struct recipient rcpts[50000];
	static const size_t counts[] = { 0, 1, 2, 50000 };

	(void)state;
	for (size_t i = 0; i < LEN(counts); i++) {
		struct envelope e = full_envelope(rcpts, counts[i]), got;
		struct arena *a = arena_new(ENVELOPE_ARENA);
		struct buf b;

		buf_init(&b, RECORDS_MAX);
		envelope_encode(&e, &b);
		assert_false(b.full);
		assert_true(envelope_decode(buf_bytes(&b), a, &got));
		same_envelope(&e, &got);
		assert_false(got.unknown_critical);
		buf_fini(&b);
		arena_free(&a);
	}
}

static void
test_empty(void **state)
{
	struct envelope e = { 0 }, got;
	struct arena *a = arena_new(ENVELOPE_ARENA);
	struct buf b;

	(void)state;
	buf_init(&b, RECORDS_MAX);
	envelope_encode(&e, &b);
	assert_true(envelope_decode(buf_bytes(&b), a, &got));
	same_envelope(&e, &got);
	buf_fini(&b);
	arena_free(&a);
}

/* Old records and changes together are the new envelope. */
static void
test_changes(void **state)
{
	struct recipient rcpts[6];
	struct envelope e = full_envelope(rcpts, 5), got;
	struct arena *a = arena_new(ENVELOPE_ARENA);
	struct buf b;

	(void)state;
	buf_init(&b, RECORDS_MAX);
	envelope_encode(&e, &b);
	e.attempts++;
	e.next_s += 600;
	e.hold_reason = text("");
	rcpts[1].state = RCPT_DELIVERED;
	rcpts[1].last_reply = text("2.0.0 fine");
	rcpts[1].remote = rcpts[1].command = rcpts[1].said = text("");	/* the last time, nobody said anything */
	rcpts[1].changed = RCPT_STATE_CHANGED;
	rcpts[4].final = text("elsewhere@x.example");
	rcpts[4].changed = RCPT_CHANGED;
	rcpts[5] = rcpts[4];
	rcpts[5].final = text("too@x.example");
	e.nrcpts = 6;
	envelope_encode_changes(&e, &b);
	assert_int_equal(rcpts[4].changed, RCPT_SAME);
	assert_true(envelope_decode(buf_bytes(&b), a, &got));
	same_envelope(&e, &got);
	buf_fini(&b);
	arena_free(&a);
}

static void
test_unknown_records(void **state)
{
	static const struct { uint16_t type, flags; bool critical; } rows[] = {
		{ 999, 0, false }, { 999, ENVELOPE_CRITICAL, true }, { 1, 2, true }, { 0, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct recipient rcpts[1];
		struct envelope e = full_envelope(rcpts, 1), got, again;
		struct arena *a = arena_new(ENVELOPE_ARENA);
		struct buf b, copy;

		buf_init(&b, RECORDS_MAX);
		buf_init(&copy, RECORDS_MAX);
		buf_u16(&b, rows[i].type);
		buf_u16(&b, rows[i].flags);
		buf_u32(&b, 3);
		buf_text(&b, "new");
		envelope_encode(&e, &b);
		assert_true(envelope_decode(buf_bytes(&b), a, &got));
		assert_int_equal(got.unknown.n, 11);
		assert_int_equal(got.unknown_critical, rows[i].critical);
		envelope_encode(&got, &copy);		/* kept as it is */
		assert_true(envelope_decode(buf_bytes(&copy), a, &again));
		assert_bytes_equal(again.unknown, got.unknown);
		buf_fini(&copy);
		buf_fini(&b);
		arena_free(&a);
	}
}

/* Cut anywhere but between records: malformed. */
static void
test_cut(void **state)
{
	struct recipient rcpts[2];
	struct envelope e = full_envelope(rcpts, 2), got;
	struct arena *a = arena_new(ENVELOPE_ARENA);
	struct buf b;
	size_t edge = 0;

	(void)state;
	buf_init(&b, RECORDS_MAX);
	envelope_encode(&e, &b);
	for (size_t n = 0; n < b.n; n++) {
		struct bytes head = bytes_skip(bytes_head(buf_bytes(&b), edge + 8), edge + 4);
		bool bad = false;

		assert_int_equal(envelope_decode(bytes_head(buf_bytes(&b), n), a, &got), n == edge);
		if (n == edge + 8)
			edge += 8 + take_u32(&head, &bad);
		arena_reset(a);
	}
	buf_fini(&b);
	arena_free(&a);
}

static void
test_limits(void **state)
{
	static struct recipient rcpts[ENVELOPE_RCPTS + 1];
	struct envelope e = { .rcpts = rcpts, .nrcpts = LEN(rcpts) }, got;
	struct arena *a = arena_new(ENVELOPE_ARENA);
	struct buf b;

	(void)state;
	buf_init(&b, RECORDS_MAX);
	envelope_encode(&e, &b);
	assert_false(b.full);
	assert_false(envelope_decode(buf_bytes(&b), a, &got));
	buf_fini(&b);
	arena_free(&a);
}

/* Content "AAAAAAAAAABBBBBCCCCCDDDDDDDDDDEEEEEEEEEE": inserts, then 0-10, 15-20, replacement, 30-40. */
static void
test_segments(void **state)
{
	static const struct { bool file; uint64_t offset, octets; } want[] = {
		{ false, 0, 13 }, { true, 2048, 10 }, { true, 5003, 5 }, { false, 0, 9 }, { true, 5018, 10 },
	};
	struct recipient rcpts[1];
	struct envelope e = full_envelope(rcpts, 1);
	struct bytes run;
	struct segment s;
	struct buf b;
	bool bad = false;

	(void)state;
	buf_init(&b, 4096);
	assert_true(envelope_segments(&e, &b));
	run = buf_bytes(&b);
	for (size_t i = 0; i < LEN(want); i++) {
		assert_true(segments_next(&run, &s, &bad));
		assert_int_equal(s.file, want[i].file);
		assert_int_equal(s.octets, want[i].octets);
		if (s.file)
			assert_int_equal(s.offset, want[i].offset);
	}
	assert_int_equal(run.n, 0);
	buf_fini(&b);
}

static void
test_segments_that_do_not_fit(void **state)
{
	static const struct { uint64_t offset, octets; } rows[] = {
		{ 41, 0 }, { 40, 1 }, { 0, 41 }, { UINT64_MAX, 1 }, { 1, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct header_edit d = { .op = EDIT_DELETE, .offset = rows[i].offset, .octets = rows[i].octets };
		struct envelope e = { .extents = some_extents, .nextents = 2, .edits = &d, .nedits = 1 };
		struct header_edit twice[] = { { .op = EDIT_DELETE, .offset = 5, .octets = 5 },
		    { .op = EDIT_DELETE, .offset = 9, .octets = 2 } };
		struct buf b;

		buf_init(&b, 4096);
		assert_false(envelope_segments(&e, &b));
		e.edits = twice;
		e.nedits = 2;
		assert_false(envelope_segments(&e, &b));
		buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_unknown_records),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_segments_that_do_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
