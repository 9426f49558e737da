/* SPDX-License-Identifier: ISC */
/*
 * mail/queue_order.h - what an administrator may have done to a message that waits: one
 * code for qmgr, who does it while the suite runs, and for the hermod command, which does
 * it while qmgr does not run and the lock of the queue is its own.
 *
 * Every order leaves the old state or the new, whatever stops it: what is written is
 * written as queue_update does it.
 */
#ifndef MAIL_QUEUE_ORDER_H
#define MAIL_QUEUE_ORDER_H

#include "mail/queue.h"

enum queue_verb {
	ORDER_FLUSH,		/* a next attempt now */
	ORDER_HOLD,		/* no attempt until it is released; never expires */
	ORDER_RELEASE,		/* out of hold: a next attempt now */
	ORDER_REQUEUE,		/* the recipients' routes are asked anew, attempts begin anew; out of hold, too */
	ORDER_DELETE,		/* gone; nobody is told */
	ORDER_EDIT,		/* sender, recipients */
	ORDER_VERBS
};
extern const char *const queue_verb_name[ORDER_VERBS];
/* "held", "deleted": what the journal says became of it. */
extern const char *const queue_verb_done[ORDER_VERBS];

enum queue_change_kind {
	CHANGE_SENDER,		/* to: the new reverse-path, without <>; empty: null */
	CHANGE_ADD,		/* to: a recipient more */
	CHANGE_REMOVE,		/* what: a pattern (mail/queue_filter.h) of those that are not done */
	CHANGE_REPLACE,		/* what: an address; to: the recipient in its place */
	CHANGE_KINDS
};

struct queue_change {			/* texts borrowed */
	enum queue_change_kind kind;
	struct bytes	what, to;
	struct bytes	routes;		/* the router's of `to`: ADD, REPLACE */
};

#define QUEUE_CHANGES_MAX 1000		/* of one order */
#define QUEUE_REASON_MAX 512		/* octets */

struct queue_order {			/* texts borrowed */
	enum queue_verb	verb;
	struct bytes	reason;		/* HOLD; empty: a standard one */
	struct queue_change *changes;	/* EDIT, in their order */
	size_t		nchanges;
};

enum queue_obeyed {
	OBEYED,
	OBEYED_BUSY,		/* it is being delivered: once that is over */
	OBEYED_NEEDLESS,	/* there is nothing to do: why */
	OBEYED_FAILED,		/* it is as it was: why */
};

/*
 * To a message that nobody works on: the caller has its lock, and the queue's. It begins; where did->written says so then, its
 * update is to be settled and synced (mail/queue.h), with others or alone, and queue_order_end does the rest; meanwhile the lock
 * is kept. m->place and m->name follow; after ORDER_DELETE there is no file. What was moved or removed is
 * safe from a power cut after queue_sync of the name that it had. Where it is not OBEYED, why says so in words, and
 * the envelope is as it was.
 */
struct queue_ordered { bool written; struct envelope before; };
enum queue_obeyed queue_order_begin(struct queue *q, struct queue_message *m, const struct queue_order *o, int64_t now_s,
			    struct queue_ordered *did, char *why, size_t cap);
/* fault: errno of what its update has failed with; 0: it is on disk. */
enum queue_obeyed queue_order_end(struct queue *q, struct queue_message *m, const struct queue_order *o, int64_t now_s,
			    const struct queue_ordered *did, int fault, char *why, size_t cap);
/* A file that is no message to be read (damaged, or of a later version): it can be deleted, nothing else. */
enum queue_obeyed queue_order_obey_unread(struct queue *q, enum queue_place place, const char *name,
			    const struct queue_order *o, char *why, size_t cap);
/*
 * What the journal says of it, who asked by uid; e NULL: its envelope was not looked at. False: nothing is said. Of a
 * flush each message alone is not worth a line: one says it all, messages and next hop (empty: any).
 */
bool	queue_order_line(const struct queue_order *o, const char *id, const struct envelope *e, enum queue_obeyed result,
	    const char *why, uint32_t uid, char *line, size_t cap);
void	queue_order_line_flushed(uint64_t messages, struct bytes nexthop, uint32_t uid, char *line, size_t cap);
/* Whether it makes sense where the message is now: OBEYED, or NEEDLESS and why. */
enum queue_obeyed queue_order_fits(enum queue_place place, enum queue_verb verb, char *why, size_t cap);

#endif
