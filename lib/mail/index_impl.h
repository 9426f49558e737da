/* SPDX-License-Identifier: ISC */
/*
 * mail/index_impl.h - what mail/index.c (records) and mail/index_data.c (STEM.data) share,
 * and nobody else.
 */
#ifndef MAIL_INDEX_IMPL_H
#define MAIL_INDEX_IMPL_H

#include <sys/types.h>

#include "mail/index_format.h"
#include "mail/lock_file.h"

#define RETRY_MS	10000		/* before it is tried again what could not be done */

struct mapping {
	unsigned char	*p;		/* owned; NULL: none */
	size_t		 n;		/* octets that are mapped; perhaps beyond the file's end */
};

/* Mappings that are no more used but borrowed from. */
struct old_mapping { struct old_mapping *next; struct mapping map; };

struct data_file {
	int		fd;		/* owned; -1: there is none */
	dev_t		dev;
	ino_t		ino;
	unsigned char	id[INDEX_ID];
	struct mapping	map;
	uint64_t	size;		/* of the file when we last looked; in map */
	struct old_mapping *old;	/* owned */
};

struct index {
	int		 dir;		/* borrowed */
	char		*what;		/* owned; for the journal */
	char		 name[LOCK_FILE_STEM_MAX + 16], new_name[LOCK_FILE_STEM_MAX + 16];
	char		 data_name[LOCK_FILE_STEM_MAX + 16], data_new[LOCK_FILE_STEM_MAX + 16];
	struct lock_file lock;		/* for LOCK_DATA */

	/* the records */
	int		 fd;		/* owned; -1: they are in memory alone, or not loaded */
	dev_t		 dev;
	ino_t		 ino;
	uint64_t	 home;		/* file_home() of it */
	struct mapping	 map;		/* of the file, or on the heap */
	bool		 loaded;
	struct index_header h;		/* as it is, or will be when index_end has written it */
	uint64_t	 checked;	/* the serial of the records that were found sound; 0: none */
	bool		 changing;	/* between index_begin and index_end */
	bool		 touched;	/* and something was: others must not believe what is there */
	bool		 records_changed;
	uint32_t	 last_uid;
	uint64_t	 live;		/* octets of data that records name */
	unsigned char	*gone;		/* owned; a bit for each of ngone records, that are removed; NULL: none is */
	size_t		 ngone, first_gone;
	uint64_t	 retry_ms;	/* in memory: when the file is tried again */
	bool		 told_memory, told_data;	/* the journal knows */

	/* what FETCH is asked for */
	struct data_file data;
	struct buf	 waiting;	/* owned; records to be appended */
	uint64_t	*place;		/* owned; of each that was added since index_load: index_data_place, 0: it was lost */
	size_t		 added, written, cap;	/* those before `written` are in the file, the others in waiting */
	uint64_t	 append_ms, shorten_ms, lock_ms;	/* not to be tried before */
	bool		 seen_changed;	/* h.data_seen is not what the file has */
};

/* ---- index.c ---- */

/* Makes way for a file of that name: what is there goes, an empty folder, too. */
void	index_clear(const struct index *x, const char *name);
/* In place of what is there, whatever it is. False: errno. */
bool	index_rename(const struct index *x, const char *from, const char *to);
/* A regular file of ours; -1: errno, EPERM when it is another's. */
int	index_open(const struct index *x, const char *name, int flags);
/* For the journal: why what was there could not be gone on with. */
const char *index_fault(int fault);
/* The first change between index_begin and index_end, and each after it. */
void	index_touch(struct index *x);
/* Zero octets in [from, to): room that a disk that is full later cannot take back. */
bool	index_fill(int fd, uint64_t from, uint64_t to);
bool	index_map(struct mapping *m, int fd, size_t n, bool write);
void	index_unmap(struct mapping *m);

/* ---- index_data.c ---- */

/* Under the ledger's lock: lets go of what was borrowed, looks which STEM.data is there now. */
void	index_data_load(struct index *x);
/* The true place of what index_data_add said; 0: it has none in the file that the records mean. */
uint64_t index_data_settle(struct index *x, uint64_t place);
/* In STEM.data, for deliveries: sessions have looked so far. */
void	index_data_note_seen(struct index *x);
void	index_data_init(struct index *x);
void	index_data_fini(struct index *x);

#endif
