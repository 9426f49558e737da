/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_utf7.h"
#include "proto/utf8.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

typedef bool	way(struct bytes, struct buf *);

/* What goes one way comes back the other as it was, within the sizes of the header. */
static bool
round_trip(struct bytes in, way *there, way *back, size_t times, size_t of, struct buf *out)
{
	struct buf again;
	bool ok;

	buf_init(out, in.n * times / of);
	ok = there(in, out);
	must(!out->full && (ok || out->n == 0));
	buf_init(&again, in.n);
	must(!ok || (back(buf_bytes(out), &again) && bytes_eq(buf_bytes(&again), in)));
	buf_fini(&again);
	return ok;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_of(p, n);
	struct buf out;
	size_t i;

	if (round_trip(in, imap_utf7_decode, imap_utf7_encode, 9, 8, &out))
		must(utf8_valid(buf_bytes(&out)));
	buf_fini(&out);
	if (round_trip(in, imap_utf7_encode, imap_utf7_decode, 5, 2, &out))
		for (i = 0; i < out.n; i++)
			must(out.p[i] >= 0x20 && out.p[i] <= 0x7e);
	buf_fini(&out);
	return 0;
}
