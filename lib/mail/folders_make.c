/* SPDX-License-Identifier: ISC */
/*
 * mail/folders_make.c - a new folder. It is made aside, with all that belongs to it, and gets its name when it is
 * whole: whoever sees it sees a mailbox. What a crash leaves is aside yet.
 *
 * UIDVALIDITY. The greatest of all folders that were made or given up is kept in a file, and one more
 * is the least that a new folder begins with: so no name ever has one of them twice, whatever
 * the clock says. RFC 3501 section 2.3.1.1.
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

#define FLOOR_MAX	64		/* octets of the file */
#define KEYWORDS_FILE	MAILDIR_STEM ".keywords"
#define KEYWORDS_MAX	16384
#define CAN_BE_HAD	(FOLDER_ARCHIVE | FOLDER_DRAFTS | FOLDER_JUNK | FOLDER_SENT | FOLDER_TRASH)

/* ---- UIDVALIDITY ---- */

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

bool
folders_floor(struct folders *f, uint32_t *floor)
{
	uint64_t v = 0;
	struct buf file;
	bool there;

	buf_init(&file, FLOOR_MAX);
	there = file_slurp(f->root, FLOOR_FILE, &file);
	if (there && !bytes_u64(bytes_trim(buf_bytes(&file)), UINT32_MAX, &v))
		v = floor_by_time(f);
	else if (!there && (errno == EFBIG || errno == EINVAL || errno == ELOOP || errno == ENXIO)) {
		v = floor_by_time(f);
		there = true;
	}
	buf_fini(&file);
	*floor = (uint32_t)v;
	return there || errno == ENOENT;
}

bool
folders_raise_floor(struct folders *f, uint32_t floor)
{
	char line[16];
	uint32_t old;

	if (!folders_floor(f, &old))
		return false;
	if (floor <= old)
		return true;
	snprintf(line, sizeof line, "%u\n", (unsigned)floor);
	return file_replace(f->root, FLOOR_FILE, text(line), 0600);
}

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

/* ---- made aside ---- */

static bool
put_file(int dir, const char *name, struct bytes content)
{
	int fd = file_open(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	bool good = fd != -1 && file_write(fd, content) && fsync(fd) == 0;

	fd_close(&fd);
	return good;
}

/* The letters in the names of INBOX's messages mean the same where these go. */
static bool
take_keywords(struct folders *f, int dir)
{
	struct buf file;
	bool good = true;

	buf_init(&file, KEYWORDS_MAX);
	if (file_slurp(f->root, KEYWORDS_FILE, &file))
		good = put_file(dir, KEYWORDS_FILE, buf_bytes(&file));
	buf_fini(&file);
	return good;
}

static bool
fill(struct folders *f, int dir, const char *aside, bool keywords, uint32_t *uidvalidity)
{
	uint32_t floor;

	return dir_make(dir, "cur", 0700) && dir_make(dir, "new", 0700) && dir_make(dir, "tmp", 0700)
	    && (f->layout != FOLDERS_MAILDIRPP || put_file(dir, "maildirfolder", text("")))
	    && (!keywords || take_keywords(f, dir))
	    && folders_floor(f, &floor) && folders_ledger(f, dir, aside, floor, uidvalidity) && dir_sync(dir);
}

/* ---- its place ---- */

int
folders_make_above(struct folders *f, const char *path, const char **last)
{
	struct bytes rest = text(path);
	int dir = dir_open(f->root, ".");

	*last = path;
	while (dir != -1 && bytes_find(rest, '/') < rest.n) {
		char name[FOLDER_COMPONENT_MAX + 1];
		int below = -1;

		must(bytes_to_text(bytes_cut(&rest, '/'), name, sizeof name));
		*last = (const char *)rest.p;
		below = folders_own_dir(f, dir, name);
		if (below == -1 && errno == ENOENT && dir_make(dir, name, 0700) && dir_sync(dir))
			below = folders_own_dir(f, dir, name);
		fd_close(&dir);
		dir = below;
	}
	return dir;
}

/* Into a directory that has no mail yet: the name of a level, or what another program began. cur, which makes it
 * a mailbox, is last. What stands there already stays. */
static bool
move_in(int from, int to)
{
	static const char *const parts[] = { "maildirfolder", MAILDIR_STEM ".keywords", MAILDIR_STEM ".ledger",
	    MAILDIR_STEM ".ledger2", "new", "tmp" };

	for (size_t i = 0; i < LEN(parts); i++)
		if (renameat(from, parts[i], to, parts[i]) == -1 && errno != ENOENT && errno != ENOTEMPTY
		    && errno != EEXIST && errno != ENOTDIR)
			return false;
	return dir_sync(to) && renameat(from, "cur", to, "cur") == 0 && dir_sync(to);
}

static enum folder_result
give_place(struct folders *f, int dir, const char *aside, const char *path)
{
	const char *last;
	struct stat st;
	int parent = folders_make_above(f, path, &last), level;
	enum folder_result r = FOLDER_FAILED;

	if (parent == -1)
		return FOLDER_FAILED;
	if (fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno == ENOENT && renameat(f->root, aside, parent, last) == 0 && dir_sync(parent) && dir_sync(f->root))
			r = FOLDER_OK;
	} else if ((level = folders_own_dir(f, parent, last)) == -1) {
		r = FOLDER_BAD_NAME;		/* something odd has it */
	} else {
		if (move_in(dir, level))
			r = FOLDER_OK;
		folders_remove_tree(f, aside);
		fd_close(&level);
	}
	fd_close(&parent);
	return r;
}

enum folder_result
folders_make(struct folders *f, struct bytes name, const char *path, bool keywords)
{
	char aside[ASIDE_NAME];
	enum folder_result r = FOLDER_FAILED;
	uint32_t uidvalidity;
	int dir, saved;

	folders_aside_name(NEW_PREFIX, aside);
	dir = mkdirat(f->root, aside, 0700) == 0 ? dir_open(f->root, aside) : -1;
	if (dir != -1 && fill(f, dir, aside, keywords, &uidvalidity) && folders_raise_floor(f, uidvalidity))
		r = give_place(f, dir, aside, path);
	saved = errno;
	fd_close(&dir);
	if (r == FOLDER_FAILED)
		log_errno("mailbox %s: cannot make the folder %s", f->what, log_text(name));
	if (r != FOLDER_OK)
		folders_remove_tree(f, aside);
	errno = saved;
	return r;
}

/* ---- CREATE ---- */

/* Has a mailbox that is there one of these? A line of one that is gone says nothing. */
static bool
use_taken(struct folders *f, const struct folder_tree *t, struct bytes file, unsigned uses)
{
	struct buf name;
	unsigned use;
	bool taken = false;

	buf_init(&name, FOLDER_NAME_MAX);
	while (!taken && special_use_next(&file, f->layout, &use, &name)) {
		const struct folder_entry *e = folder_tree_find(t, buf_bytes(&name));

		taken = (use & uses) != 0 && e && e->selectable;
	}
	buf_fini(&name);
	return taken;
}

/* The uses are written first: of a folder that is not there they mean nothing, and it has them from the start. */
static enum folder_result
write_uses(struct folders *f, const struct folder_tree *t, struct bytes name, unsigned uses)
{
	enum folder_result r = FOLDER_FAILED;
	struct buf old, new;

	buf_init(&old, SPECIAL_USE_MAX);
	buf_init(&new, SPECIAL_USE_MAX);
	if (folders_slurp(f, SPECIAL_USE_FILE, &old)) {
		special_use_put(buf_bytes(&old), f->layout, name, uses, &new);
		if (use_taken(f, t, buf_bytes(&old), uses))
			r = FOLDER_USE_TAKEN;
		else if (folders_write(f, SPECIAL_USE_FILE, &old, &new))
			r = FOLDER_OK;
	}
	if (r == FOLDER_FAILED)
		log_errno("mailbox %s: cannot write %s", f->what, SPECIAL_USE_FILE);
	buf_fini(&old);
	buf_fini(&new);
	return r;
}

static enum folder_result
create(struct folders *f, struct bytes name, const char *path, unsigned uses)
{
	struct folder_tree t;
	const struct folder_entry *e;
	enum folder_result r;

	if (!folder_tree_read(f, NULL, &t))
		return FOLDER_FAILED;
	e = folder_tree_find(&t, name);
	if (e && e->selectable)
		r = FOLDER_EXISTS;
	else if (t.mailboxes >= FOLDERS_MAX)
		r = FOLDER_MANY;
	else if ((r = write_uses(f, &t, name, uses)) == FOLDER_OK || (r == FOLDER_FAILED && uses == 0))
		r = folders_make(f, name, path, false);
	folder_tree_free(&t);
	return r;
}

enum folder_result
folders_create(struct folders *f, struct bytes name, unsigned uses)
{
	char path[FOLDER_PATH_MAX];
	enum folder_result r;

	if (bytes_eq(name, folders_inbox()))
		return FOLDER_INBOX;
	if (f->inbox || !folder_path(f->layout, name, path))
		return FOLDER_BAD_NAME;
	if (uses & ~(unsigned)CAN_BE_HAD)
		return FOLDER_USE_TAKEN;
	if (!folders_begin(f))
		return FOLDER_FAILED;
	r = create(f, name, path, uses);
	folders_end(f);
	return r;
}
