/* SPDX-License-Identifier: ISC */
/*
 * Any message: what is written has nothing in it that was to be avoided, the same structure, and bodies that decode to the
 * same octets. The first octet chooses what is avoided, the second the pieces.
 */
#include "base/mem.h"
#include "mail/downgrade.h"
#include "proto/mime_decode.h"
#include "proto/mime_field.h"
#include "proto/mime_tree.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_lines(struct bytes s, unsigned what)
{
	while (s.n > 0) {
		struct bytes line = bytes_cut(&s, '\n');

		if ((what & DOWNGRADE_8BIT))
			for (size_t i = 0; i < line.n; i++)
				must(line.p[i] < 0x80);
		if ((what & DOWNGRADE_LINES) == 0)
			continue;
		if (s.n > 0)
			must(line.n > 0 && line.p[line.n - 1] == '\r');
		must(line.n <= 999 && bytes_find(line, '\0') == line.n && bytes_find(line, '\r') + 1 >= line.n);
	}
}

/* What a reader sees of a body. */
static void
decoded(const struct mime_tree *t, const struct mime_part *p, struct buf *out)
{
	struct mime_decoder d;
	size_t got;

	buf_clear(out);
	mime_decoder_init(&d, mime_transfer(p->fields[MIME_ENCODING]), bytes_head(bytes_skip(t->text, p->body.at),
	    p->end.at - p->body.at));
	while ((got = mime_decode(&d, buf_room(out, 4096), 4096)) > 0)
		out->n += got;
}

static const struct mime_part *
next(const struct mime_part *p)
{
	if (p->first)
		return p->first;
	while (p && !p->next)
		p = p->parent;
	return p ? p->next : NULL;
}

static void
check_same(struct bytes before, struct bytes after)
{
	struct arena *a = arena_new(2 * MIME_TREE_ARENA);
	struct mime_tree x, y;
	struct buf bx, by;

	buf_init(&bx, 1 << 24);
	buf_init(&by, 1 << 24);
	mime_tree_parse(before, a, &x);
	mime_tree_parse(after, a, &y);
	must(x.parts == y.parts && x.depth == y.depth);
	for (const struct mime_part *p = x.root, *q = y.root; p; p = next(p), q = next(q)) {
		must(q && p->kind == q->kind);
		if (p->kind != MIME_SINGLE)
			continue;
		decoded(&x, p, &bx);
		decoded(&y, q, &by);
		must(bytes_eq(buf_bytes(&bx), buf_bytes(&by)));
	}
	buf_fini(&bx);
	buf_fini(&by);
	arena_free(&a);
}

static void
second_pass(struct downgrade *d, struct bytes message, size_t piece, struct buf *out)
{
	while (message.n > 0) {
		size_t before = out->n, got = piece < message.n ? piece : message.n;

		must(downgrade_write(d, bytes_head(message, piece), out));
		must(out->n - before <= 5 * got + 1024 + DOWNGRADE_HEADER_MAX);
		message = bytes_skip(message, piece);
	}
	must(downgrade_end(d, out) && !out->full);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes message, rest;
	const char *status, *why;
	struct downgrade *d;
	struct buf out;
	unsigned what;
	size_t piece;

	if (n < 2)
		return 0;
	what = 1 + p[0] % 7;
	piece = 1 + p[1] % 64u * 50;
	message = bytes_of(p + 2, n - 2);
	d = downgrade_new(what);
	for (rest = message; rest.n > 0; rest = bytes_skip(rest, piece))
		downgrade_look(d, bytes_head(rest, piece));
	buf_init(&out, 1 << 24);
	switch (downgrade_looked(d, &status, &why)) {
	case DOWNGRADE_NEEDLESS:
		if ((what & DOWNGRADE_LINES) == 0)
			check_lines(message, what);
		break;
	case DOWNGRADE_POSSIBLE:
		second_pass(d, message, piece, &out);
		check_lines(buf_bytes(&out), what & DOWNGRADE_8BIT);
		check_same(message, buf_bytes(&out));
		break;
	case DOWNGRADE_IMPOSSIBLE:
		must(status && why);
		break;
	}
	buf_fini(&out);
	downgrade_free(&d);
	return 0;
}
