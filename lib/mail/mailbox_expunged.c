/* SPDX-License-Identifier: ISC */
/* EXPUNGED_DIR in a Maildir: a file for each message, named when it was expunged. */
#include "mail/mailbox_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define OLDEST		".oldest"	/* its time: nothing that is kept was removed before */
#define CLOSE_MAX	1000		/* files that one close removes */
#define SLACK		16		/* a sixteenth of the time may pass, and at most an hour, before old ones are looked for */
#define SLACK_MAX_S	3600

void
mailbox_keep_expunged(struct mailbox *m, int64_t keep_s)
{
	must(keep_s >= 0);
	m->keeping = true;
	m->keep_s = keep_s;
}

void
mailbox_not_kept(struct mailbox *m)
{
	if (!m->told_keep)
		log_errno("mailbox %s: what is expunged cannot be kept in %s, and is removed", mailbox_what(m),
		    EXPUNGED_DIR);
	m->told_keep = true;
}

/* Ours, through no link; -1: errno. */
static int
open_dir(const struct mailbox *m)
{
	int dir = m->format == MAILBOX_MAILDIR ? dir_open(m->maildir.dir, EXPUNGED_DIR) : -1;
	struct stat st;

	if (m->format != MAILBOX_MAILDIR)
		errno = ENOENT;
	if (dir != -1 && (fstat(dir, &st) == -1 || st.st_uid != geteuid())) {
		fd_close(&dir);
		errno = EPERM;
	}
	return dir;
}

int
mailbox_kept_dir(struct mailbox *m)
{
	int dir;

	if (!m->keeping || m->keep_s == 0)
		return -1;
	dir = open_dir(m);
	if (dir == -1 && errno == ENOENT && dir_make(m->maildir.dir, EXPUNGED_DIR, 0700) && dir_sync(m->maildir.dir))
		dir = open_dir(m);
	if (dir == -1)
		mailbox_not_kept(m);
	return dir;
}

/* ---- what is there ---- */

struct kept_list { struct arena *a; struct kept_mail *mail; size_t n, cap; };

static void
add_kept(struct kept_list *l, int dir, const char *name, int64_t removed_s)
{
	struct bytes whole = text(name);
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->mail = mem_resize(l->mail, l->cap * sizeof *l->mail);
	}
	l->mail[l->n++] = (struct kept_mail){
		.removed_s = removed_s, .date_s = st.st_mtim.tv_sec, .octets = (uint64_t)st.st_size,
		.flags = maildir_flags(bytes_skip(whole, bytes_find(whole, ':'))),
		.name = arena_text(l->a, whole),
	};
}

static int
by_removal(const void *a, const void *b)
{
	const struct kept_mail *x = a, *y = b;

	return maildir_order(text(x->name), text(y->name));
}

static bool
read_kept(struct kept_list *l, int dir)
{
	DIR *d = dir_stream(dir, ".");
	struct dirent *e;
	bool good;

	if (!d)
		return false;
	while ((errno = 0, e = readdir(d)) != NULL) {
		int64_t removed_s;

		if (maildir_name_time(text(e->d_name), &removed_s))
			add_kept(l, dir, e->d_name, removed_s);
	}
	good = errno == 0;
	closedir(d);
	return good;
}

bool
mailbox_kept(struct mailbox *m, struct arena *a, struct kept_mail **out, size_t *n)
{
	struct kept_list l = { .a = a };
	int dir = open_dir(m);
	bool good = dir == -1 ? errno == ENOENT : read_kept(&l, dir);

	*out = NULL;
	*n = 0;
	if (good && l.n > 0) {
		qsort(l.mail, l.n, sizeof *l.mail, by_removal);
		*out = arena_alloc(a, l.n * sizeof *l.mail);
		memcpy(*out, l.mail, l.n * sizeof *l.mail);
		*n = l.n;
	}
	mem_free(l.mail);
	fd_close(&dir);
	return good;
}

/* ---- back ---- */

/* A letter whose keyword has no name any more says nothing. */
static uint32_t
named_flags(struct mailbox *m, uint32_t flags)
{
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++)
		if (mailbox_keyword(m, i).n == 0)
			flags &= ~((uint32_t)MAIL_KEYWORD << i);
	return flags & ~(uint32_t)MAIL_DELETED;
}

bool
mailbox_unexpunge(struct mailbox *m, const struct kept_mail *k)
{
	int dir = open_dir(m);
	bool good = dir != -1 && maildir_restore(&m->maildir, dir, k->name, named_flags(m, k->flags));

	fd_close(&dir);
	return good;
}

/* Where they are first, then where they were. */
bool
mailbox_unexpunged(struct mailbox *m)
{
	int dir;
	bool good;

	if (!maildir_sync(&m->maildir, false, true))
		return false;
	dir = open_dir(m);
	good = dir == -1 ? errno == ENOENT : dir_sync(dir);
	fd_close(&dir);
	return good;
}

/* ---- what is old ---- */

/* Is there anything to be removed, as far as is known? */
static bool
due(int dir, int64_t now_s, int64_t keep_s)
{
	int64_t slack_s = keep_s / SLACK < SLACK_MAX_S ? keep_s / SLACK : SLACK_MAX_S;
	struct stat st;

	return fstatat(dir, OLDEST, &st, AT_SYMLINK_NOFOLLOW) == -1 || st.st_mtim.tv_sec > now_s
	    || st.st_mtim.tv_sec <= now_s - keep_s - slack_s;
}

static void
note_oldest(int dir, int64_t oldest_s)
{
	struct timespec t[2] = { { .tv_sec = oldest_s }, { .tv_sec = oldest_s } };
	int fd = file_open(dir, OLDEST, O_WRONLY | O_CREAT, 0600);

	if (fd != -1)
		futimens(fd, t);	/* without it the next close looks again */
	fd_close(&fd);
}

/* True: all that is old is removed. */
static bool
remove_old(int dir, int64_t before_s, int64_t *oldest_s)
{
	size_t removed = 0;
	DIR *d = dir_stream(dir, ".");
	struct dirent *e;

	if (!d)
		return false;
	while (removed < CLOSE_MAX && (e = readdir(d)) != NULL) {
		int64_t at;

		if (!maildir_name_time(text(e->d_name), &at))
			continue;
		if (at <= before_s)
			removed += unlinkat(dir, e->d_name, 0) == 0;
		else if (at < *oldest_s)
			*oldest_s = at;
	}
	closedir(d);
	return removed < CLOSE_MAX;
}

void
mailbox_kept_close(struct mailbox *m)
{
	int64_t now_s = clock_wall_s(), oldest_s = now_s;
	int dir = m->keeping ? open_dir(m) : -1;

	if (dir == -1)
		return;
	if (m->keep_s == 0) {
		if (remove_old(dir, INT64_MAX, &oldest_s)) {
			unlinkat(dir, OLDEST, 0);
			unlinkat(m->maildir.dir, EXPUNGED_DIR, AT_REMOVEDIR);	/* not empty: what is in it is not ours */
		}
	} else if (due(dir, now_s, m->keep_s) && remove_old(dir, now_s - m->keep_s, &oldest_s)) {
		note_oldest(dir, oldest_s);
	}
	fd_close(&dir);
}
