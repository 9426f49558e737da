/* SPDX-License-Identifier: ISC */
#include "mail/charset.h"

#include <errno.h>
#include <iconv.h>
#include <locale.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wctype.h>

#include "base/log.h"
#include "base/mem.h"
#include "proto/utf8.h"

#define REPLACEMENT	0xfffd
#define PLAIN_MAX	32	/* octets of a name, letters and digits alone */

enum how {
	ANY,			/* charset_any */
	OCTET,			/* an octet a character: its row of `above` */
	UTF16, UTF32,		/* units of 2 and 4 octets */
	CONVERTER,		/* iconv */
};

struct charset {
	const char	*name;		/* as it is registered */
	const char	*converter;	/* iconv's; NULL: the name */
	const char	*aliases;	/* small letters and digits alone, a space between */
	enum how	how;		/* as wanted; OCTET may turn out to be CONVERTER */
	bool		open;
	bool		big;		/* of UTF16 and UTF32: the most significant octet is the first */
	bool		marked;		/* of them: U+FEFF at the start, which is none of the text, tells */
	bool		begun;		/* of them: the start of the text was seen */
	iconv_t		cd;
};

/*
 * Those that mail has. A converter is a parser of what strangers wrote: glibc's of ISO-2022-CN-EXT, ISO-2022-JP-3 and
 * of some IBM charsets have had worse faults than they are worth, and are left out.
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
	{ "windows-1258", "WINDOWS-1258", "cp1258 xcp1258", .how = CONVERTER },
	{ "windows-874", "CP874", "cp874 iso885911 tis620 dos874", .how = OCTET },
	{ "KOI8-R", NULL, "koi8 koi cskoi8r", .how = OCTET },
	{ "KOI8-U", NULL, "koi8ru", .how = OCTET },
	{ "IBM437", NULL, "cp437 437", .how = OCTET },
	{ "IBM850", NULL, "cp850 850", .how = OCTET },
	{ "IBM852", NULL, "cp852 852", .how = OCTET },
	{ "IBM866", NULL, "cp866 866", .how = OCTET },
	{ "macintosh", "MACINTOSH", "mac macroman xmacroman", .how = OCTET },
	{ "UTF-7", NULL, "unicode11utf7 unicode20utf7", .how = CONVERTER },
	{ "UTF-16", NULL, "ucs2 iso10646ucs2 unicode", .how = UTF16, .open = true, .marked = true },
	{ "UTF-16LE", NULL, "", .how = UTF16, .open = true },
	{ "UTF-16BE", NULL, "", .how = UTF16, .open = true, .big = true },
	{ "UTF-32", NULL, "ucs4 iso10646ucs4", .how = UTF32, .open = true, .marked = true },
	{ "GB2312", "GB18030", "csgb2312 gb231280 euccn xgb2312 eucgb2312cn", .how = CONVERTER },
	{ "GBK", "GB18030", "cp936 ms936 windows936 xgbk", .how = CONVERTER },
	{ "GB18030", NULL, "gb180302000 gb180302005", .how = CONVERTER },
	{ "Big5", "BIG5-HKSCS", "cnbig5 xxbig5 csbig5 cp950 big5hkscs", .how = CONVERTER },
	{ "EUC-JP", NULL, "xeuc xeucjp ujis", .how = CONVERTER },
	{ "Shift_JIS", "CP932", "sjis xsjis mskanji cp932 ms932 windows31j csshiftjis", .how = CONVERTER },
	{ "ISO-2022-JP", "ISO-2022-JP-2", "iso2022jp2 csiso2022jp cp50220 cp50221", .how = CONVERTER },
	{ "EUC-KR", "UHC", "ksc56011987 ksc5601 ksc56011989 cp949 windows949 uhc korean", .how = CONVERTER },
	{ "ISO-2022-KR", NULL, "csiso2022kr", .how = CONVERTER },
};

/* What windows-1252 has for 128 to 159; from 160 on it is Unicode. Where it has nothing, a control stays one. */
static const uint16_t windows_1252[32] = {
	0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d,
	0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d,
	0x17e, 0x178,
};

static uint16_t above[LEN(charsets)][128];	/* characters of octets from 128 on; 0: this charset has no table */
static uint16_t lower[65536];	/* 0: the character itself */

/* ---- opening ---- */

/* The character that one octet is; REPLACEMENT: none. */
static uint32_t
character_of(iconv_t cd, unsigned char octet)
{
	unsigned char utf8[16];
	char *in = (char *)&octet, *out = (char *)utf8;
	size_t in_n = 1, out_n = sizeof utf8;
	uint32_t c = REPLACEMENT;

	iconv(cd, NULL, NULL, NULL, NULL);
	if (iconv(cd, &in, &in_n, &out, &out_n) == (size_t)-1 || iconv(cd, NULL, NULL, &out, &out_n) == (size_t)-1)
		return REPLACEMENT;
	utf8_take(bytes_of(utf8, sizeof utf8 - out_n), &c);
	return c;
}

static iconv_t
open_converter(const struct charset *c)
{
	return iconv_open("UTF-8", c->converter != NULL ? c->converter : c->name);
}

/* All characters of it at once; false: it is not ASCII and 128 others. */
static bool
read_octets(iconv_t cd, uint16_t row[128])
{
	for (unsigned i = 0; i < 128; i++)
		if (character_of(cd, (unsigned char)i) != i)
			return false;
	for (unsigned i = 0; i < 128; i++) {
		uint32_t c = character_of(cd, (unsigned char)(i + 128));

		if (c < 128 || c > UINT16_MAX)
			return false;
		row[i] = (uint16_t)c;
	}
	return true;
}

/* Rows of charsets that cannot be read stay 0. */
static void
read_tables(uint16_t rows[LEN(charsets)][128])
{
	for (size_t i = 0; i < LEN(charsets); i++) {
		iconv_t cd = (iconv_t)-1;

		if (charsets[i].how == OCTET)
			cd = open_converter(&charsets[i]);
		if (cd == (iconv_t)-1)
			continue;
		if (!read_octets(cd, rows[i]))
			memset(rows[i], 0, sizeof rows[i]);
		iconv_close(cd);
	}
}

static bool
ended_well(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/*
 * By a fork, into memory that both see. glibc keeps the last converters mapped though they are closed, 5 mappings
 * each; those of a fork go with it, and who forks a process for each session pays for none of them.
 */
static bool
read_tables_apart(void)
{
	void *shared = mmap(NULL, sizeof above, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool good;
	pid_t pid;

	if (shared == MAP_FAILED)
		return false;
	pid = fork();
	if (pid == 0) {
		read_tables(shared);
		_exit(0);
	}
	good = pid != -1 && ended_well(pid);
	if (good)
		memcpy(above, shared, sizeof above);
	munmap(shared, sizeof above);
	return good;
}

static void
open_charset(struct charset *c)
{
	if (c->how == OCTET && above[c - charsets][0] != 0) {
		c->open = true;
	} else if (c->how == OCTET || c->how == CONVERTER) {
		c->how = CONVERTER;
		c->cd = open_converter(c);
		c->open = c->cd != (iconv_t)-1;
	}
}

static void
open_letters(void)
{
	static const char *const names[] = { "C.UTF-8", "C.utf8", "en_US.UTF-8" };
	locale_t l = (locale_t)0;

	for (size_t i = 0; i < LEN(names) && l == (locale_t)0; i++)
		l = newlocale(LC_CTYPE_MASK, names[i], (locale_t)0);
	if (l == (locale_t)0) {
		log_warn("this host has no locale C.UTF-8: searches tell capital from small letters, but in ASCII");
		return;
	}
	for (uint32_t c = 128; c < LEN(lower); c++) {
		wint_t folded = towlower_l(towupper_l((wint_t)c, l), l);

		if (folded >= 128 && folded < LEN(lower) && (c < 0xd800 || c > 0xdfff)
		    && (folded < 0xd800 || folded > 0xdfff))
			lower[c] = (uint16_t)folded;
	}
	freelocale(l);
}

void
charsets_open(void)
{
	static bool opened;

	if (opened)
		return;
	opened = true;
	if (!read_tables_apart())
		read_tables(above);
	for (size_t i = 0; i < LEN(charsets); i++)
		open_charset(&charsets[i]);
	open_letters();
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
	struct charset *mine = &charsets[c - charsets];

	if (c->how == CONVERTER)
		iconv(c->cd, NULL, NULL, NULL, NULL);
	mine->begun = !c->marked;
	if (c->marked)
		mine->big = false;
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
	uint32_t character = above[c - charsets][in->p[0] - 128];

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

/* ---- UTF-16 (RFC 2781) and UTF-32 ---- */

static uint32_t
unit(const unsigned char *p, size_t n, bool big)
{
	uint32_t u = 0;

	for (size_t i = 0; i < n; i++)
		u = u << 8 | p[big ? i : n - 1 - i];
	return u;
}

/* One character, well or not, at the front of s: its octets; 0: some are missing. RFC 2781 section 2.2. */
static size_t
wide_character(const struct charset *c, struct bytes s, uint32_t *out)
{
	size_t n = c->how == UTF16 ? 2 : 4;
	uint32_t low;

	if (s.n < n)
		return 0;
	*out = unit(s.p, n, c->big);
	if (c->how == UTF32 || *out < 0xd800 || *out > 0xdbff)
		return n;
	if (s.n < 4)
		return 0;
	low = unit(s.p + 2, 2, c->big);
	if (low < 0xdc00 || low > 0xdfff)
		return 2;		/* which is malformed, but the next may stand for itself */
	*out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
	return 4;
}

/*
 * Takes the mark at the start. Without one the text is little-endian: so has who leaves it out, who is on Windows, and
 * so have browsers and glibc, though RFC 2781 section 4.3 would have it big-endian. false: more octets have to come.
 */
static bool
take_mark(struct charset *c, struct bytes *in)
{
	size_t n = c->how == UTF16 ? 2 : 4;

	if (in->n < n)
		return false;
	c->begun = true;
	c->big = unit(in->p, n, true) == 0xfeff;
	if (c->big || unit(in->p, n, false) == 0xfeff)
		*in = bytes_skip(*in, n);
	return true;
}

static size_t
convert_wide(struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room)
{
	size_t done = 0, n, put;
	uint32_t character;

	if (!c->begun && !take_mark(c, in) && !last)
		return 0;
	while (in->n > 0 && room - done >= 4) {
		n = wide_character(c, *in, &character);
		if (n == 0 && !last)
			break;
		if (n == 0) {
			n = in->n;
			character = REPLACEMENT;
		}
		*in = bytes_skip(*in, n);
		put = utf8_put(character, out + done);
		done += put > 0 ? put : utf8_put(REPLACEMENT, out + done);
	}
	return done;
}

/* ---- iconv ---- */

/* What a converter gives is not always UTF-8: glibc's UTF-7 lets surrogates pass. */
static void
make_utf8(unsigned char *p, size_t n)
{
	struct bytes rest = bytes_of(p, n);
	size_t k;

	while (rest.n > 0) {
		if ((k = utf8_length(rest)) == 0)
			p[n - rest.n] = '?';
		rest = bytes_skip(rest, k > 0 ? k : 1);
	}
}

static size_t
convert_other(const struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room)
{
	char *from = (char *)(uintptr_t)in->p, *to = (char *)out;
	size_t from_n = in->n, to_n = room;

	while (from_n > 0) {
		if (iconv(c->cd, &from, &from_n, &to, &to_n) != (size_t)-1 || errno == E2BIG)
			break;
		if ((errno == EINVAL && !last && from_n < CHARSET_REST) || to_n < 3)
			break;
		memcpy(to, "\xef\xbf\xbd", 3);
		to += 3;
		to_n -= 3;
		from++;
		from_n--;
	}
	*in = bytes_skip(*in, in->n - from_n);
	if (last && from_n == 0)		/* what it has held back, to join it with what follows */
		iconv(c->cd, NULL, NULL, &to, &to_n);
	make_utf8(out, room - to_n);
	return room - to_n;
}

size_t
charset_convert(const struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room)
{
	must(room >= CHARSET_ROOM);
	switch (c->how) {
	case CONVERTER:	return convert_other(c, in, last, out, room);
	case UTF16:
	case UTF32:	return convert_wide(&charsets[c - charsets], in, last, out, room);
	default:	return convert_plain(c, in, last, out, room);
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
		if (c < LEN(lower) && lower[c] != 0)
			c = lower[c];
		done += utf8_put(c, out + done);
		s = bytes_skip(s, n);
	}
	return done;
}
