/* SPDX-License-Identifier: ISC */
/*
 * mail/index_format.h - the octets of STEM.index and STEM.data: doc/index-format.md.
 * For mail/index*.c alone. Pure: octets to structs and back.
 */
#ifndef MAIL_INDEX_FORMAT_H
#define MAIL_INDEX_FORMAT_H

#include "mail/index.h"

#define INDEX_HEADER	256
#define INDEX_RECORD	56
#define INDEX_BUSY_AT	248		/* 4 octets: not zero while somebody changes records */
#define INDEX_SERIAL_AT	40		/* 8 octets, read without a lock; 0: this file is not the index any more */
#define INDEX_FILE_MAX	(INDEX_HEADER + (uint64_t)INDEX_MAILS_MAX * INDEX_RECORD)

#define INDEX_ID	16
#define INDEX_DATA_HEADER	64
#define INDEX_DATA_SEEN_AT	48		/* 8 octets: up to here sessions have looked, more or less */
#define INDEX_DATA_HEAD	40		/* octets of a record before its name */

struct index_header {
	uint32_t	uidvalidity;
	uint64_t	inode;
	unsigned char	boot[16];
	uint64_t	serial, highest;
	uint32_t	count;			/* records */
	uint64_t	sum;			/* of the records' checksums, so that an old one among new ones shows */
	unsigned char	data_id[INDEX_ID];	/* the STEM.data that records name places in */
	uint64_t	data_seen;		/* octets of it that were looked at */
	unsigned char	state[INDEX_STATE];
};

/* ---- STEM.index ---- */

/* False: no header of ours, or more records than there are octets. Whether it is busy is not looked at. */
bool	index_get_header(struct bytes file, struct index_header *h);
/* All but what says that it is busy. */
void	index_put_header(unsigned char *p, const struct index_header *h);
void	index_read_record(const unsigned char *p, struct index_mail *m);
/* The same. False: its checksum is wrong. */
bool	index_get_record(const unsigned char *p, struct index_mail *m);
uint32_t index_put_record(unsigned char *p, const struct index_mail *m);	/* its checksum */
/* Are all of its records whole, of one state, and in order? live: octets of data that they name. */
bool	index_sound(struct bytes file, const struct index_header *h, uint64_t *live);

/* ---- places in STEM.data: offset and length in one number ---- */

static inline uint64_t
index_data_place(uint64_t at, size_t octets)
{
	return at | (uint64_t)(octets / 8) << 48;
}

static inline uint64_t
index_data_offset(uint64_t place)
{
	return place & 0xffffffffffff;
}

static inline size_t
index_data_octets(uint64_t place)
{
	return (size_t)(place >> 48) * 8;
}

/* ---- STEM.data ---- */

bool	index_data_get_header(struct bytes file, unsigned char id[INDEX_ID]);
void	index_data_put_header(unsigned char p[INDEX_DATA_HEADER], const unsigned char id[INDEX_ID]);

/* Octets of a record; 0: it would be more than INDEX_DATA_MAX. */
size_t	index_data_size(struct bytes name, const struct index_data *d);
/* Appends it, all but what belongs to a file: that is index_data_stamp's. */
void	index_data_put(struct buf *out, struct bytes name, const struct index_data *d);
void	index_data_stamp(unsigned char *record, const unsigned char id[INDEX_ID]);

struct data_record { size_t octets; struct bytes name; struct index_data data; };	/* borrowed from the file */

/* What has the form of a record. False: it has not, or is not all there. */
bool	index_data_form(struct bytes file, uint64_t at, struct data_record *r);
/* The same, stamped for that file, its checksum right. */
bool	index_data_get(struct bytes file, uint64_t at, const unsigned char id[INDEX_ID], struct data_record *r);

/* Record after record, over what is none. */
struct data_cursor {
	uint64_t	at;		/* where to go on; a multiple of 8 */
	unsigned	tries;		/* left: checksums that may be wrong */
};
#define INDEX_DATA_TRIES	1000		/* then the rest is given up: it is hostile, and would take too long */
/* False: the end. *at: where r stands. */
bool	index_data_next(struct bytes file, const unsigned char id[INDEX_ID], struct data_cursor *c, uint64_t *at,
	    struct data_record *r);

#endif
