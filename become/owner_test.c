/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "become/become.h"

static const struct { uint32_t uid, gid; uid_t self; int want; } owners[] = {
	{ 1000, 1000, 0, 0 },
	{ 60900, 60900, 0, 0 },
	{ 1000, 100, 0, 0 },			/* Debian's users */
	{ 999, 1000, 0, EPERM },
	{ 1000, 99, 0, EPERM },
	{ 1000, 42, 0, EPERM },			/* shadow */
	{ 0, 1000, 0, EPERM },
	{ 1000, 0, 0, EPERM },
	{ 0, 0, 0, EPERM },
	{ UINT32_MAX, 1000, 0, EPERM },		/* -1: setresuid would change nothing */
	{ 1000, UINT32_MAX, 0, EPERM },
	{ 61000, 61000, 0, EPERM },		/* the suite's own */
	{ 61031, 1000, 0, EPERM },
	{ 1000, 61004, 0, EPERM },
	{ 61032, 61032, 0, 0 },
	{ 1000, 1000, 1000, 0 },		/* not root: as itself */
	{ 1001, 1000, 1000, EPERM },
	{ 1000, 1001, 1000, EPERM },
	{ 0, 0, 1000, EPERM },
};

static void
test_owners(void **state)
{
	const struct become_settings s = { .first_uid = 1000, .first_gid = 100, .uid_base = 61000 };

	(void)state;
	for (size_t i = 0; i < LEN(owners); i++)
		if (owner_allowed(&s, (struct owner){ owners[i].uid, owners[i].gid }, owners[i].self, owners[i].self)
		    != owners[i].want)
			fail_msg("uid %u, gid %u by %u", owners[i].uid, owners[i].gid, (unsigned)owners[i].self);
}

static const struct { const char *mailbox; bool ok; } mailboxes[] = {
	{ "maildir:/home/anna/Maildir", true },
	{ "mbox:/var/mail/anna", true },
	{ "maildir:/m/.x/a b", true },
	{ "maildir:/m", true },
	{ "maildir:/", false },
	{ "maildir:", false },
	{ "maildir:m", false },
	{ "mailbox:/m", false },
	{ "/m", false },
	{ "", false },
	{ "maildir:/m/", false },
	{ "maildir:/m//n", false },
	{ "maildir:/m/../n", false },
	{ "maildir:/m/..", false },
	{ "maildir:/m/./n", false },
	{ "maildir:/m\n", false },
	{ "MAILDIR:/m", false },
};

static void
test_mailboxes(void **state)
{
	unsigned char longest[1100] = "mbox:/";

	(void)state;
	for (size_t i = 0; i < LEN(mailboxes); i++)
		if (owner_mailbox_ok(text(mailboxes[i].mailbox)) != mailboxes[i].ok)
			fail_msg("%s", mailboxes[i].mailbox);
	assert_false(owner_mailbox_ok(bytes_of("maildir:/a\0b", 12)));
	memset(longest + 6, 'a', sizeof longest - 6);
	assert_false(owner_mailbox_ok(bytes_of(longest, sizeof longest)));
	assert_false(owner_mailbox_ok(bytes_of(longest, 6 + 256)));
	assert_true(owner_mailbox_ok(bytes_of(longest, 6 + 255)));
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

/* In a child: its descriptors are closed. */
static int
close_and_look(int a, int b, int other)
{
	int keep[3] = { b, -1, a };

	owner_close_others(keep, 3);
	return is_open(0) && is_open(1) && is_open(2) && is_open(a) && is_open(b) && !is_open(other)
	    && !is_open(3) ? 0 : 1;
}

static void
test_descriptors(void **state)
{
	int a = fcntl(0, F_DUPFD_CLOEXEC, 20), other = fcntl(0, F_DUPFD_CLOEXEC, 30), b = fcntl(0, F_DUPFD_CLOEXEC, 40);
	int three = fcntl(0, F_DUPFD_CLOEXEC, 3), status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(close_and_look(a, b, other));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(a);
	close(b);
	close(other);
	close(three);
}

/* As root: all ids are the owner's, no group is left, and there is no way back. Else: as itself. */
static int
become_and_look(pid_t parent)
{
	struct owner o = { geteuid() == 0 ? 60900 : geteuid(), geteuid() == 0 ? 60901 : getegid() };
	uid_t u[3];
	bool root = geteuid() == 0;

	owner_become(o, parent, "deliver");
	return getresuid(&u[0], &u[1], &u[2]) == 0 && u[0] == o.uid && u[1] == o.uid && u[2] == o.uid
	    && getegid() == o.gid && (!root || getgroups(0, NULL) == 0) && setuid(0) == -1 && seteuid(0) == -1 ? 0 : 1;
}

static void
test_become(void **state)
{
	pid_t parent = getpid(), pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(become_and_look(parent));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_become),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
