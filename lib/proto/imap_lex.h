/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_lex.h - a cursor over one command, as imap_reader gathered it.
 * RFC 3501 section 9 (formal syntax), RFC 4466 (literal8, lists), RFC 7162
 * section 7 (mod-sequences).
 * Pure. Results point into the text, or into the arena where a quoted string
 * had escapes: they live as long as the shorter of both.
 *
 * Each function takes what its name says off the front and says true; or false,
 * when l->wrong tells the client why (the first reason stays) and the cursor is
 * of no more use. An imap_lex_char or _at that says false is no error.
 *
 * A literal stands in the text as "{n}CRLF" and its octets, or when it was
 * streamed as "{n}LF" and none; see proto/imap_reader.h.
 *
 * SP is one space (section 9, note 2). More liberal than the RFC: 8-bit octets in
 * quoted strings (RFC 6855 clients, and older ones), days of one digit in date-time,
 * spaces at the end of a command.
 */
#ifndef PROTO_IMAP_LEX_H
#define PROTO_IMAP_LEX_H

#include "base/arena.h"
#include "proto/imap_reader.h"

#define IMAP_LIST_DEPTH_MAX	8	/* of imap_lex_list; SEARCH has its own limit */
#define IMAP_KEYWORDS_MAX	128	/* in one list of flags */

struct imap_lex {
	struct bytes	text;		/* borrowed */
	size_t		at;
	struct arena	*arena;		/* borrowed */
	const char	*wrong;		/* constant; NULL while all is well */
	bool		complex;	/* the reason is a limit of ours */
	unsigned	depth;		/* of imap_lex_list */
};

/* Any number of strings, in the arena. */
struct imap_names { struct bytes *name; size_t n, cap; };

enum imap_flag {		/* RFC 3501 section 2.3.2; \Recent cannot be set */
	IMAP_ANSWERED = 1, IMAP_FLAGGED = 2, IMAP_DELETED = 4, IMAP_SEEN = 8, IMAP_DRAFT = 16
};
struct imap_flags {
	unsigned	system;		/* of enum imap_flag */
	bool		unknown;	/* there was a \flag we do not know: to be ignored */
	struct imap_names keywords;	/* as written; case does not matter; may repeat */
};

struct imap_time { int64_t wall_s; int zone_min; };	/* since 1970 UTC; zone east of it */

/* A message of APPEND, or what is known of it. */
struct imap_octets {
	struct imap_literal literal;
	struct bytes	octets;		/* empty unless gathered */
	enum { IMAP_GATHERED, IMAP_STREAMED, IMAP_COMING } where;
};

struct imap_word { const char *name; unsigned value; };

void	imap_lex_init(struct imap_lex *l, struct bytes text, struct arena *a);
bool	imap_lex_fail(struct imap_lex *l, const char *wrong);		/* says false */
bool	imap_lex_complex(struct imap_lex *l, const char *wrong);	/* likewise */

bool	imap_lex_at(const struct imap_lex *l, unsigned char c);	/* is it next? */
bool	imap_lex_char(struct imap_lex *l, unsigned char c);	/* takes it if it is next */
bool	imap_lex_sp(struct imap_lex *l);
bool	imap_lex_end(struct imap_lex *l);
bool	imap_lex_at_end(const struct imap_lex *l);		/* nothing but spaces is left */
/* Takes the label and the space after it if both are next, in any case of letters. */
bool	imap_lex_keyword(struct imap_lex *l, const char *label);

bool	imap_lex_tag(struct imap_lex *l, struct bytes *out);
bool	imap_lex_atom(struct imap_lex *l, struct bytes *out);
/* 1*(ALPHA / DIGIT / "." / "-" / "_"): what names of commands, items and options are made of. */
bool	imap_lex_label(struct imap_lex *l, struct bytes *out);
bool	imap_lex_string(struct imap_lex *l, struct bytes *out);	/* quoted, literal, literal8; no NUL */
bool	imap_lex_astring(struct imap_lex *l, struct bytes *out);
bool	imap_lex_nstring(struct imap_lex *l, struct bytes *out, bool *nil);
bool	imap_lex_mailbox(struct imap_lex *l, struct bytes *out);	/* INBOX in capitals */
bool	imap_lex_list_mailbox(struct imap_lex *l, struct bytes *out);
bool	imap_lex_octets(struct imap_lex *l, struct imap_octets *out);	/* literal, literal8 */

bool	imap_lex_number(struct imap_lex *l, uint32_t *out);
bool	imap_lex_nz_number(struct imap_lex *l, uint32_t *out);
bool	imap_lex_number63(struct imap_lex *l, uint64_t *out);	/* mod-sequences, 0 too; sizes */
/* Digits, ",", ":", "*" or "$" (RFC 5182), not empty: the parser of sets judges it. */
bool	imap_lex_set(struct imap_lex *l, struct bytes *out);
bool	imap_lex_at_set(const struct imap_lex *l);

/* date, for SEARCH: days since 1970-01-01, of years 0 to 9999. */
bool	imap_lex_date(struct imap_lex *l, int32_t *day);
bool	imap_lex_date_time(struct imap_lex *l, struct imap_time *out);

bool	imap_lex_flag(struct imap_lex *l, struct imap_flags *add_to);
bool	imap_lex_flag_list(struct imap_lex *l, struct imap_flags *add_to);
/* "\Seen": what is one by its first octet; its name with the "\". */
bool	imap_lex_backslash(struct imap_lex *l, struct bytes *out);

/* "(" item *(SP item) ")"; with `none`, "()" too. */
bool	imap_lex_list(struct imap_lex *l, bool none,
	    bool (*item)(struct imap_lex *l, void *arg), void *arg);

/* A label out of the table, in any case of letters. */
bool	imap_lex_word(struct imap_lex *l, const struct imap_word *words, size_t n, unsigned *value,
	    const char *wrong);
bool	imap_word_find(const struct imap_word *words, size_t n, struct bytes name, unsigned *value);
/* False, and l fails as too complex, when there are `max`. */
bool	imap_names_add(struct imap_lex *l, struct imap_names *names, struct bytes name, size_t max);

#endif
