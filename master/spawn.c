/* SPDX-License-Identifier: ISC */
/*
 * master/spawn.c - one process of the suite: fork, drop, execute. No daemon is root,
 * not even while it starts (become alone is); each keeps one ambient capability,
 * CAP_SYS_CHROOT, to enter the empty root with, and drops it there
 * (daemon/confine.c). Between fork and exec there are only system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "daemon/daemon.h"
#include "master/master.h"

#define ENV_MAX 32

/*
 * The environment is empty but for the time zone; in test builds what tests set for
 * the daemons goes through: failures on order, a false clock, sanitizers.
 */
static bool
env_passes(const char *e)
{
	static const char *const prefixes[] = {
		"TZ=",
#if defined(HERMOD_TESTS) || defined(HERMOD_SANITIZED)
		"HERMOD_", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "LD_PRELOAD=", "FAKETIME",
#endif
	};

	for (size_t i = 0; i < LEN(prefixes); i++)
		if (strncmp(e, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static char **
clean_environment(void)
{
	static char *env[ENV_MAX + 1];
	size_t n = 0;

	for (char **e = environ; *e && n < ENV_MAX; e++)
		if (env_passes(*e))
			env[n++] = *e;
	env[n] = NULL;
	return env;
}

/* A supplementary group: one of the suite's own, or the host's (shadow). */
static bool
group_id(const char *name, uint64_t uid_base, gid_t *gid)
{
	const struct group *gr;
	uid_t uid;

	for (const struct service *s = services; s->name; s++)
		if (s->user && strcmp(s->user, name) == 0)
			return service_ids(name, uid_base, &uid, gid);
	if (!(gr = getgrnam(name)))
		return false;
	*gid = gr->gr_gid;
	return true;
}

bool
spawn_prepare(struct spawn *s, const struct service *service, const struct config *c,
    const struct place *p, int control_fd)
{
	struct rlimit now;

	*s = (struct spawn){ .service = service, .control_fd = control_fd, .null_fd = p->null_fd,
	    .net_fd = service->net == NET_NONE ? p->net_fd : -1, .open_files = c->s.open_files };
	snprintf(s->path, sizeof s->path, "%s/%s", c->s.program_directory, service->name);
	if (getrlimit(RLIMIT_NOFILE, &now) == 0 && s->open_files > now.rlim_max)
		s->open_files = now.rlim_max;
	if (!service_ids(service->user, c->s.uid_base, &s->uid, &s->gid)) {
		log_warn("%s: there is no system user %s", service->name, service->user);
		return false;
	}
	if (service->group && geteuid() == 0) {
		if (!group_id(service->group, c->s.uid_base, &s->groups[s->ngroups++])) {
			log_warn("%s: there is no group %s", service->name, service->group);
			errno = EINVAL;
			return false;
		}
	}
	return true;
}

/* ---- in the child ----------------------------------------------------------------------- */

/* Permitted, effective, inheritable: these alone. */
static bool
capabilities(uint32_t mask)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { mask, mask, mask }, { 0, 0, 0 } };

	return syscall(SYS_capset, &head, data) == 0;
}

static bool
bound(uint32_t mask)
{
	for (int cap = 0; cap <= 63; cap++)
		if ((cap > 31 || !(mask & 1u << cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1
		    && errno != EINVAL)
			return false;
	return true;
}

/* become changes ids for each worker, and ends those that do not end. */
#define ROOT_CAPS	(1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL | 1u << CAP_SYS_CHROOT)
#define DROPPED_CAPS	(1u << CAP_SYS_CHROOT)

static bool
drop(const struct spawn *s)
{
	uint32_t caps = s->service->user ? DROPPED_CAPS : ROOT_CAPS;

	if (geteuid() != 0)
		return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
	if (!bound(caps) || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1
	    || setgroups(s->ngroups, s->groups) == -1
	    || setresgid(s->gid, s->gid, s->gid) == -1
	    || setresuid(s->uid, s->uid, s->uid) == -1
	    || !capabilities(caps) || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == -1)
		return false;
	if (s->service->user && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0, 0) == -1)
		return false;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* 0, 1, 2: /dev/null. 3: the control channel. All else is closed. */
static bool
arrange(const struct spawn *s)
{
	int control = fcntl(s->control_fd, F_DUPFD_CLOEXEC, 10);
	int null = fcntl(s->null_fd, F_DUPFD_CLOEXEC, 10);

	for (int fd = 0; fd <= 2; fd++)
		if (dup3(null, fd, 0) == -1)
			return false;
	return dup3(control, DAEMON_CONTROL_FD, 0) != -1
	    && syscall(SYS_close_range, DAEMON_CONTROL_FD + 1, ~0u, 0) == 0;
}

static void
signals_as_new(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool
limits(const struct spawn *s)
{
	struct rlimit files = { s->open_files, s->open_files }, none = { 0, 0 };

	return setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_CORE, &none) == 0;
}

static _Noreturn void
child(const struct spawn *s, char **env)
{
	char *argv[] = { (char *)s->service->name, NULL };

	signals_as_new();
	umask(077);
	if (setpgid(0, 0) == -1 || chdir("/") == -1 || (s->net_fd != -1 && setns(s->net_fd, CLONE_NEWNET) == -1)
	    || !limits(s) || !arrange(s) || !drop(s))
		_exit(126);
	execve(s->path, argv, env);
	_exit(127);
}

pid_t
spawn_process(const struct spawn *s)
{
	char **env = clean_environment();
	pid_t pid = fork();

	if (pid == 0)
		child(s, env);
	return pid;
}
