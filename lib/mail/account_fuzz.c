/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/account.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What was decoded and encoded decodes to the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *arena = arena_new(1 << 18);
	struct account a, b;
	struct buf row;

	buf_init(&row, 2 * ACCOUNT_ROW_MAX);
	if (account_decode(bytes_of(p, n), arena, &a)) {
		account_encode(&a, &row);
		must(!row.full);
		if (row.n <= ACCOUNT_ROW_MAX) {
			must(account_decode(buf_bytes(&row), arena, &b));
			must(bytes_eq(a.password, b.password) && bytes_eq(a.mailbox, b.mailbox));
			must(a.uid == b.uid && a.gid == b.gid && a.state == b.state);
		}
	}
	buf_fini(&row);
	arena_free(&arena);
	return 0;
}
