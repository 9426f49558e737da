/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/ipc.h"

#define HEADER	8u		/* type and id */

/* ---- little-endian octets ---- */

static unsigned char *
put_le(unsigned char *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> (8 * i));
	return p + n;
}

static uint64_t
get_le(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* ---- making a frame ---- */

void
ipc_out_init(struct ipc_out *out)
{
	*out = (struct ipc_out){ 0 };
	buf_init(&out->frame, IPC_FRAME_MAX);
}

void
ipc_out_fini(struct ipc_out *out)
{
	buf_wipe(&out->frame);		/* it may have carried a password */
	out->nfds = 0;
}

static void
put_number(struct ipc_out *out, uint64_t v, size_t n)
{
	unsigned char *p = buf_room(&out->frame, n);

	if (p) {
		put_le(p, v, n);
		out->frame.n += n;
	}
}

static void
put_head(struct ipc_out *out, uint32_t type, uint32_t id)
{
	buf_clear(&out->frame);
	out->nfds = 0;
	put_number(out, type, 4);
	put_number(out, id, 4);
}

void
ipc_add_text(struct buf *run, struct bytes s)
{
	unsigned char *p = s.n <= IPC_FRAME_MAX ? buf_room(run, 4 + s.n) : NULL;

	if (!p) {
		run->full = true;
		return;
	}
	p = put_le(p, s.n, 4);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	run->n += 4 + s.n;
}

/* What is too long makes the frame one that ipc_send refuses: no receiver would take it. */
static void
put_text(struct ipc_out *out, struct bytes s, size_t max)
{
	if (s.n > max)
		out->frame.full = true;
	else
		ipc_add_text(&out->frame, s);
}

static void
put_fd(struct ipc_out *out, int fd)
{
	put_number(out, fd != -1, 1);
	if (fd != -1) {
		must(out->nfds < IPC_FDS);
		out->fds[out->nfds++] = fd;
	}
}

#define MSG(m)		void ipc_put_##m(struct ipc_out *out, uint32_t id, const struct ipc_##m *from)	\
			{ (void)from; put_head(out, IPC_##m, id);
#define TEXT(f, max)	put_text(out, from->f, max);
#define U32(f)		put_number(out, from->f, 4);
#define U64(f)		put_number(out, from->f, 8);
#define FD(f)		put_fd(out, from->f);
#define END(m)		}
#include "mail/messages.def"
#undef MSG
#undef TEXT
#undef U32
#undef U64
#undef FD
#undef END

/* ---- taking a frame apart ---- */

static struct bytes
take(struct ipc_in *in, size_t n)
{
	struct bytes got = bytes_head(in->rest, n);

	if (got.n < n) {
		in->bad = true;
		in->rest = got = (struct bytes){ 0 };
	} else {
		in->rest = bytes_skip(in->rest, n);
	}
	return got;
}

static uint64_t
take_number(struct ipc_in *in, size_t n)
{
	struct bytes b = take(in, n);

	return b.n == n ? get_le(b.p, n) : 0;
}

static struct bytes
take_text(struct ipc_in *in, size_t max)
{
	uint64_t n = take_number(in, 4);

	if (n > max) {
		in->bad = true;
		n = 0;
	}
	return take(in, (size_t)n);
}

/* The next descriptor, or -1. It stays in in->fds: if the frame turns out to be bad, done() closes it. */
static int
take_fd(struct ipc_in *in)
{
	switch (take_number(in, 1)) {
	case 0:
		return -1;
	case 1:
		if (in->fds_lost)
			return -1;
		if (in->fds_taken < in->nfds)
			return in->fds[in->fds_taken++];
		break;
	default:
		break;
	}
	in->bad = true;
	return -1;
}

static void
close_fds(struct ipc_in *in)
{
	for (unsigned i = 0; i < in->nfds; i++)
		fd_close(&in->fds[i]);
	in->nfds = in->fds_taken = 0;
}

void
ipc_in_close(struct ipc_in *in)
{
	close_fds(in);
}

/* All there, nothing left over: then the descriptors are the caller's. */
static bool
done(struct ipc_in *in)
{
	if (in->bad || in->rest.n > 0 || in->fds_taken != in->nfds) {
		in->bad = true;
		close_fds(in);
		return false;
	}
	in->nfds = in->fds_taken = 0;
	return true;
}

/* IPC_NONE: a body alone (ipc_in_bytes); ipc_recv takes no such frame. */
static void
expect(struct ipc_in *in, uint32_t type)
{
	if (in->type != type && in->type != IPC_NONE)
		in->bad = true;
}

#define MSG(m)		bool ipc_get_##m(struct ipc_in *in, struct ipc_##m *to)		\
			{ (void)to; expect(in, IPC_##m);
#define TEXT(f, max)	to->f = take_text(in, max);
#define U32(f)		to->f = (uint32_t)take_number(in, 4);
#define U64(f)		to->f = take_number(in, 8);
#define FD(f)		to->f = take_fd(in);
#define END(m)		return done(in); }
#include "mail/messages.def"
#undef MSG
#undef TEXT
#undef U32
#undef U64
#undef FD
#undef END

void
ipc_in_bytes(struct ipc_in *in, struct bytes body)
{
	*in = (struct ipc_in){ .type = IPC_NONE, .rest = body };
}

struct bytes
ipc_out_body(const struct ipc_out *out)
{
	return bytes_skip(buf_bytes(&out->frame), HEADER);
}

struct bytes
ipc_cut_text(struct bytes *run, bool *bad)
{
	struct ipc_in in = { .rest = *run };
	struct bytes got = take_text(&in, IPC_FRAME_MAX);

	if (in.bad) {
		*bad = true;
		got = in.rest = (struct bytes){ 0 };
	}
	*run = in.rest;
	return got;
}

/* ---- what is known of messages.def ---- */

static const char shape[] =
#define MSG(m)		#m " {"
#define TEXT(f, max)	" text " #f " " #max
#define U32(f)		" u32 " #f
#define U64(f)		" u64 " #f
#define FD(f)		" fd " #f
#define END(m)		" }\n"
#include "mail/messages.def"
#undef MSG
#undef TEXT
#undef U32
#undef U64
#undef FD
#undef END
;

/* FNV-1a: it tells versions apart, it keeps no enemy out. */
uint64_t
ipc_hash(void)
{
	static uint64_t hash;

	if (hash == 0) {
		uint64_t h = 0xcbf29ce484222325;

		for (size_t i = 0; i < sizeof shape - 1; i++)
			h = (h ^ (unsigned char)shape[i]) * 0x100000001b3;
		hash = h;
	}
	return hash;
}

static const char *const names[IPC_TYPES] = {
#define MSG(m)		[IPC_##m] = #m,
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
};

const char *
ipc_name(uint32_t type)
{
	return type < IPC_TYPES && names[type] ? names[type] : "?";
}

/* ---- printing ---- */

#define PRINT_MAX 64		/* octets of a text that are shown; of longer ones only the length */

static void
print_text(struct buf *out, const char *field, struct bytes s)
{
	static const char *const secrets[] = { "password", "initial", "response", "ticket", "secret", "voucher", "row" };

	for (size_t i = 0; i < LEN(secrets); i++) {
		if (strcmp(field, secrets[i]) == 0) {
			buf_fmt(out, " %s=***", field);
			return;
		}
	}
	if (s.n > PRINT_MAX)
		buf_fmt(out, " %s=(%zu octets)", field, s.n);
	else
		buf_fmt(out, " %s=\"%s\"", field, log_text(s));
}

#define MSG(m)		static void print_##m(struct ipc_in *in, struct buf *out)	\
			{ (void)in; buf_text(out, #m);
#define TEXT(f, max)	print_text(out, #f, take_text(in, max));
#define U32(f)		buf_fmt(out, " %s=%u", #f, (unsigned)take_number(in, 4));
#define U64(f)		buf_fmt(out, " %s=%llu", #f, (unsigned long long)take_number(in, 8));
#define FD(f)		buf_fmt(out, " %s=%s", #f, take_fd(in) == -1 ? "none" : "passed");
#define END(m)		}
#include "mail/messages.def"
#undef MSG
#undef TEXT
#undef U32
#undef U64
#undef FD
#undef END

static void (*const printers[IPC_TYPES])(struct ipc_in *, struct buf *) = {
#define MSG(m)		[IPC_##m] = print_##m,
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
};

void
ipc_print(struct ipc_in in, struct buf *out)
{
	if (in.type == IPC_NONE || in.type >= IPC_TYPES) {
		buf_fmt(out, "? type=%u", (unsigned)in.type);
		return;
	}
	printers[in.type](&in, out);
	if (in.bad || in.rest.n > 0)
		buf_text(out, " (malformed)");
}

/* ---- sockets ---- */

union fds_space {
	char		octets[CMSG_SPACE(IPC_FDS * sizeof(int))];
	struct cmsghdr	align;
};

static void
attach_fds(struct msghdr *msg, union fds_space *space, const int *fds, unsigned n)
{
	struct cmsghdr *c;

	*space = (union fds_space){ .octets = { 0 } };
	msg->msg_control = space->octets;
	msg->msg_controllen = CMSG_SPACE(n * sizeof(int));
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
}

enum ipc_io
ipc_send(int fd, const struct ipc_out *out)
{
	struct iovec piece = { out->frame.p, out->frame.n };
	struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1 };
	union fds_space space;
	ssize_t sent;

	if (out->frame.full || out->frame.n < HEADER) {
		log_warn("ipc: a frame `%s` is longer than messages may be and is not sent",
		    out->frame.n >= 4 ? ipc_name((uint32_t)get_le(out->frame.p, 4)) : "?");
		errno = EMSGSIZE;
		return IPC_BAD;
	}
	if (out->nfds > 0)
		attach_fds(&msg, &space, out->fds, out->nfds);
	do {
		sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	if (sent != -1)
		return IPC_DONE;
	return errno == EAGAIN || errno == ENOBUFS ? IPC_AGAIN : IPC_CLOSED;
}

/* Takes every descriptor that came along; more than a frame may carry were cut off by the kernel
 * (MSG_CTRUNC). */
static void
collect_fds(struct msghdr *msg, struct ipc_in *in)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (in->nfds < IPC_FDS) {
				in->fds[in->nfds++] = fd;
			} else {
				close(fd);
				in->bad = true;
			}
		}
	}
}

enum ipc_io
ipc_recv(int fd, unsigned char *buf, struct ipc_in *in)
{
	struct iovec piece = { buf, IPC_FRAME_MAX };
	union fds_space space;
	struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1,
	    .msg_control = space.octets, .msg_controllen = sizeof space.octets };
	ssize_t n;

	*in = (struct ipc_in){ 0 };
	do {		/* ECONNRESET is said once, when the peer went without reading all; what it sent comes after */
		n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n == -1 && (errno == EINTR || errno == ECONNRESET));
	if (n == -1)
		return errno == EAGAIN ? IPC_AGAIN : IPC_CLOSED;
	collect_fds(&msg, in);
	if (n == 0) {		/* its end; or an empty datagram, which is no frame either */
		in->bad = in->bad || in->nfds > 0;
		close_fds(in);
		errno = 0;
		return in->bad ? IPC_BAD : IPC_CLOSED;
	}
	/* Fewer than a frame may carry, and yet cut: no descriptor was free. That is our trouble, not the peer's. */
	if ((msg.msg_flags & MSG_CTRUNC) && in->nfds < IPC_FDS && !in->bad) {
		close_fds(in);
		in->fds_lost = true;
		msg.msg_flags &= ~MSG_CTRUNC;
	}
	if (n < (ssize_t)HEADER || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		in->bad = true;
	if (!in->bad) {
		in->type = (uint32_t)get_le(buf, 4);
		in->id = (uint32_t)get_le(buf + 4, 4);
		in->rest = bytes_of(buf + HEADER, (size_t)n - HEADER);
		in->bad = in->type == IPC_NONE || in->type >= IPC_TYPES;
	}
	if (in->bad) {
		close_fds(in);
		return IPC_BAD;
	}
	return IPC_DONE;
}

/* False: the time is over. */
static bool
wait_for(int fd, short what, uint64_t until_ms)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = what };
		uint64_t now = clock_mono_ms();
		int left = until_ms > now ? (int)(until_ms - now) : 0;
		int n = poll(&p, 1, left);

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

enum ipc_io
ipc_send_wait(int fd, const struct ipc_out *out, int timeout_ms)
{
	uint64_t until = clock_mono_ms() + (uint64_t)timeout_ms;
	enum ipc_io io;

	while ((io = ipc_send(fd, out)) == IPC_AGAIN)
		if (!wait_for(fd, POLLOUT, until))
			break;
	return io;
}

enum ipc_io
ipc_recv_wait(int fd, unsigned char *buf, struct ipc_in *in, int timeout_ms)
{
	uint64_t until = clock_mono_ms() + (uint64_t)timeout_ms;
	enum ipc_io io;

	while ((io = ipc_recv(fd, buf, in)) == IPC_AGAIN)
		if (!wait_for(fd, POLLIN, until))
			break;
	return io;
}

bool
ipc_pair(int fds[2])
{
	int room = 8 * IPC_FRAME_MAX;	/* the kernel takes what its wmem_max allows */

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		return false;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	return true;
}
