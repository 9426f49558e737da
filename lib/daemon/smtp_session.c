/* SPDX-License-Identifier: ISC */
/*
 * daemon/smtp_session.c - SMTP conversations on the event loop. Believes nothing
 * a client says; the conversation itself is in mail/smtp_server.c. Progress (who goes
 * first when room is short, daemon/crowd.h) is a whole command or a KiB of content.
 */
#include "daemon/smtp_session.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/conn.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/auth_client.h"
#include "daemon/crowd.h"

#define IN_MAX		65536
#define OUT_MAX		65536
#define WRITE_AT	32768		/* content that is written away at once */
#define ANSWER_MS	60000		/* router */
#define OPEN_MS		60000		/* cleanup: a queue file */
#define COMMIT_MS	300000		/* cleanup: on disk; RFC 5321 section 4.5.3.2.6 gives the client 10 min */
#define HANDSHAKE_MS	60000		/* all of it */
#define LINGER_MS	10000		/* for the last reply */
#define PROGRESS	1024		/* octets of content that count */
#define SPARES		8		/* files for messages to come, at most one of each cleanup */
#define SPARE_MS	100		/* that long cleanup's word is good that there is room on the disk */
#define SPARE_OCTETS	65536		/* and for messages that are not announced as bigger */

struct asked;

struct session {
	struct smtp_service *service;		/* borrowed */
	struct conn	 conn;
	struct smtp_server smtp;
	struct timer	 deadline;
	struct guest	 guest;
	uint64_t	 began_ms;
	uint64_t	 progress_octets;	/* of content, when progress was last seen */
	bool		 greeted;
	struct buf	 addresses;		/* owned: of the client's certificate */
	char		 tls[TLS_SERVER_FACTS_MAX]; /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: in clear */
	int		 file;			/* the queue file, -1: none; owned */
	uint64_t	 cleanup;		/* channel_serial of the cleanup that has the draft */
	uint64_t	 router_call;
	struct auth_client auth;
	struct asked	*asked;			/* owned by the call */
};

/* A question to cleanup outlives the session that asked: the answer brings a file. */
struct asked { struct smtp_service *service; struct session *session; uint64_t cleanup; };

/* What cleanup gave with its last answer, for the next message. */
struct spare {
	uint64_t	 cleanup;		/* its channel_serial */
	int		 file;			/* owned */
	char		 queue_id[33];
	uint64_t	 until_ms;
};

struct smtp_service {
	struct daemon	*daemon;
	const struct smtp_rules *rules;
	const struct smtp_limits *limits;
	struct tls_server *tls;
	struct peers	*router, *cleanup, *auth;	/* auth: NULL where nobody logs in */
	struct quota	*quota;			/* owned; NULL where nobody logs in */
	const struct voucher_key *voucher;	/* borrowed; NULL where nobody logs in */
	struct crowd	 crowd;
	struct spare	 spare[SPARES];
	size_t		 nspare;
	struct timer	 spare_old;
	struct ipc_out	 out;			/* for every frame that is sent */
	struct buf	 records;		/* an envelope on its way */
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

/* ---- spare files ---- */

static struct spare *
spare_of(struct smtp_service *v, uint64_t cleanup)
{
	for (size_t i = 0; i < v->nspare; i++)
		if (v->spare[i].cleanup == cleanup)
			return &v->spare[i];
	return NULL;
}

static void
drop_spare(struct smtp_service *v, struct spare *p)
{
	fd_close(&p->file);
	send_abandon(v, p->cleanup, text(p->queue_id));
	*p = v->spare[--v->nspare];
}

static void
drop_old_spares(void *arg)
{
	struct smtp_service *v = arg;
	uint64_t now = clock_mono_ms();

	for (size_t i = v->nspare; i-- > 0; )
		if (v->spare[i].until_ms <= now)
			drop_spare(v, &v->spare[i]);
	if (v->nspare > 0)
		timer_set(&v->spare_old, SPARE_MS);
}

/* Takes file. */
static void
keep_spare(struct smtp_service *v, uint64_t cleanup, struct bytes queue_id, int file)
{
	struct spare p = { .cleanup = cleanup, .file = file, .until_ms = clock_mono_ms() + SPARE_MS };

	if (v->nspare == SPARES || !bytes_to_text(queue_id, p.queue_id, sizeof p.queue_id)) {
		fd_close(&file);
		send_abandon(v, cleanup, queue_id);
		return;
	}
	v->spare[v->nspare++] = p;
	if (!v->spare_old.set)
		timer_set(&v->spare_old, SPARE_MS);
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
	if (s->asked != NULL)
		s->asked->session = NULL;
	peers_cancel(v->router, s->router_call);
	auth_client_end(&s->auth);
	if (v->auth)
		buf_wipe(&s->conn.in);		/* a password may be in it */
	timer_clear(&s->deadline);
	smtp_server_fini(&s->smtp);
	buf_fini(&s->addresses);
	conn_fini(&s->conn);
	crowd_leave(&s->guest);
	mem_free(s);
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

	if (why == CONN_TLS && s->conn.tls == CONN_HANDSHAKE)
		log_info("%s: client=%s TLS handshake failed: %s", s->guest.id, s->guest.client,
		    tls_server_why(&s->conn));
	else if (s->smtp.ended_by != NULL)
		log_info("%s: client=%s session ended: %s", s->guest.id, s->guest.client, s->smtp.ended_by);
	else if (!s->guest.ending && smtp_server_busy(&s->smtp))
		log_info("%s: client=%s session ended in a transaction: %s", s->guest.id, s->guest.client,
		    end_text(why));
	session_free(s);
}

/* Sends what is to be sent, then goes. */
static void
close_session(struct session *s)
{
	if (s->guest.ending)
		return;
	s->guest.ending = true;
	if (s->smtp.abandon || s->file != -1)
		drop_file(s);
	timer_clear(&s->deadline);
	conn_close_flushed(&s->conn, LINGER_MS);
}

static void
end_session(struct session *s, const char *why, unsigned code, const char *words)
{
	if (s->guest.ending)
		return;
	smtp_server_end(&s->smtp, why, code, words);
	close_session(s);
}

/* ---- time ---- */

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
	s->progress_octets = s->smtp.octets;
	crowd_progress(&s->guest);
	set_deadline(s);
}

static void
greet_now(struct session *s)
{
	s->greeted = true;
	smtp_server_greet(&s->smtp);
	progress(s);
	conn_flush(&s->conn);
}

static void
on_deadline(void *arg)
{
	struct session *s = arg;

	if (s->guest.waiting) {		/* ours is the delay; the calls have deadlines of their own */
		set_deadline(s);
		return;
	}
	if (s->conn.tls == CONN_HANDSHAKE) {
		log_info("%s: client=%s TLS handshake failed: it took too long", s->guest.id, s->guest.client);
		session_free(s);
		return;
	}
	if (!s->greeted) {		/* nobody talked before the greeting */
		greet_now(s);
		return;
	}
	end_session(s, "timeout", 421, "4.4.2 waited too long for you; closing");
}

/* The crowd's: room is short, or a drain goes on. */
static void
on_crowded(void *session, bool draining)
{
	struct session *s = session;

	if (!s->greeted)
		return;			/* within greet_delay */
	end_session(s, draining ? "shutting down" : "room is short", 421,
	    draining ? "4.3.2 shutting down; come back soon"
	    : "4.3.2 too busy for slow clients now; come back later");
}

static void
on_drop(void *session)
{
	struct session *s = session;

	if (!s->guest.ending) {
		smtp_server_end(&s->smtp, "room is short", 421,
		    "4.3.2 too busy for slow clients now; come back later");
		conn_flush(&s->conn);
	}
	session_free(s);
}

/* ---- questions and answers ---- */

/* False: the account has had its share, which is the answer then, in words. */
static bool
take_share(struct session *s, struct ipc_rcpt_answer *a, char words[QUOTA_WORDS])
{
	struct smtp_service *v = s->service;
	struct quota_answer q = quota_take(v->quota, buf_bytes(&s->smtp.account), s->smtp.rcpts_given == 0, clock_mono_ms());
	bool messages = q.verdict == QUOTA_MESSAGES;
	unsigned long long limit = messages ? v->limits->quota.messages : v->limits->quota.recipients;

	if (q.verdict == QUOTA_FINE)
		return true;
	if (q.first)
		log_warn("%s: account=%s client=%s has sent %s%llu %s within an hour (submission_%s_per_hour): "
		    "no more for %u min", s->guest.id, log_value(buf_bytes(&s->smtp.account)), s->guest.client,
		    messages ? "" : "to ", limit, messages ? "messages" : "recipients", messages ? "messages" : "recipients",
		    (unsigned)(q.left_s + 59) / 60);
	quota_words(v->quota, &q, words);
	*a = (struct ipc_rcpt_answer){ .verdict = NO, .code = QUOTA_CODE, .reply = text(words) };
	return false;
}

static void
on_checked(void *arg, struct ipc_in *in)
{
	struct session *s = arg;
	size_t given = s->smtp.rcpts_given;
	struct ipc_rcpt_answer a;
	char words[QUOTA_WORDS];
	bool counted;

	s->router_call = 0;
	s->guest.waiting = false;
	if (in == NULL || in->type != IPC_rcpt_answer || !ipc_get_rcpt_answer(in, &a)
	    || (a.verdict == NO && (a.code < 400 || a.code > 599)))
		memset(&a, 0, sizeof a);	/* NOT_SURE */
	counted = a.verdict == YES && s->service->quota != NULL && take_share(s, &a, words);
	smtp_server_checked(&s->smtp, (enum verdict)a.verdict, a.code, a.reply, a.routes);
	if (counted && s->smtp.rcpts_given == given)
		quota_give_back(s->service->quota, buf_bytes(&s->smtp.account), given == 0);
	run(s);
}

static void
ask_rcpt(struct session *s)
{
	struct smtp_service *v = s->service;

	ipc_put_rcpt_check(&v->out, 0, &(struct ipc_rcpt_check){
	    .client_class = s->smtp.account.n > 0 ? CLIENT_ACCOUNT : CLIENT_STRANGER, .client = text(s->guest.client),
	    .sender = s->smtp.envelope.sender, .recipient = s->smtp.asked.original,
	    .smtputf8 = s->smtp.envelope.smtputf8 });
	s->guest.waiting = true;
	s->router_call = peers_call(v->router, &v->out, ANSWER_MS, on_checked, s);
}

static void
on_sender_checked(void *arg, struct ipc_in *in)
{
	struct session *s = arg;
	struct ipc_sender_answer a = { .verdict = NOT_SURE };

	s->router_call = 0;
	s->guest.waiting = false;
	if (in == NULL || in->type != IPC_sender_answer || !ipc_get_sender_answer(in, &a))
		a.verdict = NOT_SURE;
	smtp_server_sender_checked(&s->smtp, (enum verdict)a.verdict);
	run(s);
}

static void
ask_sender(struct session *s)
{
	struct smtp_service *v = s->service;

	ipc_put_sender_check(&v->out, 0, &(struct ipc_sender_check){
	    .account = buf_bytes(&s->smtp.account), .address = s->smtp.from.asked });
	s->guest.waiting = true;
	s->router_call = peers_call(v->router, &v->out, ANSWER_MS, on_sender_checked, s);
}

/* ---- logins ---- */

static void
on_step(void *arg, const struct ipc_auth_step *a)
{
	struct session *s = arg;

	s->guest.waiting = false;
	if (a != NULL && a->result == AUTH_CONTINUE && !s->smtp.auth.cancel)
		smtp_server_challenged(&s->smtp, a->challenge);
	else if (a != NULL && a->result == AUTH_OK && !s->smtp.auth.cancel && a->account.n > 0)
		smtp_server_logged_in(&s->smtp, a->account);
	else
		smtp_server_not_logged_in(&s->smtp, a == NULL || a->result != AUTH_FAILED, a ? a->text : text(NULL));
	run(s);
}

static void
ask_auth(struct session *s)
{
	struct smtp_service *v = s->service;
	struct bytes octets = buf_bytes(&s->smtp.auth.octets);
	struct tls_bindings bindings;
	unsigned char voucher[VOUCHER_OCTETS];
	struct bytes addresses = buf_bytes(&s->addresses);

	s->guest.waiting = true;
	if (s->smtp.auth.exchange) {
		auth_client_more(&s->auth, &v->out, octets, s->smtp.auth.cancel);
		return;
	}
	tls_server_bindings(&s->conn, &bindings);
	auth_client_start(&s->auth, &v->out, &(struct ipc_auth_start){
	    .protocol = text("smtp"), .mechanism = text(s->smtp.auth.mechanism), .client = text(s->guest.client),
	    .session_id = text(s->guest.id), .secure = s->smtp.tls.n > 0 || crowd_is_loopback(&s->guest), .tls = text(s->tls),
	    .exporter = tls_binding_octets(&bindings.exporter), .end_point = tls_binding_octets(&bindings.end_point),
	    .addresses = addresses, .voucher = addresses.n > 0 ? voucher_make(v->voucher, addresses, clock_mono_ms(), voucher)
	    : text(NULL), .has_initial = s->smtp.auth.initial, .initial = octets });
}

/* ---- cleanup ---- */

static void
on_opened(void *arg, struct ipc_in *in)
{
	struct asked *o = arg;
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
	s->asked = NULL;
	s->guest.waiting = false;
	s->cleanup = o->cleanup;
	mem_free(o);
	if (!good)
		fd_close(&a.file);
	s->file = a.file;
	smtp_server_opened(&s->smtp, good || a.status != OPEN_OK ? (enum open_status)a.status
	    : OPEN_FAILED, a.queue_id);
	run(s);
}

/* v->out has the question. */
static void
ask_cleanup(struct session *s, struct channel *c, unsigned timeout_ms, channel_answer answer)
{
	struct asked *o = mem_alloc(sizeof *o);

	*o = (struct asked){ .service = s->service, .session = s, .cleanup = channel_serial(c) };
	s->asked = o;
	s->guest.waiting = true;
	channel_call(c, &s->service->out, timeout_ms, answer, o);
}

static bool
use_spare(struct session *s, uint64_t cleanup)
{
	struct smtp_service *v = s->service;
	struct spare *p = spare_of(v, cleanup);

	if (p == NULL || s->smtp.size_octets > SPARE_OCTETS || p->until_ms <= clock_mono_ms())
		return false;
	s->cleanup = cleanup;
	s->file = p->file;
	smtp_server_opened(&s->smtp, OPEN_OK, text(p->queue_id));
	*p = v->spare[--v->nspare];
	return true;
}

static void
ask_open(struct session *s)
{
	struct smtp_service *v = s->service;
	struct channel *c = peers_pick(v->cleanup);

	if (c == NULL) {
		smtp_server_opened(&s->smtp, OPEN_FAILED, text(NULL));
		return;
	}
	if (use_spare(s, channel_serial(c)))
		return;
	ipc_put_open(&v->out, 0, &(struct ipc_open){ .size_hint = s->smtp.size_octets });
	ask_cleanup(s, c, OPEN_MS, on_opened);
}

static void
log_queued(const struct session *s)
{
	const struct envelope *e = &s->smtp.envelope;
	char priority[32] = "";

	if (e->mt_priority != 0)		/* RFC 6710 section 4.1 */
		snprintf(priority, sizeof priority, " priority=%d", (int)e->mt_priority);
	log_info("%s: from=<%s> size=%llu nrcpt=%zu client=%s helo=%s proto=%.*s%s%s%s%s%s%s session=%s message-id=<%s>",
	    s->smtp.queue_id, log_value(e->sender), (unsigned long long)s->smtp.octets, e->nrcpts,
	    s->guest.client, log_text(e->helo), BYTES_FMT(e->protocol), s->tls[0] ? " tls=\"" : "", s->tls,
	    s->tls[0] ? "\"" : "", e->account.n > 0 ? " account=" : "", e->account.n > 0 ? log_value(e->account) : "",
	    priority, s->guest.id,
	    log_value(message_id_text(s->smtp.message_id)));
}

/* What was refused is looked for later by its addresses, while it has no queue id. */
static void
on_refused(void *arg, unsigned code, const char *words)
{
	const struct session *s = arg;
	bool rcpt = s->smtp.asked.original.n > 0 && !s->smtp.head, mail = s->smtp.mail != NULL;

	log_info("%s: client=%s%s%s%s%s%s%s refused: %u %s", s->guest.id, s->guest.client, mail ? " from=<" : "",
	    mail ? log_value(s->smtp.envelope.sender) : "", mail ? ">" : "", rcpt ? " to=<" : "",
	    rcpt ? log_value(s->smtp.asked.original) : "", rcpt ? ">" : "", code, log_text(text(words)));
}

static void
on_committed(void *arg, struct ipc_in *in)
{
	struct asked *o = arg;
	struct session *s = o->session;
	struct ipc_committed a = { .next = -1 };

	if (in == NULL || in->type != IPC_committed || !ipc_get_committed(in, &a))
		a = (struct ipc_committed){ .status = COMMIT_FAILED, .next = -1 };
	if (a.next != -1)
		keep_spare(o->service, o->cleanup, a.next_id, a.next);
	mem_free(o);
	if (s == NULL)
		return;				/* the client went away meanwhile */
	s->asked = NULL;
	s->guest.waiting = false;
	if (a.status == COMMIT_OK)
		log_queued(s);
	else if (a.status == COMMIT_REFUSED)
		log_info("%s: client=%s from=<%s> refused after its content: %s session=%s message-id=<%s>",
		    s->smtp.queue_id, s->guest.client, log_value(s->smtp.envelope.sender), log_text(a.reply), s->guest.id,
		    log_value(message_id_text(s->smtp.message_id)));
	s->smtp.refused = a.status == COMMIT_REFUSED ? NULL : on_refused;	/* it was told */
	smtp_server_committed(&s->smtp, (enum commit_status)a.status, a.reply);
	s->smtp.refused = on_refused;
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
	    .octets = s->smtp.octets, .next = spare_of(v, s->cleanup) == NULL, .records = rest });
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
		smtp_server_committed(&s->smtp, COMMIT_FAILED, text(NULL));
		return;
	}
	send_records(v, s, c);
	ask_cleanup(s, c, COMMIT_MS, on_committed);
}

/* ---- TLS ---- */

static void
on_ready(void *owner)
{
	struct session *s = owner;
	struct tls_bindings bindings;

	if (s->guest.ending || !tls_server_facts(&s->conn, s->tls))
		return;
	tls_server_bindings(&s->conn, &bindings);
	s->smtp.channel = bindings.exporter.n + bindings.end_point.n > 0 ? CHANNEL_BINDS : 0;
	if (s->service->voucher && tls_server_identity(&s->conn, s->guest.id, s->guest.client, &s->addresses))
		s->smtp.channel |= CHANNEL_CERTIFIED;
	smtp_server_secured(&s->smtp, text(s->tls));
	if (!s->greeted)
		greet_now(s);		/* TLS from the start */
	progress(s);
}

static void
start_tls(struct session *s)
{
	if (s->conn.tls == CONN_HANDSHAKE)
		return;			/* it goes on */
	must(tls_server_start(s->service->tls, &s->conn, "smtp"));	/* smtp_server has looked at what came behind */
	timer_set(&s->deadline, HANDSHAKE_MS);
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
	case SMTP_WANTS_SENDER:
		ask_sender(s);
		return false;
	case SMTP_WANTS_AUTH:
		ask_auth(s);
		return false;
	case SMTP_WANTS_OPEN:
		ask_open(s);
		return !s->guest.waiting;
	case SMTP_WANTS_COMMIT:
		if (write_content(s))
			ask_commit(s);
		return !s->guest.waiting;
	case SMTP_WANTS_TLS:
		start_tls(s);
		return false;
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

		if (s->service->auth && !s->smtp.opened)
			explicit_bzero(in->p, in->n - rest.n);	/* a password may be in it */
		buf_drop(in, in->n - rest.n);
		if (s->smtp.abandon)
			drop_file(s);
		if (serve(s, wants))
			continue;
		if (s->guest.ending || !conn_choked(&s->conn))
			break;
		conn_flush(&s->conn);		/* it stopped for the replies' sake */
		if (conn_choked(&s->conn))
			break;			/* conn calls again when the client has read */
	}
	if (s->guest.ending)
		return;
	if (s->conn.out.n > replies || s->smtp.octets - s->progress_octets >= PROGRESS)
		progress(s);
	if (s->guest.waiting) {
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

	if (s->guest.ending) {
		buf_clear(&s->conn.in);
		return;
	}
	if (!s->greeted) {
		end_session(s, "talked before the greeting", 554,
		    "5.5.1 you talked before the greeting; closing");
		return;
	}
	if (!s->guest.waiting)
		run(s);
}

/* ---- connections ---- */

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
	greet_now(s);
}

void
smtp_service_accept(struct smtp_service *v, int fd, bool tls)
{
	struct session *s = mem_alloc(sizeof *s);
	enum crowd_verdict verdict = crowd_enter(&v->crowd, &s->guest, fd, s);

	if (verdict != CROWD_WELCOME) {
		crowd_refuse(fd, verdict == CROWD_TOO_MANY
		    ? "421 4.7.0 too many connections from you; close some first\r\n"
		    : verdict == CROWD_TOO_FAST
		    ? "421 4.7.0 too many connections a minute from you; slow down\r\n" : "");
		mem_free(s);
		return;
	}
	s->service = v;
	s->file = -1;
	s->began_ms = clock_mono_ms();
	timer_init(&s->deadline, &v->daemon->loop, on_deadline, s);
	conn_init(&s->conn, &v->daemon->loop, fd, IN_MAX, OUT_MAX, on_input, on_end, s);
	s->conn.on_ready = on_ready;
	buf_init(&s->addresses, TLS_IDENTITY_MAX);
	smtp_server_init(&s->smtp, v->rules, &s->conn.out, text(s->guest.client), s->guest.id);
	s->smtp.refused = on_refused;
	s->smtp.refused_arg = s;
	s->smtp.secure = crowd_is_loopback(&s->guest) || v->rules->insecure_auth;
	s->auth = (struct auth_client){ .auth = v->auth, .answer = on_step, .arg = s };
	if (tls) {
		smtp_server_expect_tls(&s->smtp);
		start_tls(s);
	} else {
		greet(s);
	}
}

struct smtp_service *
smtp_service_new(struct daemon *d, const struct smtp_rules *rules, const struct smtp_limits *limits,
    struct tls_server *tls, const struct voucher_key *voucher)
{
	struct smtp_service *v = mem_alloc(sizeof *v);

	v->daemon = d;
	v->rules = rules;
	v->limits = limits;
	v->tls = tls;
	v->router = daemon_peers(d, "router");
	v->cleanup = daemon_peers(d, "cleanup");
	v->auth = rules->mechanisms[0] ? daemon_peers(d, "auth") : NULL;
	v->voucher = voucher;
	v->quota = rules->mechanisms[0] ? quota_new(&limits->quota, daemon_file(d, "tallies")) : NULL;
	crowd_init(&v->crowd, d, &limits->crowd, on_crowded, on_drop);
	timer_init(&v->spare_old, &d->loop, drop_old_spares, v);
	ipc_out_init(&v->out);
	buf_init(&v->records, ENVELOPE_MAX);
	return v;
}

void
smtp_service_free(struct smtp_service **service)
{
	struct smtp_service *v = *service;

	if (v == NULL)
		return;
	crowd_fini(&v->crowd);
	quota_free(&v->quota);
	timer_clear(&v->spare_old);
	for (size_t i = 0; i < v->nspare; i++)	/* cleanup sees its channel close */
		fd_close(&v->spare[i].file);
	ipc_out_fini(&v->out);
	buf_fini(&v->records);
	mem_free(v);
	*service = NULL;
}

struct quota *
smtp_service_quota(struct smtp_service *v)
{
	return v->quota;
}

uint32_t
smtp_service_sessions(void *service)
{
	return ((struct smtp_service *)service)->crowd.count;
}

void
smtp_service_drain(void *service)
{
	crowd_drain(&((struct smtp_service *)service)->crowd);
}
