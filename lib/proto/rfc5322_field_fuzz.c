/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/rfc5322_field.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Fields, the empty line and the body are all there is, in order, without gaps. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = bytes_of(p, n), value;
	struct arena *a = arena_new(1 << 24);
	const uint8_t *at = p;
	struct field f;

	while (field_next(&rest, &f)) {
		must(f.whole.p == at && f.whole.n > 0);
		at += f.whole.n;
		value = field_unfold(f.value, a);
		must(value.n <= f.value.n && bytes_find(value, '\n') == value.n);
	}
	must(rest.n == 0 || (size_t)(rest.p - at) <= 2);
	arena_free(&a);
	return 0;
}
