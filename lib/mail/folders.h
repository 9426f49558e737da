/* SPDX-License-Identifier: ISC */
/*
 * mail/folders.h - the mailboxes of one account: which there are, made, renamed,
 * deleted; subscriptions (RFC 3501 section 6.3.6); special uses (RFC 6154).
 * doc/mailbox-layout.md has the files. Names are UTF-8, levels separated by '/', INBOX
 * in capitals: as folder_name_normal makes them (mail/folder_name.h).
 *
 * An account has a folder of its own, below which all is; it is the INBOX, too, where that is a
 * Maildir. Other programs may make and remove folders at any time: nothing is remembered
 * from one call to the next but what is said.
 *
 * Every change is durable when FOLDER_OK is returned; a crash at any point leaves the old
 * state or the new, or what the next one to look completes. One change at a time: another process
 * waits for it, up to wait_ms (FOLDER_FAILED, ETIMEDOUT).
 *
 * What stands in the place of a folder and is none (a link, a special file, another user's directory) is left
 * alone, and is no mailbox: FOLDER_BAD_NAME where a new one would be.
 */
#ifndef MAIL_FOLDERS_H
#define MAIL_FOLDERS_H

#include "base/arena.h"
#include "mail/folder_name.h"
#include "mail/mailbox.h"

#define FOLDERS_MAX	10000		/* of an account, INBOX among them; and subscriptions */
#define FOLDERS_ARENA_MAX (96u << 20)	/* octets of an arena that folders_list may need */

enum folder_use {		/* the bits of enum imap_use, RFC 6154 section 2 */
	FOLDER_ALL = 1, FOLDER_ARCHIVE = 2, FOLDER_DRAFTS = 4, FOLDER_FLAGGED = 8,
	FOLDER_JUNK = 16, FOLDER_SENT = 32, FOLDER_TRASH = 64
};

struct folder_entry {
	struct bytes	name;		/* in the arena */
	bool		selectable;	/* else it is only the name of a level: \NoSelect, or \NonExistent */
	bool		children;
	bool		subscribed;
	unsigned	uses;		/* of enum folder_use */
};

enum folder_result {
	FOLDER_OK,
	FOLDER_BAD_NAME,	/* [CANNOT] */
	FOLDER_EXISTS,		/* [ALREADYEXISTS] */
	FOLDER_NONE,		/* [NONEXISTENT] */
	FOLDER_INBOX,		/* cannot be deleted, nor unsubscribed: [CANNOT] */
	FOLDER_CHILDREN,	/* cannot be deleted: a name of levels that have mailboxes below it */
	FOLDER_MANY,		/* [LIMIT]: FOLDERS_MAX, or levels */
	FOLDER_USE_TAKEN,	/* [USEATTR]: another has it, or it cannot be had */
	FOLDER_FAILED,		/* errno: [SERVERBUG], [OVERQUOTA] ... */
};

struct folders;

/* spec: of the INBOX, "maildir:/path" or "mbox:/path", as mailbox_open has it; with an mbox there are no
 * other folders. Opened before the process is confined. NULL: errno, and why in words. */
struct folders	*folders_open(struct bytes spec, enum folder_layout layout, int64_t wait_ms, char *why,
		    size_t cap);
void		 folders_close(struct folders **f);
size_t		 folders_dirs(const struct folders *f, int *dirs, size_t max);	/* for worker_confine */

/* All of them; the levels between, too; what is subscribed but not there (neither selectable nor with children),
 * and the levels above that (not subscribed, either). INBOX first, then by name in the order of octets, but '/'
 * before all others: so what is below a name stands right behind it. False: errno. */
bool		 folders_list(struct folders *f, struct arena *a, struct folder_entry **out, size_t *n);

enum folder_result folders_create(struct folders *f, struct bytes name, unsigned uses);
/* With its mail. One with children leaves a name (RFC 3501 section 6.3.4). Its UIDVALIDITY is not used
 * again for that name. Subscriptions stay (RFC 3501 section 6.3.6); its use goes. */
enum folder_result folders_delete(struct folders *f, struct bytes name);
/* With all below it; levels above the new name are made. INBOX: its mail moves, it stays, empty; what is
 * below it stays. Uses go with it, subscriptions stay. */
enum folder_result folders_rename(struct folders *f, struct bytes from, struct bytes to);
/* A name need not exist to be unsubscribed from. With an mbox INBOX is always subscribed to. */
enum folder_result folders_subscribe(struct folders *f, struct bytes name, bool on);

/* There still is a mailbox of that name, and it is selectable. */
bool		 folders_there(struct folders *f, struct bytes name);
/* That name still is of this mailbox, which was opened by it: not of one that was made after a DELETE or RENAME. */
bool		 folders_is(struct folders *f, struct bytes name, const struct mailbox *m);
/* FOLDER_OK and an open mailbox; FOLDER_NONE, also for a name that is not selectable. */
enum folder_result folders_mailbox(struct folders *f, struct bytes name, struct mailbox **out);
/* To look what is wrong with it (mail/mailbox_check.h): nothing is begun, completed or cleaned up. Not for a scan. */
enum folder_result folders_mailbox_as_is(struct folders *f, struct bytes name, struct mailbox **out);
/* mailbox_keep_expunged for all mailboxes that folders_mailbox opens from now on. */
void		 folders_keep_expunged(struct folders *f, int64_t keep_s);

#endif
