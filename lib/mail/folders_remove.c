/* SPDX-License-Identifier: ISC */
/*
 * mail/folders_remove.c - folders that are given up. They have a name aside already, which is no
 * mailbox for anybody; what is left by a crash or cannot be removed now is tried again when
 * the account is opened the next time.
 */
#include "mail/folders_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "mail/maildir.h"

#define TEMPORARY_PREFIX ".tmp."		/* of file_replace */
#define DEPTH_MAX	(FOLDER_LEVELS_MAX + 10)
#define PASSES		3			/* over a directory to which a session adds meanwhile */

void
folders_aside_name(const char *prefix, char name[ASIDE_NAME])
{
	uint64_t chance;

	random_fill(&chance, sizeof chance);
	snprintf(name, ASIDE_NAME, "%s%016llx", prefix, (unsigned long long)chance);
}

/* What may be removed: on one file system, and so many files. */
struct removal { dev_t dev; size_t left; };

static bool remove_content(int dir, struct removal *r, unsigned depth);

/* Gone is as good as removed: another process may be at it, too. */
static bool
remove_entry(int dir, const char *name, struct removal *r, unsigned depth)
{
	struct stat st;
	int below, keep;
	bool good = false;

	errno = EAGAIN;
	if (r->left == 0)
		return false;
	r->left--;
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return true;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT;
	if (!S_ISDIR(st.st_mode))
		return false;
	errno = EXDEV;
	if (st.st_dev != r->dev)
		return false;
	below = dir_open(dir, name);
	if (below == -1)
		return errno == ENOENT;
	errno = ENOTEMPTY;
	for (int i = 0; i < PASSES && !good && errno == ENOTEMPTY; i++)
		good = remove_content(below, r, depth + 1)
		    && (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT);
	keep = errno;
	fd_close(&below);
	errno = keep;
	return good;
}

static bool
remove_content(int dir, struct removal *r, unsigned depth)
{
	DIR *d = depth > DEPTH_MAX ? NULL : dir_stream(dir, ".");
	struct dirent *e;
	int fault = 0;

	if (!d) {
		errno = depth > DEPTH_MAX ? ELOOP : errno;
		return false;
	}
	while ((errno = 0, e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0
		    && !remove_entry(dir, e->d_name, r, depth))
			fault = errno;
	fault = errno != 0 ? errno : fault;
	closedir(d);
	errno = fault;
	return fault == 0;
}

/* Within a budget, what is left over is for the next. */
static void
remove_tree(struct folders *f, const char *name, struct removal *r)
{
	int saved = errno;

	if (!remove_entry(f->root, name, r, 0) && errno != EAGAIN)
		log_errno("mailbox %s: cannot remove all of %s, a folder that was given up", f->what,
		    log_text(text(name)));
	errno = saved;
}

static struct removal
removal_of(const struct folders *f, size_t files)
{
	struct removal r = { .left = files };
	struct stat st;

	if (fstat(f->root, &st) == -1)
		r.left = 0;
	r.dev = st.st_dev;
	return r;
}

void
folders_remove_tree(struct folders *f, const char *name)
{
	struct removal r = removal_of(f, SIZE_MAX);

	remove_tree(f, name, &r);
}

/* What file_replace was at when its process was killed. Somebody may be at it now: only what is old. */
static bool
is_old_temporary(struct folders *f, const char *name)
{
	struct stat st;

	return bytes_starts(text(name), text(TEMPORARY_PREFIX))
	    && fstatat(f->root, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)
	    && st.st_mtim.tv_sec < clock_wall_s() - MAILDIR_TMP_AGE_S;
}

bool
folders_remove_left(struct folders *f, const char *prefix, size_t files)
{
	struct removal r = removal_of(f, files);
	DIR *d = dir_stream(f->root, ".");
	struct dirent *e;
	bool new = false;

	if (!d)
		return false;
	while ((e = readdir(d)) != NULL) {
		if (bytes_starts(text(e->d_name), text(prefix)) || is_old_temporary(f, e->d_name))
			remove_tree(f, e->d_name, &r);
		new |= bytes_starts(text(e->d_name), text(NEW_PREFIX));
	}
	closedir(d);
	return new;
}
