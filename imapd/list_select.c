/* SPDX-License-Identifier: ISC */
#include "imapd/list_select.h"

#include "base/mem.h"
#include "mail/folders_text.h"
#include "proto/imap_utf7.h"

/* ---- patterns ---- */

/* A run of wildcards means what its widest one means; so many cost no more than one. */
static void
put_pattern(struct bytes s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char last = out->n > 0 ? out->p[out->n - 1] : 0;

		if (s.p[i] == '%' && (last == '%' || last == '*'))
			continue;
		while (s.p[i] == '*' && out->n > 0 && (out->p[out->n - 1] == '%' || out->p[out->n - 1] == '*'))
			out->n--;
		buf_char(out, s.p[i]);
	}
}

bool
list_pattern(struct bytes reference, struct bytes pattern, struct buf *out)
{
	struct buf utf8;
	bool good;

	buf_init(&utf8, 4 * IMAP_MATCH_PATTERN_MAX);
	good = imap_utf7_decode(reference, &utf8) && imap_utf7_decode(pattern, &utf8);
	if (good)
		put_pattern(buf_bytes(&utf8), out);
	buf_fini(&utf8);
	return good && !out->full;
}

static bool
matches(const struct imap_match *patterns, size_t n, struct bytes name)
{
	for (size_t i = 0; i < n; i++)
		if (imap_match_name(&patterns[i], name))
			return true;
	return false;
}

/* ---- selection ---- */

/* SUBSCRIBED lists what is subscribed, there or not; else only mailboxes are listed. */
static bool
meets(const struct folder_entry *e, unsigned selects)
{
	if (selects & IMAP_LIST_SPECIAL_USE && e->uses == 0)
		return false;
	return selects & IMAP_LIST_SUBSCRIBED ? e->subscribed : e->selectable;
}

/* One name, and those above it. */
struct step {
	const struct folder_entry *entry;
	bool	matches, meets, below;
	bool	hidden;			/* what is below it and meets is not answered itself: no pattern means it */
};

struct steps { struct step at[FOLDER_LEVELS_MAX]; size_t n; };

/*
 * Is a name answered that does not meet it? With RECURSIVEMATCH, where something below it meets and no pattern means
 * that. So is without it the name of a level (RFC 3501 section 6.3.8; RFC 5258 section 3.5), but
 * SUBSCRIBED lists exactly what is.
 */
static bool
stands_for(const struct step *one, unsigned selects)
{
	return one->hidden && (selects & IMAP_LIST_RECURSIVEMATCH
	    || (!(selects & IMAP_LIST_SUBSCRIBED) && !one->entry->selectable));
}

/* Nothing more comes that is below the last step: its answer goes where there was room left for it. */
static void
leave(struct steps *s, unsigned selects, struct list_answer *answer, const size_t *place)
{
	const struct step *last = &s->at[--s->n];
	bool recursive = selects & IMAP_LIST_RECURSIVEMATCH;

	answer[place[s->n]] = (struct list_answer){ 0 };
	if (last->matches && (last->meets || stands_for(last, selects)))
		answer[place[s->n]] = (struct list_answer){ last->entry, last->meets, recursive && last->below };
}

static void
tell_above(struct steps *s, const struct step *one)
{
	for (size_t i = 0; one->meets && i < s->n; i++) {
		s->at[i].below = true;
		s->at[i].hidden |= !one->matches;
	}
}

static size_t
close_up(struct list_answer *answer, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (answer[i].entry)
			answer[kept++] = answer[i];
	return kept;
}

size_t
list_select(const struct folder_entry *entry, size_t n, const struct imap_match *patterns, size_t npatterns,
    unsigned selects, struct list_answer *answer)
{
	struct steps s = { .n = 0 };
	size_t place[FOLDER_LEVELS_MAX];

	for (size_t i = 0; i < n; i++) {
		struct step one = { .entry = &entry[i], .meets = meets(&entry[i], selects) };

		if (one.meets || !one.entry->selectable || selects & IMAP_LIST_RECURSIVEMATCH)
			one.matches = matches(patterns, npatterns, entry[i].name);
		while (s.n > 0 && !folder_is_below(entry[i].name, s.at[s.n - 1].entry->name))
			leave(&s, selects, answer, place);
		tell_above(&s, &one);
		must(s.n < FOLDER_LEVELS_MAX);
		place[s.n] = i;
		s.at[s.n++] = one;
	}
	while (s.n > 0)
		leave(&s, selects, answer, place);
	return close_up(answer, n);
}

/* ---- attributes ---- */

static void
put(struct buf *out, const char *attribute)
{
	if (out->n > 0)
		buf_char(out, ' ');
	buf_text(out, attribute);
}

/* What is only the name of a level is \NonExistent (RFC 5258 section 3.5), which implies \NoSelect; who is not
 * known to have read that is told the latter. */
void
list_attributes(const struct folder_entry *e, bool extended, bool subscribed, struct buf *out)
{
	if (!e->selectable)
		put(out, extended ? "\\NonExistent" : "\\NoSelect");
	if (e->selectable || e->children)
		put(out, e->children ? "\\HasChildren" : "\\HasNoChildren");
	if (subscribed && e->subscribed)
		put(out, "\\Subscribed");
	for (unsigned i = 0; i < LEN(folder_use_text); i++)
		if (e->uses & 1u << i)
			put(out, folder_use_text[i]);
}
