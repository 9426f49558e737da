/* SPDX-License-Identifier: ISC */
/*
 * cleanup/main.c - make messages durable:  smtpd, pickup -> cleanup -> queue -> qmgr
 *
 * Holds the queue directory and nothing else: see its row in master/services.c.
 * Believes no envelope it is sent, and does not take a receiver's word that it has
 * closed the file: the kernel says so (mail/queue.h). It waits for the disk while
 * others wait for it; that is why there are several of it.
 */
#include "base/log.h"
#include "cleanup/cleanup.h"

static void
open_queue(struct daemon *d, const struct cleanup_settings *s, struct queue *q)
{
	int dir = daemon_file(d, "queue_directory");

	if (dir == -1 || !queue_open(q, dir, daemon_proc_fd(d)))
		log_fatal("the queue cannot be opened");
	queue_sync_as(q, s->sync_directory);
	if (q->no_tmpfile && d->slot == 0)
		queue_clean_tmp(q);
}

int
main(void)
{
	struct daemon d;
	struct cleanup_settings settings;
	struct queue queue;
	struct drafts *drafts;

	daemon_start(&d, "cleanup");
	daemon_settings(&d, cleanup_settings, &settings);
	open_queue(&d, &settings, &queue);		/* /proc and /sys say what its file system promises */
	daemon_confine(&d, KEEP_FILES | KEEP_WRITE | KEEP_LEASE);	/* ---- strangers only below ---- */
	drafts = drafts_new(&d, &queue, &settings);
	d.owner = drafts;
	d.on_frame = drafts_frame;
	d.on_gone = drafts_gone;
	d.sessions = drafts_open;
	daemon_serve(&d);
	drafts_free(&drafts);
	queue_close(&queue);
	settings_free(cleanup_settings, &settings);
	return daemon_stop(&d);
}
