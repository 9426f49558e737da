/* SPDX-License-Identifier: ISC */
/*
 * daemon/landlock.c - files, TCP and signals out of reach, but for what is below
 * directories that are held open (landlock(7)).
 *
 * What was found out and is relied on: a rule for a directory covers files that
 * have no name yet or no more. An unnamed file (O_TMPFILE) hangs below the directory
 * it was made in, an unlinked one below the one it was in; so both can be opened
 * anew through /proc/self/fd, leased, linked and locked, also from inside the empty
 * root (the rule belongs to the directory, not to a path to it). A test has it.
 * What was open before, or comes in a message, needs no rule.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/confine.h"

/* The kernel may be newer than its headers here: the numbers of its ABI. */
#define FS_FILE_READ	(LANDLOCK_ACCESS_FS_READ_FILE)
#define FS_TRUNCATE	(1ull << 14)	/* ABI 3 */
#define FS_IOCTL_DEV	(1ull << 15)	/* ABI 5 */
#define FS_FILE_WRITE	(LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define FS_ABI_1	((1ull << 13) - 1)
#define FS_REFER	(1ull << 13)	/* ABI 2: link and rename between directories */
#define FS_DIR_READ	(LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_DIR_WRITE	(LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE \
			| LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | FS_REFER)
#define NET_TCP		3ull		/* ABI 4: bind, connect */
#define SCOPE_SIGNAL	2ull		/* ABI 6: signals to processes that are not confined so */
#define SCOPE_ABSTRACT	1ull		/* ABI 6: abstract Unix sockets of such */

struct ruleset {			/* struct landlock_ruleset_attr of ABI 6; zero where older */
	uint64_t fs, net, scoped;
};

static uint64_t
rights_known(int abi)
{
	return FS_ABI_1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0)
	    | (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static bool
allow(int ruleset, const struct kept_dir *dir, uint64_t known)
{
	struct landlock_path_beneath_attr rule = { .parent_fd = dir->fd };
	struct stat st;

	if (fstat(dir->fd, &st) == -1)
		return false;
	rule.allowed_access = FS_FILE_READ | (dir->write ? FS_FILE_WRITE : 0);
	if (S_ISDIR(st.st_mode))
		rule.allowed_access |= FS_DIR_READ | (dir->write ? FS_DIR_WRITE : 0);
	rule.allowed_access &= known;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

/* Who may execute, or forks for others, keeps the host's files: uid, mode bits and, in the forks,
 * a ruleset of their own hold those. */
static bool
keeps_files(unsigned keep)
{
	return (keep & (KEEP_EXEC | KEEP_UID)) != 0;
}

/*
 * To link or rename from one directory to another is denied by every ruleset that does
 * not allow it, even one about the network alone, and to the forks of who has it: a
 * delivery that moves from tmp/ to new/ got EXDEV. So it is named, and allowed below "/".
 */
static struct ruleset
wanted(unsigned keep, int abi)
{
	struct ruleset r = { 0 };

	r.fs = keeps_files(keep) ? rights_known(abi) & FS_REFER : rights_known(abi);
	if (abi >= 4 && !(keep & KEEP_NET_OUT))
		r.net = NET_TCP;
	if (abi >= 6)
		r.scoped = SCOPE_SIGNAL | (keep & KEEP_NET_OUT ? 0 : SCOPE_ABSTRACT);
	return r;
}

static bool
allow_moves(int ruleset)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = FS_REFER };
	bool good;

	rule.parent_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	good = rule.parent_fd != -1
	    && syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
	if (rule.parent_fd != -1)
		close(rule.parent_fd);
	return good;
}

int
landlock_apply(unsigned keep, const struct kept_dir *dirs, size_t n)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset r;
	int fd;

	if (abi < 1) {
		log_warn("this kernel has no Landlock: the empty root and seccomp stand alone");
		return 0;
	}
	r = wanted(keep, abi);
	if (!r.fs && !r.net && !r.scoped)
		return abi;		/* nothing that this kernel could hold */
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof r, 0);
	if (fd == -1)
		log_fatal("cannot make a Landlock ruleset: %s", strerrordesc_np(errno));
	if (keeps_files(keep) && r.fs && !allow_moves(fd))
		log_fatal("cannot add a Landlock rule: %s", strerrordesc_np(errno));
	for (size_t i = 0; i < n && r.fs && !keeps_files(keep); i++)
		if (!allow(fd, &dirs[i], r.fs))
			log_fatal("cannot add a Landlock rule: %s", strerrordesc_np(errno));
	if (syscall(SYS_landlock_restrict_self, fd, 0) == -1)
		log_fatal("cannot apply Landlock: %s", strerrordesc_np(errno));
	close(fd);
	return abi;
}
