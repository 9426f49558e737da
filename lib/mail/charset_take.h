/* SPDX-License-Identifier: ISC */
/*
 * mail/charset_take.h - a character after the other, of charsets whose octets are not a character each:
 * ISO-2022-JP (RFC 1468, RFC 1554), ISO-2022-KR (RFC 1557), UTF-7 (RFC 2152), UTF-16 (RFC 2781) and those of East Asia.
 * For mail/charset.c alone. Bounded: no memory but the charset's state.
 */
#ifndef MAIL_CHARSET_TAKE_H
#define MAIL_CHARSET_TAKE_H

#include "mail/charset_tables.h"

/* As charset_convert, for all but ANY and OCTET. */
size_t	charset_take_all(struct charset *c, struct bytes *in, bool last, unsigned char *out, size_t room);

#endif
