/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_certificates.h - the certificates of the configuration, and time: which of them end soon (hermod check), and
 * those that are signed by themselves made anew (hermod setup --renew).
 */
#ifndef TOOLS_HERMOD_CERTIFICATES_H
#define TOOLS_HERMOD_CERTIFICATES_H

#include <openssl/x509.h>

#include "base/bytes.h"

#define CERTIFICATE_SOON_DAYS	30
#define CERTIFICATE_VALID_DAYS	3650	/* of one that we sign; DANE does not look at it (RFC 7672 section 3.1.1) */

/* Those of tls_certificates and tls_client_ca_file that have ended, or do within so many days: when, and what to do about it. Of
 * files that cannot be read nothing is said. */
void	certificates_warn(void (*each)(struct bytes words));

/* Valid from yesterday on, since clocks differ, for so many days; signed with this key. False: OpenSSL's errors say why. */
bool	certificate_date_and_sign(X509 *x, EVP_PKEY *key);
/* RFC 5280 section 4.1.2.2: positive, at most 20 octets. */
bool	certificate_set_serial(X509 *x);

/* hermod setup --renew [--dry-run] */
int	certificates_renew(bool dry_run);

#endif
