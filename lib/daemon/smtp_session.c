/* SPDX-License-Identifier: ISC */
/*
 * daemon/smtp_session.c - SMTP conversations on the event loop. Believes nothing
 * a client says; the conversation itself is in mail/smtp_server.c.
 *
 * Whoever makes progress (a whole command, a KiB of content) moves to the end of
 * one list; the head of it is who goes first when room is short. So a good client
 * finds room whatever slow ones do.
 */
#include "daemon/smtp_session.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conn.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/clients.h"

#define IN_MAX		65536
#define OUT_MAX		65536
#define WRITE_AT	32768		/* content that is written away at once */
#define ANSWER_MS	60000		/* router */
#define OPEN_MS		60000		/* cleanup: a queue file */
#define COMMIT_MS	300000		/* cleanup: on disk; RFC 5321 section 4.5.3.2.6 gives the client 10 min */
#define LINGER_MS	10000		/* for the last reply */
#define PROGRESS	1024		/* octets of content that count */
#define SWEEP_MS	1000
#define DRAIN_IDLE_MS	60000

struct opening;

struct session {
	struct smtp_service *service;		/* borrowed */
	struct conn	 conn;
	struct smtp_server smtp;
	struct timer	 deadline;
	TAILQ_ENTRY(session) link;
	uint64_t	 began_ms, progress_ms;
	uint64_t	 progress_octets;	/* of content, when progress was last seen */
	char		 id[16];
	char		 client[CLIENT_TEXT_MAX];
	unsigned char	 key[16];
	bool		 counted, greeted, waiting, ending;
	int		 file;			/* the queue file, -1: none; owned */
	uint64_t	 cleanup;		/* channel_serial of the cleanup that has the draft */
	uint64_t	 rcpt_call, commit_call;
	struct opening	*opening;		/* owned by the call */
};

/* A question to cleanup outlives the session that asked: the answer brings a file. */
struct opening { struct smtp_service *service; struct session *session; uint64_t cleanup; };

struct smtp_service {
	struct daemon	*daemon;
	const struct smtp_rules *rules;
	const struct smtp_limits *limits;
	struct peers	*router, *cleanup;
	struct clients	*clients;
	TAILQ_HEAD(, session) sessions;		/* least progress first */
	uint32_t	 count;
	uint32_t	 serial;
	struct timer	 sweep;
	struct ipc_out	 out;			/* for every frame that is sent */
	struct buf	 records;		/* an envelope on its way */
	bool		 draining;
};

static void	run(struct session *s);

/* ---- the end ---- */

static void
send_abandon(struct smtp_service *v, uint64_t serial, struct bytes queue_id)
{
	struct channel *c = peers_by_serial(v->cleanup, serial);

	if (c == NULL)
		return;			/* that cleanup is gone, and its unnamed file with it */
	ipc_put_abandon(&v->out, 0, &(struct ipc_abandon){ .queue_id = queue_id });
	channel_send(c, &v->out);
}

static void
drop_file(struct session *s)
{
	s->smtp.abandon = false;
	if (s->file == -1)
		return;
	fd_close(&s->file);
	send_abandon(s->service, s->cleanup, text(s->smtp.queue_id));
}

static void
session_free(struct session *s)
{
	struct smtp_service *v = s->service;

	if (s->smtp.opened && s->file != -1)
		drop_file(s);
	fd_close(&s->file);
	if (s->opening != NULL)
		s->opening->session = NULL;
	peers_cancel(v->router, s->rcpt_call);
	if (s->commit_call != 0)
		channel_cancel(peers_by_serial(v->cleanup, s->cleanup), s->commit_call);
	timer_clear(&s->deadline);
	smtp_server_fini(&s->smtp);
	conn_fini(&s->conn);
	if (s->counted)
		clients_leave(v->clients, s->key);
	TAILQ_REMOVE(&v->sessions, s, link);
	v->count--;
	v->daemon->served++;
	mem_free(s);
	if (v->draining)
		daemon_settled(v->daemon);
}

static const char *
end_text(enum conn_end why)
{
	switch (why) {
	case CONN_EOF:		return "client closed the connection";
	case CONN_RESET:	return "connection lost";
	case CONN_TIMEOUT:	return "timeout";
	case CONN_TLS:		return "TLS failed";
	default:		return "closed";
	}
}

static void
on_end(void *owner, enum conn_end why)
{
	struct session *s = owner;

	if (s->smtp.ended_by != NULL)
		log_info("%s: client=%s session ended: %s", s->id, s->client, s->smtp.ended_by);
	else if (!s->ending && smtp_server_busy(&s->smtp))
		log_info("%s: client=%s session ended in a transaction: %s", s->id, s->client,
		    end_text(why));
	session_free(s);
}

/* Sends what is to be sent, then goes. */
static void
close_session(struct session *s)
{
	if (s->ending)
		return;
	s->ending = true;
	if (s->smtp.abandon || s->file != -1)
		drop_file(s);
	timer_clear(&s->deadline);
	conn_close_flushed(&s->conn, LINGER_MS);
}

static void
end_session(struct session *s, const char *why, unsigned code, const char *words)
{
	if (s->ending)
		return;
	smtp_server_end(&s->smtp, why, code, words);
	close_session(s);
}

/* ---- time ---- */

static bool
stressed(const struct smtp_service *v)
{
	return v->count >= v->limits->sessions / 4 * 3;
}

static void
set_deadline(struct session *s)
{
	const struct smtp_limits *l = s->service->limits;
	uint64_t wait = s->smtp.opened ? l->content_timeout_ms : l->command_timeout_ms;
	uint64_t lived = clock_mono_ms() - s->began_ms;
	uint64_t left = lived >= l->session_timeout_ms ? 1 : l->session_timeout_ms - lived;

	timer_set(&s->deadline, wait < left ? wait : left);
}

static void
progress(struct session *s)
{
	struct smtp_service *v = s->service;

	s->progress_ms = clock_mono_ms();
	s->progress_octets = s->smtp.octets;
	TAILQ_REMOVE(&v->sessions, s, link);
	TAILQ_INSERT_TAIL(&v->sessions, s, link);
	set_deadline(s);
}

static void
on_deadline(void *arg)
{
	struct session *s = arg;

	if (s->waiting) {		/* ours is the delay; the calls have deadlines of their own */
		set_deadline(s);
		return;
	}
	if (!s->greeted) {		/* nobody talked before the greeting */
		s->greeted = true;
		smtp_server_greet(&s->smtp);
		progress(s);
		conn_flush(&s->conn);
		return;
	}
	end_session(s, "timeout", 421, "4.4.2 waited too long for you; closing");
}

/* Once a second while room is short: whoever has made no progress goes. */
static void
on_sweep(void *arg)
{
	struct smtp_service *v = arg;
	uint64_t now = clock_mono_ms();
	uint64_t limit = v->draining ? DRAIN_IDLE_MS : v->limits->stress_timeout_ms;
	struct session *s, *next;

	timer_set(&v->sweep, SWEEP_MS);
	if (!v->draining && !stressed(v))
		return;
	for (s = TAILQ_FIRST(&v->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (now - s->progress_ms < limit)
			break;
		if (s->waiting || s->ending || !s->greeted)
			continue;
		end_session(s, v->draining ? "shutting down" : "room is short", 421,
		    v->draining ? "4.3.2 shutting down; come back soon"
		    : "4.3.2 too busy for slow clients now; come back later");
	}
}

/* The one with the least progress makes room. */
static void
evict_one(struct smtp_service *v)
{
	struct session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
		if (!s->waiting)
			break;
	if (s == NULL)
		return;
	if (!s->ending) {
		smtp_server_end(&s->smtp, "room is short", 421,
		    "4.3.2 too busy for slow clients now; come back later");
		conn_flush(&s->conn);
		log_info("%s: client=%s session ended: room is short", s->id, s->client);
	}
	session_free(s);
}

/* ---- questions and answers ---- */

static void
on_checked(void *arg, struct ipc_in *in)
{
	struct session *s = arg;
	struct ipc_rcpt_answer a;

	s->rcpt_call = 0;
	s->waiting = false;
	if (in == NULL || in->type != IPC_rcpt_answer || !ipc_get_rcpt_answer(in, &a)
	    || (a.verdict == NO && (a.code < 400 || a.code > 599)))
		memset(&a, 0, sizeof a);	/* NOT_SURE */
	smtp_server_checked(&s->smtp, (enum verdict)a.verdict, a.code, a.reply, a.routes);
	run(s);
}

static void
ask_rcpt(struct session *s)
{
	struct smtp_service *v = s->service;

	ipc_put_rcpt_check(&v->out, 0, &(struct ipc_rcpt_check){
	    .client_class = CLIENT_STRANGER, .client = text(s->client),
	    .sender = s->smtp.envelope.sender, .recipient = s->smtp.asked.original,
	    .smtputf8 = s->smtp.envelope.smtputf8 });
	s->waiting = true;
	s->rcpt_call = peers_call(v->router, &v->out, ANSWER_MS, on_checked, s);
}

static void
on_opened(void *arg, struct ipc_in *in)
{
	struct opening *o = arg;
	struct session *s = o->session;
	struct ipc_opened a = { .file = -1 };
	bool good = in != NULL && in->type == IPC_opened && ipc_get_opened(in, &a)
	    && a.status == OPEN_OK && a.file != -1;

	if (s == NULL) {			/* the client went away meanwhile */
		fd_close(&a.file);
		if (good)
			send_abandon(o->service, o->cleanup, a.queue_id);
		mem_free(o);
		return;
	}
	s->opening = NULL;
	s->waiting = false;
	s->cleanup = o->cleanup;
	mem_free(o);
	if (!good)
		fd_close(&a.file);
	s->file = a.file;
	smtp_server_opened(&s->smtp, good || a.status != OPEN_OK ? (enum open_status)a.status
	    : OPEN_FAILED, a.queue_id);
	run(s);
}

static void
ask_open(struct session *s)
{
	struct smtp_service *v = s->service;
	struct channel *c = peers_pick(v->cleanup);
	struct opening *o;

	if (c == NULL) {
		smtp_server_opened(&s->smtp, OPEN_FAILED, text(NULL));
		return;
	}
	o = mem_alloc(sizeof *o);
	*o = (struct opening){ .service = v, .session = s, .cleanup = channel_serial(c) };
	s->opening = o;
	s->waiting = true;
	ipc_put_open(&v->out, 0, &(struct ipc_open){ .size_hint = s->smtp.size_octets });
	channel_call(c, &v->out, OPEN_MS, on_opened, o);
}

static void
log_queued(const struct session *s)
{
	const struct envelope *e = &s->smtp.envelope;

	log_info("%s: from=<%s> size=%llu nrcpt=%zu client=%s helo=%s proto=%.*s session=%s",
	    s->smtp.queue_id, log_text(e->sender), (unsigned long long)s->smtp.octets, e->nrcpts,
	    s->client, log_text(e->helo), BYTES_FMT(e->protocol), s->id);
}

static void
on_committed(void *arg, struct ipc_in *in)
{
	struct session *s = arg;
	struct ipc_committed a = { 0 };

	s->commit_call = 0;
	s->waiting = false;
	if (in == NULL || in->type != IPC_committed || !ipc_get_committed(in, &a))
		a.status = COMMIT_FAILED;
	if (a.status == COMMIT_OK)
		log_queued(s);
	smtp_server_committed(&s->smtp, (enum commit_status)a.status);
	run(s);
}

/* False: it could not be written; the conversation knows. */
static bool
write_content(struct session *s)
{
	struct buf *content = &s->smtp.content;

	if (content->n == 0)
		return true;
	if (s->file != -1 && file_write(s->file, buf_bytes(content))) {
		buf_clear(content);
		return true;
	}
	log_errno("%s: cannot write content", s->smtp.queue_id);
	smtp_server_write_failed(&s->smtp, errno == ENOSPC || errno == EDQUOT);
	return false;
}

static void
send_records(struct smtp_service *v, struct session *s, struct channel *c)
{
	struct bytes rest = buf_bytes(&v->records);
	const size_t part = 57344;		/* of `envelope` and `commit` in messages.def */

	while (rest.n > part) {
		ipc_put_envelope(&v->out, 0, &(struct ipc_envelope){
		    .queue_id = text(s->smtp.queue_id), .records = bytes_head(rest, part) });
		channel_send(c, &v->out);
		rest = bytes_skip(rest, part);
	}
	ipc_put_commit(&v->out, 0, &(struct ipc_commit){ .queue_id = text(s->smtp.queue_id),
	    .octets = s->smtp.octets, .records = rest });
}

/* The descriptor is closed before cleanup is asked: a writer that is left is a refusal. */
static void
ask_commit(struct session *s)
{
	struct smtp_service *v = s->service;
	struct channel *c = peers_by_serial(v->cleanup, s->cleanup);

	fd_close(&s->file);
	buf_clear(&v->records);
	envelope_encode(smtp_server_envelope(&s->smtp, clock_wall_s()), &v->records);
	if (c == NULL || v->records.full) {
		smtp_server_committed(&s->smtp, COMMIT_FAILED);
		return;
	}
	send_records(v, s, c);
	s->waiting = true;
	s->commit_call = channel_call(c, &v->out, COMMIT_MS, on_committed, s);
}

/* ---- the loop of one session ---- */

/* True: go on at once. */
static bool
serve(struct session *s, enum smtp_wants wants)
{
	switch (wants) {
	case SMTP_WANTS_RCPT:
		ask_rcpt(s);
		return false;
	case SMTP_WANTS_OPEN:
		ask_open(s);
		return !s->waiting;
	case SMTP_WANTS_COMMIT:
		if (write_content(s))
			ask_commit(s);
		return !s->waiting;
	case SMTP_WANTS_CLOSE:
		close_session(s);
		return false;
	default:
		if (s->smtp.content.n >= WRITE_AT)
			write_content(s);
		return false;
	}
}

static void
run(struct session *s)
{
	struct buf *in = &s->conn.in;
	size_t replies = s->conn.out.n;

	for (;;) {
		struct bytes rest = buf_bytes(in);
		enum smtp_wants wants = smtp_server_input(&s->smtp, &rest);

		buf_drop(in, in->n - rest.n);
		if (s->smtp.abandon)
			drop_file(s);
		if (serve(s, wants))
			continue;
		if (s->ending || !conn_choked(&s->conn))
			break;
		conn_flush(&s->conn);		/* it stopped for the replies' sake */
		if (conn_choked(&s->conn))
			break;			/* conn calls again when the client has read */
	}
	if (s->ending)
		return;
	if (s->conn.out.n > replies || s->smtp.octets - s->progress_octets >= PROGRESS)
		progress(s);
	if (s->waiting) {
		conn_pause(&s->conn);
	} else if (s->conn.paused) {
		conn_resume(&s->conn);
	} else if (!s->smtp.opened) {
		conn_trim(&s->conn);
	}
	conn_flush(&s->conn);
}

static void
on_input(void *owner)
{
	struct session *s = owner;

	if (s->ending) {
		buf_clear(&s->conn.in);
		return;
	}
	if (!s->greeted) {
		end_session(s, "talked before the greeting", 554,
		    "5.5.1 you talked before the greeting; closing");
		return;
	}
	if (!s->waiting)
		run(s);
}

/* ---- connections ---- */

static void
refuse_fd(int fd, const char *line)
{
	if (send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		log_debug("a refusal could not be sent");
	close(fd);
}

static void
make_id(struct smtp_service *v, char id[16])
{
	struct buf b;

	buf_init(&b, 32);
	base32_u64((uint64_t)clock_wall_us() * 64 + v->daemon->slot % 64, 12, &b);
	base32_u64(v->serial++ % 32, 1, &b);
	snprintf(id, 16, "%.*s", (int)b.n, (char *)b.p);
	buf_fini(&b);
}

static bool
talked_already(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void
greet(struct session *s)
{
	if (talked_already(s->conn.fd)) {
		end_session(s, "talked before the greeting", 554,
		    "5.5.1 you talked before the greeting; closing");
		return;
	}
	if (s->service->limits->greet_delay_ms > 0) {
		timer_set(&s->deadline, s->service->limits->greet_delay_ms);
		return;
	}
	s->greeted = true;
	smtp_server_greet(&s->smtp);
	progress(s);
	conn_flush(&s->conn);
}

static void
session_new(struct smtp_service *v, int fd, const char *client, const unsigned char key[16],
    bool counted)
{
	struct session *s = mem_alloc(sizeof *s);

	s->service = v;
	s->file = -1;
	s->counted = counted;
	snprintf(s->client, sizeof s->client, "%s", client);
	memcpy(s->key, key, 16);
	make_id(v, s->id);
	s->began_ms = s->progress_ms = clock_mono_ms();
	TAILQ_INSERT_TAIL(&v->sessions, s, link);
	v->count++;
	timer_init(&s->deadline, &v->daemon->loop, on_deadline, s);
	conn_init(&s->conn, &v->daemon->loop, fd, IN_MAX, OUT_MAX, on_input, on_end, s);
	smtp_server_init(&s->smtp, v->rules, &s->conn.out, text(s->client), s->id);
	greet(s);
}

void
smtp_service_accept(struct smtp_service *v, int fd)
{
	char client[CLIENT_TEXT_MAX];
	unsigned char key[16];
	const int one = 1;

	if (v->draining || !client_of(fd, client, key)) {
		close(fd);
		return;
	}
	switch (clients_enter(v->clients, key, clock_mono_ms())) {
	case CLIENT_TOO_MANY:
		log_info("client=%s refused: more than client_sessions at once", client);
		refuse_fd(fd, "421 4.7.0 too many connections from you; close some first\r\n");
		return;
	case CLIENT_TOO_FAST:
		log_info("client=%s refused: more than client_rate connections a minute", client);
		refuse_fd(fd, "421 4.7.0 too many connections a minute from you; slow down\r\n");
		return;
	case CLIENT_WELCOME:
		break;
	}
	if (v->count >= v->limits->sessions)
		evict_one(v);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == -1)
		log_debug("TCP_NODELAY refused");
	session_new(v, fd, client, key, true);
}

struct smtp_service *
smtp_service_new(struct daemon *d, const struct smtp_rules *rules, const struct smtp_limits *limits)
{
	struct smtp_service *v = mem_alloc(sizeof *v);

	v->daemon = d;
	v->rules = rules;
	v->limits = limits;
	v->router = daemon_peers(d, "router");
	v->cleanup = daemon_peers(d, "cleanup");
	v->clients = clients_new(limits->client_sessions, limits->client_rate,
	    (size_t)limits->sessions * 2);
	TAILQ_INIT(&v->sessions);
	ipc_out_init(&v->out);
	buf_init(&v->records, ENVELOPE_MAX);
	timer_init(&v->sweep, &d->loop, on_sweep, v);
	timer_set(&v->sweep, SWEEP_MS);
	return v;
}

void
smtp_service_free(struct smtp_service **service)
{
	struct smtp_service *v = *service;

	if (v == NULL)
		return;
	while (!TAILQ_EMPTY(&v->sessions))
		session_free(TAILQ_FIRST(&v->sessions));
	timer_clear(&v->sweep);
	clients_free(&v->clients);
	ipc_out_fini(&v->out);
	buf_fini(&v->records);
	mem_free(v);
	*service = NULL;
}

uint32_t
smtp_service_sessions(const struct smtp_service *v)
{
	return v->count;
}

void
smtp_service_drain(struct smtp_service *v)
{
	v->draining = true;
}
