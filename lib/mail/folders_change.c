/* SPDX-License-Identifier: ISC */
/*
 * mail/folders_change.c - DELETE and RENAME.
 *
 * In Maildir++ a folder goes by one rename(2), and so does one with all below it in fs; nothing more is needed.
 * What takes several (below a name in Maildir++; a folder out of its directory in fs, where its
 * children stay; INBOX's mail) is written down first, and completed by whoever next looks.
 * Each of these steps may be done again.
 */
#include "mail/folders_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/mailbox_impl.h"

#define PASSES	5		/* over INBOX: messages move from new/ to cur/ meanwhile */

/* ---- common ---- */

static bool
write_down(struct folders *f, const struct folder_redo *r)
{
	struct buf out;
	bool good;

	buf_init(&out, FOLDER_REDO_MAX);
	folder_redo_put(r, &out);
	must(!out.full);
	good = file_replace(f->root, REDO_FILE, buf_bytes(&out), 0600);
	buf_fini(&out);
	return good;
}

static bool
cross_out(struct folders *f)
{
	return unlinkat(f->root, REDO_FILE, 0) == 0 && dir_sync(f->root);
}

/* Lines for what is gone mean nothing: that they cannot be dropped is no fault of the change. */
static void
drop_uses(struct folders *f, struct bytes name, bool below)
{
	struct buf old, new;

	buf_init(&old, SPECIAL_USE_MAX);
	buf_init(&new, SPECIAL_USE_MAX);
	if (folders_slurp(f, SPECIAL_USE_FILE, &old)) {
		special_use_drop(buf_bytes(&old), f->layout, name, below, &new);
		if (!folders_write(f, SPECIAL_USE_FILE, &old, &new))
			log_errno("mailbox %s: cannot write %s", f->what, SPECIAL_USE_FILE);
	}
	buf_fini(&old);
	buf_fini(&new);
}

static bool
is_ours(const char *name)
{
	return bytes_starts(text(name), text(MAILDIR_STEM "."));
}

/* A session that was at work in a mailbox while it was deleted may have put ledger, lock and index into its directory
 * again, where they say nothing now, and would keep it from going; a folder that a crash kept from being made whole may
 * have left parts without mail. below: levels below it to which that may have happened, too. */
static void
sweep_level(int parent, const char *name, unsigned below)
{
	int dir = dir_open(parent, name);
	DIR *d = dir == -1 || folders_has_mail(dir) ? NULL : dir_stream(dir, ".");
	struct dirent *e;

	if (d) {
		while ((e = readdir(d)) != NULL) {
			if (is_ours(e->d_name)) {
				(void)unlinkat(dir, e->d_name, 0);
			} else if (below > 0 && e->d_name[0] != '.') {
				sweep_level(dir, e->d_name, below - 1);
				(void)unlinkat(dir, e->d_name, AT_REMOVEDIR);
			}
		}
		closedir(d);
		(void)unlinkat(dir, "new", AT_REMOVEDIR);
		(void)unlinkat(dir, "tmp", AT_REMOVEDIR);
	}
	fd_close(&dir);
}

/* Directories that are only names of levels go with the last folder below them. */
static void
prune(struct folders *f, const char *path, unsigned below)
{
	char rest[FOLDER_PATH_MAX];
	const char *last;
	bool gone = true;

	snprintf(rest, sizeof rest, "%s", path);
	while (gone && *rest) {
		int parent = folders_parent(f, rest, &last);
		char *slash = strrchr(rest, '/');

		if (parent != -1)
			sweep_level(parent, last, below);
		below = 0;
		gone = parent != -1 && (unlinkat(parent, last, AT_REMOVEDIR) == 0 || errno == ENOENT);
		fd_close(&parent);
		*(slash ? slash : rest) = '\0';
	}
}

/* A directory that is neither a mailbox nor a level of one is no reason to refuse its name; nor are those below it, for
 * there is no mailbox either. */
static void
prune_fs(struct folders *f, const char *path)
{
	if (f->layout == FOLDERS_FS)
		prune(f, path, FOLDER_LEVELS_MAX);
}

static enum folder_result
failed(struct folders *f, const char *what, struct bytes name)
{
	log_errno("mailbox %s: cannot %s the folder %s", f->what, what, log_text(name));
	return FOLDER_FAILED;
}

/* ---- DELETE ---- */

/* Directories with names of their own are other folders; all else is this one's, what it kept of expunged mail, too. */
static bool
stays(int dir, const struct dirent *e)
{
	struct stat st;

	if (strcmp(e->d_name, "cur") == 0 || strcmp(e->d_name, "new") == 0 || strcmp(e->d_name, "tmp") == 0
	    || is_ours(e->d_name))
		return false;
	if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return true;
	return S_ISDIR(st.st_mode);
}

/* cur goes first: without it, it is no mailbox. */
static bool
strip_into(int dir, int aside)
{
	DIR *d;
	struct dirent *e;
	int fault = 0;

	if (renameat(dir, "cur", aside, "cur") == -1 && errno != ENOENT)
		return false;
	d = dir_stream(dir, ".");
	if (!d)
		return false;
	while ((errno = 0, e = readdir(d)) != NULL)
		if (!stays(dir, e) && renameat(dir, e->d_name, aside, e->d_name) == -1 && errno != ENOENT)
			fault = errno;
	fault = errno != 0 ? errno : fault;
	closedir(d);
	errno = fault;
	return fault == 0 && dir_sync(aside) && dir_sync(dir);
}

static uint64_t
inode_of_cur(int dir)
{
	struct stat st;

	return fstatat(dir, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

/* The folder's own out of its directory, if that is the one: in a mailbox that was made there since is other mail.
 * Only when all is aside may others remove it. */
static bool
strip(struct folders *f, const char *path, uint64_t inode)
{
	char name[ASIDE_NAME], removed[ASIDE_NAME];
	int dir = folders_dir(f, path), aside;
	uint64_t now;
	bool good;

	if (dir == -1)
		return errno == ENOENT;
	now = inode_of_cur(dir);
	if (now != 0 && now != inode) {
		fd_close(&dir);
		return true;
	}
	folders_aside_name(NEW_PREFIX, name);
	folders_aside_name(REMOVED_PREFIX, removed);
	aside = mkdirat(f->root, name, 0700) == 0 ? dir_open(f->root, name) : -1;
	good = aside != -1 && strip_into(dir, aside) && renameat(f->root, name, f->root, removed) == 0;
	fd_close(&aside);
	fd_close(&dir);
	if (good)
		prune(f, path, 0);
	return good;
}

/* The lock of its ledger: nobody is to write that while it goes, for the directory stays, and may get another. */
static bool
lock_ledger(struct folders *f, struct lock_file *lock, int dir)
{
	lock_file_init(lock, dir, MAILDIR_STEM);
	if (lock_file_take(lock, LOCK_LEDGER, f->wait_ms))
		return true;
	if (errno == EAGAIN)
		errno = ETIMEDOUT;
	return false;
}

static enum folder_result
delete_fs(struct folders *f, struct bytes name, const char *path)
{
	struct folder_redo r = { .what = REDO_DELETE, .layout = f->layout, .from = name };
	struct lock_file lock = { .fd = -1 };
	int dir = folders_dir(f, path), fault;
	bool good = dir != -1 && (r.inode = inode_of_cur(dir)) != 0 && lock_ledger(f, &lock, dir)
	    && write_down(f, &r) && strip(f, path, r.inode);

	fault = errno;
	lock_file_fini(&lock);
	fd_close(&dir);
	errno = fault;
	if (!good)
		return failed(f, "remove", name);
	drop_uses(f, name, false);
	return cross_out(f) ? FOLDER_OK : failed(f, "remove", name);
}

/* Who has it selected holds its directories, whatever their names: without a cur it is no mailbox for him either
 * (mailbox_in_place), from now on and not only when all is removed. */
static void
put_out_of_use(struct folders *f, const char *aside)
{
	int dir = dir_open(f->root, aside);

	if (dir == -1 || renameat(dir, "cur", dir, "cur.removed") == -1)
		log_errno("mailbox %s: sessions that have %s selected are not told yet", f->what, aside);
	fd_close(&dir);
}

static enum folder_result
delete_maildirpp(struct folders *f, struct bytes name, const char *path)
{
	char aside[ASIDE_NAME];

	folders_aside_name(REMOVED_PREFIX, aside);
	if (renameat(f->root, path, f->root, aside) == -1 || !dir_sync(f->root))
		return failed(f, "remove", name);
	put_out_of_use(f, aside);
	drop_uses(f, name, false);
	return FOLDER_OK;
}

static enum folder_result
delete(struct folders *f, struct bytes name, const char *path)
{
	struct folder_tree t;
	const struct folder_entry *e;
	enum folder_result r;

	if (!folder_tree_read(f, NULL, &t))
		return FOLDER_FAILED;
	e = folder_tree_find(&t, name);
	if (!e)
		r = FOLDER_NONE;
	else if (!e->selectable)
		r = FOLDER_CHILDREN;
	else if (!folders_spend(f, e, 1, text("")))
		r = failed(f, "remove", name);
	else
		r = f->layout == FOLDERS_FS ? delete_fs(f, name, path) : delete_maildirpp(f, name, path);
	folder_tree_free(&t);
	return r;
}

enum folder_result
folders_delete(struct folders *f, struct bytes name)
{
	char path[FOLDER_PATH_MAX];
	enum folder_result r;

	if (bytes_eq(name, folders_inbox()))
		return FOLDER_INBOX;
	if (f->inbox || !folder_path(f->layout, name, path))
		return FOLDER_NONE;
	if (!folders_begin(f))
		return FOLDER_FAILED;
	r = delete(f, name, path);
	folders_end(f);
	if (r == FOLDER_OK)
		folders_remove_left(f, REMOVED_PREFIX, SIZE_MAX);	/* takes long, and hinders nobody */
	return r;
}

/* ---- RENAME ---- */

/* What a name of the subtree becomes; in room. */
static struct bytes
renamed(struct bytes name, struct bytes from, struct bytes to, struct buf *room)
{
	buf_clear(room);
	buf_add(room, to);
	buf_add(room, bytes_skip(name, from.n));
	return buf_bytes(room);
}

/* Can it have that name, and is nothing there? */
static bool
is_free(struct folders *f, struct bytes name)
{
	char path[FOLDER_PATH_MAX];
	const char *last;
	struct buf normal;
	struct stat st;
	int parent;
	bool good;

	buf_init(&normal, FOLDER_NAME_MAX);
	good = folder_name_normal(name, &normal) && folder_path(f->layout, name, path);
	buf_fini(&normal);
	if (!good)
		return false;
	parent = folders_parent(f, path, &last);
	if (parent == -1)
		return errno == ENOENT;
	good = fstatat(parent, last, &st, AT_SYMLINK_NOFOLLOW) == -1 && errno == ENOENT;
	fd_close(&parent);
	return good;
}

static bool
all_free(struct folders *f, const struct folder_entry *e, size_t n, struct bytes to)
{
	struct buf room;
	bool good = true;

	buf_init(&room, 2 * FOLDER_NAME_MAX);
	for (size_t i = 0; good && i < n; i++)
		good = is_free(f, renamed(e[i].name, e[0].name, to, &room));
	buf_fini(&room);
	return good;
}

/* As long as nothing of that name is there the lines mean nothing, so they may be there before. */
static bool
copy_uses(struct folders *f, struct bytes from, struct bytes to)
{
	struct buf old, new;
	bool good = true;

	buf_init(&old, SPECIAL_USE_MAX);
	buf_init(&new, SPECIAL_USE_MAX);
	if (folders_slurp(f, SPECIAL_USE_FILE, &old)) {
		special_use_copy(buf_bytes(&old), f->layout, from, to, &new);
		good = folders_write(f, SPECIAL_USE_FILE, &old, &new);
	}
	buf_fini(&old);
	buf_fini(&new);
	return good;
}

static bool
move_one(struct folders *f, struct bytes from, struct bytes to)
{
	char old[FOLDER_PATH_MAX], new[FOLDER_PATH_MAX];
	struct stat st;

	if (!folder_path(f->layout, from, old) || !folder_path(f->layout, to, new))
		return true;
	if (fstatat(f->root, new, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		log_warn("mailbox %s: the folder %s is not renamed: another has come in its new place", f->what,
		    log_text(from));
		return true;
	}
	return renameat(f->root, old, f->root, new) == 0 || errno == ENOENT;
}

/* Maildir++: each folder on its own, those below it first, so that a name with something below it
 * is there as long as anything is. *begun: one was moved. */
static bool
move_all(struct folders *f, struct bytes from, struct bytes to, bool *begun)
{
	struct folder_tree t;
	struct buf room;
	bool good = true;

	if (!folder_tree_read(f, NULL, &t))
		return false;
	buf_init(&room, 2 * FOLDER_NAME_MAX);
	for (size_t i = t.n; good && i-- > 0;) {
		struct bytes name = t.entry[i].name;

		if (!t.entry[i].selectable || !folder_is_below(name, from))
			continue;
		good = move_one(f, name, renamed(name, from, to, &room));
		*begun |= good;
	}
	buf_fini(&room);
	folder_tree_free(&t);
	return good && dir_sync(f->root);
}

static enum folder_result
rename_maildirpp(struct folders *f, struct bytes from, struct bytes to)
{
	struct folder_redo r = { .what = REDO_RENAME, .layout = f->layout, .from = from, .to = to };
	bool begun = false;

	if (!write_down(f, &r))
		return failed(f, "rename", from);
	if (!move_all(f, from, to, &begun)) {
		int saved = errno;

		if (!begun)
			cross_out(f);
		errno = saved;
		return failed(f, "rename", from);
	}
	drop_uses(f, from, true);
	return cross_out(f) ? FOLDER_OK : failed(f, "rename", from);
}

static enum folder_result
rename_fs(struct folders *f, struct bytes from, struct bytes to)
{
	char old[FOLDER_PATH_MAX], new[FOLDER_PATH_MAX];
	const char *old_last, *new_last;
	int above = -1, below;
	bool good;

	must(folder_path(f->layout, from, old) && folder_path(f->layout, to, new));
	below = folders_make_above(f, new, &new_last);
	if (below != -1)
		above = folders_parent(f, old, &old_last);
	good = above != -1 && renameat(above, old_last, below, new_last) == 0 && dir_sync(below) && dir_sync(above);
	fd_close(&above);
	fd_close(&below);
	if (!good)
		return failed(f, "rename", from);
	drop_uses(f, from, true);
	prune(f, old, 0);
	return FOLDER_OK;
}

static enum folder_result
rename_tree(struct folders *f, const struct folder_tree *t, const struct folder_entry *e, struct bytes to)
{
	size_t n = folder_tree_below(t, e);
	char path[FOLDER_PATH_MAX];

	if (folder_path(f->layout, to, path))
		prune_fs(f, path);
	if (folder_is_below(to, e->name) || !all_free(f, e, n, to))
		return FOLDER_BAD_NAME;
	if (!folders_spend(f, e, n, to) || !copy_uses(f, e->name, to))
		return failed(f, "rename", e->name);
	return f->layout == FOLDERS_FS ? rename_fs(f, e->name, to) : rename_maildirpp(f, e->name, to);
}

/* ---- RENAME of INBOX: RFC 3501 section 6.3.5 ---- */

/* Came, or was changed, after the time. */
static bool
is_later(int dir, const char *name, const struct timespec *time)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_ctim.tv_sec > time->tv_sec
	    || (st.st_ctim.tv_sec == time->tv_sec && st.st_ctim.tv_nsec > time->tv_nsec));
}

static bool
is_mail(int dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_name[0] == '.' || (e->d_type != DT_REG && e->d_type != DT_UNKNOWN))
		return false;
	return e->d_type == DT_REG || (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode));
}

/* Adds to *moved. until: NULL, or what is later stays. */
static bool
move_mail(int from, int to, const struct timespec *until, size_t *moved)
{
	DIR *d = dir_stream(from, ".");
	struct dirent *e;
	int fault = 0;

	if (!d)
		return false;
	while (fault == 0 && (errno = 0, e = readdir(d)) != NULL) {
		if (!is_mail(from, e) || (until && is_later(from, e->d_name, until)))
			continue;
		if (renameat(from, e->d_name, to, e->d_name) == 0)
			++*moved;
		else if (errno != ENOENT)
			fault = errno;
	}
	fault = fault == 0 ? errno : fault;
	closedir(d);
	errno = fault;
	return fault == 0;
}

/* What was moved is durable where it is now before it is gone where it was. */
static bool
move_part(struct folders *f, int to, const char *part, const struct timespec *until, size_t *moved)
{
	int old = dir_open(f->root, part), new = dir_open(to, part);
	bool good = old != -1 && new != -1 && move_mail(old, new, until, moved) && dir_sync(new) && dir_sync(old);

	fd_close(&old);
	fd_close(&new);
	return good;
}

static bool
empty_inbox(struct folders *f, struct bytes to, const struct timespec *until)
{
	char path[FOLDER_PATH_MAX];
	int dir = folder_path(f->layout, to, path) ? folders_dir(f, path) : -1;
	size_t moved = 1;
	bool good = true;

	if (dir == -1)
		return errno == ENOENT;		/* it was not begun, or is deleted again */
	if (!folders_has_mail(dir)) {		/* a level into which it was not made whole: nobody would see mail there */
		fd_close(&dir);
		return true;
	}
	for (unsigned pass = 0; good && moved > 0 && pass < PASSES; pass++) {
		moved = 0;
		good = move_part(f, dir, "new", until, &moved) && move_part(f, dir, "cur", until, &moved);
	}
	fd_close(&dir);
	return good;
}

static enum folder_result
rename_inbox(struct folders *f, const struct folder_tree *t, struct bytes to, const char *path)
{
	struct folder_redo r = { .what = REDO_INBOX, .layout = f->layout, .from = folders_inbox(), .to = to };
	enum folder_result made;

	if (t->mailboxes >= FOLDERS_MAX)
		return FOLDER_MANY;
	prune_fs(f, path);
	if (!is_free(f, to))
		return FOLDER_BAD_NAME;
	if (!write_down(f, &r))
		return failed(f, "rename", r.from);
	made = folders_make(f, to, path, true);
	if (made != FOLDER_OK) {
		int saved = errno;

		cross_out(f);
		errno = saved;
		return made;
	}
	return empty_inbox(f, to, NULL) && cross_out(f) ? FOLDER_OK : failed(f, "rename", r.from);
}

static enum folder_result
rename_any(struct folders *f, struct bytes from, struct bytes to, const char *path)
{
	struct folder_tree t;
	const struct folder_entry *e;
	enum folder_result r;

	if (!folder_tree_read(f, NULL, &t))
		return FOLDER_FAILED;
	e = folder_tree_find(&t, from);
	if (!e)
		r = FOLDER_NONE;
	else if (folder_tree_find(&t, to))
		r = FOLDER_EXISTS;
	else if (bytes_eq(from, folders_inbox()))
		r = rename_inbox(f, &t, to, path);
	else
		r = rename_tree(f, &t, e, to);
	folder_tree_free(&t);
	return r;
}

enum folder_result
folders_rename(struct folders *f, struct bytes from, struct bytes to)
{
	char path[FOLDER_PATH_MAX];
	enum folder_result r;

	if (bytes_eq(to, folders_inbox()))
		return FOLDER_EXISTS;
	if (f->inbox && !bytes_eq(from, folders_inbox()))
		return FOLDER_NONE;
	if (f->inbox || !folder_path(f->layout, to, path))
		return FOLDER_BAD_NAME;
	if (!folders_begin(f))
		return FOLDER_FAILED;
	r = rename_any(f, from, to, path);
	folders_end(f);
	return r;
}

/* ---- what was begun ---- */

bool
folders_complete(struct folders *f, const struct folder_redo *r)
{
	char path[FOLDER_PATH_MAX];
	struct stat st;
	bool begun = false, good = false;

	log_info("mailbox %s: completing a change of the folder %s", f->what, log_text(r->from));
	switch (r->what) {
	case REDO_DELETE:
		good = !folder_path(f->layout, r->from, path) || strip(f, path, r->inode);
		break;
	case REDO_RENAME:
		good = move_all(f, r->from, r->to, &begun);
		break;
	case REDO_INBOX:
		return fstatat(f->root, REDO_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0
		    && empty_inbox(f, r->to, &st.st_mtim);
	}
	if (good)
		drop_uses(f, r->from, r->what == REDO_RENAME);
	return good;
}
