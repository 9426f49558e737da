/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/smtp_content.h"
#include "proto/smtp_data.h"
#include "proto/testing.h"

static const struct { const char *in, *data, *bdat; bool mended; } cases[] = {
	{ "",			".\r\n",			"",			false },
	{ "a\r\n",		"a\r\n.\r\n",			"a\r\n",		false },
	{ "a",			"a\r\n.\r\n",			"a",			false },
	{ ".",			"..\r\n.\r\n",			".",			false },
	{ ".\r\n",		"..\r\n.\r\n",			".\r\n",		false },
	{ "a\r\n.\r\nb\r\n",	"a\r\n..\r\nb\r\n.\r\n",	"a\r\n.\r\nb\r\n",	false },
	{ "a.\r\n..b\r\n\r\n.",	"a.\r\n...b\r\n\r\n..\r\n.\r\n", "a.\r\n..b\r\n\r\n.",	false },
	{ "\r\n.\r\n",		"\r\n..\r\n.\r\n",		"\r\n.\r\n",		false },
	/* SMTP smuggling: what some host takes for the end of the message */
	{ "a\n.\nb\r\n",	"a\r\n..\r\nb\r\n.\r\n",	"a\r\n.\r\nb\r\n",	true },
	{ "a\r.\rb\r\n",	"a\r\n..\r\nb\r\n.\r\n",	"a\r\n.\r\nb\r\n",	true },
	{ "a\n.\r\nb\r\n",	"a\r\n..\r\nb\r\n.\r\n",	"a\r\n.\r\nb\r\n",	true },
	{ "a\r\n.\nb\r\n",	"a\r\n..\r\nb\r\n.\r\n",	"a\r\n.\r\nb\r\n",	true },
	{ "a\r\n.\rb\r\n",	"a\r\n..\r\nb\r\n.\r\n",	"a\r\n.\r\nb\r\n",	true },
	{ "a\r\r\n.\r\n",	"a\r\n\r\n..\r\n.\r\n",		"a\r\n\r\n.\r\n",	true },
	{ "a\r\n\r",		"a\r\n\r\n.\r\n",		"a\r\n\r\n",		true },
	{ "a\r",		"a\r\n.\r\n",			"a\r\n",		true },
	{ "a\n",		"a\r\n.\r\n",			"a\r\n",		true },
	{ "\n\r",		"\r\n\r\n.\r\n",		"\r\n\r\n",		true },
};

static void
encode(struct bytes in, enum smtp_content_mode mode, size_t piece, bool *mended, struct buf *out)
{
	struct smtp_content s;

	buf_clear(out);
	smtp_content_init(&s, mode);
	while (in.n > 0) {
		smtp_content_feed(&s, bytes_head(in, piece), out);
		in = bytes_skip(in, piece);
	}
	smtp_content_end(&s, out);
	*mended = s.mended;
}

static void
test_encoding(void **state)
{
	struct buf out;
	bool mended;

	(void)state;
	buf_init(&out, 1000);
	for (size_t i = 0; i < LEN(cases); i++)
		for (size_t piece = 1; piece < 20; piece++) {
			encode(text(cases[i].in), SMTP_CONTENT_DATA, piece, &mended, &out);
			assert_row_bytes(cases[i].in, buf_bytes(&out), text(cases[i].data));
			assert_row_int(cases[i].in, mended, cases[i].mended);
			encode(text(cases[i].in), SMTP_CONTENT_BDAT, piece, &mended, &out);
			assert_row_bytes(cases[i].in, buf_bytes(&out), text(cases[i].bdat));
			assert_row_int(cases[i].in, mended, cases[i].mended);
			encode(text(cases[i].in), SMTP_CONTENT_BINARY, piece, &mended, &out);
			assert_row_bytes(cases[i].in, buf_bytes(&out), text(cases[i].in));
		}
	buf_fini(&out);
}

/* Any text of these octets, cut in two anywhere: our own server reads the one message. */
static void
test_server_reads_it(void **state)
{
	static const char octets[] = "a.\r\n";
	enum { N = 7 };
	char in[N];
	struct buf out, back;
	bool mended;

	(void)state;
	buf_init(&out, 1000);
	buf_init(&back, 1000);
	for (unsigned v = 0; v < 1u << 2 * N; v++) {
		struct smtp_data d;
		struct bytes rest;

		for (unsigned i = 0; i < N; i++)
			in[i] = octets[v >> 2 * i & 3];
		encode(bytes_of(in, N), SMTP_CONTENT_DATA, 1 + v % N, &mended, &out);
		buf_clear(&back);
		smtp_data_init(&d, SMTP_DATA_REJECT);
		rest = buf_bytes(&out);
		assert_int_equal(smtp_data_feed_buf(&d, &rest, &back), SMTP_DATA_END);
		assert_int_equal(rest.n, 0);
		assert_false(d.bare_cr || d.bare_lf);
		encode(bytes_of(in, N), SMTP_CONTENT_BDAT, N, &mended, &out);
		if (in[N - 1] != '\n' && in[N - 1] != '\r')
			buf_text(&out, "\r\n");
		assert_bytes_equal(buf_bytes(&back), buf_bytes(&out));
	}
	buf_fini(&out);
	buf_fini(&back);
}

/* As much as the header says, no more. */
static void
test_growth(void **state)
{
	static unsigned char in[10000];
	struct smtp_content s;
	struct buf out;

	(void)state;
	buf_init(&out, 2 * sizeof in + 2);
	smtp_content_init(&s, SMTP_CONTENT_DATA);
	smtp_content_feed(&s, text("\r"), &out);
	assert_int_equal(out.n, 0);
	for (size_t i = 0; i < sizeof in; i++)
		in[i] = i % 2 ? '\n' : '.';
	smtp_content_feed(&s, bytes_of(in, sizeof in), &out);
	assert_int_equal(out.n, 2 * sizeof in + 2);
	assert_false(out.full);
	buf_fini(&out);
}

static void
test_bdat(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	smtp_bdat_put(&out, 65536, false);
	smtp_bdat_put(&out, 0, true);
	assert_bytes_equal(buf_bytes(&out), text("BDAT 65536\r\nBDAT 0 LAST\r\n"));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_server_reads_it),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_bdat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
