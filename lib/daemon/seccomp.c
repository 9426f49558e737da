/* SPDX-License-Identifier: ISC */
/*
 * daemon/seccomp.c - the system calls that a process keeps: one list, by KEEP_
 * bits. All others fail with EPERM. The filter is compiled by libseccomp once and
 * loaded as BPF: a worker that was forked loads what become has compiled. What holds for
 * become holds for its forks, too, and of two filters the stricter counts: so a
 * fork's own says only what else it gives up, which is a quarter for the kernel to compile.
 *
 * In test builds a denied call traps: the handler tells the journal which
 * it was and lets it fail with EPERM all the same. A program that is executed has
 * no such handler, and would die of the trap: with KEEP_EXEC nothing traps.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "daemon/confine.h"

#define OWN_PID		0x7e57f00du	/* stands in the compiled filter for the process's own pid */
#define FILTERS		4		/* compiled ones that are kept */

#if defined(HERMOD_TESTS) && (defined(__x86_64__) || defined(__aarch64__))
#define TRAPS
#endif

/* AddressSanitizer looks around when it finds something. */
#ifdef HERMOD_SANITIZED
#define KEEP_SANITIZED	0u
#else
#define KEEP_SANITIZED	~0u		/* nobody has all bits */
#endif

/* 0: everybody has it; else those whose `keep` has the bit. A call may stand here several times. */
static const struct { int nr; unsigned keep; } plain[] = {
#define CALL(name)	{ SCMP_SYS(name), 0 },
	/* descriptors that are open */
	CALL(read) CALL(write) CALL(readv) CALL(writev) CALL(pread64) CALL(pwrite64) CALL(preadv)
	CALL(pwritev) CALL(lseek) CALL(close) CALL(close_range) CALL(dup) CALL(dup2) CALL(dup3)
	CALL(flock) CALL(fstat) CALL(fstatfs) CALL(fsync) CALL(fdatasync) CALL(sendfile)
	CALL(copy_file_range) CALL(splice) CALL(fadvise64) CALL(readahead) CALL(pipe) CALL(pipe2)
	/* sockets that are open */
	CALL(recvmsg) CALL(sendmsg) CALL(recvfrom) CALL(sendto) CALL(recvmmsg) CALL(sendmmsg)
	CALL(getsockopt) CALL(setsockopt) CALL(getsockname) CALL(getpeername) CALL(shutdown)
	/* waiting */
	CALL(epoll_wait) CALL(epoll_pwait) CALL(epoll_pwait2) CALL(epoll_ctl) CALL(epoll_create1)
	CALL(poll) CALL(ppoll) CALL(select) CALL(pselect6) CALL(timerfd_create)
	CALL(timerfd_settime) CALL(timerfd_gettime) CALL(eventfd2) CALL(nanosleep)
	CALL(clock_nanosleep) CALL(futex) CALL(restart_syscall) CALL(sched_yield) CALL(pause)
	/* clocks, randomness, what one is */
	CALL(clock_gettime) CALL(clock_getres) CALL(gettimeofday) CALL(time) CALL(getrandom)
	CALL(getpid) CALL(gettid) CALL(getppid) CALL(getuid) CALL(geteuid) CALL(getgid)
	CALL(getegid) CALL(getgroups) CALL(getresuid) CALL(getresgid) CALL(uname) CALL(sysinfo)
	CALL(getrusage) CALL(times) CALL(sched_getaffinity) CALL(getcpu) CALL(capget)
	CALL(umask) CALL(getcwd) CALL(getpriority)
	/* memory, but for what may be executed */
	CALL(munmap) CALL(mremap) CALL(brk) CALL(madvise) CALL(msync) CALL(mincore) CALL(mlock)
	CALL(munlock)
	/* one's own signals and end */
	CALL(rt_sigaction) CALL(rt_sigprocmask) CALL(rt_sigreturn) CALL(rt_sigpending)
	CALL(rt_sigsuspend) CALL(sigaltstack) CALL(alarm) CALL(setitimer) CALL(exit)
	CALL(exit_group) CALL(rseq) CALL(membarrier) CALL(set_robust_list)
#undef CALL
#define CALL(name)	{ SCMP_SYS(name), KEEP_ACCEPT },
	CALL(accept) CALL(accept4)
#undef CALL
#define CALL(name)	{ SCMP_SYS(name), KEEP_FILES },
	CALL(newfstatat) CALL(stat) CALL(lstat) CALL(statx) CALL(statfs) CALL(access)
	CALL(faccessat) CALL(faccessat2) CALL(readlink) CALL(readlinkat) CALL(getdents)
	CALL(getdents64) CALL(fchdir) CALL(inotify_init1) CALL(inotify_add_watch) CALL(inotify_rm_watch)
#undef CALL
#define CALL(name)	{ SCMP_SYS(name), KEEP_WRITE },
	CALL(open) CALL(openat) CALL(openat2) CALL(creat) CALL(mkdir) CALL(mkdirat) CALL(link)
	CALL(linkat) CALL(rename) CALL(renameat) CALL(renameat2) CALL(unlink) CALL(unlinkat)
	CALL(rmdir) CALL(ftruncate) CALL(truncate) CALL(fallocate) CALL(sync_file_range)
	CALL(syncfs) CALL(utimensat) CALL(fchmod)
#undef CALL
#define CALL(name)	{ SCMP_SYS(name), KEEP_FORK },
	CALL(fork) CALL(vfork) CALL(clone) CALL(clone3) CALL(wait4) CALL(waitid) CALL(kill)
	CALL(signalfd4) CALL(rt_sigtimedwait) CALL(pidfd_send_signal) CALL(set_tid_address)
	CALL(setpgid) CALL(setsid) CALL(prlimit64) CALL(setrlimit)
#undef CALL
#define CALL(name)	{ SCMP_SYS(name), KEEP_NET_OUT },
	CALL(socket) CALL(connect) CALL(bind)
#undef CALL
#define CALL(name)	{ SCMP_SYS(name), KEEP_UID },
	CALL(setuid) CALL(setgid) CALL(setreuid) CALL(setregid) CALL(setresuid) CALL(setresgid)
	CALL(setgroups) CALL(setfsuid) CALL(setfsgid) CALL(capset) CALL(prctl) CALL(seccomp)
	CALL(landlock_create_ruleset) CALL(landlock_add_rule) CALL(landlock_restrict_self)
	CALL(memfd_create)
#undef CALL
#define CALL(name)	{ SCMP_SYS(name), KEEP_EXEC },	/* what a dynamic loader and libraries do */
	CALL(execve) CALL(execveat) CALL(mmap) CALL(mprotect) CALL(arch_prctl) CALL(prctl)
	CALL(personality) CALL(chdir) CALL(fchdir) CALL(getpgrp) CALL(getpgid) CALL(getsid)
	CALL(getrlimit) CALL(tgkill) CALL(ioctl) CALL(fcntl) CALL(setreuid) CALL(setregid)
	CALL(setresuid) CALL(setresgid) CALL(setuid) CALL(setgid) CALL(socketpair)
	CALL(memfd_create) CALL(pread64) CALL(sched_getparam) CALL(sched_getscheduler)
#undef CALL
#define CALL(name)	{ SCMP_SYS(name), KEEP_SANITIZED },
	CALL(open) CALL(openat) CALL(readlink) CALL(readlinkat) CALL(access) CALL(getrlimit)
	CALL(prlimit64) CALL(newfstatat) CALL(stat) CALL(getdents64) CALL(tgkill)
	CALL(memfd_create)
#undef CALL
};

/* Calls of which an argument decides: these bits of it (of an int the kernel, too, looks at 32). */
#define INT	UINT32_MAX
#define ALL	UINT64_MAX
static const struct { int nr; unsigned keep, arg; uint64_t mask, value; } argued[] = {
	{ SCMP_SYS(mmap),	0, 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect),	0, 2, PROT_EXEC, 0 },
	{ SCMP_SYS(newfstatat),	0, 3, AT_EMPTY_PATH, AT_EMPTY_PATH },	/* fstat(3) of newer C libraries */
	{ SCMP_SYS(statx),	0, 2, AT_EMPTY_PATH, AT_EMPTY_PATH },
	{ SCMP_SYS(open),	KEEP_FILES, 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
	{ SCMP_SYS(openat),	KEEP_FILES, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
	{ SCMP_SYS(socketpair),	0, 0, INT, AF_UNIX },
	{ SCMP_SYS(tgkill),	0, 0, INT, OWN_PID },		/* abort(3) */
	{ SCMP_SYS(prlimit64),	0, 2, ALL, 0 },			/* to read one: sysconf(3) */
	{ SCMP_SYS(ioctl),	0, 1, INT, FIONREAD },
	{ SCMP_SYS(ioctl),	0, 1, INT, FIONBIO },
	{ SCMP_SYS(ioctl),	0, 1, INT, TCGETS },		/* isatty(3) */
	{ SCMP_SYS(prctl),	0, 0, INT, PR_SET_NAME },
	{ SCMP_SYS(prctl),	0, 0, INT, PR_GET_NAME },
	{ SCMP_SYS(prctl),	0, 0, INT, PR_GET_DUMPABLE },
	{ SCMP_SYS(prctl),	KEEP_FORK, 0, INT, PR_SET_PDEATHSIG },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_DUPFD },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_DUPFD_CLOEXEC },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_GETFD },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_SETFD },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_GETFL },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_SETFL },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_GETLK },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_SETLK },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_SETLKW },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_OFD_GETLK },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_OFD_SETLK },
	{ SCMP_SYS(fcntl),	0, 1, INT, F_OFD_SETLKW },
	{ SCMP_SYS(fcntl),	KEEP_LEASE, 1, INT, F_SETLEASE },
	{ SCMP_SYS(fcntl),	KEEP_LEASE, 1, INT, F_GETLEASE },
	{ SCMP_SYS(fcntl),	KEEP_LEASE, 1, INT, F_SETSIG },
};

static bool
kept(unsigned needed, unsigned keep)
{
	return needed == 0 || (needed != ~0u && (keep & needed) == needed);
}

static bool
fine(int st)
{
	return st == 0 || st == -EEXIST;	/* a rule that says no more than another */
}

static bool
add_rules(scmp_filter_ctx ctx, unsigned keep)
{
	int st = 0;

	/* Numbers below zero are calls that this kind of machine does not have. */
	for (size_t i = 0; i < LEN(plain) && fine(st); i++)
		if (plain[i].nr >= 0 && kept(plain[i].keep, keep))
			st = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, plain[i].nr, 0);
	for (size_t i = 0; i < LEN(argued) && fine(st); i++)
		if (argued[i].nr >= 0 && kept(argued[i].keep, keep))
			st = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, argued[i].nr, 1,
			    SCMP_CMP(argued[i].arg, SCMP_CMP_MASKED_EQ, argued[i].mask, argued[i].value));
	errno = -st;
	return fine(st);
}

static bool
is_plain(int nr, unsigned keep)
{
	for (size_t i = 0; i < LEN(plain); i++)
		if (plain[i].nr == nr && kept(plain[i].keep, keep))
			return true;
	return false;
}

/* A call that `under` has whole and `keep` in part would have to be compared with all that it may not be. No worker
 * needs these two, so they are denied whole. */
static bool
worth_a_part(int nr)
{
	return nr != SCMP_SYS(prctl) && nr != SCMP_SYS(prlimit64);
}

/* Whether `keep` is what `under` leaves but for some calls. The sanitizers' own calls are asked of whole filters. */
static bool
rest_will_do(unsigned keep, unsigned under)
{
	if ((keep & ~under) != 0 || (under & KEEP_EXEC) || KEEP_SANITIZED == 0)
		return false;
	for (size_t i = 0; i < LEN(argued); i++)
		if (kept(argued[i].keep, keep) && is_plain(argued[i].nr, under) && !is_plain(argued[i].nr, keep)
		    && worth_a_part(argued[i].nr))
			return false;
	return true;
}

/* Denies what `under` leaves and `keep` does not. What is for one's own pid is denied whole: `under` has another's. */
static bool
add_rest(scmp_filter_ctx ctx, uint32_t denied, unsigned keep, unsigned under)
{
	int st = 0;

	for (size_t i = 0; i < LEN(plain) && fine(st); i++)
		if (plain[i].nr >= 0 && kept(plain[i].keep, under) && !is_plain(plain[i].nr, keep))
			st = seccomp_rule_add(ctx, denied, plain[i].nr, 0);
	for (size_t i = 0; i < LEN(argued) && fine(st); i++) {
		if (argued[i].nr < 0 || !kept(argued[i].keep, under) || is_plain(argued[i].nr, under))
			continue;
		if (argued[i].value == OWN_PID)
			st = seccomp_rule_add(ctx, denied, argued[i].nr, 0);
		else if (!kept(argued[i].keep, keep) && !is_plain(argued[i].nr, keep))
			st = seccomp_rule_add(ctx, denied, argued[i].nr, 1,
			    SCMP_CMP(argued[i].arg, SCMP_CMP_MASKED_EQ, argued[i].mask, argued[i].value));
	}
	errno = -st;
	return fine(st);
}

/* ---- compiled filters ---- */

struct filter {
	unsigned keep;
	bool	 rest;			/* only what `under` does not deny */
	unsigned under;			/* of the filter that holds already */
	size_t	 n;
	struct sock_filter *code;
};

static unsigned holding;		/* what the filter that this process has, or was forked with, keeps */
static bool holds;

static struct filter filters[FILTERS];
static size_t nfilters;

static bool
export(scmp_filter_ctx ctx, struct filter *f)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	off_t octets;
	bool good = false;

	if (fd == -1 || seccomp_export_bpf(ctx, fd) != 0)
		goto out;
	octets = lseek(fd, 0, SEEK_END);
	f->n = (size_t)octets / sizeof *f->code;
	f->code = mem_array(f->n, sizeof *f->code);
	good = octets > 0 && file_pread(fd, f->code, (size_t)octets, 0);
out:
	fd_close(&fd);
	return good;
}

static struct filter *
find_filter(unsigned keep, bool rest, unsigned under)
{
	for (size_t i = 0; i < nfilters; i++)
		if (filters[i].keep == keep && filters[i].rest == rest && filters[i].under == under)
			return &filters[i];
	return NULL;
}

static const struct filter *
filter_for(unsigned keep, bool rest, unsigned under)
{
	uint32_t denied = SCMP_ACT_ERRNO(EPERM);
	struct filter *f = find_filter(keep, rest, under);
	scmp_filter_ctx ctx;

	if (f)
		return f;
	must(nfilters < FILTERS);
	f = &filters[nfilters];
	f->keep = keep;
	f->rest = rest;
	f->under = under;
#ifdef TRAPS
	if (!(keep & KEEP_EXEC))
		denied = SCMP_ACT_TRAP;
#endif
	ctx = seccomp_init(rest ? SCMP_ACT_ALLOW : denied);
	if (!ctx || seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0
	    || !(rest ? add_rest(ctx, denied, keep, under) : add_rules(ctx, keep)) || !export(ctx, f))
		log_fatal("cannot make a filter of system calls: %s", strerrordesc_np(errno));
	seccomp_release(ctx);
	nfilters++;
	return f;
}

void
filter_prepare(unsigned keep)
{
	filter_for(keep, false, 0);
}

void
filter_prepare_fork(unsigned keep, unsigned under)
{
	if (rest_will_do(keep, under))
		filter_for(keep, true, under);
	else
		filter_for(keep, false, 0);
}

/* ---- the trap of test builds ---- */

#ifdef TRAPS

#define CALLS_MAX	512
#define SAID_MAX	3	/* times that each call is said */

static struct { char name[24]; unsigned said; } calls[CALLS_MAX];
static const char *own_name;

/* One record as base/log.h has it; only calls that a signal handler may make. */
static void
say_denied(int nr)
{
	static const char head[] = "denied system call ";
	unsigned char out[128];
	size_t name = strlen(own_name), call = strlen(calls[nr].name), n = 0;
	uint64_t wall = (uint64_t)clock_wall_us();
	uint32_t pid = (uint32_t)getpid();

	out[n++] = LOG_WARN_;
	out[n++] = (unsigned char)name;
	for (unsigned i = 0; i < 4; i++)
		out[n++] = (unsigned char)(pid >> (8 * i));
	for (unsigned i = 0; i < 8; i++)
		out[n++] = (unsigned char)(wall >> (8 * i));
	memcpy(out + n, own_name, name);
	n += name;
	memcpy(out + n, head, sizeof head - 1);
	n += sizeof head - 1;
	memcpy(out + n, calls[nr].name, call);
	n += call;
	if (log_fd() != -1)		/* without a journal there is nobody to tell */
		send(log_fd(), out, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
trapped(int sig, siginfo_t *si, void *context)
{
	ucontext_t *u = context;
	int saved = errno, nr = si->si_syscall;

	(void)sig;
	if (nr >= 0 && nr < CALLS_MAX && calls[nr].said < SAID_MAX) {
		calls[nr].said++;
		say_denied(nr);
	}
#ifdef __x86_64__
	u->uc_mcontext.gregs[REG_RAX] = -EPERM;
#else
	u->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#endif
	errno = saved;
}

static void
arm_trap(const char *name)
{
	struct sigaction sa = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };

	own_name = strlen(name) < 32 ? name : "?";
	for (int nr = CALLS_MAX - 1; nr >= 0 && calls[0].name[0] == '\0'; nr--) {
		char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		snprintf(calls[nr].name, sizeof calls[nr].name, "%d", nr);
		if (known)
			snprintf(calls[nr].name, sizeof calls[nr].name, "%s", known);
		free(known);
	}
	must(sigaction(SIGSYS, &sa, NULL) == 0);
}

#else

static void
arm_trap(const char *name)
{
	(void)name;
}

#endif

void
filter_load(const char *name, unsigned keep)
{
	const struct filter *f = holds && rest_will_do(keep, holding) ? filter_for(keep, true, holding)
	    : filter_for(keep, false, 0);
	struct sock_filter *code = mem_array(f->n, sizeof *code);
	struct sock_fprog prog = { .len = (unsigned short)f->n, .filter = code };

	memcpy(code, f->code, f->n * sizeof *code);
	for (size_t i = 0; i < f->n; i++)
		if (BPF_CLASS(code[i].code) == BPF_JMP && code[i].k == OWN_PID)
			code[i].k = (uint32_t)getpid();
	arm_trap(name);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == -1)
		log_fatal("cannot give up system calls: %s", strerrordesc_np(errno));
	holding = holds ? holding & keep : keep;
	holds = true;
	mem_free(code);
}
