/* SPDX-License-Identifier: ISC */
/*
 * auth/exchange.c - from a client's claim to a ticket:
 *
 *	login -> auth_start, auth_more -> mech.c -> account table or pam
 *	      -> ticket to become -> kept -> login may repeat it
 *
 * An exchange belongs to the channel it began on and to no other; its number means
 * nothing elsewhere. Whatever is wrong with name or password gets the same words
 * after the same work.
 */
#include "auth/auth.h"

#include <stdio.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"

#define EXCHANGES_MAX	2000	/* in one process */
#define EXCHANGE_MS	120000	/* for all of it */
#define PAM_MS		40000	/* pam itself gives up after 30 s */
#define BECOME_MS	10000

#define FAILED_TEXT "wrong user name or password"
#define UNAVAILABLE_TEXT "logins cannot be checked just now, try again later"

struct exchange {
	TAILQ_ENTRY(exchange) link;
	struct exchanges *all;
	uint64_t	 id;
	struct channel	*channel;	/* borrowed: goes with it */
	uint32_t	 frame;		/* to be answered; 0: none, the client's turn */
	struct mech	*mech;		/* owned; NULL once the password is not needed any more */
	struct arena	*arena;		/* owned */
	struct timer	 timer;		/* until it expires, or until a failure is told */
	struct bytes	 protocol, mechanism, client, session, user;	/* in the arena */
	struct account	 account;	/* in the arena; set when there is one */
	bool		 known, failed;
	struct peers	*asked;		/* pam or become, while one is asked */
	uint64_t	 call;
	unsigned char	 ticket[32];
};

struct exchanges {
	struct daemon	*d;
	const struct auth_settings *s;
	struct accounts	*accounts;
	struct penalties *penalties;	/* owned */
	struct peers	*become, *pam;	/* pam: NULL without system accounts */
	TAILQ_HEAD(, exchange) list;
	uint32_t	 n;
	uint64_t	 last_id;
	struct ipc_out	 out;
};

/* ---- the end of one ------------------------------------------------------------------- */

static void
exchange_free(struct exchange *e)
{
	if (e->call)
		peers_cancel(e->asked, e->call);
	timer_clear(&e->timer);
	mech_free(&e->mech);
	explicit_bzero(e->ticket, sizeof e->ticket);
	TAILQ_REMOVE(&e->all->list, e, link);
	e->all->n--;
	arena_free(&e->arena);
	mem_free(e);
}

static void
log_result(const struct exchange *e, const char *said)
{
	log_info("%s: protocol=%s user=%s client=%s mechanism=%s result=%s", log_text(e->session),
	    log_text(e->protocol), log_text(e->user), log_text(e->client), log_text(e->mechanism), said);
}

static void
answer(struct exchange *e, struct ipc_auth_step *step)
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
	answer(e, &(struct ipc_auth_step){ .result = r, .text = text(words) });
	e->all->d->served++;
	exchange_free(e);
}

static void
unavailable(struct exchange *e)
{
	log_result(e, "unavailable");
	end(e, AUTH_UNAVAILABLE, UNAVAILABLE_TEXT);
}

/* The same words for all that can be wrong, some time later for who tries often. */
static void
failed(struct exchange *e)
{
	uint64_t wait = penalty_failed(e->all->penalties, e->client, clock_mono_ms());

	log_result(e, "failed");
	mech_free(&e->mech);
	e->failed = true;
	timer_set(&e->timer, wait);
}

static void
on_timer(void *arg)
{
	struct exchange *e = arg;

	if (e->failed)
		end(e, AUTH_FAILED, FAILED_TEXT);
	else if (e->frame)
		unavailable(e);
	else {
		log_result(e, "expired");
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
		unavailable(e);
		return;
	}
	log_result(e, "ok");
	answer(e, &(struct ipc_auth_step){ .result = AUTH_OK, .account = e->account.name,
	    .ticket = bytes_of(e->ticket, sizeof e->ticket) });
	e->all->d->served++;
	exchange_free(e);
}

static void
passed(struct exchange *e)
{
	penalty_passed(e->all->penalties, e->client);
	mech_free(&e->mech);
	random_fill(e->ticket, sizeof e->ticket);
	ipc_put_ticket(&e->all->out, 0, &(struct ipc_ticket){
		.ticket = bytes_of(e->ticket, sizeof e->ticket), .account = e->account.name,
		.protocol = e->protocol, .uid = e->account.uid, .gid = e->account.gid,
		.mailbox = e->account.mailbox });
	e->asked = e->all->become;
	e->call = peers_call(e->asked, &e->all->out, BECOME_MS, on_kept, e);
	buf_wipe(&e->all->out.frame);
}

static void
decided(struct exchange *e, enum verdict v)
{
	switch (v) {
	case YES:	passed(e); return;
	case NO:	failed(e); return;
	case NOT_SURE:	break;
	}
	unavailable(e);
}

/* ---- the password --------------------------------------------------------------------------- */

static void
on_pam(void *arg, struct ipc_in *in)
{
	struct exchange *e = arg;
	struct ipc_pam_answer a;
	enum verdict v = NOT_SURE;

	e->call = 0;
	if (in && in->type == IPC_pam_answer && ipc_get_pam_answer(in, &a))
		v = a.verdict == YES ? YES : a.verdict == NO ? NO : NOT_SURE;
	/* PAM may know users who have no mailbox here. */
	decided(e, v == YES && (!e->known || e->account.state != ACCOUNT_ACTIVE) ? NO : v);
}

static void
ask_pam(struct exchange *e)
{
	struct bytes password = mech_password(e->mech);

	if (e->user.n > 256 || bytes_find(password, '\0') < password.n) {
		failed(e);
		return;
	}
	ipc_put_pam_check(&e->all->out, 0, &(struct ipc_pam_check){ .user = e->user, .password = password,
	    .service = text(e->all->s->pam_service), .client = e->client });
	e->asked = e->all->pam;
	e->call = peers_call(e->asked, &e->all->out, PAM_MS, on_pam, e);
	buf_wipe(&e->all->out.frame);
}

/* A name that nobody has costs as much as one with a wrong password; of system users PAM is asked
 * in either case. */
static void
check(struct exchange *e)
{
	const struct account_settings *s = &e->all->s->account;
	enum verdict v;

	e->user = arena_copy(e->arena, mech_user(e->mech));
	v = accounts_get(e->all->accounts, e->user, e->arena, &e->account);
	e->known = v == YES;
	if (v == NOT_SURE)
		unavailable(e);
	else if (e->all->pam && bytes_find(e->user, '@') == e->user.n && (!e->known || e->account.system))
		ask_pam(e);
	else {
		if (e->known && !s->allow_plain_passwords && bytes_starts(e->account.password, text("{PLAIN}")))
			log_warn("account %s: its password is {PLAIN}, which counts only with "
			    "allow_plain_passwords = yes", log_text(e->account.name));
		decided(e, account_check_password(e->known ? &e->account : NULL, mech_password(e->mech),
		    s->allow_plain_passwords));
	}
}

/* ---- questions --------------------------------------------------------------------------------- */

static void
go_on(struct exchange *e, enum mech_result r, struct bytes challenge)
{
	switch (r) {
	case MECH_MORE:
		answer(e, &(struct ipc_auth_step){ .result = AUTH_CONTINUE, .challenge = challenge });
		return;
	case MECH_CREDENTIALS:
		check(e);
		return;
	case MECH_FAILED:
		failed(e);
		return;
	case MECH_UNKNOWN:
		log_result(e, "unknown-mechanism");
		end(e, AUTH_FAILED, "this mechanism is not offered");
		return;
	case MECH_BROKEN:
		break;
	}
	unavailable(e);
}

static struct exchange *
exchange_new(struct exchanges *x, struct channel *c, uint32_t frame, const struct ipc_auth_start *start)
{
	struct exchange *e = mem_alloc(sizeof *e);

	e->all = x;
	e->id = ++x->last_id;
	e->channel = c;
	e->frame = frame;
	e->arena = arena_new(1 << 18);
	e->protocol = arena_copy(e->arena, start->protocol);
	e->mechanism = arena_copy(e->arena, start->mechanism);
	e->client = arena_copy(e->arena, start->client);
	e->session = arena_copy(e->arena, start->session_id);
	timer_init(&e->timer, &x->d->loop, on_timer, e);
	timer_set(&e->timer, EXCHANGE_MS);
	TAILQ_INSERT_TAIL(&x->list, e, link);
	x->n++;
	return e;
}

static bool
start(struct exchanges *x, struct channel *c, struct ipc_in *in)
{
	uint32_t frame = in->id;
	struct ipc_auth_start ask;
	struct bytes challenge = { 0 };
	struct exchange *e;

	if (!ipc_get_auth_start(in, &ask) || frame == 0)
		return false;
	e = exchange_new(x, c, frame, &ask);
	if (!ask.secure && !x->s->allow_insecure_auth) {	/* PLAIN and LOGIN show the password */
		log_result(e, "not-encrypted");
		end(e, AUTH_FAILED, "logins need an encrypted connection");
	} else if (x->n > EXCHANGES_MAX || !(e->mech = mech_new()))
		unavailable(e);
	else
		go_on(e, mech_start(e->mech, e->mechanism, ask.has_initial ? &ask.initial : NULL, &challenge),
		    challenge);
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

	if (!ipc_get_auth_more(in, &ask) || frame == 0)
		return false;
	e = find(x, c, ask.exchange);
	if (!e || e->frame) {		/* none, expired, or another's; or out of turn */
		ipc_put_auth_step(&x->out, frame, &(struct ipc_auth_step){ .result = AUTH_UNAVAILABLE,
		    .exchange = ask.exchange, .text = text(UNAVAILABLE_TEXT) });
		channel_reply(c, frame, &x->out);
		return true;
	}
	e->frame = frame;
	if (ask.cancel) {
		log_result(e, "cancelled");
		end(e, AUTH_FAILED, "the login was cancelled");
	} else
		go_on(e, mech_step(e->mech, ask.response, &challenge), challenge);
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

struct exchanges *
exchanges_new(struct daemon *d, const struct auth_settings *s, struct accounts *a)
{
	struct exchanges *x = mem_alloc(sizeof *x);

	x->d = d;
	x->s = s;
	x->accounts = a;
	x->penalties = penalties_new();
	x->become = daemon_peers(d, "become");
	x->pam = s->account.system_accounts ? daemon_peers(d, "pam") : NULL;
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
	penalties_free(&(*x)->penalties);
	ipc_out_fini(&(*x)->out);
	mem_free(*x);
	*x = NULL;
}
