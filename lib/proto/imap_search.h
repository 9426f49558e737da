/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_search.h - the arguments of SEARCH, as a tree.
 * RFC 3501 section 6.4.4; RFC 4731 (ESEARCH), RFC 5182 (SEARCHRES), RFC 5032
 * (WITHIN), RFC 7162 section 3.1.5 (MODSEQ), RFC 4466 section 2.6.
 * Pure; keys are in the lexer's arena, strings there or in the command's text.
 *
 * The tree is built without recursion and is at most IMAP_KEY_DEPTH_MAX deep, so that
 * whoever walks it may recurse.
 */
#ifndef PROTO_IMAP_SEARCH_H
#define PROTO_IMAP_SEARCH_H

#include "proto/imap_lex.h"

#define IMAP_KEYS_MAX		1000	/* of one SEARCH, NOT, OR and parentheses counted */
/* Parentheses, NOT and OR, the outermost list too. Clients chain ORs: OR a OR b OR c d. */
#define IMAP_KEY_DEPTH_MAX	100

enum imap_key_kind {
	IMAP_KEY_AND,		/* kids, one or more: ( ) and the outermost list */
	IMAP_KEY_OR,		/* two kids */
	IMAP_KEY_NOT,		/* one kid */
	IMAP_KEY_ALL,
	IMAP_KEY_FLAG,		/* flag, want: ANSWERED, UNANSWERED and so on */
	IMAP_KEY_KEYWORD,	/* text, want */
	IMAP_KEY_RECENT,	/* want; OLD is false */
	IMAP_KEY_NEW,		/* recent and not seen */
	IMAP_KEY_HEADER,	/* name, text: FROM, TO, CC, BCC, SUBJECT too */
	IMAP_KEY_BODY,		/* text */
	IMAP_KEY_TEXT,		/* text */
	IMAP_KEY_BEFORE,	/* day of the internal date, its own zone disregarded */
	IMAP_KEY_ON,
	IMAP_KEY_SINCE,
	IMAP_KEY_SENTBEFORE,	/* day of the Date: field, likewise */
	IMAP_KEY_SENTON,
	IMAP_KEY_SENTSINCE,
	IMAP_KEY_LARGER,	/* number: octets */
	IMAP_KEY_SMALLER,
	IMAP_KEY_YOUNGER,	/* number: seconds, from 1 */
	IMAP_KEY_OLDER,
	IMAP_KEY_MODSEQ,	/* number: that mod-sequence or above; name: "/flags/\seen", or empty;
				 * text: priv, shared or all */
	IMAP_KEY_UID,		/* text: a set of UIDs, or "$" */
	IMAP_KEY_SET,		/* text: a set of message numbers, or "$" */
};

struct imap_key {
	enum imap_key_kind kind;
	bool		want;
	enum imap_flag	flag;
	int32_t		day;		/* since 1970-01-01 */
	struct bytes	name, text;	/* as sent, in the charset of the SEARCH */
	uint64_t	number;
	struct imap_key	*kids, *next;	/* the first below; the next beside */
};

enum imap_return {		/* RFC 4731 section 3.1, RFC 5182 section 2 */
	IMAP_RETURN_MIN = 1, IMAP_RETURN_MAX = 2, IMAP_RETURN_ALL = 4, IMAP_RETURN_COUNT = 8,
	IMAP_RETURN_SAVE = 16
};

struct imap_search {
	bool		extended;	/* RETURN was there: answer ESEARCH */
	unsigned	returns;	/* of enum imap_return; ALL for "RETURN ()" */
	struct bytes	charset;	/* empty: none was named, which is US-ASCII */
	struct imap_key	*keys;		/* an AND */
	size_t		key_count;
	bool		modseq;		/* a key MODSEQ is there: enables CONDSTORE */
};

/* From the space after "SEARCH" to the end. */
bool	imap_search_parse(struct imap_lex *l, struct imap_search *out);

#endif
