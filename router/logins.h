/* SPDX-License-Identifier: ISC */
/*
 * router/logins.h - how to log in at a next hop: what the table `smtp_credentials` says of it (mail/credentials.h), and for
 * OAuth the token, which another program writes and keeps fresh, as it is in its file now.
 *
 * smtp-client, which talks to strangers, is told of one next hop at a time, that mail goes to: neither the table nor
 * anything it could open is ever there.
 */
#ifndef ROUTER_LOGINS_H
#define ROUTER_LOGINS_H

#include "mail/ipc.h"
#include "router/router.h"

struct logins;

/* Before the process is confined. NULL: why; it may have warned in the log of a table that everybody can read. */
struct logins	*logins_open(const struct router_settings *s, char *why, size_t cap);
void		 logins_close(struct logins **l);
/* What is in out is borrowed until logins_wipe, or the next logins_find. What cannot be looked up, or understood, or read
 * is never "nobody logs in there". */
void		 logins_find(struct logins *l, struct bytes nexthop, struct ipc_credentials_answer *out);
void		 logins_wipe(struct logins *l);	/* the password it has found last */

#endif
