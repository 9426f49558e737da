/* SPDX-License-Identifier: ISC */
#include "proto/smtp_content.h"

void
smtp_content_init(struct smtp_content *s, enum smtp_content_mode mode)
{
	*s = (struct smtp_content){ .mode = mode, .at_line_start = true };
}

/* The hot path: octets at the front of s, from the start of a line, that go out as they are, in whole lines. *lf is
 * the first LF at or after s.p, or the end of s, as an earlier call found it (or NULL): so each octet is looked at once
 * for LF and once for CR, whatever they are. */
static size_t
plain_lines(const struct smtp_content *c, struct bytes s, const unsigned char **lf)
{
	const unsigned char *p = s.p, *end = s.p + s.n;

	while (p < end && !(c->mode == SMTP_CONTENT_DATA && *p == '.')) {
		if (*lf == NULL || *lf < p)
			*lf = memchr(p, '\n', (size_t)(end - p));
		if (*lf == NULL)
			*lf = end;
		if (*lf == end || memchr(p, '\r', (size_t)(*lf - p)) != *lf - 1)
			break;
		p = *lf + 1;
	}
	return (size_t)(p - s.p);
}

static void
end_line(struct smtp_content *s, bool bare, struct buf *out)
{
	buf_text(out, "\r\n");
	s->mended = s->mended || bare;
	s->cr = false;
	s->at_line_start = true;
}

/* From inside a line, or at its start where plain_lines has stopped. Returns the octets taken: at least one. */
static size_t
part_of_line(struct smtp_content *s, struct bytes in, struct buf *out)
{
	size_t n = 0;

	if (s->cr) {
		bool bare = in.p[0] != '\n';

		end_line(s, bare, out);
		if (!bare)
			return 1;
	}
	if (s->at_line_start && s->mode == SMTP_CONTENT_DATA && in.p[0] == '.')
		buf_char(out, '.');
	while (n < in.n && in.p[n] != '\r' && in.p[n] != '\n')
		n++;
	buf_add(out, bytes_head(in, n));
	s->at_line_start = s->at_line_start && n == 0;
	if (n == in.n)
		return n;
	if (in.p[n] == '\n')
		end_line(s, true, out);
	else
		s->cr = true;
	return n + 1;
}

void
smtp_content_feed(struct smtp_content *s, struct bytes in, struct buf *out)
{
	const unsigned char *lf = NULL;
	size_t n;

	if (s->mode == SMTP_CONTENT_BINARY) {
		buf_add(out, in);
		return;
	}
	while (in.n > 0) {
		n = s->at_line_start && !s->cr ? plain_lines(s, in, &lf) : 0;
		buf_add(out, bytes_head(in, n));
		in = bytes_skip(in, n);
		if (in.n > 0)
			in = bytes_skip(in, part_of_line(s, in, out));
	}
}

void
smtp_content_end(struct smtp_content *s, struct buf *out)
{
	if (s->mode == SMTP_CONTENT_BINARY)
		return;
	if (s->cr)
		end_line(s, true, out);
	if (s->mode != SMTP_CONTENT_DATA)
		return;
	if (!s->at_line_start)
		end_line(s, false, out);
	buf_text(out, ".\r\n");
}

void
smtp_bdat_put(struct buf *out, size_t octets, bool last)
{
	buf_text(out, "BDAT ");
	buf_decimal(out, octets);
	buf_text(out, last ? " LAST\r\n" : "\r\n");
}
