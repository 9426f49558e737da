/* SPDX-License-Identifier: ISC */
#include "mail/jwt_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"

#define FILE_MAX	16384u		/* octets */
#define RSA_BITS_MIN	2048		/* RFC 7518 section 3.3 */
#define ES256_OCTETS	64u		/* two numbers of 32: section 3.4 */

enum kind { NO_KEY, KEY_RSA, KEY_P256, KEY_ED };

struct jwt_keys { size_t n; struct { EVP_PKEY *key; enum kind kind; } key[JWT_KEYS_MAX]; };

/* ---- the files ---- */

static enum kind
kind_of(EVP_PKEY *key)
{
	char group[32];

	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= RSA_BITS_MIN ? KEY_RSA : NO_KEY;
	if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
		return KEY_ED;
	if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1)
		return strcmp(group, "prime256v1") == 0 ? KEY_P256 : NO_KEY;
	return NO_KEY;
}

/* A certificate's will do, too: that is how some give it away. */
static EVP_PKEY *
parse(struct bytes pem)
{
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = in ? PEM_read_bio_PUBKEY(in, NULL, NULL, NULL) : NULL;
	X509 *certificate = NULL;

	if (in && !key && BIO_reset(in) == 1 && (certificate = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
		key = X509_get_pubkey(certificate);
	X509_free(certificate);
	BIO_free(in);
	ERR_clear_error();
	return key;
}

static bool
read_key(struct jwt_keys *k, const char *path, char *why, size_t cap)
{
	struct buf pem;
	EVP_PKEY *key;
	bool good;

	buf_init(&pem, FILE_MAX);
	good = file_slurp(AT_FDCWD, path, &pem);
	if (!good) {
		snprintf(why, cap, "oauth_jwt_keys: %s: %s", path, strerror(errno));
		buf_fini(&pem);
		return false;
	}
	key = parse(buf_bytes(&pem));
	buf_fini(&pem);
	k->key[k->n].key = key;
	k->key[k->n].kind = key ? kind_of(key) : NO_KEY;
	good = k->key[k->n++].kind != NO_KEY;
	if (!good)
		snprintf(why, cap, "oauth_jwt_keys: %s: %s; right would be a public key in PEM: RSA with at least %d bits, EC on P-256, "
		    "or Ed25519", path, key ? "its key is of another kind" : "there is no public key in it", RSA_BITS_MIN);
	return good;
}

struct jwt_keys *
jwt_keys_read(const struct setting_list *files, char *why, size_t cap)
{
	struct jwt_keys *k = mem_alloc(sizeof *k);

	*k = (struct jwt_keys){ 0 };
	if (files->n > JWT_KEYS_MAX) {
		snprintf(why, cap, "oauth_jwt_keys: too many; right would be %d at most", JWT_KEYS_MAX);
		jwt_keys_free(&k);
		return NULL;
	}
	for (size_t i = 0; i < files->n; i++)
		if (!read_key(k, files->item[i], why, cap)) {
			jwt_keys_free(&k);
			return NULL;
		}
	return k;
}

void
jwt_keys_free(struct jwt_keys **taken)
{
	struct jwt_keys *k = *taken;

	*taken = NULL;
	if (!k)
		return;
	for (size_t i = 0; i < k->n; i++)
		EVP_PKEY_free(k->key[i].key);
	mem_free(k);
}

/* ---- a signature ---- */

/* As OpenSSL wants it: a SEQUENCE of the two. NULL: it is none. */
static unsigned char *
to_der(struct bytes raw, size_t *n)
{
	ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *r = NULL, *t = NULL;
	unsigned char *der = NULL;
	int octets = -1;

	if (s && raw.n == ES256_OCTETS && (r = BN_bin2bn(raw.p, ES256_OCTETS / 2, NULL)) != NULL
	    && (t = BN_bin2bn(raw.p + ES256_OCTETS / 2, ES256_OCTETS / 2, NULL)) != NULL && ECDSA_SIG_set0(s, r, t) == 1) {
		r = t = NULL;			/* they are the signature's now */
		octets = i2d_ECDSA_SIG(s, &der);
	}
	BN_free(r);
	BN_free(t);
	ECDSA_SIG_free(s);
	*n = octets > 0 ? (size_t)octets : 0;
	return octets > 0 ? der : NULL;
}

static bool
set_padding(EVP_PKEY_CTX *c, enum jwt_algorithm a)
{
	if (a == JWT_RS256)
		return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1;
	return a != JWT_PS256 || (EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) == 1
	    && EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1);	/* section 3.5 */
}

static bool
verify(EVP_PKEY *key, const struct jwt *j, struct bytes signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *c = NULL;
	bool good = ctx && EVP_DigestVerifyInit_ex(ctx, &c, j->algorithm == JWT_EDDSA ? NULL : "SHA256", NULL, NULL, key, NULL) == 1
	    && set_padding(c, j->algorithm) && EVP_DigestVerify(ctx, signature.p, signature.n, j->signs.p, j->signs.n) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

bool
jwt_keys_signed(const struct jwt_keys *k, const struct jwt *j)
{
	enum kind want = j->algorithm == JWT_ES256 ? KEY_P256 : j->algorithm == JWT_EDDSA ? KEY_ED : KEY_RSA;
	struct bytes signature = j->signature;
	unsigned char *der = NULL;
	bool good = false;

	if (want == KEY_P256) {
		der = to_der(j->signature, &signature.n);
		signature.p = der;
	}
	for (size_t i = 0; !good && signature.p && i < k->n; i++)
		good = k->key[i].kind == want && verify(k->key[i].key, j, signature);
	OPENSSL_free(der);
	return good;
}
