/* SPDX-License-Identifier: ISC */
#include "base/clock.h"
#include "base/mem.h"
#include "proto/testing.h"
#include "proto/imap_reader.h"

#define SMALL_LINE	40
#define SMALL_COMMAND	64

static const struct imap_limits small = { SMALL_LINE, SMALL_COMMAND, 3, 4 };

/*
 * What a caller with few wishes makes of a stream, as text: it streams what follows "APPEND",
 * refuses literals after "NO", accepts the others.
 *	C(text) command; L(text) literal, with what was decided; R: all of a streamed literal's
 *	octets, joined; B(tag) and T(tag): bad and too big; E: ended; X: lost. A star behind
 *	B, T, E: its client has to wait
 */
struct story { struct buf out; bool running; };

static void
tell(struct story *s, const char *what, struct bytes octets)
{
	if (s->running)
		buf_char(&s->out, ')');
	s->running = false;
	buf_fmt(&s->out, "%s(", what);
	for (size_t i = 0; i < octets.n; i++)
		if (octets.p[i] < ' ')
			buf_fmt(&s->out, "<%d>", octets.p[i]);
		else
			buf_char(&s->out, octets.p[i]);
	buf_char(&s->out, ')');
}

static void
tell_run(struct story *s, struct bytes run)
{
	if (!s->running)
		buf_text(&s->out, "R(");
	s->running = true;
	buf_add(&s->out, run);
}

static bool
has(struct bytes s, const char *word)
{
	size_t i, n = strlen(word);

	for (i = 0; i + n <= s.n; i++)
		if (memcmp(s.p + i, word, n) == 0)
			return true;
	return false;
}

static void
decide(struct imap_reader *r, struct story *s)
{
	struct bytes so_far = buf_bytes(&r->text);
	char label[40];

	snprintf(label, sizeof label, "L%s%s%s%llu", r->literal.eight ? "~" : "",
	    r->literal.nonsync ? "+" : "", r->fits ? "" : "!", (unsigned long long)r->literal.octets);
	tell(s, label, text(""));
	if (has(so_far, "APPEND"))
		imap_reader_stream(r);
	else if (has(so_far, "NO"))
		imap_reader_refuse(r);
	else
		imap_reader_accept(r);
}

static bool
listen(struct imap_reader *r, struct bytes in, struct story *s)
{
	struct bytes run;
	enum imap_read st;

	while ((st = imap_reader_next(r, &in, &run)) != IMAP_READ_MORE) {
		switch (st) {
		case IMAP_READ_COMMAND:	tell(s, "C", buf_bytes(&r->text)); break;
		case IMAP_READ_LITERAL:	decide(r, s); break;
		case IMAP_READ_RUN:	tell_run(s, run); break;
		case IMAP_READ_BAD:	tell(s, r->awaited ? "B*" : "B", imap_reader_tag(r)); break;
		case IMAP_READ_TOO_BIG:	tell(s, r->awaited ? "T*" : "T", imap_reader_tag(r)); break;
		case IMAP_READ_ENDED:	tell(s, r->awaited ? "E*" : "E", text("")); break;
		case IMAP_READ_LOST:	tell(s, "X", text("")); return false;
		case IMAP_READ_MORE:	break;
		}
		if (st == IMAP_READ_BAD || st == IMAP_READ_TOO_BIG)
			assert_non_null(r->wrong);
	}
	assert_int_equal(in.n, 0);
	return true;
}

/* Feeds `in` in pieces, the first of `first` octets, the others of `step`. */
static struct bytes
story_of(struct bytes in, size_t first, size_t step, struct story *s)
{
	struct imap_reader r;

	imap_reader_init(&r, &small);
	buf_init(&s->out, 65536);
	s->running = false;
	for (bool on = true; on && in.n > 0; first = step) {
		unsigned char *copy = mem_alloc(first < in.n ? first : in.n);	/* for the sanitizer */
		struct bytes piece = bytes_of(copy, first < in.n ? first : in.n);

		memcpy(copy, in.p, piece.n);
		on = listen(&r, piece, s);
		mem_free(copy);
		in = bytes_skip(in, first);
	}
	if (s->running)
		buf_char(&s->out, ')');
	imap_reader_fini(&r);
	return buf_bytes(&s->out);
}

#define TEN	"0123456789"
#define CASE(in, want)	{ in, sizeof(in) - 1, want }

static const struct { const char *in; size_t n; const char *want; } cases[] = {
	CASE("a NOOP\r\nb CHECK\r\n", "C(a NOOP)C(b CHECK)"),
	CASE("a NOOP\r", ""),
	CASE("\r\n", "C()"),
	/* RFC 3501 sections 4.3, 6.2.3; RFC 7888 section 3 */
	CASE("a LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n",
	    "L11()L7()C(a LOGIN {11}<13><10>FRED FOOBAR {7}<13><10>fat man)"),
	CASE("a LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n",
	    "L+11()L+7()C(a LOGIN {11+}<13><10>FRED FOOBAR {7+}<13><10>fat man)"),
	CASE("a X {0}\r\n\r\n", "L0()C(a X {0}<13><10>)"),
	CASE("a X ~{3+}\r\n\0\r\n {2}\r\n{9\r\n", "L~+3()L2()C(a X ~{3+}<13><10><0><13><10> {2}<13><10>{9)"),
	/* a literal may hold what looks like one, and commands */
	CASE("a X {7+}\r\n{9+}\r\nb\r\n", "L+7()C(a X {7+}<13><10>{9+}<13><10>b)"),
	/* no literals */
	CASE("a X {}\r\n", "C(a X {})"),
	CASE("a X {+}\r\n", "C(a X {+})"),
	CASE("a X {5\r\n", "C(a X {5)"),
	CASE("a X {5 }\r\n", "C(a X {5 })"),
	CASE("a X {-5}\r\n", "C(a X {-5})"),
	CASE("a X {5++}\r\n", "C(a X {5++})"),
	CASE("a X {5+5}\r\n", "C(a X {5+5})"),
	CASE("a X {5} \r\n", "C(a X {5} )"),
	CASE("a X \"{5}\"\r\n", "C(a X \"{5}\")"),
	CASE("a X {{2}\r\nab\r\n", "L2()C(a X {{2}<13><10>ab)"),
	CASE("a X {1{2}\r\nab\r\n", "L2()C(a X {1{2}<13><10>ab)"),
	CASE("a X ~~{2}\r\nab\r\n", "L~2()C(a X ~~{2}<13><10>ab)"),
	CASE("a X ~ {2}\r\nab\r\n", "L2()C(a X ~ {2}<13><10>ab)"),
	/* RFC 7888 section 3: the end of every line counts, even where no literal can be */
	CASE("a X \"{2+}\r\nab\r\n", "L+2()C(a X \"{2+}<13><10>ab)"),

	/* streams: RFC 3501 section 6.3.11, RFC 3502 */
	CASE("a APPEND x {5}\r\nhello\r\nb NOOP\r\n", "L5()R(hello)C(a APPEND x {5}<10>)C(b NOOP)"),
	CASE("a APPEND x {4+}\r\n{9}\r {3+}\r\n\r\nx\r\n",
	    "L+4()R({9}\r)L+3()R(\r\nx)C(a APPEND x {4+}<10> {3+}<10>)"),
	CASE("a APPEND x {0}\r\n {0+}\r\n\r\n", "L0()L+0()C(a APPEND x {0}<10> {0+}<10>)"),
	CASE("a APPEND x {70}\r\n" TEN TEN TEN TEN TEN TEN TEN "\r\n",
	    "L!70()R(" TEN TEN TEN TEN TEN TEN TEN ")C(a APPEND x {70}<10>)"),

	/* refused: a synchronizing one ends its command */
	CASE("a NO {5}\r\nb X\r\n", "L5()E*()C(b X)"),
	CASE("a NO {9}\r\nb X {1}\r\nc\r\n", "L9()E*()L1()C(b X {1}<13><10>c)"),
	/* the octets of the others are data, and so is the line after them */
	CASE("a NO {8+}\r\nb NOOP\r\n\r\nc X\r\n", "L+8()C(c X)"),
	CASE("a NO {8+}\r\nb NOOP\r\nc X\r\nd X\r\n", "L+8()C(d X)"),
	CASE("a NO {3+}\r\nxyz {8+}\r\nb NOOP\r\n\r\nd X\r\n", "L+3()C(d X)"),
	CASE("a NO {3+}\r\nxyz {8}\r\nb X\r\n", "L+3()E*()C(b X)"),
	CASE("a NO {0+}\r\n{0+}\r\n\r\nb X\r\n", "L+0()C(b X)"),
	CASE("a NO {3+}\r\nxyz\0\n\rx{2+}\r\n\r\n\r\nb X\r\n", "L+3()C(b X)"),
	CASE("a NO {99999999999999999999}\r\nb X\r\n", "T*(a)C(b X)"),
	CASE("a NO {3+}\r\nxyz{99999999999999999999+}\r\nb X\r\n", "L+3()X()"),

	/* lines that are dropped end where they would have ended */
	CASE("a N\nb X\r\nc X\r\n", "B(a)C(c X)"),
	CASE("a N\rb X\r\nc X\r\n", "B(a)C(c X)"),
	CASE("a N\r\r\nc X\r\n", "B(a)C(c X)"),
	CASE("a N\r\r\r\nc X\r\n", "B(a)C(c X)"),
	CASE("a N\0\r\nc X\r\n", "B(a)C(c X)"),
	CASE("\na X\r\nc X\r\n", "B()C(c X)"),
	CASE("a\0 X\r\nc X\r\n", "B()C(c X)"),
	CASE("a+ N\0\r\n", "B()"),
	CASE("a N\0{8+}\r\nb NOOP\r\n\r\nc X\r\n", "B(a)C(c X)"),
	CASE("a N\n{8+}\r\nb NOOP\r\n\r\nc X\r\n", "B(a)C(c X)"),
	CASE("a N\r{8+}\r\nb NOOP\r\n\r\nc X\r\n", "B(a)C(c X)"),
	CASE("a N\n{8}\r\nb X\r\n", "B*(a)C(b X)"),
	CASE("a N\n{8+}\r\r\nb X\r\n", "B(a)C(b X)"),
	CASE("a N\n{8+}\nx\r\nb X\r\n", "B(a)C(b X)"),
	CASE("a N\n{8\r+}\r\nb X\r\n", "B(a)C(b X)"),
	CASE("a {1+}\r\nx\n\r\nb X\r\n", "L+1()B(a)C(b X)"),
	CASE("a {1+}\r\nx\n{3+}\r\nb\r\n\r\nb X\r\n", "L+1()B(a)C(b X)"),
	CASE("a N\0{9223372036854775808+}\r\nb X\r\n", "X()"),

	/* limits: 40 octets a line, 64 a command, 3 literals, a depth of 4; at each, and one past it */
	CASE("a " TEN TEN TEN "012345\r\nb X\r\n", "C(a " TEN TEN TEN "012345)C(b X)"),
	CASE("a " TEN TEN TEN "0123456\r\nb X\r\n", "T(a)C(b X)"),
	CASE("a " TEN TEN TEN "01234567{4+}\r\nb X\r\r\nc X\r\n", "T(a)C(c X)"),
	CASE("a " TEN TEN TEN "012345{7+}\r\nb X\r\n\r\n\r\nc X\r\n", "T(a)C(c X)"),
	CASE("a " TEN TEN TEN "01234{6}\r\nb X\r\n", "T*(a)C(b X)"),
	CASE("a {50}\r\n" TEN TEN TEN TEN TEN "0123\r\n", "L50()C(a {50}<13><10>" TEN TEN TEN TEN TEN "0123)"),
	CASE("a {54}\r\n" TEN TEN TEN TEN TEN "0123\r\n", "L54()C(a {54}<13><10>" TEN TEN TEN TEN TEN "0123)"),
	CASE("a {54}\r\n" TEN TEN TEN TEN TEN "01234\r\nb X\r\n", "L54()T(a)C(b X)"),
	CASE("a {55}\r\nb X\r\n", "L!55()T*(a)C(b X)"),
	CASE("a {55+}\r\n" TEN TEN TEN TEN TEN "b X\r\n\r\nb X\r\n", "L+!55()T(a)C(b X)"),
	CASE("a {0+}\r\n{0+}\r\n{0+}\r\n\r\n", "L+0()L+0()L+0()C(a {0+}<13><10>{0+}<13><10>{0+}<13><10>)"),
	CASE("a {0+}\r\n{0+}\r\n{0+}\r\n{1+}\r\nx\r\nb X\r\n", "L+0()L+0()L+0()T(a)C(b X)"),
	CASE("a {0+}\r\n{0+}\r\n{0+}\r\n{1}\r\nb X\r\n", "L+0()L+0()L+0()T*(a)C(b X)"),
	CASE("a APPEND {0+}\r\n{0+}\r\n{0+}\r\n{1+}\r\nx\r\nb X\r\n", "L+0()L+0()L+0()T(a)C(b X)"),
	/* 62 octets with the CRLF of the second line: one more and the last has no room */
	CASE("a APPEND 01234567890123 {1}\r\nx" TEN TEN "0123456 {1}\r\ny\r\n",
	    "L1()R(x)L!1()R(y)C(a APPEND 01234567890123 {1}<10>" TEN TEN "0123456 {1}<10>)"),
	CASE("a APPEND 01234567890123 {1}\r\nx" TEN TEN "01234567 {1}\r\nb X\r\n", "L1()R(x)T*(a)C(b X)"),
	CASE("a (([[]]))\r\n", "C(a (([[]])))"),
	CASE("a (([[(\r\nb X\r\n", "T(a)C(b X)"),
	CASE("a [[[[[\r\nb X\r\n", "T(a)C(b X)"),		/* CVE-2026-42006: the other bracket */
	CASE("a (((({1+}\r\n( (\r\nb X\r\n", "L+1()T(a)C(b X)"),
	CASE("a ()()()()()\r\n", "C(a ()()()()())"),
	CASE("a ))))(((\r\n", "C(a ))))((()"),
	CASE("a \"((((((\\\"(\"\r\n", "C(a \"((((((\\\"(\")"),
	CASE("a \"\\\\\"(((((\"\r\n", "T(a)"),
	CASE("a {6+}\r\n((((((\r\n", "L+6()C(a {6+}<13><10>(((((()"),

	CASE("a APPEND x {9223372036854775807+}\r\nab", "L+!9223372036854775807()R(ab)"),
	CASE("a X {9223372036854775807+}\r\nb X\r\nc X\r\n", "L+!9223372036854775807()"),
	CASE("a X {000000000000000000000001}\r\nb\r\n", "L1()C(a X {000000000000000000000001}<13><10>b)"),
	CASE("a X {9223372036854775808}\r\nb X\r\n", "T*(a)C(b X)"),
	CASE("a X {9223372036854775808+}\r\nb X\r\n", "X()"),
	CASE("a X {18446744073709551617+}\r\nb X\r\n", "X()"),	/* 2^64 + 1 */
};

static void
test_streams(void **state)
{
	struct story s;
	size_t i, k;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		struct bytes in = bytes_of(cases[i].in, cases[i].n);

		for (k = 1; k <= in.n; k++) {
			assert_row_bytes(cases[i].in, story_of(in, k, in.n, &s), text(cases[i].want));
			buf_fini(&s.out);
			assert_row_bytes(cases[i].in, story_of(in, k, k, &s), text(cases[i].want));
			buf_fini(&s.out);
		}
	}
}

/* RFC 2177, RFC 3501 section 6.2.2: lines that are no commands. */
static void
test_raw(void **state)
{
	struct imap_reader r;
	struct bytes run, in = text("DONE {3+}\r\nb\nc {3+}\r\nd {1+}\r\nx\r\n");

	(void)state;
	imap_reader_init(&r, &small);
	imap_reader_raw(&r);
	assert_int_equal(imap_reader_next(&r, &in, &run), IMAP_READ_COMMAND);
	assert_bytes_equal(buf_bytes(&r.text), text("DONE {3+}"));
	imap_reader_raw(&r);
	assert_int_equal(imap_reader_next(&r, &in, &run), IMAP_READ_BAD);
	assert_bytes_equal(imap_reader_tag(&r), text(""));
	assert_int_equal(imap_reader_next(&r, &in, &run), IMAP_READ_LITERAL);
	imap_reader_accept(&r);
	assert_int_equal(imap_reader_next(&r, &in, &run), IMAP_READ_COMMAND);
	assert_bytes_equal(imap_reader_tag(&r), text("d"));
	imap_reader_idle(&r);
	assert_null(r.text.p);
	imap_reader_fini(&r);
}

/* After login more is allowed; what was dropped is counted, so that a session can lose patience. */
static void
test_limits(void **state)
{
	struct imap_reader r;
	static unsigned char line[2 * IMAP_LINE_MAX];
	struct bytes run, in;

	(void)state;
	memset(line, 'x', sizeof line);
	memcpy(line, "a NOOP ", 7);
	imap_reader_init(&r, &imap_limits_login);
	in = bytes_of(line, IMAP_LINE_LOGIN_MAX);
	assert_int_equal(imap_reader_next(&r, &in, &run), IMAP_READ_MORE);
	assert_int_equal(r.dropped, 2);
	in = text("\r\n");
	assert_int_equal(imap_reader_next(&r, &in, &run), IMAP_READ_TOO_BIG);
	imap_reader_limits(&r, &imap_limits_session);
	memcpy(line + IMAP_LINE_MAX - 2, "\r\n", 2);
	in = bytes_of(line, IMAP_LINE_MAX);
	assert_int_equal(imap_reader_next(&r, &in, &run), IMAP_READ_COMMAND);
	assert_int_equal(r.text.n, IMAP_LINE_MAX - 2);
	memcpy(line + IMAP_LINE_MAX - 2, "x\r\n", 3);
	in = bytes_of(line, IMAP_LINE_MAX + 1);
	assert_int_equal(imap_reader_next(&r, &in, &run), IMAP_READ_TOO_BIG);
	imap_reader_fini(&r);
}

/* A megabyte octet by octet, of the longest lines, of a literal that is skipped, of tiny commands:
 * the time is linear. */
static void
test_linear(void **state)
{
	enum { N = 1 << 20 };
	static const char *const units[] = { "x", "{1", "a NO {1048576+}\r\n", "a X {1+}\r\n", "a\r\n", "\r" };
	unsigned char *in = mem_alloc(N);
	uint64_t start = clock_mono_ms();
	struct bytes piece, run;
	struct imap_reader r;
	enum imap_read st;

	(void)state;
	for (size_t u = 0; u < LEN(units); u++) {
		for (size_t i = 0; i < N; i++)
			in[i] = (unsigned char)units[u][i % strlen(units[u])];
		imap_reader_init(&r, &imap_limits_session);
		for (size_t i = 0; i < N; i++) {
			piece = bytes_of(in + i, 1);
			while ((st = imap_reader_next(&r, &piece, &run)) != IMAP_READ_MORE)
				if (st == IMAP_READ_LITERAL && r.literal.octets > 1)
					imap_reader_refuse(&r);
				else if (st == IMAP_READ_LITERAL)
					imap_reader_accept(&r);
		}
		imap_reader_fini(&r);
	}
	assert_true(clock_mono_ms() - start < 10000);
	mem_free(in);
}

static void
test_tags(void **state)
{
	static const struct { const char *tag; bool ok; } tags[] = {
		{ "a001", true }, { "*", false }, { "+", false }, { "a+", false }, { "", false },
		{ "A.1-]", true }, { "a(", false }, { "a%", false }, { "a\"", false }, { "a\\", false },
		{ "a{", false }, { "a\t", false }, { "a\x7f", false }, { "\xc3\xa4", false },
	};
	char longest[IMAP_TAG_MAX + 2];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(tags); i++)
		assert_row_int(tags[i].tag, imap_tag_ok(text(tags[i].tag)), tags[i].ok);
	memset(longest, 'a', sizeof longest);
	assert_true(imap_tag_ok(bytes_of(longest, IMAP_TAG_MAX)));
	assert_false(imap_tag_ok(bytes_of(longest, IMAP_TAG_MAX + 1)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
