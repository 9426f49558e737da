/* SPDX-License-Identifier: ISC */
#include "auth/auth.h"

#include "mail/testing.h"

static struct accounts *accounts;

static int
setup(void **state)
{
	static char passwd[128], map[160];
	static struct account_settings s;		/* borrowed by what is opened */
	static const char rows[] = "anna@a.example uid=5\nbert@a.example uid=5\nCarl@a.example uid=5\ncarl@a.example uid=5\n"
	    "broken@a.example uid=x\n";
	char why[256];
	FILE *f;

	(void)state;
	s = (struct account_settings){ .account_map = map, .mail_directory = "/m", .system_mailbox = "maildir:~/Maildir",
	    .sasldb_file = "", .passwd_file = passwd, .system_accounts = true, .first_uid = 1000, .mail_uid = 5, .mail_gid = 5 };
	if (test_dir_make("certificate", true) == -1)
		return -1;
	snprintf(map, sizeof map, "text:%s/accounts", test_dir);
	snprintf(passwd, sizeof passwd, "%s/passwd", test_dir);
	if (!(f = fopen(map + 5, "w")) || fputs(rows, f) < 0 || fclose(f) != 0)
		return -1;
	if (!(f = fopen(passwd, "w")) || fputs("anna:x:2000:2000::/home/anna:/bin/sh\n", f) < 0 || fclose(f) != 0)
		return -1;
	accounts = accounts_open(&s, why, sizeof why);
	return accounts ? 0 : -1;
}

static int
teardown(void **state)
{
	accounts_close(&accounts);
	return test_dir_remove(state);
}

static const struct { const char *addresses, *wanted; enum verdict want; const char *name; } cases[] = {
	{ "anna@a.example",			"",			YES,	"anna@a.example" },
	{ "Anna@a.example",			"",			YES,	"anna@a.example" },
	{ "nobody@a.example",			"",			NO,	NULL },
	{ "nobody@a.example anna@a.example",	"",			YES,	"anna@a.example" },
	{ "anna@a.example ANNA@a.example",	"",			YES,	"anna@a.example" },
	{ "anna@a.example bert@a.example",	"",			NO,	NULL },		/* which? */
	{ "anna@a.example bert@a.example",	"bert@a.example",	YES,	"bert@a.example" },
	{ "anna@a.example bert@a.example",	"Bert@A.example",	YES,	"bert@a.example" },
	{ "anna@a.example",			"bert@a.example",	NO,	NULL },
	{ "anna@a.example",			"anna",			NO,	NULL },		/* the system's */
	{ "nobody@a.example",			"nobody@a.example",	NO,	NULL },
	{ "carl@a.example",			"Carl@a.example",	NO,	NULL },		/* two accounts, here */
	{ "carl@a.example",			"carl@a.example",	YES,	"carl@a.example" },
	{ "anna@a.example broken@a.example",	"",			NOT_SURE, NULL },
	{ "broken@a.example anna@a.example",	"anna@a.example",	NOT_SURE, NULL },
	{ "anna@a.example",			"broken@a.example",	NOT_SURE, NULL },
	{ "",					"anna@a.example",	NO,	NULL },
	{ "",					"",			NO,	NULL },
};

static void
test_accounts(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	struct buf run;

	(void)state;
	buf_init(&run, 4096);
	for (size_t i = 0; i < LEN(cases); i++) {
		struct bytes list = text(cases[i].addresses);
		struct account got = { 0 };
		char row[32];

		buf_clear(&run);
		while (list.n > 0)
			ipc_add_text(&run, bytes_cut(&list, ' '));
		snprintf(row, sizeof row, "row %zu", i);
		assert_row_int(row, certificate_account(accounts, buf_bytes(&run), text(cases[i].wanted), arena, &got), cases[i].want);
		if (cases[i].want == YES)
			assert_row_bytes(row, got.name, text(cases[i].name));
	}
	assert_int_equal(certificate_account(accounts, text("cut off"), text(""), arena, &(struct account){ 0 }), NOT_SURE);
	buf_fini(&run);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_accounts) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
