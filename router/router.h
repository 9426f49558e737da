/* SPDX-License-Identifier: ISC */
/*
 * router/router.h - settings of the router, and the questions it answers.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "mail/account.h"
#include "mail/ipc.h"
#include "mail/relay.h"
#include "mail/settings.h"
#include "router/explain.h"

#define ROUTES_MAX_COUNT	1000	/* routes of one answer */
#define ROUTES_MAX_OCTETS	49152
#define ALIAS_DEPTH_MAX		10	/* aliases of aliases */
#define ALIAS_ITEMS_MAX		5000	/* looked at for one question */

struct router_settings {
	const char	*hostname;
	struct setting_list local_domains;	/* whose addresses are ours; hostname always is */
	struct setting_list local_addresses;	/* address literals that are ours */
	struct setting_list trusted_networks;
	struct setting_list relay_domains;	/* other hosts' domains that anybody may send to through this one */
	struct setting_list routes;		/* router/foreign.h */
	const char	*transport_map;		/* more of them; "": none */
	const char	*sender_map;		/* router/senders.h; "": none */
	const char	*relay_host;		/* a next hop for all other mail; "": the domains' own */
	const char	*alias_map;		/* "": none */
	const char	*recipient_delimiter;	/* "+": user+detail; "": none */
	const char	*credentials;		/* router/logins.h; "": nobody logs in anywhere */
	const char	*token_directory;	/* "": that of the table credentials */
	const char	*postmaster_address;	/* who reads postmaster's mail when no alias or account says it; "": nobody */
	struct account_settings account;
};

extern const struct setting router_settings[];

struct resolver {			/* what answers are made from; one a process */
	const struct router_settings *s;	/* borrowed */
	struct accounts	*accounts;	/* owned */
	struct table	*aliases;	/* owned; NULL: none */
	struct relay_rule relay;	/* owned */
	struct foreign	*foreign;	/* owned */
	struct network	*own;		/* owned: local_addresses */
	size_t		 nown;
	struct ipc_out	 body;		/* a route, encoded */
	struct arena	*arena;		/* owned; of one question */
	struct bytes	*seen, *final;	/* owned; of one question, see resolve.c */
	struct buf	 warnings;	/* owned; of one question, each with its LF */
	struct explanation *explain;	/* borrowed; who listens to the steps of a question; NULL: nobody */
};

struct answer {
	enum verdict	verdict;
	unsigned	code;		/* when not YES: 450 to 554 */
	char		reply[256];	/* enhanced status and words */
	struct buf	routes;		/* when YES; a run of route bodies */
	size_t		n;
};

/* Opens the tables: before confinement. False: why. */
bool	resolver_init(struct resolver *r, const struct router_settings *s, char *why, size_t cap);
void	resolver_fini(struct resolver *r);
void	answer_init(struct answer *a);
void	answer_fini(struct answer *a);

/*
 * The questions. Each runs from its start to its end with what is known of accounts: where accounts_want(r->accounts) is true after
 * one that was not sure, it is to be asked again (router/later.h).
 */

/* May this recipient be taken from this client, and where does it go? Aliases are followed. */
void	resolve_recipient(struct resolver *r, const struct ipc_rcpt_check *ask, struct answer *a);
/* A final address: its account first; who has none any more is looked up as a recipient. */
void	resolve_final(struct resolver *r, struct bytes address, struct answer *a);
/* Is there anybody who reads postmaster's mail? NOT_SURE: the directory has to be asked. */
enum verdict resolve_postmaster(struct resolver *r);

#endif
