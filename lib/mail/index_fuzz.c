/* SPDX-License-Identifier: ISC */
/* Octets as both files: all that can be read is read, and written again. */
#include "base/encode.h"
#include "base/little.h"
#include "base/mem.h"
#include "mail/index_format.h"

int	LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

/* Checksums would stop every mutation: they are made right. */
static void
mend_index(unsigned char *p, size_t n)
{
	uint64_t sum = 0;

	if (n < INDEX_HEADER)
		return;
	for (size_t i = 0; i < little_u32(p + 56) && i < (n - INDEX_HEADER) / INDEX_RECORD; i++) {
		unsigned char *record = p + INDEX_HEADER + i * INDEX_RECORD;

		little_put_u32(record, crc32_of(0, bytes_of(record + 4, INDEX_RECORD - 4)));
		sum += little_u32(record);
	}
	little_put_u64(p + 64, sum);
	little_put_u32(p + INDEX_HEADER - 4, crc32_of(0, bytes_of(p, INDEX_BUSY_AT)));
}

static void
mend_data(unsigned char *p, size_t n)
{
	struct data_record r;

	if (n < INDEX_DATA_HEADER)
		return;
	little_put_u32(p + 40, crc32_of(0, bytes_of(p, 40)));
	for (size_t at = INDEX_DATA_HEADER; at < n; at += 8)
		if (index_data_form(bytes_of(p, n), at, &r)) {
			index_data_stamp(p + at, p + 16);
			at += r.octets - 8;
		}
}

static void
read_records(struct bytes file, const struct index_header *h, struct bytes data, const unsigned char *id)
{
	unsigned char again[INDEX_RECORD];
	struct data_record r;
	struct index_mail m;

	for (uint32_t i = 0; i < h->count; i++) {
		const unsigned char *p = file.p + INDEX_HEADER + (size_t)i * INDEX_RECORD;

		must(index_get_record(p, &m));
		must(index_put_record(again, &m) == little_u32(p) && memcmp(again, p, sizeof again) == 0);
		if (id)
			(void)index_data_get(data, index_data_offset(m.data), id, &r);
	}
}

static void
read_data(struct bytes file, const unsigned char *id)
{
	struct data_cursor c = { .at = INDEX_DATA_HEADER, .tries = INDEX_DATA_TRIES };
	struct data_record r, same;
	struct buf again;
	uint64_t at, place, last = 0;

	buf_init(&again, INDEX_DATA_MAX);
	while (index_data_next(file, id, &c, &at, &r)) {
		must(at % 8 == 0 && at > last && r.octets <= file.n - at && c.at == at + r.octets);
		place = index_data_place(at, r.octets);
		must(index_data_octets(place) == r.octets && index_data_offset(place) == at);
		buf_clear(&again);
		index_data_put(&again, r.name, &r.data);
		index_data_stamp(again.p, id);
		must(again.n == r.octets && index_data_form(buf_bytes(&again), 0, &same));
		must(bytes_eq(same.name, r.name) && bytes_eq(same.data.fields, r.data.fields));
		last = at;
	}
	buf_fini(&again);
}

/* The first two octets: how long the index is; the third: which checksums are made right. */
int
LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	unsigned char id[INDEX_ID], *octets;
	struct bytes index, data;
	struct index_header h;
	uint64_t live;
	bool named;

	if (n < 3)
		return 0;
	octets = mem_alloc(n);
	memcpy(octets, p, n);
	index = bytes_head(bytes_of(octets + 3, n - 3), little_u16(p));
	data = bytes_of(index.p + index.n, n - 3 - index.n);
	if (p[2] & 1)
		mend_index(octets + 3, index.n);
	if (p[2] & 2)
		mend_data(octets + 3 + index.n, data.n);
	named = index_data_get_header(data, id);
	if (index_get_header(index, &h) && index_sound(index, &h, &live))
		read_records(index, &h, data, named ? id : NULL);
	if (named)
		read_data(data, id);
	mem_free(octets);
	return 0;
}
