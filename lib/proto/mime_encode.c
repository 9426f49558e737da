/* SPDX-License-Identifier: ISC */
#include "proto/mime_encode.h"

#define LINE_MAX_OCTETS	76u	/* both encodings; a soft line break's "=" is counted */

void
mime_encoder_init(struct mime_encoder *e, enum mime_transfer how)
{
	*e = (struct mime_encoder){ .how = how };
}

/* ---- base64 ---- */

static void
put_group(struct mime_encoder *e, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned v = (unsigned)e->held[0] << 16 | (unsigned)e->held[1] << 8 | e->held[2];
	unsigned char group[4] = { (unsigned char)digits[v >> 18], (unsigned char)digits[v >> 12 & 63],
	    (unsigned char)digits[v >> 6 & 63], (unsigned char)digits[v & 63] };

	if (e->held_n < 3)
		group[3] = '=';
	if (e->held_n < 2)
		group[2] = '=';
	if (e->column == LINE_MAX_OCTETS) {
		buf_text(out, "\r\n");
		e->column = 0;
	}
	buf_add(out, bytes_of(group, sizeof group));
	e->column += sizeof group;
	e->held_n = 0;
	memset(e->held, 0, sizeof e->held);
}

static void
encode_base64(struct mime_encoder *e, struct bytes in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		e->held[e->held_n++] = in.p[i];
		if (e->held_n == sizeof e->held)
			put_group(e, out);
	}
}

/* ---- quoted-printable ---- */

/* One octet as it is, or as "=XX". Room is left for the "=" of a soft line break, which may have to follow. No line begins with
 * "-": where it does it could be a boundary that was none, with a soft line break before it, or "=3D" in it for "=". */
static void
put_octet(struct mime_encoder *e, unsigned char c, bool quoted, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";

	if (e->column + (quoted ? 3 : 1) > LINE_MAX_OCTETS - 1) {
		buf_text(out, "=\r\n");
		e->column = 0;
	}
	quoted = quoted || (c == '-' && e->column == 0);
	if (quoted) {
		buf_char(out, '=');
		buf_char(out, (unsigned char)digits[c >> 4]);
		buf_char(out, (unsigned char)digits[c & 15]);
	} else {
		buf_char(out, c);
	}
	e->column += quoted ? 3 : 1;
}

static void
put_space(struct mime_encoder *e, bool at_line_end, struct buf *out)
{
	if (e->space != 0)
		put_octet(e, e->space, at_line_end, out);
	e->space = 0;
}

/* A space waits for what follows, and goes on waiting while that is a CR. */
static void
quote(struct mime_encoder *e, unsigned char c, struct buf *out)
{
	if (e->cr && c == '\n') {
		put_space(e, true, out);
		buf_text(out, "\r\n");
		e->column = 0;
		e->cr = false;
		return;
	}
	if (e->cr) {
		put_space(e, false, out);
		put_octet(e, '\r', true, out);
	}
	e->cr = c == '\r';
	if (e->cr)
		return;
	put_space(e, false, out);
	if (c == ' ' || c == '\t')
		e->space = c;
	else
		put_octet(e, c, c < ' ' || c > '~' || c == '=', out);
}

void
mime_encode(struct mime_encoder *e, struct bytes in, struct buf *out)
{
	if (e->how == MIME_PLAIN)
		buf_add(out, in);
	else if (e->how == MIME_BASE64)
		encode_base64(e, in, out);
	else
		for (size_t i = 0; i < in.n; i++)
			quote(e, in.p[i], out);
}

void
mime_encode_end(struct mime_encoder *e, struct buf *out)
{
	if (e->how == MIME_BASE64) {
		if (e->held_n > 0)
			put_group(e, out);
		return;
	}
	put_space(e, !e->cr, out);
	if (e->cr)
		put_octet(e, '\r', true, out);
	e->cr = false;
}
