/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_append.h - the messages of APPEND, while they come and when all came.
 * RFC 3501 section 6.3.11; RFC 3502 (MULTIAPPEND), RFC 3516 (literal8), RFC 4466.
 * Pure; lists are in the arena, strings there or in the command's text.
 *
 * A message is not gathered with its command: at each IMAP_READ_LITERAL whoever reads
 * asks imap_append_scan what the literal is, and knows mailbox, flags and date before a
 * single octet is taken. At the end imap_cmd_parse goes over the whole text once more,
 * so that a command with rubbish behind its last message adds none.
 */
#ifndef PROTO_IMAP_APPEND_H
#define PROTO_IMAP_APPEND_H

#include "proto/imap_lex.h"

/* As many as a command has literals: IMAP_LITERALS_MAX. */
#define IMAP_MESSAGES_MAX	IMAP_LITERALS_MAX

struct imap_message {
	struct imap_flags flags;
	bool		dated;		/* else the internal date is now */
	struct imap_time date;
	struct imap_octets content;
	struct imap_message *next;
};

struct imap_append { struct imap_message *messages; size_t message_count; };

/* From the space after the mailbox to the end. */
bool	imap_append_parse(struct imap_lex *l, struct imap_append *out);

enum imap_append_literal {
	IMAP_LITERAL_ARGUMENT,	/* no message: gather it, as for any command */
	IMAP_LITERAL_MESSAGE,	/* *out is set but for `next`: stream it, or refuse it with NO */
	IMAP_LITERAL_BAD,	/* s->wrong: refuse it with BAD */
};

/* Zero at the start of each command. */
struct imap_append_scan {
	struct bytes	mailbox;	/* in the arena; from the first message on */
	size_t		message_count;	/* with the one that was said last */
	const char	*wrong;		/* constant */
	size_t		at;		/* its own: where the last message's literal begins */
	bool		other;		/* its own: the command is not APPEND */
};

/* The text so far, which ends with the literal in question. Goes over no part of it twice. */
enum imap_append_literal imap_append_scan(struct imap_append_scan *s, struct bytes text,
    struct arena *a, struct imap_message *out);

#endif
