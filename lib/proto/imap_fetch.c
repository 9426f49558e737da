/* SPDX-License-Identifier: ISC */
#include "proto/imap_fetch.h"

static const struct imap_word items[] = {
	{ "BODY",		IMAP_ITEM_BODY },
	{ "BODYSTRUCTURE",	IMAP_ITEM_BODYSTRUCTURE },
	{ "ENVELOPE",		IMAP_ITEM_ENVELOPE },
	{ "FLAGS",		IMAP_ITEM_FLAGS },
	{ "INTERNALDATE",	IMAP_ITEM_INTERNALDATE },
	{ "MODSEQ",		IMAP_ITEM_MODSEQ },
	{ "RFC822.SIZE",	IMAP_ITEM_SIZE },
	{ "UID",		IMAP_ITEM_UID },
};

/* RFC 3501 section 6.4.5; not within parentheses. */
#define FAST	(IMAP_ITEM_FLAGS | IMAP_ITEM_INTERNALDATE | IMAP_ITEM_SIZE)
static const struct imap_word macros[] = {
	{ "FAST",	FAST },
	{ "ALL",	FAST | IMAP_ITEM_ENVELOPE },
	{ "FULL",	FAST | IMAP_ITEM_ENVELOPE | IMAP_ITEM_BODY },
};

/* The same section: what RFC822 stands for, and how it is answered. */
static const struct { const char *name; struct imap_section section; } old_names[] = {
	{ "RFC822",		{ .name = IMAP_NAMED_RFC822, .what = IMAP_PART_ALL } },
	{ "RFC822.HEADER",	{ .name = IMAP_NAMED_RFC822_HEADER, .what = IMAP_PART_HEADER,
				  .peek = true } },
	{ "RFC822.TEXT",	{ .name = IMAP_NAMED_RFC822_TEXT, .what = IMAP_PART_TEXT } },
};

static const struct imap_word section_texts[] = {
	{ "HEADER",		IMAP_PART_HEADER },
	{ "HEADER.FIELDS",	IMAP_PART_FIELDS },
	{ "HEADER.FIELDS.NOT",	IMAP_PART_FIELDS_NOT },
	{ "TEXT",		IMAP_PART_TEXT },
	{ "MIME",		IMAP_PART_MIME },
};

static struct imap_section *
add_section(struct imap_lex *l, struct imap_fetch *out, struct imap_section ***tail)
{
	struct imap_section *section;

	if (out->section_count >= IMAP_SECTIONS_MAX) {
		imap_lex_complex(l, "too many sections");
		return NULL;
	}
	out->section_count++;
	section = arena_alloc(l->arena, sizeof *section);
	**tail = section;
	*tail = &section->next;
	return section;
}

/* section-part; *text: a "." was last, and a section-text follows. */
static bool
take_part(struct imap_lex *l, struct imap_section *section, bool *text_follows)
{
	uint32_t part[IMAP_PART_DEPTH_MAX];

	*text_follows = false;
	do {
		if (section->part_count >= IMAP_PART_DEPTH_MAX)
			return imap_lex_complex(l, "part number too deep");
		if (!imap_lex_nz_number(l, &part[section->part_count++]))
			return false;
		*text_follows = imap_lex_char(l, '.');
	} while (*text_follows && l->at < l->text.n && ascii_digit(l->text.p[l->at]));
	section->part = arena_array(l->arena, section->part_count, sizeof *part);
	memcpy(section->part, part, section->part_count * sizeof *part);
	return true;
}

struct fields { struct imap_fetch *out; struct imap_section *section; };

/* No header has a field with other octets in its name, and answers repeat it. */
static bool
take_field(struct imap_lex *l, void *arg)
{
	struct fields *f = arg;
	struct bytes name;
	size_t i;

	if (!imap_lex_astring(l, &name))
		return false;
	for (i = 0; i < name.n && name.p[i] >= ' ' && name.p[i] < 0x7f; i++)
		;
	if (name.n == 0 || i < name.n)
		return imap_lex_fail(l, "header field name expected");
	if (f->out->field_count++ >= IMAP_FIELDS_MAX)
		return imap_lex_complex(l, "too many header field names");
	return imap_names_add(l, &f->section->fields, name, IMAP_FIELDS_MAX);
}

/* section-msgtext, section-text. */
static bool
take_section_text(struct imap_lex *l, struct imap_fetch *out, struct imap_section *section)
{
	struct fields fields = { out, section };
	unsigned what;

	if (!imap_lex_word(l, section_texts, LEN(section_texts), &what, "unknown section"))
		return false;
	section->what = what;
	if (what == IMAP_PART_MIME && section->part_count == 0)
		return imap_lex_fail(l, "MIME without a part number");
	if (what != IMAP_PART_FIELDS && what != IMAP_PART_FIELDS_NOT)
		return true;
	return imap_lex_sp(l) && imap_lex_list(l, false, take_field, &fields);
}

/* "<" number "." nz-number ">" */
static bool
take_partial(struct imap_lex *l, struct imap_section *section)
{
	section->partial = imap_lex_char(l, '<');
	if (!section->partial)
		return true;
	if (!imap_lex_number63(l, &section->first) || !imap_lex_char(l, '.')
	    || !imap_lex_number63(l, &section->octets) || !imap_lex_char(l, '>')
	    || section->octets == 0)
		return imap_lex_fail(l, "<first.octets> expected");
	return true;
}

/* After its "[". */
static bool
take_section(struct imap_lex *l, struct imap_fetch *out, struct imap_section *section)
{
	bool text_follows = !imap_lex_at(l, ']');

	if (l->at < l->text.n && ascii_digit(l->text.p[l->at]) && !take_part(l, section, &text_follows))
		return false;
	if (text_follows && !take_section_text(l, out, section))
		return false;
	if (!imap_lex_char(l, ']'))
		return imap_lex_fail(l, "] expected");
	return take_partial(l, section);
}

struct atts { struct imap_fetch *out; struct imap_section **tail; bool macro; };

/* fetch-att; with `macro`, ALL, FAST or FULL instead. */
static bool
take_att(struct imap_lex *l, void *arg)
{
	struct atts *atts = arg;
	struct imap_section *section;
	struct bytes name;
	unsigned item;
	bool peek;
	size_t i;

	if (!imap_lex_label(l, &name))
		return false;
	peek = bytes_case_eq(name, text("BODY.PEEK"));
	if ((peek || bytes_case_eq(name, text("BODY"))) && imap_lex_char(l, '[')) {
		if ((section = add_section(l, atts->out, &atts->tail)) == NULL)
			return false;
		section->peek = peek;
		return take_section(l, atts->out, section);
	}
	for (i = 0; i < LEN(old_names); i++)
		if (bytes_case_eq(name, text(old_names[i].name))) {
			if ((section = add_section(l, atts->out, &atts->tail)) == NULL)
				return false;
			*section = old_names[i].section;
			return true;
		}
	if (!imap_word_find(items, LEN(items), name, &item)
	    && !(atts->macro && imap_word_find(macros, LEN(macros), name, &item)))
		return imap_lex_fail(l, "unknown fetch item");
	atts->out->items |= item;
	return true;
}

/* chgsince-fetch-mod, RFC 7162 section 7. VANISHED is QRESYNC's, which is not offered. */
static bool
take_fetch_modifier(struct imap_lex *l, void *arg)
{
	struct imap_fetch *out = arg;

	if (!imap_lex_keyword(l, "CHANGEDSINCE") || out->changedsince)
		return imap_lex_fail(l, "(CHANGEDSINCE n) expected");
	out->changedsince = true;
	out->items |= IMAP_ITEM_MODSEQ;
	return imap_lex_number63(l, &out->modseq);
}

bool
imap_fetch_parse(struct imap_lex *l, struct imap_fetch *out)
{
	struct atts atts = { out, &out->sections, true };

	*out = (struct imap_fetch){ 0 };
	if (!imap_lex_sp(l))
		return false;
	if (imap_lex_at(l, '(')) {
		atts.macro = false;
		if (!imap_lex_list(l, false, take_att, &atts))
			return false;
	} else if (!take_att(l, &atts)) {
		return false;
	}
	return imap_lex_at_end(l)
	    || (imap_lex_sp(l) && imap_lex_list(l, false, take_fetch_modifier, out));
}

static bool
take_store_modifier(struct imap_lex *l, void *arg)
{
	struct imap_store *out = arg;

	if (!imap_lex_keyword(l, "UNCHANGEDSINCE") || out->unchangedsince)
		return imap_lex_fail(l, "(UNCHANGEDSINCE n) expected");
	out->unchangedsince = true;
	return imap_lex_number63(l, &out->modseq);
}

/* flag-list / (flag *(SP flag)) */
static bool
take_store_flags(struct imap_lex *l, struct imap_flags *flags)
{
	if (imap_lex_at(l, '('))
		return imap_lex_flag_list(l, flags);
	do {
		if (!imap_lex_flag(l, flags))
			return false;
	} while (!imap_lex_at_end(l) && imap_lex_char(l, ' '));
	return true;
}

bool
imap_store_parse(struct imap_lex *l, struct imap_store *out)
{
	static const struct imap_word names[] = { { "FLAGS", false }, { "FLAGS.SILENT", true } };
	unsigned silent;

	*out = (struct imap_store){ 0 };
	if (!imap_lex_sp(l))
		return false;
	if (imap_lex_at(l, '(')
	    && (!imap_lex_list(l, false, take_store_modifier, out) || !imap_lex_sp(l)))
		return false;
	if (imap_lex_char(l, '+'))
		out->how = IMAP_STORE_ADD;
	else if (imap_lex_char(l, '-'))
		out->how = IMAP_STORE_REMOVE;
	if (!imap_lex_word(l, names, LEN(names), &silent, "FLAGS, +FLAGS or -FLAGS expected"))
		return false;
	out->silent = silent;
	return imap_lex_sp(l) && take_store_flags(l, &out->flags);
}
