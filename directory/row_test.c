/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "directory/directory.h"

static void
make(const char *const value[DIRECTORY_FIELDS], struct found *f)
{
	found_init(f);
	for (unsigned i = 0; i < DIRECTORY_FIELDS; i++)
		found_add(f, i, text(value[i]));
}

static const struct { const char *value[DIRECTORY_FIELDS], *row, *bare, *why; bool odd, disabled; } rows[] = {
	{ { NULL }, "state=active", "state=active", NULL, false, false },
	{ { "$6$a", "1", "2", "maildir:/a", "5", "6", "disabled" },
	    "password=$6$a\nscram-sha-1=1\nscram-sha-256=2\nmailbox=maildir:/a\nuid=5\ngid=6\nstate=disabled",
	    "mailbox=maildir:/a\nuid=5\ngid=6\nstate=disabled", NULL, false, true },
	{ { "{CRYPT}$y$j9T$" }, "password=$y$j9T$\nstate=active", "state=active", NULL, false, false },
	{ { "{CRYPT}$6$rounds=999999999$x" }, "state=active", "state=active", NULL, true, false },
	{ { "$6$rounds=999999999$x" }, "state=active", "state=active", NULL, true, false },
	{ { "{crypt}x" }, "password=x\nstate=active", "state=active", NULL, false, false },
	{ { "{Plain}{x}" }, "password={PLAIN}{x}\nstate=active", "state=active", NULL, false, false },
	{ { "{CLEARTEXT}" }, "password={PLAIN}\nstate=active", "state=active", NULL, false, false },
	{ { "{SSHA}x" }, "state=active", "state=active", NULL, true, false },
	{ { "{CRYPT" }, "state=active", "state=active", NULL, true, false },
	{ { "a=b" }, "password=a=b\nstate=active", "state=active", NULL, false, false },
	{ { NULL, NULL, NULL, "maildir:a" }, NULL, NULL, "its mailbox is not like maildir:/path or mbox:/path", false, false },
	{ { NULL, NULL, NULL, "maildir:/a/../b" }, NULL, NULL, "its mailbox is not", false, false },
	{ { [DIRECTORY_UID] = "0" }, NULL, NULL, "its uid is no number", false, false },
	{ { [DIRECTORY_UID] = "4294967294" }, "uid=4294967294\nstate=active", "uid=4294967294\nstate=active", NULL, false, false },
	{ { [DIRECTORY_UID] = "4294967295" }, NULL, NULL, "its uid is no number", false, false },
	{ { [DIRECTORY_GID] = "1 " }, NULL, NULL, "its gid is no number", false, false },
	{ { [DIRECTORY_STATE] = "Disabled" }, NULL, NULL, "its state is neither", false, true },
	{ { [DIRECTORY_NAME] = "Anna@a.example" }, "name=Anna@a.example\nstate=active", "name=Anna@a.example\nstate=active", NULL, false, false },
	{ { [DIRECTORY_NAME] = "a b" }, NULL, NULL, "its name is too long, or holds a space", false, false },
	{ { [DIRECTORY_STATE] = "active" }, "state=active", "state=active", NULL, false, false },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		const char *why;
		struct found f;
		struct buf row;
		bool odd, good;

		buf_init(&row, ACCOUNT_ROW_MAX);
		make(rows[i].value, &f);
		assert_int_equal(f.verdict, NO);
		good = row_make(&f, true, &row, &odd, &why);
		assert_row_int(why, good, rows[i].row != NULL);
		assert_row_int(why, row_is_disabled(&f), rows[i].disabled);
		if (good) {
			assert_row_bytes("row", buf_bytes(&row), text(rows[i].row));
			assert_row_int(rows[i].row, odd, rows[i].odd);
			assert_true(row_make(&f, false, &row, &odd, &why));
			assert_row_bytes("bare", buf_bytes(&row), text(rows[i].bare));
		} else
			assert_non_null(strstr(why, rows[i].why));
		buf_fini(&row);
		found_fini(&f);
	}
}

static void
test_values(void **state)
{
	static char most[ACCOUNT_ROW_MAX + 2];
	struct found f;

	(void)state;
	memset(most, 'x', sizeof most - 1);
	found_init(&f);
	found_add(&f, DIRECTORY_PASSWORD, bytes_of(most, ACCOUNT_ROW_MAX));
	assert_int_equal(f.verdict, NO);
	found_add(&f, DIRECTORY_SCRAM_SHA_1, bytes_of(most, ACCOUNT_ROW_MAX + 1));
	assert_int_equal(f.verdict, NOT_SURE);
	assert_string_equal(f.why, "its scram_sha_1 is too long");
	found_fini(&f);

	found_init(&f);
	found_add(&f, DIRECTORY_UID, OCTETS("1"));
	found_add(&f, DIRECTORY_UID, OCTETS(""));
	assert_int_equal(f.verdict, NO);
	found_add(&f, DIRECTORY_UID, OCTETS("1"));
	assert_string_equal(f.why, "there is more than one uid");
	found_add(&f, DIRECTORY_GID, OCTETS("1\n"));
	assert_string_equal(f.why, "there is more than one uid");	/* the first reason */
	found_fini(&f);

	found_init(&f);
	found_add(&f, DIRECTORY_MAILBOX, OCTETS("a\0b"));
	assert_string_equal(f.why, "its mailbox holds a control character");
	found_fini(&f);
}

/* All fields, each as long as it may be, are too long together. */
static void
test_limit(void **state)
{
	static char most[ACCOUNT_ROW_MAX];
	const size_t rest = strlen("password=\nstate=active");

	(void)state;
	memset(most, 'x', sizeof most);
	for (size_t more = 0; more < 2; more++) {
		const char *why;
		struct found f;
		struct buf row;
		bool odd;

		found_init(&f);
		found_add(&f, DIRECTORY_PASSWORD, bytes_of(most, ACCOUNT_ROW_MAX - rest + more));
		buf_init(&row, ACCOUNT_ROW_MAX);
		assert_int_equal(row_make(&f, true, &row, &odd, &why), !more);
		assert_string_equal(why, more ? "it is too long" : "");
		buf_fini(&row);
		found_fini(&f);
	}
}

static void
test_words(void **state)
{
	char words[] = "a \"b\\c\"\r\nd\x7f\xc3\xa4 \n";

	(void)state;
	words_tidy(words);
	assert_string_equal(words, "a 'b'c'  d");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_values), cmocka_unit_test(test_limit), cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
