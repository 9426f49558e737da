/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "base/mem.h"
#include "proto/mime_tree.h"
#include "proto/rfc5322_head.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The next part in the order of the text; NULL: no more. */
static const struct mime_part *
after(const struct mime_part *p)
{
	if (p->first != NULL)
		return p->first;
	while (p->next == NULL && p->parent != NULL)
		p = p->parent;
	return p->next;
}

/* The range lies in the text, and what is sent is counted right. */
static void
check_range(struct bytes s, struct mime_range r)
{
	size_t i, bare = 0, lines = 0;

	must(r.at <= s.n && r.n <= s.n - r.at);
	for (i = r.at; i < r.at + r.n; i++)
		if (s.p[i] == '\n') {
			lines++;
			bare += i == 0 || s.p[i - 1] != '\r';
		}
	must(r.sent == r.n + bare && r.lines == lines);
}

/* A part is inside its parent, behind the one before it, and has children if its kind says so. */
static void
check_part(const struct mime_part *p, struct bytes s)
{
	const struct mime_part *c;
	size_t at = p->body.at;

	check_range(s, mime_part_header(p));
	check_range(s, mime_part_body(p));
	must(p->header.at <= p->body.at && p->body.at <= p->end.at);
	for (c = p->first; c != NULL; c = c->next) {
		must(c->parent == p && c->header.at >= at && c->end.at <= p->end.at);
		at = c->end.at;
		must((c->next == NULL) == (c == p->last));
	}
	must((p->first != NULL) == (p->kind == MIME_MULTIPART || p->kind == MIME_MESSAGE));
	if (p->kind == MIME_MESSAGE)
		must(p->first == p->last && p->first->header.at == p->body.at && p->first->end.at == p->end.at);
}

/* A message as it passes by has the same parts. */
static void
check_head(const struct mime_tree *t)
{
	static const struct head_limits unlimited;
	static struct head h;
	const struct mime_part *p;
	unsigned parts = 0;

	for (p = t->root; p != NULL; p = after(p))
		parts += p->parent != NULL && p->parent->kind == MIME_MULTIPART;
	head_init(&h, &unlimited, bytes_of(NULL, 0), NULL, 0);
	head_feed(&h, t->text);
	head_end(&h);
	must(t->over_parts || (h.parts == parts && h.depth == t->depth));
	must(t->over_depth == ((h.over & HEAD_OVER_DEPTH) != 0));
}

/* With CRLF everywhere the tree is the same, and is as big as was said. */
static void
check_crlf(const struct mime_tree *t, struct arena *a)
{
	const struct mime_part *p, *q;
	struct mime_tree crlf;
	struct buf b;
	size_t i;

	buf_init(&b, 2 * t->text.n + 1);
	for (i = 0; i < t->text.n; i++) {
		if (t->text.p[i] == '\n' && (i == 0 || t->text.p[i - 1] != '\r'))
			buf_char(&b, '\r');
		buf_char(&b, t->text.p[i]);
	}
	mime_tree_parse(buf_bytes(&b), a, &crlf);
	must(crlf.parts == t->parts);
	for (p = t->root, q = crlf.root; p != NULL; p = after(p), q = after(q)) {
		must(p->kind == q->kind);
		must(mime_part_header(p).sent == mime_part_header(q).n);
		must(mime_part_body(p).sent == mime_part_body(q).n);
		must(mime_part_body(p).lines == mime_part_body(q).lines);
	}
	buf_fini(&b);
}

/* Any octets have a tree; any section lies in the text. The first line is a section. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(2 * MIME_TREE_ARENA);
	struct bytes message = bytes_of(p, n), section = bytes_cut(&message, '\n');
	const struct mime_part *part;
	struct mime_range r;
	struct mime_tree t;

	mime_tree_parse(message, a, &t);
	must(t.parts <= MIME_PARTS_MAX + 1 && t.depth <= MIME_DEPTH_MAX);
	must(t.root->header.at == 0 && t.root->end.at == message.n);
	for (part = t.root; part != NULL; part = after(part))
		check_part(part, message);
	if (mime_tree_section(&t, section, &r))
		check_range(message, r);
	mime_tree_part(&t, section);
	check_head(&t);
	check_crlf(&t, a);
	arena_free(&a);
	return 0;
}
