/* SPDX-License-Identifier: ISC */
#include "mail/find.h"

#include "base/mem.h"
#include "proto/mime_decode.h"
#include "proto/mime_field.h"
#include "proto/rfc5322_field.h"

#define PIECE	8192		/* octets that are made comparable at once */
#define FOLDED	(PIECE / 2 * 3 + 1)	/* what charset_fold may make of them */

/*
 * Text goes through it: octets, which `charset` makes UTF-8, without case into the window, where the needle is
 * looked for. What of the window may be the beginning of the needle stays in it.
 */
struct finder {
	const struct needle *needle;	/* borrowed */
	const struct charset *charset;	/* of the octets that come */
	bool		found;
	bool		cr;		/* one came, and what follows it decides */
	size_t		held;		/* octets of a character that is not whole yet */
	size_t		n;		/* octets in the window */
	unsigned char	octets[CHARSET_REST + PIECE];	/* those held, and what is decoded behind them */
	unsigned char	utf8[PIECE];
	unsigned char	window[NEEDLE_MAX + 4 * FOLDED];
};

struct finder *
finder_new(void)
{
	return mem_alloc(sizeof(struct finder));
}

void
finder_free(struct finder **f)
{
	mem_free(*f);
	*f = NULL;
}

/* ---- the window ---- */

static void
look(struct finder *f)
{
	struct bytes n = f->needle->text;
	size_t keep = n.n > 0 ? n.n - 1 : 0;

	if (!f->found)
		f->found = memmem(f->window, f->n, n.p, n.n) != NULL;
	if (f->n > keep) {
		memmove(f->window, f->window + f->n - keep, keep);
		f->n = keep;
	}
}

/* Room for so much more (at most two FOLDED). */
static unsigned char *
window_room(struct finder *f, size_t n)
{
	if (sizeof f->window - f->n < n)
		look(f);
	return f->window + f->n;
}

/* A CR before an LF goes; the last waits. In place; octets left. */
static size_t
join_line_ends(unsigned char *p, size_t n, bool *cr)
{
	size_t from = 0, to = 0;

	for (; from < n; from++)
		if (p[from] != '\r' || (from + 1 < n && p[from + 1] != '\n'))
			p[to++] = p[from];
		else if (from + 1 == n)
			*cr = true;
	return to;
}

static void
push_utf8(struct finder *f, struct bytes s)
{
	unsigned char *p;

	if (s.n == 0)
		return;
	p = window_room(f, FOLDED + 1);
	if (f->cr && s.p[0] != '\n') {
		*p = '\r';
		f->n++;
		p++;
	}
	f->cr = false;
	f->n += f->needle->lines ? join_line_ends(p, charset_fold(s, p), &f->cr) : charset_fold(s, p);
}

/* In blocks that the compiler makes vectors of. */
static void
lower_ascii(unsigned char *restrict out, const unsigned char *restrict in, size_t n)
{
	size_t i, j;

	for (i = 0; n - i >= 64; i += 64)
		for (j = 0; j < 64; j++) {
			unsigned char c = in[i + j];

			out[i + j] = (unsigned char)(c + ((unsigned char)(c - 'A') < 26 ? 32 : 0));
		}
	for (; i < n; i++)
		out[i] = ascii_lower(in[i]);
}

/* Octets in which an ASCII needle can be found as they are. */
static void
push_octets(struct finder *f, struct bytes s)
{
	while (s.n > 0 && !f->found) {
		size_t n = s.n < FOLDED ? s.n : FOLDED;

		lower_ascii(window_room(f, n), s.p, n);
		f->n += n;
		s = bytes_skip(s, n);
	}
}

/* ---- octets of some charset ---- */

/* All of *in that can be; what is left of it is the beginning of a character, unless `last`. */
static void
push_charset(struct finder *f, struct bytes *in, bool last)
{
	size_t n;

	while (!f->found && (n = charset_convert(f->charset, in, last, f->utf8, sizeof f->utf8)) > 0)
		push_utf8(f, bytes_of(f->utf8, n));
}

static bool
as_they_are(const struct finder *f)
{
	return f->needle->ascii && !f->needle->lines && charset_is_plain(f->charset);
}

/* n octets that stand in f->octets behind those that are held. */
static void
push_decoded(struct finder *f, size_t n)
{
	struct bytes in = bytes_of(f->octets, f->held + n);

	if (as_they_are(f)) {
		push_octets(f, in);
		return;
	}
	push_charset(f, &in, false);
	f->held = f->found ? 0 : in.n;
	must(f->held <= CHARSET_REST);
	memmove(f->octets, in.p, f->held);
}

/* The text in this charset has ended. */
static void
end_charset(struct finder *f)
{
	struct bytes in = bytes_of(f->octets, f->held);

	f->held = 0;
	if (!as_they_are(f))
		push_charset(f, &in, true);
}

static void
begin_charset(struct finder *f, const struct charset *c)
{
	f->charset = c;
	charset_begin(c);
}

static void
push_encoded(struct finder *f, enum mime_transfer how, struct bytes s)
{
	struct mime_decoder d;
	size_t n;

	mime_decoder_init(&d, how, s);
	while (!f->found && (n = mime_decode(&d, f->octets + f->held, PIECE)) > 0)
		push_decoded(f, n);
}

/* A text begins: nothing of the last can be part of it. */
static void
begin(struct finder *f, const struct needle *n, const struct charset *c)
{
	f->needle = n;
	f->found = n->text.n == 0;
	f->cr = false;
	f->n = f->held = 0;
	begin_charset(f, c);
}

static bool
end(struct finder *f)
{
	end_charset(f);
	if (f->cr) {
		*window_room(f, 1) = '\r';
		f->n++;
	}
	if (!f->found)
		look(f);
	return f->found;
}

/* ---- header fields ---- */

static const struct charset *
charset_named(struct bytes name)
{
	const struct charset *c = charset_find(name);

	return c != NULL ? c : charset_any();
}

/* Words next to each other in one charset are one text: a character may have been cut in two. */
static void
push_word(struct finder *f, const struct encoded_word *w)
{
	const struct charset *c = charset_named(w->charset);

	if (c != f->charset) {
		end_charset(f);
		begin_charset(f, c);
	}
	push_encoded(f, w->how, w->text);
}

static void
push_text(struct finder *f, struct bytes s)
{
	if (f->charset != charset_any()) {
		end_charset(f);
		begin_charset(f, charset_any());
	}
	push_encoded(f, MIME_PLAIN, s);
}

/* The same without its line ends: RFC 5322 section 2.2.3. */
static void
push_unfolded(struct finder *f, struct bytes s)
{
	while (s.n > 0) {
		size_t n = bytes_find(s, '\n');
		bool crlf = n < s.n && n > 0 && s.p[n - 1] == '\r';

		push_text(f, bytes_head(s, n - crlf));
		s = bytes_skip(s, n + 1);
	}
}

static size_t
blanks(struct bytes s)
{
	size_t n = 0;

	while (n < s.n && strchr(" \t\r\n", s.p[n]) != NULL && s.p[n] != '\0')
		n++;
	return n;
}

/* White space between two encoded words is no text: RFC 2047 section 6.2. */
static void
push_value(struct finder *f, struct bytes s)
{
	struct encoded_word w;
	bool after_word = false;

	while (s.n > 0 && !f->found) {
		size_t gap = after_word ? blanks(s) : 0, n = gap, word = 0;

		while (n < s.n && (word = encoded_word(bytes_skip(s, n), &w)) == 0) {
			n += n < s.n;
			n += bytes_find(bytes_skip(s, n), '=');
		}
		if (word == 0 || n > gap)
			gap = 0;
		push_unfolded(f, bytes_skip(bytes_head(s, n), gap));
		if (word > 0)
			push_word(f, &w);
		after_word = word > 0;
		s = bytes_skip(s, n + word);
	}
}

bool
find_in_field(struct finder *f, const struct needle *n, struct bytes header, struct bytes name)
{
	struct field field;

	while (field_next(&header, &field)) {
		if (!bytes_case_eq(field.name, name) || field.name.n == 0)
			continue;
		begin(f, n, charset_any());
		push_value(f, field.value);
		if (end(f))
			return true;
	}
	return false;
}

bool
find_in_header(struct finder *f, const struct needle *n, struct bytes header)
{
	struct field field;

	while (field_next(&header, &field)) {
		begin(f, n, charset_any());
		push_text(f, field.name);
		if (field.name.n > 0)
			push_text(f, text(": "));
		push_value(f, field.value);
		if (end(f))
			return true;
	}
	return n->text.n == 0;
}

/* ---- bodies ---- */

/* Is it text, and in which charset? What cannot be read is text/plain, RFC 2045 section 5.2. */
static bool
is_text(const struct mime_part *p, const struct charset **c)
{
	struct mime_value type;
	const struct mime_param *charset;

	*c = charset_any();
	if (p->kind != MIME_SINGLE)
		return p->kind == MIME_NO_PARTS;
	if (p->fields[MIME_TYPE].p == NULL)
		return true;
	mime_content_type(p->fields[MIME_TYPE], &type);
	if (type.type.n > 0 && type.subtype.n > 0 && !bytes_case_eq(type.type, text("text")))
		return false;
	charset = mime_param_find(&type, "charset");
	if (charset != NULL && !charset->extended)
		*c = charset_named(charset->value);
	return true;
}

static bool
find_in_text(struct finder *f, const struct needle *n, struct bytes body, enum mime_transfer how,
    const struct charset *c)
{
	begin(f, n, c);
	if (how != MIME_PLAIN) {
		push_encoded(f, how, body);
	} else if (as_they_are(f)) {
		push_octets(f, body);
	} else if (n->ascii || !charset_is_plain(c) || !bytes_is_ascii(body)) {
		push_charset(f, &body, true);
	}
	return end(f);
}

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

static struct bytes
part_text(const struct mime_tree *t, struct mime_range r)
{
	return bytes_head(bytes_skip(t->text, r.at), r.n);
}

bool
find_in_body(struct finder *f, const struct needle *n, const struct mime_tree *t)
{
	const struct mime_part *p;
	const struct charset *c;

	if (n->text.n == 0)
		return true;
	for (p = t->root; p != NULL; p = after(p)) {
		if (p != t->root && find_in_header(f, n, part_text(t, mime_part_header(p))))
			return true;
		if (is_text(p, &c) && find_in_text(f, n, part_text(t, mime_part_body(p)),
		    mime_transfer(p->fields[MIME_ENCODING]), c))
			return true;
	}
	return false;
}

/* ---- what is looked for ---- */

bool
needle_init(struct needle *n, struct bytes s, const struct charset *c, struct arena *a)
{
	static unsigned char utf8[4 * NEEDLE_MAX], folded[FOLDED + 1];
	size_t done = 0, got;
	bool cr = false;

	charset_begin(c);
	while (sizeof utf8 - done >= CHARSET_ROOM
	    && (got = charset_convert(c, &s, true, utf8 + done, sizeof utf8 - done)) > 0)
		done += got;
	if (s.n > 0 || sizeof utf8 - done < CHARSET_ROOM)
		return false;
	n->text = bytes_of(folded, charset_fold(bytes_of(utf8, done), folded));
	n->text.n = join_line_ends(folded, n->text.n, &cr);
	if (cr)
		folded[n->text.n++] = '\r';
	n->ascii = bytes_is_ascii(n->text);
	n->lines = bytes_find(n->text, '\n') < n->text.n || bytes_find(n->text, '\r') < n->text.n;
	n->text = arena_copy(a, n->text);
	return n->text.n <= NEEDLE_MAX;
}
