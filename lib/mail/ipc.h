/* SPDX-License-Identifier: ISC */
/*
 * mail/ipc.h - messages between processes: frames of messages.def.
 *
 * A frame: u32 type, u32 id, then the fields in order, little-endian; TEXT is
 * u32 length and octets, FD is u8 1 with the descriptor beside the frame
 * (SCM_RIGHTS), or u8 0. Anything missing, left over, too long or unknown makes
 * the frame bad, which ends that connection, not this process.
 *
 * For a message `deliver` there are:
 *	struct ipc_deliver		its fields; TEXT as struct bytes
 *	IPC_deliver			its type
 *	ipc_put_deliver(out, id, &m)	makes *out a frame of it; fds stay the caller's
 *	ipc_get_deliver(in, &m)		true: m is set and borrows from the frame; its
 *					fds are now the caller's. False: a bad frame
 */
#ifndef MAIL_IPC_H
#define MAIL_IPC_H

#include "base/buf.h"

#define IPC_FRAME_MAX	65536
#define IPC_FDS		2	/* descriptors a frame may carry */

enum ipc_type {
	IPC_NONE,
#define MSG(m)		IPC_##m,
#define TEXT(f, max)
#define U32(f)
#define U64(f)
#define FD(f)
#define END(m)
#include "mail/messages.def"
#undef MSG
#undef TEXT
#undef U32
#undef U64
#undef FD
#undef END
	IPC_TYPES
};

struct ipc_out {
	struct buf	frame;		/* owned, reused from frame to frame */
	int		fds[IPC_FDS];	/* borrowed until sent */
	unsigned	nfds;
};

struct ipc_in {
	uint32_t	type, id;
	struct bytes	rest;		/* what is not taken yet; borrowed from the receive buffer */
	int		fds[IPC_FDS];	/* owned until taken by ipc_get_* */
	unsigned	nfds, fds_taken;
	bool		fds_lost;	/* this process has no room for what came: a FD is -1 then, as if there were none */
	bool		bad;		/* sticks */
};

#define MSG(m)		struct ipc_##m {
#define TEXT(f, max)	struct bytes f;
#define U32(f)		uint32_t f;
#define U64(f)		uint64_t f;
#define FD(f)		int f;
#define END(m)		unsigned char ipc_end_; };				\
	void ipc_put_##m(struct ipc_out *out, uint32_t id, const struct ipc_##m *m); \
	bool ipc_get_##m(struct ipc_in *in, struct ipc_##m *m);
#include "mail/messages.def"
#undef MSG
#undef TEXT
#undef U32
#undef U64
#undef FD
#undef END

void		 ipc_out_init(struct ipc_out *out);
void		 ipc_out_fini(struct ipc_out *out);
uint64_t	 ipc_hash(void);			/* of messages.def */
const char	*ipc_name(uint32_t type);		/* "deliver"; "?" when unknown */

enum ipc_io { IPC_DONE, IPC_AGAIN, IPC_CLOSED /* the peer is gone, or errno */, IPC_BAD /* not a frame of ours */ };

/* One datagram; never a part of one. IPC_BAD: a field is longer than its maximum; said in the journal. */
enum ipc_io	 ipc_send(int fd, const struct ipc_out *out);
/* buf has IPC_FRAME_MAX octets; in borrows from it. On IPC_BAD nothing is left open. */
enum ipc_io	 ipc_recv(int fd, unsigned char *buf, struct ipc_in *in);
void		 ipc_in_close(struct ipc_in *in);	/* closes the descriptors nobody took */

/* The same for a blocking socket, with a deadline in milliseconds (tools, workers). */
enum ipc_io	 ipc_send_wait(int fd, const struct ipc_out *out, int timeout_ms);
enum ipc_io	 ipc_recv_wait(int fd, unsigned char *buf, struct ipc_in *in, int timeout_ms);

/* A connected pair of SOCK_SEQPACKET, close-on-exec, with room for several frames. */
bool		 ipc_pair(int fds[2]);

/* A message inside a TEXT field (route): body only; ipc_add_text(run, ipc_out_body(out)) appends one. */
void		 ipc_in_bytes(struct ipc_in *in, struct bytes body);	/* to read one with ipc_get_* */
struct bytes	 ipc_out_body(const struct ipc_out *out);		/* what follows type and id */
struct bytes	 ipc_cut_text(struct bytes *run, bool *bad);		/* the next TEXT of a run */
void		 ipc_add_text(struct buf *run, struct bytes s);

/* "deliver queue_id=... sender=..." for debugging; secrets (password, secret, initial, response, ticket, voucher, row) as "***". */
void		 ipc_print(struct ipc_in in, struct buf *out);

#endif
