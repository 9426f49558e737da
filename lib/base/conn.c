/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <openssl/async.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/conn.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define CHUNK_FIRST	8192u		/* of one read: a short message comes whole */
#define CHUNK_MAX	65536u
#define RECORD_MAX	16384u		/* octets of plaintext in a record, RFC 8446 section 5.1 */
#define RAW_IN_MAX	32768u		/* holds a whole record, whatever came before it */
#define RAW_OUT_MAX	65536u		/* and what OpenSSL wants to say of itself */
#define RAW_OUT_LOW	32768u		/* above it nothing more is encrypted or decrypted */
#define LINGER_MS	2000
#define LINGER_OCTETS	(1u << 20)

static void settle(struct conn *c);
static void work(struct conn *c, bool readable);

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Only remembers it: the loop ends the connection, so that no owner is freed in its own call. */
static void
fail(struct conn *c, enum conn_end why)
{
	if (!c->failed) {
		c->failed = true;
		c->end_why = why;
	}
}

static size_t
unsent(const struct conn *c)
{
	return c->out.n + c->raw_out.n;
}

static void
socket_fail(struct conn *c, enum conn_end why, int error)
{
	if (!c->failed)
		c->error = error;
	fail(c, why);
}

/* Would the owner get what is read now? */
static bool
takes_input(const struct conn *c)
{
	return !c->paused && !c->closing && !c->eof && !c->failed && c->in.n < c->in.max
	    && (c->duplex || !conn_choked(c)) && c->raw_out.n <= RAW_OUT_LOW;
}

static bool
wants_read(const struct conn *c)
{
	if (c->raw_eof || c->failed || c->ended || c->connecting)
		return false;
	if (c->lingering)
		return true;
	if (c->tls == CONN_HANDSHAKE)
		return !c->async_on && c->raw_out.n <= RAW_OUT_LOW;
	return takes_input(c);
}

/* One read. True: b has grown. After a short count no second one: it would only say EAGAIN. */
static bool
read_some(struct conn *c, struct buf *b)
{
	size_t n = smaller(c->chunk, b->max - b->n);
	ssize_t got;

	if (n == 0)
		return false;
	got = recv(c->fd, buf_room(b, n), n, 0);
	if (got == 0)
		c->raw_eof = true;
	else if (got == -1 && errno != EAGAIN && errno != EINTR)
		socket_fail(c, CONN_RESET, errno);
	if (got <= 0)
		return false;
	b->n += (size_t)got;
	if ((size_t)got == c->chunk && c->chunk < CHUNK_MAX)
		c->chunk *= 4;
	return true;
}

/* After the half-close: the peer's last octets are of no interest, only its end. */
static void
discard(struct conn *c)
{
	static unsigned char nowhere[CHUNK_MAX];
	ssize_t got = recv(c->fd, nowhere, sizeof nowhere, 0);

	if (got > 0)
		c->discarded += (size_t)got;
	if (got == 0 || (got == -1 && errno != EAGAIN && errno != EINTR)
	    || c->discarded > LINGER_OCTETS)
		c->raw_eof = true;
}

/* ---- TLS. OpenSSL reads raw_in and writes raw_out through a BIO of ours: never the socket. */

static int
bio_write(BIO *b, const char *p, int n)
{
	struct conn *c = BIO_get_data(b);
	size_t take;

	BIO_clear_retry_flags(b);
	if (!c || n <= 0)
		return -1;
	take = smaller((size_t)n, c->raw_out.max - c->raw_out.n);
	if (take == 0) {
		BIO_set_retry_write(b);
		return -1;
	}
	buf_add(&c->raw_out, bytes_of(p, take));
	return (int)take;
}

static int
bio_read(BIO *b, char *p, int n)
{
	struct conn *c = BIO_get_data(b);
	size_t take;

	BIO_clear_retry_flags(b);
	if (!c || n <= 0)
		return -1;
	take = smaller((size_t)n, c->raw_in.n - c->raw_at);
	if (take == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	memcpy(p, c->raw_in.p + c->raw_at, take);
	c->raw_at += take;
	return (int)take;
}

static long
bio_ctrl(BIO *b, int what, long number, void *p)
{
	(void)b;
	(void)number;
	(void)p;
	return what == BIO_CTRL_FLUSH;
}

static BIO *
bio_of(struct conn *c)
{
	static BIO_METHOD *method;	/* for the life of the process */
	BIO *b;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "conn");
		if (!method || !BIO_meth_set_write(method, bio_write)
		    || !BIO_meth_set_read(method, bio_read) || !BIO_meth_set_ctrl(method, bio_ctrl))
			log_fatal("out of memory: TLS");
	}
	b = BIO_new(method);
	if (!b)
		log_fatal("out of memory: TLS");
	BIO_set_data(b, c);
	BIO_set_init(b, 1);
	return b;
}

static void
tls_fail(struct conn *c)
{
	c->tls_error = ERR_peek_last_error();
	ERR_clear_error();
	fail(c, CONN_TLS);
}

/* What OpenSSL has taken goes at once, not record by record: one move of the rest. */
static void
raw_in_taken(struct conn *c)
{
	buf_drop(&c->raw_in, c->raw_at);
	c->raw_at = 0;
}

static void
async_ready(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	loop_began();
	if (c->ended || c->failed || c->lingering || !c->async_on)	/* no handshake goes on: conn_fini sees the job to its end */
		return;
	c->async_on = false;
	work(c, false);
}

/* The operation that a handshake waits for has come to its end: who ended it calls this, from whatever depth. */
static int
async_done(SSL *ssl, void *ev)
{
	(void)ssl;
	event_active(ev, EV_TIMEOUT, 0);
	return 1;
}

/* A paused job cannot be cancelled: when its connection ends first, its SSL lives on, cut off
 * from all octets, until the job has come to its end. */
struct orphan { SSL *ssl; struct event ev; };

static bool
still_waits(SSL *ssl)
{
	int done;
	bool waits;

	ERR_clear_error();
	done = SSL_do_handshake(ssl);
	waits = done <= 0 && SSL_get_error(ssl, done) == SSL_ERROR_WANT_ASYNC;
	ERR_clear_error();
	return waits;
}

static void
orphan_ready(evutil_socket_t fd, short what, void *arg)
{
	struct orphan *o = arg;

	(void)fd;
	(void)what;
	loop_began();
	if (still_waits(o->ssl))
		return;
	SSL_free(o->ssl);
	mem_free(o);
}

static void
ssl_fini(struct conn *c)
{
	event_del(&c->async);
	if (c->ssl && c->async_on)
		BIO_set_data(SSL_get_rbio(c->ssl), NULL);
	if (c->ssl && c->async_on && still_waits(c->ssl)) {
		struct orphan *o = mem_alloc(sizeof *o);

		o->ssl = c->ssl;
		must(event_assign(&o->ev, c->loop->base, -1, 0, orphan_ready, o) == 0);
		SSL_set_async_callback_arg(o->ssl, &o->ev);
	} else {
		SSL_free(c->ssl);
	}
	c->ssl = NULL;
	c->async_on = false;
}

static void
tls_handshake(struct conn *c)
{
	int done;

	if (c->tls != CONN_HANDSHAKE || c->async_on || c->failed)
		return;
	ERR_clear_error();
	done = SSL_do_handshake(c->ssl);
	raw_in_taken(c);
	if (done == 1) {
		c->tls = CONN_PROTECTED;
		c->ready = true;
		SSL_clear_mode(c->ssl, SSL_MODE_ASYNC);	/* no more private key: no fibre a record */
		return;
	}
	switch (SSL_get_error(c->ssl, done)) {
	case SSL_ERROR_WANT_READ:
		if (c->raw_eof)
			fail(c, CONN_TLS);
		break;
	case SSL_ERROR_WANT_WRITE:		/* again when raw_out has been sent: handshake_due */
		break;
	case SSL_ERROR_WANT_ASYNC:
		c->async_on = true;		/* until async_done */
		break;
	default:
		tls_fail(c);
	}
}

/* SSL_read gave nothing. */
static void
tls_no_more(struct conn *c, int got)
{
	switch (SSL_get_error(c->ssl, got)) {
	case SSL_ERROR_WANT_READ:
		c->eof = c->raw_eof;		/* without close_notify: cut off */
		if (c->eof)
			c->end_why = CONN_TLS;
		break;
	case SSL_ERROR_ZERO_RETURN:		/* what follows it is never looked at */
		c->eof = true;
		c->end_why = CONN_EOF;
		break;
	case SSL_ERROR_WANT_WRITE:
		c->more = true;
		break;
	default:
		tls_fail(c);
	}
}

/* OpenSSL has had all that came: to ask it would only be told so. */
static bool
tls_drained(const struct conn *c)
{
	return c->raw_at == c->raw_in.n && !c->raw_eof && !SSL_has_pending(c->ssl) && !SSL_want_write(c->ssl);
}

/* True: `in` has grown. */
static bool
tls_decrypt(struct conn *c)
{
	size_t before = c->in.n;

	c->more = false;
	while (c->tls == CONN_PROTECTED && takes_input(c) && !tls_drained(c)) {
		size_t n = smaller(smaller(c->chunk, RECORD_MAX), c->in.max - c->in.n);
		unsigned char *room = buf_room(&c->in, n);
		int got;

		ERR_clear_error();
		got = SSL_read(c->ssl, room, (int)n);
		if (got <= 0) {
			tls_no_more(c, got);
			raw_in_taken(c);
			return c->in.n > before;
		}
		c->in.n += (size_t)got;
	}
	raw_in_taken(c);
	c->more = c->tls == CONN_PROTECTED && !c->eof && !c->failed
	    && (c->raw_in.n > 0 || SSL_has_pending(c->ssl) || c->raw_eof);
	return c->in.n > before;
}

/* Tickets of TLS 1.3 go with the first data, not by themselves after the handshake: after STARTTLS
 * it is for the client to speak, and one that reads and writes in two threads (imaplib2) would read
 * them just then, which OpenSSL's state is not made for. */
static void
send_tickets(struct conn *c)
{
	for (; c->tickets > 0; c->tickets--)
		SSL_new_session_ticket(c->ssl);		/* goes with the next SSL_write; TLS 1.2 has sent its own: refused */
	ERR_clear_error();
}

static void
tls_encrypt(struct conn *c)
{
	size_t done = 0;

	if (c->tls == CONN_PROTECTED && c->out.n > 0 && c->tickets > 0)
		send_tickets(c);
	while (c->tls == CONN_PROTECTED && done < c->out.n && c->raw_out.n <= RAW_OUT_LOW) {
		int n;

		ERR_clear_error();
		n = SSL_write(c->ssl, c->out.p + done, (int)smaller(c->out.n - done, RECORD_MAX));
		if (n <= 0) {
			if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_WRITE)
				tls_fail(c);
			break;
		}
		done += (size_t)n;
	}
	buf_drop(&c->out, done);
}

static void
begin_tls(struct conn *c, SSL *ssl)
{
	BIO *bio = bio_of(c);

	c->ssl = ssl;
	buf_init(&c->raw_in, RAW_IN_MAX);
	buf_init(&c->raw_out, RAW_OUT_MAX + c->out.n);
	buf_add(&c->raw_out, buf_bytes(&c->out));	/* the reply to STARTTLS itself */
	buf_drop(&c->out, c->out.n);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION);
	SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
	    | SSL_MODE_RELEASE_BUFFERS);
	c->tls = CONN_HANDSHAKE;
	c->choked = c->owed = false;
}

bool
conn_start_tls(struct conn *c, SSL_CTX *ctx)
{
	SSL *ssl;

	must(c->tls == CONN_PLAIN && !c->closing);
	if (c->in.n > 0)		/* CVE-2011-0411: came before the handshake, would look protected */
		return false;
	ssl = SSL_new(ctx);
	if (!ssl)
		log_fatal("out of memory: TLS");
	begin_tls(c, ssl);
	SSL_set_accept_state(ssl);
	SSL_set_mode(ssl, SSL_MODE_ASYNC);
	SSL_set_async_callback(ssl, async_done);
	SSL_set_async_callback_arg(ssl, &c->async);
	c->tickets = (unsigned)SSL_get_num_tickets(ssl);
	SSL_set_num_tickets(ssl, 0);
	settle(c);
	return true;
}

bool
conn_start_tls_client(struct conn *c, SSL *ssl)
{
	must(c->tls == CONN_PLAIN && !c->closing && !c->connecting);
	if (c->in.n > 0) {
		SSL_free(ssl);
		return false;
	}
	begin_tls(c, ssl);
	SSL_set_connect_state(ssl);
	tls_handshake(c);		/* it is for the client to begin */
	conn_flush(c);
	return true;
}

bool
conn_tls_facts(const struct conn *c, struct conn_tls_facts *out)
{
	if (!c->ssl)
		return false;
	*out = (struct conn_tls_facts){ .protocol = SSL_get_version(c->ssl), .cipher = SSL_get_cipher_name(c->ssl),
	    .verify = SSL_get_verify_result(c->ssl), .peer = SSL_get0_peer_certificate(c->ssl) };
	return true;
}

/* ---- the socket and the loop */

static void
watch_write(struct conn *c, bool on)
{
	if (on && !c->wr_on && event_add(&c->wr, NULL) != 0)
		log_fatal("cannot watch descriptor %d", c->fd);
	if (!on && c->wr_on)
		event_del(&c->wr);
	c->wr_on = on;
}

/* Who hears no more is told that nothing will come: were it still there, both would wait. */
static void
fall_mute(struct conn *c)
{
	c->mute = true;
	shutdown(c->fd, SHUT_WR);
}

/* True: all of b is sent. */
static bool
send_some(struct conn *c, struct buf *b)
{
	while (b->n > 0) {
		ssize_t done = send(c->fd, b->p, b->n, MSG_NOSIGNAL | MSG_DONTWAIT);
		bool whole = done == (ssize_t)b->n;

		if (done == -1 && errno == EINTR)
			continue;
		if (done == -1 && errno != EAGAIN && c->hear_out)
			fall_mute(c);
		else if (done == -1 && errno != EAGAIN)
			socket_fail(c, CONN_RESET, errno);
		if (done > 0)
			buf_drop(b, (size_t)done);
		if (!whole)
			return false;		/* the socket is full: no second try to learn it */
	}
	return true;
}

/* Nobody will get it: then nothing waits for it, and what the peer has said is read up to the end. */
static void
drop_unsent(struct conn *c)
{
	buf_clear(&c->out);
	buf_clear(&c->raw_out);
	watch_write(c, false);
}

/* RFC 8446 section 6.1: close_notify, with the last words in one segment. */
static void
tls_notify_close(struct conn *c)
{
	if (c->notified || c->failed || c->tls != CONN_PROTECTED || c->out.n > 0)
		return;
	c->notified = true;
	ERR_clear_error();
	SSL_shutdown(c->ssl);			/* a failure only means: none */
	ERR_clear_error();
}

/* Who cannot be told any more is gone: reading says so. */
static void
half_close(struct conn *c)
{
	if (!c->half_closing || c->out.n > 0)
		return;
	c->half_closing = false;
	shutdown(c->fd, SHUT_WR);
}

static void
send_out(struct conn *c)
{
	if (c->out.full)
		fail(c, CONN_RESET);		/* its end is missing: never to be sent as if whole */
	if (c->failed || c->ended || c->lingering || c->connecting)
		return;
	if (c->mute) {
		drop_unsent(c);
		return;
	}
	if (c->ssl) {
		do {
			tls_encrypt(c);
			if (c->closing)
				tls_notify_close(c);
		} while (c->raw_out.n > 0 && send_some(c, &c->raw_out) && c->out.n > 0
		    && c->tls == CONN_PROTECTED && !c->failed);
		watch_write(c, c->raw_out.n > 0 && !c->failed);
	} else {
		watch_write(c, !send_some(c, &c->out) && !c->failed);
		half_close(c);
	}
	if (c->mute)
		drop_unsent(c);
}

static void
stop_events(struct conn *c)
{
	event_del(&c->rd);
	event_del(&c->wr);
	event_del(&c->again);
	c->rd_on = c->wr_on = false;
	timer_clear(&c->deadline);
}

static void
end(struct conn *c, enum conn_end why)
{
	if (c->ended)
		return;
	if (c->eof)
		tls_notify_close(c);
	if ((why == CONN_TLS || why == CONN_EOF) && c->raw_out.n > 0)	/* the alert, if it goes at once */
		send(c->fd, c->raw_out.p, c->raw_out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	stop_events(c);
	c->ended = true;
	c->on_end(c->owner, why);
}

static bool
room_due(const struct conn *c)
{
	return c->wants_room && !conn_choked(c) && !c->mute && !c->failed && !c->closing && !c->connecting
	    && c->tls != CONN_HANDSHAKE;
}

/* It had more to say than there was room for, and now there is. */
static bool
handshake_due(const struct conn *c)
{
	return c->tls == CONN_HANDSHAKE && !c->async_on && !c->lingering && SSL_want_write(c->ssl) && c->raw_out.n <= RAW_OUT_LOW;
}

/* All that the peer has said was taken, and it will say no more. */
static bool
eof_due(const struct conn *c)
{
	return c->eof && !c->eof_told && !c->paused && !c->choked && !c->owed && !c->closing && !c->failed
	    && (c->on_eof || unsent(c) == 0);
}

/* After every change of state, from inside the loop or not: what will call us next? Reading
 * is stopped later, when an event comes that nobody wants: most pauses end before. */
static void
settle(struct conn *c)
{
	if (c->busy || c->ended)
		return;
	if (c->choked && !conn_choked(c) && !c->paused) {
		c->choked = false;
		c->owed = true;
	}
	if (c->failed || (c->owed && !c->paused) || (c->more && takes_input(c)) || handshake_due(c) || room_due(c) || eof_due(c)
	    || (unsent(c) == 0 && c->closing && !c->lingering))
		event_active(&c->again, EV_TIMEOUT, 0);	/* work(), from the loop */
	if (!c->rd_on && wants_read(c)) {
		if (event_add(&c->rd, NULL) != 0)
			log_fatal("cannot watch descriptor %d", c->fd);
		c->rd_on = true;
	}
}

/* conn_close_flushed: what remains to be done. True: on_end was called. */
static bool
close_step(struct conn *c)
{
	if (!c->lingering && unsent(c) == 0 && !c->failed) {
		c->lingering = true;
		if (!c->raw_eof)		/* many close their side with their last words: nobody is left to wait for */
			discard(c);
		if (!c->raw_eof && shutdown(c->fd, SHUT_WR) == -1)
			c->raw_eof = true;
		if (!c->raw_eof)
			timer_set(&c->deadline, LINGER_MS);
	}
	if (c->failed || (c->lingering && c->raw_eof)) {
		end(c, c->lingering ? CONN_FLUSHED : c->end_why);
		return true;
	}
	return false;
}

/* True: `in` has grown. */
static bool
take_in(struct conn *c, bool readable)
{
	bool grown;

	if (c->lingering) {
		if (readable)
			discard(c);
		return false;
	}
	if (c->ssl) {
		if (readable)
			read_some(c, &c->raw_in);
		tls_handshake(c);
		return tls_decrypt(c);
	}
	grown = readable && read_some(c, &c->in);
	if (c->raw_eof && !c->eof) {
		c->eof = true;
		c->end_why = CONN_EOF;
	}
	return grown;
}

/* False: the owner has freed c. */
static bool
call(struct conn *c, void (*callback)(void *owner))
{
	bool gone = false;

	c->gone = &gone;
	callback(c->owner);
	if (gone)
		return false;
	c->gone = NULL;
	return true;
}

static bool
call_ready(struct conn *c)
{
	c->ready = false;
	return !c->on_ready || c->closing || c->failed || call(c, c->on_ready);
}

static bool
call_input(struct conn *c)
{
	if (!call(c, c->on_input))
		return false;
	c->choked = c->in.n > 0 && conn_choked(c) && !c->duplex;
	return true;
}

/* False: the owner has freed c. */
static bool
call_room(struct conn *c)
{
	bool gone = false;

	c->wants_room = false;
	c->gone = &gone;
	c->on_room(c->owner);
	if (gone)
		return false;
	c->gone = NULL;
	return true;
}

static bool
call_eof(struct conn *c)
{
	c->eof_told = true;
	return call(c, c->on_eof);
}

/* One round: in, the owner, out, and then whatever the state has become. */
static void
work(struct conn *c, bool readable)
{
	bool input = c->owed;

	c->busy = true;
	c->owed = false;
	if (take_in(c, readable))
		input = true;
	if (c->ready && !call_ready(c))
		return;
	if (input && c->in.n > 0 && !c->paused && !c->closing && !c->failed
	    && c->tls != CONN_HANDSHAKE && !call_input(c))
		return;
	if (c->on_eof && eof_due(c) && !call_eof(c))
		return;
	if (!c->wr_on)			/* else the socket has said that it is full */
		send_out(c);
	if (room_due(c)) {		/* once a round: others have their turn, however fast this peer is */
		if (!call_room(c))
			return;
		if (!c->wr_on)
			send_out(c);
	}
	c->busy = false;
	if (c->closing) {
		if (close_step(c))
			return;
	} else if (c->failed || (!c->on_eof && eof_due(c))) {
		end(c, c->end_why);
		return;
	}
	settle(c);
}

static void
readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	loop_began();
	if (wants_read(c)) {
		work(c, true);
	} else {
		event_del(&c->rd);
		c->rd_on = false;
	}
}

static void
due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	loop_began();
	work(arg, false);
}

/* connect(2), as far as the kernel went with it. */
static void
connected(struct conn *c)
{
	socklen_t n = sizeof(int);
	int error = 0;

	c->connecting = false;
	watch_write(c, false);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) == -1)
		error = errno;
	if (error != 0)
		socket_fail(c, CONN_UNCONNECTED, error);
	else
		c->ready = true;
}

static void
writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	loop_began();
	if (c->connecting)
		connected(c);
	else
		send_out(c);
	work(c, false);
}

static void
too_late(void *arg)
{
	struct conn *c = arg;

	end(c, c->lingering ? CONN_FLUSHED : CONN_TIMEOUT);
}

void
conn_init(struct conn *c, struct loop *l, int fd, size_t in_max, size_t out_max,
    void (*on_input)(void *), void (*on_end)(void *, enum conn_end), void *owner)
{
	*c = (struct conn){ .loop = l, .fd = fd, .chunk = CHUNK_FIRST, .on_input = on_input,
	    .on_end = on_end, .owner = owner };
	must(fd != -1 && in_max > 0 && out_max > 0);
	buf_init(&c->in, in_max);
	buf_init(&c->out, out_max);
	fd_nonblock(fd, true);
	must(event_assign(&c->rd, l->base, fd, EV_READ | EV_PERSIST, readable, c) == 0);
	must(event_assign(&c->wr, l->base, fd, EV_WRITE | EV_PERSIST, writable, c) == 0);
	must(event_assign(&c->again, l->base, -1, 0, due, c) == 0);
	must(event_assign(&c->async, l->base, -1, 0, async_ready, c) == 0);
	timer_init(&c->deadline, l, too_late, c);
	settle(c);
}

void
conn_connecting(struct conn *c)
{
	c->connecting = true;
	if (c->rd_on)
		event_del(&c->rd);
	c->rd_on = false;
	watch_write(c, true);
}

void
conn_fini(struct conn *c)
{
	if (!c->loop)
		return;
	if (c->gone)
		*c->gone = true;
	stop_events(c);
	ssl_fini(c);
	buf_fini(&c->in);
	buf_fini(&c->out);
	buf_fini(&c->raw_in);
	buf_fini(&c->raw_out);
	fd_close(&c->fd);
	c->ended = true;
	c->gone = NULL;
	c->loop = NULL;
}

void
conn_flush(struct conn *c)
{
	if (!c->loop || c->ended)
		return;
	if (!c->wr_on)
		send_out(c);
	settle(c);
}

void
conn_want_room(struct conn *c)
{
	must(c->on_room != NULL);
	c->wants_room = true;
	if (c->loop && !c->ended)
		settle(c);
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
}

void
conn_resume(struct conn *c)
{
	c->paused = false;
	c->owed = c->in.n > 0;
	if (c->loop)
		settle(c);
}

void
conn_deadline(struct conn *c, uint64_t after_ms)
{
	if (c->closing || c->ended || !c->loop)
		return;			/* the close has its own */
	if (after_ms > 0)
		timer_set(&c->deadline, after_ms);
	else
		timer_clear(&c->deadline);
}

void
conn_close_flushed(struct conn *c, uint64_t within_ms)
{
	if (c->closing || c->ended || !c->loop)
		return;
	c->closing = true;
	timer_set(&c->deadline, within_ms);
	conn_flush(c);
}

void
conn_half_close(struct conn *c)
{
	must(c->tls == CONN_PLAIN);
	c->half_closing = true;
	conn_flush(c);
}

void
conn_trim(struct conn *c)
{
	struct buf *all[] = { &c->in, &c->out, &c->raw_in, &c->raw_out };

	for (size_t i = 0; i < LEN(all); i++)
		if (all[i]->n == 0 && !all[i]->full)
			buf_release(all[i]);
	c->chunk = CHUNK_FIRST;
}

int
conn_take_fd(struct conn *c)
{
	int fd = c->fd;

	must(c->tls == CONN_PLAIN && c->in.n == 0 && c->out.n == 0);
	c->fd = -1;
	conn_fini(c);
	return fd;
}
