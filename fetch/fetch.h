/* SPDX-License-Identifier: ISC */
/*
 * fetch/fetch.h - what the parts of fetch know of each other.
 *
 *	https.c		one document from one host, by libcurl on the event loop
 *	policies.c	MTA-STS policies: who waits for which, when they are fetched, what is kept in memory
 *	kept.c		the file of one policy: pure
 *	cache.c		the directory of these files
 *	reports.c	what sessions were like, for TLS reporting
 *	introspect.c	what the authorization server says of a token
 */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include "daemon/daemon.h"
#include "daemon/dns.h"
#include "daemon/sts.h"
#include "mail/network.h"
#include "mail/oauth.h"
#include "mail/settings.h"
#include "mail/tls_report.h"
#include "proto/mta_sts.h"

struct fetch_settings {
	const char	*tls_ca_file;		/* "": nobody is believed, nothing is fetched */
	bool		 allow_loopback;
	struct setting_list networks;		/* that may be connected to; empty: all */
	uint64_t	 timeout_ms;		/* that an asker waits at most; and that a fetch takes at most */
	uint64_t	 refresh_ms, retry_ms;
	uint64_t	 limit;			/* policies that are kept */
	uint64_t	 port;
	uint64_t	 report_interval_ms, report_days;	/* TLS reporting */
	uint64_t	 report_limit;		/* policies of a day that are counted */
	const char	*introspection_url;	/* "": no token is introspected */
	const char	*client_file;		/* "": nothing is shown there */
	uint64_t	 introspection_ms;	/* that an asker waits at most */
};

extern const struct setting fetch_settings[];

/* ---- https.c ---- */

#define HTTPS_ADDRESSES	8

struct https;
struct https_get;

struct https_request {			/* borrowed for the call */
	struct bytes	host;		/* that the certificate has to name */
	uint16_t	port;
	const char	*path;		/* "/.well-known/mta-sts.txt" */
	const char	*media_type;	/* "text/plain": what is of another type is refused */
	const struct address *addresses; /* the only ones that are connected to */
	size_t		 naddresses;	/* at most HTTPS_ADDRESSES */
	size_t		 octets_max;
	uint64_t	 timeout_ms;
	struct bytes	 form;		/* to be POSTed, application/x-www-form-urlencoded; empty: GET */
	const char	*user, *password;	/* HTTP's Basic, RFC 7617; NULL: none */
};

/* why: NULL: body is what it said, with status 200; else why there is none, printable. Both live until this returns.
 * untrusted: it was the certificate. */
typedef void (*https_done)(void *arg, struct bytes body, const char *why, bool untrusted);

/* Before the process is confined. */
struct https	*https_new(struct loop *l, const char *ca_file);
void		 https_free(struct https **h);		/* what is open is not answered */
/* done is called once, from the loop. */
struct https_get *https_get(struct https *h, const struct https_request *r, https_done done, void *arg);
void		 https_cancel(struct https_get **g);	/* NULL is fine */

/* ---- kept.c: doc/mta-sts-cache-format.md ---- */

#define KEPT_MAX	(MTA_STS_POLICY_MAX + 1024u)	/* octets of a file */
#define KEPT_NAME	65				/* of its name, with the NUL */

struct kept {				/* a policy as it was fetched */
	struct bytes	domain, id;
	int64_t		fetched_s, used_s;	/* wall clock: of the fetch, and when it was asked for last before that */
	struct bytes	body;
};

void		 kept_write(const struct kept *k, struct buf *out);
bool		 kept_read(struct bytes file, struct kept *k);	/* borrows. False: damaged */
void		 kept_name(struct bytes domain, char dst[KEPT_NAME]);

/* ---- cache.c ---- */

/* dir -1: nothing is kept over the end of the process. Failures are logged. */
void		 cache_put(int dir, const struct kept *k);
void		 cache_remove(int dir, struct bytes domain);
/* All of them, at most `most`; take says whether one is worth keeping, else its file is removed. */
void		 cache_read(int dir, size_t most, bool (*take)(void *arg, const struct kept *k), void *arg);

/* ---- reports.c ---- */

struct reports;

struct reports	*reports_new(struct daemon *d, const struct fetch_settings *s, int dir);
void		 reports_free(struct reports **r);
bool		 reports_take(struct reports *r, struct ipc_in *in);	/* tls_seen; false: it makes no sense */
void		 reports_add(struct reports *r, const struct tls_report_session *s);
void		 reports_stop(struct reports *r);	/* all of it into the file */

/* ---- introspect.c ---- */

struct introspector;

/* Before the process is confined: oauth_client_file is read. */
struct introspector *introspector_new(struct daemon *d, const struct fetch_settings *s, struct https *h);
void		 introspector_free(struct introspector **x);
bool		 introspector_take(struct introspector *x, struct channel *c, struct ipc_in *in);	/* as channel_frame: token_ask */
void		 introspector_forget(struct introspector *x, struct channel *c);
void		 introspector_stop(struct introspector *x);	/* whoever waits is answered that nothing is known */
uint32_t	 introspector_waiting(const struct introspector *x);

/* ---- policies.c ---- */

struct policies;

/* reports: who is told of policies that cannot be had. */
struct policies	*policies_new(struct daemon *d, const struct fetch_settings *s, struct https *h, struct reports *reports, int dir);
void		 policies_free(struct policies **p);
bool		 policies_take(struct policies *p, struct channel *c, struct ipc_in *in);	/* as channel_frame */
void		 policies_forget(struct policies *p, struct channel *c);
void		 policies_stop(struct policies *p);	/* whoever waits is answered with what is there */
uint32_t	 policies_waiting(const struct policies *p);

#endif
