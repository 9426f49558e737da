/* SPDX-License-Identifier: ISC */
#include "proto/imap_fetch.h"
#include "proto/imap_testing.h"

static int
set_up(void **state)
{
	(void)state;
	return imap_set_up(1 << 20, 1 << 16);
}

/* "!": sets \Seen; then what, part, fields, partial. */
static void
tell_section(const struct imap_section *s)
{
	static const char *const names[] = { "body", "rfc822", "rfc822.header", "rfc822.text" };
	static const char *const whats[] = { "all", "header", "fields", "not", "text", "mime" };

	buf_fmt(&told, "%s%s %s", s->peek ? "" : "!", names[s->name], whats[s->what]);
	for (size_t i = 0; i < s->part_count; i++)
		buf_fmt(&told, "%c%u", i == 0 ? ' ' : '.', s->part[i]);
	for (size_t i = 0; i < s->fields.n; i++)
		buf_fmt(&told, " %.*s", BYTES_FMT(s->fields.name[i]));
	if (s->partial)
		buf_fmt(&told, " <%llu.%llu>", (unsigned long long)s->first, (unsigned long long)s->octets);
	buf_char(&told, ';');
}

static const struct { const char *in; unsigned items; const char *sections; uint64_t since; } fetches[] = {
	/* RFC 3501 section 6.4.5 */
	{ "(FLAGS BODY[HEADER.FIELDS (DATE FROM)])", 2, "!body fields DATE FROM;", 0 },
	{ "ALL", 2 + 4 + 8 + 16, "", 0 },
	{ "FAST", 2 + 4 + 8, "", 0 },
	{ "full", 2 + 4 + 8 + 16 + 32, "", 0 },
	{ "BODY", 32, "", 0 },
	{ "BODY[]", 0, "!body all;", 0 },
	{ "BODY.PEEK[]", 0, "body all;", 0 },
	{ "body.peek[header]", 0, "body header;", 0 },
	{ "BODY[TEXT]<0.2048>", 0, "!body text <0.2048>;", 0 },
	{ "BODY[1]", 0, "!body all 1;", 0 },
	{ "BODY[4.2.2.1]", 0, "!body all 4.2.2.1;", 0 },
	{ "BODY[1.MIME]", 0, "!body mime 1;", 0 },
	{ "BODY[4.2.HEADER]", 0, "!body header 4.2;", 0 },
	{ "BODY[3.TEXT]", 0, "!body text 3;", 0 },
	{ "BODY.PEEK[4.1.HEADER.FIELDS (Subject)]<5.7>", 0, "body fields 4.1 Subject <5.7>;", 0 },
	{ "BODY.PEEK[HEADER.FIELDS.NOT (\"To\" {2}\r\nCc x]y)]", 0, "body not To Cc x]y;", 0 },
	{ "BODYSTRUCTURE", 64, "", 0 },
	{ "(ENVELOPE INTERNALDATE RFC822.SIZE UID FLAGS)", 1 + 2 + 4 + 8 + 16, "", 0 },
	{ "(UID UID)", 1, "", 0 },
	{ "RFC822", 0, "!rfc822 all;", 0 },
	{ "RFC822.HEADER", 0, "rfc822.header header;", 0 },
	{ "(RFC822.TEXT BODY[2])", 0, "!rfc822.text text;!body all 2;", 0 },
	{ "BODY[]<0.9223372036854775807>", 0, "!body all <0.9223372036854775807>;", 0 },
	{ "FLAGS  ", 2, "", 0 },
	/* RFC 7162 sections 3.1.4.1 and 3.1.4.2 */
	{ "(FLAGS) (CHANGEDSINCE 12345)", 2 + 128, "", 12345 },
	{ "(MODSEQ)", 128, "", 0 },
	{ "ALL (changedsince 9223372036854775807)", 2 + 4 + 8 + 16 + 128, "", INT64_MAX },

	{ "", 0, NULL, 0 }, { "FOO", 0, NULL, 0 }, { "()", 0, NULL, 0 }, { "(FLAGS", 0, NULL, 0 },
	{ "(ALL)", 0, NULL, 0 }, { "(FLAGS ALL)", 0, NULL, 0 }, { "FLAGS UID", 0, NULL, 0 },
	{ "(FLAGS  UID)", 0, NULL, 0 }, { "(FLAGS) UID", 0, NULL, 0 }, { "((FLAGS))", 0, NULL, 0 },
	{ "BODY.PEEK", 0, NULL, 0 }, { "BODY[", 0, NULL, 0 }, { "BODY[HEADER", 0, NULL, 0 },
	{ "BODY[0]", 0, NULL, 0 }, { "BODY[1.]", 0, NULL, 0 }, { "BODY[1.0]", 0, NULL, 0 },
	{ "BODY[.1]", 0, NULL, 0 }, { "BODY[1..2]", 0, NULL, 0 }, { "BODY[01]", 0, NULL, 0 },
	{ "BODY[4294967296]", 0, NULL, 0 }, { "BODY[MIME]", 0, NULL, 0 }, { "BODY[1.FOO]", 0, NULL, 0 },
	{ "BODY[1TEXT]", 0, NULL, 0 }, { "BODY[TEXT.1]", 0, NULL, 0 }, { "BODY []", 0, NULL, 0 },
	{ "BODY[HEADER.FIELDS]", 0, NULL, 0 }, { "BODY[HEADER.FIELDS ()]", 0, NULL, 0 },
	{ "BODY[HEADER.FIELDS (To]", 0, NULL, 0 }, { "BODY[HEADER.FIELDS (\"\")]", 0, NULL, 0 },
	{ "BODY[HEADER.FIELDS ({3}\r\na\r\n)]", 0, NULL, 0 }, { "BODY[HEADER (To)]", 0, NULL, 0 },
	{ "BODY[]<0>", 0, NULL, 0 }, { "BODY[]<0.0>", 0, NULL, 0 }, { "BODY[]<1.2", 0, NULL, 0 },
	{ "BODY[]<.2>", 0, NULL, 0 }, { "BODY[]<-1.2>", 0, NULL, 0 }, { "BODY[] <0.1>", 0, NULL, 0 },
	{ "BODY[]<0.9223372036854775808>", 0, NULL, 0 }, { "FLAGS<0.1>", 0, NULL, 0 },
	{ "RFC822[]", 0, NULL, 0 }, { "RFC822.PEEK", 0, NULL, 0 }, { "BODY[]FLAGS", 0, NULL, 0 },
	{ "FLAGS ()", 0, NULL, 0 }, { "FLAGS (CHANGEDSINCE)", 0, NULL, 0 },
	{ "FLAGS (CHANGEDSINCE x)", 0, NULL, 0 }, { "FLAGS (CHANGEDSINCE 1 VANISHED)", 0, NULL, 0 },
	{ "FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)", 0, NULL, 0 }, { "FLAGS (UNCHANGEDSINCE 1)", 0, NULL, 0 },
	{ "FLAGS (CHANGEDSINCE 9223372036854775808)", 0, NULL, 0 },
};

static bool
parse_fetch(struct bytes in, struct imap_lex *l, struct imap_fetch *out)
{
	imap_lex_init(l, in, arena);
	return imap_fetch_parse(l, out) && imap_lex_end(l);
}

static void
test_fetch(void **state)
{
	const struct imap_section *s;
	struct imap_fetch fetch;
	struct imap_lex l;
	char in[200];
	size_t i;
	bool ok;

	(void)state;
	for (i = 0; i < LEN(fetches); i++) {
		snprintf(in, sizeof in, " %s", fetches[i].in);
		ok = parse_fetch(text(in), &l, &fetch);
		assert_row_int(fetches[i].in, ok, fetches[i].sections != NULL);
		assert_row_int(fetches[i].in, l.wrong == NULL, ok);
		if (!ok)
			continue;
		buf_clear(&told);
		for (s = fetch.sections; s != NULL; s = s->next)
			tell_section(s);
		assert_row_bytes(fetches[i].in, buf_bytes(&told), text(fetches[i].sections));
		assert_row_int(fetches[i].in, fetch.items, fetches[i].items);
		assert_row_int(fetches[i].in, fetch.modseq, fetches[i].since);
		assert_row_int(fetches[i].in, fetch.changedsince, fetches[i].since > 0);
	}
}

static void
test_limits(void **state)
{
	static const struct { const char *head, *unit; size_t most; const char *tail; } rows[] = {
		{ " (FLAGS", " BODY[]", IMAP_SECTIONS_MAX, ")" },
		{ " (FLAGS", " RFC822", IMAP_SECTIONS_MAX, ")" },
		{ " BODY[1", ".1", IMAP_PART_DEPTH_MAX - 1, "]" },
		{ " BODY[HEADER.FIELDS (x", " x", IMAP_FIELDS_MAX - 1, ")]" },
		{ " (FLAGS", " BODY[HEADER.FIELDS (a b c d)]", IMAP_FIELDS_MAX / 4, ")" },
	};
	struct imap_fetch fetch;
	struct imap_lex l;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		assert_true(parse_fetch(repeated(rows[i].head, rows[i].unit, rows[i].most, rows[i].tail), &l,
		    &fetch));
		assert_false(parse_fetch(repeated(rows[i].head, rows[i].unit, rows[i].most + 1, rows[i].tail),
		    &l, &fetch));
		assert_true(l.complex);
		arena_reset(arena);
	}
}

static const struct {
	const char *in;
	bool ok, silent;
	enum imap_store_how how;
	unsigned system;
	size_t keywords;
	long long since;		/* -1: none */
} stores[] = {
	/* RFC 3501 section 6.4.6 */
	{ "+FLAGS (\\Deleted)", true, false, IMAP_STORE_ADD, IMAP_DELETED, 0, -1 },
	{ "FLAGS ()", true, false, IMAP_STORE_SET, 0, 0, -1 },
	{ "-flags.silent \\Seen", true, true, IMAP_STORE_REMOVE, IMAP_SEEN, 0, -1 },
	{ "FLAGS.SILENT \\Seen $x y ", true, true, IMAP_STORE_SET, IMAP_SEEN, 2, -1 },
	/* RFC 7162 section 3.1.3 */
	{ "(UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)", true, true, IMAP_STORE_ADD, IMAP_DELETED, 0,
	    12121230045 },
	{ "(UNCHANGEDSINCE 0) FLAGS.SILENT ($Processed)", true, true, IMAP_STORE_SET, 0, 1, 0 },

	{ "", false, false, 0, 0, 0, -1 }, { "FLAGS", false, false, 0, 0, 0, -1 },
	{ "FLAGS ", false, false, 0, 0, 0, -1 }, { "*FLAGS ()", false, false, 0, 0, 0, -1 },
	{ "+ FLAGS ()", false, false, 0, 0, 0, -1 }, { "++FLAGS ()", false, false, 0, 0, 0, -1 },
	{ "FLAGS (\\Recent)", false, false, 0, 0, 0, -1 }, { "FLAGS a  b", false, false, 0, 0, 0, -1 },
	{ "FLAGS (a) b", false, false, 0, 0, 0, -1 }, { "FLAGS.LOUD ()", false, false, 0, 0, 0, -1 },
	{ "() FLAGS ()", false, false, 0, 0, 0, -1 }, { "(CHANGEDSINCE 1) FLAGS ()", false, false, 0, 0, 0, -1 },
	{ "(UNCHANGEDSINCE 1)FLAGS ()", false, false, 0, 0, 0, -1 },
	{ "FLAGS () (UNCHANGEDSINCE 1)", false, false, 0, 0, 0, -1 },
	{ "(UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS ()", false, false, 0, 0, 0, -1 },
};

static void
test_store(void **state)
{
	struct imap_store store;
	struct imap_lex l;
	char in[200];
	size_t i;
	bool ok;

	(void)state;
	for (i = 0; i < LEN(stores); i++) {
		snprintf(in, sizeof in, " %s", stores[i].in);
		imap_lex_init(&l, text(in), arena);
		ok = imap_store_parse(&l, &store) && imap_lex_end(&l);
		assert_row_int(stores[i].in, ok, stores[i].ok);
		assert_row_int(stores[i].in, l.wrong == NULL, ok);
		if (!ok)
			continue;
		assert_row_int(stores[i].in, store.how, stores[i].how);
		assert_row_int(stores[i].in, store.silent, stores[i].silent);
		assert_row_int(stores[i].in, store.flags.system, stores[i].system);
		assert_row_int(stores[i].in, store.flags.keywords.n, stores[i].keywords);
		assert_row_int(stores[i].in, store.unchangedsince, stores[i].since >= 0);
		if (stores[i].since >= 0)
			assert_row_int(stores[i].in, store.modseq, stores[i].since);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_store),
	};

	return cmocka_run_group_tests(tests, set_up, imap_tear_down);
}
