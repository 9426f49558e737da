/* SPDX-License-Identifier: ISC */
/*
 * mail/ledger.h - which UID each message of a mailbox has: RFC 9051 section 2.3.1.1.
 * A short file, kept twice, beside the mail; doc/ledger-format.md has it octet by octet. A UID is
 * durable in both copies before anybody is told. Messages are known by name:
 * Maildir's base names, or hashes of what stands in an mbox. Of an mbox it has the flags, too.
 *
 * It also knows up to where mod-sequences (RFC 7162 section 3.1) may have been told: the index
 * that has them is only a cache, and when it is lost the next ones begin above that floor.
 *
 * One copy lost or damaged: made again from the other. Both damaged: UIDVALIDITY
 * changes, and only then; the journal says why. Copied or restored from a backup: nobody knows
 * which UIDs were told since, so the next ones begin far beyond.
 *
 * Functions return false with errno.
 */
#ifndef MAIL_LEDGER_H
#define MAIL_LEDGER_H

#include <time.h>

#include "base/buf.h"

#define LEDGER_HEADER	64
#define LEDGER_RECORD	12			/* octets of a record before its name */
#define LEDGER_NAME_MAX	255
#define LEDGER_STEM_MAX	220			/* with the longest ending it is still a file name */
#define LEDGER_MAX	(512u << 20)		/* octets of a file */
#define LEDGER_UID_SKIP	65536			/* after a restore */
#define LEDGER_UID_LAST	0xffff0000u		/* UIDs beyond it want a new UIDVALIDITY */
#define LEDGER_MODSEQ_STEP 100000		/* by so many the floor is raised: a write a hundred thousand changes */
#define LEDGER_MODSEQ_SKIP (1ull << 32)		/* after a restore */
#define LEDGER_MODSEQ_LAST (1ull << 62)		/* they have 63 bits: RFC 7162 section 7 */

/* ---- the pure half: octets to records and back ---- */

struct ledger_header {
	uint32_t	uidvalidity, uidnext;	/* both at least 1 */
	uint64_t	generation;		/* one more each time that both copies are written anew */
	uint64_t	inode;			/* of the file that this was written to */
	unsigned char	key[16];		/* random; for hashes that serve as names */
	uint64_t	modseq_floor;		/* when this was written */
};

enum ledger_type {
	LEDGER_GIVEN	= 1,	/* this message has that UID; UIDs only rise */
	LEDGER_SEEN	= 3,	/* MAIL_SEEN is added to its flags. Not written any more */
	LEDGER_FLAGS	= 4,	/* its flags, enum mail_flag, 4 octets: for mailboxes that cannot note them elsewhere */
	LEDGER_FLOOR	= 5,	/* of no message: mod-sequences up to this one may have been told, 8 octets */
};

struct ledger_record { unsigned type; uint32_t uid; struct bytes name; };

struct ledger_cursor {
	struct bytes	rest;		/* what is not read yet; borrowed from the file */
	uint32_t	chain;		/* checksum so far: each record vouches for all before it */
	uint32_t	last;		/* UID given last */
	bool		damaged;	/* rest begins with what is no record */
};

/* False: no header of ours. */
bool	ledger_begin(struct bytes file, struct ledger_header *h, struct ledger_cursor *c);
/* False: the end, or damage. r->name borrows from the file. */
bool	ledger_next(struct ledger_cursor *c, struct ledger_record *r);
/* What has the form of a record, whatever its checksum says. */
bool	ledger_record_at(struct bytes rest, struct ledger_record *r);
/* Both return the chain to go on with. */
uint32_t ledger_put_header(struct buf *out, const struct ledger_header *h);
uint32_t ledger_put_record(struct buf *out, uint32_t chain, const struct ledger_record *r);

/* ---- the two files ---- */

struct ledger;

/* STEM.ledger, STEM.ledger2, STEM.lock in dir (borrowed). what: the mailbox, for the journal. */
struct ledger	*ledger_new(int dir, const char *stem, const char *what);
void		 ledger_free(struct ledger **l);

/* All below but the session's lock are called between these two. ETIMEDOUT: somebody kept it too long. */
bool	ledger_lock(struct ledger *l, int64_t wait_ms);
void	ledger_unlock(struct ledger *l);
/* The one POP3 session. Never waits; kept until ledger_free. EAGAIN: somebody has it. */
bool	ledger_lock_session(struct ledger *l);

/* A UIDVALIDITY that has to be chosen from now on is above this one. */
void	ledger_above(struct ledger *l, uint32_t uidvalidity);
/* After ledger_load: UIDs stay, under a new UIDVALIDITY. False: errno. */
bool	ledger_renew(struct ledger *l);
/* The greatest UIDVALIDITY that may have been told of a mailbox: what its copies say, or could have said before
 * they were damaged. 0: there are none. No lock is needed. */
uint32_t ledger_last_uidvalidity(int dir, const char *stem);

/* Reads what others have written since; makes both copies where there is none, repairs. */
bool		 ledger_load(struct ledger *l);
uint32_t	 ledger_uidvalidity(const struct ledger *l);
size_t		 ledger_count(const struct ledger *l);		/* names it knows, there or not */
uint32_t	 ledger_uidnext(const struct ledger *l);
const unsigned char *ledger_key(const struct ledger *l);	/* 16 octets */

/* By what it is seen that nobody has written to either copy, nor replaced it. */
struct ledger_state {
	uint64_t	octets;
	struct timespec	changed[2];	/* each copy's st_ctim, which nobody can set */
};
/* False: the files are behind what is known. */
bool		 ledger_state(const struct ledger *l, struct ledger_state *out);
/* Where in the first copy the names of these messages stand, for ledger_names_get, as long as it is not written anew.
 * UIDs rise; 0: it does not stand there. */
void		 ledger_places(const struct ledger *l, const uint32_t *uids, size_t n, uint64_t *at);

/* Before anything of a ledger that was just loaded is told, UIDVALIDITY too: writes what ledger_load began anew, unless
 * ledger_give did. */
bool		 ledger_keep(struct ledger *l);
/* The files are as they were when it was last loaded or written: no lock is needed to ask. */
bool		 ledger_unchanged(const struct ledger *l);
/* Gives memory back; the next ledger_load reads all again. */
void		 ledger_rest(struct ledger *l);

/* Names that are not looked for between ledger_marks and ledger_trim are taken for gone. */
void		 ledger_marks(struct ledger *l);
/* 0: has none yet. flags (may be NULL): enum mail_flag, as in ledger_flags. */
uint32_t	 ledger_find(struct ledger *l, struct bytes name, uint32_t *flags);
size_t		 ledger_missing(const struct ledger *l);	/* had a UID and were not looked for */
/* Gives names (at most LEDGER_NAME_MAX octets, not known yet) the next UIDs, in order; durable. */
bool		 ledger_give(struct ledger *l, const struct bytes *names, size_t n, uint32_t *uids);
uint32_t	 ledger_flags(struct ledger *l, struct bytes name);	/* enum mail_flag; 0 for what is not known */
/* n messages, in one append: all or none. durable: before it returns; else soon. ENOENT: a UID that is not known. */
bool		 ledger_set_flags(struct ledger *l, const uint32_t *uids, const uint32_t *flags, size_t n,
		    bool durable);
/* Forgets the names that are gone, once they are many. */
void		 ledger_trim(struct ledger *l);

/* Mod-sequences up to this one may be told; those above it when ledger_raise_floor says so. */
uint64_t	 ledger_modseq_floor(const struct ledger *l);
/* For index_load: up to this one they may have been told already. 0: none, the ledger was made since ledger_lock. */
uint64_t	 ledger_modseq_told(const struct ledger *l);
/* At least so high, durable in both copies. ERANGE: above LEDGER_MODSEQ_LAST. */
bool		 ledger_raise_floor(struct ledger *l, uint64_t floor);
/* Before a mod-sequence is told that is the highest so far: raises the floor by a step where that is needed. */
bool		 ledger_modseq_reserve(struct ledger *l, uint64_t highest);

/* ---- names alone, without a lock and without loading it ---- */

struct ledger_names {
	struct ledger_header header;
	struct bytes	file;		/* the first copy; names borrow from it */
	struct buf	room;		/* owned; where it is */
	uint64_t	inode;		/* file_home() of it */
	struct ledger_state state;	/* to be compared with what ledger_state said when the places were noted */
};

/* False: errno; also when the first copy is damaged or was copied here: ledger_load repairs it. */
bool	ledger_names_open(struct ledger_names *n, int dir, const char *stem);
void	ledger_names_close(struct ledger_names *n);
/* False: no name of that UID stands there. It is looked at, but its checksum is not. */
bool	ledger_names_get(const struct ledger_names *n, uint64_t at, uint32_t uid, struct bytes *name);

#endif
