/* SPDX-License-Identifier: ISC */
#include "proto/imap_utf7.h"
#include "proto/testing.h"
#include "proto/utf8.h"

#define NAME_MAX_OCTETS	1000

/* Each way, exactly. */
static const struct { const char *wire, *utf8; } names[] = {
	{ "", "" },
	{ "INBOX", "INBOX" },
	{ "a b~\\\"%*(", "a b~\\\"%*(" },
	{ "-", "-" },
	{ "-&--", "-&-" },
	{ "&-&-", "&&" },
	{ "&-AGE-", "&AGE-" },
	{ "&AOk-", "\xc3\xa9" },
	{ "&AOk--", "\xc3\xa9-" },
	{ "&AOk-&-", "\xc3\xa9&" },		/* not a null shift: "&-" is in US-ASCII */
	{ "&-&AOk-", "&\xc3\xa9" },
	{ "&AOk-&-&AOk-", "\xc3\xa9&\xc3\xa9" },
	{ "&AOk-a&AOk-", "\xc3\xa9" "a\xc3\xa9" },
	{ "&AOkA6Q-", "\xc3\xa9\xc3\xa9" },
	{ "&AOkA6QDp-", "\xc3\xa9\xc3\xa9\xc3\xa9" },
	{ "Hi Mom &Jjo-!", "Hi Mom \xe2\x98\xba!" },
	{ "&AKA-", "\xc2\xa0" },		/* the first after the controls of C1 */
	{ "&ICc-", "\xe2\x80\xa7" },		/* before and after U+2028, U+2029 */
	{ "&ICo-", "\xe2\x80\xaa" },
	{ "&1,8-", "\xed\x9f\xbf" },		/* U+D7FF */
	{ "&4AA-", "\xee\x80\x80" },		/* U+E000 */
	{ "&,,8-", "\xef\xbf\xbf" },		/* U+FFFF */
	{ "&2ADcAA-", "\xf0\x90\x80\x80" },	/* U+10000 */
	{ "&2D3eAA-", "\xf0\x9f\x98\x80" },
	{ "&2,,f,w-", "\xf4\x8f\xbf\xbf" },	/* U+10FFFF */
	{ "&AOnYPd4A-", "\xc3\xa9\xf0\x9f\x98\x80" },
	{ "&2D3eANg93gA-", "\xf0\x9f\x98\x80\xf0\x9f\x98\x80" },
};

static const struct { const char *wire, *why; } bad_wire[] = {
	{ "&", "nothing after the shift" },
	{ "a&", "nothing after the shift" },
	{ "&AOk", "no '-'" },
	{ "&AOk-&AOk", "no '-' of the second" },
	{ "&AOk-&AOk-", "a null shift" },
	{ "&AO!-", "not of the alphabet" },
	{ "&AOk=-", "padding" },
	{ "&AO/-", "the '/' of true base64" },
	{ "&A-", "6 bits" },
	{ "&AA-", "12 bits" },
	{ "&AOkA-", "a sextet too many" },
	{ "&AOkAA-", "two sextets too many" },
	{ "&AOl-", "bits left over" },
	{ "&AOm-", "bits left over" },
	{ "&AOkA6R-", "bits left over" },
	{ "&AOkA6QDpA-", "a sextet too many after none was left over" },
	{ "&ACA-", "SP" },
	{ "&ACY-", "'&'" },
	{ "&AH4-", "'~'" },
	{ "&AOkAYQ-", "'a' after e acute" },
	{ "&AAA-", "NUL" },
	{ "&AA0ACg-", "CR LF" },
	{ "&AB8-", "the last of C0" },
	{ "&AH8-", "DEL" },
	{ "&AIA-", "the first of C1" },
	{ "&AJ8-", "the last of C1" },
	{ "&ICg-", "line separator" },
	{ "&ICk-", "paragraph separator" },
	{ "&2D0-", "the first half alone" },
	{ "&3gA-", "the second half alone" },
	{ "&2D3YPQ-", "two first halves" },
	{ "&2D0A6Q-", "a first half and a letter" },
	{ "&3gDYPQ-", "the halves turned around" },
	{ "&2D3eAN4A-", "a pair and a second half" },
	{ "&2D0-&3gA-", "a pair in two runs" },
	{ "a\x1f", "a control" },
	{ "a\x7f", "DEL" },
	{ "a\xc3\xa9", "8 bits" },
	{ "&AO\xe9-", "8 bits in a run" },
};

static const struct { const char *utf8, *why; } bad_utf8[] = {
	{ "\r\n", "CR LF" },
	{ "a\x1f", "the last of C0" },
	{ "a\x7f", "DEL" },
	{ "\xc2\x80", "the first of C1" },
	{ "\xc2\x9f", "the last of C1" },
	{ "\xe2\x80\xa8", "line separator" },
	{ "\xe2\x80\xa9", "paragraph separator" },
	{ "\xc3", "cut off" },
	{ "\xc3\xa9\xc3", "cut off after a character" },
	{ "\xe9", "Latin-1" },
	{ "\xc0\xaf", "overlong" },
	{ "\xed\xa0\xbd\xed\xb8\x80", "a pair of surrogates" },
	{ "\xf4\x90\x80\x80", "above U+10FFFF" },
};

/* Appends: what stands before it stays. */
static void
check(const char *row, bool (*function)(struct bytes, struct buf *), struct bytes in,
    bool ok, struct bytes want)
{
	struct buf b;

	buf_init(&b, NAME_MAX_OCTETS);
	buf_text(&b, "> ");
	assert_row_int(row, function(in, &b), ok);
	assert_row_int(row, b.full, false);
	assert_row_bytes(row, bytes_head(buf_bytes(&b), 2), text("> "));
	assert_row_bytes(row, bytes_skip(buf_bytes(&b), 2), ok ? want : text(""));
	buf_fini(&b);
}

static void
test_names(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < LEN(names); i++) {
		struct bytes wire = text(names[i].wire), utf8 = text(names[i].utf8);

		check(names[i].wire, imap_utf7_decode, wire, true, utf8);
		check(names[i].wire, imap_utf7_encode, utf8, true, wire);
	}
}

static void
test_bad(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < LEN(bad_wire); i++)
		check(bad_wire[i].why, imap_utf7_decode, text(bad_wire[i].wire), false, text(""));
	for (i = 0; i < LEN(bad_utf8); i++)
		check(bad_utf8[i].why, imap_utf7_encode, text(bad_utf8[i].utf8), false, text(""));
	check("NUL", imap_utf7_decode, OCTETS("a\0b"), false, text(""));
	check("NUL in a run", imap_utf7_decode, OCTETS("&A\0k-"), false, text(""));
	check("NUL", imap_utf7_encode, OCTETS("a\0b"), false, text(""));
}

/* Every character alone, between letters, and twice: there and back, or not there at all. */
static void
test_all_characters(void **state)
{
	unsigned char c[4];
	struct buf utf8, wire, back;
	size_t n, form;
	uint32_t u;
	bool good;

	(void)state;
	buf_init(&utf8, 16);
	buf_init(&wire, 32);
	buf_init(&back, 16);
	for (u = 0; u <= 0x10ffff; u++) {
		good = u >= 0x20 && (u < 0x7f || u > 0x9f) && u != 0x2028 && u != 0x2029;
		for (form = 0, n = utf8_put(u, c); n > 0 && form < 3; form++) {
			buf_clear(&utf8);
			buf_clear(&wire);
			buf_clear(&back);
			buf_text(&utf8, form == 1 ? "a" : "");
			buf_add(&utf8, bytes_of(c, n));
			buf_add(&utf8, form == 1 ? text("-") : bytes_of(c, form == 2 ? n : 0));
			assert_int_equal(imap_utf7_encode(buf_bytes(&utf8), &wire), good);
			assert_int_equal(wire.n > 0, good);
			assert_true(imap_utf7_decode(buf_bytes(&wire), &back));
			assert_bytes_equal(buf_bytes(&back), good ? buf_bytes(&utf8) : text(""));
		}
	}
	buf_fini(&utf8);
	buf_fini(&wire);
	buf_fini(&back);
}

/* The limit is the buf's: at it, and one octet below what is needed. */
static void
test_limit(void **state)
{
	static const struct { const char *wire, *utf8; } rows[] = {
		{ "abcdefgh", "abcdefgh" },
		{ "a&-", "a&" },
		{ "a&AOk-", "a\xc3\xa9" },
		{ "&2D3eAA-", "\xf0\x9f\x98\x80" },
	};
	struct bytes in[2];
	struct buf b;
	size_t i, way;
	bool ok, fits;

	(void)state;
	for (i = 0; i < 4 * LEN(rows); i++) {
		way = i / 2 % 2;
		fits = i % 2 == 0;
		in[0] = text(rows[i / 4].wire);
		in[1] = text(rows[i / 4].utf8);
		buf_init(&b, in[!way].n + (fits ? 1 : 0));
		buf_char(&b, '>');
		ok = way == 0 ? imap_utf7_decode(in[0], &b) : imap_utf7_encode(in[1], &b);
		assert_row_int(rows[i / 4].wire, ok, fits);
		assert_row_int(rows[i / 4].wire, b.full, !fits);
		assert_row_bytes(rows[i / 4].wire, bytes_skip(buf_bytes(&b), 1),
		    fits ? in[!way] : text(""));
		buf_fini(&b);
	}
	buf_init(&b, 0);
	buf_char(&b, 'x');			/* full already */
	assert_false(imap_utf7_decode(text(""), &b));
	assert_false(imap_utf7_encode(text(""), &b));
	buf_fini(&b);
}

/* A scalar of YAML as the file has them: plain, or quoted with \" and \U. */
static void
unquote(struct bytes s, struct buf *out)
{
	unsigned char c[4];

	if (s.n < 2 || s.p[0] != '"') {
		buf_add(out, s);
		return;
	}
	for (s = bytes_head(bytes_skip(s, 1), s.n - 2); s.n > 0; s = bytes_skip(s, 1)) {
		if (bytes_starts(s, text("\\U"))) {
			char hex[9] = "";

			assert_true(bytes_to_text(bytes_head(bytes_skip(s, 2), 8), hex, sizeof hex));
			buf_add(out, bytes_of(c, utf8_put((uint32_t)strtoul(hex, NULL, 16), c)));
			s = bytes_skip(s, 9);
		} else {
			s = bytes_skip(s, s.p[0] == '\\' ? 1 : 0);
			buf_add(out, bytes_head(s, 1));
		}
	}
}

static void
test_vectors(void **state)
{
	struct bytes all = vector("imap/modified-utf7.yml");
	struct buf wire, value;
	unsigned good = 0, bad = 0;
	bool invalid = false;

	(void)state;
	buf_init(&wire, NAME_MAX_OCTETS);
	buf_init(&value, NAME_MAX_OCTETS);
	while (all.n > 0) {
		struct bytes line = bytes_cut(&all, '\n'), key;

		if (bytes_starts(line, text("- ")) || bytes_starts(line, text("  ")))
			line = bytes_skip(line, 2);
		key = bytes_cut(&line, ' ');
		buf_clear(&value);
		unquote(line, &value);
		if (bytes_eq(key, text("invalid:"))) {
			invalid = true;
		} else if (bytes_eq(key, text("utf7:"))) {
			buf_clear(&wire);
			buf_add(&wire, buf_bytes(&value));
		} else if (bytes_eq(key, text("utf8:"))) {
			check("vector", imap_utf7_decode, buf_bytes(&wire), true, buf_bytes(&value));
			check("vector", imap_utf7_encode, buf_bytes(&value), true, buf_bytes(&wire));
			good++;
		} else if (bytes_eq(key, text("why:"))) {
			assert_true(invalid);
			check("vector", imap_utf7_decode, buf_bytes(&wire), false, text(""));
			bad++;
		}
	}
	assert_int_equal(good, 7);
	assert_int_equal(bad, 6);
	buf_fini(&wire);
	buf_fini(&value);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_all_characters),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
