/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "mail/candidates.h"

static struct address
address(const char *s)
{
	struct address a;

	assert_true(address_parse(text(s), &a));
	return a;
}

static struct candidate_host
host(const char *name, unsigned preference, size_t nv6, size_t nv4)
{
	struct candidate_host h = { .name = text(name), .preference = preference, .nv6 = nv6, .nv4 = nv4 };
	static unsigned char serial;

	for (size_t i = 0; i < nv6; i++) {
		h.v6[i] = address("2001:db8::");
		h.v6[i].octet[15] = ++serial;
	}
	for (size_t i = 0; i < nv4; i++) {
		h.v4[i] = address("192.0.2.0");
		h.v4[i].octet[15] = ++serial;
	}
	return h;
}

/* RFC 5321 section 5.1: the least preference first, and those of one preference in any order. */
static void
test_order(void **state)
{
	unsigned first[2] = { 0 };

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct candidate_host h[] = { host("c", 20, 0, 0), host("a", 5, 0, 0), host("b", 5, 0, 0), host("d", 65535, 0, 0) };

		candidates_order(h, LEN(h));
		assert_int_equal(h[0].preference, 5);
		assert_int_equal(h[1].preference, 5);
		assert_int_equal(h[2].preference, 20);
		assert_int_equal(h[3].preference, 65535);
		first[h[0].name.p[0] - 'a']++;
	}
	assert_true(first[0] > 50 && first[1] > 50);
	candidates_order(NULL, 0);
}

/* The best, whatever order they come in; who is told of the last is told that it is one too many. */
static void
test_keep(void **state)
{
	struct candidate_host h[CANDIDATE_HOSTS];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < CANDIDATE_HOSTS; i++)
		assert_true(candidates_keep(h, &n, text("x"), 100 - i));
	assert_false(candidates_keep(h, &n, text("late"), 101));
	assert_false(candidates_keep(h, &n, text("better"), 1));
	assert_int_equal(n, CANDIDATE_HOSTS);
	candidates_order(h, n);
	assert_bytes_equal(h[0].name, text("better"));
	assert_int_equal(h[n - 1].preference, 99);	/* 100 had to go */
}

/* Neither this host nor its equals. */
static void
test_better(void **state)
{
	struct candidate_host h[] = { host("a", 5, 1, 0), host("b", 10, 1, 0), host("c", 10, 0, 1), host("d", 20, 0, 1) };

	(void)state;
	assert_int_equal(candidates_better(h, LEN(h), 20), 3);
	assert_int_equal(candidates_better(h, 3, 10), 1);
	assert_bytes_equal(h[0].name, text("a"));
	assert_int_equal(candidates_better(h, 1, 5), 0);
}

static void
test_from(void **state)
{
	static const struct { const char *from; size_t nv6, nv4; bool some; } rows[] = { { "x.test", 2, 3, false },
	    { "x.test;from=192.0.2.9", 0, 3, true }, { "x.test;from=2001:db8::9", 2, 0, true },
	    { "x.test;from=192.0.2.9,2001:db8::9", 2, 3, false } };
	struct arena *a = arena_new(65536);

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct candidate_host h[] = { host("a", 5, 2, 0), host("b", 5, 0, 3) };
		struct nexthop n;

		assert_true(nexthop_parse(text(rows[i].from), a, &n));
		assert_row_int(rows[i].from, candidates_from(h, LEN(h), &n), rows[i].some);
		assert_row_int(rows[i].from, h[0].nv6, rows[i].nv6);
		assert_row_int(rows[i].from, h[1].nv4, rows[i].nv4);
		assert_row_int(rows[i].from, h[0].nv4 + h[1].nv6, 0);
	}
	arena_free(&a);
}

/* RFC 8305 section 4: families take turns. */
static void
test_families(void **state)
{
	struct candidate_host h[] = { host("a", 0, 2, 3) };
	struct candidate p[9];

	(void)state;
	assert_int_equal(candidates_of(h, 1, 25, p, LEN(p)), 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(address_is_ipv4(&p[i].address), i == 1 || i >= 3);
		assert_int_equal(p[i].port, 25);
		assert_bytes_equal(p[i].host, text("a"));
	}
}

/* However many addresses the first host has, the others have their share; each limit at it and one past it. */
static void
test_limits(void **state)
{
	static const struct { size_t most, n, want[3]; } cases[] = {
		{ 1, 1, { 1, 0, 0 } }, { 2, 2, { 2, 0, 0 } }, { 3, 3, { 2, 1, 0 } }, { 4, 4, { 2, 2, 0 } },
		{ 6, 6, { 3, 2, 1 } }, { 100, 96, { 32, 32, 32 } }, { 0, 0, { 0, 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct candidate_host h[] = { host("a", 1, 16, 16), host("b", 2, 16, 16), host("c", 3, 16, 16) };
		struct candidate p[100];
		size_t got[3] = { 0 };

		assert_int_equal(candidates_of(h, LEN(h), 25, p, cases[i].most), cases[i].n);
		for (size_t k = 0; k < cases[i].n; k++)
			got[p[k].host.p[0] - 'a']++;
		assert_memory_equal(got, cases[i].want, sizeof got);
	}
}

/* What the others have no use for is not kept for them. */
static void
test_few_others(void **state)
{
	static const struct { size_t others, want[2]; } cases[] = { { 0, { 6, 0 } }, { 1, { 5, 1 } }, { 2, { 4, 2 } }, { 3, { 3, 3 } },
	    { 4, { 3, 3 } } };

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct candidate_host h[] = { host("a", 1, 3, 4), host("b", 2, 0, cases[i].others) };
		struct candidate p[6];
		size_t got[2] = { 0 };

		assert_int_equal(candidates_of(h, LEN(h), 25, p, LEN(p)), LEN(p));
		for (size_t k = 0; k < LEN(p); k++)
			got[p[k].host.p[0] - 'a']++;
		assert_memory_equal(got, cases[i].want, sizeof got);
	}
}

/* Two names of one host: the second is tried behind all other addresses, and takes nobody's room. */
static void
test_same_address(void **state)
{
	struct candidate_host h[] = { host("a", 1, 0, 1), host("b", 2, 0, 2), host("c", 3, 0, 1) };
	struct candidate p[4];

	(void)state;
	h[1].v4[0] = h[1].v4[1] = h[0].v4[0];
	h[2].v4[0].octet[15] = 99;
	for (size_t most = 1; most <= LEN(p); most++) {
		size_t n = candidates_of(h, 3, 25, p, most);

		assert_int_equal(n, most < 3 ? most : 3);
		assert_bytes_equal(p[0].host, text("a"));
		if (n > 1)
			assert_bytes_equal(p[1].host, text("c"));
		if (n > 2)
			assert_bytes_equal(p[2].host, text("b"));
		assert_true(n < 3 || candidate_same_address(&p[0], &p[2]));
		assert_false(n > 1 && candidate_same_address(&p[0], &p[1]));
	}
}

static void
test_text(void **state)
{
	struct candidate p = { .host = text("mx.example.org"), .address = address("192.0.2.1"), .port = 25 };
	char dst[CANDIDATE_TEXT_MAX], longest[300];

	(void)state;
	assert_string_equal(candidate_text(&p, dst), "mx.example.org [192.0.2.1]:25");
	p.host = text("a\nb\x01");
	assert_string_equal(candidate_text(&p, dst), "a?b? [192.0.2.1]:25");
	p.host = text("");
	p.address = address("2001:db8::1");
	assert_string_equal(candidate_text(&p, dst), "[2001:db8::1]:25");
	memset(longest, 'x', sizeof longest);
	p.host = bytes_of(longest, sizeof longest);
	assert_true(strlen(candidate_text(&p, dst)) < 300);
	assert_non_null(strstr(dst, "... [2001:db8::1]:25"));
	p.socket = "/run/lmtp";
	assert_string_equal(candidate_text(&p, dst), "/run/lmtp");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_better),
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_few_others),
		cmocka_unit_test(test_same_address),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
