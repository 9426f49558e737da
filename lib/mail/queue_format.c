/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "base/encode.h"
#include "base/file.h"
#include "mail/queue_format.h"
#include "mail/take.h"

#define MAGIC_OCTETS	8
#define CRC_AT		(QUEUE_SECTOR - 4)
#define CHUNK		65536u

/* As PNG's: a transfer that changes line ends or strips a bit shows at once. */
static const unsigned char preamble_magic[MAGIC_OCTETS] = { 0x8e, 'H', 'R', 'M', 'Q', '\r', '\n', 0x1a };
static const unsigned char pointer_magic[MAGIC_OCTETS] = { 0x8e, 'H', 'R', 'M', 'P', '\r', '\n', 0x1a };

/* ---- sectors ---- */

static void
put_number(unsigned char *p, uint64_t v, size_t octets)
{
	for (size_t i = 0; i < octets; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static void
put_crc(unsigned char *sector)
{
	put_number(sector + CRC_AT, crc32_of(0, bytes_of(sector, CRC_AT)), 4);
}

void
queue_put_preamble(unsigned char sector[QUEUE_SECTOR], const struct queue_preamble *p)
{
	memset(sector, 0, QUEUE_SECTOR);
	memcpy(sector, preamble_magic, MAGIC_OCTETS);
	put_number(sector + 8, QUEUE_VERSION, 4);
	put_number(sector + 12, p->content_crc, 4);
	put_number(sector + 16, p->content_at, 8);
	put_number(sector + 24, p->content_octets, 8);
	memcpy(sector + 32, p->id, strnlen(p->id, QUEUE_ID_MAX));
	put_crc(sector);
}

void
queue_put_pointer(unsigned char sector[QUEUE_SECTOR], const struct queue_pointer *p)
{
	memset(sector, 0, QUEUE_SECTOR);
	memcpy(sector, pointer_magic, MAGIC_OCTETS);
	put_number(sector + 8, p->generation, 8);
	put_number(sector + 16, p->records_at, 8);
	put_number(sector + 24, p->records_octets, 8);
	put_number(sector + 32, p->base_octets, 8);
	put_number(sector + 40, p->records_crc, 4);
	put_crc(sector);
}

/* False: not such a sector, or damaged. */
static bool
open_sector(struct bytes sector, const unsigned char *magic, struct bytes *body)
{
	struct bytes crc = bytes_skip(sector, CRC_AT);
	bool bad = false;

	*body = bytes_skip(sector, MAGIC_OCTETS);
	return sector.n == QUEUE_SECTOR && memcmp(sector.p, magic, MAGIC_OCTETS) == 0
	    && take_u32(&crc, &bad) == crc32_of(0, bytes_head(sector, CRC_AT));
}

static enum queue_read
get_preamble(struct bytes sector, uint64_t size, struct queue_preamble *p)
{
	struct bytes b;
	bool bad = false;
	uint32_t version;

	if (!open_sector(sector, preamble_magic, &b))
		return QUEUE_DAMAGED;
	version = take_u32(&b, &bad);
	p->content_crc = take_u32(&b, &bad);
	p->content_at = take_u64(&b, &bad);
	p->content_octets = take_u64(&b, &bad);
	memcpy(p->id, b.p, QUEUE_ID_MAX);
	if (version != QUEUE_VERSION)
		return QUEUE_FOREIGN;
	return p->content_at <= size && p->content_octets <= size - p->content_at ? QUEUE_READ : QUEUE_DAMAGED;
}

static bool
get_pointer(struct bytes sector, unsigned slot, uint64_t size, struct queue_pointer *p)
{
	struct bytes b;
	bool bad = false;

	if (!open_sector(sector, pointer_magic, &b))
		return false;
	p->generation = take_u64(&b, &bad);
	p->records_at = take_u64(&b, &bad);
	p->records_octets = take_u64(&b, &bad);
	p->base_octets = take_u64(&b, &bad);
	p->records_crc = take_u32(&b, &bad);
	return p->generation > 0 && queue_pointer_at(p->generation) == QUEUE_SECTOR * (slot + 1)
	    && p->records_at <= size && p->records_octets <= size - p->records_at
	    && p->records_octets <= ENVELOPE_RECORDS && p->base_octets <= p->records_octets;
}

/* ---- the newest state that checks ---- */

/* A copy in the arena; the range is known to be in the file. NULL: errno. */
static const unsigned char *
copy_range(const struct queue_source *s, struct arena *a, uint64_t at, uint64_t octets)
{
	unsigned char *p = arena_alloc(a, octets);

	if (at <= s->head.n && octets <= s->head.n - at)
		memcpy(p, s->head.p + at, octets);
	else if (s->fd == -1 || !file_pread(s->fd, p, octets, (off_t)at))
		return NULL;
	return p;
}

static bool
extents_fit(const struct envelope *e, const struct queue_preamble *p, uint64_t size)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < e->nextents; i++) {
		const struct extent *x = &e->extents[i];

		if (x->offset < QUEUE_CONTENT || x->offset > size || x->octets > size - x->offset
		    || x->octets > p->content_octets - sum)
			return false;
		sum += x->octets;
	}
	return sum == p->content_octets;
}

static enum queue_read
read_records(const struct queue_source *s, struct arena *a, const struct queue_state *st, struct envelope *e)
{
	const struct queue_pointer *p = &st->pointer;
	const unsigned char *records = copy_range(s, a, p->records_at, p->records_octets);

	if (!records)
		return QUEUE_TROUBLE;
	if (crc32_of(0, bytes_of(records, p->records_octets)) != p->records_crc
	    || !envelope_decode(bytes_of(records, p->records_octets), a, e))
		return QUEUE_DAMAGED;
	if (e->unknown_critical)
		return QUEUE_FOREIGN;
	return extents_fit(e, &st->preamble, s->size) ? QUEUE_READ : QUEUE_DAMAGED;
}

enum queue_read
queue_read_state(const struct queue_source *s, struct arena *a, struct queue_state *st, struct envelope *e)
{
	struct queue_pointer p[QUEUE_POINTERS];
	bool sound[QUEUE_POINTERS];
	enum queue_read r;
	unsigned newest;

	*st = (struct queue_state){ 0 };
	*e = (struct envelope){ 0 };
	r = get_preamble(bytes_head(s->head, QUEUE_SECTOR), s->size, &st->preamble);
	if (r != QUEUE_READ)
		return r;
	for (unsigned i = 0; i < QUEUE_POINTERS; i++)
		sound[i] = get_pointer(bytes_head(bytes_skip(s->head, QUEUE_SECTOR * (i + 1)), QUEUE_SECTOR),
		    i, s->size, &p[i]);
	newest = sound[1] && (!sound[0] || p[1].generation > p[0].generation) ? 1 : 0;
	r = QUEUE_DAMAGED;
	for (unsigned i = 0; i < QUEUE_POINTERS && r == QUEUE_DAMAGED; i++, newest = !newest) {
		if (!sound[newest])
			continue;
		st->pointer = p[newest];
		r = read_records(s, a, st, e);
	}
	return r;
}

bool
queue_content_crc(int fd, uint64_t at, uint64_t octets, uint32_t *crc)
{
	static unsigned char chunk[CHUNK];

	while (octets > 0) {
		size_t n = octets < CHUNK ? (size_t)octets : CHUNK;

		if (!file_pread(fd, chunk, n, (off_t)at))
			return false;
		*crc = crc32_of(*crc, bytes_of(chunk, n));
		at += n;
		octets -= n;
	}
	return true;
}

enum queue_read
queue_parse(struct bytes file, struct arena *a, struct envelope *e, uint64_t *generation)
{
	struct queue_source s = { .head = file, .fd = -1, .size = file.n };
	struct queue_state st;
	enum queue_read r = queue_read_state(&s, a, &st, e);
	uint32_t crc = 0;

	if (r != QUEUE_READ)
		return r;
	for (size_t i = 0; i < e->nextents; i++)
		crc = crc32_of(crc, bytes_head(bytes_skip(file, e->extents[i].offset), e->extents[i].octets));
	*generation = st.pointer.generation;
	return crc == st.preamble.content_crc ? QUEUE_READ : QUEUE_DAMAGED;
}
