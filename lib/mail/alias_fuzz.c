/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/alias.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Nothing that runs or writes is ever given as an address. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *arena = arena_new(64 + 64 * (n + 1) * sizeof(void *));
	struct bytes value = bytes_of(p, n);
	struct alias_item item;

	while (alias_next(&value, arena, &item))
		if (item.kind == ALIAS_ADDRESS)
			must(item.text.n > 0 && !memchr("|/:", item.text.p[0], 3));
	arena_free(&arena);
	return 0;
}
