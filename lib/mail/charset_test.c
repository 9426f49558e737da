/* SPDX-License-Identifier: ISC */
#include <iconv.h>
#include <string.h>

#include "base/testing.h"
#include "base/mem.h"
#include "mail/charset.h"
#include "proto/utf8.h"

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
	{ "utf-16be", "\xfe\xff\x20\xac", "\xef\xbb\xbf\xe2\x82\xac" },	/* its mark is text */
	{ "utf-16le", "\x3d\xd8\x01\xde", "\xf0\x9f\x98\x81" },
	{ "utf-16", "\xfe\xff\x20\xac\xfe\xff", "\xe2\x82\xac\xef\xbb\xbf" },
	{ "utf-16", "\xff\xfe\xac\x20", "\xe2\x82\xac" },
	{ "utf-16", "\xac\x20", "\xe2\x82\xac" },
	{ "utf-16", "\xfe", "\xef\xbf\xbd" },
	{ "utf-16", "\xfe\xff", "" },
	{ "utf-32", "\xac\x20\x01\x01", "\xef\xbf\xbd" },			/* above U+10FFFF */
	{ "utf-32", "\xfe\xff", "\xef\xbf\xbd" },
	{ "iso-2022-jp", "\x1b(I1\x1b(B1", "\xef\xbd\xb1" "1" },
	{ "iso-2022-jp", "\x1b.A\x1bNd\n\x1bNd", "\xc3\xa4\n\xef\xbf\xbdNd" },	/* RFC 1554: it ends with the line */
	{ "iso-2022-jp", "\x1b$B$\"\n$\"\x1b(Ba", "\xe3\x81\x82\n\xe3\x81\x82" "a" },
	{ "iso-2022-kr", "\x1b$)C\x0e\x30\x21\x0f" "a", "\xea\xb0\x80" "a" },
	{ "windows-1258", "a\xec" "b\xec\xe2\xec" "a", "\xc3\xa1" "b\xcc\x81\xe1\xba\xa5" "a" },
	{ "windows-1258", "ba", "ba" },
	{ "utf-7", "+-+2D3eAQ-1 +AGE.b+IKw", "+\xf0\x9f\x98\x81" "1 a.b\xe2\x82\xac" },
	/* malformed: the rest still counts */
	{ "utf-7", "+2D0AYQ-b+3gE-c+2D0-d\xe4", "\xef\xbf\xbd" "ab\xef\xbf\xbd" "c\xef\xbf\xbd" "d\xef\xbf\xbd" },
	{ "iso-2022-jp", "a\x1b", "a\xef\xbf\xbd" },
	{ "iso-2022-jp", "a\x1b$", "a\xef\xbf\xbd$" },
	{ "iso-2022-jp", "\x1bXa\xe4", "\xef\xbf\xbdXa\xef\xbf\xbd" },
	{ "iso-2022-jp", "\x1b$B$\x1b(Ba", "\xef\xbf\xbd" "a" },
	{ "iso-2022-kr", "\x0e\x30", "\xef\xbf\xbd" },
	{ "shift_jis", "\x82", "\xef\xbf\xbd" },
	{ "utf-16be", "\xdc\x01\x20\xac", "\xef\xbf\xbd\xe2\x82\xac" },
	{ "utf-16be", "\xd8\x01\x20\xac", "\xef\xbf\xbd\xe2\x82\xac" },
	{ "utf-16be", "\xd8\x01\xd8\x3d\xde\x01", "\xef\xbf\xbd\xf0\x9f\x98\x81" },
	{ "utf-16be", "\x20\xac\xd8\x3d\xde", "\xe2\x82\xac\xef\xbf\xbd" },
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

/* Those that are tables, and iconv's name of what they are a copy of. */
static const struct { const char *charset, *converter; } tables[] = {
	{ "ISO-8859-1", "WINDOWS-1252" }, { "windows-1252", "WINDOWS-1252" }, { "ISO-8859-15", "ISO-8859-15" },
	{ "ISO-8859-2", "ISO-8859-2" }, { "ISO-8859-3", "ISO-8859-3" }, { "ISO-8859-4", "ISO-8859-4" },
	{ "ISO-8859-5", "ISO-8859-5" }, { "ISO-8859-6", "ISO-8859-6" }, { "ISO-8859-7", "ISO-8859-7" },
	{ "ISO-8859-8", "ISO-8859-8" }, { "ISO-8859-9", "WINDOWS-1254" }, { "ISO-8859-10", "ISO-8859-10" },
	{ "ISO-8859-13", "ISO-8859-13" }, { "ISO-8859-14", "ISO-8859-14" }, { "ISO-8859-16", "ISO-8859-16" },
	{ "windows-1250", "WINDOWS-1250" }, { "windows-1251", "WINDOWS-1251" }, { "windows-1253", "WINDOWS-1253" },
	{ "windows-1254", "WINDOWS-1254" }, { "windows-1255", "WINDOWS-1255" }, { "windows-1256", "WINDOWS-1256" },
	{ "windows-1257", "WINDOWS-1257" }, { "windows-874", "CP874" }, { "KOI8-R", "KOI8-R" }, { "KOI8-U", "KOI8-U" },
	{ "IBM437", "IBM437" }, { "IBM850", "IBM850" }, { "IBM852", "IBM852" }, { "IBM866", "IBM866" },
	{ "macintosh", "MACINTOSH" },
};

/* What iconv makes of an octet, U+FFFD if nothing. */
static struct bytes
by_iconv(iconv_t cd, unsigned char octet, unsigned char room[16])
{
	char *in = (char *)&octet, *out = (char *)room;
	size_t in_n = 1, out_n = 16;

	iconv(cd, NULL, NULL, NULL, NULL);
	if (iconv(cd, &in, &in_n, &out, &out_n) == (size_t)-1 || iconv(cd, NULL, NULL, &out, &out_n) == (size_t)-1)
		return text("\xef\xbf\xbd");
	return bytes_of(room, 16 - out_n);
}

static void
test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(tables); i++) {
		const struct charset *c = charset_find(text(tables[i].charset));
		iconv_t cd = iconv_open("UTF-8", tables[i].converter);

		if (c == NULL && cd == (iconv_t)-1)
			continue;		/* not glibc's; test_rows tells */
		assert_non_null(c);
		assert_true(charset_is_plain(c));
		for (unsigned o = 0; o < 256; o++) {
			unsigned char octet = (unsigned char)o, got[CHARSET_ROOM], want[16];
			struct bytes in = bytes_of(&octet, 1);

			charset_begin(c);
			assert_row_bytes(tables[i].charset,
			    bytes_of(got, charset_convert(c, &in, true, got, sizeof got)), by_iconv(cd, octet, want));
		}
		iconv_close(cd);
	}
}

/* None is a table that is not compared with iconv's. */
static void
test_tables_all(void **state)
{
	struct buf names;
	struct bytes rest;
	size_t found = 0;

	(void)state;
	buf_init(&names, 10000);
	charset_names(&names);
	for (rest = buf_bytes(&names); rest.n > 0; found++) {
		struct bytes name = bytes_cut(&rest, ' ');
		size_t i = 0;

		if (!charset_is_plain(charset_find(name)) || charset_find(name) == charset_any() || found < 2)
			continue;
		while (i < LEN(tables) && !bytes_eq(text(tables[i].charset), name))
			i++;
		assert_true(i < LEN(tables));
	}
	buf_fini(&names);
}

static const char *const wide[] = { "UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", "UTF-7", "GB18030" };

/* Every character, encoded by iconv, which puts a mark before it where a mark belongs. */
static void
test_wide(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(wide); i++) {
		const struct charset *c = charset_find(text(wide[i]));
		iconv_t cd = iconv_open(wide[i], "UTF-8");

		assert_true(cd != (iconv_t)-1);
		for (uint32_t u = 0; u <= 0x10ffff; u += u < 0x10000 ? 1 : 0x101) {
			unsigned char utf8[4], encoded[16], got[CHARSET_ROOM];
			char *from = (char *)utf8, *to = (char *)encoded;
			size_t n = utf8_put(u, utf8), from_n = n, to_n = sizeof encoded;
			struct bytes in;

			if (n == 0)
				continue;
			iconv(cd, NULL, NULL, NULL, NULL);
			if (iconv(cd, &from, &from_n, &to, &to_n) == (size_t)-1)
				continue;	/* GB18030 has not all of the private ones */
			assert_int_equal(iconv(cd, NULL, NULL, &to, &to_n), 0);
			in = bytes_of(encoded, sizeof encoded - to_n);
			charset_begin(c);
			assert_row_bytes(wide[i],
			    bytes_of(got, charset_convert(c, &in, true, got, sizeof got)), bytes_of(utf8, n));
		}
		iconv_close(cd);
	}
}

/* What iconv converts is the same; what it does not is not taken for something. */
static void
same_as_iconv(const struct charset *c, iconv_t cd, struct bytes s)
{
	unsigned char want[64], got[64];
	char *from = (char *)(uintptr_t)s.p, *to = (char *)want;
	size_t from_n = s.n, to_n = sizeof want, n;
	struct bytes in = s;
	bool good;

	iconv(cd, NULL, NULL, NULL, NULL);
	good = iconv(cd, &from, &from_n, &to, &to_n) != (size_t)-1 && iconv(cd, NULL, NULL, &to, &to_n) != (size_t)-1;
	charset_begin(c);
	n = charset_convert(c, &in, true, got, sizeof got);
	if (good ? bytes_eq(bytes_of(got, n), bytes_of(want, sizeof want - to_n))
	    : memmem(got, n, "\xef\xbf\xbd", 3) != NULL)
		return;
	fail_msg("%zu octets, %02x %02x %02x ...", s.n, s.p[0], s.p[1], s.n > 2 ? s.p[2] : 0);
}

static const struct { const char *charset, *converter, *before, *after; } pairs[] = {
	{ "windows-1258", "WINDOWS-1258", "", "" },
	{ "Shift_JIS", "CP932", "", "" },
	{ "EUC-KR", "UHC", "", "" },
	{ "Big5", "BIG5-HKSCS", "", "" },
	{ "GB18030", "GB18030", "", "" },
	{ "GB2312", "GB18030", "", "" },
	{ "GBK", "GB18030", "\x84\x31", "" },
	{ "EUC-JP", "EUC-JP", "", "" },
	{ "EUC-JP", "EUC-JP", "\x8f", "" },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "\x1b$@", "\x1b(Bx" },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "\x1b$B", "\x1b(Bx" },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "\x1b$A", "\x1b(Bx" },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "\x1b$(C", "\x1b(Bx" },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "\x1b$(D", "\x1b(Bx" },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "\x1b(J", "\x1b(Bx" },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "\x1b.A\x1bN", "" },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "\x1b.F\x1bN", "" },
	{ "ISO-2022-KR", "ISO-2022-KR", "\x1b$)C\x0e", "\x0fx" },
};

/* All pairs of octets, between what is before and after them. */
static void
test_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(pairs); i++) {
		const struct charset *c = charset_find(text(pairs[i].charset));
		iconv_t cd = iconv_open("UTF-8", pairs[i].converter);
		bool seven = bytes_starts(text(pairs[i].charset), text("ISO"));
		unsigned least = bytes_eq(text(pairs[i].charset), text("ISO-2022-KR")) ? 0x21 : 0x20;

		if (c == NULL && cd == (iconv_t)-1)
			continue;		/* not glibc's */
		assert_non_null(c);
		for (unsigned o = 0; o < 65536; o++) {
			const unsigned char two[] = { (unsigned char)(o >> 8), (unsigned char)o };
			struct buf s;

			/* below they tell something else; a space in KS C 5601 is one to us, not to glibc */
			if (seven && (two[0] < least || two[0] > 0x9f - least || two[1] < least || two[1] > 0x9f - least))
				continue;
			buf_init(&s, 100);
			buf_text(&s, pairs[i].before);
			buf_add(&s, bytes_of(two, 2));
			buf_text(&s, pairs[i].after);
			same_as_iconv(c, cd, buf_bytes(&s));
			buf_fini(&s);
		}
		iconv_close(cd);
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
		cmocka_unit_test(test_rows), cmocka_unit_test(test_tables), cmocka_unit_test(test_tables_all),
		cmocka_unit_test(test_wide), cmocka_unit_test(test_pairs), cmocka_unit_test(test_names), cmocka_unit_test(test_fold),
	};

	return cmocka_run_group_tests(tests, open_all, NULL);
}
