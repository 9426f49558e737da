/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "mail/network.h"

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

bool
address_parse(struct bytes s, struct address *out)
{
	char host[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;

	if (!bytes_to_text(bytes_head(s, bytes_find(s, '%')), host, sizeof host))
		return false;
	if (inet_pton(AF_INET6, host, &v6) == 1) {
		memcpy(out->octet, &v6, 16);
		return true;
	}
	/* inet_pton takes neither 010.0.0.1 nor 10.1, unlike inet_aton. */
	if (bytes_find(s, '%') < s.n || inet_pton(AF_INET, host, &v4) != 1)
		return false;
	memcpy(out->octet, mapped, 12);
	memcpy(out->octet + 12, &v4, 4);
	return true;
}

bool
address_is_ipv4(const struct address *a)
{
	return memcmp(a->octet, mapped, 12) == 0;
}

char *
address_text(const struct address *a, char dst[NETWORK_TEXT_MAX])
{
	if (address_is_ipv4(a))
		inet_ntop(AF_INET, a->octet + 12, dst, NETWORK_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a->octet, dst, NETWORK_TEXT_MAX);
	return dst;
}

bool
address_is_loopback(const struct address *a)
{
	return address_is_ipv4(a) ? a->octet[12] == 127
	    : memcmp(a->octet, &in6addr_loopback, 16) == 0;
}

enum address_kind
address_kind(const struct address *a)
{
	const unsigned char *o = a->octet;
	static const unsigned char compatible[12];	/* ::a.b.c.d, RFC 4291 section 2.5.5.1: deprecated */

	if (address_is_loopback(a))
		return ADDRESS_LOOPBACK;
	if (address_is_ipv4(a))		/* RFC 6890: "this" network, link-local, multicast, reserved, broadcast */
		return o[12] == 0 || (o[12] == 169 && o[13] == 254) || o[12] >= 224 ? ADDRESS_NOWHERE : ADDRESS_FINE;
	if (o[0] == 0xff || (o[0] == 0xfe && (o[1] & 0xc0) == 0x80) || memcmp(o, compatible, 12) == 0)
		return ADDRESS_NOWHERE;
	return ADDRESS_FINE;
}

socklen_t
address_socket(const struct address *a, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	*out = (struct sockaddr_storage){ 0 };
	if (address_is_ipv4(a)) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		memcpy(&in4->sin_addr, a->octet + 12, 4);
		return sizeof *in4;
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->octet, 16);
	return sizeof *in6;
}

bool
address_of_socket(const struct sockaddr_storage *sa, struct address *out, uint16_t *port)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

	if (sa->ss_family == AF_INET) {
		memcpy(out->octet, mapped, 12);
		memcpy(out->octet + 12, &in4->sin_addr, 4);
		*port = ntohs(in4->sin_port);
	} else if (sa->ss_family == AF_INET6) {
		memcpy(out->octet, &in6->sin6_addr, 16);
		*port = ntohs(in6->sin6_port);
	}
	return sa->ss_family == AF_INET || sa->ss_family == AF_INET6;
}

/* Bit i of 128, the most significant first. */
static bool
bit(const struct address *a, unsigned i)
{
	return a->octet[i / 8] >> (7 - i % 8) & 1;
}

bool
network_has(const struct network *n, const struct address *a)
{
	for (unsigned i = 0; i < n->bits; i++)
		if (bit(&n->first, i) != bit(a, i))
			return false;
	return true;
}

char *
network_text(const struct network *n, char dst[NETWORK_TEXT_MAX])
{
	bool four = address_is_ipv4(&n->first) && n->bits >= 96;
	size_t at;

	if (four)
		address_text(&n->first, dst);
	else
		inet_ntop(AF_INET6, n->first.octet, dst, NETWORK_TEXT_MAX);
	at = strlen(dst);
	snprintf(dst + at, NETWORK_TEXT_MAX - at, "/%u", n->bits - (four ? 96 : 0));
	return dst;
}

void
network_last(const struct network *n, struct address *out)
{
	*out = n->first;
	for (unsigned i = n->bits; i < 128; i++)
		out->octet[i / 8] |= (unsigned char)(1 << (7 - i % 8));
}

static bool
network_fault(struct network *n, const char *prefix, char *why, size_t cap)
{
	char right[NETWORK_TEXT_MAX];

	for (unsigned i = n->bits; i < 128; i++)
		n->first.octet[i / 8] &= (unsigned char)~(1 << (7 - i % 8));
	snprintf(why, cap, "the address has bits past its prefix; right would be %s/%s, or the "
	    "address alone for one host", address_text(&n->first, right), prefix);
	return false;
}

bool
network_parse(struct bytes s, struct network *out, char *why, size_t cap)
{
	struct bytes prefix = s, host = bytes_cut(&prefix, '/');
	bool v4 = bytes_find(host, ':') == host.n;
	uint64_t bits, most = v4 ? 32 : 128;
	char digits[8];

	if (bytes_find(host, '%') < host.n || !address_parse(host, &out->first)) {
		snprintf(why, cap, "not an address; right would be 10.0.0.0/8, 2001:db8::/32 or "
		    "one address (names are not looked up, all four numbers are written)");
		return false;
	}
	if (host.n == s.n) {			/* no slash */
		out->bits = 128;
		return true;
	}
	if (prefix.n > 3 || (prefix.n > 1 && prefix.p[0] == '0')
	    || !bytes_u64(prefix, most, &bits)
	    || !bytes_to_text(prefix, digits, sizeof digits)) {
		snprintf(why, cap, "the prefix after / is not a number from 0 to %u", (unsigned)most);
		return false;
	}
	out->bits = (unsigned)(128 - most + bits);
	for (unsigned i = out->bits; i < 128; i++)
		if (bit(&out->first, i))
			return network_fault(out, digits, why, cap);
	return true;
}

bool
listen_parse(struct bytes s, struct sockaddr_storage *out, socklen_t *size, char *why, size_t cap)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	size_t colon = bytes_rfind(s, ':');
	struct bytes host = bytes_head(s, colon), port = bytes_skip(s, colon + 1);
	bool brackets = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	char name[INET6_ADDRSTRLEN];
	uint64_t number;

	*out = (struct sockaddr_storage){ 0 };
	if (brackets)
		host = bytes_of(host.p + 1, host.n - 2);
	if (colon == s.n || !bytes_u64(port, 65535, &number) || number == 0
	    || !bytes_to_text(host, name, sizeof name)) {
		snprintf(why, cap, "not an address with a port; right would be 127.0.0.1:25, "
		    "0.0.0.0:25, [::1]:25 or [::]:25");
		return false;
	}
	if (!brackets && inet_pton(AF_INET, name, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((uint16_t)number);
		*size = sizeof *in4;
		return true;
	}
	if (brackets && inet_pton(AF_INET6, name, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)number);
		*size = sizeof *in6;
		return true;
	}
	snprintf(why, cap, "not an IP address; right would be 127.0.0.1:25, or [::1]:25 with brackets "
	    "(names are not looked up)");
	return false;
}
