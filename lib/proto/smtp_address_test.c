/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/smtp_address.h"

#define U	SMTP_TAKE_UTF8
#define L64	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg"
#define L63	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"
#define D189	L63 "." L62 "." L62
#define L62	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgg"

static const struct {
	const char *path;
	unsigned take;
	enum smtp_address_result reverse, forward;
	const char *local, *domain, *text;
} cases[] = {
	{ "a@b.example", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a", "b.example", "a@b.example" },
	{ "A.b+c@B.Example", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "A.b+c", "B.Example", "A.b+c@b.example" },
	{ "!#$%&'*+-/=?^_`{|}~@b", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "!#$%&'*+-/=?^_`{|}~", "b",
	    "!#$%&'*+-/=?^_`{|}~@b" },
	{ "", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_SYNTAX, "", "", "" },	/* section 4.5.5 */
	{ "Postmaster", 0, SMTP_ADDRESS_NO_DOMAIN, SMTP_ADDRESS_OK, "Postmaster", "", "Postmaster" },
	{ "postMASTER", 0, SMTP_ADDRESS_NO_DOMAIN, SMTP_ADDRESS_OK, "postMASTER", "", "postMASTER" },
	{ "alice", 0, SMTP_ADDRESS_NO_DOMAIN, SMTP_ADDRESS_NO_DOMAIN, "", "", "" },
	{ "alice", SMTP_TAKE_NO_DOMAIN, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "alice", "", "alice" },
	/* quoted local parts */
	{ "\"a\"@b", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a", "b", "a@b" },
	{ "\"a b\"@b", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a b", "b", "\"a b\"@b" },
	{ "\"a\\b\\\"\\\\\"@b", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "ab\"\\", "b", "\"ab\\\"\\\\\"@b" },
	{ "\"u@victim.test\"@evil.test", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "u@victim.test",
	    "evil.test", "\"u@victim.test\"@evil.test" },
	{ "\">\"@b", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, ">", "b", "\">\"@b" },
	{ "\"\"@b", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "", "b", "\"\"@b" },	/* CVE-2020-10967 */
	{ "\"a..b\"@b", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a..b", "b", "\"a..b\"@b" },
	{ "\"a", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "\"a\\", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "\"a\"b@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "\"a\".b@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },	/* RFC 5322's obs-local-part */
	{ "\"a\nb\"@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	/* source routes, appendix C */
	{ "@a,@b.c:d@e", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "d", "e", "d@e" },
	{ "@a:\"x:y\"@e", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "x:y", "e", "\"x:y\"@e" },
	{ "@a:", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "@a,:d@e", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "@,@a:d@e", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "@a;@b:d@e", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "@a d@e", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "@", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "@a:postmaster", 0, SMTP_ADDRESS_NO_DOMAIN, SMTP_ADDRESS_NO_DOMAIN, "", "", "" },
	/* bare specials, shell, comments, encoded words: plain octets or nothing */
	{ ";id;", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },		/* CVE-2020-7247 */
	{ "|/bin/sh@b", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "|/bin/sh", "b", "|/bin/sh@b" }, /* atext */
	{ "a@b(.good.test", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },	/* CVE-2020-12272 */
	{ "(c)a@b", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@b>", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "<a@b>", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "<><><><><><><><>()@b", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" }, /* CVE-2002-1337 */
	{ "a b@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@b@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a,b@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a\\@b@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ ".a@b", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a.@b", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a..b@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "@b", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "=?x?q?a=40b?=@d", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "=?x?q?a=40b?=", "d", "=?x?q?a=40b?=@d" },
	{ "\"@x\"@d", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "@x", "d", "\"@x\"@d" },
	{ "a\rb@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a\x7f@c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	/* domains */
	{ "a@b.example.", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@.b", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@b..c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@-b", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@b-.c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@b_c", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@xn--bcher-kva.example", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a", "xn--bcher-kva.example",
	    "a@xn--bcher-kva.example" },
	{ "a@1-2.3", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a", "1-2.3", "a@1-2.3" },
	/* literals */
	{ "a@[192.0.2.1]", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a", "[192.0.2.1]", "a@[192.0.2.1]" },
	{ "a@[IPv6:2001:DB8::1]", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a", "[IPv6:2001:DB8::1]",
	    "a@[ipv6:2001:db8::1]" },
	{ "a@[ipv6:::ffff:192.0.2.1]", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a",
	    "[ipv6:::ffff:192.0.2.1]", "a@[ipv6:::ffff:192.0.2.1]" },
	{ "a@[x400:c=us;o]", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a", "[x400:c=us;o]", "a@[x400:c=us;o]" },
	{ "a@[192.0.2.256]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[192.0.2]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[010.0.0.1]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },	/* octal? */
	{ "a@[IPv6:1::2::3]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[IPv6:fe80::1%eth0]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[IPv6:1:2:3:4:5:6:7:8:9]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[192.0.2.1].b", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[tag:]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[tag:a[b]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@[tag:a b]", 0, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	/* UTF-8, RFC 6531 */
	{ "\xc3\xa9@b", 0, SMTP_ADDRESS_NOT_ASCII, SMTP_ADDRESS_NOT_ASCII, "", "", "" },
	{ "\xc3\xa9@b", U, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "\xc3\xa9", "b", "\xc3\xa9@b" },
	{ "\"\xc3\xa9 a\"@b", U, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "\xc3\xa9 a", "b", "\"\xc3\xa9 a\"@b" },
	{ "\"\\\xc3\xa9\"@b", U, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	{ "a@b\xc3\xbc" "cher.example", U, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a", "b\xc3\xbc" "cher.example",
	    "a@b\xc3\xbc" "cher.example" },
	{ "a@b\xc3\xbc" "cher.example", 0, SMTP_ADDRESS_NOT_ASCII, SMTP_ADDRESS_NOT_ASCII, "", "", "" },
	{ "\xc0\xa0@b", U, SMTP_ADDRESS_NOT_UTF8, SMTP_ADDRESS_NOT_UTF8, "", "", "" },	/* overlong */
	{ "\xe0\x80\xaf@b", U, SMTP_ADDRESS_NOT_UTF8, SMTP_ADDRESS_NOT_UTF8, "", "", "" },
	{ "\xed\xa0\x80@b", U, SMTP_ADDRESS_NOT_UTF8, SMTP_ADDRESS_NOT_UTF8, "", "", "" },	/* surrogate */
	{ "\xf4\x90\x80\x80@b", U, SMTP_ADDRESS_NOT_UTF8, SMTP_ADDRESS_NOT_UTF8, "", "", "" },
	{ "a@b\xc3", U, SMTP_ADDRESS_NOT_UTF8, SMTP_ADDRESS_NOT_UTF8, "", "", "" },	/* CVE-2026-40686 */
	{ "\xff@b", U, SMTP_ADDRESS_NOT_UTF8, SMTP_ADDRESS_NOT_UTF8, "", "", "" },	/* CVE-2003-0694 */
	{ "\xff@b", 0, SMTP_ADDRESS_NOT_ASCII, SMTP_ADDRESS_NOT_ASCII, "", "", "" },
	{ "a\xc2\x85@b", U, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },	/* NEL */
	{ "a@[tag:\xc3\xa9]", U, SMTP_ADDRESS_SYNTAX, SMTP_ADDRESS_SYNTAX, "", "", "" },
	/* lengths, section 4.5.3.1 */
	{ L64 "@b", 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, L64, "b", L64 "@b" },
	{ L64 "x@b", 0, SMTP_ADDRESS_LOCAL_LONG, SMTP_ADDRESS_LOCAL_LONG, "", "", "" },
	{ L64 "x", SMTP_TAKE_NO_DOMAIN, SMTP_ADDRESS_LOCAL_LONG, SMTP_ADDRESS_LOCAL_LONG, "", "", "" },
	{ L64 "x@b", SMTP_TAKE_LONG_LOCAL, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, L64 "x", "b", L64 "x@b" },
	{ "a@" L63, 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, "a", L63, "a@" L63 },
	{ "a@" L64, 0, SMTP_ADDRESS_DOMAIN_LONG, SMTP_ADDRESS_DOMAIN_LONG, "", "", "" },
	{ "a@" L63 "." L63 "." L63 "." L63 ".a", 0, SMTP_ADDRESS_DOMAIN_LONG, SMTP_ADDRESS_DOMAIN_LONG,
	    "", "", "" },
	{ L64 "@" D189, 0, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK, L64, D189, L64 "@" D189 },	/* 256 with <> */
	{ L64 "@" L62 "." L63 "." L63, 0, SMTP_ADDRESS_PATH_LONG, SMTP_ADDRESS_PATH_LONG, "", "", "" },
	{ L62 "." L62 "." L62 "." L62 "@b", SMTP_TAKE_LONG_LOCAL, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK,
	    L62 "." L62 "." L62 "." L62, "b", L62 "." L62 "." L62 "." L62 "@b" },
	{ L62 "." L62 "." L62 "." L63 "@b", SMTP_TAKE_LONG_LOCAL, SMTP_ADDRESS_OK, SMTP_ADDRESS_OK,
	    L62 "." L62 "." L62 "." L63, "b", L62 "." L62 "." L62 "." L63 "@b" },	/* 256 */
	{ L62 "." L62 "." L62 "." L64 "@b", SMTP_TAKE_LONG_LOCAL, SMTP_ADDRESS_PATH_LONG,
	    SMTP_ADDRESS_PATH_LONG, "", "", "" },
};

static void
test_paths(void **state)
{
	struct arena *a = arena_new(65536);
	struct smtp_address got;
	enum smtp_address_result r;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		r = smtp_forward_path(text(cases[i].path), cases[i].take, a, &got);
		assert_row_int(cases[i].path, r, cases[i].forward);
		r = smtp_reverse_path(text(cases[i].path), cases[i].take, a, &got);
		assert_row_int(cases[i].path, r, cases[i].reverse);
		if (r != SMTP_ADDRESS_OK
		    && smtp_forward_path(text(cases[i].path), cases[i].take, a, &got) != SMTP_ADDRESS_OK)
			continue;
		assert_row_bytes(cases[i].path, got.local, text(cases[i].local));
		assert_row_bytes(cases[i].path, got.domain, text(cases[i].domain));
		assert_row_bytes(cases[i].path, smtp_address_text(&got, a), text(cases[i].text));
	}
	arena_free(&a);
}

static void
test_nul(void **state)
{
	struct arena *a = arena_new(65536);
	struct smtp_address got;

	(void)state;
	assert_int_equal(smtp_forward_path(OCTETS("a\0b@c"), 0, a, &got), SMTP_ADDRESS_SYNTAX);
	assert_int_equal(smtp_forward_path(OCTETS("\"a\0b\"@c"), 0, a, &got), SMTP_ADDRESS_SYNTAX);
	assert_int_equal(smtp_forward_path(OCTETS("a@c\0.d"), 0, a, &got), SMTP_ADDRESS_SYNTAX);
	assert_int_equal(smtp_forward_path(OCTETS("a@[192.0.2.1\0]"), 0, a, &got), SMTP_ADDRESS_SYNTAX);
	arena_free(&a);
}

static void
test_literal_numbers(void **state)
{
	static const unsigned char v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	struct arena *a = arena_new(65536);
	struct smtp_address got;

	(void)state;
	assert_int_equal(smtp_forward_path(text("a@[192.0.2.1]"), 0, a, &got), SMTP_ADDRESS_OK);
	assert_int_equal(got.kind, SMTP_DOMAIN_IPV4);
	assert_memory_equal(got.ip, "\xc0\0\2\1", 4);
	assert_int_equal(smtp_forward_path(text("a@[IPv6:2001:db8::1]"), 0, a, &got), SMTP_ADDRESS_OK);
	assert_int_equal(got.kind, SMTP_DOMAIN_IPV6);
	assert_memory_equal(got.ip, v6, sizeof v6);
	assert_int_equal(smtp_forward_path(text("a@[b:c]"), 0, a, &got), SMTP_ADDRESS_OK);
	assert_int_equal(got.kind, SMTP_DOMAIN_GENERAL);
	arena_free(&a);
}

static const struct { const char *x, *y; bool same; } pairs[] = {
	{ "a@b", "a@B", true },
	{ "a@b", "A@b", false },			/* section 2.4: local parts are the host's */
	{ "\"a\"@b", "a@b", true },
	{ "\"\\a\"@b", "a@b", true },
	{ "PostMaster@b", "postmaster@B", true },
	{ "a@b", "a@b.c", false },
	{ "", "", true },
	{ "", "\"\"@b", false },
};

static void
test_equal(void **state)
{
	struct arena *a = arena_new(65536);
	struct smtp_address x, y;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(pairs); i++) {
		assert_int_equal(smtp_reverse_path(text(pairs[i].x), 0, a, &x), SMTP_ADDRESS_OK);
		assert_int_equal(smtp_reverse_path(text(pairs[i].y), 0, a, &y), SMTP_ADDRESS_OK);
		assert_row_int(pairs[i].x, smtp_address_eq(&x, &y), pairs[i].same);
	}
	arena_free(&a);
}

static const struct { const char *local, *delimiters, *user, *detail; bool has; } subs[] = {
	{ "user+detail", "+", "user", "detail", true },
	{ "user+a+b", "+", "user", "a+b", true },
	{ "user+", "+", "user", "", true },
	{ "user", "+", "user", "", false },
	{ "+detail", "+", "+detail", "", false },	/* nobody's */
	{ "user-x+y", "+-", "user", "x+y", true },
	{ "user+x", "", "user+x", "", false },
	{ "", "+", "", "", false },
};

static void
test_subaddress(void **state)
{
	struct bytes user, detail;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(subs); i++) {
		assert_row_int(subs[i].local, smtp_subaddress(text(subs[i].local), subs[i].delimiters, &user,
		    &detail), subs[i].has);
		assert_row_bytes(subs[i].local, user, text(subs[i].user));
		assert_row_bytes(subs[i].local, detail, text(subs[i].detail));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_literal_numbers),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_subaddress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
