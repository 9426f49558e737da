/* SPDX-License-Identifier: ISC */
/*
 * proto/dns_message.h - the answer to one question, out of a DNS message: RFC 1035 section 4.1, compression 4.1.4,
 * negative answers RFC 2308 section 5.
 *
 * Pure. A pointer in a name only leads back, and a name has at most 255 octets, so that reading one ends. CNAMEs are
 * followed within the message, DNS_CHAIN_MAX of them.
 */
#ifndef PROTO_DNS_MESSAGE_H
#define PROTO_DNS_MESSAGE_H

#include "proto/dns_rdata.h"

#define DNS_MESSAGE_MAX	65535
#define DNS_CHAIN_MAX	16
#define DNS_MESSAGE_ARENA (1u << 20)	/* room that one needs */

enum dns_message_read {
	DNS_MESSAGE_BAD,	/* it makes no sense, or is not the answer to this question */
	DNS_MESSAGE_READ,
	DNS_MESSAGE_LARGE,	/* its records have more than DNS_MESSAGE_MAX octets when names are written out */
};

struct dns_message {
	unsigned	 rcode;		/* 0, or 3: no such name; RFC 1035 section 4.1.1 */
	bool		 truncated;
	struct bytes	 name;		/* behind the CNAMEs, wire format; in the arena */
	uint32_t	 ttl_s;		/* the least on the way; of a negative answer, as long as it may be kept */
	struct bytes	*rdata;		/* wire format, names uncompressed; in the arena */
	size_t		 n;
};

/* name: what was asked, wire format, lower-case. */
enum dns_message_read dns_message_read(struct bytes message, struct bytes name, enum dns_type type, struct arena *a,
			    struct dns_message *out);

#endif
