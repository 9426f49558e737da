/* SPDX-License-Identifier: ISC */
#include "proto/imap_section.h"

#include "proto/rfc5322_field.h"

/* The part that HEADER, TEXT and the like are of: the message, or the message that a part is. NULL: none. */
static const struct mime_part *
message_of(const struct mime_tree *t, const struct imap_section *section)
{
	const struct mime_part *part;

	if (section->part_count == 0)
		return t->root;
	part = mime_tree_numbered(t, section->part, section->part_count);
	return part != NULL && part->kind == MIME_MESSAGE ? part->first : NULL;
}

static void
set_text(struct imap_pieces *p, const struct mime_tree *t, struct mime_mark from, struct mime_mark to)
{
	p->rest = bytes_head(bytes_skip(t->text, from.at), to.at - from.at);
	p->octets = (uint64_t)p->rest.n + (to.bare - from.bare);
}

bool
imap_section_find(const struct mime_tree *t, const struct imap_section *section, struct imap_pieces *out)
{
	bool of_part = section->part_count > 0
	    && (section->what == IMAP_PART_ALL || section->what == IMAP_PART_MIME);
	const struct mime_part *p = of_part ? mime_tree_numbered(t, section->part, section->part_count)
	    : message_of(t, section);

	*out = (struct imap_pieces){ .fields = NULL };
	if (p == NULL)
		return false;
	switch (section->what) {
	case IMAP_PART_ALL:
		set_text(out, t, of_part ? p->body : p->header, p->end);
		break;
	case IMAP_PART_TEXT:
		set_text(out, t, p->body, p->end);
		break;
	case IMAP_PART_HEADER:
	case IMAP_PART_MIME:
		set_text(out, t, p->header, p->body);
		break;
	case IMAP_PART_FIELDS:
	case IMAP_PART_FIELDS_NOT:
		set_text(out, t, p->header, p->body);
		out->fields = section;
		break;
	}
	return true;
}

void
imap_section_fields(struct bytes header, const struct imap_section *section, struct imap_pieces *out)
{
	*out = (struct imap_pieces){ .rest = header, .fields = section };
}

/* Case does not matter, all else does. A line that is no field has no name. */
static bool
is_chosen(const struct imap_section *section, const struct field *f)
{
	bool named = false;
	size_t i;

	for (i = 0; i < section->fields.n && !named; i++)
		named = bytes_case_eq(section->fields.name[i], f->name);
	return named == (section->what == IMAP_PART_FIELDS);
}

bool
imap_section_next(struct imap_pieces *p, struct bytes *piece)
{
	struct bytes before = p->rest;
	struct field f;

	if (p->fields == NULL) {
		p->rest.n = 0;
		p->octets = 0;
		*piece = before;
		return before.n > 0;
	}
	while (field_next(&p->rest, &f))
		if (is_chosen(p->fields, &f)) {
			*piece = f.whole;
			return true;
		} else {
			before = p->rest;
		}
	*piece = bytes_head(before, before.n - p->rest.n);	/* the empty line */
	p->rest.n = 0;
	return piece->n > 0;
}

uint64_t
imap_section_octets(struct imap_pieces p)
{
	struct bytes piece;
	uint64_t octets = 0;

	if (p.fields == NULL)
		return p.octets;
	while (imap_section_next(&p, &piece))
		octets += piece.n + bytes_bare_lfs(piece);
	return octets;
}

/* ---- names ---- */

static void
put_part(const struct imap_section *section, struct buf *out)
{
	size_t i;

	for (i = 0; i < section->part_count; i++)
		buf_fmt(out, i == 0 ? "%u" : ".%u", (unsigned)section->part[i]);
	if (section->part_count > 0 && section->what != IMAP_PART_ALL)
		buf_char(out, '.');
}

/* astring; the octets are printable ASCII (imap_fetch_parse). */
static void
put_astring(struct bytes s, struct buf *out)
{
	bool atom = s.n > 0;
	size_t i;

	for (i = 0; i < s.n; i++)
		atom = atom && strchr("(){ %*\"\\]", s.p[i]) == NULL;
	if (atom) {
		buf_add(out, s);
		return;
	}
	buf_char(out, '"');
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_char(out, '\\');
		buf_char(out, s.p[i]);
	}
	buf_char(out, '"');
}

static void
put_fields(const struct imap_section *section, struct buf *out)
{
	size_t i;

	for (i = 0; i < section->fields.n; i++) {
		buf_text(out, i == 0 ? " (" : " ");
		put_astring(section->fields.name[i], out);
	}
	buf_char(out, ')');
}

void
imap_section_name(const struct imap_section *section, struct buf *out)
{
	static const char *const old[] = {
		[IMAP_NAMED_RFC822] = "RFC822", [IMAP_NAMED_RFC822_HEADER] = "RFC822.HEADER",
		[IMAP_NAMED_RFC822_TEXT] = "RFC822.TEXT",
	}, *const whats[] = {
		[IMAP_PART_ALL] = "", [IMAP_PART_HEADER] = "HEADER", [IMAP_PART_FIELDS] = "HEADER.FIELDS",
		[IMAP_PART_FIELDS_NOT] = "HEADER.FIELDS.NOT", [IMAP_PART_TEXT] = "TEXT", [IMAP_PART_MIME] = "MIME",
	};

	if (section->name != IMAP_NAMED_BODY) {
		buf_text(out, old[section->name]);
		return;
	}
	buf_text(out, "BODY[");
	put_part(section, out);
	buf_text(out, whats[section->what]);
	if (section->what == IMAP_PART_FIELDS || section->what == IMAP_PART_FIELDS_NOT)
		put_fields(section, out);
	buf_char(out, ']');
	if (section->partial)
		buf_fmt(out, "<%llu>", (unsigned long long)section->first);
}
