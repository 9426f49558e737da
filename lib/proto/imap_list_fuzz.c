/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_list.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* LIST and LSUB of the same text: what LSUB understands, LIST does. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new((1 << 20) + 4 * n);
	struct imap_list list, lsub;
	struct imap_lex l, k;
	bool ok;

	imap_lex_init(&l, bytes_of(p, n), a);
	ok = imap_list_parse(&l, &list) && imap_lex_end(&l);
	if (ok) {
		must(list.patterns.n > 0 && list.patterns.n <= IMAP_PATTERNS_MAX);
		must(!!(list.returns & IMAP_LIST_STATUS) == (list.status != 0));
	}
	imap_lex_init(&k, bytes_of(p, n), a);
	if (imap_lsub_parse(&k, &lsub) && imap_lex_end(&k)) {
		must(ok && !list.extended && lsub.patterns.n == 1);
		must(bytes_eq(lsub.patterns.name[0], list.patterns.name[0]));
	}
	arena_free(&a);
	return 0;
}
