/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/channel.h"

#define ROUND		32	/* frames read from one channel before others have their turn */
#define BUCKETS		32	/* of a channel's open calls */
#define SLOT_OLD	UINT32_MAX /* replaced: it lives until its peer is gone, but is asked nothing more */

/*
 * Ids. A call takes TAG | a count; the answer carries the same id. What
 * a process did not issue itself is a question: so an answer that comes
 * after its deadline is known as one, and dropped. Where both ends ask,
 * the one that master named the asked has another tag (channel_is_asked).
 */
#define TAG_CALLER	0x80000000u
#define TAG_ASKED	0x40000000u
#define TAG_MASK	0xc0000000u

struct call {			/* no answer yet */
	struct call	*next;		/* of its bucket, or of the orphans */
	uint32_t	 id;
	uint64_t	 until_ms;
	channel_answer	 answer;
	void		*arg;		/* borrowed */
	struct timer	 timer;		/* of an orphan alone */
};

struct queued {			/* a frame that the socket did not take */
	struct queued	*next;
	struct ipc_out	 out;		/* owned, its descriptors too */
};

struct channel {
	struct loop	*loop;		/* borrowed */
	int		 fd;		/* owned */
	uint64_t	 serial;
	struct watch	 readable, writable;
	struct timer	 timer;		/* the next deadline, or that the peer is gone */
	uint64_t	 timer_ms;	/* when it fires; 0: not set */
	channel_frame	 on_frame;
	channel_gone	 on_gone;
	void		*arg, *data;	/* borrowed */
	uint32_t	 tag;		/* of ids */
	uint64_t	 issued;
	struct call	*calls[BUCKETS];	/* owned */
	size_t		 waiting;	/* calls in them */
	struct queued	*queue, **queue_end;	/* owned */
	size_t		 queued, queued_octets;
	unsigned	 busy;		/* callbacks of ours on the stack: freed when they have returned */
	bool		 greeted;	/* the peer's hello came */
	bool		 broken;	/* the peer is gone, which will be said from the loop */
	bool		 closed;	/* nothing more is said to its owner */
	struct peers	*peers;		/* borrowed; it is in that list */
	struct channel	*next;
	uint32_t	 slot;
	char		 peer[33];
};

struct peers {
	const char	*service;	/* borrowed */
	struct channel	*first;		/* owned */
	size_t		 count;		/* of those that are asked */
	unsigned	 turn;
};

static unsigned char	 received[IPC_FRAME_MAX];	/* one for all: callbacks borrow it and return */
static uint64_t		 serials;
static struct call	*orphans;	/* calls on a channel that is gone: NULL from the loop */
static uint32_t		 orphans_issued;
static struct loop	*loop_known;	/* of the first channel: for orphans without one */

static void	finish(struct channel *c);
static void	read_frames(struct channel *c, unsigned most);

/* ---- calls ---- */

static struct call **
bucket(struct channel *c, uint32_t id)
{
	return &c->calls[id % BUCKETS];
}

/* Takes it out of its list; NULL: not there. */
static struct call *
call_take(struct call **list, uint32_t id)
{
	for (struct call **at = list; *at; at = &(*at)->next) {
		struct call *k = *at;

		if (k->id == id) {
			*at = k->next;
			return k;
		}
	}
	return NULL;
}

static void
orphan_answered(void *arg)
{
	struct call *k = arg;

	must(call_take(&orphans, k->id) == k);
	k->answer(k->arg, NULL);
	mem_free(k);
}

static uint64_t
orphan(struct loop *loop, channel_answer answer, void *arg)
{
	struct call *k = mem_alloc(sizeof *k);

	must(loop != NULL);
	if (++orphans_issued == 0)
		orphans_issued = 1;
	*k = (struct call){ .next = orphans, .id = orphans_issued, .answer = answer, .arg = arg };
	timer_init(&k->timer, loop, orphan_answered, k);
	timer_set(&k->timer, 0);
	orphans = k;
	return k->id;			/* serial 0: no channel has it */
}

static void
orphan_cancel(uint32_t id)
{
	struct call *k = call_take(&orphans, id);

	if (k) {
		timer_clear(&k->timer);
		mem_free(k);
	}
}

static void
fire_at(struct channel *c, uint64_t when_ms)
{
	uint64_t now = clock_mono_ms();

	if (c->timer_ms != 0 && c->timer_ms <= when_ms)
		return;			/* it fires before, and looks again */
	c->timer_ms = when_ms > 0 ? when_ms : 1;
	timer_set(&c->timer, when_ms > now ? when_ms - now : 0);
}

/* Says it to the owner from the loop, whoever is on the stack now. */
static void
break_channel(struct channel *c)
{
	c->broken = true;
	watch_off(&c->readable);
	watch_off(&c->writable);
	fire_at(c, 0);
}

/* The first call whose time is over, or any; *next_ms: when the next one's will be. */
static struct call *
take_expired(struct channel *c, uint64_t now_ms, bool any, uint64_t *next_ms)
{
	*next_ms = UINT64_MAX;
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct call *k = c->calls[i]; k; k = k->next) {
			if (any || k->until_ms <= now_ms) {
				c->waiting--;
				return call_take(&c->calls[i], k->id);
			}
			if (k->until_ms < *next_ms)
				*next_ms = k->until_ms;
		}
	}
	return NULL;
}

/* A callback may close the channel: it is freed when all that use it have returned. */
static void
hold(struct channel *c)
{
	c->busy++;
}

static void
release(struct channel *c)
{
	if (--c->busy == 0 && c->closed)
		mem_free(c);
}

/* Gives up the calls whose time is over, or all of them. */
static void
expire(struct channel *c, bool all)
{
	uint64_t now = clock_mono_ms(), next;
	struct call *k;

	hold(c);
	while ((k = take_expired(c, now, all, &next))) {
		k->answer(k->arg, NULL);
		mem_free(k);
	}
	if (next != UINT64_MAX && !c->closed && !c->broken)
		fire_at(c, next);
	release(c);
}

static void
timer_fired(void *arg)
{
	struct channel *c = arg;

	c->timer_ms = 0;
	hold(c);
	if (c->broken) {		/* what the peer has sent before it went is still good */
		read_frames(c, CHANNEL_QUEUE);
		if (!c->closed)
			finish(c);
	} else {
		expire(c, false);
	}
	release(c);
}

/* ---- the end of a channel ---- */

static void
leave_peers(struct channel *c)
{
	struct peers *p = c->peers;

	if (!p)
		return;
	for (struct channel **at = &p->first; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	p->count -= c->slot != SLOT_OLD;
	c->peers = NULL;
}

static void
unqueue(struct channel *c)
{
	struct queued *q = c->queue;

	c->queue = q->next;
	if (!c->queue)
		c->queue_end = &c->queue;
	c->queued--;
	c->queued_octets -= q->out.frame.n;
	for (unsigned i = 0; i < q->out.nfds; i++)
		close(q->out.fds[i]);
	ipc_out_fini(&q->out);
	mem_free(q);
}

static void
detach(struct channel *c)
{
	leave_peers(c);
	if (c->closed)
		return;
	c->closed = true;
	watch_off(&c->readable);
	watch_off(&c->writable);
	timer_clear(&c->timer);
	fd_close(&c->fd);
	while (c->queue)
		unqueue(c);
}

void
channel_close(struct channel **taken)
{
	struct channel *c = *taken;

	*taken = NULL;
	if (!c || c->closed)
		return;
	hold(c);
	detach(c);
	expire(c, true);
	release(c);
}

/* The peer is gone: says so to everyone who waits, then to the owner. From the loop only. */
static void
finish(struct channel *c)
{
	hold(c);
	c->broken = true;
	leave_peers(c);
	expire(c, true);
	if (!c->closed && c->on_gone)
		c->on_gone(c->arg, c);
	detach(c);
	release(c);
}

/* ---- sending ---- */

/* A copy that waits until the socket has room. */
static bool
enqueue(struct channel *c, const struct ipc_out *out)
{
	struct queued *q;

	if (c->queued >= CHANNEL_QUEUE || c->queued_octets + out->frame.n > CHANNEL_OCTETS) {
		log_warn("channel: %s does not read; %zu frames wait, it is given up",
		    c->peer[0] ? c->peer : "the other process", c->queued);
		return false;
	}
	q = mem_alloc(sizeof *q);
	ipc_out_init(&q->out);
	buf_add(&q->out.frame, buf_bytes(&out->frame));
	*c->queue_end = q;
	c->queue_end = &q->next;
	c->queued++;
	c->queued_octets += q->out.frame.n;
	for (; q->out.nfds < out->nfds; q->out.nfds++) {
		int fd = fcntl(out->fds[q->out.nfds], F_DUPFD_CLOEXEC, 0);

		if (fd == -1) {
			log_errno("channel: cannot keep a descriptor that is to be passed");
			return false;
		}
		q->out.fds[q->out.nfds] = fd;
	}
	watch_on(&c->writable);
	return true;
}

static void
send_now(struct channel *c, const struct ipc_out *out)
{
	enum ipc_io io = c->queue ? IPC_AGAIN : ipc_send(c->fd, out);

	if (io == IPC_CLOSED || (io == IPC_AGAIN && !enqueue(c, out)))
		break_channel(c);
}

/* IPC_BAD above is a frame of ours that is too long, which ipc_send has said. */
static bool
sendable(const struct channel *c, const struct ipc_out *out)
{
	return !c->broken && !c->closed && !out->frame.full && out->frame.n >= 8;
}

static void
set_id(struct ipc_out *out, uint32_t id)
{
	for (unsigned i = 0; i < 4; i++)
		out->frame.p[4 + i] = (unsigned char)(id >> (8 * i));
}

static void
writable(void *arg, short what)
{
	struct channel *c = arg;
	enum ipc_io io = IPC_DONE;

	(void)what;
	while (c->queue && (io = ipc_send(c->fd, &c->queue->out)) == IPC_DONE)
		unqueue(c);
	if (!c->queue)
		watch_off(&c->writable);
	if (io == IPC_CLOSED)
		break_channel(c);
}

static uint32_t
next_id(struct channel *c)
{
	uint32_t count;

	do {				/* after 2^30 of them, from the start again */
		c->issued++;
		count = (uint32_t)c->issued & ~TAG_MASK;
	} while (count == 0);
	return c->tag | count;
}

uint64_t
channel_call(struct channel *c, struct ipc_out *out, unsigned timeout_ms, channel_answer answer, void *arg)
{
	struct call *k;

	if (!sendable(c, out)) {
		if (out->frame.full)
			log_warn("channel: a call is longer than messages may be");
		return orphan(c->loop, answer, arg);
	}
	k = mem_alloc(sizeof *k);
	*k = (struct call){ .id = next_id(c), .until_ms = clock_mono_ms() + timeout_ms,
	    .answer = answer, .arg = arg };
	k->next = *bucket(c, k->id);
	*bucket(c, k->id) = k;
	c->waiting++;
	set_id(out, k->id);
	send_now(c, out);
	if (!c->broken)
		fire_at(c, k->until_ms);
	return c->serial << 32 | k->id;
}

void
channel_cancel(struct channel *c, uint64_t call)
{
	struct call *k;

	if (call >> 32 == 0) {
		orphan_cancel((uint32_t)call);
	} else if (call >> 32 == c->serial && (k = call_take(bucket(c, (uint32_t)call), (uint32_t)call))) {
		c->waiting--;
		mem_free(k);
	}
}

static void
send_as(struct channel *c, uint32_t id, struct ipc_out *out)
{
	if (out->frame.full || out->frame.n < 8) {
		log_warn("channel: a message is longer than messages may be and is not sent");
	} else if (sendable(c, out)) {
		set_id(out, id);
		send_now(c, out);
	}
}

void
channel_send(struct channel *c, struct ipc_out *out)
{
	send_as(c, 0, out);
}

void
channel_reply(struct channel *c, uint32_t id, struct ipc_out *out)
{
	send_as(c, id, out);
}

size_t
channel_waiting(const struct channel *c)
{
	return c->waiting;
}

/* ---- receiving ---- */

/* An id that this end gave to a call, whether it still waits or not. */
static bool
is_ours(const struct channel *c, uint32_t id)
{
	uint32_t count = id & ~TAG_MASK;

	return (id & TAG_MASK) == c->tag && count != 0 && count <= c->issued;
}

static bool
greet(struct channel *c, struct ipc_in *in)
{
	struct ipc_hello hello;

	if (in->type != IPC_hello || !ipc_get_hello(in, &hello)) {
		log_warn("channel: the first message is `%s`, not hello: closed", ipc_name(in->type));
		return false;
	}
	if (hello.hash != ipc_hash()) {
		log_warn("channel: the other process is of another version: closed");
		return false;
	}
	c->greeted = true;
	return true;
}

/* One frame; false: it made no sense. */
static bool
receive(struct channel *c, struct ipc_in *in)
{
	struct call *k;

	if (!c->greeted)
		return greet(c, in);
	if (is_ours(c, in->id)) {
		k = call_take(bucket(c, in->id), in->id);
		if (k) {		/* else it comes too late, or was cancelled */
			c->waiting--;
			k->answer(k->arg, in);
			mem_free(k);
		}
		return true;
	}
	if (c->on_frame && c->on_frame(c->arg, c, in))
		return true;
	log_warn("channel: message `%s` makes no sense here: closed", ipc_name(in->type));
	return false;
}

static void
read_frames(struct channel *c, unsigned most)
{
	enum ipc_io io = IPC_DONE;

	hold(c);
	for (unsigned i = 0; i < most && io == IPC_DONE && !c->closed; i++) {
		struct ipc_in in;
		bool good;

		io = ipc_recv(c->fd, received, &in);
		good = io == IPC_AGAIN || (io == IPC_DONE && receive(c, &in));
		ipc_in_close(&in);
		if (io == IPC_BAD)
			log_warn("channel: what came is no message of ours: closed");
		if (!good && !c->closed)
			finish(c);
	}
	release(c);
}

static void
readable(void *arg, short what)
{
	(void)what;
	read_frames(arg, ROUND);
}

struct channel *
channel_new(struct loop *l, int fd, channel_frame on_frame, channel_gone on_gone, void *arg)
{
	struct channel *c = mem_alloc(sizeof *c);
	struct ipc_hello hello = { .hash = ipc_hash() };
	struct ipc_out out;

	*c = (struct channel){ .loop = l, .fd = fd, .serial = ++serials, .on_frame = on_frame,
	    .on_gone = on_gone, .arg = arg, .tag = TAG_CALLER };
	c->queue_end = &c->queue;
	loop_known = l;
	fd_nonblock(fd, true);
	timer_init(&c->timer, l, timer_fired, c);
	watch_init(&c->readable, l, fd, EV_READ, readable, c);
	watch_init(&c->writable, l, fd, EV_WRITE, writable, c);
	watch_on(&c->readable);
	ipc_out_init(&out);
	ipc_put_hello(&out, 0, &hello);
	send_now(c, &out);
	ipc_out_fini(&out);
	return c;
}

void
channel_is_asked(struct channel *c)
{
	c->tag = TAG_ASKED;
}

bool
channel_greeted(const struct channel *c)
{
	return c->greeted;
}

void
channel_set_peer(struct channel *c, struct bytes service)
{
	must(bytes_to_text(service, c->peer, sizeof c->peer));
}

const char *
channel_peer(const struct channel *c)
{
	return c->peer;
}

void
channel_set_data(struct channel *c, void *data)
{
	c->data = data;
}

void *
channel_data(const struct channel *c)
{
	return c->data;
}

uint64_t
channel_serial(const struct channel *c)
{
	return c->serial;
}

/* ---- all the workers of a service ---- */

struct peers *
peers_new(const char *service)
{
	struct peers *p = mem_alloc(sizeof *p);

	p->service = service;
	return p;
}

/* Kept, out of reach of everybody, to the end of the process: they may be all that points at what they
 * are about. */
static void
leave_unanswered(struct channel *c)
{
	static struct call *unanswered;
	uint64_t next;
	struct call *k;

	while ((k = take_expired(c, 0, true, &next))) {
		k->next = unanswered;
		unanswered = k;
	}
}

void
peers_free(struct peers **p)
{
	if (!*p)
		return;
	while ((*p)->first) {
		struct channel *c = (*p)->first;

		leave_unanswered(c);
		channel_close(&c);
	}
	mem_free(*p);
	*p = NULL;
}

void
peers_add(struct peers *p, unsigned slot, struct channel *c)
{
	/* The one before may have answers in its socket that its dead peer has sent. */
	for (struct channel *old = p->first; old; old = old->next) {
		if (old->slot == slot) {
			old->slot = SLOT_OLD;
			p->count--;
		}
	}
	leave_peers(c);
	c->slot = slot;
	c->peers = p;
	c->next = p->first;
	p->first = c;
	p->count++;
}

size_t
peers_count(const struct peers *p)
{
	return p->count;
}

/* Where several have as few, each in its turn. */
struct channel *
peers_pick(struct peers *p)
{
	struct channel *best = NULL;
	unsigned n = 0, best_after = 0;

	for (struct channel *c = p->first; c; c = c->next) {
		unsigned after;

		if (c->slot == SLOT_OLD || c->broken)
			continue;
		after = (unsigned)((n++ + p->count - p->turn % p->count) % p->count);
		if (!best || c->waiting < best->waiting || (c->waiting == best->waiting && after < best_after)) {
			best = c;
			best_after = after;
		}
	}
	p->turn++;
	return best;
}

struct channel *
peers_by_serial(struct peers *p, uint64_t serial)
{
	for (struct channel *c = p->first; c; c = c->next)
		if (c->serial == serial && !c->broken)
			return c;
	return NULL;
}

uint64_t
peers_call(struct peers *p, struct ipc_out *out, unsigned timeout_ms, channel_answer answer, void *arg)
{
	struct channel *c = peers_pick(p);

	return c ? channel_call(c, out, timeout_ms, answer, arg) : orphan(loop_known, answer, arg);
}

void
peers_cancel(struct peers *p, uint64_t call)
{
	if (call >> 32 == 0)
		orphan_cancel((uint32_t)call);
	for (struct channel *c = p->first; c; c = c->next) {
		if (call >> 32 == c->serial) {
			channel_cancel(c, call);
			return;
		}
	}
}
