/* SPDX-License-Identifier: ISC */
/*
 * mail/completion.h - what a host does to the messages of its own users, and to no others: what is
 * missing is added, and what must not go out is taken out. RFC 6409 section 8, RFC 5322 section 3.6.
 */
#ifndef MAIL_COMPLETION_H
#define MAIL_COMPLETION_H

#include "base/arena.h"
#include "mail/envelope.h"
#include "proto/rfc5322_head.h"
#include "proto/rfc5322_message_id.h"

/* Fields that are looked for: head_init gets completion_names. */
enum { FIELD_FROM, FIELD_DATE, FIELD_MESSAGE_ID, FIELD_BCC, FIELD_RESENT_BCC, FIELD_RETURN_PATH, FIELD_RESENT_FROM,
    FIELD_SENDER, FIELD_RESENT_SENDER, COMPLETION_FIELDS };
extern const struct bytes completion_names[COMPLETION_FIELDS];

#define COMPLETION_EDITS 3	/* at most so many are added; one more for each of head->ranges that goes */

struct completion {
	const struct head *head;		/* borrowed; after head_end */
	struct message_id *message_id;		/* borrowed: gets the one that is made */
	struct bytes	 from;			/* for a From field; empty: MAILER-DAEMON of this host */
	const char	*hostname, *queue_id;
	int64_t		 now_s;
};

/* Appends to e->edits, which has the room. Texts are in the arena. */
void	complete_message(const struct completion *c, struct arena *a, struct envelope *e);

#endif
