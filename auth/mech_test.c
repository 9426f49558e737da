/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "auth/auth.h"

#define OCTETS(literal) bytes_of(literal, sizeof(literal) - 1)

static int
open_mechs(void **state)
{
	char why[256];

	(void)state;
	if (mechs_open("mx.a.example", why, sizeof why))
		return 0;
	print_error("%s\n", why);
	return -1;
}

static int
close_mechs(void **state)
{
	(void)state;
	mechs_close();
	return 0;
}

#define NONE { NULL, 0 }

/* RFC 4616 section 4. */
static void
test_plain(void **state)
{
	const struct { struct bytes initial; enum mech_result want; const char *user; struct bytes password; } cases[] = {
		{ OCTETS("\0anna@a.example\0secret"), MECH_CREDENTIALS, "anna@a.example", OCTETS("secret") },
		{ OCTETS("\0tim\0tanstaaf\ttanstaaf"), MECH_CREDENTIALS, "tim", OCTETS("tanstaaf\ttanstaaf") },
		{ OCTETS("tim\0tim\0x"), MECH_CREDENTIALS, "tim", OCTETS("x") },
		{ OCTETS("Ursel\0Kurt\0xipj3plmq"), MECH_FAILED, NULL, NONE },	/* for another */
		{ OCTETS(""), MECH_FAILED, NULL, NONE },
		{ OCTETS("\0"), MECH_FAILED, NULL, NONE },
		{ OCTETS("\0tim"), MECH_FAILED, NULL, NONE },
		{ OCTETS("\0tim\0"), MECH_CREDENTIALS, "tim", OCTETS("") },
		{ OCTETS("\0\0x"), MECH_FAILED, NULL, NONE },
		{ OCTETS("\0tim\0x\0y"), MECH_FAILED, NULL, NONE },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		for (int later = 0; later < 2; later++) {
			struct mech *m = mech_new();
			struct bytes challenge;
			enum mech_result r;

			assert_non_null(m);
			if (later) {
				assert_int_equal(mech_start(m, text("plain"), NULL, &challenge), MECH_MORE);
				assert_int_equal(challenge.n, 0);
				r = mech_step(m, cases[i].initial, &challenge);
			} else
				r = mech_start(m, text("PLAIN"), &cases[i].initial, &challenge);
			if (r != cases[i].want)
				fail_msg("row %zu: %d", i, r);
			if (r == MECH_CREDENTIALS) {
				assert_true(bytes_eq(mech_user(m), text(cases[i].user)));
				assert_true(bytes_eq(mech_password(m), cases[i].password));
			}
			mech_free(&m);
		}
}

static void
test_login(void **state)
{
	struct bytes challenge, user = text("anna@a.example");

	(void)state;
	for (int initial = 0; initial < 2; initial++) {
		struct mech *m = mech_new();

		if (initial)
			assert_int_equal(mech_start(m, text("LOGIN"), &user, &challenge), MECH_MORE);
		else {
			assert_int_equal(mech_start(m, text("LOGIN"), NULL, &challenge), MECH_MORE);
			assert_true(bytes_eq(challenge, text("Username:")));
			assert_int_equal(mech_step(m, user, &challenge), MECH_MORE);
		}
		assert_true(bytes_eq(challenge, text("Password:")));
		assert_int_equal(mech_step(m, text("pass word"), &challenge), MECH_CREDENTIALS);
		assert_true(bytes_eq(mech_user(m), user));
		assert_true(bytes_eq(mech_password(m), text("pass word")));
		mech_free(&m);
	}
}

static void
test_unknown(void **state)
{
	static const char *const names[] = { "", "CRAM-MD5", "DIGEST-MD5", "ANONYMOUS", "EXTERNAL", "PLAIN ",
	    "PLAI", "PLAIN LOGIN", "SCRAM-SHA-256" };
	struct bytes challenge;

	(void)state;
	for (size_t i = 0; i < LEN(names); i++) {
		struct mech *m = mech_new();

		assert_int_equal(mech_start(m, text(names[i]), NULL, &challenge), MECH_UNKNOWN);
		mech_free(&m);
	}
}

static void
test_penalty(void **state)
{
	struct penalties *p = penalties_new();
	struct bytes a = text("192.0.2.1"), b = text("192.0.2.2");
	uint64_t now = 1000000;

	(void)state;
	assert_int_equal(penalty_failed(p, a, now), 250);
	assert_int_equal(penalty_failed(p, a, now), 500);
	assert_int_equal(penalty_failed(p, a, now), 1000);
	assert_int_equal(penalty_failed(p, b, now), 250);
	for (int i = 0; i < 200; i++)
		assert_true(penalty_failed(p, a, now) <= PENALTY_MAX_MS);
	penalty_passed(p, a);
	assert_int_equal(penalty_failed(p, a, now), 250);
	assert_int_equal(penalty_failed(p, a, now + 700000), 250);	/* forgotten */
	assert_int_equal(penalty_failed(p, text("2001:db8::1"), now), 250);
	assert_int_equal(penalty_failed(p, text("2001:db8::2"), now), 500);	/* the same /64 */
	assert_int_equal(penalty_failed(p, text("2001:db8:0:1::1"), now), 250);
	penalties_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_penalty),
	};

	return cmocka_run_group_tests(tests, open_mechs, close_mechs);
}
