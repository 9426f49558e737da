/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_route.c - where a recipient's mail goes: from the router's answer, and for other hosts from what the
 * resolver says: RFC 5321 section 5.1, RFC 7505 (null MX). Their order is mail/candidates.h's, as in smtp-client.
 */
#include <stddef.h>
#include <stdio.h>

#include "base/mem.h"
#include "mail/candidates.h"
#include "mail/router.h"
#include "mail/tls_policy.h"
#include "tools/hermod_ask.h"
#include "tools/hermod_explain.h"

#define ROUTES_MAX_COUNT	1000	/* of one answer */
#define ARENA_OCTETS		(4u << 20)

struct way_settings {			/* of smtp-client */
	const char	*hostname;
	uint64_t	 smtp_port, lmtp_port, address_limit;
	bool		 allow_loopback;
	const char	*bind_ipv4, *bind_ipv6;
	unsigned	 tls;			/* enum tls_wish */
	struct setting_list tls_policies;
	const char	*credentials;
	bool		 auth_plaintext, auth_unproven;
};

static const struct setting way_settings[] = {
	SET_TEXT("hostname",		struct way_settings, hostname, "localhost.localdomain"),
	SET_NUMBER("smtp_port",		struct way_settings, smtp_port, "25", 1, 65535),
	SET_NUMBER("lmtp_port",		struct way_settings, lmtp_port, "24", 1, 65535),
	SET_NUMBER("smtp_address_limit", struct way_settings, address_limit, "6", 1, 100),
	SET_BOOL("smtp_allow_loopback",	struct way_settings, allow_loopback, "no"),
	SET_TEXT("smtp_bind_ipv4",	struct way_settings, bind_ipv4, ""),
	SET_TEXT("smtp_bind_ipv6",	struct way_settings, bind_ipv6, ""),
	SET_WORD("smtp_tls",		struct way_settings, tls, "auto", tls_wish_words),
	SET_LIST("tls_policies",	struct way_settings, tls_policies, "", setting_is_tls_policy),
	SET_TEXT("smtp_credentials",	struct way_settings, credentials, ""),
	SET_BOOL("smtp_auth_plaintext",	struct way_settings, auth_plaintext, "no"),
	SET_BOOL("smtp_auth_unproven",	struct way_settings, auth_unproven, "no"),
	SET_END
};

struct way_host { bool secure6, secure4; };	/* what DNSSEC says of its addresses, and the way to it */

struct way {
	struct report	*report;	/* borrowed */
	struct way_settings settings;	/* owned */
	struct dns_asker *dns;		/* owned; NULL: not asked yet */
	int		 router;	/* a connection */
	unsigned char	 frame[IPC_FRAME_MAX];	/* what its last answer borrows from */
	struct arena	*arena;		/* owned */
	struct bytes	 told[ROUTES_MAX_COUNT];	/* transport and next hop, in the arena */
	size_t		 ntold;
	struct nexthop	 nexthop;	/* that is told of; in the arena */
	struct candidate_host hosts[CANDIDATE_HOSTS];	/* of it; names in the arena */
	struct way_host	 seen[CANDIDATE_HOSTS];
	size_t		 nhosts;
};

/* ---- addresses ------------------------------------------------------------------------------------------- */

static void
ask(struct way *w, struct bytes name, enum dns_type type, struct arena *a, struct dns_answer *answer)
{
	if (!w->dns) {
		w->dns = mem_alloc(sizeof *w->dns);
		dns_asker_open(w->dns);
	}
	dns_asker_ask(w->dns, name, type, a, answer);
}

/* NULL: it would be connected to. */
static const char *
unfit(const struct way *w, const struct address *a)
{
	enum address_kind kind = address_kind(a);

	if (w->nexthop.nfrom > 0 && !nexthop_from(&w->nexthop, address_is_ipv4(a)))
		return "not connected to: the route names no address of this family to come from";
	if (w->nexthop.kind != NEXTHOP_DOMAIN || kind == ADDRESS_FINE || (kind == ADDRESS_LOOPBACK && w->settings.allow_loopback))
		return NULL;
	return "not connected to: no other host can be reached by it";
}

/* h NULL: no name is known. why NULL: it would be tried. */
static void
tell_address(struct way *w, const struct way_host *h, const struct candidate *c, const char *why)
{
	bool secure = h && (address_is_ipv4(&c->address) ? h->secure4 : h->secure6);
	char place[CANDIDATE_TEXT_MAX], address[NETWORK_TEXT_MAX];
	struct report *r = w->report;

	if (h) {
		json_text(&r->more, "host", c->host);
		json_number(&r->more, "preference", c->preference);
		json_bool(&r->more, "secure", secure);
	}
	json_text(&r->more, "address", text(address_text(&c->address, address)));
	json_number(&r->more, "port", c->port);
	buf_text(&r->words, candidate_text(c, place));
	if (h)
		buf_text(&r->words, secure ? ", secure" : ", insecure");
	if (why)
		buf_fmt(&r->words, ", %s", why);
	report_line(r, why ? "unfit" : "try", 0);
}

/* Takes out those that would not be connected to, and says so. */
static void
sift(struct way *w, const struct candidate_host *h, const struct way_host *wh, uint16_t port, struct address *a, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		const char *why = unfit(w, &a[i]);

		if (why)
			tell_address(w, wh, &(struct candidate){ .host = h->name, .preference = h->preference, .address = a[i],
			    .port = port }, why);
		else
			a[kept++] = a[i];
	}
	*n = kept;
}

/* Returns what DNSSEC says of them. */
static bool
find_family(struct way *w, struct bytes host, enum dns_type type, struct address *to, size_t *n)
{
	struct arena *arena = arena_new(DNS_ANSWER_ARENA);
	struct dns_answer a;
	bool secure;

	ask(w, host, type, arena, &a);
	if (a.result != DNS_FOUND)
		report_fmt(w->report, "dns", "%.*s has no %s: %s%s%.*s", BYTES_FMT(host), dns_type_name(type),
		    dns_result_name(a.result), a.why.n > 0 ? ": " : "", BYTES_FMT(a.why));
	for (*n = 0; *n < a.n && *n < CANDIDATE_ADDRESSES; ++*n)
		memcpy(to[*n].octet, a.records[*n].address, sizeof to->octet);
	secure = a.secure;
	arena_free(&arena);
	return secure;
}

static const struct way_host *
host_of(const struct way *w, const struct candidate *c)
{
	for (size_t i = 0; i < w->nhosts; i++)
		if (bytes_eq(w->hosts[i].name, c->host))
			return &w->seen[i];
	return NULL;
}

/* The addresses of w->hosts, whose order is theirs; secure: of the way to them. */
static void
tell_hosts(struct way *w, uint16_t port, bool secure)
{
	struct candidate *c = mem_array(w->settings.address_limit, sizeof *c);
	size_t all = 0, n;

	for (size_t i = 0; i < w->nhosts; i++) {
		struct candidate_host *h = &w->hosts[i];

		w->seen[i].secure6 = find_family(w, h->name, DNS_AAAA, h->v6, &h->nv6) && secure;
		w->seen[i].secure4 = find_family(w, h->name, DNS_A, h->v4, &h->nv4) && secure;
		sift(w, h, &w->seen[i], port, h->v6, &h->nv6);
		sift(w, h, &w->seen[i], port, h->v4, &h->nv4);
		all += h->nv6 + h->nv4;
	}
	n = candidates_of(w->hosts, w->nhosts, port, c, w->settings.address_limit);
	for (size_t i = 0; i < n; i++)
		tell_address(w, host_of(w, &c[i]), &c[i], NULL);
	if (n == w->settings.address_limit && all > n)
		report_fmt(w->report, "limit", "smtp_address_limit: %llu of %zu addresses are tried, some of each host while there is "
		    "room", (unsigned long long)w->settings.address_limit, all);
	mem_free(c);
}

/* ---- exchangers --------------------------------------------------------------------------------------------- */

/* RFC 5321 section 5.1: what is not better than this host would send it back here. */
static void
cut_at_self(struct way *w)
{
	for (size_t i = 0; i < w->nhosts; i++)
		if (bytes_case_eq(w->hosts[i].name, text(w->settings.hostname))) {
			report_fmt(w->report, "dns", "%.*s is this host: it and what has no better preference is not tried",
			    BYTES_FMT(w->hosts[i].name));
			w->nhosts = candidates_better(w->hosts, w->nhosts, w->hosts[i].preference);
			return;
		}
}

static void
tell_exchanger(struct way *w, const struct candidate_host *h, bool secure)
{
	struct report *r = w->report;

	buf_fmt(&r->words, "MX %u ", h->preference);
	buf_add(&r->words, h->name);
	buf_text(&r->words, secure ? ", secure" : ", insecure");
	json_text(&r->more, "host", h->name);
	json_number(&r->more, "preference", h->preference);
	json_bool(&r->more, "secure", secure);
	report_line(r, "dns", 0);
}

static void
tell_found(struct way *w, struct bytes domain, const struct dns_answer *mx, uint16_t port)
{
	size_t left_out = 0;
	bool equal = false;

	w->nhosts = 0;
	for (size_t i = 0; i < mx->n; i++)
		if (mx->records[i].mx.name.n > 0)	/* a null MX beside others means nothing, RFC 7505 section 3 */
			left_out += !candidates_keep(w->hosts, &w->nhosts, arena_copy(w->arena, mx->records[i].mx.name),
			    mx->records[i].mx.preference);
	candidates_order(w->hosts, w->nhosts);
	if (w->nhosts == 0)
		report_fmt(w->report, "dns", "%.*s takes no mail: its MX record says so (RFC 7505)", BYTES_FMT(domain));
	for (size_t i = 0; i < w->nhosts; i++) {
		tell_exchanger(w, &w->hosts[i], mx->secure);
		equal = equal || (i > 0 && w->hosts[i].preference == w->hosts[i - 1].preference);
	}
	if (left_out > 0)
		report_fmt(w->report, "limit", "%zu further mail exchangers are not looked at", left_out);
	if (equal)
		report_fmt(w->report, "dns", "hosts of one preference are tried in random order");
	cut_at_self(w);
	tell_hosts(w, port, mx->secure);
}

static void
tell_host(struct way *w, struct bytes name, uint16_t port, bool secure)
{
	w->nhosts = 0;
	(void)candidates_keep(w->hosts, &w->nhosts, name, 0);
	tell_hosts(w, port, secure);
}

static void
tell_domain(struct way *w, struct bytes domain, uint16_t port)
{
	struct arena *a = arena_new(DNS_ANSWER_ARENA);
	struct report *r = w->report;
	struct dns_answer mx;

	ask(w, domain, DNS_MX, a, &mx);
	switch (mx.result) {
	case DNS_FOUND:
		tell_found(w, domain, &mx, port);
		break;
	case DNS_NO_DATA:
		report_fmt(r, "dns", "%.*s has no MX, %s: it is its own mail exchanger", BYTES_FMT(domain), dns_security(&mx));
		tell_host(w, domain, port, mx.secure);
		break;
	case DNS_NO_NAME:
		report_fmt(r, "dns", "%.*s is no domain, %s: its mail goes back", BYTES_FMT(domain), dns_security(&mx));
		break;
	case DNS_FAILED:
	case DNS_BOGUS:
		report_fmt(r, "dns", "%.*s: %s: %.*s: its mail waits", BYTES_FMT(domain), dns_result_name(mx.result),
		    BYTES_FMT(mx.why));
	}
	arena_free(&a);
}

/* ---- next hops ------------------------------------------------------------------------------------------------ */

static void
tell_nexthop(struct way *w, const struct nexthop *n, bool lmtp)
{
	uint16_t port = n->port ? n->port : (uint16_t)(lmtp ? w->settings.lmtp_port : w->settings.smtp_port);

	if (n->kind == NEXTHOP_UNIX)
		report_fmt(w->report, "try", "%.*s", BYTES_FMT(n->name));
	else if (n->kind == NEXTHOP_ADDRESS)
		tell_address(w, NULL, &(struct candidate){ .address = n->address, .port = port }, NULL);
	else if (n->kind == NEXTHOP_HOST || lmtp)
		tell_host(w, n->name, port, true);
	else
		tell_domain(w, n->name, port);
}

/* Where connections come from, if that is said anywhere. */
static void
tell_from(struct way *w)
{
	const char *set[] = { w->settings.bind_ipv6, w->settings.bind_ipv4 };
	struct report *r = w->report;
	char words[NETWORK_TEXT_MAX];

	for (unsigned ipv4 = 0; ipv4 < 2; ipv4++) {
		const struct address *from = nexthop_from(&w->nexthop, ipv4);

		if (!from && (w->nexthop.nfrom > 0 || set[ipv4][0] == '\0'))
			continue;
		if (from)
			address_text(from, words);
		else
			snprintf(words, sizeof words, "%s", set[ipv4]);
		json_text(&r->more, "address", text(words));
		report_fmt(r, "from", "%s, as %s says", words, from ? "the route" : ipv4 ? "smtp_bind_ipv4" : "smtp_bind_ipv6");
	}
}

static bool
is_told(struct way *w, const struct ipc_route *route)
{
	struct bytes key = arena_fmt(w->arena, "%.*s %.*s", BYTES_FMT(route->transport), BYTES_FMT(route->nexthop));

	for (size_t i = 0; i < w->ntold; i++)
		if (bytes_eq(w->told[i], key))
			return true;
	if (w->ntold < ROUTES_MAX_COUNT)
		w->told[w->ntold++] = key;
	return false;
}

/* ---- logins and TLS ------------------------------------------------------------------------------------------- */

static void
ask_login(struct way *w, struct bytes nexthop, struct ipc_login_answer *answer)
{
	struct ipc_out out;
	struct ipc_in in;

	ipc_out_init(&out);
	ipc_put_login_ask(&out, 1, &(struct ipc_login_ask){ .nexthop = nexthop });
	if (!ask_send(w->router, &out) || ipc_recv_wait(w->router, w->frame, &in, ASK_SEND_MS) != IPC_DONE)
		hermod_die(EXIT_UNREACHED, "the router went away; `hermod status` says why");
	if (in.type != IPC_login_answer || !ipc_get_login_answer(&in, answer))
		hermod_die(EXIT_FAILED, "the router's answer makes no sense");
}

/* Does anybody log in there? */
static bool
tell_login(struct way *w, struct bytes nexthop)
{
	struct report *r = w->report;
	struct ipc_login_answer a;

	if (w->settings.credentials[0] == '\0')
		return false;
	ask_login(w, nexthop, &a);
	if (a.verdict == NO)
		return false;
	json_text(&r->more, "key", a.key);
	if (a.verdict == YES) {
		json_text(&r->more, "user", a.user);
		buf_fmt(&r->words, "smtp_credentials has %.*s: as %.*s, by a %s%s%.*s", BYTES_FMT(a.key), BYTES_FMT(a.user),
		    a.oauth ? "token" : "password", a.mechanisms.n > 0 ? " and " : "", BYTES_FMT(a.mechanisms));
	} else {
		buf_fmt(&r->words, "smtp_credentials: %.*s: %.*s: its mail waits", BYTES_FMT(a.key), BYTES_FMT(a.reply));
	}
	report_line(r, "login", 0);
	return true;
}

/* What a server that proves nothing is not told, and what would change that. */
static void
tell_unproven(struct way *w, const struct tls_rule *rule)
{
	if (rule->raised)
		report_fmt(w->report, "tls", "there is a login, so the server has to prove who it is, as if tls_policies had it as "
		    "secure; otherwise it would be enough to list it there with another word, or to set smtp_auth_unproven = yes");
	if (!rule->raised && !tls_wish_proves(rule->wish) && !w->settings.auth_unproven && !w->settings.auth_plaintext)
		report_fmt(w->report, "tls", "a server that does not prove who it is hears no password or token (PLAIN, LOGIN, "
		    "OAUTHBEARER, XOAUTH2), unless smtp_auth_unproven = yes");
}

/* Whether DANE or a policy is there only an attempt shows. */
static void
tell_tls(struct way *w, const struct nexthop *n, bool login)
{
	char address[NETWORK_TEXT_MAX];
	struct bytes name = n->kind == NEXTHOP_ADDRESS ? text(address_text(&n->address, address)) : n->name;
	struct tls_rule rule;

	tls_rule_find(&w->settings.tls_policies, (enum tls_wish)w->settings.tls, name, &rule);
	report_fmt(w->report, "tls", "%s %s", rule.listed ? "tls_policies has it as" : "smtp_tls is", tls_wish_words[rule.wish]);
	if (!login || (n->kind == NEXTHOP_ADDRESS && address_is_loopback(&n->address)))
		return;
	tls_rule_login(&rule, w->settings.auth_unproven || w->settings.auth_plaintext);
	tell_unproven(w, &rule);
}

static void
tell_way(struct way *w, const struct ipc_route *route)
{
	bool lmtp = bytes_eq(route->transport, text("lmtp")), login;
	struct nexthop *n = &w->nexthop;

	if (is_told(w, route))
		return;
	if (!nexthop_parse(route->nexthop, w->arena, n)) {
		report_fmt(w->report, "fault", "%.*s is no next hop", BYTES_FMT(route->nexthop));
		return;
	}
	login = tell_login(w, route->nexthop);
	if (n->kind != NEXTHOP_UNIX) {
		tell_tls(w, n, login);
		tell_from(w);
	}
	tell_nexthop(w, n, lmtp);
}

static void
tell_route(struct way *w, const struct ipc_route *route)
{
	bool local = bytes_eq(route->transport, text("local"));
	struct report *r = w->report;

	buf_add(&r->words, route->final);
	buf_text(&r->words, " by ");
	buf_add(&r->words, route->transport);
	buf_text(&r->words, " to ");
	buf_add(&r->words, route->nexthop);
	if (local) {
		buf_text(&r->words, ", ");
		buf_add(&r->words, route->mailbox);
		buf_fmt(&r->words, ", of uid %u and gid %u", route->uid, route->gid);
		json_text(&r->more, "mailbox", route->mailbox);
		json_number(&r->more, "uid", route->uid);
		json_number(&r->more, "gid", route->gid);
	}
	json_text(&r->more, "recipient", route->final);
	json_text(&r->more, "transport", route->transport);
	json_text(&r->more, "nexthop", route->nexthop);
	report_line(r, "goes", 0);
	if (!local)
		tell_way(w, route);
}

void
report_routes(struct report *r, int router, struct bytes routes)
{
	struct way *w = mem_alloc(sizeof *w);
	bool bad = false;

	w->report = r;
	w->router = router;
	w->arena = arena_new(ARENA_OCTETS);
	hermod_fill(way_settings, &w->settings);
	while (routes.n > 0) {
		struct ipc_route route;
		struct ipc_in in;

		ipc_in_bytes(&in, ipc_cut_text(&routes, &bad));
		if (bad || !ipc_get_route(&in, &route))
			hermod_die(EXIT_FAILED, "the router's answer makes no sense");
		tell_route(w, &route);
	}
	if (w->dns)
		dns_asker_close(w->dns);
	mem_free(w->dns);
	settings_free(way_settings, &w->settings);
	arena_free(&w->arena);
	mem_free(w);
}
