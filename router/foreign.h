/* SPDX-License-Identifier: ISC */
/*
 * router/foreign.h - where mail for other hosts' domains goes: by the administrator's routes, through relay_host, or to
 * the domain's own mail exchangers.
 */
#ifndef ROUTER_FOREIGN_H
#define ROUTER_FOREIGN_H

#include "mail/transport.h"
#include "proto/smtp_address.h"
#include "router/router.h"

bool	foreign_init(struct resolver *r, char *why, size_t cap);
void	foreign_fini(struct resolver *r);
/* Is it a domain that we take mail for from anybody, to hand it on (relay_domains)? */
bool	foreign_is_ours(const struct resolver *r, struct bytes domain);
/* NO: it goes nowhere, reply has status and words. */
enum verdict foreign_find(struct resolver *r, const struct smtp_address *to, struct arena *a, struct transport *out,
	    char *reply, size_t cap);

#endif
