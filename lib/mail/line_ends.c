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

/* Copies up to the next LF that lacks its CR, and that line's end. */
static size_t
give(struct crlf_reader *r, unsigned char *p, size_t room)
{
	size_t run = r->have.n < room ? r->have.n : room;
	const unsigned char *lf = memchr(r->have.p, '\n', run);
	bool bare;

	if (lf)
		run = (size_t)(lf - r->have.p);
	if (run > 0) {
		memcpy(p, r->have.p, run);
		r->cr = p[run - 1] == '\r';
		r->have = bytes_skip(r->have, run);
	}
	bare = lf && !r->cr;
	if (!lf || room - run < (bare ? 2u : 1u))
		return run;
	if (bare)
		p[run++] = '\r';
	p[run++] = '\n';
	r->cr = false;
	r->have = bytes_skip(r->have, 1);
	return run;
}

long
crlf_reader_get(struct crlf_reader *r, void *out, size_t n)
{
	unsigned char *p = out;
	size_t done = 0;

	while (n - done >= 2) {
		if (r->have.n == 0) {
			long got = r->at < r->end ? refill(r) : 0;

			if (got < 0)
				return -1;
			if (got == 0)
				break;
		}
		done += give(r, p + done, n - done);
	}
	return (long)done;
}

bool
crlf_reader_count(struct crlf_reader *r, uint64_t *octets)
{
	uint64_t sum = 0;

	while (r->have.n > 0 || r->at < r->end) {
		const unsigned char *p, *end, *lf;
		long got = r->have.n > 0 ? 1 : refill(r);

		if (got < 0)
			return false;
		if (got == 0)
			break;
		p = r->have.p;
		end = p + r->have.n;
		sum += r->have.n;
		while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
			sum += !(lf > r->have.p ? lf[-1] == '\r' : r->cr);
			p = lf + 1;
		}
		r->cr = end[-1] == '\r';
		r->have.n = 0;
	}
	*octets = sum;
	return true;
}
