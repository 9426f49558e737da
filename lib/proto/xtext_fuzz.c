/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/utf8.h"
#include "proto/xtext.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_plain(struct bytes s, struct arena *a)
{
	struct bytes out, again;
	struct buf b;

	if (!xtext_decode(s, a, &out))
		return;
	buf_init(&b, 3 * out.n + 1);
	xtext_encode(out, &b);
	must(xtext_decode(buf_bytes(&b), a, &again) && bytes_eq(out, again));
	buf_fini(&b);
}

static void
check_unicode(struct bytes s, struct arena *a)
{
	struct bytes out, again;
	struct buf b;

	if (!utf8_xtext_decode(s, true, a, &out))
		return;
	must(utf8_valid(out));
	buf_init(&b, 10 * out.n + 1);
	must(utf8_xtext_encode(out, &b));
	must(utf8_xtext_decode(buf_bytes(&b), false, a, &again) && bytes_eq(out, again));
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(1 << 20);

	check_plain(bytes_of(p, n), a);
	check_unicode(bytes_of(p, n), a);
	arena_free(&a);
	return 0;
}
