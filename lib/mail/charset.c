/* SPDX-License-Identifier: ISC */
#include "mail/charset.h"

#include "base/mem.h"
#include "mail/charset_tables.h"
#include "mail/charset_take.h"
#include "proto/utf8.h"

#define PLAIN_MAX	32	/* octets of a name, letters and digits alone */

/*
 * Those that mail has. None is ISO-2022-CN-EXT, ISO-2022-JP-3 or IBM's of East Asia, which hardly any mail is, and whose
 * decoders have had more faults than they are worth.
 */
static struct charset charsets[] = {
	{ "US-ASCII", NULL, "ascii ansix341968 iso646us us cp367", .how = ANY, .open = true },
	{ "UTF-8", NULL, "unicode11utf8 utf8mb4 unknown8bit xunknown", .how = ANY, .open = true },
	{ "ISO-8859-1", "WINDOWS-1252", "latin1 l1 cp819 ibm819 isoir100 iso885911987", .how = OCTET },
	{ "windows-1252", "WINDOWS-1252", "cp1252 xcp1252 ansi", .how = OCTET },
	{ "ISO-8859-15", NULL, "latin9 latin0", .how = OCTET },
	{ "ISO-8859-2", NULL, "latin2 l2 iso885921987", .how = OCTET },
	{ "ISO-8859-3", NULL, "latin3 l3", .how = OCTET },
	{ "ISO-8859-4", NULL, "latin4 l4", .how = OCTET },
	{ "ISO-8859-5", NULL, "cyrillic iso885951988", .how = OCTET },
	{ "ISO-8859-6", NULL, "arabic asmo708 ecma114 iso88596e iso88596i", .how = OCTET },
	{ "ISO-8859-7", NULL, "greek greek8 ecma118 elot928 iso885971987", .how = OCTET },
	{ "ISO-8859-8", NULL, "hebrew iso88598i iso88598e logical", .how = OCTET },
	{ "ISO-8859-9", "WINDOWS-1254", "latin5 l5", .how = OCTET },
	{ "ISO-8859-10", NULL, "latin6 l6", .how = OCTET },
	{ "ISO-8859-13", NULL, "latin7 l7", .how = OCTET },
	{ "ISO-8859-14", NULL, "latin8 l8", .how = OCTET },
	{ "ISO-8859-16", NULL, "latin10 l10", .how = OCTET },
	{ "windows-1250", "WINDOWS-1250", "cp1250 xcp1250", .how = OCTET },
	{ "windows-1251", "WINDOWS-1251", "cp1251 xcp1251", .how = OCTET },
	{ "windows-1253", "WINDOWS-1253", "cp1253 xcp1253", .how = OCTET },
	{ "windows-1254", "WINDOWS-1254", "cp1254 xcp1254", .how = OCTET },
	{ "windows-1255", "WINDOWS-1255", "cp1255 xcp1255", .how = OCTET },
	{ "windows-1256", "WINDOWS-1256", "cp1256 xcp1256", .how = OCTET },
	{ "windows-1257", "WINDOWS-1257", "cp1257 xcp1257", .how = OCTET },
	{ "windows-1258", "WINDOWS-1258", "cp1258 xcp1258", .how = VIETNAMESE },
	{ "windows-874", "CP874", "cp874 iso885911 tis620 dos874", .how = OCTET },
	{ "KOI8-R", NULL, "koi8 koi cskoi8r", .how = OCTET },
	{ "KOI8-U", NULL, "koi8ru", .how = OCTET },
	{ "IBM437", NULL, "cp437 437", .how = OCTET },
	{ "IBM850", NULL, "cp850 850", .how = OCTET },
	{ "IBM852", NULL, "cp852 852", .how = OCTET },
	{ "IBM866", NULL, "cp866 866", .how = OCTET },
	{ "macintosh", "MACINTOSH", "mac macroman xmacroman", .how = OCTET },
	{ "UTF-7", NULL, "unicode11utf7 unicode20utf7", .how = UTF7, .open = true },
	{ "UTF-16", NULL, "ucs2 iso10646ucs2 unicode", .how = UTF16, .open = true, .marked = true },
	{ "UTF-16LE", NULL, "", .how = UTF16, .open = true },
	{ "UTF-16BE", NULL, "", .how = UTF16, .open = true, .big = true },
	{ "UTF-32", NULL, "ucs4 iso10646ucs4", .how = UTF32, .open = true, .marked = true },
	{ "GB2312", "GB18030", "csgb2312 gb231280 euccn xgb2312 eucgb2312cn", .how = GB18030, .pairs = OF_GB18030 },
	{ "GBK", "GB18030", "cp936 ms936 windows936 xgbk", .how = GB18030, .pairs = OF_GB18030 },
	{ "GB18030", NULL, "gb180302000 gb180302005", .how = GB18030, .pairs = OF_GB18030 },
	{ "Big5", "BIG5-HKSCS", "cnbig5 xxbig5 csbig5 cp950 big5hkscs", .how = BIG5, .pairs = OF_BIG5 },
	{ "EUC-JP", NULL, "xeuc xeucjp ujis", .how = EUC_JP },
	{ "Shift_JIS", "CP932", "sjis xsjis mskanji cp932 ms932 windows31j csshiftjis", .how = PAIRS, .pairs = OF_CP932 },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "iso2022jp2 csiso2022jp cp50220 cp50221", .how = ISO2022_JP },
	{ "EUC-KR", "UHC", "ksc56011987 ksc5601 ksc56011989 cp949 windows949 uhc korean", .how = PAIRS, .pairs = OF_UHC },
	{ "ISO-2022-KR", NULL, "csiso2022kr", .how = ISO2022_KR },
};

/* What windows-1252 has for 128 to 159; from 160 on it is Unicode. Where it has nothing, a control stays one. */
static const uint16_t windows_1252[32] = {
	0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d,
	0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d,
	0x17e, 0x178,
};

/* ---- opening ---- */

/* The table is there that it is made by; those of ISO 2022 have ideographs in row 48, U+AC00 is in row 16. */
static bool
has_table(const struct charset *c)
{
	switch (c->how) {
	case EUC_JP:
	case ISO2022_JP:	return charset_tables->sets[JISX0208][(48 - 1) * ROW] != 0;
	case ISO2022_KR:	return charset_tables->sets[KSC5601][(16 - 1) * ROW] != 0;
	default:		return charset_tables->above[c->row][0] != 0;
	}
}

void
charsets_open(void)
{
	static bool opened;

	if (opened)
		return;
	opened = true;
	for (size_t i = 0; i < LEN(charsets); i++)
		charsets[i].row = i;
	charset_tables_open(charsets, LEN(charsets));
	for (size_t i = 0; i < LEN(charsets); i++)
		charsets[i].open = charsets[i].open || has_table(&charsets[i]);
}

/* ---- names ---- */

/* Small letters and digits alone; empty: it is too long for any we know. */
static struct bytes
plain_name(struct bytes name, unsigned char room[PLAIN_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < name.n; i++) {
		if (!ascii_alnum(name.p[i]))
			continue;
		if (n == PLAIN_MAX)
			return bytes_of(room, 0);
		room[n++] = ascii_lower(name.p[i]);
	}
	return bytes_of(room, n);
}

static bool
has_name(const struct charset *c, struct bytes plain)
{
	unsigned char own[PLAIN_MAX];
	struct bytes aliases = text(c->aliases);

	if (bytes_eq(plain, plain_name(text(c->name), own)))
		return true;
	while (aliases.n > 0)
		if (bytes_eq(plain, bytes_cut(&aliases, ' ')))
			return true;
	return false;
}

const struct charset *
charset_find(struct bytes name)
{
	unsigned char room[PLAIN_MAX];
	struct bytes plain = plain_name(name, room);

	for (size_t i = 0; i < LEN(charsets) && plain.n > 0; i++)
		if (charsets[i].open && has_name(&charsets[i], plain))
			return &charsets[i];
	return NULL;
}

const struct charset *
charset_any(void)
{
	return &charsets[0];
}

bool
charset_is_plain(const struct charset *c)
{
	return c->how == ANY || c->how == OCTET;
}

void
charset_names(struct buf *out)
{
	for (size_t i = 0; i < LEN(charsets); i++)
		if (charsets[i].open)
			buf_fmt(out, i == 0 ? "%s" : " %s", charsets[i].name);
}

/* ---- conversion ---- */

void
charset_begin(const struct charset *c)
{
	struct charset *mine = &charsets[c->row];

	mine->state = (struct charset_state){ .begun = !c->marked, .big = c->big, .set = ASCII };
}

/* Octets of ASCII at the front of s, at most max. */
static size_t
ascii_run(struct bytes s, size_t max)
{
	size_t n = 0;
	uint64_t word;

	if (max > s.n)
		max = s.n;
	for (; n + 8 <= max; n += 8) {
		memcpy(&word, s.p + n, 8);
		if ((word & 0x8080808080808080u) != 0)
			break;
	}
	while (n < max && s.p[n] < 0x80)
		n++;
	return n;
}

/* A character may begin at the front of s, and its rest is missing. */
static bool
is_cut(struct bytes s)
{
	size_t wanted = s.p[0] >= 0xf0 ? 4 : s.p[0] >= 0xe0 ? 3 : 2, i;

	if (s.p[0] < 0xc2 || s.p[0] > 0xf4 || s.n >= wanted)
		return false;
	for (i = 1; i < s.n && (s.p[i] & 0xc0) == 0x80; i++)
		;
	return i == s.n;
}

/* One character that is not ASCII, as UTF-8; octets put into out. Taken off *in. */
static size_t
take_any(struct bytes *in, unsigned char *out)
{
	size_t n = utf8_length(*in);
	unsigned char c = in->p[0];

	if (n > 0) {
		memcpy(out, in->p, n);
		*in = bytes_skip(*in, n);
		return n;
	}
	*in = bytes_skip(*in, 1);
	return utf8_put(c < 160 ? windows_1252[c - 128] : c, out);
}

static size_t
take_octet(const struct charset *c, struct bytes *in, unsigned char *out)
{
	uint32_t character = charset_tables->above[c->row][in->p[0] - 128];

	*in = bytes_skip(*in, 1);
	return utf8_put(character, out);
}

/* Of a charset that is ASCII and more. */
static size_t
convert_plain(const struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room)
{
	size_t done = 0;

	while (in->n > 0 && room - done >= 4) {
		size_t n = ascii_run(*in, room - done);

		if (n > 0) {
			memcpy(out + done, in->p, n);
			*in = bytes_skip(*in, n);
			done += n;
		} else if (c->how == OCTET) {
			done += take_octet(c, in, out + done);
		} else if (!last && is_cut(*in)) {
			break;
		} else {
			done += take_any(in, out + done);
		}
	}
	return done;
}

size_t
charset_convert(const struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room)
{
	must(room >= CHARSET_ROOM);
	switch (c->how) {
	case ANY:
	case OCTET:	return convert_plain(c, in, last, out, room);
	default:	return charset_take_all(&charsets[c->row], in, last, out, room);
	}
}

/* ---- letters ---- */

size_t
charset_fold(struct bytes s, unsigned char *out)
{
	size_t done = 0;

	while (s.n > 0) {
		uint32_t c;
		size_t n;

		if (s.p[0] < 0x80) {
			out[done++] = ascii_lower(s.p[0]);
			s = bytes_of(s.p + 1, s.n - 1);
			continue;
		}
		n = utf8_take(s, &c);
		must(n > 0);
		if (c <= UINT16_MAX && charset_tables->lower[c] != 0)
			c = charset_tables->lower[c];
		done += utf8_put(c, out + done);
		s = bytes_skip(s, n);
	}
	return done;
}
