/* SPDX-License-Identifier: ISC */
#include "base/testing.h"

static void
test_compare(void **state)
{
	static const struct { const char *a, *b; bool eq, case_eq, starts, case_starts, ends; int cmp; } cases[] = {
		{ "",		"",		true, true, true, true, true, 0 },
		{ "a",		"",		false, false, true, true, true, 1 },
		{ "",		"a",		false, false, false, false, false, -1 },
		{ "abc",	"abc",		true, true, true, true, true, 0 },
		{ "aBc",	"AbC",		false, true, false, true, false, 1 },
		{ "abcd",	"ab",		false, false, true, true, false, 1 },
		{ "abcd",	"CD",		false, false, false, false, false, 1 },
		{ "abcd",	"cd",		false, false, false, false, true, -1 },
		{ "\xc3\xa4",	"\xc3\x84",	false, false, false, false, false, 1 },	/* ASCII's case only */
		{ "[",		"{",		false, false, false, false, false, -1 },
		{ "@",		"`",		false, false, false, false, false, -1 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct bytes a = text(cases[i].a), b = text(cases[i].b);
		int cmp = bytes_cmp(a, b);

		assert_row_int(cases[i].a, bytes_eq(a, b), cases[i].eq);
		assert_row_int(cases[i].a, bytes_eq_secret(a, b), cases[i].eq);
		assert_row_int(cases[i].a, bytes_case_eq(a, b), cases[i].case_eq);
		assert_row_int(cases[i].a, bytes_starts(a, b), cases[i].starts);
		assert_row_int(cases[i].a, bytes_case_starts(a, b), cases[i].case_starts);
		assert_row_int(cases[i].a, bytes_ends(a, b), cases[i].ends);
		assert_row_int(cases[i].a, (cmp > 0) - (cmp < 0), cases[i].cmp);
	}
	assert_true(bytes_eq(text(NULL), text("")));
	assert_true(bytes_starts(text(NULL), text(NULL)));
	assert_int_equal(bytes_cmp(text(NULL), text("")), 0);
}

static void
test_cut(void **state)
{
	static const struct { const char *in, *head, *rest; } cases[] = {
		{ "a:b:c",	"a",	"b:c" },
		{ "abc",	"abc",	"" },
		{ ":b",		"",	"b" },
		{ "a:",		"a",	"" },
		{ "",		"",	"" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct bytes rest = text(cases[i].in);

		assert_row_bytes(cases[i].in, bytes_cut(&rest, ':'), text(cases[i].head));
		assert_row_bytes(cases[i].in, rest, text(cases[i].rest));
	}
	assert_int_equal(bytes_find(text("abca"), 'a'), 0);
	assert_int_equal(bytes_rfind(text("abca"), 'a'), 3);
	assert_int_equal(bytes_find(text("abca"), 'x'), 4);
	assert_int_equal(bytes_rfind(text("abca"), 'x'), 4);
	assert_int_equal(bytes_find(text(NULL), 'x'), 0);
	assert_int_equal(bytes_find(OCTETS("a\0b"), 'b'), 2);
	assert_bytes_equal(bytes_skip(text("abc"), 2), text("c"));
	assert_bytes_equal(bytes_skip(text("abc"), 9), text(""));
	assert_bytes_equal(bytes_skip(text(NULL), 9), text(""));
	assert_bytes_equal(bytes_head(text("abc"), 2), text("ab"));
	assert_bytes_equal(bytes_head(text("abc"), 9), text("abc"));
	assert_bytes_equal(bytes_trim(text(" \t\r\n a b\r\n")), text("a b"));
	assert_bytes_equal(bytes_trim(text(" \t ")), text(""));
	assert_bytes_equal(bytes_trim(text(NULL)), text(""));
}

static void
test_u64(void **state)
{
	static const struct { const char *in; uint64_t max; bool want; uint64_t value; } cases[] = {
		{ "0",				9, true, 0 },
		{ "9",				9, true, 9 },
		{ "10",				9, false, 0 },
		{ "007",			9, true, 7 },
		{ "",				9, false, 0 },
		{ "-1",				9, false, 0 },
		{ "+1",				9, false, 0 },
		{ " 1",				9, false, 0 },
		{ "1x",				9, false, 0 },
		{ "18446744073709551615",	UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616",	UINT64_MAX, false, 0 },
		{ "99999999999999999999",	UINT64_MAX, false, 0 },
		{ "0",				0, true, 0 },
		{ "1",				0, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		uint64_t v = 77;

		assert_row_int(cases[i].in, bytes_u64(text(cases[i].in), cases[i].max, &v), cases[i].want);
		assert_row_int(cases[i].in, v, cases[i].want ? cases[i].value : 77);
	}
}

static void
test_bare_lfs(void **state)
{
	static const struct { const char *in; size_t want; } cases[] = {
		{ "", 0 }, { "a", 0 }, { "\n", 1 }, { "\r\n", 0 }, { "\r", 0 }, { "\n\r\n\n", 2 },
		{ "a\nb\r\nc\n\r", 2 }, { "\r\r\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		assert_row_int(cases[i].in, bytes_bare_lfs(text(cases[i].in)), cases[i].want);
	assert_int_equal(bytes_bare_lfs(bytes_of(NULL, 0)), 0);
}

static void
test_to_text(void **state)
{
	char dst[4] = "xxx";

	(void)state;
	assert_true(bytes_to_text(text("abc"), dst, sizeof dst));
	assert_string_equal(dst, "abc");
	assert_false(bytes_to_text(text("abcd"), dst, sizeof dst));
	assert_string_equal(dst, "");
	assert_false(bytes_to_text(OCTETS("a\0b"), dst, sizeof dst));
	assert_string_equal(dst, "");
	assert_true(bytes_to_text(text(NULL), dst, sizeof dst));
	assert_string_equal(dst, "");
	assert_false(bytes_to_text(text(""), dst, 0));
}

static void
test_ascii(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		unsigned char o = (unsigned char)c;
		bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';

		assert_int_equal(ascii_lower(o), upper ? c + 32 : c);
		assert_int_equal(ascii_alpha(o), upper || lower);
		assert_int_equal(ascii_digit(o), digit);
		assert_int_equal(ascii_alnum(o), upper || lower || digit);
	}
}

static void
test_of_all_octets(void **state)
{
	unsigned char octets[200];

	(void)state;
	memset(octets, 'a', sizeof octets);
	for (size_t n = 0; n <= sizeof octets; n++) {
		assert_true(bytes_is_ascii(bytes_of(octets, n)));
		assert_false(bytes_has_control(bytes_of(octets, n)));
	}
	for (size_t at = 0; at < sizeof octets; at++) {
		for (int c = 0; c < 256; c++) {
			octets[at] = (unsigned char)c;
			assert_int_equal(bytes_is_ascii(bytes_of(octets, sizeof octets)), c < 128);
			assert_int_equal(bytes_is_ascii(bytes_of(octets, at + 1)), c < 128);
			assert_true(bytes_is_ascii(bytes_of(octets, at)));
			assert_int_equal(bytes_has_control(bytes_of(octets, at + 1)), c < ' ' || c == 127);
			assert_false(bytes_has_control(bytes_of(octets, at)));
		}
		octets[at] = 'a';
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_bare_lfs),
		cmocka_unit_test(test_to_text),
		cmocka_unit_test(test_ascii),
		cmocka_unit_test(test_of_all_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
