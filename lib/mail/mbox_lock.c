/* SPDX-License-Identifier: ISC */
/* The locks of an mbox: fcntl's, then FILE.lock. */
#include "mail/mbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define LOCK_STEP_MS	50
#define LOCK_STALE_S	300	/* a FILE.lock this old was left by a crash: as liblockfile has it */

static bool
fcntl_lock(int fd, short type)
{
	struct flock f = { .l_type = type, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &f) == 0;
}

static void
dotlock_name(const struct mbox *m, char out[256])
{
	snprintf(out, 256, "%s.lock", m->name);
}

static void
remove_stale(struct mbox *m, const char *lock)
{
	struct stat st;

	if (fstatat(m->parent, lock, &st, AT_SYMLINK_NOFOLLOW) == 0
	    && st.st_mtim.tv_sec < clock_wall_s() - LOCK_STALE_S && unlinkat(m->parent, lock, 0) == 0)
		log_warn("mailbox %s: removed its .lock file, %lld seconds old", m->what,
		    (long long)(clock_wall_s() - st.st_mtim.tv_sec));
}

/*
 * What our FILE.lock says after the pid: this host, and the file whose fcntl lock
 * we hold while it stands.
 */
static bool
lock_words(const struct mbox *m, char out[200])
{
	struct utsname host;
	struct stat st;

	if (uname(&host) == -1 || fstat(m->fd, &st) == -1)
		return false;
	snprintf(out, 200, " hermod %.64s %ju:%ju\n", host.nodename, (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return true;
}

/* Now that the fcntl lock is ours, a FILE.lock of one of us can only be left by a process that died. */
static void
remove_ours(struct mbox *m, const char *lock)
{
	char words[200], there[256];
	int fd = openat(m->parent, lock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : pread(fd, there, sizeof there - 1, 0);
	const char *after;

	fd_close(&fd);
	if (n <= 0 || !lock_words(m, words))
		return;
	there[n] = '\0';
	after = strchr(there, ' ');
	if (after && strcmp(after, words) == 0 && unlinkat(m->parent, lock, 0) == 0)
		log_info("mailbox %s: removed the .lock file of a delivery that did not end", m->what);
}

/* True: we have FILE.lock, or there can be none. False: somebody else has it, or errno. */
static bool
dotlock(struct mbox *m)
{
	char lock[256], words[200] = "\n", line[256];
	int fd;

	if (m->no_dotlock)
		return true;
	dotlock_name(m, lock);
	fd = openat(m->parent, lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd == -1 && (errno == EACCES || errno == EPERM || errno == EROFS)) {
		log_info("mailbox %s: no .lock file can be made (%s); fcntl locks alone are used",
		    m->what, strerror(errno));
		m->no_dotlock = true;
		return true;
	}
	if (fd == -1 && errno == EEXIST) {
		remove_stale(m, lock);
		remove_ours(m, lock);
		errno = EEXIST;
	}
	if (fd == -1)
		return false;
	(void)lock_words(m, words);
	snprintf(line, sizeof line, "%d%s", (int)getpid(), words);
	if (!file_write(fd, text(line))) {	/* no space: an empty lock is one, too */
		log_debug("mailbox %s: .lock file without our pid", m->what);
	}
	fd_close(&fd);
	m->dotlocked = true;
	return true;
}

void
mbox_unlock(struct mbox *m)
{
	char lock[256];

	if (m->dotlocked) {
		dotlock_name(m, lock);
		unlinkat(m->parent, lock, 0);
		m->dotlocked = false;
	}
	fd_close(&m->fd);		/* the fcntl lock goes with it */
}

/* The file that has the name now is the one we hold open. */
static bool
still_there(struct mbox *m)
{
	struct stat a, b;

	return fstat(m->fd, &a) == 0 && fstatat(m->parent, m->name, &b, AT_SYMLINK_NOFOLLOW) == 0
	    && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* errno: EAGAIN or EEXIST when somebody has it. */
static bool
lock_once(struct mbox *m)
{
	char why[160];
	int saved;

	m->fd = mbox_open_file(m, true, why, sizeof why);
	if (m->fd == -1)
		return false;
	if (fcntl_lock(m->fd, F_WRLCK) && dotlock(m)) {
		if (still_there(m))
			return true;
		errno = EAGAIN;
	}
	saved = errno == EACCES ? EAGAIN : errno;
	mbox_unlock(m);
	errno = saved;
	return false;
}

bool
mbox_lock(struct mbox *m)
{
	uint64_t until = clock_mono_ms() + (uint64_t)m->wait_ms;

	while (!lock_once(m)) {
		struct timespec t = { 0, LOCK_STEP_MS * 1000000L };

		if (errno != EAGAIN && errno != EEXIST)
			return false;
		if (clock_mono_ms() >= until) {
			errno = ETIMEDOUT;
			return false;
		}
		nanosleep(&t, NULL);
	}
	if (mbox_repair(m))
		return true;
	int saved = errno;

	mbox_unlock(m);
	errno = saved;
	return false;
}
