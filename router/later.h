/* SPDX-License-Identifier: ISC */
/*
 * router/later.h - questions that lead to accounts which only the directory knows are answered later. Answering is a function
 * that runs from its start with what is known (mail/account_memo.h): at once, and where that is not enough again when the
 * directory has answered. Where there is no directory, and where none is needed, once is enough and nothing is kept.
 */
#ifndef ROUTER_LATER_H
#define ROUTER_LATER_H

#include "daemon/channel.h"
#include "mail/account.h"

#define LATER_MAX	2000	/* questions that wait; a further one is answered with what is known, not sure */

struct later;

enum said { NONSENSE /* the question is malformed */, SAID, SAID_LATER /* later_needed: nothing was sent */ };

/* Takes the question out of `in`, and answers it on the channel, if not later. */
typedef enum said (*later_run)(void *arg, struct channel *c, struct ipc_in *in);

/* All borrowed; directory NULL: there is none. timeout_ms: directory_timeout. */
struct later	*later_new(struct loop *l, struct peers *directory, uint64_t timeout_ms, struct accounts *a);
void		 later_free(struct later **l);
/* A frame of c's, without descriptors; c NULL: a question of our own. False: it made no sense. */
bool		 later_frame(struct later *l, struct channel *c, struct ipc_in *in, later_run run, void *arg);
void		 later_gone(struct later *l, const struct channel *c);	/* its questions are dropped */
/* For `run`: this verdict is no answer yet. */
bool		 later_needed(const struct later *l, enum verdict v);
size_t		 later_waiting(const struct later *l);

#endif
