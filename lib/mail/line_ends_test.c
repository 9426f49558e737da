/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/line_ends.h"

static const struct { const char *wire, *file; } in[] = {
	{ "", "" },
	{ "a\r\nb\r\n", "a\nb\n" },
	{ "\r\n\r\n", "\n\n" },
	{ "no end", "no end" },
	{ "bare\rcr\r\n", "bare\rcr\n" },
	{ "bare\nlf\r\n", "bare\nlf\n" },
	{ "ends in cr\r", "ends in cr\r" },
	{ "two\r\r\n", "two\r\n" },
	{ "\r\r\r", "\r\r\r" },
}, out[] = {
	{ "", "" },
	{ "a\r\nb\r\n", "a\nb\n" },
	{ "\r\n\r\n", "\n\n" },
	{ "crlf\r\nkept\r\n", "crlf\r\nkept\r\n" },
	{ "cr\rkept\r\n", "cr\rkept\n" },
	{ "no end", "no end" },
	{ "\r", "\r" },
};

static int
file_of(struct bytes content)
{
	char name[] = "/tmp/line-ends-test.XXXXXX";
	int fd = mkstemp(name);

	assert_int_not_equal(fd, -1);
	unlink(name);
	assert_true(file_write(fd, content));
	return fd;
}

static void
test_to_lf(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(in); i++) {
		struct bytes wire = text(in[i].wire), want = text(in[i].file);
		int fd = file_of(wire);

		for (size_t step = 2; step < 9; step++) {
			struct lf_reader r;
			struct buf segments, got;
			long n;

			buf_init(&segments, 1000);
			buf_init(&got, 1000);
			segments_add_text(&segments, bytes_head(wire, 1));	/* CR and LF may be apart */
			segments_add_file(&segments, 1, wire.n ? wire.n - 1 : 0);
			lf_reader_init(&r, text("H: 1\r\n"), fd, buf_bytes(&segments));
			while ((n = lf_reader_read(&r, buf_room(&got, step), step)) > 0)
				got.n += (size_t)n;
			assert_int_equal(n, 0);
			assert_int_equal(r.taken, wire.n);
			assert_int_equal(got.n, want.n + 5);
			assert_memory_equal(got.p, "H: 1\n", 5);
			assert_memory_equal(got.p + 5, in[i].file, want.n);
			buf_fini(&segments);
			buf_fini(&got);
		}
		close(fd);
	}
}

static void
test_to_crlf(void **state)
{
	struct crlf_reader *r = mem_alloc(sizeof *r);

	(void)state;
	for (size_t i = 0; i < LEN(out); i++) {
		struct bytes want = text(out[i].wire);
		int fd = file_of(text(out[i].file));
		uint64_t octets;

		for (size_t step = 1; step < 9; step++) {
			struct buf got;
			long n;

			buf_init(&got, 1000);
			crlf_reader_init(r, fd, 0, 1000);
			while ((n = crlf_reader_get(r, buf_room(&got, step), step)) > 0)
				got.n += (size_t)n;
			assert_int_equal(n, 0);
			assert_int_equal(got.n, want.n);
			assert_memory_equal(got.n ? (const char *)got.p : "", out[i].wire, want.n);
			buf_fini(&got);
		}
		crlf_reader_init(r, fd, 0, 1000);
		assert_true(crlf_reader_count(r, &octets));
		assert_int_equal(octets, want.n);
		close(fd);
	}
	mem_free(r);
}

/* From any octet on, in pieces of any size. */
static void
test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(out); i++) {
		struct bytes want = text(out[i].wire), file = text(out[i].file);

		assert_int_equal(file.n + bytes_bare_lfs(file), want.n);
		for (size_t from = 0; from <= want.n + 1; from++)
			for (size_t step = 1; step < 5; step++) {
				struct crlf_text t = { .rest = file };
				size_t at = from < want.n ? from : want.n, n;
				unsigned char piece[4];

				assert_int_equal(crlf_text_skip(&t, from), at);
				while ((n = crlf_text_get(&t, piece, step)) > 0) {
					assert_true(n == step || at + n == want.n);
					assert_memory_equal(piece, want.p + at, n);
					at += n;
				}
				assert_int_equal(at, want.n);
			}
	}
}

/* Line ends on the edge of a chunk. */
static void
test_chunks(void **state)
{
	struct crlf_reader *r = mem_alloc(sizeof *r);

	(void)state;
	for (size_t before = CRLF_CHUNK - 3; before < CRLF_CHUNK + 3; before++) {
		struct buf file;
		uint64_t octets, got = 0;
		unsigned char piece[999];
		long n;
		int fd;

		buf_init(&file, 3 * CRLF_CHUNK);
		memset(buf_room(&file, before), 'x', before);
		file.n = before;
		buf_text(&file, "\r\n\n\r\n");
		fd = file_of(buf_bytes(&file));
		crlf_reader_init(r, fd, 0, UINT64_MAX >> 2);
		assert_true(crlf_reader_count(r, &octets));
		assert_int_equal(octets, before + 6);
		crlf_reader_init(r, fd, 0, UINT64_MAX >> 2);
		while ((n = crlf_reader_get(r, piece, sizeof piece)) > 0)
			got += (uint64_t)n;
		assert_int_equal(got, octets);
		close(fd);
		buf_fini(&file);
	}
	mem_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_to_lf), cmocka_unit_test(test_to_crlf),
		cmocka_unit_test(test_text), cmocka_unit_test(test_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
