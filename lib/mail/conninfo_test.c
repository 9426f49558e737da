/* SPDX-License-Identifier: ISC */
#include "mail/conninfo.h"
#include "mail/testing.h"

static const struct { const char *words, *host, *user, *options, *why; } rows[] = {
	{ "host=db.test user=mail", "db.test", "mail", NULL, NULL },
	{ " host = 'db.test'\tuser\n=\nmail ", "db.test", "mail", NULL, NULL },
	{ "user='it\\'s' options='-c a=b' host=a", "a", "it's", "-c a=b", NULL },
	{ "user=a\\ b host=\\\\", "\\", "a b", NULL, NULL },
	{ "user='' host=a", "a", "", NULL, NULL },
	{ "user= host=a", "host=a", NULL, NULL, NULL },	/* libpq, too, takes it so: the value is host=a */
	{ "", NULL, NULL, NULL, NULL },
	{ "host", NULL, NULL, NULL, "not a run" },
	{ "host a", NULL, NULL, NULL, "not a run" },
	{ "=a", NULL, NULL, NULL, "not a run" },
	{ "postgresql://db.test/mail", NULL, NULL, NULL, "not a run" },
	{ "host='a", NULL, NULL, NULL, "not closed" },
	{ "host=a\\", NULL, NULL, NULL, "backslash" },
	{ "host='a\\", NULL, NULL, NULL, "backslash" },
	{ "host=a host=b", NULL, NULL, NULL, "twice" },
	{ "host=a password=secret", NULL, NULL, NULL, "sql_password_file" },
	{ "passfile=/a", NULL, NULL, NULL, "sql_password_file" },
	{ "service=x", NULL, NULL, NULL, "not known" },
	{ "hostaddr=127.0.0.1", NULL, NULL, NULL, "not known" },
	{ "HOST=a", NULL, NULL, NULL, "not known" },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct arena *arena = arena_new(CONNINFO_ARENA);
		struct conninfo c;
		char why[512] = "";
		bool good = conninfo_parse(text(rows[i].words), arena, &c, why, sizeof why);

		assert_row_int(rows[i].words, good, rows[i].why == NULL);
		if (good && strcmp(rows[i].words, "user= host=a") != 0) {
			assert_row_bytes(rows[i].words, text(c.value[CONNINFO_HOST]), text(rows[i].host));
			assert_row_bytes(rows[i].words, text(c.value[CONNINFO_USER]), text(rows[i].user));
			assert_row_bytes(rows[i].words, text(c.value[CONNINFO_OPTIONS]), text(rows[i].options));
		} else if (good) {
			assert_row_bytes(rows[i].words, text(c.value[CONNINFO_USER]), text("host=a"));
		} else {
			assert_row_int(rows[i].words, strstr(why, rows[i].why) != NULL, true);
			assert_row_int(rows[i].words, strstr(why, "secret") == NULL, true);
		}
		arena_free(&arena);
	}
}

static void
test_limit(void **state)
{
	char words[CONNINFO_MAX + 2], why[512];

	(void)state;
	for (int more = 0; more < 2; more++) {
		struct arena *arena = arena_new(CONNINFO_ARENA);
		struct conninfo c;

		snprintf(words, sizeof words, "host=%0*d", CONNINFO_MAX - 5 + more, 0);
		assert_int_equal(conninfo_parse(text(words), arena, &c, why, sizeof why), !more);
		assert_int_equal(conninfo_parse(OCTETS("host=a\0b"), arena, &c, why, sizeof why), false);
		arena_free(&arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_limit) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
