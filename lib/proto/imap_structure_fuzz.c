/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_structure.h"
#include "proto/imap_structure_testing.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const unsigned hows[] = { 0, IMAP_EXTENDED, IMAP_GLOBAL, IMAP_EXTENDED | IMAP_GLOBAL };

/* All that can be printed of a message, one after the other. */
static void
print(struct bytes message, struct arena *a, struct arena *scratch, struct buf *out)
{
	struct mime_tree t;
	struct mime_range header;
	struct bytes got;
	unsigned bodies;
	size_t i, at;

	mime_tree_parse(message, a, &t);
	header = mime_part_header(t.root);
	imap_envelope(bytes_head(message, header.n), scratch, out);
	must(grammar_envelope(buf_bytes(out)));
	for (i = 0; i < LEN(hows); i++) {
		at = out->n;
		imap_body(&t, hows[i], scratch, out);
		got = bytes_skip(buf_bytes(out), at);
		bodies = grammar_body(got, hows[i] & IMAP_EXTENDED, hows[i] & IMAP_GLOBAL);
		must(bodies > 0 && bodies <= t.parts);
		must(!(hows[i] & IMAP_GLOBAL) || bodies == t.parts);
	}
	must(!out->full);
}

/* It is legal grammar, and the same for a message stored with LF and with CRLF. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(2 * MIME_TREE_ARENA), *scratch = arena_new(IMAP_SCRATCH);
	struct buf crlf, x, y;
	size_t i;

	buf_init(&crlf, 2 * n + 1);
	buf_init(&x, 64 << 20);
	buf_init(&y, 64 << 20);
	for (i = 0; i < n; i++) {
		if (p[i] == '\n' && (i == 0 || p[i - 1] != '\r'))
			buf_char(&crlf, '\r');
		buf_char(&crlf, p[i]);
	}
	print(bytes_of(p, n), a, scratch, &x);
	print(buf_bytes(&crlf), a, scratch, &y);
	must(bytes_eq(buf_bytes(&x), buf_bytes(&y)));
	buf_fini(&crlf);
	buf_fini(&x);
	buf_fini(&y);
	arena_free(&a);
	arena_free(&scratch);
	return 0;
}
