/* SPDX-License-Identifier: ISC */
#include "mail/queue_filter.h"

#include "mail/queue_names.h"

/* ---- patterns ---- */

/* A * that did not go far enough takes one octet more; only the last one need ever be tried again. */
bool
queue_pattern(struct bytes pattern, struct bytes s)
{
	size_t p = 0, i = 0, star = SIZE_MAX, taken = 0;

	while (i < s.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			taken = i;
		} else if (p < pattern.n && (pattern.p[p] == '?' || ascii_lower(pattern.p[p]) == ascii_lower(s.p[i]))) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++taken;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

bool
queue_pattern_plain(struct bytes pattern)
{
	return bytes_find(pattern, '*') == pattern.n && bytes_find(pattern, '?') == pattern.n;
}

/* Anywhere in s. */
static bool
pattern_within(struct bytes pattern, struct bytes s)
{
	if (!queue_pattern_plain(pattern))
		return queue_pattern(pattern, s);
	for (size_t i = 0; i + pattern.n <= s.n; i++)
		if (bytes_case_starts(bytes_skip(s, i), pattern))
			return true;
	return false;
}

/* ---- names ---- */

static bool
asks_envelope(const struct queue_filter *f)
{
	return f->sender.n + f->recipient.n + f->domain.n + f->reason.n > 0 || f->older_s > 0 || f->younger_s > 0;
}

enum filter_name
queue_filter_name(const struct queue_filter *f, enum queue_place place, const char *name)
{
	bool plain = f->nexthop.n > 0 && queue_pattern_plain(f->nexthop);

	if (f->places != 0 && (f->places >> place & 1) == 0)
		return FILTER_NO;
	if (plain && !queue_name_hop(place, name, f->nexthop))
		return FILTER_NO;
	if (asks_envelope(f) || (f->nexthop.n > 0 && !(plain && queue_name_tells_hop(place, name))))
		return FILTER_MAYBE;
	return FILTER_YES;
}

/* ---- envelopes ---- */

static bool
sender_fits(struct bytes pattern, struct bytes sender)
{
	return pattern.n == 0 || queue_pattern(pattern, sender.n > 0 ? sender : text("<>"));
}

static bool
age_fits(const struct queue_filter *f, int64_t arrival_s, int64_t now_s)
{
	uint64_t age = now_s > arrival_s ? (uint64_t)now_s - (uint64_t)arrival_s : 0;

	return (f->older_s == 0 || age > f->older_s) && (f->younger_s == 0 || age < f->younger_s);
}

static struct bytes
domain_of(struct bytes address)
{
	size_t at = bytes_rfind(address, '@');

	return bytes_skip(address, at < address.n ? at + 1 : at);
}

static bool
address_fits(struct bytes pattern, const struct recipient *r)
{
	return queue_pattern(pattern, r->final) || queue_pattern(pattern, r->original);
}

static bool
domain_fits(struct bytes pattern, const struct recipient *r)
{
	return queue_pattern(pattern, domain_of(r->final)) || queue_pattern(pattern, domain_of(r->original));
}

static bool
hop_fits(struct bytes pattern, const struct recipient *r)
{
	return r->state == RCPT_WAITING && queue_pattern(pattern, r->nexthop);
}

static bool
reply_fits(struct bytes pattern, const struct recipient *r)
{
	return pattern_within(pattern, r->last_reply);
}

static bool
any_recipient(const struct envelope *e, struct bytes pattern, bool (*fits)(struct bytes, const struct recipient *))
{
	for (size_t i = 0; i < e->nrcpts; i++) {
		const struct recipient *r = &e->rcpts[i];

		if ((r->state == RCPT_WAITING || r->state == RCPT_FAILED) && fits(pattern, r))
			return true;
	}
	return false;
}

bool
queue_filter_envelope(const struct queue_filter *f, const struct envelope *e, int64_t now_s)
{
	return sender_fits(f->sender, e->sender) && age_fits(f, e->arrival_s, now_s)
	    && (f->recipient.n == 0 || any_recipient(e, f->recipient, address_fits))
	    && (f->domain.n == 0 || any_recipient(e, f->domain, domain_fits))
	    && (f->nexthop.n == 0 || any_recipient(e, f->nexthop, hop_fits))
	    && (f->reason.n == 0 || pattern_within(f->reason, e->hold_reason)
	        || any_recipient(e, f->reason, reply_fits));
}

/* ---- words ---- */

bool
queue_filter_places(struct bytes words, unsigned *places)
{
	static const struct { const char *word; enum queue_place place; } also[] = {
		{ "incoming", QUEUE_NEW }, { "deferred", QUEUE_LATER }, { "deferred", QUEUE_DOWN }, { "held", QUEUE_HOLD },
	};
	unsigned found = 0;

	do {
		struct bytes word = bytes_cut(&words, ',');
		unsigned bit = 0;

		for (unsigned i = 0; i < QUEUE_PLACES; i++)
			if (bytes_case_eq(word, text(queue_place_name[i])))
				bit = 1u << i;
		for (size_t i = 0; i < LEN(also); i++)
			if (bytes_case_eq(word, text(also[i].word)))
				bit |= 1u << also[i].place;
		if (bit == 0)
			return false;
		found |= bit;
	} while (words.n > 0);
	*places |= found;
	return true;
}
