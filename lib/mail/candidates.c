/* SPDX-License-Identifier: ISC */
#include "mail/candidates.h"

#include <stdio.h>

#include "base/encode.h"
#include "proto/smtp_reply.h"

bool
candidates_keep(struct candidate_host h[CANDIDATE_HOSTS], size_t *n, struct bytes name, unsigned preference)
{
	struct candidate_host new = { .name = name, .preference = preference };
	size_t worst = 0;

	if (*n < CANDIDATE_HOSTS) {
		h[(*n)++] = new;
		return true;
	}
	for (size_t i = 1; i < CANDIDATE_HOSTS; i++)
		if (h[i].preference > h[worst].preference)
			worst = i;
	if (preference < h[worst].preference)
		h[worst] = new;
	return false;
}

static size_t
chance(size_t below)
{
	uint32_t r;

	random_fill(&r, sizeof r);
	return r % below;
}

/* RFC 5321 section 5.1: those of one preference in random order. */
void
candidates_order(struct candidate_host *h, size_t n)
{
	struct candidate_host t;

	for (size_t i = n; i > 1; i--) {
		size_t j = chance(i);

		t = h[i - 1];
		h[i - 1] = h[j];
		h[j] = t;
	}
	/* By insertion, which leaves equals as they are; CANDIDATE_HOSTS is small. */
	for (size_t i = 1; i < n; i++) {
		size_t j = i;

		t = h[i];
		for (; j > 0 && h[j - 1].preference > t.preference; j--)
			h[j] = h[j - 1];
		h[j] = t;
	}
}

size_t
candidates_better(struct candidate_host *h, size_t n, unsigned own)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (h[i].preference < own)
			h[kept++] = h[i];
	return kept;
}

bool
candidates_from(struct candidate_host *h, size_t n, const struct nexthop *from)
{
	bool v4 = from->nfrom == 0 || nexthop_from(from, true), v6 = from->nfrom == 0 || nexthop_from(from, false), some = false;

	for (size_t i = 0; i < n; i++) {
		some = some || (!v4 && h[i].nv4 > 0) || (!v6 && h[i].nv6 > 0);
		h[i].nv4 = v4 ? h[i].nv4 : 0;
		h[i].nv6 = v6 ? h[i].nv6 : 0;
	}
	return some;
}

static void
shuffle(struct address *a, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = chance(i);
		struct address t = a[i - 1];

		a[i - 1] = a[j];
		a[j] = t;
	}
}

/* name empty: under whichever. */
static bool
is_among(const struct candidate *p, size_t n, const struct address *a, struct bytes name)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(&p[i].address, a, sizeof *a) == 0 && (name.n == 0 || bytes_case_eq(p[i].host, name)))
			return true;
	return false;
}

static void
add(const struct candidate_host *h, const struct address *a, uint16_t port, struct candidate *out, size_t *n)
{
	if (!is_among(out, *n, a, text("")))
		out[(*n)++] = (struct candidate){ .host = h->name, .address = *a, .port = port,
		    .preference = h->preference };
}

static size_t
count(const struct candidate_host *h, size_t from, size_t n)
{
	size_t all = 0;

	for (size_t i = from; i < n; i++)
		all += h[i].nv6 + h[i].nv4;
	return all;
}

/* RFC 5321 section 5.1: at least two addresses. Half of what may be tried is left to the others, as far as they have so many. */
static size_t
share_of(size_t room, size_t others)
{
	size_t half = room / 2, left = others < half ? others : half;

	return room > 2 ? room - left : room;
}

/* Of an address that is there under another name. */
static void
add_name(const struct candidate_host *h, const struct address *a, uint16_t port, struct candidate *out, size_t *n, size_t most)
{
	if (*n < most && is_among(out, *n, a, text("")) && !is_among(out, *n, a, h->name))
		out[(*n)++] = (struct candidate){ .host = h->name, .address = *a, .port = port,
		    .preference = h->preference };
}

static size_t
add_names(const struct candidate_host *h, size_t n, uint16_t port, struct candidate *out, size_t have, size_t most)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < h[i].nv6; k++)
			add_name(&h[i], &h[i].v6[k], port, out, &have, most);
		for (size_t k = 0; k < h[i].nv4; k++)
			add_name(&h[i], &h[i].v4[k], port, out, &have, most);
	}
	return have;
}

size_t
candidates_of(struct candidate_host *h, size_t n, uint16_t port, struct candidate *out, size_t most)
{
	size_t have = 0;

	for (size_t i = 0; i < n && have < most; i++) {
		size_t end = have + share_of(most - have, count(h, i + 1, n));

		shuffle(h[i].v6, h[i].nv6);
		shuffle(h[i].v4, h[i].nv4);
		for (size_t k = 0; k < CANDIDATE_ADDRESSES && have < end; k++) {
			if (k < h[i].nv6)
				add(&h[i], &h[i].v6[k], port, out, &have);
			if (k < h[i].nv4 && have < end)
				add(&h[i], &h[i].v4[k], port, out, &have);
		}
	}
	return add_names(h, n, port, out, have, most);
}

bool
candidate_same_address(const struct candidate *a, const struct candidate *b)
{
	return !a->socket && !b->socket && a->port == b->port && memcmp(&a->address, &b->address, sizeof a->address) == 0;
}

char *
candidate_text(const struct candidate *p, char dst[CANDIDATE_TEXT_MAX])
{
	char address[NETWORK_TEXT_MAX];
	struct buf name;

	if (p->socket) {
		snprintf(dst, CANDIDATE_TEXT_MAX, "%s", p->socket);
		return dst;
	}
	address_text(&p->address, address);
	if (p->host.n == 0) {
		snprintf(dst, CANDIDATE_TEXT_MAX, "[%s]:%u", address, (unsigned)p->port);
		return dst;
	}
	buf_init(&name, 300);
	smtp_safe_text(p->host, 240, true, &name);
	snprintf(dst, CANDIDATE_TEXT_MAX, "%.*s [%s]:%u", BYTES_FMT(buf_bytes(&name)), address, (unsigned)p->port);
	buf_fini(&name);
	return dst;
}
