/* SPDX-License-Identifier: ISC */
/*
 * proto/xtext.h - the encoding of ESMTP parameter values, RFC 3461 section 4,
 * and of UTF-8 addresses in ORCPT, RFC 6533 section 3.
 * Pure. Results are in the arena.
 */
#ifndef PROTO_XTEXT_H
#define PROTO_XTEXT_H

#include "base/arena.h"
#include "base/buf.h"

/*
 * Strict: '+' is followed by two upper case hexadecimal digits; '=' and what is
 * not printable ASCII do not occur raw. False too when what it means holds a
 * control or 8-bit octet: CR LF in a decoded value is how envelope records were
 * forged (CVE-2020-28015, CVE-2020-28026).
 */
bool	xtext_decode(struct bytes in, struct arena *a, struct bytes *out);
/* '+', '=', SP and what is not printable ASCII as +HH; all else as it is. */
void	xtext_encode(struct bytes in, struct buf *out);

/*
 * utf-8-addr-xtext and utf-8-addr-unitext: \x{HEX} stands for a character that
 * is not ASCII, or for '\' (5C), '+' (2B), '=' (3D), SP (20), DEL and controls;
 * of these only 20, 2B, 3D and 5C are taken. Raw UTF-8 only when utf8 is true.
 */
bool	utf8_xtext_decode(struct bytes in, bool utf8, struct arena *a, struct bytes *out);
/* In 7 bits; `in` must be well-formed UTF-8 without controls, else false and nothing written. */
bool	utf8_xtext_encode(struct bytes in, struct buf *out);

#endif
