/* SPDX-License-Identifier: ISC */
/*
 * mail/take.h - the reading side of buf_u8 .. buf_u64: takes a little-endian
 * number, or a text with its u32 length before it, off the front of a run. When
 * the run is too short *bad is set, which sticks, and zero or nothing is returned:
 * take freely, test once. put_text writes what take_text takes.
 */
#ifndef MAIL_TAKE_H
#define MAIL_TAKE_H

#include "base/buf.h"

static inline struct bytes
take_octets(struct bytes *run, size_t n, bool *bad)
{
	struct bytes taken = { run->p, n };

	if (*bad || n > run->n) {
		*bad = true;
		return (struct bytes){ 0 };
	}
	*run = bytes_skip(*run, n);
	return taken;
}

static inline uint64_t
take_number(struct bytes *run, size_t octets, bool *bad)
{
	struct bytes s = take_octets(run, octets, bad);
	uint64_t v = 0;

	for (size_t i = s.n; i-- > 0; )
		v = v << 8 | s.p[i];
	return v;
}

static inline uint8_t take_u8(struct bytes *run, bool *bad) { return (uint8_t)take_number(run, 1, bad); }
static inline uint16_t take_u16(struct bytes *run, bool *bad) { return (uint16_t)take_number(run, 2, bad); }
static inline uint32_t take_u32(struct bytes *run, bool *bad) { return (uint32_t)take_number(run, 4, bad); }
static inline uint64_t take_u64(struct bytes *run, bool *bad) { return take_number(run, 8, bad); }

static inline struct bytes
take_text(struct bytes *run, bool *bad)
{
	return take_octets(run, take_u32(run, bad), bad);
}

static inline void
put_text(struct buf *out, struct bytes s)
{
	buf_u32(out, (uint32_t)s.n);
	buf_add(out, s);
}

#endif
