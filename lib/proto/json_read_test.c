/* SPDX-License-Identifier: ISC */
#include "proto/json_read.h"
#include "proto/testing.h"

#define NINE	"[[[[[[[["
#define ENDS	"]]]]]]]]"

static void
test_texts(void **state)
{
	const struct { struct bytes text; enum json_kind kind; struct bytes raw; } texts[] = {
		{ OCTETS("{}"), JSON_OBJECT, OCTETS("{}") },
		{ OCTETS(" \t\r\n[ ] \n"), JSON_ARRAY, OCTETS("[ ]") },
		{ OCTETS("{\"a\":1,\"b\":[true,false,null]}"), JSON_OBJECT, OCTETS("{\"a\":1,\"b\":[true,false,null]}") },
		{ OCTETS("\"\""), JSON_STRING, OCTETS("") },
		{ OCTETS("\"\\u00e4\\ud83d\\ude00\\\"\""), JSON_STRING, OCTETS("\\u00e4\\ud83d\\ude00\\\"") },
		{ OCTETS("null"), JSON_NULL, OCTETS("null") },
		{ OCTETS("true "), JSON_TRUE, OCTETS("true") },
		{ OCTETS("false"), JSON_FALSE, OCTETS("false") },
		{ OCTETS("0"), JSON_NUMBER, OCTETS("0") },
		{ OCTETS("-0.5e+3"), JSON_NUMBER, OCTETS("-0.5e+3") },
		{ OCTETS("12E5"), JSON_NUMBER, OCTETS("12E5") },
		{ OCTETS(NINE NINE ENDS ENDS), JSON_ARRAY, OCTETS(NINE NINE ENDS ENDS) },		/* JSON_DEPTH */
		{ OCTETS("[" NINE NINE ENDS ENDS "]"), JSON_NONE, OCTETS("") },
		{ OCTETS(NINE NINE "{}" ENDS ENDS), JSON_NONE, OCTETS("") },
		{ OCTETS(""), JSON_NONE, OCTETS("") },
		{ OCTETS(" "), JSON_NONE, OCTETS("") },
		{ OCTETS("{} {}"), JSON_NONE, OCTETS("") },
		{ OCTETS("{}x"), JSON_NONE, OCTETS("") },
		{ OCTETS("{"), JSON_NONE, OCTETS("") },
		{ OCTETS("{\"a\""), JSON_NONE, OCTETS("") },
		{ OCTETS("{\"a\":"), JSON_NONE, OCTETS("") },
		{ OCTETS("{\"a\":1"), JSON_NONE, OCTETS("") },
		{ OCTETS("{\"a\":1,}"), JSON_NONE, OCTETS("") },
		{ OCTETS("{a:1}"), JSON_NONE, OCTETS("") },
		{ OCTETS("{,}"), JSON_NONE, OCTETS("") },
		{ OCTETS("[1,]"), JSON_NONE, OCTETS("") },
		{ OCTETS("[1 2]"), JSON_NONE, OCTETS("") },
		{ OCTETS("[1}"), JSON_NONE, OCTETS("") },
		{ OCTETS("01"), JSON_NONE, OCTETS("") },
		{ OCTETS("-"), JSON_NONE, OCTETS("") },
		{ OCTETS("-01"), JSON_NONE, OCTETS("") },
		{ OCTETS("+1"), JSON_NONE, OCTETS("") },
		{ OCTETS(".5"), JSON_NONE, OCTETS("") },
		{ OCTETS("1."), JSON_NONE, OCTETS("") },
		{ OCTETS("1e"), JSON_NONE, OCTETS("") },
		{ OCTETS("1e+"), JSON_NONE, OCTETS("") },
		{ OCTETS("NaN"), JSON_NONE, OCTETS("") },
		{ OCTETS("tru"), JSON_NONE, OCTETS("") },
		{ OCTETS("\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"a"), JSON_NONE, OCTETS("") },
		{ OCTETS("\"a\\"), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\\x\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\\\0\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\\u12\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\\ud83d\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\\ud83dx\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\\ud83d\\u0041\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\\ude00\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\n\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\0\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\xff\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\"\xc0\x80\""), JSON_NONE, OCTETS("") },
		{ OCTETS("\xef\xbb\xbf{}"), JSON_NONE, OCTETS("") },
		{ OCTETS("{}\0"), JSON_NONE, OCTETS("") },
	};
	(void)state;
	for (size_t i = 0; i < LEN(texts); i++) {
		struct json_value v;
		char row[32];

		snprintf(row, sizeof row, "row %zu", i);
		assert_row_int(row, json_read(texts[i].text, &v), texts[i].kind != JSON_NONE);
		assert_row_int(row, v.kind, texts[i].kind);
		assert_row_bytes(row, v.raw, texts[i].raw);
	}
}

static const struct { const char *object, *name; bool once; enum json_kind kind; const char *raw; } members[] = {
	{ "{\"a\":1, \"b\" : \"x\" , \"c\":{\"d\":2}}", "b", true, JSON_STRING, "x" },
	{ "{\"a\":1,\"b\":\"x\",\"c\":{\"d\":2}}", "c", true, JSON_OBJECT, "{\"d\":2}" },
	{ "{\"a\":1,\"b\":\"x\",\"c\":{\"d\":2}}", "d", true, JSON_NONE, "" },	/* it is in another */
	{ "{\"\\u0061\":1}", "a", true, JSON_NUMBER, "1" },
	{ "{\"a\":1,\"\\u0061\":2}", "a", false, JSON_NUMBER, "2" },
	{ "{\"A\":1}", "a", true, JSON_NONE, "" },
	{ "{\"ab\":1}", "a", true, JSON_NONE, "" },
	{ "{\"a\\u0000\":1}", "a", true, JSON_NONE, "" },
	{ "{}", "a", true, JSON_NONE, "" },
	{ "[\"a\",1]", "a", true, JSON_NONE, "" },
	{ "\"a\"", "a", true, JSON_NONE, "" },
};

static void
test_members(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(members); i++) {
		struct json_value v, got;

		assert_true(json_read(text(members[i].object), &v));
		assert_row_int(members[i].object, json_member(&v, members[i].name, &got), members[i].once);
		assert_row_int(members[i].object, got.kind, members[i].kind);
		assert_row_bytes(members[i].object, got.raw, text(members[i].raw));
	}
}

static void
test_items(void **state)
{
	static const struct { const char *array, *want; } cases[] = {
		{ "[]", "" }, { "[ ]", "" }, { "[1]", "1;" }, { " [ \"a\" , [1,2] ,{},null ] ", "a;[1,2];{};null;" } };

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct json_value v, item;
		struct bytes rest;
		struct buf got;

		buf_init(&got, 100);
		assert_true(json_read(text(cases[i].array), &v));
		for (rest = v.raw; json_item(&rest, &item); buf_char(&got, ';'))
			buf_add(&got, item.raw);
		assert_row_bytes(cases[i].array, buf_bytes(&got), text(cases[i].want));
		buf_fini(&got);
	}
}

static void
test_strings(void **state)
{
	const struct { const char *text; struct bytes want; } cases[] = {
		{ "\"\"", OCTETS("") },
		{ "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000z\"", OCTETS("a\"\\/\b\f\n\r\t\0z") },
		{ "\"\\u00e4\xc3\xa4\\uD83D\\uDe00\"", OCTETS("\xc3\xa4\xc3\xa4\xf0\x9f\x98\x80") },
	};
	struct json_value v;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		assert_true(json_read(text(cases[i].text), &v));
		buf_init(&b, cases[i].want.n);
		assert_row_int(cases[i].text, json_unquote(&v, &b), true);
		assert_row_bytes(cases[i].text, buf_bytes(&b), cases[i].want);
		assert_true(json_equals(&v, cases[i].want));
		assert_false(json_equals(&v, text("a")));
		buf_fini(&b);
	}
	buf_init(&b, 3);
	assert_true(json_read(text("\"abcd\""), &v));
	assert_false(json_unquote(&v, &b));			/* one more than there is room for */
	assert_int_equal(b.n, 0);
	buf_fini(&b);
	assert_true(json_read(text("1"), &v));
	assert_false(json_equals(&v, text("1")));
}

static void
test_numbers(void **state)
{
	static const struct { const char *text; bool good; int64_t want; } cases[] = {
		{ "0", true, 0 }, { "-0", true, 0 }, { "1764165600", true, 1764165600 }, { "1764165600.999", true, 1764165600 },
		{ "-5.5", true, -5 }, { "999999999999999", true, 999999999999999 }, { "1000000000000000", false, 0 },
		{ "1e3", false, 0 }, { "1E3", false, 0 }, { "\"1\"", false, 0 }, { "null", false, 0 }, { "true", false, 0 } };

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct json_value v;
		int64_t got = 0;

		assert_true(json_read(text(cases[i].text), &v));
		assert_row_int(cases[i].text, json_integer(&v, &got), cases[i].good);
		assert_row_int(cases[i].text, got, cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
