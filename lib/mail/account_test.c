/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "mail/account.h"

static const struct { const char *row; bool ok; } rows[] = {
	{ "", true },
	{ "password=x", true },
	{ "password=x\nuid=5\ngid=6\nstate=disabled\nmailbox=maildir:/a/b", true },
	{ "password={PLAIN}a=b c", true },
	{ "password", false },
	{ "password=x\n\nuid=5", false },
	{ "password=x\npassword=y", false },	/* which? CVE-2008-1218 */
	{ "passwrod=x", false },
	{ "uid=-1", false },
	{ "password=x\nuid=0", false },	/* root owns no mailbox; taken for "not said" it was someone else's */
	{ "password=x\ngid=0", false },
	{ "uid=4294967295", false },
	{ "uid= 5", false },
	{ "uid=", false },
	{ "state=", false },
	{ "state=Active", false },
	{ "mailbox=/a", false },
	{ "mailbox=maildir:a", false },
	{ "mailbox=maildir:/a/../../etc", false },
	{ "mailbox=maildir:/..", false },
	{ "mailbox=sh:/bin", false },
	{ "mailbox=maildir:/a\tb", false },
};

static void
test_rows(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	struct account a, b;
	struct buf row;

	(void)state;
	buf_init(&row, ACCOUNT_ROW_MAX);
	for (size_t i = 0; i < LEN(rows); i++) {
		if (account_decode(text(rows[i].row), arena, &a) != rows[i].ok)
			fail_msg("%s", rows[i].row);
		if (!rows[i].ok)
			continue;
		buf_clear(&row);
		account_encode(&a, &row);
		assert_true(account_decode(buf_bytes(&row), arena, &b));
		assert_true(bytes_eq(a.password, b.password) && bytes_eq(a.mailbox, b.mailbox));
		assert_true(a.uid == b.uid && a.gid == b.gid && a.state == b.state);
	}
	assert_false(account_decode(bytes_of("password=a\0b", 12), arena, &a));
	buf_fini(&row);
	arena_free(&arena);
}

static const struct { const char *name, *mailbox; } mailboxes[] = {
	{ "anna@a.example", "maildir:/m/a.example/anna/Maildir" },
	{ "a b@a.example", "maildir:/m/a.example/a b/Maildir" },
	{ "anna", NULL },
	{ "../x@a.example", NULL },
	{ ".hidden@a.example", NULL },
	{ "a/b@a.example", NULL },
	{ "..@a.example", NULL },
	{ "anna@..", NULL },
	{ "@a.example", NULL },
};

static void
test_mailboxes(void **state)
{
	struct account_settings s = { .mail_directory = "/m" };
	struct arena *arena = arena_new(1 << 20);
	struct bytes out;

	(void)state;
	for (size_t i = 0; i < LEN(mailboxes); i++) {
		bool good = account_mailbox(&s, text(mailboxes[i].name), arena, &out);

		if (good != (mailboxes[i].mailbox != NULL) || (good && !bytes_eq(out, text(mailboxes[i].mailbox))))
			fail_msg("%s", mailboxes[i].name);
	}
	arena_free(&arena);
}

static const struct { const char *pattern; bool ok; } patterns[] = {
	{ "maildir:~/Maildir", true },
	{ "mbox:/var/mail/%u", true },
	{ "maildir:Maildir", false },
	{ "/var/mail/%u", false },
	{ "maildir:/x/../%u", false },
	{ "", false },
};

static void
test_patterns(void **state)
{
	char why[256];

	(void)state;
	for (size_t i = 0; i < LEN(patterns); i++)
		if (account_is_pattern(patterns[i].pattern, why, sizeof why) != patterns[i].ok)
			fail_msg("%s", patterns[i].pattern);
}

static void
test_passwords(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	struct account a = { 0 };
	char longest[600];

	(void)state;
	assert_true(account_set_password(&a, arena, text("correct horse")));
	assert_true(bytes_starts(a.password, text("$y$")));
	assert_true(bytes_starts(a.scram_sha_1, text("8192:")));
	assert_true(a.scram_sha_256.n > 0);
	assert_int_equal(account_check_password(&a, text("correct horse"), false), YES);
	assert_int_equal(account_check_password(&a, text("correct horsf"), false), NO);
	assert_int_equal(account_check_password(&a, text(""), false), NO);
	assert_int_equal(account_check_password(&a, bytes_of("correct horse\0x", 15), false), NO);
	assert_int_equal(account_check_password(NULL, text("nobody has this"), false), NO);
	a.state = ACCOUNT_DISABLED;
	assert_int_equal(account_check_password(&a, text("correct horse"), false), NO);
	a.state = ACCOUNT_ACTIVE;
	a.system = true;
	assert_int_equal(account_check_password(&a, text("correct horse"), false), NO);
	a.system = false;

	a.password = text("{PLAIN}secret");
	assert_int_equal(account_check_password(&a, text("secret"), true), YES);
	assert_int_equal(account_check_password(&a, text("Secret"), true), NO);
	assert_int_equal(account_check_password(&a, text("secret"), false), NO);
	assert_int_equal(account_check_password(&a, text("{PLAIN}secret"), false), NO);
	a.password = text("");
	assert_int_equal(account_check_password(&a, text(""), true), NO);

	assert_false(account_set_password(&a, arena, text("")));
	assert_false(account_set_password(&a, arena, text("a\nb")));
	assert_false(account_set_password(&a, arena, bytes_of("a\0b", 3)));
	memset(longest, 'x', sizeof longest);
	assert_false(account_set_password(&a, arena, bytes_of(longest, sizeof longest)));
	assert_true(account_set_password(&a, arena, text("pa\xc3\x9fwort")));
	assert_int_equal(a.scram_sha_256.n, 0);		/* no SASLprep here */
	assert_int_equal(account_check_password(&a, text("pa\xc3\x9fwort"), false), YES);
	arena_free(&arena);
}

/* Unknown users, wrong passwords and overlong ones cost the same work (CVE-2026-27856). */
static void
test_time(void **state)
{
	enum { ROUNDS = 5 };
	struct arena *arena = arena_new(1 << 20);
	struct account a = { 0 };
	uint64_t t[3] = { 0 };
	char longest[600];

	(void)state;
	memset(longest, 'x', sizeof longest);
	account_password_ready();
	assert_true(account_set_password(&a, arena, text("correct horse")));
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t at = (uint64_t)clock_wall_us();

		account_check_password(&a, text("wrong"), false);
		t[0] += (uint64_t)clock_wall_us() - at;
		at = (uint64_t)clock_wall_us();
		account_check_password(NULL, text("wrong"), false);
		t[1] += (uint64_t)clock_wall_us() - at;
		at = (uint64_t)clock_wall_us();
		account_check_password(&a, bytes_of(longest, sizeof longest), false);
		t[2] += (uint64_t)clock_wall_us() - at;
	}
	for (int i = 1; i < 3; i++)
		if (t[i] * 3 < t[0] || t[0] * 3 < t[i])
			fail_msg("%llu us and %llu us", (unsigned long long)t[0], (unsigned long long)t[i]);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
