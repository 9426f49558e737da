/* SPDX-License-Identifier: ISC */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/table_impl.h"

/*
 * A file is written once, by us alone, and then only read: no lock file, which
 * a reader without the right to write could not use, and one read transaction for
 * as long as the file is open.
 */
#define FLAGS (MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS)

struct lmdb { MDB_env *env; MDB_txn *txn; MDB_dbi dbi; };

/* A file that was cut would be a SIGBUS later, where it is mapped. */
static bool
is_whole(MDB_env *env, char *why, size_t cap)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	int fd;

	if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &stat) != 0
	    || mdb_env_get_fd(env, &fd) != 0 || fstat(fd, &st) == -1)
		return table_fault(why, cap, "cannot be read");
	if ((uint64_t)st.st_size < (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize)
		return table_fault(why, cap, "is damaged: shorter than it says itself");
	return true;
}

static void
close_lmdb(void *open)
{
	struct lmdb *l = open;

	if (l->txn)
		mdb_txn_abort(l->txn);
	mdb_env_close(l->env);
	mem_free(l);
}

static void *
open_lmdb(int dir, const char *name, enum text_grammar g, char *why, size_t cap)
{
	struct lmdb *l = mem_alloc(sizeof *l);
	int r;

	(void)dir, (void)g;
	must(mdb_env_create(&l->env) == 0);
	if ((r = mdb_env_open(l->env, name, FLAGS | MDB_RDONLY, 0)) != 0
	    || (r = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->txn)) != 0
	    || (r = mdb_dbi_open(l->txn, NULL, 0, &l->dbi)) != 0)
		table_fault(why, cap, "cannot be read: %s", mdb_strerror(r));
	else if (is_whole(l->env, why, cap))
		return l;
	close_lmdb(l);
	return NULL;
}

static MDB_val
val(struct bytes s)
{
	return (MDB_val){ s.n, (void *)(uintptr_t)s.p };
}

static struct bytes
bytes_val(MDB_val v)
{
	return bytes_of(v.mv_data, v.mv_size);
}

static enum verdict
get(void *open, struct bytes key, struct buf *value)
{
	struct lmdb *l = open;
	MDB_val k = val(key), v;

	if (key.n == 0 || key.n > (size_t)mdb_env_get_maxkeysize(l->env))
		return NO;		/* nobody could have put it there */
	switch (mdb_get(l->txn, l->dbi, &k, &v)) {
	case 0:			break;
	case MDB_NOTFOUND:	return NO;
	default:		return NOT_SURE;
	}
	buf_add(value, bytes_val(v));
	return value->full ? NOT_SURE : YES;
}

static bool
walk(void *open, bool (*each)(void *, struct bytes, struct bytes), void *arg)
{
	struct lmdb *l = open;
	MDB_cursor *c;
	MDB_val k, v;
	int r;

	if (mdb_cursor_open(l->txn, l->dbi, &c) != 0)
		return false;
	while ((r = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0)
		if (!each(arg, bytes_val(k), bytes_val(v)))
			break;
	mdb_cursor_close(c);
	return r == 0 || r == MDB_NOTFOUND;
}

static int
apply(MDB_txn *txn, MDB_dbi dbi, const struct table_change *c)
{
	MDB_val k = val(c->key), v = val(c->value);
	int r;

	if (!c->delete)
		return mdb_put(txn, dbi, &k, &v, 0);
	r = mdb_del(txn, dbi, &k, NULL);
	return r == MDB_NOTFOUND ? 0 : r;
}

/* Room for what is there, what comes, and the pages that a change copies. */
static size_t
map_size(int dir, const char *name, const struct table_change *c, size_t n)
{
	struct stat st;
	size_t size = 1 << 20;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		size += 2 * (size_t)st.st_size;
	for (size_t i = 0; i < n; i++)
		size += 4 * (c[i].key.n + c[i].value.n) + 4096;
	return size / 65536 * 65536;
}

/* No sync here: who called syncs the file before it gets its name. */
static bool
change(int dir, const char *name, const struct table_change *c, size_t n, char *why, size_t cap)
{
	MDB_env *env;
	MDB_txn *txn = NULL;
	MDB_dbi dbi;
	int r;

	must(mdb_env_create(&env) == 0);
	if ((r = mdb_env_set_mapsize(env, map_size(dir, name, c, n))) == 0
	    && (r = mdb_env_open(env, name, FLAGS | MDB_NOSYNC, 0600)) == 0
	    && (r = mdb_txn_begin(env, NULL, 0, &txn)) == 0
	    && (r = mdb_dbi_open(txn, NULL, 0, &dbi)) == 0)
		for (size_t i = 0; r == 0 && i < n; i++)
			r = apply(txn, dbi, &c[i]);
	if (txn && r == 0)
		r = mdb_txn_commit(txn);
	else if (txn)
		mdb_txn_abort(txn);
	mdb_env_close(env);
	return r == 0 || table_fault(why, cap, "cannot be written: %s", mdb_strerror(r));
}

const struct table_type table_lmdb = { "lmdb", ".lmdb", false, open_lmdb, close_lmdb, get, walk, change };
