/* SPDX-License-Identifier: ISC */
/*
 * resolver/resolver.h - the parts of the resolver.
 *
 *	settings.c	what can be set, and addresses of servers in words
 *	anchor.c	the root's keys: which are trusted at first, and the file that keeps them current
 *	recursor.c	libunbound behind one door
 *	questions.c	who waits for what
 */
#ifndef RESOLVER_RESOLVER_H
#define RESOLVER_RESOLVER_H

#include "daemon/daemon.h"
#include "mail/settings.h"
#include "proto/dns_rdata.h"

/* ---- settings.c ---- */

struct resolver_settings {
	const char	*trust_anchor_file;
	struct setting_list forwarders, zones, insecure, trust_anchors;
	uint64_t	 timeout_ms, questions, cache_octets, negative_ttl_ms;
};

extern const struct setting resolver_settings[];

#define DNS_FORWARDERS_SYSTEM	"system"	/* dns_forwarders: those of /etc/resolv.conf */

struct dns_server { char words[80]; bool loopback; };	/* "192.0.2.53@53", as libunbound has it */
struct dns_zone { char zone[256]; struct dns_server server; };

/* "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:5353", "2001:db8::53@5353". */
bool		 dns_server_parse(struct bytes words, struct dns_server *out);
bool		 dns_zone_parse(struct bytes words, struct dns_zone *out);	/* "internal.example 192.0.2.53" */
bool		 dns_insecure_root(const struct resolver_settings *s);		/* nothing below the root is checked */

/* ---- anchor.c ---- */

#define ANCHOR_FILE	"root.key"	/* in dns_directory; libunbound's to write, RFC 5011 */
#define ANCHOR_MAX	65536

/* The keys to begin with, in zone file format: what the file holds, or, where there is none, those that this version
 * knows. Before confinement. */
void		 anchor_initial(const char *path, struct buf *out);
/*
 * ANCHOR_FILE is there in the directory. It is begun anew when it is missing, when the initial keys are others than it was
 * begun with, or when anew says so. False: logged; the directory cannot be written.
 */
bool		 anchor_keep(int dir, struct bytes initial, bool anew);

/* ---- recursor.c ---- */

struct recursor;

enum recursor_security { RECURSOR_INSECURE, RECURSOR_BOGUS, RECURSOR_SECURE };

/* rcode: not 0 where there is no packet to look at; the packet has its own. It lives until this returns, as does why_bogus,
 * which may be NULL. */
typedef void (*recursor_done)(void *arg, unsigned rcode, struct bytes packet, enum recursor_security security,
		    const char *why_bogus);

/* Made, and tried: nothing is loaded or opened later on but sockets and ANCHOR_FILE, which is in the current directory.
 * kept: there is that file; else the initial keys are used as they are. NULL: why. */
struct recursor	*recursor_new(struct loop *l, const struct resolver_settings *s, struct bytes initial, bool kept,
		    char *why, size_t cap);
void		 recursor_free(struct recursor **r);		/* nothing is open any more */
struct recursor_question;	/* one that libunbound has */
/* False: no question was made, and no answer comes. The answer comes from the loop; or, out of the cache, before this
 * returns: then *out is NULL. Else it can be cancelled until it was answered. */
bool		 recursor_ask(struct recursor *r, const char *name, enum dns_type type, recursor_done done, void *arg,
		    struct recursor_question **out);
void		 recursor_cancel(struct recursor *r, struct recursor_question **q);	/* no answer comes */

/* ---- questions.c ---- */

struct questions;

struct questions *questions_new(struct daemon *d, struct recursor *r, const struct resolver_settings *s);
void		 questions_free(struct questions **q);
/* Answered with dns_answer on that channel, in any case, maybe before it returns. False: the message made no sense. */
bool		 questions_take(struct questions *q, struct channel *c, struct ipc_in *in);
void		 questions_forget(struct questions *q, const struct channel *c);	/* it is gone */
uint32_t	 questions_waiting(const struct questions *q);	/* who waits for an answer */

#endif
