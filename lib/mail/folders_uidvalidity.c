/* SPDX-License-Identifier: ISC */
/*
 * mail/folders_uidvalidity.c - no name has a UIDVALIDITY twice, and a later one of a name is greater: RFC 3501
 * section 2.3.1.1. The clock may be set back.
 *
 * The greatest of all folders that were made or given up is kept, and a new folder begins above it. A folder
 * that is renamed keeps its own. Only if its new name was another's before that had a greater one, it gets a new
 * one; so names that were given up are kept, too, with their last.
 */
#include "mail/folders_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/ledger.h"
#include "mail/mailbox_impl.h"

#define FIRST_LINE	64		/* octets */

/* ---- the file ---- */

/* A file that says nothing was written when the clock said no more than its own time. */
static uint32_t
floor_by_time(struct folders *f)
{
	struct stat st;

	log_warn("mailbox %s: %s is damaged; its time stands for it", f->what, FLOOR_FILE);
	if (fstatat(f->root, FLOOR_FILE, &st, AT_SYMLINK_NOFOLLOW) == -1 || st.st_mtim.tv_sec < 0)
		return 0;
	return st.st_mtim.tv_sec < UINT32_MAX ? (uint32_t)st.st_mtim.tv_sec : UINT32_MAX;
}

/* Nobody can have meant it to stand there. */
static bool
is_odd(int fault)
{
	return fault == EFBIG || fault == EINVAL || fault == ELOOP || fault == ENXIO || fault == EISDIR;
}

bool
folders_floor(struct folders *f, uint32_t *floor)
{
	unsigned char line[FIRST_LINE];
	int fd = file_open(f->root, FLOOR_FILE, O_RDONLY, 0);
	ssize_t n = fd == -1 ? -1 : pread(fd, line, sizeof line, 0);

	fd_close(&fd);
	*floor = 0;
	if (n == -1 && !is_odd(errno))
		return errno == ENOENT;
	if (n == -1 || !spent_floor(bytes_of(line, (size_t)n), floor))
		*floor = floor_by_time(f);
	return true;
}

static bool
read_all(struct folders *f, struct arena *a, struct spent *s)
{
	struct buf file;
	bool good;

	buf_init(&file, SPENT_FILE_MAX);
	good = file_slurp(f->root, FLOOR_FILE, &file);
	if (!good && errno == ENOENT) {
		*s = (struct spent){ .n = 0 };
		good = true;
	} else if (good ? !spent_parse(buf_bytes(&file), f->layout, a, s) : is_odd(errno)) {
		*s = (struct spent){ .floor = floor_by_time(f) };
		s->forgotten = s->floor;
		good = true;
	}
	buf_fini(&file);
	return good;
}

static bool
write_all(struct folders *f, struct spent *s)
{
	struct buf file;
	bool good;

	buf_init(&file, SPENT_FILE_MAX);
	spent_put(s, f->layout, &file);
	good = file_replace(f->root, FLOOR_FILE, buf_bytes(&file), 0600);
	buf_fini(&file);
	return good;
}

bool
folders_raise_floor(struct folders *f, uint32_t floor)
{
	struct arena *a = arena_new(FOLDERS_ARENA_MAX);
	struct spent *s = mem_alloc(sizeof *s);
	bool good = read_all(f, a, s);

	if (good && floor > s->floor) {
		s->floor = floor;
		good = write_all(f, s);
	}
	mem_free(s);
	arena_free(&a);
	return good;
}

/* ---- ledgers ---- */

bool
folders_ledger(struct folders *f, int dir, const char *what, uint32_t floor, uint32_t *uidvalidity)
{
	struct ledger *l = ledger_new(dir, MAILDIR_STEM, what);
	bool good;

	ledger_above(l, floor);
	good = ledger_lock(l, f->wait_ms);
	if (good) {
		good = ledger_load(l) && ledger_keep(l);
		*uidvalidity = ledger_uidvalidity(l);
		ledger_unlock(l);
	}
	ledger_free(&l);
	return good;
}

static bool
renew(struct folders *f, int dir, struct bytes name, uint32_t floor, uint32_t *uidvalidity)
{
	struct ledger *l = ledger_new(dir, MAILDIR_STEM, log_text(name));
	bool good;

	ledger_above(l, floor);
	good = ledger_lock(l, f->wait_ms);
	if (good) {
		good = ledger_load(l) && ledger_renew(l);
		*uidvalidity = ledger_uidvalidity(l);
		ledger_unlock(l);
	}
	ledger_free(&l);
	return good;
}

/* One folder. last: of its new name. */
static bool
spend(struct folders *f, struct spent *s, struct bytes name, uint32_t last)
{
	char path[FOLDER_PATH_MAX];
	int dir = folder_path(f->layout, name, path) ? folders_dir(f, path) : -1;
	uint32_t v = dir == -1 ? 0 : ledger_last_uidvalidity(dir, MAILDIR_STEM);
	bool good = v == 0 || v > last || renew(f, dir, name, s->floor, &v);

	fd_close(&dir);
	if (good && v > 0)
		spent_add(s, name, v);
	return good;
}

static bool
spend_all(struct folders *f, struct spent *s, const struct folder_entry *e, size_t n, struct bytes to)
{
	struct buf new;
	bool good = true;

	buf_init(&new, 2 * FOLDER_NAME_MAX);
	for (size_t i = 0; good && i < n; i++) {
		buf_clear(&new);
		buf_add(&new, to);
		buf_add(&new, bytes_skip(e[i].name, e[0].name.n));
		if (e[i].selectable)
			good = spend(f, s, e[i].name, to.n == 0 ? 0 : spent_last(s, buf_bytes(&new)));
	}
	buf_fini(&new);
	return good;
}

bool
folders_spend(struct folders *f, const struct folder_entry *e, size_t n, struct bytes to)
{
	struct arena *a = arena_new(FOLDERS_ARENA_MAX);
	struct spent *s = mem_alloc(sizeof *s);
	bool good = read_all(f, a, s) && spend_all(f, s, e, n, to) && write_all(f, s);

	mem_free(s);
	arena_free(&a);
	return good;
}
