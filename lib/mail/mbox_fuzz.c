/* SPDX-License-Identifier: ISC */
/*
 * In whatever pieces a file is split: the same messages, in order, without
 * overlap; and quoting is undone by unquoting.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "mail/mbox.h"

#define PARTS 64

struct parts { struct mbox_part part[PARTS]; size_t n; };

int	LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

static void
add(void *arg, const struct mbox_part *p)
{
	struct parts *parts = arg;

	must(p->at <= p->start && p->start <= p->end && p->octets <= 2 * (p->end - p->start));
	if (parts->n > 0 && parts->n <= PARTS)
		must(parts->part[parts->n - 1].end <= p->at);
	if (parts->n < PARTS)
		parts->part[parts->n] = *p;
	parts->n++;
}

static void
split(struct bytes file, size_t step, struct parts *parts)
{
	static const unsigned char key[16] = "0123456789abcdef";
	struct mbox_splitter *s = mem_alloc(sizeof *s);

	parts->n = 0;
	mbox_split_init(s, key);
	for (; file.n > 0; file = bytes_skip(file, step))
		mbox_split_feed(s, bytes_head(file, step), add, parts);
	mbox_split_end(s, add, parts);
	mem_free(s);
}

static size_t
filter(bool quote, struct bytes in, size_t step, unsigned char *out)
{
	struct from_filter f = { .quote = quote };
	size_t n = 0;

	for (; in.n > 0; in = bytes_skip(in, step)) {
		struct bytes piece = bytes_head(in, step);

		n += from_filter(&f, piece.p, piece.n, out + n);
	}
	return n + from_filter_end(&f, out + n);
}

int
LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	static struct parts whole, pieces;
	unsigned char *quoted = mem_alloc(2 * n + 16), *again = mem_alloc(2 * n + 16);
	size_t step = n > 0 ? p[0] % 7u + 1 : 1, nq, na;

	split(bytes_of(p, n), n + 1, &whole);
	split(bytes_of(p, n), step, &pieces);
	must(whole.n == pieces.n);
	for (size_t i = 0; i < whole.n && i < PARTS; i++)
		must(memcmp(&whole.part[i], &pieces.part[i], sizeof whole.part[i]) == 0);
	nq = filter(true, bytes_of(p, n), step, quoted);
	must(nq <= n + n / 5 + FROM_SLACK);
	na = filter(false, bytes_of(quoted, nq), step + 1, again);
	must(na == n && (n == 0 || memcmp(again, p, n) == 0));
	mem_free(quoted);
	mem_free(again);
	return 0;
}
