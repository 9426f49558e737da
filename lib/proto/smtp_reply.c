/* SPDX-License-Identifier: ISC */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "proto/smtp_reply.h"
#include "proto/utf8.h"

/* A number of up to three digits off the front of *s (RFC 3463 section 2). */
static bool
take_number(struct bytes *s, unsigned *out)
{
	size_t n = 0;
	uint64_t v;

	while (n < s->n && ascii_digit(s->p[n]))
		n++;
	if (n > 3 || !bytes_u64(bytes_head(*s, n), 999, &v))
		return false;
	*out = (unsigned)v;
	*s = bytes_skip(*s, n);
	return true;
}

static bool
take_dot(struct bytes *s)
{
	if (s->n == 0 || s->p[0] != '.')
		return false;
	*s = bytes_skip(*s, 1);
	return true;
}

/* Nothing need follow: "5.7.2" alone was read past its end elsewhere (CVE-2026-43964). */
size_t
smtp_status_take(struct bytes s, unsigned status[3])
{
	struct bytes rest = s;
	unsigned got[3];

	if (!take_number(&rest, &got[0]) || !take_dot(&rest) || !take_number(&rest, &got[1])
	    || !take_dot(&rest) || !take_number(&rest, &got[2]))
		return 0;
	if ((got[0] != 2 && got[0] != 4 && got[0] != 5) || (rest.n > 0 && rest.p[0] != ' '))
		return 0;
	memcpy(status, got, sizeof got);
	return s.n - (rest.n > 0 ? rest.n - 1 : 0);
}

/* ---- the server's side ---- */

static void
put_safe(struct bytes s, struct buf *out)
{
	unsigned char *room = buf_room(out, s.n);

	if (!room)
		return;
	for (size_t i = 0; i < s.n; i++)
		room[i] = s.p[i] < ' ' || s.p[i] >= 0x7f ? '?' : s.p[i];
	out->n += s.n;
}

/* Where to break s so that it has at most max octets: after a space if there is one not too
 * near the front. */
static size_t
break_at(struct bytes s, size_t max)
{
	size_t n = max;

	if (s.n <= max)
		return s.n;
	while (n > max / 2 && s.p[n - 1] != ' ')
		n--;
	return n > max / 2 ? n : max;
}

static void
put_line(struct buf *out, unsigned code, bool last, struct bytes status, struct bytes words)
{
	unsigned char head[4] = { (unsigned char)('0' + code / 100), (unsigned char)('0' + code / 10 % 10),
	    (unsigned char)('0' + code % 10), last ? ' ' : '-' };

	buf_add(out, bytes_of(head, sizeof head));
	buf_add(out, status);
	if (status.n > 0 && words.n > 0 && status.p[status.n - 1] != ' ')
		buf_char(out, ' ');
	put_safe(words, out);
	buf_text(out, "\r\n");
}

void
smtp_reply_line(struct buf *out, unsigned code, bool last, struct bytes text)
{
	must(code >= 200 && code <= 599);
	put_line(out, code, last, bytes_of(NULL, 0), bytes_head(text, SMTP_REPLY_LINE_MAX - 6));
}

void
smtp_reply_put(struct buf *out, unsigned code, struct bytes text)
{
	unsigned ignored[3];
	struct bytes status, line, piece;
	size_t room;

	must(code >= 200 && code <= 599);
	status = bytes_head(text, code / 100 == 3 ? 0 : smtp_status_take(text, ignored));
	text = bytes_skip(text, status.n);
	room = SMTP_REPLY_LINE_MAX - 6 - (status.n + 1);
	do {
		line = bytes_cut(&text, '\n');
		do {
			piece = bytes_head(line, break_at(line, room));
			line = bytes_skip(line, piece.n);
			put_line(out, code, line.n == 0 && text.n == 0, status, piece);
		} while (line.n > 0);
	} while (text.n > 0);
}

void
smtp_reply_text(struct buf *out, unsigned code, const char *words)
{
	smtp_reply_put(out, code, text(words));
}

void
smtp_reply_fmt(struct buf *out, unsigned code, const char *fmt, ...)
{
	char words[SMTP_REPLY_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	smtp_reply_put(out, code, text(words));
}

void
smtp_safe_text(struct bytes s, size_t max, bool comment, struct buf *out)
{
	size_t i, n = s.n < max ? s.n : max;

	for (i = 0; i < n; i++)
		if (s.p[i] < ' ' || s.p[i] >= 0x7f
		    || (comment && (s.p[i] == '(' || s.p[i] == ')' || s.p[i] == '\\')))
			buf_char(out, '?');
		else
			buf_char(out, s.p[i]);
	if (n < s.n)
		buf_text(out, "...");
}

/* ---- the client's side ---- */

void
smtp_reply_init(struct smtp_reply *r)
{
	*r = (struct smtp_reply){ 0 };
	buf_init(&r->text, SMTP_REPLY_KEEP);
}

void
smtp_reply_fini(struct smtp_reply *r)
{
	buf_fini(&r->text);
}

void
smtp_reply_reset(struct smtp_reply *r)
{
	r->code = r->lines = 0;
	r->cut = false;
	memset(r->status, 0, sizeof r->status);
	buf_clear(&r->text);
}

/* What the other host said, without anything that could end a line or a record of ours. */
static void
keep(struct smtp_reply *r, struct bytes words)
{
	size_t n, room;

	if (r->lines > 1 && r->text.n < SMTP_REPLY_KEEP)
		buf_char(&r->text, '\n');
	while (words.n > 0) {
		n = utf8_length(words);
		room = SMTP_REPLY_KEEP - r->text.n;
		if (room < (n > 0 ? n : 1)) {
			r->cut = true;
			return;
		}
		if (n == 0 || words.p[0] < ' ' || words.p[0] == 0x7f
		    || (words.p[0] == 0xc2 && words.p[1] < 0xa0))	/* C1 */
			buf_char(&r->text, '?');
		else
			buf_add(&r->text, bytes_head(words, n));
		words = bytes_skip(words, n > 0 ? n : 1);
	}
}

/* The first three octets as a code, 0 if they are none (RFC 5321 section 4.2). */
static unsigned
line_code(struct bytes line)
{
	uint64_t code;

	if (line.n < 3 || !bytes_u64(bytes_head(line, 3), 599, &code) || code < 200)
		return 0;
	return (unsigned)code;
}

enum smtp_reply_status
smtp_reply_read(struct smtp_reply *r, struct bytes line)
{
	unsigned code = line_code(line), status[3];
	bool more = line.n > 3 && line.p[3] == '-';
	struct bytes words = bytes_skip(line, 4);

	if (code == 0 || (line.n > 3 && line.p[3] != ' ' && !more) || (r->lines > 0 && code != r->code)
	    || r->lines == SMTP_REPLY_LINES_MAX)
		return SMTP_REPLY_BAD;
	r->code = code;
	r->lines++;
	/* RFC 2034 section 4: one of another class than the code is text. */
	if (smtp_status_take(words, status) > 0 && status[0] == code / 100)
		memcpy(r->status, status, sizeof status);
	keep(r, words);
	return more ? SMTP_REPLY_MORE : SMTP_REPLY_DONE;
}
