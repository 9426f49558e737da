/* SPDX-License-Identifier: ISC */
/*
 * become/main.c - forks workers that act as a mailbox's owner:
 *
 *	local ──worker──▶ become ──▶ deliver, as the owner
 *	auth ──ticket──▶ become ◀──session── pop3-login, imap-login
 *	                    └──▶ pop3d, imapd, as the owner
 *
 * root, without any capability but those to change ids. It is executed once, with the
 * workers' code linked in, and forks without exec: that costs an eighth. It believes
 * no request: who may ask what is in `requests` and `kinds`; below first_uid nobody is
 * acted as; a session needs a ticket from auth, which login cannot make up. It opens no
 * mailbox; the fork does, when it is nobody but the owner. It never reads mail.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "become/become.h"
#include "daemon/daemon.h"
#include "imapd/session.h"
#include "local/deliver.h"
#include "mail/charset.h"
#include "mail/index.h"
#include "pop3d/session.h"

#define KEEP (KEEP_FILES | KEEP_WRITE | KEEP_FORK | KEEP_UID)

struct child { struct child *next; pid_t pid; const char *name; };

struct become {
	struct daemon	 d;
	struct become_settings settings;
	struct pop3d_settings pop3d;
	struct imapd_settings imapd;
	struct mailbox_settings mailbox;	/* of both */
	struct tickets	 tickets;
	struct timer	 expire;
	struct child	*children;	/* owned */
	uint32_t	 count;
	pid_t		 self;
	struct event	 died;
	int		 stop_in, stop_out;	/* a pipe: sessions have the reading end; writing end closed: they end */
};

/* ---- children ----------------------------------------------------------------------------- */

static void
remember(struct become *b, pid_t pid, const char *name)
{
	struct child *c = mem_alloc(sizeof *c);

	*c = (struct child){ b->children, pid, name };
	b->children = c;
	b->count++;
	b->d.served++;
}

static void
forget(struct become *b, pid_t pid, int status)
{
	for (struct child **at = &b->children; *at; at = &(*at)->next) {
		struct child *c = *at;

		if (c->pid != pid)
			continue;
		if (WIFSIGNALED(status))
			log_warn("%s[%d] died by signal %d (%s)", c->name, (int)pid, WTERMSIG(status),
			    strsignal(WTERMSIG(status)));
		else if (WEXITSTATUS(status) != 0)
			log_warn("%s[%d] died with status %d", c->name, (int)pid, WEXITSTATUS(status));
		*at = c->next;
		mem_free(c);
		b->count--;
		return;
	}
}

static void
reap(evutil_socket_t sig, short what, void *arg)
{
	struct become *b = arg;
	int status;
	pid_t pid;

	(void)sig;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		forget(b, pid, status);
	daemon_settled(&b->d);
}

static uint32_t
sessions(void *owner)
{
	return ((struct become *)owner)->count;
}

/* daemon/worker_wait.h */
static void
stop(void *owner)
{
	struct become *b = owner;

	fd_close(&b->stop_out);
}

/* In the fork: nothing of become's stays but what the worker is for. more: another descriptor for it, or -1. */
static void
be_worker(struct become *b, struct owner o, const char *name, int fd, int more)
{
	int keep[4] = { fd, more, log_fd(), fault_fd() };

	tickets_wipe(&b->tickets);
	owner_close_others(keep, LEN(keep));
	owner_become(o, b->self, name);
}

/* 0, or an errno. In the child it returns 0 with *pid 0. */
static int
fork_as(struct become *b, struct owner o, struct bytes mailbox, const char *name, pid_t *pid)
{
	int no = owner_allowed(&b->settings, o, geteuid(), getegid());

	if (no != 0 || !owner_mailbox_ok(mailbox)) {
		log_warn("refused to start %s as uid %u, gid %u for %s", name, (unsigned)o.uid, (unsigned)o.gid,
		    log_text(mailbox));
		return no != 0 ? no : EINVAL;
	}
	if (b->count >= b->settings.processes) {
		log_warn("refused to start %s: become_processes = %llu are there", name,
		    (unsigned long long)b->settings.processes);
		return EAGAIN;
	}
	if ((*pid = fork()) == -1) {
		no = errno;
		log_errno("cannot fork %s", name);
		return no;
	}
	if (*pid > 0)
		remember(b, *pid, name);
	return 0;
}

/* ---- requests ---------------------------------------------------------------------------------- */

/* A worker reads its channel in straight-line code. */
static _Noreturn void
run_deliver(struct become *b, struct owner o, const struct ipc_worker *m)
{
	char name[257];

	be_worker(b, o, "deliver", m->channel, -1);
	fd_nonblock(m->channel, false);
	if (!bytes_to_text(m->name, name, sizeof name))
		_exit(1);
	_exit(deliver_run(m->channel, m->mailbox, name));
}

static bool
on_worker(struct become *b, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_worker m;
	struct ipc_worker_started a = { 0 };
	struct ipc_out out;
	struct owner o;
	pid_t pid = -1;

	if (!ipc_get_worker(in, &m))
		return false;
	o = (struct owner){ m.uid, m.gid };
	a.status = m.channel == -1 ? EINVAL : (uint32_t)fork_as(b, o, m.mailbox, "deliver", &pid);
	if (a.status == 0 && pid == 0)
		run_deliver(b, o, &m);
	fd_close(&m.channel);
	a.pid = a.status == 0 ? (uint32_t)pid : 0;
	ipc_out_init(&out);
	ipc_put_worker_started(&out, id, &a);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	return true;
}

static void
expire(void *arg)
{
	struct become *b = arg;

	tickets_expire(&b->tickets, clock_mono_ms());
	if (b->tickets.n > 0)
		timer_set(&b->expire, TICKET_MS);
}

static bool
on_ticket(struct become *b, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_ticket m;
	struct ipc_ticket_kept a = { 0 };
	struct ipc_out out;
	struct owner o;

	if (!ipc_get_ticket(in, &m))
		return false;
	o = (struct owner){ m.uid, m.gid };
	a.status = (uint32_t)owner_allowed(&b->settings, o, geteuid(), getegid());
	if (a.status == 0 && !owner_mailbox_ok(m.mailbox))
		a.status = EINVAL;
	if (a.status == 0)
		a.status = (uint32_t)tickets_keep(&b->tickets, m.ticket, m.account, m.protocol, o, m.mailbox,
		    clock_mono_ms());
	if (a.status != 0)
		log_warn("refused a session of %s as uid %u, gid %u in %s", log_text(m.account), (unsigned)m.uid,
		    (unsigned)m.gid, log_text(m.mailbox));
	if (b->tickets.n > 0)
		timer_set(&b->expire, TICKET_MS);
	ipc_out_init(&out);
	ipc_put_ticket_kept(&out, id, &a);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	return true;
}

static _Noreturn void
run_pop3d(struct become *b, const struct ticket *t, const struct ipc_session *m)
{
	struct pop3d_start start = {
		.socket = m->socket, .stop = b->stop_in, .mailbox = text(t->mailbox), .account = text(t->account),
		.session_id = m->session_id, .client = m->client, .input = m->input, .output = m->output,
		.offered = m->offered, .settings = &b->pop3d, .kept = &b->mailbox,
	};

	be_worker(b, t->owner, "pop3d", m->socket, b->stop_in);
	_exit(pop3d_run(&start));
}

static _Noreturn void
run_imapd(struct become *b, const struct ticket *t, const struct ipc_session *m)
{
	struct imapd_start start = {
		.socket = m->socket, .stop = b->stop_in, .mailbox = text(t->mailbox), .account = text(t->account),
		.session_id = m->session_id, .client = m->client, .input = m->input, .output = m->output,
		.settings = &b->imapd, .kept = &b->mailbox,
	};

	be_worker(b, t->owner, "imapd", m->socket, b->stop_in);
	_exit(imapd_run(&start));
}

/* Who may ask for which. */
static const struct kind {
	const char	*login, *protocol, *worker;
	void		(*run)(struct become *, const struct ticket *, const struct ipc_session *);
} kinds[] = {
	{ "pop3-login",	"pop3",	"pop3d",	run_pop3d },
	{ "imap-login",	"imap",	"imapd",	run_imapd },
};

static const struct kind *
find_kind(const char *login, struct bytes protocol)
{
	for (size_t i = 0; i < LEN(kinds); i++)
		if (strcmp(login, kinds[i].login) == 0 && bytes_eq(protocol, text(kinds[i].protocol)))
			return &kinds[i];
	return NULL;
}

static uint32_t
start_session(struct become *b, const struct kind *kind, const struct ipc_session *m, pid_t *pid)
{
	struct ticket *t = tickets_take(&b->tickets, m->ticket, m->protocol, clock_mono_ms());
	int status = EACCES;

	if (!t || !kind)
		log_warn("%s: a session without a ticket was refused", log_text(m->session_id));
	else if (m->socket == -1)
		status = EINVAL;
	else
		status = fork_as(b, t->owner, text(t->mailbox), kind->worker, pid);
	if (t && status == 0 && *pid == 0)
		kind->run(b, t, m);
	ticket_free(&t);
	return (uint32_t)status;
}

static bool
on_session(struct become *b, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_session m;
	struct ipc_session_started a = { 0 };
	struct ipc_out out;
	pid_t pid = -1;

	if (!ipc_get_session(in, &m))
		return false;
	a.status = start_session(b, find_kind(channel_peer(c), m.protocol), &m, &pid);
	a.pid = a.status == 0 ? (uint32_t)pid : 0;
	fd_close(&m.socket);
	ipc_out_init(&out);
	ipc_put_session_started(&out, id, &a);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	return true;
}

static const struct {
	const char	*peer;		/* who alone may ask this */
	uint32_t	 type;
	bool		(*run)(struct become *, struct channel *, struct ipc_in *);
} requests[] = {
	{ "local",	IPC_worker,	on_worker },
	{ "auth",	IPC_ticket,	on_ticket },
	{ "pop3-login",	IPC_session,	on_session },
	{ "imap-login",	IPC_session,	on_session },
};

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	for (size_t i = 0; i < LEN(requests); i++)
		if (in->type == requests[i].type && strcmp(channel_peer(c), requests[i].peer) == 0)
			return requests[i].run(owner, c, in);
	return false;
}

static void
open_stop_pipe(struct become *b)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		log_fatal("cannot make a pipe: %s", strerrordesc_np(errno));
	b->stop_in = fds[0];
	b->stop_out = fds[1];
}

int
main(void)
{
	struct become b = { .self = getpid() };
	int status;

	daemon_start(&b.d, "become");
	daemon_settings(&b.d, become_settings, &b.settings);
	daemon_settings(&b.d, pop3d_settings, &b.pop3d);
	daemon_settings(&b.d, imapd_settings, &b.imapd);
	daemon_settings(&b.d, mailbox_settings, &b.mailbox);
	clock_open();
	evsignal_assign(&b.died, b.d.loop.base, SIGCHLD, reap, &b);
	evsignal_add(&b.died, NULL);
	timer_init(&b.expire, &b.d.loop, expire, &b);
	b.d.owner = &b;
	b.d.on_frame = on_frame;
	b.d.on_stop = stop;
	b.d.sessions = sessions;
	open_stop_pipe(&b);
	crc32_open();
	charsets_open();		/* both for imapd's forks, which can open nothing outside of a mailbox */
	if (!index_boot_host())
		log_errno("cannot read which boot of the host this is: mod-sequences will not be kept for long");
	worker_prepare(KEEP_FILES | KEEP_WRITE, KEEP);	/* as all its workers keep */
	daemon_confine(&b.d, KEEP);
	daemon_serve(&b.d);
	tickets_wipe(&b.tickets);
	evsignal_del(&b.died);
	status = daemon_stop(&b.d);
	return status;
}
