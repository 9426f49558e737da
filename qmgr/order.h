/* SPDX-License-Identifier: ISC */
/*
 * qmgr/order.h - between the two halves of the administrator's orders: control.c talks to the hermod
 * command, order.c goes through the queue.
 */
#ifndef QMGR_ORDER_H
#define QMGR_ORDER_H

#include "mail/queue_task.h"
#include "qmgr/qmgr.h"

/* What was asked. Messages that are being delivered keep it until they can obey. */
struct command {
	unsigned	 refs;
	struct arena	*arena;		/* owned: all texts */
	struct queue_order order;
	struct queue_filter filter;
	uint32_t	 uid;		/* who asked */
};

/* Kept by a message that is being delivered (work->asked), in the order in which it was asked. */
struct asked {
	struct asked	*next;
	struct command	*command;	/* a reference */
};

struct command	*command_new(const struct ipc_queue_order *m, uint32_t uid, const char **fault);	/* NULL: it makes no sense */
struct command	*command_ref(struct command *c);
void		 command_unref(struct command **c);

struct run_counts { uint64_t looked, done, busy, failed; };

/* An order while it is carried out. */
struct run;

/*
 * Something is to be told: results (of which no more than 32768 octets are ever gathered), and when fault is not
 * NULL that it is over ("" when it came to its end), whereupon the run frees itself.
 */
typedef void (*run_tell)(void *arg, const struct run_counts *n, struct bytes results, const char *fault);

/* ids: a run of TEXT, of those that are meant; named false: all that fit. NULL: they make no sense. Begins from the loop. */
struct run	*run_new(struct qmgr *m, struct command *c /* taken */, bool dry, bool named, struct bytes ids,
		    run_tell tell, void *arg);
void		 run_free(struct run **r);	/* stops where it is; tells nothing */
void		 run_pause(struct run *r, bool on);	/* its teller has to wait */
void		 run_drain(struct run *r);	/* another qmgr comes: ends soon, with a fault */
/* A message was taken into memory while it went on, or was there without a name, and has one now. */
void		 run_taken(struct run *r, struct work *w);

#endif
