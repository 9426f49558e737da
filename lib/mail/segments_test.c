/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "mail/segments.h"
#include "proto/testing.h"

#define FILE_TEXT "0123456789abcdefghij"

/* Temporary, without a name. */
static int
file_of(const char *s)
{
	char name[] = "/tmp/segments_test.XXXXXX";
	int fd = mkstemp(name);

	assert_int_not_equal(fd, -1);
	unlink(name);
	assert_int_equal(write(fd, s, strlen(s)), (long)strlen(s));
	return fd;
}

static void
joined_run(struct buf *run)
{
	buf_init(run, 1000);
	segments_add_text(run, text("Received: x\r\n"));
	segments_add_file(run, 2, 5);
	segments_add_text(run, text(""));
	segments_add_file(run, 9, 0);
	segments_add_file(run, 10, 10);
}

static void
test_read_in_any_pieces(void **state)
{
	const char *want = "Received: x\r\n23456abcdefghij";
	int fd = file_of(FILE_TEXT);
	struct buf run;
	uint64_t octets;

	(void)state;
	joined_run(&run);
	assert_true(segments_size(buf_bytes(&run), &octets));
	assert_int_equal(octets, strlen(want));
	for (size_t piece = 1; piece < 40; piece++) {
		struct segment_reader r;
		char got[100];
		size_t n = 0;
		long k;

		segment_reader_init(&r, fd, buf_bytes(&run));
		while ((k = segment_reader_read(&r, got + n, piece)) > 0) {
			n += (size_t)k;
			assert_true(n <= strlen(want));
		}
		assert_int_equal(k, 0);
		assert_bytes_equal(bytes_of(got, n), text(want));
	}
	buf_fini(&run);
	close(fd);
}

static void
test_file_too_short(void **state)
{
	int fd = file_of("short");
	struct segment_reader r;
	struct buf run;
	char got[100];

	(void)state;
	joined_run(&run);
	segment_reader_init(&r, fd, buf_bytes(&run));
	assert_int_equal(segment_reader_read(&r, got, sizeof got), -1);
	assert_int_equal(errno, EIO);
	buf_fini(&run);
	close(fd);
}

/* Every prefix of a run is the run up to a segment's end, or malformed. */
static void
test_cut_runs(void **state)
{
	struct buf run;

	(void)state;
	joined_run(&run);
	for (size_t n = 0; n < run.n; n++) {
		struct bytes cut = bytes_head(buf_bytes(&run), n);
		uint64_t octets;
		bool whole = n == 0 || n == 1 + 4 + 13 || n == 1 + 4 + 13 + 17;

		assert_int_equal(segments_size(cut, &octets), whole);
	}
	buf_fini(&run);
}

static void
test_sizes_that_cannot_be(void **state)
{
	struct buf run;
	uint64_t octets;

	(void)state;
	buf_init(&run, 1000);
	segments_add_file(&run, 0, UINT64_MAX);
	assert_false(segments_size(buf_bytes(&run), &octets));
	buf_clear(&run);
	for (int i = 0; i < 5; i++)
		segments_add_file(&run, 0, (uint64_t)1 << 61);
	assert_false(segments_size(buf_bytes(&run), &octets));
	buf_fini(&run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_in_any_pieces),
		cmocka_unit_test(test_file_too_short),
		cmocka_unit_test(test_cut_runs),
		cmocka_unit_test(test_sizes_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
