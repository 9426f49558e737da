/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_explain.h - what hermod explain and hermod route have to tell, line by line.
 */
#ifndef TOOLS_HERMOD_EXPLAIN_H
#define TOOLS_HERMOD_EXPLAIN_H

#include "mail/ipc.h"
#include "tools/hermod.h"

struct report {
	struct rows	 rows;		/* owned; not with --json */
	struct buf	 words, more;	/* owned; of the line in hand: words, and JSON members beside them */
};

void	report_init(struct report *r);
void	report_end(struct report *r);		/* prints, and frees */
/* The line in hand is done: which rule it is of, and in how many aliases. */
void	report_line(struct report *r, const char *rule, unsigned depth);
/* A line that is words alone. */
void	report_fmt(struct report *r, const char *rule, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Where a recipient's mail goes: for another host, with what the DNS says (hermod_route.c). Routes of one answer, in order:
 * what is the same as for an earlier one is not told again. router: a connection to it, for more questions. */
void	report_routes(struct report *r, int router, struct bytes routes);

#endif
