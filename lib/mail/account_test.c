/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

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
	{ "name=anna@a.example", true },		/* of a directory */
	{ "name=", false },
	{ "name=a b", false },
	{ "name=a\x01", false },
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
		assert_true(bytes_eq(a.password, b.password) && bytes_eq(a.mailbox, b.mailbox) && bytes_eq(a.name, b.name));
		assert_true(a.uid == b.uid && a.gid == b.gid && a.state == b.state);
	}
	assert_false(account_decode(bytes_of("password=a\0b", 12), arena, &a));
	assert_true(account_decode_row(text("password=a"), arena, &a));
	assert_false(account_decode_row(text("password=a\nname=anna"), arena, &a));
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

static const struct { const char *name, *want; } spellings[] = {
	{ "Anna@A.Example", "anna@a.example" },
	{ "Anna", "anna" },
	{ "anna@b\xc3\xbc" "cher.example", "anna@xn--bcher-kva.example" },
	{ "anna@B\xc3\x9c" "CHER.example", "anna@xn--bcher-kva.example" },
	{ "anna@XN--BCHER-KVA.example", "anna@xn--bcher-kva.example" },
	{ "\xc3\x89mile@a.example", "\xc3\x89mile@a.example" },	/* of ASCII alone is it known here what is lower case */
	{ "anna@b\xc3.Example", "anna@b\xc3.example" },		/* no domain; and nobody's */
	{ "a@b@C..D", "a@b@c..d" },
	{ "anna@", "anna@" },
	{ "", "" },
};

static void
test_spellings(void **state)
{
	struct arena *arena = arena_new(1 << 20);

	(void)state;
	for (size_t i = 0; i < LEN(spellings); i++)
		if (!bytes_eq(account_spelling(text(spellings[i].name), arena), text(spellings[i].want)))
			fail_msg("%s", spellings[i].name);
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
	assert_true(account_set_password(&a, arena, text("correct horse"), 8192));
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

	assert_false(account_set_password(&a, arena, text(""), 8192));
	assert_false(account_set_password(&a, arena, text("a\nb"), 8192));
	assert_false(account_set_password(&a, arena, bytes_of("a\0b", 3), 8192));
	memset(longest, 'x', sizeof longest);
	assert_false(account_set_password(&a, arena, bytes_of(longest, sizeof longest), 8192));
	assert_true(account_set_password(&a, arena, text("pa\xc3\x9fwort"), 8192));
	assert_int_equal(a.scram_sha_256.n, 0);		/* no SASLprep here */
	assert_int_equal(account_check_password(&a, text("pa\xc3\x9fwort"), false), YES);
	arena_free(&arena);
}

/* By this process: the machine may have other work. */
static uint64_t
worked_us(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
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
	assert_true(account_set_password(&a, arena, text("correct horse"), 8192));
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t at = worked_us();

		account_check_password(&a, text("wrong"), false);
		t[0] += worked_us() - at;
		at = worked_us();
		account_check_password(NULL, text("wrong"), false);
		t[1] += worked_us() - at;
		at = worked_us();
		account_check_password(&a, bytes_of(longest, sizeof longest), false);
		t[2] += worked_us() - at;
	}
	for (int i = 1; i < 3; i++)
		if (t[i] * 3 < t[0] || t[0] * 3 < t[i])
			fail_msg("%llu us and %llu us", (unsigned long long)t[0], (unsigned long long)t[i]);
	arena_free(&arena);
}

/* They look like anybody's, always the same, and nothing fits. */
static void
test_fake_keys(void **state)
{
	static const unsigned char secret[ACCOUNT_SECRET] = { 1 }, other[ACCOUNT_SECRET] = { 2 };
	struct arena *arena = arena_new(1 << 16);
	struct account real = { 0 }, a = { 0 }, b = { 0 };

	(void)state;
	assert_true(account_set_password(&real, arena, text("x"), 4096));
	assert_true(bytes_starts(real.scram_sha_1, text("4096:")) && bytes_starts(real.scram_sha_256, text("4096:")));
	assert_true(account_set_password(&real, arena, text("x"), 8192));
	account_fake_keys(secret, text("nobody@a.example"), 8192, arena, &a);
	assert_int_equal(a.scram_sha_1.n, real.scram_sha_1.n);
	assert_int_equal(a.scram_sha_256.n, real.scram_sha_256.n);
	assert_true(bytes_starts(a.scram_sha_1, text("8192:")) && bytes_starts(a.scram_sha_256, text("8192:")));
	assert_true(bytes_find(a.scram_sha_256, '$') == bytes_find(real.scram_sha_256, '$'));
	account_fake_keys(secret, text("NoBody@A.Example"), 8192, arena, &b);
	assert_true(bytes_eq(a.scram_sha_1, b.scram_sha_1) && bytes_eq(a.scram_sha_256, b.scram_sha_256));
	account_fake_keys(secret, text("nobody@a.example"), 1000000, arena, &b);
	assert_true(bytes_starts(b.scram_sha_1, text("1000000:")) && bytes_starts(b.scram_sha_256, text("1000000:")));
	account_fake_keys(secret, text("nobody@b.example"), 8192, arena, &b);
	assert_false(bytes_eq(a.scram_sha_1, b.scram_sha_1) || bytes_eq(a.scram_sha_256, b.scram_sha_256));
	account_fake_keys(other, text("nobody@a.example"), 8192, arena, &b);
	assert_false(bytes_eq(a.scram_sha_1, b.scram_sha_1) || bytes_eq(a.scram_sha_256, b.scram_sha_256));
	arena_free(&arena);
}

/* The keys of a password, with the salt that the made-up ones of that name have: nobody sees that they are others. */
static void
test_made_keys(void **state)
{
	static const unsigned char secret[ACCOUNT_SECRET] = { 1 };
	struct arena *arena = arena_new(1 << 20);
	struct account fake = { 0 }, a = { 0 }, b = { 0 }, other = { 0 };

	(void)state;
	account_fake_keys(secret, text("anna@a.example"), 8192, arena, &fake);
	account_make_keys(secret, text("anna@a.example"), text("secret"), true, 8192, arena, &a);
	assert_int_equal(a.scram_sha_1.n, 0);
	account_make_keys(secret, text("anna@a.example"), text("secret"), false, 8192, arena, &a);
	assert_int_equal(a.scram_sha_1.n, fake.scram_sha_1.n);
	assert_int_equal(a.scram_sha_256.n, fake.scram_sha_256.n);
	assert_true(bytes_starts(a.scram_sha_1, bytes_head(fake.scram_sha_1, bytes_find(fake.scram_sha_1, '$') + 1)));
	assert_true(bytes_starts(a.scram_sha_256, bytes_head(fake.scram_sha_256, bytes_find(fake.scram_sha_256, '$') + 1)));
	assert_false(bytes_eq(a.scram_sha_256, fake.scram_sha_256));
	account_make_keys(secret, text("ANNA@a.example"), text("secret"), true, 8192, arena, &b);
	assert_true(bytes_eq(a.scram_sha_256, b.scram_sha_256));
	account_make_keys(secret, text("anna@a.example"), text("Secret"), true, 8192, arena, &other);
	assert_false(bytes_eq(a.scram_sha_256, other.scram_sha_256));
	other.scram_sha_256 = text("as before");
	account_make_keys(secret, text("anna@a.example"), text("\xc3\xa4"), true, 8192, arena, &other);
	account_make_keys(secret, text("anna@a.example"), text(""), true, 8192, arena, &other);
	assert_true(bytes_eq(other.scram_sha_256, text("as before")));
	arena_free(&arena);
}

static void
test_secret(void **state)
{
	struct account a = { .secret = text("secret"), .password = text("{PLAIN}other") };

	(void)state;
	assert_int_equal(account_check_secret(&a, text("secret")), YES);
	assert_int_equal(account_check_secret(&a, text("secre")), NO);
	assert_int_equal(account_check_secret(&a, text("other")), NO);
	assert_int_equal(account_check_secret(&a, text("")), NO);
	a.state = ACCOUNT_DISABLED;
	assert_int_equal(account_check_secret(&a, text("secret")), NO);
	a = (struct account){ .name = text("anna") };
	assert_int_equal(account_check_secret(&a, text("")), NO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_fake_keys),
		cmocka_unit_test(test_made_keys),
		cmocka_unit_test(test_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
