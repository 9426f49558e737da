/* SPDX-License-Identifier: ISC */
/*
 * base/little.h - numbers in octets, little-endian, as all our files have them. No
 * alignment is asked for. What appends to a buffer is in base/buf.h.
 */
#ifndef BASE_LITTLE_H
#define BASE_LITTLE_H

#include <stdint.h>

static inline uint16_t
little_u16(const unsigned char *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t
little_u32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t
little_u64(const unsigned char *p)
{
	return little_u32(p) | (uint64_t)little_u32(p + 4) << 32;
}

static inline void
little_put_u16(unsigned char *p, uint16_t v)
{
	p[0] = (unsigned char)v;
	p[1] = (unsigned char)(v >> 8);
}

static inline void
little_put_u32(unsigned char *p, uint32_t v)
{
	little_put_u16(p, (uint16_t)v);
	little_put_u16(p + 2, (uint16_t)(v >> 16));
}

static inline void
little_put_u64(unsigned char *p, uint64_t v)
{
	little_put_u32(p, (uint32_t)v);
	little_put_u32(p + 4, (uint32_t)(v >> 32));
}

#endif
