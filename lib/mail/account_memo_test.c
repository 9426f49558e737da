/* SPDX-License-Identifier: ISC */
#include "mail/account.h"

#include "mail/testing.h"

static struct account_settings settings;	/* borrowed by what is opened */
static struct accounts *accounts;
static struct account_memo memo;
static struct arena *arena;

static int
setup(void **state)
{
	static char passwd[160], map[160];
	char why[256];
	FILE *f;

	(void)state;
	settings = (struct account_settings){ .account_map = map, .mail_directory = "/m", .system_mailbox = "maildir:~/Maildir",
	    .sasldb_file = "", .passwd_file = passwd, .system_accounts = true, .first_uid = 1000, .mail_uid = 5, .mail_gid = 6, .directory = 1 };
	if (test_dir_make("account_memo", true) == -1)
		return -1;
	snprintf(map, sizeof map, "text:%s/accounts", test_dir);
	snprintf(passwd, sizeof passwd, "%s/passwd", test_dir);
	if (!(f = fopen(map + 5, "w")) || fputs("anna@a.example uid=7\nbroken@a.example uid=x\n", f) < 0 || fclose(f) != 0)
		return -1;
	if (!(f = fopen(passwd, "w")) || fputs("bert:x:2000:2000::/home/bert:/bin/sh\nlow:x:10:10::/home/low:/bin/sh\n", f) < 0
	    || fclose(f) != 0)
		return -1;
	accounts = accounts_open(&settings, why, sizeof why);
	arena = arena_new(1 << 20);
	return accounts ? 0 : -1;
}

static int
teardown(void **state)
{
	accounts_close(&accounts);
	arena_free(&arena);
	return test_dir_remove(state);
}

static int
fresh(void **state)
{
	(void)state;
	account_memo_init(&memo);
	accounts_remember(accounts, &memo);
	return 0;
}

static int
over(void **state)
{
	(void)state;
	account_memo_fini(&memo);
	accounts_remember(accounts, NULL);
	arena_reset(arena);
	return 0;
}

static enum verdict
get(const char *name, struct account *out)
{
	*out = (struct account){ 0 };
	return accounts_get(accounts, text(name), arena, out);
}

/* ---- who asks whom ---- */

static const struct { const char *name; enum verdict want; const char *asked; } first[] = {
	{ "anna@a.example",	YES,		NULL },		/* the table has it */
	{ "Anna@A.example",	YES,		NULL },
	{ "broken@a.example",	NOT_SURE,	NULL },		/* which the directory cannot put right */
	{ "bert",		YES,		NULL },
	{ "Bert",		YES,		NULL },
	{ "carl@a.example",	NOT_SURE,	"carl@a.example" },
	{ "Carl@A.Example",	NOT_SURE,	"carl@a.example" },	/* one account, though the directory may know both */
	{ "carl",		NOT_SURE,	"carl" },
	{ "low",		NOT_SURE,	"low" },	/* below first_uid: no account of the system's */
	{ "\xc3\x84@a.example",	NOT_SURE,	"\xc3\x84@a.example" },
	{ "ca rl@a.example",	NO,		NULL },
	{ " carl@a.example",	NO,		NULL },
	{ "carl@a.example ",	NO,		NULL },
	{ "ca\trl@a.example",	NO,		NULL },
	{ "",			NO,		NULL },
};

static void
test_asks(void **state)
{
	for (size_t i = 0; i < LEN(first); i++) {
		struct account a;
		struct bytes name;

		fresh(state);
		assert_row_int(first[i].name, get(first[i].name, &a), first[i].want);
		assert_row_int(first[i].name, accounts_want(accounts), first[i].asked != NULL);
		assert_row_int(first[i].name, account_memo_next(&memo, &name) != NULL, first[i].asked != NULL);
		if (first[i].asked)
			assert_row_bytes(first[i].name, name, text(first[i].asked));
		over(state);
	}
}

static void
test_without(void **state)
{
	struct account a;

	(void)state;
	accounts_remember(accounts, NULL);
	assert_int_equal(get("carl@a.example", &a), NOT_SURE);
	assert_false(accounts_want(accounts));
	settings.directory = 0;
	assert_int_equal(get("carl@a.example", &a), NO);
	settings.directory = 1;
	assert_int_equal(get("anna@a.example", &a), YES);
}

/* ---- answers ---- */

static const struct { const char *row; enum verdict said, want; bool good; } answers[] = {
	{ "",				NO,		NO,		true },
	{ "",				NOT_SURE,	NOT_SURE,	true },
	{ "",				YES,		YES,		true },	/* all of it as mail_uid and the like say */
	{ "password=x\nuid=9\ngid=8",	YES,		YES,		true },
	{ "mailbox=maildir:/x/y",	YES,		YES,		true },
	{ "state=disabled",		YES,		YES,		true },
	{ "uid=0",			YES,		NOT_SURE,	false },
	{ "nonsense",			YES,		NOT_SURE,	false },
	{ "uid=9",			NO,		NOT_SURE,	false },
	{ "uid=9",			NOT_SURE,	NOT_SURE,	false },
	{ "",				NO + 1,		NOT_SURE,	false },
};

static void
test_answers(void **state)
{
	for (size_t i = 0; i < LEN(answers); i++) {
		struct account a;
		struct bytes name;
		char row[32];

		snprintf(row, sizeof row, "row %zu", i);
		fresh(state);
		get("carl@a.example", &a);
		assert_row_int(row, account_memo_answer(&memo, account_memo_next(&memo, &name), answers[i].said,
		    text(answers[i].row), false), answers[i].good);
		assert_row_int(row, get("CARL@a.example", &a), answers[i].want);
		assert_row_int(row, accounts_want(accounts), false);	/* and is not asked for again */
		assert_row_int(row, account_memo_next(&memo, &name) == NULL, true);
		over(state);
	}
}

static void
answer(enum verdict v, const char *row, bool checks)
{
	struct bytes name;
	struct account_known *k = account_memo_next(&memo, &name);

	assert_non_null(k);
	assert_true(account_memo_answer(&memo, k, v, text(row), checks));
}

static void
test_account(void **state)
{
	struct account a;

	(void)state;
	get("Carl@A.example", &a);
	get("dora", &a);
	get("emil", &a);
	assert_int_equal(memo.wanted, 3);
	answer(YES, "password=x\nscram-sha-1=y\nuid=9\ngid=8", true);
	answer(YES, "mailbox=mbox:/var/mail/dora\nstate=disabled", false);
	assert_true(accounts_want(accounts));
	answer(YES, "", false);
	assert_false(accounts_want(accounts));
	assert_int_equal(get("Carl@A.example", &a), YES);
	assert_row_bytes("name", a.name, text("carl@a.example"));
	assert_row_bytes("mailbox", a.mailbox, text("maildir:/m/a.example/carl/Maildir"));
	assert_row_bytes("password", a.password, text("x"));
	assert_row_bytes("keys", a.scram_sha_1, text("y"));
	assert_int_equal(a.uid, 9);
	assert_int_equal(a.gid, 8);
	assert_true(a.from_directory && a.checked_elsewhere && !a.system && a.state == ACCOUNT_ACTIVE);
	assert_int_equal(get("dora", &a), YES);
	assert_row_bytes("mailbox", a.mailbox, text("mbox:/var/mail/dora"));
	assert_int_equal(a.uid, 5);
	assert_int_equal(a.gid, 6);
	assert_true(a.from_directory && !a.checked_elsewhere && !a.system && a.state == ACCOUNT_DISABLED);
	assert_int_equal(get("emil", &a), NOT_SURE);		/* without a domain there is no folder for it */
	settings.mail_gid = 0;					/* a mailbox of root's group: not so */
	assert_int_equal(get("dora", &a), NOT_SURE);
	assert_int_equal(get("carl@a.example", &a), YES);
	settings.mail_gid = 6;
	assert_int_equal(get("anna@a.example", &a), YES);
	assert_false(a.from_directory || a.checked_elsewhere);
}

/* Of names that nobody has, too: who judges their passwords. */
static void
test_checks(void **state)
{
	struct account a;

	(void)state;
	get("carl", &a);
	answer(NO, "", false);
	assert_false(memo.checks);
	get("dora", &a);
	answer(NO, "", true);
	assert_true(memo.checks);
	assert_int_equal(get("dora", &a), NO);
}

/* ---- limits ---- */

static void
test_names(void **state)
{
	struct account a;
	char name[64];

	(void)state;
	for (int i = 0; i <= ACCOUNT_MEMO_NAMES; i++) {
		snprintf(name, sizeof name, "u%d@a.example", i);
		assert_int_equal(get(name, &a), NOT_SURE);
		assert_int_equal(memo.wanted, i < ACCOUNT_MEMO_NAMES ? i + 1 : ACCOUNT_MEMO_NAMES);
		arena_reset(arena);
	}
	for (int i = 0; i < ACCOUNT_MEMO_NAMES; i++)
		answer(NO, "", false);
	assert_false(accounts_want(accounts));
	assert_int_equal(get("u0@a.example", &a), NO);
	assert_int_equal(get(name, &a), NOT_SURE);		/* the one beyond */
	assert_false(accounts_want(accounts));
}

static void
test_longest_name(void **state)
{
	char name[ACCOUNT_NAME_MAX + 2];
	struct account a;

	(void)state;
	memset(name, 'x', sizeof name);
	name[ACCOUNT_NAME_MAX] = '\0';
	assert_int_equal(get(name, &a), NOT_SURE);
	assert_true(accounts_want(accounts));
	name[ACCOUNT_NAME_MAX] = 'x';
	name[ACCOUNT_NAME_MAX + 1] = '\0';
	assert_int_equal(get(name, &a), NO);
}

/* Rows of the greatest length, until there are too many octets of them; one that is longer. */
static void
test_rows(void **state)
{
	enum { FIT = ACCOUNT_MEMO_OCTETS / ACCOUNT_ROW_MAX };
	static char row[ACCOUNT_ROW_MAX + 1];
	struct account a;
	struct bytes name;
	char at[64];

	(void)state;
	memset(row, 'x', sizeof row);
	memcpy(row, "password=", 9);
	for (int i = 0; i < FIT + 2; i++) {
		snprintf(at, sizeof at, "u%d@a.example", i);
		get(at, &a);
	}
	assert_false(account_memo_answer(&memo, account_memo_next(&memo, &name), YES, bytes_of(row, ACCOUNT_ROW_MAX + 1), false));
	for (int i = 0; i <= FIT; i++)
		assert_row_int(at, account_memo_answer(&memo, account_memo_next(&memo, &name), YES,
		    bytes_of(row, ACCOUNT_ROW_MAX), false), i < FIT);
	assert_int_equal(get("u0@a.example", &a), NOT_SURE);
	assert_int_equal(get("u1@a.example", &a), YES);
	assert_int_equal(get(at, &a), NOT_SURE);
	assert_false(accounts_want(accounts));
}

static void
test_closed(void **state)
{
	struct account a;
	struct bytes name;

	(void)state;
	get("carl", &a);
	get("dora", &a);
	get("emil@a.example", &a);
	account_memo_next(&memo, &name);
	answer(NO, "", false);
	account_memo_close(&memo);
	assert_false(accounts_want(accounts));
	assert_null(account_memo_next(&memo, &name));
	assert_int_equal(get("carl", &a), NOT_SURE);
	assert_int_equal(get("dora", &a), NO);
	assert_int_equal(get("emil@a.example", &a), NOT_SURE);
	assert_int_equal(get("new", &a), NOT_SURE);
	assert_false(accounts_want(accounts));
	account_memo_fini(&memo);			/* as new */
	get("carl", &a);
	assert_true(accounts_want(accounts));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_without),
		cmocka_unit_test(test_answers),
		cmocka_unit_test_setup_teardown(test_account, fresh, over),
		cmocka_unit_test_setup_teardown(test_checks, fresh, over),
		cmocka_unit_test_setup_teardown(test_names, fresh, over),
		cmocka_unit_test_setup_teardown(test_longest_name, fresh, over),
		cmocka_unit_test_setup_teardown(test_rows, fresh, over),
		cmocka_unit_test_setup_teardown(test_closed, fresh, over),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
