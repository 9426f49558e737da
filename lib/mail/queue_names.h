/* SPDX-License-Identifier: ISC */
/*
 * mail/queue_names.h - what the names of queue files tell, and what can be done with a name alone: for those who go
 * through a long queue and open as few files as they can.
 */
#ifndef MAIL_QUEUE_NAMES_H
#define MAIL_QUEUE_NAMES_H

#include "mail/queue.h"

/* The queue id of a name in any place. False: it is no name of ours. */
bool	queue_name_id(const char *name, char id[QUEUE_ID_MAX + 1]);

/* Whether a recipient of it may wait for that next hop. Only names in later/ and down/ tell: elsewhere all may. */
bool	queue_name_hop(enum queue_place place, const char *name, struct bytes nexthop);
/* The name tells one next hop. */
bool	queue_name_tells_hop(enum queue_place place, const char *name);

/*
 * Of a name in later/: it is due now, and was renamed if it was not. The file is not opened; its envelope
 * goes on to say when it would have been due. Of one in down/: its next hop has to be hurried (queue_down_hurry), it
 * stays where it is. False: errno.
 */
bool	queue_hurry(struct queue *q, enum queue_place place, const char *name, int64_t now_s);
/* The directory that the name stands in, to disk: what was removed and moved out of it does not come back. */
bool	queue_sync(struct queue *q, enum queue_place place, const char *name);

/*
 * As queue_walk, a name at a time, for who has other things to do between two. What is moved or made in the place
 * meanwhile may be seen or not, what stays is seen once. NULL: that was the last; then errno is 0, or
 * says why something could not be read. The name is the cursor's, until the next.
 */
struct queue_cursor;
struct queue_cursor *queue_cursor_new(struct queue *q, enum queue_place place);
const char *queue_cursor_next(struct queue_cursor *c);
void	queue_cursor_free(struct queue_cursor **c);

#endif
