/* SPDX-License-Identifier: ISC */
#include "proto/imap_list.h"
#include "proto/imap_testing.h"

static int
set_up(void **state)
{
	(void)state;
	return imap_set_up(1 << 20, 1 << 16);
}

/* `patterns` joined with ";", NULL: not understood. */
static const struct {
	const char *in, *reference, *patterns;
	unsigned selects, returns, status;
	bool extended;
} lists[] = {
	/* RFC 3501 section 6.3.8 */
	{ "\"\" \"\"", "", ";", 0, 0, 0, false },
	{ "#news.comp.mail.misc \"\"", "#news.comp.mail.misc", ";", 0, 0, 0, false },
	{ "/usr/staff/jones \"\"", "/usr/staff/jones", ";", 0, 0, 0, false },
	{ "~/Mail/ %", "~/Mail/", "%;", 0, 0, 0, false },
	{ "{2+}\r\na  {1}\r\n* ", "a ", "*;", 0, 0, 0, false },
	/* RFC 5258 section 5 */
	{ "\"\" \"*\"", "", "*;", 0, 0, 0, false },
	{ "(SUBSCRIBED) \"\" \"*\"", "", "*;", 1, 0, 0, true },
	{ "() \"\" \"%\" RETURN (CHILDREN)", "", "%;", 0, 16, 0, true },
	{ "(REMOTE) \"\" \"%\" RETURN (CHILDREN)", "", "%;", 2, 16, 0, true },
	{ "(REMOTE SUBSCRIBED) \"\" \"*\"", "", "*;", 3, 0, 0, true },
	{ "(remote) \"\" \"*\" return (subscribed)", "", "*;", 2, 1, 0, true },
	{ "\"\" (\"INBOX\" \"Drafts\" \"Sent/%\")", "", "INBOX;Drafts;Sent/%;", 0, 0, 0, true },
	{ "(SUBSCRIBED RECURSIVEMATCH) \"\" \"%\"", "", "%;", 5, 0, 0, true },
	{ "(RECURSIVEMATCH REMOTE SUBSCRIBED) \"\" %", "", "%;", 7, 0, 0, true },
	{ "\"\" % RETURN ()", "", "%;", 0, 0, 0, true },
	/* RFC 5819 section 3 */
	{ "\"\" % RETURN (STATUS (MESSAGES UNSEEN))", "", "%;", 0, 32, 17, true },
	{ "(SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (STATUS (MESSAGES))", "", "%;", 5, 32, 1, true },
	{ "\"\" % RETURN (SUBSCRIBED STATUS (MESSAGES) CHILDREN STATUS (SIZE))", "", "%;", 0, 49, 65, true },
	/* RFC 6154 section 5.3 */
	{ "(SPECIAL-USE) \"\" \"*\"", "", "*;", 8, 0, 0, true },
	{ "\"\" \"%\" RETURN (SPECIAL-USE)", "", "%;", 0, 8, 0, true },

	{ "", NULL, NULL, 0, 0, 0, false }, { "\"\"", NULL, NULL, 0, 0, 0, false },
	{ "\"\" ", NULL, NULL, 0, 0, 0, false }, { "% %", NULL, NULL, 0, 0, 0, false },
	{ "\"\" % %", NULL, NULL, 0, 0, 0, false }, { "\"\" ()", NULL, NULL, 0, 0, 0, false },
	{ "\"\" (%", NULL, NULL, 0, 0, 0, false }, { "\"\" ((%))", NULL, NULL, 0, 0, 0, false },
	{ "(RECURSIVEMATCH) \"\" %", NULL, NULL, 0, 0, 0, false },
	{ "(RECURSIVEMATCH REMOTE) \"\" %", NULL, NULL, 0, 0, 0, false },
	{ "(CHILDREN) \"\" %", NULL, NULL, 0, 0, 0, false }, { "(FOO) \"\" %", NULL, NULL, 0, 0, 0, false },
	{ "(SUBSCRIBED)\"\" %", NULL, NULL, 0, 0, 0, false }, { "(SUBSCRIBED)", NULL, NULL, 0, 0, 0, false },
	{ "\"\" % RETURN", NULL, NULL, 0, 0, 0, false }, { "\"\" % RETURN CHILDREN", NULL, NULL, 0, 0, 0, false },
	{ "\"\" % RETURN (REMOTE)", NULL, NULL, 0, 0, 0, false },
	{ "\"\" % RETURN (STATUS)", NULL, NULL, 0, 0, 0, false },
	{ "\"\" % RETURN (STATUS ())", NULL, NULL, 0, 0, 0, false },
	{ "\"\" % RETURN (STATUS (FOO))", NULL, NULL, 0, 0, 0, false },
	{ "\"\" % RETURN (CHILDREN) x", NULL, NULL, 0, 0, 0, false },
};

static void
check_names(const char *row, const struct imap_names *names, const char *want)
{
	struct buf joined;

	buf_init(&joined, 1000);
	for (size_t i = 0; i < names->n; i++)
		buf_fmt(&joined, "%.*s;", BYTES_FMT(names->name[i]));
	assert_row_bytes(row, buf_bytes(&joined), text(want));
	buf_fini(&joined);
}

static void
test_list(void **state)
{
	struct imap_list list;
	struct imap_lex l;
	char in[200];
	size_t i;
	bool ok;

	(void)state;
	for (i = 0; i < LEN(lists); i++) {
		snprintf(in, sizeof in, " %s", lists[i].in);
		imap_lex_init(&l, text(in), arena);
		ok = imap_list_parse(&l, &list) && imap_lex_end(&l);
		assert_row_int(lists[i].in, ok, lists[i].patterns != NULL);
		assert_row_int(lists[i].in, l.wrong == NULL, ok);
		if (!ok)
			continue;
		assert_row_bytes(lists[i].in, list.reference, text(lists[i].reference));
		check_names(lists[i].in, &list.patterns, lists[i].patterns);
		assert_row_int(lists[i].in, list.selects, lists[i].selects);
		assert_row_int(lists[i].in, list.returns, lists[i].returns);
		assert_row_int(lists[i].in, list.status, lists[i].status);
		assert_row_int(lists[i].in, list.extended, lists[i].extended);
	}
}

static void
test_lsub(void **state)
{
	static const struct { const char *in, *reference, *pattern; } rows[] = {
		{ " \"#news.\" \"comp.mail.*\"", "#news.", "comp.mail.*;" },	/* RFC 3501 section 6.3.9 */
		{ " \"#news.\" \"comp.%\"", "#news.", "comp.%;" },
		{ " \"\" (a b)", "", NULL }, { " () \"\" a", "", NULL }, { " \"\" a RETURN ()", "", NULL },
		{ " \"\"", "", NULL },
	};
	struct imap_list list;
	struct imap_lex l;
	size_t i;
	bool ok;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		imap_lex_init(&l, text(rows[i].in), arena);
		ok = imap_lsub_parse(&l, &list) && imap_lex_end(&l);
		assert_row_int(rows[i].in, ok, rows[i].pattern != NULL);
		if (!ok)
			continue;
		assert_row_bytes(rows[i].in, list.reference, text(rows[i].reference));
		check_names(rows[i].in, &list.patterns, rows[i].pattern);
		assert_false(list.extended);
	}
}

static void
test_status_items(void **state)
{
	static const struct { const char *in; bool ok; unsigned items; } rows[] = {
		{ "(UIDNEXT MESSAGES)", true, 5 },			/* RFC 3501 section 6.3.10 */
		{ "(MESSAGES SIZE UIDNEXT)", true, 69 },		/* RFC 8438 section 3 */
		{ "(AppendLimit)", true, 128 },				/* RFC 7889 section 3.1 */
		{ "(UIDNEXT MESSAGES HIGHESTMODSEQ)", true, 37 },	/* RFC 7162 section 3.1.7 */
		{ "(messages recent uidnext uidvalidity unseen)", true, 31 },
		{ "()", false, 0 }, { "MESSAGES", false, 0 }, { "(FOO)", false, 0 }, { "(MESSAGES", false, 0 },
		{ "(MESSAGES  RECENT)", false, 0 }, { "", false, 0 },
	};
	struct imap_lex l;
	unsigned items;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		imap_lex_init(&l, text(rows[i].in), arena);
		assert_row_int(rows[i].in, imap_status_items(&l, &items), rows[i].ok);
		if (rows[i].ok)
			assert_row_int(rows[i].in, items, rows[i].items);
	}
}

static void
test_patterns_limit(void **state)
{
	struct imap_list list;
	struct imap_lex l;
	struct buf in;

	(void)state;
	for (size_t n = IMAP_PATTERNS_MAX; n <= IMAP_PATTERNS_MAX + 1; n++) {
		buf_init(&in, 1000);
		buf_text(&in, " \"\" (a");
		for (size_t i = 1; i < n; i++)
			buf_text(&in, " %");
		buf_text(&in, ")");
		imap_lex_init(&l, buf_bytes(&in), arena);
		assert_int_equal(imap_list_parse(&l, &list), n == IMAP_PATTERNS_MAX);
		assert_int_equal(l.complex, n > IMAP_PATTERNS_MAX);
		buf_fini(&in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_lsub),
		cmocka_unit_test(test_status_items),
		cmocka_unit_test(test_patterns_limit),
	};

	return cmocka_run_group_tests(tests, set_up, imap_tear_down);
}
