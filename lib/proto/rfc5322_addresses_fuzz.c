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

/* What is shown: groups that begin and end; when all can be read, the same mailboxes. */
static void
check_shown(struct bytes value, enum addresses_result result, const struct addresses *want, struct arena *a)
{
	const struct mailbox_entry *e, *w = want->v;
	struct addresses got;
	bool in_group = false;

	must(rfc5322_addresses_shown(value, value.n, a, &got) == ADDRESSES_OK);
	for (e = got.v; e < got.v + got.n; e++) {
		must(result != ADDRESSES_OK || e->kind != ENTRY_BROKEN);
		if (e->kind == ENTRY_GROUP || e->kind == ENTRY_GROUP_END) {
			must(in_group == (e->kind == ENTRY_GROUP_END));
			in_group = !in_group;
		} else if (w < want->v + want->n && e->kind == ENTRY_MAILBOX) {
			must(bytes_eq(e->local, w->local) && bytes_eq(e->domain, w->domain));
			must(e->in_group == in_group);
			w++;
		}
	}
	must(!in_group && w == want->v + want->n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(1 << 24);
	struct addresses got;
	enum addresses_result r = rfc5322_addresses(bytes_of(p, n), 50, a, &got);
	size_t i;

	must(got.n <= 50 && got.at <= n);
	check_shown(bytes_of(p, n), r, &got, a);
	for (i = 0; i < got.n; i++)
		check(&got.v[i], a);
	arena_free(&a);
	return 0;
}
