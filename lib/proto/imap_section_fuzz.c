/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_section.h"
#include "proto/rfc5322_field.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Pieces are in the text, one behind the other, as many octets as was said; their sum. */
static size_t
check_pieces(struct imap_pieces p, struct bytes message, struct buf *all)
{
	const unsigned char *at = message.p;
	uint64_t octets = imap_section_octets(p), sent = 0;
	struct bytes piece;

	buf_clear(all);
	while (imap_section_next(&p, &piece)) {
		must(piece.n > 0 && piece.p >= at && piece.p + piece.n <= message.p + message.n);
		at = piece.p + piece.n;
		sent += piece.n + bytes_bare_lfs(piece);
		buf_add(all, piece);
	}
	must(octets == sent && !imap_section_next(&p, &piece));
	return all->n;
}

/* A choice and what is left by it are the header, but that both have its empty line. */
static void
check_not(struct imap_section section, const struct mime_tree *t, size_t chosen, struct buf *all)
{
	struct imap_pieces p;
	struct bytes rest;
	struct field f;
	size_t n, header, empty;

	section.what = section.what == IMAP_PART_FIELDS ? IMAP_PART_FIELDS_NOT : IMAP_PART_FIELDS;
	must(imap_section_find(t, &section, &p));
	n = check_pieces(p, t->text, all);
	section.what = IMAP_PART_HEADER;
	must(imap_section_find(t, &section, &p));
	header = p.rest.n;
	for (rest = p.rest, empty = rest.n; field_next(&rest, &f); empty = rest.n)
		;
	must(chosen + n - (empty - rest.n) == header);
}

/* Its pieces; and the name it has in the answer is read back as the same. */
static void
check_section(const struct imap_section *section, const struct mime_tree *t, struct arena *a, struct buf *all)
{
	struct imap_fetch again;
	struct imap_pieces p;
	struct imap_lex l;
	size_t n;

	if (imap_section_find(t, section, &p)) {
		n = check_pieces(p, t->text, all);
		if (section->what == IMAP_PART_FIELDS || section->what == IMAP_PART_FIELDS_NOT)
			check_not(*section, t, n, all);
	} else {
		must(p.rest.n == 0 && section->part_count > 0);
	}
	buf_clear(all);
	buf_char(all, ' ');
	imap_section_name(section, all);
	if (section->partial) {			/* the answer has no length */
		all->n--;
		buf_text(all, ".1>");
	}
	imap_lex_init(&l, buf_bytes(all), a);
	must(imap_fetch_parse(&l, &again) && imap_lex_at_end(&l) && again.section_count == 1);
	must(again.sections->what == section->what && again.sections->part_count == section->part_count);
	must(again.sections->fields.n == section->fields.n);
}

/* The first line is the items of a FETCH, the others a message. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(1 << 24), *parts = arena_new(MIME_TREE_ARENA);
	struct bytes message = bytes_of(p, n), items = bytes_cut(&message, '\n');
	const struct imap_section *section;
	struct imap_fetch fetch;
	struct mime_tree t;
	struct imap_lex l;
	struct buf all;

	buf_init(&all, 1 << 22);
	imap_lex_init(&l, items, a);
	if (imap_fetch_parse(&l, &fetch)) {
		mime_tree_parse(message, parts, &t);
		for (section = fetch.sections; section != NULL; section = section->next)
			check_section(section, &t, a, &all);
	}
	buf_fini(&all);
	arena_free(&a);
	arena_free(&parts);
	return 0;
}
