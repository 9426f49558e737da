/* SPDX-License-Identifier: ISC */
#include "mail/json.h"
#include "proto/utf8.h"

void
json_string(struct buf *out, struct bytes s)
{
	bool utf8 = utf8_valid(s);

	buf_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];
		bool c1 = utf8 && c == 0xc2 && s.p[i + 1] < 0xa0;	/* U+0080 to U+009F, which a terminal may obey */

		if (c1)
			buf_fmt(out, "\\u%04x", s.p[++i]);
		else if (c == '"' || c == '\\')
			buf_fmt(out, "\\%c", c);
		else if (c == '\n')
			buf_text(out, "\\n");
		else if (c < ' ' || c == 0x7f || (c > 0x7f && !utf8))
			buf_fmt(out, "\\u%04x", c);
		else
			buf_char(out, c);
	}
	buf_char(out, '"');
}

static void
member(struct buf *out, const char *name)
{
	unsigned char last = out->n > 0 ? out->p[out->n - 1] : '{';

	if (last != '{' && last != '[' && last != '\n')
		buf_char(out, ',');
	buf_fmt(out, "\"%s\":", name);
}

void
json_text(struct buf *out, const char *name, struct bytes value)
{
	member(out, name);
	json_string(out, value);
}

void
json_number(struct buf *out, const char *name, uint64_t value)
{
	member(out, name);
	buf_fmt(out, "%llu", (unsigned long long)value);
}

void
json_bool(struct buf *out, const char *name, bool value)
{
	member(out, name);
	buf_text(out, value ? "true" : "false");
}
