/* SPDX-License-Identifier: ISC */
/*
 * mail/queue_task.h - an order (mail/queue_order.h) goes through the queue on disk, a name at a time: for qmgr, who
 * has deliveries to see to between two, and for the hermod command while qmgr does not run.
 */
#ifndef MAIL_QUEUE_TASK_H
#define MAIL_QUEUE_TASK_H

#include "base/hash_set.h"
#include "mail/queue_filter.h"
#include "mail/queue_order.h"

struct queue_task_id {
	struct bytes	 text;
	bool		 met;		/* and is not looked for any more */
	unsigned	 meetings;	/* by several names, of one that is deleted */
};
struct queue_task_touched;
struct queue_task_group;

struct queue_task {
	/* the caller's, before queue_task_begin; all borrowed */
	struct queue	*queue;
	const struct queue_order *order;
	const struct queue_filter *filter;
	bool		 dry;		/* only say what would be done */
	bool		 named;		/* those that are named alone, not all that fit; of the filter the places count */
	int64_t		 now_s;
	/* What became of a message; e NULL: its envelope was not looked at. Needless is not told of those that were not named. */
	void		(*tell)(void *arg, const char *id, const struct envelope *e, enum queue_obeyed result, const char *why);
	/* Somebody has it in memory, and sees to the order. NULL: nobody ever has. */
	bool		(*elsewhere)(void *arg, const char *id);
	/* A next hop that is down is to be tried now. NULL: nobody runs who would; its note goes. */
	void		(*hurry)(void *arg, const char *hash);
	void		*arg;

	/* the task's */
	struct queue_task_id *ids;	/* owned; sorted */
	size_t		 nids, nmet, at;
	struct hash_set	 seen;	/* owned: those that were met and may be come upon again, where they were moved to */
	enum queue_place place;
	struct queue_cursor *cursor;	/* owned */
	struct queue_task_group *group;	/* owned: messages that are written, and wait for their sync together */
	struct queue_task_touched *touched;	/* owned: directories that are to be synced */
	uint64_t	 looked;	/* at so many names */
	bool		 due;		/* something was made due */
	char		 fault[256];	/* something could not be read or synced; else "" */
};

/* ids: a run of TEXT (mail/ipc.h), copied. False: they make no sense; there is nothing to end. */
bool	queue_task_begin(struct queue_task *t, struct bytes ids);
/* The next name, message of a group, directory or id. False: that was all. */
bool	queue_task_step(struct queue_task *t);
/* Goes no further, but for what is to be synced. */
void	queue_task_stop(struct queue_task *t);
/* Messages are begun, and wait for their sync with others. */
bool	queue_task_at_work(const struct queue_task *t);
/* One of them is done, and told, whatever others there may be. False: there is none. */
bool	queue_task_rest(struct queue_task *t);
void	queue_task_end(struct queue_task *t);	/* does so first, too */
/* Files that it holds open at most. */
enum { QUEUE_TASK_FILES = 256 };

/* Is this one named, and was not met before? From now on it was. */
bool	queue_task_names(struct queue_task *t, const char *id);
/* For those in memory: is it meant? One that is named was met then. */
bool	queue_task_meant(struct queue_task *t, const struct queue_message *m);
/* It was met in memory: it is not to be met again on disk. */
void	queue_task_see(struct queue_task *t, const char *id);
/* One that nobody works on, and that the caller keeps: obeys at once, remembers which directory is to be synced. */
enum queue_obeyed queue_task_obey(struct queue_task *t, struct queue_message *m, char *why, size_t cap);
/* What it remembers, a directory at a time; queue_task_step does so, too. False: there is none. */
bool	queue_task_sync(struct queue_task *t);

#endif
