/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "base/mem.h"
#include "mail/charset.h"

static const struct { const char *charset, *in, *want; } rows[] = {
	{ "us-ascii", "", "" },
	{ "US-ASCII", "abc\xc3\xa4\xe4", "abc\xc3\xa4\xc3\xa4" },
	{ "utf-8", "\xf0\x9f\x98\x80\xe2\x82\xac", "\xf0\x9f\x98\x80\xe2\x82\xac" },
	/* what is no UTF-8 is windows-1252: cut, overlong, surrogate, too large */
	{ "utf8", "\xe2\x82x", "\xc3\xa2\xe2\x80\x9ax" },
	{ "utf8", "x\xe2\x82", "x\xc3\xa2\xe2\x80\x9a" },
	{ "utf8", "\xc0\xaf", "\xc3\x80\xc2\xaf" },
	{ "utf8", "\xed\xa0\x80", "\xc3\xad\xc2\xa0\xe2\x82\xac" },
	{ "utf8", "\xf5\x80\x81", "\xc3\xb5\xe2\x82\xac\xc2\x81" },
	{ "iso-8859-1", "a\xe4\x80", "a\xc3\xa4\xe2\x82\xac" },
	{ "ISO_8859-15", "\xa4", "\xe2\x82\xac" },
	{ "iso8859-2", "\xb9", "\xc5\xa1" },
	{ "KOI8-R", "\xf0\xd2\xc9\xd7\xc5\xd4", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82" },
	{ "x-cp1251", "\xcf\xf0", "\xd0\x9f\xd1\x80" },
	{ "windows-1253", "\xd2", "\xef\xbf\xbd" },
	{ "gb2312", "\xc4\xe3\xba\xc3", "\xe4\xbd\xa0\xe5\xa5\xbd" },
	{ "gb18030", "\x81\x30\x84\x36", "\xc2\xa5" },
	{ "big5", "\xa7\x41", "\xe4\xbd\xa0" },
	{ "shift_jis", "\x82\xa0\xb1", "\xe3\x81\x82\xef\xbd\xb1" },
	{ "euc-jp", "\xa4\xa2", "\xe3\x81\x82" },
	{ "iso-2022-jp", "\x1b$B$\"\x1b(Ba", "\xe3\x81\x82" "a" },
	{ "ks_c_5601-1987", "\xb0\xa1", "\xea\xb0\x80" },
	{ "utf-7", "a+AOQ-b", "a\xc3\xa4" "b" },
	{ "utf-16be", "a", "\xef\xbf\xbd" },
	/* malformed: the rest still counts */
	{ "gb18030", "a\xff" "b\x81", "a\xef\xbf\xbd" "b\xef\xbf\xbd" },
	{ "euc-jp", "\xa4" "a\xa4", "\xef\xbf\xbd" "a\xef\xbf\xbd" },
};

/* In pieces of that many octets, into rooms as small as may be. */
static void
convert(const struct charset *c, struct bytes s, size_t piece, struct buf *out)
{
	unsigned char held[64];
	size_t n = 0;

	charset_begin(c);
	do {
		struct bytes next = bytes_head(s, piece), in;
		size_t got;

		s = bytes_skip(s, piece);
		memcpy(held + n, next.n > 0 ? next.p : held, next.n);
		in = bytes_of(held, n + next.n);
		while ((got = charset_convert(c, &in, s.n == 0, buf_room(out, CHARSET_ROOM), CHARSET_ROOM)) > 0)
			out->n += got;
		assert_true(in.n < CHARSET_REST);
		memmove(held, in.p, in.n);
		n = in.n;
	} while (s.n > 0);
	assert_int_equal(n, 0);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		const struct charset *c = charset_find(text(rows[i].charset));

		if (c == NULL) {	/* an iconv without it; glibc's has all */
#ifdef __GLIBC__
			fail_msg("%s is unknown", rows[i].charset);
#endif
			continue;
		}
		for (size_t piece = 1; piece < 10; piece++) {
			struct buf got;

			buf_init(&got, 1000);
			convert(c, text(rows[i].in), piece, &got);
			assert_row_bytes(rows[i].in, buf_bytes(&got), text(rows[i].want));
			buf_fini(&got);
		}
	}
}

static void
test_names(void **state)
{
	struct buf names;
	struct bytes rest;

	(void)state;
	assert_non_null(charset_find(text("utf8")));
	assert_ptr_equal(charset_find(text("utf8")), charset_find(text("UTF-8")));
	assert_null(charset_find(text("")));
	assert_null(charset_find(text("-_-")));
	assert_null(charset_find(text("klingon")));
	assert_null(charset_find(text("iso-8859-1-iso-8859-1-iso-8859-1-iso-8859-1")));
	assert_true(charset_is_plain(charset_any()));
	assert_true(charset_is_plain(charset_find(text("latin1"))));
	assert_false(charset_is_plain(charset_find(text("big5"))));
	buf_init(&names, 10000);
	charset_names(&names);
	rest = buf_bytes(&names);
	assert_true(bytes_starts(rest, text("US-ASCII UTF-8 ISO-8859-1 ")));
	while (rest.n > 0)
		assert_non_null(charset_find(bytes_cut(&rest, ' ')));
	buf_fini(&names);
}

static const struct { const char *in, *want; } folds[] = {
	{ "", "" },
	{ "AbZ[@`{09", "abz[@`{09" },
	{ "\xc3\x84\xc3\x96\xc3\x9f", "\xc3\xa4\xc3\xb6\xc3\x9f" },
	{ "\xce\xa3\xcf\x83\xcf\x82", "\xcf\x83\xcf\x83\xcf\x83" },		/* both small sigmas */
	{ "\xd0\x9f\xd1\x80", "\xd0\xbf\xd1\x80" },
	{ "\xc8\xba", "\xe2\xb1\xa5" },						/* longer */
	{ "\xe1\xba\x9e", "\xc3\x9f" },						/* shorter */
	{ "\xf0\x9f\x98\x80\xf0\x90\x90\x80", "\xf0\x9f\x98\x80\xf0\x90\x90\x80" },
	{ "\xe2\x84\xaa\xc5\xbf\xc4\xb0\xc4\xb1", "\xe2\x84\xaa\xc5\xbf\xc4\xb0\xc4\xb1" },	/* no ASCII */
};

static void
test_fold(void **state)
{
	unsigned char out[100], again[100];

	(void)state;
	for (size_t i = 0; i < LEN(folds); i++) {
		struct bytes got = bytes_of(out, charset_fold(text(folds[i].in), out));

		assert_row_bytes(folds[i].in, got, text(folds[i].want));
		assert_bytes_equal(bytes_of(again, charset_fold(got, again)), got);
	}
}

static int
open_all(void **state)
{
	(void)state;
	charsets_open();
	charsets_open();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_names), cmocka_unit_test(test_fold),
	};

	return cmocka_run_group_tests(tests, open_all, NULL);
}
