/* SPDX-License-Identifier: ISC */
/*
 * cleanup/cleanup.h - what the parts of cleanup know of each other.
 *
 *	drafts.c	messages on their way in, and their commit, many at once
 *	check.c		an envelope as another process sent it: may it enter the queue?
 */
#ifndef CLEANUP_CLEANUP_H
#define CLEANUP_CLEANUP_H

#include "daemon/daemon.h"
#include "mail/queue.h"
#include "mail/settings.h"

#define CLEANUP_SEGMENTS 49152	/* `segments` of deliver in mail/messages.def */

struct cleanup_settings {
	uint64_t	 minfree_octets, minfree_submission, minfree_notice, minfree_inodes;
	uint64_t	 drafts;		/* open at once, of one asking process */
	uint64_t	 early_ms;		/* for delivery before a message is made durable; 0: none */
	unsigned	 sync_directory;	/* index into its words */
};

extern const struct setting cleanup_settings[];

/*
 * Decodes what another process, the peer, sent and makes it a new message's: what only
 * the queue may say (states, attempts, times, whose it is) is set here. NULL: fine; else
 * what is wrong, for the journal. *e is in the arena or borrows from records.
 */
const char	*check_envelope(const char *peer, struct bytes records, uint64_t octets, int64_t now_s, struct arena *a,
		    struct envelope *e);

struct drafts;

struct drafts	*drafts_new(struct daemon *d, struct queue *q, const struct cleanup_settings *s);	/* all borrowed */
void		 drafts_free(struct drafts **);
bool		 drafts_frame(void *drafts, struct channel *c, struct ipc_in *in);
void		 drafts_gone(void *drafts, struct channel *c);
uint32_t	 drafts_open(void *drafts);

#endif
