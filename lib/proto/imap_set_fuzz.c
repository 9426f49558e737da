/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_set.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Sorted, merged; its count, its ends and their neighbours are as they should be. */
static void
check_set(const struct imap_set *s)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < s->n; i++) {
		struct imap_range r = s->ranges[i];

		must(r.first > 0 && r.first <= r.last);
		must(i == 0 || r.first - s->ranges[i - 1].last > 1);
		must(imap_set_has(s, r.first) && imap_set_has(s, r.last) && imap_set_find(s, r.last) == i);
		must(!imap_set_has(s, r.first - 1));
		must(r.last == UINT32_MAX || !imap_set_has(s, r.last + 1));
		count += (uint64_t)r.last - r.first + 1;
	}
	must(count == imap_set_count(s) && !imap_set_has(s, 0));
}

/* In pieces of max at most; in `out` with commas between, as if it were one. */
static void
write_pieces(const struct imap_set *s, size_t max, struct buf *out)
{
	struct imap_set_writer w;
	size_t i, start = 0;

	imap_set_begin(&w, out, max);
	for (i = 0; i < s->n; i++) {
		if (imap_set_add(&w, s->ranges[i].first, s->ranges[i].last))
			continue;
		imap_set_end(&w);
		must(out->n > start && out->n - start <= max);
		buf_char(out, ',');
		start = out->n;
		imap_set_begin(&w, out, max);
		must(imap_set_add(&w, s->ranges[i].first, s->ranges[i].last));
	}
	imap_set_end(&w);
	must(max == 0 || out->n - start <= max);
}

static void
check_written(const struct imap_set *s, size_t max, struct arena *a)
{
	struct imap_set_text again;
	struct imap_set twin;
	struct buf b;

	buf_init(&b, 22 * s->n);
	write_pieces(s, max, &b);
	must(!b.full);
	must(imap_set_parse(buf_bytes(&b), IMAP_UID_SET, a, &again)
	    == (s->n > 0 ? IMAP_SET_PARSED : IMAP_SET_BAD));
	if (s->n > 0) {
		twin = imap_set_resolve(&again, 1, a);
		must(twin.n == s->n);
		must(memcmp(twin.ranges, s->ranges, s->n * sizeof *s->ranges) == 0);
	}
	buf_fini(&b);
}

/* The first octet is the largest number in use, and how long pieces may be. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_skip(bytes_of(p, n), 1);
	uint32_t largest = n > 0 && p[0] < 255 ? p[0] : UINT32_MAX;
	struct arena *a = arena_new(1 << 20);
	struct imap_set_text t;
	struct imap_set s;

	if (imap_set_parse(in, IMAP_SEQUENCE_SET, a, &t) == IMAP_SET_PARSED) {
		must(t.n > 0 && t.n <= (in.n + 1) / 2);
		must(t.star == (bytes_find(in, '*') < in.n));
		must(imap_set_parse(in, IMAP_UID_SET, a, &t) == (t.star ? IMAP_SET_BAD : IMAP_SET_PARSED));
		s = imap_set_resolve(&t, largest, a);
		check_set(&s);
		check_written(&s, 0, a);
		check_written(&s, IMAP_SET_PIECE_MIN + (n > 0 ? p[0] : 0), a);
	}
	arena_free(&a);
	return 0;
}
