/* SPDX-License-Identifier: ISC */
#include "proto/smtp_data.h"

enum state { LINE, TEXT, CR, DOT, DOT_CR, END };

/* What an edge does, in this order. */
enum {
	BARE_CR = 1,	/* the CR before this octet stood alone */
	BARE_LF = 2,	/* this LF stands alone */
	CRLF = 4,	/* a line end is content */
	COPY = 8,	/* this octet is content */
};

/*
 * RFC 5321 section 4.5.2. Each state has one way to the end, and it is CRLF.CRLF:
 * after a bare CR or LF we are in the middle of a line, so a dot is a dot there
 * (SMTP smuggling). CR and the dot at the start of a line are held back by the
 * state: whether they are content is known one octet later.
 */
static const struct { unsigned char next, act; } edges[END][4] = {
	/*		other			'.'			CR		  LF	*/
	[LINE]	 = { { TEXT, COPY },	      { DOT, 0 },	      { CR, 0 },	{ TEXT, BARE_LF } },
	[TEXT]	 = { { TEXT, COPY },	      { TEXT, COPY },	      { CR, 0 },	{ TEXT, BARE_LF } },
	[CR]	 = { { TEXT, BARE_CR | COPY }, { TEXT, BARE_CR | COPY }, { CR, BARE_CR }, { LINE, CRLF } },
	[DOT]	 = { { TEXT, COPY },	      { TEXT, COPY },	      { DOT_CR, 0 },	{ TEXT, BARE_LF } },
	[DOT_CR] = { { TEXT, BARE_CR | COPY }, { TEXT, BARE_CR | COPY }, { CR, BARE_CR }, { END, 0 } },
};

static unsigned
column(unsigned char c)
{
	return c == '.' ? 1 : c == '\r' ? 2 : c == '\n' ? 3 : 0;
}

/* Where the content goes. */
struct sink { void (*run)(void *arg, struct bytes content); void *arg; };

static void
hand_on(struct smtp_data *d, const struct sink *to, struct bytes content)
{
	if (d->mode == SMTP_DATA_REJECT && (d->bare_cr || d->bare_lf))
		return;
	if (!d->nul && memchr(content.p, 0, content.n) != NULL)
		d->nul = true;
	d->octets += content.n;
	to->run(to->arg, content);
}

static void
step(struct smtp_data *d, const struct sink *to, const unsigned char *p)
{
	static const struct bytes crlf = { (const unsigned char *)"\r\n", 2 };
	unsigned act = edges[d->state][column(*p)].act;

	d->state = edges[d->state][column(*p)].next;
	if (act & BARE_CR)
		d->bare_cr = true;
	if (act & BARE_LF)
		d->bare_lf = true;
	if (act & (BARE_CR | BARE_LF | CRLF))
		hand_on(d, to, crlf);
	if (act & COPY)
		hand_on(d, to, bytes_of(p, 1));
}

/*
 * The hot path: how much of s, from LINE or TEXT, is content as it stands, whole
 * lines with their CRLF included, up to a dot at the start of a line, a bare CR or
 * LF, or a CR at the end of s; the state after it is set. *lf is the first LF at or
 * after s.p, or its end, as found by an earlier call (or NULL): with it each octet
 * is looked at once for LF and once for CR, whatever the input.
 */
static size_t
plain(struct smtp_data *d, struct bytes s, const unsigned char **lf)
{
	const unsigned char *p = s.p, *end = s.p + s.n, *cr;

	while (p < end && !(d->state == LINE && *p == '.')) {
		if (*lf == NULL || *lf < p)
			*lf = memchr(p, '\n', (size_t)(end - p));
		if (*lf == NULL)
			*lf = end;
		cr = memchr(p, '\r', (size_t)(*lf - p));
		if (cr == NULL || cr + 1 < *lf || *lf == end) {	/* the line does not end with CRLF here */
			cr = cr != NULL ? cr : *lf;
			if (cr > p)
				d->state = TEXT;
			p = cr;
			break;
		}
		d->state = LINE;
		p = *lf + 1;
	}
	return (size_t)(p - s.p);
}

void
smtp_data_init(struct smtp_data *d, enum smtp_data_mode mode)
{
	*d = (struct smtp_data){ .mode = mode, .state = LINE };
}

enum smtp_data_status
smtp_data_feed(struct smtp_data *d, struct bytes *in, void (*run)(void *, struct bytes), void *arg)
{
	const struct sink to = { run, arg };
	const unsigned char *lf = NULL;
	size_t n;

	while (in->n > 0 && d->state != END) {
		if (d->state == LINE || d->state == TEXT) {
			n = plain(d, *in, &lf);
			if (n > 0)
				hand_on(d, &to, bytes_head(*in, n));
			*in = bytes_skip(*in, n);
			if (in->n == 0)
				break;
		}
		step(d, &to, in->p);
		*in = bytes_skip(*in, 1);
	}
	return d->state == END ? SMTP_DATA_END : SMTP_DATA_MORE;
}

static void
add(void *arg, struct bytes content)
{
	buf_add(arg, content);
}

enum smtp_data_status
smtp_data_feed_buf(struct smtp_data *d, struct bytes *in, struct buf *out)
{
	return smtp_data_feed(d, in, add, out);
}

void
smtp_stuff_init(struct smtp_stuff *s)
{
	*s = (struct smtp_stuff){ .at_line_start = true };
}

/* A line end; the CR of it may be held back since the last piece. */
static void
end_line(struct smtp_stuff *s, struct buf *out)
{
	buf_text(out, "\r\n");
	s->cr = false;
	s->at_line_start = true;
}

/* Text without LF, with its CRs: the last octet, if it is one, waits for what follows. */
static void
stuff_text(struct smtp_stuff *s, struct bytes part, struct buf *out)
{
	struct bytes rest = part, run;

	while (rest.n > 0) {
		if (s->cr)
			end_line(s, out);	/* it stood alone */
		if (s->at_line_start && rest.p[0] == '.')
			buf_char(out, '.');
		s->at_line_start = false;
		run = bytes_head(rest, bytes_find(rest, '\r'));
		buf_add(out, run);
		s->cr = run.n < rest.n;
		rest = bytes_skip(rest, run.n + 1);
	}
}

void
smtp_stuff_feed(struct smtp_stuff *s, struct bytes content, struct buf *out)
{
	size_t n;

	while (content.n > 0) {
		n = bytes_find(content, '\n');
		stuff_text(s, bytes_head(content, n), out);
		if (n < content.n)
			end_line(s, out);
		content = bytes_skip(content, n + 1);
	}
}

void
smtp_stuff_end(struct smtp_stuff *s, struct buf *out)
{
	if (s->cr || !s->at_line_start)
		end_line(s, out);
	buf_text(out, ".\r\n");
}
