/* SPDX-License-Identifier: ISC */
/*
 * pickup/pickup.h - the parts of pickup.
 */
#ifndef PICKUP_PICKUP_H
#define PICKUP_PICKUP_H

#include "daemon/daemon.h"
#include "mail/queue.h"
#include "mail/settings.h"

struct pickup_settings {
	const char	*hostname;
	uint64_t	 message_octets, recipients, header_octets, mime_depth, mime_parts, hops;
	uint64_t	 clients, timeout_ms;
};

extern const struct setting pickup_settings[];

struct drops;

struct pickup {
	struct daemon	*daemon;
	const struct pickup_settings *settings;
	struct queue	 queue;			/* for the list */
	struct peers	*router, *cleanup;
	struct ipc_out	 out;
	struct buf	 records;
	uint32_t	 clients;
	struct drops	*drops;			/* owned */
};

/* A message on its way in from a local command, one per client (pickup/submission.c). */
struct submission;


/* An SMTP reply code and its words; the queue id once there is one. Never frees the submission. */
typedef void (*submission_answer)(void *arg, unsigned code, struct bytes words, const char *queue_id);

struct submission	*submission_new(struct pickup *p, uint32_t uid, submission_answer on_answer, void *arg);
void			 submission_free(struct submission **s);
/* Each false: not now. Answered, now or later, but for content; after the answer to end another may begin. */
bool			 submission_begin(struct submission *s, const struct ipc_submit *m);
bool			 submission_rcpt(struct submission *s, const struct ipc_submit_rcpt *m);
bool			 submission_content(struct submission *s, struct bytes octets);
bool			 submission_end(struct submission *s);
/* A frame of a client that is one of these; false: it made no sense, the connection ends. */
bool			 submission_frame(struct submission *s, struct ipc_in *in);
bool			 submission_waits(const struct submission *s);	/* for router or cleanup, not for its client */

/* The list of what is queued, in batches as the client asks for them (pickup/list.c). */
struct queue_lister;

#define LIST_BATCH	32

/* What a local command's message is known by in the envelope's account. */
#define SUBMISSION_ACCOUNT	"uid %u"

/* root and the suite's own user see all, others what they sent themselves. */
struct queue_lister	*queue_lister_new(struct pickup *p, uint32_t uid);
void			 queue_lister_free(struct queue_lister **l);
/* Looks at LIST_BATCH messages, sends those that may be seen, then queue_end with how many it looked
 * at: 0 when there are no more. */
void			 queue_lister_batch(struct queue_lister *l, struct channel *c, uint32_t id);


/* What was dropped while the suite was down (pickup/drops.c): looked for now and once a minute. Called before
 * confinement; false: logged. */
bool			 drops_open(struct pickup *p);
void			 drops_serve(struct pickup *p);
void			 drops_close(struct pickup *p);

#endif
