/* SPDX-License-Identifier: ISC */
#include <sys/stat.h>
#include <sys/wait.h>

#include "mail/index_testing.h"

static size_t
open_files(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* ---- records ---- */

static void
test_keeps(void **state)
{
	size_t before = open_files();
	struct index *x = opened();
	struct index_mail m;

	(void)state;
	check_dropped(x, TOLD);
	assert_true(index_shared(x));
	add(x, 1, 1000);
	check(x, 1, 1000);
	assert_int_equal(index_highest(x), 3000);
	reload(&x);
	check(x, 1, 1000);
	assert_int_equal(index_highest(x), 3000);
	index_begin(x);
	assert_true(index_get(x, 499, &m));
	m.flags = 8;
	m.modseq = 3001;
	index_put(x, 499, &m);
	index_raise(x, 4000);
	index_raise(x, 3500);
	index_end(x);
	reload(&x);
	assert_true(index_get(x, 499, &m));
	assert_int_equal(m.flags, 8);
	assert_int_equal(m.modseq, 3001);
	assert_int_equal(index_highest(x), 4000);
	index_free(&x);
	index_free(&x);
	assert_int_equal(open_files(), before);
}

static void
test_new_mailbox(void **state)
{
	struct index *x = index_new(dir, "m", "test");

	(void)state;
	assert_int_equal(index_count(x), 0);
	assert_int_equal(index_serial(x), 0);
	index_load(x, VALIDITY, 0);
	check_dropped(x, 1);
	index_free(&x);
}

static void
test_removes(void **state)
{
	struct index *x = opened();
	struct index_mail m;

	(void)state;
	add(x, 1, 100);
	index_begin(x);
	for (size_t i = 0; i < 100; i++)
		if (i % 3 != 0)
			index_remove(x, i);
	index_remove(x, 1);			/* again */
	assert_false(index_get(x, 1, &m));
	m = mail(101);
	assert_true(index_add(x, &m));
	m = mail(102);
	assert_true(index_add(x, &m));
	index_remove(x, 101);			/* what was added just now */
	assert_int_equal(index_count(x), 102);
	index_end(x);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(index_count(x), 35);
		for (uint32_t i = 0; i < 35; i++) {
			struct index_mail want = mail(i < 34 ? 3 * i + 1 : 101);

			assert_true(index_get(x, i, &m));
			check_mail(&m, &want);
		}
		reload(&x);
	}
	assert_int_equal(index_find(x, 0), 0);
	assert_int_equal(index_find(x, 4), 1);
	assert_int_equal(index_find(x, 5), 2);
	assert_int_equal(index_find(x, 102), 35);
	index_begin(x);
	for (size_t i = 35; i-- > 0; )
		index_remove(x, i);
	index_end(x);
	assert_int_equal(index_count(x), 0);
	reload(&x);
	assert_int_equal(index_count(x), 0);
	assert_int_equal(index_highest(x), 2102);
	index_free(&x);
}

/* A UID that is not above the others would spoil their order. */
static void
test_uids_rise(void **state)
{
	struct index *x = opened();
	struct index_mail m = mail(5);

	(void)state;
	index_begin(x);
	assert_true(index_add(x, &m));
	assert_false(index_add(x, &m));
	m = mail(4);
	assert_false(index_add(x, &m));
	index_remove(x, 0);
	index_end(x);
	index_begin(x);
	assert_true(index_add(x, &m));
	index_end(x);
	check(x, 4, 1);
	add(x, 5, 5);
	index_begin(x);
	for (size_t i = 0; i < 4; i++)
		index_remove(x, 2 + i);
	assert_false(index_add(x, &m));			/* there is 5 */
	for (uint32_t uid = 6; uid < 20; uid++) {	/* what is removed is in nobody's way */
		m = mail(uid);
		assert_true(index_add(x, &m));
	}
	index_remove(x, 0);
	index_end(x);
	for (int again = 0; again < 2; again++) {
		check(x, 5, 15);
		reload(&x);
	}
	index_free(&x);
}

/* What one changes, the other sees, without a system call knows that it must look. */
static void
test_two_at_once(void **state)
{
	struct index *a = opened(), *b = opened();
	uint64_t serial = index_serial(b);
	struct index_mail m;

	(void)state;
	assert_int_not_equal(serial, 0);
	assert_int_equal(index_serial(a), serial);
	add(a, 1, 5000);			/* longer than b has mapped */
	assert_int_not_equal(index_serial(b), serial);
	assert_int_equal(index_serial(b), index_serial(a));
	index_load(b, VALIDITY, TOLD);
	check(b, 1, 5000);
	index_begin(b);
	index_remove(b, 0);
	index_end(b);
	index_load(a, VALIDITY, TOLD);
	check(a, 2, 4999);
	serial = index_serial(a);
	index_begin(a);				/* nothing changes */
	assert_true(index_get(a, 7, &m));
	index_put(a, 7, &m);
	index_raise(a, 1);
	index_end(a);
	assert_int_equal(index_serial(b), serial);
	index_free(&a);
	index_free(&b);
}

static void
test_state(void **state)
{
	struct index *a = opened(), *b = opened();
	unsigned char in[INDEX_STATE], out[INDEX_STATE];
	uint64_t serial;

	(void)state;
	add(a, 1, 3);
	serial = index_serial(a);
	memset(in, 0xa5, sizeof in);
	index_begin(a);
	index_set_state(a, in);
	index_end(a);
	assert_int_equal(index_serial(b), serial);	/* the records are the same */
	index_load(b, VALIDITY, TOLD);
	index_state(b, out);
	assert_memory_equal(out, in, sizeof in);
	check(b, 1, 3);
	index_free(&a);
	index_free(&b);
}

/* ---- what is not to be trusted ---- */

static void
in_child(void (*run)(struct index *x), bool ends)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		struct index *x = opened();

		index_begin(x);
		run(x);
		if (ends)
			index_end(x);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void
no_change(struct index *x)
{
	(void)x;
}

static void
put_one(struct index *x)
{
	struct index_mail m = mail(2);

	m.flags = 1;
	m.modseq = 5000;
	index_put(x, 1, &m);
}

static void
remove_one(struct index *x)
{
	index_remove(x, 1);
}

static void
note_state(struct index *x)
{
	unsigned char octets[INDEX_STATE] = "changed";

	index_set_state(x, octets);
}

static void
test_killed(void **state)
{
	void (*const runs[])(struct index *) = { put_one, remove_one, note_state };

	(void)state;
	for (size_t i = 0; i < LEN(runs); i++) {
		struct index *x = opened(), *other = opened();

		if (index_count(x) == 0)
			add(x, 1, 5);
		in_child(no_change, false);
		index_load(x, VALIDITY, TOLD);
		check(x, 1, 5);
		in_child(runs[i], false);
		index_load(x, VALIDITY, TOLD);
		check_dropped(x, TOLD);
		add(x, 1, 5);
		assert_int_equal(index_serial(other), 0);
		index_load(other, VALIDITY, TOLD);
		check(other, 1, 5);
		index_free(&x);
		index_free(&other);
	}
	in_child(put_one, true);
	{
		struct index *x = opened();
		struct index_mail m;

		assert_true(index_get(x, 1, &m));
		assert_int_equal(m.modseq, 5000);
		index_free(&x);
	}
}

static void
test_boots(void **state)
{
	static const unsigned char other[16] = "another life", none[16];
	struct index *x = opened();

	(void)state;
	add(x, 1, 5);
	index_free(&x);
	x = index_new(dir, "m", "test");
	index_load(x, VALIDITY, 1u << 20);		/* the same life: all is as it was left */
	check(x, 1, 5);
	index_free(&x);
	index_boot(other);
	x = index_new(dir, "m", "test");
	index_load(x, VALIDITY, 2005);			/* nothing above 2005 was told */
	check(x, 1, 5);
	index_free(&x);
	x = index_new(dir, "m", "test");		/* it is of this life now */
	index_load(x, VALIDITY, 1u << 20);
	check(x, 1, 5);
	index_free(&x);
	index_boot(none);
	x = index_new(dir, "m", "test");
	index_load(x, VALIDITY, 2006);
	check_dropped(x, 2006);
	add(x, 1, 5);
	index_load(x, VALIDITY, 1u << 20);		/* what this process has seen it believes */
	check(x, 1, 5);
	index_free(&x);
	x = index_new(dir, "m", "test");
	index_load(x, VALIDITY, 1u << 20);
	check_dropped(x, 1u << 20);
	index_free(&x);
}

static void
test_boot_of_the_host(void **state)
{
	struct index *x;

	(void)state;
	assert_true(index_boot_host());
	x = opened();
	add(x, 1, 5);
	index_free(&x);
	assert_true(index_boot_host());
	x = index_new(dir, "m", "test");
	index_load(x, VALIDITY, 1u << 20);
	check(x, 1, 5);
	index_free(&x);
}

static void
test_another_uidvalidity(void **state)
{
	struct index *x = opened(), *other = opened();

	(void)state;
	add(x, 1, 5);
	index_load(other, VALIDITY + 1, 0);
	check_dropped(other, 1);
	assert_int_equal(index_serial(x), 0);
	index_load(x, VALIDITY + 1, 0);
	check_dropped(x, 1);
	index_free(&x);
	index_free(&other);
}

static void
test_copied(void **state)
{
	struct index *x = opened();
	struct buf b;

	(void)state;
	add(x, 1, 5);
	index_free(&x);
	slurp("m.index", &b);
	overwrite("copy", buf_bytes(&b));
	assert_int_equal(renameat(dir, "copy", dir, "m.index"), 0);
	x = opened();
	check_dropped(x, TOLD);
	index_free(&x);
	buf_fini(&b);
}

/* Restored into the same inode, with the time of the backup; also under a session that has it open. */
static void
test_put_back(void **state)
{
	const struct timespec t[2] = { { 0, UTIME_OMIT }, { 1600000000, 0 } };
	struct index *x = opened();

	(void)state;
	add(x, 1, 5);
	index_free(&x);
	assert_int_equal(utimensat(dir, "m.index", t, 0), 0);
	x = opened();
	check_dropped(x, TOLD);
	add(x, 1, 5);
	reload(&x);
	check(x, 1, 5);
	assert_int_equal(utimensat(dir, "m.index", t, 0), 0);
	index_load(x, VALIDITY, TOLD);
	check_dropped(x, TOLD);
	index_free(&x);
}

static void
test_deleted(void **state)
{
	struct index *x = opened();

	(void)state;
	add(x, 1, 5);
	assert_int_equal(unlinkat(dir, "m.index", 0), 0);
	assert_int_equal(unlinkat(dir, "m.data", 0), 0);
	index_load(x, VALIDITY, TOLD);
	check_dropped(x, TOLD);
	add(x, 1, 5);
	reload(&x);
	check(x, 1, 5);
	index_free(&x);
}

/* Old pages among new ones, as a power cut leaves them: each record is right, but not all of one time. */
static void
test_mixed_times(void **state)
{
	struct index *x = opened();
	struct buf old, new;

	(void)state;
	add(x, 1, 100);
	index_free(&x);
	slurp("m.index", &old);
	x = opened();
	index_begin(x);
	for (uint32_t i = 0; i < 100; i++) {
		struct index_mail m = mail(i + 1);

		m.flags++;
		m.modseq += 1000;
		index_put(x, i, &m);
	}
	index_end(x);
	index_free(&x);
	slurp("m.index", &new);
	memcpy(new.p + 4096, old.p + 4096, old.n - 4096);
	overwrite("m.index", buf_bytes(&new));
	x = opened();
	check_dropped(x, TOLD);
	index_free(&x);
	buf_fini(&old);
	buf_fini(&new);
}

/* Without the ledger: all or nothing. */
static void
test_look(void **state)
{
	static const unsigned char other[16] = "another life";
	struct index *x = index_new(dir, "m", "test"), *y = index_new(dir, "m", "test");

	(void)state;
	assert_false(index_look(x, VALIDITY));
	assert_int_equal(index_count(x), 0);
	assert_int_equal(faccessat(dir, "m.index", F_OK, 0), -1);
	index_load(x, VALIDITY, TOLD);
	add(x, 1, 30);
	assert_true(index_look(x, VALIDITY));
	check(x, 1, 30);
	assert_true(index_look(y, VALIDITY));
	check(y, 1, 30);
	assert_false(index_look(y, VALIDITY + 1));
	assert_int_equal(index_serial(y), 0);
	index_boot(other);
	assert_false(index_look(y, VALIDITY));
	assert_int_equal(index_count(y), 0);
	index_load(y, VALIDITY, TOLD);
	check(y, 1, 30);
	index_free(&x);
	index_free(&y);
}

/* A stranger cuts the file below a session that has it mapped: that one ends, the next begins anew. */
static void
test_cut_while_mapped(void **state)
{
	struct index *x = opened();
	pid_t pid;
	int status;

	(void)state;
	add(x, 1, 1000);
	index_free(&x);
	pid = fork();
	if (pid == 0) {
		struct index_mail m = mail(500);

		signal(SIGBUS, SIG_DFL);
		x = opened();
		resize("m.index", 4096);
		m.flags++;
		index_begin(x);
		index_put(x, 499, &m);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	x = opened();
	check_dropped(x, TOLD);
	add(x, 1, 1000);
	index_free(&x);
	for (off_t size = 0; size < 20000; size += 997) {	/* between two loads it is found out */
		x = opened();
		if (index_count(x) == 0)
			add(x, 1, 1000);
		resize("m.index", size);
		index_load(x, VALIDITY, TOLD);
		check_dropped(x, TOLD);
		index_free(&x);
	}
}

/* ---- what stands in the way ---- */

static void
make_odd(const char *name, int what)
{
	int fd;

	(void)unlinkat(dir, name, 0);
	switch (what) {
	case 0:
		overwrite("odd", text("not ours to write"));
		assert_int_equal(symlinkat("odd", dir, name), 0);
		break;
	case 1:
		assert_int_equal(mkfifoat(dir, name, 0600), 0);
		break;
	case 2:
		assert_int_equal(mkdirat(dir, name, 0700), 0);
		break;
	case 3:
		assert_int_equal(symlinkat("/nowhere/at/all", dir, name), 0);
		break;
	case 4:
		overwrite(name, text(""));
		break;
	case 5:				/* another's; only root can make that */
		overwrite(name, text("another's"));
		fd = openat(dir, name, O_RDWR | O_CLOEXEC);
		if (geteuid() == 0)
			assert_int_equal(fchown(fd, 12345, 12345), 0);
		close(fd);
	}
}

static void
test_odd_files(void **state)
{
	static const char *const names[] = { "m.index", "m.index.new", "m.data", "m.data.new" };

	(void)state;
	for (size_t i = 0; i < LEN(names); i++)
		for (int what = 0; what <= 5; what++) {
			struct index *x;
			struct stat st;

			make_odd(names[i], what);
			if (i == 1)		/* else there is no need for a new one */
				make_odd("m.index", 4);
			if (i == 3)
				make_odd("m.data", 4);
			x = opened();
			check_dropped(x, TOLD);
			assert_true(index_shared(x));
			assert_int_not_equal(x->data.fd, -1);
			add(x, 1, 200);
			reload(&x);
			check(x, 1, 200);
			index_free(&x);
			assert_int_equal(fstatat(dir, names[i & 2], &st, AT_SYMLINK_NOFOLLOW), 0);
			assert_true(S_ISREG(st.st_mode) && st.st_uid == geteuid());
			if (what == 0) {
				struct buf b;

				slurp("odd", &b);
				assert_bytes_equal(buf_bytes(&b), text("not ours to write"));
				buf_fini(&b);
			}
			unlinkat(dir, "m.index", 0);
		}
}

/* A folder with something in it stays: the index does without. */
static void
test_no_place(void **state)
{
	struct index_data d = { .octets = 1, .envelope = text("e") };
	struct index *x;
	uint64_t at;

	(void)state;
	assert_int_equal(mkdirat(dir, "m.index", 0700), 0);
	overwrite("m.index/in", text("x"));
	assert_int_equal(mkdirat(dir, "m.data", 0700), 0);
	overwrite("m.data/in", text("x"));
	x = opened();
	check_dropped(x, TOLD);
	assert_false(index_shared(x));
	add(x, 1, 3000);
	for (int i = 0; i < 3; i++) {
		index_load(x, VALIDITY, TOLD);
		assert_true(index_look(x, VALIDITY));
		check(x, 1, 3000);
		assert_int_not_equal(index_serial(x), 0);
		assert_true(index_data_add(x, text("n"), &d, &at));
		index_data_flush(x);
		assert_false(index_data(x, at, text("n"), &d));
		x->retry_ms = x->append_ms = 0;
	}
	index_free(&x);
	assert_int_equal(unlinkat(dir, "m.index/in", 0), 0);
	assert_int_equal(unlinkat(dir, "m.data/in", 0), 0);
	assert_int_equal(unlinkat(dir, "m.data", AT_REMOVEDIR), 0);
}

static void
test_disk_full(void **state)
{
	struct index *x = opened(), *other = opened();
	struct index_mail m;
	uint64_t serial;

	(void)state;
	add(x, 1, 50);
	index_load(other, VALIDITY, TOLD);
	limit_files(5000);
	index_begin(x);
	m = mail(10);
	m.flags = 1;
	index_put(x, 9, &m);
	for (uint32_t uid = 51; uid <= 500; uid++) {
		m = mail(uid);
		assert_true(index_add(x, &m));
	}
	index_put(x, 9, &(struct index_mail){ .uid = 10, .flags = 30, .modseq = 2010, .date_s = -10,
	    .octets = 1ull << 40 | 10, .name_at = 74, .where = 2 });
	index_end(x);
	assert_false(index_shared(x));
	check(x, 1, 500);
	assert_int_equal(faccessat(dir, "m.index", F_OK, 0), -1);	/* nobody goes on with the old one */
	assert_int_equal(index_serial(other), 0);
	index_load(other, VALIDITY, TOLD);		/* fits, while it is empty */
	check_dropped(other, TOLD);
	assert_true(index_shared(other));
	serial = index_serial(x);
	index_load(x, VALIDITY, TOLD);
	assert_int_equal(index_serial(x), serial);
	check(x, 1, 500);
	index_free(&other);
	limit_files(RLIM_INFINITY);
	x->retry_ms = 0;
	index_load(x, VALIDITY, TOLD);			/* somebody has made one: it is everybody's */
	check_dropped(x, TOLD);
	assert_true(index_shared(x));
	index_free(&x);
}

static void
test_room_again(void **state)
{
	struct index *x;

	(void)state;
	limit_files(10);
	x = opened();
	assert_false(index_shared(x));
	assert_int_equal(x->data.fd, -1);
	add(x, 1, 500);
	limit_files(RLIM_INFINITY);
	index_load(x, VALIDITY, TOLD);
	assert_false(index_shared(x));			/* not tried again yet */
	x->retry_ms = x->append_ms = 0;
	index_load(x, VALIDITY, TOLD);
	assert_true(index_shared(x));
	assert_int_not_equal(x->data.fd, -1);
	check(x, 1, 500);
	reload(&x);
	check(x, 1, 500);
	index_free(&x);
}

static void
test_makes_itself_shorter(void **state)
{
	struct index *x = opened(), *other = opened();
	struct stat before, after;

	(void)state;
	add(x, 1, 40000);
	index_begin(x);
	for (size_t i = 0; i < 39990; i++)
		index_remove(x, i);
	index_end(x);
	assert_int_equal(fstatat(dir, "m.index", &before, 0), 0);
	index_load(x, VALIDITY, TOLD);
	assert_int_equal(fstatat(dir, "m.index", &after, 0), 0);
	assert_true(before.st_size > 2 << 20 && after.st_size == 4096);
	check(x, 39991, 10);
	assert_int_equal(index_serial(other), 0);
	index_load(other, VALIDITY, TOLD);
	check(other, 39991, 10);
	index_free(&x);
	index_free(&other);
}

static void
test_most_mails(void **state)
{
	struct index *x = opened();
	struct index_mail m;

	(void)state;
	index_begin(x);
	for (uint32_t uid = 1; uid <= INDEX_MAILS_MAX; uid++) {
		m = (struct index_mail){ .uid = uid, .modseq = 1 };
		assert_true(index_add(x, &m));
	}
	m.uid++;
	assert_false(index_add(x, &m));
	index_end(x);
	assert_true(index_shared(x));
	reload(&x);
	assert_int_equal(index_count(x), INDEX_MAILS_MAX);
	index_begin(x);
	assert_false(index_add(x, &m));
	index_remove(x, 0);
	assert_true(index_add(x, &m));
	index_end(x);
	assert_true(index_get(x, INDEX_MAILS_MAX - 1, &m));
	index_free(&x);
}

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		T(test_keeps), T(test_new_mailbox), T(test_removes), T(test_uids_rise), T(test_two_at_once),
		T(test_state), T(test_killed), T(test_boots), T(test_boot_of_the_host),
		T(test_another_uidvalidity), T(test_copied), T(test_put_back), T(test_deleted), T(test_mixed_times), T(test_look),
		T(test_cut_while_mapped), T(test_odd_files), T(test_no_place), T(test_disk_full), T(test_room_again),
		T(test_makes_itself_shorter), T(test_most_mails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
