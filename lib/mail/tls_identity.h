/* SPDX-License-Identifier: ISC */
/*
 * mail/tls_identity.h - whom a client's certificate speaks of: the addresses of its subjectAltName (rfc822Name, RFC 5280
 * section 4.2.1.6). What stands in the subject is not looked at. Pure; whether the certificate is to be believed is for
 * others to say, before.
 */
#ifndef MAIL_TLS_IDENTITY_H
#define MAIL_TLS_IDENTITY_H

#include <openssl/x509.h>

#include "base/buf.h"

#define TLS_ADDRESSES_MAX	8	/* in a certificate */
#define TLS_ADDRESS_OCTETS	320	/* of one */
#define TLS_IDENTITY_MAX	2592	/* octets of all, each as a TEXT: messages.def */

enum tls_identity {
	TLS_IDENTITY_FOUND,
	TLS_IDENTITY_NONE,		/* it names no address */
	TLS_IDENTITY_MANY,		/* more than TLS_ADDRESSES_MAX: none is taken, lest it be the wrong ones */
	TLS_IDENTITY_BAD,		/* what it names is no address: a NUL, 8-bit octets, no domain */
};

/* The addresses go into run, of TLS_IDENTITY_MAX octets, each as a TEXT (ipc_cut_text), its domain in lower case. */
enum tls_identity tls_identity(const X509 *certificate, struct buf *run);
const char	*tls_identity_text(enum tls_identity i);	/* what is wrong, for the journal */

#endif
