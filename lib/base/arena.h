/* SPDX-License-Identifier: ISC */
/*
 * base/arena.h - memory with one lifetime: a transaction, a message, a
 * command. Everything in it goes at once. Passed, never ambient.
 * Passing `max` octets is our bug (callers bound what they put in): must().
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bytes.h"

struct arena;

struct arena	*arena_new(size_t max);
void		 arena_free(struct arena **a);		/* clears *a; NULL is fine */
void		 arena_reset(struct arena *a);		/* empties; keeps one small block */
void		 arena_wipe(struct arena *a);		/* explicit_bzero, then as reset: secrets */
size_t		 arena_used(const struct arena *a);	/* octets given out since the reset */

void		*arena_alloc(struct arena *a, size_t n);	/* zeroed, aligned for anything */
void		*arena_array(struct arena *a, size_t count, size_t each);
struct bytes	 arena_copy(struct arena *a, struct bytes s);	/* p is never NULL */
char		*arena_text(struct arena *a, struct bytes s);	/* with a NUL; must have none inside */
struct bytes	 arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
