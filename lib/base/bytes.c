/* SPDX-License-Identifier: ISC */
#include "base/bytes.h"

bool
bytes_case_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && bytes_case_starts(a, b);
}

bool
bytes_starts(struct bytes s, struct bytes prefix)
{
	return s.n >= prefix.n && bytes_eq(bytes_head(s, prefix.n), prefix);
}

bool
bytes_case_starts(struct bytes s, struct bytes prefix)
{
	if (s.n < prefix.n)
		return false;
	for (size_t i = 0; i < prefix.n; i++)
		if (ascii_lower(s.p[i]) != ascii_lower(prefix.p[i]))
			return false;
	return true;
}

bool
bytes_ends(struct bytes s, struct bytes suffix)
{
	return s.n >= suffix.n && bytes_eq(bytes_skip(s, s.n - suffix.n), suffix);
}

int
bytes_cmp(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

size_t
bytes_find(struct bytes s, unsigned char c)
{
	const unsigned char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

size_t
bytes_rfind(struct bytes s, unsigned char c)
{
	const unsigned char *at = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

/* Messages are looked at so, whole. */
bool
bytes_is_ascii(struct bytes s)
{
	uint64_t word, above = 0;
	size_t i, j;

	for (i = 0; s.n - i >= 64 && (above & 0x8080808080808080u) == 0; i += 64)
		for (j = 0; j < 64; j += 8) {
			memcpy(&word, s.p + i + j, 8);
			above |= word;
		}
	for (; i < s.n; i++)
		above |= s.p[i];
	return (above & 0x8080808080808080u) == 0;
}

bool
bytes_has_control(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

size_t
bytes_bare_lfs(struct bytes s)
{
	size_t bare = 0, n;

	while ((n = bytes_find(s, '\n')) < s.n) {
		bare += n == 0 || s.p[n - 1] != '\r';
		s = bytes_of(s.p + n + 1, s.n - n - 1);
	}
	return bare;
}

struct bytes
bytes_cut(struct bytes *rest, unsigned char sep)
{
	size_t at = bytes_find(*rest, sep);
	struct bytes head = bytes_head(*rest, at);

	*rest = bytes_skip(*rest, at < rest->n ? at + 1 : at);
	return head;
}

struct bytes
bytes_skip(struct bytes s, size_t n)
{
	if (n > s.n)
		n = s.n;
	return n > 0 ? bytes_of(s.p + n, s.n - n) : s;	/* NULL + 0 is undefined */
}

struct bytes
bytes_head(struct bytes s, size_t n)
{
	return bytes_of(s.p, n < s.n ? n : s.n);
}

static bool
is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct bytes
bytes_trim(struct bytes s)
{
	while (s.n > 0 && is_space(s.p[0]))
		s = bytes_skip(s, 1);
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
bytes_u64(struct bytes s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)s.p[i] - '0';

		if (digit > 9 || v > max / 10 || digit > max - v * 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

bool
bytes_to_text(struct bytes s, char *dst, size_t cap)
{
	if (cap == 0)
		return false;
	dst[0] = '\0';
	if (s.n >= cap || bytes_find(s, '\0') < s.n)
		return false;
	if (s.n > 0)
		memcpy(dst, s.p, s.n);
	dst[s.n] = '\0';
	return true;
}

bool
bytes_eq_secret(struct bytes a, struct bytes b)
{
	volatile unsigned char differ = 0;	/* so that no compiler leaves the loop early */

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		differ |= a.p[i] ^ b.p[i];
	return differ == 0;
}
