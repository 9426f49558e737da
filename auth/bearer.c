/* SPDX-License-Identifier: ISC */
/*
 * auth/bearer.c - exchanges whose one message is a bearer token: token.c says whether it is good, or fetch has to be asked, and
 * the account is that of whose it is.
 */
#include "auth/exchange.h"

#include "base/clock.h"
#include "base/log.h"
#include "proto/sasl_oauth.h"

#define FETCH_MS	5000		/* more than oauth_timeout, which is answered with better words */
#define TOLD_MS		30000		/* for the answer to an error, which says nothing */

/* RFC 7628 section 3.2.3: who shows a token is told why it is not good, says something that means nothing, and only then has
 * failed. In XOAUTH2 it is a status of HTTP; with 400 clients get themselves a new token, if they can. */
void
bearer_tell(struct exchange *e)
{
	const struct token_settings *s = &e->all->s->token;
	struct buf error;

	buf_init(&error, 4 * (TOKEN_SCOPE_MAX + 512));
	sasl_oauth_error(text(e->bearer == XOAUTH2 ? "400" : e->status), text(s->scope),
	    text(e->bearer == XOAUTH2 ? "" : s->openid_configuration), &error);
	e->status = NULL;
	e->failed = false;
	e->told = true;
	exchange_answer(e, &(struct ipc_auth_step){ .result = AUTH_CONTINUE, .challenge = buf_bytes(&error) });
	timer_set(&e->timer, TOLD_MS);
	buf_fini(&error);
}

/* What PAM would say of a system user's account nobody can ask it without his password: so none of them. */
static enum verdict
find_owner(struct exchange *e)
{
	enum verdict v = lookup_named(e, e->owner, e->user);

	return v == YES && (e->account.system || e->account.state != ACCOUNT_ACTIVE) ? NO : v;
}

static void
refused(struct exchange *e, const char *status, const char *why)
{
	log_info("%s: this token is refused: %s", log_text(e->session), why);
	e->status = status;
	exchange_failed(e);
}

static void
let_owner(struct exchange *e, enum verdict v)
{
	if (e->user.n == 0)
		e->user = e->owner;
	e->known = v == YES;
	if (v == NO)
		refused(e, "invalid_token", "whose it is has no active account here, or not the one that is asked for");
	else
		exchange_decided(e, v);
}

static void
judged(struct exchange *e, const struct token_result *r)
{
	switch (r->verdict) {
	case TOKEN_GOOD:
		e->owner = arena_copy(e->arena, bytes_of(r->user, r->user_n));
		exchange_find(e, find_owner, let_owner);
		return;
	case TOKEN_REFUSED:
		refused(e, r->status, r->why);
		return;
	case TOKEN_BROKEN:
	case TOKEN_ASK:
		break;
	}
	log_warn("%s: a token cannot be checked: %s: %s", log_text(e->session),
	    e->all->s->token.introspection_url[0] ? "the answer of oauth_introspection_url" : "what was signed", r->why);
	exchange_unavailable(e);
}

static void
on_said(void *arg, struct ipc_in *in)
{
	struct exchange *e = arg;
	struct ipc_token_answer m = { 0 };
	struct token_result r;

	e->call = 0;
	if (in && (in->type != IPC_token_answer || !ipc_get_token_answer(in, &m)))
		m = (struct ipc_token_answer){ .why = text("fetch's answer makes no sense") };
	else if (!in)
		m.why = text("fetch does not answer");
	if (m.body.n == 0) {
		log_warn("%s: a token cannot be checked: %s", log_text(e->session), log_text(m.why));
		exchange_unavailable(e);
		return;
	}
	tokens_said(e->all->tokens, buf_bytes(&e->token), m.body, clock_wall_s(), clock_mono_ms(), &r);
	judged(e, &r);
}

static void
ask_fetch(struct exchange *e)
{
	ipc_put_token_ask(&e->all->out, 0, &(struct ipc_token_ask){ .token = buf_bytes(&e->token) });
	e->asked = e->all->fetch;
	e->call = peers_call(e->asked, &e->all->out, (unsigned)e->all->s->token.timeout_ms + FETCH_MS, on_said, e);
	buf_wipe(&e->all->out.frame);
}

/* The client's message. Host and port are what it believes to talk to; a token is as good here under another name. */
void
bearer_take(struct exchange *e, struct bytes message)
{
	struct sasl_oauth_said said;
	struct token_result r;
	struct buf user;
	bool good;

	buf_init(&user, ACCOUNT_NAME_MAX);
	good = (e->bearer == XOAUTH2 ? sasl_xoauth2_parse : sasl_oauthbearer_parse)(message, &said, &user);
	e->user = arena_copy(e->arena, good ? buf_bytes(&user) : text(NULL));
	buf_fini(&user);
	if (!good) {
		refused(e, "invalid_request", "the message that it would be in cannot be understood");
		return;
	}
	buf_add(&e->token, said.token);
	tokens_look(e->all->tokens, buf_bytes(&e->token), clock_wall_s(), clock_mono_ms(), &r);
	if (r.verdict == TOKEN_ASK)
		ask_fetch(e);
	else
		judged(e, &r);
}
