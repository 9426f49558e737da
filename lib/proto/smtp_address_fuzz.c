/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/smtp_address.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is taken comes out in canonical form, which means the same and is its own. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(1 << 20);
	struct smtp_address x, y;
	struct bytes canonical;
	unsigned take = n > 0 ? p[0] & 7 : 0;
	struct bytes s = bytes_skip(bytes_of(p, n), 1);

	if (smtp_reverse_path(s, take, a, &x) == SMTP_ADDRESS_OK) {
		canonical = smtp_address_text(&x, a);
		must(canonical.n <= SMTP_ADDRESS_MAX);
		must(smtp_reverse_path(canonical, take, a, &y) == SMTP_ADDRESS_OK);
		must(smtp_address_eq(&x, &y));
		must(bytes_eq(smtp_address_text(&y, a), canonical));
	}
	smtp_forward_path(s, take, a, &x);
	arena_free(&a);
	return 0;
}
