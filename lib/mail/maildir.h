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

#include <sys/stat.h>

#include "base/arena.h"
#include "mail/mailbox.h"

#define MAILDIR_FRESH		64
#define MAILDIR_TMP_AGE_S (36 * 3600)	/* files in tmp/ that are older were given up */

struct maildir {
	int		dir, cur, new, tmp;	/* owned */
	int		proc;		/* /proc/self/fd, owned; -1: none */
	bool		unnamed;	/* O_TMPFILE works here */
	bool		ordered;	/* the second order above */
	bool		told_odd;	/* what is no regular file was logged */
	bool		as_is;		/* nothing is cleaned up */
	char		*what;		/* owned; for the journal */
	char		host[65];
	uint64_t	delivered;	/* by this process */
	unsigned char	*room;		/* owned; one buffer for all copies */
	char		(*fresh)[256];	/* owned; names of what was delivered last, for mailbox_digest */
	size_t		fresh_n;	/* at most MAILDIR_FRESH: what is more is forgotten */
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

/* For a process that will open Maildirs after it is confined: finds out what it cannot then, of the file system that
 * dir is in. */
void	maildir_prepare(int dir);
/* Takes dir, makes what is missing in it; cur, without which it is no Maildir, if `make`. False: errno, dir is closed. */
bool	maildir_open(struct maildir *m, int dir, bool make, const char *what);
void	maildir_close(struct maildir *m);	/* also removes what is old in tmp/ */

/* n deliveries, MAILBOX_BATCH at most, that share what syncs they can. outcome and reply: one each. */
void	maildir_deliver(struct maildir *m, const struct delivery *d, size_t n,
	    enum outcome *outcome, struct buf *reply);

/* Adds what is there now; a message that moves meanwhile may stand twice. False: errno. */
bool	maildir_list(struct maildir *m, struct maildir_list *out);
void	maildir_list_free(struct maildir_list *l);
/* Where that message is now, whatever became of its flags: false with ENOENT when it is gone. suffix is
 * in the arena. */
bool	maildir_find(struct maildir *m, struct maildir_file *f, struct arena *a);

int	maildir_open_file(struct maildir *m, const struct maildir_file *f);	/* -1: errno */
bool	maildir_stat(struct maildir *m, const struct maildir_file *f, struct stat *st);
bool	maildir_remove(struct maildir *m, const struct maildir_file *f);
/* As maildir_remove, but the file goes to another directory of the same file system, under a name that begins with the
 * time now and keeps the flags. */
bool	maildir_keep(struct maildir *m, const struct maildir_file *f, int to);
/* The way back: to cur/, under a new name, with these flags and those of the old name that we do not know. What is no
 * regular file of ours: EINVAL. */
bool	maildir_restore(struct maildir *m, int from, const char *name, uint32_t flags);
/* To cur/, with these flags (enum mail_flag) and no others that we know; f is changed. */
bool	maildir_set_flags(struct maildir *m, struct maildir_file *f, uint32_t flags, struct arena *a);
bool	maildir_sync(struct maildir *m, bool new, bool cur);	/* what was renamed or removed there is durable */

/* A message that gets a name when it is whole: an APPEND, or a copy. */
struct maildir_copy {
	int		fd;		/* owned; -1: none, or it was put by */
	int		fault;		/* errno of the step that failed; 0: none */
	bool		named, synced, in_cur;
	uint64_t	octets;		/* written */
	char		tmp[256], name[256];	/* name: without suffix */
	char		suffix[64];
};

bool	maildir_begin(struct maildir *m, struct maildir_copy *c);	/* these: false: errno, also in c->fault */
bool	maildir_add(struct maildir_copy *c, struct bytes octets);
bool	maildir_settle(struct maildir *m, struct maildir_copy *c);	/* its content is with the disk: takes long */
/* For who has more of them than can be open: with a name in tmp/ from the start, and, instead of maildir_settle, synced
 * and closed until it gets its name. */
bool	maildir_begin_named(struct maildir *m, struct maildir_copy *c);
bool	maildir_put_by(struct maildir_copy *c);
/* Gives it its name: in new/ without flags, else in cur/. */
bool	maildir_place(struct maildir *m, struct maildir_copy *c, uint32_t flags);
/* The same for a second link to a message of another Maildir. False: errno; EXDEV, EMLINK, EPERM, EOPNOTSUPP:
 * copy its content instead. */
bool	maildir_link(struct maildir *from, const struct maildir_file *f, struct maildir *m,
	    struct maildir_copy *c, uint32_t flags);
/* All that were placed are durable after it; c->fault where not. */
void	maildir_make_durable(struct maildir *m, struct maildir_copy *c, size_t n);
void	maildir_drop(struct maildir *m, struct maildir_copy *c);	/* as if it never was */
struct bytes maildir_copy_name(const struct maildir_copy *c);

/* Pure: in what order messages came, by their names; ties by the octets. */
int	maildir_order(struct bytes a, struct bytes b);
/* The same in two steps, for who has many to put in order. name is borrowed. */
struct maildir_came { uint64_t s, us; struct bytes name; };
struct maildir_came maildir_came(struct bytes name);
int	maildir_came_order(const struct maildir_came *a, const struct maildir_came *b);
/* Pure: the seconds that a name begins with, "1790000000.M...". False: it does not, or they are no time. */
bool	maildir_name_time(struct bytes name, int64_t *wall_s);
/* Pure: the flags in ":2,FLAGS"; unknown ones are passed over. */
uint32_t maildir_flags(struct bytes suffix);
/* Pure: the suffix with these flags instead, in ASCII order; flags that we do not know stay, and what stands
 * behind a comma. False: it does not fit. */
bool	maildir_suffix(struct bytes suffix, uint32_t flags, char out[256]);
/* Pure: its flags are all that it says, so that maildir_suffix makes it of them alone. */
bool	maildir_plain(struct bytes suffix);

#endif
