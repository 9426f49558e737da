/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conn.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/testing.h"

#define BIG	(300u * 1024)

/* What the owner does with its input. */
enum manner { ECHO_ALL, KEEP, COUNT_ONLY, FREE_ITSELF, CLOSE_AT_QUIT, STARTTLS, REPLY_LINES, FLOOD };

/* The owner. Freed by itself in some tests: what is looked at afterwards is in `seen`. */
struct owner { struct conn c; enum manner manner; };

static struct {
	struct buf	 got;		/* all that on_input took */
	unsigned	 inputs, ends, lines;
	enum conn_end	 why;
	bool		 tls_refused;
} seen;

static struct loop loop;
static struct owner *owner;
static int peer = -1;			/* the other side's socket */
static SSL_CTX *server_ctx;

static void
take_all(struct owner *o)
{
	buf_add(&seen.got, buf_bytes(&o->c.in));
	buf_drop(&o->c.in, o->c.in.n);
}

/* A reply to each line, as long as it is not choked: how a session is to behave. */
static void
reply_lines(struct owner *o)
{
	while (!conn_choked(&o->c)) {
		struct bytes in = buf_bytes(&o->c.in);
		size_t at = bytes_find(in, '\n');

		if (at == in.n)
			return;
		buf_drop(&o->c.in, at + 1);
		buf_fmt(&o->c.out, "%u: a reply that is longer than its command\r\n", seen.lines++);
	}
}

static void
on_input(void *arg)
{
	struct owner *o = arg;

	seen.inputs++;
	switch (o->manner) {
	case ECHO_ALL:
		buf_add(&o->c.out, buf_bytes(&o->c.in));
		take_all(o);
		break;
	case KEEP:
		break;
	case COUNT_ONLY:
		take_all(o);
		break;
	case FREE_ITSELF:
		conn_fini(&o->c);
		mem_free(o);
		owner = NULL;
		break;
	case CLOSE_AT_QUIT:
		take_all(o);
		buf_text(&o->c.out, "221 bye\r\n");
		conn_close_flushed(&o->c, 5000);
		break;
	case STARTTLS:
		buf_drop(&o->c.in, bytes_find(buf_bytes(&o->c.in), '\n') + 1);
		buf_text(&o->c.out, "220 go ahead\r\n");
		o->manner = ECHO_ALL;
		seen.tls_refused = !conn_start_tls(&o->c, server_ctx);
		break;
	case REPLY_LINES:
		reply_lines(o);
		break;
	case FLOOD:
		take_all(o);
		for (int i = 0; i < 100000; i++)
			buf_text(&o->c.out, "more than it may hold\r\n");
		break;
	}
}

static void
on_end(void *arg, enum conn_end why)
{
	struct owner *o = arg;

	seen.ends++;
	seen.why = why;
	conn_fini(&o->c);
	mem_free(o);
	owner = NULL;
}

static void
begin(enum manner manner, size_t in_max, size_t out_max)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	memset(&seen, 0, sizeof seen);
	buf_init(&seen.got, 4u << 20);
	loop_init(&loop);
	peer = pair[1];
	fd_nonblock(peer, true);
	owner = mem_alloc(sizeof *owner);
	owner->manner = manner;
	conn_init(&owner->c, &loop, pair[0], in_max, out_max, on_input, on_end, owner);
}

static void
finish(void)
{
	if (owner) {
		conn_fini(&owner->c);
		conn_fini(&owner->c);		/* idempotent */
		mem_free(owner);
		owner = NULL;
	}
	fd_close(&peer);
	buf_fini(&seen.got);
	loop_fini(&loop);
}

static void
turn(void)
{
	event_base_loop(loop.base, EVLOOP_NONBLOCK);
}

static void
turns(int n)
{
	while (n-- > 0)
		turn();
}

static void
turn_before(uint64_t until, int line)
{
	turn();
	assert_row_int("line", clock_mono_ms() < until ? 0 : line, 0);
}

/* Lets the loop turn, after what stands behind it, until `cond`; fails after five seconds. */
#define UNTIL(cond)	\
	for (uint64_t until_ = clock_mono_ms() + 5000; !(cond); turn_before(until_, __LINE__))

static size_t
peer_send(const void *p, size_t n)
{
	ssize_t done = send(peer, p, n, MSG_NOSIGNAL);

	return done > 0 ? (size_t)done : 0;
}

/* What is there to be read at the peer's side, added to b; false at the end. */
static bool
peer_read(struct buf *b)
{
	unsigned char chunk[8192];
	ssize_t got = recv(peer, chunk, sizeof chunk, 0);

	if (got > 0)
		buf_add(b, bytes_of(chunk, (size_t)got));
	return got > 0 || (got == -1 && errno == EAGAIN);
}

static void
fill(unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 31 + i / 251);
}

static void
test_input_before_end(void **state)
{
	(void)state;
	begin(COUNT_ONLY, 1000, 1000);
	peer_send("hello", 5);
	fd_close(&peer);
	UNTIL(seen.ends);
	assert_bytes_equal(buf_bytes(&seen.got), text("hello"));
	assert_int_equal(seen.why, CONN_EOF);
	turns(5);
	assert_int_equal(seen.ends, 1);
	finish();
}

static void
test_echo_in_pieces(void **state)
{
	static unsigned char all[BIG];
	struct buf back;
	size_t sent = 0;

	(void)state;
	fill(all, BIG);
	buf_init(&back, BIG);
	begin(ECHO_ALL, 70000, BIG);
	UNTIL(back.n == BIG) {
		sent += peer_send(all + sent, BIG - sent);
		peer_read(&back);
	}
	assert_memory_equal(back.p, all, BIG);
	conn_trim(&owner->c);
	assert_int_equal(owner->c.in.cap + owner->c.out.cap, 0);
	buf_fini(&back);
	finish();
}

static void
test_reading_stops_when_full(void **state)
{
	static unsigned char all[BIG];
	size_t sent = 0;

	(void)state;
	fill(all, BIG);
	begin(KEEP, 10000, 1000);
	for (int i = 0; i < 200; i++) {
		sent += peer_send(all + sent, BIG - sent);
		turn();
	}
	assert_int_equal(owner->c.in.n, 10000);
	assert_false(owner->c.in.full);
	assert_true(sent < BIG);
	UNTIL(seen.got.n == BIG) {
		sent += peer_send(all + sent, BIG - sent);
		take_all(owner);		/* outside a callback */
		conn_flush(&owner->c);
	}
	assert_memory_equal(seen.got.p, all, BIG);
	finish();
}

/* Commands without end, and none of the replies read: what is held stays bounded, and when the
 * peer reads at last it gets the replies to all. */
static void
test_peer_does_not_read(void **state)
{
	enum { LINES = 40000 };
	struct buf back;
	size_t sent = 0, want = 0;

	(void)state;
	buf_init(&back, 4u << 20);
	begin(REPLY_LINES, 4096, 8192);
	for (int i = 0; i < 2000; i++) {
		while (sent < LINES && peer_send("NOOP\r\n", 6) == 6)
			sent++;
		turn();
		assert_true(owner->c.out.n <= 8192 && !owner->c.out.full);
	}
	assert_true(sent < LINES);
	turns(10);
	assert_false(event_pending(&owner->c.rd, EV_READ, NULL));
	UNTIL(seen.lines == sent && owner->c.out.n == 0)
		peer_read(&back);
	while (peer_read(&back) && back.n > want)
		want = back.n;
	assert_true(back.n > sent * 40);
	buf_fini(&back);
	finish();
}

static void
test_overrun_ends(void **state)
{
	(void)state;
	begin(FLOOD, 100, 1000);
	peer_send("x", 1);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_RESET);
	finish();
}

static void
test_owner_frees_itself(void **state)
{
	(void)state;
	begin(FREE_ITSELF, 100, 100);
	peer_send("x", 1);
	UNTIL(seen.inputs);
	turns(3);
	assert_int_equal(seen.ends, 0);
	finish();
}

static void
test_pause(void **state)
{
	(void)state;
	begin(COUNT_ONLY, 100, 100);
	conn_pause(&owner->c);
	peer_send("abc", 3);
	turns(5);
	assert_int_equal(seen.inputs, 0);
	conn_resume(&owner->c);
	UNTIL(seen.inputs);
	assert_bytes_equal(buf_bytes(&seen.got), text("abc"));

	/* An end that came with the input waits until the owner has dealt with that. */
	owner->manner = KEEP;
	peer_send("def", 3);
	UNTIL(seen.inputs == 2);
	conn_pause(&owner->c);
	fd_close(&peer);
	turns(5);
	assert_int_equal(seen.ends, 0);
	owner->manner = COUNT_ONLY;
	conn_resume(&owner->c);
	UNTIL(seen.ends);
	assert_bytes_equal(buf_bytes(&seen.got), text("abcdef"));
	assert_int_equal(seen.why, CONN_EOF);
	finish();
}

static void
test_close_flushed(void **state)
{
	struct buf back;

	(void)state;
	buf_init(&back, 100);
	begin(CLOSE_AT_QUIT, 100, 100);
	peer_send("QUIT\r\nNOOP\r\n", 12);
	UNTIL(!peer_read(&back));
	assert_bytes_equal(buf_bytes(&back), text("221 bye\r\n"));
	assert_int_equal(seen.ends, 0);		/* lingers */
	assert_int_equal(peer_send("and more", 8), 8);
	turns(3);
	assert_bytes_equal(buf_bytes(&seen.got), text("QUIT\r\nNOOP\r\n"));
	fd_close(&peer);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_FLUSHED);
	buf_fini(&back);
	finish();
}

static void
test_close_of_a_peer_that_stays(void **state)
{
	uint64_t start = clock_mono_ms();

	(void)state;
	begin(CLOSE_AT_QUIT, 100, 100);
	peer_send("QUIT\r\n", 6);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_FLUSHED);
	assert_true(clock_mono_ms() - start < 4000);
	finish();
}

static void
test_close_that_cannot_be_sent(void **state)
{
	(void)state;
	begin(KEEP, 100, 4u << 20);
	for (int i = 0; i < 100000; i++)
		buf_text(&owner->c.out, "nobody reads this\r\n");
	conn_close_flushed(&owner->c, 100);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TIMEOUT);
	finish();
}

static void
test_deadline(void **state)
{
	(void)state;
	begin(KEEP, 100, 100);
	conn_deadline(&owner->c, 20);
	conn_deadline(&owner->c, 0);
	usleep(60000);
	turns(3);
	assert_int_equal(seen.ends, 0);
	conn_deadline(&owner->c, 20);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TIMEOUT);
	finish();
}

static void
test_reset_is_told_by_the_loop(void **state)
{
	(void)state;
	begin(KEEP, 100, 100);
	fd_close(&peer);
	buf_text(&owner->c.out, "hello");
	conn_flush(&owner->c);			/* EPIPE, but the owner is not called here */
	assert_int_equal(seen.ends, 0);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_RESET);
	finish();
}

static void
test_take_fd(void **state)
{
	char c = 0;
	int fd;

	(void)state;
	begin(KEEP, 100, 100);
	fd = conn_take_fd(&owner->c);
	peer_send("x", 1);
	turns(3);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(fd);
	finish();
}

/* Thousands of sessions idle in one worker: what each of them costs here, beside the kernel. */
static void
test_idle_is_small(void **state)
{
	enum { MANY = 200 };
	static struct owner owners[MANY];
	static int peers[MANY];
	size_t before, after;
	int pair[2];

	(void)state;
	begin(COUNT_ONLY, 65536, 65536);
	before = mallinfo2().uordblks;
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		peers[i] = pair[1];
		owners[i].manner = ECHO_ALL;
		conn_init(&owners[i].c, &loop, pair[0], 65536, 65536, on_input, on_end, &owners[i]);
		assert_int_equal(write(pair[1], "EHLO client.example\r\n", 21), 21);
	}
	UNTIL(seen.inputs == MANY);
	for (int i = 0; i < MANY; i++)
		conn_trim(&owners[i].c);
	buf_release(&seen.got);
	after = mallinfo2().uordblks;
	assert_true(sizeof(struct conn) <= 1200);
	assert_true(after <= before || (after - before) / MANY < 512);	/* libevent's own tables */
	for (int i = 0; i < MANY; i++) {
		conn_fini(&owners[i].c);
		close(peers[i]);
	}
	finish();
}

/* ---- TLS */

static SSL *client;

/* A certificate of this run's own. */
static int
make_server_ctx(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	(void)state;
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)"mail.example", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	server_ctx = SSL_CTX_new(TLS_server_method());
	if (!X509_sign(cert, key, EVP_sha256()) || !SSL_CTX_use_certificate(server_ctx, cert)
	    || !SSL_CTX_use_PrivateKey(server_ctx, key))
		return -1;
	X509_free(cert);
	EVP_PKEY_free(key);
	return 0;
}

static int
free_server_ctx(void **state)
{
	(void)state;
	SSL_CTX_free(server_ctx);
	return 0;
}

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

/* The private key's operation, as it looks to OpenSSL: a job that waits for a descriptor. */
static int key_pipe[2], key_waits, key_done;

static int
slow_key(SSL *ssl, void *arg)
{
	ASYNC_JOB *job = ASYNC_get_current_job();
	char c;

	(void)ssl;
	(void)arg;
	if (!job || !ASYNC_WAIT_CTX_set_wait_fd(ASYNC_get_wait_ctx(job), &key_pipe, key_pipe[0], NULL, NULL))
		return 0;
	while (read(key_pipe[0], &c, 1) != 1) {
		key_waits++;
		ASYNC_pause_job();
	}
	ASYNC_WAIT_CTX_clear_fd(ASYNC_get_wait_ctx(job), &key_pipe);
	key_done++;
	return 1;
}

static void
key_begin(void)
{
	key_waits = key_done = 0;
	assert_int_equal(pipe2(key_pipe, O_CLOEXEC | O_NONBLOCK), 0);
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
	close(key_pipe[0]);
	close(key_pipe[1]);
	client_end();
}

static void
test_slow_key(void **state)
{
	(void)state;
	key_begin();
	assert_int_equal(write(key_pipe[1], "k", 1), 1);
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
	assert_int_equal(write(key_pipe[1], "k", 1), 1);
	UNTIL(key_done);
	turns(3);
	key_end();
}

static void
test_deadline_while_the_key_works(void **state)
{
	(void)state;
	key_begin();
	conn_deadline(&owner->c, 10);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TIMEOUT);
	assert_int_equal(write(key_pipe[1], "k", 1), 1);
	UNTIL(key_done);
	turns(3);
	key_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_input_before_end),
		cmocka_unit_test(test_echo_in_pieces),
		cmocka_unit_test(test_reading_stops_when_full),
		cmocka_unit_test(test_peer_does_not_read),
		cmocka_unit_test(test_overrun_ends),
		cmocka_unit_test(test_owner_frees_itself),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_close_flushed),
		cmocka_unit_test(test_close_of_a_peer_that_stays),
		cmocka_unit_test(test_close_that_cannot_be_sent),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_reset_is_told_by_the_loop),
		cmocka_unit_test(test_take_fd),
		cmocka_unit_test(test_idle_is_small),
		cmocka_unit_test(test_tls_echo),
		cmocka_unit_test(test_tls_close_flushed),
		cmocka_unit_test(test_tls_pause),
		cmocka_unit_test(test_injection_with_the_command),
		cmocka_unit_test(test_injection_after_the_reply),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_end_in_the_handshake),
		cmocka_unit_test(test_nothing_after_close_notify),
		cmocka_unit_test(test_garbage_record),
		cmocka_unit_test(test_by_chance),
		cmocka_unit_test(test_slow_key),
		cmocka_unit_test(test_end_while_the_key_works),
		cmocka_unit_test(test_deadline_while_the_key_works),
	};

	return cmocka_run_group_tests(tests, make_server_ctx, free_server_ctx);
}
