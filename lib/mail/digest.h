/* SPDX-License-Identifier: ISC */
/*
 * mail/digest.h - what the index keeps of a message: made once, by whoever
 * first has it in hand, a delivery or a session. Pure.
 */
#ifndef MAIL_DIGEST_H
#define MAIL_DIGEST_H

#include "base/arena.h"
#include "mail/index.h"
#include "proto/mime_tree.h"

/* text: a message as it is stored. out points into room, which is cleared first; a structure that does
 * not fit in room is left empty, which says nothing is known. tree may be NULL; the arena is used for it. */
void	mail_digest(struct bytes text, struct arena *a, struct buf *room, struct index_data *out);

/* Is this a field that index_data.fields has, if the message has it? In any case of letters. */
bool	mail_digest_field(struct bytes name);

#endif
