/* SPDX-License-Identifier: ISC */
/*
 * mail/penalty_file.h - the file in which auth keeps, over a restart, who has given wrong passwords
 * (doc/penalties-format.md). Pure.
 */
#ifndef MAIL_PENALTY_FILE_H
#define MAIL_PENALTY_FILE_H

#include "base/buf.h"

#define PENALTY_NAME	110		/* octets of a name that is kept */
#define PENALTY_ROWS	16384		/* in a file */
#define PENALTY_FILE	(PENALTY_ROWS * 384u)	/* octets of one, at most */

enum penalty_of { PENALTY_ADDRESS, PENALTY_ACCOUNT, PENALTY_KINDS };

struct penalty {
	enum penalty_of	 of;
	uint32_t	 failures;	/* at least one */
	int64_t		 last_s;	/* the latest of them, wall clock */
	unsigned char	 name[PENALTY_NAME];	/* any octets: it is what a stranger said */
	size_t		 name_n;	/* at least one */
};

const char *penalty_of_name(enum penalty_of of);	/* "address", "account" */
/* One more line. */
void	penalty_file_add(struct buf *lines, const struct penalty *p);
/* The file of these lines. */
void	penalty_file_write(struct bytes lines, struct buf *file);
/* False: it is damaged. Else the lines, each of which is good. */
bool	penalty_file_read(struct bytes file, struct bytes *lines);
/* Takes a line off. False: there is none, or it makes no sense. */
bool	penalty_file_next(struct bytes *lines, struct penalty *p);

#endif
