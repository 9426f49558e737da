/* SPDX-License-Identifier: ISC */
/*
 * mail/lock_file.h - STEM.lock beside a mailbox: an empty file of which octets are locked
 * (F_OFD_SETLK, exclusive). A lock goes with the process, whatever ends it. Who deletes the file by
 * hand keeps nobody out: the next to lock notices and makes a new one.
 */
#ifndef MAIL_LOCK_FILE_H
#define MAIL_LOCK_FILE_H

#include <stdbool.h>
#include <stdint.h>

#define LOCK_FILE_STEM_MAX 220

enum lock_octet {
	LOCK_LEDGER,		/* while the ledger or the index is read or written */
	LOCK_SESSION,		/* as long as a POP3 session lasts */
	LOCK_DATA,		/* while records are appended to the index's data */
	LOCK_FOLDERS,		/* INBOX's: while folders of the account are made, renamed, deleted */
};

struct lock_file {
	int	dir;		/* borrowed */
	int	fd;		/* owned; -1: not open */
	char	name[LOCK_FILE_STEM_MAX + 8];
};

void	lock_file_init(struct lock_file *f, int dir, const char *stem);	/* opens nothing yet */
void	lock_file_fini(struct lock_file *f);				/* lets go of all */
/* False: errno; EAGAIN when somebody has had it for wait_ms. */
bool	lock_file_take(struct lock_file *f, enum lock_octet octet, int64_t wait_ms);
bool	lock_file_drop(struct lock_file *f, enum lock_octet octet);

#endif
