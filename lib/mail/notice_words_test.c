/* SPDX-License-Identifier: ISC */
#include "mail/notice_words.h"
#include "proto/testing.h"

#define A50	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A450	A50 A50 A50 A50 A50 A50 A50 A50 A50

enum what { PLAIN, WRAP, FIELD, SUBJECT, OF_FIELD };

static void
put(enum what what, struct bytes in, bool utf8, struct buf *out)
{
	switch (what) {
	case PLAIN:	words_plain(out, in, utf8); break;
	case WRAP:	words_wrap(out, "    ", in, utf8); break;
	case FIELD:	words_field(out, "X", in, utf8); break;
	case SUBJECT:	words_subject(out, in); break;
	case OF_FIELD:	words_of_field(out, in, 20); break;
	}
}

static void
test_rows(void **state)
{
	static const struct { const char *name; enum what what; bool utf8; struct bytes in; const char *want; } rows[] = {
#define ROW(name, what, utf8, in, want)	{ name, what, utf8, { (const unsigned char *)in, sizeof in - 1 }, want }
		ROW("plain", PLAIN, false, "a b~", "a b~"),
		ROW("controls", PLAIN, true, "a\r\nb\0c\x7f\x1b[2J\t.", "a??b?c??[2J ."),
		ROW("UTF-8", PLAIN, true, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"),
		ROW("UTF-8 for seven bits", PLAIN, false, "gr\xc3\xbc\xc3\x9f", "gr??"),
		ROW("no UTF-8", PLAIN, true, "\xff\xc3", "??"),
		ROW("controls of Unicode", PLAIN, true, "\xc2\x85\xe2\x80\xae\xe2\x80\xa8\xef\xbb\xbf", "????"),
		ROW("joiners are letters", PLAIN, true, "\xe2\x80\x8d", "\xe2\x80\x8d"),

		ROW("no words", WRAP, true, " \r\n ", ""),
		ROW("a line", WRAP, true, "a  b", "    a b\r\n"),
		ROW("two lines", WRAP, true, "a\nb\r\n", "    a\r\n    b\r\n"),
		ROW("76 columns", WRAP, true, A50 " bbbbbbbbbbbbbbbbbbbbb", "    " A50 " bbbbbbbbbbbbbbbbbbbbb\r\n"),
		ROW("77 columns", WRAP, true, A50 " bbbbbbbbbbbbbbbbbbbbbb", "    " A50 "\r\n    bbbbbbbbbbbbbbbbbbbbbb\r\n"),
		ROW("a long word", WRAP, true, A450 A450 "b", "    " A450 A50 A50 A50 A50 A50 A50 A50 A50
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n    aaaab\r\n"),
		ROW("a line's end by itself", WRAP, true, "a\rFrom: b", "    a?From: b\r\n"),

		ROW("field", FIELD, false, "rfc822; a@b", "X: rfc822; a@b\r\n"),
		ROW("an empty field", FIELD, false, "", "X:\r\n"),
		ROW("lines of a reply", FIELD, false, "550-a\n550 b", "X: 550-a\r\n 550 b\r\n"),
		ROW("no empty line", FIELD, false, "a\n\n\r\n \nb", "X: a\r\n b\r\n"),
		ROW("white space is kept", FIELD, false, "a  b", "X: a  b\r\n"),
		ROW("a long field", FIELD, false, A450 A450 "b", "X: " A450 A50 A50 A50 A50 A50 A50 A50 A50
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n aaab\r\n"),

		ROW("subject", SUBJECT, true, "It was delivered", "Subject: It was delivered\r\n"),
		ROW("a foreign one", SUBJECT, true, "f\xc3\xbcr", "Subject: =?utf-8?B?ZsO8cg==?=\r\n"),
		ROW("a long one", SUBJECT, true, "\xc3\xbc" A50, "Subject: =?utf-8?B?w7xhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
		    "YWFh?=\r\n =?utf-8?B?YWFhYWFhYQ==?=\r\n"),
		ROW("characters are whole", SUBJECT, true, "a\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
		    "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc",
		    "Subject: =?utf-8?B?YcO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8w7zDvMO8?=\r\n =?utf-8?B?w7w=?=\r\n"),

		ROW("a field's words", OF_FIELD, true, " a b", "a b"),
		ROW("folded", OF_FIELD, true, "a\r\n\tb", "a b"),
		ROW("an encoded word", OF_FIELD, true, "=?UTF-8?Q?a_b?= c", "a b c"),
		ROW("two of them", OF_FIELD, true, "=?utf-8?B?YQ==?=\r\n =?us-ascii?q?b?=", "ab"),
		ROW("another charset", OF_FIELD, true, "=?big5?B?YQ==?=", "=?big5?B?YQ==?="),
		ROW("at most so much", OF_FIELD, true, "abcdefghij klmnopqrst", "abcdefghij klmnopqrs"),
		ROW("in an encoded word, too", OF_FIELD, true, "=?utf-8?q?abcdefghijklmnopqrstuvwxyz?=", "abcdefghijklmnopqrst"),
		ROW("octets that are no text", OF_FIELD, true, "=?utf-8?q?=0D=0AX:_y?=", "\r\nX: y"),	/* words_plain comes after it */
#undef ROW
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct buf out;

		buf_init(&out, 8192);
		put(rows[i].what, rows[i].in, rows[i].utf8, &out);
		assert_row_bytes(rows[i].name, buf_bytes(&out), text(rows[i].want));
		buf_fini(&out);
	}
}

static void
test_duration(void **state)
{
	static const struct { int64_t s; const char *want; } rows[] = {
		{ -5, "0 seconds" }, { 0, "0 seconds" }, { 1, "1 second" }, { 59, "59 seconds" }, { 60, "1 minute" },
		{ 3599, "60 minutes" }, { 3600, "1 hour" }, { 14400, "4 hours" }, { 86400, "1 day" }, { 432000, "5 days" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct buf out;

		buf_init(&out, 100);
		words_duration(&out, rows[i].s);
		assert_row_bytes(rows[i].want, buf_bytes(&out), text(rows[i].want));
		buf_fini(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_duration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
