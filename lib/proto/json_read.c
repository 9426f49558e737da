/* SPDX-License-Identifier: ISC */
#include "proto/json_read.h"

#include "proto/utf8.h"

#define DIGITS_MAX	15

static bool	take_value(struct bytes *s, unsigned depth, struct json_value *out);

static void
skip_white(struct bytes *s)
{
	while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t' || s->p[0] == '\r' || s->p[0] == '\n'))
		*s = bytes_skip(*s, 1);
}

static bool
take_char(struct bytes *s, unsigned char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = bytes_skip(*s, 1);
	return true;
}

/* ---- strings: section 7 ---- */

/* Four digits at the front. */
static bool
take_hex(struct bytes *s, uint32_t *out)
{
	*out = 0;
	for (size_t i = 0; i < 4; i++) {
		unsigned char c = i < s->n ? ascii_lower(s->p[i]) : 0;

		if (!ascii_digit(c) && (c < 'a' || c > 'f'))
			return false;
		*out = *out << 4 | (uint32_t)(ascii_digit(c) ? c - '0' : c - 'a' + 10);
	}
	*s = bytes_skip(*s, 4);
	return true;
}

/* What stands behind "\u": one, or two that are a pair. */
static bool
take_unicode(struct bytes *s, uint32_t *c)
{
	uint32_t low;

	if (!take_hex(s, c) || (*c >= 0xdc00 && *c <= 0xdfff))
		return false;
	if (*c < 0xd800 || *c > 0xdbff)
		return true;
	if (!take_char(s, '\\') || !take_char(s, 'u') || !take_hex(s, &low) || low < 0xdc00 || low > 0xdfff)
		return false;
	*c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

/* What stands behind the backslash. */
static bool
take_escape(struct bytes *s, uint32_t *c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (s->n == 0 || s->p[0] == '\0')
		return false;
	if (take_char(s, 'u'))
		return take_unicode(s, c);
	if (!(at = strchr(from, s->p[0])))
		return false;
	*c = (unsigned char)to[at - from];
	*s = bytes_skip(*s, 1);
	return true;
}

/* One character of a string, in UTF-8. False: there is none that may stand there. */
static bool
take_character(struct bytes *s, unsigned char dst[4], size_t *n)
{
	uint32_t c;

	if (take_char(s, '\\')) {
		*n = take_escape(s, &c) ? utf8_put(c, dst) : 0;
		return *n > 0;
	}
	*n = s->n > 0 && s->p[0] >= ' ' && s->p[0] != '"' ? utf8_length(*s) : 0;
	memcpy(dst, s->p, *n);
	*s = bytes_skip(*s, *n);
	return *n > 0;
}

static bool
take_string(struct bytes *s, struct bytes *out)
{
	struct bytes start;
	unsigned char octets[4];
	size_t n;

	if (!take_char(s, '"'))
		return false;
	start = *s;
	while (s->n > 0 && s->p[0] != '"')
		if (!take_character(s, octets, &n))
			return false;
	*out = bytes_head(start, start.n - s->n);
	return take_char(s, '"');
}

/* ---- numbers: section 6 ---- */

static size_t
take_digits(struct bytes *s)
{
	size_t n = 0;

	while (n < s->n && ascii_digit(s->p[n]))
		n++;
	*s = bytes_skip(*s, n);
	return n;
}

static bool
take_number(struct bytes *s, struct bytes *out)
{
	struct bytes start = *s;
	bool zero;

	(void)take_char(s, '-');
	zero = s->n > 0 && s->p[0] == '0';
	if (take_digits(s) != 1 && (zero || s->p == start.p + (start.p[0] == '-')))
		return false;
	if (take_char(s, '.') && take_digits(s) == 0)
		return false;
	if (take_char(s, 'e') || take_char(s, 'E')) {
		if (!take_char(s, '+'))
			(void)take_char(s, '-');
		if (take_digits(s) == 0)
			return false;
	}
	*out = bytes_head(start, start.n - s->n);
	return true;
}

/* ---- what has others in it ---- */

/* A name, and its value. */
static bool
take_pair(struct bytes *s, unsigned depth, struct bytes *name, struct json_value *out)
{
	skip_white(s);
	if (!take_string(s, name))
		return false;
	skip_white(s);
	return take_char(s, ':') && take_value(s, depth, out);
}

static bool
take_all(struct bytes *s, unsigned depth, bool object, struct bytes *out)
{
	struct bytes start = *s, name;
	struct json_value value;
	unsigned char end = object ? '}' : ']';
	bool first = true;

	*s = bytes_skip(*s, 1);
	for (skip_white(s); depth < JSON_DEPTH; first = false) {
		if (first && take_char(s, end))
			break;
		if (!(object ? take_pair(s, depth + 1, &name, &value) : take_value(s, depth + 1, &value)))
			return false;
		if (take_char(s, end))
			break;
		if (!take_char(s, ','))
			return false;
	}
	*out = bytes_head(start, start.n - s->n);
	return depth < JSON_DEPTH;
}

static bool
take_word(struct bytes *s, struct json_value *out)
{
	static const struct { const char *word; enum json_kind kind; } words[] = {
		{ "null", JSON_NULL }, { "false", JSON_FALSE }, { "true", JSON_TRUE } };

	for (size_t i = 0; i < LEN(words); i++)
		if (bytes_starts(*s, text(words[i].word))) {
			*out = (struct json_value){ words[i].kind, bytes_head(*s, strlen(words[i].word)) };
			*s = bytes_skip(*s, out->raw.n);
			return true;
		}
	return false;
}

/* With the white space on both sides. */
static bool
take_value(struct bytes *s, unsigned depth, struct json_value *out)
{
	bool good;

	skip_white(s);
	switch (s->n > 0 ? s->p[0] : '\0') {
	case '"':
		out->kind = JSON_STRING;
		good = take_string(s, &out->raw);
		break;
	case '{':
	case '[':
		out->kind = s->p[0] == '{' ? JSON_OBJECT : JSON_ARRAY;
		good = take_all(s, depth, s->p[0] == '{', &out->raw);
		break;
	case 'n':
	case 'f':
	case 't':
		good = take_word(s, out);
		break;
	default:
		out->kind = JSON_NUMBER;
		good = s->n > 0 && take_number(s, &out->raw);
		break;
	}
	skip_white(s);
	return good;
}

/* ---- for others ---- */

bool
json_read(struct bytes text, struct json_value *out)
{
	if (take_value(&text, 0, out) && text.n == 0)
		return true;
	*out = (struct json_value){ 0 };
	return false;
}

bool
json_member(const struct json_value *object, const char *name, struct json_value *out)
{
	struct bytes rest = bytes_skip(object->raw, 1), own;
	struct json_value value;
	bool once = true;

	*out = (struct json_value){ 0 };
	if (object->kind != JSON_OBJECT)
		return true;
	while (take_pair(&rest, 1, &own, &value)) {
		struct json_value as_string = { JSON_STRING, own };

		if (json_equals(&as_string, text(name))) {
			once = once && out->kind == JSON_NONE;
			*out = value;
		}
		(void)take_char(&rest, ',');
	}
	return once;
}

bool
json_item(struct bytes *rest, struct json_value *out)
{
	if (!take_char(rest, '['))
		(void)take_char(rest, ',');
	return take_value(rest, 1, out);
}

bool
json_unquote(const struct json_value *string, struct buf *out)
{
	struct bytes rest = string->raw;
	size_t before = out->n, n;
	unsigned char octets[4];

	if (string->kind != JSON_STRING)
		return false;
	while (rest.n > 0 && !out->full && take_character(&rest, octets, &n))
		buf_add(out, bytes_of(octets, n));
	if (rest.n == 0 && !out->full)
		return true;
	out->n = before;
	return false;
}

bool
json_equals(const struct json_value *string, struct bytes want)
{
	struct bytes rest = string->raw;
	unsigned char octets[4];
	size_t n;

	while (rest.n > 0) {
		if (!take_character(&rest, octets, &n) || !bytes_starts(want, bytes_of(octets, n)))
			return false;
		want = bytes_skip(want, n);
	}
	return string->kind == JSON_STRING && want.n == 0;
}

bool
json_integer(const struct json_value *number, int64_t *out)
{
	struct bytes whole = number->raw;
	bool minus = take_char(&whole, '-');
	uint64_t v;

	if (number->kind != JSON_NUMBER || bytes_find(whole, 'e') < whole.n || bytes_find(whole, 'E') < whole.n)
		return false;
	whole = bytes_head(whole, bytes_find(whole, '.'));
	if (whole.n > DIGITS_MAX || !bytes_u64(whole, UINT64_MAX, &v))
		return false;
	*out = minus ? -(int64_t)v : (int64_t)v;
	return true;
}
