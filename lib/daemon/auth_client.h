/* SPDX-License-Identifier: ISC */
/*
 * daemon/auth_client.h - one client's exchange with auth: who lets a client log in carries its octets
 * to and fro, and understands none of them. An exchange belongs to the auth it began with.
 */
#ifndef DAEMON_AUTH_CLIENT_H
#define DAEMON_AUTH_CLIENT_H

#include "daemon/channel.h"

struct auth_client {		/* a member of a session; zeroed, then these three set */
	struct peers	*auth;		/* borrowed */
	/* From the loop; NULL: no answer is to be had. May free arg. */
	void		(*answer)(void *arg, const struct ipc_auth_step *step);
	void		*arg;
	/* private */
	uint64_t	 exchange, serial, call;
	struct peers	*call_peers;	/* whom the call asks; NULL: the channel of serial */
};

/* out: for the frame, which is wiped. */
void	auth_client_start(struct auth_client *c, struct ipc_out *out, const struct ipc_auth_start *start);
void	auth_client_more(struct auth_client *c, struct ipc_out *out, struct bytes response, bool cancel);
/* The session ends: no answer will be given. Again and again is fine. */
void	auth_client_end(struct auth_client *c);

#endif
