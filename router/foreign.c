/* SPDX-License-Identifier: ISC */
#include "router/foreign.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "mail/nexthop.h"
#include "proto/idna.h"

#define VALUE_OCTETS	1024

struct foreign {
	struct transport_item *item;		/* owned */
	size_t		 n;
	struct table	*map;		/* owned; NULL: none */
	struct buf	 value;		/* owned; what the map said */
};

/* ---- finding -------------------------------------------------------------------------- */

static enum verdict
find_listed(struct resolver *r, struct bytes key, struct bytes *value)
{
	const struct foreign *f = r->foreign;

	for (size_t i = 0; i < f->n; i++)
		if (bytes_case_eq(f->item[i].pattern, key)) {
			*value = f->item[i].value;
			explain(r->explain, "route", "routes has %.*s: %.*s", BYTES_FMT(key), BYTES_FMT(*value));
			return YES;
		}
	return NO;
}

static enum verdict
find_mapped(struct resolver *r, struct bytes key, struct bytes *value)
{
	struct foreign *f = r->foreign;
	enum verdict v;

	if (!f->map)
		return NO;
	v = table_get(f->map, key, &f->value);
	*value = buf_bytes(&f->value);
	explain_lookup(r->explain, "route", "transport_map", r->s->transport_map, key, v, *value);
	return v;
}

static enum verdict
find_key(struct resolver *r, struct bytes key, struct bytes *value)
{
	enum verdict v = find_listed(r, key, value);

	return v == NO ? find_mapped(r, key, value) : v;
}

/* The closest first: the address, the domain, what it is below, anything. */
static enum verdict
find_value(struct resolver *r, struct bytes address, struct bytes domain, struct bytes *value)
{
	enum verdict v = find_key(r, address, value);

	if (v == NO)
		v = find_key(r, domain, value);
	for (size_t dot = bytes_find(domain, '.'); v == NO && dot < domain.n; dot = bytes_find(domain, '.')) {
		v = find_key(r, bytes_skip(domain, dot), value);
		domain = bytes_skip(domain, dot + 1);
	}
	return v == NO ? find_key(r, text("*"), value) : v;
}

static enum verdict
say(enum verdict v, char *reply, size_t cap, struct bytes words)
{
	snprintf(reply, cap, "%.*s", BYTES_FMT(words));
	return v;
}

/* The domain's own mail exchangers, or the host that all mail goes through. from: ";from=..." of a route, or empty. */
static enum verdict
find_standard(struct resolver *r, const struct smtp_address *to, struct bytes domain, struct bytes from, struct arena *a,
    struct transport *out)
{
	struct nexthop n = { 0 };

	out->name = text("smtp");
	if (r->s->relay_host[0] != '\0') {
		explain(r->explain, "route", "relay_host is %s", r->s->relay_host);
		must(nexthop_parse(text(r->s->relay_host), a, &n));
	} else if (to->kind == SMTP_DOMAIN_NAME) {
		explain(r->explain, "route", "relay_host is empty: to the mail exchangers of %.*s", BYTES_FMT(domain));
		n.kind = NEXTHOP_DOMAIN;
		n.name = domain;
	} else {
		explain(r->explain, "route", "relay_host is empty: to %.*s itself", BYTES_FMT(domain));
		n.kind = NEXTHOP_ADDRESS;
		if (!address_parse(bytes_skip(bytes_head(domain, domain.n - 1), to->kind == SMTP_DOMAIN_IPV6 ? 6 : 1),
		    &n.address))
			return NO;
	}
	if (from.n > 0)
		must(nexthop_parse_from(from, &n));
	out->nexthop = nexthop_text(&n, a);
	return YES;
}

static enum verdict
find_routed(struct resolver *r, struct bytes value, const struct smtp_address *to, struct bytes domain, struct arena *a,
    struct transport *out, char *reply, size_t cap)
{
	struct nexthop n;
	char why[256];

	if (!transport_parse(arena_copy(a, value), a, out, why, sizeof why)) {
		if (r->explain)		/* nothing is put off for an explanation */
			explain(r->explain, "fault", "transport_map: %.*s: %s", BYTES_FMT(domain), why);
		else
			log_warn("transport_map: %s: %s; mail to it is put off (451)", log_text(domain), why);
		return say(NOT_SURE, reply, cap, text("4.3.5 the way to this domain is set up wrongly here, try again later"));
	}
	if (bytes_eq(out->name, text("error")))
		return say(out->nexthop.p[0] == '4' ? NOT_SURE : NO, reply, cap, out->nexthop);
	if (out->nexthop.n > 0 && out->nexthop.p[0] != ';')
		return YES;
	if (find_standard(r, to, domain, out->nexthop, a, out) != YES)
		return NO;
	if (nexthop_parse(out->nexthop, a, &n))
		return YES;
	return say(NOT_SURE, reply, cap, text("4.3.5 the way to this domain is set up wrongly here: no address that mail is to go "
	    "from can reach it"));
}

enum verdict
foreign_find(struct resolver *r, const struct smtp_address *to, struct arena *a, struct transport *out, char *reply,
    size_t cap)
{
	struct bytes domain, value, address = smtp_lower(smtp_address_text(to, a), a);
	enum verdict v;

	if (to->kind == SMTP_DOMAIN_GENERAL || to->kind == SMTP_DOMAIN_NONE)
		return say(NO, reply, cap, text("5.1.2 nobody delivers to such a domain"));
	domain = smtp_lower(to->domain, a);
	if (to->kind == SMTP_DOMAIN_NAME && !idna_ascii(to->domain, a, &domain))
		return say(NO, reply, cap, text("5.1.2 this is not a domain name"));
	if (to->kind == SMTP_DOMAIN_NAME && !bytes_case_eq(domain, to->domain))
		explain(r->explain, "domain", "%.*s is %.*s in the DNS", BYTES_FMT(to->domain), BYTES_FMT(domain));
	v = find_value(r, address, domain, &value);
	if (v == NOT_SURE)
		return say(NOT_SURE, reply, cap, text("4.3.0 the way to this domain cannot be looked up just now, try again later"));
	if (v == YES)
		return find_routed(r, value, to, domain, a, out, reply, cap);
	explain(r->explain, "route", "neither routes nor transport_map has a way for %.*s", BYTES_FMT(domain));
	v = find_standard(r, to, domain, text(""), a, out);
	return v == YES ? YES : say(NO, reply, cap, text("5.1.2 nobody delivers to such a domain"));
}

bool
foreign_is_ours(const struct resolver *r, struct bytes domain)
{
	for (size_t i = 0; i < r->s->relay_domains.n; i++)
		if (bytes_case_eq(domain, text(r->s->relay_domains.item[i])))
			return true;
	return false;
}

/* ---- life ------------------------------------------------------------------------------ */

bool
foreign_init(struct resolver *r, char *why, size_t cap)
{
	const struct router_settings *s = r->s;
	struct foreign *f = mem_alloc(sizeof *f);

	r->foreign = f;
	buf_init(&f->value, VALUE_OCTETS);
	f->item = mem_array(s->routes.n + 1, sizeof *f->item);
	for (size_t i = 0; i < s->routes.n; i++)
		f->item[f->n++] = transport_item_cut(s->routes.item[i]);
	if (s->transport_map[0] == '\0')
		return true;
	f->map = table_open(s->transport_map, why, cap);
	if (f->map && why[0] != '\0')
		log_warn("table %s: mail to other hosts is put off (451) until it is right, or transport_map = \"\"", why);
	return f->map != NULL;
}

void
foreign_fini(struct resolver *r)
{
	struct foreign *f = r->foreign;

	if (!f)
		return;
	table_close(&f->map);
	buf_fini(&f->value);
	mem_free(f->item);
	mem_free(f);
	r->foreign = NULL;
}
