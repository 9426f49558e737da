/* SPDX-License-Identifier: ISC */
/*
 * imapd/message.h - a message at hand whole, for FETCH and SEARCH. One of them is kept between
 * commands, so that a client that fetches a big part bit by bit does not make us read it all each time.
 */
#ifndef IMAPD_MESSAGE_H
#define IMAPD_MESSAGE_H

#include "imapd/imapd.h"
#include "mail/index.h"
#include "mail/line_ends.h"
#include "proto/imap_section.h"

#define MESSAGE_SMALL	(1u << 20)	/* octets that a session may hold while it does nothing */
#define MESSAGE_KEPT	(64u << 20)	/* octets that are kept for a client that fetches bit by bit */
#define MESSAGE_MAX	(1u << 30)	/* octets of a message that is taken apart */

struct message {
	struct buf	text;		/* owned; as it is stored */
	struct arena	*parts;		/* owned; the tree is in it */
	struct arena	*scratch;	/* owned; for imap_structure.h */
	struct buf	room;		/* owned; for a digest */
	struct buf	header;		/* owned; of a message that is not at hand whole; with CRLF */
	struct mime_tree tree;		/* of text, once it is `parsed` */
	bool		parsed;
	uint32_t	uid, uidvalidity;	/* 0: none is at hand */
	struct buf	mailbox;	/* owned; the name of the one it is in */
	struct {			/* where the last piece that was sent of a section ended */
		struct bytes	section;	/* in text; p NULL: none */
		uint64_t	sent;
		struct crlf_text text;
	} mark;
};

/* The mail with index i, of at most max octets. NULL: errno; ENOENT: it is gone, EFBIG. Lives until the next. */
struct message	*message_read(struct session *s, size_t i, size_t max);
/* No more of it than the header with its empty line, as sent; until the next message. False: errno; EFBIG: it is larger
 * than MIME_HEADER_MAX. */
bool		 message_header(struct session *s, size_t i, struct bytes *out);
/* Is that the one that is at hand? */
bool		 message_at_hand(const struct session *s, size_t i);
const struct mime_tree *message_tree(struct message *m);
/* All that an index keeps of it; in m->room. */
void		 message_digest(struct message *m, struct index_data *out);
/* Gives back what a session that does nothing need not hold: all that is larger than max octets. */
void		 message_rest(struct session *s, size_t max);

#endif
