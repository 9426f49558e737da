/* SPDX-License-Identifier: ISC */
/* What several processes want to know has a row in the table of each: all of them say the same. */
#include "base/testing.h"
#include "master/tables.h"

static bool
same_words(const char *const *a, const char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	while (*a && *b && strcmp(*a, *b) == 0)
		a++, b++;
	return *a == *b;		/* both at the end */
}

static void
check_row(const struct setting *a, const struct setting *b)
{
	assert_row_int(a->name, a->type, b->type);
	assert_row_bytes(a->name, text(a->standard), text(b->standard));
	assert_row_int(a->name, a->least, b->least);
	assert_row_int(a->name, a->most, b->most);
	assert_row_int(a->name, same_words(a->words, b->words), true);
	/* One of them may leave the look to the other: a value is right when it is so for all tables. */
	assert_row_int(a->name, a->check == b->check || a->check == NULL || b->check == NULL, true);
}

static void
test_rows_of_one_name(void **state)
{
	unsigned pairs = 0;

	(void)state;
	for (size_t i = 0; all_settings[i]; i++)
		for (const struct setting *s = all_settings[i]; s->name; s++)
			for (size_t k = i + 1; all_settings[k]; k++) {
				const struct setting *other = settings_find(all_settings[k], s->name);

				if (other) {
					check_row(s, other);
					pairs++;
				}
			}
	assert_true(pairs > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows_of_one_name) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
