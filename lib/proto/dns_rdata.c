/* SPDX-License-Identifier: ISC */
#include "proto/dns_rdata.h"

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

/* ---- words -------------------------------------------------------------------------------- */

static const struct { enum dns_type type; const char *name; } types[] = {
	{ DNS_A, "A" }, { DNS_NS, "NS" }, { DNS_CNAME, "CNAME" }, { DNS_SOA, "SOA" }, { DNS_PTR, "PTR" },
	{ DNS_MX, "MX" }, { DNS_TXT, "TXT" }, { DNS_AAAA, "AAAA" }, { DNS_SRV, "SRV" }, { DNS_TLSA, "TLSA" },
};

bool
dns_type_known(uint32_t number, enum dns_type *out)
{
	for (size_t i = 0; i < LEN(types); i++)
		if ((uint32_t)types[i].type == number) {
			*out = types[i].type;
			return true;
		}
	return false;
}

bool
dns_type_parse(struct bytes word, enum dns_type *out)
{
	for (size_t i = 0; i < LEN(types); i++)
		if (bytes_case_eq(word, text(types[i].name))) {
			*out = types[i].type;
			return true;
		}
	return false;
}

const char *
dns_type_name(enum dns_type type)
{
	for (size_t i = 0; i < LEN(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}

const char *
dns_result_name(enum dns_result result)
{
	static const char *const names[] = {
		[DNS_FAILED] = "failed", [DNS_FOUND] = "found", [DNS_NO_DATA] = "no data",
		[DNS_NO_NAME] = "no such name", [DNS_BOGUS] = "bogus",
	};

	return (size_t)result < LEN(names) ? names[result] : "?";
}

/* ---- integers, big-endian -------------------------------------------------------------------- */

static bool
take_u8(struct bytes *s, uint8_t *out)
{
	if (s->n < 1)
		return false;
	*out = s->p[0];
	*s = bytes_skip(*s, 1);
	return true;
}

static bool
take_u16(struct bytes *s, uint16_t *out)
{
	if (s->n < 2)
		return false;
	*out = (uint16_t)(s->p[0] << 8 | s->p[1]);
	*s = bytes_skip(*s, 2);
	return true;
}

static bool
take_u32(struct bytes *s, uint32_t *out)
{
	uint16_t high, low;

	if (!take_u16(s, &high) || !take_u16(s, &low))
		return false;
	*out = (uint32_t)high << 16 | low;
	return true;
}

/* ---- names ------------------------------------------------------------------------------------- */

/* RFC 952 and 1123 section 2.1, and the underscore of RFC 8552, which real hosts have, too. */
static bool
is_host_octet(unsigned char c)
{
	return ascii_alnum(c) || c == '-' || c == '_';
}

static bool
encode_label(struct bytes label, struct buf *out)
{
	if (label.n == 0 || label.n > DNS_LABEL_MAX)
		return false;
	buf_u8(out, (uint8_t)label.n);
	for (size_t i = 0; i < label.n; i++) {
		if (!is_host_octet(label.p[i]) && label.p[i] != '/' && label.p[i] != '*')
			return false;
		buf_char(out, ascii_lower(label.p[i]));
	}
	return true;
}

bool
dns_name_encode(struct bytes name, struct buf *out)
{
	size_t before = out->n;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	else if (name.n == 0)
		return false;
	while (name.n > 0) {
		bool more = bytes_find(name, '.') < name.n;

		if (!encode_label(bytes_cut(&name, '.'), out) || (more && name.n == 0))
			return false;
	}
	buf_u8(out, 0);
	return !out->full && out->n - before <= DNS_NAME_WIRE_MAX;
}

static void
decode_label(struct bytes label, struct buf *out, bool *odd)
{
	for (size_t i = 0; i < label.n; i++) {
		unsigned char c = label.p[i];

		if (is_host_octet(c)) {
			buf_char(out, ascii_lower(c));
		} else {
			buf_fmt(out, "\\%03u", c);
			*odd = true;
		}
	}
}

bool
dns_name_decode(struct bytes *wire, struct arena *a, struct bytes *out, bool *odd)
{
	struct bytes left = bytes_head(*wire, DNS_NAME_WIRE_MAX);
	bool ended = false;
	struct buf b;
	uint8_t n;

	*odd = false;
	buf_init(&b, 4 * DNS_NAME_WIRE_MAX);
	while (!ended && take_u8(&left, &n) && n <= DNS_LABEL_MAX && n <= left.n) {
		ended = n == 0;			/* the root */
		if (b.n > 0 && !ended)
			buf_char(&b, '.');
		decode_label(bytes_head(left, n), &b, odd);
		left = bytes_skip(left, n);
	}
	if (ended) {
		*wire = bytes_skip(*wire, (size_t)(left.p - wire->p));
		*out = arena_copy(a, buf_bytes(&b));
	}
	buf_fini(&b);
	return ended;
}

static bool
take_host(struct bytes *s, struct arena *a, struct bytes *out)
{
	bool odd;

	return dns_name_decode(s, a, out, &odd) && !odd;
}

static bool
take_any_name(struct bytes *s, struct arena *a, struct bytes *out)
{
	bool odd;

	return dns_name_decode(s, a, out, &odd);
}

/* ---- one type each: takes its fields off *s --------------------------------------------------------- */

static bool
take_address(struct bytes *s, size_t n, unsigned char out[16])
{
	if (s->n != n)
		return false;
	memcpy(out, mapped, sizeof mapped);
	memcpy(out + 16 - n, s->p, n);
	*s = bytes_skip(*s, n);
	return true;
}

/* One string or more, each with its length before it: RFC 1035 section 3.3.14. */
static bool
take_text(struct bytes *s, struct arena *a, struct bytes *out)
{
	unsigned char *to = arena_alloc(a, s->n + 1);
	size_t n = 0;
	uint8_t length;

	if (s->n == 0)
		return false;
	while (take_u8(s, &length)) {
		if (length > s->n)
			return false;
		memcpy(to + n, s->p, length);
		n += length;
		*s = bytes_skip(*s, length);
	}
	*out = bytes_of(to, n);
	return true;
}

static bool
take_tlsa(struct bytes *s, struct arena *a, struct dns_tlsa *out)
{
	if (!take_u8(s, &out->usage) || !take_u8(s, &out->selector) || !take_u8(s, &out->matching) || s->n == 0)
		return false;
	out->data = arena_copy(a, *s);
	*s = bytes_skip(*s, s->n);
	return true;
}

static bool
take_soa(struct bytes *s, struct arena *a, struct dns_soa *out)
{
	return take_any_name(s, a, &out->mname) && take_any_name(s, a, &out->rname)
	    && take_u32(s, &out->serial) && take_u32(s, &out->refresh_s) && take_u32(s, &out->retry_s)
	    && take_u32(s, &out->expire_s) && take_u32(s, &out->minimum_s);
}

static bool
take_fields(enum dns_type type, struct bytes *s, struct arena *a, struct dns_record *out)
{
	switch (type) {
	case DNS_A:	return take_address(s, 4, out->address);
	case DNS_AAAA:	return take_address(s, 16, out->address);
	case DNS_NS:
	case DNS_PTR:	return take_host(s, a, &out->name) && out->name.n > 0;
	case DNS_CNAME:	return take_any_name(s, a, &out->name);
	case DNS_MX:	return take_u16(s, &out->mx.preference) && take_host(s, a, &out->mx.name);
	case DNS_SRV:
		return take_u16(s, &out->srv.priority) && take_u16(s, &out->srv.weight)
		    && take_u16(s, &out->srv.port) && take_host(s, a, &out->srv.name);
	case DNS_TXT:	return take_text(s, a, &out->text);
	case DNS_TLSA:	return take_tlsa(s, a, &out->tlsa);
	case DNS_SOA:	return take_soa(s, a, &out->soa);
	}
	return false;
}

bool
dns_rdata_parse(enum dns_type type, struct bytes rdata, struct arena *a, struct dns_record *out)
{
	*out = (struct dns_record){ .type = type };
	return rdata.n <= DNS_RDATA_MAX && take_fields(type, &rdata, a, out) && rdata.n == 0;
}
