/* SPDX-License-Identifier: ISC */
#include "proto/xtext.h"
#include "proto/utf8.h"

static int
hex_upper(unsigned char c)
{
	if (ascii_digit(c))
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* xchar of RFC 3461 section 4: "!" to "~" but "+" and "=". */
static bool
is_xchar(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '+' && c != '=';
}

bool
xtext_decode(struct bytes in, struct arena *a, struct bytes *out)
{
	unsigned char *p = arena_alloc(a, in.n + 1);
	size_t i, n = 0;
	int high, low;

	for (i = 0; i < in.n; i++) {
		if (is_xchar(in.p[i])) {
			p[n++] = in.p[i];
			continue;
		}
		if (in.p[i] != '+' || in.n - i < 3)
			return false;
		high = hex_upper(in.p[i + 1]);
		low = hex_upper(in.p[i + 2]);
		if (high < 0 || low < 0)
			return false;
		p[n] = (unsigned char)(high << 4 | low);
		if (p[n] < ' ' || p[n] >= 0x7f)
			return false;
		n++;
		i += 2;
	}
	*out = bytes_of(p, n);
	return true;
}

void
xtext_encode(struct bytes in, struct buf *out)
{
	size_t i;

	for (i = 0; i < in.n; i++)
		if (is_xchar(in.p[i]))
			buf_char(out, in.p[i]);
		else
			buf_fmt(out, "+%02X", (unsigned)in.p[i]);
}

/*
 * EmbeddedUnicodeChar of RFC 6533 section 3: two to six upper case digits, the
 * first not 0 if there are more than two. The section lists what is written so.
 */
static size_t
embedded(struct bytes in, uint32_t *c)
{
	size_t i;
	int digit;

	if (!bytes_starts(in, text("\\x{")))
		return 0;
	*c = 0;
	for (i = 3; i < in.n && i < 9 && (digit = hex_upper(in.p[i])) >= 0; i++)
		*c = *c << 4 | (uint32_t)digit;
	if (i < 5 || i >= in.n || in.p[i] != '}' || (in.p[3] == '0' && i > 5))
		return 0;
	if (*c < 0xa0 && *c != ' ' && *c != '+' && *c != '=' && *c != '\\')
		return 0;	/* C0, C1, DEL, and what has no need of it */
	return i + 1;
}

bool
utf8_xtext_decode(struct bytes in, bool utf8, struct arena *a, struct bytes *out)
{
	unsigned char *p = arena_alloc(a, in.n + 4);
	size_t taken, put, n = 0;
	uint32_t c;

	while (in.n > 0) {
		if (in.p[0] == '\\') {
			if ((taken = embedded(in, &c)) == 0)
				return false;
		} else if (in.p[0] < 0x80) {
			if (!is_xchar(in.p[0]))
				return false;
			c = in.p[0];
			taken = 1;
		} else if (!utf8 || (taken = utf8_take(in, &c)) == 0 || c < 0xa0)
			return false;
		if ((put = utf8_put(c, p + n)) == 0)
			return false;
		n += put;
		in = bytes_skip(in, taken);
	}
	*out = bytes_of(p, n);
	return true;
}

bool
utf8_xtext_encode(struct bytes in, struct buf *out)
{
	struct bytes rest;
	size_t taken;
	uint32_t c;

	for (rest = in; rest.n > 0; rest = bytes_skip(rest, taken))
		if ((taken = utf8_take(rest, &c)) == 0 || c < ' ' || (c >= 0x7f && c < 0xa0))
			return false;
	for (rest = in; rest.n > 0; rest = bytes_skip(rest, taken)) {
		taken = utf8_take(rest, &c);
		if (c < 0x7f && is_xchar((unsigned char)c) && c != '\\')
			buf_char(out, (unsigned char)c);
		else
			buf_fmt(out, "\\x{%02X}", (unsigned)c);
	}
	return true;
}
