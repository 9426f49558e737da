/* SPDX-License-Identifier: ISC */
/*
 * auth/secret.c - what fake keys are made from. With another secret a name that nobody has would get another salt, and
 * one that somebody has would not: so it outlives the process.
 */
#include "auth/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"

#define NAME	"scram.secret"

static bool
read_it(int dir, unsigned char out[ACCOUNT_SECRET])
{
	struct buf b;
	bool good;

	buf_init(&b, ACCOUNT_SECRET);
	good = file_slurp(dir, NAME, &b);
	if (good && b.n != ACCOUNT_SECRET) {
		errno = EBADMSG;
		good = false;
	}
	if (good)
		memcpy(out, b.p, ACCOUNT_SECRET);
	buf_wipe(&b);
	return good;
}

/* Whole under a name of its own, then linked: of two workers that do it at once both read what the first has made. */
static bool
make(int dir)
{
	unsigned char fresh[ACCOUNT_SECRET];
	char name[64];
	int fd;
	bool good;

	snprintf(name, sizeof name, NAME ".%d", (int)getpid());
	(void)unlinkat(dir, name, 0);
	fd = file_open(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd == -1)
		return false;
	random_fill(fresh, sizeof fresh);
	good = file_write(fd, bytes_of(fresh, sizeof fresh)) && fsync(fd) == 0
	    && (linkat(dir, name, dir, NAME, 0) == 0 || errno == EEXIST) && dir_sync(dir);
	explicit_bzero(fresh, sizeof fresh);
	if (unlinkat(dir, name, 0) == -1)
		good = false;
	fd_close(&fd);
	return good;
}

void
secret_read(int dir, unsigned char out[ACCOUNT_SECRET])
{
	if (dir != -1 && (read_it(dir, out) || (errno == ENOENT && make(dir) && read_it(dir, out))))
		return;
	log_errno("auth_directory/" NAME ": cannot be read or made; until the next start SCRAM has another, by which names "
	    "without an account can be told from others");
	random_fill(out, ACCOUNT_SECRET);
}
