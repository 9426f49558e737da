/* SPDX-License-Identifier: ISC */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/testing.h"
#include "mail/tls_check.h"

/* ---- a CA, and servers with its certificates ---- */

static EVP_PKEY *ca_key, *leaf_key, *other_key;
static X509 *ca;

static void
add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

/* names: "DNS:a,IP:192.0.2.1", NULL: it is a CA. */
static X509 *
make_cert(const char *cn, const char *names, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, bool expired)
{
	static long serial;
	X509 *cert = X509_new();

	assert_int_equal(X509_set_version(cert, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(cert), expired ? -3600 : 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
	if (!names)
		add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
	else if (names[0] != '\0')
		add_extension(cert, NID_subject_alt_name, names);
	assert_true(X509_sign(cert, issuer_key, EVP_sha256()) > 0);
	return cert;
}

static int
setup(void **state)
{
	(void)state;
	ca_key = EVP_EC_gen("P-256");
	leaf_key = EVP_EC_gen("P-256");
	other_key = EVP_EC_gen("P-256");
	ca = make_cert("A CA", NULL, ca_key, NULL, ca_key, false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(leaf_key);
	EVP_PKEY_free(other_key);
	return 0;
}

/* ---- TLSA records ---- */

static struct dns_tlsa
tlsa(struct arena *a, const char *words, X509 *leaf)
{
	uint8_t usage = (uint8_t)(words[0] - '0'), selector = (uint8_t)(words[2] - '0'), matching = (uint8_t)(words[4] - '0');
	bool other = words[5] == '!';		/* of another key */
	X509 *cert = usage == 2 ? ca : leaf;
	EVP_PKEY *key = other ? other_key : usage == 2 ? ca_key : leaf_key;
	unsigned char *der = NULL, hash[64];
	unsigned hashed = 0;
	int n = selector == 0 ? i2d_X509(cert, &der) : i2d_PUBKEY(key, &der);
	struct dns_tlsa t = { usage, selector, matching, arena_copy(a, bytes_of(der, (size_t)n)) };

	if (matching > 0) {
		assert_int_equal(EVP_Digest(der, (size_t)n, hash, &hashed, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL), 1);
		if (other)
			hash[0] ^= 1;
		t.data = arena_copy(a, bytes_of(hash, hashed));
	}
	OPENSSL_free(der);
	assert_true(tls_tlsa_is_usable(&t));
	return t;
}

/* ---- handshakes ---- */

enum { EXPIRED = 1, SELF_SIGNED = 2, CN_ONLY = 4, NO_CA_SENT = 8, TLS_1_1 = 16 };

struct row {
	const char	*row, *cert;	/* names of the certificate */
	unsigned	 what;
	enum tls_level	 level;
	const char	*names;		/* with spaces between */
	const char	*tlsa[3];	/* "3 1 1", "3 1 1!" of another key */
	const char	*proof;
	bool		 suffices;
};

static const struct row rows[] = {
	{ "a CA's", "DNS:mx.a", 0, TLS_MAY, "mx.a", { NULL }, "ca", true },
	{ "another name", "DNS:mx.b", 0, TLS_MAY, "mx.a", { NULL }, "untrusted", true },
	{ "another name, must", "DNS:mx.b", 0, TLS_MUST, "mx.a", { NULL }, "untrusted", true },
	{ "self-signed, may", "DNS:mx.a", SELF_SIGNED, TLS_MAY, "mx.a", { NULL }, "untrusted", true },
	/* a CA's word */
	{ "secure", "DNS:mx.a", 0, TLS_SECURE, "mx.a", { NULL }, "ca", true },
	{ "secure, second name", "DNS:b", 0, TLS_SECURE, "mx.a b", { NULL }, "ca", true },
	{ "secure, below", "DNS:x.y.a", 0, TLS_SECURE, "b .a", { NULL }, "ca", true },
	{ "secure, below is not itself", "DNS:a", 0, TLS_SECURE, ".a", { NULL }, "untrusted", false },
	{ "secure, expired", "DNS:mx.a", EXPIRED, TLS_SECURE, "mx.a", { NULL }, "untrusted", false },
	{ "secure, self-signed", "DNS:mx.a", SELF_SIGNED, TLS_SECURE, "mx.a", { NULL }, "untrusted", false },
	{ "secure, address", "IP:192.0.2.1", 0, TLS_SECURE, "", { NULL }, "ca", true },
	{ "secure, another address", "IP:192.0.2.2", 0, TLS_SECURE, "", { NULL }, "untrusted", false },
	{ "secure, wildcard", "DNS:*.a.b", 0, TLS_SECURE, "mx.a.b", { NULL }, "ca", true },
	{ "secure, part of a label", "DNS:m*.a.b", 0, TLS_SECURE, "mx.a.b", { NULL }, "untrusted", false },
	/* RFC 8461 section 4.2 */
	{ "sts", "DNS:mx.a.b", 0, TLS_STS, "mx.a.b", { NULL }, "sts", true },
	{ "sts, wildcard", "DNS:*.a.b", 0, TLS_STS, "mx.a.b", { NULL }, "sts", true },
	{ "sts, two labels", "DNS:*.b.c", 0, TLS_STS, "mx.a.b.c", { NULL }, "untrusted", false },
	{ "sts, another name", "DNS:mx.b", 0, TLS_STS, "mx.a", { NULL }, "untrusted", false },
	{ "sts, expired", "DNS:mx.a", EXPIRED, TLS_STS, "mx.a", { NULL }, "untrusted", false },
	{ "sts, no DNS-ID", "mx.a", CN_ONLY, TLS_STS, "mx.a", { NULL }, "untrusted", false },
	/* RFC 7672 section 3.1.1 */
	{ "dane-ee", "DNS:mx.a", SELF_SIGNED, TLS_DANE, "mx.a", { "3 1 1" }, "dane-ee", true },
	{ "dane-ee, certificate", "DNS:mx.a", SELF_SIGNED, TLS_DANE, "mx.a", { "3 0 1" }, "dane-ee", true },
	{ "dane-ee, SHA-512", "DNS:mx.a", SELF_SIGNED, TLS_DANE, "mx.a", { "3 1 2" }, "dane-ee", true },
	{ "dane-ee, whole key", "DNS:mx.a", SELF_SIGNED, TLS_DANE, "mx.a", { "3 1 0" }, "dane-ee", true },
	{ "dane-ee, whole certificate", "DNS:mx.a", 0, TLS_DANE, "mx.a", { "3 0 0" }, "dane-ee", true },
	{ "dane-ee, another name", "DNS:other.b", SELF_SIGNED, TLS_DANE, "mx.a", { "3 1 1" }, "dane-ee", true },
	{ "dane-ee, expired", "DNS:mx.a", SELF_SIGNED | EXPIRED, TLS_DANE, "mx.a", { "3 1 1" }, "dane-ee", true },
	{ "dane-ee, another key", "DNS:mx.a", 0, TLS_DANE, "mx.a", { "3 1 1!" }, "untrusted", false },
	{ "dane-ee, roll-over", "DNS:mx.a", 0, TLS_DANE, "mx.a", { "3 1 1!", "3 1 1" }, "dane-ee", true },
	{ "dane-ee, digest agility", "DNS:mx.a", 0, TLS_DANE, "mx.a", { "3 1 2!", "3 1 1" }, "untrusted", false },
	/* section 3.1.2 and 3.2.2 */
	{ "dane-ta", "DNS:mx.a", 0, TLS_DANE, "mx.a", { "2 0 1" }, "dane-ta", true },
	{ "dane-ta, key", "DNS:mx.a", 0, TLS_DANE, "mx.a", { "2 1 1" }, "dane-ta", true },
	{ "dane-ta, whole", "DNS:mx.a", NO_CA_SENT, TLS_DANE, "mx.a", { "2 0 0" }, "dane-ta", true },
	{ "dane-ta, second name", "DNS:a", 0, TLS_DANE, "mx.a a", { "2 0 1" }, "dane-ta", true },
	{ "dane-ta, another name", "DNS:mx.b", 0, TLS_DANE, "mx.a a", { "2 0 1" }, "untrusted", false },
	{ "dane-ta, expired", "DNS:mx.a", EXPIRED, TLS_DANE, "mx.a", { "2 0 1" }, "untrusted", false },
	{ "dane-ta, CN", "mx.a", CN_ONLY, TLS_DANE, "mx.a", { "2 0 1" }, "dane-ta", true },
	{ "dane-ta, other issuer", "DNS:mx.a", SELF_SIGNED, TLS_DANE, "mx.a", { "2 0 1" }, "untrusted", false },
	{ "dane, either", "DNS:mx.b", 0, TLS_DANE, "mx.a", { "2 0 1", "3 1 1" }, "dane-ee", true },
	/* RFC 8996 */
	{ "TLS 1.1", "DNS:mx.a", TLS_1_1, TLS_MAY, "mx.a", { NULL }, "no handshake", false },
};

static SSL_CTX *
server_context(const struct row *r, X509 **leaf)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	bool self = r->what & SELF_SIGNED, cn = r->what & CN_ONLY;

	*leaf = make_cert(cn ? r->cert : "a server", cn ? "" : r->cert, leaf_key, self ? NULL : ca, self ? leaf_key : ca_key,
	    r->what & EXPIRED);
	assert_int_equal(SSL_CTX_use_certificate(ctx, *leaf), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, leaf_key), 1);
	if (!self && !(r->what & NO_CA_SENT))
		assert_int_equal(SSL_CTX_add1_chain_cert(ctx, ca), 1);
	if (r->what & TLS_1_1) {
		SSL_CTX_set_security_level(ctx, 0);
		SSL_CTX_set_min_proto_version(ctx, TLS1_1_VERSION);
		SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	}
	return ctx;
}

static void
decide(const struct row *r, struct arena *a, X509 *leaf, struct tls_decision *d)
{
	struct bytes names = text(r->names);
	struct dns_tlsa *records = arena_array(a, LEN(r->tlsa), sizeof *records);

	*d = (struct tls_decision){ .level = r->level };
	while (names.n > 0)
		d->names[d->nnames++] = bytes_cut(&names, ' ');
	if (d->nnames > 0 && d->names[0].p[0] != '.')
		d->sni = d->names[0];
	for (size_t i = 0; i < LEN(r->tlsa) && r->tlsa[i]; i++) {
		records[i] = tlsa(a, r->tlsa[i], leaf);
		d->tlsa[d->ntlsa++] = &records[i];
	}
}

static bool
shake_hands(SSL *client, SSL *server)
{
	BIO *near, *far;

	assert_int_equal(BIO_new_bio_pair(&near, 0, &far, 0), 1);
	SSL_set_bio(client, near, near);
	SSL_set_bio(server, far, far);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (unsigned i = 0; i < 20 && !(SSL_is_init_finished(client) && SSL_is_init_finished(server)); i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	ERR_clear_error();
	return SSL_is_init_finished(client) && SSL_is_init_finished(server);
}

static void
check_row(const struct row *r, SSL_CTX *ctx)
{
	struct arena *a = arena_new(65536);
	struct address address;
	struct tls_decision d;
	enum tls_proof proof;
	char why[TLS_WHY_MAX];
	X509 *leaf;
	SSL_CTX *server_ctx = server_context(r, &leaf);
	SSL *client = SSL_new(ctx), *server = SSL_new(server_ctx);
	bool spoken;

	assert_true(address_parse(text("192.0.2.1"), &address));
	decide(r, a, leaf, &d);
	assert_row_int(r->row, tls_check_apply(client, &d, &address), true);
	spoken = shake_hands(client, server);
	assert_row_int(r->row, spoken, strcmp(r->proof, "no handshake") != 0);
	if (spoken) {
		const char *sni = SSL_get_servername(server, TLSEXT_NAMETYPE_host_name);

		proof = tls_check_result(client, &d, why);
		assert_row_bytes(r->row, text(tls_proof_name(proof)), text(r->proof));
		assert_row_int(r->row, tls_check_suffices(&d, proof), r->suffices);
		assert_row_int(r->row, why[0] != '\0', proof == TLS_UNTRUSTED);
		assert_row_bytes(r->row, text(sni), d.sni);
	}
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(server_ctx);
	X509_free(leaf);
	arena_free(&a);
}

static void
test_handshakes(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	(void)state;
	assert_true(tls_check_context(ctx));
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca), 1);
	for (size_t i = 0; i < LEN(rows); i++)
		check_row(&rows[i], ctx);
	SSL_CTX_free(ctx);
}

/* TLSA records stand for themselves: no CA is needed, nor believed. */
static void
test_without_ca(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	const struct row good = { "dane-ta, no CAs", "DNS:mx.a", 0, TLS_DANE, "mx.a", { "2 0 1" }, "dane-ta", true },
	    bad = { "secure, no CAs", "DNS:mx.a", 0, TLS_SECURE, "mx.a", { NULL }, "untrusted", false };

	(void)state;
	assert_true(tls_check_context(ctx));
	check_row(&good, ctx);
	check_row(&bad, ctx);
	SSL_CTX_free(ctx);
}

static void
test_no_such_name(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	static char longest[300];
	struct tls_decision d = { .level = TLS_SECURE, .nnames = 1, .names = { text("a") } };
	struct address address = { { 0 } };

	(void)state;
	assert_true(tls_check_context(ctx));
	ssl = SSL_new(ctx);
	memset(longest, 'a', sizeof longest - 1);
	d.sni = text(longest);
	assert_false(tls_check_apply(ssl, &d, &address));
	d.sni = OCTETS("a\0b");
	assert_false(tls_check_apply(ssl, &d, &address));
	d.sni = text("a");
	assert_true(tls_check_apply(ssl, &d, &address));
	d.names[0] = OCTETS("a\0b");
	assert_false(tls_check_apply(ssl, &d, &address));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_without_ca),
		cmocka_unit_test(test_no_such_name),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
