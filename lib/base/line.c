/* SPDX-License-Identifier: ISC */
#include "base/line.h"
#include "base/mem.h"

void
line_init(struct line_reader *r, size_t max)
{
	must(max >= 2);
	*r = (struct line_reader){ .max = max };
}

/* What the octet at index i makes of the line; `cr`: the one before it was CR. Each octet is
 * judged by those before it alone, so that it cannot matter how the input was cut. */
static enum line_status
judge(const struct line_reader *r, unsigned char c, size_t i, bool cr)
{
	if (cr)
		return c == '\n' ? LINE_OK : LINE_BARE;
	if (i + 2 >= r->max && c != '\r')	/* no room is left for its CRLF */
		return LINE_LONG;
	if (c == '\n')
		return LINE_BARE;
	return c == '\0' ? LINE_NUL : LINE_MORE;
}

static enum line_status
drop(struct line_reader *r, struct bytes *input)
{
	enum line_status was = r->bad;

	for (size_t i = 0; i < input->n; i++) {
		if (r->cr && input->p[i] == '\n') {
			*input = bytes_skip(*input, i + 1);
			r->bad = 0;
			r->cr = false;
			return was;
		}
		r->cr = input->p[i] == '\r';
	}
	*input = bytes_skip(*input, input->n);
	return LINE_MORE;
}

enum line_status
line_next(struct line_reader *r, struct bytes *input, struct bytes *line)
{
	if (r->bad)
		return drop(r, input);
	must(r->seen <= input->n);
	for (size_t i = r->seen; i < input->n; i++) {
		bool cr = i > 0 && input->p[i - 1] == '\r';
		enum line_status st = judge(r, input->p[i], i, cr);

		if (st == LINE_MORE)
			continue;
		r->seen = 0;
		if (st == LINE_OK) {
			*line = bytes_head(*input, i - 1);
			*input = bytes_skip(*input, i + 1);
			return LINE_OK;
		}
		r->bad = (unsigned char)st;
		r->cr = false;
		*input = bytes_skip(*input, i);		/* this octet may be a CR */
		return drop(r, input);
	}
	r->seen = input->n;
	return LINE_MORE;
}
