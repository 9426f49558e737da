/* SPDX-License-Identifier: ISC */
#include "mail/journal_line.h"

#define ID_LEAST	8
#define ID_MOST		32

bool
journal_is_id(struct bytes s)
{
	if (s.n < ID_LEAST || s.n > ID_MOST)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]))
			return false;
	return true;
}

static bool
is_stamp(struct bytes s)
{
	static const char shape[] = "0000-00-00T00:00:00.000000Z";

	for (size_t i = 0; i < s.n; i++)
		if (shape[i] == '0' ? !ascii_digit(s.p[i]) : s.p[i] != (unsigned char)shape[i])
			return false;
	return s.n == JOURNAL_STAMP;
}

static void
take_level(struct journal_line *l)
{
	static const char *const levels[] = { "warning", "fatal", "debug" };

	for (size_t i = 0; i < LEN(levels); i++) {
		size_t n = strlen(levels[i]);

		if (bytes_starts(l->text, text(levels[i])) && bytes_starts(bytes_skip(l->text, n), text(": "))) {
			l->level = bytes_head(l->text, n);
			l->text = bytes_skip(l->text, n + 2);
			return;
		}
	}
}

/* "ID: ...", or "queue ID: ..." as cleanup and the queue's own code write it. */
static void
take_id(struct journal_line *l)
{
	struct bytes rest = l->text, id;

	if (bytes_starts(rest, text("queue ")))
		rest = bytes_skip(rest, 6);
	id = bytes_head(rest, bytes_find(rest, ':'));
	if (id.n < rest.n && journal_is_id(id))
		l->id = id;
}

bool
journal_line_parse(struct bytes line, struct journal_line *out)
{
	static const char before[] = " hermod/";
	struct bytes rest = bytes_skip(line, JOURNAL_STAMP);
	size_t end;

	*out = (struct journal_line){ .stamp = bytes_head(line, JOURNAL_STAMP) };
	if (!is_stamp(out->stamp) || !bytes_starts(rest, text(before)))
		return false;
	rest = bytes_skip(rest, sizeof before - 1);
	end = bytes_find(rest, '[');
	out->process = bytes_head(rest, end);
	rest = bytes_skip(rest, end + 1);
	end = bytes_find(rest, ']');
	out->pid = bytes_head(rest, end);
	rest = bytes_skip(rest, end);
	if (out->process.n == 0 || out->pid.n == 0 || !bytes_starts(rest, text("]: ")))
		return false;
	out->text = bytes_skip(rest, 3);
	take_level(out);
	take_id(out);
	return true;
}

static bool
is_name(unsigned char c)
{
	return ascii_alnum(c) || c == '_' || c == '-';
}

/* An address may have a > in it: one that ends the value has a space behind it, or nothing. */
static size_t
closing(struct bytes s, unsigned char quote)
{
	size_t i = 0;

	while (i < s.n && !(s.p[i] == quote && (i + 1 == s.n || s.p[i + 1] == ' ')))
		i++;
	return i;
}

static void
take_value(struct bytes *rest, struct bytes *value)
{
	unsigned char first = rest->n > 0 ? rest->p[0] : ' ';
	unsigned char quote = first == '<' ? '>' : first == '"' ? '"' : ' ';

	if (quote != ' ')
		*rest = bytes_skip(*rest, 1);
	*value = bytes_head(*rest, quote == ' ' ? bytes_find(*rest, ' ') : closing(*rest, quote));
	*rest = bytes_skip(*rest, value->n + (quote != ' '));
}

bool
journal_line_value(struct bytes *rest, struct bytes *name, struct bytes *value)
{
	while (rest->n > 0) {
		size_t n = 0;

		while (n < rest->n && is_name(rest->p[n]))
			n++;
		*name = bytes_head(*rest, n);
		if (n > 0 && n < rest->n && rest->p[n] == '=') {
			*rest = bytes_skip(*rest, n + 1);
			take_value(rest, value);
			return true;
		}
		(void)bytes_cut(rest, ' ');	/* on with the next word */
	}
	return false;
}
