/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/downgrade.h"
#include "mail/testing.h"
#include "proto/mime_tree.h"

#define E7	DOWNGRADE_8BIT
#define LN	DOWNGRADE_LINES
#define U8	DOWNGRADE_UTF8
#define CTE	"Content-Transfer-Encoding: "
#define MV	"MIME-Version: 1.0\r\n"
#define X10	"xxxxxxxxxx"
#define X100	X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X990	X100 X100 X100 X100 X100 X100 X100 X100 X100 X10 X10 X10 X10 X10 X10 X10 X10 X10

/* out NULL: as it is; beginning with a digit: the status why it cannot be. */
static const struct { const char *name; unsigned what; const char *in, *out; } cases[] = {
	{ "empty", E7 | LN, "", NULL },
	{ "7-bit", E7 | LN, MV CTE "7bit\r\n\r\nhello\r\n", NULL },
	{ "header alone", E7, "Subject: x\r\n" CTE "8bit\r\n", NULL },
	{ "no MIME", E7, "Subject: x\r\n\r\nna\xefve\r\n",
	    "Subject: x\r\n" MV "Content-Type: text/plain; charset=unknown-8bit\r\n" CTE "quoted-printable\r\n\r\nna=EFve\r\n" },
	{ "text", E7, MV "Content-Type: text/plain; charset=utf-8\r\n" CTE "8bit\r\nX: y\r\n\r\nna\xc3\xafve stuff, and a=b \r\n",
	    MV "Content-Type: text/plain; charset=utf-8\r\n" CTE "quoted-printable\r\nX: y\r\n\r\nna=C3=AFve stuff, and a=3Db=20\r\n" },
	{ "mostly 8-bit", E7, MV "Content-Type: text/plain; charset=utf-8\r\n" CTE "8bit\r\n\r\n\xc3\xa4\xc3\xb6\xc3\xbc\r\n",
	    MV "Content-Type: text/plain; charset=utf-8\r\n" CTE "base64\r\n\r\nw6TDtsO8DQo=\r\n" },
	{ "no text", E7, MV "Content-Type: image/png\r\n" CTE "8BIT\r\n\r\nabcdefghijklmnop\xff\r\n",
	    MV "Content-Type: image/png\r\n" CTE "base64\r\n\r\nYWJjZGVmZ2hpamtsbW5vcP8NCg==\r\n" },
	{ "labelled 7bit", E7, MV CTE "7bit\r\n\r\nabcdefg\xff\r\n",
	    MV CTE "quoted-printable\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\r\nabcdefg=FF\r\n" },
	{ "two labels, one folded", E7, MV "Content-Type: text/plain\r\n" CTE "\r\n 8bit\r\n" CTE "base64\r\n\r\nabcdefg\xff\r\n",
	    MV "Content-Type: text/plain\r\n" CTE "quoted-printable\r\n\r\nabcdefg=FF\r\n" },
	{ "a label alone", E7, MV CTE "8bit (really)\r\n\r\nhello\r\n", MV CTE "7bit\r\n\r\nhello\r\n" },
	{ "binary, a label alone", LN, MV CTE "binary\r\n\r\nh\xc3\xa4llo\r\n", MV CTE "8bit\r\n\r\nh\xc3\xa4llo\r\n" },
	{ "8bit where lines matter", LN, MV CTE "8bit\r\n\r\nh\xc3\xa4llo\r\n", NULL },
	{ "multipart", E7,
	    MV "Content-Type: multipart/mixed; boundary=b\r\n" CTE "8bit\r\n\r\nbefore\r\n"
	    "--b\r\nContent-Type: text/plain; charset=utf-8\r\n" CTE "8bit\r\n\r\nabcdefghijk\xc3\xa4\r\n"
	    "--b\r\nContent-Type: application/x\r\n\r\nabcdefghij\xff\r\n\r\n"
	    "--b\r\n\r\n7-bit\r\n"
	    "--b\r\n\r\n--b--\r\nbehind\r\n",
	    MV "Content-Type: multipart/mixed; boundary=b\r\n" CTE "7bit\r\n\r\nbefore\r\n"
	    "--b\r\nContent-Type: text/plain; charset=utf-8\r\n" CTE "quoted-printable\r\n\r\nabcdefghijk=C3=A4\r\n"
	    "--b\r\nContent-Type: application/x\r\n" CTE "base64\r\n\r\nYWJjZGVmZ2hpav8NCg==\r\n"
	    "--b\r\n\r\n7-bit\r\n"
	    "--b\r\n\r\n--b--\r\nbehind\r\n" },
	{ "white space before a boundary", E7, MV "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nabcdefgh\xff \r\n--b--\r\n",
	    MV "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
	    CTE "quoted-printable\r\n\r\nabcdefgh=FF=20\r\n--b--\r\n" },
	{ "without the last boundary", E7,
	    MV "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x\r\n\r\nab\xff\r\n",
	    MV "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/x\r\n" CTE "base64\r\n\r\nYWL/DQo=\r\n" },
	{ "without a line end", E7, MV "Content-Type: application/x\r\n\r\nab\xff",
	    MV "Content-Type: application/x\r\n" CTE "base64\r\n\r\nYWL/\r\n" },
	{ "a message in it", E7,
	    MV "Content-Type: message/rfc822\r\n" CTE "8bit\r\n\r\nSubject: y\r\n\r\nabcdefghijk\xe4\r\n",
	    MV "Content-Type: message/rfc822\r\n" CTE "7bit\r\n\r\nSubject: y\r\n" MV "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    CTE "quoted-printable\r\n\r\nabcdefghijk=E4\r\n" },
	{ "a digest", E7,
	    "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: y\r\n\r\nabcdefghijk\xe4\r\n--b\r\n\r\nA: b\r\n\r\nok\r\n--b--\r\n",
	    "Content-Type: multipart/digest; boundary=b\r\n" MV "\r\n--b\r\n\r\nSubject: y\r\n" MV
	    "Content-Type: text/plain; charset=unknown-8bit\r\n" CTE "quoted-printable\r\n\r\nabcdefghijk=E4\r\n"
	    "--b\r\n\r\nA: b\r\n\r\nok\r\n--b--\r\n" },
	{ "one outside of what is signed", E7,
	    MV "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain\r\n\r\nabcdefgh\xff\r\n"
	    "--o\r\nContent-Type: multipart/signed; boundary=i\r\n" CTE "8bit\r\n\r\n--i\r\n" CTE "8bit\r\n\r\nasis\r\n--i\r\n\r\nsig\r\n--i--\r\n--o--\r\n",
	    MV "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: text/plain\r\n" CTE "quoted-printable\r\n\r\nabcdefgh=FF\r\n"
	    "--o\r\nContent-Type: multipart/signed; boundary=i\r\n" CTE "7bit\r\n\r\n--i\r\n" CTE "8bit\r\n\r\nasis\r\n--i\r\n\r\nsig\r\n--i--\r\n--o--\r\n" },
	{ "looks like a boundary when it is quoted", E7,
	    MV "Content-Type: multipart/mixed; boundary=\"a=3Db\"\r\n\r\n--a=3Db\r\nContent-Type: text/plain\r\n\r\n--a=b, in plain words\xff\r\n--a=3Db--\r\n",
	    MV "Content-Type: multipart/mixed; boundary=\"a=3Db\"\r\n\r\n--a=3Db\r\nContent-Type: text/plain\r\n" CTE "quoted-printable\r\n\r\n"
	    "=2D-a=3Db, in plain words=FF\r\n--a=3Db--\r\n" },
	/* lines */
	{ "998 octets", LN, MV "\r\n" X990 "12345678\r\n", NULL },
	{ "999 octets", E7, MV "\r\n" X990 "123456789\r\n", NULL },
	{ "NUL is not seen here, but CR is", LN, MV "Content-Type: application/x\r\n" CTE "binary\r\n\r\na\rb\r\n",
	    MV "Content-Type: application/x\r\n" CTE "base64\r\n\r\nYQ1iDQo=\r\n" },
	{ "LF alone", LN, MV CTE "binary\r\n\r\nabcdefghi\nb\r\n", MV CTE "quoted-printable\r\n\r\nabcdefghi=0Ab\r\n" },
	{ "CR alone, not asked", E7, MV "\r\na\rb\r\n", NULL },
	/* headers */
	{ "ASCII, and what is no header", U8, MV "Content-Type: multipart/mixed; boundary=b\r\n" CTE "8bit\r\n\r\n\xff\r\n--b\r\n" CTE
	    "binary\r\n\r\n\xc3\xa4\r\n--b--\r\n", NULL },
	{ "ASCII, and 8-bit content", U8 | E7, "Subject: x\r\n" MV "Content-Type: text/plain\r\n\r\nabcdefgh\xff\r\n",
	    "Subject: x\r\n" MV "Content-Type: text/plain\r\n" CTE "quoted-printable\r\n\r\nabcdefgh=FF\r\n" },
	{ "UTF-8", U8, "Subject: \xc3\xa4\r\n\r\nhello\r\n", "5.6.7" },
	{ "UTF-8, in a continuation", U8 | E7, "Subject: x\r\n \xc3\xa4\r\n\r\nhello\r\n", "5.6.7" },
	{ "UTF-8, of a part", U8, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: \xff\r\n\r\n--b--\r\n", "5.6.7" },
	{ "UTF-8, of a message in it", U8, "Content-Type: message/global\r\n\r\nX: \xff\r\n\r\n", "5.6.7" },
	/* what cannot be */
	{ "header", E7, "Subject: \xc3\xa4\r\n\r\nhello\r\n", "5.6.9" },
	{ "header of a part", E7, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: \xff\r\n\r\n--b--\r\n", "5.6.9" },
	{ "header of a message in it", E7, "Content-Type: message/rfc822\r\n\r\nX: \xff\r\n\r\n", "5.6.9" },
	{ "signed", E7, "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xff\r\n--b\r\n\r\nsig\r\n--b--\r\n", "5.6.3" },
	{ "encrypted, deep", E7, "Content-Type: Multipart/ENCRYPTED; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
	    "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n\xff\r\n--c--\r\n--b--\r\n", "5.6.3" },
	{ "encoded, and 8-bit", E7, MV CTE "base64\r\n\r\nYW\xffJj\r\n", "5.6.3" },
	{ "encoded nobody knows how", E7, MV CTE "x-uuencode\r\n\r\n\xff\r\n", "5.6.3" },
	{ "an encoded message", E7, "Content-Type: message/rfc822\r\n" CTE "quoted-printable\r\n\r\n\xff\r\n", "5.6.3" },
	{ "message/partial", E7, "Content-Type: message/partial; id=1\r\n\r\n\xff\r\n", "5.6.3" },
	{ "message/delivery-status", E7, "Content-Type: message/delivery-status\r\n\r\n\xff\r\n", "5.6.3" },
	{ "before the first part", E7, "Content-Type: multipart/mixed; boundary=b\r\n\r\n\xff\r\n--b\r\n\r\n--b--\r\n", "5.6.3" },
	{ "behind the last part", E7, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--\r\n\xff\r\n", "5.6.3" },
	{ "on the line of a boundary", E7, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b \xff\r\n\r\n--b--\r\n", "5.6.3" },
	{ "multipart without boundary", E7, "Content-Type: multipart/mixed\r\n\r\n\xff\r\n", "5.6.3" },
	{ "a long line of a header", LN, "X: " X990 "123456\r\n\r\n", "5.6.3" },
	{ "CR in a header", LN, "X: a\rb\r\n\r\n", "5.6.3" },
	{ "binary and signed", LN, "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\na\rb\r\n--b--\r\n", "5.6.3" },
};

static enum downgrade_result
look(struct downgrade *d, struct bytes in, size_t piece, const char **status)
{
	const char *why;

	*status = "";
	for (; in.n > 0; in = bytes_skip(in, piece))
		downgrade_look(d, bytes_head(in, piece));
	return downgrade_looked(d, status, &why);
}

static void
write_all(struct downgrade *d, struct bytes in, size_t piece, struct buf *out)
{
	buf_clear(out);
	for (; in.n > 0; in = bytes_skip(in, piece))
		assert_true(downgrade_write(d, bytes_head(in, piece), out));
	assert_true(downgrade_end(d, out));
	assert_false(out->full);
}

static void
test_messages(void **state)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 64, 100000 };
	struct buf out;

	(void)state;
	buf_init(&out, 100000);
	for (size_t i = 0; i < LEN(cases) * LEN(pieces); i++) {
		const char *name = cases[i / LEN(pieces)].name, *want = cases[i / LEN(pieces)].out, *status;
		struct bytes in = text(cases[i / LEN(pieces)].in);
		size_t piece = pieces[i % LEN(pieces)];
		struct downgrade *d = downgrade_new(cases[i / LEN(pieces)].what);
		enum downgrade_result got = look(d, in, piece, &status);

		assert_row_int(name, got, !want ? DOWNGRADE_NEEDLESS : ascii_digit((unsigned char)want[0]) ? DOWNGRADE_IMPOSSIBLE
		    : DOWNGRADE_POSSIBLE);
		if (got == DOWNGRADE_IMPOSSIBLE)
			assert_row_bytes(name, text(status), text(want));
		if (got == DOWNGRADE_POSSIBLE) {
			write_all(d, in, piece, &out);
			assert_row_bytes(name, buf_bytes(&out), text(want));
		}
		downgrade_free(&d);
		assert_null(d);
	}
	buf_fini(&out);
}

/* NUL, and lines at the limit and past it: where what is kept of a line is cut, too. */
static void
test_lines(void **state)
{
	static unsigned char in[5000];
	static const char header[] = MV "Content-Type: application/x\r\n" CTE "binary\r\n\r\n";
	size_t from = sizeof header - 1;

	(void)state;
	memcpy(in, header, from);
	for (size_t n = 990; n < 2060; n++) {
		struct downgrade *d = downgrade_new(LN);
		const char *status;
		struct buf out;

		buf_init(&out, 10000);
		memset(in + from, 'x', n);
		memcpy(in + from + n, "\r\nend\r\n", 7);
		assert_int_equal(look(d, bytes_of(in, from + n + 7), 1000, &status), DOWNGRADE_POSSIBLE);
		write_all(d, bytes_of(in, from + n + 7), 999, &out);
		assert_int_equal(bytes_ends(buf_bytes(&out), text("x\r\nend\r\n")), n <= 998);
		assert_int_equal(bytes_starts(buf_bytes(&out), text(MV "Content-Type: application/x\r\n" CTE "8bit\r\n")), n <= 998);
		downgrade_free(&d);
		buf_fini(&out);
	}
	in[from + 5] = '\0';
	for (unsigned what = 1; what < 4; what++) {
		struct downgrade *d = downgrade_new(what);
		const char *status;
		struct buf out;

		buf_init(&out, 10000);
		assert_int_equal(look(d, bytes_of(in, from + 20), 1000, &status), DOWNGRADE_POSSIBLE);	/* the label, at least */
		write_all(d, bytes_of(in, from + 20), 1000, &out);
		assert_int_equal(bytes_find(buf_bytes(&out), '\0') < out.n, what == E7);
		downgrade_free(&d);
		buf_fini(&out);
	}
}

/* A file that is not what it was. */
static void
test_changed(void **state)
{
	static const char in[] = MV CTE "8bit\r\n\r\nabcdefghi\xff\r\n", other[] = MV CTE "8bit\r\n\r\nabcdefghj\xff\r\n";
	struct downgrade *d = downgrade_new(E7);
	const char *status;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_int_equal(look(d, text(in), 100, &status), DOWNGRADE_POSSIBLE);
	assert_true(downgrade_write(d, text(other), &out));
	assert_false(downgrade_end(d, &out));
	downgrade_free(&d);
	buf_fini(&out);
}

/* So many parts, and one more. */
static void
test_many_parts(void **state)
{
	(void)state;
	for (unsigned n = MIME_PARTS_MAX - 1; n <= MIME_PARTS_MAX; n++) {
		struct downgrade *d = downgrade_new(E7);
		const char *status, *why;

		downgrade_look(d, text("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
		for (unsigned i = 0; i < n; i++)
			downgrade_look(d, text("--b\r\n\r\n\xff\r\n"));
		downgrade_look(d, text("--b--\r\n"));
		assert_int_equal(downgrade_looked(d, &status, &why), n < MIME_PARTS_MAX ? DOWNGRADE_POSSIBLE : DOWNGRADE_IMPOSSIBLE);
		downgrade_free(&d);
	}
}

/* As deep as mime_tree looks, and one more. */
static void
test_deep(void **state)
{
	(void)state;
	for (unsigned depth = MIME_DEPTH_MAX; depth <= MIME_DEPTH_MAX + 1; depth++) {
		struct downgrade *d = downgrade_new(E7);
		const char *status, *why;

		for (unsigned i = 0; i < depth; i++)
			downgrade_look(d, text("Content-Type: message/rfc822\r\n\r\n"));
		downgrade_look(d, text("\r\n\xff\r\n"));
		assert_int_equal(downgrade_looked(d, &status, &why),
		    depth <= MIME_DEPTH_MAX ? DOWNGRADE_POSSIBLE : DOWNGRADE_IMPOSSIBLE);
		downgrade_free(&d);
	}
}

static void
test_long_header(void **state)
{
	static const char field[] = "X-Filler: " X100 X100 X100 X100 X100 X100 X100 X100 X100 X10 X10 X10 X10 X10 X10 X10 X10 "12\r\n";
	size_t each = sizeof field - 1;

	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		struct downgrade *d = downgrade_new(E7);
		const char *status, *why;
		size_t n = 0;

		for (; n + each <= DOWNGRADE_HEADER_MAX; n += each)
			downgrade_look(d, text(field));
		for (; n < DOWNGRADE_HEADER_MAX - 4 + more; n++)
			downgrade_look(d, text(n % 2 ? "X" : ":"));
		downgrade_look(d, text(":y\r\n\r\n\xff\r\n"));
		assert_int_equal(downgrade_looked(d, &status, &why), more ? DOWNGRADE_IMPOSSIBLE : DOWNGRADE_POSSIBLE);
		downgrade_free(&d);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_many_parts),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_long_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
