/* SPDX-License-Identifier: ISC */
#include "base/fault.h"

#ifdef HERMOD_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"

#define RULES_MAX	32
#define PROGRAM_MAX	32		/* octets of a program's name, with its NUL */
#define RECORD_FD	200		/* at least: out of the way of descriptors with fixed numbers */
#define HEADER		120		/* octets of a record before its names, see fault.h */
#define MAGIC		0x43455248u

/* A name of the list, and what it is called by the linker, declared and begun. */
#define WRAP(type, name, ...)					\
	type __real_##name(__VA_ARGS__);			\
	type __wrap_##name(__VA_ARGS__);			\
	type __wrap_##name(__VA_ARGS__)

/* The same call under another name: of large files, or of _FORTIFY_SOURCE. */
#define ALIAS(type, name, ...)					\
	type __wrap_##name(__VA_ARGS__);			\
	type __wrap_##name(__VA_ARGS__)

#define CALLS(X)	X(malloc) X(calloc) X(realloc) X(open) X(openat) X(write) X(pwrite)	\
	X(writev) X(fsync) X(fdatasync) X(link) X(linkat) X(rename) X(renameat) X(unlink)	\
	X(unlinkat) X(close) X(fork) X(mmap) X(ftruncate) X(mkdirat) X(sync_file_range)	\
	X(futimens) X(syncfs) X(pread) X(socket) X(bind) X(connect) X(send) X(recv)

#define AS_ENUM(name)	CALL_##name,
#define AS_TEXT(name)	#name,
enum call { CALLS(AS_ENUM) CALL_COUNT };
static const char *const call_names[] = { CALLS(AS_TEXT) };

enum effect { GO, FAIL, SHORT, KILL };

struct rule {
	char		 program[PROGRAM_MAX];	/* "*": any */
	enum call	 call;
	uint64_t	 nth;
	bool		 after;			/* and all that follow */
	bool		 confined;		/* counted since fault_confined */
	enum effect	 effect;
	int		 error;
};

static const struct { const char *name; int error; } errors[] = {
	{ "EACCES", EACCES }, { "EAGAIN", EAGAIN }, { "EBUSY", EBUSY }, { "EDQUOT", EDQUOT },
	{ "EEXIST", EEXIST }, { "EFBIG", EFBIG }, { "EINTR", EINTR }, { "EINVAL", EINVAL },
	{ "EIO", EIO }, { "ELOOP", ELOOP }, { "EMFILE", EMFILE }, { "EMLINK", EMLINK },
	{ "ENFILE", ENFILE }, { "ENOENT", ENOENT }, { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC },
	{ "EADDRNOTAVAIL", EADDRNOTAVAIL }, { "ECONNREFUSED", ECONNREFUSED }, { "ECONNRESET", ECONNRESET },
	{ "ENOBUFS", ENOBUFS }, { "EPIPE", EPIPE }, { "ETIMEDOUT", ETIMEDOUT },
	{ "EPERM", EPERM }, { "EROFS", EROFS }, { "ESTALE", ESTALE }, { "EXDEV", EXDEV },
};

/* Like the log, one for the process: the calls that come here carry no argument of ours. */
static struct {
	char		 program[PROGRAM_MAX];
	struct rule	 rules[RULES_MAX];
	size_t		 rules_n;
	uint64_t	 counts[CALL_COUNT];
	uint64_t	 before[CALL_COUNT];	/* of them: before fault_confined */
	bool		 confined;
	bool		 inside;		/* our own log line: neither counted nor recorded */
	int		 record_fd;		/* owned; -1: none */
	dev_t		 record_dev;
	ino_t		 record_ino;
} fault = { .record_fd = -1 };

/* ---- what fails */

static struct bytes
next_field(struct bytes *rule)
{
	return bytes_cut(rule, ':');
}

static bool
find_call(struct bytes name, enum call *out)
{
	for (size_t i = 0; i < CALL_COUNT; i++)
		if (bytes_eq(name, text(call_names[i]))) {
			*out = (enum call)i;
			return true;
		}
	return false;
}

static bool
find_effect(struct bytes name, struct rule *r)
{
	r->effect = bytes_eq(name, text("kill")) ? KILL : bytes_eq(name, text("short")) ? SHORT : FAIL;
	if (r->effect == SHORT)
		return r->call == CALL_write || r->call == CALL_pwrite || r->call == CALL_writev;
	if (r->effect == KILL)
		return true;
	for (size_t i = 0; i < LEN(errors); i++)
		if (bytes_eq(name, text(errors[i].name))) {
			r->error = errors[i].error;
			return true;
		}
	return false;
}

static bool
parse_rule(struct bytes rule, struct rule *r)
{
	struct bytes program = next_field(&rule), call = next_field(&rule), nth = next_field(&rule);

	r->confined = bytes_starts(nth, text("~"));
	nth = bytes_skip(nth, r->confined);
	r->after = bytes_ends(nth, text("+"));
	return program.n > 0 && bytes_to_text(program, r->program, sizeof r->program)
	    && find_call(call, &r->call)
	    && bytes_u64(bytes_head(nth, nth.n - r->after), UINT32_MAX, &r->nth) && r->nth > 0
	    && find_effect(rule, r);
}

static void
parse_rules(struct bytes all)
{
	while (all.n > 0) {
		struct bytes rule = bytes_cut(&all, ',');

		if (fault.rules_n == RULES_MAX || !parse_rule(rule, &fault.rules[fault.rules_n]))
			log_fatal("HERMOD_FAULT: not understood: %s", log_text(rule));
		fault.rules_n++;
	}
}

static void
say(const struct rule *r)
{
	int saved = errno;

	fault.inside = true;
	log_warn("fault: %s %llu of %s: %s", call_names[r->call],
	    (unsigned long long)fault.counts[r->call], fault.program,
	    r->effect == KILL ? "kill" : r->effect == SHORT ? "short" : strerrordesc_np(r->error));
	fault.inside = false;
	errno = saved;
}

/* By tgkill, which a filter of system calls leaves to abort(3); else an illegal instruction
 * ends it as suddenly. */
static _Noreturn void
die(void)
{
	fault.inside = true;
	log_flush();
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGKILL);
	__builtin_trap();
}

/* Counts the call; what is to become of it. FAIL: errno is set. */
static enum effect
ordered(enum call call)
{
	if (fault.inside || fault.rules_n == 0)
		return GO;
	fault.counts[call]++;
	for (size_t i = 0; i < fault.rules_n; i++) {
		const struct rule *r = &fault.rules[i];
		uint64_t count = fault.counts[call] - (r->confined ? fault.before[call] : 0);

		if ((r->confined && !fault.confined) || r->call != call || (count != r->nth && !(r->after && count > r->nth))
		    || (strcmp(r->program, "*") != 0 && strcmp(r->program, fault.program) != 0))
			continue;
		if (count == r->nth)
			say(r);
		if (r->effect == KILL)
			die();
		errno = r->error;
		return r->effect;
	}
	return GO;
}

static bool
fails(enum call call)
{
	return ordered(call) == FAIL;
}

static void
count_anew(void)
{
	memset(fault.counts, 0, sizeof fault.counts);
	fault.confined = false;
}

void
fault_name(const char *program)
{
	snprintf(fault.program, sizeof fault.program, "%s", program);
	count_anew();
}

void
fault_confined(void)
{
	memcpy(fault.before, fault.counts, sizeof fault.before);
	fault.confined = true;
}

/* ---- what is recorded */

struct change {
	enum fault_op	 op;
	unsigned	 flags;
	struct stat	 file;
	struct stat	 dir, to_dir;		/* of the two names; zero when there is none */
	struct bytes	 name, to;
	uint64_t	 at;
	struct bytes	 data;
};

int __real_close(int);
int __real_open(const char *, int, ...);
ssize_t __real_writev(int, const struct iovec *, int);

static unsigned char *
put(unsigned char *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*p++ = (unsigned char)(v >> (8 * i));
	return p;
}

static void
put_header(unsigned char h[HEADER], const struct change *c, size_t size)
{
	struct timespec now;
	unsigned char *p = h;

	clock_gettime(CLOCK_MONOTONIC, &now);
	p = put(p, MAGIC, 4);
	p = put(p, size, 4);
	p = put(p, c->op, 2);
	p = put(p, c->name.n, 2);
	p = put(p, c->to.n, 2);
	p = put(p, 0, 2);
	p = put(p, (uint64_t)getpid(), 4);
	p = put(p, c->flags, 4);
	p = put(p, c->file.st_mode, 4);
	p = put(p, c->file.st_uid, 4);
	p = put(p, c->file.st_gid, 4);
	p = put(p, 0, 4);
	p = put(p, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, 8);
	p = put(p, c->file.st_dev, 8);
	p = put(p, c->file.st_ino, 8);
	p = put(p, c->dir.st_dev, 8);
	p = put(p, c->dir.st_ino, 8);
	p = put(p, c->to_dir.st_dev, 8);
	p = put(p, c->to_dir.st_ino, 8);
	p = put(p, c->at, 8);
	memset(p, 0, 16);
	memcpy(p, fault.program, strnlen(fault.program, 16));
}

static struct iovec
part(struct bytes s)
{
	return (struct iovec){ (void *)(uintptr_t)s.p, s.n };
}

/* A descriptor that was closed may by now be somebody's mail. */
static void
still_the_recording(void)
{
	struct stat st;

	if (fstat(fault.record_fd, &st) == -1 || st.st_dev != fault.record_dev
	    || st.st_ino != fault.record_ino) {
		fault.record_fd = -1;
		log_fatal("the recording was closed: leave fault_fd() open");
	}
}

static void
emit(const struct change *c)
{
	unsigned char header[HEADER];
	size_t size = HEADER + c->name.n + c->to.n + c->data.n;
	struct iovec parts[] = { { header, HEADER }, part(c->name), part(c->to), part(c->data) };

	still_the_recording();
	if (c->name.n > UINT16_MAX || c->to.n > UINT16_MAX || size > UINT32_MAX)
		log_fatal("recording: more than a record can hold");
	put_header(header, c, size);
	if (__real_writev(fault.record_fd, parts, LEN(parts)) != (ssize_t)size) {
		fault.inside = true;
		log_fatal("recording: %s", strerrordesc_np(errno));
	}
}

/* The folder that a path is in, and the name there. */
static bool
split(int dirfd, const char *path, struct stat *dir, struct bytes *name)
{
	struct bytes all = text(path);
	size_t slash = bytes_rfind(all, '/');
	char parent[4096];

	*name = slash < all.n ? bytes_skip(all, slash + 1) : all;
	if (slash == all.n)
		return dirfd == AT_FDCWD ? stat(".", dir) == 0 : fstat(dirfd, dir) == 0;
	return bytes_to_text(bytes_head(all, slash > 0 ? slash : 1), parent, sizeof parent)
	    && fstatat(dirfd, parent, dir, 0) == 0;
}

static bool
recording(void)
{
	return fault.record_fd != -1 && !fault.inside;
}

static void
unknown(const char *what, const char *path)
{
	fault.inside = true;
	log_fatal("recording: %s of %s: %s", what, log_text(text(path)), strerrordesc_np(errno));
}

static void
record_open(int fd, int dirfd, const char *path, int flags)
{
	struct change c = { .op = FAULT_OPEN, .flags = (unsigned)flags };
	bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	int saved = errno;

	if (!recording() || (!unnamed && !(flags & (O_CREAT | O_TRUNC))))
		return;
	if (fstat(fd, &c.file) == -1 || (unnamed ? fstatat(dirfd, path, &c.dir, 0) == -1
	    : !split(dirfd, path, &c.dir, &c.name)))
		unknown("open", path);
	if (S_ISREG(c.file.st_mode))
		emit(&c);
	errno = saved;
}

/* Of a descriptor: a write (data), a new length, a sync, times (at is the file's then). */
static void
record_fd(enum fault_op op, int fd, uint64_t at, struct bytes data)
{
	struct change c = { .op = op, .at = at, .data = data };
	int saved = errno;

	if (!recording())
		return;
	if (fstat(fd, &c.file) == -1)
		unknown("fstat", "a descriptor");
	if (op == FAULT_TIMES)
		c.at = (uint64_t)c.file.st_mtim.tv_sec;
	if (S_ISREG(c.file.st_mode) || (S_ISDIR(c.file.st_mode) && (op == FAULT_FSYNC || op == FAULT_SYNCFS)))
		emit(&c);
	errno = saved;
}

/* A write at the file's own position, which is behind it by now (O_APPEND too). */
static void
record_write(int fd, struct bytes data)
{
	struct stat st;
	off_t end;
	int saved = errno;

	if (!recording())
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		end = lseek(fd, 0, SEEK_CUR);
		if (end == -1)
			unknown("lseek", "a descriptor");
		record_fd(FAULT_WRITE, fd, (uint64_t)end - data.n, data);
	}
	errno = saved;
}

/* Of names; to_path is NULL but for a rename. c has the file, where it is known. */
static void
record_name(struct change *c, int dirfd, const char *path, int to_dirfd, const char *to_path)
{
	int saved = errno;

	if (!recording())
		return;
	if (!split(dirfd, path, &c->dir, &c->name)
	    || (to_path && !split(to_dirfd, to_path, &c->to_dir, &c->to)))
		unknown("a name", path);
	emit(c);
	errno = saved;
}

/* The file behind a name, unless another process has already taken it away. */
static void
look_at(struct change *c, int dirfd, const char *path, int flags)
{
	int saved = errno;

	if (recording() && fstatat(dirfd, path, &c->file, flags) == -1 && errno != ENOENT)
		unknown("stat", path);
	errno = saved;
}

static void
open_recording(const char *path)
{
	struct stat st;
	int fd = __real_open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1 && errno == ENOENT)	/* not at once: of another's file in /tmp it is refused */
		fd = __real_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd != -1) {
		fault.record_fd = fcntl(fd, F_DUPFD_CLOEXEC, RECORD_FD);
		__real_close(fd);
	}
	if (fd == -1 || fault.record_fd == -1 || fstat(fault.record_fd, &st) == -1)
		log_fatal("HERMOD_RECORD: %s: %s", path, strerrordesc_np(errno));
	fault.record_dev = st.st_dev;
	fault.record_ino = st.st_ino;
}

void
fault_open(const char *program)
{
	const char *record = getenv("HERMOD_RECORD");

	fault_name(program);
	fault.rules_n = 0;
	parse_rules(text(getenv("HERMOD_FAULT")));
	if (fault.record_fd != -1)
		__real_close(fault.record_fd);
	fault.record_fd = -1;
	if (record && *record)
		open_recording(record);
}

int
fault_fd(void)
{
	return fault.record_fd;
}

/* ---- the calls */

_Static_assert(sizeof(off_t) == 8, "the names with 64 mean the same calls");

WRAP(void *, malloc, size_t n)
{
	return fails(CALL_malloc) ? NULL : __real_malloc(n);
}

WRAP(void *, calloc, size_t count, size_t each)
{
	return fails(CALL_calloc) ? NULL : __real_calloc(count, each);
}

WRAP(void *, realloc, void *p, size_t n)
{
	return fails(CALL_realloc) ? NULL : __real_realloc(p, n);
}

int __real_openat(int, const char *, int, ...);

static int
do_open(enum call call, int dirfd, const char *path, int flags, mode_t mode)
{
	int fd;

	if (fails(call))
		return -1;
	fd = __real_openat(dirfd, path, flags, mode);
	if (fd != -1)
		record_open(fd, dirfd, path, flags);
	return fd;
}

/* The mode is there only when a file may be made. */
#define GET_MODE(flags, mode)						\
	do {								\
		va_list ap;						\
		va_start(ap, flags);					\
		if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE)	\
			mode = va_arg(ap, mode_t);			\
		va_end(ap);						\
	} while (0)

ALIAS(int, open, const char *path, int flags, ...)
{
	mode_t mode = 0;

	GET_MODE(flags, mode);
	return do_open(CALL_open, AT_FDCWD, path, flags, mode);
}

ALIAS(int, open64, const char *path, int flags, ...)
{
	mode_t mode = 0;

	GET_MODE(flags, mode);
	return do_open(CALL_open, AT_FDCWD, path, flags, mode);
}

ALIAS(int, openat, int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	GET_MODE(flags, mode);
	return do_open(CALL_openat, dirfd, path, flags, mode);
}

ALIAS(int, openat64, int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	GET_MODE(flags, mode);
	return do_open(CALL_openat, dirfd, path, flags, mode);
}

ALIAS(int, __open_2, const char *path, int flags)
{
	return do_open(CALL_open, AT_FDCWD, path, flags, 0);
}

ALIAS(int, __open64_2, const char *path, int flags)
{
	return do_open(CALL_open, AT_FDCWD, path, flags, 0);
}

ALIAS(int, __openat_2, int dirfd, const char *path, int flags)
{
	return do_open(CALL_openat, dirfd, path, flags, 0);
}

ALIAS(int, __openat64_2, int dirfd, const char *path, int flags)
{
	return do_open(CALL_openat, dirfd, path, flags, 0);
}

/* Of a write of n octets: how many are tried. -1: it fails. */
static ssize_t
allowed(enum call call, size_t n)
{
	switch (ordered(call)) {
	case FAIL:	return -1;
	case SHORT:	return (ssize_t)(n > 1 ? n / 2 : n);
	default:	return (ssize_t)n;
	}
}

WRAP(ssize_t, write, int fd, const void *p, size_t n)
{
	ssize_t done = allowed(CALL_write, n);

	if (done == -1)
		return -1;
	done = __real_write(fd, p, (size_t)done);
	if (done > 0)
		record_write(fd, bytes_of(p, (size_t)done));
	return done;
}

WRAP(ssize_t, pwrite, int fd, const void *p, size_t n, off_t at)
{
	ssize_t done = allowed(CALL_pwrite, n);

	if (done == -1)
		return -1;
	done = __real_pwrite(fd, p, (size_t)done, at);
	if (done > 0)
		record_fd(FAULT_WRITE, fd, (uint64_t)at, bytes_of(p, (size_t)done));
	return done;
}

ALIAS(ssize_t, pwrite64, int fd, const void *p, size_t n, off_t at)
{
	return __wrap_pwrite(fd, p, n, at);
}

/* One record for all parts: joined, in memory that is not counted. */
static void
record_parts(int fd, const struct iovec *parts, int n, size_t done)
{
	unsigned char *all;
	size_t at = 0;

	if (!recording())
		return;
	all = __real_malloc(done);
	if (!all)
		log_fatal("recording: out of memory");
	for (int i = 0; i < n && at < done; i++) {
		size_t take = parts[i].iov_len < done - at ? parts[i].iov_len : done - at;

		memcpy(all + at, parts[i].iov_base, take);
		at += take;
	}
	record_write(fd, bytes_of(all, done));
	free(all);
}

ALIAS(ssize_t, writev, int fd, const struct iovec *parts, int n)
{
	enum effect effect = ordered(CALL_writev);
	ssize_t done;

	if (effect == FAIL)
		return -1;
	if (effect == SHORT && n > 0)		/* a half, at least one part */
		n = n > 1 ? n / 2 : n;
	done = __real_writev(fd, parts, n);
	if (done > 0)
		record_parts(fd, parts, n, (size_t)done);
	return done;
}

static int
after_sync(enum fault_op op, int fd, int done)
{
	if (done == 0)
		record_fd(op, fd, 0, bytes_of(NULL, 0));
	return done;
}

WRAP(int, fsync, int fd)
{
	return fails(CALL_fsync) ? -1 : after_sync(FAULT_FSYNC, fd, __real_fsync(fd));
}

WRAP(int, fdatasync, int fd)
{
	return fails(CALL_fdatasync) ? -1 : after_sync(FAULT_FDATASYNC, fd, __real_fdatasync(fd));
}

WRAP(int, syncfs, int fd)
{
	return fails(CALL_syncfs) ? -1 : after_sync(FAULT_SYNCFS, fd, __real_syncfs(fd));
}

WRAP(int, sync_file_range, int fd, off_t at, off_t n, unsigned flags)
{
	int done = fails(CALL_sync_file_range) ? -1 : __real_sync_file_range(fd, at, n, flags);

	if (done == 0 && (flags & SYNC_FILE_RANGE_WAIT_AFTER))	/* else it is a hint */
		record_fd(FAULT_SYNC_RANGE, fd, (uint64_t)at, bytes_of(NULL, 0));
	return done;
}

WRAP(int, futimens, int fd, const struct timespec t[2])
{
	int done = fails(CALL_futimens) ? -1 : __real_futimens(fd, t);

	if (done == 0)
		record_fd(FAULT_TIMES, fd, 0, bytes_of(NULL, 0));
	return done;
}

int __real_linkat(int, const char *, int, const char *, int);
int __real_renameat(int, const char *, int, const char *);
int __real_unlinkat(int, const char *, int);

static int
do_link(enum call call, int dir, const char *path, int to_dir, const char *to, int flags)
{
	struct change c = { .op = FAULT_LINK };
	int done = fails(call) ? -1 : __real_linkat(dir, path, to_dir, to, flags);

	if (done == 0) {	/* by its old name: whoever finds the new one may take that away at once */
		look_at(&c, dir, path, (flags & AT_EMPTY_PATH)
		    | (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW));
		record_name(&c, to_dir, to, -1, NULL);
	}
	return done;
}

static int
do_rename(enum call call, int dir, const char *path, int to_dir, const char *to)
{
	struct change c = { .op = FAULT_RENAME };
	int done = fails(call) ? -1 : __real_renameat(dir, path, to_dir, to);

	if (done == 0) {
		look_at(&c, to_dir, to, AT_SYMLINK_NOFOLLOW);
		record_name(&c, dir, path, to_dir, to);
	}
	return done;
}

static int
do_unlink(enum call call, int dir, const char *path, int flags)
{
	struct change c = { .op = FAULT_UNLINK, .flags = (unsigned)flags };
	int done = fails(call) ? -1 : __real_unlinkat(dir, path, flags);

	if (done == 0)
		record_name(&c, dir, path, -1, NULL);
	return done;
}

ALIAS(int, link, const char *path, const char *to)
{
	return do_link(CALL_link, AT_FDCWD, path, AT_FDCWD, to, 0);
}

ALIAS(int, linkat, int dir, const char *path, int to_dir, const char *to, int flags)
{
	return do_link(CALL_linkat, dir, path, to_dir, to, flags);
}

ALIAS(int, rename, const char *path, const char *to)
{
	return do_rename(CALL_rename, AT_FDCWD, path, AT_FDCWD, to);
}

ALIAS(int, renameat, int dir, const char *path, int to_dir, const char *to)
{
	return do_rename(CALL_renameat, dir, path, to_dir, to);
}

ALIAS(int, unlink, const char *path)
{
	return do_unlink(CALL_unlink, AT_FDCWD, path, 0);
}

ALIAS(int, unlinkat, int dir, const char *path, int flags)
{
	return do_unlink(CALL_unlinkat, dir, path, flags);
}

ALIAS(int, close, int fd)
{
	enum effect effect = ordered(CALL_close);
	int error = errno;

	if (effect == FAIL) {
		__real_close(fd);
		errno = error;
		return -1;
	}
	return __real_close(fd);
}

WRAP(pid_t, fork, void)
{
	pid_t pid = fails(CALL_fork) ? -1 : __real_fork();

	if (pid == 0)
		count_anew();
	return pid;
}

WRAP(void *, mmap, void *p, size_t n, int prot, int flags, int fd, off_t at)
{
	return fails(CALL_mmap) ? MAP_FAILED : __real_mmap(p, n, prot, flags, fd, at);
}

ALIAS(void *, mmap64, void *p, size_t n, int prot, int flags, int fd, off_t at)
{
	return __wrap_mmap(p, n, prot, flags, fd, at);
}

WRAP(int, ftruncate, int fd, off_t length)
{
	int done = fails(CALL_ftruncate) ? -1 : __real_ftruncate(fd, length);

	if (done == 0)
		record_fd(FAULT_TRUNCATE, fd, (uint64_t)length, bytes_of(NULL, 0));
	return done;
}

ALIAS(int, ftruncate64, int fd, off_t length)
{
	return __wrap_ftruncate(fd, length);
}

WRAP(int, mkdirat, int dir, const char *path, mode_t mode)
{
	struct change c = { .op = FAULT_MKDIR };
	int done = fails(CALL_mkdirat) ? -1 : __real_mkdirat(dir, path, mode);

	if (done == 0) {
		look_at(&c, dir, path, AT_SYMLINK_NOFOLLOW);
		record_name(&c, dir, path, -1, NULL);
	}
	return done;
}

/* ---- sockets, and what is read: nothing that is recorded */

WRAP(ssize_t, pread, int fd, void *p, size_t n, off_t at)
{
	return fails(CALL_pread) ? -1 : __real_pread(fd, p, n, at);
}

ALIAS(ssize_t, pread64, int fd, void *p, size_t n, off_t at)
{
	return __wrap_pread(fd, p, n, at);
}

WRAP(int, socket, int domain, int type, int protocol)
{
	return fails(CALL_socket) ? -1 : __real_socket(domain, type, protocol);
}

WRAP(int, bind, int fd, const struct sockaddr *sa, socklen_t n)
{
	return fails(CALL_bind) ? -1 : __real_bind(fd, sa, n);
}

WRAP(int, connect, int fd, const struct sockaddr *sa, socklen_t n)
{
	return fails(CALL_connect) ? -1 : __real_connect(fd, sa, n);
}

WRAP(ssize_t, send, int fd, const void *p, size_t n, int flags)
{
	return fails(CALL_send) ? -1 : __real_send(fd, p, n, flags);
}

WRAP(ssize_t, recv, int fd, void *p, size_t n, int flags)
{
	return fails(CALL_recv) ? -1 : __real_recv(fd, p, n, flags);
}

#endif
