/* SPDX-License-Identifier: ISC */
/*
 * router/senders.h - whose address is it? Who has logged in sends as himself: RFC 6409 section 6.1.
 */
#ifndef ROUTER_SENDERS_H
#define ROUTER_SENDERS_H

#include "router/router.h"

struct senders;

/* Before confinement. NULL: why. */
struct senders	*senders_open(const struct router_settings *s, char *why, size_t cap);
void		 senders_close(struct senders **s);

/* YES: mail to the address comes into the account's mailbox, through aliases or not; or sender_map says that the account
 * may send as it, or as anybody of its domain. */
enum verdict	 senders_may(struct senders *s, struct resolver *r, struct bytes account, struct bytes address);

#endif
