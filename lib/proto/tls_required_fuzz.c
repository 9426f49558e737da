/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/tls_required.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Whatever the pieces, the same is found. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t half = n > 0 ? p[0] % n : 0;
	struct tls_required one = { 0 }, two = { 0 };

	tls_required_feed(&one, bytes_of(p, n));
	tls_required_feed(&two, bytes_of(p, half));
	tls_required_feed(&two, bytes_of(p + half, n - half));
	must(tls_required_is_no(&one) == tls_required_is_no(&two));
	return 0;
}
