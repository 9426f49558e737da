/* SPDX-License-Identifier: ISC */
/*
 * qmgr/qmgr.h - what the parts of qmgr know of each other.
 *
 *	scan.c		which messages: announced, found, due; one qmgr owns the queue
 *	active.c	one message: it is taken into memory, its recipients are routed
 *	settle.c	what became of its recipients, and what comes next: remove, wait, hold
 *	early.c		a message that is delivered before it has a name in the queue
 *	schedule.c	deliveries: how many at once, to whom next
 *	deliver.c	one delivery: what local and smtp-client are asked, and answer
 *	down.c		next hops that are down, and what waits for them on disk
 *	tell.c		notifications
 *	control.c	the administrator's orders: who gives them, what is answered
 *	order.c		how they are carried out
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
	uint64_t	 smtp_concurrency, smtp_destination_concurrency;
	uint64_t	 smtp_recipient_limit;	/* of one delivery */
	uint64_t	 destination_limit;	/* messages in memory for one next hop */
	uint64_t	 local_timeout_ms, smtp_timeout_ms, route_timeout_ms, notify_timeout_ms;
	uint64_t	 minimal_backoff_ms, maximal_backoff_ms, uncertain_backoff_ms;
	uint64_t	 lifetime_ms, bounce_lifetime_ms;	/* of a message; of one without a sender */
	uint64_t	 delay_warning_ms;	/* 0: none */
	uint64_t	 bulk_recipients;	/* from which on a message gives way to others */
	uint64_t	 clock_confirm_ms;
	unsigned	 sync_directory;	/* index into its words */
	struct setting_list never_down;		/* next hops that are tried for each message, whatever happens */
};

extern const struct setting qmgr_settings[];

struct schedule;		/* schedule.c */
struct scan;			/* scan.c */
struct downs;			/* down.c */
struct control;			/* control.c */
struct asked;			/* order.h */
struct run;

struct qmgr {
	struct daemon	*daemon;	/* borrowed */
	const struct qmgr_settings *settings;
	struct queue	 queue;
	struct clock_guard clock;
	struct peers	*router, *bounce;
	struct ipc_out	 out;
	struct schedule	*schedule;
	struct scan	*scan;
	struct downs	*downs;
	struct control	*control;
	struct run	*at_work;	/* borrowed: the order that has messages of the queue in work; NULL: none has */
	struct work	**table;	/* messages in memory, by id */
	size_t		 nbuckets, count;
	struct work	*unsaved;	/* those with results that are not on disk */
	struct timer	 save_timer;
	uint64_t	 save_ms;	/* monotonic: when it is due */
	size_t		 nearly;	/* of count: those without a name */
};

/* ---- active.c ---- */

/* A message in memory. It holds the message's lock. */
struct work {
	struct work	*next;		/* of its bucket */
	struct work	*next_unsaved, **unsaved_at;	/* in qmgr's list, and what points here */
	struct qmgr	*qmgr;
	struct queue_message *message;	/* owned */
	struct early	*early;		/* owned; NULL: it has its name in the queue */
	struct asked	*asked;		/* owned: orders that it obeys when its deliveries are over */
	struct buf	 segments;	/* owned; as in `deliver` */
	uint64_t	 octets;	/* of the joined message */
	struct batch	*batches;	/* schedule.c: its jobs that wait for a delivery */
	uint32_t	 next_rcpt;	/* the first that was not looked at yet */
	uint32_t	 jobs;		/* recipients that are being routed, waiting, or delivered now */
	uint64_t	 unsaved_ms;	/* since when, or when to try again; 0: all is on disk */
	uint64_t	 flushed_ms;	/* a next hop that it goes to wait for is to be tried at once: down_flush's since_ms; 0: not */
	uint64_t	 wait_ms;	/* until the next attempt, from when it was decided; 0: it is not */
	char		 hop[QUEUE_HASH + 1];	/* it was taken from that directory of down/; "": it was not */
	bool		 tried;		/* some delivery was attempted, or the router asked in vain */
	bool		 dirty;		/* the file does not have what is known of the message itself */
	bool		 uncertain;	/* some delivery may have gone well: nothing is tried anew at once */
	bool		 interrupted;	/* it may go on without us: look again soon */
	bool		 filling;	/* fill is on the stack */
	bool		 left;		/* recipients were left to the next qmgr */
	bool		 withdrawn;	/* its jobs that had not begun were taken back, for an order */
	bool		 concluded;	/* nothing is left to do but to save and to move it */
	bool		 telling;	/* bounce was asked, and has not answered */
	bool		 untold;	/* it could not be asked: again later */
};

/* One recipient on its way through routing and delivery. */
struct job {
	struct job	*next;		/* of its batch, or delivery */
	struct qmgr	*qmgr;
	struct work	*work;
	uint32_t	 rcpt;
};

/* What became of a job. Texts are borrowed. */
struct result {
	enum outcome	outcome;
	bool		certain;	/* false: nobody knows; the reply is ours */
	bool		interrupted;	/* not certain, since who delivered has not answered */
	bool		dsn;		/* the other side takes care of NOTIFY */
	struct bytes	status, reply, remote, command, said;
	struct bytes	tls;		/* what protected it; empty: nothing */
};

enum take { TAKE_DONE, TAKE_FULL /* no room in memory */, TAKE_LATER /* look again: somebody works on it */ };

void		 active_init(struct qmgr *m);
void		 active_fini(struct qmgr *m);
/* Takes a message into memory and begins with it. found: not announced, so it is checked more. */
enum take	 active_take(struct qmgr *m, enum queue_place place, const char *name, bool found);
bool		 active_has(struct qmgr *m, const char *name);	/* as in a directory: it is in memory */
uint32_t	 active_jobs(void *qmgr);

/* For early.c. Takes w, which holds its message, into memory and begins with it. False: it cannot be joined; w stays
 * the caller's. */
bool		 active_begin(struct qmgr *m, struct work *w);
struct work	*active_find(struct qmgr *m, struct bytes id);	/* NULL: not in memory */
struct work	*active_walk(struct qmgr *m, bool (*each)(struct work *, const void *), const void *arg);	/* the first that it says yes to */
void		 active_forget(struct qmgr *m, struct work *w);	/* no job of it is left */
/* From its first recipient on, once more. May free w. */
void		 active_again(struct qmgr *m, struct work *w);
/* Puts as many recipients on their way as the window holds; when all are done, settles. May free w. */
void		 active_fill(struct qmgr *m, struct work *w);

/* It was not begun, and is not going to be by this qmgr. Frees it. */
void		 active_leave(struct job *j);
/* Its next hop is down, or has more than memory holds: it waits, without an attempt. Frees it, perhaps its work. */
void		 active_suspend(struct job *j);
void		 active_drain(struct qmgr *m);

static inline struct recipient *
job_recipient(const struct job *j)
{
	return &j->work->message->envelope.rcpts[j->rcpt];
}

/* ---- settle.c ---- */

void		 settle_init(struct qmgr *m);
/* What became of a job, which is freed; perhaps its work, too. */
void		 settle_result(struct job *j, const struct result *r);
/* Every recipient was looked at, and no delivery is on its way. May free w. */
void		 settle(struct qmgr *m, struct work *w);
/* It has its name now, and perhaps results that the file does not have. May free w. */
void		 settle_placed(struct qmgr *m, struct work *w);
void		 settle_forget(struct work *w);		/* w goes: out of the list of those that are not saved */
/* Bounce has answered, or did not: may free w. */
void		 settle_told(struct qmgr *m, struct work *w, enum notice_kind kind, enum notice_result result, struct bytes reply);
/* Durable. False: later again. What is known must not be lost, or it is done twice. */
bool		 settle_save(struct qmgr *m, struct work *w);

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

/* ---- control.c, order.c ---- */

struct control	*control_new(struct qmgr *m);
void		 control_free(struct control **k);
void		 control_accept(struct control *k, int fd);	/* taken */
void		 control_taken(struct control *k, struct work *w);	/* w has come into memory, and is not begun; or has its name now */
void		 control_drain(struct control *k);
/* No delivery of w is on its way. True: it has done what was asked of it, and is freed. */
bool		 order_conclude(struct qmgr *m, struct work *w);
void		 order_forget(struct work *w);	/* w->asked, if there is any */

/* ---- schedule.c ---- */

struct via;			/* a way deliveries are made: local, smtp, lmtp */

/* Recipients of one message that go to one next hop together, on their way. */
struct delivery {
	struct qmgr	*qmgr;
	struct destination *destination;
	const struct via *via;
	struct work	*work;
	struct job	*first;		/* owned */
	uint32_t	 n;
	uint64_t	 began_ms;
};

struct schedule	*schedule_new(struct qmgr *m);
void		 schedule_free(struct schedule **s);
/* Is there such a transport? */
bool		 schedule_knows(const struct schedule *s, struct bytes transport);
void		 schedule_add(struct schedule *s, struct job *j);	/* its recipient has a route by one */
void		 schedule_run(struct schedule *s);	/* starts what may start */
/* A delivery is over: what it says of its next hop, and in which words. Before its jobs are settled. */
void		 schedule_done(struct delivery *d, enum relay_contact contact, const struct result *r);
void		 schedule_drain(struct schedule *s);	/* leaves what is not begun to the next qmgr */
void		 schedule_withdraw(struct schedule *s, struct work *w);	/* leaves its jobs that are not begun */
/* It is down: suspends the jobs that wait for it, but for those that down_exempts. */
void		 schedule_suspend(struct schedule *s, struct bytes transport, struct bytes nexthop);
/* As many messages wait for it in memory as may. */
bool		 schedule_is_crowded(struct schedule *s, struct bytes transport, struct bytes nexthop);
/* Deliveries there take longer than early ones may: until one has been answered. */
void		 schedule_slow(struct schedule *s, struct bytes nexthop);
bool		 schedule_is_slow(struct schedule *s, struct bytes nexthop);	/* or others wait there already */

/* ---- deliver.c ---- */

enum { DELIVER_RCPT_OCTETS = 12000 };	/* of recipients in one `relay` */
size_t		 deliver_rcpt_octets(const struct recipient *r);
void		 deliver_local(struct delivery *d, struct peers *peers, unsigned timeout_ms);
void		 deliver_relay(struct delivery *d, struct peers *peers, unsigned timeout_ms, struct bytes transport, bool more);

/* ---- down.c ---- */

struct downs	*down_new(struct qmgr *m);
void		 down_free(struct downs **d);
void		 down_start(struct downs *d);		/* the queue is ours: which are there that are not known? */
void		 down_drain(struct downs *d);
/* Must this recipient wait for its next hop on disk? */
bool		 down_keeps(struct downs *d, const struct job *j);
/* May it go there although no other mail does? */
bool		 down_exempts(struct downs *d, const struct job *j);
/* Does w, whose recipients all wait for that next hop, belong into its directory? */
bool		 down_has(const struct downs *d, const char *hash, const struct work *w);
/* Has it a recipient who must wait, as down_keeps says, for a next hop that is down? */
bool		 down_holds(const struct downs *d, const struct work *w);
/* A delivery has spoken, or not, with the next hop. */
void		 down_contact(struct downs *d, struct bytes transport, struct bytes nexthop, enum relay_contact contact,
		    const struct result *r);
/* Is it one that may be called down? */
bool		 down_may(const struct downs *d, struct bytes nexthop);
/* What was said when it was tried the last time; NULL: it is not down. Borrowed. */
struct queue_down;
const struct queue_down *down_note(const struct downs *d, struct bytes nexthop);
void		 down_took(struct downs *d, const struct work *w);	/* w is in memory */
void		 down_forgot(struct downs *d, const struct work *w);	/* and leaves it */
/* It is tried now, whatever its next attempt is, if none has begun since the order was given (monotonic). NULL: all are. False:
 * there is none of that hash. */
bool		 down_flush(struct downs *d, const char *hash, uint64_t since_ms);

/* ---- tell.c ---- */

/* Asks bounce; settle_told follows, from the loop. */
void		 tell_sender(struct qmgr *m, struct work *w, enum notice_kind kind);

/* ---- scan.c ---- */

struct scan	*scan_new(struct qmgr *m);
void		 scan_free(struct scan **s);
void		 scan_start(struct scan *s);		/* waits for the lock, then begins */
bool		 scan_owns(const struct scan *s);	/* the queue is ours */
void		 scan_room(struct scan *s);		/* there is room in memory again */
void		 scan_left_some(struct scan *s);	/* there was none for a message in new/ */
/* Looks at that file again after a while, wherever it is then due. */
void		 scan_again(struct scan *s, enum queue_place place, const char *name, uint64_t after_ms);
void		 scan_due(struct scan *s, int64_t next_s);	/* something in later/ has that time */
/* A message was moved to later/: it comes back when its bucket is due, or exactly, when that is soon. */
void		 scan_wait(struct scan *s, const struct queue_message *q, uint64_t wait_ms);
void		 scan_drain(struct scan *s);		/* takes nothing more */
void		 scan_release(struct scan *s);		/* gives the queue to the next qmgr */

#endif
