/* SPDX-License-Identifier: ISC */
#include "proto/dns_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#define STRING_MAX 255		/* octets of a character-string, RFC 1035 section 3.3 */

static bool
is_mapped(const unsigned char address[16])
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(address, mapped, sizeof mapped) == 0;
}

static void
put_address(struct buf *out, const unsigned char address[16])
{
	char words[INET6_ADDRSTRLEN];
	bool four = is_mapped(address);

	if (inet_ntop(four ? AF_INET : AF_INET6, address + (four ? 12 : 0), words, sizeof words))
		buf_text(out, words);
}

static void
put_name(struct buf *out, struct bytes name, bool dot)
{
	buf_add(out, name);
	if (dot || name.n == 0)
		buf_char(out, '.');
}

static void
put_string(struct buf *out, struct bytes s)
{
	buf_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c < ' ' || c > '~')
			buf_fmt(out, "\\%03u", c);
		else {
			if (c == '"' || c == '\\')
				buf_char(out, '\\');
			buf_char(out, c);
		}
	}
	buf_char(out, '"');
}

static void
put_text(struct buf *out, struct bytes s)
{
	put_string(out, bytes_head(s, STRING_MAX));
	while (s.n > STRING_MAX) {
		s = bytes_skip(s, STRING_MAX);
		buf_char(out, ' ');
		put_string(out, bytes_head(s, STRING_MAX));
	}
}

static void
put_tlsa(struct buf *out, const struct dns_tlsa *t)
{
	buf_fmt(out, "%u %u %u ", t->usage, t->selector, t->matching);
	for (size_t i = 0; i < t->data.n; i++)
		buf_fmt(out, "%02x", t->data.p[i]);
}

static void
put_soa(struct buf *out, const struct dns_soa *s, bool dot)
{
	put_name(out, s->mname, dot);
	buf_char(out, ' ');
	put_name(out, s->rname, dot);
	buf_fmt(out, " %u %u %u %u %u", s->serial, s->refresh_s, s->retry_s, s->expire_s, s->minimum_s);
}

void
dns_record_put(struct buf *out, const struct dns_record *r, bool dot)
{
	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:	put_address(out, r->address); break;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:	put_name(out, r->name, dot); break;
	case DNS_TXT:	put_text(out, r->text); break;
	case DNS_TLSA:	put_tlsa(out, &r->tlsa); break;
	case DNS_SOA:	put_soa(out, &r->soa, dot); break;
	case DNS_MX:
		buf_fmt(out, "%u ", r->mx.preference);
		put_name(out, r->mx.name, dot);
		break;
	case DNS_SRV:
		buf_fmt(out, "%u %u %u ", r->srv.priority, r->srv.weight, r->srv.port);
		put_name(out, r->srv.name, dot);
		break;
	}
}

char *
dns_reverse(const unsigned char address[16], char dst[DNS_REVERSE_MAX])
{
	size_t n = 0;

	if (is_mapped(address)) {
		snprintf(dst, DNS_REVERSE_MAX, "%u.%u.%u.%u.in-addr.arpa", address[15], address[14], address[13], address[12]);
		return dst;
	}
	for (size_t i = 16; i-- > 0;)
		n += (size_t)snprintf(dst + n, DNS_REVERSE_MAX - n, "%x.%x.", address[i] & 15u, address[i] >> 4);
	snprintf(dst + n, DNS_REVERSE_MAX - n, "ip6.arpa");
	return dst;
}
