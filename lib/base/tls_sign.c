/* SPDX-License-Identifier: ISC */
#include "base/tls_sign.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

const struct tls_scheme tls_schemes[] = {
	{ 0x0401, "RSA", "SHA256", false }, { 0x0501, "RSA", "SHA384", false }, { 0x0601, "RSA", "SHA512", false },
	{ 0x0804, "RSA", "SHA256", true },  { 0x0805, "RSA", "SHA384", true },  { 0x0806, "RSA", "SHA512", true },
	{ 0x0403, "EC", "SHA256", false },  { 0x0503, "EC", "SHA384", false },  { 0x0603, "EC", "SHA512", false },
	{ 0x0807, "ED25519", "", false },
	{ 0, NULL, NULL, false }
};

/* OpenSSL has many names for each: "SHA2-256", "SHA256", "2.16.840.1.101.3.4.2.1". */
static bool
is_digest(const char *name, const EVP_MD *md)
{
	return md ? name[0] != '\0' && EVP_MD_is_a(md, name) : name[0] == '\0';
}

const struct tls_scheme *
tls_scheme_find(const EVP_PKEY *key, const char *digest, bool pss)
{
	bool none = !digest || digest[0] == '\0';
	EVP_MD *md = none ? NULL : EVP_MD_fetch(NULL, digest, NULL);
	const struct tls_scheme *found = NULL;

	for (const struct tls_scheme *t = tls_schemes; (md || none) && !found && t->number != 0; t++)
		if (EVP_PKEY_is_a(key, t->type) && is_digest(t->digest, md) && t->pss == pss)
			found = t;
	EVP_MD_free(md);
	return found;
}

static const struct tls_scheme *
numbered(const EVP_PKEY *key, unsigned scheme)
{
	for (const struct tls_scheme *t = tls_schemes; t->number != 0; t++)
		if (t->number == scheme)
			return EVP_PKEY_is_a(key, t->type) ? t : NULL;
	return NULL;
}

static bool
is_type(const EVP_PKEY *key)
{
	for (const struct tls_scheme *t = tls_schemes; t->number != 0; t++)
		if (EVP_PKEY_is_a(key, t->type))
			return true;
	return false;
}

/* RFC 8446 section 4.2.3: each number of ECDSA has its curve. */
static bool
is_curve(const EVP_PKEY *key)
{
	static const char *const curves[] = { "prime256v1", "secp384r1", "secp521r1" };
	char group[64];

	for (size_t i = 0; i < LEN(curves) && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1; i++)
		if (strcmp(group, curves[i]) == 0)
			return true;
	return false;
}

bool
tls_sign_serves(const EVP_PKEY *key)
{
	bool good = is_type(key) && (!EVP_PKEY_is_a(key, "EC") || is_curve(key)) && EVP_PKEY_get_size(key) <= TLS_SIGNATURE_MAX;

	ERR_clear_error();
	return good;
}

static bool
begin(EVP_MD_CTX *c, const struct tls_scheme *t, EVP_PKEY *key)
{
	EVP_PKEY_CTX *k;

	if (EVP_DigestSignInit_ex(c, &k, t->digest[0] == '\0' ? NULL : t->digest, NULL, NULL, key, NULL) != 1)
		return false;
	return !t->pss || (EVP_PKEY_CTX_set_rsa_padding(k, RSA_PKCS1_PSS_PADDING) == 1
	    && EVP_PKEY_CTX_set_rsa_pss_saltlen(k, RSA_PSS_SALTLEN_DIGEST) == 1);
}

size_t
tls_sign(EVP_PKEY *key, unsigned scheme, struct bytes to_sign, unsigned char *out)
{
	const struct tls_scheme *t = numbered(key, scheme);
	EVP_MD_CTX *c = t ? EVP_MD_CTX_new() : NULL;
	size_t n = TLS_SIGNATURE_MAX;
	bool good = c && (size_t)EVP_PKEY_get_size(key) <= n && begin(c, t, key)
	    && EVP_DigestSign(c, out, &n, to_sign.p, to_sign.n) == 1;

	EVP_MD_CTX_free(c);
	ERR_clear_error();
	return good ? n : 0;
}
