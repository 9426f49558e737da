/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/client.h - what the parts of smtp-client know of each other.
 *
 *	job.c		one `relay` of qmgr's, from the question to the answer
 *	target.c	the next hop in words -> addresses in the order in which they are tried (mail/candidates.h)
 *	self.c		is that address this host?
 *	guard.c		what their hosts must show: TLSA records, MTA-STS policies (mail/tls_policy.h)
 *	race.c		addresses -> a connection; to a UNIX socket, which master makes (daemon/dial.c)
 *	session.c	one connection: the conversation, TLS, login, deadlines, content
 *	login.c, mech.c	what to log in with, and how (login.h)
 *	content.c	the message, out of the queue file and perhaps converted
 *	tls.c		what TLS needs, and what is remembered of servers
 *	pool.c		connections that are kept for the next message
 *	answer.c	what is said to qmgr, within the bounds of its message
 *
 * All of it is one process and one event loop. Callbacks come from the loop, never from within the call that asked for
 * them; what calls back may be freed by its owner meanwhile.
 */
#ifndef SMTP_CLIENT_CLIENT_H
#define SMTP_CLIENT_CLIENT_H

#include <openssl/ssl.h>

#include "base/arena.h"
#include "daemon/daemon.h"
#include "daemon/dns.h"
#include "daemon/sts.h"
#include "mail/candidates.h"
#include "mail/downgrade.h"
#include "mail/router.h"
#include "mail/segments.h"
#include "mail/settings.h"
#include "mail/smtp_client.h"
#include "mail/tls_check.h"
#include "mail/tls_policy.h"
#include "mail/tls_report.h"

struct smtp_client_settings {
	const char	*hostname, *helo_name;	/* helo_name "": the hostname */
	struct setting_list listen_smtp, local_addresses;	/* who is this host */
	const char	*bind_ipv4, *bind_ipv6;	/* "": the kernel chooses */
	uint64_t	 port, lmtp_port;
	unsigned	 tls;			/* enum tls_wish */
	struct setting_list tls_policies;
	uint64_t	 sts_timeout_ms;	/* fetch's own, in which it answers */
	const char	*tls_ca_file;		/* "": nobody is believed */
	bool		 allow_loopback;
	struct setting_list networks;		/* that may be connected to; empty: all */
	uint64_t	 address_limit;		/* addresses that a delivery tries */
	uint64_t	 dns_timeout_ms;
	uint64_t	 connect_timeout_ms, greeting_timeout_ms, helo_timeout_ms, tls_timeout_ms, mail_timeout_ms,
			 rcpt_timeout_ms, data_timeout_ms, content_timeout_ms, done_timeout_ms, quit_timeout_ms;
	uint64_t	 delivery_timeout_ms;	/* for all of it */
	uint64_t	 cache_ms, reuse_ms, reuse_limit, cache_limit;
	struct setting_list lmtp_sockets;
	const char	*credentials;		/* "": nobody logs in anywhere; the router has the table */
	bool		 auth_plaintext;	/* passwords go over the network without TLS, too */
	bool		 auth_unproven;		/* and by TLS to whomever */
};

extern const struct setting smtp_client_settings[];

struct tls;
struct pool;
struct self;
struct job;
struct login;

struct tls_counts {			/* since the process began */
	uint64_t	clear;		/* connections that were ready for mail without TLS */
	uint64_t	by[TLS_BY_DANE_EE + 1];	/* with it, by proof */
	uint64_t	refused;	/* hosts that mail did not go to, for what they must show and do not */
	uint64_t	testing;	/* connections that an MTA-STS policy would refuse, were it not only being tested */
};

struct client {				/* the process */
	struct daemon	*daemon;	/* borrowed */
	const struct smtp_client_settings *settings;	/* borrowed */
	struct dns	*dns;		/* owned */
	struct sts	*sts;		/* owned */
	struct tls	*tls;		/* owned */
	struct pool	*pool;		/* owned */
	struct self	*self;		/* owned */
	struct job	*jobs;		/* owned */
	struct session	*sessions;	/* all there are; those that nobody owns are the list's */
	uint32_t	 njobs;
	struct tls_counts counts;
	struct ipc_out	 out;
};

/* ---- client.c ---- */

void		 client_init(struct client *c);		/* daemon and settings are set; before the process is confined */
void		 client_serve(struct client *c);	/* after it */
void		 client_report(const struct client *c, struct buf *note);	/* how connections were protected */
/* A session, for TLS reporting. What fetch is not there to count is not counted. */
void		 client_seen(struct client *c, const struct tls_report_session *s);
void		 client_fini(struct client *c);		/* jobs that are left get no answer */

/* ---- self.c: who this host is ---- */

struct self	*self_new(const struct smtp_client_settings *s);
void		 self_free(struct self **self);
/* We listen for SMTP there. named: the next hop has the address in it; else it comes from DNS, and local_addresses counts, too. */
bool		 self_is_here(const struct self *self, const struct address *a, uint16_t port, bool named);
bool		 self_is_name(const struct self *self, struct bytes name, uint16_t port);
bool		 self_may_go(const struct self *self, const struct address *a);	/* smtp_networks */
/* What the kernel would do with a packet for it: nothing is sent. */
bool		 self_has_route(const struct address *a);

/* ---- target.c: where is it? ---- */

struct target {
	struct arena	*arena;		/* owned; all text below */
	/* After done: */
	struct candidate	*places;
	size_t		 nplaces;
	bool		 all;		/* these are all there are: none was left out, or could not be looked up */
	unsigned	 missing;	/* preference of the best host of which no address could be looked up; UINT_MAX: none */
	struct bytes	 domain;	/* what was looked for: a domain, a host; an address in words */
	struct bytes	 domain_expanded; /* behind its CNAMEs; empty: it has none */
	struct nexthop	 from;		/* of it, only where connections come from */
	bool		 by_mx;		/* MX records name the hosts */
	bool		 domain_secure;	/* DNSSEC says so of the MX records, or of there being none; or no DNS was asked */
	const struct candidate_host *hosts;	/* that the places are of, which have a name */
	size_t		 nhosts;
	/* With no place: */
	enum outcome	 outcome;
	enum relay_contact contact;
	struct bytes	 status, reply;

	void		*hidden;	/* target.c's own */
};

/* Begins to look; done is called once, from the loop. lmtp: no MX. routed: the domain is none of a recipient's, but written by
 * who configured this host. */
struct target	*target_new(struct client *c, const struct nexthop *n, bool lmtp, bool routed, void (*done)(void *), void *arg);
void		 target_free(struct target **t);

/* ---- guard.c: what must they show? ---- */

struct guard;

/* Sets `tls` of each of the target's places; done is called once, from the loop. All is borrowed for its life. sts: the
 * domain's MTA-STS policy counts. */
struct guard	*guard_new(struct client *c, struct target *t, const struct tls_rule *rule, bool requiretls, bool sts,
		    void (*done)(void *), void *arg);
void		 guard_free(struct guard **g);

/* ---- race.c: a connection ---- */

struct race;

/* done: fd, now the owner's, of places[which]; -1: no place is left to be tried. */
struct race	*race_new(struct client *c, const struct target *t, void (*done)(void *, size_t which, int fd), void *arg);
void		 race_free(struct race **r);
void		 race_next(struct race *r);	/* to any place that was not tried yet */
void		 race_again(struct race *r, size_t which);	/* the next connection is to that place once more */
void		 race_leave_out(struct race *r, size_t which);	/* that was not tried yet: it is not connected to */
bool		 race_tried(const struct race *r, size_t which);	/* or left out */
/* Why there is no connection to it; empty: it was not tried, or there was one. Of the race's life. */
struct bytes	 race_failure(const struct race *r, size_t which);
bool		 race_ours(const struct race *r);	/* some failure was this side's: no descriptor, no port */

/* ---- tls.c ---- */

/* Before the process is confined. */
struct tls	*tls_new(const struct smtp_client_settings *s);
void		 tls_free(struct tls **t);
/* For one handshake with that server; the caller's. NULL: no certificate could name it. resume: the session of before, if
 * it is remembered, and nothing has to be proved. */
SSL		*tls_begin(struct tls *t, const struct candidate *p, bool resume);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384 dane-ee"; after the handshake. Returns dst. */
#define TLS_FACTS_MAX	128
char		*tls_facts(SSL *ssl, enum tls_proof proof, char dst[TLS_FACTS_MAX]);

/* ---- content.c: the message as it is sent ---- */

enum content_stage { CONTENT_LOOK, CONTENT_COUNT, CONTENT_LOOK_AGAIN };

struct content {
	int		 file;		/* borrowed, and so are segments */
	struct bytes	 segments;
	uint64_t	 octets;	/* that are still to be read: of the message as it will be sent */

	/* content.c's own from here */
	uint64_t	 stored, left;	/* octets in the file; of them, not read in this pass */
	struct segment_reader reader;
	bool		 ended, unreadable, converts;
	enum content_stage stage;
	unsigned	 what;
	struct downgrade *downgrade;	/* owned */
	struct buf	 written;	/* owned; converted, of which so much was read: */
	size_t		 taken;
	struct timer	 turn;
	void		(*done)(void *, enum downgrade_result);
	void		*arg;
};

void		 content_init(struct content *c, int file, struct bytes segments, uint64_t octets);
void		 content_fini(struct content *c);	/* c is zeroed, or was initialized */
/* DOWNGRADE_ bits: what a server does not take. done is called from the loop; POSSIBLE: it is converted from here on, and
 * octets are those of the result; else it is as it was. */
void		 content_convert(struct content *c, struct loop *l, unsigned what,
		    void (*done)(void *, enum downgrade_result), void *arg);
/* The next octets, at the end none. False and errno: it cannot be read, or is not what it was. */
bool		 content_read(struct content *c, unsigned char piece[SMTP_CLIENT_PIECE], size_t *n);

/* ---- session.c: one connection ---- */

struct session_fault {			/* why there will be no mail by this connection; before any was begun */
	struct bytes	 status, reply, said;	/* as in struct smtp_client_said */
	const char	*command;
	enum relay_contact contact;
	bool		 permanent;	/* the server refuses, by 5xx, to talk to us */
	bool		 tls;		/* there is none, or not with whom it must be */
	bool		 resumed;	/* tls, but by a handshake that was to resume a session: one that is not may succeed */
	bool		 login;		/* it does not let us in, or we do not say our password there: other hosts of the next
					 * hop are not asked either */
	const char	*why_login;	/* what else is known of a login that failed; NULL: nothing, or there was none */
};

struct session;

struct session_owner {			/* of a session; each may free it */
	void		(*ready)(void *arg);	/* session_mail may be called */
	void		(*failed)(void *arg, const struct session_fault *f);	/* before a transaction was begun */
	void		(*done)(void *arg);	/* the transaction is over; session_alive says whether another may follow */
	void		*arg;
};

enum session_tls {			/* where there is to be TLS: */
	SESSION_RESUMES,		/* with the session of before, if it is remembered */
	SESSION_FRESH,			/* without: a handshake with it has failed */
	SESSION_CLEAR,			/* TLS has failed there, and need not be */
};

/* Takes fd. The place is copied; what it must show is borrowed until there is an answer, or the owner goes. login: NULL, or
 * what to log in with before any mail; borrowed likewise. */
struct session	*session_new(struct client *c, const struct candidate *p, bool lmtp, enum session_tls tls, const struct login *login, int fd,
		    const struct session_owner *owner);
void		 session_free(struct session **s);	/* closes at once */
void		 session_quit(struct session **s);	/* QUIT, and closes by itself when that was answered */
void		 session_own(struct session *s, const struct session_owner *owner);	/* another job's now */
/* Begins a transaction. The mail is borrowed until done; file, which stays the caller's, and segments, too. */
void		 session_mail(struct session *s, const struct smtp_client_mail *m, int file, struct bytes segments);
bool		 session_alive(const struct session *s);
bool		 session_content_sent(const struct session *s);	/* all of it: what comes of it is the server's to say */
const struct smtp_client *session_client(const struct session *s);
const char	*session_remote(const struct session *s);	/* candidate_text */
const char	*session_tls(const struct session *s);		/* tls_facts; "": none */
unsigned	 session_mails(const struct session *s);	/* transactions that were begun */
uint64_t	 session_age_ms(const struct session *s);

/* ---- pool.c: connections that are kept ---- */

struct pool	*pool_new(struct client *c);
void		 pool_free(struct pool **p);		/* closes all */
/* To the same next hop by the same rules; NULL: none. It is the caller's, who calls session_own. */
struct session	*pool_take(struct pool *p, struct bytes key);
/* Keeps it for a while, or ends it. */
void		 pool_put(struct pool *p, struct bytes key, struct session **s);
void		 pool_close(struct pool *p);		/* and keep none from here on: the service ends */

/* ---- answer.c: to qmgr ---- */

struct answer {
	struct arena	*arena;		/* borrowed; all texts are copied into it */
	struct answer_reply *replies;	/* in arena */
	size_t		 nreplies, room;
	struct answer_result *results;	/* in arena; one a recipient */
	size_t		 nresults;
	enum relay_contact contact;
	const char	*tls;		/* of the last session that took content; "" none */
};

struct answer_reply { struct bytes status, reply, remote, command, said; };
struct answer_result { enum outcome outcome; bool uncertain, dsn, given; size_t reply; };

void		 answer_init(struct answer *a, struct arena *arena, size_t recipients);
/* The same reply is kept once. */
size_t		 answer_reply(struct answer *a, const struct answer_reply *r);
/* The frame, whatever the replies are: what does not fit is shortened, and told apart no more. */
void		 answer_put(const struct answer *a, struct ipc_out *out, uint32_t id);

/* ---- job.c ---- */

/* Takes m->file. False: it makes no sense, and nothing is left of it. */
bool		 job_begin(struct client *c, struct channel *from, uint32_t id, const struct ipc_relay *m);
void		 job_forget(struct client *c, struct channel *from);	/* nobody waits for its answers */
void		 job_end_all(struct client *c);	/* without an answer */
void		 job_stop(struct client *c);	/* those that wait for nothing but their turn are answered: TRY_LATER */

#endif
