/* SPDX-License-Identifier: ISC */
/* What a process can still do when it is confined, and what not: each row is tried in a fork. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "daemon/daemon.h"

static char	 scratch[64];
static int	 dir, other, proc_fd;

/* ---- what is tried: 0, or an errno ---- */

static int
result(int st)
{
	int e = st == -1 ? errno : 0;

	if (st > 2)
		close(st);
	return e;
}

static int try_open(void)	{ return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }
static int try_up(void)		{ return result(openat(dir, "../../../etc/passwd", O_RDONLY | O_CLOEXEC)); }
static int try_read(void)	{ return result(openat(dir, "file", O_RDONLY | O_CLOEXEC)); }
static int try_write(void)	{ return result(openat(dir, "file", O_WRONLY | O_CLOEXEC)); }
static int try_make(void)	{ return result(openat(dir, "made", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); }
static int try_unlink(void)	{ return result(unlinkat(dir, "made", 0)); }
static int try_other(void)	{ return result(openat(other, "file", O_RDONLY | O_CLOEXEC)); }
static int try_socket(void)	{ return result(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }
static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid == -1 ? errno : (waitpid(pid, NULL, 0), 0);
}
static int try_exec(void)	{ char *no[] = { NULL }; return result(execve("/no/such", no, no)); }
static int try_setuid(void)	{ return result(setresuid(getuid(), getuid(), getuid())); }
static int try_lease(void)
{
	int fd = openat(dir, "file", O_RDONLY | O_CLOEXEC);

	return result(fcntl(fd, F_SETLEASE, F_RDLCK));
}
static int try_pair(void)	{ int p[2]; return result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p)); }
static int try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}
static int try_memory(void)	{ free(calloc(1, 1 << 22)); return 0; }
static int try_name(void)	{ return result(prctl(PR_SET_NAME, "deliver")); }
static int try_dumpable(void)	{ return result(prctl(PR_SET_DUMPABLE, 1)); }
static int try_signal(void)	{ return result(kill(getppid(), 0)); }
static int try_fstat(void)	{ struct stat st; return result(fstat(dir, &st)); }

#define R	KEEP_FILES
#define W	(KEEP_FILES | KEEP_WRITE)

static const struct {
	const char	*name;
	int		(*attempt)(void);
	unsigned	 keep;
	int		 want, or;	/* an errno, 0 for success; `or`: another that is as good, and
					 * what Landlock says where sanitizers may call open(2) */
} cases[] = {
	{ "open",		try_open,	0,	EPERM, EACCES },
	{ "open, outside",	try_open,	R,	EACCES, 0 },
	{ "open, upwards",	try_up,		W,	EACCES, 0 },
	{ "open, not kept",	try_other,	W,	EACCES, 0 },
	{ "read",		try_read,	0,	EPERM, EACCES },
	{ "read, kept",		try_read,	R,	0, 0 },
	{ "write",		try_write,	R,	EPERM, EACCES },
	{ "write, kept",	try_write,	W,	0, 0 },
	{ "make",		try_make,	R,	EPERM, EACCES },
	{ "make, kept",		try_make,	W,	0, 0 },
	{ "unlink",		try_unlink,	R,	EPERM, EACCES },
	{ "unlink, kept",	try_unlink,	W,	0, 0 },
	{ "lease",		try_lease,	W,	EPERM, 0 },
	{ "lease, kept",	try_lease,	W | KEEP_LEASE,	0, 0 },
	{ "socket",		try_socket,	0,	EPERM, 0 },
	{ "socket, kept",	try_socket,	KEEP_NET_OUT,	0, 0 },
	{ "fork",		try_fork,	W,	EPERM, 0 },
	{ "fork, kept",		try_fork,	KEEP_FORK, 0, 0 },
	{ "exec",		try_exec,	W,	EPERM, 0 },
	{ "exec, kept",		try_exec,	W | KEEP_EXEC, ENOENT, 0 },
	{ "setuid",		try_setuid,	W,	EPERM, 0 },
	{ "setuid, kept",	try_setuid,	KEEP_UID, 0, 0 },
	{ "code",		try_code,	W,	EPERM, 0 },
	{ "dumpable",		try_dumpable,	0,	EPERM, 0 },
	{ "signal",		try_signal,	W,	EPERM, 0 },
	{ "pair",		try_pair,	0,	0, 0 },
	{ "memory",		try_memory,	0,	0, 0 },
	{ "name",		try_name,	0,	0, 0 },
	{ "fstat",		try_fstat,	0,	0, 0 },
};

static int
in_confined_fork(int (*attempt)(void), unsigned keep)
{
	pid_t pid = fork();
	int st = 0;

	if (pid == 0) {
		worker_confine("confine_test", keep, &dir, keep & KEEP_FILES ? 1 : 0);
		_exit(attempt());
	}
	assert_true(pid > 0 && waitpid(pid, &st, 0) == pid);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -WTERMSIG(st);
}

static void
test_rights(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		int got = in_confined_fork(cases[i].attempt, cases[i].keep);

		if (got != cases[i].want && (got != cases[i].or || cases[i].or == 0))
			fail_msg("%s: %d (%s)", cases[i].name, got, got > 0 ? strerrorname_np(got) : "");
	}
}

/* ---- a worker of become: two filters, the second of which says only what the first leaves ---- */

#define BECOME	(W | KEEP_FORK | KEEP_UID)
#define CALLS	480		/* more numbers than there are calls */

/* Whether it is denied, with arguments that no call takes; what it does otherwise does not matter. */
static bool
denied(long nr, bool of_become)
{
	struct itimerval soon = { .it_value.tv_usec = 300000 };
	pid_t pid = fork();
	int st = 0;

	if (pid == 0) {
		for (int sig = 1; sig < SIGRTMIN; sig++)
			signal(sig, SIG_DFL);		/* cmocka goes on with its tests after some */
		if (of_become) {
			worker_prepare(W, BECOME);
			worker_confine("confine_test", BECOME, NULL, 0);
		}
		worker_confine("confine_test", W, &dir, 1);
		setitimer(ITIMER_REAL, &soon, NULL);
		_exit(syscall(nr, -1l, -1l, -1l, -1l, -1l, -1l) == -1 && errno == EPERM ? 1 : 0);
	}
	assert_true(pid > 0 && waitpid(pid, &st, 0) == pid);
	return WIFEXITED(st) && WEXITSTATUS(st) == 1;
}

static void
test_worker_denials(void **state)
{
	unsigned both = 0;

	(void)state;
	for (long nr = 0; nr < CALLS; nr++) {
		bool alone = denied(nr, false), under = denied(nr, true);

		if (alone != under)
			fail_msg("call %ld: %s to a worker of become", nr, under ? "denied" : "left");
		both += alone;
	}
	assert_true(both > CALLS / 2);
}

/* What a worker alone may do it may do there, too, but for a call that none makes (seccomp.c: worth_a_part). */
static void
test_worker_rights(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		pid_t pid;
		int st = 0, got;

		if (cases[i].keep != W && cases[i].keep != 0)
			continue;
		if (cases[i].attempt == try_name)
			continue;
		if ((pid = fork()) == 0) {
			worker_prepare(cases[i].keep, BECOME);
			worker_confine("confine_test", BECOME, NULL, 0);
			worker_confine("confine_test", cases[i].keep, &dir, cases[i].keep ? 1 : 0);
			_exit(cases[i].attempt());
		}
		assert_true(pid > 0 && waitpid(pid, &st, 0) == pid);
		got = WIFEXITED(st) ? WEXITSTATUS(st) : -WTERMSIG(st);
		if (got != cases[i].want && (got != cases[i].or || cases[i].or == 0))
			fail_msg("%s: %d (%s)", cases[i].name, got, got > 0 ? strerrorname_np(got) : "");
	}
}

/* ---- an unnamed file lives on under Landlock: what the queue is built on ---- */

static int
reopen(int fd, int flags)
{
	char self[16];

	snprintf(self, sizeof self, "%d", fd);
	return openat(proc_fd, self, flags | O_CLOEXEC);
}

static int
try_unnamed(void)
{
	int w = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600), r, again;
	char self[16];

	if (w == -1)
		return errno == EOPNOTSUPP ? 0 : 1;
	if (write(w, "x", 1) != 1 || (r = reopen(w, O_RDONLY)) == -1)
		return 2;
	if (fcntl(r, F_SETLEASE, F_RDLCK) != -1)
		return 3;		/* a writer is left */
	close(w);
	if (fcntl(r, F_SETLEASE, F_RDLCK) == -1 || fcntl(r, F_SETLEASE, F_UNLCK) == -1)
		return 4;
	if ((w = reopen(r, O_RDWR)) == -1 || write(w, "y", 1) != 1)
		return 5;
	snprintf(self, sizeof self, "%d", w);
	if (linkat(proc_fd, self, dir, "linked", AT_SYMLINK_FOLLOW) == -1 || fsync(w) == -1)
		return 6;
	if ((again = reopen(r, O_RDONLY)) == -1 || flock(again, LOCK_EX | LOCK_NB) == -1)
		return 7;
	if (mkdirat(dir, "below", 0700) == -1 || renameat(dir, "linked", dir, "below/linked") == -1)
		return 8;
	if (unlinkat(dir, "below/linked", 0) == -1 || unlinkat(dir, "below", AT_REMOVEDIR) == -1)
		return 9;
	return reopen(r, O_RDONLY) == -1 ? 10 : 0;
}

static void
test_unnamed(void **state)
{
	pid_t pid = fork();
	int st = 0;

	(void)state;
	if (pid == 0) {
		proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (geteuid() == 0) {		/* from inside an empty root, too */
			char empty[96];

			snprintf(empty, sizeof empty, "%s/empty", scratch);
			if (mkdir(empty, 0500) == -1 || chroot(empty) == -1 || chdir("/") == -1)
				_exit(100);
		}
		worker_confine("confine_test", W | KEEP_LEASE, &dir, 1);
		_exit(try_unnamed());
	}
	assert_true(pid > 0 && waitpid(pid, &st, 0) == pid);
	assert_int_equal(st, 0);
}

/* ---- what the kernel says of it ---- */

static int
try_status(void)
{
	static char page[8192];
	ssize_t n = pread(proc_fd, page, sizeof page - 1, 0);

	if (n <= 0)
		return 1;
	page[n] = '\0';
	if (!strstr(page, "\nNoNewPrivs:\t1\n"))
		return 2;
	if (!strstr(page, "\nSeccomp:\t2\n"))
		return 3;
	if (!strstr(page, "\nCapEff:\t0000000000000000\n") || !strstr(page, "\nCapPrm:\t0000000000000000\n"))
		return 4;
	return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 5;
}

static void
test_status(void **state)
{
	pid_t pid = fork();
	int st = 0;

	(void)state;
	if (pid == 0) {
		proc_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
		worker_confine("confine_test", 0, NULL, 0);
		_exit(try_status());
	}
	assert_true(pid > 0 && waitpid(pid, &st, 0) == pid);
	assert_int_equal(st, 0);
}

/* must() and abort(3) still end the process. */
static int
try_abort(void)
{
	abort();
}

static void
test_abort(void **state)
{
	int got;

	(void)state;
	got = in_confined_fork(try_abort, 0);
	assert_true(got == -SIGABRT);
}

/* ---- denials reach the journal, in test builds ---- */

static void
test_denials_are_said(void **state)
{
	unsigned char record[256];
	int fds[2];
	ssize_t n;
	pid_t pid;

	(void)state;
#ifndef HERMOD_TESTS
	skip();
#endif
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	pid = fork();
	if (pid == 0) {
		log_open(fds[1]);
		worker_confine("confine_test", 0, NULL, 0);
		try_socket();
		_exit(0);
	}
	close(fds[1]);
	assert_true(waitpid(pid, NULL, 0) == pid);
	n = recv(fds[0], record, sizeof record, 0);
	assert_true(n > 0 && bytes_ends(bytes_of(record, (size_t)n), text("denied system call socket")));
	close(fds[0]);
}

static int
prepare(void **state)
{
	char path[96];

	(void)state;
	snprintf(scratch, sizeof scratch, "/tmp/confine_test.XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	snprintf(path, sizeof path, "%s/dir", scratch);
	mkdir(path, 0700);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "%s/other", scratch);
	mkdir(path, 0700);
	other = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(openat(dir, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(openat(other, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(openat(dir, "made", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	log_name("confine_test");
	return 0;
}

static int
clean(void **state)
{
	(void)state;
	unlinkat(dir, "file", 0);
	unlinkat(dir, "made", 0);
	unlinkat(other, "file", 0);
	if (chdir(scratch) == 0) {
		rmdir("dir");
		rmdir("other");
		rmdir("empty");
	}
	return rmdir(scratch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_worker_denials),
		cmocka_unit_test(test_worker_rights),
		cmocka_unit_test(test_unnamed),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_denials_are_said),
	};

	return cmocka_run_group_tests(tests, prepare, clean);
}
