/* SPDX-License-Identifier: ISC */
#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/mem.h"

#define FIRST_BLOCK	1024u
#define LAST_BLOCK	65536u
#define ALIGN		_Alignof(max_align_t)

struct block {
	struct block	*before;	/* owned */
	size_t		 n, cap;	/* octets of `data` used, and there */
	_Alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct block	*last;		/* owned; the one that is being filled */
	size_t		 used, max;
};

struct arena *
arena_new(size_t max)
{
	struct arena *a = mem_alloc(sizeof *a);

	must(max < SIZE_MAX / 4);
	a->max = max;
	return a;
}

void
arena_free(struct arena **a)
{
	if (!*a)
		return;
	while ((*a)->last) {
		struct block *b = (*a)->last;

		(*a)->last = b->before;
		mem_free(b);
	}
	mem_free(*a);
	*a = NULL;
}

void
arena_reset(struct arena *a)
{
	while (a->last && (a->last->before || a->last->cap > FIRST_BLOCK)) {
		struct block *b = a->last;

		a->last = b->before;
		mem_free(b);
	}
	if (a->last)
		a->last->n = 0;
	a->used = 0;
}

void
arena_wipe(struct arena *a)
{
	for (struct block *b = a->last; b; b = b->before)
		explicit_bzero(b->data, b->n);
	arena_reset(a);
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}

static void
add_block(struct arena *a, size_t n)
{
	size_t cap = a->last ? a->last->cap * 2 : FIRST_BLOCK;
	struct block *b;

	if (cap > LAST_BLOCK)
		cap = LAST_BLOCK;
	if (cap < n)
		cap = n;
	b = mem_resize(NULL, sizeof *b + cap);
	b->before = a->last;
	b->n = 0;
	b->cap = cap;
	a->last = b;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	unsigned char *p;

	must(n <= a->max - a->used);
	a->used += n;
	n = (n + ALIGN - 1) / ALIGN * ALIGN;
	if (!a->last || n > a->last->cap - a->last->n)
		add_block(a, n);
	p = a->last->data + a->last->n;
	a->last->n += n;
	return n > 0 ? memset(p, 0, n) : p;
}

void *
arena_array(struct arena *a, size_t count, size_t each)
{
	must(each == 0 || count <= SIZE_MAX / each);
	return arena_alloc(a, count * each);
}

struct bytes
arena_copy(struct arena *a, struct bytes s)
{
	unsigned char *p = arena_alloc(a, s.n);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return bytes_of(p, s.n);
}

char *
arena_text(struct arena *a, struct bytes s)
{
	char *p = arena_alloc(a, s.n + 1);

	must(bytes_to_text(s, p, s.n + 1));
	return p;
}

struct bytes
arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	must(n >= 0);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return bytes_of(p, (size_t)n);
}
