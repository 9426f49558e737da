/* SPDX-License-Identifier: ISC */
/*
 * daemon/attempt.c - in test builds SIGUSR2 makes a process try what it may not do
 * and say for each attempt how it went: "attempt NAME: refused (EPERM)" or
 * "attempt NAME: ALLOWED". It tries nothing that would do harm if it worked: what
 * could be changed is its own, or nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "daemon/confine.h"

#ifdef HERMOD_TESTS

/* Each returns -1 with errno when it was refused. */

static int
closed(int fd)
{
	if (fd != -1)
		close(fd);
	return fd;
}

static int try_open(void)	{ return closed(open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }
static int try_create(void)	{ return closed(open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600)); }
static int try_proc(void)	{ return closed(open("/proc/1/environ", O_RDONLY | O_CLOEXEC)); }
static int try_inet(void)	{ return closed(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static int try_inet6(void)	{ return closed(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }
static int try_unix(void)	{ return closed(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static int try_chroot(void)	{ return chroot("."); }
static int try_setuid(void)	{ return setuid(0); }
static int try_setgid(void)	{ return setgid(0); }
static int try_trace(void)	{ return (int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL); }
static int try_unshare(void)	{ return (int)syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */); }
static int try_mount(void)	{ return mount("none", "/", "tmpfs", 0, NULL); }
static int try_keys(void)	{ return (int)syscall(SYS_add_key, "user", "x", "x", 1, -3); }

/* To master: the one process that every one of ours could name. */
static int try_signal(void)	{ return kill(getppid(), 0); }

/* The address is of another family: EINVAL says that connect(2) was reached. */
static int
try_connect(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fds[2], st, saved;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) == -1)
		return -1;
	st = connect(fds[0], (struct sockaddr *)&to, sizeof to);
	saved = errno;
	if (st == -1 && saved == EINVAL)
		st = 0;
	close(fds[0]);
	close(fds[1]);
	errno = saved;
	return st;
}

static int
try_setuid_other(void)
{
	uid_t was = geteuid();

	if (setresuid((uid_t)-1, getuid() + 1, (uid_t)-1) == -1)
		return -1;
	must(setresuid((uid_t)-1, was, (uid_t)-1) == 0);
	return 0;
}

/* A file that is not there: where the call is allowed, that is what it says. */
static int
try_exec(void)
{
	char *argv[] = { "x", NULL };

	return execve("/hermod/no/such/program", argv, argv + 1) == -1 && errno == ENOENT ? 0 : -1;
}

static int
try_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	munmap(p, 4096);
	return 0;
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid == -1)
		return -1;
	waitpid(pid, NULL, 0);
	return 0;
}

static const struct { const char *name; int (*attempt)(void); } attempts[] = {
	{ "open", try_open },
	{ "create", try_create },
	{ "proc", try_proc },
	{ "inet", try_inet },
	{ "inet6", try_inet6 },
	{ "unix", try_unix },
	{ "connect", try_connect },
	{ "exec", try_exec },
	{ "code", try_code },
	{ "fork", try_fork },
	{ "trace", try_trace },
	{ "signal", try_signal },
	{ "setuid", try_setuid },
	{ "setuid-other", try_setuid_other },
	{ "setgid", try_setgid },
	{ "chroot", try_chroot },
	{ "unshare", try_unshare },
	{ "mount", try_mount },
	{ "keys", try_keys },
};

static void
make_attempts(void)
{
	for (size_t i = 0; i < LEN(attempts); i++) {
		errno = 0;
		if (attempts[i].attempt() == -1)
			log_info("attempt %s: refused (%s)", attempts[i].name, strerrorname_np(errno));
		else
			log_warn("attempt %s: ALLOWED", attempts[i].name);
	}
	log_info("attempts: all made");
}

static void
asked(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	make_attempts();
}

void
daemon_attempts(struct daemon *d)
{
	static struct event ev;

	if (evsignal_assign(&ev, d->loop.base, SIGUSR2, asked, NULL) != 0 || event_add(&ev, NULL) != 0)
		log_fatal("cannot watch SIGUSR2");
}

/* A worker is straight-line code that waits in a system call: it may log from a handler, which
 * nothing but this switch of test builds does. */
static void
worker_asked(int sig)
{
	int saved = errno;

	(void)sig;
	make_attempts();
	errno = saved;
}

void
worker_attempts(void)
{
	struct sigaction sa = { .sa_handler = worker_asked, .sa_flags = SA_RESTART };

	must(sigaction(SIGUSR2, &sa, NULL) == 0);
}

#else

void
daemon_attempts(struct daemon *d)
{
	(void)d;
}

void
worker_attempts(void)
{
}

#endif
