/* SPDX-License-Identifier: ISC */
/*
 * tools/sendmail_client.c - the local command's side of pickup's socket.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "tools/sendmail.h"

#define WAIT_MS	300000		/* for an answer; cleanup may wait for a busy disk */

static bool
send_frame(struct pickup_client *p)
{
	return p->fd != -1 && ipc_send_wait(p->fd, &p->out, WAIT_MS) == IPC_DONE;
}

static bool
receive(struct pickup_client *p, struct ipc_in *in)
{
	return p->fd != -1 && ipc_recv_wait(p->fd, p->frame, in, WAIT_MS) == IPC_DONE;
}

/* Both sides begin with the hash of messages.def. */
static bool
greet(struct pickup_client *p)
{
	struct ipc_in in;
	struct ipc_hello m;

	ipc_put_hello(&p->out, 0, &(struct ipc_hello){ .hash = ipc_hash() });
	return send_frame(p) && receive(p, &in) && in.type == IPC_hello && ipc_get_hello(&in, &m)
	    && m.hash == ipc_hash();
}

int
pickup_connect(struct pickup_client *p, const char *run_directory)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	*p = (struct pickup_client){ .fd = -1 };
	if ((size_t)snprintf(to.sun_path, sizeof to.sun_path, "%s/public/pickup", run_directory)
	    >= sizeof to.sun_path) {
		fprintf(stderr, "sendmail: run_directory is too long for a socket: %s\n", run_directory);
		return EX_CONFIG;
	}
	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (p->fd == -1) {
		fprintf(stderr, "sendmail: cannot make a socket: %s\n", strerror(errno));
		return EX_OSERR;
	}
	ipc_out_init(&p->out);
	p->frame = mem_alloc(IPC_FRAME_MAX);
	if (connect(p->fd, (struct sockaddr *)&to, sizeof to) == 0 && greet(p))
		return EX_OK;
	pickup_close(p);
	return EX_TEMPFAIL;
}

/* The child: hermod-drop, with our socket as its standard input. */
static _Noreturn void
become_drop(int fd, const char *program, const char *conf)
{
	char *const args[] = { mem_text("hermod-drop"), conf ? mem_text("-C") : NULL,
	    conf ? mem_text(conf) : NULL, NULL };

	if (dup2(fd, STDIN_FILENO) != -1)	/* lint: for the program that is executed */
		execv(program, args);
	fprintf(stderr, "sendmail: the mail system is down and the message cannot be kept (%s: %s); start it "
	    "with: hermod start\n", program, strerror(errno));
	_exit(EX_TEMPFAIL);
}

int
drop_connect(struct pickup_client *p, const char *program_directory, const char *conf)
{
	char program[1024];
	int fds[2] = { -1, -1 };
	pid_t pid = -1;

	*p = (struct pickup_client){ .fd = -1 };
	snprintf(program, sizeof program, "%s/hermod-drop", program_directory);
	if (!ipc_pair(fds) || (pid = fork()) == -1) {
		fprintf(stderr, "sendmail: cannot run %s: %s\n", program, strerror(errno));
		fd_close(&fds[0]);
		fd_close(&fds[1]);
		return EX_OSERR;
	}
	if (pid == 0)
		become_drop(fds[1], program, conf);
	fd_close(&fds[1]);
	p->fd = fds[0];
	ipc_out_init(&p->out);
	p->frame = mem_alloc(IPC_FRAME_MAX);
	if (greet(p))
		return EX_OK;			/* it ends when we close */
	pickup_close(p);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;				/* it has said what was wrong */
	return EX_TEMPFAIL;
}

int
suite_connect(struct pickup_client *p, const struct place *where)
{
	int code = pickup_connect(p, where->run_directory);

	return code == EX_TEMPFAIL ? drop_connect(p, where->program_directory, where->conf) : code;
}

void
pickup_close(struct pickup_client *p)
{
	if (p->frame == NULL)
		return;
	fd_close(&p->fd);
	ipc_out_fini(&p->out);
	mem_free(p->frame);
	p->frame = NULL;
}

static bool
ask(struct pickup_client *p, struct pickup_answer *a)
{
	struct ipc_in in;
	struct ipc_submitted m;

	if (!send_frame(p) || !receive(p, &in) || in.type != IPC_submitted
	    || !ipc_get_submitted(&in, &m))
		return false;
	a->code = m.code;
	if (!bytes_to_text(m.reply, a->reply, sizeof a->reply)
	    || !bytes_to_text(m.queue_id, a->queue_id, sizeof a->queue_id))
		return false;
	return true;
}

bool
pickup_begin(struct pickup_client *p, const struct ipc_submit *m, struct pickup_answer *a)
{
	if (m->sender.n > 1024) {
		*a = (struct pickup_answer){ .code = 501 };
		snprintf(a->reply, sizeof a->reply, "5.1.7 the sender address is too long");
		return true;
	}
	ipc_put_submit(&p->out, ++p->id, m);
	return ask(p, a);
}

bool
pickup_rcpt(struct pickup_client *p, struct bytes recipient, uint32_t notify, struct pickup_answer *a)
{
	if (recipient.n > 1024) {
		*a = (struct pickup_answer){ .code = 501 };
		snprintf(a->reply, sizeof a->reply, "5.1.3 the recipient address is too long");
		return true;
	}
	ipc_put_submit_rcpt(&p->out, ++p->id, &(struct ipc_submit_rcpt){ .recipient = recipient,
	    .notify = notify });
	return ask(p, a);
}

bool
pickup_data(struct pickup_client *p, struct bytes octets)
{
	const size_t part = 57344;		/* of submit_data in messages.def */

	while (octets.n > 0) {
		ipc_put_submit_data(&p->out, 0, &(struct ipc_submit_data){
		    .octets = bytes_head(octets, part) });
		if (!send_frame(p))
			return false;
		octets = bytes_skip(octets, part);
	}
	return true;
}

bool
pickup_end(struct pickup_client *p, struct pickup_answer *a)
{
	ipc_put_submit_end(&p->out, ++p->id, &(struct ipc_submit_end){ 0 });
	return ask(p, a);
}

int
pickup_list(struct pickup_client *p, struct ipc_queue_entry *entry)
{
	struct ipc_in in;
	struct ipc_queue_end end;

	if (p->id == 0) {			/* the first call */
		ipc_put_queue_list(&p->out, ++p->id, &(struct ipc_queue_list){ 0 });
		if (!send_frame(p))
			return -1;
	}
	for (;;) {
		if (!receive(p, &in))
			return -1;
		if (in.type == IPC_queue_entry)
			return ipc_get_queue_entry(&in, entry) ? 1 : -1;
		if (in.type != IPC_queue_end || !ipc_get_queue_end(&in, &end) || end.status != 0)
			return -1;
		if (end.entries == 0)
			return 0;
		ipc_put_queue_list(&p->out, ++p->id, &(struct ipc_queue_list){ 0 });
		if (!send_frame(p))
			return -1;
	}
}

int
exit_code(const struct pickup_answer *a)
{
	if (a->code < 400)
		return EX_OK;
	if (a->code < 500)
		return EX_TEMPFAIL;
	if (strncmp(a->reply, "5.1.1", 5) == 0 || strncmp(a->reply, "5.2.1", 5) == 0)
		return EX_NOUSER;
	if (strncmp(a->reply, "5.1.2", 5) == 0 || strncmp(a->reply, "5.4.4", 5) == 0)
		return EX_NOHOST;
	if (strncmp(a->reply, "5.1.", 4) == 0)
		return EX_DATAERR;
	if (strncmp(a->reply, "5.7.", 4) == 0)
		return EX_NOPERM;
	return EX_UNAVAILABLE;
}
