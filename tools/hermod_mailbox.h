/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_mailbox.h - mailboxes, as their owners: made for a new account
 * (hermod_mailbox.c), and `hermod mailbox` (hermod_mailbox_verbs.c, hermod_mailbox_check.c,
 * hermod_mailbox_redo.c).
 */
#ifndef TOOLS_HERMOD_MAILBOX_H
#define TOOLS_HERMOD_MAILBOX_H

#include "mail/account.h"
#include "mail/folders.h"

/* "maildir:MAIL_DIRECTORY/domain/local/Maildir": with Drafts, Sent, Trash, Junk, Archive, subscribed
 * (doc/mailbox-layout.md); of an mbox the folder it will be in. What is there already
 * stays. False: why. */
bool	mailbox_create(const struct account_settings *s, enum folder_layout layout, struct bytes mailbox, uint32_t uid,
	    uint32_t gid, char *why, size_t cap);
/* A child becomes the owner, calls run and ends with what it returns: an exit status, which is returned. */
int	mailbox_as_owner(uint32_t uid, uint32_t gid, int (*run)(void *arg), void *arg);

/* ---- hermod mailbox: what its verbs share; all runs as the owner, confined to the account's folder ---- */

struct mailbox_job {
	const char	*account;	/* as it was given */
	const char	*folder;	/* NULL: all of them */
	char		 spec[1100];	/* of the INBOX */
	enum folder_layout layout;
	int64_t		 since_s;	/* wall clock; INT64_MIN: ever */
	bool		 dry_run;
	bool		 progress;	/* standard error is a terminal */
	bool		 keeps;		/* expunge_keep is not 0 */
	int		(*run)(struct mailbox_job *j);
	struct folders	*folders;	/* open, while run runs */
	bool		 mbox;
};

/* each for the folder asked for, or for all that can be opened, in order. Ends the program where there is none.
 * as_is: as folders_mailbox_as_is. The sum of what each returned. */
size_t	job_each(struct mailbox_job *j, bool as_is, size_t (*each)(struct mailbox_job *, struct bytes folder, struct mailbox *));
/* Scans; ends the program when that cannot be. */
void	job_scan(struct mailbox_job *j, struct bytes folder, struct mailbox *m);
/* "INBOX: 120 of 4000" to a terminal, now and then; done == all: takes it away. */
void	job_progress(struct mailbox_job *j, struct bytes folder, size_t done, size_t all);
/* One line of JSON: opened with the folder's name; closed and printed. */
void	job_json(struct buf *o, struct bytes folder);
void	job_json_end(struct buf *o);
void	job_time(char out[32], int64_t wall_s);		/* "2026-11-25 14:30:05", of this host */

int	job_list(struct mailbox_job *j);
int	job_status(struct mailbox_job *j);
int	job_check(struct mailbox_job *j);
int	job_rebuild(struct mailbox_job *j);
int	job_undelete(struct mailbox_job *j);

#endif
