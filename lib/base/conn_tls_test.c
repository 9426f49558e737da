/* SPDX-License-Identifier: ISC */
/* TLS as a server has it. */
#include <fcntl.h>
#include <openssl/async.h>
#include <openssl/x509v3.h>

#include "base/conn_testing.h"

static SSL *client;

static void
client_begin(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	client = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_fd(client, peer);
	SSL_set_connect_state(client);
}

static void
client_end(void)
{
	SSL_free(client);
	client = NULL;
	finish();
}

/* In plaintext up to "220", then the handshake. */
static void
starttls(void)
{
	struct buf back;

	buf_init(&back, 1000);
	begin(STARTTLS, 20000, 40000);
	peer_send("STARTTLS\r\n", 10);
	UNTIL(back.n > 0)
		peer_read(&back);
	assert_bytes_equal(buf_bytes(&back), text("220 go ahead\r\n"));
	buf_fini(&back);
	client_begin();
}

static void
handshake(void)
{
	UNTIL(SSL_do_handshake(client) == 1);
	turns(3);
	assert_int_equal(owner->c.tls, CONN_PROTECTED);
}

/* A chain for which there is not room at once goes on as the client takes it. */
static void
test_long_chain(void **state)
{
	static char comment[80000];
	SSL_CTX *usual = server_ctx;
	X509_EXTENSION *big;
	X509 *x;

	(void)state;
	memset(comment, 'x', sizeof comment - 1);
	big = X509V3_EXT_conf_nid(NULL, NULL, NID_netscape_comment, comment);
	server_ctx = make_ctx(3600);
	x = X509_dup(SSL_CTX_get0_certificate(server_ctx));
	assert_int_equal(X509_add_ext(x, big, -1), 1);
	assert_true(X509_sign(x, SSL_CTX_get0_privatekey(server_ctx), EVP_sha256()) > 0);
	X509_EXTENSION_free(big);
	assert_int_equal(SSL_CTX_add0_chain_cert(server_ctx, x), 1);
	starttls();
	handshake();
	client_end();
	SSL_CTX_free(server_ctx);
	server_ctx = usual;
}

static void
test_tls_echo(void **state)
{
	static unsigned char all[BIG], back[BIG];
	size_t sent = 0, got = 0;

	(void)state;
	fill(all, BIG);
	starttls();
	handshake();
	SSL_set_mode(client, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	UNTIL(got == BIG) {
		size_t n;

		if (sent < BIG && SSL_write_ex(client, all + sent, BIG - sent, &n))
			sent += n;
		if (SSL_read_ex(client, back + got, BIG - got, &n))
			got += n;
		ERR_clear_error();
	}
	assert_memory_equal(all, back, BIG);
	conn_trim(&owner->c);
	assert_int_equal(owner->c.raw_in.cap + owner->c.raw_out.cap, 0);

	SSL_shutdown(client);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_EOF);
	client_end();
}

static void
test_tls_close_flushed(void **state)
{
	char line[100];
	int n;

	(void)state;
	starttls();
	handshake();
	owner->manner = CLOSE_AT_QUIT;
	SSL_write(client, "QUIT\r\n", 6);
	UNTIL((n = SSL_read(client, line, sizeof line)) > 0);
	assert_bytes_equal(bytes_of(line, (size_t)n), text("221 bye\r\n"));
	UNTIL(SSL_get_shutdown(client) & SSL_RECEIVED_SHUTDOWN)
		SSL_read(client, line, sizeof line);
	SSL_shutdown(client);
	fd_close(&peer);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_FLUSHED);
	client_end();
}

static void
client_reads_some(struct buf *b)
{
	char chunk[8192];
	int n = SSL_read(client, chunk, sizeof chunk);

	if (n > 0)
		buf_add(b, bytes_of(chunk, (size_t)n));
	ERR_clear_error();
}

/* Up to the end, which is in order: RFC 8446 section 6.1. */
static void
client_reads(struct buf *b)
{
	UNTIL(SSL_get_shutdown(client) & SSL_RECEIVED_SHUTDOWN)
		client_reads_some(b);
}

static void
test_close_notify_is_answered(void **state)
{
	struct buf back;

	(void)state;
	buf_init(&back, 100);
	starttls();
	handshake();
	SSL_write(client, "last", 4);
	SSL_shutdown(client);
	client_reads(&back);
	assert_bytes_equal(buf_bytes(&back), text("last"));
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_EOF);
	buf_fini(&back);
	client_end();
}

/* Behind close_notify there is more to be told, and octets that nobody looks at; the client's socket is not reset under it. */
static void
test_tls_eof(void **state)
{
	static unsigned char all[BIG];
	struct buf back;

	(void)state;
	fill(all, BIG);
	buf_init(&back, BIG);
	starttls();
	handshake();
	owner->manner = COUNT_ONLY;
	owner->c.on_eof = on_eof;
	SSL_write(client, "last", 4);
	SSL_shutdown(client);
	peer_send("x", 1);
	UNTIL(seen.eofs);
	for (size_t at = 0; at < BIG; ) {
		size_t n = BIG - at < 30000 ? BIG - at : 30000;

		buf_add(&owner->c.out, bytes_of(all + at, n));
		at += n;
		conn_flush(&owner->c);
		if (at == BIG)
			conn_close_flushed(&owner->c, 5000);
		UNTIL(owner->c.out.n == 0)
			client_reads_some(&back);
	}
	client_reads(&back);
	assert_bytes_equal(buf_bytes(&back), bytes_of(all, BIG));
	assert_int_equal(peer_send("x", 1), 1);
	turns(3);
	assert_int_equal(seen.ends, 0);
	fd_close(&peer);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_FLUSHED);
	assert_bytes_equal(buf_bytes(&seen.got), text("last"));
	buf_fini(&back);
	client_end();
}

/* A client that reads while it writes its first command finds nothing to read: no ticket by itself. */
static void
test_tickets_with_the_first_data(void **state)
{
	char line[100];
	int n;

	(void)state;
	starttls();
	handshake();
	assert_string_equal(SSL_get_version(client), "TLSv1.3");
	assert_int_equal(recv(peer, line, sizeof line, MSG_DONTWAIT | MSG_PEEK), -1);
	assert_false(SSL_SESSION_has_ticket(SSL_get0_session(client)));
	SSL_write(client, "NOOP\r\n", 6);
	UNTIL((n = SSL_read(client, line, sizeof line)) > 0);
	assert_true(SSL_SESSION_has_ticket(SSL_get0_session(client)));
	client_end();
}

/* CVE-2011-0411: commands sent together with STARTTLS. */
static void
test_injection_with_the_command(void **state)
{
	(void)state;
	begin(STARTTLS, 1000, 1000);
	peer_send("STARTTLS\r\nMAIL FROM:<a@b.example>\r\n", 35);
	UNTIL(seen.inputs);
	assert_true(seen.tls_refused);
	assert_int_equal(owner->c.tls, CONN_PLAIN);
	finish();
}

static void
test_injection_after_the_reply(void **state)
{
	(void)state;
	starttls();
	peer_send("MAIL FROM:<a@b.example>\r\n", 25);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TLS);
	assert_int_equal(seen.inputs, 1);
	assert_int_equal(seen.got.n, 0);
	client_end();
}

static void
test_truncation(void **state)
{
	(void)state;
	starttls();
	handshake();
	SSL_write(client, "half a mess", 11);
	shutdown(peer, SHUT_WR);		/* no close_notify */
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TLS);
	assert_bytes_equal(buf_bytes(&seen.got), text("half a mess"));
	client_end();
}

static void
test_end_in_the_handshake(void **state)
{
	(void)state;
	starttls();
	SSL_do_handshake(client);
	fd_close(&peer);
	UNTIL(seen.ends);
	assert_true(seen.why == CONN_TLS || seen.why == CONN_RESET);
	client_end();
}

/* CVE-2026-45185: an octet in plaintext behind the end of TLS. */
static void
test_nothing_after_close_notify(void **state)
{
	(void)state;
	starttls();
	handshake();
	SSL_write(client, "last", 4);
	SSL_shutdown(client);
	peer_send("x", 1);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_EOF);
	assert_bytes_equal(buf_bytes(&seen.got), text("last"));
	client_end();
}

/* RFC 8446 section 4.6.3: each is answered by one. Who does not take the answers is not heard any more until he does. */
static void
test_key_updates(void **state)
{
	struct buf answers;

	(void)state;
	buf_init(&answers, 4u << 20);
	starttls();
	handshake();
	for (int idle = 0; idle < 100; idle++, turn())
		while (SSL_do_handshake(client) == 1 && SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED))
			idle = 0;
	ERR_clear_error();
	assert_true(owner->c.raw_out.n > 0 && owner->c.raw_out.n <= owner->c.raw_out.max);
	assert_int_equal(seen.ends, 0);
	UNTIL(SSL_write(client, "hello", 5) == 5)
		peer_read(&answers);
	UNTIL(seen.got.n == 5)
		peer_read(&answers);
	buf_fini(&answers);
	client_end();
}

static void
test_garbage_record(void **state)
{
	(void)state;
	starttls();
	handshake();
	peer_send("\x17\x03\x03\x00\x20 thirty-two octets of no meaning", 37);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TLS);
	client_end();
}

static void
test_tls_pause(void **state)
{
	(void)state;
	starttls();
	handshake();
	owner->manner = COUNT_ONLY;
	conn_pause(&owner->c);
	SSL_write(client, "one", 3);
	SSL_write(client, "two", 3);
	turns(5);
	assert_int_equal(seen.got.n, 0);
	conn_resume(&owner->c);
	UNTIL(seen.got.n == 6);
	assert_bytes_equal(buf_bytes(&seen.got), text("onetwo"));
	client_end();
}

/* Whatever the order of things: small sockets, sizes and pauses by chance, in plaintext and under
 * TLS: what is echoed is what was sent, all of it. */
static void
echo_by_chance(bool tls)
{
	static unsigned char all[BIG / 4], back[BIG / 4];
	size_t sent = 0, got = 0, n = 0, in_max = 1 + (size_t)rand() % 9000;
	int small = 4096;

	fill(all, sizeof all);
	begin(tls ? STARTTLS : ECHO_ALL, in_max < 20 ? 20 : in_max, 3 * in_max + 100);
	setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	setsockopt(owner->c.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	if (tls) {
		char line[14];

		peer_send("STARTTLS\r\n", 10);
		UNTIL(recv(peer, line, sizeof line, 0) == sizeof line);
		client_begin();
		handshake();
		SSL_set_mode(client, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	}
	UNTIL(got == sizeof all) {
		size_t done = 0;

		if (rand() % 2 && sent < sizeof all) {
			if (n == 0)		/* OpenSSL wants the same again, until it takes it */
				n = 1 + (size_t)rand() % 20000;
			n = n < sizeof all - sent ? n : sizeof all - sent;
			if (tls)
				SSL_write_ex(client, all + sent, n, &done);
			else
				done = peer_send(all + sent, n);
			sent += done;
			n = done > 0 ? 0 : n;
		}
		if (rand() % 2) {
			ssize_t r = tls ? SSL_read(client, back + got, (int)(sizeof all - got))
			    : recv(peer, back + got, sizeof all - got, 0);

			got += r > 0 ? (size_t)r : 0;
		}
		ERR_clear_error();
		switch (rand() % 8) {
		case 0:	conn_pause(&owner->c); break;
		case 1: conn_trim(&owner->c); break;
		case 2: conn_flush(&owner->c); break;
		default: conn_resume(&owner->c); break;
		}
	}
	assert_memory_equal(all, back, sizeof all);
	client_end();
}

static void
test_by_chance(void **state)
{
	(void)state;
	srand(5321);
	for (int i = 0; i < 40; i++)
		echo_by_chance(i % 2);
}

/* The private key's operation, as it looks to OpenSSL: a job that says when it is done. */
static bool key_there;
static int key_waits, key_done;
static ASYNC_callback_fn key_wake;
static void *key_wake_arg;

static int
slow_key(SSL *ssl, void *arg)
{
	ASYNC_JOB *job = ASYNC_get_current_job();

	(void)ssl;
	(void)arg;
	if (!job || !ASYNC_WAIT_CTX_get_callback(ASYNC_get_wait_ctx(job), &key_wake, &key_wake_arg))
		return 0;
	while (!key_there) {
		key_waits++;
		ASYNC_pause_job();
	}
	key_done++;
	return 1;
}

static void
key_ready(void)
{
	key_there = true;
	assert_int_equal(key_wake(key_wake_arg), 1);
}

static void
key_begin(void)
{
	key_waits = key_done = 0;
	key_there = false;
	SSL_CTX_set_cert_cb(server_ctx, slow_key, NULL);
	starttls();
	SSL_do_handshake(client);
	UNTIL(key_waits);
	for (int i = 0; i < 20; i++) {
		turn();
		SSL_do_handshake(client);
	}
	assert_int_equal(key_waits, 1);		/* asleep, not turning */
}

static void
key_end(void)
{
	SSL_CTX_set_cert_cb(server_ctx, NULL, NULL);
	client_end();
}

static void
test_slow_key(void **state)
{
	(void)state;
	key_begin();
	key_ready();
	handshake();
	assert_int_equal(key_done, 1);
	key_end();
}

static void
test_end_while_the_key_works(void **state)
{
	(void)state;
	key_begin();
	conn_fini(&owner->c);
	key_ready();
	UNTIL(key_done);
	turns(3);
	key_end();
}

/* Nothing waits for what was told before the connection went. */
static void
test_end_as_the_key_is_done(void **state)
{
	(void)state;
	key_begin();
	key_ready();
	conn_fini(&owner->c);
	assert_int_equal(key_done, 1);
	turns(3);
	key_end();
}

/* Its owner looks at it only when it has ended for another reason, and been told of both. */
static void
test_ended_as_the_key_is_done(void **state)
{
	(void)state;
	key_begin();
	conn_deadline(&owner->c, 10);
	UNTIL(seen.ends);
	key_ready();
	turns(3);
	assert_int_equal(seen.ends, 1);
	key_end();
	assert_int_equal(key_done, 1);
}

/* It is closed before the handshake is over: nobody goes on with that, but the job has its end. */
static void
test_close_while_the_key_works(void **state)
{
	(void)state;
	key_begin();
	conn_close_flushed(&owner->c, 1000);
	turns(3);
	key_ready();
	turns(3);
	key_end();
	assert_int_equal(key_done, 1);
}

static void
test_deadline_while_the_key_works(void **state)
{
	(void)state;
	key_begin();
	conn_deadline(&owner->c, 10);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TIMEOUT);
	key_ready();
	UNTIL(key_done);
	turns(3);
	key_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_chain),
		cmocka_unit_test(test_tls_echo),
		cmocka_unit_test(test_tls_close_flushed),
		cmocka_unit_test(test_close_notify_is_answered),
		cmocka_unit_test(test_tls_eof),
		cmocka_unit_test(test_tls_pause),
		cmocka_unit_test(test_tickets_with_the_first_data),
		cmocka_unit_test(test_injection_with_the_command),
		cmocka_unit_test(test_injection_after_the_reply),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_end_in_the_handshake),
		cmocka_unit_test(test_nothing_after_close_notify),
		cmocka_unit_test(test_key_updates),
		cmocka_unit_test(test_garbage_record),
		cmocka_unit_test(test_by_chance),
		cmocka_unit_test(test_slow_key),
		cmocka_unit_test(test_end_while_the_key_works),
		cmocka_unit_test(test_end_as_the_key_is_done),
		cmocka_unit_test(test_ended_as_the_key_is_done),
		cmocka_unit_test(test_close_while_the_key_works),
		cmocka_unit_test(test_deadline_while_the_key_works),
	};

	return cmocka_run_group_tests(tests, make_server_ctx, free_server_ctx);
}
