/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_search.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* How many keys are below; each has what its kind promises. */
static size_t
check(const struct imap_key *key, unsigned depth)
{
	const struct imap_key *kid;
	size_t kids = 0, below = 0;

	must(depth <= IMAP_KEY_DEPTH_MAX && key->kind <= IMAP_KEY_SET);
	for (kid = key->kids; kid != NULL; kid = kid->next) {
		kids++;
		below += 1 + check(kid, depth + 1);
	}
	switch (key->kind) {
	case IMAP_KEY_AND:	must(kids > 0); break;
	case IMAP_KEY_OR:	must(kids == 2); break;
	case IMAP_KEY_NOT:	must(kids == 1); break;
	case IMAP_KEY_FLAG:	must(key->flag != 0 && kids == 0); break;
	default:		must(kids == 0); break;
	}
	return below;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new((1 << 20) + 2 * n);
	struct imap_search search;
	struct imap_lex l;

	imap_lex_init(&l, bytes_of(p, n), a);
	if (imap_search_parse(&l, &search)) {
		must(l.wrong == NULL && search.key_count <= IMAP_KEYS_MAX);
		must(check(search.keys, 0) == search.key_count);
	}
	arena_free(&a);
	return 0;
}
