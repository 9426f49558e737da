/* SPDX-License-Identifier: ISC */
#include "mail/ledger_testing.h"

#include "base/clock.h"

static bool
mark_seen(struct ledger *l, struct bytes name)
{
	uint32_t flags, uid = ledger_find(l, name, &flags);

	flags |= MAIL_SEEN;
	return uid != 0 && ledger_set_flags(l, &uid, &flags, 1, false);
}

static void
test_gives_and_keeps(void **state)
{
	struct ledger *l = opened();
	uint32_t validity = ledger_uidvalidity(l);
	uint32_t flags = 0;

	(void)state;
	assert_int_not_equal(validity, 0);
	give(l, "a", 50, 1);
	assert_true(mark_seen(l, text("a7")));
	ledger_free(&l);
	l = opened();
	assert_int_equal(ledger_uidvalidity(l), validity);
	assert_int_equal(ledger_uidnext(l), 51);
	assert_int_equal(uid_of(l, "a0"), 1);
	assert_int_equal(ledger_find(l, text("a7"), &flags), 8);
	assert_int_equal(flags, MAIL_SEEN);
	assert_int_equal(ledger_find(l, text("a50"), &flags), 0);
	assert_int_equal(flags, 0);
	assert_int_equal(uid_of(l, "a49"), 50);
	assert_int_equal(uid_of(l, "b"), 0);
	give(l, "b", 1, 51);
	ledger_free(&l);
}

/* What one gives, the other sees, and gives no UID twice. */
static void
test_two_at_once(void **state)
{
	struct ledger *a = opened(), *b = ledger_new(dir, "m", "test");

	(void)state;
	give(a, "x", 3, 1);
	assert_false(ledger_lock(b, 20));
	assert_int_equal(errno, ETIMEDOUT);
	ledger_unlock(a);
	assert_true(ledger_lock(b, 20));
	assert_true(ledger_load(b));
	assert_int_equal(uid_of(b, "x2"), 3);
	give(b, "y", 2, 4);
	ledger_unlock(b);
	assert_true(ledger_lock(a, 20));
	assert_true(ledger_load(a));
	assert_int_equal(uid_of(a, "y1"), 5);
	assert_true(ledger_lock_session(a));
	assert_false(ledger_lock_session(b));
	ledger_free(&a);
	assert_true(ledger_lock_session(b));
	ledger_free(&b);
}

static void
test_trim(void **state)
{
	struct ledger *l = opened();
	struct stat before, after;
	char prefix[16];

	(void)state;
	for (uint32_t i = 0; i < 30; i++) {
		snprintf(prefix, sizeof prefix, "n%u-", (unsigned)i);
		give(l, prefix, 100, i * 100 + 1);
	}
	fstatat(dir, files[0], &before, 0);
	ledger_marks(l);
	assert_int_equal(uid_of(l, "n29-99"), 3000);
	assert_int_equal(ledger_missing(l), 2999);
	ledger_trim(l);
	fstatat(dir, files[0], &after, 0);
	assert_true(after.st_size < before.st_size / 100);
	assert_int_equal(uid_of(l, "n0-0"), 0);
	ledger_free(&l);
	l = opened();
	assert_int_equal(uid_of(l, "n29-99"), 3000);
	give(l, "x", 1, 3001);
	ledger_free(&l);
}

static void
test_uids_used_up(void **state)
{
	struct ledger_header h = { .uidvalidity = 77, .uidnext = LEDGER_UID_LAST, .generation = 1 };
	struct bytes names[2] = { text("a"), text("b") };
	uint32_t uids[2], validity;
	struct ledger *l;

	(void)state;
	write_copies(&h, NULL, 0, true);
	l = opened();
	validity = ledger_uidvalidity(l);
	assert_int_equal(validity, 77);
	assert_false(ledger_give(l, names, 2, uids));
	assert_int_equal(errno, ESTALE);
	assert_true(ledger_uidvalidity(l) > validity);
	assert_true(ledger_give(l, names, 2, uids));
	assert_int_equal(uids[1], 2);
	ledger_free(&l);
}

/* A lock file that is removed by hand keeps nobody out, and harms nobody. */
static void
test_lock_file_removed(void **state)
{
	struct ledger *a = ledger_new(dir, "m", "test"), *b = opened();

	(void)state;
	ledger_unlock(b);
	assert_true(ledger_lock(a, 0));
	ledger_unlock(a);
	unlinkat(dir, "m.lock", 0);
	assert_true(ledger_lock(b, 0));
	assert_false(ledger_lock(a, 0));
	ledger_free(&a);
	ledger_free(&b);
}

static uint32_t
begun_above(uint32_t floor)
{
	struct ledger *l = ledger_new(dir, "m", "test");
	uint32_t v;

	ledger_above(l, floor);
	assert_true(ledger_lock(l, 100));
	assert_true(ledger_load(l) && ledger_keep(l));
	v = ledger_uidvalidity(l);
	ledger_free(&l);
	return v;
}

/* Whatever the clock says; and as long as there is a ledger, it holds. */
static void
test_above(void **state)
{
	uint32_t far = (uint32_t)clock_wall_s() + 1000000;

	(void)state;
	assert_int_equal(ledger_last_uidvalidity(dir, "m"), 0);
	assert_int_equal(begun_above(far), far + 1);
	assert_int_equal(begun_above(far + 100), far + 1);
	assert_int_equal(ledger_last_uidvalidity(dir, "m"), far + 1);
	assert_int_equal(unlinkat(dir, "m.ledger", 0), 0);
	assert_int_equal(ledger_last_uidvalidity(dir, "m"), far + 1);
	overwrite("m.ledger2", text("nonsense"));		/* then its time tells */
	assert_in_range(ledger_last_uidvalidity(dir, "m"), far - 1000100, far - 999900);
	assert_int_equal(begun_above(UINT32_MAX - 1), UINT32_MAX);
	assert_int_equal(unlinkat(dir, "m.ledger", 0) + unlinkat(dir, "m.ledger2", 0), 0);
	assert_int_equal(begun_above(UINT32_MAX), UINT32_MAX);
}

static void
test_renew(void **state)
{
	struct ledger *l = opened();
	uint32_t v = ledger_uidvalidity(l);

	(void)state;
	give(l, "a", 3, 1);
	ledger_above(l, v + 50);
	assert_true(ledger_renew(l));
	ledger_free(&l);
	assert_int_equal(unlinkat(dir, "m.ledger", 0), 0);
	l = opened();
	assert_int_equal(ledger_uidvalidity(l), v + 51);
	assert_int_equal(uid_of(l, "a2"), 3);
	assert_int_equal(ledger_uidnext(l), 4);
	ledger_free(&l);
}

/* ---- flags ---- */

static void
test_flags(void **state)
{
	struct ledger *l = opened();
	uint32_t uids[3] = { 2, 4, 5 }, flags[3] = { MAIL_FLAGGED, MAIL_SEEN | (uint32_t)MAIL_KEYWORD << 25, 0 };

	(void)state;
	give(l, "a", 5, 1);
	assert_true(ledger_set_flags(l, uids, flags, 3, true));
	ledger_free(&l);
	l = opened();
	assert_int_equal(ledger_flags(l, text("a0")), 0);
	assert_int_equal(ledger_flags(l, text("a1")), MAIL_FLAGGED);
	assert_int_equal(ledger_flags(l, text("a3")), MAIL_SEEN | (uint32_t)MAIL_KEYWORD << 25);
	assert_int_equal(ledger_flags(l, text("none")), 0);
	assert_int_equal(uid_of(l, "a1"), 2);
	assert_true(mark_seen(l, text("a1")));
	assert_true(mark_seen(l, text("a1")));
	assert_false(mark_seen(l, text("none")));
	assert_int_equal(unlinkat(dir, files[0], 0), 0);
	ledger_free(&l);
	l = opened();			/* written anew */
	assert_int_equal(ledger_flags(l, text("a1")), MAIL_FLAGGED | MAIL_SEEN);
	assert_int_equal(ledger_flags(l, text("a3")), MAIL_SEEN | (uint32_t)MAIL_KEYWORD << 25);
	flags[1] = 0;
	assert_true(ledger_set_flags(l, uids, flags, 2, false));
	ledger_free(&l);
	l = opened();
	assert_int_equal(ledger_flags(l, text("a1")), MAIL_FLAGGED);
	assert_int_equal(ledger_flags(l, text("a3")), 0);
	ledger_free(&l);
}

/* All or none. */
static void
test_flags_of_what_is_not_known(void **state)
{
	struct ledger *l = opened();
	uint32_t uids[2] = { 1, 9 }, flags[2] = { MAIL_SEEN, MAIL_SEEN };

	(void)state;
	give(l, "a", 2, 1);
	assert_false(ledger_set_flags(l, uids, flags, 2, true));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(ledger_flags(l, text("a0")), 0);
	assert_true(ledger_set_flags(l, NULL, NULL, 0, true));
	ledger_free(&l);
}

/* Flags set over and over do not make the file longer and longer. */
static void
test_flags_again_and_again(void **state)
{
	struct ledger *l = opened();
	uint32_t uids[100], flags[100];
	struct stat st;

	(void)state;
	give(l, "a", 100, 1);
	for (uint32_t i = 0; i < 100; i++)
		uids[i] = i + 1;
	for (uint32_t round = 0; round < 2500; round++) {
		for (uint32_t i = 0; i < 100; i++)
			flags[i] = round ^ i;
		assert_true(ledger_set_flags(l, uids, flags, 100, false));
		assert_int_equal(fstatat(dir, files[0], &st, 0), 0);
		assert_true(st.st_size < 3 << 20);
	}
	assert_int_equal(ledger_flags(l, text("a7")), 2499 ^ 7);
	ledger_free(&l);
	l = opened();
	assert_int_equal(ledger_flags(l, text("a7")), 2499 ^ 7);
	ledger_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_gives_and_keeps), T(test_two_at_once), T(test_trim), T(test_uids_used_up),
		T(test_lock_file_removed), T(test_above), T(test_renew), T(test_flags), T(test_flags_of_what_is_not_known),
		T(test_flags_again_and_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
