/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/rfc5322_head.h"

static const struct head_limits unlimited;

/* In one piece, or in pieces of `step` octets. */
static void
scan(struct head *h, struct bytes content, const struct head_limits *limits, const struct bytes *names,
    size_t names_n, size_t step)
{
	head_init(h, limits, text("mx.our.test"), names, names_n);
	while (content.n > 0) {
		head_feed(h, bytes_head(content, step));
		content = bytes_skip(content, step);
	}
	head_end(h);
}

/* The content without what is in ranges. */
static struct bytes
without(const struct head *h, struct bytes content, unsigned char *out)
{
	uint64_t at = 0;
	size_t n = 0;
	unsigned i;

	for (i = 0; i < h->ranges_n; i++) {
		memcpy(out + n, content.p + at, h->ranges[i].at - at);
		n += h->ranges[i].at - at;
		at = h->ranges[i].at + h->ranges[i].n;
	}
	memcpy(out + n, content.p + at, content.n - at);
	return bytes_of(out, n + content.n - at);
}

#define BEFORE	"Received: x\r\n"
#define AFTER	"From: a@b\r\n\r\nbody\r\n"

/* Fields that claim to be ours, and some that do not. */
static const struct { const char *field; bool ours; } results[] = {
	{ "Authentication-Results: mx.our.test; dmarc=pass\r\n", true },
	{ "authentication-RESULTS: MX.Our.TEST; dmarc=pass\r\n", true },
	{ "Authentication-Results : mx.our.test; dmarc=pass\r\n", true },
	{ "Authentication-Results\t :mx.our.test;dmarc=pass\r\n", true },
	{ "Authentication-Results: mx.our.test 1; none\r\n", true },
	{ "Authentication-Results: mx.our.test/1; none\r\n", true },
	{ "Authentication-Results: mx.our.test\r\n", true },
	{ "Authentication-Results: mx.our.test.; none\r\n", true },
	{ "Authentication-Results: (c) mx.our.test; none\r\n", true },
	{ "Authentication-Results : (c) \"mx.our.test\" 1; none\r\n", true },
	{ "Authentication-Results: (a (nested \\) b) c) mx.our.test; none\r\n", true },
	{ "Authentication-Results: \"mx.our.test\"; none\r\n", true },
	{ "Authentication-Results: \"mx\\.our.te\\st\"; none\r\n", true },
	{ "Authentication-Results: \"mx.our\".test; none\r\n", true },
	{ "Authentication-Results: mx . our (x) . test; none\r\n", true },
	{ "Authentication-Results:\r\n mx.our.test; none\r\n", true },
	{ "Authentication-Results:\r\n\t(c)\r\n \"mx.our.\r\n test\"; none\r\n", false },	/* a space in it */
	{ "Authentication-Results:\r\n\t(c\r\n d)\r\n \"mx.our.test\"\r\n 1\r\n ; none\r\n", true },
	{ "Authentication-Results: \r\n \r\n mx.our.test; none\r\n", true },
	{ "Authentication-Results:mx.our.test(c);none\r\n", true },
	{ "Authentication-Results: mx.our.test; none\n", true },		/* a bare LF ends it all the same */
	/* whose cannot be told */
	{ "Authentication-Results:\r\n", true },
	{ "Authentication-Results: (mx.our.test; none\r\n", true },
	{ "Authentication-Results: \"mx.our.test; none\r\n", true },
	{ "Authentication-Results: ; none\r\n", true },
	{ "Authentication-Results: mx.our.test\1; none\r\n", true },
	/* others */
	{ "Authentication-Results: mx.other.test; dmarc=pass\r\n", false },
	{ "Authentication-Results: xmx.our.test; dmarc=pass\r\n", false },
	{ "Authentication-Results: mx.our.testx; dmarc=pass\r\n", false },
	{ "Authentication-Results: mx.our; dmarc=pass\r\n", false },
	{ "Authentication-Results: (mx.our.test) other.test; dmarc=pass\r\n", false },
	{ "Authentication-Results: other.test mx.our.test; dmarc=pass\r\n", false },
	{ "Authentication-Results: other.test; mx.our.test\r\n", false },
	{ "ARC-Authentication-Results: i=1; mx.our.test; dmarc=pass\r\n", false },
	{ "X-Authentication-Results: mx.our.test; dmarc=pass\r\n", false },
	{ "Authentication-Results-X: mx.our.test; dmarc=pass\r\n", false },
};

static void
test_results(void **state)
{
	static struct head h;
	char content[1000];
	unsigned char rest[1000];
	size_t i, step;

	(void)state;
	for (i = 0; i < LEN(results); i++)
		for (step = 1; step < 40; step += 19) {
			snprintf(content, sizeof content, BEFORE "%s" AFTER, results[i].field);
			scan(&h, text(content), &unlimited, NULL, 0, step);
			assert_row_int(results[i].field, h.ours, results[i].ours);
			assert_row_int(results[i].field, h.fields, 3);
			assert_row_int(results[i].field, h.ranges_n, results[i].ours);
			if (results[i].ours)
				assert_row_bytes(results[i].field, without(&h, text(content), rest),
				    text(BEFORE AFTER));
		}
}

/* Nothing hides behind a line that is no field, a long comment, or many of its kind. */
static void
test_results_hidden(void **state)
{
	static struct head h;
	static unsigned char content[100000], rest[100000];
	struct head_limits limits = { 0 };
	size_t n = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < 50; i++)
		n += (size_t)snprintf((char *)content + n, sizeof content - n,
		    "Authentication-Results: mx.our.test; n=%u\r\n", i);
	n += (size_t)snprintf((char *)content + n, sizeof content - n, "no field\r\n"
	    "Authentication-Results: mx.our.test; a\r\n\tX: y\r\nSubject: s\r\n"
	    "Authentication-Results: (%5000d) mx.our.test; a\r\n\r\n"
	    "Authentication-Results: mx.our.test; body\r\n", 1);
	scan(&h, bytes_of(content, n), &limits, NULL, 0, 77);
	assert_int_equal(h.ours, 52);
	assert_int_equal(h.ranges_n, 3);
	assert_int_equal(h.malformed, 1);
	assert_bytes_equal(without(&h, bytes_of(content, n), rest),
	    text("no field\r\nSubject: s\r\n\r\nAuthentication-Results: mx.our.test; body\r\n"));
}

static void
test_fields(void **state)
{
	static const char message[] = "Return-Path: <a@b>\r\nReceived: 1\r\n\tfolded\r\nDATE : today\r\n"
	    "Received: 2\r\nbcc: a,\r\n b\r\nBcc:\r\nFrom: a@b\r\nX: \xc3\xa9\r\n\r\nFrom: c\r\n\xff";
	static struct head h;
	struct bytes names[] = { text("return-path"), text("Date"), text("From"), text("Bcc"), text("Message-ID") };
	struct head_limits limits = { .hops = 1, .fields = 7, .header_octets = 50 };
	size_t step;

	(void)state;
	for (step = 1; step < 20; step++) {
		scan(&h, text(message), &limits, names, LEN(names), step);
		assert_int_equal(h.fields, 8);
		assert_int_equal(h.hops, 2);
		assert_int_equal(h.over, HEAD_OVER_HOPS | HEAD_OVER_FIELDS | HEAD_OVER_OCTETS);
		assert_int_equal(h.count[0], 1);
		assert_int_equal(h.count[1], 1);
		assert_int_equal(h.count[2], 1);	/* the one in the body is none */
		assert_int_equal(h.count[3], 2);
		assert_int_equal(h.count[4], 0);
		assert_int_equal(h.ranges_n, 4);	/* the two Bcc are one */
		assert_int_equal(h.ranges[2].what, 3);
		assert_bytes_equal(bytes_of(message + h.ranges[2].at, h.ranges[2].n),
		    text("bcc: a,\r\n b\r\nBcc:\r\n"));
		assert_bytes_equal(bytes_of(message + h.ranges[1].at, h.ranges[1].n), text("DATE : today\r\n"));
		assert_true(h.header_done && h.header_8bit && h.body_8bit && !h.bare_cr && !h.bare_lf && !h.nul);
		assert_int_equal(h.octets, sizeof message - 1);
		assert_int_equal(h.header_octets, sizeof message - 1 - 10);
		assert_int_equal(h.longest_header_line, 18);
	}
}

static const struct {
	const char *content;
	unsigned fields, malformed;
	bool done, bare_cr, bare_lf, nul;
	unsigned header_octets, longest;
} odd[] = {
	{ "", 0, 0, false, false, false, false, 0, 0 },
	{ "\r\n", 0, 0, true, false, false, false, 2, 0 },
	{ "\n", 0, 0, true, false, true, false, 1, 0 },
	{ "\r\nabc", 0, 0, true, false, false, false, 2, 3 },
	{ "A: b", 1, 0, false, false, false, false, 4, 4 },
	{ "A: b\r", 1, 0, false, true, false, false, 5, 5 },
	{ "A: b\n\nc\n", 1, 0, true, false, true, false, 6, 4 },
	{ "A: b\r\rC: d\r\n\r\n", 1, 0, true, true, false, false, 14, 10 },
	{ "\r\r\nA: b\r\n\r\n", 1, 1, true, true, false, false, 11, 4 },
	{ " From: x\r\nTo: y\r\n\r\n", 1, 1, true, false, false, false, 19, 8 },
	{ "From x\r\nTo: y\r\n\r\n", 1, 1, true, false, false, false, 17, 6 },
	{ ":x\r\n", 0, 1, false, false, false, false, 4, 2 },
	{ "a b: x\r\n\xc3\xa9: x\r\nabc", 0, 3, false, false, false, false, 18, 6 },
	{ "A: b\r\n \r\n\r\n", 1, 0, true, false, false, false, 11, 4 },
};

static void
test_odd(void **state)
{
	static struct head h;
	size_t i, step;

	(void)state;
	for (i = 0; i < LEN(odd); i++)
		for (step = 1; step < 6; step++) {
			scan(&h, text(odd[i].content), &unlimited, NULL, 0, step);
			assert_row_int(odd[i].content, h.fields, odd[i].fields);
			assert_row_int(odd[i].content, h.malformed, odd[i].malformed);
			assert_row_int(odd[i].content, h.header_done, odd[i].done);
			assert_row_int(odd[i].content, h.bare_cr, odd[i].bare_cr);
			assert_row_int(odd[i].content, h.bare_lf, odd[i].bare_lf);
			assert_row_int(odd[i].content, h.header_octets, odd[i].header_octets);
			assert_row_int(odd[i].content, h.longest_line, odd[i].longest);
		}
	scan(&h, OCTETS("A: b\0c\r\n\r\n"), &unlimited, NULL, 0, 3);
	assert_true(h.nul);
	scan(&h, OCTETS("A\0: b\r\n\r\n"), &unlimited, NULL, 0, 3);	/* CVE-2011-1929 */
	assert_true(h.nul && h.malformed == 1 && h.fields == 0);
}

#define MP(b)	"Content-Type: multipart/mixed; boundary=" b "\r\n\r\n"
static const struct { const char *content; unsigned parts, depth; bool odd; } structures[] = {
	{ "Content-Type: text/plain\r\n\r\n--a\r\n", 0, 0, false },
	{ MP("a") "--a\r\n\r\nx\r\n--a--\r\n", 1, 1, false },
	{ MP("\"a b\\\"\"") "--a b\"\r\n\r\nx\r\n--a b\"--\r\n--a b\"\r\n", 1, 1, false },
	{ MP("a(c)") "--a\r\n\r\n", 1, 1, false },
	{ MP("a;x=y") "--a\r\n\r\n", 1, 1, false },
	{ "content-type:\r\n (c) MULTIPART / Mixed ; x=\"y;boundary=z\" ;\r\n\tBOUNDARY = \"a\"\r\n\r\n--z\r\n--a\r\n",
	    1, 1, false },
	{ MP("a") "--a \t\r\n\r\n", 1, 1, false },
	{ MP("a") " --a\r\n-a\r\n", 0, 1, false },
	{ MP("a") "--a\n\nx\n--a\nContent-Type: text/html", 2, 1, false },
	{ MP("a") "--a\r\n" MP("b") "--b\r\n\r\n--b\r\n--a\r\n\r\n--b\r\n--a--\r\n", 4, 2, false },
	{ MP("a") "--a\r\n" MP("ab") "--ab\r\n\r\n--ab--\r\n--a--\r\n", 2, 2, false },
	{ MP("ab") "--ab\r\n" MP("a") "--a\r\n\r\n--ab\r\n\r\n--ab--\r\n", 3, 2, false },
	{ "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n" MP("a") "--a\r\n\r\n--a--\r\n", 1, 2, false },
	{ "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: Base64 \r\n\r\n" MP("a") "--a\r\n\r\n",
	    0, 1, false },
	{ "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: (c) base64 (d)\r\n\r\n" MP("a") "--a\r\n\r\n",
	    0, 1, false },
	{ "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n"	/* the first */
	    "Content-Transfer-Encoding: base64\r\n\r\n" MP("a") "--a\r\n\r\n", 1, 2, false },
	{ "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: x\r\n\r\n--a\r\n"
	    "Content-Type: text/plain\r\n\r\n--a--", 2, 2, false },
	/* where readers differ */
	{ "Content-Type: multipart/mixed\r\n\r\n--\r\n", 0, 0, true },
	{ MP("\"\"") "--\r\n", 0, 0, true },
	{ MP("a; boundary=b") "--a\r\n\r\n--b\r\n", 1, 1, true },		/* CVE-2024-28054 */
	{ "Content-Type: text/plain\r\n" MP("a") "--a\r\n", 0, 0, true },
	{ "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\r\n\r\n--ab\r\n", 0, 0, true },
	{ MP("\"a \"") "--a\r\n", 1, 1, true },
	{ MP("\"a") "--a\r\n", 1, 1, false },
};

static void
test_structure(void **state)
{
	static struct head h;
	size_t i, step;

	(void)state;
	for (i = 0; i < LEN(structures); i++)
		for (step = 1; step < 100; step += 7) {
			scan(&h, text(structures[i].content), &unlimited, NULL, 0, step);
			assert_row_int(structures[i].content, h.parts, structures[i].parts);
			assert_row_int(structures[i].content, h.depth, structures[i].depth);
			assert_row_int(structures[i].content, h.mime_odd, structures[i].odd);
			assert_row_int(structures[i].content, h.over, 0);
		}
}

/* A message in a message, 100,000 deep; 100,000 parts (CVE-2020-12100, CVE-2020-25275). */
static void
test_limits(void **state)
{
	static const char nested[] = "Content-Type: message/rfc822\r\n\r\n";
	static const char multi[] = "Content-Type: multipart/mixed; boundary=abc\r\n\r\n--abc\r\n";
	static struct head h;
	struct head_limits limits = { .depth = 20, .parts = 1000 };
	unsigned i;

	(void)state;
	head_init(&h, &limits, text(""), NULL, 0);
	for (i = 0; i < 100000; i++)
		head_feed(&h, text(nested));
	head_end(&h);
	assert_int_equal(h.over, HEAD_OVER_DEPTH);
	assert_int_equal(h.depth, 20);
	head_init(&h, &limits, text(""), NULL, 0);
	head_feed(&h, text("Content-Type: multipart/mixed; boundary=abc\r\n\r\n"));
	for (i = 0; i < 100000; i++)
		head_feed(&h, text("--abc\r\n\r\n"));
	head_end(&h);
	assert_int_equal(h.over, HEAD_OVER_PARTS);
	assert_int_equal(h.depth, 1);
	assert_int_equal(h.parts, 100000);
	head_init(&h, &unlimited, text(""), NULL, 0);
	for (i = 0; i < 1000; i++)
		head_feed(&h, text(multi));
	head_end(&h);
	assert_true(h.depth <= HEAD_DEPTH_MAX);
}

/* More fields to note than there is room for is said; so are long boundaries. */
static void
test_overflow(void **state)
{
	static struct head h;
	static char boundary[HEAD_BOUNDARY_MAX + 100];
	struct bytes names[] = { text("A") };
	unsigned i;

	(void)state;
	head_init(&h, &unlimited, text("x"), names, 1);
	for (i = 0; i <= HEAD_RANGES; i++)
		head_feed(&h, text("A: b\r\nC: d\r\n"));
	head_end(&h);
	assert_int_equal(h.over, HEAD_OVER_RANGES);
	assert_int_equal(h.ranges_n, HEAD_RANGES);
	memset(boundary, 'b', sizeof boundary - 1);
	head_init(&h, &unlimited, text("x"), NULL, 0);
	head_feed(&h, text("Content-Type: multipart/mixed; boundary="));
	head_feed(&h, text(boundary));
	head_feed(&h, text("\r\n\r\n--"));
	head_feed(&h, text(boundary));
	head_feed(&h, text("\r\n"));
	head_end(&h);
	assert_true(h.mime_odd);
	assert_int_equal(h.longest_line, sizeof boundary - 1 + strlen("Content-Type: multipart/mixed; boundary="));
}

/*
 * Messages of the MIME-tools and mime4j collections. The counts are mime4j's,
 * but for those with a remark.
 */
static const struct { const char *name; unsigned fields, parts, depth; } vectors[] = {
	{ "mime4j/bad-newlines-multiple-parts-base64.msg", 3, 0, 1 }, /* what is encoded is not looked into */
	{ "mime4j/bad-newlines-multiple-parts.msg", 1, 1, 1 },
	{ "mime4j/base64-encoded-text.msg", 3, 0, 0 },
	{ "mime4j/base64encoded-rfc822message-nested.msg", 4, 0, 1 }, /* what is encoded is not looked into */
	{ "mime4j/base64encoded-rfc822message.msg", 4, 0, 1 },
	{ "mime4j/basic-plain-very-long-lines.msg", 6, 0, 0 },
	{ "mime4j/basic-plain-with-bad-header-separator.msg", 6, 0, 0 },
	{ "mime4j/basic-plain.msg", 6, 0, 0 },
	{ "mime4j/boundary-name-clash.msg", 3, 4, 2 },
	{ "mime4j/ending-boundaries.msg", 1, 1, 1 },
	{ "mime4j/example.msg", 33, 4, 1 },
	{ "mime4j/intermediate-boundaries.msg", 1, 2, 1 },
	{ "mime4j/malformedHeader-nocrlfcrlf.msg", 2, 0, 0 },
	{ "mime4j/malformedHeader-noheader.msg", 0, 0, 0 },
	{ "mime4j/malformedHeaderStartsBody-nocrlfcrlf.msg", 2, 0, 0 }, /* a line that is no field does not end the header */
	{ "mime4j/malformedHeaderStartsBody-noheader.msg", 0, 0, 0 },
	{ "mime4j/misplaced-boundary.msg", 1, 1, 1 },
	{ "mime4j/missing-boundary.msg", 1, 0, 1 },
	{ "mime4j/missing-inner-boundary.msg", 1, 2, 2 },
	{ "mime4j/missing-inner-start-boundary.msg", 1, 2, 2 },
	{ "mime4j/multipartdigestnestedemptyparts.msg", 5, 2, 3 },
	{ "mime4j/multipartemptypart.msg", 5, 1, 1 },
	{ "mime4j/multipartnestedemptyparts.msg", 5, 2, 3 },
	{ "mime4j/multipartnestedemptypartsnorfc822.msg", 5, 2, 2 },
	{ "mime4j/multipartnopart.msg", 5, 0, 1 },
	{ "mime4j/obsolete.msg", 3, 0, 0 },
	{ "mime4j/qp-body.msg", 4, 0, 0 },
	{ "mime4j/russian-headers.msg", 3, 0, 0 },
	{ "mime4j/simple-attachment.msg", 6, 2, 1 },
	{ "mime4j/very-long-boundary.msg", 1, 3, 1 }, /* white space at its end is not taken as part of it */
	{ "mime4j/very-very-long-boundary.msg", 1, 3, 1 }, /* white space at its end is not taken as part of it */
	{ "mime4j/weird-boundary.msg", 1, 3, 1 }, /* white space at its end is not taken as part of it */
	{ "mimetools/2002_06_12_doublebound.msg", 11, 3, 1 },
	{ "mimetools/ak-0696.msg", 9, 2, 2 },
	{ "mimetools/attachment-filename-encoding-Latin1.msg", 2, 2, 1 },
	{ "mimetools/attachment-filename-encoding-UTF8.msg", 2, 2, 1 },
	{ "mimetools/badbound.msg", 21, 0, 1 },
	{ "mimetools/badfile.msg", 6, 0, 0 },
	{ "mimetools/bluedot-postcard.msg", 6, 4, 2 },
	{ "mimetools/bluedot-simple.msg", 4, 0, 0 },
	{ "mimetools/double-bound.msg", 10, 10, 1 },
	{ "mimetools/double-semicolon.msg", 2, 2, 1 },
	{ "mimetools/double-semicolon2.msg", 2, 2, 1 },
	{ "mimetools/dup-names.msg", 10, 5, 1 },
	{ "mimetools/empty-preamble.msg", 2, 2, 1 },
	{ "mimetools/frag.msg", 15, 8, 7 },
	{ "mimetools/german-qp.msg", 10, 0, 0 },
	{ "mimetools/german.msg", 23, 0, 0 },
	{ "mimetools/hdr-fakeout.msg", 11, 0, 0 },
	{ "mimetools/infinite.msg", 4, 0, 0 },
	{ "mimetools/intl.msg", 6, 0, 0 },
	{ "mimetools/jt-0498.msg", 17, 2, 2 },
	{ "mimetools/lennie.msg", 13, 3, 1 },
	{ "mimetools/mp-msg-rfc822.msg", 9, 2, 2 },
	{ "mimetools/multi-2evil.msg", 10, 3, 1 },
	{ "mimetools/multi-2gifs-base64.msg", 3, 0, 1 }, /* what is encoded is not looked into */
	{ "mimetools/multi-2gifs.msg", 10, 3, 1 },
	{ "mimetools/multi-bad.msg", 11, 1, 1 },
	{ "mimetools/multi-badnames.msg", 5, 3, 1 },
	{ "mimetools/multi-clen.msg", 5, 3, 1 },
	{ "mimetools/multi-digest.msg", 5, 2, 2 },
	{ "mimetools/multi-frag.msg", 5, 7, 2 },
	{ "mimetools/multi-igor.msg", 6, 4, 1 },
	{ "mimetools/multi-igor2.msg", 6, 4, 1 },
	{ "mimetools/multi-nested.msg", 5, 7, 2 },
	{ "mimetools/multi-nested2.msg", 5, 7, 2 },
	{ "mimetools/multi-nested3.msg", 5, 7, 2 },
	{ "mimetools/multi-simple.msg", 5, 2, 1 },
	{ "mimetools/multi-weirdspace.msg", 10, 3, 1 },
	{ "mimetools/not-mime.msg", 5, 0, 0 },
	{ "mimetools/re-fwd.msg", 9, 0, 2 },
	{ "mimetools/russian.msg", 3, 0, 0 },
	{ "mimetools/sig-uu.msg", 2, 0, 0 },
	{ "mimetools/simple.msg", 6, 0, 0 },
	{ "mimetools/ticket-60931.msg", 3, 2, 1 },
	{ "mimetools/twopart.msg", 9, 2, 1 },
	{ "mimetools/uu-junk-target.msg", 12, 5, 2 },
	{ "mimetools/uu-junk.msg", 12, 2, 1 },
	{ "mimetools/uu-zeegee.msg", 3, 0, 0 },
	{ "mimetools/x-gzip64.msg", 7, 0, 0 },
};

static void
test_vectors(void **state)
{
	static struct head h;
	struct bytes content;
	char name[128];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(vectors); i++) {
		snprintf(name, sizeof name, "mime/%s", vectors[i].name);
		content = vector(name);
		scan(&h, content, &unlimited, NULL, 0, content.n);
		assert_row_int(name, h.fields, vectors[i].fields);
		assert_row_int(name, h.parts, vectors[i].parts);
		assert_row_int(name, h.depth, vectors[i].depth);
		scan(&h, content, &unlimited, NULL, 0, 3);
		assert_row_int(name, h.fields, vectors[i].fields);
		assert_row_int(name, h.parts, vectors[i].parts);
		assert_row_int(name, h.depth, vectors[i].depth);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_results_hidden),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
