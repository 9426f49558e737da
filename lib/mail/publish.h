/* SPDX-License-Identifier: ISC */
/*
 * mail/publish.h - what a domain whose mail this host takes should have in the DNS, and what to think of what it has: one
 * function makes the records, whoever publishes them and whoever looks at what was published.
 *
 * RFC 5321 section 5 (MX), RFC 7208 (SPF), RFC 7489 (DMARC), RFC 8460 section 3 (TLS reporting), RFC 7672 (DANE), RFC 6186
 * and RFC 8314 section 5.1 (SRV for mail programs). DKIM and MTA-STS are not here: nobody signs, nobody serves a policy.
 *
 * Pure. What strangers published is only compared.
 */
#ifndef MAIL_PUBLISH_H
#define MAIL_PUBLISH_H

#include "base/arena.h"
#include "mail/network.h"
#include "proto/dns_rdata.h"

#define PUBLISH_ADDRESSES_MAX	16	/* of the host */
#define PUBLISH_KEYS_MAX	64	/* as many as tls_certificates can have */
#define PUBLISH_SETS_MAX	(12 + PUBLISH_ADDRESSES_MAX)
#define PUBLISH_DOMAIN_MAX	235	/* octets of a domain: "_submissions._tcp." goes before it, and 253 are a name */
#define PUBLISH_KEY_OCTETS	32	/* of SHA-256 */
#define PUBLISH_TTL_S		3600
#define PUBLISH_ARENA		(1u << 20)

enum publish_service {
	PUBLISH_SUBMISSIONS, PUBLISH_SUBMISSION, PUBLISH_IMAPS, PUBLISH_IMAP, PUBLISH_POP3S, PUBLISH_POP3, PUBLISH_SERVICES
};

struct publish_source {
	struct bytes	 domain, host;	/* A-labels in lower case, no dot at the end; they may be the same */
	bool		 host_has_spf;	/* the host's name is a domain with mail of its own */
	struct address	 address[PUBLISH_ADDRESSES_MAX];
	size_t		 addresses;
	const char	*unsure[2];	/* of IPv4, IPv6: why nobody here knows whether these are they; NULL: they are */
	unsigned char	 key[PUBLISH_KEYS_MAX][PUBLISH_KEY_OCTETS];	/* SHA-256 of each certificate's public key */
	size_t		 keys;		/* 0: no TLS here */
	uint16_t	 port[PUBLISH_SERVICES];	/* 0: no such service here */
};

enum publish_kind { PUBLISH_MX, PUBLISH_SPF, PUBLISH_DMARC, PUBLISH_TLSRPT, PUBLISH_SRV, PUBLISH_ADDRESS, PUBLISH_TLSA, PUBLISH_PTR };

/* Records of one name and type; none: there should be none. All in the arena. */
struct publish_set {
	enum publish_kind kind;
	struct bytes	 name;
	enum dns_type	 type;
	const struct publish_source *source;	/* borrowed */
	const struct dns_record *records;
	size_t		 n;
};

/* Of source->domain: at most PUBLISH_SETS_MAX. How many. */
size_t		 publish_domain(const struct publish_source *s, struct arena *a, struct publish_set *out);
/* Of source->host, with what its addresses should be called. The same bound. */
size_t		 publish_host(const struct publish_source *s, struct arena *a, struct publish_set *out);
/* As a zone file has it: absolute names, a line for each record. Names of addresses, which are in somebody else's zone, are
 * comments. */
void		 publish_zone(const struct publish_set *sets, size_t n, struct buf *out);
/* One of the words before these lines. */
const char	*publish_purpose(enum publish_kind kind);

/* ---- what was published ---- */

/* As a dns_answer has it (daemon/dns.h). */
struct publish_found {
	enum dns_result	 result;
	bool		 secure;
	struct bytes	 name;		/* behind CNAMEs; empty: not known */
	struct bytes	 why;
	const struct dns_record *records;
	size_t		 n;
};

enum publish_state {
	PUBLISH_UNSURE,		/* zero, the forgotten case */
	PUBLISH_RIGHT,
	PUBLISH_MISSING,
	PUBLISH_DIFFERENT,
	PUBLISH_INSECURE,	/* TLSA that would be right, and counts for nothing without DNSSEC */
};
const char	*publish_state_name(enum publish_state state);	/* "not sure" */

struct publish_verdict {
	enum publish_state state;
	struct bytes	 why;		/* in words; may be empty. In the arena */
	const struct dns_record *records; /* those that were meant: of all texts, the policies. In the arena */
	size_t		 n;
};

/* Other ways to do the same are right, too: a policy that is another one, hosts besides this one, keys that come or go. */
void		 publish_judge(const struct publish_set *should, const struct publish_found *is, struct arena *a,
		    struct publish_verdict *out);

/* May strangers reach it? False: in words why not. */
bool		 publish_is_public(const struct address *a, const char **why);

#endif
