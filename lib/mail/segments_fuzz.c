/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/segments.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Text comes back as it is; the sum of the parts is the size; what is written again is the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes run = bytes_of(p, n);
	struct segment s;
	struct buf again;
	uint64_t sum = 0, octets = 0;
	bool bad = false, sized = segments_size(run, &octets), empty = false;

	buf_init(&again, n + 1);
	while (segments_next(&run, &s, &bad)) {
		sum += s.octets;
		empty = empty || s.octets == 0;
		if (s.file)
			segments_add_file(&again, s.offset, s.octets);
		else
			segments_add_text(&again, s.text);
		if (sum > (uint64_t)1 << 62)
			break;
	}
	if (sized) {
		must(!bad && sum == octets);
		must(empty || bytes_eq(buf_bytes(&again), bytes_of(p, n)));
	}
	buf_fini(&again);
	return 0;
}
