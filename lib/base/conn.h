/* SPDX-License-Identifier: ISC */
/*
 * base/conn.h - a stream to a client or server: two buffers, one deadline, and
 * the place where TLS goes in. The owner reads `in`, appends to `out`, and is
 * called when there is something to do; conn does the I/O.
 *
 * TLS: when `tls` is set, octets go through OpenSSL over memory BIOs (never a
 * socket BIO), so that a private-key operation can pause this one connection
 * (ASYNC job) while the loop goes on. The states are plaintext -> handshake ->
 * TLS -> closed, without a way back; conn_start_tls discards nothing silently:
 * plaintext that came before the handshake is an error (CVE-2011-0411).
 */
#ifndef BASE_CONN_H
#define BASE_CONN_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/loop.h"

enum conn_end {		/* why it ended */
	CONN_EOF,	/* the peer closed its side in order; what it sent is delivered, `out` sent */
	CONN_RESET,	/* an error of the socket */
	CONN_TIMEOUT,	/* the deadline passed */
	CONN_TLS,	/* the handshake or a record was bad, or close_notify is missing mid-way */
	CONN_FLUSHED,	/* what conn_close_flushed was asked to send is sent */
};

enum conn_tls { CONN_PLAIN, CONN_HANDSHAKE, CONN_PROTECTED };

/*
 * The owner's callbacks are called by the loop alone, never from inside a function below: an
 * owner that flushes, pauses or closes is not called back, or freed, meanwhile. Both may free
 * the owner, conn with it; conn does nothing after.
 *
 * Back-pressure: nothing is read while `in` is at its max or `out` above half of its max
 * (conn_choked). An owner that stops taking lines when choked is called again when the peer
 * has read. Should `out` be overrun in spite of it (full), the connection ends: CONN_RESET.
 */
struct conn {
	struct loop	*loop;		/* borrowed; NULL: finished */
	int		 fd;		/* owned */
	struct buf	 in, out;	/* owned; decrypted, not yet encrypted */
	enum conn_tls	 tls;
	SSL		*ssl;		/* owned; NULL in plaintext */
	unsigned long	 tls_error;	/* with CONN_TLS: for ERR_reason_error_string; 0 if unknown */
	struct buf	 raw_in;	/* owned; not yet decrypted, only with TLS */
	size_t		 raw_at;	/* octets of raw_in that OpenSSL has taken */
	struct buf	 raw_out;	/* owned; encrypted, only with TLS */
	size_t		 chunk;		/* octets of the next read: grows with what comes */
	size_t		 discarded;	/* octets read and thrown away after the half-close */
	bool		 paused;	/* by conn_pause: nothing is read */
	bool		 eof;		/* the peer will send no more */
	bool		 closing;	/* conn_close_flushed was called */

	/* conn's own from here */
	bool		 raw_eof;	/* the socket is at its end */
	bool		 failed;	/* to be ended by the loop, for end_why */
	enum conn_end	 end_why;	/* of eof and failed */
	bool		 ended;		/* on_end was called */
	bool		 busy;		/* the loop is in conn, and looks at its state before it leaves */
	bool		 owed;		/* on_input is to be called */
	bool		 choked;	/* the last on_input left octets, perhaps as it was choked */
	bool		 more;		/* OpenSSL may hold octets that no event will tell of */
	bool		 notified;	/* close_notify is sent */
	bool		 lingering;	/* half-closed: what comes is discarded */
	bool		 rd_on, wr_on, async_on;
	bool		*gone;		/* set by conn_fini: tells the loop's frame below a callback */
	struct event	 rd, wr;
	struct event	 again;		/* made active by hand: a look at the state is due */
	struct event	 async;		/* the private key's operation */
	struct timer	 deadline;

	/* The owner's */
	void		(*on_input)(void *owner);	/* `in` has grown, or conn_resume was called */
	void		(*on_end)(void *owner, enum conn_end why); /* once; conn does nothing after */
	void		*owner;
};

/* Takes fd (made non-blocking). Reads once the loop runs. */
void	conn_init(struct conn *c, struct loop *l, int fd, size_t in_max, size_t out_max,
	    void (*on_input)(void *), void (*on_end)(void *, enum conn_end), void *owner);
void	conn_fini(struct conn *c);			/* closes at once; idempotent */

/* Sends `out` as far as the socket takes it now; the rest follows by itself. Called by
 * conn after each on_input, and by an owner that appended outside it. */
void	conn_flush(struct conn *c);
void	conn_pause(struct conn *c);			/* reads no more (an answer is awaited) */
void	conn_resume(struct conn *c);			/* on_input will be called if `in` is not empty */
void	conn_deadline(struct conn *c, uint64_t after_ms); /* 0: none. Only for waits on another deadline */
/* Sends `out`, half-closes, and waits a little for the peer's end (a close with octets unread
 * would reset the connection under the last reply), then ends with CONN_FLUSHED. No input is
 * delivered any more. */
void	conn_close_flushed(struct conn *c, uint64_t within_ms);

/* So much waits to be sent that no more should be answered now. */
static inline bool
conn_choked(const struct conn *c)
{
	return c->out.n > c->out.max / 2;
}

/* Gives the buffers' memory back while nothing is going on (idle sessions). */
void	conn_trim(struct conn *c);

/* Server side. False, and nothing changed, when octets wait in `in` (injection). What is in
 * `out` is sent before, in plaintext; what is added from now on waits for the handshake. */
bool	conn_start_tls(struct conn *c, SSL_CTX *ctx);
/* Hands the socket on: returns the descriptor, now the caller's, non-blocking; c is finished.
 * Only in plaintext; what is in `in` must have been taken, and `out` be sent (conn_flush, and
 * look at out.n). */
int	conn_take_fd(struct conn *c);

#endif
