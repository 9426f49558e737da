/* SPDX-License-Identifier: ISC */
#include "router/senders.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "mail/alias.h"
#include "mail/table.h"
#include "proto/idna.h"
#include "proto/smtp_address.h"

#define VALUE_OCTETS	(64u << 10)
#define ARENA_OCTETS	(1u << 20)

struct senders {
	const struct router_settings *s;	/* borrowed */
	struct table	*map;		/* owned; NULL: none */
	struct buf	 value;		/* owned: what the map said */
	struct arena	*arena;		/* owned; of one question */
	struct answer	 answer;	/* owned: of the resolver */
};

struct senders *
senders_open(const struct router_settings *s, char *why, size_t cap)
{
	struct senders *n = mem_alloc(sizeof *n);

	n->s = s;
	why[0] = '\0';
	if (s->sender_map[0] != '\0' && !(n->map = table_open(s->sender_map, why, cap))) {
		mem_free(n);
		return NULL;
	}
	if (n->map && why[0] != '\0')
		log_warn("table %s: until it is right, submitted mail is put off (451) where the address is not the "
		    "account's own", why);
	buf_init(&n->value, VALUE_OCTETS);
	n->arena = arena_new(ARENA_OCTETS);
	answer_init(&n->answer);
	return n;
}

void
senders_close(struct senders **s)
{
	if (!*s)
		return;
	table_close(&(*s)->map);
	buf_fini(&(*s)->value);
	arena_free(&(*s)->arena);
	answer_fini(&(*s)->answer);
	mem_free(*s);
	*s = NULL;
}

/* Where mail to it would go: is this account's mailbox among that? */
static enum verdict
reaches(struct senders *s, struct resolver *r, struct bytes account, struct bytes address)
{
	struct bytes routes;
	bool bad = false;

	explain(r->explain, "sender", "does mail to %.*s come to %.*s?", BYTES_FMT(address), BYTES_FMT(account));
	explain_within(r->explain, 1);
	resolve_recipient(r, &(struct ipc_rcpt_check){ .client_class = CLIENT_ACCOUNT, .recipient = address,
	    .smtputf8 = 1 }, &s->answer);
	explain_within(r->explain, -1);
	if (s->answer.verdict != YES)
		return s->answer.verdict;
	for (routes = buf_bytes(&s->answer.routes); routes.n > 0 && !bad; ) {
		struct bytes body = ipc_cut_text(&routes, &bad);
		struct ipc_route route;
		struct ipc_in in;

		ipc_in_bytes(&in, body);
		if (!bad && ipc_get_route(&in, &route) && bytes_eq(route.transport, text("local"))
		    && bytes_eq(route.nexthop, account))
			return YES;
	}
	return NO;
}

/* Accounts stand in it as addresses in an alias do. */
static bool
is_listed(struct senders *s, struct bytes account)
{
	struct bytes value = buf_bytes(&s->value);
	struct alias_item item;

	while (alias_next(&value, s->arena, &item))
		if (item.kind == ALIAS_ADDRESS && bytes_case_eq(item.text, account))
			return true;
	return false;
}

/* YES: this key has the account. */
static enum verdict
has_listed(struct senders *s, struct explanation *e, struct bytes account, struct bytes key)
{
	enum verdict v = table_get(s->map, key, &s->value);

	explain_lookup(e, "sender", "sender_map", s->s->sender_map, key, v, buf_bytes(&s->value));
	return v == YES && !is_listed(s, account) ? NO : v;
}

static enum verdict
is_mapped(struct senders *s, struct explanation *e, struct bytes account, struct bytes address)
{
	struct bytes key = smtp_lower(address, s->arena), domain;
	size_t at = bytes_rfind(key, '@');
	enum verdict v;

	if (at < key.n && idna_ascii(bytes_skip(key, at + 1), s->arena, &domain))	/* as it stands there */
		key = arena_fmt(s->arena, "%.*s@%.*s", (int)at, (const char *)key.p, BYTES_FMT(domain));
	if (!s->map) {
		explain(e, "sender", "sender_map is empty");
		return NO;
	}
	v = has_listed(s, e, account, key);
	if (v != NO || at >= key.n)
		return v;
	return has_listed(s, e, account, bytes_skip(key, at));	/* "@example.org" */
}

enum verdict
senders_may(struct senders *s, struct resolver *r, struct bytes account, struct bytes address)
{
	enum verdict own, mapped = NO, v;

	arena_reset(s->arena);
	if ((own = reaches(s, r, account, address)) != YES)
		mapped = is_mapped(s, r->explain, account, address);
	v = own == YES || mapped == YES ? YES : own == NOT_SURE || mapped == NOT_SURE ? NOT_SURE : NO;
	explain(r->explain, "sender", "%.*s %s as %.*s", BYTES_FMT(account), v == YES ? "may send" : v == NO ? "may not send"
	    : "cannot be told just now whether to send", BYTES_FMT(address));
	return v;
}
