/* SPDX-License-Identifier: ISC */
/*
 * mail/digest.h - what the index keeps of a message: made once, by whoever
 * first has it in hand, a delivery or a session. Pure, linear.
 *
 * It is what clients ask of all messages of a mailbox before they ask for one: ENVELOPE, BODYSTRUCTURE,
 * the size, and the header fields in mail_digest_field's table.
 */
#ifndef MAIL_DIGEST_H
#define MAIL_DIGEST_H

#include "base/arena.h"
#include "mail/index.h"
#include "proto/mime_tree.h"

/* Octets of envelope, structure and fields together. Each that would pass it is left empty, in that order:
 * empty says that nothing is known. */
#define MAIL_DIGEST_MAX	16384

/* What the arena of mail_digest must have room for. */
#define MAIL_DIGEST_ARENA MIME_TREE_ARENA

/* text: a message as it is stored. The arena is used for its tree; out points into room, which is cleared
 * first. The fields are whole header lines, in order, with CRLF ends; behind them, if the message has it, the
 * empty line that ends its header. */
void	mail_digest(struct bytes text, struct arena *a, struct buf *room, struct index_data *out);
/* The same of a message whose tree is at hand. scratch (IMAP_SCRATCH) is emptied on the way. */
void	mail_digest_tree(const struct mime_tree *t, struct arena *scratch, struct buf *room,
	    struct index_data *out);

/* Is this a field that index_data.fields has, if the message has it? In any case of letters. */
bool	mail_digest_field(struct bytes name);

#endif
