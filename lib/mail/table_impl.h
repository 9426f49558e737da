/* SPDX-License-Identifier: ISC */
/*
 * mail/table_impl.h - between table.c and the types of tables; nobody else's.
 *
 * Files are named by a folder's descriptor and a name in it. The libraries know
 * names only: table.c makes the folder the current one around every call that
 * opens a file (open, change), and puts the old one back.
 */
#ifndef MAIL_TABLE_IMPL_H
#define MAIL_TABLE_IMPL_H

#include "mail/table.h"
#include "mail/table_text.h"

/* One open file of a type. */
struct table_type {
	const char	*name;		/* in "name:/path" */
	const char	*suffix;	/* of the file, after /path */
	bool		 rests;		/* people write it with an editor */

	void		*(*open)(int dir, const char *file, enum text_grammar g, char *why, size_t cap);
	void		 (*close)(void *open);
	enum verdict	 (*get)(void *open, struct bytes key, struct buf *value);
	bool		 (*walk)(void *open, bool (*each)(void *, struct bytes, struct bytes), void *arg);
	/* Changes a file that nobody else sees yet; one that is not there is made, 0600. */
	bool		 (*change)(int dir, const char *file, const struct table_change *c, size_t n,
			    char *why, size_t cap);
};

extern const struct table_type table_text, table_lmdb;
#ifdef HAVE_BDB
extern const struct table_type table_hash, table_btree;
extern const struct table_type table_sasldb;	/* its file has no name of ours, and its keys are not what a setting could mean */
#endif

/* Writes why; returns false. */
bool	table_fault(char *why, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
