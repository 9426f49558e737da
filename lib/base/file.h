/* SPDX-License-Identifier: ISC */
/*
 * base/file.h - files, safely. Every descriptor is close-on-exec. Functions
 * return false or -1 with errno set and log nothing, unless they say so.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

/* All of it, whatever EINTR and short counts do. */
bool	file_write(int fd, struct bytes s);
bool	file_pwrite(int fd, struct bytes s, off_t at);
/* Exactly n octets; a file that ends before is EIO. */
bool	file_pread(int fd, void *p, size_t n, off_t at);
/* The whole of a regular file up to out->max; EFBIG beyond. */
bool	file_slurp(int dir, const char *name, struct buf *out);
bool	file_slurp_from(int fd, struct buf *out);	/* the rest of what is open */
/* Through a temporary name in the same directory, fsync, rename, fsync of the directory. */
bool	file_replace(int dir, const char *name, struct bytes content, mode_t mode);
/* The same for whoever keeps others out by a lock: by way of tmp, in dir too. What a crash leaves of that name is gone
 * after the next replacement. */
bool	file_replace_locked(int dir, const char *name, const char *tmp, struct bytes content, mode_t mode);

/*
 * On ext4: whether it has a journal that orders data, as /proc/fs/ext4 says. Only then
 * does an fsync of a file make the name durable that was linked to it before, and the
 * link count with it. False where it cannot be told. Not after a process is confined.
 */
bool	file_ext4_ordered(int fd);

int	dir_open(int dir, const char *name);		/* O_DIRECTORY|O_NOFOLLOW */
DIR	*dir_stream(int dir, const char *name);		/* the same, to be read: "." has a place in it of its own */
bool	dir_make(int dir, const char *name, mode_t mode); /* EEXIST is fine when it is a directory */
/* A lock of all processes that have it, whichever handed it to which; closing what is returned ends it. tries: of 100 ms that
 * another may have it; 0: never waits. -1: not now. */
int	dir_lock(int dir, unsigned tries);
bool	dir_sync(int dir);

/* A regular file below dir, last component never a symbolic link, never blocking on a
 * FIFO or device: opened with O_NOFOLLOW|O_NONBLOCK, fstat'ed, ELOOP or EFTYPE-like
 * EINVAL refused, O_NONBLOCK taken off. */
int	file_open(int dir, const char *name, int flags, mode_t mode);

/*
 * The inode's number, by which a file knows itself that has it written down. 0: its last change is much older than
 * its inode's, as of a file that a program has put there with the times of another: one that restores backups. The
 * number alone does not tell: one that is given up is often given again at once.
 */
uint64_t file_home(const struct stat *st);

/*
 * The one function that makes a path component out of a name from outside (user,
 * domain, mailbox): at most 200 octets; no '/', no NUL, no control; not empty, not
 * "." or ".."; no leading '.' unless leading_dot. False: not usable, dst is "".
 */
#define FILE_COMPONENT_MAX 200
bool	file_component(struct bytes name, bool leading_dot, char dst[FILE_COMPONENT_MAX + 1]);

/*
 * Standard input, output and errors are open, as /dev/null where the caller had closed them: else what is opened next
 * would be standard output, and get what is printed. Input that is not there cannot be read: it is not empty.
 */
bool	file_standard(void);

/* Sets or clears; stops the process when the kernel refuses. */
void	fd_nonblock(int fd, bool on);
void	fd_cloexec(int fd, bool on);
void	fd_close(int *fd);		/* when not -1; sets -1. Keeps errno */

#endif
