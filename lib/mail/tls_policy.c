/* SPDX-License-Identifier: ISC */
#include "mail/tls_policy.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "base/mem.h"
#include "mail/network.h"

/* ---- what the administrator wants ---- */

const char *const tls_wish_words[] = { [TLS_WISH_NEVER] = "never", [TLS_WISH_MAY] = "may", [TLS_WISH_AUTO] = "auto",
    [TLS_WISH_MUST] = "must", [TLS_WISH_DANE] = "dane", [TLS_WISH_SECURE] = "secure", NULL };

static struct bytes
next_word(struct bytes *rest)
{
	struct bytes word;

	do {
		word = bytes_cut(rest, ' ');
	} while (word.n == 0 && rest->n > 0);
	return word;
}

static bool
find_wish(struct bytes word, enum tls_wish *out)
{
	for (unsigned i = 0; tls_wish_words[i]; i++)
		if (bytes_eq(word, text(tls_wish_words[i]))) {
			*out = (enum tls_wish)i;
			return true;
		}
	return false;
}

/* "example.org" or ".example.org". */
static bool
is_domain_or_below(struct bytes s)
{
	if (bytes_starts(s, text(".")))
		s = bytes_skip(s, 1);
	return mta_sts_is_pattern(s) && s.p[0] != '*';
}

static bool
is_address(struct bytes s)
{
	struct address a;

	return address_parse(s, &a);
}

bool
setting_is_tls_policy(const char *item, char *why, size_t cap)
{
	struct bytes rest = text(item), domain = next_word(&rest), word = next_word(&rest);
	enum tls_wish wish;
	size_t names = 0;

	if ((!is_domain_or_below(domain) && !is_address(domain)) || !find_wish(word, &wish)) {
		snprintf(why, cap, "right would be a domain (or .domain for what is below it) and one of never, may, auto, "
		    "must, dane, secure, like \"example.org dane\"");
		return false;
	}
	while (rest.n > 0) {
		struct bytes name = next_word(&rest);

		if (name.n > 0 && (wish != TLS_WISH_SECURE || ++names > TLS_RULE_NAMES || !is_domain_or_below(name))) {
			snprintf(why, cap, "behind \"secure\", and there alone, may stand up to %d names that the server's "
			    "certificate may have, like \"example.org secure mx.example.net\"", TLS_RULE_NAMES);
			return false;
		}
	}
	return true;
}

/* How well the first word of an item fits: 0 not at all. */
static size_t
fit(struct bytes pattern, struct bytes domain)
{
	if (bytes_case_eq(pattern, domain))
		return SIZE_MAX;
	if (!bytes_starts(pattern, text(".")) || domain.n <= pattern.n)
		return 0;
	return bytes_case_eq(bytes_skip(domain, domain.n - pattern.n), pattern) ? pattern.n : 0;
}

static void
take_rule(struct bytes words, struct tls_rule *out)
{
	*out = (struct tls_rule){ .listed = true };
	must(find_wish(next_word(&words), &out->wish));
	while (words.n > 0 && out->nnames < TLS_RULE_NAMES) {
		out->names[out->nnames] = next_word(&words);
		out->nnames += out->names[out->nnames].n > 0;
	}
}

void
tls_rule_find(const struct setting_list *policies, enum tls_wish standard, struct bytes domain, struct tls_rule *out)
{
	size_t best = 0;

	*out = (struct tls_rule){ .wish = standard };
	for (size_t i = 0; i < policies->n; i++) {
		struct bytes rest = text(policies->item[i]);
		size_t now = fit(next_word(&rest), domain);

		if (now > best) {
			best = now;
			take_rule(rest, out);
		}
	}
}

void
tls_rule_waive(struct tls_rule *r)
{
	if (r->wish != TLS_WISH_AUTO)
		return;
	r->wish = TLS_WISH_MAY;
	r->waived = true;
}

void
tls_rule_login(struct tls_rule *r, bool unproven)
{
	r->login = true;
	if (r->listed || unproven || r->wish == TLS_WISH_NEVER || tls_wish_proves(r->wish))
		return;
	r->wish = TLS_WISH_SECURE;
	r->raised = true;
}

/* ---- which questions there are: RFC 7672 section 2.2 ---- */

static bool
is_alias(const struct tls_host *h)
{
	return h->name_expanded.n > 0 && !bytes_case_eq(h->name_expanded, h->name);
}

bool
tls_wants_dane(const struct tls_rule *r, bool requiretls, const struct tls_host *h)
{
	if (r->wish <= TLS_WISH_MAY && !requiretls)
		return false;
	return h->name.n > 0 && (!h->by_mx || h->domain_secure);
}

bool
tls_wants_alias(const struct tls_host *h)
{
	return is_alias(h) && !h->address_secure;
}

size_t
tls_tlsa_bases(const struct tls_host *h, struct bytes bases[2])
{
	size_t n = 0;

	if (is_alias(h) && h->address_secure)
		bases[n++] = h->name_expanded;
	if (h->address_secure || (is_alias(h) && h->alias_secure))
		bases[n++] = h->name;
	return n;
}

struct bytes
tls_tlsa_name(struct bytes base, uint16_t port, struct arena *a)
{
	return arena_fmt(a, "_%u._tcp.%.*s", port, BYTES_FMT(base));
}

enum tls_tlsa
tls_tlsa_judge(enum dns_result result, bool secure)
{
	switch (result) {
	case DNS_FOUND:
		return secure ? TLSA_THERE : TLSA_NONE;
	case DNS_NO_DATA:
	case DNS_NO_NAME:
		return TLSA_NONE;
	case DNS_FAILED:
	case DNS_BOGUS:
		break;
	}
	return TLSA_UNKNOWN;
}

/* ---- TLSA records ---- */

enum { DANE_TA = 2, DANE_EE = 3 };	/* RFC 7218 section 2.1 */

/* Matching type Full: a certificate or a key, and nothing behind it. */
static bool
is_whole(const struct dns_tlsa *t)
{
	const unsigned char *p = t->data.p;
	bool good;

	if (t->data.n == 0 || t->data.n > DNS_RDATA_MAX)
		return false;
	if (t->selector == 0) {
		X509 *cert = d2i_X509(NULL, &p, (long)t->data.n);

		good = cert != NULL && X509_get0_pubkey(cert) != NULL;
		X509_free(cert);
	} else {
		EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)t->data.n);

		good = key != NULL;
		EVP_PKEY_free(key);
	}
	ERR_clear_error();
	return good && p == t->data.p + t->data.n;
}

bool
tls_tlsa_is_usable(const struct dns_tlsa *t)
{
	if ((t->usage != DANE_TA && t->usage != DANE_EE) || t->selector > 1)
		return false;
	switch (t->matching) {
	case 0:
		return is_whole(t);
	case 1:
		return t->data.n == 32;		/* SHA-256 */
	case 2:
		return t->data.n == 64;		/* SHA-512 */
	default:
		return false;
	}
}

/* ---- the answer ---- */

const char *
tls_level_name(enum tls_level level)
{
	static const char *const names[] = { [TLS_NEVER] = "never", [TLS_MAY] = "may", [TLS_MUST] = "must",
	    [TLS_DANE] = "dane", [TLS_STS] = "sts", [TLS_SECURE] = "secure" };

	return names[level];
}

static void
add_name(struct tls_decision *d, struct bytes name)
{
	if (name.n == 0 || d->nnames == TLS_NAMES)
		return;
	for (size_t i = 0; i < d->nnames; i++)
		if (bytes_case_eq(d->names[i], name))
			return;
	d->names[d->nnames++] = name;
}

#define WHY(d, a, ...)	((d)->why = arena_fmt((a), __VA_ARGS__))

#define REFUSE(d, a, ...) do { (d)->refused = true; WHY(d, a, __VA_ARGS__); } while (0)

/* RFC 8689 section 4.2.1: who wants REQUIRETLS is told at once what cannot be, and has not merely failed. */
static void
judge(const struct tls_question *q, struct tls_decision *d)
{
	d->permanent = q->requiretls;
	d->status = q->requiretls ? "5.7.10" : "4.7.5";
}

/* RFC 7672 section 3.2.2: the base domain, and what led to it. */
static void
dane_names(const struct tls_question *q, struct tls_decision *d)
{
	const struct tls_host *h = q->host;

	d->sni = q->tlsa_base;			/* section 8.1 */
	add_name(d, q->tlsa_base);
	if (h->by_mx || !bytes_case_eq(h->domain, h->name) || !bytes_case_eq(q->tlsa_base, h->name)) {
		add_name(d, h->domain);
		add_name(d, h->domain_expanded);
	}
}

static void
take_tlsa(const struct tls_question *q, struct tls_decision *d)
{
	for (size_t i = 0; i < q->ntlsa && q->tlsa == TLSA_THERE && d->ntlsa < TLSA_MAX; i++)
		if (tls_tlsa_is_usable(&q->tlsa_records[i].tlsa))
			d->tlsa[d->ntlsa++] = &q->tlsa_records[i].tlsa;
}

static bool
has_dane(const struct tls_question *q)
{
	struct tls_decision d = { 0 };

	take_tlsa(q, &d);
	return d.ntlsa > 0;
}

bool
tls_wants_sts(const struct tls_question *q)
{
	enum tls_wish wish = q->rule->wish;

	if (wish <= TLS_WISH_MAY && !q->requiretls)
		return false;
	return wish != TLS_WISH_DANE && q->host->name.n > 0 && q->tlsa != TLSA_UNKNOWN && !has_dane(q);
}

/* Whom a certificate has to name, where nothing else says which host is right. */
static void
secure_names(const struct tls_question *q, struct arena *a, struct tls_decision *d)
{
	const struct tls_host *h = q->host;

	d->nnames = 0;
	for (size_t i = 0; i < q->rule->nnames; i++)
		add_name(d, q->rule->names[i]);
	if (d->nnames > 0 || h->name.n == 0)
		return;
	if (!h->by_mx || h->domain_secure) {
		add_name(d, h->name);
		add_name(d, h->domain);
	} else {		/* whoever forged the MX would have a certificate for what he wrote there */
		add_name(d, h->domain);
		add_name(d, arena_fmt(a, ".%.*s", BYTES_FMT(h->domain)));
	}
}

static const char *
whose(const struct tls_rule *r)
{
	return r->raised ? "smtp_credentials" : r->waived ? "TLS-Required: No" : r->listed ? "tls_policies" : "smtp_tls";
}

/* TLS without DANE and MTA-STS. */
static void
decide_plainly(const struct tls_question *q, struct arena *a, struct tls_decision *d)
{
	if (q->tlsa == TLSA_THERE) {		/* RFC 7672 section 2.2: all are unusable */
		d->level = TLS_MUST;
		WHY(d, a, "TLSA records of %.*s, none of which can be matched", BYTES_FMT(q->tlsa_base));
	} else if (q->rule->wish >= TLS_WISH_MUST) {
		d->level = TLS_MUST;
		WHY(d, a, "%s", whose(q->rule));
	} else {
		d->level = q->rule->wish == TLS_WISH_NEVER ? TLS_NEVER : TLS_MAY;
		WHY(d, a, "%s", whose(q->rule));
	}
	d->sni = q->host->name;
	if (q->rule->login)
		secure_names(q, a, d);
	else
		add_name(d, q->host->name);
}

static void
decide_securely(const struct tls_question *q, struct arena *a, struct tls_decision *d)
{
	d->level = TLS_SECURE;
	secure_names(q, a, d);
	WHY(d, a, "%s", whose(q->rule));
}

static void
decide_by_sts(const struct tls_question *q, struct arena *a, struct tls_decision *d)
{
	const struct tls_host *h = q->host;
	bool named = mta_sts_allows(&q->sts->policy, h->name);

	if (q->sts->policy.mode == MTA_STS_TESTING) {
		d->testing = true;
		d->testing_mx = !named;
		return;
	}
	if (!named) {
		REFUSE(d, a, "the MTA-STS policy of %.*s does not name %.*s", BYTES_FMT(h->domain), BYTES_FMT(h->name));
		judge(q, d);
		return;
	}
	d->level = TLS_STS;
	d->nnames = 0;
	add_name(d, h->name);			/* RFC 8461 section 4.2 */
	WHY(d, a, "the MTA-STS policy of %.*s", BYTES_FMT(h->domain));
}

/* RFC 8689 section 4.2.1: the way to the host is proven, and the host proves itself. */
static void
decide_requiretls(const struct tls_question *q, struct arena *a, struct tls_decision *d)
{
	if (q->host->domain_secure) {
		d->level = TLS_SECURE;
		d->nnames = 0;
		add_name(d, q->host->name);
		WHY(d, a, "REQUIRETLS");
		return;
	}
	judge(q, d);
	REFUSE(d, a, "REQUIRETLS: neither DNSSEC nor an MTA-STS policy proves that %.*s is a mail exchanger of %.*s",
	    BYTES_FMT(q->host->name), BYTES_FMT(q->host->domain));
}

static const char *
why_no_dane(const struct tls_question *q)
{
	if (q->tlsa == TLSA_THERE)
		return "none of its TLSA records can be matched";
	if (q->host->name.n == 0)
		return "an address has no TLSA records";
	if (q->host->by_mx && !q->host->domain_secure)
		return "its MX records are not signed (DNSSEC)";
	return "it has no TLSA records that are signed (DNSSEC)";
}

void
tls_decide(const struct tls_question *q, struct arena *a, struct tls_decision *d)
{
	const struct tls_host *h = q->host;
	bool sts = q->sts && q->sts->policy.mode != MTA_STS_NONE && tls_wants_sts(q);

	*d = (struct tls_decision){ .status = "4.7.5", .login = q->rule->login };
	if (q->tlsa == TLSA_UNKNOWN) {		/* RFC 7672 section 2.1.2 */
		REFUSE(d, a, "the TLSA records of %.*s cannot be looked up: %.*s", BYTES_FMT(h->name),
		    BYTES_FMT(q->tlsa_why));
		return;
	}
	take_tlsa(q, d);
	if (d->ntlsa > 0) {
		d->level = TLS_DANE;
		dane_names(q, d);
		WHY(d, a, "TLSA records of %.*s", BYTES_FMT(q->tlsa_base));
		return;
	}
	if (q->rule->wish == TLS_WISH_DANE) {
		REFUSE(d, a, "%s wants DANE for %.*s, and of %.*s: %s", whose(q->rule),
		    BYTES_FMT(h->domain), BYTES_FMT(h->name.n > 0 ? h->name : h->domain), why_no_dane(q));
		judge(q, d);
		return;
	}
	decide_plainly(q, a, d);
	if (sts)
		decide_by_sts(q, a, d);
	if (!d->refused && q->rule->wish == TLS_WISH_SECURE && (d->level != TLS_STS || q->rule->nnames > 0))
		decide_securely(q, a, d);
	if (!d->refused && q->requiretls && !tls_level_proves(d->level))
		decide_requiretls(q, a, d);
}
