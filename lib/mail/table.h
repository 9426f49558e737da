/* SPDX-License-Identifier: ISC */
/*
 * mail/table.h - lookup tables: a key, and the octets stored under it. Types:
 * text (a file of `key value` lines, read whole), hash and btree (Berkeley DB),
 * lmdb; without Berkeley DB `hash` means lmdb, and says so. Written as
 * "type:/path" in settings. A table has three answers; not sure (unreadable,
 * damaged, being replaced) is never taken for no.
 */
#ifndef MAIL_TABLE_H
#define MAIL_TABLE_H

#include "base/buf.h"
#include "mail/router.h"

struct table;

/* spec: "type:/path". Opens at once, so that it can be called before a process is
 * confined: whatever the library will need is open when it returns. NULL: why is set. */
struct table	*table_open(const char *spec, char *why, size_t cap);
void		 table_close(struct table **t);
/* YES: *value (cleared first) has what is stored. A changed file is noticed (text: by
 * mtime and inode, at most once a second). */
enum verdict	 table_get(struct table *t, struct bytes key, struct buf *value);
/* All entries, in the table's order, until each returns false. False: not readable. */
bool		 table_walk(struct table *t, bool (*each)(void *arg, struct bytes key, struct bytes value), void *arg);
const char	*table_type(const struct table *t);	/* what it really is: "lmdb" for a hash without Berkeley DB */

/* Writers (tools). Durable when they return true; readers see the old or the new, never a half. */
struct table	*table_open_write(const char *spec, bool create, char *why, size_t cap);
bool		 table_put(struct table *t, struct bytes key, struct bytes value, char *why, size_t cap);
bool		 table_delete(struct table *t, struct bytes key, char *why, size_t cap);	/* true also when it was not there */

/* The types this build has, for messages: "text, hash, btree, lmdb". */
const char	*table_types(void);
bool		 table_type_known(struct bytes type);

#endif
