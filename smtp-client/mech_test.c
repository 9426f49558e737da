/* SPDX-License-Identifier: ISC */
#include "base/testing.h"

#include <openssl/x509.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "smtp-client/login.h"

static const struct login password = { .user = { (const unsigned char *)"user", 4 }, .secret = { (const unsigned char *)"pencil", 6 } };
static const struct login token = { .user = { (const unsigned char *)"user", 4 }, .secret = { (const unsigned char *)"t", 1 },
    .oauth = true };

/* Of those that say all at once. */
static void
test_first_messages(void **state)
{
	static const struct { const char *name; bool oauth; struct bytes want; enum mech_result result; } cases[] = {
		{ "PLAIN", false, { (const unsigned char *)"\0user\0pencil", 12 }, MECH_ENOUGH },
		{ "LOGIN", false, { NULL, 0 }, MECH_MORE },
		{ "OAUTHBEARER", true, { (const unsigned char *)"n,a=user,\1auth=Bearer t\1\1", 25 }, MECH_ENOUGH },
		{ "XOAUTH2", true, { (const unsigned char *)"user=user\1auth=Bearer t\1\1", 25 }, MECH_ENOUGH },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct mech *m = mech_new(cases[i].oauth ? &token : &password, cases[i].name, NULL, text(cases[i].name));
		struct bytes got;

		assert_non_null(m);
		assert_row_int(cases[i].name, mech_begin(m, NULL, &got), cases[i].result);
		assert_row_bytes(cases[i].name, got, cases[i].want);
		assert_row_int(cases[i].name, got.p == NULL, cases[i].want.p == NULL);
		mech_free(&m);
	}
}

static void
test_login(void **state)
{
	struct mech *m = mech_new(&password, "LOGIN", NULL, text("LOGIN"));
	struct bytes got;

	(void)state;
	assert_int_equal(mech_begin(m, NULL, &got), MECH_MORE);
	assert_int_equal(mech_step(m, text("Username:"), &got), MECH_MORE);
	assert_bytes_equal(got, text("user"));
	assert_int_equal(mech_step(m, text("Password:"), &got), MECH_ENOUGH);
	assert_bytes_equal(got, text("pencil"));
	assert_int_equal(mech_step(m, text("And now?"), &got), MECH_BROKEN);
	mech_free(&m);
}

/* What a server may say first, %.*s the client's nonce. */
static const struct { const char *first; enum mech_result want; } firsts[] = {
	{ "r=%.*sabc,s=QSXCR+Q6sek8bf92,i=4096", MECH_MORE },
	{ "r=%.*sabc,s=QSXCR+Q6sek8bf92,i=200000", MECH_BROKEN },	/* the library has a limit, too, and a lower one */
	{ "r=%.*sabc,s=QSXCR+Q6sek8bf92,i=200001", MECH_BROKEN },
	{ "r=%.*sabc,s=QSXCR+Q6sek8bf92,i=2147483647", MECH_BROKEN },
	{ "r=%.*sabc,s=QSXCR+Q6sek8bf92,i=99999999999999999999", MECH_BROKEN },
	{ "r=%.*sabc,s=QSXCR+Q6sek8bf92,i=-1", MECH_BROKEN },
	{ "r=%.*sabc,s=QSXCR+Q6sek8bf92", MECH_BROKEN },
	{ "r=%.*sabc,s=,i=4096", MECH_BROKEN },
	{ "m=x,r=%.*sabc,s=QSXCR+Q6sek8bf92,i=4096", MECH_BROKEN },
	{ "r=x%.*sabc,s=QSXCR+Q6sek8bf92,i=4096", MECH_BROKEN },
	{ "%.*s", MECH_BROKEN },
	{ "", MECH_BROKEN },
};

static void
first_of(const char *name, const char *format, enum mech_result want)
{
	struct mech *m = mech_new(&password, name, NULL, text(name));
	struct bytes got, nonce;
	struct buf said;
	uint64_t began;

	buf_init(&said, 1000);
	assert_int_equal(mech_begin(m, NULL, &got), MECH_MORE);
	assert_true(bytes_starts(got, text("n,,n=user,r=")));
	nonce = bytes_skip(got, strlen("n,,n=user,r="));
	assert_true(nonce.n >= 24);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	buf_fmt(&said, format, BYTES_FMT(nonce));
#pragma GCC diagnostic pop
	began = clock_mono_ms();
	assert_row_int(format, mech_step(m, buf_bytes(&said), &got), want);
	assert_true(clock_mono_ms() - began < 5000);
	if (want == MECH_MORE) {
		assert_true(bytes_starts(got, text("c=biws,r=")));
		assert_int_equal(mech_step(m, text("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), &got), MECH_BROKEN);
	}
	assert_true(mech_why(m)[0] != '\0');
	buf_fini(&said);
	mech_free(&m);
}

static void
test_scram(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(firsts); i++) {
		first_of("SCRAM-SHA-1", firsts[i].first, firsts[i].want);
		first_of("SCRAM-SHA-256", firsts[i].first, firsts[i].want);
	}
}

static void
test_oauth_error(void **state)
{
	struct mech *m = mech_new(&token, "OAUTHBEARER", NULL, text(""));
	struct bytes got;

	(void)state;
	assert_int_equal(mech_begin(m, NULL, &got), MECH_ENOUGH);
	assert_int_equal(mech_step(m, text("{\"status\":\"invalid_token\"}"), &got), MECH_MORE);
	assert_bytes_equal(got, text("\1"));
	assert_non_null(strstr(mech_why(m), "invalid_token"));
	assert_int_equal(mech_step(m, text("{}"), &got), MECH_BROKEN);
	mech_free(&m);
}

/* ---- bound to TLS ---- */

struct pair { SSL_CTX *ctx[2]; SSL *ssl[2]; };		/* client, server */

static void
certify(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
pair_begin(struct pair *p, int version)
{
	BIO *client, *server;

	p->ctx[0] = SSL_CTX_new(TLS_client_method());
	p->ctx[1] = SSL_CTX_new(TLS_server_method());
	certify(p->ctx[1]);
	assert_int_equal(BIO_new_bio_pair(&client, 0, &server, 0), 1);
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX_set_max_proto_version(p->ctx[i], version);
		p->ssl[i] = SSL_new(p->ctx[i]);
	}
	SSL_set_bio(p->ssl[0], client, client);
	SSL_set_bio(p->ssl[1], server, server);
	SSL_set_connect_state(p->ssl[0]);
	SSL_set_accept_state(p->ssl[1]);
	for (size_t i = 0; i < 20; i++)
		(void)SSL_do_handshake(p->ssl[i % 2]);
	assert_true(SSL_is_init_finished(p->ssl[0]) && SSL_is_init_finished(p->ssl[1]));
}

static void
pair_end(struct pair *p)
{
	for (size_t i = 0; i < 2; i++) {
		SSL_free(p->ssl[i]);
		SSL_CTX_free(p->ctx[i]);
	}
}

/* RFC 5802 section 7: "c=" is the GS2 header and the channel, in base64. */
static void
expect_bound(SSL *client, const char *header, struct bytes channel)
{
	struct mech *m = mech_new(&password, "SCRAM-SHA-256-PLUS", client, text("SCRAM-SHA-256-PLUS"));
	struct buf said, want;
	struct bytes got;

	buf_init(&said, 1000);
	buf_init(&want, 1000);
	assert_non_null(m);
	assert_int_equal(mech_begin(m, NULL, &got), MECH_MORE);
	assert_true(bytes_starts(got, text(header)));
	buf_fmt(&said, "%.*sx,s=QSXCR+Q6sek8bf92,i=4096", BYTES_FMT(bytes_skip(got, strlen(header) + strlen("n=user,"))));
	assert_int_equal(mech_step(m, buf_bytes(&said), &got), MECH_MORE);
	buf_clear(&said);
	buf_text(&said, header);
	buf_add(&said, channel);
	buf_text(&want, "c=");
	base64_encode(buf_bytes(&said), &want);
	buf_char(&want, ',');
	assert_bytes_equal(bytes_head(got, want.n), buf_bytes(&want));
	buf_fini(&said);
	buf_fini(&want);
	mech_free(&m);
}

/* As the server sees the channel. */
static void
test_binding(void **state)
{
	unsigned char channel[64];
	struct pair p;
	size_t n;

	(void)state;
	pair_begin(&p, TLS1_3_VERSION);
	assert_true(mech_binds(p.ssl[0]));
	assert_int_equal(SSL_export_keying_material(p.ssl[1], channel, 32, "EXPORTER-Channel-Binding", 24, NULL, 0, 0), 1);
	expect_bound(p.ssl[0], "p=tls-exporter,,", bytes_of(channel, 32));
	pair_end(&p);
	pair_begin(&p, TLS1_2_VERSION);
	n = SSL_get_peer_finished(p.ssl[1], channel, sizeof channel);
	expect_bound(p.ssl[0], "p=tls-unique,,", bytes_of(channel, n));
	pair_end(&p);
}

/* Nothing to bind to, no mechanism of ours, a user that cannot be said. */
static void
test_none(void **state)
{
	const struct login strange = { .user = OCTETS("a\0b"), .secret = text("x") };
	struct mech *m;
	struct bytes got;

	(void)state;
	assert_false(mech_binds(NULL));
	assert_null(mech_new(&password, "SCRAM-SHA-256-PLUS", NULL, text("SCRAM-SHA-256-PLUS")));
	assert_null(mech_new(&strange, "PLAIN", NULL, text("PLAIN")));
	m = mech_new(&password, "DIGEST-MD5", NULL, text("DIGEST-MD5"));
	assert_int_equal(mech_begin(m, NULL, &got), MECH_BROKEN);	/* its plugin is not loaded */
	mech_free(&m);
}

/* The library asks this program for the host's name, and so no name server. */
static void
test_gethostname(void **state)
{
	char name[64];

	(void)state;
	assert_int_equal(gethostname(name, sizeof name), 0);
	assert_string_equal(name, "localhost.localdomain");
	assert_int_equal(gethostname(name, 5), -1);
}

static int
begin(void **state)
{
	(void)state;
	return mechs_open() ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	mechs_close();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_messages),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_oauth_error),
		cmocka_unit_test(test_binding),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_gethostname),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
