/* SPDX-License-Identifier: ISC */
#include "proto/mime_field.h"
#include "proto/mime_tree.h"
#include "proto/rfc5322_field.h"

/* A multipart whose boundary is looked for, or a message (without a boundary). */
struct level {
	struct mime_part *part;
	unsigned short	at, n;		/* its boundary in the pool */
	bool		digest;
};

struct parser {
	struct mime_tree *t;
	struct arena	*a;
	struct mime_mark here;		/* where the present line begins */
	struct mime_mark before;	/* the same, without the line end before it */
	struct mime_part *open;		/* the innermost part: the line is in its header or body */
	bool		in_header;
	bool		stopped;	/* the rest is not looked into */
	struct level	levels[MIME_DEPTH_MAX];
	size_t		levels_n;
	unsigned char	pool[MIME_BOUNDARIES];
	size_t		pool_n;
};

/* ---- parts ---- */

/* The first child of a multipart makes it one. */
static void
link_part(struct mime_part *parent, struct mime_part *part)
{
	part->parent = parent;
	if (parent->last != NULL)
		parent->last->next = part;
	else
		parent->first = part;
	parent->last = part;
	if (parent->kind == MIME_NO_PARTS)
		parent->kind = MIME_MULTIPART;
}

/* A part begins at the mark, with its header; or all the rest, when there are too many. */
static void
begin_part(struct parser *p, struct mime_part *parent, struct mime_mark at, bool in_digest)
{
	struct mime_part *part = arena_alloc(p->a, sizeof *part);

	part->header = part->body = at;
	part->in_digest = in_digest;
	if (parent != NULL)
		link_part(parent, part);
	p->open = part;
	p->in_header = true;
	if (p->t->parts++ == MIME_PARTS_MAX) {
		part->kind = MIME_CLOSED;
		part->rest = true;
		p->in_header = false;
		p->stopped = p->t->over_parts = true;
	}
}

static void
note_field(struct mime_part *part, const struct field *f)
{
	static const char *const names[MIME_FIELDS] = {
		[MIME_TYPE] = "Type", [MIME_ENCODING] = "Transfer-Encoding",
		[MIME_DISPOSITION] = "Disposition", [MIME_LANGUAGE] = "Language", [MIME_ID] = "ID",
		[MIME_DESCRIPTION] = "Description", [MIME_MD5] = "MD5", [MIME_LOCATION] = "Location",
	};
	struct bytes name = f->name;
	size_t i;

	if (!bytes_case_starts(name, text("Content-")))
		return;
	name = bytes_skip(name, strlen("Content-"));
	for (i = 0; i < MIME_FIELDS; i++)
		if (part->fields[i].p == NULL && bytes_case_eq(name, text(names[i])))
			part->fields[i] = bytes_skip(f->whole, bytes_find(f->whole, ':') + 1);
}

/* The header has ended at the mark. */
static void
note_fields(struct parser *p, struct mime_mark end)
{
	struct mime_part *part = p->open;
	size_t n = end.at - part->header.at;
	struct bytes header = bytes_head(bytes_skip(p->t->text, part->header.at),
	    n < MIME_HEADER_MAX ? n : MIME_HEADER_MAX);
	struct field f;

	part->body = end;
	p->in_header = false;
	while (field_next(&header, &f))
		note_field(part, &f);
}

/* ---- levels ---- */

/* One level deeper; false: no deeper than this. */
static bool
push(struct parser *p, struct bytes boundary, bool digest)
{
	if (p->levels_n == MIME_DEPTH_MAX || boundary.n > sizeof p->pool - p->pool_n) {
		p->t->over_depth = true;
		return false;
	}
	p->levels[p->levels_n++] = (struct level){ p->open, (unsigned short)p->pool_n,
	    (unsigned short)boundary.n, digest };
	if (boundary.n > 0)
		memcpy(p->pool + p->pool_n, boundary.p, boundary.n);
	p->pool_n += boundary.n;
	if (p->t->depth < p->levels_n)
		p->t->depth = (unsigned)p->levels_n;
	return true;
}

/* Encoded, it cannot be looked into, but is a level all the same. */
static void
enter_message(struct parser *p)
{
	struct mime_part *part = p->open;

	part->kind = MIME_CLOSED;
	if (!push(p, bytes_of(NULL, 0), false))
		return;
	if (mime_encoded(part->fields[MIME_ENCODING])) {
		p->levels_n--;
		return;
	}
	part->kind = MIME_MESSAGE;
	begin_part(p, part, part->body, false);
}

static void
enter_multipart(struct parser *p, const struct mime_type *type)
{
	p->open->kind = MIME_NO_PARTS;
	if (type->boundary.n > 0
	    && !push(p, type->boundary, bytes_case_eq(type->subtype, text("digest"))))
		p->open->kind = MIME_CLOSED;
}

static enum mime_class
class_of(const struct mime_part *part, struct mime_type *type)
{
	mime_type_parse(part->fields[MIME_TYPE], type);
	if (part->fields[MIME_TYPE].p == NULL && part->in_digest)
		return MIME_IS_MESSAGE;
	return type->class;
}

/* The empty line has come, and ends at the mark: what is the body? */
static void
enter_body(struct parser *p, struct mime_mark at)
{
	struct mime_type type;

	note_fields(p, at);
	switch (class_of(p->open, &type)) {
	case MIME_IS_MULTIPART:	enter_multipart(p, &type); break;
	case MIME_IS_MESSAGE:	enter_message(p); break;
	case MIME_IS_SINGLE:	break;
	}
}

/* The header has ended without an empty line: there is no body, whatever it was to be. */
static void
end_without_body(struct parser *p, struct mime_mark at)
{
	static const enum mime_kind kinds[] = {
		[MIME_IS_SINGLE] = MIME_SINGLE, [MIME_IS_MULTIPART] = MIME_NO_PARTS,
		[MIME_IS_MESSAGE] = MIME_CLOSED,
	};
	struct mime_type type;

	note_fields(p, at);
	p->open->kind = kinds[class_of(p->open, &type)];
}

/* All that is inside outer (NULL: and the root) ends at the mark; or where the innermost body begins, when
 * that is later: the line end before a boundary may be that of the header. */
static void
close_parts(struct parser *p, struct mime_part *outer, struct mime_mark at)
{
	if (at.at < p->open->body.at)
		at = p->open->body;
	if (p->in_header)
		end_without_body(p, at);
	for (; p->open != outer; p->open = p->open->parent)
		p->open->end = at;
}

/* ---- lines ---- */

/* RFC 2046 section 5.1.1. line is what follows the "--". */
static struct level *
find_level(struct parser *p, struct bytes line)
{
	struct level *l, *found = NULL;

	for (l = p->levels; l < p->levels + p->levels_n; l++)
		if (l->n > 0 && (found == NULL || l->n >= found->n)
		    && bytes_starts(line, bytes_of(p->pool + l->at, l->n)))
			found = l;
	return found;
}

/* A line that begins with "--"; end is where the next one does. True: it was a boundary. */
static bool
take_boundary(struct parser *p, struct bytes line, struct mime_mark end)
{
	struct level *l = find_level(p, bytes_skip(line, 2));
	bool closes, ended = line.p[line.n - 1] == '\n';

	if (l == NULL)
		return false;
	closes = bytes_starts(bytes_skip(line, 2u + l->n), text("--"));
	if (!closes && !ended)
		return false;
	close_parts(p, l->part, p->before);
	p->levels_n = (size_t)(l - p->levels) + (closes ? 0 : 1);
	p->pool_n = l->at + (closes ? 0u : l->n);
	if (!closes)
		begin_part(p, l->part, end, l->digest);
	return true;
}

static bool
is_empty(struct bytes line)
{
	return bytes_eq(line, text("\n")) || bytes_eq(line, text("\r\n"));
}

/* One line with its end. */
static void
take_line(struct parser *p, struct bytes line)
{
	struct mime_mark end = p->here, text_end = p->here;
	bool ended = line.p[line.n - 1] == '\n';
	bool crlf = ended && line.n > 1 && line.p[line.n - 2] == '\r';

	end.at += line.n;
	end.lines += ended;
	end.bare += ended && !crlf;
	text_end.at += line.n - ended - crlf;
	if (!p->stopped && (p->levels_n == 0 || !bytes_starts(line, text("--"))
	    || !take_boundary(p, line, end))
	    && p->in_header && is_empty(line))
		enter_body(p, end);
	p->here = end;
	p->before = text_end;
}

/*
 * Lines that say nothing are passed over: in a body all but those that begin with "--", and those too where
 * no boundary is looked for. Most of a message is of them.
 */
static void
pass_lines(struct parser *p)
{
	const unsigned char *begin = p->t->text.p, *end = begin + p->t->text.n;
	const unsigned char *at = begin + p->here.at, *lf;
	bool boundaries = p->levels_n > 0 && !p->stopped;

	while (at < end && !(boundaries && at[0] == '-' && end - at > 1 && at[1] == '-')) {
		bool crlf;

		if ((lf = memchr(at, '\n', (size_t)(end - at))) == NULL) {
			p->here.at = p->before.at = p->t->text.n;
			p->before.bare = p->here.bare;
			p->before.lines = p->here.lines;
			return;
		}
		crlf = lf > at && lf[-1] == '\r';
		p->before = p->here;
		p->before.at = (size_t)(lf - begin) - crlf;
		at = lf + 1;
		p->here = (struct mime_mark){ (size_t)(at - begin), p->here.bare + !crlf, p->here.lines + 1 };
	}
}

void
mime_tree_parse(struct bytes message, struct arena *a, struct mime_tree *out)
{
	struct parser p = { .t = out, .a = a };
	struct bytes rest = message;

	*out = (struct mime_tree){ .text = message };
	begin_part(&p, NULL, p.here, false);
	out->root = p.open;
	while (rest.n > 0) {
		take_line(&p, bytes_head(rest, bytes_find(rest, '\n') + 1));
		if (!p.in_header)
			pass_lines(&p);
		rest = bytes_skip(message, p.here.at);
	}
	close_parts(&p, NULL, p.here);
}

/* ---- sections, RFC 3501 section 6.4.5 ---- */

static struct mime_range
between(struct mime_mark from, struct mime_mark to)
{
	size_t n = to.at - from.at;

	return (struct mime_range){ from.at, n, n + to.bare - from.bare, to.lines - from.lines };
}

struct mime_range
mime_part_header(const struct mime_part *p)
{
	return between(p->header, p->body);
}

struct mime_range
mime_part_body(const struct mime_part *p)
{
	return between(p->body, p->end);
}

/*
 * Part n of the message m or, without one, of the multipart p. A message that is no
 * multipart has one part, which is its body: the part is the message itself.
 */
static const struct mime_part *
numbered(const struct mime_part *m, const struct mime_part *p, uint64_t n)
{
	const struct mime_part *in = m != NULL ? m : p;

	if (in->kind != MIME_MULTIPART)
		return m != NULL && n == 1 ? m : NULL;
	for (in = in->first; in != NULL && n > 1; n--)
		in = in->next;
	return in;
}

/* A walk down by numbers: the message whose parts are meant, if it is one, and the part that was. */
struct walk { const struct mime_part *message, *part; };

static bool
step(struct walk *w, uint64_t n)
{
	w->part = numbered(w->message, w->part, n);
	w->message = w->part != NULL && w->part->kind == MIME_MESSAGE ? w->part->first : NULL;
	return w->part != NULL;
}

const struct mime_part *
mime_tree_numbered(const struct mime_tree *t, const uint32_t *number, size_t n)
{
	struct walk w = { t->root, NULL };
	size_t i;

	for (i = 0; i < n; i++)
		if (!step(&w, number[i]))
			return NULL;
	return w.part;
}

/* The part that the numbers at the front of *section name; they are taken off it. */
static const struct mime_part *
take_numbers(const struct mime_tree *t, struct bytes *section)
{
	struct walk w = { t->root, NULL };
	struct bytes rest = *section, number;
	uint64_t n;

	while (rest.n > 0 && ascii_digit(rest.p[0])) {
		number = bytes_cut(&rest, '.');
		if (number.p[0] == '0' || !bytes_u64(number, UINT32_MAX, &n)
		    || (rest.n == 0 && number.n < section->n)	/* a '.' at the end */
		    || !step(&w, n))
			return NULL;
		*section = rest;
	}
	return w.part;
}

const struct mime_part *
mime_tree_part(const struct mime_tree *t, struct bytes number)
{
	const struct mime_part *part = take_numbers(t, &number);

	return number.n == 0 ? part : NULL;
}

bool
mime_tree_section(const struct mime_tree *t, struct bytes section, struct mime_range *out)
{
	bool numbers = section.n > 0 && ascii_digit(section.p[0]);
	const struct mime_part *part = take_numbers(t, &section);
	const struct mime_part *message = t->root;

	if (numbers && part == NULL)
		return false;
	if (section.n == 0) {
		*out = numbers ? mime_part_body(part) : between(message->header, message->end);
		return true;
	}
	if (numbers && bytes_case_eq(section, text("MIME"))) {
		*out = mime_part_header(part);
		return true;
	}
	if (numbers)
		message = part->kind == MIME_MESSAGE ? part->first : NULL;
	if (message == NULL)
		return false;
	if (bytes_case_eq(section, text("HEADER")))
		*out = mime_part_header(message);
	else if (bytes_case_eq(section, text("TEXT")))
		*out = mime_part_body(message);
	else
		return false;
	return true;
}
