/* SPDX-License-Identifier: ISC */
/* What the index keeps beside its records: m.data. */
#include <sys/stat.h>

#include "base/clock.h"
#include "base/little.h"
#include "mail/index_testing.h"

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

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		T(test_data), T(test_data_in_records), T(test_delivery), T(test_data_limits),
		T(test_largest_data_file), T(test_data_torn), T(test_data_forged), T(test_data_lock),
		T(test_data_lost), T(test_data_shortened), T(test_data_not_shortened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
