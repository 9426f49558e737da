/* SPDX-License-Identifier: ISC */
#include "mail/penalty_file.h"

#include <string.h>

#include "base/encode.h"

#define FIRST	"hermod penalties 1\n"
#define LATEST	253402300799	/* 9999-12-31: what is behind that was no clock's */

const char *
penalty_of_name(enum penalty_of of)
{
	static const char *const names[PENALTY_KINDS] = { [PENALTY_ADDRESS] = "address", [PENALTY_ACCOUNT] = "account" };

	return names[of];
}

static bool
is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '%';
}

static void
put_name(struct buf *out, struct bytes name)
{
	for (size_t i = 0; i < name.n; i++)
		if (is_plain(name.p[i]))
			buf_char(out, name.p[i]);
		else
			buf_fmt(out, "%%%02x", name.p[i]);
}

void
penalty_file_add(struct buf *lines, const struct penalty *p)
{
	buf_fmt(lines, "%s %u %lld ", penalty_of_name(p->of), (unsigned)p->failures, (long long)p->last_s);
	put_name(lines, bytes_of(p->name, p->name_n));
	buf_char(lines, '\n');
}

static void
put_head(struct buf *file, struct bytes lines)
{
	buf_fmt(file, FIRST "crc32 %08x\n", (unsigned)crc32_of(0, lines));
}

void
penalty_file_write(struct bytes lines, struct buf *file)
{
	put_head(file, lines);
	buf_add(file, lines);
}

static bool
hex_digit(unsigned char c, unsigned char *out)
{
	if (ascii_digit(c))
		*out = (unsigned char)(c - '0');
	else if (c >= 'a' && c <= 'f')
		*out = (unsigned char)(c - 'a' + 10);
	else
		return false;
	return true;
}

/* Strict: there is one way to write a name. */
static bool
take_name(struct bytes s, struct penalty *p)
{
	unsigned char high, low;

	p->name_n = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c == '%') {
			if (s.n - i < 3 || !hex_digit(s.p[i + 1], &high) || !hex_digit(s.p[i + 2], &low))
				return false;
			c = (unsigned char)(high << 4 | low);
			if (is_plain(c))
				return false;
			i += 2;
		} else if (!is_plain(c))
			return false;
		if (p->name_n == PENALTY_NAME)
			return false;
		p->name[p->name_n++] = c;
	}
	return p->name_n > 0;
}

/* Digits, the first of them no zero. */
static bool
take_number(struct bytes word, uint64_t least, uint64_t most, uint64_t *out)
{
	return bytes_u64(word, most, out) && *out >= least && (word.n == 1 || word.p[0] != '0');
}

bool
penalty_file_next(struct bytes *lines, struct penalty *p)
{
	struct bytes line, word;
	uint64_t failures, last;

	if (bytes_find(*lines, '\n') == lines->n)
		return false;
	line = bytes_cut(lines, '\n');
	word = bytes_cut(&line, ' ');
	for (p->of = 0; p->of < PENALTY_KINDS && !bytes_eq(word, text(penalty_of_name(p->of))); p->of++)
		;
	if (p->of == PENALTY_KINDS || !take_number(bytes_cut(&line, ' '), 1, UINT32_MAX, &failures)
	    || !take_number(bytes_cut(&line, ' '), 0, LATEST, &last))
		return false;
	p->failures = (uint32_t)failures;
	p->last_s = (int64_t)last;
	return take_name(line, p);
}

static bool
are_good(struct bytes lines)
{
	struct penalty p;

	for (size_t n = 0; lines.n > 0; n++)
		if (n == PENALTY_ROWS || !penalty_file_next(&lines, &p))
			return false;
	return true;
}

bool
penalty_file_read(struct bytes file, struct bytes *lines)
{
	struct buf head;
	struct bytes rest;
	bool good;

	if (!bytes_starts(file, text(FIRST)))
		return false;
	rest = bytes_skip(file, strlen(FIRST));
	bytes_cut(&rest, '\n');
	buf_init(&head, 64);
	put_head(&head, rest);
	good = bytes_starts(file, buf_bytes(&head)) && head.n + rest.n == file.n && are_good(rest);
	buf_fini(&head);
	if (good)
		*lines = rest;
	return good;
}
