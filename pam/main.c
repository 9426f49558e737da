/* SPDX-License-Identifier: ISC */
/*
 * pam/main.c - asks PAM about system users:  auth -> pam
 *
 * Runs only where system accounts log in. PAM's modules need the host's files,
 * programs and perhaps its network, so this process has them, and nothing else
 * has: no client, no mail. It never blocks: each exchange is a child, which answers with
 * one octet and words on a pipe, and which is ended when its time is over.
 */
#include "pam/pam.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon.h"

struct asked {				/* one exchange, in the parent */
	TAILQ_ENTRY(asked) link;
	struct pam	*all;
	struct channel	*channel;	/* borrowed; NULL once it is gone */
	uint32_t	 frame;
	pid_t		 pid;
	int		 fd;		/* owned: the pipe's end to read */
	struct watch	 readable;
	struct timer	 deadline;
	char		 user[FILE_COMPONENT_MAX + 1];
};

struct pam {
	struct daemon	*d;
	const struct pam_settings *s;
	TAILQ_HEAD(, asked) list;
	uint32_t	 n;
	struct ipc_out	 out;
};

/* ---- the child ------------------------------------------------------------------------ */

static _Noreturn void
child(struct pam *me, int fd, const struct ipc_pam_check *ask, const char *user)
{
	char service[33], client[65];
	const char *words = "";
	unsigned char said[256];
	enum verdict v;
	size_t n;

	/* The descriptors of the parent are not a module's; fd becomes 3. */
	if (dup3(fd, 3, O_CLOEXEC) != 3 || close_range(4, ~0u, 0) == -1)	/* lint: dup3 with O_CLOEXEC */
		_exit(1);
	log_open(-1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm((unsigned)(me->s->pam_timeout_ms / 1000) + 5);
	if (!bytes_to_text(ask->service, service, sizeof service)
	    || !bytes_to_text(ask->client, client, sizeof client))
		_exit(1);
	v = pam_ask(me->s->pam_directory, service, user, ask->password, client, &words);
	said[0] = (unsigned char)v;
	n = strlen(words) < sizeof said - 1 ? strlen(words) : sizeof said - 1;
	memcpy(said + 1, words, n);
	_exit(file_write(3, bytes_of(said, n + 1)) ? 0 : 1);
}

/* ---- the parent ------------------------------------------------------------------------ */

static void
answer(struct pam *me, struct channel *c, uint32_t frame, enum verdict v, struct bytes words)
{
	if (!c)
		return;
	ipc_put_pam_answer(&me->out, frame, &(struct ipc_pam_answer){ .verdict = v,
	    .text = bytes_head(words, 256) });
	channel_reply(c, frame, &me->out);
	me->d->served++;
}

/* The child has said all it will say, or its time is over. */
static void
asked_end(struct asked *a, enum verdict v, struct bytes words)
{
	struct pam *me = a->all;
	int status = 0;

	kill(a->pid, SIGKILL);
	while (waitpid(a->pid, &status, 0) == -1 && errno == EINTR)
		;
	if (v == NOT_SURE)
		log_warn("user %s: PAM could not say: %s", log_text(text(a->user)), log_text(words));
	answer(me, a->channel, a->frame, v, words);
	watch_off(&a->readable);
	timer_clear(&a->deadline);
	fd_close(&a->fd);
	TAILQ_REMOVE(&me->list, a, link);
	me->n--;
	mem_free(a);
	daemon_settled(me->d);
}

static void
on_readable(void *arg, short what)
{
	struct asked *a = arg;
	unsigned char said[256];
	ssize_t n = read(a->fd, said, sizeof said);
	enum verdict v = NOT_SURE;

	(void)what;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		v = said[0] == YES ? YES : said[0] == NO ? NO : NOT_SURE;
	asked_end(a, v, n > 0 ? bytes_of(said + 1, (size_t)n - 1) : text("the process ended without a word"));
}

static void
on_deadline(void *arg)
{
	asked_end(arg, NOT_SURE, text("it took too long"));
}

static bool
begin(struct pam *me, struct asked *a, const struct ipc_pam_check *ask)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		return false;
	a->pid = fork();
	if (a->pid == 0)
		child(me, fds[1], ask, a->user);
	close(fds[1]);
	a->fd = fds[0];
	if (a->pid == -1) {
		fd_close(&a->fd);
		return false;
	}
	fd_nonblock(a->fd, true);
	watch_init(&a->readable, &me->d->loop, a->fd, EV_READ, on_readable, a);
	watch_on(&a->readable);
	timer_init(&a->deadline, &me->d->loop, on_deadline, a);
	timer_set(&a->deadline, me->s->pam_timeout_ms);
	TAILQ_INSERT_TAIL(&me->list, a, link);
	me->n++;
	return true;
}

static bool
frame(void *owner, struct channel *c, struct ipc_in *in)
{
	struct pam *me = owner;
	uint32_t id = in->id;
	struct ipc_pam_check ask;
	struct asked *a;

	if (in->type != IPC_pam_check || !ipc_get_pam_check(in, &ask))
		return false;
	a = mem_alloc(sizeof *a);
	a->all = me;
	a->channel = c;
	a->frame = id;
	/* A system user's name is a word: what is not, PAM's modules never see. */
	if (!file_component(ask.user, false, a->user))
		answer(me, c, id, NO, text("no such user"));
	else if (me->n >= me->s->pam_processes || !begin(me, a, &ask))
		answer(me, c, id, NOT_SURE, text("too many exchanges with PAM at once"));
	else
		return true;
	mem_free(a);
	return true;
}

static void
gone(void *owner, struct channel *c)
{
	struct pam *me = owner;
	struct asked *a;

	TAILQ_FOREACH(a, &me->list, link)
		if (a->channel == c)
			a->channel = NULL;
}

static uint32_t
sessions(void *owner)
{
	return ((struct pam *)owner)->n;
}

int
main(void)
{
	struct daemon d;
	struct pam_settings settings;
	struct pam me = { .d = &d, .s = &settings };

	daemon_start(&d, "pam");
	daemon_settings(&d, pam_settings, &settings);
	daemon_confine(&d, KEEP_FILES | KEEP_WRITE | KEEP_FORK | KEEP_EXEC | KEEP_NET_OUT);
	TAILQ_INIT(&me.list);
	ipc_out_init(&me.out);
	d.owner = &me;
	d.on_frame = frame;
	d.on_gone = gone;
	d.sessions = sessions;
	daemon_serve(&d);
	while (!TAILQ_EMPTY(&me.list))
		asked_end(TAILQ_FIRST(&me.list), NOT_SURE, text("the suite is stopping"));
	ipc_out_fini(&me.out);
	settings_free(pam_settings, &settings);
	return daemon_stop(&d);
}
