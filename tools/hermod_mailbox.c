/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_mailbox.c - makes the folders of a new account. root neither reads nor writes
 * where a mailbox's owner may: a child becomes the owner first.
 */
#include "tools/hermod_mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "tools/hermod.h"

#define WAIT_MS	20000		/* for a lock */

/* RFC 6154 section 2 names their uses. */
static const struct { const char *folder; unsigned use; } folders[] = {
	{ "Drafts", FOLDER_DRAFTS }, { "Sent", FOLDER_SENT }, { "Trash", FOLDER_TRASH }, { "Junk", FOLDER_JUNK },
	{ "Archive", FOLDER_ARCHIVE },
};

/* The folder below dir, made when it is not there; dir is closed. -1: errno. */
static int
step_into(int dir, const char *name, mode_t mode)
{
	int next = dir_make(dir, name, mode) ? dir_open(dir, name) : -1;

	fd_close(&dir);
	return next;
}

/* Where another folder has the use, ours is one without. */
static bool
make_folder(struct folders *f, struct bytes name, unsigned use)
{
	enum folder_result r = folders_create(f, name, use);

	if (r == FOLDER_EXISTS)
		return true;			/* stays as it is */
	if (r == FOLDER_USE_TAKEN)
		r = folders_create(f, name, 0);
	return r == FOLDER_OK && folders_subscribe(f, name, true) == FOLDER_OK;
}

/* mailbox: "maildir:/path", whose directory is there. */
static bool
make_folders(struct bytes mailbox, enum folder_layout layout)
{
	char why[256] = "";
	struct folders *f = folders_open(mailbox, layout, WAIT_MS, why, sizeof why);
	bool good = f != NULL;

	for (size_t i = 0; good && i < LEN(folders); i++)
		good = make_folder(f, text(folders[i].folder), folders[i].use);
	if (f)
		folders_close(&f);
	return good;
}

/* As the owner. The path is mail_directory's and three components below it. */
static bool
make_all(const char *mail_directory, struct bytes mailbox, enum folder_layout layout)
{
	bool maildir = bytes_starts(mailbox, text("maildir:"));
	struct bytes below = bytes_skip(mailbox, bytes_find(mailbox, ':') + 1 + strlen(mail_directory) + 1);
	int dir = open(mail_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good;

	for (unsigned depth = 0; dir != -1 && below.n > 0; depth++) {
		struct bytes part = bytes_cut(&below, '/');
		char name[FILE_COMPONENT_MAX + 1];

		if (!maildir && below.n == 0)
			break;		/* the mbox itself is made by the first delivery */
		if (!file_component(part, false, name)) {
			fd_close(&dir);
			errno = EINVAL;
			return false;
		}
		dir = step_into(dir, name, 0700);
	}
	good = dir != -1 && (!maildir || make_folders(mailbox, layout));
	fd_close(&dir);
	return good;
}

/* mail_directory itself is the owner's; its parent must be there. */
static bool
make_top(const char *path, uint32_t uid, uint32_t gid)
{
	if (mkdir(path, 0755) == -1)
		return errno == EEXIST;
	return geteuid() != 0 || chown(path, uid, gid) == 0;
}

static bool
drop(uint32_t uid, uint32_t gid)
{
	if (geteuid() != 0)
		return true;
	return setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0
	    && geteuid() == uid && getegid() == gid && uid != 0;
}

/* What the child has no need of it does not have: only standard input, output and errors stay open. */
static _Noreturn void
be_owner(uint32_t uid, uint32_t gid, int (*run)(void *), void *arg)
{
	int status;

	umask(077);
	if (syscall(SYS_close_range, 3, ~0u, 0) == -1 || !drop(uid, gid)) {
		fprintf(stderr, "hermod: cannot become the mailbox's owner, uid %u, gid %u: %s\n", uid, gid, strerror(errno));
		_exit(EXIT_FAILED);
	}
	status = run(arg);
	_exit(hermod_shown(status));
}

int
mailbox_as_owner(uint32_t uid, uint32_t gid, int (*run)(void *), void *arg)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		be_owner(uid, gid, run, arg);
	while (pid != -1 && waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			pid = -1;
	if (pid == -1)
		hermod_die(EXIT_FAILED, "cannot fork: %s", strerror(errno));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE)
		return EXIT_FAILED;	/* nobody reads on */
	if (!WIFEXITED(status))
		hermod_die(EXIT_FAILED, "the process that worked as the mailbox's owner was killed by signal %d",
		    WTERMSIG(status));
	return WEXITSTATUS(status);
}

bool
mailbox_create(const struct account_settings *s, enum folder_layout layout, struct bytes mailbox, uint32_t uid,
    uint32_t gid, char *why, size_t cap)
{
	struct bytes path = bytes_skip(mailbox, bytes_find(mailbox, ':') + 1);
	size_t top = strlen(s->mail_directory);
	int status = 0;
	pid_t pid;

	must(bytes_starts(path, text(s->mail_directory)) && path.n > top + 1);
	if (!make_top(s->mail_directory, uid, gid)) {
		snprintf(why, cap, "%s: %s", s->mail_directory, strerror(errno));
		return false;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		umask(077);
		_exit(drop(uid, gid) && make_all(s->mail_directory, mailbox, layout) ? 0
		    : errno > 0 && errno < 126 ? errno : 126);
	}
	if (pid == -1 || waitpid(pid, &status, 0) != pid) {
		snprintf(why, cap, "cannot fork: %s", strerror(errno));
		return false;
	}
	if (status != 0)
		snprintf(why, cap, "%.*s cannot be made by its owner, uid %u: %s", BYTES_FMT(path), uid,
		    WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "the process was killed");
	return status == 0;
}
