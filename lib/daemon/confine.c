/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/confine.h"

#define ROOT_FILE	"root"		/* the empty directory that master hands over */
#define BIT(cap)	(1ull << (cap))
#define BECOME_CAPS	(BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL)) /* it ends forks that do not end */

/* ---- capabilities (capabilities(7)) ---- */

struct caps { struct __user_cap_data_struct half[2]; };

static uint64_t
effective(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct caps c = { 0 };

	if (syscall(SYS_capget, &head, &c) == -1)
		return 0;
	return c.half[0].effective | (uint64_t)c.half[1].effective << 32;
}

static void
keep_caps(uint64_t keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct caps c = { .half = {
		{ .effective = (uint32_t)keep, .permitted = (uint32_t)keep },
		{ .effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32) },
	} };

	if (effective() & BIT(CAP_SETPCAP))	/* else nobody can come by them: no_new_privs */
		for (int cap = 0; cap < 64; cap++)
			if (!(keep & BIT(cap)))
				(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);	/* EINVAL past the last */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &head, &c) == -1)
		log_fatal("cannot drop capabilities: %s", strerrordesc_np(errno));
	must((effective() & ~keep) == 0);
}

/* ---- the file system ---- */

/* What / is now: "empty" directory, the process's "own", or the "host"'s. */
static const char *
enter_root(struct daemon *d, unsigned keep)
{
	const struct hidden *h = d->hidden;
	int empty = daemon_file(d, ROOT_FILE), root = empty != -1 && h->root != -1 ? h->root : empty;
	bool may = (effective() & BIT(CAP_SYS_CHROOT)) && !(keep & (KEEP_EXEC | KEEP_UID));

	if (root != -1 && may && (fchdir(root) == -1 || chroot(".") == -1))
		log_fatal("cannot enter the root that is meant for it: %s", strerrordesc_np(errno));
	if (chdir("/") == -1)
		log_fatal("cannot change to /: %s", strerrordesc_np(errno));
	return root == -1 || !may ? "host" : root == empty ? "empty" : "own";
}

/* Descriptors from outside the empty root lead out of it; Landlock has them all below one roof, and
 * this one is not needed any more. */
static void
close_root(struct daemon *d)
{
	for (size_t i = 0; i < d->nfds; i++)
		if (!d->fds[i].listener && strcmp(d->fds[i].name, ROOT_FILE) == 0)
			fd_close(&d->fds[i].fd);
}

/* Memory that is shared has no place below any directory, and no rule can name it. */
static bool
is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* What master handed over, and what the program has opened itself. */
static size_t
reachable(struct daemon *d, unsigned keep, struct kept_dir dirs[KEPT_DIRS + DAEMON_FDS + 1])
{
	struct hidden *h = d->hidden;
	size_t n = 0;
	int reports = sanitize_open();

	for (size_t i = 0; i < h->ndirs; i++)
		dirs[n++] = h->dirs[i];
	for (size_t i = 0; i < d->nfds && (keep & KEEP_FILES); i++)
		if (!d->fds[i].listener && strcmp(d->fds[i].name, ROOT_FILE) != 0
		    && is_directory(d->fds[i].fd))
			dirs[n++] = (struct kept_dir){ d->fds[i].fd, keep & KEEP_WRITE };
	if (reports != -1)
		dirs[n++] = (struct kept_dir){ reports, true };
	return n;
}

static void
no_new_rights(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		log_fatal("prctl: %s", strerrordesc_np(errno));
}

void
daemon_confine(struct daemon *d, unsigned keep)
{
	struct hidden *h = d->hidden;
	struct kept_dir dirs[KEPT_DIRS + DAEMON_FDS + 1];
	size_t ndirs = reachable(d, keep, dirs);
	const char *root;
	int abi;

	if (keep & KEEP_FILES)
		daemon_proc_fd(d);		/* while /proc is there */
	clock_open();
	daemon_attempts(d);
	filter_prepare(keep);
	root = enter_root(d, keep);
	keep_caps(keep & KEEP_UID ? effective() & BECOME_CAPS : 0);
	no_new_rights();
	abi = landlock_apply(keep, dirs, ndirs);
	close_root(d);
	filter_load(d->name, keep);
	fault_confined();
	snprintf(h->note, sizeof h->note, "root=%s landlock=%d", root, abi);
}

void
worker_prepare(unsigned keep, unsigned own)
{
	filter_prepare_fork(keep, own);
}

void
worker_confine(const char *name, unsigned keep, const int *dirs, size_t ndirs)
{
	struct kept_dir kept[KEPT_DIRS + 1];
	size_t n = 0;
	int reports = sanitize_open();

	must(ndirs <= KEPT_DIRS);
	for (; n < ndirs; n++)
		kept[n] = (struct kept_dir){ dirs[n], keep & KEEP_WRITE };
	if (reports != -1)
		kept[n++] = (struct kept_dir){ reports, true };
	sanitize_fork();
	worker_attempts();
	keep_caps(0);
	no_new_rights();
	landlock_apply(keep, kept, n);
	filter_load(name, keep);
	fault_confined();
}
