/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_fetch.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(const struct imap_fetch *fetch)
{
	const struct imap_section *s;
	size_t sections = 0, fields = 0;

	for (s = fetch->sections; s != NULL; s = s->next) {
		sections++;
		fields += s->fields.n;
		must((s->what == IMAP_PART_FIELDS || s->what == IMAP_PART_FIELDS_NOT) == (s->fields.n > 0));
		must(s->what != IMAP_PART_MIME || s->part_count > 0);
		must(!s->partial || (s->octets > 0 && s->first + s->octets >= s->octets));
		for (size_t i = 0; i < s->part_count; i++)
			must(s->part[i] > 0);
	}
	must(sections == fetch->section_count && sections <= IMAP_SECTIONS_MAX);
	must(fields == fetch->field_count && fields <= IMAP_FIELDS_MAX);
	must(sections > 0 || fetch->items != 0);
	must(!fetch->changedsince || (fetch->items & IMAP_ITEM_MODSEQ));
}

/* FETCH and STORE of the same text. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new((1 << 20) + 2 * n);
	struct imap_fetch fetch;
	struct imap_store store;
	struct imap_lex l;

	imap_lex_init(&l, bytes_of(p, n), a);
	if (imap_fetch_parse(&l, &fetch))
		check(&fetch);
	arena_reset(a);
	imap_lex_init(&l, bytes_of(p, n), a);
	if (imap_store_parse(&l, &store))
		must(store.flags.keywords.n <= IMAP_KEYWORDS_MAX);
	arena_free(&a);
	return 0;
}
