/* SPDX-License-Identifier: ISC */
/* The floor of mod-sequences. */
#include "mail/ledger_testing.h"

static void
test_floor(void **state)
{
	struct ledger *l = opened();
	struct stat before, after;

	(void)state;
	assert_int_equal(ledger_modseq_floor(l), LEDGER_MODSEQ_STEP);
	assert_int_equal(ledger_modseq_told(l), 0);		/* nobody was told any */
	ledger_unlock(l);
	assert_true(ledger_lock(l, 0) && ledger_load(l));
	assert_int_equal(ledger_modseq_told(l), LEDGER_MODSEQ_STEP);
	fstatat(dir, files[0], &before, 0);
	assert_true(ledger_modseq_reserve(l, LEDGER_MODSEQ_STEP));
	fstatat(dir, files[0], &after, 0);
	assert_int_equal(before.st_size, after.st_size);	/* no write for what there is room for */
	assert_true(ledger_modseq_reserve(l, LEDGER_MODSEQ_STEP + 1));
	assert_int_equal(ledger_modseq_floor(l), 2 * LEDGER_MODSEQ_STEP + 1);
	assert_true(ledger_raise_floor(l, 5));			/* it never falls */
	assert_int_equal(ledger_modseq_floor(l), 2 * LEDGER_MODSEQ_STEP + 1);
	ledger_free(&l);
	l = opened();
	assert_int_equal(ledger_modseq_floor(l), 2 * LEDGER_MODSEQ_STEP + 1);
	give(l, "a", 1, 1);
	ledger_free(&l);
	for (int i = 0; i < 2; i++) {				/* from either, and the header of the new */
		assert_int_equal(unlinkat(dir, files[i], 0), 0);
		l = opened();
		assert_int_equal(ledger_modseq_floor(l), 2 * LEDGER_MODSEQ_STEP + 1);
		ledger_free(&l);
	}
}

static void
test_floor_has_an_end(void **state)
{
	struct ledger *l = opened();

	(void)state;
	assert_true(ledger_modseq_reserve(l, LEDGER_MODSEQ_LAST - 1));
	assert_int_equal(ledger_modseq_floor(l), LEDGER_MODSEQ_LAST - 1);
	assert_true(ledger_raise_floor(l, LEDGER_MODSEQ_LAST));
	assert_false(ledger_raise_floor(l, LEDGER_MODSEQ_LAST + 1));
	assert_int_equal(errno, ERANGE);
	assert_false(ledger_modseq_reserve(l, UINT64_MAX));
	ledger_free(&l);
}

/* A crash at every octet of raising it: what was told stays, in whichever copy it stands. */
static void
test_floor_torn(void **state)
{
	struct buf before[2], after[2];
	struct ledger *l = opened();

	(void)state;
	give(l, "a", 3, 1);
	slurp(files[0], &before[0]);
	slurp(files[1], &before[1]);
	assert_true(ledger_raise_floor(l, 300000));
	ledger_free(&l);
	slurp(files[0], &after[0]);
	slurp(files[1], &after[1]);
	for (int second = 0; second < 2; second++)
		for (size_t n = before[0].n; n <= after[0].n; n++) {
			overwrite_at_home(files[0], bytes_head(buf_bytes(&after[0]), second ? after[0].n : n));
			overwrite_at_home(files[1], second ? bytes_head(buf_bytes(&after[1]), n)
			    : buf_bytes(&before[1]));
			l = opened();
			assert_int_equal(uid_of(l, "a2"), 3);
			assert_int_equal(ledger_modseq_floor(l),
			    second || n == after[0].n ? 300000 : LEDGER_MODSEQ_STEP);
			ledger_free(&l);
		}
	for (int i = 0; i < 2; i++) {
		buf_fini(&before[i]);
		buf_fini(&after[i]);
	}
}

/* The copy that counts for its UIDs need not be the one with the greater floor. */
static void
test_greater_floor_counts(void **state)
{
	struct ledger_header h = { .uidvalidity = 77, .uidnext = 1, .generation = 1, .modseq_floor = 900 };
	const struct ledger_record r[] = { { LEDGER_GIVEN, 1, text("a") } };
	struct ledger *l;

	(void)state;
	write_copies(&h, r, 1, true);
	h.generation = 2;
	h.modseq_floor = 500;
	write_copies(&h, r, 1, false);
	l = opened();
	assert_int_equal(ledger_modseq_floor(l), 900);
	ledger_free(&l);
	h.modseq_floor = LEDGER_MODSEQ_LAST + 5;		/* nobody writes that */
	write_copies(&h, r, 1, true);
	l = opened();
	assert_int_equal(ledger_modseq_floor(l), LEDGER_MODSEQ_LAST);
	ledger_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_floor), T(test_floor_has_an_end), T(test_floor_torn), T(test_greater_floor_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
