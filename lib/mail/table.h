/* SPDX-License-Identifier: ISC */
/*
 * mail/table.h - lookup tables: a key, and the octets stored under it. Types:
 * text (a file of `key value` lines, read whole), hash and btree (Berkeley DB),
 * lmdb; without Berkeley DB `hash` and `btree` mean lmdb, and say so. Written as
 * "type:/path" in settings; the file is /path (text), /path.db, /path.lmdb. A table
 * has three answers; not sure (unreadable, damaged, being replaced) is never taken
 * for no.
 *
 * A file is replaced by rename, never changed in its place: whoever reads has the
 * old table or the new one. A confined process, whose root is empty, finds the new
 * file through the folder's descriptor, which the table holds: the libraries, which
 * take names only, are called with that folder as the current one. No library
 * reads anything else (Berkeley DB's DB_CONFIG, CVE-2017-10140: refused).
 */
#ifndef MAIL_TABLE_H
#define MAIL_TABLE_H

#include <sys/types.h>

#include "base/buf.h"
#include "mail/router.h"

struct table;

/* spec: "type:/path". To be called before a process is confined. NULL: not a table, or its folder
 * is not there: why is set. A file that is missing or damaged gives a table that is not sure until it is
 * right (why says so; else it is ""). */
struct table	*table_open(const char *spec, char *why, size_t cap);
/* The same; a text file has the syntax of aliases(5) (mail/alias.h). */
struct table	*table_open_aliases(const char *spec, char *why, size_t cap);
/* passwd(5): key the user's name, value what follows it and its colon. */
struct table	*table_open_passwd(const char *path, char *why, size_t cap);
/* Cyrus SASL's sasldb2: key user NUL realm NUL "userPassword", value the password itself. Its own programs change it in its place. */
struct table	*table_open_sasldb(const char *path, char *why, size_t cap);
/* Its file, "/path.db" of "hash:/path"; its folder, for daemon_keep_dir. False: not a table, or too long. */
bool		 table_file(const char *spec, char dst[1024]);
bool		 table_directory(const char *spec, char dst[1024]);
void		 table_close(struct table **t);
/* YES: *value (cleared first) has what is stored. A changed file is noticed by inode and mtime, at
 * most once a second; a text file that is being written is taken when it has rested for a second,
 * and one with an error in it not at all: the old contents stay, with a warning. */
enum verdict	 table_get(struct table *t, struct bytes key, struct buf *value);
/* All entries, in the table's order, until each returns false. False: not readable. */
bool		 table_walk(struct table *t, bool (*each)(void *arg, struct bytes key, struct bytes value), void *arg);
const char	*table_type(const struct table *t);	/* what it really is: "lmdb" for a hash without Berkeley DB */

/* Writers (tools). Durable when they return true; readers see the old or the new, never a half. */
/* One writer at a time, from here to table_close: the others wait, 30 s at most. */
struct table	*table_open_write(const char *spec, bool create, char *why, size_t cap);
bool		 table_put(struct table *t, struct bytes key, struct bytes value, char *why, size_t cap);
bool		 table_delete(struct table *t, struct bytes key, char *why, size_t cap);	/* true also when it was not there */
/* All of them, at once or not at all. delete: value is not looked at. fresh: nothing else is left. */
struct table_change { struct bytes key, value; bool delete; };
bool		 table_change(struct table *t, const struct table_change *c, size_t n, bool fresh, char *why, size_t cap);
/* Of a file that is made; without it 0640 and the process's own group. gid (gid_t)-1: as the process. */
void		 table_rights(struct table *t, gid_t gid, mode_t mode);
const char	*table_path(const struct table *t);	/* of its file */

/* The types this build has, for messages: "text, hash, btree, lmdb". */
const char	*table_types(void);
bool		 table_type_known(struct bytes type);

#endif
