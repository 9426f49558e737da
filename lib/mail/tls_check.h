/* SPDX-License-Identifier: ISC */
/*
 * mail/tls_check.h - a decision of mail/tls_policy.h, applied to a connection by OpenSSL, and what came of it.
 *
 * The handshake itself never fails for what a certificate says: whoever drives it asks tls_check_result behind it, before
 * anything is sent, and has words for what is wrong.
 */
#ifndef MAIL_TLS_CHECK_H
#define MAIL_TLS_CHECK_H

#include <openssl/ssl.h>

#include "mail/network.h"
#include "mail/tls_report.h"

/* For a context that tls_check_apply is used with. CAs are the caller's to load into its store. False: no memory. */
bool		 tls_check_context(SSL_CTX *ctx);

/* Before the handshake: versions, strength, SNI, names, TLSA records. Borrows nothing after it has returned. address:
 * where the connection leads to, which the certificate names where the decision has no names. False: no certificate could
 * fit (a name that is none), and ssl is of no use. */
bool		 tls_check_apply(SSL *ssl, const struct tls_decision *d, const struct address *address);

enum tls_proof {
	TLS_UNTRUSTED,		/* encrypted, to whomever */
	TLS_BY_CA,		/* a CA has certified one of names */
	TLS_BY_STS,		/* the same, and the domain's policy names it */
	TLS_BY_DANE_TA,		/* RFC 7672 section 3.1.2 */
	TLS_BY_DANE_EE,		/* section 3.1.1 */
};
const char	*tls_proof_name(enum tls_proof proof);	/* "dane-ee" */

#define TLS_WHY_MAX	128

/* After the handshake: how it is proven. why: TLS_UNTRUSTED: in words; else "". */
enum tls_proof	 tls_check_result(SSL *ssl, const struct tls_decision *d, char why[TLS_WHY_MAX]);
/* TLS_UNTRUSTED: what is wrong, in the words of TLS reporting. */
enum tls_result	 tls_check_failure(SSL *ssl);
/* Is it enough for that decision? */
static inline bool
tls_check_suffices(const struct tls_decision *d, enum tls_proof proof)
{
	return proof != TLS_UNTRUSTED || !tls_level_proves(d->level);
}

#endif
