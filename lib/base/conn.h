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
	CONN_TLS,	/* the handshake or a record was bad, or close_notify is missing (then `out` is sent) */
	CONN_FLUSHED,	/* what conn_close_flushed was asked to send is sent */
	CONN_UNCONNECTED, /* conn_connecting: nobody is there, see error */
};

enum conn_tls { CONN_PLAIN, CONN_HANDSHAKE, CONN_PROTECTED };

/*
 * The owner's callbacks are called by the loop alone, never from inside a function below: an
 * owner that flushes, pauses or closes is not called back, or freed, meanwhile. Each may free
 * the owner, conn with it; conn does nothing after.
 *
 * Back-pressure: nothing is read while `in` is at its max or `out` above half of its max
 * (conn_choked; but see duplex). An owner that stops taking lines when choked is called again when the peer
 * has read. Should `out` be overrun in spite of it (full), the connection ends: CONN_RESET.
 */
struct conn {
	struct loop	*loop;		/* borrowed; NULL: finished */
	int		 fd;		/* owned */
	struct buf	 in, out;	/* owned; decrypted, not yet encrypted */
	enum conn_tls	 tls;
	SSL		*ssl;		/* owned; NULL in plaintext */
	unsigned long	 tls_error;	/* with CONN_TLS: for ERR_reason_error_string; 0 if unknown */
	int		 error;		/* with CONN_RESET, CONN_UNCONNECTED: an errno; 0 if unknown */
	struct buf	 raw_in;	/* owned; not yet decrypted, only with TLS */
	size_t		 raw_at;	/* octets of raw_in that OpenSSL has taken */
	struct buf	 raw_out;	/* owned; encrypted, only with TLS */
	size_t		 chunk;		/* octets of the next read: grows with what comes */
	size_t		 discarded;	/* octets read and thrown away after the half-close */
	bool		 paused;	/* by conn_pause: nothing is read */
	bool		 eof;		/* the peer will send no more */
	bool		 closing;	/* conn_close_flushed was called */
	bool		 hear_out;	/* the owner's to set: what the peer said before it took nothing more is read before
					 * the end is told. For clients: a server that is fed up says why, and closes */

	bool		 duplex;	/* the owner's to set: what is read is no question that is answered in `out`, and does
					 * not wait for it to be sent. For those who pass on what others say to each other */

	/* conn's own from here */
	bool		 raw_eof;	/* the socket is at its end */
	bool		 failed;	/* to be ended by the loop, for end_why */
	enum conn_end	 end_why;	/* of eof and failed */
	bool		 ended;		/* on_end was called */
	bool		 busy;		/* the loop is in conn, and looks at its state before it leaves */
	bool		 owed;		/* on_input is to be called */
	bool		 choked;	/* the last on_input left octets, perhaps as it was choked */
	bool		 wants_room;	/* on_room is to be called */
	bool		 mute;		/* the socket takes nothing more; with hear_out */
	bool		 more;		/* OpenSSL may hold octets that no event will tell of */
	bool		 eof_told;	/* on_eof was called */
	bool		 half_closing;	/* conn_half_close is to be done when `out` is sent */
	bool		 notified;	/* close_notify is sent */
	bool		 lingering;	/* half-closed: what comes is discarded */
	bool		 connecting;	/* nothing is read or sent yet */
	bool		 ready;		/* on_ready is to be called */
	bool		 rd_on, wr_on, async_on;
	unsigned	 tickets;	/* of TLS 1.3, to go before what is encrypted first */
	bool		*gone;		/* set by conn_fini: tells the loop's frame below a callback */
	struct event	 rd, wr;
	struct event	 again;		/* made active by hand: a look at the state is due */
	struct event	 async;		/* made active when the private key's operation is done */
	struct timer	 deadline;

	/* The owner's */
	void		(*on_input)(void *owner);	/* `in` has grown, or conn_resume was called */
	void		(*on_end)(void *owner, enum conn_end why); /* once; conn does nothing after */
	void		(*on_eof)(void *owner);	/* set after conn_init, may be NULL: instead of on_end where the peer closed its side,
						 * and only that. It goes on to read until the owner closes */
	void		(*on_room)(void *owner);	/* after conn_want_room; may be NULL */
	void		(*on_ready)(void *owner); /* set after conn_init, may be NULL: the socket is connected, or a handshake
						 * is done (tls says which); before any on_input of what came behind it */
	void		*owner;
};

/* Takes fd (made non-blocking). Reads once the loop runs. */
void	conn_init(struct conn *c, struct loop *l, int fd, size_t in_max, size_t out_max,
	    void (*on_input)(void *), void (*on_end)(void *, enum conn_end), void *owner);
void	conn_fini(struct conn *c);			/* closes at once; idempotent */

/* Right after conn_init, for a non-blocking socket on which connect(2) said 0 or EINPROGRESS: nothing is sent or read
 * before it is connected. Then on_ready is called, or on_end with CONN_UNCONNECTED. conn_deadline is for this wait, too. */
void	conn_connecting(struct conn *c);

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

/* Sends `out`, to which nothing is added any more, and tells the peer that it was all; what the peer says is read as before.
 * Only in plaintext. */
void	conn_half_close(struct conn *c);

/* So much waits to be sent that no more should be answered now. */
static inline bool
conn_choked(const struct conn *c)
{
	return c->out.n > c->out.max / 2;
}

/* For an owner that sends more than `out` holds: on_room will be called, once, from the loop, when it is not choked. */
void	conn_want_room(struct conn *c);

/* Gives the buffers' memory back while nothing is going on (idle sessions). */
void	conn_trim(struct conn *c);

/* Server side. False, and nothing changed, when octets wait in `in` (injection). What is in
 * `out` is sent before, in plaintext; what is added from now on waits for the handshake. */
bool	conn_start_tls(struct conn *c, SSL_CTX *ctx);
/*
 * Client side: begins the handshake. ssl says what is wanted (server name, verification, versions) and is taken, whatever
 * comes of it. False, and nothing else changed, when octets wait in `in`: they came behind the reply to STARTTLS, and would
 * look protected (CVE-2021-38371). Where SSL_VERIFY_PEER is set and fails, the end is CONN_TLS: no octet of `out` was sent.
 */
bool	conn_start_tls_client(struct conn *c, SSL *ssl);

struct conn_tls_facts {
	const char	*protocol, *cipher;	/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; "(NONE)" while there is none */
	long		 verify;		/* X509_V_OK or X509_V_ERR_; means something only with a certificate */
	X509		*peer;			/* borrowed from ssl; NULL: the peer has shown none */
};
/* What a handshake has come to. From on_ready on, and in on_end, where it may have failed. False: there is no TLS. */
bool	conn_tls_facts(const struct conn *c, struct conn_tls_facts *out);

/* Hands the socket on: returns the descriptor, now the caller's, non-blocking; c is finished.
 * Only in plaintext; what is in `in` must have been taken, and `out` be sent (conn_flush, and
 * look at out.n). */
int	conn_take_fd(struct conn *c);

#endif
