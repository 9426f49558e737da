/* SPDX-License-Identifier: ISC */
#include "proto/imap_utf7.h"
#include "proto/utf8.h"

/* RFC 3501 section 5.1.3: ',' is where base64 has '/', the separator of many a server. */
static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool
printable(uint32_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* RFC 6855 section 3. A name with a CR LF in it would be a line of its own in some reply. */
static bool
forbidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029;
}

/* ---- decode ------------------------------------------------------------------ */

/* Inside "&...-": bits not yet a unit of UTF-16, and the half of a pair that waits. */
struct run { uint32_t bits; unsigned n; uint32_t high; };

/* One unit of UTF-16 makes a character, or half of one. RFC 2152, rule 2. */
static bool
take_unit(struct run *r, uint32_t unit, struct buf *utf8)
{
	unsigned char octets[4];
	uint32_t c = unit;
	size_t n;

	if (r->high == 0 && (unit & 0xfc00) == 0xd800) {
		r->high = unit;
		return true;
	}
	if (r->high != 0) {
		if ((unit & 0xfc00) != 0xdc00)
			return false;
		c = 0x10000 + ((r->high & 0x3ff) << 10) + (unit & 0x3ff);
		r->high = 0;
	}
	if (printable(c) || forbidden(c))
		return false;
	n = utf8_put(c, octets);
	buf_add(utf8, bytes_of(octets, n));
	return n > 0;		/* 0: the second half of a pair, without the first */
}

static bool
take_run(struct bytes base64, struct buf *utf8)
{
	struct run r = { 0 };
	size_t i, value;

	for (i = 0; i < base64.n; i++) {
		if ((value = bytes_find(text(alphabet), base64.p[i])) == 64)
			return false;
		r.bits = r.bits << 6 | (uint32_t)value;
		r.n += 6;
		if (r.n < 16)
			continue;
		r.n -= 16;
		if (!take_unit(&r, r.bits >> r.n, utf8))
			return false;
		r.bits &= (1u << r.n) - 1;
	}
	/* Six bits or more: a unit that is not whole, or a needless 'A' (a second form). */
	return r.n < 6 && r.bits == 0 && r.high == 0;
}

/* One character, or the whole of a run, off the front of *wire. *shifted: a run was before. */
static bool
take_part(struct bytes *wire, bool *shifted, struct buf *utf8)
{
	struct bytes base64;

	if (!printable(wire->p[0]))
		return false;
	if (wire->p[0] != '&' || bytes_starts(*wire, text("&-"))) {
		buf_char(utf8, wire->p[0]);
		*wire = bytes_skip(*wire, wire->p[0] == '&' ? 2 : 1);
		*shifted = false;
		return true;
	}
	base64 = bytes_skip(*wire, 1);
	base64 = bytes_head(base64, bytes_find(base64, '-'));
	if (*shifted || base64.n + 1 == wire->n)	/* a null shift; no '-' */
		return false;
	*wire = bytes_skip(*wire, base64.n + 2);
	*shifted = true;
	return take_run(base64, utf8);
}

/* What there is of a name that is none, or does not fit, is taken back. */
static bool
settle(bool ok, struct buf *b, size_t start)
{
	if (ok && !b->full)
		return true;
	b->n = start;
	return false;
}

bool
imap_utf7_decode(struct bytes wire, struct buf *utf8)
{
	size_t start = utf8->n;
	bool shifted = false, ok = true;

	while (ok && wire.n > 0)
		ok = take_part(&wire, &shifted, utf8);
	return settle(ok, utf8, start);
}

/* ---- encode ------------------------------------------------------------------ */

/* Between characters: bits not yet a character of base64, and whether '&' was written. */
struct shift { uint32_t bits; unsigned n; bool in; };

static void
put_unit(struct shift *s, uint32_t unit, struct buf *wire)
{
	if (!s->in)
		buf_char(wire, '&');
	s->in = true;
	s->bits = s->bits << 16 | unit;
	for (s->n += 16; s->n >= 6; s->n -= 6)
		buf_char(wire, (unsigned char)alphabet[s->bits >> (s->n - 6) & 0x3f]);
	s->bits &= (1u << s->n) - 1;
}

static void
shift_back(struct shift *s, struct buf *wire)
{
	if (s->n > 0)
		buf_char(wire, (unsigned char)alphabet[s->bits << (6 - s->n)]);
	if (s->in)
		buf_char(wire, '-');
	*s = (struct shift){ 0 };
}

static void
put_character(struct shift *s, uint32_t c, struct buf *wire)
{
	if (printable(c)) {
		shift_back(s, wire);
		buf_char(wire, (unsigned char)c);
		if (c == '&')
			buf_char(wire, '-');
	} else if (c < 0x10000) {
		put_unit(s, c, wire);
	} else {
		put_unit(s, 0xd800 + ((c - 0x10000) >> 10), wire);
		put_unit(s, 0xdc00 + (c & 0x3ff), wire);
	}
}

bool
imap_utf7_encode(struct bytes utf8, struct buf *wire)
{
	size_t n, start = wire->n;
	struct shift s = { 0 };
	uint32_t c = 0;

	for (; (n = utf8_take(utf8, &c)) > 0 && !forbidden(c); utf8 = bytes_skip(utf8, n))
		put_character(&s, c, wire);
	shift_back(&s, wire);
	return settle(utf8.n == 0, wire, start);
}
