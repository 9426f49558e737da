/* SPDX-License-Identifier: ISC */
/*
 * mail/ledger_impl.h - what the files of mail/ledger share, and nobody else:
 *
 *	ledger.c		what is known: names, UIDs, flags; what is gone is forgotten
 *	ledger_read.c		the two copies, read and repaired
 *	ledger_write.c		the two copies, written and appended to
 *	ledger_modseq.c		the floor of mod-sequences
 *	ledger_format.c		octets to records and back (pure)
 *	ledger_names.c		names alone, without a lock
 */
#ifndef MAIL_LEDGER_IMPL_H
#define MAIL_LEDGER_IMPL_H

#include <sys/stat.h>

#include "base/arena.h"
#include "mail/ledger.h"
#include "mail/lock_file.h"

#define FLAGS_RECORD	(LEDGER_RECORD + 4)

struct entry {
	struct bytes	name;		/* in copy[].file or in the arena */
	uint32_t	uid;
	uint32_t	flags;		/* enum mail_flag */
	uint32_t	at;		/* its record in both copies; 0: it has none */
	bool		here;
};

struct copy {
	char		name[LEDGER_STEM_MAX + 16], new_name[LEDGER_STEM_MAX + 20];
	struct buf	file;		/* owned; what was read */
	bool		readable;	/* has a header of ours */
	bool		clean;		/* and nothing but records behind it */
	bool		absent;
	struct ledger_header header;
	size_t		good;		/* octets up to the last record that checks */
	uint32_t	chain;		/* after them */
	size_t		given;		/* messages in them */
	uint64_t	floor;		/* header's, or a record's */
	/* As it was when we last looked or wrote: unchanged, it need not be read. */
	struct stat	st;
};

struct ledger {
	int		 dir;		/* borrowed */
	struct lock_file lock;
	char		*what;		/* owned */
	struct copy	 copy[2];
	bool		 loaded;	/* what follows is what the files say */
	bool		 behind;	/* the copies could not be brought to what follows */
	bool		 unborn;	/* nothing of what follows was ever written */
	bool		 made;		/* since it was locked: nobody was told of any of it */
	struct ledger_header header;	/* uidnext and modseq_floor are the present ones */
	struct arena	*names;		/* owned */
	struct entry	*entry;		/* owned; by rising UID */
	size_t		 n, cap, here;
	uint32_t	*slot;		/* owned; hash table of the first `slotted` entries: index + 1, 0 is free */
	size_t		 slots;		/* a power of two; 0: there is no table */
	size_t		 slotted;
	size_t		 octets;	/* that the records of all entries need */
	uint32_t	 above;		/* UIDVALIDITYs up to this one are not chosen */
};

/* ---- ledger.c ---- */
void		 ledger_forget(struct ledger *l);	/* all that is known, but the header */
void		 ledger_make_room(struct ledger *l, size_t n);	/* for n entries in all */
/* Behind the others: UIDs rise. name is borrowed for as long as it is known. */
struct entry	*ledger_add(struct ledger *l, struct bytes name, uint32_t uid);
struct entry	*ledger_entry(const struct ledger *l, uint32_t uid);	/* NULL: it is not known */
/* The slot where name is, or the free one where it would be. */
uint32_t	*ledger_slot(struct ledger *l, struct bytes name);

/* ---- ledger_read.c ---- */
/* errno of a copy that counts as lost; any other may go by. */
bool		 ledger_is_lost(int fault);
/* Nothing is known, under a UIDVALIDITY that nobody was told; it is not written. */
void		 ledger_begin_anew(struct ledger *l);

/* ---- ledger_write.c ---- */
bool		 ledger_same_file(const struct stat *a, const struct stat *b);
/* Both copies anew, of what is known. False: errno; they are behind. */
bool		 ledger_write_both(struct ledger *l);
uint32_t	 ledger_put_flags(struct buf *out, uint32_t chain, uint32_t uid, uint32_t flags);	/* the chain */
/* False: the files have more than we know, or less. */
bool		 ledger_is_known(const struct ledger *l);
/* The records of what was just changed here; chain: behind them. False: errno, the files are to be read again before
 * anything is told. */
bool		 ledger_append(struct ledger *l, const struct buf *records, uint32_t chain, bool durable);

#endif
