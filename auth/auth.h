/* SPDX-License-Identifier: ISC */
/*
 * auth/auth.h - the parts of auth: settings; the SASL mechanisms (mech.c), the
 * exchanges with clients (exchange.c), how long a wrong answer waits (penalty.c).
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "daemon/daemon.h"
#include "mail/account.h"
#include "mail/ipc.h"

struct auth_settings {
	const char	*hostname;
	bool		 allow_insecure_auth;	/* passwords in clear over the network */
	const char	*pam_service;
	struct account_settings account;
};

extern const struct setting auth_settings[];

/* ---- mech.c: Cyrus SASL, asked for the form of an exchange, never for its outcome ---- */

enum mech_result {
	MECH_MORE,		/* the challenge is for the client */
	MECH_CREDENTIALS,	/* mech_user and mech_password say what the client claims */
	MECH_FAILED,		/* malformed, cancelled, or somebody else's account asked for */
	MECH_UNKNOWN,		/* no such mechanism */
	MECH_BROKEN,		/* the library failed */
};

struct mech;

/* Loads the plugins: before confinement. False: why. */
bool		 mechs_open(const char *hostname, char *why, size_t cap);
void		 mechs_close(void);
struct mech	*mech_new(void);
void		 mech_free(struct mech **m);	/* wipes the password */
/* initial: NULL when there is none. *challenge is borrowed until the next call. */
enum mech_result mech_start(struct mech *m, struct bytes name, const struct bytes *initial, struct bytes *challenge);
enum mech_result mech_step(struct mech *m, struct bytes response, struct bytes *challenge);
struct bytes	 mech_user(const struct mech *m);
struct bytes	 mech_password(const struct mech *m);

/* ---- penalty.c: whoever fails waits for the answer; nobody is refused for it ---- */

#define PENALTY_MAX_MS	2000

struct penalties;

struct penalties *penalties_new(void);
void		 penalties_free(struct penalties **p);
/* A failure of this client address at this time: how long its answer waits. */
uint64_t	 penalty_failed(struct penalties *p, struct bytes client, uint64_t now_ms);
void		 penalty_passed(struct penalties *p, struct bytes client);

/* ---- exchange.c ---- */

struct exchanges;

struct exchanges *exchanges_new(struct daemon *d, const struct auth_settings *s, struct accounts *a);
void		 exchanges_free(struct exchanges **x);
bool		 exchanges_frame(void *owner, struct channel *c, struct ipc_in *in);
void		 exchanges_gone(void *owner, struct channel *c);
uint32_t	 exchanges_open(void *owner);

#endif
