/* SPDX-License-Identifier: ISC */
/*
 * fetch/policies.c - MTA-STS policies, RFC 8461: who waits for which, when they are fetched, what is kept in memory.
 *
 * Somebody asks for a domain's policy: its TXT record is looked up, which costs next to nothing while the resolver has
 * it. Does it name the policy that is kept, that is the answer; another, it is fetched and whoever asked waits, at most
 * mta_sts_timeout. Whatever cannot be had - the record, the host, the document - changes nothing of a policy that is kept
 * and has not expired (section 3.3, section 5.1): that is what protects against whoever forges the DNS. Once in
 * mta_sts_refresh a policy is fetched again, asked for or not, whatever the record says (section 10.2).
 *
 * There is a limit on policies, on their size together, on fetches at one time, on who waits. What was asked for least
 * recently goes first; failures are remembered in a list of their own, so that they push no policy out.
 */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fetch/fetch.h"

#define FETCHES_MAX	32		/* at one time; others wait for their turn */
#define ASKERS_MAX	20000u
#define MX_TOTAL_MAX	(16u << 20)	/* octets of all patterns that are kept */
#define REFRESHES_MAX	500		/* begun in one round */
#define ROUND_MS	(15u * 60000u)	/* between two looks at what is due, at most */
#define UNUSED_S	(30 * 86400)	/* a policy that nobody has asked for so long is not fetched again */
#define WARN_MS		86400000ull	/* between two warnings of one domain */
#define SKEW_S		300		/* a file may be from a clock that is so much ahead */
#define WHY_MAX		400
#define PATH		"/.well-known/mta-sts.txt"

struct domain;

struct asker {
	struct asker	*next;
	struct channel	*from;		/* borrowed */
	uint32_t	 id;		/* of the question */
};

struct list { struct domain *first, *last; size_t n; };	/* the first was asked for last */

struct domain {				/* and its policy */
	char		 name[254];	/* first: the tree compares it */
	struct policies	*policies;
	struct list	*list;		/* it is in */
	struct domain	*next, *prev;

	/* The policy that is kept. */
	bool		 has;
	enum mta_sts_mode mode;
	struct buf	 mx;		/* owned; each as a TEXT */
	char		 id[MTA_STS_ID_MAX + 1];
	int64_t		 fetched_s, used_s;
	uint32_t	 max_age_s;
	uint64_t	 refresh_ms;	/* monotonic: due again */
	uint64_t	 warned_ms;

	/* The last fetch, if that failed. */
	bool		 failed;
	uint64_t	 failed_ms;
	char		 failed_id[MTA_STS_ID_MAX + 1];
	char		 why[WHY_MAX];	/* why there is none, or no newer one */
	enum tls_result	 failed_result;	/* the same for TLS reporting */

	/* What is under way. */
	bool		 busy, waiting /* for its turn */, fetching, refreshing;
	struct asker	*askers;
	struct timer	 deadline;
	uint64_t	 txt, addresses[2];	/* questions */
	struct address	 found[HTTPS_ADDRESSES];
	size_t		 nfound;
	bool		 lame;		/* an address could not be looked up */
	char		 new_id[MTA_STS_ID_MAX + 1];
	struct https_get *get;
};

struct policies {
	struct daemon	*daemon;	/* borrowed */
	const struct fetch_settings *settings;	/* borrowed */
	struct https	*https;		/* borrowed */
	struct dns	*dns;		/* owned */
	struct reports	*reports;	/* borrowed */
	int		 dir;		/* borrowed */
	void		*tree;		/* of domains, by name */
	struct list	 kept, others;	/* with a policy; without */
	size_t		 octets;	/* of patterns */
	unsigned	 fetching;
	uint32_t	 askers;
	struct timer	 round;
	struct ipc_out	 out;
};

static void	end_fetch(struct domain *d);
static void	next_fetch(struct policies *p);

/* ---- domains ---- */

static struct bytes
name_of(const struct domain *d)
{
	return text(d->name);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
list_out(struct domain *d)
{
	struct list *l = d->list;

	*(d->prev ? &d->prev->next : &l->first) = d->next;
	*(d->next ? &d->next->prev : &l->last) = d->prev;
	l->n--;
	d->list = NULL;
	d->next = d->prev = NULL;
}

static void
list_in(struct list *l, struct domain *d)
{
	d->list = l;
	d->next = l->first;
	*(l->first ? &l->first->prev : &l->last) = d;
	l->first = d;
	l->n++;
}

/* To the front of the list where it belongs. */
static void
place(struct domain *d)
{
	if (d->list)
		list_out(d);
	list_in(d->has ? &d->policies->kept : &d->policies->others, d);
}

static void
drop_policy(struct domain *d)
{
	d->policies->octets -= d->mx.n;
	buf_release(&d->mx);
	d->has = false;
}

static void
domain_free(struct domain *d)
{
	struct policies *p = d->policies;

	if (d->has)
		drop_policy(d);
	list_out(d);
	tdelete(d, &p->tree, compare);
	timer_clear(&d->deadline);
	dns_cancel(p->dns, d->txt);
	dns_cancel(p->dns, d->addresses[0]);
	dns_cancel(p->dns, d->addresses[1]);
	https_cancel(&d->get);
	buf_fini(&d->mx);
	mem_free(d);
}

static bool
evict_one(struct list *l)
{
	struct domain *d = l->last;

	while (d && d->busy)
		d = d->prev;
	if (!d)
		return false;
	if (d->has)
		cache_remove(d->policies->dir, name_of(d));
	domain_free(d);
	return true;
}

/* What is under way stays, and is bounded by who may wait. */
static void
evict(struct policies *p)
{
	while (p->kept.n > p->settings->limit || (p->octets > MX_TOTAL_MAX && p->kept.n > 1))
		if (!evict_one(&p->kept))
			break;
	while (p->others.n > p->settings->limit)
		if (!evict_one(&p->others))
			break;
}

static void	on_deadline(void *arg);

static struct domain *
domain_of(struct policies *p, struct bytes name)
{
	char words[254];
	struct domain **found, *d;

	must(bytes_to_text(name, words, sizeof words));
	found = tfind(words, &p->tree, compare);
	if (found)
		return *found;
	d = mem_alloc(sizeof *d);
	memcpy(d->name, words, sizeof words);
	d->policies = p;
	buf_init(&d->mx, MTA_STS_MX_OCTETS + 4 * MTA_STS_MX_MAX);
	timer_init(&d->deadline, &p->daemon->loop, on_deadline, d);
	if (!tsearch(d, &p->tree, compare))
		log_fatal("out of memory: a policy");
	place(d);
	return d;
}

/* Nothing is lost when it is forgotten. */
static void
let_go(struct domain *d)
{
	if (!d->busy && !d->has && !d->failed)
		domain_free(d);
}

/* The policy that is kept, if it still holds. */
static bool
in_force(struct domain *d)
{
	if (d->has && clock_wall_s() - d->fetched_s > (int64_t)d->max_age_s) {
		log_info("the MTA-STS policy of %s has expired", d->name);
		cache_remove(d->policies->dir, name_of(d));
		drop_policy(d);
		place(d);
	}
	return d->has;
}

/* ---- answers ---- */

/* RFC 8460 section 4.3.2.2: mail goes there, or waits, without a policy that the domain has. */
static void
report(struct domain *d)
{
	reports_add(d->policies->reports, &(struct tls_report_session){ .policy = { .type = TLS_REPORT_STS, .domain = name_of(d) },
	    .result = d->failed_result, .reason = bytes_head(text(d->why), TLS_REPORT_REASON) });
}

static void
answer(struct domain *d, enum sts_result none)
{
	struct policies *p = d->policies;
	struct ipc_sts_answer m = { .result = none, .why = text(d->why) };

	if (!d->askers)
		return;
	if (in_force(d)) {
		m.result = STS_POLICY;
		m.mode = d->mode;
		m.max_age = d->max_age_s;
		m.id = text(d->id);
		m.mx = buf_bytes(&d->mx);
	}
	while (d->askers) {
		struct asker *a = d->askers;

		d->askers = a->next;
		p->askers--;
		if (m.result == STS_UNKNOWN && d->failed)
			report(d);
		ipc_put_sts_answer(&p->out, a->id, &m);
		channel_reply(a->from, a->id, &p->out);
		mem_free(a);
	}
	timer_clear(&d->deadline);
	daemon_settled(p->daemon);
}

/* What was under way is over. */
static void
settle(struct domain *d, enum sts_result none)
{
	d->busy = d->refreshing = false;
	answer(d, none);
	let_go(d);
}

static void
on_deadline(void *arg)
{
	struct domain *d = arg;

	if (!d->failed)
		snprintf(d->why, sizeof d->why, "no answer within mta_sts_timeout");
	answer(d, STS_UNKNOWN);
	if (d->waiting && !d->refreshing) {	/* its turn never came */
		d->waiting = d->busy = false;
		let_go(d);
	}
}

/* ---- what came of a fetch ---- */

static void
warn(struct domain *d, const char *why)
{
	uint64_t now = clock_mono_ms();

	if (!d->has || d->mode == MTA_STS_NONE) {
		log_info("the MTA-STS policy of %s cannot be had: %s", d->name, why);
	} else if (d->warned_ms == 0 || now - d->warned_ms >= WARN_MS) {
		log_warn("the MTA-STS policy of %s cannot be fetched again, and expires in %lld s: %s", d->name,
		    (long long)(d->fetched_s + d->max_age_s - clock_wall_s()), why);
		d->warned_ms = now;
	}
}

static void
fail(struct domain *d, enum tls_result result, const char *why)
{
	struct policies *p = d->policies;

	end_fetch(d);
	(void)in_force(d);
	warn(d, why);
	d->failed = true;
	d->failed_result = result;
	d->failed_ms = clock_mono_ms();
	d->refresh_ms = d->failed_ms + 12 * p->settings->retry_ms;
	memcpy(d->failed_id, d->new_id, sizeof d->new_id);
	snprintf(d->why, sizeof d->why, "%s", why);
	settle(d, STS_UNKNOWN);
	evict(p);
	next_fetch(p);
}

/* True: it is kept from now on. */
static bool
adopt(struct domain *d, const char *id, struct bytes body, int64_t fetched_s, const char **why)
{
	struct arena *a = arena_new(MTA_STS_ARENA);
	struct mta_sts_policy policy;

	*why = mta_sts_policy_parse(body, a, &policy);
	if (!*why) {
		if (d->has)
			drop_policy(d);
		d->has = true;
		d->mode = policy.mode;
		d->max_age_s = policy.max_age_s;
		d->fetched_s = fetched_s;
		snprintf(d->id, sizeof d->id, "%s", id);
		for (size_t i = 0; i < policy.nmx; i++)
			ipc_add_text(&d->mx, policy.mx[i]);
		d->policies->octets += d->mx.n;
		place(d);
	}
	arena_free(&a);
	return !*why;
}

static void
on_body(void *arg, struct bytes body, const char *why, bool untrusted)
{
	enum tls_result result = untrusted ? TLS_STS_WEBPKI_INVALID : why ? TLS_STS_POLICY_FETCH_ERROR : TLS_STS_POLICY_INVALID;
	struct domain *d = arg;
	struct policies *p = d->policies;
	char words[WHY_MAX];
	char id[MTA_STS_ID_MAX + 1];

	d->get = NULL;
	snprintf(id, sizeof id, "%s", d->new_id[0] ? d->new_id : d->id);
	if (why || !adopt(d, id, body, clock_wall_s(), &why)) {
		snprintf(words, sizeof words, "https://mta-sts.%s" PATH ": %s", d->name, why);
		fail(d, result, words);
		return;
	}
	end_fetch(d);
	d->failed = false;
	d->why[0] = '\0';
	d->warned_ms = 0;
	d->refresh_ms = clock_mono_ms() + p->settings->refresh_ms;
	log_info("the MTA-STS policy of %s was fetched: mode=%s max_age=%u id=%s", d->name, mta_sts_mode_name(d->mode),
	    d->max_age_s, d->id);
	cache_put(p->dir, &(struct kept){ .domain = name_of(d), .id = text(d->id), .fetched_s = d->fetched_s,
	    .used_s = d->used_s, .body = body });
	settle(d, STS_UNKNOWN);
	evict(p);
	next_fetch(p);
}

/* ---- a fetch ---- */

static struct bytes
host_name(const struct domain *d, const char *label, char dst[300])
{
	snprintf(dst, 300, "%s.%s", label, d->name);
	return text(dst);
}

static void
get_document(struct domain *d)
{
	struct policies *p = d->policies;
	char host[300];
	struct https_request r = { .host = host_name(d, "mta-sts", host), .port = (uint16_t)p->settings->port, .path = PATH,
	    .media_type = "text/plain", .addresses = d->found, .naddresses = d->nfound, .octets_max = MTA_STS_POLICY_MAX,
	    .timeout_ms = p->settings->timeout_ms };

	char words[WHY_MAX];

	if (d->nfound > 0) {
		d->get = https_get(p->https, &r, on_body, d);
		return;
	}
	snprintf(words, sizeof words, "%s %s", host,
	    d->lame ? "cannot be looked up" : "has no address that may be connected to");
	fail(d, TLS_STS_POLICY_FETCH_ERROR, words);
}

/* smtp_networks, as smtp-client has it. */
static bool
may_go(const struct setting_list *l, const struct address *a)
{
	struct network n;
	char why[128];

	for (size_t i = 0; i < l->n; i++)
		if (network_parse(text(l->item[i]), &n, why, sizeof why) && network_has(&n, a))
			return true;
	return l->n == 0;
}

static void
keep_address(struct domain *d, const unsigned char octet[16])
{
	struct address a;
	enum address_kind kind;

	memcpy(a.octet, octet, sizeof a.octet);
	kind = address_kind(&a);
	if (d->nfound < HTTPS_ADDRESSES && may_go(&d->policies->settings->networks, &a)
	    && (kind == ADDRESS_FINE || (kind == ADDRESS_LOOPBACK && d->policies->settings->allow_loopback)))
		d->found[d->nfound++] = a;
}

static void
keep_addresses(struct domain *d, const struct dns_answer *a)
{
	for (size_t i = 0; i < a->n; i++)
		keep_address(d, a->records[i].address);
	d->lame = d->lame || a->result == DNS_FAILED || a->result == DNS_BOGUS;
	if (d->addresses[0] == 0 && d->addresses[1] == 0)
		get_document(d);
}

static void
on_a(void *arg, const struct dns_answer *a)
{
	struct domain *d = arg;

	d->addresses[0] = 0;
	keep_addresses(d, a);
}

static void
on_aaaa(void *arg, const struct dns_answer *a)
{
	struct domain *d = arg;

	d->addresses[1] = 0;
	keep_addresses(d, a);
}

static void
begin_fetch(struct domain *d)
{
	struct policies *p = d->policies;
	unsigned timeout = (unsigned)p->settings->timeout_ms;
	char host[300];

	if (p->fetching >= FETCHES_MAX) {
		d->waiting = true;
		return;
	}
	d->waiting = false;
	d->fetching = true;
	p->fetching++;
	d->nfound = 0;
	d->lame = false;
	d->addresses[0] = dns_ask(p->dns, host_name(d, "mta-sts", host), DNS_A, timeout, on_a, d);
	d->addresses[1] = dns_ask(p->dns, host_name(d, "mta-sts", host), DNS_AAAA, timeout, on_aaaa, d);
}

static void
end_fetch(struct domain *d)
{
	must(d->fetching);
	d->fetching = false;
	d->policies->fetching--;
}

static struct domain *
first_waiting(const struct list *l)
{
	struct domain *d = l->last;

	while (d && !d->waiting)
		d = d->prev;
	return d;
}

/* Those who have nothing at all go before those whose policy is only to be refreshed. */
static void
next_fetch(struct policies *p)
{
	struct domain *d = first_waiting(&p->others);

	if (!d)
		d = first_waiting(&p->kept);
	if (d && p->fetching < FETCHES_MAX)
		begin_fetch(d);
}

/* ---- the TXT record: section 3.1 ---- */

static bool
choose(const struct dns_answer *a, char id[MTA_STS_ID_MAX + 1])
{
	struct bytes records[64], found;
	size_t n = a->n < LEN(records) ? a->n : LEN(records);

	for (size_t i = 0; i < n; i++)
		records[i] = a->records[i].text;
	return a->result == DNS_FOUND && a->n <= LEN(records) && mta_sts_txt_choose(records, n, &found)
	    && bytes_to_text(found, id, MTA_STS_ID_MAX + 1);
}

/* Its fetch has failed, a short time ago (section 3.3). */
static bool
is_too_soon(const struct domain *d)
{
	return d->failed && strcmp(d->failed_id, d->new_id) == 0
	    && clock_mono_ms() - d->failed_ms < d->policies->settings->retry_ms;
}

static void
no_record(struct domain *d, const struct dns_answer *a)
{
	bool lame = a->result == DNS_FAILED || a->result == DNS_BOGUS;

	if (lame)
		snprintf(d->why, sizeof d->why, "the TXT record cannot be looked up: %.*s", BYTES_FMT(bytes_head(a->why, 256)));
	else if (!d->failed)
		d->why[0] = '\0';
	if (d->refreshing && in_force(d)) {	/* whatever the record says */
		begin_fetch(d);
		return;
	}
	if (!lame)
		d->failed = false;
	settle(d, lame ? STS_UNKNOWN : STS_NO_POLICY);
}

static void
on_txt(void *arg, const struct dns_answer *a)
{
	struct domain *d = arg;
	bool known;

	d->txt = 0;
	d->new_id[0] = '\0';
	if (!choose(a, d->new_id)) {
		no_record(d, a);
		return;
	}
	known = in_force(d) && strcmp(d->id, d->new_id) == 0;
	if (known && !d->refreshing && clock_mono_ms() < d->refresh_ms) {
		d->failed = false;
		d->why[0] = '\0';
		settle(d, STS_UNKNOWN);
	} else if (is_too_soon(d) && !d->refreshing) {
		settle(d, STS_UNKNOWN);
	} else {
		if (known)
			answer(d, STS_UNKNOWN);	/* nobody waits for what is only made fresh */
		begin_fetch(d);
	}
}

static void
begin(struct domain *d)
{
	char name[300];

	d->busy = true;
	d->txt = dns_ask(d->policies->dns, host_name(d, "_mta-sts", name), DNS_TXT,
	    (unsigned)d->policies->settings->timeout_ms, on_txt, d);
}

/* ---- what is due without being asked for ---- */

static bool
is_due(struct domain *d, uint64_t now)
{
	return !d->busy && now >= d->refresh_ms && in_force(d) && clock_wall_s() - d->used_s < UNUSED_S;
}

static void
on_round(void *arg)
{
	struct policies *p = arg;
	uint64_t now = clock_mono_ms(), period = p->settings->refresh_ms / 4;
	struct domain *next;
	unsigned n = 0;

	for (struct domain *d = p->kept.first; d && n < REFRESHES_MAX; d = next) {
		next = d->next;
		if (!is_due(d, now))
			continue;
		d->refreshing = true;
		begin(d);
		n++;
	}
	timer_set(&p->round, period < ROUND_MS ? period : ROUND_MS);
}

/* ---- who asks ---- */

static void
ask(struct policies *p, struct channel *c, uint32_t id, struct bytes domain)
{
	struct domain *d = domain_of(p, domain);
	struct asker *a = mem_alloc(sizeof *a);

	*a = (struct asker){ .next = d->askers, .from = c, .id = id };
	if (!d->askers)
		timer_set(&d->deadline, p->settings->timeout_ms);
	d->askers = a;
	p->askers++;
	d->used_s = clock_wall_s();
	place(d);
	if (!d->busy)
		begin(d);
	evict(p);
}

static void
turn_away(struct policies *p, struct channel *c, uint32_t id, const char *why)
{
	ipc_put_sts_answer(&p->out, id, &(struct ipc_sts_answer){ .result = STS_UNKNOWN, .why = text(why) });
	channel_reply(c, id, &p->out);
}

static bool
is_domain(struct bytes s)
{
	return mta_sts_is_pattern(s) && s.p[0] != '*';
}

bool
policies_take(struct policies *p, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_sts_ask m;
	unsigned char lower[253];

	if (in->type != IPC_sts_ask || !ipc_get_sts_ask(in, &m) || m.domain.n > sizeof lower)
		return false;
	p->daemon->served++;
	for (size_t i = 0; i < m.domain.n; i++)
		lower[i] = ascii_lower(m.domain.p[i]);
	if (!is_domain(m.domain))
		turn_away(p, c, id, "this is no domain");
	else if (p->askers >= ASKERS_MAX)
		turn_away(p, c, id, "too many questions");
	else
		ask(p, c, id, bytes_of(lower, m.domain.n));
	return true;
}

static void
forget_askers(struct domain *d, struct channel *c)
{
	for (struct asker **at = &d->askers; *at;) {
		struct asker *a = *at;

		if (a->from != c) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		d->policies->askers--;
		mem_free(a);
	}
	if (!d->askers)
		timer_clear(&d->deadline);
}

void
policies_forget(struct policies *p, struct channel *c)
{
	for (struct domain *d = p->kept.first; d; d = d->next)
		forget_askers(d, c);
	for (struct domain *d = p->others.first; d; d = d->next)
		forget_askers(d, c);
}

void
policies_stop(struct policies *p)
{
	struct domain *next;

	for (struct domain *d = p->kept.first; d; d = next) {
		next = d->next;			/* a policy that has expired goes to the others */
		answer(d, STS_UNKNOWN);
	}
	for (struct domain *d = p->others.first; d; d = next) {
		next = d->next;
		answer(d, STS_UNKNOWN);
	}
}

uint32_t
policies_waiting(const struct policies *p)
{
	return p->askers;
}

/* ---- the process ---- */

static bool
take_kept(void *arg, const struct kept *k)
{
	struct policies *p = arg;
	int64_t now = clock_wall_s(), age_s = now - k->fetched_s;
	uint64_t old_ms;
	const char *why;
	char id[MTA_STS_ID_MAX + 1];
	struct domain *d;

	if (!is_domain(k->domain) || !bytes_to_text(k->id, id, sizeof id))
		return false;
	d = domain_of(p, k->domain);
	if (age_s < -SKEW_S)			/* from a clock that was wrong: it ages from here on */
		age_s = 0;
	d->used_s = k->used_s < now ? k->used_s : now;
	if (!adopt(d, id, k->body, now - (age_s > 0 ? age_s : 0), &why) || !in_force(d)) {
		domain_free(d);
		return false;
	}
	old_ms = (uint64_t)(now - d->fetched_s) * 1000;
	d->refresh_ms = clock_mono_ms() + (old_ms < p->settings->refresh_ms ? p->settings->refresh_ms - old_ms : 0);
	return true;
}

struct policies *
policies_new(struct daemon *daemon, const struct fetch_settings *s, struct https *h, struct reports *reports, int dir)
{
	struct policies *p = mem_alloc(sizeof *p);

	*p = (struct policies){ .daemon = daemon, .settings = s, .https = h, .reports = reports, .dir = dir };
	p->dns = dns_new(&daemon->loop, daemon_peers(daemon, "resolver"));
	ipc_out_init(&p->out);
	timer_init(&p->round, &daemon->loop, on_round, p);
	cache_read(dir, s->limit, take_kept, p);
	evict(p);
	timer_set(&p->round, 1000);
	return p;
}

void
policies_free(struct policies **taken)
{
	struct policies *p = *taken;

	*taken = NULL;
	if (!p)
		return;
	timer_clear(&p->round);
	while (p->kept.first)
		domain_free(p->kept.first);
	while (p->others.first)
		domain_free(p->others.first);
	dns_free(&p->dns);
	ipc_out_fini(&p->out);
	mem_free(p);
}
