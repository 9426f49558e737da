/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/nexthop.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is taken comes out in words that mean the same and are their own. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(1 << 16);
	struct nexthop x, y;
	struct bytes words;

	if (nexthop_parse(bytes_of(p, n), a, &x)) {
		words = nexthop_text(&x, a);
		must(words.n <= NEXTHOP_MAX);
		must(nexthop_parse(words, a, &y));
		must(x.kind == y.kind && x.port == y.port && bytes_eq(x.name, y.name));
		must(memcmp(&x.address, &y.address, sizeof x.address) == 0);
		must(x.nfrom == y.nfrom && memcmp(x.from, y.from, sizeof x.from) == 0);
		must(bytes_eq(nexthop_text(&y, a), words));
	}
	arena_free(&a);
	return 0;
}
