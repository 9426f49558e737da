/* SPDX-License-Identifier: ISC */
/*
 * directory/ldap_pipe.h - between libldap and the server's socket. The library has one end of a socket pair and speaks plain
 * LDAP; what passes goes over a base/conn.h, which connects and does TLS without anybody's waiting. (libldap's own handshake
 * would block, and wants its files by name.)
 */
#ifndef DIRECTORY_LDAP_PIPE_H
#define DIRECTORY_LDAP_PIPE_H

#include <openssl/ssl.h>

#include "base/loop.h"

struct ldap_pipe;

struct ldap_pipe_owner {
	void	(*on_ready)(void *owner);	/* connected; and again, when TLS is there */
	/* why: printable. All that came before is in the library's end. */
	void	(*on_end)(void *owner, const char *why);
	void	*owner;
};

/* fd (taken): non-blocking, connect(2) said 0 or EINPROGRESS. *library: the library's end, which the caller closes.
 * NULL: no pair can be made; fd is closed. */
struct ldap_pipe *ldap_pipe_new(struct loop *l, int fd, int *library, const struct ldap_pipe_owner *owner);
void	ldap_pipe_free(struct ldap_pipe **p);
/* ssl is taken. False: something came behind the answer to StartTLS, in plain text (CVE-2021-38371). */
bool	ldap_pipe_start_tls(struct ldap_pipe *p, SSL *ssl);

#endif
