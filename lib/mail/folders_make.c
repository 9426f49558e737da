/* SPDX-License-Identifier: ISC */
/*
 * mail/folders_make.c - a new folder. It is made aside, with all that belongs to it, and gets its name when it is
 * whole: whoever sees it sees a mailbox. What a crash leaves is aside yet.
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
#include "mail/mailbox_impl.h"

#define KEYWORDS_FILE	MAILDIR_STEM ".keywords"
#define KEYWORDS_MAX	16384
#define CAN_BE_HAD	(FOLDER_ARCHIVE | FOLDER_DRAFTS | FOLDER_JUNK | FOLDER_SENT | FOLDER_TRASH)

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
	else
		good = keywords_none(errno);
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
		return FOLDER_EXISTS;
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
