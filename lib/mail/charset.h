/* SPDX-License-Identifier: ISC */
/*
 * mail/charset.h - text of any charset made UTF-8, and letters without case, for who looks for text in mail.
 *
 * Characters are as iconv has them, which reads its converters from files: all that is needed of them is read at once,
 * before a process is confined, and is inherited by its forks. What this host's iconv does not know is not known here.
 *
 * Never fails: what is malformed becomes U+FFFD. Only how much of it does may depend on the pieces. Readers take
 * some charsets for larger ones that hold them (ISO-8859-1 for windows-1252, GB2312 for GB18030, and so on), and so do
 * we.
 */
#ifndef MAIL_CHARSET_H
#define MAIL_CHARSET_H

#include "base/buf.h"

struct charset;

/* Reads the tables of charsets, in a fork that has ended when it returns, and of letters; takes
 * about 20 ms. Without it only US-ASCII and UTF-8, -7, -16 and -32 are known, and case is ASCII's. */
void	charsets_open(void);

/* By name or alias, in any case of letters. NULL: it is unknown. */
const struct charset *charset_find(struct bytes name);
/* For text that does not say what it is, or says what is unknown: UTF-8, and octets that are not UTF-8 are
 * windows-1252. The same as charset_find of US-ASCII and UTF-8. */
const struct charset *charset_any(void);
/* Octets below 128 are ASCII wherever they stand, and others are none. */
bool	charset_is_plain(const struct charset *c);
/* "US-ASCII UTF-8 ...": those that are known. */
void	charset_names(struct buf *out);

/* ---- conversion, in pieces ---- */

#define CHARSET_ROOM	16	/* octets of room that make some progress */
#define CHARSET_REST	16	/* octets of a character that may be waited for */

/* A new text. One at a time is converted of each charset. */
void	charset_begin(const struct charset *c);
/*
 * UTF-8, whole characters, put into out: how many octets. *in: what is left: all but what had no room; or, when
 * room was not the reason and unless `last`, less than CHARSET_REST octets of a character whose rest is to come
 * (they are to stand before it in the next piece). Again with nothing left and `last` until it puts nothing.
 */
size_t	charset_convert(const struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room);

/* ---- letters without case ---- */

/* Well-formed UTF-8 without regard to case: simple folding, as towlower of towupper. What is not ASCII never becomes
 * ASCII. At most 3 octets for 2; returns how many. */
size_t	charset_fold(struct bytes utf8, unsigned char *out);

#endif
