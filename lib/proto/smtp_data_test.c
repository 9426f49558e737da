/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/smtp_data.h"

enum { NONE = 0, B_CR = 1, B_LF = 2, N_UL = 4 };

static const struct {
	const char *in;
	size_t n;
	enum smtp_data_status want;
	const char *rejecting;		/* content in each mode */
	const char *normalizing;
	size_t left;			/* octets after the end */
	unsigned flags;
} cases[] = {
#define IN(s)	s, sizeof(s) - 1
	{ IN(".\r\n"), SMTP_DATA_END, "", "", 0, NONE },
	{ IN("a\r\n.\r\n"), SMTP_DATA_END, "a\r\n", "a\r\n", 0, NONE },
	{ IN("a\r\n.\r\nQUIT\r\n"), SMTP_DATA_END, "a\r\n", "a\r\n", 6, NONE },
	{ IN("a\r\nb"), SMTP_DATA_MORE, "a\r\nb", "a\r\nb", 0, NONE },
	{ IN("..\r\n.\r\n"), SMTP_DATA_END, ".\r\n", ".\r\n", 0, NONE },
	{ IN("..a\r\n...\r\n.\r\n"), SMTP_DATA_END, ".a\r\n..\r\n", ".a\r\n..\r\n", 0, NONE },
	{ IN(".a\r\n.\r\n"), SMTP_DATA_END, "a\r\n", "a\r\n", 0, NONE },
	{ IN("a.\r\n.\r\n"), SMTP_DATA_END, "a.\r\n", "a.\r\n", 0, NONE },
	{ IN("\r\n\r\n.\r\n"), SMTP_DATA_END, "\r\n\r\n", "\r\n\r\n", 0, NONE },
	{ IN("a\r\n.\r\r\n.\r\n"), SMTP_DATA_END, "a\r\n", "a\r\n\r\n\r\n", 0, B_CR },
	/* what others took for the end: SMTP smuggling */
	{ IN("a\n.\nb\r\n.\r\n"), SMTP_DATA_END, "a", "a\r\n.\r\nb\r\n", 0, B_LF },
	{ IN("a\n.\r\nb\r\n.\r\n"), SMTP_DATA_END, "a", "a\r\n.\r\nb\r\n", 0, B_LF },
	{ IN("a\r\n.\nb\r\n.\r\n"), SMTP_DATA_END, "a\r\n", "a\r\n\r\nb\r\n", 0, B_LF },
	{ IN("a\r\n.\rb\r\n.\r\n"), SMTP_DATA_END, "a\r\n", "a\r\n\r\nb\r\n", 0, B_CR },
	{ IN("a\r.\r\nb\r\n.\r\n"), SMTP_DATA_END, "a", "a\r\n.\r\nb\r\n", 0, B_CR },
	{ IN("a\r.\rb\r\n.\r\n"), SMTP_DATA_END, "a", "a\r\n.\r\nb\r\n", 0, B_CR },
	{ IN("a\r\r\n.\r\n"), SMTP_DATA_END, "a", "a\r\n\r\n", 0, B_CR },	/* CRLF.CRLF is there */
	{ IN("a\n\r\n.\r\n"), SMTP_DATA_END, "a", "a\r\n\r\n", 0, B_LF },
	{ IN("\n.\r\n"), SMTP_DATA_MORE, "", "\r\n.\r\n", 0, B_LF },
	{ IN("\r.\r\n"), SMTP_DATA_MORE, "", "\r\n.\r\n", 0, B_CR },
	{ IN("a\0.\r\n.\r\n"), SMTP_DATA_END, "a", "a", 0, N_UL },	/* compared by hand: NUL */
	{ IN("a\r\n\0.\r\n.\r\n"), SMTP_DATA_END, "a\r\n", "a\r\n", 0, N_UL },
	{ IN("a\r\n.\0\r\n.\r\n"), SMTP_DATA_END, "a\r\n", "a\r\n", 0, N_UL },
	{ IN("a\r"), SMTP_DATA_MORE, "a", "a", 0, NONE },
	{ IN("a\r\n."), SMTP_DATA_MORE, "a\r\n", "a\r\n", 0, NONE },
	{ IN("a\r\n.\r"), SMTP_DATA_MORE, "a\r\n", "a\r\n", 0, NONE },
	{ IN(""), SMTP_DATA_MORE, "", "", 0, NONE },
};

static unsigned
flags(const struct smtp_data *d)
{
	return (d->bare_cr ? B_CR : 0) | (d->bare_lf ? B_LF : 0) | (d->nul ? N_UL : 0);
}

static void
test_decode(void **state)
{
	struct smtp_data d;
	struct bytes in, want;
	struct buf out;
	size_t i;
	int mode;

	(void)state;
	buf_init(&out, 1000);
	for (i = 0; i < LEN(cases); i++)
		for (mode = SMTP_DATA_REJECT; mode <= SMTP_DATA_NORMALIZE; mode++) {
			buf_clear(&out);
			smtp_data_init(&d, (enum smtp_data_mode)mode);
			in = bytes_of(cases[i].in, cases[i].n);
			want = text(mode == SMTP_DATA_REJECT ? cases[i].rejecting : cases[i].normalizing);
			assert_row_int(cases[i].in, smtp_data_feed_buf(&d, &in, &out), cases[i].want);
			assert_row_int(cases[i].in, in.n, cases[i].left);
			assert_row_int(cases[i].in, flags(&d), cases[i].flags);
			assert_row_int(cases[i].in, d.octets, out.n);
			if (d.nul)
				assert_row_bytes(cases[i].in, bytes_head(buf_bytes(&out), want.n), want);
			else
				assert_row_bytes(cases[i].in, buf_bytes(&out), want);
		}
	buf_fini(&out);
}

static void
test_after_end(void **state)
{
	struct smtp_data d;
	struct bytes in = text("NOOP\r\n");
	struct bytes end = text(".\r\n");
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	smtp_data_init(&d, SMTP_DATA_REJECT);
	assert_int_equal(smtp_data_feed_buf(&d, &end, &out), SMTP_DATA_END);
	assert_int_equal(smtp_data_feed_buf(&d, &in, &out), SMTP_DATA_END);
	assert_int_equal(in.n, 6);
	assert_int_equal(out.n, 0);
	buf_fini(&out);
}

/* The same input whole, and in two or more pieces cut anywhere, is the same content. */
static void
test_any_split(void **state)
{
	static const char octets[] = "\r\n.ab\r\n.";
	unsigned char in[64];
	struct buf whole, parts;
	struct smtp_data d, e;
	struct bytes rest, piece;
	size_t n, taken;
	unsigned round, i;
	int mode;

	(void)state;
	srandom(1);
	buf_init(&whole, 1000);
	buf_init(&parts, 1000);
	for (round = 0; round < 200000; round++) {
		mode = (int)(round & 1);
		n = (size_t)random() % sizeof in;
		for (i = 0; i < n; i++)
			in[i] = (unsigned char)octets[(size_t)random() % (sizeof octets - 1)];
		buf_clear(&whole);
		buf_clear(&parts);
		smtp_data_init(&d, (enum smtp_data_mode)mode);
		smtp_data_init(&e, (enum smtp_data_mode)mode);
		rest = bytes_of(in, n);
		smtp_data_feed_buf(&d, &rest, &whole);
		for (taken = 0; taken < n;) {
			piece = bytes_head(bytes_of(in + taken, n - taken), 1 + (size_t)random() % 7);
			taken += piece.n;
			if (smtp_data_feed_buf(&e, &piece, &parts) == SMTP_DATA_END) {
				taken -= piece.n;
				break;
			}
			assert_int_equal(piece.n, 0);
		}
		assert_int_equal(taken, n - rest.n);
		assert_int_equal(d.state, e.state);
		assert_int_equal(flags(&d), flags(&e));
		assert_bytes_equal(buf_bytes(&parts), buf_bytes(&whole));
	}
	buf_fini(&whole);
	buf_fini(&parts);
}

static const struct { const char *in, *out; } stuffed[] = {
	{ "", ".\r\n" },
	{ "a\r\n", "a\r\n.\r\n" },
	{ "a", "a\r\n.\r\n" },
	{ "a\r", "a\r\n.\r\n" },
	{ ".", "..\r\n.\r\n" },
	{ ".\r\n..\r\na.b\r\n", "..\r\n...\r\na.b\r\n.\r\n" },
	{ "a\n.\nb\n", "a\r\n..\r\nb\r\n.\r\n" },	/* never a bare LF, never an early end */
	{ "a\r.\rb", "a\r\n..\r\nb\r\n.\r\n" },
	{ "\r\n.\r\n", "\r\n..\r\n.\r\n" },
	{ "\r\r\n", "\r\n\r\n.\r\n" },
	{ "\n\n", "\r\n\r\n.\r\n" },
};

static void
test_stuff(void **state)
{
	struct smtp_stuff s;
	struct buf out;
	size_t i, k, cut;

	(void)state;
	buf_init(&out, 1000);
	for (i = 0; i < LEN(stuffed); i++)
		for (cut = 1; cut <= strlen(stuffed[i].in) + 1; cut++) {
			buf_clear(&out);
			smtp_stuff_init(&s);
			for (k = 0; k < strlen(stuffed[i].in); k += cut)
				smtp_stuff_feed(&s, bytes_head(text(stuffed[i].in + k), cut), &out);
			smtp_stuff_end(&s, &out);
			assert_row_bytes(stuffed[i].in, buf_bytes(&out), text(stuffed[i].out));
		}
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_after_end),
		cmocka_unit_test(test_any_split),
		cmocka_unit_test(test_stuff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
