/* SPDX-License-Identifier: ISC */
/* What is read is written again to the same octets. */
#include "base/mem.h"
#include "mail/ledger.h"

int	LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int
LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct ledger_header h;
	struct ledger_cursor c;
	struct ledger_record r;
	struct buf out;
	uint32_t chain;
	size_t good;

	if (!ledger_begin(bytes_of(p, n), &h, &c))
		return 0;
	buf_init(&out, LEDGER_MAX);
	chain = ledger_put_header(&out, &h);
	while (ledger_next(&c, &r))
		chain = ledger_put_record(&out, chain, &r);
	good = n - c.rest.n;
	must(out.n == good && chain == c.chain);
	must(memcmp(out.p, p, good) == 0);
	buf_fini(&out);
	return 0;
}
