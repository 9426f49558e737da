/* SPDX-License-Identifier: ISC */
/* Both copies: written whole, or appended to. */
#include "mail/ledger_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/little.h"
#include "base/log.h"

#define APPEND_SHORT	512		/* octets that a disk writes at once */

bool
ledger_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size
	    && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

uint32_t
ledger_put_flags(struct buf *out, uint32_t chain, uint32_t uid, uint32_t flags)
{
	unsigned char octets[4];
	struct ledger_record r = { LEDGER_FLAGS, uid, bytes_of(octets, sizeof octets) };

	little_put_u32(octets, flags);
	return ledger_put_record(out, chain, &r);
}

/* Of several with one name the last one counts: the others' at is 0. */
static void
mark_lasting(struct ledger *l)
{
	for (size_t i = 0; i < l->n; i++)
		l->entry[i].at = *ledger_slot(l, l->entry[i].name) == i + 1;
}

static uint32_t
put_all(struct ledger *l, struct buf *out)
{
	uint32_t chain = ledger_put_header(out, &l->header);

	for (size_t i = 0; i < l->n; i++) {
		struct entry *e = &l->entry[i];
		struct ledger_record r = { LEDGER_GIVEN, e->uid, e->name };

		if (e->at == 0)
			continue;
		e->at = (uint32_t)out->n;
		chain = ledger_put_record(out, chain, &r);
		if (e->flags != 0)
			chain = ledger_put_flags(out, chain, e->uid, e->flags);
	}
	return chain;
}

/* A whole copy, under a name of its own until it is on disk. -1: errno. */
static int
begin_copy(struct ledger *l, struct copy *c)
{
	struct buf out;
	struct stat st;
	int fd;
	bool good;

	unlinkat(l->dir, c->new_name, 0);	/* what a crash left: we hold the lock */
	fd = file_open(l->dir, c->new_name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd == -1)
		return -1;
	buf_init(&out, LEDGER_MAX);
	good = fstat(fd, &st) == 0;
	l->header.inode = st.st_ino;
	c->header = l->header;
	c->floor = l->header.modseq_floor;
	c->chain = put_all(l, &out);
	c->good = out.n;
	if (good && out.full) {
		errno = EFBIG;
		good = false;
	}
	good = good && file_write(fd, buf_bytes(&out));
	buf_fini(&out);
	if (!good)
		fd_close(&fd);
	else
		(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);	/* on its way while the other is written */
	return fd;
}

/* Both are on disk before either is named; on a file system with a journal one commit serves both. */
static bool
finish_copies(struct ledger *l, const int fd[2])
{
	for (int i = 0; i < 2; i++)
		if (fd[i] == -1 || fsync(fd[i]) == -1)
			return false;
	for (int i = 0; i < 2; i++)
		if (renameat(l->dir, l->copy[i].new_name, l->dir, l->copy[i].name) == -1
		    || fstat(fd[i], &l->copy[i].st) == -1)
			return false;
	return dir_sync(l->dir);
}

bool
ledger_write_both(struct ledger *l)
{
	int fd[2] = { -1, -1 }, fault;
	bool good;

	l->header.generation++;
	l->behind = true;
	mark_lasting(l);
	fd[0] = begin_copy(l, &l->copy[0]);
	if (fd[0] != -1)
		fd[1] = begin_copy(l, &l->copy[1]);
	good = finish_copies(l, fd);
	fault = errno;
	for (int i = 0; i < 2; i++) {
		fd_close(&fd[i]);
		if (!good)
			unlinkat(l->dir, l->copy[i].new_name, 0);
	}
	errno = fault;
	if (!good)
		return false;
	l->behind = l->unborn = false;
	return true;
}

/* ---- what is new, behind what is there ---- */

/* One copy after the other: a crash never finds both torn. So the first is synced before the second
 * is begun, but for what is too short to be torn, where nobody waits for it. ENOENT: a copy is not there any more,
 * or another file is in its place. */
static bool
append(struct ledger *l, struct bytes records, uint32_t chain, bool durable)
{
	for (int i = 0; i < 2; i++) {
		struct copy *c = &l->copy[i];
		int fd = file_open(l->dir, c->name, O_WRONLY, 0);
		bool sync = durable || (i == 0 && records.n > APPEND_SHORT);
		struct stat st;
		bool good = fd != -1 && fstat(fd, &st) == 0;

		if (good && !ledger_same_file(&st, &c->st)) {
			errno = ENOENT;
			good = false;
		}
		good = good && file_pwrite(fd, records, (off_t)c->good)
		    && (!sync || fdatasync(fd) == 0) && fstat(fd, &c->st) == 0;
		fd_close(&fd);
		if (!good)
			return false;
		c->good += records.n;
		c->chain = chain;
	}
	return true;
}

/* False: the files have more than we know, or less. */
bool
ledger_is_known(const struct ledger *l)
{
	if (!l->loaded)
		errno = EIO;
	return l->loaded;
}

/* The records of what was just changed here. A hand may have taken a copy since it was read, or have put another in its
 * place: all of it is known here, so both are written. False: the files are to be read again before anything is
 * told. */
bool
ledger_append(struct ledger *l, const struct buf *records, uint32_t chain, bool durable)
{
	errno = EFBIG;
	if (!records->full && append(l, buf_bytes(records), chain, durable))
		return true;
	if (ledger_is_lost(errno) && ledger_write_both(l)) {
		log_info("mailbox %s: ledger written anew: another program has taken one copy, or replaced it", l->what);
		return true;
	}
	l->loaded = false;
	return false;
}
