/* SPDX-License-Identifier: ISC */
/*
 * master/proof.c - what has to be known before anything starts, and is better not asked as
 * root: a child asks, with the rights of the service whom it concerns. It says what is wrong, a line
 * each, and at its end one octet more: who dies on the way has proven nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "master/master.h"

#define PROOF_MAX_MS	10000
#define PROOF_OK	'P'	/* the child's last octet: it has come to its end */

static void
drop(uid_t uid, gid_t gid)
{
	if (geteuid() == 0
	    && (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 || setresuid(uid, uid, uid) == -1))
		_exit(1);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		_exit(1);
}

static _Noreturn void
child(const struct config *c, const char *path, int fd, uid_t uid, gid_t gid,
    void (*ask)(const struct config *, const char *, struct buf *))
{
	struct buf faults;

	drop(uid, gid);
	buf_init(&faults, 65536);
	ask(c, path, &faults);
	buf_char(&faults, PROOF_OK);
	_exit(file_write(fd, buf_bytes(&faults)) ? 0 : 1);
}

/* All that the child says, until its end or the time is over. */
static bool
hear(int fd, struct buf *said)
{
	uint64_t until = clock_mono_ms() + PROOF_MAX_MS;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_mono_ms();
		unsigned char *room = buf_room(said, 4096);
		ssize_t n;

		if (!room || now >= until || (poll(&p, 1, (int)(until - now)) <= 0 && errno != EINTR))
			return false;
		if ((n = read(fd, room, 4096)) == 0)
			return true;
		if (n > 0)
			said->n += (size_t)n;
		else if (errno != EINTR && errno != EAGAIN)
			return false;
	}
}

static const struct service *
find(const char *name)
{
	const struct service *s = services;

	while (s->name && strcmp(s->name, name) != 0)
		s++;
	return s;
}

bool
proof(const struct config *c, const char *path, const char *service, const char *what,
    void (*ask)(const struct config *, const char *, struct buf *), struct buf *faults)
{
	int fds[2], status = 1;
	struct buf said;
	bool good = false;
	uid_t uid;
	gid_t gid;
	pid_t pid;

	if (!service_ids(find(service)->user, c->s.uid_base, &uid, &gid)) {
		buf_fmt(faults, "%s: there is no system user %s; right would be to make the users of "
		    "packaging/hermod.sysusers by systemd-sysusers, or to set uid_base\n", path, find(service)->user);
		return false;
	}
	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		buf_fmt(faults, "%s: %s could not start\n", path, what);
		return false;
	}
	if (pid == 0)
		child(c, path, fds[1], uid, gid, ask);
	close(fds[1]);
	buf_init(&said, 1 << 17);
	if (!hear(fds[0], &said))
		kill(pid, SIGKILL);
	close(fds[0]);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (status != 0 || said.n == 0 || said.p[said.n - 1] != PROOF_OK)
		buf_fmt(faults, "%s: %s did not come to its end\n", path, what);
	else {
		good = said.n == 1;
		buf_add(faults, bytes_head(buf_bytes(&said), said.n - 1));
	}
	buf_fini(&said);
	return good;
}
