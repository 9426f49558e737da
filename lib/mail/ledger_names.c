/* SPDX-License-Identifier: ISC */
/* The first copy of a ledger, unread: names are found where a note says that they stand. */
#include "mail/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/little.h"
#include "base/mem.h"

/* Not mapped: another program may cut it, and names may not go while they are in use. */
static bool
read_file(struct ledger_names *n, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !file_slurp_from(fd, &n->room))
		return false;
	n->file = buf_bytes(&n->room);
	n->inode = file_home(&st);
	n->state.octets = n->file.n;
	n->state.changed[0] = st.st_ctim;
	return true;
}

bool
ledger_names_open(struct ledger_names *n, int dir, const char *stem)
{
	struct ledger_cursor c;
	char name[LEDGER_STEM_MAX + 16];
	struct stat second;
	int fd, saved;
	bool good;

	must(strlen(stem) <= LEDGER_STEM_MAX);
	memset(n, 0, sizeof *n);
	buf_init(&n->room, LEDGER_MAX);
	snprintf(name, sizeof name, "%s.ledger", stem);
	fd = file_open(dir, name, O_RDONLY, 0);
	good = fd != -1 && read_file(n, fd);
	fd_close(&fd);
	snprintf(name, sizeof name, "%s.ledger2", stem);
	if (good && fstatat(dir, name, &second, AT_SYMLINK_NOFOLLOW) == 0)
		n->state.changed[1] = second.st_ctim;
	if (good && ledger_begin(n->file, &n->header, &c) && n->header.inode == n->inode)
		return true;
	saved = good ? EINVAL : errno;
	ledger_names_close(n);
	errno = saved;
	return false;
}

void
ledger_names_close(struct ledger_names *n)
{
	if (n->room.max > 0)
		buf_fini(&n->room);
	memset(n, 0, sizeof *n);
}

bool
ledger_names_get(const struct ledger_names *n, uint64_t at, uint32_t uid, struct bytes *name)
{
	struct ledger_record r;

	if (at < LEDGER_HEADER || at >= n->file.n
	    || !ledger_record_at(bytes_skip(n->file, (size_t)at), &r)
	    || r.type != LEDGER_GIVEN || r.uid != uid || r.name.n == 0)
		return false;
	*name = r.name;
	return true;
}

/* ---- UIDVALIDITY alone ---- */

/* As long as the file says nothing any more: it was chosen when the file was made, or before. */
static uint32_t
last_of_copy(int dir, const char *name)
{
	unsigned char header[LEDGER_HEADER];
	struct ledger_header h;
	struct ledger_cursor c;
	struct stat st;
	int fd = file_open(dir, name, O_RDONLY, 0);
	bool good = fd != -1 && file_pread(fd, header, sizeof header, 0)
	    && ledger_begin(bytes_of(header, sizeof header), &h, &c);

	fd_close(&fd);
	if (good)
		return h.uidvalidity;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1 || st.st_mtim.tv_sec < 0)
		return 0;
	return st.st_mtim.tv_sec < UINT32_MAX ? (uint32_t)st.st_mtim.tv_sec : UINT32_MAX;
}

uint32_t
ledger_last_uidvalidity(int dir, const char *stem)
{
	uint32_t last = 0;

	for (int i = 0; i < 2; i++) {
		char name[LEDGER_STEM_MAX + 16];
		uint32_t v;

		snprintf(name, sizeof name, i == 0 ? "%s.ledger" : "%s.ledger2", stem);
		v = last_of_copy(dir, name);
		last = v > last ? v : last;
	}
	return last;
}
