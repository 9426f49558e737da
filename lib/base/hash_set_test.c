/* SPDX-License-Identifier: ISC */
#include "base/hash_set.h"
#include "base/testing.h"

static void
test_set(void **state)
{
	struct hash_set s = { .n = 0 };
	char name[16];

	(void)state;
	assert_false(hash_set_has(&s, text("a")));
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 10000; i++) {
			snprintf(name, sizeof name, "id%d", i);
			assert_int_equal(hash_set_has(&s, text(name)), round == 1);
			assert_int_equal(hash_set_add(&s, text(name)), round == 0);
		}
	assert_int_equal(s.n, 10000);
	assert_false(hash_set_has(&s, text("id10000")) || hash_set_has(&s, text("")));
	assert_true(hash_set_add(&s, text("")) && hash_set_has(&s, text("")));
	hash_set_free(&s);
	assert_false(hash_set_has(&s, text("id1")));
	assert_true(hash_set_add(&s, text("id1")));
	hash_set_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_set) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
