/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/charset.h"
#include "proto/utf8.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* In pieces of that many octets. */
static void
convert(const struct charset *c, struct bytes s, size_t piece, size_t room, struct buf *out)
{
	unsigned char held[CHARSET_REST + 1024];
	size_t n = 0, got;

	charset_begin(c);
	do {
		struct bytes next = bytes_head(s, piece), in;

		s = bytes_skip(s, next.n);
		if (next.n > 0)
			memcpy(held + n, next.p, next.n);
		in = bytes_of(held, n + next.n);
		while ((got = charset_convert(c, &in, s.n == 0, buf_room(out, room), room)) > 0) {
			must(got <= room);
			out->n += got;
		}
		must(in.n <= CHARSET_REST && (s.n > 0 || in.n == 0));
		memmove(held, in.p, in.n);
		n = in.n;
	} while (s.n > 0);
}

/* The first line is a charset. What comes out is UTF-8, and the same in pieces; letters without case have none. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes s = bytes_of(p, n), name = bytes_cut(&s, '\n');
	unsigned char *folded = mem_alloc(8 * n + 100), *again = mem_alloc(12 * n + 200);
	const struct charset *c;
	struct buf whole, pieces;
	size_t m;

	charsets_open();
	c = charset_find(name) != NULL ? charset_find(name) : charset_any();
	buf_init(&whole, 1 << 24);
	buf_init(&pieces, 1 << 24);
	convert(c, s, 1024, 4096, &whole);
	convert(c, s, 1 + n % 5, CHARSET_ROOM, &pieces);
	must(utf8_valid(buf_bytes(&whole)));
	must(utf8_valid(buf_bytes(&pieces)));
	must(!charset_is_plain(c) || bytes_eq(buf_bytes(&whole), buf_bytes(&pieces)));
	if (whole.n <= 4 * n) {
		m = charset_fold(buf_bytes(&whole), folded);
		must(m <= whole.n / 2 * 3 + 1);
		must(charset_fold(bytes_of(folded, m), again) == m && memcmp(folded, again, m) == 0);
	}
	buf_fini(&whole);
	buf_fini(&pieces);
	mem_free(folded);
	mem_free(again);
	return 0;
}
