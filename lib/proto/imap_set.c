/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/mem.h"
#include "proto/imap_set.h"

#define STAR	0u		/* no number is 0 */

/* ---- parse -------------------------------------------------------------------- */

/* seq-number = nz-number / "*"; uniqueid = nz-number; nz-number = digit-nz *DIGIT */
static bool
parse_number(struct bytes s, enum imap_set_syntax syntax, uint32_t *out)
{
	uint64_t v = STAR;

	if (syntax != IMAP_SEQUENCE_SET || !bytes_eq(s, text("*")))
		if (s.n == 0 || s.p[0] == '0' || !bytes_u64(s, UINT32_MAX, &v))
			return false;
	*out = (uint32_t)v;
	return true;
}

/* seq-range = seq-number ":" seq-number; uid-range = (uniqueid ":" uniqueid) */
static bool
parse_range(struct bytes s, enum imap_set_syntax syntax, struct imap_range *out)
{
	size_t colon = bytes_find(s, ':');

	if (!parse_number(bytes_head(s, colon), syntax, &out->first))
		return false;
	out->last = out->first;
	return colon == s.n || parse_number(bytes_skip(s, colon + 1), syntax, &out->last);
}

static size_t
count_ranges(struct bytes s)
{
	size_t n = 1, comma;

	for (; (comma = bytes_find(s, ',')) < s.n && n <= IMAP_SET_RANGES_MAX; n++)
		s = bytes_skip(s, comma + 1);
	return n;
}

/* sequence-set = (seq-number / seq-range) *("," sequence-set); sequence-set =/ "$" */
enum imap_set_parse
imap_set_parse(struct bytes s, enum imap_set_syntax syntax, struct arena *a,
    struct imap_set_text *out)
{
	size_t i, n = count_ranges(s);
	struct imap_range *r;
	bool star = false;

	if (syntax == IMAP_SEQUENCE_SET && bytes_eq(s, text("$"))) {
		*out = (struct imap_set_text){ 0 };
		return IMAP_SET_SAVED;
	}
	if (n > IMAP_SET_RANGES_MAX)
		return IMAP_SET_MANY;
	r = arena_array(a, n, sizeof *r);
	for (i = 0; i < n; i++) {
		if (!parse_range(bytes_cut(&s, ','), syntax, &r[i]))
			return IMAP_SET_BAD;
		star = star || r[i].first == STAR || r[i].last == STAR;
	}
	*out = (struct imap_set_text){ r, n, star };
	return IMAP_SET_PARSED;
}

/* ---- resolve ------------------------------------------------------------------ */

static int
by_first(const void *a, const void *b)
{
	const struct imap_range *l = a, *r = b;

	return (l->first > r->first) - (l->first < r->first);
}

/* Overlapping and adjacent ranges made one; r is sorted. Returns how many are left. */
static size_t
merge(struct imap_range *r, size_t n)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		/* last + 1 may be 2^32, first - 1 is never less than 0 */
		if (kept == 0 || r[i].first - 1 > r[kept - 1].last)
			r[kept++] = r[i];
		else if (r[i].last > r[kept - 1].last)
			r[kept - 1].last = r[i].last;
	}
	return kept;
}

struct imap_set
imap_set_resolve(const struct imap_set_text *s, uint32_t largest, struct arena *a)
{
	struct imap_range *r = arena_array(a, s->n, sizeof *r);
	size_t i, n = 0;

	for (i = 0; i < s->n; i++) {
		uint32_t x = s->ranges[i].first, y = s->ranges[i].last;

		x = x == STAR ? largest : x;
		y = y == STAR ? largest : y;
		if (x != 0 && y != 0)		/* RFC 3501: "regardless of order" */
			r[n++] = x < y ? (struct imap_range){ x, y } : (struct imap_range){ y, x };
	}
	if (n > 1)
		qsort(r, n, sizeof *r, by_first);
	return (struct imap_set){ r, merge(r, n) };
}

/* ---- ask ---------------------------------------------------------------------- */

size_t
imap_set_find(const struct imap_set *s, uint32_t n)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->ranges[middle].last < n)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
imap_set_has(const struct imap_set *s, uint32_t n)
{
	size_t i = imap_set_find(s, n);

	return i < s->n && s->ranges[i].first <= n;
}

uint32_t
imap_set_last(const struct imap_set *s)
{
	return s->n > 0 ? s->ranges[s->n - 1].last : 0;
}

/* Ranges do not overlap and 0 is in none: at most 2^32 - 1. */
uint32_t
imap_set_count(const struct imap_set *s)
{
	uint32_t count = 0;
	size_t i;

	for (i = 0; i < s->n; i++)
		count += s->ranges[i].last - s->ranges[i].first + 1;
	return count;
}

/* ---- write -------------------------------------------------------------------- */

static size_t
digits(uint32_t v)
{
	size_t n = 1;

	for (; v >= 10; v /= 10)
		n++;
	return n;
}

/* Octets of r as text, with a comma when something is before it; none for 0, 0. */
static size_t
length(size_t before, struct imap_range r)
{
	if (r.first == 0)
		return 0;
	return (before > 0) + digits(r.first) + (r.last > r.first ? 1 + digits(r.last) : 0);
}

static void
flush(struct imap_set_writer *w)
{
	if (w->last.first == 0)
		return;
	buf_fmt(w->out, "%s%u", w->n > 0 ? "," : "", (unsigned)w->last.first);
	if (w->last.last > w->last.first)
		buf_fmt(w->out, ":%u", (unsigned)w->last.last);
	w->n += length(w->n, w->last);
}

void
imap_set_begin(struct imap_set_writer *w, struct buf *out, size_t max)
{
	must(max == 0 || max >= IMAP_SET_PIECE_MIN);
	*w = (struct imap_set_writer){ .out = out, .max = max };
}

bool
imap_set_add(struct imap_set_writer *w, uint32_t first, uint32_t last)
{
	bool joins = w->last.first != 0 && first - 1 == w->last.last;
	size_t before = joins ? w->n : w->n + length(w->n, w->last);
	struct imap_range r = { joins ? w->last.first : first, last };

	must(first > w->last.last && first <= last);
	if (w->max > 0 && before + length(before, r) > w->max)
		return false;
	if (!joins)
		flush(w);
	w->last = r;
	return true;
}

void
imap_set_end(struct imap_set_writer *w)
{
	flush(w);
	*w = (struct imap_set_writer){ 0 };
}
