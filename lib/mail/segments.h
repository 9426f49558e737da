/* SPDX-License-Identifier: ISC */
/*
 * mail/segments.h - a message as it goes out: runs of text that the suite adds,
 * and runs of content in the queue file, in order. Content is never copied to be
 * edited: a header field that is removed is a gap between two runs.
 * Wire form: u8 kind; kind 0: u32 length, octets; kind 1: u64 offset, u64 length.
 */
#ifndef MAIL_SEGMENTS_H
#define MAIL_SEGMENTS_H

#include "base/buf.h"

struct segment {
	bool		file;		/* else: text */
	struct bytes	text;		/* borrowed from the wire form */
	uint64_t	offset, octets;	/* file: where in the queue file; text: octets is text.n */
};

void	segments_add_text(struct buf *out, struct bytes text);
void	segments_add_file(struct buf *out, uint64_t offset, uint64_t octets);
/* Takes the next off *run. False: none is left (*bad untouched), or it is malformed (*bad set). */
bool	segments_next(struct bytes *run, struct segment *s, bool *bad);
/* Octets of the whole message; false when malformed or beyond 2^62. */
bool	segments_size(struct bytes run, uint64_t *octets);

/*
 * Reads the joined message in order. Bounded: one buffer of the caller's.
 */
struct segment_reader { int fd; struct bytes run; struct segment now; uint64_t at; bool bad; };
void	segment_reader_init(struct segment_reader *r, int fd /* borrowed */, struct bytes run /* borrowed */);
/* Octets put into p (at most n), 0 at the end, -1 with errno: the file could not be read or is shorter than promised. */
long	segment_reader_read(struct segment_reader *r, void *p, size_t n);

#endif
