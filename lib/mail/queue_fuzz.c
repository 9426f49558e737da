/* SPDX-License-Identifier: ISC */
#include "base/encode.h"
#include "base/mem.h"
#include "mail/queue_format.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Checksums would stop every mutation: they are made right, where a flag octet says so. */
static void
mend(unsigned char *file, size_t n, unsigned flags)
{
	for (size_t i = 0; i < 3 && (i + 1) * QUEUE_SECTOR <= n; i++) {
		unsigned char *sector = file + i * QUEUE_SECTOR;
		uint32_t crc;

		if ((flags >> i & 1) == 0)
			continue;
		crc = crc32_of(0, bytes_of(sector, QUEUE_SECTOR - 4));
		for (unsigned k = 0; k < 4; k++)
			sector[QUEUE_SECTOR - 4 + k] = (unsigned char)(crc >> (8 * k));
	}
}

static uint64_t
number(const unsigned char *p)
{
	uint64_t v = 0;

	for (unsigned i = 8; i-- > 0; )
		v = v << 8 | p[i];
	return v;
}

/* The records' checksum of each pointer, before the sectors' own. */
static void
mend_records(unsigned char *file, size_t n)
{
	for (size_t i = 1; i < 3 && (i + 1) * QUEUE_SECTOR <= n; i++) {
		unsigned char *sector = file + i * QUEUE_SECTOR;
		uint64_t at = number(sector + 16), octets = number(sector + 24);
		uint32_t crc;

		if (at > n || octets > n - at)
			continue;
		crc = crc32_of(0, bytes_of(file + at, octets));
		for (unsigned k = 0; k < 4; k++)
			sector[40 + k] = (unsigned char)(crc >> (8 * k));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(ENVELOPE_ARENA);
	unsigned char *file = mem_alloc(n);
	unsigned flags = n > 0 ? p[n - 1] : 0;
	struct envelope e;
	uint64_t generation;

	if (n > 0)
		memcpy(file, p, n);
	if (flags & 8)
		mend_records(file, n);
	mend(file, n, flags);
	if (queue_parse(bytes_of(file, n), a, &e, &generation) == QUEUE_READ) {
		must(generation > 0);
		for (size_t i = 0; i < e.nextents; i++)
			must(e.extents[i].offset <= n && e.extents[i].octets <= n - e.extents[i].offset);
	}
	arena_free(&a);
	mem_free(file);
	return 0;
}
