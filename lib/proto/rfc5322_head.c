/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/mime_field.h"
#include "proto/mime_tree.h"
#include "proto/rfc5322_head.h"

_Static_assert(HEAD_TYPE_MAX >= MIME_TYPE_MAX && HEAD_BOUNDARY_MAX == MIME_BOUNDARY_MAX
    && HEAD_ID_MAX == MIME_ENCODING_MAX && HEAD_DEPTH_MAX == MIME_DEPTH_MAX && HEAD_POOL == MIME_BOUNDARIES,
    "the same parts as mime_tree finds");

enum where { HEADER, BODY };

/* A header line, octet by octet: RFC 5322 section 2.2, and 4.5.8 (space before the colon). */
enum line_state { START, NAME, NAME_END, VALUE, EMPTY_CR, EMPTY, MALFORMED };

/* Fields whose value is looked at. */
enum kind { PLAIN, RESULTS, TYPE, ENCODING };

/* RFC 8601 section 2.2: [CFWS] authserv-id [CFWS version] (";" or no-result). */
enum id_state { ID_BEFORE, ID_TOKEN, ID_QUOTED, ID_AFTER, ID_DONE };

static bool
is_wsp(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- Authentication-Results: whose? ---- */

static void
id_add(struct head *h, unsigned char c)
{
	if (c < ' ' || c == 0x7f || h->id_n == sizeof h->id)
		h->id_bad = true;
	else
		h->id[h->id_n++] = c;
}

/* In a comment or quoted string: true when c was taken. */
static bool
id_inner(struct head *h, unsigned char c)
{
	if (h->comment == 0 && h->id_state != ID_QUOTED)
		return false;
	if (c == '\r' || c == '\n')		/* folding */
		return true;
	if (!h->escaped && c == '\\') {
		h->escaped = true;
		return true;
	}
	if (h->comment > 0) {
		if (!h->escaped && c == '(')
			h->comment++;
		else if (!h->escaped && c == ')')
			h->comment--;
	} else if (!h->escaped && c == '"') {
		h->id_state = ID_AFTER;
	} else {
		id_add(h, c);
	}
	h->escaped = false;
	return true;
}

/*
 * One octet of the value. White space or comments round a dot do not end the id:
 * not in RFC 8601, but in older readers of RFC 5322's obs-domain.
 */
static void
id_octet(struct head *h, unsigned char c)
{
	bool joins = h->id_state != ID_AFTER || c == '.' || (h->id_n > 0 && h->id[h->id_n - 1] == '.');

	if (id_inner(h, c))
		return;
	if (is_wsp(c) || c == '(') {
		if (h->id_state == ID_TOKEN)
			h->id_state = ID_AFTER;
		h->comment = c == '(';
	} else if (c == ';' || c == '/' || c == '=' || !joins) {
		h->id_state = ID_DONE;
	} else if (c == '"') {
		h->id_state = ID_QUOTED;
	} else {
		h->id_state = ID_TOKEN;
		id_add(h, c);
	}
}

/* Also when it cannot be told: whoever reads it may see our name where we do not. */
static bool
claims_ours(const struct head *h)
{
	struct bytes id = bytes_of(h->id, h->id_n);

	if (h->our_id.n == 0)
		return false;
	if (h->id_bad || h->comment > 0 || h->id_state == ID_QUOTED || id.n == 0)
		return true;
	if (id.p[id.n - 1] == '.')
		id.n--;
	return bytes_case_eq(id, h->our_id);
}

/* ---- fields ---- */

static void
add_range(struct head *h, unsigned char what)
{
	struct head_range *last = h->ranges + h->ranges_n - 1;
	uint64_t n = h->line_at - h->field_at;

	if (h->ranges_n > 0 && last->what == what && last->at + last->n == h->field_at) {
		last->n += n;
		return;
	}
	if (h->ranges_n == HEAD_RANGES) {
		h->over |= HEAD_OVER_RANGES;
		return;
	}
	h->ranges[h->ranges_n++] = (struct head_range){ h->field_at, n, what };
}

/* The present line is not part of the field before it, which is whole now. */
static void
end_field(struct head *h)
{
	if (!h->in_field)
		return;
	h->in_field = false;
	if (h->kind == ENCODING)
		h->encoded = mime_encoded(bytes_of(h->id, h->id_n));
	if (!h->own)
		return;
	if (h->kind == RESULTS && claims_ours(h)) {
		h->ours++;
		add_range(h, HEAD_OURS);
	} else if (h->what < h->names_n) {
		add_range(h, h->what);
	}
}

static enum kind
kind_of(struct bytes name)
{
	static const struct { const char *name; enum kind kind; } kinds[] = {
		{ "Authentication-Results", RESULTS }, { "Content-Type", TYPE },
		{ "Content-Transfer-Encoding", ENCODING },
	};
	size_t i;

	for (i = 0; i < LEN(kinds); i++)
		if (bytes_case_eq(name, text(kinds[i].name)))
			return kinds[i].kind;
	return PLAIN;
}

/* A field of the message's own header: counted. */
static void
count_field(struct head *h, struct bytes name)
{
	h->fields++;
	if (h->limits.fields > 0 && h->fields > h->limits.fields)
		h->over |= HEAD_OVER_FIELDS;
	if (bytes_case_eq(name, text("Received")) && ++h->hops > h->limits.hops && h->limits.hops > 0)
		h->over |= HEAD_OVER_HOPS;
	while (h->what < h->names_n && !bytes_case_eq(name, h->names[h->what]))
		h->what++;
	if (h->what < h->names_n)
		h->count[h->what]++;
}

/* The colon has come. */
static void
begin_field(struct head *h)
{
	struct bytes name = bytes_of(h->name, h->name_n);

	h->in_field = true;
	h->field_at = h->line_at;
	h->what = 0;
	h->kind = (unsigned char)kind_of(name);
	h->id_n = 0;
	h->id_state = ID_BEFORE;
	h->comment = 0;
	h->escaped = h->id_bad = false;
	if (h->own)
		count_field(h, name);
	if (h->kind == TYPE && h->typed) {
		h->mime_odd = true;	/* the second: readers differ, we take the first */
		h->kind = PLAIN;
	}
	if (h->kind == ENCODING && h->coded)
		h->kind = PLAIN;
	h->typed = h->typed || h->kind == TYPE;
	h->coded = h->coded || h->kind == ENCODING;
}

static void
type_octet(struct head *h, unsigned char c)
{
	if (c == '\r' || c == '\n')
		return;
	if (h->type_n == sizeof h->type)
		h->mime_odd = true;
	else
		h->type[h->type_n++] = c;
}

static void
field_value(struct head *h, struct bytes s)
{
	size_t i;

	if (h->kind == RESULTS)
		for (i = 0; i < s.n && h->id_state != ID_DONE; i++)
			id_octet(h, s.p[i]);
	else if (h->kind == TYPE)
		for (i = 0; i < s.n; i++)
			type_octet(h, s.p[i]);
	else if (h->kind == ENCODING)
		for (i = 0; i < s.n && h->id_n < sizeof h->id; i++)
			if (s.p[i] != '\r' && s.p[i] != '\n')
				h->id[h->id_n++] = s.p[i];
}

/* ---- lines of a header ---- */

static void
malformed(struct head *h)
{
	h->line_state = MALFORMED;
	if (h->own)
		h->malformed++;
}

/* c begins a line. */
static void
begin_line(struct head *h, unsigned char c)
{
	if ((c == ' ' || c == '\t') && h->in_field) {
		h->line_state = VALUE;		/* folded */
		return;
	}
	end_field(h);
	h->name_n = 0;
	if (c == '\r' || c == '\n')
		h->line_state = EMPTY_CR;
	else if (c == ' ' || c == '\t')
		malformed(h);
	else
		h->line_state = NAME;
}

static void
name_octet(struct head *h, unsigned char c)
{
	if (c == ':' && h->name_n > 0) {
		h->line_state = VALUE;
		begin_field(h);
	} else if (c == ' ' || c == '\t') {
		h->line_state = NAME_END;
	} else if (c <= ' ' || c >= 0x7f || c == ':' || h->line_state == NAME_END) {
		malformed(h);
	} else if (h->name_n < sizeof h->name) {
		h->name[h->name_n++] = c;	/* a longer one is none of those we know */
	}
}

static void
header_piece(struct head *h, struct bytes s)
{
	while (s.n > 0)
		switch (h->line_state) {
		case START:
			begin_line(h, s.p[0]);
			break;
		case NAME:
		case NAME_END:
			name_octet(h, s.p[0]);
			s = bytes_skip(s, 1);
			break;
		case VALUE:
			field_value(h, s);
			return;
		case EMPTY_CR:		/* one CR at most, and LF */
			if (s.p[0] == '\n')
				h->line_state = EMPTY;
			else if (s.p[0] != '\r' || h->cr)
				malformed(h);
			h->cr = s.p[0] == '\r';
			s = bytes_skip(s, 1);
			break;
		case EMPTY:
		case MALFORMED:
			return;
		}
}

/* ---- structure ---- */

/* One level deeper; false: no deeper than this. */
static bool
push(struct head *h, struct bytes boundary, bool digest)
{
	struct head_level *l = h->levels + h->levels_n;

	if (h->levels_n == HEAD_DEPTH_MAX || (h->limits.depth > 0 && h->levels_n >= h->limits.depth)
	    || h->pool_n + boundary.n > sizeof h->pool) {
		h->over |= HEAD_OVER_DEPTH;
		return false;
	}
	*l = (struct head_level){ (unsigned short)h->pool_n, (unsigned short)boundary.n, digest,
	    boundary.n == 0 };
	if (boundary.n > 0)
		memcpy(h->pool + h->pool_n, boundary.p, boundary.n);
	h->pool_n += boundary.n;
	h->levels_n++;
	if (h->depth < h->levels_n)
		h->depth = (unsigned)h->levels_n;
	return true;
}

static void
begin_header(struct head *h, bool digest_part)
{
	h->where = HEADER;
	h->line_state = START;
	h->in_field = h->typed = h->coded = h->encoded = false;
	h->type_n = 0;
	h->digest_part = digest_part;
}

/* A message in a message. Encoded, it cannot be looked into, but is a level all the same. */
static void
enter_message(struct head *h)
{
	if (!push(h, bytes_of(NULL, 0), false))
		return;
	if (h->encoded)
		h->levels_n--;
	else
		begin_header(h, false);
}

static void
enter_multipart(struct head *h, const struct mime_type *type)
{
	if (type->odd || type->boundary.n == 0)
		h->mime_odd = true;
	if (type->boundary.n > 0)
		push(h, type->boundary, bytes_case_eq(type->subtype, text("digest")));
}

/* The empty line has come: what is the body? */
static void
end_header(struct head *h)
{
	struct mime_type type;

	if (h->own)
		h->header_done = true;
	h->own = false;
	h->where = BODY;
	mime_type_parse(bytes_of(h->type, h->type_n), &type);
	if (!h->typed && h->digest_part)	/* RFC 2046 section 5.1.5 */
		type.class = MIME_IS_MESSAGE;
	switch (type.class) {
	case MIME_IS_MULTIPART:	enter_multipart(h, &type); break;
	case MIME_IS_MESSAGE:	enter_message(h); break;
	case MIME_IS_SINGLE:	break;
	}
}

/*
 * RFC 2046 section 5.1.1: "--" boundary ["--"], at the start of a line; what
 * follows it need not be padding ("it is sufficient that the boundary appear in
 * its entirety"). One boundary may begin with another: the longest counts, and
 * of equal ones the innermost.
 */
static struct head_level *
find_level(struct head *h, struct bytes line)
{
	struct head_level *l, *found = NULL;

	for (l = h->levels; l < h->levels + h->levels_n; l++)
		if (!l->message && (found == NULL || l->n >= found->n)
		    && bytes_starts(line, bytes_of(h->pool + l->at, l->n)))
			found = l;
	return found;
}

/* A line that begins with "--": may end parts, of this level or of any outer one. */
static void
check_boundary(struct head *h, struct bytes line)
{
	struct head_level *l = find_level(h, bytes_skip(line, 2));
	bool closes;

	if (l == NULL)
		return;
	closes = bytes_starts(bytes_skip(line, 2u + l->n), text("--"));
	h->in_field = false;
	h->levels_n = (size_t)(l - h->levels) + (closes ? 0 : 1);
	h->pool_n = l->at + (closes ? 0u : l->n);
	h->where = BODY;
	if (closes)
		return;
	if (++h->parts > h->limits.parts && h->limits.parts > 0)
		h->over |= HEAD_OVER_PARTS;
	begin_header(h, l->digest);
}

/* Keeps a line that comes in pieces as long as it can be a boundary; then looks at it. */
static void
boundary_piece(struct head *h, struct bytes s, bool ended)
{
	struct bytes line = s;
	size_t n = sizeof h->line - h->line_kept;

	if (h->line_n == 0)
		h->candidate = true;
	if (!h->candidate)
		return;
	if (h->line_n > 0 || !ended) {
		n = s.n < n ? s.n : n;
		memcpy(h->line + h->line_kept, s.p, n);
		h->line_kept += n;
		line = bytes_of(h->line, h->line_kept);
	}
	if (line.p[0] != '-' || (line.n > 1 && line.p[1] != '-'))
		h->candidate = false;
	if (h->candidate && ended)
		check_boundary(h, bytes_head(line, sizeof h->line));
}

/* ---- octets ---- */

/* A CR that no LF follows. */
static void
note_cr(struct head *h, struct bytes s)
{
	const unsigned char *cr = memchr(s.p, '\r', s.n);

	if ((h->cr && s.p[0] != '\n')
	    || (cr != NULL && cr + 1 < s.p + s.n && cr[1] != '\n'))
		h->bare_cr = true;
}

static void
note_octets(struct head *h, struct bytes s, bool ended)
{
	bool *eight = h->own ? &h->header_8bit : &h->body_8bit;

	if (!*eight)
		*eight = !bytes_is_ascii(s);
	if (!h->nul)
		h->nul = memchr(s.p, 0, s.n) != NULL;
	if (!h->bare_cr)
		note_cr(h, s);
	if (ended && (s.n > 1 ? s.p[s.n - 2] != '\r' : !h->cr))
		h->bare_lf = true;
}

/* end: octets of the line end. */
static void
note_line(struct head *h, unsigned end)
{
	uint64_t n = h->line_n - end;

	if (n > h->longest_line)
		h->longest_line = n;
	if (h->own && n > h->longest_header_line)
		h->longest_header_line = n;
}

/* Part of one line, to its LF when `ended`. */
static void
piece(struct head *h, struct bytes s, bool ended)
{
	bool crlf = ended && (s.n > 1 ? s.p[s.n - 2] == '\r' : h->cr);

	note_octets(h, s, ended);
	h->octets += s.n;
	if (!h->header_done) {
		h->header_octets = h->octets;
		if (h->limits.header_octets > 0 && h->header_octets > h->limits.header_octets)
			h->over |= HEAD_OVER_OCTETS;
	}
	if (h->where == HEADER)
		header_piece(h, s);
	if (h->levels_n > 0)
		boundary_piece(h, s, ended);
	h->line_n += s.n;
	h->cr = s.p[s.n - 1] == '\r';
	if (!ended)
		return;
	note_line(h, crlf ? 2 : 1);
	h->line_n = 0;
	h->line_kept = 0;
	h->line_at = h->octets;
	if (h->where == HEADER && h->line_state == EMPTY)
		end_header(h);
	h->line_state = START;
}

void
head_init(struct head *h, const struct head_limits *limits, struct bytes our_id,
    const struct bytes *names, size_t names_n)
{
	must(names_n <= HEAD_NAMES);
	memset(h, 0, sizeof *h);
	h->limits = *limits;
	h->our_id = our_id;
	h->names = names;
	h->names_n = names_n;
	h->own = true;
	h->where = HEADER;
}

void
head_feed(struct head *h, struct bytes content)
{
	size_t n;

	while (content.n > 0) {
		n = bytes_find(content, '\n');
		piece(h, bytes_head(content, n + 1), n < content.n);
		content = bytes_skip(content, n + 1);
	}
}

void
head_end(struct head *h)
{
	if (h->cr)
		h->bare_cr = true;
	if (h->line_n > 0) {
		note_line(h, 0);
		if (h->where == HEADER && h->own && (h->line_state == NAME || h->line_state == NAME_END))
			malformed(h);
	}
	h->line_at = h->octets;
	if (h->where == HEADER)
		end_field(h);
}
