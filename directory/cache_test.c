/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "directory/directory.h"

static void
test_times(void **state)
{
	struct cache *c = cache_new(60000);
	struct cached out, yes = { .verdict = YES, .row = text("state=active"), .dn = text("cn=a"), .disabled = true };

	(void)state;
	cache_put(c, text("a"), 1000, &yes);
	cache_put(c, text("b"), 1000, &(struct cached){ .verdict = NO });
	assert_true(cache_get(c, text("a"), 60999, &out));
	assert_int_equal(out.verdict, YES);
	assert_bytes_equal(out.row, text("state=active"));
	assert_bytes_equal(out.dn, text("cn=a"));
	assert_true(out.disabled);
	assert_true(cache_get(c, text("b"), 10999, &out));
	assert_int_equal(out.verdict, NO);
	assert_false(cache_get(c, text("b"), 11000, &out));
	assert_false(cache_get(c, text("c"), 1000, &out));
	assert_int_equal(cache_count(c), 1);
	assert_false(cache_get(c, text("a"), 61000, &out));
	assert_int_equal(cache_count(c), 0);
	cache_put(c, text("a"), 1000, &yes);
	cache_put(c, text("a"), 2000, &(struct cached){ .verdict = NO });	/* it is gone now */
	assert_true(cache_get(c, text("a"), 2000, &out));
	assert_int_equal(out.verdict, NO);
	assert_int_equal(cache_count(c), 1);
	cache_free(&c);
	assert_null(c);
}

static void
test_short_and_none(void **state)
{
	struct cache *c = cache_new(500);
	struct cached out;

	(void)state;
	cache_put(c, text("b"), 0, &(struct cached){ .verdict = NO });
	assert_true(cache_get(c, text("b"), 499, &out));
	assert_false(cache_get(c, text("b"), 500, &out));
	cache_free(&c);
	c = cache_new(0);
	cache_put(c, text("b"), 0, &(struct cached){ .verdict = NO });
	assert_false(cache_get(c, text("b"), 0, &out));
	cache_free(&c);
}

static void
test_full(void **state)
{
	struct cache *c = cache_new(60000);
	struct cached out;
	char name[16];

	(void)state;
	for (unsigned i = 0; i <= CACHE_ENTRIES; i++) {
		snprintf(name, sizeof name, "%u", i);
		cache_put(c, text(name), 0, &(struct cached){ .verdict = YES, .row = text(name) });
	}
	assert_int_equal(cache_count(c), CACHE_ENTRIES);
	assert_false(cache_get(c, text("0"), 0, &out));
	assert_true(cache_get(c, text("1"), 0, &out));
	assert_bytes_equal(out.row, text("1"));
	cache_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_times), cmocka_unit_test(test_short_and_none), cmocka_unit_test(test_full) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
