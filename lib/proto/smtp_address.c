/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>

#include "proto/smtp_address.h"
#include "proto/utf8.h"

/* RFC 5322 section 3.2.3, and UTF-8 (RFC 6531 section 3.3): its octets are judged as a
 * whole, before, by check_octets. */
static bool
is_atext(unsigned char c)
{
	return ascii_alnum(c) || c >= 0x80 || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* What no address has anywhere: controls (of UTF-8 too), broken UTF-8. */
static enum smtp_address_result
check_octets(struct bytes s, unsigned take, bool *utf8)
{
	size_t i;

	*utf8 = false;
	for (i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return SMTP_ADDRESS_SYNTAX;
		if (s.p[i] >= 0x80)
			*utf8 = true;
	}
	if (!*utf8)
		return SMTP_ADDRESS_OK;
	if ((take & SMTP_TAKE_UTF8) == 0)
		return SMTP_ADDRESS_NOT_ASCII;
	if (!utf8_valid(s))
		return SMTP_ADDRESS_NOT_UTF8;
	for (i = 0; i + 1 < s.n; i++)
		if (s.p[i] == 0xc2 && s.p[i + 1] < 0xa0)	/* U+0080 to U+009F */
			return SMTP_ADDRESS_SYNTAX;
	return SMTP_ADDRESS_OK;
}

/* Octets of the Dot-string at the front of s, 0 if there is none. */
static size_t
dot_string(struct bytes s)
{
	bool atom = false;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (is_atext(s.p[i]))
			atom = true;
		else if (s.p[i] == '.' && atom)
			atom = false;
		else
			break;
	}
	return atom ? i : 0;
}

/* Octets of the Quoted-string at the front of s, which begins with '"'; 0: it has no end.
 * Controls cannot be in it (check_octets). A pair is ASCII only: RFC 6531 left it so. */
static size_t
quoted_string(struct bytes s)
{
	size_t i;

	for (i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\' && (++i == s.n || s.p[i] >= 0x80))
			return 0;
	}
	return 0;
}

/* quoted: with its quotes, well-formed. */
static struct bytes
unquote(struct bytes quoted, struct arena *a)
{
	struct bytes inner = bytes_head(bytes_skip(quoted, 1), quoted.n - 2);
	unsigned char *p;
	size_t i, n = 0;

	if (bytes_find(inner, '\\') == inner.n)
		return inner;
	p = arena_alloc(a, inner.n);
	for (i = 0; i < inner.n; i++) {
		if (inner.p[i] == '\\')
			i++;
		p[n++] = inner.p[i];
	}
	return bytes_of(p, n);
}

/* sub-domain, RFC 5321 section 4.1.2. A U-label has no limit of its own here: 63 octets hold for
 * its A-label, which it is not our part to make. */
static enum smtp_address_result
check_label(struct bytes label)
{
	bool ascii = true;
	size_t i;

	if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return SMTP_ADDRESS_SYNTAX;
	for (i = 0; i < label.n; i++) {
		if (label.p[i] >= 0x80)
			ascii = false;
		else if (!ascii_alnum(label.p[i]) && label.p[i] != '-')
			return SMTP_ADDRESS_SYNTAX;
	}
	return ascii && label.n > SMTP_LABEL_MAX ? SMTP_ADDRESS_DOMAIN_LONG : SMTP_ADDRESS_OK;
}

static enum smtp_address_result
check_name(struct bytes domain)
{
	enum smtp_address_result r;

	if (domain.n == 0 || domain.p[domain.n - 1] == '.')
		return SMTP_ADDRESS_SYNTAX;
	while (domain.n > 0)
		if ((r = check_label(bytes_cut(&domain, '.'))) != SMTP_ADDRESS_OK)
			return r;
	return SMTP_ADDRESS_OK;
}

/* dcontent: printable ASCII but "[", "\", "]"; UTF-8 is not for literals. */
static bool
is_general(struct bytes tag, struct bytes content)
{
	size_t i;

	if (check_label(tag) != SMTP_ADDRESS_OK || bytes_find(tag, '.') < tag.n || content.n == 0)
		return false;
	for (i = 0; i < content.n; i++)
		if (content.p[i] <= ' ' || content.p[i] >= 0x7f || strchr("[\\]", content.p[i]) != NULL)
			return false;
	for (i = 0; i < tag.n; i++)
		if (tag.p[i] >= 0x80)
			return false;
	return true;
}

/* RFC 5321 section 4.1.3. inet_pton knows exactly these forms: four decimal numbers without
 * leading zeros, and RFC 4291 section 2.2 without zone. */
static bool
parse_literal(struct bytes inner, enum smtp_domain_kind *kind, unsigned char *ip)
{
	char number[INET6_ADDRSTRLEN];
	struct bytes tag, rest = inner;

	if (bytes_find(inner, ':') == inner.n) {
		*kind = SMTP_DOMAIN_IPV4;
		return bytes_to_text(inner, number, sizeof number) && inet_pton(AF_INET, number, ip) == 1;
	}
	tag = bytes_cut(&rest, ':');
	if (bytes_case_eq(tag, text("IPv6"))) {
		*kind = SMTP_DOMAIN_IPV6;
		return bytes_to_text(rest, number, sizeof number) && inet_pton(AF_INET6, number, ip) == 1;
	}
	*kind = SMTP_DOMAIN_GENERAL;
	return is_general(tag, rest);
}

enum smtp_address_result
smtp_domain_parse(struct bytes domain, unsigned take, enum smtp_domain_kind *kind, unsigned char *ip)
{
	enum smtp_address_result r;
	unsigned char number[16] = { 0 };
	bool utf8;

	if ((r = check_octets(domain, take, &utf8)) != SMTP_ADDRESS_OK)
		return r;
	if (domain.n > SMTP_DOMAIN_MAX)
		return SMTP_ADDRESS_DOMAIN_LONG;
	*kind = SMTP_DOMAIN_NAME;
	if (domain.n == 0 || domain.p[0] != '[')
		return check_name(domain);
	if (domain.n < 3 || domain.p[domain.n - 1] != ']'
	    || !parse_literal(bytes_head(bytes_skip(domain, 1), domain.n - 2), kind, number))
		return SMTP_ADDRESS_SYNTAX;
	if (ip != NULL)
		memcpy(ip, number, sizeof number);
	return SMTP_ADDRESS_OK;
}

/* The local part at the front of s into out; what follows it is in *rest. */
static bool
parse_local(struct bytes s, struct arena *a, struct smtp_address *out, struct bytes *rest)
{
	size_t n;

	out->quoted = s.n > 0 && s.p[0] == '"';
	n = out->quoted ? quoted_string(s) : dot_string(s);
	if (n == 0)
		return false;
	*rest = bytes_skip(s, n);
	out->local = bytes_head(s, n);
	if (out->quoted)
		out->local = unquote(out->local, a);
	return true;
}

static enum smtp_address_result
check_lengths(size_t local, size_t domain, unsigned take)
{
	if (local > SMTP_LOCAL_MAX && (take & SMTP_TAKE_LONG_LOCAL) == 0)
		return SMTP_ADDRESS_LOCAL_LONG;
	if (domain > SMTP_DOMAIN_MAX)
		return SMTP_ADDRESS_DOMAIN_LONG;
	return local + 1 + domain + 2 > SMTP_PATH_MAX ? SMTP_ADDRESS_PATH_LONG : SMTP_ADDRESS_OK;
}

/* *out is written also when it fails: the callers give a scratch one. */
static enum smtp_address_result
parse_mailbox(struct bytes s, unsigned take, struct arena *a, struct smtp_address *out)
{
	enum smtp_address_result r, lengths;
	struct bytes rest;

	*out = (struct smtp_address){ .whole = s };
	if ((r = check_octets(s, take, &out->utf8)) != SMTP_ADDRESS_OK)
		return r;
	if (!parse_local(s, a, out, &rest))
		return SMTP_ADDRESS_SYNTAX;
	if (rest.n == 0) {
		r = check_lengths(s.n, 0, take);
		return r != SMTP_ADDRESS_OK || (take & SMTP_TAKE_NO_DOMAIN) != 0 ? r : SMTP_ADDRESS_NO_DOMAIN;
	}
	if (rest.p[0] != '@')
		return SMTP_ADDRESS_SYNTAX;
	out->domain = bytes_skip(rest, 1);
	lengths = check_lengths(s.n - rest.n, out->domain.n, take);
	r = smtp_domain_parse(out->domain, take, &out->kind, out->ip);
	return r == SMTP_ADDRESS_SYNTAX || lengths == SMTP_ADDRESS_OK ? r : lengths;
}

/* "@a,@b:" of RFC 5321 section 4.1.2 off the front of *s; false: begun, but not well-formed. */
static bool
drop_route(struct bytes *s, unsigned take)
{
	enum smtp_domain_kind kind;
	struct bytes route, hop;

	if (s->n == 0 || s->p[0] != '@')
		return true;
	if (bytes_find(*s, ':') == s->n)
		return false;
	route = bytes_cut(s, ':');
	while (route.n > 0) {
		hop = bytes_cut(&route, ',');
		if (hop.n == 0 || hop.p[0] != '@'
		    || smtp_domain_parse(bytes_skip(hop, 1), take, &kind, NULL) != SMTP_ADDRESS_OK
		    || kind != SMTP_DOMAIN_NAME)
			return false;
		if (route.n == 0 && hop.p + hop.n < s->p - 1)
			return false;		/* "@a,:" */
	}
	return true;
}

enum smtp_address_result
smtp_mailbox_parse(struct bytes mailbox, unsigned take, struct arena *a, struct smtp_address *out)
{
	struct smtp_address got;
	enum smtp_address_result r = parse_mailbox(mailbox, take, a, &got);

	if (r == SMTP_ADDRESS_OK)
		*out = got;
	return r;
}

enum smtp_address_result
smtp_reverse_path(struct bytes path, unsigned take, struct arena *a, struct smtp_address *out)
{
	enum smtp_address_result r;
	bool utf8;

	if (path.n == 0) {
		*out = (struct smtp_address){ 0 };
		return SMTP_ADDRESS_OK;
	}
	if ((r = check_octets(path, take, &utf8)) != SMTP_ADDRESS_OK)
		return r;
	return drop_route(&path, take) ? smtp_mailbox_parse(path, take, a, out) : SMTP_ADDRESS_SYNTAX;
}

enum smtp_address_result
smtp_forward_path(struct bytes path, unsigned take, struct arena *a, struct smtp_address *out)
{
	if (path.n == 0)
		return SMTP_ADDRESS_SYNTAX;
	if (smtp_is_postmaster(path))
		take |= SMTP_TAKE_NO_DOMAIN;
	return smtp_reverse_path(path, take, a, out);
}

void
smtp_address_join(struct bytes local, struct bytes domain, struct buf *out)
{
	size_t i;

	if (local.n > 0 && dot_string(local) == local.n) {
		buf_add(out, local);
	} else {
		buf_char(out, '"');
		for (i = 0; i < local.n; i++) {
			if (local.p[i] == '"' || local.p[i] == '\\')
				buf_char(out, '\\');
			buf_char(out, local.p[i]);
		}
		buf_char(out, '"');
	}
	if (domain.n == 0)
		return;
	buf_char(out, '@');
	for (i = 0; i < domain.n; i++)
		buf_char(out, ascii_lower(domain.p[i]));
}

void
smtp_address_put(const struct smtp_address *addr, struct buf *out)
{
	if (addr->whole.n > 0)
		smtp_address_join(addr->local, addr->domain, out);
}

struct bytes
smtp_address_text(const struct smtp_address *addr, struct arena *a)
{
	struct bytes s;
	struct buf b;

	buf_init(&b, 2 * (addr->local.n + addr->domain.n) + 3);
	smtp_address_put(addr, &b);
	s = arena_copy(a, buf_bytes(&b));
	buf_fini(&b);
	return s;
}

struct bytes
smtp_lower(struct bytes s, struct arena *a)
{
	unsigned char *p = arena_alloc(a, s.n + 1);
	size_t i;

	for (i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return bytes_of(p, s.n);
}

bool
smtp_is_postmaster(struct bytes local)
{
	return bytes_case_eq(local, text("postmaster"));
}

bool
smtp_address_eq(const struct smtp_address *x, const struct smtp_address *y)
{
	if ((x->whole.n == 0) != (y->whole.n == 0) || !bytes_case_eq(x->domain, y->domain))
		return false;
	return bytes_eq(x->local, y->local)
	    || (smtp_is_postmaster(x->local) && smtp_is_postmaster(y->local));
}

bool
smtp_subaddress(struct bytes local, const char *delimiters, struct bytes *user, struct bytes *detail)
{
	size_t i;

	*user = local;
	*detail = bytes_of(local.p, 0);
	for (i = 1; i < local.n; i++)
		if (local.p[i] != 0 && strchr(delimiters, local.p[i]) != NULL) {
			*user = bytes_head(local, i);
			*detail = bytes_skip(local, i + 1);
			return true;
		}
	return false;
}
