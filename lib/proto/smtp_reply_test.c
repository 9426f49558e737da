/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/smtp_reply.h"

#define A50	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A500	A50 A50 A50 A50 A50 A50 A50 A50 A50 A50

static const struct { unsigned code; const char *text, *out; } written[] = {
	{ 250, "2.0.0 ok", "250 2.0.0 ok\r\n" },
	{ 250, "ok", "250 ok\r\n" },
	{ 250, "", "250 \r\n" },
	{ 550, "5.7.2", "550 5.7.2\r\n" },
	{ 354, "go on", "354 go on\r\n" },
	{ 550, "5.1.1 a\nb", "550-5.1.1 a\r\n550 5.1.1 b\r\n" },
	{ 550, "5.1.1 a\r\n250 ok", "550-5.1.1 a?\r\n550 5.1.1 250 ok\r\n" },	/* still one reply */
	{ 250, "a\xc3\xa9\x1b[1m", "250 a???[1m\r\n" },
	{ 554, "5.7.1x no status", "554 5.7.1x no status\r\n" },
	{ 250, "2.0.0 " A500 " " A500, NULL },	/* only as lines that are not too long */
	{ 250, A50 " " A500, NULL },
};

static void
test_written(void **state)
{
	struct bytes rest, line;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 65536);
	for (i = 0; i < LEN(written); i++) {
		buf_clear(&b);
		smtp_reply_text(&b, written[i].code, written[i].text);
		if (written[i].out != NULL)
			assert_row_bytes(written[i].text, buf_bytes(&b), text(written[i].out));
		for (rest = buf_bytes(&b); rest.n > 0;) {
			line = bytes_cut(&rest, '\n');
			assert_true(line.n + 1 <= SMTP_REPLY_LINE_MAX);
		}
	}
	buf_clear(&b);
	smtp_reply_fmt(&b, 452, "4.5.3 %u too many", 7);
	assert_bytes_equal(buf_bytes(&b), text("452 4.5.3 7 too many\r\n"));
	buf_clear(&b);
	smtp_reply_line(&b, 250, false, text("SIZE 10"));
	smtp_reply_line(&b, 250, true, text("HELP\r\n"));
	assert_bytes_equal(buf_bytes(&b), text("250-SIZE 10\r\n250 HELP??\r\n"));
	buf_clear(&b);
	smtp_safe_text(text("a(b)\\\n\xff" "cdef"), 9, true, &b);
	assert_bytes_equal(buf_bytes(&b), text("a?b????cd..."));
	buf_fini(&b);
}

static const struct { const char *s; size_t n; unsigned status[3]; } codes[] = {
	{ "5.7.2", 5, { 5, 7, 2 } },
	{ "5.7.2 x", 6, { 5, 7, 2 } },
	{ "2.999.999 ", 10, { 2, 999, 999 } },
	{ "5.7", 0, { 0 } },
	{ "5.7.", 0, { 0 } },
	{ "5.7.x", 0, { 0 } },
	{ "5.7.2x", 0, { 0 } },
	{ "3.7.2", 0, { 0 } },
	{ "5.1000.2", 0, { 0 } },
	{ "", 0, { 0 } },
};

static void
test_status(void **state)
{
	unsigned status[3];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(codes); i++) {
		memset(status, 0, sizeof status);
		assert_row_int(codes[i].s, smtp_status_take(text(codes[i].s), status), codes[i].n);
		assert_memory_equal(status, codes[i].status, sizeof status);
	}
}

static const struct {
	const char *lines;
	enum smtp_reply_status want;
	unsigned code, status[3];
	const char *text;
} read_rows[] = {
	{ "250 ok", SMTP_REPLY_DONE, 250, { 0 }, "ok" },
	{ "250", SMTP_REPLY_DONE, 250, { 0 }, "" },
	{ "250 ", SMTP_REPLY_DONE, 250, { 0 }, "" },
	{ "250-a\n250-\n250 b", SMTP_REPLY_DONE, 250, { 0 }, "a\n\nb" },
	{ "250-a", SMTP_REPLY_MORE, 250, { 0 }, "a" },
	{ "550 5.7.2", SMTP_REPLY_DONE, 550, { 5, 7, 2 }, "5.7.2" },		/* CVE-2026-43964 */
	{ "550 5.1.1 <x>: no", SMTP_REPLY_DONE, 550, { 5, 1, 1 }, "5.1.1 <x>: no" },
	{ "550-5.1.1 a\n550 5.1.1 b", SMTP_REPLY_DONE, 550, { 5, 1, 1 }, "5.1.1 a\n5.1.1 b" },
	{ "550 4.1.1 a", SMTP_REPLY_DONE, 550, { 0 }, "4.1.1 a" },
	{ "250-a\n550 b", SMTP_REPLY_BAD, 250, { 0 }, "a" },
	{ "", SMTP_REPLY_BAD, 0, { 0 }, "" },
	{ "25", SMTP_REPLY_BAD, 0, { 0 }, "" },
	{ "2500 x", SMTP_REPLY_BAD, 0, { 0 }, "" },
	{ "150 x", SMTP_REPLY_BAD, 0, { 0 }, "" },
	{ "600 x", SMTP_REPLY_BAD, 0, { 0 }, "" },
	{ "-50 x", SMTP_REPLY_BAD, 0, { 0 }, "" },
	{ "HTTP/1.1 400 Bad", SMTP_REPLY_BAD, 0, { 0 }, "" },
	{ "250\tx", SMTP_REPLY_BAD, 0, { 0 }, "" },
	{ "550 a\rb\033[2J\xc2\x85\xff", SMTP_REPLY_DONE, 550, { 0 }, "a?b?[2J??" },
	{ "550 \xc3\xa9", SMTP_REPLY_DONE, 550, { 0 }, "\xc3\xa9" },
};

static enum smtp_reply_status
read_all(struct smtp_reply *r, struct bytes lines)
{
	enum smtp_reply_status st = SMTP_REPLY_BAD;

	do
		st = smtp_reply_read(r, bytes_cut(&lines, '\n'));
	while (lines.n > 0 && st == SMTP_REPLY_MORE);
	return st;
}

static void
test_read(void **state)
{
	struct smtp_reply r;
	size_t i;

	(void)state;
	smtp_reply_init(&r);
	for (i = 0; i < LEN(read_rows); i++) {
		smtp_reply_reset(&r);
		assert_row_int(read_rows[i].lines, read_all(&r, text(read_rows[i].lines)), read_rows[i].want);
		assert_row_int(read_rows[i].lines, r.code, read_rows[i].code);
		assert_memory_equal(r.status, read_rows[i].status, sizeof r.status);
		assert_row_bytes(read_rows[i].lines, buf_bytes(&r.text), text(read_rows[i].text));
	}
	smtp_reply_fini(&r);
}

/* 250- without end, and lines of a megabyte. */
static void
test_limits(void **state)
{
	static unsigned char big[1 << 20];
	struct smtp_reply r;
	unsigned i;

	(void)state;
	smtp_reply_init(&r);
	for (i = 0; i < SMTP_REPLY_LINES_MAX; i++)
		assert_int_equal(smtp_reply_read(&r, text("250-" A500)), SMTP_REPLY_MORE);
	assert_int_equal(smtp_reply_read(&r, text("250 a")), SMTP_REPLY_BAD);
	assert_true(r.cut && r.text.n <= SMTP_REPLY_KEEP && !r.text.full);
	smtp_reply_reset(&r);
	memset(big, 'a', sizeof big);
	memcpy(big, "250 ", 4);
	assert_int_equal(smtp_reply_read(&r, bytes_of(big, sizeof big)), SMTP_REPLY_DONE);
	assert_true(r.cut && r.text.n == SMTP_REPLY_KEEP);
	smtp_reply_fini(&r);
}

/* Replies of real servers; a file may hold several. */
static const struct { const char *name; unsigned replies, code, lines, status[3]; } vectors[] = {
	{ "auth-failed.txt", 1, 535, 1, { 0 } },
	{ "auth-required.txt", 1, 530, 1, { 5, 7, 0 } },
	{ "bad-command-sequence.txt", 1, 503, 1, { 0 } },
	{ "comcast-auth-digest-md5.txt", 1, 334, 1, { 0 } },
	{ "comcast-auth-plain.txt", 1, 235, 1, { 2, 7, 0 } },
	{ "comcast-data.txt", 1, 354, 1, { 0 } },
	{ "comcast-data-done.txt", 1, 250, 1, { 2, 0, 0 } },
	{ "comcast-ehlo.txt", 1, 250, 7, { 0 } },
	{ "comcast-ehlo+binarymime.txt", 1, 250, 9, { 0 } },
	{ "comcast-ehlo+smtputf8.txt", 1, 250, 8, { 0 } },
	{ "comcast-quit.txt", 1, 221, 1, { 2, 0, 0 } },
	{ "ehlo-failed.txt", 1, 504, 1, { 0 } },
	{ "mailbox-unavailable.txt", 1, 550, 1, { 5, 1, 0 } },
	{ "pipelined-mail-from-rcpt-to.txt", 2, 250, 1, { 2, 1, 5 } },
	{ "pipelined-mailbox-unavailable.txt", 2, 550, 1, { 5, 1, 0 } },
	{ "rfc0821-expn.txt", 1, 250, 6, { 0 } },
	{ "rfc0821-vrfy.txt", 1, 250, 1, { 0 } },
};

static void
test_vectors(void **state)
{
	struct smtp_reply r;
	struct bytes rest;
	unsigned replies;
	char name[128];
	size_t i;

	(void)state;
	smtp_reply_init(&r);
	for (i = 0; i < LEN(vectors); i++) {
		snprintf(name, sizeof name, "smtp-replies/%s", vectors[i].name);
		rest = vector(name);
		for (replies = 0; rest.n > 0;) {
			smtp_reply_reset(&r);
			while (smtp_reply_read(&r, bytes_trim(bytes_cut(&rest, '\n'))) == SMTP_REPLY_MORE)
				;
			replies++;
		}
		assert_row_int(name, replies, vectors[i].replies);
		assert_row_int(name, r.code, vectors[i].code);
		assert_row_int(name, r.lines, vectors[i].lines);
		assert_memory_equal(r.status, vectors[i].status, sizeof r.status);
	}
	smtp_reply_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
