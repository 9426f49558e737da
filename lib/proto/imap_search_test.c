/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_search.h"
#include "proto/imap_testing.h"

static int
set_up(void **state)
{
	(void)state;
	return imap_set_up(1 << 20, 1 << 16);
}

/* How a kind is told, and which members with it: Name, Text, # number, Day, Flag, +- want. */
static const struct { const char *name, *members; } kinds[] = {
	[IMAP_KEY_AND] = { "", "" },		[IMAP_KEY_OR] = { "or", "" },
	[IMAP_KEY_NOT] = { "not", "" },		[IMAP_KEY_ALL] = { "all", "" },
	[IMAP_KEY_FLAG] = { "flag", "+F" },	[IMAP_KEY_KEYWORD] = { "keyword", "+T" },
	[IMAP_KEY_RECENT] = { "recent", "+" },	[IMAP_KEY_NEW] = { "new", "" },
	[IMAP_KEY_HEADER] = { "header", "NT" },	[IMAP_KEY_BODY] = { "body", "T" },
	[IMAP_KEY_TEXT] = { "text", "T" },	[IMAP_KEY_BEFORE] = { "before", "D" },
	[IMAP_KEY_ON] = { "on", "D" },		[IMAP_KEY_SINCE] = { "since", "D" },
	[IMAP_KEY_SENTBEFORE] = { "sentbefore", "D" },
	[IMAP_KEY_SENTON] = { "senton", "D" },	[IMAP_KEY_SENTSINCE] = { "sentsince", "D" },
	[IMAP_KEY_LARGER] = { "larger", "#" },	[IMAP_KEY_SMALLER] = { "smaller", "#" },
	[IMAP_KEY_YOUNGER] = { "younger", "#" },	[IMAP_KEY_OLDER] = { "older", "#" },
	[IMAP_KEY_MODSEQ] = { "modseq", "NT#" },
	[IMAP_KEY_UID] = { "uid", "T" },	[IMAP_KEY_SET] = { "set", "T" },
};

static void
tell_member(const struct imap_key *k, char member)
{
	switch (member) {
	case 'N':	buf_fmt(&told, " %.*s", BYTES_FMT(k->name)); break;
	case 'T':	buf_fmt(&told, " %.*s", BYTES_FMT(k->text)); break;
	case '#':	buf_fmt(&told, " %llu", (unsigned long long)k->number); break;
	case 'D':	buf_fmt(&told, " %d", k->day); break;
	case 'F':	buf_fmt(&told, " %u", k->flag); break;
	case '+':	buf_char(&told, k->want ? '+' : '-'); break;
	default:	break;
	}
}

static void
tell(const struct imap_key *k)
{
	const struct imap_key *kid;

	buf_text(&told, kinds[k->kind].name);
	for (size_t i = 0; kinds[k->kind].members[i] != '\0'; i++)
		tell_member(k, kinds[k->kind].members[i]);
	if (k->kids == NULL)
		return;
	buf_char(&told, '(');
	for (kid = k->kids; kid != NULL; kid = kid->next) {
		if (kid != k->kids)
			buf_text(&told, ", ");
		tell(kid);
	}
	buf_char(&told, ')');
}

static const struct { const char *in, *want; } cases[] = {
	/* RFC 3501 section 6.4.4 */
	{ "FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", "(flag+ 2, since 8797, not(header From Smith))" },
	{ "TEXT \"string not in mailbox\"", "(text string not in mailbox)" },
	{ "CHARSET UTF-8 TEXT {6}\r\nXXXXXX", "UTF-8 (text XXXXXX)" },
	{ "2,4:7,9,12:*", "(set 2,4:7,9,12:*)" },
	{ "ALL", "(all)" },
	{ "all  ", "(all)" },
	{ "ANSWERED DELETED DRAFT FLAGGED SEEN", "(flag+ 1, flag+ 4, flag+ 16, flag+ 2, flag+ 8)" },
	{ "UNANSWERED UNDELETED UNDRAFT UNFLAGGED UNSEEN", "(flag- 1, flag- 4, flag- 16, flag- 2, flag- 8)" },
	{ "NEW OLD RECENT", "(new, recent-, recent+)" },
	{ "BCC a CC b FROM c TO d SUBJECT e", "(header Bcc a, header Cc b, header From c, header To d, header Subject e)" },
	{ "HEADER Message-ID \"<a@b>\"", "(header Message-ID <a@b>)" },
	{ "HEADER Subject \"\"", "(header Subject )" },
	{ "HEADER {2}\r\nTo {3+}\r\na b UNSEEN", "(header To a b, flag- 8)" },
	{ "BODY a TEXT b]", "(body a, text b])" },
	{ "BEFORE 1-Jan-1970 ON \"2-Jan-1970\" SINCE 3-Jan-1970", "(before 0, on 1, since 2)" },
	{ "SENTBEFORE 1-Jan-1970 SENTON 2-Jan-1970 SENTSINCE 31-Dec-1969", "(sentbefore 0, senton 1, sentsince -1)" },
	{ "KEYWORD $Junk UNKEYWORD NonJunk", "(keyword+ $Junk, keyword- NonJunk)" },
	{ "LARGER 0 SMALLER 5000000000", "(larger 0, smaller 5000000000)" },
	{ "UID 1:* 3", "(uid 1:*, set 3)" },
	{ "NOT NOT SEEN ALL", "(not(not(flag+ 8)), all)" },
	{ "OR SEEN FLAGGED ALL", "(or(flag+ 8, flag+ 2), all)" },
	{ "OR OR 1 2 OR 3 4 5", "(or(or(set 1, set 2), or(set 3, set 4)), set 5)" },
	{ "OR (1 2) NOT (3) 4", "(or((set 1, set 2), not((set 3))), set 4)" },
	{ "(1)", "((set 1))" },
	{ "((1 (2)) 3) 4", "(((set 1, (set 2)), set 3), set 4)" },
	{ "(OR 1 2)", "((or(set 1, set 2)))" },
	{ "NOT (OR NOT 1 (2 3))", "(not((or(not(set 1), (set 2, set 3)))))" },
	/* RFC 4731 section 3.1 */
	{ "RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
	    "R9 (flag+ 2, since 8797, not(header From Smith))" },
	{ "RETURN () FLAGGED", "R4 (flag+ 2)" },
	{ "RETURN (MIN) UNSEEN", "R1 (flag- 8)" },
	{ "RETURN (min MAX all COUNT SAVE) ALL", "R31 (all)" },
	/* RFC 5182 section 2 */
	{ "RETURN (SAVE) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
	    "R16 (flag+ 2, since 8797, not(header From Smith))" },
	{ "UID $ SMALLER 4096", "(uid $, smaller 4096)" },
	{ "$ SMALLER 4096", "(set $, smaller 4096)" },
	{ "OR $ 1,3000:3021 TEXT \"nl\"", "(or(set $, set 1,3000:3021), text nl)" },
	{ "RETURN (SAVE) CHARSET UTF-8 KEYWORD $Junk", "R16 UTF-8 (keyword+ $Junk)" },
	{ "CHARSET \"KOI8-R\" (OR $ 1,3000:3021) TEXT {4}\r\nabcd", "KOI8-R ((or(set $, set 1,3000:3021)), text abcd)" },
	/* RFC 5032 section 2 */
	{ "UNSEEN YOUNGER 259200", "(flag- 8, younger 259200)" },
	{ "OLDER 1", "(older 1)" },
	/* RFC 7162 section 3.1.5 */
	{ "MODSEQ \"/flags/\\\\draft\" all 620162338", "M (modseq /flags/\\draft all 620162338)" },
	{ "OR NOT MODSEQ 720162338 LARGER 50000", "M (or(not(modseq   720162338), larger 50000))" },
	{ "MODSEQ 0", "M (modseq   0)" },
	{ "RETURN (ALL) MODSEQ 1 1", "R4 M (modseq   1, set 1)" },

	{ "", NULL }, { " ", NULL }, { "FOO", NULL }, { "ALL FOO", NULL }, { "ALL  SEEN", NULL },
	{ "ALL)", NULL }, { "(ALL", NULL }, { "()", NULL }, { "( ALL)", NULL }, { "(ALL )", NULL },
	{ "(ALL) )", NULL }, { "(ALL)SEEN", NULL }, { "NOT", NULL }, { "NOT ", NULL }, { "OR 1", NULL },
	{ "(OR 1) 2", NULL }, { "(NOT) 2", NULL }, { "OR (1 2)", NULL }, { "FROM", NULL },
	{ "FROM (a)", NULL }, { "FROM {3}\r\nab", NULL }, { "HEADER a", NULL }, { "SINCE x", NULL },
	{ "SINCE 30-Feb-2000", NULL }, { "LARGER x", NULL }, { "LARGER 99999999999999999999", NULL },
	{ "YOUNGER 0", NULL }, { "OLDER -1", NULL }, { "OLDER 4294967296", NULL },
	{ "KEYWORD \\Seen", NULL }, { "KEYWORD \"a\"", NULL }, { "UID", NULL }, { "UID a", NULL },
	{ "MODSEQ", NULL }, { "MODSEQ \"/flags/x\" 1", NULL }, { "MODSEQ \"x\" all 1", NULL },
	{ "MODSEQ \"/flags/x\" any 1", NULL }, { "MODSEQ 9223372036854775808", NULL },
	{ "RETURN ALL", NULL }, { "RETURN (FOO) ALL", NULL }, { "RETURN (ALL)", NULL },
	{ "RETURN (ALL) RETURN (ALL) ALL", NULL }, { "CHARSET UTF-8", NULL },
	{ "ALL CHARSET UTF-8 ALL", NULL }, { "CHARSET UTF-8 RETURN () ALL", NULL },
};

static bool
parse(struct bytes in, struct imap_lex *l, struct imap_search *out)
{
	imap_lex_init(l, in, arena);
	return imap_search_parse(l, out) && imap_lex_end(l);
}

static void
test_programs(void **state)
{
	struct imap_search search;
	struct imap_lex l;
	char in[400];
	size_t i;
	bool ok;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		snprintf(in, sizeof in, " %s", cases[i].in);
		ok = parse(text(in), &l, &search);
		assert_row_int(cases[i].in, ok, cases[i].want != NULL);
		assert_row_int(cases[i].in, l.wrong == NULL, ok);
		assert_row_int(cases[i].in, l.complex, false);
		if (!ok)
			continue;
		buf_clear(&told);
		if (search.extended)
			buf_fmt(&told, "R%u ", search.returns);
		if (search.modseq)
			buf_text(&told, "M ");
		buf_add(&told, search.charset);
		buf_text(&told, search.charset.n > 0 ? " " : "");
		tell(search.keys);
		assert_row_bytes(cases[i].in, buf_bytes(&told), text(cases[i].want));
		arena_reset(arena);
	}
}

static void
test_limits(void **state)
{
	static const struct { const char *head, *unit; size_t most; const char *tail; } rows[] = {
		{ " ", "NOT ", IMAP_KEY_DEPTH_MAX - 1, "ALL" },
		{ " ", "OR ALL ", IMAP_KEY_DEPTH_MAX - 1, "ALL" },
		{ "", " ALL", IMAP_KEYS_MAX, "" },
		{ " (ALL)", " OR ALL ALL", (IMAP_KEYS_MAX - 2) / 3, " ALL" },
	};
	struct imap_search search;
	struct imap_lex l;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		assert_true(parse(repeated(rows[i].head, rows[i].unit, rows[i].most, rows[i].tail), &l, &search));
		arena_reset(arena);
		assert_false(parse(repeated(rows[i].head, rows[i].unit, rows[i].most + 1, rows[i].tail), &l,
		    &search));
		assert_true(l.complex);
		arena_reset(arena);
	}
	/* parentheses: what closed does not count */
	assert_true(parse(repeated("", " (ALL)", IMAP_KEYS_MAX / 2, ""), &l, &search));
	arena_reset(arena);
	repeated(" ", "(", IMAP_KEY_DEPTH_MAX - 1, "1");
	for (i = 0; i < IMAP_KEY_DEPTH_MAX - 1; i++)
		buf_char(&told, ')');
	assert_true(parse(buf_bytes(&told), &l, &search));
	arena_reset(arena);
	assert_false(parse(repeated(" ", "(", IMAP_KEY_DEPTH_MAX, "1"), &l, &search));
	assert_true(l.complex);
}

/* As much memory and as many steps a key, however many there are. */
static void
test_linear(void **state)
{
	struct imap_search search;
	struct imap_lex l;
	size_t used[2];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		arena_reset(arena);
		assert_true(parse(repeated(" 1", " FROM \"a\\\\b\"", i == 0 ? 400 : 800, ""), &l, &search));
		used[i] = arena_used(arena);
		assert_int_equal(search.key_count, i == 0 ? 401 : 801);
	}
	assert_in_range(used[1], used[0], 2 * used[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_linear),
	};

	return cmocka_run_group_tests(tests, set_up, imap_tear_down);
}
