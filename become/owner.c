/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "become/become.h"

#define SERVICE_IDS 32		/* numeric ids from uid_base on that may be the suite's own (master/services.h) */

int
owner_allowed(const struct become_settings *s, struct owner o, uid_t self_uid, gid_t self_gid)
{
	if (self_uid != 0)
		return o.uid == self_uid && o.gid == self_gid ? 0 : EPERM;
	if (o.uid == 0 || o.gid == 0 || o.uid == UINT32_MAX || o.gid == UINT32_MAX)
		return EPERM;		/* -1 would leave setresuid's ids as they are */
	if (o.uid < s->first_uid || o.gid < s->first_gid)
		return EPERM;
	if (s->uid_base != 0 && ((o.uid >= s->uid_base && o.uid - s->uid_base < SERVICE_IDS)
	    || (o.gid >= s->uid_base && o.gid - s->uid_base < SERVICE_IDS)))
		return EPERM;
	return 0;
}

static bool
component_ok(struct bytes c)
{
	return c.n > 0 && c.n <= 255 && !bytes_eq(c, text(".")) && !bytes_eq(c, text("..")) && !bytes_has_control(c);
}

bool
owner_mailbox_ok(struct bytes mailbox)
{
	struct bytes path = mailbox, format = bytes_cut(&path, ':');

	if ((!bytes_eq(format, text("maildir")) && !bytes_eq(format, text("mbox")))
	    || path.n < 2 || path.n > 1000 || path.p[0] != '/')
		return false;
	path = bytes_skip(path, 1);
	if (path.p[path.n - 1] == '/')
		return false;
	while (path.n > 0)
		if (!component_ok(bytes_cut(&path, '/')))
			return false;
	return true;
}

static int
by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

void
owner_close_others(const int *keep, size_t n)
{
	int sorted[8], next = 3;

	if (n > LEN(sorted))
		_exit(1);
	for (size_t i = 0; i < n; i++)
		sorted[i] = keep[i];
	qsort(sorted, n, sizeof *sorted, by_number);
	for (size_t i = 0; i < n; i++) {
		if (sorted[i] < next)
			continue;
		if (sorted[i] > next && syscall(SYS_close_range, next, sorted[i] - 1, 0) == -1)
			_exit(1);
		next = sorted[i] + 1;
	}
	if (syscall(SYS_close_range, next, ~0u, 0) == -1)
		_exit(1);
}

static bool
is_now(struct owner o)
{
	uid_t u[3];
	gid_t g[3];

	return getresuid(&u[0], &u[1], &u[2]) == 0 && getresgid(&g[0], &g[1], &g[2]) == 0
	    && u[0] == o.uid && u[1] == o.uid && u[2] == o.uid
	    && g[0] == o.gid && g[1] == o.gid && g[2] == o.gid;
}

void
owner_become(struct owner o, pid_t parent, const char *name)
{
	bool root = geteuid() == 0;

	log_name(name);
	fault_name(name);
	signal(SIGCHLD, SIG_DFL);
	if (prctl(PR_SET_NAME, name, 0, 0, 0) == -1)
		log_fatal("cannot take the name %s", name);
	if (root && (setgroups(0, NULL) == -1
	    || setresgid(o.gid, o.gid, o.gid) == -1 || setresuid(o.uid, o.uid, o.uid) == -1))
		log_fatal("cannot become uid %u", (unsigned)o.uid);
	/* The way back must be shut, and all three ids be the owner's (a kernel under odd capabilities
	 * once answered yes and did nothing: CVE-2000-0506). */
	if (!is_now(o) || (root && getgroups(0, NULL) != 0)
	    || setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
		log_fatal("did not become uid %u", (unsigned)o.uid);
	/* Forgotten by the kernel when ids change, so it comes after them. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		log_fatal("cannot be bound to the life of become");
	if (getppid() != parent)
		_exit(0);		/* it died before it could be told */
}
