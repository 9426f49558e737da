/* SPDX-License-Identifier: ISC */
/*
 * proto/utf8.h - well-formed UTF-8, RFC 3629 section 4. Overlong forms,
 * surrogates, what is above U+10FFFF and truncated tails are not UTF-8.
 */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include "base/bytes.h"

/* Octets (1 to 4) of the character at the front of s; 0: none, or not well-formed. */
size_t	utf8_length(struct bytes s);
bool	utf8_valid(struct bytes s);

/* As utf8_length, and the code point in *c. */
size_t	utf8_take(struct bytes s, uint32_t *c);
/* Writes c to dst; returns its octets, 0 when c is no Unicode scalar value. */
size_t	utf8_put(uint32_t c, unsigned char dst[4]);

#endif
