/* SPDX-License-Identifier: ISC */
#include "mail/nexthop.h"

#include "proto/idna.h"

#define UNIX_PATH_MAX_OCTETS 107	/* sun_path, with its NUL */

/* ":2525" behind a name: cut off. False: there is something, but no port. */
static bool
cut_port(struct bytes *words, uint16_t *port)
{
	size_t colon = bytes_rfind(*words, ':');
	uint64_t n;

	*port = 0;
	if (colon >= words->n)
		return true;
	if (!bytes_u64(bytes_skip(*words, colon + 1), 65535, &n) || n == 0)
		return false;
	*port = (uint16_t)n;
	*words = bytes_head(*words, colon);
	return true;
}

/* What stands between brackets: an address, with or without RFC 5321's tag, or a host. */
static bool
parse_host(struct bytes inner, struct arena *a, struct nexthop *out)
{
	struct bytes ip = inner;

	if (bytes_case_starts(ip, text("IPv6:")))
		ip = bytes_skip(ip, 5);
	if (bytes_find(ip, '%') == ip.n && address_parse(ip, &out->address)) {
		out->kind = NEXTHOP_ADDRESS;
		return true;
	}
	out->kind = NEXTHOP_HOST;
	/* What is mapped may leave characters out (a soft hyphen): no name becomes an address by that. */
	return bytes_find(inner, ':') == inner.n && idna_ascii(inner, a, &out->name)
	    && !address_parse(out->name, &out->address);
}

static bool
parse_brackets(struct bytes words, struct arena *a, struct nexthop *out)
{
	size_t end = bytes_rfind(words, ']');
	struct bytes rest = bytes_skip(words, end + 1);

	if (end >= words.n || (rest.n > 0 && (rest.p[0] != ':' || !cut_port(&rest, &out->port) || rest.n > 0)))
		return false;
	return parse_host(bytes_skip(bytes_head(words, end), 1), a, out);
}

static bool
parse_unix(struct bytes path, struct arena *a, struct nexthop *out)
{
	out->kind = NEXTHOP_UNIX;
	out->name = arena_copy(a, path);
	return path.n >= 2 && path.p[0] == '/' && path.n <= UNIX_PATH_MAX_OCTETS && !bytes_has_control(path);
}

/* ---- where connections come from ---- */

static bool
add_from(struct bytes word, struct nexthop *out)
{
	struct address a;

	if (bytes_find(word, '%') < word.n || !address_parse(word, &a) || address_kind(&a) == ADDRESS_NOWHERE
	    || nexthop_from(out, address_is_ipv4(&a)))
		return false;
	if (out->nfrom > 0 && address_is_ipv4(&a)) {
		out->from[1] = out->from[0];
		out->from[0] = a;
	} else {
		out->from[out->nfrom] = a;
	}
	out->nfrom++;
	return true;
}

bool
nexthop_parse_from(struct bytes words, struct nexthop *out)
{
	const struct bytes tag = text(";from=");
	bool more = true;

	out->nfrom = 0;
	if (!bytes_case_starts(words, tag))
		return false;
	words = bytes_skip(words, tag.n);
	while (more) {
		more = bytes_find(words, ',') < words.n;	/* a comma at the end has nothing behind it */
		if (!add_from(bytes_cut(&words, ','), out))
			return false;
	}
	return true;
}

const struct address *
nexthop_from(const struct nexthop *n, bool ipv4)
{
	for (size_t i = 0; i < n->nfrom; i++)
		if (address_is_ipv4(&n->from[i]) == ipv4)
			return &n->from[i];
	return NULL;
}

/* Cut off. An address that could not be reached from any of them is a mistake. */
static bool
take_from(struct bytes *words, struct nexthop *out)
{
	size_t at = bytes_find(*words, ';');
	struct bytes from = bytes_skip(*words, at);

	*words = bytes_head(*words, at);
	return from.n == 0 || nexthop_parse_from(from, out);
}

static bool
is_reached(const struct nexthop *n)
{
	return n->nfrom == 0 || n->kind != NEXTHOP_ADDRESS || nexthop_from(n, address_is_ipv4(&n->address));
}

/* ---- all of it ---- */

bool
nexthop_parse(struct bytes words, struct arena *a, struct nexthop *out)
{
	bool good;

	*out = (struct nexthop){ 0 };
	if (words.n == 0 || words.n > NEXTHOP_MAX)
		return false;
	if (bytes_case_starts(words, text("unix:")))	/* a domain of that name needs brackets */
		return parse_unix(bytes_skip(words, 5), a, out);
	if (!take_from(&words, out))
		return false;
	if (words.n > 0 && words.p[0] == '[') {
		good = parse_brackets(words, a, out);
	} else {
		out->kind = NEXTHOP_DOMAIN;
		good = cut_port(&words, &out->port) && bytes_find(words, ':') == words.n && idna_ascii(words, a, &out->name)
		    && (out->port == 0 || !bytes_eq(out->name, text("unix")));	/* nor a socket */
	}
	return good && is_reached(out) && nexthop_text(out, a).n <= NEXTHOP_MAX;
}

static struct bytes
with_port(struct bytes name, uint16_t port, struct arena *a)
{
	return port == 0 ? name : arena_fmt(a, "%.*s:%u", BYTES_FMT(name), (unsigned)port);
}

/* Without where connections come from. */
static struct bytes
plain_text(const struct nexthop *n, struct arena *a)
{
	char address[NETWORK_TEXT_MAX];

	switch (n->kind) {
	case NEXTHOP_DOMAIN:
		return with_port(n->name, n->port, a);
	case NEXTHOP_HOST:
		return with_port(arena_fmt(a, "[%.*s]", BYTES_FMT(n->name)), n->port, a);
	case NEXTHOP_ADDRESS:
		return with_port(arena_fmt(a, "[%s]", address_text(&n->address, address)), n->port, a);
	case NEXTHOP_UNIX:
		break;
	}
	return arena_fmt(a, "unix:%.*s", BYTES_FMT(n->name));
}

struct bytes
nexthop_text(const struct nexthop *n, struct arena *a)
{
	struct bytes words = plain_text(n, a);
	char address[NETWORK_TEXT_MAX];

	for (size_t i = 0; i < n->nfrom; i++)
		words = arena_fmt(a, "%.*s%s%s", BYTES_FMT(words), i == 0 ? ";from=" : ",", address_text(&n->from[i], address));
	return words;
}
