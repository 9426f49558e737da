/* SPDX-License-Identifier: ISC */
/*
 * mail/index_testing.h - what the tests of the index share: a folder, an index in it, and mails
 * and data of which every field follows from the UID.
 */
#ifndef MAIL_INDEX_TESTING_H
#define MAIL_INDEX_TESTING_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/testing.h"
#include "mail/index_impl.h"

#define VALIDITY	7
#define TOLD		1000		/* mod-sequences that may have been told */

static char dir_name[64];
static int dir;

static inline int
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

/* A disk that is full: RLIMIT_FSIZE is one. */
static inline void
limit_files(rlim_t octets)
{
	struct rlimit r;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = octets;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* All that a test may leave: anything else fails it. */
static const char *const files[] = { "m.index", "m.data", "m.lock", "m.ledger", "m.ledger2", "copy", "odd/in", "odd",
	"m.index/in", "m.data/in", "m.index.new", "m.data.new", "m.ledger.new" };

static inline int
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

static inline struct index *
opened(void)
{
	struct index *x = index_new(dir, "m", "test");

	index_load(x, VALIDITY, TOLD);
	return x;
}

/* Every field from the UID. */
static inline struct index_mail
mail(uint32_t uid)
{
	return (struct index_mail){ .uid = uid, .flags = uid * 3, .modseq = 2000 + uid, .date_s = -(int64_t)uid,
	    .octets = 1ull << 40 | uid, .name_at = 64 + uid, .where = uid & 3 };
}

static inline void
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

static inline void
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
static inline void
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

static inline void
check_dropped(struct index *x, uint64_t told)
{
	unsigned char state[INDEX_STATE], zero[INDEX_STATE] = { 0 };

	assert_int_equal(index_count(x), 0);
	assert_int_equal(index_highest(x), told);
	index_state(x, state);
	assert_memory_equal(state, zero, sizeof zero);
}

static inline void
reload(struct index **x)
{
	index_free(x);
	*x = opened();
}

static inline void
slurp(const char *name, struct buf *out)
{
	buf_init(out, 64 << 20);
	assert_true(file_slurp(dir, name, out));
}

/* In place: the file keeps its inode. */
static inline void
overwrite(const char *name, struct bytes content)
{
	int fd = openat(dir, name, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, content));
	close(fd);
}

static inline void
resize(const char *name, off_t size)
{
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

/* ---- data ---- */

static inline const char *
name_of(uint32_t uid)
{
	static char name[4][64];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(name[turn], sizeof name[turn], "17900000%02u.M%uP1.host", (unsigned)uid % 100, (unsigned)uid);
	return name[turn];
}

static inline uint32_t
uid_of(struct bytes name)
{
	unsigned first, uid = 0;
	char copy[64];

	assert_true(bytes_to_text(name, copy, sizeof copy));
	assert_int_equal(sscanf(copy, "%u.M%uP1.host", &first, &uid), 2);
	return uid;
}

/* All from the UID; big: some octets more. */
static inline struct index_data
data_of(uint32_t uid, size_t big)
{
	static unsigned char octets[INDEX_DATA_MAX];

	for (size_t i = 0; i < 300 + big; i++)
		octets[i] = (unsigned char)(uid * 7 + i * 13 + i / 256);
	return (struct index_data){ .octets = 100000ull + uid, .envelope = bytes_of(octets, uid % 200),
	    .structure = bytes_of(octets + 50, 100 + big), .fields = bytes_of(octets + 7, uid % 3) };
}

static inline void
check_data(const struct index_data *got, uint32_t uid, size_t big)
{
	struct index_data want = data_of(uid, big);

	assert_int_equal(got->octets, want.octets);
	assert_bytes_equal(got->envelope, want.envelope);
	assert_bytes_equal(got->structure, want.structure);
	assert_bytes_equal(got->fields, want.fields);
}

static inline uint64_t
add_data(struct index *x, uint32_t uid, size_t big)
{
	struct index_data d = data_of(uid, big);
	uint64_t at = 0;

	assert_true(index_data_add(x, text(name_of(uid)), &d, &at));
	assert_int_not_equal(at, 0);
	return at;
}

static inline bool
has_data(struct index *x, uint64_t at, uint32_t uid, size_t big)
{
	struct index_data d;

	if (!index_data(x, at, text(name_of(uid)), &d))
		return false;
	check_data(&d, uid, big);
	return true;
}

struct finds { uint64_t at[5000]; size_t n; };

static inline void
note_find(void *arg, struct bytes name, uint64_t at)
{
	struct finds *f = arg;

	f->at[uid_of(name)] = at;
	f->n++;
}

/* Looks, and has the index remember that it has. */
static inline struct finds
finds_of(struct index *x)
{
	struct finds f = { .n = 0 };

	index_begin(x);
	index_data_fresh(x, note_find, &f);
	index_end(x);
	return f;
}

/* Each record that has data and those found now: into the records. */
static inline void
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

#endif
