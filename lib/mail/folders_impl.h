/* SPDX-License-Identifier: ISC */
/*
 * mail/folders_impl.h - what the files of mail/folders share, and nobody else:
 *
 *	folders.c		opening, the lock, what was left by a crash, mailboxes
 *	folders_list.c		which there are; subscriptions and special uses
 *	folders_make.c		a new one
 *	folders_uidvalidity.c	that no name has a UIDVALIDITY twice
 *	folders_change.c	delete, rename
 *	folders_remove.c	folders that are given up, and all in them
 */
#ifndef MAIL_FOLDERS_IMPL_H
#define MAIL_FOLDERS_IMPL_H

#include "mail/folders.h"
#include "mail/folders_text.h"
#include "mail/lock_file.h"

#define SUBSCRIPTIONS_FILE	"subscriptions"
#define SPECIAL_USE_FILE	"hermod.special-use"
#define REDO_FILE		"hermod.folders.redo"
#define FLOOR_FILE		"hermod.uidvalidity"
#define NEW_PREFIX		"hermod.new."		/* a folder that is being made */
#define REMOVED_PREFIX		"hermod.removed."	/* one that is being removed: nobody adds to it any more */
#define SWEEP_MAX		1000	/* files that a login removes for others */
#define ASIDE_NAME		48			/* octets of a name with one of these, with a NUL */

struct folders {
	enum mailbox_format format;
	enum folder_layout layout;
	struct mailbox	*inbox;		/* mbox: owned; others are opened as it was. Else NULL */
	int		 root;		/* Maildir: owned; else -1 */
	struct lock_file lock;		/* Maildir: INBOX's */
	char		*what;		/* owned; its path, for the journal */
	int64_t		 wait_ms, keep_s;	/* keep_s -1: mailboxes are told nothing of it */
	bool		 told_odd, told_many, told_stuck;	/* once each */
};

/* ---- folders.c ---- */
/* Takes the account's lock and completes what was left. False: errno, there is no lock. */
bool	folders_begin(struct folders *f);
void	folders_end(struct folders *f);			/* keeps errno */
/* The directory at a path as folder_path makes it, ours, through no link. -1: errno; ENOENT: also what is odd. */
int	folders_dir(struct folders *f, const char *path);
/* The directory in which the last component of path is, and that component. */
int	folders_parent(struct folders *f, const char *path, const char **last);
int	folders_own_dir(struct folders *f, int dir, const char *name);	/* one step of it */
bool	folders_has_mail(int dir);			/* it has a cur: it is a mailbox */
void	folders_tell_odd(struct folders *f, struct bytes name);
struct bytes folders_inbox(void);

/* ---- folders_list.c ---- */
/* What is there, without subscriptions and uses: in the order of folders_list, levels between, too. */
struct folder_tree {
	struct arena	*names;		/* borrowed, or own */
	struct arena	*own;		/* owned */
	struct folder_entry *entry;	/* owned */
	size_t		n, cap;
	size_t		mailboxes;	/* that are selectable */
};
/* Names are in a; NULL: the tree has an arena of its own. False: errno, *t is empty. */
bool	folder_tree_read(struct folders *f, struct arena *a, struct folder_tree *t);
void	folder_tree_free(struct folder_tree *t);
struct folder_entry *folder_tree_find(const struct folder_tree *t, struct bytes name);	/* NULL: not there */
/* Entries from e on that are it, or below it. */
size_t	folder_tree_below(const struct folder_tree *t, const struct folder_entry *e);
/* Empty when it is not there. False: errno. */
bool	folders_slurp(struct folders *f, const char *name, struct buf *out);
/* Replaces the file, if the text is another. */
bool	folders_write(struct folders *f, const char *name, const struct buf *old, const struct buf *new);

/* ---- folders_make.c ---- */
/* Makes the folder at path, of which there may be a directory without mail. keywords: of INBOX go with it. */
enum folder_result folders_make(struct folders *f, struct bytes name, const char *path, bool keywords);
/* Directories above the last component, durable. -1: errno. */
int	folders_make_above(struct folders *f, const char *path, const char **last);

/* ---- folders_uidvalidity.c ---- */
/* The least that a new one may be, less one. */
bool	folders_floor(struct folders *f, uint32_t *floor);
bool	folders_raise_floor(struct folders *f, uint32_t floor);		/* durable */
/* Makes the ledger of a folder that has none. */
bool	folders_ledger(struct folders *f, int dir, const char *what, uint32_t floor, uint32_t *uidvalidity);
/* The names of these n are given up, e[0] and what is below it; durable. to: what e[0] becomes, empty: nothing. Where
 * a new name has had the UIDVALIDITY that would come with the folder, or a greater one, the folder gets another. */
bool	folders_spend(struct folders *f, const struct folder_entry *e, size_t n, struct bytes to);

/* ---- folders_change.c ---- */
bool	folders_complete(struct folders *f, const struct folder_redo *r);	/* under the lock; false: errno */

/* ---- folders_remove.c ---- */
void	folders_aside_name(const char *prefix, char name[ASIDE_NAME]);
/* All in it and itself, as far as it can be; logs what not. Not across file systems, through no link. */
void	folders_remove_tree(struct folders *f, const char *name);
/* Those of that prefix in the account's folder, and temporary files that are old; so many files at most. True: there is a
 * folder that is being made, or was when its process died. */
bool	folders_remove_left(struct folders *f, const char *prefix, size_t files);

#endif
