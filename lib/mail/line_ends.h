/* SPDX-License-Identifier: ISC */
/*
 * mail/line_ends.h - messages have CRLF on the wire (RFC 5322 section 2.1) and LF
 * in a mailbox. A CR or LF that stands alone stays as it is on the way in; on the way out
 * every LF is a line end. Linear, one buffer of the caller's.
 */
#ifndef MAIL_LINE_ENDS_H
#define MAIL_LINE_ENDS_H

#include "mail/segments.h"

/* Takes the CR out of each CRLF, in place; returns what is left. */
size_t	line_ends_to_lf(unsigned char *p, size_t n);

/* What goes above a message, and a message out of the queue; its line ends made LF. */
struct lf_reader {
	struct bytes	head;		/* borrowed; what is left of it */
	struct segment_reader in;
	uint64_t	taken;		/* octets of the message, not of head, read so far */
	bool		cr;		/* one was read, and what follows it decides */
};

void	lf_reader_init(struct lf_reader *r, struct bytes head, int fd, struct bytes segments); /* all borrowed */
/* Fewer than n octets do not mean the end, 0 does; -1 as segment_reader_read. n is at least 2. */
long	lf_reader_read(struct lf_reader *r, void *p, size_t n);

/* Octets at hand, their line ends made CRLF: bytes_bare_lfs more than they are. */
struct crlf_text {
	struct bytes	rest;		/* borrowed: what is not given out yet; new octets may take its place */
	bool		cr;		/* the last octet given was a CR */
};

/* Octets put into p: n, or all there are. */
size_t	 crlf_text_get(struct crlf_text *t, void *p, size_t n);
/* As if n octets had been given; how many there were. */
uint64_t crlf_text_skip(struct crlf_text *t, uint64_t n);

/* A part of a file, its line ends made CRLF. */
#define CRLF_CHUNK 65536
struct crlf_reader {
	int		fd;		/* borrowed */
	uint64_t	at, end;	/* of the file: what is to be read yet */
	struct bytes	have;		/* read, not given out; in chunk */
	bool		cr;		/* the last octet given was a CR */
	unsigned char	chunk[CRLF_CHUNK];
};

void	crlf_reader_init(struct crlf_reader *r, int fd, uint64_t from, uint64_t to);
/* Octets put into p, 0 at the end, -1 and errno; a file that is shorter by now ends early. */
long	crlf_reader_get(struct crlf_reader *r, void *p, size_t n);
/* How many octets would come; r is at its end after it. False: errno. */
bool	crlf_reader_count(struct crlf_reader *r, uint64_t *octets);

#endif
