/* SPDX-License-Identifier: ISC */
/*
 * auth/exchange.h - one exchange with a client, among its parts: its life, its answers, the ticket (exchange.c), whose account
 * it is (lookup.c), bearer tokens (bearer.c).
 */
#ifndef AUTH_EXCHANGE_H
#define AUTH_EXCHANGE_H

#include <sys/queue.h>

#include "auth/auth.h"
#include "daemon/directory.h"

#define EXCHANGE_MS	120000	/* for all of it */

enum bearer { NO_BEARER, OAUTHBEARER, XOAUTH2 };	/* without a mech: one message, and a token in it */

struct exchange {
	TAILQ_ENTRY(exchange) link;
	struct exchanges *all;
	uint64_t	 id;
	struct channel	*channel;	/* borrowed: goes with it */
	uint32_t	 frame;		/* to be answered; 0: none, the client's turn */
	uint64_t	 asked_us, told_us;	/* when it came; once it has failed: when that is told */
	struct mech	*mech;		/* owned; NULL once the password is not needed any more */
	struct arena	*arena;		/* owned */
	struct turn	 turn;		/* to have the password hashed, or judged by others */
	struct turns	*turns;		/* borrowed: turn is one of these; NULL: it has asked for none */
	struct timer	 timer;		/* until it expires, or until a failure is told */
	struct bytes	 protocol, mechanism, client, session, tls, user;	/* in the arena */
	struct bytes	 wanted;	/* in the arena: the authorization identity, RFC 4422 section 2; empty: it says none */
	struct bytes	 addresses;	/* in the arena: of the client's certificate; empty: it has shown none */
	struct bytes	 owner;		/* in the arena: whose the token is */
	struct account	 account;	/* in the arena, and in lookup's memo; set when there is one */
	bool		 known, failed, told /* that it will have failed: what comes next ends it */;
	enum bearer	 bearer;
	struct buf	 token;		/* owned; of a bearer, until it is judged; a secret */
	const char	*status;	/* a literal: the error that a bearer is told before it has failed; NULL: none, or it was told */
	struct lookup	 lookup;	/* of the names that it leads to; these two while that is under way: */
	enum verdict	(*find)(struct exchange *e);	/* runs from its start with what is known of accounts */
	void		(*found)(struct exchange *e, enum verdict v);
	uint64_t	 check;		/* of its password, by the directory */
	struct peers	*asked;		/* pam, fetch or become, while one is asked */
	uint64_t	 call;
	unsigned char	 ticket[32];
};

struct exchanges {
	struct daemon	*d;
	const struct auth_settings *s;
	const struct mechanism_settings *mechanisms;
	struct accounts	*accounts;
	const unsigned char *secret;	/* ACCOUNT_SECRET octets */
	struct voucher_key voucher;
	struct tokens	*tokens;	/* borrowed, as the next two */
	struct penalties *penalties;
	struct keeper	*keeper;
	struct turns	*hashes, *by_pam, *by_directory;	/* owned */
	struct peers	*become, *fetch, *pam;	/* pam: NULL without system accounts */
	struct directory *directory;	/* owned; NULL: there is none */
	TAILQ_HEAD(, exchange) list;
	uint32_t	 n;
	uint64_t	 last_id;
	struct ipc_out	 out;
};

/* ---- exchange.c; each but the first four may free the exchange ---- */

void	exchange_log(const struct exchange *e, const char *result);
struct bytes exchange_spelling(const struct exchange *e);	/* of user; in the arena */
void	exchange_answer(struct exchange *e, struct ipc_auth_step *step);
void	exchange_failed(struct exchange *e);	/* the same words for all that can be wrong, some time later for who tries often */
void	exchange_unavailable(struct exchange *e);
void	exchange_decided(struct exchange *e, enum verdict v);
void	exchange_go_on(struct exchange *e, enum mech_result r, struct bytes challenge);

/* ---- lookup.c ---- */

void	lookup_known(void *exchange);		/* lookup.done: the directory has answered */
/* Calls found with what find says: at once, or when the directory has answered what it wants. */
void	exchange_find(struct exchange *e, enum verdict (*find)(struct exchange *), void (*found)(struct exchange *, enum verdict));
/* The account of this name, into e->account; NO also where wanted (empty: nothing is) is the name of another, upper and lower case
 * as accounts_get has it. */
enum verdict lookup_named(struct exchange *e, struct bytes name, struct bytes wanted);
/* The account of what the mechanism came to: it has a password, it needs keys, it leaves it to the certificate, it has shown
 * who the client is. */
void	look_for_password(struct exchange *e);
void	look_for_keys(struct exchange *e);
void	look_at_certificate(struct exchange *e);
void	look_for_identified(struct exchange *e);

/* ---- bearer.c ---- */

void	bearer_take(struct exchange *e, struct bytes message);
void	bearer_tell(struct exchange *e);	/* the error, of which it has failed */

#endif
