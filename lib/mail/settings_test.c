/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mail/settings.h"

struct all {
	const char *text, *path;
	bool yes;
	uint64_t number, size, time;
	unsigned word;
	struct setting_list list;
};

static const char *const words[] = { "reject", "normalize", NULL };

static const struct setting table[] = {
	SET_TEXT("text", struct all, text, ""),
	SET_TEXT_IF("path", struct all, path, "", setting_is_path),
	SET_BOOL("yes", struct all, yes, "yes"),
	SET_NUMBER("number", struct all, number, "5", 1, 10),
	SET_SIZE("size", struct all, size, "25M", 0, 1ull << 40),
	SET_TIME("time", struct all, time, "5m", 1000, 0),
	SET_WORD("word", struct all, word, "normalize", words),
	SET_LIST("list", struct all, list, "127.0.0.0/8\n::1/128\n", setting_is_network),
	SET_END
};

static void
test_standard(void **state)
{
	struct all a;

	(void)state;
	settings_standard(table, &a);
	assert_string_equal(a.text, "");
	assert_string_equal(a.path, "");	/* a default is right though a given one may not be empty */
	assert_true(a.yes);
	assert_int_equal(a.number, 5);
	assert_int_equal(a.size, 25 << 20);
	assert_int_equal(a.time, 300000);
	assert_int_equal(a.word, 1);
	assert_int_equal(a.list.n, 2);
	assert_string_equal(a.list.item[1], "::1/128");
	settings_free(table, &a);
	settings_free(table, &a);		/* harmless */
}

static const struct { const char *name, *value; bool ok; uint64_t want; const char *says; } cases[] = {
	{ "text",	"a b \xc3\xa4", true, 0, "" },
	{ "text",	"a\nb", false, 0, "control character" },
	{ "text",	"a\033b", false, 0, "control character" },
	{ "path",	"/a/b", true, 0, "" },
	{ "path",	"a/b", false, 0, "starts with /" },
	{ "path",	"/a/../b", false, 0, "\"..\"" },
	{ "path",	"/a/..", false, 0, "\"..\"" },
	{ "yes",	"no", true, 0, "" },
	{ "yes",	"maybe", false, 0, "yes or no" },
	{ "yes",	"", false, 0, "yes or no" },
	{ "number",	"10", true, 10, "" },
	{ "number",	"11", false, 0, "from 1 to 10" },
	{ "number",	"0", false, 0, "1 or more" },
	{ "number",	"-1", false, 0, "decimal" },
	{ "number",	"1k", false, 0, "decimal" },
	{ "number",	"99999999999999999999", false, 0, "decimal" },
	{ "size",	"1K", true, 1024, "" },
	{ "size",	"512", true, 512, "" },
	{ "size",	"1T", true, 1ull << 40, "" },
	{ "size",	"2T", false, 0, "from 0 to 1T" },
	{ "size",	"18446744073709551615T", false, 0, "25M" },	/* no overflow */
	{ "size",	"1 M", false, 0, "25M" },
	{ "size",	"M", false, 0, "25M" },
	{ "time",	"2h", true, 7200000, "" },
	{ "time",	"1500ms", true, 1500, "" },
	{ "time",	"500ms", false, 0, "1s or more" },
	{ "time",	"5", false, 0, "5m" },			/* of what? */
	{ "word",	"reject", true, 0, "" },
	{ "word",	"rejected", false, 0, "reject, normalize" },
	{ "list",	"", true, 0, "" },
	{ "list",	"10.0.0.0/8\n", true, 1, "" },
	{ "list",	"10.0.0.0/8\n192.168.0.0/16", true, 2, "" },
	{ "list",	"10.0.0.0/8\n\n", false, 0, "not an address" },
	{ "list",	"10.0.0.1/8\n", false, 0, "10.0.0.0/8" },
	{ "nothing",	"x", false, 0, "no setting" },
};

static uint64_t
number_of(const struct all *a, const char *name)
{
	return strcmp(name, "number") == 0 ? a->number : strcmp(name, "size") == 0 ? a->size
	    : strcmp(name, "time") == 0 ? a->time : strcmp(name, "list") == 0 ? a->list.n : 0;
}

static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct all a;
		char why[256] = "";

		settings_standard(table, &a);
		if (settings_set(table, cases[i].name, cases[i].value, &a, why, sizeof why) != cases[i].ok
		    || !strstr(why, cases[i].says))
			fail_msg("%s = %s: says \"%s\"", cases[i].name, cases[i].value, why);
		if (cases[i].ok)
			assert_int_equal(number_of(&a, cases[i].name), cases[i].want);
		settings_free(table, &a);
	}
}

static void
test_faults_are_cut(void **state)
{
	struct all a;
	char why[8];

	(void)state;
	settings_standard(table, &a);
	assert_false(settings_set(table, "word", "x", &a, why, sizeof why));
	assert_int_equal(strlen(why), 7);
	assert_int_equal(a.word, 1);		/* as it was */
	settings_free(table, &a);
}

static const struct { bool (*check)(const char *, char *, size_t); const char *value; bool ok; } checks[] = {
	{ setting_is_domain,	"mail.example.org", true },
	{ setting_is_domain,	"localhost", true },
	{ setting_is_domain,	"xn--bcher-kva.example", true },
	{ setting_is_domain,	"", false },
	{ setting_is_domain,	"example.org.", false },
	{ setting_is_domain,	".example.org", false },
	{ setting_is_domain,	"a..b", false },
	{ setting_is_domain,	"-a.example", false },
	{ setting_is_domain,	"a b", false },
	{ setting_is_domain,	"a_b.example", false },
	{ setting_is_domain,	"user@example.org", false },
	{ setting_is_listen,	"127.0.0.1:25", true },
	{ setting_is_listen,	"[::1]:2525", true },
	{ setting_is_listen,	"0.0.0.0:25", true },
	{ setting_is_listen,	"127.0.0.1", false },
	{ setting_is_listen,	"127.0.0.1:0", false },
	{ setting_is_listen,	"127.0.0.1:65536", false },
	{ setting_is_listen,	"::1:25", false },
	{ setting_is_listen,	"localhost:25", false },
	{ setting_is_listen,	"[127.0.0.1]:25", false },
	{ setting_is_listen,	":25", false },
	{ setting_is_path_or_empty, "/a", true },
	{ setting_is_path_or_empty, "", true },
	{ setting_is_path_or_empty, "a", false },
	{ setting_is_log,	"/a", true },
	{ setting_is_log,	"syslog", true },
	{ setting_is_log,	"", false },
	{ setting_is_log,	"syslogd", false },
};

static void
test_checks(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(checks); i++) {
		char why[256] = "";

		if (checks[i].check(checks[i].value, why, sizeof why) != checks[i].ok)
			fail_msg("%s: %s", checks[i].value, why);
		assert_int_equal(why[0] == '\0', checks[i].ok);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standard),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_faults_are_cut),
		cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
