/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/session.c - one connection to a server. The conversation is mail/smtp_client.h's: it says what it wants,
 * and here it gets it: octets off the socket, a handshake, content out of the queue file in pieces, as fast as the
 * other side reads. No wait is without a deadline (RFC 5321 section 4.5.3.2).
 */
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/conn.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/credentials.h"
#include "smtp-client/login.h"

#define IN_MAX		16384u		/* replies; longer lines are dropped as they come */

enum state {
	OPENING,	/* until the server is ready for mail */
	IDLE,
	PREPARING,	/* the message is made fit for this server */
	MAILING,
	QUITTING,	/* nobody's any more: ends and frees itself */
};

struct session {
	struct client	*client;	/* borrowed */
	struct session	*next, **at;	/* of all there are */
	struct session_owner owner;
	struct candidate	 place;		/* its host is in `host` */
	char		 host[256];
	char		 remote[CANDIDATE_TEXT_MAX];
	char		 tls[TLS_FACTS_MAX];
	char		 doubt[TLS_WHY_MAX];	/* why the server is not proven; "": it is, or there is no TLS */
	enum tls_proof	 proof;		/* with TLS */
	const struct login *login;	/* borrowed; NULL: none, or it is over */
	struct mech	*mech;		/* owned; while it logs in, or could not */
	struct smtp_client_rules rules;
	struct conn	 conn;
	bool		 ended;		/* conn has */
	struct smtp_client *talk;	/* owned */
	enum smtp_client_wants wants;
	enum state	 state;
	struct timer	 soon;		/* something is to be said that came of a call */
	char		 own[NETWORK_TEXT_MAX];	/* this side's address; "": it has none */
	bool		 offered;	/* to resume a TLS session */
	enum session_tls how;		/* SESSION_CLEAR: that TLS has failed there is counted */
	bool		 seen;		/* so is this session */
	uint64_t	 began_ms;
	unsigned	 mails;

	/* of the transaction */
	struct smtp_client_mail mail;
	struct content	 content;	/* owned */
	bool		 sent;		/* all content was given to the conversation */
	bool		 heard;		/* the server has said something; of TLS: since the handshake */
};

static void	drive(struct session *s);

/* ---- the end ---- */

static void
unlink_session(struct session *s)
{
	*s->at = s->next;
	if (s->next)
		s->next->at = s->at;
}

void
session_free(struct session **taken)
{
	struct session *s = *taken;

	*taken = NULL;
	if (!s)
		return;
	log_info("session with %s: %u mails, %s%s%s, %llu ms", s->remote, s->mails, s->tls[0] ? s->tls : "no TLS",
	    s->doubt[0] ? ": " : "", s->doubt, (unsigned long long)session_age_ms(s));
	unlink_session(s);
	timer_clear(&s->soon);
	content_fini(&s->content);
	conn_fini(&s->conn);
	smtp_client_free(&s->talk);
	mech_free(&s->mech);
	mem_free(s);
}

void
session_quit(struct session **taken)
{
	struct session *s = *taken;

	*taken = NULL;
	if (!s)
		return;
	s->owner = (struct session_owner){ 0 };
	s->login = NULL;
	if (s->ended || s->state == MAILING) {	/* in the middle of a message there is no way to say it */
		session_free(&s);
		return;
	}
	content_fini(&s->content);
	s->state = QUITTING;
	conn_deadline(&s->conn, s->client->settings->quit_timeout_ms);
	if (s->wants == SMTP_CLIENT_WANTS_MAIL)
		s->wants = smtp_client_quit(s->talk);
	else
		s->wants = SMTP_CLIENT_WANTS_CLOSE;
	timer_set(&s->soon, 0);
}

/* ---- deadlines ---- */

static uint64_t
timeout_ms(const struct session *s)
{
	const struct smtp_client_settings *c = s->client->settings;
	const struct { const char *stage; uint64_t ms; } stages[] = {
		{ "greeting", c->greeting_timeout_ms }, { "EHLO", c->helo_timeout_ms }, { "HELO", c->helo_timeout_ms },
		{ "LHLO", c->helo_timeout_ms }, { "STARTTLS", c->tls_timeout_ms }, { "RCPT", c->rcpt_timeout_ms },
		{ "DATA", c->data_timeout_ms }, { "QUIT", c->quit_timeout_ms },
	};
	const char *stage = smtp_client_stage(s->talk);

	if (s->conn.tls == CONN_HANDSHAKE)
		return c->tls_timeout_ms;
	if (s->state == MAILING && s->sent)
		return c->done_timeout_ms;
	if (s->wants == SMTP_CLIENT_WANTS_CONTENT)
		return c->content_timeout_ms;
	for (size_t i = 0; i < LEN(stages); i++)
		if (strcmp(stage, stages[i].stage) == 0)
			return stages[i].ms;
	return c->mail_timeout_ms;
}

/* QUIT has one deadline, which session_quit has set: nobody is there who would end a server that answers it drop by drop. */
static void
rearm(struct session *s)
{
	if (!s->ended && s->state != QUITTING)
		conn_deadline(&s->conn, s->state == IDLE || s->state == PREPARING ? 0 : timeout_ms(s));
}

/* ---- what the owner is told; it may free s, so each is the last thing that is done ---- */

static void	see_clear(struct session *s);

static void
tell_failed(struct session *s, const struct session_fault *f)
{
	if (s->owner.failed)
		s->owner.failed(s->owner.arg, f);
	else
		session_free(&s);
}

static void
failed_by_talk(struct session *s)
{
	const struct smtp_client_said *said = smtp_client_fault(s->talk);
	struct session_fault f = { .contact = smtp_client_contact(s->talk) };

	if (said) {
		f.status = said->status;
		f.reply = said->reply;
		f.said = said->said;
		f.command = said->command;
		f.permanent = said->said.n > 0 && bytes_starts(said->status, text("5"));
		f.tls = bytes_eq(said->status, text("4.7.4"));	/* it has to be, and is not offered, or refused */
		if (f.tls && !s->tls[0])
			see_clear(s);
		f.login = f.contact == CONTACT_FAILED && strcmp(said->command, "AUTH") == 0
		    && bytes_starts(said->status, text("4.7."));
		f.why_login = s->mech ? mech_why(s->mech) : NULL;
	}
	tell_failed(s, &f);
}

/* A server that knows a session no more should go on without it (RFC 8446 section 2.2). Some break off. */
static bool
resumes(const struct session *s)
{
	return s->offered && (s->conn.tls != CONN_PROTECTED || SSL_session_reused(s->conn.ssl));
}

static void
failed_by_tls(struct session *s, const char *what, const char *why)
{
	char words[512];
	struct session_fault f = { .status = text("4.7.5"), .command = "STARTTLS", .contact = CONTACT_FAILED, .tls = true,
	    .resumed = resumes(s) };

	snprintf(words, sizeof words, "%s: %s", what, why && why[0] ? why : "no reason given");
	f.reply = text(words);
	tell_failed(s, &f);
}

/* ---- TLS ---- */

/* For TLS reporting: each session once. */
static void
see(struct session *s, enum tls_result result, const char *reason)
{
	const struct tls_decision *d = s->place.tls;
	char theirs[NETWORK_TEXT_MAX];
	struct tls_report_session seen = { .result = result };

	if (s->seen || !d || !d->report)
		return;
	s->seen = true;
	seen.policy = *d->report;
	if (result != TLS_GOOD) {
		seen.sending = text(s->own);
		seen.receiving = text(address_text(&s->place.address, theirs));
		seen.mx = s->place.host;
		seen.reason = text(reason);
	}
	client_seen(s->client, &seen);
}

/* There was a handshake: was it what its policy wants, also where that is only being tested? */
static void
see_secured(struct session *s)
{
	const struct tls_decision *d = s->place.tls;
	bool proven = s->proof != TLS_UNTRUSTED;

	if (d->report && d->report->type == TLS_REPORT_TLSA && d->level != TLS_DANE)
		see(s, TLS_TLSA_INVALID, "no record is of a kind that can be matched");
	else if (d->testing && d->testing_mx)
		see(s, TLS_VALIDATION_FAILURE, "the policy does not name this host");
	else if (!proven && (d->testing || tls_level_proves(d->level)))
		see(s, tls_check_failure(s->conn.ssl), s->doubt);
	else
		see(s, TLS_GOOD, "");
}

/* There was none. */
static void
see_clear(struct session *s)
{
	if (s->how == SESSION_CLEAR || s->place.tls == NULL || s->place.tls->level == TLS_NEVER)
		return;
	if (smtp_client_extensions(s->talk) & SMTP_EXT_STARTTLS)
		see(s, TLS_VALIDATION_FAILURE, "STARTTLS is refused");
	else
		see(s, TLS_STARTTLS_NOT_SUPPORTED, "");
}

static void
not_proven(struct session *s)
{
	char what[400];

	s->client->counts.refused++;
	snprintf(what, sizeof what, "it does not prove that it is this host, as is wanted by %.*s",
	    BYTES_FMT(bytes_head(s->place.tls->why, 300)));
	failed_by_tls(s, what, s->doubt);
}

/* What TLS reporting (RFC 8460) would want to know of a connection that is ready for mail. */
static void
count(struct session *s)
{
	const struct tls_decision *d = s->place.tls;
	struct tls_counts *c = &s->client->counts;
	bool secured = s->tls[0] != '\0';

	if (!secured)
		see_clear(s);
	if (secured)
		c->by[s->proof]++;
	else
		c->clear++;
	if (!d->testing || (!d->testing_mx && secured && s->proof != TLS_UNTRUSTED))
		return;
	c->testing++;
	log_info("%s: an MTA-STS policy, which is only being tested, would let no mail go there: %s", s->remote,
	    d->testing_mx ? "it does not name this host" : secured ? s->doubt : "no TLS");
}

static void
on_secured(void *owner)
{
	struct session *s = owner;
	SSL *ssl = s->conn.ssl;

	if (s->conn.tls != CONN_PROTECTED || s->state != OPENING)
		return;
	s->proof = tls_check_result(ssl, s->place.tls, s->doubt);
	tls_facts(ssl, s->proof, s->tls);
	see_secured(s);
	if (!tls_check_suffices(s->place.tls, s->proof)) {
		not_proven(s);
		return;
	}
	s->heard = false;
	s->wants = smtp_client_secured(s->talk);
	drive(s);
}

static void
begin_tls(struct session *s)
{
	SSL *ssl = tls_begin(s->client->tls, &s->place, s->how == SESSION_RESUMES);

	s->offered = ssl && SSL_get0_session(ssl);	/* later there is one anyway: the new one */
	if (!ssl)
		failed_by_tls(s, "TLS cannot begin", "no certificate could have this host's name");
	else if (!conn_start_tls_client(&s->conn, ssl))
		failed_by_tls(s, "TLS cannot begin", "something came behind the reply to STARTTLS");
}

/* ---- login ---- */

/* Passwords were in there. */
static void
wipe_sent(struct session *s)
{
	struct buf *out = &s->conn.out;

	if (out->cap > out->n)
		explicit_bzero(out->p + out->n, out->cap - out->n);
}

static void
refuse_login(struct session *s, const char *why)
{
	s->wants = smtp_client_refuse_login(s->talk, why);
}

static bool
may_show(const struct session *s)
{
	return login_unproven(s->client, &s->place) || (s->tls[0] && s->proof != TLS_UNTRUSTED);
}

static const char *
choose(const struct session *s, bool shows)
{
	return credentials_mechanism(s->login->mechanisms, s->login->oauth, mech_binds(s->conn.ssl), shows,
	    smtp_client_auth_mechanisms(s->talk));
}

static void
refuse_to_show(struct session *s)
{
	char why[512];

	snprintf(why, sizeof why, "it does not prove that it is this host (%s), and by %s it would be shown the %s: correct "
	    "its certificate, or add its CA to tls_ca_file, or set smtp_auth_unproven = yes", s->doubt, choose(s, true),
	    s->login->oauth ? "token" : "password");
	refuse_login(s, why);
}

/* The server's list is the one behind TLS; what is weaker than the choice is not tried after it. */
static void
begin_login(struct session *s)
{
	struct bytes announced = smtp_client_auth_mechanisms(s->talk), initial;
	bool shows = may_show(s);
	const char *name = choose(s, shows);
	enum mech_result r;

	if (!s->tls[0] && !login_in_clear(s->client, &s->place)) {
		refuse_login(s, "no password is said here without TLS, unless smtp_auth_plaintext = yes");
		return;
	}
	if (!name && !shows && choose(s, true)) {
		refuse_to_show(s);
		return;
	}
	if (!name) {
		refuse_login(s, announced.n == 0 ? "the server offers no login"
		    : "the server offers no mechanism that may be used for this login");
		return;
	}
	s->mech = mech_new(s->login, name, s->conn.ssl, announced);
	r = s->mech ? mech_begin(s->mech, &s->place, &initial) : MECH_BROKEN;
	if (r == MECH_BROKEN)
		refuse_login(s, s->mech && mech_why(s->mech)[0] ? mech_why(s->mech)
		    : "the login cannot be begun on this side; is Debian's package libsasl2-modules there?");
	else
		s->wants = smtp_client_auth(s->talk, name, initial.p ? &initial : NULL, r == MECH_ENOUGH);
}

static void
go_on_with_login(struct session *s)
{
	struct bytes response;
	enum mech_result r = mech_step(s->mech, smtp_client_challenge(s->talk), &response);

	if (r == MECH_BROKEN || response.n > SMTP_CLIENT_RESPONSE_MAX)
		s->wants = smtp_client_cancel(s->talk, mech_why(s->mech));
	else
		s->wants = smtp_client_respond(s->talk, response, r == MECH_ENOUGH);
}

static void
end_login(struct session *s)
{
	if (!s->mech)
		return;
	log_info("logged in at %s by %s", s->remote, mech_name(s->mech));
	mech_free(&s->mech);
	s->login = NULL;
	wipe_sent(s);
}

/* ---- content ---- */

/* One piece; what cannot be read ends the connection: the message must not look whole. */
static void
give_piece(struct session *s)
{
	unsigned char piece[SMTP_CLIENT_PIECE];
	size_t n;

	if (!content_read(&s->content, piece, &n)) {
		log_errno("content of a message for %s cannot be read", s->remote);
		smtp_client_content_lost(s->talk, "the message cannot be read from the queue");
		s->wants = SMTP_CLIENT_WANTS_CLOSE;
		return;
	}
	s->sent = s->content.octets == 0;
	s->wants = smtp_client_content(s->talk, bytes_of(piece, n), s->sent);
}

/* What this server does not take, and the message has or may have. */
static unsigned
lacks(const struct session *s)
{
	unsigned has = smtp_client_extensions(s->talk), what = 0;
	bool binary = s->mail.body == BODY_BINARYMIME;

	if (binary && (has & (SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING)) != (SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING))
		what |= DOWNGRADE_LINES;
	if (s->mail.body != BODY_7BIT && (what != 0 || !binary) && !(has & SMTP_EXT_8BITMIME))
		what |= DOWNGRADE_8BIT;
	if (s->mail.smtputf8 && bytes_is_ascii(s->mail.sender) && !(has & SMTP_EXT_SMTPUTF8))
		what |= DOWNGRADE_UTF8;		/* RFC 6531 section 3.4: whoever asked for it may not need it */
	return what;
}

static void
begin_mail(struct session *s)
{
	s->state = MAILING;
	s->mails++;
	s->mail.octets = s->content.octets;
	s->wants = smtp_client_mail(s->talk, &s->mail);
	timer_set(&s->soon, 0);
}

/* What cannot be converted stays as it is: smtp_client_mail says then that this server does not take it. */
static void
on_converted(void *arg, enum downgrade_result result)
{
	struct session *s = arg;
	unsigned what = result != DOWNGRADE_IMPOSSIBLE ? lacks(s) : 0;

	if (what & (DOWNGRADE_8BIT | DOWNGRADE_LINES))
		s->mail.body = smtp_client_extensions(s->talk) & SMTP_EXT_8BITMIME ? BODY_8BITMIME : BODY_7BIT;
	if (what & DOWNGRADE_UTF8)
		s->mail.smtputf8 = false;
	begin_mail(s);
}

/* ---- the conversation ---- */

/* As far as it goes without waiting. */
static void
step(struct session *s)
{
	while (!s->ended) {
		switch (s->wants) {
		case SMTP_CLIENT_WANTS_LOGIN:
			if (s->login)
				begin_login(s);
			else
				s->wants = smtp_client_no_login(s->talk);
			break;
		case SMTP_CLIENT_WANTS_RESPONSE:
			go_on_with_login(s);
			break;
		case SMTP_CLIENT_WANTS_CONTENT:
			if (conn_choked(&s->conn)) {
				conn_want_room(&s->conn);
				return;
			}
			give_piece(s);
			break;
		default:
			return;
		}
	}
}

static void
closed(struct session *s)
{
	switch (s->state) {
	case OPENING:
	case IDLE:
	case PREPARING:
		failed_by_talk(s);
		break;
	case MAILING:
		s->state = IDLE;
		content_fini(&s->content);
		s->owner.done(s->owner.arg);
		break;
	case QUITTING:
		if (s->ended)
			session_free(&s);
		else
			conn_close_flushed(&s->conn, s->client->settings->quit_timeout_ms);
	}
}

static void
ready(struct session *s)
{
	enum state was = s->state;

	if (was == IDLE || was == PREPARING || was == QUITTING)
		return;
	s->state = IDLE;
	end_login(s);
	content_fini(&s->content);
	conn_deadline(&s->conn, 0);
	conn_trim(&s->conn);
	if (was == OPENING)
		count(s);
	s->place.tls = NULL;
	if (was == OPENING)
		s->owner.ready(s->owner.arg);
	else
		s->owner.done(s->owner.arg);
}

/* From the loop only. May free s. */
static void
drive(struct session *s)
{
	step(s);
	if (s->wants != SMTP_CLIENT_WANTS_CLOSE)
		conn_flush(&s->conn);
	switch (s->wants) {
	case SMTP_CLIENT_WANTS_CLOSE:
		closed(s);
		break;
	case SMTP_CLIENT_WANTS_MAIL:
		ready(s);
		break;
	case SMTP_CLIENT_WANTS_TLS:
		rearm(s);
		if (s->conn.tls == CONN_PLAIN)
			begin_tls(s);
		break;
	default:
		rearm(s);
	}
}

static void
on_soon(void *arg)
{
	drive(arg);
}

static void
on_input(void *owner)
{
	struct session *s = owner;
	struct bytes in = buf_bytes(&s->conn.in);

	if (in.n > 0 && s->wants != SMTP_CLIENT_WANTS_CLOSE) {
		s->heard = true;
		s->wants = smtp_client_input(s->talk, &in);
	}
	buf_drop(&s->conn.in, s->conn.in.n - in.n);
	drive(s);
}

static void
on_room(void *owner)
{
	drive(owner);
}

/* In TLS 1.3 the client has shaken hands before it hears that the server will not (it wants a certificate, say). Where TLS is
 * a favour that counts as a handshake that has failed, else no mail would ever get there. */
static bool
is_refused_tls(const struct session *s, enum conn_end why)
{
	return s->conn.tls == CONN_PROTECTED && s->state == OPENING && !s->heard && why != CONN_TIMEOUT
	    && s->place.tls->level == TLS_MAY;
}

static void
on_end(void *owner, enum conn_end why)
{
	struct session *s = owner;
	char words[128];

	s->ended = true;
	if (is_refused_tls(s, why)) {
		failed_by_tls(s, "TLS failed", why == CONN_TLS && s->conn.tls_error != 0
		    ? ERR_reason_error_string(s->conn.tls_error) : "the connection was closed behind the handshake");
		return;
	}
	if (s->conn.tls == CONN_HANDSHAKE && s->state == OPENING) {
		if (why != CONN_TIMEOUT && !resumes(s))		/* section 4.3.4 of RFC 8460 */
			see(s, TLS_VALIDATION_FAILURE, why == CONN_TLS && s->conn.tls_error != 0
			    ? ERR_reason_error_string(s->conn.tls_error) : "the connection was closed in the handshake");
		failed_by_tls(s, "TLS failed", why == CONN_TLS && s->conn.tls_error != 0
		    ? ERR_reason_error_string(s->conn.tls_error) : why == CONN_TIMEOUT ? "no answer in time"
		    : "the connection was closed");
		return;
	}
	if (s->wants != SMTP_CLIENT_WANTS_CLOSE) {
		snprintf(words, sizeof words, "%s", why == CONN_EOF ? "it closed the connection"
		    : why == CONN_TLS ? "it broke off, or spoilt, the protected connection" : "the connection broke");
		if (why == CONN_TIMEOUT)
			snprintf(words, sizeof words, "no answer within %llu s",
			    (unsigned long long)(timeout_ms(s) + 999) / 1000);
		smtp_client_lost(s->talk, words);
		s->wants = SMTP_CLIENT_WANTS_CLOSE;
	}
	closed(s);
}

void
session_mail(struct session *s, const struct smtp_client_mail *m, int file, struct bytes segments)
{
	unsigned what;

	must(s->state == IDLE && s->wants == SMTP_CLIENT_WANTS_MAIL);
	s->mail = *m;
	s->sent = false;
	content_init(&s->content, file, segments, m->octets);
	what = lacks(s);
	if (what == 0) {
		begin_mail(s);
		return;
	}
	s->state = PREPARING;
	content_convert(&s->content, &s->client->daemon->loop, what, on_converted, s);
}

static enum smtp_client_tls
rule_of(const struct tls_decision *d, bool clear)
{
	must(!d->refused && !(clear && d->level > TLS_MAY));
	if (clear || d->level == TLS_NEVER)
		return SMTP_TLS_NEVER;
	return d->level == TLS_MAY ? SMTP_TLS_MAY : SMTP_TLS_MUST;
}

static void
note_own_address(struct session *s, int fd)
{
	struct sockaddr_storage sa;
	socklen_t size = sizeof sa;
	struct address a;
	uint16_t port;

	if (getsockname(fd, (struct sockaddr *)&sa, &size) == 0 && address_of_socket(&sa, &a, &port))
		address_text(&a, s->own);
}

struct session *
session_new(struct client *c, const struct candidate *p, bool lmtp, enum session_tls tls, const struct login *login, int fd,
    const struct session_owner *owner)
{
	struct session *s = mem_alloc(sizeof *s);

	*s = (struct session){ .client = c, .owner = *owner, .place = *p, .login = login, .began_ms = clock_mono_ms(),
	    .next = c->sessions, .at = &c->sessions };
	if (s->next)
		s->next->at = &s->next;
	c->sessions = s;
	if (!bytes_to_text(p->host, s->host, sizeof s->host))
		s->host[0] = '\0';
	s->how = tls;
	note_own_address(s, fd);
	s->place.host = text(s->host);
	candidate_text(p, s->remote);
	s->rules = (struct smtp_client_rules){ .lmtp = lmtp, .tls = rule_of(p->tls, tls == SESSION_CLEAR),
	    .hostname = c->settings->helo_name[0] ? c->settings->helo_name : c->settings->hostname };
	timer_init(&s->soon, &c->daemon->loop, on_soon, s);
	conn_init(&s->conn, &c->daemon->loop, fd, IN_MAX, SMTP_CLIENT_OUT, on_input, on_end, s);
	s->conn.on_ready = on_secured;
	s->conn.on_room = on_room;
	s->conn.hear_out = true;
	s->talk = smtp_client_new(&s->rules, &s->conn.out);
	s->wants = SMTP_CLIENT_WANTS_INPUT;
	rearm(s);
	return s;
}

void
session_own(struct session *s, const struct session_owner *owner)
{
	s->owner = *owner;
}

/* ---- what is known of it ---- */

bool
session_alive(const struct session *s)
{
	return !s->ended && s->state == IDLE && s->wants == SMTP_CLIENT_WANTS_MAIL;
}

bool
session_content_sent(const struct session *s)
{
	return s->sent;
}

const struct smtp_client *
session_client(const struct session *s)
{
	return s->talk;
}

const char *
session_remote(const struct session *s)
{
	return s->remote;
}

const char *
session_tls(const struct session *s)
{
	return s->tls;
}

unsigned
session_mails(const struct session *s)
{
	return s->mails;
}

uint64_t
session_age_ms(const struct session *s)
{
	return clock_mono_ms() - s->began_ms;
}
