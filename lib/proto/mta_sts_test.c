/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "proto/mta_sts.h"
#include "proto/testing.h"

/* ---- the TXT record ---- */

#define ID32 "0123456789abcdefghijABCDEFGHIJ01"

static const struct { const char *record, *id; } records[] = {
	{ "v=STSv1; id=20160831085700Z;", "20160831085700Z" },
	{ "v=STSv1;id=a", "a" },
	{ "v=STSv1 ; id=a", "a" },
	{ "v=STSv1;\tid=a \t;\t", "a" },
	{ "v=STSv1; new=1; id=a; _x.y-z=q", NULL },		/* a name begins with a letter or digit */
	{ "v=STSv1; x_y.z-=!:<>~; id=a", "a" },
	{ "v=STSv1; id=a; id=b", "a" },				/* all but the first are ignored */
	{ "v=STSv1; id=" ID32, ID32 },
	{ "v=STSv1; id=" ID32 "2", NULL },
	{ "v=STSv1; " ID32 "=1; id=a", "a" },
	{ "v=STSv1; " ID32 "2=1; id=a", NULL },
	{ "v=STSv1; id=a-b", NULL },
	{ "v=STSv1; id=", NULL },
	{ "v=STSv1; id", NULL },
	{ "v=STSv1; id =a", NULL },
	{ "v=STSv1; id=a=b", NULL },
	{ "v=STSv1; ID=a", NULL },
	{ "v=STSv1; id=a;; x=y", NULL },
	{ "v=STSv1; x=a b; id=a", NULL },
	{ "v=STSv1; x=\x01; id=a", NULL },
	{ "v=STSv1; x=\xc3\xa4; id=a", NULL },
	{ "v=STSv1", NULL },
	{ "v=STSv1;", NULL },
	{ "v=stsv1; id=a", NULL },
	{ "V=STSv1; id=a", NULL },
	{ " v=STSv1; id=a", NULL },
	{ "v=STSv12; id=a", NULL },
	{ "id=a; v=STSv1", NULL },
	{ "v=spf1 -all", NULL },
	{ "", NULL },
};

static void
test_record(void **state)
{
	struct bytes id;

	(void)state;
	for (size_t i = 0; i < LEN(records); i++) {
		bool want = records[i].id != NULL;

		assert_row_int(records[i].record, mta_sts_txt(text(records[i].record), &id), want);
		if (want)
			assert_row_bytes(records[i].record, id, text(records[i].id));
	}
}

static const struct { const char *all[4], *id; } sets[] = {
	{ { "v=STSv1; id=a" }, "a" },
	{ { "something", "v=STSv1; id=a", "v=STSv2; id=b" }, "a" },
	{ { "v=STSv1; id=a", "v=STSv1; id=a" }, NULL },	/* not one */
	{ { "v=STSv1; id=a", "v=STSv1; broken" }, NULL },
	{ { "something" }, NULL },
	{ { NULL }, NULL },
};

static void
test_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(sets); i++) {
		struct bytes all[4], id;
		size_t n = 0;

		while (n < 4 && sets[i].all[n]) {
			all[n] = text(sets[i].all[n]);
			n++;
		}
		assert_int_equal(mta_sts_txt_choose(all, n, &id), sets[i].id != NULL);
		if (sets[i].id)
			assert_bytes_equal(id, text(sets[i].id));
	}
}

/* ---- the policy ---- */

static const struct {
	const char	*body;
	const char	*why;		/* NULL: it is one */
	enum mta_sts_mode mode;
	uint32_t	 max_age_s;
	const char	*mx;		/* each with a space behind */
} policies[] = {
	{ "version: STSv1\r\nmode: enforce\r\nmx: Mail.Example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n",
	    NULL, MTA_STS_ENFORCE, 604800, "mail.example.com *.example.net " },
	{ "version: STSv1\nmode: testing\nmx: a\nmax_age: 0", NULL, MTA_STS_TESTING, 0, "a " },
	{ "version:STSv1\nmode:none\nmax_age:\t86400 \t", NULL, MTA_STS_NONE, 86400, "" },
	{ "mx: a\nmax_age: 1\nmode: enforce\nversion: STSv1\n", NULL, MTA_STS_ENFORCE, 1, "a " },
	{ "version: STSv1\nmode: none\nmode: enforce\nmax_age: 1\nmax_age: x\nversion: STSv2\n", NULL, MTA_STS_NONE, 1, "" },
	{ "version: STSv1\n\n \r\nmode: enforce\nmx: a\nmax_age: 1\nextra: w\xc3\xb6rter und mehr\nVersion: 7\n", NULL,
	    MTA_STS_ENFORCE, 1, "a " },
	{ "version: STSv1\nmode: enforce\nmx: a\nmax_age: 31557601\n", NULL, MTA_STS_ENFORCE, 31557600, "a " },
	{ "version: STSv1\nmode: enforce\nmx: a\nmax_age: 9999999999\n", NULL, MTA_STS_ENFORCE, 31557600, "a " },
	{ "version: STSv1\nmode: enforce\nmx: a\nmax_age: 00000000001\n", "its max_age is no number of seconds", 0, 0, "" },
	{ "version: STSv1\nmode: enforce\nmx: a\nmax_age: -1\n", "its max_age is no number of seconds", 0, 0, "" },
	{ "version: STSv1\nmode: enforce\nmx: a\nmax_age:\n", "its max_age is no number of seconds", 0, 0, "" },
	{ "version: STSv2\nmode: enforce\nmx: a\nmax_age: 1\n", "its version is not STSv1", 0, 0, "" },
	{ "version: STSv1\nmode: Enforce\nmx: a\nmax_age: 1\n", "its mode is none of enforce, testing, none", 0, 0, "" },
	{ "mode: enforce\nmx: a\nmax_age: 1\n", "it has no version", 0, 0, "" },
	{ "version: STSv1\nmx: a\nmax_age: 1\n", "it has no mode", 0, 0, "" },
	{ "version: STSv1\nmode: enforce\nmx: a\n", "it has no max_age", 0, 0, "" },
	{ "version: STSv1\nmode: enforce\nmax_age: 1\n", "it names no mx", 0, 0, "" },
	{ "version: STSv1\nmode: testing\nmax_age: 1\n", "it names no mx", 0, 0, "" },
	{ "version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 1\n", "an mx in it is no name of a host", 0, 0, "" },
	{ "version: STSv1\nmode: enforce\nmx: m*.example\nmax_age: 1\n", "an mx in it is no name of a host", 0, 0, "" },
	{ "version: STSv1\nmode: enforce\nmx: \nmax_age: 1\n", "an mx in it is no name of a host", 0, 0, "" },
	{ "<!DOCTYPE html>\n", "a line in it is not a name, a colon and a value", 0, 0, "" },
	{ "version: STSv1\nmode : enforce\n", "a line in it is not a name, a colon and a value", 0, 0, "" },
	{ "version: STSv1\nx: \x01\n", "a line in it is not a name, a colon and a value", 0, 0, "" },
	{ "version: STSv1\rmode: none\rmax_age: 1\r", "a line in it is not a name, a colon and a value", 0, 0, "" },
	{ "", "it has no version", 0, 0, "" },
};

static void
test_policy(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(policies); i++) {
		struct arena *a = arena_new(MTA_STS_ARENA);
		struct mta_sts_policy p;
		struct buf mx;
		const char *why = mta_sts_policy_parse(text(policies[i].body), a, &p);

		assert_row_bytes(policies[i].body, text(why), text(policies[i].why));
		buf_init(&mx, 1000);
		for (size_t k = 0; k < p.nmx && !why; k++) {
			buf_add(&mx, p.mx[k]);
			buf_char(&mx, ' ');
		}
		if (!why) {
			assert_row_int(policies[i].body, p.mode, policies[i].mode);
			assert_row_int(policies[i].body, p.max_age_s, policies[i].max_age_s);
			assert_row_bytes(policies[i].body, buf_bytes(&mx), text(policies[i].mx));
		}
		buf_fini(&mx);
		arena_free(&a);
	}
}

static const char *
parse_padded(size_t mx, size_t mx_octets, size_t total)
{
	static char name[300];
	struct arena *a = arena_new(MTA_STS_ARENA);
	struct mta_sts_policy p;
	struct buf body;
	const char *why;

	buf_init(&body, 2 * MTA_STS_POLICY_MAX);
	buf_text(&body, "version: STSv1\nmode: enforce\nmax_age: 1\n");
	memset(name, 'a', mx_octets);
	for (size_t at = 60; at < mx_octets; at += 60)
		name[at] = '.';
	name[mx_octets] = '\0';
	for (size_t i = 0; i < mx; i++)
		buf_fmt(&body, "mx: %s\n", name);
	if (body.n < total)
		buf_text(&body, "filler: ");
	while (body.n < total)
		buf_char(&body, 'x');
	why = mta_sts_policy_parse(buf_bytes(&body), a, &p);
	buf_fini(&body);
	arena_free(&a);
	return why;
}

static void
test_limits(void **state)
{
	(void)state;
	assert_null(parse_padded(1, 10, MTA_STS_POLICY_MAX));
	assert_string_equal(parse_padded(1, 10, MTA_STS_POLICY_MAX + 1), "it is too large");
	assert_null(parse_padded(MTA_STS_MX_MAX, 10, 0));
	assert_string_equal(parse_padded(MTA_STS_MX_MAX + 1, 10, 0), "it has too many mx");
	assert_null(parse_padded(MTA_STS_MX_OCTETS / 128, 128, 0));
	assert_string_equal(parse_padded(MTA_STS_MX_OCTETS / 128 + 1, 128, 0), "it has too many mx");
	assert_null(parse_padded(1, 253, 0));
	assert_string_equal(parse_padded(1, 254, 0), "an mx in it is no name of a host");
}

/* ---- hosts ---- */

static const struct { const char *pattern, *host; bool want; } matches[] = {
	{ "mail.example.com", "mail.example.com", true },
	{ "mail.example.com", "MAIL.example.COM", true },
	{ "mail.example.com", "mx.mail.example.com", false },
	{ "mail.example.com", "mail.example.co", false },
	{ "*.example.com", "mail.example.com", true },	/* RFC 8461 section 4.1 has these three */
	{ "*.example.com", "example.com", false },
	{ "*.example.com", "foo.bar.example.com", false },
	{ "*.example.com", ".example.com", false },
	{ "*.example.com", "mailexample.com", false },
	{ "*.com", "example.com", true },
	{ "a", "a", true },
	{ "a", "", false },
};

static void
test_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(matches); i++)
		assert_row_int(matches[i].host, mta_sts_matches(text(matches[i].pattern), text(matches[i].host)),
		    matches[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
