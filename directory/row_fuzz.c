/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "directory/directory.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Values, an octet for the field before each and an LF behind; an LF may be in a value as \x01. What makes a row makes one
 * that account_decode takes, and the bare row has no secret in it. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = bytes_of(p, n);
	struct arena *arena = arena_new(4 * ACCOUNT_ROW_MAX);
	struct account a;
	struct found f;
	struct buf row;
	const char *why;
	bool odd;

	found_init(&f);
	buf_init(&row, ACCOUNT_ROW_MAX);
	while (rest.n > 1) {
		unsigned field = rest.p[0] % DIRECTORY_FIELDS;

		rest = bytes_skip(rest, 1);
		found_add(&f, field, bytes_cut(&rest, '\n'));
	}
	if (f.verdict != NOT_SURE && row_make(&f, true, &row, &odd, &why)) {
		must(account_decode(buf_bytes(&row), arena, &a));
		must(row_make(&f, false, &row, &odd, &why) && account_decode(buf_bytes(&row), arena, &a));
		must(a.password.n == 0 && a.scram_sha_1.n == 0 && a.scram_sha_256.n == 0);
	}
	buf_fini(&row);
	found_fini(&f);
	arena_free(&arena);
	return 0;
}
