/* SPDX-License-Identifier: ISC */
/*
 * base/conn_testing.h - what the tests of base/conn.h share: an owner who does with its input as he is told, and the other
 * end of its socket.
 */
#ifndef BASE_CONN_TESTING_H
#define BASE_CONN_TESTING_H

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/conn.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/testing.h"

#define BIG	(300u * 1024)

/* What the owner does with its input. */
enum manner { ECHO_ALL, KEEP, COUNT_ONLY, FREE_ITSELF, CLOSE_AT_QUIT, STARTTLS, REPLY_LINES, FLOOD, TLS_CLIENT };

/* The owner. Freed by itself in some tests: what is looked at afterwards is in `seen`. */
struct owner { struct conn c; enum manner manner; };

static struct {
	struct buf	 got;		/* all that on_input took */
	unsigned	 inputs, ends, lines, readies, rooms, eofs;
	size_t		 sent;
	enum conn_end	 why;
	int		 error;
	bool		 tls_refused;
	size_t		 got_at_ready;		/* octets in got when on_ready was called last */
	char		 protocol[16];
	long		 verify;
	bool		 has_peer;
} seen;

static struct loop loop;
static struct owner *owner;
static int peer = -1;			/* the other side's socket */
static SSL_CTX *server_ctx;
static SSL *next_ssl;			/* TLS_CLIENT: for the handshake that it begins */

static inline void
take_all(struct owner *o)
{
	buf_add(&seen.got, buf_bytes(&o->c.in));
	buf_drop(&o->c.in, o->c.in.n);
}

/* A reply to each line, as long as it is not choked: how a session is to behave. */
static inline void
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

static inline void
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
	case TLS_CLIENT:
		buf_drop(&o->c.in, bytes_find(buf_bytes(&o->c.in), '\n') + 1);
		o->manner = COUNT_ONLY;
		seen.tls_refused = !conn_start_tls_client(&o->c, next_ssl);
		break;
	case FLOOD:
		take_all(o);
		for (int i = 0; i < 100000; i++)
			buf_text(&o->c.out, "more than it may hold\r\n");
		break;
	}
}

static inline void
see_facts(const struct conn *c)
{
	struct conn_tls_facts f;

	if (!conn_tls_facts(c, &f))
		return;
	snprintf(seen.protocol, sizeof seen.protocol, "%s", f.protocol);
	seen.verify = f.verify;
	seen.has_peer = f.peer != NULL;
}

static inline void
on_end(void *arg, enum conn_end why)
{
	struct owner *o = arg;

	seen.ends++;
	seen.why = why;
	seen.error = o->c.error;
	see_facts(&o->c);
	conn_fini(&o->c);
	mem_free(o);
	owner = NULL;
}

static inline void
on_ready(void *arg)
{
	struct owner *o = arg;

	seen.readies++;
	seen.got_at_ready = seen.got.n;
	see_facts(&o->c);
	if (o->manner == FREE_ITSELF) {
		conn_fini(&o->c);
		mem_free(o);
		owner = NULL;
	}
}

static inline void
on_eof(void *arg)
{
	struct owner *o = arg;

	seen.eofs++;
	if (o->manner == FREE_ITSELF) {
		conn_fini(&o->c);
		mem_free(o);
		owner = NULL;
	}
}

static inline void
begin_with(int fd, enum manner manner, size_t in_max, size_t out_max)
{
	memset(&seen, 0, sizeof seen);
	buf_init(&seen.got, 4u << 20);
	loop_init(&loop);
	owner = mem_alloc(sizeof *owner);
	owner->manner = manner;
	conn_init(&owner->c, &loop, fd, in_max, out_max, on_input, on_end, owner);
	owner->c.on_ready = on_ready;
}

static inline void
begin(enum manner manner, size_t in_max, size_t out_max)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	peer = pair[1];
	fd_nonblock(peer, true);
	begin_with(pair[0], manner, in_max, out_max);
}

static inline void
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

static inline void
turn(void)
{
	event_base_loop(loop.base, EVLOOP_NONBLOCK);
}

static inline void
turns(int n)
{
	while (n-- > 0)
		turn();
}

static inline void
turn_before(uint64_t until, int line)
{
	turn();
	assert_row_int("line", clock_mono_ms() < until ? 0 : line, 0);
}

/* Lets the loop turn, after what stands behind it, until `cond`; fails after five seconds. */
#define UNTIL(cond)	\
	for (uint64_t until_ = clock_mono_ms() + 5000; !(cond); turn_before(until_, __LINE__))

static inline size_t
peer_send(const void *p, size_t n)
{
	ssize_t done = send(peer, p, n, MSG_NOSIGNAL);

	return done > 0 ? (size_t)done : 0;
}

/* What is there to be read at the peer's side, added to b; false at the end. */
static inline bool
peer_read(struct buf *b)
{
	unsigned char chunk[8192];
	ssize_t got = recv(peer, chunk, sizeof chunk, 0);

	if (got > 0)
		buf_add(b, bytes_of(chunk, (size_t)got));
	return got > 0 || (got == -1 && errno == EAGAIN);
}

static inline void
fill(unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 31 + i / 251);
}

/* ---- TLS */

/* A certificate of this run's own, good for so many seconds from now. */
static inline SSL_CTX *
make_ctx(long until_s)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)"mail.example", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	must(X509_sign(cert, key, EVP_sha256()) && SSL_CTX_use_certificate(ctx, cert) && SSL_CTX_use_PrivateKey(ctx, key));
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

static inline int
make_server_ctx(void **state)
{
	(void)state;
	server_ctx = make_ctx(3600);
	return 0;
}

static inline int
free_server_ctx(void **state)
{
	(void)state;
	SSL_CTX_free(server_ctx);
	return 0;
}

#endif
