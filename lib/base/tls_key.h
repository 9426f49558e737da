/* SPDX-License-Identifier: ISC */
/*
 * base/tls_key.h - private keys of TLS that are in another process: an OpenSSL
 * provider, "hermod", whose keys are a public half and a number. libssl takes them
 * as it takes any key; when a handshake wants a signature, the provider hands what
 * is to be signed to the process's own function and pauses that handshake (an ASYNC
 * job, see base/conn.h) until the answer is there. No key is ever here.
 *
 * Signs as servers do in TLS 1.3 (RFC 8446 section 4.4.3) and in the ECDHE key
 * exchanges of TLS 1.2 (RFC 8422 section 5.4): RSA, ECDSA, Ed25519, with SHA-2.
 */
#ifndef BASE_TLS_KEY_H
#define BASE_TLS_KEY_H

#include <openssl/evp.h>
#include <stdint.h>

#include "base/tls_sign.h"

struct tls_signing;			/* one signature that is under way */

/* Called from within a handshake: asks for the signature and returns. tls_signed is called for it exactly once, from
 * the loop. scheme: a SignatureScheme of RFC 8446 section 4.2.3. to_sign is borrowed until it returns. */
typedef void (*tls_key_ask)(void *arg, struct tls_signing *s, uint32_t key, unsigned scheme, struct bytes to_sign);

/* Empty: it is not to be had, and the handshake fails. Frees s, sooner or later. */
void	tls_signed(struct tls_signing *s, struct bytes signature);

/* Once a process, before the others. False: OpenSSL cannot (its error queue says why). */
bool	tls_key_init(tls_key_ask ask, void *arg);
/* The key of that number, whose public half this is (of a certificate). The caller's to free; NULL: of a kind that it
 * does not sign with. */
EVP_PKEY *tls_key_new(EVP_PKEY *public_key, uint32_t key);

#endif
