/* SPDX-License-Identifier: ISC */
#include "mail/index_format.h"

#include "base/encode.h"
#include "base/little.h"
#include "base/mem.h"

#define INDEX_MAGIC	"HERMINDX"
#define DATA_MAGIC	"HERMDATA"
#define VERSION		1

/* ---- STEM.index ---- */

bool
index_get_header(struct bytes file, struct index_header *h)
{
	const unsigned char *p = file.p;

	if (file.n < INDEX_HEADER || memcmp(p, INDEX_MAGIC, 8) != 0 || little_u32(p + 8) != VERSION
	    || crc32_of(0, bytes_head(file, INDEX_BUSY_AT)) != little_u32(p + INDEX_HEADER - 4))
		return false;
	h->uidvalidity = little_u32(p + 12);
	h->inode = little_u64(p + 16);
	memcpy(h->boot, p + 24, sizeof h->boot);
	h->serial = little_u64(p + INDEX_SERIAL_AT);
	h->highest = little_u64(p + 48);
	h->count = little_u32(p + 56);
	h->sum = little_u64(p + 64);
	memcpy(h->data_id, p + 72, sizeof h->data_id);
	h->data_seen = little_u64(p + 88);
	memcpy(h->state, p + 96, sizeof h->state);
	return h->serial != 0 && h->highest != 0 && h->count <= INDEX_MAILS_MAX
	    && h->count <= (file.n - INDEX_HEADER) / INDEX_RECORD;
}

void
index_put_header(unsigned char *p, const struct index_header *h)
{
	memcpy(p, INDEX_MAGIC, 8);
	little_put_u32(p + 8, VERSION);
	little_put_u32(p + 12, h->uidvalidity);
	little_put_u64(p + 16, h->inode);
	memcpy(p + 24, h->boot, sizeof h->boot);
	little_put_u64(p + INDEX_SERIAL_AT, h->serial);
	little_put_u64(p + 48, h->highest);
	little_put_u32(p + 56, h->count);
	little_put_u32(p + 60, 0);
	little_put_u64(p + 64, h->sum);
	memcpy(p + 72, h->data_id, sizeof h->data_id);
	little_put_u64(p + 88, h->data_seen);
	memcpy(p + 96, h->state, sizeof h->state);
	memset(p + 96 + INDEX_STATE, 0, INDEX_BUSY_AT - 96 - INDEX_STATE);
	little_put_u32(p + INDEX_HEADER - 4, crc32_of(0, bytes_of(p, INDEX_BUSY_AT)));
}

void
index_read_record(const unsigned char *p, struct index_mail *m)
{
	m->uid = little_u32(p + 4);
	m->modseq = little_u64(p + 8);
	m->date_s = (int64_t)little_u64(p + 16);
	m->octets = little_u64(p + 24);
	m->data = little_u64(p + 32);
	m->name_at = little_u64(p + 40);
	m->flags = little_u32(p + 48);
	m->where = little_u32(p + 52);
}

bool
index_get_record(const unsigned char *p, struct index_mail *m)
{
	index_read_record(p, m);
	return crc32_of(0, bytes_of(p + 4, INDEX_RECORD - 4)) == little_u32(p);
}

uint32_t
index_put_record(unsigned char *p, const struct index_mail *m)
{
	uint32_t sum;

	little_put_u32(p + 4, m->uid);
	little_put_u64(p + 8, m->modseq);
	little_put_u64(p + 16, (uint64_t)m->date_s);
	little_put_u64(p + 24, m->octets);
	little_put_u64(p + 32, m->data);
	little_put_u64(p + 40, m->name_at);
	little_put_u32(p + 48, m->flags);
	little_put_u32(p + 52, m->where);
	sum = crc32_of(0, bytes_of(p + 4, INDEX_RECORD - 4));
	little_put_u32(p, sum);
	return sum;
}

bool
index_sound(struct bytes file, const struct index_header *h, uint64_t *live)
{
	const unsigned char *p = file.p + INDEX_HEADER;
	uint64_t sum = 0;
	uint32_t last = 0;

	*live = 0;
	for (uint32_t i = 0; i < h->count; i++, p += INDEX_RECORD) {
		struct index_mail m;

		if (!index_get_record(p, &m) || m.uid <= last || m.modseq == 0 || m.modseq > h->highest)
			return false;
		last = m.uid;
		sum += little_u32(p);
		*live += index_data_octets(m.data);
	}
	return sum == h->sum;
}

/* ---- STEM.data ---- */

bool
index_data_get_header(struct bytes file, unsigned char id[INDEX_ID])
{
	if (file.n < INDEX_DATA_HEADER || memcmp(file.p, DATA_MAGIC, 8) != 0
	    || little_u32(file.p + 8) != VERSION
	    || crc32_of(0, bytes_head(file, 40)) != little_u32(file.p + 40))
		return false;
	memcpy(id, file.p + 16, INDEX_ID);
	return true;
}

void
index_data_put_header(unsigned char p[INDEX_DATA_HEADER], const unsigned char id[INDEX_ID])
{
	memset(p, 0, INDEX_DATA_HEADER);
	memcpy(p, DATA_MAGIC, 8);
	little_put_u32(p + 8, VERSION);
	memcpy(p + 16, id, INDEX_ID);
	little_put_u32(p + 40, crc32_of(0, bytes_of(p, 40)));
	little_put_u64(p + INDEX_DATA_SEEN_AT, INDEX_DATA_HEADER);
}

static size_t
to_eight(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

size_t
index_data_size(struct bytes name, const struct index_data *d)
{
	const size_t part[] = { name.n, d->envelope.n, d->structure.n, d->fields.n };
	size_t n = INDEX_DATA_HEAD;

	for (size_t i = 0; i < LEN(part); i++) {
		if (part[i] > INDEX_DATA_MAX)
			return 0;
		n += part[i];
	}
	return to_eight(n) <= INDEX_DATA_MAX ? to_eight(n) : 0;
}

void
index_data_put(struct buf *out, struct bytes name, const struct index_data *d)
{
	static const unsigned char zero[8];
	size_t octets = index_data_size(name, d), from = out->n;

	must(octets > 0);
	buf_u64(out, 0);			/* the stamp */
	buf_u32(out, (uint32_t)octets);
	buf_u16(out, (uint16_t)name.n);
	buf_u16(out, 0);
	buf_u64(out, d->octets);
	buf_u32(out, (uint32_t)d->envelope.n);
	buf_u32(out, (uint32_t)d->structure.n);
	buf_u32(out, (uint32_t)d->fields.n);
	buf_u32(out, 0);
	buf_add(out, name);
	buf_add(out, d->envelope);
	buf_add(out, d->structure);
	buf_add(out, d->fields);
	buf_add(out, bytes_of(zero, from + octets - out->n));
}

/* Nobody outside can know the id: no text in a message is taken for a record of this file. */
static uint32_t
checksum(const unsigned char *record, size_t octets, const unsigned char id[INDEX_ID])
{
	return crc32_of(little_u32(id), bytes_of(record + 8, octets - 8));
}

void
index_data_stamp(unsigned char *record, const unsigned char id[INDEX_ID])
{
	memcpy(record, id + 4, 4);
	little_put_u32(record + 4, checksum(record, little_u32(record + 8), id));
}

bool
index_data_form(struct bytes file, uint64_t at, struct data_record *r)
{
	const unsigned char *p;

	if (at % 8 != 0 || at >= file.n || file.n - at < INDEX_DATA_HEAD)
		return false;
	p = file.p + at;
	r->octets = little_u32(p + 8);
	if (r->octets < INDEX_DATA_HEAD || r->octets > INDEX_DATA_MAX || r->octets > file.n - at)
		return false;
	r->name.n = little_u16(p + 12);
	r->data.octets = little_u64(p + 16);
	r->data.envelope.n = little_u32(p + 24);
	r->data.structure.n = little_u32(p + 28);
	r->data.fields.n = little_u32(p + 32);
	if (r->name.n == 0 || r->name.n > INDEX_NAME_MAX || index_data_size(r->name, &r->data) != r->octets)
		return false;
	r->name.p = p + INDEX_DATA_HEAD;
	r->data.envelope.p = r->name.p + r->name.n;
	r->data.structure.p = r->data.envelope.p + r->data.envelope.n;
	r->data.fields.p = r->data.structure.p + r->data.structure.n;
	return true;
}

static bool
stamped(const unsigned char *p, const unsigned char id[INDEX_ID])
{
	return memcmp(p, id + 4, 4) == 0;
}

bool
index_data_get(struct bytes file, uint64_t at, const unsigned char id[INDEX_ID], struct data_record *r)
{
	return index_data_form(file, at, r) && stamped(file.p + at, id)
	    && checksum(file.p + at, r->octets, id) == little_u32(file.p + at + 4);
}

bool
index_data_next(struct bytes file, const unsigned char id[INDEX_ID], struct data_cursor *c, uint64_t *at,
    struct data_record *r)
{
	for (; c->tries > 0 && c->at < file.n && file.n - c->at >= INDEX_DATA_HEAD; c->at += 8) {
		if (!stamped(file.p + c->at, id))
			continue;
		if (index_data_get(file, c->at, id, r)) {
			*at = c->at;
			c->at += r->octets;
			return true;
		}
		c->tries--;
	}
	return false;
}
