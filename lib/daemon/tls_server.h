/* SPDX-License-Identifier: ISC */
/*
 * daemon/tls_server.h - TLS for clients that connect here: the certificates, which of them a client
 * gets, and what is spoken. The private keys are in keys, which is asked for each signature; the
 * handshake that waits for it stalls no other session (base/tls_key.h).
 *
 * A session can be resumed with a ticket (RFC 8446 section 4.6.1, RFC 5077), at every worker of the same service: the keys of
 * tickets are master's, which has new ones each tls_ticket_time and hands them to all; a ticket of the keys before is
 * taken once more. What was resumed is as new to the mail protocol, and no early data is taken.
 *
 * Where clients log in they may show a certificate, and with tls_client_ca_file they are asked for one. None is needed, and one
 * that does not count is as none: a mail program sends one because it has one, and with TLS 1.3 it would learn that it
 * was not taken from a connection that ends behind its handshake. It sees that EXTERNAL is not offered; the journal says why.
 * RFC 8446, RFC 5246; RFC 6066 section 3 (server name); RFC 7301 (ALPN); profiles: RFC 9325.
 */
#ifndef DAEMON_TLS_SERVER_H
#define DAEMON_TLS_SERVER_H

#include "base/conn.h"
#include "daemon/daemon.h"
#include "mail/tls_identity.h"
#include "mail/tls_settings.h"

/* Of daemon.h's ticket_keys each: its name, 16 octets; of AES-256, 32; of HMAC, 32. */

struct tls_server;

/* Before daemon_confine. From the open files "certificate.0" and so on, and "client_ca" where clients may show
 * certificates, which it closes. NULL: there is no
 * certificate, and so no TLS. Ends the process when one cannot be used. One a process. */
struct tls_server *tls_server_new(struct daemon *d, const struct tls_settings *s);
void		 tls_server_free(struct tls_server **t);
/* conn_start_tls. alpn (borrowed for as long as the connection): "smtp", "imap", "pop3": a client that offers application
 * protocols, and not this one, meant another service (ALPACA). */
bool		 tls_server_start(struct tls_server *t, struct conn *c, const char *alpn);
/* What a handshake came to: "TLSv1.3 TLS_AES_256_GCM_SHA384". */
#define TLS_SERVER_FACTS_MAX 64
bool		 tls_server_facts(const struct conn *c, char dst[TLS_SERVER_FACTS_MAX]);
/* What a login can be bound to (RFC 5056), behind the handshake. Nothing: it gives none. */
#define TLS_BINDING_MAX 64
struct tls_binding { unsigned char octets[TLS_BINDING_MAX]; size_t n; };
struct tls_bindings {
	struct tls_binding exporter;	/* "tls-exporter", RFC 9266 */
	struct tls_binding end_point;	/* "tls-server-end-point", RFC 5929 section 4 */
};
void		 tls_server_bindings(const struct conn *c, struct tls_bindings *out);
struct bytes	 tls_binding_octets(const struct tls_binding *b);
/* Whom a certificate names that the client has shown, verified by the CAs of tls_client_ca_file: addresses, each as a TEXT
 * (mail/tls_identity.h). False: it has shown none that counts; the journal says which of whom (session id, address) and why. A
 * session that was resumed has the one of the first handshake, judged by the same CAs. */
bool		 tls_server_identity(const struct conn *c, const char *session, const char *client, struct buf *run);
/* The name that the client asked for; empty: none. Borrowed from the connection. */
struct bytes	 tls_server_name(const struct conn *c);
/* With CONN_TLS, for the journal. */
const char	*tls_server_why(const struct conn *c);

#endif
