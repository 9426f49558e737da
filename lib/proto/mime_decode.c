/* SPDX-License-Identifier: ISC */
#include "proto/mime_decode.h"

#include "base/mem.h"
#include "proto/mime_field.h"

enum mime_transfer
mime_transfer(struct bytes value)
{
	unsigned char room[MIME_ENCODING_MAX];
	struct bytes name = mime_encoding(value, room);

	if (bytes_case_eq(name, text("base64")))
		return MIME_BASE64;
	return bytes_case_eq(name, text("quoted-printable")) ? MIME_QUOTED : MIME_PLAIN;
}

void
mime_decoder_init(struct mime_decoder *d, enum mime_transfer how, struct bytes in)
{
	*d = (struct mime_decoder){ .how = how, .in = in };
}

/* ---- base64 ---- */

/* The digit's value and 64; what pads; 0 for what is passed over. */
#define DIGIT(v)	(64 + (v))
#define PAD		1
static const unsigned char digits[256] = {
	['A'] = DIGIT(0), DIGIT(1), DIGIT(2), DIGIT(3), DIGIT(4), DIGIT(5), DIGIT(6), DIGIT(7), DIGIT(8), DIGIT(9),
	DIGIT(10), DIGIT(11), DIGIT(12), DIGIT(13), DIGIT(14), DIGIT(15), DIGIT(16), DIGIT(17), DIGIT(18),
	DIGIT(19), DIGIT(20), DIGIT(21), DIGIT(22), DIGIT(23), DIGIT(24), DIGIT(25),
	['a'] = DIGIT(26), DIGIT(27), DIGIT(28), DIGIT(29), DIGIT(30), DIGIT(31), DIGIT(32), DIGIT(33), DIGIT(34),
	DIGIT(35), DIGIT(36), DIGIT(37), DIGIT(38), DIGIT(39), DIGIT(40), DIGIT(41), DIGIT(42), DIGIT(43),
	DIGIT(44), DIGIT(45), DIGIT(46), DIGIT(47), DIGIT(48), DIGIT(49), DIGIT(50), DIGIT(51),
	['0'] = DIGIT(52), DIGIT(53), DIGIT(54), DIGIT(55), DIGIT(56), DIGIT(57), DIGIT(58), DIGIT(59), DIGIT(60),
	DIGIT(61), ['+'] = DIGIT(62), ['/'] = DIGIT(63), ['='] = PAD,
};

static size_t
decode_base64(struct mime_decoder *d, unsigned char *out, size_t room)
{
	size_t i, done = 0;

	for (i = 0; i < d->in.n && done < room; i++) {
		unsigned char digit = digits[d->in.p[i]];

		if (digit == PAD)
			d->n = 0;
		if (digit < DIGIT(0))
			continue;
		d->bits = d->bits << 6 | (digit & 63u);
		d->n += 6;
		if (d->n >= 8) {
			d->n -= 8;
			out[done++] = (unsigned char)(d->bits >> d->n);
		}
	}
	d->in = bytes_skip(d->in, i);
	return done;
}

/* ---- quoted-printable ---- */

static int
hex_value(unsigned char c)
{
	if (ascii_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Octets of the soft line break after a "=", with the white space before it; at the end of all, too. 0: none. */
static size_t
soft_break(struct bytes s)
{
	size_t n = 0;

	while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
		n++;
	if (n == s.n)
		return n;
	if (s.p[n] == '\r')
		n++;
	return n == s.n || s.p[n] == '\n' ? n + (n < s.n) : 0;
}

/* What the "=" at the front stands for; octets put into out (one at most). */
static size_t
take_escape(struct mime_decoder *d, unsigned char *out)
{
	struct bytes rest = bytes_skip(d->in, 1);
	int high = rest.n > 1 ? hex_value(rest.p[0]) : -1, low = rest.n > 1 ? hex_value(rest.p[1]) : -1;
	size_t soft;

	if (high >= 0 && low >= 0) {
		*out = (unsigned char)(high << 4 | low);
		d->in = bytes_skip(rest, 2);
		return 1;
	}
	soft = d->how == MIME_QUOTED ? soft_break(rest) : 0;
	d->in = bytes_skip(rest, soft);
	if (d->how == MIME_QUOTED && (soft > 0 || rest.n == 0))
		return 0;
	*out = '=';
	return 1;
}

static size_t
decode_quoted(struct mime_decoder *d, unsigned char *out, size_t room)
{
	size_t done = 0;

	while (d->in.n > 0 && done < room) {
		size_t n = bytes_find(bytes_head(d->in, room - done), '=');

		memcpy(out + done, d->in.p, n);
		done += n;
		d->in = bytes_skip(d->in, n);
		if (d->in.n > 0 && done < room)
			done += take_escape(d, out + done);
	}
	return done;
}

static size_t
decode_q(struct mime_decoder *d, unsigned char *out, size_t room)
{
	size_t done = 0;

	while (d->in.n > 0 && done < room) {
		unsigned char c = d->in.p[0];

		if (c == '=') {
			done += take_escape(d, out + done);
			continue;
		}
		if (c != '\r' && c != '\n')
			out[done++] = c == '_' ? ' ' : c;
		d->in = bytes_skip(d->in, 1);
	}
	return done;
}

static size_t
copy_plain(struct mime_decoder *d, unsigned char *out, size_t room)
{
	size_t n = d->in.n < room ? d->in.n : room;

	if (n > 0)
		memcpy(out, d->in.p, n);
	d->in = bytes_skip(d->in, n);
	return n;
}

size_t
mime_decode(struct mime_decoder *d, unsigned char *out, size_t room)
{
	static size_t (*const decode[])(struct mime_decoder *, unsigned char *, size_t) = {
		[MIME_PLAIN] = copy_plain, [MIME_BASE64] = decode_base64, [MIME_QUOTED] = decode_quoted,
		[MIME_Q] = decode_q,
	};

	must(room > 0);
	return decode[d->how](d, out, room);
}

/* ---- encoded words ---- */

/* RFC 2047 section 2, token: no white space, controls or especials. */
static bool
is_token(struct bytes s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("()<>@,;:\"/[]?.=", s.p[i]) != NULL)
			return false;
	return s.n > 0;
}

size_t
encoded_word(struct bytes s, struct encoded_word *out)
{
	struct bytes rest = s, name, encoding;

	if (!bytes_starts(s, text("=?")))
		return 0;
	rest = bytes_skip(rest, 2);
	name = bytes_cut(&rest, '?');
	encoding = bytes_cut(&rest, '?');
	out->text = bytes_cut(&rest, '?');
	if (rest.n == 0 || rest.p[0] != '=' || encoding.n != 1 || !is_token(name))
		return 0;
	out->charset = bytes_cut(&name, '*');		/* RFC 2231 section 5 */
	if (out->charset.n == 0)
		return 0;
	switch (ascii_lower(encoding.p[0])) {
	case 'b':	out->how = MIME_BASE64; break;
	case 'q':	out->how = MIME_Q; break;
	default:	return 0;
	}
	return (size_t)(rest.p + 1 - s.p);
}
