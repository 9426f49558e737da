/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/dns_message.h"

#define CLASS_IN	1
#define HEADER		12	/* octets */
#define RR_LEAST	11	/* octets of the smallest record */
#define FLAG_RESPONSE	0x8000u
#define FLAG_TRUNCATED	0x0200u
#define FLAGS_RCODE	0x000fu
#define POINTER		0xc0u	/* the two high bits of a length: RFC 1035 section 4.1.4 */

struct name { unsigned char p[DNS_NAME_WIRE_MAX]; size_t n; };	/* wire format, uncompressed, lower-case */

struct rr {
	struct name	owner;
	unsigned	type, class;
	uint32_t	ttl_s;
	size_t		data, n;	/* where its rdata is */
};

struct walk {			/* over the records of a message */
	struct bytes	m;		/* the message */
	size_t		at;
	unsigned	left;		/* records to come */
};

/* ---- integers --------------------------------------------------------------------------------- */

/* The caller has looked that they are there. */
static unsigned
u16_at(struct bytes m, size_t at)
{
	return (unsigned)(m.p[at] << 8 | m.p[at + 1]);
}

static bool
take_u16(struct bytes m, size_t *at, unsigned *out)
{
	if (m.n < 2 || *at > m.n - 2)
		return false;
	*out = u16_at(m, *at);
	*at += 2;
	return true;
}

static bool
take_u32(struct bytes m, size_t *at, uint32_t *out)
{
	unsigned high, low;

	if (!take_u16(m, at, &high) || !take_u16(m, at, &low))
		return false;
	*out = (uint32_t)high << 16 | low;
	return true;
}

/* ---- names ------------------------------------------------------------------------------------- */

/* One label, or the root's, with its length. */
static bool
add_label(struct bytes m, size_t at, struct name *out)
{
	size_t n = 1u + m.p[at];

	if (n > m.n - at || n > sizeof out->p - out->n)
		return false;
	for (size_t i = 0; i < n; i++)
		out->p[out->n++] = i == 0 ? m.p[at] : ascii_lower(m.p[at + i]);
	return true;
}

/* Each pointer leads before the place that was last pointed to, or where the name began: so there is no loop. */
static bool
take_name(struct bytes m, size_t *at, struct name *out)
{
	size_t i = *at, before = *at, end = 0;

	out->n = 0;
	while (i < m.n) {
		unsigned char c = m.p[i];

		if ((c & POINTER) == POINTER) {
			if (m.n - i < 2)
				return false;
			if (end == 0)
				end = i + 2;
			i = u16_at(m, i) & 0x3fffu;
			if (i >= before)
				return false;
			before = i;
			continue;
		}
		if (c > DNS_LABEL_MAX || !add_label(m, i, out))
			return false;
		i += 1u + c;
		if (c == 0) {
			*at = end ? end : i;
			return true;
		}
	}
	return false;
}

static bool
same(const struct name *a, const struct name *b)
{
	return bytes_eq(bytes_of(a->p, a->n), bytes_of(b->p, b->n));
}

/* ---- records ------------------------------------------------------------------------------------- */

/* False: it ends in the midst of a record. */
static bool
next_rr(struct walk *w, struct rr *out)
{
	unsigned n;

	if (!take_name(w->m, &w->at, &out->owner) || !take_u16(w->m, &w->at, &out->type)
	    || !take_u16(w->m, &w->at, &out->class) || !take_u32(w->m, &w->at, &out->ttl_s)
	    || !take_u16(w->m, &w->at, &n) || n > w->m.n - w->at)
		return false;
	if (out->ttl_s > INT32_MAX)		/* RFC 2181 section 8 */
		out->ttl_s = 0;
	out->data = w->at;
	out->n = n;
	w->at += n;
	w->left--;
	return true;
}

/* What stands before the names in an rdata, and how many there are. */
static void
shape_of(unsigned type, size_t *before, unsigned *names)
{
	*before = type == DNS_MX ? 2 : type == DNS_SRV ? 6 : 0;
	*names = type == DNS_SOA ? 2 : type == DNS_NS || type == DNS_CNAME || type == DNS_PTR || type == DNS_MX
	    || type == DNS_SRV ? 1 : 0;
}

/* The rdata with its names written out. False: a name in it makes no sense, or reaches past its end. */
static bool
expand(struct bytes m, const struct rr *rr, struct buf *out)
{
	size_t before, at = rr->data, end = rr->data + rr->n;
	unsigned names;
	struct name name;

	shape_of(rr->type, &before, &names);
	if (before > rr->n)
		return false;
	buf_clear(out);
	buf_add(out, bytes_of(m.p + at, before));
	at += before;
	for (unsigned i = 0; i < names; i++) {
		if (!take_name(bytes_head(m, end), &at, &name))
			return false;
		buf_add(out, bytes_of(name.p, name.n));
	}
	buf_add(out, bytes_of(m.p + at, end - at));
	return !out->full;
}

/* ---- the answer ------------------------------------------------------------------------------------- */

struct reader {
	struct walk	 answers, authority;	/* where each begins */
	struct name	 name;			/* looked for now */
	unsigned	 type;
	struct arena	*a;
	struct dns_message *out;
	struct buf	 expanded;
	size_t		 room;			/* of out->rdata */
	size_t		 octets;		/* in it */
	unsigned	 passes;		/* CNAMEs followed */
};

/* The header, and the question: which must be the one that was asked. */
static bool
read_head(struct reader *r, struct bytes m, struct bytes name)
{
	unsigned flags, type, class;
	struct name asked;
	size_t at = HEADER;

	if (m.n < HEADER || m.n > DNS_MESSAGE_MAX || name.n > sizeof r->name.p)
		return false;
	flags = u16_at(m, 2);
	r->out->rcode = flags & FLAGS_RCODE;
	r->out->truncated = (flags & FLAG_TRUNCATED) != 0;
	if (!(flags & FLAG_RESPONSE) || u16_at(m, 4) != 1 || !take_name(m, &at, &asked)
	    || !take_u16(m, &at, &type) || !take_u16(m, &at, &class))
		return false;
	r->answers = (struct walk){ .m = m, .at = at, .left = u16_at(m, 6) };
	r->authority = (struct walk){ .m = m, .left = u16_at(m, 8) };
	r->name = asked;
	return type == r->type && class == CLASS_IN && bytes_eq(bytes_of(asked.p, asked.n), name);
}

static void
shorten_ttl(struct reader *r, uint32_t ttl_s)
{
	if (ttl_s < r->out->ttl_s)
		r->out->ttl_s = ttl_s;
}

static bool
take_record(struct reader *r, const struct rr *rr)
{
	must(r->out->n < r->room);
	if (!expand(r->answers.m, rr, &r->expanded))
		return false;
	shorten_ttl(r, rr->ttl_s);
	r->octets += r->expanded.n;
	if (r->octets > DNS_MESSAGE_MAX)
		return false;
	r->out->rdata[r->out->n++] = arena_copy(r->a, buf_bytes(&r->expanded));
	return true;
}

/* Everything that has the name looked for; *alias is set where that is a CNAME. */
static bool
one_pass(struct reader *r, struct name *target, bool *alias)
{
	struct walk w = r->answers;
	struct rr rr;

	*alias = false;
	while (w.left > 0) {
		if (!next_rr(&w, &rr))
			return false;
		if (rr.class != CLASS_IN || !same(&rr.owner, &r->name))
			continue;
		if (rr.type == r->type) {
			if (!take_record(r, &rr))
				return false;
		} else if (rr.type == DNS_CNAME && !*alias) {
			size_t at = rr.data;

			if (!take_name(bytes_head(w.m, rr.data + rr.n), &at, target))
				return false;
			shorten_ttl(r, rr.ttl_s);
			*alias = true;
		}
	}
	r->authority.at = w.at;
	return true;
}

/* Ends: each pass follows one CNAME. */
static bool
follow(struct reader *r)
{
	struct name target;
	bool alias;

	do {
		if (r->passes++ > DNS_CHAIN_MAX || !one_pass(r, &target, &alias))
			return false;
		if (r->out->n > 0)		/* an alias beside records of its own (RFC 1034 section 3.6.2) */
			alias = false;
		if (alias)
			r->name = target;
	} while (alias);
	return true;
}

/* How long "no" may be kept: RFC 2308 section 5. Without a SOA not at all. */
static bool
negative_ttl(struct reader *r)
{
	struct walk w = r->authority;
	uint32_t minimum;
	bool known = false;
	struct rr rr;

	while (w.left > 0) {
		size_t at;

		if (!next_rr(&w, &rr))
			return false;
		if (rr.type != DNS_SOA || rr.class != CLASS_IN || rr.n < 4)
			continue;
		at = rr.data + rr.n - 4;
		if (!take_u32(w.m, &at, &minimum))
			return false;
		shorten_ttl(r, rr.ttl_s < minimum ? rr.ttl_s : minimum);
		known = true;
	}
	if (!known)
		r->out->ttl_s = 0;
	return true;
}

enum dns_message_read
dns_message_read(struct bytes message, struct bytes name, enum dns_type type, struct arena *a, struct dns_message *out)
{
	struct reader r = { .type = type, .a = a, .out = out };
	bool good;

	*out = (struct dns_message){ .ttl_s = INT32_MAX };
	buf_init(&r.expanded, DNS_RDATA_MAX + 3 * DNS_NAME_WIRE_MAX);
	good = read_head(&r, message, name);
	if (good) {
		r.room = message.n / RR_LEAST;	/* whatever the header says */
		out->rdata = arena_array(a, r.room, sizeof *out->rdata);
		good = follow(&r) && (out->n > 0 || negative_ttl(&r));
	}
	out->name = arena_copy(a, bytes_of(r.name.p, r.name.n));
	buf_fini(&r.expanded);
	return good ? DNS_MESSAGE_READ : r.octets > DNS_MESSAGE_MAX ? DNS_MESSAGE_LARGE : DNS_MESSAGE_BAD;
}
