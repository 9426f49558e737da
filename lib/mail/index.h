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
 * Functions return false with errno. What is damaged is no error: it is missing.
 */
#ifndef MAIL_INDEX_H
#define MAIL_INDEX_H

#include "base/buf.h"

struct index_mail {
	uint32_t	uid;
	uint32_t	flags;		/* enum mail_flag */
	uint64_t	modseq;		/* at least 1 */
	uint64_t	data;		/* where in STEM.data; 0: nothing is known */
	int64_t		date_s;		/* internal date, wall clock; INT64_MIN: not known */
};

/* What is kept of a message, all borrowed from the mapped file or the caller. */
struct index_data {
	uint64_t	octets;		/* as sent: every line end CRLF */
	struct bytes	envelope;	/* as imap_envelope prints it */
	struct bytes	structure;	/* BODYSTRUCTURE, as imap_body prints it */
	struct bytes	fields;		/* header lines that clients ask for (mail/digest.h), CRLF ends */
};

struct index;

/* dir is borrowed, stem as the ledger's. Opens nothing yet. */
struct index	*index_new(int dir, const char *stem, const char *what);
void		 index_free(struct index **x);

/* ---- under the ledger's lock ---- */

/*
 * Maps what is there and checks it. floor: mod-sequences up to this one may have been told to a
 * client already (mail/ledger.h). What cannot be trusted (no file, checksums, another uidvalidity,
 * a writer that died, another boot of the host while floor is above what it says) is dropped: the
 * index is empty then and its next mod-sequence is above floor.
 */
bool		 index_load(struct index *x, uint32_t uidvalidity, uint64_t floor);
size_t		 index_count(const struct index *x);
bool		 index_get(const struct index *x, size_t i, struct index_mail *out);	/* by rising UID */
uint64_t	 index_highest(const struct index *x);	/* HIGHESTMODSEQ; at least 1 */

/* Between these two the records may be changed; who dies in between leaves an index that is dropped. */
void		 index_begin(struct index *x);
void		 index_end(struct index *x);
bool		 index_add(struct index *x, const struct index_mail *m);	/* UID above all others */
void		 index_put(struct index *x, size_t i, const struct index_mail *m);	/* same UID */
void		 index_remove(struct index *x, size_t i);	/* what is behind moves up when index_end comes */
void		 index_raise(struct index *x, uint64_t highest);

/* ---- without a lock ---- */

/* A number that changes with each index_end, of any process; 0: not mapped, or replaced by a new file. */
uint64_t	 index_serial(const struct index *x);

/* What is known of that message. False: nothing (also when it is damaged). Valid until index_load or
 * index_free. The name is compared. */
bool		 index_data(struct index *x, uint64_t at, struct bytes name, struct index_data *out);
/* Appends; where: for index_mail.data. Not durable. */
bool		 index_data_add(struct index *x, struct bytes name, const struct index_data *d, uint64_t *where);
/* Under the ledger's lock: calls found for each record that was appended since the last time that
 * anybody did this and called index_end. */
void		 index_data_fresh(struct index *x, void (*found)(void *arg, struct bytes name, uint64_t at), void *arg);

#endif
