/* SPDX-License-Identifier: ISC */
/*
 * resolver/settings.c - what can be set about the DNS.
 */
#include "resolver/resolver.h"

#include <stddef.h>
#include <stdio.h>

#include "mail/network.h"

#define S struct resolver_settings
#define DNS_PORT 53

/* ---- words ---------------------------------------------------------------------------------------- */

/* "[2001:db8::53]:5353" without its port and brackets; "192.0.2.53:5353". Port 0: none is there. */
static bool
cut_port(struct bytes *words, uint64_t *port)
{
	size_t at = bytes_find(*words, '@'), colon = bytes_rfind(*words, ':');
	struct bytes digits = bytes_skip(*words, at + 1);

	*port = 0;
	if (words->n > 0 && words->p[0] == '[') {
		size_t end = bytes_find(*words, ']');
		bool alone = end + 1 == words->n;

		if (end == words->n || (!alone && words->p[end + 1] != ':'))
			return false;
		digits = bytes_skip(*words, end + 2);
		*words = bytes_skip(bytes_head(*words, end), 1);
		if (alone)
			return true;
	} else if (at < words->n) {
		*words = bytes_head(*words, at);
	} else if (colon < words->n && bytes_find(*words, ':') == colon) {
		digits = bytes_skip(*words, colon + 1);
		*words = bytes_head(*words, colon);
	} else {
		return true;
	}
	return bytes_u64(digits, 65535, port) && *port > 0;
}

bool
dns_server_parse(struct bytes words, struct dns_server *out)
{
	char host[NETWORK_TEXT_MAX];
	struct address a;
	uint64_t port;

	if (!cut_port(&words, &port) || bytes_find(words, '%') < words.n || !address_parse(words, &a))
		return false;
	snprintf(out->words, sizeof out->words, "%s@%u", address_text(&a, host), port > 0 ? (unsigned)port : DNS_PORT);
	out->loopback = address_is_loopback(&a);
	return true;
}

/* A name in text, with a dot at the end. */
static bool
zone_parse(struct bytes name, char dst[256])
{
	struct buf wire;
	bool good;

	buf_init(&wire, DNS_NAME_WIRE_MAX);
	good = dns_name_encode(name, &wire);
	buf_fini(&wire);
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	snprintf(dst, 256, "%.*s.", good ? (int)name.n : 0, (const char *)name.p);
	return good;
}

bool
dns_zone_parse(struct bytes words, struct dns_zone *out)
{
	struct bytes rest = words, zone = bytes_cut(&rest, ' ');

	return zone_parse(zone, out->zone) && dns_server_parse(bytes_trim(rest), &out->server);
}

bool
dns_insecure_root(const struct resolver_settings *s)
{
	for (size_t i = 0; i < s->insecure.n; i++)
		if (strcmp(s->insecure.item[i], ".") == 0)
			return true;
	return false;
}

/* ---- checks ------------------------------------------------------------------------------------------ */

static bool
is_forwarder(const char *value, char *why, size_t cap)
{
	struct dns_server server;

	if (strcmp(value, DNS_FORWARDERS_SYSTEM) == 0 || dns_server_parse(text(value), &server))
		return true;
	snprintf(why, cap, "not a server; right would be 192.0.2.53, 192.0.2.53:5353, 2001:db8::53, [2001:db8::53]:5353, or "
	    DNS_FORWARDERS_SYSTEM " for those of /etc/resolv.conf");
	return false;
}

static bool
is_zone(const char *value, char *why, size_t cap)
{
	struct dns_zone zone;

	if (dns_zone_parse(text(value), &zone))
		return true;
	snprintf(why, cap, "not a zone and its server; right would be like internal.example 192.0.2.53");
	return false;
}

static bool
is_zone_name(const char *value, char *why, size_t cap)
{
	char zone[256];

	if (zone_parse(text(value), zone))
		return true;
	snprintf(why, cap, "not a zone; right would be like internal.example, or . for all");
	return false;
}

static bool
is_number(struct bytes word, uint64_t most)
{
	uint64_t n;

	return bytes_u64(word, most, &n);
}

static bool
all_of(struct bytes s, const char *octets)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]) && !strchr(octets, s.p[i]))
			return false;
	return s.n > 0;
}

/* The next word of a record; empty: none. */
static struct bytes
next_word(struct bytes *rest)
{
	*rest = bytes_trim(*rest);
	return bytes_cut(rest, ' ');
}

/* RFC 4034 sections 2.2, 5.3. libunbound looks at the rest. */
static bool
is_anchor_data(struct bytes type, struct bytes rest)
{
	bool ds = bytes_case_eq(type, text("DS"));
	struct bytes first = next_word(&rest), second = next_word(&rest), third = next_word(&rest);

	return (ds || bytes_case_eq(type, text("DNSKEY"))) && is_number(first, 65535) && is_number(second, 255)
	    && is_number(third, 255) && all_of(rest, ds ? " " : " +/=");
}

static bool
is_anchor(const char *value, char *why, size_t cap)
{
	struct bytes rest = text(value), word;
	char zone[256];

	if (zone_parse(next_word(&rest), zone)) {
		word = next_word(&rest);
		if (is_number(word, UINT32_MAX))
			word = next_word(&rest);
		if (bytes_case_eq(word, text("IN")))
			word = next_word(&rest);
		if (is_anchor_data(word, rest))
			return true;
	}
	snprintf(why, cap, "not a DS or DNSKEY record; right would be like internal.example. DS 12345 13 2 49fd...");
	return false;
}

const struct setting resolver_settings[] = {
	SET_TEXT_IF("trust_anchor_file", S, trust_anchor_file, "/usr/share/dns/root.key", setting_is_path_or_empty),
	SET_LIST("dns_trust_anchors",	S, trust_anchors, "", is_anchor),
	SET_LIST("dns_insecure",	S, insecure, "", is_zone_name),
	SET_LIST("dns_forwarders",	S, forwarders, "", is_forwarder),
	SET_LIST("dns_zones",		S, zones, "", is_zone),
	SET_TIME("dns_timeout",		S, timeout_ms, "30s", 1000, 300000),
	SET_NUMBER("dns_questions",	S, questions, "1000", 1, 20000),
	SET_SIZE("dns_cache_size",	S, cache_octets, "16M", 1 << 20, 2ull << 30),
	SET_TIME("dns_negative_ttl",	S, negative_ttl_ms, "15m", 0, 86400000),
	SET_END
};
