/* SPDX-License-Identifier: ISC */
/*
 * daemon/hidden.h - what lib/daemon keeps of a process for itself (struct daemon's
 * `hidden`). No program includes this.
 */
#ifndef DAEMON_HIDDEN_H
#define DAEMON_HIDDEN_H

#include "daemon/daemon.h"

#define KEPT_DIRS 16

struct kept_setting { struct kept_setting *next; char *name, *value; };
struct kept_caller { struct kept_caller *next; char service[33]; unsigned slot; int fd; };
struct kept_dir { int fd; bool write; };

struct listener {
	struct daemon	*daemon;
	const char	*setting;	/* in daemon->fds */
	int		 fd;		/* in daemon->fds */
	struct watch	 watch;
};

struct hidden {
	struct kept_setting *settings;	/* what master sent */
	struct kept_caller *kept, **kept_end; /* callers that came before daemon_serve, in order */
	char		 asked[DAEMON_PEERS][33];	/* names of daemon->peers */
	uint64_t	 missing_ms[DAEMON_PEERS];	/* since when none of them is there; 0: not so */
	struct timer	 missing;
	unsigned	 callers;	/* channels of those who ask us */
	bool		 gone_to_work;	/* `go` came */
	bool		 serving;	/* in daemon_serve */
	int		 proc_fd;	/* /proc/self/fd; -1: not opened yet */
	struct kept_dir	 dirs[KEPT_DIRS];	/* daemon_keep_dir */
	size_t		 ndirs;
	int		 root;		/* daemon_root: instead of the empty one; -1: that. Not owned */
	char		 note[128];	/* for `hermod status`: how it is confined */

	struct listener	 listeners[DAEMON_FDS];
	size_t		 nlisteners;
	bool		 accept_wanted, accept_paused;
	uint64_t	 paused_said_ms;
	struct timer	 pause, flush, late_drain;
};

#endif
