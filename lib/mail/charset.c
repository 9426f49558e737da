/* SPDX-License-Identifier: ISC */
#include "mail/charset.h"

#include <errno.h>
#include <fcntl.h>
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
#define NOTHING		UINT32_MAX	/* octets that are no character, but tell of those that follow */
#define PLAIN_MAX	32	/* octets of a name, letters and digits alone */
#define ROW		94	/* of a set of ISO 2022: as many rows */
#define GB_BMP		39420	/* four octets of GB18030, counted: below are those of the BMP, */
#define GB_PLANES	189000	/* and from here on all above */

enum how {
	ANY,			/* charset_any */
	OCTET,			/* an octet a character: its row of `above` */
	VIETNAMESE,		/* OCTET, and an accent is joined to the letter before it */
	PAIRS,			/* OCTET, and what is none there is the first of two */
	BIG5,			/* PAIRS, of which some are two characters */
	GB18030,		/* PAIRS, and four octets */
	EUC_JP,
	ISO2022_JP, ISO2022_KR,
	UTF7,
	UTF16, UTF32,		/* units of 2 and 4 octets */
};

/* Sets of ISO 2022: those that have a table, and those that need none. */
enum set { JISX0208, JISX0212, GB2312, KSC5601, SETS, ASCII = SETS, ROMAN, KANA };

/* Tables of pairs. */
enum pairs { OF_CP932, OF_UHC, OF_BIG5, OF_GB18030, TABLES };

/* Where the text stands, of those that depend on it. */
struct state {
	bool		begun;		/* UTF16, UTF32: the start was seen */
	bool		big;		/* UTF16, UTF32: the most significant octet is the first */
	bool		base64, fresh;	/* UTF7: after +, and right after it */
	unsigned	count;		/* UTF7: bits that wait, the low ones of `bits` */
	uint32_t	bits;
	uint32_t	high;		/* UTF7: half of a pair of surrogates, 0: none */
	bool		second;		/* BIG5: the first of two characters was taken */
	enum set	set;		/* ISO2022_JP, ISO2022_KR */
	const struct charset *single;	/* ISO2022_JP: from 160 on after ESC N; NULL: none */
};

struct charset {
	const char	*name;		/* as it is registered */
	const char	*converter;	/* iconv's; NULL: the name */
	const char	*aliases;	/* small letters and digits alone, a space between */
	enum how	how;
	bool		open;		/* its tables are there, or it needs none */
	bool		big;		/* UTF16, UTF32: the most significant octet is the first */
	bool		marked;		/* UTF16, UTF32: U+FEFF at the start, which is none of the text, tells */
	enum pairs	pairs;		/* PAIRS, BIG5, GB18030: their table */
	struct state	state;
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

/* Accents of windows-1258. */
static const unsigned char accents[] = { 0xcc, 0xd2, 0xde, 0xec, 0xf2 };

/* Read once; 0: there is none. */
struct tables {
	uint16_t	above[LEN(charsets)][128];	/* characters of octets from 128 on, REPLACEMENT: none */
	struct {
		bool		read;
		uint16_t	character[128][256];	/* by the first octet, from 128 on, and the second */
		unsigned char	high[128][256 / 8];	/* a bit each: it is that of plane 2 */
	} pairs[TABLES];
	uint16_t	four[GB_BMP];			/* GB18030, four octets */
	uint16_t	lower[65536];			/* 0: the character itself */
	uint16_t	sets[SETS][ROW * ROW];
	uint16_t	joined[LEN(accents)][256];	/* windows-1258: with a letter before it */
};
static struct tables unshared;		/* when they cannot be shared */
static const struct tables *tables = &unshared;
/* ---- opening ---- */

/* The one character that some octets are; REPLACEMENT: none, or more. */
static uint32_t
character_of(iconv_t cd, const unsigned char *octets, size_t n)
{
	unsigned char utf8[16];
	char *in = (char *)(uintptr_t)octets, *out = (char *)utf8;
	size_t out_n = sizeof utf8;
	uint32_t c;

	iconv(cd, NULL, NULL, NULL, NULL);
	if (iconv(cd, &in, &n, &out, &out_n) == (size_t)-1 || iconv(cd, NULL, NULL, &out, &out_n) == (size_t)-1)
		return REPLACEMENT;
	n = utf8_take(bytes_of(utf8, sizeof utf8 - out_n), &c);
	return n > 0 && n == sizeof utf8 - out_n ? c : REPLACEMENT;
}

/* As it stands in a table that has 0 for none. */
static uint16_t
entry_of(iconv_t cd, const unsigned char *octets, size_t n)
{
	uint32_t c = character_of(cd, octets, n);

	return c == REPLACEMENT || c > UINT16_MAX ? 0 : (uint16_t)c;
}

/* All characters of it at once; false: it is not ASCII and 128 others. */
static bool
read_octets(iconv_t cd, uint16_t row[128])
{
	for (unsigned i = 0; i < 256; i++) {
		unsigned char octet = (unsigned char)i;
		uint32_t c = character_of(cd, &octet, 1);

		if (i < 128 ? c != i : c < 128 || c > UINT16_MAX)
			return false;
		if (i >= 128)
			row[i - 128] = (uint16_t)c;
	}
	return true;
}

static void
read_pairs(iconv_t cd, struct tables *t, enum pairs which)
{
	for (unsigned i = 0; i < 128 * 256; i++) {
		const unsigned char pair[] = { (unsigned char)(128 + i / 256), (unsigned char)(i % 256) };
		uint32_t c = character_of(cd, pair, 2);

		if (c == REPLACEMENT || (c > UINT16_MAX && c >> 16 != 2))
			continue;
		t->pairs[which].character[i / 256][i % 256] = (uint16_t)c;
		if (c > UINT16_MAX)
			t->pairs[which].high[i / 256][i % 256 / 8] |= (unsigned char)(1u << i % 8);
	}
	t->pairs[which].read = true;
}

static void
read_four(iconv_t cd, uint16_t table[GB_BMP])
{
	for (unsigned i = 0; i < GB_BMP; i++) {
		const unsigned char four[] = { (unsigned char)(0x81 + i / 12600), (unsigned char)(0x30 + i / 1260 % 10),
			(unsigned char)(0x81 + i / 10 % 126), (unsigned char)(0x30 + i % 10) };

		table[i] = entry_of(cd, four, 4);
	}
}

static void
read_joined(iconv_t cd, uint16_t table[LEN(accents)][256])
{
	for (unsigned i = 0; i < LEN(accents) * 256; i++) {
		const unsigned char pair[] = { (unsigned char)(i % 256), accents[i / 256] };

		table[i / 256][i % 256] = entry_of(cd, pair, 2);
	}
}

static bool
has_octets(enum how how)
{
	return how == OCTET || how == VIETNAMESE || how == PAIRS || how == BIG5 || how == GB18030;
}

/* Tables of that one charset stay 0 if it cannot be read. */
static void
read_charset(const struct charset *c, struct tables *t)
{
	uint16_t *row = t->above[c - charsets];
	iconv_t cd;

	if (!has_octets(c->how))
		return;
	cd = iconv_open("UTF-8", c->converter != NULL ? c->converter : c->name);
	if (cd == (iconv_t)-1)
		return;
	if (!read_octets(cd, row)) {
		memset(row, 0, sizeof t->above[0]);
	} else if (c->how == VIETNAMESE) {
		read_joined(cd, t->joined);
	} else if (c->how != OCTET && !t->pairs[c->pairs].read) {
		read_pairs(cd, t, c->pairs);
		if (c->how == GB18030)
			read_four(cd, t->four);
	}
	iconv_close(cd);
}

/* Where its sets are as they are in ISO 2022, but for the eighth bit. */
static const struct { const char *converter; unsigned char shift; } sources[SETS] = {
	[JISX0208] = { "EUC-JP", 0 },
	[JISX0212] = { "EUC-JP", 0x8f },
	[GB2312]   = { "EUC-CN", 0 },
	[KSC5601]  = { "EUC-KR", 0 },
};

static void
read_set(enum set set, uint16_t table[ROW * ROW])
{
	iconv_t cd = iconv_open("UTF-8", sources[set].converter);
	size_t skip = sources[set].shift == 0 ? 1 : 0;

	if (cd == (iconv_t)-1)
		return;
	for (unsigned i = 0; i < ROW * ROW; i++) {
		const unsigned char s[] = { sources[set].shift, (unsigned char)(0xa1 + i / ROW),
			(unsigned char)(0xa1 + i % ROW) };

		table[i] = entry_of(cd, s + skip, sizeof s - skip);
	}
	iconv_close(cd);
}

static void
read_letters(uint16_t lower[65536])
{
	static const char *const names[] = { "C.UTF-8", "C.utf8", "en_US.UTF-8" };
	locale_t l = (locale_t)0;

	for (size_t i = 0; i < LEN(names) && l == (locale_t)0; i++)
		l = newlocale(LC_CTYPE_MASK, names[i], (locale_t)0);
	if (l == (locale_t)0) {
		log_warn("this host has no locale C.UTF-8: searches tell capital from small letters, but in ASCII");
		return;
	}
	for (uint32_t c = 128; c <= UINT16_MAX; c++) {
		wint_t folded = towlower_l(towupper_l((wint_t)c, l), l);

		if (folded >= 128 && folded <= UINT16_MAX && (c < 0xd800 || c > 0xdfff)
		    && (folded < 0xd800 || folded > 0xdfff))
			lower[c] = (uint16_t)folded;
	}
	freelocale(l);
}

static void
read_tables(struct tables *t)
{
	for (size_t i = 0; i < LEN(charsets); i++)
		read_charset(&charsets[i], t);
	for (enum set set = 0; set < SETS; set++)
		read_set(set, t->sets[set]);
	read_letters(t->lower);
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

static _Noreturn void
write_tables(int fd)
{
	struct tables *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (t == MAP_FAILED)
		_exit(1);
	read_tables(t);
	_exit(0);
}

/*
 * By a fork: glibc keeps the last converters mapped though they are closed, 5 mappings each; those of a fork go with
 * it, and who forks a process for each session pays for none of them. Nor for the tables: what is shared is not copied.
 * Once sealed nobody can write them, nor make that they can be written.
 */
static bool
share_tables(int fd)
{
	void *shared;
	pid_t pid;

	if (ftruncate(fd, sizeof unshared) == -1)
		return false;
	pid = fork();
	if (pid == 0)
		write_tables(fd);
	if (pid == -1 || !ended_well(pid)
	    || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		return false;
	shared = mmap(NULL, sizeof unshared, PROT_READ, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		return false;
	tables = shared;
	return true;
}

static void
open_tables(void)
{
	int fd = memfd_create("charsets", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || !share_tables(fd)) {
		log_warn("tables of charsets cannot be shared: processes will be larger");
		read_tables(&unshared);
	}
	if (fd != -1)
		close(fd);
}

/* The table is there that it is made by; those of ISO 2022 have ideographs in row 48, U+AC00 is in row 16. */
static bool
has_table(const struct charset *c)
{
	switch (c->how) {
	case EUC_JP:
	case ISO2022_JP:	return tables->sets[JISX0208][(48 - 1) * ROW] != 0;
	case ISO2022_KR:	return tables->sets[KSC5601][(16 - 1) * ROW] != 0;
	default:		return tables->above[c - charsets][0] != 0;
	}
}

void
charsets_open(void)
{
	static bool opened;

	if (opened)
		return;
	opened = true;
	open_tables();
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
	struct charset *mine = &charsets[c - charsets];

	mine->state = (struct state){ .begun = !c->marked, .big = c->big, .set = ASCII };
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
	uint32_t character = tables->above[c - charsets][in->p[0] - 128];

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

/*
 * ---- a character after the other ----
 *
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
	return octet < 128 ? octet : tables->above[c - charsets][octet - 128];
}

/* REPLACEMENT: they are none. */
static uint32_t
pair_character(enum pairs which, const unsigned char *p)
{
	uint16_t c = tables->pairs[which].character[p[0] - 128][p[1]];
	bool high = (tables->pairs[which].high[p[0] - 128][p[1] / 8] >> p[1] % 8 & 1) != 0;

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
		*out = or_replacement(tables->four[i]);
	else if (i >= GB_PLANES && i <= GB_PLANES + 0xfffff)
		*out = i - GB_PLANES + 0x10000;
	return 4;
}

static size_t
take_vietnamese(struct charset *c, struct bytes s, uint32_t *out)
{
	*out = octet_character(c, s.p[0]);
	for (size_t i = 0; i < LEN(accents); i++) {
		uint16_t joined = tables->joined[i][s.p[0]];

		if (joined == 0)
			continue;
		if (s.n < 2)
			return 0;
		if (s.p[1] == accents[i]) {
			*out = joined;
			return 2;
		}
	}
	return 1;
}

/* The two octets at p, without the eighth bit, in a set; REPLACEMENT: none. */
static uint32_t
set_character(enum set set, const unsigned char *p)
{
	unsigned row = (p[0] & 0x7fu) - 0x21, cell = (p[1] & 0x7fu) - 0x21;

	return row < ROW && cell < ROW ? or_replacement(tables->sets[set][row * ROW + cell]) : REPLACEMENT;
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

static const struct { const char *sequence; enum set set; } escapes[] = {
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
take_unit(struct state *t, uint32_t u, uint32_t *out)
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
take_base64(struct state *t, unsigned char o, uint32_t *out, bool *again)
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
take_utf7(struct state *t, struct bytes s, uint32_t *out, bool *again)
{
	unsigned char o = s.p[0];

	if (t->base64)
		return take_base64(t, o, out, again);
	*out = o == '+' ? NOTHING : o < 0x80 ? o : REPLACEMENT;
	if (o == '+')
		*t = (struct state){ .base64 = true, .fresh = true };
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
take_mark(struct state *t, const unsigned char *p, size_t n, bool *again)
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

static size_t
convert_taken(struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room)
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

size_t
charset_convert(const struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room)
{
	must(room >= CHARSET_ROOM);
	switch (c->how) {
	case ANY:
	case OCTET:	return convert_plain(c, in, last, out, room);
	default:	return convert_taken(&charsets[c - charsets], in, last, out, room);
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
		if (c <= UINT16_MAX && tables->lower[c] != 0)
			c = tables->lower[c];
		done += utf8_put(c, out + done);
		s = bytes_skip(s, n);
	}
	return done;
}
