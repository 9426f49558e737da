/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "base/buf.h"
#include "proto/mime_decode.h"

static const struct { enum mime_transfer how; const char *in, *want; } rows[] = {
	{ MIME_PLAIN, "", "" },
	{ MIME_PLAIN, "a=41\n", "a=41\n" },
	/* RFC 4648 section 10 */
	{ MIME_BASE64, "", "" },
	{ MIME_BASE64, "Zg==", "f" },
	{ MIME_BASE64, "Zm8=", "fo" },
	{ MIME_BASE64, "Zm9v", "foo" },
	{ MIME_BASE64, "Zm9v\r\nYm\nFy\n", "foobar" },
	{ MIME_BASE64, "+/+/", "\xfb\xff\xbf" },
	/* no padding; padding in the middle; what is no digit */
	{ MIME_BASE64, "Zm8", "fo" },
	{ MIME_BASE64, "Zg", "f" },
	{ MIME_BASE64, "Z", "" },
	{ MIME_BASE64, "Zg==Zm8=", "ffo" },
	{ MIME_BASE64, "Z=g==", "" },
	{ MIME_BASE64, " Z-m\xff" "9!v", "foo" },
	/* RFC 2045 section 6.7 */
	{ MIME_QUOTED, "a=3Db=3d_", "a=b=_" },
	{ MIME_QUOTED, "soft=\nbreak= \t\r\ns=", "softbreaks" },
	{ MIME_QUOTED, "hard\r\nline =20\n", "hard\r\nline  \n" },
	{ MIME_QUOTED, "=", "" },
	{ MIME_QUOTED, "= ", "" },
	{ MIME_QUOTED, "=\r", "" },
	{ MIME_QUOTED, "=\rx", "=\rx" },
	{ MIME_QUOTED, "= x", "= x" },
	{ MIME_QUOTED, "==41", "=A" },
	{ MIME_QUOTED, "=4", "=4" },
	{ MIME_QUOTED, "=4g=G4=C3=A4", "=4g=G4\xc3\xa4" },
	/* RFC 2047 section 4.2 */
	{ MIME_Q, "a_b=5F=E4", "a b_\xe4" },
	{ MIME_Q, "a=\r\n b=", "a= b=" },
	{ MIME_Q, "=", "=" },
};

static void
test_rows(void **state)
{
	size_t i, room;

	(void)state;
	for (i = 0; i < LEN(rows); i++)
		for (room = 1; room < 8; room++) {
			struct mime_decoder d;
			struct buf got;
			size_t n;

			buf_init(&got, 1000);
			mime_decoder_init(&d, rows[i].how, text(rows[i].in));
			while ((n = mime_decode(&d, buf_room(&got, room), room)) > 0)
				got.n += n;
			assert_row_bytes(rows[i].in, buf_bytes(&got), text(rows[i].want));
			assert_int_equal(d.in.n, 0);
			buf_fini(&got);
		}
}

static void
test_transfer(void **state)
{
	(void)state;
	assert_int_equal(mime_transfer(text(" BASE64 (c)\r\n")), MIME_BASE64);
	assert_int_equal(mime_transfer(text("Quoted-Printable")), MIME_QUOTED);
	assert_int_equal(mime_transfer(text("8bit")), MIME_PLAIN);
	assert_int_equal(mime_transfer(text("")), MIME_PLAIN);
	assert_int_equal(mime_transfer(text("x-uuencode")), MIME_PLAIN);
}

static const struct { const char *in; size_t n; const char *charset, *text; } words[] = {
	{ "=?utf-8?Q?a_b?=", 15, "utf-8", "a_b" },
	{ "=?utf-8?Q?a_b?= x", 15, "utf-8", "a_b" },
	{ "=?ISO-8859-1*en?b?QQ==?=", 24, "ISO-8859-1", "QQ==" },
	{ "=?utf-8?Q?" "?=", 12, "utf-8", "" },
	{ "=?utf-8?Q?a b?=", 15, "utf-8", "a b" },
	{ "=?utf-8?Q?\xc3?=", 13, "utf-8", "\xc3" },
	{ "=?utf-8?Q?a?b?=", 0, "", "" },
	{ "=?utf-8?Q?a", 0, "", "" },
	{ "=?utf-8?Q?a?", 0, "", "" },
	{ "=?utf-8?Q?a? =", 0, "", "" },
	{ "=?utf-8?QB?a?=", 0, "", "" },
	{ "=?utf-8?x?a?=", 0, "", "" },
	{ "=?utf-8?" "?a?=", 0, "", "" },
	{ "=?" "?Q?a?=", 0, "", "" },
	{ "=?u t?Q?a?=", 0, "", "" },
	{ "=?*en?Q?a?=", 0, "", "" },
	{ "=?", 0, "", "" },
	{ "", 0, "", "" },
	{ " =?utf-8?Q?a?=", 0, "", "" },
};

static void
test_words(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < LEN(words); i++) {
		struct encoded_word w;

		assert_row_int(words[i].in, encoded_word(text(words[i].in), &w), words[i].n);
		if (words[i].n == 0)
			continue;
		assert_row_bytes(words[i].in, w.charset, text(words[i].charset));
		assert_row_bytes(words[i].in, w.text, text(words[i].text));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_transfer), cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
