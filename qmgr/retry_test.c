/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "qmgr/retry.h"

static void
test_backoff(void **state)
{
	static const struct { uint32_t attempts; uint64_t least, most, want; } rows[] = {
		{ 1, 300000, 14400000, 300000 },
		{ 2, 300000, 14400000, 600000 },
		{ 4, 300000, 14400000, 2400000 },
		{ 7, 300000, 14400000, 14400000 },
		{ UINT32_MAX, 300000, 14400000, 14400000 },
		{ UINT32_MAX, 1, UINT64_MAX / 4, UINT64_MAX / 4 },
		{ 0, 300000, 14400000, 300000 },
		{ 1, 500, 100, 100 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_int_equal(retry_backoff_ms(rows[i].attempts, rows[i].least, rows[i].most, 0), rows[i].want);
		for (uint32_t chance = 1; chance < 5000; chance += 77) {
			uint64_t got = retry_backoff_ms(rows[i].attempts, rows[i].least, rows[i].most, chance);

			assert_true(got <= rows[i].want && got >= rows[i].want - rows[i].want / 8);
		}
	}
}

static void
test_clock_that_was_away(void **state)
{
	static const struct { int64_t last, now; bool sure; } rows[] = {
		{ 0, 1700000000, true },			/* first start */
		{ 1700000000, 1700000100, true },
		{ 1700000000, 1699999900, true },		/* a small step back */
		{ 1700000000, 1699913600, false },		/* a day back */
		{ 1700000000, 1700086400 + 1, false },		/* a day away */
		{ 1700000000, 4294967297, false },		/* 2106 */
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct clock_guard g;

		clock_guard_start(&g, rows[i].last, rows[i].now, 5000, 3600000);
		assert_int_equal(clock_guard_sure(&g, rows[i].now, 5000), rows[i].sure);
		assert_true(clock_guard_sure(&g, rows[i].now + 3600, 5000 + 3600000));
	}
}

static void
test_clock_that_jumps(void **state)
{
	static const int64_t jumps[] = { 86400, -86400, 447483646, 2594967295 };

	(void)state;
	for (size_t i = 0; i < LEN(jumps); i++) {
		struct clock_guard g;
		int64_t wall = 1700000000;

		clock_guard_start(&g, wall - 60, wall, 1000, 3600000);
		assert_int_equal(clock_guard_look(&g, wall += 60, 61000), 0);
		assert_true(clock_guard_sure(&g, wall, 61000));
		assert_true(clock_guard_sure(&g, wall + 59, 61000 + 59000));
		assert_false(clock_guard_sure(&g, wall + jumps[i], 61000 + 1000));	/* nobody has looked yet */
		assert_int_equal(clock_guard_look(&g, wall += 60 + jumps[i], 121000), jumps[i]);
		assert_false(clock_guard_sure(&g, wall, 121000));
		assert_int_equal(clock_guard_look(&g, wall += 60, 181000), 0);	/* the new time stands */
		assert_false(clock_guard_sure(&g, wall, 181000));
		assert_true(clock_guard_sure(&g, wall + 3540, 121000 + 3600000));
		assert_int_equal(clock_guard_look(&g, wall += 60 - jumps[i], 241000), -jumps[i]);
		assert_false(clock_guard_sure(&g, wall + 3480, 121000 + 3600000));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_clock_that_was_away),
		cmocka_unit_test(test_clock_that_jumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
