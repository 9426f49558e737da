/* SPDX-License-Identifier: ISC */
/*
 * mail/candidates.h - which addresses of which mail exchangers are tried, in which order: RFC 5321 section 5.1. From what
 * the DNS says; smtp-client connects to them, and hermod route shows them. Pure, but for chance.
 *
 *	candidates_keep		each exchanger, as it is named
 *	candidates_order	and from here on they stay where they are
 *	candidates_better	if one of them is this host
 *	candidates_from		if the route says where mail comes from
 *	candidates_of		their addresses
 */
#ifndef MAIL_CANDIDATES_H
#define MAIL_CANDIDATES_H

#include "mail/nexthop.h"

#define CANDIDATE_HOSTS		16	/* exchangers of one domain that are looked at */
#define CANDIDATE_ADDRESSES	16	/* of one of them, in a family */

struct candidate_host {			/* a mail exchanger, and what DNS says of it */
	struct bytes	 name;
	unsigned	 preference;
	struct address	 v6[CANDIDATE_ADDRESSES], v4[CANDIDATE_ADDRESSES];
	size_t		 nv6, nv4;
	bool		 secure;	/* DNSSEC says so of its addresses, and of all names on the way */
	struct bytes	 expanded;	/* its name behind the CNAMEs; empty: not known */
};

struct tls_decision;

struct candidate {			/* where a server may be */
	struct bytes	 host;		/* its name; borrowed. Empty: only an address is known */
	struct address	 address;
	uint16_t	 port;
	unsigned	 preference;	/* of MX; less is better */
	const struct tls_decision *tls;	/* what it must show: whoever connects sets it */
	const char	*socket;	/* a UNIX socket, and nothing of the above; borrowed */
};

/* Adds it; of more than CANDIDATE_HOSTS the best stay: false, one was left out. */
bool		 candidates_keep(struct candidate_host h[CANDIDATE_HOSTS], size_t *n, struct bytes name, unsigned preference);
/* By preference; those of one preference in an order that chance gives. */
void		 candidates_order(struct candidate_host *h, size_t n);
/* Those that are better than `own`; returns how many. What stands behind this host would send mail back to it. */
size_t		 candidates_better(struct candidate_host *h, size_t n, unsigned own);
/* Takes out the addresses of a family of which the next hop names none to come from. True: there were some. */
bool		 candidates_from(struct candidate_host *h, size_t n, const struct nexthop *from);
/* The addresses of the hosts, in their order, at most `most` of them and no host with so many that no other is tried:
 * families take turns, IPv6 first (RFC 8305 section 4). An address that has several names comes once, and, where there is room
 * left, behind all others under each of those: a certificate may have one alone. Returns how many. */
size_t		 candidates_of(struct candidate_host *h, size_t n, uint16_t port, struct candidate *out, size_t most);

bool		 candidate_same_address(const struct candidate *a, const struct candidate *b);

#define CANDIDATE_TEXT_MAX	320
/* "mx.example.org [192.0.2.1]:25"; printable, whatever the name is. Returns dst. */
char		*candidate_text(const struct candidate *c, char dst[CANDIDATE_TEXT_MAX]);

#endif
