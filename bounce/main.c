/* SPDX-License-Identifier: ISC */
/*
 * bounce/main.c - tell senders what became of their mail:
 *	qmgr -> bounce -> cleanup -> queue
 *
 * Holds channels to qmgr, router and cleanup, and what these hand it: the queue file that a notification is about, and
 * the one that it is written into. Reads mail of strangers and the words of remote hosts: what they may do to a notification
 * is in mail/notice.c, whom one may be sent to in mail/notice_policy.c. Waits for the disk while others wait for it: it
 * has no clients.
 */
#include "bounce/bounce.h"

int
main(void)
{
	static struct bounce b;
	struct daemon d;
	struct bounce_settings settings;

	daemon_start(&d, "bounce");
	daemon_settings(&d, bounce_settings, &settings);
	bounce_init(&b, &d, &settings);
	bounce_templates(&b);
	daemon_confine(&d, 0);			/* ---- strangers' mail only below ---- */
	b.router = daemon_peers(&d, "router");
	b.cleanup = daemon_peers(&d, "cleanup");
	d.owner = &b;
	d.on_frame = bounce_frame;
	d.on_gone = bounce_gone;
	d.sessions = bounce_count;
	d.leaves_callers = true;		/* qmgr, which cleanup asks, which is asked from here */
	daemon_serve(&d);
	bounce_fini(&b);
	settings_free(bounce_settings, &settings);
	return daemon_stop(&d);
}
