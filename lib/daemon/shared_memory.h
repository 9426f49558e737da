/* SPDX-License-Identifier: ISC */
/*
 * daemon/shared_memory.h - memory that the workers of a service share, and that outlives each of them. master makes it, of
 * one size for good (sealed: nobody can cut it off below the others), and hands its descriptor to each.
 *
 * Who maps it believes the other workers nothing: they may write anywhere in it, at any time.
 */
#ifndef DAEMON_SHARED_MEMORY_H
#define DAEMON_SHARED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct shared_memory {
	void		*p;		/* owned */
	size_t		 octets;
	bool		 alone;		/* it is this process's own, on the heap */
};

/* Master's: what begins with head and is zero behind it. name: for people, who see it in /proc. -1: errno. */
int	shared_memory_make(const char *name, size_t octets, struct bytes head);
/* fd is borrowed. False: errno; EINVAL: it has not so many octets, or more than most. */
bool	shared_memory_map(struct shared_memory *m, int fd, size_t octets, size_t most);
/* For who has nobody to share with: zero. */
void	shared_memory_alone(struct shared_memory *m, size_t octets);
void	shared_memory_free(struct shared_memory *m);

#endif
