/* SPDX-License-Identifier: ISC */
#include "smtp-client/testing.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MX(domain, data)	{ domain, data, DNS_MX, DNS_FOUND, false, NULL }
#define A(host, address)	{ host, address, DNS_A, DNS_FOUND, false, NULL }
#define TLSA(name, data)	{ name, data, DNS_TLSA, DNS_FOUND, false, NULL }
#define BAD(name, type, result)	{ name, NULL, DNS_##type, result, false, NULL }

static const struct zone zone[] = {
	MX("dane.test", "10 mx.dane.test"), A("mx.dane.test", "198.51.100.1"), TLSA("_25._tcp.mx.dane.test", "3 1 1 " HASH),
	TLSA("_26._tcp.mx.dane.test", "0 1 1 " HASH),
	{ "insecure.test", "10 mx.dane.test", DNS_MX, DNS_FOUND, true, NULL },
	MX("lost.test", "10 mx.lost.test"), A("mx.lost.test", "198.51.100.2"), BAD("_25._tcp.mx.lost.test", TLSA, DNS_FAILED),
	MX("bogus.test", "10 mx.bogus.test"), A("mx.bogus.test", "198.51.100.3"), BAD("_25._tcp.mx.bogus.test", TLSA, DNS_BOGUS),
	MX("unsigned.test", "10 mx.unsigned.test"), { "mx.unsigned.test", "198.51.100.4", DNS_A, DNS_FOUND, true, NULL },
	BAD("_25._tcp.mx.unsigned.test", TLSA, DNS_FAILED),	/* RFC 7672 section 2.2.2 has such servers */
	/* aliases, section 2.2.3 */
	MX("alias.test", "10 mx.alias.test"), { "mx.alias.test", "198.51.100.5", DNS_A, DNS_FOUND, false, "host.alias.test" },
	TLSA("_25._tcp.host.alias.test", "2 0 1 " HASH), TLSA("_25._tcp.mx.alias.test", "3 1 1 " HASH),
	MX("alias2.test", "10 mx.alias2.test"), { "mx.alias2.test", "198.51.100.6", DNS_A, DNS_FOUND, false, "host.alias2.test" },
	TLSA("_25._tcp.mx.alias2.test", "3 1 1 " HASH),
	MX("alias3.test", "10 mx.alias3.test"), { "mx.alias3.test", "198.51.100.7", DNS_A, DNS_FOUND, true, "host.else.test" },
	{ "mx.alias3.test", "host.else.test", DNS_CNAME, DNS_FOUND, false, NULL },
	TLSA("_25._tcp.mx.alias3.test", "3 1 1 " HASH),
	MX("alias4.test", "10 mx.alias4.test"), { "mx.alias4.test", "198.51.100.8", DNS_A, DNS_FOUND, true, "host.else.test" },
	{ "mx.alias4.test", "host.else.test", DNS_CNAME, DNS_FOUND, true, NULL },
	BAD("_25._tcp.mx.alias4.test", TLSA, DNS_FAILED),
	MX("alias5.test", "10 mx.alias5.test"), { "mx.alias5.test", "198.51.100.9", DNS_A, DNS_FOUND, true, "host.else.test" },
	BAD("mx.alias5.test", CNAME, DNS_BOGUS),
	/* several hosts */
	MX("two.test", "10 mx.dane.test"), MX("two.test", "20 mx.plain.test"), A("mx.plain.test", "198.51.100.10"),
	MX("half.test", "10 mx.lost.test"), MX("half.test", "20 mx.plain.test"),
	{ "www.dane.test", "10 mx.dane.test", DNS_MX, DNS_FOUND, false, "dane.test" },
	A("nomx.test", "198.51.100.11"), TLSA("_25._tcp.nomx.test", "3 1 1 " HASH),
	{ "_25._tcp.mx.plain.test", "3 1 1 " HASH, DNS_TLSA, DNS_FOUND, true, NULL },	/* not signed: is none */
};

static const struct {
	const char	*nexthop;
	const char	*wish;
	bool		 sts;		/* the domain's policy: enforce, mx.plain.test and mx.dane.test */
	const char	*want;		/* each host: level and names, or "refused" */
	bool		 asked;		/* for the policy */
} cases[] = {
	{ "dane.test", "auto", true, "dane mx.dane.test dane.test;", false },
	{ "dane.test", "may", true, "may mx.dane.test;", false },
	{ "dane.test", "dane", true, "dane mx.dane.test dane.test;", false },
	{ "dane.test:26", "auto", false, "must mx.dane.test;", true },
	{ "dane.test:26", "auto", true, "sts mx.dane.test;", true },
	{ "dane.test:27", "auto", false, "may mx.dane.test;", true },
	{ "insecure.test", "auto", false, "may mx.dane.test;", true },
	{ "insecure.test", "auto", true, "sts mx.dane.test;", true },
	{ "insecure.test", "dane", true, "refused;", false },
	{ "lost.test", "auto", true, "refused;", false },
	{ "bogus.test", "auto", true, "refused;", false },
	{ "unsigned.test", "auto", false, "may mx.unsigned.test;", true },
	{ "unsigned.test", "auto", true, "refused;", true },
	{ "alias.test", "auto", false, "dane host.alias.test alias.test;", false },
	{ "alias2.test", "auto", false, "dane mx.alias2.test alias2.test;", false },
	{ "alias3.test", "auto", false, "dane mx.alias3.test alias3.test;", false },
	{ "alias4.test", "auto", false, "may mx.alias4.test;", true },
	{ "alias5.test", "auto", false, "refused;", false },
	{ "two.test", "auto", false, "dane mx.dane.test two.test;may mx.plain.test;", true },
	{ "two.test", "auto", true, "dane mx.dane.test two.test;sts mx.plain.test;", true },
	{ "half.test", "auto", false, "refused;may mx.plain.test;", true },
	{ "www.dane.test", "auto", false, "dane mx.dane.test www.dane.test dane.test;", false },
	{ "nomx.test", "auto", false, "dane nomx.test;", false },
	{ "[mx.dane.test]", "auto", true, "dane mx.dane.test;", false },
	{ "[mx.plain.test]", "auto", true, "may mx.plain.test;", false },
	{ "[198.51.100.1]", "must", true, "must;", false },
	{ "[198.51.100.1]", "dane", true, "refused;", false },
};

static void
done(void *arg)
{
	*(bool *)arg = true;
}

static void
say(const struct target *t, struct buf *out)
{
	for (size_t i = 0; i < t->nplaces; i++) {
		const struct tls_decision *d = t->places[i].tls;

		buf_text(out, d->refused ? "refused" : tls_level_name(d->level));
		for (size_t k = 0; k < d->nnames && !d->refused; k++)
			buf_fmt(out, " %.*s", BYTES_FMT(d->names[k]));
		buf_char(out, ';');
	}
}

static struct target *
find(struct fixture *f, const char *words)
{
	struct arena *arena = arena_new(1 << 16);
	struct nexthop n;
	struct target *t;
	bool found = false;

	assert_true(nexthop_parse(text(words), arena, &n));
	t = target_new(&f->client, &n, false, false, done, &found);
	arena_free(&arena);
	UNTIL(f, found)
		;
	assert_row_bytes(words, t->reply, text(""));
	return t;
}

static void
begin(struct fixture *f)
{
	fixture_init(f);
	f->zone = zone;
	f->nzone = LEN(zone);
	fixture_set(f, "smtp_dns_timeout", "3s");
	fixture_serve(f);
}

static void
test_cases(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < LEN(cases); i++) {
		struct tls_rule rule = { 0 };
		struct target *t = find(&f, cases[i].nexthop);
		struct guard *g;
		struct buf got;
		bool over = false;

		buf_init(&got, 1000);
		while (strcmp(tls_wish_words[rule.wish], cases[i].wish) != 0)
			rule.wish++;
		f.policies = 0;
		f.policy = (struct ipc_sts_answer){ .result = cases[i].sts ? STS_POLICY : STS_NO_POLICY,
		    .mode = MTA_STS_ENFORCE, .mx = OCTETS("\15\0\0\0mx.plain.test\14\0\0\0mx.dane.test") };
		g = guard_new(&f.client, t, &rule, false, cases[i].nexthop[0] != '[', done, &over);
		assert_false(over);
		UNTIL(&f, over)
			;
		say(t, &got);
		assert_row_bytes(cases[i].nexthop, buf_bytes(&got), text(cases[i].want));
		assert_row_int(cases[i].nexthop, f.policies, cases[i].asked);
		buf_fini(&got);
		guard_free(&g);
		target_free(&t);
	}
	fixture_fini(&f);
}

/* Nobody waits for an answer any more. */
static void
test_let_go(void **state)
{
	struct tls_rule rule = { .wish = TLS_WISH_AUTO };
	static const char *const nexthops[] = { "dane.test", "insecure.test", "alias3.test", "[198.51.100.1]" };
	bool over = false;

	(void)state;
	for (size_t i = 0; i < LEN(nexthops); i++) {
		struct fixture f;
		struct target *t;
		struct guard *g;

		begin(&f);
		t = find(&f, nexthops[i]);
		g = guard_new(&f.client, t, &rule, false, true, done, &over);
		guard_free(&g);
		guard_free(&g);
		target_free(&t);
		for (unsigned n = 0; n < 20; n++)
			event_base_loop(f.daemon.loop.base, EVLOOP_NONBLOCK);
		assert_false(over);
		fixture_fini(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
