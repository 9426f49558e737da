/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/testing.h"

#ifdef HERMOD_FAULTS

static char scratch[] = "/tmp/hermod-fault-XXXXXX";
static int dir = -1;

static void
order(const char *rules)
{
	setenv("HERMOD_FAULT", rules, 1);
	fault_open("prog");
}

static void
remove_all(const char *const *names)
{
	for (; *names; names++)
		if (unlinkat(dir, *names, 0) == -1)
			unlinkat(dir, *names, AT_REMOVEDIR);
}

/* One call of the name; true when it has succeeded. */
static bool
call(const char *name)
{
	char c[4] = "abc";
	struct iovec parts[2] = { { c, 2 }, { c, 1 } };
	int fd = -1;
	void *p = NULL, *again;
	bool good = false;
	static const struct { const char *name; int which; } calls[] = {
		{ "malloc", 0 }, { "calloc", 1 }, { "realloc", 2 }, { "open", 3 }, { "openat", 4 },
		{ "write", 5 }, { "pwrite", 6 }, { "writev", 7 }, { "fsync", 8 }, { "fdatasync", 9 },
		{ "link", 10 }, { "linkat", 11 }, { "rename", 12 }, { "renameat", 13 },
		{ "unlink", 14 }, { "unlinkat", 15 }, { "close", 16 }, { "fork", 17 },
		{ "mmap", 18 }, { "ftruncate", 19 }, { "mkdirat", 20 }, { "sync_file_range", 21 },
		{ "pread", 22 }, { "socket", 23 }, { "bind", 24 }, { "connect", 25 }, { "send", 26 }, { "recv", 27 },
	};
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "none" };
	int pair[2];
	size_t i = 0;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	while (strcmp(calls[i].name, name) != 0)
		assert_true(++i < LEN(calls));
	fd = memfd_create("scratch", MFD_CLOEXEC);
	switch (calls[i].which) {
	case 0:  good = (p = malloc(3)) != NULL; break;
	case 1:  good = (p = calloc(1, 3)) != NULL; break;
	case 2:
		p = malloc(1);		/* of NULL the compiler would make a malloc */
		again = realloc(p, 3000);
		good = again != NULL;
		p = good ? again : p;
		break;
	case 3:  good = open("/dev/null", O_RDONLY | O_CLOEXEC) != -1; break;
	case 4:  good = openat(dir, "made", O_RDWR | O_CREAT | O_CLOEXEC, 0600) != -1; break;
	case 5:  good = write(fd, c, 3) == 3; break;
	case 6:  good = pwrite(fd, c, 3, 0) == 3; break;
	case 7:  good = writev(fd, parts, 2) == 3; break;
	case 8:  good = fsync(dir) == 0; break;
	case 9:  good = fdatasync(dir) == 0; break;
	case 10: good = link("from", "to") == 0; break;
	case 11: good = linkat(dir, "from", dir, "to", 0) == 0; break;
	case 12: good = rename("from", "to") == 0; break;
	case 13: good = renameat(dir, "from", dir, "to") == 0; break;
	case 14: good = unlink("from") == 0; break;
	case 15: good = unlinkat(dir, "from", 0) == 0; break;
	case 16: good = close(fd) == 0; fd = -1; break;
	case 17:
		pid = fork();
		if (pid == 0)
			_exit(0);
		good = pid != -1 && waitpid(pid, NULL, 0) == pid;
		break;
	case 18: good = mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; break;
	case 19: good = ftruncate(fd, 9) == 0; break;
	case 20: good = mkdirat(dir, "folder", 0700) == 0; break;
	case 22: good = pread(fd, c, 1, 0) == 0; break;
	case 23: good = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) != -1; break;
	case 24: good = bind(pair[0], (struct sockaddr *)&sa, sizeof sa.sun_family) == 0; break;
	case 25: good = connect(pair[0], (struct sockaddr *)&sa, sizeof sa) == -1 && errno == ENOENT; break;
	case 26: good = send(pair[0], c, 1, 0) == 1; break;
	case 27: good = write(pair[1], c, 1) == 1 && recv(pair[0], c, 1, 0) == 1; break;
	case 21: good = sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE) == 0; break;
	}
	free(p);
	i = (size_t)errno;
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	fd_close(&fd);
	errno = (int)i;
	return good;
}

static void
test_each_call(void **state)
{
	static const char *const names[] = { "malloc", "calloc", "realloc", "open", "openat", "write",
		"pwrite", "writev", "fsync", "fdatasync", "link", "linkat", "rename", "renameat",
		"unlink", "unlinkat", "close", "fork", "mmap", "ftruncate", "mkdirat", "sync_file_range",
		"pread", "socket", "bind", "connect", "send", "recv" };
	static const char *const left[] = { "made", "from", "to", "folder", NULL };

	(void)state;
	for (size_t i = 0; i < LEN(names); i++) {
		char rule[64];

		snprintf(rule, sizeof rule, "other:%s:1:EIO,prog:%s:1:ENOSPC", names[i], names[i]);
		order("");
		assert_true(file_replace(dir, "from", text("x"), 0600));
		order(rule);
		assert_row_int(names[i], call(names[i]), false);
		assert_row_int(names[i], errno, ENOSPC);
		if (strcmp(names[i], "fdatasync") != 0 && strcmp(names[i], "close") != 0)
			assert_row_int(names[i], call(names[i]), true);	/* only the first */
		order("");
		remove_all(left);
	}
}

static void
test_counting(void **state)
{
	static const struct { const char *rules; const char *fail; } cases[] = {
		{ "prog:fsync:1:EIO",			"x....." },
		{ "prog:fsync:3:EIO",			"..x..." },
		{ "prog:fsync:3+:EIO",			"..xxxx" },
		{ "*:fsync:2:EIO,prog:fsync:5:EDQUOT",	".x..x." },
		{ "prog2:fsync:1:EIO",			"......" },
		{ "prog:write:1:EIO",			"......" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		char got[7] = "";

		order(cases[i].rules);
		for (size_t n = 0; n < 6; n++)
			got[n] = fsync(dir) == 0 ? '.' : 'x';
		assert_row_bytes(cases[i].rules, text(got), text(cases[i].fail));
	}
	order("prog:fsync:2:EIO,worker:fsync:1:EIO");
	assert_int_equal(fsync(dir), 0);
	fault_name("worker");
	assert_int_equal(fsync(dir), -1);
	fault_name("prog");			/* counts from one again */
	assert_int_equal(fsync(dir), 0);
	assert_int_equal(fsync(dir), -1);
	order("prog:fsync:~2:EIO");
	assert_int_equal(fsync(dir), 0);
	assert_int_equal(fsync(dir), 0);
	fault_confined();
	assert_int_equal(fsync(dir), 0);
	assert_int_equal(fsync(dir), -1);
	order("");
}

static int
status_of_child(const char *rules, bool name)
{
	pid_t pid;
	int status;

	order("");
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(log_fd(), STDERR_FILENO);	/* what it says is expected */
		order(rules);
		if (name && fsync(dir) == 0 && fsync(dir) == -1)
			_exit(3);
		_exit(4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
test_kill(void **state)
{
	int status = status_of_child("prog:fsync:2:kill", true);

	(void)state;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(WEXITSTATUS(status_of_child("prog:fsync:2:EIO", true)), 3);
}

static void
test_short_writes(void **state)
{
	int fd = memfd_create("scratch", MFD_CLOEXEC);
	char got[11] = "";

	(void)state;
	order("prog:write:1+:short,prog:pwrite:1:short");
	assert_int_equal(write(fd, "0123456789", 10), 5);
	assert_int_equal(pwrite(fd, "0123456789", 10, 0), 5);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_true(file_write(fd, text("0123456789")));	/* goes on where it stopped */
	assert_int_equal(pread(fd, got, 10, 0), 10);
	assert_string_equal(got, "0123456789");
	order("");
	close(fd);
}

static void
test_wrong_rules(void **state)
{
	static const char *const wrong[] = { "x", "prog:fsync", "prog:fsync:0:EIO", "prog:fsync:1:EWHAT",
		"prog:sleep:1:EIO", "prog:fsync:+:EIO", "prog:fsync:1:EIO,", ":fsync:1:EIO",
		"prog:fsync:1:short", "prog:fsync:1x:EIO" };

	(void)state;
	for (size_t i = 0; i < LEN(wrong); i++) {
		int status = status_of_child(wrong[i], false);

		assert_row_int(wrong[i], WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		    strcmp(wrong[i], "prog:fsync:1:EIO,") == 0 ? 4 : 1);
	}
}

static uint64_t
number(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void
test_recording(void **state)
{
	static const struct { enum fault_op op; const char *name, *to, *data; uint64_t at; } want[] = {
		{ FAULT_OPEN,	"made", "",	"", 0 },
		{ FAULT_WRITE,	"", "",		"hello", 0 },
		{ FAULT_WRITE,	"", "",		" world", 5 },
		{ FAULT_WRITE,	"", "",		"HE", 0 },
		{ FAULT_WRITE,	"", "",		"ab", 11 },
		{ FAULT_FDATASYNC, "", "",	"", 0 },
		{ FAULT_TRUNCATE, "", "",	"", 4 },
		{ FAULT_TIMES,	"", "",		"", (uint64_t)-2 },
		{ FAULT_OPEN,	"", "",		"", 0 },	/* O_TMPFILE */
		{ FAULT_LINK,	"linked", "",	"", 0 },
		{ FAULT_FSYNC,	"", "",		"", 0 },
		{ FAULT_RENAME,	"linked", "moved", "", 0 },
		{ FAULT_MKDIR,	"folder", "",	"", 0 },
		{ FAULT_UNLINK,	"folder", "",	"", 0 },
		{ FAULT_UNLINK,	"moved", "",	"", 0 },
		{ FAULT_UNLINK,	"made", "",	"", 0 },
	};
	char path[64], self[64];
	struct iovec parts[2] = { { "a", 1 }, { "b", 1 } };
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = -2 } };
	struct stat st, folder;
	struct buf all;
	int fd, devnull;
	size_t at = 0;

	(void)state;
	snprintf(path, sizeof path, "%s/recording", scratch);
	setenv("HERMOD_RECORD", path, 1);
	order("");
	assert_true(fault_fd() >= 200);
	assert_int_equal(fstat(dir, &folder), 0);
	fd = openat(dir, "made", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(write(fd, " world", 6), 6);
	assert_int_equal(pwrite(fd, "HE", 2, 0), 2);
	assert_int_equal(writev(fd, parts, 2), 2);
	assert_int_equal(fdatasync(fd), 0);
	assert_int_equal(ftruncate(fd, 4), 0);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
	devnull = open("/dev/null", O_WRONLY | O_CLOEXEC);	/* not a file, not recorded */
	assert_int_equal(write(devnull, "x", 1), 1);
	close(devnull);
	fd = openat(dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	assert_int_equal(linkat(AT_FDCWD, self, dir, "linked", AT_SYMLINK_FOLLOW), 0);
	assert_int_equal(fsync(dir), 0);
	close(fd);
	assert_int_equal(renameat(dir, "linked", dir, "moved"), 0);
	assert_int_equal(mkdirat(dir, "folder", 0700), 0);
	assert_int_equal(unlinkat(dir, "folder", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(dir, "moved", 0), 0);
	assert_int_equal(unlinkat(dir, "made", 0), 0);
	unsetenv("HERMOD_RECORD");
	order("");
	assert_int_equal(fault_fd(), -1);

	buf_init(&all, 1u << 20);
	assert_true(file_slurp(dir, "recording", &all));
	for (size_t i = 0; i < LEN(want); i++) {
		const unsigned char *r = all.p + at;
		size_t size, name_n, to_n;

		assert_true(all.n - at >= 120);
		assert_row_int("magic", number(r, 4), 0x43455248);
		size = number(r + 4, 4);
		name_n = number(r + 10, 2);
		to_n = number(r + 12, 2);
		assert_row_int("op", number(r + 8, 2), want[i].op);
		assert_row_bytes("name", bytes_of(r + 120, name_n), text(want[i].name));
		assert_row_bytes("to", bytes_of(r + 120 + name_n, to_n), text(want[i].to));
		assert_row_bytes("data", bytes_of(r + 120 + name_n + to_n, size - 120 - name_n - to_n),
		    text(want[i].data));
		assert_row_int("at", number(r + 96, 8), want[i].at);
		assert_row_int("pid", number(r + 16, 4), getpid());
		assert_string_equal((const char *)r + 104, "prog");
		if (name_n > 0)
			assert_row_int("folder", number(r + 72, 8), folder.st_ino);
		if (i < 8)
			assert_row_int("file", number(r + 56, 8), st.st_ino);
		at += size;
	}
	assert_int_equal(at, all.n);
	buf_fini(&all);
	assert_int_equal(unlinkat(dir, "recording", 0), 0);
}

static int
make_scratch(void **state)
{
	(void)state;
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC));	/* the faults' own lines */
	if (!mkdtemp(scratch))
		return -1;
	dir = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return chdir(scratch);
}

static int
remove_scratch(void **state)
{
	(void)state;
	return chdir("/") == 0 ? rmdir(scratch) : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_call),
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_short_writes),
		cmocka_unit_test(test_wrong_rules),
		cmocka_unit_test(test_recording),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}

#else

static void
test_nothing_here(void **state)
{
	(void)state;
	skip();				/* configured without --enable-faults */
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_nothing_here) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
