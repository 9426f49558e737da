/* SPDX-License-Identifier: ISC */
/*
 * become/become.h - the only other root process. It reads no mail and keeps no
 * secret but tickets; it takes three fixed requests, checks numbers and a path, forks,
 * and the fork becomes the mailbox's owner before it does anything else.
 */
#ifndef BECOME_BECOME_H
#define BECOME_BECOME_H

#include <sys/types.h>

#include "base/bytes.h"
#include "mail/settings.h"

struct become_settings {
	uint64_t	first_uid, first_gid;	/* nobody below these is acted as */
	uint64_t	uid_base;		/* the suite's own numeric ids are refused too */
	uint64_t	processes;		/* workers at once */
};

extern const struct setting become_settings[];

/* ---- owner.c: as whom, and where ---- */

struct owner { uint32_t uid, gid; };

/* May a worker act as this owner? 0, or an errno: EPERM. Where become is not root: only as itself. */
int	owner_allowed(const struct become_settings *s, struct owner o, uid_t self_uid, gid_t self_gid);
/* "maildir:/path" or "mbox:/path", absolute, without "..", empty components or controls. */
bool	owner_mailbox_ok(struct bytes mailbox);
/* Becomes the owner for good, in a fork: no group, no capability, no way back. Ends the process if any of it
 * cannot be shown to have happened. parent: become's pid; when that is gone, so is this process. */
void	owner_become(struct owner o, pid_t parent, const char *name);
/* Closes every descriptor but 0 to 2 and these. */
void	owner_close_others(const int *keep, size_t n);

/* ---- tickets.c: what auth has allowed ---- */

#define TICKET_OCTETS	32
#define TICKET_MS	10000	/* a ticket's life */
#define TICKETS_MAX	4096

struct ticket {
	struct ticket	*next;
	uint64_t	 until_ms;
	unsigned char	 secret[TICKET_OCTETS];
	char		 account[321], protocol[17], mailbox[1025];
	struct owner	 owner;
};

struct tickets { struct ticket *first; size_t n; };

/* 0, or an errno: EINVAL (malformed), EAGAIN (too many), EEXIST. now_ms: monotonic. */
int	tickets_keep(struct tickets *t, struct bytes secret, struct bytes account, struct bytes protocol,
	    struct owner owner, struct bytes mailbox, uint64_t now_ms);
/* The ticket, taken out: it opens one session, once. NULL: there is none, or not for this protocol. The caller frees
 * it with ticket_free. Takes the same time whichever octets of the secret are wrong. */
struct ticket *tickets_take(struct tickets *t, struct bytes secret, struct bytes protocol, uint64_t now_ms);
void	ticket_free(struct ticket **t);		/* wipes it */
void	tickets_expire(struct tickets *t, uint64_t now_ms);
void	tickets_wipe(struct tickets *t);	/* all of them, in a fork */

#endif
