/* SPDX-License-Identifier: ISC */
/*
 * mail/index.h - a cache beside a mailbox (Maildir or mbox): of each message its
 * flags as they were last seen, its mod-sequence (RFC 7162 section 3.1), its size and date, and
 * what FETCH is asked for, ready to send. doc/index-format.md has it octet by octet.
 *
 * It is only a cache: lost, damaged, cut, of another mailbox or from a backup, it is
 * made anew. Two files:
 *
 *	STEM.index	header and a record of fixed size for each message, by rising UID; mapped and
 *			shared, changed in place under the ledger's lock, each record checksummed
 *	STEM.data	appended to by whoever has looked into a message: sessions, deliveries. Records of
 *			any length, known by the message's name, each checksummed. Needs no UID and
 *			no lock of the ledger's
 *
 * Nothing here fails for its callers: where the files cannot be had (disk full, something odd in
 * their place) records live in this process's memory, data is not kept, and the journal says so once.
 * What is damaged is no error: it is missing.
 */
#ifndef MAIL_INDEX_H
#define MAIL_INDEX_H

#include "base/buf.h"

#define INDEX_MAILS_MAX		(2u << 20)	/* messages of one mailbox */
#define INDEX_STATE		64		/* octets */
#define INDEX_DATA_MAX		65536		/* octets of one record of data, with its name */
#define INDEX_NAME_MAX		255
#define INDEX_DATA_FILE_MAX	(1ull << 32)	/* octets of STEM.data */
#define INDEX_DATA_UNREAD_MAX	(64u << 20)	/* of them, that no session has looked at yet */
#define INDEX_LOCK_MS		100		/* nobody waits longer than this to append */

struct index_mail {
	uint32_t	uid;
	uint32_t	flags;		/* enum mail_flag */
	uint64_t	modseq;		/* at least 1 */
	int64_t		date_s;		/* internal date, wall clock; INT64_MIN: not known */
	uint64_t	octets;		/* as sent: every line end CRLF; 0: not known */
	uint64_t	data;		/* where in STEM.data; 0: nothing is known */
	uint64_t	name_at;	/* where its name is (ledger_name_at); the index does not look at it */
	uint32_t	where;		/* the caller's; nor at this */
};

/* What is kept of a message, all borrowed from the mapped file or the caller. */
struct index_data {
	uint64_t	octets;		/* as sent: every line end CRLF */
	struct bytes	envelope;	/* as imap_envelope prints it */
	struct bytes	structure;	/* BODYSTRUCTURE, as imap_body prints it */
	struct bytes	fields;		/* header lines that clients ask for (mail/digest.h), CRLF ends */
};

struct index;

/*
 * Which life of the host this is: what was not synced in an earlier one may be lost. Once, before the
 * process or the one it is forked from is confined. The id need only change when the host may
 * have lost what was not synced; without one (all zero) no other process's records are taken
 * for the truth.
 */
void		 index_boot(const unsigned char id[16]);
/* The kernel's, /proc/sys/kernel/random/boot_id. False: errno. */
bool		 index_boot_host(void);

/* dir is borrowed, stem as the ledger's. Opens nothing yet. */
struct index	*index_new(int dir, const char *stem, const char *what);
void		 index_free(struct index **x);		/* appends what waits */

/* ---- under the ledger's lock ---- */

/*
 * To be called each time that the lock was taken, before anything else here. Maps what is there and checks
 * it, where anybody has changed it since. told: mod-sequences up to this one may have been told to
 * a client already (ledger_modseq_told). What cannot be trusted (no file, checksums,
 * another uidvalidity, a writer that died, another boot of the host while told is above what it
 * says) is dropped: the index is empty then and its next mod-sequence is above told.
 *
 * Whether records are others than before, index_serial tells. Where a message's data stands may be one of
 * the things that changed: this also makes STEM.data shorter when most of it is of messages that are gone.
 */
void		 index_load(struct index *x, uint32_t uidvalidity, uint64_t told);
/*
 * The same for who has not loaded the ledger and does not know what was told: true where nothing of it is
 * needed, for all is as it was left in this life of the host. False: nothing is loaded now; index_load it.
 */
bool		 index_look(struct index *x, uint32_t uidvalidity);
/* Removes both files: the next index_load, of any process, begins anew. False: errno. */
bool		 index_forget(int dir, const char *stem);
/* False: the records live in this process alone; others neither see nor keep them. */
bool		 index_shared(const struct index *x);
size_t		 index_count(const struct index *x);
bool		 index_get(const struct index *x, size_t i, struct index_mail *out);	/* false: removed, or no such */
/* The first whose UID is that or above; index_count: none. */
size_t		 index_find(const struct index *x, uint32_t uid);
uint64_t	 index_highest(const struct index *x);	/* HIGHESTMODSEQ; at least 1 */
/* What the caller noted with index_set_state; zero in an index that was dropped. */
void		 index_state(const struct index *x, unsigned char out[INDEX_STATE]);

/* Between these two the records may be changed; who dies in between leaves an index that is dropped. */
void		 index_begin(struct index *x);
void		 index_end(struct index *x);
/* Both raise the highest mod-sequence, too. False: there are INDEX_MAILS_MAX, or its UID is not above all others.
 * Where one that is removed stands in the way of either, what is behind the removed moves up at once. */
bool		 index_add(struct index *x, const struct index_mail *m);
void		 index_put(struct index *x, size_t i, const struct index_mail *m);	/* same UID */
void		 index_remove(struct index *x, size_t i);	/* what is behind moves up when index_end comes */
void		 index_raise(struct index *x, uint64_t highest);
void		 index_set_state(struct index *x, const unsigned char state[INDEX_STATE]);

/* ---- without a lock ---- */

/* A number that changes with each index_end, of any process, that changed a record or the highest
 * mod-sequence; 0: not loaded, or replaced by a new file. */
uint64_t	 index_serial(const struct index *x);

/* What is known of that message. False: nothing (also when it is damaged). The name is compared. Valid until
 * index_load, index_free or the next index_data_add. */
bool		 index_data(struct index *x, uint64_t at, struct bytes name, struct index_data *out);
/*
 * Keeps it, to be appended with others; not durable. *where (may be NULL) is for index_data, and for
 * index_mail.data, until index_load; in the record it becomes the true place, which writes what waits: so
 * add many, then put many. Who does not put it need not: index_data_fresh will find it. False: EFBIG, the
 * record would be longer than INDEX_DATA_MAX; EINVAL, a name that cannot be.
 */
bool		 index_data_add(struct index *x, struct bytes name, const struct index_data *d, uint64_t *where);
/* Appends what waits. Where there is no STEM.data (no session has used the index yet) or somebody else is
 * appending too long, it is forgotten. Deliveries need index_new, index_data_add and index_free alone. */
void		 index_data_flush(struct index *x);
/* Under the ledger's lock: calls found for each record that was appended since the last time that
 * anybody did this and called index_end. */
void		 index_data_fresh(struct index *x, void (*found)(void *arg, struct bytes name, uint64_t at), void *arg);

#endif
