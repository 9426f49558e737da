/* SPDX-License-Identifier: ISC */
/*
 * mail/maildir.h - mailboxes that are a Maildir: a file a message, in new/ until
 * somebody has looked, then in cur/ with its flags in its name. Used by mail/mailbox.c.
 *
 * Delivery. A message gets its name in new/ only when it is whole, and DELIVERED is
 * said only when the file and its name are on disk. Where the file system has O_TMPFILE there is no
 * name before that, and nothing is left behind by a crash; else the name is in tmp/.
 *
 *	any file system		write, fsync the file, name it, fsync new/
 *	ext4 with a journal	write, wait until the data is out (sync_file_range), name
 *				it, fsync the file
 *
 * The second needs one commit of the journal where the first needs two, which doubles what a disk can
 * take. It is sound there: the data is with the disk before the name is made; size and extents are in
 * the transaction of the name or an earlier one (they are logged before the write-back
 * that we wait for is said to be over); the commit has the disk flush its cache first; and
 * naming the file changes its inode, so that fsync of the file commits the name, too. So a name
 * that survives a power cut is the name of a whole message, and after DELIVERED it
 * survives. ext4 without a journal promises none of this: it gets the first order,
 * and names in tmp/.
 *
 * Everything is done relative to held directories; nothing follows a symbolic link, waits for a
 * FIFO, or believes a file name.
 */
#ifndef MAIL_MAILDIR_H
#define MAIL_MAILDIR_H

#include "base/arena.h"
#include "mail/mailbox.h"

#define MAILDIR_TMP_AGE_S (36 * 3600)	/* files in tmp/ that are older were given up */

struct maildir {
	int		dir, cur, new, tmp;	/* owned */
	int		proc;		/* /proc/self/fd, owned; -1: none */
	bool		unnamed;	/* O_TMPFILE works here */
	bool		ordered;	/* the second order above */
	bool		told_odd;	/* what is no regular file was logged */
	char		*what;		/* owned; for the journal */
	char		host[65];
	uint64_t	delivered;	/* by this process */
	unsigned char	*room;		/* owned; one buffer for all copies */
};

struct maildir_file {
	struct bytes	name;		/* up to the colon */
	struct bytes	suffix;		/* from the colon; may be empty */
	bool		in_new;
};

struct maildir_list {
	struct maildir_file *file;	/* owned */
	size_t		n, cap;
	struct arena	*names;		/* owned */
};

/* Takes dir, makes what is missing in it. False: errno, dir is closed. */
bool	maildir_open(struct maildir *m, int dir, const char *what);
void	maildir_close(struct maildir *m);	/* also removes what is old in tmp/ */

/* n deliveries that share what syncs they can. outcome and reply: one each. */
void	maildir_deliver(struct maildir *m, const struct delivery *d, size_t n,
	    enum outcome *outcome, struct buf *reply);

/* Adds what is there now; a message that moves meanwhile may stand twice. False: errno. */
bool	maildir_list(struct maildir *m, struct maildir_list *out);
void	maildir_list_free(struct maildir_list *l);
/* Where that message is now, whatever became of its flags: false with ENOENT when it is gone. suffix is
 * in the arena. */
bool	maildir_find(struct maildir *m, struct maildir_file *f, struct arena *a);

int	maildir_open_file(struct maildir *m, const struct maildir_file *f);	/* -1: errno */
bool	maildir_remove(struct maildir *m, const struct maildir_file *f);
/* To cur/, with the flag; f is changed. */
bool	maildir_set_flag(struct maildir *m, struct maildir_file *f, char flag, struct arena *a);
bool	maildir_has_flag(const struct maildir_file *f, char flag);

/* Pure: in what order messages came, by their names; ties by the octets. */
int	maildir_order(struct bytes a, struct bytes b);
/* Pure: the suffix with one more flag, flags in ASCII order. False: it does not fit. */
bool	maildir_flagged(struct bytes suffix, char flag, char out[256]);

#endif
