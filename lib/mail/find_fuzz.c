/* SPDX-License-Identifier: ISC */
/* Compared with the obvious way: all of a text made comparable at once, and looked through octet by octet. */
#include "base/mem.h"
#include "mail/find.h"
#include "proto/mime_decode.h"
#include "proto/mime_field.h"
#include "proto/rfc5322_field.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define ROOM	(1 << 20)

static unsigned char octets[ROOM], utf8[4 * ROOM], folded[6 * ROOM];

struct text { const struct charset *charset; size_t octets, folded; };

/* Of the octets so far; all, if there will be no others of this charset. */
static void
convert(struct text *t, bool last)
{
	struct bytes in = bytes_of(octets, t->octets);
	size_t n = 0, got;

	while ((got = charset_convert(t->charset, &in, last, utf8 + n, sizeof utf8 - n)) > 0)
		n += got;
	must(!last || in.n == 0);
	t->folded += charset_fold(bytes_of(utf8, n), folded + t->folded);
	memmove(octets, in.p, in.n);
	t->octets = in.n;
	if (last)
		charset_begin(t->charset);
}

/* What a converter makes of malformed text may depend on the pieces: they are to be the same. */
static void
add(struct text *t, const struct charset *c, enum mime_transfer how, struct bytes s)
{
	struct mime_decoder d;

	if (c != t->charset) {
		convert(t, true);
		charset_begin(c);
	}
	t->charset = c;
	mime_decoder_init(&d, how, s);
	t->octets += mime_decode(&d, octets + t->octets, sizeof octets - t->octets);
	if (!charset_is_plain(c) && how != MIME_PLAIN)
		convert(t, false);
}

static bool
contains(struct text *t, struct bytes needle)
{
	size_t i, n = 0;

	convert(t, true);
	for (i = 0; i < t->folded; i++)
		if (folded[i] != '\r' || i + 1 == t->folded || folded[i + 1] != '\n')
			folded[n++] = folded[i];
	for (i = 0; i + needle.n <= n; i++)
		if (needle.n == 0 || memcmp(folded + i, needle.p, needle.n) == 0)
			return true;
	return false;
}

static const struct charset *
named(struct bytes name)
{
	return charset_find(name) != NULL ? charset_find(name) : charset_any();
}

/* A run of text in a field: nothing if it is white space between two words. */
static void
add_run(struct text *t, struct bytes s, bool between)
{
	size_t i;

	for (i = 0; i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\r' || s.p[i] == '\n'); i++)
		;
	if (between && i == s.n)
		return;
	for (i = 0; i < s.n; i++)
		if (s.p[i] != '\n' && !(s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n'))
			add(t, charset_any(), MIME_PLAIN, bytes_of(s.p + i, 1));
}

static void
add_value(struct text *t, struct bytes s)
{
	struct encoded_word w;
	bool word = false;
	size_t i = 0, k;

	while (i < s.n) {
		if ((k = encoded_word(bytes_skip(s, i), &w)) == 0) {
			i++;
			continue;
		}
		add_run(t, bytes_head(s, i), word);
		add(t, named(w.charset), w.how, w.text);
		word = true;
		s = bytes_skip(s, i + k);
		i = 0;
	}
	add_run(t, s, false);
}

static bool
slow_header(struct bytes header, struct bytes needle, const char *name)
{
	struct field f;

	while (field_next(&header, &f)) {
		struct text t = { charset_any(), 0, 0 };

		if (name != NULL && !field_is(&f, name))
			continue;
		if (name == NULL)
			add(&t, charset_any(), MIME_PLAIN, f.name);
		if (name == NULL && f.name.n > 0)
			add(&t, charset_any(), MIME_PLAIN, text(": "));
		add_value(&t, f.value);
		if (contains(&t, needle))
			return true;
	}
	return name == NULL && needle.n == 0;
}

static bool
slow_part(const struct mime_part *p, struct bytes body, struct bytes needle)
{
	struct text t = { charset_any(), 0, 0 };
	const struct mime_param *c;
	struct mime_value v;

	mime_content_type(p->fields[MIME_TYPE], &v);
	if (p->kind == MIME_SINGLE && v.type.n > 0 && v.subtype.n > 0 && !bytes_case_eq(v.type, text("text")))
		return false;
	if (p->kind == MIME_SINGLE && (c = mime_param_find(&v, "charset")) != NULL && !c->extended)
		t.charset = named(c->value);
	if (p->kind != MIME_SINGLE && p->kind != MIME_NO_PARTS)
		return false;
	charset_begin(t.charset);
	add(&t, t.charset, mime_transfer(p->fields[MIME_ENCODING]), body);
	return contains(&t, needle);
}

static struct bytes
of(const struct mime_tree *t, struct mime_range r)
{
	return bytes_head(bytes_skip(t->text, r.at), r.n);
}

static bool
slow_body(const struct mime_tree *t, const struct mime_part *p, struct bytes needle)
{
	const struct mime_part *c;

	if (p != t->root && slow_header(of(t, mime_part_header(p)), needle, NULL))
		return true;
	if (slow_part(p, of(t, mime_part_body(p)), needle))
		return true;
	for (c = p->first; c != NULL; c = c->next)
		if (slow_body(t, c, needle))
			return true;
	return needle.n == 0;
}

/* The first line is what is looked for, with its charset up to a ':', the rest the message. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(MIME_TREE_ARENA);
	struct bytes message = bytes_of(p, n < 100000 ? n : 100000), what = bytes_cut(&message, '\n');
	const struct charset *c;
	struct finder *f;
	struct mime_tree t;
	struct bytes header;
	struct needle needle;

	charsets_open();
	c = named(bytes_cut(&what, ':'));
	if (needle_init(&needle, what, c, a)) {
		f = finder_new();
		mime_tree_parse(message, a, &t);
		header = of(&t, mime_part_header(t.root));
		must(find_in_field(f, &needle, header, text("s")) == slow_header(header, needle.text, "s"));
		must(find_in_header(f, &needle, header) == slow_header(header, needle.text, NULL));
		must(find_in_body(f, &needle, &t) == slow_body(&t, t.root, needle.text));
		finder_free(&f);
	}
	arena_free(&a);
	return 0;
}
