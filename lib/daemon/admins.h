/* SPDX-License-Identifier: ISC */
/*
 * daemon/admins.h - the administrator's connections to a daemon: hermod command -> run_directory/x.sock -> daemon. Whatever the
 * socket's mode lets through, only root and the user that the daemon runs as are heard: the kernel says who it is.
 * Who neither asks nor takes answers is hung up on after a minute.
 */
#ifndef DAEMON_ADMINS_H
#define DAEMON_ADMINS_H

#include "daemon/channel.h"

#define ADMINS_MAX	16		/* of a daemon, at once */
#define ADMINS_IDLE_MS	60000

struct admins;

struct admin {
	struct admin	*next;
	struct admins	*all;		/* borrowed */
	struct channel	*channel;	/* its own */
	uint32_t	 uid;		/* as the kernel says */
	struct timer	 idle;
	void		*data;		/* the daemon's; NULL at first */
};

struct admins {
	struct loop	*loop;		/* borrowed */
	struct admin	*first;		/* owned */
	size_t		 n;
	/* What it sends. False: it makes no sense, and its connection is closed. */
	bool		(*frame)(void *arg, struct admin *a, struct ipc_in *in);
	/* It goes, and its data is to be freed. NULL: there is none. */
	void		(*gone)(void *arg, struct admin *a);
	void		*arg;		/* of both; borrowed */
};

/* Zeroed but for loop, frame, gone and arg: there is nothing to init. */
void	admins_accept(struct admins *all, int fd);	/* taken */
void	admins_close(struct admins *all);	/* all of them */
/* The minute begins now; on false: it waits for us, and has all the time there is. */
void	admin_idle(struct admin *a, bool on);

#endif
