/* SPDX-License-Identifier: ISC */
/*
 * qmgr/main.c - decide what to deliver next:  cleanup -> queue -> qmgr -> local
 *
 * Holds the queue directory, channels to router and local, and the socket where the administrator
 * gives orders: see its row in master/services.c. Never reads content but for its checksum; hands on descriptors
 * of queue files that carry the message's lock, so that another qmgr leaves alone
 * what is still being delivered. Everything it must not forget is in the queue.
 */
#include <sys/resource.h>

#include "base/log.h"
#include "mail/queue_task.h"
#include "qmgr/qmgr.h"

#define OTHER_FILES	(128 + QUEUE_TASK_FILES)	/* channels, directories, the loop; an order's */

static bool
on_arrived(struct qmgr *m, struct ipc_in *in)
{
	struct ipc_arrived a;
	char id[QUEUE_ID_MAX + 1];

	if (!ipc_get_arrived(in, &a) || !bytes_to_text(a.queue_id, id, sizeof id))
		return false;
	if (early_arrived(m, a.queue_id) || m->daemon->draining || !scan_owns(m->scan))
		return true;
	switch (active_take(m, QUEUE_NEW, id, false)) {
	case TAKE_DONE:
		break;
	case TAKE_LATER:
		scan_again(m->scan, QUEUE_NEW, id, m->settings->uncertain_backoff_ms);
		break;
	case TAKE_FULL:
		scan_left_some(m->scan);
		break;
	}
	return true;
}

static bool
on_withdrawn(struct qmgr *m, struct ipc_in *in)
{
	struct ipc_withdrawn a;

	return ipc_get_withdrawn(in, &a) && early_withdrawn(m, a.queue_ids);
}

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	switch (in->type) {
	case IPC_early:		return early_take(owner, c, in);
	case IPC_arrived:	return on_arrived(owner, in);
	case IPC_withdrawn:	return on_withdrawn(owner, in);
	}
	return false;
}

static void
on_gone(void *owner, struct channel *c)
{
	early_gone(owner, c);
}

static void
on_listen(void *owner, const char *setting, int fd)
{
	struct qmgr *m = owner;

	(void)setting;
	control_accept(m->control, fd);
}

static void
on_drain(void *owner)
{
	struct qmgr *m = owner;

	control_drain(m->control);
	scan_drain(m->scan);
	down_drain(m->downs);
	schedule_drain(m->schedule);
	active_drain(m);
	scan_release(m->scan);		/* the next one goes on; what is on its way here has its own lock */
}

/* A message in memory holds its file open. */
static void
fit_limit(struct qmgr_settings *s)
{
	struct rlimit r;
	uint64_t most;

	if (getrlimit(RLIMIT_NOFILE, &r) == -1 || r.rlim_cur == RLIM_INFINITY)
		return;
	most = r.rlim_cur > 2 * OTHER_FILES ? r.rlim_cur - OTHER_FILES : r.rlim_cur / 2;
	if (s->active_limit <= most)
		return;
	log_warn("qmgr_active_limit is taken for %llu: %llu descriptors are all that open_files and the host allow",
	    (unsigned long long)most, (unsigned long long)r.rlim_cur);
	s->active_limit = most;
}

int
main(void)
{
	struct daemon d;
	struct qmgr_settings settings;
	struct qmgr m = { .daemon = &d, .settings = &settings };
	int dir;

	daemon_start(&d, "qmgr");
	daemon_settings(&d, qmgr_settings, &settings);
	dir = daemon_file(&d, "queue_directory");
	if (dir == -1 || !queue_open(&m.queue, dir, daemon_proc_fd(&d)))
		log_fatal("the queue cannot be opened");
	queue_sync_as(&m.queue, settings.sync_directory);
	fit_limit(&settings);
	daemon_confine(&d, KEEP_FILES | KEEP_WRITE | KEEP_ACCEPT);	/* ---- strangers only below ---- */
	m.router = daemon_peers(&d, "router");
	m.bounce = daemon_peers(&d, "bounce");
	ipc_out_init(&m.out);
	active_init(&m);
	m.schedule = schedule_new(&m);
	m.downs = down_new(&m);
	m.scan = scan_new(&m);
	m.control = control_new(&m);
	d.owner = &m;
	d.on_frame = on_frame;
	d.on_gone = on_gone;
	d.on_listen = on_listen;
	d.on_drain = on_drain;
	d.sessions = active_jobs;
	scan_start(m.scan);
	daemon_serve(&d);
	control_free(&m.control);
	scan_free(&m.scan);
	down_free(&m.downs);
	active_fini(&m);
	schedule_free(&m.schedule);
	ipc_out_fini(&m.out);
	queue_close(&m.queue);
	settings_free(qmgr_settings, &settings);
	return daemon_stop(&d);
}
