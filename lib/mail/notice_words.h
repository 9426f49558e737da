/* SPDX-License-Identifier: ISC */
/*
 * mail/notice_words.h - words of others inside octets of ours: in the human part of a notification, in its fields.
 * A remote host's reply, an address or a header field may hold anything; nothing of it begins a line
 * of its own choosing or ends one (CVE-2020-8794). For mail/notice*.c. Pure.
 */
#ifndef MAIL_NOTICE_WORDS_H
#define MAIL_NOTICE_WORDS_H

#include "base/buf.h"

#define NOTICE_COLUMNS	76
#define NOTICE_LINE_MAX	900	/* octets; RFC 5322 section 2.1.1 has 998. What is longer is broken, even in a word */

/*
 * As it is, but for: controls (those of Unicode, too, and what turns the direction of writing), what is not UTF-8, and
 * unless utf8 all that is not ASCII: '?'. A tab is a space.
 */
void	words_plain(struct buf *out, struct bytes s, bool utf8);

/*
 * A paragraph: words in lines of NOTICE_COLUMNS that each begin with the indent; LF makes a new line. Ends in CRLF, unless
 * there is no word.
 */
void	words_wrap(struct buf *out, const char *indent, struct bytes s, bool utf8);

/*
 * A field "Name: value": one line, folded where it would pass NOTICE_LINE_MAX. LF in the value is a fold (RFC 3461 section 9.2).
 * White space inside is kept.
 */
void	words_field(struct buf *out, const char *name, struct bytes value, bool utf8);

/* "Subject: words" for a header: what is not ASCII as encoded words of UTF-8 (RFC 2047). s is UTF-8. */
void	words_subject(struct buf *out, struct bytes s);

/* The value of a header field for people: unfolded, encoded words of UTF-8 and ASCII decoded, others as they are;
 * appended, at most max octets. Not yet safe: for the functions above. */
void	words_of_field(struct buf *out, struct bytes value, size_t max);

/* "5 days", "1 hour", "20 minutes": the largest unit of which there is at least one. */
void	words_duration(struct buf *out, int64_t seconds);

#endif
