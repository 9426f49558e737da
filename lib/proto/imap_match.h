/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_match.h - which mailbox names a pattern of LIST means, RFC 3501
 * section 6.3.8: "*" is any octets, "%" any but the separator.
 * Pure, iterative. Time is at most pattern length times name length, whatever
 * stands in them, and the length of the name for a pattern without wildcards;
 * space is on the stack, about 4 KiB.
 *
 * Names and patterns are octets: give both in the same form, both as on the wire
 * (modified UTF-7) or, better, both as UTF-8, for then "%" cannot end in the middle
 * of "&...-". The reference of the command is already in the pattern.
 *
 * INBOX in any case is one name (RFC 3501 section 5.1): when the first level of a name
 * is INBOX, its five letters match those of a pattern in any case. All else is
 * compared octet by octet.
 */
#ifndef PROTO_IMAP_MATCH_H
#define PROTO_IMAP_MATCH_H

#include "base/bytes.h"

#define IMAP_MATCH_PATTERN_MAX	1024	/* octets */

struct imap_match {
	struct bytes	pattern;	/* borrowed, as long as this is used */
	unsigned char	separator;	/* 0: names have no levels, "%" is "*" */
};

/* False: the pattern is longer than IMAP_MATCH_PATTERN_MAX, *m is not set. A separator
 * is no wildcard (must). */
bool	imap_match_init(struct imap_match *m, struct bytes pattern, unsigned char separator);

/* Does the pattern mean this very name, the whole of it? "foo/%" does not mean "foo". */
bool	imap_match_name(const struct imap_match *m, struct bytes name);

/*
 * Could the pattern mean something below this name: is there any name made of this one,
 * a separator, and one or more levels, none of them empty, that imap_match_name takes?
 * It is exact, but of names that could be, not that are. False: nothing below need be
 * looked at for this pattern. The empty name is above all others.
 *
 * For LIST it tells how deep to look. \HasChildren (RFC 5258 section 4) and the CHILDINFO
 * of RECURSIVEMATCH (section 3.5) do not depend on it: they count children that the
 * pattern does not mean, too.
 */
bool	imap_match_child(const struct imap_match *m, struct bytes name);

#endif
