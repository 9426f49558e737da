/* SPDX-License-Identifier: ISC */
#include <time.h>

#include "proto/testing.h"
#include "base/buf.h"
#include "proto/imap_structure.h"
#include "proto/imap_structure_testing.h"

/* ---- ENVELOPE ---- */

#define NILS4	" NIL NIL NIL NIL"

static const struct { const char *header, *want; } envelopes[] = {
	{ "", "(NIL NIL NIL NIL NIL" NILS4 " NIL)" },
	/* RFC 3501 section 8 */
	{ "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
	    "From: Terry Gray <gray@cac.washington.edu>\r\n"
	    "Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
	    "To: imap@cac.washington.edu\r\n"
	    "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
	    "Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
	    "MIME-Version: 1.0\r\n\r\n",
	    "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" "
	    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	    "((NIL NIL \"imap\" \"cac.washington.edu\")) "
	    "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) "
	    "NIL NIL \"<B27397-0100000@cac.washington.edu>\")" },
	/* folds, either line end; present but empty; the first counts */
	{ "Subject: a\r\n\tb\n c \nSUBJECT: d\nDate :\nIn-Reply-To: \r\n <x>\n <y>\n\nMessage-ID: body",
	    "(\"\" \"a\tb c\" NIL NIL NIL" " NIL NIL NIL \"<x> <y>\" NIL)" },
	/* strings */
	{ "Subject: \"a\\b\"\n", "(NIL \"\\\"a\\\\b\\\"\" NIL NIL NIL" NILS4 " NIL)" },
	{ "Subject: a\rb\n", "(NIL \"a b\" NIL NIL NIL" NILS4 " NIL)" },
	{ "Subject: \xc3\xa9 \"\n x\n", "(NIL {6}\r\n\xc3\xa9 \" x NIL NIL NIL" NILS4 " NIL)" },
	{ "Subject: =?utf-8?q?a=00?=\x01\n", "(NIL \"=?utf-8?q?a=00?=\x01\" NIL NIL NIL" NILS4 " NIL)" },
	/* no Sender, no Reply-To; From missing; other fields empty */
	{ "From: a@b\nSender:\nReply-To: c@d\nTo: \n", "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
	    "((NIL NIL \"c\" \"d\"))" NILS4 " NIL)" },
	{ "Sender: a@b\n", "(NIL NIL NIL ((NIL NIL \"a\" \"b\")) NIL" NILS4 " NIL)" },
	/* V-01: the first From */
	{ "From: a@b\nFrom: c@d\n", "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\"))"
	    NILS4 " NIL)" },
};

/* A To field alone: its list. */
static const struct { const char *value, *want; } lists[] = {
	{ "a@b", "((NIL NIL \"a\" \"b\"))" },
	{ "\"B \\\"o\\\" b\" <a@b>", "((\"B \\\"o\\\" b\" NIL \"a\" \"b\"))" },
	{ "=?utf-8?q?B=6fb?= <a@b>", "((\"=?utf-8?q?B=6fb?=\" NIL \"a\" \"b\"))" },
	{ "\xc3\xa9 <\xc3\xa9@b>", "(({2}\r\n\xc3\xa9 NIL {2}\r\n\xc3\xa9 \"b\"))" },
	{ "a@b (Bob)", "((\"Bob\" NIL \"a\" \"b\"))" },
	{ "<@a,@b:c@d>", "((NIL \"@a,@b\" \"c\" \"d\"))" },
	{ "\"a b\"@c", "((NIL NIL \"a b\" \"c\"))" },
	{ "\"\"@c", "((NIL NIL \"\" \"c\"))" },			/* CVE-2020-10967 */
	{ "a@[192.0.2.1]", "((NIL NIL \"a\" \"[192.0.2.1]\"))" },
	{ "G: a@b, C <c@d>;, e@f", "((NIL NIL \"G\" NIL)(NIL NIL \"a\" \"b\")(\"C\" NIL \"c\" \"d\")"
	    "(NIL NIL NIL NIL)(NIL NIL \"e\" \"f\"))" },
	{ "undisclosed-recipients:;", "((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL))" },
	{ "G: a@b", "((NIL NIL \"G\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL))" },
	{ "\"\":;", "((NIL NIL \"\" NIL)(NIL NIL NIL NIL))" },
	{ "bob", "((NIL NIL \"bob\" \"\"))" },
	{ "John Smith, a@b", "((\"John Smith\" NIL \"\" \"\")(NIL NIL \"a\" \"b\"))" },
	/* V-02: no address for the checks of From, none here */
	{ "ceo@victim <u@evil>", "((\"ceo@victim <u@evil>\" NIL \"\" \"\"))" },
	{ "<ceo@victim> <u@evil>", "((\"<ceo@victim> <u@evil>\" NIL \"\" \"\"))" },
	{ "\"u@good\" <v@evil>", "((\"u@good\" NIL \"v\" \"evil\"))" },
	{ "=?utf-8?q?u=40good?= <v@evil>", "((\"=?utf-8?q?u=40good?=\" NIL \"v\" \"evil\"))" },
	{ "u@good (", "((\"u@good (\" NIL \"\" \"\"))" },
	{ ",", "NIL" },
	{ "(x)", "NIL" },
};

/* One row: the answer, and that it is legal. */
static void
check_envelope(const char *row, struct bytes header, struct bytes want)
{
	struct arena *scratch = arena_new(IMAP_SCRATCH);
	struct buf out;

	buf_init(&out, 100000);
	imap_envelope(header, scratch, &out);
	assert_row_bytes(row, buf_bytes(&out), want);
	assert_row_int(row, grammar_envelope(buf_bytes(&out)), true);
	buf_fini(&out);
	arena_free(&scratch);
}

static void
test_envelopes(void **state)
{
	char header[1000], want[1000];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(envelopes); i++)
		check_envelope(envelopes[i].header, text(envelopes[i].header), text(envelopes[i].want));
	for (i = 0; i < LEN(lists); i++) {
		snprintf(header, sizeof header, "To: %s\n", lists[i].value);
		snprintf(want, sizeof want, "(NIL NIL NIL NIL NIL %s NIL NIL NIL NIL)", lists[i].want);
		check_envelope(lists[i].value, text(header), text(want));
	}
	check_envelope("NUL", OCTETS("Subject: a\0b\nTo: a\0@b\nDate: \0\xff\n"),
	    text("({2}\r\n?\xff \"a?b\" NIL NIL NIL ((\"a?@b\" NIL \"\" \"\")) NIL NIL NIL NIL)"));
}

/* ---- BODYSTRUCTURE ---- */

#define MP(b)	"Content-Type: multipart/mixed; boundary=" b "\n\n"
#define PLAIN(octets, lines)	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" " octets " " lines EXT ")"
#define EXT	" NIL NIL NIL NIL"
#define NO_ENVELOPE	"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"

static const struct { const char *message, *want; } structures[] = {
	{ "", PLAIN("0", "0") },
	{ "A: b\n\nx\ny", PLAIN("4", "1") },
	{ "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nx\n",
	    "(\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"8bit\" 3 1" EXT ")" },
	{ "Content-Type: TEXT; a=b\n\n", "(\"TEXT\" \"plain\" (\"a\" \"b\") NIL NIL \"7BIT\" 0 0" EXT ")" },
	{ "Content-Type: nonsense; a=b\n\n", PLAIN("0", "0") },
	{ "Content-Type:\n\n", PLAIN("0", "0") },
	{ "Content-Type: \"x\"/y\n\nz", "(\"\\\"x\\\"\" \"y\" NIL NIL NIL \"7BIT\" 1" EXT ")" },
	{ "Content-Type: x/\xff\n\n", "(\"x\" {1}\r\n\xff NIL NIL NIL \"7BIT\" 0" EXT ")" },
	/* all the fields */
	{ "Content-Type: image/gif; name=\"a \\\"b\\\"\"; name*0*=utf-8''%e2; name*1=\" c\"\n"
	    "Content-ID: <x>\nContent-Description: a\n description\nContent-Transfer-Encoding: BASE64\n"
	    "Content-MD5: Q2hlY2s=\nContent-Disposition: Attachment; filename=f\n"
	    "Content-Language: de, en\nContent-Location: http://x/\n\nAAAA\n",
	    "(\"image\" \"gif\" (\"name\" \"a \\\"b\\\"\" \"name*\" \"utf-8''%e2%20c\") \"<x>\" \"a description\" \"BASE64\" 6 "
	    "\"Q2hlY2s=\" (\"Attachment\" (\"filename\" \"f\")) (\"de\" \"en\") \"http://x/\")" },
	{ "Content-Disposition: inline\nContent-ID:\nContent-Language: x\nContent-Transfer-Encoding:\n\n",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") \"\" NIL \"7BIT\" 0 0 NIL (\"inline\" NIL) (\"x\") NIL)" },
	/* multiparts */
	{ MP("a") "--a\n\nx\n--a\nContent-Type: a/b\n\ny\n\n--a--\n",
	    "(" PLAIN("1", "0") "(\"a\" \"b\" NIL NIL NIL \"7BIT\" 3" EXT ")"
	    " \"mixed\" (\"boundary\" \"a\") NIL NIL NIL)" },
	{ "Content-Type: multipart; boundary=a\nContent-Location: l\n\n--a\n\n--a--\n",
	    "(" PLAIN("0", "0") " \"mixed\" (\"boundary\" \"a\") NIL NIL \"l\")" },
	{ MP("a") "--a\n" MP("b") "--b\n\nx\n--a--\n", "((" PLAIN("1", "0")
	    " \"mixed\" (\"boundary\" \"b\") NIL NIL NIL) \"mixed\" (\"boundary\" \"a\") NIL NIL NIL)" },
	{ "Content-Type: multipart/mixed\nContent-Transfer-Encoding: 8bit\n\nx\n",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"8bit\" 3 1" EXT ")" },
	{ MP("a") "x", PLAIN("1", "0") },
	/* messages */
	{ "Content-Type: Message/RFC822; a=b\n\nSubject: s\n\nx\n",
	    "(\"Message\" \"RFC822\" (\"a\" \"b\") NIL NIL \"7BIT\" 17 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	    PLAIN("3", "1") " 3" EXT ")" },
	{ "Content-Type: multipart/digest; boundary=a\n\n--a\n\n\nx\n--a--\n",
	    "((\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 3 " NO_ENVELOPE " " PLAIN("1", "0") " 1" EXT ")"
	    " \"digest\" (\"boundary\" \"a\") NIL NIL NIL)" },
	{ "Content-Type: message/rfc822; name=n\nContent-Transfer-Encoding: base64\n\nAAAA\n",
	    "(\"application\" \"octet-stream\" (\"name\" \"n\") NIL NIL \"base64\" 6" EXT ")" },
	{ "Content-Type: message/rfc822", "(\"application\" \"octet-stream\" NIL NIL NIL \"7BIT\" 0" EXT ")" },
	{ "Content-Type: message/global\n\n" MP("a") "--a\n\nx",
	    "(\"message\" \"global\" NIL NIL NIL \"7BIT\" 53" EXT ")" },
	{ "Content-Type: message/partial\n\nx", "(\"message\" \"partial\" NIL NIL NIL \"7BIT\" 1" EXT ")" },
};

static void
print_body(struct bytes message, unsigned how, struct buf *out)
{
	struct arena *a = arena_new(MIME_TREE_ARENA), *scratch = arena_new(IMAP_SCRATCH);
	struct mime_tree t;

	buf_clear(out);
	mime_tree_parse(message, a, &t);
	imap_body(&t, how, scratch, out);
	arena_free(&a);
	arena_free(&scratch);
}

static void
test_structures(void **state)
{
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 100000);
	for (i = 0; i < LEN(structures); i++) {
		print_body(text(structures[i].message), IMAP_EXTENDED, &out);
		assert_row_bytes(structures[i].message, buf_bytes(&out), text(structures[i].want));
		assert_row_int(structures[i].message, grammar_body(buf_bytes(&out), true, false) > 0, true);
		print_body(text(structures[i].message), 0, &out);
		assert_row_int(structures[i].message, grammar_body(buf_bytes(&out), false, false) > 0, true);
	}
	buf_fini(&out);
}

#undef EXT
#define EXT	""

/* Without extension data; and what a client of RFC 9051 is told of message/global. */
static void
test_body(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100000);
	print_body(text(MP("a") "--a\nContent-MD5: x\n\nx\n--a--\n"), 0, &out);
	assert_bytes_equal(buf_bytes(&out), text("(" PLAIN("1", "0") " \"mixed\")"));
	print_body(text("Content-Type: message/global\n\nSubject: s\n\nx"), IMAP_GLOBAL, &out);
	assert_bytes_equal(buf_bytes(&out), text("(\"message\" \"global\" NIL NIL NIL \"7BIT\" 15 "
	    "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) " PLAIN("1", "0") " 2)"));
	assert_int_equal(grammar_body(buf_bytes(&out), false, true), 2);
	assert_int_equal(grammar_body(buf_bytes(&out), false, false), 0);
	buf_fini(&out);
}

/* ---- limits ---- */

static void
repeat(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_text(b, s);
}

static size_t
count(struct bytes s, const char *what)
{
	size_t i, n = 0;

	for (i = 0; i < s.n; i++)
		n += bytes_starts(bytes_skip(s, i), text(what));
	return n;
}

static void
print_envelope(struct bytes header, struct buf *out)
{
	struct arena *scratch = arena_new(IMAP_SCRATCH);

	buf_clear(out);
	imap_envelope(header, scratch, out);
	assert_true(grammar_envelope(buf_bytes(out)));
	arena_free(&scratch);
}

static void
test_limits(void **state)
{
	struct buf b, out;
	size_t i;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_init(&out, 1 << 20);
	for (i = 0; i < 2; i++) {
		buf_clear(&b);
		buf_text(&b, "Subject: ");
		repeat(&b, "x", IMAP_FIELD_MAX + i);
		buf_text(&b, "\n");
		print_envelope(buf_bytes(&b), &out);
		assert_int_equal(count(buf_bytes(&out), "x"), IMAP_FIELD_MAX);
		buf_clear(&b);
		buf_text(&b, "To: ");
		repeat(&b, "a@b,", IMAP_ADDRESSES_MAX + i);
		print_envelope(buf_bytes(&b), &out);
		assert_int_equal(count(buf_bytes(&out), "\"a\" \"b\""), IMAP_ADDRESSES_MAX);
		buf_clear(&b);
		buf_text(&b, "To: G:");
		repeat(&b, "a@b,", IMAP_ADDRESSES_MAX - 2 + i);
		print_envelope(buf_bytes(&b), &out);
		assert_int_equal(count(buf_bytes(&out), "\"a\" \"b\""), IMAP_ADDRESSES_MAX - 2 + i);
		assert_int_equal(count(buf_bytes(&out), "(NIL NIL NIL NIL)"), 1);
		buf_clear(&b);
		buf_text(&b, "Content-Language: ");
		repeat(&b, "tag,", IMAP_LANGUAGES_MAX + i);
		print_body(buf_bytes(&b), IMAP_EXTENDED, &out);
		assert_int_equal(count(buf_bytes(&out), "\"tag\""), IMAP_LANGUAGES_MAX);
		buf_clear(&b);
		buf_text(&b, "Content-ID: ");
		repeat(&b, "y", IMAP_FIELD_MAX - 1 + i);	/* the space is one octet of it */
		print_body(buf_bytes(&b), IMAP_EXTENDED, &out);
		assert_int_equal(count(buf_bytes(&out), "yyy"), IMAP_FIELD_MAX - 1 - 2);
	}
	buf_fini(&b);
	buf_fini(&out);
}

/* An answer that just fits, and one octet less of room. */
static void
test_full(void **state)
{
	static const char message[] = MP("a") "--a\nContent-Type: message/rfc822\n\nSubject: \xff\n\nx\n";
	struct buf out;
	size_t i, n;

	(void)state;
	buf_init(&out, 10000);
	print_body(text(message), IMAP_EXTENDED, &out);
	n = out.n;
	buf_fini(&out);
	for (i = 0; i <= n; i++) {
		buf_init(&out, i);
		print_body(text(message), IMAP_EXTENDED, &out);
		assert_int_equal(out.full, i < n);
		buf_fini(&out);
	}
}

/* RFC 3501's numbers have 32 bits. */
static void
test_numbers(void **state)
{
	struct arena *scratch = arena_new(IMAP_SCRATCH);
	struct mime_part part = { .kind = MIME_SINGLE };
	struct mime_tree t = { .root = &part, .parts = 1 };
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	part.end = (struct mime_mark){ .at = (size_t)UINT32_MAX - 1, .bare = 1, .lines = (size_t)UINT32_MAX + 1 };
	imap_body(&t, 0, scratch, &out);
	assert_bytes_equal(buf_bytes(&out), text(PLAIN("4294967295", "4294967295")));
	buf_clear(&out);
	part.end.bare = 2;
	imap_body(&t, 0, scratch, &out);
	assert_bytes_equal(buf_bytes(&out), text(PLAIN("4294967295", "4294967295")));
	buf_fini(&out);
	arena_free(&scratch);
}

/* As deep and as many as a tree can have, and more. */
static void
test_deep_and_many(void **state)
{
	static const struct { const char *start, *unit; size_t n; unsigned bodies; } cases[] = {
		{ "", "Content-Type: message/rfc822\n\n", MIME_DEPTH_MAX, MIME_DEPTH_MAX + 1 },
		{ "", "Content-Type: message/rfc822\n\n", MIME_DEPTH_MAX + 1, MIME_DEPTH_MAX + 1 },
		{ "", MP("a") "--a\n", MIME_DEPTH_MAX, MIME_DEPTH_MAX + 1 },
		/* the boundary of one that is too deep is also that of the one around it */
		{ "", MP("a") "--a\n", MIME_DEPTH_MAX + 1, MIME_DEPTH_MAX + 2 },
		{ "", MP("a") "--a\n", 100000, MIME_PARTS_MAX + 1 },
		{ MP("a"), "--a\n\nx\n", MIME_PARTS_MAX - 1, MIME_PARTS_MAX },
		{ MP("a"), "--a\n\nx\n", MIME_PARTS_MAX, MIME_PARTS_MAX + 1 },
		{ MP("a"), "--a\n\nx\n", 100000, MIME_PARTS_MAX + 1 },
		{ MP("a"), "--a\nContent-Type: message/rfc822\n\nFrom: a@b\n\nx\n", 10000, MIME_PARTS_MAX + 1 },
	};
	struct buf b, out;
	size_t i;

	(void)state;
	buf_init(&b, 16 << 20);
	buf_init(&out, 16 << 20);
	for (i = 0; i < LEN(cases); i++) {
		buf_clear(&b);
		buf_text(&b, cases[i].start);
		repeat(&b, cases[i].unit, cases[i].n);
		print_body(buf_bytes(&b), IMAP_EXTENDED, &out);
		assert_row_int(cases[i].unit, grammar_body(buf_bytes(&out), true, false), cases[i].bodies);
	}
	buf_fini(&b);
	buf_fini(&out);
}

/* ---- time ---- */

static double
seconds(struct bytes message, struct buf *out)
{
	double least = 1e9, now;
	clock_t start;
	int i;

	for (i = 0; i < 3; i++) {
		start = clock();
		print_body(message, IMAP_EXTENDED, out);
		print_envelope(message, out);
		now = (double)(clock() - start) / CLOCKS_PER_SEC;
		least = now < least ? now : least;
	}
	return least;
}

/* Twice as much takes about twice as long (CVE-2024-23184: 100,000 address lines took 12 s). */
static void
test_linear(void **state)
{
	static const struct { const char *start, *unit; } cases[] = {
		{ "To: a@b", ",\n a@b" }, { "", "To: a@b\n" }, { "To: ", "(" }, { "To: ", "[," }, { "To: ", "\"," },
		{ "To: ", "x:a b;" }, { "Subject: ", "\xff" }, { "Content-Type: a/b", ";a*0*=b" },
		{ MP("a"), "--a\nContent-Type: a/b; c=d\nContent-Disposition: a; b=c\n\n" },
		{ "", "Content-Type: message/rfc822\nTo: a@b\n\n" },
	};
	struct buf b, out;
	double once;
	size_t i;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_init(&out, 16 << 20);
	for (i = 0; i < LEN(cases); i++) {
		buf_clear(&b);
		buf_text(&b, cases[i].start);
		while (b.n < 48 << 10)
			buf_text(&b, cases[i].unit);
		once = seconds(buf_bytes(&b), &out);
		while (b.n < 96 << 10)
			buf_text(&b, cases[i].unit);
		assert_true(seconds(buf_bytes(&b), &out) < 3 * once + 0.05);
	}
	buf_fini(&b);
	buf_fini(&out);
}

/* ---- messages of others ---- */

static const char *const vectors[] = {
	"mime4j/bad-newlines-multiple-parts-base64.msg",
	"mime4j/bad-newlines-multiple-parts.msg",
	"mime4j/base64-encoded-text.msg",
	"mime4j/base64encoded-rfc822message-nested.msg",
	"mime4j/base64encoded-rfc822message.msg",
	"mime4j/basic-plain-very-long-lines.msg",
	"mime4j/basic-plain-with-bad-header-separator.msg",
	"mime4j/basic-plain.msg",
	"mime4j/boundary-name-clash.msg",
	"mime4j/ending-boundaries.msg",
	"mime4j/example.msg",
	"mime4j/intermediate-boundaries.msg",
	"mime4j/malformedHeader-nocrlfcrlf.msg",
	"mime4j/malformedHeader-noheader.msg",
	"mime4j/malformedHeaderStartsBody-nocrlfcrlf.msg",
	"mime4j/malformedHeaderStartsBody-noheader.msg",
	"mime4j/misplaced-boundary.msg",
	"mime4j/missing-boundary.msg",
	"mime4j/missing-inner-boundary.msg",
	"mime4j/missing-inner-start-boundary.msg",
	"mime4j/multipartdigestnestedemptyparts.msg",
	"mime4j/multipartemptypart.msg",
	"mime4j/multipartnestedemptyparts.msg",
	"mime4j/multipartnestedemptypartsnorfc822.msg",
	"mime4j/multipartnopart.msg",
	"mime4j/obsolete.msg",
	"mime4j/qp-body.msg",
	"mime4j/russian-headers.msg",
	"mime4j/simple-attachment.msg",
	"mime4j/very-long-boundary.msg",
	"mime4j/very-very-long-boundary.msg",
	"mime4j/weird-boundary.msg",
	"mimetools/2002_06_12_doublebound.msg",
	"mimetools/ak-0696.msg",
	"mimetools/attachment-filename-encoding-Latin1.msg",
	"mimetools/attachment-filename-encoding-UTF8.msg",
	"mimetools/badbound.msg",
	"mimetools/badfile.msg",
	"mimetools/bluedot-postcard.msg",
	"mimetools/bluedot-simple.msg",
	"mimetools/double-bound.msg",
	"mimetools/double-semicolon.msg",
	"mimetools/double-semicolon2.msg",
	"mimetools/dup-names.msg",
	"mimetools/empty-preamble.msg",
	"mimetools/frag.msg",
	"mimetools/german-qp.msg",
	"mimetools/german.msg",
	"mimetools/hdr-fakeout.msg",
	"mimetools/infinite.msg",
	"mimetools/intl.msg",
	"mimetools/jt-0498.msg",
	"mimetools/lennie.msg",
	"mimetools/mp-msg-rfc822.msg",
	"mimetools/multi-2evil.msg",
	"mimetools/multi-2gifs-base64.msg",
	"mimetools/multi-2gifs.msg",
	"mimetools/multi-bad.msg",
	"mimetools/multi-badnames.msg",
	"mimetools/multi-clen.msg",
	"mimetools/multi-digest.msg",
	"mimetools/multi-frag.msg",
	"mimetools/multi-igor.msg",
	"mimetools/multi-igor2.msg",
	"mimetools/multi-nested.msg",
	"mimetools/multi-nested2.msg",
	"mimetools/multi-nested3.msg",
	"mimetools/multi-simple.msg",
	"mimetools/multi-weirdspace.msg",
	"mimetools/not-mime.msg",
	"mimetools/re-fwd.msg",
	"mimetools/russian.msg",
	"mimetools/sig-uu.msg",
	"mimetools/simple.msg",
	"mimetools/ticket-60931.msg",
	"mimetools/twopart.msg",
	"mimetools/uu-junk-target.msg",
	"mimetools/uu-junk.msg",
	"mimetools/uu-zeegee.msg",
	"mimetools/x-gzip64.msg",
};

/* Those of the MIME-tools and mime4j collections: whatever they are, it is legal grammar. */
static void
test_vectors(void **state)
{
	struct bytes message;
	struct buf out;
	char name[200];
	size_t i;

	(void)state;
	buf_init(&out, 1 << 20);
	for (i = 0; i < LEN(vectors); i++) {
		snprintf(name, sizeof name, "mime/%s", vectors[i]);
		message = vector(name);
		print_envelope(message, &out);
		print_body(message, IMAP_EXTENDED, &out);
		assert_row_int(name, grammar_body(buf_bytes(&out), true, false) > 0, true);
		print_body(message, IMAP_GLOBAL, &out);
		assert_row_int(name, grammar_body(buf_bytes(&out), false, true) > 0, true);
	}
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelopes),
		cmocka_unit_test(test_structures),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_deep_and_many),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
