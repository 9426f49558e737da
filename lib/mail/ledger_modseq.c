/* SPDX-License-Identifier: ISC */
/* How far mod-sequences may have been told: RFC 7162 section 3.1. */
#include "mail/ledger_impl.h"

#include <errno.h>

#include "base/little.h"

uint64_t ledger_modseq_floor(const struct ledger *l) { return l->header.modseq_floor; }
uint64_t ledger_modseq_told(const struct ledger *l) { return l->made ? 0 : l->header.modseq_floor; }

bool
ledger_raise_floor(struct ledger *l, uint64_t floor)
{
	unsigned char octets[8];
	struct ledger_record r = { LEDGER_FLOOR, 0, bytes_of(octets, sizeof octets) };
	uint64_t before = l->header.modseq_floor;
	uint32_t chain;
	struct buf out;
	bool good;

	if (floor <= l->header.modseq_floor)
		return true;
	if (floor > LEDGER_MODSEQ_LAST) {
		errno = ERANGE;
		return false;
	}
	if (!ledger_is_known(l) || (l->behind && !ledger_write_both(l)))
		return false;
	little_put_u64(octets, floor);
	buf_init(&out, LEDGER_RECORD + sizeof octets);
	chain = ledger_put_record(&out, l->copy[0].chain, &r);
	l->header.modseq_floor = floor;
	good = ledger_append(l, &out, chain, true);
	buf_fini(&out);
	if (!good)
		l->header.modseq_floor = before;
	return good;
}

bool
ledger_modseq_reserve(struct ledger *l, uint64_t highest)
{
	if (highest <= l->header.modseq_floor)
		return true;
	return ledger_raise_floor(l, highest < LEDGER_MODSEQ_LAST - LEDGER_MODSEQ_STEP
	    ? highest + LEDGER_MODSEQ_STEP : highest);
}
