/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/drop.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A file that is whole, written again, is the same file. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_of(p, n);
	struct drop_file f = { 0 }, again = { 0 };
	struct drop_record r;
	struct buf out;

	buf_init(&out, n + 64);
	while (drop_take(&f, &in, &r) == DROP_TAKEN)
		drop_put(&again, &r, &out);
	if (drop_whole(&f) && in.n == 0)
		must(bytes_eq(buf_bytes(&out), bytes_of(p, n)));
	buf_fini(&out);
	return 0;
}
