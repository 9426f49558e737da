/* SPDX-License-Identifier: ISC */
#include "mail/charset_take.h"

#include <string.h>

#include "base/mem.h"
#include "proto/utf8.h"

#define NOTHING		UINT32_MAX	/* octets that are no character, but tell of those that follow */

/*
 * Those below take the character at the front of s, which is not empty, as *out: REPLACEMENT if it is malformed,
 * NOTHING if what they took is none. Returned are its octets; 0: some are missing. A character is put, and nothing
 * taken, when s is not done with: *again.
 */
static uint32_t
or_replacement(uint16_t entry)
{
	return entry != 0 ? entry : REPLACEMENT;
}

static uint32_t
octet_character(const struct charset *c, unsigned char octet)
{
	return octet < 128 ? octet : charset_tables->above[c->row][octet - 128];
}

/* REPLACEMENT: they are none. */
static uint32_t
pair_character(enum charset_pairs which, const unsigned char *p)
{
	uint16_t c = charset_tables->pairs[which].character[p[0] - 128][p[1]];
	bool high = (charset_tables->pairs[which].high[p[0] - 128][p[1] / 8] >> p[1] % 8 & 1) != 0;

	return high ? 0x20000u + c : or_replacement(c);
}

static size_t
take_pairs(const struct charset *c, struct bytes s, uint32_t *out)
{
	*out = octet_character(c, s.p[0]);
	if (*out != REPLACEMENT)
		return 1;
	if (s.n < 2)
		return 0;
	*out = pair_character(c->pairs, s.p);
	return *out != REPLACEMENT ? 2 : 1;
}

/* Those that are two characters: a letter, and an accent that Unicode cannot join to it. */
static const struct { unsigned char second; uint16_t letter, accent; } big5_twos[] = {
	{ 0x62, 0xca, 0x304 },
	{ 0x64, 0xca, 0x30c },
	{ 0xa3, 0xea, 0x304 },
	{ 0xa5, 0xea, 0x30c },
};

static size_t
take_big5(struct charset *c, struct bytes s, uint32_t *out, bool *again)
{
	for (size_t i = 0; i < LEN(big5_twos) && s.p[0] == 0x88 && s.n > 1; i++) {
		if (s.p[1] != big5_twos[i].second)
			continue;
		*again = c->state.second = !c->state.second;
		*out = *again ? big5_twos[i].letter : big5_twos[i].accent;
		return *again ? 0 : 2;
	}
	return take_pairs(c, s, out);
}

/* Four octets count: 0x81 to 0xfe and 0x30 to 0x39 in turn. */
static size_t
take_gb18030(const struct charset *c, struct bytes s, uint32_t *out)
{
	uint32_t i;

	if (s.p[0] < 0x81 || s.p[0] == 0xff || s.n < 2 || !ascii_digit(s.p[1]))
		return take_pairs(c, s, out);
	if (s.n < 4)
		return 0;
	*out = REPLACEMENT;
	if (s.p[2] < 0x81 || s.p[2] == 0xff || !ascii_digit(s.p[3]))
		return 1;
	i = ((s.p[0] - 0x81u) * 10 + (s.p[1] - 0x30u)) * 1260 + (s.p[2] - 0x81u) * 10 + (s.p[3] - 0x30u);
	if (i < GB_BMP)
		*out = or_replacement(charset_tables->four[i]);
	else if (i >= GB_PLANES && i <= GB_PLANES + 0xfffff)
		*out = i - GB_PLANES + 0x10000;
	return 4;
}

static size_t
take_vietnamese(struct charset *c, struct bytes s, uint32_t *out)
{
	*out = octet_character(c, s.p[0]);
	for (size_t i = 0; i < CHARSET_ACCENTS; i++) {
		uint16_t joined = charset_tables->joined[i][s.p[0]];

		if (joined == 0)
			continue;
		if (s.n < 2)
			return 0;
		if (s.p[1] == charset_accents[i]) {
			*out = joined;
			return 2;
		}
	}
	return 1;
}

/* The two octets at p, without the eighth bit, in a set; REPLACEMENT: none. */
static uint32_t
set_character(enum charset_set set, const unsigned char *p)
{
	unsigned row = (p[0] & 0x7fu) - 0x21, cell = (p[1] & 0x7fu) - 0x21;

	return row < ROW && cell < ROW ? or_replacement(charset_tables->sets[set][row * ROW + cell]) : REPLACEMENT;
}

static size_t
take_euc_jp(struct bytes s, uint32_t *out)
{
	size_t n = s.p[0] == 0x8f ? 3 : 2;

	*out = s.p[0];
	if (s.p[0] < 0x8e || (s.p[0] > 0x8f && s.p[0] < 0xa0))
		return 1;
	if (s.n < n)
		return 0;
	*out = REPLACEMENT;
	if (s.p[1] < 0xa1 || s.p[n - 1] < 0xa1)
		return 1;
	if (s.p[0] != 0x8e)
		*out = set_character(n == 3 ? JISX0212 : JISX0208, s.p + n - 2);
	else if (s.p[1] <= 0xdf)
		*out = 0xff61u + (s.p[1] - 0xa1u);
	return *out != REPLACEMENT ? n : 1;
}

/* ---- ISO-2022-JP (RFC 1468, RFC 1554), ISO-2022-KR (RFC 1557) ---- */

static const struct { const char *sequence; enum charset_set set; } escapes[] = {
	{ "\x1b(B", ASCII },
	{ "\x1b(J", ROMAN },
	{ "\x1b(I", KANA },		/* of no RFC, but of much mail */
	{ "\x1b$@", JISX0208 },
	{ "\x1b$B", JISX0208 },
	{ "\x1b$A", GB2312 },
	{ "\x1b$(C", KSC5601 },
	{ "\x1b$(D", JISX0212 },
};

/* s and the sequence are the same as far as both go. */
static bool
begins_as(struct bytes s, const char *sequence)
{
	struct bytes whole = text(sequence);

	return bytes_starts(s, whole) || (s.n < whole.n && bytes_starts(whole, s));
}

static size_t
take_escape_jp(struct charset *c, struct bytes s, uint32_t *out)
{
	*out = NOTHING;
	for (size_t i = 0; i < LEN(escapes); i++) {
		size_t n = strlen(escapes[i].sequence);

		if (!begins_as(s, escapes[i].sequence))
			continue;
		if (s.n < n)
			return 0;
		c->state.set = escapes[i].set;
		return n;
	}
	if (s.p[1] != '.' && s.p[1] != 'N')
		goto malformed;
	if (s.n < 3)
		return 0;
	if (s.p[1] == '.' && (s.p[2] == 'A' || s.p[2] == 'F')) {
		c->state.single = charset_find(text(s.p[2] == 'A' ? "ISO-8859-1" : "ISO-8859-7"));
		return 3;
	}
	if (s.p[1] == 'N' && c->state.single != NULL && c->state.single->how == OCTET && s.p[2] >= 0x20
	    && s.p[2] < 0x80) {
		*out = octet_character(c->state.single, s.p[2] | 0x80);
		return 3;
	}
malformed:
	*out = REPLACEMENT;
	return 1;
}

/* That its sets are those of KS C 5601 is said once, at the start, and nothing else could be. */
static size_t
take_escape_kr(struct bytes s, uint32_t *out)
{
	*out = NOTHING;
	if (begins_as(s, "\x1b$)C"))
		return s.n < 4 ? 0 : 4;
	*out = REPLACEMENT;
	return 1;
}

static size_t
take_in_set(const struct charset *c, struct bytes s, uint32_t *out)
{
	unsigned char o = s.p[0];

	switch (c->state.set) {
	case ASCII:
		*out = o;
		return 1;
	case ROMAN:
		*out = o == '\\' ? 0xa5u : o == '~' ? 0x203eu : o;
		return 1;
	case KANA:
		*out = o < 0x60 ? 0xff40u + o : REPLACEMENT;
		return 1;
	default:
		if (s.n < 2)
			return 0;
		*out = s.p[1] < 0x80 ? set_character(c->state.set, s.p) : REPLACEMENT;
		return s.p[1] > 0x20 && s.p[1] < 0x7f ? 2 : 1;
	}
}

static size_t
take_iso2022(struct charset *c, struct bytes s, uint32_t *out)
{
	unsigned char o = s.p[0];

	if (o == 0x1b)
		return c->how == ISO2022_KR ? take_escape_kr(s, out) : take_escape_jp(c, s, out);
	if (c->how == ISO2022_KR && (o == 0x0e || o == 0x0f)) {
		c->state.set = o == 0x0e ? KSC5601 : ASCII;
		*out = NOTHING;
		return 1;
	}
	if (o == '\n')
		c->state.single = NULL;		/* RFC 1554 */
	if (o > 0x20 && o < 0x7f)
		return take_in_set(c, s, out);
	*out = o < 0x80 ? o : REPLACEMENT;
	return 1;
}

/* ---- UTF-7 (RFC 2152) ---- */

static bool
is_high(uint32_t u)
{
	return u >= 0xd800 && u <= 0xdbff;
}

static bool
is_low(uint32_t u)
{
	return u >= 0xdc00 && u <= 0xdfff;
}

static uint32_t
joined(uint32_t high, uint32_t low)
{
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Of an octet of base64, or 64. */
static unsigned
sextet(unsigned char o)
{
	if (ascii_alnum(o))
		return o <= '9' ? 52u + o - '0' : o <= 'Z' ? (unsigned)o - 'A' : 26u + o - 'a';
	return o == '+' ? 62 : o == '/' ? 63 : 64;
}

/* A unit of UTF-16 has come. false: the one before it had to be the first half of a pair, and was not. */
static bool
take_unit(struct charset_state *t, uint32_t u, uint32_t *out)
{
	uint32_t high = t->high;

	t->high = 0;
	if (high != 0 && !is_low(u)) {
		*out = REPLACEMENT;
		return false;
	}
	*out = high != 0 ? joined(high, u) : is_high(u) ? NOTHING : u;
	if (is_high(u))
		t->high = u;
	return true;
}

static size_t
take_base64(struct charset_state *t, unsigned char o, uint32_t *out, bool *again)
{
	unsigned six = sextet(o), count = t->count + 6;
	uint32_t bits = t->bits << 6 | six;

	*out = NOTHING;
	if (six == 64 && t->high != 0) {
		*again = !take_unit(t, 0, out);
		return 0;
	}
	if (six == 64) {
		t->base64 = false;
		*out = o == '-' ? (t->fresh ? '+' : NOTHING) : o < 0x80 ? o : REPLACEMENT;
		return 1;
	}
	if (count >= 16) {
		count -= 16;
		if (!take_unit(t, bits >> count & 0xffff, out)) {
			*again = true;
			return 0;
		}
	}
	t->fresh = false;
	t->count = count;
	t->bits = bits;
	return 1;
}

static size_t
take_utf7(struct charset_state *t, struct bytes s, uint32_t *out, bool *again)
{
	unsigned char o = s.p[0];

	if (t->base64)
		return take_base64(t, o, out, again);
	*out = o == '+' ? NOTHING : o < 0x80 ? o : REPLACEMENT;
	if (o == '+')
		*t = (struct charset_state){ .base64 = true, .fresh = true };
	return 1;
}

/* ---- UTF-16 (RFC 2781) and UTF-32 ---- */

static uint32_t
unit(const unsigned char *p, size_t n, bool big)
{
	uint32_t u = 0;

	for (size_t i = 0; i < n; i++)
		u = u << 8 | p[big ? i : n - 1 - i];
	return u;
}

/*
 * The mark at the start. Without one the text is little-endian: so has who leaves it out, who is on Windows, and so
 * have browsers and glibc, though RFC 2781 section 4.3 would have it big-endian.
 */
static size_t
take_mark(struct charset_state *t, const unsigned char *p, size_t n, bool *again)
{
	t->begun = true;
	t->big = unit(p, n, true) == 0xfeff;
	*again = !t->big && unit(p, n, false) != 0xfeff;
	return *again ? 0 : n;
}

/* RFC 2781 section 2.2. */
static size_t
take_wide(struct charset *c, struct bytes s, uint32_t *out, bool *again)
{
	size_t n = c->how == UTF16 ? 2 : 4;
	uint32_t low;

	*out = NOTHING;
	if (s.n < n)
		return 0;
	if (!c->state.begun)
		return take_mark(&c->state, s.p, n, again);
	*out = unit(s.p, n, c->state.big);
	if (c->how == UTF32 || !is_high(*out))
		return n;
	if (s.n < 4)
		return 0;
	low = unit(s.p + 2, 2, c->state.big);
	if (!is_low(low))
		return 2;		/* which is malformed, but the next may stand for itself */
	*out = joined(*out, low);
	return 4;
}

/* ---- those ---- */

static size_t
take(struct charset *c, struct bytes s, uint32_t *out, bool *again)
{
	switch (c->how) {
	case PAIRS:		return take_pairs(c, s, out);
	case BIG5:		return take_big5(c, s, out, again);
	case GB18030:		return take_gb18030(c, s, out);
	case VIETNAMESE:	return take_vietnamese(c, s, out);
	case EUC_JP:		return take_euc_jp(s, out);
	case ISO2022_JP:
	case ISO2022_KR:	return take_iso2022(c, s, out);
	case UTF7:		return take_utf7(&c->state, s, out, again);
	case UTF16:
	case UTF32:		return take_wide(c, s, out, again);
	default:		must(false);
	}
}

/* Surrogates, and what is above U+10FFFF, are malformed too. */
static size_t
put(uint32_t character, unsigned char *out)
{
	size_t n = character == NOTHING ? 0 : utf8_put(character, out);

	return n > 0 || character == NOTHING ? n : utf8_put(REPLACEMENT, out);
}

/* As take, of what is the end of the text and lacks octets. */
static size_t
take_cut(const struct charset *c, struct bytes s, uint32_t *out)
{
	*out = c->how == VIETNAMESE ? octet_character(c, s.p[0]) : REPLACEMENT;
	return c->how == UTF16 || c->how == UTF32 ? s.n : 1;
}

size_t
charset_take_all(struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room)
{
	size_t done = 0;

	while (in->n > 0 && room - done >= 4) {
		uint32_t character = NOTHING;
		bool again = false;
		size_t n = take(c, *in, &character, &again);

		if (n == 0 && !again) {
			if (!last)
				break;
			n = take_cut(c, *in, &character);
		}
		*in = bytes_skip(*in, n);
		done += put(character, out + done);
	}
	return done;
}
