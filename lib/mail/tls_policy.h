/* SPDX-License-Identifier: ISC */
/*
 * mail/tls_policy.h - what a host must show before mail goes to it: from what the administrator wants of the domain, what
 * the DNS says (DANE, RFC 7672, RFC 6698), and the domain's policy (MTA-STS, RFC 8461).
 *
 * Pure. Whoever asks the DNS (smtp-client/guard.c) learns here which questions there are, and in the end gets one
 * answer a host, which mail/tls_check.h applies to a connection. DANE goes before MTA-STS (RFC 8461 section 2). The way
 * from the domain to the host counts, too: where a forger could have named the host, its TLSA records prove nothing
 * about the domain, and are not looked at (RFC 7672 section 2.2.1 leaves that to the client).
 */
#ifndef MAIL_TLS_POLICY_H
#define MAIL_TLS_POLICY_H

#include "base/arena.h"
#include "mail/settings.h"
#include "proto/dns_rdata.h"
#include "proto/mta_sts.h"

/* ---- what the administrator wants ---- */

enum tls_wish {
	TLS_WISH_NEVER,		/* "never": in clear */
	TLS_WISH_MAY,		/* "may": where it is offered and works; what the domain publishes is not looked at */
	TLS_WISH_AUTO,		/* "auto": as the domain publishes, by DANE or MTA-STS; else as "may" */
	TLS_WISH_MUST,		/* "must": the same, but never in clear */
	TLS_WISH_DANE,		/* "dane": by DANE alone (RFC 7672 section 6) */
	TLS_WISH_SECURE,	/* "secure": the server proves who it is: by DANE, else MTA-STS, else by a certificate */
};
extern const char *const tls_wish_words[];	/* for SET_WORD */

static inline bool
tls_wish_proves(enum tls_wish wish)	/* nothing goes to a server that does not prove who it is */
{
	return wish >= TLS_WISH_DANE;
}

#define TLS_RULE_NAMES 8

struct tls_rule {
	enum tls_wish	wish;
	struct bytes	names[TLS_RULE_NAMES];	/* TLS_WISH_SECURE: the certificate has one of these; borrowed */
	size_t		nnames;
	bool		listed;			/* it stands in tls_policies */
	bool		login;			/* whom it is about will be asked to let us in */
	bool		raised;			/* and the wish is for that reason what it is */
	bool		waived;			/* the sender wants no more than TLS_WISH_MAY */
};

/* An item of tls_policies: "example.org dane", ".example.org must" (what is below it), "example.net secure
 * mx.provider.example .provider.example". For SET_LIST. */
bool		 setting_is_tls_policy(const char *item, char *why, size_t cap);
/* The rule for mail to that domain (or to a host or address that a route names): its own, else that of the nearest
 * domain above it, else the standard. Texts are borrowed from the list. */
void		 tls_rule_find(const struct setting_list *policies, enum tls_wish standard, struct bytes domain,
		    struct tls_rule *out);
/*
 * There is a login for that next hop. A server that pretends to be it would get the password, where the mechanism shows
 * that, and the mail in any case. So, unless tls_policies has a rule, or unproven says that the administrator wants none of
 * this, it has to prove who it is. Whatever the rule is: a name that whoever forged an MX record could have chosen proves
 * nothing then, and each connection anew.
 */
void		 tls_rule_login(struct tls_rule *r, bool unproven);
/* The message says that its delivery matters more than what the domain publishes (RFC 8689 section 4.2.2). What the
 * administrator wants stays. Before tls_rule_login. */
void		 tls_rule_waive(struct tls_rule *r);

/* ---- what is known of a host; names without last dot, lower-case ---- */

struct tls_host {
	struct bytes	domain;		/* that the mail is for; or the host that a route names */
	struct bytes	domain_expanded; /* behind its CNAMEs, if it has some; else empty */
	struct bytes	name;		/* of the host; the domain itself where there is no MX; empty: it has only an address */
	struct bytes	name_expanded;	/* behind its CNAMEs, if it has some; else empty */
	bool		by_mx;		/* MX records name it */
	bool		domain_secure;	/* DNSSEC says so of the MX records, or of there being none; or a route names the host */
	bool		address_secure;	/* DNSSEC says so of its addresses, and all names on the way */
	bool		alias_secure;	/* and of its own CNAME record: see tls_wants_alias */
};

/* Is DANE to be asked about? Only now, with the addresses known (RFC 7672 section 2.2.2). */
bool		 tls_wants_dane(const struct tls_rule *r, bool requiretls, const struct tls_host *h);
/* The CNAME record of name is to be asked for first, for alias_secure. */
bool		 tls_wants_alias(const struct tls_host *h);
/* Names at which TLSA records may be, in the order in which they are asked for (RFC 7672 sections 2.2.2 and 2.2.3). */
size_t		 tls_tlsa_bases(const struct tls_host *h, struct bytes bases[2]);
struct bytes	 tls_tlsa_name(struct bytes base, uint16_t port, struct arena *a);	/* "_25._tcp.mx.example.org" */

enum tls_tlsa { TLSA_UNKNOWN /* the host is left alone */, TLSA_NONE /* ask at the next name */, TLSA_THERE };
enum tls_tlsa	 tls_tlsa_judge(enum dns_result result, bool secure);

/* Can this record be matched? RFC 7672 section 3.1, RFC 6698 section 4.1. */
bool		 tls_tlsa_is_usable(const struct dns_tlsa *t);

/* ---- the answer ---- */

enum tls_level {
	TLS_NEVER,
	TLS_MAY,	/* when TLS fails, in clear */
	TLS_MUST,	/* encrypted; anybody's certificate */
	TLS_DANE,	/* to whom the TLSA records name */
	TLS_STS,	/* to whom a CA has certified for names[0] */
	TLS_SECURE,	/* the same, for one of names */
};
const char	*tls_level_name(enum tls_level level);	/* for counters */

static inline bool
tls_level_proves(enum tls_level level)
{
	return level >= TLS_DANE;
}

#define TLS_NAMES	TLS_RULE_NAMES
#define TLSA_MAX	32		/* records of one host that are looked at */

struct tls_sts {		/* a domain's policy; NULL stands for none */
	struct mta_sts_policy policy;
	struct bytes	id;
};

struct tls_question {
	const struct tls_rule *rule;
	const struct tls_host *host;
	bool		 requiretls;	/* RFC 8689 */
	enum tls_tlsa	 tlsa;		/* TLSA_NONE also where there was nothing to be asked */
	struct bytes	 tlsa_base;	/* TLSA_THERE */
	const struct dns_record *tlsa_records;	/* borrowed */
	size_t		 ntlsa;
	struct bytes	 tlsa_why;	/* TLSA_UNKNOWN: in words */
	const struct tls_sts *sts;	/* borrowed */
};

struct tls_report_policy;

struct tls_decision {
	bool		 refused;	/* no mail by this host; level means nothing */
	bool		 permanent;	/* refused: nor later (RFC 8689 section 4.2.1) */
	const char	*status;	/* "4.7.5"; permanent: "5.7.10" */
	enum tls_level	 level;
	struct bytes	 sni;		/* empty: none (RFC 6066 section 3) */
	struct bytes	 names[TLS_NAMES]; /* that the certificate may have; ".example.org": any below it. None: the address */
	size_t		 nnames;
	const struct dns_tlsa *tlsa[TLSA_MAX];	/* TLS_DANE: at least one, usable */
	size_t		 ntlsa;
	bool		 login;		/* of the rule */
	const struct tls_report_policy *report;	/* what sessions with it are counted under; whoever asks for it sets it */
	bool		 testing;	/* MTA-STS's: a certificate that does not name the host, or no TLS, is only reported */
	bool		 testing_mx;	/* testing, and the policy does not name the host, either */
	struct bytes	 why;		/* in words: why so, or why refused; in the arena */
};

/* The domain's policy is to be asked for: nothing better is known of this host. */
bool		 tls_wants_sts(const struct tls_question *q);
/* All else is borrowed from the question, and its host and rule. */
void		 tls_decide(const struct tls_question *q, struct arena *a, struct tls_decision *out);

#endif
