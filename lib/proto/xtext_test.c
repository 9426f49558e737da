/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/xtext.h"

static const struct { const char *in; bool ok; const char *out; } plain[] = {
	{ "abc", true, "abc" },
	{ "", true, "" },
	{ "a+2Bb", true, "a+b" },
	{ "+20+3D", true, " =" },
	{ "Bob@Example+2ECOM", true, "Bob@Example.COM" },
	{ "a+2bb", false, "" },			/* lower case */
	{ "a+", false, "" },
	{ "a+2", false, "" },
	{ "a+GG", false, "" },
	{ "a=b", false, "" },
	{ "a b", false, "" },
	{ "a+0Ab", false, "" },			/* CVE-2020-28015, CVE-2020-28026 */
	{ "a+0Db", false, "" },
	{ "+00", false, "" },
	{ "+1B", false, "" },
	{ "+7F", false, "" },
	{ "+80", false, "" },
	{ "\xc3\xa9", false, "" },
};

static const struct { const char *in; bool utf8, ok; const char *out; } unicode[] = {
	{ "abc@d", false, true, "abc@d" },
	{ "\\x{E9}@d", false, true, "\xc3\xa9@d" },
	{ "\\x{1F600}", false, true, "\xf0\x9f\x98\x80" },
	{ "\\x{10FFFF}", false, true, "\xf4\x8f\xbf\xbf" },
	{ "\\x{20}\\x{2B}\\x{3D}\\x{5C}", false, true, " +=\\" },
	{ "\xc3\xa9", true, true, "\xc3\xa9" },
	{ "\xc3\xa9", false, false, "" },
	{ "\xc3", true, false, "" },
	{ "\xc2\x85", true, false, "" },
	{ "\\x{85}", false, false, "" },
	{ "\\x{0A}", false, false, "" },
	{ "\\x{0D}", false, false, "" },
	{ "\\x{00}", false, false, "" },
	{ "\\x{7F}", false, false, "" },
	{ "\\x{41}", false, false, "" },	/* needs none */
	{ "\\x{D800}", false, false, "" },
	{ "\\x{110000}", false, false, "" },
	{ "\\x{00E9}", false, false, "" },
	{ "\\x{e9}", false, false, "" },
	{ "\\x{}", false, false, "" },
	{ "\\x{E}", false, false, "" },
	{ "\\x{E9", false, false, "" },
	{ "\\x{1234567}", false, false, "" },
	{ "\\xE9", false, false, "" },
	{ "\\", false, false, "" },
	{ "a+2Bb", false, false, "" },
	{ "a=b", false, false, "" },
};

static void
test_xtext(void **state)
{
	struct arena *a = arena_new(65536);
	struct bytes out, again;
	struct buf b;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(plain); i++) {
		assert_row_int(plain[i].in, xtext_decode(text(plain[i].in), a, &out), plain[i].ok);
		if (!plain[i].ok)
			continue;
		assert_row_bytes(plain[i].in, out, text(plain[i].out));
		buf_init(&b, 100);
		xtext_encode(out, &b);
		assert_true(xtext_decode(buf_bytes(&b), a, &again));
		assert_row_bytes(plain[i].in, again, out);
		buf_fini(&b);
	}
	arena_free(&a);
}

static void
test_utf8_xtext(void **state)
{
	struct arena *a = arena_new(65536);
	struct bytes out, again;
	struct buf b;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(unicode); i++) {
		assert_row_int(unicode[i].in, utf8_xtext_decode(text(unicode[i].in), unicode[i].utf8, a, &out),
		    unicode[i].ok);
		if (!unicode[i].ok)
			continue;
		assert_row_bytes(unicode[i].in, out, text(unicode[i].out));
		buf_init(&b, 100);
		assert_true(utf8_xtext_encode(out, &b));
		assert_true(utf8_xtext_decode(buf_bytes(&b), false, a, &again));
		assert_row_bytes(unicode[i].in, again, out);
		buf_fini(&b);
	}
	arena_free(&a);
}

static void
test_encode_refuses(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_false(utf8_xtext_encode(text("a\nb"), &b));
	assert_false(utf8_xtext_encode(text("a\xff"), &b));
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_utf8_xtext),
		cmocka_unit_test(test_encode_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
