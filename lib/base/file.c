/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define READ_CHUNK	65536u
#define TMP_TRIES	16
#define LOCK_TRY_US	100000

/* One step of a loop over short counts. False: give up, errno is set. */
static bool
step(ssize_t done, struct bytes *rest)
{
	if (done == -1)
		return errno == EINTR;
	if (done == 0) {
		errno = EIO;
		return false;
	}
	*rest = bytes_skip(*rest, (size_t)done);
	return true;
}

bool
file_write(int fd, struct bytes s)
{
	while (s.n > 0)
		if (!step(write(fd, s.p, s.n), &s))
			return false;
	return true;
}

/* An offset may come out of a file, and be anything. */
static bool
find_end(off_t at, size_t n, off_t *end)
{
	if (at >= 0 && n <= INT64_MAX && !__builtin_add_overflow(at, (off_t)n, end))
		return true;
	errno = EINVAL;
	return false;
}

bool
file_pwrite(int fd, struct bytes s, off_t at)
{
	off_t end;

	if (!find_end(at, s.n, &end))
		return false;
	while (s.n > 0)
		if (!step(pwrite(fd, s.p, s.n, end - (off_t)s.n), &s))
			return false;
	return true;
}

bool
file_pread(int fd, void *p, size_t n, off_t at)
{
	struct bytes rest = bytes_of(p, n);
	off_t end;

	if (!find_end(at, n, &end))
		return false;
	while (rest.n > 0)
		if (!step(pread(fd, (void *)(uintptr_t)rest.p, rest.n, end - (off_t)rest.n), &rest))
			return false;
	return true;
}

/* Up to n octets, fewer only at the end of the file; -1 and errno. */
static ssize_t
read_some(int fd, void *p, size_t n)
{
	ssize_t got;

	do {
		got = read(fd, p, n);
	} while (got == -1 && errno == EINTR);
	return got;
}

/* What it says it has, and an octet in which to see that there is no more: small files are many. */
static size_t
first_chunk(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < READ_CHUNK ? (size_t)st.st_size + 1 : READ_CHUNK;
}

bool
file_slurp_from(int fd, struct buf *out)
{
	size_t chunk = first_chunk(fd);

	for (;;) {
		size_t left = out->max - out->n, want = left < chunk ? left : chunk;
		unsigned char one;
		unsigned char *room = left > 0 ? buf_room(out, want) : &one;
		ssize_t got;

		if (!room) {			/* was full before */
			errno = EFBIG;
			return false;
		}
		got = read_some(fd, room, left == 0 ? 1 : want);
		if (got <= 0)
			return got == 0;
		if (left == 0) {
			errno = EFBIG;
			return false;
		}
		out->n += (size_t)got;
		chunk = out->cap > out->n ? out->cap - out->n : READ_CHUNK;
	}
}

bool
file_slurp(int dir, const char *name, struct buf *out)
{
	size_t before = out->n;
	int fd = file_open(dir, name, O_RDONLY, 0);
	bool good = fd != -1 && file_slurp_from(fd, out);

	if (!good)
		out->n = before;
	fd_close(&fd);
	return good;
}

/* A new file beside the one to be replaced, under a name that no component from outside has. */
static int
open_temporary(int dir, char name[32], mode_t mode)
{
	for (int i = 0; i < TMP_TRIES; i++) {
		uint64_t chance;
		int fd;

		random_fill(&chance, sizeof chance);
		snprintf(name, 32, ".tmp.%016llx", (unsigned long long)chance);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		if (fd != -1 || errno != EEXIST)
			return fd;
	}
	return -1;
}

/* fd is taken. */
static bool
replace_by(int dir, const char *name, const char *tmp, int fd, struct bytes content)
{
	bool good;

	if (fd == -1)
		return false;
	good = file_write(fd, content) && fsync(fd) == 0;
	if (good && close(fd) == -1)		/* NFS and quotas: a last chance to say no */
		good = false;
	else if (!good)
		fd_close(&fd);
	if (!good || renameat(dir, tmp, dir, name) == -1) {
		int saved = errno;

		unlinkat(dir, tmp, 0);
		errno = saved;
		return false;
	}
	return dir_sync(dir);
}

static bool
replace_in(int dir, const char *name, struct bytes content, mode_t mode)
{
	char tmp[32];
	int fd = open_temporary(dir, tmp, mode);

	return replace_by(dir, name, tmp, fd, content);
}

bool
file_replace_locked(int dir, const char *name, const char *tmp, struct bytes content, mode_t mode)
{
	int fd;

	if (unlinkat(dir, tmp, 0) == -1 && errno != ENOENT)
		return false;
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	return replace_by(dir, name, tmp, fd, content);
}

bool
file_replace(int dir, const char *name, struct bytes content, mode_t mode)
{
	struct bytes path = text(name);
	size_t slash = bytes_rfind(path, '/');
	char parent[4096] = ".";
	bool good;
	int fd;

	if (slash == path.n && dir != AT_FDCWD)
		return replace_in(dir, name, content, mode);
	if (slash < path.n && !bytes_to_text(bytes_head(path, slash + 1), parent, sizeof parent)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = openat(dir, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	good = fd != -1
	    && replace_in(fd, slash < path.n ? name + slash + 1 : name, content, mode);
	fd_close(&fd);
	return good;
}

int
dir_open(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

DIR *
dir_stream(int dir, const char *name)
{
	int fd = dir_open(dir, name);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);

	if (!d)
		fd_close(&fd);
	return d;
}

bool
dir_make(int dir, const char *name, mode_t mode)
{
	struct stat st;

	if (mkdirat(dir, name, mode) == 0)
		return true;
	if (errno != EEXIST || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	errno = ENOTDIR;
	return S_ISDIR(st.st_mode);
}

/* On an open file of its own: the one that was handed over is the other processes', too. */
int
dir_lock(int dir, unsigned tries)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (unsigned i = 0; fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == -1; i++) {
		if (errno != EWOULDBLOCK || i == tries) {
			fd_close(&fd);
			break;
		}
		usleep(LOCK_TRY_US);
	}
	return fd;
}

bool
dir_sync(int dir)
{
	return fsync(dir) == 0;
}

/* O_NONBLOCK: a FIFO, a device or a lease that is being broken must not hold us. */
int
file_open(int dir, const char *name, int flags, mode_t mode)
{
	int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
	struct stat st;
	int saved;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0) {
		errno = EINVAL;
		if (S_ISREG(st.st_mode)
		    && fcntl(fd, F_SETFL, flags & (O_APPEND | O_DIRECT | O_NOATIME)) == 0)
			return fd;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

#define PUT_BACK_S	60	/* nobody writes to a file and takes so long to rename it */

uint64_t
file_home(const struct stat *st)
{
	return st->st_ctim.tv_sec - PUT_BACK_S > st->st_mtim.tv_sec ? 0 : st->st_ino;
}

bool
file_component(struct bytes name, bool leading_dot, char dst[FILE_COMPONENT_MAX + 1])
{
	dst[0] = '\0';
	if (name.n == 0 || name.n > FILE_COMPONENT_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] < ' ' || name.p[i] == 0x7f || name.p[i] == '/')
			return false;
	if (bytes_eq(name, text(".")) || bytes_eq(name, text("..")))
		return false;
	if (name.p[0] == '.' && !leading_dot)
		return false;
	return bytes_to_text(name, dst, FILE_COMPONENT_MAX + 1);
}

static void
set_flag(int fd, int get, int set, int flag, bool on)
{
	int old = fcntl(fd, get);

	if (old == -1 || ((old & flag) != (on ? flag : 0)
	    && fcntl(fd, set, on ? old | flag : old & ~flag) == -1))
		log_fatal("cannot set a flag of descriptor %d: %s", fd, strerror(errno));
}

bool
file_standard(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1
		    && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDWR) != fd)	/* lint: kept over an exec */
			return false;
	return true;
}

void
fd_nonblock(int fd, bool on)
{
	set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

void
fd_cloexec(int fd, bool on)
{
	set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd != -1)
		close(*fd);
	*fd = -1;
	errno = saved;
}

bool
file_ext4_ordered(int fd)
{
	char link[64], target[512], path[600], options[4096];
	struct stat st;
	const char *base;
	ssize_t n;
	int in;

	if (fstat(fd, &st) == -1)
		return false;
	snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	n = readlink(link, target, sizeof target - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	base = strrchr(target, '/');
	snprintf(path, sizeof path, "/proc/fs/ext4/%s/options", base ? base + 1 : target);
	in = open(path, O_RDONLY | O_CLOEXEC);
	n = in == -1 ? -1 : read(in, options, sizeof options - 1);
	fd_close(&in);
	if (n <= 0)
		return false;
	options[n] = '\0';
	return strstr(options, "\ndata=ordered") || strstr(options, "\ndata=journal");
}
