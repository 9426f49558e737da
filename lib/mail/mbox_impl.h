/* SPDX-License-Identifier: ISC */
/*
 * mail/mbox_impl.h - what the files of mail/mbox share, and nobody else:
 *
 *	mbox.c		opening, delivery, reading
 *	mbox_lock.c	locks
 *	mbox_repair.c	what a crash left; removal
 *	mbox_split.c	where messages begin and end (pure)
 */
#ifndef MAIL_MBOX_IMPL_H
#define MAIL_MBOX_IMPL_H

#include "mail/mbox.h"

#define CHUNK	65536u

/* -1: errno, why in words. */
int	mbox_open_file(struct mbox *m, bool make, char *why, size_t cap);

/* Opens it, waits at most m->wait_ms for the lock, repairs it. False: errno; ETIMEDOUT: somebody has it. */
bool	mbox_lock(struct mbox *m);
void	mbox_unlock(struct mbox *m);

/* Both under the lock. False: errno. */
bool	mbox_repair(struct mbox *m);
/* Removes these of m->part, durably: all, or after a crash whoever repairs it does. */
bool	mbox_cut_out(struct mbox *m, const size_t *which, size_t n);

#endif
