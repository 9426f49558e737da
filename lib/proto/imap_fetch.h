/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_fetch.h - what FETCH and STORE want, after the sequence set.
 * RFC 3501 sections 6.4.5, 6.4.6; RFC 7162 sections 3.1.3 (UNCHANGEDSINCE),
 * 3.1.4 (CHANGEDSINCE, MODSEQ); RFC 4466 sections 2.4, 2.5 (modifiers).
 * Pure; lists are in the lexer's arena, strings there or in the command's text.
 */
#ifndef PROTO_IMAP_FETCH_H
#define PROTO_IMAP_FETCH_H

#include "proto/imap_lex.h"

#define IMAP_SECTIONS_MAX	256	/* of one FETCH */
#define IMAP_FIELDS_MAX		512	/* field names in all its sections */
#define IMAP_PART_DEPTH_MAX	64	/* numbers in one "1.2.3" */

enum imap_item {
	IMAP_ITEM_UID = 1, IMAP_ITEM_FLAGS = 2, IMAP_ITEM_INTERNALDATE = 4, IMAP_ITEM_SIZE = 8,
	IMAP_ITEM_ENVELOPE = 16, IMAP_ITEM_BODY = 32 /* the structure, not extensible */,
	IMAP_ITEM_BODYSTRUCTURE = 64, IMAP_ITEM_MODSEQ = 128
};

/* BODY[...] and what RFC822 and its kin stand for. */
struct imap_section {
	enum imap_section_name {	/* how the answer names it */
		IMAP_NAMED_BODY, IMAP_NAMED_RFC822, IMAP_NAMED_RFC822_HEADER, IMAP_NAMED_RFC822_TEXT
	} name;
	bool		peek;		/* does not set \Seen: BODY.PEEK, RFC822.HEADER */
	uint32_t	*part;		/* "1.2.3"; in the arena */
	size_t		part_count;	/* 0: the message itself */
	enum imap_section_what {
		IMAP_PART_ALL, IMAP_PART_HEADER, IMAP_PART_FIELDS, IMAP_PART_FIELDS_NOT,
		IMAP_PART_TEXT, IMAP_PART_MIME	/* MIME with a part only */
	} what;
	struct imap_names fields;	/* FIELDS, FIELDS_NOT: printable ASCII, as sent, at least one */
	bool		partial;	/* "<first.octets>" */
	uint64_t	first, octets;	/* octets from 1; each at most INT64_MAX, so that their sum fits */
	struct imap_section *next;
};

struct imap_fetch {
	unsigned	items;		/* of enum imap_item; macros are spelled out */
	struct imap_section *sections;	/* in the order sent */
	size_t		section_count, field_count;
	bool		changedsince;	/* then MODSEQ is among the items: RFC 7162 section 3.1.4.1 */
	uint64_t	modseq;		/* above this one; liberal: may be 0 */
};

struct imap_store {
	enum imap_store_how { IMAP_STORE_SET, IMAP_STORE_ADD, IMAP_STORE_REMOVE } how;
	bool		silent;
	struct imap_flags flags;
	bool		unchangedsince;
	uint64_t	modseq;		/* 0 too: RFC 7162 section 3.1.3 */
};

/* From the space after the set to the end of the command. */
bool	imap_fetch_parse(struct imap_lex *l, struct imap_fetch *out);
bool	imap_store_parse(struct imap_lex *l, struct imap_store *out);

#endif
