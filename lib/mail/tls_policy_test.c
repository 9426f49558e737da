/* SPDX-License-Identifier: ISC */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/testing.h"
#include "mail/tls_policy.h"

/* ---- tls_policies ---- */

static const struct { const char *item; bool want; } items[] = {
	{ "example.org dane", true },
	{ ".example.com  may", true },
	{ "old.example never", true },
	{ "a.example auto", true },
	{ "a.example must", true },
	{ "192.0.2.1 must", true },
	{ "2001:db8::1 must", true },
	{ "example.net secure", true },
	{ "example.net secure mx.example.net .example.org ", true },
	{ "example.net secure a b c d e f g h", true },
	{ "example.net secure a b c d e f g h i", false },
	{ "example.net secure *.example.net", false },
	{ "example.net must mx.example.net", false },
	{ "example.net", false },
	{ "example.net ", false },
	{ "example.net Dane", false },
	{ "*.example.net dane", false },
	{ ". dane", false },
	{ "", false },
	{ "dane", false },
	{ "a@b.example dane", false },
};

static void
test_items(void **state)
{
	char why[256];

	(void)state;
	for (size_t i = 0; i < LEN(items); i++)
		assert_row_int(items[i].item, setting_is_tls_policy(items[i].item, why, sizeof why), items[i].want);
}

static void
test_rules(void **state)
{
	char *all[] = { ".example.org must", "example.org dane", ".sub.example.org never", "example.net secure b .c.example",
	    "192.0.2.1 must" };
	const struct setting_list list = { all, LEN(all) };
	static const struct { const char *domain; enum tls_wish want; bool listed; } rows[] = {
		{ "example.org", TLS_WISH_DANE, true },
		{ "EXAMPLE.org", TLS_WISH_DANE, true },
		{ "mx.example.org", TLS_WISH_MUST, true },
		{ "sub.example.org", TLS_WISH_MUST, true },
		{ "a.sub.example.org", TLS_WISH_NEVER, true },
		{ "b.a.sub.example.org", TLS_WISH_NEVER, true },
		{ "notexample.org", TLS_WISH_AUTO, false },
		{ "org", TLS_WISH_AUTO, false },
		{ "", TLS_WISH_AUTO, false },
		{ "example.net", TLS_WISH_SECURE, true },
		{ "192.0.2.1", TLS_WISH_MUST, true },
	};
	struct tls_rule r;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		tls_rule_find(&list, TLS_WISH_AUTO, text(rows[i].domain), &r);
		assert_row_int(rows[i].domain, r.wish, rows[i].want);
		assert_row_int(rows[i].domain, r.listed, rows[i].listed);
	}
	tls_rule_find(&list, TLS_WISH_AUTO, text("example.net"), &r);
	assert_int_equal(r.nnames, 2);
	assert_bytes_equal(r.names[0], text("b"));
	assert_bytes_equal(r.names[1], text(".c.example"));
}

/* ---- which questions: RFC 7672 section 2.2 ---- */

enum { MX = 1, SIGNED = 2 /* the MX records */, ADDRESS = 4 /* signed */, ALIAS = 8 /* its CNAME is signed */ };

static struct tls_host
host(const char *domain, const char *name, const char *expanded, unsigned what)
{
	return (struct tls_host){ .domain = text(domain), .name = text(name), .name_expanded = text(expanded),
	    .by_mx = what & MX, .domain_secure = what & SIGNED, .address_secure = what & ADDRESS, .alias_secure = what & ALIAS };
}

static const struct {
	const char	*row;
	unsigned	 what;
	const char	*name, *expanded;
	bool		 dane, alias;
	const char	*bases;
} searches[] = {
	{ "MX and address signed", MX | SIGNED | ADDRESS, "mx.a", NULL, true, false, "mx.a " },
	{ "MX not signed (2.2.1)", MX | ADDRESS, "mx.a", NULL, false, false, "mx.a " },
	{ "address not signed (2.2.2)", MX | SIGNED, "mx.a", NULL, true, false, "" },
	{ "no MX", ADDRESS, "a", NULL, true, false, "a " },
	{ "no MX, nothing signed", 0, "a", NULL, true, false, "" },
	{ "an alias that is none", MX | SIGNED | ADDRESS, "mx.a", "MX.a", true, false, "mx.a " },
	{ "secure CNAME", MX | SIGNED | ADDRESS, "mx.a", "host.b", true, false, "host.b mx.a " },
	{ "insecure CNAME, signed at first", MX | SIGNED | ALIAS, "mx.a", "host.b", true, true, "mx.a " },
	{ "insecure CNAME, wholly", MX | SIGNED, "mx.a", "host.b", true, true, "" },
	{ "an address alone", SIGNED, "", NULL, false, false, "" },
};

static void
test_searches(void **state)
{
	const struct tls_rule automatic = { .wish = TLS_WISH_AUTO }, may = { .wish = TLS_WISH_MAY },
	    never = { .wish = TLS_WISH_NEVER };

	(void)state;
	for (size_t i = 0; i < LEN(searches); i++) {
		struct tls_host h = host("a", searches[i].name, searches[i].expanded, searches[i].what);
		struct bytes bases[2];
		size_t n = tls_tlsa_bases(&h, bases);
		struct buf got;

		buf_init(&got, 200);
		for (size_t k = 0; k < n; k++) {
			buf_add(&got, bases[k]);
			buf_char(&got, ' ');
		}
		assert_row_int(searches[i].row, tls_wants_dane(&automatic, false, &h), searches[i].dane);
		assert_row_int(searches[i].row, tls_wants_dane(&may, false, &h), false);
		assert_row_int(searches[i].row, tls_wants_dane(&never, true, &h), searches[i].dane);
		assert_row_int(searches[i].row, tls_wants_alias(&h), searches[i].alias);
		if (searches[i].name[0] != '\0')
			assert_row_bytes(searches[i].row, buf_bytes(&got), text(searches[i].bases));
		buf_fini(&got);
	}
}

static void
test_judge(void **state)
{
	(void)state;
	assert_int_equal(tls_tlsa_judge(DNS_FOUND, true), TLSA_THERE);
	assert_int_equal(tls_tlsa_judge(DNS_FOUND, false), TLSA_NONE);
	assert_int_equal(tls_tlsa_judge(DNS_NO_DATA, true), TLSA_NONE);
	assert_int_equal(tls_tlsa_judge(DNS_NO_DATA, false), TLSA_NONE);
	assert_int_equal(tls_tlsa_judge(DNS_NO_NAME, true), TLSA_NONE);
	assert_int_equal(tls_tlsa_judge(DNS_NO_NAME, false), TLSA_NONE);
	assert_int_equal(tls_tlsa_judge(DNS_FAILED, false), TLSA_UNKNOWN);
	assert_int_equal(tls_tlsa_judge(DNS_BOGUS, false), TLSA_UNKNOWN);
}

/* ---- records ---- */

static struct bytes
key_der(struct arena *a)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	struct bytes out = arena_copy(a, bytes_of(der, (size_t)n));

	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return out;
}

static void
test_usable(void **state)
{
	static const unsigned char octets[65];
	static const struct { uint8_t usage, selector, matching; size_t n; bool want; } rows[] = {
		{ 3, 1, 1, 32, true }, { 3, 0, 1, 32, true }, { 2, 0, 1, 32, true }, { 2, 1, 2, 64, true }, { 3, 1, 2, 64, true },
		{ 0, 0, 1, 32, false }, { 1, 1, 1, 32, false }, { 4, 1, 1, 32, false }, { 255, 1, 1, 32, false },
		{ 3, 2, 1, 32, false }, { 3, 1, 3, 32, false }, { 3, 1, 1, 31, false }, { 3, 1, 1, 33, false },
		{ 3, 1, 2, 63, false }, { 3, 1, 2, 65, false }, { 3, 1, 1, 0, false }, { 3, 1, 0, 0, false },
		{ 3, 1, 0, 32, false }, { 2, 0, 0, 65, false },
	};
	struct arena *a = arena_new(4096);
	struct bytes der = key_der(a);
	struct dns_tlsa whole = { 3, 1, 0, der };

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct dns_tlsa t = { rows[i].usage, rows[i].selector, rows[i].matching, bytes_of(octets, rows[i].n) };

		if (tls_tlsa_is_usable(&t) != rows[i].want)
			fail_msg("row %zu", i);
	}
	assert_true(tls_tlsa_is_usable(&whole));
	whole.data = bytes_head(der, der.n - 1);
	assert_false(tls_tlsa_is_usable(&whole));
	whole.data = arena_fmt(a, "%.*s", 0, "");
	assert_false(tls_tlsa_is_usable(&whole));
	whole = (struct dns_tlsa){ 3, 0, 0, der };		/* a key is no certificate */
	assert_false(tls_tlsa_is_usable(&whole));
	arena_free(&a);
}

/* ---- decisions ---- */

enum { NO_STS, STS_NONE, STS_TESTING, STS_ENFORCE };
enum { NO_TLSA, GOOD, MIXED, UNUSABLE, UNKNOWN };

static const struct {
	const char	*row;
	enum tls_wish	 wish;
	const char	*rule_name;
	bool		 requiretls;
	unsigned	 what;
	const char	*name, *expanded;
	unsigned	 tlsa, sts;	/* the policy names *.a.example */
	const char	*got;		/* the level, "testing" or "testing-mx", names; or "later" or "bounce" */
	bool		 asks_sts;
} decisions[] = {
	{ "nothing known", TLS_WISH_AUTO, NULL, false, MX, "mx.a.example", NULL, NO_TLSA, NO_STS, "may mx.a.example", true },
	{ "never", TLS_WISH_NEVER, NULL, false, MX, "mx.a.example", NULL, NO_TLSA, NO_STS, "never mx.a.example", false },
	{ "may", TLS_WISH_MAY, NULL, false, MX, "mx.a.example", NULL, NO_TLSA, STS_ENFORCE, "may mx.a.example", false },
	{ "must", TLS_WISH_MUST, NULL, false, MX, "mx.a.example", NULL, NO_TLSA, NO_STS, "must mx.a.example", true },
	/* RFC 7672 section 2.2 */
	{ "DANE", TLS_WISH_AUTO, NULL, false, MX | SIGNED | ADDRESS, "mx.a.example", NULL, GOOD, NO_STS,
	    "dane mx.a.example a.example", false },
	{ "some unusable", TLS_WISH_AUTO, NULL, false, MX | SIGNED | ADDRESS, "mx.a.example", NULL, MIXED, NO_STS,
	    "dane mx.a.example a.example", false },
	{ "all unusable", TLS_WISH_AUTO, NULL, false, MX | SIGNED | ADDRESS, "mx.a.example", NULL, UNUSABLE, NO_STS,
	    "must mx.a.example", true },
	{ "not to be known", TLS_WISH_AUTO, NULL, false, MX | SIGNED | ADDRESS, "mx.a.example", NULL, UNKNOWN, NO_STS,
	    "later", false },
	{ "not to be known, no matter the policy", TLS_WISH_AUTO, NULL, false, MX | SIGNED | ADDRESS, "mx.a.example", NULL,
	    UNKNOWN, STS_ENFORCE, "later", false },
	{ "an alias", TLS_WISH_AUTO, NULL, false, MX | SIGNED | ADDRESS, "mx.a.example", "h.b.example", GOOD, NO_STS,
	    "dane h.b.example a.example", false },
	{ "no MX", TLS_WISH_AUTO, NULL, false, SIGNED | ADDRESS, "a.example", NULL, GOOD, NO_STS, "dane a.example", false },
	{ "no MX, an alias", TLS_WISH_AUTO, NULL, false, SIGNED | ADDRESS, "a.example", "h.b.example", GOOD, NO_STS,
	    "dane h.b.example a.example", false },
	/* section 6 */
	{ "DANE alone", TLS_WISH_DANE, NULL, false, MX | SIGNED | ADDRESS, "mx.a.example", NULL, GOOD, NO_STS,
	    "dane mx.a.example a.example", false },
	{ "DANE alone, none", TLS_WISH_DANE, NULL, false, MX | SIGNED, "mx.a.example", NULL, NO_TLSA, STS_ENFORCE, "later", false },
	{ "DANE alone, MX not signed", TLS_WISH_DANE, NULL, false, MX, "mx.a.example", NULL, NO_TLSA, NO_STS, "later", false },
	{ "DANE alone, unusable", TLS_WISH_DANE, NULL, false, MX | SIGNED | ADDRESS, "mx.a.example", NULL, UNUSABLE, NO_STS,
	    "later", false },
	{ "DANE alone, an address", TLS_WISH_DANE, NULL, false, SIGNED, "", NULL, NO_TLSA, NO_STS, "later", false },
	/* RFC 8461 */
	{ "enforce", TLS_WISH_AUTO, NULL, false, MX, "mx.a.example", NULL, NO_TLSA, STS_ENFORCE, "sts mx.a.example", true },
	{ "enforce, another host", TLS_WISH_AUTO, NULL, false, MX, "mx.b.example", NULL, NO_TLSA, STS_ENFORCE, "later", true },
	{ "testing", TLS_WISH_AUTO, NULL, false, MX, "mx.a.example", NULL, NO_TLSA, STS_TESTING,
	    "may testing mx.a.example", true },
	{ "testing, another host", TLS_WISH_AUTO, NULL, false, MX, "mx.b.example", NULL, NO_TLSA, STS_TESTING,
	    "may testing-mx mx.b.example", true },
	{ "testing under must", TLS_WISH_MUST, NULL, false, MX, "mx.a.example", NULL, NO_TLSA, STS_TESTING,
	    "must testing mx.a.example", true },
	{ "none", TLS_WISH_AUTO, NULL, false, MX, "mx.b.example", NULL, NO_TLSA, STS_NONE, "may mx.b.example", true },
	{ "DANE before it (section 2)", TLS_WISH_AUTO, NULL, false, MX | SIGNED | ADDRESS, "mx.b.example", NULL, GOOD,
	    STS_ENFORCE, "dane mx.b.example a.example", false },
	{ "unusable TLSA, and enforce", TLS_WISH_AUTO, NULL, false, MX | SIGNED | ADDRESS, "mx.a.example", NULL, UNUSABLE,
	    STS_ENFORCE, "sts mx.a.example", true },
	/* secure */
	{ "secure, MX not signed", TLS_WISH_SECURE, NULL, false, MX, "mx.b.example", NULL, NO_TLSA, NO_STS,
	    "secure a.example .a.example", true },
	{ "secure, MX signed", TLS_WISH_SECURE, NULL, false, MX | SIGNED, "mx.b.example", NULL, NO_TLSA, NO_STS,
	    "secure mx.b.example a.example", true },
	{ "secure, names", TLS_WISH_SECURE, "mx.c.example", false, MX, "mx.b.example", NULL, NO_TLSA, NO_STS,
	    "secure mx.c.example", true },
	{ "secure, names, enforce", TLS_WISH_SECURE, "mx.c.example", false, MX, "mx.a.example", NULL, NO_TLSA, STS_ENFORCE,
	    "secure mx.c.example", true },
	{ "secure, enforce", TLS_WISH_SECURE, NULL, false, MX, "mx.a.example", NULL, NO_TLSA, STS_ENFORCE,
	    "sts mx.a.example", true },
	{ "secure, testing", TLS_WISH_SECURE, NULL, false, MX | SIGNED, "mx.a.example", NULL, NO_TLSA, STS_TESTING,
	    "secure testing mx.a.example a.example", true },
	{ "secure, DANE", TLS_WISH_SECURE, NULL, false, MX | SIGNED | ADDRESS, "mx.b.example", NULL, GOOD, NO_STS,
	    "dane mx.b.example a.example", false },
	{ "secure, an address", TLS_WISH_SECURE, NULL, false, SIGNED, "", NULL, NO_TLSA, NO_STS, "secure", false },
	/* RFC 8689 section 4.2.1 */
	{ "REQUIRETLS", TLS_WISH_AUTO, NULL, true, MX, "mx.a.example", NULL, NO_TLSA, NO_STS, "bounce", true },
	{ "REQUIRETLS, MX signed", TLS_WISH_NEVER, NULL, true, MX | SIGNED, "mx.a.example", NULL, NO_TLSA, NO_STS,
	    "secure mx.a.example", true },
	{ "REQUIRETLS, enforce", TLS_WISH_MAY, NULL, true, MX, "mx.a.example", NULL, NO_TLSA, STS_ENFORCE,
	    "sts mx.a.example", true },
	{ "REQUIRETLS, enforce, another host", TLS_WISH_AUTO, NULL, true, MX, "mx.b.example", NULL, NO_TLSA, STS_ENFORCE,
	    "bounce", true },
	{ "REQUIRETLS, not to be known", TLS_WISH_AUTO, NULL, true, MX | SIGNED | ADDRESS, "mx.a.example", NULL, UNKNOWN,
	    NO_STS, "later", false },
	{ "REQUIRETLS, testing", TLS_WISH_AUTO, NULL, true, MX, "mx.a.example", NULL, NO_TLSA, STS_TESTING, "bounce", true },
	{ "REQUIRETLS, DANE", TLS_WISH_AUTO, NULL, true, MX | SIGNED | ADDRESS, "mx.a.example", NULL, GOOD, NO_STS,
	    "dane mx.a.example a.example", false },
};

static void
say(const struct tls_decision *d, struct buf *out)
{
	if (d->refused) {
		buf_text(out, d->permanent ? "bounce" : "later");
		return;
	}
	buf_text(out, tls_level_name(d->level));
	if (d->testing)
		buf_text(out, d->testing_mx ? " testing-mx" : " testing");
	for (size_t i = 0; i < d->nnames; i++)
		buf_fmt(out, " %.*s", BYTES_FMT(d->names[i]));
}

static void
test_decisions(void **state)
{
	static const unsigned char hash[32];
	const struct dns_record good = { .type = DNS_TLSA, .tlsa = { 3, 1, 1, bytes_of(hash, 32) } },
	    bad = { .type = DNS_TLSA, .tlsa = { 0, 0, 1, bytes_of(hash, 32) } };
	const struct dns_record sets[][2] = { [NO_TLSA] = { bad, bad }, [GOOD] = { good, good }, [MIXED] = { bad, good },
	    [UNUSABLE] = { bad, bad }, [UNKNOWN] = { good, good } };
	static const enum mta_sts_mode modes[] = { [STS_NONE] = MTA_STS_NONE, [STS_TESTING] = MTA_STS_TESTING,
	    [STS_ENFORCE] = MTA_STS_ENFORCE };
	struct bytes mx[] = { text("*.a.example") };

	(void)state;
	for (size_t i = 0; i < LEN(decisions); i++) {
		struct arena *a = arena_new(8192);
		struct tls_host h = host(decisions[i].name[0] ? "a.example" : "192.0.2.1", decisions[i].name,
		    decisions[i].expanded, decisions[i].what);
		struct tls_rule rule = { .wish = decisions[i].wish };
		struct tls_sts sts = { .policy = { .mode = modes[decisions[i].sts], .mx = mx, .nmx = 1 } };
		struct tls_question q = { .rule = &rule, .host = &h, .requiretls = decisions[i].requiretls,
		    .tlsa = decisions[i].tlsa == NO_TLSA ? TLSA_NONE : decisions[i].tlsa == UNKNOWN ? TLSA_UNKNOWN : TLSA_THERE,
		    .tlsa_base = decisions[i].expanded ? h.name_expanded : h.name, .tlsa_records = sets[decisions[i].tlsa],
		    .ntlsa = 2, .tlsa_why = text("SERVFAIL"), .sts = decisions[i].sts == NO_STS ? NULL : &sts };
		struct tls_decision d;
		struct buf got;

		rule.names[0] = text(decisions[i].rule_name);
		rule.nnames = decisions[i].rule_name != NULL;
		buf_init(&got, 400);
		tls_decide(&q, a, &d);
		say(&d, &got);
		assert_row_bytes(decisions[i].row, buf_bytes(&got), text(decisions[i].got));
		assert_row_int(decisions[i].row, tls_wants_sts(&q), decisions[i].asks_sts);
		assert_row_int(decisions[i].row, d.why.n > 0, true);
		if (!d.refused && d.level == TLS_DANE)
			assert_row_bytes(decisions[i].row, d.sni, q.tlsa_base);
		else if (!d.refused)
			assert_row_bytes(decisions[i].row, d.sni, h.name);
		buf_fini(&got);
		arena_free(&a);
	}
}

/* Where we log in: the rule before and behind, and whose names count. */
static void
test_login(void **state)
{
	static const struct { enum tls_wish wish; bool listed, unproven; unsigned what; enum tls_wish then; bool raised;
	    const char *got; } rows[] = {
		{ TLS_WISH_AUTO, false, false, MX, TLS_WISH_SECURE, true, "secure a.example .a.example" },
		{ TLS_WISH_AUTO, false, false, MX | SIGNED, TLS_WISH_SECURE, true, "secure mx.b.example a.example" },
		{ TLS_WISH_MAY, false, false, MX, TLS_WISH_SECURE, true, "secure a.example .a.example" },
		{ TLS_WISH_MUST, false, false, MX, TLS_WISH_SECURE, true, "secure a.example .a.example" },
		{ TLS_WISH_NEVER, false, false, MX, TLS_WISH_NEVER, false, "never a.example .a.example" },
		{ TLS_WISH_DANE, false, false, MX, TLS_WISH_DANE, false, "later" },
		{ TLS_WISH_SECURE, false, false, MX, TLS_WISH_SECURE, false, "secure a.example .a.example" },
		{ TLS_WISH_AUTO, true, false, MX, TLS_WISH_AUTO, false, "may a.example .a.example" },
		{ TLS_WISH_MUST, true, false, MX, TLS_WISH_MUST, false, "must a.example .a.example" },
		{ TLS_WISH_MUST, true, false, MX | SIGNED, TLS_WISH_MUST, false, "must mx.b.example a.example" },
		{ TLS_WISH_AUTO, false, true, MX, TLS_WISH_AUTO, false, "may a.example .a.example" },
		{ TLS_WISH_AUTO, false, true, MX | SIGNED, TLS_WISH_AUTO, false, "may mx.b.example a.example" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct arena *a = arena_new(8192);
		struct tls_host h = host("a.example", "mx.b.example", NULL, rows[i].what);
		struct tls_rule rule = { .wish = rows[i].wish, .listed = rows[i].listed };
		struct tls_question q = { .rule = &rule, .host = &h, .tlsa = TLSA_NONE };
		struct tls_decision d;
		struct buf got;

		for (unsigned twice = 0; twice < 2; twice++) {
			tls_rule_login(&rule, rows[i].unproven);
			assert_row_int(rows[i].got, rule.wish, rows[i].then);
			assert_row_int(rows[i].got, rule.raised, rows[i].raised);
		}
		buf_init(&got, 400);
		tls_decide(&q, a, &d);
		say(&d, &got);
		assert_row_bytes(rows[i].got, buf_bytes(&got), text(rows[i].got));
		assert_row_int(rows[i].got, d.login, true);
		buf_fini(&got);
		arena_free(&a);
	}
}

/* RFC 8689 section 4.2.2: what the domain publishes is waived, not what the administrator wants, nor where we log in. */
static void
test_waive(void **state)
{
	static const enum tls_wish all[] = { TLS_WISH_NEVER, TLS_WISH_MAY, TLS_WISH_AUTO, TLS_WISH_MUST, TLS_WISH_DANE, TLS_WISH_SECURE };
	const struct tls_host h = host("a.example", "mx.a.example", NULL, MX | SIGNED | ADDRESS);

	(void)state;
	for (size_t i = 0; i < LEN(all); i++) {
		struct tls_rule rule = { .wish = all[i] };

		tls_rule_waive(&rule);
		assert_int_equal(rule.wish, all[i] == TLS_WISH_AUTO ? TLS_WISH_MAY : all[i]);
		assert_int_equal(rule.waived, all[i] == TLS_WISH_AUTO);
		assert_int_equal(tls_wants_dane(&rule, false, &h), all[i] > TLS_WISH_AUTO);
		tls_rule_login(&rule, false);
		assert_int_equal(tls_wish_proves(rule.wish), all[i] != TLS_WISH_NEVER);
	}
}

/* RFC 7672 section 3.2.2: the example. */
static void
test_names(void **state)
{
	static const unsigned char hash[32];
	const struct dns_record record = { .type = DNS_TLSA, .tlsa = { 2, 0, 1, bytes_of(hash, 32) } };
	const struct tls_rule rule = { .wish = TLS_WISH_AUTO };
	struct tls_host h = host("exchange.example.org", "mx20.example.com", "mxbackup.example.net", MX | SIGNED | ADDRESS);
	struct tls_question q = { .rule = &rule, .host = &h, .tlsa = TLSA_THERE, .tlsa_base = h.name_expanded,
	    .tlsa_records = &record, .ntlsa = 1 };
	struct arena *a = arena_new(8192);
	struct tls_decision d;

	(void)state;
	h.domain_expanded = text("example.com");
	tls_decide(&q, a, &d);
	assert_int_equal(d.nnames, 3);
	assert_bytes_equal(d.names[0], text("mxbackup.example.net"));
	assert_bytes_equal(d.names[1], text("exchange.example.org"));
	assert_bytes_equal(d.names[2], text("example.com"));
	assert_bytes_equal(tls_tlsa_name(q.tlsa_base, 25, a), text("_25._tcp.mxbackup.example.net"));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_searches),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_usable),
		cmocka_unit_test(test_decisions),
		cmocka_unit_test(test_login), cmocka_unit_test(test_waive),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
