/* SPDX-License-Identifier: ISC */
/*
 * qmgr/qmgr.h - what the parts of qmgr know of each other.
 *
 *	scan.c		which messages: announced, found, due; one qmgr owns the queue
 *	active.c	one message: its recipients, what became of them, what comes next
 *	early.c		a message that is delivered before it has a name in the queue
 *	schedule.c	deliveries: how many at once, to whom next
 *	retry.c		when again, and whether the clock may be believed
 */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

#include "daemon/daemon.h"
#include "mail/queue.h"
#include "mail/router.h"
#include "mail/settings.h"
#include "qmgr/retry.h"

struct qmgr_settings {
	uint64_t	 active_limit;		/* messages in memory */
	uint64_t	 local_concurrency, local_destination_concurrency;
	uint64_t	 delivery_timeout_ms, route_timeout_ms;
	uint64_t	 minimal_backoff_ms, maximal_backoff_ms, uncertain_backoff_ms;
	uint64_t	 lifetime_ms;		/* of a message */
	uint64_t	 clock_confirm_ms;
};

extern const struct setting qmgr_settings[];

struct schedule;		/* schedule.c */
struct scan;			/* scan.c */

struct qmgr {
	struct daemon	*daemon;	/* borrowed */
	const struct qmgr_settings *settings;
	struct queue	 queue;
	struct clock_guard clock;
	struct peers	*router;
	struct ipc_out	 out;
	struct schedule	*schedule;
	struct scan	*scan;
	struct work	**table;	/* messages in memory, by id */
	size_t		 nbuckets, count;
	struct work	*unsaved;	/* those with results that are not on disk */
	struct timer	 save_timer;
	size_t		 nearly;	/* of count: those without a name */
};

/* ---- active.c ---- */

/* A message in memory. It holds the message's lock. */
struct work {
	struct work	*next;		/* of its bucket */
	struct work	*next_unsaved, **unsaved_at;	/* in qmgr's list, and what points here */
	struct queue_message *message;	/* owned */
	struct early	*early;		/* owned; NULL: it has its name in the queue */
	struct buf	 segments;	/* owned; as in `deliver` */
	uint64_t	 octets;	/* of the joined message */
	uint32_t	 next_rcpt;	/* the first that was not looked at yet */
	uint32_t	 jobs;		/* recipients that are being routed, waiting, or delivered now */
	uint64_t	 unsaved_ms;	/* since when, or when to try again; 0: all is on disk */
	bool		 uncertain;	/* a delivery may go on without us: look again soon */
	uint64_t	 wait_ms;	/* until the next attempt, from when it was decided; 0: it is not */
	bool		 filling;	/* fill is on the stack */
	bool		 left;		/* recipients were left to the next qmgr */
	bool		 concluded;	/* nothing is left to do but to save and to move it */
};

/* One recipient on its way through routing and delivery. */
struct job {
	struct job	*next;		/* of its destination */
	struct qmgr	*qmgr;
	struct work	*work;
	struct destination *destination;	/* NULL: not yet */
	uint32_t	 rcpt;
};

enum take { TAKE_DONE, TAKE_FULL /* no room in memory */, TAKE_LATER /* look again: somebody works on it */ };

void		 active_init(struct qmgr *m);
void		 active_fini(struct qmgr *m);
/* Takes a message into memory and begins with it. found: not announced, so it is checked more. */
enum take	 active_take(struct qmgr *m, enum queue_place place, const char *name, bool found);
uint32_t	 active_jobs(void *qmgr);
/* What became of a job, which is freed. certain false: nobody knows; reply is then ours. */
void		 active_result(struct job *j, enum outcome outcome, bool certain, struct bytes status, struct bytes reply);

/* For early.c. Takes w, which holds its message, into memory and begins with it. False: it cannot be joined; w stays
 * the caller's. */
bool		 active_begin(struct qmgr *m, struct work *w);
struct work	*active_find(struct qmgr *m, struct bytes id);	/* NULL: not in memory */
struct work	*active_walk(struct qmgr *m, bool (*each)(struct work *, const void *), const void *arg);	/* the first that it says yes to */
/* It has its name now, and perhaps results that the file does not have. */
void		 active_placed(struct qmgr *m, struct work *w);
void		 active_forget(struct qmgr *m, struct work *w);	/* no job of it is left */

/* It was not begun, and is not going to be by this qmgr. Frees it. */
void		 active_leave(struct job *j);
void		 active_drain(struct qmgr *m);

static inline struct recipient *
job_recipient(const struct job *j)
{
	return &j->work->message->envelope.rcpts[j->rcpt];
}

/* ---- early.c ---- */

/* A question of cleanup's; false: it makes no sense. */
bool		 early_take(struct qmgr *m, struct channel *from, struct ipc_in *in);
/* Every recipient was looked at and no delivery is on its way: says so to cleanup. May free w. */
void		 early_conclude(struct qmgr *m, struct work *w);
/* What became of it: it has its name in new/ (false: it is not in memory), or will have none. */
bool		 early_arrived(struct qmgr *m, struct bytes id);
bool		 early_withdrawn(struct qmgr *m, struct bytes ids);	/* a run; false: it makes no sense */
void		 early_gone(struct qmgr *m, struct channel *from);	/* that cleanup is gone */
void		 early_free(struct qmgr *m, struct work *w);	/* w->early, if there is one */

/* ---- schedule.c ---- */

struct schedule	*schedule_new(struct qmgr *m);
void		 schedule_free(struct schedule **s);
void		 schedule_add(struct schedule *s, struct job *j);	/* its recipient has a route */
void		 schedule_run(struct schedule *s);	/* starts what may start */
void		 schedule_drain(struct schedule *s);	/* leaves what is not begun to the next qmgr */
void		 schedule_withdraw(struct schedule *s, struct work *w);	/* leaves its jobs that are not begun */
/* Deliveries there take longer than early ones may: until one has been answered. */
void		 schedule_slow(struct schedule *s, struct bytes nexthop);
bool		 schedule_is_slow(struct schedule *s, struct bytes nexthop);	/* or others wait there already */

/* ---- scan.c ---- */

struct scan	*scan_new(struct qmgr *m);
void		 scan_free(struct scan **s);
void		 scan_start(struct scan *s);		/* waits for the lock, then begins */
bool		 scan_owns(const struct scan *s);	/* the queue is ours */
void		 scan_room(struct scan *s);		/* there is room in memory again */
void		 scan_left_some(struct scan *s);	/* there was none for a message in new/ */
/* Looks at that file again after a while, wherever it is then due. */
void		 scan_again(struct scan *s, enum queue_place place, const char *name, uint64_t after_ms);
void		 scan_due(struct scan *s, int64_t next_s);	/* a message was moved to later/ */
void		 scan_drain(struct scan *s);		/* takes nothing more */
void		 scan_release(struct scan *s);		/* gives the queue to the next qmgr */

#endif
