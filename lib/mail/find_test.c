/* SPDX-License-Identifier: ISC */
#include <time.h>

#include "base/testing.h"
#include "base/mem.h"
#include "mail/find.h"

static struct finder *finder;
static struct arena *arena, *parts;

static struct needle
needle(const char *s)
{
	struct needle n;

	assert_true(needle_init(&n, text(s), charset_any(), arena));
	return n;
}

/* ---- header fields ---- */

static const struct { const char *header, *name, *needle; bool want; } fields[] = {
	{ "Subject: Hello World\n", "subject", "LO wO", true },
	{ "Subject: Hello World\n", "Subject", "hello  world", false },
	{ "Subject: Hello World\n", "Subject", "subject", false },
	{ "Subject: Hello World\n", "Subjec", "", false },
	{ "Subject:\n", "Subject", "", true },
	{ "To: a\nTo: b\n", "To", "b", true },
	{ "To: a\nTo: b\n", "To", "ab", false },
	{ "no field hello\n", "", "hello", false },
	/* folds: RFC 5322 section 2.2.3 */
	{ "Subject: Hello\r\n  World\r\n", "Subject", "hello  world", true },
	{ "Subject: Hel\n\tlo\n", "Subject", "l\tl", true },
	{ "Subject: Hel\n lo\n", "Subject", "\n", false },
	/* encoded words: RFC 2047 section 6.2 */
	{ "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= x\n", "Subject", "GR\xc3\x9c\xc3\x9f" "E X", true },
	{ "Subject: =?ISO-8859-1?q?Gr=FC=DFe?=\n", "Subject", "gr\xc3\xbc", true },
	{ "Subject: =?iso-8859-1*de?b?R3L832U=?=\n", "Subject", "gr\xc3\xbc\xc3\x9f" "e", true },
	{ "Subject: =?utf-8?Q?Hel?= =?utf-8?Q?lo_W?=\r\n =?us-ascii?Q?orld?=\n", "Subject", "hello world", true },
	{ "Subject: =?utf-8?Q?a?= b =?utf-8?Q?c?=\n", "Subject", "a b c", true },
	{ "Subject: =?utf-8?Q?a?=\n  b\n", "Subject", "a  b", true },
	{ "Subject: =?utf-8?Q?Gr=C3?= =?utf-8?Q?=BC=C3=9Fe?=\n", "Subject", "gr\xc3\xbc\xc3\x9f", true },
	{ "Subject: =?utf-8?Q?x?=\n", "Subject", "utf", false },
	{ "Subject: =?klingon?Q?x=C3=A4?=\n", "Subject", "x\xc3\xa4", true },
	{ "Subject: =?utf-8?X?x?= =? = =?=\n", "Subject", "=?utf-8?x?x?= =? = =?=", true },
	{ "Subject: =?koi8-r?B?8NLJ18XU?=\n", "Subject", "\xd0\x9f\xd0\xa0\xd0\x98\xd0\x92\xd0\x95\xd0\xa2", true },
	{ "Subject: =?iso-2022-jp?B?GyRCJCIbKEI=?= =?iso-2022-jp?B?GyRCJCQbKEI=?=\n", "Subject",
	    "\xe3\x81\x82\xe3\x81\x84", true },
	{ "Subject: =?utf-8?Q?a=\n b?=\n", "Subject", "a= b", true },
	/* eight bits as they are: RFC 6532, and what is older */
	{ "Subject: Gr\xc3\xbc\xc3\x9f" "e\n", "Subject", "GR\xc3\x9c", true },
	{ "Subject: Gr\xfc\xdf" "e\n", "Subject", "gr\xc3\xbc\xc3\x9f" "e", true },
	{ "Subject: \xce\x9f\xce\x94\xce\x9f\xce\xa3\n", "Subject", "\xce\xbf\xce\xb4\xce\xbf\xcf\x82", true },
};

static void
test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(fields); i++) {
		struct needle n = needle(fields[i].needle);

		assert_row_int(fields[i].header,
		    find_in_field(finder, &n, text(fields[i].header), text(fields[i].name)), fields[i].want);
	}
}

static void
test_header(void **state)
{
	static const char header[] = "From: Pat <a@b>\nno field\nX-A: =?utf-8?Q?=C3=84?=\n\nbody\n";
	static const struct { const char *needle; bool want; } rows[] = {
		{ "", true }, { "from: pat", true }, { "no FIELD", true }, { "x-a: \xc3\xa4", true }, { "body", false },
		{ "b> no", false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct needle n = needle(rows[i].needle);

		assert_row_int(rows[i].needle, find_in_header(finder, &n, text(header)), rows[i].want);
	}
}

/* ---- bodies ---- */

#define TYPE(t)	"Content-Type: " t "\n"
#define QP	"Content-Transfer-Encoding: quoted-printable\n"
#define B64	"Content-Transfer-Encoding: base64\n"
#define MIXED	TYPE("multipart/mixed; boundary=b") "Subject: outer\n\npreamble\n--b\n"

static const struct { const char *message, *needle; bool want; } bodies[] = {
	{ "Subject: x\n\nHello\n", "HELLO", true },
	{ "Subject: x\n\nHello\n", "subject", false },
	{ "Subject: x\n\nHello\n", "", true },
	{ "Subject: x\n", "x", false },
	/* line ends are CRLF, however they are stored */
	{ "\none\ntwo\r\nthree", "one\r\ntwo\r\nthree", true },
	{ "\none\ntwo\r\nthree", "one\ntwo\nthree", true },
	{ "\none\ntwo\r\nthree", "one\rtwo", false },
	{ "\none\rtwo\r", "E\rTWO\r", true },
	{ TYPE("text/plain; charset=utf-8") "\nGr\xc3\xbc\xc3\x9f" "e", "GR\xc3\x9c", true },
	{ TYPE("text/html; charset=\"ISO-8859-1\"") "\nGr\xfc\xdf" "e", "gr\xc3\xbc\xc3\x9f", true },
	{ TYPE("text/plain; charset=klingon") "\nGr\xc3\xbc", "gr\xc3\xbc", true },
	{ TYPE("text/plain; charset=gbk") "\n\xc4\xe3\xba\xc3 Abc", "\xe5\xa5\xbd a", true },
	/* an octet that looks like ASCII, but is a part of a character */
	{ TYPE("text/plain; charset=big5") "\n\xa7" "A", "a", false },
	{ TYPE("text/plain; charset=utf-8") QP "\nGr=C3=BC=C3=\n=9F=65", "gr\xc3\xbc\xc3\x9f" "e", true },
	{ TYPE("text/plain") QP "\nzebra=\nfinch", "zebrafinch", true },
	{ TYPE("text/plain") QP "\nzebra=\nfinch", "ra=", false },
	{ TYPE("text/plain; charset=utf-8") B64 "\nR3LDvMOf\nZSB4\n", "gr\xc3\xbc\xc3\x9f" "e x", true },
	{ TYPE("text/plain; charset=utf-16") B64 "\n/v8ARwByAPwA3wBl\n", "gr\xc3\xbc\xc3\x9f" "e", true },
	{ TYPE("application/pdf") "\nHello\n", "hello", false },
	{ TYPE("text") "\nHello\n", "hello", true },
	{ TYPE("what") "\nHello\n", "hello", true },
	{ TYPE("multipart/mixed; boundary=b") "\nHello\n", "hello", true },
	/* parts, their headers, messages inside */
	{ MIXED "X: y\n\none\n--b\n\ntwo\n--b--\nend\n", "ONE", true },
	{ MIXED "X: y\n\none\n--b\n\ntwo\n--b--\nend\n", "two", true },
	{ MIXED "X: y\n\none\n--b\n\ntwo\n--b--\nend\n", "x: Y", true },
	{ MIXED "X: y\n\none\n--b\n\ntwo\n--b--\nend\n", "outer", false },
	{ MIXED "X: y\n\none\n--b\n\ntwo\n--b--\nend\n", "preamble", false },
	{ MIXED "X: y\n\none\n--b\n\ntwo\n--b--\nend\n", "one\r\n--b", false },
	{ MIXED TYPE("image/x; name=a.jpg") B64 "\nQUJD\n--b--\n", "a.jpg", true },
	{ MIXED TYPE("image/x; name=a.jpg") B64 "\nQUJD\n--b--\n", "abc", false },
	{ MIXED TYPE("message/rfc822") "\nSubject: =?utf-8?Q?inn=C3=A9r?=\n\ntext\n--b--\n", "INN\xc3\x89R", true },
	{ MIXED TYPE("message/rfc822") "\nSubject: x\n" QP "\n=41=42\n--b--\n", "ab", true },
};

static void
test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(bodies); i++) {
		struct needle n = needle(bodies[i].needle);
		struct mime_tree t;

		arena_reset(parts);
		mime_tree_parse(text(bodies[i].message), parts, &t);
		assert_row_int(bodies[i].message, find_in_body(finder, &n, &t), bodies[i].want);
	}
}

/* ---- where pieces meet ---- */

/* The needle is found wherever it stands in a long text, in each of the encodings. */
static void
test_places(void **state)
{
	static const char *const needles[] = { "Needle", ("N\xc3\xa4" "del"), "e\nx", "e" };
	struct buf message;
	size_t at, k;

	(void)state;
	buf_init(&message, 1 << 20);
	for (k = 0; k < LEN(needles); k++)
		for (at = 8000; at < 8300; at += 1 + at % 3 * 7) {
			struct needle n = needle(needles[k]), none = needle("needles");
			struct mime_tree t;

			buf_clear(&message);
			buf_text(&message, at % 2 ? "Content-Transfer-Encoding: quoted-printable\n\n" : "\n");
			memset(buf_room(&message, at), '-', at);
			message.n += at;
			buf_text(&message, needles[k]);
			memset(buf_room(&message, 20000), '.', 20000);
			message.n += 20000;
			arena_reset(parts);
			mime_tree_parse(buf_bytes(&message), parts, &t);
			assert_true(find_in_body(finder, &n, &t));
			assert_false(find_in_body(finder, &none, &t));
		}
	buf_fini(&message);
}

static void
test_limit(void **state)
{
	unsigned char s[3 * NEEDLE_MAX];
	struct needle n;

	(void)state;
	memset(s, 'A', sizeof s);
	assert_true(needle_init(&n, bytes_of(s, NEEDLE_MAX), charset_any(), arena));
	assert_int_equal(n.text.n, NEEDLE_MAX);
	assert_true(n.ascii && !n.lines);
	assert_false(needle_init(&n, bytes_of(s, NEEDLE_MAX + 1), charset_any(), arena));
	assert_false(needle_init(&n, bytes_of(s, sizeof s), charset_any(), arena));
	memset(s, '\xe4', sizeof s);		/* two octets each */
	assert_true(needle_init(&n, bytes_of(s, NEEDLE_MAX / 2), charset_find(text("latin1")), arena));
	assert_false(n.ascii);
	assert_false(needle_init(&n, bytes_of(s, NEEDLE_MAX / 2 + 1), charset_find(text("latin1")), arena));
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Twice as much takes about twice as long: of what might begin an encoded word or the needle again and again. */
static void
test_linear(void **state)
{
	static const char *const patterns[] = { "=?", "=?a?Q?", "=", "=?utf-8?Q?a?= ", "aaaaaaaa", "\n ", "\xc3", "= " };
	struct buf message;
	size_t i, n;

	(void)state;
	buf_init(&message, 1 << 23);
	for (i = 0; i < LEN(patterns); i++) {
		double took[2];

		for (n = 0; n < 2; n++) {
			struct needle a = needle("baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
			size_t size = n == 0 ? 200000 : 800000;
			double before;

			buf_clear(&message);
			buf_text(&message, "Subject: ");
			while (message.n < size)
				buf_text(&message, patterns[i]);
			before = seconds();
			assert_false(find_in_field(finder, &a, buf_bytes(&message), text("subject")));
			took[n] = seconds() - before;
		}
		assert_true(took[1] < 12 * took[0] + 0.1);	/* 16 if it were quadratic */
	}
	buf_fini(&message);
}

static int
open_all(void **state)
{
	(void)state;
	charsets_open();
	finder = finder_new();
	arena = arena_new(1 << 22);
	parts = arena_new(MIME_TREE_ARENA);
	return 0;
}

static int
close_all(void **state)
{
	(void)state;
	finder_free(&finder);
	arena_free(&arena);
	arena_free(&parts);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields), cmocka_unit_test(test_header), cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_places), cmocka_unit_test(test_limit), cmocka_unit_test(test_linear),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
