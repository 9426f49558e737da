/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon.h"
#include "daemon/hidden.h"

#define START_MS	60000	/* in which master must have handed over all */
#define ACCEPT_ROUND	16	/* connections taken before others have their turn */
#define NOTE_MAX	512	/* octets of what is said of a process for status */
#define LAG_MS		100	/* a round longer than this accepts nothing more */
#define PAUSE_MS	100	/* without accepting, when there is no descriptor left */
#define FLUSH_MS	5000	/* how often a log record that found no room is sent again */
#define FLUSH_SOON_MS	100
#define MISSING_MS	30000	/* without any worker of a service: longer than master takes to start one */

static struct hidden *
hidden(struct daemon *d)
{
	return d->hidden;
}

static void	close_listeners(struct daemon *d);

/* ---- what master hands over ---- */

static void
keep_setting(struct daemon *d, const struct ipc_setting *m)
{
	struct kept_setting *s = mem_alloc(sizeof *s);

	s->name = mem_alloc(m->name.n + 1);
	s->value = mem_alloc(m->value.n + 1);
	if (!bytes_to_text(m->name, s->name, m->name.n + 1) || !bytes_to_text(m->value, s->value, m->value.n + 1))
		log_fatal("a setting of master's has a NUL in it");
	s->next = hidden(d)->settings;
	hidden(d)->settings = s;
}

static void
keep_fd(struct daemon *d, struct bytes name, int fd, bool listener)
{
	if (d->nfds == DAEMON_FDS)
		log_fatal("master hands over more than %d descriptors", DAEMON_FDS);
	if (fd == -1 || !bytes_to_text(name, d->fds[d->nfds].name, sizeof d->fds[d->nfds].name))
		log_fatal("master hands over a descriptor without a name, or the other way round");
	d->fds[d->nfds].fd = fd;
	d->fds[d->nfds].listener = listener;
	d->nfds++;
}

static struct peers *
find_peers(struct daemon *d, struct bytes service)
{
	for (size_t i = 0; i < d->npeers; i++)
		if (bytes_eq(text(hidden(d)->asked[i]), service))
			return d->peers[i];
	return NULL;
}

static struct peers *
make_peers(struct daemon *d, struct bytes service)
{
	struct hidden *h = hidden(d);

	if (d->npeers == DAEMON_PEERS)
		log_fatal("master names more than %d services to ask", DAEMON_PEERS);
	must(bytes_to_text(service, h->asked[d->npeers], sizeof h->asked[d->npeers]));
	d->peers[d->npeers] = peers_new(h->asked[d->npeers]);
	return d->peers[d->npeers++];
}

static bool
caller_frame(void *arg, struct channel *c, struct ipc_in *in)
{
	struct daemon *d = arg;

	return d->on_frame && d->on_frame(d->owner, c, in);
}

/*
 * A service that was there is not, and master has not started it again in all that time:
 * it lives, but the channels to it were lost (it was stopped, and too much piled up). Only
 * a process that is started gets new ones. A drain has its own end.
 */
static void
still_missing(void *arg)
{
	struct daemon *d = arg;
	struct hidden *h = hidden(d);
	uint64_t now = clock_mono_ms();

	for (size_t i = 0; i < d->npeers; i++) {
		if (peers_count(d->peers[i]) > 0)
			h->missing_ms[i] = 0;
		if (h->missing_ms[i] == 0 || d->draining)
			continue;
		if (now - h->missing_ms[i] >= MISSING_MS)
			log_fatal("no channel to %s for %d s: started again for new ones", h->asked[i],
			    MISSING_MS / 1000);
		timer_set(&h->missing, MISSING_MS - (now - h->missing_ms[i]));
	}
}

static void
tell_gone(struct daemon *d, struct channel *c)
{
	if (d->on_gone)
		d->on_gone(d->owner, c);
}

static void
asked_gone(void *arg, struct channel *c)
{
	struct daemon *d = arg;
	struct hidden *h = hidden(d);

	for (size_t i = 0; i < d->npeers && channel_greeted(c); i++) {
		if (strcmp(h->asked[i], channel_peer(c)) == 0 && peers_count(d->peers[i]) == 0) {
			h->missing_ms[i] = clock_mono_ms();
			timer_set(&h->missing, MISSING_MS);
		}
	}
	tell_gone(d, c);
}

static void
caller_gone(void *arg, struct channel *c)
{
	struct daemon *d = arg;

	hidden(d)->callers--;
	tell_gone(d, c);
	daemon_settled(d);
}

/* Somebody who asks us. Until daemon_serve it waits: the program has not said yet what it does. */
static void
add_caller(struct daemon *d, struct bytes service, unsigned slot, int fd)
{
	struct hidden *h = hidden(d);
	struct kept_caller *k;

	if (h->serving) {
		if (d->on_channel) {
			char name[33];

			must(bytes_to_text(service, name, sizeof name));
			d->on_channel(d->owner, name, slot, fd);
		} else {
			struct channel *c = channel_new(&d->loop, fd, caller_frame, caller_gone, d);

			channel_is_asked(c);
			channel_set_peer(c, service);
			h->callers++;
		}
		return;
	}
	k = mem_alloc(sizeof *k);
	must(bytes_to_text(service, k->service, sizeof k->service));
	k->slot = slot;
	k->fd = fd;
	*h->kept_end = k;
	h->kept_end = &k->next;
}

static void
add_channel(struct daemon *d, const struct ipc_channel *m)
{
	struct channel *c;
	struct peers *p;

	if (m->fd == -1 || m->service.n == 0)
		log_fatal("master hands over a channel without descriptor or name");
	if (bytes_eq(m->service, text("journal"))) {
		log_open(m->fd);
	} else if (m->caller) {
		p = find_peers(d, m->service);
		c = channel_new(&d->loop, m->fd, NULL, asked_gone, d);
		channel_set_peer(c, m->service);
		peers_add(p ? p : make_peers(d, m->service), m->slot, c);
	} else {
		add_caller(d, m->service, m->slot, m->fd);
	}
}

static void
go(struct daemon *d, const struct ipc_go *m)
{
	d->slot = m->slot;
	d->generation = m->generation;
	hidden(d)->gone_to_work = true;
	loop_stop(&d->loop);
}

/* ---- control ---- */

/* Before daemon_serve it is only noted, and come to there. */
static void
drain(struct daemon *d, bool stop)
{
	bool serving = hidden(d)->serving, first = !d->draining, stop_now = stop && !d->stopping;

	d->draining = true;
	d->stopping |= stop;
	if (!serving)
		return;
	if (first) {
		close_listeners(d);
		if (d->on_drain)
			d->on_drain(d->owner);
	}
	if (stop_now && d->on_stop)
		d->on_stop(d->owner);
	daemon_settled(d);
}

static void
report(struct daemon *d, struct channel *c, uint32_t id)
{
	struct ipc_reported m = { .sessions = d->sessions ? d->sessions(d->owner) : 0, .served = d->served };
	struct ipc_out out;
	struct buf note;

	buf_init(&note, NOTE_MAX);
	buf_text(&note, hidden(d)->note);
	if (d->on_report)
		d->on_report(d->owner, &note);
	m.note = buf_bytes(&note);
	ipc_out_init(&out);
	ipc_put_reported(&out, id, &m);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	buf_fini(&note);
}

/* Before `go` and after it: settings, listeners and files are only for before. */
static bool
control_frame(void *arg, struct channel *c, struct ipc_in *in)
{
	struct daemon *d = arg;
	bool working = hidden(d)->gone_to_work, known = false;
	union {
		struct ipc_setting setting;
		struct ipc_listener listener;
		struct ipc_file file;
		struct ipc_channel channel;
		struct ipc_go go;
		struct ipc_drain drain;
		struct ipc_reopen reopen;
		struct ipc_ticket_keys tickets;
		struct ipc_report report;
	} m;

	switch (in->type) {
	case IPC_setting:
		if ((known = !working && ipc_get_setting(in, &m.setting)))
			keep_setting(d, &m.setting);
		break;
	case IPC_listener:
		if ((known = !working && ipc_get_listener(in, &m.listener)))
			keep_fd(d, m.listener.name, m.listener.fd, true);
		break;
	case IPC_file:
		if ((known = !working && ipc_get_file(in, &m.file)))
			keep_fd(d, m.file.name, m.file.fd, false);
		break;
	case IPC_channel:
		if ((known = ipc_get_channel(in, &m.channel)))
			add_channel(d, &m.channel);
		break;
	case IPC_go:
		if ((known = !working && ipc_get_go(in, &m.go)))
			go(d, &m.go);
		break;
	case IPC_drain:
		if ((known = ipc_get_drain(in, &m.drain)))
			drain(d, m.drain.stop != 0);
		break;
	case IPC_report:
		if ((known = ipc_get_report(in, &m.report)))
			report(d, c, in->id);
		break;
	case IPC_ticket_keys:
		known = ipc_get_ticket_keys(in, &m.tickets) && m.tickets.keys.n == sizeof d->ticket_keys;
		if (known)
			memcpy(d->ticket_keys, m.tickets.keys.p, sizeof d->ticket_keys);
		break;
	case IPC_reopen:
		if ((known = d->on_reopen && ipc_get_reopen(in, &m.reopen)))
			d->on_reopen(d->owner);
		break;
	default:
		break;
	}
	if (!known)
		log_fatal("master says `%s`, which makes no sense here", ipc_name(in->type));
	return true;
}

static void
control_gone(void *arg, struct channel *c)
{
	struct daemon *d = arg;

	(void)c;
	d->master = NULL;
	loop_stop(&d->loop);
	if (!hidden(d)->serving) {
		log_flush();
		_exit(0);
	}
}

static void
start_too_slow(void *arg)
{
	(void)arg;
	log_fatal("master has not handed over all within %d s", START_MS / 1000);
}

static void
set_signals(void)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN };

	must(sigaction(SIGPIPE, &ignored, NULL) == 0);
	must(sigaction(SIGINT, &ignored, NULL) == 0);
	must(sigaction(SIGHUP, &ignored, NULL) == 0);
}

void
daemon_start(struct daemon *d, const char *name)
{
	struct hidden *h = mem_alloc(sizeof *h);
	struct timer limit;
	int type;
	socklen_t n = sizeof type;

	*d = (struct daemon){ .name = name, .hidden = h };
	h->proc_fd = -1;
	h->root = -1;
	h->kept_end = &h->kept;
	log_name(name);
	fault_open(name);
	set_signals();
	if (getsockopt(DAEMON_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &n) == -1 || type != SOCK_SEQPACKET)
		log_fatal("descriptor %d is no channel: this program is started by master, not by hand",
		    DAEMON_CONTROL_FD);
	fd_cloexec(DAEMON_CONTROL_FD, true);
	loop_init(&d->loop);
	timer_init(&h->missing, &d->loop, still_missing, d);
	d->master = channel_new(&d->loop, DAEMON_CONTROL_FD, control_frame, control_gone, d);
	channel_is_asked(d->master);
	timer_init(&limit, &d->loop, start_too_slow, NULL);
	timer_set(&limit, START_MS);
	while (!h->gone_to_work)
		loop_run(&d->loop);
	timer_clear(&limit);
}

/* A value that this process cannot take was never checked by master: they are not of one build. */
void
daemon_settings(struct daemon *d, const struct setting *table, void *out)
{
	char why[256];

	settings_standard(table, out);
	for (struct kept_setting *s = hidden(d)->settings; s; s = s->next)
		if (settings_find(table, s->name) && !settings_set(table, s->name, s->value, out, why, sizeof why))
			log_fatal("setting %s: %s", s->name, why);
}

int
daemon_file(struct daemon *d, const char *name)
{
	for (size_t i = 0; i < d->nfds; i++)
		if (!d->fds[i].listener && strcmp(d->fds[i].name, name) == 0)
			return d->fds[i].fd;
	return -1;
}

void
daemon_file_close(struct daemon *d, const char *name)
{
	for (size_t i = 0; i < d->nfds; i++)
		if (!d->fds[i].listener && strcmp(d->fds[i].name, name) == 0)
			fd_close(&d->fds[i].fd);
}

int
daemon_keep_dir(struct daemon *d, const char *path, bool write)
{
	struct hidden *h = hidden(d);
	int fd;

	must(h->ndirs < KEPT_DIRS);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd != -1) {
		h->dirs[h->ndirs].fd = fd;
		h->dirs[h->ndirs++].write = write;
	}
	return fd;
}

void
daemon_root(struct daemon *d, int dir)
{
	hidden(d)->root = dir;
}

int
daemon_proc_fd(struct daemon *d)
{
	struct hidden *h = hidden(d);

	if (h->proc_fd == -1) {
		h->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (h->proc_fd == -1)
			log_errno("/proc/self/fd");
	}
	return h->proc_fd;
}

struct peers *
daemon_peers(struct daemon *d, const char *service)
{
	struct peers *p = find_peers(d, text(service));

	if (!p)
		log_fatal("there is no channel to %s: its row in services.c does not name it", service);
	return p;
}

/* ---- accepting ---- */

static void
watch_listeners(struct hidden *h)
{
	for (size_t i = 0; i < h->nlisteners; i++) {
		if (h->accept_wanted && !h->accept_paused)
			watch_on(&h->listeners[i].watch);
		else
			watch_off(&h->listeners[i].watch);
	}
}

void
daemon_accept(struct daemon *d, bool on)
{
	hidden(d)->accept_wanted = on && !d->draining;
	watch_listeners(hidden(d));
}

static void
pause_over(void *arg)
{
	struct hidden *h = arg;

	h->accept_paused = false;
	watch_listeners(h);
}

/* No descriptor or memory is left: the connection stays in the backlog, and the loop must not spin. */
static void
pause_accepting(struct hidden *h)
{
	uint64_t now = clock_mono_ms();

	if (h->paused_said_ms == 0 || now - h->paused_said_ms >= 60000) {
		log_errno("cannot accept connections for a while");
		h->paused_said_ms = now;
	}
	h->accept_paused = true;
	watch_listeners(h);
	timer_set(&h->pause, PAUSE_MS);
}

static void
acceptable(void *arg, short what)
{
	struct listener *l = arg;
	struct daemon *d = l->daemon;
	struct hidden *h = hidden(d);

	(void)what;
	for (unsigned i = 0; i < ACCEPT_ROUND && l->watch.set && loop_lag_ms(&d->loop) < LAG_MS; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd != -1)
			d->on_listen(d->owner, l->setting, fd);
		else if (errno == EAGAIN)
			break;		/* another worker was faster */
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(h);
		/* else: that one connection failed before we had it (accept(2)) */
	}
}

static void
open_listeners(struct daemon *d)
{
	struct hidden *h = hidden(d);
	int on = 1;

	timer_init(&h->pause, &d->loop, pause_over, h);
	for (size_t i = 0; i < d->nfds && d->on_listen; i++) {
		struct listener *l = &h->listeners[h->nlisteners];

		if (!d->fds[i].listener)
			continue;
		*l = (struct listener){ .daemon = d, .setting = d->fds[i].name, .fd = d->fds[i].fd };
		fd_nonblock(l->fd, true);
		/* What is accepted inherits it; a socket of another family has no such option. */
		(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		watch_init(&l->watch, &d->loop, l->fd, EV_READ, acceptable, l);
		h->nlisteners++;
	}
	daemon_accept(d, true);
}

/* For good: who drains must not keep the port from those who come after the suite has stopped. */
static void
close_listeners(struct daemon *d)
{
	struct hidden *h = hidden(d);

	daemon_accept(d, false);
	timer_clear(&h->pause);
	for (size_t i = 0; i < h->nlisteners; i++)
		fd_close(&h->listeners[i].fd);
	h->nlisteners = 0;
	for (size_t i = 0; i < d->nfds; i++)
		if (d->fds[i].listener)
			d->fds[i].fd = -1;
}

/* ---- serving ---- */

static void
flush_log(void *arg)
{
	struct daemon *d = arg;

	timer_set(&hidden(d)->flush, log_flush() ? FLUSH_MS : FLUSH_SOON_MS);
}

static void
open_callers(struct daemon *d)
{
	struct hidden *h = hidden(d);

	while (h->kept) {
		struct kept_caller *k = h->kept;

		h->kept = k->next;
		add_caller(d, text(k->service), k->slot, k->fd);
		mem_free(k);
	}
}

static void
say_ready(struct daemon *d)
{
	struct ipc_ready m = { 0 };
	struct ipc_out out;

	ipc_out_init(&out);
	ipc_put_ready(&out, 0, &m);
	if (d->master)
		channel_send(d->master, &out);
	ipc_out_fini(&out);
}

void
daemon_settled(struct daemon *d)
{
	if (d->draining && (hidden(d)->callers == 0 || d->leaves_callers) && (!d->sessions || d->sessions(d->owner) == 0))
		loop_stop(&d->loop);
}

static void
late_drain(void *arg)
{
	struct daemon *d = arg;

	bool stop = d->stopping;

	d->draining = d->stopping = false;
	drain(d, stop);
}

void
daemon_serve(struct daemon *d)
{
	struct hidden *h = hidden(d);

	h->serving = true;
	timer_init(&h->flush, &d->loop, flush_log, d);
	timer_set(&h->flush, FLUSH_MS);
	open_callers(d);
	open_listeners(d);
	say_ready(d);
	timer_init(&h->late_drain, &d->loop, late_drain, d);
	if (d->draining)		/* told so before it had begun */
		timer_set(&h->late_drain, 0);
	loop_run(&d->loop);
}

static void
free_kept(struct hidden *h)
{
	while (h->settings) {
		struct kept_setting *s = h->settings;

		h->settings = s->next;
		mem_free(s->name);
		mem_free(s->value);
		mem_free(s);
	}
}

int
daemon_stop(struct daemon *d)
{
	struct hidden *h = hidden(d);

	for (size_t i = 0; i < h->nlisteners; i++)
		watch_off(&h->listeners[i].watch);
	timer_clear(&h->pause);
	timer_clear(&h->flush);
	timer_clear(&h->late_drain);
	timer_clear(&h->missing);
	for (size_t i = 0; i < d->npeers; i++)
		peers_free(&d->peers[i]);
	channel_close(&d->master);
	free_kept(h);
	log_flush();
	mem_free(h);
	d->hidden = NULL;
	return 0;		/* callers' channels and descriptors go with the process */
}
