/* SPDX-License-Identifier: ISC */
/*
 * daemon/daemon.h - how a process of the suite lives: start, confine, serve,
 * stop. main() names the steps in order; see smtpd/main.c.
 *
 * A process ends, with status 0, as soon as its channel to master closes, or when
 * a drain is over: no session is open and no peer can call it any more (but see leaves_callers). SIGTERM has
 * its default action, the end at once, as it may come between any two lines; SIGINT
 * and SIGHUP, which a terminal sends to all, are master's to obey and ignored here.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "base/loop.h"
#include "daemon/channel.h"
#include "mail/settings.h"

#define DAEMON_CONTROL_FD 3	/* the channel to master */
#define DAEMON_PEERS	8
#define DAEMON_FDS	96	/* among them TLS_CERTIFICATES_MAX of certificates or keys */

/*
 * What a process keeps when it is confined; all else is denied by seccomp, and
 * what it denies kills nothing: EPERM, and a journal line in test builds. Every
 * process may use memory, clocks, randomness, its descriptors and the loop.
 */
enum {
	KEEP_ACCEPT	= 1,	/* accept4 on sockets it was given */
	KEEP_FILES	= 2,	/* openat below directories it holds open (Landlock rules: daemon_keep_dir) */
	KEEP_FORK	= 4,
	KEEP_EXEC	= 8,
	KEEP_NET_OUT	= 16,	/* socket, connect */
	KEEP_UID	= 32,	/* setuid and friends: become alone */
	KEEP_LEASE	= 64,	/* fcntl leases: cleanup */
	KEEP_WRITE	= 128,	/* with KEEP_FILES: create, write, link, rename, unlink */
};

struct daemon {
	const char	*name;
	unsigned	 slot;		/* which worker of its service, from 0 */
	unsigned	 generation;
	struct loop	 loop;
	struct channel	*master;	/* NULL once it is gone: then the process ends */
	bool		 draining;	/* take nothing new */
	bool		 stopping;	/* and all that is open shall end soon */
	void		*owner;		/* argument of the callbacks below */

	/* The program's, set between daemon_start and daemon_serve; any may be NULL. */
	channel_frame	 on_frame;	/* a question from a peer that calls us; channel_peer says which */
	channel_gone	 on_gone;	/* of any peer */
	/* Instead of a channel to a peer that calls us, its bare descriptor, which is the owner's: the
	 * journal, whose channels carry records and not frames. */
	void		(*on_channel)(void *owner, const char *service, unsigned slot, int fd);
	void		(*on_listen)(void *owner, const char *setting, int fd);	/* a connection was accepted; fd is the owner's */
	void		(*on_drain)(void *owner);
	void		(*on_stop)(void *owner);	/* after on_drain, or later: what is open shall end soon */
	void		(*on_reopen)(void *owner);	/* the journal: its file has been moved away */
	void		(*on_report)(void *owner, struct buf *note);	/* for status: appends words, ", and so on" */
	uint32_t	(*sessions)(void *owner);	/* open now: for status, and to know when a drain is over */
	bool		 leaves_callers; /* in a drain it ends with its last session, whoever can still ask it: he asks, in a circle,
					 * through others who wait for this process to end */

	unsigned char	 ticket_keys[2][80];	/* master's, for daemon/tls_server.h; zero: there are none */
	struct peers	*peers[DAEMON_PEERS];	/* services this process asks */
	struct { char name[32]; int fd; bool listener; } fds[DAEMON_FDS];
	size_t		 npeers, nfds;
	uint64_t	 served;	/* count what is served */
	/* private to lib/daemon */
	void		*hidden;
};

/* Takes the control channel, receives settings, descriptors and channels until `go`. Opens the
 * journal's channel. Ends the process when anything is missing. */
void	daemon_start(struct daemon *d, const char *name);
/* Loads what master sent for this table. */
void	daemon_settings(struct daemon *d, const struct setting *table, void *out);
/* A directory or file that master opened and handed over by that name; -1: none. Stays the daemon's. */
int	daemon_file(struct daemon *d, const char *name);
void	daemon_file_close(struct daemon *d, const char *name);	/* it has been read; whoever takes the process over has it not */
/* Opens a directory before confinement, to be used after it through the descriptor; under Landlock
 * only what was kept can be reached. */
int	daemon_keep_dir(struct daemon *d, const char *path, bool write);
/* The root that the process enters instead of the empty one, for a library that connects to a UNIX socket by its path; what
 * can be read in there is what is kept, as elsewhere. dir: -1: the empty one. */
void	daemon_root(struct daemon *d, int dir);
int	daemon_proc_fd(struct daemon *d);	/* /proc/self/fd, opened before confinement, for linkat and reopening */
/* The empty root, no capability, Landlock, seccomp: strangers only below. */
void	daemon_confine(struct daemon *d, unsigned keep);
/* Has master connect to the UNIX socket that stands at this place in the setting which the process's row names: no path
 * can be reached from the empty root, and none has to be. done is called from the loop: fd, the owner's, or -1 and why
 * (an errno). The ticket, never 0, is for daemon_dial_cancel. */
uint64_t daemon_dial(struct daemon *d, uint32_t which, unsigned timeout_ms, void (*done)(void *, int fd, int error),
	    void *arg);
void	daemon_dial_cancel(struct daemon *d, uint64_t ticket);	/* 0 is fine */
/* The peers of a service; NULL is a fault in services.c and ends the process. */
struct peers *daemon_peers(struct daemon *d, const char *service);
/* Says ready, then runs the loop until stopped: master is gone, or a drain is over. */
void	daemon_serve(struct daemon *d);
/* Called when a session ends while draining, or at any time: ends the loop if nothing is left. */
void	daemon_settled(struct daemon *d);
void	daemon_accept(struct daemon *d, bool on);	/* stop or go on accepting */
int	daemon_stop(struct daemon *d);		/* frees; the exit status */

/* For a fork of become's that has dropped to its user: Landlock for what it holds, then seccomp. */
void	worker_prepare(unsigned keep, unsigned own);	/* become, before it is confined to `own`: makes that faster */
void	worker_confine(const char *name, unsigned keep, const int *dirs, size_t ndirs);

/* Test builds: the switch by which a process tries what it may not (see daemon/attempt.c). */
void	daemon_attempts(struct daemon *d);

#endif
