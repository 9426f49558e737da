/* SPDX-License-Identifier: ISC */
#include "mail/mailbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- names of mailboxes ---- */

static bool
clean_path(struct bytes path)
{
	struct bytes rest = path;

	if (path.n < 2 || path.n >= 1024 || path.p[0] != '/' || bytes_has_control(path))
		return false;
	while (rest.n > 0)
		if (bytes_eq(bytes_cut(&rest, '/'), text("..")))
			return false;
	return true;
}

bool
mailbox_parse(struct bytes spec, enum mailbox_format *format, char path[1024])
{
	struct bytes word = bytes_cut(&spec, ':');

	if (bytes_eq(word, text("maildir")))
		*format = MAILBOX_MAILDIR;
	else if (bytes_eq(word, text("mbox")))
		*format = MAILBOX_MBOX;
	else
		return false;
	while (spec.n > 1 && spec.p[spec.n - 1] == '/')
		spec = bytes_head(spec, spec.n - 1);
	return clean_path(spec) && bytes_to_text(spec, path, 1024);
}

/* ---- opening ---- */

static bool
owned_by_us(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return false;
	errno = EPERM;
	return st.st_uid == geteuid();
}

/* The directory; it and the one it would be in are made where what is there is ours: for accounts that nobody has made a place
 * for, mail_directory/domain/local-part. A home that is not mounted leaves a place that is not ours. */
static int
open_or_make(char *path, unsigned make)
{
	int dir = open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), parent;
	char *slash = strrchr(path, '/');

	if (dir != -1 || errno != ENOENT || make == 0 || !slash || slash == path)	/* nothing is made in / */
		return dir;
	*slash = '\0';
	parent = open_or_make(path, make - 1);
	*slash = '/';
	if (parent == -1)
		return -1;
	if (!owned_by_us(parent))
		errno = ENOENT;
	else if (dir_make(parent, slash + 1, 0700) && dir_sync(parent))
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd_close(&parent);
	return dir;
}

/* Opens the directory that path's last component is in; links on the way are the administrator's. */
static int
open_parent(char *path, const char **last)
{
	char *slash = strrchr(path, '/');

	*last = slash + 1;
	*slash = '\0';
	return open_or_make(path, 2);
}

/* The directory itself, ours; made where its parent is ours. -1: errno and why. */
static int
open_own_dir(int parent, const char *name, char *why, size_t cap)
{
	int dir = dir_open(parent, name);

	if (dir == -1 && errno == ENOENT) {
		if (!owned_by_us(parent)) {
			snprintf(why, cap, "there is no mailbox, and the directory it would be "
			    "in is another's");
			return -1;
		}
		if (dir_make(parent, name, 0700) && dir_sync(parent))
			dir = dir_open(parent, name);
	}
	if (dir == -1) {
		snprintf(why, cap, errno == ELOOP || errno == ENOTDIR
		    ? "it is no directory, or a symbolic link: %s" : "%s", strerror(errno));
		return -1;
	}
	if (!owned_by_us(dir)) {
		snprintf(why, cap, "it belongs to another user");
		fd_close(&dir);
	}
	return dir;
}

static bool
open_format(struct mailbox *m, int parent, const char *name, const char *what, char *why,
    size_t cap)
{
	int dir;

	if (m->format == MAILBOX_MBOX)
		return mbox_open(&m->mbox, parent, name, what, m->wait_ms, why, cap);
	dir = open_own_dir(parent, name, why, cap);
	fd_close(&parent);
	if (dir == -1)
		return false;
	if (maildir_open(&m->maildir, dir, true, what))
		return true;
	snprintf(why, cap, "its directories cur, new, tmp: %s", strerror(errno));
	return false;
}

/* Where a mailbox is: the directory it is in, open, and its name there. */
struct place {
	enum mailbox_format format;
	char	 path[1024], what[1024];
	const char *name;		/* in path */
	int	 parent;
};

static bool
find_place(struct bytes spec, struct place *p, char *why, size_t cap)
{
	if (!mailbox_parse(spec, &p->format, p->path)) {
		snprintf(why, cap, "\"%s\" is not maildir:/path or mbox:/path", log_text(spec));
		errno = EINVAL;
		return false;
	}
	memcpy(p->what, p->path, sizeof p->what);
	p->parent = open_parent(p->path, &p->name);
	if (p->parent == -1)
		snprintf(why, cap, "the directory it would be in: %s", strerror(errno));
	return p->parent != -1;
}

struct mailbox *
mailbox_open(struct bytes spec, int64_t wait_ms, char *why, size_t cap)
{
	struct mailbox *m;
	struct place p;

	if (!find_place(spec, &p, why, cap))
		return NULL;
	m = mem_alloc(sizeof *m);
	m->format = p.format;
	m->wait_ms = wait_ms;
	if (!open_format(m, p.parent, p.name, p.what, why, cap)) {
		int saved = errno;

		mem_free(m);
		errno = saved;
		return NULL;
	}
	m->names = arena_new(NAMES_MAX);
	return m;
}

/* tmp is the last that is made: who has it has cur and new, or has to be asked when it is opened. */
static bool
make_parts(struct bytes spec, int dir, char *why, size_t cap)
{
	struct mailbox *m;
	struct stat st;

	if (fstatat(dir, "tmp", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	m = mailbox_open(spec, 0, why, cap);
	if (!m)
		return false;
	mailbox_close(&m);
	return true;
}

int
mailbox_open_root(struct bytes spec, char *why, size_t cap)
{
	struct place p;
	int dir;

	if (!find_place(spec, &p, why, cap))
		return -1;
	must(p.format == MAILBOX_MAILDIR);
	dir = open_own_dir(p.parent, p.name, why, cap);
	fd_close(&p.parent);
	if (dir != -1 && !make_parts(spec, dir, why, cap))
		fd_close(&dir);
	return dir;
}

void
mailbox_prepare(int dir)
{
	maildir_prepare(dir);
}

struct mailbox *
mailbox_open_dir(int dir, bool make, const char *what, int64_t wait_ms, char *why, size_t cap)
{
	struct mailbox *m = mem_alloc(sizeof *m);

	m->format = MAILBOX_MAILDIR;
	m->wait_ms = wait_ms;
	if (!maildir_open(&m->maildir, dir, make, what)) {
		snprintf(why, cap, "its directories cur, new, tmp: %s", strerror(errno));
		mem_free(m);
		return NULL;
	}
	m->names = arena_new(NAMES_MAX);
	return m;
}

struct mailbox *
mailbox_again(const struct mailbox *old, char *why, size_t cap)
{
	struct mailbox *m;
	int dir;

	if (old->format == MAILBOX_MAILDIR) {
		dir = dir_open(old->maildir.dir, ".");
		m = dir == -1 ? NULL : mailbox_open_dir(dir, true, old->maildir.what, old->wait_ms, why, cap);
		if (dir == -1)
			snprintf(why, cap, "%s", strerror(errno));
		if (m) {
			m->keeping = old->keeping;
			m->keep_s = old->keep_s;
		}
		return m;
	}
	m = mem_alloc(sizeof *m);
	m->format = MAILBOX_MBOX;
	m->wait_ms = old->wait_ms;
	m->above = old->above;
	m->keeping = old->keeping;
	m->keep_s = old->keep_s;
	if (!mbox_again(&m->mbox, &old->mbox, why, cap)) {
		mem_free(m);
		return NULL;
	}
	m->names = arena_new(NAMES_MAX);
	return m;
}

void
mailbox_uidvalidity_above(struct mailbox *m, uint32_t uidvalidity)
{
	m->above = uidvalidity;
}

size_t
mailbox_dirs(const struct mailbox *m, int *dirs, size_t max)
{
	must(max >= 2);
	if (m->format == MAILBOX_MAILDIR) {
		dirs[0] = m->maildir.dir;
		return 1;
	}
	dirs[0] = m->mbox.parent;
	dirs[1] = m->mbox.state;
	return 2;
}

/* In the layout fs a mailbox is deleted out of a directory that stays, and may get another. */
bool
mailbox_in_place(const struct mailbox *m)
{
	struct stat held, there;

	if (m->format != MAILBOX_MAILDIR)
		return true;
	return fstat(m->maildir.cur, &held) == 0 && held.st_nlink > 0
	    && fstatat(m->maildir.dir, "cur", &there, AT_SYMLINK_NOFOLLOW) == 0
	    && there.st_ino == held.st_ino && there.st_dev == held.st_dev;
}

const char *
mailbox_what(const struct mailbox *m)
{
	return m->format == MAILBOX_MAILDIR ? m->maildir.what : m->mbox.what;
}

int
mailbox_state_dir(const struct mailbox *m, const char **stem)
{
	*stem = m->format == MAILBOX_MAILDIR ? MAILDIR_STEM : m->mbox.stem;
	return m->format == MAILBOX_MAILDIR ? m->maildir.dir : m->mbox.state;
}

/* ---- delivery ---- */

enum outcome
mailbox_outcome(int fault, struct buf *reply)
{
	switch (fault) {
	case 0:
		buf_text(reply, "2.0.0 delivered to mailbox");
		return DELIVERED;
	case EDQUOT:
		buf_text(reply, "4.2.2 mailbox is full: its owner is over quota");
		break;
	case ENOSPC:
		buf_text(reply, "4.3.1 no space left where the mailbox is");
		break;
	case ETIMEDOUT:
		buf_text(reply, "4.2.0 mailbox is locked by another program");
		break;
	case EBADMSG:
		buf_text(reply, "4.3.0 the queue file is not as long as its envelope says");
		break;
	default:
		buf_fmt(reply, "4.3.0 mailbox cannot be written: %s", strerror(fault));
	}
	return TRY_LATER;
}

void
mailbox_deliver_all(struct mailbox *m, const struct delivery *d, size_t n, enum outcome *outcome,
    struct buf *reply)
{
	for (size_t at = 0; at < n; at += MAILBOX_BATCH) {
		size_t some = n - at < MAILBOX_BATCH ? n - at : MAILBOX_BATCH;

		if (m->format == MAILBOX_MAILDIR)
			maildir_deliver(&m->maildir, d + at, some, outcome + at, reply + at);
		else
			mbox_deliver(&m->mbox, d + at, some, outcome + at, reply + at);
	}
}

enum outcome
mailbox_deliver(struct mailbox *m, const struct delivery *d, struct buf *reply)
{
	enum outcome outcome = TRY_LATER;

	mailbox_deliver_all(m, d, 1, &outcome, reply);
	return outcome;
}

static void
keep_found(struct mailbox *m)
{
	if (m->cache_dirty && m->scanned && mailbox_in_place(m))
		mailbox_write_sizes(m);
	mailbox_index_flush(m);
}

static void
forget(struct mailbox *m)
{
	mailbox_forget_items(m);
	m->scanned = m->cache_read = false;
	maildir_list_free(&m->list);
	ledger_names_close(&m->recalled);
	keywords_fini(&m->keywords);
	arena_reset(m->names);
}

/* A session that rests has told of them all the same. */
static void
remember_uids(struct mailbox *m)
{
	if (!m->scanned)
		return;
	mailbox_forget_rest(m);
	m->rested = mem_array(m->n + 1, sizeof *m->rested);
	for (size_t i = 0; i < m->n; i++) {
		struct uid_range *last = m->rested_n > 0 ? &m->rested[m->rested_n - 1] : NULL;
		uint32_t uid = m->item[i].mail.uid;

		if (m->item[i].mail.expunged)
			continue;
		if (last && last->last + 1 == uid)
			last->last = uid;
		else
			m->rested[m->rested_n++] = (struct uid_range){ uid, uid };
	}
	m->rested = mem_resize(m->rested, (m->rested_n + 1) * sizeof *m->rested);
}

void
mailbox_forget_rest(struct mailbox *m)
{
	mem_free(m->rested);
	m->rested = NULL;
	m->rested_n = 0;
}

bool
mailbox_was_gone(const struct mailbox *m, uint32_t uid)
{
	size_t low = 0, high = m->rested_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->rested[mid].last < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return uid < m->uidnext && (low == m->rested_n || m->rested[low].first > uid);
}

void
mailbox_rest(struct mailbox *m)
{
	keep_found(m);
	remember_uids(m);
	forget(m);
	if (m->ledger)
		ledger_rest(m->ledger);
}

void
mailbox_close(struct mailbox **box)
{
	struct mailbox *m = *box;

	if (!m)
		return;
	keep_found(m);
	forget(m);
	mailbox_forget_rest(m);
	mailbox_kept_close(m);
	index_free(&m->index);
	ledger_free(&m->ledger);
	if (m->format == MAILBOX_MAILDIR)
		maildir_close(&m->maildir);
	else
		mbox_close(&m->mbox);
	arena_free(&m->names);
	mem_free(m);
	*box = NULL;
}
