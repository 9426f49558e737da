/* SPDX-License-Identifier: ISC */
#include "mail/line_ends.h"

#include <errno.h>
#include <unistd.h>

size_t
line_ends_to_lf(unsigned char *p, size_t n)
{
	unsigned char *from = p, *to = p, *end = p + n;

	for (;;) {
		unsigned char *cr = memchr(from, '\r', (size_t)(end - from));
		size_t run = (size_t)((cr ? cr : end) - from);

		if (to != from)
			memmove(to, from, run);
		to += run;
		if (!cr)
			return (size_t)(to - p);
		if (cr + 1 == end || cr[1] != '\n')
			*to++ = '\r';
		from = cr + 1;
	}
}

void
lf_reader_init(struct lf_reader *r, struct bytes head, int fd, struct bytes segments)
{
	*r = (struct lf_reader){ .head = head };
	segment_reader_init(&r->in, fd, segments);
}

/* -1: errno. */
static long
fill(struct lf_reader *r, unsigned char *p, size_t n)
{
	size_t above = r->head.n < n ? r->head.n : n;
	long got;

	if (above > 0)
		memcpy(p, r->head.p, above);
	r->head = bytes_skip(r->head, above);
	got = segment_reader_read(&r->in, p + above, n - above);
	if (got < 0)
		return -1;
	r->taken += (uint64_t)got;
	return (long)above + got;
}

long
lf_reader_read(struct lf_reader *r, void *out, size_t n)
{
	unsigned char *p = out;

	for (;;) {
		size_t have = r->cr ? 1 : 0;
		long got = fill(r, p + have, n - have);

		if (got < 0)
			return -1;
		if (have > 0)
			p[0] = '\r';
		r->cr = false;
		if (got == 0)
			return (long)have;
		have += (size_t)got;
		if (p[have - 1] == '\r') {
			r->cr = true;
			have--;
		}
		if (have > 0)
			return (long)line_ends_to_lf(p, have);
	}
}

/* One line end, or as much of it as there is room for; octets put into p. */
static size_t
put_line_end(struct crlf_text *t, unsigned char *p, size_t n)
{
	size_t put = 0;

	if (!t->cr)
		p[put++] = '\r';
	t->cr = put == n;
	if (t->cr)
		return put;
	p[put++] = '\n';
	t->rest = bytes_skip(t->rest, 1);
	return put;
}

size_t
crlf_text_get(struct crlf_text *t, void *out, size_t n)
{
	unsigned char *p = out;
	size_t done = 0;

	while (t->rest.n > 0 && done < n) {
		size_t run = t->rest.n < n - done ? t->rest.n : n - done;
		const unsigned char *lf = memchr(t->rest.p, '\n', run);

		if (lf != NULL)
			run = (size_t)(lf - t->rest.p);
		if (run > 0) {
			memcpy(p + done, t->rest.p, run);
			done += run;
			t->rest = bytes_of(t->rest.p + run, t->rest.n - run);
			t->cr = p[done - 1] == '\r';
		}
		if (lf != NULL && done < n)
			done += put_line_end(t, p + done, n - done);
	}
	return done;
}

uint64_t
crlf_text_skip(struct crlf_text *t, uint64_t n)
{
	uint64_t done = 0;

	while (t->rest.n > 0 && done < n) {
		size_t run = t->rest.n < n - done ? t->rest.n : (size_t)(n - done);
		const unsigned char *lf = memchr(t->rest.p, '\n', run);
		unsigned char end[2];

		if (lf != NULL)
			run = (size_t)(lf - t->rest.p);
		if (run > 0) {
			t->cr = t->rest.p[run - 1] == '\r';
			t->rest = bytes_skip(t->rest, run);
			done += run;
		}
		if (lf != NULL && done < n)
			done += put_line_end(t, end, n - done < 2 ? 1 : 2);
	}
	return done;
}

void
crlf_reader_init(struct crlf_reader *r, int fd, uint64_t from, uint64_t to)
{
	r->fd = fd;
	r->at = from;
	r->end = to;
	r->have = bytes_of(r->chunk, 0);
	r->cr = false;
}

/* The next chunk; 0 at the end. */
static long
refill(struct crlf_reader *r)
{
	uint64_t left = r->end - r->at;
	ssize_t got;

	if (left == 0)
		return 0;
	do {
		got = pread(r->fd, r->chunk, left < CRLF_CHUNK ? (size_t)left : CRLF_CHUNK,
		    (off_t)r->at);
	} while (got == -1 && errno == EINTR);
	if (got > 0) {
		r->at += (uint64_t)got;
		r->have = bytes_of(r->chunk, (size_t)got);
	}
	return got;
}

long
crlf_reader_get(struct crlf_reader *r, void *out, size_t n)
{
	unsigned char *p = out;
	size_t done = 0;

	while (done < n) {
		long got = r->have.n > 0 ? 1 : refill(r);
		struct crlf_text t = { r->have, r->cr };

		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += crlf_text_get(&t, p + done, n - done);
		r->have = t.rest;
		r->cr = t.cr;
	}
	return (long)done;
}

bool
crlf_reader_count(struct crlf_reader *r, uint64_t *octets)
{
	uint64_t sum = 0;
	long got;

	while ((got = r->have.n > 0 ? 1 : refill(r)) > 0) {
		struct bytes s = r->have;

		sum += s.n + bytes_bare_lfs(s) - (r->cr && s.p[0] == '\n');
		r->cr = s.p[s.n - 1] == '\r';
		r->have.n = 0;
	}
	*octets = sum;
	return got == 0;
}
