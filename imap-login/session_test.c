/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "imap-login/session_testing.h"
#include "proto/imap_capability.h"
#include "proto/imap_reader.h"

#define OPEN	"IMAP4rev1 LITERAL+ ID SASL-IR AUTH=PLAIN AUTH=LOGIN"
#define CLOSED	"IMAP4rev1 LITERAL+ ID LOGINDISABLED"
#define SESSION	"IMAP4rev1 LITERAL+ ID SASL-IR ENABLE IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE SPECIAL-USE " \
	"CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE APPENDLIMIT ESEARCH SEARCHRES MULTIAPPEND " \
	"WITHIN CONDSTORE"
#define HELLO(capability) "* OK [CAPABILITY " capability "] Hermod IMAP ready\r\n"
#define RIGHT	" OK [CAPABILITY " SESSION "] logged in\r\n"
#define WRONG	" NO [AUTHENTICATIONFAILED] name or password is wrong\r\n"
#define CLEAR	" NO [PRIVACYREQUIRED] a password must not travel in clear; connect with TLS\r\n"
#define NOOP	" OK nothing done\r\n"
#define NULS	"||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||||"	/* as many as are shown */

/* ---- a client that sends all of it, in pieces, and what it is told behind the greeting ---- */

static struct bytes
talk(struct testing *t, bool may_log_in, const char *script, struct bytes in, size_t step)
{
	testing_init(t, may_log_in, script);
	buf_clear(&t->s.conn.out);
	for (; in.n > 0; in = bytes_skip(in, step))
		testing_feed(t, bytes_head(in, step));
	testing_end(t);
	return buf_bytes(&t->s.conn.out);
}

static void
check_row(bool may_log_in, const char *script, struct bytes in, const char *want, const size_t *steps, size_t n)
{
	char row[61];

	snprintf(row, sizeof row, "%.*s", BYTES_FMT(bytes_head(in, sizeof row - 1)));
	for (size_t i = 0; i < n; i++) {
		struct testing t;
		struct bytes got = talk(&t, may_log_in, script, in, steps[i]);

		assert_row_bytes(row, got, text(want));
		testing_fini(&t);
	}
}

static void
check(bool may_log_in, const char *script, struct bytes in, const char *want)
{
	static const size_t steps[] = { 16384, 1, 7 };

	check_row(may_log_in, script, in, want, steps, LEN(steps));
}

/* Does not come as a whole: the answers to its first part must be waited for. */
static void
check_slow(bool may_log_in, const char *script, struct bytes in, const char *want)
{
	static const size_t steps[] = { 1 };

	check_row(may_log_in, script, in, want, steps, LEN(steps));
}

struct row { const char *script, *in, *want; };

static void
check_rows(bool may_log_in, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(may_log_in, rows[i].script, text(rows[i].in), rows[i].want);
}

/* ---- commands ---- */

static void
test_greeting(void **state)
{
	struct testing t;

	(void)state;
	testing_init(&t, true, "");
	assert_bytes_equal(buf_bytes(&t.s.conn.out), text(HELLO(OPEN)));
	testing_fini(&t);
	testing_init(&t, false, "");
	assert_bytes_equal(buf_bytes(&t.s.conn.out), text(HELLO(CLOSED)));
	testing_fini(&t);
}

static void
test_commands(void **state)
{
	static const struct row rows[] = {
		{ "", "a1 CAPABILITY\r\n", "* CAPABILITY " OPEN "\r\na1 OK that is all\r\n" },
		{ "", "a1 capability\r\n", "* CAPABILITY " OPEN "\r\na1 OK that is all\r\n" },
		{ "", "a1 NOOP\r\n", "a1" NOOP },
		{ "", "a1 LOGOUT\r\na2 NOOP\r\n", "* BYE see you\r\na1 OK bye\r\n<end>\r\n" },
		{ "", "a1 ID NIL\r\n", IMAP_ID_RESPONSE "a1 OK nice to meet you\r\n" },
		{ "", "a1 ID (\"name\" {3+}\r\nabc \"version\" NIL)\r\n", IMAP_ID_RESPONSE "a1 OK nice to meet you\r\n" },
		{ "", "a1 STARTTLS\r\na2 NOOP\r\n", "a1 BAD TLS is not served here\r\na2" NOOP },
		{ "", "a1 STARTTLS x\r\n", "a1 BAD more than the command takes\r\n" },
		{ "", "a1 SELECT INBOX\r\n", "a1 BAD log in first\r\n" },
		{ "", "a1 SELECT (((\r\n", "a1 BAD log in first\r\n" },		/* whatever its arguments are */
		{ "", "a1 UID FETCH 1 FLAGS\r\n", "a1 BAD log in first\r\n" },
		{ "", "a1 ENABLE CONDSTORE\r\n", "a1 BAD log in first\r\n" },
		{ "", "a1 FROB\r\n", "a1 BAD unknown command\r\n" },
		{ "", "a1 NOOP x\r\n", "a1 BAD more than the command takes\r\n" },
		{ "", "a+1 NOOP\r\n", "* BAD tag expected\r\n" },
		{ "", "\r\n", "* BAD tag expected\r\n" },
		{ "", "a1\r\n", "a1 BAD space expected\r\n" },
		{ "", "a1 NOOP\na2 NOOP\r\n", "a1 BAD LF without CR\r\n" },
		{ "", "a1 NOOP\rx\r\na2 NOOP\r\n", "a1 BAD CR without LF\r\na2" NOOP },
		{ "", "POST / HTTP/1.1\r\n", "POST BAD name expected\r\n" },
	};

	(void)state;
	check_rows(true, rows, LEN(rows));
	check(true, "", OCTETS("a1 NO\0OP\r\na2 NOOP\r\n"), "a1 BAD NUL in a line\r\na2" NOOP);
}

/* One that may: what came behind goes with it, for daemon/login.c to refuse. */
static void
test_starttls(void **state)
{
	static const struct { const char *said, *want; bool tls; } rows[] = {
		{ "a1 STARTTLS\r\n", "<tls 0 behind, a1 OK go ahead>\r\n", false },
		{ "a1 starttls\r\na2 NOOP\r\n", "<tls 9 behind, a1 OK go ahead>\r\n", false },
		{ "a1 CAPABILITY\r\na2 STARTTLS\r\n", "* CAPABILITY " CLOSED " STARTTLS\r\na1 OK that is all\r\n"
		    "<tls 0 behind, a2 OK go ahead>\r\n", false },
		{ "a1 STARTTLS\r\n", "a1 BAD TLS is on already\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct testing t;

		testing_init(&t, false, "");
		buf_clear(&t.s.conn.out);
		t.s.tls = rows[i].tls;
		t.s.may_start_tls = !rows[i].tls;
		testing_feed(&t, text(rows[i].said));
		assert_row_bytes(rows[i].said, buf_bytes(&t.s.conn.out), text(rows[i].want));
		testing_fini(&t);
	}
}

/* Behind the handshake there is no greeting. */
static void
test_goes_on(void **state)
{
	struct testing t;

	(void)state;
	testing_init(&t, true, "");
	imap_login_protocol.fini(&t.s);
	buf_clear(&t.s.conn.out);
	imap_login_protocol.go_on(&t.s);
	assert_int_equal(t.s.conn.out.n, 0);
	testing_feed(&t, text("a1 NOOP\r\n"));
	assert_bytes_equal(buf_bytes(&t.s.conn.out), text("a1" NOOP));
	testing_fini(&t);
}

static void
test_login(void **state)
{
	static const struct row rows[] = {
		{ "o", "a1 LOGIN bill secret\r\na2 SELECT INBOX\r\na3", "<auth PLAIN 12 |bill|secret>\r\n"
		    "a1" RIGHT "<session: a2 SELECT INBOX\r\na3>\r\n" },
		{ "o", "a1 login \"bi\\\\ll\" \"sec\\\"ret\"\r\n", "<auth PLAIN 14 |bi\\ll|sec\"ret>\r\n"
		    "a1" RIGHT "<session: >\r\n" },
		{ "o", "a1 LOGIN {4+}\r\nbill {6+}\r\nsec\r\nt\r\n", "<auth PLAIN 12 |bill|sec~~t>\r\n"
		    "a1" RIGHT "<session: >\r\n" },
		{ "", "a1 LOGIN bill x\r\na2 NOOP\r\n", "<auth PLAIN 7 |bill|x>\r\na1" WRONG "a2" NOOP },
		{ "u", "a1 LOGIN bill x\r\n", "<auth PLAIN 7 |bill|x>\r\na1 NO [UNAVAILABLE] try again later\r\n" },
		{ "", "a1 LOGIN \"\" \"\"\r\n", "<auth PLAIN 2 ||>\r\na1" WRONG },
		{ "", "a1 LOGIN bill\r\n", "a1 BAD space expected\r\n" },
		{ "", "a1 LOGIN bill a b\r\n", "a1 BAD more than the command takes\r\n" },
		{ "", "a1 LOGIN bill \"x\r\n", "a1 BAD quoted string has no end\r\n" },
	};

	(void)state;
	check_rows(true, rows, LEN(rows));
	check_slow(true, "o", text("a1 LOGIN {4}\r\nbill {6}\r\nsecret\r\n"), "+ go ahead\r\n+ go ahead\r\n"
	    "<auth PLAIN 12 |bill|secret>\r\na1" RIGHT "<session: >\r\n");
	check(true, "", OCTETS("a1 LOGIN a {1+}\r\n\0\r\n"), "a1 BAD NUL in a string\r\n");
}

/* RFC 3501 section 6.2.2, RFC 4959. */
static void
test_authenticate(void **state)
{
	static const struct row rows[] = {
		{ "o", "a1 AUTHENTICATE PLAIN AGFubmEAeA==\r\na2 NOOP\r\n", "<auth PLAIN 7 |anna|x>\r\n"
		    "a1" RIGHT "<session: a2 NOOP\r\n>\r\n" },
		{ "", "a1 AUTHENTICATE plain =\r\n", "<auth plain 0 >\r\na1" WRONG },
		{ "", "a1 AUTHENTICATE PLAIN AGFubmEAeA=\r\n", "a1 BAD the initial response is not base64\r\n" },
		{ "", "a1 AUTHENTICATE PLAIN ====\r\n", "a1 BAD the initial response is not base64\r\n" },
		{ "", "a1 AUTHENTICATE PLAIN !\r\n", "a1 BAD base64 expected\r\n" },
		{ "", "a1 AUTHENTICATE GSSAPI\r\n", "a1 NO mechanism not served; CAPABILITY lists them\r\n" },
		{ "", "a1 AUTHENTICATE\r\n", "a1 BAD space expected\r\n" },
		{ "Cf", "a1 AUTHENTICATE PLAIN\r\neA==\r\na2 NOOP\r\n", "<auth PLAIN>\r\n+ \r\n"
		    "<respond 1 x>\r\na1" WRONG "a2" NOOP },
		{ "cco", "a1 AUTHENTICATE LOGIN\r\neA==\r\n\r\na2 NOOP\r\n", "<auth LOGIN>\r\n+ d2hhdD8=\r\n"
		    "<respond 1 x>\r\n+ d2hhdD8=\r\n<respond 0 >\r\na1" RIGHT "<session: a2 NOOP\r\n>\r\n" },
		{ "Cu", "a1 AUTHENTICATE PLAIN\r\neA==\r\n", "<auth PLAIN>\r\n+ \r\n<respond 1 x>\r\n"
		    "a1 NO [UNAVAILABLE] try again later\r\n" },
		{ "Cf", "a1 AUTHENTICATE PLAIN\r\n*\r\na2 NOOP\r\n", "<auth PLAIN>\r\n+ \r\n<cancel>\r\n"
		    "a1 BAD cancelled, as you wish\r\na2" NOOP },
		{ "Cu", "a1 AUTHENTICATE PLAIN\r\n*\r\n", "<auth PLAIN>\r\n+ \r\n<cancel>\r\n"
		    "a1 BAD cancelled, as you wish\r\n" },
		{ "Cf", "a1 AUTHENTICATE PLAIN\r\na2 LOGIN {3}\r\na3 NOOP\r\n", "<auth PLAIN>\r\n+ \r\n<cancel>\r\n"
		    "a1 BAD the response is not base64\r\na3" NOOP },		/* a line of SASL has no literals */
		{ "Cf", "a1 AUTHENTICATE PLAIN\r\neA==\neA==\r\na2 NOOP\r\n", "<auth PLAIN>\r\n+ \r\n<cancel>\r\n"
		    "a1 BAD LF without CR\r\na2" NOOP },
	};

	(void)state;
	check_rows(true, rows, LEN(rows));
}

/* RFC 3501 section 6.2.3: no password is asked for, nor read, where it must not travel. */
static void
test_closed(void **state)
{
	static const struct row rows[] = {
		{ "", "a1 CAPABILITY\r\n", "* CAPABILITY " CLOSED "\r\na1 OK that is all\r\n" },
		{ "", "a1 LOGIN bill secret\r\n", "a1" CLEAR },
		{ "", "a1 AUTHENTICATE PLAIN\r\n", "a1" CLEAR },
		{ "", "a1 AUTHENTICATE PLAIN AGFubmEAeA==\r\na2 NOOP\r\n", "a1" CLEAR "a2" NOOP },
		{ "", "a1 LOGIN {4+}\r\nbill {6+}\r\na9 x\r\n\r\na2 NOOP\r\n", "a1" CLEAR "a2" NOOP },
	};

	(void)state;
	check_rows(false, rows, LEN(rows));
	check_slow(false, "", text("a1 LOGIN {4}\r\na2 NOOP\r\n"), "a1" CLEAR "a2" NOOP);
}

/* ---- literals ---- */

static void
test_literals(void **state)
{
	static const struct row rows[] = {
		{ "", "a1 APPEND INBOX {20+}\r\na8 LOGOUT\r\na9 NOOP\r\n\r\na2 NOOP\r\n", "a1 BAD log in first\r\na2" NOOP },
		{ "", "a1 AUTHENTICATE {5+}\r\nPLAIN\r\na2 NOOP\r\n", "a1 BAD no literal is wanted here\r\na2" NOOP },
		{ "", "a1 FROB {1+}\r\nx {1+}\r\ny\r\na2 NOOP\r\n", "a1 BAD command not known\r\na2" NOOP },
		{ "", "a1 {1+}\r\nx\r\na2 NOOP\r\n", "a1 BAD command not known\r\na2" NOOP },
		{ "", "{1+}\r\nx\r\na2 NOOP\r\n", "* BAD command not known\r\na2" NOOP },
		{ "", "a1 LOGIN a {20000+}\r\nx", "" },
		{ "", "a1 LOGIN a {65537+}\r\n", "* BYE literal too large\r\n<end: literal too large>\r\n" },
		{ "", "a1 FROB {65537+}\r\n", "* BYE literal too large\r\n<end: literal too large>\r\n" },
		{ "", "a1 LOGIN a {9223372036854775808+}\r\n", "* BYE literal too large\r\n<end: literal too large>\r\n" },
	};
	static const struct row impatient[] = {
		{ "", "a1 FROB {1}\r\nx\r\n", "* BYE you did not wait for the answer to your literal\r\n"
		    "<end: you did not wait for the answer to your literal>\r\n" },
		{ "", "a1 LOGIN a {99999}\r\nx\r\n", "* BYE you did not wait for the answer to your literal\r\n"
		    "<end: you did not wait for the answer to your literal>\r\n" },
		{ "", "a1 LOGIN \n {9}\r\na2 NOOP\r\n", "* BYE you did not wait for the answer to your literal\r\n"
		    "<end: you did not wait for the answer to your literal>\r\n" },
		{ "", "a1 FROB {1+}\r\nx {9}\r\na2 NOOP\r\n", "a1 BAD command not known\r\n"
		    "* BYE you did not wait for the answer to your literal\r\n"
		    "<end: you did not wait for the answer to your literal>\r\n" },
	};
	static const size_t whole[] = { 16384 };

	(void)state;
	check_rows(true, rows, LEN(rows));
	check_slow(true, "", text("a1 APPEND INBOX {310}\r\na2 NOOP\r\n"), "a1 BAD log in first\r\na2" NOOP);
	check_slow(true, "", text("a1 LOGIN a {16384}\r\na2 NOOP\r\n"), "a1 NO [LIMIT] literal too large\r\na2" NOOP);
	check_slow(true, "", text("a1 LOGIN a {9223372036854775808}\r\na2 NOOP\r\n"),
	    "a1 NO [LIMIT] literal too large\r\na2" NOOP);
	for (size_t i = 0; i < LEN(impatient); i++)
		check_row(true, "", text(impatient[i].in), impatient[i].want, whole, 1);
}

/* ---- limits: at each, and one past ---- */

static void
fill(struct buf *b, const char *before, unsigned char c, size_t n, const char *behind)
{
	buf_clear(b);
	buf_text(b, before);
	for (size_t i = 0; i < n; i++)
		buf_char(b, c);
	buf_text(b, behind);
}

static void
test_lengths(void **state)
{
	const size_t line = IMAP_LINE_LOGIN_MAX;
	struct buf b;
	char want[200];

	(void)state;
	buf_init(&b, 1 << 20);
	fill(&b, "a1 NOOP", ' ', line - 9, "\r\n");
	check(true, "", buf_bytes(&b), "a1" NOOP);
	fill(&b, "a1 NOOP", ' ', line - 8, "\r\na2 NOOP\r\n");
	check(true, "", buf_bytes(&b), "a1 NO [LIMIT] line too long\r\na2" NOOP);

	fill(&b, "a1 AUTHENTICATE PLAIN ", 'A', line - 24, "\r\n");		/* NUL, decoded */
	check(true, "", buf_bytes(&b), "<auth PLAIN 10734 " NULS ">\r\na1" WRONG);
	fill(&b, "a1 AUTHENTICATE PLAIN ", 'A', line - 23, "\r\na2 NOOP\r\n");
	check(true, "", buf_bytes(&b), "a1 NO [LIMIT] line too long\r\na2" NOOP);
	fill(&b, "a1 AUTHENTICATE PLAIN\r\n", 'A', line - 4, "\r\na2 NOOP\r\n");	/* 14332 = 4 * 3583 */
	check(true, "Cf", buf_bytes(&b), "<auth PLAIN>\r\n+ \r\n<respond 10749 " NULS ">\r\na1" WRONG "a2" NOOP);
	fill(&b, "a1 AUTHENTICATE PLAIN\r\n", 'A', line - 1, "\r\na2 NOOP\r\n");
	check(true, "Cf", buf_bytes(&b), "<auth PLAIN>\r\n+ \r\n<cancel>\r\na1 BAD line too long\r\na2" NOOP);

	fill(&b, "a1 LOGIN u {10749+}\r\n", 'p', 10749, "\r\na2 NOOP\r\n");	/* with 2 NUL and "u": 10752 */
	snprintf(want, sizeof want, "<auth PLAIN 10752 |u|%.61s>\r\na1" WRONG "a2" NOOP,
	    "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp");
	check(true, "", buf_bytes(&b), want);
	fill(&b, "a1 LOGIN u {10750+}\r\n", 'p', 10750, "\r\na2 NOOP\r\n");
	check(true, "", buf_bytes(&b), "a1 NO [LIMIT] name or password too long\r\na2" NOOP);

	fill(&b, "", 'x', IMAP_TAG_MAX, " NOOP\r\n");
	snprintf(want, sizeof want, "%.*s" NOOP, IMAP_TAG_MAX, (const char *)b.p);
	check(true, "", buf_bytes(&b), want);
	fill(&b, "", 'x', IMAP_TAG_MAX + 1, " NOOP\r\n");
	check(true, "", buf_bytes(&b), "* BAD tag expected\r\n");
	buf_fini(&b);
}

static void
test_depth_and_literals(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	fill(&b, "a1 LOGIN a ", '(', IMAP_DEPTH_LOGIN_MAX, "\r\n");		/* CVE-2026-42006: both kinds */
	check(true, "", buf_bytes(&b), "a1 BAD atom or string expected\r\n");
	fill(&b, "a1 LOGIN a ", '(', IMAP_DEPTH_LOGIN_MAX + 1, "\r\na2 NOOP\r\n");
	check(true, "", buf_bytes(&b), "a1 NO [LIMIT] nested too deep\r\na2" NOOP);
	fill(&b, "a1 LOGIN a ", '[', IMAP_DEPTH_LOGIN_MAX + 1, "\r\na2 NOOP\r\n");
	check(true, "", buf_bytes(&b), "a1 NO [LIMIT] nested too deep\r\na2" NOOP);

	buf_clear(&b);
	buf_text(&b, "a1 ID (");
	for (int i = 0; i < IMAP_LITERALS_LOGIN_MAX; i++)
		buf_text(&b, i > 0 ? " {1+}\r\nx" : "{1+}\r\nx");
	buf_text(&b, ")\r\n");
	check(true, "", buf_bytes(&b), IMAP_ID_RESPONSE "a1 OK nice to meet you\r\n");
	b.n -= 3;
	buf_text(&b, " {1+}\r\nx)\r\na2 NOOP\r\n");
	check(true, "", buf_bytes(&b), "a1 NO [LIMIT] too many literals\r\na2" NOOP);
	buf_fini(&b);
}

/* So many times the piece; ended: says whether the session is, with these last words. */
static void
check_count(const char *piece, size_t n, bool ended, const char *bye)
{
	struct testing t;
	struct bytes got;

	testing_init(&t, true, "");
	for (size_t i = 0; i < n; i++)
		testing_feed(&t, text(piece));
	got = buf_bytes(&t.s.conn.out);
	assert_row_int(piece, t.s.guest.ending, ended);
	assert_row_int(piece, bytes_ends(got, text(bye)), ended);
	testing_fini(&t);
}

static void
test_counts(void **state)
{
	static const char errors[] = "* BYE too many errors\r\n<end: too many errors>\r\n";
	static const char all[] = "* BYE too many commands before the login\r\n"
	    "<end: too many commands before the login>\r\n";

	(void)state;
	check_count("a1 FROB\r\n", IMAP_LOGIN_ERRORS_MAX, false, errors);
	check_count("a1 FROB\r\n", IMAP_LOGIN_ERRORS_MAX + 1, true, errors);
	check_count("\r\n", IMAP_LOGIN_ERRORS_MAX + 1, true, errors);
	check_count("a1 STARTTLS\r\n", IMAP_LOGIN_ERRORS_MAX + 1, true, errors);
	check_count("a1 NOOP\r\n", IMAP_LOGIN_COMMANDS_MAX, false, all);
	check_count("a1 NOOP\r\n", IMAP_LOGIN_COMMANDS_MAX + 1, true, all);
}

/* A line that never ends: what fits in is kept, so much more is read. */
static void
test_endless(void **state)
{
	const size_t most = IMAP_LINE_LOGIN_MAX - 2 + IMAP_LOGIN_DROPPED_MAX;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	fill(&b, "", 'x', most, "");
	check(true, "", buf_bytes(&b), "");
	fill(&b, "", 'x', most - 1, "\r\na2 NOOP\r\n");	/* its CR counts */
	check(true, "", buf_bytes(&b), "* NO [LIMIT] line too long\r\na2" NOOP);
	fill(&b, "", 'x', most + 1, "");
	check(true, "", buf_bytes(&b), "* BYE command too long\r\n<end: command too long>\r\n");
	buf_fini(&b);
}

/* Nothing of a command is kept once it is answered. */
static void
test_nothing_stays(void **state)
{
	struct testing t;
	struct imap_reader *r;

	(void)state;
	talk(&t, true, "", text("a1 LOGIN bill \"sec\\\\ret\"\r\n"), 1000);
	r = t.s.state;			/* its first member */
	assert_null(r->text.p);
	testing_fini(&t);
	talk(&t, true, "Cc", text("a1 AUTHENTICATE PLAIN\r\nAGFubmEAeA==\r\n"), 1000);
	r = t.s.state;
	assert_null(r->text.p);
	testing_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_authenticate),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_depth_and_literals),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_nothing_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
