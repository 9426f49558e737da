/* SPDX-License-Identifier: ISC */
/*
 * mail/mailbox_impl.h - what the files of mail/mailbox share, and nobody else:
 *
 *	mailbox.c		opening, delivery
 *	mailbox_scan.c		what is there now: UIDs, flags, mod-sequences
 *	mailbox_recall.c	the same from the index alone, when nothing has changed
 *	mailbox_digest.c	what a delivery tells the index
 *	mailbox_read.c		sizes, dates, contents
 *	mailbox_change.c	flags, expunge
 *	mailbox_expunged.c	what was expunged, and is kept
 *	mailbox_check.c		what is wrong with it (mail/mailbox_check.h)
 *	mailbox_arrive.c	APPEND, COPY, MOVE
 *	mailbox_keyword.c	names of keywords
 */
#ifndef MAIL_MAILBOX_IMPL_H
#define MAIL_MAILBOX_IMPL_H

#include <sys/stat.h>

#include "mail/index.h"
#include "mail/ledger.h"
#include "mail/mailbox.h"
#include "mail/maildir.h"
#include "mail/mbox.h"

#define MAILDIR_STEM	"hermod"	/* of what we keep in a Maildir: hermod.ledger, ... */
#define SIZES_CACHE	"hermod.cache"
#define EXPUNGED_DIR	"hermod.expunged"
#define MESSAGE_MAX	(1u << 30)	/* of a message that is read into memory */
#define NAMES_MAX	(1u << 30)	/* octets of mails' names that changed or are made here */
#define SCAN_TRIES	3
#define PART_GONE	SIZE_MAX

struct item {
	struct mail	mail;		/* first: what callers see */
	struct maildir_file file;	/* Maildir */
	size_t		part;		/* mbox: index of its part, or PART_GONE */
	uint64_t	data;		/* in the index: index_mail.data */
	int64_t		date_s;		/* internal date; INT64_MIN: not known yet */
	uint64_t	name_at;	/* in the index: where the ledger has its name; 0: nowhere */
};

struct keywords {
	struct bytes	name[MAIL_KEYWORDS];	/* in text */
	struct buf	text;			/* owned */
	struct stat	st;			/* of the file that was read; zero: there was none */
	int		fault;			/* errno: there are names, which cannot be read now; 0: these are all */
	bool		read;
};

struct uid_range { uint32_t first, last; };

struct mailbox {
	enum mailbox_format format;
	int64_t		wait_ms;
	struct maildir	maildir;
	struct mbox	mbox;
	struct ledger	*ledger;	/* owned; NULL until it is needed */
	uint32_t	above;		/* for ledger_above */
	bool		keeping;	/* mailbox_keep_expunged was called */
	bool		told_keep;	/* the journal knows that something could not be kept */
	bool		told_claim;	/* and that something could not be claimed */
	int64_t		keep_s;
	struct index	*index;		/* owned; NULL: nobody asked for it */
	struct keywords	keywords;
	struct item	*item;		/* owned; by rising UID */
	size_t		n;
	struct arena	*names;		/* owned; of mails whose names changed or are made here */
	struct maildir_list list;	/* owned; Maildir: item names are in it */
	struct ledger_names recalled;	/* item names are in it instead, after mailbox_recall */
	bool		scanned;
	uint32_t	uidvalidity;	/* at the last scan */
	uint64_t	serial;		/* of the index, as we left it */
	uint32_t	uidnext;	/* at the last scan: what is below it and was not there then is gone for good; 0: none */
	struct uid_range *rested;	/* owned; after mailbox_rest: what was there at that scan, rising */
	size_t		rested_n;
	struct timespec	changed[2];	/* Maildir: st_ctim of new/, cur/ before they were listed */
	int64_t		listed_us;	/* when that was */
	bool		cache_read, cache_dirty;
	bool		news;		/* there may be data, sizes, dates that the records of the index do not have */
};

/* ---- mailbox.c ---- */
const char	*mailbox_what(const struct mailbox *m);
int		 mailbox_state_dir(const struct mailbox *m, const char **stem);	/* where ledger and the rest lie; borrowed */

/* ---- mailbox_scan.c ---- */
bool		 mailbox_lock(struct mailbox *m);	/* the ledger's; false: errno; ENOENT: it was deleted */
void		 mailbox_unlock(struct mailbox *m);
/* Under the lock: as mailbox_scan. Indices of mails change. */
bool		 mailbox_look(struct mailbox *m);
/* The same, but not *sure: another program's change is not seen when it came so soon after the look before that no time
 * tells it. For whoever finds out as it goes: the name of a message is not there any more. */
bool		 mailbox_look_lightly(struct mailbox *m, bool *sure);
/* Under the lock: looks again, whatever seems to be the same. */
bool		 mailbox_look_again(struct mailbox *m);
/* st_ctim of new/ and cur/: any change of what is in them changes it, and nobody can set it. False: errno. */
bool		 mailbox_changed(const struct mailbox *m, struct timespec now[2]);
/* What was looked at then, and changed last at t, has not changed since without t having changed, too. */
bool		 mailbox_settled(const struct timespec *t, int64_t looked_us);
void		 mailbox_forget_items(struct mailbox *m);
/* Of what is not among the items: it was seen to be gone, so that its UID may not come back. */
bool		 mailbox_was_gone(const struct mailbox *m, uint32_t uid);
void		 mailbox_forget_rest(struct mailbox *m);
/* Of all messages of an mbox: hash, and the how-manieth of those that are equal. In a; the array is the caller's to free. */
struct bytes	*mailbox_part_names(struct arena *a, const struct mbox *b);
/* NULL: it is not there. */
struct item	*mailbox_item(struct mailbox *m, uint32_t uid);
uint32_t	*mailbox_uids(const struct mailbox *m, const size_t *which, size_t n);	/* the caller's to free */
/* As mailbox_expunge, but nothing is kept (expunge_keep). ours, of n, false before: which of them we have removed, and
 * nobody else. */
bool		 mailbox_expunge_ours(struct mailbox *m, const size_t *which, size_t n, bool *ours);
/* A mod-sequence above all others, which may be told once this returns. */
uint64_t	 mailbox_next_modseq(struct mailbox *m);
/* The record of it in the index, between index_begin and index_end. */
void		 mailbox_index_put(struct mailbox *m, const struct item *it);
void		 mailbox_index_flush(struct mailbox *m);	/* what was found out, for other sessions */

/* ---- mailbox_recall.c ---- */
/* Under the lock, before the first look at a Maildir: takes from the index what is there, when nothing has
 * changed since that was noted. False: it must be looked at. */
bool		 mailbox_recall(struct mailbox *m);
/* After a look: notes in the index how things are, for mailbox_recall. */
void		 mailbox_note(struct mailbox *m);
/* index_mail.where of an item; and has it, or name_at, changed? */
uint32_t	 mailbox_where(const struct item *it);
bool		 mailbox_is_elsewhere(const struct item *it, const struct index_mail *r);

/* ---- mailbox_read.c ---- */
int		 mailbox_open_item(struct mailbox *m, struct item *it);	/* Maildir; -1: errno */
bool		 mailbox_find_parts(struct mailbox *m);			/* mbox: it was rewritten */
void		 mailbox_write_sizes(struct mailbox *m);
bool		 mailbox_slurp(struct mailbox *m, const struct maildir_file *f, struct buf *room);	/* the whole file */

/* ---- mailbox_expunged.c ---- */
/* The directory of what is kept, made if need be; -1: nothing is to be, or can be. */
int		 mailbox_kept_dir(struct mailbox *m);
void		 mailbox_not_kept(struct mailbox *m);	/* tells the journal, once, with errno */
void		 mailbox_kept_close(struct mailbox *m);	/* removes what is old */

/* ---- mailbox_keyword.c ---- */
/* Under the lock: reads the names again if the file is another. */
bool		 keywords_load(struct mailbox *m);
bool		 keywords_none(int fault);	/* errno of a file that is none, or is not there: it holds no names */
void		 keywords_parse(struct keywords *k, struct bytes file);	/* pure; names borrow from the file */
void		 keywords_fini(struct keywords *k);
/* Under the lock, where no letter is given to another name meanwhile. As mailbox_keyword_make. */
uint32_t	 keyword_make(struct mailbox *m, struct bytes name, uint32_t keep);
/* The same of several, a space between each two, added to *flags; without `make` of those that there are. False: errno. */
bool		 keywords_named(struct mailbox *m, struct bytes names, bool make, uint32_t keep, uint32_t *flags);

#endif
