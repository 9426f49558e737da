/* SPDX-License-Identifier: ISC */
/*
 * tls/tls.h - TLS for protocols whose sessions are processes of their own.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "daemon/crowd.h"
#include "daemon/tls_server.h"
#include "daemon/voucher.h"

struct tls_limits {
	uint64_t	handshake_timeout_ms;
	struct crowd_limits crowd;
};

extern const struct setting tls_limits_settings[];	/* into a struct tls_limits */

struct links;

struct links	*links_new(struct daemon *d, const struct tls_limits *l, struct tls_server *t, const struct voucher_key *v);
void		 links_free(struct links **l);
/* A client that begins with TLS; fd is taken. imap: else pop3. */
void		 links_accept(struct links *l, int fd, bool imap);
/* A frame of a login service. False: it makes no sense. */
bool		 links_take(struct links *l, struct channel *c, struct ipc_in *in);
uint32_t	 links_count(const struct links *l);
void		 links_drain(struct links *l);

#endif
