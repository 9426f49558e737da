/* SPDX-License-Identifier: ISC */
/*
 * daemon/login.c - connections whose clients are not yet known, on the event
 * loop. client -> login -> auth -> (ticket) -> become -> session
 */
#include "daemon/login.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/router.h"

#define IN_MAX		16384
#define OUT_MAX		32768
#define AUTH_MS		60000
#define BECOME_MS	30000
#define LINGER_MS	10000
#define SWEEP_MS	1000
#define REST_MAX	4096		/* of input that goes on with the session: `session` in messages.def */

struct login_service {
	struct daemon	*daemon;
	const struct login_protocol *protocol;
	const struct login_limits *limits;
	struct peers	*auth, *become;
	struct clients	*clients;
	TAILQ_HEAD(, login_session) sessions;	/* least progress first */
	uint32_t	 count, serial;
	struct timer	 sweep;
	struct ipc_out	 out;
	bool		 draining;
};

static void	run(struct login_session *s);

static void
session_free(struct login_session *s)
{
	struct login_service *v = s->service;

	if (s->call != 0 && s->call_peers != NULL)
		peers_cancel(s->call_peers, s->call);
	else if (s->call != 0)
		channel_cancel(peers_by_serial(v->auth, s->auth_serial), s->call);
	timer_clear(&s->deadline);
	if (v->protocol->fini != NULL)
		v->protocol->fini(s);
	mem_free(s->state);
	buf_wipe(&s->conn.in);			/* a password may be in it */
	conn_fini(&s->conn);
	if (s->counted)
		clients_leave(v->clients, s->key);
	TAILQ_REMOVE(&v->sessions, s, link);
	v->count--;
	mem_free(s);
	if (v->draining)
		daemon_settled(v->daemon);
}

static void
on_end(void *owner, enum conn_end why)
{
	(void)why;
	session_free(owner);
}

void
login_end(struct login_session *s, const char *why)
{
	if (s->ending)
		return;
	s->ending = true;
	if (why != NULL)
		log_info("%s: protocol=%s client=%s session ended: %s", s->id,
		    s->service->protocol->name, s->client, why);
	timer_clear(&s->deadline);
	conn_close_flushed(&s->conn, LINGER_MS);
}

static void
end_with(struct login_session *s, const char *words, const char *why)
{
	if (s->ending)
		return;
	buf_text(&s->conn.out, words);
	login_end(s, why);
}

static void
on_deadline(void *arg)
{
	struct login_session *s = arg;

	if (s->waiting) {
		timer_set(&s->deadline, AUTH_MS);
		return;
	}
	end_with(s, s->service->protocol->timeout, "no login within login_timeout");
}

static void
on_sweep(void *arg)
{
	struct login_service *v = arg;
	uint64_t now = clock_mono_ms();
	struct login_session *s, *next;

	timer_set(&v->sweep, SWEEP_MS);
	if (!v->draining && v->count < v->limits->sessions / 4 * 3)
		return;
	for (s = TAILQ_FIRST(&v->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (now - s->progress_ms < v->limits->stress_timeout_ms)
			break;
		if (!s->waiting && !s->ending)
			end_with(s, v->draining ? v->protocol->bye : v->protocol->slow,
			    v->draining ? "shutting down" : "room is short");
	}
}

/* ---- become: the session begins ---- */

static void
on_started(void *arg, struct ipc_in *in)
{
	struct login_session *s = arg;
	struct ipc_session_started a;

	s->call = 0;
	s->waiting = false;
	if (in != NULL && in->type == IPC_session_started && ipc_get_session_started(in, &a)
	    && a.status == 0) {
		s->service->daemon->served++;
		session_free(s);		/* the socket lives on in the session */
		return;
	}
	s->service->protocol->failed(s, true, text("no session can be started now; try again later"));
	conn_resume(&s->conn);
	run(s);
}

static void
start_session(struct login_session *s, struct bytes ticket)
{
	struct login_service *v = s->service;
	struct buf reply;

	if (s->conn.in.n > REST_MAX || s->conn.tls != CONN_PLAIN) {
		v->protocol->failed(s, true, text("too much was sent ahead of the answer"));
		login_end(s, "too much was sent ahead of the answer to the login");
		return;
	}
	buf_init(&reply, 1024);
	v->protocol->welcome(s, &reply);
	ipc_put_session(&v->out, 0, &(struct ipc_session){
	    .ticket = ticket, .protocol = text(v->protocol->name), .session_id = text(s->id),
	    .client = text(s->client), .input = buf_bytes(&s->conn.in), .output = buf_bytes(&reply),
	    .socket = s->conn.fd });
	buf_fini(&reply);
	s->waiting = true;
	s->call_peers = v->become;
	s->call = peers_call(v->become, &v->out, BECOME_MS, on_started, s);
}

/* ---- auth ---- */

static void
refused(struct login_session *s, bool unavailable, struct bytes words)
{
	s->exchange = 0;
	s->service->protocol->failed(s, unavailable, words);
	if (!unavailable && ++s->failures >= s->service->limits->failures)
		login_end(s, "too many wrong passwords");
}

static void
on_step(void *arg, struct ipc_in *in)
{
	struct login_session *s = arg;
	struct ipc_auth_step a;

	s->call = 0;
	s->waiting = false;
	if (in == NULL || in->type != IPC_auth_step || !ipc_get_auth_step(in, &a)) {
		refused(s, true, text("logins are not possible now; try again later"));
	} else {
		switch ((enum auth_result)a.result) {
		case AUTH_CONTINUE:
			s->exchange = a.exchange;
			s->service->protocol->challenge(s, a.challenge);
			break;
		case AUTH_OK:
			s->exchange = 0;
			start_session(s, a.ticket);
			break;
		case AUTH_FAILED:
			refused(s, false, a.text);
			break;
		default:
			refused(s, true, a.text);
		}
	}
	if (!s->waiting && !s->ending) {
		conn_resume(&s->conn);
		run(s);
	} else {
		conn_flush(&s->conn);
	}
}

static void
ask(struct login_session *s, struct channel *c)
{
	struct login_service *v = s->service;

	s->waiting = true;
	conn_pause(&s->conn);
	s->call_peers = c == NULL ? v->auth : NULL;
	if (c == NULL) {		/* nobody is there, or the exchange's auth is gone: another
					 * auth knows no such exchange and says so */
		s->call = peers_call(v->auth, &v->out, AUTH_MS, on_step, s);
		return;
	}
	s->auth_serial = channel_serial(c);
	s->call = channel_call(c, &v->out, AUTH_MS, on_step, s);
}

void
login_auth(struct login_session *s, struct bytes mechanism, const struct bytes *initial)
{
	struct login_service *v = s->service;

	ipc_put_auth_start(&v->out, 0, &(struct ipc_auth_start){
	    .protocol = text(v->protocol->name), .mechanism = mechanism, .client = text(s->client),
	    .session_id = text(s->id), .secure = s->secure, .has_initial = initial != NULL,
	    .initial = initial ? *initial : text(NULL) });
	ask(s, peers_pick(v->auth));
	buf_wipe(&v->out.frame);
}

static void
more(struct login_session *s, struct bytes response, bool cancel)
{
	struct login_service *v = s->service;

	ipc_put_auth_more(&v->out, 0, &(struct ipc_auth_more){ .exchange = s->exchange,
	    .cancel = cancel, .response = response });
	ask(s, peers_by_serial(v->auth, s->auth_serial));
	buf_wipe(&v->out.frame);
}

void
login_respond(struct login_session *s, struct bytes response)
{
	more(s, response, false);
}

void
login_cancel(struct login_session *s)
{
	more(s, text(NULL), true);
}

/* ---- connections ---- */

static void
run(struct login_session *s)
{
	struct login_service *v = s->service;
	struct buf *in = &s->conn.in;
	bool on = true;

	while (on && !s->waiting && !s->ending) {
		struct bytes rest = buf_bytes(in);
		size_t before = rest.n;

		if (conn_choked(&s->conn))
			conn_flush(&s->conn);
		if (conn_choked(&s->conn))
			break;			/* conn calls again when the client has read */
		on = v->protocol->input(s, &rest);
		if (before != rest.n) {
			explicit_bzero(in->p, before - rest.n);
			buf_drop(in, before - rest.n);
			s->progress_ms = clock_mono_ms();
			TAILQ_REMOVE(&v->sessions, s, link);
			TAILQ_INSERT_TAIL(&v->sessions, s, link);
		}
	}
	if (!s->ending)
		conn_flush(&s->conn);
}

static void
on_input(void *owner)
{
	struct login_session *s = owner;

	if (s->ending)
		buf_clear(&s->conn.in);
	else if (!s->waiting)
		run(s);
}

static bool
is_loopback(const unsigned char key[16], int fd)
{
	struct sockaddr_in6 six;
	socklen_t len = sizeof six;

	if (key[10] == 0xff && key[11] == 0xff)
		return key[12] == 127;
	return getpeername(fd, (struct sockaddr *)&six, &len) == 0 && six.sin6_family == AF_INET6
	    && IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
}

static void
make_id(struct login_service *v, char id[16])
{
	struct buf b;

	buf_init(&b, 32);
	base32_u64((uint64_t)clock_wall_us() * 64 + v->daemon->slot % 64, 12, &b);
	base32_u64(v->serial++ % 32, 1, &b);
	snprintf(id, 16, "%.*s", (int)b.n, (char *)b.p);
	buf_fini(&b);
}

static void
evict_one(struct login_service *v)
{
	struct login_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
		if (!s->waiting)
			break;
	if (s == NULL)
		return;
	if (!s->ending) {
		buf_text(&s->conn.out, v->protocol->slow);
		conn_flush(&s->conn);
		log_info("%s: protocol=%s client=%s session ended: room is short", s->id,
		    v->protocol->name, s->client);
	}
	session_free(s);
}

void
login_accept(struct login_service *v, int fd)
{
	struct login_session *s;
	char client[CLIENT_TEXT_MAX];
	unsigned char key[16];
	const int one = 1;

	if (v->draining || !client_of(fd, client, key)) {
		close(fd);
		return;
	}
	if (clients_enter(v->clients, key, clock_mono_ms()) != CLIENT_WELCOME) {
		log_info("protocol=%s client=%s refused: too many connections at once or a minute",
		    v->protocol->name, client);
		if (send(fd, v->protocol->busy, strlen(v->protocol->busy), MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
			log_debug("a refusal could not be sent");
		close(fd);
		return;
	}
	if (v->count >= v->limits->sessions)
		evict_one(v);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1)
		log_debug("TCP_NODELAY refused");
	s = mem_alloc(sizeof *s);
	s->service = v;
	s->state = mem_alloc(v->protocol->state_octets);
	s->counted = true;
	s->secure = is_loopback(key, fd);
	memcpy(s->key, key, 16);
	snprintf(s->client, sizeof s->client, "%s", client);
	make_id(v, s->id);
	s->progress_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&v->sessions, s, link);
	v->count++;
	timer_init(&s->deadline, &v->daemon->loop, on_deadline, s);
	timer_set(&s->deadline, v->limits->timeout_ms);
	conn_init(&s->conn, &v->daemon->loop, fd, IN_MAX, OUT_MAX, on_input, on_end, s);
	v->protocol->greet(s);
	conn_flush(&s->conn);
}

struct login_service *
login_service_new(struct daemon *d, const struct login_protocol *p, const struct login_limits *l)
{
	struct login_service *v = mem_alloc(sizeof *v);

	v->daemon = d;
	v->protocol = p;
	v->limits = l;
	v->auth = daemon_peers(d, "auth");
	v->become = daemon_peers(d, "become");
	v->clients = clients_new(l->client_sessions, l->client_rate, (size_t)l->sessions * 2);
	TAILQ_INIT(&v->sessions);
	ipc_out_init(&v->out);
	timer_init(&v->sweep, &d->loop, on_sweep, v);
	timer_set(&v->sweep, SWEEP_MS);
	return v;
}

void
login_service_free(struct login_service **service)
{
	struct login_service *v = *service;

	if (v == NULL)
		return;
	while (!TAILQ_EMPTY(&v->sessions))
		session_free(TAILQ_FIRST(&v->sessions));
	timer_clear(&v->sweep);
	clients_free(&v->clients);
	ipc_out_fini(&v->out);
	mem_free(v);
	*service = NULL;
}

uint32_t
login_sessions(const struct login_service *v)
{
	return v->count;
}

void
login_drain(struct login_service *v)
{
	v->draining = true;
}
