/* SPDX-License-Identifier: ISC */
#include "mail/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#define STEP_MS	5

void
lock_file_init(struct lock_file *f, int dir, const char *stem)
{
	must(strlen(stem) <= LOCK_FILE_STEM_MAX);
	f->dir = dir;
	f->fd = -1;
	snprintf(f->name, sizeof f->name, "%s.lock", stem);
}

void
lock_file_fini(struct lock_file *f)
{
	fd_close(&f->fd);
}

static bool
try_lock(int fd, enum lock_octet octet, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &l) == 0;
}

static void
pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* A lock on a file that was deleted by hand keeps nobody out. */
static bool
is_real(const struct lock_file *f)
{
	struct stat st;

	return fstat(f->fd, &st) == 0 && st.st_nlink > 0;
}

bool
lock_file_take(struct lock_file *f, enum lock_octet octet, int64_t wait_ms)
{
	uint64_t until = clock_mono_ms() + (uint64_t)wait_ms;

	for (;;) {
		if (f->fd == -1 && (f->fd = file_open(f->dir, f->name, O_RDWR | O_CREAT, 0600)) == -1)
			return false;
		if (try_lock(f->fd, octet, F_WRLCK)) {
			if (is_real(f))
				return true;
			fd_close(&f->fd);
			continue;
		}
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return false;
		if (clock_mono_ms() >= until) {
			errno = EAGAIN;
			return false;
		}
		pause_ms(STEP_MS);
	}
}

bool
lock_file_drop(struct lock_file *f, enum lock_octet octet)
{
	return try_lock(f->fd, octet, F_UNLCK);
}
