/* SPDX-License-Identifier: ISC */
/*
 * daemon/login.c - connections whose clients are not yet known, on the event
 * loop. client -> login -> auth -> (ticket) -> become -> session
 */
#include "daemon/login.h"

#include "base/file.h"
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
	const struct mechanism_settings *mechanisms;
	struct peers	*auth, *become, *tls;
	struct crowd	 crowd;
	struct ipc_out	 out;
};

static void	run(struct login_session *s);

static void
session_free(struct login_session *s)
{
	struct login_service *v = s->service;

	auth_client_end(&s->auth);
	peers_cancel(v->become, s->call);
	timer_clear(&s->deadline);
	if (v->protocol->fini != NULL)
		v->protocol->fini(s);
	mem_free(s->state);
	buf_fini(&s->addresses);
	explicit_bzero(s->voucher, sizeof s->voucher);
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
	struct buf reply, offered;

	must(s->conn.tls == CONN_PLAIN);
	conn_flush(&s->conn);
	if (s->conn.out.n > 0) {	/* two processes would write to the client at once */
		v->protocol->failed(s, true, text("read the replies before you log in"));
		return;
	}
	buf_init(&reply, 1024);
	v->protocol->welcome(s, &reply);
	buf_init(&offered, 512);
	if (v->protocol->offered)
		v->protocol->offered(s, &offered);
	ipc_put_session(&v->out, 0, &(struct ipc_session){
	    .ticket = ticket, .protocol = text(v->protocol->name), .session_id = text(s->guest.id),
	    .client = text(s->guest.client), .input = buf_bytes(&s->conn.in), .output = buf_bytes(&reply),
	    .offered = buf_bytes(&offered), .socket = s->conn.fd });
	buf_fini(&offered);
	buf_fini(&reply);
	s->guest.waiting = true;
	s->call = peers_call(v->become, &v->out, BECOME_MS, on_started, s);
}

/* ---- auth ---- */

static void
refused(struct login_session *s, bool unavailable, struct bytes words)
{
	s->service->protocol->failed(s, unavailable, words);
	if (!unavailable && ++s->failures >= s->service->limits->failures)
		end_with(s, s->service->protocol->enough, "too many wrong passwords");
}

static void
on_step(void *arg, const struct ipc_auth_step *a)
{
	struct login_session *s = arg;

	s->guest.waiting = false;
	if (a == NULL) {
		refused(s, true, text("logins are not possible now; try again later"));
	} else {
		switch ((enum auth_result)a->result) {
		case AUTH_CONTINUE:
			s->service->protocol->challenge(s, a->challenge);
			break;
		case AUTH_OK:
			start_session(s, a->ticket);
			break;
		case AUTH_FAILED:
			refused(s, false, a->text);
			break;
		default:
			refused(s, true, a->text);
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
wait(struct login_session *s)
{
	s->guest.waiting = true;
	conn_pause(&s->conn);
}

void
login_auth(struct login_session *s, struct bytes mechanism, const struct bytes *initial)
{
	struct login_service *v = s->service;

	wait(s);
	auth_client_start(&s->auth, &v->out, &(struct ipc_auth_start){
	    .protocol = text(v->protocol->name), .mechanism = mechanism, .client = text(s->guest.client),
	    .session_id = text(s->guest.id), .secure = s->secure, .tls = text(s->facts),
	    .exporter = tls_binding_octets(&s->bindings.exporter),
	    .end_point = tls_binding_octets(&s->bindings.end_point), .addresses = buf_bytes(&s->addresses),
	    .voucher = bytes_of(s->voucher, s->addresses.n > 0 ? VOUCHER_OCTETS : 0), .has_initial = initial != NULL,
	    .initial = initial ? *initial : text(NULL) });
}

static void
more(struct login_session *s, struct bytes response, bool cancel)
{
	wait(s);
	auth_client_more(&s->auth, &s->service->out, response, cancel);
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
		if (s->handed_on) {
			session_free(s);
			return;
		}
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

/* client: its address, as tls has seen it; NULL: it is at the other end of fd. */
static struct login_session *
session_new(struct login_service *v, int fd, const struct bytes *client)
{
	struct login_session *s = mem_alloc(sizeof *s);
	enum crowd_verdict verdict = client ? crowd_enter_named(&v->crowd, &s->guest, *client, s)
	    : crowd_enter(&v->crowd, &s->guest, fd, s);

	if (verdict != CROWD_WELCOME) {
		crowd_refuse(fd, verdict == CROWD_CLOSED ? "" : v->protocol->busy);
		mem_free(s);
		return NULL;
	}
	s->service = v;
	s->auth = (struct auth_client){ .auth = v->auth, .answer = on_step, .arg = s };
	s->state = mem_alloc(v->protocol->state_octets);
	buf_init(&s->addresses, TLS_IDENTITY_MAX);
	s->tls = client != NULL;
	s->secure = s->tls || crowd_is_loopback(&s->guest);
	s->may_log_in = s->secure || v->limits->insecure;
	s->may_start_tls = !s->tls && peers_count(v->tls) > 0;
	mechanisms_offered(v->mechanisms, 0, s->mechanisms);
	timer_init(&s->deadline, &v->daemon->loop, on_deadline, s);
	timer_set(&s->deadline, v->limits->timeout_ms);
	conn_init(&s->conn, &v->daemon->loop, fd, IN_MAX, OUT_MAX, on_input, on_end, s);
	return s;
}

void
login_accept(struct login_service *v, int fd)
{
	struct login_session *s = session_new(v, fd, NULL);

	if (!s)
		return;
	v->protocol->greet(s);
	conn_flush(&s->conn);
}

/* ---- TLS ---- */

static void
keep(struct tls_binding *b, struct bytes octets)
{
	must(octets.n <= sizeof b->octets);		/* messages.def */
	b->n = octets.n;
	if (octets.n > 0)
		memcpy(b->octets, octets.p, octets.n);
}

static void
take_channel(struct login_session *s, const struct ipc_tls_client *m)
{
	unsigned channel = m->exporter.n + m->end_point.n > 0 ? CHANNEL_BINDS : 0;

	(void)bytes_to_text(bytes_head(m->tls, sizeof s->facts - 1), s->facts, sizeof s->facts);
	keep(&s->bindings.exporter, m->exporter);
	keep(&s->bindings.end_point, m->end_point);
	if (m->addresses.n > 0 && m->voucher.n == VOUCHER_OCTETS) {
		buf_add(&s->addresses, m->addresses);
		memcpy(s->voucher, m->voucher.p, VOUCHER_OCTETS);
		channel |= CHANNEL_CERTIFIED;
	}
	mechanisms_offered(s->service->mechanisms, channel, s->mechanisms);
}

bool
login_take(struct login_service *v, struct ipc_in *in)
{
	struct ipc_tls_client m = { .socket = -1 };
	struct login_session *s;

	if (in->type != IPC_tls_client || !ipc_get_tls_client(in, &m) || m.socket == -1) {
		fd_close(&m.socket);
		return false;
	}
	s = session_new(v, m.socket, &m.client);
	if (!s)
		return true;
	if (m.session_id.n > 0)
		bytes_to_text(m.session_id, s->guest.id, sizeof s->guest.id);
	take_channel(s, &m);
	log_debug("%s: client=%s tls=\"%s\"", s->guest.id, s->guest.client, log_text(m.tls));
	(m.session_id.n > 0 ? v->protocol->go_on : v->protocol->greet)(s);
	conn_flush(&s->conn);
	return true;
}

/* The socket goes, and what was said on it is forgotten: RFC 3501 section 6.2.1, RFC 2595 section 4. */
void
login_start_tls(struct login_session *s, struct bytes rest, const char *ready)
{
	struct login_service *v = s->service;
	struct channel *to = peers_pick(v->tls);

	if (rest.n > 0) {
		login_end(s, "octets behind STARTTLS");
		return;
	}
	buf_text(&s->conn.out, ready);
	conn_flush(&s->conn);
	if (!to || s->conn.out.n > 0) {
		login_end(s, to ? "replies were not read before STARTTLS" : "there is no tls");
		return;
	}
	ipc_put_tls_begin(&v->out, 0, &(struct ipc_tls_begin){ .session_id = text(s->guest.id), .socket = s->conn.fd });
	channel_send(to, &v->out);
	s->handed_on = true;
}

struct login_service *
login_service_new(struct daemon *d, const struct login_protocol *p, const struct login_limits *l,
    const struct mechanism_settings *m)
{
	struct login_service *v = mem_alloc(sizeof *v);

	v->daemon = d;
	v->protocol = p;
	v->limits = l;
	v->mechanisms = m;
	v->auth = daemon_peers(d, "auth");
	v->become = daemon_peers(d, "become");
	v->tls = daemon_peers(d, "tls");
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
