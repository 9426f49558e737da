/* SPDX-License-Identifier: ISC */
/*
 * mail/notice_template.h - what a notification says to people: texts of the administrator's, or built in.
 * hermod-bounce-templates(5). A text is UTF-8; its first line is "Subject: ...", then an empty line, then the
 * words, in which $name stands for something of the message and $$ for a dollar.
 */
#ifndef MAIL_NOTICE_TEMPLATE_H
#define MAIL_NOTICE_TEMPLATE_H

#include "base/buf.h"

#define NOTICE_TEMPLATE_MAX 65536	/* octets of one */

enum notice_text { NOTICE_TEXT_FAILURE, NOTICE_TEXT_DELAY, NOTICE_TEXT_SUCCESS, NOTICE_TEXT_POSTMASTER, NOTICE_TEXTS };

enum notice_name {
	NAME_NONE,
	/* These stand in a line. */
	NAME_HOSTNAME, NAME_POSTMASTER, NAME_SENDER, NAME_SUBJECT, NAME_MESSAGE_ID, NAME_ARRIVED, NAME_WAITED, NAME_UNTIL,
	NAME_QUEUE_ID,
	/* These are a line by themselves, once, and become many. */
	NAME_RECIPIENTS, NAME_RETURNED,
};

struct notice_template {
	struct bytes	subject, body;	/* borrowed; the body's lines end in LF, or CRLF */
	bool		eight_bit;	/* there is more than ASCII in it */
};

const char	*notice_template_file(enum notice_text which);	/* "failure.txt" */
/* Never fails; its text is the program's. */
struct notice_template notice_template_standard(enum notice_text which);

/* False: what is wrong, and what would be right, in why. Pure; *out borrows from text. */
bool		 notice_template_parse(struct bytes text, struct notice_template *out, char *why, size_t cap);

/*
 * The next piece of a body: text as it is (*name NAME_NONE), or what a name stands for. A line that is a NAME_RECIPIENTS or
 * NAME_RETURNED is taken whole. False: the end. For bodies that were parsed.
 */
bool		 notice_template_next(struct bytes *body, struct bytes *words, enum notice_name *name);

struct notice_templates {
	struct notice_template text[NOTICE_TEXTS];
	struct buf	file[NOTICE_TEXTS];	/* owned; what they borrow from */
};

/*
 * From the files of a directory ("": none). A file that is not there means the standard text. So does one that cannot
 * be used, which is said: a line "DIRECTORY/failure.txt: ..." each, in faults. For before a process is confined.
 */
void		 notice_templates_load(struct notice_templates *t, const char *directory, struct buf *faults);
void		 notice_templates_free(struct notice_templates *t);

#endif
