/* SPDX-License-Identifier: ISC */
/*
 * imapd/list_select.h - which names a LIST or LSUB means: RFC 3501 sections 6.3.8, 6.3.9; RFC 5258
 * section 3. Pure.
 */
#ifndef IMAPD_LIST_SELECT_H
#define IMAPD_LIST_SELECT_H

#include "mail/folders.h"
#include "proto/imap_list.h"
#include "proto/imap_match.h"

/*
 * A reference and a pattern of the wire (modified UTF-7) as one pattern in UTF-8: the one appended to the other. out
 * has IMAP_MATCH_PATTERN_MAX. False: no name is meant by it, as no name is like that: a pattern that is not
 * accepted is passed over without a word (RFC 5258 section 3).
 */
bool	list_pattern(struct bytes reference, struct bytes pattern, struct buf *out);

struct list_answer {
	const struct folder_entry *entry;
	bool	meets;		/* what is selected; else only something below it does */
	bool	below;		/* something below it meets what is selected: CHILDINFO, RFC 5258 section 3.5 */
};

/*
 * entry: n of them, as folders_list has them. selects: of enum imap_list_option; LSUB is SUBSCRIBED with
 * RECURSIVEMATCH: a name that is not subscribed is answered only where that which is below it is not. The same
 * holds for names of levels. answer: room for n. Returns how many.
 */
size_t	list_select(const struct folder_entry *entry, size_t n, const struct imap_match *patterns, size_t npatterns,
	    unsigned selects, struct list_answer *answer);

/* "\NoSelect \HasChildren \Sent", appended. extended: the client knows \NonExistent; subscribed: it wants to
 * know. */
void	list_attributes(const struct folder_entry *e, bool extended, bool subscribed, struct buf *out);

#endif
