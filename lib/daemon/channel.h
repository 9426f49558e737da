/* SPDX-License-Identifier: ISC */
/*
 * daemon/channel.h - questions and answers between the suite's processes, on the
 * event loop. A channel is one SOCK_SEQPACKET pair, given by master, between one
 * worker of one service and one of another; either side may ask. A peer that
 * sends what is not a frame loses that channel. Sends never block: what the socket
 * does not take waits here, up to CHANNEL_QUEUE frames and CHANNEL_OCTETS; a peer
 * that lets more pile up is treated as gone.
 */
#ifndef DAEMON_CHANNEL_H
#define DAEMON_CHANNEL_H

#include "base/loop.h"
#include "mail/ipc.h"

#define CHANNEL_QUEUE	1024
#define CHANNEL_OCTETS	(8u << 20)	/* of them together */

struct channel;		/* one pair; freed by itself when the peer is gone */
struct peers;		/* all channels to the workers of one service */

/* The answer, or NULL: the peer is gone or the deadline passed. May free arg's owner.
 * What `in` holds is borrowed until it returns. */
typedef void (*channel_answer)(void *arg, struct ipc_in *in);
/* A frame that is no answer: decode it with ipc_get_*, answer with channel_reply (now or
 * later, while the channel lives). False: it made no sense; the channel is closed. */
typedef bool (*channel_frame)(void *arg, struct channel *c, struct ipc_in *in);
/* The peer is gone; c is freed when this returns. */
typedef void (*channel_gone)(void *arg, struct channel *c);

struct channel	*channel_new(struct loop *l, int fd /* taken */, channel_frame, channel_gone, void *arg);
/* Where both ends ask: called by the one that master named the asked (and by each on its channel to
 * master), so that no question of one is taken for an answer to the other. */
void		 channel_is_asked(struct channel *c);
void		 channel_close(struct channel **c);	/* answers its open calls with NULL; calls no channel_gone */
/* The service at the other end, as master named it; "" for a channel that master did not give. */
const char	*channel_peer(const struct channel *c);
/* The peer has said hello: there was one. */
bool		 channel_greeted(const struct channel *c);
void		 channel_set_peer(struct channel *c, struct bytes service);
void		 channel_set_data(struct channel *c, void *data);	/* the owner's */
void		*channel_data(const struct channel *c);

/* Asks. The frame's id is set by the call. Returns a ticket for channel_cancel, never 0. The answer
 * is always given from the loop, never from within this call. */
uint64_t	 channel_call(struct channel *c, struct ipc_out *out, unsigned timeout_ms, channel_answer, void *arg);
void		 channel_cancel(struct channel *c, uint64_t call);	/* no answer will be given; 0 is fine */
void		 channel_send(struct channel *c, struct ipc_out *out);	/* wants no answer */
void		 channel_reply(struct channel *c, uint32_t id, struct ipc_out *out);
size_t		 channel_waiting(const struct channel *c);	/* calls without an answer yet */

/* An id for this channel that is not used again in this process: for those who must notice
 * that "their" channel is gone. */
uint64_t	 channel_serial(const struct channel *c);

struct peers	*peers_new(const char *service);
/* At the end of the process. Open calls are not answered: who asked may be gone already. */
void		 peers_free(struct peers **p);
/* Puts c in (replacing that slot's); it leaves by itself when it goes. */
void		 peers_add(struct peers *p, unsigned slot, struct channel *c);
size_t		 peers_count(const struct peers *p);
struct channel	*peers_pick(struct peers *p);		/* the one with the fewest waiting; NULL: none is there */
struct channel	*peers_by_serial(struct peers *p, uint64_t serial);	/* NULL: gone */
/* As channel_call on peers_pick; with no peer there the answer is NULL, from the loop. */
uint64_t	 peers_call(struct peers *p, struct ipc_out *out, unsigned timeout_ms, channel_answer, void *arg);
/* Also of calls that were made on one of its channels: that may be broken, and still have the call to answer,
 * when peers_by_serial no longer finds it. 0 is fine. */
void		 peers_cancel(struct peers *p, uint64_t call);

#endif
