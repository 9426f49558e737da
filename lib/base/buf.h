/* SPDX-License-Identifier: ISC */
/*
 * base/buf.h - an owned, growing run of octets with a maximum of its own.
 * An append that would pass `max` appends nothing and sets `full`, which
 * sticks until buf_clear: append freely, test once. Memory is taken when
 * first needed. All size arithmetic of the suite is in buf.c.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/bytes.h"

struct buf { unsigned char *p; size_t n, cap, max; bool full; };

void	buf_init(struct buf *b, size_t max);
void	buf_fini(struct buf *b);		/* frees; b can be used again, empty */
void	buf_clear(struct buf *b);		/* n = 0, full = false; keeps the memory */
void	buf_release(struct buf *b);		/* as clear, and gives the memory back: idle sessions */

void	buf_add(struct buf *b, struct bytes s);
void	buf_text(struct buf *b, const char *s);
void	buf_char(struct buf *b, unsigned char c);
void	buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void	buf_decimal(struct buf *b, uint64_t v);	/* its digits; faster than buf_fmt */
void	buf_u8(struct buf *b, uint8_t v);
void	buf_u16(struct buf *b, uint16_t v);	/* little-endian, here and below */
void	buf_u32(struct buf *b, uint32_t v);
void	buf_u64(struct buf *b, uint64_t v);

/* Room for n more octets at the end, to be filled by the caller (read(2)), who
 * then adds to b->n what was filled. NULL, and full set, when past max. */
unsigned char	*buf_room(struct buf *b, size_t n);

void	buf_drop(struct buf *b, size_t n);	/* takes n octets (at most all) off the front */
void	buf_wipe(struct buf *b);		/* explicit_bzero, then as buf_release: secrets */

static inline struct bytes
buf_bytes(const struct buf *b)
{
	return (struct bytes){ b->p, b->n };
}

#endif
