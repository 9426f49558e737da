/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mail/json.h"

static const struct { const char *text, *want; } cases[] = {
	{ "", "\"\"" },
	{ "abc", "\"abc\"" },
	{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
	{ "a\nb\tc\033[1m\177", "\"a\\nb\\u0009c\\u001b[1m\\u007f\"" },
	{ "\xc3\xa4", "\"\xc3\xa4\"" },
	{ "\xc2\x80\xc2\x9b\xc2\xa0", "\"\\u0080\\u009b\xc2\xa0\"" },	/* C1 controls */
	{ "\xe4", "\"\\u00e4\"" },			/* no UTF-8: all of it as Latin-1 */
};

static void
test_strings(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct buf b;

		buf_init(&b, 1024);
		json_string(&b, text(cases[i].text));
		buf_char(&b, '\0');
		assert_string_equal((char *)b.p, cases[i].want);
		buf_fini(&b);
	}
}

static void
test_object(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	buf_char(&b, '{');
	json_text(&b, "a", text("x"));
	json_number(&b, "b", UINT64_MAX);
	json_bool(&b, "c", true);
	buf_text(&b, "}");
	buf_char(&b, '\0');
	assert_string_equal((char *)b.p, "{\"a\":\"x\",\"b\":18446744073709551615,\"c\":true}");
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
