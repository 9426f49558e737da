/* SPDX-License-Identifier: ISC */
#include "tools/hermod_ask.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool
ask_send(int fd, struct ipc_out *out)
{
	bool good = ipc_send_wait(fd, out, ASK_SEND_MS) == IPC_DONE;

	ipc_out_fini(out);
	return good;
}

/* Who may not ask is hung up on without a word. */
static void
greet(int fd, const char *path, const char *whose)
{
	static unsigned char frame[IPC_FRAME_MAX];
	struct ipc_hello hello = { .hash = ipc_hash() }, theirs;
	struct ipc_out out;
	struct ipc_in in;

	ipc_out_init(&out);
	ipc_put_hello(&out, 0, &hello);
	if (!ask_send(fd, &out) || ipc_recv_wait(fd, frame, &in, ASK_SEND_MS) != IPC_DONE) {
		if (geteuid() != 0)
			hermod_die(EXIT_DENIED, "the %s does not answer at %s; only root is heard there, and who has its user", whose, path);
		hermod_die(EXIT_UNREACHED, "the %s does not answer at %s", whose, path);
	}
	if (in.type != IPC_hello || !ipc_get_hello(&in, &theirs) || theirs.hash != ipc_hash())
		hermod_die(EXIT_FAILED, "the %s that runs is of another version; `hermod stop`, then `hermod start`", whose);
}

static int
reach(const char *socket_name, const char *whose, struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (fd == -1)
		hermod_die(EXIT_FAILED, "cannot make a socket: %s", strerror(errno));
	snprintf(sa->sun_path, sizeof sa->sun_path, "%s/%s", settings_value(hermod_settings(), "run_directory"), socket_name);
	if (connect(fd, (struct sockaddr *)sa, sizeof *sa) == -1) {
		if (errno == EACCES)
			hermod_die(EXIT_DENIED, "only root, or whoever started Hermod, may ask its %s (%s)", whose, sa->sun_path);
		close(fd);
		return -1;
	}
	greet(fd, sa->sun_path, whose);
	return fd;
}

int
ask_try(const char *socket_name, const char *whose)
{
	struct sockaddr_un sa;

	return reach(socket_name, whose, &sa);
}

int
ask_connect(const char *socket_name, const char *whose)
{
	struct sockaddr_un sa;
	int fd = reach(socket_name, whose, &sa);

	if (fd == -1)
		hermod_die(EXIT_UNREACHED, "Hermod does not run (nobody answers at %s); `hermod start` starts it", sa.sun_path);
	return fd;
}
