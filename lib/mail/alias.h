/* SPDX-License-Identifier: ISC */
/*
 * mail/alias.h - what stands to the right of an alias, aliases(5), taken apart:
 * addresses by commas. Pure. Forms that run a command, write a file or read a list
 * are told apart, and not taken for addresses (CVE-2020-7247, CVE-1999-0163).
 */
#ifndef MAIL_ALIAS_H
#define MAIL_ALIAS_H

#include "base/arena.h"
#include "mail/table.h"

enum alias_kind {
	ALIAS_ADDRESS,		/* text: user, user@domain, "a b"@domain; not checked further */
	ALIAS_LATER,		/* |command, /file, :include:list, in quotes or not */
	ALIAS_MALFORMED,	/* a quote, comment or < that does not end */
};

struct alias_item {
	enum alias_kind	kind;
	struct bytes	text;	/* in the arena, or borrowed from the value */
	bool		direct;	/* \user: his mailbox, no alias of it */
};

/* The next item of *value, taken off it; false at the end. Empty items are left out. */
bool	alias_next(struct bytes *value, struct arena *arena, struct alias_item *out);

/*
 * newaliases(1): a table "hash:/etc/aliases" is made of the text /etc/aliases; a text table needs
 * nothing, and is read to say what is wrong in it. True: report says in words what was done.
 */
bool	alias_build(const char *spec, struct buf *report);

#endif
