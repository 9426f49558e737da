/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/rfc5322_date.h"

static const struct { const char *value; bool ok; int64_t wall_s; int zone_min; } cases[] = {
	{ "Thu, 01 Jan 1970 00:00:00 +0000", true, 0, 0 },
	{ "Fri, 21 Nov 1997 09:55:06 -0600", true, 880127706, -360 },	/* RFC 5322 appendix A.1.1 */
	{ "21 Nov 97 09:55:06 GMT", true, 880106106, 0 },		/* appendix A.6.2 */
	{ "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", true, 880127706, -360 },	/* A.6.3 */
	{ "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
	    true, -27723480, -210 },					/* appendix A.5 */
	{ "Tue, 19 Jan 2038 03:14:08 +0000", true, 2147483648, 0 },
	{ "7 Feb 2106 06:28:16 Z", true, 4294967296, 0 },
	{ "31 Dec 9999 23:59:60 +0000", true, 253402300800, 0 },
	{ "29 Feb 2000 00:00 EST", true, 951800400, -300 },
	{ "1 Jan 49 00:00 +0000", true, 2493072000, 0 },
	{ "1 Jan 104 00:00 +0000", true, 1072915200, 0 },
	{ "1 Jan 2004 00:00", true, 1072915200, 0 },
	{ "29 Feb 1900 00:00 +0000", false, 0, 0 },
	{ "31 Apr 2000 00:00 +0000", false, 0, 0 },
	{ "0 Jan 2000 00:00 +0000", false, 0, 0 },
	{ "1 Foo 2000 00:00 +0000", false, 0, 0 },
	{ "1 Jan 2000 24:00 +0000", false, 0, 0 },
	{ "1 Jan 2000 00:60 +0000", false, 0, 0 },
	{ "1 Jan 2000 00:00:61 +0000", false, 0, 0 },
	{ "1 Jan 2000 00:00 +0060", false, 0, 0 },
	{ "1 Jan 2000 00:00 +000", false, 0, 0 },
	{ "1 Jan 2000 00:00 +0000 x", false, 0, 0 },
	{ "1 Jan 99999 00:00 +0000", false, 0, 0 },
	{ "Fri 21 Nov 1997 09:55:06 -0600", false, 0, 0 },
	{ "2026-11-23T08:08:07Z", false, 0, 0 },
	{ "", false, 0, 0 },
};

static void
test_dates(void **state)
{
	int64_t wall_s;
	int zone_min;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		wall_s = 0;
		zone_min = 0;
		assert_row_int(cases[i].value, rfc5322_date_parse(text(cases[i].value), &wall_s, &zone_min),
		    cases[i].ok);
		assert_row_int(cases[i].value, wall_s, cases[i].wall_s);
		assert_row_int(cases[i].value, zone_min, cases[i].zone_min);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_dates) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
