/* SPDX-License-Identifier: ISC */
/*
 * mail/journal_line.h - a line of the journal, taken apart. Pure; results point into the line. What stands in a
 * line was written by strangers in part: a value is looked for by its name, and ends where log_value or log_text would have
 * written its end.
 */
#ifndef MAIL_JOURNAL_LINE_H
#define MAIL_JOURNAL_LINE_H

#include "base/bytes.h"

#define JOURNAL_STAMP	27	/* octets of "2026-11-26T02:23:04.119043Z" */

/* "STAMP hermod/smtpd[4061]: warning: ID: text" */
struct journal_line {
	struct bytes	stamp;		/* they compare as their times do */
	struct bytes	process, pid;
	struct bytes	level;		/* "warning", "fatal", "debug"; empty: information */
	struct bytes	text;		/* behind the level, the id with it */
	struct bytes	id;		/* of a session or a message; empty: the line has none */
};

/* Without its line end. False: it is no line of the journal. */
bool	journal_line_parse(struct bytes line, struct journal_line *out);
/*
 * The value of the first name=value, from *rest on, which then stands behind it: <...>, "..." without these, or up to
 * the next space. False: there is none more.
 */
bool	journal_line_value(struct bytes *rest, struct bytes *name, struct bytes *value);
/* Something that may be the id of a session or a message. */
bool	journal_is_id(struct bytes s);

#endif
