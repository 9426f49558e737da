/* SPDX-License-Identifier: ISC */
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

struct bytes
folders_inbox(void)
{
	return text("INBOX");
}

/* ---- the lock, and what a crash left ---- */

/* What cannot be understood is given up, lest nothing can be changed any more. */
static bool
redo(struct folders *f)
{
	struct folder_redo r;
	struct buf file;
	bool good = true;

	buf_init(&file, FOLDER_REDO_MAX);
	if (!file_slurp(f->root, REDO_FILE, &file)) {
		good = errno == ENOENT;
		if (errno == ELOOP || errno == EINVAL || errno == EFBIG || errno == ENXIO || errno == EISDIR)
			good = unlinkat(f->root, REDO_FILE, 0) == 0;
	} else {
		if (!folder_redo_parse(buf_bytes(&file), &r) || r.layout != f->layout)
			log_warn("mailbox %s: %s is damaged or of another layout: not completed", f->what, REDO_FILE);
		else
			good = folders_complete(f, &r);
		good = good && unlinkat(f->root, REDO_FILE, 0) == 0 && dir_sync(f->root);
	}
	buf_fini(&file);
	if (good || f->told_stuck)
		return good;
	f->told_stuck = true;
	log_errno("mailbox %s: cannot complete the change of folders in %s", f->what, REDO_FILE);
	return false;
}

bool
folders_begin(struct folders *f)
{
	if (!lock_file_take(&f->lock, LOCK_FOLDERS, f->wait_ms)) {
		errno = errno == EAGAIN ? ETIMEDOUT : errno;
		return false;
	}
	if (redo(f))
		return true;
	folders_end(f);
	return false;
}

void
folders_end(struct folders *f)
{
	int saved = errno;

	if (!lock_file_drop(&f->lock, LOCK_FOLDERS))
		log_errno("mailbox %s: cannot unlock its folders", f->what);
	errno = saved;
}

static bool
redo_is_there(const struct folders *f)
{
	struct stat st;

	return fstatat(f->root, REDO_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Before something is only looked at: waits for a change that is half done, or completes it. */
static void
settle(struct folders *f)
{
	if (redo_is_there(f) && folders_begin(f))
		folders_end(f);
}

/* ---- opening ---- */

/* A login waits for nobody here, and for not much: what is being made belongs to who has the lock. */
static void
sweep(struct folders *f)
{
	bool begun = folders_remove_left(f, REMOVED_PREFIX, SWEEP_MAX) || redo_is_there(f);

	if (!begun || !lock_file_take(&f->lock, LOCK_FOLDERS, 0))
		return;
	if (redo(f))
		folders_remove_left(f, NEW_PREFIX, SWEEP_MAX);
	folders_end(f);
	folders_remove_left(f, REMOVED_PREFIX, SWEEP_MAX);	/* what was completed just now */
}

/* Of a Maildir its directory is enough; cur, new and tmp are opened when INBOX is. */
struct folders *
folders_open(struct bytes spec, enum folder_layout layout, int64_t wait_ms, char *why, size_t cap)
{
	struct folders *f = mem_alloc(sizeof *f);
	char path[1024] = "";

	f->layout = layout;
	f->wait_ms = wait_ms;
	f->keep_s = -1;
	f->root = -1;
	if (mailbox_parse(spec, &f->format, path) && f->format == MAILBOX_MAILDIR)
		f->root = mailbox_open_root(spec, why, cap);
	else
		f->inbox = mailbox_open(spec, wait_ms, why, cap);
	f->what = mem_text(path);
	lock_file_init(&f->lock, f->root, MAILDIR_STEM);
	if (f->root == -1 && !f->inbox)
		folders_close(&f);
	else if (f->root != -1)
		sweep(f);
	return f;
}

void
folders_close(struct folders **f)
{
	int saved = errno;

	if (!*f)
		return;
	mailbox_close(&(*f)->inbox);
	lock_file_fini(&(*f)->lock);
	fd_close(&(*f)->root);
	mem_free((*f)->what);
	mem_free(*f);
	*f = NULL;
	errno = saved;
}

size_t
folders_dirs(const struct folders *f, int *dirs, size_t max)
{
	must(max >= 2);
	if (f->inbox)
		return mailbox_dirs(f->inbox, dirs, max);
	dirs[0] = f->root;
	return 1;
}

/* ---- directories ---- */

void
folders_tell_odd(struct folders *f, struct bytes name)
{
	int saved = errno;

	if (!f->told_odd)
		log_warn("mailbox %s: %s stands where a folder would: a link, a special file or another user's; "
		    "it is left alone, as are others like it", f->what, log_text(name));
	f->told_odd = true;
	errno = saved;
}

int
folders_own_dir(struct folders *f, int dir, const char *name)
{
	int fd = dir_open(dir, name);
	struct stat st;

	if (fd == -1 && (errno == ELOOP || errno == ENOTDIR)) {
		folders_tell_odd(f, text(name));
		errno = ENOENT;
	}
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1) {
		fd_close(&fd);
	} else if (st.st_uid != geteuid()) {
		folders_tell_odd(f, text(name));
		errno = ENOENT;
		fd_close(&fd);
	}
	return fd;
}

/* The directory at path, which has no NUL. */
static int
walk(struct folders *f, struct bytes path)
{
	int dir = dir_open(f->root, ".");

	while (dir != -1 && path.n > 0) {
		struct bytes part = bytes_cut(&path, '/');
		char name[FOLDER_COMPONENT_MAX + 1];
		int below = -1;

		errno = ENAMETOOLONG;
		if (bytes_to_text(part, name, sizeof name))
			below = folders_own_dir(f, dir, name);
		fd_close(&dir);
		dir = below;
	}
	return dir;
}

int
folders_dir(struct folders *f, const char *path)
{
	return walk(f, text(path));
}

int
folders_parent(struct folders *f, const char *path, const char **last)
{
	struct bytes whole = text(path);
	size_t slash = bytes_rfind(whole, '/');

	*last = slash == whole.n ? path : path + slash + 1;
	return slash == whole.n ? dir_open(f->root, ".") : walk(f, bytes_head(whole, slash));
}

bool
folders_has_mail(int dir)
{
	struct stat st;

	return fstatat(dir, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* ---- a mailbox ---- */

static bool
has_ledger(int dir)
{
	struct stat st;

	return fstatat(dir, MAILDIR_STEM ".ledger", &st, AT_SYMLINK_NOFOLLOW) == 0
	    || fstatat(dir, MAILDIR_STEM ".ledger2", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A folder that another program made has no ledger. It gets one now, under the lock, so that nobody can be told
 * of a UIDVALIDITY that whoever deletes the folder does not know of. */
static bool
give_ledger(struct folders *f, int dir, const char *what, uint32_t *floor)
{
	uint32_t chosen;
	bool good;

	if (has_ledger(dir))
		return folders_floor(f, floor);
	if (!folders_begin(f))
		return false;
	good = folders_floor(f, floor) && folders_ledger(f, dir, what, *floor, &chosen)
	    && folders_raise_floor(f, chosen);
	folders_end(f);
	return good;
}

/* Takes dir. NULL: errno; ENOENT: it was deleted in the same moment. */
static struct mailbox *
open_folder(struct folders *f, int dir, const char *path, bool as_is)
{
	struct buf what;
	struct mailbox *m = NULL;
	char why[256];
	uint32_t floor = 0;

	buf_init(&what, FOLDER_PATH_MAX + 1024);
	buf_fmt(&what, "%s/%s", f->what, path);
	buf_char(&what, '\0');
	must(!what.full);
	if (!as_is && !give_ledger(f, dir, (const char *)what.p, &floor)) {
		log_errno("mailbox %s: cannot begin its ledger", log_text(text((const char *)what.p)));
		fd_close(&dir);
	} else if (!(m = mailbox_open_dir(dir, false, (const char *)what.p, f->wait_ms, why, sizeof why)) && errno != ENOENT) {
		log_warn("mailbox %s: cannot be opened: %s", log_text(text((const char *)what.p)), why);
	} else if (m) {
		mailbox_uidvalidity_above(m, floor);
	}
	buf_fini(&what);
	return m;
}

static enum folder_result
open_inbox(struct folders *f, struct mailbox **out)
{
	char why[256];
	int dir = -1;

	if (f->inbox)
		*out = mailbox_again(f->inbox, why, sizeof why);
	else if ((dir = dir_open(f->root, ".")) != -1)
		*out = mailbox_open_dir(dir, true, f->what, f->wait_ms, why, sizeof why);
	else
		snprintf(why, sizeof why, "%s", strerror(errno));
	if (*out)
		return FOLDER_OK;
	log_warn("mailbox %s: cannot be opened: %s", f->what, why);
	return FOLDER_FAILED;
}

/* -1: errno; ENOENT: there is none. path is set where there could be one. */
static int
mailbox_dir(struct folders *f, struct bytes name, char path[FOLDER_PATH_MAX])
{
	int dir = -1;

	errno = ENOENT;
	if (!f->inbox && folder_path(f->layout, name, path))
		dir = folders_dir(f, path);
	if (dir != -1 && !folders_has_mail(dir)) {
		fd_close(&dir);
		errno = ENOENT;
	}
	return dir;
}

static enum folder_result
open_any(struct folders *f, struct bytes name, bool as_is, struct mailbox **out)
{
	char path[FOLDER_PATH_MAX];
	int dir;

	*out = NULL;
	if (bytes_eq(name, folders_inbox()))
		return open_inbox(f, out);
	dir = mailbox_dir(f, name, path);
	if (dir == -1)
		return errno == ENOENT ? FOLDER_NONE : FOLDER_FAILED;
	*out = open_folder(f, dir, path, as_is);
	return *out ? FOLDER_OK : errno == ENOENT ? FOLDER_NONE : FOLDER_FAILED;
}

enum folder_result
folders_mailbox(struct folders *f, struct bytes name, struct mailbox **out)
{
	enum folder_result r;

	if (!f->inbox)
		settle(f);
	r = open_any(f, name, false, out);
	if (*out && f->keep_s >= 0)
		mailbox_keep_expunged(*out, f->keep_s);
	return r;
}

enum folder_result
folders_mailbox_as_is(struct folders *f, struct bytes name, struct mailbox **out)
{
	enum folder_result r = open_any(f, name, true, out);

	if (*out)
		(*out)->maildir.as_is = true;
	return r;
}

void
folders_keep_expunged(struct folders *f, int64_t keep_s)
{
	f->keep_s = keep_s;
}

bool
folders_there(struct folders *f, struct bytes name)
{
	char path[FOLDER_PATH_MAX];
	int dir;

	if (bytes_eq(name, folders_inbox()))
		return true;
	dir = mailbox_dir(f, name, path);
	if (dir == -1)
		return false;
	fd_close(&dir);
	return true;
}

bool
folders_is(struct folders *f, struct bytes name, const struct mailbox *m)
{
	char path[FOLDER_PATH_MAX];
	struct stat there, held;
	int dir, held_dir[2];
	bool same;

	if (bytes_eq(name, folders_inbox()))
		return true;
	dir = mailbox_dir(f, name, path);
	if (dir == -1)
		return false;
	mailbox_dirs(m, held_dir, LEN(held_dir));
	same = fstat(dir, &there) == 0 && fstat(held_dir[0], &held) == 0
	    && there.st_ino == held.st_ino && there.st_dev == held.st_dev && mailbox_in_place(m);
	fd_close(&dir);
	return same;
}
