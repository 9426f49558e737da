/* SPDX-License-Identifier: ISC */
/*
 * base/encode.h - base64 (RFC 4648 section 4), hexadecimal, checksums and the
 * keyed hash for tables that strangers can fill.
 */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include "base/buf.h"

void	base64_encode(struct bytes in, struct buf *out);
/* Strict: length a multiple of 4, padding only at the end, no white space, unused
 * bits zero. False: *out is as it was. */
bool	base64_decode(struct bytes in, struct buf *out);
void	hex_encode(struct bytes in, struct buf *out);		/* lower case */
bool	hex_decode(struct bytes in, struct buf *out);

uint32_t	crc32_of(uint32_t start, struct bytes s);	/* zlib's; start with 0, chain results */
void	crc32_open(void);		/* makes its tables now, for forks to share; else the first use does */
uint64_t	hash_bytes(struct bytes s);	/* SipHash-2-4 under a key of this process's own */
uint64_t	hash_keyed(const unsigned char key[16], struct bytes s);

/* The queue's and Maildir's file names: base 32 without vowels, most significant first; in
 * ASCII order, so that names sort as the numbers do. The last `digits` (at most 13) of v. */
#define BASE32_DIGITS "23456789CFGHJMPQRVWXcfghjmpqrvwx"
void	base32_u64(uint64_t v, unsigned digits, struct buf *out);

void	random_fill(void *p, size_t n);		/* getrandom; stops the process when it fails */

#endif
