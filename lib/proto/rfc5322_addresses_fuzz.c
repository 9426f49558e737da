/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/rfc5322_addresses.h"
#include "proto/smtp_address.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A mailbox, written as an envelope address, is read as the same mailbox. */
static void
check(const struct mailbox_entry *e, struct arena *a)
{
	struct addresses again;
	struct buf b;

	buf_init(&b, 4 * (e->local.n + e->domain.n) + 10);
	smtp_address_join(e->local, e->domain, &b);
	must(rfc5322_addresses(buf_bytes(&b), 2, a, &again) == ADDRESSES_OK && again.n == 1);
	must(bytes_eq(again.v[0].local, e->local) && bytes_case_eq(again.v[0].domain, e->domain));
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(1 << 24);
	struct addresses got;
	size_t i;

	rfc5322_addresses(bytes_of(p, n), 50, a, &got);
	must(got.n <= 50 && got.at <= n);
	for (i = 0; i < got.n; i++)
		check(&got.v[i], a);
	arena_free(&a);
	return 0;
}
