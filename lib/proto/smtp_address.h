/* SPDX-License-Identifier: ISC */
/*
 * proto/smtp_address.h - an address of the envelope, taken apart.
 * RFC 5321 sections 4.1.2, 4.1.3 (literals), 4.5.3.1 (lengths), RFC 6531
 * section 3.3 (UTF-8). Comments, encoded words and white space are RFC 5322's:
 * here they are syntax errors or plain octets, and are never decoded.
 * Pure. Results point into the caller's octets, or into the arena where a
 * quoted local part had to be unquoted.
 */
#ifndef PROTO_SMTP_ADDRESS_H
#define PROTO_SMTP_ADDRESS_H

#include "base/arena.h"
#include "base/buf.h"

#define SMTP_LOCAL_MAX	64	/* octets of a local part as written, section 4.5.3.1.1 */
#define SMTP_DOMAIN_MAX	255	/* of a domain or literal, section 4.5.3.1.2 */
#define SMTP_PATH_MAX	256	/* of a path with its <>, section 4.5.3.1.3; without source route */
#define SMTP_LABEL_MAX	63	/* of a label in ASCII, RFC 1035 section 2.3.4 */
/* Room for an address in canonical form without <>, quotes included. */
#define SMTP_ADDRESS_MAX (SMTP_PATH_MAX - 2)

enum smtp_address_result {
	SMTP_ADDRESS_OK,
	SMTP_ADDRESS_SYNTAX,		/* 501 5.1.7 (sender) or 5.1.3 (recipient) */
	SMTP_ADDRESS_NOT_ASCII,		/* 8-bit, SMTPUTF8 not asked for: 553 5.6.7 */
	SMTP_ADDRESS_NOT_UTF8,		/* 8-bit that is not UTF-8: 501 5.1.7 / 5.1.3 */
	SMTP_ADDRESS_NO_DOMAIN,		/* local part alone: 501 5.1.7 / 5.1.3 (553 where told to) */
	SMTP_ADDRESS_LOCAL_LONG,	/* 501 5.1.3, the local part */
	SMTP_ADDRESS_DOMAIN_LONG,	/* 501 5.1.2, the domain or a label of it */
	SMTP_ADDRESS_PATH_LONG,		/* 501 5.1.3, together */
};

enum smtp_domain_kind {
	SMTP_DOMAIN_NONE,	/* <>, <Postmaster>, or as SMTP_TAKE_NO_DOMAIN allows */
	SMTP_DOMAIN_NAME,
	SMTP_DOMAIN_IPV4,	/* [192.0.2.1] */
	SMTP_DOMAIN_IPV6,	/* [IPv6:2001:db8::1] */
	SMTP_DOMAIN_GENERAL,	/* [tag:content]; nobody delivers to it */
};

struct smtp_address {
	struct bytes	local;	/* unquoted; may hold '@', SP, quotes; empty for <> and <""@d> */
	struct bytes	domain;	/* as written, literals with their brackets; in the caller's octets */
	struct bytes	whole;	/* the mailbox as written, no <>, no source route; empty for <> */
	enum smtp_domain_kind kind;
	unsigned char	ip[16];	/* IPV4: the first four; IPV6: all; network order */
	bool		quoted;	/* the local part was a quoted string */
	bool		utf8;	/* not ASCII in it */
};

/* What the caller takes; or them together. */
enum {
	SMTP_TAKE_UTF8 = 1,		/* SMTPUTF8 was asked for */
	SMTP_TAKE_NO_DOMAIN = 2,	/* any local part alone (submission, tools) */
	SMTP_TAKE_LONG_LOCAL = 4,	/* local parts up to the path's limit: list managers (VERP)
					 * and forwarders (SRS) make them, section 4.5.3.1 para 2 */
};

/*
 * What is inside <>, as smtp_cmd gives it. The reverse-path may be empty; the
 * forward-path may be "Postmaster" alone, in any case (section 4.1.1.3). A
 * source route ("@a,@b:") must be well-formed and is dropped (appendix C).
 * *out is set only on SMTP_ADDRESS_OK.
 */
enum smtp_address_result smtp_reverse_path(struct bytes path, unsigned take, struct arena *a,
    struct smtp_address *out);
enum smtp_address_result smtp_forward_path(struct bytes path, unsigned take, struct arena *a,
    struct smtp_address *out);
/* local@domain and nothing else: no route, never empty. */
enum smtp_address_result smtp_mailbox_parse(struct bytes mailbox, unsigned take, struct arena *a,
    struct smtp_address *out);

/* The domain alone: a name or literal, ip (16 octets, may be NULL) filled for literals.
 * Labels of letters, digits, inner hyphens (and UTF-8); a trailing dot is an error. */
enum smtp_address_result smtp_domain_parse(struct bytes domain, unsigned take,
    enum smtp_domain_kind *kind, unsigned char *ip);

/*
 * Canonical text: the local part quoted only when it must be, the domain's
 * ASCII letters in lower case. Nothing for <>. The first is borrowed, in the arena.
 */
struct bytes	smtp_address_text(const struct smtp_address *addr, struct arena *a);
void		smtp_address_put(const struct smtp_address *addr, struct buf *out);
/* As above from parts; domain may be empty. */
void		smtp_address_join(struct bytes local, struct bytes domain, struct buf *out);
/* A copy with ASCII letters in lower case, in the arena. */
struct bytes	smtp_lower(struct bytes s, struct arena *a);

/* Same mailbox: local parts octet for octet ("postmaster" in any case), domains
 * without regard to ASCII case. How it was quoted does not matter. */
bool		smtp_address_eq(const struct smtp_address *x, const struct smtp_address *y);
bool		smtp_is_postmaster(struct bytes local);

/*
 * Subaddress, RFC 5233: *user is what is before the first octet that is one of
 * `delimiters` ("+" or "+-"), *detail what follows it. False: there is none
 * (or nothing before it); *user is all then.
 */
bool		smtp_subaddress(struct bytes local, const char *delimiters, struct bytes *user,
		    struct bytes *detail);

#endif
