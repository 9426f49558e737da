/* SPDX-License-Identifier: ISC */
/*
 * proto/idna.h - a domain as DNS wants it: A-labels in lower case.
 * RFC 5891 (IDNA2008) by way of libidn2, with the mapping of UTS 46 for what people type. Pure.
 */
#ifndef PROTO_IDNA_H
#define PROTO_IDNA_H

#include "base/arena.h"

#define IDNA_DOMAIN_MAX 253	/* octets in text without the last dot: 255 in wire format, RFC 1035 section 3.1 */

/* ASCII is only made lower case: names that DNS has but hosts may not (_dmarc) pass. False: it is no domain name. *out
 * is in the arena. */
bool	idna_ascii(struct bytes domain, struct arena *a, struct bytes *out);

#endif
