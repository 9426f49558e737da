/* SPDX-License-Identifier: ISC */
/*
 * mail/routes.h - from the router's answer into the envelope: one RCPT may become
 * several final recipients, several RCPTs the same one.
 */
#ifndef MAIL_ROUTES_H
#define MAIL_ROUTES_H

#include "mail/envelope.h"

#define ROUTES_MAX	(4u << 20)	/* octets of a transaction's arena that recipients may take */

/*
 * Adds each route as a recipient like *asked. A final address that is there already is
 * not added again. *cap is the room of e->rcpts, which is in the arena. False: the
 * routes are malformed or none, or there are too many; nothing was added.
 */
bool	routes_add(struct envelope *e, size_t *cap, struct arena *a, const struct recipient *asked,
	    struct bytes routes);

#endif
