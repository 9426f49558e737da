/* SPDX-License-Identifier: ISC */
/*
 * mail/table_text.h - a table as people write it. Lines `key value`; # begins a
 * comment line; a line that begins with white space goes on with the one before
 * (its LF is kept, the white space is not). A key with white space in it is a quoted
 * local part, "a b"@example.org. The first of equal keys counts.
 *
 * aliases(5) has `name: value`, names in any case; passwd(5) one entry a line.
 * text_parse is pure: octets in, entries out.
 */
#ifndef MAIL_TABLE_TEXT_H
#define MAIL_TABLE_TEXT_H

#include "base/buf.h"

#define TEXT_FILE_MAX	(64u << 20)	/* octets */

enum text_grammar { TEXT_PAIRS, TEXT_ALIASES, TEXT_PASSWD };

struct text_entry {
	uint32_t key, key_n, value, value_n;	/* in store */
	uint32_t from, to;			/* its lines in the file, for those who change it */
};

struct text_table {
	struct buf	 store;		/* owned; keys and values, joined */
	struct text_entry *entry;	/* owned */
	size_t		 n, cap;
	uint32_t	*slot;		/* owned; 1 + index of the entry with that hash; 0: free */
	size_t		 slots;		/* a power of two */
};

/* False: the line and what would be right in why; *t holds nothing. */
bool	text_parse(struct bytes file, enum text_grammar g, struct text_table *t, char *why, size_t cap);
void	text_fini(struct text_table *t);
const struct text_entry *text_find(const struct text_table *t, struct bytes key);
struct bytes	text_key(const struct text_table *t, const struct text_entry *e);
struct bytes	text_value(const struct text_table *t, const struct text_entry *e);

/* `key value` as it stands in a file, LF at the end, later lines of value behind a tab. False: it
 * cannot be written so that it is read back the same. */
bool	text_put(struct bytes key, struct bytes value, struct buf *out);

#endif
