/* SPDX-License-Identifier: ISC */
/*
 * mail/charset_tables.h - what iconv knows of charsets, in tables; and what a charset is to those who read them.
 * For mail/charset.c and mail/charset_take.c alone: others have mail/charset.h.
 */
#ifndef MAIL_CHARSET_TABLES_H
#define MAIL_CHARSET_TABLES_H

#include "mail/charset.h"

#define REPLACEMENT	0xfffd
#define CHARSETS_MAX	64
#define CHARSET_ACCENTS	5
#define ROW		94	/* of a set of ISO 2022: as many rows */
#define GB_BMP		39420	/* four octets of GB18030, counted: below are those of the BMP, */
#define GB_PLANES	189000	/* and from here on all above */

enum charset_how {
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
enum charset_set { JISX0208, JISX0212, GB2312, KSC5601, SETS, ASCII = SETS, ROMAN, KANA };

/* Tables of pairs. */
enum charset_pairs { OF_CP932, OF_UHC, OF_BIG5, OF_GB18030, TABLES };

/* Where the text stands, of those that depend on it. */
struct charset_state {
	bool		begun;		/* UTF16, UTF32: the start was seen */
	bool		big;		/* UTF16, UTF32: the most significant octet is the first */
	bool		base64, fresh;	/* UTF7: after +, and right after it */
	unsigned	count;		/* UTF7: bits that wait, the low ones of `bits` */
	uint32_t	bits;
	uint32_t	high;		/* UTF7: half of a pair of surrogates, 0: none */
	bool		second;		/* BIG5: the first of two characters was taken */
	enum charset_set set;		/* ISO2022_JP, ISO2022_KR */
	const struct charset *single;	/* ISO2022_JP: from 160 on after ESC N; NULL: none */
};

struct charset {
	const char	*name;		/* as it is registered */
	const char	*converter;	/* iconv's; NULL: the name */
	const char	*aliases;	/* small letters and digits alone, a space between */
	enum charset_how how;
	bool		open;		/* its tables are there, or it needs none */
	bool		big;		/* UTF16, UTF32: the most significant octet is the first */
	bool		marked;		/* UTF16, UTF32: U+FEFF at the start, which is none of the text, tells */
	enum charset_pairs pairs;	/* PAIRS, BIG5, GB18030: their table */
	size_t		row;		/* in the list, and of `above` */
	struct charset_state state;
};

extern const unsigned char charset_accents[CHARSET_ACCENTS];	/* of windows-1258: octets */

/* Read once; 0: there is none. */
struct charset_tables {
	uint16_t	above[CHARSETS_MAX][128];	/* characters of octets from 128 on, REPLACEMENT: none */
	struct {
		bool		read;
		uint16_t	character[128][256];	/* by the first octet, from 128 on, and the second */
		unsigned char	high[128][256 / 8];	/* a bit each: it is that of plane 2 */
	} pairs[TABLES];
	uint16_t	four[GB_BMP];			/* GB18030, four octets */
	uint16_t	lower[65536];			/* 0: the character itself */
	uint16_t	sets[SETS][ROW * ROW];
	uint16_t	joined[CHARSET_ACCENTS][256];	/* windows-1258: with a letter before it */
};

/* All 0 before they are opened; then they may be a mapping that nobody can write. */
extern const struct charset_tables *charset_tables;

/* Reads those of n charsets, at most CHARSETS_MAX, in a fork that has ended when it returns. */
void	charset_tables_open(const struct charset *list, size_t n);

#endif
