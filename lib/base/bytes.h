/* SPDX-License-Identifier: ISC */
/*
 * base/bytes.h - a borrowed run of octets. Any octet may occur, NUL too.
 * Nothing here allocates. Case is ASCII's: no locale is ever asked.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes { const unsigned char *p; size_t n; };	/* borrowed; may be { NULL, 0 } */

#define LEN(array)	(sizeof(array) / sizeof *(array))

/* For printf: "%.*s", BYTES_FMT(b). Only for octets known to be printable. */
#define BYTES_FMT(b)	(int)(b).n, (const char *)(b).p

static inline struct bytes
bytes_of(const void *p, size_t n)
{
	return (struct bytes){ p, n };
}

/* A C string without its NUL; NULL gives no octets. */
static inline struct bytes
text(const char *s)
{
	return (struct bytes){ (const unsigned char *)s, s ? strlen(s) : 0 };
}

static inline bool
bytes_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool		bytes_case_eq(struct bytes a, struct bytes b);
bool		bytes_starts(struct bytes s, struct bytes prefix);
bool		bytes_case_starts(struct bytes s, struct bytes prefix);
bool		bytes_ends(struct bytes s, struct bytes suffix);
int		bytes_cmp(struct bytes a, struct bytes b);	/* memcmp order, shorter first */

/* Index of the first such octet, or s.n when there is none. */
size_t		bytes_find(struct bytes s, unsigned char c);
size_t		bytes_rfind(struct bytes s, unsigned char c);

bool		bytes_is_ascii(struct bytes s);
bool		bytes_has_control(struct bytes s);	/* NUL to US, DEL: CR, LF and HTAB, too */

/* LFs that have no CR before them in s. */
size_t		bytes_bare_lfs(struct bytes s);

/* What is before the first sep, which is taken off *rest with it; all of *rest
 * when there is no sep. */
struct bytes	bytes_cut(struct bytes *rest, unsigned char sep);
struct bytes	bytes_skip(struct bytes s, size_t n);	/* all but the first n (at most all) */
struct bytes	bytes_head(struct bytes s, size_t n);	/* the first n (at most all) */
struct bytes	bytes_trim(struct bytes s);		/* no SP, HTAB, CR, LF at either end */

/* Decimal digits only, at least one, no overflow, at most `max`; else false and *out untouched. */
bool		bytes_u64(struct bytes s, uint64_t max, uint64_t *out);

/* Copies into a C string; false when it has a NUL or does not fit (then dst is ""). */
bool		bytes_to_text(struct bytes s, char *dst, size_t cap);

/* Compares in time that depends on the lengths only. For secrets. */
bool		bytes_eq_secret(struct bytes a, struct bytes b);

static inline unsigned char
ascii_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}
static inline bool ascii_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static inline bool ascii_alpha(unsigned char c) { c = ascii_lower(c); return c >= 'a' && c <= 'z'; }
static inline bool ascii_alnum(unsigned char c) { return ascii_digit(c) || ascii_alpha(c); }

#endif
