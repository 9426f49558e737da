/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/ledger.h"

static char dir_name[64];
static int dir;

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir_name, sizeof dir_name, "/tmp/ledger-test.XXXXXX");
	if (!mkdtemp(dir_name))
		return -1;
	dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir == -1 ? -1 : 0;
}

static const char *const files[] = { "m.ledger", "m.ledger2", "m.lock", "m.ledger.new", "copy" };

static int
drop_dir(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(files); i++)
		if (unlinkat(dir, files[i], 0) == -1 && errno == EISDIR)
			unlinkat(dir, files[i], AT_REMOVEDIR);
	close(dir);
	return rmdir(dir_name);
}

static struct ledger *
opened(void)
{
	struct ledger *l = ledger_new(dir, "m", "test");

	assert_true(ledger_lock(l, 100));
	assert_true(ledger_load(l));
	return l;
}

static void
give(struct ledger *l, const char *prefix, unsigned n, uint32_t first)
{
	struct bytes name[100] = { { NULL, 0 } };
	char octets[100][32];
	uint32_t uid[100];

	for (unsigned i = 0; i < n; i++) {
		snprintf(octets[i], sizeof octets[i], "%s%u", prefix, i);
		name[i] = text(octets[i]);
	}
	assert_true(ledger_give(l, name, n, uid));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(uid[i], first + i);
}

static uint32_t
uid_of(struct ledger *l, const char *name)
{
	bool seen = false;

	return ledger_find(l, text(name), &seen);
}

static void
slurp(const char *name, struct buf *out)
{
	buf_init(out, 1 << 20);
	assert_true(file_slurp(dir, name, out));
}

/* In place: the file keeps its inode. */
static void
overwrite(const char *name, struct bytes content)
{
	int fd = openat(dir, name, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, content));
	close(fd);
}

static void
test_gives_and_keeps(void **state)
{
	struct ledger *l = opened();
	uint32_t validity = ledger_uidvalidity(l);
	bool seen = false;

	(void)state;
	assert_int_not_equal(validity, 0);
	give(l, "a", 50, 1);
	assert_true(ledger_mark_seen(l, text("a7")));
	ledger_free(&l);
	l = opened();
	assert_int_equal(ledger_uidvalidity(l), validity);
	assert_int_equal(ledger_uidnext(l), 51);
	assert_int_equal(uid_of(l, "a0"), 1);
	assert_int_equal(ledger_find(l, text("a7"), &seen), 8);
	assert_true(seen);
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
		int fd = openat(dir, "copy", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		slurp(files[i], &b);
		assert_true(file_write(fd, buf_bytes(&b)));
		close(fd);
		buf_fini(&b);
		assert_int_equal(renameat(dir, "copy", dir, files[i]), 0);
	}
	l = opened();
	assert_int_equal(ledger_uidvalidity(l), validity);
	assert_int_equal(uid_of(l, "a9"), 10);
	give(l, "b", 1, 11 + LEDGER_UID_SKIP);
	ledger_free(&l);
	l = opened();
	give(l, "c", 1, 12 + LEDGER_UID_SKIP);
	ledger_free(&l);
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
	for (int i = 0; i < 2; i++) {
		int fd = openat(dir, files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		struct buf b;
		struct stat st;

		buf_init(&b, 100);
		fstat(fd, &st);
		h.inode = st.st_ino;
		ledger_put_header(&b, &h);
		assert_int_equal(b.n, LEDGER_HEADER);
		assert_true(file_write(fd, buf_bytes(&b)));
		buf_fini(&b);
		close(fd);
	}
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

/* A process that died while it wrote one anew leaves a file, until the next one looks. */
static void
test_what_a_crash_left(void **state)
{
	struct ledger *l = opened();
	int fd = openat(dir, "m.ledger.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	ledger_free(&l);
	assert_true(fd != -1);
	close(fd);
	l = opened();
	assert_int_equal(faccessat(dir, "m.ledger.new", F_OK, 0), -1);
	ledger_free(&l);
}

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		T(test_gives_and_keeps), T(test_two_at_once), T(test_one_copy_lost), T(test_odd_copies),
		T(test_flipped_bits), T(test_both_damaged), T(test_both_unreadable), T(test_torn_appends), T(test_restored),
		T(test_trim), T(test_uids_used_up), T(test_lock_file_removed), T(test_what_a_crash_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
