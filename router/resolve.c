/* SPDX-License-Identifier: ISC */
/*
 * router/resolve.c - who is behind an address: domain, then aliases, then account.
 *
 * One truth, three answers. A table that does not answer is 451 and never 550. An
 * alias is followed to its end before the answer is given, so that nothing that is
 * said at RCPT has to be taken back later.
 */
#include "router/router.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "mail/alias.h"
#include "mail/nexthop.h"
#include "proto/idna.h"
#include "proto/smtp_address.h"
#include "router/foreign.h"

#define ARENA_OCTETS	(8u << 20)
#define VALUE_OCTETS	(256u << 10)	/* of one alias */
#define WARNING_OCTETS	2048		/* of one line */
#define WARNINGS_OCTETS	(256u << 10)
#define TAKE		(SMTP_TAKE_UTF8 | SMTP_TAKE_LONG_LOCAL)

/* What following one address came to. In this order the weightier wins over the others. PENDING: an account is wanted that
 * only the directory can know; the search goes on, to find out what else is. */
enum found { NOBODY, DISABLED, SOMEBODY, PENDING, UNSURE };

/* One question while it is answered. */
struct search {
	struct resolver	*r;
	struct arena	*arena;		/* the resolver's, emptied */
	struct answer	*a;
	struct bytes	*seen;		/* aliases that are open or done */
	size_t		 nseen;
	struct bytes	*final;		/* final addresses, each once */
	size_t		 items;		/* looked at so far */
	unsigned	 depth;
};

static void
say(struct answer *a, enum verdict v, unsigned code, const char *words)
{
	a->verdict = v;
	a->code = code;
	snprintf(a->reply, sizeof a->reply, "%s", words);
}

static enum found
unsure_table(struct search *q)
{
	say(q->a, NOT_SURE, 451, "4.3.0 this address cannot be looked up just now, try again later");
	return UNSURE;
}

/* A line for the journal, once the search is over: one that is made again would say it again. */
static void __attribute__((format(printf, 2, 3)))
warn(struct search *q, const char *fmt, ...)
{
	char line[WARNING_OCTETS];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	buf_fmt(&q->r->warnings, "%s\n", line);
}

/* Something in the configuration that an administrator must put right. */
static enum found
unsure_alias(struct search *q, struct bytes alias, const char *wrong)
{
	if (q->r->explain)			/* nothing is put off for an explanation */
		explain(q->r->explain, "fault", "alias %.*s: %s", BYTES_FMT(alias), wrong);
	else
		warn(q, "alias %s: %s; mail to it is put off (451)", log_text(alias), wrong);
	say(q->a, NOT_SURE, 451, "4.3.5 this address is set up wrongly here, try again later");
	return UNSURE;
}

/* ---- domains ------------------------------------------------------------------------ */

static struct bytes
first_domain(const struct router_settings *s)
{
	return text(s->local_domains.n > 0 ? s->local_domains.item[0] : s->hostname);
}

static bool
own_literal(const struct resolver *r, const struct smtp_address *addr)
{
	struct address ip = { { 0 } };
	char net[NETWORK_TEXT_MAX];

	if (addr->kind == SMTP_DOMAIN_IPV4) {		/* as its IPv4-mapped form, mail/network.h */
		memset(ip.octet + 10, 0xff, 2);
		memcpy(ip.octet + 12, addr->ip, 4);
	} else if (addr->kind == SMTP_DOMAIN_IPV6)
		memcpy(ip.octet, addr->ip, 16);
	else
		return false;
	for (size_t i = 0; i < r->nown; i++)
		if (network_has(&r->own[i], &ip)) {
			explain(r->explain, "domain", "%.*s is this host: local_addresses has %s", BYTES_FMT(addr->domain),
			    network_text(&r->own[i], net));
			return true;
		}
	return false;
}

static bool
own_name(const struct resolver *r, struct bytes domain)
{
	if (bytes_case_eq(domain, text(r->s->hostname))) {
		explain(r->explain, "domain", "%.*s is ours: it is hostname", BYTES_FMT(domain));
		return true;
	}
	for (size_t i = 0; i < r->s->local_domains.n; i++)
		if (bytes_case_eq(domain, text(r->s->local_domains.item[i]))) {
			explain(r->explain, "domain", "%.*s is ours: it is in local_domains", BYTES_FMT(domain));
			return true;
		}
	explain(r->explain, "domain", "%.*s is another host's: it is neither hostname nor in local_domains",
	    BYTES_FMT(domain));
	return false;
}

/* True: ours; *domain is its name, the first of ours for a literal and for none. */
static bool
own_domain(const struct resolver *r, const struct smtp_address *addr, struct arena *arena, struct bytes *domain)
{
	*domain = first_domain(r->s);
	if (addr->kind == SMTP_DOMAIN_NONE) {
		explain(r->explain, "domain", "none is given: that is %.*s", BYTES_FMT(*domain));
		return true;
	}
	if (addr->kind == SMTP_DOMAIN_NAME) {
		if (!idna_ascii(addr->domain, arena, domain))	/* as settings and tables have it */
			*domain = smtp_lower(addr->domain, arena);
		return own_name(r, *domain);
	}
	if (own_literal(r, addr))
		return true;
	explain(r->explain, "domain", "%.*s is another host's: it is not in local_addresses", BYTES_FMT(addr->domain));
	return false;
}

/* ---- what is found goes into the answer ------------------------------------------------- */

static struct bytes
join(struct search *q, struct bytes local, struct bytes domain)
{
	struct buf b;
	struct bytes out;

	buf_init(&b, 2048);
	smtp_address_join(local, domain, &b);
	out = arena_copy(q->arena, buf_bytes(&b));
	buf_fini(&b);
	return out;
}

static enum found
add_route(struct search *q, const struct ipc_route *route)
{
	for (size_t i = 0; i < q->a->n; i++)
		if (bytes_eq(q->final[i], route->final)) {
			explain(q->r->explain, "recipient", "%.*s is one already", BYTES_FMT(route->final));
			return SOMEBODY;
		}
	if (q->a->n == ROUTES_MAX_COUNT || route->nexthop.n > NEXTHOP_MAX)
		return unsure_alias(q, route->final, "there are more recipients than one answer holds");
	ipc_put_route(&q->r->body, 0, route);
	ipc_add_text(&q->a->routes, ipc_out_body(&q->r->body));
	if (q->a->routes.full)
		return unsure_alias(q, route->final, "there are more recipients than one answer holds");
	q->final[q->a->n++] = route->final;
	explain(q->r->explain, "recipient", "%.*s, by %.*s to %.*s", BYTES_FMT(route->final), BYTES_FMT(route->transport),
	    BYTES_FMT(route->nexthop));
	return SOMEBODY;
}

static enum found
add_account(struct search *q, struct bytes final, const struct account *account)
{
	if (account->state == ACCOUNT_DISABLED) {
		explain(q->r->explain, "account", "%.*s is disabled", BYTES_FMT(account->name));
		return DISABLED;
	}
	explain(q->r->explain, "account", "%.*s has the mailbox %.*s, of uid %u and gid %u%s", BYTES_FMT(account->name),
	    BYTES_FMT(account->mailbox), account->uid, account->gid, account->from_directory ? ", says the directory" : "");
	return add_route(q, &(struct ipc_route){
		.final = final, .transport = text("local"), .nexthop = account->name,
		.uid = account->uid, .gid = account->gid, .mailbox = account->mailbox });
}

static enum verdict
get_account(struct search *q, struct bytes name, struct account *out)
{
	const struct account_settings *s = &q->r->s->account;
	bool system = bytes_find(name, '@') == name.n;
	enum verdict v = accounts_get(q->r->accounts, name, q->arena, out);
	const char *nor = s->directory ? ", nor in the directory" : "";

	if (v == NO && !system && s->account_map[0] == '\0')
		explain(q->r->explain, "account", "account_map is empty%s", s->directory ? ", and the directory does not have it" : "");
	else if (v == NO)
		explain(q->r->explain, "account", "%.*s is not in %s%s%s", BYTES_FMT(name), system ? "passwd_file " : "account_map ",
		    system ? s->passwd_file : s->account_map, nor);
	else if (v == NOT_SURE)
		explain(q->r->explain, "account", "%.*s cannot be looked up just now: the log says why", BYTES_FMT(name));
	return v;
}

/* The account of that local part: by its address, then as a user of the system. */
static enum found
find_account(struct search *q, struct bytes local, struct bytes domain, struct bytes final)
{
	struct account account;
	enum verdict v = get_account(q, join(q, local, domain), &account);

	if (v == NO && q->r->s->account.system_accounts && bytes_find(local, '@') == local.n)
		v = get_account(q, local, &account);
	if (v == NOT_SURE) {
		unsure_table(q);
		return accounts_want(q->r->accounts) ? PENDING : UNSURE;
	}
	return v == YES ? add_account(q, final, &account) : NOBODY;
}

/* ---- other hosts -------------------------------------------------------------------------- */

/* The address as it goes out: a domain in A-labels, so that a host without SMTPUTF8 knows it, too. */
static struct bytes
foreign_final(struct search *q, const struct smtp_address *to)
{
	struct bytes domain = to->domain;

	if (to->kind == SMTP_DOMAIN_NAME)
		idna_ascii(to->domain, q->arena, &domain);
	return join(q, to->local, domain);
}

/* NOBODY: the answer has why. */
static enum found
add_foreign(struct search *q, const struct smtp_address *to)
{
	struct transport to_go;
	char reply[sizeof q->a->reply];

	switch (foreign_find(q->r, to, q->arena, &to_go, reply, sizeof reply)) {
	case YES:
		return add_route(q, &(struct ipc_route){ .final = foreign_final(q, to), .transport = to_go.name,
			.nexthop = to_go.nexthop });
	case NO:
		say(q->a, NO, 550, reply);
		return NOBODY;
	case NOT_SURE:
		break;
	}
	say(q->a, NOT_SURE, 451, reply);
	return UNSURE;
}

/* ---- aliases ----------------------------------------------------------------------------- */

static enum verdict
get_alias(struct search *q, struct bytes name, struct buf *value)
{
	struct bytes key = smtp_lower(name, q->arena);
	enum verdict v = table_get(q->r->aliases, key, value);

	explain_lookup(q->r->explain, "alias", "alias_map", q->r->s->alias_map, key, v, buf_bytes(value));
	return v;
}

static enum verdict
find_alias(struct search *q, struct bytes local, struct bytes domain, struct buf *value)
{
	enum verdict v;

	if (!q->r->aliases || local.n == 0)
		return NO;
	v = get_alias(q, join(q, local, domain), value);
	return v == NO ? get_alias(q, local, value) : v;
}

static enum found follow(struct search *q, struct bytes local, struct bytes domain, bool direct);

static enum found
follow_item(struct search *q, struct bytes alias, struct bytes owner, struct bytes domain,
    const struct alias_item *item)
{
	struct smtp_address to;
	struct bytes to_domain;

	if (item->kind == ALIAS_LATER)
		return unsure_alias(q, alias, "commands, files and :include: are not understood yet; "
		    "right would be addresses");
	if (item->kind == ALIAS_MALFORMED || smtp_mailbox_parse(item->text, TAKE | SMTP_TAKE_NO_DOMAIN,
	    q->arena, &to) != SMTP_ADDRESS_OK)
		return unsure_alias(q, alias, "holds what is no address; right would be: name: user, "
		    "user@domain");
	if (to.kind == SMTP_DOMAIN_NONE)
		to_domain = domain;
	else if (!own_domain(q->r, &to, q->arena, &to_domain))
		return add_foreign(q, &to);
	/* `anna: anna, bert` is anna's own mailbox and bert. */
	return follow(q, to.local, to_domain, item->direct
	    || (bytes_case_eq(to.local, owner) && bytes_case_eq(to_domain, domain)));
}

static enum found
follow_items(struct search *q, struct bytes alias, struct bytes owner, struct bytes domain, struct bytes value)
{
	enum found all = NOBODY;
	struct alias_item item;

	while (alias_next(&value, q->arena, &item)) {
		enum found one;

		if (q->items++ == ALIAS_ITEMS_MAX)
			return unsure_alias(q, alias, "leads to more addresses than one mail may have");
		explain(q->r->explain, "item", "%.*s", BYTES_FMT(item.text));
		explain_within(q->r->explain, 1);
		one = follow_item(q, alias, owner, domain, &item);
		explain_within(q->r->explain, -1);
		if (one == UNSURE)
			return UNSURE;
		if (one < SOMEBODY && q->r->explain)
			explain(q->r->explain, "fault", "alias %.*s: %.*s has no mailbox here%s", BYTES_FMT(alias),
			    BYTES_FMT(item.text), one == DISABLED ? " that takes mail" : "");
		else if (one < SOMEBODY)
			warn(q, "alias %s: %s has no mailbox here%s", log_text(alias), log_text(item.text),
			    one == DISABLED ? " that takes mail" : "");
		if (one > all)
			all = one;
	}
	return all;
}

static enum found
follow_alias(struct search *q, struct bytes owner, struct bytes domain, struct bytes value)
{
	struct bytes alias = smtp_lower(join(q, owner, domain), q->arena);
	enum found all;

	for (size_t i = 0; i < q->nseen; i++)
		if (bytes_eq(q->seen[i], alias)) {	/* it is being followed, or was */
			explain(q->r->explain, "alias", "%.*s has been followed already", BYTES_FMT(alias));
			return q->a->n > 0 ? SOMEBODY : NOBODY;
		}
	if (q->depth == ALIAS_DEPTH_MAX)
		return unsure_alias(q, alias, "is an alias of an alias of ..., too deep; is it a loop?");
	q->seen[q->nseen++] = alias;
	q->depth++;
	all = follow_items(q, alias, owner, domain, arena_copy(q->arena, value));
	q->depth--;
	return all;
}

/* ---- an address ------------------------------------------------------------------------------ */

/* The local part, then what is before its subaddress: alias first, then account. */
static enum found
follow(struct search *q, struct bytes local, struct bytes domain, bool direct)
{
	struct bytes final = join(q, local, domain), name = local, user, detail;
	struct buf value;
	enum found found = NOBODY;
	enum verdict v = NO;

	if (direct)
		explain(q->r->explain, "alias", "%.*s stands for the mailbox itself: no alias is looked for", BYTES_FMT(final));
	buf_init(&value, VALUE_OCTETS);
	for (;;) {
		if (!direct)
			v = find_alias(q, name, domain, &value);
		if (v == NOT_SURE)
			found = unsure_table(q);
		else if (v == YES)
			found = follow_alias(q, name, domain, buf_bytes(&value));
		else
			found = find_account(q, name, domain, final);
		if (v != NO || found != NOBODY
		    || !smtp_subaddress(name, q->r->s->recipient_delimiter, &user, &detail))
			break;
		explain(q->r->explain, "subaddress", "%.*s is %.*s with what recipient_delimiter %s separates", BYTES_FMT(name),
		    BYTES_FMT(user), q->r->s->recipient_delimiter);
		name = user;
	}
	buf_fini(&value);
	return found;
}

/* RFC 5321 section 4.5.1: postmaster is always there. */
static enum found
follow_postmaster(struct search *q, struct bytes domain)
{
	struct smtp_address to;
	struct bytes to_domain;
	enum found found;

	explain(q->r->explain, "postmaster", "is always taken (RFC 5321 section 4.5.1)");
	found = follow(q, text("postmaster"), domain, false);
	if (found != NOBODY && found != DISABLED)
		return found;
	explain(q->r->explain, "postmaster", "nobody has it: postmaster_address is %s%s", q->r->s->postmaster_address,
	    q->r->s->postmaster_address[0] == '\0' ? "empty" : "");
	if (smtp_mailbox_parse(text(q->r->s->postmaster_address), TAKE, q->arena, &to) == SMTP_ADDRESS_OK
	    && own_domain(q->r, &to, q->arena, &to_domain)
	    && (found = follow(q, to.local, to_domain, false)) > DISABLED)
		return found;
	return unsure_alias(q, text("postmaster"), "nobody reads its mail; right would be an alias "
	    "postmaster, or postmaster_address");
}

static void
search_init(struct search *q, struct resolver *r, struct answer *a)
{
	arena_reset(r->arena);
	*q = (struct search){ .r = r, .a = a, .arena = r->arena, .seen = r->seen, .final = r->final };
	buf_clear(&a->routes);
	buf_clear(&r->warnings);
	a->n = 0;
	say(a, YES, 250, "2.1.5 fine");
}

/* What is wrong with the tables is said when nothing is left to be asked. */
static void
search_over(struct search *q)
{
	struct bytes lines = buf_bytes(&q->r->warnings);

	if (accounts_want(q->r->accounts))
		return;
	while (lines.n > 0) {
		struct bytes line = bytes_cut(&lines, '\n');

		log_warn("%.*s", BYTES_FMT(line));
	}
	if (q->r->warnings.full)
		log_warn("there are further faults in what these aliases lead to");
}

static void
conclude(struct search *q, enum found found)
{
	if (found == NOBODY)
		say(q->a, NO, 550, "5.1.1 there is no mailbox here by that name");
	else if (found == DISABLED)
		say(q->a, NO, 550, "5.2.1 this mailbox is disabled and takes no mail");
	if (q->a->verdict != YES) {
		buf_clear(&q->a->routes);
		q->a->n = 0;
	}
}

static void
resolve_parsed(struct search *q, const struct smtp_address *to, struct bytes domain)
{
	conclude(q, smtp_is_postmaster(to->local) ? follow_postmaster(q, domain)
	    : follow(q, to->local, domain, false));
}

/* Words for what relay_allowed and foreign_is_ours have said. */
static void
explain_relay(struct search *q, const struct ipc_rcpt_check *ask, bool allowed, bool ours, struct bytes domain)
{
	struct explanation *e = q->r->explain;
	const struct network *n = relay_network(&q->r->relay, ask->client);
	char net[NETWORK_TEXT_MAX];

	if (allowed && ask->client_class == CLIENT_ACCOUNT)
		explain(e, "relay", "who has logged in may send to other hosts");
	else if (allowed && ask->client_class == CLIENT_LOCAL_USER)
		explain(e, "relay", "users of this host may send to other hosts");
	else if (allowed && n)
		explain(e, "relay", "%.*s may send to other hosts: trusted_networks has %s", BYTES_FMT(ask->client),
		    network_text(n, net));
	else
		explain(e, "relay", "%.*s is in none of trusted_networks, and has not logged in", BYTES_FMT(ask->client));
	if (!allowed)
		explain(e, "relay", "%.*s is %s relay_domains", BYTES_FMT(domain), ours ? "taken from anybody: it is in" : "not in");
}

/* Other hosts' addresses. */
static void
resolve_foreign(struct search *q, const struct ipc_rcpt_check *ask, const struct smtp_address *to)
{
	bool allowed = relay_allowed(&q->r->relay, ask->client_class, ask->client);
	bool ours = !allowed && foreign_is_ours(q->r, to->domain);

	if (q->r->explain)
		explain_relay(q, ask, allowed, ours, to->domain);
	if (allowed || ours)
		add_foreign(q, to);
	else
		say(q->a, NO, 554, "5.7.1 relay access denied; log in to send mail to other hosts");
}

static void
resolve_syntax(struct search *q, enum smtp_address_result wrong)
{
	if (wrong == SMTP_ADDRESS_NOT_ASCII)
		say(q->a, NO, 553, "5.6.7 an address that is not ASCII needs SMTPUTF8");
	else if (wrong == SMTP_ADDRESS_DOMAIN_LONG)
		say(q->a, NO, 501, "5.1.2 the domain of this address is too long");
	else
		say(q->a, NO, 501, "5.1.3 this is not an address");
}

void
resolve_recipient(struct resolver *r, const struct ipc_rcpt_check *ask, struct answer *a)
{
	unsigned take = SMTP_TAKE_LONG_LOCAL | (ask->smtputf8 ? SMTP_TAKE_UTF8 : 0)
	    | (ask->client_class == CLIENT_LOCAL_USER ? SMTP_TAKE_NO_DOMAIN : 0);
	enum smtp_address_result parsed;
	struct smtp_address to;
	struct bytes domain;
	struct search q;

	search_init(&q, r, a);
	parsed = smtp_forward_path(ask->recipient, take, q.arena, &to);
	if (parsed != SMTP_ADDRESS_OK)
		resolve_syntax(&q, parsed);
	else if (own_domain(r, &to, q.arena, &domain))
		resolve_parsed(&q, &to, domain);
	else
		resolve_foreign(&q, ask, &to);
	search_over(&q);
}

void
resolve_final(struct resolver *r, struct bytes address, struct answer *a)
{
	struct smtp_address to;
	struct bytes domain;
	struct search q;

	search_init(&q, r, a);
	if (smtp_forward_path(address, TAKE | SMTP_TAKE_NO_DOMAIN, q.arena, &to) != SMTP_ADDRESS_OK) {
		say(a, NO, 550, "5.1.3 this is not an address");
	} else if (!own_domain(r, &to, q.arena, &domain)) {
		add_foreign(&q, &to);
	} else {
		/* Its aliases were followed when it was accepted. */
		enum found found = follow(&q, to.local, domain, true);

		if (found == NOBODY)
			resolve_parsed(&q, &to, domain);
		else
			conclude(&q, found);
	}
	search_over(&q);
}

enum verdict
resolve_postmaster(struct resolver *r)
{
	struct answer a;
	struct search q;
	enum found found;

	answer_init(&a);
	search_init(&q, r, &a);
	found = follow_postmaster(&q, first_domain(r->s));
	search_over(&q);
	answer_fini(&a);
	return found == PENDING ? NOT_SURE : found == SOMEBODY ? YES : NO;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void
own_addresses(struct resolver *r, const struct setting_list *l)
{
	char why[256];

	r->own = mem_array(l->n + 1, sizeof *r->own);
	for (size_t i = 0; i < l->n; i++)
		if (network_parse(text(l->item[i]), &r->own[r->nown], why, sizeof why))
			r->nown++;
}

bool
resolver_init(struct resolver *r, const struct router_settings *s, char *why, size_t cap)
{
	*r = (struct resolver){ .s = s };
	ipc_out_init(&r->body);
	buf_init(&r->warnings, WARNINGS_OCTETS);
	r->arena = arena_new(ARENA_OCTETS);
	r->seen = mem_array(ALIAS_ITEMS_MAX + 2, sizeof *r->seen);
	r->final = mem_array(ROUTES_MAX_COUNT, sizeof *r->final);
	relay_rule_init(&r->relay, &s->trusted_networks);
	own_addresses(r, &s->local_addresses);
	r->accounts = accounts_open(&s->account, why, cap);
	if (!r->accounts)
		return false;
	if (!foreign_init(r, why, cap))
		return false;
	if (s->alias_map[0] == '\0')
		return true;
	r->aliases = table_open_aliases(s->alias_map, why, cap);
	if (r->aliases && why[0] != '\0')
		log_warn("table %s: mail is put off (451) until it is right, or alias_map = \"\"", why);
	return r->aliases != NULL;
}

void
resolver_fini(struct resolver *r)
{
	accounts_close(&r->accounts);
	table_close(&r->aliases);
	foreign_fini(r);
	relay_rule_fini(&r->relay);
	mem_free(r->own);
	mem_free(r->seen);
	mem_free(r->final);
	arena_free(&r->arena);
	buf_fini(&r->warnings);
	ipc_out_fini(&r->body);
	*r = (struct resolver){ 0 };
}

void
answer_init(struct answer *a)
{
	*a = (struct answer){ 0 };
	buf_init(&a->routes, ROUTES_MAX_OCTETS);
}

void
answer_fini(struct answer *a)
{
	buf_fini(&a->routes);
}
