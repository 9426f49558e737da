/* SPDX-License-Identifier: ISC */
/*
 * daemon/tally.h - what is counted under a name (a client's address, an account), by all workers of a service
 * together, in memory that master has made and that outlives them: reloads and restarts forget nothing.
 *
 * Memory is fixed, under a keyed hash. A name that finds its places taken takes that of the one whose
 * count is oldest: who comes under very many names pushes out others' counts, and keeps nobody from being counted.
 *
 * Without locks, so nobody waits for a worker that is stopped or dead. A count is changed in one step
 * (compare and exchange); where two workers want one place in the same moment a count may be lost, or be one too high.
 */
#ifndef DAEMON_TALLY_H
#define DAEMON_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define TALLY_NAMES	8192	/* in one tally */
#define TALLY_NAME	110	/* octets of a name that are kept; it counts by all of them */

struct tallies;

/* The count that is oldest by time_s has to make room first. Both zero: there is none. */
struct tally_count { uint32_t time_s, n; };

struct tally_row {
	struct tally_count count;
	unsigned char	 name[TALLY_NAME];
	size_t		 name_n;
	bool		 whole;		/* else the name was longer */
};

/* Master's: memory for so many tallies, sealed, to be handed to each worker. -1: errno. */
int		 tallies_share(unsigned tallies);
/* shared: borrowed; -1: there are no others, or what they count is not to be had. */
struct tallies	*tallies_new(int shared, unsigned tallies);
void		 tallies_free(struct tallies **t);

struct tally_count tally_get(struct tallies *t, unsigned which, struct bytes name);
/* What becomes of a count; again, with the newer one, when another worker was faster. */
typedef struct tally_count (*tally_step)(struct tally_count was, const void *arg);
/* Returns what it was before. */
struct tally_count tally_change(struct tallies *t, unsigned which, struct bytes name, tally_step step, const void *arg);
void		 tally_clear(struct tallies *t, unsigned which, struct bytes name);
uint32_t	 tally_clear_all(struct tallies *t, unsigned which);	/* how many there were */
/* The next row, in no order; *at begins with 0. False: there are no more. */
bool		 tally_next(struct tallies *t, unsigned which, uint32_t *at, struct tally_row *row);

/* True for one process in the life of this memory: it may fill in what is known from before. */
bool		 tallies_first(struct tallies *t);
/* Something has changed since tallies_saved. */
bool		 tallies_changed(struct tallies *t);
/* Before it is looked at for saving; tallies_unsaved: that failed. */
void		 tallies_saved(struct tallies *t);
void		 tallies_unsaved(struct tallies *t);

#endif
