/* SPDX-License-Identifier: ISC */
/*
 * daemon/crowd.h - the sessions of a worker that serves strangers: how many there
 * may be, and who goes first when room is short.
 *
 * Whoever makes progress moves to the end of one list; the head of it has made
 * none for the longest. When all sessions are taken the head makes room for the next
 * client at once; when three quarters are, those at the head that have made no
 * progress for stress_timeout go. So a good client finds room whatever slow ones do.
 * While draining, those go that have said nothing for a minute; at a stop, all that we wait for.
 */
#ifndef DAEMON_CROWD_H
#define DAEMON_CROWD_H

#include <sys/queue.h>

#include "daemon/clients.h"
#include "daemon/daemon.h"

#define CROWD_ID_MAX	16

struct crowd_limits {
	uint64_t	sessions;		/* of this worker */
	uint64_t	client_sessions, client_rate;	/* of one address, in all workers; a minute; 0: no limit */
	uint64_t	stress_timeout_ms;
};

struct crowd;

struct guest {			/* a member of each session; zeroed before crowd_enter */
	struct crowd	*crowd;		/* borrowed */
	void		*session;	/* borrowed */
	TAILQ_ENTRY(guest) link;
	uint64_t	 progress_ms;
	char		 id[CROWD_ID_MAX];		/* of the session, for the journal */
	char		 client[CLIENT_TEXT_MAX];	/* address, as text */
	unsigned char	 key[16];	/* address, for counting */
	bool		 waiting;	/* for us, not for its client: stays. Set by the session */
	bool		 ending;	/* has had its last words: is not told again. Set by the session */
};

struct crowd {
	struct daemon	*daemon;	/* borrowed */
	const struct crowd_limits *limits;	/* borrowed */
	struct clients	*clients;	/* owned */
	TAILQ_HEAD(, guest) guests;	/* least progress first */
	uint32_t	 count, serial;
	struct timer	 sweep;
	bool		 draining, stopping;
	/* Last words, then its end when they are sent. */
	void		(*end)(void *session, bool draining);
	/* The end now: last words as far as the socket takes them at once; frees the session. */
	void		(*drop)(void *session);
};

void	crowd_init(struct crowd *c, struct daemon *d, const struct crowd_limits *limits,
	    void (*end)(void *, bool), void (*drop)(void *));
void	crowd_fini(struct crowd *c);	/* drops all that are left */

enum crowd_verdict { CROWD_WELCOME, CROWD_TOO_MANY, CROWD_TOO_FAST, CROWD_CLOSED /* draining, or the client is gone */ };
/* A client that connected; fd stays the caller's. When welcome, g is in and has its names; then
 * crowd_leave once. */
enum crowd_verdict crowd_enter(struct crowd *c, struct guest *g, int fd, void *session);
/* The same of one whose address another process has seen; fd is a local socket. */
enum crowd_verdict crowd_enter_named(struct crowd *c, struct guest *g, struct bytes client, void *session);
/* To one that is not welcome: this line, as far as the socket takes it; closes. */
void	crowd_refuse(int fd, const char *line);
void	crowd_leave(struct guest *g);
void	crowd_progress(struct guest *g);
void	crowd_drain(struct crowd *c);
/* After crowd_drain: ends all who are not waiting for us. Who was shall look at `stopping` when that is over. */
void	crowd_stop(struct crowd *c);
bool	crowd_is_loopback(const struct guest *g);	/* 127.0.0.0/8 or ::1 */

#endif
