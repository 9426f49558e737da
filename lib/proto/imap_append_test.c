/* SPDX-License-Identifier: ISC */
#include "proto/imap_append.h"
#include "proto/imap_testing.h"

static int
set_up(void **state)
{
	(void)state;
	return imap_set_up(1 << 22, 1 << 16);
}

static void
tell(const struct imap_message *m)
{
	buf_fmt(&told, "%u+%zu", m->flags.system, m->flags.keywords.n);
	if (m->dated)
		buf_fmt(&told, " @%lld", (long long)m->date.wall_s);
	buf_fmt(&told, " %s%llu%s", m->content.literal.eight ? "~" : "",
	    (unsigned long long)m->content.literal.octets, m->content.literal.nonsync ? "+" : "");
	if (m->content.where == IMAP_GATHERED)
		buf_fmt(&told, " \"%.*s\"", BYTES_FMT(m->content.octets));
	buf_char(&told, ';');
}

static const struct { const char *in, *want; } cases[] = {
	/* RFC 3501 section 6.3.11, RFC 3502 */
	{ " (\\Seen) {310}\n", "8+0 310;" },
	{ " (\\Seen) {329}\n (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {295}\n", "8+0 329;8+0 @760689784 295;" },
	{ " {0}\r\n", "0+0 0 \"\";" },
	{ " {3+}\r\nabc {2}\r\nde ", "0+0 3+ \"abc\";0+0 2 \"de\";" },
	{ " () ~{9+}\n", "0+0 ~9+;" },					/* RFC 4466 */
	{ " (\\Draft $Forwarded a) \"17-Jul-1996 02:44:25 -0700\" ~{1}\n", "16+2 @837596665 ~1;" },
	{ " {9223372036854775807+}\n", "0+0 9223372036854775807+;" },
	{ "", NULL }, { " ", NULL }, { " x", NULL }, { " \"abc\"", NULL }, { " (\\Seen)", NULL },
	{ " \"17-Jul-1996 02:44:25 -0700\" (\\Seen) {1}\n", NULL }, { " (\\Recent) {1}\n", NULL },
	{ " (\\Seen){1}\n", NULL }, { "{1}\n", NULL }, { " {1}\n{1}\n", NULL }, { " {1}\n x", NULL },
	{ " {1}\nx", NULL }, { " {1}\r\n", NULL }, { " {2}\r\na", NULL }, { " {3}\n (a", NULL },
	{ " \"17-Jul-1996\" {1}\n", NULL }, { " (a) (b) {1}\n", NULL }, { " {1}x\n", NULL },
	{ " UTF8 (~{1}\n)", NULL },			/* RFC 6855, not offered */
};

static void
test_whole(void **state)
{
	const struct imap_message *m;
	struct imap_append append;
	struct imap_lex l;
	size_t i;
	bool ok;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		imap_lex_init(&l, text(cases[i].in), arena);
		ok = imap_append_parse(&l, &append) && imap_lex_end(&l);
		assert_row_int(cases[i].in, ok, cases[i].want != NULL);
		assert_row_int(cases[i].in, l.wrong == NULL, ok);
		if (!ok)
			continue;
		buf_clear(&told);
		for (m = append.messages; m != NULL; m = m->next)
			tell(m);
		assert_row_bytes(cases[i].in, buf_bytes(&told), text(cases[i].want));
	}
}

/* Streams a command the way a session does, and tells what each literal was: A(rgument),
 * B(ad), or the message. */
static void
scan(struct bytes in, struct imap_append_scan *s)
{
	struct imap_reader r;
	struct imap_message m;
	struct bytes run;
	enum imap_read st;

	*s = (struct imap_append_scan){ 0 };
	buf_clear(&told);
	imap_reader_init(&r, &imap_limits_session);
	while ((st = imap_reader_next(&r, &in, &run)) != IMAP_READ_MORE && st != IMAP_READ_COMMAND) {
		if (st != IMAP_READ_LITERAL)
			continue;
		switch (imap_append_scan(s, buf_bytes(&r.text), arena, &m)) {
		case IMAP_LITERAL_ARGUMENT:
			buf_text(&told, "A;");
			imap_reader_accept(&r);
			break;
		case IMAP_LITERAL_MESSAGE:
			tell(&m);
			imap_reader_stream(&r);
			break;
		case IMAP_LITERAL_BAD:
			assert_non_null(s->wrong);
			buf_text(&told, "B;");
			imap_reader_refuse(&r);
			break;
		}
	}
	imap_reader_fini(&r);
}

static const struct { const char *in, *want, *mailbox; } scans[] = {
	{ "A003 APPEND saved-messages (\\Seen) {5}\r\nabcde\r\n", "8+0 5;", "saved-messages" },
	{ "a append \"a b\" {0}\r\n {0+}\r\n\r\n", "0+0 0;0+0 0+;", "a b" },
	{ "a APPEND {5}\r\ninbox {3}\r\nabc\r\n", "A;0+0 3;", "INBOX" },
	{ "a APPEND {0}\r\n {3}\r\nabc\r\n", "A;0+0 3;", "" },
	{ "a APPEND x {3+}\r\n{9} (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" ~{3}\r\nabc {1}\r\nx\r\n",
	    "0+0 3+;8+0 @760689784 ~3;0+0 1;", "x" },
	{ "a LOGIN {1}\r\na {1}\r\nb\r\n", "A;A;", "" },
	{ "a APPENDIX x {1}\r\na\r\n", "A;", "" },
	{ "APPEND x {1}\r\na\r\n", "A;", "" },
	{ "a APPEND x{1}\r\n", "B;", "x" },
	{ "a APPEND x (\\Seen){1}\r\n", "B;", "x" },
	{ "a APPEND x (\\Recent) {1}\r\n", "B;", "x" },
	{ "a APPEND x ({1}\r\n", "B;", "x" },
	{ "a APPEND x \"{1}\r\n", "B;", "x" },
	{ "a APPEND ( {1}\r\n", "B;", "" },
	{ "a APPEND \"{1}\r\n", "B;", "" },
	{ "a APPEND x {1}\r\na{1}\r\n", "0+0 1;B;", "x" },
	{ "a APPEND x {1}\r\na y {1}\r\n", "0+0 1;B;", "x" },
	{ "a APPEND x CATENATE (TEXT {1}\r\n", "B;", "x" },
};

static void
test_scan(void **state)
{
	struct imap_append_scan s;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(scans); i++) {
		scan(text(scans[i].in), &s);
		assert_row_bytes(scans[i].in, buf_bytes(&told), text(scans[i].want));
		if (s.mailbox.n > 0 || scans[i].mailbox[0] != '\0')
			assert_row_bytes(scans[i].in, s.mailbox, text(scans[i].mailbox));
	}
}

static void
test_limit(void **state)
{
	struct imap_append append;
	struct imap_lex l;
	struct buf in;
	size_t n;

	(void)state;
	for (n = IMAP_MESSAGES_MAX; n <= IMAP_MESSAGES_MAX + 1; n++) {
		buf_init(&in, 1 << 16);
		for (size_t i = 0; i < n; i++)
			buf_text(&in, " {1}\n");
		imap_lex_init(&l, buf_bytes(&in), arena);
		assert_int_equal(imap_append_parse(&l, &append), n == IMAP_MESSAGES_MAX);
		assert_int_equal(l.complex, n > IMAP_MESSAGES_MAX);
		buf_fini(&in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, set_up, imap_tear_down);
}
