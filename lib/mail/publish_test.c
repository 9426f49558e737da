/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "mail/publish.h"
#include "proto/dns_text.h"

static struct publish_source source;
static struct arena *arena;
static struct publish_set sets[PUBLISH_SETS_MAX];

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(PUBLISH_ARENA);
	source = (struct publish_source){ .domain = text("a.example"), .host = text("mx.a.example"), .addresses = 2, .keys = 1,
		.port = { 465, 587, 993, 143, 995, 110 } };
	assert_true(address_parse(text("192.0.2.25"), &source.address[0]));
	assert_true(address_parse(text("2001:db8::25"), &source.address[1]));
	memset(source.key[0], 0xab, PUBLISH_KEY_OCTETS);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* ---- what should be ---- */

#define AB8	"abababababababab"

static const char zone_of_domain[] =
	"; where its mail goes\n"
	"a.example. 3600 IN MX 10 mx.a.example.\n"
	"; who sends mail in its name (SPF)\n"
	"a.example. 3600 IN TXT \"v=spf1 mx ~all\"\n"
	"; what becomes of mail that somebody else sends in its name (DMARC)\n"
	"_dmarc.a.example. 3600 IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@a.example\"\n"
	"; who is told when TLS fails (TLS reporting)\n"
	"_smtp._tls.a.example. 3600 IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@a.example\"\n"
	"; where mail programs find their servers\n"
	"_submissions._tcp.a.example. 3600 IN SRV 0 1 465 mx.a.example.\n"
	"_submission._tcp.a.example. 3600 IN SRV 10 1 587 mx.a.example.\n"
	"_imaps._tcp.a.example. 3600 IN SRV 0 1 993 mx.a.example.\n"
	"_imap._tcp.a.example. 3600 IN SRV 10 1 143 mx.a.example.\n"
	"_pop3s._tcp.a.example. 3600 IN SRV 20 1 995 mx.a.example.\n"
	"_pop3._tcp.a.example. 3600 IN SRV 30 1 110 mx.a.example.\n";

static const char zone_of_host[] =
	"; the host\n"
	"mx.a.example. 3600 IN A 192.0.2.25\n"
	"mx.a.example. 3600 IN AAAA 2001:db8::25\n"
	"; who sends mail in its name (SPF)\n"
	"mx.a.example. 3600 IN TXT \"v=spf1 a -all\"\n"
	"; the key of its certificate (DANE); it counts where the zone is signed by DNSSEC\n"
	"_25._tcp.mx.a.example. 3600 IN TLSA 3 1 1 " AB8 AB8 AB8 AB8 "\n"
	"; the names of the addresses: whoever gave you the address sets them, not this zone\n"
	"; 25.2.0.192.in-addr.arpa. 3600 IN PTR mx.a.example.\n"
	"; 5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 3600 IN PTR mx.a.example.\n";

static void
assert_zone(size_t n, const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 16);
	publish_zone(sets, n, &b);
	assert_bytes_equal(buf_bytes(&b), text(want));
	buf_fini(&b);
}

static void
test_zone(void **state)
{
	(void)state;
	assert_zone(publish_domain(&source, arena, sets), zone_of_domain);
	assert_zone(publish_host(&source, arena, sets), zone_of_host);
}

static void
test_zone_of_little(void **state)
{
	(void)state;
	source.addresses = source.keys = 0;
	source.host_has_spf = true;
	memset(source.port, 0, sizeof source.port);
	assert_int_equal(publish_domain(&source, arena, sets), 4);
	assert_zone(publish_host(&source, arena, sets), "");
}

/* The longest names, the most addresses and keys: all fit. */
static void
test_limits(void **state)
{
	static char name[PUBLISH_DOMAIN_MAX + 1];
	struct buf b;
	size_t n;

	(void)state;
	memset(name, 'x', PUBLISH_DOMAIN_MAX);
	for (size_t i = 50; i < PUBLISH_DOMAIN_MAX; i += 50)
		name[i] = '.';
	source.domain = source.host = text(name);
	source.addresses = PUBLISH_ADDRESSES_MAX;
	source.keys = PUBLISH_KEYS_MAX;
	buf_init(&b, 1 << 10);
	n = publish_domain(&source, arena, sets);
	for (size_t i = 0; i < n; i++) {
		buf_clear(&b);
		assert_true(dns_name_encode(sets[i].name, &b));
	}
	assert_true(sets[3].records[0].text.n > 255);		/* two strings */
	n = publish_host(&source, arena, sets);
	assert_true(n <= PUBLISH_SETS_MAX);
	assert_int_equal(n, 4 + PUBLISH_ADDRESSES_MAX);
	buf_fini(&b);
}

/* ---- what was published ---- */

static const struct publish_set *
set_of(enum publish_kind kind, enum dns_type type)
{
	bool host = kind == PUBLISH_ADDRESS || kind == PUBLISH_TLSA || kind == PUBLISH_PTR;
	size_t n = host ? publish_host(&source, arena, sets) : publish_domain(&source, arena, sets);

	for (size_t i = 0; i < n; i++)
		if (sets[i].kind == kind && sets[i].type == type)
			return &sets[i];
	fail();
	return NULL;
}

static struct publish_verdict
judge(const struct publish_set *s, const struct dns_record *records, size_t n, bool secure)
{
	struct publish_found is = { .result = n > 0 ? DNS_FOUND : DNS_NO_DATA, .secure = secure, .records = records, .n = n };
	struct publish_verdict v;

	publish_judge(s, &is, arena, &v);
	return v;
}

static const struct { enum publish_kind kind; const char *text; enum publish_state state; } policies[] = {
	{ PUBLISH_SPF, "v=spf1 mx ~all",		PUBLISH_RIGHT },
	{ PUBLISH_SPF, "v=spf1 mx -all",		PUBLISH_RIGHT },
	{ PUBLISH_SPF, "V=SPF1 +MX include:b.example -ALL", PUBLISH_RIGHT },
	{ PUBLISH_SPF, "v=spf1 mx all",			PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 mx +all",		PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 mx ?all",		PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 mx",			PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1",			PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 -all",			PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 -mx ~all",		PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 mxx ~all",		PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 ip4:192.0.2.25 ip6:2001:db8::/32 -all", PUBLISH_RIGHT },
	{ PUBLISH_SPF, "v=spf1 ip4:192.0.2.25 -all",	PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 ip4:192.0.2.25 ?ip6:2001:db8::/32 -all", PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 ip4: ip6: -all",		PUBLISH_DIFFERENT },
	{ PUBLISH_SPF, "v=spf1 redirect=b.example",	PUBLISH_UNSURE },
	{ PUBLISH_SPF, "v=spf1 mx redirect=b.example ~all", PUBLISH_RIGHT },
	{ PUBLISH_SPF, "v=spf10 mx ~all",		PUBLISH_MISSING },
	{ PUBLISH_SPF, "v=spf1; mx ~all",		PUBLISH_MISSING },
	{ PUBLISH_SPF, "",				PUBLISH_MISSING },
	{ PUBLISH_DMARC, "v=DMARC1; p=none; rua=mailto:postmaster@a.example", PUBLISH_RIGHT },
	{ PUBLISH_DMARC, "v=DMARC1;p=reject",		PUBLISH_RIGHT },
	{ PUBLISH_DMARC, "v = DMARC1 ; P = Quarantine ;", PUBLISH_RIGHT },
	{ PUBLISH_DMARC, "v=DMARC1; sp=reject",		PUBLISH_DIFFERENT },
	{ PUBLISH_DMARC, "v=DMARC1; p=nothing",		PUBLISH_DIFFERENT },
	{ PUBLISH_DMARC, "v=DMARC1",			PUBLISH_DIFFERENT },
	{ PUBLISH_DMARC, "v=dmarc1; p=none",		PUBLISH_MISSING },
	{ PUBLISH_DMARC, "p=none; v=DMARC1",		PUBLISH_MISSING },
	{ PUBLISH_DMARC, ";;;=;",			PUBLISH_MISSING },
	{ PUBLISH_TLSRPT, "v=TLSRPTv1; rua=mailto:x@b.example", PUBLISH_RIGHT },
	{ PUBLISH_TLSRPT, "v=TLSRPTv1;rua=https://b.example/x", PUBLISH_RIGHT },
	{ PUBLISH_TLSRPT, "v=TLSRPTv1; rua=x@b.example",	PUBLISH_DIFFERENT },
	{ PUBLISH_TLSRPT, "v=TLSRPTv1",			PUBLISH_DIFFERENT },
	{ PUBLISH_TLSRPT, "v=TLSRPTv2; rua=mailto:x@b.example", PUBLISH_MISSING },
};

static void
test_policies(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(policies); i++) {
		struct dns_record r[3] = { { .type = DNS_TXT, .text = text("v=other") },
			{ .type = DNS_TXT, .text = text(policies[i].text) }, { .type = DNS_TXT, .text = text("x v=spf1") } };
		const struct publish_set *s = set_of(policies[i].kind, DNS_TXT);
		struct publish_verdict v = judge(s, r, 3, true);

		assert_row_int(policies[i].text, v.state, policies[i].state);
		assert_row_int(policies[i].text, v.n, v.state != PUBLISH_MISSING);
		assert_row_int(policies[i].text, v.why.n == 0, v.state == PUBLISH_RIGHT || v.state == PUBLISH_MISSING);
		r[2] = r[1];		/* twice is none */
		v = judge(s, r, 3, true);
		assert_row_int(policies[i].text, v.state, policies[i].state == PUBLISH_MISSING ? PUBLISH_MISSING : PUBLISH_DIFFERENT);
	}
}

static void
test_mx(void **state)
{
	const struct publish_set *s = set_of(PUBLISH_MX, DNS_MX);
	struct dns_record ours = { .type = DNS_MX, .mx = { 20, text("MX.a.example") } };
	struct dns_record other = { .type = DNS_MX, .mx = { 5, text("b.example") } };
	struct dns_record null = { .type = DNS_MX }, two[] = { other, ours };
	struct publish_verdict v;

	(void)state;
	assert_int_equal(judge(s, &ours, 1, false).state, PUBLISH_RIGHT);
	v = judge(s, two, 2, false);
	assert_int_equal(v.state, PUBLISH_RIGHT);
	assert_bytes_equal(v.why, text("other hosts come first"));
	assert_int_equal(judge(s, &other, 1, false).state, PUBLISH_DIFFERENT);
	assert_int_equal(judge(s, &null, 1, false).state, PUBLISH_DIFFERENT);
	assert_int_equal(judge(s, NULL, 0, false).state, PUBLISH_MISSING);
}

static void
test_srv(void **state)
{
	const struct publish_set *s = set_of(PUBLISH_SRV, DNS_SRV);	/* of submissions */
	struct dns_record good = { .type = DNS_SRV, .srv = { 7, 7, 465, text("mx.a.example") } };
	struct dns_record port = { .type = DNS_SRV, .srv = { 0, 1, 587, text("mx.a.example") } };
	struct dns_record host = { .type = DNS_SRV, .srv = { 0, 1, 465, text("b.example") } };
	struct dns_record none = { .type = DNS_SRV }, three[] = { port, host, good };

	(void)state;
	assert_int_equal(judge(s, &good, 1, false).state, PUBLISH_RIGHT);
	assert_int_equal(judge(s, three, 3, false).state, PUBLISH_RIGHT);
	assert_int_equal(judge(s, three, 2, false).state, PUBLISH_DIFFERENT);
	assert_int_equal(judge(s, &none, 1, false).state, PUBLISH_DIFFERENT);
}

static struct dns_record
record_of(const char *address)
{
	struct dns_record r = { .type = DNS_A };
	struct address a;

	assert_true(address_parse(text(address), &a));
	memcpy(r.address, a.octet, sizeof r.address);
	return r;
}

static void
test_address(void **state)
{
	const struct publish_set *s = set_of(PUBLISH_ADDRESS, DNS_A), *six = set_of(PUBLISH_ADDRESS, DNS_AAAA);
	struct dns_record two[] = { record_of("192.0.2.25"), record_of("192.0.2.26") };
	struct publish_found alias = { .result = DNS_FOUND, .name = text("b.example"), .records = two, .n = 1 };
	struct publish_verdict v;

	(void)state;
	assert_int_equal(judge(s, two, 1, false).state, PUBLISH_RIGHT);
	v = judge(s, two, 2, false);
	assert_int_equal(v.state, PUBLISH_DIFFERENT);
	assert_bytes_equal(v.why, text("192.0.2.26 is no address of this host"));
	assert_int_equal(judge(six, NULL, 0, false).state, PUBLISH_MISSING);
	publish_judge(s, &alias, arena, &v);
	assert_int_equal(v.state, PUBLISH_DIFFERENT);
	alias.name = text("MX.a.example");
	publish_judge(s, &alias, arena, &v);
	assert_int_equal(v.state, PUBLISH_RIGHT);
	source.unsure[0] = "nobody knows";
	assert_int_equal(judge(s, two, 1, false).state, PUBLISH_UNSURE);
	source.unsure[0] = NULL;
	source.unsure[1] = "nobody knows";
	assert_int_equal(judge(s, two, 1, false).state, PUBLISH_RIGHT);
	source.unsure[1] = NULL;
	assert_true(address_parse(text("192.0.2.26"), &source.address[1]));
	s = set_of(PUBLISH_ADDRESS, DNS_A);
	assert_int_equal(judge(s, two, 2, false).state, PUBLISH_RIGHT);
	v = judge(s, two, 1, false);
	assert_int_equal(v.state, PUBLISH_DIFFERENT);
	assert_bytes_equal(v.why, text("192.0.2.26 is missing"));
	six = set_of(PUBLISH_ADDRESS, DNS_AAAA);		/* none should be */
	assert_int_equal(judge(six, NULL, 0, false).state, PUBLISH_RIGHT);
	assert_int_equal(judge(six, two, 1, false).state, PUBLISH_DIFFERENT);
}

static void
test_tlsa(void **state)
{
	struct dns_record good, full, other, both[2];
	const struct publish_set *s;

	(void)state;
	good = set_of(PUBLISH_TLSA, DNS_TLSA)->records[0];
	full = other = good;
	full.tlsa.selector = 0;
	other.tlsa.data = text("01234567890123456789012345678901");
	both[0] = other;
	both[1] = good;
	s = set_of(PUBLISH_TLSA, DNS_TLSA);
	assert_int_equal(judge(s, &good, 1, true).state, PUBLISH_RIGHT);
	assert_int_equal(judge(s, &good, 1, false).state, PUBLISH_INSECURE);
	assert_int_equal(judge(s, both, 2, true).state, PUBLISH_RIGHT);
	assert_int_equal(judge(s, both, 1, true).state, PUBLISH_DIFFERENT);
	assert_int_equal(judge(s, &full, 1, true).state, PUBLISH_UNSURE);
	assert_int_equal(judge(s, NULL, 0, true).state, PUBLISH_MISSING);
	source.keys = 2;				/* the second is not named */
	s = set_of(PUBLISH_TLSA, DNS_TLSA);
	assert_int_equal(judge(s, &good, 1, true).state, PUBLISH_DIFFERENT);
	source.keys = 0;
	s = set_of(PUBLISH_TLSA, DNS_TLSA);
	assert_int_equal(judge(s, &good, 1, true).state, PUBLISH_DIFFERENT);
	assert_int_equal(judge(s, NULL, 0, true).state, PUBLISH_RIGHT);
}

static void
test_ptr(void **state)
{
	const struct publish_set *s = set_of(PUBLISH_PTR, DNS_PTR);
	struct dns_record two[] = { { .type = DNS_PTR, .name = text("host-25.b.example") }, { .type = DNS_PTR, .name = text("mx.a.example") } };

	(void)state;
	assert_int_equal(judge(s, two, 2, false).state, PUBLISH_RIGHT);
	assert_int_equal(judge(s, two, 1, false).state, PUBLISH_DIFFERENT);
}

/* What is not sure is neither missing nor right. */
static void
test_no_answer(void **state)
{
	struct publish_found is = { .result = DNS_FAILED, .why = text("no answer came in time") };
	struct publish_verdict v;
	size_t n = publish_domain(&source, arena, sets);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		is.result = i % 2 ? DNS_BOGUS : DNS_FAILED;
		publish_judge(&sets[i], &is, arena, &v);
		assert_int_equal(v.state, PUBLISH_UNSURE);
		assert_true(bytes_ends(v.why, is.why));
	}
}

static const struct { const char *address; bool is_public; } addresses[] = {
	{ "8.8.8.8", true }, { "2a00::1", true }, { "9.255.255.255", true }, { "10.0.0.0", false }, { "10.255.255.255", false },
	{ "11.0.0.0", true }, { "172.15.255.255", true }, { "172.16.0.0", false }, { "172.31.255.255", false }, { "172.32.0.0", true },
	{ "192.168.1.1", false }, { "100.64.0.1", false }, { "100.128.0.0", true }, { "169.254.1.1", false }, { "127.0.0.1", false },
	{ "::1", false }, { "fe80::1", false }, { "fd00::1", false }, { "fe00::1", true }, { "192.0.2.1", false }, { "2001:db8::1", false },
	{ "224.0.0.1", false }, { "0.0.0.0", false },
};

static void
test_public(void **state)
{
	struct address a;
	const char *why;

	(void)state;
	for (size_t i = 0; i < LEN(addresses); i++) {
		assert_true(address_parse(text(addresses[i].address), &a));
		assert_row_int(addresses[i].address, publish_is_public(&a, &why), addresses[i].is_public);
		assert_row_int(addresses[i].address, why == NULL, addresses[i].is_public);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_zone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zone_of_little, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_srv, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tlsa, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ptr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
		cmocka_unit_test(test_public),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
