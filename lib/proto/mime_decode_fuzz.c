/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "base/mem.h"
#include "proto/mime_decode.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
decode(enum mime_transfer how, struct bytes in, size_t room, struct buf *out)
{
	struct mime_decoder d;
	size_t n;

	buf_clear(out);
	mime_decoder_init(&d, how, in);
	while ((n = mime_decode(&d, buf_room(out, room), room)) > 0) {
		must(n <= room);
		out->n += n;
	}
	must(d.in.n == 0 && out->n <= in.n);
}

/* Pieces of any size give the same; an encoded word lies in its text. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes s = bytes_of(p, n);
	struct encoded_word w;
	struct buf whole, pieces;
	size_t k, room = n > 0 ? 1 + p[0] % 7 : 1;
	int how;

	buf_init(&whole, 3 * n + 100);
	buf_init(&pieces, 3 * n + 100);
	for (how = MIME_PLAIN; how <= MIME_Q; how++) {
		decode((enum mime_transfer)how, s, n + 1, &whole);
		decode((enum mime_transfer)how, s, room, &pieces);
		must(bytes_eq(buf_bytes(&whole), buf_bytes(&pieces)));
	}
	k = encoded_word(s, &w);
	must(k <= n);
	if (k > 0)
		must(w.charset.n > 0 && w.text.p >= p && w.text.p + w.text.n + 2 == p + k
		    && bytes_find(w.text, '?') == w.text.n);
	mime_transfer(s);
	buf_fini(&whole);
	buf_fini(&pieces);
	return 0;
}
