/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/mime_field.h"
#include "proto/rfc5322_field.h"

/* A parameter as it stands; RFC 2231's names are split already. */
struct piece {
	struct bytes	name;
	struct bytes	value;		/* a token, or what is between quotes, backslashes and all */
	struct bytes	loose;		/* the token and the words after it */
	bool		quoted;
	bool		extended;	/* "name*=", "name*1*=" */
	bool		used;
	int		number;		/* of "name*1="; -1: whole */
};

static bool
is_wsp(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- tokens, RFC 2045 section 5.1 ---- */

/* Without line ends, as much as there is room for; *cut: that was not all. */
static struct bytes
unfold(struct bytes value, unsigned char *out, size_t max, bool *cut)
{
	size_t i, n = 0;

	*cut = false;
	for (i = 0; i < value.n && !*cut; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n') {
			if (n < max)
				out[n++] = value.p[i];
			else
				*cut = true;
		}
	return bytes_of(out, n);
}

/* A token off the front of *s; liberal: all but what must end it. */
static struct bytes
take_token(struct bytes *s, const char *ends)
{
	struct bytes token;
	size_t i;

	field_skip_cfws(s);
	for (i = 0; i < s->n && !is_wsp(s->p[i]) && (s->p[i] == 0 || strchr(ends, s->p[i]) == NULL); i++)
		;
	token = bytes_head(*s, i);
	*s = bytes_skip(*s, i);
	field_skip_cfws(s);
	return token;
}

/* Type and subtype off the front of *s. */
static void
take_type(struct bytes *s, struct bytes *type, struct bytes *subtype)
{
	*type = take_token(s, "/;(");
	*s = bytes_skip(*s, s->n > 0 && s->p[0] == '/');
	*subtype = take_token(s, ";(");
}

/* Without backslashes, into out (of at least raw.n octets). */
static size_t
unquote(struct bytes raw, unsigned char *out)
{
	size_t i, n = 0;

	for (i = 0; i < raw.n; i++) {
		if (raw.p[i] == '\\' && i + 1 < raw.n)
			i++;
		out[n++] = raw.p[i];
	}
	return n;
}

/* What is between the quotes, the first of which begins *s. */
static struct bytes
take_quoted(struct bytes *s)
{
	struct bytes inside;
	size_t i;

	for (i = 1; i < s->n && s->p[i] != '"'; i++)
		if (s->p[i] == '\\' && i + 1 < s->n)
			i++;
	inside = bytes_skip(bytes_head(*s, i), 1);
	*s = bytes_skip(*s, i + 1);
	return inside;
}

/* token, of which rest follows, and the words after it up to ';', if it takes them. */
static struct bytes
with_words(struct bytes token, struct bytes rest)
{
	struct bytes all = bytes_of(token.p, (size_t)(rest.p - token.p) + bytes_find(rest, ';'));

	if (rest.n == 0 || rest.p[0] == ';'
	    || bytes_find(all, '=') < all.n || bytes_find(all, '"') < all.n)
		return token;
	return bytes_trim(all);
}

/* The next parameter off the front of *s; name and value as they stand. False: no more. */
static bool
next_piece(struct bytes *s, struct piece *out)
{
	while (bytes_find(*s, ';') < s->n) {
		*s = bytes_skip(*s, bytes_find(*s, ';') + 1);
		*out = (struct piece){ .name = take_token(s, "=;("), .number = -1 };
		if (s->n == 0 || s->p[0] != '=')
			continue;
		*s = bytes_skip(*s, 1);
		field_skip_cfws(s);
		out->quoted = s->n > 0 && s->p[0] == '"';
		out->value = out->quoted ? take_quoted(s) : take_token(s, ";(");
		out->loose = out->quoted ? out->value : with_words(out->value, *s);
		return true;
	}
	return false;
}

/* ---- what decides the structure ---- */

static enum mime_class
class_of(struct bytes type, struct bytes subtype)
{
	if (bytes_case_eq(type, text("multipart")))
		return MIME_IS_MULTIPART;
	if (bytes_case_eq(type, text("message"))	/* RFC 2046 section 5.2.1, RFC 6532 section 3.7 */
	    && (bytes_case_eq(subtype, text("rfc822")) || bytes_case_eq(subtype, text("global"))))
		return MIME_IS_MESSAGE;
	return MIME_IS_SINGLE;
}

/* value was named "boundary": taken, if it is the first that can be. */
static void
take_boundary(struct mime_type *t, const struct piece *p)
{
	unsigned char value[MIME_TYPE_MAX];
	struct bytes got = p->value;

	if (p->quoted)
		got = bytes_of(value, unquote(p->value, value));
	if (t->boundary.n > 0 || got.n == 0 || got.n > MIME_BOUNDARY_MAX) {
		t->odd = true;
		return;
	}
	for (; got.n > 1 && is_wsp(got.p[got.n - 1]); got.n--)
		t->odd = true;
	memcpy(t->pool, got.p, got.n);
	t->boundary = bytes_of(t->pool, got.n);
}

void
mime_type_parse(struct bytes value, struct mime_type *out)
{
	struct bytes rest = unfold(value, out->text, sizeof out->text, &out->odd);
	struct piece p;

	out->boundary = bytes_of(out->pool, 0);
	take_type(&rest, &out->type, &out->subtype);
	out->class = class_of(out->type, out->subtype);
	while (next_piece(&rest, &p))
		if (bytes_case_eq(p.name, text("boundary")))
			take_boundary(out, &p);
		else if (bytes_case_starts(p.name, text("boundary*")))
			out->odd = true;
}

/* ---- parameters, RFC 2231 ---- */

/* Takes "*1" or "*1*" or "*" off the name; what is none of these is part of it. */
static void
split_name(struct piece *p)
{
	struct bytes number, name = p->name;
	uint64_t n;
	size_t star;

	if ((p->extended = name.n > 1 && name.p[name.n - 1] == '*'))
		name.n--;
	star = bytes_find(name, '*');
	if (star == name.n) {
		p->name = name;
		return;
	}
	number = bytes_skip(name, star + 1);
	if (star > 0 && bytes_u64(number, MIME_PIECES_MAX - 1, &n)
	    && (number.n == 1 || number.p[0] != '0')) {
		p->name = bytes_head(name, star);
		p->number = (int)n;
	} else {
		p->extended = false;
	}
}

/* charset and language are said: two quotes, RFC 2231 section 4. */
static bool
has_charset(struct bytes value)
{
	size_t first = bytes_find(value, '\'');

	return first < value.n && bytes_find(bytes_skip(value, first + 1), '\'') < value.n - first - 1;
}

/* RFC 2231 section 7: what needs no %XX. */
static bool
is_attribute_char(unsigned char c)
{
	return c > ' ' && c < 0x7f && strchr("*'%()<>@,;:\\\"/[]?=", c) == NULL;
}

static size_t
put_encoded(unsigned char *to, struct bytes s)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i, n = 0;

	for (i = 0; i < s.n; i++)
		if (is_attribute_char(s.p[i])) {
			to[n++] = s.p[i];
		} else {
			to[n++] = '%';
			to[n++] = (unsigned char)digits[s.p[i] >> 4];
			to[n++] = (unsigned char)digits[s.p[i] & 15];
		}
	return n;
}

struct params {
	struct mime_value *out;
	size_t		pool_n;
	struct piece	pieces[MIME_PIECES_MAX];
	size_t		pieces_n;
};

/* The value of one piece goes behind what is in the pool; encoded: as text of an extended one. */
static void
put_piece(struct params *p, const struct piece *piece, bool encoded)
{
	unsigned char plain[MIME_VALUE_MAX], *to = p->out->pool + p->pool_n;
	struct bytes value = piece->loose;

	if (piece->quoted)
		value = bytes_of(plain, unquote(piece->value, plain));
	must(p->pool_n + (encoded ? 3 : 1) * value.n <= sizeof p->out->pool);
	if (encoded)
		p->pool_n += put_encoded(to, value);
	else if (value.n > 0) {
		memcpy(to, value.p, value.n);
		p->pool_n += value.n;
	}
}

static struct piece *
find_piece(struct params *p, struct bytes name, int number)
{
	struct piece *q;

	for (q = p->pieces; q < p->pieces + p->pieces_n; q++)
		if (!q->used && q->number == number && bytes_case_eq(q->name, name))
			return q;
	return NULL;
}

/* One that is said twice: the first counts. An extended one is not the same as a plain one. */
static bool
is_known(const struct mime_value *v, struct bytes name, bool extended)
{
	size_t i;

	for (i = 0; i < v->params_n; i++)
		if (v->params[i].extended == extended && bytes_case_eq(v->params[i].name, name))
			return true;
	return false;
}

/* The parameter of which first is the beginning. */
static void
add_param(struct params *p, struct piece *first)
{
	struct mime_value *v = p->out;
	bool extended = first->extended && has_charset(first->value);
	struct mime_param *to = v->params + v->params_n;
	const unsigned char *at = v->pool + p->pool_n;
	struct piece *next = first;
	int number = first->number;

	first->used = true;
	if (v->params_n == MIME_PARAMS_MAX || is_known(v, first->name, extended)) {
		v->odd = true;
		return;
	}
	put_piece(p, first, false);
	while (number >= 0 && (next = find_piece(p, first->name, ++number)) != NULL) {
		next->used = true;
		put_piece(p, next, extended && !next->extended);
	}
	*to = (struct mime_param){ first->name, bytes_of(at, (size_t)(v->pool + p->pool_n - at)), extended };
	v->params_n++;
}

/* Each at the place of its first piece. What is behind a gap is left. */
static void
join_pieces(struct params *p)
{
	struct piece *q, *first;

	for (q = p->pieces; q < p->pieces + p->pieces_n; q++) {
		if (q->used)
			continue;
		first = q->number <= 0 ? q : find_piece(p, q->name, 0);
		if (first != NULL)
			add_param(p, first);
		if (!q->used)
			p->out->odd = true;
	}
}

/* rest: what follows the type. */
static void
parse_params(struct bytes rest, struct mime_value *out)
{
	struct params p = { .out = out };
	struct piece piece;

	out->params_n = 0;
	while (next_piece(&rest, &piece)) {
		if (piece.name.n == 0)
			continue;
		if (p.pieces_n == MIME_PIECES_MAX) {
			out->odd = true;
			break;
		}
		split_name(&piece);
		p.pieces[p.pieces_n++] = piece;
	}
	join_pieces(&p);
}

void
mime_content_type(struct bytes value, struct mime_value *out)
{
	struct bytes all = unfold(value, out->text, sizeof out->text, &out->odd);
	struct bytes rest = bytes_head(all, MIME_TYPE_MAX);

	take_type(&rest, &out->type, &out->subtype);
	parse_params(bytes_skip(all, (size_t)(rest.p - all.p)), out);
}

void
mime_content_disposition(struct bytes value, struct mime_value *out)
{
	struct bytes rest = unfold(value, out->text, sizeof out->text, &out->odd);

	out->type = take_token(&rest, ";(");
	out->subtype = bytes_of(out->text, 0);
	parse_params(rest, out);
}

const struct mime_param *
mime_param_find(const struct mime_value *v, const char *name)
{
	const struct mime_param *p, *found = NULL;

	for (p = v->params; p < v->params + v->params_n; p++)
		if ((found == NULL || p->extended) && bytes_case_eq(p->name, text(name)))
			found = p;
	return found;
}

static int
hex_digit(unsigned char c)
{
	c = ascii_lower(c);
	return ascii_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t
mime_param_decode(const struct mime_param *p, unsigned char *out, struct bytes *charset,
    struct bytes *language)
{
	struct bytes rest = p->value;
	size_t i, n = 0;
	bool hex;

	*charset = *language = bytes_of(rest.p, 0);
	if (p->extended) {
		*charset = bytes_cut(&rest, '\'');
		*language = bytes_cut(&rest, '\'');
	}
	for (i = 0; i < rest.n; i++) {
		hex = p->extended && rest.p[i] == '%' && i + 2 < rest.n
		    && hex_digit(rest.p[i + 1]) >= 0 && hex_digit(rest.p[i + 2]) >= 0;
		out[n++] = hex ? (unsigned char)(hex_digit(rest.p[i + 1]) * 16 + hex_digit(rest.p[i + 2]))
		    : rest.p[i];
		i += hex ? 2 : 0;
	}
	return n;
}

/* ---- other fields ---- */

struct bytes
mime_encoding(struct bytes value, unsigned char room[MIME_ENCODING_MAX])
{
	struct bytes rest;
	bool cut;

	rest = unfold(value, room, MIME_ENCODING_MAX, &cut);
	return take_token(&rest, ";(");
}

bool
mime_encoded(struct bytes value)
{
	unsigned char room[MIME_ENCODING_MAX];
	struct bytes token = mime_encoding(value, room);

	return bytes_case_eq(token, text("base64")) || bytes_case_eq(token, text("quoted-printable"));
}

size_t
mime_languages(struct bytes value, struct bytes *out, size_t max)
{
	struct bytes tag;
	size_t n = 0;

	while (value.n > 0 && n < max) {
		tag = take_token(&value, ",;(");
		if (tag.n > 0)
			out[n++] = tag;
		value = bytes_skip(value, bytes_find(value, ',') + 1);
	}
	return n;
}
