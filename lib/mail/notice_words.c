/* SPDX-License-Identifier: ISC */
#include "base/encode.h"
#include "mail/notice_words.h"
#include "proto/mime_decode.h"
#include "proto/utf8.h"

#define VALUE_MAX	4096	/* octets of a field that are looked at for people */

/* ---- octets that may stand in a line ------------------------------------------------------- */

/* Unicode's controls, line ends, and what makes a text look like another one ("Trojan Source", CVE-2021-42574). */
static bool
is_odd(uint32_t c)
{
	return (c >= 0x80 && c < 0xa0) || c == 0x200b || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e)
	    || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb);
}

/* One character off the front of *s. */
static void
put_one(struct buf *out, struct bytes *s, bool utf8)
{
	uint32_t c = 0;
	size_t n = utf8_take(*s, &c);

	if (n == 1 && c >= ' ' && c != 0x7f)
		buf_char(out, (unsigned char)c);
	else if (n == 1 && c == '\t')
		buf_char(out, ' ');
	else if (n > 1 && utf8 && !is_odd(c))
		buf_add(out, bytes_head(*s, n));
	else
		buf_char(out, '?');
	*s = bytes_skip(*s, n > 0 ? n : 1);
}

void
words_plain(struct buf *out, struct bytes s, bool utf8)
{
	while (s.n > 0)
		put_one(out, &s, utf8);
}

/* ---- lines ------------------------------------------------------------------------------------- */

/* Lines being written: where one is full, `fold` begins the next. */
struct liner { struct buf *out; const char *fold; size_t columns, column; };

static void
new_line(struct liner *l)
{
	buf_text(l->out, l->fold);
	l->column = strlen(l->fold) - 2;	/* its CRLF */
}

/* A word, with a space before it unless it begins the line. One that no line can hold is broken. */
static void
put_word(struct liner *l, struct bytes word, bool first, bool utf8)
{
	if (!first && l->column + 1 + word.n > l->columns) {
		new_line(l);
		first = true;
	}
	if (!first) {
		buf_char(l->out, ' ');
		l->column++;
	}
	while (word.n > 0) {
		size_t before;

		if (l->column >= NOTICE_LINE_MAX) {
			new_line(l);
			word = bytes_trim(word);	/* no line of white space alone */
		}
		before = l->out->n;
		put_one(l->out, &word, utf8);
		l->column += l->out->n - before;
	}
}

static void
put_line(struct liner *l, struct bytes line, bool utf8)
{
	bool first = true;

	while (line.n > 0) {
		struct bytes word = bytes_cut(&line, ' ');

		if (word.n == 0)
			continue;
		put_word(l, word, first, utf8);
		first = false;
	}
}

void
words_wrap(struct buf *out, const char *indent, struct bytes s, bool utf8)
{
	char fold[32] = "\r\n";
	struct liner l = { .out = out, .fold = fold, .columns = NOTICE_COLUMNS };

	if (!bytes_to_text(text(indent), fold + 2, sizeof fold - 2))
		fold[2] = '\0';
	s = bytes_trim(s);
	while (s.n > 0) {
		struct bytes line = bytes_trim(bytes_cut(&s, '\n'));

		if (line.n > 0)
			buf_text(out, fold + 2);
		l.column = line.n > 0 ? strlen(fold + 2) : 0;
		put_line(&l, line, utf8);
		buf_text(out, "\r\n");
	}
}

void
words_field(struct buf *out, const char *name, struct bytes value, bool utf8)
{
	struct liner l = { .out = out, .fold = "\r\n ", .columns = NOTICE_LINE_MAX, .column = strlen(name) + 1 };
	bool first = true;

	buf_text(out, name);
	buf_char(out, ':');
	value = bytes_trim(value);
	while (value.n > 0) {
		struct bytes line = bytes_trim(bytes_cut(&value, '\n'));

		if (line.n == 0)
			continue;
		if (!first)
			new_line(&l);
		else
			buf_char(out, ' ');
		l.column += first;
		first = false;
		put_word(&l, line, true, utf8);		/* its spaces are as they are */
	}
	buf_text(out, "\r\n");
}

/* ---- fields of a header ---------------------------------------------------------------------------- */

/* As many whole characters as an encoded word of 75 octets has room for: 45 octets in base64 make 60. */
static struct bytes
cut_characters(struct bytes *s, size_t most)
{
	struct bytes all = *s;
	size_t n, taken = 0;

	while (s->n > 0 && (n = utf8_length(*s)) > 0 && taken + n <= most) {
		taken += n;
		*s = bytes_skip(*s, n);
	}
	if (taken == 0)
		*s = bytes_skip(*s, s->n);	/* not UTF-8: the caller's fault */
	return bytes_head(all, taken);
}

static void
put_encoded(struct buf *out, struct bytes s)
{
	const char *before = " ";

	while (s.n > 0) {
		struct bytes some = cut_characters(&s, 45);

		buf_text(out, before);
		buf_text(out, "=?utf-8?B?");
		base64_encode(some, out);
		buf_text(out, "?=");
		before = "\r\n ";
	}
}

void
words_subject(struct buf *out, struct bytes s)
{
	struct liner l = { .out = out, .fold = "\r\n ", .columns = NOTICE_COLUMNS, .column = 9 };
	struct buf safe;

	buf_init(&safe, s.n + 1);
	words_plain(&safe, s, true);
	buf_text(out, "Subject:");
	if (bytes_is_ascii(buf_bytes(&safe))) {
		buf_char(out, ' ');
		put_line(&l, buf_bytes(&safe), false);
	} else {
		put_encoded(out, buf_bytes(&safe));
	}
	buf_text(out, "\r\n");
	buf_fini(&safe);
}

static void
put_decoded(struct buf *out, const struct encoded_word *w, size_t max)
{
	struct mime_decoder d;
	unsigned char some[64];
	size_t n;

	mime_decoder_init(&d, w->how, w->text);
	while (out->n < max && (n = mime_decode(&d, some, sizeof some)) > 0)
		buf_add(out, bytes_head(bytes_of(some, n), max - out->n));
}

static bool
is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void
words_of_field(struct buf *out, struct bytes value, size_t max)
{
	bool after_encoded = false;

	max += out->n;
	value = bytes_head(bytes_trim(value), VALUE_MAX);
	while (value.n > 0 && out->n < max) {
		struct encoded_word w;
		size_t n = 0, gap = 0;

		while (gap < value.n && is_space(value.p[gap]))
			gap++;
		value = bytes_skip(value, gap);
		if (value.n > 1 && value.p[0] == '=' && value.p[1] == '?')
			n = encoded_word(value, &w);
		if (n > 0 && !bytes_case_eq(w.charset, text("utf-8")) && !bytes_case_eq(w.charset, text("us-ascii")))
			n = 0;
		if (gap > 0 && !(n > 0 && after_encoded))	/* RFC 2047 section 6.2: not between two of them */
			buf_char(out, ' ');
		after_encoded = n > 0;
		if (n > 0) {
			put_decoded(out, &w, max);
			value = bytes_skip(value, n);
			continue;
		}
		for (n = 1; n < value.n && !is_space(value.p[n]); n++)
			;
		buf_add(out, bytes_head(bytes_head(value, n), max - out->n));
		value = bytes_skip(value, n);
	}
}

void
words_duration(struct buf *out, int64_t seconds)
{
	static const struct { int64_t s; const char *one, *many; } units[] = {
		{ 86400, "day", "days" }, { 3600, "hour", "hours" }, { 60, "minute", "minutes" }, { 1, "second", "seconds" },
	};
	size_t i = 0;
	int64_t n;

	if (seconds < 0)
		seconds = 0;
	while (i + 1 < LEN(units) && seconds < units[i].s)
		i++;
	n = (seconds + units[i].s / 2) / units[i].s;
	buf_fmt(out, "%lld %s", (long long)n, n == 1 ? units[i].one : units[i].many);
}
