/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <unistd.h>

#include "mail/segments.h"
#include "mail/take.h"

#define OCTETS_MAX	((uint64_t)1 << 62)	/* sums below it cannot overflow, nor an off_t */

enum { KIND_TEXT, KIND_FILE };

void
segments_add_text(struct buf *out, struct bytes s)
{
	if (s.n == 0)
		return;
	buf_u8(out, KIND_TEXT);
	buf_u32(out, (uint32_t)s.n);
	buf_add(out, s);
}

void
segments_add_file(struct buf *out, uint64_t offset, uint64_t octets)
{
	if (octets == 0)
		return;
	buf_u8(out, KIND_FILE);
	buf_u64(out, offset);
	buf_u64(out, octets);
}

bool
segments_next(struct bytes *run, struct segment *s, bool *bad)
{
	bool wrong = false;

	if (run->n == 0)
		return false;
	*s = (struct segment){ 0 };
	switch (take_u8(run, &wrong)) {
	case KIND_TEXT:
		s->text = take_text(run, &wrong);
		s->octets = s->text.n;
		break;
	case KIND_FILE:
		s->file = true;
		s->offset = take_u64(run, &wrong);
		s->octets = take_u64(run, &wrong);
		wrong = wrong || s->offset > OCTETS_MAX || s->octets > OCTETS_MAX;
		break;
	default:
		wrong = true;
	}
	if (wrong)
		*bad = true;
	return !wrong;
}

bool
segments_size(struct bytes run, uint64_t *octets)
{
	struct segment s;
	uint64_t sum = 0;
	bool bad = false;

	while (segments_next(&run, &s, &bad)) {
		sum += s.octets;
		if (sum > OCTETS_MAX)
			return false;
	}
	*octets = sum;
	return !bad;
}

void
segment_reader_init(struct segment_reader *r, int fd, struct bytes run)
{
	*r = (struct segment_reader){ .fd = fd, .run = run };
}

/* Up to n octets of the present segment; -1 and errno. */
static long
read_some(struct segment_reader *r, void *p, size_t n)
{
	uint64_t left = r->now.octets - r->at;
	ssize_t got;

	if (n > left)
		n = (size_t)left;
	if (!r->now.file) {
		memcpy(p, r->now.text.p + r->at, n);
		r->at += n;
		return (long)n;
	}
	do {
		got = pread(r->fd, p, n, (off_t)(r->now.offset + r->at));
	} while (got == -1 && errno == EINTR);
	if (got == 0) {			/* shorter than promised */
		errno = EIO;
		return -1;
	}
	if (got > 0)
		r->at += (uint64_t)got;
	return got;
}

long
segment_reader_read(struct segment_reader *r, void *p, size_t n)
{
	size_t have = 0;

	while (have < n) {
		long got;

		if (r->at == r->now.octets) {
			r->at = 0;
			if (!segments_next(&r->run, &r->now, &r->bad)) {
				r->now = (struct segment){ 0 };
				break;
			}
			continue;
		}
		got = read_some(r, (char *)p + have, n - have);
		if (got == -1)
			return -1;
		have += (size_t)got;
	}
	if (r->bad) {
		errno = EINVAL;
		return -1;
	}
	return (long)have;
}
