/* SPDX-License-Identifier: ISC */
#include "mail/publish.h"

#include <stdio.h>

#include "base/mem.h"
#include "proto/dns_text.h"

/* ---- what should be ------------------------------------------------------------------------------- */

struct sets {
	const struct publish_source *source;	/* borrowed */
	struct arena	*a;			/* borrowed */
	struct publish_set *set;		/* the caller's */
	size_t		 n;
};

/* Room for that many records, in a set that is added. */
static struct dns_record *
add(struct sets *s, enum publish_kind kind, struct bytes name, enum dns_type type, size_t n)
{
	struct dns_record *records = arena_array(s->a, n, sizeof *records);

	must(s->n < PUBLISH_SETS_MAX);
	for (size_t i = 0; i < n; i++)
		records[i].type = type;
	s->set[s->n++] = (struct publish_set){ .kind = kind, .name = name, .type = type, .source = s->source, .records = records, .n = n };
	return records;
}

static void
add_text(struct sets *s, enum publish_kind kind, struct bytes name, struct bytes content)
{
	add(s, kind, name, DNS_TXT, 1)->text = content;
}

/* Implicit TLS comes first (RFC 8314 section 3), IMAP before POP3: of all that are published the least number is preferred
 * (RFC 6186 section 3.4). */
static const struct { const char *name; uint16_t priority; } services[PUBLISH_SERVICES] = {
	[PUBLISH_SUBMISSIONS] = { "_submissions", 0 },
	[PUBLISH_SUBMISSION] = { "_submission", 10 },
	[PUBLISH_IMAPS] = { "_imaps", 0 },
	[PUBLISH_IMAP] = { "_imap", 10 },
	[PUBLISH_POP3S] = { "_pop3s", 20 },
	[PUBLISH_POP3] = { "_pop3", 30 },
};

static void
add_services(struct sets *s)
{
	const struct publish_source *p = s->source;

	for (size_t i = 0; i < PUBLISH_SERVICES; i++)
		if (p->port[i] != 0) {
			struct bytes name = arena_fmt(s->a, "%s._tcp.%.*s", services[i].name, BYTES_FMT(p->domain));

			add(s, PUBLISH_SRV, name, DNS_SRV, 1)->srv = (struct dns_srv){ services[i].priority, 1, p->port[i], p->host };
		}
}

size_t
publish_domain(const struct publish_source *p, struct arena *a, struct publish_set *out)
{
	struct sets s = { .source = p, .a = a, .set = out };
	struct bytes d = p->domain;

	must(d.n <= PUBLISH_DOMAIN_MAX);
	add(&s, PUBLISH_MX, d, DNS_MX, 1)->mx = (struct dns_mx){ 10, p->host };
	/* Not -all, and no policy but none, until there are signatures: forwarders would lose mail of this domain. */
	add_text(&s, PUBLISH_SPF, d, text("v=spf1 mx ~all"));
	add_text(&s, PUBLISH_DMARC, arena_fmt(a, "_dmarc.%.*s", BYTES_FMT(d)),
	    arena_fmt(a, "v=DMARC1; p=none; rua=mailto:postmaster@%.*s", BYTES_FMT(d)));
	add_text(&s, PUBLISH_TLSRPT, arena_fmt(a, "_smtp._tls.%.*s", BYTES_FMT(d)),
	    arena_fmt(a, "v=TLSRPTv1; rua=mailto:postmaster@%.*s", BYTES_FMT(d)));
	add_services(&s);
	return s.n;
}

static void
add_addresses(struct sets *s, enum dns_type type)
{
	const struct publish_source *p = s->source;
	struct dns_record *r;
	size_t n = 0;

	for (size_t i = 0; i < p->addresses; i++)
		n += address_is_ipv4(&p->address[i]) == (type == DNS_A);
	r = add(s, PUBLISH_ADDRESS, p->host, type, n);
	for (size_t i = 0; i < p->addresses; i++)
		if (address_is_ipv4(&p->address[i]) == (type == DNS_A))
			memcpy((r++)->address, p->address[i].octet, sizeof r->address);
}

/* RFC 7672 section 3.1: DANE-EE(3) SPKI(1) SHA2-256(1), of every key that a client may be shown. */
static void
add_keys(struct sets *s)
{
	const struct publish_source *p = s->source;
	struct bytes name = arena_fmt(s->a, "_25._tcp.%.*s", BYTES_FMT(p->host));
	struct dns_record *r = add(s, PUBLISH_TLSA, name, DNS_TLSA, p->keys);

	for (size_t i = 0; i < p->keys; i++)
		r[i].tlsa = (struct dns_tlsa){ 3, 1, 1, bytes_of(p->key[i], PUBLISH_KEY_OCTETS) };
}

size_t
publish_host(const struct publish_source *p, struct arena *a, struct publish_set *out)
{
	struct sets s = { .source = p, .a = a, .set = out };
	char name[DNS_REVERSE_MAX];

	must(p->host.n <= PUBLISH_DOMAIN_MAX && p->addresses <= PUBLISH_ADDRESSES_MAX && p->keys <= PUBLISH_KEYS_MAX);
	add_addresses(&s, DNS_A);
	add_addresses(&s, DNS_AAAA);
	if (!p->host_has_spf)		/* of what it says in EHLO, and of notifications (RFC 7208 section 2.3) */
		add_text(&s, PUBLISH_SPF, p->host, text("v=spf1 a -all"));
	add_keys(&s);
	for (size_t i = 0; i < p->addresses; i++) {
		const char *reverse = dns_reverse(p->address[i].octet, name);

		add(&s, PUBLISH_PTR, arena_copy(a, text(reverse)), DNS_PTR, 1)->name = p->host;
	}
	return s.n;
}

/* ---- a zone file ---- */

const char *
publish_purpose(enum publish_kind kind)
{
	static const char *const purposes[] = {
		[PUBLISH_MX] = "where its mail goes",
		[PUBLISH_SPF] = "who sends mail in its name (SPF)",
		[PUBLISH_DMARC] = "what becomes of mail that somebody else sends in its name (DMARC)",
		[PUBLISH_TLSRPT] = "who is told when TLS fails (TLS reporting)",
		[PUBLISH_SRV] = "where mail programs find their servers",
		[PUBLISH_ADDRESS] = "the host",
		[PUBLISH_TLSA] = "the key of its certificate (DANE); it counts where the zone is signed by DNSSEC",
		[PUBLISH_PTR] = "the names of the addresses: whoever gave you the address sets them, not this zone",
	};

	return purposes[kind];
}

void
publish_zone(const struct publish_set *sets, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct publish_set *s = &sets[i];

		if (s->n > 0 && (i == 0 || sets[i - 1].n == 0 || sets[i - 1].kind != s->kind))
			buf_fmt(out, "; %s\n", publish_purpose(s->kind));
		for (size_t k = 0; k < s->n; k++) {
			buf_fmt(out, "%s%.*s. %d IN %s ", s->kind == PUBLISH_PTR ? "; " : "", BYTES_FMT(s->name), PUBLISH_TTL_S,
			    dns_type_name(s->type));
			dns_record_put(out, &s->records[k], true);
			buf_char(out, '\n');
		}
	}
}

/* ---- addresses ---- */

bool
publish_is_public(const struct address *a, const char **why)
{
	static const struct { const char *network, *what; } others[] = {
		{ "10.0.0.0/8", "private (RFC 1918)" },
		{ "172.16.0.0/12", "private (RFC 1918)" },
		{ "192.168.0.0/16", "private (RFC 1918)" },
		{ "100.64.0.0/10", "a provider's inside (RFC 6598)" },
		{ "fc00::/7", "private (RFC 4193)" },
		{ "198.18.0.0/15", "for measurements (RFC 2544)" },
		{ "192.0.2.0/24", "for examples (RFC 5737)" },
		{ "198.51.100.0/24", "for examples (RFC 5737)" },
		{ "203.0.113.0/24", "for examples (RFC 5737)" },
		{ "2001:db8::/32", "for examples (RFC 3849)" },
	};

	*why = address_kind(a) == ADDRESS_LOOPBACK ? "loopback" : "link-local, or nobody's";
	if (address_kind(a) != ADDRESS_FINE)
		return false;
	for (size_t i = 0; i < LEN(others); i++) {
		struct network n;
		char said[128];

		must(network_parse(text(others[i].network), &n, said, sizeof said));
		*why = others[i].what;
		if (network_has(&n, a))
			return false;
	}
	*why = NULL;
	return true;
}
