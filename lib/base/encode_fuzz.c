/* SPDX-License-Identifier: ISC */
#include "base/encode.h"
#include "base/mem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is decoded must be spelled again as it was: one text for one value. */
static void
check(struct bytes s, bool (*decode)(struct bytes, struct buf *), void (*encode)(struct bytes, struct buf *),
    bool any_case)
{
	struct buf out, again;

	buf_init(&out, s.n);
	buf_init(&again, 2 * s.n + 4);
	if (decode(s, &out)) {
		encode(buf_bytes(&out), &again);
		must(any_case ? bytes_case_eq(buf_bytes(&again), s) : bytes_eq(buf_bytes(&again), s));
	} else {
		must(out.n == 0);
	}
	buf_clear(&out);
	buf_clear(&again);
	encode(s, &again);
	must(!again.full && decode(buf_bytes(&again), &out) && bytes_eq(buf_bytes(&out), s));
	buf_fini(&out);
	buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	check(bytes_of(p, n), base64_decode, base64_encode, false);
	check(bytes_of(p, n), hex_decode, hex_encode, true);
	return 0;
}
