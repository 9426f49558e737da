/* SPDX-License-Identifier: ISC */
/* Copies that are lost, damaged, odd or old. */
#include "mail/ledger_testing.h"

#include <time.h>

/* As a program does that restores files. */
static void
set_back(const char *name)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { 1600000000, 0 } };

	assert_int_equal(utimensat(dir, name, t, 0), 0);
}

static void
test_one_copy_lost(void **state)
{
	(void)state;
	for (int which = 0; which < 2; which++) {
		struct ledger *l = opened();
		uint32_t validity = ledger_uidvalidity(l);

		if (which == 0)
			give(l, "a", 20, 1);
		ledger_free(&l);
		assert_int_equal(unlinkat(dir, files[which], 0), 0);
		l = opened();
		assert_int_equal(ledger_uidvalidity(l), validity);
		assert_int_equal(uid_of(l, "a19"), 20);
		assert_int_equal(ledger_uidnext(l), 21);
		ledger_free(&l);
		assert_int_equal(faccessat(dir, files[which], R_OK, 0), 0);
	}
}

/* A symbolic link, a directory in place of a copy. */
static void
test_odd_copies(void **state)
{
	struct ledger *l = opened();

	(void)state;
	give(l, "a", 5, 1);
	ledger_free(&l);
	unlinkat(dir, "m.ledger", 0);
	assert_int_equal(symlinkat("/etc/passwd", dir, "m.ledger"), 0);
	l = opened();
	assert_int_equal(uid_of(l, "a4"), 5);
	give(l, "b", 1, 6);
	ledger_free(&l);
	unlinkat(dir, "m.ledger2", 0);
	assert_int_equal(mkdirat(dir, "m.ledger2", 0700), 0);
	l = opened();			/* cannot be replaced: known is what was known */
	assert_int_equal(uid_of(l, "b0"), 6);
	{
		struct bytes name = text("c");
		uint32_t uid;

		assert_false(ledger_give(l, &name, 1, &uid));	/* it would not be kept twice */
	}
	ledger_free(&l);
}

/* A bit anywhere in either copy: nothing is lost. */
static void
test_flipped_bits(void **state)
{
	struct ledger *l = opened();
	uint32_t validity = ledger_uidvalidity(l);
	struct buf good[2];

	(void)state;
	give(l, "name-", 40, 1);
	ledger_free(&l);
	for (int which = 0; which < 2; which++)
		for (size_t at = 0, end = SIZE_MAX; at < end; at += 7) {
			slurp(files[0], &good[0]);
			slurp(files[1], &good[1]);
			end = good[which].n;
			good[which].p[at] ^= 1u << at % 8;
			overwrite(files[which], buf_bytes(&good[which]));
			l = opened();
			assert_int_equal(ledger_uidvalidity(l), validity);
			assert_int_equal(ledger_uidnext(l), 41);
			assert_int_equal(uid_of(l, "name-0"), 1);
			assert_int_equal(uid_of(l, "name-39"), 40);
			ledger_free(&l);
			buf_fini(&good[0]);
			buf_fini(&good[1]);
		}
}

static void
test_both_damaged(void **state)
{
	struct ledger *l = opened();
	uint32_t validity = ledger_uidvalidity(l);
	struct buf b;

	(void)state;
	give(l, "a", 10, 1);
	ledger_free(&l);
	for (int i = 0; i < 2; i++) {
		slurp(files[i], &b);
		b.p[200] ^= 1;
		overwrite(files[i], buf_bytes(&b));
		buf_fini(&b);
	}
	l = opened();
	assert_true(ledger_uidvalidity(l) > validity);
	assert_int_equal(uid_of(l, "a0"), 0);
	give(l, "a", 10, 1);
	ledger_free(&l);
}

/* Neither says what UIDVALIDITY was; and no second has gone by since it was chosen, or the clock was set back. */
static void
test_both_unreadable(void **state)
{
	struct ledger *l = opened();
	uint32_t validity = ledger_uidvalidity(l);

	(void)state;
	give(l, "a", 10, 1);
	ledger_free(&l);
	for (int i = 0; i < 2; i++)
		overwrite(files[i], text("nothing of a ledger"));
	l = opened();
	assert_true(ledger_uidvalidity(l) > validity);
	validity = ledger_uidvalidity(l);
	ledger_free(&l);
	for (int i = 0; i < 2; i++) {
		struct timespec later[2] = { { .tv_sec = validity + 100000 }, { .tv_sec = validity + 100000 } };

		overwrite(files[i], text(""));
		assert_int_equal(utimensat(dir, files[i], later, 0), 0);
	}
	l = opened();
	assert_true(ledger_uidvalidity(l) > validity + 100000);
	ledger_free(&l);
}

/* A crash at every octet of an append: UIDs that were told stay, no UID is given twice. */
static void
test_torn_appends(void **state)
{
	struct buf before[2], after[2];
	struct ledger *l = opened();
	uint32_t validity = ledger_uidvalidity(l);

	(void)state;
	give(l, "old", 5, 1);
	slurp(files[0], &before[0]);
	slurp(files[1], &before[1]);
	give(l, "new", 3, 6);
	ledger_free(&l);
	slurp(files[0], &after[0]);
	slurp(files[1], &after[1]);
	for (int second = 0; second < 2; second++)
		for (size_t n = before[0].n; n <= after[0].n; n++) {
			/* The second copy is begun when the first is on disk. */
			overwrite(files[0], bytes_head(buf_bytes(&after[0]), second ? after[0].n : n));
			overwrite(files[1], second ? bytes_head(buf_bytes(&after[1]), n)
			    : buf_bytes(&before[1]));
			l = opened();
			assert_int_equal(ledger_uidvalidity(l), validity);
			assert_int_equal(uid_of(l, "old4"), 5);
			if (second)
				assert_int_equal(uid_of(l, "new2"), 8);
			assert_true(ledger_uidnext(l) >= (second ? 9u : 6u));
			ledger_free(&l);
		}
	for (int i = 0; i < 2; i++) {
		buf_fini(&before[i]);
		buf_fini(&after[i]);
	}
}

/* Both copies from a backup: nobody knows which UIDs were told since. */
static void
test_restored(void **state)
{
	struct ledger *l = opened();
	uint32_t validity = ledger_uidvalidity(l);
	struct buf b;

	(void)state;
	give(l, "a", 10, 1);
	ledger_free(&l);
	for (int i = 0; i < 2; i++) {
		slurp(files[i], &b);
		overwrite_new("copy", buf_bytes(&b));
		buf_fini(&b);
		assert_int_equal(renameat(dir, "copy", dir, files[i]), 0);
	}
	l = opened();
	assert_int_equal(ledger_uidvalidity(l), validity);
	assert_int_equal(uid_of(l, "a9"), 10);
	assert_int_equal(ledger_modseq_floor(l), LEDGER_MODSEQ_STEP + LEDGER_MODSEQ_SKIP);
	give(l, "b", 1, 11 + LEDGER_UID_SKIP);
	ledger_free(&l);
	l = opened();
	give(l, "c", 1, 12 + LEDGER_UID_SKIP);
	ledger_free(&l);
}

/* Restored into the same inodes: written over, or removed and made again, and given the numbers again. */
static void
test_restored_in_place(void **state)
{
	struct ledger *l = opened();
	uint32_t validity = ledger_uidvalidity(l);
	struct buf b[2];

	(void)state;
	give(l, "a", 10, 1);
	ledger_free(&l);
	for (int i = 0; i < 2; i++)
		slurp(files[i], &b[i]);
	l = opened();
	give(l, "b", 5, 11);
	ledger_free(&l);
	for (int i = 0; i < 2; i++) {
		overwrite(files[i], buf_bytes(&b[i]));
		set_back(files[i]);
		buf_fini(&b[i]);
	}
	l = opened();
	assert_int_equal(ledger_uidvalidity(l), validity);
	assert_int_equal(uid_of(l, "a9"), 10);
	assert_int_equal(ledger_modseq_floor(l), LEDGER_MODSEQ_STEP + LEDGER_MODSEQ_SKIP);
	give(l, "c", 1, 11 + LEDGER_UID_SKIP);
	ledger_free(&l);
	l = opened();
	give(l, "d", 1, 12 + LEDGER_UID_SKIP);
	ledger_free(&l);
}

/* A process that died while it wrote one anew leaves a file, until the next one looks. */
static void
test_what_a_crash_left(void **state)
{
	static const char *const left[] = { "m.ledger.new", "m.ledger2.new" };
	struct ledger *l = opened();

	(void)state;
	ledger_free(&l);
	for (size_t i = 0; i < LEN(left); i++) {
		int fd = openat(dir, left[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_true(fd != -1);
		close(fd);
	}
	l = opened();
	for (size_t i = 0; i < LEN(left); i++)
		assert_int_equal(faccessat(dir, left[i], F_OK, 0), -1);
	ledger_free(&l);
}

/* What was written before there were flags, and records that are not as they should be. */
static void
test_old_and_odd_records(void **state)
{
	struct ledger_header h = { .uidvalidity = 77, .uidnext = 1, .generation = 1 };
	const struct ledger_record r[] = {
		{ LEDGER_GIVEN, 1, text("a") }, { LEDGER_SEEN, 1, { NULL, 0 } },
		{ LEDGER_GIVEN, 2, text("b") }, { LEDGER_FLAGS, 2, bytes_of("\1\0\0\0", 4) },
		{ LEDGER_SEEN, 2, { NULL, 0 } },
		{ LEDGER_GIVEN, 3, text("c") }, { LEDGER_FLAGS, 3, bytes_of("\1\0\0", 3) },
		{ LEDGER_FLAGS, 9, bytes_of("\1\0\0\0", 4) }, { LEDGER_SEEN, 9, { NULL, 0 } },
		{ LEDGER_FLOOR, 0, text("seven..") }, { 99, 3, text("unknown") },
	};
	struct ledger *l;

	(void)state;
	write_copies(&h, r, LEN(r), true);
	l = opened();
	assert_int_equal(ledger_uidvalidity(l), 77);
	assert_int_equal(ledger_uidnext(l), 4);
	assert_int_equal(ledger_flags(l, text("a")), MAIL_SEEN);
	assert_int_equal(ledger_flags(l, text("b")), MAIL_SEEN | MAIL_ANSWERED);
	assert_int_equal(ledger_flags(l, text("c")), 0);
	assert_int_equal(ledger_modseq_floor(l), 0);
	assert_int_equal(ledger_modseq_told(l), 0);
	assert_true(ledger_modseq_reserve(l, 1));
	assert_int_equal(ledger_modseq_floor(l), 1 + LEDGER_MODSEQ_STEP);
	ledger_free(&l);
	l = opened();
	assert_int_equal(ledger_modseq_floor(l), 1 + LEDGER_MODSEQ_STEP);
	ledger_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_copy_lost), T(test_odd_copies), T(test_flipped_bits), T(test_both_damaged),
		T(test_both_unreadable), T(test_torn_appends), T(test_restored), T(test_restored_in_place),
		T(test_what_a_crash_left), T(test_old_and_odd_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
