/* SPDX-License-Identifier: ISC */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/testing.h"
#include "base/tls_key.h"

/* Whole handshakes in one process: a server whose key is known by its number, a client that verifies. */

struct asked { struct tls_signing *s; uint32_t key; unsigned scheme; unsigned char octets[TLS_SIGNED_MAX]; size_t n; };

static struct asked asked;
static unsigned asks;

static void
on_ask(void *arg, struct tls_signing *s, uint32_t key, unsigned scheme, struct bytes to_sign)
{
	assert_ptr_equal(arg, &asked);
	assert_null(asked.s);
	assert_true(to_sign.n <= sizeof asked.octets);
	asked = (struct asked){ .s = s, .key = key, .scheme = scheme, .n = to_sign.n };
	memcpy(asked.octets, to_sign.p, to_sign.n);
	asks++;
}

static X509 *
certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mx.test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	return x;
}

static EVP_PKEY *
new_key(const char *type)
{
	return strcmp(type, "RSA") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
	    : strcmp(type, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
	    : EVP_PKEY_Q_keygen(NULL, NULL, "EC", type);
}

struct side { SSL_CTX *ctx; SSL *ssl; };

static struct side
side_new(int version, const SSL_METHOD *method)
{
	struct side s = { .ctx = SSL_CTX_new(method) };

	assert_int_equal(SSL_CTX_set_min_proto_version(s.ctx, version), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(s.ctx, version), 1);
	return s;
}

static void
side_free(struct side *s)
{
	SSL_free(s->ssl);
	SSL_CTX_free(s->ctx);
}

/* As keys would: the answer to what was asked. False: nobody has asked. */
static bool
answer(EVP_PKEY *key)
{
	unsigned char signature[TLS_SIGNATURE_MAX];
	struct tls_signing *s = asked.s;

	if (!s)
		return false;
	asked.s = NULL;
	tls_signed(s, key ? bytes_of(signature, tls_sign(key, asked.scheme, bytes_of(asked.octets, asked.n), signature)) : text(NULL));
	return true;
}

/* True: both sides are through it. key NULL: the signature is refused. */
static bool
handshake(struct side *server, struct side *client, EVP_PKEY *key)
{
	BIO *a, *b;
	int s = 0, c = 0, paused = 0;

	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	server->ssl = SSL_new(server->ctx);
	client->ssl = SSL_new(client->ctx);
	SSL_set_bio(server->ssl, a, a);
	SSL_set_bio(client->ssl, b, b);
	SSL_set_accept_state(server->ssl);
	SSL_set_connect_state(client->ssl);
	SSL_set_mode(server->ssl, SSL_MODE_ASYNC);
	for (int i = 0; i < 50 && (s != 1 || c != 1); i++) {
		c = SSL_do_handshake(client->ssl);
		s = SSL_do_handshake(server->ssl);
		if (s != 1 && SSL_get_error(server->ssl, s) == SSL_ERROR_WANT_ASYNC) {
			paused++;
			assert_int_equal(SSL_do_handshake(server->ssl), -1);	/* it waits, however often it is looked at */
			assert_true(answer(key));
		}
	}
	ERR_clear_error();
	assert_int_equal(paused, 1);
	return s == 1 && c == 1;
}

static const struct {
	const char	*type;
	int		 version;
	const char	*sigalgs;
	unsigned	 scheme;
} rows[] = {
	{ "RSA",	TLS1_3_VERSION,	"rsa_pss_rsae_sha256",	0x0804 },
	{ "RSA",	TLS1_3_VERSION,	"rsa_pss_rsae_sha384",	0x0805 },
	{ "RSA",	TLS1_3_VERSION,	"rsa_pss_rsae_sha512",	0x0806 },
	{ "RSA",	TLS1_2_VERSION,	"rsa_pss_rsae_sha256",	0x0804 },
	{ "RSA",	TLS1_2_VERSION,	"rsa_pkcs1_sha256",	0x0401 },
	{ "RSA",	TLS1_2_VERSION,	"rsa_pkcs1_sha384",	0x0501 },
	{ "RSA",	TLS1_2_VERSION,	"rsa_pkcs1_sha512",	0x0601 },
	{ "P-256",	TLS1_3_VERSION,	"ecdsa_secp256r1_sha256", 0x0403 },
	{ "P-384",	TLS1_3_VERSION,	"ecdsa_secp384r1_sha384", 0x0503 },
	{ "P-256",	TLS1_2_VERSION,	"ECDSA+SHA256",		0x0403 },
	{ "P-256",	TLS1_2_VERSION,	"ECDSA+SHA512",		0x0603 },
	{ "ED25519",	TLS1_3_VERSION,	"ed25519",		0x0807 },
	{ "ED25519",	TLS1_2_VERSION,	"ed25519",		0x0807 },
};

static void
one(size_t i, bool refused)
{
	EVP_PKEY *key = new_key(rows[i].type), *remote;
	struct side server = side_new(rows[i].version, TLS_server_method()), client = side_new(rows[i].version, TLS_client_method());
	X509 *x = certificate(key);

	remote = tls_key_new(X509_get0_pubkey(x), 7);
	assert_non_null(remote);
	assert_int_equal(SSL_CTX_use_certificate(server.ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server.ctx, remote), 1);
	assert_int_equal(SSL_CTX_check_private_key(server.ctx), 1);
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(client.ctx), x), 1);
	SSL_CTX_set_verify(client.ctx, SSL_VERIFY_PEER, NULL);
	assert_row_int(rows[i].sigalgs, SSL_CTX_set1_sigalgs_list(client.ctx, rows[i].sigalgs), 1);
	asks = 0;
	assert_row_int(rows[i].sigalgs, handshake(&server, &client, refused ? NULL : key), !refused);
	assert_int_equal(asks, 1);
	assert_int_equal(asked.key, 7);
	assert_row_int(rows[i].sigalgs, asked.scheme, rows[i].scheme);
	EVP_PKEY_free(remote);
	EVP_PKEY_free(key);
	X509_free(x);
	side_free(&server);
	side_free(&client);
}

static void
test_handshakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		one(i, false);
}

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		one(i, true);
}

/* A key of another certificate is noticed where it is configured. */
static void
test_of_another_certificate(void **state)
{
	EVP_PKEY *key = new_key("P-256"), *other = new_key("P-256"), *remote = tls_key_new(other, 1);
	struct side server = side_new(TLS1_3_VERSION, TLS_server_method());
	X509 *x = certificate(key);

	(void)state;
	assert_int_equal(SSL_CTX_use_certificate(server.ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server.ctx, remote), 0);
	ERR_clear_error();
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	EVP_PKEY_free(remote);
	X509_free(x);
	side_free(&server);
}

/* Without a handshake there is nothing that could wait: no signature, and nobody is asked. */
static void
test_not_in_a_handshake(void **state)
{
	EVP_PKEY *key = new_key("RSA"), *remote = tls_key_new(key, 1);
	unsigned char out[TLS_SIGNATURE_MAX];

	(void)state;
	asks = 0;
	assert_int_equal(tls_sign(remote, 0x0804, OCTETS("octets"), out), 0);
	assert_int_equal(asks, 0);
	EVP_PKEY_free(remote);
	EVP_PKEY_free(key);
}

static void
test_kinds_without_a_scheme(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");

	(void)state;
	assert_null(tls_key_new(key, 1));
	EVP_PKEY_free(key);
}

static void
test_kinds_that_are_served(void **state)
{
	static const struct { const char *type, *curve; bool served; } kinds[] = {
		{ "RSA", NULL, true }, { "RSA-PSS", NULL, false }, { "ED25519", NULL, true }, { "ED448", NULL, false },
		{ "EC", "P-256", true }, { "EC", "P-384", true }, { "EC", "P-521", true }, { "EC", "P-224", false },
		{ "EC", "secp256k1", false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(kinds); i++) {
		EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, kinds[i].type, NULL);
		EVP_PKEY *key = NULL;

		assert_int_equal(EVP_PKEY_keygen_init(c), 1);
		if (kinds[i].curve)
			assert_int_equal(EVP_PKEY_CTX_set_group_name(c, kinds[i].curve), 1);
		assert_int_equal(EVP_PKEY_keygen(c, &key), 1);
		if (tls_sign_serves(key) != kinds[i].served)
			fail_msg("%s %s", kinds[i].type, kinds[i].curve ? kinds[i].curve : "");
		EVP_PKEY_free(key);
		EVP_PKEY_CTX_free(c);
	}
}

static void
test_sign(void **state)
{
	EVP_PKEY *rsa = new_key("RSA"), *ec = new_key("P-256");
	unsigned char out[TLS_SIGNATURE_MAX];

	(void)state;
	assert_int_equal(tls_sign(rsa, 0x0804, OCTETS("octets"), out), 256);
	assert_int_equal(tls_sign(rsa, 0x0401, OCTETS("octets"), out), 256);
	assert_true(tls_sign(ec, 0x0403, OCTETS("octets"), out) > 0);
	assert_int_equal(tls_sign(rsa, 0x0403, OCTETS("octets"), out), 0);	/* of another type */
	assert_int_equal(tls_sign(ec, 0x0804, OCTETS("octets"), out), 0);
	assert_int_equal(tls_sign(rsa, 0x0201, OCTETS("octets"), out), 0);	/* SHA-1 */
	assert_int_equal(tls_sign(rsa, 0, OCTETS("octets"), out), 0);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_of_another_certificate),
		cmocka_unit_test(test_not_in_a_handshake),
		cmocka_unit_test(test_kinds_without_a_scheme),
		cmocka_unit_test(test_kinds_that_are_served),
		cmocka_unit_test(test_sign),
	};

	if (!tls_key_init(on_ask, &asked))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
