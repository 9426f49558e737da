/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_queue.h - what the parts of `hermod queue` share, and postqueue, postsuper and postcat with them.
 *
 *	hermod_queue.c		the queue, its verbs, their options; list
 *	hermod_queue_count.c	list --count-by
 *	hermod_queue_show.c	one message
 *	hermod_queue_order.c	orders: by qmgr, or while it does not run by ourselves
 *	hermod_queue_journal.c	where the latter are noted
 */
#ifndef TOOLS_HERMOD_QUEUE_H
#define TOOLS_HERMOD_QUEUE_H

#include "mail/journal_writer.h"
#include "mail/queue_task.h"
#include "mail/segments.h"

/* Gives root up for the queue's user. False: there is no queue yet. */
bool	queue_view_open(struct queue *q);

/* All names, sorted by queue id, which is by age. In order, place and name of each. */
struct queue_names { struct buf text; const char **name; size_t n; };
void	queue_names_read(struct queue_names *all, struct queue *q, const struct queue_filter *f);
enum queue_place queue_names_place(const struct queue_names *all, size_t i);
void	queue_names_free(struct queue_names *all);

/* How far a long look is, on a terminal; of 0: nobody knows. */
struct queue_progress { const char *what; uint64_t of, began_ms, said_ms; };
void	queue_progress_say(struct queue_progress *p, uint64_t n);
void	queue_progress_end(struct queue_progress *p);

extern const char *const queue_rcpt_state[];	/* by enum rcpt_state */
bool	queue_rcpt_open(const struct recipient *r);	/* it waits, or nobody was told yet that it failed */
uint64_t queue_octets(const struct envelope *e);
struct bytes queue_reason(const struct envelope *e);	/* why it is held or waits */
/* What a message is, and its recipients, without the last }. */
void	queue_json(struct buf *o, const struct queue_message *m, enum queue_place place);

/* ---- list --count-by ---- */

enum queue_count_by { COUNT_DESTINATION, COUNT_REASON, COUNT_SENDER, COUNT_AGE, COUNT_BYS };
extern const char *const queue_count_word[COUNT_BYS + 1];	/* ends with NULL */

struct queue_counts;
struct queue_counts *queue_counts_new(enum queue_count_by by, int64_t now_s);
void	queue_counts_add(struct queue_counts *c, const struct envelope *e);
void	queue_counts_print(struct queue_counts **c);	/* and frees */

/* ---- show ---- */

/* Finds the message; ends the program with words where it is not there or cannot be read. */
struct queue_message *queue_find(struct queue *q, const char *id);

/*
 * The message as it goes out, header edits applied, in pieces: first its header section, then the empty line and the
 * body. Ends the program where it cannot be read.
 */
struct queue_content { const struct queue_message *m; struct buf segments; struct segment_reader reader; bool body; unsigned line; };
void	queue_content_begin(struct queue_content *c, const struct queue_message *m);
/* False: it is at its end. *body: whether this piece is of the body, with the line before it. The piece is the content's,
 * until the next. */
bool	queue_content_next(struct queue_content *c, struct bytes *piece, bool *body);
void	queue_content_end(struct queue_content *c);
int	queue_show(int argc, char **argv);

/* ---- orders ---- */

struct queue_ask {
	struct queue_order order;
	struct queue_filter filter;
	bool		 dry, named, verbose;
	struct buf	 ids;		/* owned: a run of TEXT */
	struct buf	 changes;	/* owned: EDIT, a run of queue_change bodies */
	/* For each message, in place of what is printed of it; NULL: that is as wanted. */
	void		(*tell)(const char *id, enum queue_obeyed result, const char *why);
};

struct queue_told { uint64_t looked, done, busy, failed; };

void	queue_ask_init(struct queue_ask *a, enum queue_verb verb);
void	queue_ask_fini(struct queue_ask *a);
void	queue_ask_id(struct queue_ask *a, struct bytes id);	/* "-": those on standard input, one a line */
void	queue_ask_change(struct queue_ask *a, enum queue_change_kind kind, const char *what, const char *to);
/* Carries it out. Ends the program, with words, where that cannot be done. */
struct queue_told queue_ask(struct queue_ask *a);
int	queue_order(int argc, char **argv, enum queue_verb verb);

/* ---- the journal, for orders that we carry out ourselves ---- */

struct queue_journal { struct journal_writer writer; bool open; enum log_level least; uint32_t uid; };
/* While we are still who asked. Where it cannot be opened that is said. */
void	queue_journal_open(struct queue_journal *j);
void	queue_journal_say(struct queue_journal *j, enum log_level level, const char *line);
void	queue_journal_close(struct queue_journal *j);

/* ---- options of all ---- */

/* True: argv[*i], and what follows it, is one of the filter's; *i stands on its last word. */
bool	queue_take_filter(int argc, char **argv, int *i, struct queue_filter *f);
/* The word behind an option ("--sender X", "--sender=X"); NULL: it is not that option. */
const char *queue_take_option(int argc, char **argv, int *i, const char *name);

#endif
