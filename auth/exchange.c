/* SPDX-License-Identifier: ISC */
/*
 * auth/exchange.c - from a client's claim to a ticket:
 *
 *	login -> auth_start, auth_more -> mech.c -> lookup.c: account table, directory (a hash, when it is its turn, or keys for SCRAM), pam,
 *	                               |              or a certificate
 *	                               -> bearer.c: token.c, fetch -> lookup.c
 *	      -> ticket to become -> kept -> login may repeat it (submission needs none)
 *
 * An exchange belongs to the channel it began on and to no other; its number means
 * nothing elsewhere. What login says of a client's certificate counts when tls has vouched for it. Whatever is wrong with
 * name or password gets the same words after the same work.
 */
#include "auth/exchange.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/sasl_oauth.h"

#define EXCHANGES_MAX	2000	/* in one process */
#define BECOME_MS	10000

#define FAILED_TEXT "wrong user name or password"
#define UNAVAILABLE_TEXT "logins cannot be checked just now, try again later"

/* ---- the end of one ------------------------------------------------------------------- */

static void
exchange_free(struct exchange *e)
{
	if (e->call)
		peers_cancel(e->asked, e->call);
	if (e->turns)
		turn_leave(e->turns, &e->turn);
	lookup_fini(&e->lookup);
	directory_check_cancel(e->all->directory, e->check);
	timer_clear(&e->timer);
	mech_free(&e->mech);
	buf_wipe(&e->token);
	explicit_bzero(e->ticket, sizeof e->ticket);
	TAILQ_REMOVE(&e->all->list, e, link);
	e->all->n--;
	arena_free(&e->arena);
	mem_free(e);
}

void
exchange_log(const struct exchange *e, const char *result)
{
	const char *tls = e->tls.n > 0 ? " tls=\"" : "";

	log_info("%s: protocol=%s user=%s client=%s mechanism=%s%s%s%s result=%s", log_value(e->session), log_value(e->protocol),
	    log_value(e->user), log_value(e->client), log_value(e->mechanism), tls, log_text(e->tls), tls[0] ? "\"" : "", result);
}

/* However he writes it, it is the same user who fails. */
struct bytes
exchange_spelling(const struct exchange *e)
{
	return account_spelling(e->user, e->arena);
}

void
exchange_answer(struct exchange *e, struct ipc_auth_step *step)
{
	step->exchange = e->id;
	ipc_put_auth_step(&e->all->out, e->frame, step);
	channel_reply(e->channel, e->frame, &e->all->out);
	buf_wipe(&e->all->out.frame);		/* tickets */
	e->frame = 0;
}

static void
end(struct exchange *e, enum auth_result r, const char *words)
{
	exchange_answer(e, &(struct ipc_auth_step){ .result = r, .text = text(words) });
	e->all->d->served++;
	exchange_free(e);
}

void
exchange_unavailable(struct exchange *e)
{
	exchange_log(e, "unavailable");
	end(e, AUTH_UNAVAILABLE, UNAVAILABLE_TEXT);
}

/* The same words for all that can be wrong, some time later for who tries often. */
void
exchange_failed(struct exchange *e)
{
	uint64_t wait_ms = penalty_failed(e->all->penalties, e->client, exchange_spelling(e), clock_mono_ms());
	uint64_t now_us = clock_mono_us(), left_us = penalty_left(wait_ms, now_us - e->asked_us);

	keeper_changed(e->all->keeper);
	exchange_log(e, "failed");
	mech_free(&e->mech);
	buf_wipe(&e->token);
	e->failed = true;
	e->told_us = now_us + left_us;
	timer_set(&e->timer, left_us / 1000);
}

static void
on_timer(void *arg)
{
	struct exchange *e = arg;

	/* The timer counts whole milliseconds from when it was set: what is left of one would tell how long the work took. */
	if (e->failed)
		clock_sleep_until(e->told_us);
	if (e->failed && e->status)
		bearer_tell(e);
	else if (e->failed)
		end(e, AUTH_FAILED, FAILED_TEXT);
	else if (e->frame)
		exchange_unavailable(e);
	else if (e->told)
		exchange_free(e);
	else {
		exchange_log(e, "expired");
		exchange_free(e);
	}
}

/* ---- the ticket --------------------------------------------------------------------------- */

static void
on_kept(void *arg, struct ipc_in *in)
{
	struct exchange *e = arg;
	struct ipc_ticket_kept kept;

	e->call = 0;
	if (!in || in->type != IPC_ticket_kept || !ipc_get_ticket_kept(in, &kept) || kept.status != 0) {
		if (in)
			log_warn("%s: become did not keep the ticket of %s", log_text(e->session),
			    log_text(e->account.name));
		exchange_unavailable(e);
		return;
	}
	exchange_log(e, "ok");
	exchange_answer(e, &(struct ipc_auth_step){ .result = AUTH_OK, .account = e->account.name,
	    .ticket = bytes_of(e->ticket, sizeof e->ticket) });
	e->all->d->served++;
	exchange_free(e);
}

/* submission serves them itself. */
static void
passed_without_session(struct exchange *e)
{
	exchange_log(e, "ok");
	exchange_answer(e, &(struct ipc_auth_step){ .result = AUTH_OK, .account = e->account.name });
	e->all->d->served++;
	exchange_free(e);
}

static void
passed(struct exchange *e)
{
	penalty_passed(e->all->penalties, e->client, exchange_spelling(e), clock_mono_ms());
	keeper_changed(e->all->keeper);
	mech_free(&e->mech);
	buf_wipe(&e->token);
	if (bytes_eq(e->protocol, text("smtp"))) {
		passed_without_session(e);
		return;
	}
	random_fill(e->ticket, sizeof e->ticket);
	ipc_put_ticket(&e->all->out, 0, &(struct ipc_ticket){
		.ticket = bytes_of(e->ticket, sizeof e->ticket), .account = e->account.name,
		.protocol = e->protocol, .uid = e->account.uid, .gid = e->account.gid,
		.mailbox = e->account.mailbox });
	e->asked = e->all->become;
	e->call = peers_call(e->asked, &e->all->out, BECOME_MS, on_kept, e);
	buf_wipe(&e->all->out.frame);
}

void
exchange_decided(struct exchange *e, enum verdict v)
{
	switch (v) {
	case YES:	passed(e); return;
	case NO:	exchange_failed(e); return;
	case NOT_SURE:	break;
	}
	exchange_unavailable(e);
}

/* ---- questions --------------------------------------------------------------------------------- */

void
exchange_go_on(struct exchange *e, enum mech_result r, struct bytes challenge)
{
	switch (r) {
	case MECH_MORE:
		exchange_answer(e, &(struct ipc_auth_step){ .result = AUTH_CONTINUE, .challenge = challenge });
		return;
	case MECH_CREDENTIALS:
		look_for_password(e);
		return;
	case MECH_KEYS:
		look_for_keys(e);
		return;
	case MECH_CERTIFICATE:
		look_at_certificate(e);
		return;
	case MECH_IDENTIFIED:
		look_for_identified(e);
		return;
	case MECH_PASSED:
		exchange_decided(e, e->known ? YES : NO);
		return;
	case MECH_FAILED:
		if (e->user.n == 0)		/* it may have said a name before it went wrong */
			e->user = arena_copy(e->arena, mech_user(e->mech));
		exchange_failed(e);
		return;
	case MECH_UNKNOWN:
		exchange_log(e, "unknown-mechanism");
		end(e, AUTH_FAILED, "this mechanism is not offered");
		return;
	case MECH_BROKEN:
		break;
	}
	exchange_unavailable(e);
}

/* The one that waits longest for what its client says next. NULL: none does. */
static struct exchange *
idle(struct exchanges *x)
{
	struct exchange *longest = NULL, *e;

	TAILQ_FOREACH(e, &x->list, link)
		if (e->frame == 0 && (!longest || e->asked_us < longest->asked_us))
			longest = e;
	return longest;
}

static struct exchange *
worst(struct exchanges *x, struct bytes client)
{
	struct turns *const turns[] = { x->hashes, x->by_pam, x->by_directory };
	struct exchange *e = NULL;

	for (size_t i = 0; i < LEN(turns) && !e; i++)
		e = turns_worst(turns[i], client);
	return e;
}

/* Too many at once: one that has failed is told so now, and makes room for another that may be right; or one that waits for its turn,
 * of an address with no less failures: the new one may be of somebody who is known, which it has yet to say; or one whose client has
 * left, or takes its time. */
static bool
make_room(struct exchanges *x, struct bytes client)
{
	struct exchange *e;

	TAILQ_FOREACH(e, &x->list, link)
		if (e->failed) {
			end(e, AUTH_FAILED, FAILED_TEXT);
			return true;
		}
	if ((e = worst(x, client)) != NULL) {
		exchange_unavailable(e);
		return true;
	}
	if (!(e = idle(x)))
		return false;
	exchange_log(e, "expired");
	exchange_free(e);
	return true;
}

static struct exchange *
exchange_new(struct exchanges *x, struct channel *c, uint32_t frame, const struct ipc_auth_start *start)
{
	struct exchange *e = mem_alloc(sizeof *e);

	e->all = x;
	e->id = ++x->last_id;
	e->channel = c;
	e->frame = frame;
	e->asked_us = clock_mono_us();
	e->arena = arena_new(1 << 20);
	lookup_init(&e->lookup, x->directory, lookup_known, e);
	e->protocol = arena_copy(e->arena, start->protocol);
	e->mechanism = arena_copy(e->arena, start->mechanism);
	e->client = arena_copy(e->arena, start->client);
	e->session = arena_copy(e->arena, start->session_id);
	e->tls = arena_copy(e->arena, start->tls);
	e->bearer = bytes_case_eq(e->mechanism, text("OAUTHBEARER")) ? OAUTHBEARER
	    : bytes_case_eq(e->mechanism, text("XOAUTH2")) ? XOAUTH2 : NO_BEARER;
	buf_init(&e->token, SASL_OAUTH_TOKEN_MAX);
	timer_init(&e->timer, &x->d->loop, on_timer, e);
	timer_set(&e->timer, EXCHANGE_MS);
	TAILQ_INSERT_TAIL(&x->list, e, link);
	x->n++;
	return e;
}

static void
begin(struct exchange *e, const struct ipc_auth_start *ask, bool binds)
{
	/* Where none is offered that binds, a client is right to say that it could (RFC 5802 section 6). */
	const struct mech_channel channel = { binds ? ask->exporter : text(NULL), binds ? ask->end_point : text(NULL) };
	struct bytes challenge = { 0 };

	if (e->bearer && ask->has_initial) {
		bearer_take(e, ask->initial);
	} else if (e->bearer) {
		exchange_go_on(e, MECH_MORE, challenge);
	} else {
		enum mech_result r = mech_start(e->mech, e->mechanism, &channel, ask->has_initial ? &ask->initial : NULL, &challenge);

		exchange_go_on(e, r, challenge);
	}
}

/* Nothing: there is none, or nobody who could know has said so. */
static struct bytes
vouched(const struct exchanges *x, const struct ipc_auth_start *ask)
{
	if (ask->addresses.n == 0 || voucher_holds(&x->voucher, ask->addresses, ask->voucher, clock_mono_ms()))
		return ask->addresses;
	log_warn("%s: protocol=%s a certificate that nobody vouches for", log_text(ask->session_id), log_text(ask->protocol));
	return text(NULL);
}

static bool
start(struct exchanges *x, struct channel *c, struct ipc_in *in)
{
	uint32_t frame = in->id;
	struct ipc_auth_start ask;
	struct bytes challenge = { 0 };
	char offered[MECHANISMS_MAX];
	struct exchange *e;

	if (!ipc_get_auth_start(in, &ask) || frame == 0)
		return false;
	e = exchange_new(x, c, frame, &ask);
	e->addresses = arena_copy(e->arena, vouched(x, &ask));
	mechanisms_offered(x->mechanisms, (ask.exporter.n + ask.end_point.n > 0 ? CHANNEL_BINDS : 0)
	    | (e->addresses.n > 0 ? CHANNEL_CERTIFIED : 0), offered);
	if (!ask.secure && !x->s->allow_insecure_auth) {	/* PLAIN and LOGIN show the password */
		exchange_log(e, "not-encrypted");
		end(e, AUTH_FAILED, "logins need an encrypted connection");
	} else if (!mechanism_in(offered, ask.mechanism)) {
		exchange_go_on(e, MECH_UNKNOWN, challenge);
	} else if ((x->n > EXCHANGES_MAX && !make_room(x, e->client)) || (!e->bearer && !(e->mech = mech_new(ask.protocol))))
		exchange_unavailable(e);
	else
		begin(e, &ask, strstr(offered, "-PLUS") != NULL);
	return true;
}

static struct exchange *
find(struct exchanges *x, const struct channel *c, uint64_t id)
{
	struct exchange *e;

	TAILQ_FOREACH(e, &x->list, link)
		if (e->id == id && e->channel == c)
			return e;
	return NULL;
}

static bool
more(struct exchanges *x, struct channel *c, struct ipc_in *in)
{
	uint32_t frame = in->id;
	struct ipc_auth_more ask;
	struct bytes challenge = { 0 };
	struct exchange *e;

	if (!ipc_get_auth_more(in, &ask) || (frame == 0 && !ask.cancel))
		return false;
	e = find(x, c, ask.exchange);
	if (frame == 0) {		/* its client has left */
		if (e && !e->frame) {
			exchange_log(e, "cancelled");
			exchange_free(e);
		}
		return true;
	}
	if (!e || e->frame) {		/* none, expired, or another's; or out of turn */
		ipc_put_auth_step(&x->out, frame, &(struct ipc_auth_step){ .result = AUTH_UNAVAILABLE,
		    .exchange = ask.exchange, .text = text(UNAVAILABLE_TEXT) });
		channel_reply(c, frame, &x->out);
		return true;
	}
	e->frame = frame;
	e->asked_us = clock_mono_us();
	if (e->told) {
		end(e, AUTH_FAILED, FAILED_TEXT);
	} else if (ask.cancel) {
		exchange_log(e, "cancelled");
		end(e, AUTH_FAILED, "the login was cancelled");
	} else if (e->bearer) {
		bearer_take(e, ask.response);
	} else {
		enum mech_result r = mech_step(e->mech, ask.response, &challenge);

		exchange_go_on(e, r, challenge);
	}
	return true;
}

bool
exchanges_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	switch (in->type) {
	case IPC_auth_start:	return start(owner, c, in);
	case IPC_auth_more:	return more(owner, c, in);
	default:		return false;
	}
}

/* ---- life ------------------------------------------------------------------------------------------ */

void
exchanges_gone(void *owner, struct channel *c)
{
	struct exchanges *x = owner;

	for (struct exchange *e = TAILQ_FIRST(&x->list), *next; e; e = next) {
		next = TAILQ_NEXT(e, link);
		if (e->channel == c)
			exchange_free(e);
	}
}

uint32_t
exchanges_open(void *owner)
{
	return ((struct exchanges *)owner)->n;
}

static uint32_t
share(uint64_t all, const struct auth_settings *s)
{
	return all > s->workers ? (uint32_t)(all / s->workers) : 1;
}

struct exchanges *
exchanges_new(struct daemon *d, const struct auth_settings *s, const struct mechanism_settings *m, struct accounts *a,
    const unsigned char secret[ACCOUNT_SECRET], const struct voucher_key *v, struct tokens *t, struct penalties *p,
    struct keeper *k)
{
	struct exchanges *x = mem_alloc(sizeof *x);

	x->d = d;
	x->s = s;
	x->mechanisms = m;
	x->accounts = a;
	x->secret = secret;
	x->voucher = *v;
	x->tokens = t;
	x->penalties = p;
	x->keeper = k;
	/* What the others take at once, shared by the workers; of the directory's one is under way and one is there for when it is answered. */
	x->hashes = turns_new(&d->loop, p, 0);
	x->by_pam = turns_new(&d->loop, p, share(s->pam_processes, s));
	x->by_directory = turns_new(&d->loop, p, share(2 * s->directory_workers, s));
	x->become = daemon_peers(d, "become");
	x->fetch = daemon_peers(d, "fetch");
	x->pam = s->account.system_accounts ? daemon_peers(d, "pam") : NULL;
	if (s->account.directory != 0)
		x->directory = directory_new(&d->loop, daemon_peers(d, "directory"), s->account.directory_timeout_ms);
	TAILQ_INIT(&x->list);
	/* Where two processes count from the same number, an answer of one fits the other. */
	random_fill(&x->last_id, sizeof x->last_id);
	ipc_out_init(&x->out);
	return x;
}

void
exchanges_free(struct exchanges **x)
{
	while (!TAILQ_EMPTY(&(*x)->list))
		exchange_free(TAILQ_FIRST(&(*x)->list));
	turns_free(&(*x)->hashes);
	turns_free(&(*x)->by_pam);
	turns_free(&(*x)->by_directory);
	directory_free(&(*x)->directory);
	ipc_out_fini(&(*x)->out);
	explicit_bzero(&(*x)->voucher, sizeof (*x)->voucher);
	mem_free(*x);
	*x = NULL;
}
