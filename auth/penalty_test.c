/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth.h"

#define HOUR 3600000u

static uint64_t
failed(struct penalties *p, const char *client, const char *user, uint64_t now_ms)
{
	return penalty_failed(p, text(client), text(user), now_ms);
}

static void
passed(struct penalties *p, const char *client, const char *user, uint64_t now_ms)
{
	penalty_passed(p, text(client), text(user), now_ms);
}

/* The count under that name; 0: there is none. */
static uint32_t
count(struct penalties *p, enum penalty_of of, const char *name, uint64_t now_ms)
{
	struct penalty_seen seen;
	uint32_t at = 0;

	while (penalty_next(p, of, &at, now_ms, &seen))
		if (bytes_eq(bytes_of(seen.row.name, seen.row.name_n), text(name)))
			return seen.row.count.n;
	return 0;
}

static void
test_waits(void **state)
{
	static const uint64_t want[] = { 250, 500, 1000, 2000, 2000, 2000 };
	struct penalties *p = penalties_new(-1);

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)		/* of one address, at many names */
		assert_int_equal(failed(p, "192.0.2.1", i % 2 ? "anna" : "bert", 1000 * i), want[i]);
	assert_int_equal(failed(p, "192.0.2.2", "cleo", 7000), 250);
	assert_int_equal(failed(p, "192.0.2.3", "anna", 7000), 2000);	/* the fourth at this name */
	assert_int_equal(failed(p, "192.0.2.4", "ANNA", 7000), 2000);	/* however it is written */
	assert_int_equal(failed(p, "192.0.2.2", "", 7000), 500);	/* no name was said */
	assert_int_equal(failed(p, "192.0.2.5", "", 7000), 250);
	assert_int_equal(count(p, PENALTY_ACCOUNT, "", 7000), 0);
	penalties_free(&p);
}

static void
test_left(void **state)
{
	static const struct { uint64_t wait, took, left; } rows[] = {
		{ 250, 0, 250000 }, { 250, 50001, 199999 }, { 250, 250000, 0 }, { 250, 250001, 249999 }, { 250, 500000, 0 },
		{ 250, 500001, 249999 }, { 2000, 51000, 1949000 }, { 2000, 1999999, 1 }, { 2000, 2000001, 249999 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		assert_int_equal(penalty_left(rows[i].wait, rows[i].took), rows[i].left);
}

static uint64_t
rank(struct penalties *p, const char *client, const char *user, uint64_t now_ms)
{
	return penalty_rank(p, text(client), text(user), now_ms);
}

static uint64_t
stranger(uint64_t of_address, uint64_t of_name)
{
	return PENALTY_STRANGER | of_address << 32 | of_name;
}

/* The address counts first, as long as its failures are not forgotten. */
static void
test_rank(void **state)
{
	struct penalties *p = penalties_new(-1);

	(void)state;
	failed(p, "2001:db8::1", "anna", 0);
	failed(p, "2001:db8::2", "bert", 0);
	failed(p, "192.0.2.1", "anna", 0);
	assert_true(rank(p, "2001:db8::3", "cleo", HOUR) == stranger(2, 0));
	assert_true(rank(p, "192.0.2.1", "ANNA", HOUR) == stranger(1, 2));
	assert_true(rank(p, "192.0.2.1", "", HOUR) == stranger(1, 0));
	assert_true(rank(p, "192.0.2.1", "anna", HOUR + 1000) == stranger(0, 0));
	assert_true(rank(p, "192.0.2.2", "anna", 0) == stranger(0, 2));
	assert_true(rank(p, "192.0.2.2", "cleo", 0) == stranger(0, 0));
	penalties_free(&p);
}

/* Who was let in is before all others, where he was, until he fails there, or does not come for thirty days. */
static void
test_known(void **state)
{
	struct penalties *p = penalties_new(-1);
	const uint64_t day = 24 * HOUR;

	(void)state;
	failed(p, "192.0.2.1", "anna", 0);
	failed(p, "192.0.2.1", "bert", 0);
	failed(p, "192.0.2.7", "anna", 0);
	passed(p, "192.0.2.1", "Anna", 0);
	assert_true(rank(p, "192.0.2.1", "anna", 0) == 0);
	assert_true(rank(p, "192.0.2.1", "", 0) == stranger(1, 0));
	assert_true(rank(p, "192.0.2.1", "bert", 0) == stranger(1, 1));
	assert_true(rank(p, "192.0.2.2", "anna", 0) == stranger(0, 1));
	failed(p, "192.0.2.1", "anna", 1000);
	assert_true(rank(p, "192.0.2.1", "anna", 1000) == stranger(2, 2));
	assert_true(rank(p, "192.0.2.1", "anna", HOUR + 2000) == 0);	/* forgotten */
	failed(p, "192.0.2.1", "anna", HOUR + 3000);
	passed(p, "192.0.2.1", "anna", HOUR + 4000);
	assert_true(rank(p, "192.0.2.1", "anna", 30 * day) == 0);
	assert_true(rank(p, "192.0.2.1", "anna", 30 * day + 2 * HOUR) == stranger(0, 0));
	passed(p, "192.0.2.1", "anna", 30 * day + 2 * HOUR);
	assert_true(rank(p, "192.0.2.1", "anna", 60 * day) == 0);
	penalties_free(&p);
}

/* At an hour it is known, one second past it is not. */
static void
test_forgotten(void **state)
{
	struct penalties *p = penalties_new(-1);

	(void)state;
	failed(p, "192.0.2.1", "anna", 0);
	assert_int_equal(count(p, PENALTY_ADDRESS, "192.0.2.1", HOUR), 1);
	assert_int_equal(count(p, PENALTY_ADDRESS, "192.0.2.1", HOUR + 1000), 0);
	assert_int_equal(failed(p, "192.0.2.1", "bert", HOUR), 500);
	assert_int_equal(failed(p, "192.0.2.9", "anna", HOUR + 1000), 250);
	assert_int_equal(failed(p, "192.0.2.1", "cleo", 2 * HOUR + 1000), 250);
	penalties_free(&p);
}

static void
test_own_failures_are_taken_back(void **state)
{
	struct penalties *p = penalties_new(-1);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		failed(p, "192.0.2.1", "anna", 0);
	failed(p, "192.0.2.1", "bert", 0);
	failed(p, "192.0.2.7", "anna", 0);
	passed(p, "192.0.2.1", "cleo", 0);	/* who has his own account gets nothing back for it */
	passed(p, "192.0.2.7", "bert", 0);
	assert_int_equal(count(p, PENALTY_ADDRESS, "192.0.2.1", 0), 4);
	assert_int_equal(count(p, PENALTY_ACCOUNT, "anna", 0), 4);
	passed(p, "192.0.2.1", "Anna", 0);
	assert_int_equal(count(p, PENALTY_ADDRESS, "192.0.2.1", 0), 1);
	assert_int_equal(count(p, PENALTY_ACCOUNT, "anna", 0), 1);
	passed(p, "192.0.2.1", "anna", 0);	/* nothing is left to take back */
	assert_int_equal(count(p, PENALTY_ADDRESS, "192.0.2.1", 0), 1);
	passed(p, "192.0.2.1", "bert", 0);
	assert_int_equal(count(p, PENALTY_ADDRESS, "192.0.2.1", 0), 0);
	assert_int_equal(count(p, PENALTY_ACCOUNT, "bert", 0), 0);
	for (unsigned i = 0; i < 3; i++)	/* what was cleared is not taken back once more, from others */
		failed(p, "192.0.2.1", "anna", 0);
	penalty_clear(p, text("anna"));
	assert_int_equal(failed(p, "192.0.2.10", "anna", 0), 250);
	assert_int_equal(failed(p, "192.0.2.11", "anna", 0), 500);
	failed(p, "192.0.2.1", "bert", 0);
	penalty_clear(p, text("192.0.2.1"));
	assert_int_equal(failed(p, "192.0.2.1", "anna", 0), 1000);
	passed(p, "192.0.2.1", "anna", 0);
	assert_int_equal(count(p, PENALTY_ACCOUNT, "anna", 0), 2);
	penalties_free(&p);
}

static void
test_addresses(void **state)
{
	struct penalties *p = penalties_new(-1);

	(void)state;
	assert_int_equal(failed(p, "2001:db8:0:1::1", "a", 0), 250);
	assert_int_equal(failed(p, "2001:db8:0:1:ffff::2", "b", 0), 500);	/* one client's /64 */
	assert_int_equal(failed(p, "2001:db8:0:2::1", "c", 0), 250);
	assert_int_equal(failed(p, "::ffff:192.0.2.1", "d", 0), 250);
	assert_int_equal(failed(p, "192.0.2.1", "e", 0), 500);
	assert_int_equal(failed(p, "no address", "f", 0), 250);
	assert_int_equal(count(p, PENALTY_ADDRESS, "2001:db8:0:1::/64", 0), 2);
	assert_int_equal(penalty_clear(p, text("2001:db8:0:1::/64")), 1);
	assert_int_equal(penalty_clear(p, text("2001:db8:0:2::77")), 1);
	assert_int_equal(penalty_clear(p, text("192.0.2.1")), 1);
	assert_int_equal(penalty_clear(p, text("192.0.2.1")), 0);
	assert_int_equal(penalty_clear(p, text("A")), 1);
	assert_int_equal(count(p, PENALTY_ACCOUNT, "a", 0), 0);
	assert_int_equal(penalty_clear_all(p), 6);	/* the names b to f, and what is no address */
	penalties_free(&p);
}

/* A name counts by 320 octets, in lower case; more are not looked at. */
static void
test_long_names(void **state)
{
	struct penalties *p = penalties_new(-1);
	char name[323];

	(void)state;
	memset(name, 'x', sizeof name);
	for (unsigned n = 319; n <= 322; n++) {
		char client[32];

		snprintf(client, sizeof client, "192.0.2.%u", n - 300);
		name[n] = '\0';
		assert_int_equal(failed(p, client, name, 0), n <= 320 ? 250 : n == 321 ? 500 : 1000);
		name[n] = 'x';
	}
	penalties_free(&p);
}

static void
test_restored(void **state)
{
	struct penalties *p = penalties_new(-1);
	struct penalty kept = { .of = PENALTY_ACCOUNT, .failures = 3, .name = "anna", .name_n = 4 };

	(void)state;
	penalty_restore(p, &kept, 3600, 1000);		/* older than the host is up */
	assert_int_equal(count(p, PENALTY_ACCOUNT, "anna", 1000), 3);
	assert_int_equal(count(p, PENALTY_ACCOUNT, "anna", 2000), 0);
	kept.name[0] = 'b';
	penalty_restore(p, &kept, 3601, 1000);
	assert_int_equal(count(p, PENALTY_ACCOUNT, "bnna", 1000), 0);
	penalty_restore(p, &kept, -100000, 1000);	/* the clock was set back */
	assert_int_equal(count(p, PENALTY_ACCOUNT, "bnna", 1000 + HOUR), 3);
	failed(p, "192.0.2.1", "bnna", 5000);
	penalty_restore(p, &kept, 10, 5000);		/* beside what has come since */
	assert_int_equal(count(p, PENALTY_ACCOUNT, "bnna", 5000), 7);
	assert_int_equal(count(p, PENALTY_ACCOUNT, "bnna", 5000 + HOUR), 7);
	kept.failures = UINT32_MAX;
	penalty_restore(p, &kept, 0, 5000);
	assert_int_equal(failed(p, "192.0.2.3", "bnna", 5000), PENALTY_MAX_MS);
	penalties_free(&p);
}

/* Ten thousand addresses at ten thousand names: who comes for the first time is as if nothing were. */
static void
test_flood(void **state)
{
	struct penalties *p = penalties_new(-1);
	char client[32], user[32];
	unsigned first = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(client, sizeof client, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		snprintf(user, sizeof user, "user%u@hermod.test", i);
		first += failed(p, client, user, i) == 250;
	}
	assert_int_equal(first, 100000);
	assert_int_equal(failed(p, "192.0.2.1", "anna", 100000), 250);
	assert_int_equal(failed(p, "192.0.2.1", "anna", 100000), 500);
	passed(p, "192.0.2.1", "anna", 100000);
	assert_int_equal(failed(p, "192.0.2.1", "anna", 100000), 250);
	penalties_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_rank),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_own_failures_are_taken_back),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
