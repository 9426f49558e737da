/* SPDX-License-Identifier: ISC */
/*
 * mail/queue.h - the queue on disk: one message, one file. doc/queue-format.md
 * has the format octet by octet. Content is written once and never changed;
 * an update appends envelope records, then writes one of two pointers in turn,
 * each in a sector of its own with a generation and a checksum over all the records
 * it names: whatever a crash leaves, a reader finds the old state or the new.
 *
 *	new/		linked by cleanup; delivered from here the first time
 *	active/		taken out of later/ or hold/ for another attempt
 *	later/<bucket>/	waiting; the bucket is the wall-clock time of the attempt, rounded up
 *			to a minute, as 8 hex digits of seconds / 60
 *	down/<hash>/	waiting for one next hop that is down, or has more than memory holds; hash as below
 *	hold/		waiting for a person; the envelope says why
 *	corrupt/	what fails its checksums; never deleted by the suite
 *
 * The file's name is the queue id; in later/ it is id-HHHHHHHH, the hash of its next
 * hop ("m" where there are several). Only processes of the queue's user use this.
 */
#ifndef MAIL_QUEUE_H
#define MAIL_QUEUE_H

#include "mail/envelope.h"

#define QUEUE_ID_MAX	32
#define QUEUE_CONTENT	2048	/* where content starts; before it preamble and pointers */

enum queue_place { QUEUE_NEW, QUEUE_ACTIVE, QUEUE_LATER, QUEUE_DOWN, QUEUE_HOLD, QUEUE_CORRUPT, QUEUE_PLACES };
extern const char *const queue_place_name[QUEUE_PLACES];

struct queue {
	int	dir;			/* queue_directory; owned */
	int	places[QUEUE_PLACES];	/* owned */
	int	proc_fd;		/* borrowed: /proc/self/fd; -1: reads and moves only */
	bool	no_tmpfile;		/* the file system has no O_TMPFILE: a name in tmp/, then rename */
	bool	sync_dir;		/* its fsync of a file makes neither the file's name durable, nor what was done to others before */
	bool	sync_whole;		/* its syncfs can be relied on: where sync_dir many changes are synced by one; else each */
	bool	durable;		/* all that processes have written that ended is on disk */
};

/* What an administrator says of it (queue_sync_directory), as an index into the words. */
extern const char *const queue_sync_words[];
void	queue_sync_as(struct queue *q, unsigned word);

/* Opens, making what is missing below dir, of which it keeps a duplicate. False: logged. */
bool	queue_open(struct queue *q, int dir, int proc_fd);
void	queue_close(struct queue *q);

/* ---- cleanup's side ---- */
struct queue_draft {			/* a message that is being received; no name yet */
	char	id[QUEUE_ID_MAX + 1];
	int	fd;			/* read-only, the proof of the lease is taken on it; -1: none */
	bool	sealed;
	char	tmp[QUEUE_ID_MAX + 8];	/* name in tmp/ where no_tmpfile; else "" */
};

/* True: *writer is a write-only descriptor that stands at QUEUE_CONTENT. False: errno. */
bool	queue_draft_open(struct queue *q, struct queue_draft *d, int *writer);
void	queue_draft_abandon(struct queue *q, struct queue_draft *d);
/*
 * The content is whole and stays as it is: takes a read lease, which the kernel grants
 * only when no writer is left (a receiver that kept its descriptor, or a mapping, loses
 * the message), checks that the file holds the content promised, and locks it: the lock is
 * d->fd's and goes with it to whoever gets that descriptor. False: errno (EBUSY: a writer was
 * left, EPROTO: not the content promised; both are logged).
 */
bool	queue_draft_seal(struct queue_draft *d, uint64_t octets);
/*
 * Makes drafts durable together. For each: seals it, where that was not done yet; reopens it; writes
 * envelope and pointers; links the name into new/. Then fsyncs. ok false: that one is not accepted, errno
 * in fault, nothing of it is left. All drafts are closed. A message is locked until it is
 * durable, so that qmgr does not deliver what may yet be refused. The extents of the envelope are not
 * looked at: the content is one extent.
 */
struct queue_commit { struct queue_draft *draft; uint64_t octets; const struct envelope *envelope; bool ok; int fault; };
void	queue_commit(struct queue *q, struct queue_commit *c, size_t n);

/* Where no_tmpfile: removes what a crash left in tmp/, when it is older than a day. */
void	queue_clean_tmp(struct queue *q);

/* Free space as the disk guard sees it: octets and inodes. */
bool	queue_space(const struct queue *q, uint64_t *octets, uint64_t *inodes);

/* ---- qmgr's side, and tools' ---- */
struct queue_pointer;
struct queue_message {
	char		 id[QUEUE_ID_MAX + 1];
	enum queue_place place;
	char		 name[64];	/* file name; for QUEUE_LATER bucket/name, for QUEUE_DOWN hash/name */
	int		 fd;		/* read-only; with the lock when queue_lock was called */
	uint64_t	 generation;	/* of the pointer that was read */
	uint64_t	 records_at, records_octets; /* where the envelope stands */
	uint64_t	 base_octets;	/* of them: the whole envelope, before the changes that were appended */
	uint32_t	 records_crc;
	uint32_t	 content_crc;
	uint64_t	 content_octets;
	bool		 rewrite;	/* an update has failed: the next one writes the whole envelope */
	bool		 durable;	/* what the file holds is known to be on disk */
	struct queue_pointer *written;	/* in the arena: of an update that is to be synced; NULL: there is none */
	struct arena	*arena;		/* owned; the envelope is in it */
	struct envelope	 envelope;
};

enum queue_read { QUEUE_READ, QUEUE_GONE, QUEUE_DAMAGED, QUEUE_FOREIGN /* a critical record not known */, QUEUE_TROUBLE /* errno */ };

/* Opens and reads; name as in the directory. *m is set on QUEUE_READ, and on QUEUE_FOREIGN (to be
 * moved; its envelope may be empty). */
enum queue_read	queue_message_open(struct queue *q, enum queue_place place, const char *name, struct queue_message **m);
/* The same of a file that is open, for who was handed it and knows no place: fd is taken. It can only be looked at. */
enum queue_read	queue_message_take(struct bytes id, int fd, struct queue_message **m);
void	queue_message_free(struct queue_message **m);
/* How many it has. More than one: a power cut may have left another. */
size_t	queue_message_names(const struct queue_message *m);
/*
 * A sealed draft that has no name yet, to be delivered before it is made durable: as a message in
 * new/, which it is not. fd (the draft's, read-only, with its lock) is taken. NULL: its
 * envelope makes no sense; fd is closed.
 */
struct queue_message *queue_message_adopt(struct bytes id, int fd, uint64_t content_octets, struct bytes records);
/* It has been committed since: from now on it can be updated and moved. False: logged; it cannot. */
bool	queue_message_placed(struct queue_message *m);
/* Whether it has been, when nobody is left to ask. */
bool	queue_message_is_placed(struct queue *q, const struct queue_message *m);
/* Reads the content and compares its checksum. The checksum of a message that cleanup has announced
 * need not be looked at; that of one which was found (after a crash, or after waiting) must. */
enum queue_read	queue_message_verify(const struct queue_message *m);
/* LOCK_EX without waiting, on m->fd: kept by whoever holds that open file. False: somebody works on it. */
bool	queue_lock(struct queue_message *m);
/* With the lock: is it, its name included, as it was when it was read? Somebody who had the lock until now may have changed it. */
bool	queue_message_is_current(struct queue *q, const struct queue_message *m);
/* Appends the changed envelope, then the pointer; durable when true. */
bool	queue_update(struct queue *q, struct queue_message *m);
/*
 * The same in steps, for who has many to update. All are written; then all are settled; then one sync, of any of them that
 * was settled, is for all; then each is done, whose m says so from then on. False from the first three: logged, and the next
 * update is of the state before it. A message that is freed before it was done has the old state or the new.
 */
bool	queue_update_write(struct queue *q, struct queue_message *m);
bool	queue_update_settle(struct queue *q, struct queue_message *m);
bool	queue_update_sync(struct queue *q, struct queue_message *m);
void	queue_update_done(struct queue_message *m);
void	queue_update_undone(struct queue_message *m);	/* the sync for all has failed */
/* rename, never durable by itself: after a power cut a message may be back where it was. QUEUE_LATER
 * wants next_s and takes the bucket from it; QUEUE_DOWN wants a message all of whose waiting recipients have one next hop. */
bool	queue_move(struct queue *q, struct queue_message *m, enum queue_place to);
/* True: that name is gone, whoever removed it. */
bool	queue_remove(struct queue *q, struct queue_message *m);
/* A file that queue_message_open found damaged: to corrupt/, logged. */
bool	queue_set_aside(struct queue *q, enum queue_place place, const char *name);

#define QUEUE_HASH	8	/* octets of the hash of a next hop, in hex digits */
/* Of the next hop that all who still wait have in common. False: there are several, or nobody waits; then it is "m". */
bool	queue_hop(const struct envelope *e, char hash[QUEUE_HASH + 1]);
void	queue_hop_hash(struct bytes nexthop, char hash[QUEUE_HASH + 1]);

#define QUEUE_ID_TIME	11	/* octets of an id that tell the time */
/* What ids begin with that are made at this time: they compare as their times do. */
void	queue_id_time(int64_t wall_us, char out[QUEUE_ID_TIME + 1]);

/* Names in a place (QUEUE_LATER: bucket/name; QUEUE_DOWN: hash/name), any order; each returns false to stop. */
bool	queue_walk(struct queue *q, enum queue_place place, bool (*each)(void *arg, const char *name), void *arg);
/* Names in later/ whose bucket is at most now_s, or later than latest_s (a clock was set back since); removes
 * emptied buckets that are past, and at rest. */
bool	queue_walk_due(struct queue *q, int64_t now_s, int64_t latest_s, bool (*each)(void *arg, const char *name), void *arg);
/* The wall-clock time of the first bucket in later/, INT64_MAX when there is none. */
int64_t	queue_next_due(struct queue *q);

/* The pure half, for the fuzzer: the octets of a whole file. */
enum queue_read	queue_parse(struct bytes file, struct arena *a, struct envelope *e, uint64_t *generation);

#endif
