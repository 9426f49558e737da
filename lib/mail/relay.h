/* SPDX-License-Identifier: ISC */
/*
 * mail/relay.h - who may send through this host to other hosts: one rule, asked by
 * router for each recipient, and by master, which proves at every start that no
 * unauthenticated stranger passes it (master/relay_proof.c). Pure.
 */
#ifndef MAIL_RELAY_H
#define MAIL_RELAY_H

#include "mail/network.h"
#include "mail/router.h"
#include "mail/settings.h"

#define RELAY_NETWORKS_STANDARD "127.0.0.0/8\n::1/128\n"	/* loopback alone */

struct relay_rule {
	struct network	*network;	/* owned */
	size_t		 n;
};

/* From trusted_networks, whose items are checked. */
void	relay_rule_init(struct relay_rule *r, const struct setting_list *trusted_networks);
void	relay_rule_fini(struct relay_rule *r);

/* Which of trusted_networks the client is in; NULL: none. An address that cannot be read is in none. */
const struct network *relay_network(const struct relay_rule *r, struct bytes client);

/* May it relay? Who has authenticated, or is a user of this host, may; else only its address counts,
 * whatever class it is said to be of. */
bool	relay_allowed(const struct relay_rule *r, enum client_class who, struct bytes client);

#endif
