/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_testing.h - what the tests of the IMAP grammar share, beside proto/testing.h: an arena,
 * and a text in which what was understood is told.
 */
#ifndef PROTO_IMAP_TESTING_H
#define PROTO_IMAP_TESTING_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/testing.h"

static struct arena *arena;
static struct buf told;

/* For a setup of cmocka's. */
static inline int
imap_set_up(size_t arena_octets, size_t told_octets)
{
	arena = arena_new(arena_octets);
	buf_init(&told, told_octets);
	return 0;
}

static inline int
imap_tear_down(void **state)
{
	(void)state;
	arena_free(&arena);
	buf_fini(&told);
	return 0;
}

/* In `told`. */
static inline struct bytes
repeated(const char *head, const char *unit, size_t n, const char *tail)
{
	buf_clear(&told);
	buf_text(&told, head);
	while (n-- > 0)
		buf_text(&told, unit);
	buf_text(&told, tail);
	return buf_bytes(&told);
}

#endif
