/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/little.h"
#include "base/mem.h"
#include "base/testing.h"
#include "mail/ledger.h"
#include "mail/mailbox.h"

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

static const char *const files[] = { "m.ledger", "m.ledger2", "m.lock", "m.ledger.new", "m.ledger2.new", "copy" };

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
	assert_true(ledger_load(l) && ledger_keep(l));
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
	return ledger_find(l, text(name), NULL);
}

static void
slurp(const char *name, struct buf *out)
{
	buf_init(out, 1 << 20);
	assert_true(file_slurp(dir, name, out));
}

/* As a program does that restores files. */
static void
set_back(const char *name)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { 1600000000, 0 } };

	assert_int_equal(utimensat(dir, name, t, 0), 0);
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
overwrite_new(const char *name, struct bytes content)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, content));
	close(fd);
}

/* The same, as if it had been written to this very file. */
static void
overwrite_at_home(const char *name, struct bytes content)
{
	unsigned char header[LEDGER_HEADER];
	struct stat st;
	int fd;

	overwrite(name, content);
	memcpy(header, content.p, sizeof header);
	fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	little_put_u64(header + 24, st.st_ino);
	little_put_u32(header + 60, crc32_of(0, bytes_of(header, 60)));
	assert_true(file_pwrite(fd, bytes_of(header, sizeof header), 0));
	close(fd);
}

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

/* A hand takes one of them away again and again, between any two calls: that is one copy lost, and no failure. */
static void
test_copy_is_lost_meanwhile(void **state)
{
	struct ledger *l = opened();
	pid_t hand;

	(void)state;
	give(l, "n", 10, 1);
	ledger_free(&l);
	hand = fork();
	assert_int_not_equal(hand, -1);
	if (hand == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (hand == 0)
		unlinkat(dir, "m.ledger2", 0);
	for (int i = 0; i < 300; i++) {
		l = opened();
		assert_int_equal(uid_of(l, "n9"), 10);
		ledger_free(&l);
	}
	assert_int_equal(kill(hand, SIGKILL), 0);
	assert_int_equal(waitpid(hand, NULL, 0), hand);
}

/* What is asked of a ledger that was loaded, after a hand has been at its copies: it is all there, in two whole copies. */
static void
write_after_a_hand(void (*hand)(const char *name), const char *name)
{
	struct ledger *l = opened();
	uint32_t uid = 1, flags = MAIL_FLAGGED, validity = ledger_uidvalidity(l);
	uint64_t floor = ledger_modseq_floor(l) + 5;

	give(l, "n", 10, ledger_uidnext(l));
	hand(name);
	give(l, "late", 2, ledger_uidnext(l));
	hand(name);
	assert_true(ledger_set_flags(l, &uid, &flags, 1, true));
	hand(name);
	assert_true(ledger_raise_floor(l, floor));
	for (int i = 0; i < 2; i++) {
		struct ledger_state state;

		assert_true(ledger_state(l, &state));
		ledger_free(&l);
		assert_int_equal(unlinkat(dir, files[i], 0), 0);	/* either has all of it */
		l = opened();
		assert_int_equal(ledger_uidvalidity(l), validity);
		assert_int_equal(ledger_uidnext(l), 13);
		assert_int_equal(uid_of(l, "n9"), 10);
		assert_int_equal(uid_of(l, "late1"), 12);
		assert_int_equal(ledger_flags(l, text("n0")), MAIL_FLAGGED);
		assert_int_equal(ledger_modseq_floor(l), floor);
	}
	ledger_free(&l);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(unlinkat(dir, files[i], 0), 0);
}

static void
take_away(const char *name)
{
	assert_int_equal(unlinkat(dir, name, 0), 0);
}

/* As rsync does, or an editor: another file has the name, shorter than what we know. */
static void
put_another(const char *name)
{
	take_away(name);
	overwrite_new(name, text("of yesterday"));
}

static void
put_link(const char *name)
{
	take_away(name);
	assert_int_equal(symlinkat("/etc/passwd", dir, name), 0);
}

static void
test_hands_between_reading_and_writing(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		write_after_a_hand(take_away, files[i]);
		write_after_a_hand(put_another, files[i]);
		write_after_a_hand(put_link, files[i]);
	}
}

/* Nothing is written, and nothing that was not is told, where a copy is only out of reach. */
static void
test_directory_gone_meanwhile(void **state)
{
	struct ledger *l = opened();
	uint32_t uid;
	struct bytes name = text("late");

	(void)state;
	give(l, "n", 3, 1);
	assert_int_equal(unlinkat(dir, files[0], 0), 0);
	assert_int_equal(unlinkat(dir, files[1], 0), 0);
	assert_int_equal(unlinkat(dir, "m.lock", 0), 0);
	assert_int_equal(rmdir(dir_name), 0);
	assert_false(ledger_give(l, &name, 1, &uid));
	assert_int_equal(errno, ENOENT);
	assert_false(ledger_give(l, &name, 1, &uid));
	assert_int_equal(errno, EIO);		/* until it is loaded again */
	ledger_free(&l);
	assert_int_equal(mkdir(dir_name, 0700), 0);
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

/* Both copies, as a test wants them. */
static void
write_copies(const struct ledger_header *given, const struct ledger_record *r, size_t n, bool second)
{
	for (int i = 0; i < 1 + second; i++) {
		int fd = openat(dir, files[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		struct ledger_header h = *given;
		struct stat st;
		uint32_t chain;
		struct buf b;

		assert_int_not_equal(fd, -1);
		assert_int_equal(fstat(fd, &st), 0);
		h.inode = st.st_ino;
		buf_init(&b, 1000);
		chain = ledger_put_header(&b, &h);
		for (size_t k = 0; k < n; k++)
			chain = ledger_put_record(&b, chain, &r[k]);
		assert_true(file_write(fd, buf_bytes(&b)));
		buf_fini(&b);
		close(fd);
	}
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

/* ---- mod-sequences ---- */

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

/* ---- names, read without loading ---- */

static uint64_t
place_of(const struct ledger *l, uint32_t uid)
{
	uint64_t at = 1;

	ledger_places(l, &uid, 1, &at);
	return at;
}

static bool
same_state(const struct ledger_state *a, const struct ledger_state *b)
{
	return a->octets == b->octets && memcmp(a->changed, b->changed, sizeof a->changed) == 0;
}

/* Asked for many at once, some of which are not there, the answers are as for each alone. */
static void
check_places(const struct ledger *l, uint32_t last)
{
	uint32_t uids[64] = { 0 };
	uint64_t at[64];
	size_t n = 0;

	for (uint32_t uid = 2; uid <= last + 10; uid += 1 + uid % 3)
		uids[n++] = uid;
	ledger_places(l, uids, n, at);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(at[i], place_of(l, uids[i]));
		assert_int_equal(at[i] != 0, uids[i] <= last);
	}
}

static void
check_names(struct ledger *l, const char *prefix, uint32_t first, uint32_t n)
{
	struct ledger_names names;
	struct ledger_state now;
	char want[32];

	assert_true(ledger_names_open(&names, dir, "m"));
	assert_true(ledger_state(l, &now));
	assert_true(same_state(&now, &names.state));
	for (uint32_t i = 0; i < n; i++) {
		struct bytes name;
		uint64_t at = place_of(l, first + i);

		snprintf(want, sizeof want, "%s%u", prefix, (unsigned)i);
		assert_int_not_equal(at, 0);
		assert_true(ledger_names_get(&names, at, first + i, &name));
		assert_bytes_equal(name, text(want));
		assert_false(ledger_names_get(&names, at, first + i + 1, &name));
		assert_false(ledger_names_get(&names, at + 1, first + i, &name));
	}
	ledger_names_close(&names);
}

static void
test_names(void **state)
{
	struct ledger *l = opened();
	uint32_t uid = 3, flags = MAIL_SEEN;

	(void)state;
	give(l, "a", 20, 1);
	check_names(l, "a", 1, 20);
	assert_true(ledger_set_flags(l, &uid, &flags, 1, true));
	give(l, "b", 20, 21);
	check_names(l, "b", 21, 20);			/* as they were given */
	assert_int_equal(place_of(l, 41), 0);
	check_places(l, 40);
	ledger_free(&l);
	l = opened();
	check_names(l, "a", 1, 20);			/* as they were read */
	ledger_free(&l);
	assert_int_equal(unlinkat(dir, files[0], 0), 0);
	l = opened();
	check_names(l, "b", 21, 20);			/* as they were written anew */
	ledger_free(&l);
}

/* Whoever writes to either copy, or puts another file in its place, cannot hide it. */
static void
test_state(void **state)
{
	struct ledger *l = opened();
	struct ledger_names names;
	struct ledger_state was;
	struct buf b;

	(void)state;
	give(l, "a", 3, 1);
	for (int i = 0; i < 4; i++) {
		struct timespec old[2] = { { 1000000000, 0 }, { 1000000000, 0 } };

		assert_true(ledger_state(l, &was));
		usleep(20000);			/* the clock's tick is over */
		if (i == 0)
			give(l, "b", 1, 4);
		else {
			slurp(files[i % 2], &b);
			if (i < 3)
				overwrite(files[i % 2], buf_bytes(&b));
			else {
				assert_int_equal(unlinkat(dir, files[i % 2], 0), 0);
				overwrite_new(files[i % 2], buf_bytes(&b));
			}
			buf_fini(&b);
			assert_int_equal(utimensat(dir, files[i % 2], old, 0), 0);
		}
		if (ledger_names_open(&names, dir, "m"))
			assert_false(same_state(&was, &names.state));
		ledger_names_close(&names);
		ledger_free(&l);
		l = opened();
	}
	assert_int_equal(unlinkat(dir, files[1], 0), 0);
	assert_true(ledger_state(l, &was));
	assert_true(ledger_names_open(&names, dir, "m"));
	assert_false(same_state(&was, &names.state));
	ledger_names_close(&names);
	ledger_free(&l);
}

static void
test_names_out_of_bounds(void **state)
{
	struct ledger *l = opened();
	struct ledger_names names;
	struct bytes name;
	struct buf b;
	uint64_t at;

	(void)state;
	give(l, "a", 2, 1);
	at = place_of(l, 2);
	assert_int_not_equal(at, 0);
	assert_true(ledger_names_open(&names, dir, "m"));
	for (uint64_t i = 0; i < names.file.n + 20; i++)
		if (i != at)
			assert_false(ledger_names_get(&names, i, 2, &name));
	assert_false(ledger_names_get(&names, UINT64_MAX, 2, &name));
	ledger_names_close(&names);
	give(l, "b", 1, 3);
	ledger_free(&l);
	slurp(files[0], &b);
	overwrite(files[0], bytes_head(buf_bytes(&b), b.n - 1));	/* its last name is cut */
	assert_true(ledger_names_open(&names, dir, "m"));
	assert_false(ledger_names_get(&names, b.n - LEDGER_RECORD - 2, 3, &name));
	assert_true(ledger_names_get(&names, at, 2, &name));
	ledger_names_close(&names);
	overwrite(files[0], bytes_head(buf_bytes(&b), LEDGER_HEADER - 1));
	assert_false(ledger_names_open(&names, dir, "m"));
	overwrite_new("copy", buf_bytes(&b));				/* another inode than it says */
	assert_int_equal(renameat(dir, "copy", dir, files[0]), 0);
	assert_false(ledger_names_open(&names, dir, "m"));
	assert_int_equal(unlinkat(dir, files[0], 0), 0);
	assert_false(ledger_names_open(&names, dir, "m"));
	assert_int_equal(errno, ENOENT);
	buf_fini(&b);
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

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		T(test_gives_and_keeps), T(test_two_at_once), T(test_one_copy_lost), T(test_copy_is_lost_meanwhile),
		T(test_hands_between_reading_and_writing), T(test_directory_gone_meanwhile), T(test_odd_copies),
		T(test_flipped_bits), T(test_both_damaged), T(test_both_unreadable), T(test_torn_appends), T(test_restored), T(test_restored_in_place),
		T(test_trim), T(test_uids_used_up), T(test_lock_file_removed), T(test_what_a_crash_left),
		T(test_above), T(test_renew), T(test_flags), T(test_flags_of_what_is_not_known), T(test_flags_again_and_again),
		T(test_old_and_odd_records), T(test_floor), T(test_floor_has_an_end), T(test_floor_torn),
		T(test_greater_floor_counts), T(test_names), T(test_names_out_of_bounds), T(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
