/* SPDX-License-Identifier: ISC */
/*
 * mail/nexthop.h - where a message goes next, in words: what the router answers, qmgr
 * schedules by, and smtp-client connects to.
 *
 *	example.org		the mail exchangers of that domain (RFC 5321 section 5.1)
 *	example.org:2525	the same, at another port
 *	[mx.example.org]	that host: no MX
 *	[192.0.2.1]:2525	that address; [IPv6:2001:db8::1], [2001:db8::1] likewise
 *	unix:/path		a UNIX socket, for lmtp
 *
 * All but the last may go on with ";from=192.0.2.5", or ";from=192.0.2.5,2001:db8::5": this host's addresses that
 * connections come from, one of a family at most. It is another next hop then: what is scheduled for it, kept open to it, or
 * down, is so as seen from there.
 *
 * Pure. Names are lower-case A-labels; nexthop_parse takes U-labels, and writes A-labels.
 */
#ifndef MAIL_NEXTHOP_H
#define MAIL_NEXTHOP_H

#include "base/arena.h"
#include "mail/network.h"

#define NEXTHOP_MAX	320	/* octets in words */

enum nexthop_kind { NEXTHOP_DOMAIN, NEXTHOP_HOST, NEXTHOP_ADDRESS, NEXTHOP_UNIX };

struct nexthop {
	enum nexthop_kind kind;
	struct bytes	name;		/* domain or host; UNIX: the path */
	struct address	address;	/* NEXTHOP_ADDRESS */
	uint16_t	port;		/* 0: the protocol's own */
	struct address	from[2];	/* IPv4 before IPv6 */
	size_t		nfrom;		/* 0: whichever */
};

/* False: it is none of these. Names are in the arena. */
bool		nexthop_parse(struct bytes words, struct arena *a, struct nexthop *out);
/* ";from=..." alone: only that of out is set, which is another's next hop. */
bool		nexthop_parse_from(struct bytes words, struct nexthop *out);
/* Where connections to an address of that family come from; NULL: it is not said. */
const struct address *nexthop_from(const struct nexthop *n, bool ipv4);
struct bytes	nexthop_text(const struct nexthop *n, struct arena *a);

#endif
