/* SPDX-License-Identifier: ISC */
#include "mail/nexthop.h"
#include "proto/testing.h"

#define LABEL "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"	/* 63 octets */
#define LONGEST LABEL "." LABEL "." LABEL ".bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"	/* 253 */

static const struct { const char *words; bool good; enum nexthop_kind kind; const char *name; unsigned port; const char *back; } rows[] = {
	{ "example.org", true, NEXTHOP_DOMAIN, "example.org", 0, "example.org" },
	{ "Example.ORG:2525", true, NEXTHOP_DOMAIN, "example.org", 2525, "example.org:2525" },
	{ "b\xc3\xbc" "cher.example", true, NEXTHOP_DOMAIN, "xn--bcher-kva.example", 0, "xn--bcher-kva.example" },
	{ "B\xc3\x9c" "CHER.example:26", true, NEXTHOP_DOMAIN, "xn--bcher-kva.example", 26, "xn--bcher-kva.example:26" },
	{ "_lmtp.example", true, NEXTHOP_DOMAIN, "_lmtp.example", 0, "_lmtp.example" },
	{ LONGEST, true, NEXTHOP_DOMAIN, LONGEST, 0, LONGEST },
	{ LONGEST "b", false, 0, "", 0, "" },
	{ LABEL "a.example", false, 0, "", 0, "" },
	{ "[mx.example.org]", true, NEXTHOP_HOST, "mx.example.org", 0, "[mx.example.org]" },
	{ "[MX.example.org]:2525", true, NEXTHOP_HOST, "mx.example.org", 2525, "[mx.example.org]:2525" },
	{ "[192.0.2.1]", true, NEXTHOP_ADDRESS, "", 0, "[192.0.2.1]" },
	{ "[192.0.2.1]:2526", true, NEXTHOP_ADDRESS, "", 2526, "[192.0.2.1]:2526" },
	{ "[IPv6:2001:DB8::1]", true, NEXTHOP_ADDRESS, "", 0, "[2001:db8::1]" },
	{ "[2001:db8::1]:25", true, NEXTHOP_ADDRESS, "", 25, "[2001:db8::1]:25" },
	{ "[010.0.0.1]", true, NEXTHOP_HOST, "010.0.0.1", 0, "[010.0.0.1]" },	/* no address; DNS will say so */
	{ "unix:/run/lmtp", true, NEXTHOP_UNIX, "/run/lmtp", 0, "unix:/run/lmtp" },
	{ "example.org;from=192.0.2.5", true, NEXTHOP_DOMAIN, "example.org", 0, "example.org;from=192.0.2.5" },
	{ "example.org:26;FROM=2001:DB8::5", true, NEXTHOP_DOMAIN, "example.org", 26, "example.org:26;from=2001:db8::5" },
	{ "[mx.example]:26;from=2001:db8::5,192.0.2.5", true, NEXTHOP_HOST, "mx.example", 26,
	    "[mx.example]:26;from=192.0.2.5,2001:db8::5" },
	{ "[192.0.2.1];from=127.0.0.2", true, NEXTHOP_ADDRESS, "", 0, "[192.0.2.1];from=127.0.0.2" },
	{ "[192.0.2.1];from=127.0.0.2,::1", true, NEXTHOP_ADDRESS, "", 0, "[192.0.2.1];from=127.0.0.2,::1" },
	{ "[192.0.2.1];from=::ffff:192.0.2.5", true, NEXTHOP_ADDRESS, "", 0, "[192.0.2.1];from=192.0.2.5" },
	{ "[192.0.2.1];from=2001:db8::5", false, 0, "", 0, "" },	/* there is no way from there */
	{ "[2001:db8::1];from=192.0.2.5", false, 0, "", 0, "" },
	{ "unix:/run/lmtp;from=192.0.2.5", true, NEXTHOP_UNIX, "/run/lmtp;from=192.0.2.5", 0, "unix:/run/lmtp;from=192.0.2.5" },
	{ "example.org;from=", false, 0, "", 0, "" },
	{ "example.org;", false, 0, "", 0, "" },
	{ "example.org;to=192.0.2.5", false, 0, "", 0, "" },
	{ "example.org;from=mx.example", false, 0, "", 0, "" },
	{ "example.org;from=[192.0.2.5]", false, 0, "", 0, "" },
	{ "example.org;from=192.0.2.5,", false, 0, "", 0, "" },
	{ "example.org;from=,192.0.2.5", false, 0, "", 0, "" },
	{ "example.org;from=192.0.2.5,192.0.2.6", false, 0, "", 0, "" },
	{ "example.org;from=192.0.2.5,2001:db8::5,192.0.2.6", false, 0, "", 0, "" },
	{ "example.org;from=192.0.2.5;from=192.0.2.5", false, 0, "", 0, "" },
	{ "example.org;from=0.0.0.0", false, 0, "", 0, "" },
	{ "example.org;from=::", false, 0, "", 0, "" },
	{ "example.org;from=224.0.0.1", false, 0, "", 0, "" },
	{ "example.org;from=fe80::1%eth0", false, 0, "", 0, "" },
	{ "example.org;from=192.0.2.5:25", false, 0, "", 0, "" },
	{ ";from=192.0.2.5", false, 0, "", 0, "" },
	{ LONGEST ":65535;from=192.0.2.5", true, NEXTHOP_DOMAIN, LONGEST, 65535, LONGEST ":65535;from=192.0.2.5" },
	{ "[" LONGEST "]:65535;from=192.100.200.255,2001:db8:1111:2222:3333:4444:5555:6666", false, 0, "", 0, "" },	/* 322 */
	{ "", false, 0, "", 0, "" },
	{ ".", false, 0, "", 0, "" },
	{ "a..b", false, 0, "", 0, "" },
	{ ".example.org", false, 0, "", 0, "" },
	{ "example.org.", false, 0, "", 0, "" },
	{ "example.org:", false, 0, "", 0, "" },
	{ "example.org:0", false, 0, "", 0, "" },
	{ "example.org:65536", false, 0, "", 0, "" },
	{ "example.org:65535", true, NEXTHOP_DOMAIN, "example.org", 65535, "example.org:65535" },
	{ "example.org:25:25", false, 0, "", 0, "" },
	{ "2001:db8::1", false, 0, "", 0, "" },		/* brackets tell what the port is */
	{ "example org", false, 0, "", 0, "" },
	{ "a\xffz.example", false, 0, "", 0, "" },
	{ "exa[mple.org", false, 0, "", 0, "" },
	{ "[2.0.2.\xc2\xad" "1]:25", false, 0, "", 0, "" },	/* U+00AD is left out */
	{ "un\xc2\xadix:25", false, 0, "", 0, "" },
	{ "un\xc2\xadix", true, NEXTHOP_DOMAIN, "unix", 0, "unix" },
	{ "[2.0.2[2\xc2\xb8.1+]:12", false, 0, "", 0, "" },	/* what became of it meant something else */
	{ "a\xc2\xb8.example", false, 0, "", 0, "" },		/* U+00B8 is mapped to a space, and more */
	{ "[192.0.2.1", false, 0, "", 0, "" },
	{ "[]", false, 0, "", 0, "" },
	{ "[192.0.2.1]x", false, 0, "", 0, "" },
	{ "[192.0.2.1]:", false, 0, "", 0, "" },
	{ "[192.0.2.1]:25x", false, 0, "", 0, "" },
	{ "[192.0.2.1]x:25", false, 0, "", 0, "" },
	{ "[fe80::1%eth0]", false, 0, "", 0, "" },
	{ "unix:run/lmtp", false, 0, "", 0, "" },
	{ "Unix:25", false, 0, "", 0, "" },
	{ "UNIX:/run/lmtp", true, NEXTHOP_UNIX, "/run/lmtp", 0, "unix:/run/lmtp" },
	{ "unix", true, NEXTHOP_DOMAIN, "unix", 0, "unix" },
	{ "[unix]:25", true, NEXTHOP_HOST, "unix", 25, "[unix]:25" },
	{ "unix:/", false, 0, "", 0, "" },
	{ "unix:/run/\nlmtp", false, 0, "", 0, "" },
};

static void
test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct arena *a = arena_new(1 << 16);
		struct nexthop n;

		if (nexthop_parse(text(rows[i].words), a, &n) != rows[i].good)
			fail_msg("row %zu: %s", i, rows[i].words);
		if (rows[i].good) {
			assert_int_equal(n.kind, rows[i].kind);
			assert_int_equal(n.port, rows[i].port);
			assert_bytes_equal(n.name, text(rows[i].name));
			assert_bytes_equal(nexthop_text(&n, a), text(rows[i].back));
		}
		arena_free(&a);
	}
}

static void
test_limits(void **state)
{
	struct arena *a = arena_new(1 << 16);
	char path[256] = "unix:/";
	struct nexthop n;

	(void)state;
	memset(path + 6, 'a', sizeof path - 7);
	assert_true(nexthop_parse(bytes_of(path, 5 + 107), a, &n));
	assert_false(nexthop_parse(bytes_of(path, 5 + 108), a, &n));
	assert_false(nexthop_parse(bytes_of("a\0b.example", 11), a, &n));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
