/* SPDX-License-Identifier: ISC */
/* APPEND, with a fault at each of its steps: OK is said of what is there, NO of what is not, in both formats. COPY of many. */
#include "mail/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/mailbox_impl.h"

#define BEFORE	2		/* messages */

static bool is_mbox;

static int
begin(bool mbox)
{
	is_mbox = mbox;
	return test_dir_make("arrive", true);
}

static int begin_maildir(void **state) { (void)state; return begin(false); }
static int begin_mbox(void **state) { (void)state; return begin(true); }

static struct mailbox *
opened(void)
{
	char spec[160], why[200];
	struct mailbox *m;

	snprintf(spec, sizeof spec, "%s:%s/box", is_mbox ? "mbox" : "maildir", test_dir);
	m = mailbox_open(text(spec), 200, why, sizeof why);
	assert_non_null(m);
	mailbox_index(m);
	return m;
}

/* n of them; the rule is for what comes when their octets are there. */
static bool
append(struct mailbox *m, unsigned n, const char *rule)
{
	struct arrival *a[2];
	uint32_t uids[2];
	bool good;

	must(n <= LEN(a));
	for (unsigned i = 0; i < n; i++) {
		must((a[i] = mailbox_arrive(m)) != NULL && arrival_add(a[i], text("Subject: x\r\n\r\nbody\r\n")));
		arrival_flags(a[i], i == 0 ? MAIL_SEEN : 0);
	}
	setenv("HERMOD_FAULT", rule, 1);
	fault_open("t");
	good = mailbox_take(m, a, n, uids);
	for (unsigned i = 0; i < n; i++)
		arrival_free(&a[i]);
	return good;
}

static size_t
count(void)
{
	struct mailbox *m = opened();
	size_t n;

	assert_true(mailbox_scan(m));
	n = mailbox_count(m);
	mailbox_close(&m);
	return n;
}

#ifdef HERMOD_FAULTS

/* In a process of its own. True: it was told OK. */
static bool
append_with(const char *rule, unsigned n)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct mailbox *m = opened();

		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		_exit(append(m, n, rule) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		fail_msg("%s: status %d", rule, status);
	return status == 0;
}

#endif

static void
test_faults(void **state)
{
	(void)state;
#ifndef HERMOD_FAULTS
	skip();			/* configure --enable-faults */
#else
	static const char *const faults[][2] = {
		{ "pwrite", "ENOSPC" }, { "pwrite", "short" }, { "write", "ENOSPC" }, { "writev", "EIO" }, { "fsync", "EIO" },
		{ "fdatasync", "EIO" }, { "openat", "EMFILE" }, { "renameat", "EIO" }, { "linkat", "EIO" }, { "pread", "EIO" },
		{ "unlinkat", "EROFS" }, { "ftruncate", "EIO" },
	};
	size_t there = BEFORE, refused = 0;
	struct mailbox *m = opened();

	assert_true(append(m, BEFORE, ""));
	mailbox_close(&m);
	for (size_t i = 0; i < LEN(faults) * 2; i++)
		for (unsigned nth = 1; nth <= 12; nth++)
			for (unsigned n = 1; n <= 2; n++) {
				char rule[80];
				bool good;

				snprintf(rule, sizeof rule, "t:%s:%u%s:%s", faults[i / 2][0], nth, i % 2 ? "+" : "",
				    faults[i / 2][1]);
				good = append_with(rule, n);
				there += good ? n : 0;
				refused += !good;
				if (count() != there)
					fail_msg("%s, %u at once: %s, but there are %zu where %zu should be", rule, n,
					    good ? "OK" : "NO", count(), there);
			}
	assert_true(refused > 10);
#endif
}

/* What was delivered behind it stays, and so does what was added; else that is gone. */
static void
test_taken_off(void **state)
{
	struct mailbox *m = opened(), *other = opened();
	uint64_t start;

	(void)state;
	assert_true(append(m, 1, "") && append(m, 1, ""));
	start = m->mbox.part[1].at;
	assert_true(append(other, 1, ""));
	errno = 0;
	assert_false(mbox_take_off(&m->mbox, start));
	assert_int_equal(errno, ESTALE);
	assert_int_equal(count(), 3);
	assert_true(append(m, 1, ""));
	assert_true(mbox_take_off(&m->mbox, m->mbox.part[3].at));
	assert_int_equal(count(), 3);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 3);
	assert_true(append(m, 1, ""));
	assert_int_equal(count(), 4);
	mailbox_close(&other);
	mailbox_close(&m);
}

/* More than descriptors: from an mbox, which has no file a message that could get a second name. */
static void
copy_many(const char *to)
{
	enum { MANY = 500 };
	struct rlimit all, few = { 300, 300 };
	struct mailbox *m = opened(), *target;
	char spec[160], why[200], want[40];
	struct buf b;
	size_t *which = mem_array(MANY, sizeof *which);
	uint32_t *uids = mem_array(MANY, sizeof *uids), left_out;
	int fd;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < MANY; i++) {
		buf_fmt(&b, "From a Thu Jan  1 00:00:00 1970\nS: %zu\n\nFrom%zu\n\n", i, i * i);
		which[i] = i;
	}
	snprintf(spec, sizeof spec, "%s/box", test_dir);
	fd = open(spec, O_WRONLY | O_CLOEXEC);
	assert_true(file_write(fd, buf_bytes(&b)));
	close(fd);
	assert_true(mailbox_scan(m));
	snprintf(spec, sizeof spec, "%s:%s/other", to, test_dir);
	target = mailbox_open(text(spec), 200, why, sizeof why);
	assert_non_null(target);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	few.rlim_max = all.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_true(mailbox_copy(m, which, MANY, target, uids, &left_out));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_true(mailbox_scan(target));
	assert_int_equal(mailbox_count(target), MANY);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(uids[i], i + 1);
		buf_clear(&b);
		assert_true(mailbox_text(target, i, &b));
		snprintf(want, sizeof want, "S: %zu\n\nFrom%zu\n", i, i * i);
		assert_bytes_equal(buf_bytes(&b), text(want));
	}
	buf_fini(&b);
	mem_free(which);
	mem_free(uids);
	mailbox_close(&target);
	mailbox_close(&m);
}

static void test_many_to_mbox(void **state) { (void)state; copy_many("mbox"); }
static void test_many_to_maildir(void **state) { (void)state; copy_many("maildir"); }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_faults, begin_maildir, test_dir_remove),
		cmocka_unit_test_setup_teardown(test_faults, begin_mbox, test_dir_remove),
		cmocka_unit_test_setup_teardown(test_taken_off, begin_mbox, test_dir_remove),
		cmocka_unit_test_setup_teardown(test_many_to_mbox, begin_mbox, test_dir_remove),
		cmocka_unit_test_setup_teardown(test_many_to_maildir, begin_mbox, test_dir_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
