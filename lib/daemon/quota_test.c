/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/quota.h"
#include "daemon/tally.h"

#define HOUR_MS (QUOTA_HOUR_S * 1000u)

static struct quota_answer
taken(struct quota *q, const char *account, bool first_of_message, uint64_t now_ms)
{
	return quota_take(q, text(account), first_of_message, now_ms);
}

static void
test_messages(void **state)
{
	const struct quota_limits limits = { .messages = 2 };
	struct quota *q = quota_new(&limits, -1);
	struct quota_answer a;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)		/* of recipients there is no limit */
		assert_int_equal(taken(q, "anna", i == 0, 500).verdict, QUOTA_FINE);
	assert_int_equal(taken(q, "anna", true, 600000).verdict, QUOTA_FINE);
	a = taken(q, "anna", true, 600000);
	assert_int_equal(a.verdict, QUOTA_MESSAGES);
	assert_int_equal(a.left_s, 3000);
	assert_true(a.first);
	a = taken(q, "anna", true, HOUR_MS - 1);
	assert_int_equal(a.verdict, QUOTA_MESSAGES);
	assert_int_equal(a.left_s, 1);
	assert_false(a.first);
	assert_int_equal(taken(q, "anna", false, HOUR_MS - 1).verdict, QUOTA_FINE);	/* more of one that was begun */
	assert_int_equal(taken(q, "bert", true, HOUR_MS - 1).verdict, QUOTA_FINE);
	assert_int_equal(taken(q, "anna", true, HOUR_MS).verdict, QUOTA_FINE);	/* another hour */
	assert_int_equal(taken(q, "anna", true, HOUR_MS).verdict, QUOTA_FINE);
	a = taken(q, "anna", true, HOUR_MS);
	assert_int_equal(a.verdict, QUOTA_MESSAGES);
	assert_int_equal(a.left_s, QUOTA_HOUR_S);
	assert_true(a.first);
	quota_free(&q);
	assert_null(q);
	quota_free(&q);
}

/* What take would say, and what is counted: at the limit, one past it, and when the hour is over. */
static void
test_look(void **state)
{
	const struct quota_limits limits = { .messages = 2, .recipients = 3 };
	struct quota *q = quota_new(&limits, -1);
	struct quota_count messages, recipients;
	struct quota_answer a;
	char words[QUOTA_WORDS];

	(void)state;
	quota_counts(q, text("anna"), 0, &messages, &recipients);
	assert_true(messages.n == 0 && messages.limit == 2 && messages.left_s == 0 && recipients.n == 0 && recipients.limit == 3);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned look = 0; look < 5; look++)
			assert_int_equal(quota_look(q, text("anna"), true, 0).verdict, QUOTA_FINE);
		assert_int_equal(taken(q, "anna", true, 0).verdict, QUOTA_FINE);
	}
	assert_int_equal(quota_look(q, text("anna"), false, 0).verdict, QUOTA_FINE);
	a = quota_look(q, text("anna"), true, 61000);
	assert_int_equal(a.verdict, QUOTA_MESSAGES);
	assert_int_equal(a.left_s, QUOTA_HOUR_S - 61);
	quota_words(q, &a, words);
	assert_string_equal(words, "4.7.1 you have sent 2 messages within an hour, and no account may send more; try again in 59 min");
	assert_int_equal(taken(q, "anna", false, 0).verdict, QUOTA_FINE);
	assert_int_equal(taken(q, "anna", false, 0).verdict, QUOTA_RECIPIENTS);
	a = quota_look(q, text("anna"), false, 0);
	assert_int_equal(a.verdict, QUOTA_RECIPIENTS);
	quota_words(q, &a, words);
	assert_string_equal(words, "4.7.1 you have sent to 3 recipients within an hour, and no account may send more; try again in 60 min");
	quota_counts(q, text("anna"), 1000, &messages, &recipients);
	assert_true(messages.n == 2 && recipients.n == 3 && recipients.left_s == QUOTA_HOUR_S - 1);
	quota_counts(q, text("anna"), HOUR_MS, &messages, &recipients);
	assert_true(messages.n == 0 && recipients.n == 0 && recipients.left_s == 0);
	assert_int_equal(quota_look(q, text("anna"), true, HOUR_MS).verdict, QUOTA_FINE);
	quota_free(&q);
}

static void
test_recipients(void **state)
{
	const struct quota_limits limits = { .messages = 2, .recipients = 3 };
	struct quota *q = quota_new(&limits, -1);

	(void)state;
	assert_int_equal(taken(q, "anna", true, 0).verdict, QUOTA_FINE);
	assert_int_equal(taken(q, "anna", false, 0).verdict, QUOTA_FINE);
	assert_int_equal(taken(q, "anna", false, 0).verdict, QUOTA_FINE);
	assert_int_equal(taken(q, "anna", false, 0).verdict, QUOTA_RECIPIENTS);
	assert_int_equal(taken(q, "anna", true, 0).verdict, QUOTA_RECIPIENTS);	/* which counts no message */
	quota_give_back(q, text("anna"), false);	/* out of the mark that it was said */
	quota_give_back(q, text("anna"), false);
	assert_int_equal(taken(q, "anna", true, 0).verdict, QUOTA_FINE);
	assert_int_equal(taken(q, "anna", true, 0).verdict, QUOTA_RECIPIENTS);
	quota_free(&q);
}

/* A message that is refused counts no recipient; what is given back is as if it had not been. */
static void
test_given_back(void **state)
{
	const struct quota_limits limits = { .messages = 1, .recipients = 2 };
	struct quota *q = quota_new(&limits, -1);

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(taken(q, "anna", true, 0).verdict, QUOTA_FINE);
		quota_give_back(q, text("anna"), true);
	}
	assert_int_equal(taken(q, "anna", true, 0).verdict, QUOTA_FINE);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(taken(q, "anna", true, 0).verdict, QUOTA_MESSAGES);
	assert_int_equal(taken(q, "anna", false, 0).verdict, QUOTA_FINE);
	assert_int_equal(taken(q, "anna", false, 0).verdict, QUOTA_RECIPIENTS);
	quota_give_back(q, text("nobody"), true);
	quota_free(&q);
}

static void
test_no_limits(void **state)
{
	const struct quota_limits limits = { 0 };
	struct quota *q = quota_new(&limits, -1);

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(taken(q, "anna", true, 0).verdict, QUOTA_FINE);
	quota_give_back(q, text("anna"), true);
	quota_free(&q);
}

/* Of two workers, and of the next generation's with other limits. */
static void
test_shared(void **state)
{
	const struct quota_limits limits = { .messages = 2 }, more = { .messages = 5 }, less = { .messages = 1 };
	int fd = tallies_share(QUOTA_TALLIES);
	struct quota *one = quota_new(&limits, fd), *two = quota_new(&limits, fd), *next;

	(void)state;
	assert_int_equal(taken(one, "anna", true, 0).verdict, QUOTA_FINE);
	assert_int_equal(taken(two, "anna", true, 0).verdict, QUOTA_FINE);
	assert_true(taken(one, "anna", true, 0).first);
	assert_false(taken(two, "anna", true, 0).first);
	next = quota_new(&less, fd);
	assert_int_equal(taken(next, "anna", true, 0).verdict, QUOTA_MESSAGES);
	quota_free(&next);
	next = quota_new(&more, fd);
	assert_int_equal(taken(next, "anna", true, 0).verdict, QUOTA_FINE);
	quota_free(&next);
	quota_free(&one);
	quota_free(&two);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_look),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_no_limits),
		cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
