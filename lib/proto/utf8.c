/* SPDX-License-Identifier: ISC */
#include "proto/utf8.h"

/*
 * RFC 3629 section 4. What may be the second octet depends on the first; all
 * later ones are 80..BF. Overlong forms and surrogates have no row.
 */
static const struct { unsigned char first, last, low, high, n; } rows[] = {
	{ 0x00, 0x7f, 0x00, 0x00, 1 },
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

size_t
utf8_length(struct bytes s)
{
	size_t r, i;

	if (s.n == 0)
		return 0;
	for (r = 0; r < LEN(rows) && s.p[0] > rows[r].last; r++)
		;
	if (r == LEN(rows) || s.p[0] < rows[r].first || s.n < rows[r].n)
		return 0;
	if (rows[r].n > 1 && (s.p[1] < rows[r].low || s.p[1] > rows[r].high))
		return 0;
	for (i = 2; i < rows[r].n; i++)
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
	return rows[r].n;
}

bool
utf8_valid(struct bytes s)
{
	size_t n;

	while (s.n > 0) {
		if ((n = utf8_length(s)) == 0)
			return false;
		s = bytes_skip(s, n);
	}
	return true;
}

size_t
utf8_take(struct bytes s, uint32_t *c)
{
	static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	size_t i, n = utf8_length(s);

	if (n == 0)
		return 0;
	*c = s.p[0] & mask[n];
	for (i = 1; i < n; i++)
		*c = *c << 6 | (s.p[i] & 0x3f);
	return n;
}

size_t
utf8_put(uint32_t c, unsigned char dst[4])
{
	static const unsigned char lead[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
	size_t i, n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	for (i = n - 1; i > 0; i--, c >>= 6)
		dst[i] = (unsigned char)(0x80 | (c & 0x3f));
	dst[0] = (unsigned char)(lead[n] | c);
	return n;
}
