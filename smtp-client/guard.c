/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/guard.c - what the hosts of a next hop must show before mail goes to them. mail/tls_policy.h knows; here
 * it gets its answers: TLSA records from the resolver (RFC 7672 section 2.2), for hosts whose addresses are known, and
 * signed; then, if there is a host that DANE says nothing of, the domain's MTA-STS policy from fetch (RFC 8461).
 *
 * A host of which it cannot be found out is left alone, not sent to with less (RFC 7672 section 2.1.2).
 */
#include <stdio.h>

#include "base/mem.h"
#include "smtp-client/client.h"

#define STS_GRACE_MS	5000	/* fetch answers within mta_sts_timeout; then it has none */

struct search {			/* of one host */
	struct guard	*guard;
	struct tls_host	 host;
	struct bytes	 bases[2];	/* where TLSA records may be */
	size_t		 nbases, at;
	uint64_t	 question;	/* 0: none is open */
	uint16_t	 port;
	struct tls_question found;	/* what is known in the end */
	const struct tls_decision *decision;
};

struct guard {
	struct client	*client;	/* borrowed */
	struct target	*target;	/* borrowed; all that is found is in its arena */
	const struct tls_rule *rule;	/* borrowed */
	bool		 requiretls, may_ask_sts;
	struct search	 searches[CANDIDATE_HOSTS + 1];	/* the last is of places without a name */
	size_t		 n;
	uint64_t	 sts_question;
	struct tls_sts	 policy;
	void		(*done)(void *);
	void		*arg;
	struct timer	 soon;		/* done is due */
};

/* ---- the end ---- */

/* Mail by a route to a host is by this host's administrator's word, and nobody's policy; a refusal is counted here. */
static void
report(const struct search *s, struct tls_decision *d)
{
	struct arena *a = s->guard->target->arena;
	struct tls_report_policy *policy = arena_alloc(a, sizeof *policy);
	struct tls_report_session seen = { .mx = s->host.name, .reason = bytes_head(d->why, TLS_REPORT_REASON) };

	tls_report_policy(&s->found, d, a, policy);
	if (!s->guard->may_ask_sts)
		policy->domain = bytes_of(NULL, 0);
	d->report = policy;
	seen.policy = *policy;
	if (d->refused && tls_report_refusal(&s->found, &seen.result))
		client_seen(s->guard->client, &seen);
}

static const struct tls_decision *
decide(struct search *s)
{
	struct arena *a = s->guard->target->arena;
	struct tls_decision *d = arena_alloc(a, sizeof *d);

	tls_decide(&s->found, a, d);
	report(s, d);
	if (d->refused)
		s->guard->client->counts.refused++;
	return d;
}

static struct search *
search_of(struct guard *g, const struct candidate *p)
{
	for (size_t i = 0; i < g->n; i++)
		if (bytes_eq(g->searches[i].host.name, p->host))
			return &g->searches[i];
	must(!"a place of a host that nobody has looked at");
	return NULL;
}

static void
conclude(struct guard *g)
{
	struct target *t = g->target;

	for (size_t i = 0; i < g->n; i++)
		g->searches[i].decision = decide(&g->searches[i]);
	for (size_t i = 0; i < t->nplaces; i++)
		t->places[i].tls = search_of(g, &t->places[i])->decision;
	timer_set(&g->soon, 0);
}

static void
on_soon(void *arg)
{
	struct guard *g = arg;

	g->done(g->arg);
}

/* ---- MTA-STS ---- */

static void
on_policy(void *arg, const struct sts_answer *a)
{
	struct guard *g = arg;
	struct arena *arena = g->target->arena;

	g->sts_question = 0;
	if (a->result == STS_POLICY) {
		g->policy = a->sts;
		g->policy.id = arena_copy(arena, a->sts.id);
		g->policy.policy.mx = arena_array(arena, a->sts.policy.nmx, sizeof *g->policy.policy.mx);
		for (size_t i = 0; i < a->sts.policy.nmx; i++)
			g->policy.policy.mx[i] = arena_copy(arena, a->sts.policy.mx[i]);
		for (size_t i = 0; i < g->n; i++)
			g->searches[i].found.sts = &g->policy;
	}
	conclude(g);
}

static void
proceed(struct guard *g)
{
	bool wanted = false;

	for (size_t i = 0; i < g->n; i++) {
		if (g->searches[i].question != 0)
			return;
		wanted = wanted || tls_wants_sts(&g->searches[i].found);
	}
	if (wanted && g->may_ask_sts)
		g->sts_question = sts_ask(g->client->sts, g->target->domain,
		    (unsigned)g->client->settings->sts_timeout_ms + STS_GRACE_MS, on_policy, g);
	else
		conclude(g);
}

/* ---- DANE ---- */

static void	ask_tlsa(struct search *s);

static void
unknown(struct search *s, struct bytes why)
{
	s->found.tlsa = TLSA_UNKNOWN;
	s->found.tlsa_why = arena_copy(s->guard->target->arena, why);
}

static void
keep_records(struct search *s, const struct dns_answer *a)
{
	struct arena *arena = s->guard->target->arena;
	size_t n = a->n < TLSA_MAX ? a->n : TLSA_MAX;
	struct dns_record *records = arena_array(arena, n, sizeof *records);

	for (size_t i = 0; i < n; i++) {
		records[i] = a->records[i];
		records[i].tlsa.data = arena_copy(arena, a->records[i].tlsa.data);
	}
	s->found.tlsa = TLSA_THERE;
	s->found.tlsa_base = s->bases[s->at];
	s->found.tlsa_records = records;
	s->found.ntlsa = n;
}

static void
on_tlsa(void *arg, const struct dns_answer *a)
{
	struct search *s = arg;

	s->question = 0;
	switch (tls_tlsa_judge(a->result, a->secure)) {
	case TLSA_UNKNOWN:
		unknown(s, a->why);
		break;
	case TLSA_THERE:
		keep_records(s, a);
		break;
	case TLSA_NONE:
		s->at++;
		ask_tlsa(s);
	}
	proceed(s->guard);
}

static uint64_t
ask(struct search *s, struct bytes name, enum dns_type type, dns_done done)
{
	struct client *c = s->guard->client;

	return dns_ask(c->dns, name, type, (unsigned)c->settings->dns_timeout_ms, done, s);
}

/* At the next name, if there is one. */
static void
ask_tlsa(struct search *s)
{
	if (s->at < s->nbases)
		s->question = ask(s, tls_tlsa_name(s->bases[s->at], s->port, s->guard->target->arena), DNS_TLSA, on_tlsa);
}

static void
on_alias(void *arg, const struct dns_answer *a)
{
	struct search *s = arg;

	s->question = 0;
	if (a->result == DNS_FAILED || a->result == DNS_BOGUS) {
		unknown(s, a->why);
	} else {
		s->host.alias_secure = a->result == DNS_FOUND && a->secure;
		s->nbases = tls_tlsa_bases(&s->host, s->bases);
		ask_tlsa(s);
	}
	proceed(s->guard);
}

static void
begin(struct search *s)
{
	if (!tls_wants_dane(s->guard->rule, s->guard->requiretls, &s->host))
		return;
	if (tls_wants_alias(&s->host)) {
		s->question = ask(s, s->host.name, DNS_CNAME, on_alias);
		return;
	}
	s->nbases = tls_tlsa_bases(&s->host, s->bases);
	ask_tlsa(s);
}

/* ---- which hosts ---- */

static void
add(struct guard *g, struct bytes name, const struct candidate_host *h, uint16_t port)
{
	struct search *s = &g->searches[g->n++];

	*s = (struct search){ .guard = g, .port = port, .host = { .domain = g->target->domain,
	    .domain_expanded = g->target->domain_expanded, .name = name, .by_mx = g->target->by_mx,
	    .domain_secure = g->target->domain_secure } };
	if (h) {
		s->host.name_expanded = h->expanded;
		s->host.address_secure = h->secure;
	}
	s->found = (struct tls_question){ .rule = g->rule, .host = &s->host, .requiretls = g->requiretls, .tlsa = TLSA_NONE };
}

static const struct candidate_host *
host_of(const struct target *t, const struct candidate *p)
{
	for (size_t i = 0; i < t->nhosts && p->host.n > 0; i++)
		if (bytes_eq(t->hosts[i].name, p->host))
			return &t->hosts[i];
	return NULL;
}

static void
add_once(struct guard *g, const struct candidate *p)
{
	for (size_t i = 0; i < g->n; i++)
		if (bytes_eq(g->searches[i].host.name, p->host))
			return;
	add(g, p->host, host_of(g->target, p), p->port);
}

struct guard *
guard_new(struct client *c, struct target *t, const struct tls_rule *rule, bool requiretls, bool sts,
    void (*done)(void *), void *arg)
{
	struct guard *g = mem_alloc(sizeof *g);

	*g = (struct guard){ .client = c, .target = t, .rule = rule, .requiretls = requiretls, .may_ask_sts = sts,
	    .done = done, .arg = arg };
	timer_init(&g->soon, &c->daemon->loop, on_soon, g);
	for (size_t i = 0; i < t->nplaces; i++)
		add_once(g, &t->places[i]);
	for (size_t i = 0; i < g->n; i++)
		begin(&g->searches[i]);
	proceed(g);
	return g;
}

void
guard_free(struct guard **taken)
{
	struct guard *g = *taken;

	*taken = NULL;
	if (!g)
		return;
	for (size_t i = 0; i < g->n; i++)
		dns_cancel(g->client->dns, g->searches[i].question);
	sts_cancel(g->client->sts, g->sts_question);
	timer_clear(&g->soon);
	mem_free(g);
}
