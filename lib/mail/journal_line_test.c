/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "mail/journal_line.h"

#define AT "2026-11-26T02:23:04.119043Z hermod/"

static void
test_lines(void **state)
{
	static const struct { const char *line, *process, *pid, *level, *id, *text; } cases[] = {
		{ AT "smtpd[61]: 3X36WQm5WmJWMjxw: from=<a>", "smtpd", "61", "", "3X36WQm5WmJWMjxw", "3X36WQm5WmJWMjxw: from=<a>" },
		{ AT "qmgr[5]: warning: 3X36WQm5WmJWMjxw: x", "qmgr", "5", "warning", "3X36WQm5WmJWMjxw", "3X36WQm5WmJWMjxw: x" },
		{ AT "cleanup[5]: warning: queue 3X36WQm5WmJWMjxw: x", "cleanup", "5", "warning", "3X36WQm5WmJWMjxw",
		  "queue 3X36WQm5WmJWMjxw: x" },
		{ AT "master[1]: stopped", "master", "1", "", "", "stopped" },
		{ AT "become as x[1]: fatal: a b: c", "become as x", "1", "fatal", "", "a b: c" },
		{ AT "qmgr[1]: queue: x", "qmgr", "1", "", "", "queue: x" },
		{ AT "qmgr[1]: ", "qmgr", "1", "", "", "" },
		{ AT "qmgr[1]: short: x", "qmgr", "1", "", "", "short: x" },
		{ AT "qmgr[1]:x", NULL, "", "", "", "" }, { AT "qmgr[]: x", NULL, "", "", "", "" }, { AT "qmgr: x", NULL, "", "", "", "" },
		{ "2026-11-26T02:23:04.119043Z other/qmgr[1]: x", NULL, "", "", "", "" }, { "", NULL, "", "", "", "" },
		{ "2026-11-26 02:23:04.119043Z hermod/qmgr[1]: x", NULL, "", "", "", "" },
		{ "2026-11-26T02:23:04.119043Z", NULL, "", "", "", "" },
	};
	struct journal_line l;

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		const char *row = cases[i].line;

		assert_row_int(row, journal_line_parse(text(row), &l), cases[i].process != NULL);
		if (!cases[i].process)
			continue;
		assert_row_bytes(row, l.process, text(cases[i].process));
		assert_row_bytes(row, l.pid, text(cases[i].pid));
		assert_row_bytes(row, l.level, text(cases[i].level));
		assert_row_bytes(row, l.id, text(cases[i].id));
		assert_row_bytes(row, l.text, text(cases[i].text));
	}
}

static void
test_values(void **state)
{
	static const struct { const char *text, *want[9]; } cases[] = {
		{ "ID: from=<a@b> size=12 session=S", { "from", "a@b", "size", "12", "session", "S" } },
		{ "to=<\"a>b\"@c> reply=\"4.2.2 to=<x> full\" removed", { "to", "\"a>b\"@c", "reply", "4.2.2 to=<x> full" } },
		{ "a=b=c d=", { "a", "b=c", "d", "" } },
		{ "message-id=<x y> orig_to=<>", { "message-id", "x y", "orig_to", "" } },
		{ "no values (here=)", { NULL } }, { "", { NULL } }, { "=x", { NULL } },
		{ "from=<unclosed to=<b", { "from", "unclosed to=<b" } },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct bytes rest = text(cases[i].text), name, value;
		const char *const *want = cases[i].want;

		for (; *want; want += 2) {
			assert_row_int(cases[i].text, journal_line_value(&rest, &name, &value), true);
			assert_row_bytes(cases[i].text, name, text(want[0]));
			assert_row_bytes(cases[i].text, value, text(want[1]));
		}
		assert_row_int(cases[i].text, journal_line_value(&rest, &name, &value), false);
	}
}

static void
test_ids(void **state)
{
	(void)state;
	assert_true(journal_is_id(text("3X36WQm5WmJWMjxw")) && journal_is_id(text("12345678"))
	    && journal_is_id(text("12345678123456781234567812345678")));
	assert_false(journal_is_id(text("1234567")) || journal_is_id(text("123456781234567812345678123456781"))
	    || journal_is_id(text("a@b.example")) || journal_is_id(text("")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lines), cmocka_unit_test(test_values), cmocka_unit_test(test_ids) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
