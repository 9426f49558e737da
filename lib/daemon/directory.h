/* SPDX-License-Identifier: ISC */
/*
 * daemon/directory.h - what an LDAP server or an SQL database knows of accounts, for a process on the event loop: it asks the
 * suite's directory, whose row of master/services.c the asker's names. directory has the cache; nothing is kept here.
 *
 * There is always an answer, from the loop and never from within the call that asked: a directory that is silent, gone, or talks
 * nonsense makes what it was asked for not sure.
 */
#ifndef DAEMON_DIRECTORY_H
#define DAEMON_DIRECTORY_H

#include "base/loop.h"
#include "daemon/channel.h"
#include "mail/account_memo.h"

#define DIRECTORY_MORE_MS	4000	/* than directory_timeout, for all that one question leads to: 9 s, and bounce, which asks router, waits 10 */
#define DIRECTORY_ROUNDS	20	/* of names that the answers before led to */
#define DIRECTORY_CALLS		256	/* of all questions, at once */
#define DIRECTORY_CHECKS	512	/* passwords, at once: with the calls less than CHANNEL_QUEUE */

struct directory;
struct directory_call;

struct lookup {			/* of one question, over all its rounds; a member of it */
	struct directory *all;		/* borrowed */
	struct account_memo memo;	/* owned */
	struct directory_call *calls;	/* owned; without an answer yet */
	struct lookup	*next;		/* where names are still to be asked: of the queue */
	bool		 queued;
	unsigned	 rounds;
	uint64_t	 until_ms;	/* 0: nothing was asked yet */
	struct timer	 deadline;
	void		(*done)(void *arg);
	void		*arg;		/* borrowed */
};

/* timeout_ms: directory_timeout, which is answered with better words. */
struct directory *directory_new(struct loop *l, struct peers *peers /* both borrowed */, uint64_t timeout_ms);
void		 directory_free(struct directory **d);	/* no lookup is under way; checks are not answered */

/* d NULL: there is no directory, and nothing is ever wanted. */
void		 lookup_init(struct lookup *k, struct directory *d, void (*done)(void *arg), void *arg);
void		 lookup_fini(struct lookup *k);		/* done is not called any more */
/* Asks for all that its memo wants: done is called when that is answered, or the time is over. */
void		 lookup_begin(struct lookup *k);

/* Is this the password of that name? To be asked where the directory has said that it checks passwords, which it says of names that
 * nobody has, too: then it binds as nobody, and takes as long. Returns a ticket, never 0. */
uint64_t	 directory_check(struct directory *d, struct bytes name, struct bytes password, struct bytes client,
		    void (*done)(void *arg, enum verdict v), void *arg);
void		 directory_check_cancel(struct directory *d, uint64_t check);	/* no answer will be given; 0 is fine */

#endif
