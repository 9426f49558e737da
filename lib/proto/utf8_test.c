/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/utf8.h"

static const struct { const char *s; size_t n; uint32_t c; } cases[] = {
	{ "a", 1, 'a' },
	{ "\x7f", 1, 0x7f },
	{ "\xc2\x80", 2, 0x80 },
	{ "\xdf\xbf", 2, 0x7ff },
	{ "\xe0\xa0\x80", 3, 0x800 },
	{ "\xed\x9f\xbf", 3, 0xd7ff },
	{ "\xee\x80\x80", 3, 0xe000 },
	{ "\xef\xbf\xbf", 3, 0xffff },
	{ "\xf0\x90\x80\x80", 4, 0x10000 },
	{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
	{ "", 0, 0 },
	{ "\x80", 0, 0 },
	{ "\xc0\x80", 0, 0 },			/* overlong NUL */
	{ "\xc1\xbf", 0, 0 },
	{ "\xe0\x9f\xbf", 0, 0 },
	{ "\xed\xa0\x80", 0, 0 },		/* surrogate */
	{ "\xf0\x8f\xbf\xbf", 0, 0 },
	{ "\xf4\x90\x80\x80", 0, 0 },
	{ "\xf5\x80\x80\x80", 0, 0 },
	{ "\xff", 0, 0 },
	{ "\xc2", 0, 0 },			/* truncated */
	{ "\xe1\x80", 0, 0 },
	{ "\xf1\x80\x80", 0, 0 },
	{ "\xc2" "a", 0, 0 },
	{ "\xe1\x80" "a", 0, 0 },
};

static void
test_characters(void **state)
{
	unsigned char put[4];
	uint32_t c;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		assert_row_int(cases[i].s, utf8_length(text(cases[i].s)), cases[i].n);
		assert_row_int(cases[i].s, utf8_take(text(cases[i].s), &c), cases[i].n);
		if (cases[i].n == 0)
			continue;
		assert_row_int(cases[i].s, c, cases[i].c);
		assert_row_int(cases[i].s, utf8_put(c, put), cases[i].n);
		assert_memory_equal(put, cases[i].s, cases[i].n);
	}
	assert_int_equal(utf8_put(0xd800, put), 0);
	assert_int_equal(utf8_put(0x110000, put), 0);
	assert_true(utf8_valid(text("a\xc3\xa9")));
	assert_false(utf8_valid(text("a\xc3")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_characters) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
