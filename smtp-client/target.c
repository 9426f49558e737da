/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/target.c - from the next hop to addresses: RFC 5321 section 5.1, RFC 7505 (null MX).
 *
 * DNS is a stranger: it may name many hosts, or this one, or what is behind our own walls. So there is a limit on names
 * and addresses; where it leads to this host, the list ends (what stands behind would send it back here); and an address
 * that nobody else could mean is not connected to. What was not answered is never taken for "no".
 */
#include <limits.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "smtp-client/client.h"

#define GRACE_MS	2000	/* for hosts that are slow to be found, when the best is found */
#define ARENA_MAX	(1u << 20)

struct search;

struct lookup {			/* addresses of one host in one family */
	struct search	*search;
	struct candidate_host	*host;
	uint64_t	 question;	/* 0: answered, or not asked */
	enum dns_type	 type;
	enum dns_result	 result;
};

struct search {
	struct client	*client;	/* borrowed */
	struct target	 target;	/* what the owner sees; first_of() finds us from it */
	struct nexthop	 nexthop;	/* texts in the arena */
	uint16_t	 port;
	void		(*done)(void *);
	void		*arg;
	uint64_t	 mx;		/* the question */
	bool		 routed;	/* nobody wrote the name but who configured this host */
	bool		 by_mx;		/* there are MX records */
	struct candidate_host	 hosts[CANDIDATE_HOSTS];
	size_t		 nhosts;
	struct lookup	 lookups[2 * CANDIDATE_HOSTS];
	size_t		 nlookups;
	bool		 cut;		/* hosts or addresses were left out that might have been tried */
	bool		 lame;		/* some question found no answer */
	bool		 cut_by_self;	/* this host is one of them */
	char		 refused[NETWORK_TEXT_MAX];	/* an address that was left out for what it is; "": none */
	bool		 sourceless;	/* there were addresses of a family that the route names none of to come from */
	char		 outside[NETWORK_TEXT_MAX];	/* one that is not in smtp_networks; "": none */
	struct bytes	 why;		/* the resolver's words for the last question without an answer */
	struct timer	 soon;		/* done is due */
	struct timer	 grace;
};

static struct search *
search_of(struct target *t)
{
	return t->hidden;
}

/* ---- the end of it ---- */

static void
settle(struct search *s)
{
	for (size_t i = 0; i < s->nlookups; i++) {
		dns_cancel(s->client->dns, s->lookups[i].question);
		s->lookups[i].question = 0;
	}
	timer_clear(&s->grace);
	timer_set(&s->soon, 0);
}

static void
say(struct search *s, enum outcome outcome, enum relay_contact contact, const char *status, struct bytes reply)
{
	struct target *t = &s->target;

	t->nplaces = 0;
	t->outcome = outcome;
	t->contact = contact;
	t->status = text(status);
	t->reply = reply;
	settle(s);
}

static void
on_soon(void *arg)
{
	struct search *s = arg;

	s->done(s->arg);
}

#define SAY(s, outcome, contact, status, ...) \
	say(s, outcome, contact, status, arena_fmt((s)->target.arena, __VA_ARGS__))

static void
say_lame(struct search *s, struct bytes name, struct bytes why)
{
	SAY(s, TRY_LATER, CONTACT_FAILED, "4.4.3", "DNS has no answer for %.*s: %.*s", BYTES_FMT(name), BYTES_FMT(why));
}

static void
say_loop(struct search *s, const char *what)
{
	SAY(s, BOUNCE, CONTACT_NONE, "5.4.6", "%.*s leads back to this host%s; if it is to be served here, add it to "
	    "local_domains, else its MX record or the route has to be corrected", BYTES_FMT(s->nexthop.name), what);
}

static void
say_refused(struct search *s)
{
	SAY(s, BOUNCE, CONTACT_NONE, "5.4.6", "the mail exchanger of %.*s has the address %s, which no other host can "
	    "be reached by", BYTES_FMT(s->nexthop.name), s->refused);
}

/* By this host's own settings, which may be wrong: nothing is refused for them. */
static void
say_outside(struct search *s)
{
	SAY(s, TRY_LATER, CONTACT_FAILED, "4.4.1", "%.*s has the address %s, to which this host does not connect: see "
	    "smtp_networks", BYTES_FMT(s->nexthop.name), s->outside);
}

static void
say_sourceless(struct search *s)
{
	bool ipv4 = nexthop_from(&s->nexthop, true) != NULL;

	SAY(s, TRY_LATER, CONTACT_NONE, "4.3.5", "%.*s has addresses of %s alone, and mail by this route goes from an address of %s: "
	    "add another to ;from=", BYTES_FMT(s->nexthop.name), ipv4 ? "IPv6" : "IPv4", ipv4 ? "IPv4" : "IPv6");
}

/* Nothing is wrong but that there is nothing. For a slip of this host's administrator nobody's mail is sent back. */
static void
say_nowhere(struct search *s, const char *status, const char *what)
{
	if (s->routed)
		SAY(s, TRY_LATER, CONTACT_FAILED, "4.3.5", "%.*s, through which mail is to go, %s: correct the route",
		    BYTES_FMT(s->nexthop.name), what);
	else
		SAY(s, BOUNCE, CONTACT_NONE, status, "%.*s %s", BYTES_FMT(s->nexthop.name), what);
}

static void
say_none(struct search *s)
{
	bool gone = s->nlookups > 0 && s->lookups[0].result == DNS_NO_NAME;

	if (s->by_mx)
		say_nowhere(s, "5.4.4", "has no mail exchanger that has an address");
	else if (gone)
		say_nowhere(s, "5.1.2", s->routed ? "is not in the DNS" : "is no domain");
	else
		say_nowhere(s, "5.1.2", s->nexthop.kind == NEXTHOP_DOMAIN ? "has neither a mail exchanger nor an address"
		    : "has no address");
}

/* ---- addresses ---- */

/* Did an administrator write this host or address, or did DNS lead to it? */
static bool
is_named(const struct search *s)
{
	return s->nexthop.kind != NEXTHOP_DOMAIN;
}

static bool
may_connect(struct search *s, const struct address *a)
{
	enum address_kind kind = address_kind(a);

	if (!self_may_go(s->client->self, a)) {
		address_text(a, s->outside);
		return false;
	}
	if (is_named(s) || kind == ADDRESS_FINE || (kind == ADDRESS_LOOPBACK && s->client->settings->allow_loopback))
		return true;
	address_text(a, s->refused);
	return false;
}

/* Takes out what is not to be connected to. True: one of them is this host. */
static bool
sift(struct search *s, struct address *a, size_t *n)
{
	size_t kept = 0;
	bool here = false;

	for (size_t i = 0; i < *n; i++) {
		if (self_is_here(s->client->self, &a[i], s->port, is_named(s)))
			here = true;
		else if (may_connect(s, &a[i]))
			a[kept++] = a[i];
	}
	*n = kept;
	return here;
}

/* RFC 5321 section 5.1: where this host is among them, it and those that are not better are left out. */
static void
cut_at_self(struct search *s)
{
	unsigned own = UINT32_MAX;

	for (size_t i = 0; i < s->nhosts; i++) {
		struct candidate_host *h = &s->hosts[i];
		bool here = s->by_mx && self_is_name(s->client->self, h->name, s->port);

		here = sift(s, h->v4, &h->nv4) || here;
		here = sift(s, h->v6, &h->nv6) || here;
		if (here && h->preference < own)
			own = h->preference;
	}
	s->cut_by_self = own != UINT32_MAX;
	if (s->cut_by_self)
		s->nhosts = candidates_better(s->hosts, s->nhosts, own);
}

/* Addresses of a family that this host has no way to: they cost attempts, and are kept only where there is nothing else. */
static void
leave_out_unreachable(struct search *s)
{
	size_t reachable = 0, n4 = 0;

	for (size_t i = 0; i < s->nhosts; i++)
		n4 += s->hosts[i].nv4;
	for (size_t i = 0; i < s->nhosts && n4 > 0; i++) {
		struct candidate_host *h = &s->hosts[i];

		reachable = 0;
		for (size_t k = 0; k < h->nv6; k++)
			if (self_has_route(&h->v6[k]))
				h->v6[reachable++] = h->v6[k];
		h->nv6 = reachable;
	}
}

static bool
are_places(const struct target *t, const struct address *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < t->nplaces && memcmp(&t->places[k].address, &a[i], sizeof a[i]) != 0)
			k++;
		if (k == t->nplaces)
			return false;
	}
	return true;
}

/* Two names of one host have one place. */
static bool
has_all_addresses(const struct search *s)
{
	for (size_t i = 0; i < s->nhosts; i++)
		if (!are_places(&s->target, s->hosts[i].v4, s->hosts[i].nv4)
		    || !are_places(&s->target, s->hosts[i].v6, s->hosts[i].nv6))
			return false;
	return true;
}

/* Those that have no answer, or none that helps. */
static void
note_lame(struct search *s)
{
	struct target *t = &s->target;

	for (size_t i = 0; i < s->nlookups; i++) {
		const struct lookup *l = &s->lookups[i];
		bool lame = l->question != 0 || l->result == DNS_FAILED || l->result == DNS_BOGUS;

		s->lame = s->lame || lame;
		if (lame && l->host->nv4 + l->host->nv6 == 0 && l->host->preference < t->missing)
			t->missing = l->host->preference;
	}
}

static void
conclude(struct search *s)
{
	struct target *t = &s->target;
	size_t most = s->client->settings->address_limit;

	note_lame(s);
	cut_at_self(s);
	s->sourceless = candidates_from(s->hosts, s->nhosts, &s->nexthop);
	leave_out_unreachable(s);
	t->places = arena_array(t->arena, most, sizeof *t->places);
	t->nplaces = candidates_of(s->hosts, s->nhosts, s->port, t->places, most);
	t->hosts = s->hosts;
	t->nhosts = s->nhosts;
	t->all = !s->lame && !s->cut && has_all_addresses(s);
	if (t->nplaces > 0)
		settle(s);
	else if (s->lame)
		say_lame(s, s->nexthop.name, s->why.n > 0 ? s->why : text("no answer in time"));
	else if (s->cut_by_self)
		say_loop(s, s->by_mx ? ", which is its best mail exchanger" : "");
	else if (s->sourceless)
		say_sourceless(s);
	else if (s->outside[0] != '\0')
		say_outside(s);
	else if (s->refused[0] != '\0')
		say_refused(s);
	else
		say_none(s);
}

static bool
is_settled(const struct search *s, const struct candidate_host *h)
{
	for (size_t i = 0; i < s->nlookups; i++)
		if (s->lookups[i].host == h && s->lookups[i].question != 0)
			return false;
	return true;
}

/* All is known; or the best host is, and then the others have a little time. */
static void
proceed(struct search *s)
{
	size_t open = 0;

	for (size_t i = 0; i < s->nlookups; i++)
		open += s->lookups[i].question != 0;
	if (open == 0)
		conclude(s);
	else if (!s->grace.set && is_settled(s, &s->hosts[0]) && s->hosts[0].nv4 + s->hosts[0].nv6 > 0)
		timer_set(&s->grace, GRACE_MS);
}

static void
on_grace(void *arg)
{
	conclude(arg);
}

static void
keep_addresses(struct lookup *l, const struct dns_answer *a)
{
	struct candidate_host *h = l->host;
	struct address *to = l->type == DNS_A ? h->v4 : h->v6;
	size_t *n = l->type == DNS_A ? &h->nv4 : &h->nv6;

	for (size_t i = 0; i < a->n && *n < CANDIDATE_ADDRESSES; i++)
		memcpy(to[(*n)++].octet, a->records[i].address, 16);
	l->search->cut = l->search->cut || a->n > CANDIDATE_ADDRESSES;
}

static void
on_addresses(void *arg, const struct dns_answer *a)
{
	struct lookup *l = arg;
	struct search *s = l->search;

	l->question = 0;
	l->result = a->result;
	if (a->result == DNS_FOUND) {
		keep_addresses(l, a);
		if (a->secure || !l->host->secure)
			l->host->expanded = arena_copy(s->target.arena, a->name);
		l->host->secure = l->host->secure || a->secure;
	} else if (a->result == DNS_FAILED || a->result == DNS_BOGUS) {
		s->why = arena_copy(s->target.arena, a->why);
	}
	proceed(s);
}

static void
ask_address(struct search *s, struct candidate_host *h, enum dns_type type)
{
	struct lookup *l = &s->lookups[s->nlookups++];

	*l = (struct lookup){ .search = s, .host = h, .type = type };
	l->question = dns_ask(s->client->dns, h->name, type, (unsigned)s->client->settings->dns_timeout_ms,
	    on_addresses, l);
}

static void
ask_addresses(struct search *s)
{
	candidates_order(s->hosts, s->nhosts);	/* from here on they stay where they are */
	for (size_t i = 0; i < s->nhosts; i++) {
		ask_address(s, &s->hosts[i], DNS_A);
		ask_address(s, &s->hosts[i], DNS_AAAA);
	}
}

/* ---- exchangers ---- */

static void
take_exchangers(struct search *s, const struct dns_answer *a)
{
	size_t null = 0;

	s->by_mx = s->target.by_mx = true;
	s->target.domain_secure = a->secure;
	if (!bytes_case_eq(a->name, s->nexthop.name))
		s->target.domain_expanded = arena_copy(s->target.arena, a->name);
	s->cut = a->unfit > 0;
	for (size_t i = 0; i < a->n; i++) {
		null += a->records[i].mx.name.n == 0;
		if (a->records[i].mx.name.n > 0)
			s->cut = !candidates_keep(s->hosts, &s->nhosts, arena_copy(s->target.arena, a->records[i].mx.name),
			    a->records[i].mx.preference) || s->cut;
	}
	if (s->nhosts > 0)			/* a null MX beside others means nothing, RFC 7505 section 3 */
		ask_addresses(s);
	else if (null > 0)
		say_nowhere(s, "5.1.10", "takes no mail: its MX record says so");
	else
		say_none(s);
}

static void
take_itself(struct search *s, bool secure)
{
	s->hosts[s->nhosts++] = (struct candidate_host){ .name = s->nexthop.name };
	s->target.domain_secure = secure;
	ask_addresses(s);
}

static void
on_mx(void *arg, const struct dns_answer *a)
{
	struct search *s = arg;

	s->mx = 0;
	switch (a->result) {
	case DNS_FOUND:
		take_exchangers(s, a);
		break;
	case DNS_NO_DATA:	/* only now its own address counts, RFC 5321 section 5.1 */
		take_itself(s, a->secure);
		break;
	case DNS_NO_NAME:
		say_nowhere(s, "5.1.2", s->routed ? "is not in the DNS" : "is no domain");
		break;
	case DNS_FAILED:
	case DNS_BOGUS:
		say_lame(s, s->nexthop.name, a->why);
	}
}

/* ---- those that need no DNS ---- */

static void
take_address(struct search *s)
{
	struct target *t = &s->target;

	t->domain_secure = true;
	if (self_is_here(s->client->self, &s->nexthop.address, s->port, true)) {
		say_loop(s, "");
		return;
	}
	if (!may_connect(s, &s->nexthop.address)) {
		say_outside(s);
		return;
	}
	t->places = arena_alloc(t->arena, sizeof *t->places);
	*t->places = (struct candidate){ .address = s->nexthop.address, .port = s->port };
	t->nplaces = 1;
	t->all = true;
	settle(s);
}

static void
take_socket(struct search *s)
{
	const struct setting_list *sockets = &s->client->settings->lmtp_sockets;
	struct target *t = &s->target;

	t->domain_secure = t->all = true;
	t->places = arena_alloc(t->arena, sizeof *t->places);
	for (size_t i = 0; i < sockets->n && t->nplaces == 0; i++)
		if (bytes_eq(s->nexthop.name, text(sockets->item[i])))
			t->places[t->nplaces++] = (struct candidate){ .socket = sockets->item[i] };
	if (t->nplaces > 0)
		settle(s);
	else
		SAY(s, TRY_LATER, CONTACT_FAILED, "4.3.5", "%.*s is not one of lmtp_sockets: add it there",
		    BYTES_FMT(s->nexthop.name));
}

struct target *
target_new(struct client *c, const struct nexthop *n, bool lmtp, bool routed, void (*done)(void *), void *arg)
{
	struct search *s = mem_alloc(sizeof *s);

	s->client = c;
	s->done = done;
	s->arg = arg;
	s->target.arena = arena_new(ARENA_MAX);
	s->target.hidden = s;
	s->target.missing = UINT_MAX;
	s->nexthop = *n;
	s->routed = routed || lmtp || n->kind != NEXTHOP_DOMAIN;
	s->nexthop.name = arena_copy(s->target.arena, n->name);
	s->port = n->port ? n->port : (uint16_t)(lmtp ? c->settings->lmtp_port : c->settings->port);
	timer_init(&s->soon, &c->daemon->loop, on_soon, s);
	timer_init(&s->grace, &c->daemon->loop, on_grace, s);
	if (n->kind == NEXTHOP_ADDRESS)
		s->nexthop.name = text(address_text(&n->address, arena_alloc(s->target.arena, NETWORK_TEXT_MAX)));
	s->target.domain = s->nexthop.name;
	memcpy(s->target.from.from, n->from, sizeof n->from);
	s->target.from.nfrom = n->nfrom;
	if (n->kind == NEXTHOP_ADDRESS)
		take_address(s);
	else if (n->kind == NEXTHOP_UNIX)
		take_socket(s);
	else if (n->kind == NEXTHOP_HOST || lmtp)
		take_itself(s, true);
	else
		s->mx = dns_ask(c->dns, s->nexthop.name, DNS_MX, (unsigned)c->settings->dns_timeout_ms, on_mx, s);
	return &s->target;
}

void
target_free(struct target **taken)
{
	struct search *s = *taken ? search_of(*taken) : NULL;

	*taken = NULL;
	if (!s)
		return;
	dns_cancel(s->client->dns, s->mx);
	for (size_t i = 0; i < s->nlookups; i++)
		dns_cancel(s->client->dns, s->lookups[i].question);
	timer_clear(&s->soon);
	timer_clear(&s->grace);
	arena_free(&s->target.arena);
	mem_free(s);
}
