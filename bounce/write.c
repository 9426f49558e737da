/* SPDX-License-Identifier: ISC */
/*
 * bounce/write.c - the octets of one notification: what the message was, read from its queue file, and what is written
 * into the new one. A piece at a time: a message may have a gigabyte.
 */
#include <errno.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "bounce/bounce.h"
#include "mail/segments.h"

#define SEGMENTS_MAX	49152		/* as in `deliver` of mail/messages.def */
#define WRITE_AT	65536
#define TRIES		3		/* boundaries of 16 random octets; one that occurs was not chance */

/* ---- the message --------------------------------------------------------------------------- */

/* Goes on to the header's empty line, from the line that begins at *at. True: that one is it. */
static bool
find_end(struct bytes s, size_t *at)
{
	while (*at < s.n) {
		struct bytes rest = bytes_skip(s, *at);
		size_t lf = bytes_find(rest, '\n');

		if (lf == rest.n)
			return false;
		if (lf == 1 && rest.p[0] == '\r')
			return true;
		*at += lf + 1;
	}
	return false;
}

static bool
read_header(struct returned *r, int fd, uint64_t most)
{
	struct segment_reader in;
	size_t end = 0;
	long n = 1;

	segment_reader_init(&in, fd, buf_bytes(&r->segments));
	while (n > 0 && r->header.n < most && !find_end(buf_bytes(&r->header), &end)) {
		size_t room = most - r->header.n < NOTICE_CHUNK ? (size_t)(most - r->header.n) : NOTICE_CHUNK;
		unsigned char *p = buf_room(&r->header, room);

		must(p != NULL);
		n = segment_reader_read(&in, p, room);
		r->header.n += n > 0 ? (size_t)n : 0;
	}
	(void)find_end(buf_bytes(&r->header), &end);
	r->header.n = end;			/* whole lines: a longer header is cut */
	return n >= 0;
}

static bool
look_at_all(struct returned *r, int fd)
{
	unsigned char chunk[NOTICE_CHUNK];
	struct segment_reader in;
	long n;

	segment_reader_init(&in, fd, buf_bytes(&r->segments));
	notice_look_init(&r->look, r->boundary);
	while ((n = segment_reader_read(&in, chunk, sizeof chunk)) > 0)
		notice_look(&r->look, bytes_of(chunk, (size_t)n));
	notice_look_end(&r->look);
	return n == 0;
}

/* What is to be returned has not the boundary in it: else another is taken. */
static void
look(struct returned *r, const struct queue_message *about, bool all)
{
	for (int i = 0; i < TRIES; i++) {
		unsigned char chance[16];

		random_fill(chance, sizeof chance);
		notice_boundary(chance, r->boundary);
		notice_look_init(&r->header_look, r->boundary);
		notice_look(&r->header_look, buf_bytes(&r->header));
		r->looked = all && look_at_all(r, about->fd);
		if (all && !r->looked)
			log_errno("%s: its content cannot be read, and is not returned", about->id);
		if (!r->header_look.has_boundary && !(r->looked && r->look.has_boundary))
			return;
	}
	must(!"a boundary of 128 random bits that was there before it was chosen");
}

void
returned_read(struct returned *r, const struct queue_message *about, const struct notice_rules *rules, size_t failed,
    uint64_t header_octets)
{
	bool known;

	*r = (struct returned){ 0 };
	buf_init(&r->segments, SEGMENTS_MAX);
	buf_init(&r->header, header_octets);
	known = envelope_segments(&about->envelope, &r->segments)
	    && segments_size(buf_bytes(&r->segments), &r->octets);
	if (!known || !read_header(r, about->fd, header_octets)) {
		log_warn("%s: its header cannot be read, and is not returned", about->id);
		buf_clear(&r->header);
		known = false;
	}
	look(r, about, known && notice_wants_message(rules, &about->envelope, failed, r->octets));
}

void
returned_free(struct returned *r)
{
	buf_fini(&r->segments);
	buf_fini(&r->header);
}

uint64_t
returned_room(const struct returned *r, size_t recipients)
{
	return 16384 + 2048 * (uint64_t)recipients + 3 * r->header.n + (r->looked ? r->octets + r->octets / 2 : 0);
}

/* ---- the notification ------------------------------------------------------------------------- */

struct writer { struct buf out; int to; uint64_t octets; };

static bool
flush(struct writer *w)
{
	if (!file_write(w->to, buf_bytes(&w->out)))
		return false;
	w->octets += w->out.n;
	buf_clear(&w->out);
	return true;
}

/* The whole message goes here. */
static bool
write_content(struct writer *w, const struct returned *r, int from, struct notice *n)
{
	unsigned char chunk[NOTICE_CHUNK];
	struct segment_reader in;
	long got;

	segment_reader_init(&in, from, buf_bytes(&r->segments));
	while ((got = segment_reader_read(&in, chunk, sizeof chunk)) > 0) {
		notice_content(n, bytes_of(chunk, (size_t)got), &w->out);
		if (w->out.n >= WRITE_AT && !flush(w))
			return false;
	}
	return got == 0;
}

static bool
write_all(struct writer *w, const struct returned *r, int from, struct notice *n)
{
	enum notice_next next;

	do {
		next = notice_next(n, &w->out);
		if (next == NOTICE_CONTENT && !write_content(w, r, from, n))
			return false;
		if ((w->out.n >= WRITE_AT || next == NOTICE_DONE) && !flush(w))
			return false;
	} while (next != NOTICE_DONE);
	return true;
}

bool
returned_write(const struct returned *r, const struct queue_message *about, struct notice *n, int to, uint64_t *octets)
{
	struct writer w = { .to = to };
	bool good;
	int saved;

	buf_init(&w.out, WRITE_AT + NOTICE_PIECE_MAX + 4 * NOTICE_CHUNK);
	good = write_all(&w, r, about->fd, n);
	saved = errno;
	*octets = w.octets;
	buf_fini(&w.out);
	errno = saved;
	return good;
}
