/* SPDX-License-Identifier: ISC */
#include <time.h>

#include "base/clock.h"
#include "base/testing.h"

static void
test_dates(void **state)
{
	static const struct { const char *zone; int64_t t; const char *want; } cases[] = {
		{ "UTC",		0,		"Thu, 1 Jan 1970 00:00:00 +0000" },
		{ "UTC",		-1,		"Wed, 31 Dec 1969 23:59:59 +0000" },
		{ "XXX-1",		1795421287,	"Mon, 23 Nov 2026 09:08:07 +0100" },
		{ "XXX5:30",		1795421287,	"Mon, 23 Nov 2026 02:38:07 -0530" },
		{ "XXX0:30",		1795421287,	"Mon, 23 Nov 2026 07:38:07 -0030" },
		{ "XXX-14",		1795421287,	"Mon, 23 Nov 2026 22:08:07 +1400" },
		{ "UTC",		2147483647,	"Tue, 19 Jan 2038 03:14:07 +0000" },
		{ "UTC",		2147483648,	"Tue, 19 Jan 2038 03:14:08 +0000" },
		{ "UTC",		4294967296,	"Sun, 7 Feb 2106 06:28:16 +0000" },
		{ "UTC",		32503680000,	"Wed, 1 Jan 3000 00:00:00 +0000" },
		{ "UTC",		INT64_MAX,	"Thu, 30 Dec 9999 23:59:59 +0000" },
		{ "XXX-24",		INT64_MAX,	"Fri, 31 Dec 9999 23:59:59 +2400" },
		{ "UTC",		INT64_MIN,	"Tue, 2 Jan 0001 00:00:00 +0000" },
	};
	char got[CLOCK_DATE_MAX];

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		setenv("TZ", cases[i].zone, 1);
		clock_open();
		assert_string_equal(clock_date(cases[i].t, got), cases[i].want);
	}
}

static void
test_stamps(void **state)
{
	static const struct { int64_t t; const char *want; } cases[] = {
		{ 0,			"1970-01-01T00:00:00.000000Z" },
		{ -1,			"1969-12-31T23:59:59.999999Z" },
		{ -1000000,		"1969-12-31T23:59:59.000000Z" },
		{ 1795421287123456,	"2026-11-23T08:08:07.123456Z" },
		{ INT64_MAX,		"9999-12-30T23:59:59.775807Z" },
	};
	char got[CLOCK_DATE_MAX];

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		assert_string_equal(clock_stamp(cases[i].t, got), cases[i].want);
}

static void
test_clocks(void **state)
{
	uint64_t before = clock_mono_ms();
	int64_t wall = clock_wall_s();

	(void)state;
	assert_true(clock_mono_ms() >= before);
	assert_true(clock_wall_us() / 1000000 - wall <= 1);
	assert_true(time(NULL) - wall <= 1);
	assert_true(clock_mono_us() / 1000 >= before);
	before = clock_mono_us();
	clock_sleep_until(before + 1500);
	assert_true(clock_mono_us() >= before + 1500);
	clock_sleep_until(0);				/* is over */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
