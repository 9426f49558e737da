/* SPDX-License-Identifier: ISC */
/*
 * Berkeley DB 5.3, hash and btree, without an environment: no lock, no log, no
 * region, and no DB_CONFIG from the current folder (CVE-2017-10140: the library as
 * its authors left it reads one; Debian's does not; where one lies, we do not
 * open at all). Pages carry checksums: a flipped bit is an error, not an answer.
 */
#include "config.h"

#ifdef HAVE_BDB

#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/table_impl.h"

#define CACHE_OCTETS (1 << 20)

static DBT
dbt(struct bytes s)
{
	return (DBT){ .data = (void *)(uintptr_t)s.p, .size = (uint32_t)s.n };
}

static struct bytes
bytes_dbt(const DBT *d)
{
	return bytes_of(d->data, d->size);
}

/* It would write to stderr; what it returns says enough. */
static void
quiet(const DB_ENV *env, const char *prefix, const char *message)
{
	(void)env, (void)prefix, (void)message;
}

/* A file that was cut would have answers missing. The first page (db_page.h, DBMETA) says at octet 20
 * how large pages are, at 32 the number of the last; in the order of the machine that made it. */
static bool
is_whole(DB *db, char *why, size_t cap)
{
	uint32_t meta[9];
	struct stat st;
	int fd;

	if (db->fd(db, &fd) != 0 || fstat(fd, &st) == -1 || !file_pread(fd, meta, sizeof meta, 0))
		return table_fault(why, cap, "cannot be read");
	if (meta[5] > 65536 || (uint64_t)st.st_size >= ((uint64_t)meta[8] + 1) * meta[5])
		return true;
	return table_fault(why, cap, "is damaged: shorter than it says itself");
}

static DB *
open_db(int dir, const char *name, DBTYPE type, uint32_t flags, char *why, size_t cap)
{
	DB *db;
	int r;

	if (faccessat(dir, "DB_CONFIG", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		table_fault(why, cap, "is not opened: a file DB_CONFIG is beside it; remove that");
		return NULL;
	}
	must(db_create(&db, NULL, 0) == 0);
	db->set_errcall(db, quiet);
	if ((r = db->set_cachesize(db, 0, CACHE_OCTETS, 1)) == 0
	    && ((flags & DB_CREATE) == 0 || (r = db->set_flags(db, DB_CHKSUM)) == 0)
	    && (r = db->open(db, NULL, name, NULL, type, flags, 0600)) == 0) {
		if ((flags & DB_CREATE) != 0 || is_whole(db, why, cap))
			return db;
	} else
		table_fault(why, cap, "cannot be opened: %s", db_strerror(r));
	db->close(db, DB_NOSYNC);
	return NULL;
}

static void *
open_hash(int dir, const char *name, enum text_grammar g, char *why, size_t cap)
{
	(void)g;
	return open_db(dir, name, DB_HASH, DB_RDONLY, why, cap);
}

static void *
open_btree(int dir, const char *name, enum text_grammar g, char *why, size_t cap)
{
	(void)g;
	return open_db(dir, name, DB_BTREE, DB_RDONLY, why, cap);
}

static void
close_db(void *open)
{
	DB *db = open;

	db->close(db, DB_NOSYNC);
}

static enum verdict
get(void *open, struct bytes key, struct buf *value)
{
	DB *db = open;
	DBT k = dbt(key), v = { 0 };

	switch (db->get(db, NULL, &k, &v, 0)) {
	case 0:			break;
	case DB_NOTFOUND:	return NO;
	default:		return NOT_SURE;
	}
	buf_add(value, bytes_dbt(&v));
	return value->full ? NOT_SURE : YES;
}

static bool
walk(void *open, bool (*each)(void *, struct bytes, struct bytes), void *arg)
{
	DB *db = open;
	DBC *c;
	DBT k = { 0 }, v = { 0 };
	int r;

	if (db->cursor(db, NULL, &c, 0) != 0)
		return false;
	while ((r = c->get(c, &k, &v, DB_NEXT)) == 0)
		if (!each(arg, bytes_dbt(&k), bytes_dbt(&v)))
			break;
	c->close(c);
	return r == 0 || r == DB_NOTFOUND;
}

static int
apply(DB *db, const struct table_change *c)
{
	DBT k = dbt(c->key), v = dbt(c->value);
	int r;

	if (!c->delete)
		return db->put(db, NULL, &k, &v, 0);
	r = db->del(db, NULL, &k, 0);
	return r == DB_NOTFOUND ? 0 : r;
}

static bool
change_db(int dir, const char *name, DBTYPE type, const struct table_change *c, size_t n,
    char *why, size_t cap)
{
	DB *db = open_db(dir, name, type, DB_CREATE, why, cap);
	int r = 0, closed;

	if (!db)
		return false;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = apply(db, &c[i]);
	closed = db->close(db, 0);
	if (r == 0)
		r = closed;
	return r == 0 || table_fault(why, cap, "cannot be written: %s", db_strerror(r));
}

static bool
change_hash(int dir, const char *name, const struct table_change *c, size_t n, char *why, size_t cap)
{
	return change_db(dir, name, DB_HASH, c, n, why, cap);
}

static bool
change_btree(int dir, const char *name, const struct table_change *c, size_t n, char *why, size_t cap)
{
	return change_db(dir, name, DB_BTREE, c, n, why, cap);
}

const struct table_type table_hash = { "hash", ".db", false, open_hash, close_db, get, walk, change_hash };
const struct table_type table_sasldb = { "sasldb", "", false, open_hash, close_db, get, walk, change_hash };
const struct table_type table_btree = { "btree", ".db", false, open_btree, close_db, get, walk, change_btree };

#endif
