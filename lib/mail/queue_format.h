/* SPDX-License-Identifier: ISC */
/*
 * mail/queue_format.h - the octets of a queue file, and how the newest sound
 * state is found in them: doc/queue-format.md. For mail/queue*.c alone. Only
 * queue_read_state reads, and that from octets in memory or a descriptor.
 */
#ifndef MAIL_QUEUE_FORMAT_H
#define MAIL_QUEUE_FORMAT_H

#include "mail/queue.h"

#define QUEUE_SECTOR	512	/* what a disk writes whole, or not */
#define QUEUE_POINTERS	2
#define QUEUE_VERSION	1

struct queue_preamble {
	uint64_t	content_at, content_octets;
	uint32_t	content_crc;
	char		id[QUEUE_ID_MAX + 1];
};

struct queue_pointer {
	uint64_t	generation;	/* from 1; its last bit says in which slot it stands */
	uint64_t	records_at, records_octets, base_octets;
	uint32_t	records_crc;
};

/* Where the pointer of a generation stands in the file. */
static inline uint64_t
queue_pointer_at(uint64_t generation)
{
	return QUEUE_SECTOR * (generation % QUEUE_POINTERS == 1 ? 1 : 2);
}

/* A sector, its checksum in its last four octets. */
void	queue_put_preamble(unsigned char sector[QUEUE_SECTOR], const struct queue_preamble *p);
void	queue_put_pointer(unsigned char sector[QUEUE_SECTOR], const struct queue_pointer *p);

struct queue_source {
	struct bytes	head;	/* the first octets of the file, or all of them */
	int		fd;	/* for what is not in head; -1: head is all there is */
	uint64_t	size;	/* of the whole file */
};

struct queue_state {
	struct queue_preamble preamble;
	struct queue_pointer pointer;
};

/* Envelope and what it borrows from are in the arena. QUEUE_TROUBLE: errno of a read. */
enum queue_read	queue_read_state(const struct queue_source *s, struct arena *a, struct queue_state *st,
		    struct envelope *e);

/* Adds to *crc; false with errno when the file cannot be read or is shorter. */
bool	queue_content_crc(int fd, uint64_t at, uint64_t octets, uint32_t *crc);

/*
 * Before a directory is removed: what was moved out of it is on disk where it went. A file system without a journal could
 * else have the removal without the moves. False: errno.
 */
bool	queue_settle_names(struct queue *q);

/* Names in an open directory but those that begin with a dot. False: each said stop, or it cannot be read. */
bool	queue_walk_names(int dir, bool (*each)(void *arg, const char *name), void *arg);

#endif
