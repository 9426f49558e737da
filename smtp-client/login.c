/* SPDX-License-Identifier: ISC */
#include "smtp-client/login.h"

#include "base/mem.h"

#define ASK_MS		10000u
#define ARENA_OCTETS	16384u

struct asked {
	struct login	 login;		/* what the owner sees */
	struct client	*client;	/* borrowed */
	struct arena	*arena;		/* owned; its texts, but for: */
	struct buf	 secret;	/* owned */
	uint64_t	 call;		/* 0: answered */
	void		(*done)(void *);
	void		*arg;
};

static void
take(struct asked *a, struct ipc_in *in)
{
	struct ipc_credentials_answer m;

	a->login.why = text("the router does not answer");
	if (!in || in->type != IPC_credentials_answer || !ipc_get_credentials_answer(in, &m) || m.verdict > NO)
		return;
	a->login = (struct login){ .verdict = (enum verdict)m.verdict, .oauth = m.oauth == 1, .hidden = a,
	    .key = arena_copy(a->arena, m.key), .mechanisms = arena_copy(a->arena, m.mechanisms),
	    .user = arena_copy(a->arena, m.user), .why = arena_copy(a->arena, m.reply) };
	buf_add(&a->secret, m.secret);
	a->login.secret = buf_bytes(&a->secret);
	if (m.secret.n > 0)			/* the frame is read into memory that stays */
		explicit_bzero((void *)(uintptr_t)m.secret.p, m.secret.n);
}

static void
answered(void *arg, struct ipc_in *in)
{
	struct asked *a = arg;

	a->call = 0;
	take(a, in);
	a->done(a->arg);
}

struct login *
login_new(struct client *c, struct bytes nexthop, void (*done)(void *), void *arg)
{
	struct asked *a = mem_alloc(sizeof *a);

	*a = (struct asked){ .client = c, .arena = arena_new(ARENA_OCTETS), .done = done, .arg = arg };
	a->login.hidden = a;
	buf_init(&a->secret, 6144);
	ipc_put_credentials_ask(&c->out, 0, &(struct ipc_credentials_ask){ .nexthop = nexthop });
	a->call = peers_call(daemon_peers(c->daemon, "router"), &c->out, ASK_MS, answered, a);
	return &a->login;
}

void
login_free(struct login **l)
{
	struct asked *a;

	if (!*l)
		return;
	a = (*l)->hidden;
	*l = NULL;
	if (a->call != 0)
		peers_cancel(daemon_peers(a->client->daemon, "router"), a->call);
	buf_wipe(&a->secret);
	arena_free(&a->arena);
	mem_free(a);
}

bool
login_in_clear(const struct client *c, const struct candidate *p)
{
	return c->settings->auth_plaintext || p->socket || address_is_loopback(&p->address);
}

bool
login_unproven(const struct client *c, const struct candidate *p)
{
	return c->settings->auth_unproven || login_in_clear(c, p);
}

void
login_rule(const struct client *c, const struct candidate *places, size_t n, struct tls_rule *rule)
{
	bool ours = true;

	for (size_t i = 0; i < n; i++)
		ours = ours && (places[i].socket || address_is_loopback(&places[i].address));
	if (!ours)		/* nobody sits between this host and itself */
		tls_rule_login(rule, c->settings->auth_unproven || c->settings->auth_plaintext);
}
