/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/testing.h"

static char scratch[] = "/tmp/hermod-file-XXXXXX";
static int dir = -1;

static void
put(const char *name, const char *content)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(file_write(fd, text(content)));
	close(fd);
}

static void
check_content(const char *name, struct bytes want)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	assert_true(file_slurp(dir, name, &b));
	assert_row_bytes(name, buf_bytes(&b), want);
	buf_fini(&b);
}

static void
test_write_and_read(void **state)
{
	int fd = openat(dir, "a", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char got[6] = "";

	(void)state;
	assert_true(file_write(fd, text("hello")));
	assert_true(file_write(fd, text("")));
	assert_true(file_pwrite(fd, text("J"), 0));
	assert_true(file_pwrite(fd, text("!"), 7));
	assert_true(file_pread(fd, got, 5, 0));
	assert_string_equal(got, "Jello");
	assert_true(file_pread(fd, got, 0, 100));
	errno = 0;
	assert_false(file_pread(fd, got, 5, 4));		/* the file ends before */
	assert_int_equal(errno, EIO);
	assert_false(file_pread(fd, got, 5, INT64_MAX - 2));
	assert_int_equal(errno, EINVAL);
	assert_false(file_pread(fd, got, 5, -1));
	assert_false(file_pwrite(fd, text("x"), INT64_MAX));
	close(fd);
	check_content("a", OCTETS("Jello\0\0!"));
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_false(file_write(fd, text("x")));
	assert_int_equal(errno, ENOSPC);
	close(fd);
	unlinkat(dir, "a", 0);
}

static void
test_slurp(void **state)
{
	struct buf b;
	static char big[200000];

	(void)state;
	memset(big, 'b', sizeof big - 1);
	put("big", big);
	put("a", "12345");
	check_content("big", text(big));
	buf_init(&b, 5);
	assert_true(file_slurp(dir, "a", &b));			/* just fits */
	assert_bytes_equal(buf_bytes(&b), text("12345"));
	buf_fini(&b);
	buf_init(&b, 8);
	buf_text(&b, "1234");
	assert_false(file_slurp(dir, "a", &b));
	assert_int_equal(errno, EFBIG);
	assert_bytes_equal(buf_bytes(&b), text("1234"));
	assert_false(file_slurp(dir, "none", &b));
	assert_int_equal(errno, ENOENT);
	buf_fini(&b);
	unlinkat(dir, "big", 0);
	unlinkat(dir, "a", 0);
}

/* Around what is asked for at once, into a buffer with and without room beyond it. */
static void
test_slurp_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 63, 64, 65, 4096, 65534, 65535, 65536, 65537, 131071, 131072, 131073 };
	static char big[131074];

	(void)state;
	for (size_t i = 0; i < LEN(sizes); i++) {
		for (size_t more = 0; more < 3; more++) {
			struct buf b;

			memset(big, 'b', sizes[i]);
			big[sizes[i]] = '\0';
			put("big", big);
			buf_init(&b, sizes[i] + more);
			assert_true(file_slurp(dir, "big", &b));
			assert_bytes_equal(buf_bytes(&b), text(big));
			buf_fini(&b);
			unlinkat(dir, "big", 0);
		}
	}
}

/* Not all files say how much is in them. */
static void
test_slurp_unsaid(void **state)
{
	struct buf b;
	char path[32];
	int proc;

	(void)state;
	snprintf(path, sizeof path, "/proc/%d", (int)getpid());
	proc = dir_open(AT_FDCWD, path);
	buf_init(&b, 65536);
	assert_true(proc != -1 && file_slurp(proc, "status", &b));
	assert_true(bytes_starts(buf_bytes(&b), text("Name:")));
	buf_fini(&b);
	close(proc);
}

static void
test_replace(void **state)
{
	char path[200];
	struct stat st;

	(void)state;
	put("a", "old");
	assert_true(file_replace(dir, "a", text("new"), 0640));
	check_content("a", text("new"));
	assert_int_equal(fstatat(dir, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	snprintf(path, sizeof path, "%s/b", scratch);
	assert_true(file_replace(AT_FDCWD, path, text("by path"), 0600));
	check_content("b", text("by path"));
	assert_true(dir_make(dir, "sub", 0700));
	assert_true(file_replace(dir, "sub/c", text("below"), 0600));
	check_content("sub/c", text("below"));
	unlinkat(dir, "sub/c", 0);
	unlinkat(dir, "sub", AT_REMOVEDIR);

	/* What a crash left under the temporary name goes. */
	assert_true(file_replace(dir, "t", text("left by a crash"), 0600));
	assert_true(file_replace_locked(dir, "a", "t", text("newer"), 0640));
	check_content("a", text("newer"));
	assert_int_equal(fstatat(dir, "t", &st, 0), -1);
	assert_false(file_replace_locked(dir, "none/x", "none/t", text("x"), 0600));
	assert_int_equal(errno, ENOENT);
	assert_true(dir_make(dir, "t", 0700));
	assert_false(file_replace_locked(dir, "a", "t", text("newest"), 0640));
	assert_int_equal(errno, EISDIR);
	check_content("a", text("newer"));
	unlinkat(dir, "t", AT_REMOVEDIR);

	/* What cannot be replaced leaves nothing behind. */
	assert_true(dir_make(dir, "folder", 0700));
	assert_false(file_replace(dir, "folder", text("x"), 0600));
	assert_int_equal(errno, EISDIR);
	assert_false(file_replace_locked(dir, "folder", "t", text("x"), 0600));
	assert_int_equal(errno, EISDIR);
	assert_int_equal(fstatat(dir, "t", &st, 0), -1);
	assert_false(file_replace(dir, "none/x", text("x"), 0600));
	assert_int_equal(errno, ENOENT);
	unlinkat(dir, "folder", AT_REMOVEDIR);
	unlinkat(dir, "a", 0);
	unlinkat(dir, "b", 0);
}

static unsigned
entries(DIR *d)
{
	unsigned n = 0;

	while (readdir(d) != NULL)
		n++;
	return n;
}

static void
test_open_refuses(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd, s;
	DIR *d;

	(void)state;
	put("a", "x");
	assert_int_equal(symlinkat("a", dir, "link"), 0);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_true(dir_make(dir, "folder", 0700));
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", scratch);
	assert_int_equal(bind(s, (struct sockaddr *)&name, sizeof name), 0);

	static const struct { const char *name; int flags, error; } cases[] = {
		{ "none",	O_RDONLY,			ENOENT },
		{ "link",	O_RDONLY,			ELOOP },
		{ "link",	O_RDWR | O_CREAT,		ELOOP },
		{ "fifo",	O_RDONLY,			EINVAL },	/* and does not wait for a writer */
		{ "fifo",	O_WRONLY,			ENXIO },
		{ "folder",	O_RDONLY,			EINVAL },
		{ "socket",	O_RDONLY,			ENXIO },
		{ "a",		O_RDWR | O_CREAT | O_EXCL,	EEXIST },
	};
	for (size_t i = 0; i < LEN(cases); i++) {
		assert_row_int(cases[i].name, file_open(dir, cases[i].name, cases[i].flags, 0600), -1);
		assert_row_int(cases[i].name, errno, cases[i].error);
	}
	assert_int_equal(file_open(AT_FDCWD, "/dev/null", O_RDONLY, 0), -1);
	assert_int_equal(errno, EINVAL);
	fd = file_open(dir, "a", O_WRONLY | O_APPEND, 0);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND), O_APPEND);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	fd_nonblock(fd, true);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	fd_nonblock(fd, false);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	fd_cloexec(fd, false);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	errno = 77;
	fd_close(&fd);
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, 77);

	assert_int_equal(dir_open(dir, "link"), -1);
	assert_int_equal(dir_open(dir, "a"), -1);
	fd = dir_open(dir, "folder");
	assert_int_not_equal(fd, -1);
	assert_true(dir_sync(fd));
	fd_close(&fd);
	assert_int_equal(symlinkat("folder", dir, "way"), 0);
	assert_int_equal(dir_open(dir, "way"), -1);
	assert_null(dir_stream(dir, "way"));
	unlinkat(dir, "way", 0);
	assert_null(dir_stream(dir, "a"));
	assert_non_null(d = dir_stream(dir, "folder"));
	assert_int_equal(entries(d), 2);
	closedir(d);
	for (int again = 0; again < 2; again++) {		/* each from the start */
		assert_non_null(d = dir_stream(dir, "."));
		assert_true(entries(d) > 2);
		closedir(d);
	}
	assert_true(dir_make(dir, "folder", 0700));		/* is there: fine */
	assert_false(dir_make(dir, "a", 0700));
	assert_false(dir_make(dir, "link", 0700));
	assert_false(dir_make(dir, "none/x", 0700));
	close(s);
	unlinkat(dir, "a", 0);
	unlinkat(dir, "link", 0);
	unlinkat(dir, "fifo", 0);
	unlinkat(dir, "socket", 0);
	unlinkat(dir, "folder", AT_REMOVEDIR);
}

static void
test_component(void **state)
{
	char long_name[FILE_COMPONENT_MAX + 2], dst[FILE_COMPONENT_MAX + 1];
	const struct { struct bytes name; bool plain, dotted; } cases[] = {
		{ OCTETS("anna"),		true, true },
		{ OCTETS("a b"),		true, true },
		{ OCTETS("a.b"),		true, true },
		{ OCTETS("a.."),		true, true },
		{ OCTETS("\xc3\xa4"),		true, true },
		{ OCTETS(".Sent"),		false, true },
		{ OCTETS("..."),		false, true },
		{ OCTETS(""),			false, false },
		{ OCTETS("."),			false, false },
		{ OCTETS(".."),			false, false },
		{ OCTETS("/"),			false, false },
		{ OCTETS("a/b"),		false, false },
		{ OCTETS("../a"),		false, false },
		{ OCTETS("a\0"),		false, false },
		{ OCTETS("a\0/../b"),		false, false },
		{ OCTETS("a\n"),		false, false },
		{ OCTETS("a\x7f"),		false, false },
		{ OCTETS("\x1b[2J"),		false, false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		for (int dotted = 0; dotted < 2; dotted++) {
			bool want = dotted ? cases[i].dotted : cases[i].plain;

			memcpy(dst, "x", 2);
			assert_row_int((const char *)cases[i].name.p,
			    file_component(cases[i].name, dotted, dst), want);
			assert_bytes_equal(text(dst), want ? cases[i].name : text(""));
		}
	memset(long_name, 'x', sizeof long_name);
	assert_true(file_component(bytes_of(long_name, FILE_COMPONENT_MAX), false, dst));
	assert_int_equal(strlen(dst), FILE_COMPONENT_MAX);
	assert_false(file_component(bytes_of(long_name, FILE_COMPONENT_MAX + 1), false, dst));
}

static int
make_scratch(void **state)
{
	(void)state;
	umask(022);
	if (!mkdtemp(scratch))
		return -1;
	dir = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir == -1 ? -1 : 0;
}

static void
test_lock(void **state)
{
	int one, two;

	(void)state;
	one = dir_lock(dir, 0);
	assert_int_not_equal(one, -1);
	assert_int_equal(dir_lock(dir, 0), -1);
	assert_int_equal(dir_lock(dir, 2), -1);
	fd_close(&one);
	two = dir_lock(dir, 0);
	assert_int_not_equal(two, -1);
	assert_int_equal(fcntl(two, F_GETFD), FD_CLOEXEC);
	fd_close(&two);
	assert_int_equal(dir_lock(-1, 2), -1);
}

/* A file that was put there with the times of another is at home nowhere. */
static void
test_home(void **state)
{
	static const struct { int64_t before_s; bool home; } rows[] = {
		{ 0, true }, { 50, true }, { 120, false }, { 86400, false }, { 1000000000, false }, { -86400, true },
	};
	int fd = file_open(dir, "home", O_WRONLY | O_CREAT, 0600);
	struct timespec t[2];
	struct stat st;

	(void)state;
	assert_int_not_equal(fd, -1);
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_true(file_write(fd, text("x")));
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(file_home(&st), st.st_ino);
		t[0] = t[1] = st.st_mtim;
		t[1].tv_sec -= rows[i].before_s;
		assert_int_equal(futimens(fd, t), 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(file_home(&st), rows[i].home ? st.st_ino : 0);
	}
	fd_close(&fd);
	assert_int_equal(unlinkat(dir, "home", 0), 0);
}

static int
remove_scratch(void **state)
{
	(void)state;
	return rmdir(scratch);		/* fails when something was left behind */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_and_read),
		cmocka_unit_test(test_slurp),
		cmocka_unit_test(test_slurp_sizes),
		cmocka_unit_test(test_slurp_unsaid),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_component),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_home),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
