/* SPDX-License-Identifier: ISC */
#include "proto/imap_lex.h"
#include "proto/imap_testing.h"

static int
set_up(void **state)
{
	(void)state;
	return imap_set_up(1 << 20, 1 << 16);
}

typedef bool token(struct imap_lex *l, struct bytes *out);

/* What is left is shown by `left`, NULL: not this token. */
static const struct { token *take; const char *in; const char *want, *left; } tokens[] = {
	{ imap_lex_tag, "A001 x", "A001", " x" },
	{ imap_lex_tag, "a] x", "a]", " x" },
	{ imap_lex_tag, "a+b x", "", NULL },
	{ imap_lex_tag, "+ x", "", NULL },
	{ imap_lex_tag, "* x", "", NULL },
	{ imap_lex_tag, "", "", NULL },
	{ imap_lex_atom, "abc", "abc", "" },
	{ imap_lex_atom, "a[b]", "a[b", "]" },
	{ imap_lex_atom, "a\"b", "a", "\"b" },
	{ imap_lex_atom, "a%", "a", "%" },
	{ imap_lex_atom, "a{1}", "a", "{1}" },
	{ imap_lex_atom, "a\x7f", "a", "\x7f" },
	{ imap_lex_atom, "\xc3\xa4", "", NULL },
	{ imap_lex_atom, "(", "", NULL },
	{ imap_lex_label, "BODY.PEEK[", "BODY.PEEK", "[" },
	{ imap_lex_label, "[", "", NULL },
	{ imap_lex_astring, "a]b", "a]b", "" },
	{ imap_lex_astring, "~/mail x", "~/mail", " x" },
	{ imap_lex_astring, "\"\" x", "", " x" },
	{ imap_lex_astring, "\"a b\"c", "a b", "c" },
	{ imap_lex_astring, "\"a\\\"b\\\\\" x", "a\"b\\", " x" },
	{ imap_lex_astring, "\"\xc3\xa4\"", "\xc3\xa4", "" },
	{ imap_lex_astring, "\"a\\b\"", "", NULL },
	{ imap_lex_astring, "\"a", "", NULL },
	{ imap_lex_astring, "\"a\\", "", NULL },
	{ imap_lex_astring, "\"a\\\"", "", NULL },
	{ imap_lex_astring, "\"a {3}\r\nb\"", "", NULL },	/* the reader took a literal there */
	{ imap_lex_astring, "{3}\r\na\r\n x", "a\r\n", " x" },
	{ imap_lex_astring, "{3+}\r\na b x", "a b", " x" },
	{ imap_lex_astring, "~{3}\r\na b x", "a b", " x" },
	{ imap_lex_astring, "~{3+}\r\na b x", "a b", " x" },
	{ imap_lex_astring, "{0}\r\nx", "", "x" },
	{ imap_lex_astring, "{3}\r\nab", "", NULL },
	{ imap_lex_astring, "{3}\r\n", "", NULL },
	{ imap_lex_astring, "{3}\nabc", "", NULL },		/* streamed: not here */
	{ imap_lex_astring, "{3}abc", "", NULL },
	{ imap_lex_astring, "{3}\rabc", "", NULL },
	{ imap_lex_astring, "{}\r\n", "", NULL },
	{ imap_lex_astring, "{+}\r\n", "", NULL },
	{ imap_lex_astring, "{-1}\r\n", "", NULL },
	{ imap_lex_astring, "{3 }\r\nabc", "", NULL },
	{ imap_lex_astring, "{18446744073709551617}\r\na", "", NULL },
	{ imap_lex_astring, "(", "", NULL },
	{ imap_lex_string, "abc", "", NULL },
	{ imap_lex_string, "\"abc\"", "abc", "" },
	{ imap_lex_mailbox, "iNbOx x", "INBOX", " x" },
	{ imap_lex_mailbox, "\"inbox\"", "INBOX", "" },
	{ imap_lex_mailbox, "{5}\r\ninbox", "INBOX", "" },
	{ imap_lex_mailbox, "inbox/a", "inbox/a", "" },
	{ imap_lex_mailbox, "[Gmail]/All", "[Gmail]/All", "" },
	{ imap_lex_mailbox, "", "", NULL },
	{ imap_lex_list_mailbox, "~/Mail/%", "~/Mail/%", "" },
	{ imap_lex_list_mailbox, "*]x y", "*]x", " y" },
	{ imap_lex_list_mailbox, "\"%\"", "%", "" },
	{ imap_lex_list_mailbox, "(", "", NULL },
	{ imap_lex_set, "2,4:7,9,12:* x", "2,4:7,9,12:*", " x" },
	{ imap_lex_set, "$ x", "$", " x" },
	{ imap_lex_set, "a", "", NULL },
	{ imap_lex_backslash, "\\Junk)", "\\Junk", ")" },
	{ imap_lex_backslash, "\\*", "", NULL },
	{ imap_lex_backslash, "Junk", "", NULL },
};

static void
test_tokens(void **state)
{
	struct imap_lex l;
	struct bytes out;
	size_t i;
	bool ok;

	(void)state;
	for (i = 0; i < LEN(tokens); i++) {
		imap_lex_init(&l, text(tokens[i].in), arena);
		ok = tokens[i].take(&l, &out);
		assert_row_int(tokens[i].in, ok, tokens[i].left != NULL);
		assert_row_int(tokens[i].in, l.wrong == NULL, ok);
		if (!ok)
			continue;
		assert_row_bytes(tokens[i].in, out, text(tokens[i].want));
		assert_row_bytes(tokens[i].in, bytes_skip(l.text, l.at), text(tokens[i].left));
	}
	imap_lex_init(&l, (struct bytes){ NULL, 0 }, arena);	/* an empty line of a new reader */
	assert_false(imap_lex_tag(&l, &out));
	imap_lex_init(&l, OCTETS("~{3}\r\na\0b"), arena);
	assert_false(imap_lex_string(&l, &out));
	imap_lex_init(&l, OCTETS("\"a\0b\""), arena);
	assert_false(imap_lex_string(&l, &out));
}

static void
test_nstring(void **state)
{
	static const struct { const char *in; bool ok, nil; const char *want; } rows[] = {
		{ "NIL", true, true, "" }, { "nil", true, true, "" }, { "\"NIL\"", true, false, "NIL" },
		{ "{1}\r\nx", true, false, "x" }, { "NILL", false, false, "" }, { "x", false, false, "" },
		{ "", false, false, "" },
	};
	struct imap_lex l;
	struct bytes out;
	size_t i;
	bool nil;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_lex_nstring(&l, &out, &nil), rows[i].ok);
		assert_row_int(rows[i].in, nil, rows[i].nil);
		assert_row_bytes(rows[i].in, out, text(rows[i].want));
	}
}

static void
test_octets(void **state)
{
	static const struct { const char *in; bool ok; int where; uint64_t n; bool nonsync, eight; } rows[] = {
		{ "{3}\r\nabc", true, IMAP_GATHERED, 3, false, false },
		{ "~{3+}\r\nabc", true, IMAP_GATHERED, 3, true, true },
		{ "{3}\r\n", true, IMAP_COMING, 3, false, false },
		{ "{310+}\n {3}", true, IMAP_STREAMED, 310, true, false },
		{ "{9223372036854775807}\n", true, IMAP_STREAMED, INT64_MAX, false, false },
		{ "{9223372036854775808}\n", false, 0, 0, false, false },
		{ "{3}\r\nab", false, 0, 0, false, false },
		{ "\"abc\"", false, 0, 0, false, false },
		{ "~\"abc\"", false, 0, 0, false, false },
	};
	struct imap_octets out;
	struct imap_lex l;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_lex_octets(&l, &out), rows[i].ok);
		if (!rows[i].ok)
			continue;
		assert_row_int(rows[i].in, out.where, rows[i].where);
		assert_row_int(rows[i].in, out.literal.octets, rows[i].n);
		assert_row_int(rows[i].in, out.literal.nonsync, rows[i].nonsync);
		assert_row_int(rows[i].in, out.literal.eight, rows[i].eight);
		assert_row_bytes(rows[i].in, out.octets, text(out.where == IMAP_GATHERED ? "abc" : ""));
	}
}

static void
test_numbers(void **state)
{
	static const struct { const char *in; bool number, nz, big; uint64_t want; } rows[] = {
		{ "0", true, false, true, 0 },
		{ "7 x", true, true, true, 7 },
		{ "4294967295", true, true, true, UINT32_MAX },
		{ "4294967296", false, false, true, 4294967296u },
		{ "9223372036854775807", false, false, true, INT64_MAX },
		{ "9223372036854775808", false, false, false, 0 },
		{ "18446744073709551617", false, false, false, 0 },
		{ "007", true, false, true, 7 },
		{ "-1", false, false, false, 0 },
		{ "+1", false, false, false, 0 },
		{ "x", false, false, false, 0 },
		{ "", false, false, false, 0 },
	};
	struct imap_lex l;
	uint32_t v;
	uint64_t big;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		v = 0;
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_lex_number(&l, &v), rows[i].number);
		assert_row_int(rows[i].in, v, rows[i].number ? rows[i].want : 0);
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_lex_nz_number(&l, &v), rows[i].nz);
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_lex_number63(&l, &big), rows[i].big);
		if (rows[i].big)
			assert_row_int(rows[i].in, big, rows[i].want);
	}
}

static void
test_dates(void **state)
{
	static const struct { const char *in; bool ok; int32_t day; } rows[] = {
		{ "1-Jan-1970", true, 0 },
		{ "31-dec-1969", true, -1 },
		{ "1-Feb-1994", true, 8797 },
		{ "01-FEB-1994 x", true, 8797 },
		{ "\"1-Feb-1994\"", true, 8797 },
		{ "29-Feb-2000", true, 11016 },
		{ "29-Feb-2024", true, 19782 },
		{ "1-Mar-2024", true, 19783 },
		{ "31-Dec-9999", true, 2932896 },
		{ "1-Jan-0000", true, -719528 },
		{ "29-Feb-1900", false, 0 },
		{ "29-Feb-2023", false, 0 },
		{ "0-Jan-2000", false, 0 },
		{ "32-Jan-2000", false, 0 },
		{ "31-Apr-2000", false, 0 },
		{ "1-Foo-2000", false, 0 },
		{ "1-Jan-200", false, 0 },
		{ "001-Jan-2000", false, 0 },
		{ "\"1-Jan-2000", false, 0 },
		{ "1 Jan 2000", false, 0 },
		{ "", false, 0 },
	};
	struct imap_lex l;
	size_t i;
	int32_t day;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_lex_date(&l, &day), rows[i].ok);
		if (rows[i].ok)
			assert_row_int(rows[i].in, day, rows[i].day);
	}
}

static void
test_date_times(void **state)
{
	static const struct { const char *in; bool ok; int64_t wall_s; int zone; } rows[] = {
		{ "\"17-Jul-1996 02:44:25 -0700\"", true, 837596665, -420 },	/* RFC 3501 section 2.3.3 */
		{ "\" 7-Feb-1994 21:52:25 -0800\"", true, 760686745, -480 },
		{ "\"7-Feb-1994 21:52:25 -0800\"", true, 760686745, -480 },
		{ "\"01-Jan-1970 00:00:00 +0000\"", true, 0, 0 },
		{ "\"01-Jan-1970 00:00:00 -0000\"", true, 0, 0 },
		{ "\"01-Jan-1970 05:45:00 +0545\" (", true, 0, 345 },
		{ "\"30-Jun-2015 23:59:60 +0000\"", true, 1435708800, 0 },
		{ "\"01-Jan-1970 24:00:00 +0000\"", false, 0, 0 },
		{ "\"01-Jan-1970 00:60:00 +0000\"", false, 0, 0 },
		{ "\"01-Jan-1970 00:00:61 +0000\"", false, 0, 0 },
		{ "\"01-Jan-1970 00:00:00 +2400\"", false, 0, 0 },
		{ "\"01-Jan-1970 00:00:00 +0060\"", false, 0, 0 },
		{ "\"01-Jan-1970 00:00:00 0000\"", false, 0, 0 },
		{ "\"01-Jan-1970 00:00:00 GMT\"", false, 0, 0 },
		{ "\"01-Jan-1970 00:00 +0000\"", false, 0, 0 },
		{ "\"31-Feb-1970 00:00:00 +0000\"", false, 0, 0 },
		{ "\" 11-Jan-1970 00:00:00 +0000\"", false, 0, 0 },
		{ "\"01-Jan-1970 00:00:00 +0000", false, 0, 0 },
		{ "01-Jan-1970 00:00:00 +0000", false, 0, 0 },
		{ "\"", false, 0, 0 },
		{ "\" ", false, 0, 0 },
	};
	struct imap_lex l;
	struct imap_time t;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_lex_date_time(&l, &t), rows[i].ok);
		if (!rows[i].ok)
			continue;
		assert_row_int(rows[i].in, t.wall_s, rows[i].wall_s);
		assert_row_int(rows[i].in, t.zone_min, rows[i].zone);
	}
}

static void
test_flags(void **state)
{
	static const struct { const char *in; bool ok; unsigned system; size_t n; bool unknown; } rows[] = {
		{ "()", true, 0, 0, false },
		{ "(\\Seen)", true, IMAP_SEEN, 0, false },
		{ "(\\answered \\FLAGGED \\Deleted \\Seen \\Draft)", true, 31, 0, false },
		{ "(\\Seen $MDNSent NonJunk)", true, IMAP_SEEN, 2, false },
		{ "(\\Foo)", true, 0, 0, true },
		{ "(Seen)", true, 0, 1, false },
		{ "(\\Recent)", false, 0, 0, false },
		{ "(\\*)", false, 0, 0, false },
		{ "(\\)", false, 0, 0, false },
		{ "(a  b)", false, 0, 0, false },
		{ "(a )", false, 0, 0, false },
		{ "( a)", false, 0, 0, false },
		{ "(a", false, 0, 0, false },
		{ "(a]b)", false, 0, 0, false },
		{ "(\"a\")", false, 0, 0, false },
		{ "a", false, 0, 0, false },
	};
	struct imap_flags flags;
	struct imap_lex l;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		flags = (struct imap_flags){ 0 };
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_lex_flag_list(&l, &flags), rows[i].ok);
		if (!rows[i].ok)
			continue;
		assert_row_int(rows[i].in, flags.system, rows[i].system);
		assert_row_int(rows[i].in, flags.keywords.n, rows[i].n);
		assert_row_int(rows[i].in, flags.unknown, rows[i].unknown);
	}
}

static void
test_keywords_limit(void **state)
{
	char list[2 * (IMAP_KEYWORDS_MAX + 1) + 2];
	struct imap_flags flags = { 0 };
	struct imap_lex l;
	size_t i;

	(void)state;
	for (i = 0; i < IMAP_KEYWORDS_MAX + 1; i++)
		memcpy(list + 2 * i, i == 0 ? "(k" : " k", 2);
	list[2 * IMAP_KEYWORDS_MAX] = ')';
	imap_lex_init(&l, bytes_of(list, 2 * IMAP_KEYWORDS_MAX + 1), arena);
	assert_true(imap_lex_flag_list(&l, &flags));
	assert_int_equal(flags.keywords.n, IMAP_KEYWORDS_MAX);
	assert_bytes_equal(flags.keywords.name[IMAP_KEYWORDS_MAX - 1], text("k"));
	memcpy(list + 2 * IMAP_KEYWORDS_MAX, " k)", 3);
	flags = (struct imap_flags){ 0 };
	imap_lex_init(&l, bytes_of(list, 2 * IMAP_KEYWORDS_MAX + 3), arena);
	assert_false(imap_lex_flag_list(&l, &flags));
	assert_true(l.complex);
}

static bool
nested(struct imap_lex *l, void *arg)
{
	struct bytes atom;

	return imap_lex_at(l, '(') ? imap_lex_list(l, false, nested, arg) : imap_lex_atom(l, &atom);
}

static void
test_lists(void **state)
{
	static const struct { const char *in; bool ok, complex; } rows[] = {
		{ "(a b)", true, false }, { "(a (b (c)) d)", true, false }, { "()", false, false },
		{ "((((((((a))))))))", true, false }, { "(((((((((a)))))))))", false, true },
		{ "((a) (a) (a) (a) (a) (a) (a) (a) (a) (a))", true, false }, { "(a", false, false },
		{ "(a))", true, false }, { "a", false, false }, { "", false, false },
	};
	struct imap_lex l;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_lex_list(&l, false, nested, NULL), rows[i].ok);
		assert_row_int(rows[i].in, l.complex, rows[i].complex);
	}
}

static void
test_rest(void **state)
{
	static const struct imap_word words[] = { { "ONE", 1 }, { "TWO.X", 2 } };
	struct imap_lex l;
	unsigned value = 0;

	(void)state;
	imap_lex_init(&l, text("two.x one  "), arena);
	assert_true(imap_lex_word(&l, words, LEN(words), &value, "x") && value == 2);
	assert_true(imap_lex_sp(&l) && imap_lex_at(&l, 'o') && !imap_lex_char(&l, 'x'));
	assert_true(imap_lex_word(&l, words, LEN(words), &value, "x") && value == 1);
	assert_true(imap_lex_end(&l));
	imap_lex_init(&l, text("ones"), arena);
	assert_false(imap_lex_word(&l, words, LEN(words), &value, "the first"));
	assert_false(imap_lex_fail(&l, "the second"));
	assert_string_equal(l.wrong, "the first");
	imap_lex_init(&l, text("Return return"), arena);
	assert_true(imap_lex_keyword(&l, "RETURN"));
	assert_false(imap_lex_keyword(&l, "RETURN"));
	imap_lex_init(&l, text("  x"), arena);
	assert_false(imap_lex_end(&l));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_nstring),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_date_times),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_keywords_limit),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_rest),
	};

	return cmocka_run_group_tests(tests, set_up, imap_tear_down);
}
