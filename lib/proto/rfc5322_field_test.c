/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/rfc5322_field.h"

static void
test_fields(void **state)
{
	static const struct { const char *name, *value; } want[] = {
		{ "To", "a@b,\r\n\tc@d" },
		{ "", "no field" },
		{ "Subject", "x" },
		{ "Cc", "" },
		{ "", "a b: c" },
	};
	struct bytes rest = text("To : a@b,\r\n\tc@d\r\nno field\nSubject:x\nCc:\r\na b: c\r\n\r\nTo: body\r\n");
	struct arena *a = arena_new(65536);
	struct field f;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(want); i++) {
		assert_true(field_next(&rest, &f));
		assert_bytes_equal(f.name, text(want[i].name));
		assert_bytes_equal(f.value, text(want[i].value));
	}
	assert_false(field_next(&rest, &f));
	assert_bytes_equal(rest, text("To: body\r\n"));
	assert_bytes_equal(field_unfold(text("a@b,\r\n\tc@d\n e"), a), text("a@b,\tc@d e"));
	arena_free(&a);
}

static void
test_find(void **state)
{
	struct bytes rest, content = text("A: 1\nb: 2\nB: 3");
	struct field f;

	(void)state;
	assert_true(field_find(content, "B", &f));
	assert_bytes_equal(f.value, text("2"));
	assert_bytes_equal(f.whole, text("b: 2\n"));
	assert_false(field_find(content, "C", &f));
	rest = text("");
	assert_false(field_next(&rest, &f));
	rest = text("\nx");
	assert_false(field_next(&rest, &f));
	assert_bytes_equal(rest, text("x"));
	rest = text(" x: y\n z\n");		/* begins folded: one line that is no field */
	assert_true(field_next(&rest, &f));
	assert_int_equal(f.name.n, 0);
	assert_int_equal(rest.n, 0);
}

static void
test_cfws(void **state)
{
	static const struct { const char *in, *left; } rows[] = {
		{ "", "" }, { "a", "a" }, { " \t\r\n a ", "a " }, { "(b) a", "a" }, { "((b) c)a", "a" }, { "(b))a", ")a" },
		{ "(\\)b)a", "a" }, { "(b", "" }, { "(b\\", "" }, { "\\(b)", "\\(b)" }, { " (b)\r\n\t(c) a(d)", "a(d)" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct bytes rest = text(rows[i].in);

		field_skip_cfws(&rest);
		assert_row_bytes(rows[i].in, rest, text(rows[i].left));
	}
	{
		struct bytes rest = OCTETS(" \0a");

		field_skip_cfws(&rest);
		assert_int_equal(rest.n, 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_fields), cmocka_unit_test(test_find), cmocka_unit_test(test_cfws) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
