/* SPDX-License-Identifier: ISC */
/*
 * daemon/login.h - a connection until its client is known: what pop3-login and
 * imap-login share. Parses nothing itself: the protocol's folder does. Asks auth,
 * and with auth's ticket has become start the session, which gets the socket.
 *
 * A login process holds no right: it can name no account to become, only repeat a
 * ticket that auth told become of.
 */
#ifndef DAEMON_LOGIN_H
#define DAEMON_LOGIN_H

#include "base/conn.h"
#include "daemon/auth_client.h"
#include "daemon/crowd.h"
#include "daemon/tls_server.h"
#include "daemon/voucher.h"
#include "mail/mechanisms.h"
#include "mail/settings.h"

struct login_limits {
	uint64_t	timeout_ms;		/* for all of it */
	struct crowd_limits crowd;
	uint64_t	failures;		/* wrong passwords in one connection */
	bool		insecure;		/* takes passwords in clear from anywhere */
};

/* Of all login services, each of which loads it into a struct login_limits. In login_settings.c. */
extern const struct setting login_settings[];

struct login_session;

/* What the protocol does. Text appended to s->conn.out is sent when the function returns. */
struct login_protocol {
	const char	*name;			/* "pop3" */
	size_t		 state_octets;		/* of s->state */
	void		(*greet)(struct login_session *s);
	void		(*go_on)(struct login_session *s);	/* instead, after STARTTLS: nothing is said, nothing known */
	/* Takes a command, or what it can, off *in. True: something was complete, which counts as progress; call again.
	 * False: no more until there is more input, or an answer. Called while nothing is awaited. */
	bool		(*input)(struct login_session *s, struct bytes *in);
	void		(*challenge)(struct login_session *s, struct bytes octets);	/* auth goes on: ask the client */
	void		(*failed)(struct login_session *s, bool unavailable, struct bytes words);
	void		(*welcome)(struct login_session *s, struct buf *reply);		/* what the session is to say first */
	/* What the session is to announce as login did; NULL: nothing. */
	void		(*offered)(const struct login_session *s, struct buf *capabilities);
	const char	*busy, *slow, *timeout, *enough, *bye;	/* last words, with CRLF */
	void		(*fini)(struct login_session *s);	/* wipes secrets in the state */
};

struct login_service;

struct login_session {
	struct login_service *service;		/* borrowed */
	struct conn	 conn;
	void		*state;			/* owned: the protocol's */
	struct guest	 guest;
	bool		 secure;		/* TLS, or a loopback address */
	bool		 may_log_in;		/* a password may come here: `secure`, or allow_insecure_auth */
	bool		 tls;			/* it is behind a handshake */
	bool		 may_start_tls;		/* there is a tls to hand the socket to, and it has not been */
	char		 mechanisms[MECHANISMS_MAX];	/* that may_log_in is by: mail/mechanisms.h */
	/* private */
	struct timer	 deadline;
	struct auth_client auth;
	uint64_t	 call;			/* to become */
	unsigned	 failures;
	bool		 handed_on;		/* tls has the socket */
	char		 facts[TLS_SERVER_FACTS_MAX];	/* of the TLS session, as tls says; empty: none */
	struct tls_bindings bindings;
	struct buf	 addresses;		/* owned: of the client's certificate, and that tls says so */
	unsigned char	 voucher[VOUCHER_OCTETS];
};

/* The life of a login process, in login_main.c: starts, confines, serves this protocol, stops; its exit status. name:
 * the program's. */
int		 login_main(const char *name, const struct login_protocol *p);

struct login_service	*login_service_new(struct daemon *d, const struct login_protocol *p,
			    const struct login_limits *l, const struct mechanism_settings *m);
void		 login_service_free(struct login_service **v);
void		 login_accept(struct login_service *v, int fd);		/* fd is taken */
bool		 login_take(struct login_service *v, struct ipc_in *in);	/* a frame of tls */
uint32_t	 login_sessions(const struct login_service *v);
void		 login_drain(struct login_service *v);
void		 login_stop(struct login_service *v);	/* after login_drain: clients that we wait for are sent away */

/* For the protocol, from input(): then it returns false. initial may be NULL. */
void		 login_auth(struct login_session *s, struct bytes mechanism, const struct bytes *initial);
void		 login_respond(struct login_session *s, struct bytes response);
void		 login_cancel(struct login_session *s);
/* STARTTLS was said; rest: what came behind it. ready: the answer that lets the client begin. The session goes on in a new
 * one, behind the handshake; with octets in rest it ends, which look protected (CVE-2011-0411). */
void		 login_start_tls(struct login_session *s, struct bytes rest, const char *ready);
/* Ends it when what is in out has been sent. why: for the journal, NULL: nothing to say. */
void		 login_end(struct login_session *s, const char *why);

#endif
