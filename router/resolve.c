/* SPDX-License-Identifier: ISC */
/*
 * router/resolve.c - who is behind an address: domain, then aliases, then account.
 *
 * One truth, three answers. A table that does not answer is 451 and never 550. An
 * alias is followed to its end before the answer is given, so that nothing that is
 * said at RCPT has to be taken back later.
 */
#include "router/router.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "mail/alias.h"
#include "proto/smtp_address.h"

#define ARENA_OCTETS	(8u << 20)
#define VALUE_OCTETS	(256u << 10)	/* of one alias */
#define TAKE		(SMTP_TAKE_UTF8 | SMTP_TAKE_LONG_LOCAL)

/* What following one address came to. In this order the weightier wins over the others. */
enum found { NOBODY, DISABLED, SOMEBODY, UNSURE };

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

/* Something in the configuration that an administrator must put right. */
static enum found
unsure_alias(struct search *q, struct bytes alias, const char *wrong)
{
	log_warn("alias %s: %s; mail to it is put off (451)", log_text(alias), wrong);
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

	if (addr->kind == SMTP_DOMAIN_IPV4) {		/* as its IPv4-mapped form, mail/network.h */
		memset(ip.octet + 10, 0xff, 2);
		memcpy(ip.octet + 12, addr->ip, 4);
	} else if (addr->kind == SMTP_DOMAIN_IPV6)
		memcpy(ip.octet, addr->ip, 16);
	else
		return false;
	for (size_t i = 0; i < r->nown; i++)
		if (network_has(&r->own[i], &ip))
			return true;
	return false;
}

/* True: ours; *domain is its name, the first of ours for a literal and for none. */
static bool
own_domain(const struct resolver *r, const struct smtp_address *addr, struct arena *arena, struct bytes *domain)
{
	*domain = first_domain(r->s);
	if (addr->kind == SMTP_DOMAIN_NONE)
		return true;
	if (addr->kind != SMTP_DOMAIN_NAME)
		return own_literal(r, addr);
	*domain = smtp_lower(addr->domain, arena);
	if (bytes_case_eq(*domain, text(r->s->hostname)))
		return true;
	for (size_t i = 0; i < r->s->local_domains.n; i++)
		if (bytes_case_eq(*domain, text(r->s->local_domains.item[i])))
			return true;
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
add_route(struct search *q, struct bytes final, const struct account *account)
{
	struct ipc_route route = {
		.final = final, .transport = text("local"), .nexthop = account->name,
		.uid = account->uid, .gid = account->gid, .mailbox = account->mailbox,
	};

	if (account->state == ACCOUNT_DISABLED)
		return DISABLED;
	for (size_t i = 0; i < q->a->n; i++)
		if (bytes_eq(q->final[i], final))
			return SOMEBODY;
	if (q->a->n == ROUTES_MAX_COUNT || account->name.n > 256)
		return unsure_alias(q, final, "there are more recipients than one answer holds");
	ipc_put_route(&q->r->body, 0, &route);
	ipc_add_text(&q->a->routes, ipc_out_body(&q->r->body));
	if (q->a->routes.full)
		return unsure_alias(q, final, "there are more recipients than one answer holds");
	q->final[q->a->n++] = final;
	return SOMEBODY;
}

/* The account of that local part: by its address, then as a user of the system. */
static enum found
find_account(struct search *q, struct bytes local, struct bytes domain, struct bytes final)
{
	struct account account;
	enum verdict v = accounts_get(q->r->accounts, join(q, local, domain), q->arena, &account);

	if (v == NO && q->r->s->account.system_accounts && bytes_find(local, '@') == local.n)
		v = accounts_get(q->r->accounts, local, q->arena, &account);
	if (v == NOT_SURE)
		return unsure_table(q);
	return v == YES ? add_route(q, final, &account) : NOBODY;
}

/* ---- aliases ----------------------------------------------------------------------------- */

static enum verdict
find_alias(struct search *q, struct bytes local, struct bytes domain, struct buf *value)
{
	struct bytes key = smtp_lower(local, q->arena);
	enum verdict v;

	if (!q->r->aliases || local.n == 0)
		return NO;
	v = table_get(q->r->aliases, smtp_lower(join(q, local, domain), q->arena), value);
	return v == NO ? table_get(q->r->aliases, key, value) : v;
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
	if (!own_domain(q->r, &to, q->arena, &to_domain))
		return unsure_alias(q, alias, "leads to another host; this one does not send mail to "
		    "other hosts yet");
	if (to.kind == SMTP_DOMAIN_NONE)
		to_domain = domain;
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
		one = follow_item(q, alias, owner, domain, &item);
		if (one == UNSURE)
			return UNSURE;
		if (one != SOMEBODY)
			log_warn("alias %s: %s has no mailbox here%s", log_text(alias), log_text(item.text),
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
		if (bytes_eq(q->seen[i], alias))
			return q->a->n > 0 ? SOMEBODY : NOBODY;	/* it is being followed, or was */
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
	enum found found = follow(q, text("postmaster"), domain, false);

	if (found != NOBODY && found != DISABLED)
		return found;
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
	a->n = 0;
	say(a, YES, 250, "2.1.5 fine");
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

/* Other hosts' addresses. */
static void
resolve_foreign(struct search *q, const struct ipc_rcpt_check *ask)
{
	if (relay_allowed(&q->r->relay, ask->client_class, ask->client))
		say(q->a, NO, 550, "5.4.4 this host does not send mail to other hosts");
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
		resolve_foreign(&q, ask);
}

void
resolve_final(struct resolver *r, struct bytes address, struct answer *a)
{
	struct smtp_address to;
	struct bytes domain;
	struct search q;

	search_init(&q, r, a);
	if (smtp_forward_path(address, TAKE | SMTP_TAKE_NO_DOMAIN, q.arena, &to) != SMTP_ADDRESS_OK
	    || !own_domain(r, &to, q.arena, &domain))
		say(a, NO, 550, "5.1.2 this host no longer takes mail for that domain");
	else {
		/* Its aliases were followed when it was accepted. */
		enum found found = follow(&q, to.local, domain, true);

		if (found == NOBODY)
			resolve_parsed(&q, &to, domain);
		else
			conclude(&q, found);
	}
}

bool
resolve_postmaster(struct resolver *r)
{
	struct answer a;
	struct search q;
	enum found found;

	answer_init(&a);
	search_init(&q, r, &a);
	found = follow_postmaster(&q, first_domain(r->s));
	answer_fini(&a);
	return found == SOMEBODY;
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
	r->arena = arena_new(ARENA_OCTETS);
	r->seen = mem_array(ALIAS_ITEMS_MAX + 2, sizeof *r->seen);
	r->final = mem_array(ROUTES_MAX_COUNT, sizeof *r->final);
	relay_rule_init(&r->relay, &s->trusted_networks);
	own_addresses(r, &s->local_addresses);
	r->accounts = accounts_open(&s->account, why, cap);
	if (!r->accounts)
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
	relay_rule_fini(&r->relay);
	mem_free(r->own);
	mem_free(r->seen);
	mem_free(r->final);
	arena_free(&r->arena);
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
