/* SPDX-License-Identifier: ISC */
/*
 * daemon/login.c - connections whose clients are not yet known, on the event
 * loop. client -> login -> auth -> (ticket) -> become -> session
 */
#include "daemon/login.h"

#include "base/log.h"
#include "base/mem.h"
#include "mail/router.h"

#define IN_MAX		16384		/* what is left of it goes on with the session: `session` in messages.def */
#define OUT_MAX		32768
#define AUTH_MS		60000
#define BECOME_MS	30000
#define LINGER_MS	10000

struct login_service {
	struct daemon	*daemon;
	const struct login_protocol *protocol;
	const struct login_limits *limits;
	struct peers	*auth, *become;
	struct crowd	 crowd;
	struct ipc_out	 out;
};

static void	run(struct login_session *s);

static void
session_free(struct login_session *s)
{
	struct login_service *v = s->service;

	peers_cancel(s->call_peers != NULL ? s->call_peers : v->auth, s->call);
	timer_clear(&s->deadline);
	if (v->protocol->fini != NULL)
		v->protocol->fini(s);
	mem_free(s->state);
	buf_wipe(&s->conn.in);			/* a password may be in it */
	conn_fini(&s->conn);
	crowd_leave(&s->guest);
	mem_free(s);
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
	if (s->guest.ending)
		return;
	s->guest.ending = true;
	if (why != NULL)
		log_info("%s: protocol=%s client=%s session ended: %s", s->guest.id,
		    s->service->protocol->name, s->guest.client, why);
	timer_clear(&s->deadline);
	conn_close_flushed(&s->conn, LINGER_MS);
}

static void
end_with(struct login_session *s, const char *words, const char *why)
{
	if (s->guest.ending)
		return;
	buf_text(&s->conn.out, words);
	login_end(s, why);
}

static void
on_deadline(void *arg)
{
	struct login_session *s = arg;

	if (s->guest.waiting) {
		timer_set(&s->deadline, AUTH_MS);
		return;
	}
	end_with(s, s->service->protocol->timeout, "no login within login_timeout");
}

/* The crowd's: room is short, or a drain goes on. */
static void
on_crowded(void *session, bool draining)
{
	struct login_session *s = session;
	const struct login_protocol *p = s->service->protocol;

	end_with(s, draining ? p->bye : p->slow, draining ? "shutting down" : "room is short");
}

static void
on_drop(void *session)
{
	struct login_session *s = session;

	if (!s->guest.ending) {
		buf_text(&s->conn.out, s->service->protocol->slow);
		conn_flush(&s->conn);
	}
	session_free(s);
}

/* ---- become: the session begins ---- */

static void
on_started(void *arg, struct ipc_in *in)
{
	struct login_session *s = arg;
	struct ipc_session_started a;

	s->call = 0;
	s->guest.waiting = false;
	if (in != NULL && in->type == IPC_session_started && ipc_get_session_started(in, &a)
	    && a.status == 0) {
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

	must(s->conn.tls == CONN_PLAIN);
	conn_flush(&s->conn);
	if (s->conn.out.n > 0) {	/* two processes would write to the client at once */
		v->protocol->failed(s, true, text("read the replies before you log in"));
		return;
	}
	buf_init(&reply, 1024);
	v->protocol->welcome(s, &reply);
	ipc_put_session(&v->out, 0, &(struct ipc_session){
	    .ticket = ticket, .protocol = text(v->protocol->name), .session_id = text(s->guest.id),
	    .client = text(s->guest.client), .input = buf_bytes(&s->conn.in), .output = buf_bytes(&reply),
	    .socket = s->conn.fd });
	buf_fini(&reply);
	s->guest.waiting = true;
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
		end_with(s, s->service->protocol->enough, "too many wrong passwords");
}

static void
on_step(void *arg, struct ipc_in *in)
{
	struct login_session *s = arg;
	struct ipc_auth_step a;

	s->call = 0;
	s->guest.waiting = false;
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
	if (!s->guest.waiting && !s->guest.ending) {
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

	s->guest.waiting = true;
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
	    .protocol = text(v->protocol->name), .mechanism = mechanism, .client = text(s->guest.client),
	    .session_id = text(s->guest.id), .secure = s->secure, .has_initial = initial != NULL,
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
	const struct login_protocol *p = s->service->protocol;
	struct buf *in = &s->conn.in;
	bool on = true;

	if (s->service->crowd.stopping && !s->guest.waiting)
		on_crowded(s, true);
	while (on && !s->guest.waiting && !s->guest.ending) {
		struct bytes rest = buf_bytes(in);
		size_t before = rest.n;

		if (conn_choked(&s->conn))
			conn_flush(&s->conn);
		if (conn_choked(&s->conn))
			break;			/* conn calls again when the client has read */
		on = p->input(s, &rest);
		if (before != rest.n) {
			explicit_bzero(in->p, before - rest.n);
			buf_drop(in, before - rest.n);
		}
		if (on || s->guest.waiting)
			crowd_progress(&s->guest);
	}
	if (!s->guest.ending)
		conn_flush(&s->conn);
}

static void
on_input(void *owner)
{
	struct login_session *s = owner;

	if (s->guest.ending)
		buf_clear(&s->conn.in);
	else if (!s->guest.waiting)
		run(s);
}

void
login_accept(struct login_service *v, int fd)
{
	struct login_session *s = mem_alloc(sizeof *s);
	enum crowd_verdict verdict = crowd_enter(&v->crowd, &s->guest, fd, s);

	if (verdict != CROWD_WELCOME) {
		crowd_refuse(fd, verdict == CROWD_CLOSED ? "" : v->protocol->busy);
		mem_free(s);
		return;
	}
	s->service = v;
	s->state = mem_alloc(v->protocol->state_octets);
	s->secure = crowd_is_loopback(&s->guest);
	s->may_log_in = s->secure || v->limits->insecure;
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
	crowd_init(&v->crowd, d, &l->crowd, on_crowded, on_drop);
	ipc_out_init(&v->out);
	return v;
}

void
login_service_free(struct login_service **service)
{
	struct login_service *v = *service;

	if (v == NULL)
		return;
	crowd_fini(&v->crowd);
	ipc_out_fini(&v->out);
	mem_free(v);
	*service = NULL;
}

uint32_t
login_sessions(const struct login_service *v)
{
	return v->crowd.count;
}

void
login_drain(struct login_service *v)
{
	crowd_drain(&v->crowd);
}

void
login_stop(struct login_service *v)
{
	crowd_stop(&v->crowd);
}
