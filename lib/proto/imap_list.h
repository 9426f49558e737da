/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_list.h - the arguments of LIST, LSUB and STATUS.
 * RFC 3501 sections 6.3.8 to 6.3.10; RFC 5258 (LIST-EXTENDED), RFC 5819
 * (LIST-STATUS), RFC 6154 (SPECIAL-USE), RFC 7162 (HIGHESTMODSEQ), RFC 7889
 * (APPENDLIMIT), RFC 8438 (SIZE).
 * Pure; lists are in the lexer's arena, strings there or in the command's text.
 */
#ifndef PROTO_IMAP_LIST_H
#define PROTO_IMAP_LIST_H

#include "proto/imap_lex.h"

#define IMAP_PATTERNS_MAX	64	/* of one LIST */

enum imap_status_item {
	IMAP_STATUS_MESSAGES = 1, IMAP_STATUS_RECENT = 2, IMAP_STATUS_UIDNEXT = 4,
	IMAP_STATUS_UIDVALIDITY = 8, IMAP_STATUS_UNSEEN = 16, IMAP_STATUS_HIGHESTMODSEQ = 32,
	IMAP_STATUS_SIZE = 64, IMAP_STATUS_APPENDLIMIT = 128
};

enum imap_list_option {		/* S: selection option, R: return option */
	IMAP_LIST_SUBSCRIBED = 1 /* S R */, IMAP_LIST_REMOTE = 2 /* S */,
	IMAP_LIST_RECURSIVEMATCH = 4 /* S, with SUBSCRIBED only */, IMAP_LIST_SPECIAL_USE = 8 /* S R */,
	IMAP_LIST_CHILDREN = 16 /* R */, IMAP_LIST_STATUS = 32 /* R, with items */
};

struct imap_list {
	bool		extended;	/* any of RFC 5258 was there: then the pattern "" does not
					 * ask for the delimiter (its section 3) */
	unsigned	selects, returns;	/* of enum imap_list_option */
	unsigned	status;		/* of enum imap_status_item */
	struct bytes	reference;
	struct imap_names patterns;	/* one at least; of LSUB exactly one */
};

/* From the space after the command's name to the end. */
bool	imap_list_parse(struct imap_lex *l, struct imap_list *out);
bool	imap_lsub_parse(struct imap_lex *l, struct imap_list *out);

/* "(" status-att *(SP status-att) ")" */
bool	imap_status_items(struct imap_lex *l, unsigned *items);

#endif
