/* SPDX-License-Identifier: ISC */
/* TLS as a client has it. */

#include "base/conn_testing.h"

/* What the peer, who is the server here, does with its side. */
static SSL *server;

static void
server_begin(SSL_CTX *ctx)
{
	server = SSL_new(ctx);
	SSL_set_fd(server, peer);
	SSL_set_accept_state(server);
}

static void
server_end(void)
{
	SSL_free(server);
	server = NULL;
	finish();
}

/* name: whose certificate it has to be, signed by whoever has signed that of `trusted`; NULL: any will do. */
static SSL *
client_ssl(const char *name, SSL_CTX *trusted)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;

	if (trusted)
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), SSL_CTX_get0_certificate(trusted));
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (name) {
		SSL_set1_host(ssl, name);
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	}
	return ssl;
}

static void
client_starttls(SSL_CTX *ctx, SSL *ssl)
{
	begin(TLS_CLIENT, 20000, 40000);
	next_ssl = ssl;
	peer_send("220 go ahead\r\n", 14);
	UNTIL(seen.inputs);
	assert_false(seen.tls_refused);
	buf_text(&owner->c.out, "EHLO under TLS\r\n");
	server_begin(ctx);
}

/* The server's side of the handshake, until the client's is done or has failed. */
static void
client_handshake(void)
{
	UNTIL(seen.readies || seen.ends) {
		SSL_do_handshake(server);
		ERR_clear_error();
	}
}

static void
test_client_tls(void **state)
{
	char line[100];
	int n;

	(void)state;
	client_starttls(server_ctx, client_ssl(NULL, NULL));
	client_handshake();
	assert_int_equal(seen.readies, 1);
	assert_int_equal(owner->c.tls, CONN_PROTECTED);
	assert_string_equal(seen.protocol, "TLSv1.3");
	assert_true(seen.has_peer);
	assert_int_equal(seen.verify, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
	UNTIL((n = SSL_read(server, line, sizeof line)) > 0);
	assert_bytes_equal(bytes_of(line, (size_t)n), text("EHLO under TLS\r\n"));
	SSL_write(server, "250 mx\r\n", 8);
	UNTIL(seen.got.n == 8);
	SSL_shutdown(server);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_EOF);
	server_end();
}

static void
test_client_tls_verified(void **state)
{
	SSL_CTX *old = make_ctx(-3600);
	const struct { const char *name; SSL_CTX *ctx, *trusted; long verify; } rows[] = {
		{ "mail.example",	server_ctx,	server_ctx,	X509_V_OK },
		{ "other.example",	server_ctx,	server_ctx,	X509_V_ERR_HOSTNAME_MISMATCH },
		{ "mail.example",	server_ctx,	NULL,		X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT },
		{ "mail.example",	server_ctx,	old,		X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT },
		{ "mail.example",	old,		old,		X509_V_ERR_CERT_HAS_EXPIRED },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		char line[100];

		client_starttls(rows[i].ctx, client_ssl(rows[i].name, rows[i].trusted));
		client_handshake();
		assert_int_equal(seen.verify, rows[i].verify);
		assert_int_equal(seen.readies, rows[i].verify == X509_V_OK);
		if (rows[i].verify != X509_V_OK) {
			assert_int_equal(seen.why, CONN_TLS);
			assert_true(SSL_do_handshake(server) != 1 && SSL_read(server, line, sizeof line) <= 0);
			ERR_clear_error();
		}
		server_end();
	}
	SSL_CTX_free(old);
}

/* Outside a callback, and with a server that does not know TLS 1.3. */
static void
test_client_tls_12(void **state)
{
	SSL_CTX *ctx = make_ctx(3600);

	(void)state;
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	begin(COUNT_ONLY, 20000, 40000);
	server_begin(ctx);
	assert_true(conn_start_tls_client(&owner->c, client_ssl(NULL, NULL)));
	client_handshake();
	assert_string_equal(seen.protocol, "TLSv1.2");
	server_end();
	SSL_CTX_free(ctx);
}

/* From the first octet: the greeting comes with the end of the handshake, and after on_ready. */
static void
test_client_implicit_tls(void **state)
{
	(void)state;
	begin(COUNT_ONLY, 20000, 40000);
	server_begin(server_ctx);
	assert_true(conn_start_tls_client(&owner->c, client_ssl(NULL, NULL)));
	UNTIL(SSL_do_handshake(server) == 1)
		ERR_clear_error();
	SSL_write(server, "220 mx\r\n", 8);
	UNTIL(seen.got.n == 8);
	assert_int_equal(seen.readies, 1);
	assert_int_equal(seen.got_at_ready, 0);
	server_end();
}

/* CVE-2021-38371: the reply to STARTTLS, and more behind it. */
static void
test_injection_with_the_reply(void **state)
{
	(void)state;
	begin(TLS_CLIENT, 1000, 1000);
	next_ssl = client_ssl(NULL, NULL);
	peer_send("220 go\r\n250 mx\r\n", 16);
	UNTIL(seen.inputs);
	assert_true(seen.tls_refused);
	assert_int_equal(owner->c.tls, CONN_PLAIN);
	assert_int_equal(owner->c.out.n, 0);
	finish();
}

static void
test_injection_behind_the_reply(void **state)
{
	(void)state;
	client_starttls(server_ctx, client_ssl(NULL, NULL));
	peer_send("250 mx\r\n", 8);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TLS);
	assert_int_equal(seen.inputs, 1);
	assert_int_equal(seen.got.n, 0);
	assert_int_equal(seen.readies, 0);
	server_end();
}

static void
test_client_loses_the_server(void **state)
{
	(void)state;
	client_starttls(server_ctx, client_ssl(NULL, NULL));
	SSL_do_handshake(server);
	shutdown(peer, SHUT_WR);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TLS);
	server_end();

	client_starttls(server_ctx, client_ssl(NULL, NULL));
	conn_deadline(&owner->c, 20);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TIMEOUT);
	assert_int_equal(seen.readies, 0);
	server_end();
}

static void
test_owner_frees_itself_when_protected(void **state)
{
	(void)state;
	client_starttls(server_ctx, client_ssl(NULL, NULL));
	owner->manner = FREE_ITSELF;
	client_handshake();
	turns(3);
	assert_int_equal(seen.readies, 1);
	assert_int_equal(seen.ends, 0);
	server_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_tls),
		cmocka_unit_test(test_client_tls_verified),
		cmocka_unit_test(test_client_tls_12),
		cmocka_unit_test(test_client_implicit_tls),
		cmocka_unit_test(test_injection_with_the_reply),
		cmocka_unit_test(test_injection_behind_the_reply),
		cmocka_unit_test(test_client_loses_the_server),
		cmocka_unit_test(test_owner_frees_itself_when_protected),
	};

	return cmocka_run_group_tests(tests, make_server_ctx, free_server_ctx);
}
