/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "mail/queue_filter.h"

static void
test_patterns(void **state)
{
	static const struct { const char *pattern, *s; bool fits; } rows[] = {
		{ "", "", true }, { "", "a", false }, { "*", "", true }, { "*", "abc", true }, { "?", "", false },
		{ "?", "a", true }, { "?", "ab", false }, { "a*", "abc", true }, { "a*", "A", true }, { "a*", "ba", false },
		{ "*c", "abc", true }, { "*c", "abcd", false }, { "a*c", "ac", true }, { "a*c", "abbbc", true },
		{ "a*b*c", "axbxbxc", true }, { "a*b*c", "axcxb", false }, { "*@example.org", "anna@EXAMPLE.org", true },
		{ "***", "", true }, { "a**b", "ab", true }, { "?*?", "ab", true }, { "?*?", "a", false },
		{ "abc", "abcd", false }, { "abcd", "abc", false }, { "*aab", "aaaab", true }, { "a*a*a*a*b", "aaaaaaaaaaaaaaaa", false },
		{ "\xc3\xa4*", "\xc3\xa4nna", true },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		assert_row_int(rows[i].pattern, queue_pattern(text(rows[i].pattern), text(rows[i].s)), rows[i].fits);
	assert_true(queue_pattern(OCTETS("a?b"), OCTETS("a\0b")));
	assert_true(queue_pattern_plain(text("a@b")) && !queue_pattern_plain(text("a?")) && !queue_pattern_plain(text("*")));
}

/* One where each * is tried again and again: still soon. */
static void
test_a_pattern_that_takes_long(void **state)
{
	static unsigned char pattern[QUEUE_PATTERN_MAX], s[1 << 16];

	(void)state;
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[sizeof pattern - 1] = 'b';
	memset(s, 'a', sizeof s);
	for (int i = 0; i < 10; i++)
		assert_false(queue_pattern(bytes_of(pattern, sizeof pattern), bytes_of(s, sizeof s)));
}

static struct envelope
sample(void)
{
	static struct recipient rcpts[3];

	rcpts[0] = (struct recipient){ .original = text("team@x.example"), .final = text("anna@x.example"),
	    .nexthop = text("anna@x.example"), .last_reply = text("4.2.2 Mailbox full") };
	rcpts[1] = (struct recipient){ .original = text("bert@y.example"), .final = text("bert@y.example"),
	    .nexthop = text("y.example"), .last_reply = text("2.0.0 fine"), .state = RCPT_DELIVERED };
	rcpts[2] = (struct recipient){ .original = text("carl@z.example"), .final = text("carl@z.example"),
	    .nexthop = text("z.example"), .last_reply = text("5.1.1 unknown"), .state = RCPT_FAILED };
	return (struct envelope){ .sender = text("s@x.example"), .arrival_s = 1000, .rcpts = rcpts, .nrcpts = 3 };
}

static void
test_envelopes(void **state)
{
	static const struct { const char *what; struct queue_filter f; bool fits; } rows[] = {
#define P(s)	{ (const unsigned char *)(s), sizeof(s) - 1 }
		{ "nothing asked", { .older_s = 0 }, true },
		{ "sender", { .sender = P("s@*") }, true },
		{ "other sender", { .sender = P("t@*") }, false },
		{ "null sender", { .sender = P("<>") }, false },
		{ "final", { .recipient = P("anna@x.example") }, true },
		{ "original", { .recipient = P("team@x.example") }, true },
		{ "delivered", { .recipient = P("bert@y.example") }, false },
		{ "failed", { .recipient = P("carl@*") }, true },
		{ "domain", { .domain = P("X.example") }, true },
		{ "domain of one that is done", { .domain = P("y.example") }, false },
		{ "part of a domain", { .domain = P("example") }, false },
		{ "next hop", { .nexthop = P("anna@x.example") }, true },
		{ "next hop of one that failed", { .nexthop = P("z.example") }, false },
		{ "reason", { .reason = P("mailbox FULL") }, true },
		{ "reason of another", { .reason = P("unknown") }, true },
		{ "reason as a pattern", { .reason = P("4.2.2*") }, true },
		{ "a pattern must fit all of it", { .reason = P("Mail*") }, false },
		{ "reply of one that is done", { .reason = P("fine") }, false },
		{ "older", { .older_s = 99 }, true }, { "not older", { .older_s = 100 }, false },
		{ "younger", { .younger_s = 101 }, true }, { "not younger", { .younger_s = 100 }, false },
		{ "all at once", { .sender = P("s@*"), .recipient = P("anna*"), .domain = P("z.example"), .older_s = 1 }, true },
		{ "all but one", { .sender = P("s@*"), .recipient = P("anna*"), .domain = P("q.example") }, false },
#undef P
	};
	struct envelope e = sample();

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		assert_row_int(rows[i].what, queue_filter_envelope(&rows[i].f, &e, 1100), rows[i].fits);
	e.sender = (struct bytes){ 0 };
	assert_true(queue_filter_envelope(&(struct queue_filter){ .sender = text("<>") }, &e, 1100));
	e.hold_reason = text("look at this");
	assert_true(queue_filter_envelope(&(struct queue_filter){ .reason = text("AT") }, &e, 1100));
	e.arrival_s = 2000;		/* the clock was set back: it has no age */
	assert_false(queue_filter_envelope(&(struct queue_filter){ .older_s = 1 }, &e, 1100));
}

#define HASH "f91e4946"	/* of x.example */

static void
test_names(void **state)
{
	static const struct { const char *nexthop, *sender; unsigned places; enum queue_place place; const char *name;
		enum filter_name want; } rows[] = {
		{ "", "", 0, QUEUE_NEW, "ID", FILTER_YES },
		{ "", "a", 0, QUEUE_NEW, "ID", FILTER_MAYBE },
		{ "", "", 1u << QUEUE_HOLD, QUEUE_NEW, "ID", FILTER_NO },
		{ "", "", 1u << QUEUE_HOLD | 1u << QUEUE_NEW, QUEUE_NEW, "ID", FILTER_YES },
		{ "x.example", "", 0, QUEUE_NEW, "ID", FILTER_MAYBE },
		{ "x.example", "", 0, QUEUE_LATER, "00000000/ID-00000000", FILTER_NO },
		{ "x.example", "", 0, QUEUE_LATER, "00000000/ID-m", FILTER_MAYBE },
		{ "x.*", "", 0, QUEUE_LATER, "00000000/ID-00000000", FILTER_MAYBE },
		{ "x.example", "", 0, QUEUE_DOWN, "00000000/ID", FILTER_NO },
		{ "x.example", "", 0, QUEUE_LATER, "00000000/ID-" HASH, FILTER_YES },
		{ "x.example", "s", 0, QUEUE_LATER, "00000000/ID-" HASH, FILTER_MAYBE },
		{ "x.example", "", 0, QUEUE_DOWN, HASH "/ID", FILTER_YES },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct queue_filter f = { .nexthop = text(rows[i].nexthop), .sender = text(rows[i].sender), .places = rows[i].places };

		assert_row_int(rows[i].name, queue_filter_name(&f, rows[i].place, rows[i].name), rows[i].want);
	}
}

static void
test_places(void **state)
{
	static const struct { const char *words; bool good; unsigned places; } rows[] = {
		{ "hold", true, 1u << QUEUE_HOLD }, { "HELD", true, 1u << QUEUE_HOLD },
		{ "new,incoming", true, 1u << QUEUE_NEW }, { "deferred", true, 1u << QUEUE_LATER | 1u << QUEUE_DOWN },
		{ "active,later,corrupt", true, 1u << QUEUE_ACTIVE | 1u << QUEUE_LATER | 1u << QUEUE_CORRUPT },
		{ "", false, 0 }, { "hold,", true, 1u << QUEUE_HOLD }, { ",hold", false, 0 }, { "holdx", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		unsigned places = 0;

		assert_row_int(rows[i].words, queue_filter_places(text(rows[i].words), &places), rows[i].good);
		assert_row_int(rows[i].words, places, rows[i].places);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns), cmocka_unit_test(test_a_pattern_that_takes_long),
		cmocka_unit_test(test_envelopes), cmocka_unit_test(test_names), cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
