/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "auth/auth.h"

#define NOW	1764165600
#define ANNA	"{\"active\":true,\"email\":\"anna@x.test\",\"exp\":1764165610}"
#define EVER	"{\"active\":true,\"email\":\"bert@x.test\"}"

static struct tokens *
tokens(uint64_t cache_ms)
{
	static struct token_settings s = { "https://id.test/", 10000, { NULL, 0 }, "", "", "", 0, "", 0 };
	char why[256];
	struct tokens *t;

	s.cache_ms = cache_ms;
	assert_non_null(t = tokens_new(&s, why, sizeof why));
	return t;
}

static enum token_verdict
look(struct tokens *t, const char *token, int64_t now_s, uint64_t now_ms, const char *user)
{
	struct token_result r;

	tokens_look(t, text(token), now_s, now_ms, &r);
	if (r.verdict == TOKEN_GOOD)
		assert_true(bytes_eq(bytes_of(r.user, r.user_n), text(user)));
	return r.verdict;
}

static enum token_verdict
said(struct tokens *t, const char *token, const char *json, int64_t now_s, uint64_t now_ms)
{
	struct token_result r;

	tokens_said(t, text(token), text(json), now_s, now_ms, &r);
	assert_true(r.verdict == TOKEN_GOOD ? r.user_n > 0 : r.why != NULL);
	return r.verdict;
}

static void
test_remembered(void **state)
{
	struct tokens *t = tokens(60000);

	(void)state;
	assert_int_equal(look(t, "a", NOW, 1, NULL), TOKEN_ASK);
	assert_int_equal(said(t, "a", ANNA, NOW, 1), TOKEN_GOOD);
	assert_int_equal(look(t, "a", NOW + 9, 9001, "anna@x.test"), TOKEN_GOOD);
	assert_int_equal(look(t, "a", NOW + 10, 10001, NULL), TOKEN_ASK);	/* its own end */
	assert_int_equal(look(t, "aa", NOW, 1, NULL), TOKEN_ASK);
	assert_int_equal(said(t, "b", EVER, NOW, 1), TOKEN_GOOD);
	assert_int_equal(look(t, "b", NOW, 60000, "bert@x.test"), TOKEN_GOOD);
	assert_int_equal(look(t, "b", NOW, 60001, NULL), TOKEN_ASK);		/* oauth_cache_time */
	tokens_free(&t);
}

/* Not what is refused or broken, nor what is good for the leeway alone. */
static void
test_not_remembered(void **state)
{
	static const struct { const char *json; int64_t now_s; enum token_verdict want; } cases[] = {
		{ "{\"active\":false}", NOW, TOKEN_REFUSED }, { "{", NOW, TOKEN_BROKEN }, { ANNA, NOW + 10, TOKEN_GOOD },
		{ ANNA, NOW + 40, TOKEN_REFUSED } };
	struct tokens *t = tokens(60000);

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		assert_int_equal(said(t, "a", cases[i].json, cases[i].now_s, 1), cases[i].want);
		assert_int_equal(look(t, "a", cases[i].now_s, 1, NULL), TOKEN_ASK);
	}
	tokens_free(&t);
	t = tokens(0);
	assert_int_equal(said(t, "a", EVER, NOW, 1), TOKEN_GOOD);
	assert_int_equal(look(t, "a", NOW, 1, NULL), TOKEN_ASK);
	tokens_free(&t);
}

/* More than there is room for: some are forgotten, none is taken for another. */
static void
test_many(void **state)
{
	struct tokens *t = tokens(60000);
	char token[32], json[128], user[64];
	size_t kept = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(token, sizeof token, "token-%d", i);
		snprintf(json, sizeof json, "{\"active\":true,\"email\":\"user-%d\"}", i);
		assert_int_equal(said(t, token, json, NOW, 1), TOKEN_GOOD);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(token, sizeof token, "token-%d", i);
		snprintf(user, sizeof user, "user-%d", i);
		kept += look(t, token, NOW, 1, user) == TOKEN_GOOD;
	}
	assert_true(kept > 1000 && kept <= 2048);
	tokens_free(&t);
}

static void
test_none(void **state)
{
	struct tokens *t = tokens(60000);

	(void)state;
	assert_int_equal(look(t, "", NOW, 1, NULL), TOKEN_REFUSED);
	tokens_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remembered),
		cmocka_unit_test(test_not_remembered),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
