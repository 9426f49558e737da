/* SPDX-License-Identifier: ISC */
/*
 * The provider holds next to nothing: a key is the public half, which the default
 * provider has, and a number; a signature is a question. Everything that OpenSSL asks
 * of a key (size, group, is it the certificate's) is passed on to the public half.
 *
 * Its keys cannot be exported. So libssl, which prefers the default provider for any
 * operation, finds that it cannot move the key there, and comes here.
 */
#include "base/tls_key.h"

#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/mem.h"

#define KEY_PARAM	"hermod-key"	/* its number */

struct remote_key {
	EVP_PKEY	*public_key;	/* owned; NULL: nothing was imported yet */
	uint32_t	 number;
	bool		 numbered;	/* there is a private half, elsewhere */
};

struct signature {			/* of OpenSSL's one-shot signing */
	struct remote_key *key;		/* borrowed from the EVP_PKEY, which outlives it */
	char		 digest[32];	/* as OpenSSL calls it; empty: none */
	bool		 pss;
};

struct tls_signing {
	unsigned char	 signature[TLS_SIGNATURE_MAX];
	size_t		 n;
	bool		 done;
	ASYNC_callback_fn wake;		/* who waits; NULL: nobody does yet */
	void		*wake_arg;
};

static struct {			/* a provider's functions get no pointer of ours; for the life of the process */
	tls_key_ask	 ask;
	void		*arg;
	OSSL_PROVIDER	*standard, *ours;
} process;

/* ---- keys ---- */

static void *
key_new(void *provider)
{
	(void)provider;
	return mem_alloc(sizeof(struct remote_key));
}

static void
key_free(void *p)
{
	struct remote_key *k = p;

	if (k)
		EVP_PKEY_free(k->public_key);
	mem_free(k);
}

static int
key_has(const void *p, int selection)
{
	const struct remote_key *k = p;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && !k->numbered)
		return 0;
	return !(selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) || k->public_key != NULL;
}

static int
key_match(const void *a, const void *b, int selection)
{
	const struct remote_key *x = a, *y = b;

	(void)selection;
	return x->public_key && y->public_key && EVP_PKEY_eq(x->public_key, y->public_key) == 1;
}

static int
import(void *p, const char *type, const OSSL_PARAM params[])
{
	struct remote_key *k = p;
	const OSSL_PARAM *number = OSSL_PARAM_locate_const(params, KEY_PARAM);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, "provider=default");
	bool good = c && !k->public_key && EVP_PKEY_fromdata_init(c) == 1
	    && EVP_PKEY_fromdata(c, &k->public_key, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) == 1;

	EVP_PKEY_CTX_free(c);
	if (good && number)
		good = k->numbered = OSSL_PARAM_get_uint32(number, &k->number) == 1;
	return good;
}

static int
import_rsa(void *p, int selection, const OSSL_PARAM params[])
{
	(void)selection;
	return import(p, "RSA", params);
}

static int
import_ec(void *p, int selection, const OSSL_PARAM params[])
{
	(void)selection;
	return import(p, "EC", params);
}

static int
import_ed25519(void *p, int selection, const OSSL_PARAM params[])
{
	(void)selection;
	return import(p, "ED25519", params);
}

static const OSSL_PARAM *
import_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0), OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_uint32(KEY_PARAM, NULL), OSSL_PARAM_END
	};

	(void)selection;
	return types;
}

static int
key_get_params(void *p, OSSL_PARAM params[])
{
	struct remote_key *k = p;

	return k->public_key && EVP_PKEY_get_params(k->public_key, params) == 1;
}

static const OSSL_PARAM *
key_gettable_params(void *provider)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL), OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL), OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0), OSSL_PARAM_END
	};

	(void)provider;
	return known;
}

static const char *
ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define F(number, function) { number, (void (*)(void))(function) }
#define KEYS(import_function) \
	F(OSSL_FUNC_KEYMGMT_NEW, key_new), F(OSSL_FUNC_KEYMGMT_FREE, key_free), F(OSSL_FUNC_KEYMGMT_HAS, key_has), \
	F(OSSL_FUNC_KEYMGMT_MATCH, key_match), F(OSSL_FUNC_KEYMGMT_IMPORT, import_function), \
	F(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, import_types), F(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params), \
	F(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params)

static const OSSL_DISPATCH rsa_keys[] = { KEYS(import_rsa), { 0, NULL } };
static const OSSL_DISPATCH ec_keys[] = {
	KEYS(import_ec), F(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation), { 0, NULL }
};
static const OSSL_DISPATCH ed25519_keys[] = { KEYS(import_ed25519), { 0, NULL } };

/* ---- signatures ---- */

static void *
sign_new(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return mem_alloc(sizeof(struct signature));
}

static void
sign_free(void *p)
{
	mem_free(p);
}

static void *
sign_dup(void *p)
{
	struct signature *s = mem_alloc(sizeof *s);

	*s = *(struct signature *)p;
	return s;
}

static int
sign_set_params(void *p, const OSSL_PARAM params[])
{
	struct signature *s = p;
	const OSSL_PARAM *pad = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	const char *word = NULL;
	int number = 0;

	if (!pad)
		return 1;		/* the salt is as long as the digest, whatever else is asked: RFC 8446 section 4.2.3 */
	if (pad->data_type == OSSL_PARAM_UTF8_STRING) {
		if (!OSSL_PARAM_get_utf8_string_ptr(pad, &word))
			return 0;
		s->pss = strcmp(word, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
		return s->pss || strcmp(word, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0;
	}
	if (!OSSL_PARAM_get_int(pad, &number))
		return 0;
	s->pss = number == RSA_PKCS1_PSS_PADDING;
	return s->pss || number == RSA_PKCS1_PADDING;
}

static const OSSL_PARAM *
sign_settable_params(void *p, void *provider)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0), OSSL_PARAM_END
	};

	(void)p;
	(void)provider;
	return known;
}

static int
sign_init(void *p, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signature *s = p;

	s->key = key;
	s->digest[0] = '\0';
	if (digest && !bytes_to_text(text(digest), s->digest, sizeof s->digest))
		return 0;
	return !params || sign_set_params(s, params);
}

void
tls_signed(struct tls_signing *t, struct bytes signature)
{
	must(!t->done);
	t->done = true;
	if (signature.n > 0 && signature.n <= sizeof t->signature) {
		memcpy(t->signature, signature.p, signature.n);
		t->n = signature.n;
	}
	if (t->wake)
		t->wake(t->wake_arg);
}

/* A job cannot be cancelled: conn sees each to its end, which comes with the answer. */
static struct bytes
signature_of(struct tls_signing *t, ASYNC_JOB *job, uint32_t key, unsigned scheme, struct bytes to_sign)
{
	process.ask(process.arg, t, key, scheme, to_sign);
	if (!t->done && ASYNC_WAIT_CTX_get_callback(ASYNC_get_wait_ctx(job), &t->wake, &t->wake_arg) != 1)
		t->wake = NULL;
	while (!t->done)
		ASYNC_pause_job();
	return bytes_of(t->signature, t->n);
}

static int
sign(void *p, unsigned char *out, size_t *n, size_t max, const unsigned char *data, size_t octets)
{
	const struct signature *s = p;
	const struct tls_scheme *scheme;
	struct tls_signing *t;
	struct bytes got;
	ASYNC_JOB *job;
	bool good;

	if (!out) {
		*n = (size_t)EVP_PKEY_get_size(s->key->public_key);
		return *n > 0;
	}
	job = ASYNC_get_current_job();
	scheme = tls_scheme_find(s->key->public_key, s->digest, s->pss);
	if (!job || !scheme || !s->key->numbered || octets > TLS_SIGNED_MAX)
		return 0;
	t = mem_alloc(sizeof *t);
	got = signature_of(t, job, s->key->number, scheme->number, bytes_of(data, octets));
	good = got.n > 0 && got.n <= max;
	if (good) {
		memcpy(out, got.p, got.n);
		*n = got.n;
	}
	mem_free(t);
	return good;
}

static const OSSL_DISPATCH signatures[] = {
	F(OSSL_FUNC_SIGNATURE_NEWCTX, sign_new), F(OSSL_FUNC_SIGNATURE_FREECTX, sign_free),
	F(OSSL_FUNC_SIGNATURE_DUPCTX, sign_dup), F(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sign_init),
	F(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign), F(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, sign_set_params),
	F(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, sign_settable_params), { 0, NULL }
};

/* ---- the provider ---- */

#define PROPERTIES "provider=hermod"

static const OSSL_ALGORITHM all_keys[] = {
	{ "RSA:rsaEncryption", PROPERTIES, rsa_keys, NULL },
	{ "EC:id-ecPublicKey", PROPERTIES, ec_keys, NULL },
	{ "ED25519", PROPERTIES, ed25519_keys, NULL },
	{ NULL, NULL, NULL, NULL }
};
static const OSSL_ALGORITHM all_signatures[] = {
	{ "RSA:rsaEncryption", PROPERTIES, signatures, NULL },
	{ "ECDSA", PROPERTIES, signatures, NULL },
	{ "ED25519", PROPERTIES, signatures, NULL },
	{ NULL, NULL, NULL, NULL }
};

static const OSSL_ALGORITHM *
query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? all_keys : operation == OSSL_OP_SIGNATURE ? all_signatures : NULL;
}

static int
provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **provider)
{
	static const OSSL_DISPATCH functions[] = { F(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), { 0, NULL } };

	(void)in;
	*provider = (void *)handle;
	*out = functions;
	return 1;
}

bool
tls_key_init(tls_key_ask ask, void *arg)
{
	process.ask = ask;
	process.arg = arg;
	/* A provider that is loaded by hand stops the default one from being loaded by itself; and what both could do is
	 * the default one's. */
	return (process.standard = OSSL_PROVIDER_load(NULL, "default")) != NULL
	    && OSSL_PROVIDER_add_builtin(NULL, "hermod", provider_init) == 1
	    && (process.ours = OSSL_PROVIDER_load(NULL, "hermod")) != NULL && EVP_set_default_properties(NULL, "?provider=default") == 1;
}

static const char *
type_of(EVP_PKEY *key)
{
	static const char *const types[] = { "RSA", "EC", "ED25519" };

	for (size_t i = 0; i < LEN(types); i++)
		if (EVP_PKEY_is_a(key, types[i]))
			return types[i];
	return NULL;
}

EVP_PKEY *
tls_key_new(EVP_PKEY *public_key, uint32_t number)
{
	OSSL_PARAM numbered[] = { OSSL_PARAM_uint32(KEY_PARAM, &number), OSSL_PARAM_END }, *public_params = NULL, *params = NULL;
	const char *type = type_of(public_key);
	EVP_PKEY_CTX *c = type ? EVP_PKEY_CTX_new_from_name(NULL, type, PROPERTIES) : NULL;
	EVP_PKEY *key = NULL;

	if (c && EVP_PKEY_todata(public_key, EVP_PKEY_PUBLIC_KEY, &public_params) == 1
	    && (params = OSSL_PARAM_merge(public_params, numbered)) != NULL && EVP_PKEY_fromdata_init(c) == 1
	    && EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	OPENSSL_free(params);
	OSSL_PARAM_free(public_params);
	EVP_PKEY_CTX_free(c);
	return key;
}
