/* SPDX-License-Identifier: ISC */
#include "proto/mime_encode.h"
#include "proto/testing.h"

#define X10	"xxxxxxxxxx"
#define X70	X10 X10 X10 X10 X10 X10 X10

static const struct { const char *in, *quoted, *base64; } cases[] = {
	{ "",			"",				"" },
	{ "a",			"a",				"YQ==" },
	{ "ab",			"ab",				"YWI=" },
	{ "abc",		"abc",				"YWJj" },
	{ "a=b\r\n",		"a=3Db\r\n",			"YT1iDQo=" },
	{ "\xc3\xa4\r\n\r\n",	"=C3=A4\r\n\r\n",		"w6QNCg0K" },
	/* white space at the end of a line, and of all */
	{ "a \r\nb\t\r\n c",	"a=20\r\nb=09\r\n c",		"YSANCmIJDQogYw==" },
	{ "a ",			"a=20",				"YSA=" },
	{ "a  ",		"a =20",			"YSAg" },
	{ " \r\n",		"=20\r\n",			"IA0K" },
	/* CR and LF alone are no line ends */
	{ "a\rb",		"a=0Db",			"YQ1i" },
	{ "a\nb",		"a=0Ab",			"YQpi" },
	{ "a \rb",		"a =0Db",			"YSANYg==" },
	{ "a \r",		"a =0D",			"YSAN" },
	{ "a\r\r\n",		"a=0D\r\n",			"YQ0NCg==" },
	{ "a \r\r\n",		"a =0D\r\n",			"YSANDQo=" },
	{ "\r",			"=0D",				"DQ==" },
	{ "\x7f\x1b",		"=7F=1B",			"fxs=" },
	/* what could be a boundary */
	{ "--a=b\r\n-\r\na--",	"=2D-a=3Db\r\n=2D\r\na--",	NULL },
	{ X70 "12345--a\r\n",	X70 "12345=\r\n=2D-a\r\n",	NULL },
	/* 75 octets and the "=" */
	{ X70 "12345\r\n",	X70 "12345\r\n",		NULL },
	{ X70 "123456\r\n",	X70 "12345=\r\n6\r\n",		NULL },
	{ X70 "12\xff\r\n",	X70 "12=FF\r\n",		NULL },
	{ X70 "123\xff\r\n",	X70 "123=\r\n=FF\r\n",		NULL },
	{ X70 "12345 \r\n",	X70 "12345=\r\n=20\r\n",	NULL },
	{ X70 "1234 5\r\n",	X70 "1234 =\r\n5\r\n",		NULL },
};

static void
encode(struct bytes in, enum mime_transfer how, size_t piece, struct buf *out)
{
	struct mime_encoder e;

	buf_clear(out);
	mime_encoder_init(&e, how);
	while (in.n > 0) {
		mime_encode(&e, bytes_head(in, piece), out);
		in = bytes_skip(in, piece);
	}
	mime_encode_end(&e, out);
	assert_false(out->full);
}

static void
test_encoding(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	for (size_t i = 0; i < LEN(cases); i++)
		for (size_t piece = 1; piece < 8; piece++) {
			encode(text(cases[i].in), MIME_QUOTED, piece, &out);
			assert_row_bytes(cases[i].in, buf_bytes(&out), text(cases[i].quoted));
			if (!cases[i].base64)
				continue;
			encode(text(cases[i].in), MIME_BASE64, piece, &out);
			assert_row_bytes(cases[i].in, buf_bytes(&out), text(cases[i].base64));
		}
	buf_fini(&out);
}

static void
expect_back(struct bytes in, enum mime_transfer how, struct buf *out)
{
	static unsigned char back[5000];
	struct mime_decoder d;
	size_t n = 0, got;

	encode(in, how, 1 + in.n % 5, out);
	mime_decoder_init(&d, how, buf_bytes(out));
	while ((got = mime_decode(&d, back + n, sizeof back - n)) > 0)
		n += got;
	assert_bytes_equal(bytes_of(back, n), in);
	for (struct bytes rest = buf_bytes(out), line; rest.n > 0;) {
		line = bytes_cut(&rest, '\n');
		assert_true(line.n <= 77);
		for (size_t i = 0; i < line.n; i++)
			assert_true(line.p[i] < 0x7f && (line.p[i] >= ' ' || line.p[i] == '\t' || i + 1 == line.n));
	}
}

/* All runs of these, and some long ones: what is decoded is what there was. */
static void
test_back(void **state)
{
	static const unsigned char octets[8] = { 'a', ' ', '\t', '\r', '\n', '=', 0xff, 0 };
	static unsigned char in[4000];
	struct buf out;

	(void)state;
	buf_init(&out, 20000);
	for (unsigned v = 0; v < 1u << 15; v++) {
		unsigned char five[5];

		for (unsigned i = 0; i < 5; i++)
			five[i] = octets[v >> 3 * i & 7];
		expect_back(bytes_of(five, 5), MIME_QUOTED, &out);
	}
	srand(2045);
	for (unsigned i = 0; i < 200; i++) {
		size_t n = (size_t)rand() % sizeof in;

		for (size_t k = 0; k < n; k++)
			in[k] = rand() % 3 ? 'x' : octets[rand() % 8];
		expect_back(bytes_of(in, n), MIME_QUOTED, &out);
		expect_back(bytes_of(in, n), MIME_BASE64, &out);
	}
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
