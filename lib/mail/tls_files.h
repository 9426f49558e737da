/* SPDX-License-Identifier: ISC */
/*
 * mail/tls_files.h - certificates and private keys as they are in files: PEM, RFC 7468.
 */
#ifndef MAIL_TLS_FILES_H
#define MAIL_TLS_FILES_H

#include <openssl/x509.h>

#include "base/bytes.h"

#define TLS_FILE_MAX	(1 << 20)	/* octets of a file */
#define TLS_CHAIN_MAX	16		/* certificates in it */
#define TLS_CAS_MAX	64		/* of a file of CAs */
#define TLS_CA_NAMES_MAX 16384		/* octets of their names together */

/* All read an open file from its start, wherever others that share it are. NULL: why says what is wrong and what would
 * be right, to be read behind the file's name. */

/* The server's own first, then who signed it, and so on: RFC 8446 section 4.4.2. The caller's to sk_X509_pop_free. */
STACK_OF(X509)	*tls_chain_read(int fd, char *why, size_t cap);
/* CAs, in any order, that may vouch for clients. Likewise. */
STACK_OF(X509)	*tls_cas_read(int fd, char *why, size_t cap);
/* The caller's to free. Nothing of it stays in memory that was freed. */
EVP_PKEY	*tls_key_read(int fd, char *why, size_t cap);

#endif
