/* SPDX-License-Identifier: ISC */
/*
 * daemon/worker_wait.h - how a session in a process of its own (imapd, pop3d) waits for
 * its client, and hears that the suite stops: become holds the writing end of a pipe of
 * which all its sessions hold the reading end. A signal could come between any two lines;
 * this is seen where a session waits, and nowhere else.
 */
#ifndef DAEMON_WORKER_WAIT_H
#define DAEMON_WORKER_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#define WORKER_STOP_MS	2000	/* without progress, for what was under way when the suite began to stop */
#define WORKER_STOP_ALL_MS 4000	/* with it: then it is dropped in order, before become kills */

struct worker_socket {
	int	fd;		/* the client; borrowed */
	int	stop;		/* end of file: the suite stops. -1: nobody says so. Borrowed */
	bool	stopping;	/* it was seen */
	uint64_t stop_end;	/* private: when it is over with, whatever comes */
};

enum worker_wait {
	WORKER_READY,
	WORKER_SILENT,		/* for all that time */
	WORKER_STOP,
	WORKER_GONE,		/* poll(2) failed */
};

/*
 * Waits until the socket is ready for `events` (poll(2)). idle: nothing is under way with the client, so a stop
 * ends the wait at once, even when the client has just said something; else it ends a wait that has
 * lasted for WORKER_STOP_MS since, and all waits WORKER_STOP_ALL_MS after it.
 */
enum worker_wait worker_wait(struct worker_socket *w, short events, uint64_t ms, bool idle);

/* Before the socket is closed after last words: what came meanwhile is taken off it. To close it with that unread would
 * be a reset, which can overtake the words. */
void	worker_discard(const struct worker_socket *w);

#endif
