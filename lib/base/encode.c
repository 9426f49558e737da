/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <sys/random.h>
#include <zlib.h>

#include "base/encode.h"
#include "base/little.h"
#include "base/log.h"
#include "base/mem.h"

#define CRC_SHORT	400	/* octets from which zlib's checksum is the faster one */

static const char base64_digits[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct bytes in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i += 3) {
		size_t have = in.n - i < 3 ? in.n - i : 3;
		uint32_t v = (uint32_t)in.p[i] << 16;
		unsigned char group[4];

		if (have > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (have > 2)
			v |= in.p[i + 2];
		for (unsigned d = 0; d < 4; d++)
			group[d] = d <= have ? (unsigned char)base64_digits[v >> (18 - 6 * d) & 63] : '=';
		buf_add(out, bytes_of(group, 4));
	}
}

/* The value of a base64 digit, -1 when it is none. */
static int
base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits, of which the last `pad` are '='. Unused bits must be zero: one text for one value. */
static bool
base64_group(const unsigned char *p, unsigned pad, struct buf *out)
{
	unsigned char octets[3];
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		int d = i < 4 - pad ? base64_value(p[i]) : p[i] == '=' ? 0 : -1;

		if (d < 0)
			return false;
		v = v << 6 | (uint32_t)d;
	}
	if (pad > 0 && (v & ((1u << 8 * pad) - 1)) != 0)
		return false;
	for (unsigned i = 0; i < 3; i++)
		octets[i] = (unsigned char)(v >> (16 - 8 * i));
	buf_add(out, bytes_of(octets, 3 - pad));
	return !out->full;
}

bool
base64_decode(struct bytes in, struct buf *out)
{
	size_t before = out->n;

	if (in.n % 4 != 0)
		return false;
	for (size_t i = 0; i < in.n; i += 4) {
		const unsigned char *p = in.p + i;
		unsigned pad = 0;

		if (i + 4 == in.n && p[3] == '=')
			pad = p[2] == '=' ? 2 : 1;
		if (!base64_group(p, pad, out)) {
			out->n = before;
			return false;
		}
	}
	return true;
}

void
hex_encode(struct bytes in, struct buf *out)
{
	static const char digits[16] = "0123456789abcdef";

	for (size_t i = 0; i < in.n; i++) {
		unsigned char pair[2] = { (unsigned char)digits[in.p[i] >> 4],
		    (unsigned char)digits[in.p[i] & 15] };

		buf_add(out, bytes_of(pair, 2));
	}
}

static int
hex_value(unsigned char c)
{
	c = ascii_lower(c);
	if (ascii_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
hex_decode(struct bytes in, struct buf *out)
{
	size_t before = out->n;

	if (in.n % 2 != 0)
		return false;
	for (size_t i = 0; i < in.n; i += 2) {
		int high = hex_value(in.p[i]), low = hex_value(in.p[i + 1]);

		if (high >= 0 && low >= 0)
			buf_char(out, (unsigned char)(high << 4 | low));
		if (high < 0 || low < 0 || out->full) {
			out->n = before;
			return false;
		}
	}
	return true;
}

/* crc[k][v]: the checksum of octet v with k octets of zero behind it (Kounavis and Berry 2005). */
static uint32_t crc[16][256];

static void
fill_crc(void)
{
	for (uint32_t v = 0; v < 256; v++) {
		uint32_t r = v;

		for (int bit = 0; bit < 8; bit++)
			r = r >> 1 ^ (r & 1 ? 0xedb88320u : 0);
		crc[0][v] = r;
	}
	for (int k = 1; k < 16; k++)
		for (int v = 0; v < 256; v++)
			crc[k][v] = crc[k - 1][v] >> 8 ^ crc[0][crc[k - 1][v] & 255];
}

void
crc32_open(void)
{
	if (crc[0][1] == 0)
		fill_crc();
}

/* Four octets that have `behind` octets behind them. */
static inline uint32_t
crc_four(uint32_t v, int behind)
{
	return crc[behind + 3][v & 255] ^ crc[behind + 2][v >> 8 & 255]
	    ^ crc[behind + 1][v >> 16 & 255] ^ crc[behind][v >> 24];
}

/* Sixteen octets a step. zlib needs two to four times as long for so little. */
static uint32_t
crc_short(uint32_t start, const unsigned char *p, size_t n)
{
	uint32_t r = ~start;

	crc32_open();
	for (; n >= 16; p += 16, n -= 16)
		r = crc_four(little_u32(p) ^ r, 12) ^ crc_four(little_u32(p + 4), 8)
		    ^ crc_four(little_u32(p + 8), 4) ^ crc_four(little_u32(p + 12), 0);
	for (; n >= 4; p += 4, n -= 4)
		r = crc_four(little_u32(p) ^ r, 0);
	for (; n > 0; p++, n--)
		r = r >> 8 ^ crc[0][(r ^ *p) & 255];
	return ~r;
}

uint32_t
crc32_of(uint32_t start, struct bytes s)
{
	if (s.n < CRC_SHORT)
		return crc_short(start, s.p, s.n);
	return (uint32_t)crc32_z(start, s.p, s.n);
}

static uint64_t
little_endian(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint64_t
turn(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

/* SipHash, Aumasson and Bernstein 2012, section 2.2. */
static void
sip_rounds(uint64_t v[4], unsigned n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = turn(v[1], 13) ^ v[0];
		v[3] = turn(v[3], 16) ^ v[2];
		v[0] = turn(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = turn(v[1], 17) ^ v[2];
		v[3] = turn(v[3], 21) ^ v[0];
		v[2] = turn(v[2], 32);
	}
}

uint64_t
hash_keyed(const unsigned char key[16], struct bytes s)
{
	uint64_t k0 = little_endian(key, 8), k1 = little_endian(key + 8, 8);
	uint64_t v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
	    k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573 };
	size_t i = 0;
	uint64_t m;

	for (; s.n - i >= 8; i += 8) {
		m = little_endian(s.p + i, 8);
		v[3] ^= m;
		sip_rounds(v, 2);
		v[0] ^= m;
	}
	m = (uint64_t)s.n << 56;
	if (i < s.n)
		m |= little_endian(s.p + i, s.n - i);
	v[3] ^= m;
	sip_rounds(v, 2);
	v[0] ^= m;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
hash_bytes(struct bytes s)
{
	static unsigned char key[16];
	static bool drawn;

	if (!drawn) {
		random_fill(key, sizeof key);
		drawn = true;
	}
	return hash_keyed(key, s);
}

void
base32_u64(uint64_t v, unsigned digits, struct buf *out)
{
	unsigned char name[13];

	must(digits <= sizeof name);
	for (unsigned i = digits; i-- > 0; v >>= 5)
		name[i] = (unsigned char)BASE32_DIGITS[v & 31];
	buf_add(out, bytes_of(name, digits));
}

void
random_fill(void *p, size_t n)
{
	unsigned char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			log_fatal("the kernel gives no random octets: %s", strerror(errno));
		at += got;
		n -= (size_t)got;
	}
}
