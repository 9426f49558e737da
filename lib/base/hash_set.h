/* SPDX-License-Identifier: ISC */
/*
 * base/hash_set.h - texts that were met, remembered by 64 bits of a hash each. Two that differ are taken for one so
 * seldom that it never happens to anybody; where even that matters, this is not the set to take.
 */
#ifndef BASE_HASH_SET_H
#define BASE_HASH_SET_H

#include "base/bytes.h"

struct hash_set { uint64_t *slot; size_t cap, n; };	/* zero: empty */

/* False: it is there already. */
bool	hash_set_add(struct hash_set *s, struct bytes text);
bool	hash_set_has(const struct hash_set *s, struct bytes text);
void	hash_set_free(struct hash_set *s);		/* s can be used again, empty */

#endif
