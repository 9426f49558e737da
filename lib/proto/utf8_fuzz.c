/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/utf8.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is taken apart is put together again octet for octet: there are no second spellings. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = bytes_of(p, n);
	unsigned char again[4];
	uint32_t c;
	size_t k;

	while ((k = utf8_take(rest, &c)) > 0) {
		must(k == utf8_length(rest) && utf8_put(c, again) == k && memcmp(again, rest.p, k) == 0);
		rest = bytes_skip(rest, k);
	}
	must(utf8_valid(bytes_of(p, n)) == (rest.n == 0));
	return 0;
}
