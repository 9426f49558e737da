/* SPDX-License-Identifier: ISC */
/*
 * proto/dns_text.h - a DNS record in words, as a zone file has it: RFC 1035 section 5.1, RFC 3596 (AAAA), RFC 2782 (SRV),
 * RFC 6698 section 2.2 (TLSA). Pure.
 */
#ifndef PROTO_DNS_TEXT_H
#define PROTO_DNS_TEXT_H

#include "proto/dns_rdata.h"

#define DNS_REVERSE_MAX 80	/* octets of an address's name in the reverse tree, with its NUL */

/* What stands behind the type. dot: names end with one, as in a zone file, where those without are below its origin; for
 * people and programs they read better without. A text of more than 255 octets becomes several strings. */
void	dns_record_put(struct buf *out, const struct dns_record *r, bool dot);

/* The name that an address (IPv4: IPv4-mapped) has in the reverse tree: RFC 1035 section 3.5, RFC 3596 section 2.5. No dot
 * at the end. Returns dst. */
char	*dns_reverse(const unsigned char address[16], char dst[DNS_REVERSE_MAX]);

#endif
