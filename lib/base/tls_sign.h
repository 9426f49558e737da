/* SPDX-License-Identifier: ISC */
/*
 * base/tls_sign.h - the signatures of a TLS server, by SignatureScheme: RFC 8446
 * section 4.2.3, RFC 8422 section 5.1 for TLS 1.2. Nothing with SHA-1.
 */
#ifndef BASE_TLS_SIGN_H
#define BASE_TLS_SIGN_H

#include <openssl/evp.h>

#include "base/bytes.h"

#define TLS_SIGNED_MAX		320	/* octets that a server signs: at most 130 in TLS 1.3, 201 in 1.2 */
#define TLS_SIGNATURE_MAX	1024	/* octets of a signature: RSA of 8192 bits */

struct tls_scheme {
	unsigned	 number;
	const char	*type;		/* of the key: "RSA", "EC", "ED25519" */
	const char	*digest;	/* "SHA256"; "": it takes the octets themselves */
	bool		 pss;
};

extern const struct tls_scheme tls_schemes[];	/* ends with number 0 */

/* Of its type, and with a digest by any of its names (NULL, "": none); NULL: none of ours. */
const struct tls_scheme *tls_scheme_find(const EVP_PKEY *key, const char *digest, bool pss);

/* A server may have such a key: of a type, and for ECDSA on a curve, that stands there, with signatures that there is room for. */
bool	tls_sign_serves(const EVP_PKEY *key);

/* Signs with a key that is here. Octets in out, which has TLS_SIGNATURE_MAX; 0: no such scheme, or it does not fit the
 * key (OpenSSL's error queue is cleared). */
size_t	tls_sign(EVP_PKEY *private_key, unsigned scheme, struct bytes to_sign, unsigned char *out);

#endif
