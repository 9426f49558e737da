/* SPDX-License-Identifier: ISC */
/* The pure half of mail/ledger.h: octets to records and back. */
#include "mail/ledger.h"

#include "base/encode.h"
#include "base/little.h"
#include "base/mem.h"

#define MAGIC	"HERMLEDG"
#define VERSION	1

/* What the first record is chained to: the header but for the inode, so that both copies have the same records. */
static uint32_t
chain_start(const unsigned char *header)
{
	return crc32_of(crc32_of(0, bytes_of(header + 12, 12)), bytes_of(header + 32, 20));
}

bool
ledger_begin(struct bytes file, struct ledger_header *h, struct ledger_cursor *c)
{
	if (file.n < LEDGER_HEADER || memcmp(file.p, MAGIC, 8) != 0
	    || little_u32(file.p + 8) != VERSION
	    || crc32_of(0, bytes_head(file, 60)) != little_u32(file.p + 60))
		return false;
	h->uidvalidity = little_u32(file.p + 12);
	h->generation = little_u64(file.p + 16);
	h->inode = little_u64(file.p + 24);
	memcpy(h->key, file.p + 32, sizeof h->key);
	h->uidnext = little_u32(file.p + 48);
	h->modseq_floor = little_u64(file.p + 52);
	if (h->uidvalidity == 0 || h->uidnext == 0)
		return false;
	*c = (struct ledger_cursor){ .rest = bytes_skip(file, LEDGER_HEADER),
	    .chain = chain_start(file.p) };
	return true;
}

bool
ledger_record_at(struct bytes rest, struct ledger_record *r)
{
	size_t n;

	if (rest.n < LEDGER_RECORD)
		return false;
	r->type = little_u16(rest.p + 4);
	r->uid = little_u32(rest.p + 8);
	n = little_u16(rest.p + 6);
	r->name = bytes_of(rest.p + LEDGER_RECORD, n);
	return n <= LEDGER_NAME_MAX && rest.n - LEDGER_RECORD >= n;
}

bool
ledger_next(struct ledger_cursor *c, struct ledger_record *r)
{
	const unsigned char *p = c->rest.p;

	if (c->rest.n == 0 || c->damaged)
		return false;
	c->damaged = true;
	if (!ledger_record_at(c->rest, r)
	    || crc32_of(c->chain, bytes_of(p + 4, LEDGER_RECORD - 4 + r->name.n)) != little_u32(p))
		return false;
	if (r->type == LEDGER_GIVEN) {
		if (r->uid <= c->last || r->name.n == 0)
			return false;
		c->last = r->uid;
	}
	c->chain = little_u32(p);
	c->rest = bytes_skip(c->rest, LEDGER_RECORD + r->name.n);
	c->damaged = false;
	return true;
}

uint32_t
ledger_put_header(struct buf *out, const struct ledger_header *h)
{
	size_t at = out->n;

	buf_text(out, MAGIC);
	buf_u32(out, VERSION);
	buf_u32(out, h->uidvalidity);
	buf_u64(out, h->generation);
	buf_u64(out, h->inode);
	buf_add(out, bytes_of(h->key, sizeof h->key));
	buf_u32(out, h->uidnext);
	buf_u64(out, h->modseq_floor);
	buf_u32(out, crc32_of(0, bytes_skip(buf_bytes(out), at)));
	return out->full ? 0 : chain_start(out->p + at);
}

uint32_t
ledger_put_record(struct buf *out, uint32_t chain, const struct ledger_record *r)
{
	unsigned char head[LEDGER_RECORD - 4];

	must(r->name.n <= LEDGER_NAME_MAX);
	little_put_u16(head, (uint16_t)r->type);
	little_put_u16(head + 2, (uint16_t)r->name.n);
	little_put_u32(head + 4, r->uid);
	chain = crc32_of(chain, bytes_of(head, sizeof head));
	chain = crc32_of(chain, r->name);
	buf_u32(out, chain);
	buf_add(out, bytes_of(head, sizeof head));
	buf_add(out, r->name);
	return chain;
}
