/* SPDX-License-Identifier: ISC */
#include "mail/transport.h"

#include <stdio.h>

#include "mail/nexthop.h"
#include "proto/smtp_address.h"
#include "proto/smtp_reply.h"

#define ITEM_ARENA	65536
#define FROM_SHAPE	"not an address to come from; right would be like ;from=192.0.2.5 or ;from=192.0.2.5,2001:db8::5"

static bool
fault(char *why, size_t cap, const char *words)
{
	snprintf(why, cap, "%s", words);
	return false;
}

static bool
is_error(struct bytes said)
{
	unsigned status[3];
	size_t n = smtp_status_take(said, status);

	return n > 0 && (status[0] == 4 || status[0] == 5) && said.n > n + 1 && said.n < 200;
}

bool
transport_parse(struct bytes value, struct arena *a, struct transport *out, char *why, size_t cap)
{
	struct nexthop n;

	out->nexthop = value;
	out->name = bytes_cut(&out->nexthop, ':');
	if (out->name.n == value.n)
		return fault(why, cap, "no transport; right would be like smtp:[mx.example.org]:25");
	if (bytes_eq(out->name, text("error")))
		return is_error(out->nexthop) ? true
		    : fault(why, cap, "no refusal; right would be like error:5.1.2 this domain takes no mail");
	if (!bytes_eq(out->name, text("smtp")) && !bytes_eq(out->name, text("lmtp")))
		return fault(why, cap, "not a transport; right would be smtp:, lmtp: or error:");
	if (out->nexthop.n == 0 && bytes_eq(out->name, text("smtp")))
		return true;
	if (bytes_starts(out->nexthop, text(";")) && bytes_eq(out->name, text("smtp")))
		return nexthop_parse_from(out->nexthop, &n) || fault(why, cap, FROM_SHAPE);
	if (!nexthop_parse(out->nexthop, a, &n) || (n.kind == NEXTHOP_UNIX && !bytes_eq(out->name, text("lmtp"))))
		return fault(why, cap, "not a next hop; right would be example.org (its mail exchangers), "
		    "[mx.example.org]:25, [192.0.2.1]:25, or for lmtp unix:/path; behind all but the last, ;from=192.0.2.5 or "
		    ";from=192.0.2.5,2001:db8::5 may name this host's addresses that it goes from");
	out->nexthop = nexthop_text(&n, a);
	return true;
}

struct transport_item
transport_item_cut(const char *item)
{
	struct bytes value = text(item), pattern = bytes_cut(&value, ' ');

	return (struct transport_item){ pattern, bytes_trim(value) };
}

/* "example.org", ".example.org" (what is below it), "anna@example.org", "*". */
static bool
is_pattern(struct bytes s)
{
	struct bytes domain = s;
	enum smtp_domain_kind kind;
	size_t at = bytes_rfind(s, '@');

	if (bytes_eq(s, text("*")))
		return true;
	if (at < s.n && at > 0)
		domain = bytes_skip(s, at + 1);
	else if (s.n > 1 && s.p[0] == '.')
		domain = bytes_skip(s, 1);
	return smtp_domain_parse(domain, 0, &kind, NULL) == SMTP_ADDRESS_OK && kind == SMTP_DOMAIN_NAME;
}

bool
transport_item_check(const char *text_of_item, char *why, size_t cap)
{
	struct transport_item item = transport_item_cut(text_of_item);
	struct arena *a = arena_new(ITEM_ARENA);
	struct transport out;
	bool good;

	if (!is_pattern(item.pattern))
		good = fault(why, cap, "not a route; right would be like example.org smtp:[mx.example.org]:25; before the "
		    "space a domain, .domain for what is below it, an address, or *");
	else
		good = transport_parse(item.value, a, &out, why, cap);
	arena_free(&a);
	return good;
}
