/* SPDX-License-Identifier: ISC */
/*
 * mail/transport.h - how and where a message goes on, as the administrator writes it, in the setting `routes` and in the
 * table `transport_map`. Pure.
 */
#ifndef MAIL_TRANSPORT_H
#define MAIL_TRANSPORT_H

#include "base/arena.h"

/* "smtp:[mx.example.org]:26", "lmtp:unix:/run/lmtp"; "smtp:" alone, or "smtp:;from=192.0.2.5": to the domain's own next
 * hop; "error:5.1.2 words". */
struct transport {
	struct bytes	name;		/* "smtp", "lmtp", "error" */
	struct bytes	nexthop;	/* in the words of mail/nexthop.h, or empty, or ";from=..."; error: status and words */
};

/* False: what would be right in why. Results are in the arena, or in value. */
bool	transport_parse(struct bytes value, struct arena *a, struct transport *out, char *why, size_t cap);

/* An item of `routes`: for whom, SP, and the above. For whom: "example.org", ".example.org" (all below it),
 * "anna@example.org", "*". Borrowed from the item, which was checked. */
struct transport_item { struct bytes pattern, value; };
struct transport_item transport_item_cut(const char *item);
bool	transport_item_check(const char *item, char *why, size_t cap);

#endif
