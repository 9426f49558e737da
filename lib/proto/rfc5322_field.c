/* SPDX-License-Identifier: ISC */
#include "proto/rfc5322_field.h"

/* Octets of the line at the front of s, its LF included. */
static size_t
line_octets(struct bytes s)
{
	size_t n = bytes_find(s, '\n');

	return n < s.n ? n + 1 : n;
}

static bool
is_folded(struct bytes s)
{
	return s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t');
}

/* Name and value of a whole field, if it is one. White space before the colon is RFC 5322
 * section 4.5.8. */
static void
take_apart(struct field *f)
{
	struct bytes rest = f->whole, name = bytes_cut(&rest, ':');
	size_t i;

	f->name = bytes_of(f->whole.p, 0);
	f->value = bytes_trim(f->whole);
	if (name.n == f->whole.n)
		return;
	while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
		name.n--;
	for (i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
			return;
	if (name.n == 0)
		return;
	f->name = name;
	f->value = bytes_trim(rest);
}

bool
field_next(struct bytes *content, struct field *out)
{
	size_t n = line_octets(*content);

	if (n == 0)
		return false;
	if (content->p[0] == '\n' || (n == 2 && content->p[0] == '\r' && content->p[1] == '\n')) {
		*content = bytes_skip(*content, n);
		return false;
	}
	while (is_folded(bytes_skip(*content, n)))
		n += line_octets(bytes_skip(*content, n));
	out->whole = bytes_head(*content, n);
	*content = bytes_skip(*content, n);
	take_apart(out);
	return true;
}

bool
field_is(const struct field *f, const char *name)
{
	return bytes_case_eq(f->name, text(name));
}

bool
field_find(struct bytes content, const char *name, struct field *out)
{
	while (field_next(&content, out))
		if (field_is(out, name))
			return true;
	return false;
}

struct bytes
field_unfold(struct bytes value, struct arena *a)
{
	unsigned char *p = arena_alloc(a, value.n + 1);
	size_t i, n = 0;

	for (i = 0; i < value.n; i++) {
		if (value.p[i] == '\r' && i + 1 < value.n && value.p[i + 1] == '\n')
			continue;
		if (value.p[i] != '\n')
			p[n++] = value.p[i];
	}
	return bytes_of(p, n);
}

void
field_skip_cfws(struct bytes *value)
{
	size_t i, depth = 0;

	for (i = 0; i < value->n; i++) {
		unsigned char c = value->p[i];

		if (c == '(')
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\')
			i++;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
	}
	*value = bytes_skip(*value, i);
}
