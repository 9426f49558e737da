/* SPDX-License-Identifier: ISC */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

#define FIRST_CAP	64

void
buf_init(struct buf *b, size_t max)
{
	must(max < SIZE_MAX / 4);	/* so that doubling cannot overflow */
	*b = (struct buf){ .max = max };
}

void
buf_fini(struct buf *b)
{
	buf_release(b);
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->full = false;
}

void
buf_release(struct buf *b)
{
	mem_free(b->p);
	b->p = NULL;
	b->cap = 0;
	buf_clear(b);
}

/* Memory for `cap` octets in all; the caller has tested the maximum. */
static void
reserve(struct buf *b, size_t cap)
{
	size_t grown = b->cap > 0 ? b->cap * 2 : FIRST_CAP;

	if (cap <= b->cap)
		return;
	if (grown > b->max + 1)		/* 1: the NUL that vsnprintf writes */
		grown = b->max + 1;
	b->cap = cap > grown ? cap : grown;
	b->p = mem_resize(b->p, b->cap);
}

unsigned char *
buf_room(struct buf *b, size_t n)
{
	must(b->n <= b->max);
	if (b->full || n > b->max - b->n) {
		b->full = true;
		return NULL;
	}
	reserve(b, b->n + (n > 0 ? n : 1));
	return b->p + b->n;
}

void
buf_add(struct buf *b, struct bytes s)
{
	unsigned char *room = s.n > 0 ? buf_room(b, s.n) : NULL;

	if (room) {
		memcpy(room, s.p, s.n);
		b->n += s.n;
	}
}

void
buf_text(struct buf *b, const char *s)
{
	buf_add(b, text(s));
}

void
buf_char(struct buf *b, unsigned char c)
{
	buf_add(b, bytes_of(&c, 1));
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	unsigned char *room = buf_room(b, 0);
	va_list ap;
	int n;

	if (!room)
		return;
	va_start(ap, fmt);
	n = vsnprintf((char *)room, b->cap - b->n, fmt, ap);
	va_end(ap);
	must(n >= 0);
	if ((size_t)n >= b->cap - b->n) {
		if (!buf_room(b, (size_t)n))
			return;
		reserve(b, b->n + (size_t)n + 1);
		va_start(ap, fmt);
		vsnprintf((char *)b->p + b->n, b->cap - b->n, fmt, ap);
		va_end(ap);
	}
	if ((size_t)n > b->max - b->n)	/* the octet for the NUL had room for text */
		b->full = true;
	else
		b->n += (size_t)n;
}

void
buf_decimal(struct buf *b, uint64_t v)
{
	unsigned char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (unsigned char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	buf_add(b, bytes_of(digits + at, sizeof digits - at));
}

static void
add_little_endian(struct buf *b, uint64_t v, size_t n)
{
	unsigned char octets[8];

	for (size_t i = 0; i < n; i++)
		octets[i] = (unsigned char)(v >> (8 * i));
	buf_add(b, bytes_of(octets, n));
}

void buf_u8(struct buf *b, uint8_t v)	{ add_little_endian(b, v, 1); }
void buf_u16(struct buf *b, uint16_t v)	{ add_little_endian(b, v, 2); }
void buf_u32(struct buf *b, uint32_t v)	{ add_little_endian(b, v, 4); }
void buf_u64(struct buf *b, uint64_t v)	{ add_little_endian(b, v, 8); }

void
buf_drop(struct buf *b, size_t n)
{
	must(n <= b->n);
	b->n -= n;
	if (n > 0 && b->n > 0)
		memmove(b->p, b->p + n, b->n);
}

void
buf_wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_release(b);
}
