/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/imap_set.h"
#include "proto/testing.h"

#define NO_LIMIT	0
#define TEXT_MAX	(1 << 20)

static void
write_set(const struct imap_set *s, struct buf *out)
{
	struct imap_set_writer w;
	size_t i;

	imap_set_begin(&w, out, NO_LIMIT);
	for (i = 0; i < s->n; i++)
		assert_true(imap_set_add(&w, s->ranges[i].first, s->ranges[i].last));
	imap_set_end(&w);
}

/* ---- parse, resolve --------------------------------------------------------------- */

/* The set as it is written again, with `largest` for "*". */
static const struct { const char *s; uint32_t largest; const char *want; uint32_t count; } sets[] = {
	{ "1", 9, "1", 1 },
	{ "1:1", 9, "1", 1 },
	{ "2:4", 9, "2:4", 3 },
	{ "4:2", 9, "2:4", 3 },				/* RFC 3501 section 9: equivalent */
	{ "2,4:7,9,12:*", 15, "2,4:7,9,12:15", 10 },	/* the examples there */
	{ "*:4,5:7", 10, "4:10", 7 },
	{ "3291:*", 100, "100:3291", 3192 },
	{ "3291:*", 3291, "3291", 1 },
	{ "*", 7, "7", 1 },
	{ "*:*", 7, "7", 1 },
	{ "*,1", 7, "1,7", 2 },
	{ "1,2,3", 9, "1:3", 3 },
	{ "3,2,1", 9, "1:3", 3 },
	{ "1,3", 9, "1,3", 2 },
	{ "1:3,2:5", 9, "1:5", 5 },
	{ "1:9,2:3,5", 9, "1:9", 9 },
	{ "5,5,5", 9, "5", 1 },
	{ "7:9,1:3,4:6", 9, "1:9", 9 },
	{ "10:12,1:8", 20, "1:8,10:12", 11 },
	{ "1:4294967295", 9, "1:4294967295", UINT32_MAX },
	{ "4294967295", 9, "4294967295", 1 },
	{ "4294967295,4294967294", 9, "4294967294:4294967295", 2 },
	{ "4294967295,1", 9, "1,4294967295", 2 },
	{ "1:4294967295,4294967295:1,*", 9, "1:4294967295", UINT32_MAX },
	{ "1:2147483648,2147483649:*", UINT32_MAX, "1:4294967295", UINT32_MAX },
	{ "1:2147483647,2147483649:*", UINT32_MAX, "1:2147483647,2147483649:4294967295",
	    UINT32_MAX - 1 },
	{ "*", 0, "", 0 },				/* an empty mailbox */
	{ "1:*,*:5,*:*", 0, "", 0 },
	{ "1:*,3", 0, "3", 1 },
};

static void
test_sets(void **state)
{
	struct imap_set_text t;
	struct imap_set s;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, TEXT_MAX);
	for (i = 0; i < LEN(sets); i++) {
		struct arena *a = arena_new(1000);
		bool star = strchr(sets[i].s, '*') != NULL;

		assert_row_int(sets[i].s, imap_set_parse(text(sets[i].s), IMAP_SEQUENCE_SET, a, &t),
		    IMAP_SET_PARSED);
		assert_row_int(sets[i].s, t.star, star);
		s = imap_set_resolve(&t, sets[i].largest, a);
		buf_clear(&b);
		write_set(&s, &b);
		assert_row_bytes(sets[i].s, buf_bytes(&b), text(sets[i].want));
		assert_row_int(sets[i].s, imap_set_count(&s), sets[i].count);
		assert_row_int(sets[i].s, imap_set_last(&s), s.n > 0 ? s.ranges[s.n - 1].last : 0);
		assert_row_int(sets[i].s, imap_set_parse(text(sets[i].s), IMAP_UID_SET, a, &t),
		    star ? IMAP_SET_BAD : IMAP_SET_PARSED);
		arena_free(&a);
	}
	buf_fini(&b);
}

static const char *bad[] = {
	"", ",", "1,", ",1", "1,,2", ":", "1:", ":1", "1:2:3", "1::2", "**", "*1", "1*", "*:", ":*",
	"0", "00", "01", "0:1", "1:0", "1,02", "-1", "+1", " 1", "1 ", "1, 2", "1 :2", "1.", "a", "0x1",
	"4294967296", "1:4294967296", "18446744073709551617", "99999999999999999999999999",
	"$,1", "1,$", "$:1", "$$", "$ ", "1\r", "(1)",
};

static void
test_bad(void **state)
{
	struct arena *a = arena_new(10000);
	struct imap_set_text t;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(bad); i++) {
		assert_row_int(bad[i], imap_set_parse(text(bad[i]), IMAP_SEQUENCE_SET, a, &t), IMAP_SET_BAD);
		assert_row_int(bad[i], imap_set_parse(text(bad[i]), IMAP_UID_SET, a, &t), IMAP_SET_BAD);
	}
	assert_int_equal(imap_set_parse(OCTETS("1\0"), IMAP_UID_SET, a, &t), IMAP_SET_BAD);
	assert_int_equal(imap_set_parse(text("$"), IMAP_UID_SET, a, &t), IMAP_SET_BAD);
	t.n = 1;
	assert_int_equal(imap_set_parse(text("$"), IMAP_SEQUENCE_SET, a, &t), IMAP_SET_SAVED);
	assert_int_equal(t.n, 0);
	assert_false(t.star);
	arena_free(&a);
}

/* IMAP_SET_RANGES_MAX ranges, which the arena of the header's size takes; and one more. */
static void
test_ranges_max(void **state)
{
	struct arena *a = arena_new(IMAP_SET_ARENA(IMAP_SET_RANGES_MAX));
	struct imap_set_text t;
	struct imap_set s;
	struct buf b;
	unsigned i;

	(void)state;
	buf_init(&b, TEXT_MAX);
	for (i = IMAP_SET_RANGES_MAX; i > 0; i--)
		buf_fmt(&b, "%u%s", 2 * i, i > 1 ? "," : "");
	assert_int_equal(imap_set_parse(buf_bytes(&b), IMAP_UID_SET, a, &t), IMAP_SET_PARSED);
	s = imap_set_resolve(&t, 0, a);
	assert_int_equal(s.n, IMAP_SET_RANGES_MAX);
	assert_int_equal(imap_set_count(&s), IMAP_SET_RANGES_MAX);
	for (i = 1; i <= 2 * IMAP_SET_RANGES_MAX; i++)
		assert_int_equal(imap_set_has(&s, i), i % 2 == 0);
	buf_text(&b, ",1");
	assert_int_equal(imap_set_parse(buf_bytes(&b), IMAP_UID_SET, a, &t), IMAP_SET_MANY);
	assert_int_equal(imap_set_parse(buf_bytes(&b), IMAP_SEQUENCE_SET, a, &t), IMAP_SET_MANY);
	buf_fini(&b);
	arena_free(&a);
}

/* ---- ask -------------------------------------------------------------------------- */

static void
test_find(void **state)
{
	static const struct imap_range ranges[] = {
		{ 2, 2 }, { 4, 7 }, { 9, 9 }, { UINT32_MAX - 1, UINT32_MAX },
	};
	static const struct { uint32_t n; size_t at; bool has; } cases[] = {
		{ 1, 0, false }, { 2, 0, true }, { 3, 1, false }, { 4, 1, true }, { 5, 1, true },
		{ 7, 1, true }, { 8, 2, false }, { 9, 2, true }, { 10, 3, false },
		{ UINT32_MAX - 2, 3, false }, { UINT32_MAX - 1, 3, true }, { UINT32_MAX, 3, true },
	};
	struct imap_set s = { ranges, LEN(ranges) }, empty = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		assert_int_equal(imap_set_find(&s, cases[i].n), cases[i].at);
		assert_int_equal(imap_set_has(&s, cases[i].n), cases[i].has);
		assert_int_equal(imap_set_find(&empty, cases[i].n), 0);
		assert_false(imap_set_has(&empty, cases[i].n));
	}
	s.n = 3;
	assert_int_equal(imap_set_find(&s, 10), 3);
	assert_false(imap_set_has(&s, 10));
	assert_int_equal(imap_set_last(&s), 9);
	assert_int_equal(imap_set_last(&empty), 0);
	assert_int_equal(imap_set_count(&empty), 0);
}

/* Sets of ranges of numbers up to 60, each against an array of 60 booleans. */
static void
test_against_array(void **state)
{
	struct arena *a = arena_new(1000);
	uint32_t seed = 1, n, count;
	unsigned round, i;

	(void)state;
	for (round = 0; round < 5000; round++) {
		struct imap_range r[8];
		struct imap_set_text t = { r, round % (LEN(r) + 1), false };
		struct imap_set s;
		bool in[62] = { false };

		for (i = 0; i < t.n; i++) {
			seed = seed * 1664525 + 1013904223;
			r[i] = (struct imap_range){ 1 + (seed >> 8) % 60, 1 + (seed >> 20) % 60 };
			if (seed >> 30 == 0)
				r[i].last = r[i].first;
			for (n = 1; n <= 60; n++)
				if ((n >= r[i].first && n <= r[i].last)
				    || (n <= r[i].first && n >= r[i].last))
					in[n] = true;
		}
		s = imap_set_resolve(&t, 60, a);
		for (n = 1, count = 0; n <= 61; n++) {
			assert_int_equal(imap_set_has(&s, n), in[n]);
			count += in[n];
		}
		assert_int_equal(imap_set_count(&s), count);
		for (i = 0; i < s.n; i++) {
			assert_true(s.ranges[i].first <= s.ranges[i].last);
			assert_true(i == 0 || s.ranges[i].first - s.ranges[i - 1].last > 1);
		}
		arena_reset(a);
	}
	arena_free(&a);
}

/* ---- write ------------------------------------------------------------------------ */

static const struct { uint32_t numbers[9]; const char *want; } written[] = {
	{ { 0 }, "" },
	{ { 1 }, "1" },
	{ { 1, 2 }, "1:2" },
	{ { 1, 2, 3, 7, 9, 10, 11, 12 }, "1:3,7,9:12" },
	{ { 1, 3, 5 }, "1,3,5" },
	{ { 9, 10, 99, 100 }, "9:10,99:100" },
	{ { 4294967293, 4294967295 }, "4294967293,4294967295" },
	{ { 1, 4294967294, 4294967295 }, "1,4294967294:4294967295" },
};

static void
test_write(void **state)
{
	struct imap_set_writer w;
	struct buf b;
	size_t i, k;

	(void)state;
	buf_init(&b, 100);
	for (i = 0; i < LEN(written); i++) {
		buf_clear(&b);
		buf_text(&b, "UID ");
		imap_set_begin(&w, &b, NO_LIMIT);
		for (k = 0; written[i].numbers[k] != 0; k++)
			assert_true(imap_set_add(&w, written[i].numbers[k], written[i].numbers[k]));
		imap_set_end(&w);
		assert_row_bytes(written[i].want, bytes_skip(buf_bytes(&b), 4), text(written[i].want));
	}
	buf_clear(&b);
	imap_set_begin(&w, &b, NO_LIMIT);
	assert_true(imap_set_add(&w, 1, 4));
	assert_true(imap_set_add(&w, 5, 9));
	assert_true(imap_set_add(&w, 11, 12));
	assert_true(imap_set_add(&w, 13, UINT32_MAX));
	imap_set_end(&w);
	assert_bytes_equal(buf_bytes(&b), text("1:9,11:4294967295"));
	buf_fini(&b);
}

/* The buf's own limit: at it, and one octet below what is needed. */
static void
test_full(void **state)
{
	struct imap_set_writer w;
	struct buf b;
	size_t max;

	(void)state;
	for (max = 5; max >= 4; max--) {
		buf_init(&b, max);
		imap_set_begin(&w, &b, NO_LIMIT);
		assert_true(imap_set_add(&w, 1, 3));
		assert_true(imap_set_add(&w, 7, 7));
		imap_set_end(&w);
		assert_int_equal(b.full, max == 4);
		buf_fini(&b);
	}
}

static const struct { size_t max; uint32_t ranges[8][2]; const char *want; } pieces[] = {
	{ 21, { { 100001, 100002 }, { 100004, 100005 } }, "100001:100002|100004:100005" },
	{ 26, { { 100001, 100002 }, { 100004, 100005 } }, "100001:100002|100004:100005" },
	{ 27, { { 100001, 100002 }, { 100004, 100005 } }, "100001:100002,100004:100005" },
	/* a number that makes the last range longer: at the limit, and past it */
	{ 21, { { 1111, 1111 }, { 3333, 3333 }, { 5555, 5555 }, { 77777, 77777 }, { 77778, 77778 } },
	    "1111,3333,5555,77777|77778" },
	{ 22, { { 1111, 1111 }, { 3333, 3333 }, { 55555, 55555 }, { 55556, 55556 } },
	    "1111,3333,55555:55556" },
	{ 21, { { 1111, 1111 }, { 3333, 3333 }, { 5555, 5555 }, { 9999, 9999 }, { 10000, 10001 } },
	    "1111,3333,5555,9999|10000:10001" },
	/* the longest range of all fits alone */
	{ 21, { { 1, 1 }, { 4294967294, 4294967295 } }, "1|4294967294:4294967295" },
	{ 23, { { 1, 1 }, { 4294967294, 4294967295 } }, "1,4294967294:4294967295" },
	{ 22, { { 1, 1 }, { 4294967294, 4294967295 } }, "1|4294967294:4294967295" },
};

static void
test_pieces(void **state)
{
	struct imap_set_writer w;
	struct buf b;
	size_t i, k;

	(void)state;
	buf_init(&b, 100);
	for (i = 0; i < LEN(pieces); i++) {
		buf_clear(&b);
		imap_set_begin(&w, &b, pieces[i].max);
		for (k = 0; pieces[i].ranges[k][1] != 0; k++) {
			const uint32_t *r = pieces[i].ranges[k];

			if (!imap_set_add(&w, r[0], r[1])) {
				imap_set_end(&w);
				buf_char(&b, '|');
				imap_set_begin(&w, &b, pieces[i].max);
				assert_true(imap_set_add(&w, r[0], r[1]));
			}
		}
		imap_set_end(&w);
		assert_row_bytes(pieces[i].want, buf_bytes(&b), text(pieces[i].want));
	}
	buf_fini(&b);
}

/* What a caller must not do. */
static void falls(struct imap_set_writer *w)	{ imap_set_add(w, 4, 4); }
static void repeats(struct imap_set_writer *w)	{ imap_set_add(w, 5, 6); }
static void zero(struct imap_set_writer *w)	{ imap_set_add(w, 0, 0); }
static void turned(struct imap_set_writer *w)	{ imap_set_add(w, 8, 7); }
static void narrow(struct imap_set_writer *w)	{ imap_set_begin(w, w->out, IMAP_SET_PIECE_MIN - 1); }
static void good(struct imap_set_writer *w)
{
	imap_set_add(w, 6, 6);
	imap_set_begin(w, w->out, IMAP_SET_PIECE_MIN);
}

static void
test_broken_promises(void **state)
{
	static const struct { const char *name; void (*run)(struct imap_set_writer *); int signal; } rows[] = {
		{ "falls", falls, SIGABRT }, { "repeats", repeats, SIGABRT }, { "zero", zero, SIGABRT },
		{ "turned", turned, SIGABRT }, { "narrow", narrow, SIGABRT }, { "good", good, 0 },
	};
	struct imap_set_writer w;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 100);
	imap_set_begin(&w, &b, NO_LIMIT);
	assert_true(imap_set_add(&w, 5, 5));
	for (i = 0; i < LEN(rows); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
			signal(SIGABRT, SIG_DFL);
			rows[i].run(&w);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_row_int(rows[i].name, WIFSIGNALED(status) ? WTERMSIG(status) : 0, rows[i].signal);
	}
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_ranges_max),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_against_array),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_broken_promises),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
