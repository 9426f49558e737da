/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/little.h"
#include "base/mem.h"
#include "base/testing.h"
#include "mail/index_impl.h"
#include "mail/ledger.h"

#define VALIDITY	7
#define TOLD		1000		/* mod-sequences that may have been told */

static char dir_name[64];
static int dir;

static int
make_dir(void **state)
{
	static const unsigned char boot[16] = "a life of a host";

	(void)state;
	index_boot(boot);
	snprintf(dir_name, sizeof dir_name, "/tmp/index-test.XXXXXX");
	if (!mkdtemp(dir_name))
		return -1;
	dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir == -1 ? -1 : 0;
}

static const char *const files[] = { "m.index", "m.data", "m.lock", "m.ledger", "m.ledger2", "copy", "odd/in", "odd",
	"m.index/in", "m.data/in", "m.index.new", "m.data.new", "m.ledger.new" };

/* A disk that is full: RLIMIT_FSIZE is one. */
static void
limit_files(rlim_t octets)
{
	struct rlimit r;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = octets;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static int
drop_dir(void **state)
{
	(void)state;
	limit_files(RLIM_INFINITY);
	for (size_t i = LEN(files); i-- > 0; )
		if (unlinkat(dir, files[i], 0) == -1 && errno == EISDIR)
			unlinkat(dir, files[i], AT_REMOVEDIR);
	close(dir);
	return rmdir(dir_name);
}

static struct index *
opened(void)
{
	struct index *x = index_new(dir, "m", "test");

	index_load(x, VALIDITY, TOLD);
	return x;
}

/* Every field from the UID. */
static struct index_mail
mail(uint32_t uid)
{
	return (struct index_mail){ .uid = uid, .flags = uid * 3, .modseq = 2000 + uid, .date_s = -(int64_t)uid,
	    .octets = 1ull << 40 | uid, .name_at = 64 + uid, .where = uid & 3 };
}

static void
check_mail(const struct index_mail *got, const struct index_mail *want)
{
	assert_int_equal(got->uid, want->uid);
	assert_int_equal(got->flags, want->flags);
	assert_int_equal(got->modseq, want->modseq);
	assert_int_equal(got->date_s, want->date_s);
	assert_int_equal(got->octets, want->octets);
	assert_int_equal(got->name_at, want->name_at);
	assert_int_equal(got->where, want->where);
}

static void
add(struct index *x, uint32_t first, uint32_t n)
{
	index_begin(x);
	for (uint32_t uid = first; uid < first + n; uid++) {
		struct index_mail m = mail(uid);

		assert_true(index_add(x, &m));
	}
	index_end(x);
}

/* UIDs first .. first + n - 1 and no others, as they were added. */
static void
check(struct index *x, uint32_t first, uint32_t n)
{
	struct index_mail m, want;

	assert_int_equal(index_count(x), n);
	for (uint32_t i = 0; i < n; i++) {
		want = mail(first + i);
		assert_true(index_get(x, i, &m));
		check_mail(&m, &want);
	}
	assert_false(index_get(x, n, &m));
}

static void
check_dropped(struct index *x, uint64_t told)
{
	unsigned char state[INDEX_STATE], zero[INDEX_STATE] = { 0 };

	assert_int_equal(index_count(x), 0);
	assert_int_equal(index_highest(x), told);
	index_state(x, state);
	assert_memory_equal(state, zero, sizeof zero);
}

static void
reload(struct index **x)
{
	index_free(x);
	*x = opened();
}

static void
slurp(const char *name, struct buf *out)
{
	buf_init(out, 64 << 20);
	assert_true(file_slurp(dir, name, out));
}

/* In place: the file keeps its inode. */
static void
overwrite(const char *name, struct bytes content)
{
	int fd = openat(dir, name, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, content));
	close(fd);
}

static void
resize(const char *name, off_t size)
{
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

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

/* ---- data ---- */

static const char *
name_of(uint32_t uid)
{
	static char name[4][64];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(name[turn], sizeof name[turn], "17900000%02u.M%uP1.host", (unsigned)uid % 100, (unsigned)uid);
	return name[turn];
}

static uint32_t
uid_of(struct bytes name)
{
	unsigned first, uid = 0;
	char copy[64];

	assert_true(bytes_to_text(name, copy, sizeof copy));
	assert_int_equal(sscanf(copy, "%u.M%uP1.host", &first, &uid), 2);
	return uid;
}

/* All from the UID; big: some octets more. */
static struct index_data
data_of(uint32_t uid, size_t big)
{
	static unsigned char octets[INDEX_DATA_MAX];

	for (size_t i = 0; i < 300 + big; i++)
		octets[i] = (unsigned char)(uid * 7 + i * 13 + i / 256);
	return (struct index_data){ .octets = 100000ull + uid, .envelope = bytes_of(octets, uid % 200),
	    .structure = bytes_of(octets + 50, 100 + big), .fields = bytes_of(octets + 7, uid % 3) };
}

static void
check_data(const struct index_data *got, uint32_t uid, size_t big)
{
	struct index_data want = data_of(uid, big);

	assert_int_equal(got->octets, want.octets);
	assert_bytes_equal(got->envelope, want.envelope);
	assert_bytes_equal(got->structure, want.structure);
	assert_bytes_equal(got->fields, want.fields);
}

static uint64_t
add_data(struct index *x, uint32_t uid, size_t big)
{
	struct index_data d = data_of(uid, big);
	uint64_t at = 0;

	assert_true(index_data_add(x, text(name_of(uid)), &d, &at));
	assert_int_not_equal(at, 0);
	return at;
}

static bool
has_data(struct index *x, uint64_t at, uint32_t uid, size_t big)
{
	struct index_data d;

	if (!index_data(x, at, text(name_of(uid)), &d))
		return false;
	check_data(&d, uid, big);
	return true;
}

struct finds { uint64_t at[5000]; size_t n; };

static void
note_find(void *arg, struct bytes name, uint64_t at)
{
	struct finds *f = arg;

	f->at[uid_of(name)] = at;
	f->n++;
}

/* Looks, and has the index remember that it has. */
static struct finds
finds_of(struct index *x)
{
	struct finds f = { .n = 0 };

	index_begin(x);
	index_data_fresh(x, note_find, &f);
	index_end(x);
	return f;
}

/* Each record that has data and those found now: into the records. */
static void
put_finds(struct index *x, const struct finds *f)
{
	struct index_mail m;

	index_begin(x);
	for (size_t i = 0; i < index_count(x); i++) {
		assert_true(index_get(x, i, &m));
		if (f->at[m.uid] != 0)
			m.data = f->at[m.uid];
		index_put(x, i, &m);
	}
	index_end(x);
}

static void
test_data(void **state)
{
	struct index *x = opened(), *other = opened();
	struct index_data d;
	struct finds f;
	uint64_t at[51];

	(void)state;
	for (uint32_t uid = 1; uid <= 50; uid++)
		at[uid] = add_data(x, uid, 0);
	for (uint32_t uid = 1; uid <= 50; uid++)		/* not written yet */
		assert_true(has_data(x, at[uid], uid, 0));
	assert_false(index_data(x, at[1], text(name_of(2)), &d));
	assert_false(index_data(x, 0, text(name_of(1)), &d));
	assert_false(index_data(x, at[50] + 1, text(name_of(1)), &d));
	assert_int_equal(finds_of(other).n, 0);
	index_data_flush(x);
	for (uint32_t uid = 1; uid <= 50; uid++)
		assert_true(has_data(x, at[uid], uid, 0));
	assert_false(index_data(x, at[1], text(name_of(2)), &d));
	index_load(other, VALIDITY, TOLD);
	f = finds_of(other);
	assert_int_equal(f.n, 50);
	assert_int_equal(finds_of(other).n, 0);			/* once */
	for (uint32_t uid = 1; uid <= 50; uid++)
		assert_true(has_data(other, f.at[uid], uid, 0));
	assert_false(index_data(other, f.at[1], text(name_of(2)), &d));
	assert_false(index_data(other, f.at[1] + 8, text(name_of(1)), &d));
	assert_false(index_data(other, f.at[1] + (1ull << 48), text(name_of(1)), &d));
	assert_false(index_data(other, UINT64_MAX >> 1, text(name_of(1)), &d));
	index_load(x, VALIDITY, TOLD);
	assert_int_equal(finds_of(x).n, 0);			/* by anybody */
	add_data(other, 51, 0);
	index_free(&other);					/* writes it */
	assert_int_equal(finds_of(x).n, 1);
	index_free(&x);
}

/* The place that index_data_add tells becomes the true one in a record. */
static void
test_data_in_records(void **state)
{
	struct index *x = opened();
	struct index_mail m;
	uint64_t at[3001];

	(void)state;
	for (uint32_t uid = 1; uid <= 3000; uid++)		/* more than wait at once */
		at[uid] = add_data(x, uid, 0);
	index_begin(x);
	for (uint32_t uid = 1; uid <= 3000; uid++) {
		m = mail(uid);
		m.data = at[uid];
		assert_true(index_add(x, &m));
	}
	index_end(x);
	for (int again = 0; again < 2; again++) {
		for (uint32_t uid = 1; uid <= 3000; uid++) {
			assert_true(index_get(x, uid - 1, &m));
			assert_true(has_data(x, m.data, uid, 0));
		}
		reload(&x);
	}
	assert_int_equal(finds_of(x).n, 3000);			/* nobody has looked yet */
	index_free(&x);
}

/* Deliveries neither load the index nor make its file. */
static void
test_delivery(void **state)
{
	struct index *x = index_new(dir, "m", "test"), *session;
	struct finds f;
	uint64_t at;

	(void)state;
	at = add_data(x, 1, 0);
	index_data_flush(x);
	assert_int_equal(faccessat(dir, "m.data", F_OK, 0), -1);
	assert_false(has_data(x, at, 1, 0));
	session = opened();
	x->append_ms = 0;
	at = add_data(x, 2, 0);
	index_data_flush(x);
	assert_true(has_data(x, at, 2, 0));
	index_free(&x);
	x = index_new(dir, "m", "test");
	add_data(x, 3, 1000);
	index_free(&x);
	f = finds_of(session);
	assert_int_equal(f.n, 2);
	assert_true(has_data(session, f.at[2], 2, 0));
	assert_true(has_data(session, f.at[3], 3, 1000));
	index_free(&session);
}

static void
test_data_limits(void **state)
{
	static unsigned char octets[INDEX_DATA_MAX];
	struct index_data d = { .envelope = bytes_of(octets, INDEX_DATA_MAX - INDEX_DATA_HEAD - 8) };
	struct index *x = opened();
	uint64_t at;

	(void)state;
	assert_true(index_data_add(x, text("12345678"), &d, &at));
	assert_true(index_data(x, at, text("12345678"), &d));
	assert_int_equal(d.envelope.n, INDEX_DATA_MAX - INDEX_DATA_HEAD - 8);
	index_data_flush(x);
	assert_true(index_data(x, at, text("12345678"), &d));
	assert_int_equal(d.envelope.n, INDEX_DATA_MAX - INDEX_DATA_HEAD - 8);
	d = (struct index_data){ .envelope = bytes_of(octets, INDEX_DATA_MAX - INDEX_DATA_HEAD - 8) };
	assert_false(index_data_add(x, text("123456789"), &d, &at));
	assert_int_equal(errno, EFBIG);
	d.envelope.n = SIZE_MAX;
	assert_false(index_data_add(x, text("n"), &d, &at));
	d.envelope.n = 0;
	assert_true(index_data_add(x, bytes_of(octets, INDEX_NAME_MAX), &d, &at));
	assert_false(index_data_add(x, bytes_of(octets, INDEX_NAME_MAX + 1), &d, &at));
	assert_int_equal(errno, EINVAL);
	assert_false(index_data_add(x, text(""), &d, &at));
	assert_int_equal(errno, EINVAL);
	index_free(&x);
}

static bool
delivers(uint32_t uid)
{
	struct index *x = index_new(dir, "m", "test");
	uint64_t at = add_data(x, uid, 0);
	bool good;

	index_data_flush(x);
	good = has_data(x, at, uid, 0);
	index_free(&x);
	return good;
}

static void
test_largest_data_file(void **state)
{
	struct index_data d = data_of(1, 0);
	size_t octets = index_data_size(text(name_of(1)), &d);
	unsigned char seen[8];
	struct index *x = opened();
	int fd;

	(void)state;
	index_free(&x);
	resize("m.data", INDEX_DATA_HEADER + INDEX_DATA_UNREAD_MAX);
	assert_true(delivers(1));
	resize("m.data", INDEX_DATA_HEADER + INDEX_DATA_UNREAD_MAX + 1);
	assert_false(delivers(1));		/* nobody reads it */
	fd = openat(dir, "m.data", O_RDWR | O_CLOEXEC);
	little_put_u64(seen, INDEX_DATA_FILE_MAX);
	assert_true(file_pwrite(fd, bytes_of(seen, sizeof seen), INDEX_DATA_SEEN_AT));
	close(fd);
	assert_true(delivers(1));
	resize("m.data", (off_t)(INDEX_DATA_FILE_MAX - octets));
	assert_true(delivers(1));
	resize("m.data", (off_t)(INDEX_DATA_FILE_MAX - octets + 1));
	assert_false(delivers(1));
	resize("m.data", (off_t)INDEX_DATA_FILE_MAX + 1);
	x = opened();				/* too long to be ours */
	assert_true(delivers(1));
	index_free(&x);
}

/* A process that was killed in mid-write costs the record that it wrote. */
static void
test_data_torn(void **state)
{
	struct index_data d = data_of(2, 0);
	off_t octets = (off_t)index_data_size(text(name_of(2)), &d);
	struct index *x = opened();
	struct stat st;

	(void)state;
	for (off_t cut = 1; cut <= octets; cut += 3) {
		struct finds f = finds_of(x);

		add_data(x, 1, 0);
		add_data(x, 2, 0);
		index_data_flush(x);
		fstatat(dir, "m.data", &st, 0);
		resize("m.data", st.st_size - cut);
		assert_true(delivers(3));
		f = finds_of(x);
		assert_int_equal(f.n, f.at[2] ? 3 : 2);		/* it ends in zeros: they come again */
		assert_true(cut < 8 || f.at[2] == 0);
		assert_true(f.at[2] == 0 || has_data(x, f.at[2], 2, 0));
		assert_true(has_data(x, f.at[1], 1, 0));
		assert_true(has_data(x, f.at[3], 3, 0));
	}
	index_free(&x);
}

/* What a message has in it is never taken for a record, whatever was torn. */
static void
test_data_forged(void **state)
{
	static const unsigned char guess[INDEX_ID] = "a guess";
	struct index_data d = data_of(9, 0), outer = { .octets = 1 };
	struct index *x = opened();
	struct buf forged;
	int fd;

	(void)state;
	buf_init(&forged, 10000);
	index_data_put(&forged, text(name_of(9)), &d);
	index_data_stamp(forged.p, guess);
	outer.envelope = buf_bytes(&forged);
	assert_true(index_data_add(x, text(name_of(8)), &outer, NULL));
	index_data_flush(x);
	fd = openat(dir, "m.data", O_RDWR | O_CLOEXEC);
	assert_true(file_pwrite(fd, text("torn"), INDEX_DATA_HEADER + 4));
	close(fd);
	assert_true(delivers(3));
	assert_int_equal(finds_of(x).n, 1);
	buf_fini(&forged);
	index_free(&x);
}

static void
test_data_lock(void **state)
{
	struct index *x = opened();
	struct lock_file lock;
	uint64_t at, before;

	(void)state;
	lock_file_init(&lock, dir, "m");
	assert_true(lock_file_take(&lock, LOCK_DATA, 0));
	at = add_data(x, 1, 0);
	before = clock_mono_ms();
	index_data_flush(x);
	assert_false(has_data(x, at, 1, 0));
	assert_int_equal(finds_of(x).n, 0);
	for (uint32_t uid = 2; uid < 1000; uid++)		/* not waited for each time */
		add_data(x, uid, 0);
	assert_true(clock_mono_ms() - before < 5 * INDEX_LOCK_MS);
	lock_file_fini(&lock);
	x->lock_ms = 0;
	add_data(x, 5, 0);
	assert_true(finds_of(x).n > 0);
	index_free(&x);
}

/* Somebody takes the file away, or cuts it: what records name is looked for again. */
static void
test_data_lost(void **state)
{
	struct index *x = opened();
	struct index_mail m;
	struct finds f;

	(void)state;
	add(x, 1, 20);
	for (uint32_t uid = 1; uid <= 20; uid++)
		add_data(x, uid, 0);
	f = finds_of(x);
	put_finds(x, &f);
	assert_true(index_get(x, 19, &m) && has_data(x, m.data, 20, 0));
	assert_int_equal(unlinkat(dir, "m.data", 0), 0);
	add_data(x, 7, 0);
	index_load(x, VALIDITY, TOLD);				/* there was no file to write it to */
	check(x, 1, 20);
	assert_true(index_get(x, 19, &m));
	assert_int_equal(m.data, 0);
	x->append_ms = 0;
	add_data(x, 7, 0);
	f = finds_of(x);
	assert_int_equal(f.n, 1);
	put_finds(x, &f);
	reload(&x);
	assert_true(index_get(x, 6, &m) && has_data(x, m.data, 7, 0));
	index_free(&x);
	x = opened();
	resize("m.data", 10);					/* below one that has it open */
	index_load(x, VALIDITY, TOLD);
	add_data(x, 9, 0);
	assert_int_equal(finds_of(x).n, 1);
	index_free(&x);
	resize("m.data", INDEX_DATA_HEADER);
	x = opened();
	check(x, 1, 20);
	assert_true(index_get(x, 6, &m));
	assert_int_equal(m.data, 0);
	add_data(x, 9, 0);
	assert_int_equal(finds_of(x).n, 1);
	index_free(&x);
}

static void
test_data_shortened(void **state)
{
	struct index *x = opened(), *other;
	struct index_data kept;
	struct stat before, after;
	struct index_mail m;
	struct finds f;
	uint64_t at;

	(void)state;
	add(x, 1, 900);
	for (uint32_t uid = 1; uid <= 900; uid++)
		add_data(x, uid, 3000);
	f = finds_of(x);
	put_finds(x, &f);
	other = opened();
	assert_true(index_data(other, f.at[900], text(name_of(900)), &kept));
	index_begin(x);
	for (size_t i = 0; i < 440; i++)
		index_remove(x, i);
	index_end(x);
	fstatat(dir, "m.data", &before, 0);
	index_load(x, VALIDITY, TOLD);
	fstatat(dir, "m.data", &after, 0);
	assert_int_equal(after.st_size, before.st_size);	/* less than half */
	add_data(x, 1000, 0);					/* nobody has looked at these yet */
	index_data_flush(x);
	assert_true(delivers(1001));
	index_begin(x);
	for (size_t i = 0; i < 100; i++)
		index_remove(x, i);
	index_end(x);
	index_load(x, VALIDITY, TOLD);
	fstatat(dir, "m.data", &after, 0);
	assert_true(after.st_size < before.st_size * 45 / 100);
	check(x, 541, 360);
	for (size_t i = 0; i < 360; i++) {
		assert_true(index_get(x, i, &m));
		assert_true(has_data(x, m.data, m.uid, 3000));
	}
	check_data(&kept, 900, 3000);				/* until other loads */
	assert_true(has_data(other, f.at[900], 900, 3000));
	at = add_data(other, 1002, 0);
	index_data_flush(other);				/* to the file that is there now */
	assert_false(has_data(other, at, 1002, 0));
	f = finds_of(x);
	assert_int_equal(f.n, 3);
	assert_true(has_data(x, f.at[1000], 1000, 0));
	assert_true(has_data(x, f.at[1001], 1001, 0));
	assert_true(has_data(x, f.at[1002], 1002, 0));
	index_load(other, VALIDITY, TOLD);
	assert_true(index_get(other, 359, &m) && has_data(other, m.data, 900, 3000));
	index_free(&x);
	index_free(&other);
}

/* There is no room for the shorter one beside the longer: it stays as it is. */
static void
test_data_not_shortened(void **state)
{
	struct index *x = opened();
	struct index_mail m;
	struct finds f;

	(void)state;
	add(x, 1, 900);
	for (uint32_t uid = 1; uid <= 900; uid++)
		add_data(x, uid, 3000);
	f = finds_of(x);
	put_finds(x, &f);
	index_begin(x);
	for (size_t i = 0; i < 600; i++)
		index_remove(x, i);
	index_end(x);
	limit_files(500000);
	index_load(x, VALIDITY, TOLD);
	limit_files(RLIM_INFINITY);
	assert_int_equal(faccessat(dir, "m.data.new", F_OK, 0), -1);
	check(x, 601, 300);
	for (size_t i = 0; i < 300; i++) {
		assert_true(index_get(x, i, &m));
		assert_true(has_data(x, m.data, m.uid, 3000));
	}
	index_free(&x);
}

/* ---- damage ---- */

static void
damage(struct buf *b, const struct buf *good, size_t at, int how)
{
	static const unsigned char more[200] = "more";

	buf_clear(b);
	buf_add(b, buf_bytes(good));
	switch (how) {
	case 0:
		b->p[at] ^= (unsigned char)(1u << at / 64 % 8);
		break;
	case 1:
		memset(b->p + at, 0, b->n - at < 64 ? b->n - at : 64);
		break;
	case 2:
		b->n = at;
		break;
	case 3:
		buf_add(b, bytes_of(more, at % sizeof more + 1));
	}
}

/* As it was, or nothing; what data there is, is right. Data can be had by name again. */
static void
check_damaged(uint32_t n)
{
	struct index *x = opened();
	struct index_mail m, want;
	struct finds f;

	if (index_count(x) != 0) {
		assert_int_equal(index_count(x), n);
		for (uint32_t i = 0; i < n; i++) {
			want = mail(i + 1);
			assert_true(index_get(x, i, &m));
			check_mail(&m, &want);
			(void)has_data(x, m.data, m.uid, 0);
		}
	} else {
		check_dropped(x, TOLD);
	}
	f = finds_of(x);
	for (uint32_t uid = 1; uid <= n; uid++)
		(void)has_data(x, f.at[uid], uid, 0);
	index_free(&x);
}

static void
test_damage(void **state)
{
	static const char *const names[] = { "m.index", "m.data" };
	struct index *x = opened();
	struct buf good[2], bad;
	struct finds f;

	(void)state;
	add(x, 1, 60);
	for (uint32_t uid = 1; uid <= 60; uid++)
		add_data(x, uid, 0);
	f = finds_of(x);
	put_finds(x, &f);
	index_free(&x);
	buf_init(&bad, 1 << 20);
	for (int i = 0; i < 2; i++)
		slurp(names[i], &good[i]);
	for (int i = 0; i < 2; i++)
		for (size_t at = 0; at < good[i].n; at += 64)
			for (int how = 0; how < 4; how++) {
				struct stat st;

				/* Both of this very inode, for it may have been replaced. */
				overwrite("m.index", buf_bytes(&good[0]));
				overwrite("m.data", buf_bytes(&good[1]));
				fstatat(dir, "m.index", &st, 0);
				little_put_u64(good[0].p + 16, st.st_ino);
				little_put_u32(good[0].p + 252, crc32_of(0, bytes_of(good[0].p, 248)));
				overwrite("m.index", buf_bytes(&good[0]));
				damage(&bad, &good[i], at, how);
				overwrite(names[i], buf_bytes(&bad));
				check_damaged(60);
			}
	overwrite("m.index", buf_bytes(&good[0]));
	overwrite("m.data", buf_bytes(&good[1]));
	x = opened();
	assert_int_equal(index_count(x), 60);		/* the test itself damages nothing */
	index_free(&x);
	buf_fini(&bad);
	for (int i = 0; i < 2; i++)
		buf_fini(&good[i]);
}

#ifdef HERMOD_FAULTS

/* A session, from a new mailbox to one of which most is gone. It never notices what fails, but for data that
 * it has to make again. */
static void
session(void)
{
	struct index *x = opened();
	struct index_mail m;
	struct finds f;

	add(x, 1, 900);
	for (uint32_t uid = 1; uid <= 900; uid++)
		(void)add_data(x, uid, 3000);
	f = finds_of(x);
	put_finds(x, &f);
	index_load(x, VALIDITY, TOLD);
	index_begin(x);
	for (size_t i = 0; i < 800; i++)
		index_remove(x, i);
	index_end(x);
	x->retry_ms = x->append_ms = 0;
	index_load(x, VALIDITY, TOLD);
	x->shorten_ms = 0;
	index_load(x, VALIDITY, TOLD);
	must(index_count(x) == 100);
	for (size_t i = 0; i < 100; i++) {
		must(index_get(x, i, &m) && m.uid == 801 + i && m.modseq == 2801 + i);
		(void)has_data(x, m.data, m.uid, 3000);
	}
	index_free(&x);
}

/* Whatever call fails, once or from then on, and wherever a process is killed. */
static void
test_failing_calls(void **state)
{
	static const char *const calls[] = { "openat", "pwrite", "mmap", "renameat", "unlinkat", "close" };
	static const char *const ways[] = { "ENOSPC", "kill", "short" };
	enum { TIMES = 14 };

	(void)state;
	for (size_t n = 0; n < LEN(calls) * LEN(ways) * TIMES * 2; n++) {
		size_t call = n / 2 / TIMES / LEN(ways), way = n / 2 / TIMES % LEN(ways);
		struct index_mail m;
		struct index *x;
		char fault[64];
		pid_t pid;
		int status;

		if (way == 2 && strcmp(calls[call], "pwrite") != 0)
			continue;
		snprintf(fault, sizeof fault, "index_test:%s:%zu%s:%s", calls[call], n / 2 % TIMES + 1, n % 2 ? "+" : "",
		    ways[way]);
		pid = fork();
		if (pid == 0) {
			setenv("HERMOD_FAULT", fault, 1);
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
			fault_open("index_test");
			session();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0 && !(way == 1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
			fail_msg("%s: status %d", fault, status);
		x = opened();
		assert_true(index_shared(x));
		for (size_t i = 0; i < index_count(x); i++) {
			struct index_mail want;

			assert_true(index_get(x, i, &m));
			want = mail(m.uid);
			check_mail(&m, &want);
			(void)has_data(x, m.data, m.uid, 3000);
		}
		index_free(&x);
		unlinkat(dir, "m.index", 0);
		unlinkat(dir, "m.data", 0);
	}
}

#endif

/* ---- several processes, killed at any time ---- */

#define WORKERS		3
#define KILLS		120
#define MAILS		400

struct snapshot { uint32_t n; struct index_mail mail[MAILS]; };

struct model {				/* shared; changed under the ledger's lock */
	struct snapshot	state[2];
	int		now;		/* which of them holds */
	bool		changing;	/* the other one may hold, if who changed it died */
	uint32_t	next_uid;
	uint64_t	told;		/* the highest mod-sequence that anybody was told */
	unsigned	drops, rounds;
};

static struct model *model;

static bool
agrees(struct index *x, const struct snapshot *s)
{
	struct index_mail m;

	if (index_count(x) != s->n)
		return false;
	for (uint32_t i = 0; i < s->n; i++)
		if (!index_get(x, i, &m) || m.uid != s->mail[i].uid || m.flags != s->mail[i].flags
		    || m.modseq != s->mail[i].modseq)
			return false;
	return true;
}

/* What the next mod-sequence is, which may be told from now on. */
static uint64_t
next_modseq(struct index *x, struct ledger *l)
{
	uint64_t next = index_highest(x) + 1;

	must(ledger_modseq_reserve(l, next));
	return next;
}

/* Dropped: all is added again, with mod-sequences that nobody was told. */
static void
fill_again(struct index *x, struct ledger *l)
{
	struct snapshot *s = &model->state[model->now], *new = &model->state[!model->now];

	must(index_highest(x) >= model->told);
	model->drops++;
	*new = *s;
	model->changing = true;
	index_begin(x);
	for (uint32_t i = 0; i < new->n; i++) {
		new->mail[i].modseq = next_modseq(x, l);
		new->mail[i].data = 0;
		must(index_add(x, &new->mail[i]));
	}
	index_end(x);
	model->now = !model->now;
	model->changing = false;
}

static void
recover(struct index *x, struct ledger *l)
{
	if (model->changing && agrees(x, &model->state[!model->now]))
		model->now = !model->now;
	model->changing = false;
	if (!agrees(x, &model->state[model->now])) {
		must(index_count(x) == 0);
		fill_again(x, l);
	}
}

static void
change(struct index *x, struct ledger *l)
{
	struct snapshot *new = &model->state[!model->now];
	uint32_t kept = 0;

	*new = model->state[model->now];
	model->changing = true;
	index_begin(x);
	for (uint32_t i = 0; i < new->n; i++) {
		if (rand() % 20 == 0) {
			new->mail[i].flags = (uint32_t)rand();
			new->mail[i].modseq = next_modseq(x, l);
			index_put(x, i, &new->mail[i]);
		}
		if (rand() % 1000 == 0)		/* be killed here */
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		if (rand() % 40 == 0)
			index_remove(x, i);
		else
			new->mail[kept++] = new->mail[i];
	}
	new->n = kept;
	for (int i = rand() % 12; i > 0 && new->n < MAILS; i--) {
		struct index_mail *m = &new->mail[new->n++];

		*m = mail(model->next_uid++);
		m->modseq = next_modseq(x, l);
		must(index_add(x, m));
	}
	index_end(x);
	model->now = !model->now;
	model->changing = false;
	model->told = index_highest(x);
}

struct looking { struct index *x; };

static void
put_find(void *arg, struct bytes name, uint64_t at)
{
	struct index *x = ((struct looking *)arg)->x;
	uint32_t uid = uid_of(name);
	size_t i = index_find(x, uid);
	struct index_mail m;

	if (!index_get(x, i, &m) || m.uid != uid)
		return;
	m.data = at;
	index_put(x, i, &m);
}

static void
look_at_data(struct index *x)
{
	struct looking l = { x };
	struct index_mail m;

	index_begin(x);
	index_data_fresh(x, put_find, &l);
	index_end(x);
	for (size_t i = 0; i < index_count(x); i++) {
		must(index_get(x, i, &m));
		if (!has_data(x, m.data, m.uid, m.uid % 7 * 1000) && rand() % 4 == 0)
			(void)add_data(x, m.uid, m.uid % 7 * 1000);
	}
}

static void
work(unsigned seed)
{
	struct ledger *l = ledger_new(dir, "m", "test");
	struct index *x = index_new(dir, "m", "test");

	srand(seed);
	for (;;) {
		must(ledger_lock(l, 60000) && ledger_load(l) && ledger_keep(l));
		index_load(x, ledger_uidvalidity(l), ledger_modseq_told(l));
		must(index_shared(x));
		recover(x, l);
		for (int i = rand() % 4; i > 0; i--) {
			change(x, l);
			model->rounds++;
		}
		look_at_data(x);
		ledger_unlock(l);
	}
}

static pid_t
start(unsigned seed)
{
	pid_t pid = fork();

	if (pid == 0) {
		work(seed);
		_exit(0);
	}
	return pid;
}

static void
test_processes(void **state)
{
	unsigned seed = (unsigned)clock_wall_us();
	pid_t pid[WORKERS];
	struct ledger *l;
	struct index *x;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	model = mmap(NULL, sizeof *model, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(model, MAP_FAILED);
	model->next_uid = 1;
	for (int i = 0; i < WORKERS; i++)
		pid[i] = start(seed + (unsigned)i);
	for (int kills = 0; kills < KILLS; kills++) {
		struct timespec t = { .tv_nsec = rand() % 20000000 };
		int i = rand() % WORKERS, status;

		nanosleep(&t, NULL);
		kill(pid[i], SIGKILL);
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);	/* and nothing before it */
		pid[i] = start(seed + 100 + (unsigned)kills);
	}
	for (int i = 0; i < WORKERS; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	l = ledger_new(dir, "m", "test");
	assert_true(ledger_lock(l, 1000) && ledger_load(l) && ledger_keep(l));
	x = index_new(dir, "m", "test");
	index_load(x, ledger_uidvalidity(l), ledger_modseq_told(l));
	recover(x, l);
	look_at_data(x);
	print_message("%u rounds, %u drops\n", model->rounds, model->drops);
	assert_true(model->rounds > 0 && model->drops <= KILLS + WORKERS);
	index_free(&x);
	ledger_free(&l);
	munmap(model, sizeof *model);
}

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		T(test_keeps), T(test_new_mailbox), T(test_removes), T(test_uids_rise), T(test_two_at_once),
		T(test_state), T(test_killed), T(test_boots), T(test_boot_of_the_host),
		T(test_another_uidvalidity), T(test_copied), T(test_deleted), T(test_mixed_times), T(test_look),
		T(test_cut_while_mapped), T(test_odd_files), T(test_no_place), T(test_disk_full), T(test_room_again),
		T(test_makes_itself_shorter), T(test_most_mails),
		T(test_data), T(test_data_in_records), T(test_delivery), T(test_data_limits),
		T(test_largest_data_file), T(test_data_torn), T(test_data_forged), T(test_data_lock),
		T(test_data_lost), T(test_data_shortened), T(test_data_not_shortened),
		T(test_damage), T(test_processes),
#ifdef HERMOD_FAULTS
		T(test_failing_calls),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
