/* SPDX-License-Identifier: ISC */
/*
 * router/control.h - the socket by which the administrator asks for explanations.
 */
#ifndef ROUTER_CONTROL_H
#define ROUTER_CONTROL_H

#include "daemon/daemon.h"
#include "router/later.h"
#include "router/logins.h"
#include "router/router.h"
#include "router/senders.h"

struct control;

/* All are borrowed. */
struct control	*control_new(struct daemon *d, struct resolver *r, struct logins *l, struct senders *s, struct later *later);
void		 control_free(struct control **k);
void		 control_accept(struct control *k, int fd);	/* taken: a connection */

#endif
