/* SPDX-License-Identifier: ISC */
#include "mail/tls_check.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define NAME_MAX_OCTETS	256

bool
tls_check_context(SSL_CTX *ctx)
{
	/* A certificate that TLSA records name is good whatever it is called, RFC 7672 section 3.2.1. */
	SSL_CTX_dane_set_flags(ctx, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);	/* looked at all the same: tls_check_result */
	return SSL_CTX_dane_enable(ctx) == 1
	    && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;	/* RFC 8996, RFC 8461 section 7.2 */
}

/* Where TLS is a favour, the alternative to a short key is no key. */
static void
set_strength(SSL *ssl, const struct tls_decision *d)
{
	SSL_set_security_level(ssl, tls_level_proves(d->level) ? 2 : 1);
}

static bool
set_sni(SSL *ssl, struct bytes sni)
{
	char name[NAME_MAX_OCTETS];

	return sni.n == 0 || (bytes_to_text(sni, name, sizeof name) && SSL_set_tlsext_host_name(ssl, name) == 1);
}

/* The first replaces what was there. */
static bool
set_names(SSL *ssl, const struct tls_decision *d)
{
	char name[NAME_MAX_OCTETS];

	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);	/* RFC 7672 section 3.2.3 */
	for (size_t i = 0; i < d->nnames; i++)
		if (!bytes_to_text(d->names[i], name, sizeof name)
		    || (i == 0 ? SSL_set1_host(ssl, name) : SSL_add1_host(ssl, name)) != 1)
			return false;
	return true;
}

static bool
set_address(SSL *ssl, const struct address *a)
{
	return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address_text(a, (char[NETWORK_TEXT_MAX]){ 0 })) == 1;
}

/* RFC 8461 section 4.2: a DNS-ID is what counts there, whatever the subject is called. */
static void
want_dns_id(SSL *ssl)
{
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
}

static bool
set_tlsa(SSL *ssl, const struct tls_decision *d)
{
	char base[NAME_MAX_OCTETS];

	if (!bytes_to_text(d->sni, base, sizeof base) || SSL_dane_enable(ssl, base) != 1)
		return false;
	for (size_t i = 0; i < d->ntlsa; i++) {
		const struct dns_tlsa *t = d->tlsa[i];

		if (SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching, t->data.p, t->data.n) != 1)
			return false;
	}
	return true;
}

bool
tls_check_apply(SSL *ssl, const struct tls_decision *d, const struct address *address)
{
	bool good = set_sni(ssl, d->sni);

	set_strength(ssl, d);
	if (good && d->level == TLS_DANE)
		good = set_tlsa(ssl, d);
	good = good && (d->nnames > 0 ? set_names(ssl, d) : set_address(ssl, address));
	if (d->level == TLS_STS)
		want_dns_id(ssl);
	ERR_clear_error();
	return good;
}

const char *
tls_proof_name(enum tls_proof proof)
{
	static const char *const names[] = { [TLS_UNTRUSTED] = "untrusted", [TLS_BY_CA] = "ca", [TLS_BY_STS] = "sts",
	    [TLS_BY_DANE_TA] = "dane-ta", [TLS_BY_DANE_EE] = "dane-ee" };

	return names[proof];
}

static enum tls_proof
dane_proof(SSL *ssl)
{
	uint8_t usage = 0;

	if (SSL_get0_dane_authority(ssl, NULL, NULL) < 0
	    || SSL_get0_dane_tlsa(ssl, &usage, NULL, NULL, NULL, NULL) < 0)
		return TLS_UNTRUSTED;
	return usage == 3 ? TLS_BY_DANE_EE : TLS_BY_DANE_TA;
}

enum tls_proof
tls_check_result(SSL *ssl, const struct tls_decision *d, char why[TLS_WHY_MAX])
{
	long result = SSL_get_verify_result(ssl);
	enum tls_proof proof = TLS_UNTRUSTED;

	why[0] = '\0';
	if (!SSL_get0_peer_certificate(ssl))
		snprintf(why, TLS_WHY_MAX, "it has no certificate");
	else if (result != X509_V_OK)
		snprintf(why, TLS_WHY_MAX, "%s", X509_verify_cert_error_string(result));
	else if (d->level == TLS_DANE)
		proof = dane_proof(ssl);
	else
		proof = d->level == TLS_STS ? TLS_BY_STS : TLS_BY_CA;
	if (proof == TLS_UNTRUSTED && why[0] == '\0')
		snprintf(why, TLS_WHY_MAX, "no TLSA record matches its certificate");
	return proof;
}

enum tls_result
tls_check_failure(SSL *ssl)
{
	switch (SSL_get0_peer_certificate(ssl) ? SSL_get_verify_result(ssl) : X509_V_ERR_UNSPECIFIED) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return TLS_CERTIFICATE_HOST_MISMATCH;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return TLS_CERTIFICATE_EXPIRED;
	case X509_V_ERR_UNSPECIFIED:
		return TLS_VALIDATION_FAILURE;
	default:			/* no TLSA record matches, too */
		return TLS_CERTIFICATE_NOT_TRUSTED;
	}
}
