/* SPDX-License-Identifier: ISC */
/*
 * mail/queue_down.h - what is noted of a next hop in its directory, down/<hash>/: when it is tried again, and what was
 * said the last time. Messages that wait there are neither opened nor changed meanwhile; this speaks for all of
 * them. It is a cache: without it the next hop is tried at once. doc/queue-format.md has the octets.
 */
#ifndef MAIL_QUEUE_DOWN_H
#define MAIL_QUEUE_DOWN_H

#include <dirent.h>

#include "mail/queue.h"

#define QUEUE_DOWN_MAX	8192	/* octets of the note */

struct queue_down {
	int64_t		next_s;		/* wall clock: the next attempt; 0: it is not down, only busy */
	int64_t		since_s;	/* of the first attempt that failed */
	int64_t		looked_s;	/* until when it was looked for messages that are too old */
	uint32_t	attempts;	/* that failed, one behind the other */
	struct bytes	transport, nexthop;
	struct bytes	reply;		/* as struct recipient's last_reply, remote, command, said */
	struct bytes	remote, command, said;
};

/* Replaces the note; its directory is made. Not synced. False: logged. */
bool	queue_down_write(struct queue *q, const char *hash, const struct queue_down *d);
/* False: there is none that can be used. Texts are in the arena. */
bool	queue_down_read(struct queue *q, const char *hash, struct arena *a, struct queue_down *d);
/* It is tried at once, by the next qmgr: the note goes. One that runs does not look at notes. */
void	queue_down_hurry(struct queue *q, const char *hash);
/* Removes note and directory. False: messages are in it (ENOTEMPTY), which keep their note. */
bool	queue_down_remove(struct queue *q, const char *hash);

/* The hashes there are; each returns false to stop. */
bool	queue_down_walk(struct queue *q, bool (*each)(void *arg, const char *hash), void *arg);
/* The names of the messages there, "hash/id", a few at a time: NULL from next at the end. NULL from open: there are none. */
DIR	*queue_down_open(struct queue *q, const char *hash);
const char *queue_down_next(DIR *d, const char *hash, char name[64]);

/* The pure half. */
void	queue_down_encode(const struct queue_down *d, struct buf *out);
bool	queue_down_decode(struct bytes note, struct queue_down *d);	/* texts borrow from note */

#endif
