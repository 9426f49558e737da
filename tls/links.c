/* SPDX-License-Identifier: ISC */
/*
 * tls/links.c - a client's socket, `outer`, and our half of a pair, `inner`.
 *
 * Until the handshake is done there is no inner, and the client is a guest like others: it may be slow
 * no longer than handshake_timeout. Behind it the session at the other half decides how long all of it lasts.
 * What one side has sent and the other does not take yet stays where it was read, and nothing more is read. A client that closes
 * its side is answered until the session closes its own.
 */
#include "tls/tls.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define ROOM		16384		/* octets each way that wait here: a record of TLS */
#define LINGER_MS	10000

struct links {
	struct daemon	*daemon;
	const struct tls_limits *limits;
	struct tls_server *server;
	struct peers	*imap, *pop3;
	struct voucher_key voucher;
	struct crowd	 crowd;
	struct ipc_out	 out;
};

struct link {
	struct links	*all;		/* borrowed */
	struct guest	 guest;
	struct conn	 outer, inner;	/* inner.loop NULL: there is none (yet, or any more) */
	bool		 imap;
	char		 session_id[CROWD_ID_MAX];	/* after STARTTLS; empty: TLS from the start */
};

static void
link_free(struct link *k)
{
	conn_fini(&k->outer);
	conn_fini(&k->inner);
	crowd_leave(&k->guest);
	mem_free(k);
}

/* ---- octets ---- */

/* What `to` has no room for waits in `from`, which is read no more: else its end could be told before they are gone. */
static void
pump(struct conn *from, struct conn *to)
{
	size_t room = to->out.max - to->out.n;
	size_t n = from->in.n < room ? from->in.n : room;

	buf_add(&to->out, bytes_head(buf_bytes(&from->in), n));
	buf_drop(&from->in, n);
	conn_flush(to);
	if (from->in.n > 0) {
		conn_pause(from);
		conn_want_room(to);
	} else if (from->paused) {
		conn_resume(from);
	}
	if (from->in.n == 0 && to->out.n == 0) {
		conn_trim(from);
		conn_trim(to);
	}
}

static void
outer_input(void *owner)
{
	struct link *k = owner;

	if (k->inner.loop)
		pump(&k->outer, &k->inner);
}

static void
inner_input(void *owner)
{
	struct link *k = owner;

	pump(&k->inner, &k->outer);
}

/* Room at one side is for what the other has read. */
static void
outer_room(void *owner)
{
	inner_input(owner);
}

static void
inner_room(void *owner)
{
	outer_input(owner);
}

/* ---- ends ---- */

/* It may wait for answers to what it said: RFC 8446 section 6.1. The session is at its end when it has given them. */
static void
outer_eof(void *owner)
{
	struct link *k = owner;

	conn_half_close(&k->inner);
}

static void
outer_end(void *owner, enum conn_end why)
{
	struct link *k = owner;

	if (k->outer.tls != CONN_PROTECTED) {
		log_info("%s: client=%s TLS handshake failed: %s", k->guest.id, k->guest.client,
		    why == CONN_TIMEOUT ? "it took too long" : why == CONN_TLS ? tls_server_why(&k->outer)
		    : "the client closed the connection");
		link_free(k);
		return;
	}
	conn_fini(&k->outer);
	if (k->inner.loop && !k->inner.ended)
		conn_close_flushed(&k->inner, LINGER_MS);	/* what the client said last is for the session to take */
	else
		link_free(k);
}

static void
inner_end(void *owner, enum conn_end why)
{
	struct link *k = owner;

	(void)why;
	conn_fini(&k->inner);
	if (k->outer.loop && !k->outer.ended)
		conn_close_flushed(&k->outer, LINGER_MS);
	else
		link_free(k);
}

/* ---- behind the handshake ---- */

/* False: there is no login service to be had. */
static bool
hand_on(struct link *k, const char *facts)
{
	struct links *l = k->all;
	struct channel *to = peers_pick(k->imap ? l->imap : l->pop3);
	struct tls_bindings bindings;
	unsigned char voucher[VOUCHER_OCTETS];
	struct bytes vouched = text(NULL);
	struct buf addresses;
	int pair[2];

	if (!to)
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1) {
		log_errno("no pair of sockets for a session");
		return false;
	}
	tls_server_bindings(&k->outer, &bindings);
	buf_init(&addresses, TLS_IDENTITY_MAX);
	if (tls_server_identity(&k->outer, k->session_id[0] ? k->session_id : k->guest.id, k->guest.client, &addresses))
		vouched = voucher_make(&l->voucher, buf_bytes(&addresses), clock_mono_ms(), voucher);
	ipc_put_tls_client(&l->out, 0, &(struct ipc_tls_client){ .session_id = text(k->session_id),
	    .client = text(k->guest.client), .tls = text(facts), .server_name = bytes_head(tls_server_name(&k->outer), 255),
	    .exporter = tls_binding_octets(&bindings.exporter), .end_point = tls_binding_octets(&bindings.end_point),
	    .addresses = buf_bytes(&addresses), .voucher = vouched, .socket = pair[1] });
	channel_send(to, &l->out);
	buf_fini(&addresses);
	close(pair[1]);
	conn_init(&k->inner, &l->daemon->loop, pair[0], ROOM, ROOM, inner_input, inner_end, k);
	k->inner.duplex = true;		/* it may take no more before it is heard */
	k->inner.on_room = inner_room;
	k->inner.hear_out = true;	/* a session that has ended takes nothing more, but has said why */
	return true;
}

static void
on_ready(void *owner)
{
	struct link *k = owner;
	char facts[TLS_SERVER_FACTS_MAX];

	conn_deadline(&k->outer, 0);
	k->guest.waiting = true;	/* from here on the session says who has been idle for too long */
	if (tls_server_facts(&k->outer, facts) && hand_on(k, facts))
		return;
	log_warn("%s: client=%s %s cannot take it: the connection is closed", k->guest.id, k->guest.client,
	    k->imap ? "imap-login" : "pop3-login");
	conn_close_flushed(&k->outer, LINGER_MS);
}

static void
begin(struct link *k, int fd)
{
	struct links *l = k->all;

	conn_init(&k->outer, &l->daemon->loop, fd, ROOM, ROOM, outer_input, outer_end, k);
	k->outer.duplex = true;
	k->outer.on_room = outer_room;
	k->outer.on_eof = outer_eof;
	k->outer.on_ready = on_ready;
	must(tls_server_start(l->server, &k->outer, k->imap ? "imap" : "pop3"));	/* nothing was read yet */
	conn_deadline(&k->outer, l->limits->handshake_timeout_ms);
}

static struct link *
link_new(struct links *l, int fd, bool imap)
{
	struct link *k = mem_alloc(sizeof *k);
	enum crowd_verdict v = crowd_enter(&l->crowd, &k->guest, fd, k);

	if (v != CROWD_WELCOME || l->crowd.count > l->limits->crowd.sessions) {
		if (v == CROWD_WELCOME) {
			log_warn("client=%s refused: tls_sessions are all taken by sessions", k->guest.client);
			crowd_leave(&k->guest);
		}
		close(fd);
		mem_free(k);
		return NULL;
	}
	k->all = l;
	k->imap = imap;
	return k;
}

void
links_accept(struct links *l, int fd, bool imap)
{
	struct link *k = link_new(l, fd, imap);

	if (k)
		begin(k, fd);
}

static bool
is_imap(const struct channel *c)
{
	return strcmp(channel_peer(c), "imap-login") == 0;
}

bool
links_take(struct links *l, struct channel *c, struct ipc_in *in)
{
	struct ipc_tls_begin m = { .socket = -1 };
	struct link *k;

	if (in->type != IPC_tls_begin || !ipc_get_tls_begin(in, &m) || m.socket == -1 || m.session_id.n == 0
	    || m.session_id.n >= CROWD_ID_MAX) {
		fd_close(&m.socket);
		return false;
	}
	k = link_new(l, m.socket, is_imap(c));
	if (k) {
		bytes_to_text(m.session_id, k->session_id, sizeof k->session_id);
		begin(k, m.socket);
	}
	return true;
}

/* ---- the crowd: handshakes alone ---- */

static void
on_crowded(void *session, bool draining)
{
	struct link *k = session;

	(void)draining;
	link_free(k);
}

static void
on_drop(void *session)
{
	link_free(session);
}

struct links *
links_new(struct daemon *d, const struct tls_limits *limits, struct tls_server *server, const struct voucher_key *voucher)
{
	struct links *l = mem_alloc(sizeof *l);

	l->daemon = d;
	l->limits = limits;
	l->server = server;
	l->voucher = *voucher;
	l->imap = daemon_peers(d, "imap-login");
	l->pop3 = daemon_peers(d, "pop3-login");
	crowd_init(&l->crowd, d, &limits->crowd, on_crowded, on_drop);
	ipc_out_init(&l->out);
	return l;
}

void
links_free(struct links **l)
{
	if (!*l)
		return;
	crowd_fini(&(*l)->crowd);
	ipc_out_fini(&(*l)->out);
	mem_free(*l);
	*l = NULL;
}

uint32_t
links_count(const struct links *l)
{
	return l->crowd.count;
}

void
links_drain(struct links *l)
{
	crowd_drain(&l->crowd);
}
