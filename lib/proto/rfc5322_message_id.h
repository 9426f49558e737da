/* SPDX-License-Identifier: ISC */
/*
 * proto/rfc5322_message_id.h - the message-id of a message that passes by, for the journal: what people ask for
 * when they ask what became of a message. RFC 5322 section 3.6.4.
 *
 * Pure; any pieces. Of several fields the first that has an id counts. An id without <> is taken up to the next
 * space, as broken programs write it. What is longer than MESSAGE_ID_MAX is cut.
 */
#ifndef PROTO_RFC5322_MESSAGE_ID_H
#define PROTO_RFC5322_MESSAGE_ID_H

#include "base/bytes.h"

#define MESSAGE_ID_MAX 250

struct message_id {
	unsigned char	state, matched;		/* its own */
	size_t		n;
	unsigned char	id[MESSAGE_ID_MAX];
};

void		message_id_init(struct message_id *m);
void		message_id_feed(struct message_id *m, struct bytes content);
/* Without <>; empty: there is none. Of a message that ends in its header section good at its end, too. */
struct bytes	message_id_text(const struct message_id *m);

#endif
