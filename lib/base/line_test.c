/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "base/clock.h"
#include "base/line.h"
#include "base/testing.h"

#define MAX	10

/* What was said, as text: "+line." for LINE_OK, L, B, N for the others. */
static void
say(struct buf *said, enum line_status st, struct bytes line)
{
	static const char letters[] = { [LINE_LONG] = 'L', [LINE_BARE] = 'B', [LINE_NUL] = 'N' };

	if (st == LINE_OK) {
		buf_char(said, '+');
		buf_add(said, line);
		buf_char(said, '.');
	} else {
		buf_char(said, (unsigned char)letters[st]);
	}
}

/* Feeds the input in pieces of size() octets. What is no line yet is kept, as a connection's
 * buffer does. */
static void
feed(struct bytes all, size_t max, size_t (*size)(void), struct buf *said)
{
	struct line_reader r;
	struct bytes input, line;
	enum line_status st;
	size_t come = 0;		/* octets at the front of `all` */

	line_init(&r, max);
	while (come < all.n) {
		size_t more = size();

		come = more < all.n - come ? come + more : all.n;
		input = bytes_head(all, come);
		while ((st = line_next(&r, &input, &line)) != LINE_MORE)
			say(said, st, line);
		all = bytes_skip(all, come - input.n);
		come = input.n;
		assert_true(come < max);	/* the caller's buffer is large enough */
	}
}

static size_t one(void)		{ return 1; }
static size_t whole(void)	{ return 1u << 20; }
static size_t some(void)	{ return (size_t)(rand() % 7) + 1; }

static void
test_lines(void **state)
{
	const struct { struct bytes in; const char *want; } cases[] = {
		{ OCTETS(""),				"" },
		{ OCTETS("abc"),			"" },
		{ OCTETS("abc\r"),			"" },
		{ OCTETS("abc\r\n"),			"+abc." },
		{ OCTETS("\r\n\r\n"),			"+.+." },
		{ OCTETS("a\r\nb\r\nc"),		"+a.+b." },
		{ OCTETS("12345678\r\n"),		"+12345678." },		/* just fits */
		{ OCTETS("123456789\r\n"),		"L" },
		{ OCTETS("123456789"),			"" },			/* said at its end */
		{ OCTETS("123456789012345678\r\nb\r\n"), "L+b." },
		{ OCTETS("a\nb\r\nc\r\n"),		"B+c." },		/* a bare LF ends nothing */
		{ OCTETS("a\rb\r\nc\r\n"),		"B+c." },
		{ OCTETS("a\r\r\nc\r\n"),		"B+c." },
		{ OCTETS("\n\r\nc\r\n"),		"B+c." },
		{ OCTETS("a\n\r\r\nc\r\n"),		"B+c." },
		{ OCTETS("a\0b\r\nc\r\n"),		"N+c." },
		{ OCTETS("a\0\n\r\nc\r\n"),		"N+c." },		/* the first fault counts */
		{ OCTETS("a\n\0\r\nc\r\n"),		"B+c." },
		{ OCTETS("12345678\n\r\nc\r\n"),	"L+c." },
		{ OCTETS("12345678\0\r\nc\r\n"),	"L+c." },
		{ OCTETS("12345678\rx\r\nc\r\n"),	"B+c." },
		{ OCTETS("1234567890\n\0\r\nc\r\n"),	"L+c." },
		{ OCTETS("\n\n\n\r\n\r\n"),		"B+." },
		{ OCTETS("\xff\xfe\r\n"),		"+\xff\xfe." },
	};
	static size_t (*const sizes[])(void) = { whole, one, some, some, some };

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		for (size_t k = 0; k < LEN(sizes); k++) {
			struct buf said;

			buf_init(&said, 1000);
			feed(cases[i].in, MAX, sizes[k], &said);
			assert_row_bytes(cases[i].want, buf_bytes(&said), text(cases[i].want));
			buf_fini(&said);
		}
}

/* However the network cuts it: the same lines. */
static void
test_cuts_do_not_matter(void **state)
{
	static const char octets[] = { '\r', '\n', '\r', '\n', '\0', 'a', 'b', 'c' };

	(void)state;
	srand(20261123);
	for (int round = 0; round < 20000; round++) {
		unsigned char in[60];
		size_t n = (size_t)rand() % sizeof in, max = 2 + (size_t)rand() % 12;
		struct buf want, got;

		for (size_t i = 0; i < n; i++) {
			in[i] = (unsigned char)octets[rand() % 8];
			if (in[i] == '\r' && i + 1 < n && rand() % 2)
				in[++i] = '\n';
		}
		buf_init(&want, 1000);
		buf_init(&got, 1000);
		feed(bytes_of(in, n), max, whole, &want);
		feed(bytes_of(in, n), max, round % 2 ? one : some, &got);
		assert_bytes_equal(buf_bytes(&got), buf_bytes(&want));
		buf_fini(&want);
		buf_fini(&got);
	}
}

/* A long line octet by octet costs what it costs at once: the time is linear. */
static void
test_linear(void **state)
{
	enum { N = 1 << 20 };
	struct line_reader r;
	unsigned char *in = test_malloc(N);
	uint64_t start = clock_mono_ms();
	struct bytes line, input;

	(void)state;
	memset(in, 'x', N);
	memcpy(in + N - 2, "\r\n", 2);
	line_init(&r, N);
	for (size_t n = 1; n < N; n++) {
		input = bytes_of(in, n);
		assert_int_equal(line_next(&r, &input, &line), LINE_MORE);
	}
	input = bytes_of(in, N);
	assert_int_equal(line_next(&r, &input, &line), LINE_OK);
	assert_int_equal(line.n, N - 2);
	assert_true(clock_mono_ms() - start < 5000);
	test_free(in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_cuts_do_not_matter),
		cmocka_unit_test(test_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
