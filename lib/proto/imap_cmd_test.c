/* SPDX-License-Identifier: ISC */
#include "base/clock.h"
#include "proto/imap_cmd.h"
#include "proto/imap_testing.h"

static int
set_up(void **state)
{
	(void)state;
	return imap_set_up(IMAP_CMD_ARENA_MAX, 1 << 20);
}

static void
tell_text(const char *name, struct bytes value)
{
	if (value.n > 0)
		buf_fmt(&told, " %s=%.*s", name, BYTES_FMT(value));
}

static void
tell_number(const char *name, uint64_t value)
{
	if (value > 0)
		buf_fmt(&told, " %s=%llu", name, (unsigned long long)value);
}

static void
tell_names(const char *name, const struct imap_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		buf_fmt(&told, " %s=%.*s", name, BYTES_FMT(names->name[i]));
}

static void
tell_pairs(const struct imap_cmd *cmd)
{
	for (size_t i = 0; i < cmd->pair_count; i++)
		buf_fmt(&told, " %.*s:%.*s%s", BYTES_FMT(cmd->pairs[i].name), BYTES_FMT(cmd->pairs[i].value),
		    cmd->pairs[i].nil ? "NIL" : "");
}

/* All that is set; the modules of SEARCH, FETCH and so on test what is theirs. */
static void
tell(const struct imap_cmd *cmd)
{
	buf_clear(&told);
	buf_fmt(&told, "%s%s", cmd->uid ? "UID " : "", imap_verb_text(cmd->verb));
	tell_text("set", cmd->set);
	tell_text("mailbox", cmd->mailbox);
	tell_text("new", cmd->new_name);
	tell_number("condstore", cmd->condstore);
	tell_number("uses", cmd->uses);
	tell_number("status", cmd->status);
	tell_text("user", cmd->user);
	tell_text("password", cmd->password);
	tell_text("mechanism", cmd->mechanism);
	tell_text("initial", cmd->response);
	tell_names("name", &cmd->names);
	tell_pairs(cmd);
	tell_text("reference", cmd->list.reference);
	tell_names("pattern", &cmd->list.patterns);
	tell_number("messages", cmd->append.message_count);
	tell_number("keys", cmd->search.key_count);
	tell_number("items", cmd->fetch.items);
	tell_number("sections", cmd->fetch.section_count);
	tell_number("since", cmd->fetch.modseq);
	tell_number("flags", cmd->store.flags.system);
	tell_number("how", cmd->store.how);
	tell_number("silent", cmd->store.silent);
}

static const struct { const char *line, *want; } examples[] = {
	/* RFC 3501 section 6.1 */
	{ "abcd CAPABILITY", "CAPABILITY" },
	{ "a002 NOOP", "NOOP" },
	{ "A023 LOGOUT", "LOGOUT" },
	/* section 6.2 */
	{ "a002 STARTTLS", "STARTTLS" },
	{ "a001 AUTHENTICATE GSSAPI", "AUTHENTICATE mechanism=GSSAPI" },
	{ "a001 LOGIN SMITH SESAME", "LOGIN user=SMITH password=SESAME" },
	/* section 6.3 */
	{ "A142 SELECT INBOX", "SELECT mailbox=INBOX" },
	{ "A932 EXAMINE blurdybloop", "EXAMINE mailbox=blurdybloop" },
	{ "A003 CREATE owatagusiam/", "CREATE mailbox=owatagusiam/" },
	{ "A004 CREATE owatagusiam/blurdybloop", "CREATE mailbox=owatagusiam/blurdybloop" },
	{ "A683 DELETE blurdybloop", "DELETE mailbox=blurdybloop" },
	{ "A684 DELETE foo", "DELETE mailbox=foo" },
	{ "A685 DELETE foo/bar", "DELETE mailbox=foo/bar" },
	{ "A683 RENAME blurdybloop sarasoop", "RENAME mailbox=blurdybloop new=sarasoop" },
	{ "Z433 RENAME INBOX old-mail", "RENAME mailbox=INBOX new=old-mail" },
	{ "A002 SUBSCRIBE #news.comp.mail.mime", "SUBSCRIBE mailbox=#news.comp.mail.mime" },
	{ "A002 UNSUBSCRIBE #news.comp.mail.mime", "UNSUBSCRIBE mailbox=#news.comp.mail.mime" },
	{ "A101 LIST \"\" \"\"", "LIST pattern=" },
	{ "A102 LIST #news.comp.mail.misc \"\"", "LIST reference=#news.comp.mail.misc pattern=" },
	{ "A103 LIST /usr/staff/jones \"\"", "LIST reference=/usr/staff/jones pattern=" },
	{ "A202 LIST ~/Mail/ %", "LIST reference=~/Mail/ pattern=%" },
	{ "A002 LSUB \"#news.\" \"comp.mail.*\"", "LSUB reference=#news. pattern=comp.mail.*" },
	{ "A003 LSUB \"#news.\" \"comp.%\"", "LSUB reference=#news. pattern=comp.%" },
	{ "A042 STATUS blurdybloop (UIDNEXT MESSAGES)", "STATUS mailbox=blurdybloop status=5" },
	{ "A003 APPEND saved-messages (\\Seen) {310}\n", "APPEND mailbox=saved-messages messages=1" },
	/* section 6.4 */
	{ "FXXZ CHECK", "CHECK" },
	{ "A341 CLOSE", "CLOSE" },
	{ "A202 EXPUNGE", "EXPUNGE" },
	{ "A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", "SEARCH keys=4" },
	{ "A283 SEARCH TEXT \"string not in mailbox\"", "SEARCH keys=1" },
	{ "A284 SEARCH CHARSET UTF-8 TEXT {6}\r\nXXXXXX", "SEARCH keys=1" },
	{ "A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])", "FETCH set=2:4 items=2 sections=1" },
	{ "A003 STORE 2:4 +FLAGS (\\Deleted)", "STORE set=2:4 flags=4 how=1" },
	{ "A003 COPY 2:4 MEETING", "COPY set=2:4 mailbox=MEETING" },
	{ "A999 UID FETCH 4827313:4828442 FLAGS", "UID FETCH set=4827313:4828442 items=2" },
	/* RFC 2177, 2342, 3691 */
	{ "A002 IDLE", "IDLE" },
	{ "A001 NAMESPACE", "NAMESPACE" },
	{ "A341 UNSELECT", "UNSELECT" },
	/* RFC 2971 section 3.1 */
	{ "a023 ID (\"name\" \"sodr\" \"version\" \"19.34\" \"vendor\" \"Pink Floyd Music Limited\")",
	    "ID name:sodr version:19.34 vendor:Pink Floyd Music Limited" },
	{ "a042 ID NIL", "ID" },
	{ "a ID ()", "ID" },
	{ "a ID (\"os\" NIL {2}\r\na\" {1+}\r\nx)", "ID os:NIL a\":x" },
	/* RFC 3502, RFC 4466: several messages, one empty, a literal8 */
	{ "A003 APPEND saved-messages (\\Seen) {329}\n (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {295}\n ~{0+}\n",
	    "APPEND mailbox=saved-messages messages=3" },
	{ "a APPEND {5+}\r\ninbox {2}\r\nab", "APPEND mailbox=INBOX messages=1" },
	/* RFC 4315 section 2.1 */
	{ "A003 UID EXPUNGE 3000:3002", "UID EXPUNGE set=3000:3002" },
	/* RFC 4731 section 3.1, RFC 5182 section 2, RFC 5032 */
	{ "A285 UID SEARCH RETURN (MIN MAX) 1:5000", "UID SEARCH keys=1" },
	{ "A283 FETCH $ (UID INTERNALDATE FLAGS RFC822.HEADER)", "FETCH set=$ items=7 sections=1" },
	{ "B283 UID COPY $ \"Other Messages\"", "UID COPY set=$ mailbox=Other Messages" },
	{ "a1 SEARCH UNSEEN YOUNGER 259200", "SEARCH keys=2" },
	/* RFC 4959 section 4 */
	{ "A01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=",
	    "AUTHENTICATE mechanism=PLAIN initial=dGVzdAB0ZXN0AHRlc3Q=" },
	{ "A01 AUTHENTICATE EXTERNAL =", "AUTHENTICATE mechanism=EXTERNAL initial==" },
	/* RFC 5161 section 3.1 */
	{ "t2 ENABLE CONDSTORE X-GOOD-IDEA", "ENABLE name=CONDSTORE name=X-GOOD-IDEA" },
	{ "a ENABLE UTF8=ACCEPT", "ENABLE name=UTF8=ACCEPT" },
	/* RFC 5258, 5819, 6154, 8438 */
	{ "A04 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\" RETURN (STATUS (MESSAGES))", "LIST pattern=%" },
	{ "C2 LIST \"\" (\"INBOX\" \"Drafts\")", "LIST pattern=INBOX pattern=Drafts" },
	{ "t1 CREATE MySpecial (USE (\\Drafts \\Sent))", "CREATE mailbox=MySpecial uses=36" },
	{ "t1 CREATE Everything (USE (\\All))", "CREATE mailbox=Everything uses=1" },
	{ "t1 CREATE x (USE (\\Archive \\Flagged \\Junk \\Trash \\Foo))", "CREATE mailbox=x uses=218" },
	{ "t1 CREATE x (USE ())", "CREATE mailbox=x" },
	{ "A01 STATUS frop (MESSAGES SIZE UIDNEXT)", "STATUS mailbox=frop status=69" },
	/* RFC 6851 section 3.3 */
	{ "a UID MOVE 42:69 foo", "UID MOVE set=42:69 mailbox=foo" },
	{ "a MOVE 1 iNBOX", "MOVE set=1 mailbox=INBOX" },
	/* RFC 7162 sections 3.1.3 to 3.1.8 */
	{ "a103 UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)",
	    "UID STORE set=6,4,8 flags=4 how=1 silent=1" },
	{ "s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)", "UID FETCH set=1:* items=130 since=12345" },
	{ "a SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", "SEARCH keys=1" },
	{ "A042 STATUS blurdybloop (UIDNEXT MESSAGES HIGHESTMODSEQ)", "STATUS mailbox=blurdybloop status=37" },
	{ "A142 SELECT INBOX (CONDSTORE)", "SELECT mailbox=INBOX condstore=1" },
	{ "A142 EXAMINE {5}\r\nINBOX (condstore)", "EXAMINE mailbox=INBOX condstore=1" },
	/* RFC 7888 section 3 */
	{ "A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man", "LOGIN user=FRED FOOBAR password=fat man" },
	/* case, and spaces at the end */
	{ "a uid fetch 1 flags", "UID FETCH set=1 items=2" },
	{ "a noop  ", "NOOP" },
	{ "a LOGIN \"\" \"\"", "LOGIN" },
	{ "a LOGIN a \"\\\"\\\\\"", "LOGIN user=a password=\"\\" },
	{ "a SELECT [Gmail]/Sent", "SELECT mailbox=[Gmail]/Sent" },
};

static void
test_examples(void **state)
{
	struct imap_cmd cmd;
	struct bytes line;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(examples); i++) {
		line = text(examples[i].line);
		assert_row_int(examples[i].line, imap_cmd_parse(line, arena, &cmd), IMAP_PARSED);
		assert_null(cmd.wrong);
		assert_row_bytes(examples[i].line, cmd.tag, bytes_head(line, bytes_find(line, ' ')));
		tell(&cmd);
		assert_row_bytes(examples[i].line, buf_bytes(&told), text(examples[i].want));
		arena_reset(arena);
	}
}

static const struct { const char *line; enum imap_parse want; } wrongs[] = {
	{ "", IMAP_BAD_TAG }, { " ", IMAP_BAD_TAG }, { "* NOOP", IMAP_BAD_TAG }, { "+ NOOP", IMAP_BAD_TAG },
	{ "a+ NOOP", IMAP_BAD_TAG }, { "\"a\" NOOP", IMAP_BAD_TAG }, { "{1}\r\na NOOP", IMAP_BAD_TAG },
	{ "(a) NOOP", IMAP_BAD_TAG }, { " a NOOP", IMAP_BAD_TAG }, { "\xff NOOP", IMAP_BAD_TAG },

	{ "a", IMAP_BAD_VERB }, { "a ", IMAP_BAD_VERB }, { "a  NOOP", IMAP_BAD_VERB }, { "a X", IMAP_BAD_VERB },
	{ "a NOOPS", IMAP_BAD_VERB }, { "a NO OP", IMAP_BAD_VERB }, { "a UID", IMAP_BAD_VERB },
	{ "a UID NOOP", IMAP_BAD_VERB }, { "a UID UID FETCH 1 FLAGS", IMAP_BAD_VERB },
	{ "a UID SELECT x", IMAP_BAD_VERB }, { "a \"NOOP\"", IMAP_BAD_VERB }, { "a(NOOP)", IMAP_BAD_VERB },
	{ "GET / HTTP/1.1", IMAP_BAD_VERB }, { "EHLO client.example", IMAP_BAD_VERB },
	{ "a SORT (DATE) UTF-8 ALL", IMAP_BAD_VERB }, { "a SETACL x y lr", IMAP_BAD_VERB },
	{ "a DONE", IMAP_BAD_VERB },

	{ "a NOOP x", IMAP_BAD_ARG }, { "a CAPABILITY x", IMAP_BAD_ARG }, { "a NOOP(", IMAP_BAD_ARG },
	{ "a NOOP {1}\r\nx", IMAP_BAD_ARG }, { "a STARTTLS x", IMAP_BAD_ARG }, { "a IDLE x", IMAP_BAD_ARG },
	{ "a LOGIN", IMAP_BAD_ARG }, { "a LOGIN a", IMAP_BAD_ARG }, { "a LOGIN a b c", IMAP_BAD_ARG },
	{ "a LOGIN  a b", IMAP_BAD_ARG }, { "a LOGIN a \"b", IMAP_BAD_ARG }, { "a LOGIN a (b)", IMAP_BAD_ARG },
	{ "a LOGIN a {2}\nb", IMAP_BAD_ARG }, { "a LOGIN {1}\r\nab", IMAP_BAD_ARG },
	{ "a LOGIN {5+}\r\na", IMAP_BAD_ARG }, { "a LOGIN a \"{1}\r\nx\"", IMAP_BAD_ARG },
	{ "a AUTHENTICATE", IMAP_BAD_ARG }, { "a AUTHENTICATE PLA/IN", IMAP_BAD_ARG },
	{ "a AUTHENTICATE PLA.IN", IMAP_BAD_ARG }, { "a AUTHENTICATE PLAIN a b", IMAP_BAD_ARG },
	{ "a AUTHENTICATE PLAIN \"YQ==\"", IMAP_BAD_ARG }, { "a AUTHENTICATE PLAIN {4}\r\nYQ==", IMAP_BAD_ARG },
	{ "a AUTHENTICATE PLAIN a!b", IMAP_BAD_ARG },
	{ "a AUTHENTICATE X23456789012345678901", IMAP_BAD_ARG },
	{ "a ENABLE", IMAP_BAD_ARG }, { "a ENABLE (a)", IMAP_BAD_ARG },
	{ "a ID", IMAP_BAD_ARG }, { "a ID x", IMAP_BAD_ARG }, { "a ID \"x\"", IMAP_BAD_ARG },
	{ "a ID (\"x\")", IMAP_BAD_ARG }, { "a ID (x \"y\")", IMAP_BAD_ARG }, { "a ID NIL NIL", IMAP_BAD_ARG },
	{ "a SELECT", IMAP_BAD_ARG }, { "a SELECT a b", IMAP_BAD_ARG }, { "a SELECT a ()", IMAP_BAD_ARG },
	{ "a SELECT a (FOO)", IMAP_BAD_ARG }, { "a SELECT a (QRESYNC (1 2))", IMAP_BAD_ARG },
	{ "a SELECT %", IMAP_BAD_ARG }, { "a SELECT (a)", IMAP_BAD_ARG },
	{ "a CREATE a (USE)", IMAP_BAD_ARG }, { "a CREATE a (USE (Drafts))", IMAP_BAD_ARG },
	{ "a CREATE a (USE \\Drafts)", IMAP_BAD_ARG }, { "a CREATE a ()", IMAP_BAD_ARG },
	{ "a CREATE a (FOO (\\Drafts))", IMAP_BAD_ARG }, { "a RENAME a", IMAP_BAD_ARG },
	{ "a RENAME a b c", IMAP_BAD_ARG }, { "a DELETE", IMAP_BAD_ARG }, { "a SUBSCRIBE a b", IMAP_BAD_ARG },
	{ "a LIST", IMAP_BAD_ARG }, { "a LSUB \"\"", IMAP_BAD_ARG }, { "a STATUS a", IMAP_BAD_ARG },
	{ "a STATUS a ()", IMAP_BAD_ARG }, { "a STATUS a (FOO)", IMAP_BAD_ARG },
	{ "a APPEND", IMAP_BAD_ARG }, { "a APPEND a", IMAP_BAD_ARG }, { "a APPEND a \"x\"", IMAP_BAD_ARG },
	{ "a APPEND a {1}\n x", IMAP_BAD_ARG }, { "a APPEND {1}\n {1}\n", IMAP_BAD_ARG },
	{ "a EXPUNGE 1", IMAP_BAD_ARG }, { "a UID EXPUNGE", IMAP_BAD_ARG }, { "a SEARCH", IMAP_BAD_ARG },
	{ "a FETCH", IMAP_BAD_ARG }, { "a FETCH 1", IMAP_BAD_ARG }, { "a FETCH x FLAGS", IMAP_BAD_ARG },
	{ "a FETCH 1 FLAGS x", IMAP_BAD_ARG }, { "a STORE 1", IMAP_BAD_ARG }, { "a COPY 1", IMAP_BAD_ARG },
	{ "a COPY a 1", IMAP_BAD_ARG }, { "a MOVE 1 a b", IMAP_BAD_ARG }, { "a UID COPY 1:2", IMAP_BAD_ARG },
};

static void
test_wrongs(void **state)
{
	struct imap_cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(wrongs); i++) {
		assert_row_int(wrongs[i].line, imap_cmd_parse(text(wrongs[i].line), arena, &cmd), wrongs[i].want);
		assert_non_null(cmd.wrong);
		assert_row_int(wrongs[i].line, cmd.tag.n > 0, wrongs[i].want != IMAP_BAD_TAG);
		tell(&cmd);
		assert_row_int(wrongs[i].line, bytes_find(buf_bytes(&told), '='), told.n);
		arena_reset(arena);
	}
	assert_int_equal(imap_cmd_parse((struct bytes){ NULL, 0 }, arena, &cmd), IMAP_BAD_TAG);
	assert_int_equal(imap_cmd_parse(OCTETS("a LOGIN a {3}\r\nx\0y"), arena, &cmd), IMAP_BAD_ARG);
}

static void
test_limits(void **state)
{
	static const struct { const char *head, *unit; size_t most; const char *tail; enum imap_parse past; } rows[] = {
		{ "a ENABLE x", " x", IMAP_ENABLE_MAX - 1, "", IMAP_TOO_COMPLEX },
		{ "a ID (\"a\" \"b\"", " \"a\" NIL", IMAP_ID_MAX - 1, ")", IMAP_TOO_COMPLEX },
		{ "a ID (\"", "x", IMAP_ID_NAME_MAX, "\" NIL)", IMAP_BAD_ARG },
		{ "a ID (\"x\" \"", "x", IMAP_ID_VALUE_MAX, "\")", IMAP_BAD_ARG },
		{ "a AUTHENTICATE ", "X", IMAP_MECHANISM_MAX, " =", IMAP_BAD_ARG },
		{ "", "a", IMAP_TAG_MAX, " NOOP", IMAP_BAD_TAG },
		{ "a LIST \"\" (x", " x", IMAP_PATTERNS_MAX - 1, ")", IMAP_TOO_COMPLEX },
		{ "a STORE 1 FLAGS (x", " x", IMAP_KEYWORDS_MAX - 1, ")", IMAP_TOO_COMPLEX },
		{ "a STORE 1 FLAGS x", " x", IMAP_KEYWORDS_MAX - 1, "", IMAP_TOO_COMPLEX },
		{ "a SEARCH", " 1", IMAP_KEYS_MAX, "", IMAP_TOO_COMPLEX },
		{ "a SEARCH ", "NOT ", IMAP_KEY_DEPTH_MAX - 1, "1", IMAP_TOO_COMPLEX },
		{ "a FETCH 1 (FLAGS", " BODY[]", IMAP_SECTIONS_MAX, ")", IMAP_TOO_COMPLEX },
		{ "a APPEND x", " {1}\n", IMAP_MESSAGES_MAX, "", IMAP_TOO_COMPLEX },
	};
	struct imap_cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		assert_row_int(rows[i].head, imap_cmd_parse(repeated(rows[i].head, rows[i].unit, rows[i].most,
		    rows[i].tail), arena, &cmd), IMAP_PARSED);
		arena_reset(arena);
		assert_row_int(rows[i].head, imap_cmd_parse(repeated(rows[i].head, rows[i].unit, rows[i].most + 1,
		    rows[i].tail), arena, &cmd), rows[i].past);
		arena_reset(arena);
	}
}

/* The worst a command of full size can do to the arena: lists of flags of one letter. */
static void
test_arena(void **state)
{
	struct imap_cmd cmd;
	struct buf in;

	(void)state;
	buf_init(&in, IMAP_COMMAND_MAX);
	buf_text(&in, "a APPEND x");
	for (size_t i = 0; i < IMAP_MESSAGES_MAX; i++) {
		buf_text(&in, " (k");
		for (size_t k = 1; k < IMAP_KEYWORDS_MAX; k++)
			buf_text(&in, " k");
		buf_text(&in, ") {1}\n");
	}
	assert_false(in.full);
	assert_int_equal(imap_cmd_parse(buf_bytes(&in), arena, &cmd), IMAP_PARSED);
	assert_true(arena_used(arena) <= IMAP_CMD_ARENA_MAX / 4);
	arena_reset(arena);
	buf_fini(&in);
}

/* The longest command of its kind: were a step quadratic, it would take minutes. */
static void
test_time(void **state)
{
	static const struct { const char *head, *unit; size_t n; const char *tail; enum imap_parse want; } rows[] = {
		{ "a LOGIN x \"", "\\\"", 131000, "\"", IMAP_PARSED },
		{ "a LOGIN x ", "]", 262000, "", IMAP_PARSED },
		{ "a NOOP", " ", 262000, "", IMAP_PARSED },
		{ "a STORE 1 FLAGS x", " ", 262000, "x", IMAP_BAD_ARG },
		{ "a SEARCH 1", " ", 262000, "1", IMAP_BAD_ARG },
		{ "a FETCH ", "1,", 131000, " FLAGS", IMAP_PARSED },
		{ "a FETCH 1 BODY[", "1.", 131000, "]", IMAP_TOO_COMPLEX },
		{ "a SEARCH ", "(", 262000, "", IMAP_TOO_COMPLEX },
	};
	uint64_t start = clock_mono_ms();
	struct imap_cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		assert_row_int(rows[i].head, imap_cmd_parse(repeated(rows[i].head, rows[i].unit, rows[i].n,
		    rows[i].tail), arena, &cmd), rows[i].want);
		arena_reset(arena);
	}
	assert_true(clock_mono_ms() - start < 5000);
}

/* Twice the command, at most twice the memory. */
static void
test_memory(void **state)
{
	static const struct { const char *head, *unit; size_t n; const char *tail; } rows[] = {
		{ "a SEARCH 1", " OR FROM \"\\\\\" (1 2)", 80, "" },
		{ "a FETCH 1 (FLAGS", " BODY.PEEK[1.2.HEADER.FIELDS (a b)]", 100, ")" },
		{ "a LIST \"\" (x", " \"\\\"\"", 30, ")" },
		{ "a LOGIN x \"", "\\\"", 50000, "\"" },
	};
	struct imap_cmd cmd;
	size_t i, used[2];

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		for (size_t k = 0; k < 2; k++) {
			assert_row_int(rows[i].head, imap_cmd_parse(repeated(rows[i].head, rows[i].unit,
			    rows[i].n * (k + 1), rows[i].tail), arena, &cmd), IMAP_PARSED);
			used[k] = arena_used(arena);
			arena_reset(arena);
		}
		assert_true(used[1] <= 2 * used[0] + 1024);
	}
}

static void
test_table(void **state)
{
	static const struct { enum imap_verb verb; const char *name; unsigned when; } rows[] = {
		{ IMAP_CAPABILITY, "CAPABILITY", 7 }, { IMAP_ID, "ID", 7 }, { IMAP_LOGOUT, "LOGOUT", 7 },
		{ IMAP_LOGIN, "LOGIN", 1 }, { IMAP_STARTTLS, "STARTTLS", 1 },
		{ IMAP_AUTHENTICATE, "AUTHENTICATE", 1 }, { IMAP_SELECT, "SELECT", 6 },
		{ IMAP_APPEND, "APPEND", 6 }, { IMAP_IDLE, "IDLE", 6 }, { IMAP_ENABLE, "ENABLE", 6 },
		{ IMAP_FETCH, "FETCH", 4 }, { IMAP_CLOSE, "CLOSE", 4 }, { IMAP_MOVE, "MOVE", 4 },
		{ IMAP_VERBS, "?", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		assert_string_equal(imap_verb_text(rows[i].verb), rows[i].name);
		assert_row_int(rows[i].name, imap_verb_when(rows[i].verb), rows[i].when);
	}
	for (i = 0; i < IMAP_VERBS; i++)
		assert_non_null(imap_verb_text((enum imap_verb)i));
	assert_true(imap_done(text("DONE")) && imap_done(text("done ")));
	assert_false(imap_done(text("a DONE")) || imap_done(text("")) || imap_done(text("DONEX")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_wrongs),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, set_up, imap_tear_down);
}
