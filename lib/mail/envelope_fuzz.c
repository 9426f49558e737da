/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/envelope.h"
#include "mail/segments.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is decoded and written again is decoded to the same; its segments are well-formed. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(ENVELOPE_ARENA);
	struct envelope e, again;
	struct buf one, two, segments;
	uint64_t octets;

	buf_init(&one, 2 * n + 4096);
	buf_init(&two, 2 * n + 4096);
	buf_init(&segments, 49152);
	if (envelope_decode(bytes_of(p, n), a, &e)) {
		envelope_encode(&e, &one);
		must(!one.full && envelope_decode(buf_bytes(&one), a, &again));
		must(again.unknown_critical == e.unknown_critical);
		envelope_encode(&again, &two);
		must(bytes_eq(buf_bytes(&one), buf_bytes(&two)));
		if (envelope_segments(&e, &segments))
			(void)segments_size(buf_bytes(&segments), &octets);
	}
	buf_fini(&one);
	buf_fini(&two);
	buf_fini(&segments);
	arena_free(&a);
	return 0;
}
