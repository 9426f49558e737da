/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/login.h - logging in at a next hop.
 *
 *	login.c		what there is to log in with: the router is asked, for each job that makes a connection
 *	mech.c		the exchange
 *
 * Passwords and tokens are here from the router's answer to the end of the job, are wiped then, and are in no log.
 */
#ifndef SMTP_CLIENT_LOGIN_H
#define SMTP_CLIENT_LOGIN_H

#include "smtp-client/client.h"

struct login {
	enum verdict	 verdict;	/* YES: what follows holds; NO: nobody logs in there; NOT_SURE: why */
	struct bytes	 key;		/* of the table's entry, for people */
	struct bytes	 mechanisms;	/* that may be used: as in mail/credentials.h */
	struct bytes	 user, secret;
	bool		 oauth;		/* secret is a token */
	struct bytes	 why;
	void		*hidden;	/* login.c's own */
};

/* done: once, from the loop. nexthop: as qmgr has it. */
struct login	*login_new(struct client *c, struct bytes nexthop, void (*done)(void *), void *arg);
void		 login_free(struct login **l);		/* wiped */
/* May a password be said there without TLS? To this host itself, or where smtp_auth_plaintext says so. */
bool		 login_in_clear(const struct client *c, const struct candidate *p);
/* May a server there see it that has not proved who it is? Likewise, or where smtp_auth_unproven says so. */
bool		 login_unproven(const struct client *c, const struct candidate *p);
/* What the hosts have to show, where there is a login; places: where they are. */
void		 login_rule(const struct client *c, const struct candidate *places, size_t n, struct tls_rule *rule);

/* ---- mech.c ---- */

/* Before the process is confined. False: no password can be used, which was said in the log. */
bool		 mechs_open(void);
void		 mechs_close(void);

struct mech;

enum mech_result {
	MECH_BROKEN,		/* nothing more can be said: mech_why */
	MECH_MORE,		/* the server may not say yet that it has succeeded */
	MECH_ENOUGH,		/* it may */
};

/* One exchange. name: of mail/credentials.h. ssl: NULL: none. announced: by the server. NULL: it cannot be begun. */
struct mech	*mech_new(const struct login *l, const char *name, SSL *ssl, struct bytes announced);
void		 mech_free(struct mech **m);
bool		 mech_binds(SSL *ssl);		/* -PLUS mechanisms can be used on it */
/* initial: borrowed until the next call; its p is NULL where the server speaks first. p may be NULL. */
enum mech_result mech_begin(struct mech *m, const struct candidate *p, struct bytes *initial);
enum mech_result mech_step(struct mech *m, struct bytes challenge, struct bytes *response);
const char	*mech_why(const struct mech *m);	/* ""; or what is wrong, in words; of the mech's life */
const char	*mech_name(const struct mech *m);

#endif
