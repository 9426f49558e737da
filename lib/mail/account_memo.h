/* SPDX-License-Identifier: ISC */
/*
 * mail/account_memo.h - what the directory has said of the names that one question leads to.
 *
 * Accounts of an LDAP server or an SQL database are another process's to know, and a process on the event loop cannot wait for
 * it. So what looks for accounts is a function that can run from its start to its end again and again, with what is known: a name
 * that the memo does not have is put down as wanted, and is not sure. Who holds the memo has all that is wanted asked at once
 * (daemon/directory.h), and runs the function again when it is answered, until nothing is wanted any more. What could not be
 * found out stays not sure: nothing is asked for twice.
 */
#ifndef MAIL_ACCOUNT_MEMO_H
#define MAIL_ACCOUNT_MEMO_H

#include "base/arena.h"
#include "mail/router.h"

struct account;

#define ACCOUNT_MEMO_NAMES	1000		/* of one question; what is beyond is not sure */
#define ACCOUNT_MEMO_OCTETS	(1u << 20)	/* of rows; likewise */

struct account_known;		/* a name: in the memo's arena, as all of it */

struct account_memo {
	struct arena	*arena;		/* owned; NULL until something is wanted */
	struct account_known *first, *last;
	struct account_known *next;	/* the first that was not asked yet */
	size_t		 n, octets;
	size_t		 wanted;	/* names without an answer, asked already or not */
	bool		 closed;	/* nothing more is wanted */
	bool		 checks;	/* the directory judges passwords itself: it has said so of a name */
};

void	account_memo_init(struct account_memo *m);	/* as zeroed memory is */
void	account_memo_fini(struct account_memo *m);	/* wipes: there are passwords in it; it is as new then */

/* What is known of the name; NOT_SURE also when it is wanted now, or was. YES: *out borrows from the memo, and only what stood in
 * the row is set. */
enum verdict	account_memo_get(struct account_memo *m, struct bytes name, struct account *out);

/* The next to be asked, each once; NULL: none. *name lives as long as the memo. */
struct account_known *account_memo_next(struct account_memo *m, struct bytes *name);
/* The answer. A row that is malformed, or with another verdict than YES, makes it not sure: false then. */
bool	account_memo_answer(struct account_memo *m, struct account_known *k, enum verdict v, struct bytes row, bool checks);
/* What has no answer is not sure from now on, and so is what else would be wanted. */
void	account_memo_close(struct account_memo *m);

#endif
