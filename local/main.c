/* SPDX-License-Identifier: ISC */
/*
 * local/main.c - deliveries to this host's mailboxes:
 *	qmgr -> local -> a deliver worker for each mailbox, forked by become
 * Holds channels to qmgr, become and its workers, no file. Reads no mail: it passes
 * each job, with the queue file's descriptor, to the one worker of that mailbox.
 * The workers are in local/workers.c, what they do in local/deliver.c.
 */
#include "local/local.h"

struct local {
	struct daemon	 daemon;
	struct local_settings settings;
	struct workers	*workers;
};

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	struct local *l = owner;
	struct ipc_deliver job;

	if (in->type != IPC_deliver || !ipc_get_deliver(in, &job))
		return false;
	workers_deliver(l->workers, c, in->id, &job);
	l->daemon.served++;
	return true;
}

static void
on_gone(void *owner, struct channel *c)
{
	struct local *l = owner;

	workers_forget(l->workers, c);
}

static uint32_t
sessions(void *owner)
{
	struct local *l = owner;

	return workers_jobs(l->workers);
}

int
main(void)
{
	static struct local l;
	int status;

	daemon_start(&l.daemon, "local");
	daemon_settings(&l.daemon, local_settings, &l.settings);
	l.workers = workers_new(&l.daemon, &l.settings);
	l.daemon.owner = &l;
	l.daemon.on_frame = on_frame;
	l.daemon.on_gone = on_gone;
	l.daemon.sessions = sessions;
	daemon_confine(&l.daemon, 0);		/* ---- frames of other processes only below ---- */
	daemon_serve(&l.daemon);
	workers_free(&l.workers);
	status = daemon_stop(&l.daemon);
	settings_free(local_settings, &l.settings);
	return status;
}
