/* SPDX-License-Identifier: ISC */
#include "mail/testing.h"
#include "mail/tls_report.h"

#include <stdio.h>

#include "base/encode.h"

#define DAY "2026-11-26"

static struct tls_report_session
session(const char *domain, enum tls_report_type type, const char *lines, enum tls_result result, const char *reason)
{
	struct tls_report_session s = { .policy = { .type = type, .domain = text(domain), .lines = text(lines) }, .result = result };

	if (result != TLS_GOOD) {
		s.receiving = text("192.0.2.1");
		s.mx = text("mx.example");
		s.reason = text(reason);
	}
	return s;
}

static void
put(const struct tls_report *r, struct buf *out)
{
	buf_clear(out);
	tls_report_write(r, DAY, out);
	assert_false(out->full);
}

/* Behind the line with the checksum. */
static struct bytes
body(const struct buf *file)
{
	struct bytes rest = buf_bytes(file);

	assert_bytes_equal(bytes_cut(&rest, '\n'), text("hermod tls-report 1"));
	(void)bytes_cut(&rest, '\n');
	return rest;
}

static void
test_counts(void **state)
{
	static const char sts[] = "string version: STSv1\nstring mode: enforce\nmx *.example\n";
	const struct tls_report_session seen[] = {
		session("b.example", TLS_REPORT_NO_POLICY, "", TLS_GOOD, ""),
		session("b.example", TLS_REPORT_STS, sts, TLS_CERTIFICATE_EXPIRED, "certificate has expired"),
		session("a.example", TLS_REPORT_TLSA, "string 3 1 1 00\n", TLS_GOOD, ""),
		session("b.example", TLS_REPORT_STS, sts, TLS_GOOD, ""),
		session("b.example", TLS_REPORT_STS, sts, TLS_CERTIFICATE_EXPIRED, "certificate has expired"),
		session("b.example", TLS_REPORT_STS, sts, TLS_STS_POLICY_FETCH_ERROR, ""),
		session("b.example", TLS_REPORT_NO_POLICY, "", TLS_GOOD, ""),
	};
	static const char want[] = "day " DAY "\nfurther 0\n"
	    "policy tlsa 1 a.example\nstring 3 1 1 00\n"
	    "policy no-policy-found 2 b.example\n"
	    "policy sts 1 b.example\nstring version: STSv1\nstring mode: enforce\nmx *.example\n"
	    "failure 2 certificate-expired - 192.0.2.1 mx.example certificate has expired\n"
	    "failure 1 sts-policy-fetch-error - 192.0.2.1 mx.example \n";
	struct tls_report *r = tls_report_new(100), *again = tls_report_new(100);
	struct buf file, twice;

	(void)state;
	buf_init(&file, TLS_REPORT_FILE);
	buf_init(&twice, TLS_REPORT_FILE);
	assert_true(tls_report_is_empty(r));
	for (size_t i = 0; i < LEN(seen); i++)
		assert_true(tls_report_add(r, &seen[i]));
	assert_false(tls_report_is_empty(r));
	put(r, &file);
	assert_bytes_equal(body(&file), text(want));
	assert_int_equal(tls_report_failed(tls_report_at(r, 2)), 3);
	/* What is read is what was written; and it adds up. */
	assert_true(tls_report_read(again, DAY, buf_bytes(&file)));
	put(again, &twice);
	assert_bytes_equal(buf_bytes(&twice), buf_bytes(&file));
	tls_report_merge(again, r);
	assert_true(tls_report_read(r, DAY, buf_bytes(&file)));
	put(r, &file);
	put(again, &twice);
	assert_bytes_equal(buf_bytes(&twice), buf_bytes(&file));
	assert_int_equal(tls_report_at(r, 1)->good, 4);
	assert_int_equal(tls_report_failed(tls_report_at(r, 2)), 6);
	tls_report_clear(r);
	assert_true(tls_report_is_empty(r));
	buf_fini(&file);
	buf_fini(&twice);
	tls_report_free(&r);
	tls_report_free(&again);
}

/* RFC 8460 section 4.3, as they are registered. */
static void
test_names(void **state)
{
	static const char *const names[] = { "", "starttls-not-supported", "certificate-host-mismatch", "certificate-expired",
	    "certificate-not-trusted", "validation-failure", "tlsa-invalid", "dnssec-invalid", "dane-required",
	    "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid" };

	(void)state;
	assert_int_equal(LEN(names), TLS_RESULTS);
	for (unsigned i = 0; i < TLS_RESULTS; i++)
		assert_string_equal(tls_result_name((enum tls_result)i), names[i]);
}

/* What is too much is counted, and no more; who came first stays. */
static void
test_bounds(void **state)
{
	struct tls_report *r = tls_report_new(3), *again = tls_report_new(3);
	char words[64];
	struct buf file;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		snprintf(words, sizeof words, "d%u.example", i);
		assert_true(tls_report_add(r, &(struct tls_report_session){ .policy.domain = text(words) }));
	}
	for (unsigned i = 0; i < TLS_REPORT_FAILURES + 7; i++) {
		struct tls_report_session s = session("d1.example", TLS_REPORT_NO_POLICY, "", TLS_VALIDATION_FAILURE, words);

		snprintf(words, sizeof words, "reason %u", i);
		s.reason = text(words);
		assert_true(tls_report_add(r, &s));
	}
	assert_int_equal(tls_report_count(r), 3);
	assert_int_equal(tls_report_further(r), 2);
	assert_int_equal(tls_report_at(r, 1)->further, 7);
	assert_int_equal(tls_report_failed(tls_report_at(r, 1)), TLS_REPORT_FAILURES + 7);
	buf_init(&file, TLS_REPORT_FILE);
	put(r, &file);
	assert_true(tls_report_read(again, DAY, buf_bytes(&file)));
	assert_int_equal(tls_report_further(again), 2);
	assert_int_equal(tls_report_at(again, 1)->further, 7);
	tls_report_merge(again, r);
	assert_int_equal(tls_report_further(again), 4);
	assert_int_equal(tls_report_failed(tls_report_at(again, 1)), 2 * (TLS_REPORT_FAILURES + 7));
	buf_fini(&file);
	tls_report_free(&r);
	tls_report_free(&again);
}

/* Whatever comes, a day's file has its size. */
static void
test_octets(void **state)
{
	static char lines[TLS_REPORT_LINES + 1];
	struct tls_report *r = tls_report_new(100000);
	unsigned n = 5000;
	char words[64];
	struct buf file;

	(void)state;
	memset(lines, 'x', TLS_REPORT_LINES);
	memcpy(lines, "string ", 7);
	lines[TLS_REPORT_LINES - 1] = '\n';
	for (unsigned i = 0; i < n; i++) {
		snprintf(words, sizeof words, "d%u.example", i);
		assert_true(tls_report_add(r, &(struct tls_report_session){ .policy = { .type = TLS_REPORT_STS,
		    .domain = text(words), .lines = text(lines) } }));
	}
	assert_int_equal(tls_report_count(r) + tls_report_further(r), n);
	assert_true(tls_report_further(r) > 0 && tls_report_count(r) > 1000);
	buf_init(&file, TLS_REPORT_FILE);
	put(r, &file);
	assert_true(file.n > TLS_REPORT_OCTETS / 2);
	buf_fini(&file);
	tls_report_free(&r);
}

static void
test_senseless(void **state)
{
	static char long_name[255], long_reason[TLS_REPORT_REASON + 2];
	struct tls_report *r = tls_report_new(100);
	struct tls_report_session bad[] = {
		session("", TLS_REPORT_STS, "", TLS_GOOD, ""),
		session("a b", TLS_REPORT_STS, "", TLS_GOOD, ""),
		session("a\nb", TLS_REPORT_STS, "", TLS_GOOD, ""),
		session("-", TLS_REPORT_STS, "", TLS_GOOD, ""),
		session("\xc3\xa4.example", TLS_REPORT_STS, "", TLS_GOOD, ""),
		session(memset(long_name, 'a', 254), TLS_REPORT_STS, "", TLS_GOOD, ""),
		session("a", 3, "", TLS_GOOD, ""),
		session("a", TLS_REPORT_STS, "", TLS_RESULTS, ""),
		session("a", TLS_REPORT_STS, "string x", TLS_GOOD, ""),
		session("a", TLS_REPORT_STS, "policy x\n", TLS_GOOD, ""),
		session("a", TLS_REPORT_STS, "string x\nfailure 1\n", TLS_GOOD, ""),
		session("a", TLS_REPORT_STS, "string \x1b\n", TLS_GOOD, ""),
		session("a", TLS_REPORT_STS, "", TLS_DANE_REQUIRED, "a\nfurther 5"),
		session("a", TLS_REPORT_STS, "", TLS_DANE_REQUIRED, memset(long_reason, 'a', TLS_REPORT_REASON + 1)),
	};
	struct tls_report_session s = session("a", TLS_REPORT_STS, "", TLS_DANE_REQUIRED, "");

	(void)state;
	for (size_t i = 0; i < LEN(bad); i++)
		assert_row_int("senseless", tls_report_add(r, &bad[i]) ? (int)i : -1, -1);
	s.mx = text("a b");
	assert_false(tls_report_add(r, &s));
	s.mx = text("");
	s.sending = text("1 2");
	assert_false(tls_report_add(r, &s));
	assert_true(tls_report_is_empty(r));
	tls_report_free(&r);
}

/* Each octet that is not what it was is noticed, and so is each end before the end. Nothing is added then. */
static void
test_damage(void **state)
{
	struct tls_report *r = tls_report_new(100), *got = tls_report_new(100);
	struct tls_report_session s = session("a.example", TLS_REPORT_STS, "string x\n", TLS_DANE_REQUIRED, "words");
	struct buf file;

	(void)state;
	assert_true(tls_report_add(r, &s));
	buf_init(&file, TLS_REPORT_FILE);
	put(r, &file);
	for (size_t i = 0; i < file.n; i++) {
		assert_false(tls_report_read(got, DAY, bytes_head(buf_bytes(&file), i)));
		file.p[i] ^= 1;
		assert_false(tls_report_read(got, DAY, buf_bytes(&file)));
		file.p[i] ^= 1;
	}
	assert_false(tls_report_read(got, "2026-11-25", buf_bytes(&file)));
	assert_true(tls_report_is_empty(got));
	assert_true(tls_report_read(got, DAY, buf_bytes(&file)));
	buf_fini(&file);
	tls_report_free(&r);
	tls_report_free(&got);
}

/* With a checksum that is right, too. */
static void
test_nonsense(void **state)
{
	static const char *const bodies[] = { "", "day " DAY "\n", "day " DAY "\nfurther x\n", "day " DAY "\nfurther 0\nx\n",
	    "day " DAY "\nfurther 0\npolicy sts 1\n", "day " DAY "\nfurther 0\npolicy nts 1 a\n", "day " DAY "\nfurther 0\npolicy sts -1 a\n",
	    "day " DAY "\nfurther 0\npolicy sts 1 a\nfailure 1 strange - - - x\n",
	    "day " DAY "\nfurther 0\npolicy sts 1 a\nfailure 1  - - - x\n",
	    "day " DAY "\nfurther 0\npolicy sts 1 a\nfailure x dane-required - - - x\n",
	    "day " DAY "\nfurther 0\npolicy sts 1 a\nfurther x\n", "day " DAY "\nfurther 0\npolicy sts 1 a\nfurther 1\nfurther 1\n",
	    "day " DAY "\nfurther 0\npolicy sts 1 a\nfurther 1\nmx a\n" };
	struct tls_report *r = tls_report_new(100);
	struct buf file;

	(void)state;
	buf_init(&file, TLS_REPORT_FILE);
	for (size_t i = 0; i < LEN(bodies); i++) {
		buf_clear(&file);
		buf_fmt(&file, "hermod tls-report 1\ncrc32 %08x\n%s", (unsigned)crc32_of(0, text(bodies[i])), bodies[i]);
		assert_row_int(bodies[i], tls_report_read(r, DAY, buf_bytes(&file)), false);
		assert_true(tls_report_is_empty(r));
	}
	buf_fini(&file);
	tls_report_free(&r);
}

static void
test_days(void **state)
{
	static const struct { const char *name; bool good; } rows[] = { { "2026-11-26", true }, { "2026-11-2", false },
	    { "2026-11-266", false }, { "2026_11-26", false }, { "x026-11-26", false }, { "", false }, { ".new", false } };
	char day[TLS_REPORT_DAY];

	(void)state;
	assert_string_equal(tls_report_day(1795651200 + 86399, day), DAY);
	assert_string_equal(tls_report_day(1795651200 + 86400, day), "2026-11-27");
	assert_string_equal(tls_report_day(INT64_MAX, day), "1970-01-01");
	for (size_t i = 0; i < LEN(rows); i++)
		assert_row_int(rows[i].name, tls_report_is_day(rows[i].name), rows[i].good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_senseless),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
