/* SPDX-License-Identifier: ISC */
/*
 * auth/auth.h - the parts of auth: settings; the SASL mechanisms (mech.c), bearer tokens (token.c), whose a certificate is
 * (certificate.c), Kerberos (gssapi.c), the exchanges with clients (exchange.c, exchange.h), whose password is hashed next (turns.c), how
 * long a wrong answer waits (penalty.c), how that is kept over a restart (keep.c), and shown and cleared (control.c).
 */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include <sys/queue.h>

#include "daemon/daemon.h"
#include "daemon/tally.h"
#include "daemon/voucher.h"
#include "mail/account.h"
#include "mail/ipc.h"
#include "mail/mechanisms.h"
#include "mail/penalty_file.h"

struct token_settings {
	const char	*introspection_url;	/* "": tokens are looked at here, or nowhere */
	uint64_t	 timeout_ms;
	struct setting_list jwt_keys;
	const char	*issuer, *audience, *scope;	/* "": any */
	unsigned	 user_claim;		/* index into token_user_claims */
	const char	*openid_configuration;	/* "": clients are not told */
	uint64_t	 cache_ms;
};

struct auth_settings {
	const char	*hostname;
	bool		 allow_insecure_auth;	/* passwords in clear over the network */
	const char	*pam_service;
	uint64_t	 workers, pam_processes, directory_workers;	/* master's, pam's, master's: how many wait there at once */
	struct token_settings token;
	const char	*gssapi_realm, *gssapi_domain;	/* user@REALM has the account user@domain */
	struct account_settings account;
};

#define TOKEN_SCOPE_MAX	512	/* octets */

extern const char *const token_user_claims[];
extern const struct setting auth_settings[];

/* ---- mech.c: Cyrus SASL takes an exchange apart. Whether a password is right is not for it to say; whether a client has one
 * that it does not show, is: by keys that it is handed ---- */

enum mech_result {
	MECH_MORE,		/* the challenge is for the client */
	MECH_CREDENTIALS,	/* mech_user and mech_password say what the client claims */
	MECH_KEYS,		/* mech_user says whose keys are needed: mech_go_on */
	MECH_CERTIFICATE,	/* the client leaves it to its certificate; mech_user says which account it wants; empty: that one's */
	MECH_IDENTIFIED,	/* the client has shown by means of its own that it is mech_user */
	MECH_PASSED,		/* the client has shown that it is mech_user, whose keys were given */
	MECH_FAILED,		/* malformed, cancelled, or somebody else's account asked for */
	MECH_UNKNOWN,		/* no such mechanism */
	MECH_BROKEN,		/* the library failed */
};

struct mech;

/* Of the client's TLS channel (RFC 5056); empty: there is none. */
struct mech_channel {
	struct bytes	exporter;	/* "tls-exporter", RFC 9266 */
	struct bytes	end_point;	/* "tls-server-end-point", RFC 5929 section 4 */
};

struct mech_keys {		/* as struct account has them; empty: it has none */
	struct bytes	scram_sha_1, scram_sha_256;
	struct bytes	password;	/* itself */
};

/* Loads the plugins: before confinement. False: why. */
bool		 mechs_open(const char *hostname, char *why, size_t cap);
void		 mechs_close(void);
struct mech	*mech_new(struct bytes protocol);	/* NULL: the library failed */
void		 mech_free(struct mech **m);	/* wipes what is secret */
/* name: one that is offered. initial: NULL when there is none. *challenge is borrowed until the next call. */
enum mech_result mech_start(struct mech *m, struct bytes name, const struct mech_channel *channel, const struct bytes *initial,
		    struct bytes *challenge);
enum mech_result mech_step(struct mech *m, struct bytes response, struct bytes *challenge);
enum mech_result mech_go_on(struct mech *m, const struct mech_keys *keys, struct bytes *challenge);
struct bytes	 mech_user(const struct mech *m);
/* Whom it wants to be (RFC 4616 section 2, RFC 5801 section 4): with MECH_CREDENTIALS and MECH_KEYS. Empty: it does not say.
 * That this is mech_user's own account is for the caller to see to. */
struct bytes	 mech_wanted(const struct mech *m);
struct bytes	 mech_password(const struct mech *m);

/* ---- gssapi.c ---- */

struct gssapi;

/* Before confinement. fd: the keytab, open. False: why. s is borrowed. Without it no exchange comes to anything. */
bool		 gssapi_open(int fd, const struct auth_settings *s, char *why, size_t cap);
void		 gssapi_close(void);
struct gssapi	*gssapi_new(struct bytes protocol);
void		 gssapi_free(struct gssapi **g);
/* A message of the client's. *challenge is borrowed until the next call. At the end, MECH_IDENTIFIED, account is whom he has
 * shown to be; with MECH_FAILED it may be, too. */
enum mech_result gssapi_step(struct gssapi *g, struct bytes message, struct bytes *challenge, struct buf *account);

/* ---- certificate.c ---- */

/* The account that a client with these addresses (mail/tls_identity.h) in its certificate may log in to. wanted: it is to be
 * this one; empty: the only one that any of them has. NO also when they have several. */
enum verdict	 certificate_account(struct accounts *a, struct bytes addresses, struct bytes wanted, struct arena *arena,
		    struct account *out);

/* ---- secret.c: for account_fake_keys, the same for all workers and over restarts ---- */

/* Of the file in auth's own directory, which is made when it is not there. Where it cannot be, and the journal says why, one
 * that lasts as long as the process. */
void		 secret_read(int dir, unsigned char out[ACCOUNT_SECRET]);

/* ---- token.c: whether a bearer token is good, and whose it is ---- */

enum token_verdict {
	TOKEN_GOOD,		/* user is whose it is */
	TOKEN_REFUSED,		/* why is for the journal, status for the client */
	TOKEN_BROKEN,		/* it cannot be found out; why is for the journal */
	TOKEN_ASK,		/* fetch has to be asked; then tokens_said */
};

struct token_result {
	enum token_verdict verdict;
	char		 user[ACCOUNT_NAME_MAX];
	size_t		 user_n;
	const char	*status;	/* of RFC 6750 section 3.1; a literal, as the next */
	const char	*why;
};

struct tokens;

/* Reads the keys: before confinement. NULL: why. */
struct tokens	*tokens_new(const struct token_settings *s, char *why, size_t cap);
void		 tokens_free(struct tokens **t);
/* What can be said at once: it is remembered, or is signed. */
void		 tokens_look(struct tokens *t, struct bytes token, int64_t now_s, uint64_t now_ms, struct token_result *out);
/* What the authorization server's answer says of it. */
void		 tokens_said(struct tokens *t, struct bytes token, struct bytes json, int64_t now_s, uint64_t now_ms,
		    struct token_result *out);

/* ---- penalty.c: whoever fails waits for the answer; nobody is refused for it ---- */

#define PENALTY_MAX_MS	2000
#define PENALTY_TALLIES	4	/* in master's memory: row `auth` of services.c */

struct penalties;

struct penalties *penalties_new(int shared);	/* as tallies_new has it */
void		 penalties_free(struct penalties **p);
struct tallies	*penalties_tallies(struct penalties *p);	/* borrowed */
/* A failure of this client address, with this claimed name (empty: none was said), at this time: how long its answer waits. */
uint64_t	 penalty_failed(struct penalties *p, struct bytes client, struct bytes user, uint64_t now_ms);
void		 penalty_passed(struct penalties *p, struct bytes client, struct bytes user, uint64_t now_ms);

/* Less is better: whoever was let in from this address under this name, and has not failed there since, has 0. Of strangers the
 * failures of the address that are not forgotten count, and where these are as many, those at the name. */
#define PENALTY_STRANGER	((uint64_t)1 << 62)
uint64_t	 penalty_rank(struct penalties *p, struct bytes client, struct bytes user, uint64_t now_ms);
/* How much of a wait is left, in microseconds, of which so much went into the answer; a whole number of the shortest waits from the
 * question in any case: so the time tells nothing of the work, unless that takes longer than the wait, and then only how many of them. */
uint64_t	 penalty_left(uint64_t wait_ms, uint64_t took_us);

struct penalty_seen { struct tally_row row; uint32_t age_s, wait_ms /* of the next failure's answer */; };
/* As tally_next has it. */
bool		 penalty_next(struct penalties *p, enum penalty_of of, uint32_t *at, uint64_t now_ms, struct penalty_seen *out);
/* From the file: the latest failure was age_s ago. */
void		 penalty_restore(struct penalties *p, const struct penalty *kept, int64_t age_s, uint64_t now_ms);
/* An address, or an account's name; how many penalties there were. */
uint32_t	 penalty_clear(struct penalties *p, struct bytes name);
uint32_t	 penalty_clear_all(struct penalties *p);

/* ---- turns.c: whose password is hashed next, or judged by others ---- */

struct turns;

struct turn {			/* a member of who waits for it; zeroed */
	TAILQ_ENTRY(turn) link;
	struct bytes	 client, user;	/* borrowed */
	void		(*run)(void *arg);
	void		*arg;
	bool		 waits, holds /* a place */;
};

/* Both are borrowed. places: so many have their turns at once, each until turn_leave; 0: a turn is over when run returns. */
struct turns	*turns_new(struct loop *l, struct penalties *p, uint32_t places);
void		 turns_free(struct turns **t);
/* run is called from the loop, once; never from within this call. */
void		 turn_ask(struct turns *t, struct turn *k, struct bytes client, struct bytes user, void (*run)(void *arg), void *arg);
void		 turn_leave(struct turns *t, struct turn *k);	/* it may neither wait nor have a place */
/* The arg of the stranger that waits whose address has the most failures, and no less than this client's; of several the latest. Or NULL. */
void		*turns_worst(struct turns *t, struct bytes client);

/* ---- keep.c: the file ---- */

struct keeper;

/* Reads it, if nobody else has. dir: borrowed; -1: nothing is kept. */
struct keeper	*keeper_new(struct daemon *d, struct penalties *p, int dir);
void		 keeper_free(struct keeper **k);	/* writes what has changed */
void		 keeper_changed(struct keeper *k);	/* something may have: it is written soon */

/* ---- control.c: run_directory/auth.sock ---- */

struct control;

struct control	*control_new(struct daemon *d, struct penalties *p, struct keeper *k);	/* all borrowed */
void		 control_free(struct control **c);
void		 control_accept(struct control *c, int fd);	/* taken */

/* ---- exchange.c ---- */

struct exchanges;

/* secret: for account_fake_keys. All are borrowed, but v, which is copied. */
struct exchanges *exchanges_new(struct daemon *d, const struct auth_settings *s, const struct mechanism_settings *m,
		    struct accounts *a, const unsigned char secret[ACCOUNT_SECRET], const struct voucher_key *v, struct tokens *t,
		    struct penalties *p, struct keeper *k);
void		 exchanges_free(struct exchanges **x);
bool		 exchanges_frame(void *owner, struct channel *c, struct ipc_in *in);
void		 exchanges_gone(void *owner, struct channel *c);
uint32_t	 exchanges_open(void *owner);

#endif
